//! Tasks that run again and again until the service stops.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use crate::error::Result;

/// Logs the error of a step on one row and returns none, so that one bad row does not block the others. The next round retries it.
///
/// # Errors
/// Those with which every other row would fail too ([`concerns_all`](crate::error::Error::concerns_all)).
pub fn go_on<T>(step: Result<T>, row: impl Display, failure: &'static str) -> Result<Option<T>> {
    match step {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.concerns_all() => Err(error),
        Err(error) => {
            tracing::warn!(%row, %error, "{failure}; the next round tries it again");
            Ok(None)
        }
    }
}

/// Completes when the service is told to stop.
pub async fn stopped(stopping: &mut Receiver<bool>) {
    // An error means that the sender is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Runs `work` at the start, and again after each pause that it returns, until told to stop. A run in progress finishes
/// first.
pub fn start(stopping: Receiver<bool>, work: impl AsyncFnMut() -> Duration + 'static) {
    start_woken(stopping, std::future::pending, work);
}

/// Like [`start`], but also runs `work` a short while (`settle`) after `written` has changed, so that many changes cause one run.
pub fn start_after_writes(
    stopping: Receiver<bool>,
    mut written: Receiver<()>,
    settle: Duration,
    work: impl AsyncFnMut() -> Duration + 'static,
) {
    let woken = async move || {
        // An error means that the sender is gone.
        let _ = written.changed().await;
        tokio::time::sleep(settle).await;
    };
    start_woken(stopping, woken, work);
}

/// Like [`start`], but also runs `work` when `woken` completes.
pub fn start_woken(
    mut stopping: Receiver<bool>,
    mut woken: impl AsyncFnMut() + 'static,
    mut work: impl AsyncFnMut() -> Duration + 'static,
) {
    actix_web::rt::spawn(async move {
        loop {
            let pause = work().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = woken() => {}
                () = stopped(&mut stopping) => return,
            }
        }
    });
}
