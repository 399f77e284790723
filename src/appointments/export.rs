//! The appointments in the export of a patient's record.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::history::{AppointmentChange, HistoryRow};
use super::queries::{self, Filter};
use super::view::AppointmentView;
use crate::actor::{Actor, Role};
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{appointment_history, appointment_series_visits, users};
use crate::env::Env;
use crate::error::Result;
use crate::http::Cursor;
use crate::http::paging::{Direction, Page};
use crate::ids::{AppointmentId, PatientId};

/// An appointment with all its changes.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York", "status": "booked", "series_id": null, "confirmation_code": "K7MP-3XWD",
    "sequence": 0, "identifiers": [], "intake_id": null, "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z",
    "updated_at": "2026-03-02T14:00:00Z", "cancellable_until": "2026-03-08T13:30:00Z",
    "changeable_until": "2026-03-08T13:30:00Z", "confirmed_at": null, "history": [], "series": null
}))]
pub struct ExportedAppointment {
    /// The appointment.
    #[serde(flatten)]
    appointment: AppointmentView,
    /// Its changes, oldest first.
    history: Vec<AppointmentChange>,
    /// Its place in the series that it was booked with; null if there is none.
    series: Option<ExportedSeriesVisit>,
}

/// The place of a visit in a series.
#[derive(Clone, Serialize, ToSchema)]
#[schema(example = json!({"position": 1, "min_gap_days": 7, "max_gap_days": 14}))]
pub struct ExportedSeriesVisit {
    /// The number of the visit, from 0.
    #[schema(minimum = 0)]
    position: i32,
    /// The least number of local days since the visit before it.
    #[schema(minimum = 0)]
    min_gap_days: i32,
    /// The largest number of these days; null if there is no limit.
    #[schema(minimum = 0)]
    max_gap_days: Option<i32>,
}

/// Loads all appointments of a patient by start, as `actor` may see them, with their changes as `reader` may see them.
///
/// # Errors
/// A fault if a note or reason cannot be decrypted.
pub fn of_patient(
    conn: &mut Conn,
    env: &Env,
    actor: &Actor,
    reader: &Actor,
    patient: PatientId,
) -> Result<Vec<ExportedAppointment>> {
    let filter = Filter { patient_id: Some(patient), ..Filter::default() };
    let mut page = Page::largest(filter.list(), Direction::Ascending);
    let mut all = Vec::new();
    loop {
        let tx = &mut Tx::new(conn, env, actor, &actor.audit);
        let (found, cursor) = queries::page(tx, &filter, &page)?;
        let last = found.last().map(|last| Cursor { at: last.appointment.starts_at, id: last.appointment.id.0 });
        let ids: Vec<_> = found.iter().map(|found| found.appointment.id).collect();
        let mut views = Vec::new();
        for found in found {
            views.push(AppointmentView::new(tx, found)?);
        }
        let mut places = places(tx.conn, &ids)?;
        let mut changes = changes(&mut Tx::new(conn, env, reader, &actor.audit), ids)?;
        for appointment in views {
            let history = changes.remove(&appointment.id).unwrap_or_default();
            let series = places.remove(&appointment.id);
            all.push(ExportedAppointment { appointment, history, series });
        }
        if cursor.is_none() {
            return Ok(all);
        }
        page.after = last;
    }
}

fn places(conn: &mut Conn, ids: &[AppointmentId]) -> Result<HashMap<AppointmentId, ExportedSeriesVisit>> {
    let rows: Vec<(AppointmentId, i32, i32, Option<i32>)> = appointment_series_visits::table
        .filter(appointment_series_visits::appointment_id.eq_any(ids))
        .select((
            appointment_series_visits::appointment_id,
            appointment_series_visits::position,
            appointment_series_visits::min_gap_days,
            appointment_series_visits::max_gap_days,
        ))
        .load(conn)?;
    let place =
        |(id, position, min_gap_days, max_gap_days)| (id, ExportedSeriesVisit { position, min_gap_days, max_gap_days });
    Ok(rows.into_iter().map(place).collect())
}

fn changes(tx: &mut Tx, ids: Vec<AppointmentId>) -> Result<HashMap<AppointmentId, Vec<AppointmentChange>>> {
    let rows: Vec<(AppointmentId, HistoryRow, Option<Role>)> = appointment_history::table
        .left_join(users::table.on(appointment_history::actor_id.eq(users::id.nullable())))
        .filter(appointment_history::appointment_id.eq_any(ids))
        .order(appointment_history::id)
        .select((appointment_history::appointment_id, HistoryRow::as_select(), users::role.nullable()))
        .load(tx.conn)?;
    let mut by_appointment: HashMap<_, Vec<_>> = HashMap::new();
    for (id, row, by) in rows {
        by_appointment.entry(id).or_default().push(AppointmentChange::new(tx, row, by)?);
    }
    Ok(by_appointment)
}
