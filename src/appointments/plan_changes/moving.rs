//! Moving many visits at once, each by the rules of a single move.

use std::collections::HashSet;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::affected::MAX_VISITS;
use crate::actor::Action;
use crate::appointments::overbooking;
use crate::appointments::rescheduling::{RescheduleAppointmentRequest, move_to};
use crate::clock::Timestamp;
use crate::context::{Context, Once};
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::etag::IfMatch;
use crate::http::{Body, IdempotencyKey, response};
use crate::ids::{AppointmentId, LocationId, PractitionerId, SlotId};
use crate::messages::outbox;

/// The operation of the moves' audit events.
const OPERATION: &str = "reschedule_appointments";

/// The visits to move.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"moves": [{
    "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "version": 1, "slot_id": "0199d0c2-1f00-7aaa-8000-000000000007"
}]}))]
pub struct RescheduleAppointmentsRequest {
    /// The moves, at most 100, each of another appointment.
    #[schema(min_items = 1, max_items = 100)]
    pub moves: Vec<AppointmentMove>,
}

/// A visit and its new time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "version": 1, "slot_id": "0199d0c2-1f00-7aaa-8000-000000000007"
}))]
pub struct AppointmentMove {
    /// The appointment.
    pub appointment_id: AppointmentId,
    /// The version that you read, the number in its `ETag`. An appointment that has changed since is not moved.
    pub version: i32,
    /// The slot in which the visit starts. Practitioner and location may be others than before.
    pub slot_id: SlotId,
    /// Whether the days to the other visits of its series are ignored.
    #[serde(default)]
    #[schema(default = false)]
    pub ignore_gaps: bool,
}

/// The result of each move.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "moved": [{
        "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "version": 2, "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
        "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z"
    }],
    "not_moved": [{
        "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "code": "slot_taken", "detail": "The slot is not free any more."
    }]
}))]
pub struct RescheduledAppointments {
    /// The appointments that have their new time, in the order of the request. Each patient got a mail, or is on the list of calls.
    pub moved: Vec<MovedAppointment>,
    /// The appointments that are as before, in the order of the request.
    pub not_moved: Vec<UnmovedAppointment>,
}

/// An appointment that was moved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "version": 2, "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z"
}))]
pub struct MovedAppointment {
    /// The appointment.
    pub appointment_id: AppointmentId,
    /// Its version after the move.
    pub version: i32,
    /// The practitioner after the move.
    pub practitioner_id: PractitionerId,
    /// The location after the move.
    pub location_id: LocationId,
    /// The new start.
    pub starts_at: Timestamp,
    /// The new end.
    pub ends_at: Timestamp,
}

/// An appointment that was not moved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "code": "slot_taken", "detail": "The slot is not free any more."
}))]
pub struct UnmovedAppointment {
    /// The appointment.
    pub appointment_id: AppointmentId,
    /// Why: a code of the problems of `POST /v1/appointments/{id}/reschedule`, such as `slot_taken`, `stale` or `not_found`.
    #[schema(examples("slot_taken"))]
    pub code: String,
    /// For a person.
    pub detail: String,
}

fn checked(moves: &[AppointmentMove]) -> Result<()> {
    let mut check = Check::new();
    let fits = (1..=MAX_VISITS).contains(&moves.len());
    check.require(fits, "/moves", FieldCode::OutOfRange, format!("must have 1 to {MAX_VISITS} moves"));
    let mut seen = HashSet::new();
    for (index, one) in moves.iter().enumerate() {
        let is_first = seen.insert(one.appointment_id);
        let pointer = format!("/moves/{index}/appointment_id");
        check.require(is_first, pointer, FieldCode::Duplicate, "must not be the appointment of an earlier move");
    }
    check.done()
}

