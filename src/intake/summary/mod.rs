//! A doctor's page: everything of an intake in the order in which a doctor asks for it. And a patient's: what they said,
//! in plain words.

mod page;

use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

pub use page::{Frame, clinical_page, plain_page};

use super::flags::Flag;
use super::model::{Answers, FlagUrgency, IntakeStatus};
use super::rls::answers::{
    Comparator, DiagnosticTest, Lab, LabSource, LabTest, LabUnit, Medication, MedicationStatus, MedicineClass,
    SideEffect, TestKind, TreatmentResponse, YesNo,
};
use super::rls::criteria::{ClinicalCourse, ClinicalSignificance, Criteria, ScreeningResult};
use super::rls::iron::IronReviewBand;
use super::rls::kit::{Decimal, PartialDate, Whole};
use super::rls::medicines::looked_up;
use super::rls::severity::{AugmentationFeatures, IrlsBand, IsiBand};
use super::rls::{self, Computed, Language};
use super::store::Intake;
use super::words::{self, Said, SaidSection};
use crate::clock::Timestamp;
use crate::db::types;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{IntakeFlagId, IntakeId};
use crate::patients::model::Patient;

/// An intake for whoever reads it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "audience", rename_all = "snake_case")]
pub enum IntakeSummary {
    /// For practitioners.
    Practitioner(Box<ClinicalSummary>),
    /// For the patient, and whoever acts for them.
    Patient(PlainSummary),
}

/// An intake for a doctor: who, flags, criteria, severity, likely contributors, laboratory values with their age, tests,
/// treatments, what is not known, the review and the plan.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeClinicalSummary)]
pub struct ClinicalSummary {
    /// The intake.
    pub intake_id: IntakeId,
    /// What stands over it: that it is a draft, was amended, was entered in error; null for one that was submitted.
    pub heading: Option<String>,
    /// Where it stands.
    pub status: IntakeStatus,
    /// The day to which the ages of the patient and of laboratory values count: the day of reading, where the patient is seen.
    /// What is computed from the answers is as of the day of the answers.
    pub as_of: types::Date,
    /// Who.
    pub patient: SummaryPatient,
    /// When the answers were last written.
    pub authored_at: Timestamp,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// What it raised, the most urgent first.
    pub flags: Vec<SummaryFlag>,
    /// The criteria of the IRLSSG, three-valued.
    pub criteria: Criteria,
    /// What the reported features amount to.
    pub screening_result: ScreeningResult,
    /// Whether all five criteria are met; null where that is open.
    pub irlssg_criteria_met: Option<bool>,
    /// How bad it is.
    pub severity: SummarySeverity,
    /// What may contribute, with the answers that point to it.
    pub contributors: Vec<SummaryContributor>,
    /// Iron.
    pub iron: SummaryIron,
    /// Laboratory values, the newest first.
    pub labs: Vec<SummaryLab>,
    /// Tests that were done.
    pub tests: Vec<SummaryTest>,
    /// Medicines: those taken now first.
    pub treatments: Vec<SummaryTreatment>,
    /// Features of augmentation, counted; no validated score.
    pub augmentation_features: Option<AugmentationFeatures>,
    /// What was answered about daily life, veins and sleep, in words.
    pub more: Vec<SaidSection>,
    /// What is not known, was declined or was not asked.
    pub not_known: Vec<Said>,
    /// How many required questions have no answer yet.
    pub open_questions: usize,
    /// The practitioner's review and plan; null before it.
    pub review: Option<rls::Review>,
    /// When it was reviewed.
    pub reviewed_at: Option<Timestamp>,
    /// What all of this is, and is not.
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
    /// What to call them.
    pub display_name: String,
    /// The medical record number.
    pub mrn: String,
    /// The birthday.
    pub date_of_birth: types::Date,
    /// Completed years on the day `as_of`.
    pub age: i16,
    /// The language to speak with them.
    pub preferred_language: String,
    /// Whether somebody must translate.
    pub interpreter_needed: bool,
}

/// What an intake raised.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryFlag)]
pub struct SummaryFlag {
    /// The flag.
    pub id: IntakeFlagId,
    /// The rule.
    pub rule: String,
    /// How soon it must be looked at.
    pub urgency: FlagUrgency,
    /// What the rule says.
    pub text: String,
    /// When the answers ceased to raise it.
    pub withdrawn_at: Option<Timestamp>,
    /// When somebody acknowledged it.
    pub acknowledged_at: Option<Timestamp>,
}

