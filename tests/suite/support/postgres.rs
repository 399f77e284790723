//! A PostgreSQL server for the tests, started once per process on a free port, in a temporary folder.
//!
//! A small shell waits for its standard input to close, which the operating system does however
//! the test process ends; then it stops the server and removes its files.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use legwork::db::{self, Conn, Target};

use super::print_uncaptured;
use super::site::{Engine, Site};

/// The running server.
pub struct Cluster {
    pub(super) port: u16,
    /// The folder of its programs, including `pg_dump`.
    pub programs: PathBuf,
    /// The superuser's name.
    superuser: &'static str,
    data: PathBuf,
    pub(super) owner: Owner,
    numbers: AtomicU32,
    /// The connection that creates and drops databases.
    admin: Mutex<Conn>,
    template: OnceLock<()>,
}

const TEMPLATE: &str = "legwork_template";

impl Cluster {
    /// The server of this process. Prints a message and returns `None` if PostgreSQL is not installed.
    ///
    /// # Panics
    /// If `REQUIRE_POSTGRES` is set and PostgreSQL is not installed.
    pub fn get() -> Option<&'static Self> {
        static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| {
            let Some(programs) = find_programs() else {
                print_uncaptured("\n==> NO POSTGRESQL: its server programs (initdb, pg_ctl) were not found, ALL ITS TESTS ARE SKIPPED.\n");
                return None;
            };
            Some(start(&programs, "legwork").unwrap_or_else(|error| panic!("PostgreSQL does not start: {error}")))
        });
        if cluster.is_none() {
            let required = std::env::var_os("REQUIRE_POSTGRES").is_some_and(|value| !value.is_empty() && value != "0");
            assert!(!required, "REQUIRE_POSTGRES is set, but PostgreSQL's server programs were not found");
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            print_uncaptured(&format!("==> SKIPPED for want of PostgreSQL: {test}"));
        }
        cluster.as_ref()
    }

    /// A server for one test, to freeze, break or restore, with a superuser of this name. `None` as for [`Cluster::get`].
    pub fn own(superuser: &'static str) -> Option<Own> {
        let programs = Self::get()?.programs.clone();
        Some(Own(start(&programs, superuser).unwrap_or_else(|error| panic!("PostgreSQL does not start: {error}"))))
    }

    fn connect(
        owner: Owner,
        programs: PathBuf,
        superuser: &'static str,
        data: PathBuf,
        port: u16,
    ) -> Result<Self, String> {
        let admin = db::connect(&Target::Postgres(format!("postgres://{superuser}@127.0.0.1:{port}/postgres")))?;
        Ok(Self {
            port,
            programs,
            superuser,
            data,
            owner,
            numbers: AtomicU32::new(0),
            admin: Mutex::new(admin),
            template: OnceLock::new(),
        })
    }

    pub fn url(&self, database: &str) -> String {
        self.url_as(self.superuser, database)
    }

    /// The URL of whichever of two servers accepts writes.
    pub fn url_of_either(&self, other: &Self, database: &str) -> String {
        let (user, one, two) = (self.superuser, self.port, other.port);
        format!("postgres://{user}@127.0.0.1:{one},127.0.0.1:{two}/{database}?target_session_attrs=read-write")
    }

    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The environment variables for libpq's programs to connect as the superuser.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [("PGHOST", "127.0.0.1".to_owned()), ("PGPORT", self.port.to_string()), ("PGUSER", self.superuser.to_owned())]
    }

    pub fn create_empty(&self) -> String {
        let name = format!("test_{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name}"));
        name
    }

    /// A copy of the migrated template, which the first call creates.
    pub fn create_migrated(&self) -> String {
        self.template.get_or_init(|| {
            self.run(&format!("CREATE DATABASE {TEMPLATE}"));
            let mut conn = db::connect(&Target::Postgres(self.url(TEMPLATE))).expect("connect to the template");
            db::migrate::run(&mut conn).expect("migrate the template");
        });
        let name = format!("test_{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        // Since version 15 the copy is written through the log, without a checkpoint, by default.
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"));
        name
    }

    pub fn drop_database(&self, name: &str) {
        self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    /// Runs a statement outside the tests' databases.
    pub fn run(&self, sql: &str) {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = admin.batch_execute(sql) {
            // During a panic, a second one would hide the first.
            assert!(std::thread::panicking(), "{sql}: {error}");
        }
    }
}

/// A cluster that ends with its test.
pub struct Own(Cluster);

impl std::ops::Deref for Own {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

impl Own {
    /// Stops every process of the server (SIGSTOP). The kernel still acknowledges what is sent to them.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Resumes the processes.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let Some(pid) = pid.lines().next().map(ToOwned::to_owned) else { return };
        // The parent first, so that it starts no more children.
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output().expect("ps").stdout;
        let children = String::from_utf8(children).expect("numbers");
        let pids = std::iter::once(pid.as_str()).chain(children.split_whitespace());
        let _ = Command::new("kill").arg(signal).args(pids).stderr(Stdio::null()).status();
    }

    /// Shuts the server down, as for a restart.
    pub fn stop(&self) {
        let stop =
            ["-D".as_ref(), self.data.as_os_str(), "-m".as_ref(), "fast".as_ref(), "-w".as_ref(), "stop".as_ref()];
        run(self.owner.command(&self.programs, "pg_ctl").args(stop)).expect("PostgreSQL stops");
    }

    /// Kills every process of the server, like a power failure.
    pub fn kill9(&self) {
        self.signal("-KILL");
    }

    /// A standby that follows this server. From now on, a commit in this database waits until the standby has it.
    pub fn synchronous_standby(&self, database: &str) -> Self {
        let (folder, data) = new_folder(&self.owner, &self.programs).expect("a folder");
        let from = [
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            self.superuser,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-D",
        ];
        run(self.owner.command(&self.programs, "pg_basebackup").args(from).arg(&data)).expect("a copy");
        let port = start_on_free_port(&self.owner, &self.programs, &folder, &data).expect("the standby starts");
        // This overrides the command line of the server.
        self.run(&format!("ALTER DATABASE {database} SET synchronous_commit = on"));
        self.run("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.run("SELECT pg_reload_conf()");
        self.wait_for_synchronous_standby();
        let standby = Cluster::connect(self.owner.clone(), self.programs.clone(), self.superuser, data, port);
        Self(standby.expect("a connection to the standby"))
    }

    /// Asks in a statement of its own each time: a session reads changed settings only between two statements.
    fn wait_for_synchronous_standby(&self) {
        use diesel::prelude::*;
        let until = Instant::now() + Duration::from_mins(1);
        let synchronous = "EXISTS (SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync')";
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_there =
            || diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(synchronous)).get_result::<bool>(&mut *admin);
        while !is_there().expect("the state of the replication") {
            assert!(Instant::now() < until, "no synchronous standby after a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        let promote = ["-D".as_ref(), self.data.as_os_str(), "-w".as_ref(), "promote".as_ref()];
        run(self.owner.command(&self.programs, "pg_ctl").args(promote)).expect("the standby is promoted");
    }

    /// Starts it again with the same settings.
    pub fn start_again(&self) {
        run(&mut start_command(&self.owner, &self.programs, &self.data, self.port)).expect("PostgreSQL starts again");
    }

    /// The path of a table's first file.
    pub fn file_of(&self, database: &str, table: &str) -> PathBuf {
        use diesel::prelude::*;
        let mut conn = db::connect(&Target::Postgres(self.url(database))).expect("a connection");
        let path = diesel::dsl::sql::<diesel::sql_types::Text>(&format!("pg_relation_filepath('{table}')"));
        self.data.join(diesel::select(path).get_result::<String>(&mut conn).expect("a path"))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.resume();
        let stop = ["-D".as_ref(), self.data.as_os_str(), "-m".as_ref(), "immediate".as_ref(), "stop".as_ref()];
        let _ = run(self.owner.command(&self.programs, "pg_ctl").args(stop));
    }
}

/// The folder that holds the server programs.
fn find_programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for parent in ["/usr/lib/postgresql", "/usr", "/usr/local", "/opt/homebrew/opt", "/usr/local/opt"] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let mut versions: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                parent == "/usr/lib/postgresql" || name.starts_with("pgsql") || name.starts_with("postgresql")
            })
            .collect();
        versions.sort();
        folders.extend(versions.into_iter().rev().map(|version| version.join("bin")));
    }
    folders.into_iter().find_map(|folder| {
        // PATH may have only a link: the other programs are next to its target.
        let folder = folder.join("initdb").canonicalize().ok()?.parent()?.to_owned();
        ["pg_ctl", "postgres"].iter().all(|program| folder.join(program).exists()).then_some(folder)
    })
}

