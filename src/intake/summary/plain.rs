//! The summary of an intake for its patient: the main points in plain language, without the whole questionnaire.

use rls::answers::{Lab, LifestyleMeasure, Medication, MedicationStatus, all_sections};
use rls::form_dsl::{Bilingual, ChoiceOption, PartialDate};
use serde::Serialize;
use text::Language;
use utoipa::ToSchema;

use super::answer_text::{AnswerText, AnswerTextSection, Wording, at, find, is_unknown};
use super::material::Material;
use super::treatments::dose;
use super::words::partial_date_in_words;
use crate::clock::Timestamp;
use crate::ids::IntakeId;
use crate::intake::model::IntakeStatus;
use crate::messages::times::spanish_month;

/// The summary of an intake for its patient.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakePlainSummary)]
pub struct PlainSummary {
    /// The intake.
    pub intake_id: IntakeId,
    /// The status.
    pub status: IntakeStatus,
    /// The language of the texts.
    #[schema(examples("en"))]
    pub language: String,
    /// When the answers were last changed.
    pub authored_at: Timestamp,
    /// The result of the answers in plain language.
    pub sentences: Vec<String>,
    /// The main points by section, each with a short label. The intake has all answers.
    pub sections: Vec<AnswerTextSection>,
    /// States that it is a summary and not a diagnosis.
    pub disclaimer: String,
}

const fn words(en: &'static str, es: &'static str) -> Bilingual {
    Bilingual { en, es }
}

/// The fields that the summary shows with their short labels.
const MAIN_POINTS: [(&str, Bilingual); 13] = [
    ("symptoms.symptom_onset_date", words("Began", "Empezó")),
    ("symptoms.days_per_week_untreated", words("Days a week without treatment", "Días a la semana sin tratamiento")),
    ("symptoms.days_per_week_treated", words("Days a week with treatment", "Días a la semana con tratamiento")),
    ("symptoms.usual_onset_time", words("Usually begins at", "Suele empezar a las")),
    ("symptoms.severity_0_10", words("How bothersome, 0 to 10", "Cuánto molesta, de 0 a 10")),
    ("symptoms.impact_level", words("Disturbs your life", "Afecta a su vida")),
    ("symptoms.impact_domains", words("What it disturbs", "Qué afecta")),
    ("follow_up.change", words("Since your last visit", "Desde su última visita")),
    ("follow_up.side_effects", words("Side effects", "Efectos secundarios")),
    ("venous.varicose_veins", words("Varicose veins", "Várices (varices)")),
    ("venous.compression_use", words("Compression stockings", "Medias de compresión")),
    ("risk.family_history_rls", words("Restless legs in the family", "Piernas inquietas en la familia")),
    ("sleep.sleep_duration_hours", words("Sleep in a night", "Sueño por noche")),
];

/// Builds the summary for the patient. `material` has only the answers that its reader may see.
pub(super) fn plain(material: &Material<'_>, language: Language) -> PlainSummary {
    PlainSummary {
        intake_id: material.intake.id,
        status: material.intake.status,
        language: language.code().to_owned(),
        authored_at: material.intake.authored_at,
        sentences: rls::patient_summary(material.form, material.answers, material.computed, language),
        sections: main_points(material, language),
        disclaimer: rls::NOT_A_DIAGNOSIS.text(language).to_owned(),
    }
}

/// Returns the main points in the order of the form. What is not known is left out.
fn main_points(material: &Material<'_>, language: Language) -> Vec<AnswerTextSection> {
    let section = |section: rls::answers::Section| {
        let of_section = MAIN_POINTS.iter().filter(|(id, _)| id.split('.').next() == Some(section.id));
        let answered = of_section.filter_map(|(id, label)| {
            let said = at(material.raw, id, Wording::Question(language))?;
            let is_known = !is_unknown(find(material.raw, id)?);
            is_known.then(|| AnswerText { question: label.text(language).to_owned(), ..said })
        });
        let items: Vec<AnswerText> = answered.chain(list(section.id, material.answers, language)).collect();
        AnswerTextSection { section: section.id.to_owned(), title: section.title.text(language).to_owned(), items }
    };
    all_sections().into_iter().map(section).filter(|section| !section.items.is_empty()).collect()
}

