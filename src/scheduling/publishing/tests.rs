//! The comparison of what the hours want with what is there.

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
    }
}

fn booked(start: i64, end: i64) -> Slot {
    Slot { appointment_id: Some(AppointmentId(uuid::Uuid::nil())), ..slot(start, end) }
}

fn held(start: i64, end: i64, until: i64) -> Slot {
    Slot { hold_id: Some(HoldId(uuid::Uuid::nil())), held_until: Some(at(until)), ..slot(start, end) }
}

#[test]
fn what_agrees_stays_and_nothing_is_to_do() {
    let there = [slot(0, 15), booked(15, 30), held(30, 45, 5), Slot { blocked: true, ..slot(45, 60) }];
    assert!(plan(&[want(0, 15), want(15, 30), want(30, 45), want(45, 60)], &there, at(-60)).is_empty());
}

#[test]
fn a_booked_or_held_slot_stays_when_the_hours_move_and_nothing_is_laid_over_it() {
    let there = [slot(0, 15), booked(15, 30), slot(30, 45), held(45, 60, 5), slot(60, 75)];
    let found = plan(&[want(0, 30), want(30, 60), want(60, 90)], &there, at(-60));
    assert_eq!(found.remove, [slot(0, 15).id, slot(30, 45).id, slot(60, 75).id]);
    assert_eq!(found.add, [want(60, 90)]);
}

#[test]
fn a_hold_that_has_lapsed_keeps_nothing() {
    assert_eq!(plan(&[], &[held(30, 45, 5)], at(5)).remove, [slot(30, 45).id]);
    assert_eq!(plan(&[], &[held(30, 45, 5)], at(4)).remove, []);
}

#[test]
fn a_block_goes_with_its_hours_and_stays_while_they_are_cut_otherwise() {
    let blocked = Slot { blocked: true, ..slot(15, 30) };
    assert_eq!(plan(&[], std::slice::from_ref(&blocked), at(-60)).remove, [blocked.id]);
    let recut = plan(&[want(0, 30), want(30, 60)], std::slice::from_ref(&blocked), at(-60));
    assert_eq!(recut, Plan { remove: vec![], add: vec![want(30, 60)] });
}

#[test]
fn the_slot_that_is_running_stays() {
    assert_eq!(plan(&[want(10, 25)], &[slot(0, 15)], at(5)), Plan::default());
}

#[test]
fn at_another_place_it_is_another_slot() {
    let elsewhere = Stretch { location_id: uuid::Uuid::from_u128(3).into(), ..want(0, 15) };
    assert_eq!(
        plan(&[elsewhere], &[slot(0, 15)], at(-60)),
        Plan { remove: vec![slot(0, 15).id], add: vec![elsewhere] }
    );
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

proptest! {
    #[test]
    fn after_a_plan_nothing_overlaps_nobody_lost_a_slot_and_a_second_plan_is_empty(
        there in any_there(), wanted in any_wanted(), now in -10..200_i64,
    ) {
        let now = at(now);
        let wanted: Vec<Stretch> = wanted.into_iter().filter(|stretch| stretch.starts_at > now).collect();
        let there: Vec<Slot> = there.into_iter().filter(|slot| slot.ends_at > now).collect();
        let plan = plan(&wanted, &there, now);
        let mut after: Vec<Slot> = there.iter().filter(|slot| !plan.remove.contains(&slot.id)).cloned().collect();
        for kept in there.iter().filter(|slot| slot.appointment_id.is_some() || slot.is_held(now, None)) {
            prop_assert!(after.contains(kept));
        }
        after.extend(plan.add.iter().enumerate().map(|(index, stretch)| Slot {
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
        prop_assert!(super::plan(&wanted, &after, now).is_empty());
    }
}
