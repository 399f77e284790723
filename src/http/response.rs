//! Successful responses.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use serde::{Deserialize, Serialize};

use super::etag;

/// An object with its version, which callers see as its `ETag`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// The version of its row.
    pub version: i32,
    /// The object as the caller sees it.
    pub object: T,
}

/// 200 with an object that has no version.
pub fn ok(object: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(object)
}

/// 200 with the object and its `ETag`.
pub fn versioned<T: Serialize>(found: &Versioned<T>) -> HttpResponse {
    HttpResponse::Ok().insert_header(etag::header(found.version)).json(&found.object)
}

/// 201 with the object, its `ETag` and its `Location`.
pub fn created<T: Serialize>(location: String, created: &Versioned<T>) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header(etag::header(created.version))
        .json(&created.object)
}

/// 202: what was asked for happens later.
pub fn accepted() -> HttpResponse {
    HttpResponse::Accepted().finish()
}

/// 204.
pub fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
