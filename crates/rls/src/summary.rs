//! The patient's summary of their own answers, and the open questions for the doctor. The patient's summary has no
//! bands, no names of rules and nothing that sounds like a finding.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Language;
use super::answers::{Answers, all_fields};
use super::computed::Computed;
use super::context::Context;
use super::criteria::ScreeningResult;
use super::error::Invalid;
use super::form_dsl::{Bilingual, Field, Kind};
use super::forms::FormName;
use super::iron::IronReviewBand;
use super::issues::Severity;

/// Returns sentences about the answers, in the patient's language. Show [`super::NOT_A_DIAGNOSIS`] beside them.
pub fn patient_summary(form: FormName, answers: &Answers, computed: &Computed, language: Language) -> Vec<String> {
    if form == FormName::FollowUp {
        return vec![FOLLOW_UP.text(language).to_owned(), open_questions(computed, language)];
    }
    let mut words = vec![features(computed.screening_result)];
    if answers.symptoms.impact_level.is_some() || answers.symptoms.days_per_week_untreated.is_some() {
        words.push(Bilingual {
            en: "We will talk about how often your legs bother you and how it disturbs your life.",
            es: "Hablaremos de con qué frecuencia le molestan las piernas y cómo afecta a su vida.",
        });
    }
    words.extend(iron(computed.iron_review_band));
    if !computed.contributing_factors.is_empty() {
        words.push(Bilingual {
            en: "Some of your answers name things that can play a part in restless legs. The doctor will go through them with you.",
            es: "Algunas de sus respuestas nombran cosas que pueden influir en las piernas inquietas. El médico las repasará con usted.",
        });
    }
    if answers.medications.iter().flatten().next().is_some() {
        words.push(Bilingual {
            en: "The doctor will look at your list of medicines. Please do not stop any without your prescriber.",
            es: "El médico revisará su lista de medicinas. Por favor, no deje ninguna sin hablar con quien se la recetó.",
        });
    }
    let mut sentences: Vec<String> = words.into_iter().map(|words| words.text(language).to_owned()).collect();
    sentences.push(open_questions(computed, language));
    sentences
}

/// What happens with the answers of a follow-up.
const FOLLOW_UP: Bilingual = Bilingual {
    en: "The clinic reads your answers and will talk about them at your next visit, or call you before. Please do not change or stop any medicine by yourself.",
    es: "La clínica lee sus respuestas y hablará de ellas en su próxima visita, o le llamará antes. Por favor, no cambie ni deje ninguna medicina por su cuenta.",
};

/// A question without a usable answer: unknown, declined or not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsOpenAnswer)]
pub struct OpenAnswer {
    /// The id of the field, in a list with the position of the entry.
    #[schema(examples("mimics.arthritis"))]
    pub field: String,
    /// `unknown`, `prefer_not_to_say` or `not_asked`.
    #[schema(examples("unknown"))]
    pub answer: String,
}

/// Returns the questions without a usable answer, in the order of the form. A missing number has its own id, not the id
/// of its status.
pub fn open_answers(answers: &Answers) -> Vec<OpenAnswer> {
    let root = serde_json::to_value(answers).unwrap_or_default();
    let mut open = Vec::new();
    for field in all_fields() {
        let Some(value) = root.pointer(&format!("/{}", field.id.replace('.', "/"))) else { continue };
        collect_open(field, &field.id, value, &mut open);
    }
    open
}

fn collect_open(field: &Field, id: &str, value: &Value, open: &mut Vec<OpenAnswer>) {
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
                        collect_open(child, &format!("{id}.{position}.{}", child.name()), value, open);
                    }
                }
            }
        }
        _ => {}
    }
}

/// The answers that leave a question open.
const OPEN: [&str; 3] = ["unknown", "prefer_not_to_say", "not_asked"];

/// Returns the [`patient_summary`] for a guardian of a minor. It uses only the answers that the guardian may see,
/// because a sentence must not hint at the others.
///
/// # Errors
/// [`Invalid`] if the answers that are left cannot be read again.
pub fn guardian_summary(answers: &Answers, context: &Context, language: Language) -> Result<Vec<String>, Invalid> {
    let all = serde_json::to_value(answers).unwrap_or_default();
    let visible = super::parse(&super::field_access::without_private(&all), "")?;
    Ok(patient_summary(context.form, &visible, &super::compute(&visible, context), language))
}

fn features(result: ScreeningResult) -> Bilingual {
    match result {
        ScreeningResult::FeaturesPresentNeedsClinicianReview => Bilingual {
            en: "Your answers describe the four main features that doctors look for in restless legs: an urge to move the legs, at rest, eased by moving, worse in the evening or at night. A doctor still has to look at other possible causes with you.",
            es: "Sus respuestas describen las cuatro características principales que los médicos buscan en las piernas inquietas: necesidad de mover las piernas, en reposo, que se alivia al moverse y es peor al anochecer o por la noche. Un médico todavía tiene que ver con usted otras causas posibles.",
        },
        ScreeningResult::CriteriaConfirmedByClinician | ScreeningResult::FeaturesPresentExplainedOtherwise => {
            Bilingual {
                en: "Your answers describe the four main features that doctors look for in restless legs: an urge to move the legs, at rest, eased by moving, worse in the evening or at night. A doctor has looked at other possible causes and will talk with you about the result.",
                es: "Sus respuestas describen las cuatro características principales que los médicos buscan en las piernas inquietas: necesidad de mover las piernas, en reposo, que se alivia al moverse y es peor al anochecer o por la noche. Un médico ya ha visto otras causas posibles y hablará con usted del resultado.",
            }
        }
        ScreeningResult::FeaturesNotAllReported => Bilingual {
            en: "Your answers describe some of the features that doctors look for in restless legs, but not all of them. The doctor will talk with you about what else it could be.",
            es: "Sus respuestas describen solo una parte de las características que los médicos buscan en las piernas inquietas. El médico hablará con usted de qué otra cosa podría ser.",
        },
        ScreeningResult::Incomplete => Bilingual {
            en: "Some questions about your legs are still open. You can talk about them at your visit.",
            es: "Algunas preguntas sobre sus piernas siguen abiertas. Puede hablar de ellas en su visita.",
        },
    }
}

fn iron(band: IronReviewBand) -> Option<Bilingual> {
    match band {
        IronReviewBand::Low
        | IronReviewBand::LowMinor
        | IronReviewBand::LowKidney
        | IronReviewBand::Between
        | IronReviewBand::AboveThresholds => Some(Bilingual {
            en: "The doctor will look at your iron results with you. Please do not start iron by yourself.",
            es: "El médico verá con usted sus resultados de hierro. Por favor, no empiece a tomar hierro por su cuenta.",
        }),
        IronReviewBand::InsufficientData => Some(Bilingual {
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
