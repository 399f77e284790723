//! What a calendar program gets: the visits of a practitioner, without patients.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use actix_web::{HttpResponse, get, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use jiff::SignedDuration;

use crate::accounts::origin::Origin;
use crate::accounts::throttle::{Throttle, Verdict};
use crate::accounts::tokens;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::{Anonymous, Attempt, Context, Tx};
use crate::db::schema::{appointments, calendar_feeds, locations, practitioners, users, visit_types};
use crate::error::{Error, Result};
use crate::ids::{AppointmentId, PractitionerId};
use crate::messages::calendar::feed::{self, Entry};
use crate::role::Role;

/// How far the feed reaches back and ahead.
const BACK: SignedDuration = SignedDuration::from_hours(30 * 24);
const AHEAD: SignedDuration = SignedDuration::from_hours(180 * 24);
/// The longest token.
const MOST_CHARS: usize = 128;
/// What wrong tokens are counted as.
const KIND: &str = "calendar feeds";

/// What a token leads to.
enum Found {
    Calendar(String),
    /// A feed that was revoked, or whose practitioner has no account any more. Programs go on asking, so it is not counted.
    Ended,
    /// Nothing that has ever been. A caller may be guessing.
    Unknown,
}

/// Reads the calendar of a token.
///
/// # Errors
/// [`Error::NotFound`] if the token does not work, whatever the reason; [`Error::TooMany`] after wrong tokens from the caller's address.
pub async fn read(context: &Context<Anonymous>, token: String, origin: &Origin) -> Result<String> {
    let throttle = Throttle::for_unknown_address(&context.env, KIND, origin);
    let before = throttle.clone();
    let found = context.read(move |tx| {
        if let Verdict::Wait(wait) | Verdict::FirstWait(wait) = before.peek(tx.conn, tx.now)? {
            return Err(wait.of_network().into());
        }
        find(tx, &token)
    });
    match found.await? {
        Found::Calendar(text) => Ok(text),
        Found::Ended => Err(Error::NotFound),
        Found::Unknown => {
            let counted = context.attempt(move |tx| {
                if let Some(wait) = throttle.admit(tx.conn, tx.now)? {
                    return Ok(Attempt::Failed(wait.of_network().into()));
                }
                throttle.record_failure(tx.conn, tx.now)?;
                Ok(Attempt::<()>::Failed(Error::NotFound))
            });
            counted.await?;
            Err(Error::NotFound)
        }
    }
}

fn find(tx: &mut Tx<Anonymous>, token: &str) -> Result<Found> {
    if token.len() > MOST_CHARS {
        return Ok(Found::Unknown);
    }
    let accounts = users::table
        .filter(users::practitioner_id.eq(calendar_feeds::practitioner_id.nullable()))
        .filter(users::role.eq(Role::Practitioner))
        .filter(users::disabled_at.is_null());
    let row: Option<(PractitionerId, Option<Timestamp>, String, bool)> = calendar_feeds::table
        .inner_join(practitioners::table.on(practitioners::id.eq(calendar_feeds::practitioner_id)))
        .filter(calendar_feeds::token_hash.eq(tokens::hash(token)))
        .select((
            calendar_feeds::practitioner_id,
            calendar_feeds::revoked_at,
            practitioners::name,
            diesel::dsl::exists(accounts),
        ))
        .first(tx.conn)
        .optional()?;
    let (practitioner, name) = match row {
        None => return Ok(Found::Unknown),
        Some((practitioner, None, name, true)) => (practitioner, name),
        Some(_) => return Ok(Found::Ended),
    };
    let name = format!("{name}, {}", tx.env.config.settings.clinic_name);
    Ok(Found::Calendar(feed::render(&name, &entries(tx, practitioner)?, &tx.env.config.zones)))
}

/// Loads the visits that are not cancelled, by start.
fn entries(tx: &mut Tx<Anonymous>, practitioner: PractitionerId) -> Result<Vec<Entry>> {
    type Row = (AppointmentId, i32, Timestamp, Timestamp, Timestamp, String, String, String, String);
    let rows: Vec<Row> = appointments::table
        .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
        .inner_join(visit_types::table.on(visit_types::id.eq(appointments::visit_type_id)))
        .filter(appointments::practitioner_id.eq(practitioner))
        .filter(appointments::starts_at.ge(tx.now.minus(BACK)))
        .filter(appointments::starts_at.lt(tx.now.plus(AHEAD)))
        .filter(appointments::status.ne(AppointmentStatus::Cancelled))
        .order((appointments::starts_at, appointments::id))
        .select((
            appointments::id,
            appointments::sequence,
            appointments::starts_at,
            appointments::ends_at,
            appointments::updated_at,
            visit_types::public_name,
            locations::name,
            locations::address,
            locations::time_zone,
        ))
        .load(tx.conn)?;
    let entry = |(appointment_id, sequence, starts_at, ends_at, updated_at, visit, location, address, time_zone)| {
        Entry { appointment_id, sequence, starts_at, ends_at, updated_at, visit, location, address, time_zone }
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// The ETag of a calendar: a digest of its text.
fn etag(text: &str) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(tokens::hash(text)))
}

/// Read a calendar feed
///
/// For calendar programs, with the `url` of `create_calendar_feed`. Returns the practitioner's visits that are not cancelled, from 30 days
/// ago to 180 days ahead, as one iCalendar file (RFC 5545). They have the public names of visit types and no patients. Send the `ETag` as
/// `If-None-Match`, and an unchanged calendar is 304. Wrong tokens from one address are delayed.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_calendar_feed_file",
    params(
        ("token" = String, Path, description = "The secret in the feed's `url`", max_length = 128),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the calendar that the program has.", max_length = 200),
    ),
    responses(
        (status = 200, description = "The calendar", body = String, content_type = "text/calendar",
            example = json!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n…\r\nEND:VCALENDAR\r\n")),
        (status = 304, description = "The calendar has not changed"),
        (status = 404, description = "`not_found`: the token does not work"),
        (status = 429, description = "`too_many_attempts`: wait after wrong tokens. `rate_limited`: too many requests"),
    ),
)]
#[get("/v1/calendar-feeds/{token}/calendar.ics")]
pub(in crate::appointments) async fn get_calendar_feed_file(
    context: Context<Anonymous>,
    token: web::Path<String>,
    origin: Origin,
) -> Result<HttpResponse> {
    let text = read(&context, token.into_inner(), &origin).await?;
    // The middleware answers 304 to a program that has this calendar.
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, etag(&text)))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header((CONTENT_TYPE, "text/calendar; charset=utf-8"))
        .body(text))
}
