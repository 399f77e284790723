//! Retention of patients' records. A record is deleted some years after the patient was last seen; that of a minor also some years after
//! the patient became an adult.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use jiff::ToSpan;
use jiff::civil;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::due::DuePage;
use super::own_account;
use crate::accounts;
use crate::audit;
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::context::access_lock;
use crate::db::schema::{patient_access, patients};
use crate::db::types::{Date, Day, Instant, Uid};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};
use crate::patients::access::adulthood::birthday;

/// The most records of a page.
const PAGE: i64 = 200;

/// The visits of the patient `$1`.
const VISITS: &str = "appointment_id IN (SELECT id FROM appointments WHERE patient_id = $1)";

/// The tables with rows about a patient (`$1`), in the order in which they can be deleted. Rows that a foreign key deletes are not listed. A
/// test compares the list with the database.
pub const RECORD: &[(&str, &str)] = &[
    ("follow_up_links", "follow_up_id IN (SELECT id FROM follow_ups WHERE patient_id = $1)"),
    ("follow_ups", "patient_id = $1"),
    ("intake_flags", "patient_id = $1"),
    ("intake_versions", "intake_id IN (SELECT id FROM intakes WHERE patient_id = $1)"),
    ("intakes", "patient_id = $1"),
    ("lab_result_versions", "lab_result_id IN (SELECT id FROM lab_results WHERE patient_id = $1)"),
    ("lab_results", "patient_id = $1"),
    ("waitlist_offer_links", "offer_id IN (SELECT id FROM waitlist_offers WHERE patient_id = $1)"),
    ("waitlist_offers", "patient_id = $1"),
    ("waitlist_entries", "patient_id = $1"),
    ("messages", "patient_id = $1"),
    ("messages", VISITS),
    ("slots", VISITS),
    ("resource_occupancy", VISITS),
    ("appointment_links", VISITS),
    ("appointment_history", VISITS),
    ("appointment_series_visits", VISITS),
    ("appointment_series", "patient_id = $1"),
    ("appointments", "patient_id = $1"),
    ("consents", "patient_id = $1"),
    ("patient_access", "patient_id = $1"),
    ("patient_invitations", "patient_id = $1"),
    ("record_openings", "patient_id = $1"),
    ("patient_merge_flags", "merge_id IN (SELECT id FROM patient_merges WHERE $1 IN (survivor_id, duplicate_id))"),
    ("patient_merge_rows", "merge_id IN (SELECT id FROM patient_merges WHERE $1 IN (survivor_id, duplicate_id))"),
    ("patient_merges", "$1 IN (survivor_id, duplicate_id)"),
    ("patients", "id = $1"),
];

/// Returns the instant some years ago; none for 0 years.
pub fn cutoff(now: Timestamp, years: u8) -> Option<Timestamp> {
    (years > 0).then(|| back(now, years))
}

fn back(now: Timestamp, years: u8) -> Timestamp {
    let then = now.in_zone(&TimeZone::UTC).saturating_sub(i64::from(years).years());
    Timestamp::from(then.timestamp())
}

/// Returns whether a record has passed its retention period: the patient was last seen before `cutoff`. A patient who was a minor then must
/// also have been an adult (since the birthday `adult_on`) for `minors_years` on the day `today`.
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

/// Loads the records after an id that have passed their retention period. One query selects candidates by `before`; each is then checked.
pub fn due(conn: &mut Conn, env: &Env, before: Timestamp, after: Uuid) -> Result<DuePage> {
    let query = diesel::sql_query(
        "SELECT id, date_of_birth AS born FROM patients p WHERE p.id > $1 AND p.created_at < $2 AND p.replaced_by IS NULL
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
        if may_be_deleted(conn, env, id, born, before)? {
            ids.push(id.0);
        }
    }
    Ok(DuePage { ids, next })
}

fn may_be_deleted(conn: &mut Conn, env: &Env, id: PatientId, born: Date, before: Timestamp) -> Result<bool> {
    let today = env.now().in_zone(&TimeZone::UTC).date();
    let settings = &env.config.settings;
    let (adult_on, minors) = (birthday(born.0, settings.adult_age), settings.retention.retain_minors_years);
    match last_seen(conn, id)? {
        Some(seen) => Ok(is_past(adult_on, seen, before, today, minors)),
        None => Ok(false),
    }
}

