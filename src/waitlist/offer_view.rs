//! An offer as callers see it, and the list of offers.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::offer::{self, Offer, OfferStatus, OfferWay};
use crate::actor::{Action, Reach};
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::Conn;
use crate::db::schema::{locations, waitlist_entries, waitlist_offers};
use crate::error::Result;
use crate::http::paging::{Direction, Page, PageParams, in_order};
use crate::http::response::{self, Versioned};
use crate::http::{Params, PathId};
use crate::ids::{
    AppointmentId, LocationId, PatientId, PractitionerId, SlotId, UserId, VisitTypeId, WaitlistEntryId, WaitlistOfferId,
};
use crate::patients::access;

/// The name of the list in cursors.
const LIST: &str = "waitlist-offers";

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
type Row = (Offer, VisitTypeId, String);

/// The offers with what [`Row`] needs.
macro_rules! rows {
    () => {
        waitlist_offers::table
            .inner_join(waitlist_entries::table.on(waitlist_entries::id.eq(waitlist_offers::entry_id)))
            .inner_join(locations::table.on(locations::id.eq(waitlist_offers::location_id)))
            .select((Offer::as_select(), waitlist_entries::visit_type_id, locations::time_zone))
    };
}

impl WaitlistOfferView {
    fn new((offer, visit_type_id, time_zone): Row, now: Timestamp) -> Self {
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

/// A page of offers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct WaitlistOfferPage {
    /// The offers, oldest first.
    items: Vec<WaitlistOfferView>,
    /// The `cursor` of the next page. Null on the last page.
    next_cursor: Option<String>,
}

/// The filters of offers. All that are given must match.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitlistOfferFilter {
    /// The patient.
    patient_id: Option<PatientId>,
    /// The entry of the waitlist.
    waitlist_entry_id: Option<WaitlistEntryId>,
    /// The status. Until the service has noticed that an offer lapsed, the filter finds it as `offered`.
    status: Option<OfferStatus>,
}

/// Lists the offers to the patients that the actor may see.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(context: &Context, filter: WaitlistOfferFilter, params: PageParams) -> Result<WaitlistOfferPage> {
    context.require(Action::WaitlistUse)?;
    let page = params.sorted(LIST, Direction::Ascending)?;
    context
        .read(move |tx| {
            let (rows, next_cursor) = load(tx, filter, &page)?;
            tx.audit.note_shown(rows.iter().map(|(offer, ..)| offer.patient_id));
            let items = rows.into_iter().map(|row| WaitlistOfferView::new(row, tx.now)).collect();
            Ok(WaitlistOfferPage { items, next_cursor })
        })
        .await
}

fn load(tx: &mut Tx, filter: WaitlistOfferFilter, page: &Page) -> Result<(Vec<Row>, Option<String>)> {
    let mut query = rows!().into_boxed();
    if tx.actor.reach(Action::WaitlistUse) != Reach::Any {
        let own = access::patients_of(tx.actor.user_id, tx.now);
        query = query.filter(waitlist_offers::patient_id.eq_any(own));
    }
    if let Some(id) = filter.patient_id {
        query = query.filter(waitlist_offers::patient_id.eq(id));
    }
    if let Some(id) = filter.waitlist_entry_id {
        query = query.filter(waitlist_offers::entry_id.eq(id));
    }
    if let Some(status) = filter.status {
        query = query.filter(waitlist_offers::status.eq(status));
    }
    let query = in_order!(query, page, waitlist_offers::created_at, waitlist_offers::id, WaitlistOfferId);
    let rows: Vec<Row> = query.load(tx.conn)?;
    Ok(page.cut(rows, |(offer, ..)| (offer.created_at, offer.id.0)))
}

/// List the offers to patients on the waitlist
///
/// Oldest first. Patients see the offers to the patients they may act for. `status=offered` lists those that are open.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "list_waitlist_offers",
    security(("bearer" = [])),
    params(WaitlistOfferFilter, PageParams),
    responses((status = 200, description = "A page", body = WaitlistOfferPage)),
)]
#[get("/v1/waitlist-offers")]
pub(super) async fn list_waitlist_offers(
    context: Context,
    Params(filter): Params<WaitlistOfferFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
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
