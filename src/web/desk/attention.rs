//! Why staff must act on a visit that is booked or checked in.

use jiff::civil::DateTime;
use minijinja::{Value, context};
use text::Language;

use crate::appointments::view::AppointmentView;
use crate::messages::times::Moment;
use crate::scheduling::hours::plan::AttentionReason;

/// Why staff must act, and the local time that the patient was told if the visit does not show it any more.
pub(super) fn attention(visit: &AppointmentView, language: Language) -> Value {
    let reason = visit.attention.as_ref().map(|attention| attention.reason);
    let is_moved = reason == Some(AttentionReason::ZoneChanged);
    let told = visit.promised.as_ref().filter(|_| is_moved).and_then(|told| told.local.parse::<DateTime>().ok());
    context! {
        attention => reason.map(AttentionReason::as_str),
        told => told.map(|at| format!("{}, {}", Moment::of_day(at.date(), language).day(), Moment::of_clock(at, language).time())),
    }
}
