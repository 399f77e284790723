//! Rows 21 to 23: the program does not start with unsafe settings.

use std::process::Output;

use diesel::prelude::*;
use legwork::db::schema::users;

use crate::support::process::{Process, command};
use crate::support::site::{DATA_KEYS, JWT_SECRET, Site};
use crate::support::{Engine, app};

fn site() -> Site {
    Site::new(Engine::Sqlite).expect("SQLite is always there")
}

/// Runs `serve` with other settings; it must fail with a message that contains this word.
#[track_caller]
fn refused(site: &Site, arguments: &[&str], settings: &[(&str, &str)], word: &str) {
    let output = command(site).arg("serve").args(arguments).envs(settings.iter().copied()).output();
    let Output { status, stderr, .. } = output.expect("run the program");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!status.success(), "it started with {arguments:?} {settings:?}:\n{said}");
    assert!(said.contains(word) && !said.contains("panicked"), "{settings:?} {arguments:?} said\n{said}");
    for (name, value) in settings.iter().filter(|(name, _)| ["JWT_SECRET", "DATA_KEYS"].contains(name)) {
        let secret = value.split_once(':').map_or("", |(_, secret)| secret);
        assert!(secret.len() < 4 || !said.contains(secret), "{name} is repeated:\n{said}");
    }
}

#[test]
fn row_22_a_public_address_requires_a_proxy_and_is_never_allowed_for_a_demo() {
    let site = site();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        refused(&site, &[], &[("LISTEN_ADDR", listen)], "--behind-proxy");
    }
    refused(&site, &["--demo"], &[("LISTEN_ADDR", "0.0.0.0:0"), ("BEHIND_PROXY", "10.0.0.1")], "--demo");
    for wrong in ["0.0.0.0/0", "proxy", "10.0.0.0/33"] {
        refused(&site, &[], &[("BEHIND_PROXY", wrong)], "BEHIND_PROXY");
    }
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("BEHIND_PROXY", "127.0.0.1,10.0.0.0/8")]).await;
        server.anon().get("/health/ready").await.expect(200);
    });
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[("BEHIND_PROXY", "10.0.0.0/8"), ("LISTEN_ADDR", "127.0.0.2:0")]).await;
        server.kill9();
    });
}

#[test]
fn row_22_a_public_url_without_tls_is_for_this_machine_only() {
    let site = site();
    for url in ["http://legwork.example", "http://192.0.2.7:8080", "http://localhost.example"] {
        refused(&site, &[], &[("PUBLIC_URL", url)], "PUBLIC_URL must be https");
    }
    let beyond =
        [("LISTEN_ADDR", "0.0.0.0:0"), ("BEHIND_PROXY", "10.0.0.0/8"), ("PUBLIC_URL", "http://localhost:8080")];
    refused(&site, &[], &beyond, "PUBLIC_URL must be https");
    app::runtime().block_on(async {
        for url in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080"] {
            let server = Process::start(&site, &[("PUBLIC_URL", url)]).await;
            server.anon().get("/health/ready").await.expect(200);
        }
    });
}

#[test]
fn row_23_missing_short_and_example_secrets_are_rejected() {
    let site = site();
    let long = |letter: &str| letter.repeat(44);
    for name in ["JWT_SECRET", "DATA_KEYS"] {
        for secret in [
            "",
            "k1",
            "k1:",
            "k1:short",
            &format!("k1:{}", long("a")),
            &format!("k1:{}", long("A")),
            "k1:change-me-change-me-change-me-change-me",
            "k1:0123456789012345678901234567890123456789",
            "k1:passwordpasswordpasswordpassword",
        ] {
            refused(&site, &[], &[(name, secret)], name);
        }
    }
    // One bad secret makes the whole list invalid.
    refused(&site, &[], &[("JWT_SECRET", &format!("{JWT_SECRET},old:short"))], "JWT_SECRET");
    refused(&site, &[], &[("DATA_KEYS", &format!("{DATA_KEYS},old:AAAA"))], "DATA_KEYS");
}

