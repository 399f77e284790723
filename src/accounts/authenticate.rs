//! Authenticates an account by its password, and by a code if it has a second factor. Signing in needs it, and so does a signed-in
//! user who changes credentials (ASVS 5.0, 7.5.1).
//!
//! A caller who does not know an account's password gets the same response, after the same time and with the same throttle, for
//! every address.

use super::model::User;
use super::origin::Origin;
use super::passwords::hashing::Caller;
use super::second_factor::codes;
use super::throttle::{ConfirmedBy, Throttle, Verdict};
use super::{Keys, device, notices, store};
use crate::context::{Anonymous, Attempt, Context, Principal, Tx};
use crate::error::{Error, FieldCode, ProblemCode, Result};
use crate::ids::UserId;
use crate::messages::model::SecurityEvent;

/// After this many wrong codes in a row, each with the right password, the owner gets a notice.
const WRONG_CODES_BEFORE_NOTICE: i32 = 3;

/// The greatest length of a code in characters. Those of both kinds are shorter.
const MAX_CODE: usize = 64;

/// What a caller authenticates with.
#[derive(Clone)]
pub struct Credentials {
    pub password: String,
    /// A code of the authenticator app, or a recovery code.
    pub code: Option<String>,
}

/// Requires that a code is not longer than any code.
///
/// # Errors
/// A broken rule of `/totp_code`.
pub fn check_code(code: &str) -> Result<()> {
    if code.chars().count() <= MAX_CODE {
        return Ok(());
    }
    Err(Error::invalid("/totp_code", FieldCode::TooLong, format!("must be at most {MAX_CODE} characters")))
}

/// An attempt to sign in.
pub struct SignIn {
    /// [`super::model::EmailAddress::key`] of the account's address.
    pub email_key: String,
    /// The password and the code.
    pub credentials: Credentials,
    /// Where the request comes from.
    pub origin: Origin,
    /// The device token that the caller sent.
    pub device_token: Option<String>,
}

/// Why authentication failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthFailure {
    /// The account does not exist, is not verified or is disabled, or the password is wrong. The caller does not learn which.
    Password,
    /// The password is right, and a code is needed as well.
    CodeMissing,
    /// The password is right, and the code is wrong or was used already.
    Code,
}

impl AuthFailure {
    /// The error of a request to sign in.
    pub fn at_sign_in(self) -> Error {
        let (code, detail) = match self {
            Self::Password => (
                ProblemCode::InvalidCredentials,
                "The e-mail address or the password is wrong, or the address is not verified yet. To verify it, use the link in the mail that we sent.",
            ),
            Self::CodeMissing => {
                (ProblemCode::TotpRequired, "Send a code of your authenticator app, or a recovery code, as totp_code.")
            }
            Self::Code => {
                (ProblemCode::TotpInvalid, "The code is wrong, too old, or was used already. Send another code.")
            }
        };
        Error::unauthenticated(code, detail)
    }

    /// The error of a request that has `current_password` and `totp_code` in its body.
    pub fn in_form(self) -> Error {
        match self {
            Self::Password => Error::invalid("/current_password", FieldCode::WrongPassword, "is not your password"),
            Self::CodeMissing => Error::invalid(
                "/totp_code",
                FieldCode::Required,
                "must be a code of your authenticator app, or a recovery code",
            ),
            Self::Code => Error::invalid("/totp_code", FieldCode::WrongCode, "is wrong, too old, or was used already"),
        }
    }
}

/// Authenticates the account of an address, and runs `effect` in the transaction that uses up the code. The user that `effect` gets
/// is locked. The audit event names the account even if authentication fails.
///
/// # Errors
/// [`AuthFailure::at_sign_in`]; [`Error::TooMany`] after too many failures; the effect's own, after which the code is not used up.
pub async fn by_email<T: Send + 'static>(
    context: &Context<Anonymous>,
    keys: &Keys,
    sign_in: SignIn,
    effect: impl Fn(&mut Tx<Anonymous>, &User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let SignIn { email_key, credentials, origin, device_token } = sign_in;
    let find = move |tx: &mut Tx<Anonymous>| {
        let user = store::find_by_email(tx.conn, &email_key)?;
        if let Some(user) = &user {
            tx.audit.note_object(user.id.0);
        }
        let device = user.as_ref().zip(device_token.as_ref());
        let device = device.and_then(|(user, token)| device::known(tx.env, user, token));
        let throttle = match device {
            Some(device) => Throttle::for_known_device(tx.env, &email_key, device),
            None => Throttle::for_unknown_device(tx.env, &email_key, &origin),
        };
        Ok((user, throttle))
    };
    authenticate(context, keys, find, credentials, AuthFailure::at_sign_in, effect).await
}

