//! The links in appointment mails. Whoever has one sees its one appointment as it is now, and may call it off by the
//! patient's rules, until the appointment ends or the staff take the link back. Each mail has a token of its own. One that
//! was mailed to an account works as long as that may act for the patient: a guardian's ends with their access.

use actix_web::{HttpResponse, delete, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{AppointmentStatus, AppointmentStep};
use super::notice::{self, Notice};
use super::progress::{self, By};
use super::store::{self, Shown};
use crate::accounts::tokens;
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{appointment_links, appointments};
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Answer, IdempotencyKey, Request};
use crate::http::{Body, Endpoints, PathId};
use crate::ids::{AppointmentId, AppointmentLinkId, PatientId, UserId};
use crate::messages::{self, calendar};
use crate::patients;
use crate::text::{self, Language};
use crate::trail::Trail;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(view_appointment_link)
        .service(cancel_appointment_link)
        .service(renew_appointment_links)
        .service(revoke_appointment_links);
}

/// Makes a link's token, for the mail to an account or to the address in the record. It is kept hashed: in the clear it is
/// in the mail alone.
///
/// # Errors
/// The database's.
pub fn issue(tx: &mut Conn, env: &Env, appointment: AppointmentId, account: Option<UserId>) -> Result<String> {
    let token = tokens::opaque(&env.entropy);
    diesel::insert_into(appointment_links::table)
        .values((
            appointment_links::id.eq(env.new_id::<AppointmentLinkId>()),
            appointment_links::appointment_id.eq(appointment),
            appointment_links::user_id.eq(account),
            appointment_links::token_hash.eq(tokens::hash(&token)),
            appointment_links::created_at.eq(env.now()),
        ))
        .execute(tx)?;
    Ok(token)
}

/// The appointment behind a link that still works.
///
/// # Errors
/// [`Error::NotFound`], whatever the reason.
fn look_up(conn: &mut Conn, env: &Env, token: &str) -> Result<AppointmentId> {
    let (id, patient, account) = appointment_links::table
        .inner_join(appointments::table.on(appointments::id.eq(appointment_links::appointment_id)))
        .filter(appointment_links::token_hash.eq(tokens::hash(token)))
        .filter(appointment_links::revoked_at.is_null())
        .filter(appointments::ends_at.gt(env.now()))
        .select((appointments::id, appointments::patient_id, appointment_links::user_id))
        .first::<(AppointmentId, PatientId, Option<UserId>)>(conn)?;
    match account {
        Some(account) if !patients::access::has(conn, env, account, patient)? => Err(Error::NotFound),
        _ => Ok(id),
    }
}

fn revoke(tx: &mut Conn, actor: &Actor, appointment: AppointmentId, now: Timestamp) -> Result<()> {
    let open = appointment_links::table
        .filter(appointment_links::appointment_id.eq(appointment))
        .filter(appointment_links::revoked_at.is_null());
    diesel::update(open)
        .set((appointment_links::revoked_at.eq(Some(now)), appointment_links::revoked_by.eq(Some(actor.user_id))))
        .execute(tx)?;
    Ok(())
}

/// The token of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE"}))]
struct AppointmentLink {
    /// What stands after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
}

/// A cancellation with a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE", "reason": "I am travelling."}))]
struct LinkedCancellation {
    /// What stands after `#token=` in the link.
    #[schema(max_length = 128)]
    token: String,
    /// Why, if one wishes to say; only the staff read it.
    #[schema(max_length = 500)]
    reason: Option<String>,
}

impl LinkedCancellation {
    fn parse(self) -> Result<(String, Option<String>)> {
        let mut check = Check::new();
        let reason = self.reason.filter(|reason| !reason.trim().is_empty());
        let reason = reason.and_then(|reason| check.field("/reason", text::lines(&reason, 500)));
        check.done()?;
        Ok((self.token, reason))
    }
}

/// Where the appointment is.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"name": "Riverside", "address": "12 Elm St, Springfield", "phone": "+12125550100", "phone_display": "(212) 555-0100"}))]
struct LinkedLocation {
    /// Its name.
    name: String,
    /// Its postal address.
    address: String,
    /// Its telephone number (E.164).
    phone: String,
    /// The same number as its country writes it, to show to people.
    phone_display: String,
}

