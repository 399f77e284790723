//! Access: which account may act for which patient.
//!
//! Access that has ended, that was stopped, or that waits for a second member of the staff has no effect. [`active`] is the one
//! condition for it, and every query that asks who may act uses it. So access ends at its instant without a background job.

pub mod accepting;
mod adult_patient;
pub mod adulthood;
pub mod coming_of_age;
pub mod current_user;
pub mod end_times;
pub mod ending;
pub mod givers;
pub mod giving;
pub mod grant;
pub mod guarding;
pub mod invitations;
pub mod listing;
pub mod second_person;
pub mod store;
pub mod suitable;

use diesel::prelude::*;

use super::model::{Patient, Relation};
use crate::accounts::model::User;
use crate::actor::{Action, Actor, Reach};
use crate::clock::Timestamp;
use crate::db::schema::{patient_access, patients, users};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};

/// The longest name of an account's holder, in characters.
pub const HOLDER_NAME: usize = 200;

/// An account's access to a patient.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = patient_access, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Access {
    /// The account.
    pub user_id: UserId,
    pub patient_id: PatientId,
    /// The relation of the account's holder to the patient.
    pub relation: Relation,
    /// The time at which the relation was verified.
    pub verified_at: Option<Timestamp>,
    /// The member of the staff who verified it.
    pub verified_by: Option<UserId>,
    /// The member of the staff, or the patient, who gave it; none if the account created the record itself.
    pub granted_by: Option<UserId>,
    /// The time since which the account has it.
    pub created_at: Timestamp,
    /// The patient's birthday on which it ends.
    pub ends_on: Option<Date>,
    /// The instant at which that day begins.
    pub ends_at: Option<Timestamp>,
    /// The time at which the mails about its end were sent.
    pub end_told_at: Option<Timestamp>,
    /// Whether it waits for a second member of the staff.
    pub pending: bool,
    /// The time at which the second member of the staff confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// The second member of the staff.
    pub confirmed_by: Option<UserId>,
    /// The time at which the patient, or an account that acts for the patient, stopped it.
    pub stopped_at: Option<Timestamp>,
    /// The account that stopped it; none if the link in a mail was used.
    pub stopped_by: Option<UserId>,
    /// Whether it was given for a minor. Such access does not show what the forms keep from guardians of minors.
    pub for_minor: bool,
}

impl Access {
    /// Whether the account may act for the patient. [`active`] is the same rule in a query.
    pub fn is_active(&self, now: Timestamp) -> bool {
        !self.pending && !self.is_over(now)
    }

    /// Whether it waits for a second member of the staff.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.pending && !self.is_over(now)
    }

    /// Whether it has, or had, an end because it is for a minor.
    pub(super) fn has_end_for_minor(&self) -> bool {
        self.for_minor && self.ends_on.is_some()
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.stopped_at.is_some() || self.ends_at.is_some_and(|end| end <= now)
    }
}

/// The condition that access has effect: it is confirmed, not stopped, and has not ended.
#[diesel::dsl::auto_type]
pub(crate) fn active(now: Timestamp) -> _ {
    let not_over = patient_access::ends_at.is_null().or(patient_access::ends_at.gt(now));
    patient_access::pending.eq(false).and(patient_access::stopped_at.is_null()).and(not_over)
}

/// The ids of the patients that an account may act for, as a sub-query.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn patients_of(user: UserId, now: Timestamp) -> _ {
    let is_active: active = active(now);
    patient_access::table.filter(patient_access::user_id.eq(user)).filter(is_active).select(patient_access::patient_id)
}

/// Returns whether the actor may act for every patient, as staff may. Any other actor acts for the patients of [`patients_of`].
///
/// # Errors
/// [`Error::NotFound`] if the role reads no patients at all.
pub fn reaches_all(actor: &Actor) -> Result<bool> {
    match actor.reach(Action::PatientRead) {
        Reach::Any => Ok(true),
        Reach::Own => Ok(false),
        Reach::None => Err(Error::NotFound),
    }
}

