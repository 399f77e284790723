//! Breaks each rule of the document's bodies and queries, one at a time, and judges the response.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Reply};

pub(super) const NOBODY: &str = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";

/// The handlers read values of these schemas themselves, in the order that a draft needs.
const OWN_READERS: [&str; 4] = ["RlsAnswers", "RlsAnswersPatch", "RlsLab", "RlsReview"];

/// A credential decides first here, and one that is too long is a wrong one: a refusal of it is as good. What else they take is
/// looked at only after the credential.
pub(super) const BY_CREDENTIAL: [&str; 21] = [
    "accept_invitation",
    "answer_follow_up_link",
    "cancel_appointment_link",
    "claim_waitlist_offer_link",
    "decline_waitlist_offer_link",
    "confirm_appointment_link",
    "change_email",
    "close_account",
    "change_password",
    "confirm_password_reset",
    "confirm_second_factor",
    "create_session",
    "disable_second_factor",
    "refresh_session",
    "renew_recovery_codes",
    "reschedule_appointment_link",
    "change_reminder_preference",
    "verify_email",
    "view_appointment_link",
    "view_follow_up_link",
    "view_waitlist_offer_link",
];

/// Words of the language that the service is written in. No caller should have to know them.
const RUST_WORDS: [&str; 24] = [
    "struct",
    "enum",
    "variant",
    "tuple",
    "sequence",
    "map",
    "unit",
    "newtype",
    "expected",
    "option",
    "vec",
    "serde",
    "bool",
    "boolean",
    "str",
    "u8",
    "u16",
    "u32",
    "u64",
    "i32",
    "i64",
    "usize",
    "f64",
    "identifier",
];

pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) is_public: bool,
    pub(super) value: Value,
}

pub(super) fn document() -> Value {
    serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON")
}

pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, value) in item.as_object().expect("operations") {
            let Some(id) = value["operationId"].as_str() else { continue };
            let mut value = value.clone();
            for parameter in value["parameters"].as_array_mut().into_iter().flatten() {
                *parameter = resolve(document, parameter).1.clone();
            }
            all.push(Operation {
                id: id.to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.replace("{user_id}", NOBODY),
                is_public: value["security"].as_array().is_none_or(Vec::is_empty),
                value,
            });
        }
    }
    all
}

/// The name of the schema that is referred to, if one is, and the schema itself without `null` among its alternatives.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> (Option<&'a str>, &'a Value, bool) {
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let other = alternatives.iter().find(|one| one["type"] != "null").expect("an alternative");
        let (name, schema, _) = resolve(document, other);
        return (name, schema, true);
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next();
        let (_, schema, nullable) = resolve(document, document.pointer(&reference[1..]).expect("a schema"));
        return (name, schema, nullable);
    }
    (None, schema, schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null")))
}

fn kind(schema: &Value) -> &str {
    let kinds = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
    kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
}

/// A valid value of a schema, to break at one place.
fn sample(document: &Value, schema: &Value) -> Value {
    let (_, schema, _) = resolve(document, schema);
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)).or_else(|| schema["enum"].get(0))
    {
        return example.clone();
    }
    match kind(schema) {
        "array" => json!([sample(document, &schema["items"])]),
        "object" => json!({}),
        "integer" | "number" => schema["minimum"].clone(),
        "boolean" => json!(true),
        _ if schema["format"] == "uuid" => json!(NOBODY),
        _ => json!("x".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).expect("small"))),
    }
}

/// A body that breaks one rule, and the expected error.
pub(super) struct Broken {
    pub(super) body: Value,
    pub(super) pointer: String,
    /// One of these codes; if empty, any code.
    pub(super) codes: Vec<&'static str>,
    /// Whether a handler checks it, which requires that the caller gets that far.
    pub(super) by_handler: bool,
}

/// A body that has `null` where the document allows it.
pub(super) struct Null {
    pub(super) body: Value,
    pub(super) pointer: String,
}

struct Breaker<'a> {
    document: &'a Value,
    /// Whether values of the schemas in [`OWN_READERS`] are broken as well.
    own_readers: bool,
    found: Vec<Broken>,
    nulls: Vec<Null>,
}

