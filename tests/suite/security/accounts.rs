//! Rows 5 to 9 and 13: passwords, guessing, account enumeration, links in mails, and the end of sessions.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::accounts::passwords::hashing::hash_now;
use legwork::accounts::purge;
use legwork::actor::Role;
use legwork::db::schema::{one_time_tokens, refresh_tokens, sessions, sign_in_failures, users};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cost::statements;
use crate::support::client::{Client, Reply};
use crate::support::people::PASSWORD;
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{App, Engine, app, both, not_empty};

pub(super) const WRONG: &str = "certainly not the password";

pub(super) async fn try_sign_in(client: &Client, email: &str, password: &str) -> Reply {
    client.post("/v1/sessions", json!({"email": email, "password": password})).await
}

/// The seconds in `Retry-After` of a throttled attempt.
#[track_caller]
pub(super) fn wait(reply: &Reply) -> i64 {
    reply.problem(429, "too_many_attempts");
    reply.header("retry-after").parse().expect("seconds")
}

async fn reset_link(app: &App, email: &str) -> String {
    app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
    app.mails_to(email).await.last().expect("a mail").token()
}

/// Purges, and counts the sessions, refresh tokens and links that are left.
async fn purged(app: &App) -> (i64, i64, i64) {
    let env = app.env.clone();
    app.db(move |tx| {
        while purge::round(tx, &env)? > 0 {}
        Ok((
            sessions::table.count().get_result(tx)?,
            refresh_tokens::table.count().get_result(tx)?,
            one_time_tokens::table.count().get_result(tx)?,
        ))
    })
    .await
}

