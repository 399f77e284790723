//! Work that comes round for as long as the server runs.

use std::time::Duration;

use tokio::sync::watch::Receiver;

/// Runs `work` at the start, and again after the pause that it asks for, until told to stop. A round under way ends first.
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
