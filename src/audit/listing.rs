//! Reading the audit trail.

use std::collections::HashMap;

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::break_glass;
use super::model::{AuditOutcome, COMMANDS, Event};
use super::patient_ids::PatientIds;
use super::store::{self, Filter};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::error::{Check, FieldCode, FieldError, Result};
use crate::http::paging::{Direction, PageParams, sort_options};
use crate::http::{Params, response};
use crate::ids::{AuditEventId, ObjectId, PatientId, UserId};
use crate::role::Role;

/// The name of the actor of a command.
const COMMAND_LINE: &str = "command line";

/// An event of the audit trail. It has ids only, and no values of the objects.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "at": "2026-03-02T14:00:00Z",
    "actor_id": "0199d0c2-7a00-7000-8000-000000000001", "actor_name": "Dee Desk", "role": "front_desk",
    "operation": "get_patient", "outcome": "success", "status": null,
    "patient_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "object_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01",
    "address": "192.0.2.7", "request_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "times": 1, "shown_patient_ids": [],
    "reason": null
}))]
pub struct AuditEventView {
    /// The id.
    pub id: AuditEventId,
    /// The time.
    pub at: Timestamp,
    /// The account. Null if the caller was not signed in.
    pub actor_id: Option<UserId>,
    /// The account's current name, or `command line` for a command.
    pub actor_name: Option<String>,
    /// The account's role at that time.
    pub role: Option<Role>,
    /// The `operationId` in this document, an event that happened beside an operation (such as `open_record`), or a command (such as
    /// `purge` or `rotate_data_keys`).
    pub operation: String,
    /// The outcome.
    pub outcome: AuditOutcome,
    /// The HTTP status of a rejection or failure.
    pub status: Option<i32>,
    /// The patient whose record it is about. Null if there is none, and for a list that showed several patients.
    pub patient_id: Option<PatientId>,
    /// The object that was read or changed. It may not exist any more. For a rejected `create_session`, the account whose address was
    /// used, if there is one.
    pub object_id: Option<ObjectId>,
    /// The client's IP address.
    pub address: Option<String>,
    /// The request's id in the server's log.
    pub request_id: Option<String>,
    /// The number of equal requests that this event stands for. Equal rejections of callers who are not signed in are counted in one
    /// event. Of rate-limited requests (429), one per caller and minute is recorded.
    pub times: i32,
    /// The other patients whom the response showed: those of a page of a list or search.
    pub shown_patient_ids: Vec<PatientId>,
    /// For `open_record`: the reason that a practitioner without a care relationship gave.
    pub reason: Option<String>,
}

impl AuditEventView {
    fn new(event: Event, names: &HashMap<UserId, String>, reasons: &HashMap<ObjectId, String>) -> Self {
        let reason = event.object_id.filter(|_| event.operation == break_glass::OPERATION);
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
pub struct AuditEventPage {
    /// The events, newest first by default.
    pub items: Vec<AuditEventView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// The filters of a list of audit events. All that are given must match.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditEventFilter {
    /// The patient whose record an event is about, or who was shown among others.
    patient_id: Option<PatientId>,
    /// The account that acted.
    actor_id: Option<UserId>,
    /// The object, such as an appointment or an account.
    object_id: Option<ObjectId>,
    /// The operation, by its `operationId` in this document.
    #[param(min_length = 1, max_length = 100, example = "get_patient")]
    operation: Option<String>,
    /// The outcome.
    outcome: Option<AuditOutcome>,
    /// The earliest time, inclusive.
    from: Option<Timestamp>,
    /// The latest time, exclusive.
    to: Option<Timestamp>,
    /// The order. Default: `-at`, newest first.
    #[param(inline)]
    sort: Option<AuditEventSort>,
}

sort_options! {
    /// The order of a list of audit events.
    AuditEventSort by "at" or "-at"
}

/// The list's name in its cursors.
const LIST: &str = "audit-events";

impl AuditEventFilter {
    fn parse(self) -> Result<Filter> {
        let mut check = Check::new();
        if let Some(operation) = &self.operation {
            let is_id = operation.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let fits = is_id && (1..=100).contains(&operation.len());
            check.require(fits, "?operation", FieldCode::WrongValue, "must be an operation's id such as get_patient");
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            check.add(FieldError::new("?to", FieldCode::OutOfRange, "must be later than `from`"));
        }
        check.done()?;
        let Self { patient_id, actor_id, object_id, operation, outcome, from, to, sort: _ } = self;
        Ok(Filter { patient_id, actor_id, object_id, operation, outcome, from, to })
    }
}

/// Lists audit events, newest first by default.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list(context: &Context, filter: AuditEventFilter, page: PageParams) -> Result<AuditEventPage> {
    context.require(Action::AuditRead)?;
    let direction = filter.sort.map_or(Direction::Descending, Into::into);
    let (filter, page) = (filter.parse()?, page.sorted(LIST, direction)?);
    // A question about a patient's record is itself an event about the patient.
    if let Some(patient) = filter.patient_id {
        context.audit.note_patient(patient);
    }
    context
        .read(move |tx| {
            let found = store::list(tx.conn, &filter, &page)?;
            let (found, next_cursor) = page.cut(found, |event| (event.at, event.id.0));
            let names = store::names(tx.conn, &found)?;
            let openings = || found.iter().filter(|event| event.operation == break_glass::OPERATION);
            let opening_ids = openings().filter_map(|event| event.object_id).collect();
            let reasons = break_glass::reasons(tx.conn, tx.env, opening_ids)?;
            // Events have ids only, but a reason is about a patient.
            tx.audit.note_shown(openings().filter_map(|event| event.patient_id));
            let items = found.into_iter().map(|event| AuditEventView::new(event, &names, &reasons)).collect();
            Ok(AuditEventPage { items, next_cursor })
        })
        .await
}

/// Read the audit trail
///
/// Lists every change, every read of personal data, every sign-in and every rejection, newest first by default. An event of a list or search names
/// the patients whom its response showed. Changes are in the trail at once, all other events within a second. `operation=open_record`
/// lists the records that practitioners without a care relationship opened with a reason.
#[utoipa::path(
    tag = "audit",
    operation_id = "list_audit_events",
    security(("bearer" = [])),
    params(AuditEventFilter, PageParams),
    responses((status = 200, description = "A page of events", body = AuditEventPage)),
)]
#[get("/v1/audit-events")]
pub(super) async fn list_audit_events(
    context: Context,
    Params(filter): Params<AuditEventFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}
