//! What the test remembers: only what the server has acknowledged, and the mails that the mail server has accepted.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, civil};
use legwork::clock::Timestamp;
use serde_json::Value;

/// The time of a visit that a patient was told, until it was moved or cancelled.
#[derive(Debug, Clone)]
pub struct Term {
    pub told: Timestamp,
    pub starts_at: Timestamp,
    pub until: Option<Timestamp>,
    /// The local time that the patient was promised.
    pub promised: DateTime,
}

impl Term {
    /// Of an appointment as the API shows it.
    pub fn of(appointment: &Value, told: Timestamp) -> Self {
        let text = |pointer: &str| appointment.pointer(pointer).and_then(Value::as_str).expect("a text");
        Self {
            told,
            starts_at: text("/starts_at").parse().expect("an instant"),
            until: None,
            promised: text("/promised/local").parse().expect("a local time"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Visit {
    pub patient: usize,
    pub length: SignedDuration,
    /// The id of the visit type.
    pub kind: String,
    pub practitioner: String,
    /// The last one counts; never empty.
    pub terms: Vec<Term>,
    pub status: &'static str,
    pub late: bool,
}

impl Visit {
    pub fn starts_at(&self) -> Timestamp {
        self.terms.last().expect("a term").starts_at
    }

    pub fn ends_at(&self) -> Timestamp {
        self.starts_at().plus(self.length)
    }

    pub fn is_live(&self) -> bool {
        self.status == "booked"
    }
}

/// A time of a practitioner that cannot be booked though no visit takes it.
#[derive(Debug, Clone)]
pub struct Closed {
    pub practitioner: String,
    pub from: Timestamp,
    pub to: Timestamp,
    /// When a hold lapses; none for a block and a day off.
    pub lapses: Option<Timestamp>,
    /// The blocked slot.
    pub slot: Option<String>,
}

/// The patients who wait for a time of a practitioner.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// Those who were not offered the time yet, with their place by urgency; the first is asked first.
    pub waiting: Vec<(usize, usize)>,
    /// The patient with an open offer, and its end.
    pub open: Option<(usize, Timestamp)>,
}

impl Queue {
    /// Takes the patient who is asked next.
    pub fn next(&mut self) -> Option<usize> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).1)
    }
}

/// An offer that was due or made.
#[derive(Debug, Clone)]
pub struct Freed {
    pub starts_at: Timestamp,
    /// What freed the time.
    pub by: &'static str,
    /// The first of the fairness order among those who could get it; none if the time is not free.
    pub first: Option<usize>,
    /// The patients who got an open offer of it.
    pub offered: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct Received {
    pub at: Timestamp,
    /// The id of its message.
    pub message: String,
    pub to: String,
    pub subject: String,
    pub text: String,
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub visits: BTreeMap<String, Visit>,
    pub freed: Vec<Freed>,
    /// How many patients wait, or have waited.
    pub waited: usize,
    pub queues: BTreeMap<(String, Timestamp), Queue>,
    pub closed: Vec<Closed>,
    pub received: Vec<Received>,
    /// When the background jobs ran: each time of the clock.
    pub ticks: Vec<Timestamp>,
    /// From when until when the mail server was away.
    pub outage: Option<(Timestamp, Timestamp)>,
    /// When a server was cut off.
    pub cuts: Vec<Timestamp>,
    pub claims: usize,
    /// When the law of the time zone changed.
    pub law: Option<Timestamp>,
}

/// The day on which summer time ends by the new law.
pub const FIRST_DAY_OF_LAW: civil::Date = civil::date(2026, 3, 12);
/// The rules of the clinic's time zone, before the law changes and after.
pub const RULES_OF_ZONE: [&str; 2] = ["EST5EDT,M3.2.0,M11.1.0", "EST5EDT,M3.2.0,M3.2.4"];

/// Before a visit, the reminders of the test's clinic.
pub const LEADS: [i64; 2] = [48, 2];
/// A reminder is not sent later than this before a visit.
const USEFUL: SignedDuration = SignedDuration::from_mins(30);

impl Model {
    /// The rules of the clinic's time zone at a time of the test.
    pub fn zone(&self, now: Timestamp) -> TimeZone {
        let rules = RULES_OF_ZONE[usize::from(self.law.is_some_and(|law| law <= now))];
        TimeZone::posix(rules).expect("rules")
    }

