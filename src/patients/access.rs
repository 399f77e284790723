//! Who may act for whom: the queries on `patient_access`.
//!
//! Access that is over counts for nothing from the instant on at which it ends. Access that waits for a second member of the
//! staff, or that was stopped, counts for nothing either. Every query that asks who may act has [`standing`] in its condition,
//! so that no job has to run for it.

use diesel::prelude::*;

use super::adulthood::Calendar;
use super::model::{Patient, Profile, Relation};
use super::{guarding, store};
use crate::accounts::{self, model::User};
use crate::actor::{Action, Actor, Reach};
use crate::clock::Timestamp;
use crate::db::schema::{patient_access, patients, users};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::idempotency;
use crate::ids::{PatientId, UserId};

/// The most patients, besides its holder, whom one account may bring.
pub const MOST_DEPENDENTS: i64 = 10;

/// That an account may act for a patient.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = patient_access, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Access {
    /// The account.
    pub user_id: UserId,
    /// The patient.
    pub patient_id: PatientId,
    /// What the account's holder is to the patient.
    pub relation: Relation,
    /// When the relation was shown to be true.
    pub verified_at: Option<Timestamp>,
    /// To whom of the staff.
    pub verified_by: Option<UserId>,
    /// Who of the staff gave it; none where the account made the record itself.
    pub granted_by: Option<UserId>,
    /// Since when.
    pub created_at: Timestamp,
    /// The day with which it is over.
    pub ends_on: Option<Date>,
    /// When that day begins.
    pub ends_at: Option<Timestamp>,
    /// When those whom the end concerns were told.
    pub end_told_at: Option<Timestamp>,
    /// Whether it waits for a second member of the staff.
    pub pending: bool,
    /// When the second member of the staff confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// Which member of the staff that was.
    pub confirmed_by: Option<UserId>,
    /// When the patient, or an account that acts for the patient, stopped it.
    pub stopped_at: Option<Timestamp>,
    /// Which account stopped it; none with the link in a mail.
    pub stopped_by: Option<UserId>,
}

impl Access {
    /// Whether the account may act for the patient.
    pub fn stands(&self, now: Timestamp) -> bool {
        !self.pending && !self.is_over(now)
    }

    /// Whether it waits for a second member of the staff.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.pending && !self.is_over(now)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.stopped_at.is_some() || self.ends_at.is_some_and(|end| end <= now)
    }
}

/// The condition that access stands: it is confirmed, not stopped, and not over.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn standing(now: Timestamp) -> _ {
    let not_over = patient_access::ends_at.is_null().or(patient_access::ends_at.gt(now));
    patient_access::pending.eq(false).and(patient_access::stopped_at.is_null()).and(not_over)
}

/// Whether access that a member of the staff gives waits for a second one. A parent or guardian decides in an adult's place; and
/// while the record is guarded, its address, its birth date or the account that was the patient's may be the giver's own work.
fn needs_second_person(
    tx: &mut Conn,
    env: &Env,
    calendar: &Calendar,
    patient: &Patient,
    relation: Relation,
) -> Result<bool> {
    let decides = decides_for_patient(relation) && !calendar.is_minor(patient, env.now());
    Ok(decides || guarding::is_guarded(tx, env, patient.id)?)
}

fn decides_for_patient(relation: Relation) -> bool {
    matches!(relation, Relation::Parent | Relation::Guardian)
}

