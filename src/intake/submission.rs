//! Submission, and what may follow it: review, amendment, entered in error.

use serde_json::Value;

use super::access::Bearings;
use super::drafts;
use super::flags;
use super::model::{IntakeStatus, require_draft, require_submitted};
use super::review as reviews;
use super::rls;
use super::store::{self, Intake};
use super::{Rules, from_value, to_map};
use crate::actor::Actor;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::IfMatch;
use crate::ids::IntakeId;
use crate::sealed::Sealed;

/// What the rules make of the answers, as it is kept: with the version of the rules.
fn sealed_computed(env: &Env, id: IntakeId, computed: &rls::Computed) -> Result<Sealed<Value>> {
    let mut value =
        serde_json::to_value(computed).map_err(|error| Error::internal("write what was computed", error))?;
    if let Value::Object(members) = &mut value {
        members.insert("rule_set_version".to_owned(), rls::RULE_SET_VERSION.into());
    }
    env.sealer.seal(store::place("computed", id), &value)
}

/// The full check; staff may leave required questions unanswered, which then count as not asked.
fn complete(answers: &rls::Answers, bearings: &Bearings) -> Result<(rls::Answers, rls::Computed)> {
    let answers = rls::mark_not_asked(answers, &bearings.context);
    let computed = rls::compute(&answers, &bearings.context);
    rls::submittable(&computed.issues)?;
    Ok((answers, computed))
}

/// Submits a draft.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`]; the conflict `status_conflict`; every finding that blocks the submission.
pub fn submit(
    tx: &mut Conn,
    env: &Env,
    rules: &Rules,
    actor: &Actor,
    id: IntakeId,
    if_match: &IfMatch,
) -> Result<Intake> {
    let (was, patient) = store::lock(tx, env, actor, id)?;
    require_draft(was.status)?;
    if_match.check(was.version)?;
    let bearings = Bearings::take(tx, env, rules, actor, &patient)?;
    let answers = rls::parse(&Value::Object(was.open_answers(env)?), "/answers")?;
    let (answers, computed) = complete(&answers, &bearings)?;
    let now = env.now();
    let submitted = Intake {
        status: IntakeStatus::Completed,
        answers: env.sealer.seal(store::place("answers", id), &to_map(&answers)?)?,
        computed: Some(sealed_computed(env, id, &computed)?),
        form_version: rls::FORM_VERSION.to_owned(),
        authored_at: now,
        submitted_at: Some(now),
        updated_by: actor.user_id,
        ..was
    };
    let submitted = store::update(tx, env, submitted)?;
    drafts::raise(tx, env, &submitted, &answers, &bearings)?;
    Ok(submitted)
}

/// Corrects a submitted intake: a merge patch of its answers. What it replaces is kept with its review; the corrected
/// answers wait for a review of their own.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`]; the conflict `status_conflict`; every broken rule and finding that blocks it.
#[allow(clippy::too_many_arguments, reason = "what is changed, by whom, from what to what, and why")]
pub fn amend(
    tx: &mut Conn,
    env: &Env,
    rules: &Rules,
    actor: &Actor,
    id: IntakeId,
    if_match: &IfMatch,
    patch: &Value,
    reason: &str,
) -> Result<Intake> {
    let (was, patient) = store::lock(tx, env, actor, id)?;
    require_submitted(was.status)?;
    if_match.check(was.version)?;
    let bearings = Bearings::take(tx, env, rules, actor, &patient)?;
    let answers = drafts::patched(env, &was, patch, &bearings)?;
    let (answers, computed) = complete(&answers, &bearings)?;
    store::keep(tx, env, actor, &was, reason)?;
    let amended = Intake {
        status: IntakeStatus::Amended,
        answers: env.sealer.seal(store::place("answers", id), &to_map(&answers)?)?,
        computed: Some(sealed_computed(env, id, &computed)?),
        form_version: rls::FORM_VERSION.to_owned(),
        authored_at: env.now(),
        review: None,
        reviewed_at: None,
        reviewed_by: None,
        updated_by: actor.user_id,
        ..was
    };
    let amended = store::update(tx, env, amended)?;
    drafts::raise(tx, env, &amended, &answers, &bearings)?;
    Ok(amended)
}

/// Signs a submitted intake off. A second review replaces the first, which is kept.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`]; the conflict `status_conflict`; every broken rule.
pub fn review(
    tx: &mut Conn,
    env: &Env,
    rules: &Rules,
    actor: &Actor,
    id: IntakeId,
    if_match: &IfMatch,
    review: &Value,
) -> Result<Intake> {
    let (was, patient) = store::lock(tx, env, actor, id)?;
    require_submitted(was.status)?;
    if_match.check(was.version)?;
    let mut bearings = Bearings::take(tx, env, rules, actor, &patient)?;
    let review = rls::Review::parse(review, "", &bearings.context)?;
    bearings.context.mimic_review = review.mimic_review.unwrap_or(bearings.context.mimic_review);
    if was.review.is_some() {
        store::keep(tx, env, actor, &was, "reviewed again")?;
    }
    // The answers are looked at as of the day on which they were given: a review makes nobody older.
    bearings.context.authored_on = bearings.surroundings.day(was.authored_at)?;
    let answers = from_value(&Value::Object(was.open_answers(env)?))?;
    let computed = rls::compute(&answers, &bearings.context);
    let reviewed = Intake {
        computed: Some(sealed_computed(env, id, &computed)?),
        review: Some(reviews::seal(env, &was, &review)?),
        reviewed_at: Some(env.now()),
        reviewed_by: Some(actor.user_id),
        ..was
    };
    let reviewed = store::update(tx, env, reviewed)?;
    drafts::raise(tx, env, &reviewed, &answers, &bearings)?;
    Ok(reviewed)
}

/// Marks an intake as entered in error: of another patient, say. It is kept, and counts for nothing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`]; the conflict `status_conflict`.
pub fn void(tx: &mut Conn, env: &Env, actor: &Actor, id: IntakeId, if_match: &IfMatch, reason: &str) -> Result<Intake> {
    let (was, _) = store::lock(tx, env, actor, id)?;
    require_submitted(was.status)?;
    if_match.check(was.version)?;
    flags::withdraw_all(tx, id, env.now())?;
    let voided = Intake {
        status: IntakeStatus::EnteredInError,
        void_reason: Some(env.sealer.seal(store::place("void_reason", id), &reason.to_owned())?),
        ..was
    };
    store::update(tx, env, voided)
}
