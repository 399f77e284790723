//! The chain of seals. About every second, one instance seals the new events in the order of time. If each transaction
//! sealed its own event, all writers would wait for each other.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::model::seal_statement;
use crate::clock::Timestamp;
use crate::db::schema::{audit_events, audit_purges, audit_seals};
use crate::db::{Conn, Db, advisory_lock, per_backend};
use crate::error::{Error, Result};
use crate::ids::{AuditEventId, AuditKeyId};
use crate::signed::{DIGEST, Signer};

/// How many seals one transaction creates.
pub const BATCH: i64 = 500;
/// How far before the newest sealed event, or before now if that is earlier, each pass looks for events that were committed late: longer
/// than a transaction takes.
pub const LATE: SignedDuration = SignedDuration::from_secs(15);
/// How far it looks once a minute, in case a commit was even later.
pub const VERY_LATE: SignedDuration = SignedDuration::from_hours(1);
/// The greatest age of an event that gets its seal while the service runs. It allows for outages: the last events before a crash get
/// their seals at the next start. A later seal is a finding, because a person may have deleted earlier seals together with an event.
pub const SEALED_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The row of a seal.
#[derive(Debug, Clone, diesel::Queryable, diesel::Selectable, diesel::Insertable)]
#[diesel(table_name = audit_seals, treat_none_as_default_value = false)]
pub struct Seal {
    /// The place: 1, 2, 3 … without a gap.
    pub seq: i64,
    pub event_id: AuditEventId,
    /// The key that signed it.
    pub key_id: AuditKeyId,
    /// The HMAC over the place, the event's digest, the previous seal and the time.
    pub hmac: Vec<u8>,
    /// The time. Older seals have none, and neither have those of a demo's invented past.
    pub at: Option<Timestamp>,
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The place of the last seal, or 0 before the first.
    pub seq: i64,
    /// The HMAC of the last seal.
    pub hmac: Vec<u8>,
}

impl Head {
    /// The beginning of every chain.
    pub fn origin() -> Self {
        Self { seq: 0, hmac: vec![0; DIGEST] }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.seq)?;
        self.hmac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Returns the end of the chain, and the event that was sealed last, if it was not purged.
fn end(conn: &mut Conn) -> Result<(Head, Option<AuditEventId>)> {
    let last = audit_seals::table.order(audit_seals::seq.desc()).select(Seal::as_select()).first(conn).optional()?;
    if let Some(seal) = last {
        return Ok((Head { seq: seal.seq, hmac: seal.hmac }, Some(seal.event_id)));
    }
    let purged = audit_purges::table
        .order(audit_purges::upto_seq.desc())
        .select((audit_purges::upto_seq, audit_purges::closing_hmac))
        .first(conn)
        .optional()?;
    Ok((purged.map_or_else(Head::origin, |(seq, hmac)| Head { seq, hmac }), None))
}

/// Returns the end of the chain.
pub fn head(conn: &mut Conn) -> Result<Head> {
    end(conn).map(|(head, _)| head)
}

/// Reads the oldest events without a seal, at most `back` before the newest sealed one, or before `now` if that is earlier: after the
/// clock of a server was ahead for a while, the newest sealed event lies in the future, and all events from then on lie before it.
fn unsealed(
    conn: &mut Conn,
    last: Option<AuditEventId>,
    (back, now): (SignedDuration, Option<Timestamp>),
    limit: i64,
) -> Result<Vec<(AuditEventId, Timestamp, Vec<u8>)>> {
    let sealed: Option<Timestamp> = match last {
        Some(id) => audit_events::table.find(id).select(audit_events::at).first(conn).optional()?,
        None => None,
    };
    let mut query = audit_events::table
        // In this form both engines look each event up in the index, however many seals there are.
        .filter(sql::<Bool>("(SELECT s.seq FROM audit_seals s WHERE s.event_id = audit_events.id) IS NULL"))
        .order((audit_events::at, audit_events::id))
        .limit(limit)
        .select((audit_events::id, audit_events::at, audit_events::mac))
        .into_boxed();
    if let Some(at) = sealed {
        let newest = now.map_or(at, |now| at.min(now));
        query = query.filter(audit_events::at.ge(newest.minus(back)));
    }
    Ok(query.load(conn)?)
}

/// Returns the time of the oldest event without a seal.
pub fn oldest_unsealed(conn: &mut Conn, back: SignedDuration, now: Timestamp) -> Result<Option<Timestamp>> {
    let (_, last) = end(conn)?;
    Ok(unsealed(conn, last, (back, Some(now)), 1)?.first().map(|(_, at, _)| *at))
}

/// Seals until no event waits. Returns early if another instance is sealing.
///
/// # Errors
/// Those of the database.
pub async fn seal_waiting(db: &Db, signer: &Signer, back: SignedDuration, now: Timestamp) -> Result<()> {
    let full = usize::try_from(BATCH).unwrap_or(usize::MAX);
    loop {
        let signer = signer.clone();
        if db.write(move |tx| seal(tx, &signer, back, Some(now))).await? < full {
            return Ok(());
        }
    }
}

/// Seals at most [`BATCH`] events and returns how many. Returns 0 if another instance is sealing. Without `now`, the seals have no time, as
/// those of a demo's invented past.
pub fn seal(tx: &mut Conn, signer: &Signer, back: SignedDuration, now: Option<Timestamp>) -> Result<usize> {
    // The instances of one PostgreSQL database seal one at a time.
    if let Conn::Postgres(tx) = tx
        && !advisory_lock::try_take_key(tx, advisory_lock::SEALING)?
    {
        return Ok(0);
    }
    let (mut head, last) = end(tx)?;
    let waiting = unsealed(tx, last, (back, now), BATCH)?;
    let key_id = AuditKeyId(signer.id);
    let seals: Vec<Seal> = waiting
        .into_iter()
        .map(|(event_id, _, mac)| {
            let seq = head.seq + 1;
            let hmac = signer.sign(&seal_statement(seq, (event_id, &mac), key_id, &head.hmac, now));
            head = Head { seq, hmac: hmac.clone() };
            Seal { seq, event_id, key_id, hmac, at: now }
        })
        .collect();
    let count = seals.len();
    if count > 0 {
        let stored = per_backend!(tx, tx => diesel::insert_into(audit_seals::table).values(seals).execute(tx))?;
        if stored != count {
            return Err(Error::fault("the database did not store a seal, and reported no error"));
        }
    }
    Ok(count)
}
