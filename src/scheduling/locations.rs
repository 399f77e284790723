//! Where the clinic sees patients.

use actix_web::{HttpResponse, get, patch, post, web};
use diesel::prelude::*;

use super::affected::AffectedAppointments;
use super::model::{self, Location};
use super::params::{PageParams, changed};
use super::{affected, publishing, store};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::db::Conn;
use crate::db::schema::locations;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Request};
use crate::http::input::Change;
use crate::http::{Answer, Body, IdempotencyKey, IfMatch, Params, Patch, PathId, etag};
use crate::ids::LocationId;
use crate::phone;
use crate::text;
use crate::trail::Trail;

const LIST: &str = "locations";

/// A place where the clinic sees patients.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013",
    "phone": "+12125550100", "phone_display": "(212) 555-0100", "country": "US", "time_zone": "America/New_York", "slot_minutes": 15
}))]
pub struct LocationDto {
    /// Its id.
    pub id: LocationId,
    /// What it is called.
    pub name: String,
    /// Where it is, in one line.
    pub address: String,
    /// Its telephone number, E.164.
    pub phone: String,
    /// The same number as its country writes it, to show to people.
    pub phone_display: String,
    /// Its country, ISO 3166-1 alpha-2.
    pub country: String,
    /// Its time zone, an IANA name. Opening hours are meant in it.
    pub time_zone: String,
    /// The length of its slots. Every visit takes a whole number of them.
    pub slot_minutes: i32,
}

impl From<Location> for LocationDto {
    fn from(location: Location) -> Self {
        let phone_display = location.phone_shown();
        let Location { id, name, address, phone, country, time_zone, slot_minutes, .. } = location;
        Self { id, name, address, phone, phone_display, country, time_zone, slot_minutes }
    }
}

/// A location after a change, and whom that hits.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013",
    "phone": "+12125550100", "phone_display": "(212) 555-0100", "country": "US", "time_zone": "America/New_York", "slot_minutes": 15,
    "affected_appointments": [], "affected_total": 0
}))]
pub struct LocationChanged {
    /// The location.
    #[serde(flatten)]
    pub location: LocationDto,
    /// Whom it hits.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// Locations, oldest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013",
    "phone": "+12125550100", "phone_display": "(212) 555-0100", "country": "US", "time_zone": "America/New_York", "slot_minutes": 15
}], "next_cursor": null}))]
pub struct LocationPage {
    /// The locations.
    pub items: Vec<LocationDto>,
    /// Give it as `cursor` for what follows; `null` at the end.
    pub next_cursor: Option<String>,
}

/// A new location.
#[derive(Debug, Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013", "phone": "(212) 555-0100", "country": "US",
    "time_zone": "America/New_York", "slot_minutes": 15
}))]
pub struct LocationInput {
    /// What it is called.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Where it is, in one line.
    #[schema(min_length = 1, max_length = 300)]
    address: String,
    /// Its telephone number: with `+` and the country's code, or as its country writes it. Mails show it.
    #[schema(max_length = 40)]
    phone: String,
    /// Its country, ISO 3166-1 alpha-2.
    #[schema(pattern = "^[A-Za-z]{2}$")]
    country: String,
    /// Its time zone, an IANA name.
    #[schema(max_length = 64)]
    time_zone: String,
    /// The length of its slots in minutes: 5, 10, 15, 20, 30, 40, 45, 60, 80, 90, 120, 160, 180 or 240.
    #[schema(minimum = 5, maximum = 240)]
    slot_minutes: i64,
}

/// What to change of a location; what is not there stays.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+1 212 555 0199"}))]
pub struct LocationPatch {
    /// What it is called.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// Where it is, in one line.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 300)]
    address: Change<String>,
    /// Its telephone number: with `+` and the country's code, or as its country writes it.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 40)]
    phone: Change<String>,
    /// Its country, ISO 3166-1 alpha-2.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2}$")]
    country: Change<String>,
    /// Its time zone, an IANA name.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 64)]
    time_zone: Change<String>,
    /// The length of its slots in minutes.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 240)]
    slot_minutes: Change<i64>,
}

