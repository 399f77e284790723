//! Booking a series: all visits in one transaction, or none.

use std::collections::HashMap;

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::gaps::{Gap, MAX_DAYS, Start, conflict};
use super::view::{self, AppointmentSeries};
use crate::actor::Action;
use crate::appointments::booking::{self, NewAppointment};
use crate::appointments::notification;
use crate::context::{Context, Once, Tx};
use crate::db::per_backend;
use crate::db::schema::{appointment_series, appointment_series_visits, locations};
use crate::error::{Check, Error, FieldCode, FieldError, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey};
use crate::identifiers::Identifiers;
use crate::ids::{AppointmentId, AppointmentSeriesId, HoldId, LocationId, PatientId, SlotId, VisitTypeId};
use crate::patients;
use crate::scheduling::slots::holds::holder::check_secret;
use crate::scheduling::slots::search::with_next_free;
use crate::scheduling::slots::{locking, offers, units};

/// The largest number of visits.
const MAX_VISITS: usize = 20;

/// A series of visits to book.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "visits": [
        {"slot_id": "0199d0c2-1f00-7aaa-8000-000000000005", "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004"},
        {"slot_id": "0199d0c2-1f00-7aaa-8000-000000000006", "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
         "min_gap_days": 7, "max_gap_days": 14}
    ]
}))]
pub struct NewAppointmentSeries {
    /// The patient.
    pub patient_id: PatientId,
    /// The visits in order, each later than the one before.
    #[schema(min_items = 2, max_items = 20)]
    pub visits: Vec<NewSeriesVisit>,
    /// What the clinic should know before the visits, at most 1000 characters. Each appointment has it as its note.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
    /// Whether the patient has heard of the visits already, on the telephone or at the desk. The desk then gets no call to make; mails are sent all the
    /// same. Staff only.
    #[serde(default)]
    #[schema(default = false)]
    pub patient_informed: bool,
}

/// A visit of a series to book.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "slot_id": "0199d0c2-1f00-7aaa-8000-000000000006", "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "min_gap_days": 7, "max_gap_days": 14
}))]
pub struct NewSeriesVisit {
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The caller's hold on the slot, if there is one.
    #[serde(default)]
    pub hold_id: Option<HoldId>,
    /// The secret of the hold, if it was taken without a session.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub hold_secret: Option<String>,
    /// The least number of days since the visit before: from its date at its location to the date of this visit at its own. Default: 0.
    /// Not for the first visit.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 730)]
    pub min_gap_days: Option<i32>,
    /// The largest number of these days. Default: no limit. Not for the first visit.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 730)]
    pub max_gap_days: Option<i32>,
}

impl NewSeriesVisit {
    fn check(&self, index: usize, check: &mut Check) {
        let place = |member: &str| format!("/visits/{index}/{member}");
        check_secret(check, place("hold_secret"), self.hold_secret.as_deref().unwrap_or_default());
        for (member, days) in [("min_gap_days", self.min_gap_days), ("max_gap_days", self.max_gap_days)] {
            let detail = format!("must be between 0 and {MAX_DAYS}");
            check.require(
                days.is_none_or(|days| (0..=MAX_DAYS).contains(&days)),
                place(member),
                FieldCode::OutOfRange,
                detail,
            );
            let detail = "must not be set for the first visit, which has no visit before it";
            check.require(index > 0 || days.is_none(), place(member), FieldCode::ForbiddenField, detail);
        }
        let gap = self.gap();
        let fits = gap.max_days.is_none_or(|most| gap.min_days <= most);
        check.require(fits, place("max_gap_days"), FieldCode::OutOfRange, "must be at least min_gap_days");
    }

    fn gap(&self) -> Gap {
        Gap { min_days: self.min_gap_days.unwrap_or(0), max_days: self.max_gap_days }
    }
}

