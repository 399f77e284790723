//! An entry of the waitlist as callers see it.

use actix_web::{HttpResponse, get};
use jiff::civil;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::entry::{self, Entry, WaitlistStatus, WaitlistUrgency};
use super::wishes::Wishes;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::types::Date;
use crate::error::Result;
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{AppointmentId, PatientId, VisitTypeId, WaitlistEntryId};

/// A patient who waits for a kind of visit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WaitlistEntry, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c61", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03", "appointment_id": null, "status": "waiting", "paused": false, "urgency": "routine",
    "practitioner_ids": [], "location_ids": [], "weekdays": ["monday", "friday"], "from_time": "09:00", "to_time": "12:00",
    "from_date": null, "to_date": "2026-04-30", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct WaitlistEntryView {
    /// The entry.
    pub id: WaitlistEntryId,
    /// The patient.
    pub patient_id: PatientId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The later visit that an earlier time would replace. Null if the patient has none.
    pub appointment_id: Option<AppointmentId>,
    /// The status.
    pub status: WaitlistStatus,
    /// Whether the service offers the patient no times, because three offers in a row that reached the patient lapsed. A change of the entry ends that, also one to
    /// `paused` alone. Staff can offer a time by hand.
    #[serde(default)]
    #[schema(required)]
    pub paused: bool,
    /// How urgent the visit is.
    pub urgency: WaitlistUrgency,
    /// With whom, where and at which times of the week.
    #[serde(flatten)]
    pub wishes: Wishes,
    /// The first day of the visit. Null for any.
    pub from_date: Option<Date>,
    /// The last day of the visit. Null for any. After this day the status is `expired`.
    pub to_date: Option<Date>,
    /// The time since which the patient waits.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

impl WaitlistEntryView {
    pub(super) fn new(entry: Entry, today: civil::Date) -> Self {
        let status = entry.status_on(today);
        Self {
            id: entry.id,
            patient_id: entry.patient_id,
            visit_type_id: entry.visit_type_id,
            appointment_id: entry.appointment_id,
            status,
            paused: status == WaitlistStatus::Waiting && entry.is_paused(),
            urgency: entry.urgency,
            wishes: entry.wishes,
            from_date: entry.from_date,
            to_date: entry.to_date,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        }
    }

    pub(super) fn versioned(entry: Entry, today: civil::Date) -> Versioned<Self> {
        Versioned { version: entry.version, object: Self::new(entry, today) }
    }
}

/// Loads all entries of a patient, oldest first. The caller must have authorised the request.
pub fn of_patient(tx: &mut Tx, patient: PatientId) -> Result<Vec<WaitlistEntryView>> {
    let today = entry::today(tx)?;
    let entries = entry::of_patient(tx.conn, patient)?;
    Ok(entries.into_iter().map(|entry| WaitlistEntryView::new(entry, today)).collect())
}

/// Reads an entry.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient.
pub async fn read(context: &Context, id: WaitlistEntryId) -> Result<Versioned<WaitlistEntryView>> {
    context.require(Action::WaitlistUse)?;
    context
        .read(move |tx| {
            let found = entry::visible(tx, id)?;
            Ok(WaitlistEntryView::versioned(found, entry::today(tx)?))
        })
        .await
}

/// Read an entry of the waitlist
///
/// The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "get_waitlist_entry",
    security(("bearer" = [])),
    params(("id" = WaitlistEntryId, Path, description = "The entry")),
    responses((status = 200, description = "The entry", body = WaitlistEntryView)),
)]
#[get("/v1/waitlist-entries/{id}")]
pub(super) async fn get_waitlist_entry(context: Context, PathId(id): PathId<WaitlistEntryId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
