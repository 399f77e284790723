//! Detects that PostgreSQL does not respond, and fails all waiting requests at once.
//!
//! libpq waits without a limit for the response of a frozen server. The server's kernel still acknowledges packets, so
//! no TCP timeout ends the wait. A limit for each statement would have to allow the longest legitimate one. Therefore a
//! separate connection runs a trivial query four times a second. If its response stays away, the database counts as
//! lost for every request, until the next response.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio::sync::watch;

use super::{Conn, postgres};

/// The pause between two queries.
const QUERY_INTERVAL: Duration = Duration::from_millis(250);
/// How often the number of responses is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// After this many checks without a response the database is lost, which is 1.5 seconds. Checks are counted instead of
/// measuring time, so that a pause of this process does not count.
const MAX_SILENT_CHECKS: u32 = 15;

/// Whether the database responds.
pub(super) struct Liveness(watch::Receiver<bool>);

impl Liveness {
    /// Starts the two threads that query and check. They end some time after this is dropped.
    ///
    /// # Errors
    /// A text for the operator.
    pub(super) fn watch(url: &str) -> Result<Self, String> {
        let (sender, responds) = watch::channel(true);
        let (sender, responses, url) = (Arc::new(sender), Arc::new(AtomicU64::new(0)), url.to_owned());
        let (query_sender, answered) = (Arc::clone(&sender), Arc::clone(&responses));
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
            thread.map(|_| ()).map_err(|error| format!("start the thread {name}: {error}"))
        };
        start("postgres-query", Box::new(move || query(&url, &responses, &query_sender)))?;
        start("postgres-check", Box::new(move || check(&answered, &sender)))?;
        Ok(Self(responds))
    }

    /// Completes when the database does not respond. Completes at once if that is known already.
    pub(super) async fn lost(&self) {
        let mut responds = self.0.clone();
        if responds.wait_for(|responds| !responds).await.is_err() {
            // The threads have ended, so nothing is known.
            std::future::pending::<()>().await;
        }
    }
}

/// Runs the queries and counts the responses.
fn query(url: &str, answered: &AtomicU64, sender: &watch::Sender<bool>) {
    let mut conn: Option<Conn> = None;
    while !sender.is_closed() {
        conn = conn.or_else(|| postgres::connect(url).ok());
        match conn.as_mut().map(|conn| conn.batch_execute("SELECT 1")) {
            Some(Ok(())) => {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            _ => conn = None,
        }
        thread::sleep(QUERY_INTERVAL);
    }
}

/// Checks whether the number of responses grows.
fn check(answered: &AtomicU64, sender: &watch::Sender<bool>) {
    let (mut last, mut silent_checks) = (0, 0);
    while !sender.is_closed() {
        thread::sleep(CHECK_INTERVAL);
        let count = answered.load(Ordering::Relaxed);
        silent_checks = if count == last { silent_checks + 1 } else { 0 };
        last = count;
        let responds = silent_checks < MAX_SILENT_CHECKS;
        let changed = sender.send_if_modified(|known| std::mem::replace(known, responds) != responds);
        match (changed, responds) {
            (true, false) => tracing::error!("PostgreSQL does not respond. Requests are rejected until it does"),
            (true, true) => tracing::info!("PostgreSQL responds again"),
            (false, _) => {}
        }
    }
}
