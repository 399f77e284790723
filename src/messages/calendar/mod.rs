//! An appointment as an iCalendar object (RFC 5545), for invitations in mails (RFC 5546) and for download.
//!
//! Written without a library: there are a dozen properties, and folding must be correct for text in any script.

pub mod feed;
mod local;

use text::Language;

use self::local::LocalTimes;
use super::mailer;
use super::model::AppointmentMail;
use super::templates::shown_name;
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::zones::Zones;

/// What the receiving calendar does with the object (RFC 5546, section 1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Shows the event; for download.
    Publish,
    /// Adds or updates the event, and lets the attendee answer.
    Request,
    /// Removes the event.
    Cancel,
}

impl Method {
    /// Returns the name in the object and in the mail's content type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// The parties of the appointment.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// The clinic's name.
    pub clinic: &'a str,
    /// The clinic's e-mail address, without a name.
    pub organizer: &'a str,
    /// The name and e-mail address of the recipient. Not shown when publishing, because RFC 5546 forbids it.
    pub attendee: Option<(&'a str, &'a str)>,
}

/// Returns the iCalendar text, with CRLF and folded lines. Start and end are local times with the definition of their zone.
///
/// `stamp` is the time of the change that the object is about. Of two objects with the same `SEQUENCE`, the later one
/// counts.
pub fn render(
    mail: &AppointmentMail,
    zones: &Zones,
    method: Method,
    parties: &Parties<'_>,
    language: Language,
    stamp: Timestamp,
) -> String {
    let mut out = Writer(String::with_capacity(1024));
    out.line("BEGIN", "VCALENDAR");
    out.line("VERSION", "2.0");
    out.line("PRODID", "-//Legwork//Legwork//EN");
    out.line("CALSCALE", "GREGORIAN");
    out.line("METHOD", method.as_str());
    let local = LocalTimes::of(zones.get(&mail.time_zone));
    if let Some(local) = &local {
        local.define(&mut out, mail.starts_at, mail.ends_at);
    }
    out.line("BEGIN", "VEVENT");
    out.line("UID", &format!("{}@legwork", mail.appointment_id));
    out.line("SEQUENCE", &mail.sequence.max(0).to_string());
    out.line("DTSTAMP", &utc(stamp));
    write_times(&mut out, local.as_ref(), mail.starts_at, mail.ends_at);
    out.text("SUMMARY", &summary(mail, parties.clinic, language));
    out.text("LOCATION", &format!("{}, {}", mail.location, mail.address));
    out.text("DESCRIPTION", &description(mail, language));
    out.line("STATUS", if method == Method::Cancel { "CANCELLED" } else { "CONFIRMED" });
    out.line("CLASS", "PRIVATE");
    out.line(&format!("ORGANIZER;CN={}", quoted(parties.clinic)), &mailto(parties.organizer));
    if let Some((name, address)) = parties.attendee.filter(|_| method != Method::Publish) {
        let name = quoted(if name.is_empty() { address } else { name });
        let answer = if method == Method::Request { ";PARTSTAT=NEEDS-ACTION;RSVP=TRUE" } else { "" };
        out.line(&format!("ATTENDEE;CN={name};ROLE=REQ-PARTICIPANT{answer}"), &mailto(address));
    }
    out.line("END", "VEVENT");
    out.line("END", "VCALENDAR");
    out.0
}

/// Returns the iCalendar text for download. The file of a cancelled appointment removes the event.
///
/// # Errors
/// A fault if `MAIL_FROM` is invalid, which the start of the service has checked.
pub fn download(
    env: &Env,
    mail: &AppointmentMail,
    cancelled: bool,
    language: Language,
    stamp: Timestamp,
) -> Result<String> {
    let settings = &env.config.settings;
    let sender = mailer::sender(settings).map_err(Error::fault)?;
    let organizer = sender.email.to_string();
    let parties = Parties { clinic: &settings.clinic_name, organizer: &organizer, attendee: None };
    Ok(render(
        mail,
        &env.config.zones,
        if cancelled { Method::Cancel } else { Method::Publish },
        &parties,
        language,
        stamp,
    ))
}

fn write_times(out: &mut Writer, local: Option<&LocalTimes>, starts_at: Timestamp, ends_at: Timestamp) {
    for (property, at) in [("DTSTART", starts_at), ("DTEND", ends_at)] {
        match local {
            Some(local) => local.write(out, property, at),
            None => out.line(property, &utc(at)),
        }
    }
}

