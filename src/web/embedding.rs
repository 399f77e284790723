//! The booking way in a frame on the clinic's own site. It needs no cookie there: what is looked for is in addresses, and the hold is in the
//! fields of forms. What needs an account or a mailbox opens in a window of its own, because those pages are never shown in a frame.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::POLICY;
use crate::config::Settings;
use crate::config::network::Origin;

/// Whether links out of the booking way open in windows of their own: the page is in a frame, or the browser does not say where it is.
pub(super) fn is_framed(settings: &Settings, request: &HttpRequest) -> bool {
    let is_document = || request.headers().get("sec-fetch-dest").is_some_and(|place| place == "document");
    !settings.embed_origins.is_empty() && !is_document()
}

/// Lets the clinic's sites show a page of the booking way in a frame. All other pages keep the policy without frames.
pub(super) fn allow(settings: &Settings, path: &str, response: &mut HttpResponse) {
    // It leads to the sign-in.
    if settings.embed_origins.is_empty() || path == "/book/sign-in" {
        return;
    }
    let sites: Vec<_> = settings.embed_origins.iter().filter_map(Origin::exact).collect();
    let policy = POLICY.replace("frame-ancestors 'none'", &format!("frame-ancestors {}", sites.join(" ")));
    let headers = response.headers_mut();
    if let (true, Ok(policy)) = (headers.contains_key(header::CONTENT_SECURITY_POLICY), HeaderValue::from_str(&policy))
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.append(header::VARY, HeaderValue::from_static("Sec-Fetch-Dest"));
    }
}
