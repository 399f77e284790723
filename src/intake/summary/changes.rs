//! What changed since the patient's previous intake.

use rls::answers::{MedicationStatus, YesNo};
use rls::form_dsl::{Integer, normalized_name};
use rls::severity::irls_total;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::previous::Previous;
use super::short_labels::short_label;
use super::treatments::{SummaryTreatment, TreatmentChange};
use crate::clock::Timestamp;
use crate::db::types;
use crate::ids::IntakeId;

/// The patient's previous intake, with what changed since.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntakeSummaryPrevious)]
pub struct SummaryPrevious {
    /// The intake.
    pub intake_id: IntakeId,
    /// When its answers were last changed.
    pub authored_at: Timestamp,
    /// The total of the rating scale then.
    #[schema(minimum = 0, maximum = 40)]
    pub irls_total: Option<i64>,
    /// How bothersome it was then, 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    pub severity_0_10: Option<i64>,
    /// The plan of its review.
    pub plan_note: Option<String>,
    /// The day on which the plan was to be reviewed again.
    pub recheck_on: Option<types::Date>,
    /// What changed since, each as a short text.
    pub changes: Vec<String>,
}

/// Compares the answers with those of the previous intake.
pub(super) fn previous(before: &Previous, answers: &rls::Answers, treatments: &[SummaryTreatment]) -> SummaryPrevious {
    let mut changes: Vec<String> = treatments.iter().filter_map(treatment).collect();
    changes.extend(no_longer_named(before, answers));
    changes.extend(yes_and_no(&before.answers, answers));
    let review = before.review.as_ref();
    SummaryPrevious {
        intake_id: before.id,
        authored_at: before.authored_at,
        irls_total: irls_total(&before.answers),
        severity_0_10: before.answers.symptoms.severity_0_10.map(Integer::get),
        plan_note: review.and_then(|review| review.plan_note.as_ref()).map(|note| note.as_str().to_owned()),
        recheck_on: review.and_then(|review| review.recheck_on).map(types::Date),
        changes,
    }
}

fn treatment(one: &SummaryTreatment) -> Option<String> {
    let dose = one.dose.as_ref().map(|dose| format!(" {dose}")).unwrap_or_default();
    Some(match one.change? {
        TreatmentChange::Started => format!("started {}{dose}", one.name),
        TreatmentChange::Stopped => match &one.stop_reason {
            Some(reason) => format!("stopped {} ({reason})", one.name),
            None => format!("stopped {}", one.name),
        },
        TreatmentChange::DoseChanged => format!("{} now{dose}", one.name),
        TreatmentChange::NewlyNamed => format!("newly named: {}", one.name),
    })
}

/// Names the medicines that were taken then and that the answers no longer name.
fn no_longer_named(before: &Previous, answers: &rls::Answers) -> Vec<String> {
    let named = |name: &str| {
        let same = |other: &str| normalized_name(other) == normalized_name(name);
        answers.medications().any(|(_, one)| one.name.as_ref().is_some_and(|other| same(other.as_str())))
    };
    let taken = before.answers.medications().filter(|(_, one)| one.status == Some(MedicationStatus::Current));
    let names = taken.filter_map(|(_, one)| Some(one.name.as_ref()?.as_str()));
    names.filter(|name| !named(name)).map(|name| format!("no longer named: {name}")).collect()
}

/// The sections whose answers "yes" and "no" are compared.
const COMPARED: [&str; 5] = ["mimics", "venous", "risk", "augmentation", "impulse_control"];

/// Names the questions whose answer changed between yes and no. An unknown answer is no change.
fn yes_and_no(before: &rls::Answers, now: &rls::Answers) -> Vec<String> {
    let as_json = |answers: &rls::Answers| serde_json::to_value(answers).unwrap_or_default();
    let (before, now) = (as_json(before), as_json(now));
    let changed = |wanted: YesNo, word: &str| {
        let mut labels = Vec::new();
        for section in COMPARED {
            for (name, answer) in now.get(section).and_then(Value::as_object).into_iter().flatten() {
                let then = before.get(section).and_then(|section| section.get(name)).and_then(Value::as_str);
                let is_known = matches!(then, Some("yes" | "no"));
                if answer == wanted.as_str() && is_known && then != Some(wanted.as_str()) {
                    labels.extend(short_label(&format!("{section}.{name}")));
                }
            }
        }
        (!labels.is_empty()).then(|| format!("{word}: {}", labels.join(", ")))
    };
    [changed(YesNo::Yes, "new"), changed(YesNo::No, "no longer")].into_iter().flatten().collect()
}
