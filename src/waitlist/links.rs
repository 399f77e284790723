//! The links in the mails with offers: the holder sees the offer as it is now, claims it or declines it, by the patient's rules.

use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use text::Language;
use utoipa::ToSchema;

use super::claiming;
use super::entry;
use super::link_tokens::{self, Link};
use super::making::replaced;
use super::offer::{Offer, OfferStatus};
use crate::accounts::typed_link::{TypedLink, with_code};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::links::LinkedLocation;
use crate::appointments::{notification, queries};
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Tx, access_lock};
use crate::error::{Error, Result};
use crate::http::{Body, response};
use crate::patients::store as records;
use crate::phone::{Country, Telephone};
use crate::scheduling::setup::{location, practitioner, visit_type};

/// The token of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct WaitlistOfferLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// The later visit that a claim moves.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"starts_at": "2026-03-23T13:30:00Z", "time_zone": "America/New_York"}))]
pub struct ReplacedVisit {
    /// Its start.
    pub starts_at: Timestamp,
    /// Its location's IANA time zone.
    pub time_zone: String,
}

/// The offer of a link. Of the patient it shows the first name only. After a claim, time and place are those that the appointment has now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "status": "offered", "first_name": "Ann", "visit": "Consultation", "practitioner": "Dr. Maya Osei",
    "location": {"name": "Riverside", "address": "12 Elm St, Springfield", "phone": "+12125550100", "phone_display": "(212) 555-0100"},
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "expires_at": "2026-03-02T16:00:00Z", "is_waiting": true,
    "replaces": {"starts_at": "2026-03-23T13:30:00Z", "time_zone": "America/New_York"}, "appointment_status": null, "confirmation_code": null
}))]
pub struct LinkedWaitlistOffer {
    /// The status.
    pub status: OfferStatus,
    /// The patient's first name.
    pub first_name: String,
    /// The visit type's public name.
    pub visit: String,
    /// The practitioner's name.
    pub practitioner: String,
    /// The location.
    pub location: LinkedLocation,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// The time until which the offer can be claimed.
    pub expires_at: Timestamp,
    /// Whether the patient waits on, and is offered other times.
    pub is_waiting: bool,
    /// The later visit that a claim moves. Null if a claim books a visit, or the offer is not open.
    pub replaces: Option<ReplacedVisit>,
    /// The status of the appointment. Null unless the offer is claimed.
    pub appointment_status: Option<AppointmentStatus>,
    /// The code to give on the telephone. Null unless the offer is claimed.
    pub confirmation_code: Option<String>,
}

impl LinkedWaitlistOffer {
    fn new(tx: &mut Tx<Anonymous>, offer: &Offer) -> Result<Self> {
        let entry = entry::find(tx.conn, offer.entry_id)?;
        let patient = records::find_authorised(tx.conn, offer.patient_id)?;
        let language = Language::of_tag(&patient.preferred_language);
        let place = location::find(tx.conn, offer.location_id)?;
        let status = offer.status_at(tx.now);
        let kind = visit_type::find(tx.conn, entry.visit_type_id)?;
        let replaces = match replaced(tx, &entry) {
            Ok(visit) => visit.filter(|_| status == OfferStatus::Offered),
            Err(Error::Conflict(_)) => None,
            Err(other) => return Err(other),
        };
        let shown = Self {
            status,
            first_name: patient.first_name().to_owned(),
            visit: kind.public_name_in(language).to_owned(),
            practitioner: practitioner::find(tx.conn, offer.practitioner_id)?.name,
            location: LinkedLocation {
                phone_display: Telephone::of(&place.phone, Country::of(&place.country)).shown,
                name: place.name,
                address: place.address,
                phone: place.phone,
            },
            starts_at: offer.starts_at,
            ends_at: offer.ends_at,
            time_zone: place.time_zone,
            expires_at: offer.expires_at,
            is_waiting: entry.is_live() && !entry.is_paused() && kind.active && kind.online_bookable,
            replaces: replaces.map(|visit| ReplacedVisit {
                starts_at: visit.appointment.starts_at,
                time_zone: visit.location.time_zone,
            }),
            appointment_status: None,
            confirmation_code: None,
        };
        match offer.appointment_id {
            Some(_) => shown.with_appointment(tx, offer, language),
            None => Ok(shown),
        }
    }

