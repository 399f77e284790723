//! The clinic's places, doctors and visits, a doctor's slots, and the pure rules between them.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::hours::Stretch;
use crate::clock::Timestamp;
use crate::db::schema::{locations, practitioners, slots, visit_types};
use crate::db::types::text_enum;
use crate::error::{Error, Result, Rule};
use crate::identifiers::Identifiers;
use crate::ids::{AppointmentId, HoldId, LocationId, PractitionerId, SlotId, VisitTypeId};
use crate::phone;

/// A place where the clinic sees patients.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = locations)]
pub struct Location {
    /// Its id.
    pub id: LocationId,
    /// What it is called.
    pub name: String,
    /// Where it is, in one line.
    pub address: String,
    /// E.164.
    pub phone: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// The IANA name of its time zone.
    pub time_zone: String,
    /// The length of its slots.
    pub slot_minutes: i32,
    /// Grows with each change.
    pub version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Location {
    /// Its time zone.
    ///
    /// # Errors
    /// A fault: no unknown zone is ever stored.
    pub fn zone(&self) -> Result<jiff::tz::TimeZone> {
        zone(&self.time_zone).map_err(|_| Error::fault(format!("location {} has an unknown time zone", self.id)))
    }

    /// Its telephone number as its country writes it.
    pub fn phone_shown(&self) -> String {
        phone::shown(&self.phone, phone::Country::of(&self.country))
    }
}

/// A kind of visit.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = visit_types)]
pub struct VisitType {
    /// Its id.
    pub id: VisitTypeId,
    /// What the staff call it.
    pub name: String,
    /// What mails and calendars call it; it gives nothing away.
    pub public_name: String,
    /// How long it takes.
    pub duration_minutes: i32,
    /// Whether patients may book it themselves.
    pub online_bookable: bool,
    /// How long before its start patients must book.
    pub booking_notice_minutes: i32,
    /// How long before its start patients may still cancel or move it.
    pub cancel_notice_minutes: i32,
    /// Whether it is offered at all.
    pub active: bool,
    /// Grows with each change.
    pub version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl VisitType {
    /// How long it takes.
    pub fn duration(&self) -> SignedDuration {
        SignedDuration::from_mins(self.duration_minutes.into())
    }

    /// The first instant at which a visit may start that a patient books now.
    pub fn earliest_for_patients(&self, now: Timestamp) -> Timestamp {
        now.plus(SignedDuration::from_mins(self.booking_notice_minutes.into()))
    }

    /// Whether somebody may book or hold it now from `slot` on. Staff may until the slot ends; patients only what is
    /// bookable online, before it starts, and with its notice.
    ///
    /// # Errors
    /// The conflicts `not_offered`, `not_online_bookable`, `slot_past` and `booking_notice`.
    pub fn bookable(&self, by_staff: bool, slot: &Slot, now: Timestamp) -> Result<()> {
        if !self.active {
            return Err(not_offered());
        }
        if by_staff {
            if slot.ends_at <= now {
                return Err(Error::conflict("slot_past", "The slot is over."));
            }
            return Ok(());
        }
        if !self.online_bookable {
            return Err(Error::conflict("not_online_bookable", "Call the clinic to book a visit of this kind."));
        }
        if slot.starts_at <= now {
            return Err(Error::conflict("slot_past", "The slot has begun."));
        }
        if slot.starts_at < self.earliest_for_patients(now) {
            return Err(Error::conflict(
                "booking_notice",
                format!("Book at least {} minutes ahead, or call the clinic.", self.booking_notice_minutes),
            ));
        }
        Ok(())
    }
}

/// The practitioner does not offer the visit type (any more).
pub fn not_offered() -> Error {
    Error::conflict("not_offered", "The doctor of this slot does not offer this visit type.")
}

/// What whoever asks for a slot that is not there any more is told: like one that is taken, it cannot be had.
pub fn gone() -> Error {
    Error::conflict("slot_taken", "The time is not offered any more.")
}

/// A doctor.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = practitioners)]
pub struct Practitioner {
    /// Its id.
    pub id: PractitionerId,
    /// As patients see it.
    pub name: String,
    /// Whether patients can be booked with them.
    pub active: bool,
    /// What other systems call them.
    pub identifiers: Identifiers,
    /// Of the practitioner with visit types and locations; grows with each change.
    pub version: i32,
    /// Of the weekly hours; grows with each change.
    pub availability_version: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

text_enum! {
    /// What departs from the weekly hours.
    ExceptionKind {
        /// The doctor is away.
        TimeOff = "time_off",
        /// The doctor is there beyond the weekly hours.
        ExtraHours = "extra_hours",
    }
}

text_enum! {
    /// Why the plan does not give a time that is booked.
    OffPlan {
        /// The doctor is away.
        TimeOff = "time_off",
        /// The location is closed.
        Closure = "closure",
        /// The doctor does not work there then (any more).
        Hours = "hours",
    }
}

/// A piece of a practitioner's time.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = slots)]
pub struct Slot {
    /// Its id.
    pub id: SlotId,
    /// Whose time it is.
    pub practitioner_id: PractitionerId,
    /// Where.
    pub location_id: LocationId,
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// The appointment that has it.
    pub appointment_id: Option<AppointmentId>,
    /// The hold that has or had it; see `held_until`.
    pub hold_id: Option<HoldId>,
    /// Until when the hold lasts; it lapses by the clock.
    pub held_until: Option<Timestamp>,
    /// Whether staff have blocked it.
    #[diesel(select_expression = slots::blocked_reason.is_not_null())]
    pub blocked: bool,
    /// Why the plan does not give it although it is booked.
    pub off_plan: Option<OffPlan>,
}

impl Slot {
    /// Its time and place.
    pub fn stretch(&self) -> Stretch {
        Stretch { starts_at: self.starts_at, ends_at: self.ends_at, location_id: self.location_id }
    }

