//! Machine clients in the database.

use std::collections::HashMap;

use diesel::prelude::*;
use jiff::SignedDuration;

use super::keys::JsonWebKeySet;
use super::model::{Client, Secret};
use crate::accounts::model::User;
use crate::accounts::store;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{client_assertions, client_secrets, clients, users};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::paging::{Page, in_order};
use crate::ids::{ClientSecretId, UserId};
use crate::scopes::Scopes;

/// How exact `last_used_at` is.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

type Row = (User, String, Option<String>, Option<Timestamp>);

fn client((user, scopes, jwks, last_used_at): Row, secrets: Vec<Secret>) -> Result<Client> {
    let jwks = jwks.map(|jwks| serde_json::from_str::<JsonWebKeySet>(&jwks)).transpose();
    Ok(Client {
        id: user.id,
        name: user.name.unwrap_or_default(),
        role: user.role,
        scopes: scopes_of(&scopes)?,
        jwks: jwks.map_err(|error| Error::internal("read a client's keys", error))?,
        last_used_at,
        revoked_at: user.disabled_at,
        version: user.version,
        created_at: user.created_at,
        updated_at: user.updated_at,
        secrets,
    })
}

fn scopes_of(text: &str) -> Result<Scopes> {
    text.parse().map_err(|error| Error::internal("read a client's scopes", error))
}

fn written(jwks: Option<&JsonWebKeySet>) -> Result<Option<String>> {
    let text = jwks.map(serde_json::to_string).transpose();
    text.map_err(|error| Error::internal("write a client's keys", error))
}

/// Loads a client.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(conn: &mut Conn, id: UserId, now: Timestamp) -> Result<Client> {
    // Before the client, so that the same statements run for one that does not exist.
    let secrets = secrets(conn, &[id], now)?.remove(&id).unwrap_or_default();
    let row = clients::table
        .inner_join(users::table)
        .filter(clients::user_id.eq(id))
        .select((User::as_select(), clients::scopes, clients::jwks, clients::last_used_at))
        .first(conn)?;
    client(row, secrets)
}

/// Loads a client, locked until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `client_revoked`.
pub fn lock_active(tx: &mut Conn, id: UserId, now: Timestamp) -> Result<Client> {
    store::lock(tx, id)?;
    let client = find(tx, id, now)?;
    if client.revoked_at.is_some() {
        return Err(Error::conflict(ProblemCode::ClientRevoked, "The client is revoked for ever. Create another one."));
    }
    Ok(client)
}

/// Loads a page of clients by creation.
pub fn list(conn: &mut Conn, page: &Page, now: Timestamp) -> Result<Vec<Client>> {
    let all = users::table.inner_join(clients::table).filter(users::is_client);
    let all = all.select((User::as_select(), clients::scopes, clients::jwks, clients::last_used_at)).into_boxed();
    let rows: Vec<Row> = in_order!(all, page, users::created_at, users::id, UserId).load(conn)?;
    let ids: Vec<UserId> = rows.iter().map(|(user, ..)| user.id).collect();
    let mut secrets = secrets(conn, &ids, now)?;
    rows.into_iter()
        .map(|row| {
            let of_client = secrets.remove(&row.0.id).unwrap_or_default();
            client(row, of_client)
        })
        .collect()
}

/// Loads the secrets of clients that work, oldest first.
fn secrets(conn: &mut Conn, ids: &[UserId], now: Timestamp) -> Result<HashMap<UserId, Vec<Secret>>> {
    type Row = (UserId, ClientSecretId, Timestamp, Option<Timestamp>, Option<Timestamp>);
    let rows: Vec<Row> = client_secrets::table
        .filter(client_secrets::client_id.eq_any(ids.to_vec()))
        .filter(client_secrets::ends_at.is_null().or(client_secrets::ends_at.gt(now)))
        .order((client_secrets::created_at, client_secrets::id))
        .select((
            client_secrets::client_id,
            client_secrets::id,
            client_secrets::created_at,
            client_secrets::ends_at,
            client_secrets::last_used_at,
        ))
        .load(conn)?;
    let mut by_client: HashMap<UserId, Vec<Secret>> = HashMap::new();
    for (client, id, created_at, ends_at, last_used_at) in rows {
        by_client.entry(client).or_default().push(Secret { id, created_at, ends_at, last_used_at });
    }
    Ok(by_client)
}

/// Creates a client with its service account.
pub fn insert(
    tx: &mut Conn,
    env: &Env,
    name: &str,
    role: Role,
    scopes: &Scopes,
    jwks: Option<&JsonWebKeySet>,
) -> Result<UserId> {
    let id = store::insert_client(tx, env, name, role)?;
    let new = (clients::user_id.eq(id), clients::scopes.eq(scopes.to_string()), clients::jwks.eq(written(jwks)?));
    diesel::insert_into(clients::table).values(new).execute(tx)?;
    Ok(id)
}

