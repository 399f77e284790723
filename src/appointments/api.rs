//! The endpoints.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get, post, web};

use super::dto::{
    AppointmentChange, AppointmentDto, AppointmentFilter, AppointmentHistory, AppointmentPage, AppointmentReason,
    NewAppointment, Rescheduling,
};
use super::model::{AppointmentStatus, AppointmentStep};
use super::store::Shown;
use super::{agenda, amending, booking, links, moving, notice, progress, store};
use crate::actor::{Action, Actor};
use crate::audit;
use crate::env::Env;
use crate::error::Result;
use crate::http::etag::{self, IfMatch};
use crate::http::idempotency::{self, Answer, IdempotencyKey, Request};
use crate::http::paging::next_pass;
use crate::http::{Body, Endpoints, Params, PathId};
use crate::ids::AppointmentId;
use crate::messages::calendar;
use crate::scheduling::search::with_next_free;
use crate::text::Language;

/// The endpoints of this department.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(book_appointment)
        .service(list_appointments)
        .service(get_appointment)
        .service(amending::amend_appointment)
        .service(get_appointment_calendar)
        .service(list_appointment_history)
        .service(cancel_appointment)
        .service(reschedule_appointment)
        .service(check_in_appointment)
        .service(mark_no_show)
        .service(complete_appointment)
        .service(undo_appointment)
        .service(agenda::get_agenda);
    links::routes(endpoints);
}

/// The appointment as the actor sees it after a change, as an answer that can be stored.
fn changed(env: &Env, actor: &Actor, shown: Shown) -> Result<Answer> {
    let version = shown.appointment.version;
    Answer::changed(version, &AppointmentDto::new(env, actor, shown)?)
}

/// Book an appointment
///
/// All slots of the visit are taken and the confirmation mail is written in one step. Patients book for those they may
/// act for, what is bookable online, with the visit type's notice; staff book any slot until it ends.
#[utoipa::path(
    tag = "appointments",
    operation_id = "create_appointment",
    security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "A fresh random value; send the same one with a repeat, and only one appointment is booked", max_length = 255)),
    request_body = NewAppointment,
    responses(
        (status = 201, description = "Booked", body = AppointmentDto),
        (status = 404, description = "`not_found`: the patient does not exist, or the caller may not see it"),
        (status = 409, description = "`slot_taken`: the visit does not fit any more, or the slot is not offered any more, `next_free` has the next slots in which it fits; \
            `patient_busy`: the patient has another appointment at that time; `hold_lapsed`: the caller has no such hold, because it lapsed, was released, replaced or used, or the plan took its time away, with `pointer` and `next_free`; \
            `not_offered`: the doctor does not offer this visit type; `not_online_bookable`: only the clinic books it; \
            `booking_notice`: too short before its start; `booking_limit`: the patient has as many visits to come as may be booked online; \
            `account_booking_limit`: the account has as many for all the people together whom it added itself; \
            `slot_past`: the slot is over; \
            `identifier_taken`: another appointment has an identifier, `pointer` says which, `taken_by` which appointment; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments")]
async fn book_appointment(
    env: web::Data<Env>,
    actor: Actor,
    key: IdempotencyKey,
    body: Body<NewAppointment>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentBook)?;
    let (key, booking) = (key.required()?, body.booking(actor.role.is_staff())?);
    let (slot, visit_type, by_staff) = (booking.slot_id, booking.visit_type_id, actor.role.is_staff());
    let request = Request::of(&actor, "create_appointment".into(), key, &body.raw);
    let (shared, who) = (env.clone(), actor.clone());
    let booked = idempotency::run(&env, request, move |tx| {
        let shown = booking::book(tx, &shared, &who, &booking)?;
        let (id, version) = (shown.appointment.id, shown.appointment.version);
        audit::record(tx, &shared, &who.trail, id.0)?;
        Answer::created(format!("/v1/appointments/{id}"), version, &AppointmentDto::new(&shared, &who, shown)?)
    })
    .await;
    match booked {
        Err(error) => Err(with_next_free(&env, error, slot, visit_type, by_staff).await),
        answer => answer,
    }
}

