//! Reminders of visits. Owns the tables `reminders` and `reminder_plan`.
//!
//! `appointments.remind_at` says when the job looks at a visit next. Every change of the visit sets it to now, so that only the job plans:
//! it sends the reminder that is due and sets the time of the next look ([`rule`]). A reminder is the row (appointment, sequence, lead)
//! together with its messages, in one transaction, so that neither a crash nor a second instance sends one twice. The outbox asks again,
//! before it sends the mail, whether the reminder still makes sense ([`crate::messages::reminding`]).

pub mod planning;
pub mod preference;
pub mod rule;
pub mod sending;
