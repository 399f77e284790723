//! Inviting a person to act for a patient.
//!
//! An invitation belongs to an address, not to an account. Nothing is created before it is accepted, so a mistyped address leaves nothing
//! behind.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::giving::{NewPatientAccess, admitted};
use super::suitable::{require_no_other_account, require_suitable};
use crate::accounts::{self, tokens};
use crate::actor::{Action, Role};
use crate::clock::Timestamp;
use crate::context::{Context, Once, Principal, Tx};
use crate::db::schema::patient_invitations;
use crate::error::Result;
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{InvitationId, PatientId, UserId};
use crate::messages::model::{Envelope, INVITATION_LASTS, Mail, MessageKind, Recipient};
use crate::messages::outbox;
use crate::patients::care;
use crate::patients::model::Relation;

/// A row of the invitations.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = patient_invitations, treat_none_as_default_value = false)]
pub(super) struct Invitation {
    pub id: InvitationId,
    pub patient_id: PatientId,
    pub email: String,
    pub email_key: String,
    pub relation: Relation,
    token_hash: Vec<u8>,
    /// The member of the staff who sent it.
    pub invited_by: UserId,
    pub created_at: Timestamp,
    expires_at: Timestamp,
    /// The time at which it was accepted or became void.
    used_at: Option<Timestamp>,
}

/// A sent invitation.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PatientInvitation, example = json!({"email": "tim@example.org", "expires_at": "2026-03-09T14:00:00Z"}))]
pub struct InvitationView {
    /// The address to which it was sent.
    pub email: String,
    /// The time until which its link works.
    pub expires_at: Timestamp,
}

/// Mails a link that gives its reader access to the patient. An older link to the same address stops working.
///
/// # Errors
/// Not found; forbidden, if a practitioner has to give a reason; the conflicts of the endpoint; too many, if the address got too many
/// invitations.
pub async fn invite(context: &Context, once: Once, id: PatientId, new: NewPatientAccess) -> Result<InvitationView> {
    context.require(Action::AccessGrant)?;
    let (email, relation) = new.checked()?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let patient = admitted(tx, id)?;
            let user = accounts::store::find_by_email(tx.conn, &email.key())?;
            match &user {
                Some(user) if user.email_verified_at.is_some() || user.role != Role::Patient => {
                    require_suitable(tx.conn, user, patient.id, relation)?;
                }
                // The accepting person replaces an account that was never verified.
                _ => require_no_other_account(tx.conn, user.as_ref(), patient.id, relation)?,
            }
            outbox::require_room(tx.conn, tx.env, email.as_str(), MessageKind::PatientInvitation)?;
            void(tx, patient.id, &email.key())?;
            let token = tokens::opaque(&tx.env.entropy);
            let invitation = Invitation {
                id: tx.env.new_id(),
                patient_id: patient.id,
                email: email.as_str().to_owned(),
                email_key: email.key(),
                relation,
                token_hash: tokens::hash(&token),
                invited_by: tx.actor.user_id,
                created_at: tx.now,
                expires_at: tx.now.plus(INVITATION_LASTS),
                used_at: None,
            };
            diesel::insert_into(patient_invitations::table).values(&invitation).execute(tx.conn)?;
            // The owner of an account has chosen a language. For others the patient's language is the best guess.
            let language = match user {
                Some(user) if user.email_verified_at.is_some() => user.preferred_language,
                _ => patient.preferred_language,
            };
            let envelope = Envelope {
                recipient: Recipient { name: None, email: Some(email.as_str().to_owned()), phone: None, language },
                patient_id: Some(patient.id),
                appointment_id: None,
                mail: Mail::PatientInvitation { token },
            };
            outbox::enqueue(tx.conn, tx.env, &envelope)?;
            tx.audit.note_object(invitation.id.0);
            Ok(InvitationView { email: invitation.email, expires_at: invitation.expires_at })
        })
        .await
}

/// Voids the patient's invitations to an address that were not accepted.
pub(super) fn void(tx: &mut Tx<impl Principal>, patient: PatientId, email_key: &str) -> Result<()> {
    let open = patient_invitations::table
        .filter(patient_invitations::patient_id.eq(patient))
        .filter(patient_invitations::email_key.eq(email_key))
        .filter(patient_invitations::used_at.is_null());
    diesel::update(open).set(patient_invitations::used_at.eq(tx.now)).execute(tx.conn)?;
    Ok(())
}

/// Invite a person to act for a patient
///
/// Mails a link that works once, for a week. It creates an account for the address, or links the account that the address has. Use it for a
/// patient whom the desk has registered (`self`), a young patient who became an adult, or a person who acts for them. An older link to the
/// same address for this patient stops working. The relation counts as verified. The access that the link gives is reported, and confirmed,
/// as with `POST /v1/patients/{id}/access`. A practitioner without a care relationship gives a reason in `Access-Reason`.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_patient_invitation",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content = NewPatientAccess, example = json!({"email": "tim@example.org", "relation": "self"})),
    responses(
        (status = 202, description = "The mail is queued", body = InvitationView),
        (status = 409, description = "`account_is_staff`: the address belongs to a member of the staff. `other_relation`: its account \
            has another relation to this patient. `own_account_exists`: the patient has another account of their own. \
            `own_record_exists`: the account's holder has another record; delete the `self` access to that record first"),
    ),
)]
#[post("/v1/patients/{id}/invitations")]
pub(in crate::patients) async fn create_patient_invitation(
    context: Context,
    PathId(id): PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<NewPatientAccess>,
) -> Result<HttpResponse> {
    let sent = invite(&context, key.once(&body.raw), id, body.value).await?;
    Ok(HttpResponse::Accepted().json(sent))
}