/// List appointments
///
/// By start. Patients see the appointments of those they may act for. With `updated_since` the list goes through what has
/// changed: no change is missed by whoever begins each pass with the `next_updated_since` of the first page of the pass
/// before. Changes of the patient's record or intake show in their own lists; and that a change of plans hits a visit, or no
/// longer does, is no change of the appointment: it shows with `needs_attention`, and in the answer to the change of plans.
#[utoipa::path(
    tag = "appointments",
    operation_id = "list_appointments",
    security(("bearer" = [])),
    params(AppointmentFilter),
    responses((status = 200, description = "A page", body = AppointmentPage)),
)]
#[get("/v1/appointments")]
async fn list_appointments(
    env: web::Data<Env>,
    actor: Actor,
    filter: Params<AppointmentFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentRead)?;
    if filter.0.needs_attention.is_some() {
        actor.require(Action::AppointmentProgress)?;
    }
    let (filter, after, limit) = filter.0.parse()?;
    let shared = env.clone();
    let next_updated_since = next_pass(env.now(), filter.updated_since, after.as_ref());
    let page = env
        .db
        .read(move |conn| {
            let (rows, next_cursor) = store::list(conn, &shared, &actor, &filter, after, limit)?;
            let items =
                rows.into_iter().map(|shown| AppointmentDto::new(&shared, &actor, shown)).collect::<Result<_>>()?;
            Ok(AppointmentPage { items, next_cursor, next_updated_since })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Read an appointment
///
/// With the ETag that a change may show.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_appointment",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 200, description = "The appointment", body = AppointmentDto)),
)]
#[get("/v1/appointments/{id}")]
async fn get_appointment(env: web::Data<Env>, actor: Actor, id: PathId<AppointmentId>) -> Result<HttpResponse> {
    actor.require(Action::AppointmentRead)?;
    let shared = env.clone();
    let (version, appointment) = env
        .db
        .read(move |conn| {
            let shown = store::shown(conn, &shared, &actor, id.0)?;
            Ok((shown.appointment.version, AppointmentDto::new(&shared, &actor, shown)?))
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(appointment))
}

/// Download the calendar entry
///
/// An iCalendar file (RFC 5545) for the patient's own calendar. A cancelled appointment is struck out there.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_appointment_calendar",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 200, description = "The entry", body = String, content_type = "text/calendar",
        example = json!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n…\r\nEND:VCALENDAR\r\n"))),
)]
#[get("/v1/appointments/{id}/calendar.ics")]
async fn get_appointment_calendar(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentRead)?;
    let shared = env.clone();
    let (appointment, content, language) = env
        .db
        .read(move |conn| {
            let shown = store::shown(conn, &shared, &actor, id.0)?;
            let content = notice::content(&shown);
            Ok((shown.appointment, content, Language::of_tag(&shown.patient.preferred_language)))
        })
        .await?;
    let cancelled = appointment.status == AppointmentStatus::Cancelled;
    let text = calendar::download(&env, &content, cancelled, language, appointment.updated_at)?;
    let method = if cancelled { "CANCEL" } else { "PUBLISH" };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format!("text/calendar; method={method}; charset=utf-8")))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"appointment.ics\""))
        .body(text))
}

/// Read the history of an appointment
///
/// Every change, oldest first, with how the appointment stood afterwards. Reasons are shown to staff and to whoever
/// wrote them.
#[utoipa::path(
    tag = "appointments",
    operation_id = "list_appointment_history",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 200, description = "The changes", body = AppointmentHistory)),
)]
#[get("/v1/appointments/{id}/history")]
async fn list_appointment_history(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentRead)?;
    let (shared, who) = (env.clone(), actor.clone());
    let rows = env.db.read(move |conn| store::history(conn, &shared, &who, id.0)).await?;
    let items =
        rows.into_iter().map(|(past, by)| AppointmentChange::new(&env, &actor, past, by)).collect::<Result<_>>()?;
    Ok(HttpResponse::Ok().json(AppointmentHistory { items }))
}

/// Move an appointment
///
/// To another time, doctor or location, in one step: the new slots are taken, the old ones freed, the calendar entry
/// keeps its UID and gets the next `sequence`, and the patient gets a mail. Patients move until the visit type's
/// `cancel_notice_minutes` before the start, to what they could book.
#[utoipa::path(
    tag = "appointments",
    operation_id = "reschedule_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is changed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body = Rescheduling,
    responses(
        (status = 200, description = "Moved", body = AppointmentDto),
        (status = 409, description = "`status_conflict`: it cannot be moved as it stands, `allowed` has what can be done; \
            `cancel_notice`: too late for the patient to move it; `slot_taken`: the visit does not fit, or the slot is not offered any more, \
            `next_free` has the next slots in which it fits; `patient_busy`: the patient has another appointment at that time; \
            `hold_lapsed`: the caller has no such hold, because it lapsed, was released, replaced or used, or the plan took its time away, with `pointer` and `next_free`; `not_offered`: the doctor does not offer this visit type; \
            `not_online_bookable`: only the clinic books it; `booking_notice`: too short before its start; \
            `slot_past`: the slot is over; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/reschedule")]
async fn reschedule_appointment(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<Rescheduling>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentBook)?;
    let (id, target) = (id.0, booking::Target::from(&body.value));
    let operation = format!("reschedule_appointment {id}");
    let request = Request::of(&actor, operation, key, &body.raw);
    let (shared, who) = (env.clone(), actor.clone());
    let moved = idempotency::run(&env, request, move |tx| {
        let moved = moving::reschedule(tx, &shared, &who, id, &if_match, target)?;
        audit::record(tx, &shared, &who.trail, id.0)?;
        changed(&shared, &who, moved)
    })
    .await;
    let Err(error) = moved else { return moved };
    let (shared, who) = (env.clone(), actor.clone());
    let visit_type =
        env.db.read(move |conn| Ok(store::shown(conn, &shared, &who, id)?.appointment.visit_type_id)).await;
    match visit_type {
        Ok(visit_type) => Err(with_next_free(&env, error, target.slot_id, visit_type, actor.role.is_staff()).await),
        Err(_) => Err(error),
    }
}

