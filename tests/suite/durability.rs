//! SIGTERM under a load of bookings, and what other tests of the whole program share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;
use legwork::actor::Role;
use legwork::db::Conn;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::clinic;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{Client, Engine, app, eventually, id};

/// The number of parallel clients.
const CLIENTS: usize = 8;

/// A server with a clinic, and what its clients need to book.
pub struct Load {
    pub desk: Client,
    pub patients: Vec<String>,
    /// How long each client waits after a booking.
    pub pause: Duration,
    visit_type: String,
    slots: Arc<Vec<Value>>,
    next: Arc<AtomicUsize>,
    /// How many bookings were answered with 201.
    booked: Arc<AtomicUsize>,
}

/// The responses: slot by appointment, and the requests that failed.
#[derive(Default)]
pub struct Told {
    pub booked: BTreeMap<String, String>,
    pub broken_off: usize,
    pub other: Vec<String>,
}

pub async fn prepare(server: &Process) -> Load {
    let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
    let clinic = clinic::set_up(&admin).await;
    let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
    let mut patients = Vec::new();
    for number in 0..CLIENTS {
        let body = patient_json(
            &format!("Pat{}", char::from(b'a' + u8::try_from(number).expect("few"))),
            &format!("pat{number}@patients.example"),
        );
        patients.push(desk.post("/v1/patients", body).await.expect(201).id());
    }
    let mut slots = Vec::new();
    let mut from: jiff::Timestamp = legwork::clock::Clock::System.now().jiff();
    for _ in 0..3 {
        let until = from + jiff::SignedDuration::from_hours(24 * 30);
        let path = format!("/v1/slots?visit_type_id={}&from={from}&to={until}&limit=200", clinic.check);
        let mut page = desk.get(&path).await;
        loop {
            slots.extend(page.items());
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            page = desk.get(&format!("{path}&cursor={cursor}")).await;
        }
        from = until;
    }
    assert!(slots.len() > 1000, "{} slots", slots.len());
    Load {
        desk,
        patients,
        pause: Duration::ZERO,
        visit_type: clinic.check,
        slots: Arc::new(slots),
        next: Arc::default(),
        booked: Arc::default(),
    }
}

impl Load {
    /// Waits until this many more bookings are answered.
    pub async fn until_booked(&self, more: usize) {
        let booked = || self.booked.load(Ordering::Relaxed);
        let enough = booked() + more;
        eventually(async || if booked() >= enough { Ok(()) } else { Err(format!("{} bookings", booked())) }).await;
    }

    /// Books slot after slot from several clients until `stop` is set or the server is gone.
    pub async fn run(&self, base: &str, stop: &Arc<AtomicBool>) -> Told {
        let token = self.desk.token().await.expect("signed in");
        let clients = self.patients.iter().map(|patient| {
            let (patient, visit_type, token, base) =
                (patient.clone(), self.visit_type.clone(), token.clone(), base.to_owned());
            let (slots, next, stop) = (Arc::clone(&self.slots), Arc::clone(&self.next), Arc::clone(stop));
            let (booked, pause) = (Arc::clone(&self.booked), self.pause);
            async move {
                let http = app::http_client();
                let mut told = Told::default();
                while !stop.load(Ordering::Relaxed) {
                    let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let id = id(slot);
                    let body = json!({"slot_id": id, "visit_type_id": visit_type, "patient_id": patient});
                    let request = http.request(Method::POST, format!("{base}/v1/appointments")).bearer_auth(&token);
                    let sent = request.header("Idempotency-Key", id).json(&body).send().await;
                    let Ok(reply) = sent else {
                        told.broken_off += 1;
                        break;
                    };
                    let status = reply.status().as_u16();
                    // Only a complete response counts.
                    let Ok(text) = reply.text().await else {
                        told.broken_off += 1;
                        break;
                    };
                    if status == 201 {
                        let body: Value = serde_json::from_str(&text).expect("JSON");
                        told.booked.insert(self::id(&body).to_owned(), id.to_owned());
                        booked.fetch_add(1, Ordering::Relaxed);
                    } else {
                        told.other.push(format!("{status} {text}"));
                    }
                    tokio::time::sleep(pause).await;
                }
                told
            }
        });
        let mut all = Told::default();
        for told in futures_util::future::join_all(clients).await {
            all.booked.extend(told.booked);
            all.broken_off += told.broken_off;
            all.other.extend(told.other);
        }
        all
    }
}

