//! Problems of pages, written as pages: what is wrong in plain words, with the next step. Also those of requests that reach no handler.
//! The same middleware makes browsers keep the language of the pages behind the sign-in.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::account::{checked_next, nearest_page};
use super::language::to_keep;
use super::member::{Written, root};
use super::{book, embedding, language, page};
use crate::env::Env;
use crate::error::ProblemCode;
use crate::http::fallback::is_sign_in_or_behind;
use crate::http::problem::ProblemBuilder;

/// The pages that have a way to say what is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Area {
    /// Booking without an account.
    Book,
    /// Signing in, and everything behind it.
    Member,
}

impl Area {
    fn of(path: &str) -> Option<Self> {
        if path == "/book" || path.starts_with("/book/") {
            return Some(Self::Book);
        }
        is_sign_in_or_behind(path).then_some(Self::Member)
    }
}

/// Writes problems as pages.
pub async fn explain(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(area) = Area::of(request.path()) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let env = request.app_data::<web::Data<Env>>().cloned();
    // The request itself goes on, and no copy of it may be kept meanwhile.
    let asked = Asked::new(request.request());
    let (request, response) = match next.call(request).await {
        Ok(response) => {
            let (request, response) = response.into_parts();
            (Some(request), response.map_into_boxed_body())
        }
        Err(error) => (None, error.error_response()),
    };
    let problem = response.extensions().get::<ProblemBuilder>().cloned();
    let mut response = match (problem, &env) {
        (Some(problem), Some(env)) => asked.explain(env, area, &problem, response).await,
        _ => response,
    };
    if let (Area::Book, Some(env)) = (area, &env) {
        embedding::allow(&env.config.settings, &asked.path, &mut response);
    }
    if let Some(language) = asked.to_keep {
        response.headers_mut().append(SET_COOKIE, language);
    }
    match request {
        Some(request) => Ok(ServiceResponse::new(request, response)),
        None => Err(actix_web::error::InternalError::from_response("failed", response).into()),
    }
}

/// What a page asked for.
struct Asked {
    path: String,
    query: String,
    is_form: bool,
    language: text::Language,
    /// The cookie with this language, if the browser has to keep it.
    to_keep: Option<HeaderValue>,
    root: String,
}

impl Asked {
    fn new(request: &HttpRequest) -> Self {
        Self {
            path: request.path().to_owned(),
            query: request.query_string().to_owned(),
            is_form: request.method() == Method::POST,
            language: language(request),
            to_keep: to_keep(request),
            root: root(request.path()),
        }
    }

    async fn explain(&self, env: &Env, area: Area, problem: &ProblemBuilder, response: HttpResponse) -> HttpResponse {
        if area == Area::Member && !self.is_form && problem.status == StatusCode::UNAUTHORIZED {
            return self.go_to_sign_in();
        }
        if area == Area::Member && problem.code == ProblemCode::SecondFactorRequired {
            let to = format!("{}second-factor?lang={}", self.root, self.language.code());
            return HttpResponse::SeeOther().insert_header((LOCATION, to)).finish();
        }
        let (name, values) = match area {
            Area::Book => book::unexplained(problem, response.headers()),
            Area::Member => ("trouble", self.of_member(problem, &response)),
        };
        let values = context! { root => &self.root, ..values };
        match page(env, name, self.language, problem.status, values).await {
            Ok(mut page) => {
                for (name, value) in response.headers() {
                    // The browser must not ask for a password of its own.
                    if !page.headers().contains_key(name) && name != WWW_AUTHENTICATE {
                        page.headers_mut().insert(name.clone(), value.clone());
                    }
                }
                page
            }
            Err(error) => error.error_response(),
        }
    }

    /// Without a session a page leads to the sign-in, which comes back to it.
    fn go_to_sign_in(&self) -> HttpResponse {
        let mut query = Serializer::new(String::new());
        let page = format!("{}?{}", self.path.trim_start_matches('/'), self.query);
        if let Some(next) = checked_next(page.trim_end_matches('?')) {
            query.append_pair("next", next);
        }
        let to = format!("{}sign-in?{}", self.root, query.append_pair("lang", self.language.code()).finish());
        HttpResponse::SeeOther().insert_header((LOCATION, to)).finish()
    }

    fn of_member(&self, problem: &ProblemBuilder, response: &HttpResponse) -> Value {
        let kind = match (problem.status.as_u16(), problem.code) {
            (401, _) => "ended",
            (403, ProblemCode::ForeignForm) => "foreign",
            (403, _) => "forbidden",
            (404, _) => "missing",
            (409 | 412 | 428, _) => "changed",
            (429, _) => "wait",
            (503, _) => "outage",
            (500.., _) => "failed",
            _ => "broken",
        };
        let written = response.extensions().get::<Written>().map(|Written(texts)| texts.clone()).unwrap_or_default();
        // What is missing is not opened again.
        let above = self.path.rsplit_once('/').map_or("", |(above, _)| above);
        let page = nearest_page(if kind == "missing" { above } else { &self.path });
        let mut query = Serializer::new(String::new());
        if let Some(next) = page {
            query.append_pair("next", next);
        }
        context! {
            kind => kind, minutes => book::minutes(response.headers()), written => written, page => page,
            sign_in => query.append_pair("lang", self.language.code()).finish(),
        }
    }
}

/// What the page can show, for the test that renders every branch of its template.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    for kind in ["ended", "foreign", "forbidden", "missing", "changed", "wait", "outage", "failed", "broken"] {
        for (page, minutes, written) in [(None, None, vec![]), (Some("account"), Some(3), vec!["I am ill"])] {
            let values = context! {
                root => "../", kind => kind, minutes => minutes, written => written, page => page, sign_in => "lang=en",
            };
            all.push(("trouble", values));
        }
    }
    all
}
