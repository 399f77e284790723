//! Test support: a server with its own database, clock and mail folder, and clients of every role.
//!
//! ```ignore
//! both! {
//!     async fn a_taken_slot_is_a_conflict(app: App) { … }
//! }
//! ```
//! makes the tests `a_taken_slot_is_a_conflict::sqlite` and `a_taken_slot_is_a_conflict::postgres`.
//!
//! [`book`] books with a new `Idempotency-Key`, [`Client::update`] patches with the current ETag, [`eventually`] waits for an
//! effect instead of sleeping, [`not_empty`] guards a check of each element of a list. Tests compare no times: other tests
//! share the machine.
#![allow(dead_code, unused_imports, reason = "not every helper is used all the time")]

use serde_json::Value;

pub mod access;
pub mod accessibility;
pub mod app;
pub mod audit;
pub mod booking;
pub mod browser;
pub mod client;
pub mod clinic;
pub mod disk;
pub mod document;
pub mod families;
pub mod filled_form;
pub mod haproxy;
pub mod intakes;
pub mod mails;
pub mod people;
pub mod pooler;
pub mod postgres;
pub mod process;
pub mod screen_reader;
pub mod site;
pub mod smtp;
pub mod visitor;
pub mod wait;
pub mod wire;
pub mod zone_data;

pub use app::App;
pub use booking::{book, booking};
pub use client::{Client, Reply};
pub use clinic::Clinic;
pub use mails::Mail;
pub use people::Patient;
pub use site::Engine;
pub use wait::eventually;

/// The instant at which every test begins: a Monday, 9:00 in New York.
pub const START: &str = "2026-03-02T14:00:00Z";

/// Generates each test twice, once for each engine.
macro_rules! both {
    ($($(#[$attr:meta])* async fn $name:ident($app:ident: App) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($app: App) $body

            #[test]
            $(#[$attr])*
            fn sqlite() {
                $crate::support::app::run($crate::support::Engine::Sqlite, body);
            }

            #[test]
            $(#[$attr])*
            fn postgres() {
                $crate::support::app::run($crate::support::Engine::Postgres, body);
            }
        }
    )*};
}
pub(crate) use both;

/// The `id` of an object.
#[track_caller]
pub fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}"))
}

/// The list itself, which must not be empty: otherwise a check of each of its elements would check nothing.
#[track_caller]
pub fn not_empty<T>(list: &[T]) -> &[T] {
    assert!(!list.is_empty(), "the list is empty");
    list
}

/// Prints to the standard error, past the capture of the tests' output, so that a skipped test shows.
pub fn print_uncaptured(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
