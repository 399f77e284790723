//! How mails leave the house: over SMTP, or into files.

use lettre::message::Mailbox;

use crate::config::Settings;

/// The sender of all mails, from `MAIL_FROM`.
///
/// # Errors
/// In words for the operator.
pub fn sender(settings: &Settings) -> Result<Mailbox, String> {
    let text = settings.mail_from.trim();
    let mailbox: Result<Mailbox, _> =
        if text.chars().any(char::is_control) { Err(()) } else { text.parse().map_err(|_| ()) };
    mailbox.map_err(|()| "MAIL_FROM: an address such as Vein Clinic <appointments@clinic.example>".into())
}
