//! How many upcoming appointments a patient, an account for the patients it added, and new accounts at one address may have. Staff are not
//! limited.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::raw_sql::RawSql;
use crate::db::schema::{appointments, holds, new_accounts, patient_access, waitlist_entries, waitlist_offers};
use crate::db::{Conn, advisory_lock};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{AppointmentId, PatientId, UserId};
use crate::patients::access;

/// How many upcoming appointments an account may book for all patients it added, as a multiple of the limit for one patient.
const PATIENTS_PER_ACCOUNT: i64 = 3;
/// How many upcoming appointments the new accounts of a network may have, as a multiple of the limit for one address.
const ADDRESSES_PER_NETWORK: usize = 4;
/// The seed of the locks' hashes, so that they differ from other advisory locks.
const LOCKS: i64 = 4_703_213_190_281_740;

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

/// The hashed address and network of the account, if it is new.
macro_rules! origin_of_new {
    ($user:expr, $now:expr) => {{
        let own =
            || new_accounts::table.filter(new_accounts::user_id.eq($user)).filter(new_accounts::expires_at.gt($now));
        (own().select(new_accounts::caller).single_value(), own().select(new_accounts::network).single_value())
    }};
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
    Error::conflict(ProblemCode::BookingLimit, detail)
}

fn account_is_full(env: &Env) -> Error {
    let limit = of_account(env);
    let detail = format!(
        "This account has {limit} upcoming appointments for the people it added. Cancel one, or call the clinic to book more."
    );
    Error::conflict(ProblemCode::AccountBookingLimit, detail)
}

fn new_accounts_are_full() -> Error {
    let detail =
        "New accounts at your address have too many upcoming appointments. Retry tomorrow, or call the clinic.";
    Error::conflict(ProblemCode::NewAccountLimit, detail)
}

/// The hashed address and network of a new account.
pub type Origin = (Vec<u8>, Vec<u8>);

/// Requires that the patient, the account that books, and new accounts at its address have fewer upcoming appointments than allowed. The
/// account's limit counts only patients it added, because anyone can create such records.
///
/// The caller has locked account and patient ([`crate::patients::store::lock_by_account`]).
///
/// # Errors
/// The conflicts `booking_limit`, `account_booking_limit` and `new_account_limit`.
pub fn require_room(tx: &mut Tx, patient: PatientId) -> Result<()> {
    let (now, user) = (tx.now, tx.actor.user_id);
    match require_room_by_account(tx.conn, tx.env, user, patient, now)? {
        Some(origin) => require_room_at_origin(tx.conn, tx.env, user, &origin, now),
        None => Ok(()),
    }
}

/// Requires that the new accounts at this address have room. The account's own holds do not count. Other accounts of the network wait until
/// the transaction ends. Call it after the slots are locked, so that no transaction that has this lock waits for a slot.
///
/// # Errors
/// The conflict `new_account_limit`.
pub fn require_room_at_origin(
    conn: &mut Conn,
    env: &Env,
    user: UserId,
    (caller, network): &Origin,
    now: Timestamp,
) -> Result<()> {
    if let Conn::Postgres(conn) = &mut *conn {
        advisory_lock::wait(conn, &format!("{network:x?}"), LOCKS)?;
    }
    require_room_for_new_accounts(conn, env, user, (caller, network), None, now)
}

/// [`require_room`] without locks: the booking decides.
///
/// # Errors
/// Those of [`require_room`].
pub fn require_room_without_locks(
    conn: &mut Conn,
    env: &Env,
    user: UserId,
    patient: PatientId,
    now: Timestamp,
) -> Result<()> {
    match require_room_by_account(conn, env, user, patient, now)? {
        Some((caller, network)) => require_room_for_new_accounts(conn, env, user, (&caller, &network), None, now),
        None => Ok(()),
    }
}