    /// Whether a booked visit does not show the promised local time.
    pub fn is_affected(&self, visit: &Visit, now: Timestamp) -> bool {
        let term = visit.terms.last().expect("a term");
        visit.is_live() && term.starts_at.in_zone(&self.zone(now)).datetime() != term.promised
    }

    /// Whether the practitioner's hours do not cover a visit, after a day off or the change of the law.
    pub fn is_off_plan(&self, visit: &Visit, now: Timestamp) -> bool {
        let (from, to) = (visit.starts_at(), visit.ends_at());
        let is_off = self.closed.iter().any(|closed| {
            let is_day_off = closed.lapses.is_none() && closed.slot.is_none();
            is_day_off && closed.practitioner == visit.practitioner && from < closed.to && closed.from < to
        });
        let last = to.minus(SignedDuration::from_secs(1));
        is_off || [from, last].into_iter().any(|at| !(9..17).contains(&at.in_zone(&self.zone(now)).hour()))
    }

    /// Whether a check of fifteen minutes could be booked.
    pub fn is_free(&self, (practitioner, starts_at): &(String, Timestamp), now: Timestamp) -> bool {
        let ends_at = starts_at.plus(SignedDuration::from_mins(15));
        let overlaps =
            |other: &str, from: Timestamp, to: Timestamp| other == practitioner && from < ends_at && *starts_at < to;
        let is_taken = self.visits.values().any(|visit| {
            visit.status != "cancelled" && overlaps(&visit.practitioner, visit.starts_at(), visit.ends_at())
        });
        let is_closed = self.closed.iter().any(|closed| {
            closed.lapses.is_none_or(|lapses| now < lapses) && overlaps(&closed.practitioner, closed.from, closed.to)
        });
        let local = starts_at.in_zone(&self.zone(now));
        // The clinic is open from nine to five.
        !is_taken && !is_closed && (9..17).contains(&local.hour())
    }

    /// How many reminders a visit must have had, at least and at most. They differ only while the mail server was away and where a server was
    /// cut off.
    pub fn reminders(&self, visit: &Visit) -> (usize, usize) {
        let (mut least, mut most) = (0, 0);
        for term in &visit.terms {
            for lead in LEADS.map(SignedDuration::from_hours) {
                let due = term.starts_at.minus(lead);
                if due.since(term.told) < lead.min(SignedDuration::from_hours(12)) {
                    continue;
                }
                let Some(at) = self.ticks.iter().copied().find(|tick| *tick >= due) else { continue };
                if term.until.is_some_and(|until| until < at) || at > term.starts_at.minus(USEFUL) {
                    continue;
                }
                // While staff have not decided which local time holds, there is no reminder.
                let is_undecided = self.law.is_some_and(|law| law <= at)
                    && term.starts_at.in_zone(&self.zone(at)).datetime() != term.promised;
                if is_undecided && self.law != Some(at) {
                    continue;
                }
                most += 1;
                let is_reached = self.outage.is_none_or(|(from, until)| at < from || term.told.max(due) > until);
                // A mail that a cut-off server was about to send is sent at the next stop of the clock, and says what a reminder would.
                let before = self.ticks.iter().copied().filter(|tick| *tick < at).max();
                let is_cut = self.cuts.iter().any(|cut| *cut == at || Some(*cut) == before);
                let is_certain = is_reached && !is_cut && !is_undecided;
                // Cancelled in the moment in which it was due.
                least += usize::from(is_certain && term.until != Some(at));
            }
        }
        (least, most)
    }
}
