//! Links in appointment mails: each shows its appointment and can cancel it, until it expires or is revoked.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::audit::stored;
use crate::support::booking::{book_nth, path};
use crate::support::clinic::free_slots;
use crate::support::{App, Clinic, Patient, Reply, both};

/// Ann, her appointment on the next day, and the token in its mail.
pub(super) async fn booked(app: &App) -> (Clinic, Patient, Value, String) {
    let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
    let appointment = book_nth(&ann, &clinic.follow_up, 20, &ann.patient_id).await.body;
    let mail = app.mails_to(&ann.email).await.pop().expect("a mail");
    assert!(mail.text.contains("https://legwork.example/appointment#token="), "{}", mail.text);
    (clinic, ann, appointment, mail.token())
}

pub(super) async fn view(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/appointment-links/view", json!({"token": token})).await
}

async fn cancel(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/appointment-links/cancel", json!({"token": token, "reason": "travelling"})).await
}

both! {
    async fn a_link_shows_the_appointment_and_only_the_first_name_of_the_patient(app: App) {
        let (_, ann, appointment, token) = booked(&app).await;
        let reply = view(&app, &token).await;
        reply.expect(200);
        let shown = &reply.body;
        for member in ["status", "starts_at", "ends_at", "time_zone", "confirmation_code"] {
            assert_eq!(shown[member], appointment[member], "{member}");
        }
        assert_eq!(shown["first_name"], "ann");
        assert_eq!(shown["practitioner"], "Dr. Ada Vein");
        assert_eq!(shown["location"], json!({"name": "Main Street", "address": "1 Main Street, Springfield", "phone": "+12025550100", "phone_display": "(202) 555-0100"}));
        assert_eq!((&shown["can_cancel"], &shown["cancellable_until"]), (&json!(true), &appointment["starts_at"]));
        assert!(shown["calendar"].as_str().expect("a calendar").contains("METHOD:PUBLISH\r\n"));
        let mrn = app.desk().await.get(&format!("/v1/patients/{}", ann.patient_id)).await.string("/mrn");
        for secret in ["Tester", "1967", &mrn, &ann.patient_id, &ann.email, "12025550123"] {
            assert!(!reply.text.contains(secret), "{secret} in {}", reply.text);
        }
        view(&app, &token).await.expect(200);
    }

    async fn a_link_cancels_like_the_patient_and_a_second_use_changes_nothing(app: App) {
        let (_, ann, appointment, token) = booked(&app).await;
        let reply = cancel(&app, &token).await;
        reply.expect(200);
        assert_eq!((&reply.body["status"], &reply.body["can_cancel"]), (&json!("cancelled"), &json!(false)));
        assert!(reply.string("/calendar").contains("METHOD:CANCEL\r\n"));
        assert_eq!(cancel(&app, &token).await.expect(200).body, reply.body);
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 2, "one for the booking, one for the cancellation");
        assert!(mails[1].ics.as_deref().expect("a calendar").contains("METHOD:CANCEL"));
        let history = app.desk().await.get(&path(&appointment, "/history")).await.items();
        let last = history.last().expect("a change");
        assert_eq!((&last["step"], &last["by"], &last["reason"]), (&json!("cancel"), &json!("patient"), &json!("travelling")));
        assert_eq!(last.get("actor_id"), None);
        // The time is free for others.
        let times = free_slots(&app.anon(), appointment["visit_type_id"].as_str().expect("a type")).await;
        assert!(times.iter().any(|slot| slot["starts_at"] == appointment["starts_at"]));
    }

    async fn a_repeat_with_the_same_key_gets_the_same_response(app: App) {
        let (_, ann, _, token) = booked(&app).await;
        let ask = || async {
            let body = json!({"token": token});
            app.anon().post_with("/v1/appointment-links/cancel", body, &[("Idempotency-Key", "once")]).await
        };
        let (first, second) = (ask().await, ask().await);
        first.expect(200);
        assert_eq!(first.text, second.text);
        assert_eq!(app.mails_to(&ann.email).await.len(), 2);
    }

    async fn an_older_link_shows_a_rescheduled_appointment_as_it_is_now(app: App) {
        let (clinic, ann, appointment, first) = booked(&app).await;
        let slot = free_slots(&ann, &clinic.follow_up).await[30].clone();
        ann.post(&path(&appointment, "/reschedule"), json!({"slot_id": slot["id"]})).await.expect(200);
        let second = app.mails_to(&ann.email).await.pop().expect("a mail").token();
        assert_ne!(first, second);
        for token in [&first, &second] {
            assert_eq!(view(&app, token).await.expect(200).body["starts_at"], slot["starts_at"]);
        }
    }

    async fn a_link_cannot_cancel_after_the_notice_period(app: App) {
        let (clinic, _, appointment, token) = booked(&app).await;
        let types = format!("/v1/visit-types/{}", clinic.follow_up);
        app.admin().await.patch(&types, "\"1\"", json!({"cancel_notice_minutes": 2880})).await.expect(200);
        assert_eq!(view(&app, &token).await.expect(200).body["can_cancel"], true, "a booked visit keeps its notice");
        let slot = free_slots(&app.desk().await, &clinic.follow_up).await[30].clone();
        app.desk().await.post(&path(&appointment, "/reschedule"), json!({"slot_id": slot["id"]})).await.expect(200);
        assert_eq!(view(&app, &token).await.expect(200).body["can_cancel"], false);
        cancel(&app, &token).await.problem(409, "cancel_notice");
        assert_eq!(view(&app, &token).await.body["status"], appointment["status"]);
        // A mail written after the notice period does not offer it.
        app.desk().await.post_empty(&path(&appointment, "/links")).await.expect(202);
        let mails = app.mails_to("ann@patients.example").await;
        let offers: Vec<_> = mails.iter().map(|mail| mail.text.contains("You can also move or cancel it there until")).collect();
        assert_eq!(offers, [true, false, false]);
        app.anon().post("/v1/appointment-links/cancel", json!({"token": token, "reason": "x".repeat(501)})).await
            .invalid("/reason", "too_long");
    }

    async fn unknown_revoked_and_expired_links_get_the_same_404(app: App) {
        let (_, _, appointment, token) = booked(&app).await;
        let desk = app.desk().await;
        let unknown = view(&app, "x").await.problem(404, "not_found")["detail"].clone();
        desk.delete(&path(&appointment, "/links")).await.expect(204);
        let revoked = view(&app, &token).await.problem(404, "not_found")["detail"].clone();
        cancel(&app, &token).await.problem(404, "not_found");
        desk.post_empty(&path(&appointment, "/links")).await.expect(202);
        let fresh = app.mails_to("ann@patients.example").await.pop().expect("a mail").token();
        view(&app, &fresh).await.expect(200);
        view(&app, &token).await.problem(404, "not_found");
        let ends: legwork::clock::Timestamp = appointment["ends_at"].as_str().expect("an end").parse().expect("an instant");
        app.clock.set(ends.minus(SignedDuration::from_secs(1)));
        view(&app, &fresh).await.expect(200);
        app.clock.set(ends);
        let outlived = view(&app, &fresh).await.problem(404, "not_found")["detail"].clone();
        assert_eq!((&unknown, &unknown), (&revoked, &outlived));
        app.desk().await.post_empty(&path(&appointment, "/links")).await.problem(409, "status_conflict");
    }

    async fn the_use_of_a_link_is_in_the_audit_trail_of_the_patient(app: App) {
        let (_, ann, appointment, token) = booked(&app).await;
        view(&app, &token).await.expect(200);
        cancel(&app, &token).await.expect(200);
        let admin = app.admin().await;
        for operation in ["view_appointment_link", "cancel_appointment_link"] {
            let query = format!("/v1/audit-events?patient_id={}&operation={operation}", ann.patient_id);
            stored(&app).await;
            let event = admin.get(&query).await.items().pop().expect("an event");
            assert_eq!((&event["actor_id"], &event["object_id"]), (&Value::Null, &appointment["id"]));
        }
    }

    async fn only_staff_renew_and_revoke_links(app: App) {
        let (_, ann, appointment, token) = booked(&app).await;
        let links = path(&appointment, "/links");
        ann.delete(&links).await.problem(403, "role_forbidden");
        ann.post_empty(&links).await.problem(403, "role_forbidden");
        app.anon().delete(&links).await.problem(401, "unauthenticated");
        let unknown = format!("/v1/appointments/{}/links", uuid::Uuid::from_u128(1));
        app.desk().await.delete(&unknown).await.problem(404, "not_found");
        app.desk().await.post_empty(&unknown).await.problem(404, "not_found");
        view(&app, &token).await.expect(200);
    }

    async fn tokens_are_not_stored_in_clear_text(app: App) {
        let (_, _, _, token) = booked(&app).await;
        let hashes: Vec<Vec<u8>> = app.db(|tx| {
            use diesel::prelude::*;
            use legwork::db::schema::appointment_links;
            Ok(appointment_links::table.select(appointment_links::token_hash).load(tx)?)
        }).await;
        assert_eq!(hashes.len(), 1);
        assert_eq!(hashes[0].len(), 32);
        assert!(token.len() >= 43 && !hashes[0].windows(8).any(|window| token.as_bytes().starts_with(window)));
    }
}
