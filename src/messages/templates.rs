//! The words of the mails. The templates are embedded; a folder may replace any of them by its file name.
//!
//! A message of kind `k` has `k.subject.txt`, `k.txt` and `k.html`. Values in `.html` are escaped. A variable that does
//! not exist is an error, so that a misspelt one is noticed rather than left blank.

use jiff::tz::TimeZone;
use minijinja::{Environment, TemplateSource, UndefinedBehavior, Value, context};

use super::model::{AppointmentMail, Mail};
use super::retry::Failure;
use crate::clock::Timestamp;
use crate::config::Config;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("templates/", $name)))),*]
    };
}

const EMBEDDED: &[(&str, &str)] = embedded![
    "layout.html",
    "appointment_facts.html",
    "appointment_facts.txt",
    "verify_email.subject.txt",
    "verify_email.txt",
    "verify_email.html",
    "already_registered.subject.txt",
    "already_registered.txt",
    "already_registered.html",
    "reset_password.subject.txt",
    "reset_password.txt",
    "reset_password.html",
    "invitation.subject.txt",
    "invitation.txt",
    "invitation.html",
    "appointment_booked.subject.txt",
    "appointment_booked.txt",
    "appointment_booked.html",
    "appointment_moved.subject.txt",
    "appointment_moved.txt",
    "appointment_moved.html",
    "appointment_cancelled.subject.txt",
    "appointment_cancelled.txt",
    "appointment_cancelled.html",
    "staff_alert.subject.txt",
    "staff_alert.txt",
    "staff_alert.html",
];

/// A mail in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub subject: String,
    /// For who reads plain text.
    pub text: String,
    /// For everybody else.
    pub html: String,
}

/// Puts a mail into words. It reads the folder of templates anew each time, so that a corrected one counts at once.
///
/// # Errors
/// [`Failure::Template`] where a template is broken; what is wrong with it stands in the log, without any values.
pub fn render(config: &Config, mail: &Mail) -> Result<Words, Failure> {
    let engine = engine(config);
    let values = context! {
        clinic => config.settings.clinic_name.as_str(),
        link => mail.link().map(|(page, token)| config.link(page, token)),
        appointment => mail.appointment().map(appointment),
        forms_link => forms_link(config),
        reference => mail.reference(),
    };
    let kind = mail.kind().as_str();
    let part = |extension: &str| {
        let name = format!("{kind}.{extension}");
        engine.get_template(&name).and_then(|template| template.render(&values)).map_err(|error| {
            // Not the error's own text: a debug build's quotes the variables, tokens among them.
            tracing::warn!(template = name, line = error.line(), problem = %error.kind(), "a mail template is broken");
            Failure::Template
        })
    };
    Ok(Words { subject: one_line(&part("subject.txt")?), text: part("txt")? + "\n", html: part("html")? + "\n" })
}

/// Where the clinic's own client has the forms; without a client there is no such place.
fn forms_link(config: &Config) -> Option<String> {
    let client = config.settings.patient_app_url.as_ref()?;
    Some(format!("{}/forms", client.as_str().trim_end_matches('/')))
}

fn engine(config: &Config) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let folder = config.settings.template_dir.as_ref().map(minijinja::path_loader);
    engine.set_loader(move |name| {
        if let Some(own) = folder.as_ref().and_then(|load| load(name).transpose()) {
            return own.map(Some);
        }
        Ok(EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| TemplateSource::from(*text)))
    });
    engine
}

fn appointment(mail: &AppointmentMail) -> Value {
    context! {
        when => moment(mail.starts_at, &mail.time_zone),
        when_short => local(mail.starts_at, &mail.time_zone).strftime("%A, %B %-d, %-I:%M %p").to_string(),
        ends => local(mail.ends_at, &mail.time_zone).strftime("%-I:%M %p").to_string(),
        visit => one_line(&mail.visit),
        practitioner => one_line(&mail.practitioner),
        location => one_line(&mail.location),
        address => one_line(&mail.address),
        phone => one_line(&mail.phone),
        phone_link => mail.phone.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>(),
        confirmation_code => mail.confirmation_code.as_str(),
        recipient_name => one_line(&mail.recipient_name),
        forms_due => mail.forms_due,
    }
}

