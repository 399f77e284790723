//! What an appointment may become, and when: pure rules, without database or web.

use jiff::tz::TimeZone;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::db::types::text_enum;
use crate::error::{Error, ProblemCode};

text_enum! {
    /// What happens to an appointment. Each but the first and the last is an endpoint of the same name.
    AppointmentStep {
        /// It was made.
        Book = "book",
        /// It moved to another time, doctor or location.
        Reschedule = "reschedule",
        /// It was called off.
        Cancel = "cancel",
        /// The patient said that they will come.
        Confirm = "confirm",
        /// The patient came.
        CheckIn = "check-in",
        /// The patient did not come.
        NoShow = "no-show",
        /// The visit took place.
        Complete = "complete",
        /// The last change was a mistake.
        Undo = "undo",
        /// Its note or identifiers were changed.
        Amend = "amend",
    }
}

use AppointmentStatus as Status;
use AppointmentStep as Step;

impl Step {
    /// Whether it says that the visit takes place, which needs a record that is in use. A visit of a retired record can still be cancelled, or
    /// marked as a no-show.
    pub fn needs_record(self) -> bool {
        matches!(self, Self::CheckIn | Self::Complete | Self::Undo)
    }
}

/// All steps that a status allows. No step leads out of `cancelled`: its slots are free for others, so a patient who wants the visit back
/// books again.
const MOVES: &[(Status, Step, Status)] = &[
    (Status::Booked, Step::Reschedule, Status::Booked),
    (Status::Booked, Step::Cancel, Status::Cancelled),
    (Status::Booked, Step::Confirm, Status::Booked),
    (Status::Booked, Step::CheckIn, Status::CheckedIn),
    (Status::Booked, Step::NoShow, Status::NoShow),
    (Status::CheckedIn, Step::Cancel, Status::Cancelled),
    (Status::CheckedIn, Step::Complete, Status::Fulfilled),
    (Status::CheckedIn, Step::Undo, Status::Booked),
    // A patient who arrives late.
    (Status::NoShow, Step::CheckIn, Status::CheckedIn),
    (Status::NoShow, Step::Undo, Status::Booked),
    (Status::Fulfilled, Step::Undo, Status::CheckedIn),
];

impl Status {
    /// Returns the status after `step`, if the status allows it. Other rules may forbid it.
    pub fn after(self, step: Step) -> Option<Self> {
        MOVES.iter().find(|(from, by, _)| (*from, *by) == (self, step)).map(|(_, _, to)| *to)
    }
}

/// What the rules use besides the status.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The current time.
    pub now: Timestamp,
    pub starts_at: Timestamp,
    /// The time at which it got its current status.
    pub changed_at: Timestamp,
    /// The location's time zone, in which a day is counted.
    pub zone: TimeZone,
    /// Whether the caller is on the clinic's staff.
    pub by_staff: bool,
    /// The last instant at which a patient may cancel or move it.
    pub cancel_until: Timestamp,
    /// Whether its start does not show the local time that the patient was told, and staff have not decided which of both counts.
    pub is_time_open: bool,
}

/// Returns the last instant at which patients may take a step online, if the status allows it. `cancel_until` is the end of its
/// notice. A confirmation has no notice: its only limit is the start of the visit.
pub fn patients_may_until(status: Status, step: Step, cancel_until: Timestamp) -> Option<Timestamp> {
    let has_notice = matches!(step, Step::Cancel | Step::Reschedule);
    (status == Status::Booked && has_notice).then_some(cancel_until)
}

/// Returns whether a cancellation counts as late for the patient: a booked visit, after its notice, and not for the clinic's reasons
/// (`for_clinic`), such as a change of its plans.
pub fn is_late_cancellation(status: Status, now: Timestamp, cancel_until: Timestamp, for_clinic: bool) -> bool {
    status == Status::Booked && now > cancel_until && !for_clinic
}

/// Why a visit can be neither confirmed nor mailed again before staff decide which time counts.
pub const TIME_OPEN: &str =
    "The clock of the location has changed since the patient was told the time. The clinic decides which time counts.";

