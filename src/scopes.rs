//! The scopes of machine clients: which operations a client may call. One table maps the tags of the API's document to scopes. What has no
//! scope is closed to clients.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::db::types::text_enum;

text_enum! {
    /// What a machine client may do within what its role permits ([`Scope::description`]).
    Scope {
        AppointmentsRead = "appointments:read",
        AppointmentsWrite = "appointments:write",
        EventsRead = "events:read",
        IntakesRead = "intakes:read",
        IntakesWrite = "intakes:write",
        LocationsRead = "locations:read",
        LocationsWrite = "locations:write",
        MessagesRead = "messages:read",
        MessagesWrite = "messages:write",
        PatientsRead = "patients:read",
        PatientsWrite = "patients:write",
        PractitionersRead = "practitioners:read",
        PractitionersWrite = "practitioners:write",
        ReportsRead = "reports:read",
        ResourcesRead = "resources:read",
        ResourcesWrite = "resources:write",
        SlotsRead = "slots:read",
        SlotsWrite = "slots:write",
        VisitTypesRead = "visit-types:read",
        VisitTypesWrite = "visit-types:write",
        WaitlistRead = "waitlist:read",
        WaitlistWrite = "waitlist:write",
    }
}

/// The tags of the document: the scope of the operations that read, and of those that change.
const TAGS: [(&str, Scope, Option<Scope>); 12] = [
    ("appointments", Scope::AppointmentsRead, Some(Scope::AppointmentsWrite)),
    ("events", Scope::EventsRead, None),
    ("intakes", Scope::IntakesRead, Some(Scope::IntakesWrite)),
    ("locations", Scope::LocationsRead, Some(Scope::LocationsWrite)),
    ("messages", Scope::MessagesRead, Some(Scope::MessagesWrite)),
    ("patients", Scope::PatientsRead, Some(Scope::PatientsWrite)),
    ("practitioners", Scope::PractitionersRead, Some(Scope::PractitionersWrite)),
    ("reports", Scope::ReportsRead, None),
    ("resources", Scope::ResourcesRead, Some(Scope::ResourcesWrite)),
    ("slots", Scope::SlotsRead, Some(Scope::SlotsWrite)),
    ("visit types", Scope::VisitTypesRead, Some(Scope::VisitTypesWrite)),
    ("waitlist", Scope::WaitlistRead, Some(Scope::WaitlistWrite)),
];

/// Operations whose scope is not that of their tag, because they show what another scope permits.
const OTHERS: [(&str, Scope); 1] = [("get_affected_appointments", Scope::AppointmentsRead)];

/// Operations of these tags that are closed to clients, because a person must answer for them: they give access to a record, say whom
/// staff have called, hand out a secret of a practitioner, or give all data of a patient.
const CLOSED: [&str; 14] = [
    "complete_message",
    "confirm_patient_access",
    "create_calendar_feed",
    "create_patient_access",
    "create_patient_invitation",
    "create_patient_merge",
    "delete_calendar_feed",
    "delete_patient_access",
    "delete_patient_invitation",
    "get_calendar_feed",
    "get_patient_export",
    "get_patient_access",
    "list_patient_access",
    "undo_patient_merge",
];

impl Scope {
    /// Returns the scope of an operation of the document. None if the operation is closed to clients.
    pub fn of(operation: &str, tags: &[String], reads: bool) -> Option<Self> {
        if CLOSED.contains(&operation) {
            return None;
        }
        if let Some((_, scope)) = OTHERS.iter().find(|(other, _)| *other == operation) {
            return Some(*scope);
        }
        let (_, read, write) = TAGS.iter().find(|(tag, ..)| tags.iter().any(|known| known == tag))?;
        if reads { Some(*read) } else { *write }
    }

    /// Returns what the scope permits, for the document.
    pub fn description(self) -> &'static str {
        match self {
            Self::AppointmentsRead => "Read appointments, agendas and day sheets",
            Self::AppointmentsWrite => "Book, move, cancel and change appointments",
            Self::EventsRead => "Read the events of changes",
            Self::IntakesRead => "Read intakes, flags, laboratory results and follow-ups",
            Self::IntakesWrite => "Write intakes, laboratory results and follow-ups",
            Self::LocationsRead => "Read locations and their closures",
            Self::LocationsWrite => "Change locations and their closures",
            Self::MessagesRead => "Read the outgoing mail",
            Self::MessagesWrite => "Send mail again",
            Self::PatientsRead => "Search and read patients' records",
            Self::PatientsWrite => "Create and change patients' records, and record consents",
            Self::PractitionersRead => "Read practitioners and their hours",
            Self::PractitionersWrite => "Change practitioners and their hours",
            Self::ReportsRead => "Read reports",
            Self::ResourcesRead => "Read resources",
            Self::ResourcesWrite => "Change resources",
            Self::SlotsRead => "Read free time slots and the client's holds",
            Self::SlotsWrite => "Hold, block and unblock time slots",
            Self::VisitTypesRead => "Read visit types",
            Self::VisitTypesWrite => "Change visit types",
            Self::WaitlistRead => "Read the waitlist and its offers",
            Self::WaitlistWrite => "Change the waitlist and its offers",
        }
    }
}

/// A set of scopes. As a text, they are sorted and separated by spaces (RFC 6749, 3.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Returns whether the scope is among them.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Returns whether all of these are among `others`.
    pub fn are_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them in order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(' ').filter(|scope| !scope.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(operation: &str, tag: &str, reads: bool) -> Option<Scope> {
        Scope::of(operation, &[tag.to_owned()], reads)
    }

    #[test]
    fn an_operation_without_an_entry_in_the_table_is_closed() {
        assert_eq!(of("list_slots", "slots", true), Some(Scope::SlotsRead));
        assert_eq!(of("create_appointment", "appointments", false), Some(Scope::AppointmentsWrite));
        for tag in
            ["sessions", "second factor", "users", "registration", "clients", "webhooks", "audit", "operations", "new"]
        {
            assert_eq!((of("any", tag, true), of("any", tag, false)), (None, None), "{tag}");
        }
        assert_eq!(of("any", "events", false), None);
        assert_eq!(of("get_affected_appointments", "practitioners", true), Some(Scope::AppointmentsRead));
        for operation in CLOSED {
            assert_eq!((of(operation, "patients", true), of(operation, "messages", false)), (None, None));
        }
    }

    proptest! {
        #[test]
        fn a_set_of_scopes_survives_its_text(picked in proptest::sample::subsequence(Scope::ALL, 0..=Scope::ALL.len())) {
            let scopes: Scopes = picked.into_iter().collect();
            prop_assert_eq!(scopes.to_string().parse::<Scopes>(), Ok(scopes.clone()));
            prop_assert!(scopes.are_within(&Scope::ALL.iter().copied().collect()));
            prop_assert_eq!(scopes.is_empty(), !Scope::ALL.iter().any(|scope| scopes.contains(*scope)));
        }
    }
}