/// The user that the server runs as: it refuses to run as root.
#[derive(Clone)]
pub(super) struct Owner {
    /// The prefix of a command that changes the user; empty if the current user can run it.
    prefix: Vec<String>,
    /// The user and group ids that own the folder.
    ids: Option<(u32, u32)>,
}

impl Owner {
    /// A server program that runs as this user.
    pub(super) fn command(&self, programs: &Path, program: &str) -> Command {
        let program = programs.join(program);
        let mut command = match self.prefix.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        // The user may not have access to the current folder.
        command.current_dir("/").env_remove("PGDATA").env_remove("PGPORT");
        command
    }
}

fn id(flag: &str, user: &[&str]) -> Option<u32> {
    let output = Command::new("id").arg(flag).args(user).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn owner() -> Result<Owner, String> {
    if id("-u", &[]) != Some(0) {
        return Ok(Owner { prefix: Vec::new(), ids: None });
    }
    let (uid, gid) = ["postgres", "nobody"]
        .iter()
        .find_map(|user| Some((id("-u", &[user])?, id("-g", &[user])?)))
        .ok_or("root has no other user to run PostgreSQL as")?;
    let prefix = ["setpriv", &format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"];
    Ok(Owner { prefix: prefix.map(str::to_owned).to_vec(), ids: Some((uid, gid)) })
}

/// Starts the server of a folder on a port.
fn start_command(owner: &Owner, programs: &Path, data: &Path, port: u16) -> Command {
    let options = format!(
        "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c fsync=off \
         -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=64MB -c autovacuum=off"
    );
    let mut command = owner.command(programs, "pg_ctl");
    command.arg("-D").arg(data).arg("-l").arg(data.with_file_name("log")).args(["-w", "-t", "60", "-o"]);
    command.arg(options).arg("start");
    command
}

/// A folder that the server's user owns, and the path of the data in it. Both are removed when this process ends.
fn new_folder(owner: &Owner, programs: &Path) -> Result<(PathBuf, PathBuf), String> {
    let folder = tempfile::Builder::new()
        .prefix("legwork-postgres-")
        .tempdir()
        .map_err(|error| format!("make a folder: {error}"))?
        .keep();
    if let Some((uid, gid)) = owner.ids {
        std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).map_err(|error| format!("chown: {error}"))?;
    }
    let data = folder.join("data");
    let stop = [owner.prefix.join(" "), format!("'{}/pg_ctl'", programs.display())].join(" ");
    keep_watch(&format!("{stop} -D '{}' -m immediate stop; rm -rf '{}'", data.display(), folder.display()));
    Ok((folder, data))
}

fn start(programs: &Path, superuser: &'static str) -> Result<Cluster, String> {
    let owner = owner()?;
    let (folder, data) = new_folder(&owner, programs)?;
    run(owner.command(programs, "initdb").arg("-D").arg(&data).args([
        "-U",
        superuser,
        "--auth=trust",
        "--no-locale",
        "--encoding=UTF8",
        "--no-sync",
    ]))?;
    let port = start_on_free_port(&owner, programs, &folder, &data)?;
    Cluster::connect(owner, programs.to_owned(), superuser, data, port)
}

fn start_on_free_port(owner: &Owner, programs: &Path, folder: &Path, data: &Path) -> Result<u16, String> {
    let mut tries = 0;
    loop {
        let port = free_port()?;
        tries += 1;
        match run(&mut start_command(owner, programs, data, port)) {
            Ok(()) => return Ok(port),
            // Another process may have taken the port in between.
            Err(_) if tries < 3 => {}
            Err(error) => {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(format!("{error}\n{log}"));
            }
        }
    }
}

pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// Runs a command to its end. Its output goes to a file, because the server that `pg_ctl` starts would hold a pipe open.
fn run(command: &mut Command) -> Result<(), String> {
    let output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let handle = || output.try_clone().map_err(|error| error.to_string());
    command.stdin(Stdio::null()).stdout(handle()?).stderr(handle()?);
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    let mut output = output;
    let _ = std::io::Seek::rewind(&mut output);
    let _ = std::io::Read::read_to_string(&mut output, &mut text);
    Err(format!("{command:?}: {status}\n{text}"))
}

/// Runs the shell commands when this process ends, however it ends.
fn keep_watch(commands: &str) {
    static WATCHERS: Mutex<Vec<Child>> = Mutex::new(Vec::new());
    let child = Command::new("sh")
        .arg("-c")
        .arg(format!("cat >/dev/null; {commands}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        // Not interrupted by Ctrl-C.
        .process_group(0)
        .spawn()
        .expect("a shell");
    WATCHERS.lock().unwrap_or_else(PoisonError::into_inner).push(child);
}

/// Removes a file or folder when this process ends.
pub fn remove_at_end(path: &Path) {
    keep_watch(&format!("rm -rf '{0}' '{0}-wal' '{0}-shm'", path.display()));
}
