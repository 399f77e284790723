//! The search for free slots.

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::{StartFilter, span_of};
use super::free::{SlotQuery, SlotView, WINDOW, free};
use super::locking;
use super::offering::Offering;
use crate::accounts::caller::MaybeSignedIn;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Principal};
use crate::db::Conn;
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::input::Several;
use crate::http::paging::PageParams;
use crate::http::{Params, response};
use crate::ids::{SlotId, VisitTypeId};
use crate::scheduling::setup::included::{Include, Included};
use crate::scheduling::setup::visit_type;

/// The number of slots in `next_free` of a problem. A person compares a few; a search shows more.
const ALTERNATIVES: i64 = 5;
const LIST: &str = "slots";

/// A page of slots.
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
    /// The names of the objects that `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub included: Option<Included>,
}

/// Finds the slots to offer in place of one that is taken: those of the same practitioner first, then those of others.
fn next_free(conn: &mut Conn, visit: &Offering, query: &SlotQuery, limit: i64) -> Result<Vec<SlotView>> {
    let mut slots = free(conn, visit, query, limit)?;
    let missing = limit - i64::try_from(slots.len()).unwrap_or(limit);
    if !query.practitioners.is_empty() && missing > 0 {
        let with_others = SlotQuery { practitioners: Vec::new(), ..query.clone() };
        let others = free(conn, visit, &with_others, limit)?;
        let others = others.into_iter().filter(|slot| !query.practitioners.contains(&slot.practitioner_id));
        slots.extend(others.take(usize::try_from(missing).unwrap_or(0)));
    }
    Ok(slots)
}

/// Adds the member `next_free` to the conflicts `slot_taken` and `hold_lapsed`: the next slots in which the visit fits. Searches after
/// the rejected transaction, so that no other request waits for it. If the slot does not exist any more, its practitioner and start
/// are unknown, and the slots of all practitioners from now on are offered. There are none if the caller could not book the visit at all.
/// Returns other errors unchanged.
pub async fn with_next_free(
    context: &Context<impl Principal>,
    error: Error,
    slot: SlotId,
    visit: VisitTypeId,
) -> Error {
    let Error::Conflict(mut conflict) = error else { return error };
    if matches!(conflict.code, ProblemCode::SlotTaken | ProblemCode::HoldLapsed) {
        let slots = context.read(move |tx| {
            let kind = visit_type::find(tx.conn, visit)?;
            if !kind.active || !(kind.online_bookable || tx.actor.is_staff()) {
                return Ok(Vec::new());
            }
            let (wanted, visit) = (locking::find(tx.conn, slot)?, Offering::find(tx.conn, tx.env, visit)?);
            let from = wanted.as_ref().map_or(tx.now, |slot| slot.starts_at);
            let query = SlotQuery::new(&visit, from, tx.now, tx.actor.is_staff());
            let practitioners = wanted.map(|slot| slot.practitioner_id).into_iter().collect();
            next_free(tx.conn, &visit, &SlotQuery { practitioners, ..query }, ALTERNATIVES)
        });
        // If the search fails, the conflict is returned without slots.
        conflict.members.insert("next_free".into(), serde_json::json!(slots.await.unwrap_or_default()));
    }
    Error::Conflict(conflict)
}

/// The period of a search, and what its response includes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SlotParams {
    /// The day of the start, by the location's calendar.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-09")]
    date: Option<Date>,
    /// The earliest start, inclusive. Default: now, or the beginning of `date`. Slots in the past are never returned.
    from: Option<Timestamp>,
    /// The latest start, exclusive. At most 31 days after `from`, which is the default.
    to: Option<Timestamp>,
    /// The objects whose names the response includes.
    #[param(inline, value_type = Option<Vec<Include>>, style = Form, explode = false, max_items = 3)]
    include: Option<Several<Include>>,
}

impl SlotParams {
    fn check(&self, now: Timestamp, check: &mut Check) {
        let Some(to) = self.to else { return };
        let from = self.from.unwrap_or(now);
        check.require(to > from, "?to", FieldCode::OutOfRange, "must be after from");
        check.require(to.since(from) <= WINDOW, "?to", FieldCode::OutOfRange, "must be at most 31 days after from");
    }

    /// Returns the first and the last instant of the search; none if no location has a day of these.
    fn span(&self, visit: &Offering, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let day = match self.date {
            Some(Date(day)) => Some(span_of(visit, &(day..=day))?),
            None => None,
        };
        let from = self.from.or(day.map(|(from, _)| from)).unwrap_or(now).max(now);
        let to = self.to.unwrap_or_else(|| from.plus(WINDOW));
        Some(day.map_or((from, to), |day| (from.max(day.0), to.min(day.1))))
    }
}

/// Searches the slots in which a visit fits.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(
    context: &Context<Anonymous>,
    actor: Option<Actor>,
    filter: StartFilter,
    params: SlotParams,
    page: PageParams,
) -> Result<SlotPage> {
    let by_staff = actor.is_some_and(|actor| actor.role.is_staff());
    let page = page.of(LIST)?;
    let mut check = Check::new();
    let mut starts = filter.parse(&mut check);
    params.check(context.env.now(), &mut check);
    check.done()?;
    starts.local.dates = params.date.map(|Date(day)| day..=day);
    let include = Several::of(params.include.clone());
    context
        .read(move |tx| {
            let visit = starts.offering(tx)?;
            let span = params.span(&visit, tx.now).filter(|_| visit.active);
            let (items, next_cursor) = match span {
                Some(span) => {
                    let query = starts.clone().query(&visit, span, tx.now, by_staff);
                    let query = SlotQuery { after: page.after, ..query };
                    page.cut(free(tx.conn, &visit, &query, page.rows())?, |slot| (slot.starts_at, slot.id.0))
                }
                None => (Vec::new(), None),
            };
            let included = Included::load(tx.conn, &include, || {
                items.iter().map(|slot| (slot.practitioner_id, slot.location_id, starts.visit_type)).collect()
            })?;
            Ok(SlotPage { items, next_cursor, included })
        })
        .await
}

/// Search free slots
///
/// Returns the slots in which the whole visit fits, across practitioners and locations, earliest first. Leaves out slots that are held,
/// blocked or in the past. Callers other than staff do not get slots within the visit type's `booking_notice_minutes`. All filters that are
/// given must match; a filter with several values, separated by commas, accepts each of them. Dates, weekdays and times of day are those
/// of each slot's location. No session is needed; an access token that is sent must be valid.
#[utoipa::path(
    tag = "slots",
    operation_id = "list_slots",
    params(StartFilter, SlotParams, PageParams),
    security((), ("bearer" = [])),
    responses((status = 200, description = "A page", body = SlotPage)),
)]
#[get("/v1/slots")]
pub(in crate::scheduling) async fn list_slots(
    context: Context<Anonymous>,
    MaybeSignedIn(actor): MaybeSignedIn,
    Params(filter): Params<StartFilter>,
    Params(params): Params<SlotParams>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, actor, filter, params, page).await?))
}
