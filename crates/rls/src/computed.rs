//! The summary of everything that is computed from the answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Answers;
use super::context::Context;
use super::criteria::{self, ClinicalCourse, ClinicalSignificance, Criteria, ScreeningResult, ThreeValued};
use super::due::{self, IronMonitoring};
use super::factors::{self, ContributingFactor};
use super::flags::{self, Flag};
use super::iron::{self, IronDoubt, IronReviewBand};
use super::issues::{self, Issue};
use super::medicines::{self, MedicationClass};
use super::pregnancy;
use super::severity::{self, AugmentationFeatures, IrlsBand, IsiBand};

/// A summary of the answers for a clinician's review. It is never a diagnosis. Missing answers are never guessed.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsComputed)]
pub struct Computed {
    /// The IRLSSG 2014 criteria, three-valued.
    pub criteria: Criteria,
    /// The result of the four reported features.
    pub screening_result: ScreeningResult,
    /// Whether all five criteria are met. `null` if that is open.
    #[schema(required)]
    pub irlssg_criteria_met: Option<bool>,
    /// The clinical course.
    pub clinical_course: ClinicalCourse,
    /// Whether the symptoms disturb life. The cut-off "moderate" is this service's own choice.
    pub clinical_significance: ClinicalSignificance,
    /// The sum of the ten IRLS items, 0 to 40. `null` unless all ten are answered.
    #[schema(required, minimum = 0, maximum = 40)]
    pub irls_total: Option<i64>,
    /// The band of the IRLS total. `null` without a total, and for patients under 18.
    #[schema(required)]
    pub irls_band: Option<IrlsBand>,
    /// Whether the Epworth total is above 10. `null` without a total, and for patients under 18.
    #[schema(required)]
    pub ess_above_10: Option<bool>,
    /// The band of the Insomnia Severity Index. `null` without a total, and for patients under 18.
    #[schema(required)]
    pub isi_band: Option<IsiBand>,
    /// The newest transferrin saturation in percent, to one decimal. `null` if there is none.
    #[schema(required, minimum = 0, maximum = 100)]
    pub tsat_percent: Option<f64>,
    /// The band of the newest iron values. Show it with the date and age of the sample: ferritin rises with
    /// inflammation.
    pub iron_review_band: IronReviewBand,
    /// Doubts about the newest iron results. Show them beside the band. Missing if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub iron_doubts: Vec<IronDoubt>,
    /// The trimester, 1 to 3. Missing unless the patient is pregnant and the dates agree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, minimum = 1, maximum = 3)]
    pub trimester: Option<u8>,
    /// The number of augmentation features. `null` if no dopamine medicine is named and no feature is answered. It is not a validated score.
    #[schema(required)]
    pub augmentation_features: Option<AugmentationFeatures>,
    /// Hours by which the symptoms begin earlier in the day than before treatment. Missing unless both times are known
    /// and earlier onset is reported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, minimum = 0, maximum = 24)]
    pub onset_hours_earlier: Option<f64>,
    /// The monitoring of each iron medicine taken now. Missing if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub iron_monitoring: Vec<IronMonitoring>,
    /// The next day on which the findings may change by themselves: a deadline passes, or a result becomes old. Missing
    /// if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, value_type = Option<String>, format = Date)]
    pub changes_on: Option<jiff::civil::Date>,
    /// Classes of medicines by name. Missing if all classes are entered and agree with the table.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub medication_classes: Vec<MedicationClass>,
    /// The paths of medicines whose name is not, or only partly, recognised. No rule knows what they are: check them.
    /// Missing if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unrecognized_medications: Vec<String>,
    /// Whether a parent, sister, brother, son or daughter has restless legs. Missing if the question about relatives is
    /// not answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub first_degree_relative: Option<ThreeValued>,
    /// The factors that may contribute, with the answers that suggest them.
    pub contributing_factors: Vec<ContributingFactor>,
    /// Missing and inconsistent answers. Errors block submission, but not saving.
    pub issues: Vec<Issue>,
    /// What should not wait for the visit, most urgent first. No flag does not mean safe.
    pub flags: Vec<Flag>,
}

// It is patient data like the answers, so it must not get into logs.
impl std::fmt::Debug for Computed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Computed").finish_non_exhaustive()
    }
}

/// Computes the summary.
pub fn compute(answers: &Answers, context: &Context) -> Computed {
    let criteria = criteria::criteria(answers, context);
    let irls_total = severity::irls_total(answers);
    let band = iron::review_band(answers, context);
    Computed {
        criteria,
        screening_result: criteria::screening_result(&criteria),
        irlssg_criteria_met: criteria::criteria_met(&criteria),
        clinical_course: criteria::course(answers, context),
        clinical_significance: criteria::significance(answers),
        irls_total,
        irls_band: severity::irls_band(irls_total, context),
        ess_above_10: severity::ess_above_10(answers, context),
        isi_band: severity::isi_band(answers, context),
        tsat_percent: iron::tsat_percent(answers, context),
        iron_review_band: band,
        iron_doubts: iron::doubts(answers, context),
        trimester: pregnancy::trimester(answers, context),
        augmentation_features: severity::augmentation(answers),
        onset_hours_earlier: severity::onset_hours_earlier(answers),
        iron_monitoring: due::iron_monitoring(answers, context),
        changes_on: due::next_change(answers, context),
        medication_classes: medicines::classes_from_table(answers),
        unrecognized_medications: medicines::unrecognized(answers),
        first_degree_relative: factors::first_degree_relative(answers),
        contributing_factors: factors::contributing_factors(answers, band),
        issues: issues::issues(answers, context),
        flags: flags::flags(answers, context, band),
    }
}
