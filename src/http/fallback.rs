//! What no route takes: 404, or 405 with `Allow` where the path exists for other methods.

use std::sync::Arc;

use actix_web::dev::ResourceDef;
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::ParameterIn;

use super::problem::Draft;

/// Every path of the service with its methods, from the OpenAPI document.
#[derive(Clone)]
pub struct Routes(Vec<Route>);

#[derive(Clone)]
struct Route {
    path: ResourceDef,
    /// For `Allow`.
    allowed: String,
    operations: Vec<(Method, Arc<Operation>)>,
}

/// What is known of an operation before its handler runs.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// What it does, in a few words.
    pub summary: String,
    /// Whether it takes query parameters at all.
    pub takes_query: bool,
    /// Whether it may be asked for without signing in.
    pub is_public: bool,
}

impl Routes {
    /// Reads the table from the document.
    pub fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let routes = document.paths.paths.iter().map(|(path, item)| {
            let operations: Vec<_> = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ]
            .into_iter()
            .filter_map(|(method, operation)| Some((method, Arc::new(Operation::of(operation.as_ref()?)))))
            .collect();
            let allowed =
                operations.iter().map(|(method, _)| if method == Method::GET { "GET, HEAD" } else { method.as_str() });
            let allowed = allowed.collect::<Vec<_>>().join(", ");
            Route { path: ResourceDef::new(path.as_str()), allowed, operations }
        });
        Self(routes.collect())
    }

    /// What is known of the operation that a request asks for, if there is one. It is looked up once; afterwards it stands in
    /// the request's extensions.
    pub fn operation(&self, method: &Method, path: &str) -> Option<Arc<Operation>> {
        self.0.iter().filter(|route| route.path.is_match(path)).find_map(|route| {
            route.operations.iter().find(|(known, _)| known == method).map(|(_, operation)| Arc::clone(operation))
        })
    }

    /// What the operation of this id does, in a few words.
    pub fn summary(&self, id: &str) -> Option<&str> {
        let mut operations = self.0.iter().flat_map(|route| &route.operations);
        operations.find(|(_, operation)| operation.id == id).map(|(_, operation)| operation.summary.as_str())
    }
}

impl Operation {
    fn of(operation: &utoipa::openapi::path::Operation) -> Self {
        let takes_query =
            operation.parameters.iter().flatten().any(
                |parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query),
            );
        Self {
            id: operation.operation_id.clone().unwrap_or_default(),
            summary: operation.summary.clone().unwrap_or_default(),
            takes_query,
            is_public: operation.security.as_ref().is_none_or(Vec::is_empty),
        }
    }
}

/// The default service.
pub async fn fallback(request: HttpRequest, routes: web::Data<Routes>) -> HttpResponse {
    match routes.0.iter().find(|route| route.path.is_match(request.path())) {
        Some(Route { allowed, .. }) => not_allowed(allowed),
        None => Draft::no_route().into_response(),
    }
}

/// 405: the path is there, for these methods.
pub fn not_allowed(allowed: &str) -> HttpResponse {
    let mut response = Draft::method(allowed).into_response();
    if let Ok(value) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}
