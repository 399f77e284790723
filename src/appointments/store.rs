//! Queries on appointments and their history.

use diesel::dsl::exists;
use diesel::prelude::*;

use super::code::ConfirmationCode;
use super::model::{AppointmentStatus, AppointmentStep};
use crate::actor::{Action, Actor, Reach};
use crate::clock::Timestamp;
use crate::db::schema::{
    appointment_history, appointment_identifiers, appointments, locations, patient_access, patient_name_words,
    patients, practitioners, slots, users, visit_types,
};
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::paging::{Cursor, Limit};
use crate::identifiers::{self, Identifiers, Token, identified};
use crate::ids::{
    AppointmentHistoryId, AppointmentId, IntakeId, LocationId, PatientId, PractitionerId, UserId, VisitTypeId,
};
use crate::intake::handover::Visit;
use crate::intake::model::{IntakeStanding, IntakeStatus};
use crate::intake::store::{Newest, with_newest_intake};
use crate::patients::access;
use crate::patients::care::gives_care;
use crate::patients::model::Patient;
use crate::patients::names;
use crate::scheduling::model::{Location, OffPlan, Practitioner, VisitType};
use crate::sealed::{Place, Sealed};

/// An appointment's row.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = appointments)]
pub struct Appointment {
    /// Also the UID of its calendar entry, for good.
    pub id: AppointmentId,
    /// Who is seen.
    pub patient_id: PatientId,
    /// By whom.
    pub practitioner_id: PractitionerId,
    /// Where.
    pub location_id: LocationId,
    /// What for.
    pub visit_type_id: VisitTypeId,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// Without its hyphen.
    pub confirmation_code: String,
    /// Grows with every change that calendars must learn of.
    pub sequence: i32,
    /// What the patient or the desk wrote at the booking.
    pub note: Option<Sealed<String>>,
    /// What other systems call it.
    pub identifiers: Identifiers,
    /// The account that booked.
    pub booked_by: Option<UserId>,
    /// Of the row.
    pub version: i32,
    /// When it was booked.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Whether the practitioner placed it with themselves.
    pub self_placed: bool,
}

impl Appointment {
    /// The part of it that decides whose the patient's flags are.
    pub fn visit(&self) -> Visit {
        Visit {
            id: self.id,
            patient_id: self.patient_id,
            practitioner_id: self.practitioner_id,
            gives_care: gives_care(self.status.as_str(), self.self_placed),
        }
    }
}

impl std::fmt::Debug for Appointment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Appointment({})", self.id)
    }
}

/// The place of an appointment's sealed note.
pub fn note_place(id: AppointmentId) -> Place {
    Place::new("appointments", "note", id.0)
}

/// An appointment with what is shown beside it.
#[derive(Clone, Queryable)]
pub struct Shown {
    /// The appointment.
    pub appointment: Appointment,
    /// Where.
    pub location: Location,
    /// By whom.
    pub practitioner: Practitioner,
    /// What for.
    pub visit_type: VisitType,
    /// Whose it is.
    pub patient: Patient,
    /// Why the plan does not cover the first of its times that were hit.
    pub off_plan: Option<OffPlan>,
    /// Since when it does not.
    pub off_plan_since: Option<Timestamp>,
    /// The patient's newest intake from before its end.
    pub(super) newest_intake: Option<Newest>,
}

impl Shown {
    /// Why somebody must call the patient, and since when: it is booked, but the plan does not cover it (any more).
    pub fn attention(&self) -> Option<(OffPlan, Timestamp)> {
        let booked = self.appointment.status == AppointmentStatus::Booked;
        self.off_plan.zip(self.off_plan_since).filter(|_| booked)
    }

    /// The intake that counts for it, and how that stands.
    pub fn intake(&self, env: &Env) -> (Option<IntakeId>, IntakeStanding) {
        Newest::standing(self.newest_intake, (self.appointment.starts_at, self.appointment.ends_at), env)
    }
}

