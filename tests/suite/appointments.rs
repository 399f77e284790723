//! Booking appointments, and reading them.

use std::collections::HashSet;

use base64::Engine as _;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::{book_nth, path, post_booking};
use crate::support::clinic::{free_slots, practitioner};
use crate::support::{App, Client, Clinic, Mail, Patient, Reply, book, booking, both, id, not_empty};

/// Books the first free time of a visit type, and returns the appointment.
pub(super) async fn booked(client: &Client, visit_type: &str, patient: &str) -> Value {
    book_nth(client, visit_type, 0, patient).await.body
}

pub(super) async fn act(client: &Client, appointment: &Value, action: &str) -> Reply {
    let path = path(appointment, &format!("/{action}"));
    match action {
        "cancel" | "undo" => client.post(&path, json!({"reason": "because"})).await,
        _ => client.post_empty(&path).await,
    }
}

/// The unfolded lines of the calendar part.
pub(super) fn calendar(mail: &Mail) -> Vec<String> {
    unfolded(mail.ics.as_deref().expect("an invitation"))
}

pub(super) fn unfolded(ics: &str) -> Vec<String> {
    ics.replace("\r\n ", "").replace("\n ", "").lines().map(str::to_owned).collect()
}

#[track_caller]
pub(super) fn has(lines: &[String], line: &str) {
    assert!(lines.iter().any(|other| other == line), "no {line} in {lines:#?}");
}

/// The free slot of 15 minutes with this number, from 0.
pub(super) async fn nth(client: &Client, clinic: &Clinic, n: usize) -> Value {
    free_slots(client, &clinic.check).await[n].clone()
}

/// Sets the clock to this many minutes after the appointment's start.
pub(super) fn turn_to(app: &App, appointment: &Value, minutes: i64) {
    let start: legwork::clock::Timestamp =
        appointment["starts_at"].as_str().expect("a start").parse().expect("an instant");
    app.clock.set(start.plus(SignedDuration::from_mins(minutes)));
}

/// Sets a member of a visit type.
pub(super) async fn set(app: &App, visit_type: &str, member: &str, value: Value) {
    let admin = app.admin().await;
    admin.update(&format!("/v1/visit-types/{visit_type}"), json!({member: value})).await.expect(200);
}

