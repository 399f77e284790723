//! On PostgreSQL, the server beside pgbench on the same PostgreSQL: a search beside the plain range of an index, a booking beside
//! pgbench's transaction, which is like that of TPC-B.

use std::fs;
use std::path::Path;
use std::process::Command;

use tokio::time::{Duration, sleep};

use crate::child::ticks;
use crate::clinic::{self, Clinic};
use crate::database::{Database, psql};
use crate::table::{Measured, Table};
use crate::{BOOKERS, Outcome, SEARCHERS, SEARCHES, Scale, book, search};

/// The setting for the URL of a PostgreSQL server on this machine. Its role must be allowed to create databases.
pub const URL: &str = "RATIOS_POSTGRES_URL";
/// The databases that are created there, and removed afterwards.
const CLINIC: &str = "legwork_ratios";
const BESIDE: &str = "legwork_ratios_pgbench";
/// pgbench's number of branches.
const SCALE: &str = "64";

/// The range of the index `slots_free` that a search needs at least.
const RANGE: &str = "SELECT id, practitioner_id, location_id, starts_at, ends_at FROM slots
    WHERE appointment_id IS NULL AND blocked_reason IS NULL AND starts_at >= :from ORDER BY starts_at, id LIMIT :rows;";

/// Measures searches and bookings.
pub async fn compare(scale: &Scale, url: &str) -> Outcome<()> {
    remove(url)?;
    for name in [CLINIC, BESIDE] {
        psql(url, &format!("CREATE DATABASE {name}"))?;
    }
    let done = in_databases(scale, url).await;
    remove(url)?;
    done
}

fn remove(url: &str) -> Outcome<()> {
    for name in [CLINIC, BESIDE] {
        psql(url, &format!("DROP DATABASE IF EXISTS {name}"))?;
    }
    Ok(())
}

async fn in_databases(scale: &Scale, url: &str) -> Outcome<()> {
    let folder = tempfile::Builder::new().prefix("legwork-bench-").tempdir()?;
    let folder = folder.path();
    let of = |name: &str| -> Outcome<String> {
        let mut url = url::Url::parse(url)?;
        url.set_path(name);
        Ok(url.into())
    };
    let clinic = Clinic::build(folder, Database::Postgres(of(CLINIC)?), scale).await?;
    let (doctors, patients, slots) = (scale.practitioners, scale.patients, clinic.slots.len());
    println!("\nPostgreSQL: {doctors} practitioners, {patients} patients, {slots} free slots");
    let beside = Pgbench { folder, seconds: scale.part.as_secs().max(1).to_string(), engine: Engine::of(url)? };
    pgbench(&of(BESIDE)?, &["-i", "-q", "-s", SCALE])?;
    psql(&of(CLINIC)?, "VACUUM ANALYZE")?;
    let server = clinic.server(folder, &[]).await?;

    let title = |(rows, minutes)| {
        format!(
            "search for {rows} starts of {minutes} minutes, {} clients: server / plain range in pgbench",
            SEARCHERS.0
        )
    };
    let mut tables = SEARCHES.map(|kind| (kind, Table::new(title(kind), 0.5)));
    let mut costs = Costs::default();
    for _ in 0..scale.rounds {
        for ((rows, minutes), table) in &mut tables {
            let before = beside.engine.cpu()?;
            let served = search(&server, &clinic, scale, *rows, *minutes).await?;
            costs.add(
                &format!("search for {rows} starts of {minutes} minutes"),
                &served,
                beside.engine.cpu()? - before,
            );
            let plain = beside.range(&of(CLINIC)?, &clinic.from, *rows)?;
            table.add(&served, &plain);
        }
    }
    for (_, table) in tables {
        table.end();
    }

    let token = clinic::sign_in(&server.base).await?;
    let mut table = Table::new(format!("durable bookings, {BOOKERS} clients: server / tpcb-like in pgbench"), 0.8);
    let mut used = 0;
    for _ in 0..scale.rounds {
        let before = beside.engine.cpu()?;
        let served = book(&server, &clinic, scale, &token, used).await?;
        costs.add("booking", &served, beside.engine.cpu()? - before);
        used += served.count;
        table.add(&served, &beside.transactions(&of(BESIDE)?)?);
        // The checkpoints and the vacuum of one part shall not fall into the next.
        sleep(Duration::from_millis(500)).await;
    }
    table.end();
    clinic.database.check_bookings(&clinic.check, used)?;
    println!("the database holds exactly the bookings that were acknowledged");
    costs.print();
    server.stop()
}

