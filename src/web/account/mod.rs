//! Signing in and out on the pages, and what an account shows of itself: its sessions and its second factor.

mod next;
mod pending;
mod second_factor;
mod sessions;
mod sign_in;
mod use_words;
mod uses;

use actix_web::http::header;
use actix_web::{HttpResponse, web};

pub(super) use self::next::{checked as checked_next, nearest as nearest_page};
pub(super) use self::sessions::zone;
use super::member::{MOST_BYTES, MemberForm};
use crate::accounts::caller::SignedIn;
use crate::accounts::sessions::{cookie, revoking};
use crate::error::Result;
use crate::http::fallback::not_allowed;

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("sign-in.html", include_str!("../html/sign-in.html")),
    ("account.html", include_str!("../html/account.html")),
    ("uses.html", include_str!("../html/uses.html")),
    ("second-factor.html", include_str!("../html/second-factor.html")),
    ("trouble.html", include_str!("../html/trouble.html")),
];

/// Registers the pages. `http::fallback` has their operations in `PAGE_FORMS` and `MEMBER_PAGES`.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let get_and_post = || web::to(|| async { not_allowed("GET, HEAD, POST") });
    let only_post = || web::to(|| async { not_allowed("POST") });
    let form = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(MOST_BYTES));
    cfg.service(form("/sign-in").get(sign_in::show).post(sign_in::sign_in).default_service(get_and_post()));
    cfg.service(form("/sign-out").post(sign_out).default_service(only_post()));
    let only_get = web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/account").get(sessions::show).default_service(only_get));
    let only_get = web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/account/patients/{id}/uses").get(uses::show).default_service(only_get));
    cfg.service(form("/account/sessions/{id}").post(sessions::end).default_service(only_post()));
    let only_get = web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/second-factor").get(second_factor::show).default_service(only_get));
    cfg.service(form("/second-factor/secret").post(second_factor::begin).default_service(only_post()));
    cfg.service(form("/second-factor/code").post(second_factor::confirm).default_service(only_post()));
}

/// Ends the session, and makes the browser delete its cookie and the stored pages.
async fn sign_out(form: MemberForm<SignedIn>) -> Result<HttpResponse> {
    revoking::sign_out(&form.member.context).await?;
    Ok(signed_out(&form.member))
}

/// Goes to the sign-in of a browser whose session has ended.
fn signed_out<P>(member: &super::member::Member<P>) -> HttpResponse {
    let mut response = member.go_to("sign-in?out=1");
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, cookie::without_session(&member.context.env));
    headers.insert(
        header::HeaderName::from_static("clear-site-data"),
        header::HeaderValue::from_static("\"cache\", \"storage\""),
    );
    response
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    [sign_in::examples(), sessions::examples(), second_factor::examples(), uses::examples()].concat()
}