/// Stores the name, scopes, keys and revocation of a client, and increments the version.
pub fn update(tx: &mut Conn, client: &Client, now: Timestamp) -> Result<Client> {
    diesel::update(clients::table.find(client.id))
        .set((clients::scopes.eq(client.scopes.to_string()), clients::jwks.eq(written(client.jwks.as_ref())?)))
        .execute(tx)?;
    let user = store::find(tx, client.id)?;
    let user = User { name: Some(client.name.clone()), disabled_at: client.revoked_at, ..user };
    store::update(tx, &user, now)?;
    find(tx, client.id, now)
}

/// Stores the hash of a new secret.
pub fn insert_secret(tx: &mut Conn, env: &Env, client: UserId, hash: &[u8], now: Timestamp) -> Result<()> {
    diesel::insert_into(client_secrets::table)
        .values((
            client_secrets::id.eq(env.new_id::<ClientSecretId>()),
            client_secrets::client_id.eq(client),
            client_secrets::secret_hash.eq(hash),
            client_secrets::created_at.eq(now),
        ))
        .execute(tx)?;
    Ok(())
}

/// Ends the secrets of a client at an instant, unless they end earlier.
pub fn end_secrets(tx: &mut Conn, client: UserId, at: Timestamp) -> Result<()> {
    let later = client_secrets::ends_at.is_null().or(client_secrets::ends_at.gt(at));
    diesel::update(client_secrets::table.filter(client_secrets::client_id.eq(client)).filter(later))
        .set(client_secrets::ends_at.eq(at))
        .execute(tx)?;
    Ok(())
}

/// Ends a secret now.
///
/// # Errors
/// [`Error::NotFound`] if the client has no such secret that works.
pub fn end_secret(tx: &mut Conn, client: UserId, secret: ClientSecretId, now: Timestamp) -> Result<()> {
    let works = client_secrets::ends_at.is_null().or(client_secrets::ends_at.gt(now));
    let ended = diesel::update(client_secrets::table.find(secret).filter(client_secrets::client_id.eq(client)))
        .filter(works)
        .set(client_secrets::ends_at.eq(now))
        .execute(tx)?;
    if ended == 0 { Err(Error::NotFound) } else { Ok(()) }
}

/// Loads the hashes of a client's secrets that work.
pub fn secret_hashes(conn: &mut Conn, client: UserId, now: Timestamp) -> Result<Vec<(ClientSecretId, Vec<u8>)>> {
    Ok(client_secrets::table
        .filter(client_secrets::client_id.eq(client))
        .filter(client_secrets::ends_at.is_null().or(client_secrets::ends_at.gt(now)))
        .select((client_secrets::id, client_secrets::secret_hash))
        .load(conn)?)
}

/// Loads an active client of this id, if there is one.
pub fn find_active(conn: &mut Conn, id: UserId, now: Timestamp) -> Result<Option<Client>> {
    match find(conn, id, now) {
        Ok(client) => Ok(Some(client).filter(|client| client.revoked_at.is_none())),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Uses an assertion. Returns whether it was not used before.
pub fn use_assertion(tx: &mut Conn, client: UserId, jti_hash: &[u8], expires_at: Timestamp) -> Result<bool> {
    let new = (
        client_assertions::client_id.eq(client),
        client_assertions::jti_hash.eq(jti_hash),
        client_assertions::expires_at.eq(expires_at),
    );
    let insert = diesel::insert_into(client_assertions::table).values(new);
    let inserted = crate::db::per_backend!(tx, conn => insert.on_conflict_do_nothing().execute(conn))?;
    Ok(inserted == 1)
}

/// Notes that a client got a token, and for which secret, unless that was noted in the last minute.
pub fn note_use(tx: &mut Conn, client: UserId, secret: Option<ClientSecretId>, now: Timestamp) -> Result<()> {
    let before = now.minus(USE_NOTED_EVERY);
    diesel::update(clients::table.find(client))
        .filter(clients::last_used_at.is_null().or(clients::last_used_at.lt(before)))
        .set(clients::last_used_at.eq(now))
        .execute(tx)?;
    if let Some(secret) = secret {
        diesel::update(client_secrets::table.find(secret))
            .filter(client_secrets::last_used_at.is_null().or(client_secrets::last_used_at.lt(before)))
            .set(client_secrets::last_used_at.eq(now))
            .execute(tx)?;
    }
    Ok(())
}