/// How bad it is.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummarySeverity)]
pub struct SummarySeverity {
    /// The rating scale's total, 0 to 40; null unless all ten items are there.
    #[schema(minimum = 0, maximum = 40)]
    pub irls_total: Option<i64>,
    /// Its band.
    pub irls_band: Option<IrlsBand>,
    /// The clinic's own question how bothersome it is, 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    pub severity_0_10: Option<i64>,
    /// The clinical course.
    pub clinical_course: ClinicalCourse,
    /// Whether it disturbs life; the cut-off "moderate" is this service's own.
    pub clinical_significance: ClinicalSignificance,
    /// Whether the Epworth total is above 10.
    pub ess_above_10: Option<bool>,
    /// The band of the Insomnia Severity Index.
    pub isi_band: Option<IsiBand>,
}

/// What may contribute.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryContributor)]
pub struct SummaryContributor {
    /// The factor.
    pub factor: rls::factors::Factor,
    /// The answers that point to it, in words.
    pub because: Vec<Said>,
    /// Whether the review confirms it; null before a review.
    pub confirmed: Option<bool>,
}

/// Iron.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryIron)]
pub struct SummaryIron {
    /// The band of the newest values, to be read with their age: ferritin rises with inflammation.
    pub iron_review_band: IronReviewBand,
    /// Transferrin saturation in percent.
    pub tsat_percent: Option<f64>,
}

/// A laboratory value.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryLab)]
pub struct SummaryLab {
    /// What was measured.
    #[schema(value_type = String, examples("ferritin"))]
    pub test: LabTest,
    /// The value in its unit.
    pub value: f64,
    /// That the true value lies below or above it.
    #[schema(value_type = Option<String>, examples("<"))]
    pub comparator: Option<Comparator>,
    /// The unit.
    #[schema(value_type = Option<String>, examples("ng/mL"))]
    pub unit: Option<LabUnit>,
    /// The day of the sample, as far as known.
    #[schema(value_type = Option<String>, examples("2026-05-12"))]
    pub collected_on: Option<PartialDate>,
    /// How many days old it is on the day `as_of`, at least.
    #[schema(minimum = 0)]
    pub age_days: Option<i32>,
    /// Who says so.
    #[schema(value_type = Option<String>, examples("lab_report"))]
    pub source: Option<LabSource>,
}

/// A test that was done.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryTest)]
pub struct SummaryTest {
    /// Which test.
    #[schema(value_type = Option<String>, examples("venous_duplex"))]
    pub test: Option<TestKind>,
    /// When, as far as known.
    #[schema(value_type = Option<String>, examples("2026-02"))]
    pub date: Option<PartialDate>,
    /// The result.
    pub result: Option<String>,
}

/// A medicine.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryTreatment)]
pub struct SummaryTreatment {
    /// The name, as the patient knows it.
    pub name: String,
    /// The class that was entered, or else the one that the service's table has; null where neither is known.
    #[schema(value_type = Option<String>, examples("dopaminergic"))]
    pub class: Option<MedicineClass>,
    /// Dose and frequency.
    pub dose: Option<String>,
    /// When it was begun, as far as known.
    #[schema(value_type = Option<String>, examples("2021-02"))]
    pub started_on: Option<PartialDate>,
    /// When it was stopped, as far as known.
    #[schema(value_type = Option<String>, examples("2025-08"))]
    pub stopped_on: Option<PartialDate>,
    /// Whether it is taken.
    #[schema(value_type = Option<String>, examples("current"))]
    pub status: Option<MedicationStatus>,
    /// Whether it is or was for restless legs.
    #[schema(value_type = Option<String>, examples("yes"))]
    pub for_rls: Option<YesNo>,
    /// How the restless legs responded.
    #[schema(value_type = Option<String>, examples("partial"))]
    pub response: Option<TreatmentResponse>,
    /// Side effects.
    #[schema(value_type = Vec<String>)]
    pub side_effects: Vec<SideEffect>,
}

