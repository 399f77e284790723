//! The pages of the front desk: the day of a location, patients, their visits, the waitlist, who is away, and the calls to make. They call the operations that clients of
//! the API call, and work without a script, in English and Spanish. Why something was refused is said in
//! the words of the API, in English.

pub(super) mod absence;
mod attention;
mod booking;
mod calls;
mod clinic;
mod consents;
mod correcting;
mod day;
mod done;
mod flags;
mod kinds;
mod live;
mod patient;
mod registering;
mod searching;
mod spoken;
mod steps;
mod time_off;
mod times;
mod visit;
mod waitlist;
mod wanted;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use minijinja::context;

pub(super) use self::clinic::Clinic;
use self::done::Done;
pub(super) use self::searching::parameter as search_parameter;
use super::member::{MOST_BYTES, Member, MemberForm};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::http::fallback::not_allowed;
use crate::ids::PatientId;

/// The page of a patient whose form the desk has sent, without the slash before it.
pub(super) fn after_form(patient: PatientId) -> String {
    Done::FormSent.on(&format!("desk/patients/{patient}"))
}

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("desk.html", include_str!("../html/desk.html")),
    ("desk-frame.html", include_str!("../html/desk-frame.html")),
    ("desk-row.html", include_str!("../html/desk-row.html")),
    ("desk-visit.html", include_str!("../html/desk-visit.html")),
    ("desk-times.html", include_str!("../html/desk-times.html")),
    ("desk-patients.html", include_str!("../html/desk-patients.html")),
    ("desk-patient.html", include_str!("../html/desk-patient.html")),
    ("desk-register.html", include_str!("../html/desk-register.html")),
    ("desk-calls.html", include_str!("../html/desk-calls.html")),
    ("desk-waitlist.html", include_str!("../html/desk-waitlist.html")),
    ("desk-time-off.html", include_str!("../html/desk-time-off.html")),
    ("desk-affected.html", include_str!("../html/desk-affected.html")),
    ("desk-refused.html", include_str!("../html/desk-refused.html")),
    ("desk-correct.html", include_str!("../html/desk-correct.html")),
    ("desk-done.html", include_str!("../html/desk-done.html")),
    ("desk-place.html", include_str!("../html/desk-place.html")),
    ("desk-sex.html", include_str!("../html/desk-sex.html")),
    ("desk-wait.html", include_str!("../html/desk-wait.html")),
    ("desk-attention.html", include_str!("../html/desk-attention.html")),
    ("desk-flags.html", include_str!("../html/desk-flags.html")),
    ("desk-form.html", include_str!("../html/desk-form.html")),
    ("desk-forms.html", include_str!("../html/desk-forms.html")),
    ("desk-wanted.html", include_str!("../html/desk-wanted.html")),
    ("desk-person.html", include_str!("../html/desk-person.html")),
];

