//! Confirming that the patient will come.

use actix_web::{HttpResponse, post};

use super::appointment::{Appointment, AppointmentDetails};
use super::history::Change;
use super::queries;
use super::status::AppointmentStep;
use super::steps::circumstances;
use super::store;
use super::view::AppointmentView;
use crate::actor::Action;
use crate::context::{Context, Once, Principal, Tx};
use crate::error::Result;
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, PathId};
use crate::ids::AppointmentId;

/// Confirms an appointment. Keeps the first confirmation if there is one.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound), [`Error::Stale`](crate::error::Error::Stale); the conflict `status_conflict`.
pub async fn confirm(
    context: &Context,
    once: Once,
    id: AppointmentId,
    if_match: IfMatch,
) -> Result<Versioned<AppointmentView>> {
    context.require(Action::AppointmentBook)?;
    context
        .change_once(once, move |tx| {
            let found = queries::lock(tx, id)?;
            if_match.check(found.appointment.version)?;
            let confirmed = confirm_locked(tx, found)?;
            AppointmentView::versioned(tx, confirmed)
        })
        .await
}

/// Confirms an appointment that is locked and that the caller may change.
///
/// # Errors
/// The conflict of [`confirm`].
pub(super) fn confirm_locked(tx: &mut Tx<impl Principal>, found: AppointmentDetails) -> Result<AppointmentDetails> {
    let status = circumstances(tx, &found)?.decide(found.appointment.status, AppointmentStep::Confirm)?;
    if found.appointment.confirmed_at.is_some() {
        return Ok(found);
    }
    let change = Change { step: AppointmentStep::Confirm, from: Some(found.appointment.status), reason: None };
    let confirmed = Appointment { status, confirmed_at: Some(tx.now), ..found.appointment };
    let appointment = store::update(tx, change, confirmed)?;
    Ok(AppointmentDetails { appointment, ..found })
}

/// Confirm an appointment
///
/// The patient says that they will come. For the patient, accounts that act for them, and staff after a call. Possible while it is booked and
/// has not begun. A second confirmation changes nothing. Sends no mail. A move clears `confirmed_at`.
#[utoipa::path(
    tag = "appointments",
    operation_id = "confirm_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Confirmed", body = AppointmentView),
        (status = 409, description = "`status_conflict`: it is not booked, has begun, or staff have not decided which time counts (`attention` is \
            `zone_changed`); `allowed` has the possible steps"),
    ),
)]
#[post("/v1/appointments/{id}/confirm")]
pub(super) async fn confirm_appointment(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let confirmed = confirm(&context, key.once_without_body(), id, if_match).await?;
    Ok(response::versioned(&confirmed))
}
