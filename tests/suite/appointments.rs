//! Booking, moving, cancelling, and the day of the visit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::clinic::{free_slots, location, practitioner};
use crate::support::{App, Client, Clinic, Mail, Patient, Reply, both};

/// A booking's body.
fn request(slot: &Value, visit_type: &str, patient: &str) -> Value {
    json!({"slot_id": slot["id"], "visit_type_id": visit_type, "patient_id": patient})
}

/// Books with a key of its own.
async fn book(client: &Client, body: Value) -> Reply {
    static KEYS: AtomicU32 = AtomicU32::new(0);
    let key = format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed));
    client.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await
}

/// Books the first free time of a visit type, and returns the appointment.
async fn booked(client: &Client, visit_type: &str, patient: &str) -> Value {
    let slot = free_slots(client, visit_type).await[0].clone();
    let reply = book(client, request(&slot, visit_type, patient)).await;
    reply.expect(201);
    reply.body
}

fn path(appointment: &Value, action: &str) -> String {
    let id = appointment["id"].as_str().expect("an id");
    format!("/v1/appointments/{id}{action}")
}

async fn act(client: &Client, appointment: &Value, action: &str) -> Reply {
    let path = path(appointment, &format!("/{action}"));
    match action {
        "cancel" | "undo" => client.post(&path, json!({"reason": "because"})).await,
        _ => client.post_empty(&path).await,
    }
}

/// The unfolded lines of the calendar part.
fn calendar(mail: &Mail) -> Vec<String> {
    unfolded(mail.ics.as_deref().expect("an invitation"))
}

fn unfolded(ics: &str) -> Vec<String> {
    ics.replace("\r\n ", "").replace("\n ", "").lines().map(str::to_owned).collect()
}

#[track_caller]
fn has(lines: &[String], line: &str) {
    assert!(lines.iter().any(|other| other == line), "no {line} in {lines:#?}");
}

/// A time of the clinic's first practitioner, so many slots of 15 minutes after the first free one.
async fn nth(client: &Client, clinic: &Clinic, n: usize) -> Value {
    free_slots(client, &clinic.check).await[n].clone()
}

/// Turns the clock to so many minutes after the appointment's start.
fn turn_to(app: &App, appointment: &Value, minutes: i64) {
    let start: legwork::clock::Timestamp =
        appointment["starts_at"].as_str().expect("a start").parse().expect("an instant");
    app.clock.set(start.plus(SignedDuration::from_mins(minutes)));
}

/// Sets a number of a visit type.
async fn set(app: &App, visit_type: &str, field: &str, value: Value) {
    let admin = app.admin().await;
    let all = admin.get("/v1/visit-types").await.items();
    assert!(all.iter().any(|one| one["id"] == visit_type));
    let path = format!("/v1/visit-types/{visit_type}");
    // A visit type is not read singly; its version is one more than the changes so far.
    for version in 1..10 {
        let reply = admin.patch(&path, &format!("\"{version}\""), json!({field: value})).await;
        if reply.status != 412 {
            reply.expect(200);
            return;
        }
    }
    panic!("no version fits");
}

