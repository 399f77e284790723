//! Reading, adding and deleting closures of locations.

use actix_web::{HttpResponse, delete, get, post};
use diesel::prelude::*;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::affected::{self, AffectedAppointments};
use super::closure::{self, Closure, When};
use super::plan::{Absence, AttentionReason};
use super::publishing;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::schema::location_closures;
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, FieldError, ProblemCode, Result};
use crate::http::paging::{Cursor, PageParams};
use crate::http::{Body, IdempotencyKey, Params, PathId, response};
use crate::ids::{ClosureId, LocationId};
use crate::scheduling::setup;
use crate::scheduling::setup::location::{self, Location};
use crate::zones::Zones;

const LIST: &str = "closures";
/// The maximum number of closures of a request, and of future closures of a location: a year of single days, and more.
const MAX_CLOSURES: usize = 400;
/// The longest closure that is given by instants. A closure by date is one day.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A time at which a location is closed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Closure, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "name": "Independence Day", "date": "2026-07-03", "starts_at": "2026-07-03T04:00:00Z", "ends_at": "2026-07-04T04:00:00Z",
    "time_zone": "America/New_York"
}))]
pub struct ClosureView {
    /// The closure.
    pub id: ClosureId,
    /// The location.
    pub location_id: LocationId,
    /// The name.
    pub name: String,
    /// The closed day by the location's calendar; null for a closure that was given by instants.
    pub date: Option<Date>,
    /// The start; for a day, its first instant in the location's time zone.
    pub starts_at: Timestamp,
    /// The end.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
}

impl ClosureView {
    fn new(closure: Closure, location: &Location, zones: &Zones) -> Result<Self> {
        let (starts_at, ends_at) = closure.span(&location.zone(zones)?);
        let Closure { id, location_id, day, name, .. } = closure;
        Ok(Self { id, location_id, name, date: day, starts_at, ends_at, time_zone: location.time_zone.clone() })
    }

    /// The time that it removes from the plans of the practitioners who work there.
    fn absence(&self) -> Absence {
        let Self { starts_at, ends_at, location_id, .. } = *self;
        Absence { starts_at, ends_at, location_id: Some(location_id), why: AttentionReason::Closure }
    }
}

/// A page of closures.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "name": "Independence Day", "date": "2026-07-03", "starts_at": "2026-07-03T04:00:00Z", "ends_at": "2026-07-04T04:00:00Z",
    "time_zone": "America/New_York"
}], "next_cursor": null}))]
pub struct ClosurePage {
    /// The closures, earliest first.
    pub items: Vec<ClosureView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// Closures to add, such as the holidays of a year.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"closures": [
    {"date": "2026-07-03", "name": "Independence Day"},
    {"starts_at": "2026-12-24T17:00:00Z", "ends_at": "2026-12-25T05:00:00Z", "name": "Christmas Eve"}
]}))]
pub struct NewClosures {
    /// Each by a date or by two instants.
    #[schema(min_items = 1, max_items = 400)]
    closures: Vec<NewClosure>,
}

