//! How many upcoming appointments a patient, and an account for the patients it added, may have. Staff are not limited.

use diesel::dsl::exists;
use diesel::prelude::*;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{appointments, patient_access};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};
use crate::patients::access;

/// How many upcoming appointments an account may book for all patients it added, as a multiple of the limit for one patient.
const PATIENTS_PER_ACCOUNT: i64 = 3;

/// The condition that an appointment counts: it will take place, and is not over.
macro_rules! is_upcoming {
    ($now:expr) => {{
        let live = AppointmentStatus::ALL.iter().copied().filter(|status| status.is_live());
        appointments::status.eq_any(live.collect::<Vec<_>>()).and(appointments::ends_at.gt($now))
    }};
}

/// The condition that the account added the patient itself. Anyone can create such records.
macro_rules! is_added_by {
    ($user:expr) => {
        patient_access::user_id
            .eq($user)
            .and(patient_access::granted_by.is_null())
            .and(patient_access::verified_by.is_null())
    };
}

fn of_patient(env: &Env) -> i64 {
    i64::from(env.config.settings.max_open_bookings)
}

fn of_account(env: &Env) -> i64 {
    of_patient(env) * PATIENTS_PER_ACCOUNT
}

fn patient_is_full(env: &Env) -> Error {
    let limit = of_patient(env);
    let detail =
        format!("The patient already has {limit} upcoming appointments. Cancel one, or call the clinic to book more.");
    Error::conflict("booking_limit", detail)
}

fn account_is_full(env: &Env) -> Error {
    let limit = of_account(env);
    let detail = format!(
        "This account has {limit} upcoming appointments for the people it added. Cancel one, or call the clinic to book more."
    );
    Error::conflict("account_booking_limit", detail)
}

/// Requires that the patient, and the account that books, have fewer upcoming appointments than allowed. The account's
/// limit counts only patients it added, because anyone can create such records.
///
/// The caller has locked account and patient ([`crate::patients::store::lock_by_account`]).
///
/// # Errors
/// The conflicts `booking_limit` and `account_booking_limit`.
pub fn require_room(tx: &mut Tx, patient: PatientId) -> Result<()> {
    let (now, user) = (tx.now, tx.actor.user_id);
    let of_one = appointments::table.filter(appointments::patient_id.eq(patient)).filter(is_upcoming!(now)).count();
    let of_all = appointments::table
        .inner_join(patient_access::table.on(patient_access::patient_id.eq(appointments::patient_id)))
        .filter(is_added_by!(user))
        .filter(is_upcoming!(now))
        .count();
    let is_added =
        exists(patient_access::table.filter(is_added_by!(user)).filter(patient_access::patient_id.eq(patient)));
    let counts = diesel::select((of_one.single_value(), of_all.single_value(), is_added));
    let (of_one, of_all, is_added): (Option<i64>, Option<i64>, bool) = counts.get_result(tx.conn)?;
    if of_one.unwrap_or(0) >= of_patient(tx.env) {
        return Err(patient_is_full(tx.env));
    }
    if is_added && of_all.unwrap_or(0) >= of_account(tx.env) {
        return Err(account_is_full(tx.env));
    }
    Ok(())
}

/// Requires that the account may book for one at least of its patients, if it has any. A hold asks this before the patient fills in the
/// rest of a booking, without locks: the booking decides.
///
/// # Errors
/// The conflicts of [`require_room`].
pub fn require_room_for_someone(conn: &mut Conn, env: &Env, user: UserId, now: Timestamp) -> Result<()> {
    let of_one = appointments::table.filter(appointments::patient_id.eq(patient_access::patient_id));
    let patients: Vec<(bool, Option<i64>)> = patient_access::table
        .filter(patient_access::user_id.eq(user))
        .filter(access::active(now))
        .select((is_added_by!(user), of_one.filter(is_upcoming!(now)).count().single_value()))
        .load(conn)?;
    let count = |of: &Option<i64>| of.unwrap_or(0);
    let of_all: i64 = patients.iter().filter(|(is_added, _)| *is_added).map(|(_, of)| count(of)).sum();
    let account_has_room = of_all < of_account(env);
    let has_room = |of: &Option<i64>| count(of) < of_patient(env);
    if patients.is_empty() || patients.iter().any(|(is_added, of)| has_room(of) && (account_has_room || !is_added)) {
        return Ok(());
    }
    Err(if patients.iter().any(|(_, of)| has_room(of)) { account_is_full(env) } else { patient_is_full(env) })
}
