//! The links of the published document lead from what a response shows to operations that know it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::openapi::{Operation, document, operations};
use crate::support::{App, Client, both};

/// The links of a successful response, with what each passes to its operation.
fn links<'a>(document: &'a Value, operation: &'a Operation, status: &str) -> Vec<(&'a str, &'a Value)> {
    let links = operation.value["responses"][status]["links"].as_object();
    let resolve =
        |link: &'a Value| document.pointer(link["$ref"].as_str().expect("a reference").trim_start_matches('#'));
    let resolved = links.into_iter().flatten().map(|(name, link)| (name.as_str(), resolve(link).expect("a component")));
    resolved.collect()
}

fn find<'a>(all: &'a [Operation], id: &str) -> &'a Operation {
    all.iter().find(|operation| operation.id() == id).unwrap_or_else(|| panic!("no operation {id}"))
}

#[test]
fn every_link_names_an_operation_and_parameters_that_it_takes() {
    let document = document();
    let all = operations(&document);
    let mut checked = 0;
    for operation in &all {
        for (name, link) in ["200", "201"].into_iter().flat_map(|status| links(&document, operation, status)) {
            assert_eq!(link["operationId"], name);
            let target = find(&all, name);
            let shared = |parameter: &Value| {
                let reference = parameter["$ref"].as_str().map(|at| document.pointer(at.trim_start_matches('#')));
                reference.flatten().unwrap_or(parameter)["name"].clone()
            };
            let takes: Vec<_> = target.parameters().into_iter().map(shared).collect();
            for parameter in link["parameters"].as_object().expect("parameters").keys() {
                assert!(takes.contains(&Value::from(parameter.as_str())), "{} -> {name}: {parameter}", operation.id());
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked} parameters");
    let created = links(&document, find(&all, "create_hold"), "201");
    assert_eq!(created.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["delete_hold", "get_hold", "renew_hold"]);
}

/// Follows the links of a response that lead to reads, and theirs. Returns the reads that were found.
async fn follow(
    client: &Client,
    document: &Value,
    all: &[Operation],
    from: &str,
    shown: &Value,
    found: &mut BTreeSet<String>,
) {
    'links: for (name, link) in links(document, find(all, from), "200") {
        let target = find(all, name);
        let given = link["parameters"].as_object().expect("parameters");
        let needs_more = |parameter: &&Value| {
            parameter["required"] == true && !given.contains_key(parameter["name"].as_str().unwrap_or_default())
        };
        if target.method != "get" || found.contains(name) || target.parameters().iter().any(needs_more) {
            continue;
        }
        let mut path = target.path.clone();
        let mut query = String::new();
        for (parameter, expression) in given {
            let pointer =
                expression.as_str().and_then(|text| text.strip_prefix("$response.body#")).expect("an expression");
            let Some(value) = shown.pointer(pointer).and_then(Value::as_str) else { continue 'links };
            if path.contains("{id}") {
                path = path.replace("{id}", value);
            } else {
                query = format!("?{parameter}={value}");
            }
        }
        let reply = client.get_with(&format!("{path}{query}"), &[("Access-Reason", "Each link is followed")]).await;
        // A practitioner may have no feed.
        let is_there = matches!(reply.status, 200 | 403) || (reply.status, name) == (404, "get_calendar_feed");
        assert!(is_there, "{from} -> {name}: {}", reply.text);
        if reply.status == 200 {
            found.insert(name.to_owned());
            Box::pin(follow(client, document, all, name, &reply.body.clone(), found)).await;
        }
    }
}

both! {
    async fn every_link_to_a_read_leads_to_what_the_response_showed(app: App) {
        legwork::demo::fill(&app.env).await.expect("a demo clinic");
        let document = document();
        let all = operations(&document);
        let mut all_found = BTreeSet::new();
        for role in ["desk", "doctor", "admin"] {
            let client = app.anon().sign_in(&format!("{role}@demo.legwork.example"), legwork::demo::PASSWORD).await;
            let mut found = BTreeSet::new();
            for list in all.iter().filter(|operation| operation.method == "get" && !operation.path.contains('{')) {
                if !links(&document, list, "200").is_empty() {
                    let reply = client.get(&list.path).await;
                    follow(&client, &document, &all, list.id(), &reply.body.clone(), &mut found).await;
                }
            }
            all_found.append(&mut found);
        }
        let expected = ["get_appointment", "get_patient", "get_practitioner", "list_slots", "get_intake_summary", "list_consents", "get_user"];
        for read in expected {
            assert!(all_found.contains(read), "{read} was not found by links: {all_found:?}");
        }
    }
}
