//! Lists of intakes: a patient's, and the staff's over all patients.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::actor::{Action, Actor};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::http::paging::next_pass;
use crate::http::{Cursor, Endpoints, Limit, Params, PathId};
use crate::ids::{IntakeId, PatientId, PractitionerId};
use crate::intake::model::IntakeStatus;
use crate::intake::store::{self, Filter, Listed};
use crate::patients::model::Patient;
use crate::patients::store as records;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_patient_intakes).service(list_intakes);
}

/// An intake in a list, without its answers.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedIntake, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "form": "rls-history", "form_version": "1.0.0", "status": "completed", "authored_at": "2026-03-02T14:00:00Z",
    "submitted_at": "2026-03-02T14:00:00Z", "reviewed_at": null, "created_at": "2026-03-01T14:00:00Z",
    "updated_at": "2026-03-02T14:00:00Z", "urgent_flags": 0,
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}
}))]
struct ListedIntakeDto {
    /// The intake.
    id: IntakeId,
    /// Whose history it is.
    patient_id: PatientId,
    /// The form's name.
    form: String,
    /// The version of the form that the answers were given for.
    form_version: String,
    /// Where it stands.
    status: IntakeStatus,
    /// When its answers were last written.
    authored_at: Timestamp,
    /// When it was submitted.
    submitted_at: Option<Timestamp>,
    /// When a practitioner reviewed the present answers.
    reviewed_at: Option<Timestamp>,
    /// When it was begun.
    created_at: Timestamp,
    /// When it was last changed in any way.
    updated_at: Timestamp,
    /// How many urgent flags of it (emergency, same day) nobody has acknowledged; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    urgent_flags: Option<u32>,
    /// The patient in short; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    patient: Option<IntakePatient>,
}

/// The patient of an intake or a flag, as the staff see them in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}))]
pub struct IntakePatient {
    /// The record.
    id: PatientId,
    /// What to call them.
    display_name: String,
    /// The birthday.
    date_of_birth: Date,
    /// The medical record number.
    mrn: String,
}

impl From<&Patient> for IntakePatient {
    fn from(patient: &Patient) -> Self {
        Self {
            id: patient.id,
            display_name: patient.display_name(),
            date_of_birth: patient.date_of_birth,
            mrn: patient.mrn.clone(),
        }
    }
}

/// A page of intakes.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct IntakePage {
    /// The one that was changed longest ago first.
    items: Vec<ListedIntakeDto>,
    /// For `cursor`; null on the last page.
    next_cursor: Option<String>,
    /// Where the next pass through the changes begins; on the first page of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_updated_since: Option<Timestamp>,
}

fn page(tx: &mut Conn, actor: &Actor, rows: Vec<Listed>, next_cursor: Option<String>) -> Result<IntakePage> {
    let staff = actor.role.is_staff();
    let ids: Vec<_> = rows.iter().map(|row| row.intake.id).collect();
    let urgent = if staff { store::urgent_flags(tx, &ids)? } else { std::collections::HashMap::new() };
    actor.trail.note_shown(rows.iter().map(|row| row.patient.id));
    let item = |Listed { intake, patient }: Listed| ListedIntakeDto {
        id: intake.id,
        patient_id: intake.patient_id,
        form: intake.form,
        form_version: intake.form_version,
        status: intake.status,
        authored_at: intake.authored_at,
        submitted_at: intake.submitted_at,
        reviewed_at: intake.reviewed_at,
        created_at: intake.created_at,
        updated_at: intake.updated_at,
        urgent_flags: staff.then(|| urgent.get(&intake.id).copied().unwrap_or_default()),
        patient: staff.then(|| IntakePatient::from(&patient)),
    };
    Ok(IntakePage { items: rows.into_iter().map(item).collect(), next_cursor, next_updated_since: None })
}

/// Which of a patient's intakes to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PatientIntakeFilter {
    /// Standing so.
    status: Option<IntakeStatus>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List a patient's intakes
///
/// Without their answers, the one that was changed longest ago first.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_patient_intakes",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), PatientIntakeFilter),
    responses((status = 200, description = "A page", body = IntakePage)),
)]
#[get("/v1/patients/{id}/intakes")]
async fn list_patient_intakes(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    filter: Params<PatientIntakeFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeRead)?;
    let (after, limit) = (Cursor::read(filter.0.cursor.as_deref(), store::LIST)?, Limit::new(filter.0.limit)?);
    let (shared, status) = (env.clone(), filter.0.status);
    let page = env
        .db
        .read(move |conn| {
            let patient = records::visible(conn, &shared, &actor, id.0)?;
            let filter = Filter { patient_id: Some(patient.id), status, ..Filter::default() };
            let (rows, next) = store::list(conn, shared.now(), &filter, after, limit)?;
            page(conn, &actor, rows, next)
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Which intakes to list; all that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct IntakeFilter {
    /// Standing so.
    status: Option<IntakeStatus>,
    /// Whether a practitioner has reviewed the present answers.
    reviewed: Option<bool>,
    /// Of patients with a visit to this practitioner, to come or within the last year.
    practitioner_id: Option<PractitionerId>,
    /// Changed at this instant or later; a next pass begins with the `next_updated_since` of the first page.
    updated_since: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List intakes
///
/// For staff: of all patients, without the answers, the one that was changed longest ago first. `status=completed` and
/// `reviewed=false` is what waits for a review. With `updated_since` no change is missed by whoever begins each pass with the
/// `next_updated_since` of the first page of the pass before. A draft that its patient discards is gone without a trace.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intakes",
    security(("bearer" = [])),
    params(IntakeFilter),
    responses((status = 200, description = "A page", body = IntakePage)),
)]
#[get("/v1/intakes")]
async fn list_intakes(env: web::Data<Env>, actor: Actor, filter: Params<IntakeFilter>) -> Result<HttpResponse> {
    actor.require(Action::IntakeList)?;
    let given = filter.0;
    let (after, limit) = (Cursor::read(given.cursor.as_deref(), store::LIST)?, Limit::new(given.limit)?);
    let filter = Filter {
        patient_id: None,
        status: given.status,
        reviewed: given.reviewed,
        practitioner_id: given.practitioner_id,
        updated_since: given.updated_since,
    };
    let now = env.now();
    let page = env
        .db
        .read(move |conn| {
            let next_updated_since = next_pass(now, filter.updated_since, after.as_ref());
            let (rows, next) = store::list(conn, now, &filter, after, limit)?;
            Ok(IntakePage { next_updated_since, ..page(conn, &actor, rows, next)? })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}
