//! Which practitioner has a care relationship with a patient, and break-glass access for every other practitioner.
//!
//! Every practitioner reads the schedule, the worklists and the patients' records, because any of them may have to act on an
//! emergency. Clinical data is for practitioners with a care relationship. Any other practitioner gives a reason.

use std::collections::HashSet;

use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::store;
use crate::actor::{Actor, Role};
use crate::audit::openings;
use crate::clock::Timestamp;
use crate::db::schema::{appointments, intake_flags, patients, record_openings};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::idempotency::Guard;
use crate::ids::PatientId;

/// The code of the refusal.
const REASON_REQUIRED: &str = "reason_required";

/// The operations that may be refused with `reason_required`. Each takes the header `Access-Reason`.
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
    "acknowledge_intake_flag",
    // Whoever is given access reads what the practitioner may not read.
    "grant_patient_access",
    "confirm_patient_access",
    "invite_to_patient",
    // Only where the practitioner placed the visit with themselves.
    "check_in_appointment",
];

/// The condition that a visit gives its practitioner a care relationship: it is not cancelled, and the patient was there if
/// the practitioner placed it with themselves. [`gives_care`] is the same rule for a row in memory.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn giving_care() -> _ {
    let was_there = appointments::status.eq("checked-in").or(appointments::status.eq("fulfilled"));
    appointments::status.ne("cancelled").and(appointments::self_placed.eq(false).or(was_there))
}

/// Whether a visit of this status gives its practitioner a care relationship.
pub fn gives_care(status: &str, self_placed: bool) -> bool {
    status != "cancelled" && (!self_placed || matches!(status, "checked-in" | "fulfilled"))
}

/// The condition that a practitioner may read clinical data of the patient of a query's row: there was a visit within the last
/// months or there will be one, or they own an open flag through a visit, or they opened the record for a reason.
macro_rules! open_to {
    ($env:expr, $actor:expr) => {{
        let now = $env.now();
        let since = months_before(now, $env.config.settings.care_relation_months);
        let visits = || {
            appointments::patient_id
                .eq(patients::id)
                .and(appointments::practitioner_id.nullable().eq($actor.practitioner_id))
                .and(giving_care())
        };
        let seen = exists(appointments::table.filter(visits()).filter(appointments::starts_at.ge(since)));
        let owned = appointments::table
            .inner_join(intake_flags::table.on(intake_flags::appointment_id.eq(appointments::id.nullable())))
            .filter(visits())
            .filter(intake_flags::owner_id.eq($actor.practitioner_id))
            .filter(intake_flags::acknowledged_at.is_null().or(intake_flags::raised_at.ge(since)));
        let opened = record_openings::table
            .filter(record_openings::user_id.eq($actor.user_id))
            .filter(record_openings::patient_id.eq(patients::id))
            .filter(record_openings::expires_at.gt(now));
        seen.or(exists(owned)).or(exists(opened))
    }};
}

/// Lets the actor at a patient's clinical data, if they are no practitioner (what they see is limited otherwise), have a care
/// relationship with the patient, or have the record open.
///
/// # Errors
/// Forbidden, `reason_required`.
pub fn require(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<()> {
    if actor.role != Role::Practitioner || is_open(conn, env, actor, patient)? {
        return Ok(());
    }
    Err(refusal())
}

fn refusal() -> Error {
    Error::forbidden(
        REASON_REQUIRED,
        "You have no appointment with this patient. Say in the header Access-Reason why you need the record; it is written down.",
    )
}

fn is_open(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<bool> {
    let found: Option<PatientId> = per_backend!(conn, conn => patients::table
        .find(patient)
        .filter(open_to!(env, actor))
        .select(patients::id)
        .first(conn)
        .optional())?;
    Ok(found.is_some())
}

/// Returns the patients whose clinical data the actor may read without a reason, out of those of a page. One query.
///
/// # Errors
/// The database's.
pub fn open_among(conn: &mut Conn, env: &Env, actor: &Actor, page: Vec<PatientId>) -> Result<HashSet<PatientId>> {
    if actor.role != Role::Practitioner || page.is_empty() {
        return Ok(page.into_iter().collect());
    }
    let open = patients::table.filter(patients::id.eq_any(page)).filter(open_to!(env, actor)).select(patients::id);
    Ok(open.load(conn)?.into_iter().collect())
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

/// The guard of a clinical operation's repeats: its stored answer is for who passes the same check as a first request.
pub fn repeats(env: &Env, actor: &Actor) -> Guard {
    let (env, actor) = (env.clone(), actor.clone());
    Box::new(move |tx, patient| match patient {
        Some(patient) => {
            store::visible(tx, &env, &actor, patient)?;
            admit(tx, &env, &actor, patient)
        }
        // Stored before answers named their patient.
        None if actor.role == Role::Practitioner => Err(refusal()),
        None => Ok(()),
    })
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
