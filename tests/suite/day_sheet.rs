//! The day of a location: as JSON, as a table for spreadsheets and as a page to print.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::appointments::act;
use crate::support::booking::book_nth;
use crate::support::clinic::practitioner;
use crate::support::intakes::{begin, save};
use crate::support::people::patient_json;
use crate::support::{App, Client, Clinic, both, eventually};

const CSV: [(&str, &str); 1] = [("Accept", "text/csv")];
const HTML: [(&str, &str); 1] = [("Accept", "text/html")];

fn sheet(clinic: &Clinic) -> String {
    format!("/v1/locations/{}/day-sheet?date=2026-03-02", clinic.location_id)
}

/// A visit of a patient whom the desk has to call, because she has no e-mail address.
async fn visit_of_rosa(desk: &Client, clinic: &Clinic) -> Value {
    let mut rosa = patient_json("Rosa", "unused@patients.example");
    (rosa["email"], rosa["preferred_language"], rosa["interpreter_needed"]) = (Value::Null, json!("es"), json!(true));
    let rosa = desk.post("/v1/patients", rosa).await.expect(201).id();
    book_nth(desk, &clinic.follow_up, 0, &rosa).await.body
}

both! {
    async fn neither_slots_that_have_begun_nor_those_of_who_is_away_are_free_time(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        app.clock.advance(SignedDuration::from_mins(4));
        let off = json!({"kind": "time_off", "starts_at": "2026-03-02T05:00:00Z", "ends_at": "2026-03-03T05:00:00Z", "reason": "Ill"});
        desk.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), off).await.expect(201);
        let agenda = format!("/v1/practitioners/{}/agenda?date=2026-03-02", clinic.practitioner_id);
        for (path, free) in [(sheet(&clinic), json!([["Dr. Bo Vessel", "2026-03-02T09:15:00"]])), (agenda, json!([]))] {
            let day = desk.get(&path).await;
            let gaps = day.expect(200).body["gaps"].as_array().expect("a list");
            let shown: Vec<_> = gaps.iter().filter(|gap| gap["kind"] == "free")
                .map(|gap| json!([gap["practitioner_name"], gap["starts_local"]])).collect();
            assert_eq!(json!(shown), free, "{}", day.text);
        }
    }

    async fn the_day_sheet_has_all_that_the_desk_needs_of_each_visit(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, ann) = (app.admin().await, app.desk().await, app.patient("ann").await);
        practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let rosa = visit_of_rosa(&desk, &clinic).await;
        let hers = book_nth(&desk, &clinic.follow_up, 8, &ann.patient_id).await.body;
        act(&ann, &hers, "confirm").await.expect(200);
        let gone = book_nth(&desk, &clinic.follow_up, 2, &ann.patient_id).await.body;
        desk.post(&format!("/v1/appointments/{}/cancel", gone["id"].as_str().expect("an id")), json!({"reason": "flu"})).await.expect(200);
        let draft = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &draft, json!({"safety": {"chest_pain_breathlessness": "yes"}})).await;
        let agenda = format!("/v1/practitioners/{}/agenda?date=2026-03-02", clinic.practitioner_id);
        for path in [&sheet(&clinic), &agenda] {
            let calls = desk.get(path).await.expect(200).body["calls"].clone();
            assert_eq!((&calls[0]["kind"], &calls[0]["patient_id"], &calls[1]), (&json!("appointment_booked"), &rosa["patient_id"], &Value::Null));
        }
        // Practitioners do not make the calls.
        assert_eq!(app.doctor().await.get(&sheet(&clinic)).await.body["calls"], json!([]));
        act(&desk, &rosa, "check-in").await.expect(200);
        app.clock.advance(SignedDuration::from_mins(12));

        let day = desk.get(&sheet(&clinic)).await;
        let body = &day.expect(200).body;
        for (member, value) in [("location_name", "Main Street"), ("time_zone", "America/New_York"), ("date", "2026-03-02")] {
            assert_eq!(body[member], value);
        }
        let [first, second] = body["appointments"].as_array().expect("a list").as_slice() else { panic!("{}", day.text) };
        for (visit, member, value) in [
            (first, "/patient/display_name", json!("Rosa Tester")), (first, "/patient/preferred_language", json!("es")),
            (first, "/patient/interpreter_needed", json!(true)), (first, "/status", json!("checked-in")),
            (first, "/waiting_minutes", json!(12)), (first, "/urgent", json!(false)), (first, "/intake_status", json!("missing")),
            (first, "/confirmed_at", Value::Null), (first, "/visit_type", json!("Follow-up")),
            (first, "/practitioner_name", json!("Dr. Ada Vein")), (first, "/starts_local", json!("2026-03-02T09:15:00")),
            (first, "/ends_local", json!("2026-03-02T09:45:00")),
            (second, "/patient/display_name", json!("ann Tester")), (second, "/urgent", json!(true)),
            (second, "/waiting_minutes", Value::Null), (second, "/intake_status", json!("in-progress")),
            (second, "/status", json!("booked")), (second, "/confirmed_at", json!("2026-03-02T14:00:00Z")),
        ] {
            assert_eq!(visit.pointer(member), Some(&value), "{member}");
        }
        assert!(!day.text.contains("chest_pain"), "the desk sees that there is a flag, and not what it is about");
        let gaps = body["gaps"].as_array().expect("a list");
        let free_of = |name: &str| gaps.iter().filter(|gap| gap["kind"] == "free" && gap["practitioner_name"] == name).count();
        assert!(free_of("Dr. Ada Vein") >= 2 && free_of("Dr. Bo Vessel") == 1, "{gaps:?}");
        let last = gaps.last().expect("a gap");
        assert_eq!((&last["ends_at"], &last["ends_local"]), (&json!("2026-03-02T22:00:00Z"), &json!("2026-03-02T17:00:00")));
        assert_eq!(body["calls"], json!([]), "she is here");

        // The agenda of a practitioner says the same of each visit.
        let agenda = desk.get(&agenda).await;
        assert_eq!(agenda.expect(200).body["appointments"], body["appointments"]);
        let seen = app.doctor().await.get(&sheet(&clinic)).await;
        assert_eq!(seen.expect(200).body["appointments"], body["appointments"]);
        // Another day.
        let other = desk.get(&format!("/v1/locations/{}/day-sheet?date=2026-03-03", clinic.location_id)).await;
        assert_eq!((&other.expect(200).body["appointments"], &other.body["calls"]), (&json!([]), &json!([])));
    }

    async fn the_day_sheet_is_for_staff_and_today_by_default(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let path = format!("/v1/locations/{}/day-sheet", clinic.location_id);
        for headers in [&[][..], &CSV, &HTML] {
            app.anon().get_with(&path, headers).await.problem(401, "unauthenticated");
            ann.get_with(&path, headers).await.problem(403, "role_forbidden");
            let nowhere = format!("/v1/locations/{}/day-sheet", clinic.practitioner_id);
            desk.get_with(&nowhere, headers).await.problem(404, "not_found");
            desk.get_with(&format!("{path}?date=tomorrow"), headers).await.problem(422, "validation_failed");
        }
        // At 03:00 UTC it is still Monday in New York.
        app.clock.set("2026-03-03T03:00:00Z".parse().expect("an instant"));
        assert_eq!(desk.get(&path).await.expect(200).body["date"], "2026-03-02");
    }

    async fn the_table_has_a_row_for_each_visit_and_no_formula(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut eve = patient_json("=HYPERLINK(\"https://evil.example\")", "eve@patients.example");
        eve["phone"] = json!("+12025550161");
        let eve = desk.post("/v1/patients", eve).await.expect(201).id();
        let slot = crate::support::clinic::free_slots(&desk, &clinic.follow_up).await[0]["id"].clone();
        let note = "@SUM(A1), with a \"cane\"\nand a friend";
        let body = json!({"slot_id": slot, "visit_type_id": clinic.follow_up, "patient_id": eve, "note": note});
        desk.post_with("/v1/appointments", body, &[("Idempotency-Key", "eve")]).await.expect(201);

        let reply = desk.get_with(&sheet(&clinic), &CSV).await;
        assert_eq!(reply.expect(200).header("content-type"), "text/csv; charset=utf-8; header=present");
        assert_eq!(reply.header("content-disposition"), "attachment; filename=\"day-sheet-2026-03-02.csv\"");
        let mut reader = csv::Reader::from_reader(reply.text.as_bytes());
        let heading = reader.headers().expect("a heading").clone();
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("rows");
        assert_eq!(rows.len(), 1);
        let cell = |column: &str| rows[0].get(heading.iter().position(|name| name == column).expect("a column")).expect("a cell");
        assert!(cell("patient").starts_with("'=HYPERLINK("), "{}", cell("patient"));
        assert_eq!((cell("note"), cell("phone")), (format!("'{note}").as_str(), "'+12025550161"));
        assert_eq!((cell("start"), cell("confirmed"), cell("intake")), ("2026-03-02T09:15:00", "no", "missing"));
        for cell in &rows[0] {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
    }

    async fn the_page_has_each_visit_the_gaps_and_the_calls_and_no_markup_of_patients(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let rosa = visit_of_rosa(&desk, &clinic).await;
        let eve = desk.post("/v1/patients", patient_json("<b>Eve</b>", "eve@patients.example")).await.expect(201).id();
        book_nth(&desk, &clinic.follow_up, 8, &eve).await;
        act(&desk, &rosa, "check-in").await.expect(200);
        let mut gran = patient_json("Gran", "unused@patients.example");
        gran["email"] = Value::Null;
        let gran = desk.post("/v1/patients", gran).await.expect(201).id();
        book_nth(&desk, &clinic.follow_up, 14, &gran).await;
        let page = desk.get_with(&sheet(&clinic), &HTML).await;
        assert_eq!(page.expect(200).header("content-type"), "text/html; charset=utf-8");
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
        for words in [
            "Main Street", "Monday, March 2, 2026", "Rosa Tester", "Spanish", "interpreter", "9:15 AM", "Follow-up", "Checked in",
            "waits 0 min", "not confirmed", "Forms <strong>missing", "&lt;b&gt;Eve", "Free time", "5:00 PM", "Calls to make", "appointment booked",
        ] {
            assert!(page.text.contains(words), "{words} in {}", page.text);
        }
        assert!(!page.text.contains("<b>Eve"));
        // A browser's own Accept header prefers the page.
        let browser = [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")];
        assert_eq!(desk.get_with(&sheet(&clinic), &browser).await.text, page.text);
        assert_eq!(desk.get_with(&sheet(&clinic), &[("Accept", "application/json")]).await.body["date"], "2026-03-02");
    }

    async fn the_day_shows_time_off_extra_hours_and_closures_with_the_reasons_that_the_caller_may_read(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let other = practitioner(&admin, "Dr. Bo Vessel", &clinic.location_id, &[&clinic.check]).await;
        let elsewhere = crate::support::clinic::location(&admin, "Hill Street", "America/New_York").await;
        let far = practitioner(&admin, "Dr. Far Away", &elsewhere, &[&clinic.check]).await;
        let path = |id: &str| format!("/v1/practitioners/{id}/exceptions");
        // Saturday. A long absence begins before it, and that of somebody who does not work here is not shown.
        let off = json!({"kind": "time_off", "starts_at": "2026-03-05T05:00:00Z", "ends_at": "2026-03-09T04:00:00Z", "reason": "=Ill"});
        for id in [&other, &far] {
            desk.post(&path(id), off.clone()).await.expect(201);
        }
        let extra = json!({"kind": "extra_hours", "starts_at": "2026-03-07T14:00:00Z", "ends_at": "2026-03-07T16:00:00Z",
            "location_id": clinic.location_id, "reason": "The waiting list"});
        admin.post(&path(&clinic.practitioner_id), extra).await.expect(201);
        let closures = json!({"closures": [{"date": "2026-03-07", "name": "Stocktaking"}]});
        admin.post(&format!("/v1/locations/{}/closures", clinic.location_id), closures).await.expect(200);

        let saturday = format!("/v1/locations/{}/day-sheet?date=2026-03-07", clinic.location_id);
        let shown = async |client: &Client| -> Vec<Value> {
            let day = client.get(&saturday).await;
            let gaps = day.expect(200).body["gaps"].as_array().expect("gaps").clone();
            gaps.iter().map(|gap| json!([gap["kind"], gap["practitioner_name"], gap["starts_local"], gap["reason"]])).collect()
        };
        let expected = |off: Value, extra: Value| vec![
            json!(["time_off", "Dr. Bo Vessel", "2026-03-05T00:00:00", off]),
            json!(["closure", null, "2026-03-07T00:00:00", "Stocktaking"]),
            json!(["extra_hours", "Dr. Ada Vein", "2026-03-07T09:00:00", extra]),
        ];
        assert_eq!(shown(&desk).await, expected(json!("=Ill"), json!("The waiting list")));
        assert_eq!(shown(&app.doctor_of(&other).await).await, expected(json!("=Ill"), Value::Null));

        let table = desk.get_with(&saturday, &CSV).await;
        let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(table.expect(200).text.as_bytes()).records().collect::<Result<_, _>>().expect("rows");
        let cells = |row: &csv::StringRecord| [0, 2, 4, 15].map(|column| row[column].to_owned());
        assert_eq!(rows.iter().map(cells).collect::<Vec<_>>(), [
            ["2026-03-05T00:00:00", "Dr. Bo Vessel", "time_off", "'=Ill"],
            ["2026-03-07T00:00:00", "", "closure", "Stocktaking"],
            ["2026-03-07T09:00:00", "Dr. Ada Vein", "extra_hours", "The waiting list"],
        ]);
        let page = desk.get_with(&saturday, &HTML).await;
        for words in ["Mar 5, 12:00 AM", "time off, Dr. Bo Vessel: =Ill", "extra hours, Dr. Ada Vein: The waiting list", "closure: Stocktaking"] {
            assert!(page.expect(200).text.contains(words), "{words} in {}", page.text);
        }
        let agenda = desk.get(&format!("/v1/practitioners/{}/agenda?date=2026-03-07", clinic.practitioner_id)).await;
        let kinds: Vec<_> = agenda.expect(200).body["gaps"].as_array().expect("gaps").iter().map(|gap| gap["kind"].clone()).collect();
        assert_eq!(kinds, [json!("closure"), json!("extra_hours")]);
    }

    async fn a_change_of_the_day_is_an_event_with_which_a_screen_reads_it_again(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let rosa = visit_of_rosa(&desk, &clinic).await;
        act(&desk, &rosa, "check-in").await.expect(200);
        eventually(async || {
            let events = desk.get("/v1/events?limit=200").await.items();
            let of_the_visit = events.iter().filter(|event| event.to_string().contains(rosa["id"].as_str().expect("an id")));
            match of_the_visit.count() {
                2.. => Ok(()),
                count => Err(format!("{count} events of a booking and a check-in")),
            }
        })
        .await;
    }
}
