//! Lists of follow-ups: of one patient, and of all patients for staff.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::FollowUpStatus;
use super::store::FollowUp;
use super::view::FollowUpView;
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::db::schema::{follow_ups, patients};
use crate::error::Result;
use crate::http::paging::{Direction, Page, PageParams, in_order, sort_options};
use crate::http::{Params, PathId, response};
use crate::ids::{FollowUpId, PatientId};
use crate::patients::listed::ListedPatient;
use crate::patients::model::Patient;
use crate::patients::store as records;

/// The name of the list in cursors.
const LIST: &str = "follow-ups";

/// A follow-up in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c60", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "status": "asked",
    "reason": "visit", "due_on": "2026-03-30", "appointment_id": null, "asked_at": "2026-03-30T13:00:00Z",
    "answer_by": "2026-04-13T13:00:00Z", "intake_id": null, "created_at": "2026-03-02T15:00:00Z", "updated_at": "2026-03-30T13:00:00Z",
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}
}))]
pub struct ListedFollowUp {
    /// The follow-up.
    #[serde(flatten)]
    pub follow_up: FollowUpView,
    /// The patient in short. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patient: Option<ListedPatient>,
}

/// A page of follow-ups.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct FollowUpPage {
    /// The follow-ups, the one that was scheduled last first by default.
    pub items: Vec<ListedFollowUp>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// The filters of a list of follow-ups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FollowUpFilter {
    /// The status.
    pub status: Option<FollowUpStatus>,
    /// The order. Default: `-created_at`, the one that was scheduled last first.
    #[param(inline)]
    pub sort: Option<FollowUpSort>,
}

sort_options! {
    /// The order of a list of follow-ups.
    FollowUpSort by "created_at" or "-created_at"
}

impl FollowUpFilter {
    /// The page that the request asks for.
    fn page(&self, params: &PageParams) -> Result<Page> {
        params.sorted(LIST, Direction::of_list(self.sort, Direction::Descending, None)?)
    }
}

/// Lists the follow-ups of a patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient.
pub async fn list_of_patient(
    context: &Context,
    patient: PatientId,
    filter: FollowUpFilter,
    params: PageParams,
) -> Result<FollowUpPage> {
    context.require(Action::FollowUpRead)?;
    let wanted = filter.page(&params)?;
    context
        .read(move |tx| {
            let patient = records::visible(tx.conn, tx.env, tx.actor, patient)?;
            page(tx, Some(patient.id), filter.status, &wanted)
        })
        .await
}

/// Lists the follow-ups of all patients.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list(context: &Context, filter: FollowUpFilter, params: PageParams) -> Result<FollowUpPage> {
    context.require(Action::FollowUpManage)?;
    let wanted = filter.page(&params)?;
    context.read(move |tx| page(tx, None, filter.status, &wanted)).await
}

/// Loads a page. The caller must have authorised the request.
fn page(
    tx: &mut Tx,
    patient: Option<PatientId>,
    status: Option<FollowUpStatus>,
    wanted: &Page,
) -> Result<FollowUpPage> {
    let mut query = follow_ups::table
        .inner_join(patients::table.on(patients::id.eq(follow_ups::patient_id)))
        .select((FollowUp::as_select(), Patient::as_select()))
        .into_boxed();
    if let Some(id) = patient {
        query = query.filter(follow_ups::patient_id.eq(id));
    }
    if let Some(status) = status {
        query = query.filter(follow_ups::status.eq(status));
    }
    let query = in_order!(query, wanted, follow_ups::created_at, follow_ups::id, FollowUpId);
    let rows: Vec<(FollowUp, Patient)> = query.load(tx.conn)?;
    let (rows, next_cursor) = wanted.cut(rows, |(row, _)| (row.created_at, row.id.0));
    tx.audit.note_shown(rows.iter().map(|(_, patient)| patient.id));
    let is_staff = tx.actor.role.is_staff();
    let item = |(row, patient): (FollowUp, Patient)| ListedFollowUp {
        follow_up: row.into(),
        patient: is_staff.then(|| ListedPatient::from(&patient)),
    };
    Ok(FollowUpPage { items: rows.into_iter().map(item).collect(), next_cursor })
}

/// List a patient's follow-ups
///
/// The one that was scheduled last first by default.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_patient_follow_ups",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), FollowUpFilter, PageParams),
    responses((status = 200, description = "A page", body = FollowUpPage)),
)]
#[get("/v1/patients/{id}/follow-ups")]
pub(in crate::intake) async fn list_patient_follow_ups(
    context: Context,
    PathId(patient): PathId<PatientId>,
    Params(filter): Params<FollowUpFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list_of_patient(&context, patient, filter, page).await?))
}

/// List follow-ups
///
/// Staff only. Lists the follow-ups of all patients, the one that was scheduled last first by default. `status=asked` selects those that wait for an
/// answer, `status=missed` those without one. The answers are intakes: `GET /v1/intakes?form=rls-follow-up` lists them.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_follow_ups",
    security(("bearer" = [])),
    params(FollowUpFilter, PageParams),
    responses((status = 200, description = "A page", body = FollowUpPage)),
)]
#[get("/v1/follow-ups")]
pub(in crate::intake) async fn list_follow_ups(
    context: Context,
    Params(filter): Params<FollowUpFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}
