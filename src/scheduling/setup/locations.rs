//! Reading, creating and changing locations.

use actix_web::{HttpResponse, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::location::{self, Location, SlotMinutes, slot_minutes, zone_name};
use super::visit_type::Lengths;
use super::{changed, is_whole_number_of_slots, offerings};
use crate::actor::Action;
use crate::context::{Anonymous, Context, Once, Tx};
use crate::db::schema::locations;
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::PageParams;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::ids::{AppointmentId, LocationId};
use crate::phone;
use crate::scheduling::clock_change::ClockChange;
use crate::scheduling::hours::affected::{self, AffectedAppointments};
use crate::scheduling::hours::{local_times, publishing};
use crate::zones::Zones;

const LIST: &str = "locations";
/// The maximum length of a postal address in one line, in characters.
const MAX_ADDRESS: usize = 300;

/// A location where the clinic sees patients.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Location, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013",
    "phone": "+12125550100", "phone_display": "(212) 555-0100", "country": "US", "time_zone": "America/New_York", "slot_minutes": 15
}))]
pub struct LocationView {
    /// The location.
    pub id: LocationId,
    /// The name.
    pub name: String,
    /// The postal address, in one line.
    pub address: String,
    /// The telephone number in E.164.
    pub phone: String,
    /// The same number in the country's own format.
    pub phone_display: String,
    /// The country, ISO 3166-1 alpha-2.
    pub country: String,
    /// The IANA time zone. Opening hours refer to it.
    pub time_zone: String,
    /// The length of the slots in minutes. Every visit takes a whole number of slots.
    #[schema(value_type = SlotMinutes)]
    pub slot_minutes: i32,
}

impl From<Location> for LocationView {
    fn from(location: Location) -> Self {
        let phone_display = location.phone_shown();
        let Location { id, name, address, phone, country, time_zone, slot_minutes, .. } = location;
        Self { id, name, address, phone, phone_display, country, time_zone, slot_minutes }
    }
}

/// A location after a change, with the affected appointments.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013",
    "phone": "+12125550100", "phone_display": "(212) 555-0100", "country": "US", "time_zone": "America/New_York", "slot_minutes": 15,
    "affected_appointments": [], "affected_total": 0
}))]
pub struct ChangedLocation {
    /// The location.
    #[serde(flatten)]
    pub location: LocationView,
    /// The affected appointments.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// A page of locations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013",
    "phone": "+12125550100", "phone_display": "(212) 555-0100", "country": "US", "time_zone": "America/New_York", "slot_minutes": 15
}], "next_cursor": null}))]
pub struct LocationPage {
    /// The locations, oldest first.
    pub items: Vec<LocationView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// A location to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Legwork Downtown", "address": "12 Canal Street, New York, NY 10013", "phone": "(212) 555-0100", "country": "US",
    "time_zone": "America/New_York", "slot_minutes": 15
}))]
pub struct NewLocation {
    /// The name.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The postal address, in one line.
    #[schema(min_length = 1, max_length = 300)]
    address: String,
    /// The telephone number: international with `+`, or national for `country`. Mails show it.
    #[schema(max_length = 40)]
    phone: String,
    /// The country, ISO 3166-1 alpha-2.
    #[schema(pattern = "^[A-Za-z]{2}$")]
    country: String,
    /// The IANA time zone.
    #[schema(max_length = 64)]
    time_zone: String,
    /// The length of the slots in minutes.
    #[schema(value_type = SlotMinutes)]
    slot_minutes: i64,
}

/// A change of a location. Members that are not sent keep their value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+1 212 555 0199"}))]
pub struct LocationPatch {
    /// The name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// The postal address, in one line.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 300)]
    address: Change<String>,
    /// The telephone number: international with `+`, or national for the location's country.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 40)]
    phone: Change<String>,
    /// The country, ISO 3166-1 alpha-2.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2}$")]
    country: Change<String>,
    /// The IANA time zone.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 64)]
    time_zone: Change<String>,
    /// The length of the slots in minutes. Must divide the duration of every visit type that is offered here.
    #[serde(default)]
    #[schema(value_type = Option<SlotMinutes>)]
    slot_minutes: Change<i64>,
}

