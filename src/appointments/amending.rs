//! What the staff add to an appointment without moving it: its note, and what other systems call it.

use actix_web::{HttpResponse, patch, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::dto::{AppointmentDto, NOTE};
use super::model::AppointmentStep;
use super::store::{self, Appointment, Shown};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::etag::{self, IfMatch};
use crate::http::input::Change;
use crate::http::{Patch, PathId};
use crate::identifiers::{self, Identifier, Identifiers};
use crate::ids::AppointmentId;
use crate::text;

/// What to change of an appointment; what is not there stays, `null` takes away.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"identifiers": [{"system": "https://ehr.example/visits", "value": "V-2291"}]}))]
pub struct AppointmentPatch {
    /// The numbers that other systems have for it; the list is replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Identifier>>, max_items = 20)]
    identifiers: Change<Identifiers>,
    /// What the clinic should know beforehand. The patient sees it as well.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1000)]
    note: Change<String>,
}

impl AppointmentPatch {
    fn read(mut self) -> Result<Self> {
        let mut check = Check::new();
        if let Change::Set(note) = &mut self.note {
            *note = check.field("/note", text::lines(note, NOTE)).unwrap_or_default();
        }
        if let Change::Set(identifiers) = &mut self.identifiers {
            *identifiers = std::mem::take(identifiers).read("/identifiers", &mut check).unwrap_or_default();
        }
        check.done()?;
        Ok(self)
    }
}

/// Change an appointment's note or identifiers
///
/// For staff, however the appointment stands. The patient gets no mail. To another time it is moved by `reschedule`. A patch
/// that changes nothing leaves the version.
#[utoipa::path(
    tag = "appointments",
    operation_id = "update_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = String, Header, description = "The ETag of the version that was read"),
    ),
    request_body(content = AppointmentPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The appointment as it is now", body = AppointmentDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`identifier_taken`: another appointment has an identifier, `pointer` says which, `taken_by` which appointment"),
    ),
)]
#[patch("/v1/appointments/{id}")]
pub async fn amend_appointment(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    body: Patch<AppointmentPatch>,
) -> actix_web::Result<HttpResponse> {
    actor.require(Action::AppointmentAmend)?;
    let if_match = if_match.required()?;
    let patch = body.0.read()?;
    let shared = env.clone();
    let (version, dto) = env
        .db
        .write(move |tx| {
            let shown = amend(tx, &shared, &actor, id.0, &if_match, &patch)?;
            audit::record(tx, &shared, &actor.trail, id.0.0)?;
            Ok((shown.appointment.version, AppointmentDto::new(&shared, &actor, shown)?))
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(dto))
}

fn amend(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: AppointmentId,
    if_match: &IfMatch,
    patch: &AppointmentPatch,
) -> Result<Shown> {
    let shown = store::lock(tx, env, actor, id)?;
    let was = shown.appointment.clone();
    if_match.check(was.version)?;
    let place = store::note_place(id);
    let old = was.note.as_ref().map(|note| env.sealer.open(place, note)).transpose()?;
    let mut note = old.clone();
    patch.note.clone().apply(&mut note);
    let identifiers = match &patch.identifiers {
        Change::Keep => was.identifiers.clone(),
        Change::Clear => Identifiers::default(),
        Change::Set(identifiers) => identifiers.clone(),
    };
    if (&note, &identifiers) == (&old, &was.identifiers) {
        return Ok(shown);
    }
    if identifiers != was.identifiers {
        identifiers::set_for_appointment(tx, id, &identifiers)?;
    }
    let note = note.map(|note| env.sealer.seal(place, &note)).transpose()?;
    let change =
        store::Change { step: AppointmentStep::Amend, from: Some(was.status), reason: None, by: Some(actor.user_id) };
    let appointment = store::update(tx, env, &change, Appointment { note, identifiers, ..was })?;
    Ok(Shown { appointment, ..shown })
}
