//! Coming of age: the day from which nobody acts for a patient any more by what was given to them for a child.

use diesel::prelude::*;
use jiff::civil;
use jiff::tz::TimeZone;

use super::model::{Patient, Relation};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::locations;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;

/// The birthday with which somebody comes of age. Born on 29 February, one is older on 1 March in common years.
pub fn birthday(birth: civil::Date, adult_age: u8) -> civil::Date {
    let year = birth.year().saturating_add(i16::from(adult_age));
    let same_day = civil::Date::new(year, birth.month(), birth.day());
    same_day.or_else(|_| civil::Date::new(year, 3, 1)).unwrap_or(civil::Date::MAX)
}

/// Where days are reckoned, and from which age somebody is an adult.
pub struct Calendar {
    zone: TimeZone,
    adult_age: u8,
}

/// When the access of another person to a minor is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The birthday.
    pub on: Date,
    /// When that day begins.
    pub at: Timestamp,
}

impl Calendar {
    /// The clinic's: days begin where its first location is. Without any location they are those of UTC.
    ///
    /// The table is scheduling's; this asks it for no more than the zone.
    ///
    /// # Errors
    /// The database's.
    pub fn of_clinic(conn: &mut Conn, env: &Env) -> Result<Self> {
        let zone: Option<String> = locations::table
            .order((locations::created_at, locations::id))
            .select(locations::time_zone)
            .first(conn)
            .optional()?;
        let zone = zone.and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC);
        Ok(Self { zone, adult_age: env.config.settings.adult_age })
    }

    /// The day at an instant.
    pub fn day(&self, at: Timestamp) -> civil::Date {
        at.in_zone(&self.zone).date()
    }

    /// Whether the patient is under age at an instant.
    pub fn is_minor(&self, patient: &Patient, at: Timestamp) -> bool {
        self.day(at) < birthday(patient.date_of_birth.0, self.adult_age)
    }

    /// When access that was given at an instant ends: on the birthday with which the patient comes of age, for another person
    /// and if it was given before; else never by itself.
    pub fn end(&self, relation: Relation, birth: Date, given: Timestamp) -> Option<End> {
        let on = birthday(birth.0, self.adult_age);
        if relation == Relation::Oneself || self.day(given) >= on {
            return None;
        }
        let at = on.to_zoned(self.zone.clone()).map_or(given, |midnight| Timestamp::from(midnight.timestamp()));
        Some(End { on: Date(on), at })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn calendar(zone: &str) -> Calendar {
        Calendar { zone: TimeZone::get(zone).expect("a zone"), adult_age: 18 }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn who_was_born_on_29_february_comes_of_age_on_1_march_in_a_common_year() {
        assert_eq!(birthday(date(2008, 2, 29), 18), date(2026, 3, 1));
        assert_eq!(birthday(date(2008, 2, 29), 16), date(2024, 2, 29));
        assert_eq!(birthday(date(2008, 2, 28), 18), date(2026, 2, 28));
        assert_eq!(birthday(date(2008, 3, 1), 18), date(2026, 3, 1));
    }

    #[test]
    fn access_ends_when_the_birthday_begins_where_the_clinic_is() {
        let given = at("2026-03-02T14:00:00Z");
        let birth = Date(date(2010, 7, 4));
        let end = calendar("America/New_York").end(Relation::Parent, birth, given).expect("an end");
        assert_eq!(end, End { on: Date(date(2028, 7, 4)), at: at("2028-07-04T04:00:00Z") });
        // In Santiago the clocks jumped ahead at midnight: the day begins at one.
        let end =
            calendar("America/Santiago").end(Relation::Parent, Date(date(2001, 9, 8)), at("2019-09-07T12:00:00Z"));
        assert_eq!(end.expect("an end").at, at("2019-09-08T04:00:00Z"));
    }

    #[test]
    fn ones_own_access_and_what_was_given_for_an_adult_have_no_end() {
        let new_york = calendar("America/New_York");
        let birth = Date(date(2008, 3, 2));
        let (eve, day) = (at("2026-03-02T04:59:59Z"), at("2026-03-02T05:00:00Z"));
        assert_eq!(new_york.end(Relation::Oneself, birth, eve), None);
        assert!(new_york.end(Relation::Parent, birth, eve).is_some());
        assert_eq!(new_york.end(Relation::Caregiver, birth, day), None);
    }

    proptest! {
        #[test]
        fn one_comes_of_age_once_and_not_before_the_years_are_full(days in 0..60_000_i32, age in 14..26_u8) {
            let birth = date(1900, 1, 1).saturating_add(jiff::Span::new().days(days));
            let on = birthday(birth, age);
            prop_assert_eq!(on.year() - birth.year(), i16::from(age));
            let full = birth.saturating_add(jiff::Span::new().years(age));
            prop_assert!(on == full || (birth.day() == 29 && on == full.tomorrow().expect("a day")));
        }
    }
}
