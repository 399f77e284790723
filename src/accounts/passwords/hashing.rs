//! The rules for passwords (NIST SP 800-63B-4), and hashing them without blocking the service.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use unicode_normalization::UnicodeNormalization;

use super::queue::{Queue, WAITING_PER_HASHER};
use crate::accounts::model::User;
use crate::actor::Role;
use crate::clock::Entropy;
use crate::env::Env;
use crate::error::{Check, Error, FieldCode, Result, Rule};
use crate::ids::UserId;
use crate::telemetry::Metrics;

/// The longest password, in characters. A longer one only costs time.
pub const MAX_CHARS: usize = 128;

/// The hashes of one account that may wait at the same time. So an account that floods the queue delays others by that many.
const WAITING_PER_ACCOUNT: usize = 8;

/// The caller for whom a password is hashed or compared.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// A caller from an unknown device.
    Stranger {
        /// [`Origin::site`](crate::accounts::origin::Origin::site). A site fills at most half of the queue.
        site: &'a [u8],
        /// The lane of the throttle.
        lane: &'a [u8],
    },
    /// An account: from a known device, with a session, or with a link from a mail.
    Account {
        /// The account. Its callers share [`WAITING_PER_ACCOUNT`] places.
        id: UserId,
        /// Which of its callers: the lane of the throttle.
        lane: &'a [u8],
    },
}

/// A caller who registers or accepts an invitation. All of these count as one.
const NEWCOMER: Caller<'static> = Caller::Stranger { site: &[], lane: &[] };

/// Checks, hashes and compares passwords.
pub struct Passwords {
    strangers: Queue,
    /// One more hasher, for accounts. Strangers only fill the other queue.
    accounts: Queue,
    entropy: Entropy,
    metrics: Arc<Metrics>,
    /// The clinic's name, which a password must not consist of.
    clinic: String,
    min_patient: usize,
    min_staff: usize,
    /// The cost of a new hash.
    params: Params,
    /// The hash to compare with if there is no account, so that the response takes as long.
    dummy: String,
}

/// OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
pub const REQUIRED: Params = Params::DEFAULT;

fn argon2(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

/// The password in Unicode's composed form (NFC), because keyboards differ in how they write an ë (NIST SP 800-63B-4, 3.1.1.2).
fn canonical(password: &str) -> String {
    password.nfc().collect()
}

/// Whether a hash is weaker than one with `required`: another algorithm, less memory or fewer passes.
pub fn is_weak(hash: &str, required: &Params) -> bool {
    let strong = PasswordHash::new(hash).ok().and_then(|hash| {
        let params = Params::try_from(&hash).ok()?;
        let same = hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && hash.version == Some(Version::V0x13.into())
            && hash.hash.is_some_and(|output| output.as_bytes().len() >= Params::DEFAULT_OUTPUT_LEN);
        Some(same && params.m_cost() >= required.m_cost() && params.t_cost() >= required.t_cost())
    });
    strong != Some(true)
}

/// Hashes a password. It takes the memory and the time that `params` say.
///
/// # Errors
/// If the memory cannot be allocated.
pub fn hash_now(password: &str, salt: &[u8; 16], params: &Params) -> Result<String> {
    let hash: PasswordHash = argon2(params)
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| Error::internal("hash a password", error))?;
    Ok(hash.to_string())
}

fn matches(password: &str, hash: &str) -> bool {
    // The parameters of the hash apply, not those given here.
    PasswordHash::new(hash).is_ok_and(|hash| argon2(&REQUIRED).verify_password(password.as_bytes(), &hash).is_ok())
}

