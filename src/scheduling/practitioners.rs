//! The doctors: what they offer, and where.

use std::collections::HashMap;

use actix_web::{HttpResponse, get, patch, post, web};
use diesel::prelude::*;

use super::affected::AffectedAppointments;
use super::model::{self, Practitioner};
use super::params::changed;
use super::store::{self, Offers};
use super::{affected, publishing};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::db::Conn;
use crate::db::schema::practitioners;
use crate::env::Env;
use crate::error::{Check, Error, FieldError, Result, Rule};
use crate::http::idempotency::{self, Request};
use crate::http::input::Change;
use crate::http::{Answer, Body, Cursor, IdempotencyKey, IfMatch, Limit, Params, Patch, PathId, etag};
use crate::identifiers::{self, Identifier, Identifiers, Token};
use crate::ids::{AppointmentId, LocationId, PractitionerId, VisitTypeId};
use crate::text;
use crate::trail::Trail;

const LIST: &str = "practitioners";
/// How many visit types or locations one practitioner may have.
const MOST: usize = 100;

/// A doctor.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01", "name": "Dr. Ada Calloway",
    "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"], "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"],
    "active": true
}))]
pub struct PractitionerDto {
    /// Its id.
    pub id: PractitionerId,
    /// As patients see it.
    pub name: String,
    /// The visit types on offer.
    pub visit_type_ids: Vec<VisitTypeId>,
    /// Where they work.
    pub location_ids: Vec<LocationId>,
    /// Whether patients can be booked with them.
    pub active: bool,
    /// The numbers that other systems have for them; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Identifier>, nullable = false, required = false)]
    pub identifiers: Option<Identifiers>,
}

/// Whether the caller may see what other systems call the practitioners: some are the clinic's own, such as a staff number.
fn sees_identifiers(actor: &Result<Actor>) -> bool {
    actor.as_ref().is_ok_and(|actor| actor.require(Action::PractitionerIdentifierRead).is_ok())
}

impl PractitionerDto {
    fn new(practitioner: &Practitioner, offers: &Offers, with_identifiers: bool) -> Self {
        Self {
            identifiers: with_identifiers.then(|| practitioner.identifiers.clone()),
            id: practitioner.id,
            name: practitioner.name.clone(),
            visit_type_ids: offers.visit_types(practitioner.id),
            location_ids: offers.locations(practitioner.id),
            active: practitioner.active,
        }
    }
}

/// A practitioner after a change, and whom that hits.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01", "name": "Dr. Ada Calloway",
    "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"], "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"],
    "active": true, "affected_appointments": [], "affected_total": 0
}))]
pub struct PractitionerChanged {
    /// The practitioner.
    #[serde(flatten)]
    pub practitioner: PractitionerDto,
    /// Whom it hits.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// Practitioners, oldest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01", "name": "Dr. Ada Calloway",
    "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"], "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"],
    "active": true
}], "next_cursor": null}))]
pub struct PractitionerPage {
    /// The practitioners.
    pub items: Vec<PractitionerDto>,
    /// Give it as `cursor` for what follows; `null` at the end.
    pub next_cursor: Option<String>,
}

fn yes() -> bool {
    true
}

/// A new practitioner.
#[derive(Debug, Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Dr. Ada Calloway", "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"],
    "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"]
}))]
pub struct PractitionerInput {
    /// As patients see it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The visit types on offer. Each must be a whole number of slots at each of the locations.
    #[serde(default)]
    #[schema(max_items = 100)]
    visit_type_ids: Vec<VisitTypeId>,
    /// Where they work.
    #[serde(default)]
    #[schema(max_items = 100)]
    location_ids: Vec<LocationId>,
    /// Whether patients can be booked with them.
    #[serde(default = "yes")]
    #[schema(default = true)]
    active: bool,
    /// The numbers that other systems have for them.
    #[serde(default)]
    #[schema(value_type = Vec<Identifier>, max_items = 20)]
    identifiers: Identifiers,
}

/// What to change of a practitioner; what is not there stays.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": false}))]
pub struct PractitionerPatch {
    /// As patients see it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// The visit types on offer, all of them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<VisitTypeId>>, max_items = 100)]
    visit_type_ids: Change<Vec<VisitTypeId>>,
    /// Where they work, all of it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<LocationId>>, max_items = 100)]
    location_ids: Change<Vec<LocationId>>,
    /// Whether patients can be booked with them.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    active: Change<bool>,
    /// The numbers that other systems have for them, all of them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Identifier>>, max_items = 20)]
    identifiers: Change<Identifiers>,
}

