//! The waitlist: who waits for which kind of visit, and for which times.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::families::{access, confirm};
use crate::support::{App, Client, Reply, both, eventually};
use crate::waitlist_offers::run;

const LIST: &str = "/v1/waitlist-entries";

fn entry(patient: &str, visit_type: &str) -> Value {
    json!({"patient_id": patient, "visit_type_id": visit_type})
}

/// An entry with one more member.
fn with(mut entry: Value, member: &str, value: Value) -> Value {
    entry[member] = value;
    entry
}

async fn wait(client: &Client, entry: Value) -> Reply {
    client.post(LIST, entry).await
}

/// The ids of a list.
async fn ids(client: &Client, query: &str) -> Vec<String> {
    let items = client.get(&format!("{LIST}?{query}")).await.items();
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

both! {
    async fn a_patient_waits_for_a_visit_and_the_desk_sees_it(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let body = json!({
            "patient_id": ann.patient_id, "visit_type_id": clinic.check, "practitioner_ids": [clinic.practitioner_id],
            "location_ids": [clinic.location_id], "weekdays": ["monday", "friday"], "from_time": "09:00", "to_time": "12:00",
            "from_date": "2026-03-02", "to_date": "2026-03-31",
        });
        let made = wait(&ann, body.clone()).await;
        let shown = made.expect(201).body.clone();
        for (member, value) in body.as_object().expect("an object") {
            assert_eq!(&shown[member], value, "{member}");
        }
        assert_eq!((shown["status"].as_str(), shown["urgency"].as_str()), (Some("waiting"), Some("routine")));
        let path = made.location();
        for client in [&ann.client, &desk] {
            assert_eq!(client.get(&path).await.expect(200).body, shown);
            assert_eq!(ids(client, "status=waiting").await, [made.id()]);
        }
        // Who may not see the patient learns nothing.
        assert!(ids(&bob, "").await.is_empty());
        bob.get(&path).await.problem(404, "not_found");
        bob.patch(&path, "\"1\"", json!({"weekdays": []})).await.problem(404, "not_found");
        bob.post_empty(&format!("{path}/cancel")).await.problem(404, "not_found");
        wait(&bob, entry(&ann.patient_id, &clinic.check)).await.problem(404, "not_found");

        // Once for each kind of visit.
        let again = wait(&desk, entry(&ann.patient_id, &clinic.check)).await;
        assert_eq!(again.problem(409, "already_waiting")["waitlist_entry_id"], made.id());
        let other = wait(&desk, with(entry(&ann.patient_id, &clinic.new_visit), "urgency", json!("urgent"))).await;
        assert_eq!(ids(&desk, "urgency=urgent").await, [other.expect(201).id()]);
        assert_eq!(ids(&desk, &format!("visit_type_id={}", clinic.check)).await, [made.id()]);
        assert_eq!(ids(&desk, &format!("patient_id={}&limit=1", ann.patient_id)).await, [made.id()]);
    }

    async fn an_entry_is_changed_and_ended_under_its_version(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let made = wait(&ann, with(entry(&ann.patient_id, &clinic.check), "from_time", json!("09:00"))).await;
        let path = made.expect(201).location();
        app.clock.advance(SignedDuration::from_mins(5));
        ann.patch(&path, "\"7\"", json!({"weekdays": ["monday"]})).await.problem(412, "stale");
        let changed = ann.patch(&path, "\"1\"", json!({"weekdays": ["monday"], "from_time": null})).await;
        changed.expect(200);
        assert_eq!((&changed.body["weekdays"], &changed.body["from_time"]), (&json!(["monday"]), &Value::Null));
        assert_eq!(changed.body["created_at"], made.body["created_at"], "the patient keeps the place");
        let same = ann.patch(&path, "\"2\"", json!({"weekdays": ["monday"]})).await;
        assert_eq!(same.expect(200).etag(), "\"2\"");
        ann.patch(&path, "\"2\"", json!({"urgency": "urgent"})).await.invalid("/urgency", "staff_only");
        desk.patch(&path, "\"2\"", json!({"urgency": null})).await.invalid("/urgency", "wrong_type");
        assert_eq!(desk.patch(&path, "\"2\"", json!({"urgency": "soon"})).await.expect(200).body["urgency"], "soon");
        assert_eq!(ids(&desk, "updated_since=2026-03-02T14:05:00Z").await, [made.id()]);
        assert!(ids(&desk, "updated_since=2026-03-02T14:05:01Z").await.is_empty());

        let ended = ann.post_empty(&format!("{path}/cancel")).await;
        assert_eq!(ended.expect(200).body["status"], "cancelled");
        ann.post_empty(&format!("{path}/cancel")).await.problem(409, "status_conflict");
        desk.patch(&path, "\"4\"", json!({"urgency": "urgent"})).await.problem(409, "status_conflict");
        assert_eq!(ids(&desk, "status=cancelled").await, [made.id()]);
        wait(&ann, entry(&ann.patient_id, &clinic.check)).await.expect(201);

        // Each step has an event.
        let steps = async || {
            let events = desk.get("/v1/events?types=waitlist_entry.created,waitlist_entry.updated,waitlist_entry.ended").await.items();
            // The job may offer a free time to the last entry.
            if events.len() >= 5 { Ok(events) } else { Err(format!("{events:#?}")) }
        };
        let events = eventually(steps).await;
        let types: Vec<_> = events.iter().take(5).map(|event| event["type"].as_str().expect("a type")).collect();
        let expected = ["created", "updated", "updated", "ended", "created"].map(|step| format!("waitlist_entry.{step}"));
        assert_eq!(types, expected);
        assert_eq!((&events[3]["subject_id"], &events[3]["subject_version"]), (&json!(made.id()), &json!(4)));
        assert_eq!(events[3]["patient_id"], json!(ann.patient_id));
    }

    async fn an_entry_expires_after_its_last_day_and_waits_again_with_a_later_one(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let dated = |patient: &str| with(entry(patient, &clinic.check), "to_date", json!("2026-03-03"));
        let made = wait(&ann, dated(&ann.patient_id)).await.expect(201).clone();
        let other = wait(&bob, dated(&bob.patient_id)).await.expect(201).clone();
        // The last day ends by the clock of the clinic.
        app.clock.advance(SignedDuration::from_hours(24 + 14));
        assert_eq!(ids(&desk, "status=waiting").await, [made.id(), other.id()]);
        app.clock.advance(SignedDuration::from_hours(1));
        assert!(ids(&desk, "status=waiting").await.is_empty());
        assert_eq!(ids(&desk, "status=expired").await, [made.id(), other.id()]);
        let desk = app.desk().await;
        assert_eq!(desk.get(&made.location()).await.expect(200).body["status"], "expired");
        // The service stores that some time later, which changes nothing for callers but the version.
        run(&app).await;
        let shown = desk.get(&made.location()).await;
        assert_eq!(shown.expect(200).body["status"], "expired");
        desk.post_empty(&format!("{}/cancel", made.location())).await.problem(409, "status_conflict");
        desk.patch(&made.location(), &shown.etag(), json!({"from_time": "09:00"})).await.invalid("/to_date", "in_past");
        let later = desk.patch(&made.location(), &shown.etag(), json!({"to_date": "2026-03-20"})).await;
        assert_eq!(later.expect(200).body["status"], "waiting");
        let anew = wait(&desk, entry(&bob.patient_id, &clinic.check)).await.expect(201).id();
        assert_eq!(ids(&desk, "status=waiting").await, [made.id(), anew]);
        assert_eq!(ids(&desk, "status=expired").await, [other.id()]);
        desk.update(&other.location(), json!({"to_date": "2026-03-20"})).await.problem(409, "already_waiting");
    }

    async fn every_wish_is_checked(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let unknown = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c99";
        let mine = entry(&ann.patient_id, &clinic.check);
        let many = json!(vec![clinic.location_id.clone(); 51]);
        for (member, value, pointer, code) in [
            ("visit_type_id", json!(unknown), "/visit_type_id", "unknown_reference"),
            ("practitioner_ids", json!([unknown]), "/practitioner_ids/0", "unknown_reference"),
            ("location_ids", json!([unknown]), "/location_ids/0", "unknown_reference"),
            ("location_ids", json!([clinic.location_id, clinic.location_id]), "/location_ids/1", "duplicate"),
            ("location_ids", many, "/location_ids", "too_many"),
            ("weekdays", json!(["monday", "monday"]), "/weekdays/1", "duplicate"),
            ("weekdays", json!(vec!["monday"; 8]), "/weekdays", "too_many"),
            ("from_time", json!("24:00"), "/from_time", "out_of_order"),
            ("to_time", json!("00:00"), "/to_time", "out_of_order"),
            ("to_time", json!("9:00"), "/to_time", "invalid_time"),
            ("to_date", json!("2026-03-01"), "/to_date", "in_past"),
            ("urgency", json!("soon"), "/urgency", "staff_only"),
            ("appointment_id", json!(unknown), "/appointment_id", "unknown_reference"),
        ] {
            wait(&ann, with(mine.clone(), member, value)).await.invalid(pointer, code);
        }
        let days = with(with(mine.clone(), "from_date", json!("2026-04-02")), "to_date", json!("2026-04-01"));
        wait(&ann, days).await.invalid("/to_date", "out_of_order");

        // The visit to replace is the patient's own, of this kind, and still to come.
        let visit = book_nth(&ann, &clinic.check, 8, &ann.patient_id).await;
        let others = book_nth(&bob, &clinic.check, 16, &bob.patient_id).await;
        let replacing = |visit: &Reply| with(mine.clone(), "appointment_id", json!(visit.id()));
        wait(&ann, replacing(&others)).await.invalid("/appointment_id", "unknown_reference");
        let desk = app.desk().await;
        wait(&desk, replacing(&others)).await.invalid("/appointment_id", "wrong_value");
        let kind = with(replacing(&visit), "visit_type_id", json!(clinic.new_visit));
        wait(&ann, kind).await.invalid("/appointment_id", "wrong_value");
        wait(&ann, replacing(&visit)).await.expect(201);
    }

    async fn who_acts_for_a_patient_waits_for_them_and_the_export_has_it(app: App) {
        let clinic = app.clinic().await;
        let (ann, gina, desk) = (app.patient("ann").await, app.patient("gina").await, app.desk().await);
        let made = wait(&desk, entry(&ann.patient_id, &clinic.check)).await.expect(201).id();
        assert!(ids(&gina, "").await.is_empty());
        let given = json!({"email": gina.email, "relation": "caregiver"});
        desk.post(&access(&ann.patient_id), given).await.expect(201);
        confirm(&app, &ann.patient_id, &gina.user_id).await;
        assert_eq!(ids(&gina, "").await, std::slice::from_ref(&made));
        gina.patch(&format!("{LIST}/{made}"), "\"1\"", json!({"weekdays": ["friday"]})).await.expect(200);
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await;
        assert_eq!(export.expect(200).body["waitlist_entries"][0]["id"], made);
    }

    async fn one_of_many_requests_at_once_puts_a_patient_on_the_waitlist(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let replies = join_all((0..16).map(|_| wait(&desk, entry(&ann.patient_id, &clinic.check)))).await;
        let made = replies.iter().filter(|reply| reply.status == 201).count();
        let refused = replies.iter().filter(|reply| reply.status == 409).count();
        assert_eq!((made, refused), (1, 15), "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
        let path = format!("{LIST}/{}/cancel", ids(&desk, "").await[0]);
        let ends = join_all((0..16).map(|_| desk.post_empty(&path))).await;
        assert_eq!(ends.iter().filter(|reply| reply.status == 200).count(), 1);
        assert!(ends.iter().all(|reply| [200, 409].contains(&reply.status)));
    }
}
