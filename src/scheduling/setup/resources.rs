//! Reading, creating and changing resources: what visits need beside a practitioner.

use actix_web::{HttpResponse, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::changed;
use super::resource::{self, Capacities, Resource};
use crate::actor::Action;
use crate::context::{Context, Once, Tx};
use crate::db::schema::{locations, resources};
use crate::error::{Check, FieldCode, FieldError, Result, Rule};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::{Cursor, PageParams};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::ids::{LocationId, ResourceId};
use crate::scheduling::hours::affected::{self, AffectedAppointments};

const LIST: &str = "resources";
/// The most units of a resource at a location.
const MAX_UNITS: i64 = 50;
/// The most locations in a list of capacities.
const MAX_CAPACITIES: usize = 100;

/// A resource that visits need: a room, a device, a chair.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Resource, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c04", "name": "Infusion chair",
    "capacities": [{"location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "units": 3}]
}))]
pub struct ResourceView {
    /// The resource.
    pub id: ResourceId,
    /// The name among staff.
    pub name: String,
    /// The locations that have it.
    pub capacities: Vec<ResourceCapacity>,
}

/// A resource after a change, with the affected appointments.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c04", "name": "Infusion chair",
    "capacities": [{"location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "units": 2}],
    "affected_appointments": [], "affected_total": 0
}))]
pub struct ChangedResource {
    /// The resource.
    #[serde(flatten)]
    pub resource: ResourceView,
    /// The affected appointments.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// How many units of a resource a location has. They are numbered from 1, and a visit takes one of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "units": 3}))]
pub struct ResourceCapacity {
    /// The location.
    pub location_id: LocationId,
    /// The number of units.
    #[schema(minimum = 0, maximum = 50)]
    pub units: i64,
}

/// A page of resources.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c04", "name": "Infusion chair",
    "capacities": [{"location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "units": 3}]
}], "next_cursor": null}))]
pub struct ResourcePage {
    /// The resources, oldest first.
    pub items: Vec<ResourceView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// A resource to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Infusion chair", "capacities": [{"location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "units": 3}]
}))]
pub struct NewResource {
    /// The name among staff. Patients see it with their appointments, so it must tell nothing about health.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The locations that have it.
    #[serde(default)]
    #[schema(max_items = 100)]
    capacities: Vec<ResourceCapacity>,
}

/// A change of a resource. Members that are not sent keep their value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Treatment chair"}))]
pub struct ResourcePatch {
    /// The name among staff. Appointments keep the name that they were booked with.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// The locations that have it. Replaces the whole list. Units with the highest numbers go first: booked visits keep them, and new
    /// visits do not get them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<ResourceCapacity>>, nullable = false, max_items = 100)]
    capacities: Change<Vec<ResourceCapacity>>,
}

impl From<NewResource> for ResourcePatch {
    fn from(new: NewResource) -> Self {
        Self { name: Change::Set(new.name), capacities: Change::Set(new.capacities) }
    }
}

/// The checked values of a new or changed resource.
#[derive(Debug, Clone)]
struct Changes {
    name: Option<String>,
    capacities: Option<Capacities>,
}

impl Changes {
    fn checked(patch: ResourcePatch) -> Result<Self> {
        let mut check = Check::new();
        let name = changed(&mut check, "/name", patch.name, |name| text::one_line(&name, text::MAX_NAME));
        let given = changed(&mut check, "/capacities", patch.capacities, |capacities| {
            let rule = || Rule::new(FieldCode::TooMany, format!("must have at most {MAX_CAPACITIES} locations"));
            if capacities.len() <= MAX_CAPACITIES { Ok(capacities) } else { Err(rule()) }
        });
        let capacities = given.map(|given| read_capacities(&mut check, &given));
        check.done()?;
        Ok(Self { name, capacities })
    }
}

