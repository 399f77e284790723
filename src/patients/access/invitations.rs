//! Inviting a person to act for a patient.
//!
//! An invitation belongs to an address, not to an account. Nothing is created before it is accepted, so a mistyped address leaves nothing
//! behind.

use actix_web::{HttpResponse, delete, get, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::adult_patient;
use super::giving::{NewPatientAccess, admitted};
use super::suitable::{require_no_other_account, require_suitable};
use crate::accounts::changes_per_hour::{self, Change};
use crate::accounts::{self, tokens};
use crate::actor::{Action, Reach, Role};
use crate::clock::Timestamp;
use crate::context::{Context, Once, Principal, Tx};
use crate::db::schema::patient_invitations;
use crate::error::{Error, FieldCode, Result};
use crate::http::{Body, IdempotencyKey, PathId, response};
use crate::ids::{InvitationId, PatientId, UserId};
use crate::messages::model::{Envelope, INVITATION_LASTS, Mail, MessageKind, Recipient};
use crate::messages::outbox;
use crate::patients::model::{Patient, Relation};
use crate::patients::{care, store};

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
    /// The member of the staff, or the patient, who sent it.
    pub invited_by: UserId,
    pub created_at: Timestamp,
    expires_at: Timestamp,
    /// The time at which it was accepted or became void.
    used_at: Option<Timestamp>,
}

/// A sent invitation.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PatientInvitation, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "tim@example.org", "relation": "caregiver",
    "created_at": "2026-03-02T14:00:00Z", "expires_at": "2026-03-09T14:00:00Z"
}))]
pub struct InvitationView {
    /// The id, with which it is withdrawn.
    pub id: InvitationId,
    /// The address to which it was sent.
    pub email: String,
    /// The relation that the access will have.
    pub relation: Relation,
    /// The time at which it was first sent.
    pub created_at: Timestamp,
    /// The time until which its link works.
    pub expires_at: Timestamp,
}

impl From<Invitation> for InvitationView {
    fn from(sent: Invitation) -> Self {
        let Invitation { id, email, relation, created_at, expires_at, .. } = sent;
        Self { id, email, relation, created_at, expires_at }
    }
}

/// The invitations to act for a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct PatientInvitationPage {
    /// The invitations that can be accepted, oldest first.
    items: Vec<InvitationView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// Returns the patient whose invitations the actor may see and withdraw.
fn record_of(tx: &mut Tx, id: PatientId, reach: Reach) -> Result<Patient> {
    if reach == Reach::Any { store::visible(tx.conn, tx.env, tx.actor, id) } else { adult_patient::require(tx, id) }
}

/// Mails a link that gives its reader access to the patient. An older link to the same address stops working.
///
/// # Errors
/// Not found; forbidden, if a practitioner has to give a reason, or `patient_only`; a broken rule at `/relation`; the conflicts of the
/// endpoint; too many, if the address got too many invitations, or the patient sent too many.
pub async fn invite(context: &Context, once: Once, id: PatientId, new: NewPatientAccess) -> Result<InvitationView> {
    let reach = context.require(Action::AccessInvite)?;
    let (email, relation) = new.checked()?;
    if reach == Reach::Own && relation == Relation::Oneself {
        let detail = "must not be self, because the patient has an account";
        return Err(Error::invalid("/relation", FieldCode::NotAnOption, detail));
    }
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let patient = if reach == Reach::Any { admitted(tx, id)? } else { invited_by_patient(tx, id)? };
            let user = accounts::store::find_by_email(tx.conn, &email.key())?;
            match &user {
                // A patient does not learn whose address it is. Whoever reads the mailbox does, on accepting.
                _ if reach == Reach::Own => {}
                Some(user) if user.email_verified_at.is_some() || user.role != Role::Patient => {
                    require_suitable(tx.conn, user, patient.id, relation)?;
                }
                // The accepting person replaces an account that was never verified.
                _ => require_no_other_account(tx.conn, user.as_ref(), patient.id, relation)?,
            }
            let open = find_open(tx, patient.id, &email.key())?;
            let has_room = if reach == Reach::Any {
                outbox::require_room(tx.conn, tx.env, email.as_str(), MessageKind::PatientInvitation, true)?;
                true
            } else {
                // No error: it would tell the patient that others have invited this address. Others do not use up the first mail either.
                let room = if open.is_some() { outbox::has_room } else { outbox::has_room_for_first };
                room(tx.conn, tx.env, email.as_str(), MessageKind::PatientInvitation)?
            };
            let token = tokens::opaque(&tx.env.entropy);
            let new = Invitation {
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
            let invitation = if let Some(open) = open {
                renewed(tx, open, new, has_room)?
            } else {
                diesel::insert_into(patient_invitations::table).values(&new).execute(tx.conn)?;
                new
            };
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
            if has_room {
                outbox::enqueue(tx.conn, tx.env, &envelope)?;
            }
            tx.audit.note_object(invitation.id.0);
            Ok(invitation.into())
        })
        .await
}

/// Repeats an open invitation. It keeps its id and its time whether or not a mail is sent, because a difference would tell the patient that
/// others have invited the address. Without a mail, the link that was mailed before keeps working.
fn renewed(tx: &mut Tx, open: Invitation, new: Invitation, mailed: bool) -> Result<Invitation> {
    let token_hash = if mailed { new.token_hash } else { open.token_hash };
    let renewed = Invitation { id: open.id, created_at: open.created_at, token_hash, ..new };
    diesel::update(patient_invitations::table.find(open.id))
        .set((
            patient_invitations::relation.eq(renewed.relation),
            patient_invitations::token_hash.eq(&renewed.token_hash),
            patient_invitations::invited_by.eq(renewed.invited_by),
            patient_invitations::expires_at.eq(renewed.expires_at),
        ))
        .execute(tx.conn)?;
    Ok(renewed)
}

