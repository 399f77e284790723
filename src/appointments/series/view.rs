//! A series as callers see it.

use std::collections::HashMap;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gaps::{self, AppointmentWarning};
use crate::actor::Action;
use crate::appointments::queries;
use crate::appointments::view::AppointmentView;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::appointment_series;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{AppointmentSeriesId, PatientId};

/// Visits that were booked together.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c91", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "created_at": "2026-03-02T14:00:00Z", "visits": [], "warnings": []
}))]
pub struct AppointmentSeries {
    /// The series.
    pub id: AppointmentSeriesId,
    /// The patient.
    pub patient_id: PatientId,
    /// The time of the booking.
    pub created_at: Timestamp,
    /// The visits in order, also those that are cancelled.
    pub visits: Vec<AppointmentSeriesVisit>,
    /// The gaps that the visits do not keep any more.
    pub warnings: Vec<AppointmentWarning>,
}

/// A visit of a series.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "min_gap_days": 7, "max_gap_days": 14, "gap_days": 7, "appointment": {
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
        "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
        "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
        "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
        "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
        "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
        "status": "booked", "series_id": null, "cancellable_until": null, "changeable_until": null, "confirmed_at": null, "confirmation_code": "K7MP-3XWD", "sequence": 0, "identifiers": [], "intake_id": null,
        "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
    }
}))]
pub struct AppointmentSeriesVisit {
    /// The least number of local days since the visit before it.
    #[schema(minimum = 0)]
    pub min_gap_days: i32,
    /// The largest number of local days since the visit before it; null if there is no limit.
    #[schema(minimum = 0)]
    pub max_gap_days: Option<i32>,
    /// The local days since the visit before it that is not cancelled. Null for the first visit, and for a cancelled one.
    pub gap_days: Option<i32>,
    /// The appointment.
    pub appointment: AppointmentView,
}

/// Loads a series as the actor may see it. Its version grows with each change of a visit.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see it.
pub fn load(tx: &mut Tx, id: AppointmentSeriesId) -> Result<Versioned<AppointmentSeries>> {
    let found = queries::of_series(tx, id)?;
    let patient_id = found.first().ok_or(Error::NotFound)?.patient.id;
    tx.audit.note_patient(patient_id);
    let version = found.iter().map(|found| found.appointment.version).sum();
    let created_at = appointment_series::table.find(id).select(appointment_series::created_at).first(tx.conn)?;
    let mut appointments = HashMap::new();
    for found in found {
        appointments.insert(found.appointment.id, AppointmentView::new(tx, found)?);
    }
    let (mut visits, mut before) = (Vec::new(), None);
    for visit in gaps::load(tx, id)? {
        let Some(appointment) = appointments.remove(&visit.appointment_id) else { continue };
        let gap_days = before.filter(|_| !visit.is_cancelled).map(|before| visit.start.days_since(before));
        if !visit.is_cancelled {
            before = Some(visit.start);
        }
        let (min_gap_days, max_gap_days) = (visit.gap.min_days, visit.gap.max_days);
        visits.push(AppointmentSeriesVisit { min_gap_days, max_gap_days, gap_days, appointment });
    }
    let warnings = gaps::warnings(tx, id)?;
    Ok(Versioned { version, object: AppointmentSeries { id, patient_id, created_at, visits, warnings } })
}

/// Reads a series.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see it.
pub async fn read(context: &Context, id: AppointmentSeriesId) -> Result<Versioned<AppointmentSeries>> {
    context.require(Action::AppointmentRead)?;
    context.read(move |tx| load(tx, id)).await
}

/// Read a series of appointments
///
/// Returns the visits in order, with the days between them. `warnings` names the gaps that the visits do not keep any more, because one was
/// moved by staff or cancelled.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_appointment_series",
    security(("bearer" = [])),
    params(("id" = AppointmentSeriesId, Path, description = "The series")),
    responses((status = 200, description = "The series", body = AppointmentSeries)),
)]
#[get("/v1/appointment-series/{id}")]
pub(in crate::appointments) async fn get_appointment_series(
    context: Context,
    PathId(id): PathId<AppointmentSeriesId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