/// Registers the pages. `http::fallback::MEMBER_PAGES` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let only_get = || web::to(|| async { not_allowed("GET, HEAD") });
    let only_post = || web::to(|| async { not_allowed("POST") });
    let both = || web::to(|| async { not_allowed("GET, HEAD, POST") });
    let form = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(MOST_BYTES));
    cfg.service(web::resource("/desk").get(day::show).default_service(only_get()));
    cfg.service(web::resource("/desk/events").get(live::stream).default_service(only_get()));
    cfg.service(web::resource("/desk/visits/{id}").get(visit::show).default_service(only_get()));
    cfg.service(web::resource("/desk/visits/{id}/times").get(times::of_visit).default_service(only_get()));
    cfg.service(form("/desk/visits/{id}/check-in").post(steps::check_in).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/no-show").post(steps::mark_no_show).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/complete").post(steps::complete).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/undo").post(steps::undo).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/confirm").post(steps::confirm).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/keep-told-time").post(steps::keep_told_time).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/accept-time").post(steps::accept_time).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/cancel").post(steps::cancel).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/links").post(steps::mail_again).default_service(only_post()));
    cfg.service(form("/desk/visits/{id}/reschedule").post(booking::reschedule).default_service(only_post()));
    cfg.service(form("/desk/patients").get(searching::ask).post(searching::find).default_service(both()));
    cfg.service(form("/desk/patients/new").get(registering::show).post(registering::register).default_service(both()));
    cfg.service(web::resource("/desk/patients/{id}").get(patient::show).default_service(only_get()));
    cfg.service(web::resource("/desk/patients/{id}/times").get(times::of_patient).default_service(only_get()));
    cfg.service(
        form("/desk/patients/{id}/correct").get(correcting::show).post(correcting::save).default_service(both()),
    );
    cfg.service(form("/desk/patients/{id}/consents").post(consents::record).default_service(only_post()));
    cfg.service(form("/desk/patients/{id}/wait").post(waitlist::begin).default_service(only_post()));
    cfg.service(form("/desk/patients/{id}/visits").post(booking::book).default_service(only_post()));
    cfg.service(form("/desk/time-off").get(time_off::list).post(time_off::create).default_service(both()));
    cfg.service(web::resource("/desk/time-off/{id}").get(time_off::show).default_service(only_get()));
    cfg.service(form("/desk/time-off/{id}/delete").post(time_off::delete).default_service(only_post()));
    cfg.service(form("/desk/time-off/{id}/moves").post(time_off::move_all).default_service(only_post()));
    cfg.service(web::resource("/desk/calls").get(calls::show).default_service(only_get()));
    cfg.service(form("/desk/calls/{id}/complete").post(calls::complete).default_service(only_post()));
    cfg.service(form("/desk/calls/{id}/resend").post(calls::resend).default_service(only_post()));
    cfg.service(web::resource("/desk/waitlist").get(waitlist::show).default_service(only_get()));
    cfg.service(form("/desk/calls/told-times").post(steps::keep_told_times).default_service(only_post()));
    cfg.service(form("/desk/waitlist/{id}/offers").post(waitlist::go_on).default_service(only_post()));
    cfg.service(form("/desk/waitlist/{id}/end").post(waitlist::end).default_service(only_post()));
    cfg.service(form("/desk/waitlist-offers/{id}/claim").post(waitlist::claim).default_service(only_post()));
    cfg.service(form("/desk/waitlist-offers/{id}/decline").post(waitlist::decline).default_service(only_post()));
    cfg.service(form("/desk/waitlist-offers/{id}/withdraw").post(waitlist::withdraw).default_service(only_post()));
}

/// Reads the version that a form was drawn from.
///
/// # Errors
/// A broken rule at `version`.
pub(super) fn version(form: &MemberForm) -> Result<i32> {
    let version = form.sent.first("version").parse();
    version.map_err(|_| Error::invalid("/version", FieldCode::WrongType, "must be a whole number"))
}

/// Redirects to the day from which a form was sent, or else to this page, which says what was done.
fn back(form: &MemberForm, otherwise: &str, done: Done) -> HttpResponse {
    let (location, date) = (form.sent.first("location"), form.sent.first("date"));
    if location.is_empty() || date.is_empty() {
        return form.member.go_to(&done.on(otherwise));
    }
    form.member.go_to(&done.on(&day::link(location, date)))
}

/// Says why something was refused, with the way back to the page where it was tried. Shows nothing of the patient, since nothing was read.
///
/// # Errors
/// Every other error, such as a fault.
async fn refuse(form: &MemberForm, page: &str, error: Error) -> Result<HttpResponse> {
    let (status, why) = match error {
        Error::Conflict(conflict) => (StatusCode::CONFLICT, Some(conflict.detail)),
        Error::Stale => (StatusCode::PRECONDITION_FAILED, None),
        Error::Forbidden(refusal) => (StatusCode::FORBIDDEN, Some(refusal.detail)),
        Error::Invalid(errors) => {
            let rule = |one: &FieldError| format!("{}: {}.", one.pointer.trim_start_matches(['/', '?']), one.detail);
            (StatusCode::UNPROCESSABLE_ENTITY, Some(errors.iter().map(rule).collect::<Vec<_>>().join(" ")))
        }
        other => return Err(other),
    };
    say_why(form, page, status, why).await
}

/// Like [`refuse`], with the words of the refusal; none if something has changed meanwhile.
async fn say_why(form: &MemberForm, page: &str, status: StatusCode, why: Option<String>) -> Result<HttpResponse> {
    let written: Vec<String> = ["reason", "note"]
        .into_iter()
        .map(|name| form.sent.first(name).to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    form.member
        .answer(
            "desk-refused",
            status,
            context! { why => why, written => written, page => form.member.with_place(page) },
        )
        .await
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    let refused = |why: Option<&'static str>, written: Vec<&'static str>| {
        let member = super::member::example(true);
        let values = context! { root => "../../", member => member, why => why, written => written, page => "desk" };
        vec![("desk-refused", values)]
    };
    [
        refused(Some("No."), vec![]),
        refused(None, vec!["Ill"]),
        day::examples(),
        visit::examples(),
        times::examples(),
        searching::examples(),
        patient::examples(),
        registering::examples(),
        calls::examples(),
        waitlist::examples(),
        time_off::examples(),
    ]
    .concat()
}
