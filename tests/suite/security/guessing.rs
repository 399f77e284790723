//! Rows 7 and 8: guessing from many addresses keeps no owner out, and no throttle tells who has an account.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use legwork::clock::Timestamp;
use serde_json::{Value, json};

use super::accounts::{WRONG, try_sign_in, wait};
use crate::support::people::PASSWORD;
use crate::support::{App, Client, Reply, both};

/// A try from an address that the proxy names.
async fn try_from(app: &App, address: &str, body: Value) -> Reply {
    app.anon().post_with("/v1/sessions", body, &[("X-Forwarded-For", address)]).await
}

/// Somebody who guesses one account's password from more and more addresses, and comes back from each when told to.
struct Attack<'a> {
    app: &'a App,
    email: &'a str,
    /// When each address may come back.
    due: BTreeMap<u32, Timestamp>,
    /// How many guesses of each address were heard.
    heard: BTreeMap<u32, u32>,
    /// How many addresses were heard without having waited.
    heard_at_once: u32,
}

impl<'a> Attack<'a> {
    fn new(app: &'a App, email: &'a str) -> Self {
        Self { app, email, due: BTreeMap::new(), heard: BTreeMap::new(), heard_at_once: 0 }
    }

    /// A second of it: a guess from so many new addresses, and from a few of those that may come back.
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
                self.heard_at_once += u32::from(is_new);
            }
            self.due.insert(number, now.plus(SignedDuration::from_secs(next)));
        }
        self.app.clock.advance(SignedDuration::from_secs(1));
    }
}

both! {
    async fn row_07_the_right_password_is_heard_within_a_minute_whatever_others_guess_from_many_addresses(app: App) {
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
                // Without it, once, for a moment, and everybody guesses on meanwhile.
                let told = wait(&try_from(&app, "198.51.100.99", right.clone()).await);
                assert!((1..60).contains(&told), "{told} s");
                for _ in 0..told {
                    attack.go_on(12).await;
                }
                try_from(&app, "198.51.100.99", right.clone()).await.expect(201);
            }
        }
        // And again from elsewhere, after a mistake.
        let told = wait(&try_from(&app, "198.51.100.88", json!({"email": email, "password": WRONG})).await);
        app.clock.advance(SignedDuration::from_secs(told));
        try_from(&app, "198.51.100.88", json!({"email": email, "password": WRONG})).await.problem(401, "invalid_credentials");
        let again = wait(&try_from(&app, "198.51.100.88", right.clone()).await);
        app.clock.advance(SignedDuration::from_secs(again));
        try_from(&app, "198.51.100.88", right.clone()).await.expect(201);
        assert!(told + again < 60, "{told} s and {again} s");
        // Of each address a few guesses were heard, and before the attack was noticed twenty.
        let most = attack.heard.values().max().copied().unwrap_or_default();
        assert!(most <= 6, "{most} guesses of one address were heard");
        assert!((1..=20).contains(&attack.heard_at_once), "{} addresses were heard at once", attack.heard_at_once);
    }

    async fn row_07_a_network_of_ipv6_has_no_more_lanes_than_one_of_ipv4(app: App) {
        let email = app.patient("ann").await.email.clone();
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let wrong = json!({"email": email, "password": WRONG});
        let mut heard = 0;
        // 64 bits are picked at will; a household has 256 times as many, and one lane.
        for subnet in 0..256 {
            heard += i32::from(try_from(&app, &format!("2001:db8:1:{subnet:x}::1"), wrong.clone()).await.status == 401);
        }
        assert_eq!(heard, 5);
        try_from(&app, "2001:db8:1:100::1", json!({"email": email, "password": PASSWORD})).await.expect(201);
    }

    async fn row_07_of_many_tries_at_once_after_the_first_wait_one_is_heard(app: App) {
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

    async fn row_07_guesses_from_the_waiting_room_do_not_keep_the_desk_out(app: App) {
        let desk = app.desk().await;
        let ann = app.patient("ann").await;
        let (email, shared) = ("desk@clinic.example", app.anon_at("127.5.5.5"));
        let with = |email: &str, password: &str, token: &Value| json!({"email": email, "password": password, "device_token": token});
        let token = try_sign_in(&shared, email, PASSWORD).await.expect(201).body["device_token"].clone();
        let of_ann = try_sign_in(&app.anon(), &ann.email, PASSWORD).await.expect(201).body["device_token"].clone();
        for number in 0..60 {
            try_sign_in(&shared, &format!("nobody{number}@patients.example"), WRONG).await;
        }
        // An unknown device waits with the others, and is not told to set a new password.
        let unknown = try_sign_in(&shared, email, PASSWORD).await;
        wait(&unknown);
        assert!(!unknown.text.contains("new password") && unknown.text.contains("your network"), "{}", unknown.text);
        for foreign in [of_ann, json!("made up"), json!(""), json!("x".repeat(5000)), Value::Null] {
            wait(&shared.post("/v1/sessions", with(email, PASSWORD, &foreign)).await);
        }
        let again = shared.post("/v1/sessions", with(email, PASSWORD, &token)).await;
        assert_eq!(again.expect(201).body["device_token"], token, "the same, while it is fresh");
        // The device has a lane of its own, and no more than that.
        for _ in 0..5 {
            shared.post("/v1/sessions", with(email, WRONG, &token)).await.problem(401, "invalid_credentials");
        }
        assert_eq!(wait(&shared.post("/v1/sessions", with(email, PASSWORD, &token)).await), 10);
        try_sign_in(&app.anon_at("127.8.8.8"), email, PASSWORD).await.expect(201);
        desk.get("/v1/me").await.expect(200);
        // After a month it is renewed, and after a year forgotten.
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        let renewed = shared.post("/v1/sessions", with(email, PASSWORD, &token)).await;
        assert_ne!(renewed.expect(201).body["device_token"], token);
        let refreshed = shared.post("/v1/sessions/refresh", json!({"refresh_token": renewed.body["refresh_token"]})).await;
        assert_eq!(refreshed.expect(201).body["device_token"], Value::Null);
    }

    async fn row_07_others_guesses_do_not_keep_the_signed_in_from_changing_their_password(app: App) {
        let ann = app.patient("ann").await;
        for number in 0..30 {
            try_sign_in(&app.anon_at(&format!("127.6.{number}.1")), &ann.email, WRONG).await;
        }
        for _ in 0..60 {
            try_sign_in(&app.anon(), &ann.email, WRONG).await;
        }
        let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
        ann.post("/v1/me/password", change(PASSWORD, "violet otter hums at dawn")).await.expect(204);
        // Whoever has the session only has few guesses, and they cost its owner no sign-in elsewhere.
        for _ in 0..5 {
            ann.post("/v1/me/password", change(WRONG, "amber heron folds paper")).await.invalid("/current_password", "wrong_password");
        }
        assert_eq!(wait(&ann.post("/v1/me/password", change(WRONG, "amber heron folds paper")).await), 10);
        let elsewhere = app.anon_at("127.7.7.7");
        let told = wait(&try_sign_in(&elsewhere, &ann.email, "violet otter hums at dawn").await);
        app.clock.advance(SignedDuration::from_secs(told));
        try_sign_in(&elsewhere, &ann.email, "violet otter hums at dawn").await.expect(201);
    }

    async fn row_08_a_network_of_which_others_have_signed_in_learns_no_more_than_another(app: App) {
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
        // Nor do accounts under attack differ, known and unknown, before and after the first wait.
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
