//! What is asked for when a time is booked, moved or held: a slot, and a kind of visit that is to begin in it.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::model::{Slot, VisitType, gone, not_offered};
use super::slots::{self, Range};
use crate::clock::Timestamp;
use crate::db::schema::{practitioner_visit_types, practitioners, slots as times, visit_types};
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};
use crate::ids::{SlotId, VisitTypeId};

/// A slot, and a kind of visit that is to begin in it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The slot, as it stood before it was locked.
    pub slot: Slot,
    /// The kind of visit.
    pub visit_type: VisitType,
    /// Whether the slot's doctor is active and offers it.
    offered: bool,
}

/// The offer of a slot and a visit type, in one query and without a lock.
///
/// # Errors
/// The conflict `slot_taken` for a slot that is not there (any more); a broken rule for such a visit type.
pub fn find(tx: &mut Conn, slot: SlotId, visit_type: VisitTypeId) -> Result<Offer> {
    let found: Option<(Slot, Option<VisitType>, bool)> = per_backend!(tx, tx => {
        let offered = exists(
            practitioner_visit_types::table
                .inner_join(practitioners::table.on(practitioners::id.eq(practitioner_visit_types::practitioner_id)))
                .filter(practitioner_visit_types::practitioner_id.eq(times::practitioner_id))
                .filter(practitioner_visit_types::visit_type_id.eq(visit_type))
                .filter(practitioners::active.eq(true)),
        );
        times::table
            .left_join(visit_types::table.on(visit_types::id.eq(visit_type)))
            .filter(times::id.eq(slot))
            .select((Slot::as_select(), Option::<VisitType>::as_select(), offered))
            .first(tx)
    })
    .optional()?;
    let (slot, visit_type, offered) = found.ok_or_else(gone)?;
    let Some(visit_type) = visit_type else {
        return Err(Error::invalid("/visit_type_id", "unknown_reference", "there is no such visit type"));
    };
    Ok(Offer { slot, visit_type, offered })
}

impl Offer {
    /// Whether somebody may have it now.
    ///
    /// # Errors
    /// The conflicts `not_offered`, `not_online_bookable`, `booking_notice`, `slot_past`.
    pub fn admit(&self, by_staff: bool, now: Timestamp) -> Result<()> {
        self.visit_type.bookable(by_staff, &self.slot, now)?;
        if self.offered { Ok(()) } else { Err(not_offered()) }
    }

    /// The slots of the whole visit.
    pub fn range(&self) -> Range {
        slots::range_of_visit(&self.slot, self.visit_type.duration_minutes)
    }

    /// When the visit begins and ends.
    pub fn time(&self) -> (Timestamp, Timestamp) {
        (self.slot.starts_at, self.slot.starts_at.plus(self.visit_type.duration()))
    }
}
