//! Offers of the waitlist that staff make by hand, and their withdrawal.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::booking::book;
use crate::support::clinic::free_slots;
use crate::support::{App, Client, Reply, both};
use crate::waitlist_offers::{OFFERS, of};

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

both! {
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
