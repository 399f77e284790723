//! Series: visits that are booked together, all or nothing, with days between them.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::booking::path;
use crate::support::people::patient_json;
use crate::support::{App, Client, Clinic, Reply, book, both, id};

async fn post(client: &Client, patient: &str, visits: &[Value]) -> Reply {
    static KEYS: AtomicU32 = AtomicU32::new(0);
    let key = format!("series-{}", KEYS.fetch_add(1, Ordering::Relaxed));
    let body = json!({"patient_id": patient, "visits": visits, "note": "I come with a walker."});
    client.post_with("/v1/appointment-series", body, &[("Idempotency-Key", &key)]).await
}

/// The free starts of a check on a day.
async fn on(client: &Client, clinic: &Clinic, date: &str) -> Vec<Value> {
    client.get(&format!("/v1/slots?visit_type_id={}&date={date}&limit=200", clinic.check)).await.items()
}

fn visit(slot: &Value, clinic: &Clinic, gap: Option<(u32, u32)>) -> Value {
    let mut visit = json!({"slot_id": slot["id"], "visit_type_id": clinic.check});
    if let Some((least, most)) = gap {
        (visit["min_gap_days"], visit["max_gap_days"]) = (json!(least), json!(most));
    }
    visit
}

/// Three weekly visits, from Tuesday on at nine.
async fn weekly(client: &Client, clinic: &Clinic) -> Vec<Value> {
    let mut visits = Vec::new();
    for date in ["2026-03-03", "2026-03-10", "2026-03-17"] {
        let gap = (!visits.is_empty()).then_some((6, 8));
        visits.push(visit(&on(client, clinic, date).await[0], clinic, gap));
    }
    visits
}

async fn count(client: &Client) -> usize {
    client.get("/v1/appointments?limit=200").await.items().iter().filter(|one| one["status"] != "cancelled").count()
}

