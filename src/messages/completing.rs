//! Completing a message without a mail: staff called the recipient.

use std::collections::HashSet;

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{Message, MessageKind, MessageStatus};
use super::view::{self, MAX_OTHER_CALLS, MessageView, note_place};
use super::{outbox, second_person};
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::db::schema::messages;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::{Body, PathId, response};
use crate::ids::MessageId;

/// The completion of a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "Told his wife, who will pass it on."}))]
pub struct CompleteMessageRequest {
    /// A note for the clinic. It is stored encrypted.
    #[schema(min_length = 1, max_length = 1000)]
    note: Option<String>,
    /// Other calls to the same number that were made in the same call (`other_calls` of the message), at most 20. They are completed with
    /// the same note.
    #[serde(default)]
    #[schema(max_items = 20, default = json!([]))]
    also: Vec<MessageId>,
}

impl CompleteMessageRequest {
    fn checked(self, id: MessageId) -> Result<(Option<String>, Vec<MessageId>)> {
        let mut check = Check::new();
        let note = self.note.and_then(|note| check.field("/note", text::lines(&note, text::MAX_NOTE)));
        let fits = self.also.len() <= MAX_OTHER_CALLS;
        check.require(fits, "/also", FieldCode::TooMany, format!("must name at most {MAX_OTHER_CALLS} messages"));
        let mut seen = HashSet::from([id]);
        for (index, other) in self.also.iter().enumerate() {
            let detail = "must not be named before, nor be the message in the path";
            check.require(seen.insert(*other), format!("/also/{index}"), FieldCode::Duplicate, detail);
        }
        check.done()?;
        Ok((note, self.also))
    }
}

/// Completes a message that waits for a call, or whose mail failed, with other calls to its number.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `message_not_open` and `other_number`; `second_person_required`.
pub async fn complete(context: &Context, id: MessageId, completion: CompleteMessageRequest) -> Result<MessageView> {
    context.require(Action::MessageManage)?;
    let (note, also) = completion.checked(id)?;
    context
        .change(move |tx| {
            let message = store(tx, id, note.as_ref())?;
            for other in &also {
                let other = store(tx, *other, note.as_ref())?;
                if other.recipient.phone.is_none() || other.recipient.phone != message.recipient.phone {
                    let detail = "A message in `also` is for another number. Complete it by itself.";
                    return Err(Error::conflict(ProblemCode::OtherNumber, detail));
                }
                tx.audit.note_shown(other.patient_id);
            }
            if let Some(patient) = message.patient_id {
                tx.audit.note_patient(patient);
            }
            view::show_one(tx.conn, tx.env, message)
        })
        .await
}

fn store(tx: &mut Tx, id: MessageId, note: Option<&String>) -> Result<Message> {
    let message = outbox::find(tx.conn, id)?;
    if !matches!(message.status, MessageStatus::ToPhone | MessageStatus::Failed) {
        let detail = "The message was mailed, is still to be mailed, or was completed before.";
        return Err(Error::conflict(ProblemCode::MessageNotOpen, detail));
    }
    require_second_person(tx, &message)?;
    let note = note.map(|note| tx.env.sealer.seal(note_place(id), note)).transpose()?;
    let changed = diesel::update(messages::table.find(id).filter(messages::status.eq(message.status)))
        .set((
            messages::status.eq(MessageStatus::Done),
            messages::done_at.eq(Some(tx.now)),
            messages::done_by.eq(Some(tx.actor.user_id)),
            messages::note.eq(note),
            messages::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    if changed == 0 {
        // Another transaction changed it at the same time.
        return Err(Error::Retry);
    }
    outbox::find(tx.conn, id)
}

/// Requires that the patient is told of an access by another staff member than the one who granted it. Otherwise one person
/// could grant access and suppress the notice.
fn require_second_person(tx: &mut Tx, message: &Message) -> Result<()> {
    if message.kind != MessageKind::AccessGiven {
        return Ok(());
    }
    let mail = outbox::open(tx.env, message.id, &message.payload)?;
    let Some(giver) = mail.access().and_then(|access| access.given_by) else { return Ok(()) };
    if second_person::is_same(tx.conn, giver, tx.actor.user_id)? {
        let detail =
            "You granted the access that this message is about. Another member of the staff must make this call.";
        return Err(Error::forbidden(ProblemCode::SecondPersonRequired, detail));
    }
    Ok(())
}

/// Complete a message without a mail
///
/// For a call that was made, and for a failed mail whose recipient staff informed in another way. `also` completes other calls to the same
/// number, all or none: a patient with two visits, or a family, is called once. The message leaves the lists of open
/// messages; the account, the time and the note are stored. A message about an access to a patient's record must be completed by another
/// member of the staff than the one who granted the access.
#[utoipa::path(
    tag = "messages",
    operation_id = "complete_message",
    security(("bearer" = [])),
    params(("id" = MessageId, Path, description = "The message")),
    request_body = CompleteMessageRequest,
    responses(
        (status = 200, description = "Completed", body = MessageView),
        (status = 403, description = "`second_person_required`: the caller granted the access that this message is about"),
        (status = 409, description = "`message_not_open`: it was mailed, is still to be mailed, or was completed before. \
            `other_number`: a message in `also` is for another number"),
    ),
)]
#[post("/v1/messages/{id}/complete")]
pub(super) async fn complete_message(
    context: Context,
    PathId(id): PathId<MessageId>,
    body: Body<CompleteMessageRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&complete(&context, id, body.value).await?))
}