/// An intake for its patient.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakePlainSummary)]
pub struct PlainSummary {
    /// The intake.
    pub intake_id: IntakeId,
    /// Where it stands.
    pub status: IntakeStatus,
    /// The language of the texts.
    #[schema(examples("en"))]
    pub language: String,
    /// When the answers were last written.
    pub authored_at: Timestamp,
    /// What the answers amount to, in plain words.
    pub sentences: Vec<String>,
    /// What was answered, section by section.
    pub sections: Vec<SaidSection>,
    /// What all of this is, and is not.
    pub disclaimer: String,
}

/// What a summary is made of.
pub struct Material<'a> {
    /// The intake.
    pub intake: &'a Intake,
    /// Whose it is.
    pub patient: &'a Patient,
    /// What was answered, as JSON.
    pub raw: &'a Answers,
    /// What was answered.
    pub answers: &'a rls::Answers,
    /// What follows.
    pub computed: &'a Computed,
    /// By which version of the rules.
    pub rule_set_version: &'a str,
    /// The review.
    pub review: Option<rls::Review>,
    /// The age on the present day.
    pub age: i16,
    /// The present day.
    pub today: Date,
}

/// Sections that a doctor's page tells in words, because nothing is computed from them.
const IN_WORDS: [&str; 6] = ["mimics", "venous", "substances", "lifestyle", "sleep", "symptoms"];

/// Answers that the page tells where it tells what follows from them.
const TOLD_BEFORE: [&str; 8] = [
    "symptoms.urge_to_move_legs",
    "symptoms.worse_at_rest",
    "symptoms.relief_with_movement",
    "symptoms.worse_evening_or_night",
    "symptoms.severity_0_10",
    "sleep.ess_total",
    "sleep.isi_total",
    "venous.diagnostic_tests",
];

/// The doctor's summary.
///
/// # Errors
/// A fault, if a flag's rule does not open.
pub fn clinical(env: &Env, material: Material<'_>, flags: &[Flag]) -> Result<ClinicalSummary> {
    let Material { intake, patient, raw, answers, computed, review, .. } = &material;
    let english = Language::English;
    let more = words::said(raw, english).into_iter().filter(|section| IN_WORDS.contains(&section.section.as_str()));
    let more = more.filter_map(|mut section| {
        section.items.retain(|said| !TOLD_BEFORE.contains(&said.field.as_str()));
        (!section.items.is_empty()).then_some(section)
    });
    let open = |issue: &&rls::Issue| matches!(issue.code, rls::issues::Code::Required | rls::issues::Code::NotAsked);
    Ok(ClinicalSummary {
        intake_id: intake.id,
        heading: heading(intake.status).map(str::to_owned),
        status: intake.status,
        as_of: types::Date(material.today),
        patient: SummaryPatient {
            display_name: patient.display_name(),
            mrn: patient.mrn.clone(),
            date_of_birth: patient.date_of_birth,
            age: material.age,
            preferred_language: patient.preferred_language.clone(),
            interpreter_needed: patient.interpreter_needed,
        },
        authored_at: intake.authored_at,
        submitted_at: intake.submitted_at,
        flags: raised(env, flags)?,
        criteria: computed.criteria,
        screening_result: computed.screening_result,
        irlssg_criteria_met: computed.irlssg_criteria_met,
        severity: SummarySeverity {
            irls_total: computed.irls_total,
            irls_band: computed.irls_band,
            severity_0_10: answers.symptoms.severity_0_10.map(Whole::get),
            clinical_course: computed.clinical_course,
            clinical_significance: computed.clinical_significance,
            ess_above_10: computed.ess_above_10,
            isi_band: computed.isi_band,
        },
        contributors: contributors(computed, raw, review.as_ref()),
        iron: SummaryIron { iron_review_band: computed.iron_review_band, tsat_percent: computed.tsat_percent },
        labs: labs(answers, material.today),
        tests: answers.venous.diagnostic_tests.iter().flatten().map(test).collect(),
        treatments: treatments(answers),
        augmentation_features: computed.augmentation_features,
        more: more.collect(),
        not_known: words::not_known(raw, english),
        open_questions: computed.issues.iter().filter(open).count(),
        review: review.clone(),
        reviewed_at: intake.reviewed_at,
        disclaimer: english.pick(rls::NOT_A_DIAGNOSIS).to_owned(),
        form_version: intake.form_version.clone(),
        rule_set_version: material.rule_set_version.to_owned(),
    })
}

