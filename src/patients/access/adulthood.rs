//! The age of adulthood. Access that was given for a minor ends on the birthday on which the patient reaches it.

use jiff::civil;
use jiff::tz::TimeZone;

use crate::clinic::first_location;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::patients::model::{Patient, Relation};

/// Returns the birthday on which a person becomes an adult. For a birth on 29 February it is 1 March in common years.
pub fn birthday(birth: civil::Date, adult_age: u8) -> civil::Date {
    let year = birth.year().saturating_add(i16::from(adult_age));
    let same_day = civil::Date::new(year, birth.month(), birth.day());
    same_day.or_else(|_| civil::Date::new(year, 3, 1)).unwrap_or(civil::Date::MAX)
}

/// The time zone of days, and the age of adulthood.
pub struct Calendar {
    zone: TimeZone,
    adult_age: u8,
}

/// The end of the access of another person to a minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The birthday.
    pub on: Date,
    /// The instant at which that day begins.
    pub at: Timestamp,
}

impl Calendar {
    /// The clinic's calendar, in the time zone of its first location, or in UTC if it has no location.
    pub fn of_clinic(conn: &mut Conn, env: &Env) -> Result<Self> {
        let zone = first_location(conn)?.and_then(|location| env.config.zones.get(&location.time_zone));
        let zone = zone.unwrap_or(TimeZone::UTC);
        Ok(Self { zone, adult_age: env.config.settings.adult_age })
    }

    /// Returns the day at an instant.
    pub fn day(&self, at: Timestamp) -> civil::Date {
        at.in_zone(&self.zone).date()
    }

    /// Returns whether the patient is a minor at an instant.
    pub fn is_minor(&self, patient: &Patient, at: Timestamp) -> bool {
        self.day(at) < birthday(patient.date_of_birth.0, self.adult_age)
    }

    /// Returns when access that was given at an instant ends. Access of another person that was given to a minor ends on the birthday
    /// on which the patient becomes an adult. All other access has no end.
    pub fn end(&self, relation: Relation, birth: Date, given: Timestamp) -> Option<End> {
        let end = self.adulthood(birth);
        (relation != Relation::Oneself && self.day(given) < end.on.0).then_some(end)
    }

    /// Like [`Calendar::end`], for access that goes on. If it had an end because it was for a minor (`had_end`), it keeps one, also if the
    /// patient had reached the age of adulthood, which is lower now, before it was given.
    pub fn end_of_continued(&self, relation: Relation, birth: Date, given: Timestamp, had_end: bool) -> Option<End> {
        let keeps_one = had_end && relation != Relation::Oneself;
        self.end(relation, birth, given).or_else(|| keeps_one.then(|| self.adulthood(birth)))
    }

    /// Returns when a patient becomes an adult.
    pub fn adulthood(&self, birth: Date) -> End {
        let on = birthday(birth.0, self.adult_age);
        let at = on.to_zoned(self.zone.clone()).map_or(Timestamp::MAX, |midnight| midnight.timestamp().into());
        End { on: Date(on), at }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn calendar(zone: &str) -> Calendar {
        Calendar { zone: crate::zones::Zones::bundled().get(zone).expect("a zone"), adult_age: 18 }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_patient_born_on_29_february_becomes_an_adult_on_1_march_in_a_common_year() {
        assert_eq!(birthday(date(2008, 2, 29), 18), date(2026, 3, 1));
        assert_eq!(birthday(date(2008, 2, 29), 16), date(2024, 2, 29));
        assert_eq!(birthday(date(2008, 2, 28), 18), date(2026, 2, 28));
        assert_eq!(birthday(date(2008, 3, 1), 18), date(2026, 3, 1));
    }

    #[test]
    fn access_ends_when_the_birthday_begins_in_the_time_zone_of_the_clinic() {
        let given = at("2026-03-02T14:00:00Z");
        let birth = Date(date(2010, 7, 4));
        let end = calendar("America/New_York").end(Relation::Parent, birth, given).expect("an end");
        assert_eq!(end, End { on: Date(date(2028, 7, 4)), at: at("2028-07-04T04:00:00Z") });
        // In Santiago the clocks went forward at midnight: the day begins at 01:00.
        let end =
            calendar("America/Santiago").end(Relation::Parent, Date(date(2001, 9, 8)), at("2019-09-07T12:00:00Z"));
        assert_eq!(end.expect("an end").at, at("2019-09-08T04:00:00Z"));
    }

    #[test]
    fn a_patients_own_access_and_access_given_for_an_adult_have_no_end() {
        let new_york = calendar("America/New_York");
        let birth = Date(date(2008, 3, 2));
        let (eve, day) = (at("2026-03-02T04:59:59Z"), at("2026-03-02T05:00:00Z"));
        assert_eq!(new_york.end(Relation::Oneself, birth, eve), None);
        assert!(new_york.end(Relation::Parent, birth, eve).is_some());
        assert_eq!(new_york.end(Relation::Caregiver, birth, day), None);
    }

    proptest! {
        #[test]
        fn adulthood_begins_once_and_not_before_the_years_are_full(days in 0..60_000_i32, age in 14..26_u8) {
            let birth = date(1900, 1, 1).saturating_add(jiff::Span::new().days(days));
            let on = birthday(birth, age);
            prop_assert_eq!(on.year() - birth.year(), i16::from(age));
            let full = birth.saturating_add(jiff::Span::new().years(age));
            prop_assert!(on == full || (birth.day() == 29 && on == full.tomorrow().expect("a day")));
        }
    }
}
