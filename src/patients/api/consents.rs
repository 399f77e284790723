//! Consents and their documents.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Cursor, Endpoints, IdempotencyKey, Limit, Params, PathId};
use crate::ids::{ConsentId, PatientId, UserId};
use crate::patients::access;
use crate::patients::consents::{
    self, Consent, ConsentDecision, ConsentInput, ConsentMethod, ConsentType, Document, NewConsent, documents,
};
use crate::patients::model::{Patient, Relation};
use crate::patients::store;
use crate::text;

/// The list's name in cursors.
const LIST: &str = "consents";

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_consent_documents).service(list_consents).service(create_consent);
}

/// A text to consent to.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"type": "treatment", "version": "1", "language": "en", "text": "# Consent to examination and treatment\n…"}))]
struct ConsentDocumentDto {
    /// What it is about.
    #[serde(rename = "type")]
    consent_type: ConsentType,
    /// Name it when you record the decision.
    version: &'static str,
    /// The language of the text.
    language: &'static str,
    /// The text, as Markdown.
    text: &'static str,
}

impl From<&'static Document> for ConsentDocumentDto {
    fn from(document: &'static Document) -> Self {
        let Document { consent_type, version, language, text } = *document;
        Self { consent_type, version, language, text }
    }
}

/// The present consent documents.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{"type": "treatment", "version": "1", "language": "en", "text": "# Consent to examination and treatment\n…"}], "next_cursor": null}))]
struct ConsentDocumentPage {
    /// One for each type.
    items: Vec<ConsentDocumentDto>,
    /// Always null: there is one page.
    next_cursor: Option<String>,
}

/// Which language.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsentDocumentFilter {
    /// A language tag (BCP 47). Where there is no text in it, the English one is given.
    #[param(max_length = 35, example = "es", default = "en")]
    language: Option<String>,
}

/// The texts to consent to
///
/// The present version of each, to be shown to a patient before they decide.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_consent_documents",
    params(ConsentDocumentFilter),
    responses((status = 200, description = "The documents", body = ConsentDocumentPage)),
)]
#[get("/v1/consent-documents")]
async fn list_consent_documents(params: Params<ConsentDocumentFilter>) -> Result<HttpResponse> {
    let mut check = Check::new();
    let language = check.field("?language", text::language(params.0.language.as_deref().unwrap_or("en")));
    check.done()?;
    let items = documents(language.as_deref().unwrap_or("en")).into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(ConsentDocumentPage { items, next_cursor: None }))
}

/// A recorded decision.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b21-7f00-9d3e-5b1c2d3e4f50", "type": "treatment", "version": "1", "decision": "accepted", "method": "online",
    "signer": "Ann Example", "recorded_by": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "signed_at": "2026-03-02T14:00:00Z"
}))]
pub struct ConsentDto {
    /// The consent's id.
    id: ConsentId,
    /// What is consented to.
    #[serde(rename = "type")]
    consent_type: ConsentType,
    /// The version of the document that was shown.
    version: String,
    /// What was decided.
    decision: ConsentDecision,
    /// How.
    method: ConsentMethod,
    /// Who decided.
    signer: String,
    /// The account that recorded it; null for a decision made in a registration.
    recorded_by: Option<UserId>,
    /// When it was recorded.
    signed_at: Timestamp,
}

impl From<Consent> for ConsentDto {
    fn from(consent: Consent) -> Self {
        Self {
            id: consent.id,
            consent_type: consent.consent_type,
            version: consent.document_version,
            decision: consent.decision,
            method: consent.method,
            signer: consent.signer,
            recorded_by: consent.recorded_by,
            signed_at: consent.signed_at,
        }
    }
}

/// A page of consents.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct ConsentPage {
    /// The consents, the newest last.
    items: Vec<ConsentDto>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsentFilter {
    /// The `next_cursor` of the page before.
    #[param(max_length = 255)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// A patient's consents
///
/// Every decision that was recorded, the newest last. The last one on a version is the one that holds.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_consents",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), ConsentFilter),
    responses((status = 200, description = "The consents", body = ConsentPage)),
)]
#[get("/v1/patients/{id}/consents")]
async fn list_consents(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    params: Params<ConsentFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::PatientRead)?;
    let (after, limit) = (Cursor::read(params.0.cursor.as_deref(), LIST)?, Limit::new(params.0.limit)?);
    let shared = env.clone();
    let rows = env
        .db
        .read(move |conn| {
            let patient = store::visible(conn, &shared, &actor, id.0)?;
            consents::of_patient(conn, patient.id, after, limit)
        })
        .await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |consent| (consent.signed_at, consent.id.0));
    Ok(HttpResponse::Ok().json(ConsentPage { items: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Record a consent
///
/// Adds a decision; none is ever changed or taken away. Patients, and those who act for one, decide online and sign with their own
/// name; staff say how they were told.
/// `signed_at` and `recorded_by` are the service's.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_consent",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value records nothing more", max_length = 255),
    ),
    request_body = ConsentInput,
    responses(
        (status = 201, description = "The recorded decision; `Location` is the list that it stands in", body = ConsentDto),
        (status = 409, description = "`request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients/{id}/consents")]
async fn create_consent(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<ConsentInput>,
) -> Result<HttpResponse> {
    actor.require(Action::PatientWrite)?;
    let staff = actor.role.is_staff();
    let mut check = Check::new();
    let new = body.value.parse("", staff, &mut check);
    check.done()?;
    let (shared, new) = (env.clone(), new.ok_or_else(|| Error::fault("a consent without a fault is there"))?);
    let operation = format!("create_consent {}", id.0);
    let request = Request::of(&actor, operation, key, &body.raw);
    idempotency::run(&env, request, move |tx| {
        let patient = store::visible(tx, &shared, &actor, id.0)?;
        let new = if staff { new.clone() } else { own_signature(tx, &shared, &actor, &patient, &new)? };
        let consent = consents::record(tx, &shared, &patient, &new, Some(actor.user_id))?;
        store::touch(tx, patient.id, shared.now())?;
        audit::record(tx, &shared, &actor.trail, consent.id.0)?;
        Answer::created(format!("/v1/patients/{}/consents", patient.id), 1, &ConsentDto::from(consent))
    })
    .await
}

/// The decision with the signature of the account's holder.
fn own_signature(tx: &mut Conn, env: &Env, actor: &Actor, patient: &Patient, new: &NewConsent) -> Result<NewConsent> {
    let relation = access::relation(tx, env, actor.user_id, patient.id)?.ok_or(Error::NotFound)?;
    let mut check = Check::new();
    if relation == Relation::Oneself {
        check.field("/signer", new.signed_by(relation, patient.names()));
        check.done()?;
        return Ok(new.clone());
    }
    let names = access::holder_names(tx, actor.user_id)?;
    check.field("/signer", new.signed_by(relation, names.iter().map(String::as_str)));
    check.done()?;
    Ok(new.clone().or_signed(names.into_iter().next()))
}
