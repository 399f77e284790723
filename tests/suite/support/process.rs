//! The program as a process, for tests that kill it or fill its disk.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use legwork::clock::Clock;
use tempfile::NamedTempFile;

use super::app::http_client;
use super::site::{DATA_KEYS, JWT_SECRET, Site};
use super::{Client, Engine};

/// A command of the program with a site's settings and without the machine's environment.
pub fn command(site: &Site) -> Command {
    equipped(Command::new(env!("CARGO_BIN_EXE_legwork")), site)
}

/// Adds the settings of a site to a command.
fn equipped(mut command: Command, site: &Site) -> Command {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .current_dir(site.mail_dir().parent().expect("a folder"))
        .env("DATABASE_URL", &site.database_url)
        .env("DATABASE_CONNECTIONS", "8")
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .env("PUBLIC_URL", "https://legwork.example")
        .env("JWT_SECRET", JWT_SECRET)
        .env("DATA_KEYS", DATA_KEYS)
        .env("MAIL_DIR", site.mail_dir())
        .env("RATE_LIMITS", "off")
        .env("SLOT_HORIZON_DAYS", "90")
        .env("MAX_CONNECTIONS_PER_CLIENT", "512")
        .env("REQUIRE_TOTP", "off")
        .env("SHUTDOWN_DELAY_SECONDS", "0")
        .env("RUST_LOG", "info")
        .stdin(Stdio::null());
    command
}

/// `legwork serve`, running.
pub struct Process {
    pub child: Child,
    pub base: String,
    log: NamedTempFile,
}

impl Process {
    /// Starts the server and waits until it is ready. Several can run on one site.
    pub async fn start(site: &Site, extra: &[(&str, &str)]) -> Self {
        Self::start_with(Command::new(env!("CARGO_BIN_EXE_legwork")), site, extra).await
    }

    /// The same with a command that starts the program.
    pub async fn start_with(program: Command, site: &Site, extra: &[(&str, &str)]) -> Self {
        let process = Self::listening(program, site, &["serve"], extra).await;
        process.unwrap_or_else(|error| panic!("{error}")).ready().await
    }

    /// Starts the demo and waits until it is ready.
    pub async fn start_demo(site: &Site) -> Self {
        let process =
            Self::listening(Command::new(env!("CARGO_BIN_EXE_legwork")), site, &["serve", "--demo"], &[]).await;
        process.unwrap_or_else(|error| panic!("{error}")).ready().await
    }

    /// Starts the server and waits until it listens, ready or not. Fails with the exit status and the output.
    pub async fn try_start(site: &Site) -> Result<Self, String> {
        Self::listening(Command::new(env!("CARGO_BIN_EXE_legwork")), site, &["serve"], &[]).await
    }

    async fn listening(
        program: Command,
        site: &Site,
        arguments: &[&str],
        extra: &[(&str, &str)],
    ) -> Result<Self, String> {
        // Not in the site's folder: its disk may be full.
        let log = tempfile::Builder::new().prefix("legwork-test-log-").tempfile().expect("a log");
        let child = equipped(program, site)
            .args(arguments)
            .envs(extra.iter().copied())
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("the log"))
            .spawn()
            .expect("start the program");
        let mut process = Self { child, base: String::new(), log };
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = process.child.try_wait().expect("a state") {
                return Err(format!("the program ended with {status}:\n{}", process.log()));
            }
            if let Some(address) = process.address() {
                process.base = format!("http://{address}");
                return Ok(process);
            }
            assert!(Instant::now() < patience, "the program does not listen:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it is ready.
    async fn ready(mut self) -> Self {
        let patience = Instant::now() + Duration::from_secs(30);
        let http = http_client();
        let path = format!("{}/health/ready", self.base);
        while !http.get(&path).send().await.is_ok_and(|reply| reply.status().is_success()) {
            if let Some(status) = self.child.try_wait().expect("a state") {
                panic!("the program ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < patience, "the program is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self
    }

    /// The listening address from the log, in either format.
    fn address(&self) -> Option<String> {
        let file = fs::File::open(self.log.path()).ok()?;
        BufReader::new(file).lines().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?;
            let address = rest.split([' ', '"']).next()?;
            line.contains("listening").then(|| address.to_owned())
        })
    }

    /// The base URL of the address set with `HEALTH_ADDR`.
    pub fn probes(&self) -> String {
        let log = self.log();
        let (_, rest) = log.split_once(" probes=").expect("the log names the address");
        format!("http://{}", rest.split_whitespace().next().expect("an address"))
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// A client that is not signed in.
    pub fn anon(&self) -> Client {
        Client::new(http_client(), self.base.clone(), Clock::System)
    }

    /// A client for the address set with `HEALTH_ADDR`.
    pub fn prober(&self) -> Client {
        Client::new(http_client(), self.probes(), Clock::System)
    }

    /// Kills it, like a power failure.
    pub fn kill9(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends SIGTERM, like a service manager.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Waits for its end; `None` if it still runs.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            match self.child.try_wait().expect("a state") {
                Some(status) => return Some(status),
                None if Instant::now() > until => return None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
