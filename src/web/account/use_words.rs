//! What was done with a record, in words for patients. The API names the operation; a patient wants to know what was read or changed.

use text::Language;

use super::super::language::both;
use crate::audit::break_glass;

/// What an operation is about: a part of its id, and the words for it with their article. The first that fits counts.
const SUBJECTS: [(&str, &str, &str); 21] = [
    ("lab_result", "the laboratory results", "los resultados de laboratorio"),
    ("follow_up", "the follow-ups", "los seguimientos"),
    ("intake", "the answers to the forms", "las respuestas a los formularios"),
    ("rls_timeline", "the answers to the forms", "las respuestas a los formularios"),
    ("consent", "the consents", "los consentimientos"),
    ("waitlist", "the waitlist", "la lista de espera"),
    ("access", "who may act for the patient", "quién puede actuar por el paciente"),
    ("invitation", "who may act for the patient", "quién puede actuar por el paciente"),
    ("message", "the mails and calls", "los correos y las llamadas"),
    ("export", "everything that is stored", "todo lo que está guardado"),
    ("audit_event", "this list", "esta lista"),
    ("appointment", "the visits", "las citas"),
    ("agenda", "the visits", "las citas"),
    ("day_sheet", "the visits", "las citas"),
    ("calendar", "the visits", "las citas"),
    ("zone_change", "the visits", "las citas"),
    ("reminder", "the reminders", "los recordatorios"),
    ("session", "the account", "la cuenta"),
    ("password", "the account", "la cuenta"),
    ("email", "the account", "la cuenta"),
    ("user", "the account", "la cuenta"),
];

/// What was done, in a sentence without its subject.
pub(super) fn words(operation: &str, language: Language) -> String {
    let say = |en, es| both(en, es).text(language);
    if operation == break_glass::OPERATION {
        return say("Opened the record for a reason, without a visit", "Abrió el expediente por un motivo, sin cita")
            .to_owned();
    }
    let is_read = ["get_", "list_", "view_"].iter().any(|verb| operation.starts_with(verb));
    let verb = if is_read { say("Read", "Leyó") } else { say("Changed", "Cambió") };
    let subject = SUBJECTS.iter().find(|(part, ..)| operation.contains(part));
    let subject = subject.map_or_else(|| say("the record", "el expediente"), |(_, en, es)| say(en, es));
    format!("{verb} {subject}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_said_in_the_language_of_the_page() {
        let both = |operation: &str| [Language::English, Language::Spanish].map(|language| words(operation, language));
        assert_eq!(both("get_day_sheet"), ["Read the visits", "Leyó las citas"]);
        assert_eq!(
            both("submit_intake"),
            ["Changed the answers to the forms", "Cambió las respuestas a los formularios"]
        );
        assert_eq!(both("list_patients"), ["Read the record", "Leyó el expediente"]);
        assert_eq!(
            both("list_intake_flags"),
            ["Read the answers to the forms", "Leyó las respuestas a los formularios"]
        );
        assert!(words(break_glass::OPERATION, Language::English).starts_with("Opened"));
    }
}
