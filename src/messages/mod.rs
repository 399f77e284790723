//! Outgoing messages: mails, and calls that staff make to recipients without an e-mail address. Owns the tables `messages`
//! and `refused_mailboxes`.
//!
//! A message is created in the transaction that causes it ([`outbox::enqueue`]). A worker renders and sends it later, so a failing
//! mail server or template never blocks a booking.
//!
//! No mail says anything about health: no reason, no note, no intake. Of a visit type it has only the public name.

pub mod calendar;
pub mod completing;
pub mod compose;
pub mod listing;
pub mod mailer;
pub mod model;
pub mod outbox;
pub mod pacing;
pub mod queue;
mod readers;
pub mod refusals;
pub mod reminding;
pub mod resending;
pub mod retry;
pub mod second_person;
pub mod templates;
pub mod times;
pub mod view;
pub mod worker;

#[cfg(test)]
pub(crate) mod fixtures;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(listing::list_messages).service(resending::resend_message).service(completing::complete_message);
}
