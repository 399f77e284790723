//! Making an offer: the time is held, and the patient learns of it.

use diesel::prelude::*;

use super::entry::{self, Entry, WaitlistStatus};
use super::offer::{self, Offer, OfferStatus, OfferWay};
use super::{offer_times, telling};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::appointment::AppointmentDetails;
use crate::appointments::queries;
use crate::appointments::series::gaps;
use crate::appointments::status::AppointmentStep;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::schema::waitlist_offers;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{LocationId, SlotId, UserId};
use crate::messages::refusals;
use crate::patients::recipients::{self, PatientRecipient};
use crate::patients::{access, store as records};
use crate::scheduling::slots::holds::keeping;

/// A time to offer, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    pub slot_id: SlotId,
    /// None: by mail to patients who have an address, else by a call of the desk.
    pub way: Option<OfferWay>,
    /// The account of the staff who make it by hand; none for the service.
    pub made_by: Option<UserId>,
}

/// Offers a time to an entry whose patient is locked. Staff who call the patient offer any time that they could book. In all other cases the
/// visit starts late enough that the patient could still book at the end of the offer.
///
/// # Errors
/// The conflicts `status_conflict`, `offer_open`, `not_earlier` and `no_address`, those of a hold, and those of a move.
pub(super) fn make<P: Principal>(tx: &mut Tx<P>, entry: Entry, making: Making) -> Result<Offer> {
    if entry.status_on(entry::today(tx)?) != WaitlistStatus::Waiting {
        return Err(Error::conflict(ProblemCode::StatusConflict, "The entry does not wait. Read it again."));
    }
    if let Some(open) = offer::open_of_patient(tx.conn, entry.patient_id)? {
        let members = [("waitlist_offer_id".to_owned(), open.to_string().into())].into_iter().collect();
        let detail = "The patient has an open offer already. Wait until it ends, or withdraw it.";
        return Err(Error::conflict_with(ProblemCode::OfferOpen, detail, members));
    }
    let patient = records::find_authorised(tx.conn, entry.patient_id)?;
    let accounts = access::of_patient(tx.conn, patient.id)?;
    let told = recipients::of(tx.conn, tx.env, &patient, accounts)?;
    let way = way(tx, making.way, &told)?;
    let by_staff = making.made_by.is_some() && way == OfferWay::Phone;
    let replaced = replaced(tx, &entry)?;
    let (env, now) = (tx.env, tx.now);
    let until = |time_zone: &str| offer_times::until(env, now, time_zone);
    let (hold, until, time) = keeping::keep(tx, making.slot_id, entry.visit_type_id, until, by_staff)?;
    let (starts_at, ends_at) = (time.time().starts_at, time.time().ends_at);
    if let Some(visit) = &replaced {
        require_changeable(visit, until, by_staff)?;
        require_movable(tx, visit, (starts_at, time.slot.location_id))?;
    }
    let made = Offer {
        id: tx.env.new_id(),
        entry_id: entry.id,
        patient_id: entry.patient_id,
        slot_id: making.slot_id,
        practitioner_id: time.slot.practitioner_id,
        location_id: time.slot.location_id,
        starts_at,
        ends_at,
        status: OfferStatus::Offered,
        way,
        hold_id: Some(hold),
        appointment_id: None,
        made_by: making.made_by,
        expires_at: until,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
        time_zone: time.time_zone,
    };
    diesel::insert_into(waitlist_offers::table).values(&made).execute(tx.conn)?;
    entry::update(tx, Entry { status: WaitlistStatus::Offered, ..entry })?;
    // Staff who make an offer by telephone are talking to the patient.
    if making.made_by.is_none() || way == OfferWay::Mail {
        telling::offered(tx, &made, (&patient, told), &time.visit_type, replaced.as_ref())?;
    }
    Ok(made)
}

/// Decides how the patient learns of the offer.
fn way<P>(tx: &mut Tx<P>, wanted: Option<OfferWay>, told: &[PatientRecipient]) -> Result<OfferWay> {
    let addresses = told.iter().filter_map(|told| told.recipient.email.as_deref());
    let has_address = refusals::accept_any(tx.conn, tx.env, addresses)?;
    match wanted {
        Some(OfferWay::Mail) if !has_address => {
            let detail =
                "The patient has no e-mail address, or the mail server refuses it. Offer the time on the telephone.";
            Err(Error::conflict(ProblemCode::NoAddress, detail))
        }
        Some(way) => Ok(way),
        None if has_address => Ok(OfferWay::Mail),
        None => Ok(OfferWay::Phone),
    }
}

/// Loads the later visit that the claim moves; none if the patient waits for a first one.
///
/// # Errors
/// The conflict `status_conflict` if the visit has begun, or was cancelled. Either ends the entry, if not at once.
pub(super) fn replaced<P: Principal>(tx: &mut Tx<P>, entry: &Entry) -> Result<Option<AppointmentDetails>> {
    let Some(id) = entry.appointment_id else { return Ok(None) };
    let visit = queries::find_authorised(tx, id)?;
    match visit.appointment.status {
        // Before merges were undone as a whole, an undo could leave an entry with the visit of another patient.
        _ if visit.appointment.patient_id != entry.patient_id => Ok(None),
        AppointmentStatus::Booked if visit.appointment.starts_at > tx.now => Ok(Some(visit)),
        AppointmentStatus::Cancelled => Err(Error::conflict(
            ProblemCode::StatusConflict,
            "The visit for which the patient wants an earlier time is cancelled.",
        )),
        _ => Err(Error::conflict(
            ProblemCode::StatusConflict,
            "The visit for which the patient wants an earlier time has begun.",
        )),
    }
}

/// Requires that the visit can still be moved when the offer ends.
pub(super) fn require_changeable(visit: &AppointmentDetails, until: Timestamp, by_staff: bool) -> Result<()> {
    let last = visit.patients_may_until(AppointmentStep::Reschedule);
    if !by_staff && last.is_none_or(|last| last < until) {
        let detail = "The visit could not be moved online any more at the end of the offer. Call the patient.";
        return Err(Error::conflict(ProblemCode::CancelNotice, detail));
    }
    Ok(())
}

/// Requires that a start is earlier than the visit's.
pub(super) fn require_earlier(visit: &AppointmentDetails, starts_at: Timestamp) -> Result<()> {
    if starts_at < visit.appointment.starts_at {
        return Ok(());
    }
    let detail = "The patient waits for an earlier time than that of the visit.";
    Err(Error::conflict(ProblemCode::NotEarlier, detail))
}

/// Requires that a start is earlier than the visit's, and keeps the gaps of its series.
pub(super) fn require_movable<P: Principal>(
    tx: &mut Tx<P>,
    visit: &AppointmentDetails,
    (starts_at, location): (Timestamp, LocationId),
) -> Result<()> {
    require_earlier(visit, starts_at)?;
    match visit.series_id {
        Some(series) => gaps::require_kept(tx, series, visit.appointment.id, (starts_at, location)),
        None => Ok(()),
    }
}
