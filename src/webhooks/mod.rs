//! Webhooks: events that are sent to receivers which administrators register, by the conventions of Standard Webhooks. Owns the tables
//! `webhook_endpoints` and `webhook_attempts`.
//!
//! An endpoint is a reader of the [sequence of events](crate::events) with a stored position. The [`worker`] sends it one event after the
//! other ([`delivering`]), each until the receiver has accepted it. So no event is missing, and the events of one object keep their order.

pub mod attempts;
pub mod delivering;
mod endpoint_url;
pub mod managing;
pub mod model;
mod networks;
mod pausing;
pub mod payload;
pub mod progress;
mod retry;
pub mod secrets;
mod sending;
pub mod signing;
pub mod store;
pub mod summary;
pub mod test_events;
pub mod worker;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(managing::create_webhook)
        .service(managing::list_webhooks)
        .service(managing::get_webhook)
        .service(managing::update_webhook)
        .service(managing::delete_webhook)
        .service(secrets::create_webhook_secret)
        .service(test_events::create_webhook_test_event)
        .service(attempts::list_webhook_attempts)
        .service(progress::get_webhook_delivery)
        .service(progress::create_webhook_redelivery)
        .service(progress::skip_webhook_events);
}