/// A closure to add: either `date`, or `starts_at` and `ends_at`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"date": "2026-07-03", "name": "Independence Day"}))]
pub struct NewClosure {
    /// A whole day by the location's calendar, from last year to five years ahead.
    #[serde(default)]
    date: Option<Date>,
    /// The start of a closure that is not a whole day.
    #[serde(default)]
    starts_at: Option<Timestamp>,
    /// Its end.
    #[serde(default)]
    ends_at: Option<Timestamp>,
    /// The name.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// The added closures, with the affected appointments.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "name": "Independence Day", "date": "2026-07-03", "starts_at": "2026-07-03T04:00:00Z", "ends_at": "2026-07-04T04:00:00Z",
    "time_zone": "America/New_York"
}], "affected_appointments": [], "affected_total": 0}))]
pub struct CreatedClosures {
    /// The closures, in the order of the request.
    pub items: Vec<ClosureView>,
    /// The affected appointments.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// Checks the values: forms, order, and duplicates within the list.
fn checked(input: &NewClosures, now: Timestamp) -> Result<Vec<(When, String)>> {
    if input.closures.is_empty() || input.closures.len() > MAX_CLOSURES {
        return Err(Error::invalid(
            "/closures",
            FieldCode::OutOfRange,
            format!("must have 1 to {MAX_CLOSURES} entries"),
        ));
    }
    let today = now.in_zone(&jiff::tz::TimeZone::UTC).date();
    let days = today.saturating_sub(1.years())..=today.saturating_add(5.years());
    let mut check = Check::new();
    let mut checked: Vec<(When, String)> = Vec::new();
    for (index, closure) in input.closures.iter().enumerate() {
        let pointer = |member: &str| format!("/closures/{index}{member}");
        let name = check.field(&pointer("/name"), text::one_line(&closure.name, text::MAX_NAME));
        let when = match (closure.date, closure.starts_at, closure.ends_at) {
            (Some(day), None, None) => {
                let is_near = days.contains(&day.0);
                check.require(
                    is_near,
                    pointer("/date"),
                    FieldCode::OutOfRange,
                    "must be from last year to five years ahead",
                );
                When::Day(day)
            }
            (None, Some(from), Some(to)) => {
                let is_near = [from, to].iter().all(|at| days.contains(&at.in_zone(&jiff::tz::TimeZone::UTC).date()));
                check.require(
                    is_near,
                    pointer("/starts_at"),
                    FieldCode::OutOfRange,
                    "must be from last year to five years ahead",
                );
                check.require(to > from, pointer("/ends_at"), FieldCode::OutOfOrder, "must be after starts_at");
                check.require(
                    to.since(from) <= MAX_DURATION,
                    pointer("/ends_at"),
                    FieldCode::OutOfRange,
                    "must be at most a year after starts_at",
                );
                When::Between(from, to)
            }
            _ => {
                let detail = "must have either date, or starts_at and ends_at";
                check.add(FieldError::new(pointer(""), FieldCode::Required, detail));
                continue;
            }
        };
        let is_first = checked.iter().all(|(other, _)| *other != when);
        check.require(is_first, pointer(""), FieldCode::Duplicate, "must not be in the list twice");
        checked.push((when, name.unwrap_or_default()));
    }
    check.done()?;
    Ok(checked)
}

/// The filter of a list of closures.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ClosureParams {
    /// Only closures that end after this time. Default: now.
    from: Option<Timestamp>,
}

/// Lists a location's closures that end after an instant.
///
/// # Errors
/// [`Error::NotFound`]; every broken rule of the parameters.
pub async fn list(context: &Context, id: LocationId, params: ClosureParams, page: PageParams) -> Result<ClosurePage> {
    context.require(Action::AvailabilityRead)?;
    let page = page.of(LIST)?;
    context
        .read(move |tx| {
            let from = params.from.unwrap_or(tx.now);
            let location = location::find(tx.conn, id)?;
            let rows = closure::ending_after(tx.conn, &[id], from)?;
            let views = rows
                .into_iter()
                .map(|row| ClosureView::new(row, &location, &tx.env.config.zones))
                .collect::<Result<Vec<_>>>()?;
            // The location's time zone, which the database does not know, tells when a day ends. A location has few closures.
            let key = |view: &ClosureView| (view.starts_at, view.id.0);
            let is_on_page = |view: &ClosureView| {
                view.ends_at > from && page.after.is_none_or(|Cursor { at, id }| key(view) > (at, id))
            };
            let mut views: Vec<_> = views.into_iter().filter(is_on_page).collect();
            views.sort_unstable_by_key(key);
            let (items, next_cursor) = page.cut(views, key);
            Ok(ClosurePage { items, next_cursor })
        })
        .await
}

/// Reads a closure.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: ClosureId) -> Result<ClosureView> {
    context.require(Action::AvailabilityRead)?;
    context
        .read(move |tx| {
            let closure = closure::find(tx.conn, id)?;
            let location = location::find(tx.conn, closure.location_id)?;
            ClosureView::new(closure, &location, &tx.env.config.zones)
        })
        .await
}

/// Adds closures of a location, and publishes the hours of the practitioners who work there.
///
/// # Errors
/// [`Error::NotFound`] for the location; every broken rule of the values; the conflict `too_many_closures`.
pub async fn create(context: &Context, once: Once, id: LocationId, new: NewClosures) -> Result<CreatedClosures> {
    context.require(Action::ClinicSetUp)?;
    let closures = checked(&new, context.env.now())?;
    context.change_once(once, move |tx| insert(tx, id, &closures)).await
}

