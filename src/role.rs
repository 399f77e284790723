//! The roles of accounts. A file of its own, because errors and audit events name roles and [`crate::actor`] imports both.

use crate::db::types::text_enum;

text_enum! {
    /// The role of an account.
    Role {
        /// A patient, or a person who acts for patients.
        Patient = "patient",
        /// The front desk.
        FrontDesk = "front_desk",
        /// A practitioner.
        Practitioner = "practitioner",
        /// An administrator: manages the clinic's settings and the accounts of staff.
        Admin = "admin",
    }
}

impl Role {
    /// Returns whether it is a role of the clinic's staff.
    pub fn is_staff(self) -> bool {
        self != Self::Patient
    }
}

text_enum! {
    /// The role of an account of staff.
    StaffRole {
        /// The front desk.
        FrontDesk = "front_desk",
        /// A practitioner.
        Practitioner = "practitioner",
        /// An administrator.
        Admin = "admin",
    }
}

impl From<StaffRole> for Role {
    fn from(role: StaffRole) -> Self {
        match role {
            StaffRole::FrontDesk => Self::FrontDesk,
            StaffRole::Practitioner => Self::Practitioner,
            StaffRole::Admin => Self::Admin,
        }
    }
}

text_enum! {
    /// The role of a machine client.
    ClientRole {
        /// The front desk.
        FrontDesk = "front_desk",
        /// An administrator.
        Admin = "admin",
    }
}

impl From<ClientRole> for Role {
    fn from(role: ClientRole) -> Self {
        match role {
            ClientRole::FrontDesk => Self::FrontDesk,
            ClientRole::Admin => Self::Admin,
        }
    }
}
