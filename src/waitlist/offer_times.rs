//! Until when an offer that is made now can be answered. The quiet hours are those of the location of the offered time: its patients live
//! there.

use std::collections::HashMap;

use diesel::prelude::*;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::config::quiet_hours::QuietHours;
use crate::context::Tx;
use crate::db::schema::locations;
use crate::env::Env;
use crate::error::Result;
use crate::ids::LocationId;

/// What the clock of a location says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hours {
    /// An offer that is made now ends at this instant.
    Open(Timestamp),
    /// The location has quiet hours until this instant. The service offers no time there until then.
    Quiet(Timestamp),
}

/// The hours of all locations at one instant.
pub(super) struct OfferTimes(HashMap<LocationId, Hours>);

impl OfferTimes {
    /// Reads the zones of all locations.
    pub fn load<P>(tx: &mut Tx<P>) -> Result<Self> {
        let places: Vec<(LocationId, String)> =
            locations::table.select((locations::id, locations::time_zone)).load(tx.conn)?;
        let (mut all, mut by_zone) = (HashMap::new(), HashMap::<String, Hours>::new());
        for (id, time_zone) in places {
            let known = by_zone.get(&time_zone).copied();
            let hours = match known {
                Some(hours) => hours,
                None => hours_of(tx.env, tx.now, &time_zone)?,
            };
            all.insert(id, hours);
            by_zone.insert(time_zone, hours);
        }
        Ok(Self(all))
    }

    /// Returns the end of an offer of a time at the location; none in its quiet hours.
    pub fn until(&self, location: LocationId) -> Option<Timestamp> {
        match self.0.get(&location)? {
            Hours::Open(until) => Some(*until),
            Hours::Quiet(_) => None,
        }
    }

    /// Returns the end of the quiet hours that the location has now.
    pub fn quiet_until(&self, location: LocationId) -> Option<Timestamp> {
        match self.0.get(&location)? {
            Hours::Open(_) => None,
            Hours::Quiet(until) => Some(*until),
        }
    }

    /// Returns the earliest end of an offer at any location; none while all have quiet hours.
    pub fn first_end(&self) -> Option<Timestamp> {
        self.0.keys().filter_map(|location| self.until(*location)).min()
    }

    /// Returns when the next location ends its quiet hours; none if no location has any now.
    pub fn next_morning(&self) -> Option<Timestamp> {
        self.0.keys().filter_map(|location| self.quiet_until(*location)).min()
    }
}

fn hours_of(env: &Env, now: Timestamp, time_zone: &str) -> Result<Hours> {
    let zone = env.config.zones.stored(time_zone)?;
    let end = env.config.settings.quiet_hours.end_after(now, &zone);
    if end > now {
        return Ok(Hours::Quiet(end));
    }
    until(env, now, time_zone).map(Hours::Open)
}

/// Returns the end of an offer that is made now, by the clock of its location.
pub(super) fn until(env: &Env, now: Timestamp, time_zone: &str) -> Result<Timestamp> {
    let (zone, settings) = (env.config.zones.stored(time_zone)?, &env.config.settings);
    Ok(ends_at(settings.quiet_hours, now, settings.waitlist_offer_minutes, &zone))
}

/// The end of an offer of so many minutes. It does not run in the quiet hours.
fn ends_at(quiet: QuietHours, from: Timestamp, minutes: u16, zone: &TimeZone) -> Timestamp {
    (0..minutes).fold(from, |at, _| quiet.end_after(at, zone).plus(SignedDuration::from_mins(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_does_not_run_in_the_quiet_hours() {
        let zone = crate::zones::Zones::bundled().get("America/New_York").expect("a zone");
        let ends = |hours: &str, from: &str| {
            let quiet = hours.parse().expect("quiet hours");
            ends_at(quiet, from.parse().expect("an instant"), 120, &zone).to_string()
        };
        assert_eq!(ends("21:00-08:00", "2026-03-02T14:00:00Z"), "2026-03-02T16:00:00Z");
        // 19:00: it ends with the day. 20:30: half an hour, and 90 minutes from 08:00 on. 23:00: two hours from 08:00 on.
        assert_eq!(ends("21:00-08:00", "2026-03-03T00:00:00Z"), "2026-03-03T02:00:00Z");
        assert_eq!(ends("21:00-08:00", "2026-03-03T01:30:00Z"), "2026-03-03T14:30:00Z");
        assert_eq!(ends("21:00-08:00", "2026-03-03T04:00:00Z"), "2026-03-03T15:00:00Z");
        // The night in which the clocks go forward.
        assert_eq!(ends("21:00-08:00", "2026-03-08T01:30:00Z"), "2026-03-08T13:30:00Z");
        assert_eq!(ends("off", "2026-03-03T01:30:00Z"), "2026-03-03T03:30:00Z");
    }
}
