//! Holding a time before it is booked. What a hold is and how it ends is in scheduling; this adds the limits of bookings, so that a
//! patient learns of them before filling in the rest.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, post};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::status::AppointmentStep;
use super::steps::circumstances;
use super::{limits, queries};
use crate::context::{Context, Once, Principal, Tx};
use crate::error::{Error, FieldCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{AppointmentId, SlotId, VisitTypeId};
use crate::scheduling::slots::holds::holder::Holder;
use crate::scheduling::slots::holds::taking::{self, CreatedHold, NewHold};
use crate::scheduling::slots::search::with_next_free;

/// Holds the slots of a visit for the caller.
///
/// # Errors
/// The conflicts of the endpoint; a broken rule for a stranger's idempotency key.
pub async fn hold(
    context: &Context<Holder>,
    once: Once<Holder>,
    slot: SlotId,
    new: NewHold,
) -> Result<Versioned<CreatedHold>> {
    context.actor.require_permission()?;
    let once = context.actor.once(once)?;
    if new.appointment_id.is_some() && context.actor.actor().is_none() {
        return Err(Error::invalid("/appointment_id", FieldCode::NotSignedIn, "is only for callers who are signed in"));
    }
    let visit_type = new.visit_type_id;
    let permit = match context.actor.actor() {
        Some(_) => None,
        None => Some(Arc::new(permit_for_stranger().await?)),
    };
    let held = context.change_once(once, move |tx| {
        // Until the transaction has ended, also if the caller has gone.
        let _permit = &permit;
        let mut new_account = None;
        match (tx.actor.actor(), new.appointment_id) {
            (Some(actor), Some(id)) => {
                require_movable(&mut tx.as_actor(actor), id, visit_type)?;
                if !actor.is_staff() {
                    limits::require_room_to_move(tx.conn, tx.env, actor.user_id, id, tx.now)?;
                }
            }
            (Some(actor), None) if !actor.is_staff() => {
                let origin = limits::require_room_for_someone(tx.conn, tx.env, actor.user_id, tx.now)?;
                new_account = origin.map(|origin| (actor.user_id, origin));
            }
            _ => {}
        }
        let held = taking::take(tx, slot, visit_type)?;
        // Other accounts may have stored holds while this request waited for the slots.
        if let Some((user, origin)) = new_account {
            limits::require_room_at_origin(tx.conn, tx.env, user, &origin, tx.now)?;
        }
        Ok(held)
    });
    match held.await {
        Err(error) => Err(with_next_free(context, error, slot, visit_type).await),
        held => held,
    }
}

/// How many holds of strangers an instance decides at once. Each looks at a whole day: more of them would keep others from the database.
static STRANGERS_AT_ONCE: Semaphore = Semaphore::const_new(2);
/// How long a stranger waits for the decision about others.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the hold of a stranger may be decided, without a connection to the database.
async fn permit_for_stranger() -> Result<SemaphorePermit<'static>> {
    match tokio::time::timeout(PATIENCE, STRANGERS_AT_ONCE.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) | Err(_) => {
            Err(Error::unavailable(5, "too many callers without an account hold times at this moment"))
        }
    }
}

/// Requires that the caller may move the appointment to a time of this kind of visit.
fn require_movable(tx: &mut Tx, id: AppointmentId, visit_type: VisitTypeId) -> Result<()> {
    let found = queries::find(tx, id)?;
    circumstances(tx, &found)?.decide(found.appointment.status, AppointmentStep::Reschedule)?;
    if found.appointment.visit_type_id != visit_type {
        return Err(Error::invalid("/visit_type_id", FieldCode::WrongValue, "must be that of the appointment"));
    }
    Ok(())
}

/// Hold a slot
///
/// Keeps all slots of a visit for the caller for ten minutes. Works with and without a session. A hold lapses by itself. A booking uses it
/// up.
///
/// - A patient's account has one hold; another one replaces it. `replaced_hold_id` names a hold that was replaced. Staff have several at
///   once (the setting `STAFF_HOLDS`).
/// - Without a session the response has a `secret`, which stands for the hold's owner. Send the secret of an earlier hold as `Hold-Secret`,
///   and the new one replaces it. Register with `hold_id` and the secret (`POST /v1/registrations`), or sign in and book with both
///   (`POST /v1/appointments`), or move an appointment with both. Callers without an account may hold only some times at once, by address, network and day. They must not
///   send an `Idempotency-Key`.
#[utoipa::path(
    tag = "slots",
    operation_id = "create_hold",
    security((), ("bearer" = [])),
    params(
        ("id" = SlotId, Path, description = "The slot in which the visit starts"),
        ("Hold-Secret" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewHold,
    responses(
        (status = 201, description = "The hold", body = CreatedHold),
        (status = 409, description = "`slot_taken`: the visit does not fit, or the slot is not offered any more; `next_free` has the next slots in which it fits. \
            `not_offered`: the practitioner does not offer this visit type. `slot_past`: the slot is over. \
            `hold_limit`: staff hold as many times as they may, or callers without an account do; `detail` says what to do. \
            For patients also `not_online_bookable`: only staff book it, and `booking_notice`: it starts too soon. \
            `booking_limit`, `account_booking_limit` and `new_account_limit`: none of the account's patients may have another upcoming appointment; send `appointment_id` to move one. \
            `status_conflict`: that appointment cannot be moved any more"),
        (status = 404, description = "`not_found`: the slot, the visit type or the appointment does not exist, or the caller may not see it"),
    ),
)]
#[post("/v1/slots/{id}/hold")]
pub(super) async fn create_hold(
    context: Context<Holder>,
    PathId(id): PathId<SlotId>,
    key: IdempotencyKey,
    body: Body<NewHold>,
) -> Result<HttpResponse> {
    let created = hold(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/holds/{}", created.object.hold.id), &created))
}
