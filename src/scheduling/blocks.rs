//! Slots that staff keep free: they vanish from the search, and nobody can book them.

use actix_web::{HttpResponse, post, web};
use diesel::prelude::*;

use super::model::{Slot, Unfit};
use super::releasing::withdraw_unwanted;
use super::{slots as locks, store};
use crate::actor::{Action, Actor, Reach};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::slots;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::{Body, PathId};
use crate::ids::{LocationId, PractitionerId, SlotId};
use crate::sealed::Place;
use crate::text;

/// A slot as staff see it.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T13:45:00Z", "time_zone": "America/New_York", "blocked": true, "blocked_reason": "Staff meeting"
}))]
pub struct BlockedSlotDto {
    /// Its id.
    pub id: SlotId,
    /// The doctor.
    pub practitioner_id: PractitionerId,
    /// The place.
    pub location_id: LocationId,
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// The IANA time zone of the place.
    pub time_zone: String,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Why it is.
    pub blocked_reason: Option<String>,
}

/// Why a slot is blocked.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Staff meeting"}))]
pub struct BlockInput {
    /// For the staff; it is kept encrypted.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Block a slot
///
/// For staff; a doctor only their own. The slot vanishes from the search until it is unblocked. Blocking it again changes
/// the reason.
#[utoipa::path(
    tag = "slots",
    operation_id = "block_slot",
    security(("bearer" = [])),
    params(("id" = SlotId, Path, description = "The slot")),
    request_body = BlockInput,
    responses(
        (status = 200, description = "The slot, blocked", body = BlockedSlotDto),
        (status = 409, description = "`slot_taken`: it is booked, or somebody holds it just now"),
    ),
)]
#[post("/v1/slots/{id}/block")]
pub async fn block_slot(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<SlotId>,
    body: Body<BlockInput>,
) -> Result<HttpResponse> {
    let reach = actor.require(Action::SlotBlock)?;
    let mut check = Check::new();
    let reason = check.field("/reason", text::one_line(&body.reason, 500));
    check.done()?;
    let within = env.clone();
    let slot = env.db.write(move |tx| set(tx, &within, &actor, reach, id, reason.as_ref())).await?;
    Ok(HttpResponse::Ok().json(slot))
}

/// Unblock a slot
///
/// For staff; a doctor only their own. The slot can be booked again. A slot that is not blocked stays as it is.
#[utoipa::path(
    tag = "slots",
    operation_id = "unblock_slot",
    security(("bearer" = [])),
    params(("id" = SlotId, Path, description = "The slot")),
    responses((status = 200, description = "The slot", body = BlockedSlotDto)),
)]
#[post("/v1/slots/{id}/unblock")]
pub async fn unblock_slot(env: web::Data<Env>, actor: Actor, PathId(id): PathId<SlotId>) -> Result<HttpResponse> {
    let reach = actor.require(Action::SlotBlock)?;
    let within = env.clone();
    let slot = env.db.write(move |tx| set(tx, &within, &actor, reach, id, None)).await?;
    Ok(HttpResponse::Ok().json(slot))
}

/// Blocks the slot for a reason, or unblocks it.
fn set(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    reach: Reach,
    id: SlotId,
    reason: Option<&String>,
) -> Result<BlockedSlotDto> {
    audit::record(tx, env, &actor.trail, id.0)?;
    let range = locks::range_of_visit(&locks::find(tx, id)?.ok_or(Error::NotFound)?, 1);
    let slot = locks::lock_visit(tx, id, range, None)?.into_iter().next().ok_or(Error::NotFound)?;
    if reach == Reach::Own && actor.practitioner_id != Some(slot.practitioner_id) {
        return Err(Error::NotFound);
    }
    let now = env.now();
    match reason {
        Some(_) if slot.appointment_id.is_some() => return Err(Unfit::Taken.into()),
        Some(_) if slot.is_held(now, None) => return Err(Unfit::Held.into()),
        _ => {}
    }
    let sealed =
        reason.map(|reason| env.sealer.seal(Place::new("slots", "blocked_reason", slot.id.0), reason)).transpose()?;
    let bytes = sealed.as_ref().map(|sealed| sealed.as_bytes().to_vec());
    diesel::update(slots::table.find(id)).set(slots::blocked_reason.eq(bytes)).execute(tx)?;
    if reason.is_none() && slot.appointment_id.is_none() && !slot.is_held(now, None) {
        withdraw_unwanted(tx, std::slice::from_ref(&slot))?;
    }
    let location = store::location(tx, slot.location_id)?;
    let Slot { practitioner_id, location_id, starts_at, ends_at, .. } = slot;
    Ok(BlockedSlotDto {
        id,
        practitioner_id,
        location_id,
        starts_at,
        ends_at,
        time_zone: location.time_zone,
        blocked: reason.is_some(),
        blocked_reason: reason.cloned(),
    })
}
