//! Acknowledged writes are on disk, even if the disk is full.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use legwork::actor::Role;
use legwork::db::Conn;
use legwork::db::raw_sql::RawSql;
use legwork::db::trace::{PREPARED, prepared};
use serde_json::json;

use crate::durability::ask;
use crate::support::disk::Disk;
use crate::support::people::PASSWORD;
use crate::support::process::{Process, command};
use crate::support::site::{DATA_KEYS, Site};
use crate::support::{App, Client, Engine, Reply, app, both, eventually};

async fn create_location(admin: &Client, name: &str) -> Reply {
    let body = json!({
        "name": name, "address": "1 Main Street, ".repeat(12), "phone": "+12025550100", "country": "US",
        "time_zone": "America/New_York", "slot_minutes": 15,
    });
    admin.post("/v1/locations", body).await
}

/// The names of all locations, over all pages.
async fn names(client: &Client) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut path = "/v1/locations?limit=200".to_owned();
    loop {
        let reply = client.get(&path).await;
        names.extend(reply.items().iter().map(|item| item["name"].as_str().expect("a name").to_owned()));
        match reply.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/locations?limit=200&cursor={cursor}"),
            None => return names,
        }
    }
}

/// The number of prepared statements that the engine reports for this connection; SQLite reports none.
fn prepared_at_the_server(conn: &mut Conn) -> usize {
    match conn {
        Conn::Sqlite(_) => 0,
        Conn::Postgres(_) => ask(conn, "SELECT name AS line FROM pg_prepared_statements").len(),
    }
}

both! {
    async fn a_connection_keeps_a_bounded_number_of_statements_prepared(app: App) {
        // Each statement has its own text, like each combination of a list's filters; for readers and the writer.
        let mut most = (0, 0);
        for number in 0..800 {
            let run = move |conn: &mut Conn| {
                let answer: i32 = diesel::select(RawSql::<Integer>::new(format!("{number}"))).get_result(conn)?;
                assert_eq!(answer, number);
                Ok((prepared(conn), prepared_at_the_server(conn)))
            };
            let (kept, kept_there) = if number % 2 == 0 { app.env.db.read(run).await } else { app.env.db.write(run).await }.expect("run");
            most = (most.0.max(kept), most.1.max(kept_there));
        }
        assert!(most.0 > PREPARED / 2 && most.0 <= PREPARED + 8 && most.1 <= PREPARED + 8, "{most:?}");
    }

    async fn many_parallel_writes_are_all_answered_and_stored(app: App) {
        let admin = app.admin().await;
        let all: Vec<String> = (0..200).map(|number| format!("Place {number}")).collect();
        let replies = futures_util::future::join_all(all.iter().map(|name| create_location(&admin, name))).await;
        let mut made = BTreeSet::new();
        for (name, reply) in all.iter().zip(&replies) {
            match reply.status {
                201 => { made.insert(name.clone()); }
                // PostgreSQL's pool may report that it is busy, but not for a write that it did.
                _ => { reply.problem(503, "unavailable"); }
            }
        }
        assert_eq!(names(&admin).await, made);
        assert!(app.engine == Engine::Postgres || made.len() == all.len());
        let figures = app.anon().get("/metrics").await.text;
        if app.engine == Engine::Sqlite {
            let figure = |name: &str| -> f64 {
                let line = figures.lines().find(|line| line.starts_with(name)).expect("the figure");
                line.rsplit(' ').next().expect("a number").parse().expect("a number")
            };
            let (transactions, commits) = (figure("legwork_db_batch_size_sum"), figure("legwork_db_batch_size_count"));
            assert!(commits < transactions, "{transactions} transactions took {commits} commits");
        }
    }

    async fn a_failed_write_does_not_affect_others_of_its_batch(app: App) {
        let admin = app.admin().await;
        let replies = futures_util::future::join_all((0..60).map(|number| {
            let admin = admin.clone();
            async move {
                // Every third write uses an address that is taken.
                let email = if number % 3 == 0 { "admin@clinic.example".to_owned() } else { format!("u{number}@clinic.example") };
                let body = json!({"email": email, "name": "U", "role": "front_desk"});
                (number, admin.post("/v1/users", body).await)
            }
        })).await;
        for (number, reply) in replies {
            if number % 3 == 0 { reply.problem(409, "email_taken"); } else { reply.expect(201); }
        }
    }
}

