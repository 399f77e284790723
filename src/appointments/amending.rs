//! Changing an appointment's note and its identifiers.

use actix_web::{HttpResponse, patch};
use serde::Deserialize;
use utoipa::ToSchema;

use super::appointment::{Appointment, AppointmentDetails, note_place};
use super::history;
use super::queries;
use super::status::AppointmentStep;
use super::store;
use super::view::AppointmentView;
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::error::{Check, Result};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::response::{self, Versioned};
use crate::http::{Patch, PathId};
use crate::identifiers::{self, Identifier, Identifiers};
use crate::ids::AppointmentId;

/// A change of an appointment. Members that are not sent keep their value, `null` deletes it.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"identifiers": [{"system": "https://ehr.example/visits", "value": "V-2291"}]}))]
pub struct AppointmentPatch {
    /// The identifiers that other systems use for it. Replaces the whole list.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Identifier>>, max_items = 20)]
    identifiers: Change<Identifiers>,
    /// What the clinic should know before the visit, at most 1000 characters. The patient sees it as well.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1000)]
    note: Change<String>,
}

impl AppointmentPatch {
    fn checked(mut self) -> Result<Self> {
        let mut check = Check::new();
        if let Change::Set(note) = &mut self.note {
            *note = check.field("/note", text::lines(note, text::MAX_NOTE)).unwrap_or_default();
        }
        if let Change::Set(identifiers) = &mut self.identifiers {
            *identifiers = std::mem::take(identifiers).read("/identifiers", &mut check).unwrap_or_default();
        }
        check.done()?;
        Ok(self)
    }
}

/// Changes an appointment's note or identifiers.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflict `identifier_taken`.
pub async fn amend(
    context: &Context,
    id: AppointmentId,
    if_match: IfMatch,
    patch: AppointmentPatch,
) -> Result<Versioned<AppointmentView>> {
    context.require(Action::AppointmentAmend)?;
    let if_match = if_match.required()?;
    let patch = patch.checked()?;
    context
        .change(move |tx| {
            let found = queries::lock(tx, id)?;
            if_match.check(found.appointment.version)?;
            let amended = apply(tx, found, &patch)?;
            AppointmentView::versioned(tx, amended)
        })
        .await
}

/// Stores what the patch changes. A patch without changes keeps the version.
fn apply(tx: &mut Tx, found: AppointmentDetails, patch: &AppointmentPatch) -> Result<AppointmentDetails> {
    let was = found.appointment.clone();
    let place = note_place(was.id);
    let old = was.note.as_ref().map(|note| tx.env.sealer.open(place, note)).transpose()?;
    let mut note = old.clone();
    patch.note.clone().apply(&mut note);
    let identifiers = match &patch.identifiers {
        Change::Keep => was.identifiers.clone(),
        Change::Clear => Identifiers::default(),
        Change::Set(identifiers) => identifiers.clone(),
    };
    if (&note, &identifiers) == (&old, &was.identifiers) {
        return Ok(found);
    }
    if identifiers != was.identifiers {
        identifiers::set_for_appointment(tx.conn, was.id, &identifiers)?;
    }
    let note = note.map(|note| tx.env.sealer.seal(place, &note)).transpose()?;
    let change = history::Change { step: AppointmentStep::Amend, from: Some(was.status), reason: None };
    let appointment = store::update(tx, change, Appointment { note, identifiers, ..was })?;
    Ok(AppointmentDetails { appointment, ..found })
}

/// Change an appointment's note or identifiers
///
/// Staff only. Allowed in every status. Does not notify the patient. Use `reschedule` to change the time. A patch without changes
/// keeps the version.
#[utoipa::path(
    tag = "appointments",
    operation_id = "update_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = String, Header),
    ),
    request_body(content = AppointmentPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed appointment", body = AppointmentView),
        (status = 409, description = "`identifier_taken`: another appointment has an identifier; `pointer` names the identifier, `taken_by` the appointment"),
    ),
)]
#[patch("/v1/appointments/{id}")]
pub(super) async fn update_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    Patch(patch): Patch<AppointmentPatch>,
) -> Result<HttpResponse> {
    let amended = amend(&context, id, if_match, patch).await?;
    Ok(response::versioned(&amended))
}
