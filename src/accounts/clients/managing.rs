//! Machine clients as administrators manage them.

use actix_web::{HttpResponse, delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::keys::JsonWebKeySet;
use super::model::{Client, ClientView, CreatedClient};
use super::{secrets, store};
use crate::actor::Action;
use crate::context::{self, Context, Once, access_lock};
use crate::error::{Check, Error, FieldCode, Result, Rule};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::PageParams;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::ids::UserId;
use crate::role::ClientRole;
use crate::scopes::{Scope, Scopes};

/// The list's name in cursors.
const LIST: &str = "clients";

fn parse_name(name: &str) -> Result<String, Rule> {
    text::one_line(name, 200)
}

fn parse_scopes(scopes: &[Scope]) -> Result<Scopes, Rule> {
    if scopes.is_empty() {
        return Err(Rule::new(FieldCode::OutOfRange, "must have at least one scope"));
    }
    if scopes.len() > Scope::ALL.len() {
        return Err(Rule::new(FieldCode::TooMany, format!("must have at most {} scopes", Scope::ALL.len())));
    }
    Ok(scopes.iter().copied().collect())
}

/// A machine client to create.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Telephone system", "role": "front_desk", "scopes": ["slots:read", "appointments:write"]
}))]
pub struct NewClient {
    /// The client's name, for people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The role. It bounds what the scopes permit.
    role: ClientRole,
    /// What the client may do.
    #[schema(min_items = 1, max_items = 22)]
    scopes: Vec<Scope>,
    /// The client's public keys, if it authenticates with assertions. It then gets no secret.
    jwks: Option<JsonWebKeySet>,
}

/// Creates a client. Without public keys it gets a secret.
///
/// # Errors
/// Broken rules.
pub async fn create(context: &Context, once: Once, new: NewClient) -> Result<Versioned<CreatedClient>> {
    context.require(Action::ClientManage)?;
    let mut check = Check::new();
    let name = check.field("/name", parse_name(&new.name)).unwrap_or_default();
    let scopes = check.field("/scopes", parse_scopes(&new.scopes)).unwrap_or_default();
    if let Some(jwks) = &new.jwks {
        jwks.check(&mut check);
    }
    check.done()?;
    context
        .change_once(once, move |tx| {
            let id = store::insert(tx.conn, tx.env, &name, new.role.into(), &scopes, new.jwks.as_ref())?;
            let secret = if new.jwks.is_none() { Some(secrets::add(tx.conn, tx.env, id, tx.now)?) } else { None };
            tx.audit.note_object(id.0);
            let Versioned { version, object } = ClientView::versioned(store::find(tx.conn, id, tx.now)?);
            Ok(Versioned { version, object: CreatedClient { client: object, client_secret: secret } })
        })
        .await
}

/// A page of machine clients.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct ClientPage {
    /// The clients, oldest first. Revoked ones are among them.
    pub items: Vec<ClientView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// Lists the clients.
///
/// # Errors
/// Broken rules of the page.
pub async fn list(context: &Context, page: PageParams) -> Result<ClientPage> {
    context.require(Action::ClientManage)?;
    let page = page.of(LIST)?;
    let clients = context.read(move |tx| store::list(tx.conn, &page, tx.now)).await?;
    let (clients, next_cursor) = page.cut(clients, |client| (client.created_at, client.id.0));
    Ok(ClientPage { items: clients.into_iter().map(ClientView::from).collect(), next_cursor })
}

/// Reads a client.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: UserId) -> Result<Versioned<ClientView>> {
    context.require(Action::ClientManage)?;
    context.read(move |tx| Ok(ClientView::versioned(store::find(tx.conn, id, tx.now)?))).await
}

/// Changes of a machine client.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"scopes": ["slots:read"]}))]
pub struct ClientPatch {
    /// The name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    name: Change<String>,
    /// What the client may do. Tokens with a scope that it loses stop working at once.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Scope>>, nullable = false, min_items = 1, max_items = 22)]
    scopes: Change<Vec<Scope>>,
    /// The client's public keys, which replace the earlier ones. Null removes them.
    #[serde(default)]
    #[schema(value_type = Option<JsonWebKeySet>)]
    jwks: Change<JsonWebKeySet>,
}

