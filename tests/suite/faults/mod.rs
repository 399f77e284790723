//! Faults under load. `cargo test` runs a short form; `FAULTS=long` selects the long one.

mod clock;
mod failing_disk;
mod failover;
mod history;
mod kills;
mod load;
mod overload;

/// Returns the number for the short or the long form.
pub(crate) fn scale(short: usize, long: usize) -> usize {
    match std::env::var("FAULTS").as_deref() {
        Err(_) => short,
        Ok("long") => long,
        Ok(other) => panic!("FAULTS={other}: only `long` is known"),
    }
}

/// The number of clients.
fn clients() -> usize {
    scale(16, 64)
}