both! {
    async fn a_patient_searches_holds_books_and_gets_a_mail_with_an_invitation(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = free_slots(&ann, &clinic.new_visit).await[0].clone();
        let hold = ann
            .post(&format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id")), json!({"visit_type_id": clinic.new_visit}))
            .await;
        hold.expect(201);
        let mut body = request(&slot, &clinic.new_visit, &ann.patient_id);
        body["hold_id"] = hold.body["hold_id"].clone();
        body["note"] = json!("I come with a walker.\r\nCanary-note");

        let reply = book(&ann, body).await;
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
        has(&lines, &format!("UID:{}@legwork", visit["id"].as_str().expect("an id")));
        let compact = |at: &Value| at.as_str().expect("an instant").replace(['-', ':'], "");
        has(&lines, &format!("DTSTART:{}", compact(&visit["starts_at"])));
        has(&lines, &format!("DTEND:{}", compact(&visit["ends_at"])));

        let entry = ann.get(&path(&visit, "/calendar.ics")).await;
        entry.expect(200);
        assert!(entry.header("content-type").starts_with("text/calendar"));
        let lines = unfolded(&entry.text);
        has(&lines, "METHOD:PUBLISH");
        has(&lines, &format!("UID:{}@legwork", visit["id"].as_str().expect("an id")));
        assert!(!entry.text.contains("Canary"));

        let free = free_slots(&ann, &clinic.check).await;
        assert!(free.iter().all(|other| other["starts_at"].as_str() >= visit["ends_at"].as_str()), "all four slots are taken");
    }

    async fn a_visit_goes_through_its_day_and_every_change_is_kept(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = booked(&ann, &clinic.follow_up, &ann.patient_id).await;
        turn_to(&app, &visit, 5);
        for (action, status) in [
            ("check-in", "checked-in"), ("undo", "booked"), ("no-show", "noshow"), ("check-in", "checked-in"),
            ("complete", "fulfilled"), ("undo", "checked-in"), ("undo", "booked"), ("no-show", "noshow"), ("undo", "booked"),
            ("check-in", "checked-in"), ("cancel", "cancelled"),
        ] {
            let reply = act(&desk, &visit, action).await;
            assert_eq!(reply.expect(200).body["status"], status, "{action}");
            assert_eq!(desk.get(&path(&visit, "")).await.etag(), reply.etag());
        }
        let history = desk.get(&path(&visit, "/history")).await.items();
        let steps: Vec<_> = history.iter().map(|change| change["step"].as_str().expect("a step")).collect();
        assert_eq!(steps, [
            "book", "check-in", "undo", "no-show", "check-in", "complete", "undo", "undo", "no-show", "undo", "check-in", "cancel",
        ]);
        assert_eq!((&history[0]["from_status"], &history[0]["by"]), (&Value::Null, &json!("patient")));
        assert_eq!((&history[1]["from_status"], &history[1]["by"]), (&json!("booked"), &json!("clinic")));
        assert_eq!((&history[11]["reason"], &history[11]["actor_id"]), (&json!("because"), &json!(desk.user_id)));

        let theirs = ann.get(&path(&visit, "/history")).await.items();
        assert_eq!(theirs.len(), history.len());
        assert!(theirs.iter().all(|change| change.get("reason").is_none() && change.get("actor_id").is_none()));
    }

    async fn an_illegal_move_is_refused_with_the_legal_ones(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slot = nth(&desk, &clinic, 4).await;
        let visit = book(&ann, request(&slot, &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        let allowed = |reply: &Reply| reply.problem(409, "status_conflict")["allowed"].clone();
        let refused = act(&desk, &visit, "no-show").await;
        assert_eq!(allowed(&refused), json!(["reschedule", "cancel", "check-in"]), "it has not begun");
        turn_to(&app, &visit, 0);
        let refused = act(&desk, &visit, "complete").await;
        assert_eq!(allowed(&refused), json!(["reschedule", "cancel", "check-in", "no-show"]));
        assert_eq!(refused.body["appointment_status"], "booked");
        act(&desk, &visit, "check-in").await.expect(200);
        assert_eq!(allowed(&act(&desk, &visit, "no-show").await), json!(["cancel", "complete", "undo"]));
        let other = nth(&desk, &clinic, 9).await;
        let moved = desk.post(&path(&visit, "/reschedule"), json!({"slot_id": other["id"]})).await;
        assert_eq!(allowed(&moved), json!(["cancel", "complete", "undo"]));
        act(&desk, &visit, "cancel").await.expect(200);
        for action in ["cancel", "check-in", "no-show", "complete", "undo"] {
            assert_eq!(allowed(&act(&desk, &visit, action).await), json!([]), "cancelled is final: {action}");
        }
    }

    async fn nobody_is_checked_in_before_the_day_of_the_visit(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let path_of_day = format!("/v1/slots?visit_type_id={}&from=2026-03-09T00:00:00Z&limit=1", clinic.check);
        let slot = desk.get(&path_of_day).await.items()[0].clone();
        let visit = book(&desk, request(&slot, &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        let refused = act(&desk, &visit, "check-in").await;
        assert_eq!(refused.problem(409, "too_early")["allowed"], json!(["reschedule", "cancel"]));
        // Midnight in New York, where it is summer by then.
        app.clock.set("2026-03-09T04:00:00Z".parse().expect("an instant"));
        act(&desk, &visit, "check-in").await.expect(200);
        act(&desk, &visit, "complete").await.expect(200);
    }

    async fn taking_back_needs_a_reason_and_the_same_local_day(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = booked(&desk, &clinic.check, &ann.patient_id).await;
        act(&desk, &visit, "check-in").await.expect(200);
        desk.post(&path(&visit, "/undo"), json!({})).await.invalid("/reason", "required");
        desk.post(&path(&visit, "/undo"), json!({"reason": "  "})).await.invalid("/reason", "required");
        desk.post(&path(&visit, "/undo"), json!({"reason": "a\u{202e}b"})).await.invalid("/reason", "forbidden_character");
        ann.post(&path(&visit, "/undo"), json!({"reason": "please"})).await.problem(403, "role_forbidden");
        // 23:59 in New York is the next day in UTC.
        app.clock.set("2026-03-03T04:59:59Z".parse().expect("an instant"));
        act(&desk, &visit, "undo").await.expect(200);
        act(&desk, &visit, "no-show").await.expect(200);
        app.clock.set("2026-03-03T05:00:00Z".parse().expect("an instant"));
        let refused = act(&desk, &visit, "undo").await;
        assert_eq!(refused.problem(409, "status_conflict")["allowed"], json!([]));
    }

    async fn a_patient_cancels_until_the_notice_and_staff_always(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(60)).await;
        let slot = nth(&ann, &clinic, 8).await;
        let visit = book(&ann, request(&slot, &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        let other = nth(&ann, &clinic, 20).await;
        turn_to(&app, &visit, -59);
        act(&ann, &visit, "cancel").await.problem(409, "cancel_notice");
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": other["id"]})).await;
        assert_eq!(moved.problem(409, "cancel_notice")["allowed"], json!([]));
        turn_to(&app, &visit, -60);
        ann.post(&path(&visit, "/reschedule"), json!({"slot_id": other["id"]})).await.expect(200);

        let again = book(&ann, request(&slot, &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        turn_to(&app, &again, 5);
        act(&desk, &again, "cancel").await.expect(200);
    }

    async fn a_cancelled_visit_frees_its_slots_and_strikes_the_calendar_entry_out(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slot = free_slots(&ann, &clinic.follow_up).await[1].clone();
        let visit = book(&ann, request(&slot, &clinic.follow_up, &ann.patient_id)).await.expect(201).body.clone();
        let gone = ann.post(&path(&visit, "/cancel"), json!({"reason": "Canary-reason"})).await;
        assert_eq!((&gone.expect(200).body["status"], &gone.body["sequence"]), (&json!("cancelled"), &json!(1)));
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 2);
        let lines = calendar(&mails[1]);
        has(&lines, "METHOD:CANCEL");
        has(&lines, "STATUS:CANCELLED");
        has(&lines, "SEQUENCE:1");
        assert!(!mails[1].raw.contains("Canary"));
        has(&unfolded(&ann.get(&path(&visit, "/calendar.ics")).await.text), "STATUS:CANCELLED");
        let history = ann.get(&path(&visit, "/history")).await.items();
        assert_eq!(history[1]["reason"], "Canary-reason", "one's own reason");
        book(&bob, request(&slot, &clinic.follow_up, &bob.patient_id)).await.expect(201);
    }

    async fn a_moved_visit_keeps_its_calendar_uid_and_frees_its_old_time(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let elsewhere = location(&app.admin().await, "Harbour", "America/Chicago").await;
        let other_doctor = practitioner(&app.admin().await, "Dr. Bo Vessel", &elsewhere, &[&clinic.follow_up]).await;
        let visit = booked(&ann, &clinic.follow_up, &ann.patient_id).await;
        let free = free_slots(&ann, &clinic.follow_up).await;
        let target = free.iter().find(|slot| slot["practitioner_id"] == *other_doctor).expect("a time").clone();

        let before = app.mails_to(&ann.email).await;
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": target["id"]})).await;
        moved.expect(200);
        for (member, value) in [
            ("id", visit["id"].clone()), ("confirmation_code", visit["confirmation_code"].clone()), ("sequence", json!(1)),
            ("status", json!("booked")), ("practitioner_id", json!(other_doctor)), ("location_id", json!(elsewhere)),
            ("time_zone", json!("America/Chicago")), ("starts_at", target["starts_at"].clone()), ("ends_at", target["ends_at"].clone()),
        ] {
            assert_eq!(moved.body[member], value, "{member}");
        }
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 2);
        let (first, second) = (calendar(&before[0]), calendar(&mails[1]));
        let uid = |lines: &[String]| lines.iter().find(|line| line.starts_with("UID:")).expect("a UID").clone();
        assert_eq!(uid(&first), uid(&second));
        has(&second, "METHOD:REQUEST");
        has(&second, "SEQUENCE:1");

        let free = free_slots(&ann, &clinic.follow_up).await;
        assert!(free.iter().any(|slot| slot["starts_at"] == visit["starts_at"] && slot["practitioner_id"] == visit["practitioner_id"]));
        assert!(!free.iter().any(|slot| slot["id"] == target["id"]));
        let history = ann.get(&path(&visit, "/history")).await.items();
        assert_eq!((&history[1]["step"], &history[1]["location_id"]), (&json!("reschedule"), &json!(elsewhere)));
    }

    async fn a_visit_can_move_into_a_part_of_its_own_time(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slots = free_slots(&ann, &clinic.check).await;
        let visit = book(&ann, request(&slots[2], &clinic.new_visit, &ann.patient_id)).await.expect(201).body.clone();
        for n in [3, 1, 0, 4, 2] {
            let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": slots[n]["id"]})).await;
            assert_eq!(moved.expect(200).body["starts_at"], slots[n]["starts_at"]);
            let free = free_slots(&ann, &clinic.check).await;
            let taken = [n, n + 1, n + 2, n + 3];
            for (index, slot) in slots.iter().enumerate().take(10) {
                assert_eq!(free.iter().any(|one| one["id"] == slot["id"]), !taken.contains(&index), "slot {index} after {n}");
            }
        }
    }

    async fn a_patient_is_in_one_place_at_a_time(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let other_doctor = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.new_visit, &clinic.check]).await;
        let of = async |doctor: &str, visit: &str| {
            let path = format!("/v1/slots?visit_type_id={visit}&practitioner_id={doctor}&limit=200");
            ann.get(&path).await.items()
        };
        let mine = of(&clinic.practitioner_id, &clinic.new_visit).await;
        let visit = book(&ann, request(&mine[2], &clinic.new_visit, &ann.patient_id)).await.expect(201).body.clone();
        let others = of(&other_doctor, &clinic.check).await;
        let within = others.iter().find(|slot| slot["starts_at"].as_str() > visit["starts_at"].as_str());
        let within = within.expect("a time").clone();
        assert!(within["starts_at"].as_str() < visit["ends_at"].as_str());
        for client in [&ann.client, &desk] {
            book(client, request(&within, &clinic.check, &ann.patient_id)).await.problem(409, "patient_busy");
        }
        let after = others.iter().find(|slot| slot["starts_at"] == visit["ends_at"]).expect("a time").clone();
        let second = book(&ann, request(&after, &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        let refused = ann.post(&path(&second, "/reschedule"), json!({"slot_id": within["id"]})).await;
        refused.problem(409, "patient_busy");

        // A no-show frees the patient, and taking it back claims them again.
        turn_to(&app, &visit, 1);
        act(&desk, &visit, "no-show").await.expect(200);
        book(&desk, request(&within, &clinic.check, &ann.patient_id)).await.expect(201);
        act(&desk, &visit, "undo").await.problem(409, "patient_busy");
        act(&desk, &visit, "check-in").await.problem(409, "patient_busy");
    }

    async fn other_peoples_appointments_are_not_there(app: App) {
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
        book(&bob, request(&slot, &clinic.check, &ann.patient_id)).await.problem(404, "not_found");
        assert!(bob.get("/v1/appointments").await.items().is_empty());
        let theirs = format!("/v1/appointments?patient_id={}", ann.patient_id);
        assert!(bob.get(&theirs).await.items().is_empty());
        assert_eq!(ann.get(&theirs).await.items().len(), 1);
        assert_eq!(ann.get(&path(&visit, "")).await.body["status"], "booked");
        for nowhere in ["/v1/appointments/nonsense", "/v1/appointments/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"] {
            app.desk().await.get(nowhere).await.problem(404, "not_found");
        }
    }

    async fn the_list_filters_pages_and_shows_staff_the_patient(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let mut visits = Vec::new();
        for (index, patient) in [&ann, &bob, &ann, &bob, &ann].into_iter().enumerate() {
            // Not in the order of time.
            let slot = &slots[(index * 7) % 11];
            visits.push(book(&desk, request(slot, &clinic.check, &patient.patient_id)).await.expect(201).body.clone());
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

    async fn instants_before_any_database_began_break_nothing(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        booked(&desk, &clinic.check, &ann.patient_id).await;
        for path in ["/v1/appointments?from=-009999-01-02T01:59:59Z", "/v1/appointments?to=-004800-01-01T00:00:00Z"] {
            desk.get(path).await.problem(422, "validation_failed");
        }
        // A forged cursor only begins earlier than any row.
        let forged = "1.appointments.-300000000000000000.0199d0c27b1e7c3a9a513f6f2a1d9c55";
        let forged = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(forged);
        let page = desk.get(&format!("/v1/appointments?cursor={forged}")).await;
        assert_eq!(page.expect(200).items().len(), 1);
    }

    async fn patients_book_by_the_rules_and_staff_until_the_slot_ends(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        set(&app, &clinic.check, "booking_notice_minutes", json!(120)).await;
        book(&ann, request(&slots[0], &clinic.check, &ann.patient_id)).await.problem(409, "booking_notice");
        book(&ann, request(&slots[9], &clinic.check, &ann.patient_id)).await.expect(201);
        let visit = booked(&desk, &clinic.check, &ann.patient_id).await;
        let refused = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": slots[1]["id"]})).await;
        refused.problem(409, "booking_notice");
        set(&app, &clinic.follow_up, "online_bookable", json!(false)).await;
        book(&ann, request(&slots[20], &clinic.follow_up, &ann.patient_id)).await.problem(409, "not_online_bookable");
        book(&desk, request(&slots[20], &clinic.follow_up, &ann.patient_id)).await.expect(201);

        let other_doctor = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.new_visit]).await;
        let theirs = free_slots(&desk, &clinic.new_visit).await;
        let theirs = theirs.iter().find(|slot| slot["practitioner_id"] == *other_doctor).expect("a time");
        book(&desk, request(theirs, &clinic.check, &ann.patient_id)).await.problem(409, "not_offered");

        let start: legwork::clock::Timestamp = slots[5]["starts_at"].as_str().expect("a start").parse().expect("an instant");
        app.clock.set(start.plus(SignedDuration::from_mins(14)));
        book(&desk, request(&slots[5], &clinic.check, &ann.patient_id)).await.expect(201);
        app.clock.set(start.plus(SignedDuration::from_mins(30)));
        book(&desk, request(&slots[6], &clinic.check, &ann.patient_id)).await.problem(409, "slot_past");
    }

    async fn what_breaks_the_rules_of_the_input_is_told_in_full(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = nth(&ann, &clinic, 3).await;
        let body = request(&slot, &clinic.check, &ann.patient_id);
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
            let reply = book(&ann, body).await;
            let errors = reply.problem(422, "validation_failed")["errors"].clone();
            assert_eq!(errors[0]["pointer"], pointer, "{errors}");
            assert!(errors[0]["code"] == code || member == "slot_id", "{errors}");
        }
        let mut missing = body.clone();
        missing.as_object_mut().expect("an object").remove("patient_id");
        book(&ann, missing).await.invalid("/patient_id", "required");
        let unknown = |member: &str| {
            let mut body = body.clone();
            body[member] = json!("0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55");
            body
        };
        book(&ann, unknown("visit_type_id")).await.invalid("/visit_type_id", "unknown_reference");
        book(&ann, unknown("slot_id")).await.problem(409, "slot_taken");
        book(&ann, unknown("patient_id")).await.problem(404, "not_found");
        book(&ann, unknown("hold_id")).await.problem(409, "hold_lapsed");
        book(&ann, body).await.expect(201);
    }

    async fn a_hold_is_for_its_owner_its_slot_and_ten_minutes(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&ann, &clinic.follow_up).await;
        let hold = async |client: &Patient, slot: &Value| {
            let path = format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id"));
            client.post(&path, json!({"visit_type_id": clinic.follow_up})).await.expect(201).string("/hold_id")
        };
        let with = |slot: &Value, patient: &Patient, hold: &str| {
            let mut body = request(slot, &clinic.follow_up, &patient.patient_id);
            body["hold_id"] = json!(hold);
            body
        };
        let held = hold(&ann, &slots[3]).await;
        book(&bob, request(&slots[3], &clinic.follow_up, &bob.patient_id)).await.problem(409, "slot_taken");
        book(&bob, with(&slots[3], &bob, &held)).await.problem(409, "hold_lapsed");
        book(&ann, with(&slots[8], &ann, &held)).await.invalid("/hold_id", "other_slot");
        app.clock.advance(SignedDuration::from_mins(10));
        book(&ann, with(&slots[3], &ann, &held)).await.problem(409, "hold_lapsed");
        book(&bob, request(&slots[3], &clinic.follow_up, &bob.patient_id)).await.expect(201);

        let visit = booked(&ann, &clinic.follow_up, &ann.patient_id).await;
        let held = hold(&ann, &slots[9]).await;
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": slots[9]["id"], "hold_id": held})).await;
        moved.expect(200);
        book(&ann, with(&slots[9], &ann, &held)).await.problem(409, "hold_lapsed");
    }

    async fn a_hold_that_was_replaced_released_or_used_has_lapsed_and_another_accounts_looks_the_same(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&ann, &clinic.follow_up).await;
        let hold = async |client: &Patient, slot: &Value| {
            let path = format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id"));
            client.post(&path, json!({"visit_type_id": clinic.follow_up})).await.expect(201).string("/hold_id")
        };
        let visit = booked(&ann, &clinic.check, &ann.patient_id).await;
        let replaced = hold(&ann, &slots[12]).await;
        let released = hold(&ann, &slots[16]).await;
        ann.delete(&format!("/v1/holds/{released}")).await.expect(204);
        let used = hold(&ann, &slots[20]).await;
        let mut body = request(&slots[20], &clinic.follow_up, &ann.patient_id);
        body["hold_id"] = json!(used);
        book(&ann, body).await.expect(201);
        let bobs = hold(&bob, &slots[12]).await;
        let never = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55".to_owned();
        let mut told = Vec::new();
        for (hold_id, slot) in [(replaced, &slots[12]), (released, &slots[16]), (used, &slots[20]), (bobs, &slots[12]), (never, &slots[28])] {
            let mut body = request(slot, &clinic.follow_up, &ann.patient_id);
            body["hold_id"] = json!(hold_id);
            let to = json!({"slot_id": slot["id"], "hold_id": hold_id});
            for reply in [book(&ann, body).await, ann.post(&path(&visit, "/reschedule"), to).await] {
                let problem = reply.problem(409, "hold_lapsed");
                assert_eq!(problem["pointer"], "/hold_id", "{}", reply.text);
                assert_eq!(problem["next_free"].as_array().map(Vec::len), Some(5), "{}", reply.text);
                told.push(problem["detail"].clone());
            }
        }
        told.dedup();
        assert_eq!(told.len(), 1, "nothing tells whose hold it is or was: {told:?}");
    }

    async fn an_action_honours_if_match_and_is_done_once_per_key(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = booked(&ann, &clinic.check, &ann.patient_id).await;
        let stale = [("If-Match", "\"7\"")];
        let body = json!({"reason": "moved away"});
        desk.post_with(&path(&visit, "/cancel"), body.clone(), &stale).await.problem(412, "stale");
        desk.post_with(&path(&visit, "/check-in"), json!({}), &stale).await.problem(412, "stale");
        let slot = nth(&desk, &clinic, 6).await;
        desk.post_with(&path(&visit, "/reschedule"), json!({"slot_id": slot["id"]}), &stale).await.problem(412, "stale");

        let good = [("If-Match", "\"1\""), ("Idempotency-Key", "cancel-once")];
        let first = ann.post_with(&path(&visit, "/cancel"), body.clone(), &good).await;
        let again = ann.post_with(&path(&visit, "/cancel"), body, &good).await;
        assert_eq!((&first.expect(200).body, first.etag()), (&again.expect(200).body, again.etag()));
        ann.post_with(&path(&visit, "/cancel"), json!({"reason": "other"}), &good).await.problem(422, "idempotency_key_reused");
        assert_eq!(app.mails_to(&ann.email).await.len(), 2, "one for the booking, one for the cancellation");
    }

    async fn of_many_parallel_bookings_of_one_slot_one_wins_and_the_others_learn_the_next_free_ones(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let patients = some_patients(&app, 32).await;
        let slot = free_slots(&desk, &clinic.follow_up).await[0].clone();
        let replies = join_all(patients.iter().map(|patient| book(&desk, request(&slot, &clinic.follow_up, patient)))).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            let next = reply.problem(409, "slot_taken")["next_free"].as_array().expect("slots").clone();
            assert!(!next.is_empty());
            assert!(next.iter().all(|other| other["starts_at"].as_str() >= slot["ends_at"].as_str()), "{next:?}");
        }
        let next = replies.iter().find(|reply| reply.status == 409).expect("a refusal").body["next_free"][0].clone();
        book(&desk, request(&next, &clinic.follow_up, &patients[0])).await.expect(201);
        assert_eq!(app.mails().await.len(), 2);
        assert_no_overlap(&desk).await;
    }

    async fn parallel_visits_of_several_slots_from_different_starts_never_overlap(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let patients = some_patients(&app, 48).await;
        let slots = free_slots(&desk, &clinic.check).await;
        let visits = [&clinic.new_visit, &clinic.follow_up, &clinic.check];
        let replies = join_all(patients.iter().enumerate().map(|(n, patient)| {
            book(&desk, request(&slots[n * 5 % 8], visits[n % 3], patient))
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
        // Two visits of an hour from the first and the fifth start leave no start free.
        assert!(booked.len() >= 2);
    }

    async fn parallel_moves_across_each_other_neither_deadlock_nor_double(app: App) {
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
            visits.push(book(&desk, request(slot, &clinic.new_visit, patient)).await.expect(201).body.clone());
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

    async fn one_patient_in_parallel_at_two_doctors_is_booked_once(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let patients = some_patients(&app, 6).await;
        let other = practitioner(&app.admin().await, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let path = |doctor: &str| format!("/v1/slots?visit_type_id={}&practitioner_id={doctor}&limit=20", clinic.check);
        let here = desk.get(&path(&clinic.practitioner_id)).await.items();
        let there = desk.get(&path(&other)).await.items();
        for (n, patient) in patients.iter().enumerate() {
            let both = [&here[n], &there[n]].map(|slot| book(&desk, request(slot, &clinic.check, patient)));
            let replies = join_all(both).await;
            assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
            replies.iter().find(|reply| reply.status != 201).expect("a refusal").problem(409, "patient_busy");
        }
    }

    async fn fifty_parallel_posts_with_one_key_book_once_and_mail_once(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = free_slots(&ann, &clinic.follow_up).await[0].clone();
        let body = request(&slot, &clinic.follow_up, &ann.patient_id);
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

/// Records without accounts.
async fn some_patients(app: &App, count: usize) -> Vec<String> {
    let desk = app.desk().await;
    let mut ids = Vec::new();
    for n in 0..count {
        let email = format!("patient-{n}@patients.example");
        let reply =
            desk.post("/v1/patients", crate::support::people::patient_json(&format!("Patient {n}"), &email)).await;
        ids.push(reply.expect(201).id());
    }
    ids
}

/// No two live appointments of a doctor share a minute. Returns the live ones.
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
