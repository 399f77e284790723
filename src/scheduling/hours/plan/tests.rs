//! The plan against a look at every five minutes of the location's clock, through changes of the clocks.

use jiff::SignedDuration;
use jiff::civil::date;
use proptest::prelude::*;

use super::super::weekly::Weekday;
use super::*;

fn location(number: u128) -> LocationId {
    uuid::Uuid::from_u128(number).into()
}

fn place(number: u128, zone: &str, slot_minutes: i32) -> Workplace {
    let zone = crate::zones::Zones::bundled().get(zone).expect("a zone");
    Workplace { location_id: location(number), zone, slot_minutes }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn range(number: u128, from: &str, to: &str) -> TimeRange {
    TimeRange { starts_at: at(from), ends_at: at(to), location_id: location(number) }
}

fn off(number: Option<u128>, why: AttentionReason, from: &str, to: &str) -> Absence {
    Absence { starts_at: at(from), ends_at: at(to), location_id: number.map(location), why }
}

/// Mondays from 9 to 11 in New York, by half hours.
fn monday() -> Plan {
    let weekday = Weekday::Monday;
    let rule = WeeklyRule {
        location_id: location(1),
        weekday,
        start_minute: 540,
        end_minute: 660,
        valid_from: None,
        valid_until: None,
    };
    Plan {
        places: vec![place(1, "America/New_York", 30), place(2, "America/Chicago", 30)],
        rules: vec![rule],
        ..Plan::default()
    }
}

/// The starts of the slots on Monday, 2 March 2026, as the clock in London shows them.
fn starts(plan: &Plan) -> Vec<String> {
    let planned = plan.planned(at("2026-03-02T05:00:00Z"), at("2026-03-03T05:00:00Z"));
    planned.slots.iter().map(|slot| slot.starts_at.to_string()[11..16].to_owned()).collect()
}

#[test]
fn an_absence_removes_every_slot_that_it_overlaps_and_moves_none() {
    let mut plan = monday();
    assert_eq!(starts(&plan), ["14:00", "14:30", "15:00", "15:30"]);
    plan.absences = vec![off(None, AttentionReason::TimeOff, "2026-03-02T14:40:00Z", "2026-03-02T15:10:00Z")];
    assert_eq!(starts(&plan), ["14:00", "15:30"]);
    plan.absences = vec![off(Some(2), AttentionReason::Closure, "2026-03-02T14:40:00Z", "2026-03-02T15:10:00Z")];
    assert_eq!(starts(&plan).len(), 4, "another place is closed");
    plan.absences = vec![off(None, AttentionReason::TimeOff, "2026-03-02T14:30:00Z", "2026-03-02T15:00:00Z")];
    assert_eq!(starts(&plan), ["14:00", "15:00", "15:30"], "touching ends take nothing");
}

#[test]
fn extra_hours_add_only_time_that_the_weekly_hours_do_not_open() {
    let mut plan = monday();
    plan.extra = vec![range(1, "2026-03-02T13:10:00Z", "2026-03-02T17:00:00Z")];
    // Before nine from where they begin, after eleven from where the weekly hours end.
    assert_eq!(starts(&plan), ["13:10", "14:00", "14:30", "15:00", "15:30", "16:00", "16:30"]);
    plan.absences = vec![off(Some(1), AttentionReason::Closure, "2026-03-02T05:00:00Z", "2026-03-03T05:00:00Z")];
    assert_eq!(starts(&plan), Vec::<String>::new(), "closed is closed");
    plan.absences.clear();
    plan.extra = vec![range(2, "2026-03-02T15:40:00Z", "2026-03-02T17:00:00Z")];
    let elsewhere = plan.planned(at("2026-03-02T16:00:00Z"), at("2026-03-03T05:00:00Z")).slots;
    assert_eq!(elsewhere.iter().map(|slot| slot.location_id).collect::<Vec<_>>(), [location(2), location(2)]);
    assert!(plan.open_elsewhere(&plan.extra[0].clone()), "the weekly hours are at the other place until 16:00");
    plan.places.truncate(1);
    assert_eq!(starts(&plan).len(), 4, "hours at a location where the practitioner no longer works are not used");
}

#[test]
fn a_time_that_is_not_covered_has_a_reason() {
    let mut plan = monday();
    plan.absences = vec![
        off(Some(1), AttentionReason::Closure, "2026-03-02T15:00:00Z", "2026-03-02T15:30:00Z"),
        off(None, AttentionReason::TimeOff, "2026-03-02T15:20:00Z", "2026-03-02T15:30:00Z"),
    ];
    let planned = plan.planned(at("2026-03-02T05:00:00Z"), at("2026-03-03T05:00:00Z"));
    let why = |from: &str, to: &str| planned.why_not_covered(&range(1, from, to));
    assert_eq!(why("2026-03-02T14:00:00Z", "2026-03-02T15:00:00Z"), None);
    assert_eq!(why("2026-03-02T14:10:00Z", "2026-03-02T14:25:00Z"), None, "it need not lie in the grid");
    assert_eq!(why("2026-03-02T15:00:00Z", "2026-03-02T15:15:00Z"), Some(AttentionReason::Closure));
    assert_eq!(why("2026-03-02T15:15:00Z", "2026-03-02T15:30:00Z"), Some(AttentionReason::TimeOff));
    assert_eq!(why("2026-03-02T15:45:00Z", "2026-03-02T16:15:00Z"), Some(AttentionReason::Hours));
    assert_eq!(why("2026-03-02T13:45:00Z", "2026-03-02T14:15:00Z"), Some(AttentionReason::Hours));
    let elsewhere = range(2, "2026-03-02T14:00:00Z", "2026-03-02T14:30:00Z");
    assert_eq!(planned.why_not_covered(&elsewhere), Some(AttentionReason::Hours));
}

/// A day before something happens to some clocks, and one before nothing does.
const DAYS: [jiff::civil::Date; 4] = [date(2026, 3, 6), date(2026, 10, 30), date(2026, 4, 3), date(2026, 6, 10)];
const ZONES: [&str; 4] = ["America/New_York", "Australia/Lord_Howe", "Asia/Tokyo", "America/Havana"];

fn tick(day: jiff::civil::Date, tick: i64) -> Timestamp {
    weekly::midnight(day, &jiff::tz::TimeZone::UTC).plus(SignedDuration::from_mins(5 * tick))
}

prop_compose! {
    /// Weekly hours at one place, extra hours and absences at two; no two weekly openings touch.
    fn any_plan()(
        day in prop::sample::select(DAYS.as_slice()),
        zone in prop::sample::select(ZONES.as_slice()),
        other in prop::sample::select(ZONES.as_slice()),
        lengths in (prop::sample::select([10, 15, 30].as_slice()), prop::sample::select([15, 20].as_slice())),
        weekly in prop::collection::btree_map(1..8_i32, prop::collection::btree_set(1..287_i32, 4), 1..6),
        extra in prop::collection::vec((1..3_u128, -100..1600_i64, 1..289_i64), 0..5),
        absences in prop::collection::vec((0..3_u128, -300..1600_i64, 1..400_i64, any::<bool>()), 0..5),
    ) -> (jiff::civil::Date, Plan) {
        let rules = weekly.into_iter().flat_map(|(weekday, edges)| {
            let edges: Vec<_> = edges.into_iter().map(|edge| edge * 5).collect();
            edges.chunks_exact(2).map(|pair| WeeklyRule {
                location_id: location(1),
                weekday: Weekday::from_iso(weekday).expect("a weekday"),
                start_minute: pair[0],
                end_minute: pair[1],
                valid_from: None,
                valid_until: None,
            }).collect::<Vec<_>>()
        }).collect();
        let mut extra: Vec<_> = extra.into_iter().map(|(number, start, length)| TimeRange {
            starts_at: tick(day, start), ends_at: tick(day, start + length), location_id: location(number),
        }).collect();
        extra.sort_unstable();
        let absences = absences.into_iter().map(|(number, start, length, closed)| Absence {
            starts_at: tick(day, start),
            ends_at: tick(day, start + length),
            location_id: (number > 0).then(|| location(number)),
            why: if closed { AttentionReason::Closure } else { AttentionReason::TimeOff },
        }).collect();
        (day, Plan { places: vec![place(1, zone, lengths.0), place(2, other, lengths.1)], rules, extra, absences })
    }
}

/// Which opening each tick belongs to: none, the weekly hours, or extra hours by their number; found by looking at the
/// clock on the wall.
fn openings(plan: &Plan, day: jiff::civil::Date, ticks: std::ops::Range<i64>) -> Vec<Option<(LocationId, usize)>> {
    let zone = &plan.places[0].zone;
    ticks
        .map(|number| {
            let at = tick(day, number);
            let shown = at.in_zone(zone);
            let minute = i32::from(shown.hour()) * 60 + i32::from(shown.minute());
            let weekday = i32::from(shown.weekday().to_monday_one_offset());
            let rule = plan.rules.iter().position(|rule| {
                rule.weekday.iso() == weekday && rule.start_minute <= minute && minute < rule.end_minute
            });
            if rule.is_some() {
                return Some((location(1), usize::MAX));
            }
            let extra = plan.extra.iter().position(|extra| extra.starts_at <= at && at < extra.ends_at)?;
            Some((plan.extra[extra].location_id, extra))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn slots_are_cut_from_openings_and_skip_absences((day, plan) in any_plan()) {
        let ticks = -900..2600_i64;
        let openings = openings(&plan, day, ticks.clone());
        let mut expected = Vec::new();
        let mut number = 0;
        while number < openings.len() {
            let Some(opening) = openings[number] else { number += 1; continue };
            let end = openings[number..].iter().position(|other| *other != Some(opening)).map_or(openings.len(), |n| number + n);
            let length = plan.places.iter().find(|place| place.location_id == opening.0).expect("a place").slot_minutes;
            let step = usize::try_from(length / 5).expect("small");
            for start in (number..end).step_by(step).filter(|start| start + step <= end) {
                let starts_at = tick(day, ticks.start + i64::try_from(start).expect("small"));
                expected.push(TimeRange {
                    starts_at, ends_at: starts_at.plus(SignedDuration::from_mins(length.into())), location_id: opening.0,
                });
            }
            number = end;
        }
        let (from, to) = (tick(day, 0), tick(day, 1728));
        expected.retain(|slot| {
            from <= slot.starts_at && slot.starts_at < to && !plan.absences.iter().any(|absence| {
                absence.location_id.is_none_or(|at| at == slot.location_id)
                    && absence.starts_at < slot.ends_at && slot.starts_at < absence.ends_at
            })
        });
        let planned = plan.planned(from, to);
        prop_assert_eq!(&planned.slots, &expected);
        for slot in &expected {
            prop_assert_eq!(planned.why_not_covered(slot), None);
        }
        // Seen in two parts it is the same.
        let middle = tick(day, 800);
        let parts: Vec<_> = plan.planned(from, middle).slots.into_iter().chain(plan.planned(middle, to).slots).collect();
        prop_assert_eq!(parts, expected);
    }

    #[test]
    fn a_time_is_covered_exactly_while_the_doctor_is_there_for_all_of_it(
        (day, plan) in any_plan(), number in 1..3_u128, start in 0..1700_i64, length in 1..50_i64,
    ) {
        let planned = plan.planned(tick(day, 0), tick(day, 1728));
        let time = TimeRange { starts_at: tick(day, start), ends_at: tick(day, start + length), location_id: location(number) };
        let touched = |why| plan.absences.iter().any(|absence| {
            absence.why == why && absence.location_id.is_none_or(|at| at == time.location_id)
                && absence.starts_at < time.ends_at && time.starts_at < absence.ends_at
        });
        let there = openings(&plan, day, start..start + length).iter().all(|opening| {
            opening.is_some_and(|(at, _)| at == time.location_id)
        });
        let expected = if touched(AttentionReason::TimeOff) {
            Some(AttentionReason::TimeOff)
        } else if touched(AttentionReason::Closure) {
            Some(AttentionReason::Closure)
        } else {
            (!there).then_some(AttentionReason::Hours)
        };
        prop_assert_eq!(planned.why_not_covered(&time), expected);
    }
}
