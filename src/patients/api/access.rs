//! Who may act for a patient.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::model::{EmailAddress, User};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey, PathId};
use crate::ids::{PatientId, UserId};
use crate::patients::access::{self, Access};
use crate::patients::model::Relation;
use crate::patients::{invitations, store};

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_access).service(grant_access).service(revoke_access);
}

/// That somebody may act for a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": "Rosa Example", "email": "rosa@example.org", "relation": "parent",
    "relation_verified": true, "verified_at": "2026-03-02T14:00:00Z", "granted_by": null, "created_at": "2026-03-01T14:00:00Z",
    "ends_on": "2028-07-04", "ended": false
}))]
struct AccessDto {
    /// The account.
    user_id: UserId,
    /// Its holder's name, as far as it is known.
    name: Option<String>,
    /// Its address; for staff, and for the account itself.
    email: Option<String>,
    /// What its holder is to the patient.
    relation: Relation,
    /// Whether the clinic's staff have seen that it is so; always true for `self`.
    relation_verified: bool,
    /// Since when it is verified.
    verified_at: Option<Timestamp>,
    /// The member of the staff who gave the access; for staff only, and null where the account brought the record itself.
    granted_by: Option<UserId>,
    /// Since when.
    created_at: Timestamp,
    /// The patient's birthday with which it ends, as they come of age then; null where it does not end by itself.
    ends_on: Option<Date>,
    /// Whether it has ended so; only staff are shown such.
    ended: bool,
}

impl AccessDto {
    fn of(conn: &mut Conn, env: &Env, actor: &Actor, access: Access, user: User) -> Result<Self> {
        let name = access::holder_names(conn, user.id)?.into_iter().next();
        let staff = actor.role.is_staff();
        Ok(Self {
            user_id: user.id,
            name,
            email: (staff || actor.user_id == user.id).then_some(user.email),
            relation: access.relation,
            relation_verified: access.verified_at.is_some(),
            verified_at: access.verified_at,
            granted_by: access.granted_by.filter(|_| staff),
            created_at: access.created_at,
            ends_on: access.ends_on,
            ended: !access.stands(env.now()),
        })
    }
}

/// Who may act for a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct AccessPage {
    /// Each account, in the order in which it was given access.
    items: Vec<AccessDto>,
    /// Always null: there is one page.
    next_cursor: Option<String>,
}

/// Who may act for a patient
///
/// The accounts that may read the patient's record, book and fill in forms for them. Patients and those who act for them see whom the
/// patient shares with, by name; staff see the addresses too, and what has ended.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_access",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The accounts", body = AccessPage)),
)]
#[get("/v1/patients/{id}/access")]
async fn list_access(env: web::Data<Env>, actor: Actor, id: PathId<PatientId>) -> Result<HttpResponse> {
    actor.require(Action::AccessRead)?;
    let shared = env.clone();
    let items = env
        .db
        .read(move |conn| {
            let patient = store::visible(conn, &shared, &actor, id.0)?;
            let (now, staff) = (shared.now(), actor.role.is_staff());
            access::of_patient(conn, patient.id)?
                .into_iter()
                .filter(|(access, _)| staff || access.stands(now))
                .map(|(access, user)| AccessDto::of(conn, &shared, &actor, access, user))
                .collect::<Result<_>>()
        })
        .await?;
    Ok(HttpResponse::Ok().json(AccessPage { items, next_cursor: None }))
}

/// Who shall act for a patient.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "rosa@example.org", "relation": "parent"}))]
pub(super) struct AccessInput {
    /// The account's address.
    #[schema(max_length = 254)]
    email: String,
    /// What its holder is to the patient.
    relation: Relation,
}

impl AccessInput {
    /// Reads it.
    pub(super) fn parse(&self) -> Result<(EmailAddress, Relation)> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        check.done()?;
        Ok((email.ok_or_else(|| Error::fault("an address without a fault is there"))?, self.relation))
    }
}

/// Let an account act for a patient
///
/// Staff link the verified account of somebody whom they know, and vouch for the relation. For an account that may act already this
/// verifies the relation, or changes it. Somebody without an account is invited instead.
#[utoipa::path(
    tag = "patients",
    operation_id = "grant_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value gives nothing more", max_length = 255),
    ),
    request_body = AccessInput,
    responses(
        (status = 201, description = "The account may act for the patient; `Location` is the list that it stands in", body = AccessDto),
        (status = 409, description = "`account_is_staff`: the address is that of a member of the staff; `other_relation`: the account \
            is somebody else's to this patient; `own_account_exists`: the patient has another account of their own; \
            `own_record_exists`: the account's holder has another record: take its `self` access off that one first; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients/{id}/access")]
async fn grant_access(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<AccessInput>,
) -> Result<HttpResponse> {
    actor.require(Action::AccessGrant)?;
    let (email, relation) = body.parse()?;
    let (shared, id) = (env.clone(), id.0);
    let operation = format!("grant_patient_access {id}");
    let request = Request { actor: Some(actor.user_id), operation, key, body: &body.raw };
    idempotency::run(&env, request, move |tx| {
        let (access, user) = invitations::link(tx, &shared, &actor, id, &email, relation)?;
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        let dto = AccessDto::of(tx, &shared, &actor, access, user)?;
        Answer::created(format!("/v1/patients/{id}/access"), 1, &dto)
    })
    .await
}

/// Take access back
///
/// At once: the account's next request finds no such patient. Invitations that its address has not accepted yet are void as well.
#[utoipa::path(
    tag = "patients",
    operation_id = "revoke_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("user_id" = UserId, Path, description = "The account"),
    ),
    responses((status = 204, description = "The account may not act for the patient any more")),
)]
#[delete("/v1/patients/{id}/access/{user_id}")]
async fn revoke_access(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    actor.require(Action::AccessGrant)?;
    let user: UserId = path.1.parse().map_err(|_| Error::NotFound)?;
    let shared = env.clone();
    env.db
        .write(move |tx| {
            actor.trail.note_patient(id.0);
            audit::record(tx, &shared, &actor.trail, user.0)?;
            invitations::unlink(tx, &shared, id.0, user)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
