//! Offers of the waitlist that staff make by hand, and their withdrawal.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::book;
use crate::support::clinic::free_slots;
use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, both};
use crate::waitlist_offers::{OFFERS, of, offers, run, status_of, statuses};

/// Puts a patient on the waitlist for a kind of visit in a far week, for which the service finds no time, and returns the entry.
async fn waiting(client: &Client, patient: &str, visit_type: &str) -> String {
    let entry = json!({"patient_id": patient, "visit_type_id": visit_type, "from_date": "2027-06-01"});
    client.post("/v1/waitlist-entries", entry).await.expect(201).id()
}

async fn offer(client: &Client, entry: &str, slot: &Value, way: Option<&str>) -> Reply {
    let mut body = json!({"slot_id": slot["id"]});
    if let Some(way) = way {
        body["way"] = json!(way);
    }
    client.post(&format!("/v1/waitlist-entries/{entry}/offers"), body).await
}

async fn is_free(client: &Client, visit_type: &str, slot: &Value) -> bool {
    free_slots(client, visit_type).await.iter().any(|free| free["id"] == slot["id"])
}

both! {
    async fn the_desk_offers_a_time_by_mail_and_takes_it_back(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        let entry = waiting(&ann, &ann.patient_id, &clinic.check).await;
        offer(&ann, &entry, &slot, None).await.problem(403, "role_forbidden");
        offer(&desk, "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", &slot, None).await.problem(404, "not_found");
        offer(&desk, &entry, &json!({"id": entry}), None).await.problem(409, "slot_taken");
        let made = offer(&desk, &entry, &slot, None).await;
        assert_eq!((made.expect(201).string("/way"), made.string("/status")), ("mail".into(), "offered".into()));
        let desk_id = desk.get("/v1/me").await.string("/user/id");
        assert_eq!((&made.body["starts_at"], made.string("/made_by")), (&slot["starts_at"], desk_id));
        assert_eq!(desk.get(&made.location()).await.expect(200).body, made.body);
        assert_eq!(status_of(&ann, &entry).await, "offered");
        assert!(!is_free(&desk, &clinic.check, &slot).await, "it is held");
        let other = free_slots(&desk, &clinic.check).await[80].clone();
        assert_eq!(offer(&desk, &entry, &other, None).await.problem(409, "status_conflict")["status"], 409);
        let second = waiting(&ann, &ann.patient_id, &clinic.follow_up).await;
        let twice = offer(&desk, &second, &other, None).await;
        assert_eq!(twice.problem(409, "offer_open")["waitlist_offer_id"], made.body["id"]);
        let mail = app.mails_to(&ann.email).await.pop().expect("a mail");
        assert!(mail.text.contains("/waitlist-offer#token="), "{}", mail.text);

        let withdraw = of(&made.body, "/withdraw");
        ann.post_empty(&withdraw).await.problem(403, "role_forbidden");
        for _ in 0..2 {
            assert_eq!(desk.post_empty(&withdraw).await.expect(200).string("/status"), "withdrawn");
        }
        let told: Vec<_> = app.mails_to(&ann.email).await.into_iter().map(|mail| mail.subject).collect();
        assert_eq!(told.len(), 2, "the offer, and once that it is withdrawn: {told:?}");
        assert!(told[1].contains("is not offered any more"), "{told:?}");
        assert_eq!(status_of(&ann, &entry).await, "waiting");
        assert!(is_free(&desk, &clinic.check, &slot).await);
        ann.post_empty(&of(&made.body, "/claim")).await.problem(409, "offer_ended");
        let view = app.anon().post("/v1/waitlist-offer-links/view", json!({"token": mail.token()})).await;
        assert_eq!((view.expect(200).string("/status"), &view.body["is_waiting"]), ("withdrawn".into(), &json!(true)));
        run(&app).await;
        assert_eq!(statuses(&offers(&ann, &ann.patient_id).await), ["withdrawn"]);

        // It can be offered again, and is claimed like any offer.
        let again = offer(&desk, &entry, &slot, Some("mail")).await;
        ann.post_empty(&of(&again.expect(201).body, "/claim")).await.expect(200);
        desk.post_empty(&of(&again.body, "/withdraw")).await.problem(409, "offer_ended");
    }

    async fn the_desk_offers_a_time_on_the_telephone_without_a_message(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut record = patient_json("Gran", "gran@patients.example");
        record["email"] = Value::Null;
        let gran = desk.post("/v1/patients", record).await.expect(201).id();
        let slots = free_slots(&desk, &clinic.check).await;
        let entry = waiting(&desk, &gran, &clinic.check).await;
        offer(&desk, &entry, &slots[60], Some("mail")).await.problem(409, "no_address");
        // In an hour: a patient could not book it at the end of an offer.
        let made = offer(&desk, &entry, &slots[2], None).await;
        assert_eq!(made.expect(201).string("/way"), "phone");
        desk.post_empty(&of(&made.body, "/withdraw")).await.expect(200);
        let made = offer(&desk, &entry, &slots[3], Some("phone")).await;
        let claimed = desk.post_empty(&of(&made.expect(201).body, "/claim")).await;
        assert!(claimed.expect(200).body["appointment_id"].is_string());
        let messages = desk.get(&format!("/v1/messages?patient_id={gran}")).await.items();
        assert!(messages.iter().all(|message| message["kind"] == "appointment_booked"), "{messages:?}");

        let ann = app.patient("ann").await;
        let entry = waiting(&desk, &ann.patient_id, &clinic.check).await;
        offer(&desk, &entry, &slots[5], None).await.problem(409, "slot_past");
        let made = offer(&desk, &entry, &slots[5], Some("phone")).await;
        desk.post_empty(&of(&made.expect(201).body, "/withdraw")).await.expect(200);
        assert!(app.mails_to(&ann.email).await.is_empty(), "a patient who was called gets no mail");
        let made = offer(&desk, &entry, &slots[60], Some("phone")).await;
        made.expect(201);
        app.clock.advance(SignedDuration::from_hours(3));
        desk.post_empty(&of(&made.body, "/withdraw")).await.problem(409, "offer_lapsed");
    }

    async fn a_repeat_with_the_same_key_makes_one_offer_and_staff_at_once_make_one_too(app: App) {
        let (clinic, ann, bob, desk) = (app.clinic().await, app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let entry = waiting(&desk, &ann.patient_id, &clinic.check).await;
        let path = format!("/v1/waitlist-entries/{entry}/offers");
        let ask = || desk.post_with(&path, json!({"slot_id": slots[60]["id"]}), &[("Idempotency-Key", "once")]);
        let (first, second) = (ask().await, ask().await);
        assert_eq!(first.expect(201).text, second.expect(201).text);
        desk.post_empty(&of(&first.body, "/withdraw")).await.expect(200);

        // Eight times for one patient, and one time for two patients, all at once.
        let other = waiting(&desk, &bob.patient_id, &clinic.check).await;
        let to_ann = join_all((0..8).map(|nth| offer(&desk, &entry, &slots[60 + nth], None)));
        let to_bob = join_all((0..8).map(|_| offer(&desk, &other, &slots[60], None)));
        let (to_ann, to_bob) = tokio::join!(to_ann, to_bob);
        let made = |replies: &[Reply]| replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(made(&to_ann), 1);
        assert!(made(&to_bob) <= 1);
        assert!(to_ann.iter().chain(&to_bob).all(|reply| [201, 409].contains(&reply.status.into())));
        let open = desk.get(&format!("{OFFERS}?status=offered")).await.items();
        assert_eq!(open.len(), made(&to_ann) + made(&to_bob));
        if let [one, two] = &open[..] {
            assert!(one["patient_id"] != two["patient_id"] && one["slot_id"] != two["slot_id"]);
        }
        for open in &open {
            book(&desk, &open["slot_id"], &clinic.check, &bob.patient_id).await.problem(409, "slot_taken");
        }
    }
}
