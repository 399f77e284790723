//! Creating, reading and revoking the calendar feed of a practitioner.

use actix_web::{HttpResponse, delete, get, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::tokens;
use crate::actor::{Action, Reach};
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::Conn;
use crate::db::schema::{calendar_feeds, users};
use crate::error::{Error, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{IdempotencyKey, PathId};
use crate::ids::{CalendarFeedId, PractitionerId};
use crate::role::Role;
use crate::scheduling::setup::practitioner;

/// Feeds never change: a new one replaces them.
const VERSION: i32 = 1;

/// The calendar feed of a practitioner. Its address is shown only once.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "created_at": "2026-03-02T14:00:00Z"
}))]
pub struct CalendarFeed {
    /// The practitioner.
    pub practitioner_id: PractitionerId,
    /// The time at which it was created.
    pub created_at: Timestamp,
}

/// A new calendar feed with its address.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "created_at": "2026-03-02T14:00:00Z",
    "url": "https://clinic.example/v1/calendar-feeds/zJ0m3m1zqkU0cQyB3cY7M4gT7o3Vb0C2fT5q8mZb1yE/calendar.ics"
}))]
pub struct CreatedCalendarFeed {
    /// The feed.
    #[serde(flatten)]
    pub feed: CalendarFeed,
    /// The address to give to a calendar program. It is a secret, and is never shown again.
    pub url: String,
}

/// Checks that the caller may manage the feed of this practitioner.
fn require(context: &Context, id: PractitionerId) -> Result<()> {
    let reach = context.require(Action::CalendarFeedManage)?;
    if reach == Reach::Own && context.actor.practitioner_id != Some(id) {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// Creates the feed of a practitioner. The address of an earlier one stops working.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `no_account`.
pub async fn create(context: &Context, once: Once, id: PractitionerId) -> Result<CreatedCalendarFeed> {
    require(context, id)?;
    context
        .change_once(once, move |tx| {
            practitioner::lock(tx.conn, id)?;
            if !has_account(tx.conn, id)? {
                return Err(Error::conflict(
                    ProblemCode::NoAccount,
                    "The practitioner has no account that can sign in, so the feed would not work. Invite them, or enable their account.",
                ));
            }
            end(tx, id)?;
            let token = tokens::opaque(&tx.env.entropy);
            diesel::insert_into(calendar_feeds::table)
                .values((
                    calendar_feeds::id.eq(tx.env.new_id::<CalendarFeedId>()),
                    calendar_feeds::practitioner_id.eq(id),
                    calendar_feeds::token_hash.eq(tokens::hash(&token)),
                    calendar_feeds::created_by.eq(tx.actor.user_id),
                    calendar_feeds::created_at.eq(tx.now),
                ))
                .execute(tx.conn)?;
            let base = tx.env.config.settings.public_url.as_str().trim_end_matches('/');
            let feed = CalendarFeed { practitioner_id: id, created_at: tx.now };
            Ok(CreatedCalendarFeed { feed, url: format!("{base}/v1/calendar-feeds/{token}/calendar.ics") })
        })
        .await
}

/// Reads when the feed of a practitioner was created.
///
/// # Errors
/// [`Error::NotFound`], also if the practitioner has no feed.
pub async fn read(context: &Context, id: PractitionerId) -> Result<CalendarFeed> {
    require(context, id)?;
    context
        .read(move |tx| {
            let created_at = calendar_feeds::table
                .filter(calendar_feeds::practitioner_id.eq(id))
                .filter(calendar_feeds::revoked_at.is_null())
                .select(calendar_feeds::created_at)
                .first(tx.conn)?;
            Ok(CalendarFeed { practitioner_id: id, created_at })
        })
        .await
}

/// Revokes the feed of a practitioner. Does nothing if there is none.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(context: &Context, id: PractitionerId) -> Result<()> {
    require(context, id)?;
    context
        .change(move |tx| {
            practitioner::lock(tx.conn, id)?;
            end(tx, id)
        })
        .await
}

fn end(tx: &mut Tx, id: PractitionerId) -> Result<()> {
    let open = calendar_feeds::table
        .filter(calendar_feeds::practitioner_id.eq(id))
        .filter(calendar_feeds::revoked_at.is_null());
    diesel::update(open).set(calendar_feeds::revoked_at.eq(Some(tx.now))).execute(tx.conn)?;
    Ok(())
}

/// Whether the practitioner has an account that is not disabled.
fn has_account(conn: &mut Conn, id: PractitionerId) -> Result<bool> {
    let theirs = users::table
        .filter(users::practitioner_id.eq(id))
        .filter(users::role.eq(Role::Practitioner))
        .filter(users::disabled_at.is_null());
    Ok(diesel::select(diesel::dsl::exists(theirs)).get_result(conn)?)
}

/// Create a practitioner's calendar feed
///
/// For practitioners themselves and administrators. The response has the secret `url`, which a calendar program reads without a session. It
/// names no patients. The `url` of an earlier feed stops working. The feed works while the practitioner has an account that is not
/// disabled.
#[utoipa::path(
    tag = "appointments",
    operation_id = "create_calendar_feed",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    responses(
        (status = 201, description = "The feed with its address", body = CreatedCalendarFeed),
        (status = 409, description = "`no_account`: the practitioner has no account that can sign in"),
    ),
)]
#[post("/v1/practitioners/{id}/calendar-feed")]
pub(in crate::appointments) async fn create_calendar_feed(
    context: Context,
    PathId(id): PathId<PractitionerId>,
    key: IdempotencyKey,
) -> Result<HttpResponse> {
    let created = create(&context, key.once_without_body(), id).await?;
    let created = Versioned { version: VERSION, object: created };
    Ok(response::created(format!("/v1/practitioners/{id}/calendar-feed"), &created))
}

/// Read a practitioner's calendar feed
///
/// For practitioners themselves and administrators. Returns when the feed was created, without its `url`. `not_found` if there is none.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_calendar_feed",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner")),
    responses((status = 200, description = "The feed", body = CalendarFeed)),
)]
#[get("/v1/practitioners/{id}/calendar-feed")]
pub(in crate::appointments) async fn get_calendar_feed(
    context: Context,
    PathId(id): PathId<PractitionerId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&Versioned { version: VERSION, object: read(&context, id).await? }))
}

/// Revoke a practitioner's calendar feed
///
/// For practitioners themselves and administrators. Its `url` stops working at once. A repeat changes nothing.
#[utoipa::path(
    tag = "appointments",
    operation_id = "delete_calendar_feed",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner")),
    responses((status = 204, description = "The feed is revoked")),
)]
#[delete("/v1/practitioners/{id}/calendar-feed")]
pub(in crate::appointments) async fn delete_calendar_feed(
    context: Context,
    PathId(id): PathId<PractitionerId>,
) -> Result<HttpResponse> {
    revoke(&context, id).await?;
    Ok(response::no_content())
}
