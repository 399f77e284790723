//! Words of these pages that depend on codes: broken rules, conflicts, lengths of time.

use rls::form_dsl::Bilingual;
use text::{FieldCode, Language};

use super::super::language::both;
use crate::error::ProblemCode;

/// Says what is wrong with a field that takes at most so many characters, if it has such a limit, and perhaps a number.
pub(super) fn mistake(code: FieldCode, (most, is_number): (usize, bool), language: Language) -> String {
    let words = match code {
        FieldCode::Required | FieldCode::TooShort => both("Please fill this in.", "Rellene este campo, por favor."),
        FieldCode::TooFew => both("Please choose at least one.", "Elija al menos una opción, por favor."),
        FieldCode::TooLong if most > 0 => {
            return match language {
                Language::English => format!("Please write at most {most} characters."),
                Language::Spanish => format!("Escriba como máximo {most} caracteres, por favor."),
            };
        }
        FieldCode::OutOfRange | FieldCode::WrongType if is_number => {
            both("Please check this number.", "Revise este número, por favor.")
        }
        FieldCode::OutOfRange => {
            both("Please check this value: it is too far away.", "Revise este valor: está fuera de lo posible.")
        }
        FieldCode::NotAnEmail => {
            both("Please check this e‑mail address.", "Revise este correo electrónico, por favor.")
        }
        FieldCode::InvalidPhone => both(
            "Please check this number. A number of another country begins with + and the code of the country.",
            "Revise este número. Un número de otro país empieza con + y el código del país.",
        ),
        FieldCode::InvalidCountry => both(
            "Please write the two letters of the country, such as US.",
            "Escriba las dos letras del país, por ejemplo US.",
        ),
        FieldCode::UnknownTimeZone => both(
            "Please write a time zone such as America/New_York.",
            "Escriba una zona horaria, por ejemplo America/New_York.",
        ),
        FieldCode::InvalidLanguage => {
            both("Please write the code of a language, such as pt.", "Escriba el código de un idioma, por ejemplo pt.")
        }
        FieldCode::NotADate => both("Please check this day.", "Revise este día, por favor."),
        FieldCode::InvalidTime | FieldCode::NotATime => both("Please check this time.", "Revise esta hora, por favor."),
        FieldCode::OutOfOrder => both("The end must be after the start.", "El final debe ser posterior al comienzo."),
        FieldCode::InThePast | FieldCode::InPast => both("This is in the past.", "Esto está en el pasado."),
        FieldCode::Overlap => both("This overlaps with other hours.", "Esto coincide con otro horario."),
        FieldCode::Unchanged => {
            both("This is the text that is in force already.", "Este es el texto que ya está vigente.")
        }
        FieldCode::Contradiction => {
            both("Hours can be given for a single day only.", "Las horas solo se pueden indicar para un único día.")
        }
        FieldCode::Duplicate => both("This is there twice.", "Esto está dos veces."),
        FieldCode::DoesNotFit => both(
            "This does not fit: the length of each visit, with the time before and after it, must be a multiple of the slots of its places.",
            "Esto no encaja: la duración de cada cita, con el tiempo de antes y después, debe ser un múltiplo de los turnos de sus lugares.",
        ),
        FieldCode::RoleMismatch => both(
            "A practitioner's account needs its practitioner; other accounts have none.",
            "La cuenta de un profesional necesita su profesional; las demás no tienen ninguno.",
        ),
        FieldCode::UnknownReference | FieldCode::Inactive => both(
            "This is not available any more. Please choose again.",
            "Esto ya no está disponible. Elija de nuevo, por favor.",
        ),
        FieldCode::InvalidUrl => both(
            "Please check this address: https, without user name, and public or in a network that the operator has opened.",
            "Revise esta dirección: https, sin nombre de usuario, y pública o en una red que abrió el operador.",
        ),
        FieldCode::ForbiddenCharacter => {
            both("Please remove characters that cannot be seen.", "Quite los caracteres que no se ven, por favor.")
        }
        _ => both("Please check this.", "Revise esto, por favor."),
    };
    words.text(language).to_owned()
}

/// Says why a change was refused.
pub(super) fn conflict(code: ProblemCode) -> Bilingual {
    match code {
        ProblemCode::EmailTaken => both("This address has an account already.", "Esta dirección ya tiene una cuenta."),
        ProblemCode::LastAdmin => both(
            "This is the last administrator who can sign in. Make another account an administrator first.",
            "Es el último administrador que puede iniciar sesión. Nombre antes a otro administrador.",
        ),
        ProblemCode::MailboxFull => both(
            "This mailbox got too many of these mails within an hour. Please wait.",
            "Este buzón recibió demasiados de estos correos en una hora. Espere, por favor.",
        ),
        ProblemCode::TooManyClosures => both(
            "This place has as many closed days as it may have. Delete some first.",
            "Este lugar ya tiene todos los días cerrados posibles. Elimine antes algunos.",
        ),
        ProblemCode::TooManySecrets => both(
            "It has as many secrets as it may have. End one first.",
            "Ya tiene todos los secretos posibles. Termine antes uno.",
        ),
        ProblemCode::TooManyWebhooks => both(
            "There are as many webhooks as there may be. Delete one first.",
            "Ya hay todos los webhooks posibles. Elimine antes uno.",
        ),
        ProblemCode::RedeliveryInProgress => both(
            "Events are being sent again already. Wait until that has ended.",
            "Ya se están enviando eventos de nuevo. Espere a que termine.",
        ),
        ProblemCode::OwnAccount => both(
            "This is your own account. Change it on the page of your account.",
            "Es su propia cuenta. Cámbiela en la página de su cuenta.",
        ),
        _ => both(
            "It has changed since you opened the page. Open it again to see how it is.",
            "Cambió desde que abrió la página. Ábrala de nuevo para ver cómo está.",
        ),
    }
}

/// A number of minutes in words, in the largest unit that fits.
pub(super) fn minutes(number: i32, language: Language) -> String {
    let (number, one, many) = match number {
        0 => return both("none", "ninguno").text(language).to_owned(),
        days if days % 1440 == 0 => (days / 1440, both("day", "día"), both("days", "días")),
        hours if hours % 60 == 0 => (hours / 60, both("hour", "hora"), both("hours", "horas")),
        minutes => (minutes, both("minute", "minuto"), both("minutes", "minutos")),
    };
    format!("{number} {}", if number == 1 { one } else { many }.text(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_said_in_the_largest_unit() {
        for (number, english, spanish) in [
            (0, "none", "ninguno"),
            (45, "45 minutes", "45 minutos"),
            (60, "1 hour", "1 hora"),
            (120, "2 hours", "2 horas"),
            (2880, "2 days", "2 días"),
        ] {
            assert_eq!(
                (minutes(number, Language::English).as_str(), minutes(number, Language::Spanish).as_str()),
                (english, spanish)
            );
        }
    }

    #[test]
    fn every_broken_rule_has_a_sentence_in_both_languages() {
        for code in FieldCode::ALL {
            let [english, spanish] =
                [Language::English, Language::Spanish].map(|language| mistake(*code, (0, false), language));
            assert!(english.ends_with('.') && spanish.ends_with('.') && english != spanish, "{code}");
        }
        for code in ProblemCode::ALL {
            let words = conflict(*code);
            assert!(words.en.ends_with('.') && words.es.ends_with('.') && words.en != words.es, "{}", code.as_str());
        }
    }
}
