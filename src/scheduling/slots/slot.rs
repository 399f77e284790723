//! A slot as it is stored, and the rule whether a visit fits into slots.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::slots;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{AppointmentId, HoldId, LocationId, PractitionerId, SlotId};
use crate::scheduling::hours::plan::AttentionReason;
use crate::scheduling::hours::weekly::TimeRange;
use crate::scheduling::visit_time::VisitTime;

/// A slot's row, without the reason of a block.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = slots)]
pub struct Slot {
    pub id: SlotId,
    pub practitioner_id: PractitionerId,
    pub location_id: LocationId,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The appointment that it is booked for.
    pub appointment_id: Option<AppointmentId>,
    /// The current or a lapsed hold; see `held_until`.
    pub hold_id: Option<HoldId>,
    /// The time at which the hold lapses.
    pub held_until: Option<Timestamp>,
    /// Whether staff blocked it.
    #[diesel(select_expression = slots::blocked_reason.is_not_null())]
    pub blocked: bool,
    /// Why the practitioner's hours do not cover it although it is booked.
    pub off_plan: Option<AttentionReason>,
}

impl Slot {
    /// The time and location.
    pub fn time_range(&self) -> TimeRange {
        TimeRange { starts_at: self.starts_at, ends_at: self.ends_at, location_id: self.location_id }
    }

    /// Whether a hold other than `own` has not lapsed.
    pub fn is_held(&self, now: Timestamp, own: Option<HoldId>) -> bool {
        self.held_until.is_some_and(|until| until > now) && (own.is_none() || self.hold_id != own)
    }
}

/// The condition in SQL that a slot is neither booked nor blocked. The index of free slots has the same condition.
#[diesel::dsl::auto_type]
pub(super) fn is_open() -> _ {
    slots::appointment_id.is_null().and(slots::blocked_reason.is_null())
}

/// The condition in SQL that a slot is free: what [`check_fit`] requires of each slot.
#[diesel::dsl::auto_type]
pub(super) fn is_free(now: Timestamp, hold: Option<HoldId>) -> _ {
    let is_lapsed = slots::held_until.is_null().or(slots::held_until.le(now));
    is_open().and(is_lapsed.or(slots::hold_id.eq(hold)))
}

/// Returns the conflict for a slot that does not exist any more. To the caller it is like one that is taken.
pub fn slot_gone() -> Error {
    Error::conflict(ProblemCode::SlotTaken, "The slot is not offered any more. Search for another one.")
}

/// Why a visit does not fit into slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoesNotFit {
    /// A slot is booked.
    Taken,
    /// Another caller holds a slot.
    Held,
    /// Staff blocked a slot.
    Blocked,
    /// The practitioner's time ends, pauses or changes the location before the visit ends.
    TooShort,
}

impl From<DoesNotFit> for Error {
    fn from(unfit: DoesNotFit) -> Self {
        let detail = match unfit {
            DoesNotFit::Taken => "The slot is taken.",
            DoesNotFit::Held => "Another caller holds this slot.",
            DoesNotFit::Blocked => "The slot is not free.",
            DoesNotFit::TooShort => "The free time around this slot is too short for the visit.",
        };
        Self::conflict(ProblemCode::SlotTaken, detail)
    }
}

impl Slot {
    /// Why a visit cannot take it; none if it is free, or held by `hold`.
    fn unavailable(&self, now: Timestamp, hold: Option<HoldId>) -> Option<DoesNotFit> {
        if self.appointment_id.is_some() {
            Some(DoesNotFit::Taken)
        } else if self.blocked {
            Some(DoesNotFit::Blocked)
        } else if self.is_held(now, hold) {
            Some(DoesNotFit::Held)
        } else {
            None
        }
    }
}

/// Checks that a visit fits into `slots`: all slots of one practitioner in the working time of the visit, in order. They must have no
/// gap and one location, begin and end with the working time, and each be free or held by `hold`.
///
/// # Errors
/// The first reason why the visit does not fit.
pub fn check_fit(slots: &[Slot], visit: VisitTime, now: Timestamp, hold: Option<HoldId>) -> Result<(), DoesNotFit> {
    check(slots, visit, |slot| slot.unavailable(now, hold))
}

