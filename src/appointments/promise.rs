//! The local time that a patient was told. It stays when the law of a time zone changes, or when the zone of the location is corrected, and the
//! instant does not show it any more.

use diesel::prelude::*;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::schema::appointments;
use crate::error::{Error, Result};
use crate::zones::Zones;

/// The columns of the promise. All but the last are null until [`super::zone_changes::scanning`] fills them in appointments from before
/// they existed.
#[derive(Clone, Default, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = appointments)]
pub struct Promise {
    /// The civil date and time, such as `2026-03-09T09:30:00`.
    pub promised_local: Option<String>,
    /// The IANA name of the time zone.
    pub promised_zone: Option<String>,
    /// The version of the zone data with which the patient was told.
    pub promised_tz: Option<String>,
    /// The version of the zone data with which the instant was last compared; empty after a change of the location's zone.
    pub zone_checked: Option<String>,
    /// Since when the instant does not show the promised time; null if it does.
    pub zone_changed_since: Option<Timestamp>,
}

/// The local time that the patient was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"local": "2026-03-09T09:30:00", "time_zone": "America/New_York", "zone_data": "2026a"}))]
pub struct PromisedTime {
    /// Date and time by the clock at the location, without an offset.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$")]
    pub local: String,
    /// The IANA time zone.
    #[schema(examples("America/New_York"))]
    pub time_zone: String,
    /// The version of the time zones' rules with which the start was computed.
    #[schema(examples("2026a"))]
    pub zone_data: String,
}

impl Promise {
    /// The promise of the local time that an instant has now.
    pub fn of(at: Timestamp, zone: &str, zones: &Zones) -> Result<Self> {
        Ok(Self {
            promised_local: Some(local(at, zone, zones)?),
            promised_zone: Some(zone.to_owned()),
            promised_tz: Some(zones.version().to_owned()),
            zone_checked: Some(zones.version().to_owned()),
            zone_changed_since: None,
        })
    }

    /// Whether an instant shows the promised time on the clock of a time zone. Without a promise it does. The zone is that of the location now:
    /// patients come by the clock on its wall, also if the zone with which they were told was a mistake.
    pub fn is_kept(&self, at: Timestamp, zone: &str, zones: &Zones) -> Result<bool> {
        match &self.promised_local {
            Some(promised) => Ok(local(at, zone, zones)? == *promised),
            None => Ok(true),
        }
    }

    /// The instant that shows the promised time in a time zone now: of two the earlier one; none if the clock skips the time.
    pub fn instant(&self, zone: &str, zones: &Zones) -> Result<Option<Timestamp>> {
        let Some(promised) = &self.promised_local else { return Ok(None) };
        let promised: DateTime = promised.parse().map_err(|error| Error::internal("a promised time", error))?;
        let at = zones.stored(zone)?.to_ambiguous_timestamp(promised);
        if matches!(at.offset(), AmbiguousOffset::Gap { .. }) {
            return Ok(None);
        }
        let at = at.earlier().map_err(|error| Error::internal("the instant of a promised time", error))?;
        Ok(Some(Timestamp::from(at)))
    }

    /// Whether both promise the same local time, in whichever time zone. A corrected zone has another name.
    pub fn is_same_time(&self, other: &Self) -> bool {
        self.promised_local.is_some() && self.promised_local == other.promised_local
    }

    /// The promise as callers see it.
    pub fn shown(self) -> Option<PromisedTime> {
        Some(PromisedTime { local: self.promised_local?, time_zone: self.promised_zone?, zone_data: self.promised_tz? })
    }
}

fn local(at: Timestamp, zone: &str, zones: &Zones) -> Result<String> {
    Ok(at.in_zone(&zones.stored(zone)?).strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn instant(local: &str) -> Option<Timestamp> {
        let promise = Promise { promised_local: Some(local.to_owned()), ..Promise::default() };
        promise.instant("America/New_York", &Zones::bundled()).expect("a known zone")
    }

    #[test]
    fn a_promise_is_the_local_time_and_is_kept_by_its_instant() {
        let zones = Zones::bundled();
        let promise = Promise::of(at("2026-03-09T13:30:00Z"), "America/New_York", &zones).expect("a promise");
        assert_eq!(promise.promised_local.as_deref(), Some("2026-03-09T09:30:00"));
        let is_kept = |instant: &str, zone: &str| promise.is_kept(at(instant), zone, &zones).ok();
        assert_eq!(is_kept("2026-03-09T13:30:00Z", "America/New_York"), Some(true));
        assert_eq!(is_kept("2026-03-09T14:30:00Z", "America/New_York"), Some(false));
        // The zone of the location was a mistake.
        assert_eq!(is_kept("2026-03-09T13:30:00Z", "America/Chicago"), Some(false));
        assert_eq!(is_kept("2026-03-09T14:30:00Z", "America/Chicago"), Some(true));
    }

    #[test]
    fn a_skipped_time_has_no_instant_and_a_repeated_one_its_first() {
        assert_eq!(instant("2026-03-08T02:30:00"), None);
        assert_eq!(instant("2026-11-01T01:30:00"), Some(at("2026-11-01T05:30:00Z")));
        assert_eq!(Promise::default().instant("America/New_York", &Zones::bundled()).ok(), Some(None));
    }

    proptest! {
        #[test]
        fn the_instant_of_a_promise_keeps_it(
            zone in select(vec!["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]),
            minutes in 0_i64..60 * 24 * 365 * 10,
        ) {
            let zones = Zones::bundled();
            let at = at("2024-01-01T00:00:00Z").plus(jiff::SignedDuration::from_mins(minutes));
            let promise = Promise::of(at, zone, &zones).expect("a promise");
            let instant = promise.instant(zone, &zones).expect("valid").expect("an instant");
            prop_assert!(instant <= at && promise.is_kept(instant, zone, &zones).expect("valid"));
        }
    }
}
