//! The cost of a request: the number of its statements, and that none of them grows with the tables.
//!
//! The real program logs its statements by request (`RUST_LOG=legwork::sql=trace`); then the engine explains each of them.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::clock::Clock;
use legwork::db::Conn;
use legwork::db::schema::{patient_access, users};
use legwork::ids::{PatientId, PractitionerId, UserId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::booking::{book, booking, path, post_booking};
use crate::support::intakes::{begin, patients_example};
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::wire::{Sent, Wire};
use crate::support::{Client, Engine, app, clinic, id};

/// Tables that grow with time, by the names that queries use for them.
const GROWING: [&str; 23] = [
    "appointments",
    "appointment_history",
    "audit_event_patients",
    "audit_events",
    "calendar_feeds",
    "holds",
    "idempotency_keys",
    "intake_flags",
    "intake_versions",
    "intakes",
    "lab_results",
    "last",
    "messages",
    "n",
    "others",
    "patient_access",
    "patient_name_prefixes",
    "patients",
    "refused_mailboxes",
    "resource_occupancy",
    "sessions",
    "slots",
    "users",
];

/// The statements of the requests so far, by the request's id.
pub fn statements(server: &Process) -> BTreeMap<String, Vec<String>> {
    let mut by_request: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in server.log().lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(sql), Some(request)) = (entry["statement"].as_str(), entry["span"]["request_id"].as_str()) else {
            continue;
        };
        // Not counted: the ends of transactions, the pool's check of a connection, and what a new
        // connection to PostgreSQL queries once.
        let once = sql == "SELECT 1" || sql.contains("pg_type");
        let counted = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
        if !once && counted.iter().any(|verb| sql.trim_start().starts_with(verb)) {
            by_request.entry(request.to_owned()).or_default().push(sql.to_owned());
        }
    }
    by_request
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Plan {
    // PostgreSQL sends JSON as text.
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    plan: String,
}

/// The steps of a statement's plan that grow with a table.
fn growing_steps(conn: &mut Conn, sql: &str) -> Vec<String> {
    match conn {
        Conn::Sqlite(conn) => {
            let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).expect("a plan");
            let scans = |step: &Step| {
                let table = step.detail.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
                // For a new parent row, SQLite plans a search for orphaned children, and skips it if there are none.
                table.is_some_and(|table| {
                    GROWING.contains(&table) && !(sql.starts_with("INSERT") && table == "messages")
                })
            };
            steps.into_iter().filter(scans).map(|step| step.detail).collect()
        }
        Conn::Postgres(conn) => {
            conn.batch_execute(&format!("PREPARE explained AS {sql}")).unwrap_or_else(|error| panic!("{error}: {sql}"));
            let count = (1..100).take_while(|number| sql.contains(&format!("${number}"))).count();
            let nothing = if count == 0 { String::new() } else { format!("({})", vec!["NULL"; count].join(", ")) };
            let plans: Vec<Plan> = diesel::sql_query(format!("EXPLAIN (FORMAT JSON) EXECUTE explained{nothing}"))
                .load(conn)
                .unwrap_or_else(|error| panic!("{error}: {sql}"));
            conn.batch_execute("DEALLOCATE explained").expect("forget it");
            let mut found = Vec::new();
            for plan in &plans {
                walk(&serde_json::from_str(&plan.plan).expect("a plan in JSON"), &mut found);
            }
            found
        }
    }
}

/// Collects scans of a whole table or index.
fn walk(node: &Value, found: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let relation = node["Relation Name"].as_str().unwrap_or_default();
    let whole = kind == "Seq Scan" || (kind.contains("Index") && node.get("Index Cond").is_none());
    // The index scan of a bitmap names no table.
    if whole && (relation.is_empty() || GROWING.contains(&relation)) {
        found.push(format!("{kind} of {relation} by {}", node["Index Name"]));
    }
    match node {
        Value::Array(all) => all.iter().for_each(|node| walk(node, found)),
        Value::Object(members) => members.values().for_each(|node| walk(node, found)),
        _ => {}
    }
}

