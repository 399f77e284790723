//! Confirming and cancelling a visit.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

use super::super::member::{Member, MemberForm};
use super::explain;
use super::shown::{facts, read};
use crate::appointments::confirming;
use crate::appointments::status::AppointmentStep;
use crate::appointments::steps::{self, Cause};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::ids::AppointmentId;

/// The version from which a form was drawn.
pub(super) fn version(form: &MemberForm) -> IfMatch {
    form.sent.first("version").parse().map_or_else(|_| IfMatch::any(), IfMatch::version)
}

/// The address of a visit's page, without the slash before it.
pub(super) fn page_of(id: AppointmentId, done: &str) -> String {
    if done.is_empty() { format!("visits/{id}") } else { format!("visits/{id}?done={done}") }
}

/// Confirms a visit.
pub(super) async fn confirm(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    match confirming::confirm(&member.context, form.once("confirmation"), id, version(&form)).await {
        Ok(_) => Ok(member.go_to(&page_of(id, "confirmed"))),
        Err(error) => explain(member, error, &page_of(id, "")).await,
    }
}

/// Asks whether the visit is to be cancelled.
pub(super) async fn ask_to_cancel(member: Member, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    ask(&member, id, StatusCode::OK, "", false).await
}

async fn ask(
    member: &Member,
    id: AppointmentId,
    status: StatusCode,
    reason: &str,
    is_wrong: bool,
) -> Result<HttpResponse> {
    let found = read(member, id).await?;
    let values = context! {
        id => id.to_string(), version => found.version, form_key => member.form_key(), reason => reason, wrong => is_wrong,
        facts => facts(member, &found.object).await?,
    };
    member.answer("visit-cancel", status, values).await
}

/// Cancels a visit.
pub(super) async fn cancel(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    let reason = form.sent.first("reason").trim().to_owned();
    let cause = Cause { reason: (!reason.is_empty()).then(|| reason.clone()), ..Cause::default() };
    let (once, version) = (form.once("cancellation"), version(&form));
    match steps::take_step(&member.context, once, id, version, AppointmentStep::Cancel, cause).await {
        Ok(_) => Ok(member.go_to(&page_of(id, "cancelled"))),
        Err(Error::Invalid(_)) => ask(member, id, StatusCode::UNPROCESSABLE_ENTITY, &reason, true).await,
        Err(error) => explain(member, error, &page_of(id, "")).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    [false, true]
        .map(|wrong| {
            let values = context! {
                root => "../../", member => super::super::member::example(false), id => "1", version => 1, form_key => "k", reason => "ill",
                wrong => wrong, facts => super::shown::example_facts(),
            };
            ("visit-cancel", values)
        })
        .into()
}
