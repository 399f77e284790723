//! Buffers: the practitioner's working time before and after a visit.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::booking::path;
use crate::support::clinic::{free_slots, location, practitioner};
use crate::support::{App, Client, Clinic, book, both, id};

/// A visit type of 30 minutes with buffers, which the clinic's practitioner offers too.
async fn with_buffers(admin: &Client, clinic: &Clinic, before: u32, after: u32) -> String {
    let body = json!({
        "name": "Infusion", "public_name": "Visit", "duration_minutes": 30, "online_bookable": true,
        "buffer_before_minutes": before, "buffer_after_minutes": after,
    });
    let visit = admin.post("/v1/visit-types", body).await.expect(201).id();
    let offered = json!({"visit_type_ids": [clinic.new_visit, clinic.follow_up, clinic.check, visit]});
    admin.update(&format!("/v1/practitioners/{}", clinic.practitioner_id), offered).await.expect(200);
    visit
}

/// The starts of the free slots of Tuesday, as hours and minutes in UTC.
async fn starts(client: &Client, visit_type: &str) -> Vec<String> {
    let query =
        format!("/v1/slots?visit_type_id={visit_type}&from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z&limit=200");
    let slots = client.get(&query).await.items();
    slots.iter().map(|slot| slot["starts_at"].as_str().expect("a start")[11..16].to_owned()).collect()
}

/// The free slot of Tuesday that starts at this time.
async fn slot_at(client: &Client, visit_type: &str, time: &str) -> Value {
    let slots =
        client.get(&format!("/v1/slots?visit_type_id={visit_type}&from=2026-03-03T{time}:00Z&limit=1")).await.items();
    assert!(slots[0]["starts_at"].as_str().expect("a start").contains(time), "{slots:?}");
    slots[0].clone()
}

