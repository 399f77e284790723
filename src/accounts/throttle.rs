//! Slows down password guessing. Failures are counted in the database under keyed hashes, so all instances count together.
//! An address without an account is counted like one with an account, so the throttle does not tell who has an account.
//!
//! Every attempt belongs to a lane, and waits after failures in its own lane:
//!
//! - A known device ([`super::device`]): one account from this device.
//! - A signed-in user who confirms a change: one account from all its sessions.
//! - The holder of a link who confirms a change: this link.
//! - Any other caller: one account from one caller's address.
//! - A caller who types in a code from a mail ([`super::typed_code`]): all codes of its kind from one caller's address. They are guessed
//!   together, so they count like one account.
//!
//! Codes of the second factor have lanes too. All unknown devices of an account share one, whatever their address, because a code has
//! only six digits. Every other password lane has its own code lane. When the code lanes of an account reach [`FREE_CODES`] failures in
//! total, each of them waits long after its first failure. A lane without a failure is still checked at once, so a thief with
//! stolen device tokens does not lock out the owner's device.
//!
//! Guesses in other lanes cannot keep the owner of an account out. When an account has had [`FREE_GUESSES`] failures from
//! unknown devices, it is under attack: each further address waits [`FIRST_WAIT`] once, and its next attempt is then checked,
//! whatever others do meanwhile. It has no free failures afterwards. A caller has few addresses of its own
//! ([`Origin::caller`]), so this bounds the guesses of one attacker per hour without a count that strangers can use up.
//!
//! The wrong credentials of machine clients count by the caller's address alone.
//!
//! One count spans accounts: that of a caller's address, against trying one password on many accounts. Known devices are exempt from
//! it, because patients in the clinic share one address with the front desk.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::device::Device;
use super::model::User;
use super::origin::Origin;
use super::typed_code::CodeSpace;
use crate::clock::Timestamp;
use crate::db::schema::sign_in_failures::{self, dsl};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{OneTimeTokenId, UserId};

/// A count starts again from zero after this time without a failure.
pub const MEMORY: SignedDuration = SignedDuration::from_hours(1);
/// Failures from unknown devices that an account may have before it counts as under attack.
const FREE_GUESSES: i32 = 20;
/// Wrong codes that the known devices, the sessions and the links of an account may have together before each of them counts as under
/// attack.
const FREE_CODES: i32 = 20;
/// How long an unknown address waits before its first attempt on an account under attack.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(20);

/// How long a lane or an address waits after failures.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The first failure that is followed by a wait. People mistype.
    first_delayed_failure: i32,
    /// The wait after that failure. Each further failure doubles it.
    first_wait_seconds: i64,
    /// The longest wait.
    max_wait_seconds: i64,
}

/// A lane: four failures without a wait.
const LANE: Pace = Pace { first_delayed_failure: 5, first_wait_seconds: 10, max_wait_seconds: 15 * 60 };
/// A lane of an unknown device on an account under attack: each failure costs a wait.
const LANE_UNDER_ATTACK: Pace = Pace { first_delayed_failure: 1, ..LANE };
/// A lane for codes of an account whose lanes for codes are under attack: four failures an hour.
const CODE_LANE_UNDER_ATTACK: Pace =
    Pace { first_delayed_failure: 1, first_wait_seconds: 15 * 60, max_wait_seconds: 15 * 60 };
/// An address over all accounts. It is high because a clinic shares one address.
const ADDRESS: Pace = Pace { first_delayed_failure: 50, first_wait_seconds: 2, max_wait_seconds: 5 * 60 };

impl Pace {
    /// The wait after this many failures.
    fn wait(self, failures: i32) -> SignedDuration {
        let Some(beyond) = u32::try_from(failures - self.first_delayed_failure).ok() else {
            return SignedDuration::ZERO;
        };
        let seconds = 2_i64.checked_pow(beyond).and_then(|factor| self.first_wait_seconds.checked_mul(factor));
        SignedDuration::from_secs(seconds.map_or(self.max_wait_seconds, |seconds| seconds.min(self.max_wait_seconds)))
    }
}

/// A row of the table: a lane, an account from all unknown devices, or an address over all accounts.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    pub(super) account: Vec<u8>,
    /// A digest of the device, address, session or link. Empty for an account from all unknown devices.
    pub(super) digest: Vec<u8>,
}

