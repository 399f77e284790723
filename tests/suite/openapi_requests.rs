//! The operations of the published document answer as it says, whatever is sent.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::openapi::{Findings, METHODS, Operation, document, operations};
use crate::support::{App, both};

/// A path with its parameters filled in.
fn filled(path: &str, id: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/")
}

const NOBODY: &str = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";

/// A request that is valid according to the document.
async fn call(
    client: &crate::support::Client,
    operation: &Operation,
    path: &str,
    body: Option<Value>,
) -> crate::support::Reply {
    let method: Method = operation.method.to_uppercase().parse().expect("a method");
    let mut headers = Vec::new();
    if let Some(content) = operation.value["requestBody"]["content"].as_object() {
        headers.push(("Content-Type", content.keys().next().expect("a media type").as_str()));
    }
    for parameter in operation.parameters().into_iter().filter(|parameter| parameter["in"] == "header") {
        match parameter["name"].as_str() {
            Some("If-Match") => headers.push(("If-Match", "\"1\"")),
            Some("Idempotency-Key") => headers.push(("Idempotency-Key", "a-key-of-the-sweep")),
            _ => {}
        }
    }
    let body = body.filter(|_| operation.value.get("requestBody").is_some());
    client.send(method, path, &headers, body).await
}

both! {
    /// The list comes from the document, so that no operation is left out.
    async fn operations_that_are_not_public_require_authentication_first(app: App) {
        let document = document();
        let anon = app.anon();
        let needs_session = |operation: &&Operation| !operation.is_public() && !operation.is_session_optional();
        for operation in operations(&document).iter().filter(needs_session) {
            for path in [filled(&operation.path, NOBODY), format!("{}?nonsense=1", filled(&operation.path, "nonsense"))] {
                for body in [json!({}), json!({"nonsense": 1}), json!([1])] {
                    call(&anon, operation, &path, Some(body)).await.problem(401, "unauthenticated");
                }
            }
        }
    }

    /// A caller whose session has ended must not take the answer for strangers for the own one.
    async fn operations_that_need_no_session_reject_a_token_that_does_not_work(app: App) {
        let document = document();
        let (anon, token) = (app.anon(), [("Authorization", "Bearer not-a-token")]);
        let optional: Vec<_> = operations(&document).into_iter().filter(Operation::is_session_optional).collect();
        assert!(optional.len() > 5, "{}", optional.len());
        for operation in optional {
            let method = operation.method.to_uppercase().parse().expect("a method");
            let reply = anon.send(method, &filled(&operation.path, NOBODY), &token, None).await;
            reply.problem(401, "unauthenticated");
        }
    }

    /// Also if a fixed segment matches the parameter of another path, which has the method.
    async fn every_path_accepts_its_methods_and_names_them_otherwise(app: App) {
        let document = document();
        let (anon, mut findings) = (app.anon(), Findings::default());
        for (path, item) in document["paths"].as_object().expect("paths") {
            let own: BTreeSet<_> = METHODS.iter().filter(|method| item.get(**method).is_some()).map(|method| method.to_uppercase()).collect();
            for method in METHODS.map(str::to_uppercase) {
                let reply = anon.send(method.parse().expect("a method"), &filled(path, NOBODY), &[], None).await;
                findings.require((reply.status == 405) != own.contains(&method), || format!("{method} {path}: {}", reply.status));
                if !own.contains(&method) {
                    let allowed: BTreeSet<_> = reply.header("allow").split(", ").filter(|it| !["HEAD", "OPTIONS"].contains(it)).map(str::to_owned).collect();
                    findings.require(allowed == own, || format!("{method} {path}: Allow: {}", reply.header("allow")));
                }
            }
        }
        findings.none();
    }

    async fn no_operation_answers_random_input_with_500(app: App) {
        let document = document();
        let (admin, desk, doctor, patient) = (app.admin().await, app.desk().await, app.doctor().await, app.patient("ann").await);
        let clients = [app.anon(), admin, desk, doctor, patient.client.clone()];
        let mut findings = Findings::default();
        for operation in operations(&document) {
            // Signing out would end the session of this test.
            if operation.id() == "delete_current_session" {
                continue;
            }
            let bodies = [json!({}), json!({"nonsense": 1}), json!([1]), json!("x"), json!(null)];
            let bodies = if operation.value.get("requestBody").is_some() { &bodies[..] } else { &bodies[..1] };
            for client in &clients {
                for path in [filled(&operation.path, NOBODY), filled(&operation.path, "nonsense"), format!("{}?nonsense=1", filled(&operation.path, NOBODY))] {
                    for body in bodies {
                        let reply = call(client, &operation, &path, Some(body.clone())).await;
                        // A token request has the errors of OAuth.
                        if reply.status >= 400 && operation.id() != "create_access_token" {
                            reply.problem(reply.status, &reply.string("/code"));
                        }
                        findings.require(reply.status < 500, || format!("{}: {}", reply.request, reply.text));
                        let strict = path.starts_with("/v1") && path.ends_with("?nonsense=1");
                        findings.require(!strict || reply.status >= 400, || format!("{} took an unknown parameter: {}", reply.request, reply.status));
                    }
                }
            }
        }
        findings.none();
    }
}
