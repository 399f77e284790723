//! The published document matches the committed one, is valid, and describes every operation completely.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{App, Engine};

/// Operations without authentication. A new operation without `security` must be added here deliberately.
const PUBLIC: &[&str] = &[
    "accept_invitation",
    "answer_follow_up_link",
    "cancel_appointment_link",
    "claim_waitlist_offer_link",
    "decline_waitlist_offer_link",
    "confirm_appointment_link",
    "confirm_password_reset",
    "get_calendar_feed_file",
    "request_password_reset",
    "create_registration",
    "create_session",
    "get_liveness",
    "get_location",
    "get_metrics",
    "get_rls_follow_up_form",
    "get_rls_history_form",
    "get_readiness",
    "get_visit_type",
    "list_consent_documents",
    "list_intake_forms",
    "list_locations",
    "list_rls_rules",
    "create_access_objection",
    "create_access_token",
    "get_authorization_server",
    "refresh_session",
    "reschedule_appointment_link",
    "resend_email_verification",
    "change_reminder_preference",
    "verify_email",
    "view_appointment_link",
    "view_follow_up_link",
    "view_waitlist_offer_link",
];

pub(super) const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

pub(super) fn document() -> Value {
    serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON")
}

/// An operation with its path and method.
pub(super) struct Operation {
    pub(super) path: String,
    pub(super) method: String,
    pub(super) value: Value,
}

impl Operation {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    pub(super) fn id(&self) -> &str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    pub(super) fn is_public(&self) -> bool {
        self.value["security"].as_array().is_none_or(Vec::is_empty)
    }

    /// Whether it works with and without a session.
    pub(super) fn is_session_optional(&self) -> bool {
        self.value["security"].as_array().is_some_and(|all| all.contains(&serde_json::json!({})))
    }

    pub(super) fn parameters(&self) -> Vec<&Value> {
        self.value["parameters"].as_array().into_iter().flatten().collect()
    }
}

pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            if let Some(value) = item.get(method) {
                let mut value = value.clone();
                for parameter in value["parameters"].as_array_mut().into_iter().flatten() {
                    *parameter = resolve(document, parameter).clone();
                }
                all.push(Operation { path: path.clone(), method: method.to_owned(), value });
            }
        }
    }
    assert!(all.len() > 5);
    all
}

/// Follows a `$ref` within the document.
pub(super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(to) => document.pointer(to.trim_start_matches('#')).unwrap_or_else(|| panic!("{to} leads nowhere")),
        None => value,
    }
}

/// Collects findings, and fails with all of them.
#[derive(Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    pub(super) fn require(&mut self, holds: bool, finding: impl FnOnce() -> String) {
        if !holds {
            self.0.push(finding());
        }
    }

    #[track_caller]
    pub(super) fn none(self) {
        assert!(self.0.is_empty(), "{} findings:\n{}", self.0.len(), self.0.join("\n"));
    }
}

fn says_something(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

#[test]
fn the_committed_document_matches_the_routes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == legwork::openapi::json().expect("a document"),
        "openapi/openapi.json is out of date; renew it, and look at what changed:\n\n    \
         cargo run -- openapi > openapi/openapi.json\n"
    );
}

#[test]
fn the_document_is_valid_openapi_3_1() {
    let schema: Value = serde_json::from_str(include_str!("../data/openapi-3.1-schema.json")).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let document = document();
    let errors: Vec<_> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn every_schema_is_valid_and_every_example_fits_its_schema() {
    let document = document();
    let mut findings = Findings::default();
    let fits = |schema: &Value, example: &Value, place: &str, findings: &mut Findings| {
        let mut schema = schema.clone();
        schema["components"] = document["components"].clone();
        match jsonschema::draft202012::new(&schema) {
            Ok(validator) => {
                for error in validator.iter_errors(example) {
                    findings.0.push(format!("{place}: the example does not fit at {}: {error}", error.instance_path()));
                }
            }
            Err(error) => findings.0.push(format!("{place}: no valid schema: {error}")),
        }
    };
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let valid = jsonschema::draft202012::meta::validate(schema);
        findings.require(valid.is_ok(), || format!("{name}: {}", valid.expect_err("checked")));
        for example in
            schema["example"].as_object().map(|_| &schema["example"]).into_iter().chain(list(&schema["examples"]))
        {
            fits(schema, example, name, &mut findings);
        }
    }
    for operation in operations(&document) {
        for (place, content) in contents(&document, &operation) {
            if let (true, Some(example)) = (content["schema"].is_object(), content.get("example")) {
                fits(&content["schema"], example, &place, &mut findings);
            }
        }
    }
    findings.none();
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Every body of an operation: its description, and its media type object.
fn contents<'a>(document: &'a Value, operation: &'a Operation) -> Vec<(String, &'a Value)> {
    let mut all = Vec::new();
    let mut add = |place: String, holder: &'a Value| {
        for (media, content) in holder["content"].as_object().into_iter().flatten() {
            all.push((format!("{place} ({media})"), content));
        }
    };
    add(format!("{} request", operation.name()), resolve(document, &operation.value["requestBody"]));
    for (status, response) in operation.value["responses"].as_object().expect("responses") {
        add(format!("{} {status}", operation.name()), resolve(document, response));
    }
    all
}

