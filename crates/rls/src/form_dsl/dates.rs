//! Dates that may be known to the year or month only, and times of day.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{Answer, Kind, coded_error};

/// A date known to the year, the month or the day. It stands for the interval of the days that it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartialDate {
    /// `YYYY`.
    Year(i16),
    /// `YYYY-MM`.
    Month(i16, i8),
    /// `YYYY-MM-DD`.
    Day(Date),
}

impl PartialDate {
    /// Returns the first day of the interval.
    pub fn first(self) -> Date {
        match self {
            Self::Year(year) => Date::constant(year, 1, 1),
            Self::Month(year, month) => Date::constant(year, month, 1),
            Self::Day(day) => day,
        }
    }

    /// Returns the last day of the interval.
    pub fn last(self) -> Date {
        match self {
            Self::Year(year) => Date::constant(year, 12, 31),
            Self::Month(year, month) => Date::constant(year, month, 1).last_of_month(),
            Self::Day(day) => day,
        }
    }

    /// Returns the day, if it is known.
    pub fn day(self) -> Option<Date> {
        if let Self::Day(day) = self { Some(day) } else { None }
    }

    /// Returns whether the interval ends before the interval of `other` begins.
    pub fn surely_before(self, other: Self) -> bool {
        self.last() < other.first()
    }

    /// Returns whether the interval begins after `day`.
    pub fn surely_after_day(self, day: Date) -> bool {
        self.first() > day
    }

    /// Returns whether the interval ends before `day`.
    pub fn surely_before_day(self, day: Date) -> bool {
        self.last() < day
    }
}

impl FromStr for PartialDate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = |part: &str, length: usize| -> Option<i16> {
            (part.len() == length && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
        };
        let mut parts = text.split('-');
        let year = parts.next().and_then(|year| digits(year, 4)).filter(|year| *year >= 1).ok_or(())?;
        let month =
            parts.next().map(|month| digits(month, 2).and_then(|m| i8::try_from(m).ok()).ok_or(())).transpose()?;
        let day = parts.next().map(|day| digits(day, 2).and_then(|d| i8::try_from(d).ok()).ok_or(())).transpose()?;
        if parts.next().is_some() {
            return Err(());
        }
        match (month, day) {
            (None, _) => Ok(Self::Year(year)),
            (Some(month), None) => (1..=12).contains(&month).then_some(Self::Month(year, month)).ok_or(()),
            (Some(month), Some(day)) => Date::new(year, month, day).map(Self::Day).map_err(|_| ()),
        }
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Year(year) => write!(f, "{year:04}"),
            Self::Month(year, month) => write!(f, "{year:04}-{month:02}"),
            Self::Day(day) => write!(f, "{day}"),
        }
    }
}

impl Serialize for PartialDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PartialDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|()| coded_error(text::FieldCode::NotADate, "must be a date as YYYY, YYYY-MM or YYYY-MM-DD"))
    }
}

impl Answer for PartialDate {
    fn kind() -> Kind {
        Kind::PartialDate
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"))
            .into()
    }
}

/// A time of day in the local time of the patient, `HH:MM` from 00:00 to 23:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: u8,
    minute: u8,
}

impl TimeOfDay {
    /// Returns the minutes since midnight.
    pub fn minutes(self) -> i32 {
        i32::from(self.hour) * 60 + i32::from(self.minute)
    }
}

impl FromStr for TimeOfDay {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (hour, minute) = text.split_once(':').ok_or(())?;
        let read = |part: &str, below: u8| -> Option<u8> {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse().ok())?
                .filter(|n| *n < below)
        };
        Ok(Self { hour: read(hour, 24).ok_or(())?, minute: read(minute, 60).ok_or(())? })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|()| coded_error(text::FieldCode::NotATime, "must be a time as HH:MM from 00:00 to 23:59"))
    }
}

impl Answer for TimeOfDay {
    fn kind() -> Kind {
        Kind::Time
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$")).into()
    }
}

impl Answer for Date {
    fn kind() -> Kind {
        Kind::Date
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, SchemaFormat};
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> PartialDate {
        text.parse().expect("a date")
    }

    #[test]
    fn a_partial_date_is_the_interval_of_the_days_that_it_may_be() {
        assert_eq!(
            (date("2024").first().to_string(), date("2024").last().to_string()),
            ("2024-01-01".into(), "2024-12-31".into())
        );
        assert_eq!(date("2024-02").last().to_string(), "2024-02-29");
        assert!(date("2023").surely_before(date("2024-01")));
        assert!(!date("2024").surely_before(date("2024-07")), "it may be before and may be after");
    }

    #[test]
    fn a_partial_date_reads_only_its_three_forms_and_writes_them_unchanged() {
        for text in ["1967", "2009-03", "2026-02-28", "0999"] {
            assert_eq!(date(text).to_string(), text);
        }
        for wrong in [
            "",
            "0000",
            "26",
            "2026-13",
            "2026-2",
            "2026-02-30",
            "2026-02-01T00",
            "2026-",
            "+026",
            "２０２６",
            "-2026",
            "2026-02-01-",
        ] {
            assert!(wrong.parse::<PartialDate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_of_the_day_ends_before_midnight() {
        assert_eq!("23:59".parse::<TimeOfDay>().expect("a time").to_string(), "23:59");
        for wrong in ["24:00", "7:00", "07:60", "07:00:00", "0700", ""] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }
}
