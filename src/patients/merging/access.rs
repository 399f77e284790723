//! The accounts of a record that is merged: which of them also get access to the surviving record.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::model::User;
use crate::clock::Timestamp;
use crate::context::{Tx, forget};
use crate::db::Conn;
use crate::db::schema::{patient_access, patient_merge_rows};
use crate::error::{Error, Result};
use crate::ids::{PatientId, PatientMergeId, UserId};
use crate::patients::access::second_person::Giver;
use crate::patients::access::suitable::require_suitable;
use crate::patients::access::{self, Access, giving, grant, guarding};
use crate::patients::model::{Patient, Relation};

/// The table in the ledger.
const TABLE: &str = "patient_access";

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

/// Gives the listed accounts access to the survivor, as staff give it: it may wait for a second member of the staff, and all who could
/// object get a message. Their access to the duplicate stops. All other accounts that acted for the duplicate only are told that their
/// access has ended.
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
            return Err(Error::invalid(format!("/access_to_move/{index}"), "not_an_option", detail));
        };
        move_one(tx, merge, was, holder, survivor)?;
    }
    for (was, holder) in of_duplicate {
        let goes_on = had.iter().any(|(access, _)| access.user_id == holder.id && access.is_active(tx.now));
        if was.is_active(tx.now) && !goes_on && !listed.contains(&holder.id) {
            guarding::notify_of_end(tx, duplicate, &was, &holder)?;
        }
        // Stored responses would show the record as it was.
        forget(tx.conn, holder.id)?;
    }
    Ok(())
}

fn move_one(tx: &mut Tx, merge: PatientMergeId, was: &Access, holder: &User, survivor: &Patient) -> Result<()> {
    diesel::update(patient_access::table.find((was.user_id, was.patient_id)))
        .set((patient_access::stopped_at.eq(tx.now), patient_access::stopped_by.eq(tx.actor.user_id)))
        .execute(tx.conn)?;
    let row = (
        patient_merge_rows::merge_id.eq(merge),
        patient_merge_rows::table_name.eq(TABLE),
        patient_merge_rows::row_id.eq(holder.id),
    );
    diesel::insert_into(patient_merge_rows::table).values(row).execute(tx.conn)?;
    require_suitable(tx.conn, holder, survivor.id, was.relation)?;
    let giver =
        Giver { account: tx.actor.user_id, is_patient: false, email_key: &holder.email_key, decided_at: tx.now };
    giving::give_and_notify(tx, holder, survivor, was.relation, giver)?;
    Ok(())
}

/// Loads the accounts whose access a merge moved, in the order in which they are locked.
pub fn moved(conn: &mut Conn, merge: PatientMergeId) -> Result<Vec<UserId>> {
    Ok(patient_merge_rows::table
        .filter(patient_merge_rows::merge_id.eq(merge))
        .filter(patient_merge_rows::table_name.eq(TABLE))
        .order(patient_merge_rows::row_id)
        .select(patient_merge_rows::row_id)
        .load(conn)?)
}

/// Takes the access to the survivor from the accounts whose access the merge moved, and gives that to the duplicate back as it was. An account
/// whose access to the survivor has ended since gets none back.
///
/// # Errors
/// The conflict `own_record_exists`, if the account has another record of its own since.
pub fn move_back(tx: &mut Tx, users: &[UserId], duplicate: &Patient, survivor: &Patient) -> Result<()> {
    let of_survivor = access::of_patient(tx.conn, survivor.id)?;
    for (access, holder) in of_survivor {
        if !users.contains(&holder.id) || !(access.is_active(tx.now) || access.is_pending(tx.now)) {
            continue;
        }
        let was = grant::revoke(tx.conn, holder.id, survivor.id)?;
        guarding::access_revoked(tx, &was, &holder)?;
        diesel::update(patient_access::table.find((holder.id, duplicate.id)))
            .set((patient_access::stopped_at.eq(None::<Timestamp>), patient_access::stopped_by.eq(None::<UserId>)))
            .execute(tx.conn)?;
    }
    Ok(())
}
