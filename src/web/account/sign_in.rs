//! The sign-in: address and password, then the code of an account that has a second factor.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, RETRY_AFTER};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use serde_json::json;
use text::Language;
use url::form_urlencoded::Serializer;

use super::super::form_post::{Sent, require_own};
use super::super::member::home;
use super::super::{language, page};
use super::{next, pending};
use crate::accounts::Keys;
use crate::accounts::origin::Origin;
use crate::accounts::sessions::{cookie, sign_in as operation};
use crate::context::{Anonymous, Context};
use crate::demo;
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::fallback::Routes;
use crate::http::input;
use crate::http::limits::SignInQuota;

const NAME: &str = "sign-in";

/// Asks for the address and the password.
pub(super) async fn show(env: web::Data<Env>, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let step = Step { kind: if sent.first("out").is_empty() { "" } else { "out" }, ..Step::default() };
    answer(&env, language(&request), StatusCode::OK, &sent, step).await
}

/// What the page says beside its fields.
#[derive(Default)]
struct Step {
    /// Why it is shown again: `wrong`, `wait`, `code` (one is needed), `wrong_code`, `out` (signed out).
    kind: &'static str,
    /// The encrypted password, for the code.
    pending: String,
    seconds: u32,
}

async fn answer(env: &Env, language: Language, status: StatusCode, sent: &Sent, step: Step) -> Result<HttpResponse> {
    let accounts: Vec<String> =
        if env.config.settings.demo { demo::accounts().map(|(_, email)| email).collect() } else { Vec::new() };
    let next = next::checked(sent.first("next"));
    let values = context! {
        kind => step.kind,
        pending => step.pending,
        minutes => step.seconds.div_ceil(60),
        email => sent.first("email").trim(),
        next => next,
        next_query => next.map(|next| Serializer::new(String::new()).append_pair("next", next).finish()),
        accounts => accounts,
        demo_password => demo::PASSWORD,
    };
    let mut response = page(env, NAME, language, status, values).await?;
    if step.seconds > 0 {
        response.headers_mut().insert(RETRY_AFTER, step.seconds.into());
    }
    Ok(response)
}

/// Signs in by the operation of the API, with its throttles, and hands the browser its cookies.
pub(super) async fn sign_in(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    routes: web::Data<Routes>,
    origin: Origin,
    quota: SignInQuota,
    request: HttpRequest,
    body: Bytes,
) -> actix_web::Result<HttpResponse> {
    let env = &context.env;
    require_own(&request, &env.config.settings.public_url)?;
    let sent = Sent::read(&body);
    let email = sent.first("email").trim().to_owned();
    let device_token = cookie::device(env, request.headers(), &email).map(str::to_owned);
    operation::count(env, &quota, device_token.as_deref())?;
    // Of the second step, whose form has no field for the password.
    let kept = pending::password(env, &email, sent.first("pending"));
    let password = kept.unwrap_or_else(|| sent.first("password").to_owned());
    let code = sent.first("totp_code").trim();
    let mut built = json!({"email": email.as_str(), "password": password.as_str(), "device_token": device_token});
    if !code.is_empty() {
        built["totp_code"] = code.into();
    }
    let sign_in = routes.by_id("create_session").ok_or_else(|| Error::fault("no operation create_session"))?;
    let signed_in = match input::read_built(&built, &sign_in) {
        Ok(body) => operation::sign_in_on_page(&context, &keys, origin, body.value).await,
        Err(error) => Err(error),
    };
    let (status, step) = match signed_in {
        Ok(session) => return Ok(open(env, language(&request), &sent, &email, &session)),
        Err(Error::Unauthenticated(refusal)) => {
            let kind = match refusal.code {
                ProblemCode::TotpRequired => "code",
                ProblemCode::TotpInvalid => "wrong_code",
                _ => "wrong",
            };
            let pending = if kind == "wrong" { String::new() } else { pending::keep(env, &email, &password)? };
            (StatusCode::UNAUTHORIZED, Step { kind, pending, seconds: 0 })
        }
        Err(Error::Invalid(_)) => (StatusCode::UNPROCESSABLE_ENTITY, Step { kind: "wrong", ..Step::default() }),
        Err(Error::TooMany { retry_after, .. }) => {
            let pending = sent.first("pending").to_owned();
            (StatusCode::TOO_MANY_REQUESTS, Step { kind: "wait", pending, seconds: retry_after })
        }
        Err(other) => return Err(other.into()),
    };
    Ok(answer(env, language(&request), status, &sent, step).await?)
}

/// Goes to the page that was asked for, or to the first one of the role.
fn open(env: &Env, language: Language, sent: &Sent, email: &str, session: &operation::PageSession) -> HttpResponse {
    let to = next::checked(sent.first("next")).unwrap_or(home(session.role));
    let mark = if to.contains('?') { '&' } else { '?' };
    let mut response = HttpResponse::SeeOther()
        .insert_header((header::LOCATION, format!("{to}{mark}lang={}", language.code())))
        .finish();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, cookie::of_session(env, &session.token));
    if let Some(token) = &session.device_token {
        headers.append(header::SET_COOKIE, cookie::of_device(env, email, token));
    }
    response
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    let mut all = Vec::new();
    for kind in ["", "wrong", "wait", "code", "wrong_code", "out"] {
        for (next, accounts) in [(None, vec![]), (Some("account"), vec!["desk@demo.legwork.example"])] {
            let pending = if kind.ends_with("code") || (kind == "wait" && next.is_some()) { "p" } else { "" };
            all.push((
                NAME,
                context! {
                    kind => kind, pending => pending, minutes => 3, email => "ann@example.org", next => next, next_query => "next=x", accounts => accounts,
                    demo_password => "p",
                },
            ));
        }
    }
    all
}
