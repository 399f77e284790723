//! Appointments: booking, moving, cancelling, and the day of the visit. Owns the tables `appointments`, `appointment_history`,
//! `appointment_identifiers`, `appointment_links`, `appointment_series`, `appointment_series_visits`, `reminders`,
//! `reminder_plan` and `calendar_feeds`.
//!
//! Every transaction takes its locks in one order, so that no two wait for each other: the appointment, its patient, slots by
//! (practitioner, start), units of resources, holds. A series locks the slots of all its visits at once. A booking creates its appointment
//! last, when no other transaction can know of it.

pub mod agenda;
pub mod amending;
pub mod appointment;
pub mod booking;
pub mod calendar_feed;
pub mod code;
pub mod confirming;
pub mod counting;
pub mod day_sheet;
pub mod export;
pub mod history;
pub mod holding;
pub mod limits;
pub mod link_changes;
pub mod link_tokens;
pub mod links;
pub mod listing;
pub mod notification;
pub mod overbooking;
pub mod plan_changes;
pub mod promise;
pub mod queries;
pub mod reminders;
pub mod rescheduling;
pub mod series;
pub mod status;
pub mod steps;
pub mod store;
pub mod view;
pub mod zone_changes;

use crate::http::Endpoints;

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(holding::create_hold)
        .service(booking::create_appointment)
        .service(series::booking::create_appointment_series)
        .service(series::view::get_appointment_series)
        .service(listing::list_appointments)
        .service(listing::get_appointment)
        .service(amending::update_appointment)
        .service(listing::get_appointment_calendar)
        .service(history::list_appointment_history)
        .service(steps::cancel_appointment)
        .service(rescheduling::reschedule_appointment)
        .service(plan_changes::moving::reschedule_appointments)
        .service(plan_changes::affected::get_affected_appointments)
        .service(confirming::confirm_appointment)
        .service(steps::check_in_appointment)
        .service(steps::mark_appointment_no_show)
        .service(steps::complete_appointment)
        .service(steps::undo_appointment)
        .service(zone_changes::resolving::resolve_zone_changes)
        .service(zone_changes::accepting::accept_appointment_time)
        .service(agenda::get_agenda)
        .service(day_sheet::get_day_sheet)
        .service(calendar_feed::managing::create_calendar_feed)
        .service(calendar_feed::managing::get_calendar_feed)
        .service(calendar_feed::managing::delete_calendar_feed)
        .service(calendar_feed::reading::get_calendar_feed_file)
        .service(reminders::preference::change_reminder_preference)
        .service(links::view_appointment_link)
        .service(links::cancel_appointment_link)
        .service(link_changes::confirm_appointment_link)
        .service(link_changes::reschedule_appointment_link)
        .service(links::renew_appointment_links)
        .service(links::delete_appointment_links);
}
