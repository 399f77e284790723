//! Holds: a slot kept for one account for ten minutes, while they make up their mind. A hold lapses by the clock; nothing
//! has to run for it.

use actix_web::{HttpResponse, delete, post, web};
use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::{self, Slot};
use super::offers::{self, Offer};
use super::releasing::withdraw_unwanted;
use super::{search, slots as locks, store};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{holds, slots};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::idempotency::{self, Request};
use crate::http::{Answer, Body, IdempotencyKey, PathId};
use crate::ids::{HoldId, SlotId, UserId, VisitTypeId};

/// How long a hold lasts, and by how much it is renewed.
const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// A hold.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = holds)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// Whose it is.
    pub user_id: UserId,
    /// The slot with which the visit starts.
    pub slot_id: SlotId,
    /// The visit for which the slots are held.
    pub visit_type_id: VisitTypeId,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// Whether it has been renewed, which is possible once.
    pub renewed: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

fn lapsed() -> Error {
    Error::conflict("hold_lapsed", "The hold has lapsed. Hold the slot again if it is still free.")
}

/// A hold of this account.
///
/// # Errors
/// `NotFound` if it is another's; the conflict `hold_lapsed`.
pub fn current(tx: &mut Conn, hold: HoldId, user: UserId, now: Timestamp) -> Result<Hold> {
    let hold: Hold = holds::table.find(hold).filter(holds::user_id.eq(user)).select(Hold::as_select()).first(tx)?;
    if hold.expires_at > now { Ok(hold) } else { Err(lapsed()) }
}

/// Finds the hold that a body names as `hold_id`.
///
/// A hold that was released, replaced or used is deleted, so it looks like one that never existed. All of them, and the
/// holds of other accounts, get the same answer, which tells nothing of others and says what to do next.
///
/// # Errors
/// The conflict `hold_lapsed` unless it is a hold of this account that has not lapsed.
pub fn redeemable(tx: &mut Conn, hold: HoldId, user: UserId, now: Timestamp) -> Result<Hold> {
    current(tx, hold, user, now).map_err(|error| match error {
        Error::NotFound | Error::Conflict(_) => {
            let detail = "You have no such hold: it has lapsed, or it was released, replaced or used. \
                Hold the slot again if it is still free.";
            let members = [("pointer".to_owned(), "/hold_id".into())].into_iter().collect();
            Error::conflict_with("hold_lapsed", detail, members)
        }
        other => other,
    })
}

/// Uses a hold up for a booking in the same transaction, after the slots are locked ([`super::slots::lock_visit`]); their
/// hold columns are cleared when they are taken.
///
/// # Errors
/// The conflict `hold_lapsed` unless it is a hold of this account that has not lapsed.
pub fn consume(tx: &mut Conn, hold: HoldId, user: UserId, now: Timestamp) -> Result<Hold> {
    let hold = redeemable(tx, hold, user, now)?;
    if diesel::delete(holds::table.find(hold.id)).execute(tx)? == 0 {
        // Another request of the account was quicker.
        return Err(Error::Retry);
    }
    Ok(hold)
}

/// A hold.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "hold_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "expires_at": "2026-03-09T09:10:00Z", "renewable": true,
    "slot": {
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
        "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
        "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
    }
}))]
pub struct HoldDto {
    /// Its id; book with it.
    pub hold_id: HoldId,
    /// The visit for which the time is held.
    pub visit_type_id: VisitTypeId,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// Whether it can still be renewed.
    pub renewable: bool,
    /// The time that is held: the whole visit's.
    pub slot: search::SlotDto,
}

/// For what a slot is held.
#[derive(Debug, Clone, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"}))]
pub struct HoldInput {
    /// The kind of visit; the slots of the whole visit are held.
    visit_type_id: VisitTypeId,
}

