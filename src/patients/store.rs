//! The queries of this department.

use std::collections::BTreeSet;

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::consents::{ConsentType, settled};
use super::model::{self, Details, Patient, Profile};
use super::{access, names};
use crate::actor::{Action, Actor, Reach};
use crate::clock::Timestamp;
use crate::db::schema::{counters, patient_access, patient_identifiers, patient_name_words, patients, users};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::paging::{Cursor, Limit};
use crate::identifiers::{self, Token, identified};
use crate::ids::PatientId;
use crate::phone::{self, Country};
use crate::sealed::{Place, Sealed};

/// Makes a record with the next number.
///
/// # Errors
/// The conflict `identifier_taken`.
pub fn insert(tx: &mut Conn, env: &Env, profile: &Profile) -> Result<Patient> {
    let number = diesel::update(counters::table.find("mrn"))
        .set(counters::value.eq(counters::value + 1))
        .returning(counters::value)
        .get_result::<i64>(tx)?;
    let now = env.now();
    let id = env.new_id();
    let patient = row(env, id, model::mrn(number), profile, 1, (now, now))?;
    diesel::insert_into(patients::table).values(&patient).execute(tx)?;
    insert_words(tx, &patient)?;
    if !patient.identifiers.0.is_empty() {
        identifiers::set_for_patient(tx, id, &patient.identifiers)?;
    }
    Ok(patient)
}

/// Writes a changed record as the version after `was`.
///
/// # Errors
/// [`Error::Stale`] where another change came first; the conflict `identifier_taken`.
pub fn update(tx: &mut Conn, env: &Env, was: &Patient, profile: &Profile) -> Result<Patient> {
    let times = (was.created_at, env.now());
    let patient = row(env, was.id, was.mrn.clone(), profile, was.version + 1, times)?;
    let here = patients::table.filter(patients::id.eq(was.id)).filter(patients::version.eq(was.version));
    if diesel::update(here).set(&patient).execute(tx)? != 1 {
        return Err(Error::Stale);
    }
    diesel::delete(patient_name_words::table.filter(patient_name_words::patient_id.eq(was.id))).execute(tx)?;
    insert_words(tx, &patient)?;
    if patient.identifiers != was.identifiers {
        identifiers::set_for_patient(tx, was.id, &patient.identifiers)?;
    }
    if patient.date_of_birth != was.date_of_birth {
        access::reckon_ends(tx, env, &patient)?;
    }
    Ok(patient)
}

