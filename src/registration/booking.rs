//! The outcome of a verification link, and the booking of its visit.

use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::linked_visit::ReservedVisit;
use crate::accounts::model::User;
use crate::actor::Actor;
use crate::appointments::booking::{self, NewAppointment};
use crate::appointments::view::AppointmentView;
use crate::appointments::{link_tokens, queries};
use crate::context::{Anonymous, Context, Tx};
use crate::error::{Conflict, Error, ProblemCode, Result};
use crate::identifiers::Identifiers;
use crate::ids::{AppointmentId, PatientId, SlotId};
use crate::scheduling::slots::free::SlotView;
use crate::scheduling::slots::search::with_next_free;

/// Why the visit of a registration was not booked. The address is verified all the same. The same link books the visit at another time:
/// send its token again with a `slot_id` of `next_free`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "code": "hold_lapsed", "detail": "The time was reserved until 2026-03-02T14:30:00Z. Choose another time.",
    "next_free": [{
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "practitioner_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c01",
        "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "starts_at": "2026-03-09T13:30:00Z",
        "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York"
    }]
}))]
pub struct NotBooked {
    /// The code of the conflict that a booking would have: `hold_lapsed`, `slot_taken`, `slot_past`, `not_offered`,
    /// `not_online_bookable`, `patient_busy`, `booking_limit`, `account_booking_limit` or `new_account_limit`. When the link is followed
    /// again without a `slot_id`, it is `hold_lapsed`.
    #[schema(value_type = String)]
    code: ProblemCode,
    /// The reason for a person.
    detail: String,
    /// The next slots in which the visit fits, nearest to the time that was chosen. May be empty.
    pub next_free: Vec<SlotView>,
}

/// The outcome of the verification of an address.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "password_token": "Yq1m3zJ0kU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE8", "email": "ann@example.org",
    "appointment": {
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
        "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
        "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
        "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
        "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
        "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
        "status": "booked", "series_id": null, "cancellable_until": null, "changeable_until": null, "confirmed_at": null, "confirmation_code": "K7MP-3XWD", "sequence": 0, "identifiers": [], "intake_id": null,
        "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
    }
}))]
pub struct VerifiedEmail {
    /// Sets the account's password at `POST /v1/password-resets/confirm`, once and within an hour. Not set if the account has a password,
    /// and not for a link that was followed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) password_token: Option<String>,
    /// The verified address, with which the account signs in. Set beside `password_token`, so that a password manager can store both.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 254)]
    pub(super) email: Option<String>,
    /// The appointment that the link booked, or had booked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub appointment: Option<AppointmentView>,
    /// Why the registration's visit was not booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub not_booked: Option<NotBooked>,
}

/// The account of a link acts for itself.
fn actor(tx: &Tx<Anonymous>, user: &User) -> Actor {
    Actor::without_session(user.id, user.role, tx.audit.clone())
}

/// Books the visit at the reserved time, as the account of the link and by the rules of every booking.
///
/// # Errors
/// A conflict, whatever the reason: the link then verifies the address alone.
pub fn book(tx: &mut Tx<Anonymous>, user: &User, patient: PatientId, visit: &ReservedVisit) -> Result<AppointmentView> {
    let new = NewAppointment {
        hold_id: Some(visit.hold_id),
        hold_secret: Some(visit.hold_secret.clone()),
        ..at(visit.slot_id, patient, visit)
    };
    insert(tx, user, &new)
}

/// Books the visit of a link whose reserved time was missed at another time.
///
/// # Errors
/// A conflict, whatever the reason.
pub fn book_other(
    tx: &mut Tx<Anonymous>,
    user: &User,
    slot: SlotId,
    patient: PatientId,
    visit: &ReservedVisit,
) -> Result<AppointmentView> {
    insert(tx, user, &at(slot, patient, visit))
}

fn at(slot_id: SlotId, patient_id: PatientId, visit: &ReservedVisit) -> NewAppointment {
    NewAppointment {
        slot_id,
        visit_type_id: visit.visit_type_id,
        patient_id,
        hold_id: None,
        hold_secret: None,
        note: visit.note.clone(),
        identifiers: Identifiers::default(),
        overbook: None,
        patient_informed: false,
    }
}

fn insert(tx: &mut Tx<Anonymous>, user: &User, new: &NewAppointment) -> Result<AppointmentView> {
    let actor = actor(tx, user);
    let tx = &mut tx.as_actor(&actor);
    let booked = booking::insert(tx, new).map_err(|error| match error {
        // The time, the visit type or the record is gone.
        Error::NotFound | Error::Invalid(_) => {
            Error::conflict(ProblemCode::NotOffered, "The clinic does not offer this visit any more. Call the clinic.")
        }
        other => other,
    })?;
    AppointmentView::new(tx, booked)
}

/// Shows a visit that the link has booked.
///
/// # Errors
/// [`Error::NotFound`] if the account may not see it any more, or staff revoked the visit's links since.
pub fn show(tx: &mut Tx<Anonymous>, user: &User, id: AppointmentId) -> Result<AppointmentView> {
    let actor = actor(tx, user);
    let tx = &mut tx.as_actor(&actor);
    let found = queries::find(tx, id)?;
    if link_tokens::were_revoked(tx.conn, id)? {
        return Err(Error::NotFound);
    }
    tx.audit.note_object(id.0);
    AppointmentView::new(tx, found)
}

impl NotBooked {
    /// Explains a conflict, with other times to choose from.
    pub async fn new(context: &Context<Anonymous>, conflict: Conflict, visit: &ReservedVisit) -> Self {
        let Conflict { code, mut detail, .. } = conflict;
        if code == ProblemCode::HoldLapsed {
            let until = visit.mail.reserved_until;
            // A change of the clinic's hours, or of the location's time zone, ends a reservation early.
            detail = if until > context.env.now() {
                "The time is not reserved any more. Choose another time.".to_owned()
            } else {
                format!("The time was reserved until {until}. Choose another time.")
            };
        }
        // Searched for every reason: whatever hindered this time, the patient needs another one.
        let taken = Error::conflict(ProblemCode::SlotTaken, "");
        let next_free = match with_next_free(context, taken, visit.slot_id, visit.visit_type_id).await {
            Error::Conflict(mut found) => found.members.remove("next_free").unwrap_or_default(),
            _ => serde_json::Value::Null,
        };
        Self { code, detail, next_free: serde_json::from_value(next_free).unwrap_or_default() }
    }
}
