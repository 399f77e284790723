//! Days on which the clocks change, with instants written by hand; and what must hold on every day.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn place(zone: &str, slot_minutes: i32) -> Workplace {
    let zone = crate::zones::Zones::bundled().get(zone).expect("a zone");
    Workplace { location_id: uuid::Uuid::from_u128(1).into(), zone, slot_minutes }
}

/// A rule for the weekday of a day, from one clock time (in minutes) until another.
fn rule(day: Date, start_minute: i32, end_minute: i32) -> WeeklyRule {
    let weekday = Weekday::from_iso(day.weekday().to_monday_one_offset().into()).expect("a weekday");
    let location_id = uuid::Uuid::from_u128(1).into();
    WeeklyRule { location_id, weekday, start_minute, end_minute, valid_from: None, valid_until: None }
}

fn clock(text: &str) -> i32 {
    let (hours, minutes) = text.split_once(':').expect("HH:MM");
    hours.parse::<i32>().expect("hours") * 60 + minutes.parse::<i32>().expect("minutes")
}

/// The slots that rules give on some days.
fn slots(rules: &[WeeklyRule], place: &Workplace, from: Date, until: Date) -> Vec<TimeRange> {
    let mut slots = Vec::new();
    for opening in openings(rules, place, from, until) {
        super::cut(&opening, place.slot_minutes, &mut slots);
    }
    slots
}

/// The starts and ends of the slots of that one day.
fn cut(zone: &str, slot_minutes: i32, day: Date, start: &str, end: &str) -> Vec<String> {
    let rules = [rule(day, clock(start), clock(end))];
    let slots = slots(&rules, &place(zone, slot_minutes), day, day.tomorrow().expect("a day"));
    slots.iter().map(|slot| format!("{} {}", slot.starts_at, slot.ends_at)).collect()
}

