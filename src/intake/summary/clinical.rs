//! The summary of an intake for practitioners.

use rls::answers::{DiagnosticTest, MedicationsStatus, MimicReview, TestKind};
use rls::criteria::{ClinicalCourse, ClinicalSignificance, Criteria, ScreeningResult};
use rls::flags::medicines_behind;
use rls::form_dsl::{Decimal, Integer, PartialDate};
use rls::guideline::{self, Hint};
use rls::iron::{IronDoubt, IronReviewBand};
use rls::issues::{ANSWERS, Code};
use rls::severity::{AugmentationFeatures, IrlsBand, IsiBand};
use rls::{Computed, RuleStrength};
use serde::Serialize;
use text::Language;
use utoipa::ToSchema;

use super::answer_text::{self, AnswerText, AnswerTextSection, Wording};
use super::changes::{SummaryPrevious, previous};
use super::labs::{SummaryLab, labs};
use super::material::Material;
use super::named_answers::{self, NamedAnswers};
use super::opening::opening;
use super::safety_history::{self, SummarySafety};
use super::short_labels::short_label;
use super::treatments::{SummaryTreatment, treatments};
use crate::clock::Timestamp;
use crate::db::types;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{IntakeFlagId, IntakeId};
use crate::intake::flags::{Flag, inputs, known_rule, staff_text};
use crate::intake::follow_up::answers::FollowUpAnswers;
use crate::intake::model::{Answers, FlagUrgency, IntakeStatus};

/// The summary of an intake for practitioners: patient, flags, criteria, severity, likely contributors, laboratory values with their
/// age, tests, treatments, what is not known, review and plan.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeClinicalSummary)]
pub struct ClinicalSummary {
    /// The intake.
    pub intake_id: IntakeId,
    /// The heading: whether it is a draft, was amended, or was entered in error. Null for a submitted intake.
    pub heading: Option<String>,
    /// The status.
    pub status: IntakeStatus,
    /// The day of reading at the patient's place of care. The ages of the patient and of laboratory values are as of this day. What is
    /// computed from the answers is as of the day of the answers.
    pub as_of: types::Date,
    /// The patient.
    pub patient: SummaryPatient,
    /// When the answers were last changed.
    pub authored_at: Timestamp,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// Age, years of symptoms, severity with its change since the previous intake, and the current medicines for restless legs.
    #[schema(examples(
        "59-year-old woman, symptoms for about 17 years (since 2009). IRLS 12 of 40, moderate; 14 lower than 26 on Apr 2, 2026. Takes for restless legs: gabapentin 600 mg evenings."
    ))]
    pub opening: String,
    /// What to check before treating: allergies, pregnancy, thrombosis, anticoagulant, arterial disease, breathing, kidneys.
    pub safety: SummarySafety,
    /// The patient's previous submitted intake and what changed since. Null for the first one.
    pub previous: Option<SummaryPrevious>,
    /// The flags that it raised, the most urgent first.
    pub flags: Vec<SummaryFlag>,
    /// The open flags of the patient's other intakes, such as later follow-ups, and of laboratory results. Those of a rule that this intake
    /// raises too are left out.
    pub open_flags_elsewhere: Vec<SummaryFlag>,
    /// The criteria of the IRLSSG. Each is met, not met or unknown.
    pub criteria: Criteria,
    /// The result of the screening from the reported features.
    pub screening_result: ScreeningResult,
    /// Whether all five criteria are met. Null if that is open.
    pub irlssg_criteria_met: Option<bool>,
    /// The severity.
    pub severity: SummarySeverity,
    /// The factors that may contribute, with the answers that suggest them.
    pub contributors: Vec<SummaryContributor>,
    /// The iron values.
    pub iron: SummaryIron,
    /// Laboratory values, the newest first.
    pub labs: Vec<SummaryLab>,
    /// Tests that were done.
    pub tests: Vec<SummaryTest>,
    /// Whether there are medicines to list: `listed`, `none` or `unknown`. Null if this was not answered.
    pub medications_status: Option<MedicationsStatus>,
    /// The medicines. Those for restless legs and those taken now come first.
    pub treatments: Vec<SummaryTreatment>,
    /// The trimester on the day of the answers, 1 to 3. Null unless the patient is pregnant and the dates agree.
    #[schema(minimum = 1, maximum = 3)]
    pub trimester: Option<u8>,
    /// Hours by which the symptoms begin earlier in the day than before treatment.
    #[schema(minimum = 0, maximum = 24)]
    pub onset_hours_earlier: Option<f64>,
    /// The number of features of augmentation. Not a validated score.
    pub augmentation_features: Option<AugmentationFeatures>,
    /// The features of augmentation by name.
    pub augmentation: Option<NamedAnswers>,
    /// The urges by name.
    pub urges: Option<NamedAnswers>,
    /// What a guideline says about the patient's treatments. Hints, never orders. Empty if the clinic has switched them off.
    pub guideline_hints: Vec<Hint>,
    /// The answers about daily life, veins and sleep as text.
    pub more: Vec<AnswerTextSection>,
    /// The questions whose answer is unknown, declined or not asked, by section.
    pub not_known: Vec<AnswerTextSection>,
    /// The number of required questions without an answer.
    pub open_questions: usize,
    /// The short labels of these questions.
    #[schema(examples(json!(["Varicose veins"])))]
    pub unanswered: Vec<String>,
    /// What the patient answered in follow-ups since, the newest first.
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

