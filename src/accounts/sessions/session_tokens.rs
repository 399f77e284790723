//! The tokens of a session, as the client gets them.

use serde::Serialize;
use utoipa::ToSchema;

use super::session::OpenSession;
use crate::accounts::model::User;
use crate::accounts::tokens::ACCESS_SECONDS;
use crate::accounts::users::UserView;
use crate::accounts::{Keys, second_factor};
use crate::env::Env;
use crate::error::Result;

/// A session's tokens.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImsxIn0.e30.c2ln", "token_type": "Bearer", "expires_in": 600,
    "enrolment_required": false, "refresh_token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE",
    "device_token": "AZnQwnseeXw6mlE_b2odnFUAAAABMDEyMzQ1Njc4OWFiY2RlZgAGTAySzSAAQYUzjKEJ4tmuPV5nDUSyoJ_Ri2H-ETvuFMwjjtrYxs0",
    "user": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "patient@demo.legwork.example", "name": null, "role": "patient",
        "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"}
}))]
pub struct SessionTokens {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// Whether the user has to set up a second factor before this session can do anything else: see `POST /v1/me/second-factor`.
    enrolment_required: bool,
    /// Renews the tokens, once.
    refresh_token: String,
    /// Store it on the device, also after sign-out, and send it with the next sign-in to this account. Then failed attempts from other
    /// devices do not slow this device down. It gives no access by itself. It ends when the account's password, second factor or address
    /// changes. Null if tokens are renewed, and while `enrolment_required` is true.
    device_token: Option<String>,
    /// The account.
    user: UserView,
}

impl SessionTokens {
    /// Signs an access token for the session.
    pub(super) fn new(
        env: &Env,
        keys: &Keys,
        user: &User,
        session: OpenSession,
        device_token: Option<String>,
    ) -> Result<Self> {
        Ok(Self {
            access_token: keys.tokens.sign(user.id, session.id, env.now())?,
            token_type: "Bearer",
            expires_in: ACCESS_SECONDS,
            enrolment_required: second_factor::is_due(&env.config.settings, user.role, user.second_factor_at),
            refresh_token: session.secret,
            device_token,
            user: UserView::from(user),
        })
    }
}
