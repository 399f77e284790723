//! How long before a visit patients are reminded of it.

use jiff::SignedDuration;

/// The times before a visit, the longest first; none if reminders are off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReminderTimes(Vec<SignedDuration>);

impl ReminderTimes {
    /// The default.
    pub const DEFAULT: &str = "7d,48h,2h";
    /// The greatest time in hours: 60 days.
    const MOST: i64 = 60 * 24;

    /// The shortest time of which the desk calls patients without an e-mail address, in hours: it needs a day to make its calls.
    const LEAST_FOR_CALLS: i64 = 24;

    /// Returns the times, the longest first.
    pub fn leads(&self) -> &[SignedDuration] {
        &self.0
    }

    /// Returns the time at which patients without an e-mail address are called, if there is one: a visit is worth one call.
    pub fn for_calls(&self) -> Option<SignedDuration> {
        self.0.iter().rfind(|lead| lead.as_hours() >= Self::LEAST_FOR_CALLS).copied()
    }
}

impl std::str::FromStr for ReminderTimes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "off" {
            return Ok(Self(Vec::new()));
        }
        let lead = |part: &str| {
            let part = part.trim();
            let (number, hours) =
                part.strip_suffix('d').map(|days| (days, 24)).or_else(|| Some((part.strip_suffix('h')?, 1)))?;
            let hours = number.parse::<u16>().ok().map(|number| i64::from(number) * hours)?;
            (1..=Self::MOST).contains(&hours).then(|| SignedDuration::from_hours(hours))
        };
        let leads: Option<Vec<_>> = text.split(',').map(lead).collect();
        leads
            .filter(|leads| leads.is_sorted_by(|a, b| a > b))
            .map(Self)
            .ok_or_else(|| "must be `off` or descending times of at most 60 days, such as 7d,48h,2h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_descending_days_and_hours_or_off() {
        let parse = |text: &str| {
            text.parse::<ReminderTimes>().map(|times| times.0.iter().map(SignedDuration::as_hours).collect())
        };
        assert_eq!(parse(ReminderTimes::DEFAULT), Ok(vec![168, 48, 2]));
        assert_eq!(parse("1d"), Ok(vec![24]));
        assert_eq!(parse("off"), Ok(vec![]));
        let call = |text: &str| text.parse().map(|times: ReminderTimes| times.for_calls().map(|it| it.as_hours()));
        assert_eq!((call("7d,48h,2h"), call("7d,1d,2h"), call("2h")), (Ok(Some(48)), Ok(Some(24)), Ok(None)));
        for wrong in ["", "2", "2h,48h", "2h,2h", "24h,1d", "0h", "61d", "-1h", "2h,", "7 days"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