/// Why a step is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The status does not allow it.
    Status,
    /// Patients may only cancel, move and confirm.
    StaffOnly,
    /// A no-show needs an appointment that has started.
    NotBegun,
    /// A confirmation needs an appointment that has not started.
    Begun,
    /// A confirmation needs a time that is certain.
    TimeOpen,
    /// A check-in and a completion need the day of the appointment.
    TooEarly,
    /// An undo, and a check-in after a no-show, need the day of the last change.
    AnotherDay,
    /// It is too late for the patient.
    TooLate,
}

/// A refused step, with those that are possible now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub why: Why,
    /// Where the appointment stands.
    pub status: Status,
    /// What the caller could do instead.
    pub allowed: Vec<Step>,
}

impl Circumstances {
    /// Whether `step` leads anywhere from `status`, and where.
    ///
    /// # Errors
    /// Why not, and what is possible.
    pub fn decide(&self, status: Status, step: Step) -> Result<Status, Refused> {
        self.judge(status, step).map_err(|why| Refused {
            why,
            status,
            allowed: Step::ALL.iter().copied().filter(|other| self.judge(status, *other).is_ok()).collect(),
        })
    }

    fn judge(&self, status: Status, step: Step) -> Result<Status, Why> {
        let to = status.after(step).ok_or(Why::Status)?;
        if !self.by_staff {
            self.judge_patient(status, step)?;
        }
        match step {
            Step::Confirm if self.now >= self.starts_at => Err(Why::Begun),
            Step::Confirm if self.is_time_open => Err(Why::TimeOpen),
            Step::NoShow if self.now < self.starts_at => Err(Why::NotBegun),
            Step::CheckIn | Step::Complete if !self.day_has_come() => Err(Why::TooEarly),
            // The day on which the mistake was made counts, not that of the visit: a correction made late in the
            // evening for the day before can be undone that evening.
            Step::Undo if !self.same_day() => Err(Why::AnotherDay),
            Step::CheckIn if status == Status::NoShow && !self.same_day() => Err(Why::AnotherDay),
            _ => Ok(to),
        }
    }

    /// What binds patients besides the rules for everyone.
    fn judge_patient(&self, status: Status, step: Step) -> Result<(), Why> {
        match step {
            Step::Confirm => Ok(()),
            Step::Cancel | Step::Reschedule => match patients_may_until(status, step, self.cancel_until) {
                None => Err(Why::Status),
                Some(until) if self.now > until => Err(Why::TooLate),
                Some(_) => Ok(()),
            },
            _ => Err(Why::StaffOnly),
        }
    }

    /// Whether it is the day of the visit, or later: what was forgotten may be put right afterwards.
    fn day_has_come(&self) -> bool {
        self.now.in_zone(&self.zone).date() >= self.starts_at.in_zone(&self.zone).date()
    }

