//! Calendar feeds: a practitioner's visits for their own calendar program, under a secret address.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;

use crate::appointments::{act, unfolded};
use crate::support::booking::book_nth;
use crate::support::people::PASSWORD;
use crate::support::process::Process;
use crate::support::site::{Engine, Site};
use crate::support::{App, Client, Clinic, Reply, app, both};

fn feed(clinic: &Clinic) -> String {
    format!("/v1/practitioners/{}/calendar-feed", clinic.practitioner_id)
}

/// The path of a new feed's address.
fn path(created: &Reply) -> String {
    let url = created.expect(201).string("/url");
    url[url.find("/v1/").expect("a path of the API")..].to_owned()
}

async fn create(client: &Client, clinic: &Clinic) -> String {
    path(&client.post_empty(&feed(clinic)).await)
}

both! {
    async fn a_calendar_program_reads_the_visits_without_patients_or_visit_types(app: App) {
        let clinic = app.clinic().await;
        let (doctor, desk, ann) = (app.doctor().await, app.desk().await, app.patient("ann").await);
        app.admin().await.update(&format!("/v1/visit-types/{}", clinic.check), json!({"name": "RLS iron check", "public_name": "Visit"})).await.expect(200);
        let visit = book_nth(&desk, &clinic.check, 4, &ann.patient_id).await.body;
        let gone = book_nth(&desk, &clinic.check, 8, &ann.patient_id).await.body;
        desk.post(&format!("/v1/appointments/{}/cancel", gone["id"].as_str().expect("an id")), json!({"reason": "flu"})).await.expect(200);

        let url = create(&doctor, &clinic).await;
        let read = app.anon().get(&url).await;
        assert_eq!(read.expect(200).header("content-type"), "text/calendar; charset=utf-8");
        assert_eq!(read.header("cache-control"), "private, no-cache");
        let lines = unfolded(&read.text);
        for line in [
            "METHOD:PUBLISH", "TZID:America/New_York", "SUMMARY:Visit", "SEQUENCE:0", "CLASS:PRIVATE",
            "LOCATION:Main Street\\, 1 Main Street\\, Springfield", "DTSTART;TZID=America/New_York:20260302T101500",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
        }
        assert_eq!(lines.iter().filter(|line| *line == "BEGIN:VEVENT").count(), 1, "the cancelled visit is not there");
        assert!(lines.contains(&format!("UID:{}@legwork", visit["id"].as_str().expect("an id"))));
        for hidden in ["ann", "Tester", "RLS", "iron", &ann.patient_id, visit["confirmation_code"].as_str().expect("a code")] {
            assert!(!read.text.contains(hidden), "{hidden} in {}", read.text);
        }

        // A program that has the calendar gets it again only after a change.
        let tag = read.header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = app.anon().get_with(&url, &[("If-None-Match", &known)]).await;
            assert_eq!((again.expect(304).text.as_str(), again.header("etag")), ("", tag.as_str()));
        }
        app.anon().get_with(&url, &[("If-None-Match", "\"x\"")]).await.expect(200);
        let slot = crate::support::clinic::free_slots(&desk, &clinic.check).await[20]["id"].clone();
        desk.post(&format!("/v1/appointments/{}/reschedule", visit["id"].as_str().expect("an id")), json!({"slot_id": slot})).await.expect(200);
        let moved = app.anon().get_with(&url, &[("If-None-Match", &tag)]).await;
        assert!(unfolded(&moved.expect(200).text).contains(&"SEQUENCE:1".to_owned()), "{}", moved.text);
    }

    async fn the_feed_reaches_thirty_days_back_and_half_a_year_ahead(app: App) {
        let clinic = app.clinic().await;
        let (doctor, desk, ann) = (app.doctor().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 4, &ann.patient_id).await.body;
        act(&desk, &visit, "check-in").await.expect(200);
        let url = create(&doctor, &clinic).await;
        let has_visit = async || app.anon().get(&url).await.expect(200).text.contains("BEGIN:VEVENT");
        assert!(has_visit().await);
        app.clock.advance(SignedDuration::from_hours(30 * 24));
        assert!(has_visit().await);
        app.clock.advance(SignedDuration::from_hours(2));
        assert!(!has_visit().await);
        app.clock.set("2025-09-03T15:14:00Z".parse().expect("an instant"));
        assert!(!has_visit().await, "more than 180 days ahead");
        app.clock.advance(SignedDuration::from_hours(24));
        assert!(has_visit().await);
    }

    async fn only_the_practitioner_and_administrators_create_and_revoke_a_feed(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, doctor, ann) = (app.admin().await, app.desk().await, app.doctor().await, app.patient("ann").await);
        let other = crate::support::clinic::practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let bo = app.doctor_of(&other).await;
        for (client, status, code) in [
            (&app.anon(), 401, "unauthenticated"), (&*ann, 403, "role_forbidden"), (&desk, 403, "role_forbidden"), (&bo, 404, "not_found"),
        ] {
            client.post_empty(&feed(&clinic)).await.problem(status, code);
            client.get(&feed(&clinic)).await.problem(status, code);
            client.delete(&feed(&clinic)).await.problem(status, code);
        }
        doctor.get(&feed(&clinic)).await.problem(404, "not_found");
        admin.post_empty(&format!("/v1/practitioners/{}/calendar-feed", clinic.location_id)).await.problem(404, "not_found");

        let created = doctor.post_empty(&feed(&clinic)).await;
        let first = path(&created);
        let shown = doctor.get(&created.location()).await;
        assert_eq!(shown.expect(200).body, json!({"practitioner_id": clinic.practitioner_id, "created_at": "2026-03-02T14:00:00Z"}));
        // A second feed replaces the first, also if an administrator creates it.
        let second = create(&admin, &clinic).await;
        app.anon().get(&first).await.problem(404, "not_found");
        app.anon().get(&second).await.expect(200);
        doctor.delete(&feed(&clinic)).await.expect(204);
        doctor.delete(&feed(&clinic)).await.expect(204);
        app.anon().get(&second).await.problem(404, "not_found");
        doctor.get(&feed(&clinic)).await.problem(404, "not_found");
        // The address is stored as a hash.
        let key = [("Idempotency-Key", "feed")];
        let once = doctor.send(reqwest::Method::POST, &feed(&clinic), &key, None).await;
        assert_eq!(doctor.send(reqwest::Method::POST, &feed(&clinic), &key, None).await.expect(201).body, once.body);
        let hashes: Vec<Vec<u8>> = app.db(|tx| {
            use diesel::prelude::*;
            use legwork::db::schema::calendar_feeds;
            Ok(calendar_feeds::table.select(calendar_feeds::token_hash).load(tx)?)
        }).await;
        assert_eq!(hashes.len(), 3);
        let token = path(&once).split('/').nth(3).expect("a token").to_owned();
        assert!(hashes.iter().any(|hash| *hash == legwork::accounts::tokens::hash(&token)));
    }

    async fn of_feeds_that_are_created_at_once_one_works(app: App) {
        let (clinic, admin, doctor) = (app.clinic().await, app.admin().await, app.doctor().await);
        let feeds = join_all((0..8).map(|number| create(if number % 2 == 0 { &admin } else { &doctor }, &clinic))).await;
        let mut working = 0;
        for feed in feeds {
            working += u32::from(app.anon().get(&feed).await.status == 200);
        }
        assert_eq!(working, 1);
    }

    async fn a_feed_ends_when_the_account_of_the_practitioner_is_disabled(app: App) {
        let clinic = app.clinic().await;
        let (admin, doctor) = (app.admin().await, app.doctor().await);
        let url = create(&doctor, &clinic).await;
        app.anon().get(&url).await.expect(200);
        admin.update(&format!("/v1/users/{}", doctor.user_id), json!({"disabled": true})).await.expect(200);
        app.anon().get(&url).await.problem(404, "not_found");
        admin.post_empty(&feed(&clinic)).await.problem(409, "no_account");
    }

    async fn wrong_tokens_of_an_address_are_delayed_and_ended_feeds_are_not_counted(app: App) {
        let clinic = app.clinic().await;
        let doctor = app.doctor().await;
        let ended = create(&doctor, &clinic).await;
        let url = create(&doctor, &clinic).await;
        let (guesser, program) = (app.anon_at("127.0.0.7"), app.anon_at("127.0.0.8"));
        for _ in 0..20 {
            program.get(&ended).await.problem(404, "not_found");
        }
        program.get(&url).await.expect(200);
        let guess = |number: u32| format!("/v1/calendar-feeds/wrong{number}/calendar.ics");
        for number in 0..5 {
            guesser.get(&guess(number)).await.problem(404, "not_found");
        }
        let delayed = guesser.get(&guess(5)).await;
        delayed.problem(429, "too_many_attempts");
        assert_eq!(delayed.header("retry-after"), "10");
        guesser.get(&url).await.problem(429, "too_many_attempts");
        program.get(&url).await.expect(200);
        app.clock.advance(SignedDuration::from_secs(10));
        guesser.get(&url).await.expect(200);
        // Signing in at the same address is not delayed.
        let known = app.anon_at("127.0.0.7");
        known.post("/v1/sessions", json!({"email": "nobody@clinic.example", "password": PASSWORD})).await.problem(401, "invalid_credentials");
    }
}

#[test]
fn the_log_holds_no_token_of_a_feed() {
    let Some(site) = Site::new(Engine::Sqlite) else { return };
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("RUST_LOG", "trace"), ("LOG_FORMAT", "json")]).await;
        server.anon().get("/v1/calendar-feeds/c2VjcmV0LXRva2Vu/calendar.ics").await.problem(404, "not_found");
        let log = server.log();
        assert!(log.contains("/v1/calendar-feeds/{token}/calendar.ics"), "{log}");
        assert!(!log.contains("c2VjcmV0LXRva2Vu"), "{log}");
    });
}