/// The maximum number of statements of each request, one of them for authentication.
const LIMITS: [(&str, usize); 34] = [
    // No authentication; the wrong tokens of the address, the feed, its visits.
    ("calendar-feed", 3),
    // Authentication, locations; visits, free slots and claimed offers.
    ("utilisation", 5),
    // No authentication; the state of the set-up, one range of free slots.
    ("slot-search", 2),
    ("appointment", 2),
    ("appointment-list", 2),
    ("appointment-calendar", 2),
    ("appointment-history", 2),
    // Also the missed visits, and whether the mail server refused the address.
    ("patient-record", 4),
    // Those who match, and who has a similar name.
    ("patient-list", 3),
    // Whether few patients have the first word; who has each of the words.
    ("patient-list-two-words", 5),
    ("day-list", 2),
    // Authentication; practitioner, locations, visits, urgent flags, missed visits, consents, slots, time off, closures, calls. The times of check-ins if a
    // patient waits, the country if there are calls.
    ("practitioner-agenda", 11),
    // Location, visits, urgent flags, missed visits, consents, slots, closures, calls. The times of check-ins if a patient waits, the country if there are calls.
    ("day-sheet", 10),
    ("appointment-changes", 2),
    ("patient-changes", 2),
    ("session-sign-in", 15),
    ("draft-save", 19),
    ("draft-submit", 13),
    ("intake-read", 7),
    ("intake-summary", 9),
    ("patient-timeline", 8),
    // Access to the record is checked before a list that may be empty.
    ("patient-consents", 3),
    // Includes two lists of tables that do not grow.
    ("practitioner", 4),
    ("locations", 2),
    // With the resources that they need.
    ("visit-types", 3),
    ("who-am-i", 2),
    ("own-appointment", 2),
    ("own-appointment-list", 2),
    ("own-record", 2),
    // The patient, the records that were merged into theirs, those that theirs was merged into, the events about them, the lists that contained
    // them, the names of accounts.
    ("own-access-log", 7),
    // Authentication, before the body and in the transaction; the key; the patient, the offer, its slots; four writes of the visit; one read of it and its
    // recipients; the link, the mail; the audit event; the stored response. PostgreSQL also locks the key. For patients,
    // the upcoming visits are counted, and the practitioners who gave the access are read.
    ("booking-one", 17),
    ("booking-own", 19),
    // Authentication; the state of the set-up; where units are taken; the free slots.
    ("slot-search-with-resource", 4),
    // The resource, its units, where they are taken, the time of the unit.
    ("booking-with-resource", 21),
];

