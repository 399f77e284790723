//! Slows down who guesses. Failures are counted in the database, so that all instances count together, under keyed hashes;
//! an address without an account is counted like any other, so that the throttle tells nobody who has one.
//!
//! Nobody can lock somebody else out: what grows long is counted for one account from one address. The count of an account
//! over all addresses stops few at a time, never for longer than a minute. That and the count of an address over all
//! accounts spare who comes from a network that the account's owner has signed in from: in the waiting room, patients share
//! an address with the desk. A password reset clears what is counted for the account.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::origin::Origin;
use crate::clock::Timestamp;
use crate::db::schema::sign_in_failures::{self, dsl};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::UserId;

/// After so long without a failure a count begins anew.
pub const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// How fast one may go on failing.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Failures that cost nothing: people mistype.
    free: i32,
    /// Seconds to wait after the first that is not free; each further one doubles them …
    first: i64,
    /// … up to this.
    most: i64,
}

/// One account from one address.
const PAIR: Pace = Pace { free: 5, first: 10, most: 15 * 60 };
/// One account from anywhere.
const ACCOUNT: Pace = Pace { free: 20, first: 2, most: 60 };
/// One address, whatever account: somebody who tries one password on many. A clinic shares one, hence so many.
const ADDRESS: Pace = Pace { free: 50, first: 2, most: 5 * 60 };
/// The codes of one account, after its right password: from anywhere, as a code has but six digits.
const CODE: Pace = Pace { free: 5, first: 10, most: 15 * 60 };

impl Pace {
    /// How long to wait after so many failures.
    fn wait(self, failures: i32) -> SignedDuration {
        let Some(beyond) = u32::try_from(failures - self.free).ok() else { return SignedDuration::ZERO };
        let seconds = 2_i64.checked_pow(beyond).and_then(|factor| self.first.checked_mul(factor));
        SignedDuration::from_secs(seconds.map_or(self.most, |seconds| seconds.min(self.most)))
    }
}

/// A count: whose failures, and how fast they may go on.
#[derive(Debug, Clone)]
struct Counter {
    account: Vec<u8>,
    network: Vec<u8>,
    pace: Pace,
}

#[derive(Queryable)]
struct Row {
    failures: i32,
    last_at: Timestamp,
    retry_at: Timestamp,
}

/// The counts that a try is held against.
#[derive(Debug, Clone)]
pub struct Tries(Vec<Counter>);

fn account_key(env: &Env, email_key: &str) -> Vec<u8> {
    env.sealer.fingerprint(&[b"sign-in account", email_key.as_bytes()])
}

fn code_key(env: &Env, user: UserId) -> Vec<u8> {
    env.sealer.fingerprint(&[b"sign-in code", user.0.as_bytes()])
}

impl Tries {
    /// A password for the account of this address. `familiar` is whether its owner has signed in from this network.
    pub fn password(env: &Env, email_key: &str, origin: &Origin, familiar: bool) -> Self {
        let account = account_key(env, email_key);
        let network = env.sealer.fingerprint(&[b"sign-in address", &origin.caller()]);
        // Always in this order: whoever locks one of a kind before the next kind never waits in a circle.
        let mut counters = vec![Counter { account: account.clone(), network: network.clone(), pace: PAIR }];
        if !familiar {
            counters.push(Counter { account, network: Vec::new(), pace: ACCOUNT });
            counters.push(Counter { account: Vec::new(), network, pace: ADDRESS });
        }
        Self(counters)
    }

    /// A code of the second factor of this account.
    pub fn code(env: &Env, user: UserId) -> Self {
        Self(vec![Counter { account: code_key(env, user), network: Vec::new(), pace: CODE }])
    }

    /// Whether another try may be made now; without a lock, to save work early.
    ///
    /// # Errors
    /// [`Error::TooMany`] with the seconds to wait.
    pub fn look(&self, conn: &mut Conn, now: Timestamp) -> Result<()> {
        for counter in &self.0 {
            if let Some(row) = counter.rows().first::<Row>(conn).optional()? {
                counter.admit(&row, now)?;
            }
        }
        Ok(())
    }

    /// The same, and keeps others who try the same waiting until the transaction ends: of any number of tries at once,
    /// only the free ones are heard.
    ///
    /// # Errors
    /// [`Error::TooMany`] with the seconds to wait.
    pub fn hold(&self, tx: &mut Conn, now: Timestamp) -> Result<()> {
        for counter in &self.0 {
            let row = counter.lock(tx, now)?;
            counter.admit(&row, now)?;
        }
        Ok(())
    }

