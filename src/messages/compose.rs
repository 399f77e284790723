//! Builds the e-mail of a stored message: headers, text and HTML, and for appointments the calendar invitation.

use std::time::SystemTime;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message as Email};
use text::Language;

use super::calendar::{self, Method, Parties};
use super::model::{AppointmentMail, Mail, Message, MessageKind};
use super::retry::Failure;
use super::templates::{self, shown_name};
use crate::clinic::first_location;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::phone::{Country, Telephone};

/// Builds the e-mail of one message, or of several about moved appointments of a recipient. `phone` is the telephone number that it names.
///
/// # Errors
/// If a template is broken or the address is invalid.
pub fn compose(
    config: &Config,
    sender: &Mailbox,
    parts: &[(&Message, Mail)],
    phone: Option<&Telephone>,
    now: Timestamp,
) -> Result<Email, Failure> {
    let Some(((message, mail), others)) = parts.split_first() else { return Err(Failure::Compose) };
    let rendered = if others.is_empty() {
        templates::render(config, mail, &message.recipient, phone)?
    } else {
        templates::render_moved(config, parts.iter().map(|(_, mail)| mail), &message.recipient)?
    };
    let address: Address =
        message.recipient.email.as_deref().unwrap_or_default().parse().map_err(|_| Failure::Address)?;
    // lettre panics on control characters in a display name. A shown name has none.
    let name = message.recipient.name.as_deref().map(shown_name).filter(|name| !name.is_empty());
    let mut body = MultiPart::alternative()
        .singlepart(SinglePart::plain(rendered.text))
        .singlepart(SinglePart::html(rendered.html));
    let mut attachments = Vec::new();
    // A reminder changes nothing that calendars show.
    if let Some(appointment) = mail.appointment().filter(|_| mail.kind() != MessageKind::AppointmentReminder) {
        let method = if matches!(mail, Mail::AppointmentCancelled(_)) { Method::Cancel } else { Method::Request };
        let text = invitation(config, sender, message, appointment, method);
        // Mail programs that know invitations use the alternative part. The attachment is for all others.
        let kind = content_type(&format!("text/calendar; method={}; charset=utf-8", method.as_str()))?;
        body = body.singlepart(SinglePart::builder().header(kind).body(text.clone()));
        attachments.push(Attachment::new("invite.ics".to_owned()).body(text, content_type("application/ics")?));
        // An entry is of one appointment (RFC 5546, section 3.2.2), so each of the others is a file of its own.
        for (place, (message, mail)) in (2..).zip(others) {
            let Some(appointment) = mail.appointment() else { continue };
            let text = invitation(config, sender, message, appointment, method);
            let name = format!("invite-{place}.ics");
            attachments.push(Attachment::new(name).body(text, content_type("application/ics")?));
        }
    }
    let language = Language::of_tag(&message.recipient.language);
    let mut builder = Email::builder()
        .message_id(Some(format!("<{}@{}>", message.mail_id(), domain(sender))))
        .date(SystemTime::from(now.jiff()))
        .from(sender.clone())
        .to(Mailbox::new(name, address))
        .subject(rendered.subject)
        // Stops out-of-office replies (RFC 3834).
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()));
    if let Some(token) = mail.unsubscribe() {
        // Mail programs show a button that sends this form (RFC 8058).
        let link = format!("<{}>", config.unsubscribe_link(token, language));
        builder = builder.raw_header(header("List-Unsubscribe", link));
        builder = builder.raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    if attachments.is_empty() {
        return builder.multipart(body).map_err(|_| Failure::Compose);
    }
    let mixed = attachments.into_iter().fold(MultiPart::mixed().multipart(body), MultiPart::singlepart);
    builder.multipart(mixed).map_err(|_| Failure::Compose)
}

/// A header of ASCII characters. It is not encoded or folded, because mail programs read such links only in one piece.
fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// Returns the telephone number that mails name: the clinic's, else that of its first location, in the format of that location's
/// country.
pub fn clinic_phone(conn: &mut Conn, env: &Env) -> Result<Option<Telephone>> {
    let first = first_location(conn)?;
    let country = first.as_ref().and_then(|location| Country::of(&location.country));
    let number = env.config.settings.clinic_phone.clone().or(first.map(|location| location.phone));
    Ok(number.map(|number| Telephone::of(&number, country)))
}

