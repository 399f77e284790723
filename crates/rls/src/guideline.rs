//! What a guideline says about the treatments of a patient: hints for the practitioner, never orders.
//!
//! AASM 2025 (doi 10.5664/jcsm.11390). Each strength and certainty stands in a public account of the recommendations
//! (droracle.ai articles 215381, 387452, 143514, and 745894 for kidney failure). A certainty that none of them states is
//! left out. So is the recommendation on valerian, whose strength none states.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, Medication, MedicineClass, PregnancyStatus, TreatmentResponse, YesNo};
use super::computed::Computed;
use super::context::Context;
use super::criteria::{ClinicalSignificance, ScreeningResult};
use super::iron::{self, IronReviewBand};
use super::medicine_names::{Substance, recognize};
use super::medicines;

/// The citation of every hint.
pub const CITATION: &str = "Winkelman et al., AASM clinical practice guideline, J Clin Sleep Med 2025;21:137";
/// The address of the guideline.
pub const URL: &str = "https://doi.org/10.5664/jcsm.11390";

/// The strength of a recommendation (GRADE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GuidelineStrength)]
pub enum Strength {
    /// Strong: the guideline "recommends".
    Strong,
    /// Conditional: the guideline "suggests".
    Conditional,
}

/// The certainty of the evidence (GRADE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GuidelineCertainty)]
pub enum Certainty {
    /// Moderate.
    Moderate,
    /// Low.
    Low,
    /// Very low.
    VeryLow,
}

/// Whether the guideline is for or against a treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GuidelineDirection)]
pub enum Direction {
    /// For it.
    For,
    /// Against it.
    Against,
    /// Against its standard use. Short-term use remains possible.
    AgainstStandardUse,
}

/// Why a hint is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GuidelineReason)]
pub enum Reason {
    /// The patient takes the medicine now.
    TakenNow,
    /// The patient took the medicine.
    TakenBefore,
    /// The iron values are in the range in which the guideline considers iron.
    IronStatus,
    /// Significant symptoms, and no medicine of this kind is named.
    NotNamedYet,
    /// Significant symptoms, and an alpha-2-delta ligand did not help well.
    LigandNotSufficient,
}

/// What the guideline says about a treatment. A hint for the practitioner, never an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GuidelineHint)]
pub struct Hint {
    /// The id. It is never reused for another recommendation.
    #[schema(examples("aasm_2025_pramipexole"))]
    pub id: String,
    /// What the guideline says.
    #[schema(examples("The guideline suggests against the standard use of pramipexole."))]
    pub text: String,
    /// The verb of the sentence.
    #[schema(examples("suggests against the standard use of"))]
    pub verb: String,
    /// The treatment.
    #[schema(examples("pramipexole"))]
    pub treatment: String,
    /// Whether it is for or against the treatment.
    pub direction: Direction,
    /// The strength of the recommendation.
    pub strength: Strength,
    /// The certainty of the evidence. Null if it was not confirmed.
    #[schema(required)]
    pub certainty: Option<Certainty>,
    /// Why it is shown.
    pub reason: Reason,
    /// The substances of the patient's recorded allergies that are this treatment, in the patient's words.
    #[schema(examples(json!([])))]
    pub allergies: Vec<String>,
    /// The citation.
    pub citation: String,
    /// The address of the guideline.
    pub url: String,
}

/// A recommendation of the guideline.
struct Recommendation {
    id: &'static str,
    /// The treatment as the guideline names it.
    treatment: &'static str,
    direction: Direction,
    strength: Strength,
    certainty: Option<Certainty>,
    about: About,
}

