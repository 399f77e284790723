//! Staff give an account access to a patient's record, and a second member of the staff confirms it. An accepted invitation gives access
//! in the same way.
//!
//! A practitioner needs a care relationship or a reason, because the account then reads what the practitioner may not read. All persons
//! who could object get a message at once, with a link that stops the access.

use actix_web::{HttpResponse, post, web};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::adulthood::Calendar;
use super::listing::{AccessView, user_in};
use super::second_person::{self, Giver};
use super::suitable::require_suitable;
use super::{Access, grant, guarding};
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::{self, tokens};
use crate::actor::Action;
use crate::context::{Context, Once, Principal, Tx};
use crate::db::schema::access_links;
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{AccessLinkId, PatientId, UserId};
use crate::messages::model::{AccessMail, Envelope, Mail};
use crate::messages::outbox;
use crate::patients::model::{Patient, Relation};
use crate::patients::{care, recipients, store};

/// The account that gets access to a patient.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "rosa@example.org", "relation": "parent"}))]
pub struct NewPatientAccess {
    /// The account's e-mail address.
    #[schema(max_length = 254)]
    pub email: String,
    /// The relation of the account's holder to the patient.
    pub relation: Relation,
}

impl NewPatientAccess {
    pub(super) fn checked(&self) -> Result<(EmailAddress, Relation)> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        check.done()?;
        Ok((email.ok_or_else(|| Error::fault("an address that kept the rules is missing"))?, self.relation))
    }
}

/// Returns the patient to whose record the actor, a member of the staff, may give access.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, if a practitioner has to give a reason.
pub(super) fn admitted(tx: &mut Tx, id: PatientId) -> Result<Patient> {
    let patient = store::visible_in_use(tx.conn, tx.env, tx.actor, id)?;
    care::admit(tx.conn, tx.env, tx.actor, id)?;
    Ok(patient)
}

/// Gives an account access for a member of the staff or the patient, and notifies all persons who could object. The caller has locked the
/// account and the record.
///
/// # Errors
/// The conflicts of [`grant::give`].
pub fn give_and_notify(
    tx: &mut Tx<impl Principal>,
    holder: &User,
    patient: &Patient,
    relation: Relation,
    giver: Giver,
) -> Result<Access> {
    let grant = grant::give(tx, holder.id, patient, relation, Some(giver))?;
    if grant.is_new {
        notify(tx, holder, patient, &grant.access, giver)?;
    }
    Ok(grant.access)
}

/// Gives a verified account access to a patient, or verifies or changes the relation of its access.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, if a practitioner has to give a reason; a broken rule at `/email` if there is no such account; the
/// conflicts of the endpoint.
pub async fn give(
    context: &Context,
    once: Once,
    id: PatientId,
    new: NewPatientAccess,
) -> Result<Versioned<AccessView>> {
    context.require(Action::AccessGrant)?;
    let (email, relation) = new.checked()?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            // Lock the account before the record, as every transaction that locks both does.
            let user = accounts::store::find_by_email(tx.conn, &email.key())?;
            let user = user.map(|user| accounts::store::lock(tx.conn, user.id)).transpose()?;
            let user = user.filter(|user| user.email_verified_at.is_some() && user.disabled_at.is_none());
            store::lock_visits(tx.conn, id)?;
            let patient = admitted(tx, id)?;
            let user = user.ok_or_else(|| {
                let detail = "no account has verified this address; send an invitation to it";
                Error::invalid("/email", FieldCode::UnknownReference, detail)
            })?;
            require_suitable(tx.conn, &user, patient.id, relation)?;
            let giver =
                Giver { account: tx.actor.user_id, is_patient: false, email_key: &user.email_key, decided_at: tx.now };
            let access = give_and_notify(tx, &user, &patient, relation, giver)?;
            tx.audit.note_object(user.id.0);
            // The row has no version of its own.
            Ok(Versioned { version: 1, object: AccessView::new(tx, access, user)? })
        })
        .await
}

/// Confirms access as the second member of the staff.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, if a practitioner has to give a reason, or if the actor gave the access; the conflict
/// `not_pending`.
pub async fn confirm(context: &Context, once: Once, id: PatientId, user: UserId) -> Result<AccessView> {
    context.require(Action::AccessGrant)?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let patient = admitted(tx, id)?;
            let access = second_person::confirm(tx, user, patient.id)?;
            tx.audit.note_object(user.0);
            let holder = accounts::store::find(tx.conn, user)?;
            AccessView::new(tx, access, holder)
        })
        .await
}

