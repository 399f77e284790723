//! Patients whose names differ by one typing mistake from what was searched, for where the exact search leaves room on its page.
//!
//! Every way to begin the mistaken word is looked up in the same index as the word itself, so that no further beginnings of names are stored.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::by_name;
use super::model::{Patient, Record};
use super::store::record_columns;
use crate::db::schema::patients;
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::http::paging::{Direction, Page};
use crate::ids::PatientId;
use crate::patients::consents::{ConsentType, settled};
use crate::patients::names;
use crate::patients::typing_mistakes::{Match, beginnings, match_names};

/// The list's name in cursors, of which it makes none.
const LIST: &str = "patients-near";
/// So many patients, the newest, of each way to begin a word are looked at.
const OF_EACH_BEGINNING: i64 = 20;

/// Keeps at most `room` patients in use who have all words but for one mistake: those with whole words first, then the newest.
pub(super) fn rank(candidates: Vec<Record>, words: &BTreeSet<String>, room: usize) -> Vec<Record> {
    let mut found: Vec<(Match, Record)> = Vec::new();
    for record in candidates {
        let patient = &record.patient;
        let is_known = found.iter().any(|(_, known)| known.patient.id == patient.id);
        if !is_known && patient.replaced_by.is_none() && patient.retired_at.is_none() {
            let kind = match_names(words, &names::words(patient.names()));
            found.extend(kind.map(|kind| (kind, record)));
        }
    }
    found.sort_by_key(|(kind, Record { patient, .. })| (*kind, Reverse((patient.created_at, patient.id.0))));
    found.truncate(room);
    found.into_iter().map(|(_, record)| record).collect()
}

/// Loads patients among whom are those who have all words but for one mistake. Of several words, those without the mistake narrow the
/// patients, of whom the newest 200 are looked at.
pub(super) fn candidates(conn: &mut Conn, words: &BTreeSet<String>, room: usize) -> Result<Vec<Record>> {
    if let (1, Some(word)) = (words.len(), words.first()) {
        return begin_otherwise(conn, word, room);
    }
    let mut found = Vec::new();
    for mistaken in words.iter().filter(|word| !beginnings(word).is_empty()) {
        let others = words.iter().filter(|word| *word != mistaken).cloned().collect();
        found.extend(by_name::find(conn, &others, &Page::largest(LIST, Direction::Descending))?);
    }
    Ok(found)
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Uid)]
    patient_id: PatientId,
}

/// Loads the newest patients who have a name with one of the beginnings that the word may have been meant for.
fn begin_otherwise(conn: &mut Conn, word: &str, room: usize) -> Result<Vec<Record>> {
    let beginnings = beginnings(word);
    if beginnings.is_empty() {
        return Ok(Vec::new());
    }
    // One range of the index for each beginning, which ends after a few rows. SQLite has no `LATERAL`: the range ends at the last of these rows.
    let sql = match conn {
        Conn::Sqlite(_) => {
            "SELECT DISTINCT near.created_at, near.patient_id FROM json_each($1) AS beginning CROSS JOIN patient_name_prefixes AS near
             WHERE near.prefix = beginning.value AND near.created_at >= COALESCE((
                 SELECT created_at FROM patient_name_prefixes AS last WHERE last.prefix = beginning.value
                 ORDER BY last.created_at DESC, last.patient_id DESC LIMIT 1 OFFSET $2 - 1
             ), 0)
             ORDER BY near.created_at DESC, near.patient_id DESC LIMIT $3"
        }
        Conn::Postgres(_) => {
            "SELECT DISTINCT near.created_at, near.patient_id
             FROM jsonb_array_elements_text($1::jsonb) AS beginning CROSS JOIN LATERAL (
                 SELECT created_at, patient_id FROM patient_name_prefixes WHERE prefix = beginning
                 ORDER BY created_at DESC, patient_id DESC LIMIT $2
             ) AS near
             ORDER BY near.created_at DESC, near.patient_id DESC LIMIT $3"
        }
    };
    let query = diesel::sql_query(sql)
        .bind::<Text, _>(serde_json::Value::from_iter(beginnings).to_string())
        .bind::<BigInt, _>(OF_EACH_BEGINNING)
        .bind::<BigInt, _>(i64::try_from(room).unwrap_or(OF_EACH_BEGINNING));
    let found: Vec<Found> = per_backend!(conn, conn => query.load(conn))?;
    let ids: Vec<PatientId> = found.into_iter().map(|found| found.patient_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    per_backend!(conn, conn => Ok(patients::table.filter(patients::id.eq_any(ids)).select(record_columns!()).load(conn)?))
}
