//! Rows 16, 17 and 21: health data is in no mail, log, metric or error, and not readable on the disk.
//!
//! Every sealed free text contains a unique word. The real program runs with
//! its log at `debug`; then the test searches everything that it wrote for the words.

use std::fs;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;
use legwork::actor::Role;
use legwork::db::Conn;
use serde_json::json;

use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::{self, Process};
use crate::support::site::{DATA_KEYS, JWT_SECRET, Site};
use crate::support::{Client, Engine, Reply, app, clinic, eventually, not_empty};

/// With which every word begins, so that one search of a file finds any of them.
const BEGINNING: &str = "Quokkaharp";

/// Generates unique words, and remembers where each is used.
#[derive(Default)]
struct Canaries(Vec<(String, &'static str)>);

impl Canaries {
    fn word(&mut self, of: &'static str) -> String {
        let word = format!("{BEGINNING}{}", self.0.len() + 100);
        self.0.push((word.clone(), of));
        word
    }

    /// Fails if any of the words is in this text, in any case, or as the hexadecimal digits of a binary column.
    #[track_caller]
    fn none_in(&self, place: &str, text: &[u8]) {
        let text = text.to_ascii_lowercase();
        let forms: [fn(&str) -> String; 2] = [str::to_ascii_lowercase, hexadecimal];
        for form in forms {
            let beginning = form(BEGINNING);
            let Some(at) = text.windows(beginning.len()).position(|window| window == beginning.as_bytes()) else {
                continue;
            };
            let is_here = |(word, _): &&(String, &'static str)| text[at..].starts_with(form(word).as_bytes());
            let of = self.0.iter().find(is_here).map_or("the beginning of a word", |(_, of)| of);
            panic!("{of} is in {place}");
        }
    }
}

fn hexadecimal(word: &str) -> String {
    word.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
#[should_panic(expected = "pronouns is in a file")]
fn a_word_is_found_in_any_case() {
    let mut words = Canaries::default();
    let word = words.word("pronouns");
    words.none_in("a file", format!("x{}y", word.to_uppercase()).as_bytes());
}

#[test]
#[should_panic(expected = "payer is in a file")]
fn a_word_is_found_in_hexadecimal() {
    let mut words = Canaries::default();
    let (_, word) = (words.word("city"), words.word("payer"));
    words.none_in("a file", hexadecimal(&word).to_uppercase().as_bytes());
}

/// Puts a word into every free text about a patient, and reads all of them back.
async fn tell_everything(words: &mut Canaries, server: &Process) -> Vec<Reply> {
    let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
    let clinic = clinic::set_up(&admin).await;
    let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
    let mut refusals = Vec::new();

    let mut record = patient_json("Ann", "ann@patients.example");
    record["pronouns"] = json!(words.word("pronouns"));
    record["gender_identity"] = json!(words.word("gender identity"));
    record["address"] = json!({
        "line1": words.word("address"), "city": words.word("city"), "postal_code": "10013", "country": "US",
    });
    record["emergency_contact"] = json!({
        "name": words.word("emergency contact"), "phone": "+12125550177", "relationship": words.word("relationship"),
    });
    record["insurance"] = json!({"payer": words.word("payer"), "member_id": words.word("member id")});
    let patient = desk.post("/v1/patients", record).await.expect(201).id();

    let slots = clinic::free_slots(&desk, &clinic.check).await;
    let slot = |number: usize| slots[number]["id"].as_str().expect("an id").to_owned();
    let note = words.word("note of an appointment");
    let body = json!({"slot_id": slot(0), "visit_type_id": clinic.check, "patient_id": patient, "note": note});
    let booked = desk.post_with("/v1/appointments", body.clone(), &[("Idempotency-Key", "canary-1")]).await;
    assert_eq!(booked.expect(201).string("/note"), note, "the clinic itself may read it");
    // The same slot again: the error must not contain the note.
    refusals.push(desk.post_with("/v1/appointments", body, &[("Idempotency-Key", "canary-2")]).await);
    let cancelled = json!({"reason": words.word("reason of a cancellation")});
    desk.post(&format!("{}/cancel", booked.location()), cancelled).await.expect(200);
    let blocked = json!({"reason": words.word("reason of a block")});
    desk.post(&format!("/v1/slots/{}/block", slot(4)), blocked).await.expect(200);

    intake(words, &desk, &patient, &mut refusals).await;
    // Errors name the place of an invalid value, never the value.
    let unknown = json!({"given_name": "Ann", "favourite_animal": words.word("unknown member")});
    refusals.push(desk.post("/v1/patients", unknown).await);
    refusals.push(
        server
            .anon()
            .post(
                "/v1/sessions",
                json!({
                    "email": "ann@patients.example", "password": words.word("password"),
                }),
            )
            .await,
    );
    refusals.push(server.anon().post("/v1/email-verifications", json!({"token": words.word("token")})).await);
    refusals
}

/// An intake with words in its answers.
async fn intake(words: &mut Canaries, desk: &Client, patient: &str, refusals: &mut Vec<Reply>) {
    let intake = desk.post(&format!("/v1/patients/{patient}/intakes"), json!({"form": "rls-history"})).await;
    let answers = json!({"answers": {
        "safety": {"spreading_hot_redness": "yes"},
        "medications_status": "listed", "allergies_status": "listed",
        "allergies": [{"substance": words.word("substance"), "reaction": words.word("reaction")}],
        "medications": [{
            "name": words.word("medicine"), "frequency": words.word("frequency"), "status": "stopped",
            "stop_reason": words.word("reason to stop"), "for_rls": "yes",
        }],
    }});
    let path = intake.expect(201).location();
    let saved = desk.patch(&path, &intake.etag(), answers).await;
    saved.expect(200);
    let wrong = json!({"answers": {"irls": {"irls_version": words.word("answer of the wrong shape").repeat(9)}}});
    refusals.push(desk.patch(&path, &saved.etag(), wrong).await);
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every row of every table of a PostgreSQL database as text.
fn rows(conn: &mut Conn) -> Vec<(String, String)> {
    let Conn::Postgres(conn) = conn else { return Vec::new() };
    let tables: Vec<Line> =
        diesel::sql_query("SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public'")
            .load(conn)
            .expect("tables");
    let mut all = Vec::new();
    for Line { line: table } in not_empty(&tables) {
        let rows: Vec<Line> =
            diesel::sql_query(format!("SELECT row::text AS line FROM {table} AS row")).load(conn).expect("rows");
        all.extend(rows.into_iter().map(|row| (table.clone(), row.line)));
    }
    all
}

fn nothing_leaks(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    let mut words = Canaries::default();
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("RUST_LOG", "debug,legwork::sql=trace")]).await;
        for refusal in tell_everything(&mut words, &server).await {
            assert!(refusal.status >= 400, "{} answered {}", refusal.request, refusal.status);
            words.none_in(&format!("the refusal of {}", refusal.request), refusal.text.as_bytes());
        }
        let figures = server.anon().get("/metrics").await;
        words.none_in("the metrics", figures.text.as_bytes());
        wait_for_mail(&site).await;
        for mail in crate::support::mails::read(&site.mail_dir()) {
            for part in [&mail.subject, &mail.text, &mail.html, mail.ics.as_ref().unwrap_or(&mail.raw), &mail.raw] {
                words.none_in("a mail", part.as_bytes());
            }
        }
        // While the server runs, so that the journal is searched as well.
        search_folder(&words, site.folder.path());
        backup(&words, &site);
        words.none_in("the log", server.log().as_bytes());
        assert!(server.log().contains("legwork::sql"), "the log contains every statement");
        for secret in [PASSWORD, JWT_SECRET, DATA_KEYS] {
            assert!(!server.log().contains(secret), "a secret is in the log");
        }
    });
    for (table, row) in rows(&mut site.connect()) {
        words.none_in(&format!("the table {table}"), row.as_bytes());
    }
}

async fn wait_for_mail(site: &Site) {
    eventually(async || match crate::support::mails::read(&site.mail_dir()).len() {
        2.. => Ok(()),
        count => Err(format!("{count} mails")),
    })
    .await;
}

/// Searches every file in a folder, including the database and its journal.
fn search_folder(words: &Canaries, folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search_folder(words, &path);
        } else if let Ok(bytes) = fs::read(&path) {
            words.none_in(&path.display().to_string(), &bytes);
        }
    }
}

/// Searches a backup of the SQLite file.
fn backup(words: &Canaries, site: &Site) {
    if site.engine == Engine::Sqlite {
        let file = site.folder.path().join("backup.db");
        let status = process::command(site).arg("backup").arg(&file).status().expect("run the backup");
        assert!(status.success());
        words.none_in("the backup", &fs::read(file).expect("the backup"));
    }
}

#[test]
fn row_16_17_21_no_word_of_a_patient_leaks_from_sqlite() {
    nothing_leaks(Engine::Sqlite);
}

#[test]
fn row_16_17_21_no_word_of_a_patient_leaks_from_postgres() {
    nothing_leaks(Engine::Postgres);
}
