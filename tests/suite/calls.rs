//! Patients without an e-mail address: the front desk calls them instead.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::appointments::act;
use crate::support::booking::{book_nth, booking, post_booking};
use crate::support::clinic::free_slots;
use crate::support::people::patient_json;
use crate::support::{App, Client, both};

/// Creates a patient without an e-mail address.
async fn without_email(desk: &Client, language: &str) -> String {
    let mut body = patient_json("Rosa", "unused@patients.example");
    body["email"] = Value::Null;
    body["preferred_language"] = json!(language);
    desk.post("/v1/patients", body).await.expect(201).id()
}

async fn to_phone(desk: &Client) -> Vec<Value> {
    desk.get("/v1/messages?status=to_phone").await.items()
}

/// Restarts the server with a broken template for booking mails, so that they fail.
fn whose_confirmations_fail(app: App) -> App {
    let folder = app.site.folder.path().join("templates");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("appointment_booked.txt"), "{{ broken }}").expect("written");
    app.restart(&["--template-dir", folder.to_str().expect("a path")])
}

both! {
    async fn a_patient_without_an_address_is_on_the_call_list_in_their_language_until_called(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let patient = without_email(&desk, "es-MX").await;
        let appointment = book_nth(&desk, &clinic.follow_up, 0, &patient).await.body;
        assert_eq!(app.mails().await.len(), 0);

        let calls = to_phone(&desk).await;
        assert_eq!(calls.len(), 1);
        let call = &calls[0];
        assert_eq!(call["kind"], "appointment_booked");
        assert_eq!(call["appointment_id"], appointment["id"]);
        let expected = json!({"name": "Rosa Tester", "email": null, "phone": "+12025550123", "phone_display": "(202) 555-0123", "language": "es-MX"});
        assert_eq!(call["recipient"], expected);
        let text = call["to_say"].as_str().expect("words");
        let code = appointment["confirmation_code"].as_str().expect("a code");
        for fact in ["Rosa Tester", "lunes, 2 de marzo, a las 9:15 a.\u{a0}m.", "Main Street", "(202) 555-0100", code] {
            assert!(text.contains(fact), "{fact} in {text}");
        }

        let path = format!("/v1/messages/{}/complete", call["id"].as_str().expect("an id"));
        desk.post(&path, json!({"note": " "})).await.invalid("/note", "required");
        desk.post(&path, json!({"notes": "x"})).await.invalid("/notes", "unknown_field");
        app.clock.advance(SignedDuration::from_mins(5));
        let reply = desk.post(&path, json!({"note": "Se lo dije a su hija."})).await;
        reply.expect(200);
        assert_eq!((&reply.body["status"], &reply.body["to_say"]), (&json!("done"), &Value::Null));
        let done = json!({"at": app.clock.now().to_string(), "by": desk.user_id, "note": "Se lo dije a su hija."});
        assert_eq!(reply.body["done"], done);
        assert_eq!(to_phone(&desk).await.len(), 0);
        assert_eq!(desk.get("/v1/messages?status=done").await.items()[0]["done"], done);
        desk.post(&path, json!({})).await.problem(409, "message_not_open");
    }

    async fn calls_about_a_visit_end_when_the_patient_comes_and_are_open_again_when_that_was_a_mistake(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let patient = without_email(&desk, "en").await;
        let visit = book_nth(&desk, &clinic.follow_up, 0, &patient).await.body;
        let calls = async || to_phone(&desk).await.len();
        assert_eq!(calls().await, 1);
        // One step may be undone after the other.
        for (steps, left) in [(&["check-in", "undo"][..], 1), (&["check-in", "complete", "undo", "undo"], 1), (&["check-in"], 0)] {
            for step in steps {
                app.clock.advance(SignedDuration::from_mins(1));
                act(&desk, &visit, step).await.expect(200);
                assert!(*step == "undo" || calls().await == 0, "{step}");
            }
            assert_eq!(calls().await, left, "{steps:?}");
        }
        let call = desk.get("/v1/messages?status=done").await.items().remove(0);
        assert_eq!((&call["appointment_id"], &call["done"]["by"]), (&visit["id"], &Value::Null));
    }

    async fn nobody_who_has_heard_of_a_change_is_called_about_it(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let patient = without_email(&desk, "en").await;
        let slots = free_slots(&desk, &clinic.follow_up).await;
        let informed = |mut body: Value| {
            body["patient_informed"] = json!(true);
            body
        };
        let visit = post_booking(&desk, informed(booking(&slots[3], &clinic.follow_up, &patient))).await.expect(201).location();
        let to = informed(json!({"slot_id": slots[9]["id"]}));
        desk.post(&format!("{visit}/reschedule"), to.clone()).await.expect(200);
        desk.post(&format!("{visit}/cancel"), informed(json!({"reason": "Rang"}))).await.expect(200);
        assert!(to_phone(&desk).await.is_empty());
        // A mail is a confirmation in writing, and a patient is not staff.
        post_booking(&desk, informed(booking(&slots[15], &clinic.follow_up, &ann.patient_id))).await.expect(201);
        assert_eq!(app.mails_to(&ann.email).await.len(), 1);
        let own = informed(booking(&slots[21], &clinic.follow_up, &ann.patient_id));
        post_booking(&ann, own).await.invalid("/patient_informed", "forbidden_field");
        let visit = post_booking(&ann, booking(&slots[21], &clinic.follow_up, &ann.patient_id)).await.expect(201).location();
        ann.post(&format!("{visit}/reschedule"), to).await.invalid("/patient_informed", "forbidden_field");
        let cancellation = informed(json!({"reason": "Rang"}));
        ann.post(&format!("{visit}/cancel"), cancellation).await.invalid("/patient_informed", "forbidden_field");
    }

    async fn a_call_about_an_outdated_state_of_an_appointment_leaves_the_list(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let patient = without_email(&desk, "en").await;
        let appointment = book_nth(&desk, &clinic.follow_up, 0, &patient).await.body;
        let first = to_phone(&desk).await[0]["id"].clone();
        let slot = free_slots(&desk, &clinic.follow_up).await[10]["id"].clone();
        let path = format!("/v1/appointments/{}", appointment["id"].as_str().expect("an id"));
        desk.post(&format!("{path}/reschedule"), json!({"slot_id": slot})).await.expect(200);
        let calls = to_phone(&desk).await;
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0]["kind"], "appointment_moved");
        let struck = &desk.get("/v1/messages?status=done").await.items()[0];
        assert_eq!((&struck["id"], &struck["done"]["by"]), (&first, &Value::Null));
        desk.post(&format!("{path}/cancel"), json!({"reason": "she called"})).await.expect(200);
        let calls = to_phone(&desk).await;
        assert_eq!(calls.iter().map(|call| &call["kind"]).collect::<Vec<_>>(), ["appointment_cancelled"]);
    }

    async fn calls_to_one_number_are_made_and_completed_together(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let rosa = without_email(&desk, "en").await;
        let mut other = patient_json("Otto", "unused@patients.example");
        other["email"] = Value::Null;
        other["phone"] = json!("+12025550177");
        let other = desk.post("/v1/patients", other).await.expect(201).id();
        let slots = free_slots(&desk, &clinic.follow_up).await;
        let mut visits = Vec::new();
        for (slot, patient) in [(&slots[0], &rosa), (&slots[6], &rosa), (&slots[12], &other)] {
            visits.push(post_booking(&desk, booking(slot, &clinic.follow_up, patient)).await.expect(201).body.clone());
        }
        // A day off moves both visits of the patient.
        let later: Vec<_> = slots[18..].iter().step_by(6).collect();
        let moves: Vec<_> = visits.iter().zip(later).map(|(visit, slot)| {
            json!({"appointment_id": visit["id"], "version": 1, "slot_id": slot["id"]})
        }).collect();
        desk.post_with("/v1/appointments/reschedule", json!({"moves": moves}), &[("Idempotency-Key", "day-off")]).await.expect(200);
        let call_about = async |visit: &Value| {
            let calls = to_phone(&desk).await;
            calls.into_iter().find(|call| call["appointment_id"] == visit["id"]).expect("a call")
        };
        let (first, second, ottos) =
            (call_about(&visits[0]).await, call_about(&visits[1]).await, call_about(&visits[2]).await);
        assert_eq!(first["other_calls"], json!([second["id"]]));
        assert_eq!(second["other_calls"], json!([first["id"]]));
        assert_eq!(ottos["other_calls"], json!([]));

        let path = format!("/v1/messages/{}/complete", first["id"].as_str().expect("an id"));
        desk.post(&path, json!({"also": [first["id"]]})).await.invalid("/also/0", "duplicate");
        desk.post(&path, json!({"also": vec![&second["id"]; 2]})).await.invalid("/also/1", "duplicate");
        desk.post(&path, json!({"also": vec![&second["id"]; 21]})).await.invalid("/also", "too_many");
        desk.post(&path, json!({"also": [uuid::Uuid::from_u128(1)]})).await.problem(404, "not_found");
        desk.post(&path, json!({"also": [second["id"], ottos["id"]]})).await.problem(409, "other_number");
        assert_eq!(to_phone(&desk).await.len(), 3);
        desk.post(&path, json!({"note": "Both are fine.", "also": [second["id"]]})).await.expect(200);
        assert_eq!(to_phone(&desk).await.iter().map(|call| &call["id"]).collect::<Vec<_>>(), [&ottos["id"]]);
        let done = desk.get("/v1/messages?status=done&limit=100").await.items();
        let noted = done.iter().filter(|call| call["done"]["note"] == "Both are fine.");
        assert_eq!(noted.count(), 2);
        desk.post(&path, json!({"also": [ottos["id"]]})).await.problem(409, "message_not_open");
    }

    async fn a_call_about_a_moved_visit_mentions_the_forms_that_are_still_missing(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let patient = without_email(&desk, "en").await;
        let visit = book_nth(&desk, &clinic.new_visit, 0, &patient).await.body;
        let text = async || to_phone(&desk).await[0]["to_say"].as_str().expect("words").to_owned();
        assert!(text().await.contains("forms to fill in"), "{}", text().await);
        let slot = free_slots(&desk, &clinic.new_visit).await[20]["id"].clone();
        let path = format!("/v1/appointments/{}", visit["id"].as_str().expect("an id"));
        desk.post(&format!("{path}/reschedule"), json!({"slot_id": slot})).await.expect(200);
        let moved = text().await;
        assert!(moved.contains("has changed") && moved.contains("forms to fill in"), "{moved}");
    }

    async fn a_failed_mail_about_an_appointment_becomes_a_call_with_number_and_text(app: App) {
        let app = whose_confirmations_fail(app);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let ann = app.patient("ann").await;
        book_nth(&desk, &clinic.follow_up, 0, &ann.patient_id).await;
        app.mails().await;
        let failed = &desk.get("/v1/messages?status=failed").await.items()[0];
        assert_eq!(failed["recipient"]["phone"], "+12025550123");
        assert!(failed["to_say"].as_str().expect("words").contains("ann Tester"));
        let path = format!("/v1/messages/{}", failed["id"].as_str().expect("an id"));
        app.admin().await.post(&format!("{path}/complete"), json!({})).await.expect(200);
        desk.post_empty(&format!("{path}/resend")).await.problem(409, "message_done");
        assert_eq!(desk.get("/v1/messages?status=failed").await.items().len(), 0);
    }

    async fn a_failed_mail_leaves_the_list_when_the_visit_changes(app: App) {
        let app = whose_confirmations_fail(app);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let ann = app.patient("ann").await;
        let visit = book_nth(&desk, &clinic.follow_up, 0, &ann.patient_id).await.body;
        app.mails().await;
        assert_eq!(desk.get("/v1/messages?status=failed").await.items().len(), 1);
        let cancel = format!("/v1/appointments/{}/cancel", visit["id"].as_str().expect("an id"));
        desk.post(&cancel, json!({"reason": "she called"})).await.expect(200);
        assert_eq!(desk.get("/v1/messages?status=failed").await.items().len(), 0);
    }

    async fn only_the_front_desk_and_administrators_see_calls(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let patient = without_email(&desk, "en").await;
        book_nth(&desk, &clinic.follow_up, 0, &patient).await;
        let call = to_phone(&desk).await[0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/messages/{call}/complete");
        app.anon().post(&path, json!({})).await.problem(401, "unauthenticated");
        app.doctor().await.post(&path, json!({})).await.problem(403, "role_forbidden");
        app.patient("ann").await.post(&path, json!({})).await.problem(403, "role_forbidden");
        desk.post(&format!("/v1/messages/{}/complete", uuid::Uuid::from_u128(1)), json!({})).await.problem(404, "not_found");
        desk.post_empty(&format!("/v1/messages/{call}/resend")).await.problem(409, "message_to_phone");
        app.admin().await.post(&path, json!({})).await.expect(200);
    }
}
