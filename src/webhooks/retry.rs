//! When a delivery that failed is tried again.

use jiff::SignedDuration;

/// The pause after the first failure. It doubles up to the longest one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(4);

/// Returns the pause after this many failed attempts in a row. It is shortened at random by at most half, so that receivers that failed
/// together are not tried together. `draw` is a random number below 1000.
pub fn pause(failed_attempts: i32, draw: u32) -> SignedDuration {
    let doublings = u32::try_from(failed_attempts.saturating_sub(1)).unwrap_or(0).min(16);
    let full = (FIRST_PAUSE * 2_i32.pow(doublings)).min(MAX_PAUSE);
    let millis = i64::try_from(full.as_millis()).unwrap_or(i64::MAX);
    SignedDuration::from_millis(millis - millis / 2 * i64::from(draw.min(999)) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_seconds_to_hours() {
        let pauses: Vec<_> = (1..=15).map(|attempts| pause(attempts, 0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 14_400, 14_400, 14_400]);
        for attempts in [0, 1, 12, 13, i32::MAX] {
            for draw in [1, 500, 999, u32::MAX] {
                let (full, drawn) = (pause(attempts, 0), pause(attempts, draw));
                assert!(drawn <= full && drawn * 2 >= full, "{attempts} {draw}");
            }
        }
    }
}
