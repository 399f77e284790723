//! What a correction of a location's time zone does to times that were typed or told by its clock. `zones.rs` has the booked visits.

use serde_json::{Value, json};

use crate::appointments::nth;
use crate::events::until_seen;
use crate::holds::{hold, is_free};
use crate::reservations::{link, reserved, verify, visits};
use crate::support::booking::{booking, post_booking};
use crate::support::clinic::{free_slots, location};
use crate::support::people::patient_json;
use crate::support::{App, Clinic, Mail, both};
use crate::waitlist_offers::{of, offers, run, status_of, statuses, wait_for};

async fn correct(app: &App, clinic: &Clinic, zone: &str) {
    let path = format!("/v1/locations/{}", clinic.location_id);
    app.admin().await.update(&path, json!({"time_zone": zone})).await.expect(200);
}

fn span(object: &Value) -> [&str; 2] {
    ["starts_at", "ends_at"].map(|member| object[member].as_str().expect("an instant"))
}

/// The line of a mail that says when the visit is.
fn told(mail: &Mail) -> String {
    mail.text.lines().find(|line| line.starts_with("When:")).expect("a time").to_owned()
}

both! {
    async fn time_off_extra_hours_and_closures_keep_the_local_times_that_staff_typed(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let exceptions = format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id);
        let add = async |kind: &str, from: &str, to: &str, location: Value| {
            let body = json!({"kind": kind, "starts_at": from, "ends_at": to, "location_id": location, "reason": "Dentist"});
            admin.post(&exceptions, body).await.expect(201).id()
        };
        let here = json!(clinic.location_id);
        let afternoon = add("time_off", "2026-03-11T13:00:00-04:00", "2026-03-11T17:00:00-04:00", here.clone()).await;
        let saturday = add("extra_hours", "2026-03-14T09:00:00-04:00", "2026-03-14T10:00:00-04:00", here).await;
        let everywhere = add("time_off", "2026-03-12T13:00:00-04:00", "2026-03-12T17:00:00-04:00", Value::Null).await;
        let closures = format!("/v1/locations/{}/closures", clinic.location_id);
        // The first one moves to the time that the second one leaves.
        let between = |from: &str, to: &str| json!({"starts_at": format!("2026-03-13T{from}:00-04:00"), "ends_at": format!("2026-03-13T{to}:00-04:00"), "name": "Works"});
        let body = json!({"closures": [between("12:00", "13:00"), between("13:00", "14:00"), {"date": "2026-05-25", "name": "Memorial Day"}]});
        admin.post(&closures, body).await.expect(200);

        correct(&app, &clinic, "America/Chicago").await;

        let read = async |exception: &str| desk.get(&format!("/v1/exceptions/{exception}")).await;
        let moved = read(&afternoon).await;
        assert_eq!((span(&moved.body), moved.etag()), (["2026-03-11T18:00:00Z", "2026-03-11T22:00:00Z"], "\"2\"".into()));
        let opened = read(&saturday).await;
        assert_eq!(span(&opened.body), ["2026-03-14T14:00:00Z", "2026-03-14T15:00:00Z"]);
        // This is the only clock of the practitioner.
        assert_eq!(span(&read(&everywhere).await.body), ["2026-03-12T18:00:00Z", "2026-03-12T22:00:00Z"]);
        let closed = desk.get(&closures).await.items();
        let spans: Vec<_> = closed.iter().map(span).collect();
        assert_eq!(spans, [
            ["2026-03-13T17:00:00Z", "2026-03-13T18:00:00Z"],
            ["2026-03-13T18:00:00Z", "2026-03-13T19:00:00Z"],
            ["2026-05-25T05:00:00Z", "2026-05-26T05:00:00Z"],
        ]);
        // What is offered follows at once: nobody gets a time at which the practitioner is away.
        let free = async |from: &str, to: &str| {
            let slots = app.anon().get(&format!("/v1/slots?visit_type_id={}&from={from}&to={to}", clinic.check)).await.items();
            slots.len()
        };
        assert_eq!(free("2026-03-11T18:00:00Z", "2026-03-12T05:00:00Z").await, 0);
        assert_eq!(free("2026-03-11T17:00:00Z", "2026-03-11T18:00:00Z").await, 4);
        assert_eq!(free("2026-03-13T17:00:00Z", "2026-03-13T19:00:00Z").await, 0);
        assert_eq!(free("2026-03-14T00:00:00Z", "2026-03-15T00:00:00Z").await, 4);
        let events = until_seen(&desk, "exception.updated").await;
        let updated: Vec<_> = events.iter().filter(|event| event["type"] == "exception.updated").map(|event| &event["subject_id"]).collect();
        assert_eq!(updated.len(), 3);
        assert!(updated.contains(&&json!(afternoon)) && updated.contains(&&json!(saturday)), "{updated:?}");
    }

    async fn time_off_at_all_locations_stays_where_the_practitioner_has_several_clocks(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let second = location(&admin, "Elm Street", "America/New_York").await;
        let body = json!({"location_ids": [clinic.location_id, second]});
        admin.update(&format!("/v1/practitioners/{}", clinic.practitioner_id), body).await.expect(200);
        let off = json!({"kind": "time_off", "starts_at": "2026-03-12T13:00:00-04:00", "ends_at": "2026-03-12T17:00:00-04:00", "reason": "Dentist"});
        let off = admin.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), off).await.expect(201).id();
        correct(&app, &clinic, "America/Chicago").await;
        let stays = desk.get(&format!("/v1/exceptions/{off}")).await;
        assert_eq!((span(&stays.body), stays.etag()), (["2026-03-12T17:00:00Z", "2026-03-12T21:00:00Z"], "\"1\"".into()));
    }

    async fn holds_and_reservations_end_if_their_time_has_another_local_time(app: App) {
        let clinic = app.clinic().await;
        let (ann, email) = (app.patient("ann").await, "nia@patients.example");
        let slot = reserved(&app, &clinic, 9, email).await;
        let own = nth(&ann, &clinic, 20).await;
        let held = hold(&ann, &own, &clinic.check).await;
        held.expect(201);
        // A zone with the same clock changes nothing.
        correct(&app, &clinic, "America/Detroit").await;
        ann.get(&held.location()).await.expect(200);
        assert!(!is_free(&app.anon(), &slot, &clinic.check).await);

        correct(&app, &clinic, "America/Chicago").await;
        let mut body = booking(&own, &clinic.check, &ann.patient_id);
        body["hold_id"] = held.body["id"].clone();
        post_booking(&ann, body).await.problem(409, "hold_lapsed");
        // The time is free again, as another slot: who has chosen the old one was told another local time.
        let again = free_slots(&app.anon(), &clinic.check).await.into_iter().find(|free| free["starts_at"] == slot["starts_at"]);
        assert!(again.is_some_and(|again| again["id"] != slot["id"]));
        post_booking(&ann, booking(&slot, &clinic.check, &ann.patient_id)).await.problem(409, "slot_taken");
        let token = link(&app, email).await;
        let verified = verify(&app, &token).await;
        let refused = &verified.expect(200).body["not_booked"];
        assert_eq!((&refused["code"], &refused["detail"]), (&json!("hold_lapsed"), &json!("The time is not reserved any more. Choose another time.")));
        assert!(visits(&app).await.is_empty());
        let other = json!({"token": token, "slot_id": refused["next_free"][0]["id"]});
        let booked = app.anon().post("/v1/email-verifications", other).await;
        assert_eq!(booked.expect(200).body["appointment"]["promised"]["time_zone"], "America/Chicago");
    }

    async fn offers_are_withdrawn_with_the_local_time_that_their_mail_told(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let mut record = patient_json("Gran", "gran@patients.example");
        record["email"] = Value::Null;
        let gran = desk.post("/v1/patients", record).await.expect(201).id();
        let slots = free_slots(&desk, &clinic.check).await;
        let entry = wait_for(&ann, &ann.patient_id, &clinic.check, &slots[60], json!({})).await;
        wait_for(&desk, &gran, &clinic.check, &slots[90], json!({})).await;
        run(&app).await;
        let (by_mail, by_phone) = (offers(&ann, &ann.patient_id).await.remove(0), offers(&desk, &gran).await.remove(0));
        assert_eq!((&by_mail["way"], &by_phone["way"]), (&json!("mail"), &json!("phone")));

        correct(&app, &clinic, "America/Chicago").await;
        let refused = ann.post_empty(&of(&by_mail, "/claim")).await;
        assert!(["hold_lapsed", "offer_ended"].contains(&refused.expect(409).string("/code").as_str()), "{}", refused.text);
        run(&app).await;
        assert_eq!(statuses(&offers(&ann, &ann.patient_id).await)[0], "withdrawn");
        assert_eq!(statuses(&offers(&desk, &gran).await)[0], "withdrawn");
        assert_ne!(status_of(&ann, &entry).await, "booked");
        ann.post_empty(&of(&by_mail, "/claim")).await.problem(409, "offer_ended");
        desk.post_empty(&of(&by_phone, "/claim")).await.problem(409, "offer_ended");
        assert!(visits(&app).await.is_empty());
        let mails = app.mails_to(&ann.email).await;
        let withdrawn = mails.iter().find(|mail| mail.text.contains("we cannot offer this time any more")).expect("a mail");
        assert_eq!(told(withdrawn), told(&mails[0]));
        assert!(told(withdrawn).contains("New_York") || told(withdrawn).contains("EST"), "{}", told(withdrawn));
    }
}