/// The values of a row. A lane without failures whose `retry_at` is later than its `last_at` was told its first wait.
#[derive(Debug, Clone, Copy, Queryable)]
pub(super) struct Row {
    failures: i32,
    pub(super) last_at: Timestamp,
    retry_at: Timestamp,
}

impl Row {
    fn new(now: Timestamp) -> Self {
        Self { failures: 0, last_at: now, retry_at: now }
    }

    fn is_recent(&self, now: Timestamp) -> bool {
        now >= self.last_at && now.since(self.last_at) < MEMORY
    }

    /// The failures that still count.
    pub(super) fn failures(&self, now: Timestamp) -> i32 {
        // A failure with a later time counts too: the clock may have been set back since.
        if now.since(self.last_at) < MEMORY { self.failures } else { 0 }
    }

    fn was_told_to_wait(&self, now: Timestamp) -> bool {
        self.failures == 0 && self.retry_at > self.last_at && self.is_recent(now)
    }

    fn wait(&self, now: Timestamp) -> SignedDuration {
        let counts = self.failures > 0 || self.was_told_to_wait(now);
        if counts && now < self.retry_at { self.retry_at.since(now) } else { SignedDuration::ZERO }
    }
}

/// The rows that decide about an attempt.
struct Rows {
    lane: Row,
    /// The account from all unknown devices and the address over all accounts, for an unknown device.
    stranger: Option<(Row, Row)>,
}

impl Rows {
    fn is_under_attack(&self, now: Timestamp) -> bool {
        self.stranger.is_some_and(|(account, _)| account.failures(now) >= FREE_GUESSES)
    }

    fn judge(&self, now: Timestamp) -> Verdict {
        let is_first = self.lane.failures(now) == 0 && !self.lane.was_told_to_wait(now);
        let is_first_wait = is_first && self.is_under_attack(now);
        let of_lane = if is_first_wait { FIRST_WAIT } else { self.lane.wait(now) };
        let of_address = self.stranger.map_or(SignedDuration::ZERO, |(_, address)| address.wait(now));
        let wait = of_lane.max(of_address);
        if wait.is_zero() {
            return Verdict::Proceed;
        }
        let wait = Wait {
            // Rounded up, so that a retry after exactly this time is checked.
            seconds: u32::try_from((wait.as_millis() + 999) / 1000).unwrap_or(u32::MAX),
            by_address: of_address > of_lane,
        };
        if is_first_wait { Verdict::FirstWait(wait) } else { Verdict::Wait(wait) }
    }
}

/// What a user who confirms a change holds besides the password.
#[derive(Debug, Clone, Copy)]
pub enum ConfirmedBy {
    Session,
    /// A link from a mail. Its holder need not be the account's owner, so failures do not delay the sessions.
    Link(OneTimeTokenId),
}

/// Whether an attempt is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is checked now.
    Proceed,
    /// It is not checked.
    Wait(Wait),
    /// It is not checked, and [`Throttle::admit`] has to store that its lane was told to wait.
    FirstWait(Wait),
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    seconds: u32,
    /// Whether the address has to wait, for all accounts.
    by_address: bool,
}

impl Wait {
    /// The wait of a caller who has no password to set.
    #[must_use]
    pub fn of_network(self) -> Self {
        Self { by_address: true, ..self }
    }
}

impl From<Wait> for Error {
    fn from(wait: Wait) -> Self {
        let detail = if wait.by_address {
            "There were too many failed attempts from your network. Retry after the number of seconds in `Retry-After`."
        } else {
            "There were too many failed attempts. Retry after the number of seconds in `Retry-After`, or set a new password."
        };
        Self::TooMany { code: ProblemCode::TooManyAttempts, retry_after: wait.seconds, detail: detail.into() }
    }
}

/// The counters that decide about an attempt.
#[derive(Debug, Clone)]
pub struct Throttle {
    lane: Counter,
    /// For a password from an unknown device.
    stranger: Option<Stranger>,
    /// For a code from another caller than an unknown device: the failures in all code lanes of such callers of the account.
    all_code_lanes: Option<Counter>,
}

/// The counters of an unknown device besides its lane, and its site.
#[derive(Debug, Clone)]
struct Stranger {
    account: Counter,
    address: Counter,
    site: Vec<u8>,
}

fn account_key(env: &Env, email_key: &str) -> Vec<u8> {
    env.sealer.fingerprint(&[b"sign-in account", email_key.as_bytes()])
}

