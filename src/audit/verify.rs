//! Verifies the whole audit trail: that no event was edited, removed, added or moved, and that its end was not cut off.
//!
//! Reads one page at a time while the service runs.

use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::SignedDuration;

use super::break_glass::{self, OPERATION};
use super::keys::Keys;
use super::model::{Event, purge_statement, seal_statement};
use super::purge::{self, Purge};
use super::seal::{Head, SEALED_WITHIN, Seal};
use super::{shown, triggers};
use crate::clock::Timestamp;
use crate::db::schema::{audit_events, audit_purges, audit_seals, users};
use crate::db::{Conn, check};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::AuditEventId;

/// How many rows are read together.
const PAGE: i64 = 1000;
/// For how many events of lists the patients' rows are looked up together.
const LISTS_PAGE: usize = 100;
/// How many reasons are decrypted together.
const OPENINGS_PAGE: usize = 100;
/// How long an event may wait for its seal.
const SEAL_DELAY: SignedDuration = SignedDuration::from_secs(10);
/// The tables of the trail.
const TABLES: [&str; 4] = ["audit_events", "audit_event_patients", "audit_seals", "audit_purges"];
/// How many findings are listed. Further ones are only counted.
const MAX_LISTED: usize = 100;

/// A head of the chain that was written down earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHead {
    seq: i64,
    /// In hexadecimal. The beginning is enough.
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

/// The result of a verification.
#[derive(Debug, Default)]
pub struct Report {
    /// The number of sealed events.
    pub events: u64,
    /// The end of the chain.
    pub head: Option<Head>,
    /// The findings in words, at most [`MAX_LISTED`].
    pub findings: Vec<String>,
    /// The number of all findings.
    pub wrong: u64,
}

impl Report {
    fn add(&mut self, finding: String) {
        self.wrong += 1;
        if self.findings.len() < MAX_LISTED {
            self.findings.push(finding);
        }
    }
}

