//! Single-use tokens in mails: 256 bits, stored hashed, valid for a limited time. A new token voids the older ones of its purpose.

use diesel::prelude::*;

use super::linked_visit::LinkedVisit;
use super::model::{EmailAddress, Purpose, User};
use super::tokens;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{one_time_tokens, users};
use crate::env::Env;
use crate::error::{Error, FieldCode, Result};
use crate::ids::{HoldId, OneTimeTokenId, UserId};
use crate::sealed::{Place, Sealed};

/// Creates a token, and voids the account's older ones of this purpose.
pub fn issue(tx: &mut Conn, env: &Env, user: UserId, purpose: Purpose) -> Result<String> {
    void(tx, user, purpose, env.now())?;
    insert(tx, env, user, purpose, Extra::default())
}

/// Creates a token that proves a new address of an account. Older ones stay valid until one is used. No token is sent to an address that
/// somebody has, so voiding the older ones here would tell the caller which addresses are taken.
pub fn issue_for_address(tx: &mut Conn, env: &Env, user: UserId, new_email: &EmailAddress) -> Result<String> {
    insert(tx, env, user, Purpose::ChangeEmail, Extra { new_email: Some(new_email.as_str()), ..Extra::default() })
}

/// The values that only some tokens have.
#[derive(Default)]
pub(super) struct Extra<'a> {
    /// The address that it proves, for [`Purpose::ChangeEmail`].
    pub new_email: Option<&'a str>,
    /// The caller who registered, for [`Purpose::VerifyEmail`].
    pub requested_by: Option<&'a [u8]>,
    /// The site that asked for the mail, for [`Purpose::VerifyEmail`].
    pub requested_from: Option<&'a [u8]>,
    /// The registration that replaces the account's when the link is used, for [`Purpose::VerifyEmail`].
    pub registration: Option<&'a str>,
    /// The visit that the link books, for [`Purpose::VerifyEmail`].
    pub visit: Option<&'a LinkedVisit>,
}

/// Creates a token and leaves the older ones valid.
pub(super) fn insert(tx: &mut Conn, env: &Env, user: UserId, purpose: Purpose, extra: Extra<'_>) -> Result<String> {
    let now = env.now();
    let id: OneTimeTokenId = env.new_id();
    let token = tokens::opaque(&env.entropy);
    let registration = extra.registration.map(|text| env.sealer.seal(registration_place(id), &text.to_owned()));
    let visit = extra.visit.map(|visit| env.sealer.seal(visit_place(id), visit)).transpose()?;
    diesel::insert_into(one_time_tokens::table)
        .values((
            one_time_tokens::id.eq(id),
            one_time_tokens::user_id.eq(user),
            one_time_tokens::purpose.eq(purpose),
            one_time_tokens::new_email.eq(extra.new_email),
            one_time_tokens::requested_by.eq(extra.requested_by),
            one_time_tokens::requested_from.eq(extra.requested_from),
            one_time_tokens::registration.eq(registration.transpose()?),
            one_time_tokens::visit.eq(visit),
            one_time_tokens::hold_id.eq(extra.visit.and_then(LinkedVisit::hold_id)),
            one_time_tokens::token_hash.eq(tokens::hash(&token)),
            one_time_tokens::created_at.eq(now),
            one_time_tokens::expires_at.eq(now.plus(purpose.lifetime())),
        ))
        .execute(tx)?;
    Ok(token)
}

/// Where a registration is sealed.
pub(super) fn registration_place(id: OneTimeTokenId) -> Place {
    Place::new("one_time_tokens", "registration", id.0)
}

/// Where a visit is sealed.
pub(super) fn visit_place(id: OneTimeTokenId) -> Place {
    Place::new("one_time_tokens", "visit", id.0)
}

/// The columns of a token that ends: it is used, and what was sealed in it is deleted.
macro_rules! ended {
    ($now:expr) => {
        (
            one_time_tokens::used_at.eq($now),
            one_time_tokens::registration.eq(None::<Sealed<String>>),
            one_time_tokens::visit.eq(None::<Sealed<LinkedVisit>>),
            one_time_tokens::hold_id.eq(None::<HoldId>),
        )
    };
}
pub(super) use ended;

/// Stores what a link that was followed has booked; none deletes the visit.
pub fn set_visit(tx: &mut Conn, env: &Env, id: OneTimeTokenId, visit: Option<&LinkedVisit>) -> Result<()> {
    let visit = visit.map(|visit| env.sealer.seal(visit_place(id), visit)).transpose()?;
    diesel::update(one_time_tokens::table.find(id)).set(one_time_tokens::visit.eq(visit)).execute(tx)?;
    Ok(())
}

/// Returns whether the account has a valid token of this purpose.
pub fn has_valid(conn: &mut Conn, user: UserId, purpose: Purpose, now: Timestamp) -> Result<bool> {
    let valid = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(purpose))
        .filter(one_time_tokens::used_at.is_null())
        .filter(one_time_tokens::expires_at.gt(now));
    Ok(diesel::select(diesel::dsl::exists(valid)).get_result(conn)?)
}

