//! Giving access to a patient's record: the one rule for a link at the desk and for an accepted invitation.
//!
//! A practitioner needs a care relationship or a reason, because the account then reads what the practitioner may not read.
//! Everybody who could object is told at once, with a link that stops the access.

use diesel::prelude::*;

use super::access::{self, Access};
use super::adulthood::Calendar;
use super::invitations::{unlink, void};
use super::model::{Patient, Relation};
use super::{care, recipients, store};
use crate::accounts::model::User;
use crate::accounts::{self, one_time, tokens};
use crate::actor::{Action, Actor, Reach};
use crate::db::Conn;
use crate::db::schema::access_links;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{AccessLinkId, PatientId, UserId};
use crate::messages::model::{AccessMail, Envelope, Mail};
use crate::messages::outbox;

/// Returns the patient to whose record the actor, a member of the staff, may give access.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, where a practitioner has to give a reason.
pub fn admitted(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId) -> Result<Patient> {
    let patient = store::visible(tx, env, actor, id)?;
    care::admit(tx, env, actor, id)?;
    Ok(patient)
}

/// Gives an account access on the part of a member of the staff, and tells everybody who could object.
///
/// # Errors
/// The conflicts of [`access::grant`].
pub fn give(
    tx: &mut Conn,
    env: &Env,
    holder: &User,
    patient: &Patient,
    relation: Relation,
    by: UserId,
) -> Result<Access> {
    let grant = access::grant(tx, env, holder.id, patient, relation, Some(by))?;
    if grant.is_new {
        tell(tx, env, holder, patient, &grant.access, by)?;
    }
    Ok(grant.access)
}

/// Confirms access as the second member of the staff.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, where a practitioner has to give a reason, or where the actor gave the access; the conflict
/// `not_pending`.
pub fn confirm(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId, holder: UserId) -> Result<(Access, User)> {
    let patient = admitted(tx, env, actor, id)?;
    let access = access::confirm(tx, env, actor, holder, patient.id)?;
    Ok((access, accounts::store::find(tx, holder)?))
}

/// Takes access back, for the staff, or stops the access of another account to the actor's own record.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `patient_only`, where the actor is not the adult patient; the conflict `own_access`.
pub fn end(tx: &mut Conn, env: &Env, actor: &Actor, id: PatientId, holder: UserId) -> Result<()> {
    if actor.reach(Action::AccessEnd) == Reach::Any {
        return unlink(tx, env, id, holder);
    }
    let patient = store::visible(tx, env, actor, id)?;
    let is_own = access::relation(tx, env, actor.user_id, id)? == Some(Relation::Oneself);
    if !is_own || Calendar::of_clinic(tx, env)?.is_minor(&patient, env.now()) {
        let detail = "Only the adult patient ends the access of others. Please call the clinic.";
        return Err(Error::forbidden("patient_only", detail));
    }
    if holder == actor.user_id {
        return Err(Error::conflict("own_access", "This is your own access. Please call the clinic to end it."));
    }
    stop(tx, env, id, holder, Some(actor.user_id))
}

/// Stops the access that a mail told of, for the reader of the mail. Access that is stopped already stays so. The link works also
/// where the reader's own access was taken away since: who gave the new access could have taken away the other.
///
/// # Errors
/// A broken rule at `/token`.
pub fn object(tx: &mut Conn, env: &Env, token: &str) -> Result<(PatientId, UserId)> {
    let (holder, id) = access_links::table
        .filter(access_links::token_hash.eq(tokens::hash(token)))
        .select((access_links::user_id, access_links::patient_id))
        .first::<(UserId, PatientId)>(tx)
        .optional()?
        .ok_or_else(one_time::not_good)?;
    stop(tx, env, id, holder, None)?;
    Ok((id, holder))
}

fn stop(tx: &mut Conn, env: &Env, id: PatientId, holder: UserId, by: Option<UserId>) -> Result<()> {
    access::stop(tx, env, holder, id, by)?;
    let holder = accounts::store::find(tx, holder)?;
    void(tx, id, &holder.email_key, env.now())
}

/// Tells the patient, and every account that acts for the patient, of a given access.
fn tell(tx: &mut Conn, env: &Env, holder: &User, patient: &Patient, access: &Access, by: UserId) -> Result<()> {
    // Links in earlier mails were about another access.
    let earlier =
        access_links::table.filter(access_links::user_id.eq(holder.id)).filter(access_links::patient_id.eq(patient.id));
    diesel::delete(earlier).execute(tx)?;
    let on = Date(Calendar::of_clinic(tx, env)?.day(env.now()));
    for told in recipients::of_access(tx, env, patient, holder, access.relation)? {
        // No link is read out on the phone. And only the patient stops what may be their own account: they call.
        let has_link = told.recipient.email.is_some() && (told.is_patient || access.relation != Relation::Oneself);
        let token = if has_link { Some(issue(tx, env, access)?) } else { None };
        let mail = Mail::AccessGiven(AccessMail {
            patient: (!told.is_patient).then(|| patient.first_name().to_owned()),
            relation: access.relation.as_str().to_owned(),
            on,
            pending: access.pending,
            token,
            given_by: Some(by),
        });
        let envelope = Envelope { recipient: told.recipient, patient_id: Some(patient.id), appointment_id: None, mail };
        outbox::enqueue(tx, env, &envelope)?;
    }
    Ok(())
}

/// Makes the token of a link that stops an access. It is stored hashed.
fn issue(tx: &mut Conn, env: &Env, access: &Access) -> Result<String> {
    let token = tokens::opaque(&env.entropy);
    diesel::insert_into(access_links::table)
        .values((
            access_links::id.eq(env.new_id::<AccessLinkId>()),
            access_links::user_id.eq(access.user_id),
            access_links::patient_id.eq(access.patient_id),
            access_links::token_hash.eq(tokens::hash(&token)),
            access_links::created_at.eq(env.now()),
        ))
        .execute(tx)?;
    Ok(token)
}
