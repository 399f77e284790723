//! Reading and changing a patient's record.

use actix_web::{HttpResponse, get, patch};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::model::{self, PatientPatch, PatientView};
use super::profile::Author;
use super::store;
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::error::{Check, Result};
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{Patch, PathId};
use crate::ids::PatientId;
use crate::messages::refusals::{self, MailRefusal};
use crate::patients::access::{self, end_times, guarding};
use crate::patients::missed_visits::{self, MissedVisits};
use crate::phone::Country;

fn example() -> serde_json::Value {
    let mut example = model::example();
    example["mail_refusal"] = json!({"code": 550, "at": "2026-03-02T14:00:00Z"});
    example["missed_visits"] = json!({"no_shows": 1, "late_cancellations": 0});
    example
}

/// A patient's record with what staff see beside it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(example()))]
pub struct PatientCard {
    /// The record.
    #[serde(flatten)]
    pub patient: PatientView,
    /// The visits that the patient missed or cancelled late, if there are any. Staff only. They do not change the `ETag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub missed_visits: Option<MissedVisits>,
    /// The refusal of the address in the record, if the mail server refused it. Messages to it are calls until staff enter the address again
    /// or send a message again. Staff only. It does not change the `ETag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mail_refusal: Option<MailRefusal>,
}

impl PatientCard {
    /// Loads a record that the actor may see.
    fn load(tx: &mut Tx, id: PatientId) -> Result<Versioned<Self>> {
        let Versioned { version, object: patient } = PatientView::load(tx, id)?;
        let is_staff = tx.actor.role.is_staff();
        let missed = is_staff.then(|| missed_visits::of(tx.conn, &[id])).transpose()?;
        let missed_visits = missed.and_then(|mut of| of.remove(&id));
        let address = patient.email.as_deref().filter(|_| is_staff);
        let mail_refusal = address.map(|address| refusals::find(tx.conn, tx.env, address)).transpose()?.flatten();
        Ok(Versioned { version, object: Self { patient, missed_visits, mail_refusal } })
    }
}

/// Reads a patient's record.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see it.
pub async fn read(context: &Context, id: PatientId) -> Result<Versioned<PatientCard>> {
    context.require(Action::PatientRead)?;
    context.read(move |tx| PatientCard::load(tx, id)).await
}

/// Changes a patient's record. A patch without changes keeps the version.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); every broken rule; the conflict
/// `identifier_taken`.
pub async fn update(
    context: &Context,
    id: PatientId,
    if_match: IfMatch,
    patch: PatientPatch,
) -> Result<Versioned<PatientCard>> {
    context.require(Action::PatientWrite)?;
    let if_match = if_match.required()?;
    let author = if context.is_staff() { Author::Staff } else { Author::Account };
    let mut check = Check::new();
    patch.forbid(author, &mut check);
    let change = patch.parse("", context.env.now(), &mut check);
    check.done()?;
    context
        .change(move |tx| {
            // Only staff correct it, and they see every record.
            let waited = if change.sets_birth_date() { end_times::wait_for_accounts(tx.conn, id)? } else { Vec::new() };
            let was = store::visible_in_use(tx.conn, tx.env, tx.actor, id)?;
            if_match.check(was.version)?;
            let before = store::profile(tx.env, &was)?;
            let mut profile = before.clone();
            let mut check = Check::new();
            change.clone().apply(&mut profile, author, Country::of_clinic(tx.conn)?, "", &mut check);
            check.done()?;
            if let (Author::Staff, Some(address)) = (author, change.email()) {
                refusals::forget(tx.conn, tx.env, address)?;
            }
            if profile != before {
                let patient = store::update(tx, &was, &profile)?;
                // The patient may do what others are announced and guarded for.
                if !access::is_own_record(tx.conn, tx.env, tx.actor, id)? {
                    guarding::record_changed(tx, &was, &patient)?;
                }
                // After the notices, which also reach the accounts whose access begins to wait.
                if patient.date_of_birth != was.date_of_birth {
                    end_times::update_ends(tx.conn, tx.env, &patient, &waited)?;
                }
            }
            PatientCard::load(tx, id)
        })
        .await
}

/// Read a patient's record
///
/// For staff, the patient, and the accounts that act for the patient. Staff also see how often the patient did not come or cancelled
/// late, and whether the mail server refuses the address.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The patient", body = PatientCard)),
)]
#[get("/v1/patients/{id}")]
pub(in crate::patients) async fn get_patient(context: Context, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Change a patient's record
///
/// Staff change every member except `mrn`. For all other callers the legal names, the birth date, the administrative sex and the identifiers
/// are `forbidden_field`. Nested objects are merged member by member. A patch without changes keeps the version.
#[utoipa::path(
    tag = "patients",
    operation_id = "update_patient",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("If-Match" = String, Header),
    ),
    request_body(content = PatientPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed patient", body = PatientCard),
        (status = 409, description = "`identifier_taken`: another patient has an identifier; `pointer` names the identifier, `taken_by` the patient"),
    ),
)]
#[patch("/v1/patients/{id}")]
pub(in crate::patients) async fn update_patient(
    context: Context,
    PathId(id): PathId<PatientId>,
    if_match: IfMatch,
    Patch(patch): Patch<PatientPatch>,
) -> Result<HttpResponse> {
    let updated = update(&context, id, if_match, patch).await?;
    Ok(response::versioned(&updated))
}
