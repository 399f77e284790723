//! Accounts as an administrator sees and makes them.

use actix_web::{HttpResponse, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::accounts::admin::invite;
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::sessions::{self, RevokedReason};
use crate::accounts::store::{self, NewUser};
use crate::actor::{Action, Actor, Role};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result, Rule};
use crate::http::etag;
use crate::http::idempotency::{self, Answer, Request};
use crate::http::input::Change;
use crate::http::{Body, Cursor, Endpoints, IdempotencyKey, IfMatch, Limit, Params, Patch, PathId};
use crate::ids::{PractitionerId, UserId};
use crate::messages::model::MessageKind;
use crate::messages::outbox;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_user).service(list_users).service(get_user).service(update_user);
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "desk@clinic.example", "name": "Dana Desk", "role": "front_desk",
    "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
    "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct UserDto {
    /// The account's id.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The holder's name; null where the account is a patient's own.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// The doctor whose account it is.
    pub practitioner_id: Option<PractitionerId>,
    /// Whether the address was shown to be theirs.
    pub email_verified: bool,
    /// Whether signing in takes a code besides the password.
    pub second_factor: bool,
    /// Whether it is an account of the staff whose owner has not accepted the invitation yet.
    pub invited: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<&User> for UserDto {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            name: user.name.clone(),
            role: user.role,
            practitioner_id: user.practitioner_id,
            email_verified: user.email_verified_at.is_some(),
            second_factor: user.second_factor_at.is_some(),
            invited: user.role.is_staff() && user.password_hash.is_none(),
            disabled: user.disabled_at.is_some(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// The name of a person on the staff.
fn parse_name(name: &str) -> Result<String, Rule> {
    crate::text::one_line(name, 200)
}

/// A doctor's account belongs to a doctor, and no other account does.
fn check_practitioner(check: &mut Check, role: Role, practitioner: Option<PractitionerId>) {
    check.require(
        (role == Role::Practitioner) == practitioner.is_some(),
        "/practitioner_id",
        "role_mismatch",
        "must be there for the role practitioner, and for no other",
    );
}

/// A staff account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "desk@clinic.example", "name": "Dana Desk", "role": "front_desk"}))]
struct NewStaffUser {
    /// Where the invitation goes.
    #[schema(max_length = 254)]
    email: String,
    /// The person's name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `front_desk`, `practitioner` or `admin`.
    role: Role,
    /// The doctor whose account it is; for the role `practitioner` only.
    practitioner_id: Option<PractitionerId>,
}

impl NewStaffUser {
    fn parse(&self) -> Result<NewUser> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        let name = check.field("/name", parse_name(&self.name));
        check.require(self.role.is_staff(), "/role", "not_an_option", "patients make their accounts themselves");
        if self.role.is_staff() {
            check_practitioner(&mut check, self.role, self.practitioner_id);
        }
        check.done()?;
        Ok(NewUser {
            email: email.ok_or(Error::NotFound)?,
            name,
            role: self.role,
            practitioner_id: self.practitioner_id,
            password_hash: None,
            preferred_language: "en".into(),
        })
    }
}

/// Invite somebody to the staff
///
/// Makes the account and mails its owner a link, good for a week, with which they set a password.
#[utoipa::path(
    tag = "users",
    operation_id = "create_user",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value makes nothing more", max_length = 255)),
    request_body = NewStaffUser,
    responses(
        (status = 201, description = "The account", body = UserDto),
        (status = 409, description = "`email_taken`: the address has an account; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/users")]
async fn create_user(
    env: web::Data<Env>,
    actor: Actor,
    key: IdempotencyKey,
    body: Body<NewStaffUser>,
) -> Result<HttpResponse> {
    actor.require(Action::UserManage)?;
    let (shared, new) = (env.clone(), body.parse()?);
    let request = Request::of(&actor, "create_user".into(), key, &body.raw);
    idempotency::run(&env, request, move |tx| {
        if let Some(practitioner) = new.practitioner_id {
            store::require_practitioner(tx, practitioner)?;
        }
        let user = store::insert(tx, &shared, &new)?;
        outbox::require_room(tx, &shared, &user.email, MessageKind::Invitation)?;
        invite(tx, &shared, &user)?;
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        Answer::created(format!("/v1/users/{}", user.id), user.version, &UserDto::from(&user))
    })
    .await
}

/// Which accounts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UserFilter {
    /// Only accounts of this role.
    role: Option<Role>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 255)]
    cursor: Option<String>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct UserPage {
    /// The accounts, oldest first.
    items: Vec<UserDto>,
    /// Pass it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// List accounts
///
/// Staff and patients, oldest first.
#[utoipa::path(
    tag = "users",
    operation_id = "list_users",
    security(("bearer" = [])),
    params(UserFilter),
    responses((status = 200, description = "The accounts", body = UserPage)),
)]
#[get("/v1/users")]
async fn list_users(env: web::Data<Env>, actor: Actor, filter: Params<UserFilter>) -> Result<HttpResponse> {
    actor.require(Action::UserManage)?;
    let UserFilter { role, cursor, limit } = filter.0;
    let (after, limit) = (Cursor::read(cursor.as_deref(), "users")?, Limit::new(limit)?);
    let users = env.db.read(move |conn| store::list(conn, role, after, limit)).await?;
    let (users, next_cursor) = limit.page(users, "users", |user| (user.created_at, user.id.0));
    Ok(HttpResponse::Ok().json(UserPage { items: users.iter().map(UserDto::from).collect(), next_cursor }))
}