/// The processor time of the two programs that serve a request.
#[derive(Default)]
struct Costs(Vec<(String, f64, f64, usize)>);

impl Costs {
    fn add(&mut self, name: &str, served: &Measured, engine: f64) {
        let (server, engine) = (served.cost * served.count as f64 / 1e3, engine * 1e3);
        if let Some((_, ours, its, count)) = self.0.iter_mut().find(|(known, ..)| known == name) {
            (*ours, *its, *count) = (*ours + server, *its + engine, *count + served.count);
        } else {
            self.0.push((name.to_owned(), server, engine, served.count));
        }
    }

    fn print(&self) {
        println!("\nprocessor time per request, in milliseconds: PostgreSQL, server");
        for (name, server, engine, count) in &self.0 {
            let each = |sum: &f64| sum / (*count).max(1) as f64;
            println!("{name}: {:.3}, {:.3}", each(engine), each(server));
        }
    }
}

struct Pgbench<'a> {
    folder: &'a Path,
    seconds: String,
    engine: Engine,
}

impl Pgbench<'_> {
    fn range(&self, url: &str, from: &str, rows: usize) -> Outcome<Measured> {
        let script = self.folder.join("range.sql");
        fs::write(&script, RANGE.replace('\n', " "))?;
        let (from, rows) = (format!("from={from}"), format!("rows={}", rows + 1));
        let script = script.to_str().ok_or("a path that is not UTF-8")?;
        self.measure(url, SEARCHERS.0, &["-n", "-f", script, "-D", &from, "-D", &rows])
    }

    fn transactions(&self, url: &str) -> Outcome<Measured> {
        self.measure(url, BOOKERS, &["-n", "-b", "tpcb-like"])
    }

    fn measure(&self, url: &str, clients: usize, what: &[&str]) -> Outcome<Measured> {
        let clients = clients.to_string();
        let how = ["-M", "prepared", "-c", &clients, "-j", "1", "-T", &self.seconds];
        let before = self.engine.cpu()?;
        let output = pgbench(url, &[&how, what].concat())?;
        let cpu = self.engine.cpu()? - before;
        let figure = |name: &str| -> Outcome<f64> {
            let line = output
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .ok_or_else(|| format!("no{name}:\n{output}"))?;
            let digits = |c: char| c.is_ascii_digit() || c == '.';
            Ok(line.trim_start_matches(|c| !digits(c)).split(|c| !digits(c)).next().unwrap_or_default().parse()?)
        };
        let (rate, count) = (figure("tps")?, figure("number of transactions actually processed")?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let requests = count as usize;
        let average = figure("latency average")?;
        Ok(Measured { count: requests, rate, cost: cpu * 1e6 / count.max(1.0), within: [average, f64::NAN] })
    }
}

/// Runs pgbench and returns its output.
fn pgbench(url: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("pgbench").args(arguments).arg(url).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// The processes of the PostgreSQL server.
struct Engine {
    postmaster: String,
}

impl Engine {
    fn of(url: &str) -> Outcome<Self> {
        let folder = psql(url, "SHOW data_directory")?.pop().ok_or("no folder")?;
        let file = fs::read_to_string(Path::new(&folder).join("postmaster.pid"))?;
        Ok(Self { postmaster: file.lines().next().ok_or("no process id")?.trim().to_owned() })
    }

    /// Seconds of processor time so far, of all its processes, also those that have ended.
    fn cpu(&self) -> Outcome<f64> {
        let mut sum = 0.0;
        for process in fs::read_dir("/proc")? {
            let name = process?.file_name();
            let Some(id) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) else {
                continue;
            };
            // A process may end meanwhile.
            let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
            let is_child =
                stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&self.postmaster);
            if id == self.postmaster {
                // With the time of children that have ended.
                sum += ticks(&stat, &[14, 15, 16, 17]).unwrap_or_default();
            } else if is_child {
                sum += ticks(&stat, &[14, 15]).unwrap_or_default();
            }
        }
        Ok(sum / 100.0)
    }
}
