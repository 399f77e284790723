//! `legwork doctor`: what it reports of a sound installation, and of broken ones.

use std::collections::BTreeMap;
use std::fs;

use diesel::connection::SimpleConnection;
use serde_json::Value;

use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{Engine, app};

/// The worst finding of each check (`ok`, `warning` or `failure`, with its text), and whether the command succeeded.
fn examine(site: &Site, extra: &[(&str, &str)]) -> (BTreeMap<String, (String, String)>, bool) {
    let mut command = command(site);
    let output = command.envs(extra.iter().copied()).args(["doctor", "--json"]).output().expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let mut worst = BTreeMap::new();
    for finding in &findings {
        let text = |member: &str| finding[member].as_str().expect("a text").to_owned();
        let found = (text("severity"), text("detail"));
        worst
            .entry(text("check"))
            .and_modify(|worst: &mut (String, String)| {
                if rank(&found.0) > rank(&worst.0) {
                    *worst = found.clone();
                }
            })
            .or_insert_with(|| found.clone());
    }
    let failed = worst.values().any(|(severity, _)| severity == "failure");
    assert_eq!(failed, !output.status.success(), "the exit status says otherwise: {worst:?}");
    (worst, !failed)
}

fn rank(severity: &str) -> usize {
    ["ok", "warning", "failure"].iter().position(|known| *known == severity).expect("a severity")
}

/// A demo that was served and has stopped: people, appointments, mails and audit events.
async fn demo(engine: Engine) -> Option<Site> {
    let site = Site::without_schema(engine)?;
    let mut server = Process::start_demo(&site).await;
    let admin = server.anon().sign_in("admin@demo.legwork.example", "restful-nights-demo").await;
    assert!(!admin.get("/v1/appointments").await.expect(200).items().is_empty(), "the demo has appointments");
    crate::support::eventually(async || match admin.get("/v1/messages?status=pending").await {
        reply if reply.items().is_empty() => Ok(()),
        reply => Err(reply.text),
    })
    .await;
    server.terminate();
    assert!(server.wait(std::time::Duration::from_secs(20)).is_some_and(|status| status.success()), "{}", server.log());
    Some(site)
}

fn severity<'a>(findings: &'a BTreeMap<String, (String, String)>, check: &str) -> &'a str {
    findings.get(check).map_or("(missing)", |(severity, _)| severity)
}

fn finds_what_is_wrong(engine: Engine) {
    app::runtime().block_on(async {
        let Some(site) = demo(engine).await else { return };
        let (findings, sound) = examine(&site, &[]);
        assert!(sound, "{findings:?}");
        for check in ["build", "schema", "keys", "bookings", "records", "mails", "audit"] {
            assert_eq!(severity(&findings, check), "ok", "{check}: {findings:?}");
        }
        let engines_own: &[&str] = if engine == Engine::Sqlite { &["disk", "integrity"] } else { &["clock"] };
        for check in engines_own {
            assert_ne!(severity(&findings, check), "(missing)", "{check}: {findings:?}");
        }
        // Published passwords, and the settings of a test.
        assert_eq!((severity(&findings, "demo"), severity(&findings, "settings")), ("warning", "warning"));

        let (findings, _) = examine(&site, &[("DATA_KEYS", "other:Zr0yGmUHq3mmOTFSCYI2j3Z4nU8vOwmQ5C1Yh6b3p1o=")]);
        assert_eq!(severity(&findings, "keys"), "failure", "{findings:?}");

        let (hour_ago, now) = match engine {
            Engine::Sqlite => ("CAST(unixepoch() - 3600 AS INTEGER) * 1000000", "unixepoch() * 1000000"),
            Engine::Postgres => ("now() - interval '1 hour'", "now()"),
        };
        let mut conn = site.connect();
        conn.batch_execute(&format!(
            "UPDATE messages SET status = 'pending', sent_at = NULL, due_at = {hour_ago}
                 WHERE id = (SELECT id FROM messages WHERE status = 'sent' ORDER BY id LIMIT 1);
             UPDATE slots SET appointment_id = NULL WHERE appointment_id = (SELECT id FROM appointments
                 WHERE status = 'booked' AND starts_at > {now} ORDER BY id LIMIT 1)"
        ))
        .expect("changed behind the service's back");
        drop(conn);
        let (findings, _) = examine(&site, &[]);
        assert!(findings["mails"].1.contains("due for 60 minutes"), "{findings:?}");
        assert!(findings["bookings"].1.contains("1 upcoming appointments"), "{findings:?}");
        assert_eq!((severity(&findings, "mails"), severity(&findings, "bookings")), ("failure", "failure"));
    });
}

#[test]
fn a_sound_demo_has_no_failure_and_each_contradiction_is_found_on_sqlite() {
    finds_what_is_wrong(Engine::Sqlite);
}

#[test]
fn a_sound_demo_has_no_failure_and_each_contradiction_is_found_on_postgres() {
    finds_what_is_wrong(Engine::Postgres);
}

#[test]
fn a_missing_or_damaged_file_is_reported_and_nothing_is_created() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    let files = || fs::read_dir(site.folder.path()).expect("a folder").count();
    let before = files();
    let (findings, _) = examine(&site, &[]);
    assert_eq!(severity(&findings, "database"), "failure", "{findings:?}");
    assert_eq!(files(), before);
    fs::write(site.sqlite_path(), b"just a text ".repeat(1000)).expect("written");
    let (findings, _) = examine(&site, &[]);
    assert_eq!(severity(&findings, "schema"), "failure", "{findings:?}");
}

#[cfg(unix)]
#[test]
fn a_key_file_that_other_accounts_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let keys = site.sqlite_path().with_file_name("data-keys");
    fs::write(&keys, "k1:only the mode counts").expect("written");
    for (mode, expected) in [(0o644, "warning"), (0o640, "warning"), (0o600, "(missing)")] {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).expect("permissions");
        let (findings, _) = examine(&site, &[]);
        assert_eq!(severity(&findings, "key-files"), expected, "{findings:?}");
    }
}

#[test]
fn settings_that_suit_production_have_no_warning() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let production = [
        ("BEHIND_PROXY", "127.0.0.1"),
        ("SMTP_URL", "smtps://mail.clinic.example"),
        ("MAIL_FROM", "clinic@clinic.example"),
        ("REQUIRE_TOTP", "staff"),
        ("RATE_LIMITS", "read=600/1m"),
        ("HEALTH_ADDR", "127.0.0.1:8081"),
    ];
    let (findings, sound) = examine(&site, &production);
    assert!(sound && severity(&findings, "settings") == "ok", "{findings:?}");
    let (findings, _) = examine(&site, &[("PUBLIC_URL", "http://legwork.example")]);
    assert_eq!(severity(&findings, "settings"), "warning", "{findings:?}");
}
