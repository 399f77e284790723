//! What departs from a practitioner's weekly hours: time off and extra hours.

use actix_web::{HttpResponse, delete, get, post, web};
use diesel::prelude::*;
use jiff::SignedDuration;

use super::affected::{self, AffectedAppointments};
use super::hours::Stretch;
use super::model::{ExceptionKind, OffPlan, Practitioner};
use super::plan::{Absence, LONGEST_EXTRA};
use super::{plan_store, publishing, store};
use crate::actor::{Action, Actor, Reach};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::practitioner_exceptions;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Request};
use crate::http::{Answer, Body, Cursor, IdempotencyKey, Limit, Params, PathId};
use crate::ids::{ExceptionId, LocationId, PractitionerId, UserId};
use crate::sealed::{Place, Sealed};
use crate::text;

/// The longest time off; whoever is away for longer is deactivated.
const LONGEST_TIME_OFF: SignedDuration = SignedDuration::from_hours(2 * 366 * 24);
const LIST: &str = "exceptions";

/// An exception's row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = practitioner_exceptions, treat_none_as_default_value = false)]
pub struct Exception {
    /// Its id.
    pub id: ExceptionId,
    /// Whose it is.
    pub practitioner_id: PractitionerId,
    /// What it is.
    pub kind: ExceptionKind,
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// Where; `None` is everywhere.
    pub location_id: Option<LocationId>,
    /// Why.
    pub reason: Sealed<String>,
    /// Who entered it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
}

fn reason_place(id: ExceptionId) -> Place {
    Place::new("practitioner_exceptions", "reason", id.0)
}

impl Exception {
    /// What it takes from the plan; extra hours take nothing.
    fn absence(&self) -> Option<Absence> {
        let Self { starts_at, ends_at, location_id, .. } = *self;
        let absence = Absence { starts_at, ends_at, location_id, why: OffPlan::TimeOff };
        (self.kind == ExceptionKind::TimeOff).then_some(absence)
    }

    /// Why it is, for those who may enter it; doctors do not read each other's.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn reason_for(&self, env: &Env, actor: &Actor) -> Result<Option<String>> {
        let may_read = match actor.reach(Action::TimeOffWrite) {
            Reach::Any => true,
            Reach::Own => actor.practitioner_id == Some(self.practitioner_id),
            Reach::None => false,
        };
        may_read.then(|| env.sealer.open(reason_place(self.id), &self.reason)).transpose()
    }
}

/// Time off or extra hours.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(as = PractitionerException, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c88", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "kind": "time_off", "starts_at": "2026-03-10T04:00:00Z", "ends_at": "2026-03-11T04:00:00Z", "location_id": null,
    "reason": "Ill", "created_at": "2026-03-09T12:00:00Z"
}))]
pub struct ExceptionDto {
    /// Its id.
    pub id: ExceptionId,
    /// Whose it is.
    pub practitioner_id: PractitionerId,
    /// What it is.
    pub kind: ExceptionKind,
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// Where; null is everywhere.
    pub location_id: Option<LocationId>,
    /// Why; null for other doctors. It is kept encrypted.
    pub reason: Option<String>,
    /// When it was entered.
    pub created_at: Timestamp,
}

impl ExceptionDto {
    fn new(env: &Env, actor: &Actor, exception: &Exception) -> Result<Self> {
        Ok(Self {
            id: exception.id,
            practitioner_id: exception.practitioner_id,
            kind: exception.kind,
            starts_at: exception.starts_at,
            ends_at: exception.ends_at,
            location_id: exception.location_id,
            reason: exception.reason_for(env, actor)?,
            created_at: exception.created_at,
        })
    }
}

/// Exceptions, earliest first.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c88", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "kind": "time_off", "starts_at": "2026-03-10T04:00:00Z", "ends_at": "2026-03-11T04:00:00Z", "location_id": null,
    "reason": "Ill", "created_at": "2026-03-09T12:00:00Z"
}], "next_cursor": null}))]
pub struct ExceptionPage {
    /// The exceptions.
    pub items: Vec<ExceptionDto>,
    /// Give it as `cursor` for what follows; `null` at the end.
    pub next_cursor: Option<String>,
}

