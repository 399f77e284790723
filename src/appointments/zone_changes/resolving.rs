//! Keeping the promised local times of visits after a change of their zone, or of its law: each moves to the instant that shows its time now.

use std::collections::HashSet;

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actor::Action;
use crate::appointments::promise::Promise;
use crate::appointments::queries;
use crate::appointments::rescheduling::{RescheduleAppointmentRequest, move_to};
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::{appointments, locations};
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::etag::IfMatch;
use crate::http::{Body, response};
use crate::ids::{AppointmentId, PractitionerId};
use crate::scheduling::hours::publishing;
use crate::scheduling::slots::{locking, slot};

/// The largest number of appointments of a request. Each is a transaction of its own.
const MAX_APPOINTMENTS: usize = 50;
/// The operation of the moves' audit events.
const OPERATION: &str = "resolve_zone_changes";

/// The appointments whose promised local times are kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"appointment_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"]}))]
pub struct ResolveZoneChangesRequest {
    /// Appointments whose `attention` is `zone_changed`, at most 50.
    #[schema(min_items = 1, max_items = 50)]
    pub appointment_ids: Vec<AppointmentId>,
}

/// The result for the appointments of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "kept": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"],
    "unresolved": [{
        "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "code": "slot_taken",
        "detail": "The slot is not free any more."
    }]
}))]
pub struct ZoneChangeResolution {
    /// The appointments that keep their promised local time. Each patient got a mail with the new calendar entry.
    pub kept: Vec<AppointmentId>,
    /// The appointments that are as before.
    pub unresolved: Vec<UnresolvedZoneChange>,
}

/// An appointment that could not keep its promised local time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "code": "slot_taken", "detail": "The slot is not free any more."
}))]
pub struct UnresolvedZoneChange {
    /// The appointment.
    pub appointment_id: AppointmentId,
    /// Why: a code of the conflicts of `POST /v1/appointments/{id}/reschedule`, `zone_unchanged` or `not_found`.
    #[schema(examples("slot_taken"))]
    pub code: String,
    /// For a person.
    pub detail: String,
}

/// A visit to move, with the instant that shows its promised time.
#[derive(Clone, Copy)]
struct Shift {
    id: AppointmentId,
    practitioner: PractitionerId,
    from: Timestamp,
    to: Timestamp,
}

/// Why an appointment needs no decision.
pub(super) fn unaffected() -> Error {
    Error::conflict(
        ProblemCode::ZoneUnchanged,
        "The start of the appointment shows the promised local time. There is nothing to decide.",
    )
}

fn skipped() -> Error {
    Error::conflict(
        ProblemCode::SlotTaken,
        "The clock at the location now skips the promised local time. Move the appointment, or accept its new local time.",
    )
}

/// Moves each appointment to the instant that shows its promised local time, if the practitioner is free then. Each move is one
/// transaction with its audit event and mail, by the rules of every move.
///
/// # Errors
/// A broken rule of the list. What hinders a single move is in the result.
pub async fn resolve(context: &Context, ids: Vec<AppointmentId>) -> Result<ZoneChangeResolution> {
    context.require(Action::AppointmentProgress)?;
    let mut check = Check::new();
    let fits = (1..=MAX_APPOINTMENTS).contains(&ids.len());
    check.require(fits, "/appointment_ids", FieldCode::OutOfRange, "must have 1 to 50 appointments");
    check.done()?;
    let mut resolution = ZoneChangeResolution { kept: Vec::new(), unresolved: Vec::new() };
    let wanted: HashSet<AppointmentId> = ids.into_iter().collect();
    let mut open = Vec::new();
    for (id, shift) in context.read(move |tx| shifts(tx, wanted)).await? {
        match shift {
            Ok(shift) => open.push(shift),
            Err(error) => resolution.unresolved.push(unresolved(id, error)?),
        }
    }
    // A visit may move into the time that another one leaves, so the foremost in the direction of its move goes first.
    open.sort_by_key(|shift| if shift.to > shift.from { -shift.from.as_micros() } else { shift.from.as_micros() });
    let mut published = HashSet::new();
    loop {
        let mut hindered = Vec::new();
        for shift in &open {
            match keep(context, *shift, &mut published).await {
                Ok(()) => resolution.kept.push(shift.id),
                Err(error) => hindered.push((*shift, error)),
            }
        }
        // Others may have left their times meanwhile.
        if hindered.is_empty() || hindered.len() == open.len() {
            for (shift, error) in hindered {
                resolution.unresolved.push(unresolved(shift.id, error)?);
            }
            // Each move has stored its event.
            if resolution.kept.is_empty() {
                context.audit.note_unchanged();
            } else {
                context.audit.note_recorded();
            }
            return Ok(resolution);
        }
        open = hindered.into_iter().map(|(shift, _)| shift).collect();
    }
}

