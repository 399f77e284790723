//! The cost of the service over its SQL: the release server next to a minimal program, in turns.
//! `cargo bench --profile dist --bench ratios [-- slot-search bookings postgres memory --quick]`; BENCHMARKS.md explains the results.

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far from what a float cannot count")]

mod child;
mod clinic;
mod database;
mod growth;
mod least;
mod load;
mod picture;
mod postgres;
mod sqlite;
mod statements;
mod table;

use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;

use child::{Child, Memory};
use clinic::Clinic;
use table::Measured;

/// An error is printed and ends the run.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The size of a run.
pub struct Scale {
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
/// The searches: the number of rows and the minutes of the visit.
const SEARCHES: [(usize, usize); 4] = [(50, 15), (50, 60), (1, 15), (1, 60)];

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
    let parts = ["slot-search", "bookings", "postgres", "memory"];
    if let Some(unknown) = arguments.iter().find(|argument| !parts.contains(&argument.as_str())) {
        return Err(format!("{unknown}: the parts are {} and growth; --quick runs less", parts.join(", ")).into());
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let scale = if quick { &QUICK } else { &FULL };
    runtime.block_on(async {
        if wanted("slot-search") || wanted("bookings") {
            sqlite::compare(scale, wanted("slot-search"), wanted("bookings")).await?;
        }
        match std::env::var(postgres::URL) {
            Ok(url) if wanted("postgres") => postgres::compare(scale, &url).await?,
            Err(_) if arguments.iter().any(|part| part == "postgres") => {
                return Err(format!("set {} to the URL of a PostgreSQL server", postgres::URL).into());
            }
            _ => {}
        }
        if wanted("memory") {
            memory().await?;
        }
        Ok(())
    })
}

/// Searches through the API for `scale.part`.
async fn search(server: &Child, clinic: &Clinic, scale: &Scale, rows: usize, minutes: usize) -> Outcome<Measured> {
    let visit = if minutes == 15 { &clinic.check } else { &clinic.first_visit };
    let load = load::drive(server, SEARCHERS.0, scale.part, StatusCode::OK, |turn| {
        (turn < SEARCHERS.1).then(|| clinic.search(visit, rows))
    });
    server.measure(load).await
}

/// Books for `scale.part`, beginning with the slot of this number.
async fn book(side: &Child, clinic: &Clinic, scale: &Scale, token: &str, first: usize) -> Outcome<Measured> {
    let load = load::drive(side, BOOKERS, scale.part, StatusCode::CREATED, |turn| clinic.booking(first + turn, token));
    side.measure(load).await
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
