//! Intakes: what patients record before a visit, from the draft to the practitioner's review, with the flags that their answers
//! raise and the laboratory results in between. Owns the tables `intakes`, `intake_versions`, `intake_flags`, `lab_results`,
//! `follow_ups` and `follow_up_links`.
//!
//! The crate [`rls`] has the form and everything that is computed from its answers, without database and HTTP.
//! [`crate::patients::care`] decides whose clinical data a practitioner may read.
//!
//! Lock order: the intake first, then the patient, then the intake's flags.

pub mod amendment;
pub mod details;
pub mod drafts;
pub mod due;
pub mod export;
pub mod flag_ownership;
pub mod flag_worklist;
pub mod flags;
pub mod follow_up;
pub mod forms;
pub mod lab_corrections;
pub mod lab_rows;
mod lab_versions;
pub mod labs;
pub mod listing;
pub mod model;
pub mod place_of_care;
pub mod reading_context;
mod reading_language;
pub mod recompute;
pub mod review;
pub mod rules;
pub mod stale;
pub mod store;
mod stored_review;
pub mod submission;
pub mod summary;
pub mod timeline;
pub mod versions;
pub mod view;
pub mod void;

use serde_json::Value;

use crate::error::{Error, FieldError, Result};
use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(forms::list_intake_forms)
        .service(forms::get_rls_history_form)
        .service(forms::get_rls_follow_up_form)
        .service(rules::list_rls_rules)
        .service(drafts::create_intake)
        .service(view::get_intake)
        .service(drafts::update_intake)
        .service(drafts::delete_intake)
        .service(listing::list_patient_intakes)
        .service(listing::list_intakes)
        .service(submission::submit_intake)
        .service(review::review_intake)
        .service(amendment::amend_intake)
        .service(void::void_intake)
        .service(versions::list_intake_versions)
        .service(flag_worklist::list_intake_flags)
        .service(flag_worklist::acknowledge_intake_flag)
        .service(labs::create_lab_result)
        .service(labs::list_lab_results)
        .service(labs::get_lab_result)
        .service(lab_corrections::correct_lab_result)
        .service(lab_corrections::void_lab_result)
        .service(lab_versions::list_lab_result_versions)
        .service(follow_up::planning::create_follow_up)
        .service(follow_up::listing::list_patient_follow_ups)
        .service(follow_up::listing::list_follow_ups)
        .service(follow_up::view::get_follow_up)
        .service(follow_up::planning::cancel_follow_up)
        .service(follow_up::links::view_follow_up_link)
        .service(follow_up::links::answer_follow_up_link)
        .service(timeline::get_rls_timeline)
        .service(summary::get_intake_summary);
}

impl From<rls::Invalid> for Error {
    fn from(rls::Invalid(errors): rls::Invalid) -> Self {
        let field_error = |error: rls::FieldError| FieldError::new(error.pointer, error.code, error.detail);
        Self::Invalid(errors.into_iter().map(field_error).collect())
    }
}

/// Reads stored answers.
fn from_value(answers: &Value) -> Result<rls::Answers> {
    rls::parse(answers, "").map_err(|_| Error::fault("the form cannot read stored answers"))
}

/// Writes answers as they are stored.
fn to_map(answers: &rls::Answers) -> Result<model::Answers> {
    match serde_json::to_value(answers) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::fault("answers are not an object")),
        Err(error) => Err(Error::internal("write answers", error)),
    }
}
