//! Legwork: the appointment and intake service of a vein clinic that treats restless legs.
//!
//! It has three layers. A module imports only modules of its own or a lower layer. ARCHITECTURE.md has the map of the modules and the
//! path of a request.

// The example of a large schema is one `json!`.
#![recursion_limit = "256"]

// Application: the program's parts that use everything else.
pub mod cli;
pub mod demo;
pub mod doctor;
pub mod openapi;
pub mod routes;
pub mod server;
pub mod web;

// Domain: ARCHITECTURE.md has the order in which they may import each other.
pub mod accounts;
pub mod appointments;
pub mod events;
pub mod intake;
pub mod merging;
pub mod messages;
pub mod patients;
pub mod privacy;
pub mod registration;
pub mod scheduling;
pub mod waitlist;
pub mod webhooks;

// Foundation: every other module may import these.
pub mod actor;
pub mod appointment_status;
pub mod audit;
pub mod audit_context;
pub mod build_options;
pub mod clinic;
pub mod clock;
pub mod config;
pub mod context;
pub mod db;
pub mod env;
pub mod error;
pub mod http;
pub mod identifiers;
pub mod ids;
pub mod periodic;
pub mod permissions;
pub mod phone;
pub mod reports;
pub mod role;
pub mod scopes;
pub mod sealed;
pub mod signed;
pub mod telemetry;
#[cfg(test)]
mod template_branches;
pub mod turns;
pub mod zones;