/// Requires that a new account may hold a time to move this appointment. The number of appointments stays the same, but the
/// hold keeps a second time from others.
///
/// # Errors
/// The conflict `new_account_limit`.
pub fn require_room_to_move(
    conn: &mut Conn,
    env: &Env,
    user: UserId,
    appointment: AppointmentId,
    now: Timestamp,
) -> Result<()> {
    let (caller, network) = origin_of_new!(user, now);
    let origin: (Option<Vec<u8>>, Option<Vec<u8>>) = diesel::select((caller, network)).get_result(conn)?;
    let (Some(caller), Some(network)) = origin else { return Ok(()) };
    require_room_for_new_accounts(conn, env, user, (&caller, &network), Some(appointment), now)
}

/// Counts the upcoming appointments that an account booked for the patients that it acts for.
pub fn count_booked_by(conn: &mut Conn, user: UserId, now: Timestamp) -> Result<i64> {
    Ok(patient_access::table
        .inner_join(appointments::table.on(appointments::patient_id.eq(patient_access::patient_id)))
        .filter(patient_access::user_id.eq(user))
        .filter(appointments::booked_by.eq(user))
        .filter(is_upcoming!(now))
        .count()
        .get_result(conn)?)
}

/// Requires that the patient and the account have fewer upcoming appointments than allowed. Returns the origin of a new account.
fn require_room_by_account(
    conn: &mut Conn,
    env: &Env,
    user: UserId,
    patient: PatientId,
    now: Timestamp,
) -> Result<Option<Origin>> {
    type Counts = (Option<i64>, Option<i64>, bool, Option<Vec<u8>>, Option<Vec<u8>>);
    let of_one = appointments::table.filter(appointments::patient_id.eq(patient)).filter(is_upcoming!(now)).count();
    let of_all = appointments::table
        .inner_join(patient_access::table.on(patient_access::patient_id.eq(appointments::patient_id)))
        .filter(is_added_by!(user))
        .filter(is_upcoming!(now))
        .count();
    let is_added =
        exists(patient_access::table.filter(is_added_by!(user)).filter(patient_access::patient_id.eq(patient)));
    let (caller, network) = origin_of_new!(user, now);
    let counts = diesel::select((of_one.single_value(), of_all.single_value(), is_added, caller, network));
    let (of_one, of_all, is_added, caller, network): Counts = counts.get_result(conn)?;
    if of_one.unwrap_or(0) >= of_patient(env) {
        return Err(patient_is_full(env));
    }
    if is_added && of_all.unwrap_or(0) >= of_account(env) {
        return Err(account_is_full(env));
    }
    Ok(caller.zip(network))
}

/// Requires that the patient, whose visits are locked, has fewer upcoming appointments than allowed. For a booking without an account.
///
/// # Errors
/// The conflict `booking_limit`.
pub fn require_room_of_patient(conn: &mut Conn, env: &Env, patient: PatientId, now: Timestamp) -> Result<()> {
    let upcoming = appointments::table.filter(appointments::patient_id.eq(patient)).filter(is_upcoming!(now));
    if upcoming.count().get_result::<i64>(conn)? >= of_patient(env) {
        return Err(patient_is_full(env));
    }
    Ok(())
}

