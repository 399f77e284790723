//! The list of offers.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::offer::{Offer, OfferStatus};
use super::offer_view::{Row, WaitlistOfferView, rows};
use crate::actor::{Action, Reach};
use crate::context::{Context, Tx};
use crate::db::schema::{locations, waitlist_entries, waitlist_offers};
use crate::error::Result;
use crate::http::input::Several;
use crate::http::paging::{Direction, Page, PageParams, in_order, sort_options};
use crate::http::{Params, response};
use crate::ids::{PatientId, WaitlistEntryId, WaitlistOfferId};
use crate::patients::access;
use crate::patients::listed::{self, ListedPatient};
use crate::scheduling::setup::included::{Include, Included};

/// The name of the list in cursors.
const LIST: &str = "waitlist-offers";

/// An offer in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c71", "waitlist_entry_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c61",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "slot_id": "0199d0c2-1f00-7aaa-8000-000000000005", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z",
    "time_zone": "America/New_York", "status": "offered", "way": "mail", "expires_at": "2026-03-02T16:00:00Z",
    "appointment_id": null, "made_by": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"}
}))]
pub struct ListedWaitlistOffer {
    /// The offer.
    #[serde(flatten)]
    pub offer: WaitlistOfferView,
    /// The patient in short. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patient: Option<ListedPatient>,
}

/// A page of offers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct WaitlistOfferPage {
    /// The offers, oldest first by default.
    pub items: Vec<ListedWaitlistOffer>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The names of the objects that `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub included: Option<Included>,
}

/// The filters of offers. All that are given must match.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitlistOfferFilter {
    /// The patient.
    patient_id: Option<PatientId>,
    /// The entry of the waitlist.
    waitlist_entry_id: Option<WaitlistEntryId>,
    /// The status. Until the service has noticed that an offer lapsed, the filter finds it as `offered`.
    status: Option<OfferStatus>,
    /// The order. Default: `created_at`, oldest first.
    #[param(inline)]
    sort: Option<WaitlistOfferSort>,
    /// The objects whose names the response includes.
    #[param(inline, value_type = Option<Vec<Include>>, style = Form, explode = false, max_items = 3)]
    include: Option<Several<Include>>,
}

sort_options! {
    /// The order of a list of offers.
    WaitlistOfferSort by "created_at" or "-created_at"
}

/// Lists the offers to the patients that the actor may see.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn list(context: &Context, filter: WaitlistOfferFilter, params: PageParams) -> Result<WaitlistOfferPage> {
    context.require(Action::WaitlistUse)?;
    let page = params.sorted(LIST, Direction::of_list(filter.sort, Direction::Ascending, None)?)?;
    let include = Several::of(filter.include.clone());
    context
        .read(move |tx| {
            let (rows, next_cursor) = load(tx, &filter, &page)?;
            tx.audit.note_shown(rows.iter().map(|(offer, ..)| offer.patient_id));
            let included = Included::load(tx.conn, &include, || {
                let refers_to = |(offer, visit_type, ..): &Row| (offer.practitioner_id, offer.location_id, *visit_type);
                rows.iter().map(refers_to).collect()
            })?;
            let patients = listed::for_staff(tx, rows.iter().map(|(offer, ..)| offer.patient_id))?;
            let item = |row: Row| ListedWaitlistOffer {
                patient: patients.get(&row.0.patient_id).cloned(),
                offer: WaitlistOfferView::new(row, tx.now),
            };
            let items = rows.into_iter().map(item).collect();
            Ok(WaitlistOfferPage { items, next_cursor, included })
        })
        .await
}

fn load(tx: &mut Tx, filter: &WaitlistOfferFilter, page: &Page) -> Result<(Vec<Row>, Option<String>)> {
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
/// Oldest first by default. Patients see the offers to the patients they may act for. `status=offered` lists those that are open.
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
