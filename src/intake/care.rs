//! Which practitioner treats whom, and how another one gets at a record all the same.
//!
//! The schedule, the worklists and the records' covers are every practitioner's: whoever is there must be able to act on an
//! emergency. What a patient told, and what follows from it, is for those who treat them; anybody else says why.

use diesel::prelude::*;
use jiff::ToSpan;
use jiff::tz::TimeZone;

use crate::actor::{Actor, Role};
use crate::audit::openings;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{appointments, intake_flags};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{AppointmentId, IntakeFlagId, PatientId};

/// The code of the refusal.
const REASON_REQUIRED: &str = "reason_required";

/// The operations that ask for it. Each takes the header `Access-Reason`.
pub const CLINICAL: &[&str] = &[
    "create_intake",
    "get_intake",
    "update_intake",
    "delete_intake",
    "submit_intake",
    "review_intake",
    "amend_intake",
    "void_intake",
    "list_intake_versions",
    "get_intake_summary",
    "list_lab_results",
    "get_rls_timeline",
    "export_patient",
];

/// Lets the actor at a patient's clinical data, if they are no practitioner (what they see is limited otherwise), treat
/// the patient, or have the record open.
///
/// # Errors
/// Forbidden, `reason_required`.
pub fn require(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<()> {
    if actor.role != Role::Practitioner
        || treats(conn, env, actor, patient)?
        || openings::is_open(conn, actor, patient, env.now())?
    {
        return Ok(());
    }
    Err(Error::forbidden(
        REASON_REQUIRED,
        "You have no appointment with this patient. Say in the header Access-Reason why you need the record; it is written down.",
    ))
}

/// Like [`require`], in a transaction that may write: opens the record where the actor gave a reason.
///
/// # Errors
/// Forbidden, `reason_required`.
pub fn admit(tx: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<()> {
    match (require(tx, env, actor, patient), &actor.access_reason) {
        (Err(Error::Forbidden(refusal)), Some(reason)) if refusal.code == REASON_REQUIRED => {
            openings::open(tx, env, actor, patient, reason)
        }
        (result, _) => result,
    }
}

/// Reads clinical data of one patient; where the actor gave a reason, the record is opened before.
///
/// # Errors
/// The closure's own.
pub async fn read<T, F>(env: &Env, actor: Actor, work: F) -> Result<T>
where
    F: Fn(&mut Conn, &Actor) -> Result<T> + Clone + Send + 'static,
    T: Send + 'static,
{
    let (again, who) = (work.clone(), actor.clone());
    let first = env.db.read(move |conn| work(conn, &who)).await;
    let is_closed = matches!(&first, Err(Error::Forbidden(refusal)) if refusal.code == REASON_REQUIRED);
    let (true, Some(_), Some(patient)) = (is_closed, &actor.access_reason, actor.trail.notes().patient) else {
        return first;
    };
    let (shared, who) = (env.clone(), actor.clone());
    env.db.write(move |tx| admit(tx, &shared, &who, patient)).await?;
    env.db.read(move |conn| again(conn, &actor)).await
}

/// Whether the practitioner has seen the patient within the last months or will, or owns a flag that their answers raised.
fn treats(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<bool> {
    let Some(practitioner) = actor.practitioner_id else { return Ok(false) };
    let since = months_before(env.now(), env.config.settings.care_relation_months);
    let visit = appointments::table
        .filter(appointments::patient_id.eq(patient))
        .filter(appointments::practitioner_id.eq(practitioner))
        .filter(appointments::starts_at.ge(since))
        .filter(appointments::status.ne("cancelled"))
        .select(appointments::id);
    if visit.first::<AppointmentId>(conn).optional()?.is_some() {
        return Ok(true);
    }
    let flag = intake_flags::table
        .filter(intake_flags::patient_id.eq(patient))
        .filter(intake_flags::owner_id.eq(practitioner))
        .filter(intake_flags::acknowledged_at.is_null().or(intake_flags::raised_at.ge(since)))
        .select(intake_flags::id);
    Ok(flag.first::<IntakeFlagId>(conn).optional()?.is_some())
}

/// The instant so many calendar months ago.
fn months_before(now: Timestamp, months: u8) -> Timestamp {
    let then = now.in_zone(&TimeZone::UTC).checked_sub(i32::from(months).months());
    then.map_or(now, |then| Timestamp::from(then.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_ago_is_the_same_day_and_hour_of_the_calendar() {
        let now: Timestamp = "2028-02-29T14:00:00Z".parse().expect("an instant");
        assert_eq!(months_before(now, 12).to_string(), "2027-02-28T14:00:00Z");
        assert_eq!(months_before(now, 1).to_string(), "2028-01-29T14:00:00Z");
    }
}
