//! Practitioners' hours, and the slots that they give.
//!
//! The plan of a practitioner consists of [`availability`] (weekly hours) and [`exceptions`] (extra hours, time off), and of the
//! [`closures`] of locations. [`plan`] is the one rule that computes the times of a plan. [`publishing`] makes the stored slots agree
//! with them.

pub mod affected;
pub mod availability;
pub mod closure;
pub mod closures;
pub mod exception;
pub mod exceptions;
pub mod local_times;
pub mod plan;
pub mod publishing;
pub mod stored_plan;
pub mod weekly;
