//! The search for free times.

use actix_web::{HttpResponse, get, web};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::model::VisitType;
use super::store;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::schema::{locations, practitioner_visit_types, practitioners, slots};
use crate::db::verbatim::Verbatim;
use crate::db::{Conn, per_backend, types};
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::{Cursor, Limit, Params};
use crate::ids::{LocationId, PractitionerId, SlotId, VisitTypeId};

/// The widest window of a search.
const WINDOW: SignedDuration = SignedDuration::from_hours(31 * 24);
/// How many free times a `slot_taken` problem offers instead.
const ALTERNATIVES: i64 = 5;
const LIST: &str = "slots";

/// A time at which a visit can start.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
}))]
pub struct SlotDto {
    /// The slot with which the visit starts; book or hold this one.
    pub id: SlotId,
    /// The doctor.
    pub practitioner_id: PractitionerId,
    /// The place.
    pub location_id: LocationId,
    /// When the visit would start.
    pub starts_at: Timestamp,
    /// When the visit would end.
    pub ends_at: Timestamp,
    /// The IANA time zone of the place.
    pub time_zone: String,
}

/// Free times, earliest first.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
}], "next_cursor": null}))]
pub struct SlotPage {
    /// The times.
    pub items: Vec<SlotDto>,
    /// Give it as `cursor` for what follows; `null` at the end.
    pub next_cursor: Option<String>,
}

/// What is searched for.
#[derive(Debug, Clone)]
pub struct SlotQuery {
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// How long it takes.
    pub duration_minutes: i32,
    /// Only with this doctor.
    pub practitioner_id: Option<PractitionerId>,
    /// Only at this place.
    pub location_id: Option<LocationId>,
    /// The first start.
    pub from: Timestamp,
    /// The end of the window, which is no start any more.
    pub to: Timestamp,
    /// The present: by it holds lapse.
    pub now: Timestamp,
    /// Only what comes after this one.
    pub after: Option<Cursor>,
}

impl SlotQuery {
    /// Everything from `from` on, as far as a search may look, for one who asks `now`. Starts in the past, and for
    /// patients those within the visit type's booking notice, are left out.
    pub fn new(visit: &VisitType, from: Timestamp, now: Timestamp, by_staff: bool) -> Self {
        // A visit cannot start at the very instant of the search.
        let first = now.plus(SignedDuration::from_micros(1));
        let first = if by_staff { first } else { first.max(visit.earliest_for_patients(now)) };
        let from = from.max(first);
        Self {
            visit_type_id: visit.id,
            duration_minutes: visit.duration_minutes,
            practitioner_id: None,
            location_id: None,
            from,
            to: from.plus(WINDOW),
            now,
            after: None,
        }
    }
}

