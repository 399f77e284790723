//! Everything that is held on a patient's appointments.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::dto::{AppointmentChange, AppointmentDto};
use super::store::{self, Filter, Past};
use crate::actor::{Actor, Role};
use crate::db::Conn;
use crate::db::schema::{appointment_history, users};
use crate::env::Env;
use crate::error::Result;
use crate::http::{Cursor, Limit};
use crate::ids::{AppointmentId, PatientId};

/// An appointment with all its changes.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York", "status": "booked", "confirmation_code": "K7MP-3XWD",
    "sequence": 0, "identifiers": [], "intake_id": null, "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z",
    "updated_at": "2026-03-02T14:00:00Z", "history": []
}))]
pub struct ExportedAppointment {
    /// The appointment.
    #[serde(flatten)]
    appointment: AppointmentDto,
    /// Its changes, oldest first.
    history: Vec<AppointmentChange>,
}

/// All appointments of a patient, by start, as `actor` may see them; their changes as `reader` may.
///
/// # Errors
/// The database's; a fault, if something does not open.
pub fn of_patient(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    reader: &Actor,
    patient: PatientId,
) -> Result<Vec<ExportedAppointment>> {
    let filter = Filter { patient_id: Some(patient), ..Filter::default() };
    let limit = Limit::new(Some(i64::from(crate::http::paging::MAX_LIMIT)))?;
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let (page, cursor) =
            store::list(tx, env, actor, &filter, Cursor::read(next.as_deref(), filter.list())?, limit)?;
        let ids: Vec<_> = page.iter().map(|shown| shown.appointment.id).collect();
        let mut changes = changes(tx, env, reader, ids)?;
        for shown in page {
            let appointment = AppointmentDto::new(env, actor, shown)?;
            let history = changes.remove(&appointment.id).unwrap_or_default();
            all.push(ExportedAppointment { appointment, history });
        }
        if cursor.is_none() {
            return Ok(all);
        }
        next = cursor;
    }
}

fn changes(
    tx: &mut Conn,
    env: &Env,
    reader: &Actor,
    ids: Vec<AppointmentId>,
) -> Result<HashMap<AppointmentId, Vec<AppointmentChange>>> {
    let rows: Vec<(AppointmentId, Past, Option<Role>)> = appointment_history::table
        .left_join(users::table.on(appointment_history::actor_id.eq(users::id.nullable())))
        .filter(appointment_history::appointment_id.eq_any(ids))
        .order(appointment_history::id)
        .select((appointment_history::appointment_id, Past::as_select(), users::role.nullable()))
        .load(tx)?;
    let mut by_appointment: HashMap<_, Vec<_>> = HashMap::new();
    for (id, past, by) in rows {
        by_appointment.entry(id).or_default().push(AppointmentChange::new(env, reader, past, by)?);
    }
    Ok(by_appointment)
}
