//! When a location is closed: holidays, mostly.

use actix_web::{HttpResponse, delete, get, post, web};
use diesel::prelude::*;
use jiff::{SignedDuration, ToSpan};

use super::affected::{self, AffectedAppointments};
use super::model::{Location, OffPlan};
use super::plan::Absence;
use super::plan_store::{self, Closure};
use super::{publishing, store};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::location_closures;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Check, Error, FieldError, Result};
use crate::http::idempotency::{self, Request};
use crate::http::{Answer, Body, Cursor, IdempotencyKey, Limit, Params, PathId};
use crate::ids::{ClosureId, LocationId};
use crate::text;
use crate::trail::Trail;

const LIST: &str = "closures";
/// How many one request may enter, and how many to come a location may have: more than a day each for a year.
const MOST: usize = 400;
/// The longest closure by instants; of whole days, each is one.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A time at which a location is closed.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Closure, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "name": "Independence Day", "date": "2026-07-03", "starts_at": "2026-07-03T04:00:00Z", "ends_at": "2026-07-04T04:00:00Z",
    "time_zone": "America/New_York"
}))]
pub struct ClosureDto {
    /// Its id.
    pub id: ClosureId,
    /// Where.
    pub location_id: LocationId,
    /// What it is called.
    pub name: String,
    /// The day of the location's calendar that is closed; null where it was given by instants.
    pub date: Option<Date>,
    /// Its start; of a day, its first instant in the location's zone.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// The IANA time zone of the location.
    pub time_zone: String,
}

impl ClosureDto {
    fn new(closure: Closure, location: &Location) -> Result<Self> {
        let (starts_at, ends_at) = closure.span(&location.zone()?);
        let Closure { id, location_id, day, name, .. } = closure;
        Ok(Self { id, location_id, name, date: day, starts_at, ends_at, time_zone: location.time_zone.clone() })
    }

    /// What it takes from the plans of those who work there.
    fn absence(&self) -> Absence {
        let Self { starts_at, ends_at, location_id, .. } = *self;
        Absence { starts_at, ends_at, location_id: Some(location_id), why: OffPlan::Closure }
    }
}

/// Closures, earliest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "name": "Independence Day", "date": "2026-07-03", "starts_at": "2026-07-03T04:00:00Z", "ends_at": "2026-07-04T04:00:00Z",
    "time_zone": "America/New_York"
}], "next_cursor": null}))]
pub struct ClosurePage {
    /// The closures.
    pub items: Vec<ClosureDto>,
    /// Give it as `cursor` for what follows; `null` at the end.
    pub next_cursor: Option<String>,
}

/// Closures to enter: a year of holidays in one request.
#[derive(Debug, Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"closures": [
    {"date": "2026-07-03", "name": "Independence Day"},
    {"starts_at": "2026-12-24T17:00:00Z", "ends_at": "2026-12-25T05:00:00Z", "name": "Christmas Eve"}
]}))]
pub struct ClosuresInput {
    /// Each with a day or with two instants.
    #[schema(min_items = 1, max_items = 400)]
    closures: Vec<ClosureInput>,
}

/// A closure to enter: `date`, or `starts_at` and `ends_at`.
#[derive(Debug, Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"date": "2026-07-03", "name": "Independence Day"}))]
pub struct ClosureInput {
    /// A whole day of the location's calendar, from last year to five years ahead.
    #[serde(default)]
    date: Option<Date>,
    /// The start of a closure that is no whole day.
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// Its end.
    #[serde(default)]
    ends_at: Option<Timestamp>,
    /// What it is called.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// The closures that were entered, and whom they hit.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "name": "Independence Day", "date": "2026-07-03", "starts_at": "2026-07-03T04:00:00Z", "ends_at": "2026-07-04T04:00:00Z",
    "time_zone": "America/New_York"
}], "affected_appointments": [], "affected_total": 0}))]
pub struct ClosuresAdded {
    /// The closures in the order of the request, each as it stands now.
    pub items: Vec<ClosureDto>,
    /// Whom they hit.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// When something is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Day(Date),
    Between(Timestamp, Timestamp),
}

