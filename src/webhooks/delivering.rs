//! The delivery of events to one endpoint, one after the other, in the order of their numbers.
//!
//! An instance leases the endpoint, reads some events, and sends them. After each attempt it stores the endpoint's progress, with an entry
//! of the log, and prolongs the lease. The next event is sent only after the receiver has accepted this one. No connection to the database
//! is held while a request is sent. An instance that dies loses the lease by the clock, and another one sends the last event again.

use jiff::SignedDuration;
use tokio::sync::watch;

use super::model::{Endpoint, WebhookAttempt, WebhookAttemptKind, WebhookFailure, WebhookPauseReason, WebhookStatus};
use super::payload::SignedBody;
use super::sending::{Outcome, Sender};
use super::{endpoint_url, pausing, retry, store};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::events::model::Event;
use crate::events::reading::{self, Following};
use crate::ids::WebhookId;
use crate::telemetry::WebhookOutcome;

/// How many events are read at once.
const BATCH: i64 = 100;
/// The status of a receiver that wants no more events.
const GONE: u16 = 410;

/// What an endpoint gets next.
enum Next {
    /// Nothing.
    End,
    /// Events, and the number up to which it then has all.
    Events(Vec<Event>, i64),
    /// The events before this number are deleted.
    Expired(i64),
}

impl Endpoint {
    fn kind(&self) -> WebhookAttemptKind {
        if self.redeliver_from_seq.is_some() { WebhookAttemptKind::Redelivery } else { WebhookAttemptKind::Delivery }
    }

    /// The number after which it goes on.
    fn position(&self) -> i64 {
        self.redeliver_from_seq.map_or(self.delivered_through_seq, |from| from - 1)
    }

    /// Notes that it has every event up to this number.
    fn advance(&mut self, through: i64) {
        match self.redeliver_through_seq {
            None => self.delivered_through_seq = through,
            Some(last) if through < last => self.redeliver_from_seq = Some(through + 1),
            Some(_) => (self.redeliver_from_seq, self.redeliver_through_seq) = (None, None),
        }
    }
}

/// Delivers until the endpoint has everything, an attempt fails, or the service stops.
///
/// # Errors
/// Those of the database. The lease then expires.
pub async fn deliver(env: &Env, sender: &Sender, id: WebhookId, stopping: &watch::Receiver<bool>) -> Result<()> {
    let now = env.now();
    let mut leased = env.db.write(move |tx| store::lease(tx, id, now)).await?;
    while let Some(endpoint) = leased {
        if *stopping.borrow() || endpoint.status != WebhookStatus::Active || !endpoint.has_known_types() {
            return release(env, endpoint).await;
        }
        let wanted = endpoint.clone();
        leased = match env.db.read(move |conn| next(conn, &wanted)).await? {
            Next::End => return release(env, endpoint).await,
            Next::Expired(oldest) => store_expired(env, endpoint, oldest).await?,
            Next::Events(events, through) => send_all(env, sender, endpoint, events, through, stopping).await?,
        };
    }
    Ok(())
}

fn next(conn: &mut Conn, endpoint: &Endpoint) -> Result<Next> {
    let position = endpoint.position();
    let (mut events, mut through) = match reading::after(conn, position, &endpoint.types(), BATCH)? {
        Following::Expired { oldest } => return Ok(Next::Expired(oldest)),
        Following::Events { events, through } => (events, through),
    };
    if let Some(last) = endpoint.redeliver_through_seq {
        events.retain(|event| event.seq <= last);
        through = through.min(last);
    }
    Ok(if through <= position { Next::End } else { Next::Events(events, through) })
}

/// Sends events until one fails. Returns the endpoint as it is then, unless the lease has ended.
async fn send_all(
    env: &Env,
    sender: &Sender,
    mut endpoint: Endpoint,
    events: Vec<Event>,
    through: i64,
    stopping: &watch::Receiver<bool>,
) -> Result<Option<Endpoint>> {
    let (version, kind, count) = (endpoint.version, endpoint.kind(), events.len());
    if events.is_empty() {
        return store_progress(env, endpoint, None, through).await;
    }
    for (place, event) in (1..).zip(events) {
        let at = env.now();
        let secrets = endpoint.open_secrets(env, at)?;
        let signed = SignedBody::of_event(&endpoint, &secrets, &event, at)?;
        let outcome = sender.send(&endpoint.url, signed).await;
        note(env, &endpoint, event.seq, outcome);
        let attempt = attempt(env, &endpoint, event.seq, at, outcome);
        // The last one moves it past the events of other types that follow.
        let reached = if place == count { through } else { event.seq };
        let Some(stored) = store_progress(env, endpoint, Some(attempt), reached).await? else { return Ok(None) };
        endpoint = stored;
        // An administrator may have changed its settings or its progress.
        let goes_on = endpoint.version == version && endpoint.kind() == kind && endpoint.position() == reached;
        if !goes_on || *stopping.borrow() {
            break;
        }
    }
    Ok(Some(endpoint))
}

