//! `GET /v1/events`.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{Event, EventType};
use super::store;
use crate::actor::Action;
use crate::context::Context;
use crate::error::{Check, FieldCode, Result};
use crate::http::input::Several;
use crate::http::paging::Limit;
use crate::http::{Params, response};

/// A part of the events.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "seq": 4711, "type": "appointment.booked", "subject_type": "appointment",
    "subject_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "subject_version": 1,
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "occurred_at": "2026-03-02T14:00:00Z"
}], "next_cursor": null, "through_seq": 4711, "newest_seq": 4711}))]
pub struct EventPage {
    /// The events in the order of their numbers.
    pub items: Vec<Event>,
    /// Always null. Continue with `after` = `through_seq`.
    pub next_cursor: Option<String>,
    /// The number up to which the caller now has every event that it may see and asked for. Send it as `after` of the next request.
    #[schema(minimum = 0)]
    pub through_seq: i64,
    /// The last number that any event has. More events can be read at once while `through_seq` is less.
    #[schema(minimum = 0)]
    pub newest_seq: i64,
}

/// What to read of the events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventFilter {
    /// The number after which to begin: the `through_seq` of the previous response. Without it, begins with the oldest event that is kept.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991i64, example = 4711)]
    pub after: Option<i64>,
    /// The types of events.
    #[param(inline, value_type = Option<Vec<EventType>>, style = Form, explode = false, max_items = 50)]
    pub types: Option<Several<EventType>>,
    pub limit: Option<i64>,
}

/// The largest number. Programs that compute with floating point read it exactly.
pub const MAX_SEQ: i64 = 9_007_199_254_740_991;

/// Checks a number of an event.
pub(super) fn check_after(after: Option<i64>, pointer: &str) -> Result<()> {
    let mut check = Check::new();
    let fits = after.is_none_or(|after| (0..=MAX_SEQ).contains(&after));
    check.require(fits, pointer, FieldCode::OutOfRange, "must be the number of an event, or 0");
    check.done()
}

/// Reads the events.
///
/// # Errors
/// [`Error::RoleForbidden`](crate::error::Error::RoleForbidden); every broken rule of the filter; [`Error::Gone`](crate::error::Error::Gone) if events after the number are not kept.
pub async fn list(context: &Context, filter: EventFilter) -> Result<EventPage> {
    context.require(Action::EventRead)?;
    check_after(filter.after, "?after")?;
    let limit = Limit::new(filter.limit)?.rows();
    let (after, types) = (filter.after, Several::of(filter.types));
    context
        .read(move |tx| {
            let part = store::after(tx.conn, after, &types, limit)?;
            let patients: BTreeSet<_> = part.events.iter().filter_map(|event| event.patient_id).collect();
            tx.audit.note_shown(patients);
            let items = part.events.into_iter().map(Event::from).collect();
            Ok(EventPage { items, next_cursor: None, through_seq: part.through, newest_seq: part.newest })
        })
        .await
}

/// List events
///
/// Returns what has changed since an event, in the order of the numbers: appointments, patients and intakes, by their ids. The numbers
/// are consecutive. For staff and machine clients: the numbers would tell a patient what others do. A change has its event within a second.
/// Events are kept for `RETAIN_EVENTS_DAYS`, 30 days by default. A new reader takes `newest_seq` first, then reads the lists, then the
/// events after that number.
#[utoipa::path(
    tag = "events",
    operation_id = "list_events",
    security(("bearer" = [])),
    params(EventFilter),
    responses(
        (status = 200, description = "Events", body = EventPage),
        (status = 410, description = "`events_expired`: events after this number are not kept any more, or a backup from before it was \
            restored. Read the lists again, then the events after `newest_seq`; `oldest_seq` is the first number that is kept"),
    ),
)]
#[get("/v1/events")]
pub(super) async fn list_events(context: Context, Params(filter): Params<EventFilter>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter).await?))
}
