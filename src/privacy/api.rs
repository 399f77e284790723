//! The endpoint of this department.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, get, web};

use super::export::PatientExport;
use crate::actor::{Action, Actor};
use crate::env::Env;
use crate::error::Result;
use crate::http::{Endpoints, PathId};
use crate::ids::PatientId;
use crate::intake::Rules;
use crate::patients::{care, store as records};

/// The endpoint of this department.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(export_patient);
}

/// Export everything held on a patient
///
/// One document with the record, access, consents, appointments and their history, intakes with all versions and what was
/// computed from them, flags, laboratory results and messages: for whoever asks to see or take along what the clinic holds on
/// them. Patients, practitioners and administrators get all of it; who acts for a patient gets what they may see elsewhere
/// (`scope` is `limited`).
#[utoipa::path(
    tag = "patients",
    operation_id = "export_patient",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The document, as an attachment", body = PatientExport,
        headers(("Content-Disposition" = String, description = "The name to save it by")))),
)]
#[get("/v1/patients/{id}/export")]
async fn export_patient(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<PatientId>,
) -> Result<HttpResponse> {
    actor.require(Action::PatientExport)?;
    let shared = env.clone();
    let export = care::read(&env, actor, move |conn, actor| {
        let patient = records::visible(conn, &shared, actor, id.0)?;
        care::require(conn, &shared, actor, patient.id)?;
        PatientExport::of(conn, &shared, &rules, actor, patient.id)
    })
    .await?;
    let name = format!("attachment; filename=\"{}\"", export.file_name());
    Ok(HttpResponse::Ok().insert_header((CONTENT_DISPOSITION, name)).json(export))
}
