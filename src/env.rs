//! What every room of the house is given: the database, the time, randomness, keys and settings.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;

use crate::clock::{Clock, Entropy, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::sealed::Sealer;
use crate::signed::Signer;
use crate::telemetry::Metrics;

/// The surroundings of a request or a worker; cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// The way to the database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Randomness and new ids.
    pub entropy: Entropy,
    /// Encrypts what the database must not show.
    pub sealer: Sealer,
    /// Signs what the audit trail says.
    pub signer: Signer,
    /// The settings.
    pub config: Arc<Config>,
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Rings when a message was written, so that the mailer need not wait for its next round.
    pub mail_written: Arc<Notify>,
    /// Whether the service takes traffic; off as soon as it is told to stop.
    pub accepting: Arc<AtomicBool>,
    /// Whether requests are refused because their audit events cannot be stored.
    pub audit_stalled: Arc<AtomicBool>,
}

impl Env {
    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id of any kind.
    pub fn new_id<T: From<uuid::Uuid>>(&self) -> T {
        self.entropy.uuid(self.now()).into()
    }
}
