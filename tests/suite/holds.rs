//! Holds: with and without a session, one or several at a time, and what ends them.

use std::collections::HashSet;

use futures_util::future::join_all;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::booking::{booking, path, post_booking};
use crate::support::clinic::free_slots;
use crate::support::people::PASSWORD;
use crate::support::{App, Client, Reply, book, both, id};

/// Holds a slot. `headers` are of the request.
pub(crate) async fn hold_with(client: &Client, slot: &Value, visit_type: &str, headers: &[(&str, &str)]) -> Reply {
    let path = format!("/v1/slots/{}/hold", id(slot));
    client.post_with(&path, json!({"visit_type_id": visit_type}), headers).await
}

pub(crate) async fn hold(client: &Client, slot: &Value, visit_type: &str) -> Reply {
    hold_with(client, slot, visit_type, &[]).await
}

/// Whether the search offers a slot.
pub(crate) async fn is_free(client: &Client, slot: &Value, visit_type: &str) -> bool {
    free_slots(client, visit_type).await.iter().any(|free| free["id"] == slot["id"])
}

both! {
    async fn a_caller_without_a_session_holds_a_time_with_a_secret(app: App) {
        let clinic = app.clinic().await;
        let (anon, ann) = (app.anon(), app.patient("ann").await);
        let slot = free_slots(&anon, &clinic.check).await[3].clone();
        let held = hold(&anon, &slot, &clinic.check).await;
        held.expect(201);
        let (path, secret) = (held.location(), held.string("/secret"));
        assert!(secret.len() >= 22 && held.body["renewable"] == true && held.body["reserved"] == false, "{}", held.text);
        assert!(held.body.get("replaced_hold_id").is_none());
        hold(&ann, &slot, &clinic.check).await.problem(409, "slot_taken");
        assert!(!is_free(&anon, &slot, &clinic.check).await);

        let with = |secret: &'static str| [("Hold-Secret", secret)];
        let secret: &'static str = secret.leak();
        for (client, headers) in [(&anon, &[][..]), (&anon, &with("x")[..]), (&ann.client, &[][..]), (&ann.client, &with("x")[..])] {
            for (method, end) in [(Method::GET, ""), (Method::POST, "/renew"), (Method::DELETE, "")] {
                client.send(method, &format!("{path}{end}"), headers, None).await.problem(404, "not_found");
            }
        }
        let shown = anon.get_with(&path, &with(secret)).await;
        assert_eq!(shown.expect(200).body["slot"], held.body["slot"]);
        assert!(!shown.text.contains("secret") && !shown.text.contains(secret), "{}", shown.text);
        app.clock.advance(SignedDuration::from_mins(5));
        let renewed = anon.send(Method::POST, &format!("{path}/renew"), &with(secret), None).await;
        assert_eq!(renewed.expect(200).body["expires_at"], "2026-03-02T14:15:00Z");
        assert_ne!(renewed.etag(), shown.etag());
        anon.send(Method::POST, &format!("{path}/renew"), &with(secret), None).await.problem(409, "hold_renewed");
        anon.send(Method::DELETE, &path, &with(secret), None).await.expect(204);
        assert!(is_free(&anon, &slot, &clinic.check).await);

        let held = hold(&anon, &slot, &clinic.check).await.expect(201).location();
        app.clock.advance(SignedDuration::from_mins(10));
        anon.get_with(&held, &with(secret)).await.problem(404, "not_found");
        assert!(is_free(&anon, &slot, &clinic.check).await);
        anon.get_with(&held, &with("")).await.invalid("Hold-Secret:", "wrong_value");
        anon.get_with(&held, &[("Hold-Secret", &"x".repeat(129))]).await.invalid("Hold-Secret:", "wrong_value");
    }

    async fn a_hold_without_a_session_replaces_the_one_whose_secret_it_sends(app: App) {
        let clinic = app.clinic().await;
        let anon = app.anon();
        let slots = free_slots(&anon, &clinic.follow_up).await;
        let first = hold(&anon, &slots[0], &clinic.follow_up).await;
        let secret = first.expect(201).string("/secret");
        // It may overlap the one that it replaces.
        let second = hold_with(&anon, &slots[1], &clinic.follow_up, &[("Hold-Secret", &secret)]).await;
        assert_eq!(second.expect(201).body["replaced_hold_id"], first.body["id"]);
        assert_ne!(second.string("/secret"), secret);
        assert!(!is_free(&anon, &slots[0], &clinic.follow_up).await);
        anon.get_with(&first.location(), &[("Hold-Secret", &secret)]).await.problem(404, "not_found");
        let third = hold_with(&anon, &slots[4], &clinic.follow_up, &[("Hold-Secret", &second.string("/secret"))]).await;
        third.expect(201);
        assert!(is_free(&anon, &slots[0], &clinic.follow_up).await);
        // A secret that is of no hold replaces none, and a refused hold leaves the earlier one.
        let fourth = hold_with(&anon, &slots[8], &clinic.follow_up, &[("Hold-Secret", &secret)]).await;
        assert!(fourth.expect(201).body.get("replaced_hold_id").is_none());
        let secret = third.string("/secret");
        hold_with(&anon, &slots[8], &clinic.follow_up, &[("Hold-Secret", &secret)]).await.problem(409, "slot_taken");
        anon.get_with(&third.location(), &[("Hold-Secret", &secret)]).await.expect(200);
    }

    /// All callers without a session are one to the stored responses, so a key would hand one stranger's secret to another.
    async fn an_idempotency_key_without_a_session_is_refused(app: App) {
        let clinic = app.clinic().await;
        let (anon, ann) = (app.anon(), app.patient("ann").await);
        let slots = free_slots(&anon, &clinic.check).await;
        let key = [("Idempotency-Key", "a-key")];
        hold_with(&anon, &slots[0], &clinic.check, &key).await.invalid("Idempotency-Key:", "not_signed_in");
        let held = hold(&anon, &slots[0], &clinic.check).await;
        let path = format!("{}/renew", held.expect(201).location());
        let headers = [key[0], ("Hold-Secret", &held.string("/secret"))];
        anon.send(Method::POST, &path, &headers, None).await.invalid("Idempotency-Key:", "not_signed_in");

        let first = hold_with(&ann, &slots[4], &clinic.check, &key).await;
        let again = hold_with(&ann, &slots[4], &clinic.check, &key).await;
        assert_eq!(first.expect(201).text, again.expect(201).text);
    }

    async fn callers_without_a_session_hold_only_what_patients_may_book(app: App) {
        let clinic = app.clinic().await;
        let (admin, anon, desk) = (app.admin().await, app.anon(), app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let path = format!("/v1/visit-types/{}", clinic.check);
        admin.update(&path, json!({"booking_notice_minutes": 60})).await.expect(200);
        hold(&anon, &slots[0], &clinic.check).await.problem(409, "booking_notice");
        hold(&desk, &slots[0], &clinic.check).await.expect(201);
        // With a hold, the notice counts at its creation.
        let ann = app.patient("ann").await;
        let last = hold(&ann, &slots[3], &clinic.check).await;
        app.clock.advance(SignedDuration::from_mins(9));
        let mut body = booking(&slots[3], &clinic.check, &ann.patient_id);
        post_booking(&ann, body.clone()).await.problem(409, "booking_notice");
        body["hold_id"] = last.expect(201).body["id"].clone();
        post_booking(&ann, body).await.expect(201);
        admin.update(&path, json!({"online_bookable": false})).await.expect(200);
        hold(&anon, &slots[20], &clinic.check).await.problem(409, "not_online_bookable");
        hold(&desk, &slots[20], &clinic.check).await.expect(201);
        // A session that has ended is no stranger's: its client would lose the hold of the account.
        let ended = anon.with_token("nonsense");
        hold(&ended, &slots[24], &clinic.check).await.problem(401, "unauthenticated");
    }

    async fn an_account_takes_over_a_hold_with_its_secret(app: App) {
        let clinic = app.clinic().await;
        let (anon, ann, bob) = (app.anon(), app.patient("ann").await, app.patient("bob").await);
        let slots = free_slots(&anon, &clinic.check).await;
        let held = hold(&anon, &slots[2], &clinic.check).await;
        held.expect(201);
        let with = |patient: &str, secret: Option<&str>| {
            let mut body = booking(&slots[2], &clinic.check, patient);
            body["hold_id"] = held.body["id"].clone();
            if let Some(secret) = secret {
                body["hold_secret"] = json!(secret);
            }
            body
        };
        post_booking(&ann, with(&ann.patient_id, None)).await.problem(409, "hold_lapsed");
        post_booking(&bob, with(&bob.patient_id, Some("a guess"))).await.problem(409, "hold_lapsed");
        post_booking(&bob, with(&bob.patient_id, Some(&"x".repeat(129)))).await.invalid("/hold_secret", "too_long");
        let secret = held.string("/secret");
        post_booking(&ann, with(&ann.patient_id, Some(&secret))).await.expect(201);
        anon.get_with(&held.location(), &[("Hold-Secret", &secret)]).await.problem(404, "not_found");
        post_booking(&bob, with(&bob.patient_id, Some(&secret))).await.problem(409, "hold_lapsed");
    }

    async fn staff_hold_several_times_at_once_and_a_patient_one(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free_slots(&desk, &clinic.check).await;
        let mut held = Vec::new();
        for slot in &slots[..5] {
            let reply = hold(&desk, slot, &clinic.check).await;
            assert!(reply.expect(201).body.get("replaced_hold_id").is_none());
            held.push(reply.location());
        }
        hold(&desk, &slots[5], &clinic.check).await.problem(409, "hold_limit");
        for path in &held {
            desk.get(path).await.expect(200);
        }
        desk.delete(&held[2]).await.expect(204);
        hold(&desk, &slots[5], &clinic.check).await.expect(201);
        hold(&desk, &slots[2], &clinic.check).await.problem(409, "hold_limit");
        app.clock.advance(SignedDuration::from_mins(10));
        // Those that lapsed are no longer counted.
        for slot in &slots[1..6] {
            hold(&desk, slot, &clinic.check).await.expect(201);
        }

        let first = hold(&ann, &slots[10], &clinic.check).await.expect(201).string("/id");
        let second = hold(&ann, &slots[12], &clinic.check).await;
        assert_eq!(second.expect(201).string("/replaced_hold_id"), first);
        assert!(is_free(&desk, &slots[10], &clinic.check).await);
        app.clock.advance(SignedDuration::from_mins(10));
        let third = hold(&ann, &slots[10], &clinic.check).await;
        assert!(third.expect(201).body.get("replaced_hold_id").is_none(), "the second one lapsed");
    }

    async fn parallel_holds_of_one_member_of_staff_keep_to_the_limit(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = free_slots(&desk, &clinic.check).await;
        let replies = join_all(slots[..12].iter().map(|slot| hold(&desk, slot, &clinic.check))).await;
        let held: Vec<_> = replies.iter().filter(|reply| reply.status == 201).collect();
        assert_eq!(held.len(), 5, "{:?}", replies.iter().map(|reply| &reply.text).collect::<Vec<_>>());
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            reply.problem(409, "hold_limit");
        }
    }

    async fn a_hold_reports_that_no_patient_of_the_account_may_have_another_visit(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slots = free_slots(&ann, &clinic.check).await;
        for slot in &slots[..4] {
            post_booking(&ann, booking(slot, &clinic.check, &ann.patient_id)).await.expect(201);
        }
        hold(&ann, &slots[8], &clinic.check).await.problem(409, "booking_limit");
        hold(&desk, &slots[8], &clinic.check).await.expect(201);
        // Somebody whom she added has room.
        let mut child = crate::support::people::patient_json("Kim", "kim@patients.example");
        (child["date_of_birth"], child["relation"]) = (json!("2015-05-05"), json!("parent"));
        child.as_object_mut().expect("an object").remove("email");
        let child = ann.post("/v1/patients", child).await.expect(201).id();
        hold(&ann, &slots[9], &clinic.check).await.expect(201);
        post_booking(&ann, booking(&slots[10], &clinic.check, &child)).await.expect(201);
    }

    async fn a_patient_at_the_booking_limit_holds_a_time_to_move_a_visit(app: App) {
        let clinic = app.clinic().await;
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let slots = free_slots(&ann, &clinic.check).await;
        let mut booked = Vec::new();
        for slot in &slots[..4] {
            booked.push(post_booking(&ann, booking(slot, &clinic.check, &ann.patient_id)).await.expect(201).body.clone());
        }
        let hold_path = format!("/v1/slots/{}/hold", slots[8]["id"].as_str().expect("an id"));
        let to_move = |visit_type: &str| json!({"visit_type_id": visit_type, "appointment_id": booked[0]["id"]});
        let moving = to_move(&clinic.check);
        app.anon().post(&hold_path, moving.clone()).await.invalid("/appointment_id", "not_signed_in");
        ben.post(&hold_path, moving.clone()).await.problem(404, "not_found");
        ann.post(&hold_path, to_move(&clinic.follow_up)).await.invalid("/visit_type_id", "wrong_value");
        let held = ann.post(&hold_path, moving.clone()).await;
        let body = json!({"slot_id": slots[8]["id"], "hold_id": held.expect(201).body["id"]});
        let moved = ann.post(&path(&booked[0], "/reschedule"), body).await;
        assert_eq!(moved.expect(200).body["starts_at"], slots[8]["starts_at"]);
        ann.post(&path(&booked[0], "/cancel"), json!({"reason": "I am away."})).await.expect(200);
        ann.post(&hold_path, moving).await.problem(409, "status_conflict");
    }

    async fn a_visit_is_moved_to_a_time_that_was_held_without_a_session(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slots = free_slots(&ann, &clinic.check).await;
        let booked = post_booking(&ann, booking(&slots[0], &clinic.check, &ann.patient_id)).await.expect(201).body.clone();
        let held = hold(&app.anon(), &slots[8], &clinic.check).await;
        let mut body = json!({"slot_id": slots[8]["id"], "hold_id": held.expect(201).body["id"]});
        ann.post(&path(&booked, "/reschedule"), body.clone()).await.problem(409, "hold_lapsed");
        body["hold_secret"] = json!("x".repeat(129));
        ann.post(&path(&booked, "/reschedule"), body.clone()).await.invalid("/hold_secret", "too_long");
        body["hold_secret"] = held.body["secret"].clone();
        let moved = ann.post(&path(&booked, "/reschedule"), body).await;
        assert_eq!(moved.expect(200).body["starts_at"], slots[8]["starts_at"]);
    }

    async fn one_of_many_strangers_gets_a_time_and_the_others_get_the_next_free_slots(app: App) {
        let clinic = app.clinic().await;
        let strangers: Vec<_> = (0..32).map(|number| app.anon_at(&format!("127.9.{number}.1"))).collect();
        let slot = free_slots(&strangers[0], &clinic.follow_up).await[0].clone();
        let replies = join_all(strangers.iter().map(|stranger| hold(stranger, &slot, &clinic.follow_up))).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            let next = reply.problem(409, "slot_taken")["next_free"].as_array().expect("slots").clone();
            assert!(!next.is_empty());
            assert!(next.iter().all(|other| other["starts_at"].as_str() >= slot["ends_at"].as_str()), "{next:?}");
        }
    }

    async fn a_held_time_has_one_winner_among_bookings_and_holds(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        for (round, slot) in slots[..6].iter().enumerate() {
            // At other addresses each time, because an address holds few times.
            let strangers: Vec<_> = (0..4).map(|number| app.anon_at(&format!("127.8.{}.1", round * 4 + number))).collect();
            let holds = join_all(strangers.iter().map(|stranger| hold(stranger, slot, &clinic.check)));
            let bookings = join_all([&ann, &bob].map(|patient| book(patient, slot, &clinic.check, &patient.patient_id)));
            let (holds, bookings) = futures_util::future::join(holds, bookings).await;
            let won = holds.iter().chain(&bookings).filter(|reply| reply.status == 201).count();
            assert_eq!(won, 1, "{:?}", holds.iter().chain(&bookings).map(|reply| &reply.text).collect::<Vec<_>>());
            for reply in holds.iter().chain(&bookings).filter(|reply| reply.status == 409) {
                let code = reply.body["code"].as_str().unwrap_or_default();
                assert!(["slot_taken", "booking_limit"].contains(&code), "{}", reply.text);
            }
        }
        let ids: HashSet<_> = slots[..6].iter().map(|slot| slot["id"].to_string()).collect();
        assert!(free_slots(&desk, &clinic.check).await.iter().all(|free| !ids.contains(&free["id"].to_string())));
    }

    async fn a_member_of_staff_who_must_set_up_a_second_factor_holds_nothing(app: App) {
        let clinic = app.clinic().await;
        let slot = free_slots(&app.desk().await, &clinic.check).await[0].clone();
        let app = app.restart(&["--require-totp", "staff"]);
        let desk = app.anon().sign_in("desk@clinic.example", PASSWORD).await;
        hold(&desk, &slot, &clinic.check).await.problem(403, "second_factor_required");
    }
}
