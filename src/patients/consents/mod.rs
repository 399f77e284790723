//! Consents: the documents, and the decisions on their versions. A recorded decision is never changed; a change of mind is another
//! decision.

pub mod decisions;
pub mod documents;
pub mod outstanding;
pub mod publishing;

use crate::db::types::text_enum;

text_enum! {
    /// The subject of a consent.
    ConsentType {
        /// Examination and treatment.
        Treatment = "treatment",
        /// How the clinic uses health information.
        PrivacyNotice = "privacy_notice",
    }
}

text_enum! {
    /// A decision.
    ConsentDecision {
        /// Yes.
        Accepted = "accepted",
        /// No.
        Declined = "declined",
        /// The patient could not be asked; the consent stays outstanding.
        NotObtained = "not_obtained",
    }
}

text_enum! {
    /// How a decision was given.
    ConsentMethod {
        /// In a client of this service.
        Online = "online",
        /// On paper, which the clinic keeps.
        Paper = "paper",
        /// By word of mouth.
        Verbal = "verbal",
    }
}

/// The condition that a consent is no longer outstanding for the patient of a query's row: it was accepted or declined in the current
/// version at any time. A later `not_obtained` does not change that.
macro_rules! settled {
    ($consent_type:expr) => {{
        use crate::db::schema::{consents, patients};
        use crate::patients::consents::ConsentDecision;
        use crate::patients::consents::documents::CURRENT_VERSION_OF_ROW;
        diesel::dsl::exists(
            consents::table
                .filter(consents::patient_id.eq(patients::id))
                .filter(consents::consent_type.eq($consent_type))
                .filter(
                    consents::document_version.eq(diesel::dsl::sql::<diesel::sql_types::Text>(CURRENT_VERSION_OF_ROW)),
                )
                .filter(consents::decision.ne(ConsentDecision::NotObtained)),
        )
    }};
}
pub(super) use settled;
