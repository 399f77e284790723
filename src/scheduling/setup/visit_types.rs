//! Reading, creating and changing visit types.

use actix_web::{HttpResponse, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::visit_type::{self, VisitType, minutes_between};
use super::{changed, is_whole_number_of_slots, offerings, resource};
use crate::accounts::caller::MaybeSignedIn;
use crate::actor::{self, Action, Actor};
use crate::context::{Anonymous, Context, Once, Tx};
use crate::db::schema::visit_types;
use crate::error::{Check, FieldCode, FieldError, Result, Rule};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::{Cursor, PageParams};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::ids::{ResourceId, VisitTypeId};

const LIST: &str = "visit-types";
/// The shortest visit, in minutes: the shortest slot of a location.
const MIN_DURATION: i32 = 5;
/// The longest visit, in minutes: a working day.
const MAX_DURATION: i32 = 480;
/// The longest buffer before or after a visit, in minutes: half a working day.
const MAX_BUFFER: i32 = 240;
/// The most resources that a visit needs.
const MAX_RESOURCES: usize = 20;
/// The longest notice for booking, or for cancelling and moving, in minutes: a year.
const MAX_NOTICE_MINUTES: i32 = 366 * 24 * 60;

/// A kind of visit (FHIR: serviceType).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = VisitType, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03", "name": "RLS first visit", "public_name": "First visit", "public_name_es": "Primera consulta", "duration_minutes": 60,
    "online_bookable": true, "booking_notice_minutes": 120, "cancel_notice_minutes": 1440, "active": true,
    "buffer_before_minutes": 0, "buffer_after_minutes": 15, "resource_ids": []
}))]
pub struct VisitTypeView {
    /// The visit type.
    pub id: VisitTypeId,
    /// The name among staff.
    pub name: String,
    /// The name in mails and calendars.
    pub public_name: String,
    /// The same name for patients who read Spanish; null if they see `public_name`.
    pub public_name_es: Option<String>,
    /// The duration of a visit, in minutes.
    pub duration_minutes: i32,
    /// Whether patients book it themselves.
    pub online_bookable: bool,
    /// How long before the start patients must book it, in minutes.
    pub booking_notice_minutes: i32,
    /// The minimum notice for cancelling or moving it online, in minutes before the start.
    pub cancel_notice_minutes: i32,
    /// Whether it can be booked.
    pub active: bool,
    /// The practitioner's working time before a visit, in minutes.
    pub buffer_before_minutes: i32,
    /// The practitioner's working time after a visit, in minutes.
    pub buffer_after_minutes: i32,
    /// The resources of which a visit takes one unit each.
    pub resource_ids: Vec<ResourceId>,
}

impl VisitTypeView {
    fn new(visit: VisitType, resource_ids: Vec<ResourceId>) -> Self {
        Self {
            id: visit.id,
            name: visit.name,
            public_name: visit.public_name,
            public_name_es: visit.public_name_es,
            duration_minutes: visit.duration_minutes,
            online_bookable: visit.online_bookable,
            booking_notice_minutes: visit.booking_notice_minutes,
            cancel_notice_minutes: visit.cancel_notice_minutes,
            active: visit.active,
            buffer_before_minutes: visit.buffer_before_minutes,
            buffer_after_minutes: visit.buffer_after_minutes,
            resource_ids,
        }
    }
}

