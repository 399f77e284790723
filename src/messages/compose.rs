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

/// Puts the e-mail together.
///
/// # Errors
/// Where a template is broken or the address is none.
pub fn compose(
    config: &Config,
    sender: &Mailbox,
    message: &Message,
    mail: &Mail,
    now: Timestamp,
) -> Result<Email, Failure> {
    let words = templates::render(config, mail)?;
    let address: Address = message.recipient.parse().map_err(|_| Failure::Address)?;
    // lettre panics on control characters in a display name.
    let name = mail.appointment().map(|mail| one_line(&mail.recipient_name)).filter(|name| !name.is_empty());
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
    let parties = Parties {
        clinic: &config.settings.clinic_name,
        organizer: sender.email.as_ref(),
        attendee: Some(&message.recipient),
    };
    calendar::render(appointment, method, &parties, message.created_at)
}

fn content_type(text: &str) -> Result<ContentType, Failure> {
    ContentType::parse(text).map_err(|_| Failure::Compose)
}

/// The right part of Message-IDs. The sender's domain is where spam filters expect it to come from.
fn domain(sender: &Mailbox) -> &str {
    let domain = sender.email.domain();
    if domain.is_ascii() { domain } else { "legwork.invalid" }
}
