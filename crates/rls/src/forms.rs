//! The forms: which of the shared answers each asks for. All forms store the same [`Answers`], so that rules, views and
//! the course over time read an answer in one way, whichever form it was given in.

use std::sync::LazyLock;

use serde_json::Value;

use super::answers::{Answers, Section, all_fields, follow_up_section, sections};
use super::error::{FieldError, Invalid};
use super::flags::Rule;
use super::form_dsl::{Bilingual, Field};

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = IntakeFormName)]
pub enum FormName {
    /// The RLS history, before a visit.
    #[default]
    #[serde(rename = "rls-history")]
    History,
    /// The short follow-up after a visit or a change of treatment.
    #[serde(rename = "rls-follow-up")]
    FollowUp,
}

static HISTORY: LazyLock<Vec<Field>> = LazyLock::new(|| FormName::History.collect_fields());
static FOLLOW_UP: LazyLock<Vec<Field>> = LazyLock::new(|| FormName::FollowUp.collect_fields());

/// The questions about symptoms that the follow-up repeats, and whether they are required there.
const REPEATED: &[(&str, bool)] = &[
    ("symptoms.severity_0_10", true),
    ("symptoms.severity_0_10_status", false),
    ("symptoms.days_per_week_treated", false),
    ("symptoms.days_per_week_treated_status", false),
    ("symptoms.usual_onset_time", false),
];

impl FormName {
    /// Every form.
    pub const ALL: [Self; 2] = [Self::History, Self::FollowUp];

    /// Returns the name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => super::FORM,
            Self::FollowUp => "rls-follow-up",
        }
    }

    /// Returns the form with this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == name)
    }

    /// Returns the canonical URL (FHIR `Questionnaire.url`). With the version it reads `url|version`.
    pub fn url(self) -> String {
        format!("https://legwork.example/intake-forms/{}", self.as_str())
    }

    /// Returns the version. Answers keep the version that they were given for. A newer version still reads them.
    pub fn version(self) -> &'static str {
        match self {
            Self::History => super::FORM_VERSION,
            Self::FollowUp => "1.0.0",
        }
    }

    /// Returns the title.
    pub fn title(self) -> Bilingual {
        match self {
            Self::History => Bilingual { en: "Your restless legs history", es: "Su historia de piernas inquietas" },
            Self::FollowUp => Bilingual { en: "How are your legs now?", es: "¿Cómo están ahora sus piernas?" },
        }
    }

    /// Returns the text above the form.
    pub fn intro(self) -> Bilingual {
        match self {
            Self::History => Bilingual {
                en: "Please answer before your visit. Required questions must be answered, and \"I don't know\" is an answer; the rest is optional. Each section is saved by itself. This form is not watched in real time: in an emergency call your emergency number.",
                es: "Por favor, conteste antes de su visita. Las preguntas obligatorias deben contestarse, y «no lo sé» es una respuesta; el resto es opcional. Cada sección se guarda por separado. Nadie vigila este formulario en tiempo real: en una emergencia llame al número de emergencias.",
            },
            Self::FollowUp => Bilingual {
                en: "A few questions about the time since your last visit. They take about two minutes. Please do not change or stop any medicine by yourself. This form is not watched in real time: in an emergency call your emergency number.",
                es: "Unas pocas preguntas sobre el tiempo desde su última visita. Tardará unos dos minutos. Por favor, no cambie ni deje ninguna medicina por su cuenta. Nadie vigila este formulario en tiempo real: en una emergencia llame al número de emergencias.",
            },
        }
    }

    /// Returns the sections in order. A section of the follow-up has the title and questions that the history has.
    pub fn sections(self) -> Vec<Section> {
        match self {
            Self::History => sections(),
            Self::FollowUp => vec![repeated_symptoms(), follow_up_section()],
        }
    }

    /// Returns the fields of all sections. Fields of list entries are children of their list.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::History => &HISTORY,
            Self::FollowUp => &FOLLOW_UP,
        }
    }

    fn collect_fields(self) -> Vec<Field> {
        self.sections().into_iter().flat_map(|section| section.fields).collect()
    }

    /// Returns whether the form asks for the answer with this id.
    pub fn asks(self, id: &str) -> bool {
        self.fields().iter().any(|field| field.id == id)
    }

    /// Returns whether the form asks for anything that the rule uses, or the rule uses no answers. Only such a rule
    /// raises a flag for answers to the form.
    pub fn concerns(self, rule: Rule) -> bool {
        let is_asked = |input: &&str| {
            let inside = |field: &Field| input.strip_prefix(&field.id).is_some_and(|rest| rest.starts_with('.'));
            self.fields().iter().any(|field| field.id == **input || inside(field))
        };
        let inputs = rule.definition().inputs;
        inputs.is_empty() || inputs.iter().any(is_asked)
    }

    /// Rejects answers to questions that the form does not ask.
    ///
    /// # Errors
    /// [`Invalid`] with each such answer.
    pub fn refuse_other_answers(self, answers: &Answers, prefix: &str) -> Result<(), Invalid> {
        let root = serde_json::to_value(answers).unwrap_or_default();
        let place = |field: &Field| format!("/{}", field.id.replace('.', "/"));
        let is_given = |field: &&Field| !root.pointer(&place(field)).unwrap_or(&Value::Null).is_null();
        let other = all_fields().iter().filter(|field| !self.asks(&field.id)).filter(is_given);
        let error = |field: &Field| {
            FieldError::new(
                format!("{prefix}{}", place(field)),
                text::FieldCode::UnknownField,
                "is not a field of the form",
            )
        };
        Invalid::unless_empty(other.map(error).collect())
    }
}

