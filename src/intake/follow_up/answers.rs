//! What patients answered in their follow-ups, for the timeline and the doctor's page.

use jiff::civil::Date;
use rls::FormName;
use rls::answers::{Answers, ChangeSinceVisit, SideEffect, YesNo};
use rls::form_dsl::{Decimal, Integer, TimeOfDay};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::context::Tx;
use crate::db::types;
use crate::error::Result;
use crate::ids::{IntakeId, PatientId};
use crate::intake::reading_context::ReadingContext;
use crate::intake::{from_value, store};

/// The answers of a follow-up.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsFollowUpAnswers, example = json!({
    "on": "2026-07-01", "intake_id": "0199d0c2-1f00-7aaa-8000-000000000010", "change": "better", "severity_0_10": 3,
    "days_per_week_treated": 1.0, "usual_onset_time": "21:00", "augmentation": "no", "has_side_effects": "yes",
    "side_effects": ["nausea"]
}))]
pub struct FollowUpAnswers {
    /// The day of the answers.
    #[schema(value_type = types::Date)]
    pub on: Date,
    /// The intake.
    pub intake_id: IntakeId,
    /// How the symptoms changed since the last visit.
    pub change: Option<ChangeSinceVisit>,
    /// How bothersome it is, 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    pub severity_0_10: Option<i64>,
    /// Days a week with symptoms, on treatment.
    #[schema(minimum = 0, maximum = 7)]
    pub days_per_week_treated: Option<f64>,
    /// The time of day at which the symptoms usually begin.
    #[schema(value_type = Option<String>, examples("21:00"))]
    pub usual_onset_time: Option<TimeOfDay>,
    /// Whether symptoms begin earlier, are stronger or have spread since the treatment began.
    pub augmentation: Option<YesNo>,
    /// Whether there are new or stronger urges. Only for practitioners.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = YesNo, nullable = false, required = false)]
    pub urges: Option<YesNo>,
    /// Whether the treatment has side effects.
    pub has_side_effects: Option<YesNo>,
    /// The side effects.
    #[schema(value_type = Vec<String>)]
    pub side_effects: Vec<SideEffect>,
}

impl FollowUpAnswers {
    fn new(intake_id: IntakeId, on: Date, answers: Answers, is_practitioner: bool) -> Self {
        Self {
            on,
            intake_id,
            change: answers.follow_up.change,
            severity_0_10: answers.symptoms.severity_0_10.map(Integer::get),
            days_per_week_treated: answers.symptoms.days_per_week_treated.as_ref().map(Decimal::get),
            usual_onset_time: answers.symptoms.usual_onset_time,
            augmentation: answers.follow_up.augmentation,
            urges: answers.follow_up.urges.filter(|_| is_practitioner),
            has_side_effects: answers.follow_up.has_side_effects,
            side_effects: answers.follow_up.side_effects.unwrap_or_default(),
        }
    }
}

/// Loads the submitted follow-ups of a patient, oldest first. The caller must have authorised the request.
pub fn of_patient(tx: &mut Tx, patient: PatientId, form: &ReadingContext) -> Result<Vec<FollowUpAnswers>> {
    let mut all = Vec::new();
    for intake in store::submitted(tx.conn, patient, FormName::FollowUp.as_str())? {
        let on = form.place.day(intake.submitted_at.unwrap_or(intake.authored_at))?;
        let answers = from_value(&Value::Object(intake.open_answers(tx.env)?))?;
        all.push(FollowUpAnswers::new(intake.id, on, answers, form.is_practitioner()));
    }
    Ok(all)
}
