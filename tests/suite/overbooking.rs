//! Overbooking: staff place a visit into time that another visit of the practitioner takes, with a reason.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::booking::{path, post_booking};
use crate::support::clinic::{free_slots, practitioner};
use crate::support::{App, Client, Engine, Reply, book, booking, both, id};

const REASON: &str = "Wound check, five minutes";

/// Books a slot although other visits take it.
async fn overbook(client: &Client, slot: &Value, visit_type: &str, patient: &str) -> Reply {
    let mut body = booking(slot, visit_type, patient);
    body["overbook"] = json!({"reason": REASON});
    post_booking(client, body).await
}

fn has(slots: &[Value], slot: &Value) -> bool {
    slots.iter().any(|free| id(free) == id(slot))
}

both! {
    async fn staff_overbook_with_a_reason_that_the_history_the_audit_trail_and_the_agenda_have(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slot = free_slots(&desk, &clinic.follow_up).await[4].clone();
        let first = book(&desk, &slot, &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
        assert_eq!(first["overbooked"], false);
        book(&desk, &slot, &clinic.follow_up, &bob.patient_id).await.problem(409, "slot_taken");
        let second = overbook(&desk, &slot, &clinic.follow_up, &bob.patient_id).await.expect(201).body.clone();
        assert_eq!((&second["overbooked"], &second["starts_at"]), (&json!(true), &first["starts_at"]));
        assert_eq!(bob.get(&path(&second, "")).await.expect(200).body.get("overbooked"), None);
        let history = desk.get(&path(&second, "/history")).await.items();
        assert_eq!(history[0]["reason"], REASON);
        assert_eq!(bob.get(&path(&second, "/history")).await.items()[0].get("reason"), None);
        let event = admin.get("/v1/audit-events?operation=overbook_appointment").await.items().remove(0);
        assert_eq!((&event["object_id"], &event["patient_id"]), (&second["id"], &json!(bob.patient_id)));
        let listed = desk.get("/v1/appointments?overbooked=true").await.items();
        assert_eq!(listed.iter().map(id).collect::<Vec<_>>(), [id(&second)]);
        assert_eq!(desk.get("/v1/appointments?overbooked=false").await.items().len(), 1);
        bob.get("/v1/appointments?overbooked=true").await.problem(403, "role_forbidden");
        let day = &first["starts_at"].as_str().expect("a start")[..10];
        let agenda = desk.get(&format!("/v1/practitioners/{}/agenda?date={day}", clinic.practitioner_id)).await;
        let marks: Vec<_> = agenda.body["appointments"].as_array().expect("visits").iter().map(|visit| &visit["overbooked"]).collect();
        assert_eq!(marks, [false, true]);
        assert!(app.anon().get("/metrics").await.text.contains("legwork_overbookings_total 1"));
    }

    async fn patients_cannot_overbook_and_a_reason_is_required(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slot = free_slots(&desk, &clinic.follow_up).await[4].clone();
        book(&desk, &slot, &clinic.follow_up, &ann.patient_id).await.expect(201);
        overbook(&bob, &slot, &clinic.follow_up, &bob.patient_id).await.invalid("/overbook", "forbidden_field");
        let mut body = booking(&slot, &clinic.follow_up, &bob.patient_id);
        body["overbook"] = json!({"reason": " "});
        post_booking(&desk, body.clone()).await.expect(422);
        body["overbook"] = json!({"reason": "x".repeat(501)});
        post_booking(&desk, body.clone()).await.expect(422);
        body["overbook"] = json!({});
        post_booking(&desk, body).await.expect(422);
    }

    async fn only_the_rule_for_the_practitioner_is_relaxed(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let (ann, bob, eve) = (app.patient("ann").await, app.patient("bob").await, app.patient("eve").await);
        let slots = free_slots(&desk, &clinic.check).await;
        book(&desk, &slots[4], &clinic.check, &ann.patient_id).await.expect(201);
        // The patient.
        let other = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let query = format!("/v1/slots?visit_type_id={}&practitioner_id={other}&limit=20", clinic.check);
        let there = desk.get(&query).await.items();
        let same = there.iter().find(|slot| slot["starts_at"] == slots[4]["starts_at"]).expect("a slot");
        overbook(&desk, same, &clinic.check, &ann.patient_id).await.problem(409, "patient_busy");
        // A hold of another caller, and a block.
        eve.post(&format!("/v1/slots/{}/hold", id(&slots[5])), json!({"visit_type_id": clinic.check})).await.expect(201);
        overbook(&desk, &slots[5], &clinic.check, &bob.patient_id).await.problem(409, "slot_taken");
        desk.post(&format!("/v1/slots/{}/block", id(&slots[6])), json!({"reason": "meeting"})).await.expect(200);
        overbook(&desk, &slots[6], &clinic.check, &bob.patient_id).await.problem(409, "slot_taken");
        // Time outside the hours.
        let last = slots.iter().rposition(|slot| slot["starts_at"].as_str().expect("a start").contains("T21:45")).expect("the last slot");
        overbook(&desk, &slots[last], &clinic.follow_up, &bob.patient_id).await.problem(409, "slot_taken");
        // A free time is booked as usual.
        let free = overbook(&desk, &slots[8], &clinic.check, &bob.patient_id).await;
        assert_eq!(free.expect(201).body["overbooked"], false);
        assert_eq!(desk.get(&path(&free.body, "/history")).await.items()[0].get("reason"), None);
    }

    async fn the_time_of_a_visit_that_ends_passes_to_the_visit_that_shares_it(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob, eve) = (app.patient("ann").await, app.patient("bob").await, app.patient("eve").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let ill = json!({"reason": "ill"});
        for cancel_the_first in [true, false] {
            // The second visit takes the second half of the first one, and a quarter of an hour more.
            let first = book(&desk, &slots[4], &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
            let second = overbook(&desk, &slots[5], &clinic.follow_up, &bob.patient_id).await.expect(201).body.clone();
            let free = free_slots(&desk, &clinic.check).await;
            assert_eq!([4, 5, 6, 7].map(|n| has(&free, &slots[n])), [false, false, false, true]);
            let (ends, stays) = if cancel_the_first { (&first, &second) } else { (&second, &first) };
            desk.post(&path(ends, "/cancel"), ill.clone()).await.expect(200);
            let free = free_slots(&desk, &clinic.check).await;
            let taken = if cancel_the_first { [true, false, false, true] } else { [false, false, true, true] };
            assert_eq!([4, 5, 6, 7].map(|n| has(&free, &slots[n])), taken);
            book(&desk, &slots[5], &clinic.check, &eve.patient_id).await.problem(409, "slot_taken");
            desk.post(&path(stays, "/cancel"), ill.clone()).await.expect(200);
            let free = free_slots(&desk, &clinic.check).await;
            assert_eq!([4, 5, 6, 7].map(|n| has(&free, &slots[n])), [true; 4]);
        }
    }

    async fn a_visit_whose_time_no_other_one_shares_any_more_is_not_overbooked(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let (ann, bob, eve) = (app.patient("ann").await, app.patient("bob").await, app.patient("eve").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let day = slots[0]["starts_at"].as_str().expect("a start")[..10].to_owned();
        let counted = async || {
            let report = admin.get(&format!("/v1/reports/utilisation?from={day}&to={day}")).await;
            let total = report.expect(200).body["total"].clone();
            (total["booked_visits"].clone(), total["overbooked_visits"].clone())
        };
        let listed = async || {
            let all = desk.get("/v1/appointments?overbooked=true").await.items();
            all.iter().map(|visit| id(visit).to_owned()).collect::<Vec<_>>()
        };
        for (at, cancelled) in [(4, true), (8, false)] {
            let first = book(&desk, &slots[at], &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
            let second = overbook(&desk, &slots[at], &clinic.follow_up, &bob.patient_id).await.expect(201).clone();
            let path_of_second = path(&second.body, "");
            assert_eq!((listed().await, counted().await), (vec![second.id()], (json!(2), json!(1))));
            if cancelled {
                desk.post(&path(&first, "/cancel"), json!({"reason": "ill"})).await.expect(200);
            } else {
                desk.post(&path(&first, "/reschedule"), json!({"slot_id": id(&slots[12])})).await.expect(200);
            }
            let alone = desk.get(&path_of_second).await;
            assert_eq!(alone.expect(200).body["overbooked"], false);
            assert_ne!(alone.etag(), second.etag(), "the mark is a part of the visit");
            assert_eq!(listed().await, Vec::<String>::new());
            // The next one that is placed there is the one that shares the time.
            let third = overbook(&desk, &slots[at], &clinic.follow_up, &eve.patient_id).await.expect(201).body.clone();
            assert_eq!((&third["overbooked"], desk.get(&path_of_second).await.body["overbooked"].clone()), (&json!(true), json!(false)));
            assert_eq!(counted().await, (json!(if cancelled { 2 } else { 3 }), json!(1)));
            // A cancelled visit shares no time.
            for visit in [&third, &second.body] {
                let gone = desk.post(&path(visit, "/cancel"), json!({"reason": "ill"})).await;
                assert_eq!(gone.expect(200).body["overbooked"], false);
            }
            assert_eq!(listed().await, Vec::<String>::new());
        }
    }

    async fn of_visits_that_still_share_a_time_all_but_one_stay_overbooked(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut patients = Vec::new();
        for name in ["ann", "bob", "eve", "max"] {
            patients.push(app.patient(name).await.patient_id.clone());
        }
        let slots = free_slots(&desk, &clinic.check).await;
        let marked = async |visits: &[&Value]| {
            let mut marks = Vec::new();
            for visit in visits {
                marks.push(desk.get(&path(visit, "")).await.expect(200).body["overbooked"] == true);
            }
            marks
        };
        let cancel = async |visit: &Value| {
            desk.post(&path(visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        };
        // Three at the same time: the one that was booked first of those that remain has the time.
        let first = book(&desk, &slots[4], &clinic.follow_up, &patients[0]).await.expect(201).body.clone();
        let second = overbook(&desk, &slots[4], &clinic.follow_up, &patients[1]).await.expect(201).body.clone();
        let third = overbook(&desk, &slots[4], &clinic.follow_up, &patients[2]).await.expect(201).body.clone();
        cancel(&first).await;
        assert_eq!(marked(&[&second, &third]).await, [false, true]);
        cancel(&second).await;
        assert_eq!(marked(&[&third]).await, [false]);
        // One between two others shares the time of the second one when the first one is gone.
        let before = book(&desk, &slots[8], &clinic.follow_up, &patients[0]).await.expect(201).body.clone();
        let after = book(&desk, &slots[10], &clinic.follow_up, &patients[1]).await.expect(201).body.clone();
        let between = overbook(&desk, &slots[9], &clinic.follow_up, &patients[3]).await.expect(201).body.clone();
        cancel(&before).await;
        assert_eq!(marked(&[&between, &after]).await, [true, false]);
        desk.post(&path(&after, "/reschedule"), json!({"slot_id": id(&slots[14])})).await.expect(200);
        assert_eq!(marked(&[&between, &after]).await, [false, false]);
        book(&desk, &slots[10], &clinic.check, &patients[0]).await.problem(409, "slot_taken");
    }

    async fn an_overbooked_visit_moves_to_a_free_time_and_is_no_longer_marked(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let first = book(&desk, &slots[4], &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
        let second = book(&desk, &slots[8], &clinic.follow_up, &bob.patient_id).await.expect(201).body.clone();
        let shared = json!({"slot_id": id(&slots[5]), "overbook": {"reason": REASON}});
        bob.post(&path(&second, "/reschedule"), shared.clone()).await.invalid("/overbook", "forbidden_field");
        let moved = desk.post(&path(&second, "/reschedule"), shared).await;
        assert_eq!(moved.expect(200).body["overbooked"], true);
        assert_eq!(desk.get(&path(&second, "/history")).await.items()[1]["reason"], REASON);
        // The first visit cannot move within its own time without an overbooking, because the second one shares a part.
        let near = json!({"slot_id": id(&slots[5])});
        desk.post(&path(&first, "/reschedule"), near).await.problem(409, "slot_taken");
        let back = desk.post(&path(&second, "/reschedule"), json!({"slot_id": id(&slots[6])})).await;
        assert_eq!(back.expect(200).body["overbooked"], false);
        let free = free_slots(&desk, &clinic.check).await;
        assert_eq!([4, 5, 6, 7, 8].map(|n| has(&free, &slots[n])), [false, false, false, false, true]);
    }

    async fn the_database_refuses_an_unmarked_overlap_also_with_marked_visits_in_between(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut patients = Vec::new();
        for name in ["ann", "bob", "eve", "max"] {
            patients.push(app.patient(name).await.patient_id.clone());
        }
        let slots = free_slots(&desk, &clinic.check).await;
        // An hour, in it two marked quarters of an hour, and another unmarked visit after it.
        book(&desk, &slots[4], &clinic.new_visit, &patients[0]).await.expect(201);
        overbook(&desk, &slots[5], &clinic.check, &patients[1]).await.expect(201);
        overbook(&desk, &slots[6], &clinic.check, &patients[2]).await.expect(201);
        let late = book(&desk, &slots[10], &clinic.check, &patients[3]).await.expect(201).id();
        let (uuid, earlier) = match app.engine {
            Engine::Sqlite => (format!("x'{}'", late.replace('-', "")), "45 * 60000000"),
            Engine::Postgres => (format!("'{late}'"), "interval '45 minutes'"),
        };
        let place = |mark: &str| format!(
            "UPDATE appointments SET starts_at = starts_at - {earlier}, busy_from = busy_from - {earlier}, \
             ends_at = ends_at - {earlier}, busy_until = busy_until - {earlier}, overbooked = {mark} WHERE id = {uuid}"
        );
        let refused = app.site.connect().batch_execute(&place("false")).expect_err("an overlap");
        assert!(refused.to_string().contains("appointments_practitioner_overlap"), "{refused}");
        app.site.connect().batch_execute(&place("true")).expect("marked");
    }

    async fn time_off_affects_visits_that_share_the_time(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&desk, &clinic.follow_up).await;
        book(&desk, &slots[4], &clinic.follow_up, &ann.patient_id).await.expect(201);
        let second = overbook(&desk, &slots[4], &clinic.follow_up, &bob.patient_id).await.expect(201).body.clone();
        let away = json!({"kind": "time_off", "starts_at": slots[4]["starts_at"], "ends_at": slots[4]["ends_at"], "reason": "ill"});
        let reply = desk.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), away).await;
        assert_eq!(reply.expect(201).body["affected_total"], 2);
        assert_eq!(desk.get("/v1/appointments?needs_attention=true").await.items().len(), 2);
        assert!(desk.get("/v1/appointments?needs_attention=false").await.items().is_empty());
        assert_eq!(desk.get(&path(&second, "")).await.body["attention"]["reason"], "time_off");
    }

    async fn a_mark_goes_also_while_another_request_changes_that_visit(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob, eve) = (app.patient("ann").await, app.patient("bob").await, app.patient("eve").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let post = async |visit: &Value, step: &str| desk.post(&path(visit, step), json!({"reason": "ill"})).await.status;
        for _ in 0..5 {
            let first = book(&desk, &slots[4], &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
            let second = overbook(&desk, &slots[4], &clinic.follow_up, &bob.patient_id).await.expect(201).body.clone();
            let confirm = path(&second, "/confirm");
            let (cancelled, confirmed) = tokio::join!(post(&first, "/cancel"), bob.post_empty(&confirm));
            assert_eq!((cancelled, confirmed.status), (200, 200), "{}", confirmed.text);
            assert_eq!(desk.get(&path(&second, "")).await.expect(200).body["overbooked"], false);
            // The visits end in parallel, so that each one waits for what the other one has locked.
            let third = overbook(&desk, &slots[5], &clinic.follow_up, &eve.patient_id).await.expect(201).body.clone();
            assert_eq!(tokio::join!(post(&second, "/cancel"), post(&third, "/cancel")), (200, 200));
            let free = free_slots(&desk, &clinic.check).await;
            assert_eq!([4, 5, 6].map(|n| has(&free, &slots[n])), [true; 3]);
        }
    }

    async fn parallel_overbookings_and_cancellations_neither_deadlock_nor_lose_time(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut patients = Vec::new();
        for n in 0..8 {
            let body = crate::support::people::patient_json(&format!("Patient {n}"), &format!("patient-{n}@patients.example"));
            patients.push(desk.post("/v1/patients", body).await.expect(201).id());
        }
        let slots = free_slots(&desk, &clinic.check).await;
        for _ in 0..3 {
            let bookings = patients.iter().enumerate().map(|(n, patient)| overbook(&desk, &slots[4 + n % 3], &clinic.follow_up, patient));
            let visits: Vec<_> = join_all(bookings).await.iter().map(|reply| reply.expect(201).body.clone()).collect();
            let (moving, leaving) = visits.split_at(4);
            let moves = moving.iter().map(|visit| {
                let to = json!({"slot_id": id(&slots[5]), "overbook": {"reason": REASON}});
                let (desk, path) = (desk.clone(), path(visit, "/reschedule"));
                async move { desk.post(&path, to).await.status }
            });
            let ends = leaving.iter().map(|visit| {
                let (desk, path) = (desk.clone(), path(visit, "/cancel"));
                async move { desk.post(&path, json!({"reason": "ill"})).await.status }
            });
            let (moved, ended) = tokio::join!(join_all(moves), join_all(ends));
            assert!(moved.iter().chain(&ended).all(|status| *status == 200), "{moved:?} {ended:?}");
            let free = free_slots(&desk, &clinic.check).await;
            assert_eq!([4, 5, 6, 7].map(|n| has(&free, &slots[n])), [true, false, false, true]);
            for visit in moving {
                desk.post(&path(visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
            }
            let free = free_slots(&desk, &clinic.check).await;
            assert_eq!([4, 5, 6, 7].map(|n| has(&free, &slots[n])), [true; 4]);
        }
    }
}
