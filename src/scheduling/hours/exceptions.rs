//! Reading, adding and deleting exceptions from a practitioner's weekly hours.

use actix_web::{HttpResponse, delete, get, post};
use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::affected::{self, AffectedAppointments};
use super::exception::{self, Exception, ExceptionKind, permit, reason_place};
use super::plan::MAX_EXTRA_HOURS;
use super::weekly::TimeRange;
use super::{publishing, stored_plan};
use crate::actor::{Action, Reach};
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::Conn;
use crate::db::schema::practitioner_exceptions;
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::paging::{Cursor, Page, PageParams};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, PathId};
use crate::ids::{ExceptionId, LocationId, PractitionerId};
use crate::scheduling::setup::practitioner::{self, Practitioner};
use crate::zones::Zones;

/// The longest time off. A practitioner who is away for longer is made inactive.
const MAX_TIME_OFF: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);
const LIST: &str = "exceptions";

/// Time off or extra hours.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PractitionerException, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c88", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "kind": "time_off", "starts_at": "2026-03-10T04:00:00Z", "ends_at": "2026-03-11T04:00:00Z", "location_id": null,
    "reason": "Ill", "created_at": "2026-03-09T12:00:00Z"
}))]
pub struct ExceptionView {
    /// The exception.
    pub id: ExceptionId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The kind.
    pub kind: ExceptionKind,
    /// The start.
    pub starts_at: Timestamp,
    /// The end.
    pub ends_at: Timestamp,
    /// The location; null means all locations.
    pub location_id: Option<LocationId>,
    /// The reason; null for other practitioners. Stored encrypted.
    pub reason: Option<String>,
    /// The time at which it was added.
    pub created_at: Timestamp,
}

impl ExceptionView {
    fn new(tx: &Tx, exception: &Exception) -> Result<Self> {
        Ok(Self {
            id: exception.id,
            practitioner_id: exception.practitioner_id,
            kind: exception.kind,
            starts_at: exception.starts_at,
            ends_at: exception.ends_at,
            location_id: exception.location_id,
            reason: exception.reason_for(tx.env, tx.actor)?,
            created_at: exception.created_at,
        })
    }
}

/// A page of exceptions.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c88", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "kind": "time_off", "starts_at": "2026-03-10T04:00:00Z", "ends_at": "2026-03-11T04:00:00Z", "location_id": null,
    "reason": "Ill", "created_at": "2026-03-09T12:00:00Z"
}], "next_cursor": null}))]
pub struct PractitionerExceptionPage {
    /// The exceptions, earliest first.
    pub items: Vec<ExceptionView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// A new exception, with the affected appointments.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c88", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "kind": "time_off", "starts_at": "2026-03-10T04:00:00Z", "ends_at": "2026-03-11T04:00:00Z", "location_id": null,
    "reason": "Ill", "created_at": "2026-03-09T12:00:00Z", "affected_appointments": [], "affected_total": 0
}))]
pub struct CreatedPractitionerException {
    /// The exception.
    #[serde(flatten)]
    pub exception: ExceptionView,
    /// The affected appointments.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// Time off or extra hours to add.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "time_off", "starts_at": "2026-03-10T00:00:00-04:00", "ends_at": "2026-03-11T00:00:00-04:00", "reason": "Ill"
}))]
pub struct NewPractitionerException {
    /// The kind.
    pub kind: ExceptionKind,
    /// The start, an instant. For a whole day, midnight at the location.
    pub starts_at: Timestamp,
    /// The end. Must be later than now, and at most 24 hours after the start for extra hours, or two years for time off.
    pub ends_at: Timestamp,
    /// One of the practitioner's locations. Required for extra hours. Time off without it is at all locations.
    #[serde(default)]
    pub location_id: Option<LocationId>,
    /// The reason, for staff. Stored encrypted.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl NewPractitionerException {
    /// Checks and normalises the values.
    fn checked(mut self, now: Timestamp) -> Result<Self> {
        let mut check = Check::new();
        self.reason = check.field("/reason", text::one_line(&self.reason, text::MAX_REASON)).unwrap_or_default();
        let (longest, most) = match self.kind {
            ExceptionKind::TimeOff => (MAX_TIME_OFF, "two years"),
            ExceptionKind::ExtraHours => (MAX_EXTRA_HOURS, "24 hours"),
        };
        if self.ends_at <= self.starts_at {
            check.require(false, "/ends_at", FieldCode::OutOfOrder, "must be after starts_at");
        } else {
            check.require(self.ends_at > now, "/ends_at", FieldCode::InThePast, "must be later than now");
            let short = self.ends_at.since(self.starts_at) <= longest;
            check.require(short, "/ends_at", FieldCode::OutOfRange, format!("must be at most {most} after starts_at"));
        }
        if self.kind == ExceptionKind::ExtraHours {
            check.require(
                self.location_id.is_some(),
                "/location_id",
                FieldCode::Required,
                "must be set for extra hours",
            );
        }
        check.done()?;
        Ok(self)
    }
}

