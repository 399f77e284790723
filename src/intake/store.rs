//! The rows of intakes: loading, locking and storing them. The patient's record decides who may see an intake.

use diesel::prelude::*;
use jiff::SignedDuration;
use serde_json::Value;

use super::model::{self, Answers, Authored, IntakeStanding, IntakeStatus};
use super::place_of_care::PlaceOfCare;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::intakes;
use crate::db::{Conn, types};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{IntakeId, PatientId, UserId};
use crate::patients::model::Patient;
use crate::patients::{access, care, store as records};
use crate::sealed::{Place, Sealed};

/// A row of an intake.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = intakes, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Intake {
    pub id: IntakeId,
    pub patient_id: PatientId,
    /// The name of the form.
    pub form: String,
    /// The version of the form that the answers were given for.
    pub form_version: String,
    pub status: IntakeStatus,
    pub answers: Sealed<Answers>,
    /// What was computed when the answers were submitted, amended or reviewed, with the version of the rules.
    pub computed: Option<Sealed<Value>>,
    /// The review of the current answers.
    pub review: Option<Sealed<Value>>,
    /// Why it was entered in error.
    pub void_reason: Option<Sealed<String>>,
    /// The intake from which its first answers were copied.
    pub copied_from: Option<IntakeId>,
    /// The version of the row.
    pub version: i32,
    /// The time of the last change of the answers (FHIR `authored`).
    pub authored_at: Timestamp,
    /// The time of the submission.
    pub submitted_at: Option<Timestamp>,
    /// The time of the review of the current answers.
    pub reviewed_at: Option<Timestamp>,
    /// The account that reviewed them.
    pub reviewed_by: Option<UserId>,
    /// The account that began it.
    pub created_by: UserId,
    /// The account that changed the answers last.
    pub updated_by: UserId,
    /// The time at which it was begun.
    pub created_at: Timestamp,
    /// The time of the last change of any kind.
    pub updated_at: Timestamp,
    /// The time from which the findings may change by themselves.
    pub due_at: Option<Timestamp>,
    /// The rules that computed the findings last ([`rls::rule_set_number`]). None for drafts and intakes entered in error.
    pub rule_set: Option<i32>,
}

/// The place of a sealed column of an intake.
pub fn place(column: &'static str, id: IntakeId) -> Place {
    Place::new("intakes", column, id.0)
}

impl Intake {
    /// Decrypts the answers.
    pub fn open_answers(&self, env: &Env) -> Result<Answers> {
        env.sealer.open(place("answers", self.id), &self.answers)
    }

    /// Decrypts what was computed from the answers.
    pub fn open_computed(&self, env: &Env) -> Result<Option<Value>> {
        self.computed.as_ref().map(|sealed| env.sealer.open(place("computed", self.id), sealed)).transpose()
    }

    /// Sets what was computed from the answers, and when it may change by itself.
    pub fn with_findings(self, env: &Env, computed: &rls::Computed, place_of_care: &PlaceOfCare) -> Result<Self> {
        Ok(Self {
            computed: Some(seal_computed(env, self.id, computed)?),
            due_at: computed.changes_on.map(|day| place_of_care.start_of(day)).transpose()?,
            rule_set: Some(rls::rule_set_number()),
            ..self
        })
    }

    /// Decrypts the review.
    pub fn open_review(&self, env: &Env) -> Result<Option<Value>> {
        self.review.as_ref().map(|sealed| env.sealer.open(place("review", self.id), sealed)).transpose()
    }

    /// Decrypts the reason why it was entered in error.
    pub fn open_void_reason(&self, env: &Env) -> Result<Option<String>> {
        self.void_reason.as_ref().map(|sealed| env.sealer.open(place("void_reason", self.id), sealed)).transpose()
    }
}

