//! Messages that wait because the mail server is away: several about one appointment become one mail.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::clock::Timestamp;
use legwork::db::schema::users;
use legwork::ids::UserId;
use serde_json::{Value, json};

use crate::appointments::act;
use crate::support::booking::{book_nth, path};
use crate::support::clinic::free_slots;
use crate::support::families::{access, confirm, rosa};
use crate::support::people::patient_json;
use crate::support::smtp::Smtp;
use crate::support::{App, Client, Clinic, both, eventually};
use crate::waitlist_offers::of;

async fn reschedule(client: &Client, clinic: &Clinic, visit: &Value, nth: usize) -> Value {
    let slot = free_slots(client, &clinic.check).await[nth]["id"].clone();
    client.post(&path(visit, "/reschedule"), json!({"slot_id": slot})).await.expect(200).body["starts_at"].clone()
}

/// The messages about a patient, newest first.
async fn messages(desk: &Client, patient: &str) -> Vec<Value> {
    desk.get(&format!("/v1/messages?patient_id={patient}")).await.items()
}

/// Waits until the mail server was found to be away for each message that waits.
async fn until_tried(desk: &Client) {
    until_failed(desk, "connection").await;
}

/// Waits until each message that waits failed with this error.
async fn until_failed(desk: &Client, error: &str) {
    eventually(async || {
        let waiting = desk.get("/v1/messages?status=pending").await.items();
        let untried = waiting.iter().filter(|message| message["last_error"] != error).count();
        if untried == 0 { Ok(()) } else { Err(format!("{untried} messages were not tried")) }
    })
    .await;
}

/// Opens the mail server and waits until nothing waits any more.
async fn back_again(app: &App, smtp: &mut Smtp) {
    app.mails_tried().await;
    smtp.reopen();
    app.clock.advance(SignedDuration::from_mins(10));
    app.mails().await;
}

fn subjects(smtp: &Smtp, address: &str) -> Vec<String> {
    smtp.seen().into_iter().filter(|(_, mail)| mail.to == address).map(|(_, mail)| mail.subject).collect()
}

