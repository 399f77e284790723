//! Flags for staff: which answers should not wait for the visit, and how long they may wait. No flag does not mean
//! safe.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{
    Answers, ChangeSinceVisit, CkdStage, Medication, MedicineClass, MimicReview, Mimics, PregnancyStatus, SideEffect,
    Use, YesNo,
};
use super::context::Context;
use super::criteria::{self, ScreeningResult};
use super::due;
use super::iron::{self, IronReviewBand};
use super::medicines;

pub use super::rules::Rule;

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

impl Rule {
    /// Returns whether a laboratory result alone raises the rule and is dangerous, also for a patient without answers.
    pub fn is_about_dangerous_result(self) -> bool {
        matches!(self, Self::HemoglobinBelow8 | Self::IronOverloadReview)
    }
}

/// The age in years from which the FDA counts patients as elderly (62 FR 45313).
const ELDERLY: i16 = 65;

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
    raised.extend(worse(answers, context));
    raised.retain(|(rule, _)| context.form.concerns(*rule));
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

/// The classes that slow breathing together with an opioid.
const DEPRESSANTS: &[MedicineClass] = {
    use MedicineClass::{Alpha2delta, Barbiturate, Benzodiazepine, MuscleRelaxant, ZDrug};
    &[Benzodiazepine, ZDrug, Barbiturate, MuscleRelaxant, Alpha2delta]
};
const OPIOIDS: &[MedicineClass] = &[MedicineClass::Opioid];
const GABAPENTINOIDS: &[MedicineClass] = &[MedicineClass::Alpha2delta];
/// The classes to review in pregnancy and lactation.
const PREGNANCY: &[MedicineClass] = {
    use MedicineClass::{Alpha2delta, Benzodiazepine, Dopaminergic, Opioid};
    &[Opioid, Benzodiazepine, Alpha2delta, Dopaminergic]
};
/// The substances whose dose depends on the kidney.
const BY_KIDNEY: &[&str] = &["gabapentin", "gabapentin enacarbil", "pregabalin", "pramipexole"];

/// Returns the positions of the medicines taken now that a raised flag of the rule is about.
pub fn medicines_behind(rule: Rule, answers: &Answers) -> Vec<usize> {
    let (classes, substances): (&[&[MedicineClass]], &[&str]) = match rule {
        Rule::OpioidSedative => (&[OPIOIDS, DEPRESSANTS], &[]),
        Rule::OpioidAlcohol | Rule::OpioidSleepApnea => (&[OPIOIDS], &[]),
        Rule::PregnancyMedication => (&[PREGNANCY], &["valproate", "topiramate", "carbamazepine"]),
        Rule::GabapentinoidBreathing => (&[GABAPENTINOIDS], &[]),
        Rule::KidneyDose => (&[], BY_KIDNEY),
        Rule::AggravatingDrug => (&[medicines::AGGRAVATORS], &[]),
        Rule::IronExcessReview => (&[medicines::IRON], &[]),
        _ => (&[], &[]),
    };
    let is_behind = |medicine: &Medication| {
        classes.concat().iter().any(|class| medicines::belongs_to(medicine, *class))
            || medicines::substances(medicine).iter().any(|one| substances.contains(&one.name))
    };
    let current = answers.medications().filter(|(_, medicine)| medicines::is_current(medicine));
    current.filter(|(_, medicine)| is_behind(medicine)).map(|(at, _)| at).collect()
}

fn risks(answers: &Answers, context: &Context) -> Vec<(Rule, Urgency)> {
    let opioid = medicines::takes_any(answers, OPIOIDS);
    let drinks = answers.substances.alcohol_drinks_week.as_ref().is_some_and(|drinks| drinks.get() > 0.0);
    let urges = &answers.impulse_control;
    let since_visit_urges = answers.follow_up.urges;
    let urge = [urges.gambling, urges.shopping, urges.eating, urges.sexual, urges.hobbyism_punding, since_visit_urges];
    let since_visit = |wanted: SideEffect| answers.follow_up.side_effects.iter().flatten().any(|one| *one == wanted);
    let effect = |wanted: SideEffect| {
        since_visit(wanted)
            || answers.medications().any(|(_, one)| one.side_effects.iter().flatten().any(|effect| *effect == wanted))
    };
    let compression = answers.venous.compression_use == Some(Use::Current);
    let rules = [
        (Rule::BreathingSideEffect, since_visit(SideEffect::Breathing), Urgency::SameDay),
        (Rule::HemoglobinBelow8, iron::hemoglobin_below_8(answers, context), Urgency::SameDay),
        (Rule::OpioidSedative, opioid && medicines::takes_any(answers, DEPRESSANTS), Urgency::Prompt),
        (Rule::OpioidAlcohol, opioid && drinks, Urgency::Prompt),
        (Rule::OpioidSleepApnea, opioid && YesNo::is_yes(answers.risk.sleep_apnea), Urgency::Prompt),
        (Rule::CompressionArterial, compression && YesNo::is_yes(answers.venous.claudication_or_pad), Urgency::Prompt),
        (
            Rule::ImpulseBehavior,
            urge.into_iter().any(YesNo::is_yes) || effect(SideEffect::CompulsiveBehavior),
            Urgency::Prompt,
        ),
        (Rule::SleepAttacks, YesNo::is_yes(urges.sleep_attacks) || effect(SideEffect::SleepAttacks), Urgency::Prompt),
        (Rule::DrowsyDriving, YesNo::is_yes(answers.sleep.drowsy_driving), Urgency::Prompt),
        (Rule::IronExcessReview, iron::excess(answers, context) && takes_iron(answers), Urgency::Prompt),
    ];
    let raised = rules.into_iter().filter(|(_, raised, _)| *raised).map(|(rule, _, urgency)| (rule, urgency));
    raised.chain(pregnancy(answers).map(|urgency| (Rule::PregnancyMedication, urgency))).collect()
}

