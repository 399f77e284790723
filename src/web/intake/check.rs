//! The last page before the answers are sent: all of them, with a way to change each subject, and what is still open.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use rls::Severity;
use rls::form::FormSection;

use super::super::desk;
use super::super::member::{Member, MemberForm};
use super::draft::{Draft, say};
use super::{frame, mistakes};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::ids::IntakeId;
use crate::intake::submission;
use crate::intake::summary::answer_text::{self, AnswerTextSection};

/// Shows all answers.
pub(super) async fn show(member: Member, PathId(id): PathId<IntakeId>) -> Result<HttpResponse> {
    let draft = Draft::read(&member, id).await?;
    if !draft.is_draft() {
        return Ok(member.go_to(&draft.page("")));
    }
    answer(&member, &draft, StatusCode::OK, "").await
}

/// Sends the answers. If another page has changed them since they were shown, they are shown again first.
pub(super) async fn send(form: MemberForm, PathId(id): PathId<IntakeId>) -> Result<HttpResponse> {
    let member = &form.member;
    let version = form.sent.first("version").parse().map_or_else(|_| IfMatch::any(), IfMatch::version);
    let (status, trouble) = match submission::submit(&member.context, form.once("submission"), id, version).await {
        // The desk does not read what was sent.
        Ok(sent) if member.is_staff() && !member.is_practitioner() => {
            return Ok(member.go_to(&desk::after_form(sent.object.patient_id)));
        }
        Ok(_) => return Ok(member.go_to(&format!("forms/{id}?sent=1"))),
        Err(Error::Stale) => (StatusCode::PRECONDITION_FAILED, "changed"),
        Err(Error::Invalid(_)) => (StatusCode::UNPROCESSABLE_ENTITY, "open"),
        Err(error) => return Err(error),
    };
    let draft = Draft::read(member, id).await?;
    if !draft.is_draft() {
        member.context.audit.note_unchanged();
        return Ok(member.go_to(&draft.page("")));
    }
    answer(member, &draft, status, trouble).await
}

async fn answer(member: &Member, draft: &Draft, status: StatusCode, trouble: &str) -> Result<HttpResponse> {
    let sections = answer_text::as_asked(&draft.all_answers(), draft.language);
    let subjects: Vec<Value> = draft.subjects().into_iter().map(|section| subject(draft, section, &sections)).collect();
    let values = context! {
        subjects => subjects,
        trouble => trouble,
        version => draft.version,
        form_key => member.form_key(),
        // Issues that belong to no question, such as that a minor needs a guardian.
        complete => draft.intake.completeness.complete,
        needs_guardian => draft.needs_guardian(),
    };
    member.answer("form-check", status, context! { ..frame(member, draft).await?, ..values }).await
}

/// A subject with its answers, and what is open in it.
pub(super) fn subject(draft: &Draft, section: &FormSection, sections: &[AnswerTextSection]) -> Value {
    let answered = sections.iter().find(|one| one.section == section.id);
    let items: Vec<Value> = answered
        .iter()
        .flat_map(|one| &one.items)
        .map(|item| context! { question => item.question.as_str(), answer => item.answer.as_str() })
        .collect();
    let open: Vec<Value> = draft
        .issues_of(section)
        .map(|(field, issue)| {
            context! {
                label => mistakes::label(field, draft.language), text => mistakes::issue(issue.code, draft.language),
                blocks => issue.severity == Severity::Error,
            }
        })
        .collect();
    context! { id => section.id.as_str(), title => say(&section.title, draft.language), items => items, open => open }
}
