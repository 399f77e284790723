//! Legwork: the appointment and intake service of a vein clinic that treats restless legs.
//!
//! Three floors; imports only run down. ARCHITECTURE.md has the map and the way of a request.

// The examples of large schemas are one `json!` each.
#![recursion_limit = "256"]

// The roof: puts it together.
pub mod cli;
pub mod demo;
pub mod openapi;
pub mod pages;
pub mod routes;
pub mod server;

// The departments, in the order in which they may know each other: each only those below it.
pub mod accounts;
pub mod appointments;
pub mod audit;
pub mod intake;
pub mod messages;
pub mod patients;
pub mod privacy;
pub mod scheduling;

// The ground floor.
pub mod actor;
pub mod clock;
pub mod config;
pub mod db;
pub mod env;
pub mod error;
pub mod http;
pub mod identifiers;
pub mod ids;
pub mod phone;
pub mod rounds;
pub mod sealed;
pub mod signed;
pub mod telemetry;
pub mod text;
pub mod trail;
