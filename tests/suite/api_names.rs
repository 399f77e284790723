//! The names of the document follow the rules in CONTRIBUTING.md.

use serde_json::Value;

/// What operations do, by method. The first word of an operationId is one of these.
const VERBS: &[(&str, &[&str])] = &[
    ("get", &["get", "list"]),
    ("put", &["replace"]),
    ("patch", &["update"]),
    ("delete", &["delete"]),
    (
        "post",
        &[
            "accept",
            "acknowledge",
            "amend",
            "answer",
            "begin",
            "block",
            "cancel",
            "change",
            "check",
            "claim",
            "close",
            "complete",
            "confirm",
            "correct",
            "create",
            "decline",
            "disable",
            "mark",
            "refresh",
            "renew",
            "request",
            "reschedule",
            "resend",
            "resolve",
            "review",
            "skip",
            "submit",
            "unblock",
            "undo",
            "verify",
            "view",
            "void",
            "withdraw",
        ],
    ),
];

/// Words that only lengthen a name.
const EMPTY_WORDS: &[&str] = &["Dto", "Input", "Output", "Body", "Data", "List", "Response", "Json"];

fn document() -> Value {
    serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON")
}

/// Each operation with its method and id.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let items = document["paths"].as_object().expect("paths").values();
    let all: Vec<_> = items
        .flat_map(|item| item.as_object().expect("operations"))
        .filter_map(|(method, value)| Some((method.as_str(), value["operationId"].as_str()?, value)))
        .collect();
    assert!(all.len() > 50, "{}", all.len());
    all
}

/// The name of the schema of a body, if it is a named one.
fn schema(body: &Value) -> Option<&str> {
    let content = body["content"].as_object()?;
    content.values().find_map(|media| media["schema"]["$ref"].as_str())?.rsplit('/').next()
}

/// `create_lab_result` as `CreateLabResult`.
fn pascal(id: &str) -> String {
    id.split('_').flat_map(|word| [word[..1].to_uppercase(), word[1..].to_owned()]).collect()
}

#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn an_operation_id_is_a_known_verb_of_its_method_and_a_noun() {
    let document = document();
    let mut findings = Vec::new();
    for (method, id, _) in operations(&document) {
        let (verb, noun) = id.split_once('_').unwrap_or((id, ""));
        let known = VERBS.iter().any(|(of, verbs)| *of == method && verbs.contains(&verb));
        if !known || noun.is_empty() {
            findings.push(format!("{method} {id}"));
        }
    }
    none(&findings);
}

#[test]
fn the_schema_of_a_request_body_says_what_the_operation_does_with_it() {
    let document = document();
    let all = operations(&document);
    let mut findings = Vec::new();
    for (method, id, value) in &all {
        if value.get("requestBody").is_none() {
            continue;
        }
        let Some(name) = schema(&value["requestBody"]) else {
            findings.push(format!("{id}: the body's schema has no name"));
            continue;
        };
        let uses = all.iter().filter(|(.., other)| schema(&other["requestBody"]) == Some(name)).count();
        let follows = match *method {
            "patch" => name.ends_with("Patch"),
            "put" => !name.ends_with("Patch") && !name.ends_with("Request"),
            _ if id.starts_with("create_") => name.starts_with("New"),
            _ if uses == 1 => name == format!("{}Request", pascal(id)),
            _ => name.ends_with("Request"),
        };
        // The form's own schemas are bodies as they are.
        if !(follows || name.starts_with("Rls")) {
            findings.push(format!("{method} {id}: {name}"));
        }
    }
    none(&findings);
}

#[test]
fn every_list_answers_a_page_with_items_and_a_cursor() {
    let document = document();
    let mut findings = Vec::new();
    for (_, id, value) in operations(&document).iter().filter(|(_, id, _)| id.starts_with("list_")) {
        let name = schema(&value["responses"]["200"]).unwrap_or_default();
        let page = &document["components"]["schemas"][name];
        let has = |member: &str| page["required"].as_array().is_some_and(|names| names.iter().any(|one| one == member));
        let nullable = page["properties"]["next_cursor"]["type"].as_array().is_some_and(|kinds| kinds.len() == 2);
        let complete = page["properties"]["items"]["type"] == "array" && has("items") && nullable;
        if !(name.ends_with("Page") && complete) {
            findings.push(format!("{id}: {name}: {page}"));
        }
    }
    none(&findings);
}

#[test]
fn no_schema_name_has_a_word_that_says_nothing() {
    let document = document();
    let names = document["components"]["schemas"].as_object().expect("schemas").keys();
    let own = names.filter(|name| !name.starts_with("Rls"));
    let idle = own.filter(|name| EMPTY_WORDS.iter().any(|word| name.ends_with(word)));
    none(&idle.cloned().collect::<Vec<_>>());
}

#[test]
fn shared_parameters_and_headers_are_written_once() {
    let document = document();
    let mut findings = Vec::new();
    let shared: Vec<_> = document["components"]["parameters"].as_object().expect("parameters").values().collect();
    assert!(shared.len() > 5);
    for (_, id, value) in operations(&document) {
        for parameter in value["parameters"].as_array().into_iter().flatten() {
            if shared.iter().any(|one| one["name"] == parameter["name"] && one["in"] == parameter["in"]) {
                findings.push(format!("{id}: its own {}", parameter["name"]));
            }
        }
        for response in value["responses"].as_object().expect("responses").values() {
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                if header["$ref"].is_null() && name != "Content-Disposition" {
                    findings.push(format!("{id}: its own {name}"));
                }
            }
        }
    }
    none(&findings);
}

/// `password` signs in, `current_password` proves the caller again, `new_password` sets one.
#[test]
fn a_password_is_named_by_what_it_does() {
    let document = document();
    let mut with = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        let members = schema["properties"].as_object().into_iter().flatten();
        with.extend(members.filter(|(member, _)| *member == "password").map(|_| name.as_str()));
    }
    assert_eq!(with, ["NewSession"]);
}
