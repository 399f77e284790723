//! Accounts as an administrator sees and manages them.

use actix_web::{HttpResponse, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{EmailAddress, Purpose, User};
use super::sessions::revoking::{RevokedReason, revoke_all};
use super::store::{self, NewAccount};
use super::{notices, one_time};
use crate::actor::{Action, Role};
use crate::clock::Timestamp;
use crate::context::{self, Context, Once, Tx, access_lock};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, FieldCode, Result, Rule};
use crate::http::etag::IfMatch;
use crate::http::input::Change;
use crate::http::paging::{Direction, PageParams, sort_options};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, Patch, PathId};
use crate::ids::{PractitionerId, UserId};
use crate::messages::model::{Mail, MessageKind};
use crate::messages::outbox;
use crate::role::StaffRole;

/// The list's name in cursors.
const LIST: &str = "users";

/// An account.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = User, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "desk@clinic.example", "name": "Dana Desk", "role": "front_desk",
    "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
    "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct UserView {
    /// The account's id.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// The owner's name. Null for patients, whose name is in their record.
    pub name: Option<String>,
    /// The account's role.
    pub role: Role,
    /// The practitioner whose account it is. Null for other roles.
    pub practitioner_id: Option<PractitionerId>,
    /// Whether the owner has proved control of the address.
    pub email_verified: bool,
    /// Whether signing in takes a code besides the password.
    pub second_factor: bool,
    /// Whether it is an account of staff whose owner has not set a password yet.
    pub invited: bool,
    /// Whether it is disabled.
    pub disabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<&User> for UserView {
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

impl UserView {
    fn versioned(user: &User) -> Versioned<Self> {
        Versioned { version: user.version, object: Self::from(user) }
    }
}

/// Normalises the name of a member of staff.
fn parse_name(name: &str) -> Result<String, Rule> {
    text::one_line(name, 200)
}

/// Requires a practitioner for the role practitioner, and none for other roles.
fn check_practitioner(check: &mut Check, role: Role, practitioner: Option<PractitionerId>) {
    check.require(
        (role == Role::Practitioner) == practitioner.is_some(),
        "/practitioner_id",
        FieldCode::RoleMismatch,
        "must be set for the role practitioner, and for no other role",
    );
}

/// An account of staff to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "desk@clinic.example", "name": "Dana Desk", "role": "front_desk"}))]
pub struct NewUser {
    /// The address. The invitation goes there.
    #[schema(max_length = 254)]
    email: String,
    /// The owner's name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The role.
    role: StaffRole,
    /// The practitioner whose account it is. For the role `practitioner` only.
    practitioner_id: Option<PractitionerId>,
}

impl NewUser {
    fn checked(&self) -> Result<NewAccount> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        let name = check.field("/name", parse_name(&self.name));
        check_practitioner(&mut check, self.role.into(), self.practitioner_id);
        check.done()?;
        Ok(NewAccount {
            email: email.ok_or(Error::NotFound)?,
            name,
            role: self.role.into(),
            practitioner_id: self.practitioner_id,
            password_hash: None,
            preferred_language: "en".into(),
        })
    }
}

/// Creates an account of staff and mails its owner an invitation.
///
/// # Errors
/// The conflict `email_taken`; [`Error::TooMany`] if the mailbox got too many invitations.
pub async fn create(context: &Context, once: Once, new: NewUser) -> Result<Versioned<UserView>> {
    context.require(Action::UserManage)?;
    let new = new.checked()?;
    context
        .change_once(once, move |tx| {
            if let Some(practitioner) = new.practitioner_id {
                store::require_practitioner(tx.conn, practitioner)?;
            }
            store::take_from_registration(tx.conn, &new.email, tx.now)?;
            let user = store::insert(tx.conn, tx.env, &new)?;
            outbox::require_room(tx.conn, tx.env, &user.email, MessageKind::Invitation, false)?;
            send_invitation(tx.conn, tx.env, &user)?;
            tx.audit.note_object(user.id.0);
            Ok(UserView::versioned(&user))
        })
        .await
}

/// Mails an account a link to set its password. A request of staff checks first whether the mailbox has room
/// ([`outbox::require_room`]).
pub fn send_invitation(tx: &mut Conn, env: &Env, user: &User) -> Result<()> {
    let token = one_time::issue(tx, env, user.id, Purpose::Invitation)?;
    notices::send(tx, env, user.recipient(), Mail::Invitation { token })
}

/// The accounts to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// Only accounts of this role.
    role: Option<Role>,
    /// The order. Default: `created_at`, oldest first.
    #[param(inline)]
    sort: Option<UserSort>,
}

