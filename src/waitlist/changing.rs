//! Changing and ending an entry.

use actix_web::{HttpResponse, patch, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::creating::{require_no_other, urgency_is_for_staff};
use super::entry::{self, Entry, WaitlistStatus, WaitlistUrgency};
use super::offer::{self, OfferStatus};
use super::view::WaitlistEntryView;
use super::wishes::Wishes;
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, Patch, PathId};
use crate::ids::{AppointmentId, LocationId, PractitionerId, WaitlistEntryId};
use crate::scheduling::hours::weekly::Weekday;

/// A change of an entry of the waitlist. Members that are not sent keep their value, `null` deletes it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"weekdays": ["monday"], "to_time": null}))]
pub struct WaitlistEntryPatch {
    /// The patient's later visit of this kind that an earlier time would replace.
    #[serde(default)]
    #[schema(value_type = Option<AppointmentId>)]
    appointment_id: Change<AppointmentId>,
    /// How urgent the visit is. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<WaitlistUrgency>)]
    urgency: Change<WaitlistUrgency>,
    /// With `false` the service offers times again to a patient who did not answer three offers in a row. Only the service pauses an entry.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    paused: Change<bool>,
    /// The practitioners. Replaces the whole list; empty for any.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PractitionerId>>, max_items = 50)]
    practitioner_ids: Change<Vec<PractitionerId>>,
    /// The locations. Replaces the whole list; empty for any.
    #[serde(default)]
    #[schema(value_type = Option<Vec<LocationId>>, max_items = 50)]
    location_ids: Change<Vec<LocationId>>,
    /// The weekdays of the start, by the location's calendar. Replaces the whole list; empty for any.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Weekday>>, max_items = 7)]
    weekdays: Change<Vec<Weekday>>,
    /// The earliest time of day of the start by the location's clock, `HH:MM`, inclusive.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("09:00"))]
    from_time: Change<String>,
    /// The latest time of day of the start by the location's clock, `HH:MM`, exclusive, at most `24:00`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples("12:00"))]
    to_time: Change<String>,
    /// The first day of the visit.
    #[serde(default)]
    #[schema(value_type = Option<Date>)]
    from_date: Change<Date>,
    /// The last day of the visit.
    #[serde(default)]
    #[schema(value_type = Option<Date>)]
    to_date: Change<Date>,
}

impl WaitlistEntryPatch {
    /// Checks the values that are sent. How they fit those that stay is checked when the entry is known.
    fn check(&self) -> Result<()> {
        let mut check = Check::new();
        check.require(self.urgency != Change::Clear, "/urgency", FieldCode::Required, "must not be removed");
        check.require(self.paused != Change::Clear, "/paused", FieldCode::Required, "must not be removed");
        let is_end = self.paused != Change::Set(true);
        check.require(is_end, "/paused", FieldCode::WrongValue, "must be false: only the service pauses an entry");
        let mut sent = Wishes::default();
        replace(self.practitioner_ids.clone(), &mut sent.practitioner_ids);
        replace(self.location_ids.clone(), &mut sent.location_ids);
        replace(self.weekdays.clone(), &mut sent.weekdays);
        self.from_time.clone().apply(&mut sent.from_time);
        self.to_time.clone().apply(&mut sent.to_time);
        sent.check(&mut check);
        check.done()
    }

    /// Returns the entry with the changes.
    fn apply(self, mut entry: Entry) -> Entry {
        let wishes = &mut entry.wishes;
        replace(self.practitioner_ids, &mut wishes.practitioner_ids);
        replace(self.location_ids, &mut wishes.location_ids);
        replace(self.weekdays, &mut wishes.weekdays);
        self.from_time.apply(&mut wishes.from_time);
        self.to_time.apply(&mut wishes.to_time);
        self.appointment_id.apply(&mut entry.appointment_id);
        self.from_date.apply(&mut entry.from_date);
        self.to_date.apply(&mut entry.to_date);
        if let Change::Set(urgency) = self.urgency {
            entry.urgency = urgency;
        }
        if self.paused == Change::Set(false) && entry.is_paused() {
            entry.lapses = 0;
        }
        entry
    }
}

/// Applies the change to a list, which is empty without a value.
fn replace<T>(change: Change<Vec<T>>, list: &mut Vec<T>) {
    match change {
        Change::Keep => {}
        Change::Clear => list.clear(),
        Change::Set(values) => *list = values,
    }
}

