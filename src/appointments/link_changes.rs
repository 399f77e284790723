//! Confirming and moving an appointment by the link in its mail, by the patient's rules.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::appointment::AppointmentDetails;
use super::confirming;
use super::links::{self, LinkedAppointment};
use super::rescheduling::{self, RescheduleAppointmentRequest};
use crate::appointment_status::AppointmentStatus;
use crate::context::{Anonymous, Context, Once, Tx};
use crate::error::{Error, FieldCode, Result};
use crate::http::{Body, IdempotencyKey, response};
use crate::ids::SlotId;
use crate::scheduling::slots::locking;

/// A confirmation by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct ConfirmAppointmentLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// A move by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "slot_id": "0199d0c2-1f00-7aaa-8000-000000000007"
}))]
pub struct RescheduleAppointmentLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// The slot of the same practitioner in which the visit starts.
    slot_id: SlotId,
}

/// Confirms the appointment of a link. Keeps the first confirmation if there is one.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `status_conflict`.
pub async fn confirm(
    context: &Context<Anonymous>,
    once: Once<Anonymous>,
    confirmation: ConfirmAppointmentLinkRequest,
) -> Result<LinkedAppointment> {
    links::change(context, once, confirmation.token, confirming::confirm_locked).await
}

/// Moves the appointment of a link and notifies the patient. Does nothing if it is at that time already.
///
/// # Errors
/// [`Error::NotFound`]; a broken rule for another practitioner's slot; the conflicts of the endpoint.
pub async fn reschedule(
    context: &Context<Anonymous>,
    once: Once<Anonymous>,
    to: RescheduleAppointmentLinkRequest,
) -> Result<LinkedAppointment> {
    let RescheduleAppointmentLinkRequest { token, slot_id } = to;
    links::change(context, once, token, move |tx, found| move_to(tx, found, slot_id)).await
}

fn move_to(tx: &mut Tx<Anonymous>, found: AppointmentDetails, slot_id: SlotId) -> Result<AppointmentDetails> {
    let visit = &found.appointment;
    if let Some(slot) = locking::find(tx.conn, slot_id)? {
        // A link has no account, so nobody could say whether the patient or a practitioner chose another practitioner.
        if slot.practitioner_id != visit.practitioner_id {
            return Err(Error::invalid(
                "/slot_id",
                FieldCode::OtherPractitioner,
                "must be a slot of the same practitioner",
            ));
        }
        if visit.status == AppointmentStatus::Booked && slot.starts_at == visit.starts_at {
            return Ok(found);
        }
    }
    let to = RescheduleAppointmentRequest {
        slot_id,
        hold_id: None,
        hold_secret: None,
        ignore_gaps: false,
        overbook: None,
        patient_informed: false,
    };
    rescheduling::move_locked(tx, found, &to, None, |_, before, _| Ok(before.self_placed))
}

/// Confirm the appointment of a link
///
/// Has the same rules as a confirmation by the patient: it must be booked and must not have begun. A second confirmation changes nothing.
/// Sends no mail.
#[utoipa::path(
    tag = "appointments",
    operation_id = "confirm_appointment_link",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = ConfirmAppointmentLinkRequest,
    responses(
        (status = 200, description = "The confirmed appointment", body = LinkedAppointment),
        (status = 404, description = "`not_found`: the link does not work"),
        (status = 409, description = "`status_conflict`: it is not booked, or has begun"),
    ),
)]
#[post("/v1/appointment-links/confirm")]
pub(super) async fn confirm_appointment_link(
    context: Context<Anonymous>,
    key: IdempotencyKey,
    body: Body<ConfirmAppointmentLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&confirm(&context, key.once(&body.raw), body.value).await?))
}

/// Move the appointment of a link
///
/// Moves it to another time of the same practitioner. Has the same rules and sends the same mails as a move by the patient. Search the times
/// with `GET /v1/slots` and the appointment's `visit_type_id` and `practitioner_id`. The link leads to the moved appointment afterwards. If it
/// is at that time already, nothing happens and the response is the same.
#[utoipa::path(
    tag = "appointments",
    operation_id = "reschedule_appointment_link",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = RescheduleAppointmentLinkRequest,
    responses(
        (status = 200, description = "The moved appointment", body = LinkedAppointment),
        (status = 404, description = "`not_found`: the link does not work"),
        (status = 409, description = "`status_conflict`: the status does not allow it. `cancel_notice`: too late to move it online. \
            `slot_taken`: the visit does not fit, the slot is not offered any more, or a resource that the visit needs is taken. \
            `series_gap`: it would be too near to or too far from another visit of its series. \
            `patient_busy`: the patient has another appointment at that time. `not_offered`: the practitioner does not offer this visit type. \
            `not_online_bookable`: only staff book it. `booking_notice`: it starts too soon. `slot_past`: the slot is over"),
    ),
)]
#[post("/v1/appointment-links/reschedule")]
pub(super) async fn reschedule_appointment_link(
    context: Context<Anonymous>,
    key: IdempotencyKey,
    body: Body<RescheduleAppointmentLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&reschedule(&context, key.once(&body.raw), body.value).await?))
}