/// The checked values of a new or changed location.
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
    fn checked(patch: LocationPatch, zones: &Zones) -> Result<Self> {
        let mut check = Check::new();
        let country = patch.country.clone();
        let changes = Self {
            name: changed(&mut check, "/name", patch.name, |name| text::one_line(&name, text::MAX_NAME)),
            address: changed(&mut check, "/address", patch.address, |address| text::one_line(&address, MAX_ADDRESS)),
            phone: changed(&mut check, "/phone", patch.phone, |phone| match &country {
                // Without a country in the request, the number is read when the location's country is known.
                Change::Set(code) => phone::read(&phone, phone::Country::of(code)),
                _ => phone::glance(&phone).map(|()| phone),
            }),
            country: changed(&mut check, "/country", patch.country, |country| text::country(&country)),
            time_zone: changed(&mut check, "/time_zone", patch.time_zone, |zone| zone_name(&zone, zones)),
            slot_minutes: changed(&mut check, "/slot_minutes", patch.slot_minutes, slot_minutes),
        };
        check.done()?;
        Ok(changes)
    }

    /// Applies the values.
    ///
    /// # Errors
    /// `invalid_phone` if a new number is not valid in the location's country.
    fn apply(&self, location: &mut Location) -> Result<()> {
        let Changes { name, address, phone, country, time_zone, slot_minutes } = self.clone();
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
}

impl From<NewLocation> for LocationPatch {
    fn from(input: NewLocation) -> Self {
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

/// Lists the locations.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(context: &Context<Anonymous>, params: PageParams) -> Result<LocationPage> {
    let page = params.of(LIST)?;
    let rows = context.read(move |tx| location::load(tx.conn, page.after, page.rows())).await?;
    let (rows, next_cursor) = page.cut(rows, |row| (row.created_at, row.id.0));
    Ok(LocationPage { items: rows.into_iter().map(Into::into).collect(), next_cursor })
}

/// Reads a location.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context<Anonymous>, id: LocationId) -> Result<Versioned<LocationView>> {
    let location = context.read(move |tx| location::find(tx.conn, id)).await?;
    Ok(Versioned { version: location.version, object: location.into() })
}

/// Creates a location.
///
/// # Errors
/// Every broken rule of the values.
pub async fn create(context: &Context, once: Once, new: NewLocation) -> Result<Versioned<LocationView>> {
    context.require(Action::ClinicSetUp)?;
    let values = Changes::checked(new.into(), &context.env.config.zones)?;
    context
        .change_once(once, move |tx| {
            let mut location = Location {
                id: tx.env.new_id(),
                name: String::new(),
                address: String::new(),
                phone: String::new(),
                country: String::new(),
                time_zone: String::new(),
                slot_minutes: 0,
                version: 1,
                created_at: tx.now,
                updated_at: tx.now,
                zone_scan_due: false,
            };
            values.apply(&mut location)?;
            diesel::insert_into(locations::table).values(&location).execute(tx.conn)?;
            tx.audit.note_object(location.id.0);
            Ok(Versioned { version: location.version, object: location.into() })
        })
        .await
}

/// Changes a location, and publishes the hours of the practitioners who work there if its time zone or slots change.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; every broken rule of the values.
pub async fn update(
    context: &Context,
    id: LocationId,
    if_match: IfMatch,
    patch: LocationPatch,
) -> Result<Versioned<ChangedLocation>> {
    context.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::checked(patch, &context.env.config.zones)?;
    let has_zone = changes.time_zone.is_some();
    let changed = context
        .change(move |tx| {
            let (location, affected) = store(tx, id, &if_match, &changes)?;
            let version = location.version;
            Ok(Versioned { version, object: ChangedLocation { location: location.into(), affected } })
        })
        .await?;
    if has_zone {
        context.env.zone_written.notify_one();
    }
    Ok(changed)
}

