//! Responses no sooner than a fixed time, so that the time reveals nothing about an account.

use std::time::Duration;

/// Longer than any of these requests takes on a machine that is not overloaded, including a password hash.
const MIN_RESPONSE_TIME: Duration = Duration::from_millis(400);

/// Runs a public request, and returns no sooner than after a fixed time. Known and unknown addresses need different writes, and the
/// time of the response would otherwise reveal who has an account.
pub async fn uniform_delay<T>(work: impl Future<Output = T>) -> T {
    futures_util::future::join(work, tokio::time::sleep(MIN_RESPONSE_TIME)).await.0
}
