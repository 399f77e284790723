//! Deletion of data after its retention period: rule by rule, in small transactions beside a running server.
//!
//! The server deletes short-lived data every hour. Only `legwork purge` deletes patients' records and audit events.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use tokio::sync::watch;
use uuid::Uuid;

use super::due::DuePage;
use super::{records, registrations};
use crate::audit;
use crate::clock::Timestamp;
use crate::config::retention::{Retention, days_before};
use crate::db::types::Instant as At;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::{events, intake};

/// The most rows that one transaction deletes.
const BATCH: i64 = 500;
/// How often the server applies the periodic rules.
const INTERVAL: Duration = Duration::from_hours(1);

pub struct Rule {
    /// The data, in a word.
    pub name: &'static str,
    /// Whether the server applies it every hour.
    periodic: bool,
    /// The end of the retention period: older data is deleted. None keeps all.
    before: fn(&Retention, Timestamp) -> Option<Timestamp>,
    work: Work,
}

enum Work {
    /// Deletes rows that nothing refers to, if the condition holds for the instant `$1`, oldest first by `order`.
    Rows { table: &'static str, condition: &'static str, order: &'static str },
    /// Checks one by one: `due` returns the next ids after an id, `remove` checks again and deletes.
    Each {
        due: fn(&mut Conn, &Env, Timestamp, Uuid) -> Result<DuePage>,
        remove: fn(&mut Conn, &Env, Timestamp, Uuid) -> Result<bool>,
    },
    /// Deletes the oldest events of changes, so that the numbers of the others have no gap.
    Events,
    /// Deletes the oldest audit events, in whole sealed ranges.
    AuditEvents,
}

/// All retention rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "messages",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_messages_days),
        work: Work::Rows {
            table: "messages",
            // Messages that wait for sending or for a call stay.
            condition: "created_at < $1 AND status IN ('sent', 'failed', 'done')",
            order: "created_at",
        },
    },
    Rule {
        name: "slots of the past",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_slots_days),
        work: Work::Rows {
            table: "slots",
            // Slots of appointments are deleted with the record.
            condition: "starts_at < $1 AND appointment_id IS NULL",
            order: "starts_at",
        },
    },
    Rule {
        name: "holds",
        periodic: true,
        before: |_, now| days_before(now, 1),
        work: Work::Rows { table: "holds", condition: "expires_at < $1", order: "expires_at" },
    },
    Rule {
        name: "unverified registrations",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_unverified_days),
        work: Work::Each { due: registrations::due, remove: registrations::remove },
    },
    Rule {
        name: "drafts of intakes",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_drafts_days),
        work: Work::Each { due: drafts_due, remove: intake::stale::discard },
    },
    Rule {
        name: "events of changes",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_events_days),
        work: Work::Events,
    },
    Rule {
        name: "deliveries of webhooks",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_webhook_attempts_days),
        work: Work::Rows { table: "webhook_attempts", condition: "attempted_at < $1", order: "attempted_at" },
    },
    Rule {
        name: "patients' records",
        periodic: false,
        before: |keep, now| records::cutoff(now, keep.retain_records_years),
        work: Work::Each { due: records::due, remove: records::remove },
    },
    Rule {
        name: "audit events",
        periodic: false,
        before: |keep, now| records::cutoff(now, keep.retain_audit_years),
        work: Work::AuditEvents,
    },
];

