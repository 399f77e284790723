//! Key rotation of sealed values.

use std::fs;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use legwork::actor::Role;
use legwork::db::Conn;
use legwork::db::schema::{audit_events, lab_results, users};
use legwork::ids::{LabResultId, PatientId, UserId};
use legwork::sealed::{Place, Sealer};
use serde_json::{Value, json};

use crate::support::clinic;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::{Process, command};
use crate::support::site::{DATA_KEYS, Site};
use crate::support::{Client, Engine, app};

/// A key in addition to [`DATA_KEYS`], whose id is `test`.
const NEW: &str = "new:4ujUL7zSrPcjYFHaqf3szYpdEsgHiNrrJkmmoEJVElg=";
/// Enough to interrupt a rotation in the middle.
const LAB_RESULTS: usize = 4_000;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The number of laboratory results sealed under the key `new`.
fn under_new(conn: &mut Conn) -> i64 {
    let sqlite = "SELECT count(*) AS count FROM lab_results WHERE substr(result, 1, 5) = X'01036E6577'";
    let postgres = "SELECT count(*) AS count FROM lab_results WHERE substr(result, 1, 5) = '\\x01036e6577'::bytea";
    let count: Count = match conn {
        Conn::Sqlite(conn) => diesel::sql_query(sqlite).get_result(conn),
        Conn::Postgres(conn) => diesel::sql_query(postgres).get_result(conn),
    }
    .expect("a count");
    count.count
}

/// Inserts laboratory results of a patient, sealed under the key `test`.
fn insert_lab_results(site: &Site, patient: &str) {
    let sealer = Sealer::parse(DATA_KEYS).expect("a ring");
    let patient: PatientId = patient.parse().expect("an id");
    let clock = legwork::clock::Clock::System;
    let entropy = legwork::clock::Entropy::system();
    let mut conn = site.connect();
    let author: UserId = users::table.select(users::id).first(&mut conn).expect("an account");
    let lab =
        json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report"});
    conn.transaction(|conn| {
        for _ in 0..LAB_RESULTS {
            let id: LabResultId = entropy.uuid(clock.now()).into();
            let sealed = sealer.seal(Place::new("lab_results", "result", id.0), &lab).expect("sealed");
            let row = (
                lab_results::id.eq(id),
                lab_results::patient_id.eq(patient),
                lab_results::result.eq(sealed),
                lab_results::created_by.eq(author),
                lab_results::created_at.eq(clock.now()),
            );
            diesel::insert_into(lab_results::table).values(row).execute(conn)?;
        }
        diesel::QueryResult::Ok(())
    })
    .expect("laboratory results");
}

