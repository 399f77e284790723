//! Flags for staff: which answers should not wait for the visit, and how long they may wait. No flag does not mean
//! safe.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, MedicineClass, MimicReview, Mimics, PregnancyStatus, SideEffect, YesNo};
use super::context::Context;
use super::criteria::{self, ScreeningResult};
use super::iron::{self, IronReviewBand};
use super::medicines;

/// How long a flag may wait, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsUrgency)]
pub enum Urgency {
    /// Act now.
    Emergency,
    /// Act today.
    SameDay,
    /// Act within days.
    Prompt,
    /// Discuss at the visit.
    Routine,
}

impl Urgency {
    /// Returns the value in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::SameDay => "same_day",
            Self::Prompt => "prompt",
            Self::Routine => "routine",
        }
    }

    /// Returns whether the service mails staff about it.
    pub fn is_urgent(self) -> bool {
        self <= Self::SameDay
    }
}

/// Defines the rules. Flags of the same urgency are in this order.
macro_rules! rules {
    ($($variant:ident = $text:literal, $meaning:literal, $source:literal, [$($input:literal),+];)+) => {
        /// A rule that raises flags. An id is never reused for another rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rule {
            $(
                #[doc = $meaning]
                #[serde(rename = $text)]
                $variant,
            )+
        }

        // The derive does not see a rename that a macro makes.
        impl utoipa::PartialSchema for Rule {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some("A rule that raises flags. An id is never reused for another rule."))
                    .enum_values(Some([$($text),+]))
                    .into()
            }
        }

        impl ToSchema for Rule {
            fn name() -> std::borrow::Cow<'static, str> {
                "RlsRule".into()
            }
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the id.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Returns what raises the flag.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// Returns the ids of the fields that the rule uses.
            pub fn inputs(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($input),+],)+ }
            }

            /// Returns the source of the rule.
            pub fn source(self) -> &'static str {
                match self { $(Self::$variant => $source,)+ }
            }
        }
    };
}

rules! {
    ChestPainBreathlessness = "chest_pain_breathlessness", "Chest pain or breathlessness: yes is an emergency.", "clinic rule",
        ["safety.chest_pain_breathlessness"];
    SuddenColdPaleLeg = "sudden_cold_pale_leg", "A leg suddenly cold and pale: yes is an emergency.", "clinic rule",
        ["safety.sudden_cold_pale_leg"];
    NewWeaknessSaddleBladderBowel = "new_weakness_saddle_bladder_bowel", "New weakness, saddle numbness, bladder or bowel trouble: yes is an emergency.", "clinic rule",
        ["safety.new_weakness_saddle_bladder_bowel"];
    AcuteUnilateralLegSymptoms = "acute_unilateral_leg_symptoms", "One leg swollen, painful, warm or red within 14 days: same day; with chest pain or breathlessness an emergency.", "clinic rule",
        ["safety.acute_unilateral_leg_symptoms", "safety.chest_pain_breathlessness"];
    BleedingVein = "bleeding_vein", "A vein bleeds: same day; an emergency if it is, or may be, not controlled.", "clinic rule",
        ["safety.bleeding_vein", "safety.bleeding_vein_uncontrolled"];
    SpreadingHotRedness = "spreading_hot_redness", "Spreading hot redness: same day.", "clinic rule",
        ["safety.spreading_hot_redness"];
    OpenLegUlcer = "open_leg_ulcer", "An open sore on a leg: same day, prompt if it is neither new nor worse.", "clinic rule",
        ["safety.open_leg_ulcer", "safety.open_leg_ulcer_new_or_worse"];
    SelfHarmThoughts = "self_harm_thoughts", "Thoughts of self-harm: same day.", "clinic rule",
        ["safety.self_harm_thoughts"];
    HemoglobinBelow8 = "hemoglobin_below_8", "The newest hemoglobin is below 8.0 g/dL: same day.", "clinic rule",
        ["labs"];
    PregnancyMedication = "pregnancy_medication", "Pregnant and taking an opioid, a benzodiazepine, a gabapentinoid or a dopamine medicine.", "clinic rule",
        ["risk.pregnancy_status", "medications"];
    OpioidSedative = "opioid_sedative", "An opioid together with a benzodiazepine or a gabapentinoid.", "clinic rule",
        ["medications"];
    OpioidSleepApnea = "opioid_sleep_apnea", "An opioid in sleep apnea.", "clinic rule",
        ["medications", "risk.sleep_apnea"];
    ImpulseBehavior = "impulse_behavior", "Any urge under a dopamine medicine is reported.", "clinic rule",
        ["impulse_control.gambling", "impulse_control.shopping", "impulse_control.eating", "impulse_control.sexual", "impulse_control.hobbyism_punding"];
    SleepAttacks = "sleep_attacks", "Falling asleep without warning is reported.", "clinic rule",
        ["impulse_control.sleep_attacks", "medications.side_effects"];
    DrowsyDriving = "drowsy_driving", "Sleepiness while driving is reported.", "clinic rule",
        ["sleep.drowsy_driving"];
    IronExcessReview = "iron_excess_review", "Iron is taken with ferritin above 300 ng/mL or TSAT above 45 %.", "clinic rule",
        ["labs", "medications"];
    AugmentationReview = "augmentation_review", "Any feature of augmentation is reported.", "clinic rule",
        ["augmentation.earlier_onset", "augmentation.increased_intensity", "augmentation.spread_to_other_sites", "augmentation.shorter_latency_at_rest", "augmentation.dose_increase_worsened"];
    IronReview = "iron_review", "Ferritin at most 75 ng/mL or TSAT below 20 %.", "AASM 2025, doi 10.5664/jcsm.11390",
        ["labs"];
    AggravatingDrug = "aggravating_drug", "A medicine of an aggravating class is taken.", "clinic rule",
        ["medications"];
    MimicReview = "mimic_review", "A mimic is reported, or all four features are reported and mimics are not reviewed.", "IRLSSG 2014, criterion 5; PMC2769267",
        ["mimics.leg_cramps", "mimics.positional_discomfort", "mimics.arthritis", "mimics.myalgia", "mimics.venous_stasis", "mimics.leg_edema", "mimics.habitual_foot_tapping", "mimics.neuropathy_symptoms", "mimics.akathisia_after_drug", "symptoms.urge_to_move_legs", "symptoms.worse_at_rest", "symptoms.relief_with_movement", "symptoms.worse_evening_or_night"];
    IronMonitoringDue = "iron_monitoring_due", "Iron is taken, and no ferritin result came within the set weeks of its start.", "clinic rule, setting",
        ["labs", "medications"];
}