/// The patient of a summary.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryPatient)]
pub struct SummaryPatient {
    /// The name to show.
    pub display_name: String,
    /// The medical record number.
    pub mrn: String,
    /// The date of birth.
    pub date_of_birth: types::Date,
    /// Completed years on the day `as_of`.
    pub age: i16,
    /// The language to speak with them.
    pub preferred_language: String,
    /// Whether an interpreter is needed.
    pub interpreter_needed: bool,
}

/// A flag that the intake raised.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryFlag)]
pub struct SummaryFlag {
    /// The flag.
    pub id: IntakeFlagId,
    /// The rule.
    pub rule: String,
    /// How soon staff must act on it.
    pub urgency: FlagUrgency,
    /// The text of the rule.
    pub text: String,
    /// The answers "yes" of the questions that the rule uses, and the medicines that it is about.
    pub because: Vec<AnswerText>,
    /// The present version of the rule. Null for a rule that is no longer in use.
    #[schema(minimum = 1)]
    pub rule_version: Option<u16>,
    /// The source of the rule. `GET /v1/rls-rules` has the whole rule. Null for a rule that is no longer in use.
    pub source: Option<String>,
    /// What the rule rests on. Null for a rule that is no longer in use.
    pub strength: Option<RuleStrength>,
    /// Whether the review settled it, and not a changed answer.
    pub settled_by_review: bool,
    /// When it was raised, or raised again.
    pub raised_at: Timestamp,
    /// When the answers no longer raised it.
    pub withdrawn_at: Option<Timestamp>,
    /// When it was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
}

/// The severity.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummarySeverity)]
pub struct SummarySeverity {
    /// The total of the rating scale, 0 to 40. Null unless all ten items are answered.
    #[schema(minimum = 0, maximum = 40)]
    pub irls_total: Option<i64>,
    /// The band of the total.
    pub irls_band: Option<IrlsBand>,
    /// How bothersome it is, 0 to 10. The clinic's own question.
    #[schema(minimum = 0, maximum = 10)]
    pub severity_0_10: Option<i64>,
    /// The clinical course.
    pub clinical_course: ClinicalCourse,
    /// Whether it impairs daily life. The cut-off "moderate" is this service's own.
    pub clinical_significance: ClinicalSignificance,
    /// Days a week with symptoms without treatment, averaged over the past year.
    #[schema(minimum = 0, maximum = 7)]
    pub days_per_week_untreated: Option<f64>,
    /// Days a week with symptoms on the present treatment, in the last month.
    #[schema(minimum = 0, maximum = 7)]
    pub days_per_week_treated: Option<f64>,
    /// The total of the Epworth Sleepiness Scale.
    #[schema(minimum = 0, maximum = 24)]
    pub ess_total: Option<i64>,
    /// Whether the Epworth total is above 10.
    pub ess_above_10: Option<bool>,
    /// The total of the Insomnia Severity Index.
    #[schema(minimum = 0, maximum = 28)]
    pub isi_total: Option<i64>,
    /// The band of the Insomnia Severity Index.
    pub isi_band: Option<IsiBand>,
}

/// A factor that may contribute.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryContributor)]
pub struct SummaryContributor {
    /// The factor.
    pub factor: rls::factors::Factor,
    /// The answers that suggest it, as text.
    pub because: Vec<AnswerText>,
    /// Whether the review confirms it. Null before a review.
    pub confirmed: Option<bool>,
}