/// Requires that the new accounts at an address and in a network have fewer upcoming appointments, holds and open offers of the waitlist than
/// allowed. The hold and the offer of the account that asks do not count, because the booking uses one of them up. Nor does the appointment that
/// is to move.
fn require_room_for_new_accounts(
    conn: &mut Conn,
    env: &Env,
    user: UserId,
    (caller, network): (&[u8], &[u8]),
    moving: Option<AppointmentId>,
    now: Timestamp,
) -> Result<()> {
    let of_network = new_accounts::network.eq(network).and(new_accounts::expires_at.gt(now));
    let booked: Vec<(Vec<u8>, AppointmentId)> = new_accounts::table
        .inner_join(patient_access::table.on(patient_access::user_id.eq(new_accounts::user_id)))
        .inner_join(appointments::table.on(appointments::patient_id.eq(patient_access::patient_id)))
        .filter(appointments::booked_by.eq(new_accounts::user_id.nullable()))
        .filter(of_network)
        .filter(is_upcoming!(now))
        .select((new_accounts::caller, appointments::id))
        .load(conn)?;
    let mut callers: Vec<Vec<u8>> =
        booked.into_iter().filter(|(_, id)| Some(*id) != moving).map(|(caller, _)| caller).collect();
    let of_closed: Vec<(Vec<u8>, i32)> = new_accounts::table
        .filter(of_network)
        .filter(new_accounts::visits_left.gt(0))
        .select((new_accounts::caller, new_accounts::visits_left))
        .load(conn)?;
    let of_closed = of_closed.into_iter().map(|(caller, visits)| vec![caller; usize::try_from(visits).unwrap_or(0)]);
    callers.extend(of_closed.flatten());
    let holding: Vec<Vec<u8>> = new_accounts::table
        .inner_join(holds::table.on(holds::user_id.eq(new_accounts::user_id.nullable())))
        .filter(of_network)
        .filter(new_accounts::user_id.ne(user))
        .filter(holds::expires_at.gt(now))
        .select(new_accounts::caller)
        .load(conn)?;
    callers.extend(holding);
    let offered: Vec<Vec<u8>> = waitlist_offers::table
        .inner_join(waitlist_entries::table.on(waitlist_entries::id.eq(waitlist_offers::entry_id)))
        .inner_join(new_accounts::table.on(new_accounts::user_id.eq(waitlist_entries::created_by)))
        .filter(RawSql::<Bool>::new("waitlist_offers.status = 'offered'"))
        .filter(of_network)
        .filter(new_accounts::user_id.ne(user))
        .select(new_accounts::caller)
        .load(conn)?;
    callers.extend(offered);
    let of_address = usize::from(env.config.settings.new_account_visits_per_address);
    let at_address = callers.iter().filter(|other| *other == caller).count();
    if at_address >= of_address || callers.len() >= of_address * ADDRESSES_PER_NETWORK {
        return Err(new_accounts_are_full());
    }
    Ok(())
}

/// Requires that the account may book for one at least of its patients, if it has any. A hold asks this before the patient fills in the
/// rest of a booking, without locks: the booking decides. Returns the address and the network of a new account, for
/// [`require_room_at_origin`].
///
/// # Errors
/// The conflicts of [`require_room`].
pub fn require_room_for_someone(conn: &mut Conn, env: &Env, user: UserId, now: Timestamp) -> Result<Option<Origin>> {
    type Row = (bool, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);
    let of_one = appointments::table.filter(appointments::patient_id.eq(patient_access::patient_id));
    let (caller, network) = origin_of_new!(user, now);
    let patients: Vec<Row> = patient_access::table
        .filter(patient_access::user_id.eq(user))
        .filter(access::active(now))
        .select((is_added_by!(user), of_one.filter(is_upcoming!(now)).count().single_value(), caller, network))
        .load(conn)?;
    let origin = patients.first().and_then(|(.., caller, network)| caller.clone().zip(network.clone()));
    if let Some((caller, network)) = &origin {
        require_room_for_new_accounts(conn, env, user, (caller, network), None, now)?;
    }
    let count = |of: &Option<i64>| of.unwrap_or(0);
    let of_all: i64 = patients.iter().filter(|(is_added, ..)| *is_added).map(|(_, of, ..)| count(of)).sum();
    let account_has_room = of_all < of_account(env);
    let has_room = |of: &Option<i64>| count(of) < of_patient(env);
    if patients.is_empty() || patients.iter().any(|(is_added, of, ..)| has_room(of) && (account_has_room || !is_added))
    {
        return Ok(origin);
    }
    Err(if patients.iter().any(|(_, of, ..)| has_room(of)) { account_is_full(env) } else { patient_is_full(env) })
}