#[test]
fn every_operation_has_an_id_a_summary_and_a_tag() {
    let document = document();
    let tags: BTreeSet<_> = list(&document["tags"]).map(|tag| tag["name"].as_str().expect("a name")).collect();
    let mut ids = BTreeSet::new();
    let mut findings = Findings::default();
    let all = operations(&document);
    for operation in &all {
        let (name, id) = (operation.name(), operation.id());
        let words: Vec<_> = id.split('_').collect();
        let is_verb_resource = words.len() >= 2
            && words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
        findings.require(is_verb_resource, || format!("{name}: the operationId {id:?} is not verb_resource"));
        findings.require(ids.insert(id.to_owned()), || format!("{name}: {id} occurs twice"));
        let own: Vec<_> = list(&operation.value["tags"]).filter_map(Value::as_str).collect();
        findings.require(own.len() == 1 && tags.contains(own[0]), || format!("{name}: tags {own:?}"));
        for member in ["summary", "description"] {
            findings.require(says_something(&operation.value[member]), || format!("{name}: no {member}"));
        }
        findings.require(operation.is_public() == PUBLIC.contains(&id), || {
            format!(
                "{name}: {id} is public: {}; in the list of public ones: {}",
                operation.is_public(),
                PUBLIC.contains(&id)
            )
        });
    }
    for tag in list(&document["tags"]) {
        findings.require(says_something(&tag["description"]), || format!("tag {tag} has no description"));
        findings.require(all.iter().any(|operation| operation.value["tags"][0] == tag["name"]), || {
            format!("no operation has the tag {}", tag["name"])
        });
    }
    for id in PUBLIC {
        findings.require(ids.contains(*id), || format!("{id} is in the list of public ones, but there is none such"));
    }
    findings.none();
}

#[test]
fn every_parameter_is_described_and_bounded() {
    let document = document();
    let mut findings = Findings::default();
    for operation in operations(&document) {
        let in_path = operation.path.matches('{').count();
        let declared = operation.parameters().iter().filter(|parameter| parameter["in"] == "path").count();
        findings.require(in_path == declared, || format!("{}: path parameters", operation.name()));
        for parameter in operation.parameters() {
            let name = format!("{}: {}", operation.name(), parameter["name"]);
            findings.require(says_something(&parameter["description"]), || format!("{name} has no description"));
            // RFC 9110 defines their format.
            findings.require(
                ["If-Match", "If-None-Match"].iter().any(|name| parameter["name"] == *name)
                    || is_bounded(&document, &parameter["schema"]),
                || format!("{name} has no bounds: {}", parameter["schema"]),
            );
        }
    }
    findings.none();
}

/// So no request can take more of the server than the document says.
#[test]
fn every_body_that_is_sent_is_bounded() {
    let document = document();
    let mut findings = Findings::default();
    for operation in operations(&document) {
        for (media, content) in operation.value["requestBody"]["content"].as_object().into_iter().flatten() {
            if !media.ends_with("json") {
                // A token request, whose form has only known fields.
                continue;
            }
            let is_bounded = is_bounded(&document, &content["schema"]);
            findings.require(is_bounded, || format!("{} ({media}) has no bounds", operation.name()));
        }
    }
    findings.none();
}

/// Whether the values are bounded in number, length or format.
fn is_bounded(document: &Value, schema: &Value) -> bool {
    let schema = resolve(document, schema);
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(schemas) = schema[several].as_array() {
            return schemas.iter().all(|schema| is_bounded(document, schema));
        }
    }
    let is = |kind: &str| schema["type"] == kind || list(&schema["type"]).any(|one| one == kind);
    if schema.get("enum").is_some() || schema.get("const").is_some() || is("boolean") {
        return true;
    }
    if is("array") {
        return schema.get("maxItems").is_some() && is_bounded(document, &schema["items"]);
    }
    if is("integer") || is("number") {
        return schema.get("minimum").is_some() && schema.get("maximum").is_some();
    }
    if is("string") {
        return ["maxLength", "pattern", "format"].iter().any(|bound| schema.get(*bound).is_some());
    }
    if is("object") {
        let members = schema["properties"].as_object().into_iter().flatten();
        return schema["additionalProperties"] == false
            && members.into_iter().all(|(_, member)| is_bounded(document, member));
    }
    is("null")
}

