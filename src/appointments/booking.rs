//! Booking a visit.

use super::code::ConfirmationCode;
use super::model::AppointmentStatus;
use super::notice::{self, Notice};
use super::store::{self, Appointment, Shown};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::identifiers::Identifiers;
use crate::ids::{AppointmentId, HoldId, PatientId, SlotId, VisitTypeId};
use crate::intake::handover;
use crate::patients;
use crate::scheduling::holds;
use crate::scheduling::model::{Slot, fits};
use crate::scheduling::offers::{self, Offer};
use crate::scheduling::slots::{self, Range};

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

/// Where a visit is to be.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The slot in which it starts.
    pub slot_id: SlotId,
    /// The caller's hold on the slot.
    pub hold_id: Option<HoldId>,
}

/// Books a visit and tells the patient.
///
/// # Errors
/// [`Error::NotFound`] for a patient that is not there or not the actor's; the conflicts
/// `slot_taken`, `patient_busy`, `not_offered`, `not_online_bookable`, `booking_notice`, `booking_limit`, `account_booking_limit`,
/// `slot_past`, `hold_lapsed`, `identifier_taken`.
pub fn book(tx: &mut Conn, env: &Env, actor: &Actor, booking: &Booking) -> Result<Shown> {
    let now = env.now();
    let patient_id = patients::store::lock_by_account(tx, env, actor, booking.patient_id)?;
    let target = Target { slot_id: booking.slot_id, hold_id: booking.hold_id };
    let (offer, slots) = claim(tx, actor, target, booking.visit_type_id, None, now)?;
    fits(&slots, offer.visit_type.duration_minutes, now, booking.hold_id)?;
    if !actor.role.is_staff() {
        store::require_room(tx, actor.user_id, patient_id, now, env.config.settings.max_open_bookings)?;
    }

    let id: AppointmentId = env.new_id();
    let (starts_at, ends_at) = offer.time();
    let note = booking.note.as_ref().map(|note| env.sealer.seal(store::note_place(id), note)).transpose()?;
    let appointment = Appointment {
        id,
        patient_id,
        practitioner_id: offer.slot.practitioner_id,
        location_id: offer.slot.location_id,
        visit_type_id: offer.visit_type.id,
        starts_at,
        ends_at,
        status: AppointmentStatus::Booked,
        confirmation_code: ConfirmationCode::draw(&env.entropy).as_str().to_owned(),
        sequence: 0,
        note,
        identifiers: booking.identifiers.clone(),
        booked_by: Some(actor.user_id),
        version: 1,
        created_at: now,
        updated_at: now,
        self_placed: actor.practitioner_id == Some(offer.slot.practitioner_id),
    };
    store::insert(tx, env, &appointment)?;
    slots::take(tx, &slots, now, booking.hold_id, id)?;
    let visit = appointment.visit();
    if visit.gives_care {
        handover::hand_over(tx, &visit)?;
    }
    // Whoever books for a patient may see the visit: nothing is to be asked again.
    let booked = store::unguarded(tx, id)?;
    notice::send(tx, env, Notice::Booked, &booked)?;
    Ok(booked)
}

/// Locks the slots of a visit that the actor may have, and uses up their hold on them; with the slots of the time `before`,
/// if it is a move.
///
/// # Errors
/// The conflicts `slot_taken` for a slot that does not exist any more, `not_offered`, `not_online_bookable`, `booking_notice`,
/// `slot_past`, and `hold_lapsed` for a hold that the actor does not have or that is over.
pub fn claim(
    tx: &mut Conn,
    actor: &Actor,
    target: Target,
    visit_type: VisitTypeId,
    before: Option<Range>,
    now: Timestamp,
) -> Result<(Offer, Vec<Slot>)> {
    let offer = held(tx, actor, target.hold_id, now, |tx| offers::find(tx, target.slot_id, visit_type))?;
    offer.admit(actor.role.is_staff(), now)?;
    let slots = held(tx, actor, target.hold_id, now, |tx| slots::lock_visit(tx, offer.slot.id, offer.range(), before))?;
    if let Some(hold) = target.hold_id {
        redeem(tx, actor, hold, (offer.slot.id, offer.visit_type.id), now)?;
    }
    Ok((offer, slots))
}

/// Tells whoever shows a hold of a slot that is gone, because the plan has changed, that the hold is over.
fn held<T>(
    tx: &mut Conn,
    actor: &Actor,
    hold: Option<HoldId>,
    now: Timestamp,
    look: impl FnOnce(&mut Conn) -> Result<T>,
) -> Result<T> {
    let found = look(tx);
    if let (Err(Error::Conflict(_)), Some(hold)) = (&found, hold) {
        holds::redeemable(tx, hold, actor.user_id, now)?;
    }
    found
}

/// Uses up the caller's hold, which must be one of this slot and visit type.
///
/// # Errors
/// The conflict `hold_lapsed`; a broken rule where it is a hold of something else.
fn redeem(
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
