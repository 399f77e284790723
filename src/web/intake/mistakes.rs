//! What is wrong with an answer, in the words of a page.

use rls::form::FormField;
use rls::form_dsl::Bilingual;
use rls::issues::Code;
use text::{FieldCode, Language};

use super::draft::say;
use crate::error::FieldError;

/// Says what is wrong with the answer to a question.
pub(in crate::web) fn text(error: &FieldError, field: &FormField, language: Language) -> String {
    let say = |en, es| Bilingual { en, es }.text(language).to_owned();
    match error.code {
        FieldCode::Required => say("Please answer this question.", "Conteste esta pregunta, por favor."),
        FieldCode::NotADate => say(
            "Please check the date: the year has four digits, the month is 1 to 12. You can leave out the day, or month and day.",
            "Revise la fecha: el año tiene cuatro cifras y el mes va del 1 al 12. Puede omitir el día, o el mes y el día.",
        ),
        // Only the check knows the range of a laboratory value, which depends on the test.
        FieldCode::OutOfRange => match (error.detail.strip_prefix("must be from "), language) {
            (Some(range), Language::English) => format!("Please enter a number from {range}."),
            (Some(range), Language::Spanish) => format!("Escriba un número de {}.", range.replacen(" to ", " a ", 1)),
            (None, _) => say("Please check this number.", "Revise este número, por favor."),
        },
        FieldCode::WrongType => match (field.minimum, field.maximum, language) {
            (Some(least), Some(most), Language::English) => format!("Please enter a number from {least} to {most}."),
            (Some(least), Some(most), Language::Spanish) => format!("Escriba un número de {least} a {most}."),
            _ => say("Please check this answer.", "Revise esta respuesta, por favor."),
        },
        FieldCode::NotAnOption => say(
            "This option does not fit here. Please choose another one.",
            "Esta opción no corresponde aquí. Elija otra, por favor.",
        ),
        FieldCode::TooLong => match language {
            Language::English => format!("Please write at most {} characters.", field.max_length.unwrap_or_default()),
            Language::Spanish => format!("Escriba como máximo {} caracteres.", field.max_length.unwrap_or_default()),
        },
        code => match Code::ALL.iter().find(|known| known.as_str() == code.as_str()) {
            Some(code) => issue(*code, language),
            None => say("Please check this answer.", "Revise esta respuesta, por favor."),
        },
    }
}

/// Says what is open or inconsistent.
pub(super) fn issue(code: Code, language: Language) -> String {
    let say = |en, es| Bilingual { en, es }.text(language).to_owned();
    match code {
        Code::Required | Code::NotAsked => say("Please answer this question.", "Conteste esta pregunta, por favor."),
        Code::ConditionNotMet => say(
            "This answer does not fit another answer any more. Remove it, or change the other answer.",
            "Esta respuesta ya no corresponde con otra respuesta. Quítela o cambie la otra respuesta.",
        ),
        Code::StatusContradicts => say(
            "You gave a number, and also marked that you give none. Please keep one of the two.",
            "Escribió un número y también marcó que no lo da. Deje solo una de las dos cosas.",
        ),
        Code::NoneStandsAlone => say(
            "You marked that there is none, and also something else. Please keep one of the two.",
            "Marcó que no hay ninguno y también otra opción. Deje solo una de las dos cosas.",
        ),
        Code::BeforeBirth => say("This is before the birth date.", "Es anterior a la fecha de nacimiento."),
        Code::InFuture => say("This date is in the future.", "Esta fecha está en el futuro."),
        Code::BeforeStart => say("The end is before the start.", "El final es anterior al comienzo."),
        other => {
            let text = other.text(language);
            let mut letters = text.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
            format!("{}: {first}{}.", say("Please check", "Revise, por favor"), letters.as_str())
        }
    }
}

/// The question that a mistake is about, for the list of mistakes.
pub(in crate::web) fn label(field: &FormField, language: Language) -> String {
    say(&field.label, language).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_issue_has_a_sentence_in_both_languages() {
        for code in Code::ALL {
            for language in [Language::English, Language::Spanish] {
                let text = issue(*code, language);
                assert!(text.ends_with('.') && text.chars().next().is_some_and(char::is_uppercase), "{text}");
            }
            assert_ne!(issue(*code, Language::English), issue(*code, Language::Spanish));
        }
    }
}
