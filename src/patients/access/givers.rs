//! The practitioners who gave, or confirmed, an account's access to a patient, now or before. What the account books counts as placed by
//! them ([`crate::patients::care::is_placed_alone`]), so the rows stay when the access ends.

use diesel::prelude::*;

use crate::db::schema::{access_givers, patients, users};
use crate::db::{Conn, per_backend};
use crate::error::Result;
use crate::ids::{PatientId, PractitionerId, UserId};

/// Notes that a member of the staff gave or confirmed the account's access. Does nothing if this is no practitioner.
pub fn note(conn: &mut Conn, account: UserId, patient: PatientId, staff: UserId) -> Result<()> {
    let Some(practitioner) = practitioner_of(conn, staff)? else { return Ok(()) };
    let row = (
        access_givers::user_id.eq(account),
        access_givers::patient_id.eq(patient),
        access_givers::practitioner_id.eq(practitioner),
    );
    per_backend!(conn, conn => diesel::insert_into(access_givers::table).values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// Loads the practitioner of a staff account; none for the front desk and administrators.
pub fn practitioner_of(conn: &mut Conn, staff: UserId) -> Result<Option<PractitionerId>> {
    Ok(users::table.find(staff).select(users::practitioner_id).first(conn)?)
}

/// Loads the practitioners who gave or confirmed the account's access to the record, or to one that was merged into it.
pub fn of(conn: &mut Conn, account: UserId, patient: PatientId) -> Result<Vec<PractitionerId>> {
    let merged = patients::table.filter(patients::replaced_by.eq(patient)).select(patients::id);
    let of_patient = access_givers::patient_id.eq(patient).or(access_givers::patient_id.eq_any(merged));
    let rows = access_givers::table.filter(access_givers::user_id.eq(account)).filter(of_patient);
    Ok(rows.order(access_givers::practitioner_id).select(access_givers::practitioner_id).distinct().load(conn)?)
}
