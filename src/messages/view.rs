//! A message as staff see it.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Message, MessageKind, MessageStatus, Recipient};
use super::queue::has_status;
use super::{outbox, templates};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::messages;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{AppointmentId, MessageId, PatientId, UserId};
use crate::phone::{self, Country};
use crate::sealed::Place;

/// The recipient of a message.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "name": "Ann Ames", "email": null, "phone": "+12125550123", "phone_display": "(212) 555-0123", "language": "es-MX"
}))]
pub struct MessageRecipient {
    /// The name. Null for an account without a name.
    name: Option<String>,
    /// The e-mail address. Null for a recipient without one.
    email: Option<String>,
    /// The telephone number in E.164, if it is known.
    phone: Option<String>,
    /// The same number in the format of the clinic's country.
    phone_display: Option<String>,
    /// The language (BCP 47). The service writes in Spanish to recipients of that language, and in English to all others.
    pub language: String,
}

/// How a message was completed without a mail.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"at": "2026-03-02T15:00:00Z", "by": "0199d0c2-7a00-7000-8000-000000000003", "note": "Told his wife."}))]
pub struct MessageCompletion {
    /// The time.
    at: Timestamp,
    /// The account that completed it. Null if the service did: a newer message to the same recipient replaced it, the patient cancelled
    /// before any mail about the appointment was sent, or the visit began before the mail server took the mail.
    by: Option<UserId>,
    /// The note of the staff.
    note: Option<String>,
}

/// An outgoing message as staff see it. The text of a mail is not included; the text of a call is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Message, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "kind": "appointment_booked", "status": "to_phone",
    "recipient": {"name": "Ann Ames", "email": null, "phone": "+12125550123", "phone_display": "(212) 555-0123", "language": "en"},
    "to_say": "Hello, this is Legwork Vein Clinic. May I speak to Ann Ames?\nYour appointment is booked for …",
    "other_calls": [], "patient_id": "0199d0c2-7a00-7000-8000-000000000001",
    "appointment_id": "0199d0c2-7a00-7000-8000-000000000002", "attempts": 0, "last_error": null,
    "created_at": "2026-03-02T14:00:00Z", "due_at": "2026-03-02T14:00:00Z", "sent_at": null, "done": null,
    "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct MessageView {
    /// The id.
    pub id: MessageId,
    /// The subject of the message.
    pub kind: MessageKind,
    /// The status.
    pub status: MessageStatus,
    /// The recipient.
    pub recipient: MessageRecipient,
    /// The text to say on the telephone, in the recipient's language. Set while the message waits for a call, or if its mail
    /// failed and the subject has a telephone text. Do not leave it on an answering machine.
    to_say: Option<String>,
    /// The other waiting calls to the same number, oldest first, at most 20. Make them in one call, and complete them together: name
    /// them in `also`. Empty unless this message is a waiting call.
    #[schema(max_items = 20)]
    pub other_calls: Vec<MessageId>,
    /// The patient whom the message is about, if any.
    patient_id: Option<PatientId>,
    /// The appointment that the message is about, if any.
    pub appointment_id: Option<AppointmentId>,
    /// The number of attempts to send it since it was created or last sent again.
    attempts: i32,
    /// The class of the last failure: `connection`, `timeout`, `tls`, `protocol`, `smtp_` and the mail server's code,
    /// `file`, `address`, `template`, `sealed`, `compose` or `interrupted`. `address_refused`: it was not tried, because the mail server
    /// had refused the address before. A message about a patient is then a call. `recipient_changed`: it waited until the patient had another
    /// address, and is a call.
    pub last_error: Option<String>,
    /// The time at which it was created.
    pub created_at: Timestamp,
    /// The time of the next attempt, while the message is pending.
    pub due_at: Timestamp,
    /// The time at which the mail server accepted it.
    sent_at: Option<Timestamp>,
    /// How it was completed without a mail, if it was.
    done: Option<MessageCompletion>,
    /// The time of the last change, such as an attempt to send it.
    updated_at: Timestamp,
}

/// The most other calls that a message names, and that are completed with it.
pub(super) const MAX_OTHER_CALLS: usize = 20;

/// Shows messages as staff see them.
pub(super) fn show(conn: &mut Conn, env: &Env, messages: Vec<Message>) -> Result<Vec<MessageView>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let country = Country::of_clinic(conn)?;
    let waiting = waiting_calls(conn, &messages)?;
    let views = messages.into_iter().map(|message| {
        let others = waiting.iter().filter(|(id, _)| *id != message.id && message.status == MessageStatus::ToPhone);
        let others = others.filter(|(_, number)| message.recipient.phone.as_ref() == Some(number));
        let others = others.map(|(id, _)| *id).take(MAX_OTHER_CALLS).collect();
        MessageView::new(env, message, country, others)
    });
    views.collect()
}

/// Shows one message.
pub(super) fn show_one(conn: &mut Conn, env: &Env, message: Message) -> Result<MessageView> {
    show(conn, env, vec![message])?.pop().ok_or(Error::NotFound)
}

/// Loads the waiting calls to the numbers of these messages, oldest first, each with its number.
fn waiting_calls(conn: &mut Conn, messages: &[Message]) -> Result<Vec<(MessageId, String)>> {
    let calls = messages.iter().filter(|message| message.status == MessageStatus::ToPhone);
    let numbers: Vec<&str> = calls.filter_map(|call| call.recipient.phone.as_deref()).collect();
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let waiting = messages::table
        .filter(has_status(MessageStatus::ToPhone))
        .filter(messages::phone.eq_any(numbers))
        .order((messages::created_at, messages::id))
        .select((messages::id, messages::phone.assume_not_null()));
    Ok(waiting.load(conn)?)
}

impl MessageView {
    /// Shows a message. `country` decides the format of the telephone number.
    fn new(env: &Env, message: Message, country: Option<Country>, other_calls: Vec<MessageId>) -> Result<Self> {
        let to_say = telephone_text(env, &message);
        let Recipient { name, email, phone, language } = message.recipient;
        let phone_display = phone.as_deref().map(|number| phone::shown(number, country));
        let note = message.note.map(|note| env.sealer.open(note_place(message.id), &note)).transpose()?;
        Ok(Self {
            id: message.id,
            kind: message.kind,
            status: message.status,
            recipient: MessageRecipient { name, email, phone, phone_display, language },
            to_say,
            other_calls,
            patient_id: message.patient_id,
            appointment_id: message.appointment_id,
            attempts: message.attempts,
            last_error: message.last_error,
            created_at: message.created_at,
            due_at: message.due_at,
            sent_at: message.sent_at,
            updated_at: message.updated_at,
            done: message.done_at.map(|at| MessageCompletion { at, by: message.done_by, note }),
        })
    }
}

/// Renders the text of a call. A broken template or a missing key leaves it out, because the rest of the list is useful without it.
fn telephone_text(env: &Env, message: &Message) -> Option<String> {
    if !matches!(message.status, MessageStatus::ToPhone | MessageStatus::Failed) {
        return None;
    }
    let mail = outbox::open(env, message.id, &message.payload)
        .map_err(|error| tracing::error!(%error, "a stored message cannot be decrypted"))
        .ok()?;
    templates::telephone_text(&env.config, &mail, &message.recipient).ok().flatten()
}

/// The place of a message's sealed note.
pub(super) fn note_place(id: MessageId) -> Place {
    Place::new("messages", "note", id.0)
}
