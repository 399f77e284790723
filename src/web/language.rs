//! The language of a page, and texts in both languages.
//!
//! The pages of people who sign in keep the language in a cookie, so that not every link has to repeat it. All other pages neither set nor
//! read it: the booking way has no cookie, because it may be in a frame of another site.

use actix_web::http::Method;
use actix_web::http::header::{AcceptLanguage, Header, HeaderValue, Preference};
use actix_web::{HttpRequest, web};
use rls::form_dsl::Bilingual;
use text::Language;

use crate::accounts::sessions::cookie;
use crate::env::Env;
use crate::http::fallback::is_sign_in_or_behind;

/// The parameter of an address, and the cookie, which has the same values.
const NAME: &str = "lang";
/// How long a browser keeps the language: a year.
const SECONDS: u32 = 365 * 24 * 3600;
const ALL: [Language; 2] = [Language::English, Language::Spanish];

/// A text in both languages.
pub(super) const fn both(en: &'static str, es: &'static str) -> Bilingual {
    Bilingual { en, es }
}

/// Returns the language in the query (set by links and by the language switch), otherwise the one that the browser keeps, otherwise the
/// browser's own.
pub(super) fn language(request: &HttpRequest) -> Language {
    asked(request).or_else(|| kept(request)).unwrap_or_else(|| preferred(request))
}

fn asked(request: &HttpRequest) -> Option<Language> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    query.find(|(name, _)| name == NAME).map(|(_, tag)| Language::of_tag(&tag))
}

fn kept(request: &HttpRequest) -> Option<Language> {
    let env = env(request)?;
    let code = cookie::page(env, request.headers(), NAME)?;
    ALL.into_iter().find(|language| language.code() == code)
}

/// The service, if the page keeps its language.
fn env(request: &HttpRequest) -> Option<&Env> {
    let env = request.app_data::<web::Data<Env>>()?;
    is_sign_in_or_behind(request.path()).then(|| env.get_ref())
}

fn preferred(request: &HttpRequest) -> Language {
    let ours = |tag: &str| ALL.into_iter().find(|one| tag.starts_with(one.code()));
    let preferred = AcceptLanguage::parse(request).map(|header| header.ranked()).unwrap_or_default();
    let spoken = preferred.into_iter().find_map(|preference| match preference {
        Preference::Specific(tag) => ours(tag.primary_language()),
        Preference::Any => Some(Language::English),
    });
    spoken.unwrap_or_default()
}

/// `Set-Cookie` of the language with which a page was opened. None if the browser keeps this language already.
pub(super) fn to_keep(request: &HttpRequest) -> Option<HeaderValue> {
    let env = env(request).filter(|_| request.method() == Method::GET)?;
    let language = asked(request).filter(|language| kept(request) != Some(*language))?;
    Some(cookie::of_page(env, NAME, language.code(), SECONDS))
}

/// The address of the same page in the other language, relative to it. None for the answer to a form, which no link can open again.
pub(super) fn switch(request: &HttpRequest) -> Option<String> {
    let other = match language(request) {
        Language::English => Language::Spanish,
        Language::Spanish => Language::English,
    };
    let is_other = |part: &&str| !part.is_empty() && part.split('=').next() != Some(NAME);
    let mut parts: Vec<&str> = request.query_string().split('&').filter(is_other).collect();
    let asked = format!("{NAME}={}", other.code());
    parts.push(&asked);
    (request.method() != Method::POST).then(|| format!("?{}", parts.join("&")))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_query_decides_the_language_and_otherwise_the_browser() {
        for (uri, accepted, expected) in [
            ("/appointment", None, Language::English),
            ("/appointment", Some("es-MX,es;q=0.9,en;q=0.8"), Language::Spanish),
            ("/appointment", Some("fr,es;q=0.5,en;q=0.7"), Language::English),
            ("/appointment", Some("de-DE,de;q=0.9"), Language::English),
            ("/appointment", Some("*"), Language::English),
            ("/appointment?lang=es", Some("en-US"), Language::Spanish),
            ("/appointment?lang=en", Some("es"), Language::English),
            ("/appointment?lang=%", Some("es"), Language::English),
        ] {
            let mut request = TestRequest::with_uri(uri);
            if let Some(accepted) = accepted {
                request = request.insert_header((header::ACCEPT_LANGUAGE, accepted));
            }
            assert_eq!(language(&request.to_http_request()), expected, "{uri} {accepted:?}");
        }
    }

    #[test]
    fn the_switch_keeps_the_page_with_its_query() {
        for (uri, expected) in [
            ("/desk", "?lang=es"),
            ("/desk?lang=es", "?lang=en"),
            ("/desk?location=1&lang=en&date=2026-03-02", "?location=1&date=2026-03-02&lang=es"),
            ("/doctor/flags?show=all&cursor=a%26b&lang=es&", "?show=all&cursor=a%26b&lang=en"),
        ] {
            assert_eq!(switch(&TestRequest::with_uri(uri).to_http_request()).as_deref(), Some(expected), "{uri}");
        }
        let form = TestRequest::post().uri("/desk/patients");
        assert_eq!(switch(&form.to_http_request()), None);
    }
}
