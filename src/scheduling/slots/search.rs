//! The search for free slots.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::locking;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context};
use crate::db::raw_sql::RawSql;
use crate::db::schema::{locations, practitioner_visit_types, practitioners, slots};
use crate::db::{Conn, per_backend, types};
use crate::error::{Check, Error, Result};
use crate::http::paging::{Cursor, PageParams};
use crate::http::{Params, response};
use crate::ids::{LocationId, PractitionerId, SlotId, VisitTypeId};
use crate::scheduling::setup::visit_type::{self, VisitType};

/// The longest time span of a search.
const WINDOW: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The number of slots in `next_free` of a problem.
const ALTERNATIVES: i64 = 5;
const LIST: &str = "slots";

/// A slot in which a visit can start, with the time of the whole visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Slot, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
}))]
pub struct SlotView {
    /// The slot to book or hold.
    pub id: SlotId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The location.
    pub location_id: LocationId,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
}

/// A page of free slots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
}], "next_cursor": null}))]
pub struct SlotPage {
    /// The slots, earliest first.
    pub items: Vec<SlotView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// A checked search.
#[derive(Debug, Clone)]
pub struct SlotQuery {
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The duration of the visit.
    pub duration_minutes: i32,
    /// Only with this practitioner.
    pub practitioner_id: Option<PractitionerId>,
    /// Only at this location.
    pub location_id: Option<LocationId>,
    /// The earliest start, inclusive.
    pub from: Timestamp,
    /// The latest start, exclusive.
    pub to: Timestamp,
    /// The time by which holds lapse.
    pub now: Timestamp,
    /// The last slot of the previous page.
    pub after: Option<Cursor>,
}

impl SlotQuery {
    /// Searches from `from` on for as long as a search can. Leaves out starts in the past, and for patients those within the visit
    /// type's booking notice.
    pub fn new(visit: &VisitType, from: Timestamp, now: Timestamp, by_staff: bool) -> Self {
        // A visit cannot start at the instant of the search itself.
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

/// Finds the slots in which the whole visit fits, earliest first, in one query on either engine.
///
/// The candidates come in order from a partial index of the free slots. For each of them the query adds up the free slots of the same
/// practitioner and location within the visit. Slots of one practitioner never overlap, so they fill the visit without a gap exactly
/// if they add up to its duration. The check of the last slot comes first, because most candidates fail there; the free slots of one
/// location have one length. The `CASE` also stops PostgreSQL from estimating the sum as a rare match, for which it would not use the
/// order of the index.
pub fn free(conn: &mut Conn, query: &SlotQuery, limit: i64) -> Result<Vec<SlotView>> {
    let (visit, practitioner) = match conn {
        // The unary plus stops SQLite from using the per-practitioner index, which would need a sort.
        Conn::Sqlite(_) => (format!("{}", i64::from(query.duration_minutes) * 60_000_000), "+slots.practitioner_id"),
        Conn::Postgres(_) => (format!("INTERVAL '{} minutes'", query.duration_minutes), "slots.practitioner_id"),
    };
    let practitioner = RawSql::<types::Uid>::new(practitioner);
    let fits = RawSql::<Bool>::new(format!(
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
    let found: Vec<(SlotId, PractitionerId, LocationId, Timestamp, String)> = per_backend!(conn, conn => {
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
    candidates.order((slots::starts_at, slots::id)).limit(limit).load(conn)
    })?;
    let duration = SignedDuration::from_mins(query.duration_minutes.into());
    let item = |(id, practitioner_id, location_id, starts_at, time_zone): (_, _, _, Timestamp, _)| SlotView {
        id,
        practitioner_id,
        location_id,
        starts_at,
        ends_at: starts_at.plus(duration),
        time_zone,
    };
    Ok(found.into_iter().map(item).collect())
}

/// Finds the slots to offer in place of one that is taken: those of the same practitioner first, then those of others.
fn next_free(conn: &mut Conn, query: &SlotQuery, limit: i64) -> Result<Vec<SlotView>> {
    let mut slots = free(conn, query, limit)?;
    let missing = limit - i64::try_from(slots.len()).unwrap_or(limit);
    if let Some(first_choice) = query.practitioner_id
        && missing > 0
    {
        let with_others = SlotQuery { practitioner_id: None, ..query.clone() };
        let others = free(conn, &with_others, limit)?;
        let others = others.into_iter().filter(|slot| slot.practitioner_id != first_choice);
        slots.extend(others.take(usize::try_from(missing).unwrap_or(0)));
    }
    Ok(slots)
}

/// Adds the member `next_free` to the conflicts `slot_taken` and `hold_lapsed`: the next slots in which the visit fits. Searches after
/// the rejected transaction, so that no other request waits for it. If the slot does not exist any more, its practitioner and start
/// are unknown, and the slots of all practitioners from now on are offered. Returns other errors unchanged.
pub async fn with_next_free(context: &Context, error: Error, slot: SlotId, visit: VisitTypeId) -> Error {
    let Error::Conflict(mut conflict) = error else { return error };
    if matches!(conflict.code, "slot_taken" | "hold_lapsed") {
        let slots = context.read(move |tx| {
            let (wanted, visit) = (locking::find(tx.conn, slot)?, visit_type::find(tx.conn, visit)?);
            let from = wanted.as_ref().map_or(tx.now, |slot| slot.starts_at);
            let query = SlotQuery::new(&visit, from, tx.now, tx.actor.role.is_staff());
            let practitioner_id = wanted.map(|slot| slot.practitioner_id);
            next_free(tx.conn, &SlotQuery { practitioner_id, ..query }, ALTERNATIVES)
        });
        // If the search fails, the conflict is returned without slots.
        conflict.members.insert("next_free".into(), serde_json::json!(slots.await.unwrap_or_default()));
    }
    Error::Conflict(conflict)
}

/// The filters of a search. All that are given must match.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SlotParams {
    /// The kind of visit.
    visit_type_id: VisitTypeId,
    /// The practitioner.
    practitioner_id: Option<PractitionerId>,
    /// The location.
    location_id: Option<LocationId>,
    /// The earliest start, inclusive. Default: now. Slots in the past are never returned.
    from: Option<Timestamp>,
    /// The latest start, exclusive. At most 31 days after `from`, which is the default.
    to: Option<Timestamp>,
}

impl SlotParams {
    fn check(&self, now: Timestamp) -> Result<()> {
        let Some(to) = self.to else { return Ok(()) };
        let mut check = Check::new();
        let from = self.from.unwrap_or(now);
        check.require(to > from, "?to", "out_of_range", "must be after from");
        check.require(to.since(from) <= WINDOW, "?to", "out_of_range", "must be at most 31 days after from");
        check.done()
    }
}

/// Searches the slots in which a visit fits.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(
    context: &Context<Anonymous>,
    actor: Result<Actor>,
    params: SlotParams,
    page: PageParams,
) -> Result<SlotPage> {
    let by_staff = actor.is_ok_and(|actor| actor.role.is_staff());
    let page = page.of(LIST)?;
    params.check(context.env.now())?;
    context
        .read(move |tx| {
            let visit = visit_type::find(tx.conn, params.visit_type_id).map_err(|error| match error {
                Error::NotFound => Error::invalid("?visit_type_id", "unknown_reference", "there is no such visit type"),
                other => other,
            })?;
            if !visit.active {
                return Ok(SlotPage { items: Vec::new(), next_cursor: None });
            }
            let from = params.from.map_or(tx.now, |from| from.max(tx.now));
            let query = SlotQuery {
                practitioner_id: params.practitioner_id,
                location_id: params.location_id,
                to: params.to.unwrap_or_else(|| from.plus(WINDOW)),
                after: page.after,
                ..SlotQuery::new(&visit, from, tx.now, by_staff)
            };
            let (items, next_cursor) =
                page.cut(free(tx.conn, &query, page.rows())?, |slot| (slot.starts_at, slot.id.0));
            Ok(SlotPage { items, next_cursor })
        })
        .await
}

/// Search free slots
///
/// Returns the slots in which the whole visit fits, across practitioners and locations, earliest first. Leaves out slots that are held,
/// blocked or in the past. Callers other than staff do not get slots within the visit type's `booking_notice_minutes`.
#[utoipa::path(
    tag = "slots",
    operation_id = "list_slots",
    params(SlotParams, PageParams),
    responses((status = 200, description = "A page", body = SlotPage)),
)]
#[get("/v1/slots")]
pub(in crate::scheduling) async fn list_slots(
    context: Context<Anonymous>,
    actor: Result<Actor>,
    Params(params): Params<SlotParams>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, actor, params, page).await?))
}