/// A page of visit types.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03", "name": "RLS first visit", "public_name": "First visit", "public_name_es": "Primera consulta", "duration_minutes": 60,
    "online_bookable": true, "booking_notice_minutes": 120, "cancel_notice_minutes": 1440, "active": true,
    "buffer_before_minutes": 0, "buffer_after_minutes": 15, "resource_ids": []
}], "next_cursor": null}))]
pub struct VisitTypePage {
    /// The visit types, oldest first.
    pub items: Vec<VisitTypeView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

fn default_active() -> bool {
    true
}

/// A visit type to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "RLS first visit", "public_name": "First visit", "public_name_es": "Primera consulta", "duration_minutes": 60, "online_bookable": true,
    "booking_notice_minutes": 120, "cancel_notice_minutes": 1440
}))]
pub struct NewVisitType {
    /// The name among staff.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The name in mails and calendars. Must tell nothing about health.
    #[schema(min_length = 1, max_length = 100)]
    public_name: String,
    /// The same name for patients who read Spanish. Without it, they see `public_name`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    public_name_es: Option<String>,
    /// The duration of a visit, in minutes. Must be a whole number of slots at every location where it is offered.
    #[schema(minimum = 5, maximum = 480)]
    duration_minutes: i64,
    /// Whether patients book it themselves.
    #[serde(default)]
    #[schema(default = false)]
    online_bookable: bool,
    /// How long before the start patients must book it, in minutes.
    #[serde(default)]
    #[schema(default = 0, minimum = 0, maximum = 527_040)]
    booking_notice_minutes: i64,
    /// The minimum notice for cancelling or moving it online, in minutes before the start.
    #[serde(default)]
    #[schema(default = 0, minimum = 0, maximum = 527_040)]
    cancel_notice_minutes: i64,
    /// Whether it can be booked.
    #[serde(default = "default_active")]
    #[schema(default = true)]
    active: bool,
    /// The practitioner's working time before a visit, in minutes. Patients are not told. Must be a whole number of slots, like the duration.
    #[serde(default)]
    #[schema(default = 0, minimum = 0, maximum = 240)]
    buffer_before_minutes: i64,
    /// The practitioner's working time after a visit, in minutes. Patients are not told. Must be a whole number of slots, like the duration.
    #[serde(default)]
    #[schema(default = 0, minimum = 0, maximum = 240)]
    buffer_after_minutes: i64,
    /// The resources of which a visit takes one unit each, at the location of the visit.
    #[serde(default)]
    #[schema(max_items = 20)]
    resource_ids: Vec<ResourceId>,
}

/// A change of a visit type. Members that are not sent keep their value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"booking_notice_minutes": 240}))]
pub struct VisitTypePatch {
    /// The name among staff.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// The name in mails and calendars. Must tell nothing about health.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    public_name: Change<String>,
    /// The same name for patients who read Spanish. Null deletes it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    public_name_es: Change<String>,
    /// The duration of a visit, in minutes. Booked appointments keep their duration.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 480)]
    duration_minutes: Change<i64>,
    /// Whether patients book it themselves.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    online_bookable: Change<bool>,
    /// How long before the start patients must book it, in minutes.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 527_040)]
    booking_notice_minutes: Change<i64>,
    /// The minimum notice for cancelling or moving it online, in minutes before the start. Booked appointments keep theirs until they are moved.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 527_040)]
    cancel_notice_minutes: Change<i64>,
    /// Whether it can be booked.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    active: Change<bool>,
    /// The practitioner's working time before a visit, in minutes. Booked appointments keep theirs.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 240)]
    buffer_before_minutes: Change<i64>,
    /// The practitioner's working time after a visit, in minutes. Booked appointments keep theirs.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 240)]
    buffer_after_minutes: Change<i64>,
    /// The resources of which a visit takes one unit each. Replaces the whole list. Booked appointments keep theirs.
    #[serde(default)]
    #[schema(value_type = Option<Vec<ResourceId>>, nullable = false, max_items = 20)]
    resource_ids: Change<Vec<ResourceId>>,
}

impl From<NewVisitType> for VisitTypePatch {
    fn from(input: NewVisitType) -> Self {
        Self {
            name: Change::Set(input.name),
            public_name: Change::Set(input.public_name),
            public_name_es: input.public_name_es.map_or(Change::Keep, Change::Set),
            duration_minutes: Change::Set(input.duration_minutes),
            online_bookable: Change::Set(input.online_bookable),
            booking_notice_minutes: Change::Set(input.booking_notice_minutes),
            cancel_notice_minutes: Change::Set(input.cancel_notice_minutes),
            active: Change::Set(input.active),
            buffer_before_minutes: Change::Set(input.buffer_before_minutes),
            buffer_after_minutes: Change::Set(input.buffer_after_minutes),
            resource_ids: Change::Set(input.resource_ids),
        }
    }
}

/// The checked values of a new or changed visit type.
#[derive(Debug, Clone)]
struct Changes {
    name: Option<String>,
    public_name: Option<String>,
    public_name_es: Change<String>,
    duration_minutes: Option<i32>,
    online_bookable: Option<bool>,
    booking_notice_minutes: Option<i32>,
    cancel_notice_minutes: Option<i32>,
    active: Option<bool>,
    buffer_before_minutes: Option<i32>,
    buffer_after_minutes: Option<i32>,
    /// In order, each once.
    resource_ids: Option<Vec<ResourceId>>,
}