    /// Shows the appointment as it is now: it may have been moved or cancelled since.
    fn with_appointment(self, tx: &mut Tx<Anonymous>, offer: &Offer, language: Language) -> Result<Self> {
        let Some(id) = offer.appointment_id else { return Ok(self) };
        let found = queries::find_authorised(tx, id)?;
        if found.appointment.patient_id != offer.patient_id {
            return Err(Error::NotFound);
        }
        let content = notification::content(&found, language);
        let phone_display = content.telephone().shown;
        Ok(Self {
            visit: content.visit,
            practitioner: content.practitioner,
            location: LinkedLocation {
                phone_display,
                name: content.location,
                address: content.address,
                phone: content.phone,
            },
            starts_at: content.starts_at,
            ends_at: content.ends_at,
            time_zone: content.time_zone,
            appointment_status: Some(found.appointment.status),
            confirmation_code: Some(content.confirmation_code),
            ..self
        })
    }
}

/// Something that a link can do.
type Work = fn(&mut Tx<Anonymous>, &Link) -> Result<LinkedWaitlistOffer>;

fn view_link(tx: &mut Tx<Anonymous>, link: &Link) -> Result<LinkedWaitlistOffer> {
    let found = link_tokens::look_up(tx, link)?;
    LinkedWaitlistOffer::new(tx, &found)
}

fn claim_link(tx: &mut Tx<Anonymous>, link: &Link) -> Result<LinkedWaitlistOffer> {
    access_lock::share_for_link(tx.conn, link.user_id)?;
    link_tokens::look_up(tx, link)?;
    let claimed = claiming::claim_by_link(tx, link)?;
    LinkedWaitlistOffer::new(tx, &claimed)
}

fn decline_link(tx: &mut Tx<Anonymous>, link: &Link) -> Result<LinkedWaitlistOffer> {
    access_lock::share_for_link(tx.conn, link.user_id)?;
    let found = link_tokens::look_up(tx, link)?;
    records::lock_visits(tx.conn, found.patient_id)?;
    let declined = claiming::decline_locked(tx, found.id, found.patient_id)?;
    LinkedWaitlistOffer::new(tx, &declined)
}

/// Runs the work of a link in a transaction.
async fn change(
    context: &Context<Anonymous>,
    request: WaitlistOfferLinkRequest,
    work: Work,
) -> Result<LinkedWaitlistOffer> {
    context
        .change(move |tx| {
            let link = link_tokens::find(tx.conn, &request.token)?;
            work(tx, &link)
        })
        .await
}

/// Runs the work of the link of a typed code in a transaction.
async fn change_by_code(context: &Context<Anonymous>, typed: TypedLink, work: Work) -> Result<LinkedWaitlistOffer> {
    with_code(context, link_tokens::CODES, typed, link_tokens::find_by_code, move |tx, link| work(tx, &link)).await
}

/// Reads the offer of a link.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn view(context: &Context<Anonymous>, request: WaitlistOfferLinkRequest) -> Result<LinkedWaitlistOffer> {
    context
        .read(move |tx| {
            let link = link_tokens::find(tx.conn, &request.token)?;
            view_link(tx, &link)
        })
        .await
}

/// Reads the offer of a typed code.
///
/// # Errors
/// Those of [`view`]; a broken rule if it cannot be a code; [`Error::TooMany`] after wrong codes.
pub async fn view_by_code(context: &Context<Anonymous>, typed: TypedLink) -> Result<LinkedWaitlistOffer> {
    change_by_code(context, typed, |tx, link| {
        tx.unchanged()?;
        view_link(tx, link)
    })
    .await
}

