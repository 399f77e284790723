//! Retention: which data is deleted after its time, and which is not.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use jiff::SignedDuration;
use legwork::db::Conn;
use legwork::db::schema::patients;
use legwork::ids::PatientId;
use legwork::privacy::records::RECORD;
use legwork::privacy::retention::RULES;
use serde_json::json;

use crate::support::clinic::free_slots;
use crate::support::process::command;
use crate::support::site::Site;
use crate::support::{App, Engine, both};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(conn: &mut Conn, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS count FROM {table}");
    let count: Count = match conn {
        Conn::Sqlite(conn) => diesel::sql_query(sql).get_result(conn),
        Conn::Postgres(conn) => diesel::sql_query(sql).get_result(conn),
    }
    .expect("a count");
    count.count
}

async fn rows(app: &App, table: &'static str) -> i64 {
    app.db(move |conn| Ok(count(conn, table))).await
}

/// Runs the retention rule with this name, after a dry run.
async fn apply(app: &App, name: &str) -> u64 {
    let rule = RULES.iter().find(|rule| rule.name == name).expect("a rule");
    let counted = rule.count(&app.env).await.expect("counted");
    let deleted = rule.apply(&app.env).await.expect("applied");
    assert_eq!(counted, deleted, "a trial run counts what would be deleted");
    assert_eq!(rule.apply(&app.env).await.expect("applied"), 0, "twice");
    deleted
}

const YEAR: i64 = 24 * 366;

#[test]
fn row_21_deleted_data_is_overwritten_in_the_sqlite_file() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let mut conn = site.connect();
    let run = |conn: &mut Conn, sql: &str| match conn {
        Conn::Sqlite(conn) => diesel::connection::SimpleConnection::batch_execute(conn, sql).expect(sql),
        Conn::Postgres(_) => {}
    };
    let held = |word: &str| {
        let file = std::fs::read(site.sqlite_path()).expect("the file");
        file.windows(word.len()).any(|bytes| bytes == word.as_bytes())
    };
    let numbers = "INSERT INTO database_marks (name) SELECT 'a-ghost-that-vanishes-' || value FROM \
        (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 500) SELECT value FROM n)";
    run(&mut conn, numbers);
    run(&mut conn, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert!(held("a-ghost-that-vanishes-7"));
    run(&mut conn, "DELETE FROM database_marks WHERE name LIKE 'a-ghost%'; PRAGMA wal_checkpoint(TRUNCATE)");
    assert!(!held("a-ghost-that-vanishes"));
}

/// `table > other` for each reference to a patient's data without `ON DELETE CASCADE`.
fn references(conn: &mut Conn) -> BTreeSet<String> {
    let rows: Vec<Line> = match conn {
        Conn::Sqlite(conn) => diesel::sql_query(
            "SELECT t.name || ' > ' || f.\"table\" AS line FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) f
             WHERE t.type = 'table' AND f.on_delete <> 'CASCADE' AND f.\"table\" IN ('patients', 'appointments', 'intakes')",
        )
        .load(conn),
        Conn::Postgres(conn) => diesel::sql_query(
            "SELECT conrelid::regclass || ' > ' || confrelid::regclass AS line FROM pg_constraint
             WHERE contype = 'f' AND confdeltype <> 'c'
             AND confrelid::regclass::text IN ('patients', 'appointments', 'intakes')",
        )
        .load(conn),
    }
    .expect("the catalogue");
    rows.into_iter().map(|row| row.line).collect()
}

#[test]
fn rows_that_refer_to_a_record_are_deleted_before_it() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(site) = Site::new(engine) else { continue };
        let references = references(&mut site.connect());
        assert!(references.len() > 8, "{references:?}");
        for reference in references {
            let (table, to) = reference.split_once(" > ").expect("a reference");
            if table == to {
                continue;
            }
            let place = |name: &str| RECORD.iter().rposition(|(table, _)| *table == name);
            assert!(
                place(table).is_some_and(|place_of| Some(place_of) < place(to)),
                "{reference}: RECORD in src/privacy/records.rs must name {table} before {to}"
            );
        }
    }
}