/// Which appointments a list is about; all that is set must hold.
#[derive(Clone, Default)]
pub struct Filter {
    /// Whose.
    pub patient_id: Option<PatientId>,
    /// With whom.
    pub practitioner_id: Option<PractitionerId>,
    /// Where.
    pub location_id: Option<LocationId>,
    /// Standing how.
    pub status: Option<AppointmentStatus>,
    /// Starting then or later.
    pub from: Option<Timestamp>,
    /// Starting earlier.
    pub to: Option<Timestamp>,
    /// With this code.
    pub confirmation_code: Option<ConfirmationCode>,
    /// Whether the plan does not cover it (any more) although it is booked.
    pub needs_attention: Option<bool>,
    /// Normalised words, each of which begins a word of one of the patient's names.
    pub words: Vec<String>,
    /// What another system calls it.
    pub identifier: Option<Token>,
    /// Changed then or later; the list is then by change.
    pub updated_since: Option<Timestamp>,
}

impl Filter {
    /// The name under which cursors know the list in its order.
    pub fn list(&self) -> &'static str {
        if self.updated_since.is_some() { "appointments-changes" } else { "appointments" }
    }
}

/// Whether the actor reads only what belongs to patients they may act for.
fn only_own(actor: &Actor) -> bool {
    actor.reach(Action::AppointmentRead) != Reach::Any
}

/// Of an appointment's slots the one that was hit first.
macro_rules! first_hit {
    () => {
        slots::table
            .filter(slots::appointment_id.eq(appointments::id.nullable()))
            .filter(slots::off_plan.is_not_null())
            .order((slots::off_plan_since, slots::starts_at))
    };
}

/// The joined query of which single appointments and lists are made.
macro_rules! joined {
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
        .select((
            Appointment::as_select(),
            Location::as_select(),
            Practitioner::as_select(),
            VisitType::as_select(),
            Patient::as_select(),
            first_hit!().select(slots::off_plan).single_value(),
            first_hit!().select(slots::off_plan_since).single_value(),
            Option::<Newest>::as_select(),
        ))
    };
}

/// The patients that the actor may act for.
macro_rules! own {
    ($env:expr, $actor:expr) => {
        patient_access::table
            .filter(patient_access::user_id.eq($actor.user_id))
            .filter(access::standing($env.now()))
            .select(patient_access::patient_id)
    };
}

/// [`joined`], limited to what the actor may see.
macro_rules! shown {
    ($env:expr, $actor:expr) => {{
        let mut query = joined!().into_boxed();
        if only_own($actor) {
            query = query.filter(appointments::patient_id.eq_any(own!($env, $actor)));
        }
        query
    }};
}

/// The appointment with what is shown beside it.
///
/// # Errors
/// [`Error::NotFound`] where the actor may not see it.
pub fn shown(tx: &mut Conn, env: &Env, actor: &Actor, id: AppointmentId) -> Result<Shown> {
    let shown: Shown = per_backend!(tx, tx => shown!(env, actor).filter(appointments::id.eq(id)).first(tx))?;
    actor.trail.note_patient(shown.patient.id);
    Ok(shown)
}

/// The appointment with what is shown beside it, for whoever has shown otherwise that they may see it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn unguarded(tx: &mut Conn, id: AppointmentId) -> Result<Shown> {
    Ok(per_backend!(tx, tx => joined!().filter(appointments::id.eq(id)).first(tx))?)
}

/// Locks the appointment against every other change and loads it.
///
/// # Errors
/// [`Error::NotFound`] where the actor may not see it.
pub fn lock(tx: &mut Conn, env: &Env, actor: &Actor, id: AppointmentId) -> Result<Shown> {
    lock_row(tx, id)?;
    shown(tx, env, actor, id)
}

/// [`lock`] for whoever has shown otherwise that they may see it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn lock_unguarded(tx: &mut Conn, id: AppointmentId) -> Result<Shown> {
    lock_row(tx, id)?;
    unguarded(tx, id)
}

fn lock_row(tx: &mut Conn, id: AppointmentId) -> Result<()> {
    if let Conn::Postgres(pg) = tx {
        let locked: Option<AppointmentId> =
            appointments::table.find(id).select(appointments::id).for_no_key_update().first(pg).optional()?;
        locked.ok_or(Error::NotFound)?;
    }
    Ok(())
}

