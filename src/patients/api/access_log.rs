//! Who looked at a patient's record, for the patient.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::actor::{Action, Actor, Role};
use crate::audit::{self, AuditOutcome, Event};
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::Result;
use crate::http::fallback::Routes;
use crate::http::{Cursor, Endpoints, Limit, Params, PathId};
use crate::ids::{PatientId, UserId};
use crate::patients::store;

/// The list's name in its cursors.
const LIST: &str = "patient-audit-events";

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_patient_audit_events);
}

/// Somebody's use of a patient's record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "at": "2026-03-02T14:00:00Z", "role": "practitioner", "name": "Dr. Ada Vein", "is_you": false,
    "operation": "get_intake", "description": "Read an intake"
}))]
pub struct RecordAccess {
    /// When.
    at: Timestamp,
    /// What whoever it was could do at that time; null where nobody was signed in, as with the link in a mail.
    role: Option<Role>,
    /// The name of a practitioner. Of the other staff the role is told, and of other people who act for the patient.
    name: Option<String>,
    /// Whether it was the caller's own account.
    is_you: bool,
    /// The operation's id in this document.
    operation: String,
    /// The operation in words.
    description: String,
}

/// A page of who used a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct RecordAccessPage {
    /// What was done, the newest first.
    items: Vec<RecordAccess>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AccessFilter {
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

impl RecordAccess {
    fn new(event: Event, caller: UserId, name: Option<String>, routes: &Routes) -> Self {
        let description = words(&event.operation, routes);
        Self {
            at: event.at,
            role: event.role,
            name: name.filter(|_| event.role == Some(Role::Practitioner)),
            is_you: event.actor_id == Some(caller),
            operation: event.operation,
            description,
        }
    }
}

/// An operation in words: as the document has it, or its id's own.
fn words(operation: &str, routes: &Routes) -> String {
    if operation == audit::openings::OPERATION {
        return "Opened the record for a reason, without an appointment".to_owned();
    }
    routes.summary(operation).map_or_else(|| operation.replace('_', " "), str::to_owned)
}

/// Read who used a patient's record
///
/// For the patient, and who may act for them: each look into the record and each change of it, by whom, the newest first. Searches
/// and lists that showed the patient among others are included, without the words that were searched for.
#[utoipa::path(
    tag = "audit",
    operation_id = "list_patient_audit_events",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), AccessFilter),
    responses((status = 200, description = "A page of what was done", body = RecordAccessPage)),
)]
#[get("/v1/patients/{id}/audit-events")]
async fn list_patient_audit_events(
    env: web::Data<Env>,
    routes: web::Data<Routes>,
    actor: Actor,
    id: PathId<PatientId>,
    params: Params<AccessFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::AccessLogRead)?;
    let AccessFilter { from, to, cursor, limit } = params.0;
    let (after, limit) = (Cursor::read(cursor.as_deref(), LIST)?, Limit::new(limit)?);
    let (shared, caller) = (env.clone(), actor.user_id);
    let (rows, names) = env
        .db
        .read(move |conn| {
            let patient = store::visible(conn, &shared, &actor, id.0)?;
            let outcome = Some(AuditOutcome::Success);
            let filter = audit::store::Filter { patient_id: Some(patient.id), outcome, from, to, ..Default::default() };
            let rows = audit::store::list(conn, &filter, after, limit)?;
            let names = audit::store::names(conn, &rows)?;
            Ok((rows, names))
        })
        .await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |event| (event.at, event.id.0));
    let show = |event: Event| {
        let name = event.actor_id.and_then(|id| names.get(&id).cloned());
        RecordAccess::new(event, caller, name, &routes)
    };
    Ok(HttpResponse::Ok().json(RecordAccessPage { items: rows.into_iter().map(show).collect(), next_cursor }))
}
