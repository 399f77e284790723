//! The versions that amendments and further reviews of an intake replaced.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::model::{Answers, IntakeStatus};
use super::store::{self, Intake};
use super::stored_review;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::Conn;
use crate::db::schema::{intake_versions, intakes};
use crate::env::Env;
use crate::error::Result;
use crate::http::{PathId, response};
use crate::ids::{IntakeId, IntakeVersionId, PatientId, UserId};
use crate::patients::care;
use crate::sealed::{Place, Sealed};

/// A row of a replaced version.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = intake_versions, treat_none_as_default_value = false)]
pub(super) struct IntakeVersion {
    id: IntakeVersionId,
    pub(super) intake_id: IntakeId,
    /// The version of the intake's row while these were its answers.
    version: i32,
    form_version: String,
    status: IntakeStatus,
    answers: Sealed<Answers>,
    computed: Option<Sealed<Value>>,
    review: Option<Sealed<Value>>,
    /// Why it was replaced.
    reason: Sealed<String>,
    authored_at: Timestamp,
    authored_by: UserId,
    reviewed_at: Option<Timestamp>,
    reviewed_by: Option<UserId>,
    replaced_at: Timestamp,
    replaced_by: UserId,
}

fn place(column: &'static str, id: IntakeVersionId) -> Place {
    Place::new("intake_versions", column, id.0)
}

/// Saves the current version of an intake before it is replaced.
pub(super) fn keep(tx: &mut Tx, intake: &Intake, reason: &str) -> Result<()> {
    let (env, id): (_, IntakeVersionId) = (tx.env, tx.env.new_id());
    // Encryption binds a value to its row, so the values are encrypted again for the new row.
    let seal_again = |column: &'static str, value: Option<Value>| {
        value.map(|value| env.sealer.seal(place(column, id), &value)).transpose()
    };
    let row = IntakeVersion {
        id,
        intake_id: intake.id,
        version: intake.version,
        form_version: intake.form_version.clone(),
        status: intake.status,
        answers: env.sealer.seal(place("answers", id), &intake.open_answers(env)?)?,
        computed: seal_again("computed", intake.open_computed(env)?)?,
        review: seal_again("review", intake.open_review(env)?)?,
        reason: env.sealer.seal(place("reason", id), &reason.to_owned())?,
        authored_at: intake.authored_at,
        authored_by: intake.updated_by,
        reviewed_at: intake.reviewed_at,
        reviewed_by: intake.reviewed_by,
        replaced_at: tx.now,
        replaced_by: tx.actor.user_id,
    };
    diesel::insert_into(intake_versions::table).values(&row).execute(tx.conn)?;
    Ok(())
}

/// Loads the replaced versions of all intakes of a patient, by intake, oldest first.
pub(super) fn of_patient(conn: &mut Conn, patient: PatientId) -> Result<Vec<IntakeVersion>> {
    let own = intakes::table.filter(intakes::patient_id.eq(patient)).select(intakes::id);
    Ok(intake_versions::table
        .filter(intake_versions::intake_id.eq_any(own))
        .order((intake_versions::intake_id, intake_versions::version))
        .select(IntakeVersion::as_select())
        .load(conn)?)
}

/// A version of an intake that an amendment or a further review replaced.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeVersion, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c57", "version": 2, "form_version": "1.3.0", "status": "completed",
    "answers": {"symptoms": {"urge_to_move_legs": "yes"}}, "computed": null, "review": null, "reason": "The year was wrong.",
    "authored_at": "2026-03-02T14:00:00Z", "authored_by": "0199d0c2-1f00-7aaa-8000-000000000003", "reviewed_at": null,
    "reviewed_by": null, "replaced_at": "2026-03-03T14:00:00Z", "replaced_by": "0199d0c2-1f00-7aaa-8000-000000000003"
}))]
pub struct IntakeVersionView {
    /// The replaced version.
    pub id: IntakeVersionId,
    /// The version of the intake while these were its answers.
    #[schema(minimum = 1)]
    pub version: i32,
    /// The version of the form.
    pub form_version: String,
    /// The status of the intake.
    pub status: IntakeStatus,
    /// The answers.
    #[schema(value_type = rls::Answers)]
    pub answers: Value,
    /// What was computed from the answers at the time.
    #[schema(value_type = Option<Object>)]
    pub computed: Option<Value>,
    /// The review of the answers.
    pub review: Option<rls::Review>,
    /// Why the version was replaced.
    pub reason: String,
    /// When the answers were written.
    pub authored_at: Timestamp,
    /// The account that wrote the answers.
    pub authored_by: UserId,
    /// When the answers were reviewed.
    pub reviewed_at: Option<Timestamp>,
    /// The account that reviewed the answers.
    pub reviewed_by: Option<UserId>,
    /// When the version was replaced.
    pub replaced_at: Timestamp,
    /// The account that replaced the version.
    pub replaced_by: UserId,
}

impl IntakeVersionView {
    /// Decrypts a row.
    pub(super) fn new(env: &Env, row: &IntakeVersion) -> Result<Self> {
        let open = |column: &'static str, sealed: &Option<Sealed<Value>>| {
            sealed.as_ref().map(|sealed| env.sealer.open(place(column, row.id), sealed)).transpose()
        };
        Ok(Self {
            id: row.id,
            version: row.version,
            form_version: row.form_version.clone(),
            status: row.status,
            answers: Value::Object(env.sealer.open(place("answers", row.id), &row.answers)?),
            computed: open("computed", &row.computed)?,
            review: open("review", &row.review)?.map(stored_review::parse_stored).transpose()?,
            reason: env.sealer.open(place("reason", row.id), &row.reason)?,
            authored_at: row.authored_at,
            authored_by: row.authored_by,
            reviewed_at: row.reviewed_at,
            reviewed_by: row.reviewed_by,
            replaced_at: row.replaced_at,
            replaced_by: row.replaced_by,
        })
    }
}

/// The replaced versions of an intake.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct IntakeVersionPage {
    /// The replaced versions, oldest first. The current version is the intake itself.
    pub items: Vec<IntakeVersionView>,
    /// Always null: the list has one page.
    pub next_cursor: Option<String>,
}

/// Lists the replaced versions of an intake, oldest first.
///
/// # Errors
/// Those of [`store::find`].
pub async fn list(context: &Context, id: IntakeId) -> Result<IntakeVersionPage> {
    context.require(Action::IntakeReview)?;
    care::read_clinical(context, move |tx| {
        store::find(tx, id)?;
        let rows: Vec<IntakeVersion> = intake_versions::table
            .filter(intake_versions::intake_id.eq(id))
            .order(intake_versions::version)
            .select(IntakeVersion::as_select())
            .load(tx.conn)?;
        let items = rows.iter().map(|row| IntakeVersionView::new(tx.env, row)).collect::<Result<_>>()?;
        Ok(IntakeVersionPage { items, next_cursor: None })
    })
    .await
}

/// List the replaced versions of an intake
///
/// Practitioners only. Amendments and further reviews replace a version. Each version has its answers, what was computed from them at
/// the time, and its review.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intake_versions",
    security(("bearer" = [])),
    params(("id" = IntakeId, Path, description = "The intake")),
    responses((status = 200, description = "The replaced versions", body = IntakeVersionPage)),
)]
#[get("/v1/intakes/{id}/versions")]
pub(super) async fn list_intake_versions(context: Context, PathId(id): PathId<IntakeId>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}
