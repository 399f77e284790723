//! Who asks, and the one table of who may do what.

use crate::db::types::text_enum;
use crate::error::{Error, Result};
use crate::ids::{PractitionerId, SessionId, UserId};
use crate::trail::Trail;

text_enum! {
    /// What an account is for.
    Role {
        /// A patient, or somebody who acts for patients.
        Patient = "patient",
        /// The front desk.
        FrontDesk = "front_desk",
        /// A doctor.
        Practitioner = "practitioner",
        /// Runs the clinic's settings and staff accounts.
        Admin = "admin",
    }
}

impl Role {
    /// Whether this is the clinic's staff.
    pub fn is_staff(self) -> bool {
        self != Self::Patient
    }
}

/// The signed-in caller of a request.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The account.
    pub user_id: UserId,
    /// The session that the access token belongs to.
    pub session_id: SessionId,
    /// What the account may do.
    pub role: Role,
    /// The doctor that the account belongs to, if it is a doctor's.
    pub practitioner_id: Option<PractitionerId>,
    /// Why they need a record that is none of theirs, if they say so.
    pub access_reason: Option<String>,
    /// What the audit trail will say of the request.
    pub trail: Trail,
}

/// How far a permission reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not at all: 403.
    None,
    /// Only what belongs to the caller or to a patient they act for; the rest is 404.
    Own,
    /// Everything.
    Any,
}

/// What a caller may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Create a patient's record: staff anybody's, an account one for itself or for somebody whom it acts for.
    PatientCreate,
    /// Search patients.
    PatientSearch,
    /// Read a patient's record and consents.
    PatientRead,
    /// Change a patient's record, record a consent.
    PatientWrite,
    /// See who may act for a patient.
    AccessRead,
    /// Say who may act for a patient: link, verify, confirm, invite.
    AccessGrant,
    /// End somebody's access to a patient: staff anybody's, an adult patient that of others to their own record.
    AccessEnd,
    /// Take along everything that is held on a patient.
    PatientExport,
    /// Set up locations, practitioners, visit types.
    ClinicSetUp,
    /// See what other systems call the practitioners.
    PractitionerIdentifierRead,
    /// Read a practitioner's weekly hours and exceptions, and when locations are closed.
    AvailabilityRead,
    /// Change a practitioner's weekly hours, give extra hours.
    AvailabilityWrite,
    /// Enter and take back a practitioner's time off.
    TimeOffWrite,
    /// See a practitioner's day.
    AgendaRead,
    /// Block and unblock slots.
    SlotBlock,
    /// Hold a slot.
    SlotHold,
    /// Book, cancel and move appointments.
    AppointmentBook,
    /// Read appointments.
    AppointmentRead,
    /// Change an appointment's note and identifiers.
    AppointmentAmend,
    /// Check in, no-show, complete and undo.
    AppointmentProgress,
    /// Renew the links in an appointment's mails and take them back.
    AppointmentLinkManage,
    /// Begin, fill in, discard and submit an intake.
    IntakeWrite,
    /// Read intakes; which of their parts, the role decides.
    IntakeRead,
    /// List the intakes of all patients.
    IntakeList,
    /// Change a submitted intake, keeping what it replaces.
    IntakeAmend,
    /// Review a submitted intake.
    IntakeReview,
    /// Mark an intake as entered in error.
    IntakeVoid,
    /// See what intakes raise for the staff.
    IntakeFlagRead,
    /// Acknowledge what an intake raised.
    IntakeFlagAcknowledge,
    /// Read the clinical picture: summaries, the timeline, laboratory results.
    ClinicalRead,
    /// Enter a laboratory result.
    LabResultWrite,
    /// Invite, read and change staff accounts.
    UserManage,
    /// See the outgoing mail, send it again, and make the calls for those who have none.
    MessageManage,
    /// Read the audit trail.
    AuditRead,
    /// Read who looked at a patient's record.
    AccessLogRead,
}

use Reach::{Any, None as No, Own};