/// A flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsFlag)]
pub struct Flag {
    /// The rule that raised it.
    pub rule: Rule,
    /// How long it may wait.
    pub urgency: Urgency,
}

/// Returns the flags that the answers raise, most urgent first.
pub fn flags(answers: &Answers, context: &Context, band: IronReviewBand) -> Vec<Flag> {
    let mut raised = safety(answers);
    raised.extend(risks(answers, context));
    raised.extend(reviews(answers, context, band));
    let mut flags: Vec<Flag> = raised.into_iter().map(|(rule, urgency)| Flag { rule, urgency }).collect();
    flags.sort_by_key(|flag| (flag.urgency, flag.rule));
    flags
}

/// Evaluates the safety questions: yes has the urgency of the question, unknown and declined are prompt, no and
/// unanswered raise nothing.
fn safety(answers: &Answers) -> Vec<(Rule, Urgency)> {
    let given = &answers.safety;
    let with_chest_pain = YesNo::is_yes(given.chest_pain_breathlessness);
    let uncontrolled =
        matches!(given.bleeding_vein_uncontrolled, Some(YesNo::Yes | YesNo::Unknown | YesNo::PreferNotToSay));
    let long_standing = given.open_leg_ulcer_new_or_worse == Some(YesNo::No);
    let questions = [
        (Rule::ChestPainBreathlessness, given.chest_pain_breathlessness, Urgency::Emergency),
        (Rule::SuddenColdPaleLeg, given.sudden_cold_pale_leg, Urgency::Emergency),
        (Rule::NewWeaknessSaddleBladderBowel, given.new_weakness_saddle_bladder_bowel, Urgency::Emergency),
        (
            Rule::AcuteUnilateralLegSymptoms,
            given.acute_unilateral_leg_symptoms,
            if with_chest_pain { Urgency::Emergency } else { Urgency::SameDay },
        ),
        (Rule::BleedingVein, given.bleeding_vein, if uncontrolled { Urgency::Emergency } else { Urgency::SameDay }),
        (Rule::SpreadingHotRedness, given.spreading_hot_redness, Urgency::SameDay),
        (Rule::OpenLegUlcer, given.open_leg_ulcer, if long_standing { Urgency::Prompt } else { Urgency::SameDay }),
        (Rule::SelfHarmThoughts, given.self_harm_thoughts, Urgency::SameDay),
    ];
    questions
        .into_iter()
        .filter_map(|(rule, answer, urgency)| match answer {
            Some(YesNo::Yes) => Some((rule, urgency)),
            Some(YesNo::Unknown | YesNo::PreferNotToSay) => Some((rule, Urgency::Prompt)),
            Some(YesNo::No | YesNo::NotAsked) | None => None,
        })
        .collect()
}

