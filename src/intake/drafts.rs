//! Drafts: begun, saved as often as somebody likes, discarded.

use serde_json::{Map, Value};

use super::access::Bearings;
use super::flags;
use super::model::{Answers, IntakeStatus, require_draft};
use super::rls;
use super::store::{self, Intake};
use super::{Rules, from_value, to_map};
use crate::actor::{Actor, Role};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::IfMatch;
use crate::ids::{IntakeId, PatientId};
use crate::patients::{care, store as records};

/// Begins a draft, empty or with what an earlier intake of the patient says of history and medicines.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `draft_exists`; a broken rule where there is no such earlier intake.
pub fn begin(
    tx: &mut Conn,
    env: &Env,
    rules: &Rules,
    actor: &Actor,
    patient: PatientId,
    copy_from: Option<IntakeId>,
) -> Result<IntakeId> {
    let patient = records::visible(tx, env, actor, patient)?;
    care::admit(tx, env, actor, patient.id)?;
    if let Some(open) = store::open_draft(tx, patient.id, rls::FORM)? {
        let members = Map::from_iter([("intake_id".to_owned(), Value::from(open.to_string()))]);
        return Err(Error::conflict_with("draft_exists", "The patient has an open draft of this form.", members));
    }
    let bearings = Bearings::take(tx, env, rules, actor, &patient)?;
    let answers = match copy_from {
        None => Answers::new(),
        Some(earlier) => copied(tx, env, actor, &patient.id, earlier)?,
    };
    let (id, now): (IntakeId, _) = (env.new_id(), env.now());
    let intake = Intake {
        id,
        patient_id: patient.id,
        form: rls::FORM.to_owned(),
        form_version: rls::FORM_VERSION.to_owned(),
        status: IntakeStatus::InProgress,
        answers: env.sealer.seal(store::place("answers", id), &answers)?,
        computed: None,
        review: None,
        void_reason: None,
        copied_from: copy_from,
        version: 1,
        authored_at: now,
        submitted_at: None,
        reviewed_at: None,
        reviewed_by: None,
        created_by: actor.user_id,
        updated_by: actor.user_id,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &intake)?;
    // What was copied may raise flags by itself: a medicine beside another.
    raise(tx, env, &intake, &from_value(&Value::Object(answers))?, &bearings)?;
    Ok(id)
}

/// What a new intake takes over from an earlier one.
fn copied(tx: &mut Conn, env: &Env, actor: &Actor, patient: &PatientId, earlier: IntakeId) -> Result<Answers> {
    let none = || Error::invalid("/copy_from", "unknown_reference", "must be a submitted intake of this patient");
    // Who may not read what was submitted may not have it copied into a draft, which they may read.
    if matches!(actor.role, Role::FrontDesk | Role::Admin) {
        return Err(Error::invalid("/copy_from", "forbidden_field", "is for patients and practitioners"));
    }
    let (earlier, _) = match store::visible(tx, env, actor, earlier) {
        Err(Error::NotFound) => return Err(none()),
        found => found?,
    };
    if earlier.patient_id != *patient || !earlier.status.is_submitted() {
        return Err(none());
    }
    to_map(&rls::copy_from(&from_value(&Value::Object(earlier.open_answers(env)?))?))
}

/// Saves a part of a draft's answers: a merge patch.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`]; the conflict `status_conflict`; every broken rule of type, range and role.
pub fn save(
    tx: &mut Conn,
    env: &Env,
    rules: &Rules,
    actor: &Actor,
    id: IntakeId,
    if_match: &IfMatch,
    patch: &Value,
) -> Result<Intake> {
    let (was, patient) = store::lock(tx, env, actor, id)?;
    require_draft(was.status)?;
    if_match.check(was.version)?;
    let bearings = Bearings::take(tx, env, rules, actor, &patient)?;
    let answers = patched(env, &was, patch, &bearings)?;
    let saved = Intake {
        answers: env.sealer.seal(store::place("answers", id), &to_map(&answers)?)?,
        // A draft is checked by the form as it is now.
        form_version: rls::FORM_VERSION.to_owned(),
        authored_at: env.now(),
        updated_by: actor.user_id,
        ..was
    };
    let saved = store::update(tx, env, saved)?;
    raise(tx, env, &saved, &answers, &bearings)?;
    Ok(saved)
}

/// An intake's answers with a patch applied and read by the form.
///
/// # Errors
/// Every broken rule of type, range and role.
pub fn patched(env: &Env, was: &Intake, patch: &Value, bearings: &Bearings) -> Result<rls::Answers> {
    let old = Value::Object(was.open_answers(env)?);
    rls::refuse_clinician_only(&old, patch, &bearings.context, "/answers")?;
    rls::parse(&rls::apply_patch(&old, patch), "/answers")
}

/// Brings the flags of an intake to what its answers raise.
///
/// # Errors
/// The database's.
pub fn raise(tx: &mut Conn, env: &Env, intake: &Intake, answers: &rls::Answers, bearings: &Bearings) -> Result<()> {
    let computed = rls::compute(answers, &bearings.context);
    let raised: Vec<_> =
        computed.flags.iter().map(|flag| (flag.rule.as_str().to_owned(), flag.urgency.into())).collect();
    flags::settle(tx, env, intake, &raised)
}

/// Discards a draft. One that has raised flags leaves its row, without answers, so that those stay on the worklist.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`]; the conflict `status_conflict`.
pub fn discard(tx: &mut Conn, env: &Env, actor: &Actor, id: IntakeId, if_match: &IfMatch) -> Result<()> {
    let (was, _) = store::lock(tx, env, actor, id)?;
    require_draft(was.status)?;
    if_match.check(was.version)?;
    forget(tx, env, was)
}

/// Takes a draft's answers away, which the caller has locked.
///
/// # Errors
/// The database's.
pub(super) fn forget(tx: &mut Conn, env: &Env, was: Intake) -> Result<()> {
    let id = was.id;
    if flags::of_intake(tx, id)?.is_empty() {
        return store::delete(tx, id);
    }
    flags::withdraw_all(tx, id, env.now())?;
    let discarded = Intake {
        status: IntakeStatus::EnteredInError,
        answers: env.sealer.seal(store::place("answers", id), &Answers::new())?,
        ..was
    };
    store::update(tx, env, discarded)?;
    Ok(())
}
