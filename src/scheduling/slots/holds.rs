//! Holds: the slots of a visit kept for one account for ten minutes.
//!
//! A hold ends in one of four ways: it lapses by the clock, without a job; a booking uses it up; its account releases it or replaces it
//! by another one.

use actix_web::{HttpResponse, delete, get, post};
use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::free::SlotView;
use super::locking;
use super::offers::{self, Offer};
use super::releasing::delete_unplanned;
use super::search::with_next_free;
use super::slot::{DoesNotFit, Slot, check_fit, is_free, slot_gone};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::schema::{holds, slots};
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::error::{Conflict, Error, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{HoldId, SlotId, UserId, VisitTypeId};
use crate::scheduling::setup::location;
use crate::scheduling::visit_time::VisitTime;

/// How long a hold lasts from its creation or renewal: time to fill in a registration, without keeping the slot from others for long.
const DURATION: SignedDuration = SignedDuration::from_mins(10);

/// A hold's row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
// Without the default values, the insert stays prepared.
#[diesel(table_name = holds, treat_none_as_default_value = false)]
pub struct Hold {
    pub id: HoldId,
    /// The account that holds the slots.
    pub user_id: UserId,
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The time at which it lapses.
    pub expires_at: Timestamp,
    /// Whether it was renewed, which is possible once.
    pub renewed: bool,
    /// The time at which it was created.
    pub created_at: Timestamp,
}

/// Loads a hold of the account.
///
/// # Errors
/// [`Error::NotFound`], also if it is another account's.
fn find(conn: &mut Conn, hold: HoldId, user: UserId) -> Result<Hold> {
    Ok(holds::table.find(hold).filter(holds::user_id.eq(user)).select(Hold::as_select()).first(conn)?)
}

/// Loads the hold that a body names as `hold_id`.
///
/// A hold that was released, replaced or used is deleted, so it looks like one that never existed. All of these, and the holds of other
/// accounts, are the same conflict, so that the response tells nothing about other accounts.
///
/// # Errors
/// The conflict `hold_lapsed` unless it is a hold of this account that has not lapsed.
pub(super) fn redeemable(conn: &mut Conn, hold: HoldId, user: UserId, now: Timestamp) -> Result<Hold> {
    match find(conn, hold, user) {
        Ok(hold) if hold.expires_at > now => Ok(hold),
        Ok(_) | Err(Error::NotFound) => {
            let detail = "You have no such hold: it lapsed, or it was released, replaced or used. \
                Hold the slot again if it is still free.";
            let members = [("pointer".to_owned(), "/hold_id".into())].into_iter().collect();
            Err(Error::conflict_with(Conflict::HOLD_LAPSED, detail, members))
        }
        Err(other) => Err(other),
    }
}

/// Deletes a hold that a booking uses up. The slots of the visit must be locked.
///
/// # Errors
/// [`Error::Retry`] if another transaction used or ended the hold since it was read.
pub(super) fn use_up(conn: &mut Conn, hold: HoldId, now: Timestamp) -> Result<()> {
    let current = holds::table.find(hold).filter(holds::expires_at.gt(now));
    if diesel::delete(current).execute(conn)? == 0 { Err(Error::Retry) } else { Ok(()) }
}

/// A hold.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Hold, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "expires_at": "2026-03-09T09:10:00Z", "renewable": true,
    "slot": {
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
        "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
        "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
    }
}))]
pub struct HoldView {
    /// The hold. Send it as `hold_id` to book or move an appointment.
    pub id: HoldId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The time at which the hold lapses.
    pub expires_at: Timestamp,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// The slot in which the visit starts, with the time of the whole visit.
    pub slot: SlotView,
}

/// A hold to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"}))]
pub struct NewHold {
    /// The kind of visit. All slots of the visit are held.
    visit_type_id: VisitTypeId,
}

impl HoldView {
    fn versioned(conn: &mut Conn, hold: &Hold, offer: &Offer) -> Result<Versioned<Self>> {
        let VisitTime { starts_at, ends_at, .. } = offer.time();
        let slot = SlotView {
            id: offer.slot.id,
            practitioner_id: offer.slot.practitioner_id,
            location_id: offer.slot.location_id,
            starts_at,
            ends_at,
            time_zone: location::find(conn, offer.slot.location_id)?.time_zone,
        };
        let view = Self {
            id: hold.id,
            visit_type_id: hold.visit_type_id,
            expires_at: hold.expires_at,
            renewable: !hold.renewed,
            slot,
        };
        // The renewal is the only change of a hold.
        Ok(Versioned { version: if hold.renewed { 2 } else { 1 }, object: view })
    }
}

