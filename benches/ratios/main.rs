//! The cost of the service over its SQL: the release server next to the minimal actix-web program with the same statements,
//! in turns. `cargo bench --bench ratios [-- slot-search bookings memory --quick]`; BENCHMARKS.md explains the results.

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far from what a float cannot count")]

mod child;
mod clinic;
mod growth;
mod least;
mod load;
mod statements;

use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;

use child::{Child, Memory};
use clinic::Clinic;
use load::Tally;

/// An error is printed and ends the run.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The size of a run.
struct Scale {
    rounds: usize,
    /// The duration of each side's part of a round.
    part: Duration,
    practitioners: usize,
    patients: usize,
    /// The number of days with slots.
    days: u32,
}

const FULL: Scale = Scale { rounds: 5, part: Duration::from_secs(4), practitioners: 12, patients: 1_000, days: 365 };
const QUICK: Scale = Scale { rounds: 1, part: Duration::from_millis(500), practitioners: 2, patients: 100, days: 90 };

/// The number of searching clients, and the maximum number of requests of one side in one round.
const SEARCHERS: (usize, usize) = (8, 100_000);
/// The number of booking clients.
const BOOKERS: usize = 64;

fn main() -> Outcome<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [program, folder] = arguments.as_slice()
        && program == least::ARGUMENT
    {
        return least::serve(Path::new(folder));
    }
    let quick = arguments.iter().position(|argument| argument == "--quick").map(|at| arguments.remove(at)).is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let [part, sizes @ ..] = arguments.as_slice()
        && part == "growth"
    {
        return runtime.block_on(growth::run(sizes));
    }
    let parts = ["slot-search", "bookings", "memory"];
    if let Some(unknown) = arguments.iter().find(|argument| !parts.contains(&argument.as_str())) {
        return Err(format!("{unknown}: the parts are {} and growth; --quick runs less", parts.join(", ")).into());
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let scale = if quick { &QUICK } else { &FULL };
    runtime.block_on(async {
        if wanted("slot-search") || wanted("bookings") {
            compare(scale, wanted("slot-search"), wanted("bookings")).await?;
        }
        if wanted("memory") {
            memory().await?;
        }
        Ok(())
    })
}

async fn compare(scale: &Scale, search: bool, bookings: bool) -> Outcome<()> {
    let folder = tempfile::Builder::new().prefix("legwork-bench-").tempdir()?;
    let folder = folder.path();
    let clinic = Clinic::build(folder, scale.practitioners, scale.patients, scale.days).await?;
    println!(
        "clinic: {} practitioners, {} patients, {} free slots",
        scale.practitioners,
        scale.patients,
        clinic.slots.len()
    );
    let shown = statements::record(folder, &clinic).await?;
    println!("statements: {} a search, {} a booking, as the server logs them", shown.search.len(), shown.booking.len());
    least::prepare(folder, &shown)?;

    let sides = [clinic.server(folder, &[]).await?, Child::least(folder).await?];
    let token = clinic::sign_in(&sides[0].base).await?;
    if search {
        let on = ["", "", least::BLOCKING, least::PLAIN];
        let sides = [&sides[0], &sides[1], &sides[1], &sides[1]];
        let mut answers = Vec::new();
        // The plain rows are no search.
        for (side, on) in sides.iter().zip(on).take(3) {
            answers.push(load::once(side, clinic.search(on), StatusCode::OK).await?);
        }
        if answers.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("the least program finds something else: {answers:?}").into());
        }
        let title = |on| format!("slot search, 50 rows, {} clients, against the least program's {on}", SEARCHERS.0);
        let mut tables = [
            "search on a thread that may block",
            "search on the worker's own thread",
            "plain rows of one range, on a thread that may block",
        ]
        .map(|on| Table::new(title(on), 0.8));
        for _ in 0..scale.rounds {
            let mut row = Vec::new();
            for (side, on) in sides.iter().zip(on) {
                row.push(
                    side.measure(load::drive(side, SEARCHERS.0, scale.part, StatusCode::OK, |turn| {
                        (turn < SEARCHERS.1).then(|| clinic.search(on))
                    }))
                    .await?,
                );
            }
            let [server, inline, blocking, plain] = row.as_slice() else { return Err("a round has four parts".into()) };
            tables[0].add(server, blocking);
            tables[1].add(server, inline);
            tables[2].add(server, plain);
        }
        for table in tables {
            table.end();
        }
    }
    if bookings {
        let title = format!("durable bookings, {BOOKERS} clients");
        let mut table = Table::new(title, 2.5);
        // The first slot was booked when the statements were recorded. Each side has its own copy of all others.
        let mut used = [1; 2];
        for _ in 0..scale.rounds {
            let mut row = Vec::new();
            for (side, used) in sides.iter().zip(&mut used) {
                let first = *used;
                let measured = side
                    .measure(load::drive(side, BOOKERS, scale.part, StatusCode::CREATED, |turn| {
                        clinic.booking(first + turn, &token)
                    }))
                    .await?;
                *used += measured.tally.latencies.len();
                row.push(measured);
            }
            let [server, least] = row.as_slice() else { return Err("a round has two parts".into()) };
            table.add(server, least);
        }
        table.end();
        for (side, used) in sides.iter().zip(used) {
            clinic.check_bookings(&side.database(), used)?;
        }
        println!("both databases hold exactly the bookings that were acknowledged");
    }
    println!("memory after this: server {}, least program {}", sides[0].memory()?, sides[1].memory()?);
    Ok(())
}

