//! Turns of equal length for requests about one address.
//!
//! Requests about an address that has an account do more, and wait for each other's locks. The time at which the last of many requests ends
//! would show that, even if each responds at the end of a period. So the requests about any address run one after the other, each for the same
//! time, and few of them wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::Entropy;
use crate::error::{Error, Result};

/// How long a turn takes. Longer than the work for any address on a machine that is not overloaded.
const TURN: Duration = Duration::from_millis(20);
/// The work of a turn begins at a random time within these microseconds. So the time of its commit, which changes of others wait for, tells
/// little of what it does.
const EARLY: u32 = 10_000;
/// How many requests about one address run or wait at once. Most of their turns fit into the period of a response.
const MOST: usize = 20;

/// The requests of this instance about each address.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, Line>>);

/// The requests about one address.
#[derive(Debug, Default)]
struct Line {
    /// How many run or wait.
    length: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Turns {
    /// Runs the work in its turn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many requests about the address wait already; those of the work.
    pub async fn run<T>(&self, entropy: &Entropy, address: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let place = self.join(address)?;
        let turn = place.turn.lock().await;
        let end = Instant::now() + TURN;
        sleep(Duration::from_micros(entropy.below(EARLY).into())).await;
        let result = work.await;
        sleep_until(end).await;
        drop(turn);
        result
    }

    fn join<'a>(&'a self, address: &'a str) -> Result<Place<'a>> {
        let mut lines = self.lines();
        let line = lines.entry(address.to_owned()).or_default();
        if line.length >= MOST {
            return Err(Error::unavailable(1, "Too many requests about one address wait at this moment."));
        }
        line.length += 1;
        Ok(Place { turns: self, address, turn: Arc::clone(&line.turn) })
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that runs or waits. A client may go away meanwhile, so its place ends when it is dropped.
struct Place<'a> {
    turns: &'a Turns,
    address: &'a str,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        if let Some(line) = lines.get_mut(self.address) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn row_08_requests_about_one_address_run_one_after_the_other_and_few_wait() {
        let (turns, running, most) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let entropy = Entropy::system();
        let ask = |address: &'static str| {
            turns.run(&entropy, address, async {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok(())
            })
        };
        let many = join_all((0..MOST + 5).map(|_| ask("ann@example.org"))).await;
        let refused = many.iter().filter(|result| matches!(result, Err(Error::Unavailable { .. }))).count();
        assert_eq!((refused, most.load(Ordering::Relaxed)), (5, 1));
        assert!(turns.lines().is_empty(), "no address is kept");
        // Requests about other addresses do not wait for them: these end only together.
        let together = tokio::sync::Barrier::new(3);
        let meet = |address: &'static str| {
            turns.run(&entropy, address, async {
                together.wait().await;
                Ok(())
            })
        };
        let all = join_all(["bob@example.org", "cleo@example.org", "dan@example.org"].map(meet)).await;
        assert!(all.into_iter().all(|result| result.is_ok()));
    }

    #[tokio::test]
    async fn row_08_a_turn_takes_its_time_whatever_the_work_does() {
        let turns = Turns::default();
        let begun = Instant::now();
        let refused: Result<()> =
            turns.run(&Entropy::system(), "ann@example.org", async { Err(Error::NotFound) }).await;
        assert!(matches!(refused, Err(Error::NotFound)) && begun.elapsed() >= TURN);
    }
}
