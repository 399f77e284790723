//! The mailbox of the demo: "look into your mail" leads somewhere, although no mail leaves the machine.

use actix_web::http::StatusCode;
use actix_web::http::header::HOST;
use actix_web::{HttpRequest, HttpResponse, web};
use minijinja::{Value, context};
use url::{Host, Url};

use super::{language, page};
use crate::demo::mailbox::{self, DemoMail};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::address::ClientAddress;
use crate::http::fallback::{not_allowed, not_found};

const NAME: &str = "demo-mails";

/// Registers the page, which only a demo has.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = web::to(|| async { not_allowed("GET, HEAD") });
    cfg.service(web::resource("/demo/mails").get(show).default_service(other));
}

/// Shows the newest mails to a browser on this machine that uses an address of this machine. The links in the mails sign people in. Another name in
/// `Host` would be that of a page elsewhere that resolves to this machine (DNS rebinding).
async fn show(env: web::Data<Env>, client: ClientAddress, request: HttpRequest) -> Result<HttpResponse> {
    let settings = &env.config.settings;
    let peer = request.peer_addr().map(|peer| peer.ip());
    let is_here = client.0.is_loopback() && peer.is_some_and(|peer| peer.is_loopback()) && is_local(host(&request));
    if !is_here || !mailbox::is_open(settings) {
        return Ok(not_found());
    }
    let folder = settings.mail_dir.clone();
    let mails = web::block(move || mailbox::newest(&folder)).await;
    let mails = mails.map_err(|error| Error::internal("read the demo's mails", error))?;
    let mails: Vec<Value> = mails.iter().map(|mail| shown(mail, settings.public_url.as_str())).collect();
    page(&env, NAME, language(&request), StatusCode::OK, context! { root => "../", mails => mails }).await
}

fn host(request: &HttpRequest) -> &str {
    request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Returns whether the value of `Host` is an address of this machine.
fn is_local(host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}")).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
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

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:8080", "192.0.2.1", "[2001:db8::1]", "127.0.0.1@evil.example"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
