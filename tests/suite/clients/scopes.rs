//! What a client may do: within its role, its scopes and those of its token. It is no person.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::scopes::Scope;
use serde_json::{Value, json};

use super::{Machine, ask, lacks_scope};
use crate::openapi::{document, operations};
use crate::support::booking::book_nth;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, both};

#[test]
fn each_scope_opens_an_operation_and_the_document_says_which() {
    let document = document();
    let (mut used, mut closed) = (BTreeSet::new(), 0);
    for operation in operations(&document) {
        let tags: Vec<String> = serde_json::from_value(operation.value["tags"].clone()).expect("tags");
        let scope = Scope::of(operation.id(), &tags, operation.method == "get");
        used.extend(scope.map(Scope::as_str));
        let security = operation.value["security"].as_array().cloned().unwrap_or_default();
        let named = security.iter().find_map(|one| one["client_credentials"][0].as_str());
        let expected = scope.filter(|_| !operation.is_public()).map(Scope::as_str);
        assert_eq!(named, expected, "{}", operation.id());
        closed += u32::from(!operation.is_public() && named.is_none());
    }
    let all: BTreeSet<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    assert_eq!(used, all);
    assert!(closed > 30, "{closed}");
    let flow = &document["components"]["securitySchemes"]["client_credentials"]["flows"]["clientCredentials"];
    let described: BTreeSet<&str> = flow["scopes"].as_object().expect("scopes").keys().map(String::as_str).collect();
    assert_eq!((flow["tokenUrl"].as_str(), described), (Some("/oauth2/token"), all));
}

