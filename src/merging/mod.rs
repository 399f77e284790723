//! Merging: two records of one patient become one (FHIR `Patient/$merge`), and the undo of a merge. Owns the tables `patient_merges`,
//! `patient_merge_rows` and `patient_merge_flags`.
//!
//! One record survives. The rows of the other one, the duplicate, become rows of the survivor, and a ledger keeps which: an undo reads it. The
//! duplicate keeps its own columns, which are sealed for its row, and says by which record it is replaced. Audit events keep their
//! patient, and reading unites them. No access is given silently: staff list the accounts that also get access to the survivor, and the
//! rules for given access apply to them. A merge is undone only while neither record was used ([`uses`]).

mod access;
pub mod conflicts;
mod creating;
mod flags;
mod listing;
pub mod moving;
mod preview;
mod undoing;
pub mod uses;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(preview::get_patient_merge_preview)
        .service(creating::create_patient_merge)
        .service(listing::list_patient_merges)
        .service(listing::get_patient_merge)
        .service(undoing::undo_patient_merge);
}