impl From<PractitionerInput> for PractitionerPatch {
    fn from(input: PractitionerInput) -> Self {
        Self {
            name: Change::Set(input.name),
            visit_type_ids: Change::Set(input.visit_type_ids),
            location_ids: Change::Set(input.location_ids),
            active: Change::Set(input.active),
            identifiers: Change::Set(input.identifiers),
        }
    }
}

/// What changes of a practitioner, checked as far as the input alone can be.
#[derive(Debug, Clone)]
struct Changes {
    name: Option<String>,
    visit_type_ids: Option<Vec<VisitTypeId>>,
    location_ids: Option<Vec<LocationId>>,
    active: Option<bool>,
    identifiers: Option<Identifiers>,
}

impl Changes {
    fn read(patch: PractitionerPatch) -> Result<Self> {
        let mut check = Check::new();
        let changes = Self {
            name: changed(&mut check, "/name", patch.name, |name| text::one_line(&name, 100)),
            visit_type_ids: changed(&mut check, "/visit_type_ids", patch.visit_type_ids, few),
            location_ids: changed(&mut check, "/location_ids", patch.location_ids, few),
            active: changed(&mut check, "/active", patch.active, Ok),
            identifiers: match patch.identifiers {
                Change::Keep => None,
                Change::Clear => Some(Identifiers::default()),
                Change::Set(identifiers) => identifiers.read("/identifiers", &mut check),
            },
        };
        check.done()?;
        Ok(changes)
    }
}

fn few<T: PartialEq>(ids: Vec<T>) -> Result<Vec<T>, Rule> {
    if ids.len() > MOST {
        return Err(Rule::new("too_many", format!("may have {MOST} entries")));
    }
    if ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id)) {
        return Err(Rule::new("duplicate", "must not name the same id twice"));
    }
    Ok(ids)
}

/// Which practitioners to list.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PractitionerParams {
    /// `false` for those that are out of use; for administrators.
    #[param(default = true)]
    active: Option<bool>,
    /// A number that another system has for them: `system|value`, `value` of any system, or `system|` for all of a system;
    /// for staff.
    #[param(min_length = 1, max_length = 456, example = "npi|1234567893")]
    identifier: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

impl PractitionerParams {
    fn read(&self, actor: Result<Actor>) -> Result<(bool, Option<Token>, Limit, Option<Cursor>)> {
        let active = self.active.unwrap_or(true);
        if !active || self.identifier.is_some() {
            let actor = actor?;
            if !active {
                actor.require(Action::ClinicSetUp)?;
            }
            actor.require(Action::PractitionerIdentifierRead)?;
        }
        let token = self.identifier.as_deref().map(Token::parse).transpose();
        let token = token.map_err(|rule| Error::invalid("?identifier", rule.code, rule.detail))?;
        Ok((active, token, Limit::new(self.limit)?, Cursor::read(self.cursor.as_deref(), LIST)?))
    }
}

