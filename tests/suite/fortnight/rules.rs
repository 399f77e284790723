//! The rules that hold after the fortnight. Each names what breaks it.

use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use legwork::clock::Timestamp;
use serde_json::Value;

use super::model::{Freed, Model, Visit};

/// A visit in the database.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    pub patient: String,
    pub practitioner: String,
    pub starts_at: Timestamp,
    pub busy: (Timestamp, Timestamp),
    pub status: String,
}

/// A message in the outbox.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub kind: String,
    pub visit: Option<String>,
}

/// An offer of the waitlist, from when until when it was open.
#[derive(Debug, Clone)]
pub struct Offer {
    pub patient: String,
    pub open: (Timestamp, Timestamp),
}

/// All that is compared.
#[derive(Debug, Clone)]
pub struct Facts {
    pub model: Model,
    pub visits: Vec<Row>,
    /// The units of resources, with the time for which a visit takes each.
    pub units: Vec<(String, (Timestamp, Timestamp))>,
    pub messages: Vec<Message>,
    pub offers: Vec<Offer>,
    /// The total of the utilisation report.
    pub report: Value,
    /// The numbers of all events.
    pub numbers: Vec<i64>,
    pub trail: Vec<String>,
    /// What contradicts itself between slots and visits.
    pub bookings: Vec<String>,
    /// Each booked visit of the list of those that need attention with its reason, and of the list of the others with none.
    pub attention: Vec<(String, Option<String>)>,
}

type Rule = fn(&Facts) -> Vec<String>;

pub const RULES: [(&str, Rule); 13] = [
    ("no practitioner is booked twice", practitioners),
    ("no patient is booked twice", patients),
    ("no unit of a resource is taken twice", units),
    ("what was acknowledged is there, and nothing else", acknowledged),
    ("each patient was told of each visit", told),
    ("no mail about a visit that is cancelled or at another time", gone),
    ("each due reminder came once", reminders),
    ("a patient has one offer at a time", one_offer),
    ("a time that became free is offered to the first who waits", fair),
    ("the report counts what happened", counts),
    ("events have no gaps", events),
    ("the audit trail and the slots are whole", whole),
    ("a visit whose start does not show the promised time needs attention, and no other", zone_changes),
];

/// The pairs of spans of one owner that overlap.
fn overlaps<'a>(spans: impl Iterator<Item = (&'a str, (Timestamp, Timestamp))>) -> Vec<String> {
    let mut of: BTreeMap<&str, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
    for (owner, span) in spans {
        of.entry(owner).or_default().push(span);
    }
    let mut found = Vec::new();
    for (owner, mut spans) in of {
        spans.sort();
        found.extend(spans.windows(2).filter(|two| two[1].0 < two[0].1).map(|two| format!("{owner}: {two:?}")));
    }
    found
}

fn kept(facts: &Facts) -> impl Iterator<Item = &Row> {
    facts.visits.iter().filter(|row| row.status != "cancelled")
}

fn practitioners(facts: &Facts) -> Vec<String> {
    overlaps(kept(facts).map(|row| (row.practitioner.as_str(), row.busy)))
}

fn patients(facts: &Facts) -> Vec<String> {
    overlaps(kept(facts).map(|row| (row.patient.as_str(), row.busy)))
}

fn units(facts: &Facts) -> Vec<String> {
    overlaps(facts.units.iter().map(|(unit, busy)| (unit.as_str(), *busy)))
}

fn acknowledged(facts: &Facts) -> Vec<String> {
    let rows: HashMap<&str, &Row> = facts.visits.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut found = Vec::new();
    for (id, visit) in &facts.model.visits {
        match rows.get(id.as_str()) {
            None => found.push(format!("{id} is lost")),
            Some(row) if (row.starts_at, row.status.as_str()) != (visit.starts_at(), visit.status) => {
                found.push(format!("{row:?} should be {visit:?}"));
            }
            Some(_) => {}
        }
    }
    found.extend(
        rows.keys().filter(|id| !facts.model.visits.contains_key(**id)).map(|id| format!("nobody booked {id}")),
    );
    found
}

/// The received mails of these kinds, with the visit of each.
fn mails<'a>(
    facts: &'a Facts,
    kinds: &'a [&str],
) -> impl Iterator<Item = (&'a super::model::Received, &'a str, &'a str)> {
    let messages: HashMap<&str, &Message> =
        facts.messages.iter().map(|message| (message.id.as_str(), message)).collect();
    facts.model.received.iter().filter_map(move |mail| {
        let message = messages.get(mail.message.as_str())?;
        let visit = message.visit.as_deref()?;
        kinds.contains(&message.kind.as_str()).then_some((mail, visit, message.kind.as_str()))
    })
}

const ABOUT_TIME: [&str; 3] = ["appointment_booked", "appointment_moved", "appointment_reminder"];

