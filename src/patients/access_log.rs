//! The audit events of a patient's record, for the patient.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::store;
use crate::actor::{Action, Role};
use crate::audit::{self, AuditOutcome, Event};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::error::Result;
use crate::http::fallback::Routes;
use crate::http::paging::{Direction, PageParams};
use crate::http::{Params, PathId, response};
use crate::ids::{PatientId, UserId};

/// The list's name in its cursors.
const LIST: &str = "patient-audit-events";

/// A use of a patient's record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-03-02T14:00:00Z", "role": "practitioner", "name": "Dr. Ada Vein", "is_you": false,
    "operation": "get_intake", "description": "Read an intake"
}))]
pub struct PatientAuditEvent {
    /// The time of the use.
    pub at: Timestamp,
    /// The role of the account at that time. Null if the caller was not signed in, as with the link in a mail.
    pub role: Option<Role>,
    /// The name of a practitioner. Other accounts are shown by their role only.
    pub name: Option<String>,
    /// Whether it was the caller's own account.
    pub is_you: bool,
    /// The operation's id in this document.
    pub operation: String,
    /// The operation in words.
    pub description: String,
}

/// A page of the uses of a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct PatientAuditEventPage {
    /// The uses, newest first.
    pub items: Vec<PatientAuditEvent>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// The filters of a list of uses of a record.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PatientAuditEventFilter {
    /// The earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// The latest time, exclusive.
    pub to: Option<Timestamp>,
}

impl PatientAuditEvent {
    fn new(event: &Event, operation: String, caller: UserId, name: Option<String>, routes: &Routes) -> Self {
        let description = describe(&operation, routes);
        Self {
            at: event.at,
            role: event.role,
            name: name.filter(|_| event.role == Some(Role::Practitioner)),
            is_you: event.actor_id == Some(caller),
            operation,
            description,
        }
    }
}

/// What the patient learns of an event that is about another patient and showed this one beside them. Its own operation would tell what happened
/// to the other record: that somebody with the same name has become a patient.
const BESIDE_ANOTHER: &str = "list_patients";

/// Returns the operation of an event as a patient with these records learns of it.
pub fn operation_for_patient(event: &Event, records: &[PatientId]) -> String {
    let beside = event.patient_id.is_some_and(|about| !records.contains(&about));
    if beside { BESIDE_ANOTHER.to_owned() } else { event.operation.clone() }
}

/// Describes an operation with its summary in the API document, or with the words of its id.
fn describe(operation: &str, routes: &Routes) -> String {
    if operation == audit::break_glass::OPERATION {
        return "Opened the record for a reason, without an appointment".to_owned();
    }
    routes.summary(operation).map_or_else(|| operation.replace('_', " "), str::to_owned)
}

/// Lists the uses of a patient's record.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient.
pub async fn list(
    context: &Context,
    id: PatientId,
    filter: PatientAuditEventFilter,
    page: PageParams,
    routes: &Routes,
) -> Result<PatientAuditEventPage> {
    context.require(Action::AccessLogRead)?;
    let PatientAuditEventFilter { from, to } = filter;
    let page = page.sorted(LIST, Direction::Descending)?;
    let (rows, names, own) = context
        .read(move |tx| {
            let patient = store::visible(tx.conn, tx.env, tx.actor, id)?;
            let outcome = Some(AuditOutcome::Success);
            let filter = audit::store::Filter { patient_id: Some(patient.id), outcome, from, to, ..Default::default() };
            let rows = audit::store::list(tx.conn, &filter, &page)?;
            let names = audit::store::names(tx.conn, &rows)?;
            let own = audit::store::records(tx.conn, patient.id, &rows)?;
            Ok((rows, names, own))
        })
        .await?;
    let (rows, next_cursor) = page.cut(rows, |event| (event.at, event.id.0));
    let show = |event: Event| {
        let name = event.actor_id.and_then(|id| names.get(&id).cloned());
        PatientAuditEvent::new(&event, operation_for_patient(&event, &own), context.actor.user_id, name, routes)
    };
    Ok(PatientAuditEventPage { items: rows.into_iter().map(show).collect(), next_cursor })
}

/// List the uses of a patient's record
///
/// For the patient, and for accounts that act for the patient. Returns each read and each change of the record with its caller, newest first.
/// Searches and lists that showed the patient among others are included, without the search words. What was done with another patient's record
/// and showed this one is a list.
#[utoipa::path(
    tag = "audit",
    operation_id = "list_patient_audit_events",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), PatientAuditEventFilter, PageParams),
    responses((status = 200, description = "A page of uses", body = PatientAuditEventPage)),
)]
#[get("/v1/patients/{id}/audit-events")]
pub(super) async fn list_patient_audit_events(
    context: Context,
    routes: web::Data<Routes>,
    PathId(id): PathId<PatientId>,
    Params(filter): Params<PatientAuditEventFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id, filter, page, &routes).await?))
}
