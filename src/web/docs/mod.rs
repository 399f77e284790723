//! The documentation for people at `/docs/`: an index by journey, the guides of `docs/api`, and the reference. In English, like the document
//! of the API.

mod files;
mod guides;
mod markdown;
mod reference;

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use minijinja::{Value, context};
use text::Language;
use utoipa::openapi::OpenApi;

use self::guides::Guide;
use self::reference::Operation;
use super::page;
use crate::config::Settings;
use crate::demo;
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::compression;
use crate::http::fallback::not_allowed;

/// The templates of these pages.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("docs.html", include_str!("../html/docs.html")),
    ("docs-demo.html", include_str!("../html/docs-demo.html")),
    ("docs-guide.html", include_str!("../html/docs-guide.html")),
    ("docs-nav.html", include_str!("../html/docs-nav.html")),
    ("docs-reference.html", include_str!("../html/docs-reference.html")),
    ("docs-redoc.html", include_str!("../html/docs-redoc.html")),
];

/// What the pages show. It is rendered when a page is first asked for, and once for all workers.
pub struct Docs {
    operations: Vec<Operation>,
    guides: OnceLock<Vec<Guide>>,
    conventions: OnceLock<String>,
}

impl Docs {
    /// Reads the operations of the document.
    pub fn new(document: &OpenApi) -> Self {
        Self { operations: Operation::all(document), guides: OnceLock::new(), conventions: OnceLock::new() }
    }

    fn guides(&self) -> &[Guide] {
        self.guides.get_or_init(|| guides::render(&|code| self.link(code)))
    }

    fn conventions(&self) -> &str {
        self.conventions
            .get_or_init(|| markdown::render(include_str!("../../openapi/openapi.md"), &|code| self.link(code)).html)
    }

    /// Where a piece of code in a text leads, from a page directly below `/docs/`: a page of the service, the page of a problem, or an operation.
    fn link(&self, code: &str) -> Option<String> {
        if ["/problems", "/openapi.json", "/docs/reference", "/sign-in"].contains(&code) {
            return Some(format!("..{code}"));
        }
        if ProblemCode::ALL.iter().any(|known| known.as_str() == code) {
            return Some(format!("../problems/{code}"));
        }
        let (method, path) = code.split_once(' ')?;
        let path = path.split('?').next().unwrap_or_default();
        self.operations.iter().find(|one| one.method == method && one.path == path).map(Operation::link)
    }
}

/// Registers the pages.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = || web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::redirect("/docs", "/docs/"));
    cfg.service(web::resource("/docs/").get(index).default_service(other()));
    cfg.service(web::resource("/docs/reference").get(reference::list).default_service(other()));
    cfg.service(web::resource("/docs/reference/{tag}").get(reference::one).default_service(other()));
    files::routes(cfg);
    cfg.service(web::resource("/docs/{guide}").get(guide).default_service(other()));
}

async fn index(env: web::Data<Env>, request: HttpRequest) -> Result<HttpResponse> {
    show(&env, &request, "docs", index_values(&env.config.settings)).await
}

async fn guide(
    env: web::Data<Env>,
    docs: web::Data<Docs>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse> {
    let guide = docs.guides().iter().find(|guide| guide.name == *name).ok_or(Error::NotFound)?;
    show(&env, &request, "docs-guide", guide_values(guide)).await
}

/// Answers with a page of the documentation.
async fn show(env: &Env, request: &HttpRequest, name: &str, values: Value) -> Result<HttpResponse> {
    Ok(compression::public(request, page(env, name, Language::English, StatusCode::OK, values).await?))
}

fn index_values(settings: &Settings) -> Value {
    context! { root => "../", topics => guides::topics(""), ..demo_values(settings) }
}

fn guide_values(guide: &Guide) -> Value {
    let sections: Vec<_> =
        guide.sections.iter().map(|(id, text)| context! { id => id.as_str(), text => text.as_str() }).collect();
    context! {
        root => "../",
        title => guide.title.as_str(),
        text => Value::from_safe_string(guide.html.clone()),
        sections => sections,
        topics => guides::topics(guide.name),
    }
}

/// The accounts to sign in with, which only a demo has.
fn demo_values(settings: &Settings) -> Value {
    let accounts: Vec<String> =
        if settings.demo { demo::accounts().map(|(_, address)| address).collect() } else { Vec::new() };
    context! { accounts => accounts, demo_password => demo::PASSWORD }
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let docs = Docs::new(&crate::openapi::document());
    let mut settings = crate::messages::fixtures::config().settings;
    let mut examples = Vec::new();
    for demo in [false, true] {
        settings.demo = demo;
        examples.push(("docs", index_values(&settings)));
        examples.push(("docs-reference", reference::list_values(&docs, &settings)));
    }
    examples.extend(docs.guides().iter().map(|guide| ("docs-guide", guide_values(guide))));
    examples.push(("docs-redoc", reference::redoc_values("slots", "nonce")));
    examples
}

#[cfg(test)]
mod tests {
    use super::Docs;

    #[test]
    fn code_in_a_text_leads_to_operations_problems_and_pages() {
        let docs = Docs::new(&crate::openapi::document());
        for (code, expected) in [
            ("GET /v1/slots", Some("reference/slots#tag/slots/operation/list_slots")),
            ("GET /v1/slots?limit=1", Some("reference/slots#tag/slots/operation/list_slots")),
            (
                "POST /v1/me/second-factor/confirm",
                Some("reference/second-factor#tag/second-factor/operation/confirm_second_factor"),
            ),
            ("slot_taken", Some("../problems/slot_taken")),
            ("/problems", Some("../problems")),
            ("GET /v1/nowhere", None),
            ("starts_at", None),
        ] {
            assert_eq!(docs.link(code).as_deref(), expected, "{code}");
        }
    }
}
