//! The events that keep open pages of the desk in step with each other.

use actix_web::{HttpRequest, HttpResponse};

use super::Member;
use crate::accounts::caller::TokenExpiry;
use crate::error::Result;
use crate::events::stream;

/// Streams the events of visits. Its end is no mistake: a browser connects again by itself.
pub(super) async fn stream(member: Member, expiry: TokenExpiry, request: HttpRequest) -> Result<HttpResponse> {
    let filter = member.parameters("get_event_stream", TYPES)?;
    stream::open(&member.context, filter, expiry, &request).await
}

/// The changes of a visit that its row of the day can show.
const TYPES: &str = "types=appointment.booked,appointment.rescheduled,appointment.cancelled,appointment.checked_in,appointment.completed,\
                     appointment.no_show,appointment.reopened,appointment.updated";
