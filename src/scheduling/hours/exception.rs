//! An exception from a practitioner's weekly hours as it is stored: time off or extra hours.

use diesel::prelude::*;

use super::plan::{Absence, AttentionReason};
use super::weekly::TimeRange;
use crate::actor::{Action, Actor, Reach};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{practitioner_exceptions, practitioner_locations, practitioners};
use crate::db::types::text_enum;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{ExceptionId, LocationId, PractitionerId, UserId};
use crate::sealed::{Place, Sealed};

text_enum! {
    /// The kind of an exception from the weekly hours.
    ExceptionKind {
        /// The practitioner is away.
        TimeOff = "time_off",
        /// The practitioner works beyond the weekly hours.
        ExtraHours = "extra_hours",
    }
}

/// How far the caller may add and delete exceptions of a kind.
///
/// # Errors
/// [`Error::RoleForbidden`] with the roles that may.
pub(super) fn permit(env: &Env, actor: &Actor, kind: ExceptionKind) -> Result<Reach> {
    let roles = env.config.settings.extra_hours_roles.roles();
    match kind {
        ExceptionKind::TimeOff => actor.require(Action::TimeOffWrite),
        ExceptionKind::ExtraHours if !roles.contains(&actor.role) => Err(Error::RoleForbidden(roles.to_vec())),
        ExceptionKind::ExtraHours => actor.require(Action::ExtraHoursWrite),
    }
}

/// An exception's row.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = practitioner_exceptions, treat_none_as_default_value = false)]
pub struct Exception {
    pub id: ExceptionId,
    pub practitioner_id: PractitionerId,
    pub kind: ExceptionKind,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// The location; none means all locations.
    pub location_id: Option<LocationId>,
    pub reason: Sealed<String>,
    /// The account that added it.
    pub created_by: UserId,
    /// The time at which it was added.
    pub created_at: Timestamp,
    /// Grows when a correction of the location's time zone moves it. Nothing else changes it.
    pub version: i32,
}

pub(super) fn reason_place(id: ExceptionId) -> Place {
    Place::new("practitioner_exceptions", "reason", id.0)
}

impl Exception {
    /// The time that it removes from the plan. Extra hours remove none.
    pub(super) fn absence(&self) -> Option<Absence> {
        let Self { starts_at, ends_at, location_id, .. } = *self;
        let absence = Absence { starts_at, ends_at, location_id, why: AttentionReason::TimeOff };
        (self.kind == ExceptionKind::TimeOff).then_some(absence)
    }

    /// Opens the reason for callers who can add such exceptions. Practitioners do not read each other's reasons.
    pub fn reason_for(&self, env: &Env, actor: &Actor) -> Result<Option<String>> {
        let may_read = match actor.reach(Action::TimeOffWrite) {
            Reach::Any => true,
            Reach::Own => actor.practitioner_id == Some(self.practitioner_id),
            Reach::None => false,
        };
        may_read.then(|| env.sealer.open(reason_place(self.id), &self.reason)).transpose()
    }
}

/// Loads an exception.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(conn: &mut Conn, id: ExceptionId) -> Result<Exception> {
    Ok(practitioner_exceptions::table.find(id).select(Exception::as_select()).first(conn)?)
}

/// Loads the extra hours, earliest first, and the time off that end after an instant.
pub(super) fn of_plan(
    conn: &mut Conn,
    practitioner: PractitionerId,
    from: Timestamp,
) -> Result<(Vec<TimeRange>, Vec<Absence>)> {
    use practitioner_exceptions::dsl;
    let rows = practitioner_exceptions::table
        .filter(dsl::practitioner_id.eq(practitioner))
        .filter(dsl::ends_at.gt(from))
        .order((dsl::starts_at, dsl::id))
        .select((dsl::kind, dsl::starts_at, dsl::ends_at, dsl::location_id))
        .load::<(ExceptionKind, Timestamp, Timestamp, Option<LocationId>)>(conn)?;
    let (mut extra, mut time_off) = (Vec::new(), Vec::new());
    for (kind, starts_at, ends_at, location_id) in rows {
        match (kind, location_id) {
            (ExceptionKind::TimeOff, _) => {
                time_off.push(Absence { starts_at, ends_at, location_id, why: AttentionReason::TimeOff });
            }
            (ExceptionKind::ExtraHours, Some(location_id)) => extra.push(TimeRange { starts_at, ends_at, location_id }),
            (ExceptionKind::ExtraHours, None) => return Err(Error::fault("extra hours without a location")),
        }
    }
    Ok((extra, time_off))
}

/// Whose exceptions are loaded.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    Practitioner(PractitionerId),
    /// Of all practitioners who work at a location, as far as they concern it.
    Location(LocationId),
}

/// Loads the exceptions that overlap a span of time with the practitioners' names, earliest first.
pub fn between(conn: &mut Conn, whose: Whose, (from, to): (Timestamp, Timestamp)) -> Result<Vec<(Exception, String)>> {
    use practitioner_exceptions::dsl;
    let mut query = practitioner_exceptions::table
        .inner_join(practitioners::table.on(practitioners::id.eq(dsl::practitioner_id)))
        .filter(dsl::starts_at.lt(to))
        .filter(dsl::ends_at.gt(from))
        .order((dsl::starts_at, dsl::id))
        .select((Exception::as_select(), practitioners::name))
        .into_boxed();
    query = match whose {
        Whose::Practitioner(id) => query.filter(dsl::practitioner_id.eq(id)),
        Whose::Location(id) => {
            let here = practitioner_locations::table.filter(practitioner_locations::location_id.eq(id));
            query
                .filter(dsl::practitioner_id.eq_any(here.select(practitioner_locations::practitioner_id)))
                .filter(dsl::location_id.is_null().or(dsl::location_id.assume_not_null().eq(id)))
        }
    };
    Ok(query.load(conn)?)
}
