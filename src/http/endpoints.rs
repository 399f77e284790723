//! Registers endpoints with the server and with the OpenAPI document.

use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::OpenApiFactory;

/// A registry of endpoints. A worker only serves them. If each worker also wrote the document, it would take several
/// times the memory of all its routes.
pub struct Endpoints<'a> {
    served: &'a mut web::ServiceConfig,
    document: Option<&'a mut OpenApi>,
}

impl<'a> Endpoints<'a> {
    /// Registers endpoints to be served.
    pub fn served(served: &'a mut web::ServiceConfig) -> Self {
        Self { served, document: None }
    }

    /// Registers endpoints whose paths and schemas are added to the document.
    pub fn documented(served: &'a mut web::ServiceConfig, document: &'a mut OpenApi) -> Self {
        Self { served, document: Some(document) }
    }

    /// Adds an endpoint.
    pub fn service(&mut self, endpoint: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        if let Some(document) = self.document.as_deref_mut() {
            document.paths.merge(endpoint.paths());
            let mut schemas = Vec::new();
            endpoint.schemas(&mut schemas);
            document.components.get_or_insert_default().schemas.extend(schemas);
        }
        self.served.service(endpoint);
        self
    }
}
