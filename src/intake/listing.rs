//! Lists of intakes: of one patient, and of all patients for staff.

use std::collections::HashMap;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use rls::FormName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::flags;
use super::model::IntakeStatus;
use super::store::Intake;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::{intakes, patients};
use crate::error::{Error, FieldCode, Result};
use crate::http::paging::{Direction, Page, PageParams, in_order, next_pass, sort_options};
use crate::http::{Params, PathId, response};
use crate::ids::{IntakeId, PatientId, PractitionerId};
use crate::patients::listed::ListedPatient;
use crate::patients::model::Patient;
use crate::patients::{care, store as records};

/// The name of the list in cursors.
const LIST: &str = "intakes";

/// An intake in a list, without its answers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "form": "rls-history", "form_version": "1.3.0", "status": "completed", "authored_at": "2026-03-02T14:00:00Z",
    "submitted_at": "2026-03-02T14:00:00Z", "reviewed_at": null, "created_at": "2026-03-01T14:00:00Z",
    "updated_at": "2026-03-02T14:00:00Z", "urgent_flags": 0,
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}
}))]
pub struct ListedIntake {
    /// The intake.
    pub id: IntakeId,
    /// The patient.
    patient_id: PatientId,
    /// The name of the form.
    pub form: String,
    /// The version of the form that the answers were given for.
    form_version: String,
    /// The status.
    pub status: IntakeStatus,
    /// When the answers were last changed.
    authored_at: Timestamp,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// When a practitioner reviewed the current answers.
    pub reviewed_at: Option<Timestamp>,
    /// When it was begun.
    created_at: Timestamp,
    /// When it was last changed in any way.
    updated_at: Timestamp,
    /// The number of its urgent flags (emergency, same day) that are not acknowledged. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub urgent_flags: Option<u32>,
    /// The patient in short. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patient: Option<ListedPatient>,
}

/// A page of intakes.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct IntakePage {
    /// The intakes by the time of their last change, oldest first by default.
    pub items: Vec<ListedIntake>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The `updated_since` of the next pass through the changes. On the first page of a pass only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_updated_since: Option<Timestamp>,
}

/// The filters of a patient's intakes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PatientIntakeFilter {
    /// The status.
    pub status: Option<IntakeStatus>,
    /// The name of the form.
    #[param(max_length = 64, example = "rls-follow-up")]
    pub form: Option<String>,
    /// The order. Default: `updated_at`, the oldest change first.
    #[param(inline)]
    pub sort: Option<IntakeSort>,
}

/// The filters of a list of intakes. All that are given must match.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IntakeFilter {
    /// The status.
    pub status: Option<IntakeStatus>,
    /// The name of the form.
    #[param(max_length = 64, example = "rls-follow-up")]
    pub form: Option<String>,
    /// Whether a practitioner has reviewed the current answers.
    pub reviewed: Option<bool>,
    /// The practitioner who has a care relationship with the patient through a visit: an upcoming one, or one within the last 12 months (the
    /// setting `CARE_RELATION_MONTHS`).
    pub practitioner_id: Option<PractitionerId>,
    /// The earliest last change, inclusive. The next pass starts with the `next_updated_since` of the first page.
    pub updated_since: Option<Timestamp>,
    /// The order. Default: `updated_at`, the oldest change first. `-updated_at` is not possible with `updated_since`.
    #[param(inline)]
    pub sort: Option<IntakeSort>,
}

sort_options! {
    /// The order of a list of intakes.
    IntakeSort by "updated_at" or "-updated_at"
}

/// The checked filters of a list. All that are set must match.
#[derive(Debug, Clone, Default)]
struct Filter {
    patient_id: Option<PatientId>,
    status: Option<IntakeStatus>,
    form: Option<String>,
    reviewed: Option<bool>,
    practitioner_id: Option<PractitionerId>,
    updated_since: Option<Timestamp>,
}

fn check_form(form: Option<&str>) -> Result<()> {
    let names = FormName::ALL.map(FormName::as_str);
    if form.is_none_or(|form| names.contains(&form)) {
        return Ok(());
    }
    Err(Error::invalid("?form", FieldCode::NotAnOption, format!("must be one of {}", names.join(", "))))
}

