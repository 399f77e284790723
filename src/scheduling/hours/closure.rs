//! A closure of a location as it is stored.

use diesel::prelude::*;
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::weekly;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::location_closures;
use crate::db::types::Date;
use crate::error::Result;
use crate::ids::{ClosureId, LocationId};

/// A closure's row. A day is stored as a day, so that it stays right when the rules of the time zone change.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = location_closures, treat_none_as_default_value = false)]
pub struct Closure {
    pub id: ClosureId,
    pub location_id: LocationId,
    /// The whole of this day by the location's calendar; none if there are instants.
    pub day: Option<Date>,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
    pub name: String,
    /// The time at which it was added.
    pub created_at: Timestamp,
}

/// The time of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Day(Date),
    Between(Timestamp, Timestamp),
}

impl When {
    fn columns(self) -> (Option<Date>, Option<Timestamp>, Option<Timestamp>) {
        match self {
            Self::Day(day) => (Some(day), None, None),
            Self::Between(from, to) => (None, Some(from), Some(to)),
        }
    }
}

impl Closure {
    /// Returns the start and the end in the location's time zone.
    pub fn span(&self, zone: &TimeZone) -> (Timestamp, Timestamp) {
        match (self.day, self.starts_at, self.ends_at) {
            (Some(Date(day)), ..) => (weekly::midnight(day, zone), weekly::midnight(day.saturating_add(1.day()), zone)),
            (None, Some(starts_at), Some(ends_at)) => (starts_at, ends_at),
            // A constraint of the table forbids such a row.
            _ => (self.created_at, self.created_at),
        }
    }
}

/// Loads a closure.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub(super) fn find(conn: &mut Conn, id: ClosureId) -> Result<Closure> {
    Ok(location_closures::table.find(id).select(Closure::as_select()).first(conn)?)
}

/// Loads the closures of locations that end after an instant, whatever the time zone. Can return closures of a day more.
pub fn ending_after(conn: &mut Conn, locations: &[LocationId], from: Timestamp) -> Result<Vec<Closure>> {
    use location_closures::dsl;
    let day = from.in_zone(&TimeZone::UTC).date().yesterday().unwrap_or(jiff::civil::Date::MIN);
    Ok(location_closures::table
        .filter(dsl::location_id.eq_any(locations.to_vec()))
        .filter(dsl::day.ge(Date(day)).or(dsl::ends_at.gt(from)))
        .order(dsl::id)
        .select(Closure::as_select())
        .load(conn)?)
}

/// Stores a closure, or renames the one that has the same time. The set-up must be locked
/// ([`setup::lock`](crate::scheduling::setup::lock)), so that no other request adds the same closure.
pub(super) fn insert_or_rename(tx: &mut Tx, location_id: LocationId, when: When, name: &str) -> Result<Closure> {
    use location_closures::dsl;
    let (day, starts_at, ends_at) = when.columns();
    let at_location = location_closures::table.filter(dsl::location_id.eq(location_id));
    let mut same = at_location.select(Closure::as_select()).into_boxed();
    same = match when {
        When::Day(day) => same.filter(dsl::day.eq(day)),
        When::Between(from, to) => same.filter(dsl::starts_at.eq(from)).filter(dsl::ends_at.eq(to)),
    };
    if let Some(closure) = same.first::<Closure>(tx.conn).optional()? {
        diesel::update(location_closures::table.find(closure.id)).set(dsl::name.eq(name)).execute(tx.conn)?;
        return Ok(Closure { name: name.to_owned(), ..closure });
    }
    let id = tx.env.new_id();
    let closure = Closure { id, location_id, day, starts_at, ends_at, name: name.to_owned(), created_at: tx.now };
    diesel::insert_into(location_closures::table).values(&closure).execute(tx.conn)?;
    Ok(closure)
}
