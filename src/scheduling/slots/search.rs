//! The search for free slots.

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::free::{SlotQuery, SlotView, WINDOW, free};
use super::locking;
use super::offering::Offering;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Principal};
use crate::db::Conn;
use crate::error::{Check, Conflict, Error, Result};
use crate::http::paging::PageParams;
use crate::http::{Params, response};
use crate::ids::{LocationId, PractitionerId, SlotId, VisitTypeId};

/// The number of slots in `next_free` of a problem. A person compares a few; a search shows more.
const ALTERNATIVES: i64 = 5;
const LIST: &str = "slots";

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

/// Finds the slots to offer in place of one that is taken: those of the same practitioner first, then those of others.
fn next_free(conn: &mut Conn, visit: &Offering, query: &SlotQuery, limit: i64) -> Result<Vec<SlotView>> {
    let mut slots = free(conn, visit, query, limit)?;
    let missing = limit - i64::try_from(slots.len()).unwrap_or(limit);
    if let Some(first_choice) = query.practitioner_id
        && missing > 0
    {
        let with_others = SlotQuery { practitioner_id: None, ..query.clone() };
        let others = free(conn, visit, &with_others, limit)?;
        let others = others.into_iter().filter(|slot| slot.practitioner_id != first_choice);
        slots.extend(others.take(usize::try_from(missing).unwrap_or(0)));
    }
    Ok(slots)
}

/// Adds the member `next_free` to the conflicts `slot_taken` and `hold_lapsed`: the next slots in which the visit fits. Searches after
/// the rejected transaction, so that no other request waits for it. If the slot does not exist any more, its practitioner and start
/// are unknown, and the slots of all practitioners from now on are offered. Returns other errors unchanged.
pub async fn with_next_free(
    context: &Context<impl Principal>,
    error: Error,
    slot: SlotId,
    visit: VisitTypeId,
) -> Error {
    let Error::Conflict(mut conflict) = error else { return error };
    if matches!(conflict.code, Conflict::SLOT_TAKEN | Conflict::HOLD_LAPSED) {
        let slots = context.read(move |tx| {
            let (wanted, visit) = (locking::find(tx.conn, slot)?, Offering::find(tx.conn, visit)?);
            let from = wanted.as_ref().map_or(tx.now, |slot| slot.starts_at);
            let query = SlotQuery::new(&visit, from, tx.now, tx.actor.is_staff());
            let practitioner_id = wanted.map(|slot| slot.practitioner_id);
            next_free(tx.conn, &visit, &SlotQuery { practitioner_id, ..query }, ALTERNATIVES)
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
            let visit = Offering::find(tx.conn, params.visit_type_id).map_err(|error| match error {
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
                page.cut(free(tx.conn, &visit, &query, page.rows())?, |slot| (slot.starts_at, slot.id.0));
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
