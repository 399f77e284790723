//! Retiring a record that was made by mistake, and undoing that. A retired record stays readable, and nothing is added to it.

use actix_web::{HttpResponse, get, post};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Patient;
use super::store;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::schema::{patient_retirements, patients};
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Check, Error, ProblemCode, Result};
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{PatientId, PatientRetirementId, UserId};
use crate::sealed::{Place, Sealed};

/// What keeps a record in use: its name in the problem, and the query of the patient `$1`.
const USES: &[(&str, &str)] = &[
    (
        "appointments",
        "SELECT 1 FROM appointments WHERE patient_id = $1 AND status IN ('booked', 'checked-in', 'fulfilled')",
    ),
    ("intakes", "SELECT 1 FROM intakes WHERE patient_id = $1 AND status IN ('completed', 'amended')"),
    // Nobody could acknowledge it any more.
    ("intake_flags", "SELECT 1 FROM intake_flags WHERE patient_id = $1 AND acknowledged_at IS NULL"),
    ("lab_results", "SELECT 1 FROM lab_results WHERE patient_id = $1 AND status <> 'entered-in-error'"),
    ("follow_ups", "SELECT 1 FROM follow_ups WHERE patient_id = $1 AND status IN ('scheduled', 'asked')"),
    ("access", "SELECT 1 FROM patient_access WHERE patient_id = $1 AND stopped_at IS NULL"),
    ("waitlist_entries", "SELECT 1 FROM waitlist_entries WHERE patient_id = $1 AND status IN ('waiting', 'offered')"),
];

/// A retirement as it is stored.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = patient_retirements)]
struct Retirement {
    id: PatientRetirementId,
    patient_id: PatientId,
    reason: Sealed<String>,
    retired_by: UserId,
    retired_at: Timestamp,
    undone_by: Option<UserId>,
    undone_at: Option<Timestamp>,
}

/// The retirement of a record that was made by mistake.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PatientRetirement, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c61", "patient_id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "reason": "Typed by mistake",
    "retired_by": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "retired_at": "2026-03-02T14:00:00Z", "undone_by": null, "undone_at": null
}))]
pub struct PatientRetirementView {
    /// The retirement.
    id: PatientRetirementId,
    /// The patient's record.
    patient_id: PatientId,
    /// The reason.
    reason: String,
    /// The account that retired it.
    retired_by: UserId,
    /// The time at which it was retired.
    retired_at: Timestamp,
    /// The account that undid it.
    undone_by: Option<UserId>,
    /// The time at which it was undone.
    undone_at: Option<Timestamp>,
}

/// The retirements of a record.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct PatientRetirementPage {
    /// The retirements, newest first.
    items: Vec<PatientRetirementView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// Why a record is retired.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Typed by mistake"}))]
pub struct NewPatientRetirement {
    /// The reason, at most 500 characters. Stored encrypted.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

impl Retirement {
    fn place(id: PatientRetirementId) -> Place {
        Place::new("patient_retirements", "reason", id.0)
    }

    /// The retirement as callers see it. It changes once, when it is undone.
    fn versioned(self, env: &Env) -> Result<Versioned<PatientRetirementView>> {
        let version = if self.undone_at.is_some() { 2 } else { 1 };
        let object = PatientRetirementView {
            reason: env.sealer.open(Self::place(self.id), &self.reason)?,
            id: self.id,
            patient_id: self.patient_id,
            retired_by: self.retired_by,
            retired_at: self.retired_at,
            undone_by: self.undone_by,
            undone_at: self.undone_at,
        };
        Ok(Versioned { version, object })
    }

