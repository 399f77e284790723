//! A location as it is stored, with the rules for its values.

use diesel::prelude::*;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::locations;
use crate::error::{FieldCode, Result, Rule};
use crate::http::paging::Cursor;
use crate::ids::LocationId;
use crate::phone;
use crate::zones::Zones;

/// A location's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = locations)]
pub struct Location {
    pub id: LocationId,
    pub name: String,
    /// The postal address, in one line.
    pub address: String,
    /// The telephone number in E.164.
    pub phone: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// The IANA name of the time zone.
    pub time_zone: String,
    /// The length of the slots.
    pub slot_minutes: i32,
    /// Grows with each change.
    pub version: i32,
    /// The time at which it was created.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

impl Location {
    /// The time zone.
    ///
    /// # Errors
    /// A fault if the stored zone is unknown.
    pub fn zone(&self, zones: &Zones) -> Result<TimeZone> {
        zones.stored(&self.time_zone)
    }

    /// The telephone number in the format of the location's country.
    pub fn phone_shown(&self) -> String {
        phone::shown(&self.phone, phone::Country::of(&self.country))
    }
}

fn unknown_time_zone() -> Rule {
    Rule::new(FieldCode::UnknownTimeZone, "must be an IANA name such as America/New_York")
}

/// Checks the IANA name of a time zone. Returns it in the spelling of the data.
pub(super) fn zone_name(name: &str, zones: &Zones) -> Result<String, Rule> {
    let zone = zones.get(name).ok_or_else(unknown_time_zone)?;
    let known = zone.iana_name().filter(|known| !known.eq_ignore_ascii_case("Etc/Unknown"));
    known.map(str::to_owned).ok_or_else(unknown_time_zone)
}

/// Checks the length of a location's slots: a multiple of five minutes that divides the day.
pub(super) fn slot_minutes(minutes: i64) -> Result<i32, Rule> {
    match i32::try_from(minutes) {
        Ok(minutes @ 5..=240) if minutes % 5 == 0 && 1440 % minutes == 0 => Ok(minutes),
        _ => {
            Err(Rule::new(FieldCode::OutOfRange, "must be 5, 10, 15, 20, 30, 40, 45, 60, 80, 90, 120, 160, 180 or 240"))
        }
    }
}

/// Loads a location.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(conn: &mut Conn, id: LocationId) -> Result<Location> {
    Ok(locations::table.find(id).select(Location::as_select()).first(conn)?)
}

/// Loads locations, oldest first. The first of all is the clinic's first location ([`crate::clinic`]).
pub fn load(conn: &mut Conn, after: Option<Cursor>, rows: i64) -> Result<Vec<Location>> {
    let mut query = locations::table.select(Location::as_select()).into_boxed();
    if let Some(Cursor { at, id }) = after {
        let id = LocationId(id);
        query = query.filter(locations::created_at.gt(at).or(locations::created_at.eq(at).and(locations::id.gt(id))));
    }
    Ok(query.order((locations::created_at, locations::id)).limit(rows).load(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_in_the_spelling_of_the_data() {
        let zones = Zones::bundled();
        assert_eq!(zone_name("America/New_York", &zones), Ok("America/New_York".to_owned()));
        assert_eq!(zone_name("australia/lord_howe", &zones), Ok("Australia/Lord_Howe".to_owned()));
        for wrong in ["", "EST5EDT4", "Mars/Olympus", "+02:00", "America", "Local", "Etc/Unknown"] {
            assert!(zone_name(wrong, &zones).is_err(), "{wrong}");
        }
    }

    #[test]
    fn slot_lengths_divide_the_day() {
        for good in [5, 10, 15, 20, 30, 40, 45, 60, 80, 90, 120, 160, 180, 240] {
            assert!(slot_minutes(good).is_ok(), "{good}");
        }
        let accepted = (-10..=300).filter(|minutes| slot_minutes(*minutes).is_ok()).count();
        assert_eq!(accepted, 14);
    }
}