/// Hold a slot
///
/// Keeps the time of a whole visit for this account for ten minutes. An account has one hold: a new one takes the place of
/// the old one. A hold lapses by itself; booking uses it up.
#[utoipa::path(
    tag = "slots",
    operation_id = "hold_slot",
    security(("bearer" = [])),
    params(
        ("id" = SlotId, Path, description = "The slot with which the visit starts"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255),
    ),
    request_body = HoldInput,
    responses(
        (status = 201, description = "The hold", body = HoldDto),
        (status = 409, description = "`slot_taken`: it is not free for the whole visit, or not offered any more; `next_free` has other times. \
            `not_offered`: the doctor does not offer the visit type. `slot_past`: it is over. For patients also \
            `not_online_bookable`, and `booking_notice`: it starts too soon. \
            `request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/slots/{id}/hold")]
pub async fn hold_slot(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<SlotId>,
    key: IdempotencyKey,
    body: Body<HoldInput>,
) -> Result<HttpResponse> {
    actor.require(Action::SlotHold)?;
    let operation = format!("hold_slot {id}");
    let request = Request::of(&actor, operation, key, &body.raw);
    let (within, visit, by_staff) = (env.clone(), body.visit_type_id, actor.role.is_staff());
    let held = idempotency::run(&env, request, move |tx| {
        let hold = place(tx, &within, &actor, id, visit)?;
        audit::record(tx, &within, &actor.trail, hold.hold_id.0)?;
        Answer::created(format!("/v1/holds/{}", hold.hold_id), 1, &hold)
    });
    match held.await {
        Err(error) => Err(search::with_next_free(&env, error, id, visit, by_staff).await),
        held => held,
    }
}

fn place(tx: &mut Conn, env: &Env, actor: &Actor, slot_id: SlotId, visit: VisitTypeId) -> Result<HoldDto> {
    let (now, by_staff) = (env.now(), actor.role.is_staff());
    let offer = offers::find(tx, slot_id, visit)?;
    offer.admit(by_staff, now)?;
    let old: Option<HoldId> =
        holds::table.filter(holds::user_id.eq(actor.user_id)).select(holds::id).first(tx).optional()?;
    let range = offer.range();
    let locked = locks::lock(tx, &[range], old)?;
    let (visit_slots, others): (Vec<Slot>, Vec<Slot>) = locked.into_iter().partition(|slot| range.has(slot));
    if visit_slots.first().is_none_or(|slot| slot.id != slot_id) {
        return Err(model::gone());
    }
    model::fits(&visit_slots, offer.visit_type.duration_minutes, now, old)?;
    if let Some(old) = old {
        diesel::delete(holds::table.find(old)).execute(tx)?;
        clear(tx, old)?;
        withdraw_unwanted(tx, &others)?;
    }
    let hold = Hold {
        id: env.new_id(),
        user_id: actor.user_id,
        slot_id,
        visit_type_id: offer.visit_type.id,
        expires_at: now.plus(LASTS),
        renewed: false,
        created_at: now,
    };
    diesel::insert_into(holds::table).values(&hold).execute(tx)?;
    let ids: Vec<SlotId> = visit_slots.iter().map(|slot| slot.id).collect();
    let held = diesel::update(
        slots::table
            .filter(slots::id.eq_any(ids))
            .filter(slots::appointment_id.is_null())
            .filter(slots::blocked_reason.is_null())
            .filter(slots::held_until.is_null().or(slots::held_until.le(now))),
    )
    .set((slots::hold_id.eq(hold.id), slots::held_until.eq(hold.expires_at)))
    .execute(tx)?;
    if held != visit_slots.len() {
        return Err(model::Unfit::Taken.into());
    }
    dto(tx, &hold, &offer)
}

/// Takes a hold off its slots, which are locked.
fn clear(tx: &mut Conn, hold: HoldId) -> Result<()> {
    diesel::update(slots::table.filter(slots::hold_id.eq(hold)))
        .set((slots::hold_id.eq(None::<HoldId>), slots::held_until.eq(None::<Timestamp>)))
        .execute(tx)?;
    Ok(())
}

/// Ends holds whose time the plan takes away: they count as lapsed. Their slots must be locked.
pub(super) fn end(tx: &mut Conn, ended: &[HoldId], now: Timestamp) -> Result<()> {
    for id in ended {
        diesel::update(holds::table.find(id)).set(holds::expires_at.eq(now)).execute(tx)?;
        clear(tx, *id)?;
    }
    Ok(())
}

