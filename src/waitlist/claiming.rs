//! Claiming and declining an offer. The ordinary booking and moving of appointments decide; the offer only says which hold they use up.

use actix_web::{HttpResponse, post};

use super::entry::{self, Entry, WaitlistStatus};
use super::link_tokens::{self, Link};
use super::making::{replaced, require_earlier};
use super::offer::{self, Offer, OfferStatus};
use super::offer_view::WaitlistOfferView;
use crate::accounts::store as accounts;
use crate::actor::{Action, Actor};
use crate::appointments::appointment::{Appointment, AppointmentDetails};
use crate::appointments::booking::{self, NewAppointment};
use crate::appointments::queries;
use crate::appointments::rescheduling::{self, RescheduleAppointmentRequest};
use crate::context::{Anonymous, Context, Once, Principal, Tx};
use crate::error::{Error, Result};
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, PathId};
use crate::identifiers::Identifiers;
use crate::ids::{PatientId, PractitionerId, WaitlistOfferId};
use crate::patients::store as records;
use crate::role::Role;
use crate::scheduling::slots::claim::Claim;
use crate::scheduling::slots::holds::ending::WantedHold;

/// An offer with its entry, whose patient is locked, and the later visit that a claim moves, which is locked too.
struct Locked {
    offer: Offer,
    entry: Entry,
    visit: Option<AppointmentDetails>,
}

/// Locks what a claim changes: a later visit first, as every move does, then the patient.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Retry`] if the entry got another visit or patient meanwhile.
fn lock<P: Principal>(
    tx: &mut Tx<P>,
    id: WaitlistOfferId,
    patient: impl FnOnce(&mut Tx<P>, PatientId) -> Result<()>,
) -> Result<Locked> {
    let of = offer::find(tx.conn, id)?.entry_id;
    let before = entry::find(tx.conn, of)?;
    if let Some(visit) = before.appointment_id {
        queries::lock_authorised(tx, visit)?;
    }
    patient(tx, before.patient_id)?;
    let entry = entry::find_of(tx.conn, before.id, before.patient_id)?;
    if entry.appointment_id != before.appointment_id {
        return Err(Error::Retry);
    }
    let offer = offer::find(tx.conn, id)?;
    let visit = if offer.status == OfferStatus::Offered { replaced(tx, &entry)? } else { None };
    Ok(Locked { offer, entry, visit })
}

/// Books the time of an offer, or moves the later visit there, unless the offer is claimed already. Staff claim it on the telephone, so
/// they need not call the patient about the visit. A machine client speaks with nobody.
fn claim_locked<P: Principal>(
    tx: &mut Tx<P>,
    Locked { offer, entry, visit }: Locked,
    place: impl FnOnce(&mut Tx<P>, PatientId, PractitionerId) -> Result<bool>,
    placed_alone: impl FnOnce(&mut Tx<P>, &Appointment, &Claim) -> Result<bool>,
) -> Result<Offer> {
    if offer.status == OfferStatus::Claimed {
        return Ok(offer);
    }
    offer.require_open(tx.now)?;
    if let Some(visit) = &visit {
        // It may have moved while the offer was made.
        require_earlier(visit, offer.starts_at)?;
    }
    let hold = offer.hold_id.map(WantedHold::Offered);
    let by_person = |actor: &Actor| actor.role.is_staff() && actor.client_scopes.is_none();
    let patient_informed = tx.actor.actor().is_some_and(by_person);
    offer::settle_call(tx, &offer)?;
    let (slot_id, visit_type_id) = (offer.slot_id, entry.visit_type_id);
    // Before the visit is booked, because a visit that is booked in another way withdraws the offer.
    let claimed = offer::update(tx, Offer { status: OfferStatus::Claimed, hold_id: None, ..offer })?;
    entry::update(tx, Entry { status: WaitlistStatus::Booked, ..entry })?;
    let booked = if let Some(visit) = visit {
        let to = RescheduleAppointmentRequest {
            slot_id,
            hold_id: None,
            hold_secret: None,
            ignore_gaps: false,
            overbook: None,
            patient_informed,
        };
        rescheduling::move_locked(tx, visit, &to, hold, placed_alone)?
    } else {
        let new = NewAppointment {
            slot_id,
            visit_type_id,
            patient_id: claimed.patient_id,
            hold_id: None,
            hold_secret: None,
            note: None,
            identifiers: Identifiers::default(),
            overbook: None,
            patient_informed,
        };
        booking::insert_locked(tx, &new, hold, place)?
    };
    offer::note_visit(tx.conn, claimed, booked.appointment.id)
}

/// Claims an offer as an account that may act for the patient, or as staff.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts of the endpoint.
pub(super) fn claim_by_account(tx: &mut Tx, id: WaitlistOfferId) -> Result<Offer> {
    offer::visible(tx, id)?;
    let locked = lock(tx, id, |tx, patient| records::lock_by_account(tx.conn, tx.env, tx.actor, patient).map(|_| ()))?;
    claim_locked(tx, locked, booking::place, rescheduling::is_placed_alone)
}