/// Stores what changes. Without changes the location keeps its version.
fn store(
    tx: &mut Tx,
    id: LocationId,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<(Location, AffectedAppointments)> {
    super::lock(tx.conn)?;
    let before = location::find(tx.conn, id)?;
    if_match.check(before.version)?;
    let mut location = before.clone();
    changes.apply(&mut location)?;
    if location == before {
        return Ok((before, affected::load(tx, &[])?));
    }
    let has_other_slots = location.slot_minutes != before.slot_minutes;
    let fits = |visit: &Lengths| is_whole_number_of_slots(*visit, location.slot_minutes);
    if has_other_slots && !offerings::lengths_at(tx.conn, id)?.iter().all(fits) {
        let detail = "must divide the duration and the buffers of every visit type that is offered here";
        return Err(Error::invalid("/slot_minutes", FieldCode::DoesNotFit, detail));
    }
    let has_other_zone = location.time_zone != before.time_zone;
    location.version += 1;
    location.updated_at = tx.now;
    // `appointments::zone_changes::scanning` compares the visits after the commit: a change of plans locks slots, and moves lock them last.
    location.zone_scan_due |= has_other_zone;
    diesel::update(locations::table.find(id)).set(&location).execute(tx.conn)?;
    let mut affected = Vec::new();
    if has_other_zone {
        let zones = &tx.env.config.zones;
        // Of a zone that the data of this server lacks, no local time is known.
        let clock = match zones.get(&before.time_zone) {
            Some(from) => Some(ClockChange { from, to: location.zone(zones)? }),
            None => None,
        };
        affected = follow_clock(tx, id, clock.as_ref())?;
    } else if has_other_slots {
        affected = publishing::publish_location(tx, id, &[])?;
    }
    Ok((location, affected::load(tx, &affected)?))
}

/// Keeps the local times that staff typed, and publishes the hours. Returns the affected appointments.
fn follow_clock(tx: &mut Tx, id: LocationId, clock: Option<&ClockChange>) -> Result<Vec<AppointmentId>> {
    let Some(clock) = clock else { return publishing::publish_location(tx, id, &[]) };
    local_times::keep(tx, id, clock)?;
    publishing::publish_by_clock(tx, id, clock)
}

/// List locations
///
/// Returns the locations of the clinic, oldest first.
#[utoipa::path(
    tag = "locations",
    operation_id = "list_locations",
    params(PageParams),
    responses((status = 200, description = "A page", body = LocationPage)),
)]
#[get("/v1/locations")]
pub(in crate::scheduling) async fn list_locations(
    context: Context<Anonymous>,
    Params(params): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, params).await?))
}

/// Read a location
///
/// The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "locations",
    operation_id = "get_location",
    params(("id" = LocationId, Path, description = "The location")),
    responses((status = 200, description = "The location", body = LocationView)),
)]
#[get("/v1/locations/{id}")]
pub(in crate::scheduling) async fn get_location(
    context: Context<Anonymous>,
    PathId(id): PathId<LocationId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Create a location
///
/// Administrators only. A location has slots when practitioners have weekly hours there.
#[utoipa::path(
    tag = "locations",
    operation_id = "create_location",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewLocation,
    responses(
        (status = 201, description = "The location", body = LocationView),
    ),
)]
#[post("/v1/locations")]
pub(in crate::scheduling) async fn create_location(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewLocation>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/locations/{}", created.object.id), &created))
}

/// Change a location
///
/// Administrators only. With another time zone or slot length, the free slots of the practitioners who work there are divided anew.
/// Booked appointments stay. The response lists those that the practitioner's hours no longer cover, and so does `needs_attention`. After a
/// change of the time zone, `needs_attention` soon lists also those whose start does not show the promised local time any more, with the
/// reason `zone_changed`. `POST /v1/zone-changes/resolve` moves these to the promised time. Time off, extra hours and closures of the
/// location keep their local times, and so does time off at all locations of a practitioner who works at this one only. Holds, reservations and offers of the waitlist end if
/// their time has another local time now; patients get a mail about a withdrawn offer. The slot length must divide the duration of every
/// visit type that is offered there.
#[utoipa::path(
    tag = "locations",
    operation_id = "update_location",
    security(("bearer" = [])),
    params(
        ("id" = LocationId, Path, description = "The location"),
        ("If-Match" = String, Header),
    ),
    request_body(content = LocationPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The changed location, with the affected appointments", body = ChangedLocation)),
)]
#[patch("/v1/locations/{id}")]
pub(in crate::scheduling) async fn update_location(
    context: Context,
    PathId(id): PathId<LocationId>,
    if_match: IfMatch,
    Patch(patch): Patch<LocationPatch>,
) -> Result<HttpResponse> {
    let changed = update(&context, id, if_match, patch).await?;
    Ok(response::versioned(&changed))
}