/// The iron values.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryIron)]
pub struct SummaryIron {
    /// The band of the newest values. Read it with their age, because ferritin rises with inflammation.
    pub iron_review_band: IronReviewBand,
    /// Transferrin saturation in percent.
    pub tsat_percent: Option<f64>,
    /// Doubts about the newest results.
    pub doubts: Vec<IronDoubt>,
    /// The monitoring of each iron medicine that is taken now and of each infusion.
    pub monitoring: Vec<SummaryIronMonitoring>,
}

/// The monitoring of an iron medicine.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryIronMonitoring)]
pub struct SummaryIronMonitoring {
    /// The medicine.
    pub name: String,
    /// The day by which a ferritin result is expected. Null if the start is not known.
    pub due_on: Option<types::Date>,
    /// Whether a ferritin result is certainly later than the start.
    pub ferritin_since: bool,
    /// Whether the day has passed without a ferritin result.
    pub due: bool,
}

/// A test that was done.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryTest)]
pub struct SummaryTest {
    /// The test.
    pub test: Option<TestKind>,
    /// The date, as far as known.
    #[schema(value_type = Option<String>, examples("2026-02"))]
    pub date: Option<PartialDate>,
    /// The result.
    pub result: Option<String>,
}

/// The sections that the summary shows as text, because nothing is computed from them.
const AS_TEXT: [&str; 8] = ["allergies", "mimics", "venous", "risk", "substances", "lifestyle", "sleep", "symptoms"];

/// The answers that the summary shows elsewhere, with what is computed from them.
const SHOWN_ELSEWHERE: [&str; 12] = [
    "medications_status",
    "symptoms.days_per_week_treated",
    "symptoms.days_per_week_untreated",
    "symptoms.symptom_onset_date",
    "symptoms.urge_to_move_legs",
    "symptoms.worse_at_rest",
    "symptoms.relief_with_movement",
    "symptoms.worse_evening_or_night",
    "symptoms.severity_0_10",
    "sleep.ess_total",
    "sleep.isi_total",
    "venous.diagnostic_tests",
];

/// The sections whose answers the summary names, with those that are not known.
const NAMED: [&str; 2] = ["augmentation", "impulse_control"];

