//! Whether an account can have a relation to a patient.

use diesel::prelude::*;

use super::own_record;
use crate::accounts::model::User;
use crate::actor::Role;
use crate::db::Conn;
use crate::db::schema::patient_access;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{PatientId, UserId};
use crate::patients::model::Relation;

/// Requires that the account can have this relation to the patient.
///
/// # Errors
/// The conflicts `account_is_staff`, `other_relation`, `own_account_exists`, `own_record_exists`.
pub fn require_suitable(conn: &mut Conn, user: &User, patient: PatientId, relation: Relation) -> Result<()> {
    if user.role != Role::Patient {
        let detail = "This is the address of a member of the staff. Patients and their families need another one.";
        return Err(Error::conflict(ProblemCode::AccountIsStaff, detail));
    }
    if relation != Relation::Oneself {
        return Ok(());
    }
    let was: Option<Relation> =
        patient_access::table.find((user.id, patient)).select(patient_access::relation).first(conn).optional()?;
    if was.is_some_and(|was| was != Relation::Oneself) {
        // A parent's account must not become that of the adult child, even if both were entered with one address.
        let detail = "The account has, or had, another relation to this patient. Delete that access first, or use another address.";
        return Err(Error::conflict(ProblemCode::OtherRelation, detail));
    }
    if own_record(conn, user.id)?.is_some_and(|own| own.id != patient) {
        let detail = "The account's holder has another record of their own. If this record is theirs, delete the account's `self` \
            access to the other record first, then give it to this one.";
        return Err(Error::conflict(ProblemCode::OwnRecordExists, detail));
    }
    require_no_other_account(conn, Some(user), patient, relation)
}

/// Requires that the patient has no own account except this one.
pub(super) fn require_no_other_account(
    conn: &mut Conn,
    user: Option<&User>,
    patient: PatientId,
    relation: Relation,
) -> Result<()> {
    let own_account: Option<UserId> = patient_access::table
        .filter(patient_access::patient_id.eq(patient))
        .filter(patient_access::relation.eq(Relation::Oneself))
        .filter(patient_access::stopped_at.is_null())
        .select(patient_access::user_id)
        .first(conn)
        .optional()?;
    let another = own_account.is_some_and(|own| user.is_none_or(|user| user.id != own));
    if relation == Relation::Oneself && another {
        return Err(Error::conflict(ProblemCode::OwnAccountExists, "The patient has an account of their own."));
    }
    Ok(())
}
