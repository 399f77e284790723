//! Addresses that the mail server refuses for good: the desk calls instead, until somebody corrects them.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::refused_mailboxes;
use legwork::messages::model::{Envelope, Mail, Recipient, SecurityEvent};
use legwork::messages::outbox;
use legwork::privacy::retention;
use serde_json::{Value, json};

use crate::appointments::act;
use crate::support::booking::{book_nth, path};
use crate::support::clinic::free_slots;
use crate::support::people::Patient;
use crate::support::smtp::Smtp;
use crate::support::{App, Client, Clinic, book, both};

/// The messages about a patient of a status, newest first.
async fn messages(app: &App, desk: &Client, patient: &str, status: &str) -> Vec<Value> {
    app.mails().await;
    desk.get(&format!("/v1/messages?patient_id={patient}&status={status}")).await.items()
}

/// The refusal that the patient's card shows.
async fn refusal(client: &Client, patient: &str) -> Value {
    let card = client.get(&format!("/v1/patients/{patient}")).await;
    card.expect(200).body["mail_refusal"].clone()
}

async fn reschedule(desk: &Client, clinic: &Clinic, visit: &Value, nth: usize) {
    let slot = free_slots(desk, &clinic.follow_up).await[nth]["id"].clone();
    desk.post(&path(visit, "/reschedule"), json!({"slot_id": slot})).await.expect(200);
}

/// A patient whose booking was mailed to an address that the server refuses.
async fn refused(app: App, smtp: &Smtp, code: u16, text: &str) -> (App, Clinic, Client, Patient, Value) {
    smtp.refuse("ann@patients.example", code, text);
    let app = app.restart(&["--smtp-url", &smtp.url()]);
    let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
    let visit = book_nth(&desk, &clinic.follow_up, 0, &ann.patient_id).await.body;
    let failed = messages(&app, &desk, &ann.patient_id, "failed").await;
    assert_eq!(failed[0]["last_error"], format!("smtp_{code}"));
    (app, clinic, desk, ann, visit)
}

