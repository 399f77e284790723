//! Families and carers: who acts for whom, how they come to, and when it ends.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::patients::unverified;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::{App, Client, both};

const PASSWORD: &str = "violet otter hums at dawn";

/// Somebody who was born on this day.
fn person(name: &str, born: &str) -> Value {
    json!({
        "given_name": name, "family_name": "Example", "date_of_birth": born, "administrative_sex": "male",
        "preferred_language": "en", "interpreter_needed": false
    })
}

fn registration(email: &str, relation: &str, holder: &str, patient: Value) -> Value {
    json!({"email": email, "password": PASSWORD, "relation": relation, "name": holder, "patient": patient})
}

/// Registers, follows the link, signs in.
async fn registered(app: &App, body: Value) -> Client {
    let email = body["email"].as_str().expect("an address").to_owned();
    let password = body["password"].as_str().expect("a password").to_owned();
    app.anon().post("/v1/registrations", body).await.expect(202);
    let token = app.mails_to(&email).await.last().expect("a mail").token();
    app.anon().post("/v1/email-verifications", json!({"token": token})).await.expect(204);
    app.anon().sign_in(&email, &password).await
}

/// Rosa and her son Tim, who is fifteen until 2028-07-04 makes him eighteen.
async fn rosa(app: &App) -> (Client, String) {
    let rosa =
        registered(app, registration("rosa@example.org", "parent", "Rosa Example", person("Tim", "2010-07-04"))).await;
    let tim = rosa.get("/v1/me").await.string("/patients/0/id");
    (rosa, tim)
}

fn access(patient: &str) -> String {
    format!("/v1/patients/{patient}/access")
}