/// Claims an offer by the link in its mail: as the account that it was mailed to, with the rights of a patient, or for the patient whose
/// record has the address. The caller has checked that the link works.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts of the endpoint.
pub(super) fn claim_by_link(tx: &mut Tx<Anonymous>, link: &Link) -> Result<Offer> {
    match link.user_id {
        Some(account) => {
            let actor = Actor::without_session(account, Role::Patient, tx.audit.clone());
            claim_by_account(&mut tx.as_actor(&actor), link.offer_id)
        }
        None => claim_by_record(tx, link),
    }
}

/// Claims an offer without an account. The visit counts as placed by the staff who made the offer by hand, else by the account that put
/// the patient on the waitlist: a practitioner who did so gets no care relationship through the claim.
fn claim_by_record(tx: &mut Tx<Anonymous>, link: &Link) -> Result<Offer> {
    let locked = lock(tx, link.offer_id, |tx, patient| records::lock_visits(tx.conn, patient))?;
    // Again, under the lock: a merge may have given the offer to a record with another address.
    link_tokens::look_up(tx, link)?;
    let user = accounts::find(tx.conn, locked.offer.made_by.unwrap_or(locked.entry.created_by))?;
    let author =
        Actor { practitioner_id: user.practitioner_id, ..Actor::without_session(user.id, user.role, tx.audit.clone()) };
    claim_locked(
        tx,
        locked,
        |tx, patient, practitioner| booking::place_without_account(tx, &author, patient, practitioner),
        |tx, before, claimed| rescheduling::is_placed_alone(&mut tx.as_actor(&author), before, claimed),
    )
}

/// Declines an offer of a patient who is locked, unless it has ended in this way already.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `offer_lapsed` and `offer_ended`.
pub(super) fn decline_locked<P>(tx: &mut Tx<P>, id: WaitlistOfferId, patient: PatientId) -> Result<Offer> {
    let found = offer::find_of(tx.conn, id, patient)?;
    if found.status == OfferStatus::Declined {
        return Ok(found);
    }
    found.require_open(tx.now)?;
    offer::end(tx, found, OfferStatus::Declined)
}

/// Claims an offer.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts of the endpoint.
pub async fn claim(context: &Context, once: Once, id: WaitlistOfferId) -> Result<Versioned<WaitlistOfferView>> {
    context.require(Action::WaitlistUse)?;
    context.require(Action::AppointmentBook)?;
    context
        .change_once(once, move |tx| {
            let claimed = claim_by_account(tx, id)?;
            WaitlistOfferView::versioned(tx, claimed)
        })
        .await
}

/// Declines an offer.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `offer_lapsed` and `offer_ended`.
pub async fn decline(context: &Context, once: Once, id: WaitlistOfferId) -> Result<Versioned<WaitlistOfferView>> {
    context.require(Action::WaitlistUse)?;
    context
        .change_once(once, move |tx| {
            let patient = offer::visible(tx, id)?.patient_id;
            records::lock(tx.conn, tx.env, tx.actor, patient)?;
            let declined = decline_locked(tx, id, patient)?;
            WaitlistOfferView::versioned(tx, declined)
        })
        .await
}

/// Claim an offer
///
/// Books the offered time, by the rules and with the mails of a booking. If the patient waits for an earlier time than that of a visit, it
/// moves that visit. `appointment_id` then has the visit. A repeat returns the same offer. Patients claim offers to the patients they may act
/// for; staff claim for a patient on the telephone, and the desk then gets no call to make about the visit.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "claim_waitlist_offer",
    security(("bearer" = [])),
    params(
        ("id" = WaitlistOfferId, Path, description = "The offer"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The claimed offer", body = WaitlistOfferView),
        (status = 409, description = "`offer_lapsed`: it was not claimed in time. `offer_ended`: it was declined or withdrawn; `offer_status` says which. \
            `hold_lapsed` and `slot_taken`: the practitioner's hours changed, so that the time is gone. `patient_busy`: the patient has another appointment at that time. \
            `booking_limit`, `account_booking_limit` and `new_account_limit`: there are too many upcoming appointments. \
            `not_offered`: the practitioner does not offer this visit type any more. `not_online_bookable`: only staff book it. \
            `booking_notice` and `slot_past`: it starts too soon. `status_conflict`, `cancel_notice`, `series_gap` and `not_earlier`: the later visit cannot be moved there"),
    ),
)]
#[post("/v1/waitlist-offers/{id}/claim")]
pub(super) async fn claim_waitlist_offer(
    context: Context,
    PathId(id): PathId<WaitlistOfferId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&claim(&context, key.once_without_body(), id).await?))
}

/// Decline an offer
///
/// The patient keeps the place on the waitlist, and is not offered this time again, nor, for a day, a time of the same practitioner that
/// starts at most two hours before or after it. The time is free for the next patient at once. A repeat returns the same offer.
#[utoipa::path(
    tag = "waitlist",
    operation_id = "decline_waitlist_offer",
    security(("bearer" = [])),
    params(
        ("id" = WaitlistOfferId, Path, description = "The offer"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The declined offer", body = WaitlistOfferView),
        (status = 409, description = "`offer_lapsed`: it was not answered in time. `offer_ended`: it was claimed or withdrawn; `offer_status` says which"),
    ),
)]
#[post("/v1/waitlist-offers/{id}/decline")]
pub(super) async fn decline_waitlist_offer(
    context: Context,
    PathId(id): PathId<WaitlistOfferId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&decline(&context, key.once_without_body(), id).await?))
}
