//! The integration tests: one binary, a real server per test, on both engines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; the lint knows test functions but not their helpers"
)]

mod support;

mod accounts;
mod appointments;
mod backup;
mod calls;
mod cost;
mod durability;
mod harness;
mod house;
mod http;
mod intake;
mod messages;
mod migrations;
mod openapi;
mod operations;
mod patients;
mod query_plans;
mod records;
mod schedule;
mod scheduling;
mod security;
mod storage;