/// Lists the intakes of a patient.
///
/// # Errors
/// A broken rule of the filter; [`Error::NotFound`] if the actor may not see the patient.
pub async fn list_of_patient(
    context: &Context,
    patient: PatientId,
    filter: PatientIntakeFilter,
    params: PageParams,
) -> Result<IntakePage> {
    context.require(Action::IntakeRead)?;
    let PatientIntakeFilter { status, form, sort } = filter;
    let wanted = params.sorted(LIST, Direction::of_list(sort, Direction::Ascending, None)?)?;
    check_form(form.as_deref())?;
    context
        .read(move |tx| {
            let patient = records::visible(tx.conn, tx.env, tx.actor, patient)?;
            page(tx, &Filter { patient_id: Some(patient.id), status, form, ..Filter::default() }, &wanted)
        })
        .await
}

/// Lists the intakes of all patients.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list(context: &Context, filter: IntakeFilter, params: PageParams) -> Result<IntakePage> {
    context.require(Action::IntakeList)?;
    let direction = Direction::of_list(filter.sort, Direction::Ascending, filter.updated_since)?;
    let wanted = params.sorted(LIST, direction)?;
    let IntakeFilter { status, form, reviewed, practitioner_id, updated_since, sort: _ } = filter;
    check_form(form.as_deref())?;
    let filter = Filter { patient_id: None, status, form, reviewed, practitioner_id, updated_since };
    let next_updated_since = next_pass(context.env.now(), updated_since, wanted.after.as_ref());
    context.read(move |tx| Ok(IntakePage { next_updated_since, ..page(tx, &filter, &wanted)? })).await
}

/// Loads a page of intakes by (last change, id). The caller must have authorised the request.
fn page(tx: &mut Tx, filter: &Filter, wanted: &Page) -> Result<IntakePage> {
    let mut query = intakes::table
        .inner_join(patients::table.on(patients::id.eq(intakes::patient_id)))
        .select((Intake::as_select(), Patient::as_select()))
        .into_boxed();
    if let Some(id) = filter.patient_id {
        query = query.filter(intakes::patient_id.eq(id));
    }
    if let Some(status) = filter.status {
        query = query.filter(intakes::status.eq(status));
    }
    if let Some(form) = &filter.form {
        query = query.filter(intakes::form.eq(form));
    }
    match filter.reviewed {
        Some(true) => query = query.filter(intakes::reviewed_at.is_not_null()),
        Some(false) => query = query.filter(intakes::reviewed_at.is_null()),
        None => {}
    }
    if let Some(id) = filter.practitioner_id {
        query = query.filter(intakes::patient_id.eq_any(care::patients_seen_by(id, care::care_window_start(tx.env))));
    }
    if let Some(since) = filter.updated_since {
        query = query.filter(intakes::updated_at.ge(since));
    }
    let query = in_order!(query, wanted, intakes::updated_at, intakes::id, IntakeId);
    let rows: Vec<(Intake, Patient)> = query.load(tx.conn)?;
    let (rows, next_cursor) = wanted.cut(rows, |(intake, _)| (intake.updated_at, intake.id.0));
    tx.audit.note_shown(rows.iter().map(|(_, patient)| patient.id));
    let is_staff = tx.actor.role.is_staff();
    let ids: Vec<_> = rows.iter().map(|(intake, _)| intake.id).collect();
    let urgent = if is_staff { flags::count_urgent(tx.conn, &ids)? } else { HashMap::new() };
    let item = |(intake, patient): (Intake, Patient)| ListedIntake {
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
        urgent_flags: is_staff.then(|| urgent.get(&intake.id).copied().unwrap_or_default()),
        patient: is_staff.then(|| ListedPatient::from(&patient)),
    };
    Ok(IntakePage { items: rows.into_iter().map(item).collect(), next_cursor, next_updated_since: None })
}

/// List a patient's intakes
///
/// Sorted by the last change, the oldest change first by default, without the answers.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_patient_intakes",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), PatientIntakeFilter, PageParams),
    responses((status = 200, description = "A page", body = IntakePage)),
)]
#[get("/v1/patients/{id}/intakes")]
pub(super) async fn list_patient_intakes(
    context: Context,
    PathId(patient): PathId<PatientId>,
    Params(filter): Params<PatientIntakeFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list_of_patient(&context, patient, filter, page).await?))
}

/// List intakes
///
/// Staff only. Lists the intakes of all patients by their last change, oldest first, without the answers. `status=completed` and
/// `reviewed=false` select the intakes that wait for a review. Start each pass with the `next_updated_since` of the first page of the
/// previous pass, and you miss no change. A draft that its patient discards disappears from the list, unless it has raised flags.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intakes",
    security(("bearer" = [])),
    params(IntakeFilter, PageParams),
    responses((status = 200, description = "A page", body = IntakePage)),
)]
#[get("/v1/intakes")]
pub(super) async fn list_intakes(
    context: Context,
    Params(filter): Params<IntakeFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}
