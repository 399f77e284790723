//! Checks the whole trail: that no event was edited, removed, added, or put elsewhere, and that its end is not cut off.
//!
//! It reads a page at a time, beside whatever runs.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::keys::Keys;
use super::model::{Event, purge_statement, seal_statement};
use super::openings::{self, OPERATION};
use super::purge::{self, Purge};
use super::seal::{Head, Seal};
use super::shown;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_events, audit_purges, audit_seals};
use crate::env::Env;
use crate::error::Result;
use crate::ids::AuditEventId;

/// How many rows are read at once.
const PAGE: i64 = 1000;
/// Of how many lists the patients are looked for at once.
const LISTS: usize = 100;
/// How many reasons are opened at once.
const OPENINGS: usize = 100;
/// How long an event may wait for its seal.
const UNSEALED: SignedDuration = SignedDuration::from_secs(10);
/// How many findings are told in words; of more only the number.
const TOLD: usize = 100;

/// The head that somebody wrote down earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHead {
    seq: i64,
    /// In hexadecimal; the beginning is enough.
    hmac: String,
}

impl std::str::FromStr for KnownHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form =
            || "expected SEQ:HMAC as `legwork audit head` prints it; 16 digits of the HMAC are enough".to_owned();
        let (seq, hmac) = text.split_once(':').ok_or_else(form)?;
        let seq = seq.parse().ok().filter(|seq| *seq >= 0).ok_or_else(form)?;
        if !(16..=64).contains(&hmac.len()) || !hmac.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(form());
        }
        Ok(Self { seq, hmac: hmac.to_ascii_lowercase() })
    }
}

impl KnownHead {
    fn fits(&self, head: &Head) -> bool {
        let shown = head.to_string();
        shown.split_once(':').is_some_and(|(_, hmac)| hmac.starts_with(&self.hmac))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many sealed events there are.
    pub events: u64,
    /// Where the chain ends.
    pub head: Option<Head>,
    /// What is wrong, in words, the first hundred.
    pub findings: Vec<String>,
    /// How much is wrong in all.
    pub wrong: u64,
}

impl Report {
    fn find(&mut self, finding: String) {
        self.wrong += 1;
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        }
    }
}

/// Checks the whole trail.
///
/// # Errors
/// The database's; what is wrong with the trail stands in the report.
pub async fn verify(env: &Env, known: Option<KnownHead>) -> Result<Report> {
    let sealer = env.sealer.clone();
    let keys = std::sync::Arc::new(env.db.read(move |conn| Keys::read(conn, &sealer)).await?);
    let mut report = Report::default();
    let purges = env.db.read(purges).await?;
    for purge in &purges {
        let statement = purge_statement(purge.upto_seq, &purge.closing_hmac, purge.at, purge.key_id);
        if !keys.find(purge.key_id.0).is_some_and(|key| key.is_right(&statement, &purge.mac)) {
            report.find(format!("the purge up to seal {} was not made by this service", purge.upto_seq));
        }
    }
    let begin = purges.last().map_or_else(Head::origin, of_purge);
    let before = begin.seq;
    for seq in env.db.read(move |conn| stray(conn, before)).await? {
        report.find(format!("seal {seq} lies before the beginning of the chain"));
    }
    let mut chain = Chain { keys: &keys, report: &mut report, known, head: begin };
    chain.look_at_known();
    loop {
        let after = chain.head.seq;
        let (purged, rows) = env.db.read(move |conn| Ok((purge::last(conn)?, page(conn, after)?))).await?;
        // A purge may go on meanwhile; then the chain begins where it ended.
        if let Some(purge) = purged.filter(|purge| purge.upto_seq > after) {
            chain.head = of_purge(&purge);
            chain.look_at_known();
            continue;
        }
        if rows.is_empty() {
            break;
        }
        let openings = rows.iter().filter_map(|(_, event)| event.clone()).filter(|it| it.operation == OPERATION);
        let openings: Vec<Event> = openings.collect();
        let lists = lists(rows.iter().filter_map(|(_, event)| event.as_ref()));
        for (seal, event) in rows {
            chain.follow(seal, event);
        }
        opened(env, openings, chain.report).await?;
        missing_rows(env, lists, chain.report).await?;
    }
    chain.end();
    let head = chain.head;
    unsealed(env, &keys, &mut report).await?;
    added_rows(env, &mut report).await?;
    report.head = Some(head);
    Ok(report)
}

