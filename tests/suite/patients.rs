//! Patients: registration, records, search, merge patches, consents.

use diesel::connection::SimpleConnection;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::people::patient_json;
use crate::support::{App, Client, Engine, Reply, both};

fn registration(email: &str) -> Value {
    json!({
        "email": email,
        "relation": "self",
        "patient": {
            "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
            "preferred_language": "en", "interpreter_needed": false
        },
        "consents": [{"type": "treatment", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"}]
    })
}

/// A valid body with one member changed.
fn but(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    body.pointer_mut(parent).expect("the parent")[name] = value;
    body
}

/// Creates a record at the front desk with some members changed. Returns its id.
async fn record(desk: &Client, changes: Value) -> String {
    let mut body = patient_json("Ann", "ann@patients.example");
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let reply = desk.post("/v1/patients", body).await;
    reply.expect(201);
    reply.id()
}

/// The ids that a search finds, in its order.
async fn found(desk: &Client, query: &str) -> Vec<String> {
    let items = desk.get(&format!("/v1/patients?{query}")).await.items();
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

both! {
    async fn a_registered_account_can_sign_in_after_its_owner_sets_a_password(app: App) {
        let anon = app.anon();
        let reply = anon.post("/v1/registrations", registration("Ann@Example.org")).await;
        reply.expect(202);
        assert_eq!(reply.text, "");
        // The domain has no case.
        let mails = app.mails_to("Ann@example.org").await;
        assert_eq!(mails.len(), 1);

        let sign_in = json!({"email": "ann@example.org", "password": "violet otter hums at dawn"});
        anon.post("/v1/sessions", sign_in).await.expect(401);
        app.verified("Ann@example.org", "violet otter hums at dawn").await;
        let ann = anon.sign_in("ann@example.org", "violet otter hums at dawn").await;

        let me = ann.get("/v1/me").await;
        me.expect(200);
        assert_eq!(me.body["user"]["email"], "Ann@example.org");
        assert_eq!(me.body["user"]["role"], "patient");
        assert_eq!(me.body["patients"].as_array().map(Vec::len), Some(1));
        assert_eq!(me.body["patients"][0]["relation"], "self");
        assert_eq!(me.body["patients"][0]["display_name"], "Ann Example");
        let id = me.string("/patients/0/id");

        let patient = ann.get(&format!("/v1/patients/{id}")).await;
        patient.expect(200);
        assert_eq!(patient.body["email"], "Ann@example.org", "the account's address by default");
        assert_eq!(patient.body["mrn"], me.body["patients"][0]["mrn"]);
        assert_eq!(patient.body["consents_outstanding"], json!(["privacy_notice"]));
        let consents = ann.get(&format!("/v1/patients/{id}/consents")).await.items();
        assert_eq!(consents.len(), 1);
        assert_eq!(consents[0]["signer"], "Ann Example");
        assert_eq!(consents[0]["recorded_by"], Value::Null);
        assert_eq!(consents[0]["signed_at"], "2026-03-02T14:00:00Z");
    }

    async fn a_registration_does_not_reveal_whether_the_address_is_known(app: App) {
        let anon = app.anon();
        let first = anon.post("/v1/registrations", registration("ann@example.org")).await;
        let token = app.mails_to("ann@example.org").await[0].token();

        // Not verified yet: the registration and its link are replaced.
        let other = registration("ANN@example.org");
        let again = anon.post("/v1/registrations", other.clone()).await;
        let mails = app.mails_to("ANN@example.org").await;
        assert_eq!(mails.len(), 1);
        anon.post("/v1/email-verifications", json!({"token": token})).await.invalid("/token", "invalid_token");
        app.verified("ANN@example.org", "amber heron folds paper").await;
        let ann = anon.clone().sign_in("ann@example.org", "amber heron folds paper").await;

        // Verified: the address gets a mail, and nothing changes.
        let known = anon.post("/v1/registrations", other).await;
        let mails = app.mails_to("ANN@example.org").await;
        assert_eq!(mails.len(), 2);
        assert!(!mails[1].text.contains("/verify-email#"), "{}", mails[1].text);
        assert_eq!(ann.get("/v1/me").await.body["patients"].as_array().map(Vec::len), Some(1));
        assert_eq!(found(&app.desk().await, "q=ann%20example").await.len(), 1);

        for reply in [&first, &again, &known] {
            reply.expect(202);
            assert_eq!(reply.text, "");
            assert_eq!(reply.headers.keys().collect::<Vec<_>>(), first.headers.keys().collect::<Vec<_>>());
        }
    }

    async fn parallel_registrations_of_one_address_create_one_account(app: App) {
        let anon = app.anon();
        let posts: Vec<_> = (0..8).map(|_| {
            let anon = anon.clone();
            tokio::spawn(async move { anon.post("/v1/registrations", registration("ann@example.org")).await.status })
        }).collect();
        for post in posts {
            assert_eq!(post.await.expect("an answer"), 202);
        }
        assert_eq!(found(&app.desk().await, "q=example").await.len(), 1);
    }

    async fn a_repeated_registration_with_its_key_sends_one_mail(app: App) {
        let key = [("Idempotency-Key", "r-1")];
        for _ in 0..2 {
            let reply = app.anon().post_with("/v1/registrations", registration("ann@example.org"), &key).await;
            reply.expect(202);
        }
        assert_eq!(app.mails_to("ann@example.org").await.len(), 1);
        let other = but(registration("ann@example.org"), "/patient/interpreter_needed", json!(true));
        app.anon().post_with("/v1/registrations", other, &key).await.problem(422, "idempotency_key_reused");
    }

    async fn an_invalid_registration_gets_all_errors_and_changes_nothing(app: App) {
        let anon = app.anon();
        let mut body = registration("nobody");
        body["patient"]["given_name"] = json!("");
        body["patient"]["date_of_birth"] = json!("2026-03-04");
        body["patient"]["phone"] = json!("5");
        body["consents"][0]["version"] = json!("9");
        let reply = anon.post("/v1/registrations", body).await;
        for (pointer, code) in [
            ("/email", "not_an_email"),
            ("/patient/given_name", "required"),
            ("/patient/date_of_birth", "out_of_range"),
            ("/patient/phone", "invalid_phone"),
            ("/consents/0/version", "unknown_version"),
        ] {
            reply.invalid(pointer, code);
        }
        let good = registration("ann@example.org");
        for (pointer, value, at, code) in [
            ("/relation", json!("friend"), "/relation", "not_an_option"),
            ("/relation", json!("parent"), "/name", "required"),
            ("/patient/email", json!("bea@example.org"), "/patient/email", "not_the_account"),
            ("/patient/relation", json!("self"), "/patient/relation", "forbidden_field"),
            ("/role", json!("admin"), "/role", "unknown_field"),
            ("/patient/mrn", json!("LW-000001"), "/patient/mrn", "unknown_field"),
            ("/patient/ssn", json!("078-05-1120"), "/patient/ssn", "unknown_field"),
            ("/patient/interpreter_needed", json!("no"), "/patient/interpreter_needed", "wrong_type"),
            ("/patient/date_of_birth", json!("14.09.1967"), "/patient/date_of_birth", "wrong_type"),
            ("/patient/date_of_birth", json!("1967-09-14T10:00"), "/patient/date_of_birth", "wrong_type"),
            ("/patient/given_name", json!("Ann\r\nBcc: x@y.z"), "/patient/given_name", "forbidden_character"),
            ("/patient/family_name", json!("Ex\u{202e}ample"), "/patient/family_name", "forbidden_character"),
            ("/patient/family_name", json!("Ex\u{0}ample"), "/patient/family_name", "forbidden_character"),
            ("/consents/0/signer", json!("Bea Other"), "/consents/0/signer", "not_the_patient"),
            ("/consents/0/method", json!("paper"), "/consents/0/method", "not_an_option"),
            ("/password", json!("violet otter hums at dawn"), "/password", "unknown_field"),
        ] {
            let reply = anon.post("/v1/registrations", but(good.clone(), pointer, value.clone())).await;
            reply.invalid(at, code);
            if let Some(text) = value.as_str().filter(|text| text.len() > 8) {
                assert!(!reply.text.contains(text), "the value is not repeated");
            }
        }
        let twice = good.to_string().replacen("\"given_name\":", "\"given_name\":\"Bea\",\"given_name\":", 1);
        let json = [("Content-Type", "application/json")];
        anon.send_raw(Method::POST, "/v1/registrations", &json, twice.into_bytes()).await
            .invalid("/patient/given_name", "duplicate_field");
        let mut missing = good.clone();
        missing["patient"].as_object_mut().expect("an object").remove("family_name");
        anon.post("/v1/registrations", missing).await.invalid("/patient/family_name", "required");
        assert!(app.mails().await.is_empty());
        assert!(found(&app.desk().await, "").await.is_empty());
    }

    async fn row_08_record_numbers_are_unique_and_do_not_count_records(app: App) {
        let desk = app.desk().await;
        let body = patient_json("Ann", "ann@patients.example");
        let key = [("Idempotency-Key", "p-1")];
        let first = desk.post_with("/v1/patients", body.clone(), &key).await;
        first.expect(201);
        let digits = |reply: &Reply| reply.string("/mrn").replace("LW-", "").parse::<i64>().expect("digits");
        assert!(digits(&first) >= 10_000_000, "{}", first.text);
        assert_eq!(first.body["display_name"], "Ann Tester");
        assert_eq!(first.body["consents_outstanding"], json!(["treatment", "privacy_notice"]));
        assert_eq!(first.location(), format!("/v1/patients/{}", first.id()));
        let again = desk.post_with("/v1/patients", body.clone(), &key).await;
        again.expect(201);
        assert_eq!((again.body, again.headers.get("etag")), (first.body.clone(), first.headers.get("etag")));
        let second = desk.post("/v1/patients", body).await;
        assert!((digits(&second) - digits(&first)).abs() > 1, "{} {}", digits(&first), digits(&second));
        let read = desk.get(&first.location()).await;
        let mut made = first.body.clone();
        made.as_object_mut().expect("an object").remove("duplicates");
        assert_eq!((read.etag(), read.body), (first.etag(), made));
        let broken = json!({"given_name": "", "family_name": "", "date_of_birth": "1850-01-01", "administrative_sex": "female",
            "preferred_language": "", "interpreter_needed": false});
        let reply = desk.post("/v1/patients", broken).await;
        for pointer in ["/given_name", "/family_name", "/date_of_birth", "/preferred_language", "/phone"] {
            let errors = reply.problem(422, "validation_failed")["errors"].as_array().expect("errors");
            assert!(errors.iter().any(|error| error["pointer"] == pointer), "{pointer} in {}", reply.text);
        }
    }

    async fn every_member_of_a_record_is_read_back_as_written(app: App) {
        let desk = app.desk().await;
        let body = json!({
            "given_name": "Zoë", "family_name": "García", "middle_name": "Inés", "preferred_name": "Zo",
            "previous_names": ["Zoë Müller", "Zoë Łukasz"], "date_of_birth": "1967-09-14", "administrative_sex": "other",
            "phone": "+34912345678", "email": "zoe@example.org", "preferred_language": "es-ES", "interpreter_needed": true,
            "pronouns": "she/her", "sex_assigned_at_birth": "declined", "gender_identity": "woman",
            "race": ["asian", "white"], "ethnicity": "declined",
            "address": {"line1": "Calle Mayor 1", "city": "Madrid", "country": "ES", "postal_code": "28013"},
            "emergency_contact": {"name": "Rosa", "phone": "+34912345679"},
            "insurance": {"payer": "Example Mutual", "member_id": "7"}
        });
        let made = desk.post("/v1/patients", body.clone()).await;
        made.expect(201);
        let read = desk.get(&made.location()).await;
        for (name, value) in body.as_object().expect("an object") {
            assert_eq!(&read.body[name], value, "{name}");
        }
        assert_eq!(read.body["display_name"], "Zo García");
        assert_eq!(read.body["mononym"], false);
        // Members that no search needs are encrypted in the database.
        let sealed = app.db(|tx| {
            use diesel::prelude::*;
            use legwork::db::schema::patients;
            Ok(patients::table.select(patients::details).first::<Vec<u8>>(tx)?)
        }).await;
        for clear in ["Calle Mayor", "she/her", "asian", "Example Mutual", "Rosa"] {
            assert!(!sealed.windows(clear.len()).any(|window| window == clear.as_bytes()), "{clear}");
        }
    }

    async fn patients_are_found_by_parts_of_their_names_without_accents(app: App) {
        let desk = app.desk().await;
        let zoe = record(&desk, json!({"given_name": "Zoë", "middle_name": "María", "family_name": "García-López"})).await;
        let sean = record(&desk, json!({"given_name": "Seán", "family_name": "O'Brien", "preferred_name": "Johnny"})).await;
        let lukasz = record(&desk, json!({"given_name": "Łukasz", "family_name": "Straße", "previous_names": ["Łukasz Müller"]})).await;
        let yamada = record(&desk, json!({"given_name": "太郎", "family_name": "山田"})).await;
        for (q, whom) in [
            ("zoe", vec![&zoe]), ("GARC%C3%8DA", vec![&zoe]), ("lop%20zo", vec![&zoe]), ("garc%20mar", vec![&zoe]),
            ("garcia-lopez", vec![&zoe]), ("garcialopez", vec![&zoe]), ("rcia", vec![]), ("zoe%20brien", vec![]),
            ("obrien", vec![&sean]), ("o%27brien%20sean", vec![&sean]), ("john", vec![&sean]),
            ("strasse", vec![&lukasz]), ("lukasz%20muller", vec![&lukasz]), ("%E5%B1%B1", vec![&yamada]),
            ("zoe%25", vec![&zoe]), ("z_e", vec![]),
        ] {
            assert_eq!(found(&desk, &format!("q={q}")).await.iter().collect::<Vec<_>>(), whom, "{q}");
        }
        assert_eq!(found(&desk, "").await, [&yamada, &lukasz, &sean, &zoe].map(Clone::clone), "the newest first");
    }

    async fn patients_are_found_by_phone_birth_date_and_number(app: App) {
        let desk = app.desk().await;
        let ann = record(&desk, json!({"phone": "+12125550100", "date_of_birth": "1967-09-14"})).await;
        let bea = record(&desk, json!({"given_name": "Bea", "phone": "+442079460100", "date_of_birth": "1967-09-14"})).await;
        let cy = record(&desk, json!({"given_name": "Cy", "phone": null, "date_of_birth": "1980-02-29"})).await;
        let number = async |id: &str| desk.get(&format!("/v1/patients/{id}")).await.string("/mrn");
        let queries = [
            format!("mrn={}", number(&cy).await),
            format!("mrn={}", number(&bea).await.to_lowercase()),
            format!("mrn={}", number(&ann).await.replace("LW-", "")),
        ];
        for (query, whom) in [
            ("phone=0100", vec![&bea, &ann]), ("phone=555-0100", vec![&ann]), ("phone=%2B12125550100", vec![&ann]),
            ("phone=(212)%20555-0100", vec![&ann]), ("phone=+12125550100", vec![&ann]), ("phone=%2B2125550100", vec![]),
            ("phone=9999", vec![]), ("date_of_birth=1967-09-14", vec![&bea, &ann]), ("date_of_birth=1980-02-29", vec![&cy]),
            (queries[0].as_str(), vec![&cy]), (queries[1].as_str(), vec![&bea]), (queries[2].as_str(), vec![&ann]), ("mrn=77", vec![]),
            ("date_of_birth=1967-09-14&q=bea", vec![&bea]), ("phone=0100&date_of_birth=1980-02-29", vec![]),
        ] {
            assert_eq!(found(&desk, query).await.iter().collect::<Vec<_>>(), whom, "{query}");
        }
        for (query, pointer, code) in [
            ("phone=010", "?phone", "invalid_phone"), ("phone=anna", "?phone", "invalid_phone"), ("q=--", "?q", "wrong_value"),
            ("q=a%20b%20c%20d%20e%20f%20g%20h%20i%20j%20k", "?q", "too_many"), ("mrn=x", "?mrn", "wrong_value"),
            ("date_of_birth=yesterday", "?date_of_birth", "wrong_type"), ("limit=0", "?limit", "out_of_range"),
            ("cursor=zzz", "?cursor", "invalid_cursor"), ("name=ann", "?name", "unknown_parameter"),
        ] {
            desk.get(&format!("/v1/patients?{query}")).await.invalid(pointer, code);
        }
    }

    async fn the_pages_of_a_search_contain_every_match(app: App) {
        let desk = app.desk().await;
        let mut made = Vec::new();
        for _ in 0..5 {
            made.push(record(&desk, json!({})).await);
        }
        made.reverse();
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let page = desk.get(&format!("/v1/patients?q=ann&limit=2{next}")).await;
            seen.extend(page.items().iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            next = format!("&cursor={cursor}");
        }
        assert_eq!(seen, made);
    }

    async fn pages_of_several_words_keep_the_order_when_all_words_are_frequent_and_when_one_is_rare(app: App) {
        let desk = app.desk().await;
        let mut made = Vec::new();
        for number in 0..7 {
            let family_name = if number % 3 == 0 { "Rare-Example" } else { "Example" };
            made.push(record(&desk, json!({"given_name": "Ann Marie", "family_name": family_name})).await);
        }
        let number = desk.get(&format!("/v1/patients/{}", made[0])).await.string("/mrn");
        made.reverse();
        // Older patients, so many with either of two words that neither is rare.
        let mut conn = app.site.connect();
        let (at, middle, id) = if app.engine == Engine::Sqlite {
            ("i", "300", "randomblob(16)")
        } else {
            ("to_timestamp(i)", "to_timestamp(300)", "gen_random_uuid()")
        };
        let numbers = if app.engine == Engine::Sqlite {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) SELECT i FROM n"
        } else {
            "SELECT generate_series(1, 600) AS i"
        };
        conn.batch_execute(&format!(
            "CREATE TEMP TABLE crowd AS SELECT {id} AS id, {at} AS at FROM ({numbers}) AS n;
             INSERT INTO patients (id, mrn, family_name, date_of_birth, administrative_sex, email_confirmed, preferred_language,
                 interpreter_needed, details, identifiers, version, created_at, updated_at)
             SELECT crowd.id, 'M-' || CAST(at AS text), family_name, date_of_birth, administrative_sex, email_confirmed, preferred_language,
                 interpreter_needed, details, identifiers, version, at, at FROM crowd, patients WHERE patients.mrn = '{number}';
             INSERT INTO patient_name_prefixes SELECT CASE WHEN at > {middle} THEN 'ann' ELSE 'exa' END, at, id FROM crowd;"
        )).expect("a crowd");
        for (q, expected) in [
            ("exa%20ann", made.clone()),
            ("ann%20exa%20marie", made.clone()),
            ("exa%20ann%20rar", made.iter().step_by(3).cloned().collect()),
            ("ann%20exa%20rare%20nobody", vec![]),
        ] {
            let (mut seen, mut next) = (Vec::new(), String::new());
            loop {
                let page = desk.get(&format!("/v1/patients?q={q}&limit=2{next}")).await;
                seen.extend(page.items().iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
                let Some(cursor) = page.body["next_cursor"].as_str() else { break };
                next = format!("&cursor={cursor}");
            }
            assert_eq!(seen, expected, "{q}");
        }
    }

    async fn a_change_requires_the_current_version(app: App) {
        let desk = app.desk().await;
        let id = record(&desk, json!({"address": {"line1": "12 Elm Street", "line2": "Apt 4", "city": "Albany", "country": "US"}})).await;
        let path = format!("/v1/patients/{id}");
        let before = desk.get(&path).await;
        app.clock.advance(SignedDuration::from_mins(1));
        desk.patch(&path, "", json!({"phone": "+12125550199"})).await.problem(428, "precondition_required");
        let after = desk.patch(&path, &before.etag(), json!({
            "phone": "+1 212 555 0199", "family_name": "Müller", "address": {"line2": null, "city": "Troy"}, "pronouns": "they/them"
        })).await;
        after.expect(200);
        assert_ne!(after.etag(), before.etag());
        assert_eq!(after.body["phone"], "+12125550199");
        assert_eq!(after.body["address"], json!({"line1": "12 Elm Street", "city": "Troy", "country": "US"}));
        assert_eq!(after.body["updated_at"], "2026-03-02T14:01:00Z");
        assert_eq!(after.body["created_at"], before.body["created_at"]);
        desk.patch(&path, &before.etag(), json!({"phone": "+12125550198"})).await.problem(412, "stale");
        let read = desk.get(&path).await;
        assert_eq!((read.etag(), &read.body), (after.etag(), &after.body));
        assert_eq!(found(&desk, "q=muller").await, [id.as_str()]);
        assert!(found(&desk, "q=tester").await.is_empty());
        assert_eq!(found(&desk, "phone=0199").await, [id.as_str()]);

        for (patch, pointer, code) in [
            (json!({"mrn": "LW-000001"}), "/mrn", "forbidden_field"),
            (json!({"id": "x"}), "/id", "unknown_field"),
            (json!({"date_of_birth": "2027-01-01"}), "/date_of_birth", "out_of_range"),
            (json!({"family_name": null}), "/family_name", "wrong_type"),
            (json!({"email": null, "phone": null}), "/phone", "contact_required"),
            (json!({"insurance": {"plan": "Gold"}}), "/insurance/payer", "required"),
        ] {
            desk.patch(&path, &after.etag(), patch).await.invalid(pointer, code);
        }
        let plain = [("Content-Type", "application/json"), ("If-Match", "*")];
        desk.send(Method::PATCH, &path, &plain, Some(json!({}))).await.expect(200);
        assert_eq!(desk.get(&path).await.etag(), after.etag(), "nothing was changed");
    }

    async fn one_of_several_parallel_changes_succeeds(app: App) {
        let desk = app.desk().await;
        let id = record(&desk, json!({})).await;
        let tasks: Vec<_> = (0..8).map(|n| {
            let (desk, path) = (desk.clone(), format!("/v1/patients/{id}"));
            tokio::spawn(async move { desk.patch(&path, "\"1\"", json!({"preferred_name": format!("Ann{n} Bee")})).await.status })
        }).collect();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.expect("an answer"));
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    }

    async fn patients_change_their_contact_details_but_not_their_identity(app: App) {
        let ann = app.patient("ann").await;
        let path = format!("/v1/patients/{}", ann.patient_id);
        let etag = ann.get(&path).await.etag();
        let reply = ann.patch(&path, &etag, json!({
            "given_name": "Bea", "date_of_birth": "1990-01-01", "administrative_sex": "male", "mrn": "LW-000001", "phone": "+12125550199"
        })).await;
        for pointer in ["/given_name", "/date_of_birth", "/administrative_sex", "/mrn"] {
            reply.invalid(pointer, "forbidden_field");
        }
        let changed = ann.patch(&path, &etag, json!({"phone": "+12125550199", "preferred_name": "Annie", "preferred_language": "es"})).await;
        changed.expect(200);
        assert_eq!(changed.body["display_name"], "Annie Tester");
    }

    async fn records_of_other_patients_are_not_found(app: App) {
        let (ann, bea, anon) = (app.patient("ann").await, app.patient("bea").await, app.anon());
        let path = format!("/v1/patients/{}", bea.patient_id);
        let none = "/v1/patients/0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01";
        let consent = json!({"type": "treatment", "version": "1", "decision": "accepted"});
        for path in [path.as_str(), none, "/v1/patients/7"] {
            ann.get(path).await.problem(404, "not_found");
            ann.patch(path, "\"1\"", json!({"phone": "+12125550199"})).await.problem(404, "not_found");
            ann.get(&format!("{path}/consents")).await.problem(404, "not_found");
            ann.post(&format!("{path}/consents"), consent.clone()).await.problem(404, "not_found");
        }
        anon.get(&path).await.problem(401, "unauthenticated");
        anon.get("/v1/me").await.problem(401, "unauthenticated");
        ann.get("/v1/patients").await.problem(403, "role_forbidden");
        ann.post("/v1/patients", patient_json("x", "x@example.org")).await.invalid("/relation", "required");
        app.desk().await.get(none).await.problem(404, "not_found");
        assert_eq!(app.desk().await.get("/v1/me").await.body["patients"], json!([]));
    }

    async fn consents_are_added_and_never_overwritten(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let patient = format!("/v1/patients/{}", ann.patient_id);
        let path = format!("{patient}/consents");
        let outstanding = async || desk.get(&patient).await.body["consents_outstanding"].clone();
        let (treatment, privacy) = ("treatment", "privacy_notice");
        assert_eq!(outstanding().await, json!([treatment, privacy]));
        let etag = ann.get(&patient).await.etag();

        let not_obtained = json!({"type": treatment, "version": "1", "decision": "not_obtained", "method": "verbal"});
        desk.post(&path, not_obtained).await.expect(201);
        assert_eq!(outstanding().await, json!([treatment, privacy]), "no decision is stored");
        app.clock.advance(SignedDuration::from_mins(1));
        let key = [("Idempotency-Key", "c-1")];
        let accepted = json!({"type": treatment, "version": "1", "decision": "accepted"});
        for _ in 0..2 {
            let reply = ann.post_with(&path, accepted.clone(), &key).await;
            reply.expect(201);
            assert_eq!(reply.body["method"], "online");
            assert_eq!(reply.body["signer"], "ann Tester");
            assert_eq!(reply.body["recorded_by"], json!(ann.user_id));
            assert_eq!(reply.body["signed_at"], "2026-03-02T14:01:00Z");
        }
        assert_eq!(outstanding().await, json!([privacy]));
        let paper = json!({"type": treatment, "version": "1", "decision": "declined", "method": "paper", "signer": "A. Tester"});
        desk.post(&path, paper).await.expect(201);
        desk.post(&path, json!({"type": privacy, "version": "1", "decision": "declined", "method": "paper"})).await.expect(201);
        assert_eq!(outstanding().await, json!([]), "a no is a decision as well");
        assert_ne!(ann.get(&patient).await.etag(), etag, "what the record shows has changed");

        let decisions = async |query: &str| {
            let items = ann.get(&format!("{path}{query}")).await.items();
            items.iter().map(|item| item["decision"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(decisions("").await, ["not_obtained", "accepted", "declined", "declined"]);
        let page = ann.get(&format!("{path}?limit=3")).await;
        let next = page.string("/next_cursor");
        assert_eq!(decisions(&format!("?cursor={next}")).await, ["declined"]);

        for (body, pointer, code) in [
            (json!({"type": treatment, "version": "1", "decision": "accepted", "method": "paper"}), "/method", "not_an_option"),
            (json!({"type": treatment, "version": "1", "decision": "accepted", "signer": "Bea Other"}), "/signer", "not_the_patient"),
            (json!({"type": treatment, "version": "7", "decision": "accepted"}), "/version", "unknown_version"),
            (json!({"type": "research", "version": "1", "decision": "accepted"}), "/type", "not_an_option"),
            (json!({"type": treatment, "version": "1", "decision": "accepted", "signed_at": "2020-01-01T00:00:00Z"}), "/signed_at", "unknown_field"),
        ] {
            ann.post(&path, body).await.invalid(pointer, code);
        }
        desk.post(&path, json!({"type": treatment, "version": "1", "decision": "accepted"})).await.invalid("/method", "required");
    }

    async fn the_consent_documents_are_public_and_fall_back_to_english(app: App) {
        let anon = app.anon();
        for (query, language) in [("", "en"), ("?language=es-MX", "es"), ("?language=ES", "es"), ("?language=fr", "en")] {
            let items = anon.get(&format!("/v1/consent-documents{query}")).await.items();
            let types: Vec<_> = items.iter().map(|item| item["type"].clone()).collect();
            assert_eq!(types, ["treatment", "privacy_notice"]);
            for item in items {
                assert_eq!((&item["language"], &item["version"]), (&json!(language), &json!("1")), "{query}");
                assert!(item["text"].as_str().expect("text").starts_with("# "));
            }
        }
        anon.get("/v1/consent-documents?language=e").await.invalid("?language", "invalid_language");
    }
}
