//! Periodic tasks.

use std::time::Duration;

use tokio::sync::watch::Receiver;

/// Runs `work` at the start, and again after each pause that it returns, until told to stop. A run in progress finishes
/// first.
pub fn start(mut stopping: Receiver<bool>, mut work: impl AsyncFnMut() -> Duration + 'static) {
    actix_web::rt::spawn(async move {
        loop {
            let pause = work().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.changed() => return,
            }
        }
    });
}
