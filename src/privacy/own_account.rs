//! Closing an account at the wish of its holder. The patients' records stay: the clinic must keep them for their retention period.

use actix_web::{HttpResponse, post, web};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accounts::authenticate::{self, Credentials};
use crate::accounts::throttle::ConfirmedBy;
use crate::accounts::{Keys, closing, new_accounts, notices};
use crate::actor::Action;
use crate::appointments::limits;
use crate::clock::Timestamp;
use crate::context::{Context, forget};
use crate::db::Conn;
use crate::db::schema::{holds, patient_access};
use crate::error::Result;
use crate::http::{Body, response};
use crate::ids::{HoldId, PatientId, UserId};
use crate::messages::model::{Mail, SecurityEvent};
use crate::scheduling::slots::holds::keeping;

/// The confirmation that the holder closes the account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "violet otter hums at dawn"}))]
pub struct CloseAccountRequest {
    /// The account's password.
    #[schema(max_length = 128)]
    current_password: String,
    /// Six digits of the authenticator app, or a recovery code. Required if the account has a second factor.
    #[schema(max_length = 64)]
    totp_code: Option<String>,
}

/// Closes the actor's account: it may act for nobody any more, and its address is free again. Its owner gets a mail.
///
/// # Errors
/// Forbidden for staff, whose accounts administrators disable; those of [`authenticate::again`].
pub async fn close(context: &Context, keys: &Keys, request: CloseAccountRequest) -> Result<()> {
    context.require(Action::AccountClose)?;
    let credentials = Credentials { password: request.current_password, code: request.totp_code };
    let id = context.actor.user_id;
    let closed = authenticate::again(context, keys, id, ConfirmedBy::Session, credentials, move |tx, user| {
        tx.audit.note_object(user.id.0);
        notices::send(tx.conn, tx.env, user.recipient(), Mail::SecurityNotice { event: SecurityEvent::AccountClosed })?;
        let visits = limits::count_booked_by(tx.conn, user.id, tx.now)?;
        new_accounts::keep_visits(tx.conn, user.id, visits)?;
        let access = patient_access::table.filter(patient_access::user_id.eq(user.id));
        let patients: Vec<PatientId> = access.select(patient_access::patient_id).load(tx.conn)?;
        tx.audit.note_shown(patients);
        diesel::delete(access).execute(tx.conn)?;
        forget(tx.conn, user.id)?;
        let held: Vec<HoldId> = holds::table.filter(holds::user_id.eq(user.id)).select(holds::id).load(tx.conn)?;
        for hold in held {
            keeping::release(tx, hold)?;
        }
        end(tx.conn, user.id, tx.now)
    });
    Box::pin(closed).await
}

/// Ends an account that acts for no patient.
pub(super) fn end(tx: &mut Conn, id: UserId, now: Timestamp) -> Result<()> {
    diesel::delete(holds::table.filter(holds::user_id.eq(id))).execute(tx)?;
    closing::anonymise(tx, id, now)
}

/// Close my account
///
/// Patients and carers only. The account's sessions end, it may act for no patient any more, and its name, address and password are deleted.
/// The address may register again. The patients' records and appointments stay: the clinic keeps records for as long as the law requires,
/// and cancels a visit only if asked. To keep a copy, export the record first (`GET /v1/patients/{id}/export`). The owner gets a mail.
#[utoipa::path(
    tag = "users",
    operation_id = "close_account",
    security(("bearer" = [])),
    request_body = CloseAccountRequest,
    responses(
        (status = 204, description = "The account is closed"),
        (status = 429, description = "`too_many_attempts`: too many attempts failed; retry after the number of seconds in `Retry-After`"),
    ),
)]
#[post("/v1/me/close")]
pub(super) async fn close_account(
    context: Context,
    keys: web::Data<Keys>,
    body: Body<CloseAccountRequest>,
) -> Result<HttpResponse> {
    close(&context, &keys, body.value).await?;
    Ok(response::no_content())
}