/// Notes that something shown with the record has changed, so that its ETag changes.
///
/// # Errors
/// The database's.
pub fn touch(tx: &mut Conn, id: PatientId, now: Timestamp) -> Result<()> {
    diesel::update(patients::table.find(id))
        .set((patients::version.eq(patients::version + 1), patients::updated_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

fn row(
    env: &Env,
    id: PatientId,
    mrn: String,
    profile: &Profile,
    version: i32,
    (created_at, updated_at): (Timestamp, Timestamp),
) -> Result<Patient> {
    let profile = profile.clone();
    Ok(Patient {
        id,
        mrn,
        given_name: profile.given_name,
        family_name: profile.family_name,
        middle_name: profile.middle_name,
        preferred_name: profile.preferred_name,
        previous_names: (!profile.previous_names.is_empty()).then(|| profile.previous_names.join("\n")),
        date_of_birth: profile.date_of_birth,
        administrative_sex: profile.administrative_sex,
        phone_reversed: profile.phone.as_deref().map(model::reversed_digits),
        phone: profile.phone,
        email_key: profile.email.as_deref().map(model::email_key),
        email: profile.email,
        email_confirmed: profile.email_confirmed,
        preferred_language: profile.preferred_language,
        interpreter_needed: profile.interpreter_needed,
        details: env.sealer.seal(details_place(id), &profile.details)?,
        identifiers: profile.identifiers,
        version,
        created_at,
        updated_at,
    })
}

/// What the record says, its sealed part opened.
///
/// # Errors
/// Where the sealed part does not open, which is a fault.
pub fn profile(env: &Env, patient: &Patient) -> Result<Profile> {
    Ok(Profile {
        given_name: patient.given_name.clone(),
        family_name: patient.family_name.clone(),
        middle_name: patient.middle_name.clone(),
        preferred_name: patient.preferred_name.clone(),
        previous_names: patient.previous_names(),
        date_of_birth: patient.date_of_birth,
        administrative_sex: patient.administrative_sex,
        phone: patient.phone.clone(),
        email: patient.email.clone(),
        email_confirmed: patient.email_confirmed,
        preferred_language: patient.preferred_language.clone(),
        interpreter_needed: patient.interpreter_needed,
        identifiers: patient.identifiers.clone(),
        details: details(env, patient.id, &patient.details)?,
    })
}

fn details(env: &Env, id: PatientId, sealed: &Sealed<Details>) -> Result<Details> {
    env.sealer.open(details_place(id), sealed)
}

fn details_place(id: PatientId) -> Place {
    Place::new("patients", "details", id.0)
}

fn insert_words(tx: &mut Conn, patient: &Patient) -> Result<()> {
    let rows: Vec<_> = names::words(patient.names())
        .into_iter()
        .map(|word| (patient_name_words::patient_id.eq(patient.id), patient_name_words::word.eq(word)))
        .collect();
    per_backend!(tx, tx => diesel::insert_into(patient_name_words::table).values(rows).execute(tx))?;
    Ok(())
}

/// A query of one patient that finds them if the actor may see them: who may see is decided where it is seen.
macro_rules! within_reach {
    ($env:expr, $actor:expr, $id:expr) => {{
        $actor.trail.note_patient($id);
        let all = match $actor.reach(Action::PatientRead) {
            Reach::Any => true,
            Reach::Own => false,
            Reach::None => return Err(Error::NotFound),
        };
        let granted = exists(
            patient_access::table
                .filter(patient_access::user_id.eq($actor.user_id))
                .filter(patient_access::patient_id.eq(patients::id))
                .filter(access::standing($env.now())),
        );
        patients::table.find($id).filter(all.into_sql::<Bool>().or(granted))
    }};
}

/// The patient, if the actor may see them.
///
/// # Errors
/// [`Error::NotFound`] if there is none, or none that the actor may see.
pub fn visible(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<Patient> {
    Ok(per_backend!(tx, tx => within_reach!(env, actor, id).select(Patient::as_select()).first(tx))?)
}

/// Makes the changes to what belongs to a patient wait for each other, if the actor may see the patient.
///
/// # Errors
/// [`Error::NotFound`] if there is none, or none that the actor may see.
pub fn lock(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<PatientId> {
    let patient = within_reach!(env, actor, id).select(patients::id);
    Ok(match tx {
        // Its writes follow each other anyway.
        Conn::Sqlite(tx) => patient.first(tx)?,
        Conn::Postgres(tx) => patient.for_no_key_update().first(tx)?,
    })
}

/// Like [`lock`], and makes the changes by this account wait for each other as well, unless it is one of the staff: for what is
/// counted by account.
///
/// # Errors
/// [`Error::NotFound`] if there is none, or none that the actor may see.
pub fn lock_by_account(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<PatientId> {
    let Conn::Postgres(pg) = tx else { return lock(tx, env, actor, id) };
    if actor.reach(Action::PatientRead) != Reach::Own {
        return lock(tx, env, actor, id);
    }
    actor.trail.note_patient(id);
    // One statement locks the account first and the patient last, in the order of the tables, as all who lock both do.
    Ok(users::table
        .inner_join(patient_access::table.on(patient_access::user_id.eq(users::id)))
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(users::id.eq(actor.user_id))
        .filter(patients::id.eq(id))
        .filter(access::standing(env.now()))
        .select(patients::id)
        .for_no_key_update()
        .first(pg)?)
}

/// A patient with what is shown beside them.
#[derive(Clone, Queryable)]
pub struct Record {
    /// The patient.
    pub patient: Patient,
    treatment_settled: bool,
    privacy_notice_settled: bool,
}

impl Record {
    /// The consents that nobody has accepted or declined yet in the present version.
    pub fn consents_outstanding(&self) -> Vec<ConsentType> {
        let settled = |consent_type: &ConsentType| match consent_type {
            ConsentType::Treatment => self.treatment_settled,
            ConsentType::PrivacyNotice => self.privacy_notice_settled,
        };
        ConsentType::ALL.iter().copied().filter(|it| !settled(it)).collect()
    }
}

/// What a query of patients selects for a [`Record`].
macro_rules! shown {
    () => {
        (Patient::as_select(), settled!(ConsentType::Treatment), settled!(ConsentType::PrivacyNotice))
    };
}

/// The patient with what is shown beside them, if the actor may see them.
///
/// # Errors
/// [`Error::NotFound`] if there is none, or none that the actor may see.
pub fn record(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<Record> {
    Ok(per_backend!(tx, tx => within_reach!(env, actor, id).select(shown!()).first(tx))?)
}

/// What is known of a phone number.
pub enum PhoneFilter {
    /// All of it, as E.164.
    Whole(String),
    /// A national number, or how a number ends.
    Ends(String),
}

/// Whom a search is for; what is named must all fit.
#[derive(Default)]
pub struct Search {
    /// Each begins a word of a name.
    pub words: BTreeSet<String>,
    /// The day of birth.
    pub date_of_birth: Option<Date>,
    /// The phone number.
    pub phone: Option<PhoneFilter>,
    /// The record's number.
    pub mrn: Option<String>,
    /// What another system calls them.
    pub identifier: Option<Token>,
    /// Changed then or later; the list is then by change, the oldest first.
    pub updated_since: Option<Timestamp>,
}

/// The patients that fit, the newest record first; with `updated_since` the one that was changed longest ago first.
///
/// # Errors
/// The database's.
pub fn search(conn: &mut Conn, search: &Search, after: Option<Cursor>, limit: Limit) -> Result<Vec<Record>> {
    let mut query = patients::table.select(shown!()).into_boxed();
    for word in &search.words {
        // Only the very last character of Unicode has none, and it is in no word.
        let Some(end) = names::successor(word) else { return Ok(Vec::new()) };
        let found = patient_name_words::table
            .filter(patient_name_words::word.ge(word).and(patient_name_words::word.lt(end)))
            .select(patient_name_words::patient_id);
        query = query.filter(patients::id.eq_any(found));
    }
    if let Some(day) = search.date_of_birth {
        query = query.filter(patients::date_of_birth.eq(day));
    }
    match &search.phone {
        None => {}
        Some(PhoneFilter::Whole(phone)) => query = query.filter(patients::phone.eq(phone)),
        Some(PhoneFilter::Ends(typed)) => {
            let end = model::reversed_digits(&phone::last_digits(typed, Country::of_clinic(conn)?));
            query = query.filter(patients::phone_reversed.ge(end.clone()));
            if let Some(next) = names::successor(&end) {
                query = query.filter(patients::phone_reversed.lt(next));
            }
        }
    }
    if let Some(mrn) = &search.mrn {
        query = query.filter(patients::mrn.eq(mrn));
    }
    if let Some(token) = &search.identifier {
        query = identified!(query, patients::id, patient_identifiers, patient_id, token);
    }
    if let Some(since) = search.updated_since {
        query = query.filter(patients::updated_at.ge(after.map_or(since, |after| after.at.max(since))));
        if let Some(Cursor { at, id }) = after {
            query = query.filter(patients::updated_at.gt(at).or(patients::id.gt(PatientId(id))));
        }
        return Ok(query.order((patients::updated_at, patients::id)).limit(limit.query()).load(conn)?);
    }
    if let Some(Cursor { at, id }) = after {
        let (at, id) = (at, PatientId(id));
        query = query.filter(patients::created_at.lt(at).or(patients::created_at.eq(at).and(patients::id.lt(id))));
    }
    Ok(query.order((patients::created_at.desc(), patients::id.desc())).limit(limit.query()).load(conn)?)
}
