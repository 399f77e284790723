//! The rows of the waitlist, and what is checked about them.

use diesel::prelude::*;
use jiff::civil;
use jiff::tz::TimeZone;

use super::wishes::{Wishes, check_days};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::queries;
use crate::clinic;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::waitlist_entries;
use crate::db::types::{Date, text_enum};
use crate::error::{Check, Error, FieldCode, Result};
use crate::ids::{AppointmentId, PatientId, UserId, VisitTypeId, WaitlistEntryId};
use crate::patients::store as records;
use crate::scheduling::slots::offering::Offering;

/// After how many lapses in a row an entry pauses. The indexes of the entries that wait have the same number.
pub(super) const PAUSE_AFTER: u32 = 3;

text_enum! {
    /// The status of an entry of the waitlist.
    WaitlistStatus {
        /// The patient waits.
        Waiting = "waiting",
        /// The clinic offers the patient a time.
        Offered = "offered",
        /// The patient has a visit of this kind, by an offer or in another way.
        Booked = "booked",
        /// The patient, or the clinic, ended it, or cancelled the visit for which the patient wanted an earlier time.
        Cancelled = "cancelled",
        /// Its last day has passed, or the visit for which the patient wanted an earlier time is over.
        Expired = "expired",
    }
}

text_enum! {
    /// How urgent a visit is.
    WaitlistUrgency {
        /// As soon as possible.
        Urgent = "urgent",
        /// Sooner than usual.
        Soon = "soon",
        /// As usual.
        Routine = "routine",
    }
}

/// A row of the waitlist.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = waitlist_entries, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct Entry {
    pub id: WaitlistEntryId,
    pub patient_id: PatientId,
    pub visit_type_id: VisitTypeId,
    /// The later visit that an earlier time would replace.
    pub appointment_id: Option<AppointmentId>,
    /// As stored; [`Entry::status_on`] is what callers see.
    pub status: WaitlistStatus,
    pub urgency: WaitlistUrgency,
    pub wishes: Wishes,
    /// The first day of the visit.
    pub from_date: Option<Date>,
    /// The last day of the visit.
    pub to_date: Option<Date>,
    pub version: i32,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// How many offers lapsed in a row.
    pub lapses: i32,
    /// When the free times are searched next for the entry.
    pub search_at: Timestamp,
}

impl Entry {
    /// The status on a day. Nothing writes the row when its last day has passed.
    pub fn status_on(&self, today: civil::Date) -> WaitlistStatus {
        let is_over = self.to_date.is_some_and(|to| to.0 < today);
        if self.status == WaitlistStatus::Waiting && is_over { WaitlistStatus::Expired } else { self.status }
    }

    /// Whether the patient waits, with or without an open offer.
    pub fn is_live(&self) -> bool {
        matches!(self.status, WaitlistStatus::Waiting | WaitlistStatus::Offered)
    }

    /// Whether the patient waits on a day.
    pub fn is_live_on(&self, today: civil::Date) -> bool {
        matches!(self.status_on(today), WaitlistStatus::Waiting | WaitlistStatus::Offered)
    }

    /// Whether the service offers the patient nothing more until somebody asks for it, because some offers in a row lapsed.
    pub fn is_paused(&self) -> bool {
        self.status == WaitlistStatus::Waiting && u32::try_from(self.lapses).is_ok_and(|lapses| lapses >= PAUSE_AFTER)
    }

    /// The entry without an offer: it waits again, and the free times are searched at once.
    pub fn waiting_again(self, lapses: i32, now: Timestamp) -> Self {
        Self { status: WaitlistStatus::Waiting, lapses, search_at: now, ..self }
    }

    /// Checks the form of the values.
    pub fn check(&self, today: civil::Date) -> Result<()> {
        let mut check = Check::new();
        self.wishes.check(&mut check);
        check_days(&mut check, self.from_date, self.to_date);
        let is_past = self.to_date.is_some_and(|to| to.0 < today);
        check.require(!is_past, "/to_date", FieldCode::InPast, "must not be before today");
        check.done()
    }
}

/// The time zone of the clinic's first location.
fn clinic_zone<P>(tx: &mut Tx<P>) -> Result<TimeZone> {
    match clinic::first_location(tx.conn)? {
        Some(location) => tx.env.config.zones.stored(&location.time_zone),
        None => Ok(TimeZone::UTC),
    }
}

/// Today, by the clock of the clinic's first location.
pub(super) fn today<P>(tx: &mut Tx<P>) -> Result<civil::Date> {
    let zone = clinic_zone(tx)?;
    Ok(tx.now.in_zone(&zone).date())
}

