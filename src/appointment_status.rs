//! The statuses of appointments. A file of the foundation, because patients, messages, scheduling and intake ask for them in queries.

use crate::db::types::text_enum;

text_enum! {
    /// Where an appointment stands (FHIR `AppointmentStatus`).
    AppointmentStatus {
        /// Agreed upon.
        Booked = "booked",
        /// The patient is there.
        CheckedIn = "checked-in",
        /// The visit took place.
        Fulfilled = "fulfilled",
        /// Called off, for good.
        Cancelled = "cancelled",
        /// The patient did not come.
        NoShow = "noshow",
    }
}

impl AppointmentStatus {
    /// The statuses in which an appointment claims the patient's time.
    pub const LIVE: [Self; 2] = [Self::Booked, Self::CheckedIn];

    /// Returns whether the appointment claims the patient's time.
    pub fn is_live(self) -> bool {
        Self::LIVE.contains(&self)
    }
}
