//! Passwords: what makes a good one (NIST SP 800-63B-4), and hashing them without stopping the service.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::actor::Role;
use crate::clock::Entropy;
use crate::env::Env;
use crate::error::{Error, Result, Rule};
use crate::telemetry::Metrics;

/// The longest password in characters. A longer one only costs time.
pub const MAX_CHARS: usize = 128;
/// How many requests may wait for one place at the hash; a core does some thirty a second.
const WAITING_PER_PLACE: usize = 24;
/// How long one of them waits.
const PATIENCE: Duration = Duration::from_secs(4);

/// Who may compute hashes at the same time, and who may wait for that.
struct Queue {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Queue {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::new(Semaphore::new(places * WAITING_PER_PLACE)) }
    }
}

/// Checks, hashes and compares passwords.
pub struct Passwords {
    queue: Queue,
    /// One more place for known devices and signed-in users: strangers at any number of addresses fill the other queue only.
    known: Queue,
    entropy: Entropy,
    metrics: Arc<Metrics>,
    /// The clinic's name: the first that comes to mind for its password.
    clinic: String,
    min_patient: usize,
    min_staff: usize,
    /// What is compared where there is no account, so that the answer takes as long.
    dummy: String,
}

/// OWASP's least for argon2id: 19 MiB, two passes, one lane.
const PARAMS: Params = Params::DEFAULT;

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

/// The password as it is hashed: in Unicode's composed form (NFC), as keyboards differ in how they write an ë
/// (NIST SP 800-63B-4, 3.1.1.2).
fn canonical(password: &str) -> String {
    password.nfc().collect()
}

/// Whether a hash was made with less than is asked for today: another algorithm, less memory, fewer passes.
pub fn is_weak(hash: &str) -> bool {
    let strong = PasswordHash::new(hash).ok().and_then(|hash| {
        let params = Params::try_from(&hash).ok()?;
        let same = hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && hash.version == Some(Version::V0x13.into())
            && hash.hash.is_some_and(|output| output.as_bytes().len() >= Params::DEFAULT_OUTPUT_LEN);
        Some(same && params.m_cost() >= PARAMS.m_cost() && params.t_cost() >= PARAMS.t_cost())
    });
    strong != Some(true)
}

fn hash_now(password: &str, salt: &[u8; 16]) -> Result<String> {
    let hash: PasswordHash = argon2()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| Error::internal("hash a password", error))?;
    Ok(hash.to_string())
}

/// Whether `password` is the one behind `hash`.
fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

impl Passwords {
    /// # Errors
    /// In words for the operator.
    pub fn new(env: &Env) -> Result<Self, String> {
        let settings = &env.config.settings;
        let places = usize::from(settings.password_hashers);
        Ok(Self {
            queue: Queue::new(places),
            known: Queue::new(1),
            entropy: env.entropy.clone(),
            metrics: Arc::clone(&env.metrics),
            clinic: settings.clinic_name.clone(),
            min_patient: usize::from(settings.password_min_patient),
            min_staff: usize::from(settings.password_min_staff),
            dummy: hash_now("nobody's password", &env.entropy.bytes()).map_err(|error| error.to_string())?,
        })
    }

    /// Whether a new password will do: long enough, and not among those that are tried first.
    /// No rules of composition, and Unicode is welcome.
    ///
    /// # Errors
    /// The rule it breaks. `about` are words that must not make the password, such as the address.
    pub fn check(&self, password: &str, role: Role, about: &[&str]) -> Result<(), Rule> {
        let min = if role.is_staff() { self.min_staff } else { self.min_patient };
        let password = canonical(password);
        let length = password.chars().count();
        if length < min {
            return Err(Rule::new("too_short", format!("must have at least {min} characters")));
        }
        if length > MAX_CHARS {
            return Err(Rule::new("too_long", format!("must have at most {MAX_CHARS} characters")));
        }
        // Fewer than ten million guesses: a dictionary word, a keyboard row, the address with a digit.
        let about: Vec<&str> = about.iter().copied().chain([self.clinic.as_str(), "legwork"]).collect();
        if zxcvbn::zxcvbn(&password, &about).guesses() < 10_000_000 {
            return Err(Rule::new("too_common", "is among the first that anyone would try; choose another"));
        }
        Ok(())
    }

    /// Hashes a password on a thread that may block.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many wait already.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let (password, salt) = (canonical(password), self.entropy.bytes());
        self.blocking(&self.queue, move || hash_now(&password, &salt)).await?
    }

    /// Compares a password with an account's hash, or with nobody's, in the same time. `is_known` is whether the attempt comes
    /// from a known device or a signed-in user: these do not wait behind strangers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many wait already.
    pub async fn verify(&self, password: &str, hash: Option<&str>, is_known: bool) -> Result<bool> {
        let (password, known) = (canonical(password), hash.is_some());
        let hash = hash.unwrap_or(&self.dummy).to_owned();
        let queue = if is_known { &self.known } else { &self.queue };
        Ok(self.blocking(queue, move || matches(&password, &hash)).await? && known)
    }

    async fn blocking<T: Send + 'static>(&self, queue: &Queue, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let busy = || Error::unavailable(2, "too many passwords wait to be hashed");
        let _waiting = queue.waiting.try_acquire().map_err(|_| busy())?;
        self.metrics.password_waiting.inc();
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&queue.places).acquire_owned()).await;
        self.metrics.password_waiting.dec();
        let place = place.map_err(|_| busy())?.map_err(|error| Error::internal("hash a password", error))?;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        })
        .await
        .map_err(|error| Error::internal("hash a password", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(algorithm: Algorithm, memory: u32, passes: u32) -> String {
        let params = Params::new(memory, passes, 1, None).expect("parameters");
        let argon2 = Argon2::new(algorithm, Version::V0x13, params);
        let hash: PasswordHash = argon2.hash_password_with_salt(b"violet otter", &[7; 16]).expect("a hash");
        hash.to_string()
    }

    #[test]
    fn a_hash_has_the_cost_that_is_asked_for_and_a_cheaper_one_is_weak() {
        let ours = hash_now("violet otter", &[7; 16]).expect("a hash");
        assert!(ours.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{ours}");
        assert!(!is_weak(&ours) && !is_weak(&hashed(Algorithm::Argon2id, 65536, 3)));
        for weak in [
            hashed(Algorithm::Argon2id, 9728, 2),
            hashed(Algorithm::Argon2id, 19456, 1),
            hashed(Algorithm::Argon2i, 19456, 2),
            "$2b$12$abcdefghijklmnopqrstuu".to_owned(),
            String::new(),
        ] {
            assert!(is_weak(&weak), "{weak}");
        }
        assert!(matches("violet otter", &hashed(Algorithm::Argon2id, 9728, 2)), "a weak one still lets its owner in");
    }
}
