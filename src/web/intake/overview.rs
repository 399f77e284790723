//! Where a form stands: its subjects while it is filled in, and what happens next once it is sent.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};

use super::super::form_post::Sent;
use super::super::member::Member;
use super::check;
use super::draft::{Draft, State, say};
use super::frame;
use crate::appointments::listing;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::IntakeId;
use crate::intake::model::IntakeStatus;
use crate::intake::summary::answer_text;
use crate::messages::times::Moment;

/// Shows where the form stands.
pub(super) async fn show(member: Member, PathId(id): PathId<IntakeId>, request: HttpRequest) -> Result<HttpResponse> {
    let draft = Draft::read(&member, id).await?;
    let asked = Sent::read(request.query_string().as_bytes());
    if !draft.is_draft() && member.is_staff() {
        return Ok(member.go_to(&format!("doctor/intakes/{id}")));
    }
    if !draft.is_draft() {
        return sent(&member, &draft, &asked).await;
    }
    let subjects: Vec<Value> = draft
        .subjects()
        .into_iter()
        .map(|section| {
            let (state, open) = match draft.state(section) {
                State::Open(open) => ("open", open),
                State::Done => ("done", 0),
                State::Empty => ("empty", 0),
            };
            context! { id => section.id.as_str(), title => say(&section.title, draft.language), state => state, open => open }
        })
        .collect();
    let values = context! {
        subjects => subjects, resume => draft.resume(), intro => draft.intro(), is_new => draft.version == 1,
        needs_guardian => draft.needs_guardian(), is_copied => draft.intake.copied_from.is_some(),
    };
    member.answer("form-overview", StatusCode::OK, context! { ..frame(&member, &draft).await?, ..values }).await
}

/// Shows what happens next, and what was sent.
async fn sent(member: &Member, draft: &Draft, asked: &Sent) -> Result<HttpResponse> {
    let sections = answer_text::as_asked(&draft.all_answers(), draft.language);
    let subjects: Vec<Value> = draft
        .subjects()
        .into_iter()
        .map(|section| check::subject(draft, section, &sections))
        .filter(|subject| subject.get_attr("items").is_ok_and(|items| items.is_true()))
        .collect();
    let next = next_visit(member, draft).await?;
    let zone = |visit: &AppointmentView| member.zone(&visit.time_zone);
    let at = next.as_ref().map(|visit| Moment::new(visit.starts_at, &zone(visit), member.language));
    let when = draft.intake.submitted_at.zip(next.as_ref());
    let values = context! {
        subjects => subjects,
        is_void => draft.intake.status == IntakeStatus::EnteredInError,
        just_sent => !asked.first("sent").is_empty(),
        too_late => !asked.first("late").is_empty(),
        sent_on => when.map(|(at, visit)| Moment::new(at, &zone(visit), member.language).date()),
        visit => at.map(|at| at.full_here()),
    };
    member.answer("form-sent", StatusCode::OK, context! { ..frame(member, draft).await?, ..values }).await
}

/// The next visit of the patient.
async fn next_visit(member: &Member, draft: &Draft) -> Result<Option<AppointmentView>> {
    const OPERATION: &str = "list_appointments";
    let (patient, now) = (draft.intake.patient_id, member.context.env.now());
    let query = format!("patient_id={patient}&from={now}&status=booked&sort=starts_at&limit=1");
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    Ok(listing::list(&member.context, filter, page).await?.items.into_iter().next())
}
