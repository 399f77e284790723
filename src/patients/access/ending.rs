//! Taking access away: by staff, by the adult patient, or with the link in the mail about it.

use actix_web::{HttpResponse, delete, post, web};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::listing::user_in;
use super::store::lock;
use super::{Access, adult_patient, grant, guarding, invitations};
use crate::accounts::{self, one_time, tokens};
use crate::actor::{Action, Reach};
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Principal, Tx, access_lock};
use crate::db::Conn;
use crate::db::schema::{access_links, patients};
use crate::error::{Error, ProblemCode, Result};
use crate::http::{Body, PathId, response};
use crate::ids::{PatientId, UserId};
use crate::patients::model::{Relation, require_active};

/// Takes away an account's access, as staff, or stops the access of another account to the actor's own record.
///
/// # Errors
/// [`Error::NotFound`]; forbidden, `patient_only`, if the actor is not the adult patient; the conflicts `own_access` and `patient_merged`.
pub async fn end(context: &Context, id: PatientId, user: UserId) -> Result<()> {
    let reach = context.require(Action::AccessEnd)?;
    context
        .change(move |tx| {
            tx.audit.note_patient(id);
            tx.audit.note_object(user.0);
            if reach == Reach::Own {
                require_other(tx, id, user)?;
            }
            access_lock::wait(tx.conn, user)?;
            // A merge of this record waits. If it was merged before, the access to the record that remained has to be ended.
            require_active(lock_records(tx.conn, id)?, None)?;
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

/// Requires that the patient ends the access of somebody else. Check it before waiting for the account's lock: every request of an account
/// shares its lock, so several requests to end one's own access would deadlock.
fn require_other(tx: &mut Tx, id: PatientId, user: UserId) -> Result<()> {
    adult_patient::require(tx, id)?;
    if user == tx.actor.user_id {
        return Err(Error::conflict(
            ProblemCode::OwnAccess,
            "This is your own access. Please call the clinic to end it.",
        ));
    }
    Ok(())
}

fn stop_as_patient(tx: &mut Tx, id: PatientId, user: UserId) -> Result<()> {
    // Again, under the lock.
    adult_patient::require(tx, id)?;
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

/// What a link tells of the access.
#[derive(Queryable, Selectable)]
#[diesel(table_name = access_links)]
struct Link {
    user_id: UserId,
    patient_id: PatientId,
    relation: Relation,
    given_by: Option<UserId>,
}

impl Link {
    /// The access that staff have taken away since.
    fn ended(&self, now: Timestamp) -> Access {
        Access {
            user_id: self.user_id,
            patient_id: self.patient_id,
            relation: self.relation,
            verified_at: Some(now),
            verified_by: self.given_by,
            granted_by: self.given_by,
            created_at: now,
            ends_on: None,
            ends_at: None,
            end_told_at: None,
            pending: false,
            confirmed_at: None,
            confirmed_by: None,
            stopped_at: None,
            stopped_by: None,
            for_minor: false,
        }
    }
}

/// Stops the access that the account of a link has now. Access that is stopped already stays so. The link also works after staff have
/// changed the access or taken it away, or the reader's own: otherwise the giver could void it, and give the access again unguarded.
/// Only the patient stops what has become the patient's own account. If the record was merged into another one, the account's access to that
/// one stops as well.
///
/// # Errors
/// A broken rule at `/token`.
pub async fn object(context: &Context<Anonymous>, objection: NewAccessObjection) -> Result<()> {
    context
        .change(move |tx| {
            let link: Link = access_links::table
                .filter(access_links::token_hash.eq(tokens::hash(&objection.token)))
                .select(Link::as_select())
                .first(tx.conn)
                .optional()?
                .ok_or_else(one_time::not_good)?;
            tx.audit.note_patient(link.patient_id);
            tx.audit.note_object(link.user_id.0);
            access_lock::wait(tx.conn, link.user_id)?;
            let joined = lock_records(tx.conn, link.patient_id)?;
            if let Some(joined) = joined {
                stop_joined(tx, &link, joined)?;
            }
            match lock(tx.conn, (link.user_id, link.patient_id))? {
                Some(now) if is_own_by_now(&link, &now) => Err(one_time::not_good()),
                Some(_) => stop(tx, link.patient_id, link.user_id),
                None => grant::record_objection(tx, link.ended(tx.now)),
            }
        })
        .await
}

fn is_own_by_now(link: &Link, now: &Access) -> bool {
    now.relation == Relation::Oneself && link.relation != Relation::Oneself
}

/// Locks the record, so that two requests with one link run one after the other, and the one into which it was merged, if there is one, in the
/// order of their ids. Returns that one.
fn lock_records(conn: &mut Conn, id: PatientId) -> Result<Option<PatientId>> {
    let replaced_by = patients::table.find(id).select(patients::replaced_by);
    let joined: Option<PatientId> = replaced_by.first(conn)?;
    if let Conn::Postgres(pg) = &mut *conn {
        let ids: Vec<PatientId> = joined.into_iter().chain([id]).collect();
        let records = patients::table.filter(patients::id.eq_any(ids)).order(patients::id).select(patients::id);
        records.for_no_key_update().load::<PatientId>(pg)?;
    }
    if replaced_by.first::<Option<PatientId>>(conn)? == joined { Ok(joined) } else { Err(Error::Retry) }
}

/// Stops the account's access to the record into which the link's one was merged.
fn stop_joined(tx: &mut Tx<impl Principal>, link: &Link, joined: PatientId) -> Result<()> {
    tx.audit.note_patient(joined);
    match lock(tx.conn, (link.user_id, joined))? {
        Some(now) if now.stopped_at.is_none() && !is_own_by_now(link, &now) => stop(tx, joined, link.user_id),
        _ => Ok(()),
    }
}

/// End an account's access to a patient
///
/// Takes effect at once: the account's next request does not find the patient. Invitations that the account's address has not accepted
/// become invalid as well. Staff can end any access. The account's owner gets a mail, and so does everyone who was notified when staff gave
/// it. An adult patient stops the access of other accounts to their own record; staff see that it was stopped.
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
        (status = 403, description = "`patient_only`: only the adult patient decides about the access of others"),
        (status = 409, description = "`own_access`: only the clinic ends a patient's own access. `patient_merged`: `replaced_by` names the record to use"),
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
/// staff see that it was stopped. For 30 days, all access to the record needs a second member of the staff. This also holds if staff have
/// changed the access or taken it away before. A link works for at least 30 days, and then until a newer mail reports other access of the
/// account. A repeat changes nothing.
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