both! {
    async fn a_mail_about_a_visit_that_waits_is_not_sent_to_an_account_whose_access_has_ended(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let bob = app.patient("bob").await;
        let mut sara = patient_json("Sara", "");
        sara.as_object_mut().expect("an object").remove("email");
        let sara = desk.post("/v1/patients", sara).await.expect(201).id();
        let carer = json!({"email": bob.email, "relation": "caregiver"});
        desk.post(&access(&sara), carer).await.expect(201);
        confirm(&app, &sara, &bob.user_id).await;
        book_nth(&desk, &clinic.check, 0, &sara).await;
        until_tried(&desk).await;
        let about_visit = || async {
            let mut all = messages(&desk, &sara).await;
            all.retain(|message| message["kind"] == "appointment_booked");
            all.iter().map(|one| (one["recipient"]["email"].clone(), one["status"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(about_visit().await, [(json!(bob.email), json!("pending"))]);
        desk.delete(&format!("{}/{}", access(&sara), bob.user_id)).await.expect(204);
        back_again(&app, &mut smtp).await;
        // Nobody else was told, so the desk calls the patient.
        assert_eq!(about_visit().await, [(json!(bob.email), json!("to_phone"))]);
        let to_bob = subjects(&smtp, &bob.email);
        assert!(!to_bob.is_empty() && !to_bob.iter().any(|subject| subject.contains("appointment")), "{to_bob:?}");
    }

    async fn a_mail_that_waits_for_an_address_that_staff_correct_becomes_a_call(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let sara = desk.post("/v1/patients", patient_json("Sara", "sara@wrong.example")).await.expect(201).id();
        let visit = book_nth(&desk, &clinic.check, 0, &sara).await;
        let moved = book_nth(&desk, &clinic.check, 40, &sara).await;
        until_tried(&desk).await;
        desk.update(&format!("/v1/patients/{sara}"), json!({"email": "sara@right.example"})).await.expect(200);
        reschedule(&desk, &clinic, &moved.body, 60).await;
        back_again(&app, &mut smtp).await;
        let notices = subjects(&smtp, "sara@wrong.example");
        assert!(notices.len() == 1 && !notices[0].contains("appointment"), "only that the address was changed: {notices:?}");
        let calls = desk.get(&format!("/v1/messages?patient_id={sara}&status=to_phone")).await.items();
        assert_eq!(calls.len(), 1, "the earlier time of the other visit is not told: {calls:?}");
        assert_eq!((&calls[0]["kind"], &calls[0]["last_error"]), (&json!("appointment_booked"), &json!("recipient_changed")));
        assert_eq!(calls[0]["appointment_id"], visit.body["id"]);
        let again = desk.post(&format!("/v1/messages/{}/resend", calls[0]["id"].as_str().expect("an id")), json!({})).await;
        again.problem(409, "recipient_changed");
        // Instead of the call, the desk can mail the visit to the address that the record has now.
        desk.post(&path(&visit.body, "/links"), json!({})).await.expect(202);
        app.mails().await;
        assert_eq!(subjects(&smtp, "sara@right.example").len(), 2);
        assert!(desk.get(&format!("/v1/messages?patient_id={sara}&status=to_phone")).await.items().is_empty());
    }

    async fn news_of_a_visit_that_nobody_may_read_any_more_is_told_by_the_desk(app: App) {
        let (clinic, (rosa, tim)) = (app.clinic().await, rosa(&app).await);
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let desk = app.desk().await;
        book_nth(&desk, &clinic.check, 0, &tim).await;
        until_tried(&desk).await;
        let id: UserId = rosa.user_id.parse().expect("an id");
        let moved = (users::email.eq("rosa@other.example"), users::email_key.eq("rosa@other.example"));
        app.db(move |conn| Ok(diesel::update(users::table.find(id)).set(moved).execute(conn)?)).await;
        back_again(&app, &mut smtp).await;
        assert!(subjects(&smtp, "rosa@example.org").is_empty());
        let calls = desk.get(&format!("/v1/messages?patient_id={tim}&status=to_phone")).await.items();
        assert_eq!((calls.len(), &calls[0]["kind"], &calls[0]["last_error"]), (1, &json!("appointment_booked"), &json!("recipient_changed")));
        assert_eq!(calls[0]["recipient"]["name"], Value::Null);
    }

    async fn changes_of_a_visit_while_the_mail_server_is_away_become_one_mail(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob, dana) = (app.patient("ann").await, app.patient("bob").await, app.patient("dana").await);
        let moved = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let unknown = book_nth(&desk, &clinic.check, 20, &bob.patient_id).await.body;
        let by_clinic = book_nth(&desk, &clinic.check, 40, &dana.patient_id).await.body;
        until_tried(&desk).await;
        reschedule(&desk, &clinic, &moved, 10).await;
        let last = reschedule(&desk, &clinic, &moved, 12).await;
        act(&bob, &unknown, "cancel").await.expect(200);
        act(&desk, &by_clinic, "cancel").await.expect(200);
        back_again(&app, &mut smtp).await;

        let ann_read: Vec<_> = smtp.seen().into_iter().filter(|(_, mail)| mail.to == ann.email).collect();
        assert_eq!(ann_read.len(), 1, "{:?}", subjects(&smtp, &ann.email));
        let start: jiff::Timestamp = last.as_str().expect("a start").parse().expect("an instant");
        let start = start.to_zoned(legwork::zones::Zones::bundled().get("America/New_York").expect("a zone"));
        let (day, hour) = (start.strftime("%A, %B %-d, %Y").to_string(), start.strftime("%-I:%M").to_string());
        let text = ann_read[0].1.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&day) && text.contains(&hour), "{day} {hour}: {text}");
        let all = messages(&desk, &ann.patient_id).await;
        assert_eq!(all.iter().map(|one| &one["status"]).collect::<Vec<_>>(), ["sent", "done", "done"]);
        assert_eq!(all[0]["kind"], "appointment_booked");
        assert!(text.contains("is booked") && text.contains("fill in the forms before your visit"), "she never read of the booking: {text}");
        assert_eq!(subjects(&smtp, &bob.email), Vec::<String>::new(), "he never read of the visit that he cancelled");
        assert_eq!(subjects(&smtp, &dana.email).len(), 1, "the clinic says that the visit does not take place");
    }

    async fn a_booking_or_move_that_the_mail_server_takes_only_after_the_visit_began_is_dropped(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob, dana) = (app.patient("ann").await, app.patient("bob").await, app.patient("dana").await);
        let booked = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let moved = book_nth(&desk, &clinic.check, 40, &bob.patient_id).await.body;
        let later = book_nth(&desk, &clinic.check, 60, &dana.patient_id).await.body;
        reschedule(&desk, &clinic, &moved, 0).await;
        let start = |visit: &Value| visit["starts_at"].as_str().expect("a start").parse::<Timestamp>().expect("an instant");
        assert!(start(&later) > start(&booked).plus(SignedDuration::from_hours(2)));
        until_tried(&desk).await;
        smtp.reopen();
        app.clock.set(start(&booked).plus(SignedDuration::from_hours(2)));
        app.mails().await;
        assert_eq!(smtp.seen().into_iter().map(|(_, mail)| mail.to).collect::<Vec<_>>(), [dana.email]);
        let booked = messages(&desk, &ann.patient_id).await;
        assert_eq!((booked.len(), &booked[0]["status"], &booked[0]["done"]["by"]), (1, &json!("done"), &Value::Null));
        let states: Vec<_> = messages(&desk, &bob.patient_id).await.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(states, ["done", "done"]);
    }

    async fn a_visit_that_is_cancelled_just_when_the_mail_server_is_back_is_not_announced(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        until_tried(&desk).await;
        smtp.reopen();
        // The cancellation is due before the next attempt to send the booking.
        act(&ann, &visit, "cancel").await.expect(200);
        eventually(async || match messages(&desk, &ann.patient_id).await[0].clone() {
            newest if newest["status"] == "pending" => Err(format!("{newest:#}")),
            _ => Ok(()),
        })
        .await;
        back_again(&app, &mut smtp).await;
        assert_eq!(subjects(&smtp, &ann.email), Vec::<String>::new());
        let states: Vec<_> = messages(&desk, &ann.patient_id).await.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(states, ["done", "done"]);
    }

    async fn a_mail_that_may_have_arrived_is_followed_by_the_cancellation(app: App) {
        let smtp = Smtp::open();
        smtp.answer(&[451]);
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        until_failed(&desk, "smtp_451").await;
        app.clock.advance(SignedDuration::from_mins(1));
        app.mails().await;
        act(&ann, &visit, "cancel").await.expect(200);
        app.mails().await;
        let codes: Vec<_> = smtp.seen().iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [451, 250, 250]);
    }

    async fn an_offer_that_was_not_mailed_yet_is_withdrawn_without_a_mail(app: App) {
        let mut smtp = Smtp::closed();
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "from_date": "2027-06-01"});
        let entry = desk.post("/v1/waitlist-entries", entry).await.expect(201).id();
        let made = desk.post(&format!("/v1/waitlist-entries/{entry}/offers"), json!({"slot_id": slot["id"]})).await.expect(201).body.clone();
        until_tried(&desk).await;
        desk.post_empty(&of(&made, "/withdraw")).await.expect(200);
        back_again(&app, &mut smtp).await;
        assert_eq!(subjects(&smtp, &ann.email), Vec::<String>::new());
        let all: Vec<_> = messages(&desk, &ann.patient_id).await.iter().map(|one| (one["kind"].clone(), one["status"].clone())).collect();
        assert_eq!(all, [(json!("waitlist_offer"), json!("done"))]);
    }
}
