//! A stream in progress.
//!
//! It first reads the database until it has every event, and then gets new ones from the [`feed`](super::feed). It subscribes before it
//! reads, and compares numbers, so nothing is lost between the two.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::web::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, sleep};

use super::feed::{Batch, Feed, Place};
use super::model::{Event, EventType, Row};
use super::store::{self, Part};
use crate::accounts::caller::is_still_active;
use crate::actor::{Action, Actor};
use crate::context::Context;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::connection::Streaming;

/// How often a stream checks whether the token is expired or the service stops.
const TICK: Duration = Duration::from_secs(1);
/// How often it checks whether the session is active.
const SESSION_CHECK: Duration = Duration::from_secs(3);
/// How often it sends something.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many events it reads at once.
const PAGE: i64 = 200;
/// After how many milliseconds a client connects again.
const RETRY_MILLIS: u32 = 2_000;

/// A stream in progress.
pub struct Stream {
    env: Arc<Env>,
    actor: Actor,
    types: Vec<EventType>,
    batches: broadcast::Receiver<Arc<Batch>>,
    token_expires_at: i64,
    /// The client has every event up to this number.
    through: i64,
    /// Whether there may be more in the database.
    is_behind: bool,
    session_checked: Instant,
    sent: Instant,
    /// What was read before the response began.
    first: Option<Bytes>,
    _place: Place,
    pub streaming: Option<Streaming>,
}

/// Begins a stream: everything is checked, and the first events are read.
///
/// # Errors
/// [`Error::RoleForbidden`], [`Error::Gone`], and the limits of streams.
pub async fn begin(
    context: &Context,
    feed: &Feed,
    after: Option<i64>,
    types: Vec<EventType>,
    token_expires_at: i64,
) -> Result<Stream> {
    context.require(Action::EventRead)?;
    if !context.env.accepting.load(Ordering::Relaxed) {
        return Err(Error::unavailable(1, "the service stops"));
    }
    let (place, batches) = feed.subscribe(context.actor.user_id)?;
    let wanted = types.clone();
    let part = context
        .read(move |tx| match after {
            Some(_) => store::after(tx.conn, after, &wanted, PAGE),
            None => store::newest(tx.conn).map(|newest| Part { events: Vec::new(), through: newest, newest }),
        })
        .await?;
    let mut first = format!("retry: {RETRY_MILLIS}\n\n");
    write_events(&mut first, part.events.iter(), part.through)?;
    let now = Instant::now();
    Ok(Stream {
        env: Arc::clone(&context.env),
        actor: context.actor.clone(),
        types,
        batches,
        token_expires_at,
        through: part.through,
        is_behind: part.through < part.newest,
        session_checked: now,
        sent: now,
        first: Some(first.into()),
        _place: place,
        streaming: None,
    })
}

/// Writes events, and the number up to which the client has all of them.
fn write_events<'a>(text: &mut String, events: impl Iterator<Item = &'a Row>, through: i64) -> Result<()> {
    let mut last = 0;
    for row in events {
        last = row.seq;
        let json =
            serde_json::to_string(&Event::from(row.clone())).map_err(|error| Error::internal("an event", error))?;
        let _ = write!(text, "id: {last}\ndata: {json}\n\n");
    }
    if last < through {
        // An id without data moves the client's `Last-Event-ID` on, and is no event.
        let _ = write!(text, "id: {through}\n\n");
    }
    Ok(())
}

impl Stream {
    /// Returns what to send next. None ends the response.
    pub async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            if self.is_over().await {
                return None;
            }
            let news = if self.is_behind { self.read().await } else { self.wait().await };
            // A client that connects again gets the problem document.
            if let Some(text) = news.ok()?.filter(|text| !text.is_empty()) {
                self.sent = Instant::now();
                return Some(text.into());
            }
        }
    }

    /// Returns whether the session or the service has ended.
    async fn is_over(&mut self) -> bool {
        if !self.env.accepting.load(Ordering::Relaxed) || self.env.now().as_seconds() >= self.token_expires_at {
            return true;
        }
        if self.session_checked.elapsed() < SESSION_CHECK {
            return false;
        }
        self.session_checked = Instant::now();
        !is_still_active(&self.env, &self.actor).await.unwrap_or(false)
    }

    /// Reads the database.
    async fn read(&mut self) -> Result<Option<String>> {
        let (after, types) = (self.through, self.types.clone());
        let part = self.env.db.read(move |conn| store::after(conn, Some(after), &types, PAGE)).await?;
        (self.through, self.is_behind) = (part.through, part.through < part.newest);
        let mut text = String::new();
        if !part.events.is_empty() {
            write_events(&mut text, part.events.iter(), part.through)?;
        }
        Ok(Some(text))
    }

    /// Waits for new events, for the next check, or until a heartbeat is due.
    async fn wait(&mut self) -> Result<Option<String>> {
        tokio::select! {
            batch = self.batches.recv() => match batch {
                Ok(batch) => self.take(&batch),
                Err(RecvError::Lagged(_)) => {
                    self.is_behind = true;
                    Ok(None)
                }
                Err(RecvError::Closed) => Err(Error::unavailable(1, "the service stops")),
            },
            () = sleep(TICK) => {
                let is_due = self.sent.elapsed() >= HEARTBEAT;
                Ok(is_due.then(|| format!(":\nid: {}\n\n", self.through)))
            }
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<Option<String>> {
        if batch.through <= self.through {
            return Ok(None);
        }
        if self.is_behind || batch.after > self.through {
            self.is_behind = true;
            return Ok(None);
        }
        let new =
            batch.events.iter().map(AsRef::as_ref).filter(|row| row.seq > self.through && row.has_type(&self.types));
        let new: Vec<&Row> = new.collect();
        self.through = batch.through;
        let mut text = String::new();
        if !new.is_empty() {
            write_events(&mut text, new.into_iter(), batch.through)?;
        }
        Ok(Some(text))
    }
}
