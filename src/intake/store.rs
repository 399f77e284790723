//! The queries on intakes. Who may see which, the patient's record decides.

use std::collections::HashMap;

use diesel::prelude::*;
use jiff::SignedDuration;
use serde_json::Value;

use super::model::{self, Answers, Authored, FlagUrgency, IntakeStanding, IntakeStatus};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{appointments, intake_flags, intake_versions, intakes, locations, patients};
use crate::db::types;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::paging::{Cursor, Limit};
use crate::ids::{IntakeId, IntakeVersionId, PatientId, PractitionerId, UserId};
use crate::patients::model::Patient;
use crate::patients::{access, care, store as records};
use crate::scheduling::model::Location;
use crate::sealed::{Place, Sealed};

/// An intake's row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = intakes, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Intake {
    /// Its id.
    pub id: IntakeId,
    /// Whose history it is.
    pub patient_id: PatientId,
    /// Which form.
    pub form: String,
    /// The version of the form that the answers were given for.
    pub form_version: String,
    /// Where it stands.
    pub status: IntakeStatus,
    /// What was answered.
    pub answers: Sealed<Answers>,
    /// What was computed when they were submitted or amended.
    pub computed: Option<Sealed<Value>>,
    /// The review of these answers.
    pub review: Option<Sealed<Value>>,
    /// Why it was entered in error.
    pub void_reason: Option<Sealed<String>>,
    /// The intake it began from.
    pub copied_from: Option<IntakeId>,
    /// Of the row.
    pub version: i32,
    /// When its answers were last written (FHIR `authored`).
    pub authored_at: Timestamp,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// When the present answers were reviewed.
    pub reviewed_at: Option<Timestamp>,
    /// By whom.
    pub reviewed_by: Option<UserId>,
    /// Who began it.
    pub created_by: UserId,
    /// Who last wrote its answers.
    pub updated_by: UserId,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last changed in any way.
    pub updated_at: Timestamp,
}

/// The place of one of an intake's sealed columns.
pub fn place(column: &'static str, id: IntakeId) -> Place {
    Place::new("intakes", column, id.0)
}

impl Intake {
    /// What was answered.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn open_answers(&self, env: &Env) -> Result<Answers> {
        env.sealer.open(place("answers", self.id), &self.answers)
    }

    /// What was computed at the submission or amendment.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn open_computed(&self, env: &Env) -> Result<Option<Value>> {
        self.computed.as_ref().map(|sealed| env.sealer.open(place("computed", self.id), sealed)).transpose()
    }

    /// The review.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn open_review(&self, env: &Env) -> Result<Option<Value>> {
        self.review.as_ref().map(|sealed| env.sealer.open(place("review", self.id), sealed)).transpose()
    }

    /// Why it was entered in error.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn open_void_reason(&self, env: &Env) -> Result<Option<String>> {
        self.void_reason.as_ref().map(|sealed| env.sealer.open(place("void_reason", self.id), sealed)).transpose()
    }
}

/// Keeps a new intake.
///
/// # Errors
/// The conflict `draft_exists`.
pub fn insert(tx: &mut Conn, intake: &Intake) -> Result<()> {
    diesel::insert_into(intakes::table).values(intake).execute(tx)?;
    Ok(())
}

/// Keeps a changed intake as its next version.
///
/// # Errors
/// [`Error::Retry`] where it was changed although it should be locked.
pub fn update(tx: &mut Conn, env: &Env, changed: Intake) -> Result<Intake> {
    let next = Intake { version: changed.version + 1, updated_at: env.now(), ..changed };
    let here = intakes::table.filter(intakes::id.eq(next.id)).filter(intakes::version.eq(changed.version));
    if diesel::update(here).set(&next).execute(tx)? != 1 {
        return Err(Error::Retry);
    }
    Ok(next)
}

/// Forgets a draft of which nothing else speaks.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Conn, id: IntakeId) -> Result<()> {
    diesel::delete(intakes::table.find(id)).execute(tx)?;
    Ok(())
}

