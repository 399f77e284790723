//! Loading, locking and storing records.

use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::model::{Patient, PatientView, Profile, Record, RowKey, require_active};
use super::mrn;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::schema::{patient_access, patient_name_prefixes, patients, users};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::response::Versioned;
use crate::identifiers::{self, Identifiers};
use crate::ids::PatientId;
use crate::patients::consents::{ConsentType, settled};
use crate::patients::{access, names};
use crate::sealed::Place;

/// Stores a new record with a medical record number of its own.
///
/// # Errors
/// The conflict `identifier_taken`.
pub fn insert(tx: &mut Tx<impl Principal>, profile: &Profile) -> Result<Patient> {
    let id = tx.env.new_id();
    let details = tx.env.sealer.seal(details_place(id), &profile.details)?;
    let mrn = mrn::draw(&tx.env.entropy);
    let key = RowKey {
        id,
        mrn,
        details,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
        replaced_by: None,
        retired_at: None,
    };
    let patient = Patient::with_profile(profile, key);
    diesel::insert_into(patients::table).values(&patient).execute(tx.conn)?;
    insert_prefixes(tx.conn, &patient)?;
    if !patient.identifiers.0.is_empty() {
        identifiers::set_for_patient(tx.conn, id, &patient.identifiers)?;
    }
    Ok(patient)
}

/// Stores a changed record as the version after `was`.
///
/// # Errors
/// [`Error::Stale`] if another change was first; the conflict `identifier_taken`.
pub fn update(tx: &mut Tx, was: &Patient, profile: &Profile) -> Result<Patient> {
    let key = RowKey {
        id: was.id,
        mrn: was.mrn.clone(),
        details: tx.env.sealer.seal(details_place(was.id), &profile.details)?,
        version: was.version + 1,
        created_at: was.created_at,
        updated_at: tx.now,
        replaced_by: was.replaced_by,
        retired_at: was.retired_at,
    };
    let patient = Patient::with_profile(profile, key);
    let unchanged = patients::table.filter(patients::id.eq(was.id)).filter(patients::version.eq(was.version));
    if diesel::update(unchanged).set(&patient).execute(tx.conn)? != 1 {
        return Err(Error::Stale);
    }
    delete_prefixes(tx.conn, was.id)?;
    insert_prefixes(tx.conn, &patient)?;
    if patient.identifiers != was.identifiers {
        identifiers::set_for_patient(tx.conn, was.id, &patient.identifiers)?;
    }
    Ok(patient)
}

/// Loads a record without asking who may see it. The caller must have authorised the request.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find_authorised(conn: &mut Conn, id: PatientId) -> Result<Patient> {
    Ok(patients::table.find(id).select(Patient::as_select()).first(conn)?)
}

