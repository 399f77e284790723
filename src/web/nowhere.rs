//! Addresses that lead nowhere. A browser gets a page that leads on; any other client gets the problem `not_found`.

use actix_web::http::header::{self, Accept, Header};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, mime, web};
use minijinja::context;

use super::member::root;
use super::{language, page};
use crate::env::Env;
use crate::http::fallback::{fallback, is_of_member};

/// Answers a request without a route.
pub async fn nowhere(env: web::Data<Env>, request: HttpRequest) -> HttpResponse {
    let path = request.path();
    // The pages behind the sign-in, the booking pages and the API have error responses of their own.
    let is_of_area = is_of_member(path) || path.starts_with("/book/") || path.starts_with("/v1/");
    if is_of_area || request.method() != Method::GET || !is_browser(&request) {
        return fallback().await;
    }
    let values = context! {
        root => root(path), kind => "missing", minutes => (), written => Vec::<String>::new(), page => (), sign_in => "",
    };
    match page(&env, "trouble", language(&request), StatusCode::NOT_FOUND, values).await {
        Ok(page) => page,
        Err(_) => fallback().await,
    }
}

/// Whether the client names pages among what it accepts, as browsers do.
fn is_browser(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::ACCEPT)
        && Accept::parse(request).is_ok_and(|accepted| accepted.iter().any(|one| one.item == mime::TEXT_HTML))
}
