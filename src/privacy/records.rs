//! Patients' records whose time is past: nobody was seen for years, and who was a child then has long come of age.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use jiff::ToSpan;
use jiff::civil;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::retention::Page;
use crate::accounts::closing;
use crate::audit;
use crate::clock::Timestamp;
use crate::db::schema::{holds, patient_access, patients, users};
use crate::db::types::{Date, Day, Instant, Uid};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{PatientId, UserId};
use crate::patients::adulthood::birthday;
use crate::trail::Trail;

/// How many records are looked at at once.
const PAGE: i64 = 200;

/// The visits of the patient `$1`.
const VISITS: &str = "appointment_id IN (SELECT id FROM appointments WHERE patient_id = $1)";

/// What hangs on a record, in the order in which it may go; `$1` is the patient. What goes by itself with a row that is
/// named here is not. A test compares it with the database.
pub const RECORD: &[(&str, &str)] = &[
    ("intake_flags", "patient_id = $1"),
    ("intake_versions", "intake_id IN (SELECT id FROM intakes WHERE patient_id = $1)"),
    ("intakes", "patient_id = $1"),
    ("lab_results", "patient_id = $1"),
    ("messages", "patient_id = $1"),
    ("messages", VISITS),
    ("slots", VISITS),
    ("appointment_links", VISITS),
    ("appointment_history", VISITS),
    ("appointments", "patient_id = $1"),
    ("consents", "patient_id = $1"),
    ("patient_access", "patient_id = $1"),
    ("patient_invitations", "patient_id = $1"),
    ("record_openings", "patient_id = $1"),
    ("patients", "id = $1"),
];

/// The instant so many years ago; `None` for none.
pub fn cutoff(now: Timestamp, years: u8) -> Option<Timestamp> {
    (years > 0).then(|| back(now, years))
}

fn back(now: Timestamp, years: u8) -> Timestamp {
    let then = now.in_zone(&TimeZone::UTC).saturating_sub(i64::from(years).years());
    Timestamp::from(then.timestamp())
}

/// Whether a record may go: its patient was last seen before `cutoff`, and if they were under age then, they have been of age
/// (from the birthday `adult_on`) for `minors_years` on the day `today`.
pub fn is_past(
    adult_on: civil::Date,
    seen: Timestamp,
    cutoff: Timestamp,
    today: civil::Date,
    minors_years: u8,
) -> bool {
    let was_minor = seen.in_zone(&TimeZone::UTC).date() < adult_on;
    seen < cutoff && (!was_minor || adult_on.saturating_add(i64::from(minors_years).years()) <= today)
}

#[derive(QueryableByName)]
struct Candidate {
    #[diesel(sql_type = Uid)]
    id: PatientId,
    #[diesel(sql_type = Day)]
    born: Date,
}

#[derive(QueryableByName)]
struct Seen {
    #[diesel(sql_type = Nullable<Instant>)]
    at: Option<Timestamp>,
}

/// The records after an id whose time is past. Made before the instant, they may be: the rest is asked one by one.
///
/// # Errors
/// The database's.
pub fn due(conn: &mut Conn, env: &Env, before: Timestamp, after: Uuid) -> Result<Page> {
    let query = diesel::sql_query(
        "SELECT id, date_of_birth AS born FROM patients p WHERE p.id > $1 AND p.created_at < $2
         AND NOT EXISTS (SELECT 1 FROM appointments a WHERE a.patient_id = p.id AND a.ends_at >= $2)
         ORDER BY p.id LIMIT $3",
    )
    .bind::<Uid, _>(PatientId(after))
    .bind::<Instant, _>(before)
    .bind::<BigInt, _>(PAGE);
    let candidates: Vec<Candidate> = per_backend!(conn, conn => query.load(conn))?;
    let next = candidates.last().map(|last| last.id.0);
    let mut ids = Vec::new();
    for Candidate { id, born } in candidates {
        if may_go(conn, env, id, born, before)? {
            ids.push(id.0);
        }
    }
    Ok(Page { ids, next })
}

fn may_go(conn: &mut Conn, env: &Env, id: PatientId, born: Date, before: Timestamp) -> Result<bool> {
    let today = env.now().in_zone(&TimeZone::UTC).date();
    let settings = &env.config.settings;
    let (adult_on, minors) = (birthday(born.0, settings.adult_age), settings.retention.retain_minors_years);
    match last_seen(conn, id)? {
        Some(seen) => Ok(is_past(adult_on, seen, before, today, minors)),
        None => Ok(false),
    }
}

/// When the clinic last had to do with the patient: the record was made, a visit was to end that was not called off, a history
/// was written, a result entered.
fn last_seen(conn: &mut Conn, id: PatientId) -> Result<Option<Timestamp>> {
    let query = diesel::sql_query(
        "SELECT max(at) AS at FROM (
             SELECT created_at AS at FROM patients WHERE id = $1
             UNION ALL SELECT ends_at FROM appointments WHERE patient_id = $1 AND status <> 'cancelled'
             UNION ALL SELECT authored_at FROM intakes WHERE patient_id = $1
             UNION ALL SELECT created_at FROM lab_results WHERE patient_id = $1
         ) AS seen",
    )
    .bind::<Uid, _>(id);
    let seen: Seen = per_backend!(conn, conn => query.get_result(conn))?;
    Ok(seen.at)
}

