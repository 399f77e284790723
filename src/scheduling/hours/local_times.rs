//! Time off, extra hours and closures of a location whose time zone was corrected. Staff typed them by the clock of the location, so they
//! keep their local times.

use std::collections::HashSet;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::closure;
use super::exception::ExceptionKind;
use super::plan::MAX_EXTRA_HOURS;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::{location_closures, practitioner_exceptions};
use crate::error::Result;
use crate::ids::{ClosureId, ExceptionId, LocationId};
use crate::scheduling::clock_change::ClockChange;
use crate::scheduling::setup::{offerings, practitioner};

/// What has ended longer ago is over by any clock: two clocks differ by 26 hours at most.
const OVER: SignedDuration = SignedDuration::from_hours(48);

/// Moves the exceptions and closures of a location to the instants that show their local times by its new clock. Exceptions at all
/// locations move if the practitioner works at this one only; otherwise they stay. The set-up must be locked
/// ([`setup::lock`](crate::scheduling::setup::lock)), no slot yet, and the hours must be published afterwards.
pub fn keep(tx: &mut Tx, location: LocationId, clock: &ClockChange) -> Result<()> {
    // An exception that is added at this moment comes before or after the change as a whole.
    for practitioner in offerings::working_at(tx.conn, location)? {
        practitioner::lock(tx.conn, practitioner)?;
    }
    keep_exceptions(tx, location, clock)?;
    keep_closures(tx, location, clock)
}

fn keep_exceptions(tx: &mut Tx, location: LocationId, clock: &ClockChange) -> Result<()> {
    use practitioner_exceptions::dsl;
    let only_here = offerings::working_only_at(tx.conn, location)?;
    let everywhere = dsl::location_id.is_null().and(dsl::practitioner_id.eq_any(only_here));
    let rows: Vec<(ExceptionId, ExceptionKind, Timestamp, Timestamp, i32)> = practitioner_exceptions::table
        .filter(dsl::location_id.eq(location).assume_not_null().or(everywhere))
        .filter(dsl::ends_at.gt(tx.now.minus(OVER)))
        .order(dsl::id)
        .select((dsl::id, dsl::kind, dsl::starts_at, dsl::ends_at, dsl::version))
        .load(tx.conn)?;
    for (id, kind, starts_at, ends_at, version) in rows {
        let (start, mut end) = clock.follow_range((starts_at, ends_at));
        if kind == ExceptionKind::ExtraHours {
            // A night in which the clock goes back is longer.
            end = end.min(start.plus(MAX_EXTRA_HOURS));
        }
        if (start, end) != (starts_at, ends_at) {
            diesel::update(practitioner_exceptions::table.find(id))
                .set((dsl::starts_at.eq(start), dsl::ends_at.eq(end), dsl::version.eq(version + 1)))
                .execute(tx.conn)?;
        }
    }
    Ok(())
}

/// A start and an end.
type Range = (Timestamp, Timestamp);

/// Closures of whole days are stored as days.
fn keep_closures(tx: &mut Tx, location: LocationId, clock: &ClockChange) -> Result<()> {
    use location_closures::dsl;
    let mut moves: Vec<(ClosureId, Range, Range)> = closure::ending_after(tx.conn, &[location], tx.now.minus(OVER))?
        .into_iter()
        .filter_map(|row| row.starts_at.zip(row.ends_at).map(|was| (row.id, was, clock.follow_range(was))))
        .collect();
    // No two closures have the same time, so the foremost in the direction of its move goes first.
    moves.sort_unstable_by_key(|(id, was, _)| (*was, id.0));
    let (later, earlier): (Vec<_>, Vec<_>) = moves.into_iter().partition(|(_, was, is)| is > was);
    let mut taken = HashSet::new();
    for (id, was, is) in later.into_iter().rev().chain(earlier) {
        if !taken.insert(is) {
            // The clock skips both, and shows the same afterwards.
            diesel::delete(location_closures::table.find(id)).execute(tx.conn)?;
        } else if is != was {
            diesel::update(location_closures::table.find(id))
                .set((dsl::starts_at.eq(is.0), dsl::ends_at.eq(is.1)))
                .execute(tx.conn)?;
        }
    }
    Ok(())
}
