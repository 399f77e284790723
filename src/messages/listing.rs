//! Listing messages.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{Message, MessageStatus};
use super::queue::has_status;
use super::view::{self, MessageView};
use crate::actor::{Action, Role};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::{messages, patient_access, users};
use crate::env::Env;
use crate::error::Result;
use crate::http::paging::{Direction, Page, PageParams, in_order, next_pass, sort_options};
use crate::http::{Params, response};
use crate::ids::{AppointmentId, MessageId, PatientId};

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "kind": "verify_email", "status": "sent",
    "recipient": {"name": null, "email": "ann@example.org", "phone": null, "phone_display": null, "language": "en"}, "to_say": null,
    "other_calls": [], "patient_id": null, "appointment_id": null, "attempts": 1, "last_error": null, "created_at": "2026-03-02T14:00:00Z",
    "due_at": "2026-03-02T14:01:30Z", "sent_at": "2026-03-02T14:00:01Z", "done": null, "updated_at": "2026-03-02T14:00:01Z"
}], "next_cursor": null, "next_updated_since": null}))]
pub struct MessagePage {
    /// The messages, newest first by default; with `updated_since` by the time of their last change.
    pub items: Vec<MessageView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The `updated_since` of the next pass through the changes. On the first page of a pass only.
    next_updated_since: Option<Timestamp>,
}

/// The filter of a list of messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageFilter {
    /// The status.
    status: Option<MessageStatus>,
    /// The patient whom the messages are about.
    patient_id: Option<PatientId>,
    /// The earliest last change, inclusive. The list is then sorted by the last change, the oldest first. The next pass starts with the
    /// `next_updated_since` of the first page.
    updated_since: Option<Timestamp>,
    /// The order. Default: `-created_at`, newest first. `-created_at` is not possible with `updated_since`.
    #[param(inline)]
    sort: Option<MessageSort>,
}

sort_options! {
    /// The order of a list of messages.
    MessageSort by "created_at" or "-created_at"
}

impl MessageFilter {
    /// The name of the list and its order in cursors.
    fn list(&self) -> &'static str {
        if self.updated_since.is_some() { "messages-changes" } else { "messages" }
    }
}

/// Lists messages, newest first by default.
pub async fn list(context: &Context, filter: MessageFilter, page: PageParams) -> Result<MessagePage> {
    context.require(Action::MessageManage)?;
    let direction = Direction::of_list(filter.sort, Direction::Descending, filter.updated_since)?;
    let page = page.sorted(filter.list(), direction)?;
    let next_updated_since = next_pass(context.env.now(), filter.updated_since, page.after.as_ref());
    context
        .read(move |tx| {
            let (found, next_cursor) = load(tx.conn, &filter, &page)?;
            tx.audit.note_shown(found.iter().filter_map(|message| message.patient_id));
            tx.audit.note_shown(patients_of_accounts(tx.conn, &found)?);
            Ok(MessagePage { items: view::show(tx.conn, tx.env, found)?, next_cursor, next_updated_since })
        })
        .await
}

/// The patients to whose records the accounts of mails have access that name no patient. Such a mail shows the address at which the patient
/// is reached, so the audit event names them.
fn patients_of_accounts(conn: &mut Conn, messages: &[Message]) -> Result<Vec<PatientId>> {
    let mails = messages.iter().filter(|message| message.patient_id.is_none());
    let addresses: Vec<String> = mails.filter_map(|mail| Some(mail.recipient.email.as_ref()?.to_lowercase())).collect();
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let patients = users::table
        .inner_join(patient_access::table.on(patient_access::user_id.eq(users::id)))
        .filter(users::email_key.eq_any(addresses))
        .filter(users::role.eq(Role::Patient))
        .select(patient_access::patient_id)
        .distinct();
    Ok(patients.load(conn)?)
}

/// Loads the calls to make about these appointments, oldest first. The caller must have the permission for messages.
pub fn calls_about(conn: &mut Conn, env: &Env, appointments: &[AppointmentId]) -> Result<Vec<MessageView>> {
    if appointments.is_empty() {
        return Ok(Vec::new());
    }
    let about = messages::table.filter(messages::appointment_id.eq_any(appointments.to_vec()));
    let mut found: Vec<Message> = about.select(Message::as_select()).load(conn)?;
    // Not in the query: an appointment has few messages, and the index of waiting calls would read those of all appointments.
    found.retain(|message| message.status == MessageStatus::ToPhone);
    found.sort_by_key(|message| (message.created_at, message.id));
    view::show(conn, env, found)
}

fn load(conn: &mut Conn, filter: &MessageFilter, page: &Page) -> Result<(Vec<Message>, Option<String>)> {
    let mut query = messages::table.into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(has_status(status));
    }
    if let Some(patient) = filter.patient_id {
        query = query.filter(messages::patient_id.eq(patient));
    }
    if let Some(since) = filter.updated_since {
        query = query.filter(messages::updated_at.ge(page.after.map_or(since, |after| after.at.max(since))));
        let query = in_order!(query, page, messages::updated_at, messages::id, MessageId);
        let found: Vec<Message> = query.select(Message::as_select()).load(conn)?;
        return Ok(page.cut(found, |message| (message.updated_at, message.id.0)));
    }
    let query = in_order!(query, page, messages::created_at, messages::id, MessageId);
    let found: Vec<Message> = query.select(Message::as_select()).load(conn)?;
    Ok(page.cut(found, |message| (message.created_at, message.id.0)))
}

/// List outgoing messages
///
/// Lists all messages, newest first by default. `status=to_phone` lists the calls that staff must make to recipients without an e-mail address,
/// with the telephone number and the text to say. `status=failed` lists the mails that the service could not send and does not retry.
/// With `updated_since` the list is sorted by the last change. Start each pass with the `next_updated_since` of the first page of the previous
/// pass, and you miss no change.
#[utoipa::path(
    tag = "messages",
    operation_id = "list_messages",
    security(("bearer" = [])),
    params(MessageFilter, PageParams),
    responses((status = 200, description = "A page of messages", body = MessagePage)),
)]
#[get("/v1/messages")]
pub(super) async fn list_messages(
    context: Context,
    Params(filter): Params<MessageFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}
