//! The accounts of a record that is merged: which of them also get access to the surviving record.

use std::collections::BTreeSet;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Merge;
use crate::accounts::model::User;
use crate::clock::Timestamp;
use crate::context::{Tx, forget};
use crate::db::Conn;
use crate::db::schema::{patient_access, patient_merge_rows};
use crate::error::{Error, FieldCode, Result};
use crate::ids::{PatientId, PatientMergeId, UserId};
use crate::patients::access::second_person::Giver;
use crate::patients::access::suitable::require_suitable;
use crate::patients::access::{self, Access, giving, grant, guarding};
use crate::patients::model::{Patient, Relation};

/// The name in the ledger of the accounts whose access moved.
const MOVED: &str = "patient_access";
/// The name in the ledger of the accounts whose access ended, because it did not move.
const ENDED: &str = "patient_access_ended";

/// An account that acts for the duplicate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MergeAccess {
    /// The account.
    user_id: UserId,
    /// The account's e-mail address.
    email: String,
    /// The relation of the account's holder to the patient of the duplicate.
    relation: Relation,
    /// Whether the account may act for the surviving record already, or waits for a second member of the staff.
    has_access: bool,
    /// Whether `access_to_move` may list it: it acts for the duplicate, and never had access to the surviving record.
    movable: bool,
}

/// Lists the accounts of the duplicate.
pub fn preview(tx: &mut Tx, survivor: PatientId, duplicate: PatientId) -> Result<Vec<MergeAccess>> {
    let now = tx.now;
    let kept = access::of_patient(tx.conn, survivor)?;
    let of_survivor = |user: UserId| kept.iter().map(|(access, _)| access).find(|access| access.user_id == user);
    let rows = access::of_patient(tx.conn, duplicate)?.into_iter();
    Ok(rows
        .map(|(access, user)| {
            let other = of_survivor(user.id);
            MergeAccess {
                user_id: user.id,
                email: user.email,
                relation: access.relation,
                has_access: other.is_some_and(|other| other.is_active(now) || other.is_pending(now)),
                movable: other.is_none() && access.is_active(now),
            }
        })
        .collect())
}

/// Returns the accounts that act for the survivor, or will when their access is confirmed, and do not act for the duplicate in the same way.
/// A merge would show them data of the duplicate that nobody decided to show them: for example the answers that are hidden from guardians, to a
/// parent who is the patient of the other record.
pub fn without_access_to_duplicate(
    conn: &mut Conn,
    survivor: PatientId,
    duplicate: PatientId,
    now: Timestamp,
) -> Result<Vec<UserId>> {
    let of_duplicate: Vec<Access> =
        access::of_patient(conn, duplicate)?.into_iter().map(|(access, _)| access).collect();
    let acts_alike = |kept: &Access| {
        of_duplicate.iter().any(|access| {
            access.user_id == kept.user_id
                && access.is_active(now)
                && (access.relation, access.for_minor) == (kept.relation, kept.for_minor)
        })
    };
    let of_survivor = access::of_patient(conn, survivor)?.into_iter().map(|(access, _)| access);
    let in_force = of_survivor.filter(|access| access.is_active(now) || access.is_pending(now));
    Ok(in_force.filter(|access| !acts_alike(access)).map(|access| access.user_id).collect())
}

/// Gives the listed accounts access to the survivor, as staff give it: it waits for a second member of the staff, because the merge guards
/// the record, and all who could object get a message. All access to the duplicate stops, so that nothing but the access to the survivor decides
/// who reads about the patient. The accounts that acted for the duplicate only get a message.
///
/// # Errors
/// A broken rule at `/access_to_move`; the conflicts of given access.
pub fn move_listed(
    tx: &mut Tx,
    merge: PatientMergeId,
    listed: &[UserId],
    duplicate: &Patient,
    survivor: &Patient,
) -> Result<()> {
    let had = access::of_patient(tx.conn, survivor.id)?;
    let of_duplicate = access::of_patient(tx.conn, duplicate.id)?;
    for (index, user) in listed.iter().enumerate() {
        let movable = of_duplicate.iter().find(|(access, _)| access.user_id == *user && access.is_active(tx.now));
        let is_new = !had.iter().any(|(access, _)| access.user_id == *user);
        let Some((was, holder)) = movable.filter(|_| is_new) else {
            let detail = "must be an account that the preview shows as `movable`";
            return Err(Error::invalid(format!("/access_to_move/{index}"), FieldCode::NotAnOption, detail));
        };
        move_one(tx, merge, was, holder, survivor)?;
    }
    for (was, holder) in of_duplicate {
        let goes_on = had.iter().any(|(access, _)| access.user_id == holder.id && access.is_active(tx.now));
        let is_active = was.is_active(tx.now);
        // Also access that waits for a second person: nobody could confirm or end it.
        if (is_active || was.is_pending(tx.now)) && !listed.contains(&holder.id) {
            if is_active && !goes_on {
                guarding::notify_of_end(tx, duplicate, &was, &holder)?;
            }
            stop(tx, merge, &was, ENDED)?;
        }
        // Stored responses would show the record as it was.
        forget(tx.conn, holder.id)?;
    }
    Ok(())
}

