//! When a visit is reminded of: pure rules, without database or web.

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::config::quiet_hours::QuietHours;
use crate::messages::reminding::USEFUL_UNTIL;

/// A patient who was told the time of the visit within this time before a reminder, or within its lead if that is shorter, does not get it:
/// it would repeat what the patient has just read.
const REPEATS: SignedDuration = SignedDuration::from_hours(12);
/// How long before the quiet hours a reminder is sent that cannot wait for their end. The job must be able to send it before they begin.
const BEFORE_NIGHT: SignedDuration = SignedDuration::from_hours(1);

/// What the rules use of a visit.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// When the patient was last told its time: by the mail of a booking or a move, or by a reminder.
    pub told_at: Timestamp,
    /// The location's time zone.
    pub zone: TimeZone,
}

/// What a look at a visit leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The reminder to send now, as its lead.
    pub send: Option<SignedDuration>,
    /// When to look at the visit again; none once it has begun.
    pub next: Option<Timestamp>,
}

impl Visit {
    /// Returns when the reminder with this lead is sent; none if the patient is told the time shortly before or later.
    ///
    /// In quiet hours it waits for their end, if that leaves at least half of its lead before the visit. Otherwise it is sent before they
    /// begin, because later it would be useless.
    fn reminder_at(&self, lead: SignedDuration, quiet: QuietHours) -> Option<Timestamp> {
        let exact = self.starts_at.minus(lead);
        let after = quiet.end_after(exact, &self.zone);
        let at = if self.starts_at.since(after) * 2 >= lead {
            after
        } else {
            quiet.start_before(exact, &self.zone)?.minus(BEFORE_NIGHT)
        };
        (at.since(self.told_at) >= REPEATS.min(lead)).then_some(at)
    }

