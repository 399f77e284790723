//! Rows 2, 15 and 25: unknown members, control and bidirectional characters, and dependencies.

use serde_json::json;

use super::matrix;
use crate::support::people::patient_json;
use crate::support::{App, both};

/// Members that an attacker might try to set, with their values.
const HOPED_FOR: [(&str, &str); 7] = [
    ("is_admin", "true"),
    ("role", "\"admin\""),
    ("email_verified", "true"),
    ("patient_id", "\"0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55\""),
    ("user_id", "\"0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55\""),
    ("version", "7"),
    ("created_at", "\"2026-03-02T14:00:00Z\""),
];

both! {
    /// The bodies come from the document, so that no operation is left out.
    async fn row_02_every_operation_rejects_unknown_members(app: App) {
        let ann = app.patient("ann").await;
        let callers = [app.anon(), ann.client.clone(), app.desk().await, app.doctor().await, app.admin().await];
        let (mut asked, mut lax) = (0, Vec::new());
        for operation in matrix::operations() {
            let Some(body) = operation.body.as_ref().filter(|body| body.is_object()) else { continue };
            let path = operation.path.replace("{id}", &ann.patient_id).replace("{user_id}", &ann.user_id);
            let media = if operation.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            let headers = [("Content-Type", media), ("If-Match", "\"1\""), ("Idempotency-Key", "hopeful")];
            for (name, value) in HOPED_FOR {
                if !operation.is_unknown(name) {
                    continue;
                }
                let mut body = body.clone();
                body[name] = serde_json::from_str(value).expect("JSON");
                let mut refused = false;
                for caller in &callers {
                    let reply = caller.send(operation.method.clone(), &path, &headers, Some(body.clone())).await;
                    let errors = reply.body["errors"].as_array().cloned().unwrap_or_default();
                    refused |= reply.status == 422 && errors.iter().any(|error| error["code"] == "unknown_field");
                    if reply.status < 400 {
                        lax.push(format!("{} took `{name}`: {}", operation.id, reply.status));
                    }
                }
                if !refused {
                    lax.push(format!("{} accepts the unknown parameter `{name}`", operation.id));
                }
                asked += 1;
            }
        }
        assert!(asked > 200, "{asked}");
        assert!(lax.is_empty(), "{lax:#?}");
    }

    /// PostgreSQL cannot store it.
    async fn row_15_the_character_nul_is_no_fault_in_any_text(app: App) {
        let ann = app.patient("ann").await;
        let callers = [app.anon(), ann.client.clone(), app.admin().await];
        let mut faults = Vec::new();
        for operation in matrix::operations() {
            let Some(body) = operation.body.as_ref().and_then(|body| body.as_object()) else { continue };
            let path = operation.path.replace("{id}", &ann.patient_id).replace("{user_id}", &ann.user_id);
            let media = if operation.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            let headers = [("Content-Type", media), ("If-Match", "\"1\""), ("Idempotency-Key", "nul")];
            for (name, _) in body.iter().filter(|(_, value)| value.is_string()) {
                let mut body = body.clone();
                body[name] = json!("a\0b@example.org");
                for caller in &callers {
                    let reply = caller.send(operation.method.clone(), &path, &headers, Some(body.clone().into())).await;
                    if !(400..500).contains(&reply.status) {
                        faults.push(format!("{} with NUL in `{name}`: {}", operation.id, reply.status));
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
        let fields = [("slot_id", "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01"), ("visit_type_id", "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02"), ("form_key", "a\0b")];
        for path in ["/book/holds", "/book/registrations"] {
            let reply = app.anon().post_form(path, &fields, &[]).await;
            assert!(reply.status < 500, "{path}: {}", reply.status);
        }
    }

    async fn row_15_control_hidden_and_bidirectional_characters_in_names_and_addresses_are_rejected(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        for sign in ["\r\nBcc: x@y.example", "\n", "\r", "\0", "\u{85}", "\u{2028}", "\u{202e}", "\u{2066}", "\u{200f}", "\u{7f}", "\u{ad}", "\u{e000}", "\u{e0041}"] {
            for member in ["given_name", "family_name", "pronouns"] {
                let mut record = patient_json("Ann", "ann@patients.example");
                record[member] = json!(format!("A{sign}n"));
                desk.post("/v1/patients", record).await.invalid(&format!("/{member}"), "forbidden_character");
            }
            let staff = json!({"email": "d@clinic.example", "name": format!("Da{sign}na"), "role": "front_desk"});
            admin.post("/v1/users", staff).await.invalid("/name", "forbidden_character");
            for email in [format!("ann{sign}@patients.example"), format!("ann@patients{sign}.example")] {
                let mut record = patient_json("Ann", "ann@patients.example");
                record["email"] = json!(email);
                let reply = desk.post("/v1/patients", record).await;
                let errors = reply.problem(422, "validation_failed")["errors"].clone();
                assert!(errors.as_array().expect("errors").iter().any(|error| error["pointer"] == "/email"), "{errors}");
            }
        }
        assert!(app.mails().await.is_empty());
    }
}

#[test]
fn row_25_the_check_before_a_merge_audits_dependencies_and_builds_with_the_lock_file() {
    let run = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/run")).expect("the check");
    let mut commands = 0;
    for line in run.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some(at) = line.find("cargo ").filter(|_| !line.starts_with("cargo fmt") && !line.starts_with("echo"))
        else {
            continue;
        };
        assert!(line[at..].contains("--locked"), "{line}");
        commands += 1;
    }
    assert!(commands >= 6, "{commands}");
    for check in ["check bans licenses sources", "check advisories", "WERE NOT CHECKED"] {
        assert!(run.contains(check), "{check}");
    }
}
