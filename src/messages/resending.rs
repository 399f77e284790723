//! Sending a message again.

use actix_web::{HttpResponse, post};
use diesel::dsl::exists;
use diesel::prelude::*;

use super::model::{Mail, Message, MessageStatus};
use super::view::{self, MessageView};
use super::{outbox, readers, refusals};
use crate::actor::Action;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::schema::{appointments, messages};
use crate::error::{Error, ProblemCode, Result};
use crate::http::{IdempotencyKey, PathId};
use crate::ids::{AppointmentId, MessageId, PatientId};

/// Sends a message again, as a mail of its own.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts of the endpoint.
pub async fn resend(context: &Context, once: Once, id: MessageId) -> Result<MessageView> {
    context.require(Action::MessageManage)?;
    context
        .change_once(once, move |tx| {
            let message = requeue(tx, id)?;
            if let Some(patient) = message.patient_id {
                tx.audit.note_patient(patient);
            }
            tx.env.mail_written.notify_one();
            view::show_one(tx.conn, tx.env, message)
        })
        .await
}

/// Makes a message due now.
fn requeue(tx: &mut Tx, id: MessageId) -> Result<Message> {
    let message = outbox::find(tx.conn, id)?;
    require_resendable(&message)?;
    let mail = outbox::open(tx.env, message.id, &message.payload)?;
    match message.appointment_id {
        Some(appointment) => require_current(tx, &message, &mail, appointment)?,
        // The undo of a merge gave the visit to another patient.
        None if mail.appointment().is_some() => return Err(superseded()),
        None => {}
    }
    if let Some(patient) = message.patient_id
        && (mail.goes_to_patient().is_some() || mail.access().is_some())
    {
        require_reader(tx, &message, patient)?;
    }
    let changed = diesel::update(messages::table.find(id).filter(messages::status.eq(message.status)))
        .set((
            messages::status.eq(MessageStatus::Pending),
            messages::attempts.eq(0),
            messages::rejected_attempts.eq(0),
            messages::resends.eq(messages::resends + 1),
            messages::due_at.eq(tx.now),
            messages::last_error.eq(None::<String>),
            messages::sent_at.eq(None::<Timestamp>),
            messages::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    if changed == 0 {
        // Another transaction changed it at the same time.
        return Err(Error::Retry);
    }
    if let Some(address) = &message.recipient.email {
        refusals::forget(tx.conn, tx.env, address)?;
    }
    outbox::find(tx.conn, id)
}

fn require_resendable(message: &Message) -> Result<()> {
    let (code, detail) = match message.status {
        MessageStatus::ToPhone if refusals::is_call_instead(message) => return Ok(()),
        MessageStatus::Sent | MessageStatus::Failed => return Ok(()),
        MessageStatus::Pending => (
            ProblemCode::MessagePending,
            "The message has not been sent yet. The service sends or retries it by itself.",
        ),
        MessageStatus::ToPhone => {
            (ProblemCode::MessageToPhone, "The recipient has no e-mail address. Call the recipient instead.")
        }
        MessageStatus::Done => (
            ProblemCode::MessageDone,
            "Staff completed this message without a mail, or the service did because it was replaced or not needed any more.",
        ),
    };
    Err(Error::conflict(code, detail))
}

/// Requires that what a message says about an appointment is still true, and that no newer message about it went to the address.
///
/// The table belongs to appointments. A mark on each message would have to be kept by every change of an appointment.
fn require_current(tx: &mut Tx, message: &Message, mail: &Mail, id: AppointmentId) -> Result<()> {
    let Some(content) = mail.appointment() else { return Ok(()) };
    let (sequence, status): (i32, AppointmentStatus) =
        appointments::table.find(id).select((appointments::sequence, appointments::status)).first(tx.conn)?;
    let is_cancellation = matches!(mail, Mail::AppointmentCancelled(_));
    let is_late = matches!(mail, Mail::AppointmentReminder(_)) && content.starts_at <= tx.now;
    let expected = if is_cancellation { AppointmentStatus::Cancelled } else { AppointmentStatus::Booked };
    // For example one with new links.
    let newer = messages::table
        .filter(messages::email.eq(&message.recipient.email))
        .filter(messages::created_at.gt(message.created_at))
        .filter(messages::appointment_id.eq(id));
    if (sequence, status) == (content.sequence, expected)
        && !is_late
        && !diesel::select(exists(newer)).get_result::<bool>(tx.conn)?
    {
        return Ok(());
    }
    Err(superseded())
}

fn superseded() -> Error {
    let detail = "The appointment has changed since, or a newer message about it was sent to the same address. Renew the links of the \
                  appointment to send its current state.";
    Error::conflict(ProblemCode::MessageSuperseded, detail)
}

/// Requires that messages about the patient still go to this address.
fn require_reader(tx: &mut Tx, message: &Message, patient: PatientId) -> Result<()> {
    if readers::may_read(tx.conn, tx.now, message, patient)? {
        return Ok(());
    }
    let detail = "Messages about this patient no longer go to this address.";
    Err(Error::conflict(ProblemCode::RecipientChanged, detail))
}

/// Send a message again
///
/// For a message that failed, that the recipient did not get, or that became a call because the mail server had refused its address
/// (`last_error` is `address_refused`). Mails go to that address again until it is refused once more. The service sends it at once. It uses the current templates and the
/// facts as they were when the message was created, so a link in it may have expired. A message that is outdated, or whose address may
/// no longer get it, is not sent. To mail the current state of an appointment to all its current recipients, use
/// `POST /v1/appointments/{id}/links`.
#[utoipa::path(
    tag = "messages",
    operation_id = "resend_message",
    security(("bearer" = [])),
    params(
        ("id" = MessageId, Path, description = "The message"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 202, description = "The message is being sent", body = MessageView),
        (status = 409, description = "`message_pending`: it has not been sent yet, and the service sends or retries it by itself. \
            `message_to_phone`: the recipient has no e-mail address. \
            `message_done`: staff or the service completed it without a mail; `done` in the message says which. \
            `message_superseded`: the appointment has changed since or, of a reminder, has begun, or a newer message about it was sent to this address. \
            `recipient_changed`: messages about the patient no longer go to this address, because access was revoked or has expired, \
            or the address was changed"),
    ),
)]
#[post("/v1/messages/{id}/resend")]
pub(super) async fn resend_message(
    context: Context,
    PathId(id): PathId<MessageId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let message = resend(&context, key.once_without_body(), id).await?;
    Ok(HttpResponse::Accepted().json(message))
}
