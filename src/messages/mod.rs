//! Outgoing messages: e-mails, and for those without an address what the desk tells them by phone. A message is written in the transaction that causes it ([`outbox::enqueue`]); a worker renders and
//! sends it afterwards, so that neither a mail server nor a template can hinder a booking.
//!
//! Nothing about health ever stands in a mail: no reason, no note, no intake, and of a visit type only its public name.

pub mod api;
pub mod calendar;
pub mod compose;
pub mod mailer;
pub mod model;
pub mod outbox;
pub mod pacing;
pub mod retry;
pub mod store;
pub mod templates;
pub mod times;
pub mod worker;

#[cfg(test)]
pub(crate) mod fixtures;
