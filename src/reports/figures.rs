//! The figures of the utilisation report. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use serde::Serialize;
use utoipa::ToSchema;

use crate::appointment_status::AppointmentStatus;
use crate::appointments::counting::CountedVisit;
use crate::clock::Timestamp;
use crate::db::types;
use crate::ids::LocationId;

/// What was booked, kept and left free in some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "booked_visits": 14, "booked_minutes": 420, "free_minutes": 60, "utilisation_percent": 88, "no_shows": 1,
    "late_cancellations": 1, "overbooked_visits": 0, "waitlist_fills": 1, "median_lead_days": 6.5
}))]
pub struct UtilisationFigures {
    /// The visits that are not cancelled, with those whose patient did not come.
    #[schema(minimum = 0)]
    pub booked_visits: u32,
    /// Their length.
    #[schema(minimum = 0)]
    pub booked_minutes: i64,
    /// The time that is free, or that stayed free. Blocked time is not free.
    #[schema(minimum = 0)]
    pub free_minutes: i64,
    /// The part of the booked time in the booked and free time, in percent; null if there is none.
    #[schema(minimum = 0, maximum = 100)]
    pub utilisation_percent: Option<i64>,
    /// The visits to which the patient did not come.
    #[schema(minimum = 0)]
    pub no_shows: u32,
    /// The visits that were cancelled after their `cancellable_until`.
    #[schema(minimum = 0)]
    pub late_cancellations: u32,
    /// The booked visits that staff placed into the time of another one, and that still share it.
    #[schema(minimum = 0)]
    pub overbooked_visits: u32,
    /// The times that patients took from an offer of the waitlist.
    #[schema(minimum = 0)]
    pub waitlist_fills: u32,
    /// The median of the days between booking and start of the booked visits, to a tenth; null if there are none.
    pub median_lead_days: Option<f64>,
}

/// A day of the report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "date": "2026-03-09", "booked_visits": 14, "booked_minutes": 420, "free_minutes": 60, "utilisation_percent": 88, "no_shows": 1,
    "late_cancellations": 1, "overbooked_visits": 0, "waitlist_fills": 1, "median_lead_days": 6.5
}))]
pub struct UtilisationDay {
    /// The day, by the calendar of each location.
    pub date: types::Date,
    /// The figures of the day.
    #[serde(flatten)]
    pub figures: UtilisationFigures,
}

/// What the figures are computed from.
#[derive(Debug, Clone, Default)]
pub(super) struct Material {
    pub visits: Vec<CountedVisit>,
    /// The location, start and end of free slots.
    pub free: Vec<(LocationId, Timestamp, Timestamp)>,
    /// The location and start of the times that were taken from the waitlist.
    pub fills: Vec<(LocationId, Timestamp)>,
}

/// Figures while they are added up, with the days between booking and start.
#[derive(Default)]
struct Sum {
    figures: UtilisationFigures,
    leads: Vec<SignedDuration>,
}

impl Sum {
    fn add_visit(&mut self, visit: &CountedVisit) {
        let figures = &mut self.figures;
        figures.late_cancellations += u32::from(visit.late_cancelled);
        if visit.status == AppointmentStatus::Cancelled {
            return;
        }
        figures.booked_visits += 1;
        figures.booked_minutes += visit.ends_at.since(visit.starts_at).as_mins();
        figures.no_shows += u32::from(visit.status == AppointmentStatus::NoShow);
        figures.overbooked_visits += u32::from(visit.overbooked);
        self.leads.push(visit.starts_at.since(visit.created_at));
    }

    fn finish(mut self) -> UtilisationFigures {
        let all = self.figures.booked_minutes + self.figures.free_minutes;
        self.figures.utilisation_percent = (all > 0).then(|| (100 * self.figures.booked_minutes + all / 2) / all);
        self.figures.median_lead_days = median(&mut self.leads).map(days);
        self.figures
    }
}

/// The middle value, or between the two middle ones.
fn median(values: &mut [SignedDuration]) -> Option<SignedDuration> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = values.get(values.len().checked_sub(1)? / 2).copied().unwrap_or(upper);
    Some((upper + lower) / 2)
}

/// Days to a tenth.
#[allow(clippy::cast_precision_loss, reason = "a tenth of a day is far below a million")]
fn days(length: SignedDuration) -> f64 {
    const TENTH: i64 = 144;
    ((length.as_mins() + TENTH / 2).div_euclid(TENTH)) as f64 / 10.0
}

