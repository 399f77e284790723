//! Authenticates a client and issues its access token.
//!
//! Unknown clients, revoked ones and wrong credentials are alike in the response, and the same statements run for them. Only failures are
//! throttled, by the caller's address. A credential cannot be guessed, because it has 256 random bits or is a signature. So a right one is
//! never delayed, and guesses of strangers cannot keep a client out.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::assertion::{self, Verified};
use super::token_request::{Proof, TokenRequest};
use super::{discovery, store};
use crate::accounts::origin::Origin;
use crate::accounts::throttle::{Throttle, Verdict};
use crate::accounts::tokens;
use crate::actor::Role;
use crate::context::{Anonymous, Attempt, Context, Tx};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{ClientSecretId, UserId};
use crate::scopes::Scopes;

/// What a client proved to have.
#[derive(Debug, Clone)]
enum Proven {
    Secret(ClientSecretId),
    Assertion(Verified),
}

/// A client that is authenticated, with the scopes of its token.
pub struct Authenticated {
    pub client: UserId,
    pub scopes: Scopes,
}

/// Why no token is issued.
pub enum Denied {
    /// The client is unknown or revoked, or its credential is wrong. With the rule that its assertion breaks by itself.
    InvalidClient(Option<&'static str>),
    /// It asks for a scope that it was not granted.
    InvalidScope,
    /// Too many attempts from its address failed.
    Wait(u32),
    Failed(Error),
}

/// The codes with which [`decide`] ends an attempt.
const INVALID_CLIENT: ProblemCode = ProblemCode::InvalidClient;
const INVALID_SCOPE: ProblemCode = ProblemCode::InvalidScope;

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthenticated(refusal) if refusal.code == INVALID_CLIENT => Self::InvalidClient(None),
            Error::Forbidden(refusal) if refusal.code == INVALID_SCOPE => Self::InvalidScope,
            Error::TooMany { retry_after, .. } => Self::Wait(retry_after),
            error => Self::Failed(error),
        }
    }
}

/// Authenticates the client of a request, and records the event of its token.
///
/// # Errors
/// Why it gets none.
pub async fn authenticate(
    context: &Context<Anonymous>,
    origin: &Origin,
    request: TokenRequest,
) -> Result<Authenticated, Denied> {
    let throttle = Throttle::for_client(&context.env, origin);
    let TokenRequest { client, proof, scope } = request;
    // A text that is no id takes the same way as an id that no client has.
    let client = client.unwrap_or(UserId(uuid::Uuid::nil()));
    let (proof, proven, verdict) = {
        let throttle = throttle.clone();
        let work = move |tx: &mut Tx<Anonymous>| {
            let proven = prove(tx, client, &proof)?;
            Ok((proof, proven, throttle.peek(tx.conn, tx.now)?))
        };
        context.read(work).await?
    };
    if let (None, Verdict::Wait(wait)) = (&proven, verdict) {
        return Err(Error::from(wait).into());
    }
    let decided = context.attempt(move |tx| decide(tx, &throttle, client, proven.as_ref(), scope.as_deref()));
    let denied = |error| match (Denied::from(error), &proof) {
        (Denied::InvalidClient(_), Proof::Assertion(text)) => {
            Denied::InvalidClient(assertion::broken_rule(text, &discovery::audiences(&context.env), context.env.now()))
        }
        (other, _) => other,
    };
    Ok(Authenticated { client, scopes: decided.await.map_err(denied)? })
}

/// Checks a credential against what is stored. Changes nothing.
fn prove(tx: &mut Tx<Anonymous>, client: UserId, proof: &Proof) -> Result<Option<Proven>> {
    let found = store::find_active(tx.conn, client, tx.now)?;
    let secrets = store::secret_hashes(tx.conn, client, tx.now)?;
    if found.is_some() {
        tx.audit.note_object(client.0);
    }
    let Some(found) = found else { return Ok(None) };
    Ok(match proof {
        Proof::Secret(secret) => {
            let hash = tokens::hash(secret);
            let equal = |stored: &[u8]| verify_slices_are_equal(stored, &hash).is_ok();
            secrets.into_iter().find(|(_, stored)| equal(stored)).map(|(id, _)| Proven::Secret(id))
        }
        Proof::Assertion(text) => {
            let audiences = discovery::audiences(tx.env);
            let keys = found.jwks.as_ref();
            keys.and_then(|keys| assertion::verify(text, client, keys, &audiences, tx.now)).map(Proven::Assertion)
        }
    })
}

/// Decides in one transaction, counts a failure, and uses up an assertion.
fn decide(
    tx: &mut Tx<Anonymous>,
    throttle: &Throttle,
    client: UserId,
    proven: Option<&Proven>,
    scope: Option<&str>,
) -> Result<Attempt<Scopes>> {
    let Some((role, granted, secret)) = confirm(tx, client, proven)? else {
        if let Some(wait) = throttle.admit(tx.conn, tx.now)? {
            return Ok(Attempt::Failed(wait.into()));
        }
        throttle.record_failure(tx.conn, tx.now)?;
        return Ok(Attempt::Failed(Error::unauthenticated(INVALID_CLIENT, "")));
    };
    tx.audit.note_actor(client, Some(role));
    tx.audit.note_object(client.0);
    // A scope that does not exist was not granted either.
    let asked = scope.map_or(Some(granted.clone()), |scope| scope.parse::<Scopes>().ok());
    match asked.filter(|asked| asked.are_within(&granted) && !asked.is_empty()) {
        Some(scopes) => {
            store::note_use(tx.conn, client, secret, tx.now)?;
            Ok(Attempt::Succeeded(scopes))
        }
        None => Ok(Attempt::Failed(Error::forbidden(INVALID_SCOPE, ""))),
    }
}

/// Reads again what may have changed since it was proven. Returns the client's role and scopes, and the secret that it has.
fn confirm(
    tx: &mut Tx<Anonymous>,
    client: UserId,
    proven: Option<&Proven>,
) -> Result<Option<(Role, Scopes, Option<ClientSecretId>)>> {
    let Some(proven) = proven else { return Ok(None) };
    let Some(found) = store::find_active(tx.conn, client, tx.now)? else { return Ok(None) };
    let (is_good, secret) = match proven {
        Proven::Secret(id) => (found.secrets.iter().any(|secret| secret.id == *id), Some(*id)),
        Proven::Assertion(verified) => {
            let Verified { jti_hash, remembered_until } = verified;
            (store::use_assertion(tx.conn, client, jti_hash, *remembered_until)?, None)
        }
    };
    Ok(is_good.then_some((found.role, found.scopes, secret)))
}
