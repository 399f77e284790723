//! Key rotation: encrypts all values again with the first key, beside a running server that already uses it for new
//! values.
//!
//! There is no state to resume from, because each value names its key. An interrupted rotation skips what is done. A
//! value is replaced only if it is still the one that was read, so that no concurrent change is lost. Values are
//! replaced in small batches, with pauses for the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};

use super::columns::{Column, SEALED};
use super::{Place, Sealer, key_id};
use crate::db::types::Uid;
use crate::db::{Conn, Db, per_backend};
use crate::error::{Error, Result};

/// How many values are read and replaced together.
const BATCH: i64 = 200;
/// How many values are counted together.
const COUNT_PAGE: i64 = 5_000;
/// How much of a value is read to identify its key and the value itself. It includes the nonce.
const PREFIX_BYTES: &str = "64";
/// How often all values are visited, for those that were locked, or were encrypted with an older key meanwhile.
const MAX_PASSES: u32 = 5;
/// How often a busy database is tried again, with a second between.
const MAX_ATTEMPTS: u32 = 30;
/// How many faults are listed.
const MAX_LISTED: usize = 20;

#[derive(Debug, Clone, Copy, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Uid)]
struct RowId(uuid::Uuid);

crate::db::types::uid_columns!(RowId);

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Uid)]
    id: RowId,
    #[diesel(sql_type = Binary)]
    value: Vec<u8>,
}

/// The result of a rotation.
#[derive(Debug, Default)]
pub struct Report {
    /// How many values were encrypted again.
    pub resealed: u64,
    /// How many values could not be decrypted. They were not changed.
    pub unreadable: u64,
    /// The first of these faults: places and reasons, without values.
    pub faults: Vec<String>,
}

/// How many values are encrypted with each key, by column.
#[derive(Debug, Default)]
pub struct Usage(pub BTreeMap<String, BTreeMap<Column, u64>>);

impl Usage {
    /// Returns how many values are encrypted with a key.
    pub fn of(&self, id: &str) -> u64 {
        self.0.get(id).map_or(0, |columns| columns.values().sum())
    }
}

/// Encrypts every value of another key again with the first key. Calls `report_progress` with each column and the
/// number of its values so far. A value that cannot be decrypted is no error; it is in the report.
pub async fn rotate(db: &Db, sealer: &Sealer, mut report_progress: impl FnMut(&Column, u64)) -> Result<Report> {
    let mut report = Report::default();
    for pass in 1..=MAX_PASSES {
        (report.unreadable, report.faults) = (0, Vec::new());
        let mut left = 0;
        for column in SEALED {
            left += rotate_column(db, sealer, column, &mut report, &mut report_progress).await?;
        }
        if left == 0 {
            break;
        }
        if pass < MAX_PASSES {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    Ok(report)
}

/// Visits all values of a column, and returns how many were skipped because they were locked or changed.
async fn rotate_column(
    db: &Db,
    sealer: &Sealer,
    column: &'static Column,
    report: &mut Report,
    report_progress: &mut impl FnMut(&Column, u64),
) -> Result<u64> {
    let (mut done, mut left) = (0, 0);
    let mut after = None;
    loop {
        let page = read(db, column, column.column.to_owned(), after.take(), BATCH).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.id, last.value.clone()));
        let mut changes = Vec::new();
        for Value { id, value } in page {
            let place = Place { table: column.table, column: column.column, row: id.0 };
            match sealer.reseal(place, &value) {
                Ok(None) => {}
                Ok(Some(new)) => changes.push((id, value, new)),
                Err(fault) => {
                    report.unreadable += 1;
                    if report.faults.len() < MAX_LISTED {
                        report.faults.push(fault.to_string());
                    }
                }
            }
        }
        if changes.is_empty() {
            continue;
        }
        let began = Instant::now();
        let (count, changes) = (changes.len() as u64, Arc::new(changes));
        let replaced = retry_while_busy(|| {
            let changes = Arc::clone(&changes);
            db.write(move |tx| replace(tx, column, &changes))
        })
        .await?;
        done += replaced;
        left += count - replaced;
        report.resealed += replaced;
        report_progress(column, done);
        // Leaves the database to the server for as long as the batch took.
        tokio::time::sleep(began.elapsed()).await;
    }
    Ok(left)
}

/// Reads a page of a column's values, or of the expression `shown` of them, in a stable order.
async fn read(
    db: &Db,
    column: &'static Column,
    shown: String,
    after: Option<(RowId, Vec<u8>)>,
    count: i64,
) -> Result<Vec<Value>> {
    let Column { table, column, row } = column;
    let sql = format!(
        "SELECT {row} AS id, {shown} AS value FROM {table}
         WHERE {row} >= $1 AND ({row} > $1 OR {shown} > $2) AND {column} IS NOT NULL ORDER BY {row}, {shown} LIMIT $3"
    );
    let (id, value) = after.unwrap_or((RowId(uuid::Uuid::nil()), Vec::new()));
    retry_while_busy(|| {
        let (sql, value) = (sql.clone(), value.clone());
        db.read(move |conn| {
            let query = diesel::sql_query(sql).bind::<Uid, _>(id).bind::<Binary, _>(value).bind::<BigInt, _>(count);
            Ok(per_backend!(conn, conn => query.load(conn))?)
        })
    })
    .await
}

/// Replaces the values that are still the ones that were read, and returns how many.
///
/// On PostgreSQL it skips locked rows. It never waits, so it cannot be part of a deadlock.
fn replace(tx: &mut Conn, column: &Column, changes: &[(RowId, Vec<u8>, Vec<u8>)]) -> Result<u64> {
    let Column { table, column, row } = column;
    let condition = match tx {
        Conn::Sqlite(_) => format!("{row} = $2 AND {column} = $3"),
        Conn::Postgres(_) => format!(
            "ctid = (SELECT ctid FROM {table} WHERE {row} = $2 AND {column} = $3 FOR NO KEY UPDATE SKIP LOCKED)"
        ),
    };
    let sql = format!("UPDATE {table} SET {column} = $1 WHERE {condition}");
    let mut replaced = 0;
    for (id, old, new) in changes {
        let query = diesel::sql_query(&sql).bind::<Binary, _>(new).bind::<Uid, _>(*id).bind::<Binary, _>(old);
        replaced += per_backend!(tx, tx => query.execute(tx))? as u64;
    }
    Ok(replaced)
}

/// Counts the values by their keys.
pub async fn usage(db: &Db) -> Result<Usage> {
    let mut usage = Usage::default();
    for column in SEALED {
        let mut after = None;
        loop {
            let head = format!("substr({}, 1, {PREFIX_BYTES})", column.column);
            let page = read(db, column, head, after.take(), COUNT_PAGE).await?;
            for Value { value, .. } in &page {
                let id = key_id(value).unwrap_or("unknown").to_owned();
                *usage.0.entry(id).or_default().entry(*column).or_default() += 1;
            }
            let Some(last) = page.into_iter().last() else { break };
            after = Some((last.id, last.value));
        }
    }
    Ok(usage)
}

/// Tries again while the database is busy with the server's work.
async fn retry_while_busy<T, F: Future<Output = Result<T>>>(mut work: impl FnMut() -> F) -> Result<T> {
    for _ in 1..MAX_ATTEMPTS {
        match work().await {
            Err(Error::Unavailable { .. }) => tokio::time::sleep(Duration::from_secs(1)).await,
            done => return done,
        }
    }
    work().await
}