fn invitation(
    config: &Config,
    sender: &Mailbox,
    message: &Message,
    appointment: &AppointmentMail,
    method: Method,
) -> String {
    let recipient = &message.recipient;
    let name = recipient.name.as_deref().map(shown_name).unwrap_or_default();
    let parties = Parties {
        clinic: &config.settings.clinic_name,
        organizer: sender.email.as_ref(),
        attendee: recipient.email.as_deref().map(|email| (name.as_str(), email)),
    };
    calendar::render(
        appointment,
        &config.zones,
        method,
        &parties,
        Language::of_tag(&recipient.language),
        message.created_at,
    )
}

fn content_type(text: &str) -> Result<ContentType, Failure> {
    ContentType::parse(text).map_err(|_| Failure::Compose)
}

/// The right part of Message-IDs. Spam filters expect the sender's domain.
fn domain(sender: &Mailbox) -> &str {
    let domain = sender.email.domain();
    if domain.is_ascii() { domain } else { "legwork.invalid" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::fixtures::{appointment, config, mails, message};
    use crate::messages::mailer;
    use mail_parser::{Message as Parsed, MessageParser, MimeHeaders};

    const LATER: &str = "2026-03-02T17:00:00Z";

    fn bytes(mail: &Mail, message: &Message) -> Vec<u8> {
        let sender = mailer::sender(&config().settings).expect("a sender");
        let now = LATER.parse().expect("an instant");
        compose(&config(), &sender, &[(message, mail.clone())], None, now).expect("an e-mail").formatted()
    }

    fn parsed(bytes: &[u8]) -> Parsed<'_> {
        MessageParser::default().parse(bytes).expect("an e-mail")
    }

    fn kinds(parsed: &Parsed<'_>) -> Vec<String> {
        let kind = |part: &mail_parser::MessagePart<'_>| {
            let kind = part.content_type().expect("a type");
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
        };
        parsed.parts.iter().map(kind).collect()
    }

    #[test]
    fn every_mail_is_ascii_and_marked_as_generated() {
        for mail in mails() {
            let bytes = bytes(&mail, &message(&mail, "ann@example.org"));
            assert!(bytes.is_ascii());
            assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 998));
            let parsed = parsed(&bytes);
            assert_eq!(parsed.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
            assert_eq!(parsed.message_id(), Some("00000000-0000-0000-0000-000000000009@clinic.example"));
            assert_eq!(parsed.date().expect("a date").to_rfc3339(), LATER);
        }
    }

    #[test]
    fn an_appointment_mail_carries_its_invitation_as_an_alternative_and_as_a_file() {
        for (mail, method) in [
            (Mail::AppointmentBooked(appointment()), "REQUEST"),
            (Mail::AppointmentMoved(appointment()), "REQUEST"),
            (Mail::AppointmentCancelled(appointment()), "CANCEL"),
        ] {
            let bytes = bytes(&mail, &message(&mail, "ann@example.org"));
            let parsed = parsed(&bytes);
            assert_eq!(
                kinds(&parsed),
                [
                    "multipart/mixed",
                    "multipart/alternative",
                    "text/plain",
                    "text/html",
                    "text/calendar",
                    "application/ics"
                ]
            );
            let part = &parsed.parts[4];
            let kind = part.content_type().expect("a type");
            assert_eq!(kind.attribute("method"), Some(method));
            assert_eq!(kind.attribute("charset"), Some("utf-8"));
            let text = part.text_contents().expect("text");
            assert!(text.contains(&format!("METHOD:{method}\r\n")) && text.contains("DTSTAMP:20260302T140000Z\r\n"));
            assert_eq!(parsed.parts[5].contents(), text.as_bytes());
            assert_eq!(parsed.parts[5].attachment_name(), Some("invite.ics"));
        }
    }

    #[test]
    fn several_moved_appointments_are_one_mail_with_an_entry_each() {
        let (first, second) = (Mail::AppointmentMoved(appointment()), Mail::AppointmentMoved(appointment()));
        let [one, other] = [&first, &second].map(|mail| message(mail, "ann@example.org"));
        let sender = mailer::sender(&config().settings).expect("a sender");
        let parts = [(&one, first.clone()), (&other, second.clone())];
        let composed =
            compose(&config(), &sender, &parts, None, LATER.parse().expect("an instant")).expect("an e-mail");
        let bytes = composed.formatted();
        let parsed = parsed(&bytes);
        let files: Vec<_> = parsed.parts.iter().filter_map(|part| part.attachment_name()).collect();
        assert_eq!(files, ["invite.ics", "invite-2.ics"]);
        assert_eq!(parsed.subject(), Some("Your 2 appointments have changed"));
    }

    #[test]
    fn the_message_id_stays_the_same_on_retries_and_changes_on_a_resend() {
        let mail = Mail::AlreadyRegistered { reservation: None };
        let mut message = message(&mail, "ann@example.org");
        let id = |message: &Message| parsed(&bytes(&mail, message)).message_id().expect("an id").to_owned();
        let first = id(&message);
        message.attempts = 7;
        assert_eq!(id(&message), first);
        message.resends = 1;
        assert_ne!(id(&message), first);
    }

    #[test]
    fn a_name_in_any_script_or_with_line_breaks_stays_one_header_value() {
        for name in ["Zoë Müller-Åberg", "李小龍", "Ann\r\nBcc: evil@example.org", "a \"b\" <c>, d; \\", "\u{7}"]
        {
            let mail = Mail::AppointmentBooked(appointment());
            let mut message = message(&mail, "ann@example.org");
            message.recipient.name = Some(name.into());
            let bytes = bytes(&mail, &message);
            let parsed = parsed(&bytes);
            let to: Vec<_> = parsed.to().expect("a recipient").iter().collect();
            assert_eq!(to.len(), 1, "{name:?}");
            assert_eq!(to[0].address(), Some("ann@example.org"));
            assert_eq!(to[0].name().unwrap_or_default(), shown_name(name));
            assert!(parsed.bcc().is_none());
        }
    }

    #[test]
    fn row_15_no_part_of_a_mail_shows_a_link_or_hidden_characters_of_a_name() {
        for name in [
            "Evil\u{ff0e}example",
            "Evil\u{3002}example",
            "Evil.example",
            "Ev\u{e0041}ilexample",
            "Evil\u{ff0f}example",
            "Evil080012\u{663}example",
        ] {
            let mail = Mail::AppointmentBooked(crate::messages::model::AppointmentMail {
                patient: Some(name.into()),
                ..appointment()
            });
            let mut message = message(&mail, "ann@example.org");
            message.recipient.name = Some(format!("{name}{}", "x".repeat(200)));
            let bytes = bytes(&mail, &message);
            let parsed = parsed(&bytes);
            let to = parsed.to().and_then(|to| to.first()).expect("a recipient");
            let shown = format!("Evilexample{}", "x".repeat(200));
            let to = to.name().unwrap_or_default();
            assert!(to.chars().count() <= 80 && shown.starts_with(to) && to.starts_with("Evilexamplex"), "{to}");
            let text = parsed.body_text(0).expect("a text");
            let html = parsed.body_html(0).expect("a page");
            for part in [&text, &html] {
                assert!(part.contains("Evilexample") && !part.contains(name), "{part}");
            }
            let calendar = parsed
                .parts
                .iter()
                .filter_map(|part| part.text_contents())
                .find(|text| text.contains("BEGIN:VCALENDAR"));
            assert!(!calendar.expect("a calendar entry").replace("\r\n ", "").contains(name));
        }
    }

    #[test]
    fn an_invalid_address_is_a_failure_and_not_a_panic() {
        let sender = mailer::sender(&config().settings).expect("a sender");
        for recipient in ["", "ann", "ann@", "ann@example.org\r\nRCPT TO:<x@example.org>", "a b@example.org"] {
            let mail = Mail::AlreadyRegistered { reservation: None };
            let at = LATER.parse().expect("an instant");
            let composed = compose(&config(), &sender, &[(&message(&mail, recipient), mail.clone())], None, at);
            assert_eq!(composed.map(|_| ()), Err(Failure::Address), "{recipient:?}");
        }
    }
}
