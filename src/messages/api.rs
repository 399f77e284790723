//! The endpoints: the staff see what was mailed and have it sent again, and whom they have to call.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{Message, MessageKind, MessageStatus, Recipient};
use super::{outbox, store, templates};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::idempotency::{self, Answer, IdempotencyKey};
use crate::http::{Body, Cursor, Endpoints, Limit, Params, PathId};
use crate::ids::{AppointmentId, MessageId, PatientId, UserId};
use crate::phone::{self, Country};
use crate::text;

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list).service(resend).service(done);
}

/// Whom a message is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "Ann Ames", "email": null, "phone": "+12125550123", "phone_display": "(212) 555-0123", "language": "es-MX"
}))]
pub struct MessageRecipient {
    /// What to call them; null for an account that has no name.
    name: Option<String>,
    /// The e-mail address; null where they have none.
    email: Option<String>,
    /// The telephone number (E.164), if it is known.
    phone: Option<String>,
    /// The same number as it is written in the clinic's country, to read and to dial.
    phone_display: Option<String>,
    /// Their language (BCP 47). The service writes Spanish to those of whom it is the language, English to all others.
    language: String,
}

/// That somebody saw to a message by hand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"at": "2026-03-02T15:00:00Z", "by": "0199d0c2-7a00-7000-8000-000000000003", "note": "Told his wife."}))]
pub struct MessageDoneDto {
    /// When.
    at: Timestamp,
    /// Whose account; null where the service struck the message, because a newer one about the appointment took its place.
    by: Option<UserId>,
    /// What they noted.
    note: Option<String>,
}

/// An outgoing message as the staff see it: to whom, about what, and how it fares; of a mail never its words, of a call
/// what to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "kind": "appointment_booked", "status": "to_phone",
    "recipient": {"name": "Ann Ames", "email": null, "phone": "+12125550123", "phone_display": "(212) 555-0123", "language": "en"},
    "to_say": "Hello, this is Legwork Vein Clinic. May I speak to Ann Ames?\nYour appointment is booked for …",
    "patient_id": "0199d0c2-7a00-7000-8000-000000000001",
    "appointment_id": "0199d0c2-7a00-7000-8000-000000000002", "attempts": 0, "last_error": null,
    "created_at": "2026-03-02T14:00:00Z", "due_at": "2026-03-02T14:00:00Z", "sent_at": null, "done": null
}))]
pub struct MessageDto {
    /// The message's id.
    id: MessageId,
    /// What it is about.
    kind: MessageKind,
    /// Where it stands.
    status: MessageStatus,
    /// Whom it is for.
    recipient: MessageRecipient,
    /// What to tell the recipient on the phone, in their language, while there is a call to make: also about an appointment
    /// of which the mail failed. Nothing of it belongs on an answering machine.
    to_say: Option<String>,
    /// The patient it is about, if any.
    patient_id: Option<PatientId>,
    /// The appointment it is about, if any.
    appointment_id: Option<AppointmentId>,
    /// How often it was tried since it was written or last sent again.
    attempts: i32,
    /// The class of the last failure: `connection`, `timeout`, `tls`, `protocol`, `smtp_` and the mail server's code,
    /// `file`, `address`, `template`, `sealed`, `compose` or `interrupted`.
    last_error: Option<String>,
    /// When it was written.
    created_at: Timestamp,
    /// When it is next tried, while it is pending.
    due_at: Timestamp,
    /// When the mail server took it.
    sent_at: Option<Timestamp>,
    /// That it was done by hand, if it was.
    done: Option<MessageDoneDto>,
}

impl MessageDto {
    fn of(env: &Env, message: Message, country: Option<Country>) -> Result<Self> {
        let to_say = to_say(env, &message);
        let Recipient { name, email, phone, language } = message.recipient;
        let phone_display = phone.as_deref().map(|number| phone::shown(number, country));
        let note = message.note.map(|note| env.sealer.open(store::note_place(message.id), &note)).transpose()?;
        Ok(Self {
            id: message.id,
            kind: message.kind,
            status: message.status,
            recipient: MessageRecipient { name, email, phone, phone_display, language },
            to_say,
            patient_id: message.patient_id,
            appointment_id: message.appointment_id,
            attempts: message.attempts,
            last_error: message.last_error,
            created_at: message.created_at,
            due_at: message.due_at,
            sent_at: message.sent_at,
            done: message.done_at.map(|at| MessageDoneDto { at, by: message.done_by, note }),
        })
    }
}

