//! A client of the API, and its responses.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use legwork::clock::{Clock, Timestamp};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::document;

/// A caller: anonymous or signed in. Clones share the session.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    clock: Clock,
    /// The account's id; empty if not signed in.
    pub user_id: String,
    session: Arc<Mutex<Option<Session>>>,
    /// The `Access-Reason` to send with every request.
    reason: Option<&'static str>,
}

#[derive(Clone)]
struct Session {
    token: String,
    /// To sign in again after the test has advanced the clock beyond the token's expiry.
    password: Option<(String, String, Timestamp)>,
}

/// Tokens last ten minutes.
const RENEW_AFTER: SignedDuration = SignedDuration::from_mins(9);

impl Client {
    pub(super) fn new(http: reqwest::Client, base: String, clock: Clock) -> Self {
        Self { http, base, clock, user_id: String::new(), session: Arc::default(), reason: None }
    }

    /// The same caller with this token, which is never renewed.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        let session = Session { token: token.to_owned(), password: None };
        Self { session: Arc::new(Mutex::new(Some(session))), ..self.clone() }
    }

    /// Signs in; the response must be 201.
    #[must_use]
    pub async fn sign_in(mut self, email: &str, password: &str) -> Self {
        let reply =
            self.exchange(Method::POST, "/v1/sessions", &[], Some(json!({"email": email, "password": password}))).await;
        reply.expect(201);
        self.user_id = reply.string("/user/id");
        let password = Some((email.to_owned(), password.to_owned(), self.clock.now()));
        self.session = Arc::new(Mutex::new(Some(Session { token: reply.string("/access_token"), password })));
        self
    }

    /// The same caller, with an `Access-Reason` in every request.
    #[must_use]
    pub fn with_reason(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The same caller, without an `Access-Reason`.
    #[must_use]
    pub fn without_reason(self) -> Self {
        Self { reason: None, ..self }
    }

    /// The access token, renewed if it has expired.
    pub async fn token(&self) -> Option<String> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let Some((email, password, since)) = session.password else { return Some(session.token) };
        let now = self.clock.now();
        if (SignedDuration::ZERO..RENEW_AFTER).contains(&now.since(since)) {
            return Some(session.token);
        }
        let anon = Self::new(self.http.clone(), self.base.clone(), self.clock.clone());
        let again = Box::pin(anon.sign_in(&email, &password)).await;
        let renewed = again.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&renewed);
        renewed.map(|session| session.token)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, headers, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::POST, path, headers, Some(body)).await
    }

    /// A POST without a body.
    pub async fn post_empty(&self, path: &str) -> Reply {
        self.send(Method::POST, path, &[], None).await
    }

    /// `if_match` is the ETag with its quotes; an empty one sends no `If-Match`.
    pub async fn patch(&self, path: &str, if_match: &str, body: Value) -> Reply {
        let mut headers = vec![("Content-Type", "application/merge-patch+json")];
        headers.extend((!if_match.is_empty()).then_some(("If-Match", if_match)));
        self.send(Method::PATCH, path, &headers, Some(body)).await
    }

    /// `if_match` as for [`Client::patch`].
    pub async fn put(&self, path: &str, if_match: &str, body: Value) -> Reply {
        let headers: Vec<_> = (!if_match.is_empty()).then_some(("If-Match", if_match)).into_iter().collect();
        self.send(Method::PUT, path, &headers, Some(body)).await
    }

    /// Reads the object and patches it with the ETag that was read.
    pub async fn update(&self, path: &str, changes: Value) -> Reply {
        let etag = self.get(path).await.expect(200).etag();
        self.patch(path, &etag, changes).await
    }

    /// Reads the object and replaces it with the ETag that was read.
    pub async fn replace(&self, path: &str, body: Value) -> Reply {
        let etag = self.get(path).await.expect(200).etag();
        self.put(path, &etag, body).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// A request with a JSON body, as `application/json` unless a header says otherwise.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
        let token = self.token().await;
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = headers.to_vec();
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        headers.extend(self.reason.map(|reason| ("Access-Reason", reason)));
        self.exchange(method, path, &headers, body).await
    }

    /// Sends these bytes as the body, and no headers except these and the token.
    pub async fn send_raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base)).body(body);
        if let Some(token) = self.token().await {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(method, path, request).await
    }

    /// Sends the form of a page, as a browser without a script does.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send_raw(Method::POST, path, &all, body.into_bytes()).await
    }

    async fn exchange(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("Content-Type", "application/json");
            }
            request = request.body(body.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(method, path, request).await
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// `GET /v1/…`, for messages.
    pub request: String,
    path: String,
    pub status: u16,
    pub headers: HeaderMap,
    /// The JSON body; `Null` if it is not JSON.
    pub body: Value,
    pub text: String,
}

