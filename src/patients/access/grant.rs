//! Giving access, stopping it and taking it away.

use diesel::prelude::*;

use super::adulthood::Calendar;
use super::second_person::{self, Giver};
use super::store::{lock, replace};
use super::{Access, givers, guarding};
use crate::context::{Principal, Tx, forget};
use crate::db::Conn;
use crate::db::schema::patient_access;
use crate::error::{Error, Result};
use crate::ids::{PatientId, UserId};
use crate::patients::model::{Patient, Relation};
use crate::patients::store::is_replaced;

/// Access that was given.
pub struct Grant {
    pub access: Access,
    /// Whether it is new: the account had no active or pending access with this relation.
    pub is_new: bool,
}

/// Gives an account access to a patient, or changes the relation of its access. Access that a member of the staff gives is verified, and
/// may wait for a second one. Access that the patient gives, and access to a record that the account created (no `giver`), is verified only
/// for the holder's own record. The caller has locked the account, and the record, if it is not new, before it loaded the patient: a merge
/// guards the record, and a correction of the birth date decides when the access ends.
///
/// # Errors
/// The conflicts `own_account_exists` and `own_record_exists`; those of a record that is not in use.
pub fn give(
    tx: &mut Tx<impl Principal>,
    user: UserId,
    patient: &Patient,
    relation: Relation,
    giver: Option<Giver>,
) -> Result<Grant> {
    let now = tx.now;
    let by = giver.map(|giver| giver.account);
    let was = lock(tx.conn, (user, patient.id))?;
    // The access that continues, and the access that continues with the same relation.
    let active = was.as_ref().filter(|was| was.is_active(now));
    let same = was.as_ref().filter(|was| was.relation == relation && (was.is_active(now) || was.is_pending(now)));
    let calendar = Calendar::of_clinic(tx.conn, tx.env)?;
    let pending = match (same, giver) {
        (Some(same), _) => same.pending,
        (None, Some(giver)) => second_person::is_needed(tx, &calendar, patient, relation, giver)?,
        (None, None) => false,
    };
    // The second person must not be the one whose grant made it wait.
    let continued = if pending { same } else { active };
    let given_at = continued.map_or(now, |was| was.created_at);
    let had_end = continued.is_some_and(Access::has_end_for_minor);
    let end = calendar.end_of_continued(relation, patient.date_of_birth, given_at, had_end);
    let is_by_staff = giver.is_some_and(|giver| !giver.is_patient);
    // What a patient says of a helper does not undo what staff have verified.
    let was_verified = same.filter(|was| was.verified_at.is_some() && !is_by_staff);
    let verified = is_by_staff || relation == Relation::Oneself;
    let access = Access {
        user_id: user,
        patient_id: patient.id,
        relation,
        verified_at: was_verified.map_or(verified.then_some(now), |was| was.verified_at),
        verified_by: was_verified.map_or(by.filter(|_| is_by_staff), |was| was.verified_by),
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

/// Stops access at the wish of the patient. Later requests do not have it. Its row stays, so that staff see that it was stopped. It guards
/// the record, so that no member of the staff alone gives the access again. Access that a merge has stopped stays stopped after its undo.
///
/// # Errors
/// [`Error::NotFound`] if there is no such access.
pub fn stop(tx: &mut Tx<impl Principal>, user: UserId, patient: PatientId) -> Result<()> {
    let was = lock(tx.conn, (user, patient))?.ok_or(Error::NotFound)?;
    if was.stopped_at.is_some() && !is_replaced(tx.conn, patient)? {
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
