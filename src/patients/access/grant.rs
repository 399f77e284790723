//! Changes of access: giving, confirming, stopping and taking it away, and the instant at which it ends.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::adulthood::{Calendar, End};
use super::{Access, active, givers, guarding, of_patient};
use crate::clock::Timestamp;
use crate::context::{Principal, Tx, forget};
use crate::db::Conn;
use crate::db::schema::{patient_access, patients};
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};
use crate::messages::second_person;
use crate::patients::care;
use crate::patients::model::{Patient, Relation};

/// How long after its creation a record is new: there was nothing in it to read, and the patient stands at the desk.
const NEW_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Access that was given.
pub struct Grant {
    /// The access.
    pub access: Access,
    /// Whether it is new: the account had no active or pending access with this relation.
    pub is_new: bool,
}

/// The member of the staff who gives access, and the address of the account that gets it.
#[derive(Clone, Copy)]
pub struct Giver<'a> {
    /// The member of the staff.
    pub staff: UserId,
    /// The normalised address of the account.
    pub email_key: &'a str,
    /// When they decided it: now, or when they sent the invitation.
    pub decided_at: Timestamp,
}

/// Returns whether access that a member of the staff gives waits for a second one. Access of another person to the record of an adult
/// does. So does `self`, except at the record's address while the record is new: staff typed that address, and a link that its reader has
/// used proves only that the mailbox is read. All access to a guarded record waits, because the giver may have changed what tells the
/// patient of it. So does access that a practitioner gives who does not treat the patient, because the account then reads for good what
/// they may read for hours.
fn needs_second_person(
    tx: &mut Tx<impl Principal>,
    calendar: &Calendar,
    patient: &Patient,
    relation: Relation,
    giver: Giver,
) -> Result<bool> {
    let is_expected = match relation {
        Relation::Oneself => {
            let is_records_address = patient.email_confirmed && patient.email_key.as_deref() == Some(giver.email_key);
            is_records_address && giver.decided_at < patient.created_at.plus(NEW_FOR)
        }
        _ => calendar.is_minor(patient, tx.now),
    };
    if !is_expected || guarding::is_guarded(tx, patient.id)? {
        return Ok(true);
    }
    match givers::practitioner_of(tx.conn, giver.staff)? {
        Some(practitioner) => Ok(!care::was_chosen(tx.conn, tx.env, practitioner, patient.id)?),
        None => Ok(false),
    }
}

/// Locks an account's access to a patient and loads it.
pub fn lock(conn: &mut Conn, key: (UserId, PatientId)) -> Result<Option<Access>> {
    let access = patient_access::table.find(key);
    if let Conn::Postgres(pg) = conn {
        let _: Option<UserId> = access.select(patient_access::user_id).for_no_key_update().first(pg).optional()?;
    }
    Ok(access.select(Access::as_select()).first(conn).optional()?)
}

fn replace(conn: &mut Conn, access: &Access) -> Result<()> {
    let row = patient_access::table.find((access.user_id, access.patient_id));
    diesel::update(row).set(access).execute(conn)?;
    Ok(())
}

