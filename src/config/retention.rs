//! How long things are kept. Where a number is 0 they are kept for good.

use crate::clock::Timestamp;

/// How long things are kept; 0 is for good.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Retention")]
pub struct Retention {
    /// Days after which messages that were sent, laid aside or seen to are deleted; 0 keeps them
    #[arg(long, env, global = true, default_value_t = 90, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_messages_days: u16,

    /// Days after which free and blocked times of the past are deleted; 0 keeps them
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_slots_days: u16,

    /// Days after which a registration is deleted whose address nobody has verified; 0 keeps them
    #[arg(long, env, global = true, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_unverified_days: u16,

    /// Days after which a draft of an intake that nobody has touched since is discarded; 0 keeps them
    #[arg(long, env, global = true, default_value_t = 365, value_parser = clap::value_parser!(u16).range(0..=36_500))]
    pub retain_drafts_days: u16,

    /// Years after the last visit after which `legwork purge` deletes a patient's record; 0 keeps them
    #[arg(long, env, global = true, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retain_records_years: u8,

    /// Years after coming of age before which it does not delete the record of who was last seen as a minor
    #[arg(long, env, global = true, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retain_minors_years: u8,

    /// Years after which `legwork purge` takes the oldest events off the audit trail; 0 keeps them
    #[arg(long, env, global = true, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub retain_audit_years: u8,
}

/// The instant so many days before `now`, before which nothing is kept; `None` where all is.
pub fn days_before(now: Timestamp, days: u16) -> Option<Timestamp> {
    (days > 0).then(|| now.minus(jiff::SignedDuration::from_hours(24 * i64::from(days))))
}