impl Changes {
    fn checked(patch: VisitTypePatch) -> Result<Self> {
        let mut check = Check::new();
        let name = |name: String| text::one_line(&name, text::MAX_NAME);
        let notice = |minutes| minutes_between(minutes, 0, MAX_NOTICE_MINUTES);
        let duration = |minutes| minutes_between(minutes, MIN_DURATION, MAX_DURATION);
        let buffer = |minutes| minutes_between(minutes, 0, MAX_BUFFER);
        let changes = Self {
            name: changed(&mut check, "/name", patch.name, name),
            public_name: changed(&mut check, "/public_name", patch.public_name, name),
            public_name_es: match patch.public_name_es {
                Change::Set(text) => check.field("/public_name_es", name(text)).map_or(Change::Keep, Change::Set),
                other => other,
            },
            duration_minutes: changed(&mut check, "/duration_minutes", patch.duration_minutes, duration),
            online_bookable: changed(&mut check, "/online_bookable", patch.online_bookable, Ok),
            booking_notice_minutes: changed(
                &mut check,
                "/booking_notice_minutes",
                patch.booking_notice_minutes,
                notice,
            ),
            cancel_notice_minutes: changed(&mut check, "/cancel_notice_minutes", patch.cancel_notice_minutes, notice),
            active: changed(&mut check, "/active", patch.active, Ok),
            buffer_before_minutes: changed(&mut check, "/buffer_before_minutes", patch.buffer_before_minutes, buffer),
            buffer_after_minutes: changed(&mut check, "/buffer_after_minutes", patch.buffer_after_minutes, buffer),
            resource_ids: changed(&mut check, "/resource_ids", patch.resource_ids, |ids| {
                let rule = || Rule::new(FieldCode::TooMany, format!("must have at most {MAX_RESOURCES} resources"));
                if ids.len() <= MAX_RESOURCES { Ok(ids) } else { Err(rule()) }
            }),
        };
        check.done()?;
        Ok(changes)
    }

    fn apply(&self, visit_type: &mut VisitType) {
        fn set<T: Clone>(to: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                to.clone_from(value);
            }
        }
        set(&mut visit_type.name, self.name.as_ref());
        set(&mut visit_type.public_name, self.public_name.as_ref());
        match &self.public_name_es {
            Change::Keep => {}
            Change::Clear => visit_type.public_name_es = None,
            Change::Set(name) => visit_type.public_name_es = Some(name.clone()),
        }
        set(&mut visit_type.duration_minutes, self.duration_minutes.as_ref());
        set(&mut visit_type.online_bookable, self.online_bookable.as_ref());
        set(&mut visit_type.booking_notice_minutes, self.booking_notice_minutes.as_ref());
        set(&mut visit_type.cancel_notice_minutes, self.cancel_notice_minutes.as_ref());
        set(&mut visit_type.active, self.active.as_ref());
        set(&mut visit_type.buffer_before_minutes, self.buffer_before_minutes.as_ref());
        set(&mut visit_type.buffer_after_minutes, self.buffer_after_minutes.as_ref());
    }
}

/// The filter of a list of visit types.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VisitTypeParams {
    /// `false` returns the inactive ones. Administrators only.
    #[param(default = true)]
    active: Option<bool>,
}

