//! Confirming and moving an appointment by the link in its mail.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::appointments::{set, turn_to};
use crate::links::{booked, view};
use crate::support::audit::stored;
use crate::support::booking::{book_nth, path};
use crate::support::clinic::{free_slots, practitioner};
use crate::support::{App, Reply, both};

async fn confirm(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/appointment-links/confirm", json!({"token": token})).await
}

async fn reschedule(app: &App, token: &str, slot: &Value) -> Reply {
    app.anon().post("/v1/appointment-links/reschedule", json!({"token": token, "slot_id": slot["id"]})).await
}

both! {
    async fn a_link_confirms_once_and_sends_no_mail(app: App) {
        let (_, ann, appointment, token) = booked(&app).await;
        let shown = view(&app, &token).await.body;
        assert_eq!((&shown["can_confirm"], &shown["confirmed_at"]), (&json!(true), &Value::Null));
        let first = confirm(&app, &token).await;
        first.expect(200);
        assert_eq!((&first.body["can_confirm"], &first.body["confirmed_at"]), (&json!(false), &json!("2026-03-02T14:00:00Z")));
        assert_eq!(confirm(&app, &token).await.expect(200).body, first.body);
        assert_eq!(app.mails_to(&ann.email).await.len(), 1, "the booking's only");
        let desk = app.desk().await;
        assert_eq!(desk.get(&path(&appointment, "")).await.body["confirmed_at"], first.body["confirmed_at"]);
        let history = desk.get(&path(&appointment, "/history")).await.items();
        assert_eq!(history.len(), 2);
        assert_eq!((&history[1]["step"], &history[1]["by"], history[1].get("actor_id")), (&json!("confirm"), &json!("patient"), None));
        turn_to(&app, &appointment, 0);
        assert_eq!(view(&app, &token).await.body["can_confirm"], false);
        confirm(&app, &token).await.problem(409, "status_conflict");
    }

    async fn a_link_moves_the_visit_by_the_patients_rules_and_leads_to_it_afterwards(app: App) {
        let (clinic, ann, appointment, token) = booked(&app).await;
        confirm(&app, &token).await.expect(200);
        let shown = view(&app, &token).await.body;
        assert_eq!((&shown["can_move"], &shown["changeable_until"]), (&json!(true), &appointment["starts_at"]));
        // What the link shows is enough to search the times.
        let search = format!(
            "/v1/slots?visit_type_id={}&practitioner_id={}",
            shown["visit_type_id"].as_str().expect("an id"), shown["practitioner_id"].as_str().expect("an id"),
        );
        let to = app.anon().get(&search).await.items()[3].clone();
        let moved = reschedule(&app, &token, &to).await;
        assert_eq!((&moved.expect(200).body["starts_at"], &moved.body["confirmed_at"]), (&to["starts_at"], &Value::Null));
        assert_eq!(view(&app, &token).await.expect(200).body["starts_at"], to["starts_at"]);
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 2, "one for the booking, one for the move");
        assert_eq!(view(&app, &mails[1].token()).await.expect(200).body["starts_at"], to["starts_at"]);
        // The same choice again changes nothing.
        assert_eq!(reschedule(&app, &token, &to).await.expect(200).body, moved.body);
        assert_eq!(app.mails_to(&ann.email).await.len(), 2);
        let history = app.desk().await.get(&path(&appointment, "/history")).await.items();
        let steps: Vec<_> = history.iter().map(|change| [&change["step"], &change["by"]]).collect();
        assert_eq!(json!(steps), json!([["book", "patient"], ["confirm", "patient"], ["reschedule", "patient"]]));
        let times = free_slots(&app.anon(), &clinic.follow_up).await;
        assert!(times.iter().any(|slot| slot["starts_at"] == appointment["starts_at"]), "the old time is free");
        stored(&app).await;
        for operation in ["confirm_appointment_link", "reschedule_appointment_link"] {
            let query = format!("/v1/audit-events?patient_id={}&operation={operation}", ann.patient_id);
            let event = app.admin().await.get(&query).await.items().pop().expect("an event");
            assert_eq!((&event["actor_id"], &event["object_id"]), (&Value::Null, &appointment["id"]));
        }
    }

    async fn a_link_moves_no_visit_to_a_time_that_the_patient_could_not_have(app: App) {
        let (clinic, ann, appointment, token) = booked(&app).await;
        let (desk, bob) = (app.desk().await, app.patient("bob").await);
        let times = free_slots(&app.anon(), &clinic.follow_up).await;
        let held = bob.post(&format!("/v1/slots/{}/hold", times[0]["id"].as_str().expect("an id")), json!({"visit_type_id": clinic.follow_up})).await;
        held.expect(201);
        reschedule(&app, &token, &times[0]).await.problem(409, "slot_taken");
        book_nth(&desk, &clinic.follow_up, 40, &bob.patient_id).await;
        let taken = times[10].clone();
        desk.post(&format!("/v1/slots/{}/block", taken["id"].as_str().expect("an id")), json!({"reason": "a call"})).await.expect(200);
        reschedule(&app, &token, &taken).await.problem(409, "slot_taken");
        let other = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.follow_up]).await;
        let theirs = format!("/v1/slots?visit_type_id={}&practitioner_id={other}", clinic.follow_up);
        let theirs = app.anon().get(&theirs).await.items()[0].clone();
        reschedule(&app, &token, &theirs).await.invalid("/slot_id", "other_practitioner");
        set(&app, &clinic.follow_up, "cancel_notice_minutes", json!(10000)).await;
        // The visit has the new notice from its next move on.
        assert_eq!(view(&app, &token).await.body["can_move"], true);
        let to = json!({"slot_id": times[20]["id"]});
        desk.post(&path(&appointment, "/reschedule"), to).await.expect(200);
        assert_eq!(view(&app, &token).await.body["can_move"], false);
        let free = times[5].clone();
        reschedule(&app, &token, &free).await.problem(409, "cancel_notice");
        confirm(&app, &token).await.expect(200);
        desk.delete(&path(&appointment, "/links")).await.expect(204);
        reschedule(&app, &token, &free).await.problem(404, "not_found");
        confirm(&app, &token).await.problem(404, "not_found");
        assert_eq!(ann.get(&path(&appointment, "")).await.body["starts_at"], times[20]["starts_at"]);
    }

    async fn a_link_that_confirms_moves_and_cancels_at_once_leaves_one_consistent_visit(app: App) {
        let (clinic, _, appointment, token) = booked(&app).await;
        let to = free_slots(&app.anon(), &clinic.follow_up).await[5].clone();
        let cancel = json!({"token": token, "reason": "travelling"});
        let anon = app.anon();
        let (confirmed, moved, cancelled) = tokio::join!(
            join_all((0..4).map(|_| confirm(&app, &token))),
            join_all((0..2).map(|_| reschedule(&app, &token, &to))),
            anon.post("/v1/appointment-links/cancel", cancel),
        );
        cancelled.expect(200);
        for reply in confirmed.iter().chain(&moved).filter(|reply| reply.status != 200) {
            reply.problem(409, "status_conflict");
        }
        let end = app.desk().await.get(&path(&appointment, "")).await.body;
        let history = app.desk().await.get(&path(&appointment, "/history")).await.items();
        let last = |step: &str| history.iter().rposition(|change| change["step"] == step);
        assert_eq!((&end["status"], last("cancel")), (&json!("cancelled"), Some(history.len() - 1)));
        assert_eq!(end["starts_at"] == to["starts_at"], last("reschedule").is_some());
        assert_eq!(end["confirmed_at"] != Value::Null, last("confirm") > last("reschedule"));
    }
}
