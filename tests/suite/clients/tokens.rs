//! Access tokens by a secret: the way of an integrator, and the errors of OAuth.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::json;

use super::keys::Key;
use super::{GRANT, Machine, TOKEN, ask, refused};
use crate::support::booking::book;
use crate::support::{App, both, clinic, eventually};

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

both! {
    async fn an_integrator_gets_a_token_and_books_under_the_name_of_the_client(app: App) {
        let clinic = app.clinic().await;
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let scopes = ["slots:read", "appointments:write", "appointments:read"];
        let machine = Machine::new(&app, &scopes).await;

        let header = basic(&machine.id, &machine.secret);
        let by_header = app.anon().post_form(TOKEN, &[("grant_type", GRANT)], &[("Authorization", &header)]).await;
        let by_form = ask(&app, &machine.form(&[("scope", "slots:read")])).await;
        for (reply, scope) in [(&by_header, "appointments:read appointments:write slots:read"), (&by_form, "slots:read")] {
            assert_eq!(reply.expect(200).body["token_type"], "Bearer");
            assert_eq!((&reply.body["expires_in"], &reply.body["scope"]), (&json!(600), &json!(scope)));
            assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
            assert!(reply.body.get("refresh_token").is_none());
        }
        let caller = app.anon().with_token(&by_header.string("/access_token"));
        let slots = clinic::free_slots(&caller, &clinic.check).await;
        let visit = book(&caller, &slots[0], &clinic.check, &ann.patient_id).await;
        visit.expect(201);
        caller.get(&visit.location()).await.expect(200);

        // The audit trail and the history name it like a member of the staff.
        for operation in ["create_access_token", "create_appointment"] {
            let events = admin.get(&format!("/v1/audit-events?operation={operation}")).await.items();
            let event = &events[0];
            assert_eq!((&event["actor_id"], &event["actor_name"], &event["role"]), (&json!(machine.id), &json!("Telephone system"), &json!("front_desk")));
            assert_eq!(event["address"], "127.0.0.1");
        }
        let history = admin.get(&format!("{}/history", visit.location())).await;
        assert_eq!(history.items()[0]["actor_id"], machine.id.as_str());
        let shown = admin.get(&machine.path("")).await;
        assert_eq!(shown.expect(200).body["last_used_at"], "2026-03-02T14:00:00Z");
        assert_eq!(shown.body["secrets"][0]["last_used_at"], "2026-03-02T14:00:00Z");
        assert!(!shown.text.contains(&machine.secret));
        assert_eq!(admin.get("/v1/clients").await.items(), std::slice::from_ref(&shown.body));
        admin.get("/v1/clients?limit=1&cursor=x").await.invalid("?cursor", "invalid_cursor");
    }

    async fn a_token_request_is_refused_with_the_errors_of_oauth(app: App) {
        let machine = Machine::new(&app, &["slots:read", "events:read"]).await;
        let other = Machine::new(&app, &["slots:read"]).await;
        let (id, secret) = (machine.id.as_str(), machine.secret.as_str());
        let unknown = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";
        for (form, status, error) in [
            (vec![], 400, "invalid_request"),
            (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
            (vec![("grant_type", GRANT), ("client_id", id)], 401, "invalid_client"),
            (vec![("grant_type", GRANT), ("client_secret", secret)], 400, "invalid_request"),
            (machine.form(&[("grant_type", GRANT)]), 400, "invalid_request"),
            (machine.form(&[("client_assertion", "x")]), 400, "invalid_request"),
            (machine.form(&[("scope", "slots:write")]), 400, "invalid_scope"),
            (machine.form(&[("scope", "slots:read everything")]), 400, "invalid_scope"),
            (vec![("grant_type", GRANT), ("client_id", "no id"), ("client_secret", secret)], 401, "invalid_client"),
            (vec![("grant_type", GRANT), ("client_id", &other.id), ("client_secret", secret)], 401, "invalid_client"),
        ] {
            refused(&ask(&app, &form).await, status, error);
        }
        let json = app.anon().post(TOKEN, json!({"grant_type": GRANT})).await;
        refused(&json, 400, "invalid_request");
        let long = "x".repeat(20_000);
        refused(&ask(&app, &machine.form(&[("x", &long)])).await, 400, "invalid_request");

        // The secret of another client, a wrong secret, and an unknown client are alike.
        let by_header = async |id: &str, secret: &str| {
            app.anon().post_form(TOKEN, &[("grant_type", GRANT)], &[("Authorization", &basic(id, secret))]).await
        };
        let wrong = by_header(id, "a wrong secret").await;
        let nobody = by_header(unknown, "a wrong secret").await;
        for reply in [&wrong, &nobody] {
            refused(reply, 401, "invalid_client");
        }
        assert_eq!(wrong.text, nobody.text);
        let admin = app.admin().await;
        eventually(async || {
            let events = admin.get("/v1/audit-events?operation=create_access_token&outcome=refused").await.items();
            let is_noted = events.iter().any(|event| event["object_id"] == id && event["status"] == 401);
            if is_noted { Ok(()) } else { Err(format!("{events:?}")) }
        })
        .await;

        // Guesses are throttled by the address, alike for both, and never keep the right secret out.
        refused(&by_header(id, "the fifth failure").await, 401, "invalid_client");
        for id in [id, unknown] {
            let guess = by_header(id, "guess").await;
            refused(&guess, 429, "temporarily_unavailable");
            assert!(guess.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        }
        by_header(id, secret).await.expect(200);
        let guesses = join_all((0..16).map(|_| by_header(id, "guess"))).await;
        assert!(guesses.iter().all(|reply| reply.status == 429));
        by_header(id, secret).await.expect(200);
        refused(&app.anon_at("127.0.0.2").post_form(TOKEN, &[("grant_type", GRANT)], &[("Authorization", &basic(id, "guess"))]).await, 401, "invalid_client");
    }

    async fn a_client_is_created_by_administrators_with_valid_values(app: App) {
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        let body = json!({"name": "Robot", "role": "front_desk", "scopes": ["slots:read"]});
        app.anon().post("/v1/clients", body.clone()).await.problem(401, "unauthenticated");
        desk.post("/v1/clients", body.clone()).await.problem(403, "role_forbidden");
        ann.get("/v1/clients").await.problem(403, "role_forbidden");
        let with = |member: &str, value: serde_json::Value| {
            let mut body = body.clone();
            body[member] = value;
            body
        };
        for (member, value, pointer, code) in [
            ("role", json!("practitioner"), "/role", "not_an_option"),
            ("role", json!("patient"), "/role", "not_an_option"),
            ("scopes", json!([]), "/scopes", "out_of_range"),
            ("scopes", json!(["users:read"]), "/scopes/0", "not_an_option"),
            ("name", json!(" "), "/name", "required"),
            ("jwks", json!({"keys": [{"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}]}), "/jwks/keys/0", "wrong_value"),
        ] {
            let reply = admin.post("/v1/clients", with(member, value)).await;
            if member == "name" { reply.expect(422); } else { reply.invalid(pointer, code); }
        }
        let mut private = Key::p256().jwk("a");
        private["d"] = json!("AA");
        admin.post("/v1/clients", with("jwks", json!({"keys": [private]}))).await.invalid("/jwks/keys/0/d", "unknown_field");

        let created = admin.post("/v1/clients", body.clone()).await;
        assert_eq!(created.expect(201).body["client_secret"].as_str().expect("a secret").len(), 43);
        let keyed = Key::p384().jwk("a");
        let keyed = admin.post("/v1/clients", with("jwks", json!({"keys": [keyed]}))).await;
        assert!(keyed.expect(201).body["client_secret"].is_null());
        assert_eq!(keyed.body["secrets"], json!([]));
        assert_eq!(keyed.body["jwks"]["keys"][0]["kid"], "a");
        let changed = admin.update(&keyed.location(), json!({"name": " Machine ", "jwks": null})).await;
        assert_eq!((&changed.expect(200).body["name"], &changed.body["jwks"]), (&json!("Machine"), &json!(null)));
        admin.patch(&keyed.location(), "\"1\"", json!({"name": "Old"})).await.problem(412, "stale");
        admin.update(&keyed.location(), json!({"scopes": null})).await.invalid("/scopes", "wrong_type");
    }
}