/// Finds the starts at which the whole visit fits, earliest first: one query on either engine.
///
/// The candidates come in order from a partial index of the free slots; for each, the free slots of the same doctor and
/// place inside the visit are added up. Slots of one doctor never overlap, so they fill the visit without a gap exactly if
/// they sum up to its length. A look at the last of them comes first, since most candidates fail there; the free slots of
/// one place are all of one length. The `CASE` also keeps PostgreSQL from taking the sum for a rare match, for which it
/// would give up the index's order.
///
/// # Errors
/// The database's.
pub fn free(tx: &mut Conn, query: &SlotQuery, limit: i64) -> Result<Vec<SlotDto>> {
    let (visit, practitioner) = match tx {
        // The plus keeps SQLite from going doctor by doctor, which it would have to sort.
        Conn::Sqlite(_) => (format!("{}", i64::from(query.duration_minutes) * 60_000_000), "+slots.practitioner_id"),
        Conn::Postgres(_) => (format!("INTERVAL '{} minutes'", query.duration_minutes), "slots.practitioner_id"),
    };
    let practitioner = Verbatim::<types::Uid>::new(practitioner);
    let fits = Verbatim::<Bool>::new(format!(
        "CASE WHEN NOT EXISTS (SELECT 1 FROM slots AS last WHERE last.practitioner_id = slots.practitioner_id \
         AND last.starts_at = slots.starts_at + {visit} - (slots.ends_at - slots.starts_at) \
         AND last.appointment_id IS NULL AND last.blocked_reason IS NULL) THEN FALSE \
         WHEN (SELECT SUM(n.ends_at - n.starts_at) FROM slots AS n WHERE n.practitioner_id = slots.practitioner_id \
         AND n.starts_at >= slots.starts_at AND n.starts_at < slots.starts_at + {visit} \
         AND n.ends_at <= slots.starts_at + {visit} AND n.location_id = slots.location_id \
         AND n.appointment_id IS NULL AND n.blocked_reason IS NULL AND (n.held_until IS NULL OR n.held_until <= "
    ))
    .bind(query.now)
    .sql(format!(")) = {visit} THEN TRUE ELSE FALSE END"));
    // For each engine by itself: what is built for both at once is built three times for every run.
    let found: Vec<(SlotId, PractitionerId, LocationId, Timestamp, String)> = per_backend!(tx, tx => {
    let offering = practitioner_visit_types::table
        .inner_join(practitioners::table.on(practitioners::id.eq(practitioner_visit_types::practitioner_id)))
        .filter(practitioner_visit_types::visit_type_id.eq(query.visit_type_id))
        .filter(practitioners::active.eq(true))
        .select(practitioner_visit_types::practitioner_id);
    let mut candidates = slots::table
        .inner_join(locations::table.on(locations::id.eq(slots::location_id)))
        .select((slots::id, slots::practitioner_id, slots::location_id, slots::starts_at, locations::time_zone))
        .filter(slots::appointment_id.is_null())
        .filter(slots::blocked_reason.is_null())
        .filter(slots::starts_at.ge(query.after.map_or(query.from, |after| after.at.max(query.from))))
        .filter(slots::starts_at.lt(query.to))
        .filter(slots::held_until.is_null().or(slots::held_until.le(query.now)))
        .filter(practitioner.eq_any(offering))
        .filter(fits)
        .into_boxed();
    if let Some(Cursor { at, id }) = query.after {
        candidates = candidates.filter(slots::starts_at.gt(at).or(slots::id.gt(SlotId(id))));
    }
    if let Some(practitioner) = query.practitioner_id {
        candidates = candidates.filter(slots::practitioner_id.eq(practitioner));
    }
    if let Some(location) = query.location_id {
        candidates = candidates.filter(slots::location_id.eq(location));
    }
    candidates.order((slots::starts_at, slots::id)).limit(limit).load(tx)
    })?;
    let duration = SignedDuration::from_mins(query.duration_minutes.into());
    let item = |(id, practitioner_id, location_id, starts_at, time_zone): (_, _, _, Timestamp, _)| SlotDto {
        id,
        practitioner_id,
        location_id,
        starts_at,
        ends_at: starts_at.plus(duration),
        time_zone,
    };
    Ok(found.into_iter().map(item).collect())
}

/// The free times to offer in place of one that is taken: with the same doctor as far as there are any, then with others.
///
/// # Errors
/// The database's.
pub fn next_free(tx: &mut Conn, query: &SlotQuery, limit: i64) -> Result<Vec<SlotDto>> {
    let mut times = free(tx, query, limit)?;
    let missing = limit - i64::try_from(times.len()).unwrap_or(limit);
    if let Some(first_choice) = query.practitioner_id
        && missing > 0
    {
        let anybody = SlotQuery { practitioner_id: None, ..query.clone() };
        let others = free(tx, &anybody, limit)?;
        let others = others.into_iter().filter(|time| time.practitioner_id != first_choice);
        times.extend(others.take(usize::try_from(missing).unwrap_or(0)));
    }
    Ok(times)
}