/// What changes of a location, checked.
#[derive(Debug, Clone)]
struct Changes {
    name: Option<String>,
    address: Option<String>,
    phone: Option<String>,
    country: Option<String>,
    time_zone: Option<String>,
    slot_minutes: Option<i32>,
}

impl Changes {
    fn read(patch: LocationPatch) -> Result<Self> {
        let mut check = Check::new();
        let country = patch.country.clone();
        let changes = Self {
            name: changed(&mut check, "/name", patch.name, |name| text::one_line(&name, 100)),
            address: changed(&mut check, "/address", patch.address, |address| text::one_line(&address, 300)),
            phone: changed(&mut check, "/phone", patch.phone, |phone| match &country {
                // Read again, with the country that the location has, once that is known.
                Change::Set(code) => phone::read(&phone, phone::Country::of(code)),
                _ => phone::glance(&phone).map(|()| phone),
            }),
            country: changed(&mut check, "/country", patch.country, |country| text::country(&country)),
            time_zone: changed(&mut check, "/time_zone", patch.time_zone, |zone| model::zone_name(&zone)),
            slot_minutes: changed(&mut check, "/slot_minutes", patch.slot_minutes, model::slot_minutes),
        };
        check.done()?;
        Ok(changes)
    }
}

impl From<LocationInput> for LocationPatch {
    fn from(input: LocationInput) -> Self {
        Self {
            name: Change::Set(input.name),
            address: Change::Set(input.address),
            phone: Change::Set(input.phone),
            country: Change::Set(input.country),
            time_zone: Change::Set(input.time_zone),
            slot_minutes: Change::Set(input.slot_minutes),
        }
    }
}

/// List locations
///
/// All places where the clinic sees patients.
#[utoipa::path(
    tag = "locations",
    operation_id = "list_locations",
    params(PageParams),
    responses((status = 200, description = "The locations", body = LocationPage)),
)]
#[get("/v1/locations")]
pub async fn list_locations(env: web::Data<Env>, Params(params): Params<PageParams>) -> Result<HttpResponse> {
    let (limit, after) = params.read(LIST)?;
    let rows = env.db.read(move |conn| store::list_locations(conn, after, limit)).await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |row| (row.created_at, row.id.0));
    Ok(HttpResponse::Ok().json(LocationPage { items: rows.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Read a location
///
/// One place where the clinic sees patients.
#[utoipa::path(
    tag = "locations",
    operation_id = "get_location",
    params(("id" = LocationId, Path, description = "The location")),
    responses((status = 200, description = "The location", body = LocationDto, headers(("ETag" = String, description = "Its version, for If-Match.")))),
)]
#[get("/v1/locations/{id}")]
pub async fn get_location(env: web::Data<Env>, PathId(id): PathId<LocationId>) -> Result<HttpResponse> {
    let location = env.db.read(move |conn| store::location(conn, id)).await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(location.version)).json(LocationDto::from(location)))
}

/// Add a location
///
/// For administrators. Opening hours come with the practitioners who work there.
#[utoipa::path(
    tag = "locations",
    operation_id = "create_location",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255)),
    request_body = LocationInput,
    responses(
        (status = 201, description = "The location", body = LocationDto),
        (status = 409, description = "`request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/locations")]
pub async fn create_location(
    env: web::Data<Env>,
    actor: Actor,
    key: IdempotencyKey,
    body: Body<LocationInput>,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let changes = Changes::read(body.value.clone().into())?;
    let operation = "create_location".to_owned();
    let request = Request::of(&actor, operation, key, &body.raw);
    let within = env.clone();
    idempotency::run(&env, request, move |tx| {
        let location = create(tx, &within, &changes)?;
        audit::record(tx, &within, &actor.trail, location.id.0)?;
        let path = format!("/v1/locations/{}", location.id);
        Answer::created(path, location.version, &LocationDto::from(location))
    })
    .await
}

