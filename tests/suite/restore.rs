//! `legwork restore`: puts a backup back, and keeps what is there if anything is wrong.

use std::fs;
use std::path::Path;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;

use crate::durability::site;
use crate::support::people::{PASSWORD, patient_json};
use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{Client, Engine, app};

/// Runs a command beside the service, without its keys. Returns whether it succeeded, and its output.
fn run(site: &Site, arguments: &[&str]) -> (bool, String) {
    let mut command = command(site);
    let output =
        command.env_remove("DATA_KEYS").env_remove("JWT_SECRET").args(arguments).output().expect("the program");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text")).concat();
    (output.status.success(), text)
}

async fn desk(server: &Process) -> Client {
    server.anon().sign_in("desk@clinic.example", PASSWORD).await
}

async fn stop(server: &mut Process) {
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).is_some_and(|status| status.success()), "{}", server.log());
}

async fn found(server: &Process, name: &str) -> usize {
    desk(server).await.get(&format!("/v1/patients?q={name}")).await.expect(200).items().len()
}

/// A site with the patient Ann, a backup, and the patient Bob who came later. The server has stopped.
async fn with_backup(file: &Path) -> Site {
    let site = site(Engine::Sqlite).expect("SQLite is always there");
    let mut server = Process::start(&site, &[]).await;
    let client = desk(&server).await;
    client.post("/v1/patients", patient_json("Ann", "ann@patients.example")).await.expect(201);
    let (made, said) = run(&site, &["backup", &file.to_string_lossy()]);
    assert!(made, "{said}");
    client.post("/v1/patients", patient_json("Bob", "bob@patients.example")).await.expect(201);
    stop(&mut server).await;
    site
}

#[test]
fn a_restored_backup_is_served_and_the_old_database_is_kept_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup.db");
    app::runtime().block_on(async {
        let site = with_backup(&file).await;
        let (database, backup) = (site.sqlite_path(), file.to_string_lossy().into_owned());
        let before = fs::read(&database).expect("the database");

        let (done, said) = run(&site, &["restore", &backup]);
        assert!(!done && said.contains("exists") && said.contains("--replace"), "{said}");
        assert!(before == fs::read(&database).expect("the database"), "it was changed");

        let (done, said) = run(&site, &["restore", "--replace", &backup]);
        assert!(done && said.contains("data-keys") && said.contains(".replaced-1"), "{said}");
        let kept = format!("{}.replaced-1", database.display());
        assert!(before == fs::read(&kept).expect("the old database"), "the old database was changed");
        let mut server = Process::start(&site, &[]).await;
        assert_eq!((found(&server, "Ann").await, found(&server, "Bob").await), (1, 0));

        let (done, said) = run(&site, &["restore", "--replace", &backup]);
        assert!(!done && said.contains("has") && said.contains("open"), "{said}");
        stop(&mut server).await;

        // The old database is a whole one: it can be restored as well, in the place of one that is missing.
        fs::remove_file(&database).expect("removed");
        let (done, said) = run(&site, &["restore", &kept]);
        assert!(done && !said.contains("that was there"), "{said}");
        let server = Process::start(&site, &[]).await;
        assert_eq!((found(&server, "Ann").await, found(&server, "Bob").await), (1, 1));
    });
}

#[test]
fn a_damaged_foreign_newer_or_unfinished_file_is_not_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup.db");
    app::runtime().block_on(async {
        let site = with_backup(&file).await;
        let (before, good) = (fs::read(site.sqlite_path()).expect("it"), fs::read(&file).expect("the backup"));
        let refused = |what: &str, word: &str| {
            let (done, said) = run(&site, &["restore", "--replace", &file.to_string_lossy()]);
            assert!(!done && said.contains(word) && !said.contains(".legwork-restore-"), "{what}: {said}");
            assert!(before == fs::read(site.sqlite_path()).expect("the database"), "{what}: the database was changed");
            let left = fs::read_dir(site.sqlite_path().parent().expect("a folder")).expect("its files");
            let names: Vec<_> =
                left.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect();
            assert!(
                !names.iter().any(|name| name.contains("restore") || name.contains("replaced")),
                "{what}: {names:?}"
            );
        };
        fs::write(&file, b"").expect("written");
        refused("empty", "is empty");
        fs::write(&file, b"just a text ".repeat(1000)).expect("written");
        refused("a text", "not an SQLite database");
        fs::write(&file, &good[..good.len() / 2]).expect("written");
        refused("the first half", "nothing was restored");
        let mut damaged = good.clone();
        let end = damaged.len();
        damaged[end - 40_000..].fill(0x5A);
        fs::write(&file, damaged).expect("written");
        refused("overwritten pages", "damaged");
        fs::write(&file, &good).expect("written");
        let journal = format!("{}-wal", file.display());
        fs::write(&journal, b"x").expect("written");
        refused("with a journal", "a running or crashed service");
        fs::remove_file(journal).expect("removed");
        let mut conn = diesel::SqliteConnection::establish(&file.to_string_lossy()).expect("a connection");
        let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')";
        conn.batch_execute(newer).expect("a migration");
        drop(conn);
        refused("of a newer version", "newer than this program");
        fs::remove_file(&file).expect("removed");
        refused("missing", "read ");
    });
}

#[test]
fn on_postgres_the_restore_command_names_pg_restore() {
    let Some(site) = Site::new(Engine::Postgres) else { return };
    let (done, said) = run(&site, &["restore", "backup.dump"]);
    assert!(!done && said.contains("pg_restore --no-owner"), "{said}");
}
