//! Drafts: beginning one, saving parts of its answers, discarding it.

use actix_web::{HttpResponse, delete, patch, post};
use rls::{FormName, RedactedJson};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::details::{IntakeDetails, lock_for_change};
use super::model::{Answers, IntakeStage, IntakeStatus};
use super::reading_context::ReadingContext;
use super::store::{self, Intake};
use super::view::IntakeView;
use super::{flags, from_value, recompute, to_map};
use crate::actor::{Action, Role};
use crate::context::{Context, Once, Tx};
use crate::env::Env;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, IfMatch, Patch, PathId};
use crate::ids::{IntakeId, PatientId};
use crate::patients::model::Patient;
use crate::patients::{care, store as records};

/// An intake to begin.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"form": "rls-history"}))]
pub struct NewIntake {
    /// The name of the form: `rls-history`, or `rls-follow-up` after a visit.
    #[schema(value_type = rls::FormName)]
    pub form: FormName,
    /// A submitted history of the same patient, from which history and medicines are copied. Safety questions, symptoms and
    /// severity are never copied. Patients and practitioners only. Not for a follow-up.
    #[serde(default)]
    pub copy_from: Option<IntakeId>,
}

impl NewIntake {
    /// Checks the values and returns the form.
    fn checked(&self) -> Result<FormName> {
        let mut check = Check::new();
        let can_copy = self.form == FormName::History || self.copy_from.is_none();
        check.require(
            can_copy,
            "/copy_from",
            FieldCode::WrongValue,
            "must not be set for a follow-up, which asks everything again",
        );
        check.done()?;
        Ok(self.form)
    }
}

/// A change of a draft's answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"answers": {"safety": {"chest_pain_breathlessness": "no"}, "symptoms": {"urge_to_move_legs": "yes"}}}))]
pub struct IntakePatch {
    /// The answers to change (RFC 7396). `null` deletes an answer, a list replaces the whole list, answers that are not sent keep
    /// their value. The members are those of the form.
    #[schema(value_type = rls::AnswersPatch)]
    pub answers: RedactedJson,
}

/// Requires that answers are an object.
pub(super) fn checked_answers(answers: RedactedJson) -> Result<Value> {
    let mut check = Check::new();
    check.require(answers.0.is_object(), "/answers", FieldCode::WrongType, "must be an object");
    check.done()?;
    Ok(answers.0)
}

/// Begins a draft, empty or with the history and medicines of an earlier intake.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `draft_exists`; a broken rule if the earlier intake cannot be copied.
pub async fn create(
    context: &Context,
    once: Once,
    patient: PatientId,
    new: NewIntake,
) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeWrite)?;
    let form = new.checked()?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let begun = insert(tx, patient, form, new.copy_from)?;
            tx.audit.note_object(begun.intake.id.0);
            IntakeView::versioned(tx, begun)
        })
        .await
}

/// Begins a draft in an open transaction.
///
/// # Errors
/// Those of [`create`].
pub fn insert(tx: &mut Tx, patient: PatientId, name: FormName, copy_from: Option<IntakeId>) -> Result<IntakeDetails> {
    let patient = records::visible_in_use(tx.conn, tx.env, tx.actor, patient)?;
    care::admit(tx.conn, tx.env, tx.actor, patient.id)?;
    records::lock_visits(tx.conn, patient.id)?;
    if let Some(open) = store::open_draft(tx.conn, patient.id, name.as_str())? {
        let members = Map::from_iter([("intake_id".to_owned(), Value::from(open.to_string()))]);
        let detail = "The patient has an open draft of this form. Continue or discard it.";
        return Err(Error::conflict_with(ProblemCode::DraftExists, detail, members));
    }
    let answers = match copy_from {
        None => Answers::new(),
        Some(earlier) => copied(tx, patient.id, earlier)?,
    };
    let (id, now): (IntakeId, _) = (tx.env.new_id(), tx.now);
    let intake = Intake {
        id,
        patient_id: patient.id,
        form: name.as_str().to_owned(),
        form_version: name.version().to_owned(),
        status: IntakeStatus::InProgress,
        answers: tx.env.sealer.seal(store::place("answers", id), &answers)?,
        computed: None,
        review: None,
        void_reason: None,
        copied_from: copy_from,
        version: 1,
        authored_at: now,
        submitted_at: None,
        reviewed_at: None,
        reviewed_by: None,
        created_by: tx.actor.user_id,
        updated_by: tx.actor.user_id,
        created_at: now,
        updated_at: now,
        due_at: None,
        rule_set: None,
    };
    store::insert(tx.conn, &intake)?;
    let reading = ReadingContext::of(tx, &patient, &intake)?;
    // Copied answers may raise flags, such as for two medicines that must not be combined.
    let computed = rls::compute(&from_value(&Value::Object(answers))?, &reading.facts);
    flags::follow_answers(tx, &intake, &computed.flags)?;
    Ok(IntakeDetails { intake, patient, reading })
}

/// Copies answers of an earlier intake for a new one.
fn copied(tx: &mut Tx, patient: PatientId, earlier: IntakeId) -> Result<Answers> {
    // The front desk may not read submitted answers, and a copy would put them into a draft, which it may read.
    if matches!(tx.actor.role, Role::FrontDesk | Role::Admin) {
        return Err(Error::invalid(
            "/copy_from",
            FieldCode::ForbiddenField,
            "only patients and practitioners may set this",
        ));
    }
    let unknown =
        || Error::invalid("/copy_from", FieldCode::UnknownReference, "must be a submitted history of this patient");
    let (earlier, _) = match store::find(tx, earlier) {
        Err(Error::NotFound) => return Err(unknown()),
        found => found?,
    };
    if earlier.patient_id != patient || !earlier.status.is_submitted() || earlier.form != rls::FORM {
        return Err(unknown());
    }
    to_map(&rls::copy_from(&from_value(&Value::Object(earlier.open_answers(tx.env)?))?))
}

