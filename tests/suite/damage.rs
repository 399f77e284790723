//! Damaged, emptied and foreign database files: rejected at the start, or found while the service runs; never served.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde_json::json;

use crate::durability::site;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::postgres::Cluster;
use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{Client, Engine, app, clinic, eventually};

#[derive(QueryableByName)]
struct Page {
    #[diesel(sql_type = BigInt)]
    page: i64,
}

/// The pages that a query on the file returns.
fn pages(file: &Path, sql: &str) -> Vec<u64> {
    let mut conn = SqliteConnection::establish(&file.to_string_lossy()).expect("a connection");
    let rows: Vec<Page> = diesel::sql_query(sql).load(&mut conn).expect("pages");
    rows.into_iter().map(|row| u64::try_from(row.page).expect("a page")).collect()
}

/// A database after a shutdown, with all data in its file.
struct Served {
    site: Site,
    bytes: Vec<u8>,
}

impl Served {
    fn new() -> Self {
        let site = site(Engine::Sqlite).expect("SQLite is always there");
        app::runtime().block_on(async {
            let mut server = Process::start(&site, &[]).await;
            let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
            clinic::set_up(&admin).await;
            let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
            for number in 0..20_u8 {
                let name = format!("Pat{}", char::from(b'a' + number));
                desk.post("/v1/patients", patient_json(&name, &format!("{name}@patients.example"))).await.expect(201);
            }
            server.terminate();
            assert!(server.wait(Duration::from_secs(10)).is_some_and(|status| status.success()), "{}", server.log());
        });
        let bytes = fs::read(site.sqlite_path()).expect("the file");
        Self { site, bytes }
    }

    fn file(&self) -> PathBuf {
        self.site.sqlite_path()
    }

    /// Restores the original file with one change.
    fn put(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes.clone();
        change(&mut bytes);
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{beside}", self.file().display()));
        }
        fs::write(self.file(), bytes).expect("written");
    }

    /// The start must fail with a message that contains this word, and leave the file unchanged.
    fn refused(&self, what: &str, word: &str) {
        let before = fs::read(self.file()).expect("the file");
        for arguments in [&["serve"][..], &["admin", "create", "--email", "boss@clinic.example"]] {
            let output = command(&self.site).args(arguments).output().expect("run the program");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{what}: {arguments:?} went on:\n{said}");
            assert!(said.contains(word) && !said.contains("panicked"), "{what}: {said}");
        }
        assert!(before == fs::read(self.file()).expect("the file"), "{what}: the file was changed");
    }

    /// Either the start fails, or the damage is found soon and readiness fails.
    async fn refused_or_found(&self, what: &str) -> bool {
        match Process::try_start(&self.site).await {
            Err(said) => {
                assert!(said.contains("Restore a backup") && !said.contains("panicked"), "{what}: {said}");
                true
            }
            Ok(server) => {
                found(&server, what).await;
                false
            }
        }
    }
}

/// Waits until readiness reports the damage, and checks the log.
async fn found(server: &Process, what: &str) {
    let reply = eventually(async || {
        let reply = server.anon().get("/health/ready").await;
        let is_found = reply.status == 503 && reply.body["code"] == "database_damaged";
        if is_found { Ok(reply) } else { Err(format!("{what}: the damage is not reported:\n{}", server.log())) }
    })
    .await;
    reply.problem(503, "database_damaged");
    assert!(reply.string("/detail").contains("restore a backup"), "{}", reply.text);
    assert!(!reply.text.contains("legwork.db"), "the response contains a path: {}", reply.text);
    server.anon().get("/health/live").await.expect(200);
    let figures = server.anon().get("/metrics").await.text;
    assert!(figures.contains("legwork_db_damaged 1"), "{figures}");
    let log = server.log();
    assert!(
        log.contains("ERROR") && log.contains("the database file is damaged") && !log.contains("panicked"),
        "{what}: {log}"
    );
}

