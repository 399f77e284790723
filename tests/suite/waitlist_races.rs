//! Races for offered times, and offers of visits that need units of resources.

use diesel::prelude::*;
use futures_util::future::join_all;
use legwork::db::schema::{patients, waitlist_offers};
use legwork::ids::{PatientId, WaitlistOfferId};
use serde_json::{Value, json};

use crate::resources::{chairs, free, practitioners};
use crate::support::booking::{book, book_nth, path};
use crate::support::clinic::free_slots;
use crate::support::{App, Client, Reply, both};
use crate::waitlist_offers::{of, offers, run, statuses, wait_for};

/// The visits of a patient that take place at a time.
async fn visits_at(desk: &Client, patient: &str, at: &Value) -> usize {
    let visits = desk.get(&format!("/v1/appointments?patient_id={patient}&status=booked")).await.items();
    visits.iter().filter(|visit| visit["starts_at"] == *at).count()
}

fn succeeded(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.status < 300).count()
}

both! {
    async fn an_offer_of_a_record_that_was_retired_frees_its_time_and_keeps_no_others_from_theirs(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&desk, &clinic.check).await;
        wait_for(&desk, &ann.patient_id, &clinic.check, &slots[60], json!({})).await;
        run(&app).await;
        let offer: WaitlistOfferId = offers(&desk, &ann.patient_id).await[0]["id"].as_str().and_then(|id| id.parse().ok()).expect("an offer");
        let (record, now): (PatientId, _) = (ann.patient_id.parse().expect("an id"), app.env.now());
        // As a booking leaves it: the job frees the time of the offer.
        app.db(move |tx| {
            diesel::update(waitlist_offers::table.find(offer)).set(waitlist_offers::status.eq("withdrawn")).execute(tx)?;
            let retired = (patients::retired_at.eq(now), patients::version.eq(patients::version + 1));
            Ok(diesel::update(patients::table.find(record)).set(retired).execute(tx)?)
        })
        .await;
        wait_for(&desk, &bob.patient_id, &clinic.check, &slots[80], json!({})).await;
        run(&app).await;
        assert_eq!(statuses(&offers(&desk, &bob.patient_id).await), ["offered"]);
        let is_free: bool = app
            .db(move |tx| Ok(waitlist_offers::table.find(offer).select(waitlist_offers::hold_id.is_null()).first(tx)?))
            .await;
        assert!(is_free);
    }

    async fn claims_bookings_moves_and_a_withdrawal_of_one_time_have_one_winner(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (bob, carl) = (app.patient("bob").await, app.patient("carl").await);
        for (round, name) in ["ann", "bea", "dora"].into_iter().enumerate() {
            let ann = app.patient(name).await;
            let moved = book_nth(&desk, &clinic.check, 150 + round, &carl.patient_id).await.body;
            let slot = free_slots(&desk, &clinic.check).await[60 + round].clone();
            wait_for(&ann, &ann.patient_id, &clinic.check, &slot, json!({})).await;
            run(&app).await;
            let offer = offers(&ann, &ann.patient_id).await.remove(0);
            assert_eq!(offer["slot_id"], slot["id"]);
            let token = app.mails_to(&ann.email).await.pop().expect("a mail").token();
            let (claim, withdraw, moving) = (of(&offer, "/claim"), of(&offer, "/withdraw"), path(&moved, "/reschedule"));
            let (anon, link) = (app.anon(), json!({"token": token}));
            let (sessions, links, bookings, moves, withdrawals) = tokio::join!(
                join_all((0..16).map(|_| ann.post_empty(&claim))),
                join_all((0..16).map(|_| anon.post("/v1/waitlist-offer-links/claim", link.clone()))),
                join_all((0..8).map(|_| book(&desk, &slot, &clinic.check, &bob.patient_id))),
                join_all((0..8).map(|_| desk.post(&moving, json!({"slot_id": slot["id"]})))),
                // The first round has none, so that a claim wins.
                join_all((0..round * 2).map(|_| desk.post_empty(&withdraw))),
            );
            for reply in sessions.iter().chain(&links).chain(&bookings).chain(&moves).chain(&withdrawals) {
                assert!(reply.status < 300 || reply.status == 409, "{} {}", reply.status, reply.text);
            }
            let status = offers(&ann, &ann.patient_id).await.remove(0)["status"].clone();
            let mut taken = [0; 3];
            for (count, patient) in taken.iter_mut().zip([&ann, &bob, &carl]) {
                *count = visits_at(&desk, &patient.patient_id, &slot["starts_at"]).await;
            }
            let claims = succeeded(&sessions) + succeeded(&links);
            if status == "claimed" {
                assert_eq!((taken, claims, succeeded(&withdrawals)), ([1, 0, 0], 32, 0));
            } else {
                assert_eq!((status.as_str(), taken[0], claims), (Some("withdrawn"), 0, 0));
                assert!(taken[1] + taken[2] <= 1, "{taken:?}");
                assert_eq!(succeeded(&withdrawals), withdrawals.len());
            }
            assert!(round > 0 || status == "claimed");
            // The next round needs the visits at other times.
            for patient in [&bob, &carl] {
                let visits = desk.get(&format!("/v1/appointments?patient_id={}&status=booked", patient.patient_id)).await.items();
                for visit in visits {
                    desk.post(&path(&visit, "/cancel"), json!({"reason": "round"})).await.expect(200);
                }
            }
        }
    }

    async fn an_offer_keeps_a_unit_of_the_resource_that_the_visit_needs(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let chairs = chairs(&admin, &clinic, 1).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 2).await;
        // Of the same start with both practitioners, the chair lets one visit take place.
        let (first, second) = (free(&desk, &chairs.visit, &doctors[0]).await, free(&desk, &chairs.visit, &doctors[1]).await);
        let (here, there) = (first[8].clone(), second[8].clone());
        assert_eq!(here["starts_at"], there["starts_at"]);
        let taken = book(&desk, &there, &chairs.visit, &bob.patient_id).await;
        let visit = taken.expect(201).body.clone();
        let wishes = json!({"practitioner_ids": [doctors[0]]});
        wait_for(&ann, &ann.patient_id, &chairs.visit, &here, wishes).await;
        run(&app).await;
        assert!(offers(&ann, &ann.patient_id).await.is_empty(), "the chair is taken");

        // The other practitioner's visit frees the chair, so this one's time is offered, with the chair.
        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        run(&app).await;
        let made = offers(&ann, &ann.patient_id).await;
        assert_eq!((statuses(&made), &made[0]["practitioner_id"]), (vec!["offered"], &json!(doctors[0])));
        book(&desk, &there, &chairs.visit, &bob.patient_id).await.problem(409, "slot_taken");
        ann.post_empty(&of(&made[0], "/decline")).await.expect(200);
        let visit = book(&desk, &there, &chairs.visit, &bob.patient_id).await.expect(201).body.clone();
        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);

        // By hand, and claimed: the visit has the unit.
        let entry = made[0]["waitlist_entry_id"].as_str().expect("an id");
        let again = desk.post(&format!("/v1/waitlist-entries/{entry}/offers"), json!({"slot_id": here["id"]})).await;
        let claim = of(&again.expect(201).body, "/claim");
        let claims = join_all((0..8).map(|_| ann.post_empty(&claim)));
        let bookings = join_all((0..8).map(|_| book(&desk, &there, &chairs.visit, &bob.patient_id)));
        let (claims, bookings) = tokio::join!(claims, bookings);
        assert_eq!((succeeded(&claims), succeeded(&bookings)), (8, 0));
        let busy = desk.get(&format!("/v1/appointments/{}", claims[0].string("/appointment_id"))).await;
        desk.post(&path(&busy.body, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        book(&desk, &there, &chairs.visit, &bob.patient_id).await.expect(201);
    }
}