fn keys(site: &Site, ring: &str, arguments: &[&str]) -> Output {
    command(site).env("DATA_KEYS", ring).arg("keys").args(arguments).output().expect("run the program")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Books, reads and changes a record until told to stop; all requests must succeed. Returns the bookings and the last note.
async fn work(desk: &Client, clinic: &Drill, stop: &AtomicBool) -> (Vec<String>, u32) {
    let (mut booked, mut changes) = (Vec::new(), 0);
    for slot in &clinic.slots {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let body = json!({
            "slot_id": slot["id"], "visit_type_id": clinic.visit_type, "patient_id": clinic.patient, "note": "a canary sings",
        });
        let key = slot["id"].as_str().expect("an id");
        booked.push(desk.post_with("/v1/appointments", body, &[("Idempotency-Key", key)]).await.expect(201).id());
        let read = desk.get(&format!("/v1/appointments/{}", booked[booked.len() / 2])).await;
        assert_eq!(read.expect(200).string("/note"), "a canary sings");
        let path = format!("/v1/patients/{}", clinic.patient);
        let etag = desk.get(&path).await.expect(200).etag();
        changes += 1;
        desk.patch(&path, &etag, json!({"pronouns": format!("number {changes}")})).await.expect(200);
    }
    (booked, changes)
}

struct Drill {
    patient: String,
    visit_type: String,
    slots: Vec<Value>,
}

async fn prepare(server: &Process) -> Drill {
    let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
    let clinic = clinic::set_up(&admin).await;
    let patient = admin.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
    let slots = clinic::free_slots(&admin, &clinic.check).await;
    Drill { patient, visit_type: clinic.check, slots }
}

async fn stop(mut server: Process) {
    server.terminate();
    assert!(server.wait(Duration::from_secs(15)).is_some(), "{}", server.log());
}

fn rotated_under_load(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    site.account("doctor@clinic.example", Role::Practitioner);
    let both = format!("{NEW},{DATA_KEYS}");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let mut drill = prepare(&server).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let rest = drill.slots.split_off(20);
        let (mut booked, _) = work(&desk, &drill, &AtomicBool::new(false)).await;
        let repeated = drill.slots[0].clone();
        drill.slots = rest;
        let early = keys(&site, &both, &["rotate"]);
        assert!(!early.status.success() && said(&early).contains("Restart the service"), "{}", said(&early));
        stop(server).await;
        insert_lab_results(&site, &drill.patient);

        let server = Process::start(&site, &[("DATA_KEYS", &both)]).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        // A repeat of an earlier request is recognised.
        let body = json!({
            "slot_id": repeated["id"], "visit_type_id": drill.visit_type, "patient_id": drill.patient, "note": "a canary sings",
        });
        let key = repeated["id"].as_str().expect("an id");
        let again = desk.post_with("/v1/appointments", body.clone(), &[("Idempotency-Key", key)]).await.expect(201).id();
        assert_eq!(again, booked[0]);

        let done = Arc::new(AtomicBool::new(false));
        let ((more, changes), ()) = tokio::join!(work(&desk, &drill, &done), async {
            let mut broken_off = command(&site)
                .env("DATA_KEYS", &both)
                .args(["keys", "rotate"])
                .stdout(Stdio::null())
                .spawn()
                .expect("run the program");
            let (mut conn, patience) = (site.connect(), Instant::now() + Duration::from_mins(1));
            while under_new(&mut conn) == 0 {
                assert!(Instant::now() < patience, "the rotation does not begin");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            broken_off.kill().expect("kill");
            broken_off.wait().expect("wait");
            let so_far = under_new(&mut conn);
            assert!((1..i64::try_from(LAB_RESULTS).expect("few")).contains(&so_far), "{so_far} before the kill");
            let (site, both) = (&site, &both);
            let mut child = command(site)
                .env("DATA_KEYS", both)
                .args(["keys", "rotate"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("run the program");
            while child.try_wait().expect("a state").is_none() {
                assert!(Instant::now() < patience + Duration::from_mins(1), "the rotation does not end");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let output = child.wait_with_output().expect("what it said");
            assert!(output.status.success(), "{}", said(&output));
            assert!(said(&output).contains("No value is encrypted with test any more"), "{}", said(&output));
            assert!(!said(&output).contains("canary"));
            done.store(true, Ordering::Relaxed);
        });
        assert!(!more.is_empty() && changes > 0, "no request ran meanwhile");
        booked.extend(more);
        let refused = keys(&site, &both, &["retire", "new"]);
        assert!(!refused.status.success() && said(&refused).contains("encrypts"), "{}", said(&refused));
        let retired = keys(&site, &both, &["retire", "test"]);
        assert!(retired.status.success(), "{}", said(&retired));
        stop(server).await;

        // With the new key alone all data is readable; with other keys the server does not start.
        let server = Process::start(&site, &[("DATA_KEYS", NEW)]).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let again = desk.post_with("/v1/appointments", body, &[("Idempotency-Key", key)]).await.expect(201).id();
        assert_eq!(again, booked[0], "the retired key is not needed to recognise a repeat");
        for appointment in &booked {
            let reply = desk.get(&format!("/v1/appointments/{appointment}")).await;
            assert_eq!(reply.expect(200).string("/note"), "a canary sings");
        }
        let record = desk.get(&format!("/v1/patients/{}", drill.patient)).await;
        assert_eq!(record.expect(200).string("/pronouns"), format!("number {changes}"));
        let doctor = server.anon().sign_in("doctor@clinic.example", PASSWORD).await;
        let (mut path, mut results) = (format!("/v1/patients/{}/lab-results?limit=200", drill.patient), 0);
        let first = path.clone();
        loop {
            let page = doctor.get_with(&path, &[("Access-Reason", "checks that nothing was lost")]).await;
            results += page.items().len();
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            path = format!("{first}&cursor={cursor}");
        }
        assert_eq!(results, LAB_RESULTS);
        desk.get("/v1/messages?limit=200").await.expect(200);
        stop(server).await;
        for wrong in [DATA_KEYS, "new:Dpchk3omiKfQWmI0RczF5qSuw9Re3xDkm0Z/LpN9dAM="] {
            let output = command(&site).env("DATA_KEYS", wrong).arg("serve").output().expect("run the program");
            assert!(!output.status.success(), "it started with the wrong keys");
            assert!(said(&output).contains("DATA_KEYS"), "{}", said(&output));
        }
        let listed = keys(&site, DATA_KEYS, &["list"]);
        let line = said(&listed).lines().find(|line| line.starts_with("new")).map(str::to_owned).unwrap_or_default();
        assert!(line.contains("MISSING"), "{}", said(&listed));
        let unreadable = keys(&site, DATA_KEYS, &["rotate"]);
        assert!(!unreadable.status.success() && said(&unreadable).contains("key"), "{}", said(&unreadable));
    });
}

#[test]
fn row_21_keys_rotate_under_load_and_an_interrupted_rotation_continues_on_sqlite() {
    rotated_under_load(Engine::Sqlite);
}

#[test]
fn row_21_keys_rotate_under_load_and_an_interrupted_rotation_continues_on_postgres() {
    rotated_under_load(Engine::Postgres);
}

/// A command next to a server must not seal with a key that the server does not have.
fn no_command_puts_a_key_into_use_that_the_server_lacks(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("desk@clinic.example", Role::FrontDesk);
    let both = format!("{NEW},{DATA_KEYS}");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let patient = desk.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201).id();
        for command in [&["audit", "head"][..], &["purge"], &["admin", "create", "--email", "boss@clinic.example"]] {
            let output = command_with(&site, &both, command);
            assert!(!output.status.success(), "{command:?}");
            assert!(said(&output).contains("no server has started with new"), "{}", said(&output));
        }
        let refused = keys(&site, &both, &["rotate"]);
        assert!(!refused.status.success(), "{}", said(&refused));
        desk.get(&format!("/v1/patients/{patient}")).await.expect(200);
    });
}

