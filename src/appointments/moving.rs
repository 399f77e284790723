//! Moving a visit to another time, doctor or location, in one transaction.

use super::booking::{admit, held, redeem};
use super::model::AppointmentStep;
use super::notice::{self, Notice};
use super::progress::{self, By};
use super::store::{self, Appointment, Change};
use crate::actor::Actor;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::etag::IfMatch;
use crate::ids::{AppointmentId, HoldId, SlotId};
use crate::scheduling;
use crate::scheduling::model::{Slot, fits};
use crate::scheduling::releasing::release;
use crate::scheduling::slots::{self, Range};

/// Where to move it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The slot in which the visit starts from now on.
    pub slot_id: SlotId,
    /// The caller's hold on the slot.
    pub hold_id: Option<HoldId>,
}

/// Moves a visit and tells the patient. The old time is free for others in the same instant, and never before.
///
/// # Errors
/// [`Error::NotFound`] for an appointment, slot or hold that is not there or not the actor's; the conflicts
/// of a booking, `status_conflict`, `cancel_notice`.
pub fn reschedule(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: AppointmentId,
    if_match: &IfMatch,
    target: Target,
) -> Result<()> {
    let now = env.now();
    let shown = store::lock(tx, env, actor, id)?;
    if_match.check(shown.appointment.version)?;
    let before = shown.appointment;
    let visit_type = scheduling::store::visit_type(tx, before.visit_type_id)?;
    let around = progress::circumstances(tx, env, By::account(actor), &before, &shown.time_zone, &visit_type)?;
    let status = around.decide(before.status, AppointmentStep::Reschedule)?;

    store::lock_patient(tx, before.patient_id)?;
    let slots = lock_both(tx, &before, target.slot_id, visit_type.duration_minutes);
    let slots = held(tx, actor, target.hold_id, now, slots)?;
    let first = admit(tx, actor, &visit_type, &slots, now)?;
    if let Some(hold) = target.hold_id {
        redeem(tx, actor, hold, (first.id, visit_type.id), now)?;
    }
    // The new time may reach into the old one.
    release(tx, before.id)?;
    let slots: Vec<_> = slots
        .iter()
        .map(|slot| Slot { appointment_id: slot.appointment_id.filter(|taker| *taker != before.id), ..slot.clone() })
        .collect();
    fits(&slots, visit_type.duration_minutes, now, target.hold_id)?;
    let time = (first.starts_at, first.starts_at.plus(visit_type.duration()));
    store::require_free_patient(tx, before.patient_id, time, Some(before.id))?;

    let moved = Appointment {
        practitioner_id: first.practitioner_id,
        location_id: first.location_id,
        starts_at: time.0,
        ends_at: time.1,
        status,
        sequence: before.sequence + 1,
        ..before.clone()
    };
    let change =
        Change { step: AppointmentStep::Reschedule, from: Some(before.status), reason: None, by: Some(actor.user_id) };
    let moved = store::update(tx, env, &change, moved)?;
    slots::take(tx, &slots, now, target.hold_id, moved.id)?;
    notice::send(tx, env, Notice::Moved, &moved, &shown.patient)
}

/// Locks the slots of the old and the new time, all in one order, and returns the new ones.
fn lock_both(tx: &mut Conn, before: &Appointment, slot: SlotId, duration_minutes: i32) -> Result<Vec<Slot>> {
    let new = slots::range_of_visit(&slots::find(tx, slot)?, duration_minutes);
    let old = Range { practitioner_id: before.practitioner_id, from: before.starts_at, to: before.ends_at };
    let mut slots = slots::lock_ranges(tx, &[old, new])?;
    slots.retain(|slot| {
        slot.practitioner_id == new.practitioner_id && new.from <= slot.starts_at && slot.starts_at < new.to
    });
    // It may have gone between finding and locking.
    if slots.first().is_some_and(|first| first.id == slot) { Ok(slots) } else { Err(Error::NotFound) }
}