/// One side's part of a round.
pub struct Measured {
    tally: Tally,
    /// Seconds of processor time of the program.
    cpu: f64,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.tally.latencies.len() as f64 / self.tally.seconds
    }

    /// Microseconds of processor time per request.
    fn cost(&self) -> f64 {
        self.cpu * 1e6 / self.tally.latencies.len().max(1) as f64
    }

    /// Milliseconds within which this percentage of the requests was answered.
    fn within(&self, percent: usize) -> f64 {
        let latencies = &self.tally.latencies;
        let at = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// The measurements, one line per round, and the ratios at the end.
struct Table {
    title: String,
    aim: f64,
    lines: Vec<String>,
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Table {
    fn new(title: String, aim: f64) -> Self {
        Self { title, aim, lines: Vec::new(), rates: Vec::new(), costs: Vec::new() }
    }

    fn add(&mut self, server: &Measured, least: &Measured) {
        let ratio = server.rate() / least.rate();
        let pair =
            |what: &dyn Fn(&Measured) -> f64, digits| format!("{:.digits$} / {:.digits$}", what(server), what(least));
        self.lines.push(format!(
            "{:>20} {ratio:>7.2} {:>22} {:>22} {:>22}",
            pair(&Measured::rate, 0),
            pair(&Measured::cost, 0),
            pair(&|side| side.within(50), 2),
            pair(&|side| side.within(99), 2),
        ));
        self.rates.push(ratio);
        self.costs.push(server.cost() / least.cost());
    }

    fn end(mut self) {
        println!("\n{} (server / least program)", self.title);
        println!(
            "{:>20} {:>7} {:>22} {:>22} {:>22}",
            "requests per s", "ratio", "CPU µs per request", "p50 ms", "p99 ms"
        );
        for line in &self.lines {
            println!("{line}");
        }
        let (low, middle, high) = spread(&mut self.rates);
        let verdict = if middle >= self.aim { "reached" } else { "NOT reached" };
        println!("ratio of the rates: {low:.2} to {high:.2}, median {middle:.2}; aim {:.1}: {verdict}", self.aim);
        let (low, middle, high) = spread(&mut self.costs);
        println!("ratio of the CPU time: {low:.2} to {high:.2}, median {middle:.2}");
    }
}

/// The minimum, the median and the maximum.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// The memory of an idle server.
async fn memory() -> Outcome<()> {
    println!("\nmemory at rest, 5 s after the start (aim: 60 MiB)");
    for (name, arguments) in [("empty", [].as_slice()), ("the demo clinic", ["--demo"].as_slice())] {
        for start in ["first start", "second start"] {
            let folder = tempfile::Builder::new().prefix("legwork-bench-").tempdir()?;
            if start == "second start" {
                Child::server(folder.path(), arguments, &[]).await?.stop()?;
            }
            let server = Child::server(folder.path(), arguments, &[]).await?;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let Memory { resident, .. } = server.memory()?;
            let verdict = if resident <= 60.0 { "reached" } else { "NOT reached" };
            println!("{name}, {start}: {}: {verdict}", server.memory()?);
        }
    }
    Ok(())
}