/// A new exception, and whom it hits.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c88", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "kind": "time_off", "starts_at": "2026-03-10T04:00:00Z", "ends_at": "2026-03-11T04:00:00Z", "location_id": null,
    "reason": "Ill", "created_at": "2026-03-09T12:00:00Z", "affected_appointments": [], "affected_total": 0
}))]
pub struct ExceptionAdded {
    /// The exception.
    #[serde(flatten)]
    pub exception: ExceptionDto,
    /// Whom it hits.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// Time off or extra hours to enter.
#[derive(Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "kind": "time_off", "starts_at": "2026-03-10T00:00:00-04:00", "ends_at": "2026-03-11T00:00:00-04:00", "reason": "Ill"
}))]
pub struct ExceptionInput {
    /// What it is.
    pub kind: ExceptionKind,
    /// Its start, an instant. A whole day begins at the midnight of the location.
    pub starts_at: Timestamp,
    /// Its end, later than now: at most 24 hours after the start for extra hours, and two years for time off.
    pub ends_at: Timestamp,
    /// Where: one of the practitioner's locations. Extra hours need it; time off without it is everywhere.
    #[serde(default)]
    pub location_id: Option<LocationId>,
    /// For the staff; it is kept encrypted.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl ExceptionInput {
    /// Checks it as far as the input alone can be, and returns the reason.
    fn check(&self, now: Timestamp) -> Result<String> {
        let mut check = Check::new();
        let reason = check.field("/reason", text::one_line(&self.reason, 500));
        let (longest, most) = match self.kind {
            ExceptionKind::TimeOff => (LONGEST_TIME_OFF, "two years"),
            ExceptionKind::ExtraHours => (LONGEST_EXTRA, "24 hours"),
        };
        if self.ends_at <= self.starts_at {
            check.require(false, "/ends_at", "out_of_order", "must be after starts_at");
        } else {
            check.require(self.ends_at > now, "/ends_at", "in_the_past", "must be later than now");
            let short = self.ends_at.since(self.starts_at) <= longest;
            check.require(short, "/ends_at", "out_of_range", format!("must be at most {most} after starts_at"));
        }
        if self.kind == ExceptionKind::ExtraHours {
            check.require(self.location_id.is_some(), "/location_id", "required", "extra hours are at one location");
        }
        check.done()?;
        Ok(reason.unwrap_or_default())
    }
}

/// Which exceptions to list.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExceptionParams {
    /// Those that end after this instant; now unless given.
    from: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List a practitioner's exceptions
///
/// For staff: time off and extra hours that are not over, earliest first. Doctors do not read each other's reasons.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "list_exceptions",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner"), ExceptionParams),
    responses((status = 200, description = "The exceptions", body = ExceptionPage)),
)]
#[get("/v1/practitioners/{id}/exceptions")]
pub async fn list_exceptions(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<PractitionerId>,
    Params(params): Params<ExceptionParams>,
) -> Result<HttpResponse> {
    actor.require(Action::AvailabilityRead)?;
    let (limit, after) = (Limit::new(params.limit)?, Cursor::read(params.cursor.as_deref(), LIST)?);
    let from = params.from.unwrap_or_else(|| env.now());
    let rows = env
        .db
        .read(move |conn| {
            store::practitioner(conn, id)?;
            list(conn, id, from, after, limit)
        })
        .await?;
    let (rows, next_cursor) = limit.page(rows, LIST, |row| (row.starts_at, row.id.0));
    let items = rows.iter().map(|row| ExceptionDto::new(&env, &actor, row)).collect::<Result<_>>()?;
    Ok(HttpResponse::Ok().json(ExceptionPage { items, next_cursor }))
}

