//! What each viewer sees of an intake, and what a new intake copies from an older one.

use serde_json::Value;

use super::answers::Answers;
use super::computed::Computed;
use super::context::Context;
use super::field_access::{field_at, field_ids, is_reserved_for_clinicians, without};
use super::flags::Flag;
use super::issues::{Issue, Severity};

/// Who views an intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// The patient, or the representative of an adult. They do not see how a rating scale was taken.
    Patient,
    /// A guardian of a patient under 18.
    GuardianOfMinor,
    /// A representative other than the patient, whose access was given while the record said that the patient is a minor.
    GivenForMinor,
    /// Staff other than practitioners, such as the front desk.
    Desk,
    /// A practitioner.
    Practitioner,
}

/// The parts of an intake that a viewer sees.
#[derive(Clone, PartialEq)]
pub struct View {
    /// The visible answers.
    pub answers: Option<Value>,
    /// Everything computed. Practitioners only.
    pub computed: Option<Computed>,
    /// The visible issues.
    pub issues: Vec<Issue>,
    /// The flags whose notices may be shown.
    pub flags: Vec<Flag>,
    /// Whether nothing blocks submission.
    pub complete: bool,
    /// Whether an emergency or same-day flag is raised. Staff only.
    pub urgent_flags: Option<bool>,
}

/// Returns whether nothing blocks submission.
fn is_complete(issues: &[Issue]) -> bool {
    !issues.iter().any(|issue| issue.severity == Severity::Error)
}

/// Returns what `viewer` sees of an intake. `answers` is the stored JSON. `submitted` is false for a draft.
pub fn view(viewer: Viewer, submitted: bool, answers: &Value, computed: &Computed, context: &Context) -> View {
    let urgent = computed.flags.iter().any(|flag| flag.urgency.is_urgent());
    let all = View {
        answers: Some(answers.clone()),
        computed: None,
        issues: computed.issues.clone(),
        flags: computed.flags.clone(),
        complete: is_complete(&computed.issues),
        urgent_flags: None,
    };
    match viewer {
        Viewer::Patient => all.without_answers(&scale_metadata()),
        Viewer::GuardianOfMinor if !context.is_minor() => {
            View { answers: None, issues: Vec::new(), flags: Vec::new(), ..all }
        }
        Viewer::GuardianOfMinor | Viewer::GivenForMinor => {
            let view = all.without_answers(&scale_metadata());
            let view = view.without_fields(&field_ids(|field| field.private_for_minors));
            View { complete: is_complete(&view.issues), ..view }
        }
        Viewer::Desk if submitted => {
            View { answers: None, issues: Vec::new(), flags: Vec::new(), urgent_flags: Some(urgent), ..all }
        }
        // Staff do not see what only clinicians may answer.
        Viewer::Desk => View {
            urgent_flags: Some(urgent),
            ..all.without_fields(&field_ids(|field| is_reserved_for_clinicians(field, context)))
        },
        Viewer::Practitioner => View { computed: Some(computed.clone()), urgent_flags: Some(urgent), ..all },
    }
}

impl View {
    /// Removes these fields, their issues, and the flags of rules that look at them.
    fn without_fields(self, ids: &[&str]) -> Self {
        let has = |id: &str| ids.contains(&id);
        let view = self.without_answers(ids);
        Self {
            issues: view.issues.into_iter().filter(|issue| !has(&field_at(&issue.pointer))).collect(),
            flags: view
                .flags
                .into_iter()
                .filter(|flag| !flag.rule.definition().inputs.iter().any(|id| has(id)))
                .collect(),
            ..view
        }
    }

    /// Removes the answers to these fields. Their issues stay, because they may block the submission.
    fn without_answers(self, ids: &[&str]) -> Self {
        Self { answers: self.answers.map(|answers| without(&answers, ids)), ..self }
    }
}

/// Returns the fields about how a rating scale was taken. Only clinicians answer and see them, for patients of any age.
fn scale_metadata() -> Vec<&'static str> {
    field_ids(|field| field.clinician_only)
}

/// Returns the answers that a new intake copies from an older one: history and medicines. Safety, symptoms, severity,
/// pregnancy, sleep, urges and augmentation are asked again, because they change.
pub fn copy_from(older: &Answers) -> Answers {
    let mut risk = older.risk.clone();
    risk.pregnancy_status = None;
    risk.gestational_weeks = None;
    risk.gestational_weeks_status = None;
    risk.estimated_due_date = None;
    risk.trying_to_conceive = None;
    risk.breastfeeding = None;
    risk.infection_or_inflammation = None;
    Answers {
        venous: older.venous.clone(),
        risk,
        labs: older.labs.clone(),
        medications_status: older.medications_status.filter(|_| older.medications.is_some()),
        medications: older.medications.clone(),
        allergies_status: older.allergies_status.filter(|_| older.allergies.is_some()),
        allergies: older.allergies.clone(),
        lifestyle: older.lifestyle.clone(),
        ..Answers::default()
    }
}
