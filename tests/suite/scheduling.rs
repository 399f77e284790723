//! Scheduling: the clinic's set-up, publishing, searching, blocks and holds.

use std::collections::HashSet;

use diesel::connection::SimpleConnection;
use jiff::SignedDuration;
use legwork::actor::Role;
use serde_json::{Value, json};

use crate::support::clinic::{free_slots, hours, put_hours};
use crate::support::people::PASSWORD;
use crate::support::{App, Client, Clinic, Reply, book, both, id};

/// The free starts of a search, from all pages.
async fn all_free(client: &Client, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/slots?{query}&limit=200{cursor}")).await;
        found.extend(page.items());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn starts(slots: &[Value]) -> Vec<&str> {
    slots.iter().map(|slot| slot["starts_at"].as_str().expect("a start")).collect()
}

/// The id of the free slot that starts at this instant.
async fn slot_at(client: &Client, visit_type: &str, instant: &str) -> String {
    let found = client.get(&format!("/v1/slots?visit_type_id={visit_type}&from={instant}&limit=1")).await.items();
    assert_eq!(starts(&found), [instant]);
    id(&found[0]).to_owned()
}

async fn hold(client: &Client, slot: &str, visit_type: &str) -> Reply {
    client.post(&format!("/v1/slots/{slot}/hold"), json!({"visit_type_id": visit_type})).await
}

/// Accounts without a record, which can hold slots.
async fn accounts(app: &App, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..count {
        let email = format!("holder{number}@patients.example");
        app.account(&email, Role::Patient, None).await;
        clients.push(app.anon().sign_in(&email, PASSWORD).await);
    }
    clients
}

fn location_json() -> Value {
    json!({
        "name": "Quay", "address": "1 Harbour Quay, Boston", "phone": "+1 (617) 555-0100", "country": "US",
        "time_zone": "America/New_York", "slot_minutes": 20,
    })
}

fn visit_json(minutes: u32) -> Value {
    json!({"name": "Check", "public_name": "Visit", "duration_minutes": minutes, "online_bookable": true})
}

both! {
    async fn an_administrator_sets_up_the_clinic_and_all_callers_can_read_it(app: App) {
        let (admin, anon) = (app.admin().await, app.anon());
        let made = admin.post("/v1/locations", location_json()).await;
        made.expect(201);
        assert_eq!(made.body["phone"], "+16175550100");
        assert_eq!(made.location(), format!("/v1/locations/{}", made.id()));
        let read = anon.get(&made.location()).await;
        assert_eq!((read.expect(200).etag(), &read.body), (made.etag(), &made.body));
        assert_eq!(anon.get("/v1/locations").await.items(), std::slice::from_ref(&made.body));

        let path = made.location();
        anon.patch(&path, &made.etag(), json!({"name": "Pier"})).await.problem(401, "unauthenticated");
        app.desk().await.patch(&path, &made.etag(), json!({"name": "Pier"})).await.problem(403, "role_forbidden");
        admin.patch(&path, "", json!({"name": "Pier"})).await.problem(428, "precondition_required");
        admin.patch(&path, "\"9\"", json!({"name": "Pier"})).await.problem(412, "stale");
        let changed = admin.patch(&path, &made.etag(), json!({"name": "Pier"})).await;
        assert_eq!(changed.expect(200).body["name"], "Pier");
        assert_ne!(changed.etag(), made.etag());
        admin.patch(&path, &made.etag(), json!({"name": "Dock"})).await.problem(412, "stale");

        let visit = admin.post("/v1/visit-types", visit_json(40)).await.expect(201).id();
        let body = json!({"name": "Dr. Ray", "visit_type_ids": [visit], "location_ids": [made.id()]});
        let doctor = admin.post_with("/v1/practitioners", body.clone(), &[("Idempotency-Key", "k")]).await;
        let again = admin.post_with("/v1/practitioners", body, &[("Idempotency-Key", "k")]).await;
        assert_eq!(doctor.expect(201).body, again.expect(201).body);
        assert_eq!(doctor.body["active"], true);
        assert_eq!(admin.get("/v1/practitioners").await.items(), std::slice::from_ref(&doctor.body));
        assert_eq!(anon.get("/v1/practitioners").await.items()[0]["id"], doctor.body["id"]);

        admin.update(&format!("/v1/visit-types/{visit}"), json!({"active": false})).await.expect(200);
        assert!(anon.get("/v1/visit-types").await.items().is_empty());
        anon.get("/v1/visit-types?active=false").await.problem(401, "unauthenticated");
        app.desk().await.get("/v1/visit-types?active=false").await.problem(403, "role_forbidden");
        assert_eq!(admin.get("/v1/visit-types?active=false").await.items().len(), 1);
        anon.get("/v1/visit-types?colour=red").await.problem(422, "validation_failed");
        anon.get(&format!("/v1/locations/{visit}")).await.problem(404, "not_found");
    }

    async fn short_lists_have_pages_too(app: App) {
        let (admin, anon) = (app.admin().await, app.anon());
        for _ in 0..3 {
            admin.post("/v1/visit-types", visit_json(20)).await.expect(201);
        }
        let first = anon.get("/v1/visit-types?limit=2").await;
        let cursor = first.string("/next_cursor");
        let second = anon.get(&format!("/v1/visit-types?limit=2&cursor={cursor}")).await;
        let ids: HashSet<_> = first.items().iter().chain(&second.items()).map(|item| item["id"].to_string()).collect();
        assert_eq!((first.items().len(), second.items().len(), ids.len()), (2, 1, 3));
        assert_eq!(second.body["next_cursor"], Value::Null);
        anon.get(&format!("/v1/locations?cursor={cursor}")).await.invalid("?cursor", "invalid_cursor");
        anon.get("/v1/locations?limit=201").await.invalid("?limit", "out_of_range");
    }

    async fn an_invalid_set_up_gets_an_error_with_every_pointer(app: App) {
        let admin = app.admin().await;
        let mut location = location_json();
        for (name, value) in [("name", json!("a\nb")), ("phone", json!("555")), ("country", json!("usa")),
            ("time_zone", json!("Mars/Olympus"))] {
            location[name] = value;
        }
        let reply = admin.post("/v1/locations", location).await;
        reply.invalid("/name", "forbidden_character").invalid("/phone", "invalid_phone").invalid("/country", "invalid_country");
        reply.invalid("/time_zone", "unknown_time_zone");
        let mut visit = visit_json(0);
        visit["booking_notice_minutes"] = json!(-1);
        let reply = admin.post("/v1/visit-types", visit).await;
        reply.invalid("/duration_minutes", "out_of_range").invalid("/booking_notice_minutes", "out_of_range");
        admin.post("/v1/visit-types", json!({"name": "x", "public_name": "x", "duration_minutes": 30, "colour": 1})).await
            .invalid("/colour", "unknown_field");

        let nobody = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01";
        let reply = admin.post("/v1/practitioners", json!({"name": "", "visit_type_ids": [], "location_ids": []})).await;
        reply.invalid("/name", "required");
        let reply = admin.post("/v1/practitioners", json!({"name": "x", "visit_type_ids": [nobody], "location_ids": [nobody]})).await;
        reply.invalid("/visit_type_ids/0", "unknown_reference").invalid("/location_ids/0", "unknown_reference");
    }

    async fn visits_take_whole_slots_at_every_location(app: App) {
        let admin = app.admin().await;
        let location = admin.post("/v1/locations", location_json()).await.expect(201).id();
        let (fits, misfit) = (
            admin.post("/v1/visit-types", visit_json(40)).await.expect(201).id(),
            admin.post("/v1/visit-types", visit_json(30)).await.expect(201).id(),
        );
        let both = json!({"name": "Dr. Ray", "visit_type_ids": [fits, misfit], "location_ids": [location]});
        admin.post("/v1/practitioners", both).await.invalid("/visit_type_ids/1", "does_not_fit");
        let alone = json!({"name": "Dr. Ray", "visit_type_ids": [misfit]});
        let doctor = admin.post("/v1/practitioners", alone).await.expect(201).location();
        admin.update(&doctor, json!({"location_ids": [location]})).await.invalid("/location_ids/0", "does_not_fit");
        admin.update(&doctor, json!({"visit_type_ids": [fits], "location_ids": [location]})).await.expect(200);
        admin.update(&format!("/v1/visit-types/{fits}"), json!({"duration_minutes": 50})).await
            .invalid("/duration_minutes", "does_not_fit");
        admin.update(&format!("/v1/visit-types/{fits}"), json!({"duration_minutes": 60})).await.expect(200);
        admin.update(&format!("/v1/locations/{location}"), json!({"slot_minutes": 45})).await
            .invalid("/slot_minutes", "does_not_fit");
        admin.update(&format!("/v1/locations/{location}"), json!({"slot_minutes": 30})).await.expect(200);
    }

    async fn weekly_hours_are_replaced_as_a_whole_by_an_administrator_or_the_practitioner(app: App) {
        let clinic = app.clinic().await;
        let (admin, doctor) = (app.admin().await, app.doctor().await);
        let path = format!("/v1/practitioners/{}/availability", clinic.practitioner_id);
        let rules = json!([
            {"weekday": "monday", "start": "09:00", "end": "12:00", "location_id": clinic.location_id, "valid_until": "2026-04-01"},
            {"weekday": "friday", "start": "22:00", "end": "24:00", "location_id": clinic.location_id, "valid_from": "2026-03-20"},
        ]);
        app.anon().get(&path).await.problem(401, "unauthenticated");
        app.patient("ann").await.get(&path).await.problem(403, "role_forbidden");
        app.desk().await.put(&path, "*", json!({"items": rules})).await.problem(403, "role_forbidden");
        doctor.put(&path, "", json!({"items": rules})).await.problem(428, "precondition_required");
        doctor.put(&path, "\"77\"", json!({"items": rules})).await.problem(412, "stale");
        put_hours(&doctor, &clinic.practitioner_id, rules.clone()).await.expect(200);
        let read = admin.get(&path).await;
        assert_eq!(read.body["items"][0]["valid_until"], "2026-04-01");
        assert_eq!(read.body["items"][1]["end"], "24:00");
        assert_eq!(read.items().len(), 2);
        let found = all_free(&app.anon(), &format!("visit_type_id={}", clinic.new_visit)).await;
        // Five Mondays until the end of March, the first from now on, and the Fridays from the 20th on.
        let expected = ["2026-03-02T14:15:00Z", "2026-03-30T15:00:00Z"];
        assert_eq!((starts(&found)[0], *starts(&found).last().expect("some")), (expected[0], expected[1]));
        assert_eq!(found.len(), 8 + 4 * 9 + 2 * 5);

        let other = admin.post("/v1/practitioners", json!({"name": "Dr. Other", "location_ids": [clinic.location_id]})).await;
        put_hours(&doctor, &other.id(), rules).await.problem(404, "not_found");
        put_hours(&admin, &other.id(), json!([
            hours(&clinic.location_id, "monday", "09:00", "12:00"),
            hours(&clinic.location_id, "monday", "11:00", "13:00"),
            hours(&clinic.location_id, "tuesday", "9", "8"),
        ])).await.invalid("/items/1", "overlap").invalid("/items/2/start", "invalid_time");
        put_hours(&admin, &other.id(), json!([hours(&other.id(), "monday", "09:00", "12:00")])).await
            .invalid("/items/0/location_id", "unknown_reference");
        put_hours(&admin, &other.id(), json!([hours(&clinic.location_id, "Montag", "09:00", "12:00")])).await
            .invalid("/items/0/weekday", "not_an_option");
    }

    async fn the_search_finds_every_start_that_fits_the_whole_visit_earliest_first(app: App) {
        let clinic = app.clinic().await;
        let (anon, admin) = (app.anon(), app.admin().await);
        // It is Monday, 9:00 in New York; a visit cannot start in the minute of the search.
        let day = "from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z";
        let found = all_free(&anon, &format!("visit_type_id={}&{day}", clinic.new_visit)).await;
        assert_eq!((starts(&found)[0], starts(&found)[28]), ("2026-03-03T14:00:00Z", "2026-03-03T21:00:00Z"));
        assert_eq!(found.len(), 29, "from 9 to 16 o'clock every quarter");
        assert_eq!(found[0]["ends_at"], "2026-03-03T15:00:00Z");
        assert_eq!(found[0]["time_zone"], "America/New_York");
        assert_eq!(all_free(&anon, &format!("visit_type_id={}&{day}", clinic.check)).await.len(), 32);

        // A block removes the starts of visits that would overlap it.
        let noon = slot_at(&anon, &clinic.check, "2026-03-03T17:00:00Z").await;
        admin.post(&format!("/v1/slots/{noon}/block"), json!({"reason": "lunch"})).await.expect(200);
        let found = all_free(&anon, &format!("visit_type_id={}&{day}", clinic.new_visit)).await;
        assert_eq!(found.len(), 29 - 4);
        assert!(!starts(&found).contains(&"2026-03-03T16:15:00Z") && starts(&found).contains(&"2026-03-03T16:00:00Z"));

        // Pages, a second practitioner, and the filters.
        let second = admin.post("/v1/practitioners", json!({
            "name": "Dr. Second", "visit_type_ids": [clinic.new_visit], "location_ids": [clinic.location_id],
        })).await.expect(201).id();
        put_hours(&admin, &second, json!([hours(&clinic.location_id, "tuesday", "09:00", "11:00")])).await.expect(200);
        let query = format!("visit_type_id={}&{day}", clinic.new_visit);
        let whole = all_free(&anon, &query).await;
        assert_eq!(whole.len(), 25 + 5);
        assert!(starts(&whole).is_sorted());
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = anon.get(&format!("/v1/slots?{query}&limit=4{cursor}")).await;
            pages.extend(page.items());
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(pages, whole);
        assert_eq!(all_free(&anon, &format!("{query}&practitioner_id={second}")).await.len(), 5);
        assert_eq!(all_free(&anon, &format!("{query}&location_id={second}")).await.len(), 0);

        anon.get("/v1/slots").await.invalid("?visit_type_id", "required");
        anon.get(&format!("/v1/slots?visit_type_id={second}")).await.invalid("?visit_type_id", "unknown_reference");
        anon.get(&format!("/v1/slots?visit_type_id={}&from=2026-03-03T00:00:00Z&to=2026-04-04T00:00:00Z", clinic.check)).await
            .invalid("?to", "out_of_range");
        anon.get(&format!("/v1/slots?visit_type_id={}&from=yesterday", clinic.check)).await.problem(422, "validation_failed");
        assert!(all_free(&anon, &format!("visit_type_id={}&from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:00Z", clinic.check)).await.is_empty());
    }

    async fn patients_see_and_hold_only_slots_that_respect_the_booking_notice(app: App) {
        let clinic = app.clinic().await;
        let (anon, admin) = (app.anon(), app.admin().await);
        let path = format!("/v1/visit-types/{}", clinic.check);
        admin.update(&path, json!({"booking_notice_minutes": 120})).await.expect(200);
        let query = format!("visit_type_id={}", clinic.check);
        assert_eq!(starts(&all_free(&anon, &query).await)[0], "2026-03-02T16:00:00Z");
        let desk = app.desk().await;
        let soonest = all_free(&desk, &query).await;
        assert_eq!(starts(&soonest)[0], "2026-03-02T14:15:00Z");
        let soon = id(&soonest[0]);
        let ann = app.patient("ann").await;
        hold(&ann, soon, &clinic.check).await.problem(409, "booking_notice");
        hold(&desk, soon, &clinic.check).await.expect(201);
        admin.update(&path, json!({"online_bookable": false, "booking_notice_minutes": 0})).await.expect(200);
        let later = slot_at(&anon, &clinic.check, "2026-03-03T17:00:00Z").await;
        hold(&ann, &later, &clinic.check).await.problem(409, "not_online_bookable");
    }

    async fn staff_block_and_unblock_a_slot_with_a_reason(app: App) {
        let clinic = app.clinic().await;
        let (anon, desk, ann) = (app.anon(), app.desk().await, app.patient("ann").await);
        let slot = slot_at(&anon, &clinic.check, "2026-03-03T14:00:00Z").await;
        let (block, unblock) = (format!("/v1/slots/{slot}/block"), format!("/v1/slots/{slot}/unblock"));
        ann.post(&block, json!({"reason": "mine"})).await.problem(403, "role_forbidden");
        desk.post(&block, json!({"reason": "a\nb"})).await.invalid("/reason", "forbidden_character");
        desk.post(&block, json!({})).await.invalid("/reason", "required");
        let blocked = desk.post(&block, json!({"reason": "canary-meeting"})).await;
        assert_eq!((&blocked.expect(200).body["blocked"], &blocked.body["reason"]), (&json!(true), &json!("canary-meeting")));
        hold(&ann, &slot, &clinic.check).await.problem(409, "slot_taken");
        let first = || async { starts(&all_free(&anon, &format!("visit_type_id={}&from=2026-03-03T00:00:00Z", clinic.check)).await)[0].to_owned() };
        assert_eq!(first().await, "2026-03-03T14:15:00Z");
        let stranger = app.admin().await.post("/v1/practitioners", json!({"name": "Dr. Other"})).await.expect(201).id();
        app.doctor_of(&stranger).await.post_empty(&unblock).await.problem(404, "not_found");
        let freed = app.doctor().await.post_empty(&unblock).await;
        assert_eq!(freed.expect(200).body["reason"], Value::Null);
        assert_eq!(first().await, "2026-03-03T14:00:00Z");
        book(&ann, &json!(slot), &clinic.check, &ann.patient_id).await.expect(201);
        desk.post(&block, json!({"reason": "late"})).await.problem(409, "slot_taken");
        desk.post(&format!("/v1/slots/{stranger}/block"), json!({"reason": "x"})).await.problem(404, "not_found");
    }

    async fn a_hold_reserves_the_whole_visit_until_it_expires(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slot = slot_at(&ann, &clinic.new_visit, "2026-03-03T14:00:00Z").await;
        let held = hold(&ann, &slot, &clinic.new_visit).await;
        assert_eq!(held.expect(201).body["expires_at"], "2026-03-02T14:10:00Z");
        assert_eq!(held.body["slot"]["ends_at"], "2026-03-03T15:00:00Z");
        let refused = hold(&bob, &slot, &clinic.new_visit).await;
        let next = &refused.problem(409, "slot_taken")["next_free"];
        assert_eq!(next[0]["starts_at"], "2026-03-03T15:00:00Z");
        assert_eq!(next.as_array().map(Vec::len), Some(5));
        book(&bob, &json!(slot), &clinic.new_visit, &bob.patient_id).await.problem(409, "slot_taken");

        let path = format!("/v1/holds/{}", held.string("/id"));
        bob.post_empty(&format!("{path}/renew")).await.problem(404, "not_found");
        bob.delete(&path).await.problem(404, "not_found");
        app.clock.advance(SignedDuration::from_mins(9));
        let renewed = ann.post_empty(&format!("{path}/renew")).await;
        assert_eq!(renewed.expect(200).body["expires_at"], "2026-03-02T14:19:00Z");
        ann.post_empty(&format!("{path}/renew")).await.problem(409, "hold_renewed");
        app.clock.advance(SignedDuration::from_mins(10) - SignedDuration::from_micros(1));
        hold(&bob, &slot, &clinic.new_visit).await.problem(409, "slot_taken");
        app.clock.advance(SignedDuration::from_micros(1));
        ann.post_empty(&format!("{path}/renew")).await.problem(409, "hold_lapsed");
        hold(&bob, &slot, &clinic.new_visit).await.expect(201);
        ann.delete(&path).await.expect(204);
        hold(&ann, &slot, &clinic.new_visit).await.problem(409, "slot_taken");
    }

    async fn a_new_hold_replaces_the_old_one_and_a_hold_can_be_released(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let first = slot_at(&ann, &clinic.new_visit, "2026-03-03T14:00:00Z").await;
        let second = slot_at(&ann, &clinic.new_visit, "2026-03-03T14:30:00Z").await;
        let one = hold(&ann, &first, &clinic.new_visit).await.expect(201).string("/id");
        // It overlaps the account's own hold, which does not conflict.
        let two = hold(&ann, &second, &clinic.new_visit).await.expect(201).string("/id");
        ann.post_empty(&format!("/v1/holds/{one}/renew")).await.problem(404, "not_found");
        hold(&bob, &first, &clinic.new_visit).await.problem(409, "slot_taken");
        hold(&bob, &first, &clinic.follow_up).await.expect(201);
        ann.delete(&format!("/v1/holds/{two}")).await.expect(204);
        ann.delete(&format!("/v1/holds/{two}")).await.problem(404, "not_found");
        hold(&bob, &second, &clinic.new_visit).await.expect(201);
        let keyed = |key: &'static str| {
            let (ann, path) = (ann.clone(), format!("/v1/slots/{first}/hold"));
            let body = json!({"visit_type_id": clinic.follow_up});
            async move { ann.post_with(&path, body, &[("Idempotency-Key", key)]).await }
        };
        let (once, twice) = (keyed("k").await, keyed("k").await);
        assert_eq!(once.expect(201).body, twice.expect(201).body);
        app.anon().post(&format!("/v1/slots/{first}/hold"), json!({"visit_type_id": clinic.check})).await
            .problem(409, "slot_taken");
        let nowhere = hold(&ann, &clinic.check, &clinic.check).await;
        assert_eq!(nowhere.problem(409, "slot_taken")["next_free"].as_array().map(Vec::len), Some(5));
        hold(&ann, &first, &first).await.invalid("/visit_type_id", "unknown_reference");
    }

    async fn exactly_one_of_many_parallel_holds_of_a_slot_succeeds(app: App) {
        let clinic = app.clinic().await;
        let clients = accounts(&app, 32).await;
        // Half of them hold the hour from 9:00, half the one from 9:30.
        let nine = slot_at(&app.anon(), &clinic.new_visit, "2026-03-03T14:00:00Z").await;
        let half = slot_at(&app.anon(), &clinic.new_visit, "2026-03-03T14:30:00Z").await;
        for round in [[&nine, &nine], [&nine, &half]] {
            let attempts = clients.iter().enumerate().map(|(index, client)| hold(client, round[index % 2], &clinic.new_visit));
            let replies = futures_util::future::join_all(attempts).await;
            let winners: Vec<_> = replies.iter().enumerate().filter(|(_, reply)| reply.status == 201).collect();
            assert_eq!(winners.len(), 1, "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
            for reply in replies.iter().filter(|reply| reply.status != 201) {
                assert!(reply.problem(409, "slot_taken")["next_free"].as_array().is_some_and(|next| !next.is_empty()));
            }
            let (winner, reply) = winners[0];
            clients[winner].delete(&format!("/v1/holds/{}", reply.string("/id"))).await.expect(204);
        }
    }

    async fn publishing_again_changes_nothing_and_never_touches_booked_slots(app: App) {
        let clinic = app.clinic().await;
        let (anon, admin, desk) = (app.anon(), app.admin().await, app.desk().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let day = "from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z";
        let query = format!("visit_type_id={}", clinic.check);
        let before = all_free(&anon, &query).await;
        assert_eq!(legwork::scheduling::hours::publishing::publish_all(&app.env).await.expect("published"), 0);
        let hours = admin.get(&format!("/v1/practitioners/{}/availability", clinic.practitioner_id)).await.body["items"].clone();
        put_hours(&admin, &clinic.practitioner_id, hours.clone()).await.expect(200);
        assert_eq!(all_free(&anon, &query).await, before, "the same slots, by their ids");

        let booked = slot_at(&anon, &clinic.follow_up, "2026-03-03T14:15:00Z").await;
        let appointment = book(&ann, &json!(booked), &clinic.follow_up, &ann.patient_id).await.expect(201).id();
        let held = slot_at(&anon, &clinic.follow_up, "2026-03-03T15:00:00Z").await;
        let hold_id = hold(&bob, &held, &clinic.follow_up).await.expect(201).string("/id");

        // Removing all hours deletes the free slots and ends the hold, and nothing else.
        let put = put_hours(&admin, &clinic.practitioner_id, json!([])).await;
        assert_eq!((&put.expect(200).body["items"], &put.body["affected_total"]), (&json!([]), &json!(1)));
        assert_eq!(put.body["affected_appointments"][0]["id"], appointment);
        assert!(all_free(&anon, &query).await.is_empty());
        let visit = desk.get(&format!("/v1/appointments/{appointment}")).await;
        assert_eq!((&visit.expect(200).body["status"], &visit.body["attention"]["reason"]), (&json!("booked"), &json!("hours")));
        let body = json!({"slot_id": held, "visit_type_id": clinic.follow_up, "patient_id": bob.patient_id, "hold_id": hold_id});
        bob.post_with("/v1/appointments", body, &[("Idempotency-Key", "b")]).await.problem(409, "hold_lapsed");
        bob.post_empty(&format!("/v1/holds/{hold_id}/renew")).await.problem(409, "hold_lapsed");
        // A released slot is now outside the hours, and not offered.
        let cancelled = desk.post(&format!("/v1/appointments/{appointment}/cancel"), json!({"reason": "moved away"})).await;
        cancelled.expect(200);
        assert!(all_free(&anon, &query).await.is_empty());

        // The hours return; the booking from 15:00 to 15:30 is part of one of the longer slots.
        put_hours(&admin, &clinic.practitioner_id, hours).await.expect(200);
        let again = slot_at(&anon, &clinic.follow_up, "2026-03-03T15:00:00Z").await;
        book(&bob, &json!(again), &clinic.follow_up, &bob.patient_id).await.expect(201);
        admin.update(&format!("/v1/practitioners/{}", clinic.practitioner_id), json!({"visit_type_ids": [clinic.new_visit]})).await.expect(200);
        admin.update(&format!("/v1/locations/{}", clinic.location_id), json!({"slot_minutes": 60})).await.expect(200);
        let hourly = all_free(&anon, &format!("visit_type_id={}&{day}", clinic.new_visit)).await;
        assert_eq!(starts(&hourly)[..2], ["2026-03-03T14:00:00Z", "2026-03-03T16:00:00Z"]);
        assert_eq!(hourly.len(), 7);
    }

    async fn an_inactive_practitioner_has_no_free_slots_until_active_again(app: App) {
        let clinic = app.clinic().await;
        let (anon, admin) = (app.anon(), app.admin().await);
        let path = format!("/v1/practitioners/{}", clinic.practitioner_id);
        let query = format!("visit_type_id={}&from=2026-03-03T00:00:00Z&to=2026-03-05T00:00:00Z", clinic.check);
        let slot = slot_at(&anon, &clinic.check, "2026-03-03T14:00:00Z").await;
        admin.update(&path, json!({"active": false})).await.expect(200);
        assert!(all_free(&anon, &query).await.is_empty());
        hold(&admin, &slot, &clinic.check).await.problem(409, "slot_taken");
        assert!(anon.get("/v1/practitioners").await.items().is_empty());
        admin.update(&path, json!({"active": true})).await.expect(200);
        assert_eq!(all_free(&anon, &query).await.len(), 64);
        admin.update(&path, json!({"location_ids": []})).await.expect(200);
        assert!(all_free(&anon, &query).await.is_empty());
        admin.update(&path, json!({"location_ids": [clinic.location_id]})).await.expect(200);
        assert_eq!(all_free(&anon, &query).await.len(), 64, "the weekly hours there were kept");
        admin.update(&format!("/v1/locations/{}", clinic.location_id), json!({"time_zone": "America/Los_Angeles"})).await.expect(200);
        assert_eq!(starts(&all_free(&anon, &query.replace("03T00", "03T08")).await)[0], "2026-03-03T17:00:00Z");
    }

    async fn a_search_follows_a_change_of_the_set_up_by_another_instance_or_a_command(app: App) {
        let clinic = app.clinic().await;
        assert!(!free_slots(&app.anon(), &clinic.check).await.is_empty());
        let mut elsewhere = app.site.connect();
        let mut found = Vec::new();
        for change in [
            "UPDATE practitioners SET active = (1 = 0)",
            "UPDATE practitioners SET active = (1 = 1)",
            "BEGIN; UPDATE visit_types SET active = (1 = 0); ROLLBACK",
            "UPDATE visit_types SET duration_minutes = 480",
            "DELETE FROM practitioner_visit_types",
        ] {
            elsewhere.batch_execute(change).expect("changed");
            found.push(free_slots(&app.anon(), &clinic.check).await.len());
        }
        let [none, all, same, fewer, nobody] = found[..] else { panic!("five searches") };
        assert!(none == 0 && all == same && all > fewer && fewer > 0 && nobody == 0, "{found:?}");
    }

    async fn each_day_extends_the_horizon(app: App) {
        let clinic = app.clinic().await;
        let query = format!("visit_type_id={}&from=2026-06-01T00:00:00Z&to=2026-06-10T00:00:00Z", clinic.check);
        assert!(all_free(&app.anon(), &query).await.is_empty());
        app.clock.advance(SignedDuration::from_hours(24 * 7));
        assert_eq!(legwork::scheduling::hours::publishing::publish_all(&app.env).await.expect("published"), 1);
        let june: Vec<_> = all_free(&app.anon(), &query).await;
        assert_eq!(starts(&june)[0], "2026-06-01T13:00:00Z");
        assert_eq!(june.len(), 5 * 32, "Monday to Friday, and the Sunday of the horizon");
    }

    async fn days_with_a_clock_change_are_open_by_local_time(app: App) {
        let admin = app.admin().await;
        let visit = admin.post("/v1/visit-types", visit_json(30)).await.expect(201).id();
        for (zone, weekday, start, end, from, to, expected) in [
            // Spring in New York and Berlin: 2:00 to 3:00 does not exist.
            ("America/New_York", "sunday", "01:00", "04:00", "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z",
                ["2026-03-08T06:00:00Z", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"]),
            ("Europe/Berlin", "sunday", "02:30", "05:00", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z", "2026-03-29T02:30:00Z"]),
            // Autumn on Lord Howe Island: half an hour occurs twice.
            ("Australia/Lord_Howe", "sunday", "01:00", "02:30", "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z",
                ["2026-04-04T14:00:00Z", "2026-04-04T14:30:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"]),
            ("Asia/Tokyo", "sunday", "01:00", "03:00", "2026-03-07T12:00:00Z", "2026-03-08T12:00:00Z",
                ["2026-03-07T16:00:00Z", "2026-03-07T16:30:00Z", "2026-03-07T17:00:00Z", "2026-03-07T17:30:00Z"]),
        ] {
            let mut place = location_json();
            (place["time_zone"], place["slot_minutes"]) = (json!(zone), json!(30));
            let place = admin.post("/v1/locations", place).await.expect(201).id();
            let doctor = json!({"name": "Dr. Ray", "visit_type_ids": [visit], "location_ids": [place]});
            let doctor = admin.post("/v1/practitioners", doctor).await.expect(201).id();
            put_hours(&admin, &doctor, json!([hours(&place, weekday, start, end)])).await.expect(200);
            let found = all_free(&app.anon(), &format!("visit_type_id={visit}&location_id={place}&from={from}&to={to}")).await;
            assert_eq!(starts(&found), expected, "{zone}");
            assert_eq!(found[0]["time_zone"], zone);
        }
    }

    async fn bookings_of_overlapping_visits_while_the_hours_change_neither_double_book_nor_deadlock(app: App) {
        let clinic: Clinic = app.clinic().await;
        let admin = app.admin().await;
        let clients = accounts(&app, 8).await;
        let found = all_free(&app.anon(), &format!("visit_type_id={}&from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z", clinic.new_visit)).await;
        let ids: Vec<String> = found.iter().map(|slot| id(slot).to_owned()).collect();
        let hours = admin.get(&format!("/v1/practitioners/{}/availability", clinic.practitioner_id)).await.body["items"].clone();
        let republish = async {
            for _ in 0..4 {
                put_hours(&admin, &clinic.practitioner_id, hours.clone()).await.expect(200);
            }
        };
        let holders = futures_util::future::join_all(clients.iter().enumerate().map(|(index, client)| {
            let (ids, visit) = (&ids, &clinic.new_visit);
            async move {
                for step in 0..6 {
                    let reply = hold(client, &ids[(index * 5 + step * 7) % ids.len()], visit).await;
                    assert!(matches!(reply.status, 201 | 409), "{}", reply.text);
                }
            }
        }));
        futures_util::future::join(republish, holders).await;
        // At most one hold each, and no slot in two of them.
        let free = all_free(&app.anon(), &format!("visit_type_id={}&from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z", clinic.check)).await;
        assert_eq!((32 - free.len()) % 4, 0, "every hold is a whole visit");
        assert_ne!(free.len(), 32, "at least one hold succeeded");
    }
}
