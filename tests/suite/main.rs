//! The integration tests: one binary, a real server per test, on both engines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed; the lint knows test functions but not their helpers"
)]

mod support;

mod accounts;
mod api_names;
mod appointment_pages;
mod appointments;
mod appointments_changes;
mod appointments_races;
mod backup;
mod broken_input;
mod buffers;
mod calendar_feeds;
mod calls;
mod confirming;
mod consent_documents;
mod cost;
mod created;
mod damage;
mod day_sheet;
mod demo;
mod deployment;
mod doctor;
mod documents;
mod durability;
mod events;
mod families;
mod faults;
mod follow_up_pages;
mod follow_ups;
mod guides;
mod harness;
mod helpers;
mod holds;
mod hours_events;
mod http;
mod input;
mod intake;
mod intake_due;
mod intake_flags;
mod intake_results;
mod intake_summary;
mod invitations;
mod layering;
mod link_changes;
mod links;
mod merging;
mod merging_races;
mod messages;
mod migrations;
mod missed_visits;
mod openapi;
mod openapi_requests;
mod operations;
mod outages;
mod overbooking;
mod pages;
mod patients;
mod plans;
mod plans_races;
mod pooler;
mod query_plans;
mod records;
mod refused_mailboxes;
mod reminders;
mod reports;
mod resending;
mod reservations;
mod resources;
mod restore;
mod retiring;
mod rolling_restart;
mod schedule;
mod scheduling;
mod security;
mod series;
mod sick_day;
mod slot_calendar;
mod storage;
mod tables;
mod telephone;
mod typing_mistakes;
mod unsent_messages;
mod visit_type_names;
mod waitlist;
mod waitlist_by_hand;
mod waitlist_links;
mod waitlist_offers;
mod waitlist_races;
mod waitlist_room;
mod zones;
