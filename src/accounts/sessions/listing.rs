//! Listing the sessions of an account, for its owner and for administrators.

use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::session::active;
use crate::accounts::store;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::schema::sessions;
use crate::error::Result;
use crate::http::paging::{Cursor, Page, PageParams};
use crate::http::{Params, PathId, response};
use crate::ids::{SessionId, UserId};

/// The list's name in cursors.
const LIST: &str = "sessions";

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct Session {
    id: SessionId,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    device: String,
    network: String,
}

/// A signed-in device.
#[derive(Serialize, ToSchema)]
#[schema(as = Session, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "device": "Firefox on Windows", "network": "192.0.2.0/24", "current": true,
    "created_at": "2026-03-02T14:00:00Z", "last_used_at": "2026-03-02T14:10:00Z", "expires_at": "2026-04-01T14:00:00Z"
}))]
pub struct SessionView {
    /// The session's id.
    pub id: SessionId,
    /// The kind of device, or `unknown`.
    pub device: String,
    /// The network from which the device signed in. The full address is not stored.
    pub network: String,
    /// Whether it is the session of this request.
    pub current: bool,
    /// When the device signed in.
    pub created_at: Timestamp,
    /// When its tokens were last renewed, which happens every ten minutes while it is in use.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct SessionPage {
    /// The active sessions, newest first.
    pub items: Vec<SessionView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// Lists the active sessions of the caller's account.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list_own(context: &Context, params: PageParams) -> Result<SessionPage> {
    page(context, context.actor.user_id, params).await
}

/// Lists the active sessions of an account, for an administrator.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound); every broken rule of the filter.
pub async fn list_of_user(context: &Context, user: UserId, params: PageParams) -> Result<SessionPage> {
    context.require(Action::UserManage)?;
    page(context, user, params).await
}

async fn page(context: &Context, user: UserId, params: PageParams) -> Result<SessionPage> {
    let page = params.of(LIST)?;
    let found = context.read(move |tx| load(tx, user, &page)).await?;
    let (found, next_cursor) = page.cut(found, |session| (session.created_at, session.id.0));
    let view = |session: Session| {
        let Session { id, created_at, last_used_at, expires_at, device, network } = session;
        let current = id == context.actor.session_id;
        SessionView { id, device, network, current, created_at, last_used_at, expires_at }
    };
    Ok(SessionPage { items: found.into_iter().map(view).collect(), next_cursor })
}

fn load(tx: &mut Tx, user: UserId, page: &Page) -> Result<Vec<Session>> {
    store::find_person(tx.conn, user)?;
    let mut query = active(tx.env, tx.now).filter(sessions::user_id.eq(user));
    if let Some(Cursor { at, id }) = page.after {
        query = query
            .filter(sessions::created_at.lt(at).or(sessions::created_at.eq(at).and(sessions::id.lt(SessionId(id)))));
    }
    let newest_first = query.order((sessions::created_at.desc(), sessions::id.desc()));
    Ok(newest_first.limit(page.rows()).select(Session::as_select()).load(tx.conn)?)
}

/// List my sessions
///
/// The active sessions of the caller's account, newest first.
#[utoipa::path(
    tag = "sessions",
    operation_id = "list_sessions",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, description = "The sessions", body = SessionPage)),
)]
#[get("/v1/sessions")]
pub(super) async fn list_sessions(context: Context, Params(params): Params<PageParams>) -> Result<HttpResponse> {
    Ok(response::ok(&list_own(&context, params).await?))
}

/// List the sessions of an account
///
/// The active sessions, newest first.
#[utoipa::path(
    tag = "users",
    operation_id = "list_user_sessions",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account"), PageParams),
    responses((status = 200, description = "The sessions", body = SessionPage)),
)]
#[get("/v1/users/{id}/sessions")]
pub(super) async fn list_user_sessions(
    context: Context,
    PathId(id): PathId<UserId>,
    Params(params): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list_of_user(&context, id, params).await?))
}
