//! The IRLSSG 2014 consensus criteria (three-valued), the clinical course and the clinical significance.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, ImpactLevel, MimicReview, PregnancyStatus, YesNo};
use super::context::Context;
use super::form_dsl::PartialDate;
use super::medicines;

/// Yes, no or unknown. Unknown covers "I don't know", declined and unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsThreeValued)]
pub enum ThreeValued {
    /// Reported.
    Yes,
    /// Denied.
    No,
    /// Neither reported nor denied.
    Unknown,
}

impl From<Option<YesNo>> for ThreeValued {
    fn from(answer: Option<YesNo>) -> Self {
        match answer {
            Some(YesNo::Yes) => Self::Yes,
            Some(YesNo::No) => Self::No,
            _ => Self::Unknown,
        }
    }
}

/// The criteria. C1 to C4 are reported by the patient. C5 is the clinician's finding: in a study, 16 % of people
/// without restless legs met all four others (PMC2769267).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsCriteria)]
pub struct Criteria {
    /// An urge to move the legs.
    pub c1: ThreeValued,
    /// The urge begins or worsens at rest.
    pub c2: ThreeValued,
    /// Movement relieves the urge, now or previously.
    pub c3: ThreeValued,
    /// The urge is worse in the evening or at night, now or previously.
    pub c4: ThreeValued,
    /// Whether other conditions alone explain the symptoms: `not_reviewed`, `not_solely_explained`, `solely_explained`.
    pub c5: MimicReview,
}

impl Criteria {
    /// Returns the four criteria that a patient can answer.
    pub fn reported(&self) -> [ThreeValued; 4] {
        [self.c1, self.c2, self.c3, self.c4]
    }
}

/// The result of the four reported features and the review of mimics. Never a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsScreeningResult)]
pub enum ScreeningResult {
    /// At least one of C1 to C4 was denied.
    FeaturesNotAllReported,
    /// None was denied, and at least one is unknown.
    Incomplete,
    /// All four are reported. A clinician must review conditions that mimic restless legs.
    FeaturesPresentNeedsClinicianReview,
    /// All four are reported, and the clinician found that other conditions alone do not explain them.
    CriteriaConfirmedByClinician,
    /// All four are reported, and the clinician found that other conditions alone explain them.
    FeaturesPresentExplainedOtherwise,
}

/// The clinical course (IRLSSG 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsClinicalCourse)]
pub enum ClinicalCourse {
    /// At least twice a week without treatment, on average over the past year.
    ChronicPersistent,
    /// Less than twice a week, with at least five events in life.
    Intermittent,
    /// Unknown, or not defined: onset within the past year, provoked by pregnancy or a medicine, or a patient under 18.
    NotDeterminable,
}

/// Whether the symptoms disturb life. The cut-off "moderate" is this service's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsClinicalSignificance)]
pub enum ClinicalSignificance {
    /// Moderate or severe impact is reported.
    Reported,
    /// No or mild impact is reported.
    NotReported,
    /// Not answered, unknown or declined.
    Unknown,
}

/// Returns yes if the feature is present now or was previously, and no only if both are denied.
fn now_or_previously(now: Option<YesNo>, previously: Option<YesNo>) -> ThreeValued {
    match (now.into(), previously.into()) {
        (ThreeValued::Yes, _) | (_, ThreeValued::Yes) => ThreeValued::Yes,
        (ThreeValued::No, ThreeValued::No) => ThreeValued::No,
        _ => ThreeValued::Unknown,
    }
}

/// Like [`now_or_previously`] for an optional second question: a denial stands until it is answered.
fn now_or_before_treatment(now: Option<YesNo>, before: Option<YesNo>) -> ThreeValued {
    if before.is_none() { now.into() } else { now_or_previously(now, before) }
}

/// Evaluates the criteria.
pub fn criteria(answers: &Answers, context: &Context) -> Criteria {
    let symptoms = &answers.symptoms;
    Criteria {
        c1: now_or_before_treatment(symptoms.urge_to_move_legs, symptoms.urge_previously_present),
        c2: now_or_before_treatment(symptoms.worse_at_rest, symptoms.rest_pattern_previously_present),
        c3: now_or_previously(symptoms.relief_with_movement, symptoms.relief_previously_present),
        c4: now_or_previously(symptoms.worse_evening_or_night, symptoms.evening_pattern_previously_present),
        c5: context.mimic_review,
    }
}

