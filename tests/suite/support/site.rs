//! A database and a folder for one test: on SQLite a copy of a migrated file, on PostgreSQL of a migrated database.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use argon2::Params;
use clap::{Command, FromArgMatches};
use legwork::accounts::passwords::hashing::REQUIRED;
use legwork::actor::Role;
use legwork::clock::{Clock, Entropy};
use legwork::config::{Config, Settings};
use legwork::db::{self, Conn, Target};
use legwork::server;
use tempfile::TempDir;

use super::disk::Disk;
use super::people::{insert_account, password_hash};
use super::postgres::Cluster;

/// The two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// 32 characters and 32 bytes for tests only.
pub const JWT_SECRET: &str = "test:the-secret-of-the-tests-is-no-secret";
pub const DATA_KEYS: &str = "test:Dpchk3omiKfQWmI0RczF5qSuw9Re3xDkm0Z/LpN9dAM=";

/// The least that argon2 takes. Hashes as strong as required took a sixth of the suite's time.
fn cheap_params() -> Params {
    Params::new(Params::MIN_M_COST, Params::MIN_T_COST, 1, None).expect("parameters")
}

/// One test's own database, mail folder and secrets; gone when dropped.
pub struct Site {
    pub engine: Engine,
    pub database_url: String,
    pub folder: TempDir,
    /// What the hash of a password costs on the test's own server. Cheap, except in tests of that cost.
    pub password_params: Params,
    /// The database to drop in the end.
    database: Option<(&'static Cluster, String)>,
}

impl Site {
    /// A site with the current schema. Prints a message and returns `None` if PostgreSQL is not installed.
    pub fn new(engine: Engine) -> Option<Self> {
        let site = Self::empty(engine, true)?;
        if engine == Engine::Sqlite {
            fs::copy(sqlite_template(), site.sqlite_path()).expect("copy the migrated file");
        }
        Some(site)
    }

    /// A site whose database is empty.
    pub fn without_schema(engine: Engine) -> Option<Self> {
        Self::empty(engine, false)
    }

    /// A site on a PostgreSQL database of the test.
    pub fn on_postgres(database_url: String) -> Self {
        let folder = tempfile::Builder::new().prefix("legwork-test-").tempdir().expect("a temporary folder");
        Self { engine: Engine::Postgres, database_url, folder, password_params: cheap_params(), database: None }
    }

    fn empty(engine: Engine, migrated: bool) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("legwork-test-").tempdir().expect("a temporary folder");
        match engine {
            Engine::Sqlite => {
                let database_url = format!("sqlite:{}", folder.path().join("legwork.db").display());
                Some(Self { engine, database_url, folder, password_params: cheap_params(), database: None })
            }
            Engine::Postgres => {
                let cluster = Cluster::get()?;
                let name = if migrated { cluster.create_migrated() } else { cluster.create_empty() };
                let database_url = cluster.url(&name);
                Some(Self {
                    engine,
                    database_url,
                    folder,
                    password_params: cheap_params(),
                    database: Some((cluster, name)),
                })
            }
        }
    }

    /// A migrated SQLite file with an administrator's account on a disk of its own; mails go elsewhere.
    pub fn sqlite_on(disk: &Disk) -> Self {
        let mut site = Self::new(Engine::Sqlite).expect("SQLite is always there");
        site.account("admin@clinic.example", Role::Admin);
        let (from, to) = (site.sqlite_path(), disk.path().join("legwork.db"));
        assert!(disk.shell(&format!("cp '{}' '{}'", from.display(), to.display())), "copy the file to the disk");
        site.database_url = format!("sqlite:{}", to.display());
        site
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> Conn {
        db::connect(&Target::parse(&self.database_url).expect("a target")).expect("a connection")
    }

    /// Creates a verified account with [`super::people::PASSWORD`], for tests that run the program as a process.
    pub fn account(&self, email: &str, role: Role) {
        let (clock, entropy) = (Clock::System, Entropy::system());
        let id = entropy.uuid(clock.now()).into();
        insert_account(&mut self.connect(), id, clock.now(), (email, password_hash(&REQUIRED)), role, None)
            .expect("an account");
    }

    /// The file of the SQLite database.
    pub fn sqlite_path(&self) -> PathBuf {
        self.folder.path().join("legwork.db")
    }

    pub fn mail_dir(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// The settings of a test's server; `extra` overrides them.
    pub fn config(&self, extra: &[&str]) -> Config {
        let mail_dir = self.mail_dir();
        let mut flags = vec![
            "--database-url",
            &self.database_url,
            "--database-connections",
            "8",
            "--listen-addr",
            "127.0.0.1:0",
            "--public-url",
            "https://legwork.example",
            "--jwt-secret",
            JWT_SECRET,
            "--data-keys",
            DATA_KEYS,
            "--mail-dir",
            mail_dir.to_str().expect("a path in UTF-8"),
            "--password-hashers",
            "2",
            // Tests of reminders turn them on.
            "--reminders",
            "off",
            // Half of the default: most tests set up a clinic, and publishing takes a part of their time.
            "--slot-horizon-days",
            "90",
            // Tests of rate limits set them.
            "--rate-limits",
            "off",
            // All clients of a test share one address, and some tests send hundreds of requests at once.
            "--max-connections-per-client",
            "512",
            // Staff accounts of tests sign in with the password alone.
            "--require-totp",
            "off",
            // No wait for idle connections at the end of a test.
            "--shutdown-seconds",
            "0",
            "--shutdown-delay-seconds",
            "0",
        ];
        flags.extend(extra);
        Config::new(settings(&flags), &Entropy::system()).expect("the settings of a test")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some((cluster, name)) = &self.database {
            cluster.drop_database(name);
        }
    }
}

/// Settings from flags alone, without the machine's environment.
pub fn settings(flags: &[&str]) -> Settings {
    let command = <Settings as clap::Args>::augment_args(Command::new("legwork").no_binary_name(true))
        .mut_args(|arg| arg.env(None::<&str>))
        .args_override_self(true);
    let matches = command.try_get_matches_from(flags).unwrap_or_else(|error| panic!("{error}"));
    Settings::from_arg_matches(&matches).expect("settings")
}

/// A migrated file, made once per process.
fn sqlite_template() -> PathBuf {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE
        .get_or_init(|| {
            let path = std::env::temp_dir().join(format!("legwork-test-template-{}.db", std::process::id()));
            let _ = fs::remove_file(&path);
            let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
            server::opening::prepare_schema(&site.config(&[]), true).expect("migrate the template");
            fs::rename(site.sqlite_path(), &path)
                .or_else(|_| fs::copy(site.sqlite_path(), &path).map(|_| ()))
                .expect("keep the template");
            super::postgres::remove_at_end(&path);
            path
        })
        .clone()
}