    fn same_day(&self) -> bool {
        self.now.in_zone(&self.zone).date() == self.changed_at.in_zone(&self.zone).date()
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let (code, detail) = match refused.why {
            Why::Status => (ProblemCode::StatusConflict, format!("The appointment is {}.", refused.status)),
            Why::StaffOnly => (ProblemCode::StatusConflict, "Only the clinic's staff can do this.".to_owned()),
            Why::NotBegun => (ProblemCode::StatusConflict, "The appointment has not begun yet.".to_owned()),
            Why::Begun => (ProblemCode::StatusConflict, "The appointment has begun already.".to_owned()),
            Why::TimeOpen => (ProblemCode::StatusConflict, TIME_OPEN.to_owned()),
            Why::TooEarly => (ProblemCode::TooEarly, "The day of the appointment has not come yet.".to_owned()),
            Why::AnotherDay => {
                (ProblemCode::StatusConflict, "This is possible only on the day of the last change.".to_owned())
            }
            Why::TooLate => (
                ProblemCode::CancelNotice,
                "It is too late to cancel or move this appointment online. Please call the clinic.".to_owned(),
            ),
        };
        let mut members = serde_json::Map::new();
        // `status` is the problem's own member.
        members.insert("appointment_status".into(), refused.status.as_str().into());
        members.insert("allowed".into(), refused.allowed.iter().map(|step| step.as_str()).collect());
        Self::conflict_with(code, detail, members)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn circumstances(now: &str) -> Circumstances {
        Circumstances {
            now: at(now),
            starts_at: at("2026-03-09T14:00:00Z"),
            changed_at: at("2026-03-09T13:55:00Z"),
            zone: crate::zones::Zones::bundled().get("America/New_York").expect("a zone"),
            by_staff: true,
            cancel_until: at("2026-03-08T14:00:00Z"),
            is_time_open: false,
        }
    }

    #[test]
    fn a_time_that_staff_have_not_decided_on_cannot_be_confirmed_and_everything_else_can_be_done() {
        let open = Circumstances { is_time_open: true, ..circumstances("2026-03-09T13:00:00Z") };
        assert_eq!(open.decide(Status::Booked, Step::Confirm).expect_err("refused").why, Why::TimeOpen);
        for step in [Step::Reschedule, Step::Cancel, Step::CheckIn] {
            assert!(open.decide(Status::Booked, step).is_ok(), "{step}");
        }
    }

    #[test]
    fn a_visit_is_checked_in_and_completed() {
        let day = circumstances("2026-03-09T14:01:00Z");
        let status = day.decide(Status::Booked, Step::CheckIn).expect("checked in");
        assert_eq!(day.decide(status, Step::Complete), Ok(Status::Fulfilled));
    }

    #[test]
    fn an_illegal_move_names_the_legal_ones() {
        let refused =
            circumstances("2026-03-09T14:01:00Z").decide(Status::Booked, Step::Complete).expect_err("refused");
        assert_eq!(refused.why, Why::Status);
        assert_eq!(refused.allowed, [Step::Reschedule, Step::Cancel, Step::CheckIn, Step::NoShow]);
        let Error::Conflict(conflict) = Error::from(refused) else { panic!("a conflict") };
        assert_eq!(conflict.members["allowed"], serde_json::json!(["reschedule", "cancel", "check-in", "no-show"]));
        assert_eq!(conflict.members["appointment_status"], "booked");
    }

    #[test]
    fn a_no_show_needs_a_visit_that_has_begun() {
        let refused = circumstances("2026-03-09T13:59:59Z").decide(Status::Booked, Step::NoShow).expect_err("refused");
        assert_eq!(refused.why, Why::NotBegun);
        assert!(!refused.allowed.contains(&Step::NoShow));
        assert_eq!(circumstances("2026-03-09T14:00:00Z").decide(Status::Booked, Step::NoShow), Ok(Status::NoShow));
    }

    #[test]
    fn check_in_and_completion_wait_for_the_local_day() {
        // New York is on daylight saving time by then: midnight is 04:00 UTC.
        let (eve, day) = (circumstances("2026-03-09T03:59:59Z"), circumstances("2026-03-09T04:00:00Z"));
        for (status, step) in [(Status::Booked, Step::CheckIn), (Status::CheckedIn, Step::Complete)] {
            let refused = eve.decide(status, step).expect_err("refused");
            assert_eq!(refused.why, Why::TooEarly, "{step}");
            assert!(!refused.allowed.contains(&step));
            assert!(day.decide(status, step).is_ok(), "{step}");
            assert!(circumstances("2026-03-12T12:00:00Z").decide(status, step).is_ok(), "put right later: {step}");
        }
    }

    #[test]
    fn taking_back_is_possible_until_the_local_midnight() {
        // New York is on daylight saving time by then: midnight is 04:00 UTC.
        let before = circumstances("2026-03-10T03:59:59Z");
        let after = circumstances("2026-03-10T04:00:00Z");
        for (status, step) in
            [(Status::CheckedIn, Step::Undo), (Status::Fulfilled, Step::Undo), (Status::NoShow, Step::CheckIn)]
        {
            assert!(before.decide(status, step).is_ok(), "{status} {step}");
            assert_eq!(after.decide(status, step).expect_err("refused").why, Why::AnotherDay, "{status} {step}");
        }
        assert_eq!(after.decide(Status::NoShow, Step::Undo).expect_err("refused").allowed, []);
    }

    #[test]
    fn a_visit_is_confirmed_until_it_begins_whatever_the_notice() {
        for by_staff in [true, false] {
            let at = |now| Circumstances { by_staff, ..circumstances(now) };
            assert_eq!(at("2026-03-09T13:59:59Z").decide(Status::Booked, Step::Confirm), Ok(Status::Booked));
            let refused = at("2026-03-09T14:00:00Z").decide(Status::Booked, Step::Confirm).expect_err("refused");
            assert_eq!(refused.why, Why::Begun);
            let refused = at("2026-03-09T13:00:00Z").decide(Status::CheckedIn, Step::Confirm).expect_err("refused");
            assert_eq!(refused.why, Why::Status);
        }
    }

    #[test]
    fn a_patient_cancels_and_moves_until_the_notice_and_otherwise_only_confirms() {
        let patient = |now| Circumstances { by_staff: false, ..circumstances(now) };
        let (in_time, late) = (patient("2026-03-08T14:00:00Z"), patient("2026-03-08T14:00:01Z"));
        for step in [Step::Cancel, Step::Reschedule] {
            assert!(in_time.decide(Status::Booked, step).is_ok());
            let refused = late.decide(Status::Booked, step).expect_err("refused");
            assert_eq!((refused.why, refused.allowed), (Why::TooLate, vec![Step::Confirm]));
        }
        assert_eq!(in_time.decide(Status::Booked, Step::CheckIn).expect_err("refused").why, Why::StaffOnly);
        assert_eq!(in_time.decide(Status::CheckedIn, Step::Cancel).expect_err("refused").why, Why::Status);
    }

    fn any_status() -> impl Strategy<Value = Status> {
        select(Status::ALL)
    }

    fn any_step() -> impl Strategy<Value = Step> {
        select(Step::ALL)
    }

    fn any_circumstances() -> impl Strategy<Value = Circumstances> {
        (-100_000_i64..100_000, -100_000_i64..100_000, any::<bool>(), 0_i64..3000, any::<bool>()).prop_map(
            |(now, changed, by_staff, notice, is_time_open)| {
                let base = circumstances("2026-03-09T14:00:00Z");
                Circumstances {
                    now: base.now.plus(SignedDuration::from_secs(now)),
                    changed_at: base.now.plus(SignedDuration::from_secs(changed)),
                    by_staff,
                    cancel_until: base.starts_at.minus(SignedDuration::from_mins(notice)),
                    is_time_open,
                    ..base
                }
            },
        )
    }

    proptest! {
        #[test]
        fn no_path_leaves_cancelled_and_every_move_is_in_the_table(
            around in any_circumstances(),
            steps in prop::collection::vec(any_step(), 0..30),
        ) {
            let mut status = Status::Booked;
            for step in steps {
                match around.decide(status, step) {
                    Ok(next) => {
                        prop_assert_ne!(status, Status::Cancelled);
                        prop_assert!(MOVES.contains(&(status, step, next)));
                        status = next;
                    }
                    Err(refused) => prop_assert_eq!(refused.status, status),
                }
            }
        }

        #[test]
        fn what_is_named_as_allowed_is_allowed_and_the_rest_is_not(
            around in any_circumstances(), status in any_status(), step in any_step(),
        ) {
            if let Err(refused) = around.decide(status, step) {
                for other in Step::ALL {
                    prop_assert_eq!(refused.allowed.contains(other), around.decide(status, *other).is_ok());
                }
            }
        }

        #[test]
        fn what_is_shown_to_patients_as_the_limit_is_the_last_second_at_which_the_rule_lets_them(
            around in any_circumstances(), status in any_status(), step in select(&[Step::Cancel, Step::Reschedule][..]),
        ) {
            let patient = Circumstances { by_staff: false, ..around };
            let at = |now| Circumstances { now, ..patient.clone() }.decide(status, step);
            if let Some(until) = patients_may_until(status, step, patient.cancel_until) {
                prop_assert!(at(until).is_ok());
                let refused = at(until.plus(SignedDuration::from_secs(1))).expect_err("refused");
                prop_assert_eq!(refused.why, Why::TooLate);
            } else {
                prop_assert_eq!(patient.decide(status, step).expect_err("refused").why, Why::Status);
            }
        }

        #[test]
        fn undo_leads_back_to_where_a_forward_move_came_from(status in any_status(), step in any_step()) {
            // Checking in after a no-show is a correction of its own: undoing it leads to `booked`.
            prop_assume!(status != Status::NoShow && !matches!(step, Step::Undo | Step::Reschedule | Step::Confirm));
            if let Some(next) = status.after(step) && let Some(back) = next.after(Step::Undo) {
                prop_assert_eq!(back, status);
            }
        }
    }
}
