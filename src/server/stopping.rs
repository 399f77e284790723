//! Stopping the server, on request or by a signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_server::ServerHandle;
use tokio::sync::{Notify, watch};

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    pub(super) http: ServerHandle,
    pub(super) stop: watch::Sender<bool>,
    pub(super) at_once: Arc<Notify>,
    pub(super) accepting: Arc<AtomicBool>,
    /// How long the service continues after readiness fails.
    pub(super) delay: Duration,
}

impl Stopper {
    /// Makes readiness fail, serves until a load balancer has noticed, waits for the requests in progress, and stops
    /// the background jobs.
    pub async fn stop(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        self.http.stop(true).await;
        let _ = self.stop.send(true);
    }

    /// Stops without waiting for requests in progress or for the mail being sent, which is sent again after the next
    /// start. Waiting audit events are still stored.
    pub fn stop_at_once(&self) {
        self.accepting.store(false, Ordering::Relaxed);
        self.at_once.notify_one();
    }
}

/// The signals of the operating system that stop the process.
pub struct Signals {
    #[cfg(unix)]
    signals: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Starts to listen. From now on the signals do not end the process by themselves.
    pub fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = signal(SignalKind::terminate()).ok().zip(signal(SignalKind::interrupt()).ok());
            Self { signals }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        match &mut self.signals {
            Some((terminate, interrupt)) => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            None => std::future::pending().await,
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