impl Breaker<'_> {
    fn note(&mut self, base: &Value, pointer: &str, wrong: Value, codes: &[&'static str], by_handler: bool) {
        let mut body = base.clone();
        *body.pointer_mut(pointer).expect("a place") = wrong;
        // Handlers have more precise codes.
        let codes = if by_handler { Vec::new() } else { codes.to_vec() };
        self.found.push(Broken { body, pointer: pointer.to_owned(), codes, by_handler });
    }

    /// Breaks the value at `pointer` in `base` against each rule of `schema`.
    fn walk(&mut self, schema: &Value, base: &Value, pointer: &str, by_handler: bool) {
        let (name, schema, nullable) = resolve(self.document, schema);
        let is_own = name.is_some_and(|name| OWN_READERS.contains(&name));
        if is_own && !self.own_readers {
            return;
        }
        let by_handler = by_handler || is_own;
        let wrong = ["wrong_type", "not_an_option"];
        if nullable {
            let mut body = base.clone();
            *body.pointer_mut(pointer).expect("a place") = Value::Null;
            self.nulls.push(Null { body, pointer: pointer.to_owned() });
        } else {
            self.note(base, pointer, json!(null), &wrong, by_handler);
        }
        let others = match kind(schema) {
            "string" => vec![json!(5), json!(false), json!(["x"]), json!({"x": null})],
            "integer" => vec![json!("7"), json!(7.5), json!({}), json!(true)],
            "number" => vec![json!("7"), json!([7])],
            "boolean" => vec![json!("true"), json!(0)],
            "array" => vec![json!("x"), json!({}), json!(5)],
            _ => vec![json!("x"), json!([]), json!([1]), json!(5)],
        };
        for value in others {
            self.note(base, pointer, value, &wrong, by_handler);
        }
        self.limits(schema, base, pointer, by_handler);
        match kind(schema) {
            "array" => {
                let mut base = base.clone();
                *base.pointer_mut(pointer).expect("a place") = json!([sample(self.document, &schema["items"])]);
                self.walk(&schema["items"], &base, &format!("{pointer}/0"), by_handler);
            }
            "object" => self.members(schema, base, pointer, by_handler),
            _ => {}
        }
    }

    fn members(&mut self, schema: &Value, base: &Value, pointer: &str, by_handler: bool) {
        let with = |base: &mut Value, name: &str, value: Value| {
            let object = base.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
            object.insert(name.to_owned(), value);
        };
        let mut body = base.clone();
        with(&mut body, "is_admin", json!(true));
        let codes = vec!["unknown_field"];
        self.found.push(Broken { body, pointer: format!("{pointer}/is_admin"), codes, by_handler });
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut body = base.clone();
            body.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object").remove(name);
            let codes = vec!["required"];
            self.found.push(Broken { body, pointer: format!("{pointer}/{name}"), codes, by_handler });
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let mut base = base.clone();
            with(&mut base, name, sample(self.document, schema));
            self.walk(schema, &base, &format!("{pointer}/{name}"), by_handler);
        }
    }

    /// Exceeds each limit by one. The handlers check limits together with their other rules.
    fn limits(&mut self, schema: &Value, base: &Value, pointer: &str, by_handler: bool) {
        let size = |name: &str| schema[name].as_u64().map(|size| usize::try_from(size).expect("small"));
        let items = |number| json!(vec![sample(self.document, &schema["items"]); number]);
        let text = |length| json!("x".repeat(length));
        let past = [
            size("maxLength").map(|most| text(most + 1)),
            size("minLength").filter(|least| *least > 0).map(|least| text(least - 1)),
            schema["maximum"].as_i64().map(|most| json!(most + 1)),
            schema["minimum"].as_i64().map(|least| json!(least - 1)),
            size("maxItems").map(|most| items(most + 1)),
            size("minItems").filter(|least| *least > 0).map(|least| items(least - 1)),
            schema.get("pattern").map(|_| json!("?9")),
        ];
        for value in past.into_iter().flatten() {
            self.note(base, pointer, value, &[], true);
        }
        if schema.get("enum").is_some() && kind(schema) == "string" {
            self.note(base, pointer, json!("no-such-option"), &["not_an_option"], by_handler);
        }
        if schema.get("format").is_some_and(|format| kind(schema) == "string" && format.is_string()) {
            // Handlers check addresses.
            let by_handler = by_handler || schema["format"] == "idn-email";
            self.note(base, pointer, json!("tomorrow"), &["wrong_type"], by_handler);
        }
    }
}

fn media(operation: &Operation) -> Option<(String, Value)> {
    let content = operation.value["requestBody"]["content"].as_object()?;
    // The form of a token request has errors of its own.
    let (media, content) = content.iter().find(|(media, _)| media.ends_with("json"))?;
    Some((media.clone(), content["schema"].clone()))
}