both! {
    async fn a_patient_searches_holds_and_books_a_slot_and_receives_an_invitation(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = free_slots(&ann, &clinic.new_visit).await[0].clone();
        let hold = ann
            .post(&format!("/v1/slots/{}/hold", id(&slot)), json!({"visit_type_id": clinic.new_visit}))
            .await;
        hold.expect(201);
        let mut body = booking(&slot, &clinic.new_visit, &ann.patient_id);
        body["hold_id"] = hold.body["id"].clone();
        body["note"] = json!("I come with a walker.\r\nCanary-note");

        let reply = post_booking(&ann, body).await;
        reply.expect(201);
        let visit = reply.body.clone();
        assert_eq!(reply.location(), path(&visit, ""));
        for (member, value) in [
            ("patient_id", json!(ann.patient_id)), ("practitioner_id", json!(clinic.practitioner_id)),
            ("location_id", json!(clinic.location_id)), ("visit_type_id", json!(clinic.new_visit)),
            ("starts_at", slot["starts_at"].clone()), ("ends_at", slot["ends_at"].clone()),
            ("time_zone", json!("America/New_York")), ("status", json!("booked")), ("sequence", json!(0)),
            ("note", json!("I come with a walker.\nCanary-note")),
        ] {
            assert_eq!(visit[member], value, "{member}");
        }
        assert!(visit.get("patient").is_none(), "the patient's data is for staff");

        let read = ann.get(&path(&visit, "")).await;
        assert_eq!(read.expect(200).body, visit);
        assert_eq!(read.etag(), reply.etag());

        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 1);
        let code = visit["confirmation_code"].as_str().expect("a code");
        assert!(mails[0].text.contains(code) && mails[0].html.contains(code));
        assert!(!mails[0].raw.contains("Canary"), "no mail holds what the patient wrote");
        let lines = calendar(&mails[0]);
        has(&lines, "METHOD:REQUEST");
        has(&lines, "SEQUENCE:0");
        has(&lines, &format!("UID:{}@legwork", id(&visit)));
        assert_eq!(visit["starts_at"], "2026-03-02T14:15:00Z");
        has(&lines, "DTSTART;TZID=America/New_York:20260302T091500");
        has(&lines, "DTEND;TZID=America/New_York:20260302T101500");

        let entry = ann.get(&path(&visit, "/calendar.ics")).await;
        entry.expect(200);
        assert!(entry.header("content-type").starts_with("text/calendar"));
        let lines = unfolded(&entry.text);
        has(&lines, "METHOD:PUBLISH");
        has(&lines, &format!("UID:{}@legwork", id(&visit)));
        assert!(!entry.text.contains("Canary"));

        let free = free_slots(&ann, &clinic.check).await;
        assert!(not_empty(&free).iter().all(|other| other["starts_at"].as_str() >= visit["ends_at"].as_str()), "all four slots are taken");
    }

    async fn a_patient_cannot_have_overlapping_visits(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let other_doctor = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.new_visit, &clinic.check]).await;
        let of = async |doctor: &str, visit: &str| {
            let path = format!("/v1/slots?visit_type_id={visit}&practitioner_id={doctor}&limit=200");
            ann.get(&path).await.items()
        };
        let mine = of(&clinic.practitioner_id, &clinic.new_visit).await;
        let visit = book(&ann, &mine[2], &clinic.new_visit, &ann.patient_id).await.expect(201).body.clone();
        let others = of(&other_doctor, &clinic.check).await;
        let within = others.iter().find(|slot| slot["starts_at"].as_str() > visit["starts_at"].as_str());
        let within = within.expect("a time").clone();
        assert!(within["starts_at"].as_str() < visit["ends_at"].as_str());
        for client in [&ann.client, &desk] {
            book(client, &within, &clinic.check, &ann.patient_id).await.problem(409, "patient_busy");
        }
        let after = others.iter().find(|slot| slot["starts_at"] == visit["ends_at"]).expect("a time").clone();
        let second = book(&ann, &after, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        let refused = ann.post(&path(&second, "/reschedule"), json!({"slot_id": within["id"]})).await;
        refused.problem(409, "patient_busy");

        // A no-show frees the patient's time, and undoing it takes the time again.
        turn_to(&app, &visit, 1);
        act(&desk, &visit, "no-show").await.expect(200);
        book(&desk, &within, &clinic.check, &ann.patient_id).await.expect(201);
        act(&desk, &visit, "undo").await.problem(409, "patient_busy");
        act(&desk, &visit, "check-in").await.problem(409, "patient_busy");
    }

    async fn appointments_of_other_patients_are_not_found(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, anon) = (app.patient("ann").await, app.patient("bob").await, app.anon());
        let visit = booked(&ann, &clinic.check, &ann.patient_id).await;
        let slot = nth(&bob, &clinic, 5).await;
        for action in ["", "/calendar.ics", "/history"] {
            bob.get(&path(&visit, action)).await.problem(404, "not_found");
            anon.get(&path(&visit, action)).await.problem(401, "unauthenticated");
        }
        act(&bob, &visit, "cancel").await.problem(404, "not_found");
        bob.post(&path(&visit, "/reschedule"), json!({"slot_id": slot["id"]})).await.problem(404, "not_found");
        for action in ["check-in", "no-show", "complete", "undo"] {
            act(&bob, &visit, action).await.problem(403, "role_forbidden");
            act(&ann, &visit, action).await.problem(403, "role_forbidden");
        }
        book(&bob, &slot, &clinic.check, &ann.patient_id).await.problem(404, "not_found");
        assert!(bob.get("/v1/appointments").await.items().is_empty());
        let theirs = format!("/v1/appointments?patient_id={}", ann.patient_id);
        assert!(bob.get(&theirs).await.items().is_empty());
        assert_eq!(ann.get(&theirs).await.items().len(), 1);
        assert_eq!(ann.get(&path(&visit, "")).await.body["status"], "booked");
        for nowhere in ["/v1/appointments/nonsense", "/v1/appointments/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"] {
            app.desk().await.get(nowhere).await.problem(404, "not_found");
        }
    }

    async fn the_list_has_filters_and_pages_and_shows_the_patient_to_staff_only(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let mut visits = Vec::new();
        for (index, patient) in [&ann, &bob, &ann, &bob, &ann].into_iter().enumerate() {
            // Not in chronological order.
            let slot = &slots[(index * 7) % 11];
            visits.push(book(&desk, slot, &clinic.check, &patient.patient_id).await.expect(201).body.clone());
        }
        act(&desk, &visits[1], "cancel").await.expect(200);
        let ids = |items: &[Value]| items.iter().map(|item| item["id"].clone()).collect::<HashSet<_>>();
        let list = async |query: String| desk.get(&format!("/v1/appointments?{query}")).await.items();
        let of = |wanted: &[usize]| wanted.iter().map(|index| visits[*index]["id"].clone()).collect::<HashSet<_>>();

        let all = list(String::new()).await;
        assert!(all.is_sorted_by_key(|item| item["starts_at"].as_str().expect("a start").to_owned()));
        assert_eq!(all.len(), 5);
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = desk.get(&format!("/v1/appointments?limit=2{cursor}")).await;
            paged.extend(page.items());
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, all);

        let code = visits[3]["confirmation_code"].as_str().expect("a code");
        for (query, wanted) in [
            (format!("patient_id={}", ann.patient_id), vec![0, 2, 4]),
            (format!("practitioner_id={}", clinic.practitioner_id), vec![0, 1, 2, 3, 4]),
            (format!("practitioner_id={}", clinic.location_id), vec![]),
            (format!("location_id={}", clinic.location_id), vec![0, 1, 2, 3, 4]),
            ("status=cancelled".to_owned(), vec![1]),
            (format!("from={}", visits[2]["starts_at"].as_str().expect("a start")), vec![1, 2, 3, 4]),
            (format!("to={}", visits[2]["starts_at"].as_str().expect("a start")), vec![0]),
            (format!("confirmation_code={code}"), vec![3]),
            (format!("confirmation_code={}", code.replace('-', "").to_lowercase()), vec![3]),
            ("confirmation_code=0000-0000".to_owned(), vec![]),
            ("q=bo".to_owned(), vec![1, 3]),
            ("q=TEST+ann".to_owned(), vec![0, 2, 4]),
            ("q=ann+bob".to_owned(), vec![]),
        ] {
            assert_eq!(ids(&list(query.clone()).await), of(&wanted), "{query}");
        }
        let patient = &all[0]["patient"];
        assert_eq!((&patient["display_name"], &patient["date_of_birth"]), (&json!("ann Tester"), &json!("1967-09-14")));
        for member in ["id", "mrn", "phone", "preferred_language", "interpreter_needed"] {
            assert!(!patient[member].is_null(), "{member}");
        }
        let mine = ann.get("/v1/appointments").await.items();
        assert_eq!(ids(&mine), of(&[0, 2, 4]));
        assert!(mine.iter().all(|item| item.get("patient").is_none()));

        for (query, pointer, code) in [
            ("status=gone", "?status", "not_an_option"),
            ("confirmation_code=short", "?confirmation_code", "wrong_value"),
            ("q=%2C", "?q", "wrong_value"),
            ("nonsense=1", "?nonsense", "unknown_parameter"),
            ("limit=0", "?limit", "out_of_range"),
            ("cursor=x", "?cursor", "invalid_cursor"),
            ("from=2026-03-03T00:00:00Z&to=2026-03-02T00:00:00Z", "?to", "out_of_range"),
        ] {
            desk.get(&format!("/v1/appointments?{query}")).await.invalid(pointer, code);
        }
    }

    async fn instants_outside_the_databases_range_are_rejected(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        booked(&desk, &clinic.check, &ann.patient_id).await;
        for path in ["/v1/appointments?from=-009999-01-02T01:59:59Z", "/v1/appointments?to=-004800-01-01T00:00:00Z"] {
            desk.get(path).await.problem(422, "validation_failed");
        }
        // A forged cursor starts before the first row, which is harmless.
        let forged = "1.appointments.-300000000000000000.0199d0c27b1e7c3a9a513f6f2a1d9c55";
        let forged = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(forged);
        let page = desk.get(&format!("/v1/appointments?cursor={forged}")).await;
        assert_eq!(page.expect(200).items().len(), 1);
    }

    async fn booking_rules_bind_patients_and_staff_can_book_until_the_slot_ends(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        set(&app, &clinic.check, "booking_notice_minutes", json!(120)).await;
        book(&ann, &slots[0], &clinic.check, &ann.patient_id).await.problem(409, "booking_notice");
        book(&ann, &slots[9], &clinic.check, &ann.patient_id).await.expect(201);
        let visit = booked(&desk, &clinic.check, &ann.patient_id).await;
        let refused = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": slots[1]["id"]})).await;
        refused.problem(409, "booking_notice");
        set(&app, &clinic.follow_up, "online_bookable", json!(false)).await;
        book(&ann, &slots[20], &clinic.follow_up, &ann.patient_id).await.problem(409, "not_online_bookable");
        book(&desk, &slots[20], &clinic.follow_up, &ann.patient_id).await.expect(201);

        let other_doctor = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.new_visit]).await;
        let theirs = free_slots(&desk, &clinic.new_visit).await;
        let theirs = theirs.iter().find(|slot| slot["practitioner_id"] == *other_doctor).expect("a time");
        book(&desk, theirs, &clinic.check, &ann.patient_id).await.problem(409, "not_offered");

        let start: legwork::clock::Timestamp = slots[5]["starts_at"].as_str().expect("a start").parse().expect("an instant");
        app.clock.set(start.plus(SignedDuration::from_mins(14)));
        book(&desk, &slots[5], &clinic.check, &ann.patient_id).await.expect(201);
        app.clock.set(start.plus(SignedDuration::from_mins(30)));
        book(&desk, &slots[6], &clinic.check, &ann.patient_id).await.problem(409, "slot_past");
    }

    async fn invalid_booking_input_is_rejected_with_its_pointer_and_code(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = nth(&ann, &clinic, 3).await;
        let body = booking(&slot, &clinic.check, &ann.patient_id);
        ann.post("/v1/appointments", body.clone()).await.invalid("Idempotency-Key:", "required");
        for (member, value, pointer, code) in [
            ("note", json!("x".repeat(1001)), "/note", "too_long"),
            ("note", json!("a\u{0}b"), "/note", "forbidden_character"),
            ("note", json!(7), "/note", "wrong_type"),
            ("slot_id", json!("nonsense"), "/slot_id", "wrong_value"),
            ("status", json!("fulfilled"), "/status", "unknown_field"),
        ] {
            let mut body = body.clone();
            body[member] = value;
            let reply = post_booking(&ann, body).await;
            let errors = reply.problem(422, "validation_failed")["errors"].clone();
            assert_eq!(errors[0]["pointer"], pointer, "{errors}");
            assert!(errors[0]["code"] == code || member == "slot_id", "{errors}");
        }
        let mut missing = body.clone();
        missing.as_object_mut().expect("an object").remove("patient_id");
        post_booking(&ann, missing).await.invalid("/patient_id", "required");
        let unknown = |member: &str| {
            let mut body = body.clone();
            body[member] = json!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55");
            body
        };
        post_booking(&ann, unknown("visit_type_id")).await.invalid("/visit_type_id", "unknown_reference");
        post_booking(&ann, unknown("slot_id")).await.problem(409, "slot_taken");
        post_booking(&ann, unknown("patient_id")).await.problem(404, "not_found");
        post_booking(&ann, unknown("hold_id")).await.problem(409, "hold_lapsed");
        post_booking(&ann, body).await.expect(201);
    }

    async fn a_hold_is_valid_for_its_owner_and_slot_for_ten_minutes(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&ann, &clinic.follow_up).await;
        let hold = async |client: &Patient, slot: &Value| {
            let path = format!("/v1/slots/{}/hold", id(slot));
            client.post(&path, json!({"visit_type_id": clinic.follow_up})).await.expect(201).string("/id")
        };
        let with = |slot: &Value, patient: &Patient, hold: &str| {
            let mut body = booking(slot, &clinic.follow_up, &patient.patient_id);
            body["hold_id"] = json!(hold);
            body
        };
        let held = hold(&ann, &slots[3]).await;
        book(&bob, &slots[3], &clinic.follow_up, &bob.patient_id).await.problem(409, "slot_taken");
        post_booking(&bob, with(&slots[3], &bob, &held)).await.problem(409, "hold_lapsed");
        post_booking(&ann, with(&slots[8], &ann, &held)).await.invalid("/hold_id", "other_slot");
        app.clock.advance(SignedDuration::from_mins(10));
        post_booking(&ann, with(&slots[3], &ann, &held)).await.problem(409, "hold_lapsed");
        book(&bob, &slots[3], &clinic.follow_up, &bob.patient_id).await.expect(201);

        let visit = booked(&ann, &clinic.follow_up, &ann.patient_id).await;
        let held = hold(&ann, &slots[9]).await;
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": slots[9]["id"], "hold_id": held})).await;
        moved.expect(200);
        post_booking(&ann, with(&slots[9], &ann, &held)).await.problem(409, "hold_lapsed");
    }

    async fn replaced_released_used_and_foreign_holds_get_the_same_error(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&ann, &clinic.follow_up).await;
        let hold = async |client: &Patient, slot: &Value| {
            let path = format!("/v1/slots/{}/hold", id(slot));
            client.post(&path, json!({"visit_type_id": clinic.follow_up})).await.expect(201).string("/id")
        };
        let visit = booked(&ann, &clinic.check, &ann.patient_id).await;
        let replaced = hold(&ann, &slots[12]).await;
        let released = hold(&ann, &slots[16]).await;
        ann.delete(&format!("/v1/holds/{released}")).await.expect(204);
        let used = hold(&ann, &slots[20]).await;
        let mut body = booking(&slots[20], &clinic.follow_up, &ann.patient_id);
        body["hold_id"] = json!(used);
        post_booking(&ann, body).await.expect(201);
        let bobs = hold(&bob, &slots[12]).await;
        let never = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55".to_owned();
        let mut told = Vec::new();
        for (hold_id, slot) in [(replaced, &slots[12]), (released, &slots[16]), (used, &slots[20]), (bobs, &slots[12]), (never, &slots[28])] {
            let mut body = booking(slot, &clinic.follow_up, &ann.patient_id);
            body["hold_id"] = json!(hold_id);
            let to = json!({"slot_id": slot["id"], "hold_id": hold_id});
            for reply in [post_booking(&ann, body).await, ann.post(&path(&visit, "/reschedule"), to).await] {
                let problem = reply.problem(409, "hold_lapsed");
                assert_eq!(problem["pointer"], "/hold_id", "{}", reply.text);
                assert_eq!(problem["next_free"].as_array().map(Vec::len), Some(5), "{}", reply.text);
                told.push(problem["detail"].clone());
            }
        }
        told.dedup();
        assert_eq!(told.len(), 1, "the error does not reveal the hold's owner: {told:?}");
    }
}