fn told(facts: &Facts) -> Vec<String> {
    let told: Vec<&str> = mails(facts, &ABOUT_TIME).map(|(_, visit, _)| visit).collect();
    // A mail that waited for the mail server is not sent any more when the visit has begun.
    let is_too_late = |visit: &Visit| {
        facts.model.outage.is_some_and(|(from, until)| {
            let begins = visit.starts_at();
            visit.terms.iter().all(|term| term.told >= from) && begins < until.plus(SignedDuration::from_hours(12))
        })
    };
    let live = facts.model.visits.iter().filter(|(_, visit)| visit.status != "cancelled" && !is_too_late(visit));
    live.filter(|(id, _)| !told.contains(&id.as_str())).map(|(id, visit)| format!("{id}: {visit:?}")).collect()
}

/// Whether a mail names the local time of a visit.
fn names(facts: &Facts, mail: &super::model::Received, starts_at: Timestamp) -> bool {
    // A mail of the moment in which the law changed may be of before.
    [mail.at, mail.at.minus(SignedDuration::from_secs(1))].into_iter().any(|at| {
        let local = starts_at.in_zone(&facts.model.zone(at));
        mail.text.contains(&local.strftime("%-I:%M %p").to_string())
    })
}

fn gone(facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for (mail, id, kind) in mails(facts, &ABOUT_TIME) {
        let Some(visit) = facts.model.visits.get(id) else { continue };
        // A mail of the moment of the change may have been on its way.
        let is_true = visit.terms.iter().any(|term| {
            let is_in_time = mail.at < term.starts_at;
            let names = kind != "appointment_reminder" || names(facts, mail, term.starts_at);
            names && term.told <= mail.at && term.until.is_none_or(|until| mail.at <= until) && is_in_time
        });
        if !is_true {
            found.push(format!("{kind} at {} for {visit:?}: {}", mail.at, mail.subject));
        }
    }
    found
}

fn reminders(facts: &Facts) -> Vec<String> {
    let mut came: HashMap<(&str, String), usize> = HashMap::new();
    for (mail, visit, _) in mails(facts, &["appointment_reminder"]) {
        *came.entry((visit, mail.to.clone())).or_default() += 1;
    }
    let mut found = Vec::new();
    for (id, visit) in &facts.model.visits {
        let (count, (least, most)) = (
            came.remove(&(id.as_str(), super::world::address(visit.patient))).unwrap_or_default(),
            facts.model.reminders(visit),
        );
        if !(least..=most).contains(&count) {
            found.push(format!("{count} instead of {least} to {most} for {visit:?}"));
        }
    }
    found.extend(came.keys().map(|other| format!("a reminder to somebody else: {other:?}")));
    found
}

fn one_offer(facts: &Facts) -> Vec<String> {
    overlaps(facts.offers.iter().map(|offer| (offer.patient.as_str(), offer.open)))
}

fn fair(facts: &Facts) -> Vec<String> {
    let unfair = facts.model.freed.iter().filter(|freed| freed.offered != freed.first.into_iter().collect::<Vec<_>>());
    unfair
        .map(|Freed { starts_at, by, first, offered }| {
            format!("{starts_at} ({by}) is offered to {offered:?}, and should be to {first:?}")
        })
        .collect()
}

fn counts(facts: &Facts) -> Vec<String> {
    let visits = || facts.model.visits.values();
    let expected = [
        ("booked_visits", visits().filter(|visit| visit.status != "cancelled").count()),
        ("no_shows", visits().filter(|visit| visit.status == "noshow").count()),
        ("late_cancellations", visits().filter(|visit| visit.late).count()),
        ("waitlist_fills", facts.model.claims),
    ];
    let wrong = expected.into_iter().filter(|(member, count)| facts.report[member] != *count);
    wrong.map(|(member, count)| format!("{member} is {}, not {count}", facts.report[member])).collect()
}

fn events(facts: &Facts) -> Vec<String> {
    let gaps = (1..).zip(&facts.numbers).find(|(expected, number)| expected != *number);
    let none = facts.numbers.is_empty().then(|| "there are no events".to_owned());
    gaps.map(|(expected, number)| format!("{number} follows {}", expected - 1)).into_iter().chain(none).collect()
}

fn whole(facts: &Facts) -> Vec<String> {
    facts.trail.iter().chain(&facts.bookings).cloned().collect()
}

fn zone_changes(facts: &Facts) -> Vec<String> {
    let now = *facts.model.ticks.last().expect("a time");
    let mut found = Vec::new();
    for (id, visit) in facts.model.visits.iter().filter(|(_, visit)| visit.is_live()) {
        let listed = facts.attention.iter().filter(|(other, _)| other == id);
        let reasons: Vec<Option<&str>> = listed.map(|(_, reason)| reason.as_deref()).collect();
        let is_right = match &reasons[..] {
            [Some("zone_changed")] => facts.model.is_affected(visit, now),
            [_] => !facts.model.is_affected(visit, now),
            _ => false,
        };
        if !is_right {
            found.push(format!("{id} is listed for {reasons:?}: {visit:?}"));
        }
    }
    found
}