/// What a link shows: enough to come, and nothing about the person but their first name.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "status": "booked", "first_name": "Ann", "visit": "Consultation", "practitioner": "Dr. Maya Osei",
    "location": {"name": "Riverside", "address": "12 Elm St, Springfield", "phone": "+12125550100", "phone_display": "(212) 555-0100"},
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "confirmation_code": "K7MP-3XWD", "can_cancel": true, "cancel_until": "2026-03-08T13:30:00Z",
    "calendar": "BEGIN:VCALENDAR\r\n…\r\nEND:VCALENDAR\r\n"
}))]
struct LinkedAppointment {
    /// Where it stands.
    status: AppointmentStatus,
    /// What the patient is called.
    first_name: String,
    /// The visit type's public name.
    visit: String,
    /// The doctor's name.
    practitioner: String,
    /// Where.
    location: LinkedLocation,
    /// When it starts.
    starts_at: Timestamp,
    /// When it ends.
    ends_at: Timestamp,
    /// The location's zone, by its IANA name.
    time_zone: String,
    /// What to read out over the phone.
    confirmation_code: String,
    /// Whether the link may still call it off.
    can_cancel: bool,
    /// Until when patients may call it off; afterwards the clinic does on the phone.
    cancel_until: Timestamp,
    /// An iCalendar file (RFC 5545) for one's own calendar; it strikes a cancelled appointment out.
    calendar: String,
}

impl LinkedAppointment {
    fn of(tx: &mut Conn, env: &Env, shown: Shown) -> Result<Self> {
        let around = progress::circumstances(tx, env, By::LINK, &shown)?;
        let content = notice::content(&shown);
        let phone_display = content.telephone().shown;
        let Shown { appointment, patient, .. } = shown;
        let cancelled = appointment.status == AppointmentStatus::Cancelled;
        let language = Language::of_tag(&patient.preferred_language);
        Ok(Self {
            status: appointment.status,
            first_name: patient.first_name().to_owned(),
            calendar: calendar::download(env, &content, cancelled, language, appointment.updated_at)?,
            visit: content.visit,
            practitioner: content.practitioner,
            location: LinkedLocation {
                phone_display,
                name: content.location,
                address: content.address,
                phone: content.phone,
            },
            starts_at: appointment.starts_at,
            ends_at: appointment.ends_at,
            time_zone: content.time_zone,
            confirmation_code: content.confirmation_code,
            can_cancel: around.decide(appointment.status, AppointmentStep::Cancel).is_ok(),
            cancel_until: around.starts_at.minus(around.cancel_notice),
        })
    }
}

/// See the appointment behind a link
///
/// With the token from an appointment's mail, which works until the appointment ends, any number of times. It shows the
/// appointment as it is now, also where it was moved after the mail. A link that was mailed to the account of a parent,
/// guardian or carer works as long as they may act for the patient. An unknown, withdrawn or outlived token is `not_found`,
/// and nothing tells which.
#[utoipa::path(
    tag = "appointments",
    operation_id = "view_appointment_link",
    request_body = AppointmentLink,
    responses(
        (status = 200, description = "The appointment", body = LinkedAppointment),
        (status = 404, description = "`not_found`: the link does not work (any more)"),
    ),
)]
#[post("/v1/appointment-links/view")]
async fn view_appointment_link(env: web::Data<Env>, trail: Trail, body: Body<AppointmentLink>) -> Result<HttpResponse> {
    let (shared, token) = (env.clone(), body.value.token);
    let appointment = env
        .db
        .read(move |conn| {
            let id = look_up(conn, &shared, &token)?;
            let shown = store::unguarded(conn, id)?;
            trail.note_patient(shown.patient.id);
            trail.note_object(id.0);
            LinkedAppointment::of(conn, &shared, shown)
        })
        .await?;
    Ok(HttpResponse::Ok().json(appointment))
}