impl Passwords {
    /// Reads the settings.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn new(env: &Env) -> Result<Self, String> {
        let settings = &env.config.settings;
        let hashers = usize::from(settings.password_hashers);
        Ok(Self {
            strangers: Queue::new(hashers, hashers * WAITING_PER_HASHER / 2),
            accounts: Queue::new(1, WAITING_PER_ACCOUNT),
            entropy: env.entropy.clone(),
            metrics: Arc::clone(&env.metrics),
            clinic: settings.clinic_name.clone(),
            min_patient: usize::from(settings.password_min_patient),
            min_staff: usize::from(settings.password_min_staff),
            params: env.password_params.clone(),
            dummy: hash_now("nobody's password", &env.entropy.bytes(), &env.password_params)
                .map_err(|error| error.to_string())?,
        })
    }

    /// Checks that a new password is long enough and hard to guess. There are no rules of composition, and all of Unicode is allowed.
    /// `about` are words that the password must not consist of, such as the address.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check(&self, password: &str, role: Role, about: &[&str]) -> Result<(), Rule> {
        let min = if role.is_staff() { self.min_staff } else { self.min_patient };
        let password = canonical(password);
        let length = password.chars().count();
        if length < min {
            return Err(Rule::new(FieldCode::TooShort, format!("must have at least {min} characters")));
        }
        if length > MAX_CHARS {
            return Err(Rule::new(FieldCode::TooLong, format!("must have at most {MAX_CHARS} characters")));
        }
        // Fewer than ten million guesses: a dictionary word, a keyboard row, the address with a digit.
        let about: Vec<&str> = about.iter().copied().chain([self.clinic.as_str(), "legwork"]).collect();
        if zxcvbn::zxcvbn(&password, &about).guesses() < 10_000_000 {
            return Err(Rule::new(FieldCode::TooCommon, "is easy to guess; choose another"));
        }
        Ok(())
    }

    /// Checks and hashes the new password of an account, the field `/new_password`. `lane` is which of the account's callers sets it.
    ///
    /// # Errors
    /// The rule that it breaks; [`Error::Busy`].
    pub async fn hash_new(&self, new_password: &str, user: &User, lane: &[u8]) -> Result<String> {
        let mut check = Check::new();
        let about = [user.email.as_str(), user.name.as_deref().unwrap_or_default()];
        check.field("/new_password", self.check(new_password, user.role, &about));
        check.done()?;
        self.hash_of(Caller::Account { id: user.id, lane }, new_password).await
    }

    /// Hashes a password for an account that does not exist yet. All such requests count as one caller.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many requests wait already.
    pub async fn hash(&self, password: &str) -> Result<String> {
        self.hash_of(NEWCOMER, password).await
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many requests wait already.
    pub async fn hash_of(&self, caller: Caller<'_>, password: &str) -> Result<String> {
        let (password, salt, params) = (canonical(password), self.entropy.bytes(), self.params.clone());
        self.blocking(caller, move || hash_now(&password, &salt, &params)).await?
    }

    /// Compares a password with an account's hash, or with none, in the same time. Accounts do not wait behind strangers.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many requests wait already.
    pub async fn verify(&self, password: &str, hash: Option<&str>, caller: Caller<'_>) -> Result<bool> {
        let (password, known) = (canonical(password), hash.is_some());
        let hash = hash.unwrap_or(&self.dummy).to_owned();
        Ok(self.blocking(caller, move || matches(&password, &hash)).await? && known)
    }

    /// Waits for a hasher in the caller's queue, and works on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        caller: Caller<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        self.metrics.password_waiting.inc();
        let hasher = match caller {
            Caller::Stranger { site, lane } => self.strangers.enter(site, lane).await,
            Caller::Account { id, lane } => self.accounts.enter(id.0.as_bytes(), lane).await,
        };
        self.metrics.password_waiting.dec();
        let Some(hasher) = hasher else {
            self.metrics.password_hashes_refused.inc();
            return Err(Error::Busy { retry_after: 2 });
        };
        self.metrics.password_hashes.inc();
        tokio::task::spawn_blocking(move || {
            let _hasher = hasher;
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
    fn a_hash_has_the_required_cost_and_a_cheaper_one_is_weak() {
        let ours = hash_now("violet otter", &[7; 16], &REQUIRED).expect("a hash");
        assert!(ours.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{ours}");
        assert!(!is_weak(&ours, &REQUIRED) && !is_weak(&hashed(Algorithm::Argon2id, 65536, 3), &REQUIRED));
        for weak in [
            hashed(Algorithm::Argon2id, 9728, 2),
            hashed(Algorithm::Argon2id, 19456, 1),
            hashed(Algorithm::Argon2i, 19456, 2),
            "$2b$12$abcdefghijklmnopqrstuu".to_owned(),
            String::new(),
        ] {
            assert!(is_weak(&weak, &REQUIRED), "{weak}");
        }
        assert!(
            matches("violet otter", &hashed(Algorithm::Argon2id, 9728, 2)),
            "a weak hash still verifies its password"
        );
    }
}
