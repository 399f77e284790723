//! What a failure means for a message: try again, and when, or lay it aside for the staff.

use std::fmt;

use jiff::SignedDuration;

/// Why a message did not go out: a class only, since the other side's words may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The mail server cannot be reached, or the connection broke.
    Connection,
    /// The mail server did not answer in time.
    Timeout,
    /// The connection could not be encrypted.
    Tls,
    /// The mail server answered with this code.
    Smtp(u16),
    /// The mail server and this service do not understand each other: no common log-in, no STARTTLS, garbled answers.
    Protocol,
    /// The file could not be written.
    File,
    /// The address is none that can be mailed to.
    Address,
    /// A template is broken.
    Template,
    /// The stored message cannot be opened: a data key is missing.
    Sealed,
    /// The mail cannot be put together.
    Compose,
    /// Every try was cut off before it had an outcome.
    Interrupted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Smtp(code) => return write!(f, "smtp_{code}"),
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

/// Tries of a message that the mail server puts off: some five hours.
pub const MOST_REFUSALS: i32 = 12;
/// Tries while the mail server is not there at all: more than three days, so that an outage over a weekend loses nothing.
pub const MOST_TRIES: i32 = 80;

const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

impl Failure {
    /// How many tries a message gets that keeps failing so.
    fn tries(self) -> i32 {
        match self {
            // Of these codes: the log-in was refused (RFC 4954). The operator can mend it, and the message is not at fault.
            Self::Connection
            | Self::Timeout
            | Self::Tls
            | Self::Protocol
            | Self::File
            | Self::Smtp(530 | 534 | 535 | 538) => MOST_TRIES,
            Self::Smtp(400..=499) | Self::Sealed => MOST_REFUSALS,
            Self::Smtp(_) | Self::Address | Self::Template | Self::Compose | Self::Interrupted => 0,
        }
    }

    /// The pause before the next try after `attempts` tries, or `None` where there is none.
    ///
    /// Pauses double from 30 seconds to an hour. Each is shortened at random by up to half, so that messages that
    /// failed together do not come back together: `draw` is a random number below 1000.
    pub fn pause(self, attempts: i32, draw: u32) -> Option<SignedDuration> {
        if attempts >= self.tries() {
            return None;
        }
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
        let full = (FIRST_PAUSE * 2_i32.pow(doublings)).min(LONGEST_PAUSE);
        let millis = i64::try_from(full.as_millis()).unwrap_or(i64::MAX);
        Some(SignedDuration::from_millis(millis - millis / 2 * i64::from(draw.min(999)) / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_half_a_minute_to_an_hour() {
        let pauses: Vec<_> =
            (1..MOST_REFUSALS).filter_map(|n| Failure::Smtp(451).pause(n, 0)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
        assert_eq!(Failure::Smtp(451).pause(MOST_REFUSALS, 0), None);
    }

    #[test]
    fn chance_takes_up_to_half_of_a_pause_and_never_adds_to_it() {
        for attempts in 1..MOST_TRIES {
            let full = Failure::Connection.pause(attempts, 0).expect("another try");
            for draw in [1, 500, 999, u32::MAX] {
                let pause = Failure::Connection.pause(attempts, draw).expect("another try");
                assert!(pause <= full && pause * 2 >= full, "{attempts} {draw} {pause:?}");
            }
        }
    }

    #[test]
    fn what_will_not_get_better_is_laid_aside_at_once() {
        for failure in [Failure::Smtp(550), Failure::Smtp(554), Failure::Template, Failure::Address, Failure::Compose] {
            assert_eq!(failure.pause(1, 0), None, "{failure}");
        }
    }

    #[test]
    fn a_mail_server_that_is_away_for_a_weekend_loses_no_message() {
        let total: i64 = (1..).map_while(|n| Failure::Connection.pause(n, 999)).map(|pause| pause.as_secs()).sum();
        assert!(total > 36 * 3600, "{total}");
        let total: i64 = (1..).map_while(|n| Failure::Connection.pause(n, 0)).map(|pause| pause.as_secs()).sum();
        assert!(total > 72 * 3600, "{total}");
        assert!(Failure::Smtp(535).pause(40, 0).is_some(), "a refused log-in is not the message's fault");
    }
}
