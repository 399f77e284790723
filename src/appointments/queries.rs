//! Loading and locking appointments, as far as the actor may see them.

use std::collections::BTreeSet;

use diesel::alias;
use diesel::dsl::not;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use jiff::SignedDuration;

use super::appointment::{Appointment, AppointmentDetails};
use super::code::ConfirmationCode;
use crate::accounts::model::User;
use crate::actor::{Action, Actor, Reach};
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Principal, Tx};
use crate::db::raw_sql::RawSql;
use crate::db::schema::{
    appointment_identifiers, appointment_series_visits, appointments, locations, patient_access, patients,
    practitioners, slots, users, visit_types,
};
use crate::db::{Conn, per_backend};
use crate::error::{Error, Result};
use crate::http::paging::{Page, in_order};
use crate::identifiers::{Token, identified};
use crate::ids::{AppointmentId, AppointmentSeriesId, LocationId, PatientId, PractitionerId, ResourceId};
use crate::intake::model::IntakeStatus;
use crate::intake::store::{Newest, with_newest_intake};
use crate::patients::access::{self, Access};
use crate::patients::model::Patient;
use crate::patients::records::by_name;
use crate::scheduling::hours::plan::AttentionReason;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::practitioner::Practitioner;
use crate::scheduling::setup::visit_type::VisitType;
use crate::scheduling::slots::units;

/// More than the longest visit.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Whether the actor reads only the appointments of patients they may act for.
pub(super) fn only_own(actor: &Actor) -> bool {
    actor.reach(Action::AppointmentRead) != Reach::Any
}

/// The first slot in an appointment's time that the practitioner's hours no longer cover. A slot that visits share names one of them
/// only, so it is found by time.
macro_rules! first_off_plan_slot {
    () => {
        slots::table
            .filter(slots::practitioner_id.eq(appointments::practitioner_id))
            .filter(slots::starts_at.ge(appointments::busy_from))
            .filter(slots::starts_at.lt(appointments::busy_until))
            .filter(slots::off_plan.is_not_null())
            .order((slots::off_plan_since, slots::starts_at))
    };
}

/// The appointments of any patient with all that [`columns`] needs.
macro_rules! visits {
    () => {
        with_newest_intake!(
            appointments::table
                .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
                .inner_join(practitioners::table.on(practitioners::id.eq(appointments::practitioner_id)))
                .inner_join(visit_types::table.on(visit_types::id.eq(appointments::visit_type_id)))
                .inner_join(patients::table.on(patients::id.eq(appointments::patient_id))),
            appointments::patient_id,
            appointments::ends_at
        )
    };
}

/// The columns of [`AppointmentDetails`], and others.
macro_rules! columns {
    ($($other:expr),*) => {
        (
            Appointment::as_select(),
            Location::as_select(),
            Practitioner::as_select(),
            VisitType::as_select(),
            Patient::as_select(),
            first_off_plan_slot!().select(slots::off_plan).single_value(),
            first_off_plan_slot!().select(slots::off_plan_since).single_value(),
            Option::<Newest>::as_select(),
            appointment_series_visits::table
                .filter(appointment_series_visits::appointment_id.eq(appointments::id))
                .select(appointment_series_visits::series_id)
                .single_value(),
            $($other,)*
        )
    };
}

/// The query that loads [`AppointmentDetails`] of any patient.
macro_rules! details_of_all {
    () => {
        visits!().select(columns!())
    };
}

/// The query that loads the [`AppointmentDetails`] that the actor may see.
macro_rules! details {
    ($actor:expr, $now:expr) => {{
        let mut query = details_of_all!().into_boxed();
        if only_own($actor) {
            query = query.filter(appointments::patient_id.eq_any(access::patients_of($actor.user_id, $now)));
        }
        query
    }};
}

/// Loads an appointment.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see it.
pub fn find(tx: &mut Tx, id: AppointmentId) -> Result<AppointmentDetails> {
    let found: AppointmentDetails =
        per_backend!(tx.conn, conn => details!(tx.actor, tx.now).filter(appointments::id.eq(id)).first(conn))?;
    tx.audit.note_patient(found.patient.id);
    Ok(found)
}

/// Loads an appointment without asking who may see it. The caller must have authorised the request.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find_authorised(tx: &mut Tx<impl Principal>, id: AppointmentId) -> Result<AppointmentDetails> {
    let found: AppointmentDetails =
        per_backend!(tx.conn, conn => details_of_all!().filter(appointments::id.eq(id)).first(conn))?;
    tx.audit.note_patient(found.patient.id);
    Ok(found)
}