impl Reply {
    async fn read(method: Method, path: &str, request: reqwest::RequestBuilder) -> Self {
        let request_line = format!("{method} {path}");
        let mut response = request.send().await.unwrap_or_else(|error| panic!("{request_line}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if is_stream {
            // Its beginning, because it has no end.
            response.chunk().await.map(|chunk| String::from_utf8(chunk.unwrap_or_default().to_vec()).expect("text"))
        } else {
            response.text().await
        };
        let text = text.unwrap_or_else(|error| panic!("{request_line}: {error:?}"));
        if let Some(fault) = document::fault(&method, path, status, &headers, &text) {
            panic!("{request_line} is answered otherwise than the document says: {fault}");
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let path = path.split('?').next().unwrap_or_default().to_owned();
        Self { request: request_line, path, status, headers, body, text }
    }

    /// Fails unless the response has this status; the message shows the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{} answered {}:\n{}", self.request, self.status, self.text);
        self
    }

    /// Fails unless this is a complete and valid problem document (RFC 9457) with this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> &Value {
        self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.request);
        let member = |name: &str| self.body.get(name).unwrap_or_else(|| panic!("no `{name}` in {}", self.text));
        assert_eq!(member("code"), code, "{} answered\n{}", self.request, self.text);
        assert_eq!(member("status"), status);
        assert_eq!(*member("type"), format!("/problems/{code}"));
        assert_eq!(*member("instance"), *self.path, "{}", self.request);
        for name in ["title", "detail", "request_id"] {
            assert!(member(name).as_str().is_some_and(|text| !text.is_empty()), "`{name}` in {}", self.text);
        }
        assert_eq!(member("request_id").as_str().expect("text"), self.header("x-request-id"));
        if code == "validation_failed" {
            let errors = member("errors").as_array().expect("a list of errors");
            assert!(!errors.is_empty(), "no errors in {}", self.text);
            for error in errors {
                for name in ["pointer", "code", "detail"] {
                    assert!(error[name].is_string(), "`{name}` in {}", self.text);
                }
            }
        }
        &self.body
    }

    /// Fails unless this is `validation_failed` and one of its errors has this pointer and code.
    #[track_caller]
    pub fn invalid(&self, pointer: &str, code: &str) -> &Self {
        let errors = self.problem(422, "validation_failed")["errors"].as_array().expect("errors");
        assert!(
            errors.iter().any(|error| error["pointer"] == pointer && error["code"] == code),
            "{} has no error {code} at {pointer}:\n{}",
            self.request,
            self.text
        );
        self
    }

    /// A header's value; empty if not set.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The `ETag` with its quotes.
    #[track_caller]
    pub fn etag(&self) -> String {
        let etag = self.header("etag");
        assert!(etag.starts_with('"'), "{} has no strong ETag: {etag:?}\n{}", self.request, self.text);
        etag.to_owned()
    }

    /// The path in `Location`.
    #[track_caller]
    pub fn location(&self) -> String {
        let location = self.header("location");
        assert!(location.starts_with('/'), "{} has no Location: {location:?}\n{}", self.request, self.text);
        location.to_owned()
    }

    /// The text at this JSON pointer.
    #[track_caller]
    pub fn string(&self, pointer: &str) -> String {
        match self.body.pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("{} has no text at {pointer}:\n{}", self.request, self.text),
        }
    }

    /// The `id` of the object.
    #[track_caller]
    pub fn id(&self) -> String {
        self.string("/id")
    }

    /// The `items` of a page.
    #[track_caller]
    pub fn items(&self) -> Vec<Value> {
        self.expect(200);
        match self.body["items"].as_array() {
            Some(items) => items.clone(),
            None => panic!("{} has no items:\n{}", self.request, self.text),
        }
    }
}