/// Notifies the patient, and every account that acts for the patient, that access was given.
fn notify(tx: &mut Tx<impl Principal>, holder: &User, patient: &Patient, access: &Access, giver: Giver) -> Result<()> {
    // Links of the last 30 days keep working. Otherwise a member of the staff could void every delivered link, by giving the access again
    // until the mailboxes take no more mails.
    let earlier = access_links::table
        .filter(access_links::user_id.eq(holder.id))
        .filter(access_links::patient_id.eq(patient.id))
        .filter(access_links::created_at.le(tx.now.minus(guarding::GUARDED_FOR)));
    diesel::delete(earlier).execute(tx.conn)?;
    let on = Date(Calendar::of_clinic(tx.conn, tx.env)?.day(tx.now));
    for told in recipients::of_access(tx.conn, tx.env, patient, holder, access.relation)? {
        // No link is read out on the phone. Access that may be the patient's own account is stopped by the patient only: others call.
        let has_link = told.recipient.email.is_some() && (told.is_patient || access.relation != Relation::Oneself);
        let token = if has_link { Some(issue_link(tx, access, giver.account)?) } else { None };
        let mail = Mail::AccessGiven(AccessMail {
            patient: (!told.is_patient).then(|| patient.first_name().to_owned()),
            relation: access.relation.as_str().to_owned(),
            on,
            pending: access.pending,
            token,
            given_by: Some(giver.account),
            by_patient: giver.is_patient,
        });
        let envelope = Envelope { recipient: told.recipient, patient_id: Some(patient.id), appointment_id: None, mail };
        outbox::enqueue(tx.conn, tx.env, &envelope)?;
    }
    Ok(())
}

/// Creates a link that stops access, and returns its token. Only the token's hash is stored.
fn issue_link(tx: &mut Tx<impl Principal>, access: &Access, by: UserId) -> Result<String> {
    let token = tokens::opaque(&tx.env.entropy);
    diesel::insert_into(access_links::table)
        .values((
            access_links::id.eq(tx.env.new_id::<AccessLinkId>()),
            access_links::user_id.eq(access.user_id),
            access_links::patient_id.eq(access.patient_id),
            access_links::relation.eq(access.relation),
            access_links::given_by.eq(Some(by)),
            access_links::token_hash.eq(tokens::hash(&token)),
            access_links::created_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(token)
}

/// Give an account access to a patient
///
/// Staff give a verified account access, and with it verify the relation. For an account that has access already this verifies or changes
/// the relation. A person without an account gets an invitation instead.
///
/// New access, or another relation, is reported at once to the patient and to every account that acts for the patient: by a mail with a
/// link that stops the access, or by a call that the desk makes. Another person may act for an adult only after a second member of the
/// staff has confirmed it (`confirmation_required`). Three other cases need this confirmation too:
///
/// - The patient's own account (`self`). Exception: the account's address is the confirmed e-mail address of the record, and the record is
///   less than 24 hours old.
/// - Access that a practitioner gives. Exception: the patient has a visit with the practitioner that another person placed.
/// - All access for 30 days after staff changed the record's e-mail address, telephone number or birth date, or ended the access of the
///   patient's own account, and for 30 days after the patient, or a person who acts for the patient, objected to an access.
///
/// A practitioner without a care relationship gives a reason in `Access-Reason`.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewPatientAccess,
    responses(
        (status = 201, description = "The account may act for the patient, now or once the access is confirmed", body = AccessView),
        (status = 409, description = "`account_is_staff`: the address belongs to a member of the staff. `other_relation`: the account \
            has another relation to this patient. `own_account_exists`: the patient has another account of their own. \
            `own_record_exists`: the account's holder has another record; delete the `self` access to that record first"),
    ),
)]
#[post("/v1/patients/{id}/access")]
pub(in crate::patients) async fn create_patient_access(
    context: Context,
    PathId(id): PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<NewPatientAccess>,
) -> Result<HttpResponse> {
    let given = give(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/patients/{id}/access/{}", given.object.user_id), &given))
}

/// Confirm an account's access to a patient
///
/// For the second member of the staff, if the access has `confirmation_required`. Accounts of one practitioner or one mailbox are one person.
/// A member of the staff who changed the record's address, telephone number, birth date or own account in the 30 days before the access was
/// given, or later, cannot confirm it. A practitioner without a care relationship gives a
/// reason in `Access-Reason`.
#[utoipa::path(
    tag = "patients",
    operation_id = "confirm_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("user_id" = UserId, Path, description = "The account"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The account may act for the patient", body = AccessView),
        (status = 403, description = "`second_person_required`: the caller gave this access, or changed the record; another member of the staff must confirm it"),
        (status = 409, description = "`not_pending`: the access does not wait for a confirmation"),
    ),
)]
#[post("/v1/patients/{id}/access/{user_id}/confirm")]
pub(in crate::patients) async fn confirm_patient_access(
    context: Context,
    PathId(id): PathId<PatientId>,
    path: web::Path<(String, String)>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::ok(&confirm(&context, key.once_without_body(), id, user_in(&path)?).await?))
}
