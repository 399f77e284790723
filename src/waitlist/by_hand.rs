//! Offers that staff make by hand, and their withdrawal.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::making::{self, Making};
use super::offer::{self, OfferStatus, OfferWay};
use super::offer_view::WaitlistOfferView;
use super::{entry, telling};
use crate::actor::Action;
use crate::context::{Context, Once};
use crate::error::Result;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{SlotId, WaitlistEntryId, WaitlistOfferId};
use crate::patients::store as records;

/// A time to offer to a patient who waits.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"slot_id": "0199d0c2-1f00-7aaa-8000-000000000005", "way": "phone"}))]
pub struct NewWaitlistOffer {
    /// The slot in which the visit starts. It decides the practitioner and the location, which need not be those that the patient wishes.
    slot_id: SlotId,
    /// How the patient learns of it. With `phone` the caller tells the patient, and no mail is sent. Default: `mail` to patients who have an
    /// e-mail address, else `phone`.
    #[serde(default)]
    way: Option<OfferWay>,
}

/// Offers a time to a patient who waits.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound); the conflicts of the endpoint.
pub async fn create(
    context: &Context,
    once: Once,
    id: WaitlistEntryId,
    new: NewWaitlistOffer,
) -> Result<Versioned<WaitlistOfferView>> {
    context.require(Action::WaitlistOffer)?;
    context
        .change_once(once, move |tx| {
            let found = entry::lock(tx, id)?;
            let made_by = Some(tx.actor.user_id);
            let made = making::make(tx, found, Making { slot_id: new.slot_id, way: new.way, made_by })?;
            tx.audit.note_object(made.id.0);
            WaitlistOfferView::versioned(tx, made)
        })
        .await
}

/// Takes an open offer back, unless it is withdrawn already.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound); the conflicts `offer_lapsed` and `offer_ended`.
pub async fn withdraw(context: &Context, once: Once, id: WaitlistOfferId) -> Result<Versioned<WaitlistOfferView>> {
    context.require(Action::WaitlistOffer)?;
    context
        .change_once(once, move |tx| {
            let patient = offer::visible(tx, id)?.patient_id;
            records::lock(tx.conn, tx.env, tx.actor, patient)?;
            let found = offer::find_of(tx.conn, id, patient)?;
            if found.status == OfferStatus::Withdrawn {
                return WaitlistOfferView::versioned(tx, found);
            }
            found.require_open(tx.now)?;
            let ended = offer::end(tx, found, OfferStatus::Withdrawn)?;
            telling::withdrawn(tx, &ended)?;
            WaitlistOfferView::versioned(tx, ended)
        })
        .await
}

/// Offer a time to a patient on the waitlist
///
/// Staff offer a free time by hand, to any patient who waits, whatever the patient's wishes and place on the list. The time is held as for
/// an offer of the service, until the offer ends. By telephone, staff offer every time that they could book; the desk then claims the offer
/// for the patient.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "create_waitlist_offer",
    security(("bearer" = [])),
    params(
        ("id" = WaitlistEntryId, Path, description = "The entry"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewWaitlistOffer,
    responses(
        (status = 201, description = "The offer", body = WaitlistOfferView),
        (status = 409, description = "`status_conflict`: the entry does not wait, or the visit for which the patient wants an earlier time has begun. \
            `offer_open`: the patient has an open offer already; `waitlist_offer_id` names it. \
            `no_address`: the patient has no e-mail address. `not_earlier`: the time is not earlier than the visit that it would replace. \
            `cancel_notice` and `series_gap`: that visit cannot be moved there. \
            `slot_taken`: the visit does not fit, the slot is not offered any more, or a resource that the visit needs is taken. \
            `not_offered`: the practitioner does not offer this visit type. `not_online_bookable`: only staff book it. \
            `booking_notice`: it starts too soon after the end of the offer. `slot_past`: the slot is over then"),
    ),
)]
#[post("/v1/waitlist-entries/{id}/offers")]
pub(super) async fn create_waitlist_offer(
    context: Context,
    PathId(id): PathId<WaitlistEntryId>,
    key: IdempotencyKey,
    body: Body<NewWaitlistOffer>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/waitlist-offers/{}", created.object.id), &created))
}

/// Withdraw an offer
///
/// Staff only. The time is free for others at once, and the patient waits on. Whoever the offer was mailed to gets a mail about it. A repeat
/// returns the same offer.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "withdraw_waitlist_offer",
    security(("bearer" = [])),
    params(
        ("id" = WaitlistOfferId, Path, description = "The offer"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The withdrawn offer", body = WaitlistOfferView),
        (status = 409, description = "`offer_lapsed`: it has ended by the clock. `offer_ended`: it was claimed or declined; `offer_status` says which"),
    ),
)]
#[post("/v1/waitlist-offers/{id}/withdraw")]
pub(super) async fn withdraw_waitlist_offer(
    context: Context,
    PathId(id): PathId<WaitlistOfferId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&withdraw(&context, key.once_without_body(), id).await?))
}
