//! Registrations whose address nobody has verified. Registering the address again replaces them, and so does accepting an
//! invitation to it: what came before may be a stranger's.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::access;
use crate::db::schema::{consents, messages, patient_access, patients};
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{PatientId, UserId};

/// What refers to patients and keeps a record in the house, because the staff or another account have worked with it. The
/// other tables that do are emptied with the record; a test compares both lists with the database.
pub const KEEPERS: &[&str] = &[
    "appointments",
    "intake_flags",
    "intakes",
    "lab_results",
    "patient_identifiers",
    "patient_invitations",
    "record_openings",
];
/// What a registration itself writes about a patient, and goes with the record.
pub const OWN: &[&str] = &["consents", "messages", "patient_access", "patient_name_words"];

/// Takes away what an account that was never verified has brought: its access, and the records that nobody has worked with
/// since. A record that the staff have changed or used stays, without any account.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Conn, user: UserId) -> Result<()> {
    let brought: Vec<PatientId> = patient_access::table
        .filter(patient_access::user_id.eq(user))
        .order(patient_access::patient_id)
        .select(patient_access::patient_id)
        .load(tx)?;
    for patient in brought {
        access::revoke(tx, user, patient)?;
        if is_untouched(tx, patient)? {
            remove(tx, patient)?;
        }
    }
    Ok(())
}

/// Whether nobody has worked with the record since it was made. It is locked, so that nobody begins to.
fn is_untouched(tx: &mut Conn, patient: PatientId) -> Result<bool> {
    let record = patients::table.find(patient).select(patients::version);
    let version: i32 = match tx {
        Conn::Sqlite(tx) => record.first(tx)?,
        Conn::Postgres(tx) => record.for_update().first(tx)?,
    };
    let others: i64 = patient_access::table.filter(patient_access::patient_id.eq(patient)).count().get_result(tx)?;
    Ok(version == 1 && others == 0 && !is_used(tx, patient)?)
}

#[derive(QueryableByName)]
struct Used {
    #[diesel(sql_type = Bool)]
    used: bool,
}

fn is_used(tx: &mut Conn, patient: PatientId) -> Result<bool> {
    let any: Vec<_> =
        KEEPERS.iter().map(|table| format!("EXISTS (SELECT 1 FROM {table} WHERE patient_id = $1)")).collect();
    let query = diesel::sql_query(format!("SELECT {} AS used", any.join(" OR "))).bind::<Uid, _>(patient);
    let found: Used = per_backend!(tx, tx => query.get_result(tx))?;
    Ok(found.used)
}

fn remove(tx: &mut Conn, patient: PatientId) -> Result<()> {
    // The mail with the old link may be on its way; its token is good for nothing any more.
    diesel::update(messages::table.filter(messages::patient_id.eq(patient)))
        .set(messages::patient_id.eq(None::<PatientId>))
        .execute(tx)?;
    diesel::delete(consents::table.filter(consents::patient_id.eq(patient))).execute(tx)?;
    // The words of the names go with it.
    diesel::delete(patients::table.find(patient)).execute(tx)?;
    Ok(())
}
