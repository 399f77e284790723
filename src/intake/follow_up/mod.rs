//! Follow-ups: when a patient is asked how they are after a visit or a change of treatment. A patient has one open follow-up at a time.
//! The service asks by mail when it is due, and the answers are an intake of the short form. When a follow-up is answered or missed, the
//! next one is scheduled. A completed visit replaces one that the service planned, and leaves one that staff scheduled. Owns the tables
//! `follow_ups` and `follow_up_links`.
//!
//! Lock order: after the intake and the patient.

pub mod answering;
pub mod answers;
pub mod asking;
pub mod links;
pub mod listing;
pub mod planning;
mod schedule;
pub mod store;
pub mod view;

use crate::db::types::text_enum;

text_enum! {
    /// The status of a follow-up.
    FollowUpStatus {
        /// The patient is asked when it is due.
        Scheduled = "scheduled",
        /// The patient was asked and can answer.
        Asked = "asked",
        /// The patient has answered.
        Answered = "answered",
        /// The time to answer has passed.
        Missed = "missed",
        /// The patient was seen again, or staff cancelled it.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Why a follow-up is scheduled.
    FollowUpReason {
        /// A visit was completed.
        Visit = "visit",
        /// The treatment was changed.
        TreatmentChange = "treatment_change",
        /// Another reason.
        Other = "other",
    }
}
