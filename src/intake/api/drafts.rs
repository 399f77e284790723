//! Drafts: begin, read, save, discard.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::dto::IntakeDto;
use crate::actor::{Action, Actor};
use crate::audit;
use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey, IfMatch, Patch, PathId, etag};
use crate::ids::{IntakeId, PatientId};
use crate::intake::rls::{self, StrictJson};
use crate::intake::{Rules, drafts};
use crate::patients::care;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_intake).service(get_intake).service(save_intake).service(discard_intake);
}

/// Which form to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"form": "rls-history"}))]
struct NewIntake {
    /// The form's name: `rls-history`.
    #[schema(pattern = "^rls-history$", examples("rls-history"))]
    form: String,
    /// A submitted intake of the same patient, from which history and medicines are taken over; never safety questions,
    /// symptoms or severity. For patients and practitioners.
    #[serde(default)]
    copy_from: Option<IntakeId>,
}

impl NewIntake {
    fn check(&self) -> Result<()> {
        let mut check = Check::new();
        let detail = format!("must be \"{}\"", rls::FORM);
        check.require(self.form == rls::FORM, "/form", "not_an_option", detail);
        check.done()
    }
}

/// Begin an intake
///
/// An empty draft, or one that begins with what an earlier intake says of history and medicines. A patient has one open
/// draft of a form.
#[utoipa::path(
    tag = "intakes",
    operation_id = "create_intake",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value begins nothing more", max_length = 255),
    ),
    request_body = NewIntake,
    responses(
        (status = 201, description = "The draft", body = IntakeDto),
        (status = 409, description = "`draft_exists`: there is an open draft, `intake_id` names it; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients/{id}/intakes")]
async fn create_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<NewIntake>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeWrite)?;
    body.check()?;
    let (patient, copy_from) = (id.0, body.copy_from);
    let operation = format!("create_intake {patient}");
    let request = Request::of(&actor, operation, key, &body.raw).guarded(care::repeats(&env, &actor));
    let shared = env.clone();
    idempotency::run(&env, request, move |tx| {
        let id = drafts::begin(tx, &shared, &rules, &actor, patient, copy_from)?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        let (version, dto) = IntakeDto::find(tx, &shared, &rules, &actor, id)?;
        Answer::created(format!("/v1/intakes/{id}"), version, &dto)
    })
    .await
}

/// Read an intake
///
/// Patients see their own answers; practitioners all there is, drafts too. The front desk reads a draft, and of a
/// submitted intake its completeness and whether something urgent was raised.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_intake",
    security(("bearer" = [])),
    params(("id" = IntakeId, Path, description = "The intake")),
    responses((status = 200, description = "The intake", body = IntakeDto, headers(("ETag" = String, description = "The version, for If-Match")))),
)]
#[get("/v1/intakes/{id}")]
async fn get_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeRead)?;
    let shared = env.clone();
    let (version, dto) =
        care::read(&env, actor, move |conn, actor| IntakeDto::find(conn, &shared, &rules, actor, id.0)).await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(dto))
}

/// A change of a draft's answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"answers": {"safety": {"chest_pain_breathlessness": "no"}, "symptoms": {"urge_to_move_legs": "yes"}}}))]
struct IntakePatch {
    /// What to change (RFC 7396): a member that is `null` is taken back, a list is replaced as a whole, what is not named
    /// stays. The members are those of the form.
    #[schema(value_type = rls::Answers)]
    answers: StrictJson,
}

/// Save a part of a draft
///
/// As often as somebody likes. Only wrong types, values out of range and unknown fields are refused; what is missing or
/// does not fit yet stands in `computed.issues`. What the answers call for at once stands in `notices`: show it.
#[utoipa::path(
    tag = "intakes",
    operation_id = "update_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = String, Header, description = "The ETag of the version that was read"),
    ),
    request_body(content = IntakePatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The draft as it is now", body = IntakeDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`status_conflict`: it is no draft; `intake_status` says where it stands"),
    ),
)]
#[patch("/v1/intakes/{id}")]
async fn save_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
    if_match: IfMatch,
    body: Patch<IntakePatch>,
) -> actix_web::Result<HttpResponse> {
    actor.require(Action::IntakeWrite)?;
    let if_match = if_match.required()?;
    let patch = members(&body.0.answers)?.clone();
    let shared = env.clone();
    let (version, dto) = env
        .db
        .write(move |tx| {
            let saved = drafts::save(tx, &shared, &rules, &actor, id.0, &if_match, &patch)?;
            audit::record(tx, &shared, &actor.trail, saved.id.0)?;
            IntakeDto::find(tx, &shared, &rules, &actor, saved.id)
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(dto))
}

/// Answers are an object.
pub(super) fn members(answers: &StrictJson) -> Result<&Value> {
    let mut check = Check::new();
    check.require(answers.0.is_object(), "/answers", "wrong_type", "must be an object");
    check.done()?;
    Ok(&answers.0)
}

/// Discard a draft
///
/// Its answers are gone. What they had raised for the staff stays on the worklist, marked as withdrawn.
#[utoipa::path(
    tag = "intakes",
    operation_id = "delete_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is discarded"),
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 409, description = "`status_conflict`: it is no draft; `intake_status` says where it stands"),
    ),
)]
#[delete("/v1/intakes/{id}")]
async fn discard_intake(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<IntakeId>,
    if_match: IfMatch,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeWrite)?;
    let shared = env.clone();
    env.db
        .write(move |tx| {
            drafts::discard(tx, &shared, &actor, id.0, &if_match)?;
            audit::record(tx, &shared, &actor.trail, id.0.0)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
