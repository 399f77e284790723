//! The steps of a visit as buttons: check-in, no-show, completion, undo, confirmation, cancellation, the mail once more, and the two
//! answers to a changed time zone.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::done::Done;
use super::{MemberForm, back, refuse, say_why, version};
use crate::appointments::status::AppointmentStep;
use crate::appointments::steps::{Cause, take_step};
use crate::appointments::zone_changes::{accepting, resolving};
use crate::appointments::{confirming, links};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::ids::AppointmentId;

pub(super) async fn check_in(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    take(form, id, AppointmentStep::CheckIn, Cause::default(), Done::CheckedIn).await
}

pub(super) async fn mark_no_show(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    take(form, id, AppointmentStep::NoShow, Cause::default(), Done::NotCome).await
}

pub(super) async fn complete(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    take(form, id, AppointmentStep::Complete, Cause::default(), Done::Completed).await
}

pub(super) async fn undo(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let cause = Cause { reason: Some(form.sent.first("reason").to_owned()), ..Cause::default() };
    take(form, id, AppointmentStep::Undo, cause, Done::Undone).await
}

pub(super) async fn cancel(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let patient_informed = !form.sent.first("patient_informed").is_empty();
    let clinic_cancels = form.sent.first("who") == "clinic";
    let cause = Cause { reason: Some(form.sent.first("reason").to_owned()), patient_informed, clinic_cancels };
    take(form, id, AppointmentStep::Cancel, cause, Done::Cancelled).await
}

pub(super) async fn confirm(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let if_match = IfMatch::version(version(&form)?);
    let confirmed = confirming::confirm(&form.member.context, form.once(&format!("confirm {id}")), id, if_match).await;
    match confirmed {
        Ok(_) => Ok(back(&form, &format!("desk/visits/{id}"), Done::Confirmed)),
        Err(error) => refuse(&form, &format!("desk/visits/{id}"), error).await,
    }
}

/// Mails the patient about the visit again, with new links, or puts the patient on the list of calls.
pub(super) async fn mail_again(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    match links::renew(&form.member.context, form.once(&format!("links {id}")), id).await {
        Ok(()) => Ok(form.member.go_to(&Done::ToldAgain.on(&format!("desk/visits/{id}")))),
        Err(error) => refuse(&form, &format!("desk/visits/{id}"), error).await,
    }
}

/// Moves a visit to the instant that shows the local time that the patient was told.
pub(super) async fn keep_told_time(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let page = format!("desk/visits/{id}");
    let resolution = resolving::resolve(&form.member.context, vec![id]).await?;
    match resolution.unresolved.into_iter().next() {
        Some(why) => say_why(&form, &page, StatusCode::CONFLICT, Some(why.detail)).await,
        None => Ok(form.member.go_to(&Done::TimeKept.on(&page))),
    }
}

/// Moves the visits of the list to the instants that show the local times that their patients were told. They move together, because one may
/// need the time of another.
pub(super) async fn keep_told_times(form: MemberForm) -> Result<HttpResponse> {
    let ids = form.sent.all("visit").map(|id| id.parse().map_err(|_| Error::NotFound)).collect::<Result<Vec<_>>>()?;
    let resolution = resolving::resolve(&form.member.context, ids).await?;
    // Those that could not move are still in the list.
    Ok(form.member.go_to(&format!("desk/calls?left={}", resolution.unresolved.len())))
}

/// Keeps the start of a visit, whose local time is another one than the patient was told.
pub(super) async fn accept_time(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let page = format!("desk/visits/{id}");
    let if_match = IfMatch::version(version(&form)?);
    match accepting::accept(&form.member.context, form.once(&format!("accept time {id}")), id, if_match).await {
        Ok(_) => Ok(form.member.go_to(&Done::TimeAccepted.on(&page))),
        Err(error) => refuse(&form, &page, error).await,
    }
}

async fn take(
    form: MemberForm,
    id: AppointmentId,
    step: AppointmentStep,
    cause: Cause,
    done: Done,
) -> Result<HttpResponse> {
    // A row of the day has no version. The status decides whether its step is possible.
    let if_match =
        if form.sent.first("version").is_empty() { IfMatch::any() } else { IfMatch::version(version(&form)?) };
    // The rows of a day share the key of the page.
    let once = form.once(&format!("{} {id}", step.as_str()));
    match take_step(&form.member.context, once, id, if_match, step, cause).await {
        Ok(_) => Ok(back(&form, &format!("desk/visits/{id}"), done)),
        Err(error) => refuse(&form, &format!("desk/visits/{id}"), error).await,
    }
}
