//! The endpoints: the staff see what was mailed and have it sent again.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::model::{Message, MessageKind, MessageStatus};
use super::store;
use crate::actor::{Action, Actor};
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::Result;
use crate::http::idempotency::{self, Answer, IdempotencyKey};
use crate::http::{Cursor, Limit, Params, PathId};
use crate::ids::{AppointmentId, MessageId, PatientId};

/// The endpoints of this department.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(resend);
}

/// An outgoing e-mail as the staff see it: to whom, about what, and how it fares; never its words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "kind": "appointment_booked", "status": "failed",
    "recipient": "ann@example.org", "patient_id": "0199d0c2-7a00-7000-8000-000000000001",
    "appointment_id": "0199d0c2-7a00-7000-8000-000000000002", "attempts": 1, "last_error": "smtp_550",
    "created_at": "2026-03-02T14:00:00Z", "due_at": "2026-03-02T14:01:30Z", "sent_at": null
}))]
pub struct MessageDto {
    /// The message's id.
    id: MessageId,
    /// What it is about.
    kind: MessageKind,
    /// Where it stands.
    status: MessageStatus,
    /// The e-mail address.
    recipient: String,
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
}

impl From<&Message> for MessageDto {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            kind: message.kind,
            status: message.status,
            recipient: message.recipient.clone(),
            patient_id: message.patient_id,
            appointment_id: message.appointment_id,
            attempts: message.attempts,
            last_error: message.last_error.clone(),
            created_at: message.created_at,
            due_at: message.due_at,
            sent_at: message.sent_at,
        }
    }
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "kind": "verify_email", "status": "sent",
    "recipient": "ann@example.org", "patient_id": null, "appointment_id": null, "attempts": 1, "last_error": null,
    "created_at": "2026-03-02T14:00:00Z", "due_at": "2026-03-02T14:01:30Z", "sent_at": "2026-03-02T14:00:01Z"
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
/// Every e-mail that the service wrote, the newest first. `status=failed` is the desk's list of people to call: their
/// mail did not go out and will not be tried again by itself.
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
    let rows = env.db.read(move |conn| store::list(conn, status, after, limit)).await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |message| (message.created_at, message.id.0));
    Ok(HttpResponse::Ok().json(MessagePage { items: rows.iter().map(MessageDto::from).collect(), next_cursor }))
}

/// Send a message again
///
/// For one that failed, or that the recipient says never came. It is tried at once, with the words of today's templates
/// and the facts of the day it was written: a link in it may have expired since.
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
            `request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/messages/{id}/resend")]
async fn resend(env: web::Data<Env>, actor: Actor, id: PathId<MessageId>, key: IdempotencyKey) -> Result<HttpResponse> {
    actor.require(Action::MessageManage)?;
    let id = id.0;
    let request =
        idempotency::Request { actor: Some(actor.user_id), operation: format!("resend_message {id}"), key, body: &[] };
    let inner = env.clone();
    idempotency::run(&env, request, move |tx| {
        let message = store::resend(tx, id, inner.now())?;
        inner.mail_written.notify_one();
        Answer::json(202, &MessageDto::from(&message))
    })
    .await
}
