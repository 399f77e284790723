//! Booking a visit.

use super::code::ConfirmationCode;
use super::model::AppointmentStatus;
use super::notice::{self, Notice};
use super::store::{self, Appointment};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::identifiers::Identifiers;
use crate::ids::{AppointmentId, HoldId, PatientId, SlotId, VisitTypeId};
use crate::intake;
use crate::patients;
use crate::scheduling::model::{Slot, VisitType, fits, not_offered};
use crate::scheduling::{self, holds, slots};

/// What to book.
#[derive(Clone)]
pub struct Booking {
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// What for.
    pub visit_type_id: VisitTypeId,
    /// For whom.
    pub patient_id: PatientId,
    /// The caller's hold on the slot.
    pub hold_id: Option<HoldId>,
    /// What the clinic should know.
    pub note: Option<String>,
    /// What other systems call it; staff only.
    pub identifiers: Identifiers,
}

/// Books a visit and tells the patient.
///
/// # Errors
/// [`Error::NotFound`] for a patient, slot or hold that is not there or not the actor's; the conflicts
/// `slot_taken`, `patient_busy`, `not_offered`, `not_online_bookable`, `booking_notice`, `booking_limit`, `slot_past`,
/// `hold_lapsed`, `identifier_taken`.
pub fn book(tx: &mut Conn, env: &Env, actor: &Actor, booking: &Booking) -> Result<AppointmentId> {
    let now = env.now();
    let patient = patients::store::visible(tx, env, actor, booking.patient_id)?;
    let visit_type = scheduling::store::visit_type(tx, booking.visit_type_id).map_err(|error| match error {
        Error::NotFound => Error::invalid("/visit_type_id", "unknown_reference", "there is no such visit type"),
        other => other,
    })?;
    store::lock_patient(tx, patient.id)?;
    let slots = slots::lock_visit(tx, booking.slot_id, visit_type.duration_minutes);
    let slots = held(tx, actor, booking.hold_id, now, slots)?;
    let first = admit(tx, actor, &visit_type, &slots, now)?;
    if let Some(hold) = booking.hold_id {
        redeem(tx, actor, hold, (first.id, visit_type.id), now)?;
    }
    fits(&slots, visit_type.duration_minutes, now, booking.hold_id)?;
    let time = (first.starts_at, first.starts_at.plus(visit_type.duration()));
    store::require_free_patient(tx, patient.id, time, None)?;
    if !actor.role.is_staff() {
        store::require_room(tx, patient.id, now, env.config.settings.max_open_bookings)?;
    }

    let id: AppointmentId = env.new_id();
    let note = booking.note.as_ref().map(|note| env.sealer.seal(store::note_place(id), note)).transpose()?;
    let appointment = Appointment {
        id,
        patient_id: patient.id,
        practitioner_id: first.practitioner_id,
        location_id: first.location_id,
        visit_type_id: visit_type.id,
        starts_at: time.0,
        ends_at: time.1,
        status: AppointmentStatus::Booked,
        confirmation_code: ConfirmationCode::draw(&env.entropy).as_str().to_owned(),
        sequence: 0,
        note,
        identifiers: booking.identifiers.clone(),
        booked_by: Some(actor.user_id),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, env, &appointment)?;
    slots::take(tx, &slots, now, booking.hold_id, id)?;
    // What the patient's intake raised before there was a visit is now this doctor's.
    intake::flags::hand_over(tx, patient.id, appointment.practitioner_id)?;
    notice::send(tx, env, Notice::Booked, &appointment, &patient)?;
    Ok(id)
}

/// Whether the actor may have a visit of this type from the first of these slots on.
///
/// # Errors
/// The conflicts `not_offered`, `not_online_bookable`, `booking_notice`, `slot_past`.
pub fn admit<'a>(
    tx: &mut Conn,
    actor: &Actor,
    visit_type: &VisitType,
    slots: &'a [Slot],
    now: Timestamp,
) -> Result<&'a Slot> {
    let first = slots.first().ok_or(Error::NotFound)?;
    visit_type.bookable(actor.role.is_staff(), first, now)?;
    if !scheduling::store::offers(tx, first.practitioner_id, visit_type.id)? {
        return Err(not_offered());
    }
    Ok(first)
}

/// Tells whoever shows a hold of a slot that is gone, because the plan has changed, that the hold is over.
///
/// # Errors
/// The conflict `hold_lapsed`; otherwise the looking's own.
pub fn held<T>(tx: &mut Conn, actor: &Actor, hold: Option<HoldId>, now: Timestamp, found: Result<T>) -> Result<T> {
    if let (Err(Error::NotFound), Some(hold)) = (&found, hold) {
        holds::current(tx, hold, actor.user_id, now)?;
    }
    found
}

/// Uses up the caller's hold, which must be one of this slot and visit type.
///
/// # Errors
/// The conflict `hold_lapsed`; a broken rule where it is a hold of something else.
pub fn redeem(
    tx: &mut Conn,
    actor: &Actor,
    hold: HoldId,
    (slot, visit_type): (SlotId, VisitTypeId),
    now: Timestamp,
) -> Result<()> {
    let hold = holds::consume(tx, hold, actor.user_id, now)?;
    if (hold.slot_id, hold.visit_type_id) == (slot, visit_type) {
        Ok(())
    } else {
        Err(Error::invalid("/hold_id", "other_slot", "must be a hold of this slot for this visit type"))
    }
}
