//! The forms that a patient, or the person who acts for them, fills in before a visit, and follow-ups that a practitioner fills in with them: one subject a page, drawn from the definition that
//! the API publishes. Each page is saved by the operation that saves a part of a draft, so a form is resumed on any device, and another
//! client can go on with it.

mod answers;
mod check;
mod conflict;
mod draft;
mod entry;
#[cfg(test)]
mod examples;
mod mistakes;
mod notices;
mod overview;
mod question;
mod saving;
mod start;
mod subject;

use actix_web::web;
use minijinja::{Value, context};

pub(super) use self::answers::{Given, read as read_answers};
use self::draft::Draft;
pub(super) use self::draft::{minutes_of, name_of, say};
#[cfg(test)]
pub(super) use self::examples::examples;
pub(super) use self::mistakes::{label as question_label, text as mistake};
pub(super) use self::question::{Drawn, Standing, anchor};
pub(super) use self::start::standing;
use super::member::Member;
use crate::error::Result;
use crate::http::fallback::not_allowed;
use crate::patients::access::current_user::{self, CurrentUserPatient};
use crate::patients::model::Relation;
use crate::patients::records::updating;

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("history.html", include_str!("../html/history.html")),
    ("form-overview.html", include_str!("../html/form-overview.html")),
    ("form-subject.html", include_str!("../html/form-subject.html")),
    ("form-entry.html", include_str!("../html/form-entry.html")),
    ("form-question.html", include_str!("../html/form-question.html")),
    ("form-wrong.html", include_str!("../html/form-wrong.html")),
    ("form-conflict.html", include_str!("../html/form-conflict.html")),
    ("form-notice-texts.html", include_str!("../html/form-notice-texts.html")),
    ("form-notices.html", include_str!("../html/form-notices.html")),
    ("form-answers.html", include_str!("../html/form-answers.html")),
    ("form-check.html", include_str!("../html/form-check.html")),
    ("form-sent.html", include_str!("../html/form-sent.html")),
];

/// The largest form. Texts have up to 2,000 characters, and a form carries them as they are typed and as they were drawn.
const MOST_BYTES: usize = 128 * 1024;

/// Registers the pages. `MEMBER_PAGES` in `http::fallback` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = |allowed: &'static str| web::to(move || async move { not_allowed(allowed) });
    let page = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(MOST_BYTES));
    let get = |path: &str| page(path).default_service(other("GET, HEAD"));
    let both = |path: &str| page(path).default_service(other("GET, HEAD, POST"));
    cfg.service(both("/visits/{id}/history").get(start::show).post(start::begin));
    cfg.service(get("/forms/{id}").get(overview::show));
    // Before the subjects, whose name it could be.
    cfg.service(both("/forms/{id}/check").get(check::show).post(check::send));
    cfg.service(get("/forms/{id}/notices").get(notices::show));
    cfg.service(both("/forms/{id}/{subject}").get(subject::show).post(subject::save));
    cfg.service(both("/forms/{id}/{subject}/{list}/{entry}").get(entry::show).post(entry::save));
}

/// What every page of a form shows: whose it is, what to read at once, and how much is left.
async fn frame(member: &Member, draft: &Draft) -> Result<Value> {
    let notices = notices::of(member, draft).await?;
    let patient = if member.is_staff() {
        Some(updating::read(&member.context, draft.intake.patient_id).await?.object.patient.display_name)
    } else {
        let people = current_user::read(&member.context).await?.patients;
        let is_other =
            |one: &CurrentUserPatient| one.id == draft.intake.patient_id && one.relation != Relation::Oneself;
        people.into_iter().find(is_other).map(|other| other.display_name)
    };
    Ok(context! {
        form => draft.page(""),
        form_title => draft.title(),
        notices => notices,
        patient => patient,
        minutes => draft.minutes_left(),
    })
}
