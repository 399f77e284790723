//! The worker that sends what the outbox holds.

use tokio::sync::watch;

use crate::env::Env;

/// Starts the worker.
///
/// # Errors
/// In words for the operator.
pub fn start(_env: &Env, _stopping: watch::Receiver<bool>) -> Result<(), String> {
    Ok(())
}
