//! The pages that explain the problems of the API: one for each code, to which the problem's `type` leads, and a list. In English, like the
//! problems.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use minijinja::{Value, context};
use serde_json::Value as Json;
use text::{FieldCode, Language};

use super::page;
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::compression;
use crate::http::fallback::not_allowed;
use crate::http::problem::ProblemBuilder;

const NAME: &str = "problems";

/// Registers the pages.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = || web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/problems").get(list).default_service(other()));
    cfg.service(web::resource("/problems/{code}").get(one).default_service(other()));
}

async fn list(env: web::Data<Env>, request: HttpRequest) -> Result<HttpResponse> {
    show(&env, &request, listed()).await
}

async fn one(env: web::Data<Env>, request: HttpRequest, code: web::Path<String>) -> Result<HttpResponse> {
    let code = ProblemCode::ALL.iter().find(|known| known.as_str() == *code).ok_or(Error::NotFound)?;
    show(&env, &request, explained(*code)?).await
}

async fn show(env: &Env, request: &HttpRequest, values: Value) -> Result<HttpResponse> {
    Ok(compression::public(request, page(env, NAME, Language::English, StatusCode::OK, values).await?))
}

fn listed() -> Value {
    let codes = ProblemCode::ALL.iter();
    let problems: Vec<_> =
        codes.map(|code| context! { code => code.as_str(), status => code.status(), cause => code.cause() }).collect();
    context! { root => "", problems => problems, problem => None::<Value>, rules => Vec::<Value>::new() }
}

fn explained(code: ProblemCode) -> Result<Value> {
    let rules: &[FieldCode] = if code == ProblemCode::ValidationFailed { FieldCode::ALL } else { &[] };
    let rules: Vec<_> =
        rules.iter().map(|rule| context! { code => rule.as_str(), meaning => rule.meaning() }).collect();
    let problem = context! {
        code => code.as_str(), status => code.status(), cause => code.cause(), remedy => code.remedy(), example => example(code)?
    };
    Ok(context! { root => "../", problem => problem, problems => Vec::<Value>::new(), rules => rules })
}

/// A problem document of this kind. Its members depend on the request.
fn example(code: ProblemCode) -> Result<String> {
    let status = StatusCode::from_u16(code.status()).map_err(|error| Error::internal("a status", error))?;
    let title = status.canonical_reason().unwrap_or_default();
    let problem = ProblemBuilder::new(status, code, title, format!("{} {}", code.cause(), code.remedy()));
    let problem = problem.complete("/v1/appointments", "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55");
    let json: Json = serde_json::to_value(problem).map_err(|error| Error::internal("a problem", error))?;
    serde_json::to_string_pretty(&json).map_err(|error| Error::internal("a problem", error))
}

/// What the pages can show, for the test that renders every branch of their template.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let explained = ProblemCode::ALL.iter().map(|code| (NAME, explained(*code).expect("an explanation")));
    explained.chain([(NAME, listed())]).collect()
}
