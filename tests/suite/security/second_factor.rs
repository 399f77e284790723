//! Row 14: second factors, and authentication again before a change of how an account signs in.

use std::collections::BTreeSet;

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::db::schema::{recovery_codes, second_factors};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::support::client::{Client, Reply};
use crate::support::people::PASSWORD;
use crate::support::{App, both, not_empty};

const NEW_PASSWORD: &str = "violet otter hums at dawn";

/// The code of an authenticator app, this many steps from now.
pub fn code(app: &App, secret: &str, steps: i64) -> String {
    let secret = Secret::try_from_base32(secret).expect("base 32");
    let at = app.clock.now().as_seconds() + 30 * steps;
    Builder::new().with_secret(secret).build_noncompliant().generate(at.try_into().expect("after 1970")).to_string()
}

/// A wrong code.
pub(super) fn wrong_code(app: &App, secret: &str) -> String {
    let right: BTreeSet<_> = (-1..=1).map(|steps| code(app, secret, steps)).collect();
    (0..10)
        .map(|digit| digit.to_string().repeat(6))
        .find(|code| !right.contains(code))
        .expect("ten are more than three")
}

async fn try_sign_in(client: &Client, email: &str, code: Option<&str>) -> Reply {
    let mut body = json!({"email": email, "password": PASSWORD});
    if let Some(code) = code {
        body["totp_code"] = code.into();
    }
    client.post("/v1/sessions", body).await
}

/// Signs in to a new session.
async fn session(app: &App, email: &str) -> Client {
    let reply = try_sign_in(&app.anon(), email, None).await;
    reply.expect(201);
    app.anon().with_token(&reply.string("/access_token"))
}

/// Sets up an authenticator app. Returns the secret and the recovery codes.
pub(super) async fn enrol(app: &App, client: &Client) -> (String, Vec<String>) {
    let secret = begin(client).await;
    let reply = client.post("/v1/me/second-factor/confirm", json!({"totp_code": code(app, &secret, 0)})).await;
    let codes = reply.expect(200).body["recovery_codes"].as_array().expect("codes").clone();
    (secret, codes.iter().map(|code| code.as_str().expect("text").to_owned()).collect())
}

pub(super) async fn begin(client: &Client) -> String {
    let reply = client.post("/v1/me/second-factor", json!({"current_password": PASSWORD})).await;
    reply.expect(200).string("/secret")
}

async fn told(app: &App, address: &str, words: &str) -> usize {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    app.mails_to(address).await.iter().filter(|mail| plain(&mail.text).contains(words)).count()
}

