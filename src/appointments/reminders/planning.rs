//! When the job looks at visits: the due ones, and all to come after a change of the settings.

use diesel::prelude::*;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::schema::{appointments, reminder_plan};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::Result;
use crate::ids::AppointmentId;

/// The id of the only row of `reminder_plan`.
const ONLY: i32 = 1;

/// Returns at most `count` visits to look at now, the longest waiting first.
pub fn due(conn: &mut Conn, now: Timestamp, count: i64) -> Result<Vec<AppointmentId>> {
    Ok(appointments::table
        .filter(appointments::remind_at.le(now))
        .order((appointments::remind_at, appointments::id))
        .limit(count)
        .select(appointments::id)
        .load(conn)?)
}

/// Returns when the job looks at a visit next.
pub fn next_look(conn: &mut Conn, id: AppointmentId) -> Result<Option<Timestamp>> {
    Ok(appointments::table.find(id).select(appointments::remind_at).first(conn)?)
}

/// Sets when the job looks at a visit next. This is no change of the visit, so its version stays.
pub fn set_next_look(conn: &mut Conn, id: AppointmentId, at: Option<Timestamp>) -> Result<()> {
    diesel::update(appointments::table.find(id)).set(appointments::remind_at.eq(at)).execute(conn)?;
    Ok(())
}

/// Makes the job look at all visits to come, if the settings are others than those with which it planned. Returns whether they are.
pub fn adopt_settings(conn: &mut Conn, env: &Env) -> Result<bool> {
    let settings = &env.config.settings;
    let rules = format!("{:?} {:?}", settings.reminders, settings.quiet_hours);
    let before: Option<String> = reminder_plan::table.find(ONLY).select(reminder_plan::rules).first(conn).optional()?;
    if before.as_ref() == Some(&rules) {
        return Ok(false);
    }
    let row = (reminder_plan::id.eq(ONLY), reminder_plan::rules.eq(&rules));
    per_backend!(conn, conn => diesel::insert_into(reminder_plan::table)
        .values(row)
        .on_conflict(reminder_plan::id)
        .do_update()
        .set(reminder_plan::rules.eq(&rules))
        .execute(conn))?;
    let to_come = appointments::table
        .filter(appointments::status.eq(AppointmentStatus::Booked))
        .filter(appointments::starts_at.gt(env.now()));
    diesel::update(to_come).set(appointments::remind_at.eq(Some(env.now()))).execute(conn)?;
    Ok(true)
}