/// Sends each request of [`LIMITS`] once, with its name as the request id.
async fn ask(server: &Process, site: &Site) {
    let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
    let clinic = clinic::set_up(&admin).await;
    let patient = admin.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
    let slots = clinic::free_slots(&admin, &clinic.new_visit).await;
    let id = |name: &'static str| [("X-Request-Id", name)];

    let path = format!("/v1/slots?visit_type_id={}", clinic.new_visit);
    server.anon().get_with(&path, &id("slot-search")).await.expect(200);
    let body = json!({"slot_id": slots[0]["id"], "visit_type_id": clinic.new_visit, "patient_id": patient});
    let headers = [("X-Request-Id", "booking-one"), ("Idempotency-Key", "one")];
    let booked = admin.post_with("/v1/appointments", body, &headers).await;
    admin.get_with(&booked.expect(201).location(), &id("appointment")).await.expect(200);
    let path = format!("/v1/appointments?patient_id={patient}");
    admin.get_with(&path, &id("appointment-list")).await.expect(200);
    admin.get_with(&format!("{}/calendar.ics", booked.location()), &id("appointment-calendar")).await.expect(200);
    admin.get_with(&format!("{}/history", booked.location()), &id("appointment-history")).await.expect(200);
    admin.get_with(&format!("/v1/patients/{patient}"), &id("patient-record")).await.expect(200);
    admin.get_with("/v1/patients?q=ann", &id("patient-list")).await.expect(200);
    admin.get_with(&format!("/v1/patients/{patient}/consents"), &id("patient-consents")).await.expect(200);
    admin.get_with(&format!("/v1/practitioners/{}", clinic.practitioner_id), &id("practitioner")).await.expect(200);
    admin.get_with("/v1/locations", &id("locations")).await.expect(200);
    admin.get_with("/v1/visit-types", &id("visit-types")).await.expect(200);
    admin.get_with("/v1/me", &id("who-am-i")).await.expect(200);

    let path = "/v1/patients?q=ann%20example";
    admin.get_with(path, &id("patient-list-two-words")).await.expect(200);
    let (now, day) = (Clock::System.now(), Clock::System.now().plus(SignedDuration::from_hours(24)));
    let path = format!("/v1/appointments?location_id={}&from={now}&to={day}", clinic.location_id);
    admin.get_with(&path, &id("day-list")).await.expect(200);
    admin.get_with("/v1/reports/utilisation", &id("utilisation")).await.expect(200);
    ask_for_feed(server, &admin, site, &clinic).await;
    let day = booked.string("/promised/local");
    let path = format!("/v1/practitioners/{}/agenda?date={}", clinic.practitioner_id, &day[..10]);
    admin.get_with(&path, &id("practitioner-agenda")).await.expect(200);
    let path = format!("/v1/locations/{}/day-sheet?date={}", clinic.location_id, &day[..10]);
    admin.get_with(&path, &id("day-sheet")).await.expect(200);
    for (list, name) in [("appointments", "appointment-changes"), ("patients", "patient-changes")] {
        admin.get_with(&format!("/v1/{list}?updated_since={now}"), &id(name)).await.expect(200);
    }
    ask_about_history(server, site, &patient).await;
    ask_with_resource(&admin, &clinic, &patient).await;

    let ann = own_account(server, site, &patient).await;
    let body = json!({"slot_id": slots[8]["id"], "visit_type_id": clinic.new_visit, "patient_id": patient});
    let headers = [("X-Request-Id", "booking-own"), ("Idempotency-Key", "own")];
    let booked = ann.post_with("/v1/appointments", body, &headers).await;
    ann.get_with(&booked.expect(201).location(), &id("own-appointment")).await.expect(200);
    ann.get_with("/v1/appointments", &id("own-appointment-list")).await.expect(200);
    ann.get_with(&format!("/v1/patients/{patient}"), &id("own-record")).await.expect(200);
    ann.get_with(&format!("/v1/patients/{patient}/audit-events"), &id("own-access-log")).await.expect(200);
}

/// Reads a practitioner's calendar feed.
async fn ask_for_feed(server: &Process, admin: &Client, site: &Site, clinic: &clinic::Clinic) {
    site.account("ada@clinic.example", Role::Practitioner);
    let practitioner: PractitionerId = clinic.practitioner_id.parse().expect("an id");
    let account = users::table.filter(users::email.eq("ada@clinic.example"));
    diesel::update(account).set(users::practitioner_id.eq(practitioner)).execute(&mut site.connect()).expect("linked");
    let feed = admin.post_empty(&format!("/v1/practitioners/{practitioner}/calendar-feed")).await.string("/url");
    let path = &feed[feed.find("/v1/").expect("a path")..];
    server.anon().get_with(path, &[("X-Request-Id", "calendar-feed")]).await.expect(200);
}

/// Sends the requests about a visit that needs a resource.
async fn ask_with_resource(admin: &Client, clinic: &clinic::Clinic, patient: &str) {
    let here = json!([{"location_id": clinic.location_id, "units": 3}]);
    let chair = admin.post("/v1/resources", json!({"name": "Chair", "capacities": here})).await.expect(201).id();
    let visit = &clinic.check;
    admin.update(&format!("/v1/visit-types/{visit}"), json!({"resource_ids": [chair]})).await.expect(200);
    let path = format!("/v1/slots?visit_type_id={visit}");
    // The first search after a change of the set-up loads it.
    admin.get(&path).await.expect(200);
    let found = admin.get_with(&path, &[("X-Request-Id", "slot-search-with-resource")]).await;
    let body = json!({"slot_id": found.items()[20]["id"], "visit_type_id": visit, "patient_id": patient});
    let headers = [("X-Request-Id", "booking-with-resource"), ("Idempotency-Key", "chair")];
    admin.post_with("/v1/appointments", body, &headers).await.expect(201);
}