both! {
    async fn a_message_to_a_refused_address_becomes_a_call_and_the_card_says_why(app: App) {
        let smtp = Smtp::open();
        let (app, clinic, desk, ann, visit) = refused(app, &smtp, 550, "5.1.1 no such user").await;
        assert_eq!(refusal(&desk, &ann.patient_id).await, json!({"code": 550, "at": app.clock.now().to_string()}));
        assert_eq!(refusal(&ann, &ann.patient_id).await, Value::Null, "for staff only");

        reschedule(&desk, &clinic, &visit, 10).await;
        let calls = messages(&app, &desk, &ann.patient_id, "to_phone").await;
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!((&calls[0]["kind"], &calls[0]["last_error"]), (&json!("appointment_moved"), &json!("address_refused")));
        assert_eq!((&calls[0]["recipient"]["email"], &calls[0]["attempts"]), (&json!(ann.email), &json!(0)));
        assert!(calls[0]["to_say"].as_str().expect("words").contains("ann Tester"));
        assert!(messages(&app, &desk, &ann.patient_id, "failed").await.is_empty(), "the call replaces the failed mail");
        assert_eq!(smtp.refusals(), 1, "it was not tried again");

        // Staff who are on the telephone with the patient need no call about it.
        let slot = free_slots(&desk, &clinic.follow_up).await[5]["id"].clone();
        let informed = json!({"slot_id": slot, "visit_type_id": clinic.follow_up, "patient_id": ann.patient_id, "patient_informed": true});
        desk.post_with("/v1/appointments", informed, &[("Idempotency-Key", "informed")]).await.expect(201);
        assert_eq!(messages(&app, &desk, &ann.patient_id, "to_phone").await.len(), 1);

        // A mail that another mailbox accepts changes nothing.
        let bob = app.patient("bob").await;
        book_nth(&desk, &clinic.follow_up, 20, &bob.patient_id).await;
        assert_eq!(messages(&app, &desk, &bob.patient_id, "sent").await.len(), 1);
        assert_eq!(refusal(&desk, &ann.patient_id).await["code"], 550);

        let stored: Vec<Vec<u8>> = app.db(|tx| Ok(refused_mailboxes::table.select(refused_mailboxes::digest).load(tx)?)).await;
        assert_eq!(stored.len(), 1);
        assert!(stored[0].len() == 32 && !String::from_utf8_lossy(&stored[0]).contains("ann"), "{stored:?}");
    }

    async fn a_visit_that_is_booked_and_cancelled_at_once_leaves_no_call(app: App) {
        let smtp = Smtp::open();
        let (app, clinic, desk, ann, _) = refused(app, &smtp, 550, "5.1.1 no such user").await;
        for nth in 1..5 {
            let slot = free_slots(&ann, &clinic.follow_up).await[nth * 10].clone();
            let visit = book(&ann, &slot, &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
            ann.post(&path(&visit, "/cancel"), json!({"reason": "no"})).await.expect(200);
        }
        let calls = messages(&app, &desk, &ann.patient_id, "to_phone").await;
        assert!(calls.is_empty(), "{calls:?}");
    }

    async fn mails_go_again_to_an_address_that_staff_enter_again(app: App) {
        let smtp = Smtp::open();
        let (app, clinic, desk, ann, visit) = refused(app, &smtp, 553, "5.1.3 no such address").await;
        smtp.accept_all();
        let card = format!("/v1/patients/{}", ann.patient_id);
        ann.update(&card, json!({"email": ann.email})).await.expect(200);
        assert_eq!(refusal(&desk, &ann.patient_id).await["code"], 553, "only staff know that the address works");
        desk.update(&card, json!({"preferred_name": "Annie"})).await.expect(200);
        assert_eq!(refusal(&desk, &ann.patient_id).await["code"], 553);
        let changed = desk.update(&card, json!({"email": ann.email})).await;
        assert_eq!(changed.expect(200).body["mail_refusal"], Value::Null);
        reschedule(&desk, &clinic, &visit, 10).await;
        assert_eq!(messages(&app, &desk, &ann.patient_id, "sent").await[0]["kind"], "appointment_booked", "the booking did not arrive");
    }

    async fn a_call_that_is_sent_again_as_a_mail_shows_that_the_address_works(app: App) {
        let smtp = Smtp::open();
        let (app, clinic, desk, ann, visit) = refused(app, &smtp, 551, "5.1.6 moved").await;
        reschedule(&desk, &clinic, &visit, 10).await;
        let resend = |call: &Value| format!("/v1/messages/{}/resend", call["id"].as_str().expect("an id"));
        let call = messages(&app, &desk, &ann.patient_id, "to_phone").await.remove(0);
        // It is refused once more, and is a failed mail.
        desk.post_empty(&resend(&call)).await.expect(202);
        let failed = messages(&app, &desk, &ann.patient_id, "failed").await;
        assert_eq!((&failed[0]["id"], &failed[0]["last_error"]), (&call["id"], &json!("smtp_551")));
        assert_eq!(refusal(&desk, &ann.patient_id).await["code"], 551);
        smtp.accept_all();
        desk.post_empty(&resend(&call)).await.expect(202);
        assert_eq!(messages(&app, &desk, &ann.patient_id, "sent").await[0]["id"], call["id"]);
        assert_eq!(refusal(&desk, &ann.patient_id).await, Value::Null);
        act(&desk, &visit, "cancel").await.expect(200);
        assert_eq!(messages(&app, &desk, &ann.patient_id, "sent").await[0]["kind"], "appointment_cancelled");
    }

    async fn a_link_that_the_owner_asks_for_is_tried_and_other_mails_to_the_account_fail(app: App) {
        let smtp = Smtp::open();
        let (app, _, desk, ann, _) = refused(app, &smtp, 550, "5.1.1 no such user").await;
        let (env, email) = (app.env.clone(), ann.email.clone());
        let notice = app.db(move |tx| {
            let recipient = Recipient { name: None, email: Some(email.clone()), phone: None, language: "en".into() };
            let mail = Mail::SecurityNotice { event: SecurityEvent::PasswordChanged };
            outbox::enqueue(tx, &env, &Envelope { recipient, patient_id: None, appointment_id: None, mail })
        }).await;
        app.mails().await;
        let failed = desk.get("/v1/messages?status=failed").await.items();
        let failed = failed.iter().find(|message| message["id"] == notice.to_string()).expect("the notice");
        assert_eq!((&failed["last_error"], &failed["attempts"]), (&json!("address_refused"), &json!(0)));
        assert_eq!(smtp.refusals(), 1);

        smtp.accept_all();
        app.anon().post("/v1/password-resets", json!({"email": ann.email})).await.expect(202);
        let seen = smtp.wait_for(1).await;
        assert_eq!((seen[0].0, &seen[0].1.to), (250, &ann.email));
        app.mails().await;
        assert_eq!(refusal(&desk, &ann.patient_id).await, Value::Null, "the mailbox accepted it");
    }

    async fn a_refusal_of_the_contents_is_none_of_the_address(app: App) {
        let smtp = Smtp::open();
        let (app, clinic, desk, ann, visit) = refused(app, &smtp, 550, "5.7.1 policy").await;
        assert_eq!(refusal(&desk, &ann.patient_id).await, Value::Null);
        smtp.accept_all();
        reschedule(&desk, &clinic, &visit, 10).await;
        assert_eq!(messages(&app, &desk, &ann.patient_id, "sent").await.len(), 1);
    }

    async fn a_mail_server_that_refuses_everybody_refuses_the_clinic_and_no_address(app: App) {
        let smtp = Smtp::open();
        let (app, clinic, desk, ann, _) = refused(app, &smtp, 550, "5.1.1 no such user").await;
        for (nth, name) in ["bob", "carl", "dana", "eve"].into_iter().enumerate() {
            assert_eq!(refusal(&desk, &ann.patient_id).await["code"], 550, "before {name}");
            smtp.refuse(&format!("{name}@patients.example"), 550, "5.1.1 no such user");
            let patient = app.patient(name).await;
            book_nth(&desk, &clinic.follow_up, 4 * nth + 4, &patient.patient_id).await;
            assert_eq!(messages(&app, &desk, &patient.patient_id, "failed").await.len(), 1);
        }
        let stored: i64 = app.db(|tx| Ok(refused_mailboxes::table.count().get_result(tx)?)).await;
        assert_eq!(stored, 0);
    }

    async fn a_refusal_is_deleted_with_its_message(app: App) {
        let smtp = Smtp::open();
        let (app, _, desk, ann, _) = refused(app, &smtp, 550, "5.1.1 no such user").await;
        app.clock.advance(SignedDuration::from_hours(24 * 400));
        retention::apply_periodic(&app.env).await;
        assert!(messages(&app, &desk, &ann.patient_id, "failed").await.is_empty());
        assert_eq!(refusal(&desk, &ann.patient_id).await, Value::Null);
    }
}
