//! Whether two staff accounts belong to two people. It is in this module because a call about an access needs a second person too.

use diesel::prelude::*;

use super::outbox::mailbox;
use crate::db::Conn;
use crate::db::schema::users;
use crate::error::Result;
use crate::ids::{PractitionerId, UserId};

/// Returns whether two accounts belong to one person: they are the same, or of one practitioner, or their addresses lead to one mailbox.
pub fn is_same(conn: &mut Conn, one: UserId, other: UserId) -> Result<bool> {
    if one == other {
        return Ok(true);
    }
    let both: Vec<(Option<PractitionerId>, String)> = users::table
        .filter(users::id.eq_any([one, other]))
        .select((users::practitioner_id, users::email_key))
        .load(conn)?;
    Ok(match both.as_slice() {
        [(one, address), (other, another)] => (one.is_some() && one == other) || mailbox(address) == mailbox(another),
        _ => false,
    })
}