/// Makes the changes to one patient's appointments wait for each other.
///
/// That none of them overlap is a constraint (`patient_busy`); but two inserts that each find the other, not yet committed,
/// would wait for each other until the deadlock is noticed.
///
/// # Errors
/// The database's.
pub fn lock_patient(tx: &mut Conn, id: PatientId) -> Result<()> {
    if let Conn::Postgres(pg) = tx {
        let _: PatientId = patients::table.find(id).select(patients::id).for_no_key_update().first(pg)?;
    }
    Ok(())
}

/// How many times the limit of one patient an account may have booked for all patients together that it brought itself.
const PATIENTS_PER_ACCOUNT: i64 = 3;

/// Requires that a patient has room for another visit to come, and the account that books it as well. Patients whom the staff linked
/// or verified do not count against the account: only records that it made by itself, which cost nothing to make.
///
/// The caller has locked account and patient ([`patients::store::lock_by_account`](crate::patients::store::lock_by_account)).
///
/// # Errors
/// The conflicts `booking_limit` and `account_booking_limit`.
pub fn require_room(tx: &mut Conn, account: UserId, patient: PatientId, now: Timestamp, limit: u16) -> Result<()> {
    let live: Vec<_> = AppointmentStatus::ALL.iter().copied().filter(|status| status.is_live()).collect();
    let to_come = || appointments::status.eq_any(live.clone()).and(appointments::ends_at.gt(now));
    let brought = || {
        patient_access::user_id
            .eq(account)
            .and(patient_access::granted_by.is_null())
            .and(patient_access::verified_by.is_null())
    };
    let of_patient = appointments::table.filter(appointments::patient_id.eq(patient)).filter(to_come()).count();
    let of_account = appointments::table
        .inner_join(patient_access::table.on(patient_access::patient_id.eq(appointments::patient_id)))
        .filter(brought())
        .filter(to_come())
        .count();
    let is_brought = exists(patient_access::table.filter(brought()).filter(patient_access::patient_id.eq(patient)));
    let counts = diesel::select((of_patient.single_value(), of_account.single_value(), is_brought));
    let (of_patient, of_account, is_brought): (Option<i64>, Option<i64>, bool) = counts.get_result(tx)?;
    if of_patient.unwrap_or(0) >= i64::from(limit) {
        let detail = format!("There are {limit} visits to come already. Cancel one, or call the clinic to book more.");
        return Err(Error::conflict("booking_limit", detail));
    }
    let limit = i64::from(limit) * PATIENTS_PER_ACCOUNT;
    if is_brought && of_account.unwrap_or(0) >= limit {
        let detail = format!(
            "This account has {limit} visits to come for the people whom it added. Cancel one, or call the clinic to book more."
        );
        return Err(Error::conflict("account_booking_limit", detail));
    }
    Ok(())
}