/// Sends the requests about a history of restless legs.
async fn ask_about_history(server: &Process, site: &Site, patient: &str) {
    let id = |name: &'static str| [("X-Request-Id", name)];
    let (desk, doctor) = ("desk@clinic.example", "doctor@clinic.example");
    site.account(desk, Role::FrontDesk);
    site.account(doctor, Role::Practitioner);
    let credentials = json!({"email": desk, "password": PASSWORD});
    server.anon().post_with("/v1/sessions", credentials, &id("session-sign-in")).await.expect(201);
    let desk = server.anon().sign_in(desk, PASSWORD).await;
    let doctor = server.anon().sign_in(doctor, PASSWORD).await.with_reason("To measure requests");
    let draft = begin(&desk, patient).await;
    let path = draft.location();
    let headers =
        [("X-Request-Id", "draft-save"), ("Content-Type", "application/merge-patch+json"), ("If-Match", &draft.etag())];
    desk.send(Method::PATCH, &path, &headers, Some(json!({"answers": patients_example()}))).await.expect(200);
    desk.send(Method::POST, &format!("{path}/submit"), &id("draft-submit"), None).await.expect(200);
    // The first reading also stores why the record was opened.
    doctor.get(&path).await.expect(200);
    doctor.get_with(&path, &id("intake-read")).await.expect(200);
    doctor.get_with(&format!("{path}/summary"), &id("intake-summary")).await.expect(200);
    doctor.get_with(&format!("/v1/patients/{patient}/rls-timeline"), &id("patient-timeline")).await.expect(200);
}

/// A signed-in account of a patient.
async fn own_account(server: &Process, site: &Site, patient: &str) -> Client {
    let email = "ann@patients.example";
    site.account(email, Role::Patient);
    let mut conn = site.connect();
    let id: UserId =
        users::table.filter(users::email.eq(email)).select(users::id).first(&mut conn).expect("an account");
    let row = (
        patient_access::user_id.eq(id),
        patient_access::patient_id.eq(patient.parse::<PatientId>().expect("a patient's id")),
        patient_access::relation.eq("self"),
        patient_access::created_at.eq(Clock::System.now()),
    );
    diesel::insert_into(patient_access::table).values(row).execute(&mut conn).expect("access");
    server.anon().sign_in(email, PASSWORD).await
}

fn hot_requests_run_few_statements_and_none_that_grows_with_a_table(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("admin@clinic.example", Role::Admin);
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("RUST_LOG", "info,legwork::sql=trace"), ("LOG_FORMAT", "json")]).await;
        ask(&server, &site).await;
        let mut conn = site.connect();
        if engine == Engine::Postgres {
            // A small table is best scanned, so the planner is told that the tables are large (it takes rows per page times
            // the true pages; -1 is a table never analysed), and sequential scans are disabled.
            let grown = GROWING.map(|table| format!("'{table}'")).join(", ");
            conn.batch_execute(&format!(
                "ANALYZE; UPDATE pg_class SET relpages = 1, reltuples = CASE pg_relation_size(oid) WHEN 0 THEN -1 ELSE 1000000 END \
                 WHERE relname IN ({grown}); \
                 SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan"
            ))
            .expect("settings");
        }
        let statements = statements(&server);
        let mut faults = Vec::new();
        for (request, most) in LIMITS {
            let run = statements.get(request).unwrap_or_else(|| panic!("{request} ran no statement"));
            if run.len() > most {
                faults.push(format!("{request} ran {} statements:\n{}", run.len(), run.join("\n")));
            }
            for sql in run {
                let growing = growing_steps(&mut conn, sql);
                if !growing.is_empty() {
                    faults.push(format!("{request}: {growing:?} in\n{sql}"));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    });
}

