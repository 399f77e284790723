//! The reference: a list of all operations by audience, and a page for each tag, which Redoc draws from the document. A page of all
//! operations would take a browser many seconds.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Value, context};
use text::Language;
use utoipa::openapi::OpenApi;

use super::super::{ENGINE, render};
use super::{Docs, demo_values, show};
use crate::config::Settings;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::compression;
use crate::openapi::journey::{self, GROUPS};

/// The page that Redoc draws.
const REDOC: &str = "docs-redoc";

/// An operation as the list shows it.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: String,
    id: String,
    tag: String,
    summary: String,
}

impl Operation {
    /// Returns the operations of the document in their order.
    pub(super) fn all(document: &OpenApi) -> Vec<Self> {
        let items = document.paths.paths.iter();
        let operations =
            items.flat_map(|(path, item)| journey::operations(item).map(move |(method, it)| (path, method, it)));
        operations
            .map(|(path, method, operation)| Self {
                method,
                path: path.clone(),
                id: operation.operation_id.clone().unwrap_or_default(),
                tag: operation.tags.iter().flatten().next().cloned().unwrap_or_default(),
                summary: operation.summary.clone().unwrap_or_default(),
            })
            .collect()
    }

    /// Where its description is, from a page directly below `/docs/`.
    pub(super) fn link(&self) -> String {
        let tag = slug(&self.tag);
        format!("reference/{tag}#tag/{tag}/operation/{}", self.id)
    }
}

/// The name of a tag in paths.
fn slug(tag: &str) -> String {
    tag.replace(' ', "-")
}

/// Shows the list of operations.
pub(super) async fn list(env: web::Data<Env>, docs: web::Data<Docs>, request: HttpRequest) -> Result<HttpResponse> {
    show(&env, &request, "docs-reference", list_values(&docs, &env.config.settings)).await
}

pub(super) fn list_values(docs: &Docs, settings: &Settings) -> Value {
    let operations = |tag: &str| -> Vec<Value> {
        let own = docs.operations.iter().filter(|operation| operation.tag == tag);
        own.map(|operation| {
            context! {
                method => operation.method, path => operation.path.as_str(), summary => operation.summary.as_str(),
                link => operation.link(),
            }
        })
        .collect()
    };
    let tags = |tags: &[&str]| -> Vec<Value> {
        tags.iter().map(|&tag| context! { name => tag, slug => slug(tag), operations => operations(tag) }).collect()
    };
    let groups: Vec<_> =
        GROUPS.iter().map(|&(name, own)| context! { name => name, slug => slug(name), tags => tags(own) }).collect();
    context! {
        root => "../",
        groups => groups,
        conventions => Value::from_safe_string(docs.conventions().to_owned()),
        ..demo_values(settings)
    }
}

/// Shows the page of a tag.
pub(super) async fn one(env: web::Data<Env>, request: HttpRequest, tag: web::Path<String>) -> Result<HttpResponse> {
    let known = GROUPS.iter().flat_map(|(_, tags)| tags.iter()).find(|known| slug(known) == *tag);
    let nonce = STANDARD.encode(env.entropy.bytes::<16>());
    let values = redoc_values(known.ok_or(Error::NotFound)?, &nonce);
    let page = render(&ENGINE, &env.config.settings, REDOC, Language::English, Vec::new(), values)?;
    let response = HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, policy(&nonce)))
        .body(page);
    Ok(compression::public(&request, response))
}

pub(super) fn redoc_values(tag: &str, nonce: &str) -> Value {
    context! { root => "../../", tag => tag, nonce => nonce }
}

/// The policy of a page that Redoc draws. Redoc adds elements `style` with the nonce. The hashes are those of two that it adds without: an empty one,
/// and that of scroll bars. Its markup comes as text, so trusted types cannot be required.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}' \
         'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}
