//! The clinic's home page, for people who type its address.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, Accept, Header};
use actix_web::{HttpRequest, HttpResponse, mime, web};
use minijinja::{Value, context};

use super::{language, page};
use crate::context::Context;
use crate::env::Env;
use crate::error::Result;
use crate::http::compression;
use crate::http::fallback::not_found;
use crate::http::paging::to_end;
use crate::scheduling::setup::locations::{self, LocationView};

/// Shows the page. A client that accepts only JSON gets `not_found`.
pub(super) async fn show(env: web::Data<Env>, request: HttpRequest) -> Result<HttpResponse> {
    if accepts_json_only(&request) {
        let mut refusal = not_found();
        refusal.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Accept"));
        return Ok(refusal);
    }
    // Without a database the page is shown without them.
    let places = places(&env).await.unwrap_or_default();
    let places: Vec<Value> = places.iter().map(place).collect();
    let home = page(&env, "home", language(&request), StatusCode::OK, context! { places => places }).await?;
    Ok(compression::public(&request, home))
}

async fn places(env: &web::Data<Env>) -> Result<Vec<LocationView>> {
    let context = Context::of_page(env.clone().into_inner());
    to_end(async |page| {
        let found = locations::list(&context, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

fn place(place: &LocationView) -> Value {
    context! { name => place.name.as_str(), address => place.address.as_str(), link => place.phone.as_str(), number => place.phone_display.as_str() }
}

/// Returns whether the request accepts JSON and neither HTML nor every type.
fn accepts_json_only(request: &HttpRequest) -> bool {
    let accepted: Vec<_> = Accept::parse(request).map(|accept| accept.ranked()).unwrap_or_default();
    let is_json = |kind: &mime::Mime| kind.subtype() == mime::JSON || kind.suffix() == Some(mime::JSON);
    accepted.iter().any(is_json) && !accepted.iter().any(|kind| matches!(kind.subtype(), mime::HTML | mime::STAR))
}

/// What the page can show, for the test that renders every branch of its template: the clinic's own client, and the rest.
#[cfg(test)]
pub(super) fn examples() -> [(Option<&'static str>, Value); 2] {
    let elm = context! { name => "Elm", address => "12 Elm St", link => "+12125550100", number => "(212) 555-0100" };
    [
        (None, context! { places => [elm] }),
        (Some("https://my.clinic.example/"), context! { places => Vec::<Value>::new() }),
    ]
}