/// Raises the version of a record, because something that is shown with it has changed.
pub fn touch(conn: &mut Conn, id: PatientId, now: Timestamp) -> Result<()> {
    diesel::update(patients::table.find(id))
        .set((patients::version.eq(patients::version + 1), patients::updated_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// Stores whether a patient wants reminders.
pub fn set_reminders_wanted(conn: &mut Conn, id: PatientId, wanted: bool, now: Timestamp) -> Result<()> {
    let others = patients::table.filter(patients::id.eq(id)).filter(patients::reminders_wanted.ne(wanted));
    let change = patients::reminders_wanted.eq(wanted);
    diesel::update(others)
        .set((change, patients::version.eq(patients::version + 1), patients::updated_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// Returns what the record says, with its sealed part opened.
///
/// # Errors
/// A fault if the sealed part does not open.
pub fn profile(env: &Env, patient: &Patient) -> Result<Profile> {
    let details = env.sealer.open(details_place(patient.id), &patient.details)?;
    Ok(Profile::of_row(patient, details))
}

fn details_place(id: PatientId) -> Place {
    Place::new("patients", "details", id.0)
}

/// Stores by which record this one is replaced; none if it is in use again.
pub fn set_replaced_by(conn: &mut Conn, patient: &Patient, by: Option<PatientId>, now: Timestamp) -> Result<()> {
    // One statement, because the event of the change follows from the row before and after it.
    diesel::update(patients::table.find(patient.id))
        .set((patients::replaced_by.eq(by), patients::version.eq(patients::version + 1), patients::updated_at.eq(now)))
        .execute(conn)?;
    index_names(conn, patient, by.is_none())
}

/// Stores since when a record is retired; none if it is in use again.
pub fn set_retired(conn: &mut Conn, patient: &Patient, at: Option<Timestamp>, now: Timestamp) -> Result<()> {
    // One statement, because the event of the change follows from the row before and after it.
    diesel::update(patients::table.find(patient.id))
        .set((patients::retired_at.eq(at), patients::version.eq(patients::version + 1), patients::updated_at.eq(now)))
        .execute(conn)?;
    index_names(conn, patient, at.is_none())
}

/// Lets a search by name find the record only while it is in use.
fn index_names(conn: &mut Conn, patient: &Patient, is_in_use: bool) -> Result<()> {
    delete_prefixes(conn, patient.id)?;
    if is_in_use { insert_prefixes(conn, patient) } else { Ok(()) }
}

/// Stores the identifiers that a record shows, as its next version. The caller sets those by which it is found.
pub fn set_identifiers(conn: &mut Conn, id: PatientId, identifiers: &Identifiers, now: Timestamp) -> Result<()> {
    diesel::update(patients::table.find(id))
        .set((
            patients::identifiers.eq(identifiers),
            patients::version.eq(patients::version + 1),
            patients::updated_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

fn delete_prefixes(conn: &mut Conn, patient: PatientId) -> Result<()> {
    let earlier = patient_name_prefixes::table.filter(patient_name_prefixes::patient_id.eq(patient));
    diesel::delete(earlier).execute(conn)?;
    Ok(())
}

/// Stores the beginnings of a patient's names.
fn insert_prefixes(conn: &mut Conn, patient: &Patient) -> Result<()> {
    let rows: Vec<_> = names::prefixes(patient.names())
        .into_iter()
        .map(|prefix| {
            (
                patient_name_prefixes::prefix.eq(prefix),
                patient_name_prefixes::created_at.eq(patient.created_at),
                patient_name_prefixes::patient_id.eq(patient.id),
            )
        })
        .collect();
    per_backend!(conn, conn => diesel::insert_into(patient_name_prefixes::table).values(rows).execute(conn))?;
    Ok(())
}

/// Returns whether the actor sees every patient, and notes this one for the audit event.
///
/// # Errors
/// [`Error::NotFound`] if the actor sees no patients at all.
fn sees_all(actor: &Actor, id: PatientId) -> Result<bool> {
    actor.audit.note_patient(id);
    access::reaches_all(actor)
}

/// The query of a patient, who is found if `$sees_all` holds or the actor may act for the patient.
macro_rules! patient_of {
    ($sees_all:expr, $env:expr, $actor:expr, $id:expr) => {
        patients::table.find($id).filter(
            $sees_all.into_sql::<Bool>().or(patients::id.eq_any(access::patients_of($actor.user_id, $env.now()))),
        )
    };
}

/// What a lock of a patient reads.
type Locked = (PatientId, Option<PatientId>, Option<Timestamp>);

/// Returns the patient of a lock, whose record must be in use.
fn in_use((id, replaced_by, retired_at): Locked) -> Result<PatientId> {
    require_active(replaced_by, retired_at)?;
    Ok(id)
}

/// Runs a query that locks one row. SQLite's writes are serial.
macro_rules! locked {
    ($conn:expr, $query:expr) => {
        match $conn {
            Conn::Sqlite(conn) => in_use($query.first(conn)?),
            Conn::Postgres(conn) => in_use($query.for_no_key_update().first(conn)?),
        }
    };
}

/// Loads a patient.
///
/// # Errors
/// [`Error::NotFound`] if there is none that the actor may see.
pub fn visible(conn: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<Patient> {
    let sees_all = sees_all(actor, id)?;
    Ok(per_backend!(conn, conn => patient_of!(sees_all, env, actor, id).select(Patient::as_select()).first(conn))?)
}

/// Loads a patient to whose record something is added.
///
/// # Errors
/// Those of [`visible`] and [`Patient::require_active`].
pub fn visible_in_use(conn: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<Patient> {
    let patient = visible(conn, env, actor, id)?;
    patient.require_active()?;
    Ok(patient)
}

/// Locks a patient, so that changes of what belongs to the patient run one after the other.
///
/// # Errors
/// [`Error::NotFound`] if there is none that the actor may see; those of [`require_active`].
pub fn lock(conn: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<PatientId> {
    let patient = patients::table.find(id).select((patients::id, patients::replaced_by, patients::retired_at));
    // Not [`patient_of`]: PostgreSQL would plan that query anew each time, because each kind of actor has a better plan of its own.
    if sees_all(actor, id)? {
        return locked!(conn, patient);
    }
    locked!(conn, patient.filter(patients::id.eq_any(access::patients_of(actor.user_id, env.now()))))
}

/// Returns whether the record was merged into another one.
pub fn is_replaced(conn: &mut Conn, id: PatientId) -> Result<bool> {
    Ok(patients::table.find(id).select(patients::replaced_by.is_not_null()).first(conn)?)
}

/// Requires that a row belongs to the patient whose lock the transaction has waited for. A merge, or its undo, may have given it to another
/// record meanwhile.
///
/// # Errors
/// [`Error::Retry`]: the transaction runs again, and decides again who may do what.
pub fn require_same_owner(locked: PatientId, owner: PatientId) -> Result<()> {
    if owner == locked { Ok(()) } else { Err(Error::Retry) }
}

/// Locks a patient, whether or not the record is in use.
///
/// # Errors
/// [`Error::NotFound`].
pub fn lock_record(conn: &mut Conn, id: PatientId) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        patients::table.find(id).select(patients::id).for_no_key_update().first::<PatientId>(conn)?;
    }
    Ok(())
}

/// Makes changes of one patient's visits, intakes, laboratory results and flags wait for each other, and requires that the record is in
/// use. SQLite's writes wait anyway.
///
/// The constraint `patient_busy` forbids that two visits overlap. Without this lock, two inserts that each find the other one uncommitted
/// would wait for each other until PostgreSQL detects the deadlock.
///
/// # Errors
/// Those of [`require_active`], also if the record was merged or retired since the caller read what belongs to it.
pub fn lock_visits(conn: &mut Conn, id: PatientId) -> Result<()> {
    let row = patients::table.find(id).select((patients::id, patients::replaced_by, patients::retired_at));
    locked!(conn, row).map(drop)
}

/// Like [`lock`]. For an actor who is not staff it also locks the account, for what is counted by account.
///
/// # Errors
/// Those of [`lock`].
pub fn lock_by_account(conn: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<PatientId> {
    let Conn::Postgres(pg) = conn else { return lock(conn, env, actor, id) };
    if sees_all(actor, id)? {
        return lock(conn, env, actor, id);
    }
    // One statement locks the account first and the patient last, in the order of the tables, as all that lock both do.
    let locked = users::table
        .inner_join(patient_access::table.on(patient_access::user_id.eq(users::id)))
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(users::id.eq(actor.user_id))
        .filter(patients::id.eq(id))
        .filter(access::active(env.now()))
        .select((patients::id, patients::replaced_by, patients::retired_at))
        .for_no_key_update()
        .first(pg)?;
    in_use(locked)
}

macro_rules! record_columns {
    () => {
        (Patient::as_select(), settled!(ConsentType::Treatment), settled!(ConsentType::PrivacyNotice))
    };
}
pub(super) use record_columns;

/// Loads a patient with the settled consents.
///
/// # Errors
/// [`Error::NotFound`] if there is none that the actor may see.
pub fn record(tx: &mut Tx, id: PatientId) -> Result<Record> {
    let (env, actor) = (tx.env, tx.actor);
    let sees_all = sees_all(actor, id)?;
    Ok(per_backend!(tx.conn, conn => patient_of!(sees_all, env, actor, id).select(record_columns!()).first(conn))?)
}

/// Loads the records that were merged into one that the actor may see.
pub fn merged_into(tx: &mut Tx, patient: PatientId) -> Result<Vec<PatientView>> {
    let merged = patients::table.filter(patients::replaced_by.eq(patient)).order(patients::id);
    let records: Vec<Record> = per_backend!(tx.conn, conn => merged.select(record_columns!()).load(conn))?;
    records.iter().map(|record| PatientView::new(tx.env, record)).collect()
}

impl PatientView {
    /// Loads a patient's record.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none that the actor may see.
    pub fn load(tx: &mut Tx, id: PatientId) -> Result<Versioned<Self>> {
        let record = record(tx, id)?;
        Ok(Versioned { version: record.patient.version, object: Self::new(tx.env, &record)? })
    }

    /// The record as callers see it.
    ///
    /// # Errors
    /// A fault if the sealed part does not open.
    pub fn new(env: &Env, record: &Record) -> Result<Self> {
        Ok(Self::of_record(record, profile(env, &record.patient)?))
    }
}
