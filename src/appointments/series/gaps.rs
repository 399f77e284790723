//! The days between the visits of a series.
//!
//! A gap counts local days: from the date of the visit before, at its location, to the date of the visit, at its own location. The visit
//! before is the last one in the series that is not cancelled.

use diesel::prelude::*;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::schema::{appointment_series_visits, appointments, locations};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{AppointmentId, AppointmentSeriesId, LocationId};
use crate::scheduling::setup::location;

/// The largest gap, in days.
pub const MAX_DAYS: i32 = 730;

/// How many days must lie between a visit and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub min_days: i32,
    /// None if there is no limit.
    pub max_days: Option<i32>,
}

/// The start of a visit.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    pub at: Timestamp,
    /// The date at the location.
    pub date: Date,
}

impl Start {
    pub fn new(at: Timestamp, zone: &TimeZone) -> Self {
        Self { at, date: at.in_zone(zone).date() }
    }

    /// The local days from an earlier visit to this one.
    pub fn days_since(self, earlier: Self) -> i32 {
        earlier.date.until(self.date).map_or(i32::MAX, |span| span.get_days())
    }
}

impl Gap {
    /// Whether a visit may follow another one.
    pub fn allows(self, earlier: Start, later: Start) -> bool {
        let days = later.days_since(earlier);
        earlier.at < later.at && self.min_days <= days && self.max_days.is_none_or(|most| days <= most)
    }
}

/// A visit of a series, as far as its gaps depend on it.
#[derive(Debug, Clone)]
pub struct Visit {
    pub appointment_id: AppointmentId,
    pub gap: Gap,
    pub start: Start,
    pub is_cancelled: bool,
}

/// A gap that a series does not keep (any more).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "code": "series_gap", "appointment_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "gap_days": 3, "min_gap_days": 7, "max_gap_days": 14
}))]
pub struct AppointmentWarning {
    /// What is wrong: `series_gap`.
    #[schema(examples("series_gap"))]
    pub code: String,
    /// The later visit of the two.
    pub appointment_id: AppointmentId,
    /// The local days since the visit before it that is not cancelled.
    pub gap_days: i32,
    /// The least number of days.
    #[schema(minimum = 0)]
    pub min_gap_days: i32,
    /// The largest number of days; null if there is no limit.
    #[schema(minimum = 0)]
    pub max_gap_days: Option<i32>,
}

/// The gaps between visits in order that are not kept, each with the earlier visit.
fn broken(visits: &[Visit]) -> Vec<(AppointmentId, AppointmentWarning)> {
    let live: Vec<&Visit> = visits.iter().filter(|visit| !visit.is_cancelled).collect();
    let pairs = live.windows(2).filter_map(|pair| match pair {
        [earlier, later] if !later.gap.allows(earlier.start, later.start) => Some((earlier, later)),
        _ => None,
    });
    let warning = |(earlier, later): (&&Visit, &&Visit)| {
        let warning = AppointmentWarning {
            code: "series_gap".to_owned(),
            appointment_id: later.appointment_id,
            gap_days: later.start.days_since(earlier.start),
            min_gap_days: later.gap.min_days,
            max_gap_days: later.gap.max_days,
        };
        (earlier.appointment_id, warning)
    };
    pairs.map(warning).collect()
}

/// Loads the visits of a series in order.
pub fn load(tx: &mut Tx<impl Principal>, series: AppointmentSeriesId) -> Result<Vec<Visit>> {
    type Row = (AppointmentId, i32, Option<i32>, Timestamp, String, AppointmentStatus);
    let rows: Vec<Row> = appointment_series_visits::table
        .inner_join(appointments::table.on(appointments::id.eq(appointment_series_visits::appointment_id)))
        .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
        .filter(appointment_series_visits::series_id.eq(series))
        .order(appointment_series_visits::position)
        .select((
            appointments::id,
            appointment_series_visits::min_gap_days,
            appointment_series_visits::max_gap_days,
            appointments::starts_at,
            locations::time_zone,
            appointments::status,
        ))
        .load(tx.conn)?;
    let zones = &tx.env.config.zones;
    let visit = |(appointment_id, min_days, max_days, starts_at, time_zone, status): Row| {
        let start = Start::new(starts_at, &zones.stored(&time_zone)?);
        let is_cancelled = status == AppointmentStatus::Cancelled;
        Ok(Visit { appointment_id, gap: Gap { min_days, max_days }, start, is_cancelled })
    };
    rows.into_iter().map(visit).collect()
}

