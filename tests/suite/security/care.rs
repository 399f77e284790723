//! Row 20: which practitioners can read clinical data, and break-glass access for the others.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::{appointments, intake_flags};
use legwork::ids::{AppointmentId, PractitionerId};
use legwork::patients::care::CLINICAL;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::audit::stored;
use crate::support::booking::book_nth;
use crate::support::clinic::{self, free_slots};
use crate::support::{App, Client, Engine, Patient, Reply, book, both};

const REASON: (&str, &str) = ("Access-Reason", "On call tonight: she telephoned");

/// Creates a draft as the patient. Returns its path.
async fn draft(ann: &Patient) -> String {
    let path = format!("/v1/patients/{}/intakes", ann.patient_id);
    ann.post(&path, json!({"form": "rls-history"})).await.expect(201).location()
}

/// Books the next free time with the clinic's practitioner. Returns the path of the appointment.
async fn visit(ann: &Patient, visit_type: &str) -> String {
    book_nth(ann, visit_type, 0, &ann.patient_id).await.location()
}

/// Creates a draft that raises a flag. Returns its path.
async fn flagged(ann: &Patient) -> String {
    let intake = draft(ann).await;
    ann.update(&intake, json!({"answers": {"safety": {"bleeding_vein": "yes"}}})).await.expect(200);
    intake
}

/// The slot of the practitioner's nth free time from now.
async fn time(who: &Client, practitioner: &str, visit_type: &str, nth: usize) -> Value {
    let slots = free_slots(who, visit_type).await;
    let mut own = slots.into_iter().filter(|slot| slot["practitioner_id"] == practitioner);
    own.nth(nth).expect("a free time")["id"].clone()
}

/// Books the practitioner's nth free time for the patient. Returns the path of the appointment.
async fn book_with(who: &Client, ann: &Patient, practitioner: &str, visit_type: &str, nth: usize) -> String {
    let slot = time(who, practitioner, visit_type, nth).await;
    book(who, &slot, visit_type, &ann.patient_id).await.expect(201).location()
}

async fn move_to(who: &Client, visit: &str, practitioner: &str, visit_type: &str, nth: usize) {
    let slot = time(who, practitioner, visit_type, nth).await;
    who.post(&format!("{visit}/reschedule"), json!({"slot_id": slot})).await.expect(200);
}

async fn cancel(who: &Client, visit: &str) {
    who.post(&format!("{visit}/cancel"), json!({"reason": "Not needed."})).await.expect(200);
}

async fn step(who: &Client, visit: &str, step: &str, headers: &[(&str, &str)]) -> Reply {
    let body = if step == "undo" { Some(json!({"reason": "A slip."})) } else { None };
    who.send(Method::POST, &format!("{visit}/{step}"), headers, body).await
}

/// The owner of the patient's one open flag.
async fn owner(app: &App, ann: &Patient) -> Value {
    let flags = app.admin().await.get(&format!("/v1/intake-flags?patient_id={}", ann.patient_id)).await.items();
    assert_eq!(flags.len(), 1, "{flags:#?}");
    flags[0]["owner_id"].clone()
}

/// The operations in the patient's access log, with the role of each caller.
async fn log(ann: &Patient) -> Vec<(String, Value)> {
    let events = ann.get(&format!("/v1/patients/{}/audit-events?limit=200", ann.patient_id)).await.items();
    events
        .into_iter()
        .map(|event| (event["operation"].as_str().expect("text").to_owned(), event["role"].clone()))
        .collect()
}

async fn summary(who: &Client, intake: &str, headers: &[(&str, &str)]) -> Reply {
    who.get_with(&format!("{intake}/summary"), headers).await
}

