//! What adult patients decide about access to their own record.

use super::adulthood::Calendar;
use super::is_own_record;
use crate::context::Tx;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::PatientId;
use crate::patients::model::Patient;
use crate::patients::store;

/// Returns the record, which must be the actor's own, of an adult.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `patient_only`.
pub(super) fn require(tx: &mut Tx, id: PatientId) -> Result<Patient> {
    let patient = store::visible(tx.conn, tx.env, tx.actor, id)?;
    let is_own = is_own_record(tx.conn, tx.env, tx.actor, id)?;
    if !is_own || Calendar::of_clinic(tx.conn, tx.env)?.is_minor(&patient, tx.now) {
        let detail = "Only the adult patient decides about the access of others. Please call the clinic.";
        return Err(Error::forbidden(ProblemCode::PatientOnly, detail));
    }
    Ok(patient)
}
