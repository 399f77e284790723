//! Ends holds: a booking uses one up, its holder releases it, a change of hours or of the location's time zone lets it
//! lapse.

use actix_web::{HttpResponse, delete};
use diesel::prelude::*;

use super::holder::{self, Holder};
use super::{Hold, find};
use crate::accounts::tokens;
use crate::clock::Timestamp;
use crate::context::{Context, Principal, Tx};
use crate::db::schema::{holds, slots};
use crate::db::update::update;
use crate::db::{Conn, per_backend};
use crate::error::{Error, ProblemCode, Result};
use crate::http::{PathId, response};
use crate::ids::{HoldId, UserId};
use crate::scheduling::slots::locking;
use crate::scheduling::slots::releasing::delete_unplanned;
use crate::scheduling::slots::slot::Slot;

/// A hold that a booking or a move is to use up.
#[derive(Debug, Clone, Copy)]
pub enum WantedHold<'a> {
    /// One that the caller names as `hold_id`, with the secret if it is a stranger's.
    Named { id: HoldId, secret: Option<&'a str> },
    /// That of an offer, which the caller may claim.
    Offered(HoldId),
}

impl<'a> WantedHold<'a> {
    /// The hold that the members `hold_id` and `hold_secret` of a body name.
    pub fn named(id: Option<HoldId>, secret: Option<&'a str>) -> Option<Self> {
        id.map(|id| Self::Named { id, secret })
    }

    /// The id of the hold.
    pub fn id(&self) -> HoldId {
        match self {
            Self::Named { id, .. } | Self::Offered(id) => *id,
        }
    }
}

/// Loads the hold that a booking or a move is to use up.
///
/// A hold that was released, replaced or used is deleted, so it looks like one that never existed. All of these, and the holds of other
/// callers, are the same conflict, so that the response tells nothing about others.
///
/// # Errors
/// The conflict `hold_lapsed` unless it has not lapsed, and is this account's or has this secret.
pub(in crate::scheduling) fn redeemable(
    conn: &mut Conn,
    wanted: WantedHold<'_>,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<Hold> {
    let found: Option<Hold> = holds::table.find(wanted.id()).select(Hold::as_select()).first(conn).optional()?;
    let is_callers = |hold: &Hold| match wanted {
        WantedHold::Named { secret, .. } => {
            (user.is_some() && hold.user_id == user)
                || secret.is_some_and(|secret| holder::opens(hold, &tokens::hash(secret)))
        }
        WantedHold::Offered(_) => hold.offered,
    };
    found.filter(|hold| hold.expires_at > now && is_callers(hold)).ok_or_else(|| {
        let detail = "You have no such hold: it lapsed, or it was released, replaced or used. \
            Hold the slot again if it is still free.";
        let members = [("pointer".to_owned(), "/hold_id".into())].into_iter().collect();
        Error::conflict_with(ProblemCode::HoldLapsed, detail, members)
    })
}

/// Deletes a hold that a booking uses up. The slots of the visit must be locked.
///
/// # Errors
/// [`Error::Retry`] if another transaction used or ended the hold since it was read.
pub(in crate::scheduling) fn use_up(conn: &mut Conn, hold: HoldId, now: Timestamp) -> Result<()> {
    let current = holds::table.find(hold).filter(holds::expires_at.gt(now));
    if diesel::delete(current).execute(conn)? == 0 { Err(Error::Retry) } else { Ok(()) }
}

/// Frees the slots of a hold that ends. They must be locked.
pub(super) fn free_slots(conn: &mut Conn, hold: HoldId) -> Result<()> {
    let cleared = (slots::hold_id.eq(None::<HoldId>), slots::held_until.eq(None::<Timestamp>));
    per_backend!(conn, conn => update(slots::table, slots::hold_id.eq(hold), cleared).execute(conn))?;
    Ok(())
}

/// Ends a hold and frees its slots, which it returns. They may be off the plan.
pub(super) fn end<P>(tx: &mut Tx<P>, id: HoldId) -> Result<Vec<Slot>> {
    let held = locking::lock(tx.conn, &[], Some(id))?;
    diesel::delete(holds::table.find(id)).execute(tx.conn)?;
    free_slots(tx.conn, id)?;
    Ok(held)
}

/// Lets holds lapse before their time, because the plan no longer gives their slots, or not at the local time that was told. These must be
/// locked.
pub(in crate::scheduling) fn lapse(conn: &mut Conn, ids: &[HoldId], now: Timestamp) -> Result<()> {
    for id in ids {
        diesel::update(holds::table.find(id)).set(holds::expires_at.eq(now)).execute(conn)?;
        free_slots(conn, *id)?;
    }
    Ok(())
}

/// Leaves the event of a stranger's hold to the middleware, which limits how many of them are stored.
pub(super) fn note_stranger(tx: &Tx<Holder>) {
    if tx.actor.account().is_none() {
        tx.audit.note_unchanged();
    }
}

/// Releases a hold of the caller.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn release(context: &Context<Holder>, id: HoldId) -> Result<()> {
    context.actor.require_permission()?;
    context
        .change(move |tx| {
            find(tx.conn, id, tx.actor)?;
            let held = end(tx, id)?;
            note_stranger(tx);
            delete_unplanned(tx, &held)
        })
        .await
}

/// Release a hold
///
/// For the account that holds the slots, or with the hold's secret in `Hold-Secret`. The slots are free for others at once.
#[utoipa::path(
    tag = "slots",
    operation_id = "delete_hold",
    security((), ("bearer" = [])),
    params(
        ("id" = HoldId, Path, description = "The hold"),
        ("Hold-Secret" = Option<String>, Header),
    ),
    responses((status = 204, description = "Released")),
)]
#[delete("/v1/holds/{id}")]
pub(in crate::scheduling) async fn delete_hold(
    context: Context<Holder>,
    PathId(id): PathId<HoldId>,
) -> Result<HttpResponse> {
    release(&context, id).await?;
    Ok(response::no_content())
}