impl NewAppointmentSeries {
    fn checked(mut self, by_staff: bool) -> Result<Self> {
        let mut check = Check::new();
        notification::check_informed(self.patient_informed, by_staff, &mut check);
        let count = self.visits.len();
        check.require(count >= 2, "/visits", FieldCode::TooFew, "must have at least 2");
        let detail = format!("must have at most {MAX_VISITS} entries");
        check.require(count <= MAX_VISITS, "/visits", FieldCode::TooMany, detail);
        for (index, visit) in self.visits.iter().enumerate().take(MAX_VISITS) {
            visit.check(index, &mut check);
        }
        self.note = self.note.and_then(|note| check.field("/note", text::lines(&note, text::MAX_NOTE)));
        check.done()?;
        Ok(self)
    }

    fn appointment(&self, visit: &NewSeriesVisit) -> NewAppointment {
        NewAppointment {
            slot_id: visit.slot_id,
            visit_type_id: visit.visit_type_id,
            patient_id: self.patient_id,
            hold_id: visit.hold_id,
            hold_secret: visit.hold_secret.clone(),
            note: self.note.clone(),
            identifiers: Identifiers::default(),
            overbook: None,
            patient_informed: self.patient_informed,
        }
    }
}

/// Books a series and notifies the patient of each visit.
///
/// # Errors
/// [`Error::NotFound`] for a patient whom the actor may not see; the conflicts of the endpoint.
pub async fn book(context: &Context, once: Once, new: NewAppointmentSeries) -> Result<Versioned<AppointmentSeries>> {
    context.require(Action::AppointmentBook)?;
    let once = once.required()?;
    let new = new.checked(context.is_staff())?;
    let visits: Vec<_> = new.visits.iter().map(|visit| (visit.slot_id, visit.visit_type_id)).collect();
    let error = match context.change_once(once, move |tx| insert(tx, &new)).await {
        Err(error) => error,
        booked => return booked,
    };
    match visit_of(&error).and_then(|index| visits.get(index)) {
        Some((slot, visit_type)) => Err(with_next_free(context, error, *slot, *visit_type).await),
        None => Err(error),
    }
}

/// Books the visits, each as [`booking::insert`] does.
///
/// First locks the patient, then the slots of all visits, then their units, each in the one global order, and only then checks any of
/// them. So no two bookings wait for each other in a circle.
fn insert(tx: &mut Tx, new: &NewAppointmentSeries) -> Result<Versioned<AppointmentSeries>> {
    let patient_id = patients::store::lock_by_account(tx.conn, tx.env, tx.actor, new.patient_id)?;
    let mut offered = Vec::new();
    for (index, visit) in new.visits.iter().enumerate() {
        let offer =
            offers::find(tx.conn, visit.slot_id, visit.visit_type_id).map_err(|error| at_visit(error, index))?;
        offered.push(offer);
    }
    let zones: HashMap<LocationId, String> = locations::table
        .filter(locations::id.eq_any(offered.iter().map(|offer| offer.slot.location_id)))
        .select((locations::id, locations::time_zone))
        .load(tx.conn)?
        .into_iter()
        .collect();
    let mut starts = Vec::new();
    for offer in &offered {
        let name = zones.get(&offer.slot.location_id).map_or("", String::as_str);
        starts.push(Start::new(offer.slot.starts_at, &tx.env.config.zones.stored(name)?));
    }
    require_gaps(new, &starts)?;
    let ranges: Vec<_> = offered.iter().map(offers::Offer::range).collect();
    locking::lock_ranges(tx.conn, &ranges)?;
    if offered.iter().any(|offer| offer.needs_resources) {
        let visit_types: Vec<_> = new.visits.iter().map(|visit| visit.visit_type_id).collect();
        let locations: Vec<_> = zones.keys().copied().collect();
        units::lock(tx.conn, &visit_types, &locations)?;
    }

    let mut booked = Vec::new();
    for (index, visit) in new.visits.iter().enumerate() {
        let inserted = booking::insert(tx, &new.appointment(visit)).map_err(|error| at_visit(error, index))?;
        booked.push(inserted.appointment.id);
    }
    let id = store(tx, patient_id, new, &booked)?;
    tx.audit.note_object(id.0);
    view::load(tx, id)
}

/// Requires that the visits keep the gaps that the request itself asks for.
fn require_gaps(new: &NewAppointmentSeries, starts: &[Start]) -> Result<()> {
    for (index, (pair, visit)) in starts.windows(2).zip(new.visits.iter().skip(1)).enumerate() {
        let [before, start] = pair else { continue };
        let gap = visit.gap();
        if !gap.allows(*before, *start) {
            let pointer = format!("/visits/{}/slot_id", index + 1);
            return Err(conflict(&pointer, start.days_since(*before), gap, None));
        }
    }
    Ok(())
}

