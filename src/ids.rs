//! A type of its own for each kind of id, so that a patient's cannot be passed for a slot's.

/// Declares id types: UUIDs that only compare with their own kind.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        #[diesel(sql_type = crate::db::types::Uid)]
        pub struct $name(pub uuid::Uuid);

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        crate::db::types::uid_columns!($name);
    )*};
}

ids! {
    /// An account.
    UserId;
    /// A signed-in device of an account.
    SessionId;
    /// A refresh token.
    RefreshTokenId;
    /// A token that travels in a mail.
    OneTimeTokenId;
    /// A patient (FHIR `Patient`).
    PatientId;
    /// An invitation to act for a patient.
    InvitationId;
    /// A link with which a given access is stopped.
    AccessLinkId;
    /// A consent (FHIR `Consent`).
    ConsentId;
    /// A place where the clinic sees patients (FHIR `Location`).
    LocationId;
    /// A doctor (FHIR `Practitioner`).
    PractitionerId;
    /// A kind of visit (FHIR `serviceType`).
    VisitTypeId;
    /// One rule of a practitioner's weekly hours.
    AvailabilityId;
    /// Time off or extra hours of a practitioner.
    ExceptionId;
    /// A time at which a location is closed.
    ClosureId;
    /// A piece of a practitioner's time (FHIR `Slot`).
    SlotId;
    /// A reservation of slots while somebody makes up their mind.
    HoldId;
    /// A visit (FHIR `Appointment`).
    AppointmentId;
    /// One change of an appointment.
    AppointmentHistoryId;
    /// A link to an appointment, as a mail has it.
    AppointmentLinkId;
    /// A history that a patient records before a visit (FHIR `QuestionnaireResponse`).
    IntakeId;
    /// What an amendment of an intake replaced.
    IntakeVersionId;
    /// Something in an intake that the staff must look at.
    IntakeFlagId;
    /// A laboratory value (FHIR `Observation`).
    LabResultId;
    /// An outgoing e-mail.
    MessageId;
    /// A line of the audit trail.
    AuditEventId;
    /// A record that somebody opened for a reason.
    RecordOpeningId;
    /// A key that signs the audit trail.
    AuditKeyId;
    /// Anything that has an id, where it does not matter what it is.
    ObjectId;
}
