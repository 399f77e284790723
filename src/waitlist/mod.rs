//! The waitlist: patients who wait for a kind of visit, with the times that suit them. A patient waits once for each kind of visit. Owns the
//! table `waitlist_entries`.
//!
//! Lock order: after the patient.

mod changing;
mod creating;
mod entry;
mod listing;
pub mod view;
mod wishes;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(creating::create_waitlist_entry)
        .service(listing::list_waitlist_entries)
        .service(view::get_waitlist_entry)
        .service(changing::update_waitlist_entry)
        .service(changing::cancel_waitlist_entry);
}