/// Builds the summary for practitioners.
pub(super) fn clinical(
    env: &Env,
    material: Material<'_>,
    flags: &[Flag],
    elsewhere: &[Flag],
) -> Result<ClinicalSummary> {
    let Material { intake, raw, answers, computed, review, facts, .. } = &material;
    let (known, not_known) = answer_text::by_knowledge(raw, Wording::Short);
    let contributors = contributors(computed, raw, review.as_ref());
    let is_shown = |field: &str| {
        SHOWN_ELSEWHERE.contains(&field)
            || safety_history::SHOWN.contains(&field)
            || contributors.iter().flat_map(|one| &one.because).any(|answer| answer.field == field)
    };
    let rest = |mut section: AnswerTextSection| {
        section.items.retain(|answer| !is_shown(&answer.field));
        (!section.items.is_empty()).then_some(section)
    };
    let more =
        known.into_iter().filter(|section| AS_TEXT.contains(&section.section.as_str())).filter_map(rest).collect();
    let not_known = not_known.into_iter().filter(|section| !NAMED.contains(&section.section.as_str()));
    let not_known = not_known.filter_map(rest).collect();
    let before = material.previous.as_ref();
    let treatments = treatments(answers, before);
    let previous = before.map(|before| previous(before, answers, &treatments));
    Ok(ClinicalSummary {
        intake_id: intake.id,
        heading: heading(intake.status).map(str::to_owned),
        status: intake.status,
        as_of: types::Date(material.today),
        patient: patient(&material),
        authored_at: intake.authored_at,
        submitted_at: intake.submitted_at,
        opening: opening(&material, previous.as_ref(), before.map(|before| before.on)),
        safety: safety_history::safety_history(answers, facts),
        previous,
        open_flags_elsewhere: open_elsewhere(env, &material, flags, elsewhere)?,
        flags: flags_shown(env, &material, flags)?,
        criteria: computed.criteria,
        screening_result: computed.screening_result,
        irlssg_criteria_met: computed.irlssg_criteria_met,
        severity: SummarySeverity {
            irls_total: computed.irls_total,
            irls_band: computed.irls_band,
            severity_0_10: answers.symptoms.severity_0_10.map(Integer::get),
            clinical_course: computed.clinical_course,
            clinical_significance: computed.clinical_significance,
            days_per_week_untreated: answers.symptoms.days_per_week_untreated.as_ref().map(Decimal::get),
            days_per_week_treated: answers.symptoms.days_per_week_treated.as_ref().map(Decimal::get),
            ess_total: answers.sleep.ess_total.map(Integer::get),
            ess_above_10: computed.ess_above_10,
            isi_total: answers.sleep.isi_total.map(Integer::get),
            isi_band: computed.isi_band,
        },
        contributors,
        iron: SummaryIron {
            iron_review_band: computed.iron_review_band,
            tsat_percent: computed.tsat_percent,
            doubts: computed.iron_doubts.clone(),
            monitoring: monitoring(computed, raw),
        },
        labs: labs(answers, facts, before.map(|before| before.on)),
        tests: answers.venous.diagnostic_tests.iter().flatten().map(test).collect(),
        medications_status: answers.medications_status,
        treatments,
        trimester: computed.trimester,
        onset_hours_earlier: computed.onset_hours_earlier,
        augmentation_features: computed.augmentation_features,
        augmentation: named_answers::augmentation(answers),
        urges: named_answers::urges(answers),
        guideline_hints: if env.config.settings.guideline_hints {
            guideline::hints(answers, computed, facts)
        } else {
            Vec::new()
        },
        more,
        not_known,
        open_questions: unanswered(computed).count(),
        unanswered: labels(unanswered(computed)),
        follow_ups: material.follow_ups.clone(),
        review: review.clone(),
        reviewed_at: intake.reviewed_at,
        disclaimer: rls::NOT_A_DIAGNOSIS.text(Language::English).to_owned(),
        form_version: intake.form_version.clone(),
        rule_set_version: material.rule_set_version.to_owned(),
    })
}

/// Returns the issues of required questions that have no answer.
fn unanswered(computed: &Computed) -> impl Iterator<Item = &rls::Issue> {
    let is_open = |issue: &&rls::Issue| matches!(issue.code, Code::Required | Code::NotAsked);
    computed.issues.iter().filter(is_open)
}

/// Returns the short labels of the questions, each once: entries of a list have the same.
fn labels<'a>(issues: impl Iterator<Item = &'a rls::Issue>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for issue in issues {
        let place = issue.pointer.trim_start_matches(ANSWERS).trim_start_matches('/');
        let names = place.split('/').filter(|part| part.parse::<usize>().is_err());
        let id = names.collect::<Vec<_>>().join(".");
        let label = short_label(id.trim_end_matches("_status")).or_else(|| short_label(&id));
        let label = label.map_or_else(|| id.replace(['.', '_'], " "), str::to_owned);
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels
}

/// Shows the patient.
pub(super) fn patient(material: &Material<'_>) -> SummaryPatient {
    let patient = material.patient;
    SummaryPatient {
        display_name: patient.display_name(),
        mrn: patient.mrn.clone(),
        date_of_birth: patient.date_of_birth,
        age: material.age,
        preferred_language: patient.preferred_language.clone(),
        interpreter_needed: patient.interpreter_needed,
    }
}

fn heading(status: IntakeStatus) -> Option<&'static str> {
    match status {
        IntakeStatus::InProgress => Some("Not submitted"),
        IntakeStatus::Completed => None,
        IntakeStatus::Amended => Some("Amended"),
        IntakeStatus::EnteredInError => Some("Entered in error"),
    }
}