impl When {
    fn columns(self) -> (Option<Date>, Option<Timestamp>, Option<Timestamp>) {
        match self {
            Self::Day(day) => (Some(day), None, None),
            Self::Between(from, to) => (None, Some(from), Some(to)),
        }
    }
}

/// Checks the list as far as the input alone can be: forms, order, and doubles within it.
fn read(input: &ClosuresInput, now: Timestamp) -> Result<Vec<(When, String)>> {
    if input.closures.is_empty() || input.closures.len() > MOST {
        return Err(Error::invalid("/closures", "out_of_range", format!("must have 1 to {MOST} entries")));
    }
    let today = now.in_zone(&jiff::tz::TimeZone::UTC).date();
    let days = today.saturating_sub(1.years())..=today.saturating_add(5.years());
    let mut check = Check::new();
    let mut read: Vec<(When, String)> = Vec::new();
    for (index, closure) in input.closures.iter().enumerate() {
        let place = |member: &str| format!("/closures/{index}{member}");
        let name = check.field(&place("/name"), text::one_line(&closure.name, 100));
        let when = match (closure.date, closure.starts_at, closure.ends_at) {
            (Some(day), None, None) => {
                let near = days.contains(&day.0);
                check.require(near, place("/date"), "out_of_range", "must be from last year to five years ahead");
                When::Day(day)
            }
            (None, Some(from), Some(to)) => {
                let near = [from, to].iter().all(|at| days.contains(&at.in_zone(&jiff::tz::TimeZone::UTC).date()));
                check.require(near, place("/starts_at"), "out_of_range", "must be from last year to five years ahead");
                check.require(to > from, place("/ends_at"), "out_of_order", "must be after starts_at");
                check.require(to.since(from) <= LONGEST, place("/ends_at"), "out_of_range", "must be within a year");
                When::Between(from, to)
            }
            _ => {
                let why = "must have either a date, or starts_at and ends_at";
                check.add(FieldError::new(place(""), "required", why));
                continue;
            }
        };
        let first = read.iter().all(|(other, _)| *other != when);
        check.require(first, place(""), "duplicate", "is in the list twice");
        read.push((when, name.unwrap_or_default()));
    }
    check.done()?;
    Ok(read)
}

/// Which closures to list.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClosureParams {
    /// Those that end after this instant; now unless given.
    from: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List a location's closures
///
/// For staff: those that are not over, earliest first.
#[utoipa::path(
    tag = "locations",
    operation_id = "list_closures",
    security(("bearer" = [])),
    params(("id" = LocationId, Path, description = "The location"), ClosureParams),
    responses((status = 200, description = "The closures", body = ClosurePage)),
)]
#[get("/v1/locations/{id}/closures")]
pub async fn list_closures(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<LocationId>,
    Params(params): Params<ClosureParams>,
) -> Result<HttpResponse> {
    actor.require(Action::AvailabilityRead)?;
    let (limit, after) = (Limit::new(params.limit)?, Cursor::read(params.cursor.as_deref(), LIST)?);
    let from = params.from.unwrap_or_else(|| env.now());
    let (location, rows) =
        env.db.read(move |conn| Ok((store::location(conn, id)?, plan_store::closures(conn, &[id], from)?))).await?;
    let closures = rows.into_iter().map(|row| ClosureDto::new(row, &location)).collect::<Result<Vec<_>>>()?;
    // What a day is, the location's zone says and not the database; there are few.
    let key = |closure: &ClosureDto| (closure.starts_at, closure.id.0);
    let wanted =
        |closure: &ClosureDto| closure.ends_at > from && after.is_none_or(|Cursor { at, id }| key(closure) > (at, id));
    let mut closures: Vec<_> = closures.into_iter().filter(wanted).collect();
    closures.sort_unstable_by_key(key);
    let (items, next_cursor) = limit.page(closures, LIST, key);
    Ok(HttpResponse::Ok().json(ClosurePage { items, next_cursor }))
}