/// Returns whether the account was sent a link to prove this new address after `since`.
pub fn was_sent_to(conn: &mut Conn, user: UserId, new_email: &EmailAddress, since: Timestamp) -> Result<bool> {
    let sent = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(Purpose::ChangeEmail))
        .filter(one_time_tokens::new_email.eq(new_email.as_str()))
        .filter(one_time_tokens::created_at.gt(since));
    Ok(diesel::select(diesel::dsl::exists(sent)).get_result(conn)?)
}

/// Voids the account's tokens of this purpose.
pub fn void(tx: &mut Conn, user: UserId, purpose: Purpose, now: Timestamp) -> Result<()> {
    let open = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::purpose.eq(purpose))
        .filter(one_time_tokens::used_at.is_null());
    diesel::update(open).set(ended!(now)).execute(tx)?;
    Ok(())
}

/// Voids all tokens of the account.
pub fn void_all(tx: &mut Conn, user: UserId, now: Timestamp) -> Result<()> {
    let open =
        one_time_tokens::table.filter(one_time_tokens::user_id.eq(user)).filter(one_time_tokens::used_at.is_null());
    diesel::update(open).set(ended!(now)).execute(tx)?;
    Ok(())
}

/// Deletes the visits that the account's used links still show. Call it when the account gets another address: the links are in the old
/// mailbox.
pub fn forget_visits(tx: &mut Conn, user: UserId) -> Result<()> {
    let used = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(user))
        .filter(one_time_tokens::used_at.is_not_null())
        .filter(one_time_tokens::visit.is_not_null());
    diesel::update(used).set(one_time_tokens::visit.eq(None::<Sealed<LinkedVisit>>)).execute(tx)?;
    Ok(())
}

#[derive(Queryable)]
pub struct ValidToken {
    /// The token's id.
    pub id: OneTimeTokenId,
    pub user: User,
    /// What it does.
    pub purpose: Purpose,
    /// The address that it proves, for [`Purpose::ChangeEmail`].
    pub new_email: Option<String>,
    registration: Option<Sealed<String>>,
    visit: Option<Sealed<LinkedVisit>>,
}

impl ValidToken {
    /// The visit of the link.
    ///
    /// # Errors
    /// A fault if it cannot be decrypted.
    pub fn visit(&self, env: &Env) -> Result<Option<LinkedVisit>> {
        self.visit.as_ref().map(|sealed| env.sealer.open(visit_place(self.id), sealed)).transpose()
    }

    /// The registration that waits in the link; none if the account holds it already.
    ///
    /// # Errors
    /// A fault if it cannot be decrypted.
    pub fn registration(&self, env: &Env) -> Result<Option<String>> {
        self.registration.as_ref().map(|sealed| env.sealer.open(registration_place(self.id), sealed)).transpose()
    }
}

/// The query of a token that has not expired, with the account that it belongs to.
macro_rules! token_of {
    ($token:expr, $now:expr) => {
        one_time_tokens::table
            .inner_join(users::table)
            .filter(one_time_tokens::token_hash.eq(tokens::hash($token)))
            .filter(one_time_tokens::expires_at.gt($now))
            .filter(users::disabled_at.is_null())
            .select((
                one_time_tokens::id,
                User::as_select(),
                one_time_tokens::purpose,
                one_time_tokens::new_email,
                one_time_tokens::registration,
                one_time_tokens::visit,
            ))
    };
}

/// Finds a token that was used and would still be valid.
pub fn look_up_used(conn: &mut Conn, token: &str, purpose: Purpose, now: Timestamp) -> Result<Option<ValidToken>> {
    let used = token_of!(token, now)
        .filter(one_time_tokens::purpose.eq(purpose))
        .filter(one_time_tokens::used_at.is_not_null());
    Ok(used.first(conn).optional()?)
}

/// Finds a valid token.
///
/// # Errors
/// A broken rule at `/token` if there is none.
pub fn look_up(conn: &mut Conn, token: &str, purposes: &[Purpose], now: Timestamp) -> Result<ValidToken> {
    token_of!(token, now)
        .filter(one_time_tokens::purpose.eq_any(purposes.iter().map(|purpose| purpose.as_str())))
        .filter(one_time_tokens::used_at.is_null())
        .first(conn)
        .optional()?
        .ok_or_else(not_good)
}

/// Uses up a token. Of concurrent requests with the same token, one succeeds.
///
/// # Errors
/// Those of [`look_up`].
pub fn consume(tx: &mut Conn, token: &str, purposes: &[Purpose], now: Timestamp) -> Result<ValidToken> {
    let valid = look_up(tx, token, purposes, now)?;
    let mine = one_time_tokens::table
        .filter(one_time_tokens::token_hash.eq(tokens::hash(token)))
        .filter(one_time_tokens::used_at.is_null());
    if diesel::update(mine).set(one_time_tokens::used_at.eq(now)).execute(tx)? == 0 {
        return Err(not_good());
    }
    Ok(valid)
}

/// The error for a token that is not valid.
pub fn not_good() -> Error {
    Error::invalid("/token", FieldCode::InvalidToken, "is unknown, expired or used already; request a new one")
}
