//! Device tokens: with one a client proves at sign-in that the account has signed in on it before.
//!
//! A device token only gives the device its own lane in the throttle ([`super::throttle`]), so failures on other devices do not slow
//! it down. It replaces neither the password nor the second factor, and a stolen one lets a thief guess no faster than one more
//! address does. Nothing is stored: a token has the device's random id and the time of issue under an HMAC that binds both to the
//! account. It is valid under every key of the ring, so it outlives a rotation of the data keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::env::Env;
use crate::ids::UserId;
use crate::sealed::Sealer;

/// How long a token is valid.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);
/// A token of this age is replaced at the next sign-in, so that a device in use stays known.
const RENEWED_AFTER: SignedDuration = SignedDuration::from_hours(24 * 30);

const ID: usize = 16;
const TIME: usize = 8;

/// A device on which an account has signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub Uuid);

/// The parts of a device token.
struct Token {
    id: [u8; ID],
    issued: [u8; TIME],
    mac: Vec<u8>,
}

impl Token {
    fn new(sealer: &Sealer, now: Timestamp, user: UserId, id: [u8; ID]) -> Self {
        let issued = now.as_micros().to_be_bytes();
        let mac = sealer.fingerprint(&parts(&user, &id, &issued));
        Self { id, issued, mac }
    }

    /// Reads a token; none if it is not a valid one of this account.
    fn read(sealer: &Sealer, now: Timestamp, user: UserId, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID>()?;
        let (issued, mac) = rest.split_first_chunk::<TIME>()?;
        let token = Self { id: *id, issued: *issued, mac: mac.to_vec() };
        let is_ours = sealer.is_fingerprint(mac, &parts(&user, id, issued));
        (is_ours && token.age(now)? < LIFETIME).then_some(token)
    }

    fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        Some(now.since(Timestamp::from_micros(i64::from_be_bytes(self.issued))?))
    }

    /// Whether it need not be replaced: it is recent, and made under the ring's first key.
    fn is_fresh(&self, sealer: &Sealer, now: Timestamp, user: UserId) -> bool {
        self.age(now).is_some_and(|age| age < RENEWED_AFTER)
            && sealer.fingerprint(&parts(&user, &self.id, &self.issued)) == self.mac
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([&self.id[..], &self.issued[..], &self.mac[..]].concat())
    }
}

fn parts<'a>(user: &'a UserId, id: &'a [u8; ID], issued: &'a [u8; TIME]) -> [&'a [u8]; 4] {
    [b"device token", user.0.as_bytes(), id, issued]
}

/// The device of a token; none if it is not a valid token of this account.
pub fn known(env: &Env, user: UserId, token: &str) -> Option<Device> {
    Token::read(&env.sealer, env.now(), user, token).map(|token| Device(Uuid::from_bytes(token.id)))
}

/// The token for the next sign-in of a device that has just signed in. It keeps a fresh one.
pub fn renew(env: &Env, user: UserId, token: Option<&str>) -> String {
    let now = env.now();
    let old = token.and_then(|token| Token::read(&env.sealer, now, user, token));
    let fresh = |id| Token::new(&env.sealer, now, user, id);
    match old {
        Some(token) if token.is_fresh(&env.sealer, now, user) => token.text(),
        Some(token) => fresh(token.id).text(),
        None => fresh(env.entropy.bytes()).text(),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn ring(ids: &[char]) -> Sealer {
        let entries: Vec<_> = ids.iter().map(|id| format!("{id}:{}", STANDARD.encode([*id as u8; 32]))).collect();
        Sealer::parse(&entries.join(",")).expect("a ring")
    }

    fn after(days: i64) -> Timestamp {
        let start: Timestamp = "2026-03-02T14:00:00Z".parse().expect("an instant");
        start.plus(SignedDuration::from_hours(24 * days))
    }

    const ANN: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));

    #[test]
    fn a_token_is_valid_for_its_account_for_a_year_and_under_every_key_of_the_ring() {
        let (old, both, new) = (ring(&['a']), ring(&['b', 'a']), ring(&['b']));
        let text = Token::new(&old, after(0), ANN, [7; ID]).text();
        assert!(text.len() <= 128);
        for (sealer, user, days, good) in [
            (&old, ANN, 0, true),
            (&old, ANN, 364, true),
            (&old, ANN, 365, false),
            (&old, BOB, 0, false),
            (&both, ANN, 1, true),
            (&new, ANN, 1, false),
        ] {
            let read = Token::read(sealer, after(days), user, &text);
            assert_eq!(read.map(|token| token.id), good.then_some([7; ID]), "{user} after {days} days");
        }
    }

    #[test]
    fn a_token_is_replaced_after_a_month_and_after_a_rotation() {
        let (old, both) = (ring(&['a']), ring(&['b', 'a']));
        let token = Token::new(&old, after(0), ANN, [7; ID]);
        assert!(token.is_fresh(&old, after(29), ANN));
        assert!(!token.is_fresh(&old, after(30), ANN));
        assert!(!token.is_fresh(&both, after(1), ANN));
    }

    #[test]
    fn a_changed_or_made_up_token_is_an_unknown_device() {
        let sealer = ring(&['a']);
        let text = Token::new(&sealer, after(0), ANN, [7; ID]).text();
        let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(Token::read(&sealer, after(0), ANN, &changed).is_none(), "byte {at}");
        }
        for made_up in ["", "x", "not base64!", &text[..text.len() - 4], &format!("{text}AAAA")] {
            assert!(Token::read(&sealer, after(0), ANN, made_up).is_none(), "{made_up:?}");
        }
    }
}
