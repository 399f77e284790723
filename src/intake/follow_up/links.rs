//! The links in the mails that ask for a follow-up. The holder of a link answers its one follow-up, until its time to answer has passed,
//! and sees nothing else of the record. A link that was mailed to an account works while the account may act for the patient, and one to
//! the record's address while the record has that address.

use actix_web::{HttpResponse, post};
use rls::{FilledBy, FlagNotice, FormName, RedactedJson};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use text::Language;
use utoipa::ToSchema;

use super::store::{self, FollowUp, Link};
use super::{FollowUpStatus, answering};
use crate::accounts::typed_link::{TypedLink, with_code};
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Tx, access_lock};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::{Body, response};
use crate::ids::{IntakeId, UserId};
use crate::intake::drafts::checked_answers;
use crate::intake::model::IntakeStatus;
use crate::intake::reading_context::ReadingContext;
use crate::intake::store::Intake;
use crate::intake::submission::checked_in_full;
use crate::intake::{flags, store as intakes, to_map};
use crate::patients::model::{Patient, Relation};
use crate::patients::{access, store as records};

/// The token of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct ViewFollowUpLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// The answers of the holder of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE",
    "answers": {"symptoms": {"severity_0_10": 3}, "follow_up": {"change": "better", "augmentation": "no", "urges": "no", "has_side_effects": "no"}}
}))]
pub struct AnswerFollowUpLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// All answers of the form `rls-follow-up`.
    #[schema(value_type = rls::Answers)]
    answers: RedactedJson,
}

/// The follow-up of a link. Of the patient it shows the first name only.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "status": "asked", "first_name": "Ann", "for_another": false, "answer_by": "2026-04-13T13:00:00Z", "hidden": []
}))]
pub struct LinkedFollowUp {
    /// The status: `asked` or `answered`.
    pub status: FollowUpStatus,
    /// The patient's first name.
    pub first_name: String,
    /// Whether the holder answers for another person.
    pub for_another: bool,
    /// Until when it can be answered.
    answer_by: Timestamp,
    /// The ids of the questions that the holder does not answer.
    pub hidden: Vec<String>,
}

/// What follows from the answers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"notices": []}))]
pub struct AnsweredFollowUp {
    /// Texts that the person who answers must see at once, the most urgent first.
    pub notices: Vec<FlagNotice>,
}

/// A link that works.
struct Found {
    row: FollowUp,
    patient: Patient,
    account: Option<UserId>,
    form: ReadingContext,
}

/// Finds the follow-up of a link that works.
///
/// # Errors
/// [`Error::NotFound`], whatever the reason.
fn look_up(tx: &mut Tx<Anonymous>, link: Link) -> Result<Found> {
    let row = store::find(tx.conn, link.follow_up_id)?;
    let patient = row.patient_id;
    let is_open = matches!(row.status, FollowUpStatus::Asked | FollowUpStatus::Answered)
        && row.answer_by.is_some_and(|until| until > tx.now);
    if !is_open {
        return Err(Error::NotFound);
    }
    let mut for_minor = false;
    if let Some(account) = link.user_id {
        if !access::account_may_act_for(tx.conn, tx.now, account, patient)? {
            return Err(Error::NotFound);
        }
        let access = access::acts_as(tx.conn, tx.env, account, patient)?;
        for_minor = access.is_some_and(|(relation, for_minor)| relation != Relation::Oneself && for_minor);
    }
    let patient = store::patient(tx.conn, patient)?;
    if link.email_key.is_some() && link.email_key != patient.email_key {
        return Err(Error::NotFound);
    }
    tx.audit.note_patient(patient.id);
    tx.audit.note_object(row.id.0);
    let filled_by = if link.is_patient { FilledBy::Patient } else { FilledBy::Guardian };
    let mut form = ReadingContext::of_holder(tx, &patient, filled_by, for_minor)?;
    form.facts.form = FormName::FollowUp;
    Ok(Found { row, patient, account: link.user_id, form })
}

/// Locks the patient of a link, so that the follow-up does not change meanwhile.
///
/// # Errors
/// [`Error::NotFound`].
fn lock(tx: &mut Tx<Anonymous>, link: &Link) -> Result<()> {
    access_lock::share_for_link(tx.conn, link.user_id)?;
    let patient = store::find(tx.conn, link.follow_up_id)?.patient_id;
    records::lock_visits(tx.conn, patient)?;
    records::require_same_owner(patient, store::find(tx.conn, link.follow_up_id)?.patient_id)
}

