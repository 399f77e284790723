//! Where an account is signed in, for its owner and for administrators.

use actix_web::{HttpResponse, delete, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts::sessions::{self, Listed, RevokedReason};
use crate::accounts::store;
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::Result;
use crate::http::{Cursor, Endpoints, Limit, Params, PathId};
use crate::ids::{SessionId, UserId};

/// The list's name in cursors.
const LIST: &str = "sessions";

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_sessions).service(delete_session).service(list_user_sessions).service(delete_user_sessions);
}

/// A signed-in device.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "device": "Firefox on Windows", "network": "192.0.2.0/24", "current": true,
    "created_at": "2026-03-02T14:00:00Z", "last_used_at": "2026-03-02T14:10:00Z", "expires_at": "2026-04-01T14:00:00Z"
}))]
struct DeviceDto {
    /// The session's id.
    id: SessionId,
    /// The kind of device; `unknown` where it could not be told.
    device: String,
    /// The network that it signed in from; no single address is kept.
    network: String,
    /// Whether it is the one that asks.
    current: bool,
    /// When somebody signed in.
    created_at: Timestamp,
    /// When its tokens were last renewed, which happens every ten minutes while it is in use.
    last_used_at: Timestamp,
    /// When it ends in any case.
    expires_at: Timestamp,
}

impl DeviceDto {
    fn of(session: Listed, actor: &Actor) -> Self {
        let Listed { id, created_at, last_used_at, expires_at, device, network } = session;
        Self { id, device, network, current: id == actor.session_id, created_at, last_used_at, expires_at }
    }
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct DevicePage {
    /// The sessions that go on, the newest first.
    items: Vec<DeviceDto>,
    /// Pass it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeviceFilter {
    /// The `next_cursor` of the page before.
    #[param(max_length = 255)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

async fn page(env: &Env, actor: Actor, user: UserId, filter: DeviceFilter) -> Result<HttpResponse> {
    let (after, limit) = (Cursor::read(filter.cursor.as_deref(), LIST)?, Limit::new(filter.limit)?);
    let shared = env.clone();
    let sessions = env
        .db
        .read(move |conn| {
            store::find(conn, user)?;
            sessions::list(conn, &shared, user, after, limit)
        })
        .await?;
    let (sessions, next_cursor) = limit.page(sessions, LIST, |session| (session.created_at, session.id.0));
    let items = sessions.into_iter().map(|session| DeviceDto::of(session, &actor)).collect();
    Ok(HttpResponse::Ok().json(DevicePage { items, next_cursor }))
}

/// Where am I signed in
///
/// The sessions of the account that go on, the newest first.
#[utoipa::path(
    tag = "sessions",
    operation_id = "list_sessions",
    security(("bearer" = [])),
    params(DeviceFilter),
    responses((status = 200, description = "The sessions", body = DevicePage)),
)]
#[get("/v1/sessions")]
async fn list_sessions(env: web::Data<Env>, actor: Actor, filter: Params<DeviceFilter>) -> Result<HttpResponse> {
    let user = actor.user_id;
    page(&env, actor, user, filter.0).await
}

/// Sign a device out
///
/// Ends one of the account's own sessions, at once and on every instance.
#[utoipa::path(
    tag = "sessions",
    operation_id = "delete_session",
    security(("bearer" = [])),
    params(("id" = SessionId, Path, description = "The session")),
    responses((status = 204, description = "Signed out")),
)]
#[delete("/v1/sessions/{id}")]
async fn delete_session(env: web::Data<Env>, actor: Actor, id: PathId<SessionId>) -> Result<HttpResponse> {
    let shared = env.clone();
    env.db
        .write(move |tx| {
            audit::record(tx, &shared, &actor.trail, id.0.0)?;
            sessions::revoke_own(tx, &shared, actor.user_id, id.0)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Where somebody is signed in
///
/// The sessions of an account that go on, the newest first.
#[utoipa::path(
    tag = "users",
    operation_id = "list_user_sessions",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account"), DeviceFilter),
    responses((status = 200, description = "The sessions", body = DevicePage)),
)]
#[get("/v1/users/{id}/sessions")]
async fn list_user_sessions(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<UserId>,
    filter: Params<DeviceFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::UserManage)?;
    page(&env, actor, id.0, filter.0).await
}

/// Sign somebody out
///
/// Ends every session of an account, at once and on every instance.
#[utoipa::path(
    tag = "users",
    operation_id = "delete_user_sessions",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account")),
    responses((status = 204, description = "Signed out everywhere")),
)]
#[delete("/v1/users/{id}/sessions")]
async fn delete_user_sessions(env: web::Data<Env>, actor: Actor, id: PathId<UserId>) -> Result<HttpResponse> {
    actor.require(Action::UserManage)?;
    let shared = env.clone();
    env.db
        .write(move |tx| {
            store::find(tx, id.0)?;
            audit::record(tx, &shared, &actor.trail, id.0.0)?;
            sessions::revoke_all(tx, id.0, RevokedReason::Admin, shared.now())
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
