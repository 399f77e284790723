//! The link in a reminder with which its reader switches reminders off, or on again.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::appointments::link_tokens::{self, LinkPurpose};
use crate::context::{Anonymous, Context};
use crate::error::Result;
use crate::http::{Body, response};
use crate::patients;

/// Whether the patient of a reminder gets reminders.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "reminders_wanted": false}))]
pub struct ChangeReminderPreferenceRequest {
    /// The `token` in the link.
    #[schema(max_length = 128)]
    pub token: String,
    /// Whether reminders are sent.
    pub reminders_wanted: bool,
}

/// Switches the reminders of the patient of a reminder on or off. A repeat changes nothing.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn set(context: &Context<Anonymous>, preference: ChangeReminderPreferenceRequest) -> Result<()> {
    context
        .change(move |tx| {
            let token = &preference.token;
            let (_, patient) = link_tokens::look_up_for_change(tx, LinkPurpose::Reminders, token)?;
            patients::store::lock_record(tx.conn, patient)?;
            // Again, under the lock: a merge, or its undo, may have given the visit to another patient meanwhile.
            let (_, owner) = link_tokens::look_up(tx, LinkPurpose::Reminders, token)?;
            patients::store::require_same_owner(patient, owner)?;
            tx.audit.note_patient(patient);
            patients::store::set_reminders_wanted(tx.conn, patient, preference.reminders_wanted, tx.now)
        })
        .await
}

/// Switch reminders off by a link
///
/// Takes the token of the link in a reminder (`/reminders?token=…`, also in its `List-Unsubscribe`). It sets `reminders_wanted` of the
/// patient's record, for all appointments. Mails about a booking, a move or a cancellation are still sent. The link also
/// works after the visit. It ends as the links to the visit do: with the access of the account to which it was mailed, when its recipient has
/// another address, and when staff end the links of the appointment. A repeat changes nothing.
#[utoipa::path(
    tag = "appointments",
    operation_id = "change_reminder_preference",
    request_body = ChangeReminderPreferenceRequest,
    responses(
        (status = 204, description = "The preference is stored"),
        (status = 404, description = "`not_found`: the link does not work"),
    ),
)]
#[post("/v1/reminder-preferences")]
pub(in crate::appointments) async fn change_reminder_preference(
    context: Context<Anonymous>,
    body: Body<ChangeReminderPreferenceRequest>,
) -> Result<HttpResponse> {
    set(&context, body.value).await?;
    Ok(response::no_content())
}
