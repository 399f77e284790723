//! Rows 7, 9 and 14: what ends with the credentials of an account, and what several devices and links of one account can do together.

use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use legwork::actor::Role;
use serde_json::{Value, json};

use super::accounts::{WRONG, try_sign_in, wait};
use super::second_factor::{begin, code, enrol, wrong_code};
use crate::support::people::PASSWORD;
use crate::support::{App, Client, Reply, both, eventually};

const NEW_PASSWORD: &str = "violet otter hums at dawn";

/// An account with what its owner signs in with.
struct Owner<'a> {
    app: &'a App,
    email: String,
    password: &'static str,
    /// The secret of the authenticator app, if there is one.
    secret: Option<String>,
}

impl Owner<'_> {
    /// Signs in with this device token. A code works once, so the clock moves on first.
    async fn sign_in(&self, token: &Value) -> Reply {
        let mut body = json!({"email": self.email, "password": self.password, "device_token": token});
        if let Some(secret) = &self.secret {
            self.app.clock.advance(SignedDuration::from_secs(60));
            body["totp_code"] = code(self.app, secret, 0).into();
        }
        let reply = self.app.anon().post("/v1/sessions", body).await;
        reply.expect(201);
        reply
    }

    /// Signs in on a new device. Returns its session and its device token.
    async fn on_new_device(&self) -> (Client, Value) {
        let reply = self.sign_in(&Value::Null).await;
        (self.app.anon().with_token(&reply.string("/access_token")), reply.body["device_token"].clone())
    }

    /// Whether a device token is valid: a recent one is returned as it is.
    async fn knows(&self, token: &Value) -> bool {
        assert!(token.is_string(), "{token}");
        self.sign_in(token).await.body["device_token"] == *token
    }

    async fn reset_link(&self) -> String {
        self.app.anon().post("/v1/password-resets", json!({"email": self.email})).await.expect(202);
        self.app.mails_to(&self.email).await.last().expect("a mail").token()
    }
}

/// Requests a link that changes the account's address. Returns its token.
async fn link_to(app: &App, client: &Client, new_email: &str) -> String {
    let body = json!({"current_password": PASSWORD, "new_email": new_email});
    client.post("/v1/me/email", body).await.expect(202);
    app.mails_to(new_email).await.last().expect("a mail").token()
}

async fn follow(app: &App, link: &str, password: &str) -> Reply {
    app.anon().post("/v1/email-verifications", json!({"token": link, "current_password": password})).await
}

/// Disables and enables an account.
async fn disable_and_enable(admin: &Client, path: &str) {
    for disabled in [true, false] {
        admin.update(path, json!({"disabled": disabled})).await.expect(200);
    }
}

