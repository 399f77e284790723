//! How waits end, pause and go on: with the visit that they are about, with the kind of visit, and by the patient.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::{book_nth, path};
use crate::support::clinic::{self, free_slots};
use crate::support::people::patient_json;
use crate::support::visitor::Visitor;
use crate::support::{App, Client, both, id};
use crate::waitlist_offers::{of, offers, run, status_of, statuses, wait_for};

const LIST: &str = "/v1/waitlist-entries";

/// Waits for an earlier time than that of a visit, and returns the entry.
async fn wait_for_earlier(client: &Client, visit: &Value, more: Value) -> String {
    let mut entry = json!({
        "patient_id": visit["patient_id"], "visit_type_id": visit["visit_type_id"], "appointment_id": visit["id"],
    });
    for (member, value) in more.as_object().expect("an object") {
        entry[member] = value.clone();
    }
    client.post(LIST, entry).await.expect(201).id()
}

async fn is_free(client: &Client, visit_type: &str, slot_id: &Value) -> bool {
    free_slots(client, visit_type).await.iter().any(|free| free["id"] == *slot_id)
}

/// The text of the last mail to an address, in one line.
async fn last_mail(app: &App, address: &str) -> String {
    app.mails_to(address).await.pop().expect("a mail").text.replace('\n', " ")
}