/// Claims the offer of a link, unless it is claimed already.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts of the endpoint.
pub async fn claim(context: &Context<Anonymous>, request: WaitlistOfferLinkRequest) -> Result<LinkedWaitlistOffer> {
    change(context, request, claim_link).await
}

/// Claims the offer of a typed code, unless it is claimed already.
///
/// # Errors
/// Those of [`claim`] and [`view_by_code`].
pub async fn claim_by_code(context: &Context<Anonymous>, typed: TypedLink) -> Result<LinkedWaitlistOffer> {
    change_by_code(context, typed, claim_link).await
}

/// Declines the offer of a link, unless it is declined already.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `offer_lapsed` and `offer_ended`.
pub async fn decline(context: &Context<Anonymous>, request: WaitlistOfferLinkRequest) -> Result<LinkedWaitlistOffer> {
    change(context, request, decline_link).await
}

/// Declines the offer of a typed code, unless it is declined already.
///
/// # Errors
/// Those of [`decline`] and [`view_by_code`].
pub async fn decline_by_code(context: &Context<Anonymous>, typed: TypedLink) -> Result<LinkedWaitlistOffer> {
    change_by_code(context, typed, decline_link).await
}

/// View the offer of a link
///
/// Takes the token from the mail of an offer. Works any number of times until the end of the offered time, also after the offer ended. A
/// link that was mailed to an account works while the account may act for the patient. A link ends when its recipient has another
/// address. An unknown or ended token is `not_found`; the response does not say which.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "view_waitlist_offer_link",
    request_body = WaitlistOfferLinkRequest,
    responses(
        (status = 200, description = "The offer", body = LinkedWaitlistOffer),
        (status = 404, description = "`not_found`: the link does not work"),
    ),
)]
#[post("/v1/waitlist-offer-links/view")]
pub(super) async fn view_waitlist_offer_link(
    context: Context<Anonymous>,
    body: Body<WaitlistOfferLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&view(&context, body.value).await?))
}

/// Claim the offer of a link
///
/// Has the same rules and sends the same mails as a claim by the patient. A repeat returns the same appointment as it is now.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "claim_waitlist_offer_link",
    request_body = WaitlistOfferLinkRequest,
    responses(
        (status = 200, description = "The claimed offer with its appointment", body = LinkedWaitlistOffer),
        (status = 404, description = "`not_found`: the link does not work"),
        (status = 409, description = "The conflicts of `claim_waitlist_offer`: `offer_lapsed`, `offer_ended`, `hold_lapsed`, `slot_taken`, `patient_busy`, \
            `booking_limit`, `account_booking_limit`, `new_account_limit`, `not_offered`, `not_online_bookable`, `booking_notice`, `slot_past`, \
            `status_conflict`, `cancel_notice`, `series_gap` and `not_earlier`"),
    ),
)]
#[post("/v1/waitlist-offer-links/claim")]
pub(super) async fn claim_waitlist_offer_link(
    context: Context<Anonymous>,
    body: Body<WaitlistOfferLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&claim(&context, body.value).await?))
}

/// Decline the offer of a link
///
/// The patient keeps the place on the waitlist. The time is free for the next patient at once. A repeat returns the same offer.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "decline_waitlist_offer_link",
    request_body = WaitlistOfferLinkRequest,
    responses(
        (status = 200, description = "The declined offer", body = LinkedWaitlistOffer),
        (status = 404, description = "`not_found`: the link does not work"),
        (status = 409, description = "`offer_lapsed`: it was not answered in time. `offer_ended`: it was claimed or withdrawn; `offer_status` says which"),
    ),
)]
#[post("/v1/waitlist-offer-links/decline")]
pub(super) async fn decline_waitlist_offer_link(
    context: Context<Anonymous>,
    body: Body<WaitlistOfferLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&decline(&context, body.value).await?))
}
