//! Finds patients by the beginnings of their names. The table `patient_name_prefixes` has every beginning in the order of a search, so a page
//! is one range of its key.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use diesel::prelude::*;

use super::model::{Patient, Record};
use super::store::record_columns;
use crate::db::schema::{patient_name_prefixes, patients};
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::http::paging::{Direction, Page, in_order};
use crate::ids::PatientId;
use crate::patients::consents::{ConsentType, settled};

/// A word that at most this number of patients have narrows a search.
const FEW: i64 = 200;

// A second name of the table, for a sub-query on it inside of a query on it.
diesel::alias!(
    const OTHERS: Alias<Others> = patient_name_prefixes as others;
);

/// The ids of the patients who have a name with a word that begins with this one, as a sub-query.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn patients_named(word: String) -> _ {
    patient_name_prefixes::table
        .filter(patient_name_prefixes::prefix.eq(word))
        .select(patient_name_prefixes::patient_id)
}

/// The patient of the outer query if a word of the patient's names begins with this one, as a sub-query. For queries that other filters narrow.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn same_patient_named(word: String) -> _ {
    patient_name_prefixes::table
        .filter(patient_name_prefixes::prefix.eq(word))
        .filter(patient_name_prefixes::created_at.eq(patients::created_at))
        .filter(patient_name_prefixes::patient_id.eq(patients::id))
        .select(patient_name_prefixes::patient_id)
}

/// Loads a page of the patients who have a name for each word, sorted by creation.
pub(super) fn find(conn: &mut Conn, words: &BTreeSet<String>, page: &Page) -> Result<Vec<Record>> {
    let mut words = rarest_first(conn, words)?.into_iter();
    let first = words.next().unwrap_or_default();
    per_backend!(conn, conn => {
        let mut named = patient_name_prefixes::table
            .filter(patient_name_prefixes::prefix.eq(first))
            .select(patient_name_prefixes::patient_id)
            .into_boxed();
        for word in words {
            // A single value, because PostgreSQL could make a join of `EXISTS`, which reads all patients of the second word.
            let same_patient = OTHERS
                .filter(OTHERS.field(patient_name_prefixes::prefix).eq(word))
                .filter(OTHERS.field(patient_name_prefixes::created_at).eq(patient_name_prefixes::created_at))
                .filter(OTHERS.field(patient_name_prefixes::patient_id).eq(patient_name_prefixes::patient_id))
                .select(OTHERS.field(patient_name_prefixes::patient_id));
            named = named.filter(patient_name_prefixes::patient_id.nullable().eq(same_patient.single_value()));
        }
        let (created_at, patient_id) = (patient_name_prefixes::created_at, patient_name_prefixes::patient_id);
        let page_of_ids = in_order!(named, page, created_at, patient_id, PatientId);
        let records = patients::table.filter(patients::id.eq_any(page_of_ids)).select(record_columns!()).into_boxed();
        let records = match page.direction {
            Direction::Ascending => records.order((patients::created_at, patients::id)),
            Direction::Descending => records.order((patients::created_at.desc(), patients::id.desc())),
        };
        Ok(records.load(conn)?)
    })
}

/// Orders the words so that the first one is of few patients, if one is. Each patient of the first word may be looked at.
fn rarest_first(conn: &mut Conn, words: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut words: Vec<String> = words.iter().cloned().collect();
    words.sort_by_key(|word| Reverse(word.chars().count()));
    if words.len() > 1 {
        for index in 0..words.len() {
            let word = words.get(index).map(String::as_str).unwrap_or_default();
            let one_more: Option<PatientId> = per_backend!(conn, conn => patient_name_prefixes::table
                .filter(patient_name_prefixes::prefix.eq(word))
                // In the order of the key, or PostgreSQL may read all rows of the word before it skips some.
                .order((patient_name_prefixes::created_at, patient_name_prefixes::patient_id))
                .select(patient_name_prefixes::patient_id)
                .offset(FEW)
                .limit(1)
                .first(conn)
                .optional())?;
            if one_more.is_none() {
                words.swap(0, index);
                break;
            }
        }
    }
    Ok(words)
}
