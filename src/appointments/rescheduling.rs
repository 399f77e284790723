//! Moving an appointment to another time, practitioner or location.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::appointment::{Appointment, AppointmentDetails};
use super::history::Change;
use super::notification::{self, Notification};
use super::overbooking::{self, Overbooking};
use super::promise::Promise;
use super::queries;
use super::series::gaps;
use super::status::AppointmentStep;
use super::steps::circumstances;
use super::store;
use super::view::AppointmentView;
use crate::actor::Action;
use crate::context::{Context, Once, Principal, Tx};
use crate::error::{Check, FieldCode, Result};
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, PathId};
use crate::ids::{AppointmentId, HoldId, SlotId};
use crate::intake::flag_ownership;
use crate::patients;
use crate::patients::care::{self, Before};
use crate::scheduling::slots::claim::{Claim, Moving, Wanted, claim};
use crate::scheduling::slots::holds::ending::WantedHold;
use crate::scheduling::slots::holds::holder::check_secret;
use crate::scheduling::slots::releasing::release;
use crate::scheduling::slots::search::with_next_free;

/// The new time of an appointment.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"slot_id": "0199d0c2-1f00-7aaa-8000-000000000007"}))]
pub struct RescheduleAppointmentRequest {
    /// The slot in which the visit starts. Practitioner and location may be others than before.
    pub slot_id: SlotId,
    /// The caller's hold on the slot, if there is one. Any id that is not a current hold of the caller is the conflict
    /// `hold_lapsed`.
    #[serde(default)]
    pub hold_id: Option<HoldId>,
    /// The secret of the hold, if it was taken without a session. The caller's account takes the hold over.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub hold_secret: Option<String>,
    /// Whether the days to the other visits of its series are ignored. Staff only.
    #[serde(default)]
    #[schema(default = false)]
    pub ignore_gaps: bool,
    /// Moves the visit although other visits of the practitioner take the new time or a part of it. Staff only. It has no effect if the
    /// whole time is free.
    #[serde(default)]
    pub overbook: Option<Overbooking>,
    /// Whether the patient has heard of it already, on the telephone or at the desk. The desk then gets no call to make; mails are sent all the
    /// same. Staff only.
    #[serde(default)]
    #[schema(default = false)]
    pub patient_informed: bool,
}

/// Moves an appointment and notifies the patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflicts of the endpoint.
pub async fn reschedule(
    context: &Context,
    once: Once,
    id: AppointmentId,
    if_match: IfMatch,
    mut to: RescheduleAppointmentRequest,
) -> Result<Versioned<AppointmentView>> {
    context.require(Action::AppointmentBook)?;
    let mut check = Check::new();
    check_secret(&mut check, "/hold_secret", to.hold_secret.as_deref().unwrap_or_default());
    let may_ignore = context.is_staff() || !to.ignore_gaps;
    check.require(may_ignore, "/ignore_gaps", FieldCode::ForbiddenField, "only the clinic's staff may set this");
    to.overbook = to.overbook.and_then(|overbook| overbook.checked(context.is_staff(), &mut check));
    notification::check_informed(to.patient_informed, context.is_staff(), &mut check);
    check.done()?;
    let slot = to.slot_id;
    let moved = context.change_once(once, move |tx| {
        let moved = move_to(tx, id, &if_match, &to)?;
        AppointmentView::changed(tx, moved)
    });
    let error = match moved.await {
        Err(error) => error,
        Ok(moved) => {
            overbooking::count(context, &moved);
            return Ok(moved);
        }
    };
    match context.read(move |tx| Ok(queries::find(tx, id)?.visit_type.id)).await {
        Ok(visit_type) => Err(with_next_free(context, error, slot, visit_type).await),
        Err(_) => Err(error),
    }
}

/// Moves an appointment that the actor may change, in an open transaction.
///
/// # Errors
/// Those of [`reschedule`].
pub(super) fn move_to(
    tx: &mut Tx,
    id: AppointmentId,
    if_match: &IfMatch,
    to: &RescheduleAppointmentRequest,
) -> Result<AppointmentDetails> {
    let found = queries::lock(tx, id)?;
    if_match.check(found.appointment.version)?;
    let hold = WantedHold::named(to.hold_id, to.hold_secret.as_deref());
    move_locked(tx, found, to, hold, is_placed_alone)
}

/// Decides whether a visit that the account moves is placed alone afterwards.
pub fn is_placed_alone(tx: &mut Tx, before: &Appointment, claimed: &Claim) -> Result<bool> {
    let placed = Before { practitioner_id: before.practitioner_id, self_placed: before.self_placed };
    care::is_placed_alone(tx, before.patient_id, claimed.practitioner_id, Some(placed))
}

