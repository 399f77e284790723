//! How much time the waitlist keeps for the entries of one account.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::{book, book_nth, path};
use crate::support::clinic::free_slots;
use crate::support::families::{person, registered, registration};
use crate::support::{App, Client, both};
use crate::waitlist_offers::{of, offers, run, wait_for};

/// Puts a patient on the waitlist for a free time, which the service offers at once.
async fn wait_for_slot(client: &Client, patient: &str, visit_type: &str, slot: &Value) {
    wait_for(client, patient, visit_type, slot, json!({})).await;
}

/// A parent with three children.
async fn family(app: &App) -> (Client, Vec<String>) {
    let rosa =
        registered(app, registration("rosa@example.org", "parent", "Rosa Example", person("Tim", "2018-07-04"))).await;
    let mut children = vec![rosa.get("/v1/me").await.string("/patients/0/id")];
    for name in ["Lea", "Kim"] {
        let mut child = person(name, "2019-07-04");
        child["relation"] = json!("parent");
        children.push(rosa.post("/v1/patients", child).await.expect(201).id());
    }
    (rosa, children)
}

async fn open(desk: &Client, patients: &[String]) -> Vec<Value> {
    let mut all = Vec::new();
    for patient in patients {
        all.extend(offers(desk, patient).await.into_iter().filter(|offer| offer["status"] == "offered"));
    }
    all
}

both! {
    async fn an_account_gets_one_offer_at_a_time_for_all_patients_that_it_put_on_the_waitlist(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (rosa, children) = family(&app).await;
        let slots = free_slots(&desk, &clinic.check).await;
        for (child, slot) in children.iter().zip([60, 70, 80]) {
            wait_for_slot(&rosa, child, &clinic.check, &slots[slot]).await;
        }
        run(&app).await;
        let first = open(&desk, &children).await;
        assert_eq!(first.len(), 1, "{first:?}");
        // Staff are not limited.
        let ann = app.patient("ann").await;
        wait_for_slot(&desk, &ann.patient_id, &clinic.check, &slots[90]).await;
        run(&app).await;
        assert_eq!(offers(&desk, &ann.patient_id).await.len(), 1);
        rosa.post_empty(&of(&first[0], "/claim")).await.expect(200);
        app.clock.advance(SignedDuration::from_mins(11));
        run(&app).await;
        assert_eq!(open(&desk, &children).await.len(), 1, "the next child's turn");
    }

    async fn nobody_who_could_not_book_is_offered_a_time(app: App) {
        let app = app.restart(&["--max-open-bookings", "2"]);
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let slots = free_slots(&desk, &clinic.check).await;
        for nth in [3, 9] {
            book_nth(&ann, &clinic.check, nth, &ann.patient_id).await;
        }
        wait_for_slot(&ann, &ann.patient_id, &clinic.check, &slots[60]).await;
        run(&app).await;
        assert!(offers(&desk, &ann.patient_id).await.is_empty());
        let visit = ann.get(&format!("/v1/appointments?patient_id={}", ann.patient_id)).await.items()[0].clone();
        ann.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        app.clock.advance(SignedDuration::from_mins(11));
        run(&app).await;
        assert_eq!(offers(&desk, &ann.patient_id).await.len(), 1);
    }

    async fn the_open_offers_of_new_accounts_at_an_address_count_like_their_holds(app: App) {
        let app = app.restart(&["--new-account-visits-per-address", "2"]);
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let mut made = 0;
        for (turn, slot) in [40, 50, 60, 70].into_iter().enumerate() {
            let email = format!("new{turn}@example.org");
            let new = registered(&app, registration(&email, "self", "New Person", person(&format!("New{turn}"), "1980-01-01"))).await;
            let patient = new.get("/v1/me").await.string("/patients/0/id");
            wait_for_slot(&new, &patient, &clinic.check, &slots[slot]).await;
            run(&app).await;
            made += offers(&desk, &patient).await.len();
            if turn == 3 {
                book(&new, &slots[80], &clinic.check, &patient).await.problem(409, "new_account_limit");
            }
        }
        assert_eq!(made, 2);
    }
}
