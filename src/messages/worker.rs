//! The background job that sends messages. It leases due messages, sends them and stores the outcomes.
//!
//! A message is sent at least once. It is sent twice only if the worker dies, or the connection breaks, after the mail server accepted
//! the message and before the outcome is stored. Both mails then have the same Message-ID.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::mailer::{CONNECTIONS, Mailer};
use super::model::Message;
use super::queue::{self, Outcome};
use super::retry::Failure;
use super::{compose, outbox, pacing};
use crate::env::Env;
use crate::error::Result;
use crate::periodic::stopped;
use crate::phone::Telephone;
use crate::telemetry::MessageLabels;

/// How often the worker looks for due messages, even if nothing wakes it. Other instances do not wake this one.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the worker waits after it was woken, because it is woken before the commit.
const COMMIT_DELAY: Duration = Duration::from_millis(50);
/// The pause after a database error.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How often the metrics are updated.
const METRICS_INTERVAL: Duration = Duration::from_secs(15);
/// How long sending may continue after the service was told to stop. Interrupted messages are sent when their lease expires.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Starts the worker. The task ends at most some seconds after `stopping`.
///
/// # Errors
/// A text for the operator if a mail setting is wrong.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> Result<JoinHandle<()>, String> {
    let mailer = Mailer::new(&env.config.settings)?;
    let env = env.clone();
    // On the runtime, not in the thread's local set. The local set drops its tasks outside of the runtime, and lettre's
    // connections then panic.
    Ok(tokio::spawn(async move {
        let mut work = std::pin::pin!(run(&env, &mailer, stopping.clone()));
        tokio::select! {
            () = &mut work => return,
            () = stopped(&mut stopping) => {}
        }
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, work).await;
    }))
}

