//! Sealing everything anew under the first key, beside a running server that does so already with what it writes.
//!
//! There is no state to resume from: a value says itself under which key it is, and a rotation that was broken off
//! goes past what is done. A value is replaced only where it is still the one that was read, so that nothing that somebody
//! writes meanwhile is lost. Values are replaced in small batches, with pauses in which the server has the database to itself.

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

/// How many values are read and replaced at once.
const AT_ONCE: i64 = 200;
/// How many are only looked at, at once.
const LOOK: i64 = 5_000;
/// As much of a value as tells its key, and it from all others: the nonce stands within.
const HEAD: &str = "64";
/// How often everything is gone through for what was locked or written under an older key meanwhile.
const MOST_PASSES: u32 = 5;
/// How often a busy database is asked again, a second apart.
const TRIES: u32 = 30;
/// How many faults are told one by one.
const TOLD: usize = 20;

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

/// How a rotation ended.
#[derive(Debug, Default)]
pub struct Report {
    /// How many values it has sealed anew.
    pub resealed: u64,
    /// How many could not be opened; they are as they were.
    pub unreadable: u64,
    /// What is wrong with the first of those: places and reasons, no values.
    pub faults: Vec<String>,
}

/// How many values are sealed under each key, in which columns.
#[derive(Debug, Default)]
pub struct Usage(pub BTreeMap<String, BTreeMap<Column, u64>>);

impl Usage {
    /// How many values are under this key.
    pub fn of(&self, id: &str) -> u64 {
        self.0.get(id).map_or(0, |columns| columns.values().sum())
    }
}

/// Seals every value that is under another key anew under the first. `tell` hears of each column how many were done so far.
///
/// # Errors
/// The database's. What cannot be opened is no error; the report tells it.
pub async fn rotate(db: &Db, sealer: &Sealer, mut tell: impl FnMut(&Column, u64)) -> Result<Report> {
    let mut report = Report::default();
    for pass in 1..=MOST_PASSES {
        (report.unreadable, report.faults) = (0, Vec::new());
        let mut left = 0;
        for column in SEALED {
            left += rotate_column(db, sealer, column, &mut report, &mut tell).await?;
        }
        if left == 0 {
            break;
        }
        if pass < MOST_PASSES {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    Ok(report)
}

/// One walk through a column; says how many values were passed over because somebody was at them.
async fn rotate_column(
    db: &Db,
    sealer: &Sealer,
    column: &'static Column,
    report: &mut Report,
    tell: &mut impl FnMut(&Column, u64),
) -> Result<u64> {
    let (mut done, mut left) = (0, 0);
    let mut after = None;
    loop {
        let page = read(db, column, column.column.to_owned(), after.take(), AT_ONCE).await?;
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
                    if report.faults.len() < TOLD {
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
        let replaced = patiently(|| {
            let changes = Arc::clone(&changes);
            db.write(move |tx| replace(tx, column, &changes))
        })
        .await?;
        done += replaced;
        left += count - replaced;
        report.resealed += replaced;
        tell(column, done);
        // As long as it took, the server's writers have the database to themselves.
        tokio::time::sleep(began.elapsed()).await;
    }
    Ok(left)
}

/// A page of a column's values, or of what `shown` makes of them, in one order for good.
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
    patiently(|| {
        let (sql, value) = (sql.clone(), value.clone());
        db.read(move |conn| {
            let query = diesel::sql_query(sql).bind::<Uid, _>(id).bind::<Binary, _>(value).bind::<BigInt, _>(count);
            Ok(per_backend!(conn, conn => query.load(conn))?)
        })
    })
    .await
}

/// Replaces those values that are still the ones that were read, and says how many.
///
/// On PostgreSQL a row that somebody has locked is passed over: who never waits is part of no deadlock.
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

/// Counts what is sealed under which key.
///
/// # Errors
/// The database's.
pub async fn usage(db: &Db) -> Result<Usage> {
    let mut usage = Usage::default();
    for column in SEALED {
        let mut after = None;
        loop {
            let head = format!("substr({}, 1, {HEAD})", column.column);
            let page = read(db, column, head, after.take(), LOOK).await?;
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

/// Asks again where the database is busy with the server's own work.
async fn patiently<T, F: Future<Output = Result<T>>>(mut work: impl FnMut() -> F) -> Result<T> {
    for _ in 1..TRIES {
        match work().await {
            Err(Error::Unavailable { .. }) => tokio::time::sleep(Duration::from_secs(1)).await,
            done => return done,
        }
    }
    work().await
}