/// Verifies the whole trail. Findings are no errors; they are in the report.
pub async fn verify(env: &Env, known: Option<KnownHead>) -> Result<Report> {
    let sealer = env.sealer.clone();
    let keys = std::sync::Arc::new(env.db.read(move |conn| Keys::read(conn, &sealer)).await?);
    let mut report = Report::default();
    let compare = |conn: &mut Conn| triggers::differences(conn).map_err(|error| Error::internal("verify", error));
    for difference in env.db.read(compare).await? {
        report.add(format!("{difference}. It could drop events"));
    }
    // An index that lacks rows hides events from lists. The rest of the verification reads them.
    for finding in check::findings(&env.config.target, &TABLES).await? {
        report.add(format!("the tables and indexes of the trail do not fit each other: {finding}"));
    }
    let purges = env.db.read(purges).await?;
    for purge in &purges {
        let statement = purge_statement(purge.upto_seq, &purge.closing_hmac, purge.at, purge.key_id);
        if !keys.find(purge.key_id.0).is_some_and(|key| key.is_right(&statement, &purge.mac)) {
            report.add(format!("the purge up to seal {} was not made by this service", purge.upto_seq));
        }
    }
    let begin = purges.last().map_or_else(Head::origin, head_of);
    let before = begin.seq;
    for seq in env.db.read(move |conn| seals_before(conn, before)).await? {
        report.add(format!("seal {seq} lies before the beginning of the chain"));
    }
    let mut chain = Chain { keys: &keys, report: &mut report, known, head: begin, late: None };
    chain.compare_with_known();
    loop {
        let after = chain.head.seq;
        let (purged, rows) = env.db.read(move |conn| Ok((purge::last(conn)?, page(conn, after)?))).await?;
        // A purge may run meanwhile. The chain then begins where the purge ended.
        if let Some(purge) = purged.filter(|purge| purge.upto_seq > after) {
            chain.head = head_of(&purge);
            chain.compare_with_known();
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
        check_openings(env, openings, chain.report).await?;
        missing_rows(env, lists, chain.report).await?;
    }
    chain.end();
    let head = chain.head;
    check_unsealed(env, &keys, &mut report).await?;
    added_rows(env, &mut report).await?;
    added_openings(env, purges.last(), &mut report).await?;
    if head.seq == 0 && env.db.read(is_emptied).await? {
        report.add(
            "the trail is empty although there are accounts: its events were deleted. Compare with a head that was written down earlier"
                .to_owned(),
        );
    }
    report.head = Some(head);
    Ok(report)
}

fn head_of(purge: &Purge) -> Head {
    Head { seq: purge.upto_seq, hmac: purge.closing_hmac.clone() }
}

fn purges(conn: &mut Conn) -> Result<Vec<Purge>> {
    Ok(audit_purges::table.order(audit_purges::upto_seq).select(Purge::as_select()).load(conn)?)
}

/// Returns the places of seals before the beginning of the chain, which the rest of the verification would skip.
fn seals_before(conn: &mut Conn, begin: i64) -> Result<Vec<i64>> {
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

/// The part of the chain that was verified so far.
struct Chain<'a> {
    keys: &'a Keys,
    report: &'a mut Report,
    known: Option<KnownHead>,
    head: Head,
    late: Option<Late>,
}

/// The seals that were made long after their events.
struct Late {
    count: u64,
    /// The first of them in words.
    first: String,
}

impl Chain<'_> {
    fn follow(&mut self, seal: Seal, event: Option<Event>) {
        self.report.events += 1;
        let expected = self.head.seq + 1;
        if seal.seq != expected {
            let (last, next) = (seal.seq - 1, expected);
            self.report.add(format!("seals {next} to {last} are missing"));
        }
        match &event {
            None => self.report.add(format!("seal {}: event {} was removed", seal.seq, seal.event_id)),
            Some(event) => {
                let place = format!("seal {}: event {} of {} ({})", seal.seq, event.id, event.at, event.operation);
                self.event(&place, event);
                if let Some(at) = seal.at.filter(|at| at.since(event.at) > SEALED_WITHIN) {
                    let first = || format!("{place} was sealed at {at}");
                    self.late.get_or_insert_with(|| Late { count: 0, first: first() }).count += 1;
                }
                let event = (seal.event_id, event.mac.as_slice());
                let statement = seal_statement(seal.seq, event, seal.key_id, &self.head.hmac, seal.at);
                // After a gap there is no previous seal to compare with.
                if seal.seq == expected
                    && !self.keys.find(seal.key_id.0).is_some_and(|key| key.is_right(&statement, &seal.hmac))
                {
                    self.report.add(format!("{place} is not the event that was sealed there, or the seal was changed"));
                }
            }
        }
        self.head = Head { seq: seal.seq, hmac: seal.hmac };
        self.compare_with_known();
    }

    fn event(&mut self, place: &str, event: &Event) {
        match self.keys.find(event.key_id.0) {
            Some(key) if event.is_genuine(key) => {}
            Some(_) => self.report.add(format!("{place} was edited, or not written by this service")),
            None => self.report.add(format!("{place} is signed with a key that is missing")),
        }
    }

    /// Compares with the head that was written down, once the chain has reached it.
    fn compare_with_known(&mut self) {
        if let Some(known) = self.known.take_if(|known| known.seq <= self.head.seq)
            && known.seq == self.head.seq
        {
            if known.fits(&self.head) {
                // A head that the operator stored after a late seal vouches for it.
                self.late = None;
            } else {
                self.report.add(format!("seal {} is not the one that was written down", known.seq));
            }
        }
    }

    fn end(&mut self) {
        if let Some(known) = self.known.take() {
            let (there, last) = (known.seq, self.head.seq);
            self.report.add(format!("the end is cut off: seal {there} was written down, and the last one is {last}"));
        }
        if let Some(Late { count, first }) = self.late.take() {
            self.report.add(format!(
                "{count} events were sealed more than ten minutes after they happened. The first is {first}. Unless an outage or a \
                 restored backup explains it, seals and events before were deleted. If it does, use --head with a head from afterwards"
            ));
        }
    }
}

