//! Whether the caller of a change may still act. A request is authenticated before its body has arrived, and its transaction can begin seconds
//! later. So every change checks it again in its transaction.

use diesel::prelude::*;

use crate::actor::{Actor, Role};
use crate::db::schema::{clients, sessions, users};
use crate::db::{Conn, per_backend};
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{PractitionerId, UserId};
use crate::scopes::Scopes;

/// Requires that the session of the caller has not been ended since the request was authenticated, that the account is not disabled, and that
/// its role is the same; for a machine client, that it is not revoked and still has the scopes of its token. A session that has
/// expired since is accepted: it was valid when the request arrived.
///
/// # Errors
/// Unauthenticated.
pub(super) fn require(conn: &mut Conn, actor: &Actor) -> Result<()> {
    let is_same = match &actor.client_scopes {
        Some(scopes) => role_of_client(conn, actor.user_id, scopes)? == Some(actor.role),
        None => has_session(conn, actor)?,
    };
    let detail = "Your session was ended, or your role was changed, while the request was on its way.";
    if is_same { Ok(()) } else { Err(Error::unauthenticated(ProblemCode::Unauthenticated, detail)) }
}

fn has_session(conn: &mut Conn, actor: &Actor) -> Result<bool> {
    let open = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(actor.session_id))
        .filter(sessions::user_id.eq(actor.user_id))
        .filter(sessions::revoked_at.is_null())
        .filter(users::disabled_at.is_null())
        .select((users::role, users::practitioner_id));
    let found: Option<(Role, Option<PractitionerId>)> = per_backend!(conn, conn => open.first(conn)).optional()?;
    Ok(found == Some((actor.role, actor.practitioner_id)))
}

/// Returns the role of an active machine client whose granted scopes include these. None for a person's account.
pub fn role_of_client(conn: &mut Conn, id: UserId, scopes: &Scopes) -> Result<Option<Role>> {
    let active = clients::table
        .inner_join(users::table)
        .filter(clients::user_id.eq(id))
        .filter(users::disabled_at.is_null())
        .select((users::role, clients::scopes));
    let found: Option<(Role, String)> = per_backend!(conn, conn => active.first(conn)).optional()?;
    let Some((role, granted)) = found else { return Ok(None) };
    let granted: Scopes = granted.parse().map_err(|error| Error::internal("read a client's scopes", error))?;
    Ok(scopes.are_within(&granted).then_some(role))
}