fn command_with(site: &Site, ring: &str, arguments: &[&str]) -> Output {
    command(site).env("DATA_KEYS", ring).args(arguments).output().expect("run the program")
}

#[test]
fn row_21_no_command_uses_a_key_that_the_server_lacks_on_sqlite() {
    no_command_puts_a_key_into_use_that_the_server_lacks(Engine::Sqlite);
}

#[test]
fn row_21_no_command_uses_a_key_that_the_server_lacks_on_postgres() {
    no_command_puts_a_key_into_use_that_the_server_lacks(Engine::Postgres);
}

#[test]
fn row_21_the_key_beside_an_sqlite_file_is_replaced_by_commands_alone() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let file = site.folder.path().join("data-keys");
    let (_, secret) = DATA_KEYS.split_once(':').expect("an entry");
    fs::write(&file, format!("k1:{secret}")).expect("a file");
    let run = |arguments: &[&str]| {
        let output = command(&site).env_remove("DATA_KEYS").args(arguments).output().expect("run the program");
        (output.status.success(), said(&output))
    };
    let ids = || {
        let ring = fs::read_to_string(&file).expect("the file");
        ring.split(',').map(|entry| entry.split(':').next().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let (good, told) = run(&["admin", "create", "--email", "admin@clinic.example"]);
    assert!(good, "{told}");
    let (good, told) = run(&["keys", "new"]);
    assert!(good && told.contains("k2 is the first key"), "{told}");
    assert_eq!(ids(), ["k2", "k1"]);
    let (good, told) = run(&["keys", "retire", "k1"]);
    assert!(!good && told.contains("values are encrypted with k1"), "{told}");
    let (good, told) = run(&["keys", "rotate"]);
    assert!(good && told.contains("values were encrypted again with k2"), "{told}");
    let (good, told) = run(&["keys", "retire", "k1"]);
    assert!(good, "{told}");
    assert_eq!(ids(), ["k2"]);
    let (good, told) = run(&["admin", "reset", "--email", "admin@clinic.example"]);
    assert!(good, "{told}");
    let mut conn = site.connect();
    let noted: Vec<String> =
        audit_events::table.order(audit_events::id).select(audit_events::operation).load(&mut conn).expect("events");
    assert_eq!(noted, ["create_admin", "add_data_key", "rotate_data_keys", "retire_data_key", "reset_admin"]);
    let (good, told) = run(&["keys", "list"]);
    assert!(good && told.contains("k2") && !told.contains("k1") && told.contains("values"), "{told}");
}