/// A site with an administrator and a front desk.
pub fn site(engine: Engine) -> Option<Site> {
    let site = Site::new(engine)?;
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    Some(site)
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

pub fn ask(conn: &mut Conn, sql: &str) -> Vec<String> {
    let rows: Vec<Line> = match conn {
        Conn::Sqlite(conn) => diesel::sql_query(sql).load(conn),
        Conn::Postgres(conn) => diesel::sql_query(sql).load(conn),
    }
    .expect("an answer");
    rows.into_iter().map(|row| row.line).collect()
}

/// Checks that the database is consistent, and agrees with the responses.
pub async fn check(site: &Site, server: &Process, booked: &BTreeMap<String, String>) {
    let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
    for appointment in booked.keys() {
        let reply = desk.get(&format!("/v1/appointments/{appointment}")).await;
        assert_eq!(reply.expect(200).string("/status"), "booked");
    }
    let mut conn = site.connect();
    if site.engine == Engine::Sqlite {
        assert_eq!(ask(&mut conn, "SELECT integrity_check AS line FROM pragma_integrity_check"), ["ok"]);
        assert!(ask(&mut conn, "SELECT \"table\" AS line FROM pragma_foreign_key_check").is_empty());
    }
    // Each appointment of 15 minutes has one slot, one entry of history and one mail.
    for (what, sql) in [
        (
            "appointment without its slot",
            "SELECT 'x' AS line FROM appointments a WHERE (SELECT count(*) FROM slots s WHERE s.appointment_id = a.id) <> 1",
        ),
        (
            "slot of another time",
            "SELECT 'x' AS line FROM slots s JOIN appointments a ON a.id = s.appointment_id WHERE s.starts_at <> a.starts_at",
        ),
        (
            "appointment without history",
            "SELECT 'x' AS line FROM appointments a WHERE (SELECT count(*) FROM appointment_history h WHERE h.appointment_id = a.id) <> 1",
        ),
        (
            "appointment without its mail",
            "SELECT 'x' AS line FROM appointments a WHERE (SELECT count(*) FROM messages m WHERE m.appointment_id = a.id) <> 1",
        ),
    ] {
        let wrong = ask(&mut conn, sql);
        assert!(wrong.is_empty(), "{} times: {what}", wrong.len());
    }
}

fn told_to_stop_under_load(engine: Engine) {
    let Some(site) = site(engine) else { return };
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let load = prepare(&server).await;
        let stop = Arc::new(AtomicBool::new(false));
        let base = server.base.clone();
        let (told, ended) = tokio::join!(load.run(&base, &stop), async {
            load.until_booked(50).await;
            server.terminate();
            // The load runs until its connections are closed, so this must not block its runtime.
            let ended = eventually(async || match server.child.try_wait().expect("a state") {
                Some(status) => Ok(status),
                None => Err(format!("it still runs:\n{}", server.log())),
            })
            .await;
            stop.store(true, Ordering::Relaxed);
            ended
        });
        assert!(ended.success(), "{ended:?}:\n{}", server.log());
        assert!(server.log().contains("stopped"), "{}", server.log());
        for other in &told.other {
            assert!(other.starts_with("503"), "{other}");
        }
        assert!(!told.booked.is_empty());
        let server = Process::start(&site, &[]).await;
        check(&site, &server, &told.booked).await;
        // No request was cut off: every stored booking was answered.
        let there = ask(&mut site.connect(), "SELECT 'x' AS line FROM appointments").len();
        assert_eq!(there, told.booked.len(), "{} clients were cut off", told.broken_off);
    });
}

/// After a shutdown, the file can be copied without its journal.
#[test]
fn after_sigterm_the_sqlite_file_alone_has_everything() {
    let Some(site) = site(Engine::Sqlite) else { return };
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let load = prepare(&server).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (told, ()) = tokio::join!(load.run(&server.base, &stop), async {
            load.until_booked(25).await;
            stop.store(true, Ordering::Relaxed);
        });
        let journal = format!("{}-wal", site.sqlite_path().display());
        assert!(std::fs::metadata(&journal).expect("a journal").len() > 0, "the journal is in use");
        server.terminate();
        assert!(server.wait(Duration::from_mins(1)).is_some_and(|status| status.success()), "{}", server.log());
        assert_eq!(std::fs::metadata(&journal).map_or(0, |journal| journal.len()), 0);

        let mut alone = self::site(Engine::Sqlite).expect("SQLite is always there");
        let copy = alone.folder.path().join("alone.db");
        std::fs::copy(site.sqlite_path(), &copy).expect("copied");
        alone.database_url = format!("sqlite:{}", copy.display());
        assert!(!told.booked.is_empty());
        assert_eq!(ask(&mut alone.connect(), "SELECT 'x' AS line FROM appointments").len(), told.booked.len());
        let server = Process::start(&alone, &[]).await;
        check(&alone, &server, &told.booked).await;
    });
}

#[test]
fn sigterm_drops_no_request_on_sqlite() {
    told_to_stop_under_load(Engine::Sqlite);
}

#[test]
fn sigterm_drops_no_request_on_postgres() {
    told_to_stop_under_load(Engine::Postgres);
}