/// Returns the figures of each local day from `first` to `last`, and of all of them. What is on no day of these at its location does not
/// count.
pub(super) fn compute(
    material: &Material,
    zones: &HashMap<LocationId, TimeZone>,
    (first, last): (Date, Date),
) -> (UtilisationFigures, Vec<UtilisationDay>) {
    let mut days: BTreeMap<Date, Sum> = BTreeMap::new();
    let mut day = first;
    while day <= last {
        days.insert(day, Sum::default());
        match day.checked_add(1.day()) {
            Ok(next) => day = next,
            Err(_) => break,
        }
    }
    let mut total = Sum::default();
    let mut each = |location: LocationId, at: Timestamp, add: &dyn Fn(&mut Sum)| {
        let Some(zone) = zones.get(&location) else { return };
        if let Some(day) = days.get_mut(&at.in_zone(zone).date()) {
            add(day);
            add(&mut total);
        }
    };
    for visit in &material.visits {
        each(visit.location_id, visit.starts_at, &|sum| sum.add_visit(visit));
    }
    for (location, from, to) in &material.free {
        each(*location, *from, &|sum| sum.figures.free_minutes += to.since(*from).as_mins());
    }
    for (location, at) in &material.fills {
        each(*location, *at, &|sum| sum.figures.waitlist_fills += 1);
    }
    let day = |(date, sum): (Date, Sum)| UtilisationDay { date: types::Date(date), figures: sum.finish() };
    (total.finish(), days.into_iter().map(day).collect())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::zones::Zones;

    fn here() -> LocationId {
        LocationId(Uuid::from_u128(1))
    }

    fn zones() -> HashMap<LocationId, TimeZone> {
        HashMap::from([(here(), Zones::bundled().get("America/New_York").expect("a zone"))])
    }

    fn visit(start: &str, minutes: i64, lead_hours: i64, status: AppointmentStatus) -> CountedVisit {
        let starts_at: Timestamp = start.parse().expect("an instant");
        CountedVisit {
            location_id: here(),
            starts_at,
            ends_at: starts_at.plus(SignedDuration::from_mins(minutes)),
            created_at: starts_at.minus(SignedDuration::from_hours(lead_hours)),
            status,
            late_cancelled: false,
            overbooked: false,
        }
    }

    #[test]
    fn figures_are_those_of_the_local_day() {
        let late =
            CountedVisit { late_cancelled: true, ..visit("2026-03-02T15:00:00Z", 30, 1, AppointmentStatus::Cancelled) };
        let material = Material {
            visits: vec![
                visit("2026-03-02T14:00:00Z", 60, 24, AppointmentStatus::Fulfilled),
                CountedVisit { overbooked: true, ..visit("2026-03-02T14:00:00Z", 30, 72, AppointmentStatus::NoShow) },
                late,
                visit("2026-03-02T16:00:00Z", 30, 1, AppointmentStatus::Cancelled),
                // Still Monday in New York.
                visit("2026-03-03T04:30:00Z", 30, 240, AppointmentStatus::Booked),
                visit("2026-03-04T14:00:00Z", 30, 240, AppointmentStatus::Booked),
            ],
            free: vec![
                (
                    here(),
                    "2026-03-03T14:00:00Z".parse().expect("an instant"),
                    "2026-03-03T14:15:00Z".parse().expect("an instant"),
                ),
                (
                    LocationId(Uuid::nil()),
                    "2026-03-03T14:00:00Z".parse().expect("an instant"),
                    "2026-03-03T14:15:00Z".parse().expect("an instant"),
                ),
            ],
            fills: vec![(here(), "2026-03-02T14:00:00Z".parse().expect("an instant"))],
        };
        let (total, days) = compute(&material, &zones(), (date(2026, 3, 2), date(2026, 3, 3)));
        let monday = UtilisationFigures {
            booked_visits: 3,
            booked_minutes: 120,
            free_minutes: 0,
            utilisation_percent: Some(100),
            no_shows: 1,
            late_cancellations: 1,
            overbooked_visits: 1,
            waitlist_fills: 1,
            median_lead_days: Some(3.0),
        };
        assert_eq!(days[0].figures, monday);
        let free =
            UtilisationFigures { free_minutes: 15, utilisation_percent: Some(0), ..UtilisationFigures::default() };
        assert_eq!((days.len(), &days[1].figures), (2, &free));
        assert_eq!(total, UtilisationFigures { free_minutes: 15, utilisation_percent: Some(89), ..monday });
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_ones() {
        let hours =
            |hours: &[i64]| median(&mut hours.iter().map(|it| SignedDuration::from_hours(*it)).collect::<Vec<_>>());
        assert_eq!(hours(&[]), None);
        assert_eq!(hours(&[5]), Some(SignedDuration::from_hours(5)));
        assert_eq!(hours(&[9, 1, 3, 5]), Some(SignedDuration::from_hours(4)));
        assert!((days(SignedDuration::from_hours(36)) - 1.5).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_days(
            visits in vec((0_i64..24 * 60, 1_i64..120, 0_i64..2000, 0_usize..5, any::<bool>(), any::<bool>()), 0..60),
            free in vec((0_i64..24 * 60, 1_i64..60), 0..60),
        ) {
            let start: Timestamp = "2026-03-06T00:00:00Z".parse().expect("an instant");
            let at = |minutes: i64| start.plus(SignedDuration::from_mins(minutes * 5));
            let visits = visits.into_iter().map(|(from, length, lead, status, late, over)| CountedVisit {
                location_id: here(),
                starts_at: at(from),
                ends_at: at(from).plus(SignedDuration::from_mins(length)),
                created_at: at(from).minus(SignedDuration::from_hours(lead)),
                status: AppointmentStatus::ALL[status],
                late_cancelled: late && AppointmentStatus::ALL[status] == AppointmentStatus::Cancelled,
                overbooked: over,
            });
            let free = free.into_iter().map(|(from, length)| (here(), at(from), at(from).plus(SignedDuration::from_mins(length))));
            let material = Material { visits: visits.collect(), free: free.collect(), fills: Vec::new() };
            let (total, days) = compute(&material, &zones(), (date(2026, 3, 7), date(2026, 3, 9)));
            prop_assert_eq!(days.len(), 3);
            let sum = |part: fn(&UtilisationFigures) -> i64| days.iter().map(|day| part(&day.figures)).sum::<i64>();
            prop_assert_eq!(sum(|it| it.booked_minutes), total.booked_minutes);
            prop_assert_eq!(sum(|it| it.free_minutes), total.free_minutes);
            prop_assert_eq!(sum(|it| it.booked_visits.into()), i64::from(total.booked_visits));
            prop_assert_eq!(sum(|it| it.no_shows.into()), i64::from(total.no_shows));
            prop_assert_eq!(sum(|it| it.late_cancellations.into()), i64::from(total.late_cancellations));
            prop_assert!(total.utilisation_percent.is_none_or(|percent| (0..=100).contains(&percent)));
        }
    }
}
