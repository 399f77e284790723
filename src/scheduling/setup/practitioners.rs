//! Reading, creating and changing practitioners.

use actix_web::{HttpResponse, get, patch, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::changed;
use super::offerings::{self, Offerings};
use super::practitioner::{self, Practitioner};
use crate::accounts::caller::MaybeSignedIn;
use crate::actor::{self, Action, Actor};
use crate::context::{Anonymous, Context, Once, Tx};
use crate::db::Conn;
use crate::db::schema::{practitioner_identifiers, practitioners};
use crate::error::{Check, Error, FieldCode, Result, Rule};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::{Cursor, Page, PageParams};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::identifiers::{self, Identifier, Identifiers, Token, identified};
use crate::ids::{AppointmentId, LocationId, PractitionerId, VisitTypeId};
use crate::scheduling::hours::affected::{self, AffectedAppointments};
use crate::scheduling::hours::publishing;

const LIST: &str = "practitioners";
/// The maximum number of visit types, and of locations, of a practitioner. A clinic has fewer, and each is a row that a change writes.
const MAX_OFFERINGS: usize = 100;

/// A practitioner.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Practitioner, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01", "name": "Dr. Ada Calloway",
    "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"], "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"],
    "active": true
}))]
pub struct PractitionerView {
    /// The practitioner.
    pub id: PractitionerId,
    /// The name, as patients see it.
    pub name: String,
    /// The visit types that they offer.
    pub visit_type_ids: Vec<VisitTypeId>,
    /// The locations where they work.
    pub location_ids: Vec<LocationId>,
    /// Whether patients can be booked with them.
    pub active: bool,
    /// The identifiers that other systems use for them. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Identifier>, nullable = false, required = false)]
    pub identifiers: Option<Identifiers>,
}

impl PractitionerView {
    fn new(practitioner: &Practitioner, offerings: &Offerings, with_identifiers: bool) -> Self {
        Self {
            identifiers: with_identifiers.then(|| practitioner.identifiers.clone()),
            id: practitioner.id,
            name: practitioner.name.clone(),
            visit_type_ids: offerings.visit_types(practitioner.id),
            location_ids: offerings.locations(practitioner.id),
            active: practitioner.active,
        }
    }

    /// Loads what is shown beside the row.
    fn versioned(conn: &mut Conn, practitioner: &Practitioner, with_identifiers: bool) -> Result<Versioned<Self>> {
        let offerings = Offerings::load(conn, &[practitioner.id])?;
        Ok(Versioned { version: practitioner.version, object: Self::new(practitioner, &offerings, with_identifiers) })
    }
}

/// A practitioner after a change, with the affected appointments.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01", "name": "Dr. Ada Calloway",
    "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"], "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"],
    "active": true, "affected_appointments": [], "affected_total": 0
}))]
pub struct ChangedPractitioner {
    /// The practitioner.
    #[serde(flatten)]
    pub practitioner: PractitionerView,
    /// The affected appointments.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// A page of practitioners.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01", "name": "Dr. Ada Calloway",
    "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"], "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"],
    "active": true
}], "next_cursor": null}))]
pub struct PractitionerPage {
    /// The practitioners, oldest first.
    pub items: Vec<PractitionerView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

fn default_active() -> bool {
    true
}

/// A practitioner to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Dr. Ada Calloway", "visit_type_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"],
    "location_ids": ["0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02"]
}))]
pub struct NewPractitioner {
    /// The name, as patients see it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The visit types that they offer. Each must be a whole number of slots at each of the locations.
    #[serde(default)]
    #[schema(max_items = 100)]
    visit_type_ids: Vec<VisitTypeId>,
    /// The locations where they work.
    #[serde(default)]
    #[schema(max_items = 100)]
    location_ids: Vec<LocationId>,
    /// Whether patients can be booked with them.
    #[serde(default = "default_active")]
    #[schema(default = true)]
    active: bool,
    /// The identifiers that other systems use for them.
    #[serde(default)]
    #[schema(value_type = Vec<Identifier>, max_items = 20)]
    identifiers: Identifiers,
}