both! {
    async fn a_parent_registers_for_a_child_and_adds_another(app: App) {
        let mut body = registration("rosa@example.org", "parent", "Rosa García", person("Tim", "2010-07-04"));
        body["consents"] = json!([{"type": "treatment", "version": "1", "decision": "accepted"}]);
        let rosa = registered(&app, body).await;
        let me = rosa.get("/v1/me").await;
        assert_eq!(me.expect(200).body["user"]["name"], "Rosa García");
        let tim = &me.body["patients"][0];
        assert_eq!((&tim["relation"], &tim["relation_verified"], &tim["ends_on"]), (&json!("parent"), &json!(false), &json!("2028-07-04")));
        let tim = me.string("/patients/0/id");
        assert_eq!(rosa.get(&format!("/v1/patients/{tim}")).await.expect(200).body["email"], Value::Null, "not the parent's");
        // A parent decides for the child, in her own name.
        let consents = rosa.get(&format!("/v1/patients/{tim}/consents")).await.items();
        assert_eq!(consents[0]["signer"], "Rosa García");
        let path = format!("/v1/patients/{tim}/consents");
        let decision = |signer: Value| json!({"type": "privacy_notice", "version": "1", "decision": "accepted", "signer": signer});
        rosa.post(&path, decision(json!("Tim Example"))).await.invalid("/signer", "not_the_holder");
        assert_eq!(rosa.post(&path, decision(Value::Null)).await.expect(201).body["signer"], "Rosa García");

        let mut mia = person("Mia", "2014-02-28");
        rosa.post("/v1/patients", mia.clone()).await.invalid("/relation", "required");
        mia["relation"] = json!("parent");
        let key = [("Idempotency-Key", "mia")];
        let made = rosa.post_with("/v1/patients", mia.clone(), &key).await;
        made.expect(201);
        rosa.post_with("/v1/patients", mia.clone(), &key).await.expect(201);
        let me = rosa.get("/v1/me").await;
        assert_eq!(me.body["patients"].as_array().map(Vec::len), Some(2));
        assert_eq!((me.string("/patients/1/id"), me.string("/patients/1/ends_on")), (made.id(), "2032-02-28".into()));

        // She becomes a patient herself: with her own address, and once.
        let mut own = person("Rosa", "1980-01-01");
        own["relation"] = json!("self");
        own["email"] = json!("somebody@example.org");
        rosa.post("/v1/patients", own.clone()).await.invalid("/email", "not_the_account");
        own["email"] = Value::Null;
        assert_eq!(rosa.post("/v1/patients", own.clone()).await.expect(201).body["email"], "rosa@example.org");
        rosa.post("/v1/patients", own).await.problem(409, "own_record_exists");

        // The desk needs no relation, and a patient may not search.
        app.desk().await.post("/v1/patients", mia.clone()).await.invalid("/relation", "forbidden_field");
        rosa.get("/v1/patients").await.problem(403, "role_forbidden");
    }

    async fn an_account_adds_ten_people_and_no_more(app: App) {
        let (rosa, _) = rosa(&app).await;
        let mut child = person("Mia", "2014-02-28");
        child["relation"] = json!("parent");
        let posts = (0..12).map(|_| rosa.post("/v1/patients", child.clone()));
        let replies = futures_util::future::join_all(posts).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 9);
        for refused in replies.iter().filter(|reply| reply.status != 201) {
            refused.problem(409, "too_many_patients");
        }
    }

    async fn registering_again_leaves_nothing_of_an_unverified_registration(app: App) {
        let desk = app.desk().await;
        // A stranger was first, with an address and a record that are not theirs.
        let stranger = registration("ann@example.org", "caregiver", "Mallory", person("Mallory", "1990-01-01"));
        app.anon().post("/v1/registrations", stranger).await.expect(202);
        let old = app.mails_to("ann@example.org").await[0].token();
        let mut own = registration("Ann@example.org", "self", "Ann", person("Ann", "1967-09-14"));
        own["password"] = json!("amber heron folds paper");
        let ann = registered(&app, own).await;
        let me = ann.get("/v1/me").await;
        assert_eq!(me.body["patients"].as_array().map(Vec::len), Some(1));
        assert_eq!((me.string("/patients/0/display_name"), me.string("/patients/0/relation")), ("Ann Example".into(), "self".into()));
        app.anon().post("/v1/sessions", json!({"email": "ann@example.org", "password": PASSWORD})).await.expect(401);
        app.anon().post("/v1/email-verifications", json!({"token": old})).await.invalid("/token", "invalid_token");
        assert!(desk.get("/v1/patients?q=mallory").await.items().is_empty());

        // What the desk has begun to work with stays, but is nobody's.
        let tess = registration("tess@example.org", "self", "Tess", person("Tess", "1970-01-01"));
        app.anon().post("/v1/registrations", tess.clone()).await.expect(202);
        let record = desk.get("/v1/patients?q=tess").await.items()[0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/patients/{record}");
        let etag = desk.get(&path).await.etag();
        desk.patch(&path, &etag, json!({"phone": "+12025550177"})).await.expect(200);
        let tess = registered(&app, tess).await;
        assert_ne!(tess.get("/v1/me").await.string("/patients/0/id"), record);
        desk.get(&path).await.expect(200);
        tess.get(&path).await.problem(404, "not_found");
    }

    async fn every_table_that_refers_to_patients_is_known_to_whoever_removes_a_record(app: App) {
        #[derive(QueryableByName)]
        struct Name {
            #[diesel(sql_type = diesel::sql_types::Text)]
            name: String,
        }
        let names = app.db(|tx| Ok(match tx {
            legwork::db::Conn::Sqlite(tx) => diesel::sql_query(
                "SELECT DISTINCT m.name AS name FROM sqlite_master m, pragma_foreign_key_list(m.name) f
                 WHERE m.type = 'table' AND f.\"table\" = 'patients'").load::<Name>(tx)?,
            legwork::db::Conn::Postgres(tx) => diesel::sql_query(
                "SELECT DISTINCT conrelid::regclass::text AS name FROM pg_constraint
                 WHERE contype = 'f' AND confrelid = 'patients'::regclass").load::<Name>(tx)?,
        })).await;
        let mut found: Vec<_> = names.into_iter().map(|row| row.name).collect();
        let mut known = [unverified::KEEPERS, unverified::OWN].concat();
        found.sort();
        known.sort_unstable();
        assert_eq!(found, known, "put the new table into one of the lists in src/patients/unverified.rs");
    }

    async fn the_desk_links_verifies_and_takes_back_and_it_counts_at_once(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let paul = registered(&app, registration("paul@example.org", "parent", "Paul Example", person("Leo", "2012-03-03"))).await;
        let desk = app.desk().await;
        let record = format!("/v1/patients/{tim}");

        rosa.post(&access(&tim), json!({"email": "paul@example.org", "relation": "parent"})).await.problem(403, "role_forbidden");
        paul.get(&record).await.problem(404, "not_found");
        paul.get(&access(&tim)).await.problem(404, "not_found");
        desk.post(&access(&tim), json!({"email": "nobody@example.org", "relation": "parent"})).await.invalid("/email", "unknown_reference");
        desk.post(&access(&tim), json!({"email": "x", "relation": "parent"})).await.invalid("/email", "not_an_email");
        desk.post(&access(&tim), json!({"email": "paul@example.org", "relation": "uncle"})).await.invalid("/relation", "not_an_option");
        desk.post(&access(&tim), json!({"email": "desk@clinic.example", "relation": "parent"})).await.problem(409, "account_is_staff");
        let linked = desk.post(&access(&tim), json!({"email": "Paul@Example.org", "relation": "parent"})).await;
        assert_eq!((linked.expect(201).body["relation_verified"].clone(), linked.string("/ends_on")), (json!(true), "2028-07-04".into()));
        assert_eq!(linked.location(), access(&tim));
        paul.get(&record).await.expect(200);

        // Rosa's relation was her word only, until the desk has seen it.
        let seen = rosa.get(&access(&tim)).await.items();
        assert_eq!(seen.iter().map(|it| it["name"].clone()).collect::<Vec<_>>(), [json!("Rosa Example"), json!("Paul Example")]);
        assert_eq!((&seen[0]["email"], &seen[1]["email"], &seen[1]["granted_by"]), (&json!("rosa@example.org"), &Value::Null, &Value::Null));
        assert_eq!(seen[0]["relation_verified"], false);
        desk.post(&access(&tim), json!({"email": "rosa@example.org", "relation": "guardian"})).await.expect(201);
        let me = rosa.get("/v1/me").await;
        assert_eq!((me.string("/patients/0/relation"), me.body["patients"][0]["relation_verified"].clone()), ("guardian".into(), json!(true)));
        let shown = desk.get(&access(&tim)).await.items();
        assert_eq!((&shown[1]["email"], shown[1]["granted_by"].is_string()), (&json!("paul@example.org"), true));

        let path = format!("{}/{}", access(&tim), paul.user_id);
        rosa.delete(&path).await.problem(403, "role_forbidden");
        desk.delete(&format!("{}/nonsense", access(&tim))).await.problem(404, "not_found");
        desk.delete(&path).await.expect(204);
        desk.delete(&path).await.problem(404, "not_found");
        paul.get(&record).await.problem(404, "not_found");
        assert_eq!(paul.get("/v1/me").await.body["patients"].as_array().map(Vec::len), Some(1));
    }

    async fn access_to_a_child_ends_with_the_birthday_in_every_query(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app).await;
        let desk = app.desk().await;
        let slot = free_slots(&rosa, &clinic.check).await.remove(0);
        let booking = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": tim});
        let visit = rosa.post_with("/v1/appointments", booking, &[("Idempotency-Key", "b1")]).await;
        let visit = format!("/v1/appointments/{}", visit.expect(201).id());
        let intake = rosa.post(&format!("/v1/patients/{tim}/intakes"), json!({"form": "rls-history"})).await.expect(201).location();
        let paths = [
            format!("/v1/patients/{tim}"), format!("/v1/patients/{tim}/consents"), access(&tim), visit.clone(), format!("{visit}/history"),
            format!("{visit}/calendar.ics"), intake, format!("/v1/patients/{tim}/intakes"), format!("/v1/patients/{tim}/rls-timeline"),
        ];
        // 2028-07-04 begins at four o'clock UTC in New York.
        app.clock.set("2028-07-04T03:59:59Z".parse().expect("an instant"));
        for path in &paths {
            rosa.get(path).await.expect(200);
        }
        assert_eq!(rosa.get("/v1/appointments").await.items().len(), 1);
        app.clock.advance(SignedDuration::from_secs(1));
        for path in &paths {
            rosa.get(path).await.problem(404, "not_found");
        }
        assert!(rosa.get("/v1/appointments").await.items().is_empty());
        rosa.post(&format!("{visit}/cancel"), json!({"reason": "x"})).await.problem(404, "not_found");
        assert_eq!(rosa.get("/v1/me").await.body["patients"], json!([]));
        let shown = desk.get(&access(&tim)).await.items();
        assert_eq!((&shown[0]["ended"], &shown[0]["relation"]), (&json!(true), &json!("parent")));

        // He asks for her help: what the desk gives for an adult does not end by itself.
        desk.post(&access(&tim), json!({"email": "rosa@example.org", "relation": "caregiver"})).await.expect(201);
        assert_eq!(rosa.get(&paths[0]).await.expect(200).status, 200);
        assert_eq!(rosa.get("/v1/me").await.body["patients"][0]["ends_on"], Value::Null);
    }

    async fn a_corrected_birth_date_moves_the_end(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let desk = app.desk().await;
        let path = format!("/v1/patients/{tim}");
        for (born, ends_on) in [("2008-02-29", Some("2026-03-01")), ("2008-03-04", Some("2026-03-04")), ("2007-01-01", None), ("2010-08-04", Some("2028-08-04"))] {
            let etag = desk.get(&path).await.etag();
            desk.patch(&path, &etag, json!({"date_of_birth": born})).await.expect(200);
            if ends_on == Some("2026-03-01") {
                rosa.get(&path).await.problem(404, "not_found");
                continue;
            }
            assert_eq!(rosa.get("/v1/me").await.body["patients"][0]["ends_on"], json!(ends_on), "{born}");
        }
    }

    async fn no_address_that_an_account_enters_gets_mail_before_the_desk_confirms_it(app: App) {
        let desk = app.desk().await;
        let ann = app.patient("ann").await;
        let path = format!("/v1/patients/{}", ann.patient_id);
        let read = desk.get(&path).await;
        assert_eq!(read.body["email_confirmed"], true, "the desk entered it");
        let changed = ann.patch(&path, &read.etag(), json!({"email": "victim@example.org"})).await;
        assert_eq!(changed.expect(200).body["email_confirmed"], false);
        let kept = ann.patch(&path, &changed.etag(), json!({"pronouns": "she/her"})).await;
        assert_eq!(kept.expect(200).body["email_confirmed"], false);
        let confirmed = desk.patch(&path, &kept.etag(), json!({"email": "victim@example.org"})).await;
        assert_eq!(confirmed.expect(200).body["email_confirmed"], true);
    }
}
