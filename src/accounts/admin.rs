//! x
use crate::env::Env;
/// x
pub async fn create(_env: &Env, _email: &str, _name: &str) -> Result<String, String> {
    Ok(String::new())
}
/// x
pub async fn reset(_env: &Env, _email: &str) -> Result<String, String> {
    Ok(String::new())
}