/// Reads the follow-up of a link.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn view(context: &Context<Anonymous>, link: ViewFollowUpLinkRequest) -> Result<LinkedFollowUp> {
    context
        .read(move |tx| {
            let link = store::find_link(tx.conn, &link.token)?;
            view_link(tx, link)
        })
        .await
}

/// Reads the follow-up of a typed code.
///
/// # Errors
/// Those of [`view`]; a broken rule if it cannot be a code; [`Error::TooMany`] after wrong codes.
pub async fn view_by_code(context: &Context<Anonymous>, typed: TypedLink) -> Result<LinkedFollowUp> {
    with_code(context, store::CODES, typed, store::find_link_by_code, |tx, link| {
        tx.unchanged()?;
        view_link(tx, link)
    })
    .await
}

fn view_link(tx: &mut Tx<Anonymous>, link: Link) -> Result<LinkedFollowUp> {
    let Found { row, patient, form, .. } = look_up(tx, link)?;
    let reserved = rls::clinician_only_fields(&form.facts);
    let mut hidden = reserved.into_iter().filter(|id| FormName::FollowUp.asks(id)).collect::<Vec<_>>();
    hidden.sort_unstable();
    Ok(LinkedFollowUp {
        status: row.status,
        first_name: patient.first_name().to_owned(),
        for_another: form.facts.filled_by != FilledBy::Patient,
        answer_by: row.answer_by.unwrap_or(tx.now),
        hidden,
    })
}

/// Stores the answers of the holder of a link as a submitted intake.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `already_answered`; every broken rule, and every issue that blocks a submission.
pub async fn answer(context: &Context<Anonymous>, request: AnswerFollowUpLinkRequest) -> Result<AnsweredFollowUp> {
    let answers = checked_answers(request.answers)?;
    let token = request.token;
    context
        .change(move |tx| {
            let link = store::find_link(tx.conn, &token)?;
            answer_link(tx, link, &answers, None)
        })
        .await
}

/// Stores the answers of the person who typed a code. The notices are in the language of the page.
///
/// # Errors
/// Those of [`answer`] and [`view_by_code`].
pub async fn answer_by_code(
    context: &Context<Anonymous>,
    typed: TypedLink,
    answers: RedactedJson,
    language: Language,
) -> Result<AnsweredFollowUp> {
    let answers = checked_answers(answers)?;
    with_code(context, store::CODES, typed, store::find_link_by_code, move |tx, link| {
        answer_link(tx, link, &answers, Some(language))
    })
    .await
}

/// Stores answers. Without a language, the notices are in the patient's.
fn answer_link(
    tx: &mut Tx<Anonymous>,
    link: Link,
    answers: &Value,
    language: Option<Language>,
) -> Result<AnsweredFollowUp> {
    lock(tx, &link)?;
    let found = look_up(tx, link)?;
    let language = language.unwrap_or_else(|| Language::of_tag(&found.patient.preferred_language));
    match found.row.intake_id {
        Some(intake) => repeated(tx, found, intake, answers, language),
        None => store_answers(tx, found, answers, language),
    }
}

/// Returns what followed from the stored answers, if the same ones are sent again: the response to the first request may have been lost,
/// and its notices can be urgent.
///
/// # Errors
/// The conflict `already_answered` if the answers are others.
fn repeated(
    tx: &mut Tx<Anonymous>,
    found: Found,
    id: IntakeId,
    answers: &Value,
    language: Language,
) -> Result<AnsweredFollowUp> {
    let Found { patient, form, .. } = found;
    let conflict = || Error::conflict(ProblemCode::AlreadyAnswered, "The questions are answered already. Thank you.");
    let stored = intakes::submitted(tx.conn, patient.id, FormName::FollowUp.as_str())?;
    let intake = stored.into_iter().find(|intake| intake.id == id).ok_or_else(conflict)?;
    let answers = rls::parse(answers, "/answers")?;
    if intake.open_answers(tx.env)? != to_map(&answers)? {
        return Err(conflict());
    }
    tx.unchanged()?;
    let form = form.with_form(tx, patient.id, &intake)?;
    let (_, computed) = checked_in_full(&answers, &form)?;
    notices(tx.env, &form, &answers, &computed, language)
}

