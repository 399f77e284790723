//! A browser without a script: it keeps cookies, sends the hidden fields of forms, and follows no redirect by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use reqwest::Method;

use super::App;
use super::client::{Client, Reply};
use super::people::PASSWORD;

/// The cookie of the session. The tests' `PUBLIC_URL` is https.
pub const SESSION: &str = "__Host-legwork";

/// What a person at a browser has.
pub struct Visitor {
    client: Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A member of the desk at a browser.
pub async fn at_the_desk(app: &App) -> Visitor {
    app.desk().await;
    Visitor::signed_in(app.anon(), "desk@clinic.example").await
}

impl Visitor {
    pub fn new(client: Client) -> Self {
        Self { client, cookies: Mutex::default() }
    }

    /// Signs in on the page; the session must open.
    pub async fn signed_in(client: Client, email: &str) -> Self {
        let this = Self::new(client);
        this.post("/sign-in", &[("email", email), ("password", PASSWORD)]).await.expect(303);
        this
    }

    fn jar(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.jar().insert(name.to_owned(), value.to_owned());
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], &[]).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(Method::POST, path, fields, &[]).await
    }

    /// Sends a form of a page with its hidden fields.
    pub async fn submit(&self, page: &Reply, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut all = hidden(page);
        all.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
        let mut pairs: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.extend(fields);
        self.post(path, &pairs).await
    }

    pub async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let cookies: Vec<_> = self.jar().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        let reply = if method == Method::POST {
            self.client.post_form(path, fields, &all).await
        } else {
            self.client.send_raw(method, path, &all, Vec::new()).await
        };
        for header in reply.headers.get_all("set-cookie") {
            let text = header.to_str().expect("text");
            let (name, rest) = text.split_once('=').expect("a cookie");
            let (value, attributes) = rest.split_once(';').expect("attributes");
            if attributes.contains("Max-Age=0") {
                self.jar().remove(name);
            } else {
                self.set_cookie(name, value);
            }
        }
        reply
    }
}

/// The text of a page or an attribute, without its escapes.
pub fn plain(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// Fails unless a page is in Spanish, and none of its texts has a common English word. Texts that are marked as English may.
#[track_caller]
pub fn in_spanish(page: &Reply) {
    const ENGLISH: [&str; 24] = [
        "the", "The", "and", "with", "of", "is", "none", "None", "Day", "Days", "Time", "Times", "Visit", "Visits",
        "Patient", "Patients", "Status", "Reason", "Show", "Find", "Save", "Today", "Sign", "Signed",
    ];
    assert!(page.expect(200).text.contains("<html lang=\"es\">"), "{}: {}", page.request, page.text);
    let parts = page.text.split('<').filter_map(|part| part.split_once('>'));
    let shown = parts.filter(|(tag, _)| !tag.contains(" lang=\"en\"")).map(|(_, text)| text);
    let words: BTreeSet<&str> = shown.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
    let left: Vec<_> = ENGLISH.iter().filter(|word| words.contains(*word)).collect();
    assert!(left.is_empty(), "{}: {left:?} in {}", page.request, page.text);
}

/// The hidden fields of a page, each name once.
pub fn hidden(page: &Reply) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for rest in page.text.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = rest.split_once("\" value=\"").expect("a value");
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((name.to_owned(), plain(rest.split('"').next().expect("a value"))));
        }
    }
    fields
}