fn takes_iron(answers: &Answers) -> bool {
    medicines::takes_any(answers, medicines::IRON)
}

/// Returns how long a medicine in pregnancy, in lactation or before a wished pregnancy may wait.
fn pregnancy(answers: &Answers) -> Option<Urgency> {
    let risk = &answers.risk;
    let applies = risk.pregnancy_status == Some(PregnancyStatus::Pregnant)
        || YesNo::is_yes(risk.trying_to_conceive)
        || YesNo::is_yes(risk.breastfeeding);
    if !applies {
        return None;
    }
    if medicines::takes_substance(answers, &["valproate", "topiramate"]) {
        return Some(Urgency::Prompt);
    }
    let named = medicines::takes_any(answers, PREGNANCY) || medicines::takes_substance(answers, &["carbamazepine"]);
    named.then_some(Urgency::Routine)
}

/// The points on the scale of 0 to 10 by which severity must rise to be reviewed.
const WORSE_BY: i64 = 2;

/// Returns how long symptoms may wait that are worse than before.
fn worse(answers: &Answers, context: &Context) -> Option<(Rule, Urgency)> {
    let now = answers.symptoms.severity_0_10.map(super::form_dsl::Integer::get);
    let rose = now.zip(context.earlier_severity).is_some_and(|(now, before)| now - before >= WORSE_BY);
    let urgency = match answers.follow_up.change {
        Some(ChangeSinceVisit::MuchWorse) => Urgency::Prompt,
        Some(ChangeSinceVisit::Worse) => Urgency::Routine,
        _ if rose => Urgency::Routine,
        _ => return None,
    };
    Some((Rule::WorseSinceVisit, urgency))
}

/// Returns whether the dose of some medicines depends on the kidney: stage 4 or 5, dialysis or end-stage disease.
fn kidney_disease_for_doses(answers: &Answers) -> bool {
    let stage = answers.risk.ckd_stage;
    iron::kidney_failure(answers) || stage == Some(CkdStage::Four)
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
    let augmentation = YesNo::is_yes(answers.follow_up.augmentation)
        || super::severity::augmentation(answers).is_some_and(|features| features.yes > 0);
    let gabapentinoid = medicines::takes_any(answers, GABAPENTINOIDS);
    let breathing = YesNo::is_yes(answers.risk.sleep_apnea)
        || YesNo::is_yes(answers.risk.chronic_lung_disease)
        || context.age() >= ELDERLY;
    let high_tsat = iron::tsat_above_45(answers, context);
    let by_kidney = medicines::takes_substance(answers, BY_KIDNEY);
    let rules = [
        (Rule::AugmentationReview, augmentation),
        (Rule::IronReview, band == IronReviewBand::Low && !high_tsat),
        (Rule::IronReviewIntravenous, band == IronReviewBand::Between && !high_tsat),
        (Rule::IronReviewChild, band == IronReviewBand::LowMinor && !high_tsat),
        (Rule::IronReviewKidney, band == IronReviewBand::LowKidney),
        (Rule::IronOverloadReview, iron::excess_without_infusion(answers, context) && !takes_iron(answers)),
        (Rule::GabapentinoidBreathing, gabapentinoid && breathing),
        (Rule::KidneyDose, by_kidney && kidney_disease_for_doses(answers)),
        (Rule::AggravatingDrug, medicines::takes_any(answers, medicines::AGGRAVATORS)),
        (Rule::MimicReview, unreviewed && (mimic || screening == ScreeningResult::FeaturesPresentNeedsClinicianReview)),
        (Rule::IronMonitoringDue, due::iron_monitoring(answers, context).iter().any(|one| one.due)),
        (Rule::FerritinOutOfDate, iron::ferritin_out_of_date(answers, context)),
        (Rule::RecheckDue, due::recheck(context)),
    ];
    rules.into_iter().filter(|(_, raised)| *raised).map(|(rule, _)| (rule, Urgency::Routine)).collect()
}
