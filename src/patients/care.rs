//! Which practitioner has a care relationship with a patient, and break-glass access for every other practitioner.
//!
//! Every practitioner reads the schedule, the worklists and the patients' records, because any of them may have to act on an
//! emergency. Clinical data is for practitioners with a care relationship. Any other practitioner gives a reason.

use std::collections::HashSet;

use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::access::givers;
use super::store;
use crate::actor::{Actor, Role};
use crate::appointment_status::AppointmentStatus;
use crate::audit::break_glass;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::{appointments, intake_flags, patients, record_openings};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{PatientId, PractitionerId};

/// The code of the error for a practitioner without a care relationship.
const REASON_REQUIRED: ProblemCode = ProblemCode::ReasonRequired;

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
    "get_lab_result",
    "list_lab_result_versions",
    "get_rls_timeline",
    "get_patient_export",
    "acknowledge_intake_flag",
    // The account that gets access reads what the practitioner may not read.
    "create_patient_access",
    "confirm_patient_access",
    "create_patient_invitation",
    // Only if a practitioner without a care relationship placed the visit.
    "check_in_appointment",
];

/// The condition that a visit gives its practitioner a care relationship: it is not cancelled, and the patient was there if it was
/// placed alone ([`is_placed_alone`]). [`gives_care`] is the same rule for a row in memory.
#[diesel::dsl::auto_type]
pub(crate) fn giving_care() -> _ {
    // `auto_type` needs the type of each value.
    let checked_in: AppointmentStatus = AppointmentStatus::CheckedIn;
    let fulfilled: AppointmentStatus = AppointmentStatus::Fulfilled;
    let cancelled: AppointmentStatus = AppointmentStatus::Cancelled;
    let was_there = appointments::status.eq(checked_in).or(appointments::status.eq(fulfilled));
    appointments::status.ne(cancelled).and(appointments::self_placed.eq(false).or(was_there))
}

/// Whether a visit of this status gives its practitioner a care relationship.
pub fn gives_care(status: AppointmentStatus, self_placed: bool) -> bool {
    let was_there = matches!(status, AppointmentStatus::CheckedIn | AppointmentStatus::Fulfilled);
    status != AppointmentStatus::Cancelled && (!self_placed || was_there)
}

/// Returns the time since which a visit gives a care relationship (`CARE_RELATION_MONTHS`).
pub fn care_window_start(env: &Env) -> Timestamp {
    months_before(env.now(), env.config.settings.care_relation_months)
}

/// The ids of the patients with whom a practitioner has a care relationship through a visit after `since` or an upcoming one, as
/// a sub-query.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn patients_seen_by(practitioner: PractitionerId, since: Timestamp) -> _ {
    appointments::table
        .filter(appointments::practitioner_id.eq(practitioner))
        .filter(giving_care())
        .filter(appointments::starts_at.ge(since))
        .select(appointments::patient_id)
}

/// The condition that a practitioner has a care relationship with the patient of a query's row: through a visit after
/// [`care_window_start`] or an upcoming one, or because they own an open flag through a visit. A condition on one
/// patient, for which [`patients_seen_by`] would load all.
macro_rules! treated_by {
    ($env:expr, $practitioner:expr) => {{
        let since = care_window_start($env);
        let visits = || {
            appointments::patient_id
                .eq(patients::id)
                .and(appointments::practitioner_id.nullable().eq($practitioner))
                .and(giving_care())
        };
        let seen = exists(appointments::table.filter(visits()).filter(appointments::starts_at.ge(since)));
        let owned = appointments::table
            .inner_join(intake_flags::table.on(intake_flags::appointment_id.eq(appointments::id.nullable())))
            .filter(visits())
            .filter(intake_flags::owner_id.eq($practitioner))
            .filter(intake_flags::acknowledged_at.is_null().or(intake_flags::raised_at.ge(since)));
        seen.or(exists(owned))
    }};
}

/// The condition that a practitioner may read clinical data of the patient of a query's row: they have a care relationship, or
/// they opened the record for a reason.
macro_rules! open_to {
    ($env:expr, $actor:expr) => {{
        let opened = record_openings::table
            .filter(record_openings::user_id.eq($actor.user_id))
            .filter(record_openings::patient_id.eq(patients::id))
            .filter(record_openings::expires_at.gt($env.now()));
        treated_by!($env, $actor.practitioner_id).or(exists(opened))
    }};
}