#[test]
fn every_body_has_an_example_and_every_member_a_description() {
    let document = document();
    let mut findings = Findings::default();
    for operation in operations(&document) {
        for (place, content) in contents(&document, &operation) {
            let schema = resolve(&document, &content["schema"]);
            let has = |value: &Value| value.get("example").is_some() || value.get("examples").is_some();
            let items = resolve(&document, &schema["items"]);
            findings.require(has(content) || has(schema) || has(items), || format!("{place} has no example"));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        findings.require(says_something(&schema["description"]), || format!("schema {name} has no description"));
        for (member, value) in schema["properties"].as_object().into_iter().flatten() {
            findings.require(says_something(&value["description"]), || format!("{name}.{member} has no description"));
        }
    }
    findings.none();
}

#[test]
fn every_response_is_described_and_every_error_is_a_problem() {
    let document = document();
    let mut findings = Findings::default();
    for operation in operations(&document) {
        let responses = operation.value["responses"].as_object().expect("responses");
        findings.require(responses.keys().any(|status| status.starts_with(['2', '3'])), || {
            format!("{}: no success", operation.name())
        });
        let mut must = vec!["500", "503"];
        if !operation.is_public() {
            must.extend(["401", "403"]);
        }
        if operation.path.contains('{') {
            must.push("404");
        }
        // Its errors are those of OAuth.
        let is_token_request = operation.id() == "create_access_token";
        if operation.value.get("requestBody").is_some() && !is_token_request {
            must.extend(["400", "413", "415"]);
        }
        if operation.path.starts_with("/v1/") {
            // At least for an unknown query parameter.
            must.push("422");
        }
        for status in must {
            findings.require(responses.contains_key(status), || format!("{}: no {status}", operation.name()));
        }
        for (status, response) in responses {
            let place = format!("{} {status}", operation.name());
            let response = resolve(&document, response);
            let description = response["description"].as_str().unwrap_or_default();
            findings.require(!description.trim().is_empty(), || format!("{place} has no description"));
            if status.starts_with(['4', '5']) {
                findings.require(description.contains('`'), || format!("{place} names no code"));
                let content = &response["content"]["application/problem+json"];
                let is_problem = content["schema"]["$ref"] == "#/components/schemas/Problem";
                let of_oauth = &response["content"]["application/json"]["schema"]["$ref"];
                let is_of_oauth = is_token_request && of_oauth == "#/components/schemas/AccessTokenError";
                findings.require(is_problem || is_of_oauth, || format!("{place} is no problem"));
            }
            if status == "201" {
                for header in ["Location", "ETag"] {
                    let there = response["headers"].get(header).is_some() || operation.path.starts_with("/v1/sessions");
                    findings.require(there, || format!("{place} has no {header}"));
                }
            }
        }
    }
    findings.none();
}

/// The files under `src` with their texts.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                files.push((path, text));
            }
        }
    }
    files
}

/// The document has the header exactly where a handler sends it.
#[test]
fn an_etag_is_documented_exactly_where_it_is_sent() {
    let document = document();
    let sources = sources();
    let mut findings = Findings::default();
    for operation in operations(&document) {
        let mark = format!("operation_id = \"{}\"", operation.id());
        let handler = sources.iter().find_map(|(_, text)| text.split_once(&mark)).expect("a handler").1;
        let handler = handler.split("operation_id = ").next().unwrap_or_default();
        // The file of a calendar feed has a tag of its text.
        let tags = handler.contains("response::versioned(") || handler.contains("(ETAG, ");
        for (status, sends) in [("200", tags), ("201", handler.contains("response::created("))] {
            let response = resolve(&document, &operation.value["responses"][status]);
            let documents = response["headers"].get("ETag").is_some();
            findings.require(sends == documents, || format!("{} {status}: sent {sends}", operation.name()));
        }
    }
    findings.none();
}

/// Two types with one name would overwrite each other in the document silently.
#[test]
fn no_two_schemas_of_the_document_share_a_name() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in sources() {
        for name in schema_names(&text) {
            places.entry(name).or_default().push(path.clone());
        }
    }
    assert!(places.len() > 5, "the scan finds the types: {places:?}");
    let twice: Vec<_> = places.iter().filter(|(_, paths)| paths.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// The names of the types that derive `ToSchema`.
fn schema_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut pending = false;
    let mut renamed = None;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[derive(") {
            pending = line.contains("ToSchema");
            renamed = None;
        }
        if let Some((_, rest)) = line.split_once("schema(as = ") {
            renamed = rest.split([',', ')']).next().map(str::to_owned);
        }
        let declared = ["struct ", "enum "].iter().find_map(|keyword| {
            let (before, rest) = line.split_once(keyword)?;
            (before.is_empty() || before.starts_with("pub"))
                .then(|| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
        });
        if let Some(name) = declared {
            if pending && !name.is_empty() {
                names.push(renamed.take().unwrap_or_else(|| name.to_owned()));
            }
            pending = false;
        }
    }
    names
}

#[test]
fn the_committed_document_is_served() {
    crate::support::app::run(Engine::Sqlite, async |app: App| {
        assert_eq!(app.anon().get("/openapi.json").await.expect(200).body, document());
    });
}
