//! Accepting the local time that a visit has after a change of its zone, or of its law.

use actix_web::{HttpResponse, post};

use super::resolving::unaffected;
use crate::actor::Action;
use crate::appointments::appointment::Appointment;
use crate::appointments::history::Change;
use crate::appointments::notification::{self, Notification};
use crate::appointments::promise::Promise;
use crate::appointments::queries;
use crate::appointments::status::AppointmentStep;
use crate::appointments::steps::circumstances;
use crate::appointments::store;
use crate::appointments::view::AppointmentView;
use crate::context::{Context, Once};
use crate::error::Result;
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, PathId};
use crate::ids::AppointmentId;

/// Keeps the instant of a visit, and promises the local time that it has now. Notifies the patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflicts of the endpoint.
pub async fn accept(
    context: &Context,
    once: Once,
    id: AppointmentId,
    if_match: IfMatch,
) -> Result<Versioned<AppointmentView>> {
    context.require(Action::AppointmentProgress)?;
    context
        .change_once(once, move |tx| {
            let found = queries::lock(tx, id)?;
            let before = &found.appointment;
            if_match.check(before.version)?;
            let status = circumstances(tx, &found)?.decide(before.status, AppointmentStep::Reschedule)?;
            if before.promise.zone_changed_since.is_none() {
                return Err(unaffected());
            }
            let promise = Promise::of(before.starts_at, &found.location.time_zone, &tx.env.config.zones)?;
            // The patient confirmed another local time.
            let accepted =
                Appointment { promise, sequence: before.sequence + 1, status, confirmed_at: None, ..before.clone() };
            let change = Change { step: AppointmentStep::Reschedule, from: Some(before.status), reason: None };
            store::update(tx, change, accepted)?;
            let (accepted, accounts) = queries::find_with_accounts(tx, id)?;
            notification::send(tx, Notification::Moved, &accepted, accounts, false)?;
            AppointmentView::versioned(tx, accepted)
        })
        .await
}

/// Accept the new local time of an appointment
///
/// Staff only. For an appointment whose `attention` is `zone_changed`, because the law of its time zone or the zone of its location
/// changed: keeps the start, and promises the patient the local time that it has now. Clears `confirmed_at`. The patient gets a mail with
/// the new time. To keep the promised local time instead, use `POST /v1/zone-changes/resolve` or move the appointment.
#[utoipa::path(
    tag = "appointments",
    operation_id = "accept_appointment_time",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Accepted", body = AppointmentView),
        (status = 409, description = "`zone_unchanged`: its start shows the promised local time. \
            `status_conflict`: the status does not allow it; `allowed` has the possible steps"),
    ),
)]
#[post("/v1/appointments/{id}/accept-time")]
pub(in crate::appointments) async fn accept_appointment_time(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let accepted = accept(&context, key.once_without_body(), id, if_match).await?;
    Ok(response::versioned(&accepted))
}
