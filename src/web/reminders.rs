//! The page that switches reminders off, without a script. Mail programs post to it as well (RFC 8058), which is why its token is in the
//! query: it can do nothing else.

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;

use super::form_post::{Sent, require_own};
use super::{language, page};
use crate::appointments::reminders::preference::{self, ChangeReminderPreferenceRequest};
use crate::context::{Anonymous, Context};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::fallback::not_allowed;

const NAME: &str = "reminders";
/// The largest form.
const MOST_BYTES: usize = 4 * 1024;
/// The longest token.
const MOST_CHARS: usize = 128;

/// Registers the page. `http::fallback::PAGE_FORMS` has its operation.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(
        web::resource("/reminders")
            .app_data(web::PayloadConfig::new(MOST_BYTES))
            .get(ask)
            .post(switch)
            .default_service(web::to(|| async { not_allowed("GET, HEAD, POST") })),
    );
}

/// Asks. Only the form changes anything, because programs that check links open them too.
async fn ask(env: web::Data<Env>, request: HttpRequest) -> Result<HttpResponse> {
    let token = well_formed(Sent::read(request.query_string().as_bytes()).first("token"));
    let step = if token.is_empty() { "gone" } else { "ask" };
    page(&env, NAME, language(&request), StatusCode::OK, context! { step => step, token => token }).await
}

/// Switches reminders off, or on if the form says so.
async fn switch(context: Context<Anonymous>, request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    require_own(&request, &context.env.config.settings.public_url)?;
    let (sent, query) = (Sent::read(&body), Sent::read(request.query_string().as_bytes()));
    let token =
        [sent.first("token"), query.first("token")].into_iter().map(well_formed).find(|token| !token.is_empty());
    let token = token.unwrap_or_default();
    let reminders_wanted = sent.first("wanted") == "yes";
    let done =
        preference::set(&context, ChangeReminderPreferenceRequest { token: token.clone(), reminders_wanted }).await;
    let (status, step) = match done {
        Ok(()) => (StatusCode::OK, if reminders_wanted { "on" } else { "off" }),
        Err(Error::NotFound) => (StatusCode::NOT_FOUND, "gone"),
        Err(error) => return Err(error),
    };
    page(&context.env, NAME, language(&request), status, context! { step => step, token => token }).await
}

/// The token, or an empty text if it cannot be one.
fn well_formed(token: &str) -> String {
    let is_one = token.len() <= MOST_CHARS && token.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if is_one { token.to_owned() } else { String::new() }
}

/// What the page can show, for the test that renders every branch of its template.
#[cfg(test)]
pub(super) fn examples() -> [(&'static str, minijinja::Value); 4] {
    ["ask", "off", "on", "gone"]
        .map(|step| (NAME, context! { step => step, token => if step == "gone" { "" } else { "zJ0m3m1z" } }))
}
