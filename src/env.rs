//! The environment of requests and background jobs: database, time, randomness, keys and settings.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Notify, watch};

use crate::audit::watch::Watch;
use crate::clock::{Clock, Entropy, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::db::setup_cache::SetupCache;
use crate::sealed::Sealer;
use crate::signed::Signer;
use crate::telemetry::Metrics;
use crate::turns::Turns;

/// The environment of a request or a background job. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// The database.
    pub db: Db,
    /// What was derived from the clinic's set-up in this database.
    pub setup: SetupCache,
    /// The time.
    pub clock: Clock,
    /// Randomness and new ids.
    pub entropy: Entropy,
    /// What the hash of a password costs. Tests of other things set a low cost.
    pub password_params: argon2::Params,
    /// For how many milliseconds a mail that strangers can cause waits at most. Tests of other things set 0.
    pub mail_spread: u32,
    /// Requests about one address take turns.
    pub turns: Arc<Turns>,
    /// Encrypts values before they are stored.
    pub sealer: Sealer,
    /// Signs audit events.
    pub signer: Signer,
    /// The settings.
    pub config: Arc<Config>,
    /// The licensed text of the IRLS, if the clinic has a licence. Commands do without it.
    pub rls_text_pack: Option<Arc<rls::TextPack>>,
    pub metrics: Arc<Metrics>,
    /// Wakes the worker that sends mails, when a message was created.
    pub mail_written: Arc<Notify>,
    /// Wakes the scan of promised times, when a location has got another time zone.
    pub zone_written: Arc<Notify>,
    /// Wakes the jobs that follow what requests write: the one that numbers events, and the one that offers free times.
    pub written: Arc<watch::Sender<()>>,
    /// Whether the service accepts requests. False from the moment it is told to stop.
    pub accepting: Arc<AtomicBool>,
    /// The state of the audit trail.
    pub audit: Arc<Watch>,
}

impl Env {
    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns a new id.
    pub fn new_id<T: From<uuid::Uuid>>(&self) -> T {
        self.entropy.uuid(self.now()).into()
    }
}
