//! Who sees what of an intake, and what a new intake may start from.

use serde_json::Value;

use super::answers::Answers;
use super::computed::Computed;
use super::context::Context;
use super::flags::{Flag, Rule};
use super::issues::{Issue, Severity, all_fields};

/// Who looks at an intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// The patient, or an adult's own representative.
    Patient,
    /// A guardian of a patient under 18.
    GuardianOfMinor,
    /// The desk, or another member of staff who is no clinician.
    Desk,
    /// A practitioner.
    Practitioner,
}

/// What they see.
#[derive(Clone, PartialEq)]
pub struct View {
    /// The answers, as far as they may be seen.
    pub answers: Option<Value>,
    /// Everything computed: practitioners only.
    pub computed: Option<Computed>,
    /// What is still missing or does not fit, as far as it may be seen.
    pub issues: Vec<Issue>,
    /// The flags for which notices may be shown.
    pub flags: Vec<Flag>,
    /// Whether nothing blocks submission.
    pub complete: bool,
    /// Whether an emergency or same-day flag is raised; told to staff.
    pub urgent_flags: Option<bool>,
}

/// Rules of which a guardian of a minor learns nothing: their answers are private.
const PRIVATE_RULES: &[Rule] = &[Rule::SelfHarmThoughts, Rule::PregnancyMedication, Rule::ImpulseBehavior];

/// Whether a field, by its id, is kept from guardians of minors.
pub fn hidden_from_guardians(id: &str) -> bool {
    all_fields().iter().any(|field| field.private_for_minors && field.id == id)
}

/// Whether a pointer into the intake leads to something that is kept from guardians of minors.
fn hidden_place(pointer: &str) -> bool {
    let id = pointer.trim_start_matches(super::issues::ANSWERS).trim_start_matches('/').replace('/', ".");
    hidden_from_guardians(&id)
}

/// What `viewer` sees of an intake. `answers` is the stored JSON; `submitted` says whether it is still a draft.
pub fn view(viewer: Viewer, submitted: bool, answers: &Value, computed: &Computed, context: &Context) -> View {
    let complete = !computed.issues.iter().any(|issue| issue.severity == Severity::Error);
    let urgent = computed.flags.iter().any(|flag| flag.urgency.is_urgent());
    let all = View {
        answers: Some(answers.clone()),
        computed: None,
        issues: computed.issues.clone(),
        flags: computed.flags.clone(),
        complete,
        urgent_flags: None,
    };
    match viewer {
        Viewer::Patient => all,
        Viewer::GuardianOfMinor if !context.is_minor() => {
            View { answers: None, issues: Vec::new(), flags: Vec::new(), ..all }
        }
        Viewer::GuardianOfMinor => View {
            answers: Some(without_private(answers)),
            issues: computed.issues.iter().filter(|issue| !hidden_place(&issue.pointer)).cloned().collect(),
            flags: computed.flags.iter().filter(|flag| !PRIVATE_RULES.contains(&flag.rule)).copied().collect(),
            ..all
        },
        Viewer::Desk if submitted => {
            View { answers: None, issues: Vec::new(), flags: Vec::new(), urgent_flags: Some(urgent), ..all }
        }
        Viewer::Desk => View { urgent_flags: Some(urgent), ..all },
        Viewer::Practitioner => View { computed: Some(computed.clone()), urgent_flags: Some(urgent), ..all },
    }
}

/// The answers without what is kept from guardians of minors.
pub fn without_private(answers: &Value) -> Value {
    let mut visible = answers.clone();
    for field in all_fields().iter().filter(|field| field.private_for_minors) {
        let Some((section, name)) = field.id.split_once('.') else { continue };
        if let Some(section) = visible.get_mut(section).and_then(Value::as_object_mut) {
            section.remove(name);
        }
    }
    if let Some(object) = visible.as_object_mut() {
        object.retain(|_, section| !section.as_object().is_some_and(serde_json::Map::is_empty));
    }
    visible
}

/// What a new intake takes over from an older one: history and medicines, never safety, symptoms or severity, and nothing
/// that is of its day: pregnancy, sleep, urges and what has changed under a medicine are asked again.
pub fn copy_from(older: &Answers) -> Answers {
    let mut risk = older.risk.clone();
    risk.pregnancy_status = None;
    risk.gestational_weeks = None;
    risk.gestational_weeks_status = None;
    risk.estimated_due_date = None;
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