/// A change of a practitioner. Members that are not sent keep their value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": false}))]
pub struct PractitionerPatch {
    /// The name, as patients see it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Change<String>,
    /// The visit types that they offer. Replaces the whole list.
    #[serde(default)]
    #[schema(value_type = Option<Vec<VisitTypeId>>, nullable = false, max_items = 100)]
    visit_type_ids: Change<Vec<VisitTypeId>>,
    /// The locations where they work. Replaces the whole list.
    #[serde(default)]
    #[schema(value_type = Option<Vec<LocationId>>, nullable = false, max_items = 100)]
    location_ids: Change<Vec<LocationId>>,
    /// Whether patients can be booked with them.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    active: Change<bool>,
    /// The identifiers that other systems use for them. Replaces the whole list, `null` empties it.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Identifier>>, max_items = 20)]
    identifiers: Change<Identifiers>,
}

impl From<NewPractitioner> for PractitionerPatch {
    fn from(input: NewPractitioner) -> Self {
        Self {
            name: Change::Set(input.name),
            visit_type_ids: Change::Set(input.visit_type_ids),
            location_ids: Change::Set(input.location_ids),
            active: Change::Set(input.active),
            identifiers: Change::Set(input.identifiers),
        }
    }
}

/// The checked values of a new or changed practitioner. [`offerings::check`] decides whether visit types and locations fit.
#[derive(Debug, Clone)]
struct Changes {
    name: Option<String>,
    visit_type_ids: Option<Vec<VisitTypeId>>,
    location_ids: Option<Vec<LocationId>>,
    active: Option<bool>,
    identifiers: Option<Identifiers>,
}

