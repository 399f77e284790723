//! The history of an appointment: one entry for each change, with the appointment as it was afterwards.

use std::collections::HashMap;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::appointment::Appointment;
use super::queries::only_own;
use super::status::AppointmentStep;
use crate::actor::{Action, Role};
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Context, Principal, Tx};
use crate::db::schema::{appointment_history, appointments, users};
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};
use crate::http::{PathId, response};
use crate::ids::{AppointmentHistoryId, AppointmentId, LocationId, PatientId, PractitionerId, UserId};
use crate::patients::access;
use crate::sealed::{Place, Sealed};

/// What a change adds to the history beside the appointment as it is afterwards.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    pub step: AppointmentStep,
    /// The status before; none before the booking.
    pub from: Option<AppointmentStatus>,
    /// The reason in the words of the person who gave it.
    pub reason: Option<&'a str>,
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = appointment_history)]
pub(super) struct HistoryRow {
    id: AppointmentHistoryId,
    at: Timestamp,
    /// None if the link in a mail was used.
    actor_id: Option<UserId>,
    action: AppointmentStep,
    from_status: Option<AppointmentStatus>,
    to_status: AppointmentStatus,
    practitioner_id: PractitionerId,
    location_id: LocationId,
    starts_at: Timestamp,
    ends_at: Timestamp,
    reason: Option<Sealed<String>>,
}

/// A change of an appointment, and the appointment as it was afterwards.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "at": "2026-03-02T14:00:00Z", "step": "book", "by": "patient",
    "from_status": null, "to_status": "booked", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z"
}))]
pub struct AppointmentChange {
    /// The change.
    pub id: AppointmentHistoryId,
    /// The time of the change.
    pub at: Timestamp,
    /// The step.
    pub step: AppointmentStep,
    /// The side that made the change.
    pub by: AppointmentSide,
    /// The account that made the change. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub actor_id: Option<UserId>,
    /// The status before the change; null for the booking.
    pub from_status: Option<AppointmentStatus>,
    /// The status after the change.
    pub to_status: AppointmentStatus,
    /// The practitioner after the change.
    pub practitioner_id: PractitionerId,
    /// The location after the change.
    pub location_id: LocationId,
    /// The start after the change.
    pub starts_at: Timestamp,
    /// The end after the change.
    pub ends_at: Timestamp,
    /// The reason. Shown to staff, and to the account that gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

/// The side that changed an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentSide {
    /// The patient, or an account that acts for the patient.
    Patient,
    /// The clinic.
    Clinic,
}

/// The changes of an appointment.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "at": "2026-03-02T14:00:00Z", "step": "book", "by": "patient",
    "from_status": null, "to_status": "booked", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z"
}], "next_cursor": null}))]
pub struct AppointmentChangePage {
    /// The changes, oldest first.
    pub items: Vec<AppointmentChange>,
    /// Always null: the list has one page.
    pub next_cursor: Option<String>,
}

impl AppointmentChange {
    /// The change as the actor may see it. `by` is the role of the account that made it; none for the link in a mail.
    pub(super) fn new(tx: &Tx, row: HistoryRow, by: Option<Role>) -> Result<Self> {
        let is_staff = tx.actor.is_staff();
        let may_read = is_staff || row.actor_id == tx.actor.account();
        let reason = row.reason.filter(|_| may_read);
        let reason = reason.map(|reason| tx.env.sealer.open(reason_place(row.id), &reason)).transpose()?;
        Ok(Self {
            id: row.id,
            at: row.at,
            step: row.action,
            by: if by.is_some_and(Role::is_staff) { AppointmentSide::Clinic } else { AppointmentSide::Patient },
            actor_id: row.actor_id.filter(|_| is_staff),
            from_status: row.from_status,
            to_status: row.to_status,
            practitioner_id: row.practitioner_id,
            location_id: row.location_id,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            reason,
        })
    }
}

/// The place of a change's sealed reason.
fn reason_place(id: AppointmentHistoryId) -> Place {
    Place::new("appointment_history", "reason", id.0)
}

