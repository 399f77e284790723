//! The worker that sends what the outbox holds: it leases due messages, sends them, and writes down what became of each.
//!
//! A message goes out at least once; twice only if the worker dies, or the connection breaks, between the mail server's
//! "taken" and our note of it. Both then carry the same Message-ID.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::mailer::Mailer;
use super::model::Message;
use super::retry::Failure;
use super::store::{self, Outcome};
use super::{compose, outbox, pacing};
use crate::env::Env;
use crate::error::Result;
use crate::phone::Telephone;
use crate::telemetry::MessageLabels;

/// How many messages are sent at once.
const AT_ONCE: i64 = 4;
/// How often the outbox is looked at, rung for or not: other instances' and rolled-back writes ring wrongly or not at all.
const LOOK: Duration = Duration::from_secs(1);
/// How long after the bell the outbox is looked at. It rings before the commit, so that a look at once would come too early;
/// and whoever rings meanwhile is heard by the same look.
const SETTLING: Duration = Duration::from_millis(50);
/// The pause after a round that failed altogether.
const TROUBLE: Duration = Duration::from_secs(2);
/// How often the gauges are brought up to date.
const COUNT: Duration = Duration::from_secs(15);
/// How long a round may go on once the service stops. What is cut off goes out when its lease has ended.
const GRACE: Duration = Duration::from_secs(5);

/// Starts the worker. What it returns ends some seconds after `stopping` at the latest.
///
/// # Errors
/// In words for the operator, where a setting about mail is wrong.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) -> std::result::Result<JoinHandle<()>, String> {
    let mailer = Mailer::new(&env.config.settings)?;
    let env = env.clone();
    // On the runtime itself, not in the thread's local set: what the local set still holds at its end is dropped outside
    // of the runtime, and lettre's connections panic when they are.
    Ok(tokio::spawn(async move {
        let mut work = std::pin::pin!(run(&env, &mailer, stopping.clone()));
        tokio::select! {
            () = &mut work => return,
            () = stopped(&mut stopping) => {}
        }
        let _ = tokio::time::timeout(GRACE, work).await;
    }))
}

/// Ends when the service is told to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever would tell it is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn run(env: &Env, mailer: &Mailer, mut stopping: watch::Receiver<bool>) {
    let mut counted: Option<Instant> = None;
    loop {
        if counted.is_none_or(|at| at.elapsed() >= COUNT) {
            counted = Some(Instant::now());
            count(env).await;
        }
        let (wait, rung) = match step(env, mailer).await {
            Ok(0) => (LOOK, true),
            Ok(_) => (Duration::ZERO, false),
            Err(error) => {
                tracing::warn!(%error, "the outbox could not be read");
                (TROUBLE, false)
            }
        };
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => return,
            () = rung_and_settled(env), if rung => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Ends when the outbox is worth a look.
async fn rung_and_settled(env: &Env) {
    env.mail_written.notified().await;
    tokio::time::sleep(SETTLING).await;
}

/// One round: leases a few due messages, sends those side by side that are still to be said now, and returns how many were due.
///
/// # Errors
/// The database's. A message that could not be sent is no error.
pub async fn step(env: &Env, mailer: &Mailer) -> Result<usize> {
    let now = env.now();
    let shared = env.clone();
    let phone = env.db.read(move |conn| {
        let due = store::any_due(conn, now)?;
        due.then(|| store::clinic_phone(conn, &shared)).transpose()
    });
    let Some(phone) = phone.await? else { return Ok(0) };
    let shared = env.clone();
    let (count, to_send) = env
        .db
        .write(move |tx| {
            let leased = store::lease(tx, now, AT_ONCE)?;
            Ok((leased.len(), pacing::sort_out(tx, &shared, leased)?))
        })
        .await?;
    join_all(to_send.into_iter().map(|message| handle(env, mailer, message, phone.as_ref()))).await;
    Ok(count)
}

/// lettre is known to panic on some input; that must cost one message, not the worker.
async fn surviving(sending: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    AssertUnwindSafe(sending).catch_unwind().await.unwrap_or(Err(Failure::Compose))
}

/// Sends one message and writes down what became of it.
async fn handle(env: &Env, mailer: &Mailer, message: Message, phone: Option<&Telephone>) {
    let sent = surviving(send(env, mailer, &message, phone)).await;
    let now = env.now();
    let outcome = match sent {
        Ok(()) => Outcome::Sent,
        Err(failure) => match failure.pause(message.attempts, env.entropy.below(1000)) {
            Some(pause) => Outcome::Later(failure, now.plus(pause)),
            None => Outcome::Failed(failure),
        },
    };
    match outcome {
        Outcome::Sent => tracing::info!(message = %message.id, kind = %message.kind, "mail sent"),
        Outcome::Later(failure, due) => {
            tracing::warn!(message = %message.id, %failure, attempts = message.attempts, %due, "mail put off");
        }
        Outcome::Failed(failure) => {
            tracing::error!(message = %message.id, %failure, attempts = message.attempts, "mail laid aside");
        }
    }
    let message = Arc::new(message);
    // Unless this is kept, the message goes out again: so it is worth a few tries.
    for _ in 0..3 {
        let leased = Arc::clone(&message);
        match env.db.write(move |tx| store::settle(tx, &leased, outcome, now)).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(message = %message.id, %error, "a mail's outcome could not be kept"),
        }
        tokio::time::sleep(TROUBLE).await;
    }
}

async fn send(
    env: &Env,
    mailer: &Mailer,
    message: &Message,
    phone: Option<&Telephone>,
) -> std::result::Result<(), Failure> {
    if message.attempts > super::retry::MOST_TRIES {
        return Err(Failure::Interrupted);
    }
    let mail = outbox::open(env, message.id, &message.payload).map_err(|error| {
        tracing::error!(%error, "a stored mail cannot be opened");
        Failure::Sealed
    })?;
    let email = compose::compose(&env.config, &mailer.sender, message, &mail, phone, env.now())?;
    mailer.deliver(email, &message.mail_id()).await
}

/// Brings the gauges up to date.
async fn count(env: &Env) {
    let now = env.now();
    let Ok(depth) = env.db.read(move |conn| store::depth(conn, now)).await else { return };
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
    async fn row_15_a_panic_while_a_mail_is_made_costs_that_mail_alone() {
        let panicking = async { panic!("a display name with a line break") };
        assert_eq!(surviving(panicking).await, Err(Failure::Compose));
        assert_eq!(surviving(async { Ok(()) }).await, Ok(()));
    }
}