/// The section of the symptoms with the questions that the follow-up repeats.
fn repeated_symptoms() -> Section {
    let mut section = sections().into_iter().find(|section| section.id == "symptoms").unwrap_or_else(follow_up_section);
    section.fields.retain(|field| REPEATED.iter().any(|(id, _)| *id == field.id));
    section.fields.sort_by_key(|field| REPEATED.iter().position(|(id, _)| *id == field.id));
    for field in &mut section.fields {
        field.required = REPEATED.iter().any(|(id, required)| *id == field.id && *required);
    }
    section
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::form_dsl::Kind;

    #[test]
    fn the_follow_up_asks_at_most_eight_questions() {
        let asked: Vec<_> = FormName::FollowUp.fields().iter().filter(|field| !field.companion).collect();
        assert!((5..=8).contains(&asked.len()), "{}", asked.len());
        assert!(asked.iter().all(|field| !matches!(field.kind, Kind::Group(_))));
    }

    #[test]
    fn the_ids_of_the_follow_up_never_change() {
        let ids: Vec<_> = FormName::FollowUp.fields().iter().map(|field| field.id.as_str()).collect();
        let kept = [
            "symptoms.severity_0_10",
            "symptoms.severity_0_10_status",
            "symptoms.days_per_week_treated",
            "symptoms.days_per_week_treated_status",
            "symptoms.usual_onset_time",
            "follow_up.change",
            "follow_up.augmentation",
            "follow_up.urges",
            "follow_up.has_side_effects",
            "follow_up.side_effects",
        ];
        assert_eq!(ids, kept, "a changed form needs a new version");
    }

    #[test]
    fn both_forms_word_a_shared_question_alike() {
        for field in FormName::FollowUp.fields() {
            let Some(same) = FormName::History.fields().iter().find(|of| of.id == field.id) else { continue };
            assert_eq!(
                (same.label, same.help, &same.meaning),
                (field.label, field.help, &field.meaning),
                "{}",
                field.id
            );
        }
    }

    #[test]
    fn an_answer_to_a_question_of_another_form_is_rejected_with_its_place() {
        let read = |value| crate::parse(&value, "").expect("answers");
        let follow_up = read(json!({"symptoms": {"severity_0_10": 3}, "follow_up": {"change": "same"}}));
        assert!(FormName::FollowUp.refuse_other_answers(&follow_up, "/answers").is_ok());
        let Invalid(errors) = FormName::History.refuse_other_answers(&follow_up, "/answers").expect_err("refused");
        assert_eq!(errors[0].pointer, "/answers/follow_up/change");
        let history = read(json!({"safety": {"bleeding_vein": "no"}, "labs": []}));
        let Invalid(errors) = FormName::FollowUp.refuse_other_answers(&history, "").expect_err("refused");
        let places: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(places, ["/safety/bleeding_vein", "/labs"]);
    }

    #[test]
    fn a_rule_concerns_a_form_that_asks_for_one_of_its_inputs() {
        for (rule, history, follow_up) in [
            (Rule::AugmentationReview, true, true),
            (Rule::ImpulseBehavior, true, true),
            (Rule::SleepAttacks, true, true),
            (Rule::IronReview, true, false),
            (Rule::MimicReview, true, false),
            (Rule::BreathingSideEffect, false, true),
            (Rule::FerritinOutOfDate, true, false),
            (Rule::RecheckDue, true, true),
        ] {
            assert_eq!(FormName::History.concerns(rule), history, "{rule:?}");
            assert_eq!(FormName::FollowUp.concerns(rule), follow_up, "{rule:?}");
        }
    }
}