/// Whether the actor may act for this patient: staff for each, an account for those it has access to.
///
/// # Errors
/// The database's.
pub fn may_act_for(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<bool> {
    actor.trail.note_patient(id);
    match actor.reach(Action::PatientRead) {
        Reach::Any => Ok(true),
        Reach::None => Ok(false),
        Reach::Own => Ok(relation(tx, env, actor.user_id, id)?.is_some()),
    }
}

/// What the account's holder is to the patient, if they may act for them.
///
/// # Errors
/// The database's.
pub fn relation(tx: &mut Conn, env: &Env, user: UserId, patient: PatientId) -> Result<Option<Relation>> {
    let access = patient_access::table.find((user, patient)).filter(standing(env.now()));
    Ok(access.select(patient_access::relation).first(tx).optional()?)
}

/// Whether the account, if it is not switched off, may act for the patient.
///
/// # Errors
/// The database's.
pub fn has(conn: &mut Conn, env: &Env, user: UserId, patient: PatientId) -> Result<bool> {
    let access = patient_access::table
        .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(patient_access::user_id.eq(user))
        .filter(patient_access::patient_id.eq(patient))
        .filter(standing(env.now()))
        .filter(users::disabled_at.is_null());
    Ok(access.select(patient_access::user_id).first::<UserId>(conn).optional()?.is_some())
}

/// An account with the patients that it may act for, in the order in which it was given access.
///
/// # Errors
/// [`Error::NotFound`].
pub fn of_account(tx: &mut Conn, env: &Env, user: UserId) -> Result<(User, Vec<(Access, Patient)>)> {
    let rows: Vec<(User, Option<Access>, Option<Patient>)> = users::table
        .left_join(patient_access::table.on(patient_access::user_id.eq(users::id).and(standing(env.now()))))
        .left_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(users::id.eq(user))
        .order((patient_access::created_at, patient_access::patient_id))
        .select((User::as_select(), Option::<Access>::as_select(), Option::<Patient>::as_select()))
        .load(tx)?;
    let user = rows.first().map(|(user, ..)| user.clone()).ok_or(Error::NotFound)?;
    Ok((user, rows.into_iter().filter_map(|(_, access, patient)| access.zip(patient)).collect()))
}

/// All access that was ever given to a patient and not taken back, with its account, oldest first.
///
/// # Errors
/// The database's.
pub fn of_patient(tx: &mut Conn, patient: PatientId) -> Result<Vec<(Access, User)>> {
    Ok(per_backend!(tx, tx => patient_access::table
        .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(patient_access::patient_id.eq(patient))
        .order((patient_access::created_at, patient_access::user_id))
        .select((Access::as_select(), User::as_select()))
        .load(tx))?)
}

/// The account's own record.
///
/// # Errors
/// The database's.
pub fn own_record(tx: &mut Conn, user: UserId) -> Result<Option<Patient>> {
    Ok(patient_access::table
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(patient_access::user_id.eq(user))
        .filter(patient_access::relation.eq(Relation::Oneself))
        .filter(patient_access::stopped_at.is_null())
        .select(Patient::as_select())
        .first(tx)
        .optional()?)
}

/// The names by which an account's holder goes, the whole one first: the account's own, or those of their own record.
///
/// # Errors
/// The database's.
pub fn holder_names(tx: &mut Conn, user: UserId) -> Result<Vec<String>> {
    let name = users::table.find(user).select(users::name).first::<Option<String>>(tx)?;
    let own = own_record(tx, user)?;
    let of_record = own.iter().flat_map(|own| std::iter::once(own.legal_name()).chain(own.names().map(str::to_owned)));
    Ok(name.into_iter().chain(of_record).collect())
}

/// How many patients besides its holder an account has access to that it brought itself, ended or not.
///
/// # Errors
/// The database's.
pub fn dependents(tx: &mut Conn, user: UserId) -> Result<i64> {
    Ok(patient_access::table
        .filter(patient_access::user_id.eq(user))
        .filter(patient_access::relation.ne(Relation::Oneself))
        .filter(patient_access::granted_by.is_null())
        .count()
        .get_result(tx)?)
}

/// Access that was given.
pub struct Grant {
    /// The access.
    pub access: Access,
    /// Whether the account had no such access before: none that stood or waited, or as something else.
    pub is_new: bool,
}

/// Reads an account's access to a patient, and keeps others from changing it until the transaction ends.
///
/// # Errors
/// The database's.
pub fn lock(tx: &mut Conn, key: (UserId, PatientId)) -> Result<Option<Access>> {
    let access = patient_access::table.find(key);
    if let Conn::Postgres(pg) = tx {
        let _: Option<UserId> = access.select(patient_access::user_id).for_no_key_update().first(pg).optional()?;
    }
    Ok(access.select(Access::as_select()).first(tx).optional()?)
}

/// Lets an account act for the patient; if it may already, as this from now on. What a member of the staff (`by`) gives is
/// verified; what an account brings with a record of its own is not, except that one is oneself. What a member of the staff
/// gives to a parent or guardian of an adult, or to a guarded record, waits for a second one.
///
/// # Errors
/// The conflicts `own_account_exists` and `own_record_exists`.
pub fn grant(
    tx: &mut Conn,
    env: &Env,
    user: UserId,
    patient: &Patient,
    relation: Relation,
    by: Option<UserId>,
) -> Result<Grant> {
    let now = env.now();
    let was = lock(tx, (user, patient.id))?;
    // The access that goes on, and the one that goes on as the same.
    let stood = was.as_ref().filter(|was| was.stands(now));
    let same = was.as_ref().filter(|was| was.relation == relation && (was.stands(now) || was.is_pending(now)));
    let calendar = Calendar::of_clinic(tx, env)?;
    let pending = match same {
        Some(same) => same.pending,
        None => by.is_some() && needs_second_person(tx, env, &calendar, patient, relation)?,
    };
    // The second person is another one than who makes it wait.
    let first = if pending { same } else { stood };
    let given = first.map_or(now, |was| was.created_at);
    let end = calendar.end(relation, patient.date_of_birth, given);
    let verified = by.is_some() || relation == Relation::Oneself;
    let access = Access {
        user_id: user,
        patient_id: patient.id,
        relation,
        verified_at: verified.then_some(now),
        verified_by: by,
        granted_by: first.map_or(by, |was| was.granted_by),
        created_at: given,
        ends_on: end.map(|end| end.on),
        ends_at: end.map(|end| end.at),
        end_told_at: was.as_ref().filter(|was| was.ends_on == end.map(|end| end.on)).and_then(|was| was.end_told_at),
        pending,
        confirmed_at: same.and_then(|was| was.confirmed_at),
        confirmed_by: same.and_then(|was| was.confirmed_by),
        stopped_at: None,
        stopped_by: None,
    };
    let is_new = same.is_none();
    match &was {
        None => diesel::insert_into(patient_access::table).values(&access).execute(tx)?,
        Some(_) => diesel::update(patient_access::table.find((user, patient.id))).set(&access).execute(tx)?,
    };
    if let Some(was) = was.filter(|was| was.relation != relation) {
        idempotency::forget(tx, user)?;
        if was.relation == Relation::Oneself && was.stands(now) {
            guarding::begin(tx, env, patient.id)?;
        }
    }
    Ok(Grant { access, is_new })
}

/// Confirms access that waits for a second member of the staff.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `second_person_required`; the conflict `not_pending`.
pub fn confirm(tx: &mut Conn, env: &Env, actor: &Actor, user: UserId, patient: PatientId) -> Result<Access> {
    let was = lock(tx, (user, patient))?.ok_or(Error::NotFound)?;
    if !was.is_pending(env.now()) {
        return Err(Error::conflict("not_pending", "This access does not wait for a confirmation."));
    }
    if was.granted_by == Some(actor.user_id) || user == actor.user_id {
        let detail = "You gave this access. Another member of the staff must confirm it.";
        return Err(Error::forbidden("second_person_required", detail));
    }
    let access = Access { pending: false, confirmed_at: Some(env.now()), confirmed_by: Some(actor.user_id), ..was };
    diesel::update(patient_access::table.find((user, patient))).set(&access).execute(tx)?;
    Ok(access)
}

/// Stops access on the patient's part. It is gone for every later request; its row stays, so that the staff see it.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub fn stop(tx: &mut Conn, env: &Env, user: UserId, patient: PatientId, by: Option<UserId>) -> Result<()> {
    let was = lock(tx, (user, patient))?.ok_or(Error::NotFound)?;
    if was.stopped_at.is_some() {
        return Ok(());
    }
    let access = Access { stopped_at: Some(env.now()), stopped_by: by, ..was };
    diesel::update(patient_access::table.find((user, patient))).set(&access).execute(tx)?;
    idempotency::forget(tx, user)
}

