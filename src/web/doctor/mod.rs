//! The pages of practitioners: their day, summaries and timelines, flags, reviews, follow-ups, and the reason for opening a stranger's
//! record. They call the operations that clients of the API call, and work without a script. The pages are in English and Spanish; what the
//! service writes about answers is in English, as in the API.

mod day;
mod flags;
mod follow_ups;
mod opening;
mod person;
mod reading;
mod record;
mod review;
mod review_form;
mod searching;
mod waiting;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use minijinja::context;

use super::member::{MOST_BYTES, Member, MemberForm};
use crate::error::{Error, Result};
use crate::http::fallback::not_allowed;

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("doctor.html", include_str!("../html/doctor.html")),
    ("doctor-frame.html", include_str!("../html/doctor-frame.html")),
    ("doctor-row.html", include_str!("../html/doctor-row.html")),
    ("doctor-person.html", include_str!("../html/doctor-person.html")),
    ("doctor-closed.html", include_str!("../html/doctor-closed.html")),
    ("doctor-open.html", include_str!("../html/doctor-open.html")),
    ("doctor-timeline.html", include_str!("../html/doctor-timeline.html")),
    ("doctor-flags.html", include_str!("../html/doctor-flags.html")),
    ("doctor-review.html", include_str!("../html/doctor-review.html")),
    ("doctor-reviews.html", include_str!("../html/doctor-reviews.html")),
    ("doctor-follow-up.html", include_str!("../html/doctor-follow-up.html")),
    ("doctor-follow-ups.html", include_str!("../html/doctor-follow-ups.html")),
    ("doctor-patients.html", include_str!("../html/doctor-patients.html")),
    ("doctor-patient.html", include_str!("../html/doctor-patient.html")),
    ("doctor-refused.html", include_str!("../html/doctor-refused.html")),
];

/// The largest form of a review: a plan of 4,000 characters.
const MOST_BYTES_OF_REVIEW: usize = 128 * 1024;
/// The fields in which practitioners write texts.
const TEXTS: [&str; 3] = ["reason", "note", "review.plan_note"];

/// Registers the pages. `http::fallback::MEMBER_PAGES` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = |allowed: &'static str| web::to(move || async move { not_allowed(allowed) });
    let page = |path: &str, most: usize| web::resource(path).app_data(web::PayloadConfig::new(most));
    let get = |path: &str| page(path, MOST_BYTES).default_service(other("GET, HEAD"));
    let post = |path: &str| page(path, MOST_BYTES).default_service(other("POST"));
    let both = |path: &str, most: usize| page(path, most).default_service(other("GET, HEAD, POST"));
    cfg.service(get("/doctor").get(day::show));
    cfg.service(post("/doctor/visits/{id}/complete").post(day::complete));
    cfg.service(get("/doctor/intakes/{id}").get(reading::summary));
    cfg.service(both("/doctor/intakes/{id}/review", MOST_BYTES_OF_REVIEW).get(review::show).post(review::save));
    cfg.service(get("/doctor/reviews").get(waiting::show));
    cfg.service(get("/doctor/flags").get(flags::show));
    cfg.service(post("/doctor/flags/{id}/acknowledge").post(flags::acknowledge));
    cfg.service(get("/doctor/follow-ups").get(follow_ups::show));
    cfg.service(post("/doctor/follow-ups/{id}/cancel").post(follow_ups::cancel));
    cfg.service(both("/doctor/patients", MOST_BYTES).get(searching::ask).post(searching::find));
    cfg.service(get("/doctor/patients/{id}").get(record::show));
    cfg.service(post("/doctor/patients/{id}/follow-ups").post(follow_ups::create));
    cfg.service(post("/doctor/patients/{id}/forms").post(follow_ups::begin));
    cfg.service(both("/doctor/patients/{id}/open", MOST_BYTES).get(opening::ask).post(opening::open));
    cfg.service(get("/doctor/patients/{id}/timeline").get(reading::timeline));
}

/// What was written in a form, to show it once more.
fn written(form: &MemberForm) -> Vec<String> {
    TEXTS.into_iter().map(|name| form.sent.first(name).to_owned()).filter(|text| !text.is_empty()).collect()
}

/// Says why something was not done, with the way back to the page where it was tried. Shows nothing of the patient, since nothing was read.
///
/// # Errors
/// Every other error, such as a fault.
async fn refuse(form: &MemberForm, page: &str, error: Error) -> Result<HttpResponse> {
    let (status, kind) = match &error {
        Error::Conflict(_) => (StatusCode::CONFLICT, "changed"),
        Error::Stale => (StatusCode::PRECONDITION_FAILED, "changed"),
        Error::Invalid(errors) => {
            let is_about = |place: &str| errors.iter().any(|one| one.pointer.starts_with(place));
            let kind = if is_about("/note") {
                "note"
            } else if is_about("/due_on") {
                "due_on"
            } else {
                "wrong"
            };
            (StatusCode::UNPROCESSABLE_ENTITY, kind)
        }
        _ => return opening::closed(&form.member, page, written(form), error).await,
    };
    form.member
        .answer("doctor-refused", status, context! { kind => kind, written => written(form), page => page })
        .await
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples(language: text::Language) -> Vec<(&'static str, minijinja::Value)> {
    let member = super::member::example_practitioner;
    let mut all = Vec::new();
    for kind in ["changed", "note", "due_on", "wrong"] {
        for (written, page) in [(vec![], "doctor"), (vec!["Called <her>"], "doctor/flags?show=own")] {
            let values =
                context! { root => "../../../", member => member(), kind => kind, written => written, page => page };
            all.push(("doctor-refused", values));
        }
    }
    [
        all,
        day::examples(),
        reading::examples(),
        opening::examples(),
        flags::examples(),
        review::examples(language),
        waiting::examples(),
        follow_ups::examples(),
        searching::examples(),
        record::examples(),
    ]
    .concat()
}
