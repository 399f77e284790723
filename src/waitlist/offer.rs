//! The rows of offers: the time that the clinic keeps for a patient who waits, and how an offer ends.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::entry::{self, WaitlistStatus};
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::raw_sql::RawSql;
use crate::db::schema::{waitlist_entries, waitlist_offers};
use crate::db::types::text_enum;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{
    AppointmentId, HoldId, LocationId, PatientId, PractitionerId, SlotId, UserId, WaitlistEntryId, WaitlistOfferId,
};
use crate::messages::model::MessageKind;
use crate::messages::outbox;
use crate::patients::store as records;
use crate::scheduling::slots::holds::keeping;

text_enum! {
    /// The status of an offer.
    OfferStatus {
        /// The time is held for the patient.
        Offered = "offered",
        /// The patient has the time.
        Claimed = "claimed",
        /// The patient does not want the time.
        Declined = "declined",
        /// The patient did not answer in time.
        Lapsed = "lapsed",
        /// The clinic took it back, the time or the kind of visit is not offered any more, the patient got a visit in another way, or the visit
        /// that it would have moved was cancelled.
        Withdrawn = "withdrawn",
    }
}

text_enum! {
    /// How the patient learns of an offer.
    OfferWay {
        /// By a mail.
        Mail = "mail",
        /// By a call from the desk.
        Phone = "phone",
    }
}

/// A row of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = waitlist_offers, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct Offer {
    pub id: WaitlistOfferId,
    pub entry_id: WaitlistEntryId,
    pub patient_id: PatientId,
    /// The slot in which the visit starts. It may not exist any more.
    pub slot_id: SlotId,
    pub practitioner_id: PractitionerId,
    pub location_id: LocationId,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// As stored; [`Offer::status_at`] is what callers see.
    pub status: OfferStatus,
    pub way: OfferWay,
    /// The hold that keeps the time; none once it is used up or released.
    pub hold_id: Option<HoldId>,
    /// The visit that the claim booked or moved.
    pub appointment_id: Option<AppointmentId>,
    /// The account that made it; none if the service did.
    pub made_by: Option<UserId>,
    pub expires_at: Timestamp,
    pub version: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The IANA time zone in which the patient was told the time. That of the location may be corrected afterwards.
    pub time_zone: String,
}

impl Offer {
    /// The status at an instant. A background job writes that an offer lapsed, a little later.
    pub fn status_at(&self, now: Timestamp) -> OfferStatus {
        if self.status == OfferStatus::Offered && self.expires_at <= now { OfferStatus::Lapsed } else { self.status }
    }

    /// Requires that the patient can still answer the offer.
    ///
    /// # Errors
    /// The conflicts `offer_lapsed` and `offer_ended`.
    pub fn require_open(&self, now: Timestamp) -> Result<()> {
        match self.status_at(now) {
            OfferStatus::Offered => Ok(()),
            OfferStatus::Lapsed => {
                let detail = "The offer lapsed. The patient keeps the place on the waitlist.";
                Err(Error::conflict(ProblemCode::OfferLapsed, detail))
            }
            status => {
                let members = [("offer_status".to_owned(), status.as_str().into())].into_iter().collect();
                Err(Error::conflict_with(ProblemCode::OfferEnded, "The offer has ended. Read it again.", members))
            }
        }
    }
}

/// Loads an offer. The caller must have authorised the request.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find(conn: &mut Conn, id: WaitlistOfferId) -> Result<Offer> {
    Ok(waitlist_offers::table.find(id).select(Offer::as_select()).first(conn)?)
}

/// Loads an offer of a patient who is locked.
///
/// # Errors
/// [`Error::Retry`] if it belongs to another patient since the lock was taken.
pub(super) fn find_of(conn: &mut Conn, id: WaitlistOfferId, patient: PatientId) -> Result<Offer> {
    let offer = find(conn, id)?;
    records::require_same_owner(patient, offer.patient_id)?;
    Ok(offer)
}

/// Loads the offer whose patient the actor may see.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn visible(tx: &mut Tx, id: WaitlistOfferId) -> Result<Offer> {
    let found = find(tx.conn, id)?;
    records::visible(tx.conn, tx.env, tx.actor, found.patient_id)?;
    Ok(found)
}

