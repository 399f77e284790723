//! The time limit of a request's database calls. All calls of a request share one limit.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The limit for all database calls of one request, and for each call of a background job or a command.
const LIMIT: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// What is left of the limit of the current request.
    static LEFT: Cell<Duration>;
}

/// Runs a request, so that its database calls share one limit.
pub async fn one_request<F: Future>(request: F) -> F::Output {
    LEFT.scope(Cell::new(LIMIT), request).await
}

/// Runs one database call within what is left of the limit.
///
/// # Errors
/// The call's own, or [`Error::Unavailable`] when the time is over.
pub(super) async fn spend<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let left = LEFT.try_with(Cell::get).unwrap_or(LIMIT);
    let began = Instant::now();
    let result = tokio::time::timeout(left, call)
        .await
        .unwrap_or_else(|_| Err(Error::unavailable(2, "the database did not respond in time")));
    // Outside of a request there is no shared limit.
    let _ = LEFT.try_with(|cell| cell.set(left.saturating_sub(began.elapsed())));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_request_share_one_limit_and_other_calls_do_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let pause = || async {
                tokio::time::sleep(Duration::from_millis(60)).await;
                Ok(())
            };
            let limit = Cell::new(Duration::from_millis(100));
            LEFT.scope(limit, async {
                spend(pause()).await.expect("in time");
                assert!(matches!(spend(pause()).await, Err(Error::Unavailable { .. })));
                assert!(matches!(spend(pause()).await, Err(Error::Unavailable { .. })), "nothing is left");
            })
            .await;
            spend(pause()).await.expect("a background job's call has a limit of its own");
        });
    }
}
