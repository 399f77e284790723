//! Waiting for an earlier time of a visit, ending any wait, and answering an offered time.

use actix_web::HttpResponse;
use serde_json::json;

use super::super::member::MemberForm;
use super::changing::page_of;
use super::explain;
use super::shown::read;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::ids::{AppointmentId, WaitlistEntryId, WaitlistOfferId};
use crate::waitlist::{changing, claiming, creating, view};

/// Puts the patient on the waitlist for an earlier time of the visit, at the same place: another one may be far away.
pub(super) async fn begin(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    let visit = read(member, id).await?.object;
    let built = json!({
        "patient_id": visit.patient_id, "visit_type_id": visit.visit_type_id, "appointment_id": id, "location_ids": [visit.location_id],
    });
    let body = input::read_built(&built, &*member.operation("create_waitlist_entry")?)?;
    match creating::create(&member.context, form.once("wait"), body.value).await {
        Ok(_) => Ok(member.go_to(&page_of(id, "waiting"))),
        Err(error) => explain(member, error, &page_of(id, "")).await,
    }
}

/// Ends the waiting.
pub(super) async fn end(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    let entry: WaitlistEntryId = form.sent.first("entry").parse().map_err(|_| Error::NotFound)?;
    match changing::cancel(&member.context, form.once("wait-end"), entry, IfMatch::any()).await {
        Ok(_) => Ok(member.go_to(&page_of(id, "not_waiting"))),
        Err(error) => explain(member, error, &page_of(id, "")).await,
    }
}

/// Ends a wait of the list.
pub(super) async fn end_entry(form: MemberForm, PathId(id): PathId<WaitlistEntryId>) -> Result<HttpResponse> {
    let member = &form.member;
    match changing::cancel(&member.context, form.once(&format!("wait-end {id}")), id, IfMatch::any()).await {
        Ok(_) => Ok(member.go_to("visits?done=not_waiting")),
        Err(error) => explain(member, error, "").await,
    }
}

/// Lets the service offer times again to a patient who did not answer the last ones.
pub(super) async fn go_on(form: MemberForm, PathId(id): PathId<WaitlistEntryId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = view::read(&member.context, id).await?;
    let patch = input::read_built(&json!({"paused": false}), &*member.operation("update_waitlist_entry")?)?;
    match changing::update(&member.context, id, IfMatch::version(now.version), patch.value).await {
        Ok(changed) => {
            let visit = changed.object.appointment_id;
            let page = visit.map_or_else(|| "visits?done=waiting".to_owned(), |visit| page_of(visit, "waiting"));
            Ok(member.go_to(&page))
        }
        Err(error) => explain(member, error, "").await,
    }
}

/// Books the offered time, or moves the visit there that it is earlier than.
pub(super) async fn claim(form: MemberForm, PathId(id): PathId<WaitlistOfferId>) -> Result<HttpResponse> {
    let member = &form.member;
    let done = if form.sent.first("moves").is_empty() { "booked" } else { "moved" };
    match claiming::claim(&member.context, form.once(&format!("claim {id}")), id).await {
        Ok(claimed) => {
            let visit = claimed.object.appointment_id;
            Ok(member.go_to(&visit.map_or_else(|| "visits".to_owned(), |visit| page_of(visit, done))))
        }
        Err(error) => explain(member, error, "").await,
    }
}

/// Says that the offered time does not suit. The patient goes on waiting.
pub(super) async fn decline(form: MemberForm, PathId(id): PathId<WaitlistOfferId>) -> Result<HttpResponse> {
    let member = &form.member;
    match claiming::decline(&member.context, form.once(&format!("decline {id}")), id).await {
        Ok(_) => Ok(member.go_to("visits?done=declined")),
        Err(error) => explain(member, error, "").await,
    }
}