/// Frees the slots of a hold that ends. They must be locked.
fn free_slots(conn: &mut Conn, hold: HoldId) -> Result<()> {
    let cleared = (slots::hold_id.eq(None::<HoldId>), slots::held_until.eq(None::<Timestamp>));
    per_backend!(conn, conn => update(slots::table, slots::hold_id.eq(hold), cleared).execute(conn))?;
    Ok(())
}

/// Lets holds lapse before their time, because the plan no longer gives their slots. These must be locked.
pub(in crate::scheduling) fn lapse(conn: &mut Conn, holds_of_removed: &[HoldId], now: Timestamp) -> Result<()> {
    for id in holds_of_removed {
        diesel::update(holds::table.find(id)).set(holds::expires_at.eq(now)).execute(conn)?;
        free_slots(conn, *id)?;
    }
    Ok(())
}

/// Holds the slots of a visit in place of the account's current hold.
///
/// # Errors
/// The conflicts of the endpoint.
pub async fn create(context: &Context, once: Once, slot: SlotId, new: NewHold) -> Result<Versioned<HoldView>> {
    context.require(Action::SlotHold)?;
    let visit_type = new.visit_type_id;
    match context.change_once(once, move |tx| insert(tx, slot, visit_type)).await {
        Err(error) => Err(with_next_free(context, error, slot, visit_type).await),
        held => held,
    }
}

fn insert(tx: &mut Tx, slot_id: SlotId, visit_type_id: VisitTypeId) -> Result<Versioned<HoldView>> {
    let offer = offers::find(tx.conn, slot_id, visit_type_id)?;
    offer.require_bookable(tx.actor.role.is_staff(), tx.now)?;
    let own = holds::table.filter(holds::user_id.eq(tx.actor.user_id));
    let old: Option<HoldId> = own.select(holds::id).first(tx.conn).optional()?;
    let range = offer.range();
    let locked = locking::lock(tx.conn, &[range], old)?;
    let (visit_slots, others): (Vec<Slot>, Vec<Slot>) = locked.into_iter().partition(|slot| range.includes(slot));
    if visit_slots.iter().all(|slot| slot.id != slot_id) {
        return Err(slot_gone());
    }
    check_fit(&visit_slots, offer.time(), tx.now, old)?;
    if let Some(old) = old {
        diesel::delete(holds::table.find(old)).execute(tx.conn)?;
        free_slots(tx.conn, old)?;
        delete_unplanned(tx.conn, &others)?;
    }
    let hold = Hold {
        id: tx.env.new_id(),
        user_id: tx.actor.user_id,
        slot_id,
        visit_type_id: offer.visit_type.id,
        expires_at: tx.now.plus(DURATION),
        renewed: false,
        created_at: tx.now,
    };
    diesel::insert_into(holds::table).values(&hold).execute(tx.conn)?;
    let ids: Vec<SlotId> = visit_slots.iter().map(|slot| slot.id).collect();
    let held = per_backend!(tx.conn, conn => {
        let free = slots::id.eq_any(ids).and(is_free(tx.now, None));
        let holding = (slots::hold_id.eq(hold.id), slots::held_until.eq(hold.expires_at));
        update(slots::table, free, holding).execute(conn)
    })?;
    if held != visit_slots.len() {
        return Err(DoesNotFit::Taken.into());
    }
    tx.audit.note_object(hold.id.0);
    HoldView::versioned(tx.conn, &hold, &offer)
}

/// Reads a hold of the caller.
///
/// # Errors
/// [`Error::NotFound`], also if it lapsed.
pub async fn read(context: &Context, id: HoldId) -> Result<Versioned<HoldView>> {
    context.require(Action::SlotHold)?;
    context
        .read(move |tx| {
            let hold = find(tx.conn, id, tx.actor.user_id)?;
            if hold.expires_at <= tx.now {
                return Err(Error::NotFound);
            }
            let offer = offers::find(tx.conn, hold.slot_id, hold.visit_type_id)?;
            HoldView::versioned(tx.conn, &hold, &offer)
        })
        .await
}

/// Renews a hold of the caller. It then lapses ten minutes from now.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `hold_lapsed` and `hold_renewed`.
pub async fn renew(context: &Context, once: Once, id: HoldId) -> Result<Versioned<HoldView>> {
    context.require(Action::SlotHold)?;
    context.change_once(once, move |tx| extend(tx, id)).await
}

