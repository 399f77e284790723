//! Claiming the time of a visit for a new appointment or a move.

use super::holds::ending::{self, WantedHold};
use super::locking::{self, SlotRange};
use super::offers;
use super::slot::{DoesNotFit, Slot, check_fit, check_overbooking};
use super::units::{self, ChosenUnits, Occupant, Own};
use crate::context::{Principal, Tx};
use crate::error::{Error, FieldCode, Result};
use crate::ids::{AppointmentId, HoldId, LocationId, PractitionerId, SlotId, VisitTypeId};
use crate::scheduling::setup::visit_type::VisitType;
use crate::scheduling::visit_time::VisitTime;

/// The time that the caller asks for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The hold on the slot that the visit uses up.
    pub hold: Option<WantedHold<'a>>,
    /// Whether the visit may share the time of other visits.
    pub overbook: bool,
}

/// The time of a visit: locked, free, and ready to be taken in the same transaction.
pub struct Claim {
    pub practitioner_id: PractitionerId,
    pub location_id: LocationId,
    /// The IANA name of the location's time zone.
    pub time_zone: String,
    /// The kind of visit.
    pub visit_type: VisitType,
    /// The times of the visit.
    pub time: VisitTime,
    /// The units of resources that it takes.
    pub units: ChosenUnits,
    /// Whether it shares the time of other visits. False if the whole time was free.
    pub overbooked: bool,
    may_overbook: bool,
    range: SlotRange,
    slots: Vec<Slot>,
    hold_id: Option<HoldId>,
}

/// An appointment that gives up its current time for the claimed one. The two may overlap.
#[derive(Debug, Clone, Copy)]
pub struct Moving {
    pub appointment_id: AppointmentId,
    /// Its current working time.
    pub from: SlotRange,
}

/// Locks the slots and units of a visit, checks that the caller may have it and that it fits, and uses up the caller's hold.
///
/// # Errors
/// The conflict `hold_lapsed` for a hold that the caller does not have or that is over; a broken rule for a hold of another slot
/// or visit type; the conflicts `slot_taken`, `not_offered`, `not_online_bookable`, `booking_notice` and `slot_past`.
pub fn claim(tx: &mut Tx<impl Principal>, wanted: Wanted<'_>, moving: Option<Moving>) -> Result<Claim> {
    let user = tx.actor.account();
    let hold = wanted.hold.map(|hold| ending::redeemable(tx.conn, hold, user, tx.now)).transpose()?;
    let hold_id = hold.as_ref().map(|hold| hold.id);
    let offer = offers::find(tx.conn, wanted.slot_id, wanted.visit_type_id)?;
    let chosen_at = hold.as_ref().map_or(tx.now, |hold| hold.created_at);
    offer.require_bookable(tx.actor.is_staff(), chosen_at, tx.now)?;
    let range = offer.range();
    let mut slots = locking::lock_visit(tx.conn, offer.slot.id, range, moving.map(|moving| moving.from))?;
    let locked = if offer.needs_resources {
        Some(units::lock(tx.conn, &[wanted.visit_type_id], &[offer.slot.location_id])?)
    } else {
        None
    };
    if let Some(hold) = hold {
        // Checked after the slot, because a slot that does not exist any more is the conflict `slot_taken` with any hold.
        if (hold.slot_id, hold.visit_type_id) != (wanted.slot_id, wanted.visit_type_id) {
            return Err(Error::invalid(
                "/hold_id",
                FieldCode::OtherSlot,
                "must be a hold of this slot for this visit type",
            ));
        }
        ending::use_up(tx.conn, hold.id, tx.now)?;
    }
    for slot in &mut slots {
        if slot.appointment_id == moving.map(|moving| moving.appointment_id) {
            slot.appointment_id = None;
        }
    }
    let time = offer.time();
    let overbooked = match check_fit(&slots, time, tx.now, hold_id) {
        Err(_) if wanted.overbook => {
            check_overbooking(&slots, time, tx.now, hold_id)?;
            true
        }
        fit => {
            fit?;
            false
        }
    };
    let units = match locked {
        Some(locked) => {
            let own = Own { appointment: moving.map(|moving| moving.appointment_id), hold: hold_id };
            let place = (offer.slot.location_id, time);
            units::choose(tx.conn, wanted.visit_type_id, locked, place, own, tx.now)?
        }
        None => ChosenUnits::default(),
    };
    Ok(Claim {
        practitioner_id: offer.slot.practitioner_id,
        location_id: offer.slot.location_id,
        time_zone: offer.time_zone,
        visit_type: offer.visit_type,
        time,
        units,
        overbooked,
        may_overbook: wanted.overbook,
        range,
        slots,
        hold_id,
    })
}

impl Claim {
    /// Takes into account that slots of the moving appointment passed to visits that share them.
    ///
    /// # Errors
    /// The conflict `slot_taken` if the new time has one of them and must not be shared.
    pub fn share(&mut self, passed: &[SlotId]) -> Result<()> {
        if self.slots.iter().any(|slot| passed.contains(&slot.id)) {
            if !self.may_overbook {
                return Err(DoesNotFit::Taken.into());
            }
            self.overbooked = true;
        }
        Ok(())
    }

    /// Gives the time to an appointment that is stored. Time that it shares stays with the earlier appointment.
    ///
    /// # Errors
    /// The conflict `slot_taken` if the time is not free after all.
    pub fn take(&self, tx: &mut Tx<impl Principal>, appointment: AppointmentId) -> Result<()> {
        self.units.take(tx.conn, tx.env, self.time, Occupant::Appointment(appointment), tx.now)?;
        let booked = locking::book_free(tx.conn, (self.range, self.location_id), tx.now, self.hold_id, appointment)?;
        if self.overbooked || booked == self.slots.len() { Ok(()) } else { Err(DoesNotFit::Taken.into()) }
    }
}
