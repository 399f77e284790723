//! Webhooks in the database.

use diesel::prelude::*;
use jiff::SignedDuration;

use super::model::{Endpoint, WebhookAttempt, WebhookStatus};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{webhook_attempts, webhook_endpoints};
use crate::error::{Error, Result};
use crate::events::reading;
use crate::http::paging::{Page, in_order};
use crate::ids::{WebhookAttemptId, WebhookId};

/// How long an instance has an endpoint after it last stored an outcome. Longer than an attempt takes, so a lease only expires if its
/// instance died.
const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// Loads an endpoint.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(conn: &mut Conn, id: WebhookId) -> Result<Endpoint> {
    Ok(webhook_endpoints::table.find(id).select(Endpoint::as_select()).first(conn)?)
}

/// Loads an endpoint, locked until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`].
pub fn lock(tx: &mut Conn, id: WebhookId) -> Result<Endpoint> {
    if let Conn::Postgres(pg) = tx {
        webhook_endpoints::table.find(id).select(webhook_endpoints::version).for_update().first::<i32>(pg)?;
    }
    find(tx, id)
}

/// Loads a page of endpoints by creation.
pub fn list(conn: &mut Conn, page: &Page) -> Result<Vec<Endpoint>> {
    let all = webhook_endpoints::table.select(Endpoint::as_select()).into_boxed();
    Ok(in_order!(all, page, webhook_endpoints::created_at, webhook_endpoints::id, WebhookId).load(conn)?)
}

pub fn count(conn: &mut Conn) -> Result<i64> {
    Ok(webhook_endpoints::table.count().get_result(conn)?)
}

pub fn insert(tx: &mut Conn, new: &Endpoint) -> Result<()> {
    diesel::insert_into(webhook_endpoints::table).values(new).execute(tx)?;
    Ok(())
}

/// Stores the settings, the secrets and the status of an endpoint, and increments the version.
pub fn update(tx: &mut Conn, changed: &Endpoint, now: Timestamp) -> Result<Endpoint> {
    diesel::update(webhook_endpoints::table.find(changed.id))
        .set((
            (
                webhook_endpoints::url.eq(&changed.url),
                webhook_endpoints::description.eq(&changed.description),
                webhook_endpoints::event_types.eq(&changed.event_types),
            ),
            (
                webhook_endpoints::secret.eq(&changed.secret),
                webhook_endpoints::secret_created_at.eq(changed.secret_created_at),
                webhook_endpoints::previous_secret.eq(&changed.previous_secret),
                webhook_endpoints::previous_secret_created_at.eq(changed.previous_secret_created_at),
                webhook_endpoints::previous_secret_ends_at.eq(changed.previous_secret_ends_at),
            ),
            (
                webhook_endpoints::status.eq(changed.status),
                webhook_endpoints::paused_reason.eq(changed.paused_reason),
                webhook_endpoints::paused_at.eq(changed.paused_at),
                webhook_endpoints::failing_since.eq(changed.failing_since),
                webhook_endpoints::failed_attempts.eq(changed.failed_attempts),
                webhook_endpoints::next_attempt_at.eq(changed.next_attempt_at),
            ),
            webhook_endpoints::version.eq(webhook_endpoints::version + 1),
            webhook_endpoints::updated_at.eq(now),
        ))
        .execute(tx)?;
    find(tx, changed.id)
}

/// Deletes an endpoint with its log.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(tx: &mut Conn, id: WebhookId) -> Result<()> {
    lock(tx, id)?;
    diesel::delete(webhook_endpoints::table.find(id)).execute(tx)?;
    Ok(())
}

/// Stores what is sent again.
pub fn set_redelivery(tx: &mut Conn, id: WebhookId, from: i64, through: i64) -> Result<()> {
    diesel::update(webhook_endpoints::table.find(id))
        .set((webhook_endpoints::redeliver_from_seq.eq(from), webhook_endpoints::redeliver_through_seq.eq(through)))
        .execute(tx)?;
    Ok(())
}

/// Moves an endpoint past events that it will not get, ends its redelivery, and lets the next event be tried at once.
pub fn skip(tx: &mut Conn, id: WebhookId, through: i64) -> Result<()> {
    diesel::update(webhook_endpoints::table.find(id))
        .set((
            webhook_endpoints::delivered_through_seq.eq(through),
            webhook_endpoints::redeliver_from_seq.eq(None::<i64>),
            webhook_endpoints::redeliver_through_seq.eq(None::<i64>),
            webhook_endpoints::failing_since.eq(None::<Timestamp>),
            webhook_endpoints::failed_attempts.eq(0),
            webhook_endpoints::next_attempt_at.eq(None::<Timestamp>),
        ))
        .execute(tx)?;
    Ok(())
}

