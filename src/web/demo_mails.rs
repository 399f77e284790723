//! The mailbox of the demo: "look into your mail" leads somewhere, although no mail leaves the machine.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use minijinja::{Value, context};

use super::{language, page};
use crate::demo::mailbox::{self, DemoMail};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::fallback::{not_allowed, not_found};

const NAME: &str = "demo-mails";

/// Registers the page, which only a demo has.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/demo/mails").get(show).default_service(other));
}

/// Shows the newest mails to somebody at this machine. Their links sign people in.
async fn show(env: web::Data<Env>, request: HttpRequest) -> Result<HttpResponse> {
    let settings = &env.config.settings;
    let is_here = request.peer_addr().is_some_and(|peer| peer.ip().is_loopback());
    if !is_here || !mailbox::is_open(settings) {
        return Ok(not_found());
    }
    let folder = settings.mail_dir.clone();
    let mails = web::block(move || mailbox::newest(&folder)).await;
    let mails = mails.map_err(|error| Error::internal("read the demo's mails", error))?;
    let mails: Vec<Value> = mails.iter().map(|mail| shown(mail, settings.public_url.as_str())).collect();
    page(&env, NAME, language(&request), StatusCode::OK, context! { root => "../", mails => mails }).await
}

/// A mail with its links, which lead to this server whatever its address is.
fn shown(mail: &DemoMail, public_url: &str) -> Value {
    let links = mail.text.split_whitespace().filter_map(|word| word.strip_prefix(public_url));
    let links: Vec<String> = links.map(|rest| format!("../{rest}")).collect();
    context! { to => mail.to.as_str(), subject => mail.subject.as_str(), text => mail.text.as_str(), links => links }
}

/// What the page can show, for the test that renders every branch of its template.
#[cfg(test)]
pub(super) fn examples() -> [(&'static str, Value); 2] {
    let text = "Hello\nhttps://clinic.example/verify-email#token=t\n".to_owned();
    let mail = DemoMail { to: "ann@example.org".into(), subject: "Please confirm".into(), text };
    let shown = shown(&mail, "https://clinic.example/");
    [
        (NAME, context! { root => "../", mails => [shown] }),
        (NAME, context! { root => "../", mails => Vec::<Value>::new() }),
    ]
}
