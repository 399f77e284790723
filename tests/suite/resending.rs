//! Sending a mail again: only while its content and its address are current.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::clinic::free_slots;
use crate::support::{App, Client, Clinic, Patient, Reply, both};

/// Books a time some days ahead. Returns the path of the appointment.
async fn booked(ann: &Patient, clinic: &Clinic) -> String {
    book_nth(ann, &clinic.check, 199, &ann.patient_id).await.location()
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
    async fn a_mail_about_an_outdated_state_of_a_visit_is_not_sent_again(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = booked(&ann, &clinic).await;
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

    async fn new_links_supersede_the_mail_with_the_old_ones(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = booked(&ann, &clinic).await;
        let old = newest(&app, &desk, "appointment_booked").await;
        app.clock.advance(SignedDuration::from_mins(1));
        desk.post_empty(&format!("{visit}/links")).await.expect(202);
        let new = newest(&app, &desk, "appointment_booked").await;
        resend(&desk, &old).await.problem(409, "message_superseded");
        resend(&desk, &new).await.expect(202);
    }

    async fn a_mail_is_not_sent_again_to_a_former_address_of_the_patient(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let path = format!("/v1/patients/{}", ann.patient_id);
        // From now on, the record and the account have different addresses.
        desk.update(&path, json!({"email": "elsewhere@example.org"})).await.expect(200);
        booked(&ann, &clinic).await;
        let booked = newest(&app, &desk, "appointment_booked").await;
        resend(&desk, &booked).await.expect(202);
        assert_eq!(app.mails_to("elsewhere@example.org").await.len(), 2);
        desk.update(&path, json!({"email": "right@example.org"})).await.expect(200);
        resend(&desk, &booked).await.problem(409, "recipient_changed");
        assert_eq!(app.mails_to("elsewhere@example.org").await.len(), 3, "and the notice of the change");
    }
}
