//! The instant at which access ends, computed again after a correction of the birth date or a change of the age of adulthood.

use diesel::prelude::*;

use super::adulthood::{Calendar, End};
use super::store::lock;
use super::{Access, of_patient};
use crate::context::{access_lock, forget};
use crate::db::Conn;
use crate::db::schema::{patient_access, patients};
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};
use crate::patients::model::{Patient, Relation};
use crate::periodic;

/// Waits for the changes of all accounts that act for a patient, before a correction of the birth date may end their access, and returns the
/// accounts. Call it before all other locks.
pub fn wait_for_accounts(conn: &mut Conn, patient: PatientId) -> Result<Vec<UserId>> {
    let mut accounts: Vec<UserId> = of_patient(conn, patient)?.into_iter().map(|(access, _)| access.user_id).collect();
    // In the order of the ids, as every transaction that waits for several accounts does.
    accounts.sort_unstable();
    accounts.iter().try_for_each(|account| access_lock::wait(conn, *account))?;
    Ok(accounts)
}

/// Computes again when the access to a patient ends, after a correction of the birth date. A correction alone never prolongs access:
///
/// - Access that has ended stays ended if the patient is an adult. It waits for a second member of the staff if the patient is a minor again.
/// - Access that no second member has confirmed waits for one if it would have no end any more, because the patient is an adult; or if
///   it would end on a later birthday and staff gave it.
///
/// `waited` are the accounts of [`wait_for_accounts`].
///
/// # Errors
/// [`Error::Retry`] if another account got access meanwhile.
pub fn update_ends(conn: &mut Conn, env: &Env, patient: &Patient, waited: &[UserId]) -> Result<()> {
    let (calendar, now) = (Calendar::of_clinic(conn, env)?, env.now());
    for (found, _) in of_patient(conn, patient.id)? {
        if !waited.contains(&found.user_id) {
            return Err(Error::Retry);
        }
        // Read again under its lock: a second member of the staff may confirm it now.
        let Some(was) = lock(conn, (found.user_id, patient.id))? else { continue };
        let end = calendar.end(was.relation, patient.date_of_birth, was.created_at);
        let has_ended = was.ends_at.is_some_and(|at| at <= now);
        if has_ended && end.is_none_or(|end| end.at <= now) {
            continue;
        }
        let is_longer = was.ends_on.is_some_and(|before| end.is_none_or(|end| end.on > before));
        let is_unconfirmed = was.confirmed_at.is_none() && (was.granted_by.is_some() || end.is_none());
        let pending = was.pending || (is_longer && (has_ended || is_unconfirmed));
        let was = Access { pending, for_minor: was.for_minor || end.is_some(), ..was };
        set_end(conn, &was, end)?;
    }
    Ok(())
}

/// Stores a new end, whether the access waits, and whether it is for a minor. It sets only these columns, because the database refuses to
/// store other columns of access to a merged record, whose end must be right when the merge is undone.
fn set_end(conn: &mut Conn, was: &Access, end: Option<End>) -> Result<()> {
    if is_end(was, end) {
        return Ok(());
    }
    // On the same day, the mails of the end are as right as before.
    let told_at = was.end_told_at.filter(|_| was.ends_on == end.map(|end| end.on));
    diesel::update(patient_access::table.find((was.user_id, was.patient_id)))
        .set((
            patient_access::ends_on.eq(end.map(|end| end.on)),
            patient_access::ends_at.eq(end.map(|end| end.at)),
            patient_access::end_told_at.eq(told_at),
            patient_access::for_minor.eq(was.for_minor),
            patient_access::pending.eq(was.pending),
        ))
        .execute(conn)?;
    forget(conn, was.user_id)
}

/// Whether access ends on this day and at this instant. The instant of a day changes with the time zone of the clinic.
fn is_end(access: &Access, end: Option<End>) -> bool {
    (access.ends_on, access.ends_at) == (end.map(|end| end.on), end.map(|end| end.at))
}

/// The end of access at the current age of adulthood and in the current time zone of the clinic. Access that was given for a minor always keeps
/// an end: if the patient had reached the new age before the access was given, it has ended. Access that was given for an adult has none
/// at any age.
fn end_now(calendar: &Calendar, access: &Access, birth: Date) -> Option<End> {
    let end = calendar.end_of_continued(access.relation, birth, access.created_at, access.has_end_for_minor());
    end.filter(|_| access.for_minor)
}

/// Recomputes the end of all access that has not ended, because the age of adulthood is a setting, and the clinic's time zone can be
/// corrected. Returns how many changed. Access that has ended stays so: the patients were told that they act for themselves.
pub async fn update_all_ends(env: &Env) -> Result<usize> {
    let shared = env.clone();
    let outdated: Vec<Access> = env
        .db
        .read(move |conn| {
            let calendar = Calendar::of_clinic(conn, &shared)?;
            let all = not_ended_of_others(conn, &shared, None)?.into_iter();
            let differs = |(access, birth): (Access, Date)| {
                (!is_end(&access, end_now(&calendar, &access, birth))).then_some(access)
            };
            Ok(all.filter_map(differs).collect())
        })
        .await?;
    let mut changed = 0;
    for access in &outdated {
        let (shared, key) = (env.clone(), (access.user_id, access.patient_id));
        let update = env.db.write(move |conn| {
            access_lock::wait(conn, key.0)?;
            let calendar = Calendar::of_clinic(conn, &shared)?;
            lock(conn, key)?;
            for (access, birth) in not_ended_of_others(conn, &shared, Some(key))? {
                set_end(conn, &access, end_now(&calendar, &access, birth))?;
            }
            Ok(())
        });
        let updated = periodic::go_on(update.await, key.1, "the end of an access could not be computed again")?;
        changed += usize::from(updated.is_some());
    }
    Ok(changed)
}

/// Loads the access of accounts to other persons that has not ended, all or that with one key, with the patients' birth dates. Also access that
/// waits for a second person or is stopped, because a confirmation or the undo of a merge lets it begin.
fn not_ended_of_others(conn: &mut Conn, env: &Env, key: Option<(UserId, PatientId)>) -> Result<Vec<(Access, Date)>> {
    let mut rows = patient_access::table
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(patient_access::relation.ne(Relation::Oneself))
        .filter(patient_access::ends_at.is_null().or(patient_access::ends_at.gt(env.now())))
        .select((Access::as_select(), patients::date_of_birth))
        .into_boxed();
    if let Some((user, patient)) = key {
        rows = rows.filter(patient_access::user_id.eq(user)).filter(patient_access::patient_id.eq(patient));
    }
    Ok(rows.load(conn)?)
}
