//! A machine client as administrators see it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::keys::JsonWebKeySet;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::http::response::Versioned;
use crate::ids::{ClientSecretId, UserId};
use crate::scopes::{Scope, Scopes};

/// A client from the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Client {
    /// The client's id, and that of its service account.
    pub id: UserId,
    pub name: String,
    pub role: Role,
    /// The scopes that it was granted.
    pub scopes: Scopes,
    /// Its registered public keys.
    pub jwks: Option<JsonWebKeySet>,
    /// When it last got an access token, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked. It never becomes active again.
    pub revoked_at: Option<Timestamp>,
    pub version: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Its secrets that work, oldest first.
    pub secrets: Vec<Secret>,
}

/// A secret of a client, without the secret itself, of which only a hash is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClientSecret)]
pub struct Secret {
    /// The secret's id.
    pub id: ClientSecretId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it stops working. Null until a new one replaces it.
    pub ends_at: Option<Timestamp>,
    /// When an access token was last issued for it, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A machine client.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Client, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": "Telephone system", "role": "front_desk",
    "scopes": ["appointments:write", "slots:read"], "jwks": null,
    "secrets": [{
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "created_at": "2026-03-02T14:00:00Z", "ends_at": null, "last_used_at": null
    }],
    "last_used_at": null, "revoked_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct ClientView {
    /// The `client_id`. It is also the id of the client's account, which the audit trail names.
    pub id: UserId,
    /// The client's name, as the audit trail shows it.
    pub name: String,
    /// Its role: `front_desk` or `admin`.
    pub role: Role,
    /// The scopes that it was granted.
    #[schema(max_items = 22)]
    pub scopes: Vec<Scope>,
    /// Its registered public keys. Null if it has none.
    pub jwks: Option<JsonWebKeySet>,
    /// Its secrets that work, oldest first.
    #[schema(max_items = 5)]
    pub secrets: Vec<Secret>,
    /// When it last got an access token, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked. Null if it is active.
    pub revoked_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        Self {
            id: client.id,
            name: client.name,
            role: client.role,
            scopes: client.scopes.iter().collect(),
            jwks: client.jwks,
            secrets: client.secrets,
            last_used_at: client.last_used_at,
            revoked_at: client.revoked_at,
            created_at: client.created_at,
            updated_at: client.updated_at,
        }
    }
}

impl ClientView {
    /// The client with its version.
    pub fn versioned(client: Client) -> Versioned<Self> {
        Versioned { version: client.version, object: Self::from(client) }
    }
}

/// A machine client, with a secret that was just created.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": "Telephone system", "role": "front_desk",
    "scopes": ["appointments:write", "slots:read"], "jwks": null,
    "secrets": [{
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "created_at": "2026-03-02T14:00:00Z", "ends_at": null, "last_used_at": null
    }],
    "last_used_at": null, "revoked_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "client_secret": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"
}))]
pub struct CreatedClient {
    /// The client.
    #[serde(flatten)]
    pub client: ClientView,
    /// The secret. It is shown only now. Null for a client that was created with public keys.
    pub client_secret: Option<String>,
}
