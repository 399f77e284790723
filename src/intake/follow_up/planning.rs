//! Scheduling and cancelling follow-ups: after a visit, by staff, and one after the other.

use actix_web::{HttpResponse, post};
use diesel::dsl::exists;
use diesel::prelude::*;
use jiff::civil;
use serde::Deserialize;
use utoipa::ToSchema;

use super::schedule::next_due;
use super::store::{self, FollowUp};
use super::view::{FollowUpView, visible};
use super::{FollowUpReason, FollowUpStatus};
use crate::actor::Action;
use crate::context::{Context, Once, Principal, Tx};
use crate::db::schema::intakes;
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, IfMatch, PathId};
use crate::ids::{AppointmentId, FollowUpId, PatientId};
use crate::intake::model::IntakeStatus;
use crate::intake::place_of_care::PlaceOfCare;
use crate::messages::model::MessageKind;
use crate::messages::outbox;
use crate::patients::store as records;

/// A follow-up to schedule.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "treatment_change"}))]
pub struct NewFollowUp {
    /// Why it is scheduled. `visit` is for the service.
    pub reason: FollowUpReason,
    /// The day on which the patient is asked, today or later. Without it, the first one of the clinic's intervals from today.
    #[serde(default)]
    pub due_on: Option<Date>,
}

/// Returns the first day of the clinic's intervals after a day.
fn due_after<P>(tx: &Tx<P>, counts_from: civil::Date, after: civil::Date) -> Option<civil::Date> {
    let settings = &tx.env.config.settings;
    next_due(counts_from, after, settings.follow_up_weeks.weeks(), settings.follow_up_repeat_weeks)
}

/// Schedules a follow-up. It replaces the patient's open one.
///
/// # Errors
/// [`Error::NotFound`]; every broken rule.
pub async fn create(
    context: &Context,
    once: Once,
    patient: PatientId,
    new: NewFollowUp,
) -> Result<Versioned<FollowUpView>> {
    context.require(Action::FollowUpManage)?;
    let mut check = Check::new();
    let detail = "must be treatment_change or other; the service schedules follow-ups after visits";
    check.require(new.reason != FollowUpReason::Visit, "/reason", FieldCode::NotAnOption, detail);
    check.done()?;
    context
        .change_once(once, move |tx| {
            let scheduled = insert_new(tx, patient, new)?;
            tx.audit.note_object(scheduled.id.0);
            Ok(scheduled.into())
        })
        .await
}

/// Schedules a follow-up in an open transaction.
///
/// # Errors
/// Those of [`create`].
pub fn insert_new(tx: &mut Tx, patient: PatientId, new: NewFollowUp) -> Result<FollowUp> {
    let patient = records::visible_in_use(tx.conn, tx.env, tx.actor, patient)?;
    let today = PlaceOfCare::load(tx, patient.id)?.day(tx.now)?;
    let mut check = Check::new();
    let is_past = new.due_on.is_some_and(|due| due.0 < today);
    check.require(!is_past, "/due_on", FieldCode::InPast, "must not be before today");
    check.done()?;
    let due = new.due_on.map(|due| due.0).or_else(|| due_after(tx, today, today));
    let due = due.ok_or_else(|| {
        Error::invalid(
            "/due_on",
            FieldCode::Required,
            "must be set, because the clinic has set no intervals of follow-ups",
        )
    })?;
    records::lock_visits(tx.conn, patient.id)?;
    cancel_open(tx, patient.id)?;
    schedule(tx, patient.id, new.reason, None, (today, due))
}