    /// Whether a hold other than `own` lasts on it.
    pub fn is_held(&self, now: Timestamp, own: Option<HoldId>) -> bool {
        self.held_until.is_some_and(|until| until > now) && (own.is_none() || self.hold_id != own)
    }

    /// Whether it can be taken, by the owner of the hold `own` at least.
    pub fn is_free(&self, now: Timestamp, own: Option<HoldId>) -> bool {
        self.appointment_id.is_none() && !self.blocked && !self.is_held(now, own)
    }
}

/// Why a visit does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Another appointment is in the way.
    Taken,
    /// Somebody else holds a part of it.
    Held,
    /// Staff have blocked a part of it.
    Blocked,
    /// The doctor's time ends, pauses or changes place before the visit is over.
    TooShort,
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Self {
        let detail = match unfit {
            Unfit::Taken => "The slot is taken.",
            Unfit::Held => "Somebody else is about to book this slot.",
            Unfit::Blocked => "The slot is not free.",
            Unfit::TooShort => "The visit does not fit into the free time from this slot on.",
        };
        Self::conflict("slot_taken", detail)
    }
}

/// Whether a visit of `duration_minutes` fits into `slots`, which are all of one practitioner in the time of the visit,
/// in order: without a gap, in one place, as long as the visit, and each free or held by `hold`.
///
/// # Errors
/// The first reason why it does not.
pub fn fits(slots: &[Slot], duration_minutes: i32, now: Timestamp, hold: Option<HoldId>) -> Result<(), Unfit> {
    let Some(first) = slots.first() else { return Err(Unfit::TooShort) };
    let mut end = first.starts_at;
    for slot in slots {
        if slot.appointment_id.is_some() {
            return Err(Unfit::Taken);
        }
        if slot.blocked {
            return Err(Unfit::Blocked);
        }
        if slot.is_held(now, hold) {
            return Err(Unfit::Held);
        }
        // What is off the plan was this very visit's, which is moving: it goes as the visit leaves it.
        if slot.starts_at != end || slot.location_id != first.location_id || slot.off_plan.is_some() {
            return Err(Unfit::TooShort);
        }
        end = slot.ends_at;
    }
    let whole = first.starts_at.plus(SignedDuration::from_mins(duration_minutes.into()));
    if end == whole { Ok(()) } else { Err(Unfit::TooShort) }
}

/// Whether a visit can be made of whole slots.
pub fn is_multiple(duration_minutes: i32, slot_minutes: i32) -> bool {
    slot_minutes > 0 && duration_minutes % slot_minutes == 0
}

/// Reads the IANA name of a time zone. Only the bundled database counts, so that every machine knows the same zones.
///
/// # Errors
/// `unknown_time_zone`.
pub fn zone(name: &str) -> Result<jiff::tz::TimeZone, Rule> {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    bundled.get(name).map_err(|_| Rule::new("unknown_time_zone", "must be an IANA name such as America/New_York"))
}

/// Reads a time zone and gives its name in the database's own letters.
///
/// # Errors
/// `unknown_time_zone`.
pub fn zone_name(name: &str) -> Result<String, Rule> {
    let zone = zone(name)?;
    let known = zone.iana_name().filter(|known| !known.eq_ignore_ascii_case("Etc/Unknown"));
    known
        .map(str::to_owned)
        .ok_or_else(|| Rule::new("unknown_time_zone", "must be an IANA name such as America/New_York"))
}

/// Checks the length of a location's slots: a multiple of five minutes that divides the day.
///
/// # Errors
/// `out_of_range`.
pub fn slot_minutes(minutes: i64) -> Result<i32, Rule> {
    match i32::try_from(minutes) {
        Ok(minutes @ 5..=240) if minutes % 5 == 0 && 1440 % minutes == 0 => Ok(minutes),
        _ => Err(Rule::new("out_of_range", "must be 5, 10, 15, 20, 30, 40, 45, 60, 80, 90, 120, 160, 180 or 240")),
    }
}

/// Checks a number of minutes.
///
/// # Errors
/// `out_of_range`.
pub fn minutes_between(minutes: i64, least: i32, most: i32) -> Result<i32, Rule> {
    i32::try_from(minutes)
        .ok()
        .filter(|minutes| (least..=most).contains(minutes))
        .ok_or_else(|| Rule::new("out_of_range", format!("must be between {least} and {most}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_772_460_000_000_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(NOW).expect("an instant").plus(SignedDuration::from_mins(minutes))
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
    fn a_visit_fits_into_free_slots_that_follow_each_other() {
        assert_eq!(fits(&[slot(0, 15), slot(15, 30)], 30, at(0), None), Ok(()));
        assert_eq!(fits(&[slot(0, 30)], 30, at(0), None), Ok(()));
        assert_eq!(fits(&[], 30, at(0), None), Err(Unfit::TooShort));
        assert_eq!(fits(&[slot(0, 15)], 30, at(0), None), Err(Unfit::TooShort));
        assert_eq!(fits(&[slot(0, 15), slot(20, 35)], 30, at(0), None), Err(Unfit::TooShort));
        assert_eq!(fits(&[slot(0, 15), slot(15, 45)], 30, at(0), None), Err(Unfit::TooShort));
        let elsewhere = Slot { location_id: uuid::Uuid::from_u128(3).into(), ..slot(15, 30) };
        assert_eq!(fits(&[slot(0, 15), elsewhere], 30, at(0), None), Err(Unfit::TooShort));
    }

    #[test]
    fn a_hold_shuts_others_out_until_it_lapses_and_never_its_owner() {
        let slots = [slot(0, 15), held(15, 30, 7, 10)];
        let own = Some(uuid::Uuid::from_u128(7).into());
        let other = Some(uuid::Uuid::from_u128(8).into());
        assert_eq!(fits(&slots, 30, at(9), None), Err(Unfit::Held));
        assert_eq!(fits(&slots, 30, at(9), other), Err(Unfit::Held));
        assert_eq!(fits(&slots, 30, at(9), own), Ok(()));
        assert_eq!(fits(&slots, 30, at(10), None), Ok(()), "a hold of ten minutes is over after ten minutes");
    }

    #[test]
    fn time_zones_are_the_ones_of_the_bundled_database() {
        assert_eq!(zone_name("America/New_York"), Ok("America/New_York".to_owned()));
        assert_eq!(zone_name("australia/lord_howe"), Ok("Australia/Lord_Howe".to_owned()));
        for wrong in ["", "EST5EDT4", "Mars/Olympus", "+02:00", "America", "Local", "Etc/Unknown"] {
            assert!(zone_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn slot_lengths_divide_the_day() {
        for good in [5, 10, 15, 20, 30, 40, 45, 60, 80, 90, 120, 160, 180, 240] {
            assert!(slot_minutes(good).is_ok(), "{good}");
        }
        let wrong = (-10..=300).filter(|minutes| slot_minutes(*minutes).is_ok()).count();
        assert_eq!(wrong, 14);
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
        fn fits_agrees_with_a_look_at_every_minute(parts in prop::collection::vec(any_slot(), 0..6), duration in 1..7_i32, own in prop::option::of(7_u128..9)) {
            let mut slots = Vec::new();
            let mut clock = 0;
            for (index, (gap, part)) in parts.into_iter().enumerate() {
                let start = clock + if index == 0 { 0 } else { gap };
                let length = part.ends_at.since(part.starts_at).as_mins();
                slots.push(Slot { starts_at: at(start), ends_at: at(start + length), ..part });
                clock = start + length;
            }
            let (duration, now) = (duration * 15, at(10));
            let own = own.map(|id| HoldId::from(uuid::Uuid::from_u128(id)));
            let usable = |slot: &Slot| slot.appointment_id.is_none()
                && !slot.blocked
                && slot.location_id == slots[0].location_id
                && (slot.held_until.is_none_or(|until| until <= now) || (own.is_some() && slot.hold_id == own));
            let every_minute = !slots.is_empty() && (0..i64::from(duration)).all(|minute| {
                slots.iter().any(|slot| usable(slot) && slot.starts_at <= at(minute) && at(minute) < slot.ends_at)
            });
            let expected = every_minute && clock == i64::from(duration);
            prop_assert_eq!(fits(&slots, duration, now, own).is_ok(), expected);
        }
    }
}