/// Requires that the actor may read a patient's clinical data: a practitioner has a care relationship with the patient, or has opened the
/// record. Other roles are limited elsewhere.
///
/// # Errors
/// Forbidden, `reason_required`.
pub fn require(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<()> {
    if is_open(conn, env, actor, patient)? { Ok(()) } else { Err(reason_required()) }
}

fn reason_required() -> Error {
    Error::forbidden(
        REASON_REQUIRED,
        "You have no appointment with this patient. Send the reason why you need the record in the header Access-Reason. It is recorded.",
    )
}

/// Whether the actor may read clinical data of the patient without a reason.
fn is_open(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<bool> {
    if actor.role != Role::Practitioner {
        return Ok(true);
    }
    let found: Option<PatientId> = per_backend!(conn, conn => patients::table
        .find(patient)
        .filter(open_to!(env, actor))
        .select(patients::id)
        .first(conn)
        .optional())?;
    Ok(found.is_some())
}

/// A visit before it is moved.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    pub practitioner_id: PractitionerId,
    /// Whether it was placed alone.
    pub self_placed: bool,
}

/// Returns whether a visit that the actor books, or moves, is placed alone. Such a visit gives its practitioner no care relationship before
/// the check-in. A practitioner cannot start a care relationship alone:
///
/// - A visit is placed by the practitioner who books it, or by those who gave or confirmed the access of the account that books it, now or
///   before. It is placed alone if one of them is the practitioner of the visit, or does not treat the patient.
/// - A visit that the front desk or an administrator books, or an account whose access no practitioner gave, is not.
/// - To move only the time of a visit keeps how it was placed. An account of the patient's side whose access no practitioner gave makes it
///   the patient's choice.
pub fn is_placed_alone(
    tx: &mut Tx,
    patient: PatientId,
    practitioner: PractitionerId,
    before: Option<Before>,
) -> Result<bool> {
    let kept = before.filter(|before| before.practitioner_id == practitioner).map(|before| before.self_placed);
    match kept {
        Some(kept) if !kept || tx.actor.role.is_staff() => Ok(kept),
        _ => places_alone(tx, patient, practitioner),
    }
}

fn places_alone(tx: &mut Tx, patient: PatientId, practitioner: PractitionerId) -> Result<bool> {
    let placers = match tx.actor.role {
        Role::Practitioner => tx.actor.practitioner_id.into_iter().collect(),
        role if role.is_staff() => return Ok(false),
        _ => givers::of(tx.conn, tx.actor.user_id, patient)?,
    };
    for placer in placers {
        if placer == practitioner || !treats(tx, placer, patient)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether the practitioner has a care relationship with the patient.
fn treats(tx: &mut Tx, practitioner: PractitionerId, patient: PatientId) -> Result<bool> {
    let (env, practitioner) = (tx.env, Some(practitioner));
    let treated: Option<PatientId> = per_backend!(tx.conn, conn => patients::table
        .find(patient)
        .filter(treated_by!(env, practitioner))
        .select(patients::id)
        .first(conn)
        .optional())?;
    Ok(treated.is_some())
}

/// Returns whether the practitioner has a care relationship through a visit that was not placed alone. A visit that was, and that the
/// practitioner checked in for a reason, lets them read, but not give access to others.
pub fn was_chosen(conn: &mut Conn, env: &Env, practitioner: PractitionerId, patient: PatientId) -> Result<bool> {
    let visits = appointments::table
        .filter(appointments::patient_id.eq(patient))
        .filter(appointments::practitioner_id.eq(practitioner))
        .filter(appointments::status.ne(AppointmentStatus::Cancelled))
        .filter(appointments::self_placed.eq(false))
        .filter(appointments::starts_at.ge(care_window_start(env)));
    Ok(visits.select(appointments::patient_id).first::<PatientId>(conn).optional()?.is_some())
}

/// Returns the patients whose clinical data the actor may read without a reason, out of those of a page. One query.
pub fn open_among(conn: &mut Conn, env: &Env, actor: &Actor, page: Vec<PatientId>) -> Result<HashSet<PatientId>> {
    if actor.role != Role::Practitioner || page.is_empty() {
        return Ok(page.into_iter().collect());
    }
    let open = patients::table.filter(patients::id.eq_any(page)).filter(open_to!(env, actor)).select(patients::id);
    Ok(open.load(conn)?.into_iter().collect())
}

/// Like [`require`], in a transaction that may write: opens the record if the actor gave a reason. It locks the patient first, so that no
/// merge, undo or cancellation ends the care relationship between this decision and the change.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `reason_required`.
pub fn admit(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<()> {
    if actor.role == Role::Practitioner {
        store::lock_record(conn, patient)?;
    }
    if is_open(conn, env, actor, patient)? {
        return Ok(());
    }
    let reason = actor.access_reason.as_ref().ok_or_else(reason_required)?;
    break_glass::open(conn, env, actor, patient, reason)
}

/// The guard of an idempotent clinical operation: a repeat passes the same checks as the first request before it gets the stored result.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `reason_required`.
pub fn admit_repeat(tx: &mut Tx, patient: Option<PatientId>) -> Result<()> {
    match patient {
        Some(patient) => {
            store::visible(tx.conn, tx.env, tx.actor, patient)?;
            admit(tx.conn, tx.env, tx.actor, patient)
        }
        // Older results were stored without their patient.
        None if tx.actor.role == Role::Practitioner => Err(reason_required()),
        None => Ok(()),
    }
}

/// Reads clinical data of one patient. If the closure fails with `reason_required` and the actor gave a reason, opens the record and runs
/// the closure again.
///
/// # Errors
/// The closure's own.
pub async fn read_clinical<T, F>(context: &Context, work: F) -> Result<T>
where
    F: Fn(&mut Tx) -> Result<T> + Clone + Send + 'static,
    T: Send + 'static,
{
    let first = context.read(work.clone()).await;
    if !opens_with_reason(&first, &context.actor) {
        return first;
    }
    let Some(patient) = context.audit.notes().patient else { return first };
    context.write(move |tx| admit(tx.conn, tx.env, tx.actor, patient)).await?;
    context.read(work).await
}

/// Whether a read failed only for want of a reason, and the actor gave one.
fn opens_with_reason<T>(read: &Result<T>, actor: &Actor) -> bool {
    let is_closed = matches!(read, Err(Error::Forbidden(refusal)) if refusal.code == REASON_REQUIRED);
    is_closed && actor.access_reason.is_some()
}

/// Returns the instant some calendar months ago.
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