/// Authenticates a user who is signed in, or whom a link names, again before a change of credentials. Runs `effect` like [`by_email`].
///
/// # Errors
/// [`AuthFailure::in_form`]; otherwise those of [`by_email`].
pub async fn again<P: Principal, T: Send + 'static>(
    context: &Context<P>,
    keys: &Keys,
    user: UserId,
    by: ConfirmedBy,
    credentials: Credentials,
    effect: impl Fn(&mut Tx<P>, &User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let find =
        move |tx: &mut Tx<P>| Ok((Some(store::find(tx.conn, user)?), Throttle::for_confirmation(tx.env, user, by)));
    authenticate(context, keys, find, credentials, AuthFailure::in_form, effect).await
}

/// Looks up the account and compares the password outside of any transaction, because that takes long. Then decides in one
/// transaction.
async fn authenticate<P: Principal, T: Send + 'static>(
    context: &Context<P>,
    keys: &Keys,
    find: impl Fn(&mut Tx<P>) -> Result<(Option<User>, Throttle)> + Send + 'static,
    credentials: Credentials,
    error_of: fn(AuthFailure) -> Error,
    effect: impl Fn(&mut Tx<P>, &User) -> Result<T> + Send + 'static,
) -> Result<T> {
    // Also for an account without a second factor, which needs no code.
    credentials.code.as_deref().map_or(Ok(()), check_code)?;
    let (user, throttle, verdict) = context
        .read(move |tx| {
            let (user, throttle) = find(tx)?;
            let verdict = throttle.peek(tx.conn, tx.now)?;
            Ok((user, throttle, verdict))
        })
        .await?;
    match verdict {
        Verdict::Proceed => {}
        Verdict::Wait(wait) => return Err(wait.into()),
        Verdict::FirstWait(_) => {
            let (env, throttle) = (context.env.clone(), throttle.clone());
            // Not a change of the context: a wait that is noted has no audit event.
            if let Some(wait) = context.env.db.write(move |conn| throttle.admit(conn, env.now())).await? {
                return Err(wait.into());
            }
        }
    }
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let caller = match (&user, throttle.site()) {
        (Some(user), None) => Caller::Account { id: user.id, lane: throttle.lane() },
        (_, site) => Caller::Stranger { site: site.unwrap_or_default(), lane: throttle.lane() },
    };
    let is_right = keys.passwords.verify(&credentials.password, hash, caller).await?;
    let matched = user.filter(|user| is_right && user.can_sign_in());
    let code = credentials.code;
    context
        .attempt(move |tx| match decide(tx, &throttle, matched.as_ref(), code.as_deref(), error_of)? {
            Attempt::Succeeded(user) => {
                tx.audit.note_object(user.id.0);
                effect(tx, &user).map(Attempt::Succeeded)
            }
            Attempt::Failed(error) => Ok(Attempt::Failed(error)),
        })
        .await
}

/// Decides and counts, in the transaction of the effect. A failure is always counted. Concurrent attempts get no
/// more checks than consecutive ones. `matched` is the account if the password was right.
fn decide<P>(
    tx: &mut Tx<P>,
    throttle: &Throttle,
    matched: Option<&User>,
    code: Option<&str>,
    error_of: fn(AuthFailure) -> Error,
) -> Result<Attempt<User>> {
    let failed = |failure| Ok(Attempt::Failed(error_of(failure)));
    if let Some(wait) = throttle.admit(tx.conn, tx.now)? {
        return Ok(Attempt::Failed(wait.into()));
    }
    // Read again, because the credentials may have changed since the password was compared. A stronger hash of the same password is no
    // change.
    let user = match matched {
        Some(matched) => {
            let user = store::lock(tx.conn, matched.id)?;
            Some(user).filter(|user| user.can_sign_in() && user.credential_generation == matched.credential_generation)
        }
        None => None,
    };
    let Some(user) = user else {
        throttle.record_failure(tx.conn, tx.now)?;
        return failed(AuthFailure::Password);
    };
    if user.second_factor_at.is_some() {
        let Some(code) = code else { return failed(AuthFailure::CodeMissing) };
        let code_throttle = throttle.for_code(tx.env, user.id);
        if let Some(wait) = code_throttle.admit(tx.conn, tx.now)? {
            return Ok(Attempt::Failed(wait.into()));
        }
        if !codes::spend(tx, &user, code)? {
            if code_throttle.record_failure(tx.conn, tx.now)? == WRONG_CODES_BEFORE_NOTICE {
                notices::tell(tx.conn, tx.env, &user, SecurityEvent::WrongCodes)?;
            }
            throttle.record_failure(tx.conn, tx.now)?;
            return failed(AuthFailure::Code);
        }
        code_throttle.record_success(tx.conn, tx.now)?;
    }
    throttle.record_success(tx.conn, tx.now)?;
    Ok(Attempt::Succeeded(user))
}
