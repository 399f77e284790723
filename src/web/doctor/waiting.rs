//! The submitted forms of the practitioner's patients that nobody has reviewed yet, the oldest change first.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use rls::FormName;
use url::form_urlencoded::Serializer;

use super::super::account::zone as first_zone;
use super::super::form_post::Sent;
use super::{Member, person};
use crate::error::Result;
use crate::intake::listing;
use crate::messages::times::Moment;

const OPERATION: &str = "list_intakes";

/// Shows the forms that wait for a review.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let cursor = Sent::read(request.query_string().as_bytes()).first("cursor").to_owned();
    let mut query = Serializer::new(String::new());
    query.append_pair("status", "completed").append_pair("reviewed", "false").append_pair("limit", "50");
    if let Some(practitioner) = member.context.actor.practitioner_id {
        query.append_pair("practitioner_id", &practitioner.to_string());
    }
    if !cursor.is_empty() {
        query.append_pair("cursor", &cursor);
    }
    let query = query.finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?;
    let zone = first_zone(&member).await?;
    let intakes: Vec<Value> = found
        .items
        .iter()
        .map(|intake| {
            context! {
                id => intake.id.to_string(),
                is_follow_up => intake.form == FormName::FollowUp.as_str(),
                sent => intake.submitted_at.map(|at| Moment::new(at, &zone, member.language).full_here()),
                urgent => intake.urgent_flags.is_some_and(|count| count > 0),
                patient => intake.patient.as_ref().map(|patient| person::listed(&member, patient)),
            }
        })
        .collect();
    let more = found.next_cursor.map(|next| Serializer::new(String::new()).append_pair("cursor", &next).finish());
    member.answer("doctor-reviews", StatusCode::OK, context! { intakes => intakes, more => more }).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let intake = |all: bool| {
        context! {
            id => "1", is_follow_up => all, sent => all.then_some("Monday"), urgent => all, patient => all.then(person::example),
        }
    };
    let page = |intakes: Vec<Value>, more: Option<&'static str>| {
        let member = super::super::member::example_practitioner();
        ("doctor-reviews", context! { root => "../", member => member, intakes => intakes, more => more })
    };
    vec![page(vec![intake(true), intake(false)], Some("cursor=x")), page(vec![], None)]
}
