//! Inviting somebody to act for a patient, and accepting it.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::AccessInput;
use crate::accounts::Keys;
use crate::actor::{Action, Actor, Role};
use crate::audit;
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey, PathId};
use crate::ids::PatientId;
use crate::patients::care;
use crate::patients::invitations::{self, NewHolder};
use crate::patients::registration::HOLDER_NAME;
use crate::text;
use crate::trail::Trail;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(invite_to_patient).service(accept_invitation);
}

/// A sent invitation.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"email": "tim@example.org", "expires_at": "2026-03-09T14:00:00Z"}))]
struct InvitationDto {
    /// Where it was sent.
    email: String,
    /// Until when its link is good.
    expires_at: Timestamp,
}

/// Invite somebody to act for a patient
///
/// Mails a link, good once and for a week, that makes an account for the address or links the one that it has: for a patient whom the
/// desk has registered (`self`), a young adult who has come of age, or somebody who acts for them. An older link to the same address
/// for this patient is void. The relation counts as verified. What the link gives is told, and confirmed, as with
/// `POST /v1/patients/{id}/access`. A practitioner without a care relationship gives a reason in `Access-Reason`.
#[utoipa::path(
    tag = "patients",
    operation_id = "invite_to_patient",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value sends nothing more", max_length = 255),
    ),
    request_body(content = AccessInput, example = json!({"email": "tim@example.org", "relation": "self"})),
    responses(
        (status = 202, description = "A mail is on its way", body = InvitationDto),
        (status = 409, description = "`account_is_staff`: the address is that of a member of the staff; `other_relation`: its account \
            is somebody else's to this patient; `own_account_exists`: the patient has another account of their own; \
            `own_record_exists`: the account's holder has another record: take its `self` access off that one first; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients/{id}/invitation")]
async fn invite_to_patient(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<AccessInput>,
) -> Result<HttpResponse> {
    actor.require(Action::AccessGrant)?;
    let (email, relation) = body.parse()?;
    let (shared, id) = (env.clone(), id.0);
    let request =
        Request::of(&actor, format!("invite_to_patient {id}"), key, &body.raw).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        let sent = invitations::invite(tx, &shared, &actor, id, &email, relation)?;
        audit::record(tx, &shared, &actor.trail, sent.id.0)?;
        Answer::json(202, &InvitationDto { email: sent.email, expires_at: sent.expires_at })
    })
    .await
}

/// The acceptance of an invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "new_password": "violet otter hums at dawn", "name": "Rosa Example"}))]
struct InvitationAcceptance {
    /// What stands after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// Where the address has no account with a password yet, and only there: 12 characters or more.
    #[schema(min_length = 8, max_length = 128)]
    new_password: Option<String>,
    /// The holder's name, for a new account of somebody who is not the patient.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// Accept an invitation
///
/// For the link in the mail: `/accept-invitation#token=…`. Send the token alone first. Where the address has an account, that is linked
/// and keeps its password: 204. Where it has none, or one without a password or that nobody has verified, the answer is 422 with
/// `required` at `/new_password`, and nothing is used up: ask for a password and send both. The address then counts as verified, and a
/// password that was set before it was verified is gone. As a parent or guardian of an adult the account may act once a second
/// member of the staff has confirmed it.
#[utoipa::path(
    tag = "registration",
    operation_id = "accept_invitation",
    request_body = InvitationAcceptance,
    responses(
        (status = 204, description = "The account may act for the patient, now or once it is confirmed; sign in"),
        (status = 409, description = "`account_is_staff`, `other_relation`, `own_account_exists`, `own_record_exists`: what the address \
            or the patient has got since the invitation was sent is in the way; ask the clinic"),
    ),
)]
#[post("/v1/invitations/accept")]
async fn accept_invitation(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    trail: Trail,
    body: Body<InvitationAcceptance>,
) -> Result<HttpResponse> {
    let InvitationAcceptance { token, new_password, name } = body.value;
    let (looked_up, now) = (token.clone(), env.now());
    let (invitation, user) = env.db.read(move |conn| invitations::look_up(conn, &looked_up, now)).await?;
    let holder = if user.is_some_and(|user| user.has_own_password()) {
        let mut check = Check::new();
        let detail = "has no place here: the address has an account, which keeps its password";
        check.require(new_password.is_none(), "/new_password", "not_an_option", detail);
        check.done()?;
        None
    } else {
        let password = new_password.ok_or_else(invitations::password_required)?;
        let mut check = Check::new();
        let name = name.and_then(|name| check.field("/name", text::one_line(&name, HOLDER_NAME)));
        let about = [invitation.email.as_str(), name.as_deref().unwrap_or_default()];
        check.field("/new_password", keys.passwords.check(&password, Role::Patient, &about));
        check.done()?;
        Some(NewHolder { password_hash: keys.passwords.hash(&password).await?, name })
    };
    trail.note_patient(invitation.patient_id);
    let (shared, id) = (env.clone(), invitation.id);
    env.db
        .write(move |tx| {
            invitations::accept(tx, &shared, &token, holder.as_ref())?;
            audit::record(tx, &shared, &trail, id.0)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
