//! What can be booked.

use actix_web::{HttpResponse, get, patch, post, web};
use diesel::prelude::*;

use super::model::{self, VisitType};
use super::params::{ActivePageParams, changed};
use super::store;
use crate::actor::{Action, Actor};
use crate::audit;
use crate::db::Conn;
use crate::db::schema::visit_types;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Request};
use crate::http::input::Change;
use crate::http::{Answer, Body, IdempotencyKey, IfMatch, Params, Patch, PathId, etag};
use crate::ids::VisitTypeId;
use crate::text;

const LIST: &str = "visit-types";
/// The longest visit in minutes.
const LONGEST: i32 = 480;
/// The longest notice: a year, in minutes.
const YEAR: i32 = 366 * 24 * 60;

/// A kind of visit (FHIR: serviceType).
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03", "name": "RLS first visit", "public_name": "First visit", "duration_minutes": 60,
    "online_bookable": true, "booking_notice_minutes": 120, "cancel_notice_minutes": 1440, "active": true
}))]
pub struct VisitTypeDto {
    /// Its id.
    pub id: VisitTypeId,
    /// What the staff call it.
    pub name: String,
    /// What mails and calendars call it.
    pub public_name: String,
    /// How long it takes.
    pub duration_minutes: i32,
    /// Whether patients may book it themselves.
    pub online_bookable: bool,
    /// How long before its start patients must book it.
    pub booking_notice_minutes: i32,
    /// How long before its start patients may still cancel or move it.
    pub cancel_notice_minutes: i32,
    /// Whether it is offered at all.
    pub active: bool,
}

impl From<VisitType> for VisitTypeDto {
    fn from(visit: VisitType) -> Self {
        Self {
            id: visit.id,
            name: visit.name,
            public_name: visit.public_name,
            duration_minutes: visit.duration_minutes,
            online_bookable: visit.online_bookable,
            booking_notice_minutes: visit.booking_notice_minutes,
            cancel_notice_minutes: visit.cancel_notice_minutes,
            active: visit.active,
        }
    }
}

/// Visit types, oldest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03", "name": "RLS first visit", "public_name": "First visit", "duration_minutes": 60,
    "online_bookable": true, "booking_notice_minutes": 120, "cancel_notice_minutes": 1440, "active": true
}], "next_cursor": null}))]
pub struct VisitTypePage {
    /// The visit types.
    pub items: Vec<VisitTypeDto>,
    /// Give it as `cursor` for what follows; `null` at the end.
    pub next_cursor: Option<String>,
}

fn yes() -> bool {
    true
}

/// A new visit type.
#[derive(Debug, Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "RLS first visit", "public_name": "First visit", "duration_minutes": 60, "online_bookable": true,
    "booking_notice_minutes": 120, "cancel_notice_minutes": 1440
}))]
pub struct VisitTypeInput {
    /// What the staff call it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What mails and calendars call it: nothing about health.
    #[schema(min_length = 1, max_length = 100)]
    public_name: String,
    /// How long it takes. Wherever it is offered it must be a whole number of slots.
    #[schema(minimum = 5, maximum = 480)]
    duration_minutes: i64,
    /// Whether patients may book it themselves.
    #[serde(default)]
    online_bookable: bool,
    /// How long before its start patients must book it.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 527_040)]
    booking_notice_minutes: i64,
    /// How long before its start patients may still cancel or move it.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 527_040)]
    cancel_notice_minutes: i64,
    /// Whether it is offered at all.
    #[serde(default = "yes")]
    #[schema(default = true)]
    active: bool,
}

/// What to change of a visit type; what is not there stays.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"booking_notice_minutes": 240}))]
pub struct VisitTypePatch {
    /// What the staff call it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// What mails and calendars call it: nothing about health.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    public_name: Change<String>,
    /// How long it takes. What is booked stays as long as it is.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 480)]
    duration_minutes: Change<i64>,
    /// Whether patients may book it themselves.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    online_bookable: Change<bool>,
    /// How long before its start patients must book it.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 527_040)]
    booking_notice_minutes: Change<i64>,
    /// How long before its start patients may still cancel or move it.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 527_040)]
    cancel_notice_minutes: Change<i64>,
    /// Whether it is offered at all.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    active: Change<bool>,
}