/// Lists the visit types that are active, or for administrators those that are not.
///
/// # Errors
/// [`Error::Unauthenticated`](crate::error::Error::Unauthenticated) and
/// [`Error::RoleForbidden`](crate::error::Error::RoleForbidden) if the caller must not see inactive ones; every broken rule of the
/// parameters.
pub async fn list(
    context: &Context<Anonymous>,
    actor: Option<Actor>,
    params: VisitTypeParams,
    page: PageParams,
) -> Result<VisitTypePage> {
    let active = params.active.unwrap_or(true);
    if !active {
        actor.ok_or_else(actor::no_session)?.require(Action::ClinicSetUp)?;
    }
    let page = page.of(LIST)?;
    context
        .read(move |tx| {
            let of_kind = visit_types::table.filter(visit_types::active.eq(active));
            let mut query = of_kind.select(VisitType::as_select()).into_boxed();
            if let Some(Cursor { at, id }) = page.after {
                let later = visit_types::created_at.eq(at).and(visit_types::id.gt(VisitTypeId(id)));
                query = query.filter(visit_types::created_at.gt(at).or(later));
            }
            let rows: Vec<VisitType> =
                query.order((visit_types::created_at, visit_types::id)).limit(page.rows()).load(tx.conn)?;
            let (rows, next_cursor) = page.cut(rows, |row| (row.created_at, row.id.0));
            let ids: Vec<VisitTypeId> = rows.iter().map(|row| row.id).collect();
            let mut needed = resource::needed_by(tx.conn, &ids)?;
            let items = rows.into_iter().map(|row| {
                let resources = needed.remove(&row.id).unwrap_or_default();
                VisitTypeView::new(row, resources)
            });
            Ok(VisitTypePage { items: items.collect(), next_cursor })
        })
        .await
}

fn versioned<P>(tx: &mut Tx<P>, visit_type: VisitType) -> Result<Versioned<VisitTypeView>> {
    let resources = resource::needed_by(tx.conn, &[visit_type.id])?.remove(&visit_type.id).unwrap_or_default();
    Ok(Versioned { version: visit_type.version, object: VisitTypeView::new(visit_type, resources) })
}

/// Reads a visit type.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn read(context: &Context<Anonymous>, id: VisitTypeId) -> Result<Versioned<VisitTypeView>> {
    context
        .read(move |tx| {
            let found = visit_type::find(tx.conn, id)?;
            versioned(tx, found)
        })
        .await
}

/// Creates a visit type.
///
/// # Errors
/// Every broken rule of the values.
pub async fn create(context: &Context, once: Once, new: NewVisitType) -> Result<Versioned<VisitTypeView>> {
    context.require(Action::ClinicSetUp)?;
    let values = Changes::checked(new.into())?;
    context
        .change_once(once, move |tx| {
            let mut visit_type = VisitType {
                id: tx.env.new_id(),
                name: String::new(),
                public_name: String::new(),
                public_name_es: None,
                duration_minutes: 0,
                online_bookable: false,
                booking_notice_minutes: 0,
                cancel_notice_minutes: 0,
                active: true,
                version: 1,
                created_at: tx.now,
                updated_at: tx.now,
                buffer_before_minutes: 0,
                buffer_after_minutes: 0,
            };
            values.apply(&mut visit_type);
            diesel::insert_into(visit_types::table).values(&visit_type).execute(tx.conn)?;
            set_resources(tx, visit_type.id, values.resource_ids.as_deref().unwrap_or_default())?;
            tx.audit.note_object(visit_type.id.0);
            versioned(tx, visit_type)
        })
        .await
}

/// Changes a visit type.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); every broken rule of the values.
pub async fn update(
    context: &Context,
    id: VisitTypeId,
    if_match: IfMatch,
    patch: VisitTypePatch,
) -> Result<Versioned<VisitTypeView>> {
    context.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::checked(patch)?;
    context
        .change(move |tx| {
            let changed = store(tx, id, &if_match, &changes)?;
            versioned(tx, changed)
        })
        .await
}

/// Stores what changes. Without changes the visit type keeps its version.
fn store(tx: &mut Tx, id: VisitTypeId, if_match: &IfMatch, changes: &Changes) -> Result<VisitType> {
    super::lock(tx.conn)?;
    let before = visit_type::find(tx.conn, id)?;
    if_match.check(before.version)?;
    let mut visit_type = before.clone();
    changes.apply(&mut visit_type);
    let needed = resource::needed_by(tx.conn, &[id])?.remove(&id).unwrap_or_default();
    let resources = changes
        .resource_ids
        .as_ref()
        .filter(|ids| ids.iter().any(|id| !needed.contains(id)) || ids.len() != needed.len());
    if visit_type == before && resources.is_none() {
        return Ok(before);
    }
    if let Some(resources) = resources {
        set_resources(tx, id, resources)?;
    }
    if visit_type.lengths() != before.lengths() {
        require_whole_slots(tx, &visit_type)?;
    }
    visit_type.version += 1;
    visit_type.updated_at = tx.now;
    diesel::update(visit_types::table.find(id)).set(&visit_type).execute(tx.conn)?;
    Ok(visit_type)
}

