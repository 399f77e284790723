//! The rows of follow-ups and of the links in their mails.

use diesel::prelude::*;

use super::{FollowUpReason, FollowUpStatus};
use crate::accounts::tokens;
use crate::accounts::typed_code::{CodeSpace, TypedCode};
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{follow_up_links, follow_ups, patients};
use crate::db::types::Date;
use crate::error::{Error, Result};
use crate::ids::{AppointmentId, FollowUpId, FollowUpLinkId, IntakeId, PatientId, UserId};
use crate::patients::model::Patient;

/// A row of a follow-up.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = follow_ups, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct FollowUp {
    /// The follow-up.
    pub id: FollowUpId,
    /// The patient.
    pub patient_id: PatientId,
    /// The status.
    pub status: FollowUpStatus,
    /// Why it is scheduled.
    pub reason: FollowUpReason,
    /// The day on which the patient is asked.
    pub due_on: Date,
    /// The day from which the intervals of the next ones count.
    pub counts_from: Date,
    /// The visit after which it was scheduled.
    pub appointment_id: Option<AppointmentId>,
    /// When the patient was asked.
    pub asked_at: Option<Timestamp>,
    /// Until when it can be answered.
    pub answer_by: Option<Timestamp>,
    /// The answers.
    pub intake_id: Option<IntakeId>,
    /// The version of the row.
    pub version: i32,
    /// The account whose change scheduled it.
    pub created_by: UserId,
    /// When it was scheduled.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Whether the service planned it: after a visit, or after one that was answered or missed. Staff scheduled the others.
    pub planned_by_service: bool,
    /// The visit whose completion cancelled it.
    pub cancelled_by_visit: Option<AppointmentId>,
}

/// The statuses of an open follow-up.
pub(super) const OPEN: [FollowUpStatus; 2] = [FollowUpStatus::Scheduled, FollowUpStatus::Asked];

/// Stores a new follow-up of a patient who is locked and has no open one.
pub(super) fn insert(conn: &mut Conn, follow_up: &FollowUp) -> Result<()> {
    diesel::insert_into(follow_ups::table).values(follow_up).execute(conn)?;
    Ok(())
}

/// Stores a changed follow-up as its next version.
///
/// # Errors
/// [`Error::Retry`] if another transaction changed it although it should be locked.
pub(super) fn update(conn: &mut Conn, now: Timestamp, changed: FollowUp) -> Result<FollowUp> {
    let next = FollowUp { version: changed.version + 1, updated_at: now, ..changed };
    let current = follow_ups::table.filter(follow_ups::id.eq(next.id)).filter(follow_ups::version.eq(changed.version));
    if diesel::update(current).set(&next).execute(conn)? != 1 {
        return Err(Error::Retry);
    }
    Ok(next)
}

/// Loads a follow-up.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find(conn: &mut Conn, id: FollowUpId) -> Result<FollowUp> {
    Ok(follow_ups::table.find(id).select(FollowUp::as_select()).first(conn)?)
}

/// Loads the open follow-up of a patient who is locked.
pub(super) fn open_of(conn: &mut Conn, patient: PatientId) -> Result<Option<FollowUp>> {
    Ok(follow_ups::table
        .filter(follow_ups::patient_id.eq(patient))
        .filter(follow_ups::status.eq_any(OPEN))
        .select(FollowUp::as_select())
        .first(conn)
        .optional()?)
}

/// Loads all follow-ups of a patient, oldest first.
pub fn of_patient(conn: &mut Conn, patient: PatientId) -> Result<Vec<FollowUp>> {
    Ok(follow_ups::table
        .filter(follow_ups::patient_id.eq(patient))
        .order((follow_ups::created_at, follow_ups::id))
        .select(FollowUp::as_select())
        .load(conn)?)
}

/// Loads a patient. The caller must have authorised the request.
pub(super) fn patient(conn: &mut Conn, id: PatientId) -> Result<Patient> {
    Ok(patients::table.find(id).select(Patient::as_select()).first(conn)?)
}

/// A link in a mail.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = follow_up_links)]
pub(super) struct Link {
    /// The follow-up that it answers.
    pub follow_up_id: FollowUpId,
    /// The account that it was mailed to.
    pub user_id: Option<UserId>,
    /// The key of the record's address, if it was mailed there.
    pub email_key: Option<String>,
    /// Whether it was mailed to the patient.
    pub is_patient: bool,
}

/// The codes of follow-ups.
pub(super) const CODES: CodeSpace = CodeSpace("follow-up");

/// Creates a link and returns its token and the code to type in. Only digests of them are stored.
pub(super) fn issue_link<P>(tx: &mut Tx<P>, link: &Link) -> Result<(String, TypedCode)> {
    let token = tokens::opaque(&tx.env.entropy);
    let code = TypedCode::draw(&tx.env.entropy);
    diesel::insert_into(follow_up_links::table)
        .values((
            follow_up_links::id.eq(tx.env.new_id::<FollowUpLinkId>()),
            follow_up_links::follow_up_id.eq(link.follow_up_id),
            follow_up_links::user_id.eq(link.user_id),
            follow_up_links::email_key.eq(&link.email_key),
            follow_up_links::is_patient.eq(link.is_patient),
            follow_up_links::token_hash.eq(tokens::hash(&token)),
            follow_up_links::created_at.eq(tx.now),
            follow_up_links::code_digest.eq(code.digest(tx.env, CODES)),
        ))
        .execute(tx.conn)?;
    Ok((token, code))
}

/// Finds a link by its token.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find_link(conn: &mut Conn, token: &str) -> Result<Link> {
    Ok(follow_up_links::table
        .filter(follow_up_links::token_hash.eq(tokens::hash(token)))
        .select(Link::as_select())
        .first(conn)?)
}

/// Finds a link by the digest of its code.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn find_link_by_code(conn: &mut Conn, digest: &[u8]) -> Result<Link> {
    Ok(follow_up_links::table.filter(follow_up_links::code_digest.eq(digest)).select(Link::as_select()).first(conn)?)
}