fn extend(tx: &mut Tx, id: HoldId) -> Result<Versioned<HoldView>> {
    let mut hold = find(tx.conn, id, tx.actor.user_id)?;
    if hold.expires_at <= tx.now {
        let detail = "The hold lapsed. Hold the slot again if it is still free.";
        return Err(Error::conflict(Conflict::HOLD_LAPSED, detail));
    }
    if hold.renewed {
        let detail = "The hold was renewed before. Book before it lapses, or hold the slot again afterwards.";
        return Err(Error::conflict("hold_renewed", detail));
    }
    locking::lock(tx.conn, &[], Some(id))?;
    hold.renewed = true;
    hold.expires_at = tx.now.plus(DURATION);
    let unchanged = holds::table.find(id).filter(holds::renewed.eq(false));
    let renewal = (holds::renewed.eq(true), holds::expires_at.eq(hold.expires_at));
    if diesel::update(unchanged).set(renewal).execute(tx.conn)? == 0 {
        // Another request of the account changed the hold.
        return Err(Error::Retry);
    }
    diesel::update(slots::table.filter(slots::hold_id.eq(id)))
        .set(slots::held_until.eq(hold.expires_at))
        .execute(tx.conn)?;
    let offer = offers::find(tx.conn, hold.slot_id, hold.visit_type_id)?;
    HoldView::versioned(tx.conn, &hold, &offer)
}

/// Releases a hold of the caller.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn release(context: &Context, id: HoldId) -> Result<()> {
    context.require(Action::SlotHold)?;
    context
        .change(move |tx| {
            find(tx.conn, id, tx.actor.user_id)?;
            let held = locking::lock(tx.conn, &[], Some(id))?;
            diesel::delete(holds::table.find(id)).execute(tx.conn)?;
            free_slots(tx.conn, id)?;
            delete_unplanned(tx.conn, &held)
        })
        .await
}

/// Hold a slot
///
/// Keeps all slots of a visit for the caller's account for ten minutes. An account has one hold; a new one replaces it. A hold lapses by
/// itself. A booking uses it up.
#[utoipa::path(
    tag = "slots",
    operation_id = "create_hold",
    security(("bearer" = [])),
    params(
        ("id" = SlotId, Path, description = "The slot in which the visit starts"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewHold,
    responses(
        (status = 201, description = "The hold", body = HoldView),
        (status = 409, description = "`slot_taken`: the visit does not fit, or the slot is not offered any more; `next_free` has the next slots in which it fits. \
            `not_offered`: the practitioner does not offer this visit type. `slot_past`: the slot is over. For patients also \
            `not_online_bookable`: only staff book it, and `booking_notice`: it starts too soon"),
    ),
)]
#[post("/v1/slots/{id}/hold")]
pub(in crate::scheduling) async fn create_hold(
    context: Context,
    PathId(id): PathId<SlotId>,
    key: IdempotencyKey,
    body: Body<NewHold>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/holds/{}", created.object.id), &created))
}

/// Read a hold
///
/// For the account that holds the slots. A hold that lapsed, or was released, replaced or used, is not found.
#[utoipa::path(
    tag = "slots",
    operation_id = "get_hold",
    security(("bearer" = [])),
    params(("id" = HoldId, Path, description = "The hold")),
    responses((status = 200, description = "The hold", body = HoldView)),
)]
#[get("/v1/holds/{id}")]
pub(in crate::scheduling) async fn get_hold(context: Context, PathId(id): PathId<HoldId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Renew a hold
///
/// Possible once. The hold then lapses ten minutes from now.
#[utoipa::path(
    tag = "slots",
    operation_id = "renew_hold",
    security(("bearer" = [])),
    params(
        ("id" = HoldId, Path, description = "The hold"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The renewed hold", body = HoldView),
        (status = 409, description = "`hold_renewed`: it was renewed before. `hold_lapsed`: it lapsed"),
    ),
)]
#[post("/v1/holds/{id}/renew")]
pub(in crate::scheduling) async fn renew_hold(
    context: Context,
    PathId(id): PathId<HoldId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&renew(&context, key.once_without_body(), id).await?))
}

/// Release a hold
///
/// The slots are free for others at once.
#[utoipa::path(
    tag = "slots",
    operation_id = "delete_hold",
    security(("bearer" = [])),
    params(("id" = HoldId, Path, description = "The hold")),
    responses((status = 204, description = "Released")),
)]
#[delete("/v1/holds/{id}")]
pub(in crate::scheduling) async fn delete_hold(context: Context, PathId(id): PathId<HoldId>) -> Result<HttpResponse> {
    release(&context, id).await?;
    Ok(response::no_content())
}