/// Returns whether the actor may act for this patient.
///
/// # Errors
/// Those of [`reaches_all`].
pub fn may_act_for(conn: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<bool> {
    actor.audit.note_patient(id);
    Ok(reaches_all(actor)? || acts_as(conn, env, actor.user_id, id)?.is_some())
}

/// Returns the relation of the account's holder to the patient, and whether the access was given for a minor; none if the account
/// may not act for the patient.
pub fn acts_as(conn: &mut Conn, env: &Env, user: UserId, patient: PatientId) -> Result<Option<(Relation, bool)>> {
    let access = patient_access::table.find((user, patient)).filter(active(env.now()));
    Ok(access.select((patient_access::relation, patient_access::for_minor)).first(conn).optional()?)
}

/// Returns whether the actor is the patient and has access to their own record.
pub fn is_own_record(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<bool> {
    let relation = acts_as(conn, env, actor.user_id, patient)?.map(|(relation, _)| relation);
    Ok(relation == Some(Relation::Oneself))
}

/// Returns whether an account is enabled and may act for the patient.
pub fn account_may_act_for(conn: &mut Conn, now: Timestamp, user: UserId, patient: PatientId) -> Result<bool> {
    let enabled = users::table.find(user).filter(users::disabled_at.is_null()).select(users::id);
    let access = patient_access::table.find((user, patient)).filter(active(now));
    let access = access.filter(patient_access::user_id.eq_any(enabled));
    Ok(access.select(patient_access::user_id).first::<UserId>(conn).optional()?.is_some())
}

/// Loads an account with the patients that it may act for, in the order in which it was given access. Records that are not in use are
/// left out.
///
/// # Errors
/// [`Error::NotFound`] if there is no such account.
pub fn of_account(conn: &mut Conn, now: Timestamp, user: UserId) -> Result<(User, Vec<(Access, Patient)>)> {
    let rows: Vec<(User, Option<Access>, Option<Patient>)> = users::table
        .left_join(patient_access::table.on(patient_access::user_id.eq(users::id).and(active(now))))
        .left_join(
            patients::table.on(patients::id
                .eq(patient_access::patient_id)
                .and(patients::replaced_by.is_null())
                .and(patients::retired_at.is_null())),
        )
        .filter(users::id.eq(user))
        .order((patient_access::created_at, patient_access::patient_id))
        .select((User::as_select(), Option::<Access>::as_select(), Option::<Patient>::as_select()))
        .load(conn)?;
    let user = rows.first().map(|(user, ..)| user.clone()).ok_or(Error::NotFound)?;
    Ok((user, rows.into_iter().filter_map(|(_, access, patient)| access.zip(patient)).collect()))
}

/// Loads all access to a patient that staff have not taken away, whether active or not, with its accounts, oldest first.
pub fn of_patient(conn: &mut Conn, patient: PatientId) -> Result<Vec<(Access, User)>> {
    Ok(per_backend!(conn, conn => patient_access::table
        .inner_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(patient_access::patient_id.eq(patient))
        .order((patient_access::created_at, patient_access::user_id))
        .select((Access::as_select(), User::as_select()))
        .load(conn))?)
}

/// Loads the account's own record.
pub fn own_record(conn: &mut Conn, user: UserId) -> Result<Option<Patient>> {
    Ok(patient_access::table
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(patient_access::user_id.eq(user))
        .filter(patient_access::relation.eq(Relation::Oneself))
        .filter(patient_access::stopped_at.is_null())
        .select(Patient::as_select())
        .first(conn)
        .optional()?)
}

/// Returns the names of an account's holder, the full name first: the account's name, then those of the holder's own record.
pub fn holder_names(conn: &mut Conn, user: UserId) -> Result<Vec<String>> {
    let name = users::table.find(user).select(users::name).first::<Option<String>>(conn)?;
    let own = own_record(conn, user)?;
    let of_record = own.iter().flat_map(|own| std::iter::once(own.legal_name()).chain(own.names().map(str::to_owned)));
    Ok(name.into_iter().chain(of_record).collect())
}