/// What a recommendation is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// An alpha-2-delta ligand with this generic name.
    Ligand(&'static str),
    /// An iron with this generic name: by vein, also between the two thresholds of ferritin.
    IronByVein(&'static str),
    /// An iron by vein with this generic name, in kidney failure only.
    IronInKidneyFailure(&'static str),
    /// Iron by mouth.
    IronByMouth,
    /// Iron by mouth for children.
    IronOfChildren,
    /// Another medicine with this generic name.
    Medicine(&'static str),
    /// Opioids.
    Opioids,
    /// A device.
    Device,
}

const fn of(
    id: &'static str,
    treatment: &'static str,
    direction: Direction,
    strength: Strength,
    certainty: Option<Certainty>,
    about: About,
) -> Recommendation {
    Recommendation { id, treatment, direction, strength, certainty, about }
}

const RECOMMENDATIONS: &[Recommendation] = {
    use About::{Device, IronByMouth, IronByVein, IronInKidneyFailure, IronOfChildren, Ligand, Medicine, Opioids};
    use Certainty::{Low, Moderate, VeryLow};
    use Direction::{Against, AgainstStandardUse, For};
    use Strength::{Conditional, Strong};
    &[
        of(
            "aasm_2025_gabapentin_enacarbil",
            "gabapentin enacarbil",
            For,
            Strong,
            Some(Moderate),
            Ligand("gabapentin enacarbil"),
        ),
        of("aasm_2025_gabapentin", "gabapentin", For, Strong, Some(Moderate), Ligand("gabapentin")),
        of("aasm_2025_pregabalin", "pregabalin", For, Strong, Some(Moderate), Ligand("pregabalin")),
        of(
            "aasm_2025_ferric_carboxymaltose",
            "intravenous ferric carboxymaltose with appropriate iron status",
            For,
            Strong,
            Some(Moderate),
            IronByVein("ferric carboxymaltose"),
        ),
        of(
            "aasm_2025_iron_dextran",
            "intravenous low-molecular-weight iron dextran with appropriate iron status",
            For,
            Conditional,
            Some(VeryLow),
            IronByVein("iron dextran"),
        ),
        of(
            "aasm_2025_ferumoxytol",
            "intravenous ferumoxytol with appropriate iron status",
            For,
            Conditional,
            Some(VeryLow),
            IronByVein("ferumoxytol"),
        ),
        of(
            "aasm_2025_ferrous_sulfate",
            "ferrous sulfate with appropriate iron status",
            For,
            Conditional,
            Some(Moderate),
            IronByMouth,
        ),
        of(
            "aasm_2025_ferrous_sulfate_children",
            "ferrous sulfate in children with appropriate iron status",
            For,
            Conditional,
            Some(VeryLow),
            IronOfChildren,
        ),
        of(
            "aasm_2025_iron_sucrose",
            "intravenous iron sucrose in end-stage kidney disease with ferritin below 200 ng/mL and TSAT below 20%",
            For,
            Conditional,
            Some(Moderate),
            IronInKidneyFailure("iron sucrose"),
        ),
        of("aasm_2025_dipyridamole", "dipyridamole", For, Conditional, Some(Low), Medicine("dipyridamole")),
        of(
            "aasm_2025_opioids",
            "extended-release oxycodone and other opioids",
            For,
            Conditional,
            Some(Moderate),
            Opioids,
        ),
        of(
            "aasm_2025_peroneal_nerve_stimulation",
            "bilateral high-frequency peroneal nerve stimulation",
            For,
            Conditional,
            Some(Moderate),
            Device,
        ),
        of("aasm_2025_levodopa", "levodopa", AgainstStandardUse, Conditional, None, Medicine("levodopa")),
        of(
            "aasm_2025_pramipexole",
            "pramipexole",
            AgainstStandardUse,
            Conditional,
            Some(Moderate),
            Medicine("pramipexole"),
        ),
        of(
            "aasm_2025_rotigotine",
            "transdermal rotigotine",
            AgainstStandardUse,
            Conditional,
            None,
            Medicine("rotigotine"),
        ),
        of("aasm_2025_ropinirole", "ropinirole", AgainstStandardUse, Conditional, None, Medicine("ropinirole")),
        of("aasm_2025_cabergoline", "cabergoline", Against, Strong, None, Medicine("cabergoline")),
        of("aasm_2025_bupropion", "bupropion for restless legs", Against, Conditional, None, Medicine("bupropion")),
        of("aasm_2025_carbamazepine", "carbamazepine", Against, Conditional, None, Medicine("carbamazepine")),
        of("aasm_2025_clonazepam", "clonazepam", Against, Conditional, None, Medicine("clonazepam")),
        of("aasm_2025_valproate", "valproic acid", Against, Conditional, None, Medicine("valproate")),
    ]
};

/// Returns the recommendations that concern the patient, in the order of the guideline: those on medicines that are or
/// were taken for restless legs, and those on what may come into question. The latter are left out in pregnancy, when
/// a pregnancy is wished, and while breastfeeding, because the recommendations do not weigh it; and without all four
/// features of restless legs or with symptoms that other conditions explain.
pub fn hints(answers: &Answers, computed: &Computed, context: &Context) -> Vec<Hint> {
    let hint = |one| Some(write(one, reason(one, answers, computed, context)?, allergies(one, answers)));
    RECOMMENDATIONS.iter().filter_map(hint).collect()
}

fn reason(one: &Recommendation, answers: &Answers, computed: &Computed, context: &Context) -> Option<Reason> {
    let for_children = one.about == About::IronOfChildren;
    if for_children != context.is_under_18() {
        return None;
    }
    if matches!(one.about, About::IronInKidneyFailure(_)) && !iron::kidney_failure(answers) {
        return None;
    }
    let for_rls = answers.medications().map(|(_, medicine)| medicine).filter(|one| one.for_rls != Some(YesNo::No));
    let concerned: Vec<_> = for_rls.filter(|medicine| concerns(one.about, medicine)).collect();
    if concerned.iter().any(|medicine| medicines::is_current(medicine)) {
        return Some(Reason::TakenNow);
    }
    if !concerned.is_empty() {
        return Some(Reason::TakenBefore);
    }
    if one.direction == Direction::For && may_come_into_question(answers, computed) {
        return new_treatment(one.about, answers, computed, context);
    }
    None
}

fn concerns(about: About, medicine: &Medication) -> bool {
    let is = |name: &str| medicines::substances(medicine).iter().any(|one| one.name == name);
    match about {
        About::Ligand(name) | About::IronByVein(name) | About::IronInKidneyFailure(name) | About::Medicine(name) => {
            is(name)
        }
        About::IronByMouth | About::IronOfChildren => is("ferrous sulfate"),
        About::Opioids => medicines::belongs_to(medicine, MedicineClass::Opioid),
        About::Device => false,
    }
}

/// Returns the recorded allergies to a treatment. An allergy to a kind of iron that is not named counts for each of its kind.
fn allergies(one: &Recommendation, answers: &Answers) -> Vec<String> {
    let is_meant = |substance: &Substance| match one.about {
        About::Ligand(name) | About::Medicine(name) => substance.name == name,
        About::IronByVein(name) | About::IronInKidneyFailure(name) => {
            [name, "intravenous iron", "iron"].contains(&substance.name)
        }
        About::IronByMouth | About::IronOfChildren => ["ferrous sulfate", "iron"].contains(&substance.name),
        About::Opioids => substance.class == MedicineClass::Opioid,
        About::Device => false,
    };
    let recorded = answers.allergies.iter().flatten().filter_map(|allergy| allergy.substance.as_ref());
    let meant = recorded.filter(|written| recognize(written.as_str()).substances.into_iter().any(is_meant));
    meant.map(|written| written.as_str().to_owned()).collect()
}

fn may_come_into_question(answers: &Answers, computed: &Computed) -> bool {
    let risk = &answers.risk;
    let expecting = risk.pregnancy_status == Some(PregnancyStatus::Pregnant)
        || YesNo::is_yes(risk.trying_to_conceive)
        || YesNo::is_yes(risk.breastfeeding);
    let features = matches!(
        computed.screening_result,
        ScreeningResult::FeaturesPresentNeedsClinicianReview | ScreeningResult::CriteriaConfirmedByClinician
    );
    features && !expecting
}

fn new_treatment(about: About, answers: &Answers, computed: &Computed, context: &Context) -> Option<Reason> {
    let band = computed.iron_review_band;
    let low = band == IronReviewBand::Low;
    let significant = computed.clinical_significance == ClinicalSignificance::Reported;
    let ligands = || {
        let all = answers.medications().map(|(_, medicine)| medicine);
        all.filter(|medicine| medicines::belongs_to(medicine, MedicineClass::Alpha2delta))
    };
    let insufficient = || {
        ligands().any(|one| {
            matches!(
                one.response,
                Some(TreatmentResponse::None | TreatmentResponse::Partial | TreatmentResponse::Worse)
            )
        })
    };
    // Iron is not suggested with a TSAT above 45 %.
    let iron = !iron::tsat_above_45(answers, context);
    match about {
        About::IronByVein(_) if iron && (low || band == IronReviewBand::Between) => Some(Reason::IronStatus),
        About::IronInKidneyFailure(_) if band == IronReviewBand::LowKidney => Some(Reason::IronStatus),
        About::IronByMouth if iron && low => Some(Reason::IronStatus),
        About::IronOfChildren if iron && band == IronReviewBand::LowMinor => Some(Reason::IronStatus),
        About::Ligand(_) if significant && ligands().next().is_none() => Some(Reason::NotNamedYet),
        About::Medicine(_) | About::Opioids | About::Device if significant && insufficient() => {
            Some(Reason::LigandNotSufficient)
        }
        _ => None,
    }
}

fn write(one: &Recommendation, reason: Reason, allergies: Vec<String>) -> Hint {
    let verb = match (one.strength, one.direction) {
        (Strength::Strong, Direction::For) => "recommends",
        (Strength::Strong, Direction::Against) => "recommends against",
        (Strength::Strong, Direction::AgainstStandardUse) => "recommends against the standard use of",
        (Strength::Conditional, Direction::For) => "suggests",
        (Strength::Conditional, Direction::Against) => "suggests against",
        (Strength::Conditional, Direction::AgainstStandardUse) => "suggests against the standard use of",
    };
    Hint {
        id: one.id.to_owned(),
        text: format!("The guideline {verb} {}.", one.treatment),
        verb: verb.to_owned(),
        treatment: one.treatment.to_owned(),
        direction: one.direction,
        strength: one.strength,
        certainty: one.certainty,
        reason,
        allergies,
        citation: CITATION.to_owned(),
        url: URL.to_owned(),
    }
}

#[cfg(test)]
mod tests;