fn heading(status: IntakeStatus) -> Option<&'static str> {
    match status {
        IntakeStatus::InProgress => Some("Not submitted"),
        IntakeStatus::Completed => None,
        IntakeStatus::Amended => Some("Amended"),
        IntakeStatus::EnteredInError => Some("Entered in error"),
    }
}

fn raised(env: &Env, flags: &[Flag]) -> Result<Vec<SummaryFlag>> {
    let mut raised = Vec::new();
    for flag in flags {
        let rule = flag.open_rule(env)?;
        let known = rls::Rule::ALL.iter().copied().find(|known| known.as_str() == rule);
        let text = known.map(|rule| rls::notices::staff_text(rls::Flag { rule, urgency: flag.urgency.into() }));
        raised.push(SummaryFlag {
            id: flag.id,
            text: text.unwrap_or_else(|| rule.clone()),
            rule,
            urgency: flag.urgency,
            withdrawn_at: flag.withdrawn_at,
            acknowledged_at: flag.acknowledged_at,
        });
    }
    raised.sort_by_key(|flag| (flag.withdrawn_at.is_some(), flag.urgency));
    Ok(raised)
}

fn contributors(computed: &Computed, raw: &Answers, review: Option<&rls::Review>) -> Vec<SummaryContributor> {
    let confirmed = |factor: rls::factors::Factor| {
        let name = serde_json::to_value(factor).unwrap_or_default();
        let list = review?.contributors_confirmed.clone().unwrap_or_default();
        Some(list.iter().any(|confirmed| name == confirmed.as_str()))
    };
    let because = |path: &String| words::at(raw, path, Language::English);
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

fn labs(answers: &rls::Answers, today: Date) -> Vec<SummaryLab> {
    let lab = |lab: &Lab| {
        let age = |on: PartialDate| on.last().min(today).until(today).map_or(0, |span| span.get_days());
        Some(SummaryLab {
            test: lab.test?,
            value: lab.value.as_ref()?.get(),
            comparator: lab.comparator,
            unit: lab.unit,
            collected_on: lab.collected_on,
            age_days: lab.collected_on.map(age),
            source: lab.source,
        })
    };
    let mut labs: Vec<_> = answers.labs().filter_map(|(_, one)| lab(one)).collect();
    labs.sort_by_key(|lab| std::cmp::Reverse(lab.collected_on.map(PartialDate::first)));
    labs
}

fn test(test: &DiagnosticTest) -> SummaryTest {
    SummaryTest {
        test: test.test,
        date: test.date,
        result: test.result.as_ref().map(|result| result.as_str().to_owned()),
    }
}

fn treatments(answers: &rls::Answers) -> Vec<SummaryTreatment> {
    let treatment = |medication: &Medication| {
        let name = medication.name.as_ref()?.as_str().to_owned();
        let entered = medication.class.filter(|class| *class != MedicineClass::Unknown);
        let unit = medication.unit.map(|unit| unit.as_str().to_owned());
        let parts = [
            medication.dose.as_ref().map(|dose| Decimal::get(dose).to_string()),
            unit,
            medication.frequency.as_ref().map(|often| often.as_str().to_owned()),
        ];
        let dose = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some(SummaryTreatment {
            class: entered.or_else(|| looked_up(&name)),
            name,
            dose: (!dose.is_empty()).then_some(dose),
            started_on: medication.started_on,
            stopped_on: medication.stopped_on,
            status: medication.status,
            for_rls: medication.for_rls,
            response: medication.response,
            side_effects: medication.side_effects.clone().unwrap_or_default(),
        })
    };
    let mut treatments: Vec<_> = answers.medications().filter_map(|(_, one)| treatment(one)).collect();
    treatments.sort_by_key(|one| (one.for_rls != Some(YesNo::Yes), one.status != Some(MedicationStatus::Current)));
    treatments
}

/// The patient's summary. `raw` holds only what its reader may see.
pub fn plain(material: &Material<'_>, language: Language) -> PlainSummary {
    PlainSummary {
        intake_id: material.intake.id,
        status: material.intake.status,
        language: language.code().to_owned(),
        authored_at: material.intake.authored_at,
        sentences: rls::patient_summary(material.answers, material.computed, language),
        sections: words::said(material.raw, language),
        disclaimer: language.pick(rls::NOT_A_DIAGNOSIS).to_owned(),
    }
}