/// A page of the appointments that the actor may see, by (start, id); with `updated_since` by (change, id).
///
/// # Errors
/// The database's.
pub fn list(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    filter: &Filter,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<(Vec<Shown>, Option<String>)> {
    let mut query = shown!(env, actor);
    if let Some(id) = filter.patient_id {
        query = query.filter(appointments::patient_id.eq(id));
    }
    if let Some(id) = filter.practitioner_id {
        query = query.filter(appointments::practitioner_id.eq(id));
    }
    if let Some(id) = filter.location_id {
        query = query.filter(appointments::location_id.eq(id));
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
        let hit = slots::table.filter(slots::off_plan.is_not_null()).select(slots::appointment_id);
        let booked = appointments::status.eq(AppointmentStatus::Booked);
        query = if needs_attention {
            query.filter(booked).filter(appointments::id.nullable().eq_any(hit))
        } else {
            let hit = hit.filter(slots::appointment_id.is_not_null());
            query.filter(appointments::status.ne(AppointmentStatus::Booked).or(appointments::id.nullable().ne_all(hit)))
        };
    }
    for word in &filter.words {
        // Where no text comes after all that begin with the word, the range is open.
        let end = names::successor(word).unwrap_or_else(|| char::MAX.to_string());
        let named = patient_name_words::table
            .filter(patient_name_words::word.ge(word.clone()))
            .filter(patient_name_words::word.lt(end))
            .select(patient_name_words::patient_id);
        query = query.filter(appointments::patient_id.eq_any(named));
    }
    if let Some(token) = &filter.identifier {
        query = identified!(query, appointments::id, appointment_identifiers, appointment_id, token);
    }
    if let Some(since) = filter.updated_since {
        query = query.filter(appointments::updated_at.ge(after.map_or(since, |after| after.at.max(since))));
        if let Some(Cursor { at, id }) = after {
            query = query.filter(appointments::updated_at.gt(at).or(appointments::id.gt(AppointmentId(id))));
        }
        let rows: Vec<Shown> =
            query.order((appointments::updated_at, appointments::id)).limit(limit.query()).load(tx)?;
        return Ok(limit.page(rows, filter.list(), |row| (row.appointment.updated_at, row.appointment.id.0)));
    }
    if let Some(Cursor { at, id }) = after {
        let id = AppointmentId(id);
        let behind = appointments::starts_at.gt(at).or(appointments::starts_at.eq(at).and(appointments::id.gt(id)));
        // The first part alone is what an index can begin at.
        query = query.filter(appointments::starts_at.ge(at)).filter(behind);
    }
    let rows: Vec<Shown> = query.order((appointments::starts_at, appointments::id)).limit(limit.query()).load(tx)?;
    Ok(limit.page(rows, filter.list(), |row| (row.appointment.starts_at, row.appointment.id.0)))
}

/// A practitioner's appointments that start in a span of time and are not cancelled, by (start, id), as far as the actor
/// may see them.
///
/// # Errors
/// The database's.
pub fn between(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    practitioner: PractitionerId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Shown>> {
    Ok(shown!(env, actor)
        .filter(appointments::practitioner_id.eq(practitioner))
        .filter(appointments::starts_at.ge(from))
        .filter(appointments::starts_at.lt(to))
        .filter(appointments::status.ne(AppointmentStatus::Cancelled))
        .order((appointments::starts_at, appointments::id))
        .load(tx)?)
}

/// Keeps a new appointment and the first line of its history.
///
/// # Errors
/// A conflict where another has its time, code or identifier.
pub fn insert(tx: &mut Conn, env: &Env, new: &Appointment) -> Result<()> {
    use appointments::dsl;
    per_backend!(tx, tx => diesel::insert_into(appointments::table)
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
            ),
        ))
        .execute(tx))?;
    if !new.identifiers.0.is_empty() {
        identifiers::set_for_appointment(tx, new.id, &new.identifiers)?;
    }
    let change = Change { step: AppointmentStep::Book, from: None, reason: None, by: new.booked_by };
    remember(tx, env, &change, new)
}

/// A change, as history tells it.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// What happened.
    pub step: AppointmentStep,
    /// The status before; none before the booking.
    pub from: Option<AppointmentStatus>,
    /// Why, in somebody's words.
    pub reason: Option<&'a str>,
    /// Whose account did it; none, where the link in a mail was used.
    pub by: Option<UserId>,
}

/// Keeps a changed appointment as its next version, and a line of its history.
///
/// # Errors
/// A conflict where another has its time; [`Error::Retry`] where it was changed although it should be locked.
pub fn update(tx: &mut Conn, env: &Env, change: &Change<'_>, changed: Appointment) -> Result<Appointment> {
    use appointments::dsl;
    let next = Appointment { version: changed.version + 1, updated_at: env.now(), ..changed };
    let rows = diesel::update(appointments::table.find(next.id).filter(dsl::version.eq(changed.version)))
        .set((
            dsl::practitioner_id.eq(next.practitioner_id),
            dsl::location_id.eq(next.location_id),
            dsl::starts_at.eq(next.starts_at),
            dsl::ends_at.eq(next.ends_at),
            dsl::status.eq(next.status),
            dsl::sequence.eq(next.sequence),
            dsl::note.eq(&next.note),
            dsl::identifiers.eq(&next.identifiers),
            dsl::self_placed.eq(next.self_placed),
            dsl::version.eq(next.version),
            dsl::updated_at.eq(next.updated_at),
        ))
        .execute(tx)?;
    if rows != 1 {
        return Err(Error::Retry);
    }
    remember(tx, env, change, &next)?;
    Ok(next)
}

