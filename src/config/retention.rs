//! Retention periods. A period of 0 means that nothing is deleted.

use crate::clock::Timestamp;

/// Retention periods. 0 means that nothing is deleted.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Retention")]
pub struct Retention {
    /// Days after which messages that were sent, failed or dealt with are deleted (0 to 36500; 0 keeps them).
    ///
    /// Messages that are still to be sent, or told by telephone, stay.
    #[arg(long, env, global = true, default_value_t = 90, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_messages_days: u16,

    /// Days after which free and blocked time slots of the past are deleted (0 to 36500; 0 keeps them).
    ///
    /// The slots of appointments stay.
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_slots_days: u16,

    /// Days after which a registration with an unverified address is deleted (0 to 36500; 0 keeps them).
    ///
    /// Its record is deleted as well, unless staff have worked with it.
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_unverified_days: u16,

    /// Days after its last change after which the draft of an intake is deleted (0 to 36500; 0 keeps them).
    ///
    /// Flags that the draft raised stay on the worklist.
    #[arg(long, env, global = true, default_value_t = 365, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_drafts_days: u16,

    /// Days after which events of changes are deleted (0 to 36500; 0 keeps them).
    ///
    /// A reader that was away for longer gets 410 `events_expired` and reads the lists again.
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_events_days: u16,

    /// Days after which the log of webhooks' deliveries is deleted (0 to 36500; 0 keeps it).
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_webhook_attempts_days: u16,

    /// Years after the last visit, intake or result after which `legwork purge` deletes a patient's record (0 to 100; 0
    /// keeps them).
    ///
    /// Set it as the law at your place requires.
    #[arg(long, env, global = true, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retain_records_years: u8,

    /// Years after coming of age before which `legwork purge` keeps the record of a patient last seen as a minor (0 to
    /// 100).
    #[arg(long, env, global = true, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retain_minors_years: u8,

    /// Years after which `legwork purge` deletes the oldest events of the audit trail (0 to 100; 0 keeps them).
    ///
    /// It deletes whole sealed sections only. HIPAA requires six years.
    #[arg(long, env, global = true, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retain_audit_years: u8,
}

/// Returns the time this many days before `now`, before which data is deleted. None if nothing is deleted.
pub fn days_before(now: Timestamp, days: u16) -> Option<Timestamp> {
    (days > 0).then(|| now.minus(jiff::SignedDuration::from_hours(24 * i64::from(days))))
}