both! {
    async fn row_14_a_patient_who_enabled_codes_needs_one_to_sign_in(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (ann, other) = (session(&app, &email).await, session(&app, &email).await);
        let wrong = ann.post("/v1/me/second-factor", json!({"current_password": "not the password"})).await;
        wrong.invalid("/current_password", "wrong_password");
        ann.post("/v1/me/second-factor/confirm", json!({"totp_code": "000000"})).await.problem(409, "no_enrolment");

        let begun = ann.post("/v1/me/second-factor", json!({"current_password": PASSWORD})).await;
        let secret = begun.expect(200).string("/secret");
        let uri = begun.string("/otpauth_uri");
        assert!(uri.starts_with("otpauth://totp/Legwork%20Vein%20Clinic:ann%40patients.example?"), "{uri}");
        assert!(uri.contains(&secret) && begun.string("/qr_svg").contains("<svg"));
        let wrong = ann.post("/v1/me/second-factor/confirm", json!({"totp_code": wrong_code(&app, &secret)})).await;
        wrong.invalid("/totp_code", "wrong_code");
        // Nothing has changed so far.
        try_sign_in(&app.anon(), &email, None).await.expect(201);
        other.get("/v1/me").await.expect(200);

        let confirmed = ann.post("/v1/me/second-factor/confirm", json!({"totp_code": code(&app, &secret, 0)})).await;
        assert_eq!(confirmed.expect(200).body["recovery_codes"].as_array().map(Vec::len), Some(10));
        assert_eq!(told(&app, &email, "takes a code from an authenticator app").await, 1);
        // Sessions without the second factor end; the one that confirmed it stays.
        other.get("/v1/me").await.problem(401, "unauthenticated");
        assert_eq!(ann.get("/v1/me").await.expect(200).body["user"]["second_factor"], true);
        let state = ann.get("/v1/me/second-factor").await.expect(200).body.clone();
        assert_eq!((&state["enabled"], &state["required"], &state["recovery_codes_left"]), (&json!(true), &json!(false), &json!(10)));

        try_sign_in(&app.anon(), &email, None).await.problem(401, "totp_required");
        let hidden = json!({"email": email, "password": "not the password", "totp_code": code(&app, &secret, 1)});
        app.anon().post("/v1/sessions", hidden).await.problem(401, "invalid_credentials");
        try_sign_in(&app.anon(), &email, Some(&wrong_code(&app, &secret))).await.problem(401, "totp_invalid");
        try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, 1))).await.expect(201);
        begin_again_is_refused(&ann).await;
    }

    async fn row_14_a_code_works_once_and_older_ones_no_longer(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (secret, _) = enrol(&app, &session(&app, &email).await).await;
        // The code of the confirmation is used up as well.
        try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, 0))).await.problem(401, "totp_invalid");
        app.clock.advance(SignedDuration::from_secs(90));
        let (late, now) = (code(&app, &secret, -1), code(&app, &secret, 0));
        let tries = (0..8).map(|_| {
            let (anon, email, now) = (app.anon(), email.clone(), now.clone());
            async move { try_sign_in(&anon, &email, Some(&now)).await }
        });
        let replies = futures_util::future::join_all(tries).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1, "{replies:?}");
        assert!(replies.iter().all(|reply| [201, 401, 429].contains(&reply.status)), "{replies:?}");
        app.clock.advance(SignedDuration::from_hours(2));
        let (late, fresh) = (late, code(&app, &secret, 0));
        try_sign_in(&app.anon(), &email, Some(&late)).await.problem(401, "totp_invalid");
        try_sign_in(&app.anon(), &email, Some(&fresh)).await.expect(201);
        try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, -1))).await.problem(401, "totp_invalid");
        // A code half a minute early is valid as well, because clocks differ.
        try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, 1))).await.expect(201);
        try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, 2))).await.problem(401, "totp_invalid");
    }

    async fn row_14_a_recovery_code_works_once_and_new_ones_replace_the_old(app: App) {
        let email = app.patient("ann").await.email.clone();
        let ann = session(&app, &email).await;
        let (secret, codes) = enrol(&app, &ann).await;
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
        let sloppy = codes[0].to_lowercase().replace('-', " ");
        try_sign_in(&app.anon(), &email, Some(&sloppy)).await.expect(201);
        assert_eq!(told(&app, &email, "A recovery code was used").await, 1);
        try_sign_in(&app.anon(), &email, Some(&codes[0])).await.problem(401, "totp_invalid");
        assert_eq!(ann.get("/v1/me/second-factor").await.expect(200).body["recovery_codes_left"], 9);

        let renew = |client: &Client, code: String| {
            let client = client.clone();
            async move {
                let body = json!({"current_password": PASSWORD, "totp_code": code});
                client.post("/v1/me/second-factor/recovery-codes", body).await
            }
        };
        renew(&ann, wrong_code(&app, &secret)).await.invalid("/totp_code", "wrong_code");
        let fresh = renew(&ann, codes[1].clone()).await.expect(200).body["recovery_codes"].clone();
        assert_eq!(told(&app, &email, "New recovery codes were made").await, 1);
        try_sign_in(&app.anon(), &email, Some(&codes[2])).await.problem(401, "totp_invalid");
        try_sign_in(&app.anon(), &email, fresh[0].as_str()).await.expect(201);
        let stored = app.db(|tx| {
            Ok(recovery_codes::table.select(recovery_codes::code_hash).load::<Vec<u8>>(tx)?)
        }).await;
        assert!(not_empty(&stored).iter().all(|hash| hash.len() == 32));
    }

    async fn row_14_the_secret_is_sealed_and_shown_once(app: App) {
        let ann = app.patient("ann").await;
        let (secret, _) = enrol(&app, &ann).await;
        let stored = app.db(|tx| Ok(second_factors::table.select(second_factors::secret).first::<Vec<u8>>(tx)?)).await;
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()));
        assert!(!ann.get("/v1/me/second-factor").await.expect(200).text.contains(&secret));
        begin_again_is_refused(&ann).await;
    }

    async fn row_14_wrong_codes_are_throttled_apart_from_passwords(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (secret, _) = enrol(&app, &session(&app, &email).await).await;
        app.clock.advance(SignedDuration::from_secs(90));
        for _ in 0..5 {
            try_sign_in(&app.anon(), &email, Some(&wrong_code(&app, &secret))).await.problem(401, "totp_invalid");
        }
        // From another address as well, because an attacker may have many.
        for address in ["127.0.0.1", "127.9.9.9"] {
            let refused = try_sign_in(&app.anon_at(address), &email, Some(&code(&app, &secret, 0))).await;
            refused.problem(429, "too_many_attempts");
            assert_eq!(refused.header("retry-after"), "10");
        }
        app.clock.advance(SignedDuration::from_secs(10));
        try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, 0))).await.expect(201);
    }

    async fn row_07_wrong_codes_of_others_keep_no_known_device_out_and_the_owner_is_told(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (secret, _) = enrol(&app, &session(&app, &email).await).await;
        app.clock.advance(SignedDuration::from_secs(90));
        let first = try_sign_in(&app.anon(), &email, Some(&code(&app, &secret, 0))).await;
        let token = first.expect(201).body["device_token"].clone();
        app.clock.advance(SignedDuration::from_secs(90));
        for _ in 0..5 {
            let thief = try_sign_in(&app.anon_at("127.9.9.9"), &email, Some(&wrong_code(&app, &secret))).await;
            thief.problem(401, "totp_invalid");
        }
        let unknown = try_sign_in(&app.anon_at("127.8.8.8"), &email, Some(&code(&app, &secret, 0))).await;
        unknown.problem(429, "too_many_attempts");
        assert_eq!(told(&app, &email, "Several wrong codes were entered").await, 1);
        let on_device = async |code: String| {
            let body = json!({"email": email, "password": PASSWORD, "totp_code": code, "device_token": token});
            app.anon().post("/v1/sessions", body).await
        };
        let known = on_device(code(&app, &secret, 0)).await;
        // A session can confirm a change as well.
        let ann = app.anon().with_token(&known.expect(201).string("/access_token"));
        app.clock.advance(SignedDuration::from_secs(90));
        let body = json!({"current_password": PASSWORD, "totp_code": code(&app, &secret, 0), "new_password": NEW_PASSWORD});
        for _ in 0..5 {
            on_device(wrong_code(&app, &secret)).await.problem(401, "totp_invalid");
        }
        on_device(code(&app, &secret, 0)).await.problem(429, "too_many_attempts");
        ann.post("/v1/me/password", body).await.expect(204);
    }

    async fn row_14_staff_without_a_second_factor_can_do_nothing_but_set_it_up(app: App) {
        app.account("dana@clinic.example", Role::FrontDesk, None).await;
        let app = app.restart(&["--require-totp", "staff"]);
        let reply = try_sign_in(&app.anon(), "dana@clinic.example", None).await;
        assert_eq!(reply.expect(201).body["enrolment_required"], true);
        let dana = app.anon().with_token(&reply.string("/access_token"));
        let other = session(&app, "dana@clinic.example").await;
        for path in ["/v1/me", "/v1/patients", "/v1/sessions", "/v1/appointments"] {
            dana.get(path).await.problem(403, "second_factor_required");
        }
        dana.post("/v1/me/password", json!({})).await.problem(403, "second_factor_required");
        let refresh = app.anon().post("/v1/sessions/refresh", json!({"refresh_token": reply.body["refresh_token"]})).await;
        assert_eq!(refresh.expect(200).body["enrolment_required"], true);
        let state = dana.get("/v1/me/second-factor").await.expect(200).body.clone();
        assert_eq!((&state["enabled"], &state["required"]), (&json!(false), &json!(true)));
        let (secret, _) = enrol(&app, &dana).await;
        dana.get("/v1/me").await.expect(200);
        other.get("/v1/me/second-factor").await.problem(401, "unauthenticated");
        let again = try_sign_in(&app.anon(), "dana@clinic.example", Some(&code(&app, &secret, 1))).await;
        assert_eq!(again.expect(201).body["enrolment_required"], false);

        app.clock.advance(SignedDuration::from_secs(60));
        let dana = app.anon().with_token(&again.string("/access_token"));
        let off = json!({"current_password": PASSWORD, "totp_code": code(&app, &secret, 0)});
        dana.post("/v1/me/second-factor/disable", off).await.expect(204);
        dana.get("/v1/me").await.problem(403, "second_factor_required");
        dana.delete("/v1/sessions/current").await.expect(204);
        // The second factor is optional for patients.
        app.account("pat@patients.example", Role::Patient, None).await;
        let pat = try_sign_in(&app.anon(), "pat@patients.example", None).await;
        assert_eq!(pat.expect(201).body["enrolment_required"], false);
    }

    async fn row_14_an_administrator_removes_a_lost_second_factor_and_its_owner_is_notified(app: App) {
        let admin = app.admin().await;
        let id = app.account("dana@clinic.example", Role::FrontDesk, None).await;
        let dana = session(&app, "dana@clinic.example").await;
        enrol(&app, &dana).await;
        let path = format!("/v1/users/{id}/second-factor");
        assert_eq!(admin.get(&format!("/v1/users/{id}")).await.expect(200).body["second_factor"], true);
        app.desk().await.delete(&path).await.problem(403, "role_forbidden");
        app.patient("ann").await.delete(&path).await.problem(403, "role_forbidden");
        admin.delete(&format!("/v1/users/{}/second-factor", admin.user_id)).await.problem(409, "own_account");
        admin.delete("/v1/users/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55/second-factor").await.problem(404, "not_found");
        admin.delete(&path).await.expect(204);
        dana.get("/v1/me").await.problem(401, "unauthenticated");
        assert_eq!(told(&app, "dana@clinic.example", "An administrator of Legwork Vein Clinic took the authenticator app").await, 1);
        try_sign_in(&app.anon(), "dana@clinic.example", None).await.expect(201);
    }

    async fn row_14_a_password_reset_does_not_bypass_the_second_factor(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (secret, _) = enrol(&app, &session(&app, &email).await).await;
        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let token = app.mails_to(&email).await.last().expect("a mail").token();
        let body = json!({"token": token, "new_password": NEW_PASSWORD});
        app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
        let mut body = json!({"email": email, "password": NEW_PASSWORD});
        app.anon().post("/v1/sessions", body.clone()).await.problem(401, "totp_required");
        body["totp_code"] = code(&app, &secret, 1).into();
        app.anon().post("/v1/sessions", body).await.expect(201);
    }

    async fn row_14_changing_the_password_requires_the_old_one_ends_other_sessions_and_is_notified(app: App) {
        let email = app.patient("ann").await.email.clone();
        let (ann, other) = (session(&app, &email).await, session(&app, &email).await);
        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let link = app.mails_to(&email).await.last().expect("a mail").token();
        let change = |current: &str, new: &str, code: Option<String>| {
            let mut body = json!({"current_password": current, "new_password": new});
            if let Some(code) = code {
                body["totp_code"] = code.into();
            }
            let ann = ann.clone();
            async move { ann.post("/v1/me/password", body).await }
        };
        change("not the password", NEW_PASSWORD, None).await.invalid("/current_password", "wrong_password");
        change(PASSWORD, "short", None).await.invalid("/new_password", "too_short");
        other.get("/v1/me").await.expect(200);
        change(PASSWORD, NEW_PASSWORD, None).await.expect(204);
        ann.get("/v1/me").await.expect(200);
        other.get("/v1/me").await.problem(401, "unauthenticated");
        assert_eq!(told(&app, &email, "The password of your account").await, 1);
        try_sign_in(&app.anon(), &email, None).await.problem(401, "invalid_credentials");
        let stale = json!({"token": link, "new_password": "amber heron waits by the weir"});
        app.anon().post("/v1/password-resets/confirm", stale).await.invalid("/token", "invalid_token");

        let back = change(NEW_PASSWORD, PASSWORD, None).await;
        back.expect(204);
        let (secret, _) = enrol(&app, &ann).await;
        change(PASSWORD, NEW_PASSWORD, None).await.invalid("/totp_code", "required");
        change(PASSWORD, NEW_PASSWORD, Some(wrong_code(&app, &secret))).await.invalid("/totp_code", "wrong_code");
        change(PASSWORD, NEW_PASSWORD, Some(code(&app, &secret, 1))).await.expect(204);
    }

    async fn row_14_a_new_address_applies_after_its_verification_and_the_old_one_is_notified(app: App) {
        let email = app.patient("ann").await.email.clone();
        let ann = session(&app, &email).await;
        let change = |password: &str, address: &str| {
            let (ann, body) = (ann.clone(), json!({"current_password": password, "new_email": address}));
            async move { ann.post("/v1/me/email", body).await }
        };
        change(PASSWORD, "nonsense").await.invalid("/new_email", "not_an_email");
        change(PASSWORD, &email).await.invalid("/new_email", "unchanged");
        change("not the password", "new@patients.example").await.invalid("/current_password", "wrong_password");
        change(PASSWORD, "new@patients.example").await.expect(202);
        assert_eq!(told(&app, &email, "asked to give it another e-mail address").await, 1);
        let link = app.mails_to("new@patients.example").await.last().expect("a mail").token();
        try_sign_in(&app.anon(), "new@patients.example", None).await.problem(401, "invalid_credentials");
        try_sign_in(&app.anon(), &email, None).await.expect(201);
        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let reset = app.mails_to(&email).await.last().expect("a mail").token();

        // The reader of the new mailbox may be a stranger, so the link requires the account's session.
        let confirm = async |password: Option<&str>| {
            let body = json!({"token": link, "current_password": password});
            let body = if password.is_some() { body } else { json!({"token": link}) };
            app.anon().post("/v1/email-verifications", body).await
        };
        confirm(None).await.invalid("/current_password", "required");
        confirm(Some("not the password")).await.invalid("/current_password", "wrong_password");
        try_sign_in(&app.anon(), "new@patients.example", None).await.problem(401, "invalid_credentials");
        confirm(Some(PASSWORD)).await.expect(204);
        confirm(Some(PASSWORD)).await.invalid("/token", "invalid_token");
        assert_eq!(told(&app, &email, "has another e-mail address from now on").await, 1);
        try_sign_in(&app.anon(), &email, None).await.problem(401, "invalid_credentials");
        try_sign_in(&app.anon(), "new@patients.example", None).await.expect(201);
        assert_eq!(ann.get("/v1/me").await.expect(200).body["user"]["email"], "new@patients.example");
        let stale = json!({"token": reset, "new_password": NEW_PASSWORD});
        app.anon().post("/v1/password-resets/confirm", stale).await.invalid("/token", "invalid_token");
    }

    async fn row_14_asking_for_a_taken_address_notifies_its_owner_only(app: App) {
        let bob = app.patient("bob").await.email.clone();
        let ann = app.patient("ann").await;
        let body = json!({"current_password": PASSWORD, "new_email": bob});
        let reply = ann.post("/v1/me/email", body).await;
        assert_eq!(reply.expect(202).body, Value::Null);
        assert_eq!(app.mails_to(&bob).await.last().expect("a mail").subject, "You already have an account");

        // The address was taken after the request: the holder of the link reads the mailbox, so the error may say so.
        let body = json!({"current_password": PASSWORD, "new_email": "late@patients.example"});
        ann.post("/v1/me/email", body).await.expect(202);
        let link = app.mails_to("late@patients.example").await.last().expect("a mail").token();
        app.account("late@patients.example", Role::Patient, None).await;
        let body = json!({"token": link, "current_password": PASSWORD});
        app.anon().post("/v1/email-verifications", body).await.problem(409, "email_taken");
    }
}

async fn begin_again_is_refused(client: &Client) {
    let body = json!({"current_password": PASSWORD});
    client.post("/v1/me/second-factor", body).await.problem(409, "second_factor_on");
    client.post("/v1/me/second-factor/confirm", json!({"totp_code": "000000"})).await.problem(409, "second_factor_on");
}