/// Stores a follow-up of a patient who is locked and has no open one.
fn schedule<P: Principal>(
    tx: &mut Tx<P>,
    patient: PatientId,
    reason: FollowUpReason,
    visit: Option<AppointmentId>,
    (counts_from, due_on): (civil::Date, civil::Date),
) -> Result<FollowUp> {
    let account = tx.actor.account().ok_or_else(|| Error::fault("a follow-up is scheduled by an account"))?;
    let row = FollowUp {
        id: tx.env.new_id(),
        patient_id: patient,
        status: FollowUpStatus::Scheduled,
        reason,
        due_on: Date(due_on),
        counts_from: Date(counts_from),
        appointment_id: visit,
        asked_at: None,
        answer_by: None,
        intake_id: None,
        version: 1,
        created_by: account,
        created_at: tx.now,
        updated_at: tx.now,
        planned_by_service: reason == FollowUpReason::Visit,
        cancelled_by_visit: None,
    };
    store::insert(tx.conn, &row)?;
    Ok(row)
}

/// Cancels the open follow-up of a patient who is locked.
fn cancel_open<P>(tx: &mut Tx<P>, patient: PatientId) -> Result<()> {
    match store::open_of(tx.conn, patient)? {
        Some(open) => close(tx, open, FollowUpStatus::Cancelled).map(drop),
        None => Ok(()),
    }
}

/// Ends an open follow-up of a patient who is locked. Its link stops working, and the desk need not call about it any more.
pub(super) fn close<P>(tx: &mut Tx<P>, open: FollowUp, status: FollowUpStatus) -> Result<FollowUp> {
    if open.status == FollowUpStatus::Asked {
        outbox::settle(tx.conn, open.patient_id, MessageKind::FollowUp, tx.now)?;
    }
    store::update(tx.conn, tx.now, FollowUp { status, ..open })
}

/// Schedules the follow-up after one that was answered or missed. A patient who misses two in a row is asked again only after the next
/// visit or change of treatment.
pub(super) fn schedule_next<P>(tx: &mut Tx<P>, closed: &FollowUp, today: civil::Date) -> Result<()> {
    if closed.status == FollowUpStatus::Missed {
        let all = store::of_patient(tx.conn, closed.patient_id)?;
        let before = all.iter().rev().find(|one| one.id != closed.id);
        if before.is_some_and(|before| before.status == FollowUpStatus::Missed) {
            return Ok(());
        }
    }
    let Some(due) = due_after(tx, closed.counts_from.0, closed.due_on.0.max(today)) else { return Ok(()) };
    let next = FollowUp {
        id: tx.env.new_id(),
        status: FollowUpStatus::Scheduled,
        due_on: Date(due),
        asked_at: None,
        answer_by: None,
        intake_id: None,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
        planned_by_service: true,
        ..closed.clone()
    };
    store::insert(tx.conn, &next)
}

/// Plans the first follow-up after a visit of a patient who was seen on this day, in place of an open one that the service planned. A
/// patient without a history of restless legs gets none.
///
/// An open one that staff scheduled stays, and the visit then gets none: the practitioner has chosen the day, often during this visit, and
/// the patient is not to be asked twice. The series goes on from that day when it is answered or missed.
pub fn visit_completed(
    tx: &mut Tx<impl Principal>,
    patient: PatientId,
    visit: AppointmentId,
    seen_on: civil::Date,
) -> Result<()> {
    records::lock_visits(tx.conn, patient)?;
    let open = store::open_of(tx.conn, patient)?;
    if open.as_ref().is_some_and(|open| !open.planned_by_service) {
        return Ok(());
    }
    let history = intakes::table
        .filter(intakes::patient_id.eq(patient))
        .filter(intakes::form.eq(rls::FORM))
        .filter(intakes::status.eq_any([IntakeStatus::Completed, IntakeStatus::Amended]));
    if !diesel::select(exists(history)).get_result::<bool>(tx.conn)? {
        return Ok(());
    }
    let Some(due) = due_after(tx, seen_on, seen_on) else { return Ok(()) };
    if let Some(open) = open {
        close(tx, FollowUp { cancelled_by_visit: Some(visit), ..open }, FollowUpStatus::Cancelled)?;
    }
    schedule(tx, patient, FollowUpReason::Visit, Some(visit), (seen_on, due))?;
    Ok(())
}