/// Loads the open offer of an entry.
pub(super) fn open_of_entry(conn: &mut Conn, entry: WaitlistEntryId) -> Result<Option<Offer>> {
    let open = waitlist_offers::table.filter(waitlist_offers::entry_id.eq(entry));
    let open = open.filter(waitlist_offers::status.eq(OfferStatus::Offered));
    Ok(open.select(Offer::as_select()).first(conn).optional()?)
}

/// Returns the open offer of a patient, who is locked.
pub(super) fn open_of_patient(conn: &mut Conn, patient: PatientId) -> Result<Option<WaitlistOfferId>> {
    let open = waitlist_offers::table.filter(waitlist_offers::patient_id.eq(patient));
    let open = open.filter(waitlist_offers::status.eq(OfferStatus::Offered));
    Ok(open.select(waitlist_offers::id).first(conn).optional()?)
}

/// Returns whether an entry that the account made has an open offer.
pub(super) fn is_open_of_account(conn: &mut Conn, account: UserId) -> Result<bool> {
    let open = waitlist_offers::table
        .inner_join(waitlist_entries::table.on(waitlist_entries::id.eq(waitlist_offers::entry_id)))
        .filter(RawSql::<Bool>::new("waitlist_offers.status = 'offered'"))
        .filter(waitlist_entries::created_by.eq(account));
    Ok(open.select(waitlist_offers::id).first::<WaitlistOfferId>(conn).optional()?.is_some())
}

/// Stores a changed offer, whose patient is locked, as its next version.
///
/// # Errors
/// [`Error::Retry`] if another transaction changed it although it should be locked.
pub(super) fn update<P>(tx: &mut Tx<P>, changed: Offer) -> Result<Offer> {
    let next = Offer { version: changed.version + 1, updated_at: tx.now, ..changed };
    let current = waitlist_offers::table.find(next.id).filter(waitlist_offers::version.eq(changed.version));
    if diesel::update(current).set(&next).execute(tx.conn)? != 1 {
        return Err(Error::Retry);
    }
    Ok(next)
}

/// Stores the visit of an offer that was just claimed, which is a part of the same change.
pub(super) fn note_visit(conn: &mut Conn, claimed: Offer, visit: AppointmentId) -> Result<Offer> {
    let found = waitlist_offers::table.find(claimed.id);
    diesel::update(found).set(waitlist_offers::appointment_id.eq(visit)).execute(conn)?;
    Ok(Offer { appointment_id: Some(visit), ..claimed })
}

/// Notes that the time of an offer that ended is free.
pub(super) fn note_released(conn: &mut Conn, ended: &Offer) -> Result<()> {
    let found = waitlist_offers::table.find(ended.id);
    diesel::update(found).set(waitlist_offers::hold_id.eq(None::<HoldId>)).execute(conn)?;
    Ok(())
}

/// Ends an open offer whose patient is locked, and frees its time. The entry is the caller's.
pub(super) fn close<P>(tx: &mut Tx<P>, open: Offer, status: OfferStatus) -> Result<Offer> {
    if let Some(hold) = open.hold_id {
        keeping::release(tx, hold)?;
    }
    settle_call(tx, &open)?;
    update(tx, Offer { status, hold_id: None, ..open })
}

/// Ends an open offer whose patient is locked, and frees its time. The patient waits again.
pub(super) fn end<P>(tx: &mut Tx<P>, open: Offer, status: OfferStatus) -> Result<Offer> {
    // A patient whom no mail reached and nobody called has not ignored the offer.
    let is_ignored = status == OfferStatus::Lapsed
        && outbox::was_told(tx.conn, open.patient_id, MessageKind::WaitlistOffer, open.created_at)?;
    let ended = close(tx, open, status)?;
    let found = entry::find(tx.conn, ended.entry_id)?;
    if found.status == WaitlistStatus::Offered {
        let lapses = match status {
            OfferStatus::Lapsed if is_ignored => found.lapses + 1,
            OfferStatus::Declined => 0,
            _ => found.lapses,
        };
        let now = tx.now;
        entry::update(tx, found.waiting_again(lapses, now))?;
    }
    // The patient's other entries may get an offer again.
    entry::search_now(tx, ended.patient_id)?;
    Ok(ended)
}

/// Completes the desk's call about an offer. A patient has one open offer.
pub(super) fn settle_call<P>(tx: &mut Tx<P>, open: &Offer) -> Result<()> {
    outbox::settle(tx.conn, open.patient_id, MessageKind::WaitlistOffer, tx.now)
}