fn store_answers(
    tx: &mut Tx<Anonymous>,
    found: Found,
    answers: &Value,
    language: Language,
) -> Result<AnsweredFollowUp> {
    let Found { row, patient, account, form } = found;
    rls::refuse_clinician_only(&json!({}), answers, &form.facts, "/answers")?;
    let answers = rls::parse(answers, "/answers")?;
    FormName::FollowUp.refuse_other_answers(&answers, "/answers")?;
    let id: IntakeId = tx.env.new_id();
    // An address in the record has no account. The account that scheduled the follow-up stands for it.
    let author = account.unwrap_or(row.created_by);
    let intake = Intake {
        id,
        patient_id: patient.id,
        form: FormName::FollowUp.as_str().to_owned(),
        form_version: FormName::FollowUp.version().to_owned(),
        status: IntakeStatus::Completed,
        answers: tx.env.sealer.seal(intakes::place("answers", id), &to_map(&answers)?)?,
        computed: None,
        review: None,
        void_reason: None,
        copied_from: None,
        version: 1,
        authored_at: tx.now,
        submitted_at: Some(tx.now),
        reviewed_at: None,
        reviewed_by: None,
        created_by: author,
        updated_by: author,
        created_at: tx.now,
        updated_at: tx.now,
        due_at: None,
        rule_set: None,
    };
    let form = form.with_form(tx, patient.id, &intake)?;
    let (_, computed) = checked_in_full(&answers, &form)?;
    let intake = intake.with_findings(tx.env, &computed, &form.place)?;
    intakes::insert(tx.conn, &intake)?;
    flags::follow_answers(tx, &intake, &computed.flags)?;
    answering::answered(tx, patient.id, id, form.place.day(tx.now)?)?;
    notices(tx.env, &form, &answers, &computed, language)
}

/// The texts that the person who answers must see at once.
fn notices(
    env: &Env,
    form: &ReadingContext,
    answers: &rls::Answers,
    computed: &rls::Computed,
    language: Language,
) -> Result<AnsweredFollowUp> {
    let answers = Value::Object(to_map(answers)?);
    let shown = rls::view(form.viewer(), true, &answers, computed, &form.facts);
    let numbers = form.place.numbers(&env.config.settings);
    Ok(AnsweredFollowUp { notices: rls::flag_notices(&shown.flags, language, &numbers) })
}

/// View the follow-up of a link
///
/// Takes the token from the mail that asks. It shows whom the questions are about, and nothing else of the record. Show the questions of
/// `GET /v1/intake-forms/rls-follow-up` without those in `hidden`. An unknown or expired token, and one of a cancelled follow-up, is
/// `not_found`; the response does not say which.
#[utoipa::path(
    tag = "intakes",
    operation_id = "view_follow_up_link",
    request_body = ViewFollowUpLinkRequest,
    responses(
        (status = 200, description = "The follow-up", body = LinkedFollowUp),
        (status = 404, description = "`not_found`: the link does not work"),
    ),
)]
#[post("/v1/follow-up-links/view")]
pub(in crate::intake) async fn view_follow_up_link(
    context: Context<Anonymous>,
    body: Body<ViewFollowUpLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&view(&context, body.value).await?))
}

/// Answer the follow-up of a link
///
/// Stores all answers at once as a submitted intake of the form `rls-follow-up`, with its flags. It works once; the same answers again get
/// the same response, because the first one may have been lost. Show the `notices` to the
/// person who answers at once.
#[utoipa::path(
    tag = "intakes",
    operation_id = "answer_follow_up_link",
    request_body = AnswerFollowUpLinkRequest,
    responses(
        (status = 200, description = "The answers are stored", body = AnsweredFollowUp),
        (status = 404, description = "`not_found`: the link does not work"),
        (status = 409, description = "`already_answered`: the follow-up was answered before, with other answers"),
        (status = 422, description = "`validation_failed`: what is missing or inconsistent, each with its pointer under `/answers`"),
    ),
)]
#[post("/v1/follow-up-links/answer")]
pub(in crate::intake) async fn answer_follow_up_link(
    context: Context<Anonymous>,
    body: Body<AnswerFollowUpLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&answer(&context, body.value).await?))
}
