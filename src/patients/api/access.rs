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
use crate::patients::{care, giving, invitations, store};
use crate::trail::Trail;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(list_access)
        .service(grant_access)
        .service(confirm_access)
        .service(revoke_access)
        .service(object_to_access);
}

/// That somebody may act for a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": "Rosa Example", "email": "rosa@example.org", "relation": "parent",
    "relation_verified": true, "verified_at": "2026-03-02T14:00:00Z", "granted_by": null, "created_at": "2026-03-01T14:00:00Z",
    "ends_on": "2028-07-04", "ended": false, "confirmation_required": false, "confirmed_at": null, "confirmed_by": null,
    "stopped_at": null
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
    /// Whether it has ended, on that birthday or because it was stopped. Only staff see such access.
    ended: bool,
    /// Whether it waits for a second member of the staff. Until then the account may not act for the patient.
    confirmation_required: bool,
    /// When the second member of the staff confirmed it.
    confirmed_at: Option<Timestamp>,
    /// The member of the staff who confirmed it. For staff only.
    confirmed_by: Option<UserId>,
    /// When the patient, or another account that acts for the patient, stopped it.
    stopped_at: Option<Timestamp>,
}

impl AccessDto {
    fn of(conn: &mut Conn, env: &Env, actor: &Actor, access: Access, user: User) -> Result<Self> {
        let name = access::holder_names(conn, user.id)?.into_iter().next();
        let (now, staff) = (env.now(), actor.role.is_staff());
        let confirmation_required = access.is_pending(now);
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
            ended: !access.stands(now) && !confirmation_required,
            confirmation_required,
            confirmed_at: access.confirmed_at,
            confirmed_by: access.confirmed_by.filter(|_| staff),
            stopped_at: access.stopped_at,
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
/// The accounts that may read the patient's record, book and fill in forms for them, and those that wait for a second member of
/// the staff. Patients and those who act for them see the names. Staff see the addresses too, and what has ended or was stopped.
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
                .filter(|(access, _)| staff || access.stands(now) || access.is_pending(now))
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
///
/// New access, or another relation, is told at once to the patient and to every account that acts for the patient: by mail, with a
/// link that stops it, or by a call that the desk makes. A `parent` or `guardian` of an adult may not act for the patient
/// before a second member of the staff has confirmed it (`confirmation_required`); for 30 days after staff changed the record's e-mail
/// address or birth date, or took away the patient's own account, this holds for each relation. A practitioner without a care relationship
/// gives a reason in `Access-Reason`.
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
        (status = 201, description = "The account may act for the patient, now or once it is confirmed; `Location` is the list that it stands in", body = AccessDto),
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
    let request = Request::of(&actor, operation, key, &body.raw).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        let (access, user) = invitations::link(tx, &shared, &actor, id, &email, relation)?;
        audit::record(tx, &shared, &actor.trail, user.id.0)?;
        let dto = AccessDto::of(tx, &shared, &actor, access, user)?;
        Answer::created(format!("/v1/patients/{id}/access"), 1, &dto)
    })
    .await
}

/// Confirm an account's access to a patient
///
/// As the second member of the staff, for access with `confirmation_required`. A practitioner without a care relationship gives a
/// reason in `Access-Reason`.
#[utoipa::path(
    tag = "patients",
    operation_id = "confirm_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("user_id" = UserId, Path, description = "The account"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value gets the same answer", max_length = 255),
    ),
    responses(
        (status = 200, description = "The account may act for the patient", body = AccessDto),
        (status = 403, description = "`role_forbidden`: the role may not do this at all. `second_factor_required`: the account must set up \
            its second factor first. `reason_required`: a practitioner who has no appointment with the patient says why in \
            `Access-Reason`. `second_person_required`: the caller gave this access; another member of the staff must confirm it"),
        (status = 409, description = "`not_pending`: it does not wait for a confirmation; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients/{id}/access/{user_id}/confirm")]
async fn confirm_access(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    path: web::Path<(String, String)>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::AccessGrant)?;
    let (id, user): (_, UserId) = (id.0, path.1.parse().map_err(|_| Error::NotFound)?);
    let shared = env.clone();
    let operation = format!("confirm_patient_access {id} {user}");
    let request = Request::of(&actor, operation, key, &[]).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        let (access, holder) = giving::confirm(tx, &shared, &actor, id, user)?;
        audit::record(tx, &shared, &actor.trail, user.0)?;
        Answer::json(200, &AccessDto::of(tx, &shared, &actor, access, holder)?)
    })
    .await
}

/// Take access back
///
/// At once: the account's next request finds no such patient. Invitations that its address has not accepted yet are void as well.
/// Staff take back any access; the account's owner is told by mail. An adult patient stops that of other accounts to their own record; staff see that it was stopped.
#[utoipa::path(
    tag = "patients",
    operation_id = "revoke_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("user_id" = UserId, Path, description = "The account"),
    ),
    responses(
        (status = 204, description = "The account may not act for the patient any more"),
        (status = 403, description = "`patient_only`: only the adult patient ends the access of others. `second_factor_required`: the \
            account must set up its second factor first."),
        (status = 409, description = "`own_access`: a patient's own access is ended by the clinic"),
    ),
)]
#[delete("/v1/patients/{id}/access/{user_id}")]
async fn revoke_access(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    actor.require(Action::AccessEnd)?;
    let user: UserId = path.1.parse().map_err(|_| Error::NotFound)?;
    let shared = env.clone();
    env.db
        .write(move |tx| {
            actor.trail.note_patient(id.0);
            audit::record(tx, &shared, &actor.trail, user.0)?;
            giving::end(tx, &shared, &actor, id.0, user)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The link in the mail that told of an access.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
struct AccessObjection {
    /// What stands after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// Stop the access that a mail told of
///
/// With the token of the link in the mail (`/stop-access#token=…`) that told of a given access. The access ends at once, confirmed or
/// not, and staff see that it was stopped. A repeat changes nothing.
#[utoipa::path(
    tag = "patients",
    operation_id = "object_to_patient_access",
    request_body = AccessObjection,
    responses((status = 204, description = "The account may not act for the patient any more")),
)]
#[post("/v1/access-objections")]
async fn object_to_access(env: web::Data<Env>, trail: Trail, body: Body<AccessObjection>) -> Result<HttpResponse> {
    let (shared, token) = (env.clone(), body.value.token);
    env.db
        .write(move |tx| {
            let (patient, holder) = giving::object(tx, &shared, &token)?;
            trail.note_patient(patient);
            audit::record(tx, &shared, &trail, holder.0)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