/// An instant as the people at the place say it: "Monday, March 9, 2026, 9:30 AM (America/New_York, EDT)".
pub fn moment(at: Timestamp, zone: &str) -> String {
    let local = local(at, zone);
    let name = local.time_zone().iana_name().unwrap_or("UTC");
    // Where a zone has no abbreviation of its own, the tz database gives the offset, such as -03.
    let short = local.strftime("%Z").to_string();
    let prefix = if short.starts_with(['+', '-']) { "UTC" } else { "" };
    let zone = if name == short { short } else { format!("{name}, {prefix}{short}") };
    format!("{} ({zone})", local.strftime("%A, %B %-d, %Y, %-I:%M %p"))
}

/// In a zone that is not known the time is told in UTC, and says so.
fn local(at: Timestamp, zone: &str) -> jiff::Zoned {
    at.in_zone(&TimeZone::get(zone).unwrap_or(TimeZone::UTC))
}

/// Without line breaks and other control characters, which would end a header.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::fixtures::{appointment, config, mails};
    use crate::messages::model::MessageKind;

    fn said(mail: &Mail) -> Words {
        render(&config(), mail).expect("words")
    }

    #[test]
    fn every_kind_has_a_subject_a_text_and_an_accessible_page() {
        let kinds: Vec<_> = mails().iter().map(Mail::kind).collect();
        assert_eq!(kinds, MessageKind::ALL);
        for mail in mails() {
            let words = said(&mail);
            assert!(!words.subject.is_empty() && !words.subject.contains('\n') && words.subject.len() < 78);
            assert!(words.text.contains("Clinic on Elm"), "{}", words.text);
            assert!(words.text.lines().all(|line| line.len() < 100), "{}", words.text);
            assert!(words.html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{}", words.html);
            for part in ["<title>", "<h1", "Clinic on Elm"] {
                assert!(words.html.contains(part), "{part} in {}", words.html);
            }
            for left_over in ["{{", "{%", "undefined", "none"] {
                assert!(!words.text.contains(left_over) && !words.html.contains(left_over), "{left_over}");
            }
        }
    }

    #[test]
    fn an_appointment_mail_says_when_where_with_whom_and_what_to_call() {
        for mail in mails().iter().filter(|mail| mail.appointment().is_some()) {
            let words = said(mail);
            for fact in [
                "Monday, March 9, 2026, 9:30 AM (America/New_York, EDT)",
                "Dear Ann Ames",
                "Consultation",
                "Dr. Maya Osei",
                "Riverside",
                "12 Elm St, Springfield",
                "+1 212 555 0100",
                "K7QM-2XFH",
            ] {
                assert!(words.text.contains(fact), "{fact} in {}", words.text);
                // The slash of the zone's name is escaped in HTML.
                assert!(words.html.replace("&#x2f;", "/").contains(fact), "{fact} in {}", words.html);
            }
            assert!(words.html.contains("href=\"tel:+12125550100\""));
            assert!(words.subject.ends_with(": Monday, March 9, 9:30 AM"), "{}", words.subject);
        }
    }

    #[test]
    fn the_link_leads_to_the_page_with_the_token_in_the_fragment() {
        for mail in mails() {
            let Some((page, token)) = mail.link() else { continue };
            let words = said(&mail);
            let link = format!("https://clinic.example/{page}#token={token}");
            assert!(words.text.contains(&link), "{}", words.text);
            assert!(words.html.replace("&#x2f;", "/").contains(&format!("href=\"{link}\"")), "{}", words.html);
        }
    }

    #[test]
    fn the_forms_before_a_visit_are_named_while_they_are_due_and_linked_where_there_is_a_client() {
        let mut mail = appointment();
        let words = said(&Mail::AppointmentBooked(mail.clone()));
        assert!(words.text.contains("forms before your visit") && words.html.contains("forms before your visit"));
        let mut config = config();
        config.settings.patient_app_url = "https://my.clinic.example/".parse().ok();
        let words = render(&config, &Mail::AppointmentBooked(mail.clone())).expect("words");
        assert!(words.text.contains("https://my.clinic.example/forms"), "{}", words.text);
        assert!(
            words.html.replace("&#x2f;", "/").contains("href=\"https://my.clinic.example/forms\""),
            "{}",
            words.html
        );
        mail.forms_due = false;
        let words = said(&Mail::AppointmentBooked(mail));
        assert!(!words.text.contains("forms") && !words.html.contains("forms"));
    }

    #[test]
    fn an_alert_tells_the_staff_where_to_look_and_nothing_else() {
        let words = said(&Mail::StaffAlert { reference: "r-17".into() });
        assert!(words.text.contains("worklist") && words.text.contains("r-17"), "{}", words.text);
    }

    #[test]
    fn no_mail_says_anything_about_health() {
        for mail in mails() {
            let Words { subject, text, html } = said(&mail);
            let all = format!("{subject}\n{text}\n{html}").to_lowercase();
            for word in [
                "restless", "rls", "legs", "symptom", "syndrome", "vein", "diagnos", "iron", "ferritin", "medic",
                "drug", "intake", "reason", "treat", "doctor", "disease", "sleep", "history", "question",
            ] {
                assert!(!all.contains(word), "{word} in {all}");
            }
        }
    }

    #[test]
    fn names_with_signs_of_html_and_line_breaks_do_no_harm() {
        let mut mail = appointment();
        mail.recipient_name = "<script>alert(1)</script> & \"Sons\"\r\nBcc: x@example.org".into();
        mail.practitioner = "{{ link }}".into();
        let words = said(&Mail::AppointmentBooked(mail));
        assert!(!words.html.contains("<script>") && words.html.contains("&lt;script&gt;"), "{}", words.html);
        assert!(
            words.text.contains("Dear <script>alert(1)</script> & \"Sons\"  Bcc: x@example.org,"),
            "{}",
            words.text
        );
        assert!(words.text.contains("With:  {{ link }}"), "{}", words.text);
    }

    #[test]
    fn an_own_template_replaces_the_one_of_its_name_and_a_broken_one_is_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = config();
        config.settings.template_dir = Some(folder.path().to_owned());
        let mail = Mail::VerifyEmail { token: "t".into() };
        std::fs::write(folder.path().join("verify_email.subject.txt"), "Welcome\nto {{ clinic }}").expect("written");
        let words = render(&config, &mail).expect("words");
        assert_eq!(words.subject, "Welcome to Clinic on Elm");
        assert_eq!(words.text, said(&mail).text);
        for broken in ["{{ clinc }}", "{% if %}", "{{ link"] {
            std::fs::write(folder.path().join("verify_email.txt"), broken).expect("written");
            assert_eq!(render(&config, &mail), Err(Failure::Template), "{broken}");
        }
    }

    #[test]
    fn a_moment_is_told_in_the_words_of_its_place() {
        for (at, zone, expected) in [
            ("2026-03-08T06:30:00Z", "America/New_York", "Sunday, March 8, 2026, 1:30 AM (America/New_York, EST)"),
            ("2026-03-08T07:30:00Z", "America/New_York", "Sunday, March 8, 2026, 3:30 AM (America/New_York, EDT)"),
            ("2026-07-01T12:00:00Z", "Europe/Berlin", "Wednesday, July 1, 2026, 2:00 PM (Europe/Berlin, CEST)"),
            (
                "2026-07-01T12:00:00Z",
                "America/Sao_Paulo",
                "Wednesday, July 1, 2026, 9:00 AM (America/Sao_Paulo, UTC-03)",
            ),
            ("2026-07-01T12:00:00Z", "UTC", "Wednesday, July 1, 2026, 12:00 PM (UTC)"),
            ("2026-07-01T12:00:00Z", "Nowhere/Atall", "Wednesday, July 1, 2026, 12:00 PM (UTC)"),
        ] {
            assert_eq!(moment(at.parse().expect("an instant"), zone), expected);
        }
    }
}
