//! The comparison of the plan with the stored slots.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::plan::{Absence, AttentionReason};
use super::super::weekly::TimeRange;
use super::comparing::{SlotChanges, compare};
use crate::clock::Timestamp;
use crate::ids::{AppointmentId, HoldId, LocationId};
use crate::scheduling::slots::slot::Slot;

fn at(minutes: i64) -> Timestamp {
    let epoch: Timestamp = "2026-03-02T00:00:00Z".parse().expect("an instant");
    epoch.plus(SignedDuration::from_mins(minutes))
}

fn location() -> LocationId {
    uuid::Uuid::from_u128(2).into()
}

fn want(start: i64, end: i64) -> TimeRange {
    TimeRange { starts_at: at(start), ends_at: at(end), location_id: location() }
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

/// Compares with a plan that covers every time.
fn compare_open(wanted: &[TimeRange], there: &[Slot], now: Timestamp) -> SlotChanges {
    compare(wanted, |_| None, &[], there, now)
}

/// Compares with a plan that covers no time, for this reason.
fn compare_off(why: AttentionReason, there: &[Slot], now: Timestamp) -> SlotChanges {
    compare(&[], |_| Some(why), &[], there, now)
}

#[test]
fn slots_that_agree_with_the_plan_stay() {
    let there = [slot(0, 15), booked(15, 30), held(30, 45, 5), Slot { blocked: true, ..slot(45, 60) }];
    assert!(compare_open(&[want(0, 15), want(15, 30), want(30, 45), want(45, 60)], &there, at(-60)).is_empty());
}

#[test]
fn booked_and_held_slots_stay_with_another_slot_length_and_no_new_slot_overlaps_them() {
    let there = [slot(0, 15), booked(15, 30), slot(30, 45), held(45, 60, 5), slot(60, 75)];
    let found = compare_open(&[want(0, 30), want(30, 60), want(60, 90)], &there, at(-60));
    assert_eq!(found.remove, [slot(0, 15).id, slot(30, 45).id, slot(60, 75).id]);
    assert_eq!(found.add, [want(60, 90)]);
}

#[test]
fn a_lapsed_hold_keeps_no_slot() {
    let lapsed = compare_open(&[], &[held(30, 45, 5)], at(5));
    assert_eq!((lapsed.remove, lapsed.lapse), (vec![slot(30, 45).id], vec![]));
    assert_eq!(compare_open(&[], &[held(30, 45, 5)], at(4)).remove, []);
}

#[test]
fn a_hold_ends_when_the_plan_removes_its_slots() {
    let there = [held(30, 45, 5), held(45, 60, 5)];
    for why in AttentionReason::ALL {
        let changes = compare_off(*why, &there, at(4));
        assert_eq!((changes.remove.len(), changes.lapse), (2, vec![HoldId(uuid::Uuid::nil())]), "{why}");
    }
}

#[test]
fn a_booked_slot_is_marked_while_the_plan_does_not_cover_it_and_is_never_deleted() {
    let marked = |why| Slot { off_plan: Some(why), ..booked(15, 30) };
    let new = compare_off(AttentionReason::TimeOff, &[booked(0, 15), booked(15, 30)], at(-60));
    let whom = AppointmentId(uuid::Uuid::nil());
    let why = Some(AttentionReason::TimeOff);
    let mark = vec![(booked(0, 15).id, why), (booked(15, 30).id, why)];
    let affected_times = vec![booked(0, 15).time_range(), booked(15, 30).time_range()];
    assert_eq!(new, SlotChanges { mark, affected: vec![whom], affected_times, ..SlotChanges::default() });
    let other = compare_off(AttentionReason::Hours, &[marked(AttentionReason::TimeOff)], at(-60));
    let mark = vec![(booked(15, 30).id, Some(AttentionReason::Hours))];
    assert_eq!(other, SlotChanges { mark, ..SlotChanges::default() }, "it was affected before");
    let again = compare_open(&[], &[marked(AttentionReason::TimeOff)], at(-60));
    assert_eq!(again, SlotChanges { mark: vec![(booked(15, 30).id, None)], ..SlotChanges::default() });
    assert!(compare_off(AttentionReason::Closure, &[marked(AttentionReason::Closure)], at(-60)).is_empty());
    assert!(compare_off(AttentionReason::Closure, &[booked(15, 30)], at(30)).is_empty(), "it is over");
    assert!(!compare_off(AttentionReason::Closure, &[booked(15, 30)], at(29)).is_empty(), "it is running");
}

#[test]
fn a_new_absence_affects_every_appointment_that_it_overlaps_even_if_it_was_affected_before() {
    let marked = Slot { off_plan: Some(AttentionReason::TimeOff), ..booked(15, 30) };
    let absence = |from, to, location_id| Absence {
        starts_at: at(from),
        ends_at: at(to),
        location_id: Some(location_id),
        why: AttentionReason::Closure,
    };
    let hit = |absence: Absence| {
        compare(&[], |_| Some(AttentionReason::TimeOff), &[absence], std::slice::from_ref(&marked), at(-60)).affected
    };
    assert_eq!(hit(absence(20, 60, location())), [AppointmentId(uuid::Uuid::nil())]);
    assert_eq!(hit(absence(30, 60, location())), [], "it begins afterwards");
    assert_eq!(hit(absence(20, 60, uuid::Uuid::from_u128(3).into())), [], "it is elsewhere");
}

#[test]
fn a_blocked_slot_goes_with_its_hours_and_stays_during_absences_and_with_another_slot_length() {
    let blocked = [Slot { blocked: true, ..slot(15, 30) }];
    assert_eq!(compare_off(AttentionReason::Hours, &blocked, at(-60)).remove, [blocked[0].id]);
    assert!(compare_off(AttentionReason::TimeOff, &blocked, at(-60)).is_empty());
    assert!(compare_off(AttentionReason::Closure, &blocked, at(-60)).is_empty());
    let recut = compare_open(&[want(0, 30), want(30, 60)], &blocked, at(-60));
    assert_eq!(recut, SlotChanges { add: vec![want(30, 60)], ..SlotChanges::default() });
}

#[test]
fn the_current_slot_stays() {
    assert_eq!(compare_off(AttentionReason::Hours, &[slot(0, 15)], at(5)), SlotChanges::default());
    assert_eq!(compare_open(&[want(10, 25)], &[slot(0, 15)], at(5)), SlotChanges::default());
}

#[test]
fn a_slot_at_another_location_is_another_slot() {
    let elsewhere = TimeRange { location_id: uuid::Uuid::from_u128(3).into(), ..want(0, 15) };
    let changes = compare_open(&[elsewhere], &[slot(0, 15)], at(-60));
    assert_eq!(changes, SlotChanges { remove: vec![slot(0, 15).id], add: vec![elsewhere], ..SlotChanges::default() });
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
    fn any_wanted()(parts in prop::collection::vec((0..3_i64, 1..7_i64), 0..30)) -> Vec<TimeRange> {
        let mut start = 0;
        parts.into_iter().map(|(gap, length)| {
            start += gap * 5;
            let end = start + length * 5;
            let range = want(start, end);
            start = end;
            range
        }).collect()
    }
}

prop_compose! {
    fn any_absences()(parts in prop::collection::vec((0..80_i64, 1..10_i64, 0..3_usize), 0..4)) -> Vec<(Timestamp, Timestamp, AttentionReason)> {
        parts.into_iter().map(|(start, length, why)| (at(start * 5), at((start + length) * 5), AttentionReason::ALL[why])).collect()
    }
}

proptest! {
    #[test]
    fn publishing_leaves_no_overlap_loses_no_booked_slot_and_has_nothing_more_to_change(
        there in any_there(), wanted in any_wanted(), absences in any_absences(), now in -10..200_i64,
    ) {
        let now = at(now);
        let off = |time: &TimeRange| {
            absences.iter().find(|(from, to, _)| time.overlaps(*from, *to)).map(|(_, _, why)| *why)
        };
        let wanted: Vec<TimeRange> =
            wanted.into_iter().filter(|range| range.starts_at > now && off(range).is_none()).collect();
        let there: Vec<Slot> = there.into_iter().filter(|slot| slot.ends_at > now).collect();
        let changes = compare(&wanted, off, &[], &there, now);
        let mut after: Vec<Slot> = there.iter().filter(|slot| !changes.remove.contains(&slot.id)).cloned().collect();
        for booked in there.iter().filter(|slot| slot.appointment_id.is_some()) {
            prop_assert!(after.contains(booked));
        }
        for held in there.iter().filter(|slot| slot.is_held(now, None) && slot.starts_at > now) {
            let given = wanted.contains(&held.time_range());
            prop_assert_eq!(after.contains(held), given || off(&held.time_range()).is_none());
        }
        for slot in &mut after {
            if let Some((_, why)) = changes.mark.iter().find(|(id, _)| *id == slot.id) {
                slot.off_plan = *why;
            }
            if slot.appointment_id.is_some() {
                prop_assert_eq!(slot.off_plan, off(&slot.time_range()));
            }
        }
        after.extend(changes.add.iter().enumerate().map(|(index, range)| Slot {
            id: uuid::Uuid::from_u128(100_000 + index as u128).into(),
            starts_at: range.starts_at,
            ends_at: range.ends_at,
            ..slot(0, 5)
        }));
        after.sort_by_key(|slot| slot.starts_at);
        for pair in after.windows(2) {
            prop_assert!(pair[0].ends_at <= pair[1].starts_at);
        }
        let is_free = |slot: &&Slot| slot.appointment_id.is_none() && !slot.blocked && !slot.is_held(now, None);
        for free in after.iter().filter(is_free).filter(|slot| slot.starts_at > now) {
            prop_assert!(wanted.iter().any(|want| want.starts_at == free.starts_at && want.ends_at == free.ends_at));
        }
        prop_assert!(compare(&wanted, off, &[], &after, now).is_empty());
    }
}
