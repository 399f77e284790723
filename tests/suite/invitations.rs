//! Invitations to act for a patient.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::families::{PASSWORD, access, confirm, person, registered, registration, rosa};
use crate::support::people::patient_json;
use crate::support::{App, both};

both! {
    async fn an_invitation_is_in_the_accounts_language_and_has_the_clinics_number(app: App) {
        app.clinic().await;
        let desk = app.desk().await;
        let mut child = person("Tim", "2010-07-04");
        child["preferred_language"] = json!("es");
        registered(&app, registration("rosa@example.org", "parent", "Rosa Example", child)).await;
        let ida = desk.post("/v1/patients", patient_json("Ida", "ida@example.org")).await.expect(201).id();
        let path = format!("/v1/patients/{ida}/invitations");
        for (address, said) in [("rosa@example.org", "llámenos al (202) 555-0100"), ("carl@example.org", "call us at (202) 555-0100")] {
            desk.post(&path, json!({"email": address, "relation": "caregiver"})).await.expect(202);
            let text = app.mails_to(address).await.pop().expect("a mail").text;
            assert!(text.contains(said), "{text}");
        }
    }

    async fn linking_an_account_that_has_another_record_explains_what_to_do(app: App) {
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let again = desk.post("/v1/patients", patient_json("Ann", "other@example.org")).await.expect(201).id();
        let own = json!({"email": ann.email, "relation": "self"});
        for path in [access(&again), format!("/v1/patients/{again}/invitations")] {
            let refused = desk.post(&path, own.clone()).await;
            let detail = refused.problem(409, "own_record_exists")["detail"].as_str().expect("a sentence");
            assert!(detail.contains("delete the account's `self` access to the other record first"), "{detail}");
        }
        desk.delete(&format!("{}/{}", access(&ann.patient_id), ann.user_id)).await.expect(204);
        desk.post(&access(&again), own).await.expect(201);
    }

    async fn a_patient_gets_an_account_by_an_invitation_that_works_once(app: App) {
        let desk = app.desk().await;
        let otto = desk.post("/v1/patients", patient_json("Otto", "otto@example.org")).await.expect(201).id();
        let path = format!("/v1/patients/{otto}/invitations");
        let invitation = json!({"email": "Otto@example.org", "relation": "self"});
        let accept = async |body: Value| app.anon().post("/v1/invitations/accept", body).await;

        // A stranger has registered the address and never verified it.
        app.anon().post("/v1/registrations", registration("otto@example.org", "self", "Mallory", person("Mallory", "1990-01-01"))).await.expect(202);
        desk.post(&path, json!({"email": "x", "relation": "self"})).await.invalid("/email", "not_an_email");
        desk.post("/v1/patients/0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01/invitations", invitation.clone()).await.problem(404, "not_found");
        app.patient("ann").await.post(&path, json!({"email": "otto@example.org", "relation": "caregiver"})).await.problem(404, "not_found");
        desk.post(&path, invitation.clone()).await.expect(202);
        let old = app.mails_to("Otto@example.org").await.pop().expect("a mail");
        assert!(old.text.contains("/accept-invitation#token=") && !old.text.contains("Otto"), "{}", old.text);
        desk.post(&path, invitation.clone()).await.expect(202);
        let token = app.mails_to("Otto@example.org").await.pop().expect("a mail").token();
        assert_ne!(old.token(), token);
        accept(json!({"token": old.token(), "new_password": "amber heron folds paper"})).await.invalid("/token", "invalid_token");
        accept(json!({"token": token})).await.invalid("/new_password", "required");
        accept(json!({"token": token, "new_password": "short"})).await.invalid("/new_password", "too_short");
        accept(json!({"token": token, "new_password": "amber heron folds paper"})).await.expect(204);
        accept(json!({"token": token, "new_password": "amber heron folds paper"})).await.invalid("/token", "invalid_token");
        let me = app.anon().sign_in("otto@example.org", "amber heron folds paper").await;
        let mine = me.get("/v1/me").await;
        assert_eq!(mine.body["patients"].as_array().map(Vec::len), Some(1), "nothing of the stranger's");
        assert_eq!((mine.string("/patients/0/id"), mine.body["patients"][0]["relation_verified"].clone()), (otto.clone(), json!(true)));
        app.anon().post("/v1/sessions", json!({"email": "otto@example.org", "password": PASSWORD})).await.expect(401);
        assert!(desk.get("/v1/patients?q=mallory").await.items().is_empty());
        desk.post(&path, json!({"email": "other@example.org", "relation": "self"})).await.problem(409, "own_account_exists");

        // An invitation is valid for a week, until it is revoked.
        let carer = json!({"email": "carl@example.org", "relation": "caregiver"});
        desk.post(&path, carer.clone()).await.expect(202);
        let late = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        app.clock.advance(SignedDuration::from_hours(24 * 7));
        accept(json!({"token": late, "new_password": PASSWORD})).await.invalid("/token", "invalid_token");
        desk.post(&path, carer.clone()).await.expect(202);
        let token = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        accept(json!({"token": token, "new_password": PASSWORD, "name": "Carl Carer"})).await.expect(204);
        let carl = app.anon().sign_in("carl@example.org", PASSWORD).await;
        desk.post(&path, carer).await.expect(202);
        let open = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        desk.delete(&format!("/v1/patients/{otto}/access/{}", carl.user_id)).await.expect(204);
        accept(json!({"token": open})).await.invalid("/token", "invalid_token");
        carl.get(&format!("/v1/patients/{otto}")).await.problem(404, "not_found");
    }

    async fn an_invitation_links_the_existing_account_of_the_address(app: App) {
        let (rosa, _) = rosa(&app).await;
        let desk = app.desk().await;
        let ida = desk.post("/v1/patients", patient_json("Ida", "ida@example.org")).await.expect(201).id();
        let path = format!("/v1/patients/{ida}/invitations");
        desk.post(&path, json!({"email": "desk@clinic.example", "relation": "caregiver"})).await.problem(409, "account_is_staff");
        desk.post(&path, json!({"email": "rosa@example.org", "relation": "caregiver"})).await.expect(202);
        rosa.get(&format!("/v1/patients/{ida}")).await.problem(404, "not_found");
        let token = app.mails_to("rosa@example.org").await.pop().expect("a mail").token();
        let accept = async |body: Value| app.anon().post("/v1/invitations/accept", body).await;
        accept(json!({"token": token, "new_password": "amber heron folds paper"})).await.invalid("/new_password", "not_an_option");
        accept(json!({"token": token})).await.expect(204);
        confirm(&app, &ida, &rosa.user_id).await;
        rosa.get(&format!("/v1/patients/{ida}")).await.expect(200);
        app.anon().sign_in("rosa@example.org", PASSWORD).await.get("/v1/me").await.expect(200);
    }
}