/// The intake with its patient, if the actor may see them.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, where the actor has to give a reason.
pub fn visible(tx: &mut Conn, env: &Env, actor: &Actor, id: IntakeId) -> Result<(Intake, Patient)> {
    let intake: Intake = intakes::table.find(id).select(Intake::as_select()).first(tx)?;
    let patient = records::visible(tx, env, actor, intake.patient_id)?;
    care::require(tx, env, actor, patient.id)?;
    Ok((intake, patient))
}

/// Like [`visible`], with the intake locked against every other change. A reason that the actor gave opens the record.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, where the actor has to give a reason.
pub fn lock(tx: &mut Conn, env: &Env, actor: &Actor, id: IntakeId) -> Result<(Intake, Patient)> {
    if let Conn::Postgres(pg) = tx {
        let locked: Option<IntakeId> =
            intakes::table.find(id).select(intakes::id).for_no_key_update().first(pg).optional()?;
        locked.ok_or(Error::NotFound)?;
    }
    let patient = intakes::table.find(id).select(intakes::patient_id).first(tx)?;
    if access::may_act_for(tx, env, actor, patient)? {
        care::admit(tx, env, actor, patient)?;
    }
    visible(tx, env, actor, id)
}

/// The patient's open draft of a form.
///
/// # Errors
/// The database's.
pub fn open_draft(tx: &mut Conn, patient: PatientId, form: &str) -> Result<Option<IntakeId>> {
    Ok(intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(form))
        .filter(intakes::status.eq(IntakeStatus::InProgress))
        .select(intakes::id)
        .first(tx)
        .optional()?)
}

/// The submitted intakes of a patient that count, oldest first.
///
/// # Errors
/// The database's.
pub fn submitted(tx: &mut Conn, patient: PatientId, form: &str) -> Result<Vec<Intake>> {
    Ok(intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(form))
        .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]))
        .order((intakes::authored_at, intakes::id))
        .select(Intake::as_select())
        .load(tx)?)
}

/// Which intakes a list is about; all that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose.
    pub patient_id: Option<PatientId>,
    /// Standing how.
    pub status: Option<IntakeStatus>,
    /// Whether the present answers were reviewed.
    pub reviewed: Option<bool>,
    /// Of patients with a visit to this practitioner, to come or within the last year.
    pub practitioner_id: Option<PractitionerId>,
    /// Changed then or later.
    pub updated_since: Option<Timestamp>,
}

/// An intake in a list, without what is sealed.
#[derive(Debug, Clone, Queryable)]
pub struct Listed {
    /// The intake.
    pub intake: Intake,
    /// Whose it is.
    pub patient: Patient,
}

/// The name under which cursors know the list.
pub const LIST: &str = "intakes";

/// How long after a visit the practitioner is still the patient's.
const CARE: SignedDuration = SignedDuration::from_hours(24 * 365);