fn of_purge(purge: &Purge) -> Head {
    Head { seq: purge.upto_seq, hmac: purge.closing_hmac.clone() }
}

fn purges(conn: &mut Conn) -> Result<Vec<Purge>> {
    Ok(audit_purges::table.order(audit_purges::upto_seq).select(Purge::as_select()).load(conn)?)
}

/// Seals before the first place there is: what they stand for would be looked at by nobody.
fn stray(conn: &mut Conn, begin: i64) -> Result<Vec<i64>> {
    let places = audit_seals::table.filter(audit_seals::seq.le(begin)).order(audit_seals::seq).select(audit_seals::seq);
    Ok(places.limit(PAGE).load(conn)?)
}

fn page(conn: &mut Conn, after: i64) -> Result<Vec<(Seal, Option<Event>)>> {
    Ok(audit_seals::table
        .left_join(audit_events::table.on(audit_events::id.eq(audit_seals::event_id)))
        .filter(audit_seals::seq.gt(after))
        .order(audit_seals::seq)
        .limit(PAGE)
        .select((Seal::as_select(), Option::<Event>::as_select()))
        .load(conn)?)
}

/// The chain as far as it was followed.
struct Chain<'a> {
    keys: &'a Keys,
    report: &'a mut Report,
    known: Option<KnownHead>,
    head: Head,
}

impl Chain<'_> {
    fn follow(&mut self, seal: Seal, event: Option<Event>) {
        self.report.events += 1;
        let expected = self.head.seq + 1;
        if seal.seq != expected {
            let (last, next) = (seal.seq - 1, expected);
            self.report.find(format!("seals {next} to {last} are missing"));
        }
        match &event {
            None => self.report.find(format!("seal {}: event {} was removed", seal.seq, seal.event_id)),
            Some(event) => {
                let place = format!("seal {}: event {} of {} ({})", seal.seq, event.id, event.at, event.operation);
                self.event(&place, event);
                let statement = seal_statement(seal.seq, seal.event_id, &event.mac, seal.key_id, &self.head.hmac);
                // After a gap nothing is left to compare with.
                if seal.seq == expected
                    && !self.keys.find(seal.key_id.0).is_some_and(|key| key.is_right(&statement, &seal.hmac))
                {
                    self.report.find(format!("{place} is not the one that was sealed there, or the seal was changed"));
                }
            }
        }
        self.head = Head { seq: seal.seq, hmac: seal.hmac };
        self.look_at_known();
    }

    fn event(&mut self, place: &str, event: &Event) {
        match self.keys.find(event.key_id.0) {
            Some(key) if event.is_genuine(key) => {}
            Some(_) => self.report.find(format!("{place} was edited, or not written by this service")),
            None => self.report.find(format!("{place} is signed with a key that is not there")),
        }
    }

    /// Compares with the head that somebody wrote down, once it is reached.
    fn look_at_known(&mut self) {
        if let Some(known) = self.known.take_if(|known| known.seq <= self.head.seq)
            && known.seq == self.head.seq
            && !known.fits(&self.head)
        {
            self.report.find(format!("seal {} is not the one that was written down", known.seq));
        }
    }

    fn end(&mut self) {
        if let Some(known) = self.known.take() {
            let (there, last) = (known.seq, self.head.seq);
            self.report.find(format!("the end is cut off: seal {there} was written down, and the last one is {last}"));
        }
    }
}

