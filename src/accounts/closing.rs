//! Closing an account: deletes everything that could open it again, and what names its holder.

use diesel::prelude::*;

use super::store;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{one_time_tokens, recovery_codes, refresh_tokens, second_factors, sessions, users};
use crate::error::Result;
use crate::ids::UserId;
use crate::role::Role;

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

/// Ends a patient's account, and removes name, address and password from its row. The row stays, because rows of records refer to it.
pub fn anonymise(tx: &mut Conn, id: UserId, now: Timestamp) -> Result<()> {
    end(tx, id)?;
    let address = store::removed_address(id);
    let is_patient = users::table.find(id).filter(users::role.eq(Role::Patient));
    diesel::update(is_patient)
        .set((
            users::email.eq(&address),
            users::email_key.eq(&address),
            users::name.eq(None::<String>),
            users::password_hash.eq(None::<String>),
            users::second_factor_at.eq(None::<Timestamp>),
            users::disabled_at.eq(now),
            users::version.eq(users::version + 1),
            users::updated_at.eq(now),
        ))
        .execute(tx)?;
    Ok(())
}
