//! Resources: rooms, devices and chairs of which a visit takes one unit for its whole working time.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::{path, post_booking};
use crate::support::clinic::{location, practitioner};
use crate::support::people::patient_json;
use crate::support::{App, Client, Clinic, book, booking, both, id};

/// A resource with units at the clinic's location, and a visit type of 30 minutes that needs it.
pub(super) struct Chairs {
    pub resource: String,
    pub visit: String,
}

pub(super) async fn chairs(admin: &Client, clinic: &Clinic, units: u32) -> Chairs {
    let body = json!({"name": "Infusion chair", "capacities": [{"location_id": clinic.location_id, "units": units}]});
    let resource = admin.post("/v1/resources", body).await.expect(201).id();
    let body = json!({
        "name": "Infusion", "public_name": "Visit", "duration_minutes": 30, "online_bookable": true, "resource_ids": [resource],
    });
    let visit = admin.post("/v1/visit-types", body).await.expect(201).id();
    Chairs { resource, visit }
}

/// Practitioners who offer a visit type and the clinic's check.
pub(super) async fn practitioners(admin: &Client, clinic: &Clinic, visit: &str, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for n in 0..count {
        all.push(practitioner(admin, &format!("Dr. {n}"), &clinic.location_id, &[visit, &clinic.check]).await);
    }
    all
}

async fn patients(desk: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let body = patient_json(&format!("Patient {n}"), &format!("patient-{n}@patients.example"));
        ids.push(desk.post("/v1/patients", body).await.expect(201).id());
    }
    ids
}

/// The free starts of a practitioner on Tuesday.
pub(super) async fn free(client: &Client, visit: &str, practitioner: &str) -> Vec<Value> {
    let day = "from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z&limit=200";
    client.get(&format!("/v1/slots?visit_type_id={visit}&practitioner_id={practitioner}&{day}")).await.items()
}

fn starts(slots: &[Value]) -> Vec<&str> {
    slots.iter().map(|slot| &slot["starts_at"].as_str().expect("a start")[11..16]).collect()
}

