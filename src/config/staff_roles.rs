//! Roles of staff that have a permission which the clinic decides on.

use crate::role::Role;

/// Roles of staff, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffRoles(Vec<Role>);

impl StaffRoles {
    /// The default of `EXTRA_HOURS_ROLES`.
    pub const EXTRA_HOURS: &str = "practitioner,admin";

    /// Returns the roles.
    pub fn roles(&self) -> &[Role] {
        &self.0
    }
}

impl std::str::FromStr for StaffRoles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let roles = text.split(',').map(|part| part.trim().parse::<Role>().ok().filter(|role| role.is_staff()));
        let roles: Option<Vec<Role>> = roles.collect();
        roles.map(Self).ok_or_else(|| {
            "must be one or more of front_desk, practitioner and admin, such as practitioner,admin".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_are_no_staff() {
        let parse = |text: &str| text.parse::<StaffRoles>().map(|roles| roles.roles().to_vec());
        assert_eq!(parse(StaffRoles::EXTRA_HOURS), Ok(vec![Role::Practitioner, Role::Admin]));
        assert_eq!(parse("front_desk, admin"), Ok(vec![Role::FrontDesk, Role::Admin]));
        for wrong in ["", "patient", "admin,patient", "admin,", "nurse"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
