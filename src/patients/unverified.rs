//! Registrations whose address was not verified. They are replaced by the same caller's next registration of the address, by following the
//! link of another registration, and by accepting an invitation, because the earlier one may be a stranger's.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::db::schema::{consents, messages, patient_access, patients};
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{PatientId, UserId};
use crate::patients::access::grant;

/// The tables whose rows keep a record from deletion, because staff or another account have used it. The other tables that refer to
/// patients are emptied together with the record. A test compares both lists with the database.
pub const KEEPERS: &[&str] = &[
    "appointment_series",
    "appointments",
    "follow_ups",
    "intake_flags",
    "intakes",
    "lab_results",
    "patient_identifiers",
    "patient_invitations",
    "patient_retirements",
    "record_openings",
    "waitlist_entries",
    "waitlist_offers",
];
/// The tables whose rows come with a later version of the record, which keeps it as well.
pub const LATER: &[&str] = &["patient_merges", "patients"];
/// The tables that a registration itself writes. Their rows are deleted with the record.
pub const OWN: &[&str] = &[
    "access_givers",
    "access_links",
    "consents",
    "messages",
    "patient_access",
    "patient_name_prefixes",
    "record_guards",
];

/// Deletes what an account that was never verified has created: its access, and the records that were not used since. A record that
/// staff have changed or used stays, without any account.
pub fn discard(conn: &mut Conn, user: UserId) -> Result<()> {
    let created: Vec<PatientId> = patient_access::table
        .filter(patient_access::user_id.eq(user))
        .order(patient_access::patient_id)
        .select(patient_access::patient_id)
        .load(conn)?;
    for patient in created {
        grant::revoke(conn, user, patient)?;
        if is_unused(conn, patient)? {
            remove(conn, patient)?;
        }
    }
    Ok(())
}

/// Runs the transaction again if another registration of the address was first, so that it finds that account. The conflict itself would
/// reveal that the address is known.
pub fn retry_if_email_taken(error: Error) -> Error {
    match error {
        Error::Conflict(conflict) if conflict.code == ProblemCode::EmailTaken => Error::Retry,
        other => other,
    }
}

/// Returns whether the record was not used since its creation. Locks it, so that its use cannot begin.
fn is_unused(conn: &mut Conn, patient: PatientId) -> Result<bool> {
    let record = patients::table.find(patient).select(patients::version);
    let version: i32 = match conn {
        Conn::Sqlite(conn) => record.first(conn)?,
        Conn::Postgres(conn) => record.for_update().first(conn)?,
    };
    let others: i64 = patient_access::table.filter(patient_access::patient_id.eq(patient)).count().get_result(conn)?;
    Ok(version == 1 && others == 0 && !is_referred_to(conn, patient)?)
}

#[derive(QueryableByName)]
struct Referred {
    #[diesel(sql_type = Bool)]
    referred: bool,
}

fn is_referred_to(conn: &mut Conn, patient: PatientId) -> Result<bool> {
    let any: Vec<_> =
        KEEPERS.iter().map(|table| format!("EXISTS (SELECT 1 FROM {table} WHERE patient_id = $1)")).collect();
    let query = diesel::sql_query(format!("SELECT {} AS referred", any.join(" OR "))).bind::<Uid, _>(patient);
    let found: Referred = per_backend!(conn, conn => query.get_result(conn))?;
    Ok(found.referred)
}

fn remove(conn: &mut Conn, patient: PatientId) -> Result<()> {
    // A mail with the old link may still be queued; its token does not work any more.
    diesel::update(messages::table.filter(messages::patient_id.eq(patient)))
        .set(messages::patient_id.eq(None::<PatientId>))
        .execute(conn)?;
    diesel::delete(consents::table.filter(consents::patient_id.eq(patient))).execute(conn)?;
    // The foreign keys delete the words of the names, and what guards the record.
    diesel::delete(patients::table.find(patient)).execute(conn)?;
    Ok(())
}