both! {
    async fn a_cancelled_visit_ends_the_wait_for_an_earlier_time_and_takes_its_offer_back(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let later = book_nth(&ann, &clinic.check, 190, &ann.patient_id).await.body;
        let entry = wait_for_earlier(&ann, &later, json!({})).await;
        run(&app).await;
        let made = offers(&ann, &ann.patient_id).await;
        assert_eq!(statuses(&made), ["offered"]);
        let mail = app.mails_to(&ann.email).await.pop().expect("a mail");
        // A move keeps the wait.
        let slots = free_slots(&desk, &clinic.check).await;
        desk.post(&path(&later, "/reschedule"), json!({"slot_id": slots[150]["id"]})).await.expect(200);
        assert_eq!(status_of(&ann, &entry).await, "offered");

        ann.post(&path(&later, "/cancel"), json!({"reason": "I am moving away"})).await.expect(200);
        assert_eq!(status_of(&ann, &entry).await, "cancelled");
        assert_eq!(statuses(&offers(&ann, &ann.patient_id).await), ["withdrawn"]);
        ann.post_empty(&of(&made[0], "/claim")).await.problem(409, "offer_ended");
        let view = app.anon().post("/v1/waitlist-offer-links/view", json!({"token": mail.token()})).await;
        assert_eq!((view.expect(200).string("/status"), &view.body["is_waiting"]), ("withdrawn".into(), &json!(false)));
        run(&app).await;
        assert!(is_free(&desk, &clinic.check, &made[0]["slot_id"]).await, "the time is free for others");
        assert_eq!(offers(&ann, &ann.patient_id).await.len(), 1, "nothing more is offered");
        let told = last_mail(&app, &ann.email).await;
        assert!(told.contains("The later visit is cancelled or over"), "{told}");
        // The patient can wait for a visit again.
        ann.post(LIST, json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check})).await.expect(201);
    }

    async fn a_visit_that_moves_before_an_offered_time_takes_the_offer_back_and_the_patient_waits_on(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let later = book_nth(&ann, &clinic.check, 190, &ann.patient_id).await.body;
        let entry = wait_for_earlier(&ann, &later, json!({"from_date": "2026-03-05"})).await;
        run(&app).await;
        let made = offers(&ann, &ann.patient_id).await;
        assert_eq!(statuses(&made), ["offered"]);
        let slots = free_slots(&desk, &clinic.check).await;
        desk.post(&path(&later, "/reschedule"), json!({"slot_id": slots[40]["id"]})).await.expect(200);
        assert_eq!((status_of(&ann, &entry).await, statuses(&offers(&ann, &ann.patient_id).await)), ("waiting".to_owned(), vec!["withdrawn"]));
        ann.post_empty(&of(&made[0], "/claim")).await.problem(409, "offer_ended");
        run(&app).await;
        assert!(is_free(&desk, &clinic.check, &made[0]["slot_id"]).await, "the time is free for others");
        assert_eq!(desk.get(&path(&later, "")).await.body["starts_at"], slots[40]["starts_at"]);
    }

    async fn offers_by_telephone_that_lapse_without_a_call_do_not_pause_the_wait_and_the_desk_lets_a_paused_one_go_on(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut rosa = patient_json("Rosa", "unused@patients.example");
        rosa["email"] = Value::Null;
        let rosa = desk.post("/v1/patients", rosa).await.expect(201).id();
        let entry = json!({"patient_id": rosa, "visit_type_id": clinic.check, "from_date": "2026-03-12"});
        let entry = desk.post(LIST, entry).await.expect(201).location();
        // Four lapse while nobody calls; of three others the desk told the patient.
        for nth in 0..7 {
            run(&app).await;
            assert_eq!(desk.get(&entry).await.expect(200).body["paused"], false, "{nth}");
            let calls = desk.get("/v1/messages?status=to_phone").await.items();
            assert_eq!(calls.len(), 1, "{nth}");
            if nth > 3 {
                desk.post(&format!("/v1/messages/{}/complete", id(&calls[0])), json!({})).await.expect(200);
            }
            // Outside of the quiet hours.
            app.clock.advance(SignedDuration::from_hours(24));
        }
        run(&app).await;
        assert_eq!(desk.get(&entry).await.expect(200).body["paused"], true);
        let visitor = Visitor::signed_in(app.anon(), "desk@clinic.example").await;
        let page = visitor.get("/desk/waitlist").await;
        assert!(page.expect(200).text.contains("Offer times again"), "{}", page.text);
        let entry_id = entry.rsplit('/').next().expect("an id");
        visitor.submit(&page, &format!("/desk/waitlist/{entry_id}/offers"), &[]).await.expect(303);
        assert_eq!(desk.get(&entry).await.expect(200).body["paused"], false);
    }

    async fn a_completed_visit_ends_the_wait_for_an_earlier_time(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let ann = app.patient("ann").await;
        // Today at 16:00. The service finds no time for the entry; the desk offers one.
        let visit = book_nth(&desk, &clinic.check, 27, &ann.patient_id).await.body;
        let entry = wait_for_earlier(&desk, &visit, json!({"from_date": "2027-06-01"})).await;
        let slot = free_slots(&desk, &clinic.check).await[8].clone();
        let offer = json!({"slot_id": slot["id"], "way": "phone"});
        desk.post(&format!("{LIST}/{entry}/offers"), offer).await.expect(201);
        desk.post_empty(&path(&visit, "/check-in")).await.expect(200);
        desk.post_empty(&path(&visit, "/complete")).await.expect(200);
        assert_eq!(status_of(&desk, &entry).await, "expired");
        assert_eq!(statuses(&offers(&desk, &ann.patient_id).await), ["withdrawn"]);
        run(&app).await;
        assert!(is_free(&desk, &clinic.check, &slot["id"]).await);
        assert_eq!(status_of(&desk, &entry).await, "expired");
    }

    async fn a_change_of_an_entry_checks_only_what_it_changes(app: App) {
        let (clinic, admin, ann) = (app.clinic().await, app.admin().await, app.patient("ann").await);
        let other = clinic::practitioner(&admin, "Dr. Bea Vein", &clinic.location_id, &[clinic.follow_up.as_str()]).await;
        let entry = json!({
            "patient_id": ann.patient_id, "visit_type_id": clinic.check, "practitioner_ids": [clinic.practitioner_id], "from_date": "2027-06-01",
        });
        let entry = ann.post(LIST, entry).await.expect(201).location();
        assert_eq!(ann.update(&entry, json!({"paused": false})).await.expect(200).etag(), "\"1\"", "it is not paused");
        admin.update(&format!("/v1/practitioners/{}", clinic.practitioner_id), json!({"active": false})).await.expect(200);
        ann.update(&entry, json!({"weekdays": ["monday"]})).await.expect(200);
        let with_another = json!({"practitioner_ids": [clinic.practitioner_id, other]});
        ann.update(&entry, with_another).await.invalid("/practitioner_ids/1", "unknown_reference");
        admin.update(&format!("/v1/visit-types/{}", clinic.check), json!({"active": false})).await.expect(200);
        let changed = ann.update(&entry, json!({"from_time": "09:00"})).await;
        assert_eq!(changed.expect(200).string("/from_time"), "09:00");
    }

    async fn a_patient_learns_that_an_entry_is_paused_and_lets_it_go_on(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "from_date": "2026-03-12"});
        let entry = desk.post(LIST, entry).await.expect(201).location();
        for _ in 0..3 {
            run(&app).await;
            assert_eq!(desk.get(&entry).await.expect(200).body["paused"], false);
            assert!(last_mail(&app, &ann.email).await.contains("You can also call us"));
            app.clock.advance(SignedDuration::from_hours(3));
        }
        run(&app).await;
        let shown = desk.get(&entry).await;
        assert_eq!((shown.expect(200).string("/status"), &shown.body["paused"]), ("waiting".into(), &json!(true)));
        let listed = desk.get(&format!("{LIST}?patient_id={}", ann.patient_id)).await.items();
        assert_eq!(listed[0]["paused"], true);
        let told = last_mail(&app, &ann.email).await;
        assert!(told.contains("so we offer no other times until we hear from you"), "{told}");
        assert!(told.contains("https://legwork.example/visits"), "{told}");
        assert_eq!(app.mails_to(&ann.email).await.len(), 4, "three offers, and what becomes of the wait");

        desk.update(&entry, json!({"paused": true})).await.invalid("/paused", "wrong_value");
        let visitor = Visitor::signed_in(app.anon(), &ann.email).await;
        let page = visitor.get("/visits").await;
        assert!(page.expect(200).text.contains("Several offers in a row were not answered"), "{}", page.text);
        let id = entry.rsplit('/').next().expect("an id");
        let done = visitor.submit(&page, &format!("/visits/waiting/{id}/offers"), &[]).await;
        assert_eq!(done.expect(303).header("location"), "../../../visits?done=waiting&lang=en");
        assert_eq!(desk.get(&entry).await.expect(200).body["paused"], false);
    }

    async fn an_entry_that_is_paused_goes_on_with_a_patch_of_that_member_alone(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "from_date": "2026-03-12"});
        let entry = desk.post(LIST, entry).await.expect(201).location();
        for _ in 0..3 {
            run(&app).await;
            app.mails().await;
            app.clock.advance(SignedDuration::from_hours(3));
        }
        run(&app).await;
        // 18:00 in New York.
        assert_eq!(offers(&desk, &ann.patient_id).await.len(), 3);
        let awake = desk.update(&entry, json!({"paused": false})).await;
        assert_eq!(awake.expect(200).body["paused"], false);
        run(&app).await;
        assert_eq!(statuses(&offers(&desk, &ann.patient_id).await), ["lapsed", "lapsed", "lapsed", "offered"]);
    }

    async fn a_kind_of_visit_that_patients_cannot_book_any_more_takes_its_offers_back(app: App) {
        let (clinic, admin, desk) = (app.clinic().await, app.admin().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&desk, &clinic.check).await;
        for (patient, slot, way) in [(&ann, 60, "mail"), (&bob, 70, "phone")] {
            let entry = json!({"patient_id": patient.patient_id, "visit_type_id": clinic.check, "from_date": "2027-06-01"});
            let entry = desk.post(LIST, entry).await.expect(201).id();
            let offer = json!({"slot_id": slots[slot]["id"], "way": way});
            desk.post(&format!("{LIST}/{entry}/offers"), offer).await.expect(201);
        }
        assert_eq!(app.mails_to(&ann.email).await.len(), 1);
        let kind = format!("/v1/visit-types/{}", clinic.check);
        let status = async |patient: &str| offers(&desk, patient).await[0]["status"].clone();
        // Staff still book it, so what the desk says on the telephone stays.
        admin.update(&kind, json!({"online_bookable": false})).await.expect(200);
        run(&app).await;
        assert_eq!((status(&ann.patient_id).await, status(&bob.patient_id).await), (json!("withdrawn"), json!("offered")));
        assert!(is_free(&desk, &clinic.check, &slots[60]["id"]).await);
        let told = last_mail(&app, &ann.email).await;
        assert!(told.contains("At the moment we do not offer times for this visit."), "{told}");
        admin.update(&kind, json!({"active": false})).await.expect(200);
        run(&app).await;
        assert_eq!(status(&bob.patient_id).await, "withdrawn");
    }

    async fn an_offer_follows_the_clock_of_its_location_and_names_its_number(app: App) {
        let (clinic, admin, desk) = (app.clinic().await, app.admin().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        // 07:00 in Denver, 09:00 in New York.
        let denver = clinic::location(&admin, "Union Station", "America/Denver").await;
        admin.update(&format!("/v1/locations/{denver}"), json!({"phone": "+13035550123"})).await.expect(200);
        clinic::practitioner(&admin, "Dr. Dan Vein", &denver, &[clinic.check.as_str()]).await;
        for (patient, place) in [(&ann, &denver), (&bob, &clinic.location_id)] {
            let entry = json!({"patient_id": patient.patient_id, "visit_type_id": clinic.check, "location_ids": [place]});
            desk.post(LIST, entry).await.expect(201);
        }
        run(&app).await;
        assert_eq!(statuses(&offers(&desk, &bob.patient_id).await), ["offered"]);
        assert!(offers(&desk, &ann.patient_id).await.is_empty(), "patients there sleep");
        app.clock.advance(SignedDuration::from_hours(1));
        run(&app).await;
        let made = offers(&desk, &ann.patient_id).await;
        assert_eq!((statuses(&made), &made[0]["expires_at"]), (vec!["offered"], &json!("2026-03-02T17:00:00Z")));
        for (patient, number) in [(&ann, "(303) 555-0123"), (&bob, "(202) 555-0100")] {
            let mail = last_mail(&app, &patient.email).await;
            assert!(mail.contains(number), "{number} in {mail}");
        }
    }

    async fn a_time_that_becomes_free_in_the_quiet_hours_of_its_location_is_offered_when_they_end(app: App) {
        // The first location is in New York.
        let (_, admin, desk) = (app.clinic().await, app.admin().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let denver = clinic::location(&admin, "Union Station", "America/Denver").await;
        let kind = clinic::visit_type(&admin, "Scan", 15).await;
        clinic::practitioner(&admin, "Dr. Dan Vein", &denver, &[kind.as_str()]).await;
        let visit = book_nth(&desk, &kind, 60, &bob.patient_id).await.body;
        wait_for(&desk, &ann.patient_id, &kind, &visit, json!({})).await;
        // Any time of that day.
        let entry = desk.get(&format!("{LIST}?patient_id={}", ann.patient_id)).await.items().remove(0);
        let all_day = json!({"from_time": null, "to_time": null, "practitioner_ids": [visit["practitioner_id"]]});
        desk.update(&format!("{LIST}/{}", entry["id"].as_str().expect("an id")), all_day).await.expect(200);
        let free = free_slots(&desk, &kind).await;
        let day = &visit["starts_at"].as_str().expect("a start")[..10];
        for slot in free.iter().filter(|slot| slot["starts_at"].as_str().is_some_and(|at| at.starts_with(day))) {
            let id = slot["id"].as_str().expect("an id");
            desk.post(&format!("/v1/slots/{id}/block"), json!({"reason": "Repair"})).await.expect(200);
        }
        run(&app).await;
        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        run(&app).await;
        assert!(offers(&desk, &ann.patient_id).await.is_empty());
        app.clock.advance(SignedDuration::from_hours(1));
        run(&app).await;
        let made = offers(&desk, &ann.patient_id).await;
        assert_eq!((statuses(&made), &made[0]["starts_at"]), (vec!["offered"], &visit["starts_at"]));
    }

    async fn a_patient_who_takes_an_offer_on_the_telephone_is_not_called_about_the_visit(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let mut record = patient_json("Gran", "gran@patients.example");
        record["email"] = Value::Null;
        let gran = desk.post("/v1/patients", record).await.expect(201).id();
        let slots = free_slots(&desk, &clinic.check).await;
        for (patient, slot) in [(&gran, &slots[60]), (&ann.patient_id, &slots[90])] {
            wait_for(&desk, patient, &clinic.check, slot, json!({})).await;
            run(&app).await;
        }
        let calls = async || desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!(calls().await[0]["kind"], "waitlist_offer");
        for patient in [&gran, &ann.patient_id] {
            let made = offers(&desk, patient).await;
            desk.post_empty(&of(&made[0], "/claim")).await.expect(200);
        }
        assert!(calls().await.is_empty(), "{:?}", calls().await);
        let last = app.mails_to(&ann.email).await.pop().expect("a mail");
        assert!(last.ics.is_some(), "a mail is sent all the same: {}", last.subject);
    }
}