/// Close a location
///
/// For administrators: holidays and the like as a list, by days of the location's calendar or by instants. What is closed
/// already stays one closure and takes the new name, so that a list can be sent again. The free slots go at once, and holds
/// on them end. Booked appointments stand as they were: those that are hit, also those that something else hit before, are
/// in the answer, and under `needs_attention` until they are moved or cancelled.
#[utoipa::path(
    tag = "locations",
    operation_id = "add_closures",
    security(("bearer" = [])),
    params(
        ("id" = LocationId, Path, description = "The location"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255),
    ),
    request_body = ClosuresInput,
    responses(
        (status = 200, description = "The closures, and whom they hit", body = ClosuresAdded),
        (status = 409, description = "`too_many_closures`: the location would have more than 400 to come. \
            `request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/locations/{id}/closures")]
pub async fn add_closures(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<LocationId>,
    key: IdempotencyKey,
    body: Body<ClosuresInput>,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let closures = read(&body.value, env.now())?;
    let operation = format!("add_closures {id}");
    let request = Request::of(&actor, operation, key, &body.raw);
    let within = env.clone();
    idempotency::run(&env, request, move |tx| {
        let added = add(tx, &within, &actor.trail, id, &closures)?;
        audit::record(tx, &within, &actor.trail, id.0)?;
        Answer::json(200, &added)
    })
    .await
}

/// Enters closures of a location and publishes its practitioners' plans.
///
/// # Errors
/// `NotFound` for the location; the conflict `too_many_closures`.
fn add(tx: &mut Conn, env: &Env, trail: &Trail, id: LocationId, closures: &[(When, String)]) -> Result<ClosuresAdded> {
    store::set_up(tx)?;
    let location = store::location(tx, id)?;
    let mut items = Vec::new();
    for (when, name) in closures {
        items.push(ClosureDto::new(enter(tx, env, id, *when, name)?, &location)?);
    }
    let absent: Vec<Absence> = items.iter().map(ClosureDto::absence).collect();
    if plan_store::closures(tx, &[id], env.now())?.len() > MOST {
        let why = format!("A location may have {MOST} closures to come.");
        return Err(Error::conflict("too_many_closures", why));
    }
    let hit = publishing::publish_location(tx, env, id, &absent)?;
    Ok(ClosuresAdded { items, affected: affected::load(tx, trail, &hit)? })
}

/// Enters one closure, or gives the one that is there another name. Whoever enters them comes one after the other
/// ([`store::set_up`]), so that a look is enough.
fn enter(tx: &mut Conn, env: &Env, location_id: LocationId, when: When, name: &str) -> Result<Closure> {
    use location_closures::dsl;
    let (day, starts_at, ends_at) = when.columns();
    let mut same =
        location_closures::table.filter(dsl::location_id.eq(location_id)).select(Closure::as_select()).into_boxed();
    same = match when {
        When::Day(day) => same.filter(dsl::day.eq(day)),
        When::Between(from, to) => same.filter(dsl::starts_at.eq(from)).filter(dsl::ends_at.eq(to)),
    };
    if let Some(there) = same.first::<Closure>(tx).optional()? {
        diesel::update(location_closures::table.find(there.id)).set(dsl::name.eq(name)).execute(tx)?;
        return Ok(Closure { name: name.to_owned(), ..there });
    }
    let (id, created_at) = (env.new_id(), env.now());
    let closure = Closure { id, location_id, day, starts_at, ends_at, name: name.to_owned(), created_at };
    diesel::insert_into(location_closures::table).values(&closure).execute(tx)?;
    Ok(closure)
}

/// Take a closure back
///
/// For administrators. The slots that it took away come back at once, as new slots.
#[utoipa::path(
    tag = "locations",
    operation_id = "delete_closure",
    security(("bearer" = [])),
    params(("id" = ClosureId, Path, description = "The closure")),
    responses((status = 204, description = "It is gone")),
)]
#[delete("/v1/closures/{id}")]
pub async fn delete_closure(env: web::Data<Env>, actor: Actor, PathId(id): PathId<ClosureId>) -> Result<HttpResponse> {
    actor.require(Action::ClinicSetUp)?;
    let within = env.clone();
    env.db
        .write(move |tx| {
            store::set_up(tx)?;
            let row = location_closures::table.find(id);
            let location: LocationId = row.select(location_closures::location_id).first(tx)?;
            diesel::delete(row).execute(tx)?;
            audit::record(tx, &within, &actor.trail, id.0)?;
            publishing::publish_location(tx, &within, location, &[])
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