    /// Decides what to do now. `leads` are in descending order. Of several reminders whose time has come, as after an outage, only the one
    /// with the shortest lead is sent; the others no longer make sense.
    pub fn plan(&self, now: Timestamp, leads: &[SignedDuration], quiet: QuietHours) -> Plan {
        let times = || leads.iter().filter_map(|lead| Some((*lead, self.reminder_at(*lead, quiet)?)));
        let due = times().filter(|(_, at)| *at <= now).map(|(lead, _)| lead).min();
        let due = due.filter(|_| now <= self.starts_at.minus(USEFUL_UNTIL));
        let send = due.filter(|_| quiet.end_after(now, &self.zone) == now);
        let waits = due.filter(|_| send.is_none()).map(|_| quiet.end_after(now, &self.zone));
        // The last look is at the start, when a reminder that was not delivered becomes useless.
        let later = times().map(|(_, at)| at).chain(waits).chain([self.starts_at]);
        Plan { send, next: later.filter(|at| *at > now).min() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn hours(hours: &[i64]) -> Vec<SignedDuration> {
        hours.iter().map(|hours| SignedDuration::from_hours(*hours)).collect()
    }

    fn quiet(text: &str) -> QuietHours {
        text.parse().expect("quiet hours")
    }

    fn visit(starts_at: &str, told_at: &str) -> Visit {
        let zone = crate::zones::Zones::bundled().get("America/New_York").expect("a zone");
        Visit { starts_at: at(starts_at), told_at: at(told_at), zone }
    }

    /// The lead in hours of the reminder that is sent now.
    fn sent(visit: &Visit, now: &str, leads: &[i64], hours_off: &str) -> Option<i64> {
        visit.plan(at(now), &hours(leads), quiet(hours_off)).send.map(|lead| lead.as_hours())
    }

    #[test]
    fn each_reminder_is_due_from_its_time_until_the_next_one() {
        let visit = visit("2026-03-20T18:00:00Z", "2026-03-02T14:00:00Z");
        let sent = |now| sent(&visit, now, &[168, 48, 2], "off");
        assert_eq!(sent("2026-03-13T17:59:59Z"), None);
        assert_eq!(sent("2026-03-13T18:00:00Z"), Some(168));
        assert_eq!(sent("2026-03-18T18:00:00Z"), Some(48));
        // After an outage of days only the last one, and none when the patient is on the way.
        assert_eq!(sent("2026-03-20T16:30:00Z"), Some(2));
        assert_eq!(sent("2026-03-20T17:30:01Z"), None);
        assert_eq!(sent("2026-03-20T18:00:00Z"), None);
    }

    #[test]
    fn the_next_look_is_at_the_next_reminder_and_the_last_one_at_the_start() {
        let visit = visit("2026-03-20T18:00:00Z", "2026-03-02T14:00:00Z");
        let next = |now| visit.plan(at(now), &hours(&[168, 48]), quiet("off")).next.map(|at| at.to_string());
        assert_eq!(next("2026-03-02T14:00:00Z").as_deref(), Some("2026-03-13T18:00:00Z"));
        assert_eq!(next("2026-03-13T18:00:00Z").as_deref(), Some("2026-03-18T18:00:00Z"));
        assert_eq!(next("2026-03-18T18:00:00Z").as_deref(), Some("2026-03-20T18:00:00Z"));
        assert_eq!(next("2026-03-20T18:00:00Z"), None);
    }

    #[test]
    fn in_quiet_hours_a_reminder_waits_or_comes_the_evening_before() {
        let night = quiet("21:00-08:00");
        let at_of = |starts: &str, lead| {
            let visit = visit(starts, "2026-03-02T14:00:00Z");
            visit.reminder_at(SignedDuration::from_hours(lead), night).map(|at| at.to_string())
        };
        // 09:00 in New York: 07:00 is quiet, and 08:00 is early enough.
        assert_eq!(at_of("2026-03-20T13:00:00Z", 2).as_deref(), Some("2026-03-20T12:00:00Z"));
        // 08:30: 08:00 is too late, so it is sent at 20:00 on the day before.
        assert_eq!(at_of("2026-03-20T12:30:00Z", 2).as_deref(), Some("2026-03-20T00:00:00Z"));
        // 21:30 two days before waits for the morning.
        assert_eq!(at_of("2026-03-21T01:30:00Z", 48).as_deref(), Some("2026-03-19T12:00:00Z"));
        // After an outage in the evening it waits for the morning, if that is early enough.
        let early = visit("2026-03-20T13:00:00Z", "2026-03-02T14:00:00Z");
        let plan = early.plan(at("2026-03-20T05:00:00Z"), &hours(&[12]), night);
        assert_eq!(plan, Plan { send: None, next: Some(at("2026-03-20T12:00:00Z")) });
    }

    #[test]
    fn in_the_night_of_a_clock_change_the_local_hours_count() {
        // The clocks go forward on 8 March at 02:00. The visit is at 08:30 (UTC-4); the quiet hours began at 21:00 (UTC-5).
        let visit = visit("2026-03-08T12:30:00Z", "2026-03-02T14:00:00Z");
        let reminder = visit.reminder_at(SignedDuration::from_hours(2), quiet("21:00-08:00"));
        assert_eq!(reminder, Some(at("2026-03-08T01:00:00Z")));
        // They go back on 1 November: 24 hours before 09:00 (UTC-5) is 10:00 (UTC-4).
        let visit = self::visit("2026-11-01T14:00:00Z", "2026-03-02T14:00:00Z");
        let reminder = visit.reminder_at(SignedDuration::from_hours(24), quiet("21:00-08:00"));
        assert_eq!(reminder, Some(at("2026-10-31T14:00:00Z")));
    }

    #[test]
    fn a_patient_who_was_just_told_the_time_is_not_reminded_of_it() {
        let booked = visit("2026-03-20T18:00:00Z", "2026-03-18T10:00:00Z");
        assert_eq!(sent(&booked, "2026-03-18T18:00:00Z", &[48], "off"), None, "eight hours later");
        assert_eq!(sent(&booked, "2026-03-20T16:00:00Z", &[48, 2], "off"), Some(2));
        let spontaneous = visit("2026-03-20T18:00:00Z", "2026-03-20T14:30:00Z");
        assert_eq!(sent(&spontaneous, "2026-03-20T16:00:00Z", &[168, 48, 2], "off"), None);
    }

    proptest! {
        #[test]
        fn what_is_sent_is_useful_new_and_never_at_a_quiet_time(
            now in 0_i64..20 * 24 * 60, start in 0_i64..20 * 24 * 60, told in 0_i64..20 * 24 * 60,
        ) {
            let base = at("2026-03-01T00:00:00Z");
            let minute = |minutes| base.plus(SignedDuration::from_mins(minutes));
            let zone = visit("2026-03-20T18:00:00Z", "2026-03-20T18:00:00Z").zone;
            let visit = Visit { starts_at: minute(start), told_at: minute(told), zone };
            let (leads, night) = (hours(&[168, 48, 2]), quiet("21:00-08:00"));
            let plan = visit.plan(minute(now), &leads, night);
            if plan.send.is_some() {
                prop_assert!(minute(now) <= visit.starts_at.minus(USEFUL_UNTIL) && minute(now) > visit.told_at);
                prop_assert_eq!(night.end_after(minute(now), &visit.zone), minute(now));
                // Whoever was just reminded is not reminded again at once.
                let told = Visit { told_at: minute(now), ..visit.clone() };
                prop_assert_eq!(told.plan(minute(now), &leads, night).send, None);
            }
            prop_assert_eq!(plan.next.is_none(), minute(now) >= visit.starts_at);
            prop_assert!(plan.next.is_none_or(|next| next > minute(now) && next <= visit.starts_at));
        }
    }
}
