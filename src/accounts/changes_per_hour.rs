//! Limits how often the sessions of an account change its credentials, ask for a link to a new address, or invite others.
//!
//! A change of the credentials voids the links in earlier mails. Without a limit a thief who knows the password voids every reset link
//! that the owner asks for. A password that is set with a mailed link does not count, because the link proves the mailbox; it also ends the
//! count. Switching the second factor on does not count either, because it takes a switching off between two of them.
//!
//! A link to a new address is a mail to any mailbox. Without a limit an account could have mails sent to thousands of strangers.

use super::throttle::{Counter, MEMORY, own_key};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::UserId;

/// The changes after which an account has to wait until [`MEMORY`] has passed since the last one.
const MOST: i32 = 5;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Of the password, or the second factor is switched off.
    Credentials,
    /// A link to a new address was asked for, whether or not it is sent: otherwise the limit would tell who has an account.
    AddressAsked,
    /// A patient invited a helper: a mail to any mailbox as well.
    HelperInvited,
}

impl Change {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Credentials => b"changes of credentials",
            Self::AddressAsked => b"requests for a new address",
            Self::HelperInvited => b"invitations of helpers",
        }
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Credentials => {
                "The password or the second factor of this account was changed too often. Set a new password with a link \
                 (POST /v1/password-resets), or retry after the number of seconds in Retry-After."
            }
            Self::AddressAsked => {
                "This account asked for a new address too often. Retry after the number of seconds in Retry-After."
            }
            Self::HelperInvited => {
                "This account invited others too often. Retry after the number of seconds in Retry-After."
            }
        }
    }
}

/// Counts a change that a session makes. Call it in the transaction of the change, after the account was locked.
///
/// # Errors
/// [`Error::TooMany`] with the code `too_many_changes`.
pub fn count(tx: &mut Conn, env: &Env, user: UserId, change: Change) -> Result<()> {
    let now = env.now();
    // Under the account's own key, so that a password reset and the operator end the count with the failures.
    let counter = Counter { account: own_key(env, user), digest: env.sealer.fingerprint(&[change.name()]) };
    let row = counter.lock(tx, now)?;
    let changes = row.failures(now);
    if changes >= MOST {
        let wait = row.last_at.plus(MEMORY).since(now).min(MEMORY);
        return Err(Error::TooMany {
            code: ProblemCode::TooManyChanges,
            retry_after: u32::try_from(wait.as_secs()).unwrap_or(0).max(1),
            detail: change.refusal().into(),
        });
    }
    counter.write(tx, changes + 1, now, now)
}
