//! The lock that keeps an account's role, session and access to patients until the end of a change. PostgreSQL runs transactions side by side.
//! Without the lock, a request could pass its checks, wait for another lock while its access ends, and then change the record.
//!
//! Every change by an account or a machine client, or by a link that was mailed to an account, shares the lock of the account. A transaction that
//! disables or closes an account, changes its role or credentials, revokes a machine client, or ends sessions or access waits for the lock first,
//! so it also sees everything that the account has done.

use crate::db::{Conn, advisory_lock};
use crate::error::Result;
use crate::ids::UserId;

/// Distinguishes these locks from others with the same name.
const SEED: i64 = 2;

/// Shares the lock until the transaction ends. Call it before the check of the access, and before all other locks.
pub fn share(conn: &mut Conn, account: UserId) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        advisory_lock::wait_shared(conn, &account.to_string(), SEED)?;
    }
    Ok(())
}

/// Shares the lock for a change by a link, if the link was mailed to an account. Call it before the check of the
/// access, and before all other locks.
pub fn share_for_link(conn: &mut Conn, account: Option<UserId>) -> Result<()> {
    account.map_or(Ok(()), |account| share(conn, account))
}

/// Waits for the account's changes that are in progress. Later ones wait until the transaction ends. Call it before all other locks.
pub fn wait(conn: &mut Conn, account: UserId) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        advisory_lock::wait(conn, &account.to_string(), SEED)?;
    }
    Ok(())
}
