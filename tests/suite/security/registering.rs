//! Row 9: registering another person's address first gives no access.

use diesel::prelude::*;
use legwork::accounts::admin;
use legwork::actor::Role;
use legwork::clock::Timestamp;
use legwork::db::schema::users;
use serde_json::{Value, json};

use super::accounts::try_sign_in;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, Reply, both};

const CHOSEN: &str = "violet otter hums at dawn";

/// A registration of this person, by the holder of the mailbox or by a stranger.
fn registration(email: &str, name: &str) -> Value {
    json!({
        "email": email, "relation": "self",
        "patient": {"given_name": name, "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
            "preferred_language": "en", "interpreter_needed": false},
    })
}

async fn verify(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/email-verifications", json!({"token": token})).await
}

/// Follows a link and sets a password; the names of the account's patients.
async fn followed(app: &App, email: &str, token: &str) -> Vec<String> {
    let token = verify(app, token).await.expect(200).string("/password_token");
    let body = json!({"token": token, "new_password": CHOSEN});
    app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
    let owner = app.anon().sign_in(email, CHOSEN).await;
    let patients = owner.get("/v1/me").await.body["patients"].as_array().expect("patients").clone();
    patients.iter().map(|patient| patient["display_name"].as_str().expect("a name").to_owned()).collect()
}

async fn newest(app: &App, email: &str) -> String {
    app.mails_to(email).await.last().expect("a mail").token()
}

