//! Who is signed in, and for whom they may act.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::api::UserDto;
use crate::actor::Actor;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::http::Endpoints;
use crate::ids::PatientId;
use crate::patients::access;
use crate::patients::model::Relation;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(get_me);
}

/// The signed-in account.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "ann@example.org", "name": null, "role": "patient",
        "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"},
    "patients": [{"id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "relation": "self", "relation_verified": true, "ends_on": null,
        "display_name": "Ann Example", "mrn": "LW-001001"}]
}))]
struct MeDto {
    /// The account.
    user: UserDto,
    /// The patients that it may act for; none for staff, who may act for each.
    patients: Vec<MyPatientDto>,
}

/// A patient that an account may act for.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "relation": "self", "relation_verified": true, "ends_on": null,
        "display_name": "Ann Example", "mrn": "LW-001001"}))]
struct MyPatientDto {
    /// The patient's id.
    id: PatientId,
    /// What the account's holder is to them.
    relation: Relation,
    /// Whether the clinic's staff have seen that it is so; always true for `self`.
    relation_verified: bool,
    /// The patient's birthday with which the access ends, as they come of age then; null where it does not end by itself.
    ends_on: Option<Date>,
    /// The preferred or given name, and the family name.
    display_name: String,
    /// The medical record number.
    mrn: String,
}

/// Who is signed in
///
/// The account, and the patients that it may act for, in the order in which it was given access.
#[utoipa::path(
    tag = "users",
    operation_id = "get_me",
    security(("bearer" = [])),
    responses((status = 200, description = "The account", body = MeDto)),
)]
#[get("/v1/me")]
async fn get_me(env: web::Data<Env>, actor: Actor) -> Result<HttpResponse> {
    let shared = env.clone();
    let me = env
        .db
        .read(move |conn| {
            let (user, patients) = access::of_account(conn, &shared, actor.user_id)?;
            actor.trail.note_shown(patients.iter().map(|(_, patient)| patient.id));
            Ok(MeDto {
                user: UserDto::from(&user),
                patients: patients
                    .into_iter()
                    .map(|(access, patient)| MyPatientDto {
                        id: patient.id,
                        relation: access.relation,
                        relation_verified: access.verified_at.is_some(),
                        ends_on: access.ends_on,
                        display_name: patient.display_name(),
                        mrn: patient.mrn,
                    })
                    .collect(),
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(me))
}