#[test]
fn sqlite() {
    hot_requests_run_few_statements_and_none_that_grows_with_a_table(Engine::Sqlite);
}

#[test]
fn postgres() {
    hot_requests_run_few_statements_and_none_that_grows_with_a_table(Engine::Postgres);
}

/// The beginning of the statement that only a booking runs.
const BOOKING: &str = "INSERT INTO \"appointments\"";
/// The beginning of the statement that only a change of an appointment runs.
const CHANGE: &str = "UPDATE \"appointments\"";
/// The beginning of the statement that only a new hold runs.
const HOLD: &str = "INSERT INTO \"holds\"";

/// Returns the round trips of the shortest transaction that runs a statement with this beginning.
fn shortest(transactions: &[Vec<Sent>], statement: &str) -> Vec<Sent> {
    let runs = |sent: &&Vec<Sent>| sent.iter().any(|sent| sent.runs(statement));
    transactions.iter().filter(runs).min_by_key(|sent| sent.len()).expect("a transaction").clone()
}

#[test]
fn bookings_and_their_changes_on_postgres_prepare_nothing_anew_and_take_one_round_trip_for_each_statement() {
    let Some(site) = Site::new(Engine::Postgres) else { return };
    site.account("admin@clinic.example", Role::Admin);
    app::runtime().block_on(async {
        let wire = Wire::tap(&site);
        let settings =
            [("DATABASE_URL", wire.database_url.as_str()), ("DATABASE_CONNECTIONS", "2"), ("MAX_OPEN_BOOKINGS", "10")];
        let server = Process::start(&site, &settings).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let clinic = clinic::set_up(&admin).await;
        let visit = &clinic.new_visit;
        let patient = admin.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
        let ann = own_account(&server, &site, &patient).await;
        let starts = clinic::free_slots(&admin, visit).await;
        let [by_staff, by_patient, with_hold, free] =
            [0, 3, 6, 9].map(|first| starts.iter().step_by(8).skip(first).take(3));

        // Of three requests on two connections, one at least finds its statements prepared.
        wire.take_transactions();
        let mut booked = Vec::new();
        for slot in by_staff {
            booked.push(book(&admin, slot, visit, &patient).await.expect(201).body.clone());
        }
        let by_admin = shortest(&wire.take_transactions(), BOOKING);
        for slot in by_patient {
            book(&ann, slot, visit, &patient).await.expect(201);
        }
        let by_ann = shortest(&wire.take_transactions(), BOOKING);
        for slot in with_hold {
            let path = format!("/v1/slots/{}/hold", id(slot));
            let hold = ann.post(&path, json!({"visit_type_id": visit})).await.expect(201).id();
            let mut body = booking(slot, visit, &patient);
            body["hold_id"] = json!(hold);
            post_booking(&ann, body).await.expect(201);
        }
        let transactions = wire.take_transactions();
        let hold = shortest(&transactions, HOLD);
        let redeemed = shortest(&transactions, BOOKING);
        for (appointment, slot) in booked.iter().zip(free) {
            admin.post(&path(appointment, "/reschedule"), json!({"slot_id": id(slot)})).await.expect(200);
        }
        let moved = shortest(&wire.take_transactions(), CHANGE);
        for appointment in &booked {
            admin.post(&path(appointment, "/cancel"), json!({"reason": "The doctor is ill."})).await.expect(200);
        }
        let cancelled = shortest(&wire.take_transactions(), CHANGE);

        // `BEGIN` and `COMMIT` included.
        let kinds = [(18, by_admin), (20, by_ann), (22, redeemed), (13, hold), (25, moved), (25, cancelled)];
        let mut faults = Vec::new();
        for (most, sent) in kinds {
            let prepares = sent.iter().any(|sent| matches!(sent, Sent::Prepare(_)));
            if prepares || sent.len() > most {
                faults.push(format!("{} round trips: {sent:#?}", sent.len()));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    });
}
