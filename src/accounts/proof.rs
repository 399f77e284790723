//! Authenticates an account: by its password, and a code where it has a second factor. Signing in needs it, and so does a
//! signed-in user who changes how they sign in (ASVS 5.0, 7.5.1).
//!
//! Callers who know no account's password get the same answer for every address, in words, time and throttle.

use super::device;
use super::model::User;
use super::origin::Origin;
use super::throttle::{Tries, Verdict, Wait};
use super::{Keys, second_factor, store};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::trail::Trail;

/// What a caller authenticates with.
#[derive(Clone)]
pub struct Proof {
    /// The password.
    pub password: String,
    /// A code of the app, or a recovery code.
    pub code: Option<String>,
}

/// An attempt to sign in.
pub struct SignIn {
    /// [`super::model::EmailAddress::key`] of the account's address.
    pub email_key: String,
    /// The password and the code.
    pub proof: Proof,
    /// Where it comes from.
    pub origin: Origin,
    /// What the caller shows as a device token.
    pub device_token: Option<String>,
}

/// Why authentication failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// No such account, another password, not verified, switched off: nobody is told which.
    Password,
    /// The password is right, and a code is needed as well.
    CodeMissing,
    /// The password is right, and the code is not, or no longer.
    Code,
}

impl Doubt {
    /// As a broken rule of a form that asks for `current_password` and `totp_code`.
    pub fn in_form(self) -> Error {
        match self {
            Self::Password => Error::invalid("/current_password", "wrong_password", "is not your password"),
            Self::CodeMissing => {
                Error::invalid("/totp_code", "required", "must be a code of your authenticator app, or a recovery code")
            }
            Self::Code => Error::invalid("/totp_code", "wrong_code", "is wrong, too old, or was used already"),
        }
    }
}

/// Authenticates the account of an address, if there is one, and runs `effect` in the transaction that uses the code up.
/// The user that `effect` is given is locked. `trail` is told whose account was tried, whatever comes of it.
///
/// # Errors
/// The effect's own, after which the code is not used up; [`Error::TooMany`] where too many attempts failed.
pub async fn of_address<T: Send + 'static>(
    env: &Env,
    keys: &Keys,
    sign_in: SignIn,
    trail: &Trail,
    effect: impl Fn(&mut Conn, &User) -> Result<T> + Send + 'static,
) -> Result<Result<T, Doubt>> {
    let SignIn { email_key, proof, origin, device_token } = sign_in;
    let (shared, trail) = (env.clone(), trail.clone());
    let find = move |conn: &mut Conn| {
        let user = store::find_by_email(conn, &email_key)?;
        if let Some(user) = &user {
            trail.note_object(user.id.0);
        }
        let device = user.as_ref().zip(device_token.as_ref());
        let device = device.and_then(|(user, token)| device::known(&shared, user.id, token));
        let tries = match device {
            Some(device) => Tries::known(&shared, &email_key, device),
            None => Tries::unknown(&shared, &email_key, &origin),
        };
        Ok((user, tries))
    };
    authenticate(env, keys, find, proof, effect).await
}

/// Authenticates a signed-in user once more.
///
/// # Errors
/// As [`of_address`]; a doubt is a broken rule of the form.
pub async fn of_user<T: Send + 'static>(
    env: &Env,
    keys: &Keys,
    user: UserId,
    proof: Proof,
    effect: impl Fn(&mut Conn, &User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let shared = env.clone();
    let find = move |conn: &mut Conn| Ok((Some(store::find(conn, user)?), Tries::signed_in(&shared, user)));
    authenticate(env, keys, find, proof, effect).await?.map_err(Doubt::in_form)
}

/// Looks the account up, compares the password, which takes long and must hold no transaction open, and settles it.
async fn authenticate<T: Send + 'static>(
    env: &Env,
    keys: &Keys,
    find: impl Fn(&mut Conn) -> Result<(Option<User>, Tries)> + Send + 'static,
    proof: Proof,
    effect: impl Fn(&mut Conn, &User) -> Result<T> + Send + 'static,
) -> Result<Result<T, Doubt>> {
    let shared = env.clone();
    let (user, tries, verdict) = env
        .db
        .read(move |conn| {
            let (user, tries) = find(conn)?;
            let verdict = tries.look(conn, shared.now())?;
            Ok((user, tries, verdict))
        })
        .await?;
    match verdict {
        Verdict::Heard => {}
        Verdict::Wait(wait) => return Err(wait.into()),
        Verdict::FirstWait(_) => {
            let (shared, tries) = (env.clone(), tries.clone());
            if let Some(wait) = env.db.write(move |tx| tries.hold(tx, shared.now())).await? {
                return Err(wait.into());
            }
        }
    }
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let right = keys.passwords.verify(&proof.password, hash, tries.is_known()).await?;
    let seen = user.filter(|user| right && user.can_sign_in());
    let shared = env.clone();
    let settled = env.db.write(move |tx| settle(tx, &shared, &tries, seen.as_ref(), proof.code.as_deref(), &effect));
    match settled.await? {
        Settled::Authenticated(value) => Ok(Ok(value)),
        Settled::Doubted(doubt) => Ok(Err(doubt)),
        Settled::TooSoon(wait) => Err(wait.into()),
    }
}

/// What became of an attempt. Each of these keeps its transaction.
enum Settled<T> {
    Authenticated(T),
    Doubted(Doubt),
    TooSoon(Wait),
}

/// Decides, counts, and runs the effect: all in one transaction, so that a failure is counted whatever else happens, and
/// of many attempts at once no more are checked than of as many in a row.
fn settle<T>(
    tx: &mut Conn,
    env: &Env,
    tries: &Tries,
    seen: Option<&User>,
    code: Option<&str>,
    effect: &impl Fn(&mut Conn, &User) -> Result<T>,
) -> Result<Settled<T>> {
    let now = env.now();
    if let Some(wait) = tries.hold(tx, now)? {
        return Ok(Settled::TooSoon(wait));
    }
    // Read again: the password may have been changed since it was compared.
    let user = match seen {
        Some(seen) => {
            let user = store::lock(tx, seen.id)?;
            Some(user).filter(|user| user.can_sign_in() && user.password_hash == seen.password_hash)
        }
        None => None,
    };
    let Some(user) = user else {
        tries.failed(tx, now)?;
        return Ok(Settled::Doubted(Doubt::Password));
    };
    if user.second_factor_at.is_some() {
        let Some(code) = code else { return Ok(Settled::Doubted(Doubt::CodeMissing)) };
        let codes = Tries::code(env, user.id);
        if let Some(wait) = codes.hold(tx, now)? {
            return Ok(Settled::TooSoon(wait));
        }
        if !second_factor::spend(tx, env, &user, code)? {
            codes.failed(tx, now)?;
            tries.failed(tx, now)?;
            return Ok(Settled::Doubted(Doubt::Code));
        }
        codes.succeeded(tx, now)?;
    }
    tries.succeeded(tx, now)?;
    effect(tx, &user).map(Settled::Authenticated)
}