both! {
    async fn row_05_a_weak_password_hash_is_renewed_at_sign_in(app: App) {
        use argon2::Params;
        let app = app.with_required_hashes(&[]);
        let id = app.account("old@patients.example", Role::Patient, None).await;
        let params = Params::new(8192, 1, 1, None).expect("parameters");
        let weak = hash_now(PASSWORD, &[7; 16], &params).expect("a hash");
        let hash = weak.clone();
        app.db(move |tx| Ok(diesel::update(users::table.find(id)).set(users::password_hash.eq(&hash)).execute(tx)?)).await;
        let stored = || app.db(move |tx| Ok(users::table.find(id).select(users::password_hash).first::<Option<String>>(tx)?));
        try_sign_in(&app.anon(), "old@patients.example", WRONG).await.problem(401, "invalid_credentials");
        assert_eq!(stored().await, Some(weak));
        try_sign_in(&app.anon(), "old@patients.example", PASSWORD).await.expect(201);
        let strong = stored().await.expect("a hash");
        assert!(strong.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{strong}");
        try_sign_in(&app.anon(), "old@patients.example", PASSWORD).await.expect(201);
        assert_eq!(stored().await, Some(strong));
    }

    async fn row_05_sign_ins_beyond_the_hashing_capacity_get_503_and_do_not_count_as_failures(app: App) {
        let app = app.with_required_hashes(&["--password-hashers", "1"]);
        let email = app.patient("ann").await.email.clone();
        let tries = (0..80).map(|_| {
            let (anon, email) = (app.anon(), email.clone());
            async move { try_sign_in(&anon, &email, PASSWORD).await }
        });
        let replies = futures_util::future::join_all(tries).await;
        for reply in &replies {
            assert!(reply.status == 201 || reply.status == 503, "{}", reply.text);
            assert!(reply.status == 201 || !reply.header("retry-after").is_empty());
        }
        let busy = replies.iter().filter(|reply| reply.status == 503).count();
        assert!((1..80).contains(&busy), "{busy} of 80 got 503");
        try_sign_in(&app.anon(), &email, PASSWORD).await.expect(201);
    }

    async fn row_06_passwords_must_be_long_enough_for_the_role_and_not_common(app: App) {
        let patient = app.patient("ann").await.email.clone();
        app.account("dana@clinic.example", Role::FrontDesk, None).await;
        let confirm = |email: &str, password: &str| {
            let (app, email, password) = (&app, email.to_owned(), password.to_owned());
            async move {
                // The number of mails per hour is limited.
                app.clock.advance(SignedDuration::from_mins(61));
                let token = reset_link(app, &email).await;
                app.anon().post("/v1/password-resets/confirm", json!({"token": token, "new_password": password})).await
            }
        };
        confirm(&patient, "otter 7hums").await.invalid("/new_password", "too_short");
        confirm("dana@clinic.example", "otter 7hums da").await.invalid("/new_password", "too_short");
        confirm(&patient, &"otter 7 hums at dawn ".repeat(7)).await.invalid("/new_password", "too_long");
        for common in ["password1234567", "qwertyuiopasdfgh", "aaaaaaaaaaaaaaaa", "legworklegwork1", "dana@clinic.example"] {
            confirm("dana@clinic.example", common).await.invalid("/new_password", "too_common");
        }
        for good in ["otter 7hums d", "дюжина выдр поёт", "🦦🌙🎵🌊🪨🌿🦆🌧🔥🍃🐚🧭", &"otter 7 hums at dawn. ".repeat(6)[..128]] {
            confirm(&patient, good).await.expect(204);
            try_sign_in(&app.anon(), &patient, good).await.expect(201);
        }
        // Keyboards write ë as one character or as two.
        confirm(&patient, "Zo\u{eb} hums at dawn 7").await.expect(204);
        try_sign_in(&app.anon(), &patient, "Zoe\u{308} hums at dawn 7").await.expect(201);
        // The length is that of the normalised password.
        confirm(&patient, &"e\u{308}".repeat(11)).await.invalid("/new_password", "too_short");
    }

    async fn row_07_each_failure_doubles_the_wait_for_the_next_attempt(app: App) {
        let email = app.patient("ann").await.email.clone();
        for _ in 0..5 {
            try_sign_in(&app.anon(), &email, WRONG).await.problem(401, "invalid_credentials");
        }
        let mut expected = 10;
        for _ in 0..4 {
            // The right password is not checked either, because the response would reveal it.
            assert_eq!(wait(&try_sign_in(&app.anon(), &email, PASSWORD).await), expected);
            assert_eq!(wait(&try_sign_in(&app.anon(), &email, WRONG).await), expected);
            app.clock.advance(SignedDuration::from_secs(expected));
            try_sign_in(&app.anon(), &email, WRONG).await.problem(401, "invalid_credentials");
            expected *= 2;
        }
        // The failures are counted in the database, not in the process.
        let app = app.restart(&[]);
        assert_eq!(wait(&try_sign_in(&app.anon(), &email, PASSWORD).await), expected);
        app.clock.advance(SignedDuration::from_secs(expected));
        let device = try_sign_in(&app.anon(), &email, PASSWORD).await.expect(201).string("/device_token");
        // Others at this address do not notice the sign-in, and the device has a count of its own.
        try_sign_in(&app.anon(), &email, WRONG).await.problem(401, "invalid_credentials");
        assert_eq!(wait(&try_sign_in(&app.anon(), &email, PASSWORD).await), expected * 2);
        let from_device = |password: &str| {
            let body = json!({"email": email, "password": password, "device_token": device});
            let anon = app.anon();
            async move { anon.post("/v1/sessions", body).await }
        };
        for _ in 0..4 {
            from_device(WRONG).await.problem(401, "invalid_credentials");
        }
        from_device(PASSWORD).await.expect(201);
        for _ in 0..4 {
            from_device(WRONG).await.problem(401, "invalid_credentials");
        }
        from_device(PASSWORD).await.expect(201);
        app.clock.advance(SignedDuration::from_hours(1));
        try_sign_in(&app.anon(), &email, WRONG).await.problem(401, "invalid_credentials");
        try_sign_in(&app.anon(), &email, PASSWORD).await.expect(201);
    }

    async fn row_07_of_many_parallel_attempts_only_the_free_ones_are_checked(app: App) {
        let email = app.patient("ann").await.email.clone();
        let tries = (0..30).map(|_| {
            let (anon, email) = (app.anon(), email.clone());
            async move { try_sign_in(&anon, &email, WRONG).await }
        });
        let replies = futures_util::future::join_all(tries).await;
        let checked = replies.iter().filter(|reply| reply.status == 401).count();
        assert!(checked <= 5, "{checked} were checked");
        for reply in replies.iter().filter(|reply| reply.status != 401) {
            wait(reply);
        }
    }

    async fn row_07_an_attacker_at_one_address_does_not_lock_out_others(app: App) {
        let email = app.patient("ann").await.email.clone();
        for _ in 0..8 {
            try_sign_in(&app.anon_at("127.6.6.6"), &email, WRONG).await;
        }
        wait(&try_sign_in(&app.anon_at("127.6.6.6"), &email, PASSWORD).await);
        try_sign_in(&app.anon_at("127.7.7.7"), &email, PASSWORD).await.expect(201);
    }

    async fn row_03_an_address_gets_at_most_five_verification_mails(app: App) {
        let ann = app.patient("ann").await;
        let change = json!({"current_password": PASSWORD, "new_email": "somebody@else.example"});
        for _ in 0..5 {
            ann.post("/v1/me/email", change.clone()).await.expect(202);
        }
        ann.post("/v1/me/email", change).await.problem(429, "too_many_changes");
        assert_eq!(app.mails_to("somebody@else.example").await.len(), 5);
    }

    async fn row_07_a_password_reset_ends_the_wait_of_the_account(app: App) {
        let email = app.patient("ann").await.email.clone();
        for _ in 0..5 {
            try_sign_in(&app.anon(), &email, WRONG).await;
        }
        wait(&try_sign_in(&app.anon(), &email, PASSWORD).await);
        let token = reset_link(&app, &email).await;
        let body = json!({"token": token, "new_password": "violet otter hums at dawn"});
        app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
        try_sign_in(&app.anon(), &email, "violet otter hums at dawn").await.expect(201);
    }

    async fn row_07_one_address_cannot_try_one_password_on_many_accounts(app: App) {
        let spray = app.anon_at("127.6.6.6");
        for number in 0..50 {
            try_sign_in(&spray, &format!("nobody{number}@patients.example"), WRONG).await.problem(401, "invalid_credentials");
        }
        wait(&try_sign_in(&spray, "nobody50@patients.example", WRONG).await);
        try_sign_in(&app.anon(), "nobody50@patients.example", WRONG).await.problem(401, "invalid_credentials");
    }

    async fn row_07_counted_failures_contain_no_addresses_and_are_purged(app: App) {
        try_sign_in(&app.anon(), "nobody@patients.example", WRONG).await.problem(401, "invalid_credentials");
        let keys = || app.db(|tx| Ok(sign_in_failures::table.select((sign_in_failures::account, sign_in_failures::network)).load::<(Vec<u8>, Vec<u8>)>(tx)?));
        let there = keys().await;
        assert!(there.len() == 3 && there.iter().all(|(account, network)| [0, 32].contains(&account.len()) && [0, 32].contains(&network.len())));
        app.clock.advance(SignedDuration::from_mins(61));
        let env = app.env.clone();
        app.db(move |tx| purge::round(tx, &env)).await;
        assert!(keys().await.is_empty());
    }

    async fn row_08_unknown_accounts_get_the_same_responses_and_waits_as_known_ones(app: App) {
        let email = app.patient("ann").await.email.clone();
        let mut told: Vec<Vec<(u16, String, Value)>> = Vec::new();
        for email in [email.as_str(), "nobody@patients.example", "no address at all"] {
            let mut answers = Vec::new();
            for _ in 0..7 {
                let mut reply = try_sign_in(&app.anon(), email, WRONG).await;
                reply.body["request_id"] = Value::Null;
                answers.push((reply.status, reply.header("retry-after").to_owned(), reply.body));
            }
            told.push(answers);
        }
        assert!(told[0] == told[1] && told[1] == told[2], "{told:#?}");
        assert_eq!(told[0][6].0, 429);
    }

    async fn row_08_requests_about_known_and_unknown_addresses_wait_for_the_same_delay(app: App) {
        // What `accounts::uniform_delay` waits for, longer than any of these requests takes. A wait never ends early, so this bound
        // holds on a slow machine as well.
        const DELAY: Duration = Duration::from_millis(400);
        app.account("known@patients.example", Role::Patient, None).await;
        let registration = |email: &str| json!({
            "email": email, "relation": "self", "consents": [],
            "patient": {"given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
                "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false},
        });
        for (path, body) in [
            ("/v1/password-resets", &(|email: &str| json!({"email": email})) as &dyn Fn(&str) -> Value),
            ("/v1/email-verifications/resend", &|email: &str| json!({"email": email})),
            ("/v1/registrations", &registration),
        ] {
            for email in ["known@patients.example", "unknown@patients.example"] {
                let begun = Instant::now();
                app.anon().post(path, body(email)).await.expect(202);
                assert!(begun.elapsed() >= DELAY, "{path} did not wait for {email}");
            }
        }
    }

    async fn row_09_a_link_uses_the_public_url_whatever_the_host_header_and_is_stored_as_a_hash(app: App) {
        let email = app.patient("ann").await.email.clone();
        let headers = [
            ("Host", "evil.example"), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example"),
            ("Content-Type", "application/json"),
        ];
        let body = json!({"email": email}).to_string().into_bytes();
        app.anon().send_raw(Method::POST, "/v1/password-resets", &headers, body).await.expect(202);
        let mail = app.mails_to(&email).await.last().expect("a mail").clone();
        assert!(mail.text.contains("https://legwork.example/set-password#token="), "{}", mail.text);
        assert!(!mail.raw.contains("evil.example"));
        // 256 bits, which are not stored.
        let token = mail.token();
        assert_eq!(token.len(), 43);
        let hashes = app.db(|tx| Ok(one_time_tokens::table.select(one_time_tokens::token_hash).load::<Vec<u8>>(tx)?)).await;
        assert!(not_empty(&hashes).iter().all(|hash| hash.len() == 32 && hash.as_slice() != &token.as_bytes()[..32]));
    }

    async fn row_09_one_of_several_parallel_uses_of_a_link_succeeds(app: App) {
        let email = app.patient("ann").await.email.clone();
        let token = reset_link(&app, &email).await;
        let tries = (0..6).map(|number| {
            let (anon, token) = (app.anon(), token.clone());
            async move {
                let body = json!({"token": token, "new_password": format!("violet otter hums at dawn {number}")});
                anon.post("/v1/password-resets/confirm", body).await.status
            }
        });
        let told = futures_util::future::join_all(tries).await;
        assert_eq!(told.iter().filter(|status| **status == 204).count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|status| **status == 422).count(), 5, "{told:?}");
    }

    async fn row_13_the_owner_lists_and_ends_the_sessions_of_an_account(app: App) {
        let email = app.patient("ann").await.email.clone();
        let headers = [("User-Agent", "Mozilla/5.0 (Windows NT 10.0; rv:133.0) Gecko/20100101 Firefox/133.0"), ("Content-Type", "application/json")];
        let body = json!({"email": email, "password": PASSWORD}).to_string().into_bytes();
        app.clock.advance(SignedDuration::from_secs(1));
        let reply = app.anon().send_raw(Method::POST, "/v1/sessions", &headers, body).await;
        reply.expect(201);
        let ann = app.anon().with_token(&reply.string("/access_token"));
        let mine = ann.get("/v1/sessions").await.items();
        assert_eq!(mine.len(), 2);
        assert_eq!((&mine[0]["current"], &mine[0]["device"], &mine[0]["network"]), (&json!(true), &json!("Firefox on Windows"), &json!("127.0.0.0/24")));
        assert_eq!((&mine[1]["current"], &mine[1]["device"]), (&json!(false), &json!("unknown")));
        let first = ann.get("/v1/sessions?limit=1").await;
        let next = ann.get(&format!("/v1/sessions?limit=1&cursor={}", first.string("/next_cursor"))).await.items();
        assert_eq!(next, mine[1..]);

        let bob = app.patient("bob").await;
        let path = format!("/v1/sessions/{}", mine[1]["id"].as_str().expect("an id"));
        bob.delete(&path).await.problem(404, "not_found");
        app.admin().await.delete(&path).await.problem(404, "not_found");
        ann.delete("/v1/sessions/nonsense").await.problem(404, "not_found");
        ann.delete(&path).await.expect(204);
        ann.delete(&path).await.problem(404, "not_found");
        assert_eq!(ann.get("/v1/sessions").await.items().len(), 1);
    }

    async fn row_13_an_administrator_lists_and_ends_the_sessions_of_an_account(app: App) {
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        let path = format!("/v1/users/{}/sessions", ann.user_id);
        let there = admin.get(&path).await.items();
        assert_eq!((there.len(), &there[0]["current"]), (1, &json!(false)));
        for other in [&desk, &ann.client] {
            other.get(&path).await.problem(403, "role_forbidden");
            other.delete(&path).await.problem(403, "role_forbidden");
        }
        let nobody = "/v1/users/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55/sessions";
        admin.get(nobody).await.problem(404, "not_found");
        admin.delete(nobody).await.problem(404, "not_found");
        ann.get("/v1/me").await.expect(200);
        admin.delete(&path).await.expect(204);
        ann.get("/v1/me").await.problem(401, "unauthenticated");
        assert!(admin.get(&path).await.items().is_empty());
    }

    async fn row_13_expired_sessions_tokens_and_links_are_purged_and_live_ones_stay(app: App) {
        let email = app.patient("ann").await.email.clone();
        reset_link(&app, &email).await;
        let renew = |token: Value| {
            let anon = app.anon();
            async move { anon.post("/v1/sessions/refresh", json!({"refresh_token": token})).await.expect(200).body["refresh_token"].clone() }
        };
        let reply = try_sign_in(&app.anon(), &email, PASSWORD).await;
        let mut token = renew(reply.expect(201).body["refresh_token"].clone()).await;
        let gone = try_sign_in(&app.anon(), &email, PASSWORD).await;
        app.anon().with_token(&gone.string("/access_token")).delete("/v1/sessions/current").await.expect(204);
        // Including the sessions of the front desk and of the patient.
        assert_eq!(purged(&app).await, (4, 5, 1));
        for _ in 0..4 {
            app.clock.advance(SignedDuration::from_hours(24 * 6));
            token = renew(token).await;
        }
        assert_eq!(purged(&app).await, (4, 9, 1));
        app.clock.advance(SignedDuration::from_hours(24 * 7));
        // On the 31st day: the ended session, the link, and the first used token.
        assert_eq!(purged(&app).await, (3, 7, 0));
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        assert_eq!(purged(&app).await, (0, 0, 0));
    }
}

/// The time of a sign-in is that of its statements and of one password hash: both are the same for an account that does not
/// exist.
fn row_08_a_sign_in_costs_the_same_for_known_and_unknown_addresses(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("known@patients.example", Role::Patient);
    app::runtime().block_on(async {
        let log = [("LOG_FORMAT", "json"), ("RUST_LOG", "info,legwork::sql=trace")];
        let server = Process::start(&site, &log).await;
        let hashes = async || {
            let figures = server.anon().get("/metrics").await.text;
            let count = figures.lines().find_map(|line| line.strip_prefix("legwork_password_hashes_total "));
            count.expect("the figure").parse::<u32>().expect("a number")
        };
        for known in ["known", "unknown"] {
            let before = hashes().await;
            let body = json!({"email": format!("{known}@patients.example"), "password": WRONG});
            let request = format!("sign-in-{known}");
            let reply = server.anon().post_with("/v1/sessions", body, &[("X-Request-Id", &request)]).await;
            reply.problem(401, "invalid_credentials");
            assert_eq!(hashes().await - before, 1, "hashes for a {known} address");
        }
        let statements = statements(&server);
        assert_eq!(statements["sign-in-known"], statements["sign-in-unknown"]);
    });
}

#[test]
fn row_08_a_sign_in_costs_the_same_for_known_and_unknown_addresses_on_sqlite() {
    row_08_a_sign_in_costs_the_same_for_known_and_unknown_addresses(Engine::Sqlite);
}

#[test]
fn row_08_a_sign_in_costs_the_same_for_known_and_unknown_addresses_on_postgres() {
    row_08_a_sign_in_costs_the_same_for_known_and_unknown_addresses(Engine::Postgres);
}

/// On PostgreSQL, several servers can share a database.
#[test]
fn row_13_a_session_ended_on_one_instance_ends_on_the_other_at_once() {
    let Some(site) = Site::new(Engine::Postgres) else { return };
    for (email, role) in [
        ("admin@clinic.example", Role::Admin),
        ("desk@clinic.example", Role::FrontDesk),
        ("ann@patients.example", Role::Patient),
    ] {
        site.account(email, role);
    }
    app::runtime().block_on(async {
        let (one, other) = (Process::start(&site, &[]).await, Process::start(&site, &[]).await);
        let admin = one.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let (ann, desk) = (
            one.anon().sign_in("ann@patients.example", PASSWORD).await,
            one.anon().sign_in("desk@clinic.example", PASSWORD).await,
        );
        let there = async |client: &Client| other.anon().with_token(&client.token().await.expect("signed in"));
        let (ann_there, desk_there) = (there(&ann).await, there(&desk).await);
        ann_there.get("/v1/me").await.expect(200);
        ann.delete("/v1/sessions/current").await.expect(204);
        ann_there.get("/v1/me").await.problem(401, "unauthenticated");

        // Another role changes the permissions of the same session.
        desk_there.get("/v1/users").await.problem(403, "role_forbidden");
        let path = format!("/v1/users/{}", desk.user_id);
        let changed = admin.update(&path, json!({"role": "admin"})).await;
        changed.expect(200);
        desk_there.get("/v1/users").await.expect(200);
        admin.patch(&path, &changed.etag(), json!({"disabled": true})).await.expect(200);
        desk_there.get("/v1/me").await.problem(401, "unauthenticated");
    });
}
