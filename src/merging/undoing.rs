//! Undoing a merge.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;

use super::creating::{lock_accounts, lock_both};
use super::listing::{self, Merge, PatientMergeView};
use super::{access, flags, moving, uses};
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::db::schema::{patient_merges, patients};
use crate::error::{Error, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, PathId};
use crate::identifiers::Identifiers;
use crate::ids::{PatientId, PatientMergeId};
use crate::intake::{flag_ownership, recompute};
use crate::patients::model::Patient;
use crate::patients::store;

/// Undoes a merge.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts of the endpoint.
pub async fn undo(context: &Context, once: Once, id: PatientMergeId) -> Result<Versioned<PatientMergeView>> {
    context.require(Action::PatientMerge)?;
    context
        .change_once(once, move |tx| {
            let found = listing::find(tx, id)?;
            let accounts = access::Stopped::by(tx.conn, id)?;
            lock_accounts(tx, accounts.all())?;
            let both = lock_both(tx.conn, found.survivor_id, found.duplicate_id)?;
            let (Some(survivor), Some(duplicate)) = both else { return Err(Error::NotFound) };
            // Again, under the lock.
            let merge = listing::find(tx, id)?;
            require_open(tx, &merge)?;
            uses::require_no_later_merge(tx.conn, &merge)?;
            let undone = (patient_merges::undone_at.eq(tx.now), patient_merges::undone_by.eq(tx.actor.user_id));
            diesel::update(patient_merges::table.find(id)).set(undone).execute(tx.conn)?;
            let merge = Merge { undone_at: Some(tx.now), undone_by: Some(tx.actor.user_id), ..merge };
            // First, because a record that is replaced gets no rows.
            store::set_replaced_by(tx.conn, &duplicate, None, tx.now)?;
            moving::move_rows_back(tx.conn, id)?;
            uses::require_none(tx.conn, &merge)?;
            separate(tx, &merge, &survivor, &duplicate)?;
            access::move_back(tx, &accounts, &merge)?;
            uses::update_earlier_ledgers(tx.conn, id)?;
            merge.versioned(tx.env)
        })
        .await
}

/// Requires that the merge can be undone.
fn require_open(tx: &Tx, merge: &Merge) -> Result<()> {
    if merge.undone_at.is_some() {
        return Err(Error::conflict(ProblemCode::AlreadyUndone, "The merge was undone already."));
    }
    if merge.undo_until(tx.env) <= tx.now {
        let detail = "The merge cannot be undone any more. Create a new record and book its appointments anew.";
        return Err(Error::conflict(ProblemCode::UndoPeriodOver, detail));
    }
    Ok(())
}

/// Brings both records in line with the rows that they have again.
fn separate(tx: &mut Tx, merge: &Merge, survivor: &Patient, duplicate: &Patient) -> Result<()> {
    moving::detach_messages(tx.conn, merge.id)?;
    flags::restore(tx, merge)?;
    for record in [survivor, duplicate] {
        recompute::follow_record(tx, record)?;
        flag_ownership::reassign(tx.conn, record.id, tx.now)?;
    }
    let (kept, back) = (survivor.id, duplicate.id);
    let returned = moving::move_identifiers_back(tx.conn, &duplicate.identifiers, back, kept)?;
    let others = survivor.identifiers.0.iter().filter(|identifier| !returned.0.contains(identifier)).cloned();
    let others = Identifiers(others.collect());
    store::set_identifiers(tx.conn, kept, &others, tx.now)?;
    if returned != duplicate.identifiers {
        store::set_identifiers(tx.conn, back, &returned, tx.now)?;
    }
    repoint_back(tx, back)
}

/// Lets the records that were merged into this one before lead to it again, and those that were merged into them.
fn repoint_back(tx: &mut Tx, id: PatientId) -> Result<()> {
    let (mut earlier, mut last) = (Vec::new(), vec![id]);
    while !last.is_empty() {
        last = patient_merges::table
            .filter(patient_merges::survivor_id.eq_any(last))
            .filter(patient_merges::undone_at.is_null())
            .order(patient_merges::id)
            .select(patient_merges::duplicate_id)
            .load::<PatientId>(tx.conn)?;
        earlier.extend(last.iter().copied());
    }
    diesel::update(patients::table.filter(patients::id.eq_any(earlier)))
        .set((
            patients::replaced_by.eq(id),
            patients::version.eq(patients::version + 1),
            patients::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Undo a merge
///
/// For the front desk and administrators, within `undo_until`, if neither record was used since: nothing was booked, changed, answered,
/// acknowledged, offered or asked, and no access was given or ended. Otherwise the undo is refused with `used_since_merge`, because one
/// person could read what was written for another; `uses` lists what was done. Reads do not count. What belonged to the duplicate goes back to
/// it, and the duplicate is in use again. The findings and flags of both records are computed anew. Messages that were sent since the merge
/// stay with the other record. Accounts whose access the merge moved have access to the duplicate only, as before, and are
/// notified.
#[utoipa::path(
    tag = "patients",
    operation_id = "undo_patient_merge",
    security(("bearer" = [])),
    params(
        ("id" = PatientMergeId, Path, description = "The merge"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The merge, undone", body = PatientMergeView),
        (status = 409, description = "`already_undone`, `undo_period_over`. `merged_since`: undo the later merge of the record first. \
            `used_since_merge`: the record was used since; separate it by hand. \
            `own_record_exists`: an account has another record of its own since"),
    ),
)]
#[post("/v1/patient-merges/{id}/undo")]
pub(super) async fn undo_patient_merge(
    context: Context,
    PathId(id): PathId<PatientMergeId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&undo(&context, key.once_without_body(), id).await?))
}
