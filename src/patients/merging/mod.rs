//! Merging: two records of one patient become one (FHIR `Patient/$merge`), and the undo of a merge.
//!
//! One record survives. The rows of the other one, the duplicate, become rows of the survivor, and a ledger keeps which: an undo reads it. The
//! duplicate keeps its own columns, which are sealed for its row, and says by which record it is replaced. Audit events keep their
//! patient, and reading unites them. No access is given silently: staff list the accounts that also get access to the survivor, and the
//! rules for given access apply to them.

pub mod access;
pub mod conflicts;
pub mod creating;
pub mod listing;
pub mod moving;
pub mod preview;
pub mod undoing;
