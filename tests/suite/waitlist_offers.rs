//! Offers of times that became free to patients who wait.

use diesel::prelude::*;
use futures_util::future::join_all;
use jiff::SignedDuration;
use legwork::db::schema::freed_times;
use serde_json::{Value, json};

use crate::support::booking::{book, book_nth, path};
use crate::support::clinic::free_slots;
use crate::support::{App, Client, both};

pub(super) const OFFERS: &str = "/v1/waitlist-offers";

/// Puts a patient on the waitlist for a kind of visit at the time of an appointment or a slot, and returns the entry.
pub(super) async fn wait_for(client: &Client, patient: &str, visit_type: &str, time: &Value, more: Value) -> String {
    let at: jiff::Timestamp = time["starts_at"].as_str().expect("a start").parse().expect("an instant");
    let local = at.to_zoned(legwork::zones::Zones::bundled().get("America/New_York").expect("a zone"));
    let minute = |zoned: &jiff::Zoned| zoned.strftime("%H:%M").to_string();
    let mut entry = json!({
        "patient_id": patient, "visit_type_id": visit_type, "from_date": local.date().to_string(), "to_date": local.date().to_string(),
        "from_time": minute(&local), "to_time": minute(&local.saturating_add(jiff::Span::new().minutes(1))),
    });
    for (member, value) in more.as_object().expect("an object") {
        entry[member] = value.clone();
    }
    client.post("/v1/waitlist-entries", entry).await.expect(201).id()
}

/// Runs the job until it has nothing left to do. The job of the server may do a part of it.
pub(super) async fn run(app: &App) {
    while legwork::waitlist::job::run(&app.env).await.expect("a round").has_more {}
}

/// The offers to a patient, oldest first.
pub(super) async fn offers(client: &Client, patient: &str) -> Vec<Value> {
    client.get(&format!("{OFFERS}?patient_id={patient}")).await.items()
}

pub(super) fn statuses(offers: &[Value]) -> Vec<&str> {
    offers.iter().map(|offer| offer["status"].as_str().expect("a status")).collect()
}

pub(super) fn of(offer: &Value, rest: &str) -> String {
    format!("{OFFERS}/{}{rest}", offer["id"].as_str().expect("an id"))
}

pub(super) async fn status_of(client: &Client, entry: &str) -> String {
    client.get(&format!("/v1/waitlist-entries/{entry}")).await.expect(200).string("/status")
}

