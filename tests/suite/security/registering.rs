//! Row 9: who registers a stranger's address first gains nothing by it.

use diesel::prelude::*;
use legwork::actor::Role;
use legwork::clock::Timestamp;
use legwork::db::schema::users;
use serde_json::{Value, json};

use super::accounts::try_sign_in;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, both};

both! {
    async fn row_09_a_stranger_who_registers_an_address_first_gets_nothing_when_its_owner_confirms_it_and_is_invited(app: App) {
        let (desk, email) = (app.desk().await, "victim@example.org");
        let registration = json!({
            "email": email, "relation": "parent", "name": "Mallory",
            "patient": {"given_name": "Mal", "family_name": "Lory", "date_of_birth": "2015-09-14", "administrative_sex": "female",
                "preferred_language": "en", "interpreter_needed": false},
        });
        let mut chosen = registration.clone();
        chosen["password"] = json!(PASSWORD);
        app.anon().post("/v1/registrations", chosen).await.invalid("/password", "unknown_field");
        app.anon().post("/v1/registrations", registration).await.expect(202);
        let shut_out = async |step: &str| {
            assert_eq!(try_sign_in(&app.anon(), email, PASSWORD).await.status, 401, "{step}");
        };
        // An older version took a password with the registration.
        let hash = app.db(|tx| Ok(users::table.filter(users::email.eq("desk@clinic.example")).select(users::password_hash).first::<Option<String>>(tx)?)).await;
        app.db(move |tx| Ok(diesel::update(users::table.filter(users::email.eq(email))).set(users::password_hash.eq(&hash)).execute(tx)?)).await;
        shut_out("before the owner confirms").await;

        let token = app.mails_to(email).await.last().expect("a mail").token();
        let verified = app.anon().post("/v1/email-verifications", json!({"token": token})).await;
        let first = verified.expect(200).string("/password_token");
        shut_out("after the owner confirmed").await;

        // The clinic invites the owner, who has not chosen a password yet.
        let patient = desk.post("/v1/patients", patient_json("Vic", email)).await.expect(201).id();
        desk.post(&format!("/v1/patients/{patient}/invitation"), json!({"email": email, "relation": "self"})).await.expect(202);
        let token = app.mails_to(email).await.last().expect("a mail").token();
        let accept = async |body: Value| app.anon().post("/v1/invitations/accept", body).await;
        accept(json!({"token": token})).await.invalid("/new_password", "required");
        shut_out("while the invitation is open").await;
        accept(json!({"token": token, "new_password": "violet otter hums at dawn"})).await.expect(204);
        shut_out("after the owner accepted").await;
        // The token of the confirmation ended with the choice.
        let late = json!({"token": first, "new_password": "amber heron folds paper"});
        app.anon().post("/v1/password-resets/confirm", late).await.invalid("/token", "invalid_token");
        let victim = app.anon().sign_in(email, "violet otter hums at dawn").await;
        victim.get(&format!("/v1/patients/{patient}")).await.expect(200);

        // The owner of another such address never confirms it, and accepts the invitation.
        let id = app.account("other@example.org", Role::Patient, None).await;
        app.db(move |tx| Ok(diesel::update(users::table.find(id)).set(users::email_verified_at.eq(None::<Timestamp>)).execute(tx)?)).await;
        let patient = desk.post("/v1/patients", patient_json("Oda", "other@example.org")).await.expect(201).id();
        desk.post(&format!("/v1/patients/{patient}/invitation"), json!({"email": "other@example.org", "relation": "self"})).await.expect(202);
        let token = app.mails_to("other@example.org").await.last().expect("a mail").token();
        accept(json!({"token": token})).await.invalid("/new_password", "required");
        accept(json!({"token": token, "new_password": "violet otter hums at dawn"})).await.expect(204);
        try_sign_in(&app.anon(), "other@example.org", PASSWORD).await.problem(401, "invalid_credentials");
        try_sign_in(&app.anon(), "other@example.org", "violet otter hums at dawn").await.expect(201);
    }
}
