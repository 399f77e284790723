//! The visit that a verification link books, sealed in the link.

use serde::{Deserialize, Serialize};

use crate::ids::{AppointmentId, HoldId, PatientId, SlotId, VisitTypeId};
use crate::messages::model::ReservationMail;

/// The visit of a link.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkedVisit {
    /// The link books it.
    Reserved(Box<ReservedVisit>),
    /// The link was followed and has booked it.
    Booked { appointment_id: AppointmentId },
    /// The link was followed too late for the time. It books another one.
    Missed(Box<ReservedVisit>),
}

impl LinkedVisit {
    /// The hold whose visit the link books.
    pub fn hold_id(&self) -> Option<HoldId> {
        match self {
            Self::Reserved(visit) => Some(visit.hold_id),
            Self::Booked { .. } | Self::Missed(_) => None,
        }
    }
}

impl std::fmt::Debug for LinkedVisit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkedVisit")
    }
}

/// A visit whose time is reserved for a registration.
#[derive(Clone, Serialize, Deserialize)]
pub struct ReservedVisit {
    /// The patient; none if the registration waits in the link and has no record yet.
    pub patient_id: Option<PatientId>,
    /// The slot in which the visit starts.
    pub slot_id: SlotId,
    /// The kind of visit.
    pub visit_type_id: VisitTypeId,
    /// The reservation.
    pub hold_id: HoldId,
    pub hold_secret: String,
    /// What the clinic should know before the visit.
    pub note: Option<String>,
    /// The visit as the mail with the link shows it.
    pub mail: ReservationMail,
}