/// What to say, where there is a call to make. One broken template or lost key must not hide the whole list: the number
/// alone is worth more than nothing.
fn to_say(env: &Env, message: &Message) -> Option<String> {
    if !matches!(message.status, MessageStatus::ToPhone | MessageStatus::Failed) {
        return None;
    }
    let mail = outbox::open(env, message.id, &message.payload)
        .map_err(|error| tracing::error!(%error, "a stored message cannot be opened"))
        .ok()?;
    templates::to_say(&env.config, &mail, &message.recipient).ok().flatten()
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "kind": "verify_email", "status": "sent",
    "recipient": {"name": null, "email": "ann@example.org", "phone": null, "phone_display": null, "language": "en"}, "to_say": null,
    "patient_id": null, "appointment_id": null, "attempts": 1, "last_error": null, "created_at": "2026-03-02T14:00:00Z",
    "due_at": "2026-03-02T14:01:30Z", "sent_at": "2026-03-02T14:00:01Z", "done": null
}], "next_cursor": null}))]
pub struct MessagePage {
    /// The messages, the newest first.
    items: Vec<MessageDto>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Only those that stand there.
    status: Option<MessageStatus>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// The list's name in its cursors.
const LIST: &str = "messages";

/// List outgoing messages
///
/// Everything that the service wrote, the newest first. Two lists are the desk's: `status=to_phone` has the calls to make
/// to people without an e-mail address, with the number and what to say; `status=failed` has the mails that did not go
/// out and will not be tried again by themselves.
#[utoipa::path(
    tag = "messages",
    operation_id = "list_messages",
    security(("bearer" = [])),
    params(MessageQuery),
    responses((status = 200, description = "A page of messages", body = MessagePage)),
)]
#[get("/v1/messages")]
async fn list(env: web::Data<Env>, actor: Actor, query: Params<MessageQuery>) -> Result<HttpResponse> {
    actor.require(Action::MessageManage)?;
    let MessageQuery { status, cursor, limit } = query.0;
    let (after, limit) = (Cursor::read(cursor.as_deref(), LIST)?, Limit::new(limit)?);
    let (rows, country) =
        env.db.read(move |conn| Ok((store::list(conn, status, after, limit)?, Country::of_clinic(conn)?))).await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |message| (message.created_at, message.id.0));
    actor.trail.note_shown(rows.iter().filter_map(|message| message.patient_id));
    let items = rows.into_iter().map(|message| MessageDto::of(&env, message, country)).collect::<Result<_>>()?;
    Ok(HttpResponse::Ok().json(MessagePage { items, next_cursor }))
}

/// Send a message again
///
/// For one that failed, or that the recipient says never came. It is tried at once, with the words of today's templates
/// and the facts of the day it was written: a link in it may have expired since. What is no longer true of an appointment,
/// or no longer for this address, is not sent: `POST /v1/appointments/{id}/links` mails an appointment as it stands now to
/// everybody who is told of it now.
#[utoipa::path(
    tag = "messages",
    operation_id = "resend_message",
    security(("bearer" = [])),
    params(
        ("id" = MessageId, Path, description = "The message's id"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "Makes a repeat of this request harmless"),
    ),
    responses(
        (status = 202, description = "It is on its way", body = MessageDto),
        (status = 409, description = "`message_pending`: it has not gone out yet and is tried by itself; \
            `message_to_phone`: there is no address that it could be sent to; `message_done`: staff settled it by hand, or a newer message \
            about the same appointment took its place; \
            `message_superseded`: its appointment has changed since, or there is a newer message about it to this address; \
            `recipient_changed`: nobody is told of this patient at this address any more, as access was taken back or has \
            ended, or the address was changed; \
            `request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/messages/{id}/resend")]
async fn resend(env: web::Data<Env>, actor: Actor, id: PathId<MessageId>, key: IdempotencyKey) -> Result<HttpResponse> {
    actor.require(Action::MessageManage)?;
    let id = id.0;
    let request = idempotency::Request::of(&actor, format!("resend_message {id}"), key, &[]);
    let inner = env.clone();
    idempotency::run(&env, request, move |tx| {
        let message = store::resend(tx, &inner, id)?;
        record(tx, &inner, &actor, &message)?;
        inner.mail_written.notify_one();
        Answer::json(202, &MessageDto::of(&inner, message, Country::of_clinic(tx)?)?)
    })
    .await
}

/// Writes down what was done with a message.
fn record(tx: &mut Conn, env: &Env, actor: &Actor, message: &Message) -> Result<()> {
    if let Some(patient) = message.patient_id {
        actor.trail.note_patient(patient);
    }
    audit::record(tx, env, &actor.trail, message.id.0)
}

/// What there is to note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "Told his wife, who will pass it on."}))]
struct MessageDone {
    /// For the clinic only; stored sealed.
    #[schema(min_length = 1, max_length = 1000)]
    note: Option<String>,
}

impl MessageDone {
    fn parse(self) -> Result<Option<String>> {
        let mut check = Check::new();
        let note = self.note.and_then(|note| check.field("/note", text::lines(&note, 1000)));
        check.done()?;
        Ok(note)
    }
}

/// Mark a message as seen to by hand
///
/// For a call that was made, and for a failed mail whose reader was told otherwise. It leaves the desk's list; who did it
/// and when is kept. What tells of an access to a patient's record is seen to by another member of the staff than the one who gave
/// the access.
#[utoipa::path(
    tag = "messages",
    operation_id = "complete_message",
    security(("bearer" = [])),
    params(("id" = MessageId, Path, description = "The message's id")),
    request_body = MessageDone,
    responses(
        (status = 200, description = "Done", body = MessageDto),
        (status = 403, description = "`role_forbidden`: the role may not do this at all. `second_factor_required`: the account must set up \
            its second factor first. `second_person_required`: the caller gave the access that this message tells of"),
        (status = 409, description = "`message_not_open`: it was mailed, is still to be mailed, or was done before"),
    ),
)]
#[post("/v1/messages/{id}/done")]
async fn done(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<MessageId>,
    body: Body<MessageDone>,
) -> Result<HttpResponse> {
    actor.require(Action::MessageManage)?;
    let (shared, note) = (env.clone(), body.value.parse()?);
    let dto = env
        .db
        .write(move |tx| {
            let message = store::done(tx, &shared, &actor, id.0, note.as_ref())?;
            record(tx, &shared, &actor, &message)?;
            MessageDto::of(&shared, message, Country::of_clinic(tx)?)
        })
        .await?;
    Ok(HttpResponse::Ok().json(dto))
}
