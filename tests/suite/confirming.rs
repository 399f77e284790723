//! Until when patients may change a visit, and the confirmation that they will come.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::appointments::{act, booked, nth, set, turn_to};
use crate::support::audit::stored;
use crate::support::booking::path;
use crate::support::{App, book, both};

both! {
    async fn an_appointment_says_until_when_the_patient_may_cancel_and_move_it(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(60)).await;
        let slot = nth(&ann, &clinic, 8).await;
        let visit = book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        let limit = |visit: &Value| [visit["cancellable_until"].clone(), visit["changeable_until"].clone()];
        assert_eq!(visit["starts_at"], "2026-03-02T16:15:00Z");
        let until = json!("2026-03-02T15:15:00Z");
        for client in [&*ann, &desk] {
            assert_eq!(limit(&client.get(&path(&visit, "")).await.body), [until.clone(), until.clone()]);
            assert_eq!(limit(&client.get("/v1/appointments").await.items()[0]), [until.clone(), until.clone()]);
        }
        let day = format!("/v1/practitioners/{}/agenda?date=2026-03-02", clinic.practitioner_id);
        assert_eq!(limit(&desk.get(&day).await.body["appointments"][0]), [until.clone(), until.clone()]);
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await;
        assert_eq!(limit(&export.expect(200).body["appointments"][0]), [until.clone(), until.clone()]);
        // The same instant is the last at which it is accepted.
        turn_to(&app, &visit, -60);
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": nth(&ann, &clinic, 20).await["id"]})).await;
        assert_eq!(moved.expect(200).body["changeable_until"], moved.body["cancellable_until"]);
        turn_to(&app, &moved.body, 0);
        let gone = act(&desk, &visit, "check-in").await;
        assert_eq!(limit(&gone.expect(200).body), [Value::Null, Value::Null]);
    }

    async fn a_patient_confirms_a_visit_and_staff_see_it_until_it_moves(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = booked(&ann, &clinic.follow_up, &ann.patient_id).await;
        assert_eq!(visit["confirmed_at"], Value::Null);
        let mails = app.mails_to(&ann.email).await.len();
        let first = act(&ann, &visit, "confirm").await;
        assert_eq!(first.expect(200).body["confirmed_at"], "2026-03-02T14:00:00Z");
        app.clock.advance(jiff::SignedDuration::from_secs(60));
        // A second confirmation changes nothing, whoever sends it.
        for client in [&*ann, &desk] {
            let again = act(client, &visit, "confirm").await;
            assert_eq!((&again.expect(200).body["confirmed_at"], again.etag()), (&first.body["confirmed_at"], first.etag()));
        }
        let day = format!("/v1/practitioners/{}/agenda?date=2026-03-02", clinic.practitioner_id);
        assert_eq!(desk.get(&day).await.body["appointments"][0]["confirmed_at"], first.body["confirmed_at"]);
        assert_eq!(desk.get("/v1/appointments").await.items()[0]["confirmed_at"], first.body["confirmed_at"]);
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await;
        assert_eq!(export.expect(200).body["appointments"][0]["confirmed_at"], first.body["confirmed_at"]);
        assert_eq!(app.mails_to(&ann.email).await.len(), mails, "no mail");

        let slot = nth(&ann, &clinic, 20).await;
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": slot["id"]})).await;
        assert_eq!(moved.expect(200).body["confirmed_at"], Value::Null);
        act(&desk, &visit, "confirm").await.expect(200);
        let history = desk.get(&path(&visit, "/history")).await.items();
        let said: Vec<_> = history.iter().map(|change| [&change["step"], &change["by"]]).collect();
        assert_eq!(json!(said), json!([["book", "patient"], ["confirm", "patient"], ["reschedule", "patient"], ["confirm", "clinic"]]));
        stored(&app).await;
        let query = format!("/v1/audit-events?patient_id={}&operation=confirm_appointment", ann.patient_id);
        let events = app.admin().await.get(&query).await.items();
        assert!(events.iter().any(|event| event["object_id"] == visit["id"] && event["actor_id"] == json!(desk.user_id)));
    }

    async fn only_a_booked_visit_that_has_not_begun_is_confirmed_by_those_who_may_change_it(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        // A confirmation has no notice.
        set(&app, &clinic.check, "cancel_notice_minutes", json!(1440)).await;
        let slot = nth(&ann, &clinic, 8).await;
        let visit = book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        act(&bob, &visit, "confirm").await.problem(404, "not_found");
        app.anon().post_empty(&path(&visit, "/confirm")).await.problem(401, "unauthenticated");
        let stale = [("If-Match", "\"7\"")];
        ann.send(Method::POST, &path(&visit, "/confirm"), &stale, None).await.problem(412, "stale");
        turn_to(&app, &visit, 0);
        let late = act(&desk, &visit, "confirm").await;
        assert_eq!(late.problem(409, "status_conflict")["allowed"], json!(["reschedule", "cancel", "check-in", "no-show"]));
        turn_to(&app, &visit, -1);
        act(&ann, &visit, "confirm").await.expect(200);
        act(&desk, &visit, "check-in").await.expect(200);
        act(&ann, &visit, "confirm").await.problem(409, "status_conflict");
        act(&desk, &visit, "undo").await.expect(200);
        assert_ne!(desk.get(&path(&visit, "")).await.body["confirmed_at"], Value::Null, "it was said for this time");
        act(&desk, &visit, "cancel").await.expect(200);
        act(&ann, &visit, "confirm").await.problem(409, "status_conflict");
    }

    async fn a_confirmation_a_move_and_a_cancellation_at_once_leave_one_consistent_visit(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        for round in 0..6 {
            let slot = nth(&ann, &clinic, 12).await;
            let to = nth(&ann, &clinic, 30 + round).await;
            let visit = book(&desk, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
            let reschedule = path(&visit, "/reschedule");
            let (confirmations, moved, cancelled) = tokio::join!(
                join_all((0..3).map(|_| act(&ann, &visit, "confirm"))),
                ann.post(&reschedule, json!({"slot_id": to["id"]})),
                act(&ann, &visit, "cancel"),
            );
            for reply in confirmations.iter().chain([&moved, &cancelled]) {
                if reply.status != 200 {
                    reply.problem(409, "status_conflict");
                }
            }
            let end = desk.get(&path(&visit, "")).await;
            assert_eq!((cancelled.status, &end.body["status"]), (200, &json!("cancelled")));
            let start = if moved.status == 200 { &to["starts_at"] } else { &slot["starts_at"] };
            assert_eq!(&end.body["starts_at"], start);
            // The history tells in which order they came, and the visit shows what the last of them left.
            let history = desk.get(&path(&visit, "/history")).await.items();
            let last = |step: &str| history.iter().rposition(|change| change["step"] == step);
            assert_eq!(last("cancel"), Some(history.len() - 1));
            assert_eq!(end.body["confirmed_at"] != Value::Null, last("confirm") > last("reschedule"));
            assert_eq!(history.len(), 2 + usize::from(moved.status == 200) + history.iter().filter(|one| one["step"] == "confirm").count());
        }
    }
}
