//! Taking access away: by staff, by the adult patient, or with the link in the mail about it.

use actix_web::{HttpResponse, delete, post, web};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::adulthood::Calendar;
use super::listing::user_in;
use super::{grant, guarding, invitations, is_own_record};
use crate::accounts::{self, one_time, tokens};
use crate::actor::{Action, Reach};
use crate::context::{Anonymous, Context, Principal, Tx};
use crate::db::schema::access_links;
use crate::error::{Error, Result};
use crate::http::{Body, PathId, response};
use crate::ids::{PatientId, UserId};
use crate::patients::store;

/// Takes away an account's access, as staff, or stops the access of another account to the actor's own record.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `patient_only`, if the actor is not the adult patient; the conflict `own_access`.
pub async fn end(context: &Context, id: PatientId, user: UserId) -> Result<()> {
    let reach = context.require(Action::AccessEnd)?;
    context
        .change(move |tx| {
            tx.audit.note_patient(id);
            tx.audit.note_object(user.0);
            if reach == Reach::Any { revoke(tx, id, user) } else { stop_as_patient(tx, id, user) }
        })
        .await
}

/// Takes access away, with the invitations that its address has not accepted, and notifies the owner of the account.
fn revoke(tx: &mut Tx, patient: PatientId, user: UserId) -> Result<()> {
    let was = grant::revoke(tx.conn, user, patient)?;
    let user = accounts::store::find(tx.conn, user)?;
    invitations::void(tx, patient, &user.email_key)?;
    guarding::access_revoked(tx, &was, &user)
}

fn stop_as_patient(tx: &mut Tx, id: PatientId, user: UserId) -> Result<()> {
    let patient = store::visible(tx.conn, tx.env, tx.actor, id)?;
    let is_own = is_own_record(tx.conn, tx.env, tx.actor, id)?;
    if !is_own || Calendar::of_clinic(tx.conn, tx.env)?.is_minor(&patient, tx.now) {
        let detail = "Only the adult patient ends the access of others. Please call the clinic.";
        return Err(Error::forbidden("patient_only", detail));
    }
    if user == tx.actor.user_id {
        return Err(Error::conflict("own_access", "This is your own access. Please call the clinic to end it."));
    }
    stop(tx, id, user)
}

fn stop(tx: &mut Tx<impl Principal>, id: PatientId, user: UserId) -> Result<()> {
    grant::stop(tx, user, id)?;
    let holder = accounts::store::find(tx.conn, user)?;
    invitations::void(tx, id, &holder.email_key)
}

/// The link in the mail about given access.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct NewAccessObjection {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// Stops the access of a link. Access that is stopped already stays so. The link also works if the reader's own access was taken away
/// since, because the giver of the new access could have done that.
///
/// # Errors
/// A broken rule at `/token`.
pub async fn object(context: &Context<Anonymous>, objection: NewAccessObjection) -> Result<()> {
    context
        .change(move |tx| {
            let (user, patient) = access_links::table
                .filter(access_links::token_hash.eq(tokens::hash(&objection.token)))
                .select((access_links::user_id, access_links::patient_id))
                .first::<(UserId, PatientId)>(tx.conn)
                .optional()?
                .ok_or_else(one_time::not_good)?;
            tx.audit.note_patient(patient);
            tx.audit.note_object(user.0);
            stop(tx, patient, user)
        })
        .await
}

/// End an account's access to a patient
///
/// Takes effect at once: the account's next request does not find the patient. Invitations that the account's address has not accepted
/// become invalid as well. Staff take away any access; the account's owner gets a mail. An adult patient stops the access of other accounts
/// to their own record; staff see that it was stopped.
#[utoipa::path(
    tag = "patients",
    operation_id = "delete_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("user_id" = UserId, Path, description = "The account"),
    ),
    responses(
        (status = 204, description = "The account may not act for the patient any more"),
        (status = 403, description = "`patient_only`: only the adult patient ends the access of others"),
        (status = 409, description = "`own_access`: only the clinic ends a patient's own access"),
    ),
)]
#[delete("/v1/patients/{id}/access/{user_id}")]
pub(in crate::patients) async fn delete_patient_access(
    context: Context,
    PathId(id): PathId<PatientId>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    end(&context, id, user_in(&path)?).await?;
    Ok(response::no_content())
}

/// Stop the access that a mail reported
///
/// Takes the token of the link in the mail about given access (`/stop-access#token=…`). The access ends at once, confirmed or not, and
/// staff see that it was stopped. A repeat changes nothing.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_access_objection",
    request_body = NewAccessObjection,
    responses((status = 204, description = "The account may not act for the patient any more")),
)]
#[post("/v1/access-objections")]
pub(in crate::patients) async fn create_access_objection(
    context: Context<Anonymous>,
    body: Body<NewAccessObjection>,
) -> Result<HttpResponse> {
    object(&context, body.value).await?;
    Ok(response::no_content())
}
