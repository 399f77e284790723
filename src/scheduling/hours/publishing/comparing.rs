//! What publishing changes: the comparison of the plan with the stored slots. Pure.

use super::super::plan::{Absence, AttentionReason};
use super::super::weekly::TimeRange;
use crate::clock::Timestamp;
use crate::ids::{AppointmentId, HoldId, SlotId};
use crate::scheduling::slots::slot::Slot;

/// What publishing has to change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SlotChanges {
    /// Slots that are not booked and that the plan does not give.
    pub remove: Vec<SlotId>,
    /// Slots that are missing.
    pub add: Vec<TimeRange>,
    /// Booked slots whose mark changes: the reason why the plan does not cover them, or none if it does.
    pub mark: Vec<(SlotId, Option<AttentionReason>)>,
    /// Holds that lose some of their slots.
    pub lapse: Vec<HoldId>,
    /// The appointments that the plan no longer covers, and those that overlap a new absence.
    pub affected: Vec<AppointmentId>,
    /// Their slots, which overbooked visits may share.
    pub affected_times: Vec<TimeRange>,
}

impl SlotChanges {
    /// Whether nothing has to change.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty() && self.mark.is_empty()
    }
}

/// Compares the slots that the plan contains with the stored ones of one practitioner. `wanted` start after `now`; both lists are in
/// order and have no overlaps. `why_not_covered` tells why the plan does not cover a time, however its slots are cut.
///
/// A blocked slot stays during time off and closures, because these can be deleted again. It also stays while it overlaps a slot that
/// the plan contains, because the block refers to the practitioner's time and not to how the time is cut.
pub(super) fn compare(
    wanted: &[TimeRange],
    why_not_covered: impl Fn(&TimeRange) -> Option<AttentionReason>,
    new_absences: &[Absence],
    stored: &[Slot],
    now: Timestamp,
) -> SlotChanges {
    let mut changes = SlotChanges::default();
    let mut kept: Vec<&Slot> = Vec::new();
    for slot in stored.iter().filter(|slot| slot.ends_at > now) {
        let time = slot.time_range();
        if let Some(appointment) = slot.appointment_id {
            let why = why_not_covered(&time);
            if why != slot.off_plan {
                changes.mark.push((slot.id, why));
            }
            let is_affected =
                why.is_some() && slot.off_plan.is_none() || new_absences.iter().any(|absence| absence.overlaps(&time));
            if is_affected {
                changes.affected_times.push(time);
                if !changes.affected.contains(&appointment) {
                    changes.affected.push(appointment);
                }
            }
            kept.push(slot);
            continue;
        }
        let is_held = slot.is_held(now, None);
        let stays = || match why_not_covered(&time) {
            None => is_held || slot.blocked && overlaps_wanted(wanted, slot),
            Some(AttentionReason::TimeOff | AttentionReason::Closure) => slot.blocked,
            // A plan never gives the reason of a changed zone.
            Some(AttentionReason::Hours | AttentionReason::ZoneChanged) => {
                slot.blocked && overlaps_wanted(wanted, slot)
            }
        };
        if slot.starts_at <= now || wanted.binary_search(&time).is_ok() || stays() {
            kept.push(slot);
        } else {
            changes.remove.push(slot.id);
            changes.lapse.extend(slot.hold_id.filter(|hold| is_held && !changes.lapse.contains(hold)));
        }
    }
    changes.add = wanted.iter().filter(|range| !overlaps_kept(&kept, range)).copied().collect();
    changes
}

/// Whether a slot overlaps one of `wanted`, which are in order.
fn overlaps_wanted(wanted: &[TimeRange], slot: &Slot) -> bool {
    let after = wanted.partition_point(|range| range.ends_at <= slot.starts_at);
    wanted.get(after).is_some_and(|range| range.overlaps(slot.starts_at, slot.ends_at))
}

/// Whether a range overlaps one of `kept`, which are in order.
fn overlaps_kept(kept: &[&Slot], range: &TimeRange) -> bool {
    let after = kept.partition_point(|slot| slot.ends_at <= range.starts_at);
    kept.get(after).is_some_and(|slot| range.overlaps(slot.starts_at, slot.ends_at))
}
