//! A visit type as it is stored, and what follows from its values.

use diesel::prelude::*;
use jiff::SignedDuration;

use crate::clock::Timestamp;
use crate::db::schema::visit_types;
use crate::db::{Conn, per_backend};
use crate::error::{FieldCode, Result, Rule};
use crate::ids::VisitTypeId;
use crate::scheduling::visit_time::VisitLength;
use text::Language;

/// A visit type's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = visit_types, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct VisitType {
    pub id: VisitTypeId,
    /// The name among staff.
    pub name: String,
    /// The name in mails and calendars. It tells nothing about health.
    pub public_name: String,
    pub duration_minutes: i32,
    /// Whether patients book it themselves.
    pub online_bookable: bool,
    /// How long before the start patients must book.
    pub booking_notice_minutes: i32,
    /// The minimum notice for cancelling or moving it online, in minutes before the start.
    pub cancel_notice_minutes: i32,
    /// Whether it can be booked.
    pub active: bool,
    /// Grows with each change.
    pub version: i32,
    /// The time at which it was created.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The practitioner's working time before a visit. The patient is not told.
    pub buffer_before_minutes: i32,
    /// The practitioner's working time after a visit. The patient is not told.
    pub buffer_after_minutes: i32,
    /// The public name in Spanish. None if patients who read Spanish see `public_name`.
    pub public_name_es: Option<String>,
}

impl VisitType {
    /// The public name in a language.
    pub fn public_name_in(&self, language: Language) -> &str {
        match language {
            Language::English => &self.public_name,
            Language::Spanish => self.public_name_es.as_deref().unwrap_or(&self.public_name),
        }
    }

    /// The length of a visit with its buffers.
    pub fn length(&self) -> VisitLength {
        VisitLength::of_minutes(self.buffer_before_minutes, self.duration_minutes, self.buffer_after_minutes)
    }

    /// The numbers of minutes that must be whole numbers of slots.
    pub(super) fn lengths(&self) -> Lengths {
        (self.buffer_before_minutes, self.duration_minutes, self.buffer_after_minutes)
    }

    /// Returns the earliest start of a visit that a patient books now.
    pub fn earliest_for_patients(&self, now: Timestamp) -> Timestamp {
        earliest_for_patients(now, self.booking_notice_minutes)
    }
}

/// The minutes of the buffer before a visit, of the visit, and of the buffer after it.
pub(super) type Lengths = (i32, i32, i32);

/// Returns the earliest start of a visit that a patient books now, with this notice.
pub fn earliest_for_patients(now: Timestamp, booking_notice_minutes: i32) -> Timestamp {
    now.plus(SignedDuration::from_mins(booking_notice_minutes.into()))
}

/// Checks a number of minutes.
pub(super) fn minutes_between(minutes: i64, least: i32, most: i32) -> Result<i32, Rule> {
    i32::try_from(minutes)
        .ok()
        .filter(|minutes| (least..=most).contains(minutes))
        .ok_or_else(|| Rule::new(FieldCode::OutOfRange, format!("must be between {least} and {most}")))
}

/// Loads a visit type.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub fn find(conn: &mut Conn, id: VisitTypeId) -> Result<VisitType> {
    Ok(per_backend!(conn, conn => visit_types::table.find(id).select(VisitType::as_select()).first(conn))?)
}