#[test]
fn a_truncated_emptied_random_or_foreign_file_is_refused_at_the_start_and_left_as_it_is() {
    let served = Served::new();
    let whole = served.bytes.len();
    for keep in [100, 512, 4096, 4096 * 3, whole / 2, whole - 4096] {
        served.put(|bytes| bytes.truncate(keep));
        served.refused(&format!("{keep} of {whole} bytes"), "Restore a backup");
    }
    served.put(Vec::clear);
    served.refused("emptied", "is empty");
    fs::remove_file(served.file()).expect("removed");
    let output = command(&served.site).arg("serve").output().expect("run the program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("is missing") && !served.file().exists(), "{said}");
    served.put(|bytes| {
        let mut state = 7_u32;
        bytes.fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
    });
    served.refused("random bytes", "not an SQLite database");
    served.put(|bytes| *bytes = b"just a text ".repeat(1000));
    served.refused("a text", "not an SQLite database");

    // Databases of other programs: with their application id, without one, and with diesel migrations.
    for (what, sql) in [
        ("marked", "PRAGMA application_id = 252006674; CREATE TABLE t (n INTEGER);"),
        ("unmarked", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'x');"),
        (
            "diesel's",
            "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL \
             DEFAULT CURRENT_TIMESTAMP); INSERT INTO __diesel_schema_migrations (version) VALUES ('20200101000000'); \
             CREATE TABLE posts (id INTEGER PRIMARY KEY);",
        ),
    ] {
        fs::remove_file(served.file()).expect("removed");
        let mut conn = SqliteConnection::establish(&served.file().to_string_lossy()).expect("a connection");
        conn.batch_execute(sql).expect("another program's tables");
        drop(conn);
        served.refused(what, "another program");
    }
    served.put(|_| {});
    app::runtime().block_on(async {
        Process::start(&served.site, &[]).await;
    });
}

/// Without settings the keys are files; an emptied database next to them must not start as a new clinic.
#[test]
fn an_empty_file_beside_its_keys_is_refused_and_a_new_one_without_keys_is_not() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    let migrate = || {
        let mut command = command(&site);
        command.env_remove("DATA_KEYS").env_remove("JWT_SECRET").arg("migrate").output().expect("run the program")
    };
    fs::write(site.sqlite_path(), b"").expect("an empty file");
    assert!(migrate().status.success(), "nothing says that it was in use");
    assert!(migrate().status.success(), "a second time");
    for keys in [&["data-keys", "jwt-secret"][..], &["data-keys"], &["jwt-secret"]] {
        for beside in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{beside}", site.sqlite_path().display()));
        }
        fs::write(site.sqlite_path(), b"").expect("emptied");
        for name in ["data-keys", "jwt-secret"] {
            let file = site.sqlite_path().with_file_name(name);
            let _ = fs::remove_file(&file);
            if keys.contains(&name) {
                fs::write(file, "kept").expect("a key");
            }
        }
        let output = migrate();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("is empty") && said.contains(keys[0]), "{said}");
        assert_eq!(fs::metadata(site.sqlite_path()).expect("the file").len(), 0);
    }
}

/// A file of a version without the application id is recognised by its migrations, and gets the id.
#[test]
fn a_file_without_our_mark_is_known_by_its_migrations() {
    let site = site(Engine::Sqlite).expect("SQLite is always there");
    let mark = || pages(&site.sqlite_path(), "SELECT application_id AS page FROM pragma_application_id")[0];
    site.connect().batch_execute("PRAGMA application_id = 0").expect("unmarked");
    assert_eq!(mark(), 0);
    app::runtime().block_on(async {
        Process::start(&site, &[]).await;
    });
    assert_eq!(mark(), 0x4C65_6757);
}

#[test]
fn zeroed_roots_of_tables_and_indexes_are_refused_at_the_start() {
    let served = Served::new();
    let roots = pages(&served.file(), "SELECT rootpage AS page FROM sqlite_schema WHERE rootpage > 0");
    assert!(roots.len() > 60, "{}", roots.len());
    let zero = |bytes: &mut Vec<u8>, page: u64| {
        let at = usize::try_from((page - 1) * 4096).expect("a place");
        bytes[at..at + 4096].fill(0);
    };
    // Five tables at once, as in a reported case; then some tables of each kind.
    let five = pages(
        &served.file(),
        "SELECT rootpage AS page FROM sqlite_schema WHERE name IN ('patients', 'appointments', 'intakes', 'slots', 'users')",
    );
    assert_eq!(five.len(), 5);
    served.put(|bytes| five.iter().for_each(|page| zero(bytes, *page)));
    served.refused("five zeroed roots", "Restore a backup");
    for page in roots.into_iter().step_by(9) {
        served.put(|bytes| zero(bytes, page));
        served.refused(&format!("a zeroed root, page {page}"), "Restore a backup");
    }
}

#[test]
fn a_schema_that_lacks_a_part_and_wrong_versions_in_the_header_are_refused_at_the_start() {
    let served = Served::new();
    for (sql, what) in [
        ("PRAGMA foreign_keys = OFF; DROP TABLE lab_results;", "table lab_results"),
        ("DROP TRIGGER audit_events_append_only;", "trigger audit_events_append_only"),
        ("DROP INDEX patients_email;", "index patients_email"),
    ] {
        served.put(|_| {});
        let mut conn = SqliteConnection::establish(&served.file().to_string_lossy()).expect("a connection");
        conn.batch_execute(sql).expect("dropped");
        drop(conn);
        served.refused(what, what);
    }
    for (write, read) in [(1, 2), (2, 1), (3, 2), (2, 3), (0, 0), (7, 7)] {
        served.put(|bytes| bytes[18..20].copy_from_slice(&[write, read]));
        served.refused(&format!("versions {write} and {read}"), "Restore a backup");
    }
    served.put(|_| {});
    app::runtime().block_on(async {
        Process::start(&served.site, &[]).await;
    });
}