fn list(
    conn: &mut Conn,
    practitioner: PractitionerId,
    from: Timestamp,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<Exception>> {
    use practitioner_exceptions::dsl;
    let mut query = practitioner_exceptions::table
        .filter(dsl::practitioner_id.eq(practitioner))
        .filter(dsl::ends_at.gt(from))
        .select(Exception::as_select())
        .into_boxed();
    if let Some(Cursor { at, id }) = after {
        query = query.filter(dsl::starts_at.gt(at).or(dsl::starts_at.eq(at).and(dsl::id.gt(ExceptionId(id)))));
    }
    Ok(query.order((dsl::starts_at, dsl::id)).limit(limit.query()).load(conn)?)
}

/// The time off that overlaps a span of time, earliest first.
///
/// # Errors
/// The database's.
pub fn time_off(
    conn: &mut Conn,
    practitioner: PractitionerId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Exception>> {
    use practitioner_exceptions::dsl;
    Ok(practitioner_exceptions::table
        .filter(dsl::practitioner_id.eq(practitioner))
        .filter(dsl::kind.eq(ExceptionKind::TimeOff))
        .filter(dsl::starts_at.lt(to))
        .filter(dsl::ends_at.gt(from))
        .order((dsl::starts_at, dsl::id))
        .select(Exception::as_select())
        .load(conn)?)
}

/// Enter time off or extra hours
///
/// Time off is for the front desk, administrators, and the doctor; extra hours are for administrators and the doctor. The
/// slots follow at once: every free slot that time off touches goes, and a hold on one ends; extra hours open what the
/// weekly hours leave shut. Time off and closures win over extra hours. Booked appointments stand as they were: those that
/// are hit, also those that something else hit before, are in the answer, and under `needs_attention` until they are moved
/// or cancelled.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "create_exception",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255),
    ),
    request_body = ExceptionInput,
    responses(
        (status = 201, description = "The exception, and whom it hits", body = ExceptionAdded),
        (status = 409, description = "`request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/practitioners/{id}/exceptions")]
pub async fn create_exception(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<PractitionerId>,
    key: IdempotencyKey,
    body: Body<ExceptionInput>,
) -> Result<HttpResponse> {
    let reach = actor.require(action(body.kind))?;
    let reason = body.check(env.now())?;
    if reach == Reach::Own && actor.practitioner_id != Some(id) {
        return Err(Error::NotFound);
    }
    let operation = format!("create_exception {id}");
    let request = Request::of(&actor, operation, key, &body.raw);
    let (within, input) = (env.clone(), body.value.clone());
    idempotency::run(&env, request, move |tx| {
        let practitioner = store::lock_practitioner(tx, id)?;
        let exception = enter(tx, &within, &actor, &practitioner, &input, &reason)?;
        let hit = publishing::publish(tx, &within, &practitioner, exception.absence().as_slice())?;
        let affected = affected::load(tx, &actor.trail, &hit)?;
        audit::record(tx, &within, &actor.trail, exception.id.0)?;
        let exception = ExceptionDto::new(&within, &actor, &exception)?;
        Answer::created(format!("/v1/exceptions/{}", exception.id), 1, &ExceptionAdded { exception, affected })
    })
    .await
}

/// What the actor must be allowed to do.
fn action(kind: ExceptionKind) -> Action {
    match kind {
        ExceptionKind::TimeOff => Action::TimeOffWrite,
        ExceptionKind::ExtraHours => Action::AvailabilityWrite,
    }
}

/// Keeps an exception of a practitioner, whose row is locked; publish the plan afterwards.
///
/// # Errors
/// `Invalid` where it does not fit the practitioner's locations and hours.
pub fn enter(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    practitioner: &Practitioner,
    input: &ExceptionInput,
    reason: &String,
) -> Result<Exception> {
    check_place(tx, practitioner, input)?;
    let id = env.new_id();
    let exception = Exception {
        id,
        practitioner_id: practitioner.id,
        kind: input.kind,
        starts_at: input.starts_at,
        ends_at: input.ends_at,
        location_id: input.location_id,
        reason: env.sealer.seal(reason_place(id), reason)?,
        created_by: actor.user_id,
        created_at: env.now(),
    };
    diesel::insert_into(practitioner_exceptions::table).values(&exception).execute(tx)?;
    Ok(exception)
}

/// The location must be one of the practitioner's; extra hours must have room for a slot, and the practitioner must not
/// be at another location meanwhile.
fn check_place(tx: &mut Conn, practitioner: &Practitioner, input: &ExceptionInput) -> Result<()> {
    let Some(location_id) = input.location_id else { return Ok(()) };
    let plan = plan_store::plan(tx, practitioner, input.starts_at)?;
    let Some(place) = plan.places.iter().find(|place| place.location_id == location_id) else {
        let why = "must be one of the practitioner's locations";
        return Err(Error::invalid("/location_id", "unknown_reference", why));
    };
    if input.kind == ExceptionKind::TimeOff {
        return Ok(());
    }
    let extra = Stretch { starts_at: input.starts_at, ends_at: input.ends_at, location_id };
    let mut check = Check::new();
    let room = extra.ends_at.since(extra.starts_at) >= SignedDuration::from_mins(place.slot_minutes.into());
    check.require(room, "/ends_at", "out_of_range", "must leave room for a slot of the location");
    let elsewhere = plan.open_elsewhere(&extra);
    check.require(!elsewhere, "/starts_at", "overlap", "the practitioner is at another location at that time");
    check.done()
}

/// Take time off or extra hours back
///
/// For whoever may enter them. The slots follow at once: the ones that time off took away come back, as new slots; the
/// free ones of extra hours go, and what is booked in them is in the answer and under `needs_attention`.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "delete_exception",
    security(("bearer" = [])),
    params(("id" = ExceptionId, Path, description = "The exception")),
    responses((status = 200, description = "It is gone; whom that hits", body = AffectedAppointments)),
)]
#[delete("/v1/exceptions/{id}")]
pub async fn delete_exception(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<ExceptionId>,
) -> Result<HttpResponse> {
    actor.require(Action::TimeOffWrite)?;
    let within = env.clone();
    let affected = env.db.write(move |tx| remove(tx, &within, &actor, id)).await?;
    Ok(HttpResponse::Ok().json(affected))
}

fn remove(tx: &mut Conn, env: &Env, actor: &Actor, id: ExceptionId) -> Result<AffectedAppointments> {
    let rows = practitioner_exceptions::table.find(id);
    let exception: Exception = rows.select(Exception::as_select()).first(tx)?;
    let reach = actor.require(action(exception.kind))?;
    if reach == Reach::Own && actor.practitioner_id != Some(exception.practitioner_id) {
        return Err(Error::NotFound);
    }
    let practitioner = store::lock_practitioner(tx, exception.practitioner_id)?;
    if diesel::delete(rows).execute(tx)? == 0 {
        return Err(Error::NotFound);
    }
    let hit = publishing::publish(tx, env, &practitioner, &[])?;
    let affected = affected::load(tx, &actor.trail, &hit)?;
    audit::record(tx, env, &actor.trail, id.0)?;
    Ok(affected)
}