both! {
    async fn row_20_an_appointment_of_the_last_year_gives_access_to_the_record(app: App) {
        let clinic = app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let intake = draft(&ann).await;
        doctor.get(&intake).await.problem(403, "reason_required");
        let visit = visit(&ann, &clinic.check).await;
        doctor.get(&intake).await.expect(200);
        summary(&doctor, &intake, &[]).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24 * 360));
        doctor.get(&intake).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24 * 10));
        doctor.get(&intake).await.problem(403, "reason_required");
        // A cancelled visit establishes no care relationship.
        app.clock.set("2026-03-02T14:00:00Z".parse().expect("an instant"));
        let doctor = app.doctor().await.without_reason();
        doctor.get(&intake).await.expect(200);
        ann.post(&format!("{visit}/cancel"), json!({"reason": "I am well again."})).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
        // The schedule, the demographic record and the worklists stay accessible to all practitioners.
        for path in [format!("/v1/patients/{}", ann.patient_id), "/v1/appointments".into(), "/v1/intakes".into(), "/v1/intake-flags".into()] {
            doctor.get(&path).await.expect(200);
        }
    }

    async fn row_20_the_owner_of_an_open_flag_keeps_access_after_the_visit(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let intake = flagged(&ann).await;
        doctor.get(&intake).await.problem(403, "reason_required");
        book_with(&desk, &ann, &clinic.practitioner_id, &clinic.check, 0).await;
        assert_eq!(owner(&app, &ann).await, *clinic.practitioner_id);
        app.clock.advance(SignedDuration::from_hours(24 * 370));
        doctor.get(&intake).await.expect(200);
        let flag = doctor.get("/v1/intake-flags").await.items()[0]["id"].as_str().expect("an id").to_owned();
        doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({})).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
    }

    async fn row_20_the_list_of_a_practitioners_intakes_follows_the_care_relationship(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let doctor = app.doctor().await.without_reason();
        let list = format!("/v1/intakes?practitioner_id={}", clinic.practitioner_id);
        let listed = async |who: &Client| {
            let items = who.get(&list).await.items().into_iter();
            items.map(|item| item["patient_id"].as_str().expect("an id").to_owned()).collect::<BTreeSet<_>>()
        };
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        flagged(&ann).await;
        draft(&bob).await;
        assert!(listed(&desk).await.is_empty());
        // A visit that the practitioner placed alone counts from the check-in on.
        let alone = book_with(&doctor, &bob, &clinic.practitioner_id, &clinic.check, 2).await;
        assert!(listed(&desk).await.is_empty());
        step(&desk, &alone, "check-in", &[]).await.expect(200);
        assert_eq!(listed(&desk).await, BTreeSet::from([bob.patient_id.clone()]));
        book_with(&desk, &ann, &clinic.practitioner_id, &clinic.check, 0).await;
        assert_eq!(listed(&desk).await, BTreeSet::from([ann.patient_id.clone(), bob.patient_id.clone()]));
        app.clock.advance(SignedDuration::from_hours(24 * 370));
        assert!(listed(&app.desk().await).await.is_empty());
    }

    async fn row_20_a_practitioner_who_books_a_visit_with_themselves_has_no_access_before_the_check_in(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let doctor = app.doctor().await.without_reason();
        let own = clinic.practitioner_id.as_str();
        let ann = app.patient("ann").await;
        let intake = flagged(&ann).await;
        let visit = book_with(&doctor, &ann, own, &clinic.check, 2).await;
        doctor.get(&intake).await.problem(403, "reason_required");
        assert_eq!(owner(&app, &ann).await, Value::Null, "the visit hands no flag over");
        // Nor does a new flag, or rescheduling the same visit.
        ann.update(&intake, json!({"answers": {"safety": {"bleeding_vein": "no"}}})).await.expect(200);
        ann.update(&intake, json!({"answers": {"safety": {"bleeding_vein": "yes"}}})).await.expect(200);
        move_to(&doctor, &visit, own, &clinic.check, 3).await;
        assert_eq!(owner(&app, &ann).await, Value::Null);
        doctor.get(&intake).await.problem(403, "reason_required");
        cancel(&doctor, &visit).await;
        doctor.get(&intake).await.problem(403, "reason_required");

        // A check-in by the front desk gives access, and its undo ends it.
        let visit = book_with(&doctor, &ann, own, &clinic.check, 2).await;
        step(&desk, &visit, "check-in", &[]).await.expect(200);
        doctor.get(&intake).await.expect(200);
        assert_eq!(owner(&app, &ann).await, *own);
        step(&desk, &visit, "undo", &[]).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
        assert_eq!(owner(&app, &ann).await, Value::Null);
        // The practitioner alone needs a reason.
        step(&doctor, &visit, "check-in", &[]).await.problem(403, "reason_required");
        step(&doctor, &visit, "check-in", &[REASON]).await.expect(200);
        step(&doctor, &visit, "complete", &[]).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24 * 30));
        doctor.get(&intake).await.expect(200);
        assert_eq!(owner(&app, &ann).await, *own);
        stored(&app).await;
        let log = log(&ann).await;
        for operation in ["create_appointment", "check_in_appointment", "open_record", "get_intake"] {
            assert!(log.contains(&(operation.to_owned(), json!("practitioner"))), "{operation} in {log:#?}");
        }
    }

    async fn row_20_a_practitioner_who_moves_a_visit_to_themselves_has_no_access_before_the_check_in(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let other = clinic::practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &[&clinic.check]).await;
        let doctor = app.doctor().await.without_reason();
        let colleague = app.doctor_of(&other).await.without_reason();
        let own = clinic.practitioner_id.as_str();
        let ann = app.patient("ann").await;
        let intake = flagged(&ann).await;
        let visit = book_with(&desk, &ann, &other, &clinic.check, 2).await;
        colleague.get(&intake).await.expect(200);
        assert_eq!(owner(&app, &ann).await, *other);
        move_to(&doctor, &visit, own, &clinic.check, 4).await;
        for reader in [&doctor, &colleague] {
            reader.get(&intake).await.problem(403, "reason_required");
        }
        assert_eq!(owner(&app, &ann).await, Value::Null);
        // The front desk that moves only the time does not place it.
        move_to(&desk, &visit, own, &clinic.check, 5).await;
        doctor.get(&intake).await.problem(403, "reason_required");
        assert_eq!(owner(&app, &ann).await, Value::Null);
        // A visit placed by the patient or by the front desk gives access, also after the practitioner rescheduled it.
        move_to(&ann, &visit, own, &clinic.check, 7).await;
        doctor.get(&intake).await.expect(200);
        for practitioner in [&other, own] {
            move_to(&desk, &visit, practitioner, &clinic.check, 5).await;
        }
        doctor.get(&intake).await.expect(200);
        assert_eq!(owner(&app, &ann).await, *own);
        move_to(&doctor, &visit, own, &clinic.check, 6).await;
        doctor.get(&intake).await.expect(200);
        // A colleague who got the visit from the practitioner did not place it.
        move_to(&doctor, &visit, &other, &clinic.check, 6).await;
        colleague.get(&intake).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
        assert_eq!(owner(&app, &ann).await, *other);
    }

    async fn row_20_doctors_who_place_visits_for_each_other_read_nothing_before_the_check_in(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let other = clinic::practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &[&clinic.check]).await;
        let doctor = app.doctor().await.without_reason();
        let colleague = app.doctor_of(&other).await.without_reason();
        let ann = app.patient("ann").await;
        let intake = flagged(&ann).await;
        let visit = book_with(&doctor, &ann, &other, &clinic.check, 2).await;
        colleague.get(&intake).await.problem(403, "reason_required");
        assert_eq!(owner(&app, &ann).await, Value::Null);
        // Nor after either of them moved its time, nor by the check-in of either without a reason.
        for (mover, nth) in [(&doctor, 3), (&colleague, 2)] {
            move_to(mover, &visit, &other, &clinic.check, nth).await;
            colleague.get(&intake).await.problem(403, "reason_required");
        }
        for who in [&doctor, &colleague] {
            step(who, &visit, "check-in", &[]).await.problem(403, "reason_required");
        }
        step(&desk, &visit, "check-in", &[]).await.expect(200);
        colleague.get(&intake).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
        // Who treats the patient hands on to a colleague.
        let bob = app.patient("bob").await;
        let intake = draft(&bob).await;
        book_with(&desk, &bob, &other, &clinic.check, 6).await;
        book_with(&colleague, &bob, &clinic.practitioner_id, &clinic.check, 10).await;
        doctor.get(&intake).await.expect(200);
    }

    async fn row_20_flags_of_a_cancelled_visit_go_to_the_next_practitioner_or_lose_their_owner(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let other = clinic::practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &[&clinic.check]).await;
        let doctor = app.doctor().await.without_reason();
        let colleague = app.doctor_of(&other).await.without_reason();
        let own = clinic.practitioner_id.as_str();
        let ann = app.patient("ann").await;
        let intake = flagged(&ann).await;
        let first = book_with(&desk, &ann, own, &clinic.check, 2).await;
        let second = book_with(&desk, &ann, &other, &clinic.check, 9).await;
        let third = book_with(&doctor, &ann, own, &clinic.check, 20).await;
        assert_eq!(owner(&app, &ann).await, *own);
        cancel(&ann, &first).await;
        assert_eq!(owner(&app, &ann).await, *other);
        doctor.get(&intake).await.problem(403, "reason_required");
        // A visit that the practitioner booked does not count as the next visit.
        cancel(&ann, &second).await;
        assert_eq!(owner(&app, &ann).await, Value::Null);
        colleague.get(&intake).await.problem(403, "reason_required");
        cancel(&doctor, &third).await;

        // An acknowledged flag keeps its owner as history, which gives no access.
        let visit = book_with(&desk, &ann, own, &clinic.check, 2).await;
        let flag = doctor.get("/v1/intake-flags").await.items()[0]["id"].as_str().expect("an id").to_owned();
        doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({"note": "Called."})).await.expect(200);
        cancel(&desk, &visit).await;
        let acknowledged = admin.get("/v1/intake-flags?acknowledged=true").await.items();
        assert_eq!(acknowledged[0]["owner_id"], *own);
        doctor.get(&intake).await.problem(403, "reason_required");
        // Raised again, it has no owner until there is a visit.
        for answer in ["no", "yes"] {
            ann.update(&intake, json!({"answers": {"safety": {"bleeding_vein": answer}}})).await.expect(200);
        }
        assert_eq!(owner(&app, &ann).await, Value::Null);
        doctor.get(&intake).await.problem(403, "reason_required");
    }

    async fn row_20_the_migration_takes_who_placed_a_visit_from_the_history(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let other = clinic::practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &[&clinic.check]).await;
        let (doctor, own, check) = (app.doctor().await, clinic.practitioner_id.as_str(), clinic.check.as_str());
        let ann = app.patient("ann").await;
        flagged(&ann).await;
        let mut placed = vec![(book_with(&desk, &ann, own, check, 0).await, false)];
        let bob = app.patient("bob").await;
        flagged(&bob).await;
        placed.push((book_with(&doctor, &bob, own, check, 0).await, true));
        let cid = app.patient("cid").await;
        flagged(&cid).await;
        let called_off = book_with(&desk, &cid, own, check, 0).await;
        cancel(&desk, &called_off).await;
        // Bookings and reschedules by different callers, in turns.
        for (name, turns, expected) in [
            ("dan", vec![(&desk, &other), (&doctor, &clinic.practitioner_id)], true),
            ("eve", vec![(&doctor, &clinic.practitioner_id), (&desk, &clinic.practitioner_id)], false),
            ("fay", vec![(&desk, &clinic.practitioner_id), (&doctor, &clinic.practitioner_id)], false),
            ("gus", vec![(&doctor, &clinic.practitioner_id), (&doctor, &clinic.practitioner_id)], true),
            ("hal", vec![(&doctor, &clinic.practitioner_id), (&doctor, &other)], false),
            ("ida", vec![(&desk, &clinic.practitioner_id), (&desk, &other), (&doctor, &clinic.practitioner_id)], true),
        ] {
            let patient = app.patient(name).await;
            let mut turns = turns.into_iter();
            let (who, practitioner) = turns.next().expect("a booking");
            let visit = book_with(who, &patient, practitioner, check, 1).await;
            for (who, practitioner) in turns {
                move_to(who, &visit, practitioner, check, 1).await;
            }
            placed.push((visit, expected));
        }
        // As before this migration: a flag stays with the practitioner of the booking.
        let owner_id: PractitionerId = own.parse().expect("an id");
        app.db(move |tx| Ok(diesel::update(intake_flags::table).set(intake_flags::owner_id.eq(owner_id)).execute(tx)?)).await;
        let engine = match app.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        };
        let folder = format!("{}/migrations/{engine}/20261127000020_self_placed_visits", env!("CARGO_MANIFEST_DIR"));
        let [down, up] = ["down", "up"].map(|name| std::fs::read_to_string(format!("{folder}/{name}.sql")).expect("a migration"));
        app.db(move |tx| {
            tx.batch_execute(&down).expect("down");
            tx.batch_execute(&up).expect("up");
            Ok(())
        })
        .await;
        for (visit, expected) in placed {
            let id: AppointmentId = visit.rsplit('/').next().expect("an id").parse().expect("an id");
            let found = app.db(move |tx| Ok(appointments::table.find(id).select(appointments::self_placed).first::<bool>(tx)?)).await;
            assert_eq!(found, expected, "{visit}");
        }
        for (patient, expected) in [(&ann, json!(own)), (&bob, Value::Null), (&cid, Value::Null)] {
            assert_eq!(owner(&app, patient).await, expected);
        }
        let doctor = doctor.without_reason();
        let read = async |patient: &Patient| {
            doctor.get(&format!("/v1/patients/{}/rls-timeline", patient.patient_id)).await.status
        };
        assert_eq!((read(&ann).await, read(&bob).await, read(&cid).await), (200, 403, 403));
    }

    async fn row_20_the_worklist_shows_the_content_of_a_flag_only_with_access_to_the_intake(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let doctor = app.doctor().await.without_reason();
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let (intake, _) = (flagged(&ann).await, flagged(&bob).await);
        book_with(&desk, &bob, &clinic.practitioner_id, &clinic.check, 2).await;
        let of = |flags: Vec<Value>, patient: &Patient| {
            flags.into_iter().find(|flag| flag["patient"]["id"] == *patient.patient_id).expect("a flag")
        };
        let flags = doctor.get("/v1/intake-flags").await.items();
        let (closed, open) = (of(flags.clone(), &ann), of(flags, &bob));
        assert_eq!((&closed["urgency"], &closed["owner_id"]), (&open["urgency"], &Value::Null));
        assert!(closed["raised_at"].is_string() && closed["patient"]["display_name"].is_string(), "{closed}");
        for member in ["rule", "text", "note", "acknowledged_by"] {
            assert!(closed.get(member).is_none(), "{member} in {closed}");
        }
        assert_eq!((&open["rule"], &open["owner_id"]), (&json!("bleeding_vein"), &json!(clinic.practitioner_id)));
        assert!(open["text"].is_string(), "{open}");
        // The front desk sees the content of neither flag.
        assert!(!desk.get("/v1/intake-flags").await.text.contains("bleeding"));

        let acknowledge = format!("/v1/intake-flags/{}/acknowledge", closed["id"].as_str().expect("an id"));
        let refused = doctor.post(&acknowledge, json!({"note": "Seen."})).await;
        refused.problem(403, "reason_required");
        assert!(!refused.text.contains("bleeding"));
        summary(&doctor, &intake, &[REASON]).await.expect(200);
        let opened = of(doctor.get("/v1/intake-flags").await.items(), &ann);
        assert_eq!(opened["rule"], "bleeding_vein");
        let done = doctor.post(&acknowledge, json!({"note": "Seen."})).await;
        assert_eq!((done.expect(200).string("/rule"), done.string("/note")), ("bleeding_vein".into(), "Seen.".into()));
        app.clock.advance(SignedDuration::from_hours(13));
        let past = doctor.get("/v1/intake-flags?acknowledged=true").await.items();
        assert!(past[0].get("note").is_none() && past[0].get("rule").is_none(), "{past:#?}");
    }

    async fn row_20_a_reason_gives_access_for_twelve_hours_and_is_in_the_trail(app: App) {
        app.clinic().await;
        let (admin, doctor) = (app.admin().await, app.doctor().await.without_reason());
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let (intake, other) = (draft(&ann).await, draft(&bob).await);
        summary(&doctor, &intake, &[]).await.problem(403, "reason_required");
        summary(&doctor, &intake, &[("Access-Reason", "why")]).await.invalid("Access-Reason:", "too_short");
        summary(&doctor, &intake, &[("Access-Reason", "....... 42")]).await.invalid("Access-Reason:", "wrong_value");
        let long = "x".repeat(201);
        summary(&doctor, &intake, &[("Access-Reason", &long)]).await.invalid("Access-Reason:", "too_long");
        summary(&doctor, &intake, &[REASON]).await.expect(200);
        // Access is now granted to this practitioner, for this patient.
        summary(&doctor, &intake, &[]).await.expect(200);
        doctor.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.expect(200);
        doctor.get(&other).await.problem(403, "reason_required");
        let opened = admin.get("/v1/audit-events?operation=open_record").await.items();
        assert_eq!(opened.len(), 1, "{opened:#?}");
        assert_eq!((&opened[0]["reason"], &opened[0]["patient_id"]), (&json!(REASON.1), &json!(ann.patient_id)));
        assert_eq!(opened[0]["actor_id"], *doctor.user_id);
        let log = ann.get(&format!("/v1/patients/{}/audit-events", ann.patient_id)).await.items();
        assert!(log.iter().any(|event| event["operation"] == "open_record" && event.get("reason").is_none()), "{log:#?}");
        app.clock.advance(SignedDuration::from_hours(11));
        summary(&doctor, &intake, &[]).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(2));
        summary(&doctor, &intake, &[]).await.problem(403, "reason_required");
        // A change with a reason gives access as well, in its own transaction.
        let etag = ann.get(&intake).await.etag();
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", etag.as_str())];
        let body = || Some(json!({"answers": {"safety": {"bleeding_vein": "no"}}}));
        doctor.send(Method::PATCH, &intake, &headers, body()).await.problem(403, "reason_required");
        doctor.send(Method::PATCH, &intake, &[headers[0], headers[1], REASON], body()).await.expect(200);
        doctor.get(&intake).await.expect(200);
        assert_eq!(admin.get("/v1/audit-events?operation=open_record").await.items().len(), 2);
        // A reason gives no access to callers without permission for the record.
        bob.get_with(&intake, &[REASON]).await.problem(404, "not_found");
        app.desk().await.get_with(&format!("{intake}/summary"), &[REASON]).await.problem(403, "role_forbidden");
    }

    async fn row_20_every_clinical_operation_of_the_document_requires_a_reason(app: App) {
        let clinic = app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let intake = flagged(&ann).await;
        let intake_id = intake.rsplit('/').next().expect("an id").to_owned();
        let visit = book_with(&doctor, &ann, &clinic.practitioner_id, &clinic.check, 2).await;
        let flag = doctor.get("/v1/intake-flags").await.items()[0]["id"].clone();
        let lab = json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
        let result = app.desk().await.post(&format!("/v1/patients/{}/lab-results", ann.patient_id), lab).await.expect(201).id();
        let document: Value = serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON");
        let mut asked = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let Some(id) = operation["operationId"].as_str().filter(|id| CLINICAL.contains(id)) else { continue };
                let named = operation["parameters"].as_array().expect("parameters").iter().any(|parameter| parameter["$ref"] == "#/components/parameters/AccessReason");
                assert!(named, "{id} names no Access-Reason");
                let object = match path.split('/').nth(2).expect("a kind of object") {
                    "patients" => ann.patient_id.as_str(),
                    "appointments" => visit.rsplit('/').next().expect("an id"),
                    "intake-flags" => flag.as_str().expect("an id"),
                    "lab-results" => &result,
                    _ => &intake_id,
                };
                let body = match id {
                    "create_intake" => json!({"form": "rls-history"}),
                    "update_intake" => json!({"answers": {}}),
                    "amend_intake" => json!({"answers": {}, "reason": "A slip."}),
                    "void_intake" => json!({"reason": "A slip."}),
                    "review_intake" => json!({"mimic_review": "not_solely_explained"}),
                    "acknowledge_intake_flag" => json!({}),
                    "create_patient_access" | "create_patient_invitation" => json!({"email": "carl@example.org", "relation": "caregiver"}),
                    _ => Value::Null,
                };
                let mut headers = vec![("If-Match", "\"1\"")];
                headers.extend((method == "patch").then_some(("Content-Type", "application/merge-patch+json")));
                let method: Method = method.to_uppercase().parse().expect("a method");
                let body = (!body.is_null()).then_some(body);
                doctor.send(method, &path.replace("{id}", object).replace("{user_id}", &ann.user_id), &headers, body).await.problem(403, "reason_required");
                asked.push(id.to_owned());
            }
        }
        asked.sort();
        let mut all: Vec<_> = CLINICAL.iter().map(|id| (*id).to_owned()).collect();
        all.sort();
        assert_eq!(asked, all);
        // Each rejection is in the trail, with the patient of the record.
        let admin = app.admin().await;
        let query = format!("/v1/audit-events?patient_id={}&outcome=refused", ann.patient_id);
        stored(&app).await;
        let refused = admin.get(&query).await.items();
        assert!(refused.len() >= CLINICAL.len(), "{refused:#?}");
    }
}