/// Bodies that break one rule each, and bodies with a `null` that is allowed.
pub(super) fn bodies(document: &Value, operation: &Operation) -> (Vec<Broken>, Vec<Null>) {
    let Some((_, schema)) = media(operation) else { return (Vec::new(), Vec::new()) };
    // Answers of a submitted intake are read like those of a draft.
    let own_readers = operation.id != "amend_intake";
    let mut breaker = Breaker { document, own_readers, found: Vec::new(), nulls: Vec::new() };
    breaker.walk(&schema, &sample(document, &schema), "", false);
    (breaker.found, breaker.nulls)
}

/// The error of a `null` that the document allows. A conditional member is required as if it were missing, and some answers are the
/// clinician's, whatever their value.
pub(super) fn refused_null(reply: &Reply, null: &Null) -> Option<String> {
    let errors = reply.body["errors"].as_array().into_iter().flatten();
    let mut refused = errors.filter(|error| {
        error["pointer"] == null.pointer.as_str() && error["code"] != "required" && error["code"] != "clinician_only"
    });
    refused.next().map(Value::to_string)
}

/// What is wrong with the response to a body that breaks a rule.
pub(super) fn fault(reply: &Reply, broken: &Broken) -> Option<String> {
    if reply.status != 422 || reply.body["code"] != "validation_failed" {
        return Some(format!("{} {}", reply.status, reply.body["code"]));
    }
    let errors = reply.body["errors"].as_array().expect("errors");
    let is_told = errors.iter().any(|error| {
        error["pointer"] == broken.pointer.as_str()
            && (broken.codes.is_empty() || broken.codes.iter().any(|code| error["code"] == *code))
    });
    if !is_told {
        return Some(format!("not told: {errors:?}"));
    }
    for error in errors {
        let pointer = error["pointer"].as_str().expect("a pointer");
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let is_missing = error["code"] == "required" && broken.body.pointer(parent).is_some();
        if broken.body.pointer(pointer).is_none() && !is_missing {
            return Some(format!("points nowhere: {error}"));
        }
    }
    rust_words(errors)
}

pub(super) fn rust_words(errors: &[Value]) -> Option<String> {
    let words = |error: &Value| {
        let detail = error["detail"].as_str().expect("a detail").to_lowercase();
        detail.split(|c: char| !c.is_alphanumeric()).any(|word| RUST_WORDS.contains(&word))
    };
    errors.iter().find(|error| words(error)).map(|error| format!("speaks of Rust: {error}"))
}

/// Invalid texts for a query parameter of this schema.
pub(super) fn wrong_texts(document: &Value, schema: &Value) -> Vec<String> {
    let (_, schema, _) = resolve(document, schema);
    if kind(schema) == "array" {
        let most = usize::try_from(schema["maxItems"].as_u64().expect("a limit")).expect("small");
        let (_, item, _) = resolve(document, &schema["items"]);
        let one = sample(document, item).as_str().expect("a text").to_owned();
        let mut values = vec![String::new(), vec![one.as_str(); most + 1].join(","), format!("{one},")];
        values.extend(wrong_texts(document, item).into_iter().map(|wrong| format!("{one},{wrong}")));
        return values;
    }
    let size = |limit: &str| schema[limit].as_u64().map(|size| usize::try_from(size).expect("small"));
    let mut values: Vec<String> = match kind(schema) {
        "integer" => {
            let (least, most) =
                (schema["minimum"].as_i64().expect("a limit"), schema["maximum"].as_i64().expect("a limit"));
            vec!["ten".into(), "1.5".into(), (most + 1).to_string(), (least - 1).to_string()]
        }
        "boolean" => vec!["yes".into(), "1".into()],
        _ if schema.get("enum").is_some() || schema.get("format").is_some() => vec!["no-such-option".into()],
        _ => Vec::new(),
    };
    values.extend(size("maxLength").map(|most| "x".repeat(most + 1)));
    values.extend(size("minLength").map(|least| "x".repeat(least - 1)));
    values
}

pub(super) async fn send(client: &Client, operation: &Operation, path: &str, body: &Value) -> Reply {
    let (media, _) = media(operation).expect("a body");
    let headers = [("Content-Type", media.as_str()), ("If-Match", "*"), ("Idempotency-Key", "broken")];
    client.send(operation.method.clone(), path, &headers, Some(body.clone())).await
}