/// Returns the record of the actor, who may invite another person to it now.
fn invited_by_patient(tx: &mut Tx, id: PatientId) -> Result<Patient> {
    let patient = adult_patient::require(tx, id)?;
    accounts::store::lock(tx.conn, tx.actor.user_id)?;
    changes_per_hour::count(tx.conn, tx.env, tx.actor.user_id, Change::HelperInvited)?;
    Ok(patient)
}

/// Lists the invitations of a patient that can be accepted.
///
/// # Errors
/// Not found; forbidden, `patient_only`.
pub async fn list(context: &Context, id: PatientId) -> Result<PatientInvitationPage> {
    let reach = context.require(Action::AccessInvite)?;
    context
        .read(move |tx| {
            let patient = record_of(tx, id, reach)?;
            let open = patient_invitations::table
                .filter(patient_invitations::patient_id.eq(patient.id))
                .filter(patient_invitations::used_at.is_null())
                .filter(patient_invitations::expires_at.gt(tx.now))
                .order((patient_invitations::created_at, patient_invitations::id));
            let found: Vec<Invitation> = open.select(Invitation::as_select()).load(tx.conn)?;
            Ok(PatientInvitationPage { items: found.into_iter().map(Into::into).collect(), next_cursor: None })
        })
        .await
}

/// Withdraws an invitation that was not accepted.
///
/// # Errors
/// Not found, also if it was accepted or withdrawn before; forbidden, `patient_only`.
pub async fn withdraw(context: &Context, id: InvitationId) -> Result<()> {
    let reach = context.require(Action::AccessInvite)?;
    context
        .change(move |tx| {
            tx.audit.note_object(id.0);
            let open = || patient_invitations::table.find(id).filter(patient_invitations::used_at.is_null());
            let patient = open().select(patient_invitations::patient_id).first(tx.conn)?;
            record_of(tx, patient, reach)?;
            let withdrawn = diesel::update(open()).set(patient_invitations::used_at.eq(tx.now)).execute(tx.conn)?;
            if withdrawn == 0 { Err(Error::NotFound) } else { Ok(()) }
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

/// The newest invitation of an address to a patient that can be accepted.
fn find_open(tx: &mut Tx, patient: PatientId, email_key: &str) -> Result<Option<Invitation>> {
    Ok(patient_invitations::table
        .filter(patient_invitations::patient_id.eq(patient))
        .filter(patient_invitations::email_key.eq(email_key))
        .filter(patient_invitations::used_at.is_null())
        .filter(patient_invitations::expires_at.gt(tx.now))
        .order(patient_invitations::created_at.desc())
        .select(Invitation::as_select())
        .first(tx.conn)
        .optional()?)
}

/// Invite a person to act for a patient
///
/// Mails a link that works once, for a week. It creates an account for the address, or links the account that the address has. Use it for a
/// patient whom the desk has registered (`self`), a young patient who became an adult, or a person who acts for them. A repeat
/// for the same address keeps the invitation's `id` and replaces its link. If the mailbox has had its invitations of this hour, a repeat by a patient sends no mail, and the
/// older link keeps working. The relation counts as verified. The access that the link gives is reported, and confirmed,
/// as with `POST /v1/patients/{id}/access`. A practitioner without a care relationship gives a reason in `Access-Reason`.
///
/// Adult patients invite a helper to their own record (any relation but `self`), at most five times an hour. The helper then reads the whole
/// record and acts for the patient, until the patient ends it (`DELETE /v1/patients/{id}/access/{user_id}`). Nobody else needs to confirm it,
/// unless the record is guarded for one of the reasons named there. The relation does not count as verified.
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
        (status = 403, description = "`patient_only`: only the adult patient decides about the access of others"),
        (status = 409, description = "`account_is_staff`: the address belongs to a member of the staff. `other_relation`: its account \
            has another relation to this patient. `own_account_exists`: the patient has another account of their own. \
            `own_record_exists`: the account's holder has another record; delete the `self` access to that record first"),
        (status = 429, description = "`too_many_changes`: the patient invited others five times; retry after the number of seconds in \
            `Retry-After`"),
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

/// List the invitations to act for a patient
///
/// Those that can be accepted, oldest first. For staff and the adult patient.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_invitations",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses(
        (status = 200, description = "The invitations", body = PatientInvitationPage),
        (status = 403, description = "`patient_only`: only the adult patient decides about the access of others"),
    ),
)]
#[get("/v1/patients/{id}/invitations")]
pub(in crate::patients) async fn list_patient_invitations(
    context: Context,
    PathId(id): PathId<PatientId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}

/// Withdraw an invitation to act for a patient
///
/// Its link stops working at once, for example because the address was mistyped. Access that was accepted ends with
/// `DELETE /v1/patients/{id}/access/{user_id}`. For staff and the adult patient.
#[utoipa::path(
    tag = "patients",
    operation_id = "delete_patient_invitation",
    security(("bearer" = [])),
    params(("id" = InvitationId, Path, description = "The invitation")),
    responses(
        (status = 204, description = "The link does not work any more"),
        (status = 403, description = "`patient_only`: only the adult patient decides about the access of others"),
    ),
)]
#[delete("/v1/invitations/{id}")]
pub(in crate::patients) async fn delete_patient_invitation(
    context: Context,
    PathId(id): PathId<InvitationId>,
) -> Result<HttpResponse> {
    withdraw(&context, id).await?;
    Ok(response::no_content())
}
