//! Families and carers: who acts for a patient, how access is granted, and when it ends.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::patients::unverified;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::families::{PASSWORD, access, confirm, person, registered, registration, rosa};
use crate::support::{App, Client, both};

/// A response without the names of the fields that its reader may not answer, which are the same for all such readers.
fn without_closed_fields(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let open = members.iter().filter(|(name, _)| *name != "clinician_only_fields");
            Value::Object(open.map(|(name, value)| (name.clone(), without_closed_fields(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_closed_fields).collect()),
        other => other.clone(),
    }
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
        // The parent consents for the child, in her own name.
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

        // She becomes a patient herself: with her own address, and only once.
        let mut own = person("Rosa", "1980-01-01");
        own["relation"] = json!("self");
        own["email"] = json!("somebody@example.org");
        rosa.post("/v1/patients", own.clone()).await.invalid("/email", "not_the_account");
        own["email"] = Value::Null;
        assert_eq!(rosa.post("/v1/patients", own.clone()).await.expect(201).body["email"], "rosa@example.org");
        rosa.post("/v1/patients", own).await.problem(409, "own_record_exists");

        // The front desk needs no relation, and patients cannot search.
        app.desk().await.post("/v1/patients", mia.clone()).await.invalid("/relation", "forbidden_field");
        rosa.get("/v1/patients").await.problem(403, "role_forbidden");
    }

    async fn an_account_adds_at_most_ten_people(app: App) {
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

    async fn registering_again_replaces_an_unverified_registration(app: App) {
        let desk = app.desk().await;
        // A stranger registered first, with another person's address.
        let stranger = registration("ann@example.org", "caregiver", "Mallory", person("Mallory", "1990-01-01"));
        app.anon().post("/v1/registrations", stranger).await.expect(202);
        let old = app.mails_to("ann@example.org").await[0].token();
        let ann = registered(&app, registration("Ann@example.org", "self", "Ann", person("Ann", "1967-09-14"))).await;
        let me = ann.get("/v1/me").await;
        assert_eq!(me.body["patients"].as_array().map(Vec::len), Some(1));
        assert_eq!((me.string("/patients/0/display_name"), me.string("/patients/0/relation")), ("Ann Example".into(), "self".into()));
        app.anon().post("/v1/email-verifications", json!({"token": old})).await.invalid("/token", "invalid_token");
        assert!(desk.get("/v1/patients?q=mallory").await.items().is_empty());

        // A record that the front desk has used stays, without an account.
        let tess = registration("tess@example.org", "self", "Tess", person("Tess", "1970-01-01"));
        app.anon().post("/v1/registrations", tess.clone()).await.expect(202);
        let record = desk.get("/v1/patients?q=tess").await.items()[0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/patients/{record}");
        desk.update(&path, json!({"phone": "+12025550177"})).await.expect(200);
        let tess = registered(&app, tess).await;
        assert_ne!(tess.get("/v1/me").await.string("/patients/0/id"), record);
        desk.get(&path).await.expect(200);
        tess.get(&path).await.problem(404, "not_found");
    }

    async fn removing_a_record_covers_every_table_that_refers_to_patients(app: App) {
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
        let mut known = [unverified::KEEPERS, unverified::LATER, unverified::OWN].concat();
        found.sort();
        known.sort_unstable();
        assert_eq!(found, known, "put the new table into one of the lists in src/patients/unverified.rs");
    }

    async fn access_that_the_desk_grants_verifies_or_revokes_takes_effect_at_once(app: App) {
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
        assert_eq!(linked.location(), format!("{}/{}", access(&tim), paul.user_id));
        paul.get(&record).await.expect(200);

        // Rosa's relation is unverified until the front desk verifies it.
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
        rosa.delete(&path).await.problem(403, "patient_only");
        desk.delete(&format!("{}/nonsense", access(&tim))).await.problem(404, "not_found");
        desk.delete(&path).await.expect(204);
        desk.delete(&path).await.problem(404, "not_found");
        paul.get(&record).await.problem(404, "not_found");
        assert_eq!(paul.get("/v1/me").await.body["patients"].as_array().map(Vec::len), Some(1));
    }

    async fn an_address_that_an_account_enters_gets_no_mail_before_the_desk_confirms_it(app: App) {
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

    async fn a_parent_gets_mails_about_a_childs_visits_until_the_child_is_of_age(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let mut child = person("Tim", "2010-07-04");
        child["email"] = json!("tim@example.org");
        child["preferred_language"] = json!("es");
        let rosa = registered(&app, registration("rosa@example.org", "parent", "Rosa Example", child)).await;
        let tim = rosa.get("/v1/me").await.string("/patients/0/id");
        let paul = registered(&app, registration("paul@example.org", "parent", "Paul Example", person("Leo", "2012-03-03"))).await;
        desk.post(&access(&tim), json!({"email": "paul@example.org", "relation": "parent"})).await.expect(201);
        let slot = free_slots(&rosa, &clinic.check).await.remove(0);
        let booking = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": tim});
        let visit = rosa.post_with("/v1/appointments", booking, &[("Idempotency-Key", "b1")]).await.expect(201).id();
        // Both parents, each in the language of the account; the boy's own address is not confirmed.
        let to_rosa = app.mails_to("rosa@example.org").await.pop().expect("a mail");
        assert!(to_rosa.text.starts_with("Hola, Rosa Example:") && to_rosa.text.contains("Tim"), "{}", to_rosa.text);
        let to_paul = app.mails_to("paul@example.org").await.pop().expect("a mail");
        assert!(to_paul.text.contains("Dear Paul Example") && to_paul.text.contains("Tim"), "{}", to_paul.text);
        assert!(app.mails_to("tim@example.org").await.is_empty());
        paul.post(&format!("/v1/appointments/{visit}/cancel"), json!({"reason": "ill"})).await.expect(200);
        let (mails, kinds) = (app.mails_to("rosa@example.org").await, ["verification", "access for Paul", "booking", "cancellation"]);
        assert_eq!(mails.len(), kinds.len());

        // The front desk confirms the boy's address.
        let path = format!("/v1/patients/{tim}");
        desk.update(&path, json!({"email": "tim@example.org"})).await.expect(200);
        let tell = async || legwork::patients::access::coming_of_age::notify_all(&app.env).await.expect("told");
        app.clock.set("2028-06-04T03:59:59Z".parse().expect("an instant"));
        assert_eq!(tell().await, 0);
        app.clock.advance(SignedDuration::from_secs(1));
        assert_eq!((tell().await, tell().await), (1, 0), "once");
        for (address, said) in [("rosa@example.org", "4 de julio de 2028"), ("paul@example.org", "July 4, 2028"), ("tim@example.org", "4 de julio de 2028")] {
            let mails = app.mails_to(address).await;
            let mail = mails.last().expect("a mail");
            assert!(mail.text.contains(said), "{}", mail.text);
        }
        assert_eq!(app.mails_to("tim@example.org").await.len(), 1);

        app.clock.set("2028-07-04T12:00:00Z".parse().expect("an instant"));
        rosa.get(&path).await.problem(404, "not_found");
        desk.post(&format!("{path}/invitations"), json!({"email": "rosa@example.org", "relation": "self"})).await
            .problem(409, "other_relation");
        desk.post(&format!("{path}/invitations"), json!({"email": "tim@example.org", "relation": "self"})).await.expect(202);
        let token = app.mails_to("tim@example.org").await.last().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        let young = app.anon().sign_in("tim@example.org", PASSWORD).await;
        confirm(&app, &tim, &young.user_id).await;
        let me = young.get("/v1/me").await;
        assert_eq!((me.string("/patients/0/id"), me.string("/patients/0/relation")), (tim.clone(), "self".into()));
        young.get(&format!("/v1/appointments/{visit}")).await.expect(200);
        assert_eq!(young.get(&access(&tim)).await.items().len(), 1, "what has ended is not shown");
    }

    async fn a_carer_acts_for_a_patient_without_an_address(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let mut mother = person("Edna", "1938-05-05");
        mother["email"] = json!("stranger@example.org");
        mother["phone"] = json!("+12025550188");
        let carl = registered(&app, registration("carl@example.org", "caregiver", "Carl Example", mother)).await;
        let me = carl.get("/v1/me").await;
        let edna = me.string("/patients/0/id");
        assert_eq!(me.body["patients"][0]["ends_on"], Value::Null);
        let book = async |client: &Client, key: &str| {
            let slot = free_slots(client, &clinic.check).await.remove(0);
            let booking = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": edna});
            client.post_with("/v1/appointments", booking, &[("Idempotency-Key", key)]).await.expect(201).id()
        };
        book(&carl, "1").await;
        assert!(app.mails_to("carl@example.org").await.last().expect("a mail").text.contains("Edna"));
        assert!(app.mails_to("stranger@example.org").await.is_empty());
        // The carer sees and fills in the forms of an adult.
        let intake = carl.post(&format!("/v1/patients/{edna}/intakes"), json!({"form": "rls-history"})).await.expect(201).location();
        carl.update(&intake, json!({"answers": {"safety": {"self_harm_thoughts": "no"}}})).await.expect(200);
        assert_eq!(carl.get(&intake).await.body["answers"], json!({"safety": {"self_harm_thoughts": "no"}}));
        let refused = carl.post_empty(&format!("{intake}/submit")).await;
        assert!(!refused.problem(422, "validation_failed").to_string().contains("guardian_or_staff"));
        // Once the front desk enters her address, she gets the mails.
        let path = format!("/v1/patients/{edna}");
        desk.update(&path, json!({"email": "edna@example.org"})).await.expect(200);
        book(&carl, "2").await;
        assert_eq!(app.mails_to("edna@example.org").await.len(), 1);
        // Without a carer and an address, the front desk calls.
        desk.update(&path, json!({"email": null})).await.expect(200);
        desk.delete(&format!("{}/{}", access(&edna), carl.user_id)).await.expect(204);
        book(&desk, "3").await;
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!(calls.len(), 1, "{calls:?}");
    }

    async fn a_parent_fills_in_an_intake_for_a_child_and_does_not_see_clinician_only_answers(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let (doctor, desk) = (app.doctor().await, app.desk().await);
        let intake = rosa.post(&format!("/v1/patients/{tim}/intakes"), json!({"form": "rls-history"})).await.expect(201).location();
        let patch = async |client: &Client, answers: Value| {
            client.update(&intake, json!({"answers": answers})).await
        };
        patch(&rosa, json!({"safety": {"chest_pain_breathlessness": "no"}, "symptoms": {"urge_to_move_legs": "yes"}})).await.expect(200);
        patch(&rosa, json!({"safety": {"self_harm_thoughts": "no"}})).await.invalid("/answers/safety/self_harm_thoughts", "clinician_only");
        patch(&rosa, json!({"risk": {"pregnancy_status": "unknown"}})).await.invalid("/answers/risk/pregnancy_status", "clinician_only");
        patch(&doctor, json!({"safety": {"self_harm_thoughts": "yes"}})).await.expect(200);
        let seen = rosa.get(&intake).await;
        assert_eq!(seen.expect(200).body["answers"], json!({"safety": {"chest_pain_breathlessness": "no"}, "symptoms": {"urge_to_move_legs": "yes"}}));
        let summary = rosa.get(&format!("{intake}/summary")).await;
        let timeline = rosa.get(&format!("/v1/patients/{tim}/rls-timeline")).await;
        let saved = patch(&rosa, json!({"symptoms": {"worse_at_rest": "yes"}})).await;
        // Removing the section would remove the clinician-only answer.
        patch(&rosa, json!({"safety": null})).await.invalid("/answers/safety", "clinician_only");
        let refused = rosa.post_empty(&format!("{intake}/submit")).await;
        refused.problem(422, "validation_failed");
        for reply in [&seen, &summary, &timeline, &saved, &refused] {
            let text = without_closed_fields(&reply.body).to_string().to_lowercase();
            for word in ["self_harm", "self-harm", " 988", "crisis", "pregnan", "alcohol", "nicotine", "gambling"] {
                assert!(!text.contains(word), "{word} in {}", reply.text);
            }
        }
        assert_eq!(doctor.get(&intake).await.body["answers"]["safety"]["self_harm_thoughts"], "yes", "it is still there");
        rosa.get("/v1/intake-flags").await.problem(403, "role_forbidden");

        // The boy can read it with his own account, but not submit it.
        desk.post(&format!("/v1/patients/{tim}/invitations"), json!({"email": "tim@example.org", "relation": "self"})).await.expect(202);
        let token = app.mails_to("tim@example.org").await.pop().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        let young = app.anon().sign_in("tim@example.org", PASSWORD).await;
        confirm(&app, &tim, &young.user_id).await;
        young.post_empty(&format!("{intake}/submit")).await.invalid("/answers", "guardian_or_staff");

        // A birth date that makes an adult of the child opens nothing to the parent, be it a correction or a mistake.
        let record = format!("/v1/patients/{tim}");
        let paths = [intake.clone(), format!("{intake}/summary"), format!("{record}/export")];
        for born in ["1990-07-04", "2010-07-04"] {
            let etag = desk.get(&record).await.etag();
            desk.patch(&record, &etag, json!({"date_of_birth": born})).await.expect(200);
            for path in &paths {
                rosa.get(path).await.problem(404, "not_found");
            }
        }
        // Nor does access that a second member of the staff confirms for a minor.
        confirm(&app, &tim, &rosa.user_id).await;
        for path in &paths {
            let reply = rosa.get(path).await;
            let text = without_closed_fields(&reply.expect(200).body).to_string();
            assert!(!text.contains("self_harm") && !text.contains(" 988"), "{text}");
        }
    }
}