both! {
    async fn a_token_opens_what_its_scopes_and_the_role_of_the_client_permit(app: App) {
        let clinic = app.clinic().await;
        let admin = app.admin().await;
        let machine = Machine::new(&app, &["resources:read", "resources:write", "events:read", "patients:read"]).await;
        let narrow = ask(&app, &machine.form(&[("scope", "resources:read")])).await.expect(200).string("/access_token");
        let (narrow, wide) = (app.anon().with_token(&narrow), machine.caller(&app).await);
        for caller in [&narrow, &wide] {
            caller.get("/v1/resources").await.expect(200);
            lacks_scope(&caller.get("/v1/appointments").await, Some("appointments:read"));
        }
        lacks_scope(&narrow.get("/v1/events").await, Some("events:read"));
        wide.get("/v1/events").await.expect(200);
        // The role still decides, and the scope comes before everything else of the request.
        lacks_scope(&narrow.post("/v1/resources", json!({"nonsense": 1})).await, Some("resources:write"));
        wide.post("/v1/resources", json!({"name": "Scanner"})).await.problem(403, "role_forbidden");
        // A token without the scope does not make the caller staff where anybody may read.
        narrow.get("/v1/locations").await.expect(200);
        let as_anybody = app.anon().get(&format!("/v1/practitioners?identifier=x|{}", clinic.practitioner_id)).await;
        let as_client = narrow.get(&format!("/v1/practitioners?identifier=x|{}", clinic.practitioner_id)).await;
        assert_eq!(as_client.status, as_anybody.status);

        // What a client loses works no longer, at once. What it gains needs a new token.
        let stream = wide.get("/v1/events/stream").await;
        stream.expect(200);
        admin.update(&machine.path(""), json!({"scopes": ["resources:read", "slots:read"]})).await.expect(200);
        wide.get("/v1/events").await.problem(401, "unauthenticated");
        wide.get("/v1/resources").await.problem(401, "unauthenticated");
        narrow.get("/v1/resources").await.expect(200);
        let renewed = machine.caller(&app).await;
        renewed.get("/v1/resources").await.expect(200);
        app.clock.advance(SignedDuration::from_secs(600));
        renewed.get("/v1/resources").await.problem(401, "unauthenticated");
    }

    async fn a_client_that_may_not_read_appointments_reads_no_patients_in_changes_of_plans(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.expect(201);
        let role = |scopes: &[&str]| json!({"name": "Planner", "role": "admin", "scopes": scopes});
        let planner = Machine::of(&app, role(&["practitioners:read", "practitioners:write"])).await.caller(&app).await;
        let off = json!({"kind": "time_off", "starts_at": "2026-03-02T05:00:00Z", "ends_at": "2026-03-03T05:00:00Z", "reason": "Ill"});
        let exceptions = format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id);
        let added = planner.post(&exceptions, off.clone()).await;
        assert_eq!((&added.expect(201).body["affected_appointments"], &added.body["affected_total"]), (&json!([]), &json!(1)));
        let affected = format!("{}/affected-appointments", added.location());
        lacks_scope(&planner.get(&affected).await, Some("appointments:read"));
        // A token with fewer scopes does not get the stored response of one with more.
        let both = Machine::of(&app, role(&["practitioners:write", "appointments:read"])).await;
        let narrow = ask(&app, &both.form(&[("scope", "practitioners:write")])).await.expect(200).string("/access_token");
        let key = [("Idempotency-Key", "k1")];
        let wide = both.caller(&app).await.post_with(&exceptions, off.clone(), &key).await;
        assert_eq!(wide.expect(201).body["affected_appointments"].as_array().map(Vec::len), Some(1));
        app.anon().with_token(&narrow).post_with(&exceptions, off, &key).await.problem(422, "idempotency_key_reused");
        let reader = Machine::of(&app, role(&["appointments:read"])).await.caller(&app).await;
        assert_eq!(reader.get(&affected).await.expect(200).body["affected_appointments"][0]["patient"]["display_name"], "ann Tester");
    }

    async fn a_client_that_may_not_read_patients_is_not_shown_those_that_are_like_a_new_one(app: App) {
        let desk = app.desk().await;
        let known = patient_json("Rosa", "rosa@patients.example");
        desk.post("/v1/patients", known.clone()).await.expect(201);
        for (scopes, sees) in [(&["patients:write"][..], false), (&["patients:read", "patients:write"], true)] {
            let created = Machine::new(&app, scopes).await.caller(&app).await.post("/v1/patients", known.clone()).await;
            assert_eq!(created.expect(201).body.get("duplicates").is_some(), sees, "{}", created.text);
        }
    }

    async fn operations_about_persons_and_access_are_closed_to_clients(app: App) {
        let ann = app.patient("ann").await;
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let machine = Machine::of(&app, json!({"name": "All", "role": "admin", "scopes": scopes})).await;
        let caller = machine.caller(&app).await;
        let nobody = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";
        let document = document();
        let mut checked = 0;
        for operation in operations(&document) {
            let security = operation.value["security"].as_array().cloned().unwrap_or_default();
            let is_open = security.iter().any(|one| one.get("client_credentials").is_some());
            if operation.is_public() || is_open {
                continue;
            }
            let path = operation.path.split('/').map(|part| if part.starts_with('{') { nobody } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let method = operation.method.to_uppercase().parse().expect("a method");
            lacks_scope(&caller.send(method, &path, &[], Some(json!({}))).await, None);
            checked += 1;
        }
        assert!(checked > 30, "{checked}");
        for path in ["/v1/me", "/v1/sessions", "/v1/users", "/v1/clients", "/v1/audit-events"] {
            lacks_scope(&caller.get(path).await, None);
        }
        lacks_scope(&caller.post(&format!("/v1/patients/{}/access", ann.patient_id), json!({})).await, None);
        ann.get("/v1/me").await.expect(200);
    }

    async fn a_client_is_no_person(app: App) {
        let admin = app.admin().await;
        let machine = Machine::of(&app, json!({"name": "Robot", "role": "admin", "scopes": ["slots:read"]})).await;
        let address = format!("{}@clients.invalid", machine.id);
        let users = admin.get("/v1/users?limit=200").await.items();
        assert!(users.iter().all(|user| user["id"] != machine.id.as_str()) && !users.is_empty());
        let user = format!("/v1/users/{}", machine.id);
        admin.get(&user).await.problem(404, "not_found");
        admin.patch(&user, "\"1\"", json!({"disabled": true})).await.problem(404, "not_found");
        admin.get(&format!("{user}/sessions")).await.problem(404, "not_found");
        admin.delete(&format!("{user}/sessions")).await.problem(404, "not_found");
        admin.delete(&format!("{user}/second-factor")).await.problem(404, "not_found");
        // It is no other administrator.
        let me = format!("/v1/users/{}", admin.user_id);
        let others: Vec<Value> = users.into_iter().filter(|user| user["role"] == "admin" && user["id"] != admin.user_id.as_str()).collect();
        assert_eq!(others, Vec::<Value>::new());
        admin.update(&me, json!({"disabled": true})).await.problem(409, "last_admin");
        // Nobody signs in as it, and no mail goes to it.
        let sign_in = json!({"email": address, "password": PASSWORD});
        app.anon().post("/v1/sessions", sign_in).await.problem(401, "invalid_credentials");
        app.anon().post("/v1/password-resets", json!({"email": address})).await.invalid("/email", "not_an_email");
        let invited = json!({"email": address, "name": "Eve", "role": "admin"});
        admin.post("/v1/users", invited).await.invalid("/email", "not_an_email");
        let mails: i64 = app.db(move |tx| {
            use diesel::prelude::*;
            use legwork::db::schema::messages;
            Ok(messages::table.filter(messages::email.like("%clients.invalid")).count().get_result(tx)?)
        }).await;
        assert_eq!(mails, 0);
        // The database accepts no client with a password or the role of a patient.
        let id = machine.id.parse().expect("an id");
        let broken = app.env.db.write(move |tx| legwork::accounts::store::set_password(tx, id, "x", app_now())).await;
        assert!(broken.is_err());
        app.account("second@clinic.example", Role::Admin, None).await;
        admin.update(&me, json!({"disabled": true})).await.expect(200);
    }
}

fn app_now() -> legwork::clock::Timestamp {
    crate::support::START.parse().expect("an instant")
}