impl ClientPatch {
    fn apply(self, client: &Client) -> Result<Client> {
        let mut check = Check::new();
        let mut changed = client.clone();
        if check.field("/name", self.name.apply_required(&mut changed.name)).is_some()
            && let Some(name) = check.field("/name", parse_name(&changed.name))
        {
            changed.name = name;
        }
        let mut scopes: Vec<Scope> = changed.scopes.iter().collect();
        if check.field("/scopes", self.scopes.apply_required(&mut scopes)).is_some()
            && let Some(scopes) = check.field("/scopes", parse_scopes(&scopes))
        {
            changed.scopes = scopes;
        }
        self.jwks.apply(&mut changed.jwks);
        if let Some(jwks) = &changed.jwks {
            jwks.check(&mut check);
        }
        check.done()?;
        Ok(changed)
    }
}

/// Changes a client.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; broken rules; the conflict `client_revoked`.
pub async fn update(
    context: &Context,
    id: UserId,
    if_match: IfMatch,
    patch: ClientPatch,
) -> Result<Versioned<ClientView>> {
    context.require(Action::ClientManage)?;
    let if_match = if_match.required()?;
    context
        .change(move |tx| {
            access_lock::wait(tx.conn, id)?;
            let client = store::lock_active(tx.conn, id, tx.now)?;
            if_match.check(client.version)?;
            let changed = patch.clone().apply(&client)?;
            if changed == client {
                return Ok(ClientView::versioned(client));
            }
            if !client.scopes.are_within(&changed.scopes) {
                context::forget(tx.conn, id)?;
            }
            Ok(ClientView::versioned(store::update(tx.conn, &changed, tx.now)?))
        })
        .await
}

/// Revokes a client for ever. Its secrets, its keys and its tokens stop working at once.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(context: &Context, id: UserId) -> Result<()> {
    context.require(Action::ClientManage)?;
    context
        .change(move |tx| {
            access_lock::wait(tx.conn, id)?;
            match store::lock_active(tx.conn, id, tx.now) {
                Ok(client) => {
                    store::end_secrets(tx.conn, id, tx.now)?;
                    context::forget(tx.conn, id)?;
                    store::update(tx.conn, &Client { revoked_at: Some(tx.now), ..client }, tx.now)?;
                    Ok(())
                }
                Err(Error::Conflict(_)) => tx.unchanged(),
                Err(error) => Err(error),
            }
        })
        .await
}

/// Create a machine client
///
/// For administrators. The client gets a service account with this role, under whose name its requests are audited. The response has the
/// client's secret, which only a repeat with the same `Idempotency-Key` shows again; with `jwks`, the client has no secret and authenticates with assertions. Tokens: `POST
/// /oauth2/token`.
#[utoipa::path(
    tag = "clients",
    operation_id = "create_client",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewClient,
    responses((status = 201, description = "The client, with its secret", body = CreatedClient)),
)]
#[post("/v1/clients")]
pub(super) async fn create_client(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewClient>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/clients/{}", created.object.client.id), &created))
}

/// List machine clients
///
/// For administrators. Oldest first, with revoked ones.
#[utoipa::path(
    tag = "clients",
    operation_id = "list_clients",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, description = "The clients", body = ClientPage)),
)]
#[get("/v1/clients")]
pub(super) async fn list_clients(context: Context, Params(page): Params<PageParams>) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, page).await?))
}

/// Read a machine client
///
/// For administrators. The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "clients",
    operation_id = "get_client",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The client")),
    responses((status = 200, description = "The client", body = ClientView)),
)]
#[get("/v1/clients/{id}")]
pub(super) async fn get_client(context: Context, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Change a machine client
///
/// For administrators. Changes the name, the scopes or the public keys. Takes effect at once: access tokens with a scope that the client
/// loses stop working, unless it gets the scope back before they expire. The role stays; create another client for another role.
#[utoipa::path(
    tag = "clients",
    operation_id = "update_client",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "The client"),
        ("If-Match" = String, Header),
    ),
    request_body(content = ClientPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed client", body = ClientView),
        (status = 409, description = "`client_revoked`: the client is revoked"),
    ),
)]
#[patch("/v1/clients/{id}")]
pub(super) async fn update_client(
    context: Context,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    Patch(patch): Patch<ClientPatch>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&update(&context, id, if_match, patch).await?))
}

/// Revoke a machine client
///
/// For administrators. Takes effect at once and for ever: its secrets, its keys and its access tokens stop working. The client stays in
/// the list, because the audit trail names it.
#[utoipa::path(
    tag = "clients",
    operation_id = "delete_client",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The client")),
    responses((status = 204, description = "Revoked")),
)]
#[delete("/v1/clients/{id}")]
pub(super) async fn delete_client(context: Context, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    revoke(&context, id).await?;
    Ok(response::no_content())
}
