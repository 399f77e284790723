//! How often a patient did not come, or cancelled late.

use serde_json::{Value, json};

use crate::appointments::{act, set, turn_to};
use crate::support::booking::book_nth;
use crate::support::{App, Client, both};

async fn card(client: &Client, patient: &str) -> Value {
    client.get(&format!("/v1/patients/{patient}")).await.expect(200).body["missed_visits"].clone()
}

both! {
    async fn staff_see_how_often_a_patient_did_not_come_or_cancelled_late(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk, doctor) = (app.patient("ann").await, app.patient("bob").await, app.desk().await, app.doctor().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(60)).await;
        assert_eq!(card(&desk, &ann.patient_id).await, Value::Null);
        let [early, late, missed, next] = [4, 8, 12, 16];
        let early = book_nth(&desk, &clinic.check, early, &ann.patient_id).await.body;
        let late = book_nth(&desk, &clinic.check, late, &ann.patient_id).await.body;
        let missed = book_nth(&desk, &clinic.check, missed, &ann.patient_id).await.body;
        let next = book_nth(&desk, &clinic.check, next, &ann.patient_id).await.body;
        book_nth(&desk, &clinic.check, 24, &bob.patient_id).await;
        act(&ann, &early, "cancel").await.expect(200);
        turn_to(&app, &late, -59);
        act(&desk, &late, "cancel").await.expect(200);
        turn_to(&app, &missed, 10);
        act(&desk, &missed, "no-show").await.expect(200);
        for staff in [&desk, &doctor] {
            assert_eq!(card(staff, &ann.patient_id).await, json!({"no_shows": 1, "late_cancellations": 1}));
        }
        let day = format!("/v1/practitioners/{}/agenda?date=2026-03-02", clinic.practitioner_id);
        let sheet = format!("/v1/locations/{}/day-sheet?date=2026-03-02", clinic.location_id);
        for path in [&day, &sheet] {
            let visits = desk.get(path).await.expect(200).body["appointments"].as_array().expect("visits").clone();
            let of = |patient: &str| visits.iter().find(|visit| visit["patient_id"] == patient).expect("a visit")["missed_visits"].clone();
            assert_eq!(of(&ann.patient_id), json!({"no_shows": 1, "late_cancellations": 1}));
            assert_eq!(of(&bob.patient_id), json!({"no_shows": 0, "late_cancellations": 0}));
        }
        let page = desk.get_with(&sheet, &[("Accept", "text/html")]).await;
        assert!(page.text.contains("did not come: 1") && page.text.contains("cancelled late: 1"), "{}", page.text);
        // A mistake that is undone does not count, and neither the patient nor a list sees the numbers.
        act(&desk, &missed, "undo").await.expect(200);
        assert_eq!(card(&desk, &ann.patient_id).await, json!({"no_shows": 0, "late_cancellations": 1}));
        assert_eq!(card(&ann, &ann.patient_id).await, Value::Null);
        for path in ["/v1/patients?q=ann", "/v1/appointments"] {
            assert!(!ann.get(path).await.text.contains("missed_visits"));
        }
        // Exactly at the end of the notice is in time.
        turn_to(&app, &next, -60);
        act(&ann, &next, "cancel").await.expect(200);
        assert_eq!(card(&desk, &ann.patient_id).await, json!({"no_shows": 0, "late_cancellations": 1}));
    }

    async fn a_visit_that_the_clinic_has_to_cancel_does_not_count(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(1440)).await;
        let visit = book_nth(&desk, &clinic.check, 4, &ann.patient_id).await.body;
        let other = book_nth(&desk, &clinic.check, 8, &ann.patient_id).await.body;
        let ill = json!({"kind": "time_off", "starts_at": visit["starts_at"], "ends_at": visit["ends_at"], "reason": "Ill"});
        desk.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), ill).await.expect(201);
        act(&desk, &visit, "cancel").await.expect(200);
        assert_eq!(card(&desk, &ann.patient_id).await, Value::Null);
        turn_to(&app, &other, -5);
        act(&desk, &other, "check-in").await.expect(200);
        act(&desk, &other, "cancel").await.expect(200);
        assert_eq!(card(&desk, &ann.patient_id).await, Value::Null, "the patient was there");
    }
}