/// Deletes a record whose time is past, with all that hangs on it, and makes accounts that acted for nobody else nameless.
/// What the audit trail says of it stays, and says this as well.
///
/// # Errors
/// The database's.
pub fn remove(tx: &mut Conn, env: &Env, before: Timestamp, id: Uuid) -> Result<bool> {
    let id = PatientId(id);
    let born = patients::table.find(id).select(patients::date_of_birth);
    let born: Option<Date> = match tx {
        Conn::Sqlite(tx) => born.first(tx),
        // So that nobody books meanwhile.
        Conn::Postgres(tx) => born.for_update().first(tx),
    }
    .optional()?;
    let Some(born) = born else { return Ok(false) };
    if !may_go(tx, env, id, born, before)? {
        return Ok(false);
    }
    let accounts: Vec<UserId> = patient_access::table
        .filter(patient_access::patient_id.eq(id))
        .order(patient_access::user_id)
        .select(patient_access::user_id)
        .load(tx)?;
    delete(tx, id)?;
    for account in accounts {
        forget(tx, env, account)?;
    }
    let trail = Trail::of_command("purge_record");
    trail.note_patient(id);
    audit::record(tx, env, &trail, id.0)?;
    Ok(true)
}

/// Deletes a record with all that hangs on it.
fn delete(tx: &mut Conn, id: PatientId) -> Result<()> {
    for (table, condition) in RECORD {
        let query = diesel::sql_query(format!("DELETE FROM {table} WHERE {condition}")).bind::<Uid, _>(id);
        per_backend!(tx, tx => query.execute(tx))?;
    }
    Ok(())
}

/// Takes name, address and password from an account that acts for nobody any more. Its row stays: lines of other records may
/// name it.
fn forget(tx: &mut Conn, env: &Env, id: UserId) -> Result<()> {
    let others: i64 = patient_access::table.filter(patient_access::user_id.eq(id)).count().get_result(tx)?;
    if others > 0 {
        return Ok(());
    }
    diesel::delete(holds::table.filter(holds::user_id.eq(id))).execute(tx)?;
    closing::end(tx, id)?;
    let nobody = format!("{id}@removed.invalid");
    let is_patient = users::table.find(id).filter(users::role.eq("patient"));
    diesel::update(is_patient)
        .set((
            users::email.eq(&nobody),
            users::email_key.eq(&nobody),
            users::name.eq(None::<String>),
            users::password_hash.eq(None::<String>),
            users::second_factor_at.eq(None::<Timestamp>),
            users::disabled_at.eq(env.now()),
            users::version.eq(users::version + 1),
            users::updated_at.eq(env.now()),
        ))
        .execute(tx)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn an_adult_is_forgotten_years_after_the_last_visit_and_a_child_years_after_coming_of_age() {
        let now = at("2040-06-01T00:00:00Z");
        let (today, cutoff) = (date(2040, 6, 1), cutoff(now, 10).expect("some years"));
        assert_eq!(cutoff, at("2030-06-01T00:00:00Z"));
        for (born, seen, expected) in [
            (date(1960, 1, 1), "2030-05-31T23:59:59Z", true),
            (date(1960, 1, 1), "2030-06-01T00:00:00Z", false),
            // Last seen at 17, 24 today.
            (date(2012, 1, 1), "2029-06-01T00:00:00Z", true),
            (date(2013, 1, 1), "2029-06-01T00:00:00Z", false),
            // Last seen on the eighteenth birthday.
            (date(2011, 6, 1), "2029-06-01T00:00:00Z", true),
            (date(2011, 6, 2), "2029-06-01T00:00:00Z", true),
        ] {
            assert_eq!(is_past(birthday(born, 18), at(seen), cutoff, today, 10), expected, "{born} {seen}");
        }
        assert!(super::cutoff(now, 0).is_none());
    }

    proptest! {
        #[test]
        fn no_child_is_forgotten_before_it_was_of_age_for_the_years_set(
            born in 0..20_000_i64, seen in 0..20_000_i64, years in 1..30_u8, minors in 0..30_u8,
        ) {
            let born = date(1980, 1, 1).saturating_add(born.days());
            let now = at("2040-06-01T00:00:00Z");
            let seen = now.minus(jiff::SignedDuration::from_hours(24 * seen));
            let cutoff = cutoff(now, years).expect("some years");
            let adult = birthday(born, 18);
            if is_past(adult, seen, cutoff, date(2040, 6, 1), minors) {
                prop_assert!(seen < cutoff);
                prop_assert!(
                    seen.in_zone(&TimeZone::UTC).date() >= adult
                        || adult.saturating_add(i64::from(minors).years()) <= date(2040, 6, 1)
                );
            }
        }
    }
}
