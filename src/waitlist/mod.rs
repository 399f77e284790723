//! The waitlist: patients who wait for a kind of visit, with the times that suit them, and the times that are offered to them. A patient
//! waits once for each kind of visit, and has at most one open offer. Owns the tables `waitlist_entries`, `waitlist_offers`,
//! `waitlist_offer_links` and `freed_times`.
//!
//! A trigger ends the wait for an earlier time than that of a visit when the visit is cancelled or over, in the transaction of that change.
//!
//! Lock order: a visit that an offer moves, the patient, then entries and offers, then slots.

pub mod by_hand;
pub mod changing;
pub mod claiming;
pub mod creating;
pub mod entry;
mod fairness;
pub mod fills;
pub mod job;
mod link_tokens;
pub mod links;
pub mod listing;
mod making;
mod matching;
mod offer;
pub mod offer_listing;
mod offer_times;
pub mod offer_view;
mod room;
mod telling;
pub mod view;
pub mod wishes;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(creating::create_waitlist_entry)
        .service(listing::list_waitlist_entries)
        .service(view::get_waitlist_entry)
        .service(changing::update_waitlist_entry)
        .service(changing::cancel_waitlist_entry)
        .service(offer_listing::list_waitlist_offers)
        .service(offer_view::get_waitlist_offer)
        .service(by_hand::create_waitlist_offer)
        .service(by_hand::withdraw_waitlist_offer)
        .service(claiming::claim_waitlist_offer)
        .service(claiming::decline_waitlist_offer)
        .service(links::view_waitlist_offer_link)
        .service(links::claim_waitlist_offer_link)
        .service(links::decline_waitlist_offer_link);
}