/// Role × action × ownership. The columns are patient, front desk, practitioner, admin.
#[rustfmt::skip]
const PERMISSIONS: &[(Action, [Reach; 4])] = &[
    //                              patient  desk  doctor  admin
    (Action::PatientCreate,        [Own,     Any,  Any,    Any]),
    (Action::PatientSearch,        [No,      Any,  Any,    Any]),
    (Action::PatientRead,          [Own,     Any,  Any,    Any]),
    (Action::PatientWrite,         [Own,     Any,  Any,    Any]),
    (Action::AccessRead,           [Own,     Any,  Any,    Any]),
    (Action::AccessGrant,          [No,      Any,  Any,    Any]),
    (Action::AccessEnd,            [Own,     Any,  Any,    Any]),
    // Somebody must answer who asks for their record and has no account: the administrator, or the doctor.
    (Action::PatientExport,        [Own,     No,   Any,    Any]),
    (Action::ClinicSetUp,          [No,      No,   No,     Any]),
    (Action::PractitionerIdentifierRead, [No, Any, Any,    Any]),
    (Action::AvailabilityRead,     [No,      Any,  Any,    Any]),
    (Action::AvailabilityWrite,    [No,      No,   Own,    Any]),
    // Whoever answers the telephone when a doctor is ill.
    (Action::TimeOffWrite,         [No,      Any,  Own,    Any]),
    // Doctors stand in for each other.
    (Action::AgendaRead,           [No,      Any,  Any,    Any]),
    (Action::SlotBlock,            [No,      Any,  Own,    Any]),
    (Action::SlotHold,             [Any,     Any,  Any,    Any]),
    (Action::AppointmentBook,      [Own,     Any,  Any,    Any]),
    (Action::AppointmentRead,      [Own,     Any,  Any,    Any]),
    (Action::AppointmentAmend,     [No,      Any,  Any,    Any]),
    (Action::AppointmentProgress,  [No,      Any,  Any,    Any]),
    (Action::AppointmentLinkManage,[No,      Any,  Any,    Any]),
    // Who runs the clinic's settings or desk has no need of what patients tell their doctors.
    (Action::IntakeWrite,          [Own,     Any,  Any,    Any]),
    (Action::IntakeRead,           [Own,     Any,  Any,    Any]),
    (Action::IntakeList,           [No,      Any,  Any,    Any]),
    (Action::IntakeAmend,          [Own,     No,   Any,    No]),
    (Action::IntakeReview,         [No,      No,   Any,    No]),
    (Action::IntakeVoid,           [No,      No,   Any,    No]),
    (Action::IntakeFlagRead,       [No,      Any,  Any,    Any]),
    (Action::IntakeFlagAcknowledge,[No,      No,   Any,    No]),
    (Action::ClinicalRead,         [Own,     No,   Any,    No]),
    (Action::LabResultWrite,       [No,      Any,  Any,    Any]),
    (Action::UserManage,           [No,      No,   No,     Any]),
    (Action::MessageManage,        [No,      Any,  No,     Any]),
    (Action::AuditRead,            [No,      No,   No,     Any]),
    (Action::AccessLogRead,        [Own,     No,   No,     Any]),
];

impl Actor {
    /// How far `action` reaches for this caller.
    pub fn reach(&self, action: Action) -> Reach {
        reach(self.role, action)
    }

    /// How far `action` reaches, if at all.
    ///
    /// # Errors
    /// [`Error::RoleForbidden`], with the roles that may, where the role may not do it at all.
    pub fn require(&self, action: Action) -> Result<Reach> {
        match self.reach(action) {
            Reach::None => Err(Error::RoleForbidden(roles(action))),
            reach => Ok(reach),
        }
    }
}

/// Returns how far `action` reaches for a role.
fn reach(role: Role, action: Action) -> Reach {
    let column = match role {
        Role::Patient => 0,
        Role::FrontDesk => 1,
        Role::Practitioner => 2,
        Role::Admin => 3,
    };
    PERMISSIONS.iter().find(|(of, _)| *of == action).map_or(Reach::None, |(_, reach)| reach[column])
}

/// Returns the roles that may do `action` at all.
fn roles(action: Action) -> Vec<Role> {
    Role::ALL.iter().copied().filter(|role| reach(*role, action) != Reach::None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_stands_in_the_table_once() {
        for (action, _) in PERMISSIONS {
            assert_eq!(PERMISSIONS.iter().filter(|(other, _)| other == action).count(), 1, "{action:?}");
        }
    }

    #[test]
    fn the_roles_of_an_action_are_those_whose_reach_is_not_none() {
        assert_eq!(roles(Action::ClinicSetUp), [Role::Admin]);
        assert_eq!(roles(Action::AvailabilityWrite), [Role::Practitioner, Role::Admin]);
        assert_eq!(roles(Action::SlotHold), Role::ALL);
        assert!(PERMISSIONS.iter().all(|(action, _)| !roles(*action).is_empty()), "every action has somebody who may");
    }
}
