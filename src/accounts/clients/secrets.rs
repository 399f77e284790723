//! The secrets of machine clients: 256 random bits, shown once and stored as a hash.

use actix_web::{HttpResponse, delete, post, web};
use jiff::SignedDuration;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{ClientView, CreatedClient};
use super::store;
use crate::accounts::tokens;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{ClientSecretId, UserId};

/// The most secrets of a client that work at the same time.
const MOST: usize = 5;
/// For how many hours the older secrets still work after a new one is created.
const OVERLAP_HOURS: i64 = 24;
const LONGEST_OVERLAP_HOURS: i64 = 720;

/// Creates a secret, and returns it.
pub fn add(tx: &mut Conn, env: &Env, client: UserId, now: Timestamp) -> Result<String> {
    let secret = tokens::opaque(&env.entropy);
    store::insert_secret(tx, env, client, &tokens::hash(&secret), now)?;
    Ok(secret)
}

/// A secret to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"overlap_hours": 24}))]
pub struct NewClientSecret {
    /// For how many hours the older secrets still work, unless they end earlier. Default: 24.
    #[schema(minimum = 0, maximum = 720)]
    overlap_hours: Option<i64>,
}

/// Creates a secret, and ends the older ones after the overlap.
///
/// # Errors
/// [`Error::NotFound`]; a broken rule; the conflicts `client_revoked` and `too_many_secrets`.
pub async fn rotate(
    context: &Context,
    once: Once,
    id: UserId,
    new: NewClientSecret,
) -> Result<Versioned<CreatedClient>> {
    context.require(Action::ClientManage)?;
    let hours = new.overlap_hours.unwrap_or(OVERLAP_HOURS);
    let mut check = Check::new();
    let fits = (0..=LONGEST_OVERLAP_HOURS).contains(&hours);
    check.require(fits, "/overlap_hours", FieldCode::OutOfRange, "must be between 0 and 720");
    check.done()?;
    context
        .change_once(once, move |tx| {
            let client = store::lock_active(tx.conn, id, tx.now)?;
            store::end_secrets(tx.conn, id, tx.now.plus(SignedDuration::from_hours(hours)))?;
            if hours > 0 && client.secrets.len() >= MOST {
                let detail = "The client has as many secrets as it may have. End one first, or send overlap_hours 0.";
                return Err(Error::conflict(ProblemCode::TooManySecrets, detail));
            }
            let secret = add(tx.conn, tx.env, id, tx.now)?;
            let Versioned { version, object } = ClientView::versioned(store::update(tx.conn, &client, tx.now)?);
            Ok(Versioned { version, object: CreatedClient { client: object, client_secret: Some(secret) } })
        })
        .await
}

/// Ends a secret at once.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `client_revoked`.
pub async fn end(context: &Context, id: UserId, secret: ClientSecretId) -> Result<()> {
    context.require(Action::ClientManage)?;
    context
        .change(move |tx| {
            let client = store::lock_active(tx.conn, id, tx.now)?;
            store::end_secret(tx.conn, id, secret, tx.now)?;
            store::update(tx.conn, &client, tx.now).map(|_| ())
        })
        .await
}

/// Create a secret of a machine client
///
/// For administrators. The older secrets still work for `overlap_hours`, so that the client can change over. Only a repeat with the same
/// `Idempotency-Key` shows the new secret again. A client has at most five secrets at the same time.
#[utoipa::path(
    tag = "clients",
    operation_id = "create_client_secret",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "The client"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewClientSecret,
    responses(
        (status = 201, description = "The client, with its new secret", body = CreatedClient),
        (status = 409, description = "`client_revoked`: the client is revoked. `too_many_secrets`: the client has five secrets"),
    ),
)]
#[post("/v1/clients/{id}/secrets")]
pub(super) async fn create_client_secret(
    context: Context,
    PathId(id): PathId<UserId>,
    key: IdempotencyKey,
    body: Body<NewClientSecret>,
) -> Result<HttpResponse> {
    let created = rotate(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/clients/{id}"), &created))
}

/// End a secret of a machine client
///
/// For administrators. The secret stops working at once. Access tokens that were issued for it work until they expire.
#[utoipa::path(
    tag = "clients",
    operation_id = "delete_client_secret",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "The client"),
        ("secret_id" = ClientSecretId, Path, description = "The secret"),
    ),
    responses(
        (status = 204, description = "Ended"),
        (status = 409, description = "`client_revoked`: the client is revoked"),
    ),
)]
#[delete("/v1/clients/{id}/secrets/{secret_id}")]
pub(super) async fn delete_client_secret(
    context: Context,
    PathId(id): PathId<UserId>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    let secret = path.1.parse().map_err(|_| Error::NotFound)?;
    end(&context, id, secret).await?;
    Ok(response::no_content())
}
