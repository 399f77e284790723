//! Takes holds.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::day_share::HeldVisit;
use super::ending::{free_slots, note_stranger};
use super::holder::Holder;
use super::strangers::{self, Counted};
use super::{DURATION, Hold, HoldView};
use crate::accounts::tokens;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::per_backend;
use crate::db::schema::{holds, slots};
use crate::db::update::update;
use crate::error::{Error, ProblemCode, Result};
use crate::http::response::Versioned;
use crate::ids::{AppointmentId, HoldId, SlotId, UserId, VisitTypeId};
use crate::scheduling::setup::location;
use crate::scheduling::slots::releasing::delete_unplanned;
use crate::scheduling::slots::slot::{DoesNotFit, Slot, check_fit, is_free, slot_gone};
use crate::scheduling::slots::units::{self, ChosenUnits, Occupant, Own};
use crate::scheduling::slots::{locking, offers};
use crate::scheduling::visit_time::VisitTime;

/// A hold to create.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03"}))]
pub struct NewHold {
    /// The kind of visit. All slots of the visit are held.
    pub visit_type_id: VisitTypeId,
    /// The appointment that the hold is to move, of the same kind of visit. A patient who has as many appointments as allowed can still
    /// hold a time to move one. Needs a session.
    #[serde(default)]
    pub appointment_id: Option<AppointmentId>,
}

/// A hold that was just taken.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "visit_type_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c03",
    "expires_at": "2026-03-09T09:10:00Z", "renewable": true, "reserved": false,
    "slot": {
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
        "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
        "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
    },
    "secret": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "replaced_hold_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c70"
}))]
pub struct CreatedHold {
    /// The hold.
    #[serde(flatten)]
    pub hold: HoldView,
    /// The secret of a hold without a session, shown this once. Send it as `Hold-Secret` to read, renew or release the hold, and as
    /// `hold_secret` to register or book with it. Keep it in memory; never put it into a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub secret: Option<String>,
    /// The caller's hold that this one replaced, if there was one. Its slots are free again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replaced_hold_id: Option<HoldId>,
}

/// Where a new hold goes among the caller's holds.
struct Place {
    place: i32,
    /// The hold that it replaces, which may have lapsed.
    old: Option<(HoldId, Timestamp)>,
}

/// Finds the place of the account's new hold. An account that may have one hold replaces it; one that may have several must release one
/// when all places are taken.
///
/// # Errors
/// The conflict `hold_limit`.
fn place_of_account(tx: &mut Tx<Holder>, user: UserId) -> Result<Place> {
    let limit = if tx.actor.is_staff() { i32::from(tx.env.config.settings.staff_holds) } else { 1 };
    let own: Vec<(i32, HoldId, Timestamp)> = holds::table
        .filter(holds::user_id.eq(user))
        .order(holds::place)
        .select((holds::place, holds::id, holds::expires_at))
        .load(tx.conn)?;
    let at = |place: i32| own.iter().find(|(of, ..)| *of == place).map(|(_, id, expires_at)| (*id, *expires_at));
    let free = (0..limit).find(|place| at(*place).is_none_or(|(_, expires_at)| expires_at <= tx.now));
    match free {
        Some(place) => Ok(Place { place, old: at(place) }),
        None if limit == 1 => Ok(Place { place: 0, old: at(0) }),
        None => {
            let detail = format!("This account holds {limit} times already. Book or release one first.");
            Err(Error::conflict(ProblemCode::HoldLimit, detail))
        }
    }
}

/// Finds the stranger's earlier hold, whose secret the request has.
fn place_of_stranger(tx: &mut Tx<Holder>) -> Result<Place> {
    let Some(secret_hash) = tx.actor.secret_hash() else { return Ok(Place { place: 0, old: None }) };
    let old = holds::table.filter(holds::secret_hash.eq(secret_hash)).select((holds::id, holds::expires_at));
    Ok(Place { place: 0, old: old.first(tx.conn).optional()? })
}

