//! The links in appointment mails. A link shows its one appointment as it is now, and changes it by the patient's rules, until the
//! appointment ends or staff revoke the link. Each mail has a token of its own. A link that was mailed to an account works while the
//! account may act for the patient, so a guardian's link ends with the guardian's access.

use actix_web::{HttpResponse, delete, post};
use serde::{Deserialize, Serialize};
use text::Language;
use utoipa::ToSchema;

use super::appointment::AppointmentDetails;
use super::link_tokens::{self, LinkPurpose};
use super::notification::{self, Notification};
use super::queries;
use super::status::{AppointmentStep, TIME_OPEN};
use super::steps::{self, Cause};
use crate::actor::Action;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Context, Once, Principal, Tx};
use crate::error::{Check, Error, ProblemCode, Result};
use crate::http::{Body, IdempotencyKey, PathId, response};
use crate::ids::{AppointmentId, PractitionerId, VisitTypeId};
use crate::messages::calendar;
use crate::patients::access;

/// The token of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
pub struct ViewAppointmentLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// A cancellation by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "reason": "I am travelling."}))]
pub struct CancelAppointmentLinkRequest {
    /// The token after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// The reason, at most 500 characters. Only staff read it.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

impl CancelAppointmentLinkRequest {
    fn checked(self) -> Result<(String, Option<String>)> {
        let mut check = Check::new();
        let reason = self.reason.filter(|reason| !reason.trim().is_empty());
        let reason = reason.and_then(|reason| check.field("/reason", text::lines(&reason, text::MAX_REASON)));
        check.done()?;
        Ok((self.token, reason))
    }
}

/// The location of an appointment.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "Riverside", "address": "12 Elm St, Springfield", "phone": "+12125550100", "phone_display": "(212) 555-0100"}))]
pub struct LinkedLocation {
    /// The name.
    pub name: String,
    /// The postal address.
    pub address: String,
    /// The telephone number in E.164.
    pub phone: String,
    /// The same number in the country's own format.
    pub phone_display: String,
}

/// The appointment of a link. Of the patient it shows the first name only.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "status": "booked", "first_name": "Ann", "visit": "Consultation", "practitioner": "Dr. Maya Osei",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location": {"name": "Riverside", "address": "12 Elm St, Springfield", "phone": "+12125550100", "phone_display": "(212) 555-0100"},
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "confirmation_code": "K7MP-3XWD", "can_cancel": true, "can_move": true, "can_confirm": true, "cancellable_until": "2026-03-08T13:30:00Z",
    "changeable_until": "2026-03-08T13:30:00Z", "confirmed_at": null, "is_time_open": false,
    "calendar": "BEGIN:VCALENDAR\r\n…\r\nEND:VCALENDAR\r\n"
}))]
pub struct LinkedAppointment {
    /// The status.
    status: AppointmentStatus,
    /// The patient's first name.
    first_name: String,
    /// The visit type's public name.
    visit: String,
    /// The practitioner's name.
    practitioner: String,
    /// The visit type, to search other times.
    visit_type_id: VisitTypeId,
    /// The practitioner, to search other times.
    practitioner_id: PractitionerId,
    /// The location.
    location: LinkedLocation,
    /// The start of the visit.
    starts_at: Timestamp,
    /// The end of the visit.
    ends_at: Timestamp,
    /// The location's IANA time zone.
    time_zone: String,
    /// The code to give on the telephone.
    confirmation_code: String,
    /// Whether the link can cancel it now.
    can_cancel: bool,
    /// Whether the link can move it now.
    can_move: bool,
    /// Whether the link can confirm it now: it is not confirmed, and has not begun.
    can_confirm: bool,
    /// The last instant at which patients may cancel it online. Later they call the clinic. Null if its status does not let them.
    cancellable_until: Option<Timestamp>,
    /// The last instant at which patients may move it online. Later they call the clinic. Null if its status does not let them.
    changeable_until: Option<Timestamp>,
    /// The time at which it was confirmed; null if it is not confirmed since it was booked or moved.
    confirmed_at: Option<Timestamp>,
    /// Whether the clock of the location has changed since the patient was told the time, so that `starts_at` may not count. The clinic
    /// decides, and tells the patient.
    #[serde(default)]
    is_time_open: bool,
    /// An iCalendar file (RFC 5545) for the patient's own calendar. The file of a cancelled appointment removes the entry.
    calendar: String,
}