pub(super) fn own_key(env: &Env, user: UserId) -> Vec<u8> {
    env.sealer.fingerprint(&[b"signed-in account", user.0.as_bytes()])
}

fn code_key(env: &Env, user: UserId) -> Vec<u8> {
    env.sealer.fingerprint(&[b"sign-in code", user.0.as_bytes()])
}

impl Throttle {
    /// A password for the account of this address, from an unknown device.
    pub fn for_unknown_device(env: &Env, email_key: &str, origin: &Origin) -> Self {
        Self::of_stranger(env, account_key(env, email_key), origin)
    }

    /// A code that an unknown caller types in.
    pub fn for_typed_code(env: &Env, space: CodeSpace, origin: &Origin) -> Self {
        Self::of_stranger(env, env.sealer.fingerprint(&[b"typed codes", space.0.as_bytes()]), origin)
    }

    /// The address of something that a stranger asks for, and that has never existed. Counts apart from passwords, because programs ask
    /// again and again for what they were once given.
    pub fn for_unknown_address(env: &Env, kind: &str, origin: &Origin) -> Self {
        let account = env.sealer.fingerprint(&[b"unknown addresses", kind.as_bytes()]);
        Self::of_lane(Counter { account, digest: env.sealer.fingerprint(&[b"sign-in address", &origin.caller()]) })
    }

    /// The secret or the assertion of a machine client. It cannot be guessed, so only those that are wrong wait.
    pub fn for_client(env: &Env, origin: &Origin) -> Self {
        let account = env.sealer.fingerprint(&[b"client credentials"]);
        Self::of_lane(Counter { account, digest: env.sealer.fingerprint(&[b"sign-in address", &origin.caller()]) })
    }

    fn of_stranger(env: &Env, account: Vec<u8>, origin: &Origin) -> Self {
        let network = env.sealer.fingerprint(&[b"sign-in address", &origin.caller()]);
        let stranger = Stranger {
            account: Counter { account: account.clone(), digest: Vec::new() },
            address: Counter { account: Vec::new(), digest: network.clone() },
            site: origin.site(),
        };
        Self { lane: Counter { account, digest: network }, stranger: Some(stranger), all_code_lanes: None }
    }

    /// A password for the account of this address, from a device that has signed in to it.
    pub fn for_known_device(env: &Env, email_key: &str, device: Device) -> Self {
        let device = env.sealer.fingerprint(&[b"sign-in device", device.0.as_bytes()]);
        Self::of_lane(Counter { account: account_key(env, email_key), digest: device })
    }

    /// The password of a user who confirms a change, with a session or with a link from a mail.
    pub fn for_confirmation(env: &Env, user: UserId, by: ConfirmedBy) -> Self {
        let digest = match by {
            ConfirmedBy::Session => Vec::new(),
            ConfirmedBy::Link(id) => env.sealer.fingerprint(&[b"link", id.0.as_bytes()]),
        };
        Self::of_lane(Counter { account: own_key(env, user), digest })
    }

    /// A code of this account's second factor, after the right password.
    #[must_use]
    pub fn for_code(&self, env: &Env, user: UserId) -> Self {
        let account = code_key(env, user);
        if self.stranger.is_some() {
            // Unknown devices share one count, so that many addresses give no more guesses than one.
            return Self::of_lane(Counter { account, digest: Vec::new() });
        }
        let digest = env.sealer.fingerprint(&[b"code lane", &self.lane.account, &self.lane.digest]);
        let all = Counter { account: account.clone(), digest: env.sealer.fingerprint(&[b"all code lanes"]) };
        Self { all_code_lanes: Some(all), ..Self::of_lane(Counter { account, digest }) }
    }

    fn of_lane(lane: Counter) -> Self {
        Self { lane, stranger: None, all_code_lanes: None }
    }

    /// The name of the lane, among those of the account.
    pub fn lane(&self) -> &[u8] {
        &self.lane.digest
    }

    /// [`Origin::site`] of an unknown device; none for other callers.
    pub fn site(&self) -> Option<&[u8]> {
        self.stranger.as_ref().map(|stranger| stranger.site.as_slice())
    }

    /// Returns whether an attempt would be checked now. Takes no lock; it saves the work of an attempt that would be refused.
    pub fn peek(&self, conn: &mut Conn, now: Timestamp) -> Result<Verdict> {
        let rows = self.rows(|counter| Ok(counter.rows().first(conn).optional()?.unwrap_or(Row::new(now))))?;
        Ok(rows.judge(now))
    }

