//! Booking an appointment.

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use super::appointment::{Appointment, AppointmentDetails, note_place};
use super::code::ConfirmationCode;
use super::limits;
use super::notification::{self, Notification};
use super::overbooking::{self, Overbooking};
use super::promise::Promise;
use super::queries;
use super::store;
use super::view::AppointmentView;
use crate::actor::{Action, Actor};
use crate::appointment_status::AppointmentStatus;
use crate::context::{Anonymous, Context, Once, Principal, Tx};
use crate::error::{Check, FieldCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey};
use crate::identifiers::{Identifier, Identifiers};
use crate::ids::{AppointmentId, HoldId, PatientId, PractitionerId, SlotId, VisitTypeId};
use crate::intake::flag_ownership;
use crate::patients::{self, care};
use crate::scheduling::slots::claim::{Wanted, claim};
use crate::scheduling::slots::holds::ending::WantedHold;
use crate::scheduling::slots::holds::holder::check_secret;
use crate::scheduling::slots::search::with_next_free;

/// An appointment to book.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "slot_id": "0199d0c2-1f00-7aaa-8000-000000000005", "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "hold_id": "0199d0c2-1f00-7aaa-8000-000000000006",
    "note": "I come with a walker."
}))]
pub struct NewAppointment {
    /// The slot in which the visit starts. `GET /v1/slots` returns the slots in which the whole visit fits.
    pub slot_id: SlotId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The patient.
    pub patient_id: PatientId,
    /// The caller's hold on the slot, if there is one. Any id that is not a current hold of the caller is the conflict
    /// `hold_lapsed`.
    #[serde(default)]
    pub hold_id: Option<HoldId>,
    /// The secret of the hold, if it was taken without a session. The caller's account takes the hold over.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub hold_secret: Option<String>,
    /// What the clinic should know before the visit, at most 1000 characters. The patient sees it as well.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
    /// The identifiers that other systems use for it. Staff only.
    #[serde(default)]
    #[schema(value_type = Vec<Identifier>, max_items = 20)]
    pub identifiers: Identifiers,
    /// Books the visit although other visits of the practitioner take the time or a part of it. Staff only. It has no effect if the
    /// whole time is free.
    #[serde(default)]
    pub overbook: Option<Overbooking>,
    /// Whether the patient has heard of it already, on the telephone or at the desk. The desk then gets no call to make; mails are sent all the
    /// same. Staff only.
    #[serde(default)]
    #[schema(default = false)]
    pub patient_informed: bool,
}

impl NewAppointment {
    /// Checks and normalises the values.
    fn checked(mut self, by_staff: bool) -> Result<Self> {
        let mut check = Check::new();
        check_secret(&mut check, "/hold_secret", self.hold_secret.as_deref().unwrap_or_default());
        self.note = self.note.and_then(|note| check.field("/note", text::lines(&note, text::MAX_NOTE)));
        let allowed = by_staff || self.identifiers.0.is_empty();
        check.require(allowed, "/identifiers", FieldCode::ForbiddenField, "only the clinic's staff may set this");
        self.identifiers = self.identifiers.read("/identifiers", &mut check).unwrap_or_default();
        self.overbook = self.overbook.and_then(|overbook| overbook.checked(by_staff, &mut check));
        notification::check_informed(self.patient_informed, by_staff, &mut check);
        check.done()?;
        Ok(self)
    }
}

/// Books an appointment and notifies the patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) for a patient whom the actor may not see; the conflicts of the endpoint.
pub async fn book(context: &Context, once: Once, new: NewAppointment) -> Result<Versioned<AppointmentView>> {
    context.require(Action::AppointmentBook)?;
    let once = once.required()?;
    let new = new.checked(context.is_staff())?;
    let (slot, visit_type) = (new.slot_id, new.visit_type_id);
    let booked = context.change_once(once, move |tx| {
        let booked = insert(tx, &new)?;
        AppointmentView::versioned(tx, booked)
    });
    match booked.await {
        Err(error) => Err(with_next_free(context, error, slot, visit_type).await),
        Ok(booked) => {
            overbooking::count(context, &booked);
            Ok(booked)
        }
    }
}

/// Books an appointment whose values are checked, in an open transaction.
///
/// # Errors
/// Those of [`book`].
pub fn insert(tx: &mut Tx, booking: &NewAppointment) -> Result<AppointmentDetails> {
    patients::store::lock_by_account(tx.conn, tx.env, tx.actor, booking.patient_id)?;
    let hold = WantedHold::named(booking.hold_id, booking.hold_secret.as_deref());
    insert_locked(tx, booking, hold, place)
}

/// Decides whether a visit that the account books is placed alone, and requires that it may have another one.
///
/// # Errors
/// Those of [`limits::require_room`].
pub fn place(tx: &mut Tx, patient: PatientId, practitioner: PractitionerId) -> Result<bool> {
    if !tx.actor.is_staff() {
        limits::require_room(tx, patient)?;
    }
    care::is_placed_alone(tx, patient, practitioner, None)
}