    /// Counts a failure. Only after [`Tries::hold`].
    ///
    /// # Errors
    /// The database's.
    pub fn failed(&self, tx: &mut Conn, now: Timestamp) -> Result<()> {
        for counter in &self.0 {
            let row = counter.rows().first::<Row>(tx)?;
            let failures = if now.since(row.last_at) >= MEMORY { 1 } else { row.failures.saturating_add(1) };
            counter.write(tx, failures, now, now.plus(counter.pace.wait(failures)))?;
        }
        Ok(())
    }

    /// Forgets the failures of the account, as it was its owner. The address keeps its own: else who tries many accounts
    /// would only have to sign in to one of theirs in between. Only after [`Tries::hold`].
    ///
    /// # Errors
    /// The database's.
    pub fn succeeded(&self, tx: &mut Conn, now: Timestamp) -> Result<()> {
        for counter in self.0.iter().filter(|counter| !counter.account.is_empty()) {
            counter.write(tx, 0, now, now)?;
        }
        Ok(())
    }
}

/// The row of a counter.
type Rows<'a> = diesel::dsl::Select<
    diesel::dsl::Find<sign_in_failures::table, (&'a Vec<u8>, &'a Vec<u8>)>,
    (dsl::failures, dsl::last_at, dsl::retry_at),
>;

impl Counter {
    fn admit(&self, row: &Row, now: Timestamp) -> Result<()> {
        // Without failures there is nothing to wait for, also where the clock was put back.
        if row.failures == 0 || now >= row.retry_at {
            return Ok(());
        }
        // Rounded up: who comes back at the second that was named is heard.
        let seconds = (row.retry_at.since(now).as_millis() + 999) / 1000;
        let detail = if self.account.is_empty() {
            "There were too many failed attempts from your network. Wait for the seconds in Retry-After."
        } else {
            "There were too many failed attempts. Wait for the seconds in Retry-After, or set a new password."
        };
        Err(Error::TooMany {
            code: "too_many_attempts",
            retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
            detail: detail.into(),
        })
    }

    fn rows(&self) -> Rows<'_> {
        sign_in_failures::table.find((&self.account, &self.network)).select((
            dsl::failures,
            dsl::last_at,
            dsl::retry_at,
        ))
    }

    /// The row, made where there is none, and locked.
    fn lock(&self, tx: &mut Conn, now: Timestamp) -> Result<Row> {
        let new = (
            dsl::account.eq(&self.account),
            dsl::network.eq(&self.network),
            dsl::failures.eq(0),
            dsl::last_at.eq(now),
            dsl::retry_at.eq(now),
        );
        let insert = diesel::insert_into(sign_in_failures::table).values(new);
        per_backend!(tx, conn => insert.on_conflict_do_nothing().execute(conn))?;
        match tx {
            Conn::Sqlite(conn) => Ok(self.rows().first(conn)?),
            Conn::Postgres(conn) => Ok(self.rows().for_update().first(conn)?),
        }
    }

    fn write(&self, tx: &mut Conn, failures: i32, now: Timestamp, retry_at: Timestamp) -> Result<()> {
        diesel::update(sign_in_failures::table.find((&self.account, &self.network)))
            .set((dsl::failures.eq(failures), dsl::last_at.eq(now), dsl::retry_at.eq(retry_at)))
            .execute(tx)?;
        Ok(())
    }
}

/// Forgets every failure of an account, from wherever: its owner has shown that the mailbox is theirs.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Conn, env: &Env, user: UserId, email_key: &str) -> Result<()> {
    let now = env.now();
    let accounts = [account_key(env, email_key), code_key(env, user)];
    diesel::update(sign_in_failures::table.filter(dsl::account.eq_any(accounts)))
        .set((dsl::failures.eq(0), dsl::retry_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_failures_are_free_and_then_each_costs_twice_the_one_before() {
        let waits: Vec<i64> = (0..14).map(|failures| PAIR.wait(failures).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(ACCOUNT.wait(19).as_secs(), 0);
        assert_eq!(ACCOUNT.wait(1_000_000).as_secs(), 60);
    }

    proptest! {
        #[test]
        fn waiting_never_shrinks_with_failures_and_never_passes_its_bound(failures in 0..i32::MAX) {
            for pace in [PAIR, ACCOUNT, ADDRESS, CODE] {
                let (now, next) = (pace.wait(failures), pace.wait(failures.saturating_add(1)));
                prop_assert!(now <= next && next.as_secs() <= pace.most);
            }
        }
    }
}