/// A page of intakes, the one that was changed longest ago first. The actor must be one who may list all, or the filter
/// name a patient whom they may see.
///
/// # Errors
/// The database's.
pub fn list(
    tx: &mut Conn,
    now: Timestamp,
    filter: &Filter,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<(Vec<Listed>, Option<String>)> {
    let mut query = intakes::table
        .inner_join(patients::table.on(patients::id.eq(intakes::patient_id)))
        .select((Intake::as_select(), Patient::as_select()))
        .into_boxed();
    if let Some(id) = filter.patient_id {
        query = query.filter(intakes::patient_id.eq(id));
    }
    if let Some(status) = filter.status {
        query = query.filter(intakes::status.eq(status));
    }
    match filter.reviewed {
        Some(true) => query = query.filter(intakes::reviewed_at.is_not_null()),
        Some(false) => query = query.filter(intakes::reviewed_at.is_null()),
        None => {}
    }
    if let Some(id) = filter.practitioner_id {
        let seen = appointments::table
            .filter(appointments::practitioner_id.eq(id))
            .filter(appointments::status.ne("cancelled"))
            .filter(appointments::starts_at.ge(now.minus(CARE)))
            .select(appointments::patient_id);
        query = query.filter(intakes::patient_id.eq_any(seen));
    }
    if let Some(since) = filter.updated_since {
        query = query.filter(intakes::updated_at.ge(since));
    }
    if let Some(Cursor { at, id }) = after {
        let behind = intakes::updated_at.gt(at).or(intakes::updated_at.eq(at).and(intakes::id.gt(IntakeId(id))));
        // The first part alone is what an index can begin at.
        query = query.filter(intakes::updated_at.ge(at)).filter(behind);
    }
    let rows: Vec<Listed> = query.order((intakes::updated_at, intakes::id)).limit(limit.query()).load(tx)?;
    Ok(limit.page(rows, LIST, |row| (row.intake.updated_at, row.intake.id.0)))
}

/// How many urgent flags of each of these intakes nobody has acknowledged.
///
/// # Errors
/// The database's.
pub fn urgent_flags(tx: &mut Conn, ids: &[IntakeId]) -> Result<HashMap<IntakeId, u32>> {
    let rows: Vec<(IntakeId, FlagUrgency)> = intake_flags::table
        .filter(intake_flags::intake_id.eq_any(ids.to_vec()))
        .filter(intake_flags::acknowledged_at.is_null())
        .select((intake_flags::intake_id, intake_flags::urgency))
        .load(tx)?;
    let mut counts = HashMap::new();
    for (id, urgency) in rows {
        if urgency.is_urgent() {
            *counts.entry(id).or_default() += 1;
        }
    }
    Ok(counts)
}

// Intakes, where a query of them needs others beside.
diesel::alias!(
    pub(crate) const OTHERS: Alias<Others> = intakes as others;
);

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first, where there is one, or else the second.
    fn coalesce(first: diesel::sql_types::Nullable<types::Instant>, second: types::Instant) -> types::Instant;
}

/// Joins the visits of a query with the newest intake of each one's patient that was authored before its end. Which intake
/// counts for a visit in the end, [`Newest::standing`] says.
macro_rules! with_newest_intake {
    ($visits:expr, $patient:expr, $ends_at:expr) => {{
        use crate::db::schema::intakes;
        use crate::intake::store::{OTHERS, coalesce};
        // An amendment after the visit takes nothing away from what was there before it.
        let at = || coalesce(OTHERS.field(intakes::submitted_at), OTHERS.field(intakes::authored_at));
        let newest = OTHERS
            .filter(OTHERS.field(intakes::patient_id).eq($patient))
            .filter(OTHERS.field(intakes::status).ne(IntakeStatus::EnteredInError))
            .filter(at().le($ends_at))
            .order((at().desc(), OTHERS.field(intakes::id).desc()))
            .select(OTHERS.field(intakes::id));
        $visits.left_join(intakes::table.on(intakes::id.nullable().eq(newest.single_value())))
    }};
}
pub(crate) use with_newest_intake;

/// What of an intake tells whether it counts for a visit. See [`with_newest_intake`].
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = intakes)]
pub struct Newest {
    id: IntakeId,
    status: IntakeStatus,
    authored_at: Timestamp,
    submitted_at: Option<Timestamp>,
    reviewed_at: Option<Timestamp>,
}

impl Newest {
    /// The intake that counts for a visit with this start and end, and how it stands.
    pub fn standing(
        newest: Option<Self>,
        visit: (Timestamp, Timestamp),
        env: &Env,
    ) -> (Option<IntakeId>, IntakeStanding) {
        let newest = newest.map(|Self { id, status, authored_at, submitted_at, reviewed_at }| Authored {
            id,
            status,
            at: submitted_at.unwrap_or(authored_at),
            reviewed: reviewed_at.is_some(),
        });
        let valid = SignedDuration::from_hours(24 * i64::from(env.config.settings.intake_valid_days));
        model::standing(newest.as_slice(), visit, valid)
    }
}

