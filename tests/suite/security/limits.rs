//! Rows 3, 5 and 22: limits for each address, account, patient and mailbox.

use futures_util::future::{join, join_all};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::people::PASSWORD;
use crate::support::{App, Client, Reply, app, book, both, eventually};

async fn wrong_password(anon: &Client, from: &[(&str, &str)]) -> Reply {
    anon.post_with("/v1/sessions", json!({"email": "nobody@example.org", "password": "x"}), from).await
}

/// The parameter `name` of a header such as `"enter";r=4;t=60`.
#[track_caller]
fn parameter(reply: &Reply, header: &str, name: &str) -> u64 {
    let value = reply.header(header);
    let found = value.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    found
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {header}: {value:?} of {}", reply.request))
}

#[test]
fn row_03_an_address_over_its_rate_limit_gets_429_with_retry_after() {
    let app = App::on_sqlite(&["--rate-limits", "enter=4/10m,public=5/10m"]);
    app::runtime().block_on(async {
        let anon = app.anon();
        for left in (0..4).rev() {
            let reply = wrong_password(&anon, &[]).await;
            reply.problem(401, "invalid_credentials");
            assert_eq!(reply.header("ratelimit-policy"), "\"enter\";q=4;w=600");
            assert_eq!(parameter(&reply, "ratelimit", "r"), left);
            assert!((1..=600).contains(&parameter(&reply, "ratelimit", "t")));
        }
        let refused = wrong_password(&anon, &[]).await;
        refused.problem(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").parse().expect("seconds");
        assert!((1..=151).contains(&wait), "one of four in ten minutes: {wait}");
        assert_eq!(parameter(&refused, "ratelimit", "r"), 0);
        // All sign-in requests share a limit; public reads have their own; health probes have none.
        anon.post("/v1/password-resets", json!({"email": "a@example.org"})).await.problem(429, "rate_limited");
        anon.post("/v1/registrations", json!({})).await.problem(429, "rate_limited");
        assert_eq!(
            anon.post("/v1/sessions/refresh", json!({"refresh_token": "x"})).await.header("ratelimit-policy"),
            "\"public\";q=5;w=600"
        );
        for path in ["/v1/locations", "/nowhere", "/v1/users", "/v1/locations?nonsense=1"] {
            assert!(anon.get(path).await.header("ratelimit").starts_with("\"public\";r="), "{path}");
        }
        for path in ["/v1/locations", "/nowhere"] {
            anon.get(path).await.problem(429, "rate_limited");
        }
        // The documentation is drawn and compressed for each request.
        anon.get("/docs/").await.expect(429);
        for path in ["/health/live", "/health/ready", "/metrics", "/openapi.json"] {
            for _ in 0..8 {
                let reply = anon.get(path).await;
                reply.expect(200);
                assert_eq!(reply.header("ratelimit"), "", "{path}");
            }
        }
    });
}

#[test]
fn row_03_sessions_are_limited_by_account_and_not_by_address() {
    let app = App::on_sqlite(&["--rate-limits", "enter=100/1m,public=1/10m,read=3/10m,write=2/10m"]);
    app::runtime().block_on(async {
        let (admin, desk) = (app.admin().await, app.desk().await);
        for _ in 0..3 {
            assert!(admin.get("/v1/me").await.expect(200).header("ratelimit").starts_with("\"read\";"));
        }
        admin.get("/v1/me").await.problem(429, "rate_limited");
        admin.get("/v1/users").await.problem(429, "rate_limited");
        desk.get("/v1/me").await.expect(200);
        // A rejected request counts as well.
        for _ in 0..2 {
            admin.post("/v1/locations", json!({})).await.problem(422, "validation_failed");
        }
        admin.post("/v1/locations", json!({})).await.problem(429, "rate_limited");
        // A request with a forged token counts for its address.
        let forged = app.anon().with_token("a.b.c");
        forged.get("/v1/me").await.problem(401, "unauthenticated");
        forged.get("/v1/me").await.problem(429, "rate_limited");
    });
}

#[test]
fn row_03_a_known_device_has_a_limit_of_its_own_that_others_at_its_address_do_not_use_up() {
    let app = App::on_sqlite(&["--rate-limits", "enter=4/10m"]);
    app::runtime().block_on(async {
        let (shared, email) = (app.anon_at("127.5.5.5"), app.patient("ann").await.email.clone());
        let sign_in = |token: &Value| {
            let body = json!({"email": email, "password": PASSWORD, "device_token": token});
            let shared = shared.clone();
            async move { shared.post("/v1/sessions", body).await }
        };
        let token = sign_in(&Value::Null).await.expect(201).body["device_token"].clone();
        for _ in 0..3 {
            wrong_password(&shared, &[]).await.problem(401, "invalid_credentials");
        }
        for other in
            [Value::Null, json!("made up"), json!(token.as_str().expect("text").chars().rev().collect::<String>())]
        {
            sign_in(&other).await.problem(429, "rate_limited");
        }
        for left in (0..4).rev() {
            assert_eq!(parameter(sign_in(&token).await.expect(201), "ratelimit", "r"), left);
        }
        let refused = sign_in(&token).await;
        refused.problem(429, "rate_limited");
        assert_eq!(parameter(&refused, "ratelimit", "r"), 0);
        // Where the address has quota left, the device gets some of it too.
        let body = json!({"email": email, "password": PASSWORD, "device_token": token});
        app.anon_at("127.6.6.6").post("/v1/sessions", body).await.expect(201);
    });
}

#[test]
fn row_03_sign_ins_with_an_unreadable_body_count_as_well() {
    let app = App::on_sqlite(&["--rate-limits", "enter=4/10m"]);
    app::runtime().block_on(async {
        let anon = app.anon_at("127.5.5.5");
        for left in (0..4).rev() {
            let reply = anon.post("/v1/sessions?nonsense=1", json!({})).await;
            assert_eq!((reply.status, parameter(&reply, "ratelimit", "r")), (422, left));
        }
        for path in ["/v1/sessions", "/v1/sessions?nonsense=1"] {
            anon.post(path, json!({})).await.problem(429, "rate_limited");
        }
        wrong_password(&anon, &[]).await.problem(429, "rate_limited");
    });
}

#[test]
fn row_22_only_a_listed_proxy_can_name_the_client_address() {
    let app = App::on_sqlite(&["--rate-limits", "enter=2/10m", "--behind-proxy", "127.0.0.1,10.0.0.0/8"]);
    app::runtime().block_on(async {
        let anon = app.anon();
        let from = |chain: &'static str| [("X-Forwarded-For", chain)];
        for _ in 0..2 {
            wrong_password(&anon, &from("198.51.100.1")).await.expect(401);
        }
        wrong_password(&anon, &from("198.51.100.1")).await.expect(429);
        // The client cannot change its address with its own headers.
        wrong_password(&anon, &from("203.0.113.9, 198.51.100.1")).await.expect(429);
        wrong_password(&anon, &from("203.0.113.9, 198.51.100.1, 10.1.2.3")).await.expect(429);
        let both = [("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=203.0.113.9")];
        wrong_password(&anon, &both).await.expect(429);
        wrong_password(&anon, &from("198.51.100.2")).await.expect(401);
        // A /56 network of IPv6 has one limit, as in the password throttle.
        for (address, status) in [
            ("2001:db8:1:2::1", 401),
            ("2001:db8:1:ff:ffff::2", 401),
            ("2001:db8:1:2::3", 429),
            ("2001:db8:1:102::1", 401),
        ] {
            wrong_password(&anon, &[("X-Forwarded-For", address)]).await.expect(status);
        }
    });
    let app = App::on_sqlite(&["--rate-limits", "enter=2/10m"]);
    app::runtime().block_on(async {
        for (address, status) in [("198.51.100.1", 401), ("198.51.100.2", 401), ("198.51.100.3", 429)] {
            wrong_password(&app.anon(), &[("X-Forwarded-For", address), ("Forwarded", "for=192.0.2.1")])
                .await
                .expect(status);
        }
    });
}

both! {
    async fn row_03_a_patient_has_at_most_four_upcoming_visits_booked_online_and_the_desk_books_more(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let mut booked = Vec::new();
        for slot in &slots[..4] {
            booked.push(book(&ann, slot, &clinic.check, &ann.patient_id).await.expect(201).id());
        }
        book(&ann, &slots[4], &clinic.check, &ann.patient_id).await.problem(409, "booking_limit");
        book(&desk, &slots[5], &clinic.check, &ann.patient_id).await.expect(201);
        // A rescheduled visit still counts, a cancelled one does not, and visits booked by the desk do.
        ann.post(&format!("/v1/appointments/{}/reschedule", booked[0]), json!({"slot_id": slots[6]["id"]})).await.expect(200);
        for (id, room) in [(&booked[0], false), (&booked[1], true)] {
            ann.post(&format!("/v1/appointments/{id}/cancel"), json!({"reason": "other plans"})).await.expect(200);
            let reply = book(&ann, &slots[8], &clinic.check, &ann.patient_id).await;
            if room { reply.expect(201); } else { reply.problem(409, "booking_limit"); }
        }
        // Past visits do not count.
        app.clock.advance(SignedDuration::from_hours(24 * 40));
        let later = free_slots(&app.anon(), &clinic.check).await;
        book(&ann, &later[0], &clinic.check, &ann.patient_id).await.expect(201);
    }

    async fn row_03_of_many_parallel_bookings_four_succeed(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let tries = slots.iter().take(12).map(|slot| book(&ann, slot, &clinic.check, &ann.patient_id));
        let replies = join_all(tries).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 4);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            assert!(["booking_limit", "unavailable"].contains(&reply.string("/code").as_str()), "{}", reply.text);
        }
    }

    async fn row_03_an_account_books_at_most_twelve_visits_for_the_patients_it_added(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let child = |name: &str| json!({
            "given_name": name, "family_name": "Tester", "date_of_birth": "2018-03-01", "administrative_sex": "female",
            "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false,
        });
        let mut patients = vec![ann.patient_id.clone()];
        for number in 0..9 {
            let mut body = child(&format!("Child{}", ["A", "B", "C", "D", "E", "F", "G", "H", "I"][number]));
            body["relation"] = json!("parent");
            patients.push(ann.post("/v1/patients", body).await.expect(201).id());
        }
        let slots = free_slots(&app.anon(), &clinic.check).await;
        // Three or four for each patient, so that no patient reaches its own limit.
        let at_once = slots[..32].iter().enumerate().map(|(number, slot)| {
            book(&ann, slot, &clinic.check, &patients[number % patients.len()])
        });
        let mut made = 0;
        for reply in join_all(at_once).await {
            match reply.status {
                201 => made += 1,
                409 => { reply.problem(409, "account_booking_limit"); }
                _ => { reply.problem(503, "unavailable"); }
            }
        }
        // If some got 503, book the rest one after the other.
        for (number, slot) in slots[40..60].iter().enumerate() {
            let patient = &patients[number % patients.len()];
            made += usize::from(book(&ann, slot, &clinic.check, patient).await.status == 201);
        }
        assert_eq!(made, 12);
        book(&ann, &slots[70], &clinic.check, &patients[9]).await.problem(409, "account_booking_limit");
        // The front desk has no such limit, and a patient it links counts for the patient's limit only.
        book(&desk, &slots[71], &clinic.check, &patients[9]).await.expect(201);
        let linked = desk.post("/v1/patients", child("Linked")).await.expect(201).id();
        desk.post(&format!("/v1/patients/{linked}/access"), json!({"email": ann.email, "relation": "parent"})).await.expect(201);
        for slot in &slots[80..84] {
            book(&ann, slot, &clinic.check, &linked).await.expect(201);
        }
        book(&ann, &slots[90], &clinic.check, &linked).await.problem(409, "booking_limit");
    }

    async fn row_03_strangers_cause_at_most_five_mails_an_hour_and_the_owners_link_keeps_working(app: App) {
        let ann = app.patient("ann").await;
        let ask = |email: &str| {
            let (anon, body) = (app.anon(), json!({"email": email}));
            async move { anon.post("/v1/password-resets", body).await }
        };
        for _ in 0..9 {
            let (known, unknown) = (ask(&ann.email).await, ask("nobody@example.org").await);
            known.expect(202);
            assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
        }
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 5);
        // Further requests do not invalidate the owner's link.
        let body = json!({"token": mails[4].token(), "new_password": "violet otter hums at dawn"});
        app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
        // Other mailboxes and mails about appointments are not affected, and after an hour mails are sent again.
        let bob = app.patient("bob").await;
        ask(&bob.email).await.expect(202);
        assert_eq!(app.mails_to(&bob.email).await.len(), 1);
        let clinic = app.clinic().await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        book(&app.desk().await, &slots[0], &clinic.check, &ann.patient_id).await.expect(201);
        assert_eq!(app.mails_to(&ann.email).await.len(), 6);
        app.clock.advance(SignedDuration::from_mins(61));
        ask(&ann.email).await.expect(202);
        assert_eq!(app.mails_to(&ann.email).await.len(), 7);
    }

    async fn row_03_repeated_registrations_of_a_known_address_send_at_most_five_mails(app: App) {
        let ann = app.patient("ann").await;
        let body = json!({
            "email": ann.email, "relation": "self",
            "patient": {"given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14",
                "administrative_sex": "female", "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false},
        });
        for _ in 0..7 {
            app.anon().post("/v1/registrations", body.clone()).await.expect(202);
        }
        assert_eq!(app.mails_to(&ann.email).await.len(), 5);
    }
}

