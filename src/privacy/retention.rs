//! What is deleted when its time is past: rule by rule, in small transactions beside a running server.
//!
//! What is short-lived the server deletes by itself, every hour; patients' records only `legwork purge` does.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use tokio::sync::watch;
use uuid::Uuid;

use super::{records, registrations};
use crate::audit;
use crate::clock::Timestamp;
use crate::config::retention::{Retention, days_before};
use crate::db::types::Instant as At;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::intake;

/// How many rows one transaction deletes at most.
const AT_ONCE: i64 = 500;
/// How often the server looks.
const ROUND: Duration = Duration::from_hours(1);

/// What is deleted, and when.
pub struct Rule {
    /// What, in a word.
    pub name: &'static str,
    /// The server sees to it by itself.
    periodic: bool,
    /// What is older than this is past its time; nothing is where there is no instant.
    before: fn(&Retention, Timestamp) -> Option<Timestamp>,
    work: Work,
}

enum Work {
    /// Rows on which nothing hangs: where the condition holds, `$1` being the instant; the oldest first by `order`.
    Rows { table: &'static str, condition: &'static str, order: &'static str },
    /// What must be looked at one by one: `due` gives the next ids after one, `remove` looks again and deletes.
    Each {
        due: fn(&mut Conn, &Env, Timestamp, Uuid) -> Result<Page>,
        remove: fn(&mut Conn, &Env, Timestamp, Uuid) -> Result<bool>,
    },
    /// The beginning of the audit trail, which goes by whole sealed stretches.
    Trail,
}

/// Some of what is due, and where to go on; `None` at the end.
pub struct Page {
    /// What is due.
    pub ids: Vec<Uuid>,
    /// The id after which to go on.
    pub next: Option<Uuid>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "messages",
        periodic: true,
        before: |keep, now| days_before(now, keep.retain_messages_days),
        work: Work::Rows {
            table: "messages",
            // What is still to be sent, or to be told by phone, is not done with.
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
            // Those of appointments go with their record.
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
        name: "patients' records",
        periodic: false,
        before: |keep, now| records::cutoff(now, keep.retain_records_years),
        work: Work::Each { due: records::due, remove: records::remove },
    },
    Rule {
        name: "audit events",
        periodic: false,
        before: |keep, now| records::cutoff(now, keep.retain_audit_years),
        work: Work::Trail,
    },
];

fn drafts_due(conn: &mut Conn, _: &Env, before: Timestamp, after: Uuid) -> Result<Page> {
    let ids = intake::stale::due(conn, before, after)?;
    Ok(Page { next: ids.last().copied(), ids })
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

    /// How many are past their time.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, env: &Env) -> Result<u64> {
        let Some(before) = self.before(env) else { return Ok(0) };
        match self.work {
            Work::Rows { table, condition, .. } => count(env, before, table, condition).await,
            Work::Trail => count(env, before, "audit_events", "at < $1").await,
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

    /// Deletes what is past its time, and says how many that were. What is broken off goes on the next time.
    ///
    /// # Errors
    /// The database's.
    pub async fn apply(&self, env: &Env) -> Result<u64> {
        let Some(before) = self.before(env) else { return Ok(0) };
        match self.work {
            Work::Rows { table, condition, order } => rows(env, before, table, condition, order).await,
            Work::Trail => trail(env, before).await,
            Work::Each { due, remove } => {
                let (mut count, mut after) = (0, Some(Uuid::nil()));
                while let Some(at) = after {
                    let shared = env.clone();
                    let page = env.db.read(move |conn| due(conn, &shared, before, at)).await?;
                    for id in page.ids {
                        let (shared, began) = (env.clone(), Instant::now());
                        if env.db.write(move |tx| remove(tx, &shared, before, id)).await? {
                            count += 1;
                        }
                        breathe(began).await;
                    }
                    after = page.next;
                }
                Ok(count)
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

async fn trail(env: &Env, before: Timestamp) -> Result<u64> {
    let mut deleted = 0;
    loop {
        let (shared, began) = (env.clone(), Instant::now());
        match env.db.write(move |tx| audit::purge::purge(tx, &shared, before)).await? {
            0 => return Ok(deleted),
            count => deleted += count as u64,
        }
        breathe(began).await;
    }
}

/// Deletes rows until none is left that is past its time.
async fn rows(env: &Env, before: Timestamp, table: &str, condition: &str, order: &str) -> Result<u64> {
    let any = format!("SELECT count(*) AS count FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT 1) AS due");
    // The condition stands twice: where a row has changed since it was looked for, it stays.
    let delete = format!(
        "DELETE FROM {table} WHERE {condition}
         AND id IN (SELECT id FROM {table} WHERE {condition} ORDER BY {order}, id LIMIT $2)"
    );
    let mut deleted = 0;
    loop {
        let any = any.clone();
        // A look first, so that the writer's turn is only taken where there is something to do.
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
            let query = diesel::sql_query(&delete).bind::<At, _>(before).bind::<BigInt, _>(AT_ONCE);
            Ok(per_backend!(tx, tx => query.execute(tx))?)
        });
        match count.await? {
            // Another instance was quicker.
            0 => return Ok(deleted),
            count => deleted += count as u64,
        }
        breathe(began).await;
    }
}

/// Leaves the database to others for as long as it was taken.
async fn breathe(began: Instant) {
    tokio::time::sleep(began.elapsed()).await;
}

/// Applies the rules of what is short-lived, and tells the log by number.
pub async fn tidy(env: &Env) {
    for rule in RULES.iter().filter(|rule| rule.periodic) {
        match rule.apply(env).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(what = rule.name, count, "deleted what was past its time"),
            Err(error) => tracing::warn!(what = rule.name, %error, "could not be deleted; tried again in an hour"),
        }
    }
}

/// Tidies at the start and then every hour, until told to stop.
pub fn start(env: &Env, mut stopping: watch::Receiver<bool>) {
    let env = env.clone();
    actix_web::rt::spawn(async move {
        loop {
            tokio::select! {
                () = tidy(&env) => {}
                _ = stopping.changed() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                _ = stopping.changed() => return,
            }
        }
    });
}