/// Stores the resources that a visit needs.
fn set_resources(tx: &mut Tx, visit_type: VisitTypeId, resources: &[ResourceId]) -> Result<()> {
    let mut check = Check::new();
    for index in resource::unknown(tx.conn, resources)? {
        check.add(FieldError::new(
            format!("/resource_ids/{index}"),
            FieldCode::UnknownReference,
            "there is no such resource",
        ));
    }
    for (index, id) in resources.iter().enumerate() {
        check.require(
            !resources[..index].contains(id),
            format!("/resource_ids/{index}"),
            FieldCode::Duplicate,
            "is in the list twice",
        );
    }
    check.done()?;
    resource::set_needed(tx.conn, visit_type, resources)
}

/// Checks that the duration and the buffers are whole numbers of slots at every location where the visit type is offered.
fn require_whole_slots(tx: &mut Tx, visit_type: &VisitType) -> Result<()> {
    let slot_lengths = offerings::slot_lengths_for(tx.conn, visit_type.id)?;
    let mut check = Check::new();
    for (pointer, minutes) in [
        ("/duration_minutes", visit_type.duration_minutes),
        ("/buffer_before_minutes", visit_type.buffer_before_minutes),
        ("/buffer_after_minutes", visit_type.buffer_after_minutes),
    ] {
        let fits = slot_lengths.iter().all(|slot| is_whole_number_of_slots((0, minutes, 0), *slot));
        let detail = "must be a multiple of the slot length of every location where it is offered";
        check.require(fits, pointer, FieldCode::DoesNotFit, detail);
    }
    check.done()
}

/// List visit types
///
/// Returns the active visit types, oldest first. Administrators can list the inactive ones with `active=false`.
#[utoipa::path(
    tag = "visit types",
    operation_id = "list_visit_types",
    params(VisitTypeParams, PageParams),
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = VisitTypePage),
        (status = 401, description = "`unauthenticated`: `active=false` needs a session"),
        (status = 403, description = "`role_forbidden`: the caller's role may not use `active=false`"),
    ),
)]
#[get("/v1/visit-types")]
pub(in crate::scheduling) async fn list_visit_types(
    context: Context<Anonymous>,
    MaybeSignedIn(actor): MaybeSignedIn,
    Params(params): Params<VisitTypeParams>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, actor, params, page).await?))
}

/// Read a visit type
///
/// Also returns an inactive one. The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "visit types",
    operation_id = "get_visit_type",
    params(("id" = VisitTypeId, Path, description = "The visit type")),
    responses((status = 200, description = "The visit type", body = VisitTypeView)),
)]
#[get("/v1/visit-types/{id}")]
pub(in crate::scheduling) async fn get_visit_type(
    context: Context<Anonymous>,
    PathId(id): PathId<VisitTypeId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Create a visit type
///
/// Administrators only. It can be booked when a practitioner offers it.
#[utoipa::path(
    tag = "visit types",
    operation_id = "create_visit_type",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewVisitType,
    responses(
        (status = 201, description = "The visit type", body = VisitTypeView),
    ),
)]
#[post("/v1/visit-types")]
pub(in crate::scheduling) async fn create_visit_type(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewVisitType>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/visit-types/{}", created.object.id), &created))
}

/// Change a visit type
///
/// Administrators only. A new duration or buffer must be a whole number of slots at every location where the visit type is offered.
/// Booked appointments keep their times and buffers.
#[utoipa::path(
    tag = "visit types",
    operation_id = "update_visit_type",
    security(("bearer" = [])),
    params(
        ("id" = VisitTypeId, Path, description = "The visit type"),
        ("If-Match" = String, Header),
    ),
    request_body(content = VisitTypePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The changed visit type", body = VisitTypeView)),
)]
#[patch("/v1/visit-types/{id}")]
pub(in crate::scheduling) async fn update_visit_type(
    context: Context,
    PathId(id): PathId<VisitTypeId>,
    if_match: IfMatch,
    Patch(patch): Patch<VisitTypePatch>,
) -> Result<HttpResponse> {
    let changed = update(&context, id, if_match, patch).await?;
    Ok(response::versioned(&changed))
}