#[test]
fn row_05_many_parallel_sign_ins_are_rejected_while_other_requests_are_served() {
    let app = App::on_sqlite(&[]).with_required_hashes(&["--password-hashers", "1"]);
    app::runtime().block_on(async {
        let ann = app.patient("ann").await;
        let flood = join_all((0..120).map(|number| {
            let (anon, email) = (app.anon(), ann.email.clone());
            async move {
                let body = json!({"email": email, "password": format!("wrong-{number}")});
                anon.post("/v1/sessions", body).await
            }
        }));
        // Others are served while sign-ins wait for their hash.
        let others = async {
            let waiting = || app.env.metrics.password_waiting.get();
            eventually(async || if waiting() > 0 { Ok(()) } else { Err("no sign-in waits".to_owned()) }).await;
            let mut served_meanwhile = 0;
            while waiting() > 0 {
                app.anon().get("/v1/locations").await.expect(200);
                served_meanwhile += u32::from(waiting() > 0);
            }
            served_meanwhile
        };
        let (replies, served_meanwhile) = join(flood, others).await;
        assert!(served_meanwhile > 0, "no request was served while sign-ins waited");
        let sent_away: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
        assert!(!sent_away.is_empty(), "all 120 were let in");
        for reply in &replies {
            match reply.status {
                503 => {
                    reply.problem(503, "unavailable");
                    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
                }
                429 => assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0)),
                _ => {
                    reply.problem(401, "invalid_credentials");
                }
            }
        }
        // Afterwards, the next sign-in succeeds.
        let bob = app.patient("bob").await;
        bob.get("/v1/me").await.expect(200);
    });
}
