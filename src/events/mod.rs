//! Events: what has changed, in one sequence without gaps, for other systems and live screens. Owns the table `events`.
//!
//! Triggers of the database write an event in the transaction of each change of an appointment, a patient or an intake. It has ids and
//! routing facts only. [`numbering`] numbers events after their commit. [`listing`] reads them, [`stream`] pushes them,
//! and [`reading`] is for other modules.

mod feed;
pub mod listing;
mod live;
pub mod model;
pub mod numbering;
pub mod reading;
pub mod retention;
mod store;
pub mod stream;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(stream::get_event_stream).service(listing::list_events);
}
