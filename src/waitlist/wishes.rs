//! Which times suit a patient who waits. Pure.

use jiff::civil;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::types::{Date, json_columns};
use crate::error::{Check, FieldCode};
use crate::ids::{LocationId, PractitionerId};
use crate::scheduling::hours::weekly::{Weekday, parse_minute};
use crate::scheduling::slots::local::LocalFilter;

/// The most practitioners and the most locations.
const MAX_IDS: usize = 50;
/// The most weekdays.
const MAX_WEEKDAYS: usize = 7;

/// Where, with whom and at which times of the week. An empty list accepts all.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub struct Wishes {
    /// The practitioners. Empty for any.
    pub practitioner_ids: Vec<PractitionerId>,
    /// The locations. Empty for any.
    pub location_ids: Vec<LocationId>,
    /// The weekdays of the start, by the location's calendar. Empty for any.
    pub weekdays: Vec<Weekday>,
    /// The earliest time of day of the start by the location's clock, `HH:MM`, inclusive.
    pub from_time: Option<String>,
    /// The latest time of day of the start by the location's clock, `HH:MM`, exclusive.
    pub to_time: Option<String>,
}

json_columns!(Wishes);

impl Wishes {
    /// Checks the values.
    pub(super) fn check(&self, check: &mut Check) {
        check_list(check, "/practitioner_ids", &self.practitioner_ids, MAX_IDS);
        check_list(check, "/location_ids", &self.location_ids, MAX_IDS);
        check_list(check, "/weekdays", &self.weekdays, MAX_WEEKDAYS);
        let from = self.from_time.as_deref().map_or(Some(0), |text| check.field("/from_time", parse_minute(text)));
        let to = self.to_time.as_deref().map_or(Some(1440), |text| check.field("/to_time", parse_minute(text)));
        if let (Some(from), Some(to)) = (from, to) {
            let pointer = if self.to_time.is_some() { "/to_time" } else { "/from_time" };
            check.require(from < to, pointer, FieldCode::OutOfOrder, "from_time must be before to_time");
        }
    }
}

impl Wishes {
    /// Which starts suit by the local calendar and clock, between the first and the last day.
    pub(super) fn local(&self, from: Option<Date>, to: Option<Date>) -> LocalFilter {
        let minute = |text: &Option<String>| text.as_deref().and_then(|text| parse_minute(text).ok());
        let dates = from.map_or(civil::Date::MIN, |Date(day)| day)..=to.map_or(civil::Date::MAX, |Date(day)| day);
        LocalFilter {
            dates: (from.is_some() || to.is_some()).then_some(dates),
            weekdays: self.weekdays.clone(),
            minutes: minute(&self.from_time).unwrap_or(0)..minute(&self.to_time).unwrap_or(1440),
        }
    }

    /// Whether the practitioner and the location suit.
    pub(super) fn accept(&self, practitioner: PractitionerId, location: LocationId) -> bool {
        (self.practitioner_ids.is_empty() || self.practitioner_ids.contains(&practitioner))
            && (self.location_ids.is_empty() || self.location_ids.contains(&location))
    }
}

/// Requires that a list is short and has no value twice.
fn check_list<T: PartialEq>(check: &mut Check, pointer: &str, values: &[T], most: usize) {
    if values.len() > most {
        check.require(false, pointer, FieldCode::TooMany, format!("must have at most {most} values"));
        return;
    }
    for (index, value) in values.iter().enumerate() {
        let is_new = !values[..index].contains(value);
        check.require(is_new, format!("{pointer}/{index}"), FieldCode::Duplicate, "is in the list twice");
    }
}

/// Requires that the first day is not after the last one.
pub(super) fn check_days(check: &mut Check, from: Option<Date>, to: Option<Date>) {
    let in_order = from.zip(to).is_none_or(|(from, to)| from <= to);
    check.require(in_order, "/to_date", FieldCode::OutOfOrder, "must not be before from_date");
}