/// Moves an appointment that is locked and that the caller may change: takes the new time and frees the old one in the same transaction.
/// `placed_alone` decides whether the appointment counts as placed alone afterwards.
///
/// # Errors
/// The conflicts of [`reschedule`].
pub fn move_locked<P: Principal>(
    tx: &mut Tx<P>,
    found: AppointmentDetails,
    to: &RescheduleAppointmentRequest,
    hold: Option<WantedHold<'_>>,
    placed_alone: impl FnOnce(&mut Tx<P>, &Appointment, &Claim) -> Result<bool>,
) -> Result<AppointmentDetails> {
    let id = found.appointment.id;
    let status = circumstances(tx, &found)?.decide(found.appointment.status, AppointmentStep::Reschedule)?;
    let (before, series) = (found.appointment, found.series_id);

    patients::store::lock_visits(tx.conn, before.patient_id)?;
    let wanted =
        Wanted { slot_id: to.slot_id, visit_type_id: before.visit_type_id, hold, overbook: to.overbook.is_some() };
    let mut claimed = claim(tx, wanted, Some(Moving { appointment_id: id, from: before.slot_range() }))?;
    if let Some(series) = series.filter(|_| !to.ignore_gaps) {
        gaps::require_kept(tx, series, id, (claimed.time.starts_at, claimed.location_id))?;
    }
    // Before the new time is taken, because the two may overlap.
    let released = release(tx, id, before.slot_range(), before.has_units())?;
    claimed.share(&released.passed)?;

    let self_placed = placed_alone(tx, &before, &claimed)?;
    let moved = Appointment {
        practitioner_id: claimed.practitioner_id,
        location_id: claimed.location_id,
        starts_at: claimed.time.starts_at,
        ends_at: claimed.time.ends_at,
        busy_from: claimed.time.busy_from,
        busy_until: claimed.time.busy_until,
        overbooked: claimed.overbooked,
        cancel_notice_minutes: claimed.visit_type.cancel_notice_minutes,
        resources: claimed.units.used(),
        promise: Promise::of(claimed.time.starts_at, &claimed.time_zone, &tx.env.config.zones)?,
        status,
        sequence: before.sequence + 1,
        self_placed,
        confirmed_at: None,
        ..before.clone()
    };
    let reason = to.overbook.as_ref().filter(|_| claimed.overbooked).map(|overbook| overbook.reason.as_str());
    let change = Change { step: AppointmentStep::Reschedule, from: Some(before.status), reason };
    let after = store::update(tx, change, moved)?;
    claimed.take(tx, id)?;
    overbooking::unmark(tx, &released)?;
    if claimed.overbooked {
        overbooking::record(tx, id)?;
    }
    flag_ownership::follow(tx.conn, tx.env, &before.visit(), &after.visit())?;
    let (moved, accounts) = queries::find_with_accounts(tx, id)?;
    let keeps_local_time = before.promise.zone_changed_since.is_some()
        && before.promise.is_same_time(&moved.appointment.promise)
        && before.refers_to() == moved.appointment.refers_to()
        && before.starts_at != moved.appointment.starts_at;
    notification::send(
        tx,
        if keeps_local_time { Notification::ZoneChanged } else { Notification::Moved },
        &moved,
        accounts,
        to.patient_informed,
    )?;
    Ok(moved)
}

/// Move an appointment
///
/// Moves it to another time, practitioner or location in one step. The old slots are free for others at once. The calendar entry
/// keeps its UID and gets the next `sequence`. The patient gets a mail. Patients may move an appointment until its
/// `changeable_until`, to a time that they could book. It then has the notice of its visit type. A visit of a series must keep the days to
/// the visits before and after it. Staff can ignore them; `warnings` then names the gaps that the series does not keep. With `overbook`
/// staff also move it into the time of other visits, as `POST /v1/appointments` does.
#[utoipa::path(
    tag = "appointments",
    operation_id = "reschedule_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = RescheduleAppointmentRequest,
    responses(
        (status = 200, description = "Moved", body = AppointmentView),
        (status = 409, description = "`status_conflict`: the status does not allow it; `allowed` has the possible steps. \
            `series_gap`: it would be too near to or too far from another visit of its series; `gap_days`, `min_gap_days` and `max_gap_days` have the gap. \
            `cancel_notice`: too late for the patient to move it. `slot_taken`: the visit does not fit, the slot is not offered any more, or a resource that the visit needs is taken, which `resource_id` then names; \
            `next_free` has the next slots in which it fits. `patient_busy`: the patient has another appointment at that time. \
            `hold_lapsed`: the caller has no such hold, because it lapsed, was released, replaced or used, or the practitioner's hours changed; `pointer` names the field, `next_free` has other slots. \
            `not_offered`: the practitioner does not offer this visit type. `not_online_bookable`: only staff book it. \
            `booking_notice`: it starts too soon. `slot_past`: the slot is over"),
    ),
)]
#[post("/v1/appointments/{id}/reschedule")]
pub(super) async fn reschedule_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<RescheduleAppointmentRequest>,
) -> Result<HttpResponse> {
    let moved = reschedule(&context, key.once(&body.raw), id, if_match, body.value).await?;
    Ok(response::versioned(&moved))
}