/// Saves a part of a draft's answers, given as a merge patch.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; the conflict `status_conflict`; every broken rule of type, range and role.
pub async fn save(
    context: &Context,
    id: IntakeId,
    if_match: IfMatch,
    patch: IntakePatch,
) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeWrite)?;
    let if_match = if_match.required()?;
    let answers = checked_answers(patch.answers)?;
    context
        .change(move |tx| {
            let saved = update(tx, id, &if_match, &answers)?;
            IntakeView::versioned(tx, saved)
        })
        .await
}

/// Saves a part of a draft's answers in an open transaction.
///
/// # Errors
/// Those of [`save`].
pub fn update(tx: &mut Tx, id: IntakeId, if_match: &IfMatch, patch: &Value) -> Result<IntakeDetails> {
    let before = IntakeDetails::lock(tx, id, IntakeStage::Draft, if_match)?;
    let answers = patched(tx.env, &before, patch)?;
    let saved = Intake {
        answers: tx.env.sealer.seal(store::place("answers", id), &to_map(&answers)?)?,
        // The current form checks a draft, whatever its version was when the draft was begun.
        form_version: before.reading.facts.form.version().to_owned(),
        authored_at: tx.now,
        updated_by: tx.actor.user_id,
        ..before.intake
    };
    let intake = store::update(tx.conn, tx.now, saved)?;
    flags::follow_answers(tx, &intake, &rls::compute(&answers, &before.reading.facts).flags)?;
    Ok(IntakeDetails { intake, ..before })
}

/// Applies a patch to the answers of an intake and parses the result.
///
/// # Errors
/// Every broken rule of type, range and role.
pub(super) fn patched(env: &Env, before: &IntakeDetails, patch: &Value) -> Result<rls::Answers> {
    let old = Value::Object(before.intake.open_answers(env)?);
    rls::refuse_clinician_only(&old, patch, &before.reading.facts, "/answers")?;
    let answers = rls::parse(&rls::apply_patch(&old, patch), "/answers")?;
    before.reading.facts.form.refuse_other_answers(&answers, "/answers")?;
    Ok(answers)
}

/// Discards a draft.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; the conflict `status_conflict`.
pub async fn discard(context: &Context, id: IntakeId, if_match: IfMatch) -> Result<()> {
    context.require(Action::IntakeWrite)?;
    context
        .change(move |tx| {
            let (intake, patient) = lock_for_change(tx, id, IntakeStage::Draft, &if_match)?;
            delete_answers(tx, intake, &patient)
        })
        .await
}

/// Deletes a draft that is locked. If it has raised flags, its row stays without answers, so that they stay on the worklist.
pub(super) fn delete_answers<P>(tx: &mut Tx<P>, draft: Intake, patient: &Patient) -> Result<()> {
    let id = draft.id;
    if flags::of_intake(tx.conn, id)?.is_empty() {
        return store::delete(tx.conn, id);
    }
    flags::withdraw_all(tx.conn, id, tx.now)?;
    let nothing = tx.env.sealer.seal(store::place("answers", id), &Answers::new())?;
    store::discard(tx.conn, tx.now, &draft, &nothing)?;
    // Of a record that is not in use no flag is raised.
    if patient.require_active().is_err() { Ok(()) } else { recompute::follow_results(tx, patient) }
}

/// Begin an intake
///
/// Creates a draft of the history or the follow-up. It is empty, or has the history and medicines of an earlier history. A patient has
/// at most one open draft of a form.
#[utoipa::path(
    tag = "intakes",
    operation_id = "create_intake",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewIntake,
    responses(
        (status = 201, description = "The draft", body = IntakeView),
        (status = 409, description = "`draft_exists`: the patient has an open draft; `intake_id` names it"),
    ),
)]
#[post("/v1/patients/{id}/intakes")]
pub(super) async fn create_intake(
    context: Context,
    PathId(patient): PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<NewIntake>,
) -> Result<HttpResponse> {
    let begun = create(&context, key.once(&body.raw), patient, body.value).await?;
    Ok(response::created(format!("/v1/intakes/{}", begun.object.id), &begun))
}

/// Save a part of a draft
///
/// Possible any number of times. Only wrong types, values out of range and unknown fields are errors. `computed.issues` lists what is
/// still missing or inconsistent. `notices` has the texts that the person who answers must see at once: show them.
#[utoipa::path(
    tag = "intakes",
    operation_id = "update_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = String, Header),
    ),
    request_body(content = IntakePatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The saved draft", body = IntakeView),
        (status = 409, description = "`status_conflict`: it is not a draft; `intake_status` has its status"),
    ),
)]
#[patch("/v1/intakes/{id}")]
pub(super) async fn update_intake(
    context: Context,
    PathId(id): PathId<IntakeId>,
    if_match: IfMatch,
    Patch(patch): Patch<IntakePatch>,
) -> Result<HttpResponse> {
    let saved = save(&context, id, if_match, patch).await?;
    Ok(response::versioned(&saved))
}

/// Discard a draft
///
/// Deletes the draft with its answers. Flags that it raised stay on the worklist, marked as withdrawn.
#[utoipa::path(
    tag = "intakes",
    operation_id = "delete_intake",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("If-Match" = Option<String>, Header),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "`status_conflict`: it is not a draft; `intake_status` has its status"),
    ),
)]
#[delete("/v1/intakes/{id}")]
pub(super) async fn delete_intake(
    context: Context,
    PathId(id): PathId<IntakeId>,
    if_match: IfMatch,
) -> Result<HttpResponse> {
    discard(&context, id, if_match).await?;
    Ok(response::no_content())
}
