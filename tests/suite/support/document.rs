//! Compares every response that a test receives with the published document: status, media type, headers and body. So each test of an
//! operation also shows that the document is true.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::new);

/// Statuses that any request can get before its operation is known to the server, or at any time. The guide to errors describes them.
const ANYWHERE: [u16; 4] = [405, 408, 431, 507];

struct Document {
    json: Value,
    /// The validators of schemas that were needed so far.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// Returns what a response has that the document does not say, or the other way round.
pub fn fault(method: &Method, path: &str, status: u16, headers: &HeaderMap, text: &str) -> Option<String> {
    let document = &*DOCUMENT;
    let operation = document.operation(method, path)?;
    if ANYWHERE.contains(&status) {
        return None;
    }
    let id = operation["operationId"].as_str().unwrap_or_default();
    let Some(response) = operation["responses"].get(status.to_string()) else {
        return Some(format!("{id} has no response {status} in the document"));
    };
    let response = document.resolve(response);
    let found =
        header_fault(response, status, headers).or_else(|| document.body_fault(response, method, headers, text));
    found.map(|found| format!("{id} {status}: {found}"))
}

/// Headers that are sent exactly where the document has them.
const EXACT: [&str; 3] = ["etag", "location", "retry-after"];
/// Headers that are sent only where the document has them.
const ALLOWED: [&str; 5] = ["ratelimit", "ratelimit-policy", "www-authenticate", "deprecation", "content-disposition"];

fn header_fault(response: &Value, status: u16, headers: &HeaderMap) -> Option<String> {
    let documents = |name: &str| {
        response["headers"].as_object().is_some_and(|all| all.keys().any(|header| header.eq_ignore_ascii_case(name)))
    };
    EXACT.iter().chain(&ALLOWED).find_map(|name| {
        let (sent, documented) = (headers.contains_key(*name), documents(name));
        let is_missing = documented && !sent && EXACT.contains(name) && status < 400;
        ((sent && !documented) || is_missing).then(|| format!("{name}: sent {sent}, in the document {documented}"))
    })
}

impl Document {
    fn new() -> Self {
        let json = serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON");
        Self { json, validators: Mutex::default() }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().and_then(|to| self.json.pointer(to.trim_start_matches('#'))).unwrap_or(value)
    }

    /// The operation of a request. Of two paths that match, the one with the longer fixed part.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        // HEAD is answered like GET.
        let method = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_ascii_lowercase() };
        let path = path.split('?').next().unwrap_or_default();
        let matches = |pattern: &str| {
            pattern.split('/').count() == path.split('/').count()
                && pattern.split('/').zip(path.split('/')).all(|(known, sent)| {
                    known == sent || (known.starts_with('{') && !sent.is_empty() && !sent.contains('%'))
                })
        };
        let paths = self.json["paths"].as_object().expect("paths").iter().filter(|(pattern, _)| matches(pattern));
        let (_, item) = paths.min_by_key(|(pattern, _)| pattern.matches('{').count())?;
        item.get(&method)
    }

    fn body_fault(&self, response: &Value, method: &Method, headers: &HeaderMap, text: &str) -> Option<String> {
        let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media.split(';').next().unwrap_or_default();
        let Some(content) = response["content"].as_object() else {
            return (!text.is_empty()).then(|| "a body, and none in the document".to_owned());
        };
        let Some(media) = content.get(essence) else {
            return Some(format!(
                "the media type {media:?}; the document has {:?}",
                content.keys().collect::<Vec<_>>()
            ));
        };
        if *method == Method::HEAD || !essence.ends_with("json") || headers.contains_key("content-encoding") {
            return None;
        }
        let Ok(body) = serde_json::from_str(text) else { return Some("no JSON".to_owned()) };
        if media["schema"]["$ref"] == "#/components/schemas/Problem"
            && let Some(unknown) = self.unknown_member(&body)
        {
            return Some(format!("the member `{unknown}` of the problem is not in the document: {text}"));
        }
        let validator = self.validator(&media["schema"]);
        let errors: Vec<_> =
            validator.iter_errors(&body).take(5).map(|error| format!("{}: {error}", error.instance_path())).collect();
        (!errors.is_empty()).then(|| format!("{}\n{text}", errors.join("\n")))
    }

    /// A member of a problem that the document does not have.
    fn unknown_member(&self, problem: &Value) -> Option<String> {
        let known = &self.json["components"]["schemas"]["Problem"]["properties"];
        problem.as_object()?.keys().find(|name| known.get(*name).is_none()).cloned()
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || {
            let whole = json!({"allOf": [schema], "components": {"schemas": self.json["components"]["schemas"]}});
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&whole).expect("a schema"))
        };
        Arc::clone(validators.entry(schema.to_string()).or_insert_with(compile))
    }
}
