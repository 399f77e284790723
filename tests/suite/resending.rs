//! Sending a mail again: only as long as what it says holds, and its address is one that is told.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::{App, Client, Clinic, Patient, Reply, both};

async fn book(ann: &Patient, clinic: &Clinic, key: &str) -> String {
    let slot = free_slots(ann, &clinic.check).await.pop().expect("a slot");
    let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id});
    ann.post_with("/v1/appointments", body, &[("Idempotency-Key", key)]).await.expect(201).location()
}

/// The newest message of a kind.
async fn newest(app: &App, desk: &Client, kind: &str) -> String {
    app.mails().await;
    let messages: Vec<Value> = desk.get("/v1/messages?status=sent").await.items();
    let message = messages.iter().find(|message| message["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    message["id"].as_str().expect("an id").to_owned()
}

async fn resend(desk: &Client, id: &str) -> Reply {
    desk.post_empty(&format!("/v1/messages/{id}/resend")).await
}

both! {
    async fn a_mail_about_how_a_visit_stood_before_does_not_go_out_again(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book(&ann, &clinic, "k1").await;
        let booked = newest(&app, &desk, "appointment_booked").await;
        resend(&desk, &booked).await.expect(202);
        app.mails().await;

        let slot = free_slots(&ann, &clinic.check).await.remove(20);
        ann.post(&format!("{visit}/reschedule"), json!({"slot_id": slot["id"]})).await.expect(200);
        let moved = newest(&app, &desk, "appointment_moved").await;
        let mails = app.mails().await.len();
        resend(&desk, &booked).await.problem(409, "message_superseded");
        assert_eq!(app.mails().await.len(), mails);
        resend(&desk, &moved).await.expect(202);
        app.mails().await;

        ann.post(&format!("{visit}/cancel"), json!({"reason": "ill"})).await.expect(200);
        let cancelled = newest(&app, &desk, "appointment_cancelled").await;
        resend(&desk, &booked).await.problem(409, "message_superseded");
        resend(&desk, &moved).await.problem(409, "message_superseded");
        resend(&desk, &cancelled).await.expect(202);
    }

    async fn with_new_links_the_mail_with_the_old_one_is_superseded(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book(&ann, &clinic, "k1").await;
        let old = newest(&app, &desk, "appointment_booked").await;
        app.clock.advance(SignedDuration::from_mins(1));
        desk.post_empty(&format!("{visit}/links")).await.expect(202);
        let new = newest(&app, &desk, "appointment_booked").await;
        resend(&desk, &old).await.problem(409, "message_superseded");
        resend(&desk, &new).await.expect(202);
    }

    async fn a_mail_does_not_go_again_to_an_address_that_is_the_patients_no_longer(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let path = format!("/v1/patients/{}", ann.patient_id);
        // The address of the record and that of the account are two from now on.
        let etag = desk.get(&path).await.etag();
        desk.patch(&path, &etag, json!({"email": "elsewhere@example.org"})).await.expect(200);
        book(&ann, &clinic, "k1").await;
        let booked = newest(&app, &desk, "appointment_booked").await;
        resend(&desk, &booked).await.expect(202);
        assert_eq!(app.mails_to("elsewhere@example.org").await.len(), 2);
        let etag = desk.get(&path).await.etag();
        desk.patch(&path, &etag, json!({"email": "right@example.org"})).await.expect(200);
        resend(&desk, &booked).await.problem(409, "recipient_changed");
        assert_eq!(app.mails_to("elsewhere@example.org").await.len(), 3, "and the notice of the change");
    }
}