    /// Decides whether an attempt is checked now, and locks the lane, the account and the address until the transaction ends. So of
    /// many concurrent attempts no more are checked than of as many in a row.
    ///
    /// If it returns a wait, the transaction must commit, because it may have stored that the lane was told to wait.
    pub fn admit(&self, tx: &mut Conn, now: Timestamp) -> Result<Option<Wait>> {
        // Every transaction locks them in this order, so that no two wait for each other.
        let rows = self.rows(|counter| counter.lock(tx, now))?;
        match rows.judge(now) {
            Verdict::Proceed => Ok(None),
            Verdict::Wait(wait) => Ok(Some(wait)),
            Verdict::FirstWait(wait) => {
                self.lane.write(tx, 0, now, now.plus(FIRST_WAIT))?;
                Ok(Some(wait))
            }
        }
    }

    /// Counts a failure, and returns the failures of the lane. Call [`Throttle::admit`] first.
    pub fn record_failure(&self, tx: &mut Conn, now: Timestamp) -> Result<i32> {
        let mut pace = LANE;
        if let Some(Stranger { account, address, .. }) = &self.stranger {
            let failures = account.add(tx, now)?;
            account.write(tx, failures, now, now)?;
            if failures > FREE_GUESSES {
                pace = LANE_UNDER_ATTACK;
            }
            let failures = address.add(tx, now)?;
            address.write(tx, failures, now, now.plus(ADDRESS.wait(failures)))?;
        }
        if let Some(all) = &self.all_code_lanes {
            let failures = all.lock(tx, now)?.failures(now).saturating_add(1);
            all.write(tx, failures, now, now)?;
            if failures > FREE_CODES {
                pace = CODE_LANE_UNDER_ATTACK;
            }
        }
        let failures = self.lane.add(tx, now)?;
        self.lane.write(tx, failures, now, now.plus(pace.wait(failures)))?;
        Ok(failures)
    }

    /// Resets the failures of the lane, unless an unknown device shares the lane with other callers at its address: they would see that
    /// the owner has signed in, and could guess again. The device gets a token, and with it a lane of its own. The address keeps its
    /// count, because an attacker could otherwise reset it by signing in to an account of their own. The account stays under attack until
    /// [`MEMORY`] has passed without a failure. Call [`Throttle::admit`] first.
    pub fn record_success(&self, tx: &mut Conn, now: Timestamp) -> Result<()> {
        if self.stranger.is_some() { Ok(()) } else { self.lane.write(tx, 0, now, now) }
    }

    fn rows(&self, mut row: impl FnMut(&Counter) -> Result<Row>) -> Result<Rows> {
        let lane = row(&self.lane)?;
        let stranger = match &self.stranger {
            Some(Stranger { account, address, .. }) => Some((row(account)?, row(address)?)),
            None => None,
        };
        Ok(Rows { lane, stranger })
    }
}

/// The row of a counter.
type Select<'a> = diesel::dsl::Select<
    diesel::dsl::Find<sign_in_failures::table, (&'a Vec<u8>, &'a Vec<u8>)>,
    (dsl::failures, dsl::last_at, dsl::retry_at),
>;