/// Like [`find_authorised`], with the accounts that have access to the patient, in the order of [`access::of_patient`]. One query,
/// for changes that notify the patient.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find_with_accounts(
    tx: &mut Tx<impl Principal>,
    id: AppointmentId,
) -> Result<(AppointmentDetails, Vec<(Access, User)>)> {
    let rows: Vec<WithAccount> = per_backend!(tx.conn, conn => visits!()
        .left_join(patient_access::table.on(patient_access::patient_id.eq(appointments::patient_id)))
        .left_join(users::table.on(users::id.eq(patient_access::user_id)))
        .filter(appointments::id.eq(id))
        .order((patient_access::created_at, patient_access::user_id))
        .select(columns!(Option::<Access>::as_select(), Option::<User>::as_select()))
        .load(conn))?;
    let mut found = None;
    let mut accounts = Vec::new();
    for row in rows {
        accounts.extend(row.access.zip(row.user));
        found = Some(AppointmentDetails {
            appointment: row.appointment,
            location: row.location,
            practitioner: row.practitioner,
            visit_type: row.visit_type,
            patient: row.patient,
            off_plan: row.off_plan,
            off_plan_since: row.off_plan_since,
            newest_intake: row.newest_intake,
            series_id: row.series_id,
        });
    }
    let found = found.ok_or(Error::NotFound)?;
    tx.audit.note_patient(found.patient.id);
    Ok((found, accounts))
}

/// The columns of [`AppointmentDetails`], with an account that has access to the patient, if there is one. They are flat, because
/// diesel does not load [`AppointmentDetails`] as a part of a tuple.
#[derive(Queryable)]
struct WithAccount {
    appointment: Appointment,
    location: Location,
    practitioner: Practitioner,
    visit_type: VisitType,
    patient: Patient,
    off_plan: Option<AttentionReason>,
    off_plan_since: Option<Timestamp>,
    newest_intake: Option<Newest>,
    series_id: Option<AppointmentSeriesId>,
    access: Option<Access>,
    user: Option<User>,
}

/// Locks an appointment against every other change and loads it.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see it.
pub fn lock(tx: &mut Tx, id: AppointmentId) -> Result<AppointmentDetails> {
    lock_row(tx.conn, id)?;
    find(tx, id)
}

/// Returns whether the patient has a visit, other than `except`, in a time.
pub fn is_busy(
    conn: &mut Conn,
    patient: PatientId,
    (from, until): (Timestamp, Timestamp),
    except: Option<AppointmentId>,
) -> Result<bool> {
    let live = RawSql::<Bool>::new("appointments.status IN ('booked', 'checked-in')");
    let others: Vec<AppointmentId> = per_backend!(conn, conn => appointments::table
        .filter(live)
        .filter(appointments::patient_id.eq(patient))
        .filter(appointments::starts_at.lt(until))
        .filter(appointments::starts_at.gt(from.minus(LONGEST)))
        .filter(appointments::ends_at.gt(from))
        .select(appointments::id)
        .limit(2)
        .load(conn))?;
    Ok(others.into_iter().any(|other| Some(other) != except))
}

/// [`lock`] without asking who may see it. The caller must have authorised the request.
///
/// # Errors
/// [`Error::NotFound`].
pub fn lock_authorised(tx: &mut Tx<impl Principal>, id: AppointmentId) -> Result<AppointmentDetails> {
    lock_row(tx.conn, id)?;
    find_authorised(tx, id)
}

fn lock_row(conn: &mut Conn, id: AppointmentId) -> Result<()> {
    if let Conn::Postgres(conn) = conn {
        let locked: Option<AppointmentId> =
            appointments::table.find(id).select(appointments::id).for_no_key_update().first(conn).optional()?;
        locked.ok_or(Error::NotFound)?;
    }
    Ok(())
}

/// The checked filters of a list. All that are set must match.
#[derive(Clone, Default)]
pub struct Filter {
    pub patient_id: Option<PatientId>,
    pub practitioner_id: Option<PractitionerId>,
    pub location_id: Option<LocationId>,
    pub series_id: Option<AppointmentSeriesId>,
    /// A resource of which it has a unit.
    pub resource_id: Option<ResourceId>,
    pub status: Option<AppointmentStatus>,
    /// The earliest start, inclusive.
    pub from: Option<Timestamp>,
    /// The latest start, exclusive.
    pub to: Option<Timestamp>,
    pub confirmation_code: Option<ConfirmationCode>,
    /// Whether it is booked but not covered by the practitioner's hours, or its start does not show the promised local time.
    pub needs_attention: Option<bool>,
    /// Whether it shares the time of another visit.
    pub overbooked: Option<bool>,
    /// Normalised words, each of which begins a word of one of the patient's names.
    pub words: BTreeSet<String>,
    /// An identifier of another system.
    pub identifier: Option<Token>,
    /// The earliest last change, inclusive; the list is then sorted by the last change.
    pub updated_since: Option<Timestamp>,
}

impl Filter {
    /// The name of the list and its order in cursors.
    pub(super) fn list(&self) -> &'static str {
        if self.updated_since.is_some() { "appointments-changes" } else { "appointments" }
    }
}