/// Makes a record that an account brings: for its holder, if they have none, or for somebody whom they act for. It is a new
/// one in any case: what the clinic already knows of the person is for the staff to link.
///
/// # Errors
/// The conflicts `own_record_exists` and `too_many_patients`.
pub fn bring(tx: &mut Conn, env: &Env, actor: &Actor, profile: &Profile, relation: Relation) -> Result<Patient> {
    // Locked, so that they are counted one after the other.
    accounts::store::lock(tx, actor.user_id)?;
    if relation == Relation::Oneself {
        if own_record(tx, actor.user_id)?.is_some() {
            return Err(own_record_exists());
        }
    } else if dependents(tx, actor.user_id)? >= MOST_DEPENDENTS {
        let detail = format!("An account adds at most {MOST_DEPENDENTS} people. The clinic can link more.");
        return Err(Error::conflict("too_many_patients", detail));
    }
    let patient = store::insert(tx, env, profile)?;
    grant(tx, env, actor.user_id, &patient, relation, None)?;
    Ok(patient)
}

fn own_record_exists() -> Error {
    Error::conflict("own_record_exists", "The account's holder has a record of their own.")
}

/// Takes access back, and returns it as it was. It is gone for every later request.
///
/// # Errors
/// [`Error::NotFound`] where there is none.
pub fn revoke(tx: &mut Conn, user: UserId, patient: PatientId) -> Result<Access> {
    let was = lock(tx, (user, patient))?.ok_or(Error::NotFound)?;
    diesel::delete(patient_access::table.find((user, patient))).execute(tx)?;
    idempotency::forget(tx, user)?;
    Ok(was)
}

