//! Setting up, renewing and switching off the second factor.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::authentication::SignedIn;
use crate::accounts::proof::{self, Doubt, Proof};
use crate::accounts::{Keys, second_factor, store};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Body, Endpoints, PathId};
use crate::ids::UserId;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(get_second_factor)
        .service(begin_second_factor)
        .service(confirm_second_factor)
        .service(renew_recovery_codes)
        .service(disable_second_factor)
        .service(reset_second_factor);
}

/// Where the second factor of an account stands.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"enabled": true, "since": "2026-03-02T14:00:00Z", "required": true, "recovery_codes_left": 10}))]
struct SecondFactorDto {
    /// Whether signing in takes a code besides the password.
    enabled: bool,
    /// Since when; null while it does not.
    since: Option<Timestamp>,
    /// Whether the clinic asks for it of this account.
    required: bool,
    /// How many recovery codes were not used yet.
    #[schema(minimum = 0, maximum = 10)]
    recovery_codes_left: i64,
}

/// Read where my second factor stands
///
/// Also for a session that can do nothing else yet.
#[utoipa::path(
    tag = "second factor",
    operation_id = "get_second_factor",
    security(("bearer" = [])),
    responses((status = 200, description = "Where it stands", body = SecondFactorDto)),
)]
#[get("/v1/me/second-factor")]
async fn get_second_factor(env: web::Data<Env>, SignedIn(actor): SignedIn) -> Result<HttpResponse> {
    let shared = env.clone();
    let state = env
        .db
        .read(move |conn| {
            let user = store::find(conn, actor.user_id)?;
            Ok(SecondFactorDto {
                enabled: user.second_factor_at.is_some(),
                since: user.second_factor_at,
                required: second_factor::is_due(&shared.config.settings, user.role, None),
                recovery_codes_left: second_factor::recovery_codes_left(conn, user.id)?,
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(state))
}

/// Who wants an authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn"}))]
struct SecondFactorStart {
    /// The password, again.
    #[schema(max_length = 128)]
    current_password: String,
}

/// What an authenticator app is given. It is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "otpauth_uri": "otpauth://totp/Legwork%20Vein%20Clinic:desk%40clinic.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Legwork%20Vein%20Clinic",
    "qr_svg": "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"240\" height=\"240\"/>"
}))]
struct SecondFactorProvision {
    /// The secret in base 32, for apps that it is typed into.
    secret: String,
    /// The same as a URI that apps open.
    otpauth_uri: String,
    /// The same as a QR code that apps scan: an SVG document.
    qr_svg: String,
}

