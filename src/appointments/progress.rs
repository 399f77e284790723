//! Cancelling a visit, and the steps of its day: check-in, no-show, complete, undo.

use jiff::SignedDuration;

use super::model::{AppointmentStatus, AppointmentStep, Circumstances};
use super::notice::{self, Notice};
use super::store::{self, Appointment, Change, Shown};
use crate::actor::Actor;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::http::etag::IfMatch;
use crate::ids::{AppointmentId, UserId};
use crate::intake::handover;
use crate::patients::care;
use crate::scheduling::releasing::release;
use crate::scheduling::slots;

/// On whose part an appointment is changed.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// The account; none where the link in a mail is used.
    pub account: Option<UserId>,
    /// Whether it is the clinic's.
    pub staff: bool,
}

impl By {
    /// Whoever has the link: what the patient may do, without an account.
    pub const LINK: Self = Self { account: None, staff: false };

    /// Somebody who is signed in.
    pub fn account(actor: &Actor) -> Self {
        Self { account: Some(actor.user_id), staff: actor.role.is_staff() }
    }
}

/// Takes a step that is none of booking and moving.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; forbidden, where a practitioner has to give a reason; the conflicts
/// `status_conflict`, `cancel_notice`, `patient_busy`.
pub fn advance(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: AppointmentId,
    if_match: &IfMatch,
    (step, reason): (AppointmentStep, Option<&str>),
) -> Result<Shown> {
    let shown = store::lock(tx, env, actor, id)?;
    let visit = &shown.appointment;
    // It would open the record to the practitioner, who alone has said that there is a visit.
    if step == AppointmentStep::CheckIn && visit.self_placed && actor.practitioner_id == Some(visit.practitioner_id) {
        care::admit(tx, env, actor, visit.patient_id)?;
    }
    if_match.check(shown.appointment.version)?;
    change(tx, env, By::account(actor), shown, (step, reason))
}

/// Takes the step on an appointment that is locked.
///
/// # Errors
/// The conflicts of [`advance`].
pub fn change(
    tx: &mut Conn,
    env: &Env,
    by: By,
    shown: Shown,
    (step, reason): (AppointmentStep, Option<&str>),
) -> Result<Shown> {
    let status = circumstances(tx, env, by, &shown)?.decide(shown.appointment.status, step)?;
    let before = shown.appointment;
    let (was, is) = (before.visit(), Appointment { status, ..before.clone() }.visit());
    // It claims the patient's time again, which may have been used meanwhile; or the patient's flags follow it.
    if (status.is_live() && !before.status.is_live()) || was != is {
        store::lock_patient(tx, before.patient_id)?;
    }
    let cancelled = status == AppointmentStatus::Cancelled;
    if cancelled {
        slots::lock_appointment(tx, before.practitioner_id, before.starts_at, before.ends_at)?;
        release(tx, before.id)?;
    }
    let sequence = before.sequence + i32::from(cancelled);
    let change = Change { step, from: Some(before.status), reason, by: by.account };
    let appointment = store::update(tx, env, &change, Appointment { status, sequence, ..before })?;
    let after = Shown { appointment, ..shown };
    handover::follow(tx, env, &was, &is)?;
    if cancelled {
        notice::send(tx, env, Notice::Cancelled { by_patient: !by.staff }, &after)?;
    }
    Ok(after)
}

/// What the rules look at.
///
/// # Errors
/// The database's, or a fault where the location's zone is unknown.
pub fn circumstances(tx: &mut Conn, env: &Env, by: By, shown: &Shown) -> Result<Circumstances> {
    Ok(Circumstances {
        now: env.now(),
        starts_at: shown.appointment.starts_at,
        changed_at: store::changed_at(tx, &shown.appointment)?,
        zone: shown.location.zone()?,
        by_staff: by.staff,
        cancel_notice: SignedDuration::from_mins(shown.visit_type.cancel_notice_minutes.into()),
    })
}