/// Reckons anew when the access to a patient ends, whose day of birth was corrected. What the staff gave to a parent or guardian
/// of a minor waits for a second person where the patient was an adult by then.
///
/// # Errors
/// The database's.
pub fn reckon_ends(tx: &mut Conn, env: &Env, patient: &Patient) -> Result<()> {
    let calendar = Calendar::of_clinic(tx, env)?;
    for (was, _) in of_patient(tx, patient.id)? {
        let is_adults = was.ends_on.is_some()
            && calendar.end(was.relation, patient.date_of_birth, was.created_at).is_none()
            && decides_for_patient(was.relation);
        let unconfirmed = was.granted_by.is_some() && was.confirmed_at.is_none();
        let was = Access { pending: was.pending || (is_adults && unconfirmed), ..was };
        reckon(tx, &calendar, was, patient.date_of_birth)?;
    }
    Ok(())
}

fn reckon(tx: &mut Conn, calendar: &Calendar, was: Access, birth: Date) -> Result<()> {
    let end = calendar.end(was.relation, birth, was.created_at);
    if was.ends_on == end.map(|end| end.on) {
        return Ok(());
    }
    let access = Access { ends_on: end.map(|end| end.on), ends_at: end.map(|end| end.at), end_told_at: None, ..was };
    diesel::update(patient_access::table.find((access.user_id, access.patient_id))).set(&access).execute(tx)?;
    idempotency::forget(tx, access.user_id)
}

/// Reckons the ends of all access anew, for the age from which somebody is an adult is a setting, and says how many have
/// changed. What has ended stays ended: whoever was told that they are on their own is not handed back by a setting.
///
/// # Errors
/// The database's.
pub async fn reckon_all(env: &Env) -> Result<usize> {
    let shared = env.clone();
    let outdated: Vec<Access> = env
        .db
        .read(move |conn| {
            let calendar = Calendar::of_clinic(conn, &shared)?;
            let all = standing_with_birth(conn, &shared, None)?.into_iter();
            let differs = |(access, birth): (Access, Date)| {
                let end = calendar.end(access.relation, birth, access.created_at);
                (access.ends_on != end.map(|end| end.on)).then_some(access)
            };
            Ok(all.filter_map(differs).collect())
        })
        .await?;
    for access in &outdated {
        let (shared, key) = (env.clone(), (access.user_id, access.patient_id));
        env.db
            .write(move |tx| {
                let calendar = Calendar::of_clinic(tx, &shared)?;
                for (access, birth) in standing_with_birth(tx, &shared, Some(key))? {
                    reckon(tx, &calendar, access, birth)?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(outdated.len())
}

/// The access of others that is not over, all or one account's to one patient, with the patients' days of birth.
fn standing_with_birth(conn: &mut Conn, env: &Env, key: Option<(UserId, PatientId)>) -> Result<Vec<(Access, Date)>> {
    let mut rows = patient_access::table
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(patient_access::relation.ne(Relation::Oneself))
        .filter(standing(env.now()))
        .select((Access::as_select(), patients::date_of_birth))
        .into_boxed();
    if let Some((user, patient)) = key {
        rows = rows.filter(patient_access::user_id.eq(user)).filter(patient_access::patient_id.eq(patient));
    }
    Ok(rows.load(conn)?)
}
