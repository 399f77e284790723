//! Machine clients: OAuth 2.0 client credentials, scopes, secrets and assertions.

mod assertions;
mod keys;
mod scopes;
mod secrets;
mod tokens;

use serde_json::{Value, json};

use crate::support::{App, Client, Reply};

/// A client that an administrator has created.
pub struct Machine {
    pub id: String,
    /// Empty for a client with keys.
    pub secret: String,
}

impl Machine {
    /// Creates a client of the front desk with these scopes.
    pub async fn new(app: &App, scopes: &[&str]) -> Self {
        Self::of(app, json!({"name": "Telephone system", "role": "front_desk", "scopes": scopes})).await
    }

    pub async fn of(app: &App, body: Value) -> Self {
        let created = app.admin().await.post("/v1/clients", body).await;
        let id = created.expect(201).id();
        Self { id, secret: created.body["client_secret"].as_str().unwrap_or_default().to_owned() }
    }

    /// The form with the id and the secret, and further fields.
    pub fn form<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [("grant_type", GRANT), ("client_id", self.id.as_str()), ("client_secret", self.secret.as_str())];
        own.into_iter().chain(more.iter().copied()).collect()
    }

    /// Signs in with all scopes.
    pub async fn caller(&self, app: &App) -> Client {
        let token = ask(app, &self.form(&[])).await.expect(200).string("/access_token");
        app.anon().with_token(&token)
    }

    /// The path of the client, followed by `rest`.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/clients/{}{rest}", self.id)
    }
}

pub const GRANT: &str = "client_credentials";
pub const TOKEN: &str = "/oauth2/token";

/// Asks for a token with this form.
pub async fn ask(app: &App, form: &[(&str, &str)]) -> Reply {
    app.anon().post_form(TOKEN, form, &[]).await
}

/// Fails unless this is an error of OAuth.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, error: &str) {
    reply.expect(status);
    assert_eq!(reply.body["error"], error, "{}", reply.text);
    assert!(reply.body["error_description"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "no-store"));
    assert_eq!(reply.header("www-authenticate").starts_with("Basic "), status == 401, "{:?}", reply.headers);
}

/// Fails unless the operation is closed to the client.
#[track_caller]
pub fn lacks_scope(reply: &Reply, scope: Option<&str>) {
    reply.problem(403, "insufficient_scope");
    let scope = scope.map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
    assert_eq!(reply.header("www-authenticate"), format!("Bearer error=\"insufficient_scope\"{scope}"));
}
