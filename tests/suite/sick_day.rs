//! A sick day: the visits that it affects with times to move them to, and moving all of them at once.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::appointments::act;
use crate::resources::{chairs, free, practitioners};
use crate::support::booking::{book, book_nth, path};
use crate::support::clinic::practitioner;
use crate::support::people::patient_json;
use crate::support::visitor::{Visitor, plain};
use crate::support::{App, Client, Clinic, Reply, both};

const MOVE_ALL: &str = "/v1/appointments/reschedule";

/// Blocks the practitioner's Monday. Returns the path of the affected appointments.
async fn ill(desk: &Client, clinic: &Clinic) -> String {
    let off = json!({"kind": "time_off", "starts_at": "2026-03-02T05:00:00Z", "ends_at": "2026-03-03T05:00:00Z", "reason": "Ill"});
    let added = desk.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), off).await;
    format!("{}/affected-appointments", added.expect(201).location())
}

/// The moves of all visits to their first proposals.
fn first_choices(affected: &Reply) -> Vec<Value> {
    let visits = affected.expect(200).body["affected_appointments"].as_array().expect("visits");
    let to_first = |visit: &Value| json!({"appointment_id": visit["id"], "version": visit["version"], "slot_id": visit["proposals"][0]["id"]});
    visits.iter().map(to_first).collect()
}

async fn move_all(desk: &Client, moves: &[Value], key: &str) -> Reply {
    desk.post_with(MOVE_ALL, json!({"moves": moves}), &[("Idempotency-Key", key)]).await
}

/// Passes the time in which the mails of a request wait for each other.
fn together(app: &App) {
    app.clock.advance(jiff::SignedDuration::from_secs(3));
}

