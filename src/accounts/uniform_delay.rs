//! Responses at the end of a fixed period only, so that the time reveals nothing about an account.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longer than any of these requests takes on a machine that is not overloaded, including a password hash.
const PERIOD: Duration = Duration::from_millis(400);

/// Runs a public request, and returns at the end of a period. Known and unknown addresses need different writes, and the time of the
/// response would otherwise reveal who has an account. On an overloaded machine a request takes several periods.
pub async fn uniform_delay<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = work.await;
    sleep_until(begun + end_of_period(begun.elapsed())).await;
    result
}

fn end_of_period(elapsed: Duration) -> Duration {
    let periods = elapsed.as_millis() / PERIOD.as_millis() + 1;
    PERIOD.saturating_mul(u32::try_from(periods).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_08_a_response_comes_at_the_end_of_a_period_however_long_the_work_takes() {
        for (work, response) in [(0, 400), (399, 400), (400, 800), (401, 800), (1000, 1200)] {
            assert_eq!(end_of_period(Duration::from_millis(work)), Duration::from_millis(response), "{work} ms");
        }
    }
}
