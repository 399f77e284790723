//! The endpoint: an administrator reads the trail.

use std::collections::HashMap;

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{AuditOutcome, COMMANDS, Event};
use super::openings;
use super::shown::PatientIds;
use super::store::{self, Filter};
use crate::actor::{Action, Actor, Role};
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Check, FieldError, Result};
use crate::http::{Cursor, Endpoints, Limit, Params};
use crate::ids::{AuditEventId, ObjectId, PatientId, UserId};

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_audit_events);
}

/// Who it was where a command was run.
const COMMAND_LINE: &str = "command line";

/// A line of the audit trail. It names things by their ids and holds none of their values.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "at": "2026-03-02T14:00:00Z",
    "actor_id": "0199d0c2-7a00-7000-8000-000000000001", "actor_name": "Dee Desk", "role": "front_desk",
    "operation": "get_patient", "outcome": "success", "status": null,
    "patient_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "object_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01",
    "address": "192.0.2.7", "request_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "times": 1, "shown_patient_ids": [],
    "reason": null
}))]
pub struct AuditEventDto {
    /// The event's id.
    id: AuditEventId,
    /// When.
    at: Timestamp,
    /// Which account; null where nobody was signed in.
    actor_id: Option<UserId>,
    /// The name of the account as it is now; `command line` of what the operator did there.
    actor_name: Option<String>,
    /// What the account could do at that time.
    role: Option<Role>,
    /// The operation's id in this document, something that happened along with one, or a command (`purge`,
    /// `rotate_data_keys`, …).
    operation: String,
    /// How it ended.
    outcome: AuditOutcome,
    /// The HTTP status of a refusal or failure.
    status: Option<i32>,
    /// Whose record; null for a list that showed several patients, or none.
    patient_id: Option<PatientId>,
    /// What was read or written; it may be gone. Of a `create_session` that was refused: the account that was tried, where
    /// the address has one.
    object_id: Option<ObjectId>,
    /// From which address.
    address: Option<String>,
    /// The request's id, under which the log holds it.
    request_id: Option<String>,
    /// How many requests alike this stands for: refusals to who is not signed in are counted, not listed. Of those who ask
    /// too often (429), one refusal a minute is noted.
    times: i32,
    /// The other patients whom the response showed: those of a page of a list or search.
    shown_patient_ids: Vec<PatientId>,
    /// Of `open_record`: why a practitioner opened the record of a patient whom they do not treat.
    reason: Option<String>,
}

impl AuditEventDto {
    fn new(event: Event, names: &HashMap<UserId, String>, reasons: &HashMap<ObjectId, String>) -> Self {
        let reason = event.object_id.filter(|_| event.operation == openings::OPERATION);
        Self {
            reason: reason.and_then(|id| reasons.get(&id).cloned()),
            id: event.id,
            at: event.at,
            actor_id: event.actor_id,
            actor_name: match event.actor_id {
                Some(id) => names.get(&id).cloned(),
                None => COMMANDS.contains(&event.operation.as_str()).then(|| COMMAND_LINE.to_owned()),
            },
            role: event.role,
            operation: event.operation,
            outcome: event.outcome,
            status: event.status,
            patient_id: event.patient_id,
            object_id: event.object_id,
            address: event.address,
            request_id: event.request_id,
            times: event.times,
            shown_patient_ids: event.shown.iter().flat_map(PatientIds::ids).collect(),
        }
    }
}

/// A page of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct AuditEventPage {
    /// The events, the newest first.
    items: Vec<AuditEventDto>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which events; all that is named must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditEventFilter {
    /// Of whose record: about it, or showing it among others.
    patient_id: Option<PatientId>,
    /// By which account.
    actor_id: Option<UserId>,
    /// About this object: an appointment, an account, …
    object_id: Option<ObjectId>,
    /// Of which operation, by its id in this document.
    #[param(min_length = 1, max_length = 100, example = "get_patient")]
    operation: Option<String>,
    /// That ended so.
    outcome: Option<AuditOutcome>,
    /// Then or later.
    from: Option<Timestamp>,
    /// Before then.
    to: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 255)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// The list's name in its cursors.
const LIST: &str = "audit-events";

impl AuditEventFilter {
    fn parse(self) -> Result<(Filter, Option<Cursor>, Limit)> {
        let mut check = Check::new();
        if let Some(operation) = &self.operation {
            let is_id = operation.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let fits = is_id && (1..=100).contains(&operation.len());
            check.require(fits, "?operation", "wrong_value", "must be an operation's id such as get_patient");
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            check.add(FieldError::new("?to", "out_of_range", "must be after `from`"));
        }
        check.done()?;
        let Self { patient_id, actor_id, object_id, operation, outcome, from, to, cursor, limit } = self;
        let filter = Filter { patient_id, actor_id, object_id, operation, outcome, from, to };
        Ok((filter, Cursor::read(cursor.as_deref(), LIST)?, Limit::new(limit)?))
    }
}

/// Read the audit trail
///
/// Each change, each read of somebody's data, each log-in and each refusal: who, whose record, what, how it ended, from
/// where; the newest first. A list or search names the patients whom it showed. Changes are here at once, the rest within a second. `operation=open_record` are the records that
/// practitioners opened for a reason, having nothing to do with the patient.
#[utoipa::path(
    tag = "audit",
    operation_id = "list_audit_events",
    security(("bearer" = [])),
    params(AuditEventFilter),
    responses((status = 200, description = "A page of events", body = AuditEventPage)),
)]
#[get("/v1/audit-events")]
async fn list_audit_events(
    env: web::Data<Env>,
    actor: Actor,
    params: Params<AuditEventFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::AuditRead)?;
    let (filter, after, limit) = params.0.parse()?;
    // What is asked about whose record is a question about them.
    if let Some(patient) = filter.patient_id {
        actor.trail.note_patient(patient);
    }
    let (shared, trail) = (env.clone(), actor.trail);
    let page = env
        .db
        .read(move |conn| {
            let rows = store::list(conn, &filter, after, limit)?;
            let (rows, next_cursor) = limit.page(rows, LIST, |event| (event.at, event.id.0));
            let names = store::names(conn, &rows)?;
            let openings = || rows.iter().filter(|event| event.operation == openings::OPERATION);
            let reasons = openings::reasons(conn, &shared, openings().filter_map(|event| event.object_id).collect())?;
            // The events themselves hold ids only, but a reason tells of a patient.
            trail.note_shown(openings().filter_map(|event| event.patient_id));
            let items = rows.into_iter().map(|event| AuditEventDto::new(event, &names, &reasons)).collect();
            Ok(AuditEventPage { items, next_cursor })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}
