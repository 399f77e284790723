//! The measured programs, each in its own process.

use std::fs::{self, File};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::Tally;
use crate::table::Measured;
use crate::{Outcome, least};

/// The secrets of the measured servers. On PostgreSQL they are settings, because the service has no file for them there.
pub const SECRETS: [(&str, &str); 2] = [
    ("JWT_SECRET", "bench:n3Z6vRk0mS8b1Jq7wYt5Xc2Pd9Lf4Hg6Aa8Ee0Uu2Ii="),
    ("DATA_KEYS", "bench:Dpchk3omiKfQWmI0RczF5qSuw9Re3xDkm0Z/LpN9dAM="),
];

/// A running program, which ends when this is dropped.
pub struct Child {
    process: std::process::Child,
    pub address: SocketAddr,
    pub base: String,
    database: PathBuf,
    log: PathBuf,
}

impl Child {
    /// `legwork serve` on the database in `folder`, with its default settings except these, and without rate
    /// limits.
    pub async fn server(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_legwork"));
        command
            .arg("serve")
            .args(arguments)
            .env_clear()
            .current_dir(folder)
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("PUBLIC_URL", "http://127.0.0.1")
            .env("RATE_LIMITS", "off")
            .env("REQUIRE_TOTP", "off")
            .envs(SECRETS)
            .envs(settings.iter().copied());
        Self::start(command, folder.join("data/legwork.db"), folder.join("server.log")).await
    }

    /// The minimal program that runs the same SQL, on its own copy of the database.
    pub async fn least(folder: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(least::ARGUMENT).arg(folder);
        Self::start(command, folder.join(least::DATABASE), folder.join("least.log")).await
    }

    async fn start(mut command: Command, database: PathBuf, log: PathBuf) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut child = Self { process: command.spawn()?, address, base: String::new(), database, log };
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            let text = child.log()?;
            if let Some(address) = text.lines().find_map(listening) {
                child.address = address.parse()?;
                child.base = format!("http://{address}");
                return Ok(child);
            }
            if child.process.try_wait()?.is_some() || Instant::now() > patience {
                return Err(format!("a program did not start:\n{text}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its log so far.
    pub fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// The file of its database.
    pub fn database(&self) -> PathBuf {
        self.database.clone()
    }

    /// Shuts it down, so that its database is one file.
    pub fn stop(mut self) -> Outcome<()> {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        let patience = Instant::now() + Duration::from_secs(20);
        while self.process.try_wait()?.is_none() {
            if Instant::now() > patience {
                return Err("the server does not stop".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Runs a load against it, once it is idle.
    pub async fn measure(&self, load: impl Future<Output = Outcome<Tally>>) -> Outcome<Measured> {
        let patience = Instant::now() + Duration::from_mins(1);
        let mut before = self.cpu()?;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = self.cpu()?;
            if now - before < 0.02 || Instant::now() > patience {
                before = now;
                break;
            }
            before = now;
        }
        let tally = load.await?;
        Ok(Measured::new(&tally, self.cpu()? - before))
    }

    /// Seconds of processor time so far, of all its threads, including the kernel's.
    fn cpu(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The fields 14 and 15 are utime and stime.
        ticks(&stat, &[14, 15]).map(|ticks| ticks / 100.0).ok_or_else(|| "no CPU time".into())
    }

    /// Its memory.
    pub fn memory(&self) -> Outcome<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let figure = |name: &str| -> Outcome<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
            let kib: f64 = line.trim_start_matches(':').split_whitespace().next().ok_or("no figure")?.parse()?;
            Ok(kib / 1024.0)
        };
        Ok(Memory { resident: figure("VmRSS")?, peak: figure("VmHWM")?, own: figure("RssAnon")? })
    }
}

/// The sum of some fields of `/proc/PID/stat`, numbered as in `man proc_pid_stat`. Linux counts hundredths of a second on all platforms.
pub fn ticks(stat: &str, fields: &[usize]) -> Option<f64> {
    // What comes before the parenthesis is the program's name; then come the state as field 3, and numbers.
    let values: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    fields.iter().map(|field| values.get(field - 3)?.parse::<f64>().ok()).sum()
}

/// The listening address in a log line, in text or JSON.
fn listening(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?;
    rest.split([' ', '"']).next().filter(|_| line.contains("listening"))
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Memory in MiB.
pub struct Memory {
    /// Resident memory.
    pub resident: f64,
    /// Peak resident memory.
    pub peak: f64,
    /// Private memory, without pages of files such as the program itself.
    pub own: f64,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} MiB resident ({:.0} without mapped files, peak {:.0})", self.resident, self.own, self.peak)
    }
}
