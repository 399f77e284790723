//! Which practitioner owns a flag. A practitioner owns it through a visit of the patient, and loses it with the visit.
//!
//! The caller of every function here has locked the patient ([`lock`]), so that no two changes of a patient's visits and flags overlap.

use diesel::prelude::*;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::schema::{appointments, intake_flags};
use crate::db::types::Uid;
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, PatientId, PractitionerId};
use crate::patients::care::{gives_care, giving_care};

/// The part of a visit that decides who owns the patient's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    pub id: AppointmentId,
    pub patient_id: PatientId,
    pub practitioner_id: PractitionerId,
    /// Whether it gives the practitioner a care relationship.
    pub gives_care: bool,
}

/// The owner of a flag: the practitioner, and the visit through which the practitioner owns it.
pub type Owner = (PractitionerId, AppointmentId);

/// Returns the owner of a flag that is raised now: the practitioner of the patient's next visit that gives a care relationship.
pub fn next_owner(tx: &mut Conn, patient: PatientId, now: Timestamp) -> Result<Option<Owner>> {
    let is_booked = appointments::status.eq(AppointmentStatus::Booked);
    let is_live = is_booked.or(appointments::status.eq(AppointmentStatus::CheckedIn));
    Ok(appointments::table
        .filter(appointments::patient_id.eq(patient))
        .filter(appointments::ends_at.gt(now))
        .filter(is_live)
        .filter(giving_care())
        .order((appointments::starts_at, appointments::id))
        .select((appointments::practitioner_id, appointments::id))
        .first(tx)
        .optional()?)
}

/// Returns whether a visit still gives its practitioner a care relationship.
pub fn still_gives_care(tx: &mut Conn, (practitioner, visit): Owner) -> Result<bool> {
    let (with, status, self_placed): (PractitionerId, AppointmentStatus, bool) = appointments::table
        .find(visit)
        .select((appointments::practitioner_id, appointments::status, appointments::self_placed))
        .first(tx)?;
    Ok(with == practitioner && gives_care(status, self_placed))
}

/// Gives the patient's open flags that have no owner to the practitioner of a visit.
pub fn assign_unowned(tx: &mut Conn, visit: &Visit) -> Result<()> {
    give(tx, visit.patient_id, (visit.practitioner_id, visit.id))
}

fn give(tx: &mut Conn, patient: PatientId, (practitioner, visit): Owner) -> Result<()> {
    per_backend!(tx, tx => {
        let unowned = intake_flags::patient_id
            .eq(patient)
            .and(intake_flags::acknowledged_at.is_null())
            .and(intake_flags::owner_id.is_null());
        let owner = (intake_flags::owner_id.eq(practitioner), intake_flags::appointment_id.eq(visit));
        update(intake_flags::table, unowned, owner).execute(tx)
    })?;
    Ok(())
}

/// Brings the owners of the patient's open flags in line with a change of a visit. A visit that begins to give a care relationship
/// takes the flags without an owner. A visit that no longer gives one, or has another practitioner now, loses its flags to the next
/// owner, if there is one.
pub fn follow(tx: &mut Conn, env: &Env, before: &Visit, after: &Visit) -> Result<()> {
    if before == after {
        return Ok(());
    }
    if !before.gives_care {
        return if after.gives_care { assign_unowned(tx, after) } else { Ok(()) };
    }
    // An acknowledged flag keeps its owner as history. Without the visit it gives no access.
    per_backend!(&mut *tx, tx => {
        let owned = intake_flags::appointment_id.eq(before.id).and(intake_flags::acknowledged_at.is_null());
        let no_owner = (
            intake_flags::owner_id.eq(None::<PractitionerId>),
            intake_flags::appointment_id.eq(None::<AppointmentId>),
        );
        update(intake_flags::table, owned, no_owner).execute(tx)
    })?;
    match next_owner(tx, before.patient_id, env.now())? {
        Some(owner) => give(tx, before.patient_id, owner),
        None => Ok(()),
    }
}

/// Brings the owners of the patient's open flags in line with the patient's visits, after a merge or its undo: takes them from owners through
/// visits of another patient, and gives those without an owner to the next one.
pub fn reassign(tx: &mut Conn, patient: PatientId, now: Timestamp) -> Result<()> {
    let no_owner = diesel::sql_query(
        "UPDATE intake_flags SET owner_id = NULL, appointment_id = NULL WHERE patient_id = $1 AND acknowledged_at IS NULL AND EXISTS
         (SELECT 1 FROM appointments a WHERE a.id = intake_flags.appointment_id AND a.patient_id <> intake_flags.patient_id)",
    )
    .bind::<Uid, _>(patient);
    per_backend!(&mut *tx, tx => no_owner.execute(tx))?;
    match next_owner(tx, patient, now)? {
        Some(owner) => give(tx, patient, owner),
        None => Ok(()),
    }
}
