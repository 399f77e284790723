//! What no route takes: 404, or 405 with `Allow` where the path exists for other methods.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use matchit::Router;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::ParameterIn;

use super::problem::Draft;

/// Every path of the service with its methods, from the OpenAPI document.
#[derive(Default)]
pub struct Routes {
    /// Method by method, as actix-web routes: a path of one method may look like a parameter of another's.
    operations: HashMap<Method, Router<Arc<Operation>>>,
    by_id: HashMap<String, Arc<Operation>>,
    /// The methods of a path as the document has it, for `Allow`.
    allowed: Router<String>,
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
    ///
    /// # Errors
    /// Where two paths cannot be told apart, which is a fault.
    pub fn of(document: &utoipa::openapi::OpenApi) -> Result<Self, String> {
        let mut routes = Self::default();
        for (path, item) in &document.paths.paths {
            let methods = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let mut allowed = Vec::new();
            for (method, operation) in methods {
                let Some(operation) = operation else { continue };
                let operation = Arc::new(Operation::of(operation));
                routes.by_id.insert(operation.id.clone(), Arc::clone(&operation));
                allowed.push(if method == Method::GET { "GET, HEAD".to_owned() } else { method.to_string() });
                let paths = routes.operations.entry(method).or_default();
                paths.insert(path, operation).map_err(|error| format!("{path}: {error}"))?;
            }
            routes.allowed.insert(path, allowed.join(", ")).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(routes)
    }

    /// What is known of the operation that a request asks for, if there is one. It is looked up once; afterwards it stands in
    /// the request's extensions.
    pub fn operation(&self, method: &Method, path: &str) -> Option<Arc<Operation>> {
        self.operations.get(method)?.at(path).ok().map(|route| Arc::clone(route.value))
    }

    /// What the operation of this id does, in a few words.
    pub fn summary(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(|operation| operation.summary.as_str())
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
    match routes.allowed.at(request.path()) {
        Ok(route) => not_allowed(route.value),
        Err(_) => Draft::no_route().into_response(),
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