impl LinkedAppointment {
    fn new(tx: &mut Tx<impl Principal>, found: AppointmentDetails) -> Result<Self> {
        let circumstances = steps::circumstances(tx, &found)?;
        let until = |step| found.patients_may_until(step);
        let (cancellable_until, changeable_until) =
            (until(AppointmentStep::Cancel), until(AppointmentStep::Reschedule));
        let language = Language::of_tag(&found.patient.preferred_language);
        let content = notification::content(&found, language);
        let phone_display = content.telephone().shown;
        let AppointmentDetails { appointment, patient, .. } = found;
        let may = |step| circumstances.decide(appointment.status, step).is_ok();
        let is_cancelled = appointment.status == AppointmentStatus::Cancelled;
        Ok(Self {
            status: appointment.status,
            first_name: patient.first_name().to_owned(),
            calendar: calendar::download(tx.env, &content, is_cancelled, language, appointment.updated_at)?,
            visit: content.visit,
            practitioner: content.practitioner,
            location: LinkedLocation {
                phone_display,
                name: content.location,
                address: content.address,
                phone: content.phone,
            },
            visit_type_id: appointment.visit_type_id,
            practitioner_id: appointment.practitioner_id,
            starts_at: appointment.starts_at,
            ends_at: appointment.ends_at,
            time_zone: content.time_zone,
            confirmation_code: content.confirmation_code,
            can_cancel: may(AppointmentStep::Cancel),
            can_move: may(AppointmentStep::Reschedule),
            can_confirm: appointment.confirmed_at.is_none() && may(AppointmentStep::Confirm),
            cancellable_until,
            changeable_until,
            confirmed_at: appointment.confirmed_at,
            is_time_open: circumstances.is_time_open,
        })
    }
}

/// Reads the appointment of a link.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn view(context: &Context<Anonymous>, link: ViewAppointmentLinkRequest) -> Result<LinkedAppointment> {
    context
        .read(move |tx| {
            let (id, _) = link_tokens::look_up(tx, LinkPurpose::Visit, &link.token)?;
            let found = queries::find_authorised(tx, id)?;
            tx.audit.note_object(id.0);
            LinkedAppointment::new(tx, found)
        })
        .await
}

/// Cancels the appointment of a link. Does nothing if it is cancelled already.
///
/// # Errors
/// [`Error::NotFound`]; the conflicts `status_conflict` and `cancel_notice`.
pub async fn cancel(
    context: &Context<Anonymous>,
    once: Once<Anonymous>,
    cancellation: CancelAppointmentLinkRequest,
) -> Result<LinkedAppointment> {
    let (token, reason) = cancellation.checked()?;
    let cause = Cause { reason, ..Cause::default() };
    change(context, once, token, move |tx, found| {
        if found.appointment.status == AppointmentStatus::Cancelled {
            return Ok(found);
        }
        steps::advance(tx, found, AppointmentStep::Cancel, &cause)
    })
    .await
}

/// Changes the appointment of a link, which `work` gets locked.
///
/// # Errors
/// [`Error::NotFound`]; those of `work`.
pub(super) async fn change<F>(
    context: &Context<Anonymous>,
    once: Once<Anonymous>,
    token: String,
    work: F,
) -> Result<LinkedAppointment>
where
    F: Fn(&mut Tx<Anonymous>, AppointmentDetails) -> Result<AppointmentDetails> + Send + 'static,
{
    // Authorises before the key is looked up: a link that does not work is 404, also for a repeat or with a key that another caller used.
    let repeated = token.clone();
    context.read(move |tx| link_tokens::look_up(tx, LinkPurpose::Visit, &repeated)).await?;
    context
        .change_once(once, move |tx| {
            let (id, _) = link_tokens::look_up_for_change(tx, LinkPurpose::Visit, &token)?;
            let found = queries::lock_authorised(tx, id)?;
            // Again, under the lock: a merge, or its undo, may have given the visit to another patient meanwhile.
            link_tokens::look_up(tx, LinkPurpose::Visit, &token)?;
            tx.audit.note_object(id.0);
            let changed = work(tx, found)?;
            LinkedAppointment::new(tx, changed)
        })
        .await
}

