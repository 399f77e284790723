//! Forms that pages send without a script: where they come from, and what they say.

use actix_web::http::StatusCode;
use actix_web::http::header::{ORIGIN, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use text::Language;
use url::Url;

use super::{language, page};
use crate::accounts::origin::Origin;
use crate::accounts::typed_link::TypedLink;
use crate::context::{Anonymous, Context};
use crate::error::{Error, ProblemCode, Result};

/// Returns whether a form was sent by a page of this service.
///
/// Browsers say it in `Sec-Fetch-Site`; older ones send the page's `Origin`. A client that sends neither is accepted, because these forms
/// carry a code and no cookie: another site gains nothing by sending one.
fn is_own(request: &HttpRequest, public_url: &Url) -> bool {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == public_url.origin().ascii_serialization(),
        (None, None) => true,
    }
}

/// Requires that a page of this service sent the form.
///
/// # Errors
/// `foreign_form`.
pub fn require_own(request: &HttpRequest, public_url: &Url) -> Result<()> {
    if is_own(request, public_url) {
        return Ok(());
    }
    Err(Error::forbidden(ProblemCode::ForeignForm, "This form was not sent by a page of this service."))
}

/// The fields of a form, in the order in which they were sent.
pub struct Sent(Vec<(String, String)>);

impl Sent {
    /// Reads the body of a form.
    pub fn read(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Returns the first value of a field, or an empty text.
    pub fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Returns the names and values of all fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the values of a field that are not empty.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// A form that was sent with the code of a mail.
pub struct Post {
    pub context: Context<Anonymous>,
    pub language: Language,
    pub sent: Sent,
    pub typed: TypedLink,
    /// The template of the answers.
    template: &'static str,
}

impl Post {
    /// Reads a form, unless another site sent it.
    pub fn read(
        context: Context<Anonymous>,
        origin: Origin,
        request: &HttpRequest,
        body: &[u8],
        template: &'static str,
    ) -> Result<Self> {
        require_own(request, &context.env.config.settings.public_url)?;
        let sent = Sent::read(body);
        let typed = TypedLink { code: sent.first("code").to_owned(), origin };
        Ok(Self { context, language: language(request), sent, typed, template })
    }

    /// Asks for the code again and says why.
    pub async fn refuse(&self, error: Error) -> Result<HttpResponse> {
        let (status, why, seconds) = match error {
            Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "incomplete", 0),
            Error::NotFound => (StatusCode::NOT_FOUND, "wrong", 0),
            Error::TooMany { retry_after, .. } => (StatusCode::TOO_MANY_REQUESTS, "wait", retry_after),
            other => return Err(other),
        };
        let values = context! {
            step => "code", code => &self.typed.code, code_error => why, minutes => seconds.div_ceil(60),
        };
        let mut response = self.render(status, values).await?;
        if seconds > 0 {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }

    /// Answers with the form's page.
    pub async fn render(&self, status: StatusCode, values: Value) -> Result<HttpResponse> {
        page(&self.context.env, self.template, self.language, status, values).await
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_apart() {
        let public: Url = "https://legwork.example/".parse().expect("a URL");
        for (site, origin, is_ours) in [
            (Some("same-origin"), None, true),
            (Some("none"), None, true),
            (Some("cross-site"), Some("https://legwork.example"), false),
            (Some("same-site"), None, false),
            (None, Some("https://legwork.example"), true),
            (None, Some("https://evil.example"), false),
            (None, Some("null"), false),
            (None, None, true),
        ] {
            let mut request = TestRequest::post();
            if let Some(site) = site {
                request = request.insert_header(("Sec-Fetch-Site", site));
            }
            if let Some(origin) = origin {
                request = request.insert_header((ORIGIN, origin));
            }
            assert_eq!(is_own(&request.to_http_request(), &public), is_ours, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_field_may_have_several_values_and_empty_ones_do_not_count() {
        let sent = Sent::read(b"code=K7MP+3XWD&a=1&a=2&b=&a=%C3%A1");
        assert_eq!(sent.first("code"), "K7MP 3XWD");
        assert_eq!(sent.all("a").collect::<Vec<_>>(), ["1", "2", "á"]);
        assert_eq!((sent.first("b"), sent.first("c")), ("", ""));
    }
}