both! {
    async fn a_cancelled_visit_is_offered_to_the_most_urgent_entry_and_32_claims_book_it_once(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let carl = app.patient("carl").await;
        let visit = book_nth(&desk, &clinic.check, 60, &carl.patient_id).await.body;
        wait_for(&ann, &ann.patient_id, &clinic.check, &visit, json!({})).await;
        app.clock.advance(SignedDuration::from_mins(1));
        let entry = wait_for(&desk, &bob.patient_id, &clinic.check, &visit, json!({"urgency": "urgent"})).await;
        run(&app).await;
        assert!(offers(&desk, &bob.patient_id).await.is_empty(), "the time is not free");

        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        run(&app).await;
        let made = offers(&bob, &bob.patient_id).await;
        assert_eq!(statuses(&made), ["offered"]);
        assert_eq!((&made[0]["starts_at"], &made[0]["way"], &made[0]["made_by"]), (&visit["starts_at"], &json!("mail"), &Value::Null));
        assert!(offers(&desk, &ann.patient_id).await.is_empty(), "less urgent");
        assert_eq!(status_of(&bob, &entry).await, "offered");
        let mails = app.mails().await;
        assert!(mails.iter().any(|mail| mail.subject.contains("A time is free")), "{mails:?}");
        // Nobody else gets the time, and nobody else answers.
        let search = free_slots(&desk, &clinic.check).await;
        assert!(search.iter().all(|slot| slot["starts_at"] != visit["starts_at"]));
        book(&desk, &made[0]["slot_id"], &clinic.check, &ann.patient_id).await.problem(409, "slot_taken");
        ann.get(&of(&made[0], "")).await.problem(404, "not_found");
        ann.post_empty(&of(&made[0], "/claim")).await.problem(404, "not_found");
        ann.post_empty(&of(&made[0], "/decline")).await.problem(404, "not_found");
        assert!(offers(&ann, &bob.patient_id).await.is_empty());

        let claim = of(&made[0], "/claim");
        let claims = join_all((0..32).map(|_| bob.post_empty(&claim))).await;
        let booked = claims[0].expect(200).string("/appointment_id");
        for claimed in &claims {
            assert_eq!(claimed.expect(200).string("/appointment_id"), booked);
        }
        let visits = bob.get(&format!("/v1/appointments?patient_id={}", bob.patient_id)).await.items();
        assert_eq!(visits.len(), 1);
        assert_eq!((&visits[0]["id"], &visits[0]["starts_at"]), (&json!(booked), &visit["starts_at"]));
        assert_eq!(status_of(&bob, &entry).await, "booked");
        bob.post_empty(&of(&made[0], "/decline")).await.problem(409, "offer_ended");
        assert_eq!(bob.get(&of(&made[0], "")).await.expect(200).string("/status"), "claimed");
    }

    async fn staff_read_offers_from_either_end_with_the_names_that_they_refer_to(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        for (patient, slot) in [(&ann, &slots[60]), (&bob, &slots[90])] {
            wait_for(patient, &patient.patient_id, &clinic.check, slot, json!({})).await;
            run(&app).await;
            app.clock.advance(SignedDuration::from_mins(1));
        }
        let patients = |page: &Value| -> Vec<Value> {
            page["items"].as_array().expect("items").iter().map(|offer| offer["patient"]["id"].clone()).collect()
        };
        let page = desk.get(&format!("{OFFERS}?include=practitioner,location,visit_type")).await.expect(200).body.clone();
        assert_eq!(patients(&page), [json!(ann.patient_id), json!(bob.patient_id)]);
        assert_eq!(page["included"]["practitioners"], json!([{"id": clinic.practitioner_id, "name": "Dr. Ada Vein"}]));
        assert_eq!(page["included"]["visit_types"][0]["public_name"], "Check");
        assert_eq!(page["included"]["locations"][0]["id"], json!(clinic.location_id));
        let page = desk.get(&format!("{OFFERS}?sort=-created_at")).await.expect(200).body.clone();
        assert_eq!(patients(&page), [json!(bob.patient_id), json!(ann.patient_id)]);
        assert_eq!(page.get("included"), None);
        // Patients know who they are.
        let own = ann.get(OFFERS).await.items();
        assert_eq!((own.len(), own[0].get("patient")), (1, None));
    }

    async fn an_offer_that_lapses_or_is_declined_goes_to_the_next_patient(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        let first = wait_for(&ann, &ann.patient_id, &clinic.check, &slot, json!({})).await;
        app.clock.advance(SignedDuration::from_mins(1));
        wait_for(&bob, &bob.patient_id, &clinic.check, &slot, json!({})).await;
        run(&app).await;
        let made = offers(&ann, &ann.patient_id).await;
        assert_eq!(statuses(&made), ["offered"], "a new entry gets a time that is free already");
        assert!(offers(&bob, &bob.patient_id).await.is_empty());

        app.clock.advance(SignedDuration::from_mins(120));
        ann.post_empty(&of(&made[0], "/claim")).await.problem(409, "offer_lapsed");
        run(&app).await;
        assert_eq!(statuses(&offers(&ann, &ann.patient_id).await), ["lapsed"]);
        assert_eq!(status_of(&ann, &first).await, "waiting", "the patient keeps the place");
        let next = offers(&bob, &bob.patient_id).await;
        assert_eq!(statuses(&next), ["offered"]);
        let declined = bob.post_empty(&of(&next[0], "/decline")).await;
        assert_eq!(declined.expect(200).string("/status"), "declined");
        bob.post_empty(&of(&next[0], "/decline")).await.expect(200);
        bob.post_empty(&of(&next[0], "/claim")).await.problem(409, "offer_ended");
        run(&app).await;
        // Both were offered it. It is free for everyone.
        let both = [offers(&desk, &ann.patient_id).await, offers(&desk, &bob.patient_id).await];
        assert_eq!(both.map(|offers| offers.len()), [1, 1]);
        book(&desk, &slot, &clinic.check, &ann.patient_id).await.expect(201);
        assert_eq!(status_of(&ann, &first).await, "booked", "a visit that is booked in another way ends the wait");
    }

    async fn nobody_has_two_offers_although_instances_run_at_once(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        for patient in [&ann.patient_id, &bob.patient_id] {
            for visit_type in [&clinic.check, &clinic.new_visit, &clinic.follow_up] {
                let entry = json!({"patient_id": patient, "visit_type_id": visit_type});
                desk.post("/v1/waitlist-entries", entry).await.expect(201);
            }
        }
        join_all((0..4).map(|_| run(&app))).await;
        for patient in [&ann.patient_id, &bob.patient_id] {
            let made = offers(&desk, patient).await;
            assert_eq!(statuses(&made), ["offered"]);
            let first = of(&made[0], "/decline");
            desk.post_empty(&first).await.expect(200);
        }
        join_all((0..4).map(|_| run(&app))).await;
        let open = desk.get(&format!("{OFFERS}?status=offered")).await.items();
        assert_eq!(open.len(), 2);
        assert_ne!(open[0]["patient_id"], open[1]["patient_id"]);
        assert_ne!(open[0]["starts_at"], open[1]["starts_at"], "no time is offered twice");
    }

    async fn patients_whose_visits_can_no_longer_be_moved_keep_nobody_from_their_turn(app: App) {
        let clinic = app.clinic().await;
        let (desk, zoe) = (app.desk().await, app.patient("zoe").await);
        let kind = format!("/v1/visit-types/{}", clinic.check);
        app.admin().await.update(&kind, json!({"cancel_notice_minutes": 40_000})).await.expect(200);
        let mut later = Vec::new();
        for name in ["ann", "bob", "carl", "dan"] {
            let patient = app.patient(name).await.patient_id;
            later.push((book_nth(&desk, &clinic.check, 190, &patient).await.id(), patient));
        }
        for (visit, patient) in &later {
            let entry = json!({"patient_id": patient, "visit_type_id": clinic.check, "appointment_id": visit});
            desk.post("/v1/waitlist-entries", entry).await.expect(201);
        }
        run(&app).await;
        assert!(desk.get(&format!("{OFFERS}?status=offered")).await.items().is_empty());
        desk.post("/v1/waitlist-entries", json!({"patient_id": zoe.patient_id, "visit_type_id": clinic.check})).await.expect(201);
        run(&app).await;
        assert_eq!(statuses(&offers(&desk, &zoe.patient_id).await), ["offered"]);
    }

    async fn the_quiet_hours_have_no_offers_and_do_not_shorten_one(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        // 20:30 in New York.
        app.clock.advance(SignedDuration::from_mins(11 * 60 + 30));
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check});
        desk.post("/v1/waitlist-entries", entry).await.expect(201);
        run(&app).await;
        let made = offers(&desk, &ann.patient_id).await;
        assert_eq!(made[0]["expires_at"], "2026-03-03T14:30:00Z", "half an hour, and 90 minutes from 08:00 on");
        // 23:00.
        app.clock.advance(SignedDuration::from_mins(150));
        desk.post_empty(&of(&made[0], "/decline")).await.expect(200);
        run(&app).await;
        assert_eq!(offers(&desk, &ann.patient_id).await.len(), 1);
        app.clock.advance(SignedDuration::from_hours(9));
        run(&app).await;
        assert_eq!(statuses(&offers(&desk, &ann.patient_id).await), ["declined", "offered"]);
    }

    async fn a_claim_moves_the_later_visit_of_a_patient_who_waits_for_an_earlier_time(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let later = book_nth(&ann, &clinic.check, 190, &ann.patient_id).await.body;
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "appointment_id": later["id"]});
        let entry = ann.post("/v1/waitlist-entries", entry).await.expect(201).id();
        run(&app).await;
        let made = offers(&ann, &ann.patient_id).await;
        assert!(made[0]["starts_at"].as_str() < later["starts_at"].as_str());
        // Claims race with a move of the same visit: all end, and the patient has one visit.
        let slots = free_slots(&desk, &clinic.check).await;
        let (claim, moving) = (of(&made[0], "/claim"), path(&later, "/reschedule"));
        let claims = join_all((0..8).map(|_| ann.post_empty(&claim)));
        let moves = join_all((0..8).map(|nth| desk.post(&moving, json!({"slot_id": slots[100 + nth]["id"]}))));
        let (claims, _) = tokio::join!(claims, moves);
        for claimed in claims {
            assert_eq!(claimed.expect(200).body["appointment_id"], later["id"]);
        }
        let visits = ann.get(&format!("/v1/appointments?patient_id={}", ann.patient_id)).await.items();
        assert_eq!((visits.len(), &visits[0]["id"]), (1, &later["id"]));
        assert_eq!(status_of(&ann, &entry).await, "booked");
    }

    async fn a_visit_booked_in_another_way_withdraws_the_offer_and_an_ended_entry_frees_its_time(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        wait_for(&ann, &ann.patient_id, &clinic.check, &slots[60], json!({})).await;
        let entry = wait_for(&bob, &bob.patient_id, &clinic.check, &slots[61], json!({})).await;
        run(&app).await;
        book(&ann, &slots[90], &clinic.check, &ann.patient_id).await.expect(201);
        let offers_to_ann = offers(&ann, &ann.patient_id).await;
        assert_eq!(statuses(&offers_to_ann), ["withdrawn"]);
        ann.post_empty(&of(&offers_to_ann[0], "/claim")).await.problem(409, "offer_ended");
        bob.post_empty(&format!("/v1/waitlist-entries/{entry}/cancel")).await.expect(200);
        assert_eq!(statuses(&offers(&bob, &bob.patient_id).await), ["withdrawn"]);
        run(&app).await;
        let free = free_slots(&desk, &clinic.check).await;
        for slot in &slots[60..62] {
            assert!(free.iter().any(|other| other["id"] == slot["id"]), "{slot}");
        }
    }

    async fn a_patient_who_declined_is_not_offered_a_time_soon_before_or_after_it_for_a_day(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "from_date": "2026-03-12", "to_date": "2026-03-12"});
        desk.post("/v1/waitlist-entries", entry).await.expect(201);
        run(&app).await;
        let first = offers(&ann, &ann.patient_id).await.remove(0);
        ann.post_empty(&of(&first, "/decline")).await.expect(200);
        run(&app).await;
        let made = offers(&ann, &ann.patient_id).await;
        assert_eq!(statuses(&made), ["declined", "offered"], "another time of the day may suit");
        let starts: Vec<jiff::Timestamp> =
            made.iter().map(|offer| offer["starts_at"].as_str().expect("a start").parse().expect("an instant")).collect();
        assert!(starts[1].duration_since(starts[0]) > SignedDuration::from_hours(2), "{starts:?}");
        ann.post_empty(&of(&made[1], "/decline")).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24));
        run(&app).await;
        let next = offers(&ann, &ann.patient_id).await.pop().expect("an offer");
        let next: jiff::Timestamp = next["starts_at"].as_str().expect("a start").parse().expect("an instant");
        assert_eq!(next.duration_since(starts[0]), SignedDuration::from_mins(15), "a day later the next time is offered");
    }

    async fn a_time_that_a_request_frees_is_offered_before_others_can_book_it(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, desk) = (app.patient("ann").await, app.patient("bob").await, app.desk().await);
        let visit = book_nth(&desk, &clinic.check, 60, &bob.patient_id).await.body;
        wait_for(&ann, &ann.patient_id, &clinic.check, &visit, json!({})).await;
        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        // The job of the server, which looks every five seconds by itself.
        let begun = std::time::Instant::now();
        while offers(&ann, &ann.patient_id).await.is_empty() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(4), "nothing was offered");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn the_job_has_nothing_to_write_while_nobody_waits(app: App) {
        let (clinic, bob, desk) = (app.clinic().await, app.patient("bob").await, app.desk().await);
        let visit = book_nth(&desk, &clinic.check, 60, &bob.patient_id).await.body;
        desk.post(&path(&visit, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        let freed: i64 = app.db(|tx| Ok(freed_times::table.count().get_result(tx)?)).await;
        assert_eq!(freed, 0);
        let round = legwork::waitlist::job::run(&app.env).await.expect("a round");
        assert_eq!((round.offers, round.has_more), (0, false));
    }

    async fn an_entry_whose_last_day_has_passed_ends(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "to_date": "2026-03-02", "to_time": "00:05"});
        let entry = desk.post("/v1/waitlist-entries", entry).await;
        entry.expect(201);
        app.clock.advance(SignedDuration::from_hours(24));
        run(&app).await;
        let found = desk.get(&entry.location()).await;
        assert_eq!((found.string("/status"), found.etag()), ("expired".into(), "\"2\"".into()), "it is stored");
    }

    async fn three_lapses_pause_an_entry_until_it_is_changed(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "from_date": "2026-03-12"});
        let entry = desk.post("/v1/waitlist-entries", entry).await.expect(201).location();
        for lapses in 1..=3 {
            run(&app).await;
            let made = offers(&desk, &ann.patient_id).await;
            assert_eq!((made.len(), made.last().map(|offer| &offer["status"])), (lapses, Some(&json!("offered"))));
            app.mails().await;
            app.clock.advance(SignedDuration::from_hours(3));
        }
        run(&app).await;
        assert_eq!(offers(&desk, &ann.patient_id).await.len(), 3, "it pauses");
        desk.update(&entry, json!({"from_date": "2026-03-13"})).await.expect(200);
        run(&app).await;
        let made = offers(&desk, &ann.patient_id).await;
        assert_eq!(statuses(&made), ["lapsed", "lapsed", "lapsed", "offered"]);
        let starts: std::collections::BTreeSet<_> = made.iter().map(|offer| offer["starts_at"].as_str()).collect();
        assert_eq!(starts.len(), 4, "no time is offered to an entry twice");
    }
}
