//! Records that may be of one person, for the clinic's staff.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::actor::{Action, Actor};
use crate::db::Conn;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::http::{Endpoints, PathId};
use crate::ids::PatientId;
use crate::patients::duplicates::{self, DuplicateGrade, DuplicateReason};
use crate::patients::model::Patient;
use crate::patients::store;
use crate::trail::Trail;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_patient_duplicates);
}

/// A record that may be of the same person.
#[derive(Serialize, ToSchema)]
#[schema(as = PatientDuplicate, example = json!({
    "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "mrn": "LW-001002", "given_name": "Anne", "family_name": "Example",
    "date_of_birth": "1967-09-14", "phone": "+12125550100", "email": null, "grade": "probable",
    "reasons": ["similar_names", "same_birth_date", "same_phone"]
}))]
pub(super) struct DuplicateDto {
    /// The other record.
    id: PatientId,
    /// Its number.
    mrn: String,
    /// The legal given name; null for a mononym.
    given_name: Option<String>,
    /// The legal family name, or the only name.
    family_name: String,
    /// The day of birth.
    date_of_birth: Date,
    /// E.164.
    phone: Option<String>,
    /// Where their mail goes.
    email: Option<String>,
    /// How likely it is the same person.
    grade: DuplicateGrade,
    /// Why: how the names stand to each other, how the birth dates do, which contacts are shared.
    reasons: Vec<DuplicateReason>,
}

/// What may be of the same person as a record, as it is shown: the trail notes it.
///
/// # Errors
/// The database's.
pub(super) fn of(conn: &mut Conn, trail: &Trail, patient: &Patient) -> Result<Vec<DuplicateDto>> {
    let found = duplicates::of(conn, patient)?.into_iter().map(|duplicate| {
        let record = duplicate.record;
        trail.note_shown([record.id]);
        DuplicateDto {
            id: record.id,
            mrn: record.mrn,
            given_name: record.given_name,
            family_name: record.family_name,
            date_of_birth: record.date_of_birth,
            phone: record.phone,
            email: record.email,
            grade: duplicate.grade,
            reasons: duplicate.reasons,
        }
    });
    Ok(found.collect())
}

/// Likely duplicates.
#[derive(Serialize, ToSchema)]
#[schema(as = PatientDuplicates, example = json!({"items": [{
    "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "mrn": "LW-001002", "given_name": "Anne", "family_name": "Example",
    "date_of_birth": "1967-09-14", "phone": "+12125550100", "email": null, "grade": "probable",
    "reasons": ["similar_names", "same_birth_date", "same_phone"]
}]}))]
struct DuplicatesDto {
    /// The most likely first, of equally likely ones the oldest record; at most 20.
    items: Vec<DuplicateDto>,
}

/// List likely duplicates of a patient
///
/// For staff: other records that may be of the same person, by names, birth date and contacts, each with a grade and its
/// reasons. `certain` is the same name and birth date with a shared phone or e-mail, `probable` has a typing mistake or no
/// shared contact, `possible` is worth a look. People with different given names, such as twins, are not listed, unless the
/// names are so much alike (Ana and Anna) that one may be a typing mistake: then they come as `probable`. Nothing is merged by
/// itself.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_duplicates",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The likely duplicates", body = DuplicatesDto)),
)]
#[get("/v1/patients/{id}/duplicates")]
async fn list_patient_duplicates(env: web::Data<Env>, actor: Actor, id: PathId<PatientId>) -> Result<HttpResponse> {
    actor.require(Action::PatientSearch)?;
    let shared = env.clone();
    let items = env
        .db
        .read(move |conn| {
            let patient = store::visible(conn, &shared, &actor, id.0)?;
            of(conn, &actor.trail, &patient)
        })
        .await?;
    Ok(HttpResponse::Ok().json(DuplicatesDto { items }))
}
