//! What a caller asks for to book, move or hold: a slot, and a visit type whose visit starts in it.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::locking::SlotRange;
use super::slot::{Slot, slot_gone};
use crate::clock::Timestamp;
use crate::db::schema::{
    locations, practitioner_visit_types, practitioners, slots as times, visit_type_resources, visit_types,
};
use crate::db::{Conn, per_backend};
use crate::error::{Error, FieldCode, ProblemCode, Result};
use crate::ids::{SlotId, VisitTypeId};
use crate::scheduling::setup::visit_type::VisitType;
use crate::scheduling::visit_time::VisitTime;

/// A slot, and a visit type whose visit starts in it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The slot before it is locked.
    pub slot: Slot,
    /// The kind of visit.
    pub visit_type: VisitType,
    /// Whether the slot's practitioner is active and offers the visit type.
    is_offered: bool,
    /// Whether the visit needs resources.
    pub needs_resources: bool,
    /// The IANA name of the location's time zone.
    pub time_zone: String,
}

/// Loads the offer of a slot and a visit type in one query, without a lock.
///
/// # Errors
/// The conflict `slot_taken` if the slot does not exist (any more); a broken rule if the visit type does not exist.
pub fn find(conn: &mut Conn, slot: SlotId, visit_type: VisitTypeId) -> Result<Offer> {
    let found: Option<(Slot, Option<VisitType>, bool, bool, String)> = per_backend!(conn, conn => {
        let offered = exists(
            practitioner_visit_types::table
                .inner_join(practitioners::table.on(practitioners::id.eq(practitioner_visit_types::practitioner_id)))
                .filter(practitioner_visit_types::practitioner_id.eq(times::practitioner_id))
                .filter(practitioner_visit_types::visit_type_id.eq(visit_type))
                .filter(practitioners::active.eq(true)),
        );
        let needs_resources =
            exists(visit_type_resources::table.filter(visit_type_resources::visit_type_id.eq(visit_type)));
        times::table
            .inner_join(locations::table.on(locations::id.eq(times::location_id)))
            .left_join(visit_types::table.on(visit_types::id.eq(visit_type)))
            .filter(times::id.eq(slot))
            .select((Slot::as_select(), Option::<VisitType>::as_select(), offered, needs_resources, locations::time_zone))
            .first(conn)
    })
    .optional()?;
    let (slot, visit_type, is_offered, needs_resources, time_zone) = found.ok_or_else(slot_gone)?;
    let Some(visit_type) = visit_type else {
        return Err(Error::invalid("/visit_type_id", FieldCode::UnknownReference, "there is no such visit type"));
    };
    Ok(Offer { slot, visit_type, is_offered, needs_resources, time_zone })
}

fn not_offered() -> Error {
    Error::conflict(
        ProblemCode::NotOffered,
        "The practitioner of this slot does not offer this visit type. Choose another one.",
    )
}

impl Offer {
    /// Requires that the caller can book or hold the offer now. Staff can until the slot ends. Patients can only if the visit type is
    /// bookable online, before the slot starts, and with the visit type's notice at the time of their choice: with a hold, that of its
    /// creation, so that a time that was held can be booked.
    ///
    /// # Errors
    /// The conflicts `not_offered`, `not_online_bookable`, `slot_past` and `booking_notice`.
    pub fn require_bookable(&self, by_staff: bool, chosen_at: Timestamp, now: Timestamp) -> Result<()> {
        let Self { slot, visit_type, is_offered, .. } = self;
        if !visit_type.active {
            return Err(not_offered());
        }
        if by_staff {
            if slot.ends_at <= now {
                return Err(Error::conflict(ProblemCode::SlotPast, "The slot is over. Choose a later one."));
            }
        } else {
            if !visit_type.online_bookable {
                let detail = "Only the clinic's staff book this visit type. Call the clinic.";
                return Err(Error::conflict(ProblemCode::NotOnlineBookable, detail));
            }
            if slot.starts_at <= now {
                return Err(Error::conflict(ProblemCode::SlotPast, "The slot has started. Choose a later one."));
            }
            if slot.starts_at < visit_type.earliest_for_patients(chosen_at) {
                let minutes = visit_type.booking_notice_minutes;
                let detail = format!("Book at least {minutes} minutes ahead, or call the clinic.");
                return Err(Error::conflict(ProblemCode::BookingNotice, detail));
            }
        }
        if *is_offered { Ok(()) } else { Err(not_offered()) }
    }

    /// The slots of the visit with its buffers.
    pub fn range(&self) -> SlotRange {
        let VisitTime { busy_from, busy_until, .. } = self.time();
        SlotRange { practitioner_id: self.slot.practitioner_id, from: busy_from, to: busy_until }
    }

    /// The times of the visit.
    pub fn time(&self) -> VisitTime {
        self.visit_type.length().starting(self.slot.starts_at)
    }
}
