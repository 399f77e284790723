//! `legwork backup` under load: the backup is complete and can be served.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use legwork::actor::Role;
use serde_json::json;

use crate::durability::{ask, check, prepare, site};
use crate::support::people::PASSWORD;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{Engine, app};

/// Runs `legwork backup` next to the server. Returns whether it succeeded, and its output.
async fn backup(site: &Site, file: &Path) -> (bool, String) {
    let mut command = command(site);
    // The backup command does not need the keys.
    command.env_remove("DATA_KEYS").env_remove("JWT_SECRET").arg("backup").arg(file);
    let output = tokio::task::spawn_blocking(move || command.output().expect("the program")).await.expect("an end");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text")).concat();
    (output.status.success(), text)
}

#[test]
fn a_backup_under_load_contains_every_booking_answered_before_it_and_can_be_served() {
    let Some(site) = site(Engine::Sqlite) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("legwork.db");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        let load = prepare(&server).await;
        let secret = json!({"pronouns": "canary/canaries", "phone": "+12025550177"});
        let path = format!("/v1/patients/{}", load.patients[0]);
        load.desk.patch(&path, "*", secret).await.expect(200);
        let (go, still) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        // First, some bookings are answered before the backup begins; then others while it runs.
        let (before, ()) = tokio::join!(load.run(&server.base, &go), async {
            load.until_booked(25).await;
            go.store(true, Ordering::Relaxed);
        });
        let (during, (made, said)) = tokio::join!(load.run(&server.base, &still), async {
            load.until_booked(5).await;
            let done = backup(&site, &file).await;
            load.until_booked(5).await;
            still.store(true, Ordering::Relaxed);
            done
        });
        assert!(made, "{said}");
        assert!(said.contains("data-keys") && said.contains("DATA_KEYS") && said.contains("JWT_SECRET"), "{said}");
        assert!(!before.booked.is_empty() && !during.booked.is_empty());
        assert!(before.other.is_empty() && during.other.is_empty(), "{:?} {:?}", before.other, during.other);
        assert_eq!(fs::metadata(&file).expect("the backup").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing is left beside it");
        let bytes = fs::read(&file).expect("the backup");
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "what is sealed stays sealed");

        // The command overwrites no file.
        let (again, said) = backup(&site, &file).await;
        assert!(!again && said.contains("exists already"), "{said}");
        assert_eq!(fs::read(&file).expect("the backup"), bytes);
        let (nowhere, said) = backup(&site, &folder.path().join("no/such/folder.db")).await;
        assert!(!nowhere && said.contains("no/such"), "{said}");

        // The restored file is served with the same keys.
        let mut restored = crate::durability::site(Engine::Sqlite).expect("SQLite is always there");
        let place = restored.folder.path().join("restored.db");
        fs::copy(&file, &place).expect("put it back");
        restored.database_url = format!("sqlite:{}", place.display());
        let second = Process::start(&restored, &[]).await;
        check(&restored, &second, &before.booked).await;
        let desk = second.anon().sign_in("desk@clinic.example", PASSWORD).await;
        assert_eq!(desk.get(&path).await.expect(200).string("/pronouns"), "canary/canaries");
        let there = ask(&mut restored.connect(), "SELECT 'x' AS line FROM appointments").len();
        assert!(there >= before.booked.len() && there <= before.booked.len() + during.booked.len(), "{there}");
    });
}

#[test]
fn a_restored_database_without_its_keys_is_rejected_with_an_explanation() {
    let Some(site) = site(Engine::Sqlite) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("legwork.db");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        prepare(&server).await;
        assert!(backup(&site, &file).await.0);
    });
    let start = |keys: Option<&str>| {
        let mut command = command(&site);
        command.env_remove("DATA_KEYS").env("DATABASE_URL", format!("sqlite:{}", file.display()));
        command.envs(keys.map(|keys| ("DATA_KEYS", keys))).arg("serve");
        let output = command.output().expect("the program");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let said = start(None);
    assert!(said.contains("data-keys is missing"), "{said}");
    let said = start(Some("other:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    assert!(said.contains("DATA_KEYS"), "{said}");
}

#[test]
fn a_backup_of_a_missing_database_fails_and_creates_none() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    let file = site.folder.path().join("copy.db");
    app::runtime().block_on(async {
        let (made, said) = backup(&site, &file).await;
        assert!(!made && said.contains("there is no database"), "{said}");
    });
    assert!(!file.exists() && !site.sqlite_path().exists());
}

/// Runs the commands of docs/operations.md as they are there, with another folder.
#[test]
fn the_documented_commands_back_up_postgres_and_restore_it_as_a_superuser() {
    let Some(cluster) = Cluster::own("postgres") else { return };
    cluster.run("CREATE ROLE legwork LOGIN");
    cluster.run("CREATE DATABASE legwork OWNER legwork");
    let site = Site::on_postgres(cluster.url_as("legwork", "legwork"));
    legwork::server::opening::prepare_schema(&site.config(&[]), true).expect("migrated by the service's own role");
    site.account("admin@clinic.example", Role::Admin);
    site.account("desk@clinic.example", Role::FrontDesk);
    let folder = tempfile::tempdir().expect("a folder");
    let run = |program: &str| {
        let page = include_str!("../../docs/operations.md");
        let line = page.lines().find_map(|line| line.strip_prefix("$ ").filter(|line| line.contains(program)));
        let line = line.expect("the command").replace("/backups", &folder.path().display().to_string());
        let path = format!("{}:{}", cluster.programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = std::process::Command::new("sh");
        shell
            .arg("-c")
            .arg(&line)
            .env("PATH", path)
            .env("DATABASE_URL", &site.database_url)
            .envs(cluster.environment());
        let output = shell.output().expect("a shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let load = prepare(&server).await;
        let go = Arc::new(AtomicBool::new(false));
        let (before, ()) = tokio::join!(load.run(&server.base, &go), async {
            load.until_booked(25).await;
            go.store(true, Ordering::Relaxed);
        });
        assert!(!before.booked.is_empty());
        run("pg_dump");
        server.kill9();
        cluster.run("DROP DATABASE legwork WITH (FORCE)");
        run("pg_restore");
        let server = Process::start(&site, &[]).await;
        check(&site, &server, &before.booked).await;
        // The restored tables belong to the service's role, which can change the schema.
        let desk = server.anon().sign_in("desk@clinic.example", PASSWORD).await;
        let path = format!("/v1/patients/{}", load.patients[0]);
        desk.patch(&path, "*", json!({"phone": "+12025550177"})).await.expect(200);
        let owners = "SELECT tableowner::text AS line FROM pg_tables WHERE schemaname = 'public' GROUP BY 1";
        assert_eq!(ask(&mut site.connect(), owners), ["legwork"]);
    });
}

#[test]
fn on_postgres_the_backup_command_names_pg_dump() {
    let Some(site) = Site::new(Engine::Postgres) else { return };
    let file = site.folder.path().join("copy");
    app::runtime().block_on(async {
        let (made, said) = backup(&site, &file).await;
        assert!(!made && said.contains("pg_dump --format=custom") && said.contains("DATA_KEYS"), "{said}");
    });
    assert!(!file.exists());
}
