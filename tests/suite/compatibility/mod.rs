//! A client that was written for a released document works with the current one. `openapi/released` has the released documents, and
//! `docs/api/versions.md` the promise.
//!
//! What breaks a client:
//!
//! - An operation, its `operationId`, a media type, a successful status or a response header is gone. An operation that the released document
//!   marks as deprecated may go.
//! - A parameter or a member that may be sent is gone, is required now, or accepts less: fewer types or options, no null, a stricter limit,
//!   another format or pattern.
//! - A member that is returned is gone, may be missing now, or may be more: another type, null, a new option or alternative, another
//!   format. Greater lengths and numbers do not count, nor do new options of the schemas that the document calls open.
//! - An operation needs a session, another scope, or a role that it did not need.

mod schema;
mod seeded;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use self::schema::{Schemas, Way};
use crate::openapi::{METHODS, document, resolve};

/// Returns every change from one document to the next that breaks a client.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut schemas = Schemas::new(old, new);
    for (path, item) in old["paths"].as_object().expect("paths") {
        for method in METHODS {
            let Some(before) = item.get(method) else { continue };
            let place = format!("{} {path}", method.to_uppercase());
            match new["paths"][path].get(method) {
                Some(after) => operation(&mut schemas, (old, new), &place, before, after),
                None if before["deprecated"] == true => {}
                None => schemas.found.push(format!("{place}: the operation is gone")),
            }
        }
    }
    schemas.found
}

fn operation<'a>(
    schemas: &mut Schemas<'a>,
    documents: (&'a Value, &'a Value),
    place: &str,
    old: &'a Value,
    new: &'a Value,
) {
    if old["operationId"] != new["operationId"] {
        schemas.found.push(format!("{place}: its operationId is {}", new["operationId"]));
    }
    access(schemas, place, old, new);
    parameters(schemas, documents, place, old, new);
    let (before, after) = (&old["requestBody"], &new["requestBody"]);
    let newly_required = after["required"] == true && before["required"] != true;
    if newly_required {
        schemas.found.push(format!("{place}: a body is required now"));
    }
    contents(schemas, Way::Sent, &format!("{place}: body"), before, after);
    for (status, before) in object(&old["responses"]).filter(|(status, _)| !status.starts_with('3')) {
        let before = resolve(documents.0, before);
        let place = format!("{place}: {status}");
        let Some(after) = new["responses"].get(status).map(|after| resolve(documents.1, after)) else {
            if status.starts_with('2') {
                schemas.found.push(format!("{place} is gone"));
            }
            continue;
        };
        contents(schemas, Way::Returned, &place, before, after);
        for (name, _) in object(&before["headers"]).filter(|(name, _)| after["headers"].get(name.as_str()).is_none()) {
            schemas.found.push(format!("{place}: the header {name} is gone"));
        }
    }
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn contents<'a>(schemas: &mut Schemas<'a>, way: Way, place: &str, old: &'a Value, new: &'a Value) {
    for (media, before) in object(&old["content"]) {
        match new["content"].get(media) {
            Some(after) if media.ends_with("json") => schemas.compare(way, place, &before["schema"], &after["schema"]),
            Some(_) => {}
            None => schemas.found.push(format!("{place}: the media type {media} is gone")),
        }
    }
}

/// The parameters of an operation by place and name.
fn all_parameters<'a>(document: &'a Value, operation: &'a Value) -> BTreeMap<(&'a str, &'a str), &'a Value> {
    let all = operation["parameters"].as_array().into_iter().flatten().map(|one| resolve(document, one));
    let text = |value: &'a Value| value.as_str().unwrap_or_default();
    all.map(|one| ((text(&one["in"]), text(&one["name"])), one)).collect()
}

