//! Device tokens: with one a client proves at sign-in that the account has signed in on it before.
//!
//! A device token only gives the device its own lane in the throttle ([`super::throttle`]), its own place in the queue for hashes and
//! its own rate limit, so failures on other devices do not slow it down. It replaces neither the password nor the second factor.
//!
//! A client gets one only with a complete sign-in: with the code, if the account has a second factor, and not while it still has to
//! set one up. Every change of how the account signs in raises the account's generation
//! ([`store::end_earlier_credentials`](super::store::end_earlier_credentials)), and a token is valid for one generation. So a thief
//! who once knew the password has no token after the owner changed it.
//!
//! Nothing is stored: a token has the account, its generation, the device's random id and the time of issue under an HMAC. It is
//! valid under every key of the ring, so it outlives a rotation of the data keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use uuid::Uuid;

use super::model::User;
use crate::clock::Timestamp;
use crate::env::Env;
use crate::ids::UserId;
use crate::sealed::Sealer;

/// How long a token is valid.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);
/// A token of this age is replaced at the next sign-in, so that a device in use stays known.
const RENEWED_AFTER: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What the HMAC is for. Other HMACs under the same keys begin with other words.
const PURPOSE: &[u8] = b"device token";

/// A device on which an account has signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub Uuid);

/// An account between two changes of how it signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    pub user: UserId,
    /// [`User::credential_generation`].
    pub number: i32,
}

impl From<&User> for Generation {
    fn from(user: &User) -> Self {
        Self { user: user.id, number: user.credential_generation }
    }
}

/// The parts of a device token.
struct Token {
    generation: Generation,
    device: Device,
    issued: Timestamp,
    mac: Vec<u8>,
}

impl Token {
    fn new(sealer: &Sealer, now: Timestamp, generation: Generation, device: Device) -> Self {
        let mut token = Self { generation, device, issued: now, mac: Vec::new() };
        token.mac = sealer.fingerprint(&[PURPOSE, &token.content()]);
        token
    }

    /// Reads a token; none if it is not valid. Its generation may be an earlier one.
    fn read(sealer: &Sealer, now: Timestamp, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (user, rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (device, rest) = rest.split_first_chunk()?;
        let (issued, mac) = rest.split_first_chunk()?;
        let token = Self {
            generation: Generation { user: UserId(Uuid::from_bytes(*user)), number: i32::from_be_bytes(*number) },
            device: Device(Uuid::from_bytes(*device)),
            issued: Timestamp::from_micros(i64::from_be_bytes(*issued))?,
            mac: mac.to_vec(),
        };
        let is_ours = sealer.is_fingerprint(mac, &[PURPOSE, &token.content()]);
        (is_ours && token.age(now) < LIFETIME).then_some(token)
    }

    fn content(&self) -> Vec<u8> {
        let Generation { user, number } = self.generation;
        let (user, device) = (user.0.as_bytes(), self.device.0.as_bytes());
        [&user[..], &number.to_be_bytes(), device, &self.issued.as_micros().to_be_bytes()].concat()
    }

    fn age(&self, now: Timestamp) -> SignedDuration {
        now.since(self.issued)
    }

    /// Whether it need not be replaced: it is recent, and made under the ring's first key.
    fn is_fresh(&self, sealer: &Sealer, now: Timestamp) -> bool {
        self.age(now) < RENEWED_AFTER && sealer.fingerprint(&[PURPOSE, &self.content()]) == self.mac
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.content(), self.mac.clone()].concat())
    }
}

/// The account and generation of a token, which may be an earlier one. Needs no query, so it is cheap enough to decide about a rate
/// limit.
pub fn generation_of(env: &Env, token: &str) -> Option<Generation> {
    Token::read(&env.sealer, env.now(), token).map(|token| token.generation)
}

/// The device of a token; none if it is not a valid token of this account and its current generation.
pub fn known(env: &Env, user: &User, token: &str) -> Option<Device> {
    read_own(env, user, token).map(|token| token.device)
}

/// The token for the next sign-in of a device that has just completed one. It keeps a fresh one.
pub fn renew(env: &Env, user: &User, token: Option<&str>) -> String {
    let now = env.now();
    let new = |device| Token::new(&env.sealer, now, user.into(), device).text();
    match token.and_then(|token| read_own(env, user, token)) {
        Some(token) if token.is_fresh(&env.sealer, now) => token.text(),
        Some(token) => new(token.device),
        None => new(Device(Uuid::from_bytes(env.entropy.bytes()))),
    }
}

fn read_own(env: &Env, user: &User, token: &str) -> Option<Token> {
    Token::read(&env.sealer, env.now(), token).filter(|token| token.generation == user.into())
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

    const ANN: Generation = Generation { user: UserId(Uuid::from_u128(1)), number: 1 };
    const PHONE: Device = Device(Uuid::from_u128(7));

    #[test]
    fn a_token_is_valid_for_a_year_and_under_every_key_of_the_ring() {
        let (old, both, new) = (ring(&['a']), ring(&['b', 'a']), ring(&['b']));
        let text = Token::new(&old, after(0), ANN, PHONE).text();
        assert!(text.len() <= 128);
        for (sealer, days, good) in
            [(&old, 0, true), (&old, 364, true), (&old, 365, false), (&both, 1, true), (&new, 1, false)]
        {
            let read = Token::read(sealer, after(days), &text);
            assert_eq!(
                read.map(|token| (token.generation, token.device)),
                good.then_some((ANN, PHONE)),
                "after {days} days"
            );
        }
    }

    #[test]
    fn a_token_is_replaced_after_a_month_and_after_a_rotation() {
        let (old, both) = (ring(&['a']), ring(&['b', 'a']));
        let token = Token::new(&old, after(0), ANN, PHONE);
        assert!(token.is_fresh(&old, after(29)));
        assert!(!token.is_fresh(&old, after(30)));
        assert!(!token.is_fresh(&both, after(1)));
    }

    #[test]
    fn a_changed_or_made_up_token_is_an_unknown_device() {
        let sealer = ring(&['a']);
        let text = Token::new(&sealer, after(0), ANN, PHONE).text();
        let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert!(Token::read(&sealer, after(0), &changed).is_none(), "byte {at}");
        }
        for made_up in ["", "x", "not base64!", &text[..text.len() - 4], &format!("{text}AAAA")] {
            assert!(Token::read(&sealer, after(0), made_up).is_none(), "{made_up:?}");
        }
    }
}
