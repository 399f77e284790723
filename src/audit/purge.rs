//! The one way out of the trail: whole sealed stretches from its beginning, whose closing HMAC is kept.

use diesel::prelude::*;

use super::model::purge_statement;
use super::seal::Seal;
use super::shown;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{audit_events, audit_purges, audit_seals};
use crate::env::Env;
use crate::error::Result;
use crate::ids::AuditKeyId;

/// How many events one transaction removes at most.
const AT_ONCE: i64 = 5_000;

/// A purge's row.
#[derive(Debug, Clone, diesel::Queryable, diesel::Selectable, diesel::Insertable)]
#[diesel(table_name = audit_purges)]
pub struct Purge {
    /// The place of the last seal that is gone.
    pub upto_seq: i64,
    /// Its HMAC, at which the rest of the chain begins.
    pub closing_hmac: Vec<u8>,
    /// When.
    pub at: Timestamp,
    /// What signed this row.
    pub key_id: AuditKeyId,
    /// The digest of the row.
    pub mac: Vec<u8>,
}

/// The last purge.
///
/// # Errors
/// The database's.
pub fn last(conn: &mut Conn) -> Result<Option<Purge>> {
    Ok(audit_purges::table.order(audit_purges::upto_seq.desc()).select(Purge::as_select()).first(conn).optional()?)
}

/// Removes the sealed events from the beginning of the trail up to the first that is not older than `before`, some thousands
/// at once, and says how many. Whoever purges goes on until there are none, and records that it was done.
///
/// # Errors
/// The database's.
pub fn purge(tx: &mut Conn, env: &Env, before: Timestamp) -> Result<usize> {
    let oldest: Vec<(Seal, Option<Timestamp>)> = audit_seals::table
        .left_join(audit_events::table.on(audit_events::id.eq(audit_seals::event_id)))
        .order(audit_seals::seq)
        .limit(AT_ONCE)
        .select((Seal::as_select(), audit_events::at.nullable()))
        .load(tx)?;
    // Where an event is missing, somebody else removed it: the finding must stay.
    let gone: Vec<(Seal, Timestamp)> =
        oldest.into_iter().map_while(|(seal, at)| Some((seal, at.filter(|at| *at < before)?))).collect();
    let (Some((closing, _)), Some(newest)) = (gone.last(), gone.iter().map(|(_, at)| *at).max()) else {
        return Ok(0);
    };
    let (upto_seq, key_id, at) = (closing.seq, AuditKeyId(env.signer.id), env.now());
    let mac = env.signer.sign(&purge_statement(upto_seq, &closing.hmac, at, key_id));
    let row = Purge { upto_seq, closing_hmac: closing.hmac.clone(), at, key_id, mac };
    diesel::insert_into(audit_purges::table).values(&row).execute(tx)?;
    // The seals last: what may go is known by them.
    shown::remove(tx, upto_seq, newest)?;
    let sealed = audit_seals::table.filter(audit_seals::seq.le(upto_seq));
    let events = audit_events::table.filter(audit_events::id.eq_any(sealed.select(audit_seals::event_id)));
    diesel::delete(events).execute(tx)?;
    diesel::delete(audit_seals::table.filter(audit_seals::seq.le(upto_seq))).execute(tx)?;
    Ok(gone.len())
}
