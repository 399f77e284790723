//! Follow-ups: whom the clinic has asked how they are, who did not answer, who will be asked; scheduling and cancelling them.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use rls::FormName;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::super::account::zone as first_zone;
use super::super::form_post::Sent;
use super::{Member, MemberForm, person, refuse};
use crate::clock::Timestamp;
use crate::error::{Error, ProblemCode, Result};
use crate::http::etag::IfMatch;
use crate::http::{PathId, input};
use crate::ids::{FollowUpId, IntakeId, PatientId};
use crate::intake::drafts;
use crate::intake::follow_up::FollowUpStatus;
use crate::intake::follow_up::listing::{self, ListedFollowUp};
use crate::intake::follow_up::planning;
use crate::messages::times::Moment;

const OPERATION: &str = "list_follow_ups";
/// The lists, the most useful first. Who was seen again or was cancelled stands with the patient.
const LISTS: [FollowUpStatus; 4] =
    [FollowUpStatus::Asked, FollowUpStatus::Missed, FollowUpStatus::Scheduled, FollowUpStatus::Answered];

fn link(status: FollowUpStatus) -> String {
    format!("doctor/follow-ups?status={}", status.as_str())
}

/// The list that an address or a form names.
fn chosen(sent: &Sent) -> FollowUpStatus {
    let name = sent.first("status");
    LISTS.into_iter().find(|status| status.as_str() == name).unwrap_or(FollowUpStatus::Asked)
}

/// Shows the follow-ups of a status.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let status = chosen(&sent);
    let mut query = Serializer::new(String::new());
    query.append_pair("status", status.as_str()).append_pair("limit", "50");
    if !sent.first("cursor").is_empty() {
        query.append_pair("cursor", sent.first("cursor"));
    }
    let query = query.finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?;
    let zone = first_zone(&member).await?;
    let more = found.next_cursor.as_ref().map(|next| {
        let cursor = Serializer::new(String::new()).append_pair("cursor", next).finish();
        format!("status={}&{cursor}", status.as_str())
    });
    let values = context! {
        status => status.as_str(),
        lists => LISTS.map(FollowUpStatus::as_str),
        follow_ups => found.items.iter().map(|one| shown(&member, one, &zone)).collect::<Vec<_>>(),
        more => more,
        form_key => member.form_key(),
    };
    member.answer("doctor-follow-ups", StatusCode::OK, values).await
}

/// A follow-up in a list.
pub(super) fn shown(member: &Member, listed: &ListedFollowUp, zone: &TimeZone) -> Value {
    let follow_up = &listed.follow_up;
    let moment = |at: Timestamp| Moment::new(at, zone, member.language).date_alone();
    let is_open = matches!(follow_up.status, FollowUpStatus::Scheduled | FollowUpStatus::Asked);
    context! {
        id => follow_up.id.to_string(),
        status => follow_up.status.as_str(),
        reason => follow_up.reason.as_str(),
        due => Moment::of_day(follow_up.due_on.0, member.language).date_alone(),
        asked => follow_up.asked_at.map(moment),
        until => follow_up.answer_by.map(moment),
        intake => follow_up.intake_id.map(|id| id.to_string()),
        can_cancel => is_open,
        patient => listed.patient.as_ref().map(|patient| person::listed(member, patient)),
    }
}

/// Cancels a follow-up. A row has no version: the status decides whether it can be cancelled.
pub(super) async fn cancel(form: MemberForm, PathId(id): PathId<FollowUpId>) -> Result<HttpResponse> {
    let once = form.once(&format!("cancel {id}"));
    let page = link(chosen(&form.sent));
    match planning::cancel(&form.member.context, once, id, IfMatch::any()).await {
        Ok(_) => Ok(form.member.go_to(&page)),
        Err(error) => refuse(&form, &page, error).await,
    }
}

/// Schedules a follow-up of a patient.
pub(super) async fn create(form: MemberForm, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let member = &form.member;
    let mut built = json!({"reason": form.sent.first("kind")});
    let due = form.sent.first("due_on").trim();
    if !due.is_empty() {
        built["due_on"] = due.into();
    }
    let created = match input::read_built(&built, &*member.operation("create_follow_up")?) {
        Ok(body) => planning::create(&member.context, form.once("follow-up"), id, body.value).await,
        Err(error) => Err(error),
    };
    let page = format!("doctor/patients/{id}");
    match created {
        Ok(_) => Ok(member.go_to(&page)),
        Err(error) => refuse(&form, &page, error).await,
    }
}

/// Begins a follow-up form, to fill it in with the patient, or goes on with the one that was begun.
pub(super) async fn begin(form: MemberForm, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let member = &form.member;
    let built = json!({"form": FormName::FollowUp.as_str()});
    let body = input::read_built(&built, &*member.operation("create_intake")?)?;
    match drafts::create(&member.context, form.once("follow-up form"), id, body.value).await {
        Ok(begun) => Ok(member.go_to(&format!("forms/{}", begun.object.id))),
        Err(Error::Conflict(conflict)) if conflict.code == ProblemCode::DraftExists => {
            let there = conflict.members.get("intake_id").and_then(serde_json::Value::as_str);
            let there: Option<IntakeId> = there.and_then(|id| id.parse().ok());
            let there = there.ok_or_else(|| Error::fault("a conflict without its draft"))?;
            member.context.audit.note_unchanged();
            Ok(member.go_to(&format!("forms/{there}")))
        }
        Err(error) => refuse(&form, &format!("doctor/patients/{id}"), error).await,
    }
}

#[cfg(test)]
pub(super) fn example(status: &str, reason: &str, all: bool) -> Value {
    context! {
        id => "1", status => status, reason => reason, due => "March 30, 2026", asked => all.then_some("March 30, 2026"),
        until => all.then_some("April 13, 2026"), intake => all.then_some("1"), can_cancel => status == "asked", patient => all.then(person::example),
    }
}

#[cfg(test)]
pub(super) fn all_examples() -> Vec<Value> {
    [
        ("scheduled", "visit", false),
        ("asked", "treatment_change", true),
        ("answered", "other", true),
        ("missed", "visit", true),
        ("cancelled", "visit", false),
    ]
    .map(|(status, reason, all)| example(status, reason, all))
    .into()
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let page = |follow_ups: Vec<Value>, more: Option<&'static str>| {
        let values = context! {
            root => "../", member => super::super::member::example_practitioner(), status => "asked",
            lists => LISTS.map(FollowUpStatus::as_str), follow_ups => follow_ups, more => more, form_key => "k",
        };
        ("doctor-follow-ups", values)
    };
    vec![page(all_examples(), Some("cursor=x")), page(vec![], None)]
}
