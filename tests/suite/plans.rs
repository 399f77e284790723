//! Plans change: time off, extra hours, closures, another week; and the day as the desk and the doctor see it.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::clinic::{location, practitioner, visit_type, weekly_hours};
use crate::support::people::patient_json;
use crate::support::{App, Client, Clinic, Reply, both};

/// Tuesday in New York, from midnight to midnight.
const TUESDAY: (&str, &str) = ("2026-03-03T05:00:00Z", "2026-03-04T05:00:00Z");

fn time_off((from, to): (&str, &str)) -> Value {
    json!({"kind": "time_off", "starts_at": from, "ends_at": to, "reason": "Canary-migraine"})
}

async fn except(client: &Client, practitioner: &str, body: Value) -> Reply {
    client.post(&format!("/v1/practitioners/{practitioner}/exceptions"), body).await
}

/// The free starts of a practitioner between two instants.
async fn free(client: &Client, practitioner: &str, visit_type: &str, (from, to): (&str, &str)) -> Vec<Value> {
    let path =
        format!("/v1/slots?visit_type_id={visit_type}&practitioner_id={practitioner}&from={from}&to={to}&limit=200");
    client.get(&path).await.items()
}

fn starts(slots: &[Value]) -> Vec<&str> {
    slots.iter().map(|slot| slot["starts_at"].as_str().expect("a start")).collect()
}

/// The slot that starts at an instant.
fn at<'a>(slots: &'a [Value], instant: &str) -> &'a Value {
    slots.iter().find(|slot| slot["starts_at"] == instant).unwrap_or_else(|| panic!("no slot at {instant}"))
}

async fn book(client: &Client, slot: &Value, visit_type: &str, patient: &str) -> Reply {
    static KEYS: AtomicU32 = AtomicU32::new(0);
    let key = format!("plan-{}", KEYS.fetch_add(1, Ordering::Relaxed));
    let body = json!({"slot_id": slot["id"], "visit_type_id": visit_type, "patient_id": patient});
    client.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await
}

/// A record made at the desk; returns its id.
async fn register(desk: &Client, name: &str, birth: &str, phone: &str, email: &str) -> String {
    let mut body = patient_json(name, email);
    (body["date_of_birth"], body["phone"]) = (json!(birth), json!(phone));
    desk.post("/v1/patients", body).await.expect(201).id()
}

async fn put_hours(client: &Client, practitioner: &str, rules: Value) -> Reply {
    let path = format!("/v1/practitioners/{practitioner}/availability");
    let etag = client.get(&path).await.expect(200).etag();
    client.put(&path, &etag, rules).await
}

async fn patch(client: &Client, path: &str, changes: Value) -> Reply {
    let etag = client.get(path).await.expect(200).etag();
    client.patch(path, &etag, changes).await
}