impl Counter {
    fn rows(&self) -> Select<'_> {
        sign_in_failures::table.find((&self.account, &self.digest)).select((dsl::failures, dsl::last_at, dsl::retry_at))
    }

    /// Locks the row, and creates it if there is none.
    pub(super) fn lock(&self, tx: &mut Conn, now: Timestamp) -> Result<Row> {
        let new = (
            dsl::account.eq(&self.account),
            dsl::network.eq(&self.digest),
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

    /// The failures with one more.
    fn add(&self, tx: &mut Conn, now: Timestamp) -> Result<i32> {
        Ok(self.rows().first::<Row>(tx)?.failures(now).saturating_add(1))
    }

    pub(super) fn write(&self, tx: &mut Conn, failures: i32, now: Timestamp, retry_at: Timestamp) -> Result<()> {
        diesel::update(sign_in_failures::table.find((&self.account, &self.digest)))
            .set((dsl::failures.eq(failures), dsl::last_at.eq(now), dsl::retry_at.eq(retry_at)))
            .execute(tx)?;
        Ok(())
    }
}

/// Resets the failures that the owner of an account caused, after the owner has proved control of the mailbox from this origin. The
/// failures of other callers stay. Otherwise their waits would show when an account gets its first password.
pub fn forget_own(tx: &mut Conn, env: &Env, user: &User, origin: &Origin) -> Result<()> {
    let now = env.now();
    Throttle::for_unknown_device(env, &user.email_key, origin).lane.write(tx, 0, now, now)?;
    // Only callers who know the password, or have a session, see these.
    reset(tx, &[own_key(env, user.id), code_key(env, user.id)], now)
}

/// Resets all failures of an account, at the operator's request.
pub fn forget(tx: &mut Conn, env: &Env, user: UserId, email_key: &str) -> Result<()> {
    let now = env.now();
    reset(tx, &[account_key(env, email_key), own_key(env, user), code_key(env, user)], now)
}

fn reset(tx: &mut Conn, accounts: &[Vec<u8>], now: Timestamp) -> Result<()> {
    diesel::update(sign_in_failures::table.filter(dsl::account.eq_any(accounts)))
        .set((dsl::failures.eq(0), dsl::last_at.eq(now), dsl::retry_at.eq(now)))
        .execute(tx)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        "2026-03-02T14:00:00Z".parse().expect("an instant")
    }

    fn after(seconds: i64) -> Timestamp {
        start().plus(SignedDuration::from_secs(seconds))
    }

    fn row(failures: i32, retry_after: i64) -> Row {
        Row { failures, last_at: start(), retry_at: after(retry_after) }
    }

    fn wait(seconds: u32, by_address: bool) -> Wait {
        Wait { seconds, by_address }
    }

    #[test]
    fn the_first_failures_are_free_and_each_later_one_doubles_the_wait() {
        let waits: Vec<i64> = (0..14).map(|failures| LANE.wait(failures).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        let waits: Vec<i64> = (0..10).map(|failures| LANE_UNDER_ATTACK.wait(failures).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(ADDRESS.wait(49).as_secs(), 0);
        assert_eq!(ADDRESS.wait(1_000_000).as_secs(), 300);
    }

    #[test]
    fn an_unknown_address_waits_once_for_an_account_under_attack_and_is_then_checked_for_an_hour() {
        let under_attack = |lane: Row| Rows { lane, stranger: Some((row(FREE_GUESSES, 0), row(0, 0))) };
        assert_eq!(under_attack(row(0, 0)).judge(start()), Verdict::FirstWait(wait(20, false)));
        let told = under_attack(row(0, 20));
        assert_eq!(told.judge(after(1)), Verdict::Wait(wait(19, false)));
        assert_eq!(told.judge(after(20)), Verdict::Proceed);
        let long_attack = |now: i64| {
            let account = Row { failures: 9999, last_at: after(now), retry_at: after(now) };
            Rows { lane: row(0, 20), stranger: Some((account, row(0, 0))) }.judge(after(now))
        };
        assert_eq!(long_attack(3599), Verdict::Proceed);
        assert_eq!(long_attack(3600), Verdict::FirstWait(wait(20, false)));
        // A clock that was set back does not make a known address wait longer than a new one.
        assert_eq!(told.judge(after(-86_400)), Verdict::FirstWait(wait(20, false)));
    }

    #[test]
    fn the_longer_wait_of_lane_and_address_counts_and_the_error_names_it() {
        let rows = |lane: Row, address: Row| Rows { lane, stranger: Some((row(0, 0), address)) };
        assert_eq!(rows(row(6, 20), row(51, 4)).judge(start()), Verdict::Wait(wait(20, false)));
        assert_eq!(rows(row(1, 0), row(51, 4)).judge(start()), Verdict::Wait(wait(4, true)));
        assert_eq!(rows(row(6, 20), row(51, 4)).judge(after(20)), Verdict::Proceed);
        let calm = Rows { lane: row(0, 0), stranger: Some((row(FREE_GUESSES - 1, 0), row(49, 0))) };
        assert_eq!(calm.judge(start()), Verdict::Proceed);
    }

    proptest! {
        #[test]
        fn a_wait_never_shrinks_with_failures_and_never_exceeds_its_bound(failures in 0..i32::MAX) {
            for pace in [LANE, LANE_UNDER_ATTACK, CODE_LANE_UNDER_ATTACK, ADDRESS] {
                let (now, next) = (pace.wait(failures), pace.wait(failures.saturating_add(1)));
                prop_assert!(now <= next && next.as_secs() <= pace.max_wait_seconds);
            }
        }
    }
}
