//! Records that may be of the same person: the search for candidates, and the list for staff. [`compare`] has the rule.
//!
//! Records are never merged automatically, and a person who registers online is never told that a record exists.

mod compare;

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::compare::{Candidate, DuplicateGrade, DuplicateReason, Person, with_slips};
use super::model::Patient;
use super::store;
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::db::Conn;
use crate::db::schema::patients;
use crate::db::types::Date;
use crate::error::Result;
use crate::http::{PathId, response};
use crate::ids::PatientId;

/// The most records that one key may return: a placeholder such as the clinic's own number must not return thousands.
const CANDIDATES: i64 = 1000;
/// The most duplicates in a list.
const LISTED: usize = 20;

/// A record that may be of the same person.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PatientDuplicate, example = json!({
    "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "mrn": "LW-001002", "given_name": "Anne", "family_name": "Example",
    "date_of_birth": "1967-09-14", "phone": "+12125550100", "email": null, "grade": "probable",
    "reasons": ["similar_names", "same_birth_date", "same_phone"]
}))]
pub struct DuplicateView {
    /// The other record.
    id: PatientId,
    /// Its medical record number.
    mrn: String,
    /// The legal given name; null for a mononym.
    given_name: Option<String>,
    /// The legal family name, or the only name.
    family_name: String,
    /// The birth date.
    date_of_birth: Date,
    /// The phone number in E.164.
    phone: Option<String>,
    /// The e-mail address.
    email: Option<String>,
    /// How likely it is the same person.
    grade: DuplicateGrade,
    /// The reasons: how the names compare, how the birth dates compare, and which contacts are shared.
    reasons: Vec<DuplicateReason>,
}

/// The likely duplicates of a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "mrn": "LW-001002", "given_name": "Anne", "family_name": "Example",
    "date_of_birth": "1967-09-14", "phone": "+12125550100", "email": null, "grade": "probable",
    "reasons": ["similar_names", "same_birth_date", "same_phone"]
}], "next_cursor": null}))]
pub struct PatientDuplicatePage {
    /// At most 20 records, the most likely first, equally likely ones oldest first.
    pub items: Vec<DuplicateView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// Finds the records that may be of the same person, the most likely first, equally likely ones oldest first.
pub fn of(conn: &mut Conn, patient: &Patient) -> Result<Vec<DuplicateView>> {
    let person = Person::of(&patient.into());
    let compared = |record: Candidate| {
        let (grade, reasons) = compare::compare(&person, &Person::of(&record))?;
        let Candidate { id, mrn, given_name, family_name, date_of_birth, phone, email, .. } = record;
        Some(DuplicateView { id, mrn, given_name, family_name, date_of_birth, phone, email, grade, reasons })
    };
    let mut found: Vec<_> = candidates(conn, patient)?.into_values().filter_map(compared).collect();
    // Ids grow with time.
    found.sort_by_key(|duplicate| (duplicate.grade, duplicate.id));
    found.truncate(LISTED);
    Ok(found)
}

/// [`of`], noted for the audit event as shown to the actor.
pub(super) fn shown(tx: &mut Tx, patient: &Patient) -> Result<Vec<DuplicateView>> {
    let found = of(tx.conn, patient)?;
    tx.audit.note_shown(found.iter().map(|duplicate| duplicate.id));
    Ok(found)
}

/// Loads the records that share a key with this one. Each key has an index, so the cost does not grow with the table.
fn candidates(conn: &mut Conn, patient: &Patient) -> Result<BTreeMap<PatientId, Candidate>> {
    let in_use = || patients::table.filter(patients::replaced_by.is_null()).filter(patients::retired_at.is_null());
    let others = || in_use().filter(patients::id.ne(patient.id)).select(Candidate::as_select());
    let born = others().filter(patients::date_of_birth.eq_any(with_slips(patient.date_of_birth.0)));
    let mut found: Vec<Candidate> = born.order(patients::id).limit(CANDIDATES).load(conn)?;
    if let Some(phone) = &patient.phone_reversed {
        let same = others().filter(patients::phone_reversed.eq(phone));
        found.extend(same.order(patients::id).limit(CANDIDATES).load(conn)?);
    }
    if let Some(email) = &patient.email_key {
        let same = others().filter(patients::email_key.eq(email));
        found.extend(same.order(patients::id).limit(CANDIDATES).load(conn)?);
    }
    Ok(found.into_iter().map(|record| (record.id, record)).collect())
}

/// Lists the likely duplicates of a patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn list(context: &Context, id: PatientId) -> Result<PatientDuplicatePage> {
    context.require(Action::PatientSearch)?;
    context
        .read(move |tx| {
            let patient = store::visible(tx.conn, tx.env, tx.actor, id)?;
            Ok(PatientDuplicatePage { items: shown(tx, &patient)?, next_cursor: None })
        })
        .await
}

/// List likely duplicates of a patient
///
/// Staff only. Returns other records that may be of the same person by names, birth date and contacts, each with a grade and its reasons.
/// `certain` is the same name and birth date with a shared phone number or e-mail address. `probable` has a typing mistake or no shared
/// contact. `possible` is worth checking. People with different given names, such as twins, are not listed, unless the names are so
/// similar (Ana and Anna) that one may be a typing mistake: those are `probable`. Records are never merged automatically.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_duplicates",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The likely duplicates", body = PatientDuplicatePage)),
)]
#[get("/v1/patients/{id}/duplicates")]
pub(super) async fn list_patient_duplicates(context: Context, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}

#[cfg(test)]
mod tests;