fn read_capacities(check: &mut Check, given: &[ResourceCapacity]) -> Capacities {
    let mut capacities = Capacities::new();
    for (index, ResourceCapacity { location_id, units }) in given.iter().enumerate() {
        let is_new = capacities.iter().all(|(known, _)| known != location_id);
        check.require(is_new, format!("/capacities/{index}/location_id"), FieldCode::Duplicate, "is in the list twice");
        let range = || Rule::new(FieldCode::OutOfRange, format!("must be between 0 and {MAX_UNITS}"));
        let units =
            i32::try_from(*units).ok().filter(|units| (0..=MAX_UNITS).contains(&i64::from(*units))).ok_or_else(range);
        if let Some(units) = check.field(&format!("/capacities/{index}/units"), units) {
            capacities.push((*location_id, units));
        }
    }
    capacities
}

/// Requires that the locations exist.
fn require_locations(tx: &mut Tx, capacities: &Capacities) -> Result<()> {
    let ids: Vec<LocationId> = capacities.iter().map(|(location, _)| *location).collect();
    let known: Vec<LocationId> =
        locations::table.filter(locations::id.eq_any(ids.clone())).select(locations::id).load(tx.conn)?;
    let mut check = Check::new();
    for (index, _) in ids.iter().enumerate().filter(|(_, id)| !known.contains(id)) {
        let pointer = format!("/capacities/{index}/location_id");
        check.add(FieldError::new(pointer, FieldCode::UnknownReference, "there is no such location"));
    }
    check.done()
}

fn view(resource: Resource, capacities: Capacities) -> ResourceView {
    let capacities =
        capacities.into_iter().map(|(location_id, units)| ResourceCapacity { location_id, units: units.into() });
    ResourceView { id: resource.id, name: resource.name, capacities: capacities.collect() }
}

fn versioned(tx: &mut Tx, resource: Resource) -> Result<Versioned<ResourceView>> {
    let capacities = resource::capacities(tx.conn, &[resource.id])?.remove(&resource.id).unwrap_or_default();
    Ok(Versioned { version: resource.version, object: view(resource, capacities) })
}

/// Lists the resources.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(context: &Context, page: PageParams) -> Result<ResourcePage> {
    context.require(Action::ResourceRead)?;
    let page = page.of(LIST)?;
    context
        .read(move |tx| {
            let mut query = resources::table.select(Resource::as_select()).into_boxed();
            if let Some(Cursor { at, id }) = page.after {
                let later = resources::created_at.eq(at).and(resources::id.gt(ResourceId(id)));
                query = query.filter(resources::created_at.gt(at).or(later));
            }
            let rows: Vec<Resource> =
                query.order((resources::created_at, resources::id)).limit(page.rows()).load(tx.conn)?;
            let (rows, next_cursor) = page.cut(rows, |row| (row.created_at, row.id.0));
            let ids: Vec<ResourceId> = rows.iter().map(|row| row.id).collect();
            let mut capacities = resource::capacities(tx.conn, &ids)?;
            let items = rows.into_iter().map(|row| {
                let of_row = capacities.remove(&row.id).unwrap_or_default();
                view(row, of_row)
            });
            Ok(ResourcePage { items: items.collect(), next_cursor })
        })
        .await
}

/// Reads a resource.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn read(context: &Context, id: ResourceId) -> Result<Versioned<ResourceView>> {
    context.require(Action::ResourceRead)?;
    context
        .read(move |tx| {
            let found = resource::find(tx.conn, id)?;
            versioned(tx, found)
        })
        .await
}

/// Creates a resource.
///
/// # Errors
/// Every broken rule of the values.
pub async fn create(context: &Context, once: Once, new: NewResource) -> Result<Versioned<ResourceView>> {
    context.require(Action::ClinicSetUp)?;
    let values = Changes::checked(new.into())?;
    context
        .change_once(once, move |tx| {
            let resource = Resource {
                id: tx.env.new_id(),
                name: values.name.clone().unwrap_or_default(),
                version: 1,
                created_at: tx.now,
                updated_at: tx.now,
            };
            let capacities = values.capacities.clone().unwrap_or_default();
            require_locations(tx, &capacities)?;
            diesel::insert_into(resources::table).values(&resource).execute(tx.conn)?;
            resource::set_capacities(tx, resource.id, &capacities)?;
            tx.audit.note_object(resource.id.0);
            versioned(tx, resource)
        })
        .await
}

