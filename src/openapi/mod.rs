//! The OpenAPI document. Info, tags and security are here. Paths and schemas come from the routes. [`completion`] adds
//! what operations have in common, [`links`] what can be called next, [`samples`] the code samples, and [`journey`] the order.

mod completion;
mod components;
pub mod journey;
mod links;
mod nullable;
mod ordered;
mod problems;
mod roles;
mod samples;
mod schemas;
mod webhooks;

use std::sync::OnceLock;

use actix_web::http::header::{self, ContentType};
use actix_web::{App, HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme};

use self::ordered::Ordered;
use crate::error::ProblemCode;
use crate::http::Endpoints;
use crate::http::compression::Coding;
use crate::http::fallback::TOKEN_PATH;
use crate::http::problem::Problem;
use crate::merging::uses::MergeUse;
use crate::routes::routes;
use crate::scopes::Scope;
use crate::webhooks::payload::{TestedWebhook, WebhookEvent, WebhookTestEvent};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Legwork",
        description = include_str!("openapi.md"),
        contact(name = "The clinic that runs this service"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The service that served this document")),
    tags(
        (name = "registration", description = "Registration, verification of addresses, and password resets"),
        (name = "sessions", description = "Sign-in and sign-out"),
        (name = "second factor", description = "Codes of an authenticator app in addition to the password"),
        (name = "users", description = "The caller's own account, and staff accounts"),
        (name = "patients", description = "Patients' records, search, access and consents"),
        (name = "locations", description = "The clinic's locations"),
        (name = "practitioners", description = "Practitioners and their weekly hours"),
        (name = "visit types", description = "The kinds of visits that can be booked"),
        (name = "resources", description = "The rooms and devices that visits need"),
        (name = "slots", description = "Free time slots, and short reservations (holds)"),
        (name = "appointments", description = "Booking, rescheduling, cancelling, and the day of the visit"),
        (name = "waitlist", description = "Patients who wait for a time"),
        (name = "intakes", description = "What patients record before a visit, the resulting flags, and the practitioner's review"),
        (name = "reports", description = "Figures of the clinic's work"),
        (name = "events", description = "What has changed: a list without gaps, and a stream"),
        (name = "webhooks", description = "Receivers that events are sent to"),
        (name = "messages", description = "Mails of the service, and calls that staff must make"),
        (name = "clients", description = "Machine clients, and their access tokens"),
        (name = "audit", description = "The audit trail: who did what to whose record"),
        (name = "operations", description = "For the operator of the service"),
    ),
    components(schemas(MergeUse, Problem, ProblemCode, WebhookEvent, TestedWebhook, WebhookTestEvent)),
    modifiers(&Schemes),
)]
struct Frame;

/// The ways to authenticate.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "The `access_token` of `POST /v1/sessions`. It expires after ten minutes. Its JWT is checked by the rules of RFC8725.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let scopes: Scopes = Scope::ALL.iter().map(|scope| (scope.as_str(), scope.description())).collect();
        let flow = Flow::ClientCredentials(ClientCredentials::new(TOKEN_PATH, scopes));
        let description = "For machine clients: an access token of `POST /oauth2/token`. It expires after ten minutes. Its JWT is checked by the rules of RFC8725. The client needs \
            the scope of the operation, and a role that may do it.";
        components.add_security_scheme(
            completion::CLIENT_CREDENTIALS,
            SecurityScheme::OAuth2(OAuth2::with_description([flow], description)),
        );
    }
}

/// Returns the document without paths.
fn frame() -> OpenApi {
    <Frame as utoipa::OpenApi>::openapi()
}

/// Returns the whole document.
pub fn document() -> OpenApi {
    let mut document = frame();
    App::new().configure(|served| routes(&mut Endpoints::documented(served, &mut document)));
    completion::complete(&mut document);
    webhooks::complete(&mut document);
    links::add(&mut document);
    samples::add(&mut document);
    journey::order(&mut document);
    document
}

/// The document as it is served. It is serialised once for all workers, and compressed when a client first asks.
pub struct Published {
    plain: web::Bytes,
    etag: String,
    brotli: OnceLock<web::Bytes>,
    gzip: OnceLock<web::Bytes>,
}