/// Checks like [`check_fit`] that a visit fits if it may share the time of other visits. Blocked time stays blocked, and a time that
/// another caller holds may be booked any moment.
///
/// # Errors
/// The first reason why the visit does not fit.
pub fn check_overbooking(
    slots: &[Slot],
    visit: VisitTime,
    now: Timestamp,
    hold: Option<HoldId>,
) -> Result<(), DoesNotFit> {
    check(slots, visit, |slot| slot.unavailable(now, hold).filter(|unfit| *unfit != DoesNotFit::Taken))
}

fn check(slots: &[Slot], visit: VisitTime, refuse: impl Fn(&Slot) -> Option<DoesNotFit>) -> Result<(), DoesNotFit> {
    let Some(first) = slots.first() else { return Err(DoesNotFit::TooShort) };
    let mut end = visit.busy_from;
    for slot in slots {
        if let Some(unfit) = refuse(slot) {
            return Err(unfit);
        }
        // A slot that is off the plan was booked for the visit that is moving, or for the visit whose time is to be shared. It is deleted
        // when the last visit leaves it.
        if slot.starts_at != end || slot.location_id != first.location_id || slot.off_plan.is_some() {
            return Err(DoesNotFit::TooShort);
        }
        end = slot.ends_at;
    }
    if end == visit.busy_until { Ok(()) } else { Err(DoesNotFit::TooShort) }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::scheduling::visit_time::VisitLength;

    const NOW: i64 = 1_772_460_000_000_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(NOW).expect("an instant").plus(SignedDuration::from_mins(minutes))
    }

    /// A visit with buffers, by the minutes of its working time and its own start.
    fn visit(busy_from: i64, start: i64, minutes: i32, after: i32) -> VisitTime {
        let before = i32::try_from(start - busy_from).expect("small");
        VisitLength::of_minutes(before, minutes, after).starting(at(start))
    }

    fn slot(start: i64, end: i64) -> Slot {
        Slot {
            id: uuid::Uuid::from_u128(u128::try_from(start).expect("positive")).into(),
            practitioner_id: uuid::Uuid::from_u128(1).into(),
            location_id: uuid::Uuid::from_u128(2).into(),
            starts_at: at(start),
            ends_at: at(end),
            appointment_id: None,
            hold_id: None,
            held_until: None,
            blocked: false,
            off_plan: None,
        }
    }

    fn held(start: i64, end: i64, hold: u128, until: i64) -> Slot {
        Slot { hold_id: Some(uuid::Uuid::from_u128(hold).into()), held_until: Some(at(until)), ..slot(start, end) }
    }

    #[test]
    fn a_visit_fits_into_consecutive_free_slots() {
        assert_eq!(check_fit(&[slot(0, 15), slot(15, 30)], visit(0, 0, 30, 0), at(0), None), Ok(()));
        assert_eq!(check_fit(&[slot(0, 30)], visit(0, 0, 30, 0), at(0), None), Ok(()));
        assert_eq!(check_fit(&[], visit(0, 0, 30, 0), at(0), None), Err(DoesNotFit::TooShort));
        assert_eq!(check_fit(&[slot(0, 15)], visit(0, 0, 30, 0), at(0), None), Err(DoesNotFit::TooShort));
        assert_eq!(check_fit(&[slot(0, 15), slot(20, 35)], visit(0, 0, 30, 0), at(0), None), Err(DoesNotFit::TooShort));
        assert_eq!(check_fit(&[slot(0, 15), slot(15, 45)], visit(0, 0, 30, 0), at(0), None), Err(DoesNotFit::TooShort));
        let four = [slot(0, 15), slot(15, 30), slot(30, 45), slot(45, 60)];
        assert_eq!(check_fit(&four, visit(0, 15, 30, 15), at(0), None), Ok(()));
        assert_eq!(check_fit(&four[1..], visit(0, 15, 30, 15), at(0), None), Err(DoesNotFit::TooShort));
        assert_eq!(check_fit(&four[..3], visit(0, 15, 30, 15), at(0), None), Err(DoesNotFit::TooShort));
        let elsewhere = Slot { location_id: uuid::Uuid::from_u128(3).into(), ..slot(15, 30) };
        assert_eq!(check_fit(&[slot(0, 15), elsewhere], visit(0, 0, 30, 0), at(0), None), Err(DoesNotFit::TooShort));
    }

    #[test]
    fn an_overbooked_visit_shares_booked_time_but_not_held_blocked_or_off_plan_time() {
        let booked = Slot { appointment_id: Some(uuid::Uuid::from_u128(5).into()), ..slot(0, 15) };
        let time = visit(0, 0, 30, 0);
        let check = |first: &Slot, second: Slot| check_overbooking(&[first.clone(), second], time, at(0), None);
        assert_eq!(check(&booked, slot(15, 30)), Ok(()));
        assert_eq!(check(&booked, held(15, 30, 7, 10)), Err(DoesNotFit::Held));
        assert_eq!(check(&booked, Slot { blocked: true, ..slot(15, 30) }), Err(DoesNotFit::Blocked));
        assert_eq!(check(&booked, slot(15, 45)), Err(DoesNotFit::TooShort));
        let off_plan = Slot { off_plan: Some(AttentionReason::TimeOff), ..booked.clone() };
        assert_eq!(check(&off_plan, slot(15, 30)), Err(DoesNotFit::TooShort));
    }

    #[test]
    fn a_hold_excludes_others_until_it_lapses_but_not_its_owner() {
        let slots = [slot(0, 15), held(15, 30, 7, 10)];
        let own = Some(uuid::Uuid::from_u128(7).into());
        let other = Some(uuid::Uuid::from_u128(8).into());
        assert_eq!(check_fit(&slots, visit(0, 0, 30, 0), at(9), None), Err(DoesNotFit::Held));
        assert_eq!(check_fit(&slots, visit(0, 0, 30, 0), at(9), other), Err(DoesNotFit::Held));
        assert_eq!(check_fit(&slots, visit(0, 0, 30, 0), at(9), own), Ok(()));
        assert_eq!(
            check_fit(&slots, visit(0, 0, 30, 0), at(10), None),
            Ok(()),
            "a hold of ten minutes is over after ten minutes"
        );
    }

    prop_compose! {
        fn any_slot()(gap in prop_oneof![9 => Just(0_i64), 1 => 1_i64..20], length in prop_oneof![9 => Just(15_i64), 1 => 5_i64..30],
            place in prop_oneof![9 => Just(2_u128), 1 => Just(3_u128)], booked in prop::bool::weighted(0.05),
            blocked in prop::bool::weighted(0.05), hold in prop::option::weighted(0.3, (7_u128..9, 0_i64..20))) -> (i64, Slot) {
            let base = Slot {
                location_id: uuid::Uuid::from_u128(place).into(),
                appointment_id: booked.then(|| uuid::Uuid::from_u128(5).into()),
                hold_id: hold.map(|(id, _)| uuid::Uuid::from_u128(id).into()),
                held_until: hold.map(|(_, until)| at(until)),
                blocked,
                ..slot(0, length)
            };
            (gap, base)
        }
    }

    proptest! {
        #[test]
        fn check_fit_agrees_with_a_check_of_every_minute(parts in prop::collection::vec(any_slot(), 0..6), lengths in (0..2_i32, 1..5_i32, 0..2_i32), own in prop::option::of(7_u128..9)) {
            let mut slots = Vec::new();
            let mut clock = 0;
            for (index, (gap, part)) in parts.into_iter().enumerate() {
                let start = clock + if index == 0 { 0 } else { gap };
                let length = part.ends_at.since(part.starts_at).as_mins();
                slots.push(Slot { starts_at: at(start), ends_at: at(start + length), ..part });
                clock = start + length;
            }
            let now = at(10);
            let length = VisitLength::of_minutes(lengths.0 * 15, lengths.1 * 15, lengths.2 * 15);
            let time = length.starting(at(0).plus(length.before));
            let duration = i64::from(15 * (lengths.0 + lengths.1 + lengths.2));
            let own = own.map(|id| HoldId::from(uuid::Uuid::from_u128(id)));
            let usable = |slot: &Slot| slot.appointment_id.is_none()
                && !slot.blocked
                && slot.location_id == slots[0].location_id
                && (slot.held_until.is_none_or(|until| until <= now) || (own.is_some() && slot.hold_id == own));
            let every_minute = !slots.is_empty() && (0..duration).all(|minute| {
                slots.iter().any(|slot| usable(slot) && slot.starts_at <= at(minute) && at(minute) < slot.ends_at)
            });
            let expected = every_minute && clock == duration;
            prop_assert_eq!(check_fit(&slots, time, now, own).is_ok(), expected);
        }
    }
}