both! {
    async fn row_14_every_change_of_the_credentials_ends_the_device_tokens_of_the_account(app: App) {
        let (admin, ann) = (app.admin().await, app.patient("ann").await);
        let path = format!("/v1/users/{}", ann.user_id);
        let mut owner = Owner { app: &app, email: ann.email.clone(), password: PASSWORD, secret: None };

        let (_, token) = owner.on_new_device().await;
        assert!(owner.knows(&token).await);
        let change = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
        ann.post("/v1/me/password", change).await.expect(204);
        owner.password = NEW_PASSWORD;
        assert!(!owner.knows(&token).await, "after a new password");

        let (_, token) = owner.on_new_device().await;
        let reset = json!({"token": owner.reset_link().await, "new_password": PASSWORD});
        app.anon().post("/v1/password-resets/confirm", reset).await.expect(204);
        owner.password = PASSWORD;
        assert!(!owner.knows(&token).await, "after a reset");

        let (_, token) = owner.on_new_device().await;
        disable_and_enable(&admin, &path).await;
        assert!(!owner.knows(&token).await, "after the account was disabled");

        let (session, token) = owner.on_new_device().await;
        admin.update(&path, json!({"disabled": false})).await.expect(200);
        assert!(owner.knows(&token).await, "after a change that is none");
        let link = link_to(&app, &session, "new@patients.example").await;
        follow(&app, &link, PASSWORD).await.expect(204);
        owner.email = "new@patients.example".into();
        assert!(!owner.knows(&token).await, "after a new address");

        let (session, token) = owner.on_new_device().await;
        let secret = begin(&session).await;
        let confirmed = session.post("/v1/me/second-factor/confirm", json!({"totp_code": code(&app, &secret, 0)})).await;
        owner.secret = Some(secret);
        assert!(!owner.knows(&token).await, "from before the second factor");
        // The device that confirmed the app is known from then on.
        let token = confirmed.expect(200).body["device_token"].clone();
        assert!(owner.knows(&token).await);

        app.clock.advance(SignedDuration::from_secs(60));
        let off = json!({"current_password": PASSWORD, "totp_code": code(&app, owner.secret.as_ref().expect("a secret"), 0)});
        session.post("/v1/me/second-factor/disable", off).await.expect(204);
        owner.secret = None;
        assert!(!owner.knows(&token).await, "after the second factor was switched off");

        let (_, token) = owner.on_new_device().await;
        admin.delete(&format!("{path}/second-factor")).await.expect(204);
        assert!(!owner.knows(&token).await, "after an administrator's reset");
    }

    async fn row_14_a_session_that_must_set_up_a_second_factor_gets_no_device_token(app: App) {
        let email = "dana@clinic.example";
        app.account(email, Role::FrontDesk, None).await;
        let app = app.restart(&["--require-totp", "staff"]);
        let restricted = try_sign_in(&app.anon(), email, PASSWORD).await;
        assert_eq!(restricted.expect(201).body["enrolment_required"], true);
        assert_eq!(restricted.body["device_token"], Value::Null);
        let (secret, _) = enrol(&app, &app.anon().with_token(&restricted.string("/access_token"))).await;
        let owner = Owner { app: &app, email: email.into(), password: PASSWORD, secret: Some(secret) };
        let (_, token) = owner.on_new_device().await;
        assert!(owner.knows(&token).await);
    }

    async fn row_07_wrong_codes_from_several_known_devices_are_bounded_together_and_keep_no_other_one_out(app: App) {
        let ann = app.patient("ann").await;
        let (secret, _) = enrol(&app, &ann.client).await;
        let owner = Owner { app: &app, email: ann.email.clone(), password: PASSWORD, secret: Some(secret.clone()) };
        let mut tokens = Vec::new();
        for _ in 0..6 {
            tokens.push(owner.on_new_device().await.1);
        }
        let try_code = async |token: &Value, code: String| {
            let body = json!({"email": ann.email, "password": PASSWORD, "totp_code": code, "device_token": token});
            app.anon().post("/v1/sessions", body).await
        };
        for token in &tokens[..5] {
            for _ in 0..4 {
                try_code(token, wrong_code(&app, &secret)).await.problem(401, "totp_invalid");
            }
        }
        // Twenty were free for all devices together. Each further one costs its device a quarter of an hour.
        app.clock.advance(SignedDuration::from_secs(60));
        try_code(&tokens[0], wrong_code(&app, &secret)).await.problem(401, "totp_invalid");
        app.clock.advance(SignedDuration::from_secs(60));
        assert_eq!(wait(&try_code(&tokens[0], code(&app, &secret, 0)).await), 14 * 60);
        // A device without a failure is checked at once, and so is one whose failures were free.
        try_code(&tokens[5], code(&app, &secret, 0)).await.expect(201);
        app.clock.advance(SignedDuration::from_secs(60));
        try_code(&tokens[1], code(&app, &secret, 0)).await.expect(201);
    }

    async fn row_07_the_holder_of_a_link_delays_neither_the_sessions_nor_the_next_link(app: App) {
        let ann = app.patient("ann").await;
        let link = link_to(&app, &ann.client, "stranger@example.org").await;
        for _ in 0..5 {
            follow(&app, &link, WRONG).await.invalid("/current_password", "wrong_password");
        }
        assert_eq!(wait(&follow(&app, &link, PASSWORD).await), 10);
        let link = link_to(&app, &ann.client, "new@patients.example").await;
        follow(&app, &link, PASSWORD).await.expect(204);
    }

    async fn row_09_links_that_change_credentials_end_with_every_other_change_of_them(app: App) {
        let admin = app.admin().await;
        for change in ["a second factor", "an administrator's reset", "disabling"] {
            let name = change.rsplit(' ').next().expect("a word").replace("'s", "");
            let person = app.patient(&name).await;
            let owner = Owner { app: &app, email: person.email.clone(), password: PASSWORD, secret: None };
            let to_address = link_to(&app, &person.client, &format!("new-{name}@patients.example")).await;
            let to_password = owner.reset_link().await;
            let path = format!("/v1/users/{}", person.user_id);
            match change {
                "a second factor" => drop(enrol(&app, &person.client).await),
                "disabling" => disable_and_enable(&admin, &path).await,
                _ => drop(admin.delete(&format!("{path}/second-factor")).await.expect(204)),
            }
            follow(&app, &to_address, PASSWORD).await.invalid("/token", "invalid_token");
            let reset = json!({"token": to_password, "new_password": NEW_PASSWORD});
            app.anon().post("/v1/password-resets/confirm", reset).await.invalid("/token", "invalid_token");
        }
    }

    async fn row_07_sign_ins_that_flood_the_queue_for_hashes_leave_a_place_for_other_devices_of_the_account(app: App) {
        let app = app.with_required_hashes(&[]);
        let ann = app.patient("ann").await;
        let owner = Owner { app: &app, email: ann.email.clone(), password: PASSWORD, secret: None };
        let ((_, stolen), (_, own)) = (owner.on_new_device().await, owner.on_new_device().await);
        let flood = join_all((0..60).map(|_| {
            let (anon, body) = (app.anon(), json!({"email": ann.email, "password": WRONG, "device_token": stolen}));
            async move { anon.post("/v1/sessions", body).await.status }
        }));
        let on_own_device = async {
            let refused = || app.env.metrics.password_hashes_refused.get();
            eventually(async || if refused() > 0 { Ok(()) } else { Err("no sign-in was rejected".to_owned()) }).await;
            owner.sign_in(&own).await.body["device_token"].clone()
        };
        let (statuses, token) = join(flood, on_own_device).await;
        assert_eq!(token, own);
        assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
    }
}
