//! `GET /v1/events/stream`: events as they happen, as Server-Sent Events.

use std::convert::Infallible;
use std::rc::Rc;

use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::feed::Feed;
use super::listing::check_after;
use super::live;
use super::model::{Event, EventType};
use crate::accounts::caller::TokenExpiry;
use crate::actor::Action;
use crate::context::Context;
use crate::error::{Error, FieldCode, Result};
use crate::http::Params;
use crate::http::connection::Progress;
use crate::http::input::Several;

/// The header with the number of the last event that a client has.
const LAST_EVENT_ID: &str = "last-event-id";

/// What to read of the events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventStreamFilter {
    /// The number after which to begin. `Last-Event-ID` counts before it. Without both, begins with the next event.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991i64, example = 4711)]
    pub after: Option<i64>,
    /// The types of events.
    #[param(inline, value_type = Option<Vec<EventType>>, style = Form, explode = false, max_items = 50)]
    pub types: Option<Several<EventType>>,
}

/// The number in `Last-Event-ID`; none without the header.
fn last_event_id(request: &HttpRequest) -> Result<Option<i64>> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().map_err(|_| {
        Error::invalid("Last-Event-ID:", FieldCode::WrongValue, "must be the `id` of the last event of the stream")
    })?;
    check_after(Some(number), "Last-Event-ID:")?;
    Ok(Some(number))
}

/// Stream events
///
/// The events of `GET /v1/events` as they happen, as Server-Sent Events. The data of each is an event as JSON, its `id` is `seq`. An `id`
/// without data moves `Last-Event-ID` on, for readers of some types. A client that connects again sends the last `id` as
/// `Last-Event-ID` and misses nothing. The stream ends when the access token expires (after ten minutes), within five seconds after the
/// session ends, and when the service stops. A comment is sent at least every 15 seconds.
#[utoipa::path(
    tag = "events",
    operation_id = "get_event_stream",
    security(("bearer" = [])),
    params(EventStreamFilter, ("Last-Event-ID" = Option<i64>, Header, description = "The last `id` of the stream that broke off.", minimum = 0, maximum = 9_007_199_254_740_991i64)),
    responses(
        (status = 200, description = "The events. Each `data` is an `Event`", body = Event, content_type = "text/event-stream"),
        (status = 410, description = "`events_expired`: events after this number are not kept any more, or a backup from before it was \
            restored. Read the lists again, then the events after `newest_seq`; `oldest_seq` is the first number that is kept"),
        (status = 429, description = "`stream_limit`: the account has as many open streams as it may. Close one of them"),
    ),
)]
#[get("/v1/events/stream")]
pub(super) async fn get_event_stream(
    context: Context,
    expiry: TokenExpiry,
    Params(filter): Params<EventStreamFilter>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    open(&context, filter, expiry, &request).await
}

/// Responds with a stream. It ends with the caller's token or session.
///
/// # Errors
/// Those of [`live::begin`]; a broken rule at `after` or `Last-Event-ID`.
pub async fn open(
    context: &Context,
    filter: EventStreamFilter,
    TokenExpiry(expires_at): TokenExpiry,
    request: &HttpRequest,
) -> Result<HttpResponse> {
    context.require(Action::EventRead)?;
    check_after(filter.after, "?after")?;
    let after = last_event_id(request)?.or(filter.after);
    let feed = web::Data::<Feed>::extract(request).await.map_err(|_| Error::fault("no feed"))?;
    let mut stream = live::begin(context, &feed, after, Several::of(filter.types), expires_at).await?;
    stream.streaming = request.conn_data::<Rc<Progress>>().cloned().map(Progress::stream);
    let body = futures_util::stream::unfold(stream, async |mut stream| {
        let bytes = stream.next().await?;
        Some((Ok::<_, Infallible>(bytes), stream))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(body))
}