fn parameters<'a>(
    schemas: &mut Schemas<'a>,
    documents: (&'a Value, &'a Value),
    place: &str,
    old: &'a Value,
    new: &'a Value,
) {
    let (before, after) = (all_parameters(documents.0, old), all_parameters(documents.1, new));
    for (key, old) in &before {
        let place = format!("{place}: {} {}", key.0, key.1);
        match after.get(key) {
            Some(new) => schemas.compare(Way::Sent, &place, &old["schema"], &new["schema"]),
            // The name of a segment of the path is no part of a request.
            None if key.0 == "path" => {}
            None => schemas.found.push(format!("{place} is gone")),
        }
    }
    for (key, _) in
        after.iter().filter(|(key, one)| key.0 != "path" && one["required"] == true && !is_required(&before, key))
    {
        schemas.found.push(format!("{place}: {} {} is required now", key.0, key.1));
    }
}

fn is_required(parameters: &BTreeMap<(&str, &str), &Value>, key: &(&str, &str)) -> bool {
    parameters.get(key).is_some_and(|one| one["required"] == true)
}

/// Who may call an operation.
fn access(schemas: &mut Schemas<'_>, place: &str, old: &Value, new: &Value) {
    let requirements = |operation: &Value| operation["security"].as_array().cloned().unwrap_or_default();
    let (before, after) = (requirements(old), requirements(new));
    let is_open = |all: &[Value]| all.is_empty() || all.iter().any(|one| object(one).next().is_none());
    let meets = |given: &Value, wanted: &Value| {
        let scopes = |one: &Value| one.as_array().cloned().unwrap_or_default();
        object(wanted).all(|(scheme, wanted)| {
            given.get(scheme).is_some_and(|given| scopes(wanted).iter().all(|scope| scopes(given).contains(scope)))
        })
    };
    if is_open(&before) && !is_open(&after) {
        schemas.found.push(format!("{place}: it needs a session now"));
    }
    for given in before.iter().filter(|_| !is_open(&before) && !is_open(&after)) {
        if !after.iter().any(|wanted| meets(given, wanted)) {
            schemas.found.push(format!("{place}: {given} does not suffice any more"));
        }
    }
    for (role, reach) in object(&old["x-roles"]).filter(|_| new.get("x-roles").is_some()) {
        let now = &new["x-roles"][role];
        if now.is_null() || (reach == "any" && now == "own") {
            schemas.found.push(format!("{place}: {role} may do less"));
        }
    }
}

/// Whether a client of one version may be used with another (Semantic Versioning: before 1.0.0 the second number counts).
fn promises(released: &str, current: &str) -> bool {
    let line = |version: &str| {
        let numbers: Vec<_> = version.split('.').map(|part| part.parse::<u32>().expect("a number")).collect();
        if numbers[0] == 0 { (0, numbers[1]) } else { (numbers[0], 0) }
    };
    line(released) == line(current)
}

/// The released documents by their version.
fn released() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi/released");
    let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let documents = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    documents
        .map(|path| {
            let version = path.file_stem().and_then(|stem| stem.to_str()).expect("a version").to_owned();
            let document: Value = serde_json::from_slice(&std::fs::read(&path).expect("the file")).expect("JSON");
            assert_eq!(document["info"]["version"], version.as_str(), "{}", path.display());
            (version, document)
        })
        .collect()
}

#[test]
fn a_client_of_a_released_document_works_with_this_one() {
    let current = document();
    let version = current["info"]["version"].as_str().expect("a version");
    for (released, document) in released().iter().filter(|(released, _)| promises(released, version)) {
        let found = breaks(document, &current);
        assert!(found.is_empty(), "{} changes break clients of {released}:\n{}", found.len(), found.join("\n"));
    }
}

#[test]
fn a_version_promises_compatibility_up_to_the_next_major_one() {
    assert!(promises("0.1.0", "0.1.7") && promises("1.2.0", "1.9.3"));
    assert!(!promises("0.1.0", "0.2.0") && !promises("0.9.0", "1.0.0") && !promises("1.9.0", "2.0.0"));
}
