//! The caller who holds slots: an account, or a stranger who has the secret of a hold.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::Hold;
use crate::accounts::caller::MaybeSignedIn;
use crate::accounts::origin::Origin;
use crate::accounts::tokens;
use crate::actor::{Action, Actor};
use crate::context::{Once, Principal};
use crate::error::{Check, Error, FieldCode, Result};

/// The header with the secret of a stranger's hold. Headers are not logged.
pub const HOLD_SECRET: &str = "hold-secret";
/// The longest secret that is read. The service's own have 43 characters.
const MAX_SECRET: usize = 128;

/// Requires that a secret in a body can be that of a hold.
pub fn check_secret(check: &mut Check, pointer: impl Into<String>, secret: &str) {
    check.require(secret.len() <= MAX_SECRET, pointer, FieldCode::TooLong, "must be the secret of the hold");
}

/// A caller with or without a session. A caller whose session has ended is rejected, and is no stranger.
#[derive(Debug, Clone)]
pub struct Holder {
    actor: Option<Actor>,
    pub(super) origin: Origin,
    /// The hash of the secret in the request.
    secret_hash: Option<Vec<u8>>,
    /// Whether an idempotency key is a secret of this caller: a page of this service generated it for its form.
    has_secret_key: bool,
}

impl Principal for Holder {
    fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }
}

impl Holder {
    /// A stranger on a page of this service. `secret` is that of an earlier hold, or empty. The keys of the stranger's requests must be
    /// secrets, because a repeat returns the secret of the hold.
    pub fn on_page(origin: Origin, secret: &str) -> Self {
        let secret_hash = (1..=MAX_SECRET).contains(&secret.len()).then(|| tokens::hash(secret));
        Self { actor: None, origin, secret_hash, has_secret_key: true }
    }

    /// Requires that the caller may hold slots. Strangers may.
    ///
    /// # Errors
    /// [`Error::RoleForbidden`].
    pub fn require_permission(&self) -> Result<()> {
        self.actor.as_ref().map_or(Ok(()), |actor| actor.require(Action::SlotHold).map(|_| ()))
    }

    /// Returns how a repeat of the caller's request is recognised. A stranger must not send a key: all strangers share one actor, so
    /// a key that another one sent would return that one's response.
    ///
    /// # Errors
    /// A broken rule for a stranger's key.
    pub fn once(&self, once: Once<Self>) -> Result<Once<Self>> {
        if self.actor.is_some() || self.has_secret_key || !once.has_key() {
            return Ok(once);
        }
        let detail =
            "is only for callers who are signed in; without it, send the Hold-Secret of the earlier hold to replace it";
        Err(Error::invalid("Idempotency-Key:", FieldCode::NotSignedIn, detail))
    }

    /// The account that holds; none for a stranger.
    pub fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }

    pub(super) fn secret_hash(&self) -> Option<&[u8]> {
        self.secret_hash.as_deref()
    }

    /// Whether it is the hold of the caller's account, or the caller has its secret.
    pub(super) fn has(&self, hold: &Hold) -> bool {
        (hold.user_id.is_some() && hold.user_id == self.account())
            || self.secret_hash().is_some_and(|it| opens(hold, it))
    }
}

/// Whether a hash is of the hold's secret.
pub(super) fn opens(hold: &Hold, secret_hash: &[u8]) -> bool {
    hold.secret_hash.as_deref() == Some(secret_hash)
}

impl FromRequest for Holder {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut holder = || {
            let MaybeSignedIn(actor) = MaybeSignedIn::from_request(request, payload).into_inner()?;
            let origin = Origin::from_request(request, payload).into_inner()?;
            Ok(Self { actor, origin, secret_hash: secret_hash(request)?, has_secret_key: false })
        };
        ready(holder())
    }
}

fn secret_hash(request: &HttpRequest) -> Result<Option<Vec<u8>>> {
    let mut values = request.headers().get_all(HOLD_SECRET);
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(secret)), None) if (1..=MAX_SECRET).contains(&secret.len()) => Ok(Some(tokens::hash(secret))),
        _ => Err(Error::invalid("Hold-Secret:", FieldCode::WrongValue, "must be the secret of one hold")),
    }
}