/// Returns the lists of a section, each as one point.
fn list(section: &str, answers: &rls::Answers, language: Language) -> Vec<AnswerText> {
    let point = |field: &str, label: Bilingual, entries: Vec<String>| {
        (!entries.is_empty()).then(|| AnswerText {
            field: field.to_owned(),
            question: label.text(language).to_owned(),
            answer: entries.join("; "),
        })
    };
    let points = match section {
        "labs" => vec![point(
            "labs",
            words("Results", "Resultados"),
            answers.labs().filter_map(|(_, lab)| lab_text(lab, language)).collect(),
        )],
        "medications" => vec![
            point(
                "medications",
                words("Medicines", "Medicinas"),
                answers.medications().filter_map(|(_, one)| medicine_text(one, language)).collect(),
            ),
            point(
                "allergies",
                words("Allergies", "Alergias"),
                answers
                    .allergies
                    .iter()
                    .flatten()
                    .filter_map(|one| Some(one.substance.as_ref()?.as_str().to_owned()))
                    .collect(),
            ),
        ],
        "lifestyle" => vec![point(
            "lifestyle",
            words("Habits", "Hábitos"),
            answers.lifestyle.iter().flatten().filter_map(|one| habit_text(one, language)).collect(),
        )],
        _ => vec![],
    };
    points.into_iter().flatten().collect()
}

fn label(options: &[ChoiceOption], value: &str, language: Language) -> String {
    let option = options.iter().find(|option| option.value == value);
    option.map_or_else(String::new, |option| words(option.en, option.es).text(language).to_owned())
}

fn lab_text(lab: &Lab, language: Language) -> Option<String> {
    let test = label(rls::answers::LabTest::OPTIONS, lab.test?.as_str(), language);
    let unit = lab.unit.map(|unit| label(rls::answers::LabUnit::OPTIONS, unit.as_str(), language)).unwrap_or_default();
    let bound = lab.comparator.map(|bound| format!("{} ", bound.as_str())).unwrap_or_default();
    let day = lab.collected_on.map(|day| format!(" ({})", date_text(day, language))).unwrap_or_default();
    Some(format!("{test} {bound}{} {unit}{day}", lab.value.as_ref()?.get()))
}

/// Writes a date as far as it is known.
fn date_text(date: PartialDate, language: Language) -> String {
    match (language, date) {
        (Language::English, _) | (_, PartialDate::Year(_)) => partial_date_in_words(date),
        (Language::Spanish, PartialDate::Month(..)) => {
            let day = date.first();
            format!("{} de {}", spanish_month(day), day.year())
        }
        (Language::Spanish, PartialDate::Day(day)) => {
            format!("{} de {} de {}", day.day(), spanish_month(day), day.year())
        }
    }
}

fn medicine_text(medicine: &Medication, language: Language) -> Option<String> {
    let stopped = match medicine.status {
        Some(MedicationStatus::Stopped) => words(" (not taken any more)", " (ya no la toma)"),
        _ => words("", ""),
    };
    let named = format!("{} {}", medicine.name.as_ref()?.as_str(), dose(medicine));
    Some(named.trim_end().to_owned() + stopped.text(language))
}

fn habit_text(habit: &LifestyleMeasure, language: Language) -> Option<String> {
    let measure = label(rls::answers::Measure::OPTIONS, habit.measure?.as_str(), language);
    let effect = match habit.helped.map(rls::answers::YesNo::as_str) {
        Some("yes") => words(" (helped)", " (ayudó)"),
        Some("no") => words(" (did not help)", " (no ayudó)"),
        _ => words("", ""),
    };
    Some(measure + effect.text(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_words_of_the_patients_language() {
        for (date, english, spanish) in [
            ("2026-03-11", "Mar 11, 2026", "11 de marzo de 2026"),
            ("2026-03", "Mar 2026", "marzo de 2026"),
            ("2026", "2026", "2026"),
        ] {
            let date = date.parse().expect("a date");
            assert_eq!(date_text(date, Language::English), english);
            assert_eq!(date_text(date, Language::Spanish), spanish);
        }
    }
}
