//! Moving a visit to another time, doctor or location, in one transaction.

use super::booking::{Target, claim};
use super::model::AppointmentStep;
use super::notice::{self, Notice};
use super::progress::{self, By};
use super::store::{self, Appointment, Change, Shown};
use crate::actor::Actor;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::http::etag::IfMatch;
use crate::ids::AppointmentId;
use crate::intake::handover;
use crate::scheduling::model::{Slot, fits};
use crate::scheduling::releasing::release;
use crate::scheduling::slots::{self, Range};

/// Moves a visit and tells the patient. The old time is free for others in the same instant, and never before.
///
/// # Errors
/// [`Error::NotFound`] for an appointment that is not there or not the actor's; the conflicts
/// of a booking, `status_conflict`, `cancel_notice`.
pub fn reschedule(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: AppointmentId,
    if_match: &IfMatch,
    target: Target,
) -> Result<Shown> {
    let now = env.now();
    let shown = store::lock(tx, env, actor, id)?;
    if_match.check(shown.appointment.version)?;
    let status = progress::circumstances(tx, env, By::account(actor), &shown)?
        .decide(shown.appointment.status, AppointmentStep::Reschedule)?;
    let before = shown.appointment;

    store::lock_patient(tx, before.patient_id)?;
    let old = Range { practitioner_id: before.practitioner_id, from: before.starts_at, to: before.ends_at };
    let (offer, slots) = claim(tx, actor, target, before.visit_type_id, Some(old), now)?;
    // The new time may reach into the old one.
    release(tx, before.id)?;
    let slots: Vec<_> = slots
        .iter()
        .map(|slot| Slot { appointment_id: slot.appointment_id.filter(|taker| *taker != before.id), ..slot.clone() })
        .collect();
    fits(&slots, offer.visit_type.duration_minutes, now, target.hold_id)?;

    let (starts_at, ends_at) = offer.time();
    let by_themselves = actor.practitioner_id == Some(offer.slot.practitioner_id);
    let is_new = before.practitioner_id != offer.slot.practitioner_id;
    let moved = Appointment {
        practitioner_id: offer.slot.practitioner_id,
        location_id: offer.slot.location_id,
        starts_at,
        ends_at,
        status,
        sequence: before.sequence + 1,
        // A visit that another account placed with the practitioner stays one when they move its time.
        self_placed: by_themselves && (is_new || before.self_placed),
        ..before.clone()
    };
    let change =
        Change { step: AppointmentStep::Reschedule, from: Some(before.status), reason: None, by: Some(actor.user_id) };
    let after = store::update(tx, env, &change, moved)?;
    slots::take(tx, &slots, now, target.hold_id, id)?;
    handover::follow(tx, env, &before.visit(), &after.visit())?;
    let moved = store::unguarded(tx, id)?;
    notice::send(tx, env, Notice::Moved, &moved)?;
    Ok(moved)
}
