//! The lock that keeps an account's access to patients while a change runs that it permits. PostgreSQL runs transactions side by side: without
//! it, a request that was authorised before its account's access ended could change the record afterwards, because it waited for
//! another lock in between.
//!
//! Every change by a patient's account shares the lock of the account. A transaction that ends an account's access waits for it first, so it
//! also finds everything that the account has done.

use crate::db::{Conn, advisory_lock};
use crate::error::Result;
use crate::ids::UserId;

/// Distinguishes these locks from others with the same name.
const SEED: i64 = 2;

/// Keeps the account's access until the transaction ends. The first statement of a change.
pub(super) fn share(conn: &mut Conn, account: UserId) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        advisory_lock::wait_shared(conn, &account.to_string(), SEED)?;
    }
    Ok(())
}

/// Waits for the changes that the account's access permits. Further ones wait until the transaction ends. Call it before all other locks.
pub fn wait(conn: &mut Conn, account: UserId) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        advisory_lock::wait(conn, &account.to_string(), SEED)?;
    }
    Ok(())
}
