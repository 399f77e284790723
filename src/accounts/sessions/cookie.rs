//! Cookies of the pages: the one that holds a session, and one for each account that has signed in on the device, with its device token.
//!
//! The token of a session has the account's id, 256 random bits and an HMAC, so that a made-up one is refused without a query and requests
//! are counted by account before the database is asked. The database has its digest only.
//!
//! The names begin with `__Host-` where the service is reached over https: a browser then takes them only from this host over https. A demo
//! on plain http has neither the prefix nor `Secure`.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use jiff::SignedDuration;
use uuid::Uuid;

use crate::accounts::model::EmailAddress;
use crate::accounts::tokens::CookieToken;
use crate::clock::Timestamp;
use crate::db::schema::sessions;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{SessionId, UserId};

/// What the HMACs are for. Other HMACs under the same keys begin with other words.
const SESSION: &[u8] = b"session cookie";
const DEVICE: &[u8] = b"device cookie";

/// How long the cookie of a device stays: as long as its token works.
const DEVICE_SECONDS: u32 = 365 * 24 * 3600;
/// A session is marked as used at most this often, as clients renew their tokens.
const USED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Creates a token for the cookie of a session.
pub(super) fn new_token(env: &Env, account: UserId) -> String {
    let content = [&account.0.as_bytes()[..], &env.entropy.bytes::<32>()].concat();
    let mac = env.sealer.fingerprint(&[SESSION, &content]);
    URL_SAFE_NO_PAD.encode([content, mac].concat())
}

/// Reads a token with its account; none if this service did not make it. Needs no query.
pub fn read(env: &Env, token: &str) -> Option<(UserId, CookieToken)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (content, mac) = bytes.split_at_checked(16 + 32)?;
    let (account, _) = content.split_first_chunk()?;
    let is_ours = env.sealer.is_fingerprint(mac, &[SESSION, content]);
    is_ours.then(|| (UserId(Uuid::from_bytes(*account)), CookieToken::new(token)))
}

/// Marks a session as used now, if it was not lately.
///
/// # Errors
/// Those of the database.
pub async fn mark_used(env: &Env, session: SessionId, last_used_at: Timestamp) -> Result<()> {
    let now = env.now();
    if now.since(last_used_at) < USED_AFTER {
        return Ok(());
    }
    let used = move |conn: &mut crate::db::Conn| {
        let found = sessions::table.find(session).filter(sessions::revoked_at.is_null());
        diesel::update(found).set(sessions::last_used_at.eq(now)).execute(conn)?;
        Ok(())
    };
    env.db.write(used).await
}

fn is_secure(env: &Env) -> bool {
    env.config.settings.public_url.scheme() == "https"
}

fn name(env: &Env, name: &str) -> String {
    if is_secure(env) { format!("__Host-{name}") } else { name.to_owned() }
}

fn session_name(env: &Env) -> String {
    name(env, "legwork")
}

/// The name does not show the address.
fn device_name(env: &Env, email: &str) -> String {
    let key = EmailAddress::parse(email).map_or_else(|_| email.to_lowercase(), |email| email.key());
    let mark = URL_SAFE_NO_PAD.encode(env.sealer.fingerprint(&[DEVICE, key.as_bytes()]));
    name(env, &format!("legwork-device-{}", &mark[..16]))
}

/// Returns the first cookie of a name.
fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The token of the session's cookie that a request has. It may be empty, made up or over.
pub fn session<'a>(env: &Env, headers: &'a HeaderMap) -> Option<&'a str> {
    find(headers, &session_name(env))
}

/// The device token of an account that a request has.
pub fn device<'a>(env: &Env, headers: &'a HeaderMap, email: &str) -> Option<&'a str> {
    find(headers, &device_name(env, email))
}

fn set(env: &Env, name: &str, value: &str, seconds: Option<u32>) -> HeaderValue {
    let secure = if is_secure(env) { "; Secure" } else { "" };
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `Set-Cookie` of a new session. It ends with the browser, or with the session.
pub fn of_session(env: &Env, token: &str) -> HeaderValue {
    set(env, &session_name(env), token, None)
}

/// `Set-Cookie` that deletes the cookie of the session.
pub fn without_session(env: &Env) -> HeaderValue {
    set(env, &session_name(env), "", Some(0))
}

/// `Set-Cookie` of a device on which an account has signed in.
pub fn of_device(env: &Env, email: &str, token: &str) -> HeaderValue {
    set(env, &device_name(env, email), token, Some(DEVICE_SECONDS))
}

/// A cookie of the pages for another purpose, for this many seconds. None of them is a credential. Their values need no escape.
pub fn of_page(env: &Env, name_of: &str, value: &str, seconds: u32) -> HeaderValue {
    set(env, &name(env, name_of), value, Some(seconds))
}

/// The value of such a cookie.
pub fn page<'a>(env: &Env, headers: &'a HeaderMap, name_of: &str) -> Option<&'a str> {
    find(headers, &name(env, name_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xlegwork=1; legwork-device-a=2;legwork=3==; legwork=4"));
        headers.append(COOKIE, HeaderValue::from_static("other=5"));
        for (name, value) in
            [("legwork", Some("3==")), ("legwork-device-a", Some("2")), ("other", Some("5")), ("leg", None)]
        {
            assert_eq!(find(&headers, name), value, "{name}");
        }
    }
}
