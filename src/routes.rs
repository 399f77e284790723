//! All endpoints of the service. The server and the OpenAPI document use this list.

use crate::http::Endpoints;
use crate::{
    accounts, appointments, audit, events, http, intake, merging, messages, patients, privacy, registration, reports,
    scheduling, waitlist, webhooks,
};

/// Registers all endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    // actix-web tries paths with parameters one after the other, so the most frequent modules come first.
    scheduling::routes(endpoints);
    appointments::routes(endpoints);
    intake::routes(endpoints);
    waitlist::routes(endpoints);
    patients::routes(endpoints);
    merging::routes(endpoints);
    registration::routes(endpoints);
    accounts::routes(endpoints);
    privacy::routes(endpoints);
    reports::routes(endpoints);
    events::routes(endpoints);
    webhooks::routes(endpoints);
    messages::routes(endpoints);
    audit::routes(endpoints);
    http::operations::routes(endpoints);
}
