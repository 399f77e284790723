//! Beginning to wait.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use jiff::civil;
use serde::Deserialize;
use utoipa::ToSchema;

use super::entry::{self, Entry, WaitlistStatus, WaitlistUrgency};
use super::view::WaitlistEntryView;
use super::wishes::Wishes;
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::db::schema::waitlist_entries;
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey};
use crate::ids::{AppointmentId, LocationId, PatientId, PractitionerId, VisitTypeId};
use crate::patients::store as records;
use crate::scheduling::hours::weekly::Weekday;

/// A patient to put on the waitlist.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "weekdays": ["monday", "friday"], "from_time": "09:00", "to_time": "12:00"
}))]
pub struct NewWaitlistEntry {
    /// The patient.
    patient_id: PatientId,
    /// The kind of visit.
    visit_type_id: VisitTypeId,
    /// The patient's later visit of this kind that an earlier time would replace. The wait ends when that visit is cancelled or over.
    #[serde(default)]
    appointment_id: Option<AppointmentId>,
    /// How urgent the visit is. Only staff choose another one than `routine`, the default.
    #[serde(default)]
    urgency: Option<WaitlistUrgency>,
    /// The practitioners. Default: any.
    #[serde(default)]
    #[schema(max_items = 50)]
    practitioner_ids: Vec<PractitionerId>,
    /// The locations. Default: any.
    #[serde(default)]
    #[schema(max_items = 50)]
    location_ids: Vec<LocationId>,
    /// The weekdays of the start, by the location's calendar. Default: any.
    #[serde(default)]
    #[schema(max_items = 7)]
    weekdays: Vec<Weekday>,
    /// The earliest time of day of the start by the location's clock, `HH:MM`, inclusive. Default: any.
    #[serde(default)]
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("09:00"))]
    from_time: Option<String>,
    /// The latest time of day of the start by the location's clock, `HH:MM`, exclusive, at most `24:00`. Default: any.
    #[serde(default)]
    #[schema(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples("12:00"))]
    to_time: Option<String>,
    /// The first day of the visit. Default: any.
    #[serde(default)]
    from_date: Option<Date>,
    /// The last day of the visit. Default: any.
    #[serde(default)]
    to_date: Option<Date>,
}

/// Only staff say how urgent a visit is.
pub(super) fn urgency_is_for_staff() -> Error {
    Error::invalid("/urgency", FieldCode::StaffOnly, "is for staff; call the clinic if the visit cannot wait")
}

/// Puts a patient on the waitlist.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the patient; every broken rule; the conflict `already_waiting`.
pub async fn create(context: &Context, once: Once, new: NewWaitlistEntry) -> Result<Versioned<WaitlistEntryView>> {
    context.require(Action::WaitlistUse)?;
    if !context.is_staff() && new.urgency.is_some_and(|urgency| urgency != WaitlistUrgency::Routine) {
        return Err(urgency_is_for_staff());
    }
    let wishes = Wishes {
        practitioner_ids: new.practitioner_ids.clone(),
        location_ids: new.location_ids.clone(),
        weekdays: new.weekdays.clone(),
        from_time: new.from_time.clone(),
        to_time: new.to_time.clone(),
    };
    let mut check = Check::new();
    wishes.check(&mut check);
    check.done()?;
    context.change_once(once, move |tx| insert(tx, &new, wishes.clone())).await
}

/// Requires that the patient does not wait for the same kind of visit with another entry, and stores that one has expired.
///
/// # Errors
/// The conflict `already_waiting`.
pub(super) fn require_no_other(tx: &mut Tx, entry: &Entry, today: civil::Date) -> Result<()> {
    let Some(other) = entry::live_of(tx.conn, entry.patient_id, entry.visit_type_id)? else { return Ok(()) };
    if other.status_on(today) != WaitlistStatus::Expired {
        let mut members = serde_json::Map::new();
        members.insert("waitlist_entry_id".into(), other.id.to_string().into());
        let detail = "The patient waits for this kind of visit already. Change that entry.";
        return Err(Error::conflict_with(ProblemCode::AlreadyWaiting, detail, members));
    }
    entry::update(tx, Entry { status: WaitlistStatus::Expired, ..other })?;
    Ok(())
}

fn insert(tx: &mut Tx, new: &NewWaitlistEntry, wishes: Wishes) -> Result<Versioned<WaitlistEntryView>> {
    let today = entry::today(tx)?;
    let entry = Entry {
        id: tx.env.new_id(),
        patient_id: new.patient_id,
        visit_type_id: new.visit_type_id,
        appointment_id: new.appointment_id,
        status: WaitlistStatus::Waiting,
        urgency: new.urgency.unwrap_or(WaitlistUrgency::Routine),
        wishes,
        from_date: new.from_date,
        to_date: new.to_date,
        version: 1,
        created_by: tx.actor.user_id,
        created_at: tx.now,
        updated_at: tx.now,
        lapses: 0,
        search_at: tx.now,
    };
    entry.check(today)?;
    records::lock(tx.conn, tx.env, tx.actor, entry.patient_id)?;
    entry::check_references(tx, &entry, None)?;
    require_no_other(tx, &entry, today)?;
    diesel::insert_into(waitlist_entries::table).values(&entry).execute(tx.conn)?;
    tx.audit.note_object(entry.id.0);
    Ok(WaitlistEntryView::versioned(entry, today))
}

/// Put a patient on the waitlist
///
/// For patients who find no time that suits them, or who wait for an earlier one than they have. A patient waits once for each kind of
/// visit. When a time becomes free that suits, the service offers it to the patient who waits longest of those with the greatest urgency, and
/// holds it for some time (`GET /v1/waitlist-offers`).
#[utoipa::path(
    tag = "waitlist",
    operation_id = "create_waitlist_entry",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewWaitlistEntry,
    responses(
        (status = 201, description = "The entry", body = WaitlistEntryView),
        (status = 404, description = "`not_found`: there is no such patient, or the caller may not see it"),
        (status = 409, description = "`already_waiting`: the patient waits for this kind of visit already; `waitlist_entry_id` names the entry"),
    ),
)]
#[post("/v1/waitlist-entries")]
pub(super) async fn create_waitlist_entry(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewWaitlistEntry>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/waitlist-entries/{}", created.object.id), &created))
}
