//! Time zones: data of the clinic's own, and a change of a zone's law.

use diesel::connection::SimpleConnection;
use jiff::SignedDuration;
use legwork::appointments::reminders::sending;
use legwork::appointments::zone_changes::scanning;
use legwork::clock::Timestamp;
use legwork::scheduling::hours::publishing;
use serde_json::{Value, json};

use crate::support::booking::path;
use crate::support::clinic::{free_slots, put_hours, weekly_hours};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::site::{Site, settings};
use crate::support::zone_data::{WITH_SUMMER_TIME, WITHOUT_SUMMER_TIME, folder};
use crate::support::{App, Client, Clinic, Engine, book, both, eventually, id};

/// Restarts the server with data of time zones.
fn with_zones(app: App, release: &str, new_york: &str) -> App {
    let data = folder(app.site.folder.path(), release, new_york);
    app.restart(&["--tz-data", data.to_str().expect("a path in UTF-8")])
}

both! {
    async fn free_times_follow_the_zone_data_after_a_restart(app: App) {
        let app = with_zones(app, "2099a", WITH_SUMMER_TIME);
        let clinic = app.clinic().await;
        let at_nine = async |app: &App| {
            let slots = free_slots(&app.anon(), &clinic.follow_up).await;
            let monday: Vec<_> = slots.iter().filter(|slot| slot["starts_at"].as_str() > Some("2026-03-09")).collect();
            monday[0]["starts_at"].clone()
        };
        assert_eq!(at_nine(&app).await, "2026-03-09T13:00:00Z");

        let app = with_zones(app, "2099b", WITHOUT_SUMMER_TIME);
        publishing::publish_all(&app.env).await.expect("published");
        assert_eq!(at_nine(&app).await, "2026-03-09T14:00:00Z");
        assert_eq!(app.env.config.zones.version(), "2099b");
    }

    async fn a_time_zone_that_the_data_lacks_cannot_be_a_locations(app: App) {
        let app = with_zones(app, "2099a", WITH_SUMMER_TIME);
        let location = json!({
            "name": "Berlin", "address": "Elm 1", "phone": "+12125550100", "country": "US", "time_zone": "Europe/Berlin",
            "slot_minutes": 15
        });
        let refused = app.admin().await.post("/v1/locations", location).await;
        assert_eq!(refused.expect(422).body["errors"][0]["code"], "unknown_time_zone");
    }
}

#[test]
fn the_program_does_not_start_with_unreadable_zone_data() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    let missing = site.folder.path().join("nowhere");
    let settings = settings(&["--database-url", &site.database_url, "--tz-data", missing.to_str().expect("a path")]);
    let Err(refusal) = legwork::config::Config::new(settings, &legwork::clock::Entropy::system()) else {
        panic!("the configuration is accepted");
    };
    assert!(refusal.starts_with("TZ_DATA ") && refusal.contains("nowhere"), "{refusal}");
}

/// The free checks between two instants, as the desk sees them.
async fn free_checks(desk: &Client, clinic: &Clinic, from: &str, to: &str) -> Vec<Value> {
    desk.get(&format!("/v1/slots?visit_type_id={}&from={from}&to={to}&limit=200", clinic.check)).await.items()
}

/// A member of staff whose account an earlier server of the test has created.
async fn again(app: &App, name: &str) -> Client {
    app.anon().sign_in(&format!("{name}@clinic.example"), PASSWORD).await
}

/// Publishes and scans, as the background jobs do soon after the start.
async fn caught_up(app: &App) {
    publishing::publish_all(&app.env).await.expect("published");
    scanning::scan(&app.env).await.expect("scanned");
}

/// The appointments that need attention, which must all be for a changed zone.
async fn zone_changed(desk: &Client) -> Vec<Value> {
    let items = desk.get("/v1/appointments?needs_attention=true&limit=200").await.items();
    assert!(items.iter().all(|visit| visit["attention"]["reason"] == "zone_changed"), "{items:#?}");
    items
}

fn all_ids(visits: &[Value]) -> Vec<&str> {
    visits.iter().map(id).collect()
}

