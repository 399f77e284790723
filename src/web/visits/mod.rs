//! The visits of an account: what is to come and what was, and confirming, moving, cancelling, waiting for an earlier time, and booking with
//! a time that was held before.

mod booking;
mod changing;
mod list;
mod moving;
mod offers;
mod shown;
mod waiting;
mod waitlist_entry;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use minijinja::context;

pub(super) use self::booking::keep as keep_hold;
use super::member::{MOST_BYTES, Member};
use crate::error::{Conflict, Error, ProblemCode, Result};
use crate::http::fallback::not_allowed;

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("visits.html", include_str!("../html/visits.html")),
    ("visit.html", include_str!("../html/visit.html")),
    ("visit-status.html", include_str!("../html/visit-status.html")),
    ("visit-facts.html", include_str!("../html/visit-facts.html")),
    ("visit-cancel.html", include_str!("../html/visit-cancel.html")),
    ("visit-move.html", include_str!("../html/visit-move.html")),
    ("visit-new.html", include_str!("../html/visit-new.html")),
    ("visit-offer.html", include_str!("../html/visit-offer.html")),
    ("visit-trouble.html", include_str!("../html/visit-trouble.html")),
];

/// Registers the pages. `MEMBER_PAGES` in `http::fallback` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = |allowed: &'static str| web::to(move || async move { not_allowed(allowed) });
    let page = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(MOST_BYTES));
    let get = |path: &str| page(path).default_service(other("GET, HEAD"));
    let post = |path: &str| page(path).default_service(other("POST"));
    let both = |path: &str| page(path).default_service(other("GET, HEAD, POST"));
    cfg.service(get("/visits").get(list::show));
    // Before the pages of a visit, whose id it could be.
    cfg.service(both("/visits/new").get(booking::ask).post(booking::book));
    cfg.service(post("/visits/waiting/{id}/end").post(waiting::end_entry));
    cfg.service(post("/visits/waiting/{id}/offers").post(waiting::go_on));
    cfg.service(post("/visits/offers/{id}/claim").post(waiting::claim));
    cfg.service(post("/visits/offers/{id}/decline").post(waiting::decline));
    cfg.service(get("/visits/{id}").get(shown::show));
    cfg.service(get("/visits/{id}/calendar").get(shown::calendar));
    cfg.service(post("/visits/{id}/confirmation").post(changing::confirm));
    cfg.service(both("/visits/{id}/cancel").get(changing::ask_to_cancel).post(changing::cancel));
    cfg.service(get("/visits/{id}/days").get(moving::days));
    cfg.service(get("/visits/{id}/times").get(moving::times));
    cfg.service(both("/visits/{id}/move").get(moving::ask).post(moving::move_to));
    cfg.service(post("/visits/{id}/wait").post(waiting::begin));
    cfg.service(post("/visits/{id}/wait-end").post(waiting::end));
}

/// Says why a time was not booked or a visit not changed, and how to go on. `next` is the page to choose another time.
async fn explain(member: &Member, error: Error, next: &str) -> Result<HttpResponse> {
    let (status, kind) = match &error {
        Error::Stale => (StatusCode::PRECONDITION_FAILED, "changed"),
        Error::Conflict(conflict) => (StatusCode::CONFLICT, kind(conflict)),
        _ => return Err(error),
    };
    member.answer("visit-trouble", status, context! { kind => kind, next => next }).await
}

fn kind(conflict: &Conflict) -> &'static str {
    match conflict.code {
        ProblemCode::SlotTaken => "taken",
        ProblemCode::HoldLapsed => "lapsed",
        ProblemCode::CancelNotice => "late",
        ProblemCode::BookingLimit | ProblemCode::AccountBookingLimit | ProblemCode::NewAccountLimit => "limit",
        ProblemCode::AlreadyWaiting => "waiting",
        ProblemCode::OfferLapsed | ProblemCode::OfferEnded => "offer",
        ProblemCode::StatusConflict => "changed",
        _ => "unfit",
    }
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    let member = || super::member::example(false);
    let mut all = Vec::new();
    for kind in ["taken", "lapsed", "late", "limit", "waiting", "offer", "changed", "unfit"] {
        for next in ["", "visits"] {
            all.push(("visit-trouble", context! { root => "../", member => member(), kind => kind, next => next }));
        }
    }
    [all, list::examples(), shown::examples(), changing::examples(), moving::examples(), booking::examples()].concat()
}
