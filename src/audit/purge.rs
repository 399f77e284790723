//! Deletes the oldest events: whole sealed sections from the beginning of the trail. The HMAC of the last deleted seal
//! is kept.

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

/// How many events one transaction deletes.
const BATCH: i64 = 5_000;

/// The row of a purge.
#[derive(Debug, Clone, diesel::Queryable, diesel::Selectable, diesel::Insertable)]
#[diesel(table_name = audit_purges)]
pub struct Purge {
    /// The place of the last deleted seal.
    pub upto_seq: i64,
    /// The HMAC of that seal, at which the rest of the chain begins.
    pub closing_hmac: Vec<u8>,
    /// The time.
    pub at: Timestamp,
    /// The key that signed this row.
    pub key_id: AuditKeyId,
    /// The digest of the row.
    pub mac: Vec<u8>,
}

/// Reads the last purge.
pub fn last(conn: &mut Conn) -> Result<Option<Purge>> {
    Ok(audit_purges::table.order(audit_purges::upto_seq.desc()).select(Purge::as_select()).first(conn).optional()?)
}

/// Deletes the sealed events from the beginning of the trail up to the first that is not older than `before`, at most
/// [`BATCH`] of them, and returns how many. Call it until it returns 0, and record the command.
pub fn purge(tx: &mut Conn, env: &Env, before: Timestamp) -> Result<usize> {
    let oldest: Vec<(Seal, Option<Timestamp>)> = audit_seals::table
        .left_join(audit_events::table.on(audit_events::id.eq(audit_seals::event_id)))
        .order(audit_seals::seq)
        .limit(BATCH)
        .select((Seal::as_select(), audit_events::at.nullable()))
        .load(tx)?;
    // If an event is missing, it was tampered with. The finding must stay.
    let expired: Vec<(Seal, Timestamp)> =
        oldest.into_iter().map_while(|(seal, at)| Some((seal, at.filter(|at| *at < before)?))).collect();
    let (Some((closing, _)), Some(newest)) = (expired.last(), expired.iter().map(|(_, at)| *at).max()) else {
        return Ok(0);
    };
    let (upto_seq, key_id, at) = (closing.seq, AuditKeyId(env.signer.id), env.now());
    let mac = env.signer.sign(&purge_statement(upto_seq, &closing.hmac, at, key_id));
    let row = Purge { upto_seq, closing_hmac: closing.hmac.clone(), at, key_id, mac };
    diesel::insert_into(audit_purges::table).values(&row).execute(tx)?;
    // The seals last, because they decide what is deleted.
    shown::remove(tx, upto_seq, newest)?;
    let sealed = audit_seals::table.filter(audit_seals::seq.le(upto_seq));
    let purged = audit_events::table.filter(audit_events::id.eq_any(sealed.select(audit_seals::event_id)));
    diesel::delete(purged).execute(tx)?;
    diesel::delete(audit_seals::table.filter(audit_seals::seq.le(upto_seq))).execute(tx)?;
    Ok(expired.len())
}
