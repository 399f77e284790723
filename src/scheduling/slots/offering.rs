//! What a slot search reads of the clinic's set-up, in one query.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable};

use crate::clock::Timestamp;
use crate::db::schema::{locations, practitioner_visit_types, practitioners, visit_types};
use crate::db::types::Uid;
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};
use crate::ids::{LocationId, PractitionerId, VisitTypeId};
use crate::scheduling::setup::visit_type::earliest_for_patients;
use crate::scheduling::visit_time::VisitLength;

/// A visit type with who offers it and where.
pub struct Offering {
    /// Whether the visit type can be booked.
    pub active: bool,
    /// The length of a visit with its buffers.
    pub length: VisitLength,
    booking_notice_minutes: i32,
    /// The active practitioners who offer it.
    pub practitioners: HashSet<PractitionerId>,
    /// The time zones of all locations.
    pub zones: HashMap<LocationId, String>,
}

type Minutes = (Option<i32>, Option<i32>, Option<i32>, Option<i32>);
/// A practitioner with the visit type's active, lengths (buffer before, visit, buffer after) and notice, or a location with its zone.
type Row = (Option<bool>, Minutes, Option<PractitionerId>, Option<LocationId>, Option<String>);

impl Offering {
    /// Loads what is offered.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such visit type.
    pub fn find(conn: &mut Conn, id: VisitTypeId) -> Result<Self> {
        let rows: Vec<Row> = per_backend!(conn, conn => visit_types::table
            .left_join(
                practitioner_visit_types::table.on(practitioner_visit_types::visit_type_id.eq(visit_types::id)),
            )
            .left_join(practitioners::table.on(
                practitioners::id.eq(practitioner_visit_types::practitioner_id).and(practitioners::active.eq(true)),
            ))
            .filter(visit_types::id.eq(id))
            .select((
                visit_types::active.nullable(),
                (
                    visit_types::buffer_before_minutes.nullable(),
                    visit_types::duration_minutes.nullable(),
                    visit_types::buffer_after_minutes.nullable(),
                    visit_types::booking_notice_minutes.nullable(),
                ),
                practitioners::id.nullable(),
                None::<LocationId>.into_sql::<Nullable<Uid>>(),
                None::<String>.into_sql::<Nullable<diesel::sql_types::Text>>(),
            ))
            .union_all(locations::table.select((
                None::<bool>.into_sql::<Nullable<Bool>>(),
                (
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                    None::<i32>.into_sql::<Nullable<Integer>>(),
                ),
                None::<PractitionerId>.into_sql::<Nullable<Uid>>(),
                locations::id.nullable(),
                locations::time_zone.nullable(),
            )))
            .load(conn))?;
        let (mut found, mut practitioners, mut zones) = (None, HashSet::new(), HashMap::new());
        for (active, minutes, practitioner, location, zone) in rows {
            if let (Some(active), (Some(before), Some(visit), Some(after), Some(notice))) = (active, minutes) {
                found = Some((active, VisitLength::of_minutes(before, visit, after), notice));
            }
            practitioners.extend(practitioner);
            zones.extend(location.zip(zone));
        }
        let (active, length, booking_notice_minutes) = found.ok_or(Error::NotFound)?;
        Ok(Self { active, length, booking_notice_minutes, practitioners, zones })
    }

    /// Returns the earliest start of a visit that a patient books now.
    pub fn earliest_for_patients(&self, now: Timestamp) -> Timestamp {
        earliest_for_patients(now, self.booking_notice_minutes)
    }
}
