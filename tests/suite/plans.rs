//! Changes of the schedule: time off, extra hours, closures, weekly hours; the visits they affect; the day's agenda.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::clinic::{hours, location, practitioner, put_hours, visit_type, weekly_hours};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::{App, Client, Clinic, Reply, book, both, id};

/// Tuesday in New York, from midnight to midnight.
pub(super) const TUESDAY: (&str, &str) = ("2026-03-03T05:00:00Z", "2026-03-04T05:00:00Z");

pub(super) fn time_off((from, to): (&str, &str)) -> Value {
    json!({"kind": "time_off", "starts_at": from, "ends_at": to, "reason": "Canary-migraine"})
}

pub(super) async fn add_exception(client: &Client, practitioner: &str, body: Value) -> Reply {
    client.post(&format!("/v1/practitioners/{practitioner}/exceptions"), body).await
}

/// The free starts of a practitioner between two instants.
pub(super) async fn free(
    client: &Client,
    practitioner: &str,
    visit_type: &str,
    (from, to): (&str, &str),
) -> Vec<Value> {
    let path =
        format!("/v1/slots?visit_type_id={visit_type}&practitioner_id={practitioner}&from={from}&to={to}&limit=200");
    client.get(&path).await.items()
}

pub(super) fn starts(slots: &[Value]) -> Vec<&str> {
    slots.iter().map(|slot| slot["starts_at"].as_str().expect("a start")).collect()
}

/// The slot that starts at an instant.
pub(super) fn at<'a>(slots: &'a [Value], instant: &str) -> &'a Value {
    slots.iter().find(|slot| slot["starts_at"] == instant).unwrap_or_else(|| panic!("no slot at {instant}"))
}

/// Creates a record at the front desk. Returns its id.
pub(super) async fn register(desk: &Client, name: &str, birth: &str, phone: &str, email: &str) -> String {
    let mut body = patient_json(name, email);
    (body["date_of_birth"], body["phone"]) = (json!(birth), json!(phone));
    desk.post("/v1/patients", body).await.expect(201).id()
}

/// The ids of the appointments that need attention.
pub(super) async fn attention(client: &Client) -> Vec<String> {
    let items = client.get("/v1/appointments?needs_attention=true").await.items();
    assert!(items.iter().all(|item| item["attention"]["reason"].is_string()));
    items.iter().map(|item| id(item).to_owned()).collect()
}

pub(super) fn ids(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list");
    items.iter().map(|item| id(item).to_owned()).collect()
}