both! {
    async fn row_09_a_stranger_who_registers_an_address_first_gets_no_access_when_its_owner_verifies_it(app: App) {
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
        // An older version accepted a password with the registration.
        let hash = app.db(|tx| Ok(users::table.filter(users::email.eq("desk@clinic.example")).select(users::password_hash).first::<Option<String>>(tx)?)).await;
        app.db(move |tx| Ok(diesel::update(users::table.filter(users::email.eq(email))).set(users::password_hash.eq(&hash)).execute(tx)?)).await;
        shut_out("before the owner confirms").await;

        let token = app.mails_to(email).await.last().expect("a mail").token();
        let verified = app.anon().post("/v1/email-verifications", json!({"token": token})).await;
        let first = verified.expect(200).string("/password_token");
        shut_out("after the owner confirmed").await;

        // The clinic invites the owner, who has not set a password yet.
        let patient = desk.post("/v1/patients", patient_json("Vic", email)).await.expect(201).id();
        desk.post(&format!("/v1/patients/{patient}/invitations"), json!({"email": email, "relation": "self"})).await.expect(202);
        let token = app.mails_to(email).await.last().expect("a mail").token();
        let accept = async |body: Value| app.anon().post("/v1/invitations/accept", body).await;
        accept(json!({"token": token})).await.invalid("/new_password", "required");
        shut_out("while the invitation is open").await;
        accept(json!({"token": token, "new_password": "violet otter hums at dawn"})).await.expect(204);
        shut_out("after the owner accepted").await;
        // The token of the verification ended when the password was set.
        let late = json!({"token": first, "new_password": "amber heron folds paper"});
        app.anon().post("/v1/password-resets/confirm", late).await.invalid("/token", "invalid_token");
        let victim = app.anon().sign_in(email, "violet otter hums at dawn").await;
        victim.get(&format!("/v1/patients/{patient}")).await.expect(200);

        // The owner of another such address never verifies it, and accepts the invitation.
        let id = app.account("other@example.org", Role::Patient, None).await;
        app.db(move |tx| Ok(diesel::update(users::table.find(id)).set(users::email_verified_at.eq(None::<Timestamp>)).execute(tx)?)).await;
        let patient = desk.post("/v1/patients", patient_json("Oda", "other@example.org")).await.expect(201).id();
        desk.post(&format!("/v1/patients/{patient}/invitations"), json!({"email": "other@example.org", "relation": "self"})).await.expect(202);
        let token = app.mails_to("other@example.org").await.last().expect("a mail").token();
        accept(json!({"token": token})).await.invalid("/new_password", "required");
        accept(json!({"token": token, "new_password": "violet otter hums at dawn"})).await.expect(204);
        try_sign_in(&app.anon(), "other@example.org", PASSWORD).await.problem(401, "invalid_credentials");
        try_sign_in(&app.anon(), "other@example.org", "violet otter hums at dawn").await.expect(201);
    }

    async fn row_09_registrations_of_a_stranger_leave_the_owner_a_link_to_their_own_record(app: App) {
        let (email, owner, desk) = ("victim@example.org", app.anon_at("127.5.5.5"), app.desk().await);
        for _ in 0..6 {
            app.anon().post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
        }
        assert_eq!(app.mails_to(email).await.len(), 5, "the number of an hour");
        let strangers = newest(&app, email).await;
        owner.post("/v1/registrations", registration(email, "Vic")).await.expect(202);
        assert_eq!(app.mails_to(email).await.len(), 6, "the first mail of another caller");
        let own = newest(&app, email).await;
        // The stranger goes on from other addresses, and asks for links again.
        for number in 0..4 {
            let stranger = app.anon_at(&format!("127.6.6.{number}"));
            stranger.post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
            stranger.post("/v1/email-verifications/resend", json!({"email": email})).await.expect(202);
        }
        assert_eq!(followed(&app, email, &own).await, ["Vic Example"]);
        // The owner's choice ends the other links, and the record of the stranger is gone.
        verify(&app, &strangers).await.invalid("/token", "invalid_token");
        verify(&app, &newest(&app, email).await).await.invalid("/token", "invalid_token");
        assert!(desk.get("/v1/patients?q=mallory").await.items().is_empty());
        assert_eq!(desk.get("/v1/patients?q=vic").await.items().len(), 1);
    }

    async fn row_09_a_registration_of_a_stranger_after_the_owners_changes_nothing_of_it(app: App) {
        let (email, owner) = ("victim@example.org", app.anon_at("127.5.5.5"));
        owner.post("/v1/registrations", registration(email, "Vic")).await.expect(202);
        let own = newest(&app, email).await;
        app.anon().post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
        let strangers = newest(&app, email).await;
        assert_eq!(followed(&app, email, &own).await, ["Vic Example"]);
        verify(&app, &strangers).await.invalid("/token", "invalid_token");

        // Each link shows what was typed with it, and the owner of the mailbox decides.
        let email = "other@example.org";
        owner.post("/v1/registrations", registration(email, "Oda")).await.expect(202);
        let own = newest(&app, email).await;
        app.anon().post("/v1/registrations", registration(email, "Otto")).await.expect(202);
        let second = newest(&app, email).await;
        assert_eq!(followed(&app, email, &second).await, ["Otto Example"]);
        verify(&app, &own).await.invalid("/token", "invalid_token");
    }

    async fn row_09_a_fresh_link_is_for_the_callers_own_registration(app: App) {
        let (email, owner) = ("victim@example.org", app.anon_at("127.5.5.5"));
        app.anon().post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
        owner.post("/v1/registrations", registration(email, "Vic")).await.expect(202);
        let first = newest(&app, email).await;
        app.anon().post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
        let sent = app.mails_to(email).await.len();
        owner.post("/v1/email-verifications/resend", json!({"email": email})).await.expect(202);
        assert_eq!(app.mails_to(email).await.len(), sent + 1);
        verify(&app, &first).await.invalid("/token", "invalid_token");
        // Who forgot that there is no password yet gets the same link, not one that verifies whatever record is there.
        app.clock.advance(jiff::SignedDuration::from_mins(61));
        owner.post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let mail = app.mails_to(email).await.pop().expect("a mail");
        assert!(mail.text.contains("/verify-email#"), "{}", mail.text);
        assert_eq!(followed(&app, email, &mail.token()).await, ["Vic Example"]);
    }

    async fn row_09_each_verification_mail_names_the_registration_of_its_link(app: App) {
        let (email, owner, third) = ("victim@example.org", app.anon_at("127.5.5.5"), app.anon_at("127.6.6.6"));
        let named = async || {
            let text = app.mails_to(email).await.pop().expect("a mail").text;
            text.lines().filter(|line| line.starts_with("Registered ")).map(str::to_owned).collect::<Vec<_>>()
        };
        app.anon().post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
        assert_eq!(named().await, ["Registered by: Mallory Example"]);
        owner.post("/v1/registrations", registration(email, "Vic")).await.expect(202);
        assert_eq!(named().await, ["Registered by: Vic Example"]);
        let mut of_child = registration(email, "Leo");
        (of_child["relation"], of_child["name"]) = (json!("parent"), json!("Rosa Example"));
        third.post("/v1/registrations", of_child).await.expect(202);
        assert_eq!(named().await, ["Registered by: Rosa Example", "Registered for: Leo Example"]);
        // Links that are requested again name the registration too.
        for (client, name) in [(&owner, "Vic"), (&app.anon(), "Mallory")] {
            client.post("/v1/email-verifications/resend", json!({"email": email})).await.expect(202);
            assert_eq!(named().await, [format!("Registered by: {name} Example")]);
        }
    }

    async fn row_09_a_registration_that_nobody_verified_does_not_keep_its_address(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let (first, second, third) = ("one@example.org", "two@example.org", "three@example.org");
        for email in [first, second, third] {
            app.anon().post("/v1/registrations", registration(email, "Mallory")).await.expect(202);
        }
        let strangers = newest(&app, first).await;
        let invitation = json!({"email": first, "name": "Dana Desk", "role": "front_desk"});
        admin.post("/v1/users", invitation.clone()).await.expect(201);
        verify(&app, &strangers).await.invalid("/token", "invalid_token");
        assert!(app.mails_to(first).await.pop().expect("a mail").text.contains("/set-password#"));
        // An invited member of the staff has the address, although it is not verified yet.
        admin.post("/v1/users", invitation).await.problem(409, "email_taken");

        admin::create(&app.env, second, "Boss").await.expect("an administrator");
        assert!(admin::create(&app.env, second, "Boss").await.is_err());

        let change = json!({"current_password": PASSWORD, "new_email": third});
        ann.post("/v1/me/email", change).await.expect(202);
        let proof = json!({"token": newest(&app, third).await, "current_password": PASSWORD});
        app.anon().post("/v1/email-verifications", proof).await.expect(204);
        app.anon().sign_in(third, PASSWORD).await.get("/v1/me").await.expect(200);
    }

    async fn row_09_a_reset_that_a_stranger_asks_for_leaves_the_token_for_the_first_password(app: App) {
        let email = "victim@example.org";
        app.anon().post("/v1/registrations", registration(email, "Vic")).await.expect(202);
        let token = verify(&app, &newest(&app, email).await).await.expect(200).string("/password_token");
        app.anon_at("127.6.6.6").post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let reset = newest(&app, email).await;
        let confirm = async |token: &str| {
            app.anon().post("/v1/password-resets/confirm", json!({"token": token, "new_password": CHOSEN})).await
        };
        confirm(&token).await.expect(204);
        confirm(&reset).await.invalid("/token", "invalid_token");
        app.anon().sign_in(email, CHOSEN).await.get("/v1/me").await.expect(200);
    }
}