fn drafts_due(conn: &mut Conn, _: &Env, before: Timestamp, after: Uuid) -> Result<DuePage> {
    let ids = intake::stale::due(conn, before, after)?;
    Ok(DuePage { next: ids.last().copied(), ids })
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Rule {
    fn before(&self, env: &Env) -> Option<Timestamp> {
        (self.before)(&env.config.settings.retention, env.now())
    }

    /// Counts the due objects.
    pub async fn count(&self, env: &Env) -> Result<u64> {
        let Some(before) = self.before(env) else { return Ok(0) };
        match self.work {
            Work::Rows { table, condition, .. } => count(env, before, table, condition).await,
            // Those up to the first that stays. The newest one stays, because the numbers continue after it.
            Work::Events => {
                let first = "SELECT coalesce(min(seq) FILTER (WHERE occurred_at >= $1), max(seq)) FROM events";
                count(env, before, "events", &format!("seq < ({first})")).await
            }
            Work::AuditEvents => count(env, before, "audit_events", "at < $1").await,
            Work::Each { due, .. } => {
                let (mut count, mut after) = (0, Some(Uuid::nil()));
                while let Some(at) = after {
                    let shared = env.clone();
                    let page = env.db.read(move |conn| due(conn, &shared, before, at)).await?;
                    count += page.ids.len() as u64;
                    after = page.next;
                }
                Ok(count)
            }
        }
    }

    /// Deletes the due objects, and returns how many. The next call continues an interrupted one. An object that cannot be deleted does not
    /// keep others from being deleted.
    ///
    /// # Errors
    /// The first error, after all others were tried, unless the database is not available.
    pub async fn apply(&self, env: &Env) -> Result<u64> {
        let Some(before) = self.before(env) else { return Ok(0) };
        match self.work {
            Work::Rows { table, condition, order } => rows(env, before, table, condition, order).await,
            Work::Events => in_batches(env, move |tx, _| events::retention::purge(tx, before)).await,
            Work::AuditEvents => in_batches(env, move |tx, env| audit::purge::purge(tx, env, before)).await,
            Work::Each { due, remove } => {
                let (mut count, mut after, mut failed) = (0, Some(Uuid::nil()), None);
                while let Some(at) = after {
                    let shared = env.clone();
                    let page = env.db.read(move |conn| due(conn, &shared, before, at)).await?;
                    for id in page.ids {
                        let (shared, began) = (env.clone(), Instant::now());
                        match env.db.write(move |tx| remove(tx, &shared, before, id)).await {
                            Ok(is_removed) => count += u64::from(is_removed),
                            Err(error) if error.concerns_all() => return Err(error),
                            Err(error) => {
                                tracing::error!(what = self.name, %id, %error, "could not delete an object after its retention period");
                                failed.get_or_insert(error);
                            }
                        }
                        pause_after(began).await;
                    }
                    after = page.next;
                }
                failed.map_or(Ok(count), Err)
            }
        }
    }
}

async fn count(env: &Env, before: Timestamp, table: &str, condition: &str) -> Result<u64> {
    let sql = format!("SELECT count(*) AS count FROM {table} WHERE {condition}");
    let found = env.db.read(move |conn| {
        let query = diesel::sql_query(sql).bind::<At, _>(before);
        let count: Count = per_backend!(conn, conn => query.get_result(conn))?;
        Ok(count.count)
    });
    Ok(u64::try_from(found.await?).unwrap_or_default())
}

/// Runs a purge until it deletes nothing more.
async fn in_batches(
    env: &Env,
    purge: impl Fn(&mut Conn, &Env) -> Result<usize> + Clone + Send + 'static,
) -> Result<u64> {
    let mut deleted = 0;
    loop {
        let (shared, purge, began) = (env.clone(), purge.clone(), Instant::now());
        match env.db.write(move |tx| purge(tx, &shared)).await? {
            0 => return Ok(deleted),
            count => deleted += count as u64,
        }
        pause_after(began).await;
    }
}

/// Deletes rows until none is due.
async fn rows(env: &Env, before: Timestamp, table: &str, condition: &str, order: &str) -> Result<u64> {
    let any = format!("SELECT count(*) AS count FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT 1) AS due");
    // The condition is there twice, so that a row that changed since the search stays.
    let delete = format!(
        "DELETE FROM {table} WHERE {condition}
         AND id IN (SELECT id FROM {table} WHERE {condition} ORDER BY {order}, id LIMIT $2)"
    );
    let mut deleted = 0;
    loop {
        let any = any.clone();
        // Read first, so that a write transaction begins only if a row is due.
        let due = env.db.read(move |conn| {
            let query = diesel::sql_query(any).bind::<At, _>(before);
            let count: Count = per_backend!(conn, conn => query.get_result(conn))?;
            Ok(count.count)
        });
        if due.await? == 0 {
            return Ok(deleted);
        }
        let (delete, began) = (delete.clone(), Instant::now());
        let count = env.db.write(move |tx| {
            let query = diesel::sql_query(&delete).bind::<At, _>(before).bind::<BigInt, _>(BATCH);
            Ok(per_backend!(tx, tx => query.execute(tx))?)
        });
        match count.await? {
            // Another instance has deleted them.
            0 => return Ok(deleted),
            count => deleted += count as u64,
        }
        pause_after(began).await;
    }
}

/// Pauses for as long as the transaction took, so that other requests get the database.
async fn pause_after(began: Instant) {
    tokio::time::sleep(began.elapsed()).await;
}

/// Applies the periodic rules, and logs how much each deleted.
pub async fn apply_periodic(env: &Env) {
    for rule in RULES.iter().filter(|rule| rule.periodic) {
        match rule.apply(env).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(what = rule.name, count, "deleted data after its retention period"),
            Err(error) => {
                tracing::warn!(what = rule.name, %error, "could not delete data after its retention period; retrying in an hour");
            }
        }
    }
}

/// Starts the task that applies the periodic rules, once an hour. Unlike those of [`crate::periodic`], a run can take long, so a stop
/// interrupts it.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) {
    let env = env.clone();
    actix_web::rt::spawn(async move {
        loop {
            tokio::select! {
                () = apply_periodic(&env) => {}
                _ = stopping.changed() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = stopping.changed() => return,
            }
        }
    });
}
