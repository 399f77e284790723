//! A stranger books a visit: kind of visit, day, time, details, check, mail. Every page is a form or a list of links that works without a
//! script, and calls the operations that clients of the API call. Nothing is kept in a cookie: each form carries what was typed before, and
//! the secret of its hold, which never stands in an address. So the clinic's own site can show these pages in a frame (`super::embedding`).

mod clinic;
mod consents;
pub(in crate::web) mod days;
mod details;
mod fields;
mod held;
mod holding;
mod registering;
mod searching;
mod start;
pub(in crate::web) mod times;
mod trouble;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload};
use minijinja::{Value, context};
use serde::de::DeserializeOwned;
use text::Language;

pub(in crate::web) use self::clinic::visit_name;
pub(in crate::web) use self::days::DAYS;
#[cfg(test)]
pub(in crate::web) use self::held::example_facts as example_held;
pub(in crate::web) use self::searching::Search;
pub(super) use self::trouble::{minutes, unexplained};
use super::form_post::{Sent, require_own};
use super::member::Member;
use super::{embedding, language, page};
use crate::accounts::origin::Origin;
use crate::accounts::tokens;
use crate::actor::Actor;
use crate::context::{Anonymous, Context};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::fallback::{Operation, Routes, not_allowed};
use crate::http::input;

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("book.html", include_str!("../html/book.html")),
    ("book-steps.html", include_str!("../html/book-steps.html")),
    ("book-days.html", include_str!("../html/book-days.html")),
    ("book-times.html", include_str!("../html/book-times.html")),
    ("book-slots.html", include_str!("../html/book-slots.html")),
    ("book-details.html", include_str!("../html/book-details.html")),
    ("book-field.html", include_str!("../html/book-field.html")),
    ("book-facts.html", include_str!("../html/book-facts.html")),
    ("book-check.html", include_str!("../html/book-check.html")),
    ("book-sent.html", include_str!("../html/book-sent.html")),
    ("book-trouble.html", include_str!("../html/book-trouble.html")),
];

/// The largest form: every field at its longest.
const MOST_BYTES: usize = 32 * 1024;

/// Registers the pages. `http::fallback::PAGE_FORMS` has the operations of the forms.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let only_get = || web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/book").get(start::show).default_service(only_get()));
    cfg.service(web::resource("/book/days").get(days::show).default_service(only_get()));
    cfg.service(web::resource("/book/times").get(times::show).default_service(only_get()));
    // People reload the address of a form that they have sent.
    let back = || async { HttpResponse::SeeOther().insert_header(("Location", "../book")).finish() };
    let other = || web::to(|| async { not_allowed("GET, HEAD, POST") });
    let form = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(MOST_BYTES)).get(back);
    cfg.service(form("/book/holds").post(holding::take).default_service(other()));
    cfg.service(form("/book/renewals").post(holding::renew).default_service(other()));
    cfg.service(form("/book/releases").post(holding::release).default_service(other()));
    cfg.service(form("/book/details").post(details::show_again).default_service(other()));
    cfg.service(form("/book/sign-in").post(holding::go_to_sign_in).default_service(other()));
    cfg.service(form("/book/check").post(registering::check).default_service(other()));
    cfg.service(form("/book/registrations").post(registering::register).default_service(other()));
}

/// What every page of the booking way needs.
pub(in crate::web) struct Visitor {
    context: Context<Anonymous>,
    language: Language,
    routes: web::Data<Routes>,
    /// Who is signed in. Staff find more times than patients.
    actor: Option<Actor>,
    /// Whether the page is in a frame on the clinic's own site.
    framed: bool,
}

impl Visitor {
    /// The visitor of a page that only reads.
    fn reading(env: web::Data<Env>, routes: web::Data<Routes>, request: &HttpRequest) -> Self {
        let framed = embedding::is_framed(&env.config.settings, request);
        Self { context: Context::of_page(env.into_inner()), language: language(request), routes, actor: None, framed }
    }

    /// A signed-in person who chooses a time.
    pub(in crate::web) fn of_member(member: &Member) -> Self {
        let actor = Some(member.context.actor.clone());
        Self { context: member.public(), language: member.language, routes: member.routes(), actor, framed: false }
    }

    /// A person without an account, as a member sees what that person finds.
    pub(in crate::web) fn stranger(member: &Member) -> Self {
        Self { actor: None, ..Self::of_member(member) }
    }

    /// The caller as the searches take it.
    fn caller(&self) -> Option<Actor> {
        self.actor.clone()
    }

    fn env(&self) -> &Env {
        &self.context.env
    }

    fn operation(&self, id: &str) -> Result<Arc<Operation>> {
        self.routes.by_id(id).ok_or_else(|| Error::fault(format!("no operation {id}")))
    }

    /// Reads parameters of an operation as it would read them from its own query.
    fn parameters<T: DeserializeOwned>(&self, operation: &str, query: &str) -> Result<T> {
        input::read_query(query, &*self.operation(operation)?)
    }

    /// Answers with a page below `/book/`.
    async fn answer(&self, name: &str, status: StatusCode, values: Value) -> Result<HttpResponse> {
        let values = context! { root => "../", framed => self.framed, ..values };
        page(self.env(), name, self.language, status, values).await
    }

    /// A value that only this answer has, so that a form which is sent twice has one effect.
    fn form_key(&self) -> String {
        tokens::opaque(&self.env().entropy)
    }
}

/// A form of the booking way.
struct Form {
    visitor: Visitor,
    origin: Origin,
    sent: Sent,
    search: Search,
    /// The last part of the form's path, to send it again.
    target: String,
}

impl Form {
    /// Reads a form, unless another site sent it.
    fn read(request: &HttpRequest, body: &[u8]) -> Result<Self> {
        let env = request.app_data::<web::Data<Env>>().cloned().ok_or_else(|| Error::fault("no environment"))?;
        let routes = request.app_data::<web::Data<Routes>>().cloned().ok_or_else(|| Error::fault("no routes"))?;
        require_own(request, &env.config.settings.public_url)?;
        let origin = Origin::from_request(request, &mut Payload::None).into_inner()?;
        let visitor = Visitor::reading(env, routes, request);
        let sent = Sent::read(body);
        let search = Search::of(&sent);
        let target = request.path().rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Self { visitor, origin, sent, search, target })
    }

    /// Reads a form that runs an operation in this request.
    fn running(context: Context<Anonymous>, request: &HttpRequest, body: &Bytes) -> Result<Self> {
        let form = Self::read(request, body)?;
        Ok(Self { visitor: Visitor { context, ..form.visitor }, ..form })
    }

    /// The key under which a repeat of this form is recognised. No client of the API can send it, because it has a space.
    fn key(&self, part: &str) -> Option<String> {
        let key = self.sent.first("form_key");
        ((1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| format!("{key} {part}"))
    }
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples(language: Language) -> Vec<(&'static str, Value)> {
    [
        start::examples(),
        days::examples(),
        times::examples(),
        details::examples(language),
        registering::examples(),
        trouble::examples(),
    ]
    .concat()
}
