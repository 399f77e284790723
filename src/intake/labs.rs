//! Laboratory results that the staff enter between intakes.

use diesel::prelude::*;
use jiff::civil::Date;
use serde_json::Value;

use super::rls::answers::{Lab, LabSource};
use super::rls::{self, Context, FilledBy};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::lab_results;
use crate::env::Env;
use crate::error::Result;
use crate::http::paging::{Cursor, Limit};
use crate::ids::{LabResultId, PatientId, UserId};
use crate::sealed::{Place, Sealed};

/// A laboratory result's row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = lab_results, treat_none_as_default_value = false)]
struct Row {
    id: LabResultId,
    patient_id: PatientId,
    result: Sealed<Lab>,
    created_by: UserId,
    created_at: Timestamp,
}

/// A laboratory result.
#[derive(Debug, Clone)]
pub struct LabResult {
    /// Its id.
    pub id: LabResultId,
    /// Whose.
    pub patient_id: PatientId,
    /// What was measured.
    pub lab: Lab,
    /// When it was entered.
    pub created_at: Timestamp,
}

impl Row {
    fn open(self, env: &Env) -> Result<LabResult> {
        let lab = env.sealer.open(place(self.id), &self.result)?;
        Ok(LabResult { id: self.id, patient_id: self.patient_id, lab, created_at: self.created_at })
    }
}

fn place(id: LabResultId) -> Place {
    Place::new("lab_results", "result", id.0)
}

/// Reads a laboratory result that is entered by itself. Where it does not say who says so, a report does.
///
/// # Errors
/// Every broken rule.
pub fn read(lab: &Value, context: &Context) -> Result<Lab> {
    let mut lab = lab.clone();
    if let Value::Object(members) = &mut lab {
        members.entry("source").or_insert_with(|| LabSource::LabReport.as_str().into());
    }
    rls::parse_lab(&lab, "", context)
}

/// What is wrong with it whoever the patient is.
///
/// # Errors
/// Every broken rule.
pub fn check(lab: &Value) -> Result<()> {
    read(lab, &Context::new(Date::MIN, Date::MAX, FilledBy::Practitioner)).map(|_| ())
}

/// Keeps a laboratory result.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Conn, env: &Env, actor: &Actor, patient: PatientId, lab: &Lab) -> Result<LabResult> {
    let id: LabResultId = env.new_id();
    let row = Row {
        id,
        patient_id: patient,
        result: env.sealer.seal(place(id), lab)?,
        created_by: actor.user_id,
        created_at: env.now(),
    };
    diesel::insert_into(lab_results::table).values(&row).execute(tx)?;
    row.open(env)
}

/// The name under which cursors know the list.
pub const LIST: &str = "lab-results";

/// A page of a patient's laboratory results, the one that was entered last first.
///
/// # Errors
/// The database's.
pub fn list(
    tx: &mut Conn,
    env: &Env,
    patient: PatientId,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<(Vec<LabResult>, Option<String>)> {
    let mut query =
        lab_results::table.filter(lab_results::patient_id.eq(patient)).select(Row::as_select()).into_boxed();
    if let Some(Cursor { at, id }) = after {
        let id = LabResultId(id);
        query =
            query.filter(lab_results::created_at.lt(at).or(lab_results::created_at.eq(at).and(lab_results::id.lt(id))));
    }
    let order = (lab_results::created_at.desc(), lab_results::id.desc());
    let rows: Vec<Row> = query.order(order).limit(limit.query()).load(tx)?;
    let (rows, next) = limit.page(rows, LIST, |row| (row.created_at, row.id.0));
    Ok((rows.into_iter().map(|row| row.open(env)).collect::<Result<_>>()?, next))
}

/// All of a patient's laboratory results, the one that was entered first first.
///
/// # Errors
/// The database's.
pub fn all(tx: &mut Conn, env: &Env, patient: PatientId) -> Result<Vec<LabResult>> {
    let rows: Vec<Row> = lab_results::table
        .filter(lab_results::patient_id.eq(patient))
        .order((lab_results::created_at, lab_results::id))
        .select(Row::as_select())
        .load(tx)?;
    rows.into_iter().map(|row| row.open(env)).collect()
}
