//! Who reads about a patient after a merge, and who learns of it.

use serde_json::json;

use crate::merging::{merge, merge_with, path, preview, record, undo};
use crate::support::families::{access, confirm};
use crate::support::people::patient_json;
use crate::support::{App, both};

both! {
    async fn no_account_gets_access_silently(app: App) {
        let desk = app.desk().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let kept = record(&desk, "Annabel").await;
        let old = ann.patient_id.clone();
        desk.post(&access(&old), json!({"email": bob.email, "relation": "caregiver"})).await.expect(201);
        confirm(&app, &old, &bob.user_id).await;
        bob.get(&path(&old)).await.expect(200);
        let seen = preview(&desk, &kept, &old).await;
        let shown: Vec<_> = seen.body["access"].as_array().expect("a list").iter().map(|it| (it["user_id"].clone(), it["movable"].clone())).collect();
        assert_eq!(shown.len(), 2);
        assert!(shown.iter().all(|(_, movable)| *movable == json!(true)), "{shown:?}");

        // Nobody is listed: their access ends, and they learn of it.
        let merged = merge(&desk, &kept, &old).await;
        merged.expect(201);
        for client in [&ann.client, &bob.client] {
            client.get(&path(&kept)).await.problem(404, "not_found");
            client.get(&path(&old)).await.problem(404, "not_found");
        }
        assert!(ann.get("/v1/me").await.body["patients"].as_array().expect("a list").is_empty());
        for email in [&ann.email, &bob.email] {
            let mail = app.mails_to(email).await.pop().expect("a mail");
            let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("ended the access of your account"), "{text}");
        }
        undo(&desk, &merged).await.expect(200);
        for client in [&ann.client, &bob.client] {
            client.get(&path(&old)).await.expect(200);
        }

        // A listed account gets access as staff give it: here a second member of the staff confirms it, and the patient is told.
        let merged = merge_with(&desk, &kept, &old, &[&ann.user_id]).await;
        merged.expect(201);
        ann.get(&path(&kept)).await.problem(404, "not_found");
        let given = desk.get(&format!("{}/{}", access(&kept), ann.user_id)).await;
        assert_eq!(given.expect(200).body["confirmation_required"], true);
        confirm(&app, &kept, &ann.user_id).await;
        ann.get(&path(&kept)).await.expect(200);
        ann.get(&path(&old)).await.problem(404, "not_found");
        bob.get(&path(&kept)).await.problem(404, "not_found");

        undo(&desk, &merged).await.expect(200);
        ann.get(&path(&kept)).await.problem(404, "not_found");
        ann.get(&path(&old)).await.expect(200);
        bob.get(&path(&old)).await.expect(200);
    }

    async fn a_merge_shows_the_accounts_of_the_record_that_remains_nothing_new(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (bob, victim) = (app.patient("bob").await, record(&desk, "Vic").await);
        let lab = json!({"test": "ferritin", "value": 41, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
        desk.post(&format!("{}/lab-results", path(&victim)), lab).await.expect(201);
        let refused = merge(&desk, &bob.patient_id, &victim).await;
        let conflicts = refused.problem(409, "merge_conflicts")["conflicts"].clone();
        assert_eq!(conflicts[0]["reason"], "other_accounts");
        assert_eq!(conflicts[0]["patient_object_id"], json!(bob.user_id));
        assert_eq!(preview(&desk, &bob.patient_id, &victim).await.body["conflicts"], conflicts);
        // The other way round, another member of the staff decides, and the patient is told.
        merge_with(&desk, &victim, &bob.patient_id, &[&bob.user_id]).await.expect(201);
        bob.get(&format!("{}/lab-results", path(&victim))).await.problem(404, "not_found");
        let confirmation = format!("{}/{}/confirm", access(&victim), bob.user_id);
        desk.post_empty(&confirmation).await.problem(403, "second_person_required");
        admin.post_empty(&confirmation).await.expect(200);
        bob.get(&format!("{}/lab-results", path(&victim))).await.expect(200);
    }

    async fn access_to_a_record_that_was_merged_waits_for_a_second_person(app: App) {
        let desk = app.desk().await;
        let (bob, rosa, victim) = (app.patient("bob").await, app.patient("rosa").await, record(&desk, "Vic").await);
        let mut child = patient_json("Tim", "tim@records.example");
        child["date_of_birth"] = json!("2018-07-04");
        let child = desk.post("/v1/patients", child).await.expect(201).id();
        let give = async |email: &str| desk.post(&access(&child), json!({"email": email, "relation": "parent"})).await;
        assert_eq!(give(&rosa.email).await.expect(201).body["confirmation_required"], false);
        desk.delete(&format!("{}/{}", access(&child), rosa.user_id)).await.expect(204);
        merge(&desk, &child, &victim).await.expect(201);
        assert_eq!(give(&bob.email).await.expect(201).body["confirmation_required"], true);
    }

    async fn the_end_of_access_to_a_record_ends_it_to_those_that_were_merged_into_it(app: App) {
        let (desk, rosa) = (app.desk().await, app.patient("rosa").await);
        let (survivor, duplicate) = (record(&desk, "Ella").await, record(&desk, "Elle").await);
        for patient in [&survivor, &duplicate] {
            desk.post(&access(patient), json!({"email": rosa.email, "relation": "caregiver"})).await.expect(201);
            confirm(&app, patient, &rosa.user_id).await;
        }
        let merged = merge(&desk, &survivor, &duplicate).await;
        merged.expect(201);
        rosa.get(&path(&survivor)).await.expect(200);
        rosa.get(&path(&duplicate)).await.problem(404, "not_found");
        undo(&desk, &merged).await.expect(200);
        rosa.get(&path(&duplicate)).await.expect(200);
        let merged = merge(&desk, &survivor, &duplicate).await;
        desk.delete(&format!("{}/{}", access(&survivor), rosa.user_id)).await.expect(204);
        for patient in [&survivor, &duplicate] {
            rosa.get(&path(patient)).await.problem(404, "not_found");
        }
        // An undo would give the access to the duplicate back.
        undo(&desk, &merged).await.problem(409, "used_since_merge");
    }

    async fn an_account_that_acts_for_both_in_another_relation_hinders_a_merge(app: App) {
        let desk = app.desk().await;
        let bob = app.patient("bob").await;
        let mut child = patient_json("Tim", "tim@records.example");
        child["date_of_birth"] = json!("2018-07-04");
        let child = desk.post("/v1/patients", child).await.expect(201).id();
        desk.post(&access(&child), json!({"email": bob.email, "relation": "parent"})).await.expect(201);
        let refused = merge(&desk, &bob.patient_id, &child).await;
        let conflicts = refused.problem(409, "merge_conflicts")["conflicts"].clone();
        assert_eq!(conflicts[0]["reason"], "other_accounts", "{conflicts}");
        assert_eq!(conflicts[0]["patient_object_id"], json!(bob.user_id));
    }

    async fn the_address_of_a_merged_record_learns_that_its_messages_go_elsewhere(app: App) {
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ella").await, record(&desk, "Elle").await);
        let merged = merge(&desk, &kept, &old).await;
        merged.expect(201);
        let mail = app.mails_to("elle@records.example").await.pop().expect("a mail");
        let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("joined your record") && text.contains("call us at once"), "{text}");
        assert!(app.mails_to("ella@records.example").await.is_empty());
        undo(&desk, &merged).await.expect(200);

        // Nothing changes for an address that both have.
        let shared = |name: &str| patient_json(name, "both@records.example");
        let mut ids = Vec::new();
        for name in ["Mara", "Mary"] {
            ids.push(desk.post("/v1/patients", shared(name)).await.expect(201).id());
        }
        merge(&desk, &ids[0], &ids[1]).await.expect(201);
        assert!(app.mails_to("both@records.example").await.is_empty());
    }
}