both! {
    async fn a_sick_day_is_moved_in_two_calls_and_each_patient_is_told_once(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk, admin) = (app.patient("ann").await, app.patient("bob").await, app.desk().await, app.admin().await);
        practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let mut rosa = patient_json("Rosa", "unused@patients.example");
        rosa["email"] = Value::Null;
        let rosa = desk.post("/v1/patients", rosa).await.expect(201).id();
        let mut visits = Vec::new();
        for (kind, nth, patient) in [
            (&clinic.follow_up, 0, &ann.patient_id), (&clinic.new_visit, 4, &bob.patient_id), (&clinic.follow_up, 12, &rosa),
            (&clinic.follow_up, 16, &ann.patient_id),
        ] {
            visits.push(book_nth(&desk, kind, nth, patient).await.body);
        }
        let gone = book_nth(&desk, &clinic.follow_up, 15, &bob.patient_id).await.body;
        act(&desk, &gone, "cancel").await.expect(200);
        app.mails().await;
        let (ann_has, bob_has) = (app.mails_to(&ann.email).await.len(), app.mails_to(&bob.email).await.len());

        let affected = desk.get(&ill(&desk, &clinic).await).await;
        let shown = affected.expect(200).body["affected_appointments"].as_array().expect("visits").clone();
        assert_eq!(affected.body["affected_total"], 4);
        assert_eq!(shown.iter().map(|visit| &visit["id"]).collect::<Vec<_>>(), visits.iter().map(|visit| &visit["id"]).collect::<Vec<_>>());
        let mut firsts = BTreeSet::new();
        for visit in &shown {
            let proposals = visit["proposals"].as_array().expect("times");
            assert_eq!(proposals.len(), 3, "{visit}");
            assert!(proposals.iter().all(|slot| slot["location_id"] == clinic.location_id.as_str() && slot["starts_at"].as_str() > Some("2026-03-03")));
            assert!(firsts.insert(proposals[0]["id"].to_string()), "{visit}");
        }

        let moves = first_choices(&affected);
        let moved = move_all(&desk, &moves, "sick").await;
        assert_eq!(moved.expect(200).body["not_moved"], json!([]), "{}", moved.text);
        let done = moved.body["moved"].as_array().expect("visits").clone();
        for ((visit, result), shown) in visits.iter().zip(&done).zip(&shown) {
            let now = desk.get(&path(visit, "")).await.body;
            assert_eq!((&now["starts_at"], &now["id"]), (&shown["proposals"][0]["starts_at"], &result["appointment_id"]));
            assert_eq!((&result["starts_at"], &result["ends_at"]), (&now["starts_at"], &now["ends_at"]));
        }
        assert_eq!(desk.get("/v1/appointments?needs_attention=true").await.items(), Vec::<Value>::new());
        // A repeat tells nobody again.
        let repeat = move_all(&desk, &moves, "sick").await;
        assert_eq!(repeat.expect(200).body, moved.body);
        together(&app);
        app.mails().await;
        let read = app.mails_to(&ann.email).await;
        assert_eq!(read.len(), ann_has + 1, "one mail about both visits");
        let read = read.last().expect("a mail");
        assert_eq!(read.subject, "Your 2 appointments have changed");
        for visit in [&visits[0], &visits[3]] {
            assert!(read.text.contains(visit["confirmation_code"].as_str().expect("a code")), "{}", read.text);
        }
        assert!(read.raw.contains("invite.ics") && read.raw.contains("invite-2.ics"));
        let sent = desk.get(&format!("/v1/messages?patient_id={}&status=sent", ann.patient_id)).await.items();
        assert_eq!(sent.iter().filter(|message| message["kind"] == "appointment_moved").count(), 2, "{sent:?}");
        assert_eq!(app.mails_to(&bob.email).await.len(), bob_has + 1);
        let calls = desk.get(&format!("/v1/messages?patient_id={rosa}")).await.items();
        let told: Vec<_> = calls.iter().filter(|call| call["kind"] == "appointment_moved").collect();
        assert_eq!(told.len(), 1, "{calls:?}");
        for hidden in ["Rosa", "Tester"] {
            assert!(!moved.text.contains(hidden));
        }
    }

    async fn a_patient_who_waits_while_the_practitioner_is_away_needs_attention(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let here = book_nth(&desk, &clinic.check, 4, &ann.patient_id).await.body;
        let later = book_nth(&desk, &clinic.check, 8, &bob.patient_id).await.body;
        act(&desk, &here, "check-in").await.expect(200);
        ill(&desk, &clinic).await;
        assert_eq!(desk.get(&path(&here, "")).await.body["attention"]["reason"], "time_off");
        let attention = desk.get("/v1/appointments?needs_attention=true").await.items();
        assert_eq!(attention.iter().map(|visit| visit["id"].clone()).collect::<Vec<_>>(), [here["id"].clone(), later["id"].clone()]);
        let visitor = Visitor::signed_in(app.anon(), "desk@clinic.example").await;
        for page in ["/desk", "/desk/calls"] {
            let text = plain(&visitor.get(page).await.expect(200).text);
            assert!(text.contains("the patient is here: the practitioner is away"), "{page}: {text}");
        }
        act(&desk, &here, "complete").await.expect(200);
        assert_eq!(desk.get("/v1/appointments?needs_attention=true").await.items().len(), 1);
        assert_eq!(desk.get("/v1/appointments?needs_attention=false").await.items().len(), 1);
    }

    async fn patients_who_have_checked_in_are_listed_apart_and_have_no_proposals(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let here = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let later = book_nth(&desk, &clinic.check, 8, &bob.patient_id).await.body;
        act(&desk, &here, "check-in").await.expect(200);
        // The patient still waits after the planned end.
        app.clock.advance(jiff::SignedDuration::from_mins(45));
        let path = ill(&desk, &clinic).await;
        let affected = desk.get(&path).await;
        let body = &affected.expect(200).body;
        let ids = |list: &str| body[list].as_array().expect("a list").iter().map(|visit| visit["id"].clone()).collect::<Vec<_>>();
        assert_eq!((ids("checked_in_appointments"), ids("affected_appointments")), (vec![here["id"].clone()], vec![later["id"].clone()]));
        assert_eq!(body["affected_total"], 1, "{}", affected.text);
        assert_eq!(body["checked_in_appointments"][0]["patient"]["display_name"], "ann Tester");
        assert_eq!(body["checked_in_appointments"][0].get("proposals"), None);
        act(&desk, &here, "complete").await.expect(200);
        assert_eq!(desk.get(&path).await.body["checked_in_appointments"], json!([]));
    }

    async fn a_colleague_at_the_same_time_is_proposed_first_and_then_other_days(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let bo = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let ada: Vec<Value> = free(&desk, &clinic.check, &clinic.practitioner_id).await;
        // The first time of Tuesday afternoon. Monday has free times, too, which are earlier.
        let slot = ada.iter().find(|slot| slot["starts_at"].as_str() > Some("2026-03-03T18:00:00Z")).expect("a slot");
        let visit = book(&desk, slot, &clinic.check, &app.patient("ann").await.patient_id).await.expect(201).body.clone();
        let off = json!({"kind": "time_off", "starts_at": "2026-03-03T05:00:00Z", "ends_at": "2026-03-04T05:00:00Z", "reason": "Ill"});
        let added = desk.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), off).await;
        let affected = desk.get(&format!("{}/affected-appointments", added.expect(201).location())).await;
        let proposals = affected.expect(200).body["affected_appointments"][0]["proposals"].as_array().expect("times").clone();
        assert_eq!((&proposals[0]["starts_at"], &proposals[0]["practitioner_id"]), (&visit["starts_at"], &json!(bo)));
        let days: Vec<_> = proposals.iter().map(|slot| slot["starts_at"].as_str().expect("an instant")[..10].to_owned()).collect();
        assert_eq!(days, ["2026-03-03", "2026-03-04", "2026-03-05"]);
    }

    async fn a_request_that_is_sent_several_times_at_once_tells_each_patient_once(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        for (nth, patient) in [(0, &ann.patient_id), (4, &bob.patient_id)] {
            book_nth(&desk, &clinic.follow_up, nth, patient).await;
        }
        app.mails().await;
        let told = [app.mails_to(&ann.email).await.len(), app.mails_to(&bob.email).await.len()];
        let moves = first_choices(&desk.get(&ill(&desk, &clinic).await).await);
        for reply in join_all((0..6).map(|_| move_all(&desk, &moves, "once"))).await {
            let others = reply.expect(200).body["not_moved"].as_array().expect("a list");
            assert!(others.iter().all(|one| one["code"] == "request_in_progress"), "{}", reply.text);
        }
        let repeat = move_all(&desk, &moves, "once").await;
        assert_eq!(repeat.expect(200).body["moved"].as_array().expect("a list").len(), 2);
        together(&app);
        app.mails().await;
        assert_eq!([app.mails_to(&ann.email).await.len(), app.mails_to(&bob.email).await.len()], told.map(|before| before + 1));
    }

    async fn first_choices_do_not_want_the_same_last_unit_of_a_resource(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let infusion = chairs(&admin, &clinic, 1).await.visit;
        let doctors = practitioners(&admin, &clinic, &infusion, 3).await;
        let tuesday = free(&desk, &infusion, &doctors[0]).await;
        for (nth, patient) in [(0, &ann), (2, &bob)] {
            book(&desk, &tuesday[nth], &infusion, &patient.patient_id).await.expect(201);
        }
        let off = json!({"kind": "time_off", "starts_at": "2026-03-03T05:00:00Z", "ends_at": "2026-03-04T05:00:00Z", "reason": "Ill"});
        let added = desk.post(&format!("/v1/practitioners/{}/exceptions", doctors[0]), off).await;
        let affected = desk.get(&format!("{}/affected-appointments", added.expect(201).location())).await;
        // Two doctors are free at the nearest time, and one chair.
        let starts: BTreeSet<_> = affected.expect(200).body["affected_appointments"].as_array().expect("visits").iter()
            .map(|visit| visit["proposals"][0]["starts_at"].to_string()).collect();
        assert_eq!(starts.len(), 2, "{}", affected.text);
        let moved = move_all(&desk, &first_choices(&affected), "chair").await;
        assert_eq!(moved.expect(200).body["not_moved"], json!([]), "{}", moved.text);
    }

    async fn each_move_has_its_own_result(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let visit = book_nth(&desk, &clinic.check, 4, &ann.patient_id).await.body;
        let other = book_nth(&desk, &clinic.check, 8, &bob.patient_id).await.body;
        let third = book_nth(&desk, &clinic.check, 12, &ann.patient_id).await.body;
        let slots = crate::support::clinic::free_slots(&desk, &clinic.check).await;
        let slot_of = async |visit: &Value| {
            let id: legwork::ids::AppointmentId = visit["id"].as_str().expect("an id").parse().expect("an id");
            app.db(move |tx| {
                use diesel::prelude::*;
                use legwork::db::schema::slots;
                let id: legwork::ids::SlotId = slots::table.filter(slots::appointment_id.eq(Some(id))).select(slots::id).first(tx)?;
                Ok(id.to_string())
            }).await
        };
        let to = |visit: &Value, version: i32, slot: &Value| json!({"appointment_id": visit["id"], "version": version, "slot_id": slot});
        let theirs = json!(slot_of(&other).await);
        // The first moves to where the second leaves, which works although it comes first.
        let unknown = json!({"id": clinic.check});
        let moves = [
            to(&visit, 1, &theirs), to(&other, 1, &slots[30]["id"]), to(&third, 9, &slots[40]["id"]), to(&unknown, 1, &slots[41]["id"]),
        ];
        let result = move_all(&desk, &moves, "some").await;
        let ids = |member: &str| -> Vec<Value> {
            result.body[member].as_array().expect("a list").iter().map(|one| one["appointment_id"].clone()).collect()
        };
        assert_eq!(ids("moved"), [visit["id"].clone(), other["id"].clone()], "{}", result.text);
        let codes: Vec<_> = result.body["not_moved"].as_array().expect("a list").iter().map(|one| one["code"].clone()).collect();
        assert_eq!(codes, ["stale", "not_found"]);
        assert_eq!(desk.get(&path(&third, "")).await.body["starts_at"], third["starts_at"]);
        assert_eq!(desk.get(&path(&visit, "")).await.body["starts_at"], other["starts_at"]);
        // A taken slot.
        let taken = move_all(&desk, &[to(&third, 1, &json!(slot_of(&visit).await))], "taken").await;
        assert_eq!(taken.expect(200).body["not_moved"][0]["code"], "slot_taken", "{}", taken.text);
        // The same key with another move of the same visit.
        move_all(&desk, &[to(&visit, 2, &slots[50]["id"])], "some").await.problem(422, "idempotency_key_reused");
        assert_eq!(desk.get(&path(&visit, "")).await.body["starts_at"], other["starts_at"]);
    }

    async fn moving_many_is_for_staff_and_needs_a_key_and_a_list(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let affected = ill(&desk, &clinic).await;
        ann.get(&affected).await.problem(403, "role_forbidden");
        assert_eq!(desk.get(&affected).await.expect(200).body, json!({"affected_appointments": [], "affected_total": 0, "checked_in_appointments": []}));
        let one = json!({"appointment_id": clinic.check, "version": 1, "slot_id": clinic.check});
        move_all(&ann, std::slice::from_ref(&one), "k").await.problem(403, "role_forbidden");
        desk.post(MOVE_ALL, json!({"moves": [one]})).await.invalid("Idempotency-Key:", "required");
        move_all(&desk, &[], "k").await.invalid("/moves", "out_of_range");
        move_all(&desk, &[one.clone(), one.clone()], "k").await.invalid("/moves/1/appointment_id", "duplicate");
        let many: Vec<_> = (0..101).map(|_| one.clone()).collect();
        move_all(&desk, &many, "k").await.invalid("/moves", "out_of_range");
    }
}
