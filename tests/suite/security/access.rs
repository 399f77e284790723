//! Row 20: who grants an account access to a patient's record, who is notified, and who can stop it.

use jiff::SignedDuration;
use legwork::actor::Role;
use serde_json::{Value, json};

use crate::support::access::*;
use crate::support::people::patient_json;
use crate::support::{App, Patient, both};

both! {
    async fn row_20_an_account_other_than_the_adult_patients_has_no_access_before_a_second_staff_member_confirms(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        // Carl is a private account of a front-desk employee.
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        for relation in ["guardian", "parent", "caregiver"] {
            let given = give(&desk, &ann.patient_id, &carl, relation).await;
            assert_eq!(given.expect(201).body["confirmation_required"], true);
            reads_nothing(&carl, &ann.patient_id).await;
            assert_eq!(listed(&desk, &ann.patient_id, &carl).await["ended"], false);
            assert_eq!(listed(&ann, &ann.patient_id, &carl).await["confirmation_required"], true, "she sees who waits");
            // Neither the granting staff member nor the account itself is a second person.
            confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
            confirm(&carl, &ann.patient_id, &carl).await.problem(403, "role_forbidden");
            give(&desk, &ann.patient_id, &carl, relation).await.expect(201);
            give(&admin, &ann.patient_id, &carl, relation).await.expect(201);
            reads_nothing(&carl, &ann.patient_id).await;
            confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");

            let confirmed = confirm(&admin, &ann.patient_id, &carl).await;
            assert_eq!(confirmed.expect(200).body["confirmation_required"], false);
            assert_eq!(confirmed.string("/confirmed_by"), admin.user_id);
            reads_all(&carl, &ann.patient_id).await;
            confirm(&admin, &ann.patient_id, &carl).await.problem(409, "not_pending");
            // Verifying it again changes nothing.
            give(&desk, &ann.patient_id, &carl, relation).await.expect(201);
            reads_all(&carl, &ann.patient_id).await;
        }
        assert_eq!(told(&app, &ann.email).await.len(), 3, "once for each relation");
        let log = log(&ann).await;
        for operation in ["create_patient_access", "confirm_patient_access"] {
            assert!(log.iter().any(|entry| entry == operation), "{operation} in {log:?}");
        }
        // Changing a caregiver to a guardian needs a second person.
        let bob = app.patient("bob").await;
        help(&desk, &admin, &ann.patient_id, &bob).await;
        reads_all(&bob, &ann.patient_id).await;
        give(&admin, &ann.patient_id, &bob, "guardian").await.expect(201);
        reads_nothing(&bob, &ann.patient_id).await;
        confirm(&admin, &ann.patient_id, &bob).await.problem(403, "second_person_required");
        confirm(&desk, &ann.patient_id, &bob).await.expect(200);
        confirm(&desk, &ann.patient_id, &app.patient("eve").await).await.problem(404, "not_found");
    }

    async fn row_20_an_accepted_invitation_also_waits_for_a_second_staff_member(app: App) {
        let (desk, admin, ann) = (app.desk().await, app.admin().await, app.patient("ann").await);
        let path = format!("/v1/patients/{}/invitations", ann.patient_id);
        desk.post(&path, json!({"email": "carl@example.org", "relation": "guardian"})).await.expect(202);
        assert!(told(&app, &ann.email).await.is_empty(), "nothing is given yet");
        let token = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        let client = app.anon().sign_in("carl@example.org", PASSWORD).await;
        let carl = Patient { client, patient_id: String::new(), email: "carl@example.org".into() };
        reads_nothing(&carl, &ann.patient_id).await;
        let mail = told(&app, &ann.email).await.pop().expect("a mail");
        assert!(mail.text.contains("when a second member of our staff"), "{}", mail.text);
        confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
        confirm(&admin, &ann.patient_id, &carl).await.expect(200);
        reads_all(&carl, &ann.patient_id).await;
        assert!(log(&ann).await.iter().any(|entry| entry == "accept_invitation"));
    }

    async fn row_20_the_invitations_of_staff_whose_account_was_disabled_do_not_work(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let leaving = app.account("leaving@clinic.example", Role::FrontDesk, None).await;
        let desk = app.anon().sign_in("leaving@clinic.example", crate::support::people::PASSWORD).await;
        let path = format!("/v1/patients/{}/invitations", ann.patient_id);
        desk.post(&path, json!({"email": "carl@example.org", "relation": "guardian"})).await.expect(202);
        let token = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        let accept = async || {
            let body = json!({"token": token, "new_password": PASSWORD});
            app.anon().post("/v1/invitations/accept", body).await
        };
        let account = format!("/v1/users/{leaving}");
        admin.update(&account, json!({"disabled": true})).await.expect(200);
        accept().await.invalid("/token", "invalid_token");
        admin.update(&account, json!({"disabled": false})).await.expect(200);
        accept().await.expect(204);
    }

    async fn row_20_a_practitioner_grants_access_for_a_patient_they_treat_or_with_a_reason(app: App) {
        app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        let body = json!({"email": carl.email, "relation": "caregiver"});
        let (link, invite) = (access(&ann.patient_id), format!("/v1/patients/{}/invitations", ann.patient_id));
        for path in [&link, &invite] {
            doctor.post(path, body.clone()).await.problem(403, "reason_required");
        }
        give(&app.desk().await, &ann.patient_id, &carl, "guardian").await.expect(201);
        confirm(&doctor, &ann.patient_id, &carl).await.problem(403, "reason_required");
        reads_nothing(&carl, &ann.patient_id).await;
        assert!(app.mails_to(&carl.email).await.is_empty());
        doctor.post_with(&invite, body, &[REASON]).await.expect(202);
        let opened = app.admin().await.get("/v1/audit-events?operation=open_record").await.items();
        assert_eq!((opened.len(), &opened[0]["reason"]), (1, &json!(REASON.1)));
        confirm(&doctor, &ann.patient_id, &carl).await.expect(200);
        reads_all(&carl, &ann.patient_id).await;
    }

    async fn row_20_the_patient_and_all_with_access_are_notified_and_the_new_account_is_not(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        app.clinic().await;
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        help(&desk, &admin, &ann.patient_id, &bob).await;
        give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
        let to_ann = told(&app, &ann.email).await;
        assert_eq!(to_ann.len(), 2);
        let said = "our staff entered an account for access to your record with Legwork Vein Clinic, as your guardian.";
        assert!(to_ann[1].text.contains("On Monday, March 2, 2026,") && to_ann[1].text.contains(said) && to_ann[1].text.contains("(202) 555-0100"), "{}", to_ann[1].text);
        let to_bob = told(&app, &bob.email).await;
        assert_eq!(to_bob.len(), 1);
        assert!(to_bob[0].text.contains("to ann's record") && to_bob[0].text.contains("as ann's guardian"), "{}", to_bob[0].text);
        assert!(app.mails_to(&carl.email).await.is_empty());
        for mail in to_ann.iter().chain(&to_bob) {
            let all = format!("{}\n{}\n{}", mail.subject, mail.text, mail.html).to_lowercase();
            for secret in ["carl", &ann.patient_id, "tester's", "restless", "intake", "timeline"] {
                assert!(!all.contains(secret), "{secret} in {all}");
            }
        }
        // A waiting account gets no further notices, because it has no access yet.
        let dan = app.patient("dan").await;
        give(&admin, &ann.patient_id, &dan, "caregiver").await.expect(201);
        assert!(told(&app, &carl.email).await.is_empty());
        assert_eq!(told(&app, &bob.email).await.len(), 2);

        // Edna is called if she has no address, or only that of the new account.
        for (name, email) in [("Edna", Value::Null), ("Elsa", json!(carl.email))] {
            let mut body = patient_json(name, "");
            body["email"] = email;
            let patient = desk.post("/v1/patients", body).await.expect(201).id();
            give(&desk, &patient, &carl, "caregiver").await.expect(201);
            let calls = desk.get("/v1/messages?status=to_phone").await.items();
            let call = calls.iter().find(|call| call["patient_id"] == patient).expect("a call");
            let words = call["to_say"].as_str().expect("words");
            assert!(words.contains(name) && words.contains("as your carer") && !words.contains("http"), "{words}");
        }
        assert!(app.mails_to(&carl.email).await.is_empty());
        // An own account with the address in the record is the patient. With another address it may be an impostor.
        for (address, mails) in [("fay@example.org", 0), ("mallory@example.org", 1)] {
            let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
            desk.post(&format!("/v1/patients/{fay}/invitations"), json!({"email": address, "relation": "self"})).await.expect(202);
            let token = app.mails_to(address).await.pop().expect("a mail").token();
            let body = json!({"token": token, "new_password": PASSWORD});
            app.anon().post("/v1/invitations/accept", body).await.expect(204);
            assert_eq!(told(&app, "fay@example.org").await.len(), mails, "{address}");
        }
    }

    async fn row_20_the_link_in_the_mail_stops_the_access_at_once(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        help(&desk, &admin, &ann.patient_id, &bob).await;
        // A guardian can be stopped before and after the confirmation.
        for is_confirmed in [false, true] {
            give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
            if is_confirmed {
                confirm(&admin, &ann.patient_id, &carl).await.expect(200);
                reads_all(&carl, &ann.patient_id).await;
            }
            let token = told(&app, &ann.email).await.pop().expect("a mail").token();
            object(&app, &token).await.expect(204);
            reads_nothing(&carl, &ann.patient_id).await;
            confirm(&admin, &ann.patient_id, &carl).await.problem(409, "not_pending");
            let seen = listed(&desk, &ann.patient_id, &carl).await;
            assert!(seen["ended"] == true && seen["stopped_at"].is_string(), "{seen}");
            assert!(!ann.get(&access(&ann.patient_id)).await.text.contains(&carl.user_id), "it is over");
            object(&app, &token).await.expect(204);
        }
        let log = log(&ann).await;
        assert_eq!(log.iter().filter(|entry| *entry == "create_access_objection").count(), 4, "{log:?}");
        object(&app, "x").await.invalid("/token", "invalid_token");
        // A link works even if the access of its recipient was revoked.
        help(&desk, &admin, &ann.patient_id, &carl).await;
        reads_all(&carl, &ann.patient_id).await;
        let bobs = told(&app, &bob.email).await.pop().expect("a mail").token();
        desk.delete(&format!("{}/{}", access(&ann.patient_id), bob.user_id)).await.expect(204);
        reads_all(&carl, &ann.patient_id).await;
        object(&app, &bobs).await.expect(204);
        reads_nothing(&carl, &ann.patient_id).await;
        // After her own account was stopped, the patient can have another one.
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        let posing = app.account("mallory@example.org", legwork::actor::Role::Patient, None).await;
        desk.post(&access(&fay), json!({"email": "mallory@example.org", "relation": "self"})).await.expect(201);
        let token = told(&app, "fay@example.org").await.pop().expect("a mail").token();
        object(&app, &token).await.expect(204);
        app.account("fay@example.org", legwork::actor::Role::Patient, None).await;
        desk.post(&access(&fay), json!({"email": "fay@example.org", "relation": "self"})).await.expect(201);
        let shown = desk.get(&access(&fay)).await.items();
        assert!(shown.iter().any(|item| item["user_id"] == posing.to_string() && item["ended"] == true), "{shown:#?}");
    }

    async fn row_20_only_an_adult_patient_stops_the_access_of_others(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        help(&desk, &admin, &ann.patient_id, &bob).await;
        help(&desk, &admin, &ann.patient_id, &carl).await;
        let path = |patient: &str, holder: &Patient| format!("{}/{}", access(patient), holder.user_id);
        app.patient("eve").await.delete(&path(&ann.patient_id, &carl)).await.problem(404, "not_found");
        bob.delete(&path(&ann.patient_id, &carl)).await.problem(403, "patient_only");
        reads_all(&carl, &ann.patient_id).await;
        ann.delete(&path(&ann.patient_id, &ann)).await.problem(409, "own_access");
        ann.delete(&path(&ann.patient_id, &carl)).await.expect(204);
        reads_nothing(&carl, &ann.patient_id).await;
        assert!(listed(&desk, &ann.patient_id, &carl).await["stopped_at"].is_string());
        assert!(log(&ann).await.iter().any(|entry| entry == "delete_patient_access"));
        // A minor cannot end the access of a parent, nor a parent that of the other.
        let kim = child(&desk, &bob).await;
        give(&desk, &kim, &carl, "parent").await.expect(201);
        let email = "kim@example.org";
        app.account(email, legwork::actor::Role::Patient, None).await;
        desk.post(&access(&kim), json!({"email": email, "relation": "self"})).await.expect(201);
        let own = app.anon().sign_in(email, crate::support::people::PASSWORD).await;
        admin.post_empty(&format!("{}/{}/confirm", access(&kim), own.user_id)).await.expect(200);
        own.delete(&path(&kim, &bob)).await.problem(403, "patient_only");
        bob.delete(&path(&kim, &carl)).await.problem(403, "patient_only");
    }

    async fn row_20_the_call_about_an_access_is_closed_by_another_staff_member_than_the_granting_one(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let carl = app.patient("carl").await;
        let mut edna = patient_json("Edna", "");
        edna["email"] = Value::Null;
        let edna = desk.post("/v1/patients", edna).await.expect(201).id();
        give(&desk, &edna, &carl, "caregiver").await.expect(201);
        app.clock.advance(SignedDuration::from_secs(1));
        // Changing the relation makes the changing staff member the granting one.
        give(&admin, &edna, &carl, "guardian").await.expect(201);
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!(calls.len(), 2, "{calls:#?}");
        for (call, giver, other) in [(&calls[1], &desk, &admin), (&calls[0], &admin, &desk)] {
            let path = format!("/v1/messages/{}/complete", call["id"].as_str().expect("an id"));
            giver.post(&path, json!({})).await.problem(403, "second_person_required");
            other.post(&path, json!({})).await.expect(200);
        }
    }

    async fn row_20_an_objection_overrides_a_parallel_confirmation(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        for _ in 0..8 {
            give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
            let token = told(&app, &ann.email).await.pop().expect("a mail").token();
            let (objected, confirmed) =
                futures_util::future::join(object(&app, &token), confirm(&admin, &ann.patient_id, &carl)).await;
            objected.expect(204);
            assert!([200, 409].contains(&confirmed.status), "{}", confirmed.text);
            reads_nothing(&carl, &ann.patient_id).await;
        }
    }
}
