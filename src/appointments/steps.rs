//! Cancelling an appointment, and the steps on the day of the visit: check-in, no-show, completion, undo.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::appointment::{Appointment, AppointmentDetails};
use super::history::{Change, ended_calls_at, status_changed_at};
use super::notification::{self, Notification};
use super::overbooking;
use super::queries;
use super::status::{AppointmentStep, Circumstances, is_late_cancellation};
use super::store;
use super::view::AppointmentView;
use crate::actor::{Action, Role};
use crate::appointment_status::AppointmentStatus;
use crate::context::{Context, Once, Principal, Tx};
use crate::error::{Check, Error, Result};
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::AppointmentId;
use crate::intake::flag_ownership;
use crate::intake::follow_up::planning as follow_up;
use crate::messages::outbox;
use crate::patients::{self, access, care};
use crate::scheduling::slots::locking;
use crate::scheduling::slots::releasing::{Released, release};

/// The reason of a cancellation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Travelling that week"}))]
pub struct CancelAppointmentRequest {
    /// The reason, at most 500 characters. Staff and the account that gave it read it in the history.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
    /// Whether the patient has heard of it already, on the telephone or at the desk. The desk then gets no call to make; mails are sent all the
    /// same. Staff only.
    #[serde(default)]
    #[schema(default = false)]
    pub patient_informed: bool,
    /// Whether the clinic cancels for a reason of its own, such as an illness of the practitioner. However late it is, this does not count
    /// among the patient's late cancellations. Staff only.
    #[serde(default)]
    #[schema(default = false)]
    pub clinic_cancels: bool,
}

/// The reason why a step is undone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Checked in the wrong patient"}))]
pub struct UndoAppointmentRequest {
    /// The reason, at most 500 characters. Staff and the account that gave it read it in the history.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

fn checked(reason: &str) -> Result<String> {
    let mut check = Check::new();
    let reason = check.field("/reason", text::lines(reason, text::MAX_REASON));
    check.done()?;
    reason.ok_or_else(|| Error::fault("a reason that kept the rules is missing"))
}

/// Why a step is taken, and whether the patient knows of it already.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    pub reason: Option<String>,
    pub patient_informed: bool,
    /// Whether the clinic cancels for a reason of its own.
    pub clinic_cancels: bool,
}

/// Takes a step other than booking and moving.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); forbidden if a practitioner has
/// to give a reason; the conflicts of the endpoints.
pub async fn take_step(
    context: &Context,
    once: Once,
    id: AppointmentId,
    if_match: IfMatch,
    step: AppointmentStep,
    cause: Cause,
) -> Result<Versioned<AppointmentView>> {
    let is_cancellation = step == AppointmentStep::Cancel;
    context.require(if is_cancellation { Action::AppointmentBook } else { Action::AppointmentProgress })?;
    let mut check = Check::new();
    notification::check_informed(cause.patient_informed, context.is_staff(), &mut check);
    notification::check_staff_only("/clinic_cancels", cause.clinic_cancels, context.is_staff(), &mut check);
    check.done()?;
    let reason = cause.reason.as_deref().map(checked).transpose()?;
    let cause = Cause { reason, ..cause };
    context
        .change_once(once, move |tx| {
            let found = queries::lock(tx, id)?;
            let visit = &found.appointment;
            // The check-in of an appointment that a practitioner placed alone opens the record.
            let is_practitioner = tx.actor.role == Role::Practitioner;
            if step == AppointmentStep::CheckIn && visit.self_placed && is_practitioner {
                care::admit(tx.conn, tx.env, tx.actor, visit.patient_id)?;
            }
            if_match.check(visit.version)?;
            let after = advance(tx, found, step, &cause)?;
            if is_cancellation { AppointmentView::changed(tx, after) } else { AppointmentView::versioned(tx, after) }
        })
        .await
}

