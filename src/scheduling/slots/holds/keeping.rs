//! Holds that keep the time of an offer for its patient. They belong to no caller: the offer says who may use one up.

use std::collections::HashMap;

use diesel::prelude::*;

use super::taking::occupy;
use super::{Hold, ending};
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::{holds, visit_types};
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{HoldId, SlotId, VisitTypeId};
use crate::scheduling::slots::offers::{self, Offer};
use crate::scheduling::slots::slot::check_fit;
use crate::scheduling::slots::units::{self, ChosenUnits, Own};
use crate::scheduling::slots::{locking, releasing};

/// Keeps the slots of a visit until an instant, which may depend on the time zone of the location, by the rules of a patient's booking at that
/// instant, so that the patient can book until then. `by_staff`: by the rules of a booking by staff now, at most until the slot ends. Returns
/// the hold with its end.
///
/// # Errors
/// The conflicts `slot_taken`, `not_offered`, `not_online_bookable`, `booking_notice` and `slot_past`; those of `until`.
pub fn keep<P>(
    tx: &mut Tx<P>,
    slot_id: SlotId,
    visit_type_id: VisitTypeId,
    until: impl FnOnce(&str) -> Result<Timestamp>,
    by_staff: bool,
) -> Result<(HoldId, Timestamp, Offer)> {
    let offer = offers::find(tx.conn, slot_id, visit_type_id)?;
    let until = until(&offer.time_zone)?;
    let until = if by_staff { until.min(offer.slot.ends_at) } else { until };
    let booked_at = if by_staff { tx.now } else { until };
    offer.require_bookable(by_staff, booked_at, booked_at)?;
    let visit_slots = locking::lock_visit(tx.conn, slot_id, offer.range(), None)?;
    check_fit(&visit_slots, offer.time(), tx.now, None)?;
    let mut chosen = ChosenUnits::default();
    if offer.needs_resources {
        let place = (offer.slot.location_id, offer.time());
        let all = units::lock(tx.conn, &[visit_type_id], &[offer.slot.location_id])?;
        chosen = units::choose(tx.conn, visit_type_id, all, place, Own::default(), tx.now)?;
    }
    let hold = Hold {
        id: tx.env.new_id(),
        user_id: None,
        place: 0,
        secret_hash: None,
        caller: None,
        network: None,
        slot_id,
        visit_type_id,
        expires_at: until,
        renewed: false,
        reserved: false,
        offered: true,
        created_at: tx.now,
    };
    occupy(tx, &hold, offer.time(), &visit_slots, &chosen)?;
    Ok((hold.id, until, offer))
}

/// Releases the slots of an offer that ended. Does nothing if the hold was used up or deleted.
pub fn release<P>(tx: &mut Tx<P>, hold: HoldId) -> Result<()> {
    let held = ending::end(tx, hold)?;
    releasing::delete_unplanned(tx, &held)
}

/// The kind of visit of a hold that keeps its time.
#[derive(Debug, Clone, Copy)]
pub struct KeptKind {
    /// Whether the visit can be booked.
    pub active: bool,
    /// Whether patients can book it themselves.
    pub online_bookable: bool,
}

/// Returns those of the holds that still keep their time at the instant, each with its kind of visit as it is now. Others lapsed early, because
/// the hours changed, or were deleted.
pub fn keeping_at(conn: &mut Conn, ids: &[HoldId], at: Timestamp) -> Result<HashMap<HoldId, KeptKind>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = ids.to_vec();
    let kept: Vec<(HoldId, bool, bool)> = per_backend!(conn, conn => holds::table
        .inner_join(visit_types::table.on(visit_types::id.eq(holds::visit_type_id)))
        .filter(holds::id.eq_any(ids))
        .filter(holds::expires_at.gt(at))
        .select((holds::id, visit_types::active, visit_types::online_bookable))
        .load(conn))?;
    let kept = kept.into_iter().map(|(id, active, online_bookable)| (id, KeptKind { active, online_bookable }));
    Ok(kept.collect())
}
