//! Changing an appointment: the day of the visit, undo, cancelling, rescheduling.

use serde_json::{Value, json};

use crate::appointments::{act, booked, calendar, has, nth, set, turn_to, unfolded};
use crate::support::booking::path;
use crate::support::clinic::{free_slots, location, practitioner};
use crate::support::{App, Reply, book, both};

both! {
    async fn every_status_change_of_a_visit_is_in_its_history(app: App) {
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

    async fn an_action_that_the_status_forbids_is_rejected_with_the_allowed_ones(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slot = nth(&desk, &clinic, 4).await;
        let visit = book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        let allowed = |reply: &Reply| reply.problem(409, "status_conflict")["allowed"].clone();
        let refused = act(&desk, &visit, "no-show").await;
        assert_eq!(allowed(&refused), json!(["reschedule", "cancel", "confirm", "check-in"]), "it has not begun");
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

    async fn check_in_before_the_day_of_the_visit_is_rejected(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let path_of_day = format!("/v1/slots?visit_type_id={}&from=2026-03-09T00:00:00Z&limit=1", clinic.check);
        let slot = desk.get(&path_of_day).await.items()[0].clone();
        let visit = book(&desk, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        let refused = act(&desk, &visit, "check-in").await;
        assert_eq!(refused.problem(409, "too_early")["allowed"], json!(["reschedule", "cancel", "confirm"]));
        // Midnight in New York, in daylight saving time.
        app.clock.set("2026-03-09T04:00:00Z".parse().expect("an instant"));
        act(&desk, &visit, "check-in").await.expect(200);
        act(&desk, &visit, "complete").await.expect(200);
    }

    async fn undo_requires_a_reason_and_the_same_local_day(app: App) {
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

    async fn a_patient_cancels_until_the_notice_period_and_staff_at_any_time(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(60)).await;
        let slot = nth(&ann, &clinic, 8).await;
        let visit = book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        let other = nth(&ann, &clinic, 20).await;
        turn_to(&app, &visit, -59);
        act(&ann, &visit, "cancel").await.problem(409, "cancel_notice");
        let moved = ann.post(&path(&visit, "/reschedule"), json!({"slot_id": other["id"]})).await;
        assert_eq!(moved.problem(409, "cancel_notice")["allowed"], json!(["confirm"]));
        turn_to(&app, &visit, -60);
        ann.post(&path(&visit, "/reschedule"), json!({"slot_id": other["id"]})).await.expect(200);

        let again = book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201).body.clone();
        turn_to(&app, &again, 5);
        act(&desk, &again, "cancel").await.expect(200);
    }

    async fn a_booked_visit_keeps_its_notice_until_it_is_moved(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        set(&app, &clinic.check, "cancel_notice_minutes", json!(60)).await;
        let mut visits = Vec::new();
        for number in [8, 12, 16] {
            visits.push(book(&ann, &nth(&ann, &clinic, number).await, &clinic.check, &ann.patient_id).await.expect(201).body.clone());
        }
        let until = async |visit: &Value| ann.get(&path(visit, "")).await.expect(200).body["cancellable_until"].clone();
        set(&app, &clinic.check, "cancel_notice_minutes", json!(20_160)).await;
        for visit in &visits {
            assert_eq!(&until(visit).await, &visit["cancellable_until"], "what the mail promised");
        }
        turn_to(&app, &visits[0], -90);
        act(&ann, &visits[0], "cancel").await.expect(200);
        // In time, so it does not count for the patient.
        act(&desk, &visits[1], "cancel").await.expect(200);
        assert_eq!(desk.get(&format!("/v1/patients/{}", ann.patient_id)).await.expect(200).body["missed_visits"], Value::Null);

        let to = json!({"slot_id": nth(&ann, &clinic, 100).await["id"]});
        let moved = desk.post(&path(&visits[2], "/reschedule"), to).await.expect(200).body.clone();
        let at = |member: &str| moved[member].as_str().expect("an instant").parse::<legwork::clock::Timestamp>().expect("an instant");
        assert_eq!(at("starts_at").since(at("cancellable_until")), jiff::SignedDuration::from_hours(336));
        act(&ann, &visits[2], "cancel").await.problem(409, "cancel_notice");
        set(&app, &clinic.check, "cancel_notice_minutes", json!(0)).await;
        assert_eq!(until(&visits[2]).await, moved["cancellable_until"]);
    }

    async fn cancelling_frees_the_slots_and_cancels_the_calendar_entry(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slot = free_slots(&ann, &clinic.follow_up).await[1].clone();
        let visit = book(&ann, &slot, &clinic.follow_up, &ann.patient_id).await.expect(201).body.clone();
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
        book(&bob, &slot, &clinic.follow_up, &bob.patient_id).await.expect(201);
    }

    async fn rescheduling_keeps_the_calendar_uid_and_frees_the_old_time(app: App) {
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

    async fn a_visit_can_be_rescheduled_to_overlap_its_old_time(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slots = free_slots(&ann, &clinic.check).await;
        let visit = book(&ann, &slots[2], &clinic.new_visit, &ann.patient_id).await.expect(201).body.clone();
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

    async fn actions_check_if_match_and_run_once_per_idempotency_key(app: App) {
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
}
