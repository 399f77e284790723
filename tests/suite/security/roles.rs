//! The roles of each operation in the document (`x-roles`): they are those of the server, and are checked before anything of the request is
//! judged.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use crate::openapi::{Findings, Operation, document, operations};
use crate::support::{App, both};

/// The columns of `tests/data/authorisation.md` whose callers may do what their role may, with their role.
const COLUMNS: [(&str, &str); 4] =
    [("owner", "patient"), ("desk", "front_desk"), ("her doctor", "practitioner"), ("admin", "admin")];

fn roles(operation: &Operation) -> Option<BTreeSet<String>> {
    Some(operation.value.get("x-roles")?.as_object()?.keys().cloned().collect())
}

/// The verdicts of the authorisation table, by operation and column.
fn verdicts() -> BTreeMap<String, BTreeMap<String, String>> {
    let table = include_str!("../../data/authorisation.md");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect::<Vec<_>>();
    let mut rows = table.lines().filter(|line| line.starts_with('|')).map(cells);
    let head = rows.next().expect("a head");
    let rows = rows.filter(|row| row[0].starts_with('`'));
    rows.map(|row| {
        let named = head.iter().cloned().zip(row.iter().cloned()).skip(1).collect();
        (row[0].trim_matches('`').to_owned(), named)
    })
    .collect()
}

/// The test `row_01` compares the table with the server.
#[test]
fn row_01_the_document_names_exactly_the_roles_that_may_call_an_operation() {
    let (document, verdicts, mut findings) = (document(), verdicts(), Findings::default());
    for operation in operations(&document) {
        let id = operation.id();
        let Some(row) = verdicts.get(id) else { continue };
        let allowed = COLUMNS.iter().filter(|(column, _)| !["no", "sign in"].contains(&row[*column].as_str()));
        let allowed: BTreeSet<String> = allowed.map(|(_, role)| (*role).to_owned()).collect();
        match roles(&operation) {
            Some(named) => findings
                .require(named == allowed, || format!("{id}: {named:?} in the document, {allowed:?} by the server")),
            None => findings.require(row["nobody"] != "sign in", || format!("{id} needs a session and names no roles")),
        }
        let description = operation.value["description"].as_str().unwrap_or_default();
        for role in roles(&operation).iter().flatten() {
            findings.require(description.contains(&format!("`{role}`")), || {
                format!("{id}: the description does not name {role}")
            });
        }
    }
    findings.none();
}

both! {
    /// So a caller learns first what no other request would change.
    async fn row_01_a_role_that_may_never_call_an_operation_is_rejected_whatever_the_request_holds(app: App) {
        let document = document();
        let (ann, desk, doctor, admin) = (app.patient("ann").await, app.desk().await, app.doctor().await, app.admin().await);
        let callers = [("patient", ann.client.clone()), ("front_desk", desk), ("practitioner", doctor), ("admin", admin)];
        let (mut findings, mut rejected) = (Findings::default(), 0);
        for operation in operations(&document) {
            let Some(roles) = roles(&operation) else { continue };
            let method: Method = operation.method.to_uppercase().parse().expect("a method");
            let path: Vec<_> = operation.path.split('/').map(|part| if part.starts_with('{') { "nonsense" } else { part }).collect();
            let path = format!("{}?nonsense=1", path.join("/"));
            for (role, client) in callers.iter().filter(|(role, _)| !roles.contains(*role)) {
                let headers = [("Content-Type", "text/plain")];
                let reply = client.send_raw(method.clone(), &path, &headers, b"{\"nonsense\": ".to_vec()).await;
                findings.require(reply.status == 403 && reply.body["code"] == "role_forbidden", || format!("{role}: {}: {}", reply.request, reply.text));
                let named: BTreeSet<_> = reply.body["allowed_roles"].as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect();
                findings.require(named == roles, || format!("{role}: {}: {named:?}", reply.request));
                rejected += 1;
            }
        }
        findings.none();
        assert!(rejected > 100, "{rejected}");
        // A role that may call it is told what is wrong with the body.
        let reply = app.admin().await.post("/v1/locations", json!({"nonsense": 1})).await;
        reply.invalid("/nonsense", "unknown_field");
    }
}