/// Changes a resource.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); every broken rule of the values.
pub async fn update(
    context: &Context,
    id: ResourceId,
    if_match: IfMatch,
    patch: ResourcePatch,
) -> Result<Versioned<ChangedResource>> {
    context.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::checked(patch)?;
    context
        .change(move |tx| {
            let Versioned { version, object } = store(tx, id, &if_match, &changes)?;
            let without_unit = resource::appointments_above_capacity(tx, id)?;
            let affected = affected::load(tx, &without_unit)?;
            Ok(Versioned { version, object: ChangedResource { resource: object, affected } })
        })
        .await
}

/// Stores what changes. Without changes the resource keeps its version.
fn store(tx: &mut Tx, id: ResourceId, if_match: &IfMatch, changes: &Changes) -> Result<Versioned<ResourceView>> {
    super::lock(tx.conn)?;
    let before = resource::find(tx.conn, id)?;
    if_match.check(before.version)?;
    let mut old = resource::capacities(tx.conn, &[id])?.remove(&id).unwrap_or_default();
    let mut new = changes.capacities.clone().unwrap_or_else(|| old.clone());
    require_locations(tx, &new)?;
    new.retain(|(_, units)| *units > 0);
    old.sort_unstable();
    new.sort_unstable();
    let name = changes.name.clone().unwrap_or_else(|| before.name.clone());
    if (&name, &new) == (&before.name, &old) {
        return versioned(tx, before);
    }
    let resource = Resource { name, version: before.version + 1, updated_at: tx.now, ..before };
    diesel::update(resources::table.find(id)).set(&resource).execute(tx.conn)?;
    resource::set_capacities(tx, id, &new)?;
    versioned(tx, resource)
}

/// List resources
///
/// Staff only. Returns the rooms, devices and chairs that visits need, oldest first.
#[utoipa::path(
    tag = "resources",
    operation_id = "list_resources",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, description = "A page", body = ResourcePage)),
)]
#[get("/v1/resources")]
pub(in crate::scheduling) async fn list_resources(
    context: Context,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, page).await?))
}

/// Read a resource
///
/// Staff only. The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "resources",
    operation_id = "get_resource",
    security(("bearer" = [])),
    params(("id" = ResourceId, Path, description = "The resource")),
    responses((status = 200, description = "The resource", body = ResourceView)),
)]
#[get("/v1/resources/{id}")]
pub(in crate::scheduling) async fn get_resource(
    context: Context,
    PathId(id): PathId<ResourceId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Create a resource
///
/// Administrators only. Visit types name the resources that they need in `resource_ids`. Each visit then takes one unit of each for its
/// time and buffers.
#[utoipa::path(
    tag = "resources",
    operation_id = "create_resource",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewResource,
    responses((status = 201, description = "The resource", body = ResourceView)),
)]
#[post("/v1/resources")]
pub(in crate::scheduling) async fn create_resource(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewResource>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/resources/{}", created.object.id), &created))
}

/// Change a resource
///
/// Administrators only. A lower capacity cancels no visit: booked visits keep their units, and new visits do not get those units. The
/// response lists the booked visits that have a unit above the capacity.
#[utoipa::path(
    tag = "resources",
    operation_id = "update_resource",
    security(("bearer" = [])),
    params(
        ("id" = ResourceId, Path, description = "The resource"),
        ("If-Match" = String, Header),
    ),
    request_body(content = ResourcePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The changed resource, with the affected appointments", body = ChangedResource)),
)]
#[patch("/v1/resources/{id}")]
pub(in crate::scheduling) async fn update_resource(
    context: Context,
    PathId(id): PathId<ResourceId>,
    if_match: IfMatch,
    Patch(patch): Patch<ResourcePatch>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&update(&context, id, if_match, patch).await?))
}
