//! Schedule changes that meet holds, blocks, bookings and reschedules.

use futures_util::future::{join, join_all};
use serde_json::json;

use crate::plans::{TUESDAY, a_busy_week, add_exception, at, attention, free, ids, register, starts, time_off};
use crate::support::clinic::practitioner;
use crate::support::{App, book, both, id};

both! {
    async fn time_off_ends_a_hold_on_its_times(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free(&ann, &clinic.practitioner_id, &clinic.follow_up, TUESDAY).await;
        let slot = at(&slots, "2026-03-03T14:00:00Z").clone();
        let path = format!("/v1/slots/{}/hold", id(&slot));
        let hold = ann.post(&path, json!({"visit_type_id": clinic.follow_up})).await.expect(201).string("/id");
        // It begins in the middle of the held time.
        let off = add_exception(&desk, &clinic.practitioner_id, time_off(("2026-03-03T14:15:00Z", "2026-03-03T16:00:00Z"))).await.expect(201).location();
        let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.follow_up, "patient_id": ann.patient_id, "hold_id": hold});
        let lapsed = ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "h")]).await;
        assert_eq!(lapsed.problem(409, "hold_lapsed")["next_free"][0]["starts_at"], "2026-03-03T16:00:00Z");
        book(&ann, &slot, &clinic.follow_up, &ann.patient_id).await.problem(409, "slot_taken");
        // The remaining time is free again, and the rest returns with the time off's deletion.
        book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201);
        desk.delete(&off).await.expect(200);
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.len(), 31);
    }

    async fn booking_a_time_that_is_gone_since_the_search_gets_alternatives(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free(&ann, &clinic.practitioner_id, &clinic.follow_up, TUESDAY).await;
        let (slot, kept) = (at(&slots, "2026-03-03T14:00:00Z").clone(), at(&slots, "2026-03-03T18:00:00Z").clone());
        let visit = book(&ann, &kept, &clinic.follow_up, &ann.patient_id).await.expect(201).location();
        add_exception(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await.expect(201);
        let first = free(&ann, &clinic.practitioner_id, &clinic.follow_up, ("2026-03-02T00:00:00Z", "2026-03-06T00:00:00Z")).await.remove(0);
        let hold = format!("/v1/slots/{}/hold", id(&slot));
        for refused in [
            book(&ann, &slot, &clinic.follow_up, &ann.patient_id).await,
            ann.post(&hold, json!({"visit_type_id": clinic.follow_up})).await,
            ann.post(&format!("{visit}/reschedule"), json!({"slot_id": slot["id"]})).await,
        ] {
            let problem = refused.problem(409, "slot_taken");
            assert_eq!(problem["next_free"][0], first);
            assert_eq!(problem["next_free"].as_array().map(Vec::len), Some(5));
        }
        // Access is checked first: another patient's visit is not found.
        let bob = app.patient("bob").await;
        bob.post(&format!("{visit}/reschedule"), json!({"slot_id": slot["id"]})).await.problem(404, "not_found");
        book(&bob, &slot, &clinic.follow_up, &ann.patient_id).await.problem(404, "not_found");
    }

    async fn a_block_outlives_time_off_and_can_be_lifted_during_it(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await;
        let (one, two) = (id(&slots[0]), id(&slots[1]));
        for slot in [one, two] {
            desk.post(&format!("/v1/slots/{slot}/block"), json!({"reason": "meeting"})).await.expect(200);
        }
        let off = add_exception(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await.expect(201).location();
        desk.post_empty(&format!("/v1/slots/{one}/unblock")).await.expect(200);
        assert!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.is_empty());
        desk.delete(&off).await.expect(200);
        let back = free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await;
        assert_eq!((back.len(), starts(&back)[0], starts(&back)[1]), (31, "2026-03-03T14:00:00Z", "2026-03-03T14:30:00Z"));
    }

    async fn a_booking_that_races_time_off_is_rejected_or_needs_attention(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let mut patients = Vec::new();
        for n in 0..16 {
            patients.push(register(&desk, &format!("Racer {n}"), "1970-01-01", "+12025550100", &format!("racer{n}@patients.example")).await);
        }
        for (round, day) in ["2026-03-03", "2026-03-04", "2026-03-05"].into_iter().enumerate() {
            let (from, to) = (format!("{day}T10:00:00Z"), format!("{day}T23:30:00Z"));
            let window = (from.as_str(), to.as_str());
            let slots = free(&desk, &clinic.practitioner_id, &clinic.check, window).await;
            let bookings = join_all(patients.iter().enumerate().map(|(n, patient)| {
                book(&desk, &slots[(n * 3 + round) % 29], if n % 2 == 0 { &clinic.follow_up } else { &clinic.check }, patient)
            }));
            let (added, replies) = join(add_exception(&desk, &clinic.practitioner_id, time_off(window)), bookings).await;
            added.expect(201);
            let mut booked = Vec::new();
            for reply in &replies {
                match reply.status {
                    201 => booked.push(reply.id()),
                    404 => drop(reply.problem(404, "not_found")),
                    _ => drop(reply.problem(409, "slot_taken")),
                }
            }
            booked.sort();
            let path = format!("/v1/appointments?needs_attention=true&from={from}&to={to}");
            let mut listed = ids(&desk.get(&path).await.body["items"]);
            listed.sort();
            assert_eq!(listed, booked);
            assert_eq!(added.body["affected_total"], listed.len());
            assert!(free(&desk, &clinic.practitioner_id, &clinic.check, window).await.is_empty());
            desk.delete(&added.location()).await.expect(200);
            assert!(desk.get(&path).await.items().is_empty());
        }
    }

    async fn schedule_changes_and_parallel_reschedules_do_not_deadlock(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let other = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.follow_up]).await;
        let visits = a_busy_week(&app, &clinic).await;
        let week = ("2026-03-03T00:00:00Z", "2026-03-06T00:00:00Z");
        let (here, there) = (
            free(&desk, &clinic.practitioner_id, &clinic.follow_up, week).await,
            free(&desk, &other, &clinic.follow_up, week).await,
        );
        let plans = async {
            for n in 0..4 {
                let path = format!("/v1/locations/{}/closures", clinic.location_id);
                let closed = admin.post(&path, json!({"closures": [{"date": "2026-03-05", "name": "Thursday"}]})).await;
                let id = closed.expect(200).string("/items/0/id");
                let off = add_exception(&desk, if n % 2 == 0 { &other } else { &clinic.practitioner_id }, time_off(TUESDAY)).await;
                admin.delete(&format!("/v1/closures/{id}")).await.expect(204);
                desk.delete(&off.expect(201).location()).await.expect(200);
            }
        };
        let moves = join_all(visits.iter().enumerate().map(|(n, visit)| {
            let (desk, here, there) = (&desk, &here, &there);
            async move {
                let path = format!("/v1/appointments/{}/reschedule", id(visit));
                for step in 0..8 {
                    let slots = if (n + step) % 2 == 0 { there } else { here };
                    let reply = desk.post(&path, json!({"slot_id": slots[(n * 11 + step * 17) % slots.len()]["id"]})).await;
                    assert!(matches!(reply.status, 200 | 404 | 409), "{}", reply.text);
                }
            }
        }));
        join(plans, moves).await;
        assert!(attention(&desk).await.is_empty(), "all plans are as they were");
    }
}