impl From<VisitTypeInput> for VisitTypePatch {
    fn from(input: VisitTypeInput) -> Self {
        Self {
            name: Change::Set(input.name),
            public_name: Change::Set(input.public_name),
            duration_minutes: Change::Set(input.duration_minutes),
            online_bookable: Change::Set(input.online_bookable),
            booking_notice_minutes: Change::Set(input.booking_notice_minutes),
            cancel_notice_minutes: Change::Set(input.cancel_notice_minutes),
            active: Change::Set(input.active),
        }
    }
}

/// What changes of a visit type, checked.
#[derive(Debug, Clone)]
struct Changes {
    name: Option<String>,
    public_name: Option<String>,
    duration_minutes: Option<i32>,
    online_bookable: Option<bool>,
    booking_notice_minutes: Option<i32>,
    cancel_notice_minutes: Option<i32>,
    active: Option<bool>,
}

impl Changes {
    fn read(patch: VisitTypePatch) -> Result<Self> {
        let mut check = Check::new();
        let check_ref = &mut check;
        let name = |name: String| text::one_line(&name, 100);
        let notice = |minutes| model::minutes_between(minutes, 0, YEAR);
        let duration = |minutes| model::minutes_between(minutes, 5, LONGEST);
        let changes = Self {
            name: changed(check_ref, "/name", patch.name, name),
            public_name: changed(check_ref, "/public_name", patch.public_name, name),
            duration_minutes: changed(check_ref, "/duration_minutes", patch.duration_minutes, duration),
            online_bookable: changed(check_ref, "/online_bookable", patch.online_bookable, Ok),
            booking_notice_minutes: changed(check_ref, "/booking_notice_minutes", patch.booking_notice_minutes, notice),
            cancel_notice_minutes: changed(check_ref, "/cancel_notice_minutes", patch.cancel_notice_minutes, notice),
            active: changed(check_ref, "/active", patch.active, Ok),
        };
        check.done()?;
        Ok(changes)
    }
}

/// List visit types
///
/// What can be booked. Those that are out of use are shown to administrators on demand.
#[utoipa::path(
    tag = "visit types",
    operation_id = "list_visit_types",
    params(ActivePageParams),
    responses((status = 200, description = "The visit types", body = VisitTypePage)),
)]
#[get("/v1/visit-types")]
pub async fn list_visit_types(
    env: web::Data<Env>,
    actor: Result<Actor>,
    Params(params): Params<ActivePageParams>,
) -> Result<HttpResponse> {
    let (active, limit, after) = params.read(LIST, actor)?;
    let rows = env.db.read(move |conn| store::list_visit_types(conn, active, after, limit)).await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |row| (row.created_at, row.id.0));
    Ok(HttpResponse::Ok().json(VisitTypePage { items: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Read a visit type
///
/// One kind of visit, in use or not.
#[utoipa::path(
    tag = "visit types",
    operation_id = "get_visit_type",
    params(("id" = VisitTypeId, Path, description = "The visit type")),
    responses((status = 200, description = "The visit type", body = VisitTypeDto, headers(("ETag" = String, description = "Its version, for If-Match.")))),
)]
#[get("/v1/visit-types/{id}")]
pub async fn get_visit_type(env: web::Data<Env>, PathId(id): PathId<VisitTypeId>) -> Result<HttpResponse> {
    let visit = env.db.read(move |conn| store::visit_type(conn, id)).await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(visit.version)).json(VisitTypeDto::from(visit)))
}

/// Add a visit type
///
/// For administrators. It can be booked once a practitioner offers it.
#[utoipa::path(
    tag = "visit types",
    operation_id = "create_visit_type",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255)),
    request_body = VisitTypeInput,
    responses(
        (status = 201, description = "The visit type", body = VisitTypeDto),
        (status = 409, description = "`request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/visit-types")]
