//! Parallel bookings and reschedules: no double booking, no deadlock.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::booking::path;
use crate::support::clinic::{free_slots, practitioner};
use crate::support::people::patient_json;
use crate::support::{App, Client, book, booking, both};

/// Records without accounts.
async fn some_patients(app: &App, count: usize) -> Vec<String> {
    let desk = app.desk().await;
    let mut ids = Vec::new();
    for n in 0..count {
        let email = format!("patient-{n}@patients.example");
        let reply = desk.post("/v1/patients", patient_json(&format!("Patient {n}"), &email)).await;
        ids.push(reply.expect(201).id());
    }
    ids
}

/// Fails if two appointments of one practitioner overlap. Returns those that are not cancelled.
async fn assert_no_overlap(desk: &Client) -> Vec<Value> {
    let all = desk.get("/v1/appointments?limit=200").await.items();
    let live: Vec<_> = all.into_iter().filter(|visit| visit["status"] != "cancelled").collect();
    for (index, one) in live.iter().enumerate() {
        for other in &live[index + 1..] {
            let apart = one["practitioner_id"] != other["practitioner_id"]
                || one["ends_at"].as_str() <= other["starts_at"].as_str()
                || other["ends_at"].as_str() <= one["starts_at"].as_str();
            assert!(apart, "{one}\n{other}");
        }
    }
    live
}

both! {
    async fn one_of_many_parallel_bookings_succeeds_and_the_others_get_the_next_free_slots(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let patients = some_patients(&app, 32).await;
        let slot = free_slots(&desk, &clinic.follow_up).await[0].clone();
        let replies = join_all(patients.iter().map(|patient| book(&desk, &slot, &clinic.follow_up, patient))).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            let next = reply.problem(409, "slot_taken")["next_free"].as_array().expect("slots").clone();
            assert!(!next.is_empty());
            assert!(next.iter().all(|other| other["starts_at"].as_str() >= slot["ends_at"].as_str()), "{next:?}");
        }
        let next = replies.iter().find(|reply| reply.status == 409).expect("a refusal").body["next_free"][0].clone();
        book(&desk, &next, &clinic.follow_up, &patients[0]).await.expect(201);
        assert_eq!(app.mails().await.len(), 2);
        assert_no_overlap(&desk).await;
    }

    async fn parallel_bookings_of_different_lengths_never_overlap(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let patients = some_patients(&app, 48).await;
        let slots = free_slots(&desk, &clinic.check).await;
        let visits = [&clinic.new_visit, &clinic.follow_up, &clinic.check];
        let replies = join_all(patients.iter().enumerate().map(|(n, patient)| {
            book(&desk, &slots[n * 5 % 8], visits[n % 3], patient)
        }))
        .await;
        for reply in &replies {
            match reply.status {
                201 => {}
                _ => drop(reply.problem(409, "slot_taken")),
            }
        }
        let booked = assert_no_overlap(&desk).await;
        assert_eq!(booked.len(), replies.iter().filter(|reply| reply.status == 201).count());
        // Two visits of an hour at the first and the fifth start leave no free start.
        assert!(booked.len() >= 2);
    }

    async fn parallel_reschedules_neither_deadlock_nor_double_book(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let other = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.new_visit]).await;
        let patients = some_patients(&app, 8).await;
        let slots = |doctor: String| {
            let (desk, visit) = (desk.clone(), clinic.new_visit.clone());
            async move { desk.get(&format!("/v1/slots?visit_type_id={visit}&practitioner_id={doctor}&limit=20")).await.items() }
        };
        let (here, there) = (slots(clinic.practitioner_id.clone()).await, slots(other).await);
        let mut visits = Vec::new();
        for (n, patient) in patients.iter().enumerate() {
            let slot = if n % 2 == 0 { &here[n * 2] } else { &there[n * 2] };
            visits.push(book(&desk, slot, &clinic.new_visit, patient).await.expect(201).body.clone());
        }
        for round in 0..4 {
            let moves = visits.iter().enumerate().flat_map(|(n, visit)| {
                let slot = if (n + round) % 2 == 0 { &there[(n * 3 + round) % 16] } else { &here[(n * 5 + round) % 16] };
                let other = if (n + round) % 2 == 0 { &here[(n * 7 + round) % 16] } else { &there[(n + round) % 16] };
                [slot, other].map(|slot| {
                    let (desk, path, body) = (desk.clone(), path(visit, "/reschedule"), json!({"slot_id": slot["id"]}));
                    async move { desk.post(&path, body).await }
                })
            });
            for reply in join_all(moves).await {
                match reply.status {
                    200 => {}
                    _ => drop(reply.problem(409, "slot_taken")),
                }
            }
            assert_eq!(assert_no_overlap(&desk).await.len(), visits.len());
        }
    }

    async fn parallel_bookings_of_one_patient_with_two_practitioners_succeed_once(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let patients = some_patients(&app, 6).await;
        let other = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let path = |doctor: &str| format!("/v1/slots?visit_type_id={}&practitioner_id={doctor}&limit=20", clinic.check);
        let here = desk.get(&path(&clinic.practitioner_id)).await.items();
        let there = desk.get(&path(&other)).await.items();
        for (n, patient) in patients.iter().enumerate() {
            let both = [&here[n], &there[n]].map(|slot| book(&desk, slot, &clinic.check, patient));
            let replies = join_all(both).await;
            assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
            replies.iter().find(|reply| reply.status != 201).expect("a refusal").problem(409, "patient_busy");
        }
    }

    async fn fifty_parallel_requests_with_one_key_book_once_and_send_one_mail(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = free_slots(&ann, &clinic.follow_up).await[0].clone();
        let body = booking(&slot, &clinic.follow_up, &ann.patient_id);
        let key = [("Idempotency-Key", "the-very-same")];
        let replies = join_all((0..50).map(|_| ann.post_with("/v1/appointments", body.clone(), &key))).await;
        let mut ids = HashSet::new();
        for reply in &replies {
            match reply.status {
                201 => drop(ids.insert((reply.id(), reply.etag(), reply.location()))),
                _ => drop(reply.problem(409, "request_in_progress")),
            }
        }
        assert_eq!(ids.len(), 1, "every 201 is the same");
        let replay = ann.post_with("/v1/appointments", body.clone(), &key).await;
        assert!(ids.contains(&(replay.expect(201).id(), replay.etag(), replay.location())));
        assert_eq!(ann.get("/v1/appointments").await.items().len(), 1);
        assert_eq!(app.mails_to(&ann.email).await.len(), 1);
        let mut other = body;
        other["note"] = json!("another request");
        ann.post_with("/v1/appointments", other, &key).await.problem(422, "idempotency_key_reused");
    }
}