sort_options! {
    /// The order of a list of accounts.
    UserSort by "created_at" or "-created_at"
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct UserPage {
    /// The accounts, oldest first by default.
    pub items: Vec<UserView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// Lists accounts of staff and patients.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list(context: &Context, filter: UserFilter, page: PageParams) -> Result<UserPage> {
    context.require(Action::UserManage)?;
    let page = page.sorted(LIST, filter.sort.map_or(Direction::Ascending, Into::into))?;
    let users = context.read(move |tx| {
        let users = store::list(tx.conn, filter.role, &page)?;
        tx.audit.note_shown(store::patients_of(tx.conn, &users)?);
        Ok(users)
    });
    let (users, next_cursor) = page.cut(users.await?, |user| (user.created_at, user.id.0));
    Ok(UserPage { items: users.iter().map(UserView::from).collect(), next_cursor })
}

/// Reads an account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: UserId) -> Result<Versioned<UserView>> {
    context.require(Action::UserManage)?;
    context
        .read(move |tx| {
            let user = store::find_person(tx.conn, id)?;
            tx.audit.note_shown(store::patients_of(tx.conn, std::slice::from_ref(&user))?);
            Ok(UserView::versioned(&user))
        })
        .await
}

/// Changes of an account.
#[derive(Deserialize, ToSchema, Clone)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"disabled": true}))]
pub struct UserPatch {
    /// The name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    name: Change<String>,
    /// The role. A patient's account cannot become a staff account, nor the other way round.
    #[serde(default)]
    #[schema(value_type = Option<Role>)]
    role: Change<Role>,
    /// The practitioner whose account it is.
    #[serde(default)]
    #[schema(value_type = Option<PractitionerId>)]
    practitioner_id: Change<PractitionerId>,
    /// Whether the account is disabled.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    disabled: Change<bool>,
}

impl UserPatch {
    /// The account after the change.
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
            FieldCode::NotAnOption,
            "an account of a patient cannot become one of staff, nor the reverse",
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

/// Changes an account.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; broken rules; the conflict `last_admin`.
pub async fn update(context: &Context, id: UserId, if_match: IfMatch, patch: UserPatch) -> Result<Versioned<UserView>> {
    context.require(Action::UserManage)?;
    let if_match = if_match.required()?;
    context
        .change(move |tx| {
            access_lock::wait(tx.conn, id)?;
            let user = store::lock_person(tx.conn, id)?;
            if_match.check(user.version)?;
            let changed = patch.clone().apply(&user, tx.now)?;
            let stored = if changed == user { user } else { store_change(tx, &user, &changed)? };
            Ok(UserView::versioned(&stored))
        })
        .await
}

/// Stores the changes of an account that is locked, with what follows from them.
fn store_change(tx: &mut Tx, user: &User, changed: &User) -> Result<User> {
    if let Some(practitioner) = changed.practitioner_id {
        store::require_practitioner(tx.conn, practitioner)?;
    }
    let was_admin = user.role == Role::Admin && user.disabled_at.is_none();
    if was_admin && (changed.role != Role::Admin || changed.disabled_at.is_some()) {
        store::require_another_admin(tx.conn, user.id)?;
    }
    if changed.disabled_at.is_some() && user.disabled_at.is_none() {
        revoke_all(tx.conn, user.id, RevokedReason::Disabled, tx.now)?;
        store::end_earlier_credentials(tx.conn, user.id, tx.now)?;
    }
    let permissions = |user: &User| (user.role, user.practitioner_id, user.disabled_at.is_some());
    if permissions(changed) != permissions(user) {
        context::forget(tx.conn, user.id)?;
    }
    store::update(tx.conn, changed, tx.now)
}

/// Invite a member of staff
///
/// Creates the account and mails its owner a link to set a password. The link works for a week.
#[utoipa::path(
    tag = "users",
    operation_id = "create_user",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewUser,
    responses(
        (status = 201, description = "The account", body = UserView),
        (status = 409, description = "`email_taken`: the address has an account"),
    ),
)]
#[post("/v1/users")]
pub(super) async fn create_user(context: Context, key: IdempotencyKey, body: Body<NewUser>) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/users/{}", created.object.id), &created))
}

/// List accounts
///
/// Staff and patients, oldest first.
#[utoipa::path(
    tag = "users",
    operation_id = "list_users",
    security(("bearer" = [])),
    params(UserFilter, PageParams),
    responses((status = 200, description = "The accounts", body = UserPage)),
)]
#[get("/v1/users")]
pub(super) async fn list_users(
    context: Context,
    Params(filter): Params<UserFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}

/// Read an account
///
/// The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "users",
    operation_id = "get_user",
    security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The account")),
    responses((status = 200, description = "The account", body = UserView)),
)]
#[get("/v1/users/{id}")]
pub(super) async fn get_user(context: Context, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Change an account
///
/// Changes the name, the role or the practitioner, and disables or enables the account. Takes effect at once: disabling ends every
/// session.
#[utoipa::path(
    tag = "users",
    operation_id = "update_user",
    security(("bearer" = [])),
    params(
        ("id" = UserId, Path, description = "The account"),
        ("If-Match" = String, Header),
    ),
    request_body(content = UserPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The changed account", body = UserView),
        (status = 409, description = "`last_admin`: no other administrator could sign in"),
    ),
)]
#[patch("/v1/users/{id}")]
pub(super) async fn update_user(
    context: Context,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    Patch(patch): Patch<UserPatch>,
) -> Result<HttpResponse> {
    let changed = update(&context, id, if_match, patch).await?;
    Ok(response::versioned(&changed))
}