/// Where the patient is seen next, or was last, or else the clinic's oldest location.
///
/// # Errors
/// The database's.
pub fn place_of_care(tx: &mut Conn, patient: PatientId, now: Timestamp) -> Result<Option<Location>> {
    let visits = || {
        appointments::table
            .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
            .filter(appointments::patient_id.eq(patient))
            .filter(appointments::status.ne("cancelled"))
            .select(Location::as_select())
    };
    let next = visits().filter(appointments::ends_at.gt(now)).order(appointments::starts_at).first(tx).optional()?;
    if next.is_some() {
        return Ok(next);
    }
    let last = visits().order(appointments::starts_at.desc()).first(tx).optional()?;
    if last.is_some() {
        return Ok(last);
    }
    let oldest = locations::table.order((locations::created_at, locations::id)).select(Location::as_select());
    Ok(oldest.first(tx).optional()?)
}

/// What an amendment replaced.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = intake_versions, treat_none_as_default_value = false)]
pub struct Replaced {
    /// Its id.
    pub id: IntakeVersionId,
    /// The intake.
    pub intake_id: IntakeId,
    /// The intake's version while these were its answers.
    pub version: i32,
    /// The version of the form.
    pub form_version: String,
    /// Where the intake stood.
    pub status: IntakeStatus,
    /// What was answered.
    pub answers: Sealed<Answers>,
    /// What was computed from it.
    pub computed: Option<Sealed<Value>>,
    /// Its review.
    pub review: Option<Sealed<Value>>,
    /// Why it was replaced.
    pub reason: Sealed<String>,
    /// When the answers were written.
    pub authored_at: Timestamp,
    /// By whom.
    pub authored_by: UserId,
    /// When they were reviewed.
    pub reviewed_at: Option<Timestamp>,
    /// By whom.
    pub reviewed_by: Option<UserId>,
    /// When they were replaced.
    pub replaced_at: Timestamp,
    /// By whom.
    pub replaced_by: UserId,
}

/// The place of one of its sealed columns.
pub fn replaced_place(column: &'static str, id: IntakeVersionId) -> Place {
    Place::new("intake_versions", column, id.0)
}

/// Keeps what is about to be replaced.
///
/// # Errors
/// The database's.
pub fn keep(tx: &mut Conn, env: &Env, actor: &Actor, was: &Intake, reason: &str) -> Result<()> {
    let id: IntakeVersionId = env.new_id();
    // A sealed value is bound to its row, so it is opened there and sealed here.
    let reseal = |column: &'static str, value: Option<Value>| {
        value.map(|value| env.sealer.seal(replaced_place(column, id), &value)).transpose()
    };
    let row = Replaced {
        id,
        intake_id: was.id,
        version: was.version,
        form_version: was.form_version.clone(),
        status: was.status,
        answers: env.sealer.seal(replaced_place("answers", id), &was.open_answers(env)?)?,
        computed: reseal("computed", was.open_computed(env)?)?,
        review: reseal("review", was.open_review(env)?)?,
        reason: env.sealer.seal(replaced_place("reason", id), &reason.to_owned())?,
        authored_at: was.authored_at,
        authored_by: was.updated_by,
        reviewed_at: was.reviewed_at,
        reviewed_by: was.reviewed_by,
        replaced_at: env.now(),
        replaced_by: actor.user_id,
    };
    diesel::insert_into(intake_versions::table).values(&row).execute(tx)?;
    Ok(())
}

/// What amendments of an intake replaced, oldest first.
///
/// # Errors
/// The database's.
pub fn replaced(tx: &mut Conn, id: IntakeId) -> Result<Vec<Replaced>> {
    Ok(intake_versions::table
        .filter(intake_versions::intake_id.eq(id))
        .order(intake_versions::version)
        .select(Replaced::as_select())
        .load(tx)?)
}
