//! The measurements of two sides, and their ratios.

use crate::load::Tally;

/// One side's part of a round.
pub struct Measured {
    /// The number of requests, all of which succeeded.
    pub count: usize,
    /// Requests per second.
    pub rate: f64,
    /// Microseconds of processor time per request.
    pub cost: f64,
    /// Milliseconds within which half of the requests, and 99 of 100, were answered.
    pub within: [f64; 2],
}

impl Measured {
    /// From a load, and the seconds of processor time that it took.
    pub fn new(tally: &Tally, cpu: f64) -> Self {
        let count = tally.latencies.len();
        let within = |percent: usize| {
            let at = (count * percent / 100).min(count.saturating_sub(1));
            tally.latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        Self {
            count,
            rate: count as f64 / tally.seconds,
            cost: cpu * 1e6 / count.max(1) as f64,
            within: [within(50), within(99)],
        }
    }
}

/// The measurements, one line per round, and the ratios at the end.
pub struct Table {
    title: String,
    aim: f64,
    lines: Vec<String>,
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Table {
    /// `aim` is the least ratio of the rates.
    pub fn new(title: String, aim: f64) -> Self {
        Self { title, aim, lines: Vec::new(), rates: Vec::new(), costs: Vec::new() }
    }

    /// Adds a round. `beside` is what the server is compared with.
    pub fn add(&mut self, server: &Measured, beside: &Measured) {
        let ratio = server.rate / beside.rate;
        let pair =
            |what: &dyn Fn(&Measured) -> f64, digits| format!("{:.digits$} / {:.digits$}", what(server), what(beside));
        self.lines.push(format!(
            "{:>20} {ratio:>7.2} {:>22} {:>22} {:>22}",
            pair(&|side| side.rate, 0),
            pair(&|side| side.cost, 0),
            pair(&|side| side.within[0], 2),
            pair(&|side| side.within[1], 2),
        ));
        self.rates.push(ratio);
        self.costs.push(server.cost / beside.cost);
    }

    /// Prints the rounds and the ratios.
    pub fn end(mut self) {
        println!("\n{}", self.title);
        println!(
            "{:>20} {:>7} {:>22} {:>22} {:>22}",
            "requests per s", "ratio", "CPU µs per request", "p50 ms", "p99 ms"
        );
        for line in &self.lines {
            println!("{line}");
        }
        let (low, middle, high) = spread(&mut self.rates);
        let verdict = if middle >= self.aim { "reached" } else { "NOT reached" };
        println!(
            "ratio of the rates: {low:.2}, {middle:.2}, {high:.2} (lowest, median, highest); aim {:.1}: {verdict}",
            self.aim
        );
        let (low, middle, high) = spread(&mut self.costs);
        println!("ratio of the CPU time: {low:.2}, {middle:.2}, {high:.2}");
    }
}

/// The minimum, the median and the maximum.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}
