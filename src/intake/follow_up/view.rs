//! Reading a follow-up.

use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store::{self, FollowUp};
use super::{FollowUpReason, FollowUpStatus};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::types::Date;
use crate::error::Result;
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{AppointmentId, FollowUpId, IntakeId, PatientId};
use crate::patients::store as records;

/// A follow-up: when a patient is asked how they are after a visit or a change of treatment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = FollowUp, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c60", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "status": "scheduled",
    "reason": "visit", "due_on": "2026-03-30", "appointment_id": "0199d0c2-1f00-7aaa-8000-000000000004", "asked_at": null,
    "answer_by": null, "intake_id": null, "created_at": "2026-03-02T15:00:00Z", "updated_at": "2026-03-02T15:00:00Z"
}))]
pub struct FollowUpView {
    /// The follow-up.
    pub id: FollowUpId,
    /// The patient.
    pub patient_id: PatientId,
    /// The status.
    pub status: FollowUpStatus,
    /// Why it is scheduled.
    pub reason: FollowUpReason,
    /// The day on which the patient is asked.
    pub due_on: Date,
    /// The visit after which it was scheduled. Null for other reasons.
    pub appointment_id: Option<AppointmentId>,
    /// When the patient was asked.
    pub asked_at: Option<Timestamp>,
    /// Until when it can be answered. Null before the patient is asked.
    pub answer_by: Option<Timestamp>,
    /// The intake with the answers.
    pub intake_id: Option<IntakeId>,
    /// When it was scheduled.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<FollowUp> for FollowUpView {
    fn from(row: FollowUp) -> Self {
        Self {
            id: row.id,
            patient_id: row.patient_id,
            status: row.status,
            reason: row.reason,
            due_on: row.due_on,
            appointment_id: row.appointment_id,
            asked_at: row.asked_at,
            answer_by: row.answer_by,
            intake_id: row.intake_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<FollowUp> for Versioned<FollowUpView> {
    fn from(row: FollowUp) -> Self {
        Self { version: row.version, object: row.into() }
    }
}

/// Loads a follow-up that the actor may see.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub(super) fn visible(tx: &mut Tx, id: FollowUpId) -> Result<FollowUp> {
    let row = store::find(tx.conn, id)?;
    records::visible(tx.conn, tx.env, tx.actor, row.patient_id)?;
    Ok(row)
}

/// Reads a follow-up.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient.
pub async fn read(context: &Context, id: FollowUpId) -> Result<Versioned<FollowUpView>> {
    context.require(Action::FollowUpRead)?;
    context.read(move |tx| Ok(visible(tx, id)?.into())).await
}

/// Read a follow-up
///
/// Shows when the patient is asked and whether they have answered. The answers are the intake `intake_id`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_follow_up",
    security(("bearer" = [])),
    params(("id" = FollowUpId, Path, description = "The follow-up")),
    responses((status = 200, description = "The follow-up", body = FollowUpView)),
)]
#[get("/v1/follow-ups/{id}")]
pub(in crate::intake) async fn get_follow_up(context: Context, PathId(id): PathId<FollowUpId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