/// Follow-ups on Tuesday at nine, half past nine and ten, and one on Wednesday at nine.
pub(super) async fn a_busy_week(app: &App, clinic: &Clinic) -> Vec<Value> {
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
    async fn the_desk_moves_a_sick_practitioners_visits_even_of_patients_with_the_same_name(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let types = [clinic.new_visit.as_str(), &clinic.follow_up, &clinic.check];
        let colleague = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &types).await;
        let visits = a_busy_week(&app, &clinic).await;
        assert!(attention(&desk).await.is_empty());
        let mails = app.mails().await.len();

        // The practitioner is sick. The front desk enters it and gets the list of patients to call.
        let added = add_exception(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await;
        let hit = added.expect(201).body["affected_appointments"].clone();
        assert_eq!((&added.body["affected_total"], &added.body["reason"]), (&json!(3), &json!("Canary-migraine")));
        assert_eq!(added.location(), format!("/v1/exceptions/{}", added.id()));
        assert_eq!(ids(&hit), [&visits[0], &visits[1], &visits[2]].map(|visit| id(visit)));
        let (first, second) = (&hit[0], &hit[1]);
        assert_eq!(first["patient"]["display_name"], second["patient"]["display_name"]);
        for (one, birth, phone) in [(first, "1961-05-04", "+12025550161"), (second, "1987-12-24", "+12025550187")] {
            assert_eq!((&one["patient"]["date_of_birth"], &one["patient"]["phone"]), (&json!(birth), &json!(phone)));
            assert_eq!((&one["time_zone"], &one["visit_type"]), (&json!("America/New_York"), &json!("Follow-up")));
            assert_eq!((&one["patient"]["preferred_language"], &one["patient"]["interpreter_needed"]), (&json!("en"), &json!(false)));
        }
        // Nothing else happens automatically.
        assert_eq!(attention(&desk).await, ids(&hit));
        assert_eq!(app.mails().await.len(), mails);
        assert!(free(&desk, &clinic.practitioner_id, &clinic.check, TUESDAY).await.is_empty());
        let listed = desk.get(&format!("/v1/appointments/{}", ids(&hit)[0])).await.body;
        assert_eq!((&listed["status"], &listed["attention"]), (&json!("booked"), &json!({"reason": "time_off", "since": "2026-03-02T14:00:00Z"})));
        let rest = desk.get("/v1/appointments?needs_attention=false").await.body["items"].clone();
        assert_eq!(ids(&rest), [id(&visits[3])]);
        assert!(rest[0].get("attention").is_none());

        // Both Marias move to the colleague, one of them later that day; Otto cancels.
        let gaps = free(&desk, &colleague, &clinic.follow_up, TUESDAY).await;
        for (visit, instant) in [(&visits[0], "2026-03-03T14:00:00Z"), (&visits[1], "2026-03-03T18:30:00Z")] {
            let path = format!("/v1/appointments/{}/reschedule", id(visit));
            let moved = desk.post(&path, json!({"slot_id": at(&gaps, instant)["id"]})).await;
            assert_eq!((&moved.expect(200).body["practitioner_id"], moved.body.get("attention")), (&json!(colleague), None));
        }
        assert_eq!(attention(&desk).await, [id(&visits[2])]);
        let cancel = format!("/v1/appointments/{}/cancel", id(&visits[2]));
        desk.post(&cancel, json!({"reason": "the doctor is ill"})).await.expect(200);
        assert!(attention(&desk).await.is_empty());
        for (address, method) in [("maria.one", "METHOD:REQUEST"), ("maria.two", "METHOD:REQUEST"), ("otto", "METHOD:CANCEL")] {
            let theirs = app.mails_to(&format!("{address}@patients.example")).await;
            assert_eq!(theirs.len(), 2, "{address}: the booking and the change");
            assert!(theirs[1].ics.as_deref().is_some_and(|ics| ics.contains(method)), "{address}");
            assert!(!theirs[1].raw.contains("Canary"));
        }
        assert_eq!(app.mails_to("wanda@patients.example").await.len(), 1);

        // The colleague's agenda shows each Maria with her birth date; the sick practitioner's agenda is empty.
        let day = desk.get(&format!("/v1/practitioners/{colleague}/agenda?date=2026-03-03")).await.body;
        let births: Vec<_> = day["appointments"].as_array().expect("a list").iter().map(|one| one["patient"]["date_of_birth"].clone()).collect();
        assert_eq!(births, ["1961-05-04", "1987-12-24"]);
        let day = desk.get(&format!("/v1/practitioners/{}/agenda?date=2026-03-03", clinic.practitioner_id)).await.body;
        assert_eq!(day["appointments"], json!([]));
        assert_eq!(day["gaps"], json!([{
            "kind": "time_off", "practitioner_id": clinic.practitioner_id, "practitioner_name": "Dr. Ada Vein",
            "starts_at": TUESDAY.0, "ends_at": TUESDAY.1, "starts_local": null, "ends_local": null,
            "location_id": null, "time_zone": null, "reason": "Canary-migraine",
        }]));

        // When the time off is deleted, all times of the day are free again.
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
            // Daylight saving time starts on this Sunday.
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
        let mut rules = weekly_hours(&mesa);
        rules.as_array_mut().expect("a list").push(hours(&mesa, "sunday", "00:00", "24:00"));
        put_hours(&admin, &doctor, rules).await.expect(200);

        // The online search finds no time on a holiday.
        for day in [("2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"), ("2026-05-25T06:00:00Z", "2026-05-26T06:00:00Z")] {
            assert!(free(&anon, &doctor, &check, day).await.is_empty(), "{day:?}");
        }
        assert_eq!(free(&anon, &doctor, &check, ("2026-05-26T06:00:00Z", "2026-05-27T06:00:00Z")).await.len(), 32);
        let sunday = free(&anon, &doctor, &check, ("2026-03-15T06:00:00Z", "2026-03-16T06:00:00Z")).await;
        assert_eq!(sunday.len(), 96);
        let drill = free(&anon, &doctor, &check, ("2026-03-10T06:00:00Z", "2026-03-11T06:00:00Z")).await;
        assert_eq!(drill.len(), 32 - 8);
        assert!(starts(&drill).contains(&"2026-03-10T17:45:00Z") && starts(&drill).contains(&"2026-03-10T20:00:00Z"));

        // The list can be sent again with a changed name and an additional day.
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

        // Closed days of a location follow its time zone.
        admin.update(&format!("/v1/locations/{mesa}"), json!({"time_zone": "America/New_York"})).await.expect(200);
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

    async fn a_closure_affects_the_visits_of_every_practitioner_there(app: App) {
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
        assert!(hit.contains(&other) && hit.contains(&id(&visits[2]).to_owned()));
        assert_eq!(attention(&desk).await.len(), 4);
        assert!(ann.get(&format!("/v1/appointments/{other}")).await.body.get("attention").is_none(), "not shown to patients");
        ann.get("/v1/appointments?needs_attention=true").await.problem(403, "role_forbidden");
        // Time off on the same day replaces the reason, and its response lists the visits that it affects.
        app.clock.advance(SignedDuration::from_mins(1));
        let off = add_exception(&desk, &colleague, time_off(TUESDAY)).await;
        assert_eq!(ids(&off.expect(201).body["affected_appointments"]), [other.as_str()]);
        let read = desk.get(&format!("/v1/appointments/{other}")).await.body;
        assert_eq!(read["attention"], json!({"reason": "time_off", "since": "2026-03-02T14:00:00Z"}));
        // The same holds for a closure on top of time off; a closure of Wednesday is independent.
        let days = json!({"closures": [{"date": "2026-03-03", "name": "Burst pipe"}, {"date": "2026-03-04", "name": "Repair"}]});
        let both = admin.post(&path, days).await;
        assert_eq!(both.expect(200).body["affected_total"], 5);
        let repair = format!("/v1/closures/{}", both.string("/items/1/id"));
        admin.delete(&repair).await.expect(204);
        let repair = admin.post(&path, json!({"closures": [{"date": "2026-03-04", "name": "Repair"}]})).await;
        assert_eq!(ids(&repair.expect(200).body["affected_appointments"]), [id(&visits[3])]);
        admin.delete(&format!("/v1/closures/{}", repair.string("/items/0/id"))).await.expect(204);
        desk.delete(&off.location()).await.expect(200);
        let read = desk.get(&format!("/v1/appointments/{other}")).await.body;
        assert_eq!(read["attention"]["reason"], "closure");
        // Somebody must help a patient who is checked in.
        app.clock.set("2026-03-03T13:50:00Z".parse().expect("an instant"));
        desk.post_empty(&format!("/v1/appointments/{other}/check-in")).await.expect(200);
        assert_eq!(attention(&desk).await.len(), 4);
        let day = desk.get(&format!("/v1/practitioners/{colleague}/agenda")).await.body;
        assert_eq!((&day["date"], &day["gaps"][0]["kind"], &day["gaps"][0]["reason"]), (&json!("2026-03-03"), &json!("closure"), &json!("Burst pipe")));
        admin.delete(&format!("/v1/closures/{}", closed.string("/items/0/id"))).await.expect(204);
        assert!(attention(&desk).await.is_empty());
    }

    async fn extra_hours_make_times_on_a_saturday_bookable(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, doctor) = (app.admin().await, app.desk().await, app.doctor().await);
        let saturday = ("2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z");
        let extra = |from: &str, to: &str, place: &str| {
            json!({"kind": "extra_hours", "starts_at": from, "ends_at": to, "location_id": place, "reason": "The waiting list"})
        };
        let body = extra("2026-03-07T14:00:00Z", "2026-03-07T15:40:00Z", &clinic.location_id);
        add_exception(&desk, &clinic.practitioner_id, body.clone()).await.problem(403, "role_forbidden");
        let added = add_exception(&doctor, &clinic.practitioner_id, body.clone()).await;
        added.expect(201);
        let found = free(&app.anon(), &clinic.practitioner_id, &clinic.follow_up, saturday).await;
        assert_eq!(starts(&found), [
            "2026-03-07T14:00:00Z", "2026-03-07T14:15:00Z", "2026-03-07T14:30:00Z", "2026-03-07T14:45:00Z", "2026-03-07T15:00:00Z",
        ]);
        let ann = app.patient("ann").await;
        let visit = book(&ann, &found[2], &clinic.follow_up, &ann.patient_id).await.expect(201).id();

        let elsewhere = location(&admin, "Harbour", "America/Chicago").await;
        let path = format!("/v1/practitioners/{}", clinic.practitioner_id);
        add_exception(&admin, &clinic.practitioner_id, extra("2026-03-07T14:00:00Z", "2026-03-07T18:00:00Z", &elsewhere)).await
            .invalid("/location_id", "unknown_reference");
        admin.update(&path, json!({"location_ids": [clinic.location_id, elsewhere]})).await.expect(200);
        for (from, to) in [("2026-03-07T15:00:00Z", "2026-03-07T18:00:00Z"), ("2026-03-06T21:30:00Z", "2026-03-06T23:00:00Z")] {
            add_exception(&admin, &clinic.practitioner_id, extra(from, to, &elsewhere)).await.invalid("/starts_at", "overlap");
        }
        add_exception(&admin, &clinic.practitioner_id, extra("2026-03-07T15:40:00Z", "2026-03-07T16:40:00Z", &elsewhere)).await.expect(201);
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
            add_exception(&admin, &clinic.practitioner_id, body).await.invalid(pointer, code);
        }

        // After the extra hours are deleted, the booked visit needs attention. The front desk may not delete them.
        desk.delete(&added.location()).await.problem(403, "role_forbidden");
        let gone = doctor.delete(&added.location()).await;
        assert_eq!(ids(&gone.expect(200).body["affected_appointments"]), [visit.as_str()]);
        assert_eq!(attention(&desk).await, [visit.as_str()]);
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, saturday).await.len(), 4, "those of the other location");
        add_exception(&doctor, &clinic.practitioner_id, body).await.expect(201);
        assert!(attention(&desk).await.is_empty(), "the schedule covers it again");
        assert_eq!(free(&desk, &clinic.practitioner_id, &clinic.check, saturday).await.len(), 8);
    }

    async fn the_roles_that_give_extra_hours_are_a_setting(app: App) {
        let clinic = app.clinic().await;
        let app = app.restart(&["--extra-hours-roles", "front_desk"]);
        let (admin, desk) = (app.anon().sign_in("admin@clinic.example", PASSWORD).await, app.desk().await);
        let body = json!({"kind": "extra_hours", "starts_at": "2026-03-07T14:00:00Z", "ends_at": "2026-03-07T15:00:00Z",
            "location_id": clinic.location_id, "reason": "The waiting list"});
        let refused = add_exception(&admin, &clinic.practitioner_id, body.clone()).await;
        refused.problem(403, "role_forbidden");
        assert_eq!(refused.body["allowed_roles"], json!(["front_desk"]));
        let added = add_exception(&desk, &clinic.practitioner_id, body).await;
        let path = added.expect(201).location();
        admin.delete(&path).await.problem(403, "role_forbidden");
        desk.delete(&path).await.expect(200);
        // Weekly hours are another matter.
        put_hours(&desk, &clinic.practitioner_id, weekly_hours(&clinic.location_id)).await.problem(403, "role_forbidden");
    }

    async fn practitioners_enter_their_own_time_off_and_do_not_see_the_reasons_of_others(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, doctor, ann) = (app.admin().await, app.desk().await, app.doctor().await, app.patient("ann").await);
        let colleague = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let other = app.doctor_of(&colleague).await;
        let path = format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id);
        app.anon().get(&path).await.problem(401, "unauthenticated");
        ann.get(&path).await.problem(403, "role_forbidden");
        add_exception(&ann, &clinic.practitioner_id, time_off(TUESDAY)).await.problem(403, "role_forbidden");
        add_exception(&other, &clinic.practitioner_id, time_off(TUESDAY)).await.problem(404, "not_found");
        let mut here = time_off(("2026-03-04T05:00:00Z", "2026-03-05T05:00:00Z"));
        here["location_id"] = json!(clinic.location_id);
        let added = add_exception(&doctor, &clinic.practitioner_id, here).await.expect(201).location();
        add_exception(&desk, &clinic.practitioner_id, time_off(TUESDAY)).await.expect(201);
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
        // A repeat with the same key creates one entry.
        let keyed = || desk.post_with(&path, time_off(("2026-03-10T05:00:00Z", "2026-03-10T15:00:00Z")), &[("Idempotency-Key", "off")]);
        let (once, twice) = (keyed().await, keyed().await);
        assert_eq!(once.expect(201).body, twice.expect(201).body);
        assert_eq!(desk.get(&path).await.items().len(), 2);
    }

    async fn changed_weekly_hours_and_an_inactive_practitioner_affect_visits_too(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk) = (app.admin().await, app.desk().await);
        let visits = a_busy_week(&app, &clinic).await;
        let all: Vec<String> = visits.iter().map(|visit| id(visit).to_owned()).collect();
        // From 9:30: the visits at 9:00 on Tuesday and on Wednesday are outside.
        let later: Value = ["monday", "tuesday", "wednesday"].map(|day| hours(&clinic.location_id, day, "09:30", "17:00")).into();
        let put = put_hours(&admin, &clinic.practitioner_id, later).await;
        assert_eq!(put.expect(200).body["items"].as_array().map(Vec::len), Some(3));
        assert_eq!(ids(&put.body["affected_appointments"]), [all[0].as_str(), &all[3]]);
        assert_eq!(attention(&desk).await.len(), 2);
        let path = format!("/v1/practitioners/{}", clinic.practitioner_id);
        let left = admin.update(&path, json!({"active": false})).await;
        assert_eq!((left.expect(200).body["active"].clone(), ids(&left.body["affected_appointments"])), (json!(false), all[1..3].to_vec()));
        assert_eq!(attention(&desk).await, all);
        admin.update(&path, json!({"active": true})).await.expect(200);
        assert_eq!(attention(&desk).await.len(), 2);
        let moved_out = admin.update(&path, json!({"location_ids": []})).await;
        assert_eq!(moved_out.expect(200).body["affected_total"], 2);
        admin.update(&path, json!({"location_ids": [clinic.location_id]})).await.expect(200);
        put_hours(&admin, &clinic.practitioner_id, weekly_hours(&clinic.location_id)).await.expect(200);
        assert!(attention(&desk).await.is_empty());
        // Another slot length affects no visit.
        admin.update(&path, json!({"visit_type_ids": [clinic.new_visit]})).await.expect(200);
        let recut = admin.update(&format!("/v1/locations/{}", clinic.location_id), json!({"slot_minutes": 60})).await;
        assert_eq!(recut.expect(200).body["affected_total"], 0);
        assert!(attention(&desk).await.is_empty());
        let zone = admin.update(&format!("/v1/locations/{}", clinic.location_id), json!({"time_zone": "America/Denver"})).await;
        assert_eq!(zone.expect(200).body["affected_total"], 4, "nine o'clock comes two hours later");
    }

    async fn the_agenda_shows_the_visits_in_order_and_the_gaps_between(app: App) {
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
            desk.post(&format!("/v1/slots/{}/block", id(slot)), json!({"reason": "Lunch"})).await.expect(200);
        }
        let hold = format!("/v1/slots/{}/hold", id(&noon[2]));
        ann.post(&hold, json!({"visit_type_id": clinic.check})).await.expect(201);
        let gone = format!("/v1/appointments/{}/cancel", id(&visits[1]));
        desk.post(&gone, json!({"reason": "flu"})).await.expect(200);

        let day = app.doctor().await.get(&format!("{path}?date=2026-03-03")).await;
        assert_eq!((&day.expect(200).body["practitioner_name"], &day.body["date"]), (&json!("Dr. Ada Vein"), &json!("2026-03-03")));
        assert_eq!(ids(&day.body["appointments"]), [&visits[0], &visits[2]].map(|visit| id(visit)));
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
            (gap["kind"].as_str().expect("a kind"), clock("starts_at"), clock("ends_at"), gap["reason"].as_str())
        }).collect();
        let gap = |kind, from: &str, to: &str, note| (kind, from.to_owned(), to.to_owned(), note);
        assert_eq!(gaps, [
            gap("free", "14:30", "15:00", None), gap("free", "15:30", "17:00", None), gap("blocked", "17:00", "17:30", Some("Lunch")),
            gap("held", "17:30", "17:45", None), gap("free", "17:45", "22:00", None),
        ]);
        // The default is today at the practitioner's location: at 03:00 UTC it is still Monday in New York.
        app.clock.set("2026-03-03T03:00:00Z".parse().expect("an instant"));
        let today = desk.get(&path).await.body;
        assert_eq!((&today["date"], &today["gaps"]), (&json!("2026-03-02"), &json!([])), "past time is no gap");

        // A practitioner in two time zones has the day of each location.
        let tokyo = location(&admin, "Tokyo", "Asia/Tokyo").await;
        let doctor = format!("/v1/practitioners/{}", clinic.practitioner_id);
        admin.update(&doctor, json!({"location_ids": [clinic.location_id, tokyo]})).await.expect(200);
        put_hours(&admin, &clinic.practitioner_id, json!([
            hours(&clinic.location_id, "friday", "09:00", "10:00"), hours(&tokyo, "friday", "09:00", "10:00"),
            hours(&tokyo, "saturday", "05:00", "06:00"),
        ])).await.expect(200);
        let friday = desk.get(&format!("{path}?date=2026-03-06")).await.body;
        let zones: Vec<_> = friday["gaps"].as_array().expect("a list").iter().map(|gap| (gap["starts_at"].clone(), gap["time_zone"].clone())).collect();
        assert_eq!(zones, [
            (json!("2026-03-06T00:00:00Z"), json!("Asia/Tokyo")), (json!("2026-03-06T14:00:00Z"), json!("America/New_York")),
        ]);
        app.clock.advance(SignedDuration::from_mins(1));
    }
}