fn remember(tx: &mut Conn, env: &Env, change: &Change<'_>, now: &Appointment) -> Result<()> {
    use appointment_history::dsl;
    let id: AppointmentHistoryId = env.new_id();
    let reason = change.reason.map(|text| env.sealer.seal(reason_place(id), &text.to_owned())).transpose()?;
    per_backend!(tx, tx => diesel::insert_into(appointment_history::table)
        .values((
            dsl::id.eq(id),
            dsl::appointment_id.eq(now.id),
            dsl::at.eq(now.updated_at),
            dsl::actor_id.eq(change.by),
            dsl::action.eq(change.step),
            dsl::from_status.eq(change.from),
            dsl::to_status.eq(now.status),
            dsl::practitioner_id.eq(now.practitioner_id),
            dsl::location_id.eq(now.location_id),
            dsl::starts_at.eq(now.starts_at),
            dsl::ends_at.eq(now.ends_at),
            dsl::reason.eq(&reason),
        ))
        .execute(tx))?;
    Ok(())
}

/// The place of a change's sealed reason.
pub fn reason_place(id: AppointmentHistoryId) -> Place {
    Place::new("appointment_history", "reason", id.0)
}

/// When the appointment got the status that it has.
///
/// # Errors
/// The database's.
pub fn changed_at(tx: &mut Conn, appointment: &Appointment) -> Result<Timestamp> {
    use appointment_history::dsl;
    let at: Option<Timestamp> = appointment_history::table
        .filter(dsl::appointment_id.eq(appointment.id))
        .filter(dsl::to_status.eq(appointment.status))
        .filter(dsl::action.ne_all([AppointmentStep::Reschedule, AppointmentStep::Amend]))
        .order(dsl::id.desc())
        .select(dsl::at)
        .first(tx)
        .optional()?;
    Ok(at.unwrap_or(appointment.created_at))
}

/// A line of an appointment's history: the appointment as it was after the change.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = appointment_history)]
pub struct Past {
    /// Of the line.
    pub id: AppointmentHistoryId,
    /// When.
    pub at: Timestamp,
    /// Whose account did it; none, where the link in a mail was used.
    pub actor_id: Option<UserId>,
    /// What.
    pub action: AppointmentStep,
    /// The status before.
    pub from_status: Option<AppointmentStatus>,
    /// The status after.
    pub to_status: AppointmentStatus,
    /// By whom the patient is seen, after it.
    pub practitioner_id: PractitionerId,
    /// Where, after it.
    pub location_id: LocationId,
    /// From when, after it.
    pub starts_at: Timestamp,
    /// Until when, after it.
    pub ends_at: Timestamp,
    /// Why.
    pub reason: Option<Sealed<String>>,
}

/// The history of an appointment, oldest first, each line with the role of the account that did it.
///
/// # Errors
/// [`Error::NotFound`] where the actor may not see the appointment.
pub fn history(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    id: AppointmentId,
) -> Result<Vec<(Past, Option<crate::actor::Role>)>> {
    let mut query = appointment_history::table
        .inner_join(appointments::table.on(appointments::id.eq(appointment_history::appointment_id)))
        .left_join(users::table.on(appointment_history::actor_id.eq(users::id.nullable())))
        .filter(appointments::id.eq(id))
        .order(appointment_history::id)
        .select((appointments::patient_id, (Past::as_select(), users::role.nullable())))
        .into_boxed();
    if only_own(actor) {
        query = query.filter(appointments::patient_id.eq_any(own!(env, actor)));
    }
    let rows: Vec<(PatientId, (Past, Option<crate::actor::Role>))> = query.load(tx)?;
    // Each appointment's begins with its booking.
    let (patient, _) = rows.first().ok_or(Error::NotFound)?;
    actor.trail.note_patient(*patient);
    Ok(rows.into_iter().map(|(_, past)| past).collect())
}