/// The ids of the appointments that somebody must call about.
async fn attention(client: &Client) -> Vec<String> {
    let items = client.get("/v1/appointments?needs_attention=true").await.items();
    assert!(items.iter().all(|item| item["attention"]["reason"].is_string()));
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

fn ids(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

fn rule(location: &str, weekday: &str, start: &str, end: &str) -> Value {
    json!({"weekday": weekday, "start": start, "end": end, "location_id": location})
}

/// Follow-ups on Tuesday at nine, half past nine and ten, and one on Wednesday at nine.
async fn a_busy_week(app: &App, clinic: &Clinic) -> Vec<Value> {
    let desk = app.desk().await;
    let mut visits = Vec::new();
    for (name, birth, phone, email, instant) in [
        ("Maria", "1961-05-04", "+12025550161", "maria.one@patients.example", "2026-03-03T14:00:00Z"),
        ("Maria", "1987-12-24", "+12025550187", "maria.two@patients.example", "2026-03-03T14:30:00Z"),
        ("Otto", "1950-01-31", "+12025550150", "otto@patients.example", "2026-03-03T15:00:00Z"),
        ("Wanda", "1970-07-07", "+12025550170", "wanda@patients.example", "2026-03-04T14:00:00Z"),
    ] {
        let patient = register(&desk, name, birth, phone, email).await;
        let slots =
            free(&desk, &clinic.practitioner_id, &clinic.follow_up, ("2026-03-03T00:00:00Z", "2026-03-05T00:00:00Z"))
                .await;
        visits.push(book(&desk, at(&slots, instant), &clinic.follow_up, &patient).await.expect(201).body.clone());
    }
    visits
}

both! {
    async fn the_desk_on_a_busy_morning_with_a_sick_doctor_and_two_patients_of_one_name(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let types = [clinic.new_visit.as_str(), &clinic.follow_up, &clinic.check];
        let colleague = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &types).await;
        let visits = a_busy_week(&app, &clinic).await;
        assert!(attention(&desk).await.is_empty());
        let mails = app.mails().await.len();

        // The doctor calls in sick. The desk enters it and has the list of whom to call before it.
        let added = except(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await;
        let hit = added.expect(201).body["affected_appointments"].clone();
        assert_eq!((&added.body["affected_total"], &added.body["reason"]), (&json!(3), &json!("Canary-migraine")));
        assert_eq!(added.location(), format!("/v1/exceptions/{}", added.id()));
        assert_eq!(ids(&hit), [&visits[0], &visits[1], &visits[2]].map(|visit| visit["id"].as_str().expect("an id")));
        let (first, second) = (&hit[0], &hit[1]);
        assert_eq!(first["patient"]["display_name"], second["patient"]["display_name"]);
        for (one, birth, phone) in [(first, "1961-05-04", "+12025550161"), (second, "1987-12-24", "+12025550187")] {
            assert_eq!((&one["patient"]["date_of_birth"], &one["patient"]["phone"]), (&json!(birth), &json!(phone)));
            assert_eq!((&one["time_zone"], &one["visit_type"]), (&json!("America/New_York"), &json!("Follow-up")));
            assert_eq!((&one["patient"]["preferred_language"], &one["patient"]["interpreter_needed"]), (&json!("en"), &json!(false)));
        }
        // Nothing else happens by itself.
        assert_eq!(attention(&desk).await, ids(&hit));
        assert_eq!(app.mails().await.len(), mails);
        assert!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.is_empty());
        let listed = desk.get(&format!("/v1/appointments/{}", ids(&hit)[0])).await.body;
        assert_eq!((&listed["status"], &listed["attention"]), (&json!("booked"), &json!({"reason": "time_off", "since": "2026-03-02T14:00:00Z"})));
        let rest = desk.get("/v1/appointments?needs_attention=false").await.body["items"].clone();
        assert_eq!(ids(&rest), [visits[3]["id"].as_str().expect("an id")]);
        assert!(rest[0].get("attention").is_none());

        // The Marias go to the colleague, one of them to a gap later that day; Otto does not want to.
        let gaps = free(&desk, &colleague, &clinic.follow_up, TUESDAY).await;
        for (visit, instant) in [(&visits[0], "2026-03-03T14:00:00Z"), (&visits[1], "2026-03-03T18:30:00Z")] {
            let path = format!("/v1/appointments/{}/reschedule", visit["id"].as_str().expect("an id"));
            let moved = desk.post(&path, json!({"slot_id": at(&gaps, instant)["id"]})).await;
            assert_eq!((&moved.expect(200).body["practitioner_id"], moved.body.get("attention")), (&json!(colleague), None));
        }
        assert_eq!(attention(&desk).await, [visits[2]["id"].as_str().expect("an id")]);
        let cancel = format!("/v1/appointments/{}/cancel", visits[2]["id"].as_str().expect("an id"));
        desk.post(&cancel, json!({"reason": "the doctor is ill"})).await.expect(200);
        assert!(attention(&desk).await.is_empty());
        for (address, method) in [("maria.one", "METHOD:REQUEST"), ("maria.two", "METHOD:REQUEST"), ("otto", "METHOD:CANCEL")] {
            let theirs = app.mails_to(&format!("{address}@patients.example")).await;
            assert_eq!(theirs.len(), 2, "{address}: the booking and the change");
            assert!(theirs[1].ics.as_deref().is_some_and(|ics| ics.contains(method)), "{address}");
            assert!(!theirs[1].raw.contains("Canary"));
        }
        assert_eq!(app.mails_to("wanda@patients.example").await.len(), 1);

        // Each Maria is in the colleague's day with her own birthday; in the sick doctor's day there is nobody.
        let day = desk.get(&format!("/v1/practitioners/{colleague}/agenda?date=2026-03-03")).await.body;
        let births: Vec<_> = day["appointments"].as_array().expect("a list").iter().map(|one| one["patient"]["date_of_birth"].clone()).collect();
        assert_eq!(births, ["1961-05-04", "1987-12-24"]);
        let day = desk.get(&format!("/v1/practitioners/{}/agenda?date=2026-03-03", clinic.practitioner_id)).await.body;
        assert_eq!(day["appointments"], json!([]));
        assert_eq!(day["gaps"], json!([{
            "kind": "time_off", "starts_at": TUESDAY.0, "ends_at": TUESDAY.1, "location_id": null, "time_zone": null,
            "note": "Canary-migraine",
        }]));

        // The doctor is well again by Monday evening: all of the day comes back.
        let gone = desk.delete(&added.location()).await;
        assert_eq!(gone.expect(200).body, json!({"affected_appointments": [], "affected_total": 0}));
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.len(), 32);
        desk.delete(&added.location()).await.problem(404, "not_found");
    }

    async fn a_new_location_is_set_up_with_its_holidays(app: App) {
        let (admin, anon) = (app.admin().await, app.anon());
        let mesa = location(&admin, "Mesa", "America/Denver").await;
        let path = format!("/v1/locations/{mesa}/closures");
        let year = json!({"closures": [
            {"date": "2026-01-01", "name": "New Year's Day"},
            {"date": "2026-05-25", "name": "Memorial Day"},
            // On this Sunday the clock jumps ahead.
            {"date": "2026-03-08", "name": "Stocktaking"},
            {"starts_at": "2026-03-10T18:00:00Z", "ends_at": "2026-03-10T20:00:00Z", "name": "Fire drill"},
            {"date": "2026-12-25", "name": "Christmas"},
        ]});
        app.desk().await.post(&path, year.clone()).await.problem(403, "role_forbidden");
        let added = admin.post(&path, year.clone()).await;
        assert_eq!(added.expect(200).body["affected_total"], 0);
        assert_eq!(added.body["items"].as_array().map(Vec::len), Some(5));
        let short = &added.body["items"][2];
        // 23 hours.
        assert_eq!((&short["starts_at"], &short["ends_at"]), (&json!("2026-03-08T07:00:00Z"), &json!("2026-03-09T06:00:00Z")));

        let check = visit_type(&admin, "Check", 15).await;
        let body = json!({"name": "Dr. Mesa", "visit_type_ids": [check], "location_ids": [mesa]});
        let doctor = admin.post("/v1/practitioners", body).await.expect(201).id();
        let mut hours = weekly_hours(&mesa);
        hours.as_array_mut().expect("a list").push(rule(&mesa, "sunday", "00:00", "24:00"));
        put_hours(&admin, &doctor, hours).await.expect(200);

        // Whoever searches online sees no time on a holiday.
        for day in [("2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"), ("2026-05-25T06:00:00Z", "2026-05-26T06:00:00Z")] {
            assert!(free(&anon, &doctor, &check, day).await.is_empty(), "{day:?}");
        }
        assert_eq!(free(&anon, &doctor, &check, ("2026-05-26T06:00:00Z", "2026-05-27T06:00:00Z")).await.len(), 32);
        let sunday = free(&anon, &doctor, &check, ("2026-03-15T06:00:00Z", "2026-03-16T06:00:00Z")).await;
        assert_eq!(sunday.len(), 96);
        let drill = free(&anon, &doctor, &check, ("2026-03-10T06:00:00Z", "2026-03-11T06:00:00Z")).await;
        assert_eq!(drill.len(), 32 - 8);
        assert!(starts(&drill).contains(&"2026-03-10T17:45:00Z") && starts(&drill).contains(&"2026-03-10T20:00:00Z"));

        // The list can be sent again, with another name and one more.
        let mut again = year.clone();
        again["closures"][1]["name"] = json!("Decoration Day");
        again["closures"].as_array_mut().expect("a list").push(json!({"date": "2026-07-03", "name": "Independence Day"}));
        let twice = admin.post(&path, again).await;
        let known = ids(&added.body["items"]);
        assert_eq!(ids(&twice.expect(200).body["items"])[..5], known);
        let listed = app.desk().await.get(&path).await.items();
        let names: Vec<_> = listed.iter().map(|one| one["name"].as_str().expect("a name")).collect();
        assert_eq!(names, ["Stocktaking", "Fire drill", "Decoration Day", "Independence Day", "Christmas"]);
        assert_eq!((&listed[2]["date"], &listed[2]["time_zone"]), (&json!("2026-05-25"), &json!("America/Denver")));
        let page = admin.get(&format!("{path}?limit=3&from=2025-12-31T00:00:00Z")).await;
        let next = admin.get(&format!("{path}?limit=3&from=2025-12-31T00:00:00Z&cursor={}", page.string("/next_cursor"))).await;
        assert_eq!((page.items().len(), next.items().len(), &next.body["next_cursor"]), (3, 3, &Value::Null));

        admin.delete(&format!("/v1/closures/{}", known[1])).await.expect(204);
        admin.delete(&format!("/v1/closures/{}", known[1])).await.problem(404, "not_found");
        assert_eq!(free(&anon, &doctor, &check, ("2026-05-25T06:00:00Z", "2026-05-26T06:00:00Z")).await.len(), 32);

        // A location that moves into another zone takes its days along.
        patch(&admin, &format!("/v1/locations/{mesa}"), json!({"time_zone": "America/New_York"})).await.expect(200);
        assert_eq!(admin.get(&path).await.items()[0]["starts_at"], "2026-03-08T05:00:00Z");
        assert!(free(&anon, &doctor, &check, ("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z")).await.is_empty());

        for (closures, pointer, code) in [
            (json!([]), "/closures", "out_of_range"),
            (json!([{"name": "x"}]), "/closures/0", "required"),
            (json!([{"date": "2026-05-25", "starts_at": "2026-05-25T06:00:00Z", "name": "x"}]), "/closures/0", "required"),
            (json!([{"date": "2026-05-25", "name": "x"}, {"date": "2026-05-25", "name": "y"}]), "/closures/1", "duplicate"),
            (json!([{"date": "2062-05-25", "name": "x"}]), "/closures/0/date", "out_of_range"),
            (json!([{"date": "2026-05-25", "name": "a\nb"}]), "/closures/0/name", "forbidden_character"),
            (json!([{"starts_at": "2026-05-25T06:00:00Z", "ends_at": "2026-05-25T06:00:00Z", "name": "x"}]), "/closures/0/ends_at", "out_of_order"),
        ] {
            admin.post(&path, json!({"closures": closures})).await.invalid(pointer, code);
        }
        admin.post(&format!("/v1/locations/{doctor}/closures"), year).await.problem(404, "not_found");
        app.patient("ann").await.get(&path).await.problem(403, "role_forbidden");
    }

    async fn a_holiday_hits_the_visits_of_all_who_work_there(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let visits = a_busy_week(&app, &clinic).await;
        let colleague = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let ann = app.patient("ann").await;
        let slot = free(&desk, &colleague, &clinic.check, TUESDAY).await[0].clone();
        let other = book(&desk, &slot, &clinic.check, &ann.patient_id).await.expect(201).id();
        let path = format!("/v1/locations/{}/closures", clinic.location_id);
        let closed = admin.post(&path, json!({"closures": [{"date": "2026-03-03", "name": "Burst pipe"}]})).await;
        assert_eq!(closed.expect(200).body["affected_total"], 4);
        let hit = ids(&closed.body["affected_appointments"]);
        assert!(hit.contains(&other) && hit.contains(&visits[2]["id"].as_str().expect("an id").to_owned()));
        assert_eq!(attention(&desk).await.len(), 4);
        assert!(ann.get(&format!("/v1/appointments/{other}")).await.body.get("attention").is_none(), "not the patient's to see");
        ann.get("/v1/appointments?needs_attention=true").await.problem(403, "role_forbidden");
        // Time off on top of it changes the reason; whoever enters it sees whom it hits, as if it were alone.
        app.clock.advance(SignedDuration::from_mins(1));
        let off = except(&desk, &colleague, time_off(TUESDAY)).await;
        assert_eq!(ids(&off.expect(201).body["affected_appointments"]), [other.as_str()]);
        let read = desk.get(&format!("/v1/appointments/{other}")).await.body;
        assert_eq!(read["attention"], json!({"reason": "time_off", "since": "2026-03-02T14:00:00Z"}));
        // So it is the other way round; and a closure of Wednesday has nothing to do with it.
        let days = json!({"closures": [{"date": "2026-03-03", "name": "Burst pipe"}, {"date": "2026-03-04", "name": "Repair"}]});
        let both = admin.post(&path, days).await;
        assert_eq!(both.expect(200).body["affected_total"], 5);
        let repair = format!("/v1/closures/{}", both.string("/items/1/id"));
        admin.delete(&repair).await.expect(204);
        let repair = admin.post(&path, json!({"closures": [{"date": "2026-03-04", "name": "Repair"}]})).await;
        assert_eq!(ids(&repair.expect(200).body["affected_appointments"]), [visits[3]["id"].as_str().expect("an id")]);
        admin.delete(&format!("/v1/closures/{}", repair.string("/items/0/id"))).await.expect(204);
        desk.delete(&off.location()).await.expect(200);
        let read = desk.get(&format!("/v1/appointments/{other}")).await.body;
        assert_eq!(read["attention"]["reason"], "closure");
        // Whoever comes all the same is no case for the telephone any more.
        app.clock.set("2026-03-03T13:50:00Z".parse().expect("an instant"));
        desk.post_empty(&format!("/v1/appointments/{other}/check-in")).await.expect(200);
        assert_eq!(attention(&desk).await.len(), 3);
        let day = desk.get(&format!("/v1/practitioners/{colleague}/agenda")).await.body;
        assert_eq!((&day["date"], &day["gaps"][0]["kind"], &day["gaps"][0]["note"]), (&json!("2026-03-03"), &json!("closure"), &json!("Burst pipe")));
        admin.delete(&format!("/v1/closures/{}", closed.string("/items/0/id"))).await.expect(204);
        assert!(attention(&desk).await.is_empty());
    }

    async fn extra_hours_open_a_saturday(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, doctor) = (app.admin().await, app.desk().await, app.doctor().await);
        let saturday = ("2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z");
        let extra = |from: &str, to: &str, place: &str| {
            json!({"kind": "extra_hours", "starts_at": from, "ends_at": to, "location_id": place, "reason": "The waiting list"})
        };
        let body = extra("2026-03-07T14:00:00Z", "2026-03-07T15:40:00Z", &clinic.location_id);
        except(&desk, &clinic.practitioner_id, body.clone()).await.problem(403, "role_forbidden");
        let added = except(&doctor, &clinic.practitioner_id, body.clone()).await;
        added.expect(201);
        let found = free(&app.anon(), &clinic.practitioner_id, &clinic.follow_up, saturday).await;
        assert_eq!(starts(&found), [
            "2026-03-07T14:00:00Z", "2026-03-07T14:15:00Z", "2026-03-07T14:30:00Z", "2026-03-07T14:45:00Z", "2026-03-07T15:00:00Z",
        ]);
        let ann = app.patient("ann").await;
        let visit = book(&ann, &found[2], &clinic.follow_up, &ann.patient_id).await.expect(201).id();

        let elsewhere = location(&admin, "Harbour", "America/Chicago").await;
        let path = format!("/v1/practitioners/{}", clinic.practitioner_id);
        except(&admin, &clinic.practitioner_id, extra("2026-03-07T14:00:00Z", "2026-03-07T18:00:00Z", &elsewhere)).await
            .invalid("/location_id", "unknown_reference");
        patch(&admin, &path, json!({"location_ids": [clinic.location_id, elsewhere]})).await.expect(200);
        for (from, to) in [("2026-03-07T15:00:00Z", "2026-03-07T18:00:00Z"), ("2026-03-06T21:30:00Z", "2026-03-06T23:00:00Z")] {
            except(&admin, &clinic.practitioner_id, extra(from, to, &elsewhere)).await.invalid("/starts_at", "overlap");
        }
        except(&admin, &clinic.practitioner_id, extra("2026-03-07T15:40:00Z", "2026-03-07T16:40:00Z", &elsewhere)).await.expect(201);
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, saturday).await.len(), 6 - 2 + 4);

        for (body, pointer, code) in [
            (json!({"kind": "extra_hours", "starts_at": saturday.0, "ends_at": saturday.1, "reason": "x"}), "/location_id", "required"),
            (extra("2026-03-07T14:00:00Z", "2026-03-08T14:00:01Z", &clinic.location_id), "/ends_at", "out_of_range"),
            (extra("2026-03-07T14:00:00Z", "2026-03-07T14:05:00Z", &clinic.location_id), "/ends_at", "out_of_range"),
            (extra("2026-03-07T14:00:00Z", "2026-03-07T14:00:00Z", &clinic.location_id), "/ends_at", "out_of_order"),
            (extra("2026-03-01T14:00:00Z", "2026-03-01T15:00:00Z", &clinic.location_id), "/ends_at", "in_the_past"),
            (json!({"kind": "holiday", "starts_at": saturday.0, "ends_at": saturday.1, "reason": "x"}), "/kind", "not_an_option"),
            (json!({"kind": "time_off", "starts_at": saturday.0, "ends_at": saturday.1}), "/reason", "required"),
        ] {
            except(&admin, &clinic.practitioner_id, body).await.invalid(pointer, code);
        }

        // Taken back, the booked visit stands and somebody calls; the front desk may not do it.
        desk.delete(&added.location()).await.problem(403, "role_forbidden");
        let gone = doctor.delete(&added.location()).await;
        assert_eq!(ids(&gone.expect(200).body["affected_appointments"]), [visit.as_str()]);
        assert_eq!(attention(&desk).await, [visit.as_str()]);
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, saturday).await.len(), 4, "the other place's");
        except(&doctor, &clinic.practitioner_id, body).await.expect(201);
        assert!(attention(&desk).await.is_empty(), "the plan covers it again");
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, saturday).await.len(), 8);
    }

    async fn doctors_enter_their_own_time_off_and_do_not_read_why_others_are_away(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, doctor, ann) = (app.admin().await, app.desk().await, app.doctor().await, app.patient("ann").await);
        let colleague = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let other = app.doctor_of(&colleague).await;
        let path = format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id);
        app.anon().get(&path).await.problem(401, "unauthenticated");
        ann.get(&path).await.problem(403, "role_forbidden");
        except(&ann, &clinic.practitioner_id, time_off(TUESDAY)).await.problem(403, "role_forbidden");
        except(&other, &clinic.practitioner_id, time_off(TUESDAY)).await.problem(404, "not_found");
        let mut here = time_off(("2026-03-04T05:00:00Z", "2026-03-05T05:00:00Z"));
        here["location_id"] = json!(clinic.location_id);
        let added = except(&doctor, &clinic.practitioner_id, here).await.expect(201).location();
        except(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await.expect(201);
        for (client, reason) in [(&desk, json!("Canary-migraine")), (&doctor, json!("Canary-migraine")), (&admin, json!("Canary-migraine")), (&other, Value::Null)] {
            let items = client.get(&path).await.items();
            assert_eq!(items.iter().map(|item| &item["reason"]).collect::<Vec<_>>(), [&reason, &reason]);
            assert_eq!(starts(&items), ["2026-03-03T05:00:00Z", "2026-03-04T05:00:00Z"]);
        }
        let page = desk.get(&format!("{path}?limit=1")).await;
        let next = desk.get(&format!("{path}?limit=1&cursor={}", page.string("/next_cursor"))).await;
        assert_eq!((starts(&next.items()), &next.body["next_cursor"]), (vec!["2026-03-04T05:00:00Z"], &Value::Null));
        assert!(desk.get(&format!("{path}?from=2026-03-06T00:00:00Z")).await.items().is_empty());
        other.delete(&added).await.problem(404, "not_found");
        doctor.delete(&added).await.expect(200);
        // A repeat with the same key enters it once.
        let keyed = || desk.post_with(&path, time_off(("2026-03-10T05:00:00Z", "2026-03-10T15:00:00Z")), &[("Idempotency-Key", "off")]);
        let (once, twice) = (keyed().await, keyed().await);
        assert_eq!(once.expect(201).body, twice.expect(201).body);
        assert_eq!(desk.get(&path).await.items().len(), 2);
    }

    async fn a_changed_week_and_a_doctor_who_leaves_hit_visits_likewise(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let visits = a_busy_week(&app, &clinic).await;
        let all: Vec<String> = visits.iter().map(|visit| visit["id"].as_str().expect("an id").to_owned()).collect();
        // From half past nine on: the visit at nine on Tuesday and the one on Wednesday are outside.
        let later: Value = ["monday", "tuesday", "wednesday"].map(|day| rule(&clinic.location_id, day, "09:30", "17:00")).into();
        let put = put_hours(&admin, &clinic.practitioner_id, later).await;
        assert_eq!(put.expect(200).body["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(ids(&put.body["affected_appointments"]), [all[0].as_str(), &all[3]]);
        assert_eq!(attention(&desk).await.len(), 2);
        let path = format!("/v1/practitioners/{}", clinic.practitioner_id);
        let left = patch(&admin, &path, json!({"active": false})).await;
        assert_eq!((left.expect(200).body["active"].clone(), ids(&left.body["affected_appointments"])), (json!(false), all[1..3].to_vec()));
        assert_eq!(attention(&desk).await, all);
        patch(&admin, &path, json!({"active": true})).await.expect(200);
        assert_eq!(attention(&desk).await.len(), 2);
        let moved_out = patch(&admin, &path, json!({"location_ids": []})).await;
        assert_eq!(moved_out.expect(200).body["affected_total"], 2);
        patch(&admin, &path, json!({"location_ids": [clinic.location_id]})).await.expect(200);
        put_hours(&admin, &clinic.practitioner_id, weekly_hours(&clinic.location_id)).await.expect(200);
        assert!(attention(&desk).await.is_empty());
        // Slots of another length are no reason to call anybody.
        patch(&admin, &path, json!({"visit_type_ids": [clinic.new_visit]})).await.expect(200);
        let recut = patch(&admin, &format!("/v1/locations/{}", clinic.location_id), json!({"slot_minutes": 60})).await;
        assert_eq!(recut.expect(200).body["affected_total"], 0);
        assert!(attention(&desk).await.is_empty());
        let zone = patch(&admin, &format!("/v1/locations/{}", clinic.location_id), json!({"time_zone": "America/Denver"})).await;
        assert_eq!(zone.expect(200).body["affected_total"], 4, "nine o'clock comes two hours later");
    }

    async fn a_hold_that_time_off_takes_away_is_over(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free(&ann, &clinic.practitioner_id, &clinic.follow_up, TUESDAY).await;
        let slot = at(&slots, "2026-03-03T14:00:00Z").clone();
        let path = format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id"));
        let hold = ann.post(&path, json!({"visit_type_id": clinic.follow_up})).await.expect(201).string("/hold_id");
        // It begins in the middle of what is held.
        let off = except(&desk, &clinic.practitioner_id, time_off(("2026-03-03T14:15:00Z", "2026-03-03T16:00:00Z"))).await.expect(201).location();
        let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.follow_up, "patient_id": ann.patient_id, "hold_id": hold});
        let lapsed = ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "h")]).await;
        assert_eq!(lapsed.problem(409, "hold_lapsed")["next_free"][0]["starts_at"], "2026-03-03T16:00:00Z");
        book(&ann, &slot, &clinic.follow_up, &ann.patient_id).await.problem(409, "slot_taken");
        // Held or not, what is left is everybody's, and the rest comes back.
        book(&ann, &slot, &clinic.check, &ann.patient_id).await.expect(201);
        desk.delete(&off).await.expect(200);
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.len(), 31);
    }

    async fn a_time_that_goes_between_search_and_booking_is_answered_with_others(app: App) {
        let clinic = app.clinic().await;
        let (desk, ann) = (app.desk().await, app.patient("ann").await);
        let slots = free(&ann, &clinic.practitioner_id, &clinic.follow_up, TUESDAY).await;
        let (slot, kept) = (at(&slots, "2026-03-03T14:00:00Z").clone(), at(&slots, "2026-03-03T18:00:00Z").clone());
        let visit = book(&ann, &kept, &clinic.follow_up, &ann.patient_id).await.expect(201).location();
        except(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await.expect(201);
        let first = free(&ann, &clinic.practitioner_id, &clinic.follow_up, ("2026-03-02T00:00:00Z", "2026-03-06T00:00:00Z")).await.remove(0);
        let hold = format!("/v1/slots/{}/hold", slot["id"].as_str().expect("an id"));
        for refused in [
            book(&ann, &slot, &clinic.follow_up, &ann.patient_id).await,
            ann.post(&hold, json!({"visit_type_id": clinic.follow_up})).await,
            ann.post(&format!("{visit}/reschedule"), json!({"slot_id": slot["id"]})).await,
        ] {
            let problem = refused.problem(409, "slot_taken");
            assert_eq!(problem["next_free"][0], first);
            assert_eq!(problem["next_free"].as_array().map(Vec::len), Some(5));
        }
        // Whose visit it is comes first: what one may not see is not there.
        let bob = app.patient("bob").await;
        bob.post(&format!("{visit}/reschedule"), json!({"slot_id": slot["id"]})).await.problem(404, "not_found");
        book(&bob, &slot, &clinic.follow_up, &ann.patient_id).await.problem(404, "not_found");
    }

    async fn a_block_outlives_time_off_and_goes_when_it_is_lifted_within(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let slots = free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await;
        let (one, two) = (slots[0]["id"].as_str().expect("an id"), slots[1]["id"].as_str().expect("an id"));
        for slot in [one, two] {
            desk.post(&format!("/v1/slots/{slot}/block"), json!({"reason": "meeting"})).await.expect(200);
        }
        let off = except(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await.expect(201).location();
        desk.post_empty(&format!("/v1/slots/{one}/unblock")).await.expect(200);
        assert!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.is_empty());
        desk.delete(&off).await.expect(200);
        let back = free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await;
        assert_eq!((back.len(), starts(&back)[0], starts(&back)[1]), (31, "2026-03-03T14:00:00Z", "2026-03-03T14:30:00Z"));
    }

    async fn a_booking_that_races_time_off_is_refused_or_needs_attention(app: App) {
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
            let (added, replies) = join(except(&desk, &clinic.practitioner_id, time_off(window)), bookings).await;
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

    async fn plans_of_two_locations_change_while_visits_move_and_nobody_waits_for_ever(app: App) {
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
                let off = except(&desk, if n % 2 == 0 { &other } else { &clinic.practitioner_id }, time_off(TUESDAY)).await;
                admin.delete(&format!("/v1/closures/{id}")).await.expect(204);
                desk.delete(&off.expect(201).location()).await.expect(200);
            }
        };
        let moves = join_all(visits.iter().enumerate().map(|(n, visit)| {
            let (desk, here, there) = (&desk, &here, &there);
            async move {
                let path = format!("/v1/appointments/{}/reschedule", visit["id"].as_str().expect("an id"));
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

    async fn the_day_shows_the_visits_in_order_and_what_lies_between(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        let visits = a_busy_week(&app, &clinic).await;
        let path = format!("/v1/practitioners/{}/agenda", clinic.practitioner_id);
        app.anon().get(&path).await.problem(401, "unauthenticated");
        ann.get(&path).await.problem(403, "role_forbidden");
        desk.get(&format!("/v1/practitioners/{}/agenda", clinic.location_id)).await.problem(404, "not_found");
        desk.get(&format!("{path}?date=tomorrow")).await.problem(422, "validation_failed");

        let noon = free(&desk, &clinic.practitioner_id, &clinic.check, ("2026-03-03T17:00:00Z", "2026-03-03T18:00:00Z")).await;
        for slot in &noon[..2] {
            desk.post(&format!("/v1/slots/{}/block", slot["id"].as_str().expect("an id")), json!({"reason": "Lunch"})).await.expect(200);
        }
        let hold = format!("/v1/slots/{}/hold", noon[2]["id"].as_str().expect("an id"));
        ann.post(&hold, json!({"visit_type_id": clinic.check})).await.expect(201);
        let gone = format!("/v1/appointments/{}/cancel", visits[1]["id"].as_str().expect("an id"));
        desk.post(&gone, json!({"reason": "flu"})).await.expect(200);

        let day = app.doctor().await.get(&format!("{path}?date=2026-03-03")).await;
        assert_eq!((&day.expect(200).body["practitioner_name"], &day.body["date"]), (&json!("Dr. Ada Vein"), &json!("2026-03-03")));
        assert_eq!(ids(&day.body["appointments"]), [&visits[0], &visits[2]].map(|visit| visit["id"].as_str().expect("an id")));
        let first = &day.body["appointments"][0];
        for (member, value) in [
            ("/visit_type", json!("Follow-up")), ("/status", json!("booked")), ("/time_zone", json!("America/New_York")),
            ("/intake_id", Value::Null), ("/intake_status", json!("missing")), ("/location_id", json!(clinic.location_id)),
            ("/patient/display_name", json!("Maria Tester")), ("/patient/date_of_birth", json!("1961-05-04")),
            ("/patient/phone", json!("+12025550161")), ("/patient/preferred_language", json!("en")),
            ("/patient/interpreter_needed", json!(false)),
        ] {
            assert_eq!(first.pointer(member), Some(&value), "{member}");
        }
        assert!(first["patient"]["mrn"].is_string());
        let gaps: Vec<_> = day.body["gaps"].as_array().expect("a list").iter().map(|gap| {
            let clock = |member: &str| gap[member].as_str().expect("an instant")[11..16].to_owned();
            (gap["kind"].as_str().expect("a kind"), clock("starts_at"), clock("ends_at"), gap["note"].as_str())
        }).collect();
        let gap = |kind, from: &str, to: &str, note| (kind, from.to_owned(), to.to_owned(), note);
        assert_eq!(gaps, [
            gap("free", "14:30", "15:00", None), gap("free", "15:30", "17:00", None), gap("blocked", "17:00", "17:30", Some("Lunch")),
            gap("held", "17:30", "17:45", None), gap("free", "17:45", "22:00", None),
        ]);
        // Without a day it is today where the doctor works: still Monday in New York at three in the morning, universal time.
        app.clock.set("2026-03-03T03:00:00Z".parse().expect("an instant"));
        let today = desk.get(&path).await.body;
        assert_eq!((&today["date"], &today["gaps"]), (&json!("2026-03-02"), &json!([])), "what is over is no gap");

        // A doctor of two zones has the day of each place.
        let tokyo = location(&admin, "Tokyo", "Asia/Tokyo").await;
        let doctor = format!("/v1/practitioners/{}", clinic.practitioner_id);
        patch(&admin, &doctor, json!({"location_ids": [clinic.location_id, tokyo]})).await.expect(200);
        put_hours(&admin, &clinic.practitioner_id, json!([
            rule(&clinic.location_id, "friday", "09:00", "10:00"), rule(&tokyo, "friday", "09:00", "10:00"),
            rule(&tokyo, "saturday", "05:00", "06:00"),
        ])).await.expect(200);
        let friday = desk.get(&format!("{path}?date=2026-03-06")).await.body;
        let zones: Vec<_> = friday["gaps"].as_array().expect("a list").iter().map(|gap| (gap["starts_at"].clone(), gap["time_zone"].clone())).collect();
        assert_eq!(zones, [
            (json!("2026-03-06T00:00:00Z"), json!("Asia/Tokyo")), (json!("2026-03-06T14:00:00Z"), json!("America/New_York")),
        ]);
        app.clock.advance(SignedDuration::from_mins(1));
    }
}
