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
mod damage;
mod durability;
mod families;
mod harness;
mod house;
mod http;
mod input;
mod intake;
mod links;
mod messages;
mod migrations;
mod openapi;
mod operations;
mod outages;
mod pages;
mod patients;
mod plans;
mod query_plans;
mod records;
mod resending;
mod schedule;
mod scheduling;
mod security;
mod storage;
mod telephone;
