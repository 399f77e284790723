//! Rows 7 and 8: guessing from many addresses locks out no owner, and throttling does not reveal accounts.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use legwork::clock::Timestamp;
use serde_json::{Value, json};

use super::accounts::{WRONG, try_sign_in, wait};
use crate::support::people::PASSWORD;
use crate::support::{App, Client, Reply, app, both, eventually};

/// A sign-in from a client address that the proxy reports.
async fn try_from(app: &App, address: &str, body: Value) -> Reply {
    app.anon().post_with("/v1/sessions", body, &[("X-Forwarded-For", address)]).await
}

/// An attacker who guesses one account's password from many addresses, and retries from each after its wait.
struct Attack<'a> {
    app: &'a App,
    email: &'a str,
    /// When each address may retry.
    due: BTreeMap<u32, Timestamp>,
    /// The number of checked guesses of each address.
    heard: BTreeMap<u32, u32>,
    /// The number of addresses whose first guess was checked.
    checked_at_once: u32,
}

impl<'a> Attack<'a> {
    fn new(app: &'a App, email: &'a str) -> Self {
        Self { app, email, due: BTreeMap::new(), heard: BTreeMap::new(), checked_at_once: 0 }
    }

    /// One second of the attack: a guess from this many new addresses, and retries from a few others.
    async fn go_on(&mut self, new: u32) {
        let now = self.app.clock.now();
        let first = u32::try_from(self.due.len()).expect("few");
        let back = self.due.iter().filter(|(_, due)| **due <= now).map(|(number, _)| *number).take(4);
        let guessing: Vec<u32> = back.chain(first..first + new).collect();
        for number in guessing {
            let address = format!("10.{}.{}.1", number / 250, number % 250);
            let body = json!({"email": self.email, "password": WRONG});
            let reply = try_from(self.app, &address, body).await;
            let is_new = !self.due.contains_key(&number);
            let next = if reply.status == 429 { wait(&reply) } else { 0 };
            if reply.status == 401 {
                *self.heard.entry(number).or_default() += 1;
                self.checked_at_once += u32::from(is_new);
            }
            self.due.insert(number, now.plus(SignedDuration::from_secs(next)));
        }
        self.app.clock.advance(SignedDuration::from_secs(1));
    }
}