#[test]
fn row_23_the_settings_of_the_example_file_are_rejected() {
    let site = site();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).expect("the example");
    for name in ["JWT_SECRET", "DATA_KEYS"] {
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("#{name}=")));
        refused(&site, &[], &[(name, value.expect("the line"))], name);
    }
}

#[test]
fn row_23_on_postgres_every_instance_needs_the_same_secrets() {
    let Some(site) = Site::new(Engine::Postgres) else { return };
    for name in ["JWT_SECRET", "DATA_KEYS"] {
        let output = command(&site).arg("serve").env_remove(name).output().expect("run the program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(&format!("{name} must be set")), "{said}");
    }
}

#[test]
fn row_23_there_is_no_default_account() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(site) = Site::without_schema(engine) else { continue };
        app::runtime().block_on(async {
            let server = Process::start(&site, &[]).await;
            let accounts: i64 = users::table.count().get_result(&mut site.connect()).expect("a count");
            assert_eq!(accounts, 0);
            for (email, password) in
                [("admin@clinic.example", "admin"), ("admin@demo.legwork.example", "restful-nights-demo")]
            {
                let body = serde_json::json!({"email": email, "password": password});
                server.anon().post("/v1/sessions", body).await.problem(401, "invalid_credentials");
            }
        });
    }
}

fn a_demo_database_is_refused(engine: Engine) {
    let Some(site) = Site::without_schema(engine) else { return };
    app::runtime().block_on(async {
        Process::start_demo(&site).await;
    });
    refused(&site, &[], &[], "legwork serve --demo");
    refused(&site, &["--no-migrate"], &[], "passwords of its accounts are published");
    for arguments in [["create", "--email", "boss@clinic.example"], ["reset", "--email", "admin@demo.legwork.example"]]
    {
        let output = command(&site).arg("admin").args(arguments).output().expect("run the program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("is a demo"), "{arguments:?}: {said}");
    }
    app::runtime().block_on(async {
        Process::start_demo(&site).await;
    });
}

#[test]
fn row_23_a_demo_database_is_not_served_without_the_demo_flag_on_sqlite() {
    a_demo_database_is_refused(Engine::Sqlite);
}

#[test]
fn row_23_a_demo_database_is_not_served_without_the_demo_flag_on_postgres() {
    a_demo_database_is_refused(Engine::Postgres);
}

fn every_key_of_the_database_must_be_there(engine: Engine) {
    const NEXT: &str = "next:n3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ig=";
    const OTHER: &str = "next:q3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ig=";
    let Some(site) = Site::new(engine) else { return };
    let both = format!("{NEXT},{DATA_KEYS}");
    let start = |keys: &str| {
        app::runtime().block_on(async {
            Process::start(&site, &[("DATA_KEYS", keys)]).await;
        });
    };
    start(DATA_KEYS);
    // The key is required although nothing was sealed with it yet.
    refused(&site, &[], &[("DATA_KEYS", NEXT)], "test");
    start(&both);
    refused(&site, &[], &[("DATA_KEYS", DATA_KEYS)], "next");
    refused(&site, &[], &[("DATA_KEYS", NEXT)], "test");
    refused(&site, &[], &[("DATA_KEYS", &format!("{OTHER},{DATA_KEYS}"))], "another one with the same id");
    start(&format!("{DATA_KEYS},{NEXT}"));
    let mut conn = site.connect();
    assert_eq!(legwork::sealed::keys::ids(&mut conn).expect("ids"), ["next", "test"]);
    legwork::sealed::keys::forget(&mut conn, "next").expect("forgotten");
    drop(conn);
    start(DATA_KEYS);
}

#[test]
fn row_21_every_key_of_the_database_is_required_on_sqlite() {
    every_key_of_the_database_must_be_there(Engine::Sqlite);
}

#[test]
fn row_21_every_key_of_the_database_is_required_on_postgres() {
    every_key_of_the_database_must_be_there(Engine::Postgres);
}