async fn run(env: &Env, mailer: &Mailer, mut stopping: watch::Receiver<bool>) {
    let mut counted: Option<Instant> = None;
    // A mail does not wait for the end of mails to other mailboxes. Otherwise its time would tell whether those were sent. For those to its own
    // mailbox it does: until their outcome is stored, they do not count against the mailbox's limits.
    let mut sending = FuturesUnordered::new();
    let mut busy: Vec<String> = Vec::new();
    let most = usize::from(CONNECTIONS);
    loop {
        if counted.is_none_or(|at| at.elapsed() >= METRICS_INTERVAL) {
            counted = Some(Instant::now());
            update_metrics(env).await;
        }
        let (pause, can_be_woken) = match lease(env, most - sending.len(), busy.clone()).await {
            Ok(leased) if leased.count == 0 => (POLL_INTERVAL, sending.len() < most),
            Ok(leased) => {
                for together in leased.to_send {
                    let mailbox =
                        together.first().and_then(|first| first.recipient.email.as_deref()).map(outbox::mailbox);
                    busy.extend(mailbox.clone());
                    sending.push(send(env, mailer, together, leased.phone.clone()).map(|()| mailbox));
                }
                (Duration::ZERO, false)
            }
            Err(error) => {
                tracing::warn!(%error, "due messages could not be read");
                (RETRY_PAUSE, false)
            }
        };
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => break,
            Some(mailbox) = sending.next() => {
                if let Some(at) = busy.iter().position(|busy| Some(busy) == mailbox.as_ref()) {
                    busy.swap_remove(at);
                }
            }
            () = woken(env), if can_be_woken => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while sending.next().await.is_some() {}
}

/// Completes after a message was created.
async fn woken(env: &Env) {
    env.mail_written.notified().await;
    tokio::time::sleep(COMMIT_DELAY).await;
}

/// Due messages that this worker has leased.
#[derive(Default)]
pub struct Leased {
    /// How many were due.
    pub count: usize,
    /// Those that may be sent now. Messages in one list become one mail.
    pub to_send: Vec<Vec<Message>>,
    /// The clinic's telephone number for their texts.
    pub phone: Option<Arc<Telephone>>,
}

/// Leases at most this many due messages, and none to `busy` mailboxes.
///
/// # Errors
/// Those of the database.
pub async fn lease(env: &Env, most: usize, busy: Vec<String>) -> Result<Leased> {
    let now = env.now();
    if most == 0 {
        return Ok(Leased::default());
    }
    let shared = env.clone();
    let phone = env.db.read(move |conn| {
        let due = queue::any_due(conn, now)?;
        due.then(|| compose::clinic_phone(conn, &shared)).transpose()
    });
    let Some(phone) = phone.await? else { return Ok(Leased::default()) };
    let shared = env.clone();
    let (count, to_send) = env
        .db
        .write(move |tx| {
            let leased = queue::lease(tx, now, i64::try_from(most).unwrap_or(i64::MAX), &busy)?;
            Ok((leased.len(), pacing::select(tx, &shared, leased)?))
        })
        .await?;
    Ok(Leased { count, to_send, phone: phone.map(Arc::new) })
}

/// Turns a panic into a failure. lettre panics on some input, which must fail one message and not the worker.
async fn catching_panics(sending: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    AssertUnwindSafe(sending).catch_unwind().await.unwrap_or(Err(Failure::Compose))
}

/// Sends leased messages as one mail, and stores its outcome with each. A message that could not be sent is no error.
pub async fn send(env: &Env, mailer: &Mailer, together: Vec<Message>, phone: Option<Arc<Telephone>>) {
    let Some(first) = together.first() else { return };
    let sent = catching_panics(compose_and_send(env, mailer, &together, phone.as_deref())).await;
    let now = env.now();
    let outcome = match sent {
        Ok(()) => Outcome::Sent,
        Err(failure) => match failure.pause(first.attempts, env.entropy.below(1000)) {
            Some(pause) => Outcome::Postponed(failure, now.plus(pause)),
            None => Outcome::Failed(failure),
        },
    };
    for message in &together {
        match outcome {
            Outcome::Sent => tracing::info!(message = %message.id, kind = %message.kind, "mail sent"),
            Outcome::Postponed(failure, due) => {
                tracing::warn!(message = %message.id, %failure, attempts = message.attempts, %due, "mail postponed");
            }
            Outcome::Failed(failure) => {
                tracing::error!(message = %message.id, %failure, attempts = message.attempts, "mail failed");
            }
        }
    }
    let (first, together) = (first.id, Arc::new(together));
    // Without its outcome the mail is sent again, so storing it is worth some attempts.
    for _ in 0..3 {
        let (leased, shared) = (Arc::clone(&together), env.clone());
        let stored = env
            .db
            .write(move |tx| leased.iter().try_for_each(|message| queue::finish(tx, &shared, message, outcome, now)));
        match stored.await {
            Ok(()) => return,
            Err(error) => tracing::warn!(message = %first, %error, "the outcome of a mail could not be stored"),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn compose_and_send(
    env: &Env,
    mailer: &Mailer,
    together: &[Message],
    phone: Option<&Telephone>,
) -> Result<(), Failure> {
    let mut parts = Vec::with_capacity(together.len());
    for message in together {
        if message.attempts > super::retry::MAX_ATTEMPTS {
            return Err(Failure::Interrupted);
        }
        let mail = outbox::open(env, message.id, &message.payload).map_err(|error| {
            tracing::error!(%error, "a stored message cannot be decrypted");
            Failure::Sealed
        })?;
        parts.push((message, mail));
    }
    let Some(((first, _), _)) = parts.split_first() else { return Ok(()) };
    let email = compose::compose(&env.config, &mailer.sender, &parts, phone, env.now())?;
    mailer.send(email, &first.mail_id()).await
}

async fn update_metrics(env: &Env) {
    let now = env.now();
    let Ok(depth) = env.db.read(move |conn| queue::depth(conn, now)).await else { return };
    for (status, count) in [("pending", depth.pending), ("failed", depth.failed), ("to_phone", depth.to_phone)] {
        env.metrics.outbox.get_or_create(&MessageLabels { status: status.to_owned() }).set(count);
    }
    let age = depth.oldest_due.map_or(0.0, |due| now.since(due).as_secs_f64());
    env.metrics.outbox_oldest.set(age);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn row_15_a_panic_while_a_mail_is_built_fails_that_mail_only() {
        let panicking = async { panic!("a display name with a line break") };
        assert_eq!(catching_panics(panicking).await, Err(Failure::Compose));
        assert_eq!(catching_panics(async { Ok(()) }).await, Ok(()));
    }
}