fn create(tx: &mut Conn, env: &Env, new: &Changes) -> Result<Location> {
    let now = env.now();
    let mut location = Location {
        id: env.new_id(),
        name: String::new(),
        address: String::new(),
        phone: String::new(),
        country: String::new(),
        time_zone: String::new(),
        slot_minutes: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    apply(&mut location, new)?;
    diesel::insert_into(locations::table).values(&location).execute(tx)?;
    Ok(location)
}

/// # Errors
/// `invalid_phone` at `/phone`, where a new number is none of the location's country.
fn apply(location: &mut Location, changes: &Changes) -> Result<()> {
    let Changes { name, address, phone, country, time_zone, slot_minutes } = changes.clone();
    let set = |to: &mut String, value: Option<String>| *to = value.unwrap_or_else(|| std::mem::take(to));
    set(&mut location.name, name);
    set(&mut location.address, address);
    set(&mut location.country, country);
    set(&mut location.time_zone, time_zone);
    location.slot_minutes = slot_minutes.unwrap_or(location.slot_minutes);
    if let Some(phone) = phone {
        let mut check = Check::new();
        let read = check.field("/phone", phone::read(&phone, phone::Country::of(&location.country)));
        check.done()?;
        set(&mut location.phone, read);
    }
    Ok(())
}

/// Change a location
///
/// For administrators. Where the time zone or the slots' length changes, the free slots of the practitioners who work
/// there are cut anew. What is booked stays; where the doctor's hours moved away from it, it is in the answer and under
/// `needs_attention`. Another slot length must divide the duration of every visit type that is offered there.
#[utoipa::path(
    tag = "locations",
    operation_id = "update_location",
    security(("bearer" = [])),
    params(
        ("id" = LocationId, Path, description = "The location"),
        ("If-Match" = String, Header, description = "The ETag of the version that you read."),
    ),
    request_body(content = LocationPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The location as it is now, and whom the change hits", body = LocationChanged, headers(("ETag" = String, description = "Its version, for If-Match.")))),
)]
#[patch("/v1/locations/{id}")]
pub async fn update_location(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<LocationId>,
    if_match: IfMatch,
    Patch(patch): Patch<LocationPatch>,
) -> actix_web::Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::read(patch)?;
    let within = env.clone();
    let (location, affected) = env
        .db
        .write(move |tx| {
            let changed = update(tx, &within, &actor.trail, id, &if_match, &changes)?;
            audit::record(tx, &within, &actor.trail, id.0)?;
            Ok(changed)
        })
        .await?;
    let etag = etag::header(location.version);
    Ok(HttpResponse::Ok().insert_header(etag).json(LocationChanged { location: location.into(), affected }))
}

fn update(
    tx: &mut Conn,
    env: &Env,
    trail: &Trail,
    id: LocationId,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<(Location, AffectedAppointments)> {
    store::set_up(tx)?;
    let before = store::location(tx, id)?;
    if_match.check(before.version)?;
    let mut location = before.clone();
    apply(&mut location, changes)?;
    if location == before {
        return Ok((before, affected::load(tx, trail, &[])?));
    }
    let recut = location.slot_minutes != before.slot_minutes;
    if recut
        && store::durations_at(tx, id)?.iter().any(|duration| !model::is_multiple(*duration, location.slot_minutes))
    {
        let why = "must divide the duration of every visit type that is offered here";
        return Err(Error::invalid("/slot_minutes", "does_not_fit", why));
    }
    location.version += 1;
    location.updated_at = env.now();
    diesel::update(locations::table.find(id)).set(&location).execute(tx)?;
    let mut hit = Vec::new();
    if recut || location.time_zone != before.time_zone {
        hit = publishing::publish_location(tx, env, id, &[])?;
    }
    Ok((location, affected::load(tx, trail, &hit)?))
}