fn dto(tx: &mut Conn, hold: &Hold, offer: &Offer) -> Result<HoldDto> {
    let (starts_at, ends_at) = offer.time();
    let slot = search::SlotDto {
        id: offer.slot.id,
        practitioner_id: offer.slot.practitioner_id,
        location_id: offer.slot.location_id,
        starts_at,
        ends_at,
        time_zone: store::location(tx, offer.slot.location_id)?.time_zone,
    };
    Ok(HoldDto {
        hold_id: hold.id,
        visit_type_id: hold.visit_type_id,
        expires_at: hold.expires_at,
        renewable: !hold.renewed,
        slot,
    })
}

/// Renew a hold
///
/// Once: it then lapses ten minutes from now.
#[utoipa::path(
    tag = "slots",
    operation_id = "renew_hold",
    security(("bearer" = [])),
    params(
        ("id" = HoldId, Path, description = "The hold"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; repeat it to repeat the request safely.", max_length = 255),
    ),
    responses(
        (status = 200, description = "The hold as it is now", body = HoldDto),
        (status = 409, description = "`hold_renewed`: it was renewed before. `hold_lapsed`: it is over. \
            `request_in_progress`: a request with this Idempotency-Key is still at work"),
    ),
)]
#[post("/v1/holds/{id}/renew")]
pub async fn renew_hold(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<HoldId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::SlotHold)?;
    let operation = format!("renew_hold {id}");
    let request = Request::of(&actor, operation, key, &[]);
    let within = env.clone();
    idempotency::run(&env, request, move |tx| {
        let hold = renew(tx, within.now(), &actor, id)?;
        audit::record(tx, &within, &actor.trail, id.0)?;
        Answer::json(200, &hold)
    })
    .await
}

fn renew(tx: &mut Conn, now: Timestamp, actor: &Actor, id: HoldId) -> Result<HoldDto> {
    let mut hold = current(tx, id, actor.user_id, now)?;
    if hold.renewed {
        return Err(Error::conflict("hold_renewed", "The hold was renewed before; it cannot be renewed again."));
    }
    locks::lock(tx, &[], Some(id))?;
    hold.renewed = true;
    hold.expires_at = now.plus(LASTS);
    let unchanged = holds::table.find(id).filter(holds::renewed.eq(false));
    let renewed =
        diesel::update(unchanged).set((holds::renewed.eq(true), holds::expires_at.eq(hold.expires_at))).execute(tx)?;
    if renewed == 0 {
        // Another request of the account was quicker; look at it anew.
        return Err(Error::Retry);
    }
    diesel::update(slots::table.filter(slots::hold_id.eq(id)))
        .set(slots::held_until.eq(hold.expires_at))
        .execute(tx)?;
    let offer = offers::find(tx, hold.slot_id, hold.visit_type_id)?;
    dto(tx, &hold, &offer)
}

/// Let go of a hold
///
/// The time is free for others at once.
#[utoipa::path(
    tag = "slots",
    operation_id = "release_hold",
    security(("bearer" = [])),
    params(("id" = HoldId, Path, description = "The hold")),
    responses((status = 204, description = "It is gone")),
)]
#[delete("/v1/holds/{id}")]
pub async fn release_hold(env: web::Data<Env>, actor: Actor, PathId(id): PathId<HoldId>) -> Result<HttpResponse> {
    actor.require(Action::SlotHold)?;
    let within = env.clone();
    env.db
        .write(move |tx| {
            holds::table.find(id).filter(holds::user_id.eq(actor.user_id)).select(holds::id).first::<HoldId>(tx)?;
            let held = locks::lock(tx, &[], Some(id))?;
            diesel::delete(holds::table.find(id)).execute(tx)?;
            clear(tx, id)?;
            audit::record(tx, &within, &actor.trail, id.0)?;
            withdraw_unwanted(tx, &held)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
