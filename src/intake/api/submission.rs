//! Submit, review, amend, void; and what amendments replaced.

use actix_web::{HttpResponse, get, post, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::drafts::members;
use super::dto::{IntakeDto, IntakeVersionDto};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey, IfMatch, PathId};
use crate::ids::IntakeId;
use crate::intake::rls::{self, Context, FilledBy, StrictJson};
use crate::intake::{Rules, store, submission};
use crate::patients::care;
use crate::text;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(submit_intake)
        .service(review_intake)
        .service(amend_intake)
        .service(void_intake)
        .service(list_intake_versions);
}

/// The longest reason, in characters.
const REASON: usize = 500;

/// Submit a draft
///
/// With the full check: each error among `computed.issues` blocks it, with its pointer. Staff may submit with required
/// questions unanswered; those are kept as `not_asked`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "submit_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is submitted"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    responses(
        (status = 200, description = "Submitted", body = IntakeDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`status_conflict`: it is no draft, `intake_status` says where it stands; \
            `request_in_progress`: the same request is still at work"),
        (status = 422, description = "`validation_failed`: what is missing or does not fit, each with its pointer under `/answers`; \
            `idempotency_key_reused`: the Idempotency-Key came with another request before"),
    ),
)]
#[post("/v1/intakes/{id}/submit")]
async fn submit_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeWrite)?;
    let (shared, id) = (env.clone(), id.0);
    let request = Request::of(&actor, format!("submit_intake {id}"), key, &[]).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        submission::submit(tx, &shared, &rules, &actor, id, &if_match)?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        let (version, dto) = IntakeDto::find(tx, &shared, &rules, &actor, id)?;
        Answer::changed(version, &dto)
    })
    .await
}

/// Review a submitted intake
///
/// By a practitioner: what explains the symptoms, the veins, which contributors count, the plan. It signs the present
/// answers off; an earlier review is kept.
#[utoipa::path(
    tag = "intakes",
    operation_id = "review_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is reviewed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body(content = rls::Review, example = json!({
        "mimic_review": "not_solely_explained", "ceap": [{"limb": "left", "class": "C2", "suffix": "s", "date": "2026-06-03"}],
        "contributors_confirmed": ["iron_deficiency"], "plan_note": "Iron by mouth; ferritin again in twelve weeks.",
        "recheck_on": "2026-08-26"
    })),
    responses(
        (status = 200, description = "Reviewed", body = IntakeDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`status_conflict`: it was not submitted, or was entered in error, `intake_status` says where it stands; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/intakes/{id}/review")]
async fn review_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<StrictJson>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeReview)?;
    let Body { value: StrictJson(review), raw } = body;
    // What is wrong in itself is told before anybody looks for the intake; dates are compared with the patient's birth later.
    rls::Review::parse(&review, "", &Context::new(Date::MIN, Date::MAX, FilledBy::Practitioner))?;
    let (shared, id) = (env.clone(), id.0);
    let request = Request::of(&actor, format!("review_intake {id}"), key, &raw).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        submission::review(tx, &shared, &rules, &actor, id, &if_match, &review)?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        let (version, dto) = IntakeDto::find(tx, &shared, &rules, &actor, id)?;
        Answer::changed(version, &dto)
    })
    .await
}

/// A correction of a submitted intake.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"answers": {"symptoms": {"symptom_onset_date": "2008"}}, "reason": "The year was mistaken."}))]
struct IntakeAmendment {
    /// What to change (RFC 7396), as in a save of a draft.
    #[schema(value_type = rls::Answers)]
    answers: StrictJson,
    /// Why; practitioners can read it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Amend a submitted intake
///
/// The answers as they were are kept with their review; the amended ones are checked in full and wait for a review.
#[utoipa::path(
    tag = "intakes",
    operation_id = "amend_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is amended"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body = IntakeAmendment,
    responses(
        (status = 200, description = "Amended", body = IntakeDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`status_conflict`: it was not submitted, or was entered in error, `intake_status` says where it stands; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/intakes/{id}/amend")]
async fn amend_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<IntakeAmendment>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeAmend)?;
    let (patch, reason) = (members(&body.answers)?.clone(), reason(&body.reason)?);
    let (shared, id) = (env.clone(), id.0);
    let operation = format!("amend_intake {id}");
    let request = Request::of(&actor, operation, key, &body.raw).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        submission::amend(tx, &shared, &rules, &actor, id, &if_match, &patch, &reason)?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        let (version, dto) = IntakeDto::find(tx, &shared, &rules, &actor, id)?;
        Answer::changed(version, &dto)
    })
    .await
}

/// Why an intake is void.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Entered into another patient's record."}))]
struct IntakeVoiding {
    /// Practitioners can read it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

fn reason(text: &str) -> Result<String> {
    let mut check = Check::new();
    let reason = check.field("/reason", text::lines(text, REASON));
    check.done()?;
    Ok(reason.unwrap_or_default())
}

/// Mark an intake as entered in error
///
/// It is kept and counts for nothing any more; its flags are marked as withdrawn and stay until somebody acknowledges them.
#[utoipa::path(
    tag = "intakes",
    operation_id = "void_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is marked"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body = IntakeVoiding,
    responses(
        (status = 200, description = "Marked", body = IntakeDto, headers(("ETag" = String, description = "The new version"))),
        (status = 409, description = "`status_conflict`: it was not submitted, or was entered in error before, `intake_status` says where it stands; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/intakes/{id}/void")]
async fn void_intake(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<IntakeVoiding>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeVoid)?;
    let (shared, id, reason) = (env.clone(), id.0, reason(&body.reason)?);
    let request = Request::of(&actor, format!("void_intake {id}"), key, &body.raw).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        submission::void(tx, &shared, &actor, id, &if_match, &reason)?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        let (version, dto) = IntakeDto::find(tx, &shared, &rules, &actor, id)?;
        Answer::changed(version, &dto)
    })
    .await
}

/// What amendments and further reviews of an intake replaced.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": []}))]
struct IntakeVersionList {
    /// Oldest first; the present version is the intake itself.
    items: Vec<IntakeVersionDto>,
}

/// Read what amendments replaced
///
/// Each with its answers as they stood, what was computed from them, and its review. For practitioners.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intake_versions",
    security(("bearer" = [])),
    params(("id" = IntakeId, Path, description = "The intake")),
    responses((status = 200, description = "The replaced versions", body = IntakeVersionList)),
)]
#[get("/v1/intakes/{id}/versions")]
async fn list_intake_versions(env: web::Data<Env>, actor: Actor, id: PathId<IntakeId>) -> Result<HttpResponse> {
    actor.require(Action::IntakeReview)?;
    let shared = env.clone();
    let rows = care::read(&env, actor, move |conn, actor| {
        store::visible(conn, &shared, actor, id.0)?;
        store::replaced(conn, id.0)
    })
    .await?;
    let items = rows.iter().map(|row| IntakeVersionDto::new(&env, row)).collect::<Result<_>>()?;
    Ok(HttpResponse::Ok().json(IntakeVersionList { items }))
}