/// List practitioners
///
/// The doctors, with what they offer and where. Those who are out of use are shown to administrators on demand.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "list_practitioners",
    params(PractitionerParams),
    responses((status = 200, description = "The practitioners", body = PractitionerPage)),
)]
#[get("/v1/practitioners")]
pub async fn list_practitioners(
    env: web::Data<Env>,
    actor: Result<Actor>,
    Params(params): Params<PractitionerParams>,
) -> Result<HttpResponse> {
    let with_identifiers = sees_identifiers(&actor);
    let (active, token, limit, after) = params.read(actor)?;
    let page = env
        .db
        .read(move |conn| {
            let rows = store::list_practitioners(conn, active, token.as_ref(), after, limit)?;
            let (rows, next_cursor) = limit.page(rows, LIST, |row| (row.created_at, row.id.0));
            let offers = Offers::of(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
            let items = rows.iter().map(|row| PractitionerDto::new(row, &offers, with_identifiers)).collect();
            Ok(PractitionerPage { items, next_cursor })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Read a practitioner
///
/// One doctor, in use or not.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "get_practitioner",
    params(("id" = PractitionerId, Path, description = "The practitioner")),
    responses((status = 200, description = "The practitioner", body = PractitionerDto, headers(("ETag" = String, description = "Its version, for If-Match.")))),
)]
#[get("/v1/practitioners/{id}")]
pub async fn get_practitioner(
    env: web::Data<Env>,
    actor: Result<Actor>,
    PathId(id): PathId<PractitionerId>,
) -> Result<HttpResponse> {
    let (practitioner, offers) =
        env.db.read(move |conn| Ok((store::practitioner(conn, id)?, Offers::of(conn, &[id])?))).await?;
    let dto = PractitionerDto::new(&practitioner, &offers, sees_identifiers(&actor));
    Ok(HttpResponse::Ok().insert_header(etag::header(practitioner.version)).json(dto))
}

/// Add a practitioner
///
/// For administrators. Slots appear with the weekly hours.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "create_practitioner",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255)),
    request_body = PractitionerInput,
    responses(
        (status = 201, description = "The practitioner", body = PractitionerDto),
        (status = 409, description = "`identifier_taken`: another practitioner has an identifier, `pointer` says which, `taken_by` who; \
            `request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/practitioners")]
pub async fn create_practitioner(
    env: web::Data<Env>,
    actor: Actor,
    key: IdempotencyKey,
    body: Body<PractitionerInput>,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let changes = Changes::read(body.value.clone().into())?;
    let operation = "create_practitioner".to_owned();
    let request = Request::of(&actor, operation, key, &body.raw);
    let within = env.clone();
    idempotency::run(&env, request, move |tx| {
        let practitioner = create(tx, &within, &changes)?;
        audit::record(tx, &within, &actor.trail, practitioner.id.0)?;
        let offers = Offers::of(tx, &[practitioner.id])?;
        let path = format!("/v1/practitioners/{}", practitioner.id);
        Answer::created(path, practitioner.version, &PractitionerDto::new(&practitioner, &offers, true))
    })
    .await
}

fn create(tx: &mut Conn, env: &Env, new: &Changes) -> Result<Practitioner> {
    store::set_up(tx)?;
    let now = env.now();
    let practitioner = Practitioner {
        id: env.new_id(),
        name: new.name.clone().unwrap_or_default(),
        active: new.active.unwrap_or(true),
        identifiers: new.identifiers.clone().unwrap_or_default(),
        version: 1,
        availability_version: 1,
        created_at: now,
        updated_at: now,
    };
    let (visit_types, locations) =
        (new.visit_type_ids.clone().unwrap_or_default(), new.location_ids.clone().unwrap_or_default());
    check_fit(tx, new, &visit_types, &locations)?;
    diesel::insert_into(practitioners::table).values(&practitioner).execute(tx)?;
    store::set_offers(tx, practitioner.id, &visit_types, &locations)?;
    identifiers::set_for_practitioner(tx, practitioner.id, &practitioner.identifiers)?;
    Ok(practitioner)
}

/// Change a practitioner
///
/// For administrators. The free slots follow at once: at a location that is taken away they go (the weekly hours there
/// rest until the location comes back), and all of them go while the practitioner is not active. What is booked stays; what
/// the change hits is in the answer and under `needs_attention`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "update_practitioner",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("If-Match" = String, Header, description = "The ETag of the version that you read."),
    ),
    request_body(content = PractitionerPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The practitioner as it is now, and whom the change hits", body = PractitionerChanged, headers(("ETag" = String, description = "Its version, for If-Match."))),
        (status = 409, description = "`identifier_taken`: another practitioner has an identifier, `pointer` says which, `taken_by` who"),
    ),
)]
#[patch("/v1/practitioners/{id}")]
pub async fn update_practitioner(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<PractitionerId>,
    if_match: IfMatch,
    Patch(patch): Patch<PractitionerPatch>,
) -> actix_web::Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::read(patch)?;
    let within = env.clone();
    let (version, changed) = env
        .db
        .write(move |tx| {
            let changed = update(tx, &within, &actor.trail, id, &if_match, &changes)?;
            audit::record(tx, &within, &actor.trail, id.0)?;
            Ok(changed)
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(changed))
}

