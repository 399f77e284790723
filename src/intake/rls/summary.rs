//! What patients read about their own answers: plain words, no bands, no names of rules, nothing that sounds like a finding;
//! and what doctors find still open.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Language;
use super::answers::Answers;
use super::computed::Computed;
use super::context::Context;
use super::criteria::ScreeningResult;
use super::iron::IronReviewBand;
use super::issues::{Severity, all_fields};
use super::kit::{Field, Kind, Words};
use crate::error::{Error, Result};

/// Sentences about the answers, in the patient's language. Whoever shows them puts [`super::NOT_A_DIAGNOSIS`] beside them.
pub fn patient_summary(answers: &Answers, computed: &Computed, language: Language) -> Vec<String> {
    let mut words = vec![features(computed.screening_result)];
    if answers.symptoms.impact_level.is_some() || answers.symptoms.days_per_week_untreated.is_some() {
        words.push(Words {
            en: "We will talk about how often your legs bother you and how it disturbs your life.",
            es: "Hablaremos de con qué frecuencia le molestan las piernas y cómo afecta a su vida.",
        });
    }
    words.extend(iron(computed.iron_review_band));
    if !computed.contributing_factors.is_empty() {
        words.push(Words {
            en: "Some of your answers name things that can play a part in restless legs. The doctor will go through them with you.",
            es: "Algunas de sus respuestas nombran cosas que pueden influir en las piernas inquietas. El médico las repasará con usted.",
        });
    }
    if answers.medications.iter().flatten().next().is_some() {
        words.push(Words {
            en: "The doctor will look at your list of medicines. Please do not stop any without your prescriber.",
            es: "El médico revisará su lista de medicinas. Por favor, no deje ninguna sin hablar con quien se la recetó.",
        });
    }
    let mut sentences: Vec<String> = words.into_iter().map(|words| language.pick(words).to_owned()).collect();
    sentences.push(open_questions(computed, language));
    sentences
}

/// A question that was put and is open: not known, declined or not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsOpenAnswer)]
pub struct OpenAnswer {
    /// The field's id; in a list with the position of the entry.
    #[schema(examples("mimics.arthritis"))]
    pub field: String,
    /// `unknown`, `prefer_not_to_say` or `not_asked`.
    #[schema(examples("unknown"))]
    pub answer: String,
}

/// The questions that were put and are open, in the order of the form: what a doctor may still want to ask. A number that is
/// missing is named by its own id, not by that of its status.
pub fn open_answers(answers: &Answers) -> Vec<OpenAnswer> {
    let root = serde_json::to_value(answers).unwrap_or_default();
    let mut open = Vec::new();
    for field in all_fields() {
        let Some(value) = root.pointer(&format!("/{}", field.id.replace('.', "/"))) else { continue };
        note_open(field, &field.id, value, &mut open);
    }
    open
}

fn note_open(field: &Field, id: &str, value: &Value, open: &mut Vec<OpenAnswer>) {
    match (&field.kind, value) {
        (Kind::Choice(_), Value::String(answer)) if OPEN.contains(&answer.as_str()) => {
            let field = if field.companion { id.trim_end_matches("_status") } else { id };
            open.push(OpenAnswer { field: field.to_owned(), answer: answer.clone() });
        }
        (Kind::Group(_), Value::Array(entries)) => {
            let children = field.children();
            for (position, entry) in entries.iter().enumerate() {
                for child in &children {
                    if let Some(value) = entry.get(child.name()) {
                        note_open(child, &format!("{id}.{position}.{}", child.name()), value, open);
                    }
                }
            }
        }
        _ => {}
    }
}

/// The answers that leave a question open.
const OPEN: [&str; 3] = ["unknown", "prefer_not_to_say", "not_asked"];

/// The same for a guardian of a minor, of the answers that a guardian may see: a sentence must not hint at the others.
///
/// # Errors
/// [`Error::Internal`] where the answers cannot be written and read again.
pub fn guardian_summary(answers: &Answers, context: &Context, language: Language) -> Result<Vec<String>> {
    let all = serde_json::to_value(answers).map_err(|error| Error::internal("answers cannot be written", error))?;
    let visible = super::parse(&super::views::without_private(&all), "")
        .map_err(|_| Error::fault("answers without the private ones cannot be read"))?;
    Ok(patient_summary(&visible, &super::compute(&visible, context), language))
}

fn features(result: ScreeningResult) -> Words {
    match result {
        ScreeningResult::FeaturesPresentNeedsClinicianReview => Words {
            en: "Your answers describe the four main features that doctors look for in restless legs. A doctor still has to look at other possible causes with you.",
            es: "Sus respuestas describen los cuatro rasgos principales que los médicos buscan en las piernas inquietas. Un médico todavía tiene que ver con usted otras causas posibles.",
        },
        ScreeningResult::FeaturesNotAllReported => Words {
            en: "Your answers describe some of the features that doctors look for in restless legs, but not all of them. The doctor will talk with you about what else it could be.",
            es: "Sus respuestas describen solo una parte de los rasgos que los médicos buscan en las piernas inquietas. El médico hablará con usted de qué otra cosa podría ser.",
        },
        ScreeningResult::Incomplete => Words {
            en: "Some questions about your legs are still open. You can talk about them at your visit.",
            es: "Algunas preguntas sobre sus piernas siguen abiertas. Puede hablar de ellas en su visita.",
        },
    }
}

fn iron(band: IronReviewBand) -> Option<Words> {
    match band {
        IronReviewBand::Low | IronReviewBand::Between | IronReviewBand::AboveThresholds => Some(Words {
            en: "The doctor will look at your iron results with you. Please do not start iron by yourself.",
            es: "El médico verá con usted sus resultados de hierro. Por favor, no empiece a tomar hierro por su cuenta.",
        }),
        IronReviewBand::InsufficientData => Some(Words {
            en: "If you have blood results of ferritin and iron, please bring them to your visit.",
            es: "Si tiene resultados de sangre de ferritina y hierro, por favor tráigalos a su visita.",
        }),
        IronReviewBand::NotComputedMinor | IronReviewBand::NotComputedEsrd => None,
    }
}

fn open_questions(computed: &Computed, language: Language) -> String {
    let open = computed.issues.iter().filter(|issue| issue.severity == Severity::Error).count();
    match (language, open) {
        (Language::English, 0) => "Nothing is missing. Thank you.".to_owned(),
        (Language::English, 1) => "One answer is missing or does not fit yet.".to_owned(),
        (Language::English, open) => format!("{open} answers are missing or do not fit yet."),
        (Language::Spanish, 0) => "No falta nada. Gracias.".to_owned(),
        (Language::Spanish, 1) => "Falta una respuesta o todavía no encaja.".to_owned(),
        (Language::Spanish, open) => format!("Faltan {open} respuestas o todavía no encajan."),
    }
}