impl Changes {
    fn checked(patch: PractitionerPatch) -> Result<Self> {
        let mut check = Check::new();
        let changes = Self {
            name: changed(&mut check, "/name", patch.name, |name| text::one_line(&name, text::MAX_NAME)),
            visit_type_ids: changed(&mut check, "/visit_type_ids", patch.visit_type_ids, checked_ids),
            location_ids: changed(&mut check, "/location_ids", patch.location_ids, checked_ids),
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

fn checked_ids<T: PartialEq>(ids: Vec<T>) -> Result<Vec<T>, Rule> {
    if ids.len() > MAX_OFFERINGS {
        return Err(Rule::new(FieldCode::TooMany, format!("must have at most {MAX_OFFERINGS} entries")));
    }
    if ids.iter().enumerate().any(|(index, id)| ids[..index].contains(id)) {
        return Err(Rule::new(FieldCode::Duplicate, "must not contain the same id twice"));
    }
    Ok(ids)
}

/// The filters of a list of practitioners.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PractitionerParams {
    /// `false` returns the inactive ones. Administrators only.
    #[param(default = true)]
    active: Option<bool>,
    /// An identifier of another system: `system|value`, `value` of any system, or `system|` for all of a system. Staff only.
    #[param(min_length = 1, max_length = 456, example = "npi|1234567893")]
    identifier: Option<String>,
}

/// Whether the caller may see identifiers. Some are the clinic's own, such as a staff number.
fn sees_identifiers(actor: Option<&Actor>) -> bool {
    actor.is_some_and(|actor| actor.require(Action::PractitionerIdentifierRead).is_ok())
}

/// Lists the practitioners who are active, or for administrators those who are not.
///
/// # Errors
/// [`Error::Unauthenticated`] and [`Error::RoleForbidden`] if the caller must not use a filter; every broken rule of the parameters.
pub async fn list(
    context: &Context<Anonymous>,
    actor: Option<Actor>,
    params: PractitionerParams,
    page: PageParams,
) -> Result<PractitionerPage> {
    let with_identifiers = sees_identifiers(actor.as_ref());
    let active = params.active.unwrap_or(true);
    if !active || params.identifier.is_some() {
        let actor = actor.ok_or_else(actor::no_session)?;
        if !active {
            actor.require(Action::ClinicSetUp)?;
        }
        actor.require(Action::PractitionerIdentifierRead)?;
    }
    let token = params.identifier.as_deref().map(Token::parse).transpose();
    let token = token.map_err(|rule| Error::invalid("?identifier", rule.code, rule.detail))?;
    let page = page.of(LIST)?;
    context
        .read(move |tx| {
            let rows = load(tx.conn, active, token.as_ref(), &page)?;
            let (rows, next_cursor) = page.cut(rows, |row| (row.created_at, row.id.0));
            let offerings = Offerings::load(tx.conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
            let items = rows.iter().map(|row| PractitionerView::new(row, &offerings, with_identifiers)).collect();
            Ok(PractitionerPage { items, next_cursor })
        })
        .await
}

fn load(conn: &mut Conn, active: bool, identifier: Option<&Token>, page: &Page) -> Result<Vec<Practitioner>> {
    let mut query =
        practitioners::table.select(Practitioner::as_select()).filter(practitioners::active.eq(active)).into_boxed();
    if let Some(token) = identifier {
        query = identified!(query, practitioners::id, practitioner_identifiers, practitioner_id, token);
    }
    if let Some(Cursor { at, id }) = page.after {
        let later = practitioners::created_at.eq(at).and(practitioners::id.gt(PractitionerId(id)));
        query = query.filter(practitioners::created_at.gt(at).or(later));
    }
    Ok(query.order((practitioners::created_at, practitioners::id)).limit(page.rows()).load(conn)?)
}

/// Reads a practitioner.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(
    context: &Context<Anonymous>,
    actor: Option<Actor>,
    id: PractitionerId,
) -> Result<Versioned<PractitionerView>> {
    let with_identifiers = sees_identifiers(actor.as_ref());
    context
        .read(move |tx| {
            let practitioner = practitioner::find(tx.conn, id)?;
            PractitionerView::versioned(tx.conn, &practitioner, with_identifiers)
        })
        .await
}

/// Creates a practitioner.
///
/// # Errors
/// Every broken rule of the values; the conflict `identifier_taken`.
pub async fn create(context: &Context, once: Once, new: NewPractitioner) -> Result<Versioned<PractitionerView>> {
    context.require(Action::ClinicSetUp)?;
    let values = Changes::checked(new.into())?;
    context.change_once(once, move |tx| insert(tx, &values)).await
}

fn insert(tx: &mut Tx, new: &Changes) -> Result<Versioned<PractitionerView>> {
    super::lock(tx.conn)?;
    let practitioner = Practitioner {
        id: tx.env.new_id(),
        name: new.name.clone().unwrap_or_default(),
        active: new.active.unwrap_or(true),
        identifiers: new.identifiers.clone().unwrap_or_default(),
        version: 1,
        availability_version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let visit_types = new.visit_type_ids.as_deref().unwrap_or_default();
    let locations = new.location_ids.as_deref().unwrap_or_default();
    offerings::check(tx.conn, visit_types, locations, new.visit_type_ids.is_some())?;
    diesel::insert_into(practitioners::table).values(&practitioner).execute(tx.conn)?;
    offerings::replace(tx.conn, practitioner.id, visit_types, locations)?;
    identifiers::set_for_practitioner(tx.conn, practitioner.id, &practitioner.identifiers)?;
    tx.audit.note_object(practitioner.id.0);
    PractitionerView::versioned(tx.conn, &practitioner, true)
}

/// Changes a practitioner and publishes their hours.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; every broken rule of the values; the conflict `identifier_taken`.
pub async fn update(
    context: &Context,
    id: PractitionerId,
    if_match: IfMatch,
    patch: PractitionerPatch,
) -> Result<Versioned<ChangedPractitioner>> {
    context.require(Action::ClinicSetUp)?;
    let if_match = if_match.required()?;
    let changes = Changes::checked(patch)?;
    context
        .change(move |tx| {
            let (practitioner, affected) = store(tx, id, &if_match, &changes)?;
            let Versioned { version, object } = PractitionerView::versioned(tx.conn, &practitioner, true)?;
            let affected = affected::load(tx, &affected)?;
            Ok(Versioned { version, object: ChangedPractitioner { practitioner: object, affected } })
        })
        .await
}

/// Stores what changes, and returns the affected appointments. Without changes the practitioner keeps their version.
fn store(
    tx: &mut Tx,
    id: PractitionerId,
    if_match: &IfMatch,
    changes: &Changes,
) -> Result<(Practitioner, Vec<AppointmentId>)> {
    super::lock(tx.conn)?;
    let before = practitioner::lock(tx.conn, id)?;
    if_match.check(before.version)?;
    let has_other_offerings = store_offerings(tx.conn, id, changes)?;
    let mut practitioner = before.clone();
    practitioner.name = changes.name.clone().unwrap_or(practitioner.name);
    practitioner.active = changes.active.unwrap_or(practitioner.active);
    practitioner.identifiers = changes.identifiers.clone().unwrap_or(practitioner.identifiers);
    if practitioner == before && !has_other_offerings {
        return Ok((before, Vec::new()));
    }
    if practitioner.identifiers != before.identifiers {
        identifiers::set_for_practitioner(tx.conn, id, &practitioner.identifiers)?;
    }
    practitioner.version += 1;
    practitioner.updated_at = tx.now;
    diesel::update(practitioners::table.find(id)).set(&practitioner).execute(tx.conn)?;
    let affected = publishing::publish(tx, &practitioner, &[])?;
    Ok((practitioner, affected))
}

/// Stores the visit types and locations, and returns whether they change.
fn store_offerings(conn: &mut Conn, id: PractitionerId, changes: &Changes) -> Result<bool> {
    if changes.visit_type_ids.is_none() && changes.location_ids.is_none() {
        return Ok(false);
    }
    let before = Offerings::load(conn, &[id])?;
    let visit_types = changes.visit_type_ids.clone().unwrap_or_else(|| before.visit_types(id));
    let locations = changes.location_ids.clone().unwrap_or_else(|| before.locations(id));
    offerings::check(conn, &visit_types, &locations, changes.visit_type_ids.is_some())?;
    if sorted(&visit_types) == sorted(&before.visit_types(id)) && sorted(&locations) == sorted(&before.locations(id)) {
        return Ok(false);
    }
    offerings::replace(conn, id, &visit_types, &locations)?;
    Ok(true)
}

fn sorted<T: Ord + Copy>(ids: &[T]) -> Vec<T> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// List practitioners
///
/// Returns the active practitioners, oldest first. Administrators can list the inactive ones with `active=false`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "list_practitioners",
    params(PractitionerParams, PageParams),
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = PractitionerPage),
        (status = 401, description = "`unauthenticated`: `active=false` and `identifier` need a session"),
        (status = 403, description = "`role_forbidden`: the caller's role may not use `active=false` or `identifier`"),
    ),
)]
#[get("/v1/practitioners")]
pub(in crate::scheduling) async fn list_practitioners(
    context: Context<Anonymous>,
    MaybeSignedIn(actor): MaybeSignedIn,
    Params(params): Params<PractitionerParams>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, actor, params, page).await?))
}

