//! What no route takes: 404, or 405 with `Allow` where the path exists for other methods.

use actix_web::dev::ResourceDef;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::problem::Draft;

/// Every path of the service with its methods, from the OpenAPI document.
#[derive(Clone)]
pub struct Routes(Vec<(ResourceDef, String)>);

impl Routes {
    /// Reads the table from the document.
    pub fn of(document: &utoipa::openapi::OpenApi) -> Self {
        Self(
            document
                .paths
                .paths
                .iter()
                .map(|(path, item)| {
                    let methods = [
                        ("GET", item.get.is_some()),
                        ("POST", item.post.is_some()),
                        ("PUT", item.put.is_some()),
                        ("PATCH", item.patch.is_some()),
                        ("DELETE", item.delete.is_some()),
                    ];
                    let allowed: Vec<_> = methods.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
                    (ResourceDef::new(path.as_str()), allowed.join(", "))
                })
                .collect(),
        )
    }
}

/// The default service.
pub async fn fallback(request: HttpRequest, routes: web::Data<Routes>) -> HttpResponse {
    match routes.0.iter().find(|(path, _)| path.is_match(request.path())) {
        Some((_, allowed)) => {
            let mut response = Draft::method(allowed).into_response();
            if let Ok(value) = HeaderValue::from_str(allowed) {
                response.headers_mut().insert(ALLOW, value);
            }
            response
        }
        None => Draft::no_route().into_response(),
    }
}