/// Returns the gaps that a series does not keep.
pub fn warnings(tx: &mut Tx<impl Principal>, series: AppointmentSeriesId) -> Result<Vec<AppointmentWarning>> {
    Ok(broken(&load(tx, series)?).into_iter().map(|(_, warning)| warning).collect())
}

/// Requires that a visit keeps its gaps at a new time. The caller has locked the patient, so that no other visit of the series moves.
///
/// # Errors
/// The conflict `series_gap`, which names the gap.
pub fn require_kept(
    tx: &mut Tx<impl Principal>,
    series: AppointmentSeriesId,
    moving: AppointmentId,
    (starts_at, location_id): (Timestamp, LocationId),
) -> Result<()> {
    let mut visits = load(tx, series)?;
    let start = Start::new(starts_at, &location::find(tx.conn, location_id)?.zone(&tx.env.config.zones)?);
    for visit in visits.iter_mut().filter(|visit| visit.appointment_id == moving) {
        visit.start = start;
    }
    let of_visit = |(earlier, warning): &(AppointmentId, AppointmentWarning)| {
        *earlier == moving || warning.appointment_id == moving
    };
    match broken(&visits).into_iter().find(of_visit) {
        Some((_, broken)) => {
            let gap = Gap { min_days: broken.min_gap_days, max_days: broken.max_gap_days };
            Err(conflict("/slot_id", broken.gap_days, gap, Some(broken.appointment_id)))
        }
        None => Ok(()),
    }
}

/// Returns the conflict for a gap that a visit would not keep. `later` is the later visit of the two, if it is booked.
pub fn conflict(pointer: &str, gap_days: i32, gap: Gap, later: Option<AppointmentId>) -> Error {
    let Gap { min_days, max_days } = gap;
    let allowed = max_days.map_or_else(|| format!("at least {min_days}"), |most| format!("from {min_days} to {most}"));
    let detail = if gap_days < 0 {
        "Two visits of the series would change their order. Choose another time.".to_owned()
    } else {
        format!(
            "There would be {gap_days} days between two visits of the series; there must be {allowed}. Choose another time."
        )
    };
    let mut members = serde_json::Map::new();
    members.insert("pointer".into(), pointer.into());
    members.insert("gap_days".into(), gap_days.into());
    members.insert("min_gap_days".into(), min_days.into());
    members.insert("max_gap_days".into(), max_days.into());
    members.extend(later.map(|later| ("appointment_id".to_owned(), later.to_string().into())));
    Error::conflict_with(ProblemCode::SeriesGap, detail, members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(at: &str, zone: &str) -> Start {
        Start::new(at.parse().expect("an instant"), &crate::zones::Zones::bundled().get(zone).expect("a zone"))
    }

    fn visit(number: u128, at: &str, gap: (i32, Option<i32>), is_cancelled: bool) -> Visit {
        Visit {
            appointment_id: uuid::Uuid::from_u128(number).into(),
            gap: Gap { min_days: gap.0, max_days: gap.1 },
            start: start(at, "America/New_York"),
            is_cancelled,
        }
    }

    #[test]
    fn a_gap_counts_local_days_of_each_location() {
        // 23:30 on Monday and 00:30 on Tuesday in New York; the same instant is Tuesday in Auckland.
        let (late, next) =
            (start("2026-03-03T04:30:00Z", "America/New_York"), start("2026-03-03T05:30:00Z", "America/New_York"));
        assert_eq!(next.days_since(late), 1);
        assert_eq!(start("2026-03-03T05:30:00Z", "Pacific/Auckland").days_since(late), 1);
        let gap = |min_days, max_days| Gap { min_days, max_days };
        assert!(gap(1, Some(1)).allows(late, next));
        assert!(!gap(0, Some(0)).allows(late, next));
        assert!(!gap(2, None).allows(late, next));
        assert!(!gap(0, None).allows(next, late), "in order");
    }

    #[test]
    fn a_cancelled_visit_has_no_gap_and_the_next_counts_from_the_one_before() {
        let visits = |second_is_cancelled| {
            [
                visit(1, "2026-03-02T15:00:00Z", (0, None), false),
                visit(2, "2026-03-09T15:00:00Z", (7, Some(7)), second_is_cancelled),
                visit(3, "2026-03-16T15:00:00Z", (7, Some(7)), false),
            ]
        };
        assert_eq!(broken(&visits(false)), []);
        let found = broken(&visits(true));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0, found[0].1.gap_days), (uuid::Uuid::from_u128(1).into(), 14));
    }
}