/// Holds the slots of a visit for the caller, in an open transaction.
///
/// # Errors
/// The conflicts of the endpoint.
pub fn take(tx: &mut Tx<Holder>, slot_id: SlotId, visit_type_id: VisitTypeId) -> Result<Versioned<CreatedHold>> {
    let offer = offers::find(tx.conn, slot_id, visit_type_id)?;
    offer.require_bookable(tx.actor.is_staff(), tx.now, tx.now)?;
    let location = location::find(tx.conn, offer.slot.location_id)?;
    let user = tx.actor.account();
    let stranger = if user.is_none() { Some(Counted::new(tx.env, &tx.actor.origin)) } else { None };
    if stranger.is_some() {
        strangers::lock(tx.conn)?;
    }
    let Place { place, old } = match user {
        Some(user) => place_of_account(tx, user)?,
        None => place_of_stranger(tx)?,
    };
    let replaced = old.map(|(id, _)| id);
    let range = offer.range();
    let locked = locking::lock(tx.conn, &[range], replaced)?;
    let (visit_slots, others): (Vec<Slot>, Vec<Slot>) = locked.into_iter().partition(|slot| range.includes(slot));
    if visit_slots.iter().all(|slot| slot.id != slot_id) {
        return Err(slot_gone());
    }
    check_fit(&visit_slots, offer.time(), tx.now, replaced)?;
    let mut units = ChosenUnits::default();
    if offer.needs_resources {
        let all = units::lock(tx.conn, &[visit_type_id], &[location.id])?;
        let own = Own { appointment: None, hold: replaced };
        units = units::choose(tx.conn, visit_type_id, all, (location.id, offer.time()), own, tx.now)?;
    }
    if let Some(counted) = &stranger {
        let visit = HeldVisit { location: &location, slots: &visit_slots, units: units.units() };
        strangers::require_room(tx, counted, &visit, replaced)?;
    }
    if let Some(old) = replaced {
        diesel::delete(holds::table.find(old)).execute(tx.conn)?;
        free_slots(tx.conn, old)?;
        delete_unplanned(tx, &others)?;
    }
    let secret = stranger.is_some().then(|| tokens::opaque(&tx.env.entropy));
    let (caller, network) = stranger.map(|counted| (counted.caller, counted.network)).unzip();
    let hold = Hold {
        id: tx.env.new_id(),
        user_id: user,
        place,
        secret_hash: secret.as_deref().map(tokens::hash),
        caller,
        network,
        slot_id,
        visit_type_id: offer.visit_type.id,
        expires_at: tx.now.plus(DURATION),
        renewed: false,
        reserved: false,
        offered: false,
        created_at: tx.now,
    };
    occupy(tx, &hold, offer.time(), &visit_slots, &units)?;
    tx.audit.note_object(hold.id.0);
    note_stranger(tx);
    let object = CreatedHold {
        hold: HoldView::new(&hold, &offer, location.time_zone),
        secret,
        replaced_hold_id: old.filter(|(_, expires_at)| *expires_at > tx.now).map(|(id, _)| id),
    };
    Ok(Versioned { version: hold.version(), object })
}

/// Stores a hold and gives it the slots and the units of its visit, which are locked.
///
/// # Errors
/// The conflict `slot_taken` if a slot is not free after all.
pub(super) fn occupy<P>(
    tx: &mut Tx<P>,
    hold: &Hold,
    time: VisitTime,
    visit_slots: &[Slot],
    units: &ChosenUnits,
) -> Result<()> {
    per_backend!(tx.conn, conn => diesel::insert_into(holds::table).values(hold).execute(conn))?;
    units.take(tx.conn, tx.env, time, Occupant::Hold(hold.id), tx.now)?;
    let ids: Vec<SlotId> = visit_slots.iter().map(|slot| slot.id).collect();
    let held = per_backend!(tx.conn, conn => {
        let free = slots::id.eq_any(ids).and(is_free(tx.now, None));
        let holding = (slots::hold_id.eq(hold.id), slots::held_until.eq(hold.expires_at));
        update(slots::table, free, holding).execute(conn)
    })?;
    if held == visit_slots.len() { Ok(()) } else { Err(DoesNotFit::Taken.into()) }
}