fn store(
    tx: &mut Tx,
    patient_id: PatientId,
    new: &NewAppointmentSeries,
    booked: &[AppointmentId],
) -> Result<AppointmentSeriesId> {
    let id: AppointmentSeriesId = tx.env.new_id();
    per_backend!(tx.conn, conn => diesel::insert_into(appointment_series::table)
        .values((
            appointment_series::id.eq(id),
            appointment_series::patient_id.eq(patient_id),
            appointment_series::created_by.eq(tx.actor.user_id),
            appointment_series::created_at.eq(tx.now),
        ))
        .execute(conn))?;
    for (position, (visit, appointment)) in (0_i32..).zip(new.visits.iter().zip(booked)) {
        let gap = visit.gap();
        per_backend!(tx.conn, conn => diesel::insert_into(appointment_series_visits::table)
            .values((
                appointment_series_visits::series_id.eq(id),
                appointment_series_visits::position.eq(position),
                appointment_series_visits::appointment_id.eq(*appointment),
                appointment_series_visits::min_gap_days.eq(gap.min_days),
                appointment_series_visits::max_gap_days.eq(gap.max_days),
            ))
            .execute(conn))?;
    }
    Ok(id)
}

/// Moves the pointers of an error into the visit that caused it.
fn at_visit(error: Error, index: usize) -> Error {
    let within = |pointer: &str| format!("/visits/{index}{pointer}");
    match error {
        Error::Invalid(errors) => Error::Invalid(
            errors.into_iter().map(|error| FieldError { pointer: within(&error.pointer), ..error }).collect(),
        ),
        Error::Conflict(mut conflict) => {
            let pointer = conflict.members.get("pointer").and_then(|pointer| pointer.as_str()).unwrap_or("/slot_id");
            let pointer = within(pointer);
            conflict.members.insert("pointer".into(), pointer.into());
            Error::Conflict(conflict)
        }
        other => other,
    }
}

/// The number of the visit that caused a conflict.
fn visit_of(error: &Error) -> Option<usize> {
    let Error::Conflict(conflict) = error else { return None };
    let pointer = conflict.members.get("pointer")?.as_str()?;
    pointer.strip_prefix("/visits/")?.split('/').next()?.parse().ok()
}

/// Book a series of appointments
///
/// Books up to 20 visits of a patient in one step, all or nothing. `min_gap_days` and `max_gap_days` limit the local days since the visit
/// before. Each visit is an appointment of its own: it has its own confirmation mail with its own invitation, and is moved and cancelled
/// alone. The rules are those of `POST /v1/appointments`. A conflict names the visit in `pointer`, such as `/visits/2/slot_id`.
#[utoipa::path(
    tag = "appointments",
    operation_id = "create_appointment_series",
    security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header)),
    request_body = NewAppointmentSeries,
    responses(
        (status = 201, description = "Booked", body = AppointmentSeries),
        (status = 404, description = "`not_found`: the patient does not exist, or the caller may not see it"),
        (status = 409, description = "`series_gap`: the days between two visits are too few or too many. \
            `slot_taken`: the visit does not fit, or the slot is not offered any more; `next_free` has the next slots in which it fits. \
            `patient_busy`: the patient has another appointment at that time. \
            `hold_lapsed`: the caller has no such hold; `next_free` has other slots. \
            `not_offered`: the practitioner does not offer this visit type. `not_online_bookable`: only staff book it. \
            `booking_notice`: it starts too soon. `booking_limit`: the patient has the maximum number of upcoming appointments booked online. \
            `account_booking_limit`: the account has the maximum number for all patients together that it added itself. \
            `slot_past`: the slot is over"),
    ),
)]
#[post("/v1/appointment-series")]
pub(in crate::appointments) async fn create_appointment_series(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewAppointmentSeries>,
) -> Result<HttpResponse> {
    let booked = book(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/appointment-series/{}", booked.object.id), &booked))
}
