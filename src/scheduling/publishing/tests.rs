//! The comparison of what the plan wants with what is there.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::ids::{AppointmentId, HoldId};

fn at(minutes: i64) -> Timestamp {
    let epoch: Timestamp = "2026-03-02T00:00:00Z".parse().expect("an instant");
    epoch.plus(SignedDuration::from_mins(minutes))
}

fn location() -> LocationId {
    uuid::Uuid::from_u128(2).into()
}

fn want(start: i64, end: i64) -> Stretch {
    Stretch { starts_at: at(start), ends_at: at(end), location_id: location() }
}

fn slot(start: i64, end: i64) -> Slot {
    Slot {
        id: uuid::Uuid::from_u128(u128::try_from(start).expect("not negative")).into(),
        practitioner_id: uuid::Uuid::from_u128(1).into(),
        location_id: location(),
        starts_at: at(start),
        ends_at: at(end),
        appointment_id: None,
        hold_id: None,
        held_until: None,
        blocked: false,
        off_plan: None,
    }
}

fn booked(start: i64, end: i64) -> Slot {
    Slot { appointment_id: Some(AppointmentId(uuid::Uuid::nil())), ..slot(start, end) }
}

fn held(start: i64, end: i64, until: i64) -> Slot {
    Slot { hold_id: Some(HoldId(uuid::Uuid::nil())), held_until: Some(at(until)), ..slot(start, end) }
}

/// Compares where the plan covers whatever there is.
fn compare_open(wanted: &[Stretch], there: &[Slot], now: Timestamp) -> Changes {
    compare(wanted, |_| None, &[], there, now)
}

/// Compares where the plan covers nothing, for this reason.
fn compare_off(why: OffPlan, there: &[Slot], now: Timestamp) -> Changes {
    compare(&[], |_| Some(why), &[], there, now)
}

#[test]
fn what_agrees_stays_and_nothing_is_to_do() {
    let there = [slot(0, 15), booked(15, 30), held(30, 45, 5), Slot { blocked: true, ..slot(45, 60) }];
    assert!(compare_open(&[want(0, 15), want(15, 30), want(30, 45), want(45, 60)], &there, at(-60)).is_empty());
}

#[test]
fn a_booked_or_held_slot_stays_when_the_hours_are_cut_otherwise_and_nothing_is_laid_over_it() {
    let there = [slot(0, 15), booked(15, 30), slot(30, 45), held(45, 60, 5), slot(60, 75)];
    let found = compare_open(&[want(0, 30), want(30, 60), want(60, 90)], &there, at(-60));
    assert_eq!(found.remove, [slot(0, 15).id, slot(30, 45).id, slot(60, 75).id]);
    assert_eq!(found.add, [want(60, 90)]);
}

#[test]
fn a_hold_that_has_lapsed_keeps_nothing() {
    let lapsed = compare_open(&[], &[held(30, 45, 5)], at(5));
    assert_eq!((lapsed.remove, lapsed.end), (vec![slot(30, 45).id], vec![]));
    assert_eq!(compare_open(&[], &[held(30, 45, 5)], at(4)).remove, []);
}

#[test]
fn a_hold_whose_time_the_plan_takes_away_ends() {
    let there = [held(30, 45, 5), held(45, 60, 5)];
    for why in OffPlan::ALL {
        let changes = compare_off(*why, &there, at(4));
        assert_eq!((changes.remove.len(), changes.end), (2, vec![HoldId(uuid::Uuid::nil())]), "{why}");
    }
}

#[test]
fn a_booked_slot_is_marked_while_the_plan_does_not_cover_it_and_never_goes() {
    let marked = |why| Slot { off_plan: Some(why), ..booked(15, 30) };
    let new = compare_off(OffPlan::TimeOff, &[booked(0, 15), booked(15, 30)], at(-60));
    let whom = AppointmentId(uuid::Uuid::nil());
    let why = Some(OffPlan::TimeOff);
    let mark = vec![(booked(0, 15).id, why), (booked(15, 30).id, why)];
    assert_eq!(new, Changes { mark, hit: vec![whom], ..Changes::default() });
    let other = compare_off(OffPlan::Hours, &[marked(OffPlan::TimeOff)], at(-60));
    let mark = vec![(booked(15, 30).id, Some(OffPlan::Hours))];
    assert_eq!(other, Changes { mark, ..Changes::default() }, "somebody knows already");
    let again = compare_open(&[], &[marked(OffPlan::TimeOff)], at(-60));
    assert_eq!(again, Changes { mark: vec![(booked(15, 30).id, None)], ..Changes::default() });
    assert!(compare_off(OffPlan::Closure, &[marked(OffPlan::Closure)], at(-60)).is_empty());
    assert!(compare_off(OffPlan::Closure, &[booked(15, 30)], at(30)).is_empty(), "it is over");
    assert!(!compare_off(OffPlan::Closure, &[booked(15, 30)], at(29)).is_empty(), "it is running");
}

#[test]
fn whoever_enters_an_absence_is_told_of_all_that_it_touches_though_something_else_hit_it_before() {
    let marked = Slot { off_plan: Some(OffPlan::TimeOff), ..booked(15, 30) };
    let absence = |from, to, location_id| Absence {
        starts_at: at(from),
        ends_at: at(to),
        location_id: Some(location_id),
        why: OffPlan::Closure,
    };
    let hit = |absence: Absence| {
        compare(&[], |_| Some(OffPlan::TimeOff), &[absence], std::slice::from_ref(&marked), at(-60)).hit
    };
    assert_eq!(hit(absence(20, 60, location())), [AppointmentId(uuid::Uuid::nil())]);
    assert_eq!(hit(absence(30, 60, location())), [], "it begins afterwards");
    assert_eq!(hit(absence(20, 60, uuid::Uuid::from_u128(3).into())), [], "it is elsewhere");
}

