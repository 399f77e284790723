//! Accounts: signing in and out, links in mails, the staff's accounts.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::clock::Timestamp;
use legwork::db::schema::users;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::people::PASSWORD;
use crate::support::{App, both};

/// The token in the link of the newest mail to `address`.
async fn token_for(app: &App, address: &str) -> String {
    app.mails_to(address).await.last().expect("a mail").token()
}

/// An account that was never verified.
async fn unverified(app: &App, email: &str) {
    let id = app.account(email, Role::Patient, None).await;
    app.db(move |tx| {
        let verified = users::email_verified_at.eq(None::<Timestamp>);
        Ok(diesel::update(users::table.find(id)).set(verified).execute(tx)?)
    })
    .await;
}

async fn sign_in(app: &App, email: &str, password: &str) -> (Client, Value) {
    let reply = app.anon().post("/v1/sessions", json!({"email": email, "password": password})).await;
    let body = reply.expect(201).body.clone();
    (app.anon().with_token(body["access_token"].as_str().expect("a token")), body)
}

both! {
    async fn an_administrator_invites_staff_who_set_a_password_and_sign_in(app: App) {
        let admin = app.admin().await;
        let reply = admin.post("/v1/users", json!({"email": "Dana@clinic.example", "name": "Dana Desk", "role": "front_desk"})).await;
        let user = reply.expect(201).body.clone();
        assert_eq!(reply.location(), format!("/v1/users/{}", user["id"].as_str().expect("an id")));
        assert_eq!((&user["invited"], &user["email_verified"]), (&json!(true), &json!(false)));

        let token = token_for(&app, "Dana@clinic.example").await;
        let weak = app.anon().post("/v1/password-resets/confirm", json!({"token": token, "new_password": "short"})).await;
        assert_eq!(weak.problem(422, "validation_failed")["errors"][0]["pointer"], "/new_password");
        let good = json!({"token": token, "new_password": "violet otter hums at dawn"});
        app.anon().post("/v1/password-resets/confirm", good.clone()).await.expect(204);
        let again = app.anon().post("/v1/password-resets/confirm", good).await;
        assert_eq!(again.problem(422, "validation_failed")["errors"][0]["code"], "invalid_token");

        let (dana, session) = sign_in(&app, "dana@CLINIC.example", "violet otter hums at dawn").await;
        assert_eq!(session["user"]["role"], "front_desk");
        dana.get("/v1/users").await.problem(403, "role_forbidden");
    }

    async fn a_wrong_password_an_unknown_address_and_an_unverified_one_fail_alike(app: App) {
        let ann = app.patient("ann").await;
        unverified(&app, "uma@example.org").await;
        let mut details = Vec::new();
        for (email, password) in [
            (ann.email.as_str(), "not the password"),
            ("nobody@example.org", PASSWORD),
            ("uma@example.org", PASSWORD),
            ("no address at all", PASSWORD),
        ] {
            let reply = app.anon().post("/v1/sessions", json!({"email": email, "password": password})).await;
            let mut problem = reply.problem(401, "invalid_credentials").clone();
            problem["request_id"] = Value::Null;
            details.push(problem);
        }
        assert!(details.windows(2).all(|pair| pair[0] == pair[1]), "{details:?}");
    }

    async fn an_access_token_expires_after_ten_minutes_and_a_refresh_token_renews_it(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (ann, session) = sign_in(&app, &email, PASSWORD).await;
        ann.get("/v1/me").await.expect(200);
        app.clock.advance(SignedDuration::from_secs(600));
        ann.get("/v1/me").await.problem(401, "unauthenticated");
        let reply = app.anon().post("/v1/sessions/refresh", json!({"refresh_token": session["refresh_token"]})).await;
        let next = reply.expect(200).body.clone();
        assert_ne!(next["refresh_token"], session["refresh_token"]);
        let ann = app.anon().with_token(next["access_token"].as_str().expect("a token"));
        ann.get("/v1/me").await.expect(200);
    }

    async fn signing_out_ends_the_session_at_once(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (ann, session) = sign_in(&app, &email, PASSWORD).await;
        ann.delete("/v1/sessions/current").await.expect(204);
        ann.get("/v1/me").await.problem(401, "unauthenticated");
        let reply = app.anon().post("/v1/sessions/refresh", json!({"refresh_token": session["refresh_token"]})).await;
        reply.problem(401, "session_ended");
    }

    async fn a_password_reset_ends_every_session_and_its_link_works_once_within_an_hour(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (ann, _) = sign_in(&app, &email, PASSWORD).await;
        app.anon().post("/v1/password-resets", json!({"email": "nobody@example.org"})).await.expect(202);
        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let first = token_for(&app, &email).await;
        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let second = token_for(&app, &email).await;
        assert_ne!(first, second);
        let confirm = |token: String| {
            let anon = app.anon();
            async move {
                let body = json!({"token": token, "new_password": "violet otter hums at dawn"});
                anon.post("/v1/password-resets/confirm", body).await
            }
        };
        confirm(first).await.problem(422, "validation_failed");
        ann.get("/v1/me").await.expect(200);
        confirm(second.clone()).await.expect(204);
        ann.get("/v1/me").await.problem(401, "unauthenticated");
        confirm(second).await.problem(422, "validation_failed");
        sign_in(&app, &email, "violet otter hums at dawn").await;

        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let late = token_for(&app, &email).await;
        app.clock.advance(SignedDuration::from_mins(61));
        confirm(late).await.problem(422, "validation_failed");
        assert!(!app.mails().await.iter().any(|mail| mail.to == "nobody@example.org"));
    }

    async fn an_account_without_a_password_is_sent_a_link_for_its_state(app: App) {
        let (admin, email, staff) = (app.admin().await, "ann@example.org", "dana@clinic.example");
        let registration = json!({
            "email": email, "relation": "self",
            "patient": {"given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
                "preferred_language": "en", "interpreter_needed": false},
        });
        app.anon().post("/v1/registrations", registration).await.expect(202);
        admin.post("/v1/users", json!({"email": staff, "name": "Dana", "role": "front_desk"})).await.expect(201);
        let mailed = async |operation: &str, to: &str| {
            let before = app.mails_to(to).await.len();
            app.anon().post(&format!("/v1/{operation}"), json!({"email": to})).await.expect(202);
            app.mails_to(to).await.into_iter().nth(before).map(|mail| mail.subject)
        };
        assert_eq!(mailed("email-verifications/resend", staff).await, None);
        assert_eq!(mailed("password-resets", staff).await.as_deref(), Some("Your account with Legwork Vein Clinic"));
        assert_eq!(mailed("email-verifications/resend", email).await.as_deref(), Some("Please confirm your e-mail address"));
        let token = token_for(&app, email).await;
        app.anon().post("/v1/email-verifications", json!({"token": token})).await.expect(200);
        assert_eq!(mailed("email-verifications/resend", email).await, None);
        assert_eq!(mailed("password-resets", email).await.as_deref(), Some("Choose your password"));
        for (role, invited, verified) in [("front_desk", true, false), ("patient", false, true)] {
            let user = admin.get(&format!("/v1/users?role={role}")).await.items()[0].clone();
            assert_eq!((&user["invited"], &user["email_verified"]), (&json!(invited), &json!(verified)), "{role}");
        }
        let token = token_for(&app, email).await;
        app.anon().post("/v1/password-resets/confirm", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        sign_in(&app, email, PASSWORD).await;
    }

    async fn disabling_an_account_takes_effect_at_once_and_the_last_administrator_stays(app: App) {
        let admin = app.admin().await;
        let desk = app.desk().await;
        let users = admin.get("/v1/users?role=front_desk").await.expect(200).body.clone();
        let path = format!("/v1/users/{}", users["items"][0]["id"].as_str().expect("an id"));
        desk.get("/v1/me").await.expect(200);
        admin.patch(&path, "", json!({"disabled": true})).await.problem(428, "precondition_required");
        admin.patch(&path, "\"9\"", json!({"disabled": true})).await.problem(412, "stale");
        let etag = admin.get(&path).await.etag();
        let changed = admin.patch(&path, &etag, json!({"disabled": true})).await;
        assert_eq!(changed.expect(200).body["disabled"], true);
        assert_ne!(changed.etag(), etag);
        desk.get("/v1/me").await.problem(401, "unauthenticated");

        let me = admin.get("/v1/users?role=admin").await.expect(200).body["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/users/{me}");
        let etag = admin.get(&path).await.etag();
        admin.patch(&path, &etag, json!({"disabled": true})).await.problem(409, "last_admin");
        admin.patch(&path, &etag, json!({"role": "front_desk"})).await.problem(409, "last_admin");
        admin.patch(&path, &etag, json!({"role": "patient"})).await.problem(422, "validation_failed");
        admin.patch(&path, &etag, json!({"email": "x@example.org"})).await.problem(422, "validation_failed");
    }

    async fn an_invalid_invitation_gets_all_errors_and_a_taken_address_is_a_conflict(app: App) {
        let admin = app.admin().await;
        let body = json!({"email": "nonsense", "name": "A\nB", "role": "practitioner"});
        let problem = admin.post("/v1/users", body).await.problem(422, "validation_failed").clone();
        let mut pointers: Vec<_> = problem["errors"].as_array().expect("errors").iter().map(|e| e["pointer"].clone()).collect();
        pointers.sort_by_key(Value::to_string);
        assert_eq!(pointers, ["/email", "/name", "/practitioner_id"]);
        let unknown = json!({"email": "doc@clinic.example", "name": "Doc", "role": "practitioner",
            "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"});
        let problem = admin.post("/v1/users", unknown).await.problem(422, "validation_failed").clone();
        assert_eq!(problem["errors"][0]["code"], "unknown_reference");
        let dana = json!({"email": "dana@clinic.example", "name": "Dana", "role": "front_desk"});
        admin.post_with("/v1/users", dana.clone(), &[("Idempotency-Key", "k1")]).await.expect(201);
        let replay = admin.post_with("/v1/users", dana.clone(), &[("Idempotency-Key", "k1")]).await;
        assert_eq!(replay.expect(201).body["email"], "dana@clinic.example");
        admin.post("/v1/users", dana).await.problem(409, "email_taken");
        let other = json!({"email": "dora@clinic.example", "name": "Dora", "role": "front_desk"});
        admin.post_with("/v1/users", other, &[("Idempotency-Key", "k1")]).await.problem(422, "idempotency_key_reused");
        assert_eq!(app.mails().await.iter().filter(|mail| mail.to == "dana@clinic.example").count(), 1);
    }
}