/// `2026-03-08T06:00Z/07:00Z` for a slot within one UTC day.
fn expect(found: Vec<String>, expected: &[&str]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|text| {
            let (day, times) = text.split_once(' ').expect("a day and times");
            let (start, end) = times.split_once('-').expect("a start and an end");
            format!("{day}T{start}:00Z {day}T{end}:00Z")
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn new_york_jumps_from_two_to_three_and_no_slot_covers_the_missing_hour() {
    let day = date(2026, 3, 8);
    let cut = |slot, start, end| cut("America/New_York", slot, day, start, end);
    // 01:00 EST is 06:00Z; the clock goes from 02:00 to 03:00 at 07:00Z; 04:00 EDT is 08:00Z.
    expect(
        cut(30, "01:00", "04:00"),
        &["2026-03-08 06:00-06:30", "2026-03-08 06:30-07:00", "2026-03-08 07:00-07:30", "2026-03-08 07:30-08:00"],
    );
    expect(cut(30, "02:15", "04:00"), &["2026-03-08 07:00-07:30", "2026-03-08 07:30-08:00"]);
    expect(cut(30, "01:00", "02:30"), &["2026-03-08 06:00-06:30", "2026-03-08 06:30-07:00"]);
    expect(cut(15, "02:00", "03:00"), &[]);
    expect(cut(15, "02:15", "02:45"), &[]);
    // A slot that begins before the leap ends after it: its 45 minutes are real ones.
    expect(cut(45, "01:30", "04:00"), &["2026-03-08 06:30-07:15", "2026-03-08 07:15-08:00"]);
    // A usual day's hours are moved by the new offset, and keep their number.
    assert_eq!(cut(15, "09:00", "17:00").len(), 32);
    expect(cut(240, "09:00", "13:00"), &["2026-03-08 13:00-17:00"]);
}

#[test]
fn new_york_has_the_hour_from_one_to_two_twice_and_is_open_twice() {
    let day = date(2026, 11, 1);
    let cut = |slot, start, end| cut("America/New_York", slot, day, start, end);
    // 01:00 EDT is 05:00Z; the clock goes from 02:00 back to 01:00 at 06:00Z; 02:00 EST is 07:00Z.
    expect(
        cut(60, "00:00", "03:00"),
        &["2026-11-01 04:00-05:00", "2026-11-01 05:00-06:00", "2026-11-01 06:00-07:00", "2026-11-01 07:00-08:00"],
    );
    expect(cut(60, "01:00", "02:00"), &["2026-11-01 05:00-06:00", "2026-11-01 06:00-07:00"]);
    expect(cut(30, "01:30", "02:30"), &["2026-11-01 05:30-06:00", "2026-11-01 06:30-07:00", "2026-11-01 07:00-07:30"]);
    expect(cut(30, "00:30", "01:30"), &["2026-11-01 04:30-05:00", "2026-11-01 05:00-05:30", "2026-11-01 06:00-06:30"]);
    expect(cut(240, "09:00", "13:00"), &["2026-11-01 14:00-18:00"]);
}

#[test]
fn berlin_jumps_both_ways_at_one_o_clock_utc() {
    // 01:00 CET is 00:00Z; at 01:00Z the clock goes from 02:00 to 03:00.
    let spring = |start, end| cut("Europe/Berlin", 30, date(2026, 3, 29), start, end);
    expect(spring("01:30", "03:30"), &["2026-03-29 00:30-01:00", "2026-03-29 01:00-01:30"]);
    expect(spring("02:00", "03:00"), &[]);
    expect(spring("02:59", "04:00"), &["2026-03-29 01:00-01:30", "2026-03-29 01:30-02:00"]);
    // 02:00 CEST is 00:00Z; at 01:00Z the clock goes from 03:00 back to 02:00.
    let autumn = |start, end| cut("Europe/Berlin", 60, date(2026, 10, 25), start, end);
    expect(autumn("02:00", "04:00"), &["2026-10-25 00:00-01:00", "2026-10-25 01:00-02:00", "2026-10-25 02:00-03:00"]);
    expect(autumn("02:00", "03:00"), &["2026-10-25 00:00-01:00", "2026-10-25 01:00-02:00"]);
}

#[test]
fn lord_howe_moves_by_half_an_hour() {
    // 4 October: 01:30 is 15:00Z the day before; at 15:30Z the clock goes from 02:00 to 02:30.
    let spring = |slot, start, end| cut("Australia/Lord_Howe", slot, date(2026, 10, 4), start, end);
    expect(spring(30, "01:30", "03:00"), &["2026-10-03 15:00-15:30", "2026-10-03 15:30-16:00"]);
    expect(spring(15, "02:00", "02:30"), &[]);
    expect(spring(15, "02:10", "02:50"), &["2026-10-03 15:30-15:45"]);
    expect(spring(60, "01:30", "03:30"), &["2026-10-03 15:00-16:00"]);
    // 5 April: 01:30 (+11) is 14:30Z the day before; at 15:00Z the clock goes from 02:00 back to 01:30.
    let autumn = |slot, start, end| cut("Australia/Lord_Howe", slot, date(2026, 4, 5), start, end);
    expect(autumn(30, "01:30", "02:00"), &["2026-04-04 14:30-15:00", "2026-04-04 15:00-15:30"]);
    expect(autumn(60, "01:00", "02:30"), &["2026-04-04 14:00-15:00", "2026-04-04 15:00-16:00"]);
    expect(
        autumn(15, "01:45", "02:15"),
        &["2026-04-04 14:45-15:00", "2026-04-04 15:15-15:30", "2026-04-04 15:30-15:45"],
    );
}

#[test]
fn tokyo_and_phoenix_have_no_daylight_saving_time() {
    for day in [date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)] {
        assert_eq!(cut("Asia/Tokyo", 15, day, "00:00", "24:00").len(), 96);
        expect(cut("America/Phoenix", 240, day, "09:00", "13:00"), &[&format!("{day} 16:00-20:00")]);
    }
}

#[test]
fn a_whole_day_has_as_many_slots_as_it_has_hours() {
    assert_eq!(cut("America/New_York", 60, date(2026, 3, 8), "00:00", "24:00").len(), 23);
    assert_eq!(cut("America/New_York", 60, date(2026, 3, 9), "00:00", "24:00").len(), 24);
    assert_eq!(cut("America/New_York", 60, date(2026, 11, 1), "00:00", "24:00").len(), 25);
    assert_eq!(cut("Australia/Lord_Howe", 30, date(2026, 4, 5), "00:00", "24:00").len(), 49);
    // Midnight itself does not exist (Santiago), comes twice (Havana falls back to 00:00), or the day is missing (Apia).
    assert_eq!(cut("America/Santiago", 60, date(2026, 9, 6), "00:00", "24:00").len(), 23);
    assert_eq!(cut("America/Havana", 60, date(2026, 11, 1), "00:00", "24:00").len(), 25);
    assert_eq!(cut("Pacific/Apia", 60, date(2011, 12, 30), "00:00", "24:00").len(), 0);
}

#[test]
fn rules_apply_from_their_first_to_their_last_day_and_a_rest_is_no_slot() {
    let monday = date(2026, 3, 2);
    let rules = [WeeklyRule {
        valid_from: Some(date(2026, 3, 9)),
        valid_until: Some(date(2026, 3, 16)),
        ..rule(monday, 540, 625)
    }];
    let found = slots(&rules, &place("Asia/Tokyo", 30), monday, date(2026, 4, 1));
    let starts: Vec<_> = found.iter().map(|slot| slot.starts_at.to_string()).collect();
    assert_eq!(
        starts,
        ["2026-03-09T00:00:00Z", "2026-03-09T00:30:00Z", "2026-03-16T00:00:00Z", "2026-03-16T00:30:00Z"]
    );
}

#[test]
fn rules_of_one_weekday_overlap_only_if_both_apply_on_such_a_day() {
    let base = rule(date(2026, 3, 2), 540, 720);
    let later = WeeklyRule { start_minute: 700, end_minute: 800, ..base.clone() };
    assert!(base.overlaps(&later));
    let until = |day| WeeklyRule { valid_until: Some(day), ..base.clone() };
    let from = |day| WeeklyRule { valid_from: Some(day), ..later.clone() };
    assert!(until(date(2026, 3, 9)).overlaps(&from(date(2026, 3, 9))));
    assert!(!until(date(2026, 3, 9)).overlaps(&from(date(2026, 3, 10))));
    assert!(!until(date(2026, 3, 14)).overlaps(&from(date(2026, 3, 10))), "Tuesday to Saturday has no Monday");
}

const ZONES: [&str; 9] = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Tokyo",
    "America/Phoenix",
    "America/Santiago",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Kathmandu",
];

