//! Waiting for work that the server does after its response.

use std::time::{Duration, Instant};

/// Long enough for a machine under heavy load: it only bounds a test that fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks every 20 ms until the answer is `Ok`, and returns its value. Fails after a minute with the last `Err`, which should
/// describe what was there instead.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(seen) => assert!(Instant::now() < until, "still not after {PATIENCE:?}: {seen}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