both! {
    async fn a_visit_takes_its_buffers_and_the_patient_is_told_only_its_own_time(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = with_buffers(&admin, &clinic, 15, 30).await;
        // The day is 14:00 to 22:00 in UTC.
        let free = starts(&ann, &visit).await;
        assert_eq!((free.first().map(String::as_str), free.last().map(String::as_str)), (Some("14:15"), Some("21:00")));

        let slot = slot_at(&ann, &visit, "16:00").await;
        let booked = book(&ann, &slot, &visit, &ann.patient_id).await;
        assert_eq!(booked.expect(201).body["starts_at"], "2026-03-03T16:00:00Z");
        assert_eq!(booked.body["ends_at"], "2026-03-03T16:30:00Z");
        assert_eq!((booked.body.get("busy_from"), booked.body.get("busy_until")), (None, None));
        let mail = app.mails_to(&ann.email).await.pop().expect("a mail");
        assert!(!format!("{mail:?}").contains("15:45"), "{mail:?}");
        let seen = desk.get(&path(&booked.body, "")).await.expect(200).body.clone();
        assert_eq!((&seen["busy_from"], &seen["busy_until"]), (&json!("2026-03-03T15:45:00Z"), &json!("2026-03-03T17:00:00Z")));
        let agenda = desk.get(&format!("/v1/practitioners/{}/agenda?date=2026-03-03", clinic.practitioner_id)).await;
        assert_eq!(agenda.body["appointments"][0]["busy_until"], "2026-03-03T17:00:00Z");
        assert_eq!(agenda.body["gaps"][0]["ends_at"], "2026-03-03T15:45:00Z");
        assert_eq!(agenda.body["gaps"][1]["starts_at"], "2026-03-03T17:00:00Z");

        let free = starts(&desk, &clinic.check).await;
        for (time, is_free) in [("15:30", true), ("15:45", false), ("16:45", false), ("17:00", true)] {
            assert_eq!(free.iter().any(|start| start == time), is_free, "{time}");
        }
        // The buffers of two visits follow each other.
        let free = starts(&desk, &visit).await;
        for (time, is_free) in [("14:45", true), ("15:00", false), ("17:00", false), ("17:15", true)] {
            assert_eq!(free.iter().any(|start| start == time), is_free, "{time}");
        }
    }

    async fn a_visit_with_buffers_is_held_moved_and_cancelled_as_a_whole(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = with_buffers(&admin, &clinic, 15, 15).await;
        let all = starts(&desk, &clinic.check).await;
        let slot = slot_at(&ann, &visit, "16:00").await;
        let hold = ann.post(&format!("/v1/slots/{}/hold", id(&slot)), json!({"visit_type_id": visit})).await;
        assert_eq!(hold.expect(201).body["slot"]["ends_at"], "2026-03-03T16:30:00Z");
        assert_eq!(starts(&desk, &clinic.check).await.len(), all.len() - 4);
        let body = json!({"slot_id": id(&slot), "visit_type_id": visit, "patient_id": ann.patient_id, "hold_id": hold.id()});
        let booked = ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "k")]).await.expect(201).body.clone();

        // A quarter of an hour later, so that the old and the new time overlap.
        let later = slot_at(&desk, &clinic.check, "16:45").await;
        let near = json!({"slot_id": id(&later)});
        desk.post(&path(&booked, "/reschedule"), near).await.expect(200);
        let free = starts(&desk, &clinic.check).await;
        assert_eq!(free.len(), all.len() - 4);
        for (time, is_free) in [("16:15", true), ("16:30", false), ("17:15", false), ("17:30", true)] {
            assert_eq!(free.iter().any(|start| start == time), is_free, "{time}");
        }
        desk.post(&path(&booked, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        assert_eq!(starts(&desk, &clinic.check).await, all);
    }

    async fn a_change_of_the_buffers_does_not_change_booked_visits(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = with_buffers(&admin, &clinic, 15, 15).await;
        let all = starts(&desk, &clinic.check).await;
        let slot = slot_at(&ann, &visit, "16:00").await;
        let booked = book(&ann, &slot, &visit, &ann.patient_id).await.expect(201).body.clone();
        let changed = json!({"buffer_before_minutes": 60, "buffer_after_minutes": 0});
        admin.update(&format!("/v1/visit-types/{visit}"), changed).await.expect(200);
        let seen = desk.get(&path(&booked, "")).await.body.clone();
        assert_eq!((&seen["busy_from"], &seen["busy_until"]), (&json!("2026-03-03T15:45:00Z"), &json!("2026-03-03T16:45:00Z")));
        desk.post(&path(&booked, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        assert_eq!(starts(&desk, &clinic.check).await, all);
        // The next visit has the new buffers.
        assert_eq!(starts(&desk, &visit).await.first().map(String::as_str), Some("15:00"));
    }

    async fn buffers_are_whole_slots_at_every_location(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let visit = with_buffers(&admin, &clinic, 15, 0).await;
        let path = format!("/v1/visit-types/{visit}");
        admin.update(&path, json!({"buffer_after_minutes": 10})).await.invalid("/buffer_after_minutes", "does_not_fit");
        admin.update(&path, json!({"buffer_before_minutes": 245})).await.invalid("/buffer_before_minutes", "out_of_range");
        admin.update(&path, json!({"buffer_before_minutes": -15})).await.invalid("/buffer_before_minutes", "out_of_range");
        admin.update(&format!("/v1/locations/{}", clinic.location_id), json!({"slot_minutes": 10}))
            .await
            .invalid("/slot_minutes", "does_not_fit");
        let body = json!({
            "name": "X", "public_name": "X", "duration_minutes": 15, "buffer_before_minutes": 5, "buffer_after_minutes": 0,
        });
        let odd = admin.post("/v1/visit-types", body).await.expect(201).id();
        let body = json!({"name": "Dr. X", "visit_type_ids": [odd], "location_ids": [clinic.location_id]});
        admin.post("/v1/practitioners", body).await.invalid("/visit_type_ids/0", "does_not_fit");
    }

    async fn the_database_refuses_overlapping_buffers_of_a_practitioner(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let visit = with_buffers(&admin, &clinic, 15, 15).await;
        let first = slot_at(&ann, &visit, "16:00").await;
        book(&ann, &first, &visit, &ann.patient_id).await.expect(201);
        let second = slot_at(&ann, &visit, "17:00").await;
        let second = book(&bob, &second, &visit, &bob.patient_id).await.expect(201).id();
        let (uuid, earlier) = match app.engine {
            crate::support::Engine::Sqlite => (format!("x'{}'", second.replace('-', "")), "busy_from - 60000000"),
            crate::support::Engine::Postgres => (format!("'{second}'"), "busy_from - interval '1 minute'"),
        };
        let sql = format!("UPDATE appointments SET busy_from = {earlier} WHERE id = {uuid}");
        let refused = app.site.connect().batch_execute(&sql).expect_err("an overlap");
        assert!(refused.to_string().contains("appointments_practitioner_overlap"), "{refused}");
    }

    async fn a_page_that_begins_in_the_middle_finds_the_slots_of_the_buffer_before(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let desk = app.desk().await;
        let visit = with_buffers(&admin, &clinic, 30, 15).await;
        let elsewhere = location(&admin, "Elsewhere", "America/New_York").await;
        practitioner(&admin, "Dr. Bo Vessel", &elsewhere, &[&visit]).await;
        let whole = free_slots(&desk, &visit).await;
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        while paged.len() < 60 {
            let page = desk.get(&format!("/v1/slots?visit_type_id={visit}&limit=7{cursor}")).await;
            paged.extend(page.items());
            cursor = format!("&cursor={}", page.string("/next_cursor"));
        }
        assert_eq!(paged, whole[..paged.len()]);
    }
}