/// Weekly rules that do not overlap: each day is divided at random, and every other part is open.
fn any_rules() -> impl Strategy<Value = Vec<WeeklyRule>> {
    let day = (0..7_i64, prop::collection::btree_set(0..=288_i32, 2..7));
    prop::collection::btree_map(0..7_i64, day, 1..4).prop_map(|days| {
        let mut rules = Vec::new();
        for (offset, (_, edges)) in days {
            let edges: Vec<i32> = edges.into_iter().map(|edge| edge * 5).collect();
            let monday = date(2026, 3, 2).checked_add(offset.days()).expect("a day");
            rules.extend(edges.chunks_exact(2).map(|pair| rule(monday, pair[0], pair[1])));
        }
        rules
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn slots_are_whole_in_order_apart_and_open_by_the_clock_on_the_wall(
        rules in any_rules(),
        zone in prop::sample::select(ZONES.as_slice()),
        slot in prop::sample::select([5, 10, 15, 20, 30, 45, 60].as_slice()),
        first in 0..370_i64,
    ) {
        let place = place(zone, slot);
        let from = date(2026, 1, 1).checked_add(first.days()).expect("a day");
        let until = from.checked_add(10.days()).expect("a day");
        let found = slots(&rules, &place, from, until);
        prop_assert_eq!(&found, &slots(&rules, &place, from, until), "the same again");
        for pair in found.windows(2) {
            prop_assert!(pair[0].ends_at <= pair[1].starts_at, "no overlap");
        }
        let minutes: Vec<i64> = found.iter().map(|slot| slot.ends_at.since(slot.starts_at).as_mins()).collect();
        prop_assert!(minutes.iter().all(|length| *length == i64::from(slot)));
        for slot in &found {
            for minute in 0..slot.ends_at.since(slot.starts_at).as_mins() {
                let shown = slot.starts_at.plus(SignedDuration::from_mins(minute)).in_zone(&place.zone);
                let of_day = i32::from(shown.hour()) * 60 + i32::from(shown.minute());
                let open = rules.iter().any(|rule| {
                    rule.applies_on(shown.date()) && rule.start_minute <= of_day && of_day < rule.end_minute
                });
                prop_assert!(open, "{} shows {}", zone, shown);
            }
        }
        // Cut in two at any day, the slots are the same.
        let middle = from.checked_add(4.days()).expect("a day");
        let parts: Vec<_> = slots(&rules, &place, from, middle).into_iter().chain(slots(&rules, &place, middle, until)).collect();
        prop_assert_eq!(found, parts);
    }

    #[test]
    fn openings_are_exactly_the_minutes_at_which_the_clock_shows_them(
        rules in any_rules(),
        zone in prop::sample::select(ZONES.as_slice()),
        first in 0..370_i64,
    ) {
        let place = place(zone, 5);
        let from = date(2026, 1, 1).checked_add(first.days()).expect("a day");
        let until = from.checked_add(3.days()).expect("a day");
        let openings = openings(&rules, &place, from, until);
        let midnight = Timestamp::from(Offset::UTC.to_timestamp(from.at(0, 0, 0, 0)).expect("an instant"));
        for minute in -1440..5 * 1440 {
            let at = midnight.plus(SignedDuration::from_mins(minute));
            let shown = at.in_zone(&place.zone);
            let of_day = i32::from(shown.hour()) * 60 + i32::from(shown.minute());
            let open = from <= shown.date() && shown.date() < until && rules.iter().any(|rule| {
                rule.applies_on(shown.date()) && rule.start_minute <= of_day && of_day < rule.end_minute
            });
            let found = openings.iter().any(|opening| opening.starts_at <= at && at < opening.ends_at);
            prop_assert_eq!(found, open, "{} shows {}", zone, shown);
        }
    }
}