/// Gives an account access to a patient, or changes the relation of its access. Access that a member of the staff gives is verified, and
/// may wait for a second one. Access to a record that the account created (no `giver`) is verified only for the holder's own record.
///
/// # Errors
/// The conflicts `own_account_exists` and `own_record_exists`.
pub fn give(
    tx: &mut Tx<impl Principal>,
    user: UserId,
    patient: &Patient,
    relation: Relation,
    giver: Option<Giver>,
) -> Result<Grant> {
    let now = tx.now;
    let by = giver.map(|giver| giver.staff);
    let was = lock(tx.conn, (user, patient.id))?;
    // The access that continues, and the access that continues with the same relation.
    let active = was.as_ref().filter(|was| was.is_active(now));
    let same = was.as_ref().filter(|was| was.relation == relation && (was.is_active(now) || was.is_pending(now)));
    let calendar = Calendar::of_clinic(tx.conn, tx.env)?;
    let pending = match (same, giver) {
        (Some(same), _) => same.pending,
        (None, Some(giver)) => needs_second_person(tx, &calendar, patient, relation, giver)?,
        (None, None) => false,
    };
    // The second person must not be the one whose grant made it wait.
    let continued = if pending { same } else { active };
    let given_at = continued.map_or(now, |was| was.created_at);
    let end = calendar.end(relation, patient.date_of_birth, given_at);
    let verified = by.is_some() || relation == Relation::Oneself;
    let access = Access {
        user_id: user,
        patient_id: patient.id,
        relation,
        verified_at: verified.then_some(now),
        verified_by: by,
        granted_by: continued.map_or(by, |was| was.granted_by),
        created_at: given_at,
        ends_on: end.map(|end| end.on),
        ends_at: end.map(|end| end.at),
        end_told_at: was.as_ref().filter(|was| was.ends_on == end.map(|end| end.on)).and_then(|was| was.end_told_at),
        pending,
        confirmed_at: same.and_then(|was| was.confirmed_at),
        confirmed_by: same.and_then(|was| was.confirmed_by),
        stopped_at: None,
        stopped_by: None,
        for_minor: end.is_some() || same.is_some_and(|was| was.for_minor),
    };
    let is_new = same.is_none();
    if let Some(by) = by {
        givers::note(tx.conn, user, patient.id, by)?;
    }
    match &was {
        None => drop(diesel::insert_into(patient_access::table).values(&access).execute(tx.conn)?),
        Some(_) => replace(tx.conn, &access)?,
    }
    if let Some(was) = was.filter(|was| was.relation != relation) {
        forget(tx.conn, user)?;
        if was.relation == Relation::Oneself && was.is_active(now) {
            guarding::begin(tx, patient.id)?;
        }
    }
    Ok(Grant { access, is_new })
}

/// Confirms access that waits for a second member of the staff.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `second_person_required`; the conflict `not_pending`.
pub fn confirm(tx: &mut Tx, user: UserId, patient: PatientId) -> Result<Access> {
    let was = lock(tx.conn, (user, patient))?.ok_or(Error::NotFound)?;
    if !was.is_pending(tx.now) {
        return Err(Error::conflict("not_pending", "This access does not wait for a confirmation."));
    }
    require_second_person(tx, &was)?;
    let access = Access {
        pending: false,
        confirmed_at: Some(tx.now),
        confirmed_by: Some(tx.actor.user_id),
        // Two members of the staff have given it for an adult.
        for_minor: was.ends_on.is_some(),
        ..was
    };
    replace(tx.conn, &access)?;
    givers::note(tx.conn, user, patient, tx.actor.user_id)?;
    Ok(access)
}

/// Requires that the actor is another person than the one who gave the access, and than those whose changes guard the record.
fn require_second_person(tx: &mut Tx, access: &Access) -> Result<()> {
    let refusal = |detail| Err(Error::forbidden("second_person_required", detail));
    if second_person::is_same(tx.conn, access.user_id, tx.actor.user_id)? {
        return refusal(
            "This account and yours are of one person. Another member of the staff must confirm the access.",
        );
    }
    if let Some(giver) = access.granted_by
        && second_person::is_same(tx.conn, giver, tx.actor.user_id)?
    {
        return refusal("You gave this access. Another member of the staff must confirm it.");
    }
    if guarding::is_caused_by(tx, tx.actor.user_id, access)? {
        return refusal(
            "You changed the record's address, telephone number, birth date or own account. Another member of the staff must \
            confirm this access.",
        );
    }
    Ok(())
}

/// Stops access at the wish of the patient. Later requests do not have it. Its row stays, so that staff see that it was stopped. It guards
/// the record, so that no member of the staff alone gives the access again.
///
/// # Errors
/// [`Error::NotFound`] if there is no such access.
pub fn stop(tx: &mut Tx<impl Principal>, user: UserId, patient: PatientId) -> Result<()> {
    let was = lock(tx.conn, (user, patient))?.ok_or(Error::NotFound)?;
    if was.stopped_at.is_some() {
        return Ok(());
    }
    replace(tx.conn, &Access { stopped_at: Some(tx.now), stopped_by: tx.actor.account(), ..was })?;
    guarding::begin(tx, patient)?;
    forget(tx.conn, user)
}