/// Encrypts what was computed from the answers, with the version of the rules.
fn seal_computed(env: &Env, id: IntakeId, computed: &rls::Computed) -> Result<Sealed<Value>> {
    let mut value = serde_json::to_value(computed).map_err(|error| Error::internal("write computed values", error))?;
    if let Value::Object(members) = &mut value {
        members.insert("rule_set_version".to_owned(), rls::RULE_SET_VERSION.into());
    }
    env.sealer.seal(place("computed", id), &value)
}

/// Stores a new intake.
///
/// # Errors
/// The conflict `draft_exists`.
pub fn insert(conn: &mut Conn, intake: &Intake) -> Result<()> {
    diesel::insert_into(intakes::table).values(intake).execute(conn)?;
    Ok(())
}

/// Stores a changed intake as its next version.
///
/// # Errors
/// [`Error::Retry`] if another transaction changed it although it should be locked.
pub fn update(conn: &mut Conn, now: Timestamp, changed: Intake) -> Result<Intake> {
    let next = Intake { version: changed.version + 1, updated_at: now, ..changed };
    let current = intakes::table.filter(intakes::id.eq(next.id)).filter(intakes::version.eq(changed.version));
    if diesel::update(current).set(&next).execute(conn)? != 1 {
        return Err(Error::Retry);
    }
    Ok(next)
}

/// Replaces the answers of a draft and marks it as entered in error. Only these columns, because drafts of retired records are discarded too,
/// and nothing else of such a record may be stored.
pub fn discard(conn: &mut Conn, now: Timestamp, draft: &Intake, answers: &Sealed<Answers>) -> Result<()> {
    let current = intakes::table.filter(intakes::id.eq(draft.id)).filter(intakes::version.eq(draft.version));
    let change = (
        intakes::status.eq(IntakeStatus::EnteredInError),
        intakes::answers.eq(answers),
        intakes::version.eq(draft.version + 1),
        intakes::updated_at.eq(now),
    );
    if diesel::update(current).set(change).execute(conn)? != 1 {
        return Err(Error::Retry);
    }
    Ok(())
}

/// Deletes a draft that no flag refers to.
pub fn delete(conn: &mut Conn, id: IntakeId) -> Result<()> {
    diesel::delete(intakes::table.find(id)).execute(conn)?;
    Ok(())
}

/// Loads an intake with its patient.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the patient; forbidden if a practitioner has to give a reason.
pub fn find(tx: &mut Tx, id: IntakeId) -> Result<(Intake, Patient)> {
    let intake: Intake = intakes::table.find(id).select(Intake::as_select()).first(tx.conn)?;
    let patient = records::visible(tx.conn, tx.env, tx.actor, intake.patient_id)?;
    care::require(tx.conn, tx.env, tx.actor, patient.id)?;
    Ok((intake, patient))
}

/// Locks an intake with its patient against every other change and loads both. Opens the record if a practitioner gave a reason.
///
/// # Errors
/// Those of [`find`].
pub fn lock(tx: &mut Tx, id: IntakeId) -> Result<(Intake, Patient)> {
    let patient = owner(tx.conn, id)?.ok_or(Error::NotFound)?;
    records::lock_visits(tx.conn, patient)?;
    if access::may_act_for(tx.conn, tx.env, tx.actor, patient)? {
        care::admit(tx.conn, tx.env, tx.actor, patient)?;
    }
    let found = find(tx, id)?;
    records::require_same_owner(patient, found.1.id)?;
    Ok(found)
}

/// Returns the patient of an intake.
pub(super) fn owner(conn: &mut Conn, id: IntakeId) -> Result<Option<PatientId>> {
    Ok(intakes::table.find(id).select(intakes::patient_id).first(conn).optional()?)
}