pub async fn create_visit_type(
    env: web::Data<Env>,
    actor: Actor,
    key: IdempotencyKey,
    body: Body<VisitTypeInput>,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let changes = Changes::read(body.value.clone().into())?;
    let operation = "create_visit_type".to_owned();
    let request = Request::of(&actor, operation, key, &body.raw);
    let within = env.clone();
    idempotency::run(&env, request, move |tx| {
        let visit = create(tx, &within, &changes)?;
        audit::record(tx, &within, &actor.trail, visit.id.0)?;
        let path = format!("/v1/visit-types/{}", visit.id);
        Answer::created(path, visit.version, &VisitTypeDto::from(visit))
    })
    .await
}

fn create(tx: &mut Conn, env: &Env, new: &Changes) -> Result<VisitType> {
    let now = env.now();
    let mut visit = VisitType {
        id: env.new_id(),
        name: String::new(),
        public_name: String::new(),
        duration_minutes: 0,
        online_bookable: false,
        booking_notice_minutes: 0,
        cancel_notice_minutes: 0,
        active: true,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    apply(&mut visit, new);
    diesel::insert_into(visit_types::table).values(&visit).execute(tx)?;
    Ok(visit)
}

fn apply(visit: &mut VisitType, changes: &Changes) {
    fn set<T: Clone>(to: &mut T, value: Option<&T>) {
        if let Some(value) = value {
            to.clone_from(value);
        }
    }
    set(&mut visit.name, changes.name.as_ref());
    set(&mut visit.public_name, changes.public_name.as_ref());
    set(&mut visit.duration_minutes, changes.duration_minutes.as_ref());
    set(&mut visit.online_bookable, changes.online_bookable.as_ref());
    set(&mut visit.booking_notice_minutes, changes.booking_notice_minutes.as_ref());
    set(&mut visit.cancel_notice_minutes, changes.cancel_notice_minutes.as_ref());
    set(&mut visit.active, changes.active.as_ref());
}

/// Change a visit type
///
/// For administrators. Another duration must be a whole number of slots wherever the visit type is offered; what is booked
/// keeps its times.
#[utoipa::path(
    tag = "visit types",
    operation_id = "update_visit_type",
    security(("bearer" = [])),
    params(
        ("id" = VisitTypeId, Path, description = "The visit type"),
        ("If-Match" = String, Header, description = "The ETag of the version that you read."),
    ),
    request_body(content = VisitTypePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The visit type as it is now", body = VisitTypeDto, headers(("ETag" = String, description = "Its version, for If-Match.")))),
)]
#[patch("/v1/visit-types/{id}")]
pub async fn update_visit_type(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<VisitTypeId>,
    if_match: IfMatch,
    Patch(patch): Patch<VisitTypePatch>,
) -> actix_web::Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::read(patch)?;
    let within = env.clone();
    let visit = env
        .db
        .write(move |tx| {
            let visit = update(tx, &within, id, &if_match, &changes)?;
            audit::record(tx, &within, &actor.trail, id.0)?;
            Ok(visit)
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(visit.version)).json(VisitTypeDto::from(visit)))
}

fn update(tx: &mut Conn, env: &Env, id: VisitTypeId, if_match: &IfMatch, changes: &Changes) -> Result<VisitType> {
    store::set_up(tx)?;
    let before = store::visit_type(tx, id)?;
    if_match.check(before.version)?;
    let mut visit = before.clone();
    apply(&mut visit, changes);
    if visit == before {
        return Ok(before);
    }
    if changes.duration_minutes.is_some()
        && store::slot_lengths_for(tx, id)?.iter().any(|slot| !model::is_multiple(visit.duration_minutes, *slot))
    {
        let why = "must be a multiple of the slot length of every location where it is offered";
        return Err(Error::invalid("/duration_minutes", "does_not_fit", why));
    }
    visit.version += 1;
    visit.updated_at = env.now();
    diesel::update(visit_types::table.find(id)).set(&visit).execute(tx)?;
    Ok(visit)
}