/// The filter of a list of exceptions.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExceptionParams {
    /// Only exceptions that end after this time. Default: now.
    from: Option<Timestamp>,
}

/// Lists a practitioner's exceptions that end after an instant.
///
/// # Errors
/// [`Error::NotFound`]; every broken rule of the parameters.
pub async fn list(
    context: &Context,
    id: PractitionerId,
    params: ExceptionParams,
    page: PageParams,
) -> Result<PractitionerExceptionPage> {
    context.require(Action::AvailabilityRead)?;
    let page = page.of(LIST)?;
    context
        .read(move |tx| {
            practitioner::find(tx.conn, id)?;
            let rows = load(tx.conn, id, params.from.unwrap_or(tx.now), &page)?;
            let (rows, next_cursor) = page.cut(rows, |row| (row.starts_at, row.id.0));
            let items = rows.iter().map(|row| ExceptionView::new(tx, row)).collect::<Result<_>>()?;
            Ok(PractitionerExceptionPage { items, next_cursor })
        })
        .await
}

fn load(conn: &mut Conn, practitioner: PractitionerId, from: Timestamp, page: &Page) -> Result<Vec<Exception>> {
    use practitioner_exceptions::dsl;
    let mut query = practitioner_exceptions::table
        .filter(dsl::practitioner_id.eq(practitioner))
        .filter(dsl::ends_at.gt(from))
        .select(Exception::as_select())
        .into_boxed();
    if let Some(Cursor { at, id }) = page.after {
        query = query.filter(dsl::starts_at.gt(at).or(dsl::starts_at.eq(at).and(dsl::id.gt(ExceptionId(id)))));
    }
    Ok(query.order((dsl::starts_at, dsl::id)).limit(page.rows()).load(conn)?)
}

/// Reads an exception.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: ExceptionId) -> Result<Versioned<ExceptionView>> {
    context.require(Action::AvailabilityRead)?;
    context
        .read(move |tx| {
            let exception = exception::find(tx.conn, id)?;
            Ok(Versioned { version: exception.version, object: ExceptionView::new(tx, &exception)? })
        })
        .await
}

/// Adds time off or extra hours, and publishes the practitioner's hours.
///
/// # Errors
/// [`Error::NotFound`] if it is another practitioner and the caller changes only their own; every broken rule of the values.
pub async fn create(
    context: &Context,
    once: Once,
    id: PractitionerId,
    new: NewPractitionerException,
) -> Result<Versioned<CreatedPractitionerException>> {
    let reach = permit(&context.env, &context.actor, new.kind)?;
    let new = new.checked(context.env.now())?;
    if reach == Reach::Own && context.actor.practitioner_id != Some(id) {
        return Err(Error::NotFound);
    }
    context
        .change_once(once, move |tx| {
            let practitioner = practitioner::lock(tx.conn, id)?;
            let exception = insert(tx, &practitioner, &new)?;
            tx.audit.note_object(exception.id.0);
            let affected = publishing::publish(tx, &practitioner, exception.absence().as_slice())?;
            let affected = affected::load(tx, &affected)?;
            let (version, exception) = (exception.version, ExceptionView::new(tx, &exception)?);
            Ok(Versioned { version, object: CreatedPractitionerException { exception, affected } })
        })
        .await
}

/// Stores an exception whose values are checked. The practitioner must be locked, and their hours must be published afterwards.
///
/// # Errors
/// Every broken rule, if it does not fit the practitioner's locations and hours.
pub fn insert(tx: &mut Tx, practitioner: &Practitioner, new: &NewPractitionerException) -> Result<Exception> {
    check_location(tx.conn, &tx.env.config.zones, practitioner, new)?;
    let id = tx.env.new_id();
    let exception = Exception {
        id,
        practitioner_id: practitioner.id,
        kind: new.kind,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        location_id: new.location_id,
        reason: tx.env.sealer.seal(reason_place(id), &new.reason)?,
        created_by: tx.actor.user_id,
        created_at: tx.now,
        version: 1,
    };
    diesel::insert_into(practitioner_exceptions::table).values(&exception).execute(tx.conn)?;
    Ok(exception)
}

