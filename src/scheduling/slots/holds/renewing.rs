//! Renews holds.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;

use super::ending::note_stranger;
use super::holder::Holder;
use super::{DURATION, HoldView, find, lapsed};
use crate::context::{Context, Once, Tx};
use crate::db::schema::{holds, slots};
use crate::error::{Error, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, PathId};
use crate::ids::HoldId;
use crate::scheduling::slots::locking;

/// Renews a hold of the caller. It then lapses ten minutes from now.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `hold_lapsed`, `hold_renewed` and `hold_reserved`; a broken rule for a stranger's key.
pub async fn renew(context: &Context<Holder>, once: Once<Holder>, id: HoldId) -> Result<Versioned<HoldView>> {
    context.actor.require_permission()?;
    let once = context.actor.once(once)?;
    context.change_once(once, move |tx| extend(tx, id)).await
}

fn extend(tx: &mut Tx<Holder>, id: HoldId) -> Result<Versioned<HoldView>> {
    let mut hold = find(tx.conn, id, tx.actor)?;
    if hold.expires_at <= tx.now {
        return Err(lapsed());
    }
    if hold.reserved {
        let detail = "A registration reserved the time. Follow the link in its mail to book it before `expires_at`.";
        return Err(Error::conflict(ProblemCode::HoldReserved, detail));
    }
    if hold.renewed {
        let detail = "The hold was renewed before. Book before it lapses, or hold the slot again afterwards.";
        return Err(Error::conflict(ProblemCode::HoldRenewed, detail));
    }
    locking::lock(tx.conn, &[], Some(id))?;
    hold.renewed = true;
    hold.expires_at = tx.now.plus(DURATION);
    let unchanged = holds::table.find(id).filter(holds::renewed.eq(false)).filter(holds::reserved.eq(false));
    let renewal = (holds::renewed.eq(true), holds::expires_at.eq(hold.expires_at));
    if diesel::update(unchanged).set(renewal).execute(tx.conn)? == 0 {
        // Another request of the holder changed the hold.
        return Err(Error::Retry);
    }
    diesel::update(slots::table.filter(slots::hold_id.eq(id)))
        .set(slots::held_until.eq(hold.expires_at))
        .execute(tx.conn)?;
    note_stranger(tx);
    HoldView::load(tx.conn, &hold)
}

/// Renew a hold
///
/// For the account that holds the slots, or with the hold's secret in `Hold-Secret`. Possible once. The hold then lapses ten minutes from
/// now. An `Idempotency-Key` is only for callers who are signed in.
#[utoipa::path(
    tag = "slots",
    operation_id = "renew_hold",
    security((), ("bearer" = [])),
    params(
        ("id" = HoldId, Path, description = "The hold"),
        ("Hold-Secret" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The renewed hold", body = HoldView),
        (status = 409, description = "`hold_renewed`: it was renewed before. `hold_lapsed`: it lapsed. \
            `hold_reserved`: a registration carries it"),
    ),
)]
#[post("/v1/holds/{id}/renew")]
pub(in crate::scheduling) async fn renew_hold(
    context: Context<Holder>,
    PathId(id): PathId<HoldId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&renew(&context, key.once_without_body(), id).await?))
}
