//! The first step: the kind of visit, and the place if there are several.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use minijinja::{Value, context};

use super::clinic::{Clinic, visit_name};
use super::searching::Search;
use super::{Visitor, page};
use crate::env::Env;
use crate::error::Result;
use crate::http::compression;
use crate::http::fallback::Routes;

/// Shows the kinds of visit.
pub(super) async fn show(env: web::Data<Env>, routes: web::Data<Routes>, request: HttpRequest) -> Result<HttpResponse> {
    let visitor = Visitor::reading(env, routes, &request);
    let clinic = Clinic::read(&visitor).await?;
    let visits: Vec<Value> = clinic
        .visit_types
        .iter()
        .map(|visit| {
            let places = clinic.places_of(visit);
            let link = |location: String| {
                Search { visit_type: visit.id.to_string(), location, ..Search::default() }.link(visitor.language, &[])
            };
            let places: Vec<Value> = places
                .into_iter()
                .map(|place| {
                    let link = link(place.id.to_string());
                    context! { name => place.name.as_str(), address => place.address.as_str(), link => link }
                })
                .collect();
            context! { name => visit_name(visitor.language, visit), minutes => visit.duration_minutes, places => places }
        })
        .collect();
    let values = context! { visits => visits, framed => visitor.framed };
    let start = page(visitor.env(), "book", visitor.language, StatusCode::OK, values).await?;
    Ok(compression::public(&request, start))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let place = |name: &str| context! { name => name, address => "12 Elm St", link => "?x" };
    let visit = |places: Vec<Value>| context! { name => "First visit", minutes => 60, places => places };
    vec![
        ("book", context! { visits => Vec::<Value>::new() }),
        ("book", context! { visits => [visit(vec![place("Elm")]), visit(vec![place("Elm"), place("Oak")])] }),
        ("book", context! { visits => [visit(vec![place("Elm")])], framed => true }),
    ]
}
