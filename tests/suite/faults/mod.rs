//! Faults under load. `cargo test` runs a short form; CONTRIBUTING.md has the command for the long one.

mod failover;
mod history;
mod kills;
mod load;
mod overload;

/// Returns the number that an environment variable gives, or the short form's.
fn scale(name: &str, short: usize) -> usize {
    std::env::var(name).ok().map_or(short, |value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}
