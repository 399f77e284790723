//! Who is signed in, and for whom they may act.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::accounts::{self, api::UserDto};
use crate::actor::Actor;
use crate::env::Env;
use crate::error::Result;
use crate::ids::PatientId;
use crate::patients::model::Relation;
use crate::patients::store;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    cfg.service(get_me);
}

/// The signed-in account.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "ann@example.org", "name": null, "role": "patient",
        "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"},
    "patients": [{"id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "relation": "self", "display_name": "Ann Example", "mrn": "LW-001001"}]
}))]
struct MeDto {
    /// The account.
    user: UserDto,
    /// The patients that it may act for; none for staff, who may act for each.
    patients: Vec<MyPatientDto>,
}

/// A patient that an account may act for.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "relation": "self", "display_name": "Ann Example", "mrn": "LW-001001"}))]
struct MyPatientDto {
    /// The patient's id.
    id: PatientId,
    /// What the account's holder is to them.
    relation: Relation,
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
    let me = env
        .db
        .read(move |conn| {
            let user = accounts::store::find(conn, actor.user_id)?;
            let patients = store::of_account(conn, actor.user_id)?;
            Ok(MeDto {
                user: UserDto::from(&user),
                patients: patients
                    .into_iter()
                    .map(|(relation, patient)| MyPatientDto {
                        id: patient.id,
                        relation,
                        display_name: patient.display_name(),
                        mrn: patient.mrn,
                    })
                    .collect(),
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(me))
}