/// Requires that what the entry refers to exists, and that somebody offers the visit to whoever waits. Of an entry that waits `already`, only
/// what is new counts: what it had may have ended since.
pub(super) fn check_references(tx: &mut Tx, entry: &Entry, already: Option<&Entry>) -> Result<()> {
    let unknown = || Error::invalid("/visit_type_id", FieldCode::UnknownReference, "there is no such visit type");
    let offering = match Offering::find(tx.conn, tx.env, entry.visit_type_id) {
        Err(Error::NotFound) => return Err(unknown()),
        found => found?,
    };
    let mut check = Check::new();
    let is_offered = offering.active || already.is_some();
    check.require(is_offered, "/visit_type_id", FieldCode::Inactive, "is not offered any more");
    for (index, id) in entry.wishes.practitioner_ids.iter().enumerate() {
        let pointer = format!("/practitioner_ids/{index}");
        let had = already.is_some_and(|already| already.wishes.practitioner_ids.contains(id));
        let offers = had || offering.practitioners.contains(id);
        check.require(offers, pointer, FieldCode::UnknownReference, "must be a practitioner who offers the visit type");
    }
    for (index, id) in entry.wishes.location_ids.iter().enumerate() {
        let pointer = format!("/location_ids/{index}");
        check.require(
            offering.zones.contains_key(id),
            pointer,
            FieldCode::UnknownReference,
            "there is no such location",
        );
    }
    check.done()?;
    match entry.appointment_id {
        Some(id) if already.is_none_or(|already| already.appointment_id != Some(id)) => {
            check_appointment(tx, entry, id)
        }
        _ => Ok(()),
    }
}

/// Requires that the visit to replace is the patient's, of the same kind, and still to come.
fn check_appointment(tx: &mut Tx, entry: &Entry, id: AppointmentId) -> Result<()> {
    let pointer = "/appointment_id";
    let visit = match queries::find(tx, id) {
        Err(Error::NotFound) => {
            return Err(Error::invalid(pointer, FieldCode::UnknownReference, "there is no such appointment"));
        }
        found => found?.appointment,
    };
    let mut check = Check::new();
    let fits = visit.patient_id == entry.patient_id && visit.visit_type_id == entry.visit_type_id;
    check.require(fits, pointer, FieldCode::WrongValue, "must be a visit of this kind of the same patient");
    let is_coming = visit.status == AppointmentStatus::Booked && visit.starts_at > tx.now;
    check.require(is_coming, pointer, FieldCode::WrongValue, "must be booked and in the future");
    check.done()
}

/// Loads the entry that the actor may see.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn visible(tx: &mut Tx, id: WaitlistEntryId) -> Result<Entry> {
    let entry = find(tx.conn, id)?;
    records::visible(tx.conn, tx.env, tx.actor, entry.patient_id)?;
    Ok(entry)
}

/// Locks the patient of an entry that the actor may see, and loads the entry.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Retry`] if a merge, or its undo, gave it to another patient meanwhile.
pub(super) fn lock(tx: &mut Tx, id: WaitlistEntryId) -> Result<Entry> {
    let patient = find(tx.conn, id)?.patient_id;
    records::lock(tx.conn, tx.env, tx.actor, patient)?;
    find_of(tx.conn, id, patient)
}

/// Loads an entry of a patient who is locked.
///
/// # Errors
/// [`Error::Retry`] if it belongs to another patient since the lock was taken.
pub(super) fn find_of(conn: &mut Conn, id: WaitlistEntryId, patient: PatientId) -> Result<Entry> {
    let entry = find(conn, id)?;
    records::require_same_owner(patient, entry.patient_id)?;
    Ok(entry)
}

/// Loads an entry. The caller must have authorised the request.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find(conn: &mut Conn, id: WaitlistEntryId) -> Result<Entry> {
    Ok(waitlist_entries::table.find(id).select(Entry::as_select()).first(conn)?)
}

/// Loads the entry with which a patient, who is locked, waits for a kind of visit. Its last day may have passed.
pub(super) fn live_of(conn: &mut Conn, patient: PatientId, visit_type: VisitTypeId) -> Result<Option<Entry>> {
    Ok(waitlist_entries::table
        .filter(waitlist_entries::patient_id.eq(patient))
        .filter(waitlist_entries::visit_type_id.eq(visit_type))
        .filter(waitlist_entries::status.eq_any([WaitlistStatus::Waiting, WaitlistStatus::Offered]))
        .select(Entry::as_select())
        .first(conn)
        .optional()?)
}

/// Loads all entries of a patient, oldest first.
pub(super) fn of_patient(conn: &mut Conn, patient: PatientId) -> Result<Vec<Entry>> {
    Ok(waitlist_entries::table
        .filter(waitlist_entries::patient_id.eq(patient))
        .order((waitlist_entries::created_at, waitlist_entries::id))
        .select(Entry::as_select())
        .load(conn)?)
}

/// Stores a changed entry, whose patient is locked, as its next version.
///
/// # Errors
/// [`Error::Retry`] if another transaction changed it although it should be locked.
pub(super) fn update<P>(tx: &mut Tx<P>, changed: Entry) -> Result<Entry> {
    let next = Entry { version: changed.version + 1, updated_at: tx.now, ..changed };
    let current = waitlist_entries::table.find(next.id).filter(waitlist_entries::version.eq(changed.version));
    if diesel::update(current).set(&next).execute(tx.conn)? != 1 {
        return Err(Error::Retry);
    }
    Ok(next)
}

/// Lets the free times be searched at once for all entries with which a patient waits.
pub(super) fn search_now<P>(tx: &mut Tx<P>, patient: PatientId) -> Result<()> {
    let waiting = waitlist_entries::table.filter(waitlist_entries::patient_id.eq(patient));
    let waiting = waiting.filter(waitlist_entries::status.eq(WaitlistStatus::Waiting));
    diesel::update(waiting).set(waitlist_entries::search_at.eq(tx.now)).execute(tx.conn)?;
    Ok(())
}
