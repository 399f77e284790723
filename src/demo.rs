//! x
use crate::env::Env;
/// x
pub async fn fill(_env: &Env) -> Result<(), String> {
    Ok(())
}
/// x
pub fn welcome(_env: &Env, _addr: std::net::SocketAddr) -> String {
    String::new()
}
