//! x
use crate::env::Env;
/// x
pub fn start(_env: &Env, _stopping: tokio::sync::watch::Receiver<bool>) {}