/// Read a practitioner
///
/// Also returns an inactive one. The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "get_practitioner",
    params(("id" = PractitionerId, Path, description = "The practitioner")),
    security((), ("bearer" = [])),
    responses((status = 200, description = "The practitioner", body = PractitionerView)),
)]
#[get("/v1/practitioners/{id}")]
pub(in crate::scheduling) async fn get_practitioner(
    context: Context<Anonymous>,
    MaybeSignedIn(actor): MaybeSignedIn,
    PathId(id): PathId<PractitionerId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, actor, id).await?))
}

/// Create a practitioner
///
/// Administrators only. Slots appear when the practitioner has weekly hours.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "create_practitioner",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewPractitioner,
    responses(
        (status = 201, description = "The practitioner", body = PractitionerView),
        (status = 409, description = "`identifier_taken`: another practitioner has an identifier; `pointer` names the identifier, `taken_by` the practitioner"),
    ),
)]
#[post("/v1/practitioners")]
pub(in crate::scheduling) async fn create_practitioner(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewPractitioner>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/practitioners/{}", created.object.id), &created))
}

/// Change a practitioner
///
/// Administrators only. The free slots change at once. Those at a removed location are deleted; the weekly hours there apply again when
/// the location comes back. An inactive practitioner has no free slots. Booked appointments stay. The response lists those that the
/// practitioner's hours no longer cover, and so does `needs_attention`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "update_practitioner",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("If-Match" = String, Header),
    ),
    request_body(content = PractitionerPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed practitioner, with the affected appointments", body = ChangedPractitioner),
        (status = 409, description = "`identifier_taken`: another practitioner has an identifier; `pointer` names the identifier, `taken_by` the practitioner"),
    ),
)]
#[patch("/v1/practitioners/{id}")]
pub(in crate::scheduling) async fn update_practitioner(
    context: Context,
    PathId(id): PathId<PractitionerId>,
    if_match: IfMatch,
    Patch(patch): Patch<PractitionerPatch>,
) -> Result<HttpResponse> {
    let changed = update(&context, id, if_match, patch).await?;
    Ok(response::versioned(&changed))
}