/// Checks all events without a seal. An old one was added, or its seal was removed.
async fn check_unsealed(env: &Env, keys: &Keys, report: &mut Report) -> Result<()> {
    let mut after: Option<(Timestamp, AuditEventId)> = None;
    loop {
        let events = env.db.read(move |conn| unsealed_page(conn, after)).await?;
        let Some(last) = events.last() else { return Ok(()) };
        after = Some((last.at, last.id));
        let old = env.now().minus(SEAL_DELAY);
        missing_rows(env, lists(events.iter()), report).await?;
        for event in events {
            let place = format!("event {} of {} ({})", event.id, event.at, event.operation);
            if !keys.find(event.key_id.0).is_some_and(|key| event.is_genuine(key)) {
                report.add(format!("{place} was edited, or not written by this service"));
            } else if event.at < old {
                report.add(format!("{place} has no seal. The service seals the rest while it runs"));
            }
        }
    }
}

/// Compares events of break-glass access with the openings that have their reasons.
async fn check_openings(env: &Env, events: Vec<Event>, report: &mut Report) -> Result<()> {
    for events in events.chunks(OPENINGS_PAGE) {
        let (events, sealer) = (events.to_vec(), env.sealer.clone());
        for (event, fault) in env.db.read(move |conn| break_glass::faults(conn, &sealer, events)).await? {
            report.add(format!("the reason of event {} of {} {fault}", event.id, event.at));
        }
    }
    Ok(())
}

/// Returns the events that showed several patients.
fn lists<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Event> {
    events.filter(|event| event.shown.is_some()).cloned().collect()
}

/// Finds missing rows of the patients whom events showed.
async fn missing_rows(env: &Env, events: Vec<Event>, report: &mut Report) -> Result<()> {
    for events in events.chunks(LISTS_PAGE) {
        let events = events.to_vec();
        let count = |conn: &mut Conn, event: Event| Ok((shown::missing(conn, &event)?, event));
        let counts: Vec<(usize, Event)> =
            env.db.read(move |conn| events.into_iter().map(|event| count(conn, event)).collect::<Result<_>>()).await?;
        for (missing, Event { id, at, operation, .. }) in counts.into_iter().filter(|(missing, _)| *missing > 0) {
            report.add(format!("{missing} of the patients whom event {id} of {at} ({operation}) showed were removed"));
        }
    }
    Ok(())
}

/// Checks all rows of patients whom events showed. A row that its event does not have was added.
async fn added_rows(env: &Env, report: &mut Report) -> Result<()> {
    let mut after = None;
    loop {
        let rows = env.db.read(move |conn| shown::page(conn, after, PAGE)).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(*last);
        for (row, _) in rows.into_iter().filter(|(_, is_shown)| !is_shown) {
            report.add(format!("event {} of {} does not show a patient who was added to it", row.event_id, row.at));
        }
    }
}

/// Checks all rows of openings. A row without its event was added to open a record unnoticed. A purge deletes events
/// and keeps openings, so an opening before that is checked only for how long it opens the record.
async fn added_openings(env: &Env, purge: Option<&Purge>, report: &mut Report) -> Result<()> {
    let since = match purge.map(|purge| purge.at) {
        Some(purged) => env.db.read(oldest).await?.or(Some(purged)),
        None => None,
    };
    let mut after = None;
    loop {
        let rows = env.db.read(move |conn| break_glass::find_without_event(conn, after, since, PAGE)).await?;
        let Some(last) = rows.last else { return Ok(()) };
        after = Some(last);
        for (id, at) in rows.without_event {
            report.add(format!(
                "no event has opening {id} of a record at {at}: the opening was added, or its event was removed"
            ));
        }
    }
}

/// Returns the time of the oldest event.
fn oldest(conn: &mut Conn) -> Result<Option<Timestamp>> {
    Ok(audit_events::table
        .order((audit_events::at, audit_events::id))
        .select(audit_events::at)
        .first(conn)
        .optional()?)
}

/// Returns whether a database that is in use has no events. Every account was created with an event.
fn is_emptied(conn: &mut Conn) -> Result<bool> {
    let is_used: bool = diesel::select(exists(users::table.select(users::id))).get_result(conn)?;
    Ok(is_used && oldest(conn)?.is_none())
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
    fn a_known_head_has_a_place_and_at_least_sixteen_digits() {
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