/// Cancels the follow-up that was planned after a visit whose completion is undone, and plans the one again that the completion cancelled,
/// unless staff or another visit scheduled one since then. If the patient had been asked already, they are asked again: the desk's call was
/// settled, and the time to answer may be over.
pub fn visit_undone(tx: &mut Tx<impl Principal>, patient: PatientId, visit: AppointmentId) -> Result<()> {
    records::lock_visits(tx.conn, patient)?;
    let all = store::of_patient(tx.conn, patient)?;
    let is_own = |one: &FollowUp| one.appointment_id == Some(visit);
    match all.iter().find(|one| store::OPEN.contains(&one.status)) {
        Some(open) if is_own(open) => {
            close(tx, open.clone(), FollowUpStatus::Cancelled)?;
        }
        Some(_) => return Ok(()),
        None => {}
    }
    let mut since = all.iter().skip_while(|one| one.cancelled_by_visit != Some(visit));
    let Some(replaced) = since.next() else { return Ok(()) };
    if since.all(is_own) {
        let again = FollowUp {
            status: FollowUpStatus::Scheduled,
            asked_at: None,
            answer_by: None,
            cancelled_by_visit: None,
            ..replaced.clone()
        };
        store::update(tx.conn, tx.now, again)?;
    }
    Ok(())
}

/// Cancels a follow-up.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`]; the conflict `status_conflict`.
pub async fn cancel(
    context: &Context,
    once: Once,
    id: FollowUpId,
    if_match: IfMatch,
) -> Result<Versioned<FollowUpView>> {
    context.require(Action::FollowUpManage)?;
    context
        .change_once(once, move |tx| {
            let patient = visible(tx, id)?.patient_id;
            records::lock_visits(tx.conn, patient)?;
            let row = store::find(tx.conn, id)?;
            records::require_same_owner(patient, row.patient_id)?;
            if !store::OPEN.contains(&row.status) {
                return Err(Error::conflict(
                    ProblemCode::StatusConflict,
                    "Only a scheduled or asked follow-up can be cancelled.",
                ));
            }
            if_match.check(row.version)?;
            Ok(close(tx, row, FollowUpStatus::Cancelled)?.into())
        })
        .await
}

/// Schedule a follow-up
///
/// Staff only, after a change of treatment or for another reason. It replaces the patient's open follow-up. The service itself schedules
/// one when the visit of a patient with a submitted history is completed. It then replaces an open one that the service scheduled. While one
/// that staff scheduled is open, it stays with its day, and completed visits get none. When it is answered or missed, the next one follows
/// after the clinic's intervals (the settings `FOLLOW_UP_WEEKS` and `FOLLOW_UP_REPEAT_WEEKS`). A patient who misses two in a row is not
/// asked again. On the day the patient gets a mail with a link that works for `FOLLOW_UP_ANSWER_DAYS`; without an address, the desk gets a
/// call to make.
#[utoipa::path(
    tag = "intakes",
    operation_id = "create_follow_up",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewFollowUp,
    responses((status = 201, description = "Scheduled", body = FollowUpView)),
)]
#[post("/v1/patients/{id}/follow-ups")]
pub(in crate::intake) async fn create_follow_up(
    context: Context,
    PathId(patient): PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<NewFollowUp>,
) -> Result<HttpResponse> {
    let scheduled = create(&context, key.once(&body.raw), patient, body.value).await?;
    Ok(response::created(format!("/v1/follow-ups/{}", scheduled.object.id), &scheduled))
}

/// Cancel a follow-up
///
/// Staff only. The patient is not asked, or the link in the mail stops working. No further one follows.
#[utoipa::path(
    tag = "intakes",
    operation_id = "cancel_follow_up",
    security(("bearer" = [])),
    params(
        ("id" = FollowUpId, Path, description = "The follow-up"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Cancelled", body = FollowUpView),
        (status = 409, description = "`status_conflict`: it is not open"),
    ),
)]
#[post("/v1/follow-ups/{id}/cancel")]
pub(in crate::intake) async fn cancel_follow_up(
    context: Context,
    PathId(id): PathId<FollowUpId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    Ok(response::versioned(&cancel(&context, key.once_without_body(), id, if_match).await?))
}