fn insert(tx: &mut Tx, id: LocationId, closures: &[(When, String)]) -> Result<CreatedClosures> {
    setup::lock(tx.conn)?;
    let location = location::find(tx.conn, id)?;
    let mut items = Vec::new();
    for (when, name) in closures {
        items.push(ClosureView::new(closure::insert_or_rename(tx, id, *when, name)?, &location, &tx.env.config.zones)?);
    }
    let new_absences: Vec<Absence> = items.iter().map(ClosureView::absence).collect();
    if closure::ending_after(tx.conn, &[id], tx.now)?.len() > MAX_CLOSURES {
        let detail = format!("A location can have at most {MAX_CLOSURES} future closures. Delete some first.");
        return Err(Error::conflict(ProblemCode::TooManyClosures, detail));
    }
    let affected = publishing::publish_location(tx, id, &new_absences)?;
    Ok(CreatedClosures { items, affected: affected::load(tx, &affected)? })
}

/// Deletes a closure, and publishes the hours of the practitioners who work there.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(context: &Context, id: ClosureId) -> Result<()> {
    context.require(Action::ClinicSetUp)?;
    context
        .change(move |tx| {
            setup::lock(tx.conn)?;
            let location = closure::find(tx.conn, id)?.location_id;
            diesel::delete(location_closures::table.find(id)).execute(tx.conn)?;
            publishing::publish_location(tx, location, &[])?;
            Ok(())
        })
        .await
}

/// List a location's closures
///
/// Staff only. Returns the closures earliest first.
#[utoipa::path(
    tag = "locations",
    operation_id = "list_closures",
    security(("bearer" = [])),
    params(("id" = LocationId, Path, description = "The location"), ClosureParams, PageParams),
    responses((status = 200, description = "A page", body = ClosurePage)),
)]
#[get("/v1/locations/{id}/closures")]
pub(in crate::scheduling) async fn list_closures(
    context: Context,
    PathId(id): PathId<LocationId>,
    Params(params): Params<ClosureParams>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id, params, page).await?))
}

/// Close a location
///
/// Administrators only. Takes a list of closures, each by a day of the location's calendar or by instants. A closure with the same
/// times as an existing one renames it, so you can send a list again. The free slots are deleted at once, and holds on them end. Booked
/// appointments stay. The response lists those that the closures affect, even if they were affected before, and so does
/// `needs_attention`.
#[utoipa::path(
    tag = "locations",
    operation_id = "create_closures",
    security(("bearer" = [])),
    params(
        ("id" = LocationId, Path, description = "The location"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewClosures,
    responses(
        (status = 200, description = "The closures, with the affected appointments", body = CreatedClosures),
        (status = 409, description = "`too_many_closures`: the location would have more than 400 future closures"),
    ),
)]
#[post("/v1/locations/{id}/closures")]
pub(in crate::scheduling) async fn create_closures(
    context: Context,
    PathId(id): PathId<LocationId>,
    key: IdempotencyKey,
    body: Body<NewClosures>,
) -> Result<HttpResponse> {
    Ok(response::ok(&create(&context, key.once(&body.raw), id, body.value).await?))
}

/// Read a closure
///
/// Staff only.
#[utoipa::path(
    tag = "locations",
    operation_id = "get_closure",
    security(("bearer" = [])),
    params(("id" = ClosureId, Path, description = "The closure")),
    responses((status = 200, description = "The closure", body = ClosureView)),
)]
#[get("/v1/closures/{id}")]
pub(in crate::scheduling) async fn get_closure(
    context: Context,
    PathId(id): PathId<ClosureId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, id).await?))
}

/// Delete a closure
///
/// Administrators only. The slots that it deleted come back at once, as new slots.
#[utoipa::path(
    tag = "locations",
    operation_id = "delete_closure",
    security(("bearer" = [])),
    params(("id" = ClosureId, Path, description = "The closure")),
    responses((status = 204, description = "Deleted")),
)]
#[delete("/v1/closures/{id}")]
pub(in crate::scheduling) async fn delete_closure(
    context: Context,
    PathId(id): PathId<ClosureId>,
) -> Result<HttpResponse> {
    remove(&context, id).await?;
    Ok(response::no_content())
}
