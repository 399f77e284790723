//! Storing an appointment together with the entry of its history.

use diesel::prelude::*;

use super::appointment::Appointment;
use super::history::{self, Change};
use super::status::AppointmentStep;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::schema::appointments;
use crate::db::update::update as update_row;
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};
use crate::identifiers;
use crate::ids::AppointmentId;

/// Stores a new appointment and the first entry of its history, with the reason of an overbooking.
///
/// # Errors
/// A conflict if another appointment has its time, code or identifier.
pub fn insert(tx: &mut Tx<impl Principal>, new: &Appointment, reason: Option<&str>) -> Result<()> {
    use appointments::dsl;
    per_backend!(tx.conn, conn => diesel::insert_into(appointments::table)
        .values((
            (
                dsl::id.eq(new.id),
                dsl::patient_id.eq(new.patient_id),
                dsl::practitioner_id.eq(new.practitioner_id),
                dsl::location_id.eq(new.location_id),
                dsl::visit_type_id.eq(new.visit_type_id),
                dsl::starts_at.eq(new.starts_at),
                dsl::ends_at.eq(new.ends_at),
                dsl::status.eq(new.status),
            ),
            (
                dsl::confirmation_code.eq(&new.confirmation_code),
                dsl::sequence.eq(new.sequence),
                dsl::note.eq(&new.note),
                dsl::identifiers.eq(&new.identifiers),
                dsl::booked_by.eq(new.booked_by),
                dsl::version.eq(new.version),
                dsl::created_at.eq(new.created_at),
                dsl::updated_at.eq(new.updated_at),
                dsl::self_placed.eq(new.self_placed),
                dsl::busy_from.eq(new.busy_from),
                dsl::busy_until.eq(new.busy_until),
                dsl::overbooked.eq(new.overbooked),
                dsl::resources.eq(&new.resources),
                dsl::confirmed_at.eq(new.confirmed_at),
            ),
            (
                dsl::promised_local.eq(&new.promise.promised_local),
                dsl::promised_zone.eq(&new.promise.promised_zone),
                dsl::promised_tz.eq(&new.promise.promised_tz),
                dsl::zone_checked.eq(&new.promise.zone_checked),
                dsl::zone_changed_since.eq(new.promise.zone_changed_since),
                dsl::remind_at.eq(Some(new.updated_at)),
                dsl::cancel_notice_minutes.eq(new.cancel_notice_minutes),
            ),
        ))
        .execute(conn))?;
    if !new.identifiers.0.is_empty() {
        identifiers::set_for_appointment(tx.conn, new.id, &new.identifiers)?;
    }
    tx.audit.note_object(new.id.0);
    history::append(tx, Change { step: AppointmentStep::Book, from: None, reason }, new)
}

/// Stores a changed appointment as its next version, and an entry of its history.
///
/// # Errors
/// A conflict if another appointment has its time; [`Error::Retry`] if it was not locked and has changed.
pub fn update(tx: &mut Tx<impl Principal>, change: Change<'_>, changed: Appointment) -> Result<Appointment> {
    use appointments::dsl;
    let next = Appointment { version: changed.version + 1, updated_at: tx.now, ..changed };
    let rows = per_backend!(tx.conn, conn => {
        let unchanged = dsl::id.eq(next.id).and(dsl::version.eq(changed.version));
        let columns = (
            dsl::practitioner_id.eq(next.practitioner_id),
            dsl::location_id.eq(next.location_id),
            dsl::starts_at.eq(next.starts_at),
            dsl::ends_at.eq(next.ends_at),
            dsl::status.eq(next.status),
            dsl::sequence.eq(next.sequence),
            dsl::note.eq(&next.note),
            dsl::identifiers.eq(&next.identifiers),
            dsl::self_placed.eq(next.self_placed),
            dsl::busy_from.eq(next.busy_from),
            dsl::busy_until.eq(next.busy_until),
            dsl::overbooked.eq(next.overbooked),
            dsl::resources.eq(&next.resources),
            dsl::confirmed_at.eq(next.confirmed_at),
            dsl::late_cancelled.eq(next.late_cancelled),
            dsl::cancel_notice_minutes.eq(next.cancel_notice_minutes),
            dsl::promised_local.eq(&next.promise.promised_local),
            dsl::promised_zone.eq(&next.promise.promised_zone),
            dsl::promised_tz.eq(&next.promise.promised_tz),
            dsl::zone_checked.eq(&next.promise.zone_checked),
            dsl::zone_changed_since.eq(next.promise.zone_changed_since),
            dsl::remind_at.eq(Some(next.updated_at)),
            dsl::version.eq(next.version),
            dsl::updated_at.eq(next.updated_at),
        );
        update_row(appointments::table, unchanged, columns).execute(conn)
    })?;
    if rows != 1 {
        return Err(Error::Retry);
    }
    history::append(tx, change, &next)?;
    Ok(next)
}

/// Removes the mark of overbooked visits, as their next version.
///
/// # Errors
/// [`Error::Retry`] if another transaction has locked one of them: it may wait for the slots that this one has locked.
pub(super) fn unmark(conn: &mut Conn, visits: &[AppointmentId], now: Timestamp) -> Result<()> {
    let marked = appointments::table.filter(appointments::id.eq_any(visits.to_vec()));
    if let Conn::Postgres(conn) = conn {
        let locked: Vec<AppointmentId> =
            marked.clone().select(appointments::id).for_no_key_update().skip_locked().load(conn)?;
        if locked.len() < visits.len() {
            return Err(Error::Retry);
        }
    }
    let changes = (
        appointments::overbooked.eq(false),
        appointments::version.eq(appointments::version + 1),
        appointments::updated_at.eq(now),
    );
    diesel::update(marked).set(changes).execute(conn)?;
    Ok(())
}