/// Reports what hinders a move. A fault of the service ends the request; the moves until then are stored.
fn unresolved(appointment_id: AppointmentId, error: Error) -> Result<UnresolvedZoneChange> {
    let (code, detail) = match error {
        Error::Conflict(conflict) => (conflict.code.to_string(), conflict.detail),
        Error::NotFound => ("not_found".to_owned(), "There is no such appointment.".to_owned()),
        other => return Err(other),
    };
    Ok(UnresolvedZoneChange { appointment_id, code, detail })
}

/// Loads the appointments with the instants that show their promised times.
fn shifts(tx: &mut Tx, ids: HashSet<AppointmentId>) -> Result<Vec<(AppointmentId, Result<Shift>)>> {
    let rows: Vec<(AppointmentId, PractitionerId, Timestamp, String, Promise)> = appointments::table
        .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
        .filter(appointments::id.eq_any(ids.iter().copied().collect::<Vec<_>>()))
        .select((
            appointments::id,
            appointments::practitioner_id,
            appointments::starts_at,
            locations::time_zone,
            Promise::as_select(),
        ))
        .load(tx.conn)?;
    let mut found = Vec::new();
    for (id, practitioner, from, zone, promise) in rows {
        let shift = match promise.zone_changed_since {
            None => Err(unaffected()),
            Some(_) => promise
                .instant(&zone, &tx.env.config.zones)?
                .map(|to| Shift { id, practitioner, from, to })
                .ok_or_else(skipped),
        };
        found.push((id, shift));
    }
    let known: HashSet<AppointmentId> = found.iter().map(|(id, _)| *id).collect();
    found.extend(ids.into_iter().filter(|id| !known.contains(id)).map(|id| (id, Err(Error::NotFound))));
    Ok(found)
}

/// Moves one visit. If there is no slot at the new instant, publishes the practitioner's plan once and tries again: slots that visits have
/// left may have given way to others.
async fn keep(context: &Context, shift: Shift, published: &mut HashSet<PractitionerId>) -> Result<()> {
    if try_keep(context, shift).await? {
        return Ok(());
    }
    if published.insert(shift.practitioner) {
        publishing::publish_one(&context.env, shift.practitioner).await?;
        if try_keep(context, shift).await? {
            return Ok(());
        }
    }
    Err(slot::slot_gone())
}

/// Moves one visit, and returns whether there was a slot at the new instant.
async fn try_keep(context: &Context, shift: Shift) -> Result<bool> {
    let each = context.aside(OPERATION, shift.id.0);
    each.change(move |tx| {
        let found = queries::lock(tx, shift.id)?;
        let visit = &found.appointment;
        if visit.promise.zone_changed_since.is_none() {
            return Err(unaffected());
        }
        let at = locking::starting_at(tx.conn, visit.practitioner_id, visit.location_id, shift.to)?;
        let Some(slot_id) = at else {
            tx.unchanged()?;
            return Ok(false);
        };
        let to = RescheduleAppointmentRequest {
            slot_id,
            hold_id: None,
            hold_secret: None,
            ignore_gaps: true,
            overbook: None,
            patient_informed: false,
        };
        move_to(tx, shift.id, &IfMatch::any(), &to)?;
        Ok(true)
    })
    .await
}

/// Keep the promised local times of appointments
///
/// Staff only. For appointments whose `attention` is `zone_changed`, because the law of their time zone or the zone of their location
/// changed: moves each to the instant that shows the promised local time, if the practitioner is free then. Each such patient gets a mail
/// with the new calendar entry. The others stay as they are, with the reason. Decide those one by one: move them with `POST
/// /v1/appointments/{id}/reschedule`, or keep their start with `POST /v1/appointments/{id}/accept-time`. A repeat of the request reports
/// the appointments that were moved as `zone_unchanged`.
#[utoipa::path(
    tag = "appointments",
    operation_id = "resolve_zone_changes",
    security(("bearer" = [])),
    request_body = ResolveZoneChangesRequest,
    responses((status = 200, description = "The result for the appointments", body = ZoneChangeResolution)),
)]
#[post("/v1/zone-changes/resolve")]
pub(in crate::appointments) async fn resolve_zone_changes(
    context: Context,
    body: Body<ResolveZoneChangesRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&resolve(&context, body.value.appointment_ids).await?))
}