both! {
    async fn a_series_is_booked_in_one_step_with_a_mail_for_each_visit(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann, bob) = (app.desk().await, app.patient("ann").await, app.patient("bob").await);
        let visits = weekly(&ann, &clinic).await;
        let mails = app.mails().await.len();
        let made = post(&ann, &ann.patient_id, &visits).await;
        made.expect(201);
        assert_eq!(made.location(), format!("/v1/appointment-series/{}", made.id()));
        let read = ann.get(&made.location()).await;
        assert_eq!((read.expect(200).etag(), &read.body), (made.etag(), &made.body));
        let booked = made.body["visits"].as_array().expect("visits");
        let gaps: Vec<_> = booked.iter().map(|visit| visit["gap_days"].clone()).collect();
        assert_eq!((gaps, &made.body["warnings"]), (vec![Value::Null, json!(7), json!(7)], &json!([])));
        for (visit, wanted) in booked.iter().zip(&visits) {
            let appointment = &visit["appointment"];
            assert_eq!((&appointment["series_id"], &appointment["note"]), (&made.body["id"], &json!("I come with a walker.")));
            assert_eq!(visit["min_gap_days"].as_u64(), Some(wanted["min_gap_days"].as_u64().unwrap_or(0)));
            assert_eq!(ann.get(&path(appointment, "")).await.body["series_id"], made.body["id"]);
        }
        // Each visit has its own invitation.
        assert_eq!(app.mails().await.len(), mails + 3);
        let list = desk.get(&format!("/v1/appointments?series_id={}&sort=-starts_at", made.id())).await.items();
        let ids: Vec<_> = list.iter().rev().map(id).collect();
        assert_eq!(ids, booked.iter().map(|visit| id(&visit["appointment"])).collect::<Vec<_>>());
        // Another patient sees nothing of it.
        bob.get(&made.location()).await.problem(404, "not_found");
        assert!(bob.get(&format!("/v1/appointments?series_id={}", made.id())).await.items().is_empty());
        post(&bob, &ann.patient_id, &visits).await.problem(404, "not_found");
        app.anon().get(&made.location()).await.problem(401, "unauthenticated");
    }

    async fn a_series_with_one_time_that_is_gone_books_nothing_and_names_the_visit(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann, bob) = (app.desk().await, app.patient("ann").await, app.patient("bob").await);
        let visits = weekly(&ann, &clinic).await;
        book(&bob, &visits[2]["slot_id"], &clinic.check, &bob.patient_id).await.expect(201);
        let (before, mails) = (count(&desk).await, app.mails().await.len());
        let refused = post(&ann, &ann.patient_id, &visits).await;
        refused.problem(409, "slot_taken");
        assert_eq!(refused.body["pointer"], "/visits/2/slot_id");
        assert!(refused.body["next_free"].as_array().expect("slots").len() > 2);
        // A hold that the caller does not have, and a visit type that does not exist.
        let mut with_hold = visits[..2].to_vec();
        with_hold[1]["hold_id"] = json!(clinic.check);
        assert_eq!(post(&ann, &ann.patient_id, &with_hold).await.problem(409, "hold_lapsed")["pointer"], "/visits/1/hold_id");
        let mut unknown = visits[..2].to_vec();
        unknown[1]["visit_type_id"] = json!(clinic.location_id);
        post(&ann, &ann.patient_id, &unknown).await.invalid("/visits/1/visit_type_id", "unknown_reference");
        // The same time twice is one time.
        let mut twice = vec![visits[0].clone(), visits[0].clone()];
        twice[1]["min_gap_days"] = json!(0);
        assert_eq!(post(&ann, &ann.patient_id, &twice).await.problem(409, "series_gap")["pointer"], "/visits/1/slot_id");
        assert_eq!((count(&desk).await, app.mails().await.len()), (before, mails));

        let key = [("Idempotency-Key", "once")];
        let body = json!({"patient_id": ann.patient_id, "visits": visits[..2]});
        let first = ann.post_with("/v1/appointment-series", body.clone(), &key).await;
        assert_eq!(first.expect(201).body, ann.post_with("/v1/appointment-series", body.clone(), &key).await.expect(201).body);
        ann.post("/v1/appointment-series", body).await.problem(422, "validation_failed");
        assert_eq!(count(&desk).await, before + 2);
    }

    async fn the_input_of_a_series_is_checked(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let visits = weekly(&ann, &clinic).await;
        let with = |member: &str, value: Value, index: usize| {
            let mut visits = visits.clone();
            visits[index][member] = value;
            visits
        };
        post(&ann, &ann.patient_id, &visits[..1]).await.invalid("/visits", "too_few");
        post(&ann, &ann.patient_id, &vec![visits[0].clone(); 21]).await.invalid("/visits", "too_many");
        post(&ann, &ann.patient_id, &with("min_gap_days", json!(1), 0)).await.invalid("/visits/0/min_gap_days", "forbidden_field");
        post(&ann, &ann.patient_id, &with("min_gap_days", json!(9), 1)).await.invalid("/visits/1/max_gap_days", "out_of_range");
        post(&ann, &ann.patient_id, &with("max_gap_days", json!(731), 1)).await.invalid("/visits/1/max_gap_days", "out_of_range");
        let wide = post(&ann, &ann.patient_id, &with("max_gap_days", json!(6), 2)).await;
        wide.problem(409, "series_gap");
        assert_eq!((&wide.body["pointer"], &wide.body["gap_days"], &wide.body["max_gap_days"]),
            (&json!("/visits/2/slot_id"), &json!(7), &json!(6)));
        let mut back = visits.clone();
        back.swap(1, 2);
        post(&ann, &ann.patient_id, &back).await.problem(409, "series_gap");
        assert_eq!(count(&ann).await, 0);
        // The patient's limit counts each visit: four are allowed.
        let mut many = visits.clone();
        for date in ["2026-03-18", "2026-03-19"] {
            many.push(visit(&on(&ann, &clinic, date).await[0], &clinic, None));
        }
        let refused = post(&ann, &ann.patient_id, &many).await;
        assert_eq!(refused.problem(409, "booking_limit")["pointer"], "/visits/4/slot_id");
        assert_eq!(count(&ann).await, 0);
    }

    async fn a_visit_of_a_series_moves_within_its_gaps_and_staff_may_ignore_them(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let made = post(&ann, &ann.patient_id, &weekly(&ann, &clinic).await).await;
        let second = made.expect(201).body["visits"][1]["appointment"].clone();
        let to = |slot: &Value| json!({"slot_id": slot["id"]});
        let (near, far) = (on(&ann, &clinic, "2026-03-11").await, on(&ann, &clinic, "2026-03-12").await);
        let moved = ann.post(&path(&second, "/reschedule"), to(&near[3])).await;
        assert!(moved.expect(200).body.get("warnings").is_none());
        let refused = ann.post(&path(&second, "/reschedule"), to(&far[3])).await;
        refused.problem(409, "series_gap");
        assert_eq!((&refused.body["gap_days"], &refused.body["min_gap_days"], &refused.body["max_gap_days"]), (&json!(9), &json!(6), &json!(8)));
        let mut ignoring = to(&far[3]);
        ignoring["ignore_gaps"] = json!(true);
        ann.post(&path(&second, "/reschedule"), ignoring.clone()).await.invalid("/ignore_gaps", "forbidden_field");
        desk.post(&path(&second, "/reschedule"), to(&far[3])).await.problem(409, "series_gap");
        let moved = desk.post(&path(&second, "/reschedule"), ignoring).await;
        let warnings = moved.expect(200).body["warnings"].as_array().expect("warnings").clone();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!((&warnings[0]["appointment_id"], &warnings[0]["gap_days"]), (&second["id"], &json!(9)));
        assert_eq!(desk.get(&made.location()).await.body["warnings"], json!(warnings));

        // Cancelling one leaves the others. The gap to the visit before it is too long then.
        let cancelled = desk.post(&path(&second, "/cancel"), json!({"reason": "Travelling"})).await;
        let warnings = &cancelled.expect(200).body["warnings"];
        assert_eq!((&warnings[0]["gap_days"], &warnings[0]["max_gap_days"]), (&json!(14), &json!(8)));
        let series = ann.get(&made.location()).await;
        let statuses: Vec<_> = series.body["visits"].as_array().expect("visits").iter().map(|visit| visit["appointment"]["status"].clone()).collect();
        assert_eq!(statuses, ["booked", "cancelled", "booked"]);
        assert_ne!(series.etag(), made.etag());
    }

    async fn series_and_bookings_over_the_same_times_have_one_winner_each_and_no_deadlock(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let mut patients = Vec::new();
        for number in 0..6 {
            let mut body = patient_json("Racer", &format!("racer{number}@patients.example"));
            body["phone"] = json!(format!("+120255501{number:02}"));
            patients.push(desk.post("/v1/patients", body).await.expect(201).id());
        }
        for round in 0..4 {
            let days = ["2026-03-03", "2026-03-10", "2026-03-17"];
            let mut slots = Vec::new();
            for date in days {
                slots.push(on(&desk, &clinic, date).await);
            }
            // Two times a day. Each series takes one of them on each day, in a mixed order, so that every two of them meet.
            let visits = |choice: [usize; 3]| -> Vec<Value> {
                days.iter().enumerate().map(|(day, _)| visit(&slots[day][choice[day]], &clinic, None)).collect()
            };
            let series = [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 1]].map(visits);
            let before = count(&desk).await;
            let mut races = Vec::new();
            for (number, visits) in series.iter().enumerate() {
                races.push(post(&desk, &patients[number], visits));
            }
            let single = async { book(&desk, &slots[round % 3][0], &clinic.check, &patients[4]).await };
            let (replies, single) = tokio::join!(join_all(races), single);
            let won = replies.iter().filter(|reply| reply.status == 201).count();
            for reply in &replies {
                if reply.status != 201 {
                    reply.problem(409, "slot_taken");
                    assert!(reply.body["pointer"].as_str().expect("a pointer").starts_with("/visits/"));
                }
            }
            assert!(single.status == 201 || single.body["code"] == "slot_taken", "{} {}", single.status, single.text);
            assert!(won + usize::from(single.status == 201) > 0);
            // All or nothing.
            assert_eq!(count(&desk).await, before + won * 3 + usize::from(single.status == 201));
        }
    }
}