both! {
    async fn administrators_set_up_resources_and_staff_read_them(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let ann = app.patient("ann").await;
        let here = json!({"location_id": clinic.location_id, "units": 2});
        let made = admin.post("/v1/resources", json!({"name": "Duplex scanner", "capacities": [here]})).await;
        assert_eq!(made.expect(201).body["capacities"], json!([here]));
        let path = made.location();
        assert_eq!(desk.get(&path).await.expect(200).body, made.body);
        assert_eq!(desk.get("/v1/resources").await.items(), std::slice::from_ref(&made.body));
        ann.get(&path).await.problem(403, "role_forbidden");
        ann.get("/v1/resources").await.problem(403, "role_forbidden");
        app.anon().get("/v1/resources").await.problem(401, "unauthenticated");
        desk.post("/v1/resources", json!({"name": "X"})).await.problem(403, "role_forbidden");
        desk.patch(&path, &made.etag(), json!({"name": "X"})).await.problem(403, "role_forbidden");
        admin.patch(&path, "\"9\"", json!({"name": "X"})).await.problem(412, "stale");
        let same = admin.patch(&path, &made.etag(), json!({"capacities": [here], "name": "Duplex scanner"})).await;
        assert_eq!(same.expect(200).etag(), made.etag());
        let more = json!({"location_id": clinic.location_id, "units": 3});
        let changed = admin.patch(&path, &made.etag(), json!({"capacities": [more]})).await;
        assert_eq!(changed.expect(200).body["capacities"], json!([more]));
        let none = admin.update(&path, json!({"capacities": []})).await;
        assert_eq!(none.expect(200).body["capacities"], json!([]));
        let again = admin.update(&path, json!({"capacities": [here]})).await;
        assert_eq!(again.expect(200).body["capacities"], json!([here]));

        let wrong = json!({"name": "", "capacities": [here, here, {"location_id": clinic.check, "units": 51}]});
        let reply = admin.post("/v1/resources", wrong).await;
        reply.invalid("/name", "required").invalid("/capacities/1/location_id", "duplicate").invalid("/capacities/2/units", "out_of_range");
        let unknown = json!({"name": "X", "capacities": [{"location_id": clinic.check, "units": 1}]});
        admin.post("/v1/resources", unknown).await.invalid("/capacities/0/location_id", "unknown_reference");
        let visit = format!("/v1/visit-types/{}", clinic.check);
        admin.update(&visit, json!({"resource_ids": [clinic.check]})).await.invalid("/resource_ids/0", "unknown_reference");
        admin.update(&visit, json!({"resource_ids": [made.id(), made.id()]})).await.invalid("/resource_ids/1", "duplicate");
        let needs = admin.update(&visit, json!({"resource_ids": [made.id()]})).await;
        assert_eq!(needs.expect(200).body["resource_ids"], json!([made.id()]));
        assert_eq!(app.anon().get(&visit).await.body["resource_ids"], json!([made.id()]));
        let too_many = json!({"resource_ids": vec![made.id(); 21]});
        admin.update(&visit, too_many).await.invalid("/resource_ids", "too_many");
        let too_many = json!({"name": "X", "capacities": vec![here; 101]});
        admin.post("/v1/resources", too_many).await.invalid("/capacities", "too_many");
    }

    async fn a_visit_takes_one_unit_throughout_and_two_half_free_units_are_none(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let ann = app.patient("ann").await;
        let chairs = chairs(&admin, &clinic, 2).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 3).await;
        let people = patients(&desk, 2).await;
        let slots = free(&desk, &chairs.visit, &doctors[0]).await;
        let others = free(&desk, &chairs.visit, &doctors[1]).await;
        // 14:30 to 15:00 in the first chair, 14:45 to 15:15 in the second one.
        let first = book(&desk, &slots[2], &chairs.visit, &people[0]).await.expect(201).body.clone();
        let second = book(&desk, &others[3], &chairs.visit, &people[1]).await.expect(201).body.clone();
        let unit = |visit: &Value| visit["resources"][0]["unit"].clone();
        assert_eq!((unit(&first), unit(&second)), (json!(1), json!(2)));
        assert_eq!(first["resources"][0]["name"], "Infusion chair");

        let third = free(&ann, &chairs.visit, &doctors[2]).await;
        assert_eq!(starts(&third)[..5], ["14:00", "14:15", "15:00", "15:15", "15:30"]);
        // Another visit type of the same practitioner needs no chair.
        assert_eq!(starts(&free(&ann, &clinic.check, &doctors[2]).await)[..4], ["14:00", "14:15", "14:30", "14:45"]);
        let all = free(&ann, &clinic.check, &doctors[2]).await;
        let refused = book(&ann, &all[2], &chairs.visit, &ann.patient_id).await;
        let problem = refused.problem(409, "slot_taken");
        assert_eq!(problem["resource_id"], json!(chairs.resource));
        assert_eq!(problem["next_free"][0]["starts_at"], "2026-03-03T15:00:00Z");
        let booked = book(&ann, &third[2], &chairs.visit, &ann.patient_id).await.expect(201).body.clone();
        assert_eq!(booked["resources"][0]["resource_id"], json!(chairs.resource));
        assert_eq!(booked["resources"][0].get("unit"), None);
        let agenda = desk.get(&format!("/v1/practitioners/{}/agenda?date=2026-03-03", doctors[0])).await;
        assert_eq!(unit(&agenda.body["appointments"][0]), json!(1));

        let with = format!("/v1/appointments?resource_id={}", chairs.resource);
        book(&desk, &all[8], &clinic.check, &people[0]).await.expect(201);
        let visits: Vec<_> = desk.get(&with).await.items().iter().map(|visit| id(visit).to_owned()).collect();
        assert_eq!(visits, [id(&first), id(&second), id(&booked)]);
        ann.get(&with).await.problem(403, "role_forbidden");
    }

    async fn cancelling_and_moving_free_the_unit_and_a_lapsed_hold_does_not_keep_it(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 1).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 2).await;
        let people = patients(&desk, 2).await;
        let (mine, theirs) = (free(&desk, &chairs.visit, &doctors[0]).await, free(&desk, &chairs.visit, &doctors[1]).await);
        let visit = book(&desk, &mine[4], &chairs.visit, &people[0]).await.expect(201).body.clone();
        book(&desk, &theirs[5], &chairs.visit, &people[1]).await.problem(409, "slot_taken");
        // To a time that overlaps its own.
        desk.post(&path(&visit, "/reschedule"), json!({"slot_id": id(&mine[5])})).await.expect(200);
        book(&desk, &theirs[3], &chairs.visit, &people[1]).await.expect(201);
        let refused = desk.post(&path(&visit, "/reschedule"), json!({"slot_id": id(&mine[4])})).await;
        assert_eq!(refused.problem(409, "slot_taken")["resource_id"], json!(chairs.resource));
        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        assert!(starts(&free(&desk, &chairs.visit, &doctors[0]).await).contains(&"15:15"));

        let ann = app.patient("ann").await;
        let hold = |client: &Client, slot: &Value| {
            let (client, path) = (client.clone(), format!("/v1/slots/{}/hold", id(slot)));
            let body = json!({"visit_type_id": chairs.visit});
            async move { client.post(&path, body).await }
        };
        let held = hold(&ann, &mine[10]).await.expect(201).id();
        assert!(!starts(&free(&desk, &chairs.visit, &doctors[1]).await).contains(&"16:30"));
        hold(&desk, &theirs[10]).await.problem(409, "slot_taken");
        ann.delete(&format!("/v1/holds/{held}")).await.expect(204);
        hold(&ann, &theirs[10]).await.expect(201);
        // A patient's new hold replaces the old one, also in the same unit.
        hold(&ann, &mine[11]).await.expect(201);
        app.clock.advance(SignedDuration::from_mins(10));
        let (mine, theirs) = (free(&desk, &chairs.visit, &doctors[0]).await, free(&desk, &chairs.visit, &doctors[1]).await);
        let late = theirs.iter().find(|slot| slot["starts_at"].as_str().expect("a start").contains("T16:45")).expect("free again");
        let held = hold(&ann, late).await.expect(201).id();
        let mut body = booking(late, &chairs.visit, &ann.patient_id);
        body["hold_id"] = json!(held);
        let booked = post_booking(&ann, body).await.expect(201).body.clone();
        assert_eq!(booked["resources"][0]["name"], "Infusion chair");
        let same = mine.iter().find(|slot| slot["starts_at"] == late["starts_at"]).expect("a slot");
        book(&desk, same, &chairs.visit, &people[0]).await.problem(409, "slot_taken");
    }

    async fn a_lower_capacity_loses_no_visit_and_its_units_are_not_given_again(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 2).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 3).await;
        let people = patients(&desk, 3).await;
        let mut slots = Vec::new();
        for doctor in &doctors {
            slots.push(free(&desk, &chairs.visit, doctor).await[4].clone());
        }
        let mut visits = Vec::new();
        for n in 0..2 {
            visits.push(book(&desk, &slots[n], &chairs.visit, &people[n]).await.expect(201).body.clone());
        }
        let set = |units: u32| json!({"capacities": [{"location_id": clinic.location_id, "units": units}]});
        let resource = format!("/v1/resources/{}", chairs.resource);
        let lower = admin.update(&resource, set(1)).await;
        assert_eq!(lower.expect(200).body["affected_total"], 1);
        assert_eq!(lower.body["affected_appointments"][0]["id"], visits[1]["id"]);
        assert_eq!(lower.body["affected_appointments"][0]["patient"]["id"], json!(people[1]));
        assert_eq!(desk.get(&path(&visits[1], "")).await.body["resources"][0]["unit"], 2);
        desk.post(&path(&visits[1], "/cancel"), json!({"reason": "ill"})).await.expect(200);
        book(&desk, &slots[1], &chairs.visit, &people[1]).await.problem(409, "slot_taken");
        assert_eq!(admin.update(&resource, set(1)).await.expect(200).body["affected_total"], 0);
        admin.update(&resource, set(3)).await.expect(200);
        for n in 1..3 {
            let visit = book(&desk, &slots[n], &chairs.visit, &people[n]).await.expect(201).body.clone();
            assert_eq!(visit["resources"][0]["unit"], n + 1);
        }
        assert_eq!(admin.update(&resource, set(0)).await.expect(200).body["affected_total"], 3);
        assert!(free(&desk, &chairs.visit, &doctors[0]).await.is_empty());
        assert_eq!(desk.get("/v1/appointments?status=booked").await.items().len(), 3);
    }

    async fn a_location_without_the_resource_offers_no_visit_that_needs_it(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 1).await;
        let elsewhere = location(&admin, "Elsewhere", "America/New_York").await;
        let doctor = practitioner(&admin, "Dr. Bo Vessel", &elsewhere, &[&chairs.visit, &clinic.check]).await;
        assert!(free(&desk, &chairs.visit, &doctor).await.is_empty());
        let slot = free(&desk, &clinic.check, &doctor).await[4].clone();
        let person = patients(&desk, 1).await.remove(0);
        book(&desk, &slot, &chairs.visit, &person).await.problem(409, "slot_taken");
    }

    async fn an_overbooked_visit_still_needs_a_free_unit(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 1).await;
        let doctor = practitioners(&admin, &clinic, &chairs.visit, 1).await.remove(0);
        let people = patients(&desk, 3).await;
        let slots = free(&desk, &chairs.visit, &doctor).await;
        book(&desk, &slots[4], &chairs.visit, &people[0]).await.expect(201);
        let wish = |visit: &str, patient: &str| {
            let mut body = booking(&slots[4], visit, patient);
            body["overbook"] = json!({"reason": "urgent"});
            body
        };
        let refused = post_booking(&desk, wish(&chairs.visit, &people[1])).await;
        assert_eq!(refused.problem(409, "slot_taken")["resource_id"], json!(chairs.resource));
        // Nor is such a time offered for overbooking.
        let mut shared = Vec::new();
        for visit in [&chairs.visit, &clinic.check] {
            let query = format!("visit_type_id={visit}&practitioner_id={doctor}&date=2026-03-03");
            shared.push(desk.get(&format!("/v1/slots/taken?{query}")).await.items().iter().map(|slot| id(slot).to_owned()).collect::<Vec<_>>());
        }
        assert_eq!(shared[0], Vec::<String>::new());
        assert!(shared[1].iter().any(|slot| slot == id(&slots[4])), "{shared:?}");
        assert_eq!(post_booking(&desk, wish(&clinic.check, &people[2])).await.expect(201).body["overbooked"], true);
    }

    async fn series_over_the_same_devices_have_one_winner_for_each_time_and_do_not_wait_in_a_circle(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let (scanner, chair) = (chairs(&admin, &clinic, 1).await.visit, chairs(&admin, &clinic, 1).await.visit);
        let mut times = Vec::new();
        for n in 0..3 {
            let doctor = practitioner(&admin, &format!("Dr. {n}"), &clinic.location_id, &[&scanner, &chair]).await;
            times.push(free(&desk, &scanner, &doctor).await);
        }
        let people = patients(&desk, 12).await;
        for round in 0..4 {
            let series = |doctor: usize, first: &str, second: &str| {
                let visit = |time: usize, visit: &str| json!({"slot_id": times[doctor][time]["id"], "visit_type_id": visit});
                let visits = [visit(2 * round, first), visit(2 * round + 8, second)];
                let body = json!({"patient_id": people[3 * round + doctor], "visits": visits});
                let (desk, key) = (desk.clone(), format!("race-{round}-{doctor}"));
                async move { desk.post_with("/v1/appointment-series", body, &[("Idempotency-Key", &key)]).await }
            };
            // The first two take the devices in opposite orders at other times. The third one wants the times of the first.
            let (one, opposite, other) =
                tokio::join!(series(0, &scanner, &chair), series(1, &chair, &scanner), series(2, &scanner, &chair));
            opposite.expect(201);
            let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
            won.expect(201);
            assert_eq!(lost.problem(409, "slot_taken")["pointer"], "/visits/0/slot_id");
        }
        assert_eq!(desk.get("/v1/appointments?status=booked&limit=200").await.items().len(), 16);
    }

    async fn the_database_refuses_two_visits_in_one_unit(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 2).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 2).await;
        let people = patients(&desk, 2).await;
        for n in 0..2 {
            let slot = free(&desk, &chairs.visit, &doctors[n]).await[4].clone();
            book(&desk, &slot, &chairs.visit, &people[n]).await.expect(201);
        }
        let sql = "UPDATE resource_occupancy SET unit_id = (SELECT id FROM resource_units WHERE number = 1) \
                   WHERE unit_id = (SELECT id FROM resource_units WHERE number = 2)";
        let refused = app.site.connect().batch_execute(sql).expect_err("an overlap");
        assert!(refused.to_string().contains("resource_occupancy_overlap"), "{refused}");
    }

    async fn one_of_32_callers_gets_the_last_chair_and_the_others_get_alternatives(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 1).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 8).await;
        let people = patients(&desk, 32).await;
        let mut slots = Vec::new();
        for doctor in &doctors {
            slots.push(free(&desk, &chairs.visit, doctor).await[4].clone());
        }
        let callers = people.iter().enumerate().map(|(n, patient)| book(&desk, &slots[n % 8], &chairs.visit, patient));
        let replies = join_all(callers).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            let next = reply.problem(409, "slot_taken")["next_free"].clone();
            assert!(!next.as_array().expect("slots").is_empty());
        }
        assert_eq!(desk.get("/v1/appointments").await.items().len(), 1);
    }

    async fn bookings_moves_and_holds_over_one_scanner_neither_deadlock_nor_share_it(app: App) {
        let (admin, desk, clinic) = (app.admin().await, app.desk().await, app.clinic().await);
        let chairs = chairs(&admin, &clinic, 1).await;
        let doctors = practitioners(&admin, &clinic, &chairs.visit, 4).await;
        let people = patients(&desk, 12).await;
        let mut slots = Vec::new();
        for doctor in &doctors {
            slots.push(free(&desk, &chairs.visit, doctor).await);
        }
        let mut visits = Vec::new();
        for n in 0..4 {
            visits.push(book(&desk, &slots[n][n * 2], &chairs.visit, &people[n]).await.expect(201).body.clone());
        }
        for round in 0..4 {
            let moves = visits.iter().enumerate().map(|(n, visit)| {
                let to = json!({"slot_id": id(&slots[(n + round) % 4][(n * 3 + round * 2) % 10])});
                let (desk, path) = (desk.clone(), path(visit, "/reschedule"));
                async move { desk.post(&path, to).await }
            });
            let bookings = (4..12).map(|n| book(&desk, &slots[n % 4][(n + round) % 10], &chairs.visit, &people[n]));
            let holds = [&desk, &admin].map(|client| {
                let slot = format!("/v1/slots/{}/hold", id(&slots[round][8 - round]));
                let (client, body) = (client.clone(), json!({"visit_type_id": chairs.visit}));
                async move { client.post(&slot, body).await }
            });
            let (moved, booked, held) = tokio::join!(join_all(moves), join_all(bookings), join_all(holds));
            for reply in moved.iter().chain(&booked).chain(&held) {
                match reply.status {
                    200 | 201 => {}
                    _ => drop(reply.problem(409, "slot_taken")),
                }
            }
            let all = desk.get("/v1/appointments?status=booked&limit=200").await.items();
            for (n, one) in all.iter().enumerate() {
                for other in &all[n + 1..] {
                    let apart = one["busy_until"].as_str() <= other["busy_from"].as_str()
                        || other["busy_until"].as_str() <= one["busy_from"].as_str();
                    assert!(apart, "{one}\n{other}");
                }
            }
            for reply in booked.iter().filter(|reply| reply.status == 201) {
                desk.post(&path(&reply.body, "/cancel"), json!({"reason": "next round"})).await.expect(200);
            }
        }
    }
}