/// Fills a small disk under the real program, and compares every response with what is stored.
#[test]
fn a_full_disk_rejects_writes_loses_nothing_and_recovers_without_a_restart() {
    let Some(disk) = Disk::of(8 << 20) else { return };
    let site = Site::sqlite_on(&disk);
    app::runtime().block_on(async {
        let mut server = Process::start_with(disk.command(env!("CARGO_BIN_EXE_legwork")), &site, &[]).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let ballast = disk.fill(600 << 10);
        let (mut made, mut refused) = (BTreeSet::new(), BTreeSet::new());
        // Several at a time, so that transactions share a batch.
        for round in 0..400 {
            let batch: Vec<String> = (0..8).map(|number| format!("Place {round}-{number}")).collect();
            let replies = futures_util::future::join_all(batch.iter().map(|name| create_location(&admin, name))).await;
            for (name, reply) in batch.into_iter().zip(replies) {
                match reply.status {
                    201 => {
                        made.insert(name);
                    }
                    507 => {
                        reply.problem(507, "storage_full");
                        refused.insert(name);
                    }
                    _ => {
                        reply.problem(503, "unavailable");
                        refused.insert(name);
                    }
                }
            }
            if refused.len() >= 40 {
                break;
            }
        }
        assert!(made.len() > 20, "{} made", made.len());
        assert!(refused.len() >= 40, "the disk never filled: {} made, {} refused", made.len(), refused.len());
        // While the disk is full, exactly the acknowledged writes can be read.
        assert_eq!(names(&server.anon()).await, made);
        server.anon().get("/health/ready").await.expect(200);
        server.anon().get("/health/live").await.expect(200);

        assert!(disk.shell(&format!("rm '{}'", ballast.display())));
        eventually(async || match create_location(&admin, "After").await.status {
            201 => Ok(()),
            status => Err(format!("writes get {status}:\n{}", server.log())),
        })
        .await;
        made.insert("After".to_owned());

        server.kill9();
        let server = Process::start_with(disk.command(env!("CARGO_BIN_EXE_legwork")), &site, &[]).await;
        assert_eq!(names(&server.anon()).await, made);
    });
}

/// While the disk is full, reads continue until the queue for their audit events is full. Then they are rejected, readiness
/// explains why, and both recover when there is space again.
#[test]
fn on_a_full_disk_reads_continue_until_the_audit_queue_is_full_and_readiness_fails() {
    let Some(disk) = Disk::of(8 << 20) else { return };
    let site = Site::sqlite_on(&disk);
    app::runtime().block_on(async {
        let server = Process::start_with(disk.command(env!("CARGO_BIN_EXE_legwork")), &site, &[]).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        let ballast = disk.fill(0);
        let mut refused = 0;
        for number in 0.. {
            refused += u32::from(create_location(&admin, &format!("Place {number}")).await.status != 201);
            if refused >= 5 {
                break;
            }
            assert!(number < 5000, "the disk never filled");
        }
        let (mut served, mut stopped) = (0, None);
        while stopped.is_none() {
            let replies = futures_util::future::join_all((0..32).map(|_| admin.get("/v1/users?limit=1"))).await;
            for reply in replies {
                if reply.status == 200 {
                    served += 1;
                } else {
                    stopped = Some(reply);
                }
            }
            if served == 32 {
                server.anon().get("/health/ready").await.expect(200);
            }
            assert!(served < 20_000, "reads never end although their events are not stored");
        }
        let refusal = stopped.expect("a refusal");
        assert!([503, 507].contains(&refusal.status), "{}", refusal.text);
        assert!(served >= 4000, "{served} reads were served");
        let ready = server.anon().get("/health/ready").await;
        ready.problem(503, "unavailable");
        assert!(ready.string("/detail").contains("Audit events cannot be stored"), "{}", ready.text);

        assert!(disk.shell(&format!("rm '{}'", ballast.display())));
        eventually(async || match server.anon().get("/health/ready").await.status {
            200 => Ok(()),
            status => Err(format!("readiness is {status}:\n{}", server.log())),
        })
        .await;
        admin.get("/v1/users?limit=1").await.expect(200);
        assert_eq!(create_location(&admin, "After").await.status, 201);
    });
}

