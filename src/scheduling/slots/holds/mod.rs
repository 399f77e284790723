//! Holds: the slots of a visit kept for one caller for ten minutes, so that nobody else takes the time meanwhile. A hold belongs to an
//! account, to a stranger who has its secret, or to the patient to whom the clinic offers the time (`keeping.rs`).
//!
//! A hold ends in one of four ways: it lapses by the clock, without a job; a booking uses it up; its holder releases it or replaces it
//! by another one. A registration turns a stranger's hold into a reservation, which lasts longer.

mod day_share;
pub mod ending;
pub mod holder;
pub mod keeping;
pub mod renewing;
pub mod reserving;
mod share;
mod strangers;
pub mod taking;

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::holder::Holder;
use super::free::SlotView;
use super::offers::{self, Offer};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::db::Conn;
use crate::db::schema::holds;
use crate::error::{Error, ProblemCode, Result};
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{HoldId, SlotId, UserId, VisitTypeId};
use crate::scheduling::setup::location;
use crate::scheduling::visit_time::VisitTime;

/// How long a hold lasts from its creation or renewal: time to fill in a registration, without keeping the slot from others for long.
const DURATION: SignedDuration = SignedDuration::from_mins(10);

/// A hold's row.
#[derive(Clone, Queryable, Selectable, Insertable)]
// Without the default values, the insert stays prepared.
#[diesel(table_name = holds, treat_none_as_default_value = false)]
pub struct Hold {
    pub id: HoldId,
    /// The account that holds the slots; none for a stranger's hold.
    user_id: Option<UserId>,
    /// Which of the account's holds it is, from 0. An account has at most one in each place.
    place: i32,
    /// The hash of a stranger's secret.
    secret_hash: Option<Vec<u8>>,
    /// The stranger's address, under a keyed hash.
    caller: Option<Vec<u8>>,
    /// The stranger's network, under a keyed hash.
    network: Option<Vec<u8>>,
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The time at which it lapses.
    pub expires_at: Timestamp,
    /// Whether it was renewed, which is possible once.
    renewed: bool,
    /// Whether a registration carries it. It then lasts as long as the link that books it needs, and cannot be renewed.
    reserved: bool,
    /// Whether it keeps the time of an offer. It then has no holder, and lasts as long as the offer.
    offered: bool,
    /// The time at which it was created.
    pub created_at: Timestamp,
}

impl Hold {
    fn version(&self) -> i32 {
        // A renewal and a reservation are the only changes of a hold.
        1 + i32::from(self.renewed) + i32::from(self.reserved)
    }
}

/// Loads a hold of the caller.
///
/// # Errors
/// [`Error::NotFound`], also if it is another caller's.
fn find(conn: &mut Conn, id: HoldId, holder: &Holder) -> Result<Hold> {
    let hold: Hold = holds::table.find(id).select(Hold::as_select()).first(conn)?;
    if holder.has(&hold) { Ok(hold) } else { Err(Error::NotFound) }
}

/// A hold.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Hold, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "expires_at": "2026-03-09T09:10:00Z", "renewable": true, "reserved": false,
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
    /// Whether a registration carries it. Following the registration's link books it.
    pub reserved: bool,
    /// The slot in which the visit starts, with the time of the whole visit.
    pub slot: SlotView,
}

impl HoldView {
    fn new(hold: &Hold, offer: &Offer, time_zone: String) -> Self {
        let VisitTime { starts_at, ends_at, .. } = offer.time();
        let slot = SlotView {
            id: offer.slot.id,
            practitioner_id: offer.slot.practitioner_id,
            location_id: offer.slot.location_id,
            starts_at,
            ends_at,
            time_zone,
        };
        Self {
            id: hold.id,
            visit_type_id: hold.visit_type_id,
            expires_at: hold.expires_at,
            renewable: !hold.renewed && !hold.reserved,
            reserved: hold.reserved,
            slot,
        }
    }

    fn load(conn: &mut Conn, hold: &Hold) -> Result<Versioned<Self>> {
        let offer = offers::find(conn, hold.slot_id, hold.visit_type_id)?;
        let time_zone = location::find(conn, offer.slot.location_id)?.time_zone;
        Ok(Versioned { version: hold.version(), object: Self::new(hold, &offer, time_zone) })
    }
}

/// The conflict for a hold that lapsed before it was renewed.
fn lapsed() -> Error {
    Error::conflict(ProblemCode::HoldLapsed, "The hold lapsed. Hold the slot again if it is still free.")
}

/// Reads a hold of the caller.
///
/// # Errors
/// [`Error::NotFound`], also if it lapsed.
pub async fn read(context: &Context<Holder>, id: HoldId) -> Result<Versioned<HoldView>> {
    context.actor.require_permission()?;
    context
        .read(move |tx| {
            let hold = find(tx.conn, id, tx.actor)?;
            if hold.expires_at <= tx.now {
                return Err(Error::NotFound);
            }
            HoldView::load(tx.conn, &hold)
        })
        .await
}

/// Read a hold
///
/// For the account that holds the slots, or with the hold's secret in `Hold-Secret`. A hold that lapsed, or was released, replaced or used,
/// is not found.
#[utoipa::path(
    tag = "slots",
    operation_id = "get_hold",
    security((), ("bearer" = [])),
    params(
        ("id" = HoldId, Path, description = "The hold"),
        ("Hold-Secret" = Option<String>, Header),
    ),
    responses((status = 200, description = "The hold", body = HoldView)),
)]
#[get("/v1/holds/{id}")]
pub(in crate::scheduling) async fn get_hold(
    context: Context<Holder>,
    PathId(id): PathId<HoldId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
