//! The list of those who wait.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use jiff::civil;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::entry::{self, Entry, WaitlistStatus, WaitlistUrgency};
use super::view::WaitlistEntryView;
use crate::actor::{Action, Reach};
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::waitlist_entries;
use crate::db::types::Date;
use crate::error::Result;
use crate::http::input::Several;
use crate::http::paging::{Direction, Page, PageParams, in_order, next_pass, sort_options};
use crate::http::{Params, response};
use crate::ids::{PatientId, VisitTypeId, WaitlistEntryId};
use crate::patients::access;
use crate::patients::listed::{self, ListedPatient};
use crate::scheduling::setup::included::{Include, Included, References};

/// The names of the list and its orders in cursors.
const LIST: &str = "waitlist-entries";
const CHANGES: &str = "waitlist-entries-changes";

/// An entry in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c61", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03", "appointment_id": null, "status": "waiting", "paused": false, "urgency": "routine",
    "practitioner_ids": [], "location_ids": [], "weekdays": ["monday", "friday"], "from_time": "09:00", "to_time": "12:00",
    "from_date": null, "to_date": "2026-04-30", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}
}))]
pub struct ListedWaitlistEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: WaitlistEntryView,
    /// The patient in short. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patient: Option<ListedPatient>,
}

/// A page of the waitlist.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct WaitlistEntryPage {
    /// The entries by the time since which the patient waits, longest first by default; with `updated_since` by the time of their last
    /// change.
    pub items: Vec<ListedWaitlistEntry>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The `updated_since` of the next pass through the changes. On the first page of a pass only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_updated_since: Option<Timestamp>,
    /// The names of the objects that `include` asked for. The practitioners and locations are those that patients wish for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub included: Option<Included>,
}

/// The filters of the waitlist. All that are given must match.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitlistEntryFilter {
    /// The patient.
    patient_id: Option<PatientId>,
    /// The kind of visit.
    visit_type_id: Option<VisitTypeId>,
    /// The status.
    status: Option<WaitlistStatus>,
    /// The urgency.
    urgency: Option<WaitlistUrgency>,
    /// The earliest last change, inclusive. The list is then sorted by the last change, oldest first. The next pass starts with the
    /// `next_updated_since` of the first page.
    updated_since: Option<Timestamp>,
    /// The order. Default: `created_at`, longest wait first. `-created_at` is not possible with `updated_since`.
    #[param(inline)]
    sort: Option<WaitlistEntrySort>,
    /// The objects whose names the response includes.
    #[param(inline, value_type = Option<Vec<Include>>, style = Form, explode = false, max_items = 3)]
    include: Option<Several<Include>>,
}

sort_options! {
    /// The order of the waitlist.
    WaitlistEntrySort by "created_at" or "-created_at"
}

/// Lists the entries that the actor may see.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(context: &Context, filter: WaitlistEntryFilter, params: PageParams) -> Result<WaitlistEntryPage> {
    context.require(Action::WaitlistUse)?;
    let name = if filter.updated_since.is_some() { CHANGES } else { LIST };
    let page = params.sorted(name, Direction::of_list(filter.sort, Direction::Ascending, filter.updated_since)?)?;
    let include = Several::of(filter.include.clone());
    let next_updated_since = next_pass(context.env.now(), filter.updated_since, page.after.as_ref());
    context
        .read(move |tx| {
            let today = entry::today(tx)?;
            let (rows, next_cursor) = load(tx, &filter, today, &page)?;
            tx.audit.note_shown(rows.iter().map(|entry| entry.patient_id));
            let included = Included::load(tx.conn, &include, || references(&rows))?;
            let patients = listed::for_staff(tx, rows.iter().map(|entry| entry.patient_id))?;
            let item = |entry: Entry| ListedWaitlistEntry {
                patient: patients.get(&entry.patient_id).cloned(),
                entry: WaitlistEntryView::new(entry, today),
            };
            let items = rows.into_iter().map(item).collect();
            Ok(WaitlistEntryPage { items, next_cursor, next_updated_since, included })
        })
        .await
}

fn references(rows: &[Entry]) -> References {
    let mut references = References::default();
    for entry in rows {
        references.visit_types.insert(entry.visit_type_id);
        references.practitioners.extend(&entry.wishes.practitioner_ids);
        references.locations.extend(&entry.wishes.location_ids);
    }
    references
}

fn load(
    tx: &mut Tx,
    filter: &WaitlistEntryFilter,
    today: civil::Date,
    page: &Page,
) -> Result<(Vec<Entry>, Option<String>)> {
    let mut query = waitlist_entries::table.select(Entry::as_select()).into_boxed();
    if tx.actor.reach(Action::WaitlistUse) != Reach::Any {
        let own = access::patients_of(tx.actor.user_id, tx.now);
        query = query.filter(waitlist_entries::patient_id.eq_any(own));
    }
    if let Some(id) = filter.patient_id {
        query = query.filter(waitlist_entries::patient_id.eq(id));
    }
    if let Some(id) = filter.visit_type_id {
        query = query.filter(waitlist_entries::visit_type_id.eq(id));
    }
    if let Some(urgency) = filter.urgency {
        query = query.filter(waitlist_entries::urgency.eq(urgency));
    }
    let (stored, is_over) = (waitlist_entries::status, waitlist_entries::to_date.assume_not_null().lt(Date(today)));
    let is_dated = waitlist_entries::to_date.is_not_null();
    query = match filter.status {
        None => query,
        Some(WaitlistStatus::Waiting) => query.filter(stored.eq(WaitlistStatus::Waiting)).filter(
            waitlist_entries::to_date.is_null().or(waitlist_entries::to_date.assume_not_null().ge(Date(today))),
        ),
        Some(WaitlistStatus::Expired) => query.filter(
            stored.eq(WaitlistStatus::Expired).or(stored.eq(WaitlistStatus::Waiting).and(is_dated).and(is_over)),
        ),
        Some(status) => query.filter(stored.eq(status)),
    };
    if let Some(since) = filter.updated_since {
        query = query.filter(waitlist_entries::updated_at.ge(page.after.map_or(since, |after| after.at.max(since))));
        let query = in_order!(query, page, waitlist_entries::updated_at, waitlist_entries::id, WaitlistEntryId);
        let rows: Vec<Entry> = query.load(tx.conn)?;
        return Ok(page.cut(rows, |entry| (entry.updated_at, entry.id.0)));
    }
    let query = in_order!(query, page, waitlist_entries::created_at, waitlist_entries::id, WaitlistEntryId);
    let rows: Vec<Entry> = query.load(tx.conn)?;
    Ok(page.cut(rows, |entry| (entry.created_at, entry.id.0)))
}

/// List the waitlist
///
/// The patient who has waited longest first by default. Patients see the entries of the patients they may act for. With `updated_since` the list is
/// sorted by the last change instead. That the last day of an entry has passed is no change.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "list_waitlist_entries",
    security(("bearer" = [])),
    params(WaitlistEntryFilter, PageParams),
    responses((status = 200, description = "A page", body = WaitlistEntryPage)),
)]
#[get("/v1/waitlist-entries")]
pub(super) async fn list_waitlist_entries(
    context: Context,
    Params(filter): Params<WaitlistEntryFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}