/// Adds to the conflicts `slot_taken` and `hold_lapsed` the next free times as `next_free`: a look of its own, after the
/// transaction that was refused, so that nobody waits for it. Of a slot that is not there any more nobody knows whose it was
/// and when: then any are offered, from now on. Other errors stay as they are.
pub async fn with_next_free(env: &Env, error: Error, slot: SlotId, visit: VisitTypeId, by_staff: bool) -> Error {
    let Error::Conflict(mut conflict) = error else { return error };
    if matches!(conflict.code, "slot_taken" | "hold_lapsed") {
        let now = env.now();
        let times = env.db.read(move |conn| {
            let (wanted, visit) = (super::slots::find(conn, slot)?, store::visit_type(conn, visit)?);
            let query = SlotQuery::new(&visit, wanted.as_ref().map_or(now, |slot| slot.starts_at), now, by_staff);
            let practitioner_id = wanted.map(|slot| slot.practitioner_id);
            next_free(conn, &SlotQuery { practitioner_id, ..query }, ALTERNATIVES)
        });
        // The refusal counts; what could be had instead is a courtesy.
        conflict.members.insert("next_free".into(), serde_json::json!(times.await.unwrap_or_default()));
    }
    Error::Conflict(conflict)
}

/// What to search for.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlotParams {
    /// The kind of visit that is to fit.
    visit_type_id: VisitTypeId,
    /// Only with this doctor.
    practitioner_id: Option<PractitionerId>,
    /// Only at this place.
    location_id: Option<LocationId>,
    /// The first start, RFC 3339; now unless given, and never before now.
    from: Option<Timestamp>,
    /// The end of the window, at most and by default 31 days after `from`.
    to: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// Search free times
///
/// The starts at which the whole visit fits, across doctors and places, earliest first. What somebody holds, staff have
/// blocked, or lies in the past is left out; for everybody but the staff also what starts within the visit type's
/// `booking_notice_minutes`.
#[utoipa::path(
    tag = "slots",
    operation_id = "list_slots",
    params(SlotParams),
    responses((status = 200, description = "The free times", body = SlotPage)),
)]
#[get("/v1/slots")]
pub async fn list_slots(
    env: web::Data<Env>,
    actor: Result<Actor>,
    Params(params): Params<SlotParams>,
) -> Result<HttpResponse> {
    let by_staff = actor.is_ok_and(|actor| actor.role.is_staff());
    let (limit, after) = (Limit::new(params.limit)?, Cursor::read(params.cursor.as_deref(), LIST)?);
    let now = env.now();
    let from = params.from.map_or(now, |from| from.max(now));
    check_window(&params, now)?;
    let page = env
        .db
        .read(move |conn| {
            let visit = store::visit_type(conn, params.visit_type_id).map_err(|error| match error {
                Error::NotFound => Error::invalid("?visit_type_id", "unknown_reference", "there is no such visit type"),
                other => other,
            })?;
            if !visit.active {
                return Ok((Vec::new(), None));
            }
            let query = SlotQuery::new(&visit, from, now, by_staff);
            let query = SlotQuery {
                practitioner_id: params.practitioner_id,
                location_id: params.location_id,
                to: params.to.unwrap_or_else(|| from.plus(WINDOW)),
                after,
                ..query
            };
            Ok(limit.page(free(conn, &query, limit.query())?, LIST, |slot| (slot.starts_at, slot.id.0)))
        })
        .await?;
    Ok(HttpResponse::Ok().json(SlotPage { items: page.0, next_cursor: page.1 }))
}

fn check_window(params: &SlotParams, now: Timestamp) -> Result<()> {
    let Some(to) = params.to else { return Ok(()) };
    let mut check = Check::new();
    let from = params.from.unwrap_or(now);
    check.require(to > from, "?to", "out_of_range", "must be after from");
    check.require(to.since(from) <= WINDOW, "?to", "out_of_range", "must be at most 31 days after from");
    check.done()
}
