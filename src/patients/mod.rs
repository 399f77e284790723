//! Patients: records, search, duplicates, consents, who may act for a patient, care relationships. Owns the tables
//! `patients`, `patient_retirements`, `patient_name_prefixes`, `patient_access`, `access_links`, `access_givers`, `record_guards`,
//! `patient_invitations`, `consents` and `consent_documents`.

pub mod access;
pub mod access_log;
pub mod care;
pub mod consents;
pub mod duplicates;
pub mod listed;
pub mod missed_visits;
pub mod names;
pub mod recipients;
pub mod records;
pub mod retiring;
mod typing_mistakes;
pub mod unverified;

pub use self::records::{model, profile, store};

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(access::current_user::get_current_user)
        .service(records::creating::create_patient)
        .service(records::searching::list_patients)
        .service(records::updating::get_patient)
        .service(records::updating::update_patient)
        .service(duplicates::list_patient_duplicates)
        .service(retiring::create_patient_retirement)
        .service(retiring::undo_patient_retirement)
        .service(retiring::list_patient_retirements)
        .service(retiring::get_patient_retirement)
        .service(consents::documents::list_consent_documents)
        .service(consents::publishing::create_consent_document)
        .service(consents::decisions::list_consents)
        .service(consents::decisions::create_consent)
        .service(consents::decisions::get_consent)
        .service(access::listing::list_patient_access)
        .service(access::listing::get_patient_access)
        .service(access::giving::create_patient_access)
        .service(access::giving::confirm_patient_access)
        .service(access::ending::delete_patient_access)
        .service(access::ending::create_access_objection)
        .service(access::invitations::create_patient_invitation)
        .service(access::invitations::list_patient_invitations)
        .service(access::invitations::delete_patient_invitation)
        .service(access::accepting::accept_invitation)
        .service(access_log::list_patient_audit_events);
}