/// Locks the patient of an intake and returns it, if there is such an intake.
///
/// All changes of a patient's intakes and laboratory results wait for each other, because the flags follow from all of them.
///
/// # Errors
/// Those of [`records::lock_visits`]; [`Error::Retry`] if the intake got another patient meanwhile.
pub fn lock_patient_of(conn: &mut Conn, id: IntakeId) -> Result<Option<PatientId>> {
    let Some(patient) = owner(conn, id)? else { return Ok(None) };
    let locked = records::lock_visits(conn, patient);
    // A merge or its undo may have moved the intake. After an error of the database the transaction can run no query.
    if let Ok(()) | Err(Error::Conflict(_)) = locked {
        let Some(now) = owner(conn, id)? else { return Ok(None) };
        records::require_same_owner(patient, now)?;
    }
    locked.map(|()| Some(patient))
}

/// Returns the patient's open draft of a form.
pub fn open_draft(conn: &mut Conn, patient: PatientId, form: &str) -> Result<Option<IntakeId>> {
    Ok(intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(form))
        .filter(intakes::status.eq(IntakeStatus::InProgress))
        .select(intakes::id)
        .first(conn)
        .optional()?)
}

/// Returns the newest submitted intake of a form.
pub fn newest_submitted(conn: &mut Conn, patient: PatientId, form: &str) -> Result<Option<IntakeId>> {
    Ok(intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(form))
        .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]))
        .order((intakes::authored_at.desc(), intakes::id.desc()))
        .select(intakes::id)
        .first(conn)
        .optional()?)
}

/// Loads the submitted intakes of a patient, oldest first, without those entered in error.
pub fn submitted(conn: &mut Conn, patient: PatientId, form: &str) -> Result<Vec<Intake>> {
    Ok(intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(form))
        .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]))
        .order((intakes::authored_at, intakes::id))
        .select(Intake::as_select())
        .load(conn)?)
}

/// How many earlier intakes are searched for an answer.
const EARLIER: i64 = 5;

/// Loads the newest intakes of a patient that were submitted before another one, newest first.
pub fn submitted_before(conn: &mut Conn, patient: PatientId, intake: &Intake) -> Result<Vec<Intake>> {
    let mut earlier = intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::id.ne(intake.id))
        .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]))
        .order((intakes::submitted_at.desc(), intakes::id.desc()))
        .limit(EARLIER)
        .select(Intake::as_select())
        .into_boxed();
    if let Some(at) = intake.submitted_at {
        earlier = earlier.filter(intakes::submitted_at.lt(at));
    }
    Ok(earlier.load(conn)?)
}

// A second name of the table, for a sub-query on intakes inside of a query on intakes.
diesel::alias!(
    pub(crate) const OTHERS: Alias<Others> = intakes as others;
);

#[diesel::declare_sql_function]
extern "SQL" {
    /// Returns the first value that is not null.
    fn coalesce(first: diesel::sql_types::Nullable<types::Instant>, second: types::Instant) -> types::Instant;
}

/// Joins each visit of a query with the newest history of its patient whose answers were given before the visit's end.
/// [`Newest::standing`] decides whether that intake counts for the visit.
macro_rules! with_newest_intake {
    ($visits:expr, $patient:expr, $ends_at:expr) => {{
        use crate::db::schema::intakes;
        use crate::intake::store::{OTHERS, coalesce};
        // An amendment after the visit does not change that the intake was there before it.
        let at = || coalesce(OTHERS.field(intakes::submitted_at), OTHERS.field(intakes::authored_at));
        let newest = OTHERS
            .filter(OTHERS.field(intakes::patient_id).eq($patient))
            .filter(OTHERS.field(intakes::form).eq(rls::FORM))
            .filter(OTHERS.field(intakes::status).ne(IntakeStatus::EnteredInError))
            .filter(at().le($ends_at))
            .order((at().desc(), OTHERS.field(intakes::id).desc()))
            .select(OTHERS.field(intakes::id));
        $visits.left_join(intakes::table.on(intakes::id.nullable().eq(newest.single_value())))
    }};
}
pub(crate) use with_newest_intake;

/// The columns that decide whether an intake counts for a visit. See [`with_newest_intake`].
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
    /// Returns the intake that counts for a visit with this start and end, and its state.
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