/// Shows the flags, those that the answers still raise first, then the most urgent first.
pub(super) fn flags_shown(env: &Env, material: &Material<'_>, flags: &[Flag]) -> Result<Vec<SummaryFlag>> {
    let reviewed = material.review.as_ref().and_then(|review| review.mimic_review);
    let is_reviewed = reviewed.is_some_and(|found| found != MimicReview::NotReviewed);
    let mut shown = Vec::new();
    for flag in flags {
        let rule = flag.open_rule(env)?;
        let because = because(material, &rule);
        let definition = known_rule(&rule).map(rls::Rule::definition);
        shown.push(SummaryFlag {
            id: flag.id,
            text: staff_text(&rule, flag.urgency).unwrap_or_else(|| rule.clone()),
            because,
            rule_version: definition.map(|rule| rule.version),
            source: definition.map(|rule| rule.source.citation.to_owned()),
            strength: definition.map(|rule| rule.source.strength),
            settled_by_review: rule == rls::Rule::MimicReview.as_str() && flag.withdrawn_at.is_some() && is_reviewed,
            rule,
            urgency: flag.urgency,
            raised_at: flag.raised_at,
            withdrawn_at: flag.withdrawn_at,
            acknowledged_at: flag.acknowledged_at,
        });
    }
    shown.sort_by_key(|flag| (flag.withdrawn_at.is_some(), flag.urgency));
    Ok(shown)
}

/// Shows the open flags of other intakes, the most urgent first.
pub(super) fn open_elsewhere(
    env: &Env,
    material: &Material<'_>,
    own: &[Flag],
    elsewhere: &[Flag],
) -> Result<Vec<SummaryFlag>> {
    let is_open = |flag: &&Flag| flag.withdrawn_at.is_none() && flag.acknowledged_at.is_none();
    let open: Vec<Flag> = elsewhere.iter().filter(is_open).cloned().collect();
    let raised: Vec<String> = own.iter().filter(is_open).map(|flag| flag.open_rule(env)).collect::<Result<_>>()?;
    let mut shown = flags_shown(env, material, &open)?;
    shown.retain(|flag| !raised.contains(&flag.rule));
    // These are answers of this intake.
    for flag in &mut shown {
        flag.because.clear();
    }
    Ok(shown)
}

/// Returns what a flag is about, as far as its text and the criteria do not say it: a rule of one question repeats it.
fn because(material: &Material<'_>, rule: &str) -> Vec<AnswerText> {
    let inputs = inputs(rule);
    let said_yes = |input: &str| answer_text::find(material.raw, input).is_some_and(|answer| answer == "yes");
    let questions = inputs.iter().copied().filter(|input| inputs.len() > 1 && !SHOWN_ELSEWHERE.contains(input));
    let mut paths: Vec<String> = questions.filter(|input| said_yes(input)).map(str::to_owned).collect();
    let medicines = known_rule(rule).map(|rule| medicines_behind(rule, material.answers)).unwrap_or_default();
    paths.extend(medicines.into_iter().map(|at| format!("medications.{at}")));
    if !inputs.iter().any(|input| said_yes(input)) {
        // A safety question also raises its flag if the patient does not know the answer. The text does not say which question it is.
        let is_not_known = |input: &str| answer_text::find(material.raw, input).is_some_and(answer_text::is_unknown);
        let safety = inputs.iter().filter(|input| input.starts_with("safety.") && is_not_known(input));
        paths.extend(safety.map(|input| (*input).to_owned()));
    }
    paths.iter().filter_map(|path| answer_text::at(material.raw, path, Wording::Short)).collect()
}

fn monitoring(computed: &Computed, raw: &Answers) -> Vec<SummaryIronMonitoring> {
    let one = |one: &rls::due::IronMonitoring| {
        let name = answer_text::find(raw, &one.medication)?.get("name")?.as_str()?.to_owned();
        let due_on = one.due_on.map(types::Date);
        Some(SummaryIronMonitoring { name, due_on, ferritin_since: one.ferritin_since, due: one.due })
    };
    computed.iron_monitoring.iter().filter_map(one).collect()
}

fn contributors(computed: &Computed, raw: &Answers, review: Option<&rls::Review>) -> Vec<SummaryContributor> {
    let confirmed = |factor: rls::factors::Factor| {
        let name = serde_json::to_value(factor).unwrap_or_default();
        let list = review?.contributors_confirmed.clone().unwrap_or_default();
        Some(list.iter().any(|confirmed| name == confirmed.as_str()))
    };
    let because = |path: &String| answer_text::at(raw, path, Wording::Short);
    computed
        .contributing_factors
        .iter()
        .map(|found| SummaryContributor {
            factor: found.factor,
            because: found.because.iter().filter_map(because).collect(),
            confirmed: confirmed(found.factor),
        })
        .collect()
}

pub(super) fn test(test: &DiagnosticTest) -> SummaryTest {
    SummaryTest {
        test: test.test,
        date: test.date,
        result: test.result.as_ref().map(|result| result.as_str().to_owned()),
    }
}