/// Runs a step once for all its repeats and answers with the appointment.
async fn step(
    env: web::Data<Env>,
    actor: Actor,
    id: AppointmentId,
    if_match: IfMatch,
    (operation, key, raw): (&str, IdempotencyKey, &[u8]),
    (step, reason): (AppointmentStep, Option<String>),
) -> Result<HttpResponse> {
    let request = Request::of(&actor, format!("{operation} {id}"), key, raw);
    let shared = env.clone();
    idempotency::run(&env, request, move |tx| {
        let shown = progress::advance(tx, &shared, &actor, id, &if_match, (step, reason.as_deref()))?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        changed(&shared, &actor, shown)
    })
    .await
}

/// Cancel an appointment
///
/// For good: its slots are free at once, and the patient gets a mail that strikes the calendar entry out. Patients cancel
/// until the visit type's `cancel_notice_minutes` before the start; staff also somebody who is checked in.
#[utoipa::path(
    tag = "appointments",
    operation_id = "cancel_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is changed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body = AppointmentReason,
    responses(
        (status = 200, description = "Cancelled", body = AppointmentDto),
        (status = 409, description = "`status_conflict`: it cannot be cancelled as it stands, `allowed` has what can be done; \
            `cancel_notice`: too late for the patient to cancel it; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/cancel")]
async fn cancel_appointment(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<AppointmentReason>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentBook)?;
    let reason = Some(body.text()?);
    let repeat = ("cancel_appointment", key, body.raw.as_ref());
    step(env, actor, id.0, if_match, repeat, (AppointmentStep::Cancel, reason)).await
}

/// Check a patient in
///
/// The patient is there; from the day of the visit on, as the location's calendar has it. Somebody who was marked as
/// absent is checked in with this as well, on the day of that mark. A visit that practitioners placed with themselves opens the
/// patient's clinical data to them from the check-in on. To check such a patient in themselves, they give a reason in
/// `Access-Reason` unless they may read the data already.
#[utoipa::path(
    tag = "appointments",
    operation_id = "check_in_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is changed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    responses(
        (status = 200, description = "Checked in", body = AppointmentDto),
        (status = 409, description = "`status_conflict`: not as it stands, `allowed` has what can be done; \
            `too_early`: its day has not come, `allowed` has what can be done; \
            `patient_busy`: after a no-show, the patient has another appointment at that time; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/check-in")]
async fn check_in_appointment(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentProgress)?;
    step(env, actor, id.0, if_match, ("check_in_appointment", key, b""), (AppointmentStep::CheckIn, None)).await
}

/// Mark a patient as absent
///
/// The patient did not come; possible from the start of the appointment on.
#[utoipa::path(
    tag = "appointments",
    operation_id = "mark_no_show",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is changed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    responses(
        (status = 200, description = "Marked", body = AppointmentDto),
        (status = 409, description = "`status_conflict`: not as it stands or not yet, `allowed` has what can be done; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/no-show")]
async fn mark_no_show(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentProgress)?;
    step(env, actor, id.0, if_match, ("mark_no_show", key, b""), (AppointmentStep::NoShow, None)).await
}

/// Complete an appointment
///
/// The visit took place; the patient was checked in, and the day of the visit has come.
#[utoipa::path(
    tag = "appointments",
    operation_id = "complete_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is changed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    responses(
        (status = 200, description = "Completed", body = AppointmentDto),
        (status = 409, description = "`status_conflict`: not as it stands, `allowed` has what can be done; \
            `too_early`: its day has not come, `allowed` has what can be done; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/complete")]
async fn complete_appointment(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentProgress)?;
    step(env, actor, id.0, if_match, ("complete_appointment", key, b""), (AppointmentStep::Complete, None)).await
}

/// Take the last step back
///
/// A check-in and a no-show become `booked` again, a completed appointment `checked-in`: on the day (in the location's
/// zone) on which the mistake was made. A cancellation cannot be taken back, as its slots are free for others.
#[utoipa::path(
    tag = "appointments",
    operation_id = "undo_appointment",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read; without it any version is changed"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body = AppointmentReason,
    responses(
        (status = 200, description = "Taken back", body = AppointmentDto),
        (status = 409, description = "`status_conflict`: there is nothing to take back, or not any more, `allowed` has what can be done; \
            `patient_busy`: the patient has another appointment at that time by now; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/undo")]
async fn undo_appointment(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    if_match: IfMatch,
    key: IdempotencyKey,
    body: Body<AppointmentReason>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentProgress)?;
    let reason = Some(body.text()?);
    let repeat = ("undo_appointment", key, body.raw.as_ref());
    step(env, actor, id.0, if_match, repeat, (AppointmentStep::Undo, reason)).await
}
