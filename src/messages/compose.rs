//! A stored message as an e-mail: headers, text and HTML, and for appointments the invitation.

use std::time::SystemTime;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message as Email};

use super::calendar::{self, Method, Parties};
use super::model::{AppointmentMail, Mail, Message};
use super::retry::Failure;
use super::templates::{self, one_line};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::phone::Telephone;
use crate::text::Language;

/// Puts the e-mail together; `phone` is the number to call.
///
/// # Errors
/// Where a template is broken or the address is none.
pub fn compose(
    config: &Config,
    sender: &Mailbox,
    message: &Message,
    mail: &Mail,
    phone: Option<&Telephone>,
    now: Timestamp,
) -> Result<Email, Failure> {
    let words = templates::render(config, mail, &message.recipient, phone)?;
    let address: Address =
        message.recipient.email.as_deref().unwrap_or_default().parse().map_err(|_| Failure::Address)?;
    // lettre panics on control characters in a display name.
    let name = message.recipient.name.as_deref().map(one_line).filter(|name| !name.is_empty());
    let mut body =
        MultiPart::alternative().singlepart(SinglePart::plain(words.text)).singlepart(SinglePart::html(words.html));
    let mut attachment = None;
    if let Some(appointment) = mail.appointment() {
        let method = if matches!(mail, Mail::AppointmentCancelled(_)) { Method::Cancel } else { Method::Request };
        let text = invitation(config, sender, message, appointment, method);
        // As an alternative it is what mail programs act upon; as a file it serves those that do not.
        let kind = content_type(&format!("text/calendar; method={}; charset=utf-8", method.as_str()))?;
        body = body.singlepart(SinglePart::builder().header(kind).body(text.clone()));
        attachment = Some(Attachment::new("invite.ics".to_owned()).body(text, content_type("application/ics")?));
    }
    let builder = Email::builder()
        .message_id(Some(format!("<{}@{}>", message.mail_id(), domain(sender))))
        .date(SystemTime::from(now.jiff()))
        .from(sender.clone())
        .to(Mailbox::new(name, address))
        .subject(words.subject)
        // RFC 3834: no out-of-office reply, please.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    match attachment {
        Some(attachment) => builder.multipart(MultiPart::mixed().multipart(body).singlepart(attachment)),
        None => builder.multipart(body),
    }
    .map_err(|_| Failure::Compose)
}

fn invitation(
    config: &Config,
    sender: &Mailbox,
    message: &Message,
    appointment: &AppointmentMail,
    method: Method,
) -> String {
    let recipient = &message.recipient;
    let parties = Parties {
        clinic: &config.settings.clinic_name,
        organizer: sender.email.as_ref(),
        attendee: recipient.email.as_deref().map(|email| (recipient.name.as_deref().unwrap_or_default(), email)),
    };
    calendar::render(appointment, method, &parties, Language::of_tag(&recipient.language), message.created_at)
}

fn content_type(text: &str) -> Result<ContentType, Failure> {
    ContentType::parse(text).map_err(|_| Failure::Compose)
}

/// The right part of Message-IDs. The sender's domain is where spam filters expect it to come from.
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
        compose(&config(), &sender, message, mail, None, now).expect("an e-mail").formatted()
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
    fn every_mail_is_plain_ascii_on_the_wire_and_says_that_a_machine_wrote_it() {
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
    fn the_message_id_stays_from_try_to_try_and_is_new_when_sent_again() {
        let mail = Mail::AlreadyRegistered;
        let mut message = message(&mail, "ann@example.org");
        let id = |message: &Message| parsed(&bytes(&mail, message)).message_id().expect("an id").to_owned();
        let first = id(&message);
        message.attempts = 7;
        assert_eq!(id(&message), first);
        message.resends = 1;
        assert_ne!(id(&message), first);
    }

    #[test]
    fn names_in_any_script_and_with_line_breaks_reach_the_header_whole_and_alone() {
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
            assert_eq!(to[0].name().unwrap_or_default(), one_line(name));
            assert!(parsed.bcc().is_none());
        }
    }

    #[test]
    fn what_is_no_address_is_a_failure_and_no_panic() {
        let sender = mailer::sender(&config().settings).expect("a sender");
        for recipient in ["", "ann", "ann@", "ann@example.org\r\nRCPT TO:<x@example.org>", "a b@example.org"] {
            let mail = Mail::AlreadyRegistered;
            let at = LATER.parse().expect("an instant");
            let composed = compose(&config(), &sender, &message(&mail, recipient), &mail, None, at);
            assert_eq!(composed.map(|_| ()), Err(Failure::Address), "{recipient:?}");
        }
    }
}
