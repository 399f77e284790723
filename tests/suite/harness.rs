//! Tests of the test support.

use crate::support::{App, both};

both! {
    async fn each_test_has_a_server_that_is_ready(app: App) {
        let reply = app.anon().get("/health/ready").await;
        reply.expect(200);
        assert_eq!(reply.body["status"], "ready");
        assert!(app.mails().await.is_empty());
        let app = app.restart(&["--clinic-name", "Another"]);
        app.anon().get("/health/ready").await.expect(200);
        assert_eq!(app.env.config.settings.clinic_name, "Another");
    }

    async fn an_unknown_path_is_a_problem(app: App) {
        app.anon().get("/v1/nowhere?x=1").await.problem(404, "not_found");
    }

    async fn staff_sign_in_again_after_the_clock_was_set(app: App) {
        let admin = app.admin().await;
        admin.get("/v1/users").await.expect(200);
        app.clock.advance(jiff::SignedDuration::from_hours(1));
        admin.get("/v1/users").await.expect(200);
    }

    async fn a_clinic_and_a_patient_are_ready_to_use(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        assert_eq!(ann.get("/v1/me").await.expect(200).string("/patients/0/id"), ann.patient_id);
        let slots = crate::support::clinic::free_slots(&ann, &clinic.new_visit).await;
        assert_eq!(slots[0]["practitioner_id"], clinic.practitioner_id);
        app.doctor().await.get(&format!("/v1/practitioners/{}/availability", clinic.practitioner_id)).await.expect(200);
        let (slot, key) = (slots[0]["id"].clone(), [("Idempotency-Key", "harness")]);
        let body = serde_json::json!({"slot_id": slot, "visit_type_id": clinic.new_visit, "patient_id": ann.patient_id});
        ann.post_with("/v1/appointments", body, &key).await.expect(201);
        let mails = app.mails_to(&ann.email).await;
        assert!(mails[0].ics.as_deref().is_some_and(|ics| ics.contains("BEGIN:VCALENDAR")), "{mails:?}");
    }
}