/// Takes a step on an appointment that is locked and that the caller may change.
///
/// # Errors
/// The conflicts of [`take_step`].
pub fn advance(
    tx: &mut Tx<impl Principal>,
    found: AppointmentDetails,
    step: AppointmentStep,
    cause: &Cause,
) -> Result<AppointmentDetails> {
    let status = circumstances(tx, &found)?.decide(found.appointment.status, step)?;
    // A record can be retired although a visit that the patient missed could still take place on that day. After a merge the visit belongs to
    // the other record.
    if step.needs_record() {
        found.patient.require_active()?;
    }
    let before = found.appointment;
    let (was, is) = (before.visit(), Appointment { status, ..before.clone() }.visit());
    // The wait for an earlier time than this visit's ends with it, and no offer to the patient may cross that.
    if !status.is_live() && was == is {
        patients::store::lock_record(tx.conn, before.patient_id)?;
    }
    // The appointment claims the patient's time again, which may be in use by now; or the patient's flags follow it.
    if (status.is_live() && !before.status.is_live()) || was != is {
        patients::store::lock_visits(tx.conn, before.patient_id)?;
    }
    let is_reopened = before.status == AppointmentStatus::Fulfilled;
    let is_cancelled = status == AppointmentStatus::Cancelled;
    let released = if is_cancelled {
        locking::lock_ranges(tx.conn, &[before.slot_range()])?;
        release(tx, before.id, before.slot_range(), before.has_units())?
    } else {
        Released::default()
    };
    let sequence = before.sequence + i32::from(is_cancelled);
    let change = Change { step, from: Some(before.status), reason: cause.reason.as_deref() };
    let cancel_until = before.cancel_until();
    let for_clinic = cause.clinic_cancels || found.off_plan.is_some() || before.promise.zone_changed_since.is_some();
    let late_cancelled = is_cancelled && is_late_cancellation(before.status, tx.now, cancel_until, for_clinic);
    let overbooked = before.overbooked && !is_cancelled;
    let appointment =
        store::update(tx, change, Appointment { status, sequence, overbooked, late_cancelled, ..before })?;
    overbooking::unmark(tx, &released)?;
    let after = AppointmentDetails { appointment, ..found };
    flag_ownership::follow(tx.conn, tx.env, &was, &is)?;
    let visit = &after.appointment;
    match step {
        AppointmentStep::CheckIn | AppointmentStep::NoShow => outbox::end_calls(tx.conn, visit.id, tx.now)?,
        AppointmentStep::Complete => {
            let seen_on = visit.starts_at.in_zone(&after.location.zone(&tx.env.config.zones)?).date();
            follow_up::visit_completed(tx, visit.patient_id, visit.id, seen_on)?;
        }
        AppointmentStep::Undo if is_reopened => follow_up::visit_undone(tx, visit.patient_id, visit.id)?,
        AppointmentStep::Undo => {
            let ended_at = ended_calls_at(tx, visit.id)?;
            outbox::resume_calls(tx.conn, visit.id, &ended_at, tx.now)?;
        }
        _ => {}
    }
    if is_cancelled {
        let accounts = access::of_patient(tx.conn, after.patient.id)?;
        let cancelled = Notification::Cancelled { by_patient: !tx.actor.is_staff() };
        notification::send(tx, cancelled, &after, accounts, cause.patient_informed)?;
    }
    Ok(after)
}

/// What the rules look at beside the status.
pub(super) fn circumstances(tx: &mut Tx<impl Principal>, found: &AppointmentDetails) -> Result<Circumstances> {
    Ok(Circumstances {
        now: tx.now,
        starts_at: found.appointment.starts_at,
        changed_at: status_changed_at(tx, &found.appointment)?,
        zone: found.location.zone(&tx.env.config.zones)?,
        by_staff: tx.actor.is_staff(),
        cancel_until: found.appointment.cancel_until(),
        is_time_open: found.appointment.promise.zone_changed_since.is_some(),
    })
}

/// Cancel an appointment
///
/// A cancellation is final. The slots are free at once, and the patient gets a mail that removes the calendar entry. Patients may cancel
/// until `cancellable_until`. Staff may also cancel for a patient who is checked in.
#[utoipa::path(
    tag = "appointments",
    operation_id = "cancel_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = CancelAppointmentRequest,
    responses(
        (status = 200, description = "Cancelled", body = AppointmentView),
        (status = 409, description = "`status_conflict`: the status does not allow it; `allowed` has the possible steps. \
            `cancel_notice`: too late for the patient to cancel it"),
    ),
)]
#[post("/v1/appointments/{id}/cancel")]
pub(super) async fn cancel_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<CancelAppointmentRequest>,
) -> Result<HttpResponse> {
    let step = AppointmentStep::Cancel;
    let CancelAppointmentRequest { reason, patient_informed, clinic_cancels } = body.value;
    let cause = Cause { reason: Some(reason), patient_informed, clinic_cancels };
    let after = take_step(&context, key.once(&body.raw), id, if_match, step, cause).await?;
    Ok(response::versioned(&after))
}