fn move_one(tx: &mut Tx, merge: PatientMergeId, was: &Access, holder: &User, survivor: &Patient) -> Result<()> {
    stop(tx, merge, was, MOVED)?;
    require_suitable(tx.conn, holder, survivor.id, was.relation)?;
    let giver =
        Giver { account: tx.actor.user_id, is_patient: false, email_key: &holder.email_key, decided_at: tx.now };
    giving::give_and_notify(tx, holder, survivor, was.relation, giver)?;
    Ok(())
}

/// Stops access to the duplicate until the merge is undone.
fn stop(tx: &mut Tx, merge: PatientMergeId, was: &Access, ledger: &str) -> Result<()> {
    diesel::update(patient_access::table.find((was.user_id, was.patient_id)))
        .set((patient_access::stopped_at.eq(tx.now), patient_access::stopped_by.eq(tx.actor.user_id)))
        .execute(tx.conn)?;
    let row = (
        patient_merge_rows::merge_id.eq(merge),
        patient_merge_rows::table_name.eq(ledger),
        patient_merge_rows::row_id.eq(was.user_id),
    );
    diesel::insert_into(patient_merge_rows::table).values(row).execute(tx.conn)?;
    Ok(())
}

/// Gives access to the duplicate back as it was, unless it was stopped again since the merge.
fn resume(tx: &mut Tx, user: UserId, merge: &Merge) -> Result<()> {
    let access = patient_access::table.find((user, merge.duplicate_id));
    diesel::update(access.filter(patient_access::stopped_at.eq(merge.merged_at)))
        .set((patient_access::stopped_at.eq(None::<Timestamp>), patient_access::stopped_by.eq(None::<UserId>)))
        .execute(tx.conn)?;
    Ok(())
}

/// The accounts whose access to the duplicate a merge stopped.
pub struct Stopped {
    moved: Vec<UserId>,
    ended: Vec<UserId>,
}

impl Stopped {
    /// Loads them.
    pub fn by(conn: &mut Conn, merge: PatientMergeId) -> Result<Self> {
        let mut of = |ledger: &str| {
            let rows = patient_merge_rows::table
                .filter(patient_merge_rows::merge_id.eq(merge))
                .filter(patient_merge_rows::table_name.eq(ledger));
            rows.select(patient_merge_rows::row_id).load(conn)
        };
        Ok(Self { moved: of(MOVED)?, ended: of(ENDED)? })
    }

    /// All of them, in the order in which they are locked.
    pub fn all(&self) -> BTreeSet<UserId> {
        self.moved.iter().chain(&self.ended).copied().collect()
    }
}

/// Takes the access to the survivor from the accounts whose access the merge moved, and gives that to the duplicate back as it was. An account
/// whose access to the survivor has ended since, or that somebody objected to, gets none back, and one whose access did not move gets none back if it has another record of
/// its own since.
///
/// # Errors
/// The conflict `own_record_exists`, if an account whose access moved has another record of its own since.
pub(super) fn move_back(tx: &mut Tx, stopped: &Stopped, merge: &Merge) -> Result<()> {
    for (was, holder) in access::of_patient(tx.conn, merge.duplicate_id)? {
        if !stopped.ended.contains(&holder.id) {
            continue;
        }
        let has_other = was.relation == Relation::Oneself && access::own_record(tx.conn, holder.id)?.is_some();
        if !has_other {
            resume(tx, holder.id, merge)?;
        }
    }
    let of_survivor = access::of_patient(tx.conn, merge.survivor_id)?;
    for (access, holder) in of_survivor {
        if !stopped.moved.contains(&holder.id) || !(access.is_active(tx.now) || access.is_pending(tx.now)) {
            continue;
        }
        let was = grant::revoke(tx.conn, holder.id, merge.survivor_id)?;
        guarding::access_revoked(tx, &was, &holder)?;
        resume(tx, holder.id, merge)?;
    }
    Ok(())
}