fn attempt(env: &Env, endpoint: &Endpoint, seq: i64, at: Timestamp, outcome: Outcome) -> WebhookAttempt {
    WebhookAttempt {
        id: env.new_id(),
        endpoint_id: endpoint.id,
        kind: endpoint.kind(),
        event_seq: Some(seq),
        through_seq: None,
        attempted_at: at,
        duration_ms: outcome.duration_ms,
        status_code: outcome.status.map(|status| status.as_u16().into()),
        failure: outcome.failure,
    }
}

/// Logs and counts an attempt. The log has only the host of the URL, whose path can hold a secret.
fn note(env: &Env, endpoint: &Endpoint, seq: i64, outcome: Outcome) {
    env.metrics.webhook_attempts.get_or_create(&WebhookOutcome::of(outcome.failure.is_none())).inc();
    if let Some(failure) = outcome.failure {
        let (host, status) = (endpoint_url::host(&endpoint.url), outcome.status.map(|status| status.as_u16()));
        tracing::warn!(webhook = %endpoint.id, %host, seq, %failure, status, "an event could not be delivered");
    }
}

/// Stores an attempt and the endpoint's progress. Returns the endpoint as it is then. None if the lease is lost or was ended.
async fn store_progress(
    env: &Env,
    sent: Endpoint,
    attempt: Option<WebhookAttempt>,
    through: i64,
) -> Result<Option<Endpoint>> {
    let (now, draw, shared) = (env.now(), env.entropy.below(1000), env.clone());
    let stored = env.db.write(move |tx| {
        let Some(mut endpoint) = store::lock_leased(tx, &sent)? else { return Ok(None) };
        if let Some(attempt) = &attempt {
            store::log(tx, attempt)?;
        }
        // An administrator may have moved it meanwhile.
        let is_there = endpoint.position() == sent.position() && endpoint.kind() == sent.kind();
        let Some(failed) = attempt.as_ref().filter(|attempt| attempt.failure.is_some()) else {
            if is_there {
                endpoint.advance(through);
                (endpoint.failing_since, endpoint.failed_attempts, endpoint.next_attempt_at) = (None, 0, None);
            }
            return store::store_progress(tx, &endpoint, true, now).map(Some);
        };
        // Or corrected the address, of which this failure says nothing.
        if endpoint.url != sent.url {
            store::store_progress(tx, &endpoint, false, now)?;
            return Ok(None);
        }
        if is_there {
            endpoint.failed_attempts = endpoint.failed_attempts.saturating_add(1);
            endpoint.failing_since = endpoint.failing_since.or(Some(now));
            endpoint.next_attempt_at = Some(now.plus(retry::pause(endpoint.failed_attempts, draw)));
        }
        let endpoint = store::store_progress(tx, &endpoint, false, now)?;
        if let Some(reason) = reason_to_pause(&shared, &endpoint, failed, now) {
            pausing::pause(tx, &shared, &endpoint, reason, now)?;
        }
        Ok(None)
    });
    stored.await
}

/// Returns why a failure pauses an active endpoint. None if it is tried again.
fn reason_to_pause(
    env: &Env,
    endpoint: &Endpoint,
    failed: &WebhookAttempt,
    now: Timestamp,
) -> Option<WebhookPauseReason> {
    if endpoint.status != WebhookStatus::Active {
        return None;
    }
    if failed.status_code == Some(GONE.into()) {
        return Some(WebhookPauseReason::Gone);
    }
    let longest = SignedDuration::from_hours(env.config.settings.webhook_pause_after_hours.into());
    let is_over = endpoint.failing_since.is_some_and(|since| now.since(since) >= longest);
    is_over.then_some(WebhookPauseReason::Failing)
}

/// Notes events that were deleted before they could be delivered, and moves the endpoint past them.
async fn store_expired(env: &Env, leased: Endpoint, oldest: i64) -> Result<Option<Endpoint>> {
    let (now, id) = (env.now(), env.new_id());
    let (from, through) = (leased.position() + 1, oldest - 1);
    tracing::warn!(webhook = %leased.id, from, through, "events were deleted before they could be delivered");
    let stored = env.db.write(move |tx| {
        let Some(mut endpoint) = store::lock_leased(tx, &leased)? else { return Ok(None) };
        if endpoint.position() + 1 != from {
            return Ok(Some(endpoint));
        }
        let kind = endpoint.kind();
        if kind == WebhookAttemptKind::Delivery {
            endpoint.missing_from_seq = endpoint.missing_from_seq.or(Some(from));
            endpoint.missing_through_seq = Some(through);
        }
        endpoint.advance(through);
        let attempt = WebhookAttempt {
            id,
            endpoint_id: endpoint.id,
            kind,
            event_seq: Some(from),
            through_seq: Some(through),
            attempted_at: now,
            duration_ms: 0,
            status_code: None,
            failure: Some(WebhookFailure::EventsExpired),
        };
        store::log(tx, &attempt)?;
        store::store_progress(tx, &endpoint, true, now).map(Some)
    });
    stored.await
}

/// Ends a lease.
async fn release(env: &Env, leased: Endpoint) -> Result<()> {
    let now = env.now();
    let released = env.db.write(move |tx| {
        if let Some(endpoint) = store::lock_leased(tx, &leased)? {
            store::store_progress(tx, &endpoint, false, now)?;
        }
        Ok(())
    });
    released.await
}
