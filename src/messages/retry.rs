//! What a failure means for a message: when to try again, or to give up.

use std::fmt;

use jiff::SignedDuration;

/// Why a message was not sent. A class only, because the texts of mail servers may contain anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection to the mail server could be opened.
    Unreachable,
    /// The connection broke.
    Connection,
    /// The mail server did not answer in time.
    Timeout,
    /// The connection could not be encrypted.
    Tls,
    /// The mail server responded with this code.
    Smtp(u16),
    /// The mail server refused the recipient's address for good, with this code.
    Refused(u16),
    /// The mail server and this service have no protocol in common: no authentication method, no STARTTLS, or invalid
    /// responses.
    Protocol,
    /// The file could not be written.
    File,
    /// The address is invalid.
    Address,
    /// A template is broken.
    Template,
    /// The stored message cannot be decrypted because a data key is missing.
    Sealed,
    /// The mail cannot be built.
    Compose,
    /// Every attempt was interrupted before it had an outcome.
    Interrupted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable | Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Smtp(code) | Self::Refused(code) => return write!(f, "smtp_{code}"),
            Self::Protocol => "protocol",
            Self::File => "file",
            Self::Address => "address",
            Self::Template => "template",
            Self::Sealed => "sealed",
            Self::Compose => "compose",
            Self::Interrupted => "interrupted",
        })
    }
}

/// The maximum number of attempts if the mail server rejects a message temporarily: about five hours.
pub const MAX_REJECTIONS: i32 = 12;
/// The maximum number of attempts while the mail server is not reachable: more than three days, so that an outage over
/// a weekend loses nothing.
pub const MAX_ATTEMPTS: i32 = 80;

/// The pause after the first failure, which doubles up to the longest one: greylisting ends within minutes, an outage is noticed within an
/// hour.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Failure {
    /// Returns the class of a mail server's negative response. `text` begins with the enhanced code (RFC 3463) if the server has them. Only it
    /// says that the recipient's address is refused: servers refuse contents and senders with 550 too, and a stranger may have chosen the
    /// content.
    pub fn of_response(code: u16, text: &str) -> Self {
        let refused = match enhanced(text) {
            // 7 and 8 are about the sender's address.
            Some([5, 1, detail]) => !matches!(detail, 7 | 8),
            // The mailbox is disabled.
            Some([5, 2, 1]) => true,
            _ => false,
        };
        if refused && (500..=599).contains(&code) { Self::Refused(code) } else { Self::Smtp(code) }
    }

    /// Returns whether the mail certainly did not arrive.
    pub fn is_certain(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Tls
            | Self::Smtp(_)
            | Self::Refused(_)
            | Self::Address
            | Self::Template
            | Self::Sealed
            | Self::Compose => true,
            Self::Connection | Self::Timeout | Self::Protocol | Self::File | Self::Interrupted => false,
        }
    }

    /// Returns the maximum number of attempts for this failure.
    fn max_attempts(self) -> i32 {
        match self {
            // These codes mean that authentication failed (RFC 4954). The operator can correct it, and the message is
            // not the cause.
            Self::Unreachable
            | Self::Connection
            | Self::Timeout
            | Self::Tls
            | Self::Protocol
            | Self::File
            | Self::Smtp(530 | 534 | 535 | 538) => MAX_ATTEMPTS,
            Self::Smtp(400..=499) | Self::Sealed => MAX_REJECTIONS,
            Self::Smtp(_) | Self::Refused(_) | Self::Address | Self::Template | Self::Compose | Self::Interrupted => 0,
        }
    }

    /// Returns the pause before the next attempt after `attempts` attempts, or none if there is no next one.
    ///
    /// Pauses double from 30 seconds to one hour. Each is shortened at random by at most half, so that messages that
    /// failed together are not retried together. `draw` is a random number below 1000.
    pub fn pause(self, attempts: i32, draw: u32) -> Option<SignedDuration> {
        if attempts >= self.max_attempts() {
            return None;
        }
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
        let full = (FIRST_PAUSE * 2_i32.pow(doublings)).min(MAX_PAUSE);
        let millis = i64::try_from(full.as_millis()).unwrap_or(i64::MAX);
        Some(SignedDuration::from_millis(millis - millis / 2 * i64::from(draw.min(999)) / 1000))
    }
}

/// Reads the enhanced code at the beginning of a response.
fn enhanced(text: &str) -> Option<[u16; 3]> {
    let mut parts = text.split_whitespace().next()?.splitn(3, '.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_refusal_of_the_recipient_is_a_refused_address() {
        for (code, text) in
            [(550, "5.1.1 no such user"), (554, "5.1.1 no such user"), (550, "5.1.10 null MX"), (550, "5.2.1 disabled")]
        {
            assert_eq!(Failure::of_response(code, text), Failure::Refused(code), "{code} {text}");
        }
        for (code, text) in [
            (550, ""),
            (550, "High probability of spam"),
            (550, "5.1 something"),
            (551, "moved"),
            (553, "not allowed"),
            (554, ""),
            (552, ""),
            (421, ""),
            (450, "5.1.1 later"),
            (550, "5.7.1 blocked"),
            (550, "5.7.26 not authenticated"),
            (552, "5.2.2 full"),
            (550, "5.2.2 full"),
            (550, "5.1.8 sender"),
            (553, "5.1.7 sender"),
            (535, "5.7.8 credentials"),
        ] {
            assert_eq!(Failure::of_response(code, text), Failure::Smtp(code), "{code} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_temporary_response_never_refuses_an_address_and_every_text_is_read(code in 200..700_u16, text in ".*") {
            let failure = Failure::of_response(code, &text);
            prop_assert!(failure == Failure::Smtp(code) || (failure == Failure::Refused(code) && (500..600).contains(&code)));
            prop_assert_eq!(failure.to_string(), format!("smtp_{code}"));
        }
    }

    #[test]
    fn pauses_double_from_half_a_minute_to_an_hour() {
        let pauses: Vec<_> =
            (1..MAX_REJECTIONS).filter_map(|n| Failure::Smtp(451).pause(n, 0)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
        assert_eq!(Failure::Smtp(451).pause(MAX_REJECTIONS, 0), None);
    }

    #[test]
    fn randomness_shortens_a_pause_by_at_most_half() {
        for attempts in 1..MAX_ATTEMPTS {
            let full = Failure::Connection.pause(attempts, 0).expect("another try");
            for draw in [1, 500, 999, u32::MAX] {
                let pause = Failure::Connection.pause(attempts, draw).expect("another try");
                assert!(pause <= full && pause * 2 >= full, "{attempts} {draw} {pause:?}");
            }
        }
    }

    #[test]
    fn a_permanent_failure_is_not_retried() {
        for failure in [Failure::Smtp(550), Failure::Smtp(554), Failure::Template, Failure::Address, Failure::Compose] {
            assert_eq!(failure.pause(1, 0), None, "{failure}");
        }
    }

    #[test]
    fn no_message_is_lost_while_the_mail_server_is_down_for_a_weekend() {
        let total: i64 = (1..).map_while(|n| Failure::Connection.pause(n, 999)).map(|pause| pause.as_secs()).sum();
        assert!(total > 36 * 3600, "{total}");
        let total: i64 = (1..).map_while(|n| Failure::Connection.pause(n, 0)).map(|pause| pause.as_secs()).sum();
        assert!(total > 72 * 3600, "{total}");
        assert!(Failure::Smtp(535).pause(40, 0).is_some(), "the message is not the cause of failed authentication");
    }
}