fn update(
    tx: &mut Conn,
    env: &Env,
    trail: &Trail,
    id: PractitionerId,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<(i32, PractitionerChanged)> {
    store::set_up(tx)?;
    let before = store::lock_practitioner(tx, id)?;
    if_match.check(before.version)?;
    let mut practitioner = before.clone();
    let mut offers_change = false;
    if changes.visit_type_ids.is_some() || changes.location_ids.is_some() {
        let offers = Offers::of(tx, &[id])?;
        let visit_types = changes.visit_type_ids.clone().unwrap_or_else(|| offers.visit_types(id));
        let locations = changes.location_ids.clone().unwrap_or_else(|| offers.locations(id));
        check_fit(tx, changes, &visit_types, &locations)?;
        offers_change = !(same(&visit_types, &offers.visit_types(id)) && same(&locations, &offers.locations(id)));
        if offers_change {
            store::set_offers(tx, id, &visit_types, &locations)?;
        }
    }
    practitioner.name = changes.name.clone().unwrap_or(practitioner.name);
    practitioner.active = changes.active.unwrap_or(practitioner.active);
    practitioner.identifiers = changes.identifiers.clone().unwrap_or(practitioner.identifiers);
    if practitioner == before && !offers_change {
        return answer(tx, trail, &before, &[]);
    }
    if practitioner.identifiers != before.identifiers {
        identifiers::set_for_practitioner(tx, id, &practitioner.identifiers)?;
    }
    practitioner.version += 1;
    practitioner.updated_at = env.now();
    diesel::update(practitioners::table.find(id)).set(&practitioner).execute(tx)?;
    let hit = publishing::publish(tx, env, &practitioner, &[])?;
    answer(tx, trail, &practitioner, &hit)
}

/// The practitioner with its version, and whom the change hits.
fn answer(
    tx: &mut Conn,
    trail: &Trail,
    practitioner: &Practitioner,
    hit: &[AppointmentId],
) -> Result<(i32, PractitionerChanged)> {
    let dto = PractitionerDto::new(practitioner, &Offers::of(tx, &[practitioner.id])?, true);
    Ok((practitioner.version, PractitionerChanged { practitioner: dto, affected: affected::load(tx, trail, hit)? }))
}

/// Whether two lists name the same, in whatever order.
fn same<T: Ord + Copy>(a: &[T], b: &[T]) -> bool {
    let sorted = |list: &[T]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    };
    sorted(a) == sorted(b)
}

/// Whether all visit types and locations exist, and each visit takes a whole number of slots at each of them.
fn check_fit(tx: &mut Conn, input: &Changes, visit_types: &[VisitTypeId], locations: &[LocationId]) -> Result<()> {
    let mut check = Check::new();
    let durations: HashMap<_, _> =
        store::visit_types_of(tx, visit_types)?.into_iter().map(|visit| (visit.id, visit.duration_minutes)).collect();
    let lengths: HashMap<_, _> =
        store::locations_of(tx, locations)?.into_iter().map(|place| (place.id, place.slot_minutes)).collect();
    let unknown = |list: &str, index: usize, what: &str| {
        FieldError::new(format!("/{list}/{index}"), "unknown_reference", format!("there is no such {what}"))
    };
    for (index, _) in visit_types.iter().enumerate().filter(|(_, id)| !durations.contains_key(id)) {
        check.add(unknown("visit_type_ids", index, "visit type"));
    }
    for (index, _) in locations.iter().enumerate().filter(|(_, id)| !lengths.contains_key(id)) {
        check.add(unknown("location_ids", index, "location"));
    }
    // The misfit is told where the request has it: with the visit types, unless only the locations were given.
    let misfit = |duration: &i32, length: &i32| !model::is_multiple(*duration, *length);
    if input.visit_type_ids.is_some() {
        for (index, id) in visit_types.iter().enumerate() {
            let fits =
                durations.get(id).is_none_or(|duration| !lengths.values().any(|length| misfit(duration, length)));
            let why = "its duration is no multiple of the slot length of one of the locations";
            check.require(fits, format!("/visit_type_ids/{index}"), "does_not_fit", why);
        }
    } else {
        for (index, id) in locations.iter().enumerate() {
            let fits =
                lengths.get(id).is_none_or(|length| !durations.values().any(|duration| misfit(duration, length)));
            let why = "its slot length does not divide the duration of one of the visit types";
            check.require(fits, format!("/location_ids/{index}"), "does_not_fit", why);
        }
    }
    check.done()
}