/// The endpoints that may be tried now and have something to get.
pub fn due(conn: &mut Conn, now: Timestamp) -> Result<Vec<WebhookId>> {
    let waiting: Vec<(WebhookId, i64, Option<i64>)> = webhook_endpoints::table
        .filter(webhook_endpoints::status.eq(WebhookStatus::Active))
        .filter(webhook_endpoints::next_attempt_at.is_null().or(webhook_endpoints::next_attempt_at.le(now)))
        .filter(webhook_endpoints::leased_until.is_null().or(webhook_endpoints::leased_until.le(now)))
        .select((
            webhook_endpoints::id,
            webhook_endpoints::delivered_through_seq,
            webhook_endpoints::redeliver_from_seq,
        ))
        .load(conn)?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let newest = reading::newest(conn)?;
    let has_more = |delivered: i64, again: Option<i64>| delivered < newest || again.is_some();
    Ok(waiting.into_iter().filter(|(_, delivered, again)| has_more(*delivered, *again)).map(|(id, ..)| id).collect())
}

/// Takes an endpoint, so that no other instance delivers to it. None if it is not due any more, or another instance has it.
pub fn lease(tx: &mut Conn, id: WebhookId, now: Timestamp) -> Result<Option<Endpoint>> {
    let taken = diesel::update(webhook_endpoints::table.find(id))
        .filter(webhook_endpoints::status.eq(WebhookStatus::Active))
        .filter(webhook_endpoints::next_attempt_at.is_null().or(webhook_endpoints::next_attempt_at.le(now)))
        .filter(webhook_endpoints::leased_until.is_null().or(webhook_endpoints::leased_until.le(now)))
        .set(webhook_endpoints::leased_until.eq(now.plus(LEASE)))
        .execute(tx)?;
    if taken == 0 { Ok(None) } else { find(tx, id).map(Some) }
}

/// Locks an endpoint that was leased, as it is now. None if the lease is lost, or the endpoint was deleted.
pub fn lock_leased(tx: &mut Conn, leased: &Endpoint) -> Result<Option<Endpoint>> {
    match lock(tx, leased.id) {
        Ok(endpoint) => Ok(Some(endpoint).filter(|endpoint| endpoint.leased_until == leased.leased_until)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores the progress and the failures of an endpoint, and prolongs or ends its lease.
pub fn store_progress(tx: &mut Conn, endpoint: &Endpoint, keeps: bool, now: Timestamp) -> Result<Endpoint> {
    let leased_until = keeps.then(|| now.plus(LEASE));
    diesel::update(webhook_endpoints::table.find(endpoint.id))
        .set((
            webhook_endpoints::delivered_through_seq.eq(endpoint.delivered_through_seq),
            webhook_endpoints::redeliver_from_seq.eq(endpoint.redeliver_from_seq),
            webhook_endpoints::redeliver_through_seq.eq(endpoint.redeliver_through_seq),
            webhook_endpoints::missing_from_seq.eq(endpoint.missing_from_seq),
            webhook_endpoints::missing_through_seq.eq(endpoint.missing_through_seq),
            webhook_endpoints::failing_since.eq(endpoint.failing_since),
            webhook_endpoints::failed_attempts.eq(endpoint.failed_attempts),
            webhook_endpoints::next_attempt_at.eq(endpoint.next_attempt_at),
            webhook_endpoints::leased_until.eq(leased_until),
        ))
        .execute(tx)?;
    Ok(Endpoint { leased_until, ..endpoint.clone() })
}

/// Adds to the log of deliveries.
pub fn log(tx: &mut Conn, attempt: &WebhookAttempt) -> Result<()> {
    diesel::insert_into(webhook_attempts::table).values(attempt).execute(tx)?;
    Ok(())
}

/// Loads a page of the log of an endpoint.
pub fn attempts(conn: &mut Conn, id: WebhookId, page: &Page) -> Result<Vec<WebhookAttempt>> {
    let own = webhook_attempts::table
        .filter(webhook_attempts::endpoint_id.eq(id))
        .select(WebhookAttempt::as_select())
        .into_boxed();
    Ok(in_order!(own, page, webhook_attempts::attempted_at, webhook_attempts::id, WebhookAttemptId).load(conn)?)
}
