//! Waiting for an earlier time of a visit.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use serde_json::json;

use super::super::member::{Member, MemberForm};
use super::changing::page_of;
use super::explain;
use super::shown::read;
use crate::appointments::view::AppointmentView;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::ids::{AppointmentId, WaitlistEntryId};
use crate::waitlist::entry::WaitlistStatus;
use crate::waitlist::{changing, creating, listing, view};

/// The entry of the waitlist with which the patient waits for an earlier time of this visit; none if there is none.
pub(super) async fn entry(member: &Member, visit: &AppointmentView) -> Result<Option<Value>> {
    const OPERATION: &str = "list_waitlist_entries";
    let query =
        format!("patient_id={}&visit_type_id={}&sort=-created_at&limit=20", visit.patient_id, visit.visit_type_id);
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?;
    let waits = |entry: &&view::WaitlistEntryView| {
        entry.appointment_id == Some(visit.id)
            && matches!(entry.status, WaitlistStatus::Waiting | WaitlistStatus::Offered)
    };
    let entry = found.items.iter().map(|listed| &listed.entry).find(waits);
    Ok(entry.map(|entry| context! { id => entry.id.to_string() }))
}

/// Puts the patient on the waitlist for an earlier time of the visit.
pub(super) async fn begin(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    let visit = read(member, id).await?.object;
    let built = json!({
        "patient_id": visit.patient_id, "visit_type_id": visit.visit_type_id, "appointment_id": id,
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