/// Evaluates C1 to C4 together, with the review of mimics if all four are reported.
pub fn screening_result(criteria: &Criteria) -> ScreeningResult {
    let reported = criteria.reported();
    if reported.contains(&ThreeValued::No) {
        ScreeningResult::FeaturesNotAllReported
    } else if reported.contains(&ThreeValued::Unknown) {
        ScreeningResult::Incomplete
    } else {
        match criteria.c5 {
            MimicReview::NotReviewed => ScreeningResult::FeaturesPresentNeedsClinicianReview,
            MimicReview::NotSolelyExplained => ScreeningResult::CriteriaConfirmedByClinician,
            MimicReview::SolelyExplained => ScreeningResult::FeaturesPresentExplainedOtherwise,
        }
    }
}

/// Returns whether all five criteria are met, or `None` if that is open.
pub fn criteria_met(criteria: &Criteria) -> Option<bool> {
    match screening_result(criteria) {
        ScreeningResult::FeaturesNotAllReported | ScreeningResult::FeaturesPresentExplainedOtherwise => Some(false),
        ScreeningResult::CriteriaConfirmedByClinician => Some(true),
        ScreeningResult::Incomplete if criteria.c5 == MimicReview::SolelyExplained => Some(false),
        ScreeningResult::Incomplete | ScreeningResult::FeaturesPresentNeedsClinicianReview => None,
    }
}

/// The longest pregnancy in days: 44 weeks.
const PREGNANCY_DAYS: i64 = 44 * 7;

/// Determines the clinical course.
pub fn course(answers: &Answers, context: &Context) -> ClinicalCourse {
    let symptoms = &answers.symptoms;
    let Some(days) = &symptoms.days_per_week_untreated else { return ClinicalCourse::NotDeterminable };
    if context.is_under_18() || too_new(answers, context) || provoked(answers, context) {
        return ClinicalCourse::NotDeterminable;
    }
    if days.get() >= 2.0 {
        ClinicalCourse::ChronicPersistent
    } else if YesNo::is_yes(symptoms.lifetime_episodes_5_or_more) {
        ClinicalCourse::Intermittent
    } else {
        ClinicalCourse::NotDeterminable
    }
}

/// Returns whether the symptoms may have begun less than twelve months ago. There is no average over a year then.
fn too_new(answers: &Answers, context: &Context) -> bool {
    let Some(onset) = answers.symptoms.symptom_onset_date else { return false };
    let year_ago = context.authored_on.checked_sub(jiff::Span::new().years(1));
    year_ago.is_ok_and(|year_ago| onset.last() > year_ago)
}

/// Returns whether a pregnancy or a medicine may provoke the symptoms, because they are not known to be older.
fn provoked(answers: &Answers, context: &Context) -> bool {
    let onset = answers.symptoms.symptom_onset_date;
    let surely_older_than = |day| onset.is_some_and(|onset: PartialDate| onset.surely_before_day(day));
    if answers.risk.pregnancy_status == Some(PregnancyStatus::Pregnant) {
        let earliest = context.authored_on.checked_sub(jiff::Span::new().days(PREGNANCY_DAYS));
        if !earliest.is_ok_and(surely_older_than) {
            return true;
        }
    }
    // Both dates must be known: an aggravating medicine may have been started after the symptoms.
    onset.is_some_and(|onset| {
        medicines::taken_now(answers, medicines::AGGRAVATORS)
            .filter_map(|(_, medicine)| medicine.started_on)
            .any(|start| start.surely_before(onset) || start == onset)
    })
}

/// Determines the clinical significance.
pub fn significance(answers: &Answers) -> ClinicalSignificance {
    match answers.symptoms.impact_level {
        Some(ImpactLevel::Moderate | ImpactLevel::Severe) => ClinicalSignificance::Reported,
        Some(ImpactLevel::None | ImpactLevel::Mild) => ClinicalSignificance::NotReported,
        _ => ClinicalSignificance::Unknown,
    }
}