both! {
    async fn a_change_of_law_is_found_after_a_restart_and_visits_keep_their_promised_times(app: App) {
        let app = with_zones(app, "2099a", WITH_SUMMER_TIME);
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        // Monday and Tuesday from nine to a quarter to one without a gap, and Wednesday at nine, in summer time.
        let mut visits = Vec::new();
        for (day, count) in [("09", 16), ("10", 15), ("11", 1)] {
            let (from, to) = (format!("2026-03-{day}T00:00:00Z"), format!("2026-03-{day}T23:59:00Z"));
            for slot in free_checks(&desk, &clinic, &from, &to).await.iter().take(count) {
                let number = visits.len();
                let body = patient_json(&format!("Patient {number}"), &format!("patient-{number}@patients.example"));
                let patient = desk.post("/v1/patients", body).await.expect(201).id();
                visits.push(book(&desk, slot, &clinic.check, &patient).await.expect(201).body.clone());
            }
        }
        assert_eq!(visits.len(), 32);
        // The patient of Wednesday confirms nine.
        let confirmed = desk.post_empty(&path(&visits[31], "/confirm")).await;
        assert!(confirmed.expect(200).body["confirmed_at"].is_string());
        let told = json!({"local": "2026-03-09T09:00:00", "time_zone": "America/New_York", "zone_data": "2099a"});
        assert_eq!((&visits[0]["starts_at"], &visits[0]["promised"]), (&json!("2026-03-09T13:00:00Z"), &told));
        assert!(zone_changed(&desk).await.is_empty());
        assert_eq!(app.mails().await.len(), 32);

        // The law abolishes summer time.
        let app = with_zones(app, "2099b", WITHOUT_SUMMER_TIME);
        caught_up(&app).await;
        let desk = again(&app, "desk").await;
        assert_eq!(zone_changed(&desk).await.len(), 32);
        let app = with_zones(app, "2099b", WITHOUT_SUMMER_TIME);
        caught_up(&app).await;
        let desk = again(&app, "desk").await;
        let affected = zone_changed(&desk).await;
        assert_eq!(affected.len(), 32);
        // Free slots follow the new rules: nobody is offered eight o'clock.
        let monday = free_checks(&desk, &clinic, "2026-03-09T00:00:00Z", "2026-03-09T23:59:00Z").await;
        assert_eq!(monday.first().map(|slot| slot["starts_at"].clone()), Some(json!("2026-03-09T17:00:00Z")));
        assert_eq!(monday.last().map(|slot| slot["starts_at"].clone()), Some(json!("2026-03-09T21:45:00Z")));

        // On Wednesday at nine by the new rules, the practitioner is not free.
        let wednesday = free_checks(&desk, &clinic, "2026-03-11T14:00:00Z", "2026-03-11T14:15:00Z").await;
        desk.post(&format!("/v1/slots/{}/block", id(&wednesday[0])), json!({"reason": "Meeting"})).await.expect(200);

        let all = json!({"appointment_ids": all_ids(&affected)});
        app.anon().post("/v1/zone-changes/resolve", all.clone()).await.expect(401);
        let resolved = desk.post("/v1/zone-changes/resolve", all.clone()).await;
        let outcome = &resolved.expect(200).body;
        assert_eq!(outcome["kept"].as_array().map(Vec::len), Some(31), "{outcome:#}");
        assert_eq!(outcome["unresolved"].as_array().map(Vec::len), Some(1));
        assert_eq!(outcome["unresolved"][0]["appointment_id"], visits[31]["id"]);
        assert_eq!(outcome["unresolved"][0]["code"], "slot_taken");
        for visit in &visits[..31] {
            let now = desk.get(&path(visit, "")).await.expect(200).body.clone();
            assert_eq!(now["promised"]["local"], visit["promised"]["local"]);
            assert_eq!((&now["promised"]["zone_data"], &now["sequence"]), (&json!("2099b"), &json!(1)));
            let start = |visit: &Value| visit["starts_at"].as_str().expect("a start").parse::<Timestamp>().expect("an instant");
            assert_eq!(start(&now), start(visit).plus(SignedDuration::from_hours(1)));
        }
        let mails = app.mails_to("patient-0@patients.example").await;
        assert_eq!(mails.len(), 2, "one updated invitation");
        assert!(mails.iter().any(|mail| mail.subject == "Your appointment keeps its local time: Monday, March 9, 9:00 AM"));
        let entry = mails.iter().filter_map(|mail| mail.ics.as_deref()).find(|ics| ics.contains("SEQUENCE:1\r\n"));
        let entry = entry.expect("an entry");
        assert!(entry.contains("DTSTART;TZID=America/New_York:20260309T090000\r\n"), "{entry}");
        assert!(entry.contains("TZOFFSETTO:-0500\r\n") && !entry.contains("-0400"), "{entry}");
        assert_eq!(app.mails().await.len(), 32 + 31);

        let again = desk.post("/v1/zone-changes/resolve", all).await;
        assert_eq!(again.expect(200).body["kept"], json!([]));
        let codes = again.body["unresolved"].as_array().expect("a list");
        assert_eq!(codes.iter().filter(|one| one["code"] == "zone_unchanged").count(), 31);
        assert_eq!(app.mails().await.len(), 32 + 31);

        // The patient of Wednesday confirmed nine, and comes at eight. Until the desk says so, nobody confirms either.
        let early = desk.post_empty(&path(&visits[31], "/confirm")).await;
        early.problem(409, "status_conflict");
        let rest = zone_changed(&desk).await;
        assert_eq!(all_ids(&rest), [id(&visits[31])]);
        let accepted = desk.send(reqwest::Method::POST, &path(&visits[31], "/accept-time"), &[], None).await;
        let accepted = &accepted.expect(200).body;
        assert_eq!((&accepted["starts_at"], &accepted["promised"]["local"]), (&visits[31]["starts_at"], &json!("2026-03-11T08:00:00")));
        assert_eq!((&accepted["sequence"], &accepted["promised"]["zone_data"]), (&json!(1), &json!("2099b")));
        assert!(accepted["confirmed_at"].is_null(), "the patient confirmed another local time");
        let again = desk.send(reqwest::Method::POST, &path(&visits[31], "/accept-time"), &[], None).await;
        again.problem(409, "zone_unchanged");
        let mails = app.mails_to("patient-31@patients.example").await;
        assert!(mails.iter().any(|mail| mail.subject == "Your appointment has changed: Wednesday, March 11, 8:00 AM"));
        assert_eq!(mails.len(), 2);
        caught_up(&app).await;
        let left = desk.get("/v1/appointments?needs_attention=true").await.items();
        assert!(left.iter().all(|visit| visit["attention"]["reason"] == "hours"), "{left:#?}");
    }

    async fn visits_keep_their_promised_times_after_the_zone_of_their_location_was_corrected(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let slots = free_checks(&desk, &clinic, "2026-03-11T13:00:00Z", "2026-03-11T13:15:00Z").await;
        let patient = desk.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
        let visit = book(&desk, &slots[0], &clinic.check, &patient).await.expect(201).body.clone();
        assert_eq!(visit["promised"]["local"], "2026-03-11T09:00:00");

        let location = format!("/v1/locations/{}", clinic.location_id);
        let correct = async |zone: &str| {
            let patch = json!({"time_zone": zone});
            admin.update(&location, patch).await.expect(200);
        };
        let reason = async || desk.get(&path(&visit, "")).await.expect(200).body["attention"]["reason"].clone();
        // A zone with the same clock changes nothing.
        correct("America/Detroit").await;
        scanning::scan(&app.env).await.expect("scanned");
        assert_eq!(reason().await, Value::Null);

        // By the clock in Chicago, nine o'clock is an hour later. The change wakes the scan.
        correct("America/Chicago").await;
        eventually(async || match reason().await {
            reason if reason == "zone_changed" => Ok(()),
            reason => Err(reason.to_string()),
        })
        .await;
        let all = json!({"appointment_ids": [visit["id"]]});
        let resolved = desk.post("/v1/zone-changes/resolve", all).await;
        assert_eq!(resolved.expect(200).body["kept"], json!([visit["id"]]), "{:#}", resolved.body);
        let now = desk.get(&path(&visit, "")).await.expect(200).body.clone();
        assert_eq!((&now["starts_at"], &now["attention"]), (&json!("2026-03-11T14:00:00Z"), &Value::Null));
        assert_eq!((&now["promised"]["local"], &now["promised"]["time_zone"]), (&json!("2026-03-11T09:00:00"), &json!("America/Chicago")));
        let mail = app.mails_to("ann@patients.example").await.pop().expect("a mail");
        assert!(mail.subject.contains("keeps its local time"), "{}", mail.subject);
    }

    async fn nobody_is_reminded_of_a_visit_until_staff_decide_which_local_time_holds(app: App) {
        let app = with_zones(app, "2099a", WITH_SUMMER_TIME);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let slots = free_checks(&desk, &clinic, "2026-03-11T13:00:00Z", "2026-03-11T16:00:00Z").await;
        let mut visits = Vec::new();
        for (slot, name) in slots.iter().zip(["ann", "ben"]) {
            let body = patient_json(name, &format!("{name}@patients.example"));
            let patient = desk.post("/v1/patients", body).await.expect(201).id();
            visits.push(book(&desk, slot, &clinic.check, &patient).await.expect(201).body.clone());
        }
        assert_eq!(app.mails().await.len(), 2);

        let data = folder(app.site.folder.path(), "2099b", WITHOUT_SUMMER_TIME);
        let data = data.to_str().expect("a path in UTF-8");
        let app = app.restart(&["--tz-data", data, "--reminders", "24h", "--quiet-hours", "off"]);
        caught_up(&app).await;
        let reminded = async |now: &str| {
            app.clock.set(now.parse().expect("an instant"));
            sending::run(&app.env).await.expect("the job").reminded
        };
        assert_eq!(reminded("2026-03-10T13:30:00Z").await, 0);
        let desk = again(&app, "desk").await;
        assert_eq!(zone_changed(&desk).await.len(), 2);
        // A mail tells the first patient the new time. For the second one it is as before.
        desk.post_empty(&path(&visits[0], "/accept-time")).await.expect(200);
        assert_eq!(reminded("2026-03-10T14:30:00Z").await, 0);
        app.mails().await;
        assert_eq!(reminded("2026-03-11T12:00:00Z").await, 0);
        assert_eq!(app.mails_to("ben@patients.example").await.len(), 1);
    }

    async fn an_instance_with_older_zone_data_publishes_no_slots_and_its_bookings_are_found(app: App) {
        let app = with_zones(app, "2099b", WITHOUT_SUMMER_TIME);
        let clinic = app.clinic().await;
        let monday = ("2026-03-09T00:00:00Z", "2026-03-09T23:59:00Z");
        let before = free_checks(&app.desk().await, &clinic, monday.0, monday.1).await;

        let app = with_zones(app, "2099a", WITH_SUMMER_TIME);
        assert_eq!(publishing::publish_all(&app.env).await.ok(), Some(0));
        let desk = again(&app, "desk").await;
        assert_eq!(free_checks(&desk, &clinic, monday.0, monday.1).await, before);
        let hours = put_hours(&again(&app, "admin").await, &clinic.practitioner_id, weekly_hours(&clinic.location_id)).await;
        assert_eq!(hours.status, 503, "{}", hours.text);
        // What is published can be booked: slots are instants.
        let patient = desk.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
        let visit = book(&desk, &before[0], &clinic.check, &patient).await.expect(201).body.clone();
        assert_eq!((&visit["starts_at"], &visit["promised"]["local"]), (&json!("2026-03-09T14:00:00Z"), &json!("2026-03-09T10:00:00")));

        let app = with_zones(app, "2099b", WITHOUT_SUMMER_TIME);
        caught_up(&app).await;
        assert_eq!(all_ids(&zone_changed(&again(&app, "desk").await).await), [id(&visit)]);
    }

    async fn appointments_from_before_get_their_promise_once(app: App) {
        let app = with_zones(app, "2099a", WITH_SUMMER_TIME);
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slots = free_checks(&desk, &clinic, "2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z").await;
        let visit = book(&ann, &slots[0], &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        app.site
            .connect()
            .batch_execute("UPDATE appointments SET promised_local = NULL, promised_zone = NULL, promised_tz = NULL, zone_checked = NULL")
            .expect("an appointment from before");
        assert!(ann.get(&path(&visit, "")).await.expect(200).body.get("promised").is_none());
        let scanned = scanning::scan(&app.env).await.expect("scanned");
        assert_eq!((scanned.promised, scanned.changed), (1, 0));
        assert_eq!(ann.get(&path(&visit, "")).await.expect(200).body, visit);
        assert_eq!(scanning::scan(&app.env).await.ok(), Some(scanning::Scanned::default()));
    }
}