/// Returns the last activity of the patient: the creation of the record, the end of a visit that was not cancelled, an intake, or a
/// laboratory result.
fn last_seen(conn: &mut Conn, id: PatientId) -> Result<Option<Timestamp>> {
    let query = diesel::sql_query(
        "SELECT max(at) AS at FROM (
             SELECT created_at AS at FROM patients WHERE id = $1 OR replaced_by = $1
             UNION ALL SELECT ends_at FROM appointments WHERE patient_id = $1 AND status <> 'cancelled'
             UNION ALL SELECT authored_at FROM intakes WHERE patient_id = $1
             UNION ALL SELECT created_at FROM lab_results WHERE patient_id = $1
         ) AS seen",
    )
    .bind::<Uid, _>(id);
    let seen: Seen = per_backend!(conn, conn => query.get_result(conn))?;
    Ok(seen.at)
}

/// Deletes a record that has passed its retention period, with the records that were merged into it and everything that belongs to them, and
/// anonymises the accounts that acted for no
/// other patient. Its audit events stay, and the deletion adds one. Returns whether it was deleted.
pub fn remove(tx: &mut Conn, env: &Env, before: Timestamp, id: Uuid) -> Result<bool> {
    let id = PatientId(id);
    // Accounts are locked before records. Nobody gives them access to another patient until the transaction ends.
    let accounts = accounts_of(tx, id)?;
    for account in &accounts {
        access_lock::wait(tx, *account)?;
        accounts::store::lock(tx, *account)?;
    }
    let born = patients::table.find(id).select(patients::date_of_birth);
    let born: Option<Date> = match tx {
        Conn::Sqlite(tx) => born.first(tx),
        // The lock prevents bookings meanwhile.
        Conn::Postgres(tx) => born.for_update().first(tx),
    }
    .optional()?;
    let Some(born) = born else { return Ok(false) };
    if !may_be_deleted(tx, env, id, born, before)? {
        return Ok(false);
    }
    if accounts_of(tx, id)? != accounts {
        return Err(Error::Retry);
    }
    for record in joined(tx, id)? {
        delete(tx, record)?;
    }
    for account in accounts {
        close_unused(tx, env, account)?;
    }
    let audit_context = AuditContext::of_command("purge_record");
    audit_context.note_patient(id);
    audit::record(tx, env, &audit_context, id.0)?;
    Ok(true)
}

/// Returns the records that were merged into a record, and then the record.
fn joined(conn: &mut Conn, id: PatientId) -> Result<Vec<PatientId>> {
    let merged = patients::table.filter(patients::replaced_by.eq(id)).order(patients::id).select(patients::id);
    let mut records: Vec<PatientId> = merged.load(conn)?;
    records.push(id);
    Ok(records)
}

/// Returns the accounts with access to a record or to those that were merged into it, by id.
fn accounts_of(conn: &mut Conn, id: PatientId) -> Result<Vec<UserId>> {
    let records = joined(conn, id)?;
    Ok(patient_access::table
        .filter(patient_access::patient_id.eq_any(records))
        .order(patient_access::user_id)
        .select(patient_access::user_id)
        .distinct()
        .load(conn)?)
}

/// Deletes a record with everything that belongs to it.
fn delete(tx: &mut Conn, id: PatientId) -> Result<()> {
    for (table, condition) in RECORD {
        let query = diesel::sql_query(format!("DELETE FROM {table} WHERE {condition}")).bind::<Uid, _>(id);
        per_backend!(tx, tx => query.execute(tx))?;
    }
    Ok(())
}

/// Closes an account that acts for no patient any more.
fn close_unused(tx: &mut Conn, env: &Env, id: UserId) -> Result<()> {
    let others: i64 = patient_access::table.filter(patient_access::user_id.eq(id)).count().get_result(tx)?;
    if others > 0 {
        return Ok(());
    }
    own_account::end(tx, id, env.now())
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
    fn a_record_is_deleted_years_after_the_last_visit_and_a_minors_record_years_after_adulthood() {
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
        fn no_minors_record_is_deleted_before_the_years_set_after_adulthood(
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
