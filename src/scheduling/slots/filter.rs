//! The filters that the slot search and the calendar of days share.

use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Deserialize;

use super::free::SlotQuery;
use super::local::LocalFilter;
use super::offering::Offering;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Tx};
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::input::Several;
use crate::ids::{LocationId, PractitionerId, VisitTypeId};
use crate::scheduling::hours::weekly::{self, Weekday, parse_minute};

/// What kind of visit is searched, and where and when by the local clock. All filters that are given must match. A filter with several
/// values accepts each of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StartFilter {
    /// The kind of visit.
    visit_type_id: VisitTypeId,
    /// The practitioners, at most 50.
    #[param(value_type = Option<Vec<PractitionerId>>, style = Form, explode = false, max_items = 50)]
    practitioner_id: Option<Several<PractitionerId>>,
    /// The locations, at most 50.
    #[param(value_type = Option<Vec<LocationId>>, style = Form, explode = false, max_items = 50)]
    location_id: Option<Several<LocationId>>,
    /// The weekdays of the start, by the location's calendar.
    #[param(value_type = Option<Vec<Weekday>>, style = Form, explode = false, max_items = 7)]
    weekday: Option<Several<Weekday>>,
    /// The earliest time of day of the start by the location's clock, `HH:MM`, inclusive.
    #[param(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "09:00")]
    from_time: Option<String>,
    /// The latest time of day of the start by the location's clock, `HH:MM`, exclusive, at most `24:00`.
    #[param(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", example = "12:00")]
    to_time: Option<String>,
}

/// The checked filters.
#[derive(Debug, Clone)]
pub struct Starts {
    /// The kind of visit.
    pub visit_type: VisitTypeId,
    practitioners: Vec<PractitionerId>,
    locations: Vec<LocationId>,
    /// The filters by the local clock.
    pub local: LocalFilter,
}

impl StartFilter {
    /// Checks the values.
    pub fn parse(self, check: &mut Check) -> Starts {
        let mut local = LocalFilter { weekdays: Several::of(self.weekday), ..LocalFilter::default() };
        if let Some(minute) = self.from_time.and_then(|text| check.field("?from_time", parse_minute(&text))) {
            local.minutes.start = minute;
        }
        if let Some(minute) = self.to_time.and_then(|text| check.field("?to_time", parse_minute(&text))) {
            local.minutes.end = minute;
        }
        check.require(!local.minutes.is_empty(), "?to_time", FieldCode::OutOfRange, "must be later than from_time");
        let (practitioners, locations) = (Several::of(self.practitioner_id), Several::of(self.location_id));
        Starts { visit_type: self.visit_type_id, practitioners, locations, local }
    }
}

impl Starts {
    /// Loads what is offered of the visit type.
    ///
    /// # Errors
    /// A broken rule if there is no such visit type.
    pub fn offering(&self, tx: &mut Tx<Anonymous>) -> Result<Arc<Offering>> {
        Offering::find(tx.conn, tx.env, self.visit_type).map_err(|error| match error {
            Error::NotFound => {
                Error::invalid("?visit_type_id", FieldCode::UnknownReference, "there is no such visit type")
            }
            other => other,
        })
    }

    /// The search from `from` until `to`.
    pub fn query(
        self,
        visit: &Offering,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
        by_staff: bool,
    ) -> SlotQuery {
        let Self { practitioners, locations, local, .. } = self;
        SlotQuery { practitioners, locations, local, to, ..SlotQuery::new(visit, from, now, by_staff) }
    }
}

/// Returns the instants between which any location has these dates; none without locations.
pub fn span_of(visit: &Offering, dates: &RangeInclusive<Date>) -> Option<(Timestamp, Timestamp)> {
    let after = dates.end().saturating_add(1.day());
    let first = visit.zones.values().map(|zone| weekly::midnight(*dates.start(), zone)).min();
    let last = visit.zones.values().map(|zone| weekly::midnight(after, zone)).max();
    first.zip(last)
}
