//! Whether two staff accounts belong to two people. It is in this module because a call about an access needs a second person too.

use diesel::prelude::*;

use super::outbox::mailbox;
use crate::db::Conn;
use crate::db::schema::users;
use crate::error::Result;
use crate::ids::{PractitionerId, UserId};
use crate::role::Role;

/// Returns whether two accounts belong to one person: they are the same, or of one practitioner, or their addresses lead to one mailbox. A
/// machine client is no person. It may act for any administrator, because administrators have its secrets.
pub fn is_same(conn: &mut Conn, one: UserId, other: UserId) -> Result<bool> {
    if one == other {
        return Ok(true);
    }
    let both: Vec<(Option<PractitionerId>, String, Role, bool)> = users::table
        .filter(users::id.eq_any([one, other]))
        .select((users::practitioner_id, users::email_key, users::role, users::is_client))
        .load(conn)?;
    Ok(match both.as_slice() {
        [(.., true), (.., role, is_client)] | [(.., role, is_client), (.., true)] => *is_client || *role == Role::Admin,
        [(one, address, ..), (other, another, ..)] => {
            (one.is_some() && one == other) || mailbox(address) == mailbox(another)
        }
        _ => false,
    })
}