/// Cancel the appointment behind a link
///
/// By the same rules, and with the same mails, as when its patient cancels it. Where it is cancelled already, nothing
/// happens and the answer is the same.
#[utoipa::path(
    tag = "appointments",
    operation_id = "cancel_appointment_link",
    params(("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value gets the same answer", max_length = 255)),
    request_body = LinkedCancellation,
    responses(
        (status = 200, description = "It is cancelled", body = LinkedAppointment),
        (status = 404, description = "`not_found`: the link does not work (any more)"),
        (status = 409, description = "`status_conflict`: it cannot be cancelled as it stands; `cancel_notice`: too late to cancel it \
            online; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointment-links/cancel")]
async fn cancel_appointment_link(
    env: web::Data<Env>,
    trail: Trail,
    key: IdempotencyKey,
    body: Body<LinkedCancellation>,
) -> Result<HttpResponse> {
    let raw = body.raw.clone();
    let (token, reason) = body.value.parse()?;
    let shared = env.clone();
    // Nobody is signed in: the link itself must still be good for a repeat to be answered.
    let (looking, shown) = (env.clone(), token.clone());
    env.db.read(move |conn| look_up(conn, &looking, &shown)).await?;
    let request = Request::anonymous(&trail, "cancel_appointment_link".into(), key, &raw);
    idempotency::run(&env, request, move |tx| {
        let id = look_up(tx, &shared, &token)?;
        let mut shown = store::lock_unguarded(tx, id)?;
        if shown.appointment.status != AppointmentStatus::Cancelled {
            shown = progress::change(tx, &shared, By::LINK, shown, (AppointmentStep::Cancel, reason.as_deref()))?;
        }
        trail.note_patient(shown.patient.id);
        audit::record(tx, &shared, &trail, id.0)?;
        Answer::json(200, &LinkedAppointment::of(tx, &shared, shown)?)
    })
    .await
}

/// Send an appointment's mail with new links
///
/// For whoever lost the mail, or whose mail went to others: the links given out so far stop working, and whoever is told of
/// the appointment gets its mail again with a link of their own, at the address that stands in the record now.
#[utoipa::path(
    tag = "appointments",
    operation_id = "renew_appointment_links",
    security(("bearer" = [])),
    params(
        ("id" = AppointmentId, Path, description = "The appointment"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value sends nothing more", max_length = 255),
    ),
    responses(
        (status = 202, description = "The mails are on their way"),
        (status = 409, description = "`status_conflict`: it is not booked, or over; `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/appointments/{id}/links")]
async fn renew_appointment_links(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentLinkManage)?;
    let (shared, id) = (env.clone(), id.0);
    let operation = format!("renew_appointment_links {id}");
    let request = Request::of(&actor, operation, key, &[]);
    idempotency::run(&env, request, move |tx| {
        let shown = store::lock_unguarded(tx, id)?;
        let now = shared.now();
        if shown.appointment.status != AppointmentStatus::Booked || shown.appointment.ends_at <= now {
            return Err(Error::conflict("status_conflict", "Only a booked appointment that is not over has links."));
        }
        actor.trail.note_patient(shown.patient.id);
        audit::record(tx, &shared, &actor.trail, id.0)?;
        revoke(tx, &actor, id, now)?;
        messages::store::supersede(tx, id, now)?;
        notice::send(tx, &shared, Notice::Booked, &shown)?;
        Ok(Answer::empty(202))
    })
    .await
}

/// Take an appointment's links back
///
/// All that were mailed so far stop working at once, for instance because a mail went to the wrong person.
#[utoipa::path(
    tag = "appointments",
    operation_id = "revoke_appointment_links",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 204, description = "None of them works any more")),
)]
#[delete("/v1/appointments/{id}/links")]
async fn revoke_appointment_links(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<AppointmentId>,
) -> Result<HttpResponse> {
    actor.require(Action::AppointmentLinkManage)?;
    let (shared, id) = (env.clone(), id.0);
    env.db
        .write(move |tx| {
            actor.trail.note_patient(store::unguarded(tx, id)?.patient.id);
            audit::record(tx, &shared, &actor.trail, id.0)?;
            revoke(tx, &actor, id, shared.now())
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