#[test]
fn a_block_goes_with_its_hours_and_stays_through_absences_and_while_they_are_cut_otherwise() {
    let blocked = [Slot { blocked: true, ..slot(15, 30) }];
    assert_eq!(compare_off(OffPlan::Hours, &blocked, at(-60)).remove, [blocked[0].id]);
    assert!(compare_off(OffPlan::TimeOff, &blocked, at(-60)).is_empty());
    assert!(compare_off(OffPlan::Closure, &blocked, at(-60)).is_empty());
    let recut = compare_open(&[want(0, 30), want(30, 60)], &blocked, at(-60));
    assert_eq!(recut, Changes { add: vec![want(30, 60)], ..Changes::default() });
}

#[test]
fn the_slot_that_is_running_stays() {
    assert_eq!(compare_off(OffPlan::Hours, &[slot(0, 15)], at(5)), Changes::default());
    assert_eq!(compare_open(&[want(10, 25)], &[slot(0, 15)], at(5)), Changes::default());
}

#[test]
fn at_another_place_it_is_another_slot() {
    let elsewhere = Stretch { location_id: uuid::Uuid::from_u128(3).into(), ..want(0, 15) };
    let changes = compare_open(&[elsewhere], &[slot(0, 15)], at(-60));
    assert_eq!(changes, Changes { remove: vec![slot(0, 15).id], add: vec![elsewhere], ..Changes::default() });
}

prop_compose! {
    fn any_there()(parts in prop::collection::vec((0..3_i64, 1..7_i64, 0..5_u8), 0..30)) -> Vec<Slot> {
        let mut start = 0;
        parts.into_iter().map(|(gap, length, kind)| {
            start += gap * 5;
            let end = start + length * 5;
            let slot = match kind {
                0 => booked(start, end),
                1 => held(start, end, 500),
                2 => Slot { blocked: true, ..slot(start, end) },
                _ => slot(start, end),
            };
            start = end;
            slot
        }).collect()
    }
}

prop_compose! {
    fn any_wanted()(parts in prop::collection::vec((0..3_i64, 1..7_i64), 0..30)) -> Vec<Stretch> {
        let mut start = 0;
        parts.into_iter().map(|(gap, length)| {
            start += gap * 5;
            let end = start + length * 5;
            let stretch = want(start, end);
            start = end;
            stretch
        }).collect()
    }
}

prop_compose! {
    fn any_absences()(parts in prop::collection::vec((0..80_i64, 1..10_i64, 0..3_usize), 0..4)) -> Vec<(Timestamp, Timestamp, OffPlan)> {
        parts.into_iter().map(|(start, length, why)| (at(start * 5), at((start + length) * 5), OffPlan::ALL[why])).collect()
    }
}

proptest! {
    #[test]
    fn after_publishing_nothing_overlaps_no_visit_is_lost_and_nothing_is_left_to_do(
        there in any_there(), wanted in any_wanted(), absences in any_absences(), now in -10..200_i64,
    ) {
        let now = at(now);
        let off = |time: &Stretch| {
            absences.iter().find(|(from, to, _)| time.overlaps(*from, *to)).map(|(_, _, why)| *why)
        };
        let wanted: Vec<Stretch> =
            wanted.into_iter().filter(|stretch| stretch.starts_at > now && off(stretch).is_none()).collect();
        let there: Vec<Slot> = there.into_iter().filter(|slot| slot.ends_at > now).collect();
        let changes = compare(&wanted, off, &[], &there, now);
        let mut after: Vec<Slot> = there.iter().filter(|slot| !changes.remove.contains(&slot.id)).cloned().collect();
        for booked in there.iter().filter(|slot| slot.appointment_id.is_some()) {
            prop_assert!(after.contains(booked));
        }
        for held in there.iter().filter(|slot| slot.is_held(now, None) && slot.starts_at > now) {
            let given = wanted.contains(&held.stretch());
            prop_assert_eq!(after.contains(held), given || off(&held.stretch()).is_none());
        }
        for slot in &mut after {
            if let Some((_, why)) = changes.mark.iter().find(|(id, _)| *id == slot.id) {
                slot.off_plan = *why;
            }
            if slot.appointment_id.is_some() {
                prop_assert_eq!(slot.off_plan, off(&slot.stretch()));
            }
        }
        after.extend(changes.add.iter().enumerate().map(|(index, stretch)| Slot {
            id: uuid::Uuid::from_u128(100_000 + index as u128).into(),
            starts_at: stretch.starts_at,
            ends_at: stretch.ends_at,
            ..slot(0, 5)
        }));
        after.sort_by_key(|slot| slot.starts_at);
        for pair in after.windows(2) {
            prop_assert!(pair[0].ends_at <= pair[1].starts_at);
        }
        for free in after.iter().filter(|slot| slot.is_free(now, None) && slot.starts_at > now) {
            prop_assert!(wanted.iter().any(|want| want.starts_at == free.starts_at && want.ends_at == free.ends_at));
        }
        prop_assert!(compare(&wanted, off, &[], &after, now).is_empty());
    }
}