/// [`place`] for a booking without an account. It counts as placed as if `author` had booked it, and for the limits of an author who is no
/// member of the staff.
///
/// # Errors
/// The conflicts of [`limits::require_room`].
pub fn place_without_account(
    tx: &mut Tx<Anonymous>,
    author: &Actor,
    patient: PatientId,
    practitioner: PractitionerId,
) -> Result<bool> {
    if author.is_staff() {
        limits::require_room_of_patient(tx.conn, tx.env, patient, tx.now)?;
    } else {
        limits::require_room(&mut tx.as_actor(author), patient)?;
    }
    care::is_placed_alone(&mut tx.as_actor(author), patient, practitioner, None)
}

/// Books an appointment for a patient who is locked and whom the caller may act for. `place` requires that there is room for another visit,
/// and decides whether it counts as placed alone.
///
/// # Errors
/// The conflicts of [`book`].
pub fn insert_locked<P: Principal>(
    tx: &mut Tx<P>,
    booking: &NewAppointment,
    hold: Option<WantedHold<'_>>,
    place: impl FnOnce(&mut Tx<P>, PatientId, PractitionerId) -> Result<bool>,
) -> Result<AppointmentDetails> {
    let NewAppointment { slot_id, visit_type_id, patient_id, .. } = *booking;
    let wanted = Wanted { slot_id, visit_type_id, hold, overbook: booking.overbook.is_some() };
    let claimed = claim(tx, wanted, None)?;
    let self_placed = place(tx, patient_id, claimed.practitioner_id)?;
    let id: AppointmentId = tx.env.new_id();
    let appointment = Appointment {
        id,
        patient_id,
        practitioner_id: claimed.practitioner_id,
        location_id: claimed.location_id,
        visit_type_id: claimed.visit_type.id,
        starts_at: claimed.time.starts_at,
        ends_at: claimed.time.ends_at,
        status: AppointmentStatus::Booked,
        confirmation_code: ConfirmationCode::draw(&tx.env.entropy).as_str().to_owned(),
        sequence: 0,
        note: booking.note.as_ref().map(|note| tx.env.sealer.seal(note_place(id), note)).transpose()?,
        identifiers: booking.identifiers.clone(),
        booked_by: tx.actor.account(),
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
        self_placed,
        busy_from: claimed.time.busy_from,
        busy_until: claimed.time.busy_until,
        overbooked: claimed.overbooked,
        confirmed_at: None,
        late_cancelled: false,
        cancel_notice_minutes: claimed.visit_type.cancel_notice_minutes,
        resources: claimed.units.used(),
        promise: Promise::of(claimed.time.starts_at, &claimed.time_zone, &tx.env.config.zones)?,
    };
    let reason = booking.overbook.as_ref().filter(|_| claimed.overbooked).map(|overbook| overbook.reason.as_str());
    store::insert(tx, &appointment, reason)?;
    claimed.take(tx, id)?;
    if claimed.overbooked {
        overbooking::record(tx, id)?;
    }
    let visit = appointment.visit();
    if visit.gives_care {
        flag_ownership::assign_unowned(tx.conn, &visit)?;
    }
    let (booked, accounts) = queries::find_with_accounts(tx, id)?;
    notification::send(tx, Notification::Booked, &booked, accounts, booking.patient_informed)?;
    Ok(booked)
}

/// Book an appointment
///
/// Takes all slots of the visit and sends the confirmation mail in one step. Patients book visits that are bookable online for the
/// patients they may act for, and respect the visit type's notice. Staff book any slot until it ends, with `overbook` also into the time
/// of other visits. Such a visit is marked `overbooked`. It must be within the practitioner's hours, in time that is neither blocked nor
/// held by another caller.
#[utoipa::path(
    tag = "appointments",
    operation_id = "create_appointment",
    security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header)),
    request_body = NewAppointment,
    responses(
        (status = 201, description = "Booked", body = AppointmentView),
        (status = 404, description = "`not_found`: the patient does not exist, or the caller may not see it"),
        (status = 409, description = "`slot_taken`: the visit does not fit, the slot is not offered any more, or a resource that the visit needs is taken, which `resource_id` then names; `next_free` has the next slots in which it fits. \
            `patient_busy`: the patient has another appointment at that time. \
            `hold_lapsed`: the caller has no such hold, because it lapsed, was released, replaced or used, or the practitioner's hours changed; `pointer` names the field, `next_free` has other slots. \
            `not_offered`: the practitioner does not offer this visit type. `not_online_bookable`: only staff book it. \
            `booking_notice`: it starts too soon. `booking_limit`: the patient has the maximum number of upcoming appointments booked online. \
            `account_booking_limit`: the account has the maximum number for all patients together that it added itself. \
            `new_account_limit`: accounts verified within the last day at this address, or in its network, have the maximum number together. \
            `slot_past`: the slot is over. \
            `identifier_taken`: another appointment has an identifier; `pointer` names the identifier, `taken_by` the appointment"),
    ),
)]
#[post("/v1/appointments")]
pub(super) async fn create_appointment(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewAppointment>,
) -> Result<HttpResponse> {
    let booked = book(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/appointments/{}", booked.object.id), &booked))
}