/// Checks that the location is one of the practitioner's. Extra hours must have the length of a slot at least, and the practitioner
/// must not be at another location at that time.
fn check_location(
    conn: &mut Conn,
    zones: &Zones,
    practitioner: &Practitioner,
    new: &NewPractitionerException,
) -> Result<()> {
    let Some(location_id) = new.location_id else { return Ok(()) };
    let plan = stored_plan::load(conn, zones, practitioner, new.starts_at)?;
    let Some(place) = plan.places.iter().find(|place| place.location_id == location_id) else {
        let detail = "must be one of the practitioner's locations";
        return Err(Error::invalid("/location_id", FieldCode::UnknownReference, detail));
    };
    if new.kind == ExceptionKind::TimeOff {
        return Ok(());
    }
    let extra = TimeRange { starts_at: new.starts_at, ends_at: new.ends_at, location_id };
    let mut check = Check::new();
    let has_slot = extra.ends_at.since(extra.starts_at) >= SignedDuration::from_mins(place.slot_minutes.into());
    check.require(
        has_slot,
        "/ends_at",
        FieldCode::OutOfRange,
        "must be at least one slot of the location after starts_at",
    );
    let is_elsewhere = plan.open_elsewhere(&extra);
    check.require(
        !is_elsewhere,
        "/starts_at",
        FieldCode::Overlap,
        "the practitioner is at another location at that time",
    );
    check.done()
}

/// Deletes an exception, and publishes the practitioner's hours.
///
/// # Errors
/// [`Error::NotFound`], also if it is another practitioner's and the caller changes only their own; [`Error::RoleForbidden`] if the
/// caller does not change exceptions of its kind.
pub async fn remove(context: &Context, id: ExceptionId) -> Result<AffectedAppointments> {
    context.require(Action::TimeOffWrite)?;
    context
        .change(move |tx| {
            let exception = exception::find(tx.conn, id)?;
            let reach = permit(tx.env, tx.actor, exception.kind)?;
            if reach == Reach::Own && tx.actor.practitioner_id != Some(exception.practitioner_id) {
                return Err(Error::NotFound);
            }
            let practitioner = practitioner::lock(tx.conn, exception.practitioner_id)?;
            if diesel::delete(practitioner_exceptions::table.find(id)).execute(tx.conn)? == 0 {
                return Err(Error::NotFound);
            }
            let affected = publishing::publish(tx, &practitioner, &[])?;
            affected::load(tx, &affected)
        })
        .await
}

/// List a practitioner's exceptions
///
/// Staff only. Returns time off and extra hours, earliest first. Practitioners do not read each other's reasons.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "list_exceptions",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner"), ExceptionParams, PageParams),
    responses((status = 200, description = "A page", body = PractitionerExceptionPage)),
)]
#[get("/v1/practitioners/{id}/exceptions")]
pub(in crate::scheduling) async fn list_exceptions(
    context: Context,
    PathId(id): PathId<PractitionerId>,
    Params(params): Params<ExceptionParams>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id, params, page).await?))
}

/// Add time off or extra hours
///
/// Time off is added by the front desk, by administrators, and by practitioners for themselves; extra hours by the roles of the setting
/// `EXTRA_HOURS_ROLES`, of which practitioners add only their own. The slots change at once. Time off deletes every free slot that it
/// overlaps, and ends the holds on them. Extra hours add slots where the weekly hours have none. Time off and closures take precedence over
/// extra hours. Booked appointments stay. The response lists those that the exception affects, even if they were affected before, and so
/// does `needs_attention`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "create_exception",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewPractitionerException,
    responses(
        (status = 201, description = "The exception, with the affected appointments", body = CreatedPractitionerException),
    ),
)]
#[post("/v1/practitioners/{id}/exceptions")]
pub(in crate::scheduling) async fn create_exception(
    context: Context,
    PathId(id): PathId<PractitionerId>,
    key: IdempotencyKey,
    body: Body<NewPractitionerException>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/exceptions/{}", created.object.exception.id), &created))
}

/// Read time off or extra hours
///
/// Staff only. Practitioners do not read each other's reasons. If the time zone of its location is corrected, an exception keeps its local
/// times and gets another `starts_at` and `ends_at`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "get_exception",
    security(("bearer" = [])),
    params(("id" = ExceptionId, Path, description = "The exception")),
    responses((status = 200, description = "The exception", body = ExceptionView)),
)]
#[get("/v1/exceptions/{id}")]
pub(in crate::scheduling) async fn get_exception(
    context: Context,
    PathId(id): PathId<ExceptionId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Delete time off or extra hours
///
/// For callers who can add exceptions of this kind. The slots change at once. The slots that time off deleted come back as new
/// slots. The free slots of extra hours are deleted; the response lists the booked appointments in them, and so does `needs_attention`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "delete_exception",
    security(("bearer" = [])),
    params(("id" = ExceptionId, Path, description = "The exception")),
    responses((status = 200, description = "Deleted, with the affected appointments", body = AffectedAppointments)),
)]
#[delete("/v1/exceptions/{id}")]
pub(in crate::scheduling) async fn delete_exception(
    context: Context,
    PathId(id): PathId<ExceptionId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&remove(&context, id).await?))
}