/// Notes an objection to access that staff have taken away: as stopped access, which staff see, and which guards the record.
pub fn record_objection(tx: &mut Tx<impl Principal>, ended: Access) -> Result<()> {
    let row = Access { stopped_at: Some(tx.now), ..ended };
    diesel::insert_into(patient_access::table).values(&row).execute(tx.conn)?;
    guarding::begin(tx, row.patient_id)
}

/// Takes access away, and returns it as it was. Later requests do not have it.
///
/// # Errors
/// [`Error::NotFound`] if there is no such access.
pub fn revoke(conn: &mut Conn, user: UserId, patient: PatientId) -> Result<Access> {
    let was = lock(conn, (user, patient))?.ok_or(Error::NotFound)?;
    diesel::delete(patient_access::table.find((user, patient))).execute(conn)?;
    forget(conn, user)?;
    Ok(was)
}

/// Computes again when the access to a patient ends, after a correction of the birth date. A correction alone never prolongs access:
///
/// - Access that has ended stays ended if the patient is an adult. It waits for a second member of the staff if the patient is a minor again.
/// - Access that no second member has confirmed waits for one if it would have no end any more, because the patient is an adult; or if
///   it would end on a later birthday and staff gave it.
pub fn update_ends(conn: &mut Conn, env: &Env, patient: &Patient) -> Result<()> {
    let (calendar, now) = (Calendar::of_clinic(conn, env)?, env.now());
    for (was, _) in of_patient(conn, patient.id)? {
        let end = calendar.end(was.relation, patient.date_of_birth, was.created_at);
        let has_ended = was.ends_at.is_some_and(|at| at <= now);
        if has_ended && end.is_none_or(|end| end.at <= now) {
            continue;
        }
        let is_longer = was.ends_on.is_some_and(|before| end.is_none_or(|end| end.on > before));
        let is_unconfirmed = was.confirmed_at.is_none() && (was.granted_by.is_some() || end.is_none());
        let was = Access { pending: was.pending || (is_longer && (has_ended || is_unconfirmed)), ..was };
        set_end(conn, was, end)?;
    }
    Ok(())
}

fn set_end(conn: &mut Conn, was: Access, end: Option<End>) -> Result<()> {
    if was.ends_on == end.map(|end| end.on) {
        return Ok(());
    }
    let access = Access {
        ends_on: end.map(|end| end.on),
        ends_at: end.map(|end| end.at),
        end_told_at: None,
        for_minor: was.for_minor || end.is_some(),
        ..was
    };
    replace(conn, &access)?;
    forget(conn, access.user_id)
}

/// Computes the ends of all active access again, because the age of adulthood is a setting. Returns how many changed. Access that has
/// ended stays so: the patients were told that they act for themselves.
pub async fn update_all_ends(env: &Env) -> Result<usize> {
    let shared = env.clone();
    let outdated: Vec<Access> = env
        .db
        .read(move |conn| {
            let calendar = Calendar::of_clinic(conn, &shared)?;
            let all = active_of_others(conn, &shared, None)?.into_iter();
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
            .write(move |conn| {
                let calendar = Calendar::of_clinic(conn, &shared)?;
                for (access, birth) in active_of_others(conn, &shared, Some(key))? {
                    let end = calendar.end(access.relation, birth, access.created_at);
                    set_end(conn, access, end)?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(outdated.len())
}

/// Loads the active access of accounts to other persons, all or that with one key, with the patients' birth dates.
fn active_of_others(conn: &mut Conn, env: &Env, key: Option<(UserId, PatientId)>) -> Result<Vec<(Access, Date)>> {
    let mut rows = patient_access::table
        .inner_join(patients::table.on(patients::id.eq(patient_access::patient_id)))
        .filter(patient_access::relation.ne(Relation::Oneself))
        .filter(active(env.now()))
        .select((Access::as_select(), patients::date_of_birth))
        .into_boxed();
    if let Some((user, patient)) = key {
        rows = rows.filter(patient_access::user_id.eq(user)).filter(patient_access::patient_id.eq(patient));
    }
    Ok(rows.load(conn)?)
}
