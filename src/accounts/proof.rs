//! Showing who one is: the password, and a code where the account has a second factor. Signing in needs it, and so does
//! whoever is signed in and changes what signing in needs (ASVS 5.0, 7.5.1).
//!
//! The answer to who knows no account's password is the same for every address, in its words, its time and its throttle.

use super::model::User;
use super::origin::Origin;
use super::throttle::Tries;
use super::{Keys, second_factor, sessions, store};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::trail::Trail;

/// What somebody shows.
#[derive(Clone)]
pub struct Proof {
    /// The password.
    pub password: String,
    /// A code of the app, or a recovery code.
    pub code: Option<String>,
}

/// Why nobody was shown to be anybody.
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

/// Checks a proof for the account of an address, if there is one, and runs `effect` in the transaction that uses the code up.
/// The user that `effect` is given is locked. `trail` is told whose account was tried, whether or not it is shown.
///
/// # Errors
/// The effect's own, after which the code is not used up; [`Error::TooMany`] where too many tries failed.
pub async fn of_address<T: Send + 'static>(
    env: &Env,
    keys: &Keys,
    email_key: String,
    (proof, origin): (Proof, Origin),
    trail: Option<&Trail>,
    effect: impl Fn(&mut Conn, &User) -> Result<T> + Send + 'static,
) -> Result<Result<T, Doubt>> {
    let (shared, key, from, trail) = (env.clone(), email_key.clone(), origin.clone(), trail.cloned());
    let (user, tries) = env
        .db
        .read(move |conn| {
            let user = store::find_by_email(conn, &key)?;
            if let (Some(user), Some(trail)) = (&user, &trail) {
                trail.note_object(user.id.0);
            }
            let familiar = match &user {
                Some(user) => sessions::has_come_from(conn, user.id, &from.network())?,
                None => false,
            };
            let tries = Tries::password(&shared, &key, &from, familiar);
            tries.look(conn, shared.now())?;
            Ok((user, tries))
        })
        .await?;
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let right = keys.passwords.verify(&proof.password, hash).await?;
    let seen = user.filter(|user| right && user.can_sign_in());
    let shared = env.clone();
    env.db.write(move |tx| settle(tx, &shared, &tries, seen.as_ref(), proof.code.as_deref(), &effect)).await
}

/// The same for who is signed in.
///
/// # Errors
/// As [`of_address`]; a doubt is a broken rule of the form.
pub async fn of_user<T: Send + 'static>(
    env: &Env,
    keys: &Keys,
    user: UserId,
    shown: (Proof, Origin),
    effect: impl Fn(&mut Conn, &User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let user = env.db.read(move |conn| store::find(conn, user)).await?;
    of_address(env, keys, user.email_key, shown, None, effect).await?.map_err(Doubt::in_form)
}

/// Decides, counts, and runs the effect: all in one transaction, so that a failure is counted whatever else happens, and
/// of many tries at once no more are heard than of as many in a row.
fn settle<T>(
    tx: &mut Conn,
    env: &Env,
    tries: &Tries,
    seen: Option<&User>,
    code: Option<&str>,
    effect: &impl Fn(&mut Conn, &User) -> Result<T>,
) -> Result<Result<T, Doubt>> {
    let now = env.now();
    tries.hold(tx, now)?;
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
        return Ok(Err(Doubt::Password));
    };
    if user.second_factor_at.is_some() {
        let Some(code) = code else { return Ok(Err(Doubt::CodeMissing)) };
        let codes = Tries::code(env, user.id);
        codes.hold(tx, now)?;
        if !second_factor::spend(tx, env, &user, code)? {
            codes.failed(tx, now)?;
            tries.failed(tx, now)?;
            return Ok(Err(Doubt::Code));
        }
        codes.succeeded(tx, now)?;
    }
    tries.succeeded(tx, now)?;
    effect(tx, &user).map(Ok)
}