fn risks(answers: &Answers, context: &Context) -> Vec<(Rule, Urgency)> {
    use MedicineClass::{Alpha2delta, Benzodiazepine, Dopaminergic, Opioid};
    let pregnant = answers.risk.pregnancy_status == Some(PregnancyStatus::Pregnant);
    let opioid = medicines::takes_any(answers, &[Opioid]);
    let urges = &answers.impulse_control;
    let urge = [urges.gambling, urges.shopping, urges.eating, urges.sexual, urges.hobbyism_punding];
    let sleep_attacks = YesNo::is_yes(urges.sleep_attacks)
        || answers
            .medications()
            .any(|(_, one)| one.side_effects.iter().flatten().any(|e| *e == SideEffect::SleepAttacks));
    let rules = [
        (Rule::HemoglobinBelow8, Urgency::SameDay, iron::hemoglobin_below_8(answers, context)),
        (
            Rule::PregnancyMedication,
            Urgency::Prompt,
            pregnant && medicines::takes_any(answers, &[Opioid, Benzodiazepine, Alpha2delta, Dopaminergic]),
        ),
        (
            Rule::OpioidSedative,
            Urgency::Prompt,
            opioid && medicines::takes_any(answers, &[Benzodiazepine, Alpha2delta]),
        ),
        (Rule::OpioidSleepApnea, Urgency::Prompt, opioid && YesNo::is_yes(answers.risk.sleep_apnea)),
        (Rule::ImpulseBehavior, Urgency::Prompt, urge.into_iter().any(YesNo::is_yes)),
        (Rule::SleepAttacks, Urgency::Prompt, sleep_attacks),
        (Rule::DrowsyDriving, Urgency::Prompt, YesNo::is_yes(answers.sleep.drowsy_driving)),
        (Rule::IronExcessReview, Urgency::Prompt, iron::excess(answers, context)),
    ];
    rules.into_iter().filter(|(.., raised)| *raised).map(|(rule, urgency, _)| (rule, urgency)).collect()
}

/// Returns the answers about mimics.
pub fn mimics(mimics: &Mimics) -> [Option<YesNo>; 9] {
    [
        mimics.leg_cramps,
        mimics.positional_discomfort,
        mimics.arthritis,
        mimics.myalgia,
        mimics.venous_stasis,
        mimics.leg_edema,
        mimics.habitual_foot_tapping,
        mimics.neuropathy_symptoms,
        mimics.akathisia_after_drug,
    ]
}

fn reviews(answers: &Answers, context: &Context, band: IronReviewBand) -> Vec<(Rule, Urgency)> {
    let screening = criteria::screening_result(&criteria::criteria(answers, context));
    let unreviewed = context.mimic_review == MimicReview::NotReviewed;
    let mimic = mimics(&answers.mimics).into_iter().any(YesNo::is_yes);
    let augmentation = super::severity::augmentation(answers).is_some_and(|features| features.yes > 0);
    let rules = [
        (Rule::AugmentationReview, augmentation),
        (Rule::IronReview, band == IronReviewBand::Low),
        (Rule::AggravatingDrug, medicines::takes_any(answers, medicines::AGGRAVATORS)),
        (Rule::MimicReview, mimic || (unreviewed && screening == ScreeningResult::FeaturesPresentNeedsClinicianReview)),
        (Rule::IronMonitoringDue, iron::monitoring(answers, context).iter().any(|one| one.due)),
    ];
    rules.into_iter().filter(|(_, raised)| *raised).map(|(rule, _)| (rule, Urgency::Routine)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_names_the_fields_that_it_uses() {
        let fields = crate::answers::all_fields();
        let with_children = fields.iter().flat_map(|field| std::iter::once(field.clone()).chain(field.children()));
        let known: Vec<String> = with_children.map(|field| field.id).collect();
        for rule in Rule::ALL {
            for input in rule.inputs() {
                assert!(known.iter().any(|id| id == input), "{} uses {input}", rule.as_str());
            }
            assert!(!rule.meaning().is_empty() && !rule.source().is_empty());
        }
    }
}