/// Moves each appointment in a transaction of its own, with its audit event and mail. A repeat with the key returns the moves that were
/// done, and tries the others again.
///
/// # Errors
/// A broken rule of the list or of the key. What hinders a single move is in the result.
pub async fn reschedule(context: &Context, once: Once, moves: Vec<AppointmentMove>) -> Result<RescheduledAppointments> {
    context.require(Action::AppointmentProgress)?;
    let once = once.required()?;
    checked(&moves)?;
    let ids: Vec<AppointmentId> = moves.iter().map(|one| one.appointment_id).collect();
    let overbooked = context.read(move |tx| overbooking::marked(tx.conn, ids)).await?;
    // An overbooked visit goes before the one whose time it shares. That one would pass its slots on, and change the version of the other.
    let mut order: Vec<usize> = (0..moves.len()).collect();
    order.sort_by_key(|at| moves.get(*at).is_none_or(|one| !overbooked.contains(&one.appointment_id)));
    let mut done: Vec<Option<Result<MovedAppointment>>> = moves.iter().map(|_| None).collect();
    let (mut is_new, mut is_repeat) = (false, false);
    loop {
        let mut progress = false;
        for at in &order {
            let (Some(one), Some(result)) = (moves.get(*at), done.get_mut(*at)) else { continue };
            if matches!(result, Some(Ok(_))) {
                continue;
            }
            let (moved, replayed) = move_one(context, &once, *one).await;
            if moved.is_ok() {
                (is_new, is_repeat, progress) = (is_new || !replayed, is_repeat || replayed, true);
            }
            *result = Some(moved);
        }
        // A visit may move into the time that another one has left meanwhile.
        if !progress || done.iter().all(|result| matches!(result, Some(Ok(_)))) {
            break;
        }
    }
    // Each move has stored its event.
    match (is_new, is_repeat) {
        (true, _) => context.audit.note_recorded(),
        (false, true) => context.audit.note_replayed(),
        (false, false) => context.audit.note_unchanged(),
    }
    let mut results = RescheduledAppointments { moved: Vec::new(), not_moved: Vec::new() };
    for (one, result) in moves.iter().zip(done) {
        match result {
            Some(Ok(moved)) => results.moved.push(moved),
            Some(Err(error)) => results.not_moved.push(unmoved(one.appointment_id, error)?),
            None => {}
        }
    }
    Ok(results)
}

/// Moves one appointment, and returns whether an earlier request has done so already.
async fn move_one(context: &Context, once: &Once, one: AppointmentMove) -> (Result<MovedAppointment>, bool) {
    let each = context.aside(OPERATION, one.appointment_id.0);
    let body = serde_json::to_vec(&one).unwrap_or_default();
    let part = once.part(&one.appointment_id.to_string(), Bytes::from(body));
    let moved = each.change_once(part, move |tx| {
        let to = RescheduleAppointmentRequest {
            slot_id: one.slot_id,
            hold_id: None,
            hold_secret: None,
            ignore_gaps: one.ignore_gaps,
            overbook: None,
            patient_informed: false,
        };
        let visit = move_to(tx, one.appointment_id, &IfMatch::version(one.version), &to)?.appointment;
        outbox::await_others(tx.conn, visit.id, tx.now)?;
        Ok(MovedAppointment {
            appointment_id: visit.id,
            version: visit.version,
            practitioner_id: visit.practitioner_id,
            location_id: visit.location_id,
            starts_at: visit.starts_at,
            ends_at: visit.ends_at,
        })
    });
    let moved = moved.await;
    let is_repeat = each.audit.notes().replayed;
    (moved, is_repeat)
}

/// Reports what hinders a move. A fault of the service, or a key that was used for something else, ends the request; the moves until then
/// are stored.
fn unmoved(appointment_id: AppointmentId, error: Error) -> Result<UnmovedAppointment> {
    let (code, detail) = match error {
        Error::Conflict(conflict) => (conflict.code.to_string(), conflict.detail),
        Error::NotFound => ("not_found".to_owned(), "There is no such appointment.".to_owned()),
        Error::Stale => {
            ("stale".to_owned(), "The appointment has changed since you read it. Read it again.".to_owned())
        }
        other => return Err(other),
    };
    Ok(UnmovedAppointment { appointment_id, code, detail })
}

/// Move many appointments
///
/// Staff only, for a change of plans such as a sick day. Each appointment is moved as `POST /v1/appointments/{id}/reschedule` does, in the
/// order that works, or stays as it is with the reason. Each patient is told once: by one mail about all their visits with the new calendar
/// entries, or by the list of calls if they have no e-mail address. A repeat with the same key returns the moves that were done without telling
/// anybody again, and tries the others again.
#[utoipa::path(
    tag = "appointments",
    operation_id = "reschedule_appointments",
    security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header)),
    request_body = RescheduleAppointmentsRequest,
    responses((status = 200, description = "The result of each move", body = RescheduledAppointments)),
)]
#[post("/v1/appointments/reschedule")]
pub(in crate::appointments) async fn reschedule_appointments(
    context: Context,
    key: IdempotencyKey,
    body: Body<RescheduleAppointmentsRequest>,
) -> Result<HttpResponse> {
    let once = key.once(&body.raw);
    Ok(response::ok(&reschedule(&context, once, body.value.moves).await?))
}
