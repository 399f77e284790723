//! What went wrong, in plain words, with the next step and the clinic's telephone.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, RETRY_AFTER};
use minijinja::{Value, context};
use serde_json::Value as Json;

use super::clinic::Clinic;
use super::held::{self, FIELDS};
use super::times::time;
use super::{Form, fields};
use crate::error::{Error, ProblemCode, Result};
use crate::http::problem::ProblemBuilder;
use crate::scheduling::slots::free::SlotView;
use crate::scheduling::slots::search::with_next_free;

/// What to say about a problem.
fn kind(problem: &ProblemBuilder) -> &'static str {
    match (problem.status.as_u16(), problem.code) {
        (_, ProblemCode::HoldLapsed) => "lapsed",
        (_, ProblemCode::HoldLimit) => "limit",
        (409, _) => "taken",
        (429, _) => "wait",
        (403, _) => "foreign",
        (503, _) => "outage",
        (500.., _) => "failed",
        _ => "broken",
    }
}

pub(crate) fn minutes(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(seconds.div_ceil(60))
}

/// Shows why there is no time, or why it could not be kept, with the next free times. What was typed stays in the form of these times.
pub(super) async fn no_time(form: &Form, error: Error) -> Result<HttpResponse> {
    let searched = match (&error, held::wanted(form)) {
        // Another time would meet the same limit.
        (Error::Conflict(conflict), _) if conflict.code == ProblemCode::HoldLimit => Error::NotFound,
        (Error::Conflict(conflict), Some((slot, visit))) if !conflict.members.contains_key("next_free") => {
            let again = Error::conflict(ProblemCode::SlotTaken, "");
            with_next_free(&form.visitor.context, again, slot, visit).await
        }
        _ => Error::NotFound,
    };
    let problem = ProblemBuilder::from(&error);
    let next: Vec<SlotView> = [&error, &searched].into_iter().find_map(next_free).unwrap_or_default();
    let times = match Clinic::read(&form.visitor).await {
        Ok(clinic) => next.iter().map(|slot| time(&form.visitor, &clinic, slot)).collect(),
        Err(_) => Vec::new(),
    };
    // An earlier hold of this visitor ends when another time is taken.
    let held = FIELDS.map(|name| (name.to_owned(), form.sent.first(name).to_owned()));
    let held: Vec<_> = held.into_iter().filter(|(name, value)| name == "hold_secret" && !value.is_empty()).collect();
    let kind = match kind(&problem) {
        // The link may have booked the time meanwhile.
        "lapsed" if !form.sent.first("again").is_empty() => "ended",
        kind => kind,
    };
    let values = context! {
        root => "../",
        kind => kind,
        minutes => problem.retry_after.map(|seconds| seconds.div_ceil(60)),
        times => times,
        fields => [form.search.fields(), held, fields::filled(&form.sent)].concat(),
        form_key => form.visitor.form_key(),
        days => form.search.link(form.visitor.language, &[]),
        again => is_passing(problem.status).then_some(form.target.as_str()),
        sent => form.sent.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>(),
    };
    let mut response = form.visitor.answer("book-trouble", problem.status, values).await?;
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Returns whether the same form can succeed later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn next_free(error: &Error) -> Option<Vec<SlotView>> {
    let Error::Conflict(conflict) = error else { return None };
    serde_json::from_value::<Vec<SlotView>>(conflict.members.get("next_free").cloned().unwrap_or(Json::Null)).ok()
}

/// The page of a problem that no handler has explained, such as that of a limit or an outage.
pub(crate) fn unexplained(problem: &ProblemBuilder, headers: &HeaderMap) -> (&'static str, Value) {
    let values = context! {
        kind => kind(problem), minutes => minutes(headers), times => Vec::<Value>::new(), fields => Vec::<Value>::new(), form_key => "",
        days => "", again => None::<&str>, sent => Vec::<Value>::new(),
    };
    ("book-trouble", values)
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for kind in ["lapsed", "ended", "limit", "taken", "wait", "foreign", "outage", "failed", "broken"] {
        for (times, minutes) in [(vec![], None), (vec![super::times::example_time()], Some(3))] {
            let values = context! {
                root => "../", kind => kind, minutes => minutes, days => if times.is_empty() { "" } else { "?x" }, times => times,
                fields => [("visit_type_id", "1")], form_key => "k", again => minutes.map(|_| "check"), sent => [("relation", "self")],
            };
            all.push(("book-trouble", values));
        }
    }
    all
}
