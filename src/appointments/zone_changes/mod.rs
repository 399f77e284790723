//! Changes of a time zone's law, and of the zone of a location: booked visits whose instant does not show the promised local time any more.
//!
//! [`scanning`] finds them when the zone data has another version, and after a change of a location's zone. Staff resolve them:
//! [`resolving`] keeps the promised time at another instant, [`accepting`] keeps the instant and promises the new local time.

pub mod accepting;
pub mod resolving;
pub mod scanning;
