//! The frame of the OpenAPI document: info, tags, security, and what every operation answers by rule.
//! Paths and schemas come from the routes themselves.

use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, web};
use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

use crate::http::Endpoints;
use crate::http::problem::{MEDIA_TYPE, Problem};
use crate::patients::care;
use crate::routes::routes;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Legwork",
        description = include_str!("openapi.md"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "The service that served this document")),
    tags(
        (name = "registration", description = "How a patient gets an account, and back into it"),
        (name = "sessions", description = "Signing in and out"),
        (name = "second factor", description = "Codes of an authenticator app besides the password"),
        (name = "users", description = "Accounts, the staff's above all"),
        (name = "patients", description = "Who is treated: records, search, consents"),
        (name = "locations", description = "Where the clinic sees patients"),
        (name = "practitioners", description = "The doctors and their weekly hours"),
        (name = "visit types", description = "What can be booked"),
        (name = "slots", description = "Free times, and holding one while deciding"),
        (name = "appointments", description = "Booking, moving, cancelling, and the day of the visit"),
        (name = "intakes", description = "What patients record before a visit, what follows from it, and the doctor's review"),
        (name = "messages", description = "The mails that the service sends, and the calls that the desk makes for it"),
        (name = "audit", description = "Who did what to whose record"),
        (name = "operations", description = "For whoever runs the service"),
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
)]
struct Frame;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The access_token of POST /v1/sessions; it lasts ten minutes."))
            .build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document before the routes have added theirs.
fn frame() -> OpenApi {
    <Frame as utoipa::OpenApi>::openapi()
}

/// The whole document.
pub fn document() -> OpenApi {
    let mut document = frame();
    App::new().configure(|served| routes(&mut Endpoints::documented(served, &mut document)));
    finish(document)
}

/// The document as it is served: written once, for all workers.
pub struct Published(web::Bytes);

impl Published {
    /// Writes the document out.
    ///
    /// # Errors
    /// Only if it cannot be serialised, which is a fault.
    pub fn new(document: &OpenApi) -> Result<Self, String> {
        Ok(Self(document.to_json().map_err(|error| error.to_string())?.into()))
    }
}

/// Answers with the document.
pub async fn serve(published: web::Data<Published>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(published.0.clone())
}

/// The document as the file `openapi/openapi.json` has it.
///
/// # Errors
/// Only if it cannot be serialised, which is a fault.
pub fn json() -> Result<String, String> {
    let mut text = document().to_pretty_json().map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

/// A problem that operations of a certain kind answer, whatever else they do.
struct Common {
    status: &'static str,
    name: &'static str,
    description: &'static str,
    /// Whether an operation under this path answers it.
    applies: fn(&str, &Operation) -> bool,
}

fn has_body(operation: &Operation) -> bool {
    operation.request_body.is_some()
}

fn has_parameter(operation: &Operation, place: &ParameterIn) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => &parameter.parameter_in == place,
        RefOr::Ref(_) => false,
    })
}

fn demands_if_match(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == "If-Match" && parameter.required == utoipa::openapi::Required::True,
        RefOr::Ref(_) => false,
    })
}

fn takes_if_match(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == "If-Match",
        RefOr::Ref(_) => false,
    })
}

fn is_signed_in(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|security| !security.is_empty())
}

fn is_clinical(operation: &Operation) -> bool {
    operation.operation_id.as_deref().is_some_and(|id| care::CLINICAL.contains(&id))
}

const COMMON: &[Common] = &[
    Common {
        status: "400",
        name: "MalformedRequest",
        description: "`malformed_request`: the request cannot be read.",
        applies: |_, operation| has_body(operation) || takes_if_match(operation),
    },
    Common {
        status: "401",
        name: "Unauthenticated",
        description: "`unauthenticated`: no access token, or one that is expired, revoked or forged.",
        applies: |_, operation| is_signed_in(operation),
    },
    Common {
        status: "403",
        name: "ReasonRequired",
        description: "`role_forbidden`: the role may not do this at all, `allowed_roles` names those that may. \
            `second_factor_required`: the account must set up \
            its second factor first. `reason_required`: a practitioner who has no appointment with the patient says why in \
            `Access-Reason`.",
        applies: |_, operation| is_clinical(operation),
    },
    Common {
        status: "403",
        name: "Forbidden",
        description: "`role_forbidden`: the role may not do this at all, `allowed_roles` names those that may. \
            `second_factor_required`: the account must set up \
            its second factor first.",
        applies: |_, operation| is_signed_in(operation) && !is_clinical(operation),
    },
    Common {
        status: "404",
        name: "NotFound",
        description: "`not_found`: it does not exist, or the caller may not see it.",
        applies: |_, operation| has_parameter(operation, &ParameterIn::Path),
    },
    Common {
        status: "412",
        name: "Stale",
        description: "`stale`: If-Match names another version than the present one.",
        applies: |_, operation| takes_if_match(operation),
    },
    Common {
        status: "413",
        name: "BodyTooLarge",
        description: "`body_too_large`: the body has more than 64 KiB.",
        applies: |_, operation| has_body(operation),
    },
    Common {
        status: "415",
        name: "UnsupportedMediaType",
        description: "`unsupported_media_type`: the Content-Type is not the one named for the request body.",
        applies: |_, operation| has_body(operation),
    },
    Common {
        status: "422",
        name: "ValidationFailed",
        description: "`validation_failed`: the input breaks rules; `errors` says where. \
            `idempotency_key_reused`: the Idempotency-Key came with another request before.",
        // Unknown query parameters are refused everywhere under /v1, if nothing else is.
        applies: |path, _| path.starts_with("/v1/"),
    },
    Common {
        status: "429",
        name: "RateLimited",
        description: "`rate_limited`: too many requests by this address or account; see Retry-After and RateLimit.",
        applies: |path, _| path.starts_with("/v1/"),
    },
    Common {
        status: "428",
        name: "PreconditionRequired",
        description: "`precondition_required`: If-Match is missing.",
        applies: |_, operation| demands_if_match(operation),
    },
    Common { status: "500", name: "Fault", description: "`internal`: a fault of the service.", applies: |_, _| true },
    Common {
        status: "503",
        name: "Unavailable",
        description: "`unavailable`: not now; see Retry-After. A write may still have taken effect: repeat it with the same \
            Idempotency-Key. `database_damaged`: the database file is damaged; the operator must restore a backup.",
        applies: |_, _| true,
    },
];