/// A transaction larger than SQLite's cache reaches the disk before its commit; then SQLite rolls it back by itself.
#[test]
fn a_transaction_that_sqlite_rolls_back_by_itself_is_noticed() {
    use legwork::db::{Db, Target, Use};
    let Some(disk) = Disk::of(16 << 20) else { return };
    if disk.is_in_a_namespace() {
        return crate::support::print_uncaptured("==> SKIPPED: this test sees only a disk that root has mounted");
    }
    let target = Target::Sqlite(disk.path().join("filler.db"));
    app::runtime().block_on(async {
        let db = Db::open(&target, Use::Serve, 2, std::sync::Arc::default()).expect("a database");
        db.write(|tx| Ok(tx.batch_execute("CREATE TABLE filler (n INTEGER PRIMARY KEY, x BLOB)")?))
            .await
            .expect("a table");
        let mut kept = BTreeSet::new();
        let mut refused = 0;
        for round in 0..6 {
            let replies = futures_util::future::join_all((0..16).map(|number| {
                let (db, n) = (db.clone(), round * 16 + number);
                async move {
                    let sql = format!("INSERT INTO filler VALUES ({n}, zeroblob(400000))");
                    (n, db.write(move |tx| Ok(tx.batch_execute(&sql)?)).await)
                }
            }))
            .await;
            for (n, reply) in replies {
                if reply.is_ok() {
                    kept.insert(n);
                } else {
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "the disk never filled");
        drop(db);
        let mut conn = legwork::db::connect(&target).expect("a connection");
        let there: Vec<i64> = filler(&mut conn);
        assert_eq!(there, kept.into_iter().collect::<Vec<i64>>());
    });
}

fn filler(conn: &mut legwork::db::Conn) -> Vec<i64> {
    use diesel::prelude::*;
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(
        "coalesce(group_concat(n), '') FROM (SELECT n FROM filler ORDER BY n)",
    ))
    .get_result::<String>(conn)
    .expect("the rows")
    .split(',')
    .filter_map(|n| n.parse().ok())
    .collect()
}

#[test]
fn one_sqlite_file_has_one_server_and_commands_work_beside_it() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let second = command(&site).arg("serve").output().expect("run the program");
        assert!(!second.status.success());
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(said.contains("another legwork server"), "{said}");
        for arguments in [&["admin", "create", "--email", "boss@clinic.example"][..], &["migrate"]] {
            let output = command(&site).args(arguments).output().expect("run the program");
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        server.anon().get("/health/ready").await.expect(200);
        drop(server);
        // The lock ends with the process, however it ends.
        let server = Process::start(&site, &[]).await;
        server.anon().get("/health/ready").await.expect(200);
    });
}

/// A reader's connection cannot write, and the types hold for a test's own statements as well.
#[test]
fn sqlite_checks_types_and_references() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    site.account("admin@clinic.example", Role::Admin);
    let mut conn = site.connect();
    assert!(conn.batch_execute("UPDATE users SET version = 'one'").is_err(), "STRICT tables");
    assert!(conn.batch_execute("UPDATE users SET practitioner_id = x'00'").is_err(), "foreign keys");
}

/// With other keys, earlier records could not be read, and new ones would be lost once the right keys are back.
fn keys_of_another_database(engine: Engine) {
    let Some(site) = Site::new(engine) else { return };
    site.account("desk@clinic.example", Role::FrontDesk);
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let patient = json!({
            "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
            "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false,
        });
        desk.post("/v1/patients", patient).await.expect(201);
    });
    let other = "5DKBRlll3DK8q2/+W1/msQ+BU8c100nI5oXQyZwQkak=";
    // A command may use a new key only if no running server lacks it; on PostgreSQL this cannot be known.
    let alone = engine == Engine::Sqlite;
    for (keys, good) in
        [(format!("test:{other}"), false), (format!("new:{other}"), false), (format!("new:{other},{DATA_KEYS}"), alone)]
    {
        let mut command = command(&site);
        command.args(["admin", "create", "--email", "boss@clinic.example"]).env("DATA_KEYS", keys);
        let output = command.output().expect("run the program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), good, "{said}");
        assert!(good || said.contains("DATA_KEYS") || said.contains("no server has started with new"), "{said}");
    }
}

#[test]
fn keys_of_another_database_are_rejected_on_sqlite() {
    keys_of_another_database(Engine::Sqlite);
}

#[test]
fn keys_of_another_database_are_rejected_on_postgres() {
    keys_of_another_database(Engine::Postgres);
}

#[test]
fn a_new_database_gets_keys_and_an_existing_one_without_keys_does_not() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    let migrate = || command(&site).arg("migrate").env_remove("DATA_KEYS").output().expect("run the program");
    let keys = site.sqlite_path().with_file_name("data-keys");
    assert!(migrate().status.success());
    #[cfg(unix)]
    for file in [&keys, &site.sqlite_path()] {
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).expect("a file"));
        assert_eq!(mode & 0o077, 0, "{} is for its owner only", file.display());
    }
    assert!(migrate().status.success(), "a second time");
    std::fs::remove_file(&keys).expect("removed");
    let refused = migrate();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("data-keys"), "{said}");
    assert!(!keys.exists(), "new keys were made");
}
