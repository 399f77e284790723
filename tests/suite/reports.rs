//! The utilisation report.

use serde_json::{Value, json};

use crate::appointments::{act, set, turn_to};
use crate::support::booking::book_nth;
use crate::support::clinic::{location, practitioner};
use crate::support::{App, both};

const REPORT: &str = "/v1/reports/utilisation";

both! {
    async fn the_report_counts_what_was_booked_kept_and_left_free(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk, admin) = (app.patient("ann").await, app.desk().await, app.admin().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(60)).await;
        let visit = book_nth(&desk, &clinic.follow_up, 0, &ann.patient_id).await.body;
        let late = book_nth(&desk, &clinic.check, 10, &ann.patient_id).await.body;
        let early = book_nth(&desk, &clinic.check, 20, &ann.patient_id).await.body;
        act(&desk, &early, "cancel").await.expect(200);
        turn_to(&app, &visit, 10);
        act(&desk, &visit, "no-show").await.expect(200);
        turn_to(&app, &late, -10);
        act(&desk, &late, "cancel").await.expect(200);

        let path = format!("{REPORT}?from=2026-03-02&to=2026-03-03");
        let report = admin.get(&path).await;
        let body = &report.expect(200).body;
        // Slots from 14:15 UTC on were published on Monday; 30 minutes of them are booked.
        let monday = json!({
            "date": "2026-03-02", "booked_visits": 1, "booked_minutes": 30, "free_minutes": 435, "utilisation_percent": 6, "no_shows": 1,
            "late_cancellations": 1, "overbooked_visits": 0, "waitlist_fills": 0, "median_lead_days": 0.0
        });
        assert_eq!(body["days"][0], monday, "{}", report.text);
        assert_eq!((&body["days"][1]["free_minutes"], &body["days"][1]["median_lead_days"]), (&json!(480), &Value::Null));
        assert_eq!((&body["total"]["free_minutes"], &body["total"]["utilisation_percent"]), (&json!(915), &json!(3)));
        for hidden in ["ann", "Tester", &ann.patient_id] {
            assert!(!report.text.contains(hidden), "{hidden}");
        }

        // Only one practitioner, only one location.
        let bo = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let elsewhere = location(&admin, "Harbor", "America/Los_Angeles").await;
        let total = async |query: &str| desk.get(&format!("{path}{query}")).await.expect(200).body["total"].clone();
        let of_ada = total(&format!("&practitioner_id={}", clinic.practitioner_id)).await;
        assert_eq!(of_ada, body["total"]);
        let of_bo = total(&format!("&practitioner_id={bo}&location_id={}", clinic.location_id)).await;
        assert_eq!(of_bo["booked_visits"], 0);
        assert!(of_bo["free_minutes"].as_i64() > Some(480), "{of_bo}");
        assert_eq!(total(&format!("&location_id={elsewhere}")).await["free_minutes"], 0);
        assert_eq!(total(&format!("&location_id={}", clinic.location_id)).await, total("").await);
    }

    async fn a_time_taken_from_the_waitlist_and_an_overbooked_visit_count(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let visit = book_nth(&desk, &clinic.check, 4, &ann.patient_id).await.body;
        let slot = app.db({
            let id: legwork::ids::AppointmentId = visit["id"].as_str().expect("an id").parse().expect("an id");
            move |tx| {
                use diesel::prelude::*;
                use legwork::db::schema::slots;
                let id: legwork::ids::SlotId = slots::table.filter(slots::appointment_id.eq(Some(id))).select(slots::id).first(tx)?;
                Ok(id.to_string())
            }
        }).await;
        let again = json!({
            "slot_id": slot, "visit_type_id": clinic.check, "patient_id": bob.patient_id, "overbook": {"reason": "In pain"}
        });
        desk.post_with("/v1/appointments", again, &[("Idempotency-Key", "over")]).await.expect(201);
        app.db(|tx| {
            use diesel::connection::SimpleConnection;
            use legwork::db::Conn;
            let (id, at) = match tx {
                Conn::Sqlite(_) => ("randomblob(16)", "starts_at"),
                Conn::Postgres(_) => ("gen_random_uuid()", "starts_at"),
            };
            // An offer as it is after its claim.
            tx.batch_execute(&format!(
                "INSERT INTO waitlist_entries (id, patient_id, visit_type_id, status, urgency, wishes, version, created_by, created_at, updated_at)
                 SELECT {id}, patient_id, visit_type_id, 'booked', 'routine', '{{}}', 1, booked_by, {at}, {at} FROM appointments WHERE NOT overbooked;
                 INSERT INTO waitlist_offers (id, entry_id, patient_id, slot_id, practitioner_id, location_id, starts_at, ends_at, status, way,
                     expires_at, version, created_at, updated_at)
                 SELECT e.id, e.id, e.patient_id, e.id, a.practitioner_id, a.location_id, a.starts_at, a.ends_at, 'claimed', 'mail', {at}, 1, {at}, {at}
                 FROM waitlist_entries e, appointments a WHERE NOT a.overbooked;"
            ))?;
            Ok(())
        }).await;
        let report = desk.get(&format!("{REPORT}?from=2026-03-02&to=2026-03-02&practitioner_id={}", clinic.practitioner_id)).await;
        let total = &report.expect(200).body["total"];
        assert_eq!((&total["waitlist_fills"], &total["overbooked_visits"], &total["booked_visits"]), (&json!(1), &json!(1), &json!(2)));
    }

    async fn the_front_desk_and_administrators_read_a_bounded_period(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        app.anon().get(REPORT).await.problem(401, "unauthenticated");
        ann.get(REPORT).await.problem(403, "role_forbidden");
        doctor.get(REPORT).await.problem(403, "role_forbidden");
        let usual = desk.get(REPORT).await;
        assert_eq!((&usual.expect(200).body["from"], &usual.body["to"]), (&json!("2026-02-03"), &json!("2026-03-02")));
        assert_eq!(usual.body["days"].as_array().expect("days").len(), 28);
        let longest = desk.get(&format!("{REPORT}?from=2026-01-01&to=2026-04-02")).await;
        assert_eq!(longest.expect(200).body["days"].as_array().expect("days").len(), 92);
        desk.get(&format!("{REPORT}?from=2026-01-01&to=2026-04-03")).await.invalid("?to", "out_of_range");
        desk.get(&format!("{REPORT}?from=2026-01-02&to=2026-01-01")).await.invalid("?to", "out_of_order");
        desk.get(&format!("{REPORT}?location_id={}", clinic.check)).await.invalid("?location_id", "unknown_reference");
        desk.get(&format!("{REPORT}?practitioner_id={}", clinic.check)).await.invalid("?practitioner_id", "unknown_reference");
    }

    async fn the_picture_says_in_words_what_it_shows(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        book_nth(&desk, &clinic.follow_up, 0, &ann.patient_id).await;
        let path = format!("{REPORT}?from=2026-03-02&to=2026-03-08&location_id={}", clinic.location_id);
        let picture = desk.get_with(&path, &[("Accept", "image/svg+xml")]).await;
        assert_eq!(picture.expect(200).header("content-type"), "image/svg+xml");
        for part in [
            "role=\"img\"", "aria-labelledby=\"title desc\"", "Utilisation of Main Street, Monday, March 2, 2026 to Sunday, March 8, 2026</title>",
            "Visits booked: 1 (0:30 h", "Mon Mar 2",
        ] {
            assert!(picture.text.contains(part), "{part} in {}", picture.text);
        }
    }
}
