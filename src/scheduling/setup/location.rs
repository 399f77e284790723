//! A location as it is stored, with the rules for its values.

use diesel::prelude::*;
use jiff::tz::TimeZone;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

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
    /// Whether its time zone has changed since its visits were last compared with the local times that patients were told.
    pub zone_scan_due: bool,
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

/// The lengths of slots in minutes: the multiples of five up to four hours that divide the day.
pub const SLOT_LENGTHS: [i32; 14] = [5, 10, 15, 20, 30, 40, 45, 60, 80, 90, 120, 160, 180, 240];

/// One of [`SLOT_LENGTHS`], for the document.
pub(super) struct SlotMinutes;

impl PartialSchema for SlotMinutes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .description(Some("The length of a location's slots in minutes."))
            .minimum(SLOT_LENGTHS.first().copied())
            .maximum(SLOT_LENGTHS.last().copied())
            .enum_values(Some(SLOT_LENGTHS))
            .into()
    }
}

impl ToSchema for SlotMinutes {}

/// Checks the length of a location's slots.
pub(super) fn slot_minutes(minutes: i64) -> Result<i32, Rule> {
    let known = SLOT_LENGTHS.iter().find(|length| i64::from(**length) == minutes);
    known.copied().ok_or_else(|| {
        let lengths: Vec<_> = SLOT_LENGTHS.iter().map(ToString::to_string).collect();
        Rule::new(FieldCode::NotAnOption, format!("must be one of {}", lengths.join(", ")))
    })
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
    fn the_slot_lengths_are_the_multiples_of_five_that_divide_the_day() {
        let divides = |minutes: &i64| *minutes > 0 && minutes % 5 == 0 && 1440 % minutes == 0;
        let accepted: Vec<_> = (-10..=300).filter(|minutes| slot_minutes(*minutes).is_ok()).collect();
        assert_eq!(accepted, (1..=240).filter(divides).collect::<Vec<_>>());
    }
}
