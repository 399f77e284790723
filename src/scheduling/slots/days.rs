//! The calendar of a search: how many starts each local day has.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use actix_web::{HttpResponse, get};
use jiff::ToSpan;
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::{StartFilter, Starts, span_of};
use super::free::{SlotQuery, count_by_date, free};
use super::offering::Offering;
use crate::accounts::caller::MaybeSignedIn;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context};
use crate::db::Conn;
use crate::db::types::Date;
use crate::error::{Check, FieldCode, Result};
use crate::http::{Params, response};

/// The largest number of days of a request: two months.
const MAX_DAYS: i32 = 62;
/// The number of days in which the next day with slots is searched: more than are ever published ahead.
const SEARCHED_AHEAD: i32 = 800;

/// A day with the number of its times.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"date": "2026-03-09", "slots": 12}))]
pub struct SlotDay {
    /// The day, by the calendar of each location.
    pub date: Date,
    /// The number of slots in which the visit can start, as `GET /v1/slots` lists them.
    #[schema(minimum = 0)]
    pub slots: u32,
}

/// The days of a calendar.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "items": [{"date": "2026-03-09", "slots": 12}, {"date": "2026-03-10", "slots": 0}],
    "next_cursor": null, "next_day_with_slots": null
}))]
pub struct SlotDayPage {
    /// Every day of the request, also without slots.
    pub items: Vec<SlotDay>,
    /// Always null: the list has one page.
    pub next_cursor: Option<String>,
    /// The first later day with slots, if no day of the request has any. Null if there is none.
    pub next_day_with_slots: Option<Date>,
}

/// The days of a request.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DayParams {
    /// The first day.
    #[param(value_type = String, format = Date, example = "2026-03-01")]
    from_date: Date,
    /// The last day, inclusive. At most 61 days after `from_date`.
    #[param(value_type = String, format = Date, example = "2026-03-31")]
    to_date: Date,
}

impl DayParams {
    fn parse(&self, check: &mut Check) -> RangeInclusive<Day> {
        let (first, last) = (self.from_date.0, self.to_date.0);
        check.require(first <= last, "?to_date", FieldCode::OutOfRange, "must not be before from_date");
        let latest = first.saturating_add((MAX_DAYS - 1).days());
        check.require(last <= latest, "?to_date", FieldCode::OutOfRange, "must be at most 61 days after from_date");
        first..=last
    }
}

/// Counts the slots of each day.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(
    context: &Context<Anonymous>,
    actor: Option<Actor>,
    filter: StartFilter,
    days: DayParams,
) -> Result<SlotDayPage> {
    let by_staff = actor.is_some_and(|actor| actor.role.is_staff());
    let mut check = Check::new();
    let (starts, dates) = (filter.parse(&mut check), days.parse(&mut check));
    check.done()?;
    context
        .read(move |tx| {
            let visit = starts.offering(tx)?;
            let calendar = Calendar { visit: &visit, starts: &starts, now: tx.now, by_staff };
            let counts = calendar.count(tx.conn, dates.clone())?;
            let next = if counts.is_empty() { calendar.next_day(tx.conn, *dates.end())? } else { None };
            let days = dates.start().series(1.day()).take_while(|day| day <= dates.end());
            let item = |day| SlotDay { date: Date(day), slots: counts.get(&day).copied().unwrap_or_default() };
            Ok(SlotDayPage { items: days.map(item).collect(), next_cursor: None, next_day_with_slots: next.map(Date) })
        })
        .await
}

/// The starts that a caller may book.
struct Calendar<'a> {
    visit: &'a Offering,
    starts: &'a Starts,
    now: Timestamp,
    by_staff: bool,
}

impl Calendar<'_> {
    /// The search for starts on these dates; none if there can be no start.
    fn query(&self, dates: RangeInclusive<Day>) -> Option<SlotQuery> {
        let span = span_of(self.visit, &dates).filter(|_| self.visit.active)?;
        let mut starts = self.starts.clone();
        starts.local.dates = Some(dates);
        Some(starts.query(self.visit, span, self.now, self.by_staff))
    }

    /// Counts the starts of each date that has any.
    fn count(&self, conn: &mut Conn, dates: RangeInclusive<Day>) -> Result<BTreeMap<Day, u32>> {
        match self.query(dates) {
            Some(query) => count_by_date(conn, self.visit, &query),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Finds the first date after `last` that has starts.
    fn next_day(&self, conn: &mut Conn, last: Day) -> Result<Option<Day>> {
        let (Ok(first), Ok(end)) = (last.tomorrow(), last.checked_add(SEARCHED_AHEAD.days())) else { return Ok(None) };
        let Some(query) = self.query(first..=end) else { return Ok(None) };
        let Some(slot) = free(conn, self.visit, &query, 1)?.into_iter().next() else { return Ok(None) };
        let date = slot.starts_at.in_zone(self.visit.zones.get(&slot.location_id).unwrap_or(&TimeZone::UTC)).date();
        // In another time zone, a later start can have an earlier date.
        Ok(self.count(conn, first..=date)?.into_keys().next())
    }
}

/// Count the free slots of each day
///
/// Returns for each local day how many slots `GET /v1/slots` lists with the same filters: those in which the whole visit fits. Days without
/// slots are listed with 0, so a client can draw a month from one response. If no day has slots, `next_day_with_slots` is the first later
/// day that has some. No session is needed; an access token that is sent must be valid.
#[utoipa::path(
    tag = "slots",
    operation_id = "list_slot_days",
    params(StartFilter, DayParams),
    security((), ("bearer" = [])),
    responses((status = 200, description = "The days", body = SlotDayPage)),
)]
#[get("/v1/slots/days")]
pub(in crate::scheduling) async fn list_slot_days(
    context: Context<Anonymous>,
    MaybeSignedIn(actor): MaybeSignedIn,
    Params(filter): Params<StartFilter>,
    Params(days): Params<DayParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, actor, filter, days).await?))
}
