//! An offer as callers see it.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::offer::{self, Offer, OfferStatus, OfferWay};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::Conn;
use crate::db::schema::{locations, waitlist_entries, waitlist_offers};
use crate::error::Result;
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{
    AppointmentId, LocationId, PatientId, PractitionerId, SlotId, UserId, VisitTypeId, WaitlistEntryId, WaitlistOfferId,
};

/// A time that the clinic keeps for a patient who waits.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WaitlistOffer, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c71", "waitlist_entry_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c61",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "slot_id": "0199d0c2-1f00-7aaa-8000-000000000005", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z",
    "time_zone": "America/New_York", "status": "offered", "way": "mail", "expires_at": "2026-03-02T16:00:00Z",
    "appointment_id": null, "made_by": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct WaitlistOfferView {
    /// The offer.
    pub id: WaitlistOfferId,
    /// The entry of the waitlist.
    pub waitlist_entry_id: WaitlistEntryId,
    /// The patient.
    pub patient_id: PatientId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The location.
    pub location_id: LocationId,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// The status. After `expires_at` an open offer is `lapsed`.
    pub status: OfferStatus,
    /// How the patient learns of it.
    pub way: OfferWay,
    /// The time until which the patient can claim it.
    pub expires_at: Timestamp,
    /// The visit that the claim booked or moved. Null unless it is claimed.
    pub appointment_id: Option<AppointmentId>,
    /// The account of the staff who made it by hand. Null if the service made it.
    pub made_by: Option<UserId>,
    /// The time at which it was made.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

/// An offer with the kind of visit and the time zone.
pub(super) type Row = (Offer, VisitTypeId, String);

/// The offers with what [`Row`] needs.
macro_rules! rows {
    () => {
        waitlist_offers::table
            .inner_join(waitlist_entries::table.on(waitlist_entries::id.eq(waitlist_offers::entry_id)))
            .inner_join(locations::table.on(locations::id.eq(waitlist_offers::location_id)))
            .select((Offer::as_select(), waitlist_entries::visit_type_id, locations::time_zone))
    };
}
pub(super) use rows;

impl WaitlistOfferView {
    pub(super) fn new((offer, visit_type_id, time_zone): Row, now: Timestamp) -> Self {
        Self {
            id: offer.id,
            waitlist_entry_id: offer.entry_id,
            patient_id: offer.patient_id,
            visit_type_id,
            slot_id: offer.slot_id,
            practitioner_id: offer.practitioner_id,
            location_id: offer.location_id,
            starts_at: offer.starts_at,
            ends_at: offer.ends_at,
            time_zone,
            status: offer.status_at(now),
            way: offer.way,
            expires_at: offer.expires_at,
            appointment_id: offer.appointment_id,
            made_by: offer.made_by,
            created_at: offer.created_at,
            updated_at: offer.updated_at,
        }
    }

    /// The offer with its version.
    pub(super) fn versioned<P>(tx: &mut Tx<P>, offer: Offer) -> Result<Versioned<Self>> {
        let row: Row = rows!().filter(waitlist_offers::id.eq(offer.id)).first(tx.conn)?;
        Ok(Versioned { version: offer.version, object: Self::new(row, tx.now) })
    }
}

/// Loads all offers to a patient, oldest first. The caller must have authorised the request.
pub fn of_patient(conn: &mut Conn, patient: PatientId, now: Timestamp) -> Result<Vec<WaitlistOfferView>> {
    let rows: Vec<Row> = rows!()
        .filter(waitlist_offers::patient_id.eq(patient))
        .order((waitlist_offers::created_at, waitlist_offers::id))
        .load(conn)?;
    Ok(rows.into_iter().map(|row| WaitlistOfferView::new(row, now)).collect())
}

/// Reads an offer.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient.
pub async fn read(context: &Context, id: WaitlistOfferId) -> Result<Versioned<WaitlistOfferView>> {
    context.require(Action::WaitlistUse)?;
    context
        .read(move |tx| {
            let found = offer::visible(tx, id)?;
            WaitlistOfferView::versioned(tx, found)
        })
        .await
}

/// Read an offer
///
/// Says whether the patient can still claim it, and which visit the claim booked or moved.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "get_waitlist_offer",
    security(("bearer" = [])),
    params(("id" = WaitlistOfferId, Path, description = "The offer")),
    responses((status = 200, description = "The offer", body = WaitlistOfferView)),
)]
#[get("/v1/waitlist-offers/{id}")]
pub(super) async fn get_waitlist_offer(context: Context, PathId(id): PathId<WaitlistOfferId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