impl Published {
    /// Serialises the document.
    ///
    /// # Errors
    /// A fault if it cannot be serialised.
    pub fn new(document: &OpenApi) -> Result<Self, String> {
        let write = || serde_json::to_string(&Ordered::of(document)?);
        let plain: web::Bytes = write().map_err(|error| error.to_string())?.into();
        let hash = digest(&SHA256, &plain);
        let hash = URL_SAFE_NO_PAD.encode(hash.as_ref());
        // Weak, because its compressed forms share it.
        let etag = format!("W/\"{hash}\"");
        Ok(Self { plain, etag, brotli: OnceLock::new(), gzip: OnceLock::new() })
    }

    fn encoded(&self, coding: Coding) -> &web::Bytes {
        let cached = match coding {
            Coding::Brotli => &self.brotli,
            Coding::Gzip => &self.gzip,
        };
        cached.get_or_init(|| coding.encode(&self.plain).map_or_else(|_| self.plain.clone(), Into::into))
    }
}

/// Responds with the document.
pub async fn serve(request: HttpRequest, published: web::Data<Published>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .content_type(ContentType::json())
        .insert_header((header::ETAG, published.etag.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::VARY, "Accept-Encoding"));
    match Coding::of(request.headers()) {
        Some(coding) => {
            response.insert_header((header::CONTENT_ENCODING, coding.name())).body(published.encoded(coding).clone())
        }
        None => response.body(published.plain.clone()),
    }
}

/// Returns the document as in the file `openapi/openapi.json`.
///
/// # Errors
/// A fault if it cannot be serialised.
pub fn json() -> Result<String, String> {
    let write = || serde_json::to_string_pretty(&Ordered::of(&document())?);
    let mut text = write().map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::{Endpoints, document, routes};
    use crate::http::fallback::{Routes, fallback};

    #[test]
    fn a_fixed_path_comes_before_a_parameter_whichever_methods_it_has() {
        let routes = Routes::of(&document(), rls::OWN_READERS).expect("paths that can be told apart");
        let found = |method, path| routes.operation(&method, path).map(|operation| operation.id.clone());
        assert_eq!(found(Method::POST, "/v1/sessions/refresh").as_deref(), Some("refresh_session"));
        assert_eq!(found(Method::DELETE, "/v1/sessions/refresh"), None);
        assert_eq!(routes.allowed("/v1/sessions/refresh"), Some("POST, OPTIONS"));
        assert!(found(Method::DELETE, "/v1/sessions/x").is_some());
        assert_ne!(found(Method::DELETE, "/v1/sessions/current"), found(Method::DELETE, "/v1/sessions/x"));
        for nowhere in ["/v1/sessions/", "/v1/sessions/x/y", "/v1/patients//consents", "/v1/slots/"] {
            assert_eq!(found(Method::GET, nowhere), None, "{nowhere}");
            assert_eq!(found(Method::DELETE, nowhere), None, "{nowhere}");
        }
    }

    /// actix-web takes the first route that matches, so the order of registration must not contradict the table.
    #[actix_web::test]
    async fn actix_finds_the_handler_of_the_path_that_the_table_names() {
        let app = App::new().configure(|served| routes(&mut Endpoints::served(served)));
        let app = init_service(app.default_service(web::to(fallback))).await;
        let (document, mut checked) = (document(), 0);
        let table = Routes::of(&document, rls::OWN_READERS).expect("paths that can be told apart");
        for path in document.paths.paths.keys() {
            let mut values = Vec::new();
            let mut fill = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => {
                    let value = format!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c0{}", values.len());
                    values.push((name.to_owned(), value.clone()));
                    value
                }
                None => segment.to_owned(),
            };
            let filled = path.split('/').map(&mut fill).collect::<Vec<_>>().join("/");
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                if table.operation(&method, &filled).is_none() {
                    continue;
                }
                let request = TestRequest::with_uri(&filled).method(method.clone()).to_request();
                let response = call_service(&app, request).await;
                assert_ne!(response.status(), StatusCode::NOT_FOUND, "{method} {path}");
                let matched = response.request().match_info();
                let matched: Vec<_> = matched.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                assert_eq!(matched, values, "{method} {path}");
                checked += 1;
            }
        }
        assert!(checked > 80, "{checked} operations");
    }
}