/// Begin to set up an authenticator app
///
/// Gives the app's secret, once; confirm a code of it within half an hour. Asking again voids an earlier secret that was not
/// confirmed. Also for a session that can do nothing else yet.
#[utoipa::path(
    tag = "second factor",
    operation_id = "begin_second_factor",
    security(("bearer" = [])),
    request_body = SecondFactorStart,
    responses(
        (status = 200, description = "The secret", body = SecondFactorProvision),
        (status = 409, description = "`second_factor_on`: it is set up already"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/me/second-factor")]
async fn begin_second_factor(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    SignedIn(actor): SignedIn,
    body: Body<SecondFactorStart>,
) -> Result<HttpResponse> {
    let proof = Proof { password: body.value.current_password, code: None };
    let user_id = actor.user_id;
    // Whoever has one would else be asked for a code of it.
    env.db.read(move |conn| second_factor::require_off(&store::find(conn, user_id)?)).await?;
    let shared = env.clone();
    let begin = proof::of_user(&env, &keys, user_id, proof, move |tx, user| {
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        second_factor::begin(tx, &shared, user)
    });
    let provision = begin.await?;
    Ok(HttpResponse::Ok().json(SecondFactorProvision {
        secret: provision.secret,
        otpauth_uri: provision.uri,
        qr_svg: provision.qr_svg,
    }))
}

/// A code of the app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"totp_code": "287082"}))]
struct SecondFactorCode {
    /// Six digits.
    #[schema(max_length = 64)]
    totp_code: String,
}

/// Recovery codes. They are shown this once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"recovery_codes": ["7K2M-9QXD-4HTB-0WNE-6RGA-3YPC"]}))]
struct RecoveryCodes {
    /// Each is good once, where a code of the app is asked for.
    recovery_codes: Vec<String>,
}

/// Confirm the authenticator app
///
/// Takes a code of the new secret. From then on signing in takes a code; every other session of the account ends, and its owner
/// is told by mail. The answer has ten recovery codes, to be kept apart from the app.
#[utoipa::path(
    tag = "second factor",
    operation_id = "confirm_second_factor",
    security(("bearer" = [])),
    request_body = SecondFactorCode,
    responses(
        (status = 200, description = "It is on", body = RecoveryCodes),
        (status = 409, description = "`no_enrolment`: no secret was asked for within the last half hour; `second_factor_on`: it is on already"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/me/second-factor/confirm")]
async fn confirm_second_factor(
    env: web::Data<Env>,
    SignedIn(actor): SignedIn,
    body: Body<SecondFactorCode>,
) -> Result<HttpResponse> {
    let (shared, code) = (env.clone(), body.value.totp_code);
    let confirmed = env
        .db
        .write(move |tx| {
            let confirmed = second_factor::confirm(tx, &shared, &actor, &code)?;
            if confirmed.is_some() {
                audit::record(tx, &shared, &actor.trail, actor.user_id.0)?;
            }
            Ok(confirmed)
        })
        .await?;
    let recovery_codes = confirmed.ok_or_else(|| Doubt::Code.in_form())?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// Who one is, shown again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn", "totp_code": "287082"}))]
struct ShownAgain {
    /// The password.
    #[schema(max_length = 128)]
    current_password: String,
    /// Six digits of the app, or a recovery code.
    #[schema(max_length = 64)]
    totp_code: String,
}

impl ShownAgain {
    fn proof(self) -> Proof {
        Proof { password: self.current_password, code: Some(self.totp_code) }
    }
}

/// Make new recovery codes
///
/// The old ones no longer work, and the account's owner is told by mail.
#[utoipa::path(
    tag = "second factor",
    operation_id = "renew_recovery_codes",
    security(("bearer" = [])),
    request_body = ShownAgain,
    responses(
        (status = 200, description = "The new codes", body = RecoveryCodes),
        (status = 409, description = "`second_factor_off`: there is no second factor"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/me/second-factor/recovery-codes")]
async fn renew_recovery_codes(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    actor: Actor,
    body: Body<ShownAgain>,
) -> Result<HttpResponse> {
    let (shared, proof) = (env.clone(), body.value.proof());
    let renew = proof::of_user(&env, &keys, actor.user_id, proof, move |tx, user| {
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        second_factor::regenerate(tx, &shared, user)
    });
    let recovery_codes = renew.await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// Switch the second factor off
///
/// For a new phone, say. Where the clinic asks for a second factor, the session can then do nothing but set up another.
#[utoipa::path(
    tag = "second factor",
    operation_id = "disable_second_factor",
    security(("bearer" = [])),
    request_body = ShownAgain,
    responses(
        (status = 204, description = "It is off"),
        (status = 409, description = "`second_factor_off`: there is no second factor"),
        (status = 429, description = "`too_many_attempts`: too many failed; see Retry-After"),
    ),
)]
#[post("/v1/me/second-factor/disable")]
async fn disable_second_factor(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    actor: Actor,
    body: Body<ShownAgain>,
) -> Result<HttpResponse> {
    let (shared, proof) = (env.clone(), body.value.proof());
    proof::of_user(&env, &keys, actor.user_id, proof, move |tx, user| {
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        second_factor::disable(tx, &shared, user)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Take somebody's second factor away
///
/// For who lost their phone and their recovery codes: make sure that it is them. Their sessions end, and they are told by mail.
/// One's own is switched off with a code.
#[utoipa::path(
    tag = "second factor",
    operation_id = "reset_second_factor",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account")),
    responses(
        (status = 204, description = "The account has no second factor"),
        (status = 409, description = "`own_account`: it is your own"),
    ),
)]
#[delete("/v1/users/{id}/second-factor")]
async fn reset_second_factor(env: web::Data<Env>, actor: Actor, id: PathId<UserId>) -> Result<HttpResponse> {
    actor.require(Action::UserManage)?;
    if id.0 == actor.user_id {
        // A stolen session must not be enough to be rid of it.
        return Err(Error::conflict("own_account", "Switch your own second factor off with a code of it."));
    }
    let shared = env.clone();
    env.db
        .write(move |tx| {
            audit::record(tx, &shared, &actor.trail, id.0.0)?;
            second_factor::reset(tx, &shared, id.0)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