fn has_ended() -> Error {
    Error::conflict(ProblemCode::StatusConflict, "The entry has ended. Put the patient on the waitlist again.")
}

/// Changes an entry.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; every broken rule; the conflicts `status_conflict` and `already_waiting`.
pub async fn update(
    context: &Context,
    id: WaitlistEntryId,
    if_match: IfMatch,
    patch: WaitlistEntryPatch,
) -> Result<Versioned<WaitlistEntryView>> {
    context.require(Action::WaitlistUse)?;
    let if_match = if_match.required()?;
    if !context.is_staff() && patch.urgency != Change::Keep {
        return Err(urgency_is_for_staff());
    }
    patch.check()?;
    context.change(move |tx| store(tx, id, &if_match, patch.clone())).await
}

/// Stores what changes. Without changes the entry keeps its version.
fn store(
    tx: &mut Tx,
    id: WaitlistEntryId,
    if_match: &IfMatch,
    patch: WaitlistEntryPatch,
) -> Result<Versioned<WaitlistEntryView>> {
    let before = entry::lock(tx, id)?;
    // An entry whose last day has passed can get a later one.
    if !before.is_live() && before.status != WaitlistStatus::Expired {
        return Err(has_ended());
    }
    if_match.check(before.version)?;
    let today = entry::today(tx)?;
    let changed = patch.apply(before.clone());
    if changed == before {
        return Ok(WaitlistEntryView::versioned(before, today));
    }
    changed.check(today)?;
    let already = Some(&before).filter(|before| before.is_live_on(today));
    entry::check_references(tx, &changed, already)?;
    // A paused entry and one that has expired wait again, and other times may suit it.
    let status = if before.is_live() {
        before.status
    } else {
        require_no_other(tx, &changed, today)?;
        WaitlistStatus::Waiting
    };
    let changed = Entry { status, lapses: 0, search_at: tx.now, ..changed };
    Ok(WaitlistEntryView::versioned(entry::update(tx, changed)?, today))
}

/// Ends an entry.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; the conflict `status_conflict`.
pub async fn cancel(
    context: &Context,
    once: Once,
    id: WaitlistEntryId,
    if_match: IfMatch,
) -> Result<Versioned<WaitlistEntryView>> {
    context.require(Action::WaitlistUse)?;
    context
        .change_once(once, move |tx| {
            let found = entry::lock(tx, id)?;
            let today = entry::today(tx)?;
            if !found.is_live_on(today) {
                return Err(has_ended());
            }
            if_match.check(found.version)?;
            if let Some(open) = offer::open_of_entry(tx.conn, found.id)? {
                offer::close(tx, open, OfferStatus::Withdrawn)?;
            }
            let ended = entry::update(tx, Entry { status: WaitlistStatus::Cancelled, ..found })?;
            Ok(WaitlistEntryView::versioned(ended, today))
        })
        .await
}

/// Change an entry of the waitlist
///
/// The time since which the patient waits stays. An entry whose last day has passed waits again with a later one. A paused entry is offered
/// times again after any change; `{"paused": false}` changes nothing else. Of an entry that waits, only the members that are sent are checked.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "update_waitlist_entry",
    security(("bearer" = [])),
    params(
        ("id" = WaitlistEntryId, Path, description = "The entry"),
        ("If-Match" = String, Header),
    ),
    request_body(content = WaitlistEntryPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed entry", body = WaitlistEntryView),
        (status = 409, description = "`status_conflict`: it has ended. `already_waiting`: it has expired, and the patient waits with another one, `waitlist_entry_id`"),
    ),
)]
#[patch("/v1/waitlist-entries/{id}")]
pub(super) async fn update_waitlist_entry(
    context: Context,
    PathId(id): PathId<WaitlistEntryId>,
    if_match: IfMatch,
    Patch(patch): Patch<WaitlistEntryPatch>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&update(&context, id, if_match, patch).await?))
}

/// Take a patient off the waitlist
///
/// Withdraws an open offer. The offered time is free for others at once.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "cancel_waitlist_entry",
    security(("bearer" = [])),
    params(
        ("id" = WaitlistEntryId, Path, description = "The entry"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Ended", body = WaitlistEntryView),
        (status = 409, description = "`status_conflict`: it has ended"),
    ),
)]
#[post("/v1/waitlist-entries/{id}/cancel")]
pub(super) async fn cancel_waitlist_entry(
    context: Context,
    PathId(id): PathId<WaitlistEntryId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&cancel(&context, key.once_without_body(), id, if_match).await?))
}