/// Loads a page of the appointments that the actor may see, by (start, id); with `updated_since` by (last change, id).
pub fn page(tx: &mut Tx, filter: &Filter, page: &Page) -> Result<(Vec<AppointmentDetails>, Option<String>)> {
    let mut query = details!(tx.actor, tx.now);
    if let Some(id) = filter.patient_id {
        query = query.filter(appointments::patient_id.eq(id));
    }
    if let Some(id) = filter.practitioner_id {
        query = query.filter(appointments::practitioner_id.eq(id));
    }
    if let Some(id) = filter.location_id {
        query = query.filter(appointments::location_id.eq(id));
    }
    if let Some(series) = filter.series_id {
        query = query.filter(appointments::id.eq_any(visits_of(series)));
    }
    if let Some(resource) = filter.resource_id {
        query = query.filter(appointments::id.nullable().eq_any(units::visits_with(resource)));
    }
    if let Some(status) = filter.status {
        query = query.filter(appointments::status.eq(status));
    }
    if let Some(from) = filter.from {
        query = query.filter(appointments::starts_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(appointments::starts_at.lt(to));
    }
    if let Some(code) = &filter.confirmation_code {
        query = query.filter(appointments::confirmation_code.eq(code.as_str().to_owned()));
    }
    if let Some(needs_attention) = filter.needs_attention {
        let off_plan = slots::table.filter(slots::off_plan.is_not_null()).filter(slots::appointment_id.is_not_null());
        // An overbooked visit may share slots that name another visit.
        let shared = alias!(appointments as shared);
        let field = shared.fields((
            appointments::id,
            appointments::practitioner_id,
            appointments::busy_from,
            appointments::busy_until,
            appointments::overbooked,
        ));
        let sharing = shared
            .inner_join(
                slots::table.on(slots::practitioner_id
                    .eq(field.1)
                    .and(slots::starts_at.ge(field.2))
                    .and(slots::starts_at.lt(field.3))
                    .and(slots::off_plan.is_not_null())),
            )
            .filter(field.4)
            .select(field.0.nullable());
        let changed = alias!(appointments as changed);
        let zone_changed = changed
            .filter(changed.field(appointments::zone_changed_since).is_not_null())
            .filter(changed.field(appointments::status).eq(AppointmentStatus::Booked))
            .select(changed.field(appointments::id).nullable());
        let hit = off_plan.select(slots::appointment_id).union_all(sharing).union_all(zone_changed);
        query = if needs_attention {
            query
                .filter(appointments::status.eq_any(AppointmentStatus::LIVE))
                .filter(appointments::id.nullable().eq_any(hit))
        } else {
            query.filter(
                appointments::status.ne_all(AppointmentStatus::LIVE).or(appointments::id.nullable().ne_all(hit)),
            )
        };
    }
    match filter.overbooked {
        // As the condition of the index, which no bound value has.
        Some(true) => query = query.filter(appointments::overbooked),
        Some(false) => query = query.filter(not(appointments::overbooked)),
        None => {}
    }
    for word in &filter.words {
        query = query.filter(appointments::patient_id.eq_any(by_name::patients_named(word.clone())));
    }
    if let Some(token) = &filter.identifier {
        query = identified!(query, appointments::id, appointment_identifiers, appointment_id, token);
    }
    if let Some(since) = filter.updated_since {
        query = query.filter(appointments::updated_at.ge(page.after.map_or(since, |after| after.at.max(since))));
        let query = in_order!(query, page, appointments::updated_at, appointments::id, AppointmentId);
        let rows: Vec<AppointmentDetails> = query.load(tx.conn)?;
        return Ok(page.cut(rows, |row| (row.appointment.updated_at, row.appointment.id.0)));
    }
    let query = in_order!(query, page, appointments::starts_at, appointments::id, AppointmentId);
    let rows: Vec<AppointmentDetails> = query.load(tx.conn)?;
    Ok(page.cut(rows, |row| (row.appointment.starts_at, row.appointment.id.0)))
}

/// The ids of the appointments of a series, as a sub-query.
#[diesel::dsl::auto_type(no_type_alias)]
fn visits_of(series: AppointmentSeriesId) -> _ {
    appointment_series_visits::table
        .filter(appointment_series_visits::series_id.eq(series))
        .select(appointment_series_visits::appointment_id)
}

/// Loads the appointments of a series, as far as the actor may see them.
pub fn of_series(tx: &mut Tx, series: AppointmentSeriesId) -> Result<Vec<AppointmentDetails>> {
    Ok(details!(tx.actor, tx.now).filter(appointments::id.eq_any(visits_of(series))).load(tx.conn)?)
}

/// Whose day it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    Practitioner(PractitionerId),
    Location(LocationId),
}

/// Loads the appointments of a practitioner or a location that start in a span of time and are not cancelled, by (start, id), as far
/// as the actor may see them.
pub(super) fn between(tx: &mut Tx, of: Of, (from, to): (Timestamp, Timestamp)) -> Result<Vec<AppointmentDetails>> {
    let query = details!(tx.actor, tx.now)
        .filter(appointments::starts_at.ge(from))
        .filter(appointments::starts_at.lt(to))
        .filter(appointments::status.ne(AppointmentStatus::Cancelled))
        .order((appointments::starts_at, appointments::id));
    let query = match of {
        Of::Practitioner(id) => query.filter(appointments::practitioner_id.eq(id)),
        Of::Location(id) => query.filter(appointments::location_id.eq(id)),
    };
    Ok(query.load(tx.conn)?)
}
