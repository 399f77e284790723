//! Closing an account: deletes everything that could open it again.

use diesel::prelude::*;

use crate::db::Conn;
use crate::db::schema::{one_time_tokens, recovery_codes, refresh_tokens, second_factors, sessions};
use crate::error::Result;
use crate::ids::UserId;

/// Deletes an account's sessions, links and second factor.
pub fn end(tx: &mut Conn, id: UserId) -> Result<()> {
    let own = sessions::table.filter(sessions::user_id.eq(id)).select(sessions::id);
    diesel::delete(refresh_tokens::table.filter(refresh_tokens::session_id.eq_any(own))).execute(tx)?;
    diesel::delete(sessions::table.filter(sessions::user_id.eq(id))).execute(tx)?;
    diesel::delete(one_time_tokens::table.filter(one_time_tokens::user_id.eq(id))).execute(tx)?;
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(id))).execute(tx)?;
    diesel::delete(second_factors::table.filter(second_factors::user_id.eq(id))).execute(tx)?;
    Ok(())
}