/// The service must not go on with a file that no restart finds again.
#[test]
fn a_file_that_is_deleted_or_replaced_while_it_is_served_ends_readiness_within_seconds() {
    let served = Served::new();
    for is_replaced in [false, true] {
        served.put(|_| {});
        app::runtime().block_on(async {
            let server = Process::start(&served.site, &[]).await;
            server.anon().get("/health/ready").await.expect(200);
            let copy = served.file().with_extension("copy");
            fs::write(&copy, &served.bytes).expect("a copy");
            fs::remove_file(served.file()).expect("removed");
            if is_replaced {
                fs::rename(&copy, served.file()).expect("replaced");
            }
            found(&server, "deleted or replaced").await;
            // The background check of the whole file may find it first.
            let findings = ["deleted or replaced while the service ran", "the file is missing or empty"];
            assert!(findings.iter().any(|finding| server.log().contains(finding)), "{}", server.log());
        });
    }
}

#[test]
fn flipped_pages_are_refused_at_the_start_or_found_in_the_background() {
    let served = Served::new();
    let used =
        pages(&served.file(), "SELECT pageno AS page FROM dbstat WHERE pageno > 1 ORDER BY (pageno * 7919) % 1009");
    let leaves = pages(
        &served.file(),
        "SELECT pageno AS page FROM dbstat WHERE path <> '/' AND pagetype = 'leaf' ORDER BY (pageno * 7919) % 1009 LIMIT 4",
    );
    assert!(used.len() > 60 && leaves.len() == 4, "{} {}", used.len(), leaves.len());
    let flip = |bytes: &mut Vec<u8>, page: u64| {
        let at = usize::try_from((page - 1) * 4096).expect("a place");
        bytes[at..at + 4096].iter_mut().for_each(|byte| *byte ^= 0xFF);
    };
    app::runtime().block_on(async {
        served.put(|bytes| used.iter().take(25).for_each(|page| flip(bytes, *page)));
        served.refused_or_found("25 flipped pages").await;
        let mut in_the_background = 0;
        for page in leaves {
            served.put(|bytes| flip(bytes, page));
            in_the_background += u32::from(!served.refused_or_found(&format!("page {page}")).await);
        }
        assert!(in_the_background > 0, "the start sees the roots only");
    });
}

async fn refused_for_damage(client: &Client, path: &str) -> bool {
    let reply = client.get(path).await;
    if reply.status == 503 && reply.body["code"] == "database_damaged" {
        assert!(!reply.header("retry-after").is_empty());
        return true;
    }
    assert!([200, 404, 503].contains(&reply.status), "{}", reply.text);
    false
}

/// Damage that occurs while the file is served is found by the first statement that reads it.
#[test]
fn damage_that_a_statement_meets_ends_readiness_and_refuses_reads_and_writes() {
    let served = Served::new();
    app::runtime().block_on(async {
        let server = Process::start(&served.site, &[]).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let mut file = OpenOptions::new().write(true).open(served.file()).expect("the file");
        for page in 1..served.bytes.len() as u64 / 4096 {
            file.seek(SeekFrom::Start(page * 4096)).expect("a page");
            file.write_all(&[0x5A; 4096]).expect("overwritten");
        }
        let paths = ["/v1/patients?q=Pata", "/v1/locations", "/v1/practitioners", "/v1/appointments", "/v1/messages"];
        eventually(async || {
            for path in paths {
                if refused_for_damage(&desk, path).await {
                    return Ok(());
                }
            }
            Err(format!("no statement found the damage:\n{}", server.log()))
        })
        .await;
        found(&server, "overwritten while it is served").await;
        let body = json!({"email": "desk@clinic.example", "password": PASSWORD});
        server.anon().post("/v1/sessions", body).await.problem(503, "database_damaged");
    });
}

/// PostgreSQL reports damage itself; the service passes it on and readiness fails.
#[test]
fn damage_that_postgres_tells_of_ends_readiness() {
    let Some(cluster) = Cluster::own("legwork") else { return };
    let database = cluster.create_migrated();
    let site = Site::on_postgres(cluster.url(&database));
    site.account("admin@clinic.example", legwork::actor::Role::Admin);
    let file = cluster.file_of(&database, "locations");
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        clinic::set_up(&admin).await;
        server.kill9();
        cluster.stop();
        let mut file = OpenOptions::new().write(true).open(&file).expect("the table's file");
        file.write_all(&[0x5A; 8192]).expect("overwritten");
        drop(file);
        cluster.start_again();
        let server = Process::try_start(&site).await.expect("it starts: PostgreSQL has not read that table yet");
        let anon = server.anon();
        eventually(async || if refused_for_damage(&anon, "/v1/locations").await { Ok(()) } else { Err(server.log()) })
            .await;
        found(&server, "a table's page").await;
    });
}
