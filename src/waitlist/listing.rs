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
use crate::http::paging::{Direction, Page, PageParams, in_order, next_pass};
use crate::http::{Params, response};
use crate::ids::{PatientId, VisitTypeId, WaitlistEntryId};
use crate::patients::access;

/// The names of the list and its orders in cursors.
const LIST: &str = "waitlist-entries";
const CHANGES: &str = "waitlist-entries-changes";

/// A page of the waitlist.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct WaitlistEntryPage {
    /// The entries by the time since which the patient waits, longest first; with `updated_since` by the time of their last change.
    items: Vec<WaitlistEntryView>,
    /// The `cursor` of the next page. Null on the last page.
    next_cursor: Option<String>,
    /// The `updated_since` of the next pass through the changes. On the first page of a pass only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_updated_since: Option<Timestamp>,
}

/// The filters of the waitlist. All that are given must match.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
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
}

/// Lists the entries that the actor may see.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(context: &Context, filter: WaitlistEntryFilter, params: PageParams) -> Result<WaitlistEntryPage> {
    context.require(Action::WaitlistUse)?;
    let name = if filter.updated_since.is_some() { CHANGES } else { LIST };
    let page = params.sorted(name, Direction::Ascending)?;
    let next_updated_since = next_pass(context.env.now(), filter.updated_since, page.after.as_ref());
    context
        .read(move |tx| {
            let today = entry::today(tx)?;
            let (rows, next_cursor) = load(tx, filter, today, &page)?;
            tx.audit.note_shown(rows.iter().map(|row| row.patient_id));
            let items = rows.into_iter().map(|row| WaitlistEntryView::new(row, today)).collect();
            Ok(WaitlistEntryPage { items, next_cursor, next_updated_since })
        })
        .await
}

fn load(
    tx: &mut Tx,
    filter: WaitlistEntryFilter,
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
        return Ok(page.cut(rows, |row| (row.updated_at, row.id.0)));
    }
    let query = in_order!(query, page, waitlist_entries::created_at, waitlist_entries::id, WaitlistEntryId);
    let rows: Vec<Entry> = query.load(tx.conn)?;
    Ok(page.cut(rows, |row| (row.created_at, row.id.0)))
}

/// List the waitlist
///
/// The patient who has waited longest first. Patients see the entries of the patients they may act for. With `updated_since` the list is
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