/// Revokes the links of an appointment and mails new ones.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `status_conflict` unless it is booked and not over, and its time is certain.
pub async fn renew(context: &Context, once: Once, id: AppointmentId) -> Result<()> {
    context.require(Action::AppointmentLinkManage)?;
    context
        .change_once(once, move |tx| {
            let found = queries::lock(tx, id)?;
            if found.appointment.status != AppointmentStatus::Booked || found.appointment.ends_at <= tx.now {
                return Err(Error::conflict(
                    ProblemCode::StatusConflict,
                    "Only a booked appointment that is not over has links.",
                ));
            }
            if found.appointment.promise.zone_changed_since.is_some() {
                return Err(Error::conflict(ProblemCode::StatusConflict, TIME_OPEN));
            }
            link_tokens::revoke_all(tx, id)?;
            let accounts = access::of_patient(tx.conn, found.patient.id)?;
            notification::send(tx, Notification::LinksRenewed, &found, accounts, false)
        })
        .await
}

/// Revokes the links of an appointment.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(context: &Context, id: AppointmentId) -> Result<()> {
    context.require(Action::AppointmentLinkManage)?;
    context
        .change(move |tx| {
            queries::lock(tx, id)?;
            link_tokens::revoke_all(tx, id)
        })
        .await
}

/// View the appointment of a link
///
/// Takes the token from an appointment's mail. The link works any number of times until the appointment ends. It shows the appointment as
/// it is now, even if it was moved after the mail. A link that was mailed to the account of a parent, guardian or caregiver works while
/// the account may act for the patient. An unknown, revoked or expired token is `not_found`; the response does not say which.
#[utoipa::path(
    tag = "appointments",
    operation_id = "view_appointment_link",
    request_body = ViewAppointmentLinkRequest,
    responses(
        (status = 200, description = "The appointment", body = LinkedAppointment),
        (status = 404, description = "`not_found`: the link does not work"),
    ),
)]
#[post("/v1/appointment-links/view")]
pub(super) async fn view_appointment_link(
    context: Context<Anonymous>,
    body: Body<ViewAppointmentLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&view(&context, body.value).await?))
}

/// Cancel the appointment of a link
///
/// Has the same rules and sends the same mails as a cancellation by the patient. If the appointment is cancelled already, nothing happens and the
/// response is the same.
#[utoipa::path(
    tag = "appointments",
    operation_id = "cancel_appointment_link",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = CancelAppointmentLinkRequest,
    responses(
        (status = 200, description = "The cancelled appointment", body = LinkedAppointment),
        (status = 404, description = "`not_found`: the link does not work"),
        (status = 409, description = "`status_conflict`: the status does not allow it. `cancel_notice`: too late to cancel it online"),
    ),
)]
#[post("/v1/appointment-links/cancel")]
pub(super) async fn cancel_appointment_link(
    context: Context<Anonymous>,
    key: IdempotencyKey,
    body: Body<CancelAppointmentLinkRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&cancel(&context, key.once(&body.raw), body.value).await?))
}

/// Send an appointment's mail with new links
///
/// For a patient who lost the mail, or if the mail went to the wrong person. The links sent so far stop working. The patient, and each
/// account that gets the appointment's mails, gets a mail with a new link at the current address.
#[utoipa::path(
    tag = "appointments",
    operation_id = "renew_appointment_links",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 202, description = "The mails are queued"),
        (status = 409, description = "`status_conflict`: it is not booked, or over, or staff have not decided which time counts (`attention` is \
            `zone_changed`)"),
    ),
)]
#[post("/v1/appointments/{id}/links")]
pub(super) async fn renew_appointment_links(
    context: Context,
    PathId(id): PathId<AppointmentId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    renew(&context, key.once_without_body(), id).await?;
    Ok(response::accepted())
}

/// Revoke an appointment's links
///
/// All links sent so far stop working at once, for example because a mail went to the wrong person.
#[utoipa::path(
    tag = "appointments",
    operation_id = "delete_appointment_links",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 204, description = "The links are revoked")),
)]
#[delete("/v1/appointments/{id}/links")]
pub(super) async fn delete_appointment_links(
    context: Context,
    PathId(id): PathId<AppointmentId>,
) -> Result<HttpResponse> {
    revoke(&context, id).await?;
    Ok(response::no_content())
}
