//! What each viewer sees of an intake, and what a new intake copies from an older one.

use serde_json::Value;

use super::answers::Answers;
use super::computed::Computed;
use super::context::{Context, FilledBy};
use super::field_access::{
    clinician_only_fields, field_at, hidden_from_guardians, is_hidden_from_guardians, without, without_private,
};
use super::flags::{Flag, Rule};
use super::issues::{Issue, Severity};

/// Who views an intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// The patient, or the representative of an adult.
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

/// Returns whether a rule looks at a field that is hidden from guardians of minors, who then do not see its flag.
fn is_private(rule: Rule) -> bool {
    rule.definition().inputs.iter().any(|field| hidden_from_guardians(field))
}

/// Returns what `viewer` sees of an intake. `answers` is the stored JSON. `submitted` is false for a draft.
pub fn view(viewer: Viewer, submitted: bool, answers: &Value, computed: &Computed, context: &Context) -> View {
    let is_complete = |issues: &[Issue]| !issues.iter().any(|issue| issue.severity == Severity::Error);
    let urgent = computed.flags.iter().any(|flag| flag.urgency.is_urgent());
    let all = View {
        answers: Some(answers.clone()),
        computed: None,
        issues: computed.issues.clone(),
        flags: computed.flags.clone(),
        complete: is_complete(&computed.issues),
        urgent_flags: None,
    };
    // What staff other than practitioners may not answer, they do not see either.
    let reserved = if viewer == Viewer::Desk {
        clinician_only_fields(&Context { filled_by: FilledBy::Staff, ..context.clone() })
    } else {
        Vec::new()
    };
    match viewer {
        Viewer::Patient => all,
        Viewer::GuardianOfMinor if !context.is_minor() => {
            View { answers: None, issues: Vec::new(), flags: Vec::new(), ..all }
        }
        Viewer::GuardianOfMinor | Viewer::GivenForMinor => {
            let issues = computed.issues.iter().filter(|issue| !is_hidden_from_guardians(&issue.pointer));
            let issues: Vec<Issue> = issues.cloned().collect();
            View {
                answers: Some(without_private(answers)),
                complete: is_complete(&issues),
                issues,
                flags: computed.flags.iter().filter(|flag| !is_private(flag.rule)).copied().collect(),
                ..all
            }
        }
        Viewer::Desk if submitted => {
            View { answers: None, issues: Vec::new(), flags: Vec::new(), urgent_flags: Some(urgent), ..all }
        }
        Viewer::Desk => {
            let is_reserved = |id: &str| reserved.iter().any(|field| field == id);
            let flags =
                computed.flags.iter().filter(|flag| !flag.rule.definition().inputs.iter().any(|id| is_reserved(id)));
            let issues = computed.issues.iter().filter(|issue| !is_reserved(&field_at(&issue.pointer)));
            View {
                answers: Some(without(answers, is_reserved)),
                issues: issues.cloned().collect(),
                flags: flags.copied().collect(),
                urgent_flags: Some(urgent),
                ..all
            }
        }
        Viewer::Practitioner => View { computed: Some(computed.clone()), urgent_flags: Some(urgent), ..all },
    }
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
        allergies: older.allergies.clone(),
        lifestyle: older.lifestyle.clone(),
        ..Answers::default()
    }
}
