//! The summary of a follow-up for practitioners.

use serde::Serialize;
use text::Language;
use utoipa::ToSchema;

use super::clinical::{SummaryFlag, SummaryPatient, flags_shown, open_elsewhere, patient};
use super::material::Material;
use crate::clock::Timestamp;
use crate::db::types;
use crate::env::Env;
use crate::error::Result;
use crate::ids::IntakeId;
use crate::intake::flags::Flag;
use crate::intake::follow_up::answers::FollowUpAnswers;
use crate::intake::model::IntakeStatus;

/// The summary of a follow-up for practitioners: patient, flags, and the answers beside those of the other follow-ups. The summary of the
/// history has criteria, iron and medicines.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeFollowUpSummary)]
pub struct FollowUpSummary {
    /// The intake.
    pub intake_id: IntakeId,
    /// The status.
    pub status: IntakeStatus,
    /// The day of reading at the patient's place of care.
    pub as_of: types::Date,
    /// The patient.
    pub patient: SummaryPatient,
    /// When the answers were last changed.
    pub authored_at: Timestamp,
    /// The flags that it raised, the most urgent first.
    pub flags: Vec<SummaryFlag>,
    /// The open flags of the patient's other intakes, such as the history, and of laboratory results. Those of a rule that this intake
    /// raises too are left out.
    pub open_flags_elsewhere: Vec<SummaryFlag>,
    /// The answers of all submitted follow-ups of the patient, the newest first.
    pub follow_ups: Vec<FollowUpAnswers>,
    /// The practitioner's review and plan. Null before the review.
    pub review: Option<rls::Review>,
    /// When it was reviewed.
    pub reviewed_at: Option<Timestamp>,
    /// States that it is a summary and not a diagnosis.
    pub disclaimer: String,
    /// The version of the form.
    pub form_version: String,
    /// The version of the rules.
    pub rule_set_version: String,
}

/// Builds the summary.
pub(super) fn follow_up(
    env: &Env,
    material: &Material<'_>,
    flags: &[Flag],
    elsewhere: &[Flag],
) -> Result<FollowUpSummary> {
    let intake = material.intake;
    Ok(FollowUpSummary {
        intake_id: intake.id,
        status: intake.status,
        as_of: types::Date(material.today),
        patient: patient(material),
        authored_at: intake.authored_at,
        flags: flags_shown(env, material, flags)?,
        open_flags_elsewhere: open_elsewhere(env, material, flags, elsewhere)?,
        follow_ups: material.follow_ups.clone(),
        review: material.review.clone(),
        reviewed_at: intake.reviewed_at,
        disclaimer: rls::NOT_A_DIAGNOSIS.text(Language::English).to_owned(),
        form_version: intake.form_version.clone(),
        rule_set_version: material.rule_set_version.to_owned(),
    })
}
