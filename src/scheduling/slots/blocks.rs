//! Blocking slots: a blocked slot is not offered and cannot be booked.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::locking;
use super::releasing::delete_unplanned;
use super::slot::{DoesNotFit, Slot};
use crate::actor::{Action, Reach};
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::slots;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::{Body, PathId, response};
use crate::ids::{LocationId, PractitionerId, SlotId};
use crate::scheduling::setup::location;
use crate::sealed::{Place, Sealed};

/// A slot as staff see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
    "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T13:45:00Z", "time_zone": "America/New_York", "blocked": true, "reason": "Staff meeting"
}))]
pub struct StaffSlot {
    /// The slot.
    pub id: SlotId,
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The location.
    pub location_id: LocationId,
    /// The start.
    pub starts_at: Timestamp,
    /// The end.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// Whether it is blocked.
    pub blocked: bool,
    /// The reason of the block; null if it is not blocked.
    pub reason: Option<String>,
}

/// The reason of a block.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Staff meeting"}))]
pub struct BlockSlotRequest {
    /// The reason, for staff. Stored encrypted.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Blocks a slot, or changes the reason of its block.
///
/// # Errors
/// [`Error::NotFound`], also if it is another practitioner's and the caller blocks only their own; the conflict `slot_taken`.
pub async fn block(context: &Context, id: SlotId, request: BlockSlotRequest) -> Result<StaffSlot> {
    let reach = context.require(Action::SlotBlock)?;
    let mut check = Check::new();
    let reason = check.field("/reason", text::one_line(&request.reason, text::MAX_REASON));
    check.done()?;
    context.change(move |tx| store(tx, reach, id, reason.as_ref())).await
}

/// Unblocks a slot.
///
/// # Errors
/// [`Error::NotFound`], also if it is another practitioner's and the caller blocks only their own.
pub async fn unblock(context: &Context, id: SlotId) -> Result<StaffSlot> {
    let reach = context.require(Action::SlotBlock)?;
    context.change(move |tx| store(tx, reach, id, None)).await
}

/// Decrypts the reason of a block.
pub fn open_reason(env: &Env, slot: SlotId, sealed: Vec<u8>) -> Result<String> {
    env.sealer.open(place(slot), &Sealed::<String>::from_bytes(sealed))
}

fn place(slot: SlotId) -> Place {
    Place::new("slots", "blocked_reason", slot.0)
}

/// Blocks the slot for a reason, or unblocks it without one.
fn store(tx: &mut Tx, reach: Reach, id: SlotId, reason: Option<&String>) -> Result<StaffSlot> {
    let slot = locking::lock_slot(tx.conn, id)?;
    if reach == Reach::Own && tx.actor.practitioner_id != Some(slot.practitioner_id) {
        return Err(Error::NotFound);
    }
    match reason {
        Some(_) if slot.appointment_id.is_some() => return Err(DoesNotFit::Taken.into()),
        Some(_) if slot.is_held(tx.now, None) => return Err(DoesNotFit::Held.into()),
        _ => {}
    }
    let sealed = reason.map(|reason| tx.env.sealer.seal(place(slot.id), reason)).transpose()?;
    let bytes = sealed.as_ref().map(|sealed| sealed.as_bytes().to_vec());
    diesel::update(slots::table.find(id)).set(slots::blocked_reason.eq(bytes)).execute(tx.conn)?;
    if reason.is_none() && slot.appointment_id.is_none() && !slot.is_held(tx.now, None) {
        delete_unplanned(tx, std::slice::from_ref(&slot))?;
    }
    let time_zone = location::find(tx.conn, slot.location_id)?.time_zone;
    let Slot { practitioner_id, location_id, starts_at, ends_at, .. } = slot;
    Ok(StaffSlot {
        id,
        practitioner_id,
        location_id,
        starts_at,
        ends_at,
        time_zone,
        blocked: reason.is_some(),
        reason: reason.cloned(),
    })
}

/// Block a slot
///
/// Staff only; practitioners block only their own slots. The slot is not offered until it is unblocked. Blocking it again changes the
/// reason.
#[utoipa::path(
    tag = "slots",
    operation_id = "block_slot",
    security(("bearer" = [])),
    params(("id" = SlotId, Path, description = "The slot")),
    request_body = BlockSlotRequest,
    responses(
        (status = 200, description = "The blocked slot", body = StaffSlot),
        (status = 409, description = "`slot_taken`: the slot is booked or held"),
    ),
)]
#[post("/v1/slots/{id}/block")]
pub(in crate::scheduling) async fn block_slot(
    context: Context,
    PathId(id): PathId<SlotId>,
    body: Body<BlockSlotRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&block(&context, id, body.value).await?))
}

/// Unblock a slot
///
/// Staff only; practitioners unblock only their own slots. The slot can be booked again. A slot that is not blocked does not change.
#[utoipa::path(
    tag = "slots",
    operation_id = "unblock_slot",
    security(("bearer" = [])),
    params(("id" = SlotId, Path, description = "The slot")),
    responses((status = 200, description = "The slot", body = StaffSlot)),
)]
#[post("/v1/slots/{id}/unblock")]
pub(in crate::scheduling) async fn unblock_slot(context: Context, PathId(id): PathId<SlotId>) -> Result<HttpResponse> {
    Ok(response::ok(&unblock(&context, id).await?))
}
