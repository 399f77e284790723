//! What the test remembers: only what the server has acknowledged, and the mails that the mail server has accepted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use legwork::clock::Timestamp;

/// The time of a visit that a patient was told, until it was moved or cancelled.
#[derive(Debug, Clone)]
pub struct Term {
    pub told: Timestamp,
    pub starts_at: Timestamp,
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct Visit {
    pub patient: usize,
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

    pub fn is_live(&self) -> bool {
        self.status == "booked"
    }
}

/// A time that became free while patients waited for it.
#[derive(Debug, Clone)]
pub struct Freed {
    pub starts_at: Timestamp,
    /// The first of the fairness order among those who could get it.
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
    /// The patients who wait, or have waited.
    pub waited: BTreeSet<usize>,
    pub received: Vec<Received>,
    /// When the background jobs ran: each time of the clock.
    pub ticks: Vec<Timestamp>,
    /// From when until when the mail server was away.
    pub outage: Option<(Timestamp, Timestamp)>,
    pub claims: usize,
}

/// Before a visit, the reminders of the test's clinic.
pub const LEADS: [i64; 2] = [48, 2];
/// A reminder is not sent later than this before a visit.
const USEFUL: SignedDuration = SignedDuration::from_mins(30);

impl Model {
    /// How many reminders a visit must have had, at least and at most. They differ while the mail server was away only.
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
                most += 1;
                let is_certain = self.outage.is_none_or(|(from, until)| at < from || term.told.max(due) > until);
                // Cancelled in the moment in which it was due.
                least += usize::from(is_certain && term.until != Some(at));
            }
        }
        (least, most)
    }
}
