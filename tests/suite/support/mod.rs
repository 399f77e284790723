//! What the tests stand on: a server with its own database, clock and mail folder, and clients of every role.
//!
//! ```ignore
//! both! {
//!     async fn a_taken_slot_is_refused(app: App) { … }
//! }
//! ```
//! makes the tests `a_taken_slot_is_refused::sqlite` and `a_taken_slot_is_refused::postgres`.
#![allow(dead_code, unused_imports, reason = "a box of tools: not every one is in use at every time")]

pub mod app;
pub mod browser;
pub mod client;
pub mod clinic;
pub mod disk;
pub mod mails;
pub mod people;
pub mod postgres;
pub mod process;
pub mod site;
pub mod smtp;

pub use app::App;
pub use client::{Client, Reply};
pub use clinic::Clinic;
pub use mails::Mail;
pub use people::Patient;
pub use site::Engine;

/// The instant at which every test begins: a Monday, 9 o'clock in New York.
pub const START: &str = "2026-03-02T14:00:00Z";

/// Makes each test twice, once for each engine.
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

/// Says something past the capture of the tests' output, so that nothing is skipped in silence.
pub fn aloud(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