/// Read an account
///
/// With the ETag that a change must show.
#[utoipa::path(
    tag = "users",
    operation_id = "get_user",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account")),
    responses((status = 200, description = "The account", body = UserDto)),
)]
#[get("/v1/users/{id}")]
async fn get_user(env: web::Data<Env>, actor: Actor, id: PathId<UserId>) -> Result<HttpResponse> {
    actor.require(Action::UserManage)?;
    let user = env.db.read(move |conn| store::find(conn, id.0)).await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(user.version)).json(UserDto::from(&user)))
}

/// Changes of an account.
#[derive(Deserialize, ToSchema, Clone)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"disabled": true}))]
struct UserPatch {
    /// The name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    name: Change<String>,
    /// Another role on the staff. A patient stays a patient.
    #[serde(default)]
    #[schema(value_type = Option<Role>)]
    role: Change<Role>,
    /// The doctor whose account it is.
    #[serde(default)]
    #[schema(value_type = Option<PractitionerId>)]
    practitioner_id: Change<PractitionerId>,
    /// Whether the account is switched off.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    disabled: Change<bool>,
}

impl UserPatch {
    /// The account as it would be.
    fn apply(self, user: &User, now: Timestamp) -> Result<User> {
        let mut check = Check::new();
        let mut changed = user.clone();
        if let Change::Set(name) = &self.name {
            check.field("/name", parse_name(name));
        }
        self.name.apply(&mut changed.name);
        changed.name = changed.name.map(|name| name.trim().to_owned());
        check.field("/role", self.role.apply_required(&mut changed.role));
        check.require(
            changed.role.is_staff() == user.role.is_staff(),
            "/role",
            "not_an_option",
            "a patient stays a patient, and staff stay staff",
        );
        self.practitioner_id.apply(&mut changed.practitioner_id);
        check_practitioner(&mut check, changed.role, changed.practitioner_id);
        let mut disabled = user.disabled_at.is_some();
        check.field("/disabled", self.disabled.apply_required(&mut disabled));
        changed.disabled_at = disabled.then(|| user.disabled_at.unwrap_or(now));
        check.done()?;
        Ok(changed)
    }
}

fn update(tx: &mut Conn, env: &Env, id: UserId, if_match: &IfMatch, patch: UserPatch) -> Result<User> {
    let user = store::lock(tx, id)?;
    if_match.check(user.version)?;
    let now = env.now();
    let changed = patch.apply(&user, now)?;
    if changed == user {
        return Ok(user);
    }
    if let Some(practitioner) = changed.practitioner_id {
        store::require_practitioner(tx, practitioner)?;
    }
    let was_admin = user.role == Role::Admin && user.disabled_at.is_none();
    if was_admin && (changed.role != Role::Admin || changed.disabled_at.is_some()) {
        store::require_another_admin(tx, id)?;
    }
    if changed.disabled_at.is_some() && user.disabled_at.is_none() {
        sessions::revoke_all(tx, id, RevokedReason::Disabled, now)?;
    }
    let may_do = |user: &User| (user.role, user.practitioner_id, user.disabled_at.is_some());
    if may_do(&changed) != may_do(&user) {
        idempotency::forget(tx, id)?;
    }
    store::update(tx, &changed, now)
}

/// Change an account
///
/// Another name or role, another doctor, or on and off. It takes effect at once: switching off ends every session.
#[utoipa::path(
    tag = "users",
    operation_id = "update_user",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "The account"),
        ("If-Match" = String, Header, description = "The ETag of the version that you read"),
    ),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The account as it is now", body = UserDto),
        (status = 409, description = "`last_admin`: no other administrator could sign in any more"),
    ),
)]
#[patch("/v1/users/{id}")]
async fn update_user(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<UserId>,
    if_match: IfMatch,
    body: Patch<UserPatch>,
) -> Result<HttpResponse, actix_web::Error> {
    actor.require(Action::UserManage)?;
    let if_match = if_match.required()?;
    let shared = env.clone();
    let user = env
        .db
        .write(move |tx| {
            let user = update(tx, &shared, id.0, &if_match, body.0.clone())?;
            audit::record(tx, &shared, &actor.trail, user.id.0)?;
            Ok(user)
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(user.version)).json(UserDto::from(&user)))
}