fn summary(mail: &AppointmentMail, clinic: &str, language: Language) -> String {
    let visit = &mail.visit;
    match (language, mail.patient.as_deref().map(shown_name)) {
        (Language::English, None) => format!("{visit} at {clinic}"),
        (Language::English, Some(patient)) => format!("{patient}: {visit} at {clinic}"),
        (Language::Spanish, None) => format!("{visit} en {clinic}"),
        (Language::Spanish, Some(patient)) => format!("{patient}: {visit} en {clinic}"),
    }
}

fn description(mail: &AppointmentMail, language: Language) -> String {
    let AppointmentMail { practitioner, confirmation_code, location, .. } = mail;
    let phone = mail.telephone().shown;
    match language {
        Language::English => format!(
            "With {practitioner}.\nConfirmation code: {confirmation_code}\nTo change or cancel, use the link in the clinic's mail, or call {location} at {phone}."
        ),
        Language::Spanish => format!(
            "Con {practitioner}.\nCódigo de confirmación: {confirmation_code}\nPara cambiarla o cancelarla, use el enlace del correo de la clínica o llame a {location}: {phone}."
        ),
    }
}

fn utc(at: Timestamp) -> String {
    at.jiff().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Returns a calendar address without characters that would end the line or are not part of an address.
fn mailto(address: &str) -> String {
    let address: String = address.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    format!("mailto:{address}")
}

/// Returns a parameter's value in quotes. It must not contain quotes or control characters (RFC 5545, 3.1).
fn quoted(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| match c {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    format!("\"{clean}\"")
}

struct Writer(String);

impl Writer {
    /// Writes a property whose value is any text (RFC 5545, 3.3.11).
    fn text(&mut self, name: &str, text: &str) {
        let mut value = String::with_capacity(text.len() + 8);
        for c in text.replace("\r\n", "\n").chars() {
            match c {
                '\\' | ';' | ',' => value.extend(['\\', c]),
                '\n' | '\r' => value.push_str("\\n"),
                c if c.is_control() => value.push(' '),
                c => value.push(c),
            }
        }
        self.line(name, &value);
    }

    /// Writes a content line, folded to 75 octets without splitting a character (RFC 5545, 3.1).
    fn line(&mut self, name: &str, value: &str) {
        const LIMIT: usize = 75;
        let mut octets = 0;
        for c in name.chars().chain([':']).chain(value.chars()) {
            if octets + c.len_utf8() > LIMIT {
                self.0.push_str("\r\n ");
                octets = 1;
            }
            self.0.push(c);
            octets += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::fixtures::appointment;
    use proptest::prelude::*;

    const PARTIES: Parties<'_> = Parties {
        clinic: "Legwork Vein Clinic",
        organizer: "desk@clinic.example",
        attendee: Some(("Ann Ames", "ann@example.org")),
    };

    const EN: Language = Language::English;

    fn stamp() -> Timestamp {
        "2026-03-02T14:00:00Z".parse().expect("an instant")
    }

    /// The content lines, unfolded.
    fn lines(text: &str) -> Vec<String> {
        text.replace("\r\n ", "").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn an_invitation_has_local_time_and_place_and_asks_for_an_answer() {
        let lines = lines(&render(&appointment(), &Zones::bundled(), Method::Request, &PARTIES, EN, stamp()));
        for expected in [
            "METHOD:REQUEST",
            "UID:00000000-0000-0000-0000-000000000007@legwork",
            "SEQUENCE:2",
            "DTSTAMP:20260302T140000Z",
            "TZID:America/New_York",
            "DTSTART;TZID=America/New_York:20260309T093000",
            "DTEND;TZID=America/New_York:20260309T103000",
            "SUMMARY:Consultation at Legwork Vein Clinic",
            "LOCATION:Riverside\\, 12 Elm St\\, Springfield",
            "STATUS:CONFIRMED",
            "ORGANIZER;CN=\"Legwork Vein Clinic\":mailto:desk@clinic.example",
            "ATTENDEE;CN=\"Ann Ames\";ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:ann@example.org",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
        }
        let description = lines.iter().find(|line| line.starts_with("DESCRIPTION:")).expect("a description");
        assert!(description.contains("K7QM-2XFH") && description.contains("(212) 555-0100"), "{description}");
    }

    #[test]
    fn its_text_is_in_the_language_of_the_recipient() {
        let mut mail = appointment();
        mail.patient = Some("Leo".into());
        let lines = lines(&render(&mail, &Zones::bundled(), Method::Request, &PARTIES, Language::Spanish, stamp()));
        assert!(lines.contains(&"SUMMARY:Leo: Consultation en Legwork Vein Clinic".to_owned()), "{lines:#?}");
        let description = lines.iter().find(|line| line.starts_with("DESCRIPTION:")).expect("a description");
        assert!(description.contains("Código de confirmación: K7QM-2XFH"), "{description}");
    }

    #[test]
    fn a_cancellation_removes_the_event_and_a_download_names_no_attendee() {
        let cancel = lines(&render(&appointment(), &Zones::bundled(), Method::Cancel, &PARTIES, EN, stamp()));
        assert!(cancel.contains(&"METHOD:CANCEL".to_owned()) && cancel.contains(&"STATUS:CANCELLED".to_owned()));
        assert!(!cancel.iter().any(|line| line.contains("RSVP")));
        let publish = lines(&render(&appointment(), &Zones::bundled(), Method::Publish, &PARTIES, EN, stamp()));
        assert!(publish.contains(&"METHOD:PUBLISH".to_owned()));
        assert!(!publish.iter().any(|line| line.starts_with("ATTENDEE")));
    }

    #[test]
    fn a_name_with_special_characters_stays_one_value() {
        let mut mail = appointment();
        mail.practitioner = "Dr. A, B; C\\D\nEND:VEVENT".into();
        let name = "Ann \"the; leg\", Ames\r\nX-EVIL:1";
        let parties = Parties { attendee: Some((name, "ann@example.org")), ..PARTIES };
        let lines = lines(&render(&mail, &Zones::bundled(), Method::Request, &parties, EN, stamp()));
        assert!(lines.iter().any(|line| line.starts_with("DESCRIPTION:With Dr. A\\, B\\; C\\\\D\\nEND:VEVENT.")));
        assert!(lines.iter().any(|line| line.starts_with("ATTENDEE;CN=\"Ann 'the; leg', Ames  X-EVIL:1\";")));
        assert_eq!(lines.iter().filter(|line| *line == "END:VEVENT").count(), 1);
    }

    #[test]
    fn another_program_reads_the_values_back() {
        use icalendar::{Calendar, Component, EventLike};
        let mut mail = appointment();
        mail.location = "Zürich, \"Seefeld\"; 2nd floor".into();
        mail.practitioner = format!("Dr. {}", "Ærø\u{a0}".repeat(40));
        let text = render(&mail, &Zones::bundled(), Method::Request, &PARTIES, EN, stamp());
        let calendar: Calendar = text.parse().expect("a calendar");
        assert_eq!(calendar.property_value("METHOD"), Some("REQUEST"));
        let event = calendar.events().next().expect("an event");
        assert_eq!(event.get_uid(), Some("00000000-0000-0000-0000-000000000007@legwork"));
        assert_eq!(event.get_sequence(), Some(2));
        let location = format!("{}, {}", mail.location, mail.address);
        assert_eq!(event.get_location(), Some(location.as_str()));
        assert!(
            event.get_description().is_some_and(|text| text.starts_with(&format!("With {}.\nConf", mail.practitioner)))
        );
        let start = event.properties().get("DTSTART").expect("a start");
        assert_eq!(start.value(), "20260309T093000");
        assert_eq!(start.params().get("TZID").map(icalendar::Parameter::value), Some("America/New_York"));
    }

    proptest! {
        #[test]
        fn no_line_has_more_than_75_octets_and_unfolding_gives_the_text_back(
            visit in "\\PC{0,200}", location in "[a-zß老虎\u{a0} 🦵]{0,120}",
        ) {
            let mut mail = appointment();
            mail.visit = visit;
            mail.location = location.clone();
            let text = render(&mail, &Zones::bundled(), Method::Request, &PARTIES, EN, stamp());
            prop_assert!(text.ends_with("END:VCALENDAR\r\n"));
            for line in text.split("\r\n") {
                prop_assert!(line.len() <= 75, "{} octets", line.len());
                prop_assert!(!line.contains(['\r', '\n']));
            }
            let unfolded = text.replace("\r\n ", "");
            let expected = format!("\r\nLOCATION:{location}\\, ");
            prop_assert!(unfolded.contains(&expected));
        }
    }
}
