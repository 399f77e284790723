//! Many visits as one calendar (RFC 5545), for a calendar program that asks for it again and again (RFC 7986).

use std::collections::BTreeMap;

use super::local::LocalTimes;
use super::{Writer, utc, write_times};
use crate::clock::Timestamp;
use crate::ids::AppointmentId;
use crate::zones::Zones;

/// How often programs should ask.
const REFRESH: &str = "PT15M";

/// A visit. It names no patient.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Makes the entry's UID.
    pub appointment_id: AppointmentId,
    /// Grows with each move.
    pub sequence: i32,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The visit type's public name, which says nothing about health.
    pub visit: String,
    pub location: String,
    pub address: String,
    /// The location's IANA time zone.
    pub time_zone: String,
}

/// Returns the iCalendar text of these visits, which are sorted by start. The same visits give the same text.
pub fn render(name: &str, entries: &[Entry], zones: &Zones) -> String {
    let mut out = Writer(String::with_capacity(1024 + 512 * entries.len()));
    out.line("BEGIN", "VCALENDAR");
    out.line("VERSION", "2.0");
    out.line("PRODID", "-//Legwork//Legwork//EN");
    out.line("CALSCALE", "GREGORIAN");
    out.line("METHOD", "PUBLISH");
    out.text("NAME", name);
    // The name of the same property before RFC 7986.
    out.text("X-WR-CALNAME", name);
    out.line("REFRESH-INTERVAL;VALUE=DURATION", REFRESH);
    out.line("X-PUBLISHED-TTL", REFRESH);
    let mut spans: BTreeMap<&str, (Timestamp, Timestamp)> = BTreeMap::new();
    for entry in entries {
        let span = spans.entry(&entry.time_zone).or_insert((entry.starts_at, entry.ends_at));
        span.1 = span.1.max(entry.ends_at);
    }
    let mut times = BTreeMap::new();
    for (zone, (from, to)) in spans {
        let local = LocalTimes::of(zones.get(zone));
        if let Some(local) = &local {
            local.define(&mut out, from, to);
        }
        times.insert(zone, local);
    }
    for entry in entries {
        out.line("BEGIN", "VEVENT");
        out.line("UID", &format!("{}@legwork", entry.appointment_id));
        out.line("SEQUENCE", &entry.sequence.max(0).to_string());
        out.line("DTSTAMP", &utc(entry.updated_at));
        let local = times.get(entry.time_zone.as_str()).and_then(Option::as_ref);
        write_times(&mut out, local, entry.starts_at, entry.ends_at);
        out.text("SUMMARY", &entry.visit);
        out.text("LOCATION", &format!("{}, {}", entry.location, entry.address));
        out.line("STATUS", "CONFIRMED");
        out.line("CLASS", "PRIVATE");
        out.line("END", "VEVENT");
    }
    out.line("END", "VCALENDAR");
    out.0
}

#[cfg(test)]
mod tests {
    use icalendar::{Calendar, Component};

    use super::*;

    fn entry(number: u128, zone: &str, start: &str) -> Entry {
        let starts_at: Timestamp = start.parse().expect("an instant");
        Entry {
            appointment_id: AppointmentId(uuid::Uuid::from_u128(number)),
            sequence: 1,
            starts_at,
            ends_at: starts_at.plus(jiff::SignedDuration::from_mins(30)),
            updated_at: starts_at,
            visit: "First; visit".into(),
            location: "Riverside".into(),
            address: "12 Elm St, Springfield".into(),
            time_zone: zone.into(),
        }
    }

    #[test]
    fn another_program_reads_the_visits_of_two_zones_back() {
        let entries = [
            entry(1, "America/New_York", "2026-03-02T14:00:00Z"),
            entry(2, "Europe/Berlin", "2026-03-03T14:00:00Z"),
            entry(3, "America/New_York", "2027-11-30T14:00:00Z"),
        ];
        let text = render("Dr. A, Clinic", &entries, &Zones::bundled());
        let calendar: Calendar = text.parse().expect("a calendar");
        assert_eq!(calendar.property_value("X-PUBLISHED-TTL"), Some("PT15M"));
        let starts = calendar.events().map(|event| {
            let start = event.properties().get("DTSTART").expect("a start");
            let zone = start.params().get("TZID").map(icalendar::Parameter::value).expect("a zone").to_owned();
            (zone, start.value().to_owned(), event.get_summary().expect("a name").to_owned())
        });
        let expected = [
            ("America/New_York", "20260302T090000"),
            ("Europe/Berlin", "20260303T150000"),
            ("America/New_York", "20271130T090000"),
        ];
        let expected = expected.map(|(zone, start)| (zone.to_owned(), start.to_owned(), "First; visit".to_owned()));
        assert_eq!(starts.collect::<Vec<_>>(), expected);
        assert_eq!(text.matches("BEGIN:VTIMEZONE").count(), 2);
        // Each change of the clock up to the last visit.
        assert!(text.contains("DTSTART:20271107T020000\r\n"), "{text}");
        assert_eq!(render("Dr. A, Clinic", &entries, &Zones::bundled()), text);
    }

    #[test]
    fn a_calendar_without_visits_is_whole() {
        let text = render("Dr. A", &[], &Zones::bundled());
        assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"), "{text}");
        assert!(!text.contains("VEVENT") && !text.contains("VTIMEZONE"), "{text}");
    }
}