both! {
    async fn row_07_the_right_password_works_within_a_minute_whatever_others_guess_from_many_addresses(app: App) {
        let email = app.patient("ann").await.email.clone();
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let right = json!({"email": email, "password": PASSWORD});
        let token = try_from(&app, "203.0.113.7", right.clone()).await.expect(201).body["device_token"].clone();
        let mut attack = Attack::new(&app, &email);
        // Every second for a minute, from twelve more addresses, each in a network of its own.
        for second in 0..60 {
            attack.go_on(12).await;
            if second == 25 {
                let mut known = right.clone();
                known["device_token"] = token.clone();
                try_from(&app, "192.0.2.77", known).await.expect(201);
                // Without the device token, the right password works once, while the guessing continues.
                let told = wait(&try_from(&app, "198.51.100.99", right.clone()).await);
                assert!((1..60).contains(&told), "{told} s");
                for _ in 0..told {
                    attack.go_on(12).await;
                }
                try_from(&app, "198.51.100.99", right.clone()).await.expect(201);
            }
        }
        // And again from another address, after a wrong password.
        let told = wait(&try_from(&app, "198.51.100.88", json!({"email": email, "password": WRONG})).await);
        app.clock.advance(SignedDuration::from_secs(told));
        try_from(&app, "198.51.100.88", json!({"email": email, "password": WRONG})).await.problem(401, "invalid_credentials");
        let again = wait(&try_from(&app, "198.51.100.88", right.clone()).await);
        app.clock.advance(SignedDuration::from_secs(again));
        try_from(&app, "198.51.100.88", right.clone()).await.expect(201);
        assert!(told + again < 60, "{told} s and {again} s");
        // A few guesses of each address were checked, and twenty before the attack was detected.
        let most = attack.heard.values().max().copied().unwrap_or_default();
        assert!(most <= 6, "{most} guesses of one address were checked");
        assert!((1..=20).contains(&attack.checked_at_once), "{} addresses were checked without a wait", attack.checked_at_once);
    }

    async fn row_07_an_ipv6_network_has_no_more_attempts_than_an_ipv4_network(app: App) {
        let email = app.patient("ann").await.email.clone();
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let wrong = json!({"email": email, "password": WRONG});
        let mut heard = 0;
        // A /64 network chooses its addresses freely; a household's /56 has 256 such networks and one count of attempts.
        for subnet in 0..256 {
            heard += i32::from(try_from(&app, &format!("2001:db8:1:{subnet:x}::1"), wrong.clone()).await.status == 401);
        }
        assert_eq!(heard, 5);
        try_from(&app, "2001:db8:1:100::1", json!({"email": email, "password": PASSWORD})).await.expect(201);
    }

    async fn row_07_after_the_first_wait_one_of_many_parallel_attempts_is_checked(app: App) {
        let email = app.patient("ann").await.email.clone();
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let wrong = json!({"email": email, "password": WRONG});
        for number in 0..20 {
            try_from(&app, &format!("10.0.{number}.1"), wrong.clone()).await.problem(401, "invalid_credentials");
        }
        let at_once = async || {
            let tries = (0..20).map(|_| try_from(&app, "10.1.1.1", wrong.clone()));
            let replies = futures_util::future::join_all(tries).await;
            replies.iter().filter(|reply| reply.status == 401).count()
        };
        assert_eq!(at_once().await, 0);
        app.clock.advance(SignedDuration::from_secs(20));
        assert_eq!(at_once().await, 1);
        app.clock.advance(SignedDuration::from_secs(10));
        assert_eq!(at_once().await, 1);
    }

    async fn row_07_guesses_from_a_shared_network_do_not_lock_out_a_known_device(app: App) {
        let desk = app.desk().await;
        let ann = app.patient("ann").await;
        let (email, shared) = ("desk@clinic.example", app.anon_at("127.5.5.5"));
        let with = |email: &str, password: &str, token: &Value| json!({"email": email, "password": password, "device_token": token});
        let token = try_sign_in(&shared, email, PASSWORD).await.expect(201).body["device_token"].clone();
        let of_ann = try_sign_in(&app.anon(), &ann.email, PASSWORD).await.expect(201).body["device_token"].clone();
        for number in 0..60 {
            try_sign_in(&shared, &format!("nobody{number}@patients.example"), WRONG).await;
        }
        // An unknown device waits like the others, and is not asked to set a new password.
        let unknown = try_sign_in(&shared, email, PASSWORD).await;
        wait(&unknown);
        assert!(!unknown.text.contains("new password") && unknown.text.contains("your network"), "{}", unknown.text);
        for foreign in [of_ann, json!("made up"), json!(""), json!("x".repeat(128)), Value::Null] {
            wait(&shared.post("/v1/sessions", with(email, PASSWORD, &foreign)).await);
        }
        let again = shared.post("/v1/sessions", with(email, PASSWORD, &token)).await;
        assert_eq!(again.expect(201).body["device_token"], token, "the same, while it is fresh");
        // The device has its own count of attempts.
        for _ in 0..5 {
            shared.post("/v1/sessions", with(email, WRONG, &token)).await.problem(401, "invalid_credentials");
        }
        assert_eq!(wait(&shared.post("/v1/sessions", with(email, PASSWORD, &token)).await), 10);
        try_sign_in(&app.anon_at("127.8.8.8"), email, PASSWORD).await.expect(201);
        desk.get("/v1/me").await.expect(200);
        // The token is renewed after a month.
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        let renewed = shared.post("/v1/sessions", with(email, PASSWORD, &token)).await;
        assert_ne!(renewed.expect(201).body["device_token"], token);
        let refreshed = shared.post("/v1/sessions/refresh", json!({"refresh_token": renewed.body["refresh_token"]})).await;
        assert_eq!(refreshed.expect(200).body["device_token"], Value::Null);
    }

    async fn row_07_guesses_by_others_do_not_block_a_session_from_changing_its_password(app: App) {
        let ann = app.patient("ann").await;
        for number in 0..30 {
            try_sign_in(&app.anon_at(&format!("127.6.{number}.1")), &ann.email, WRONG).await;
        }
        for _ in 0..60 {
            try_sign_in(&app.anon(), &ann.email, WRONG).await;
        }
        let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
        ann.post("/v1/me/password", change(PASSWORD, "violet otter hums at dawn")).await.expect(204);
        // A session has few attempts, and they do not throttle sign-ins elsewhere.
        for _ in 0..5 {
            ann.post("/v1/me/password", change(WRONG, "amber heron folds paper")).await.invalid("/current_password", "wrong_password");
        }
        assert_eq!(wait(&ann.post("/v1/me/password", change(WRONG, "amber heron folds paper")).await), 10);
        let elsewhere = app.anon_at("127.7.7.7");
        let told = wait(&try_sign_in(&elsewhere, &ann.email, "violet otter hums at dawn").await);
        app.clock.advance(SignedDuration::from_secs(told));
        try_sign_in(&elsewhere, &ann.email, "violet otter hums at dawn").await.expect(201);
    }

    async fn row_08_a_first_password_does_not_end_the_waits_of_others(app: App) {
        let (email, stranger) = ("new@example.org", app.anon_at("127.6.6.6"));
        for _ in 0..5 {
            try_sign_in(&stranger, email, WRONG).await.problem(401, "invalid_credentials");
            try_sign_in(&app.anon(), email, WRONG).await.problem(401, "invalid_credentials");
        }
        let body = json!({
            "email": email, "relation": "self",
            "patient": {"given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
                "preferred_language": "en", "interpreter_needed": false},
        });
        // The owner's own wait ends with the new password.
        app.registered(body, "violet otter hums at dawn").await.get("/v1/me").await.expect(200);
        assert_eq!(wait(&try_sign_in(&stranger, email, WRONG).await), 10);
    }

    async fn row_08_a_sign_in_of_the_owner_does_not_show_to_others_at_the_same_address(app: App) {
        let (ann, shared) = (app.patient("ann").await, app.anon_at("127.5.5.5"));
        let mut told: Vec<Vec<u16>> = Vec::new();
        for (email, is_owner_there) in [(ann.email.as_str(), true), ("nobody@patients.example", false)] {
            for _ in 0..5 {
                try_sign_in(&shared, email, WRONG).await.problem(401, "invalid_credentials");
            }
            app.clock.advance(SignedDuration::from_secs(10));
            if is_owner_there {
                try_sign_in(&app.anon_at("127.5.5.5"), email, PASSWORD).await.expect(201);
            }
            let mut statuses = Vec::new();
            for _ in 0..3 {
                statuses.push(try_sign_in(&shared, email, WRONG).await.status);
            }
            told.push(statuses);
        }
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0], [401, 429, 429]);
    }

    async fn row_08_a_network_with_earlier_sign_ins_gets_the_same_responses_as_another(app: App) {
        let email = app.patient("ann").await.email.clone();
        let shared = app.anon_at("127.5.5.5");
        try_sign_in(&shared, &email, PASSWORD).await.expect(201);
        let addresses = [email.as_str(), "nobody@patients.example", "no address at all"];
        let alike = async |place: &Client| {
            let mut told = Vec::new();
            for address in addresses {
                let mut reply = try_sign_in(place, address, WRONG).await;
                reply.body["request_id"] = Value::Null;
                told.push((reply.status, reply.header("retry-after").to_owned(), reply.body));
            }
            assert!(told[0] == told[1] && told[1] == told[2], "{told:#?}");
            told[0].0
        };
        for number in 0..60 {
            try_sign_in(&shared, &format!("nobody{number}@patients.example"), WRONG).await;
        }
        assert_eq!(alike(&shared).await, 429);
        // Known and unknown accounts under attack do not differ either, before and after the first wait.
        for number in 0..25 {
            for address in addresses {
                try_sign_in(&app.anon_at(&format!("127.6.{number}.1")), address, WRONG).await;
            }
        }
        let elsewhere = app.anon_at("127.7.7.7");
        assert_eq!(alike(&elsewhere).await, 429);
        app.clock.advance(SignedDuration::from_secs(20));
        assert_eq!(alike(&elsewhere).await, 401);
        assert_eq!(alike(&elsewhere).await, 429);
        assert_eq!(alike(&shared).await, 429);
    }
}

#[test]
fn row_07_an_account_that_floods_the_password_queue_keeps_no_other_known_device_out() {
    let app = App::on_sqlite(&[]).with_required_hashes(&["--password-hashers", "1"]);
    app::runtime().block_on(async {
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let known = async |email: &str| {
            let mut body = json!({"email": email, "password": PASSWORD});
            body["device_token"] =
                app.anon().post("/v1/sessions", body.clone()).await.expect(201).body["device_token"].clone();
            body
        };
        let (of_ann, of_bob) = (known(&ann.email).await, known(&bob.email).await);
        let flood = join_all((0..90).map(|_| {
            let (anon, body) = (app.anon(), of_ann.clone());
            async move { anon.post("/v1/sessions", body).await.status }
        }));
        let others = async {
            let refused = || app.env.metrics.password_hashes_refused.get();
            eventually(async || if refused() > 0 { Ok(()) } else { Err("no sign-in was rejected".to_owned()) }).await;
            app.anon().post("/v1/sessions", of_bob).await.expect(201);
        };
        let (statuses, ()) = join(flood, others).await;
        assert!(statuses.iter().all(|status| [201, 503].contains(status)), "{statuses:?}");
    });
}