/// Adds what every operation answers by rule, and the problem document to every refusal.
fn finish(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            complete(path, operation);
        }
    }
    let components = document.components.get_or_insert_default();
    for common in COMMON {
        components.responses.insert(common.name.to_owned(), RefOr::T(problem(common.description)));
    }
    document
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn complete(path: &str, operation: &mut Operation) {
    if is_clinical(operation) {
        operation.parameters.get_or_insert_default().push(access_reason());
    }
    let common: Vec<_> = COMMON.iter().filter(|common| (common.applies)(path, operation)).collect();
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            response.content = problem("").content;
        }
        if status == "503" || status == "429" {
            header(response, "Retry-After", "Seconds after which to try again.");
        }
        if status == "201" {
            header(response, "Location", "Where the new object is.");
            header(response, "ETag", "The version of the object, for If-Match.");
        }
        header(response, "X-Request-Id", "The id under which the log holds this request.");
    }
    for common in common {
        responses.entry(common.status.to_owned()).or_insert_with(|| RefOr::Ref(Ref::from_response_name(common.name)));
    }
}

/// The header with which a practitioner opens the record of somebody else's patient.
fn access_reason() -> RefOr<Parameter> {
    let schema = ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::String)
        .min_length(Some(5))
        .max_length(Some(200))
        .build();
    let description = "Why a practitioner needs the record of a patient with whom they have no appointment. It opens the record \
        for some hours and is written down for the administrator.";
    RefOr::T(
        ParameterBuilder::new()
            .name("Access-Reason")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .build(),
    )
}

fn header(response: &mut Response, name: &str, description: &str) {
    let schema = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).build();
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
    response.headers.entry(name.to_owned()).or_insert(RefOr::T(header));
}

/// A response with a problem document.
fn problem(description: &str) -> Response {
    let mut response = ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build())
        .build();
    header(&mut response, "X-Request-Id", "The id under which the log holds this request.");
    let limited = description.starts_with("`rate_limited`");
    if limited {
        header(
            &mut response,
            "RateLimit-Policy",
            "The quota: its name, how many requests (q) in how many seconds (w).",
        );
        header(&mut response, "RateLimit", "What is left of it (r), and in how many seconds it is whole again (t).");
    }
    if limited || description.starts_with("`unavailable`") {
        header(&mut response, "Retry-After", "Seconds after which to try again.");
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::{Endpoints, document, routes};
    use crate::http::fallback::{Routes, fallback};
    use crate::intake::rls;

    #[test]
    fn a_fixed_path_comes_before_a_parameter_whichever_methods_it_has() {
        let routes = Routes::of(&document(), rls::OWN_READERS).expect("paths that can be told apart");
        let found = |method, path| routes.operation(&method, path).map(|operation| operation.id.clone());
        assert_eq!(found(Method::POST, "/v1/sessions/refresh").as_deref(), Some("refresh_session"));
        assert_eq!(found(Method::DELETE, "/v1/sessions/refresh"), None);
        assert_eq!(routes.allowed("/v1/sessions/refresh"), Some("POST"));
        assert!(found(Method::DELETE, "/v1/sessions/x").is_some());
        assert_ne!(found(Method::DELETE, "/v1/sessions/current"), found(Method::DELETE, "/v1/sessions/x"));
        for nowhere in ["/v1/sessions/", "/v1/sessions/x/y", "/v1/patients//consents", "/v1/slots/"] {
            assert_eq!(found(Method::GET, nowhere), None, "{nowhere}");
            assert_eq!(found(Method::DELETE, nowhere), None, "{nowhere}");
        }
    }

    /// actix-web takes the first route that fits, so the order of registration must not contradict the table.
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