/// Check a patient in
///
/// The patient has arrived. Possible from the day of the visit on, in the location's time zone. Also checks in a patient who was
/// marked as a no-show, on the day of that mark. If practitioners placed the appointment with themselves, or with a colleague without
/// having a care relationship, the check-in opens the patient's clinical data. A practitioner who checks such a patient in gives a
/// reason in `Access-Reason`, unless they may read the data already. Open calls about the appointment are completed.
#[utoipa::path(
    tag = "appointments",
    operation_id = "check_in_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Checked in", body = AppointmentView),
        (status = 409, description = "`status_conflict`: the status does not allow it; `allowed` has the possible steps. \
            `too_early`: the day of the visit has not come; `allowed` has the possible steps. \
            `patient_busy`: after a no-show, the patient has another appointment at that time. `patient_retired`: the record was retired"),
    ),
)]
#[post("/v1/appointments/{id}/check-in")]
pub(super) async fn check_in_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let step = AppointmentStep::CheckIn;
    let after = take_step(&context, key.once_without_body(), id, if_match, step, Cause::default()).await?;
    Ok(response::versioned(&after))
}

/// Mark a patient as a no-show
///
/// The patient did not come. Possible from the start of the appointment on. Open calls about the appointment are completed.
#[utoipa::path(
    tag = "appointments",
    operation_id = "mark_appointment_no_show",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Marked", body = AppointmentView),
        (status = 409, description = "`status_conflict`: the status does not allow it; `allowed` has the possible steps"),
    ),
)]
#[post("/v1/appointments/{id}/no-show")]
pub(super) async fn mark_appointment_no_show(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let step = AppointmentStep::NoShow;
    let after = take_step(&context, key.once_without_body(), id, if_match, step, Cause::default()).await?;
    Ok(response::versioned(&after))
}

/// Complete an appointment
///
/// The visit took place. The patient must be checked in, and the day of the visit must have come.
#[utoipa::path(
    tag = "appointments",
    operation_id = "complete_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Completed", body = AppointmentView),
        (status = 409, description = "`status_conflict`: the status does not allow it; `allowed` has the possible steps. \
            `too_early`: the day of the visit has not come; `allowed` has the possible steps. `patient_retired`: the record was retired"),
    ),
)]
#[post("/v1/appointments/{id}/complete")]
pub(super) async fn complete_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let step = AppointmentStep::Complete;
    let after = take_step(&context, key.once_without_body(), id, if_match, step, Cause::default()).await?;
    Ok(response::versioned(&after))
}

/// Undo the last step
///
/// A check-in and a no-show become `booked` again, a completed appointment becomes `checked-in`. The follow-up that was scheduled after the
/// visit is cancelled, and one that it replaced is scheduled again. Calls that the step completed are open again. Possible on the day of the
/// step, in the location's time zone. A cancellation cannot be undone, because its slots are free for others. An undo needs a reason,
/// because it corrects the record.
#[utoipa::path(
    tag = "appointments",
    operation_id = "undo_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = UndoAppointmentRequest,
    responses(
        (status = 200, description = "Undone", body = AppointmentView),
        (status = 409, description = "`status_conflict`: the status does not allow it; `allowed` has the possible steps. \
            `patient_busy`: the patient has another appointment at that time. `patient_retired`: the record was retired"),
    ),
)]
#[post("/v1/appointments/{id}/undo")]
pub(super) async fn undo_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<UndoAppointmentRequest>,
) -> Result<HttpResponse> {
    let step = AppointmentStep::Undo;
    let cause = Cause { reason: Some(body.value.reason), ..Cause::default() };
    let after = take_step(&context, key.once(&body.raw), id, if_match, step, cause).await?;
    Ok(response::versioned(&after))
}
