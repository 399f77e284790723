//! Visits: book, move, cancel, and the day itself. It owns `appointments`,
//! `appointment_history` and `appointment_links`.
//!
//! Locks are taken in one order, so that no two requests wait for each other: the appointment, then its patient, then
//! slots by (practitioner, start), then holds. A booking makes its appointment last, while nobody else can know of it.

pub mod agenda;
pub mod amending;
pub mod api;
pub mod booking;
pub mod code;
pub mod dto;
pub mod export;
pub mod links;
pub mod model;
pub mod moving;
pub mod notice;
pub mod progress;
pub mod store;
