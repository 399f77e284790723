//! Notices that PostgreSQL does not answer, and tells all waiting requests at once.
//!
//! libpq waits without a limit for the answer of a server that is frozen: its kernel still acknowledges what arrives, so no
//! time limit of TCP ends the wait. A limit for each statement would have to allow the longest legitimate one. Therefore one
//! connection of its own asks a trivial question four times a second. When the answer stays away, the database is lost for
//! every request, at whatever stage the request is, and it is back with the first answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio::sync::watch;

use super::{Conn, postgres};

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked for an answer.
const TICK: Duration = Duration::from_millis(100);
/// After so many looks without an answer the database is lost: a second and a half. Looks are counted rather than time
/// measured, so that a pause of this process itself does not count.
const SILENT: u32 = 15;

/// Whether the database answers.
pub(super) struct Liveness(watch::Receiver<bool>);

impl Liveness {
    /// Starts the two threads that ask and look. They end some time after this is dropped.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn watch(url: &str) -> Result<Self, String> {
        let (tell, answers) = watch::channel(true);
        let (tell, asker, url) = (Arc::new(tell), Arc::new(AtomicU64::new(0)), url.to_owned());
        let (asker_tell, answered) = (Arc::clone(&tell), Arc::clone(&asker));
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
            thread.map(|_| ()).map_err(|error| format!("start the thread {name}: {error}"))
        };
        start("postgres-ask", Box::new(move || ask(&url, &asker, &asker_tell)))?;
        start("postgres-look", Box::new(move || look(&answered, &tell)))?;
        Ok(Self(answers))
    }

    /// Ends when the database does not answer; at once if that is known already.
    pub(super) async fn lost(&self) {
        let mut answers = self.0.clone();
        if answers.wait_for(|answers| !answers).await.is_err() {
            // The threads are gone: nothing is known.
            std::future::pending::<()>().await;
        }
    }
}

/// Asks, and counts the answers.
fn ask(url: &str, answered: &AtomicU64, tell: &watch::Sender<bool>) {
    let mut conn: Option<Conn> = None;
    while !tell.is_closed() {
        conn = conn.or_else(|| postgres::connect(url).ok());
        match conn.as_mut().map(|conn| conn.batch_execute("SELECT 1")) {
            Some(Ok(())) => {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            _ => conn = None,
        }
        thread::sleep(PAUSE);
    }
}

/// Looks whether the count of answers grows.
fn look(answered: &AtomicU64, tell: &watch::Sender<bool>) {
    let (mut last, mut silent) = (0, 0);
    while !tell.is_closed() {
        thread::sleep(TICK);
        let count = answered.load(Ordering::Relaxed);
        silent = if count == last { silent + 1 } else { 0 };
        last = count;
        let answers = silent < SILENT;
        let changed = tell.send_if_modified(|told| std::mem::replace(told, answers) != answers);
        match (changed, answers) {
            (true, false) => tracing::error!("PostgreSQL does not answer; requests are refused until it does"),
            (true, true) => tracing::info!("PostgreSQL answers again"),
            (false, _) => {}
        }
    }
}