    fn find(tx: &mut Tx, id: PatientRetirementId) -> Result<Self> {
        let found: Self = patient_retirements::table.find(id).select(Self::as_select()).first(tx.conn)?;
        tx.audit.note_patient(found.patient_id);
        Ok(found)
    }
}

/// Locks a record against everything that refers to it.
fn lock(conn: &mut Conn, id: PatientId) -> Result<Patient> {
    let record = patients::table.find(id);
    Ok(match conn {
        Conn::Sqlite(conn) => record.select(Patient::as_select()).first(conn)?,
        Conn::Postgres(conn) => record.select(Patient::as_select()).for_update().first(conn)?,
    })
}

#[derive(QueryableByName)]
struct Used {
    #[diesel(sql_type = Bool)]
    used: bool,
}

/// Requires that nothing keeps the record in use.
fn require_unused(conn: &mut Conn, id: PatientId) -> Result<()> {
    let mut uses = Vec::new();
    for (name, rows) in USES {
        let query = diesel::sql_query(format!("SELECT EXISTS ({rows}) AS used")).bind::<Uid, _>(id);
        let found: Used = per_backend!(conn, conn => query.get_result(conn))?;
        if found.used {
            uses.push(*name);
        }
    }
    if uses.is_empty() {
        return Ok(());
    }
    let members = std::iter::once(("used_by".to_owned(), uses.into())).collect();
    let detail = "The record is in use. End what `used_by` lists, or merge the record into the right one.";
    Err(Error::conflict_with(ProblemCode::PatientInUse, detail, members))
}

/// Retires a record.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; a broken rule at `/reason`; the conflicts `patient_in_use`, `patient_merged`, `patient_retired`.
pub async fn retire(
    context: &Context,
    once: Once,
    id: PatientId,
    if_match: IfMatch,
    new: NewPatientRetirement,
) -> Result<Versioned<PatientRetirementView>> {
    context.require(Action::PatientMerge)?;
    let if_match = if_match.required()?;
    let mut check = Check::new();
    let reason = check.field("/reason", text::lines(&new.reason, text::MAX_REASON));
    check.done()?;
    let reason = reason.unwrap_or_default();
    context
        .change_once(once, move |tx| {
            tx.audit.note_patient(id);
            let patient = lock(tx.conn, id)?;
            patient.require_active()?;
            if_match.check(patient.version)?;
            require_unused(tx.conn, id)?;
            let retirement = tx.env.new_id();
            let row = Retirement {
                id: retirement,
                patient_id: id,
                reason: tx.env.sealer.seal(Retirement::place(retirement), &reason)?,
                retired_by: tx.actor.user_id,
                retired_at: tx.now,
                undone_by: None,
                undone_at: None,
            };
            diesel::insert_into(patient_retirements::table).values(&row).execute(tx.conn)?;
            store::set_retired(tx.conn, &patient, Some(tx.now), tx.now)?;
            tx.audit.note_object(retirement.0);
            row.versioned(tx.env)
        })
        .await
}

/// Undoes a retirement.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `already_undone`.
pub async fn undo(context: &Context, once: Once, id: PatientRetirementId) -> Result<Versioned<PatientRetirementView>> {
    context.require(Action::PatientMerge)?;
    context
        .change_once(once, move |tx| {
            let patient = Retirement::find(tx, id)?.patient_id;
            let patient = lock(tx.conn, patient)?;
            // Again, under the lock.
            let row = Retirement::find(tx, id)?;
            if row.undone_at.is_some() {
                return Err(Error::conflict(ProblemCode::AlreadyUndone, "The retirement was undone already."));
            }
            let undone =
                (patient_retirements::undone_at.eq(tx.now), patient_retirements::undone_by.eq(tx.actor.user_id));
            diesel::update(patient_retirements::table.find(id)).set(undone).execute(tx.conn)?;
            store::set_retired(tx.conn, &patient, None, tx.now)?;
            Retirement { undone_at: Some(tx.now), undone_by: Some(tx.actor.user_id), ..row }.versioned(tx.env)
        })
        .await
}

/// Reads a retirement.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: PatientRetirementId) -> Result<Versioned<PatientRetirementView>> {
    context.require(Action::PatientMerge)?;
    context.read(move |tx| Retirement::find(tx, id)?.versioned(tx.env)).await
}

/// Lists the retirements of a record.
///
/// # Errors
/// [`Error::NotFound`] if there is no such patient.
pub async fn list(context: &Context, id: PatientId) -> Result<PatientRetirementPage> {
    context.require(Action::PatientMerge)?;
    context
        .read(move |tx| {
            store::visible(tx.conn, tx.env, tx.actor, id)?;
            let rows = patient_retirements::table.filter(patient_retirements::patient_id.eq(id));
            let rows = rows.order((patient_retirements::retired_at.desc(), patient_retirements::id.desc()));
            let rows: Vec<Retirement> = rows.select(Retirement::as_select()).load(tx.conn)?;
            let items = rows.into_iter().map(|row| Ok(row.versioned(tx.env)?.object)).collect::<Result<_>>()?;
            Ok(PatientRetirementPage { items, next_cursor: None })
        })
        .await
}

/// Retire a patient's record
///
/// For the front desk and administrators: for a record that was made by mistake and that nothing uses. It stays readable, is left out of lists
/// of patients, and nothing can be added to it. `POST /v1/patient-retirements/{id}/undo` undoes it. A second record of one patient is
/// merged instead (`POST /v1/patients/{id}/merges`).
#[utoipa::path(
    tag = "patients",
    operation_id = "create_patient_retirement",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("If-Match" = String, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewPatientRetirement,
    responses(
        (status = 201, description = "The retirement", body = PatientRetirementView),
        (status = 409, description = "`patient_in_use`: `used_by` lists what keeps it in use, such as `appointments`, or the `access` of an account. `patient_merged`, \
            `patient_retired`: the record is not in use already"),
    ),
)]
#[post("/v1/patients/{id}/retirements")]
pub(super) async fn create_patient_retirement(
    context: Context,
    PathId(id): PathId<PatientId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<NewPatientRetirement>,
) -> Result<HttpResponse> {
    let retired = retire(&context, key.once(&body.raw), id, if_match, body.value).await?;
    Ok(response::created(format!("/v1/patient-retirements/{}", retired.object.id), &retired))
}

/// Undo a retirement
///
/// For the front desk and administrators. The record is in use again.
#[utoipa::path(
    tag = "patients",
    operation_id = "undo_patient_retirement",
    security(("bearer" = [])),
    params(
        ("id" = PatientRetirementId, Path, description = "The retirement"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The retirement, undone", body = PatientRetirementView),
        (status = 409, description = "`already_undone`"),
    ),
)]
#[post("/v1/patient-retirements/{id}/undo")]
pub(super) async fn undo_patient_retirement(
    context: Context,
    PathId(id): PathId<PatientRetirementId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&undo(&context, key.once_without_body(), id).await?))
}

/// List the retirements of a patient's record
///
/// For the front desk and administrators. Those that were undone are listed as well.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_retirements",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The retirements", body = PatientRetirementPage)),
)]
#[get("/v1/patients/{id}/retirements")]
pub(super) async fn list_patient_retirements(context: Context, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}

/// Read a retirement
///
/// For the front desk and administrators.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient_retirement",
    security(("bearer" = [])),
    params(("id" = PatientRetirementId, Path, description = "The retirement")),
    responses((status = 200, description = "The retirement", body = PatientRetirementView)),
)]
#[get("/v1/patient-retirements/{id}")]
pub(super) async fn get_patient_retirement(
    context: Context,
    PathId(id): PathId<PatientRetirementId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