/// Looks at every event without a seal: one that is not fresh was put in, or its seal was taken away.
async fn unsealed(env: &Env, keys: &Keys, report: &mut Report) -> Result<()> {
    let mut after: Option<(Timestamp, AuditEventId)> = None;
    loop {
        let events = env.db.read(move |conn| unsealed_page(conn, after)).await?;
        let Some(last) = events.last() else { return Ok(()) };
        after = Some((last.at, last.id));
        let old = env.now().minus(UNSEALED);
        missing_rows(env, lists(events.iter()), report).await?;
        for event in events {
            let place = format!("event {} of {} ({})", event.id, event.at, event.operation);
            if !keys.find(event.key_id.0).is_some_and(|key| event.is_genuine(key)) {
                report.find(format!("{place} was edited, or not written by this service"));
            } else if event.at < old {
                report.find(format!("{place} has no seal; the service seals what is left when it runs"));
            }
        }
    }
}

/// Compares events of opened records with the openings that hold their reasons.
async fn opened(env: &Env, events: Vec<Event>, report: &mut Report) -> Result<()> {
    for events in events.chunks(OPENINGS) {
        let (events, sealer) = (events.to_vec(), env.sealer.clone());
        for (event, fault) in env.db.read(move |conn| openings::faults(conn, &sealer, events)).await? {
            report.find(format!("the reason of event {} of {} {fault}", event.id, event.at));
        }
    }
    Ok(())
}

/// The events that showed several patients.
fn lists<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Event> {
    events.filter(|event| event.shown.is_some()).cloned().collect()
}

/// Looks for the rows of the patients whom events showed.
async fn missing_rows(env: &Env, events: Vec<Event>, report: &mut Report) -> Result<()> {
    for events in events.chunks(LISTS) {
        let events = events.to_vec();
        let count = |conn: &mut Conn, event: Event| Ok((shown::missing(conn, &event)?, event));
        let counts: Vec<(usize, Event)> =
            env.db.read(move |conn| events.into_iter().map(|event| count(conn, event)).collect::<Result<_>>()).await?;
        for (missing, Event { id, at, operation, .. }) in counts.into_iter().filter(|(missing, _)| *missing > 0) {
            report.find(format!("{missing} of the patients whom event {id} of {at} ({operation}) showed were removed"));
        }
    }
    Ok(())
}

/// Looks at every row of a patient whom an event showed: one that the event does not know was put in.
async fn added_rows(env: &Env, report: &mut Report) -> Result<()> {
    let mut after = None;
    loop {
        let rows = env.db.read(move |conn| shown::page(conn, after, PAGE)).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(*last);
        for (row, _) in rows.into_iter().filter(|(_, is_shown)| !is_shown) {
            report.find(format!("event {} of {} does not show a patient who was added to it", row.event_id, row.at));
        }
    }
}

fn unsealed_page(conn: &mut Conn, after: Option<(Timestamp, AuditEventId)>) -> Result<Vec<Event>> {
    let mut query = audit_events::table
        .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(
            "(SELECT s.seq FROM audit_seals s WHERE s.event_id = audit_events.id) IS NULL",
        ))
        .order((audit_events::at, audit_events::id))
        .limit(PAGE)
        .select(Event::as_select())
        .into_boxed();
    if let Some((at, id)) = after {
        query = query
            .filter(audit_events::at.ge(at))
            .filter(audit_events::at.gt(at).or(audit_events::at.eq(at).and(audit_events::id.gt(id))));
    }
    Ok(query.load(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_head_is_its_place_and_at_least_sixteen_digits() {
        let head = Head { seq: 7, hmac: vec![0xab; 32] };
        let known: KnownHead = head.to_string().parse().expect("what it prints");
        assert!(known.fits(&head));
        assert!("7:ABABABABABABABAB".parse::<KnownHead>().expect("a beginning").fits(&head));
        assert!(!"7:abababababababac".parse::<KnownHead>().expect("a beginning").fits(&head));
        for wrong in ["7", "7:abab", "x:abababababababab", "-1:abababababababab", "7:zzzzzzzzzzzzzzzz"] {
            assert!(wrong.parse::<KnownHead>().is_err(), "{wrong}");
        }
    }
}