/// Adds an entry for a change that led to this appointment.
pub(super) fn append(tx: &mut Tx<impl Principal>, change: Change<'_>, after: &Appointment) -> Result<()> {
    use appointment_history::dsl;
    let id: AppointmentHistoryId = tx.env.new_id();
    let reason = change.reason.map(|text| tx.env.sealer.seal(reason_place(id), &text.to_owned())).transpose()?;
    per_backend!(tx.conn, conn => diesel::insert_into(appointment_history::table)
        .values((
            dsl::id.eq(id),
            dsl::appointment_id.eq(after.id),
            dsl::at.eq(after.updated_at),
            dsl::actor_id.eq(tx.actor.account()),
            dsl::action.eq(change.step),
            dsl::from_status.eq(change.from),
            dsl::to_status.eq(after.status),
            dsl::practitioner_id.eq(after.practitioner_id),
            dsl::location_id.eq(after.location_id),
            dsl::starts_at.eq(after.starts_at),
            dsl::ends_at.eq(after.ends_at),
            dsl::reason.eq(&reason),
        ))
        .execute(conn))?;
    Ok(())
}

/// Returns the time at which the appointment got its current status.
pub(super) fn status_changed_at(tx: &mut Tx<impl Principal>, appointment: &Appointment) -> Result<Timestamp> {
    use appointment_history::dsl;
    let at: Option<Timestamp> = appointment_history::table
        .filter(dsl::appointment_id.eq(appointment.id))
        .filter(dsl::to_status.eq(appointment.status))
        .filter(dsl::action.ne_all([AppointmentStep::Reschedule, AppointmentStep::Confirm, AppointmentStep::Amend]))
        .order(dsl::id.desc())
        .select(dsl::at)
        .first(tx.conn)
        .optional()?;
    Ok(at.unwrap_or(appointment.created_at))
}

/// Returns the times of the steps that ended the calls about an appointment: its check-ins, and the marks as a no-show.
pub(super) fn ended_calls_at(tx: &mut Tx<impl Principal>, id: AppointmentId) -> Result<Vec<Timestamp>> {
    use appointment_history::dsl;
    Ok(appointment_history::table
        .filter(dsl::appointment_id.eq(id))
        .filter(dsl::action.eq_any([AppointmentStep::CheckIn, AppointmentStep::NoShow]))
        .select(dsl::at)
        .load(tx.conn)?)
}

/// Returns the time of the last check-in of each of these appointments.
pub(super) fn checked_in_at(conn: &mut Conn, ids: &[AppointmentId]) -> Result<HashMap<AppointmentId, Timestamp>> {
    use appointment_history::dsl;
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(AppointmentId, Timestamp)> = appointment_history::table
        .filter(dsl::appointment_id.eq_any(ids.to_vec()))
        .filter(dsl::action.eq(AppointmentStep::CheckIn))
        .order(dsl::id)
        .select((dsl::appointment_id, dsl::at))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Reads the history of an appointment.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the appointment.
pub async fn read_history(context: &Context, id: AppointmentId) -> Result<AppointmentChangePage> {
    context.require(Action::AppointmentRead)?;
    context
        .read(move |tx| {
            let mut query = appointment_history::table
                .inner_join(appointments::table.on(appointments::id.eq(appointment_history::appointment_id)))
                .left_join(users::table.on(appointment_history::actor_id.eq(users::id.nullable())))
                .filter(appointments::id.eq(id))
                .order(appointment_history::id)
                .select((appointments::patient_id, HistoryRow::as_select(), users::role.nullable()))
                .into_boxed();
            if only_own(tx.actor) {
                query = query.filter(appointments::patient_id.eq_any(access::patients_of(tx.actor.user_id, tx.now)));
            }
            let rows: Vec<(PatientId, HistoryRow, Option<Role>)> = query.load(tx.conn)?;
            // Every history begins with the booking, so an appointment without one does not exist.
            let (patient, ..) = rows.first().ok_or(Error::NotFound)?;
            tx.audit.note_patient(*patient);
            let changes = rows.into_iter().map(|(_, row, by)| AppointmentChange::new(tx, row, by));
            Ok(AppointmentChangePage { items: changes.collect::<Result<_>>()?, next_cursor: None })
        })
        .await
}

/// Read the history of an appointment
///
/// Returns every change, oldest first, with the appointment as it was afterwards. Reasons are shown to staff, and to the account
/// that gave them.
#[utoipa::path(
    tag = "appointments",
    operation_id = "list_appointment_history",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 200, description = "The changes", body = AppointmentChangePage)),
)]
#[get("/v1/appointments/{id}/history")]
pub(super) async fn list_appointment_history(
    context: Context,
    PathId(id): PathId<AppointmentId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read_history(&context, id).await?))
}