both! {
    async fn past_messages_and_free_slots_are_deleted_and_open_tasks_stay(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let slots = free_slots(&desk, &clinic.check).await;
        let body = json!({"slot_id": slots[0]["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id});
        desk.post_with("/v1/appointments", body, &[("Idempotency-Key", "k1")]).await.expect(201);
        let mut by_phone = crate::support::people::patient_json("Ben", "ben@patients.example");
        by_phone.as_object_mut().expect("an object").remove("email");
        let ben = desk.post("/v1/patients", by_phone).await.expect(201).id();
        let body = json!({"slot_id": slots[1]["id"], "visit_type_id": clinic.check, "patient_id": ben});
        desk.post_with("/v1/appointments", body, &[("Idempotency-Key", "k2")]).await.expect(201);
        app.mails().await;
        let before = (rows(&app, "messages").await, rows(&app, "slots").await);
        assert_eq!(apply(&app, "messages").await + apply(&app, "slots of the past").await, 0);
        app.clock.advance(SignedDuration::from_hours(24 * 91));
        assert!(apply(&app, "messages").await > 0);
        assert_eq!(desk.get("/v1/messages?status=to_phone").await.items().len(), 1, "a call that was not made");
        let slots = apply(&app, "slots of the past").await;
        assert!(slots > 500, "{slots}");
        assert_eq!(rows(&app, "slots").await, before.1 - i64::try_from(slots).expect("few"));
        assert!(rows(&app, "messages").await < before.0);
        assert_eq!(desk.get(&format!("/v1/appointments?patient_id={}", ann.patient_id)).await.items().len(), 1);
    }

    async fn an_unverified_registration_is_deleted_with_its_record_unless_the_desk_used_it(app: App) {
        let register = async |name: &str| {
            let mut patient = crate::support::people::patient_json(name, &format!("{name}@patients.example"));
            patient.as_object_mut().expect("an object").remove("email");
            let body = json!({
                "email": format!("{name}@patients.example"), "relation": "self", "patient": patient,
                "consents": [{"type": "treatment", "version": "1", "decision": "accepted"}],
            });
            app.anon().post("/v1/registrations", body).await.expect(202);
        };
        for name in ["ann", "ben"] {
            register(name).await;
        }
        let desk = app.desk().await;
        let ben = desk.get("/v1/patients?q=ben").await.items()[0]["id"].as_str().expect("an id").to_owned();
        desk.update(&format!("/v1/patients/{ben}"), json!({"pronouns": "he/him"})).await.expect(200);
        let users = rows(&app, "users").await;
        assert_eq!(apply(&app, "unverified registrations").await, 0);
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        assert_eq!(apply(&app, "unverified registrations").await, 2);
        assert_eq!(rows(&app, "users").await, users - 2);
        let left = desk.get("/v1/patients").await.items();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0]["id"], ben.as_str());
        register("ann").await;
        assert_eq!(desk.get("/v1/patients").await.items().len(), 2, "the address is free again");
    }

    async fn an_abandoned_draft_is_discarded_and_its_flags_stay(app: App) {
        let (ann, ben, doctor) = (app.patient("ann").await, app.patient("ben").await, app.doctor().await);
        let (cleo, dan) = (app.patient("cleo").await, app.patient("dan").await);
        for (patient, answer) in [(&ann, "yes"), (&ben, "no"), (&cleo, "no"), (&dan, "yes")] {
            let path = format!("/v1/patients/{}/intakes", patient.patient_id);
            let draft = patient.post(&path, json!({"form": "rls-history"})).await;
            let answers = json!({"answers": {"safety": {"chest_pain_breathlessness": answer}}});
            patient.patch(&draft.expect(201).location(), &draft.etag(), answers).await.expect(200);
        }
        // Also those of records which are retired.
        for patient in [&cleo, &dan] {
            let (id, now): (PatientId, _) = (patient.patient_id.parse().expect("an id"), app.env.now());
            let retired = (patients::retired_at.eq(now), patients::version.eq(patients::version + 1));
            app.db(move |tx| Ok(diesel::update(patients::table.find(id)).set(retired).execute(tx)?)).await;
        }
        app.clock.advance(SignedDuration::from_hours(YEAR));
        assert_eq!(apply(&app, "drafts of intakes").await, 4);
        let left = doctor.get("/v1/intakes").await.items();
        let mut whose: Vec<_> = left.iter().map(|intake| (intake["patient_id"].as_str(), intake["status"].as_str())).collect();
        whose.sort_unstable();
        let mut expected = [&ann, &dan].map(|patient| (Some(patient.patient_id.as_str()), Some("entered-in-error")));
        expected.sort_unstable();
        assert_eq!(whose, expected);
        let flags = doctor.get(&format!("/v1/intake-flags?patient_id={}", ann.patient_id)).await.items();
        assert_eq!(flags.len(), 1);
    }

    async fn a_record_and_all_its_data_are_deleted_years_after_the_last_visit(app: App) {
        let app = app.restart(&["--retain-records-years", "10", "--retain-messages-days", "0"]);
        let clinic = app.clinic().await;
        let (ann, ben, doctor) = (app.patient("ann").await, app.patient("ben").await, app.doctor().await);
        let slots = free_slots(&ann, &clinic.check).await;
        for (patient, slot) in [(&ann, &slots[0]), (&ben, &slots[1])] {
            let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": patient.patient_id, "note": "first floor?"});
            let key = slot["id"].as_str().expect("an id");
            patient.post_with("/v1/appointments", body, &[("Idempotency-Key", key)]).await.expect(201);
            let path = format!("/v1/patients/{}/intakes", patient.patient_id);
            let draft = patient.post(&path, json!({"form": "rls-history"})).await;
            let answers = json!({"answers": {"safety": {"chest_pain_breathlessness": "yes"}}});
            patient.patch(&draft.expect(201).location(), &draft.etag(), answers).await.expect(200);
            let lab = json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report"});
            doctor.post(&format!("/v1/patients/{}/lab-results", patient.patient_id), lab).await.expect(201);
            let consent = json!({"type": "treatment", "version": "1", "decision": "accepted"});
            patient.post(&format!("/v1/patients/{}/consents", patient.patient_id), consent).await.expect(201);
        }
        app.mails().await;
        app.clock.advance(SignedDuration::from_hours(9 * YEAR));
        // A result of the ninth year keeps the record.
        let lab = json!({"test": "ferritin", "value": 80, "unit": "ng/mL", "collected_on": "2034-12-26", "source": "lab_report"});
        doctor.post(&format!("/v1/patients/{}/lab-results", ben.patient_id), lab).await.expect(201);
        assert_eq!(apply(&app, "patients' records").await, 0);
        app.clock.advance(SignedDuration::from_hours(2 * YEAR));
        assert_eq!(apply(&app, "patients' records").await, 1);
        doctor.get(&format!("/v1/patients/{}", ann.patient_id)).await.problem(404, "not_found");
        doctor.get(&format!("/v1/patients/{}", ben.patient_id)).await.expect(200);
        for (table, left) in [("patients", 1), ("appointments", 1), ("intakes", 1), ("lab_results", 2), ("consents", 1), ("intake_flags", 1)] {
            assert_eq!(rows(&app, table).await, left, "{table}");
        }
        assert_eq!(doctor.get("/v1/patients?q=ann").await.items().len(), 0);
        app.anon()
            .post("/v1/sessions", json!({"email": ann.email, "password": crate::support::people::PASSWORD}))
            .await
            .problem(401, "invalid_credentials");
    }

    async fn without_a_retention_setting_no_record_is_deleted(app: App) {
        app.patient("ann").await;
        app.clock.advance(SignedDuration::from_hours(100 * YEAR));
        assert_eq!(apply(&app, "patients' records").await, 0);
    }
}

#[test]
fn the_purge_command_prints_counts_and_a_dry_run_deletes_nothing() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(site) = Site::new(engine) else { continue };
        for arguments in [&["purge", "--dry-run"][..], &["purge"]] {
            let output = command(&site).args(arguments).output().expect("run the program");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(told.lines().count(), RULES.len(), "{told}");
        }
    }
}
