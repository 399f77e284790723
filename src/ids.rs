//! One type for each kind of id, so that a patient's id cannot be used as a slot's.

/// Declares id types. They are UUIDs that compare with their own kind only.
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
    /// A request about an address.
    AddressRequestId;
    /// A session of an account.
    SessionId;
    /// A refresh token.
    RefreshTokenId;
    /// A secret of a machine client.
    ClientSecretId;
    /// A receiver of events.
    WebhookId;
    /// An attempt to deliver an event.
    WebhookAttemptId;
    /// A token in a link of a mail.
    OneTimeTokenId;
    /// A patient (FHIR `Patient`).
    PatientId;
    /// A merge of two records of one patient.
    PatientMergeId;
    /// The retirement of a patient's record.
    PatientRetirementId;
    /// An invitation to act for a patient.
    InvitationId;
    /// A link that stops an access.
    AccessLinkId;
    /// A guard of a record.
    RecordGuardId;
    /// A consent (FHIR `Consent`).
    ConsentId;
    /// A location of the clinic (FHIR `Location`).
    LocationId;
    /// A practitioner (FHIR `Practitioner`).
    PractitionerId;
    /// A kind of visit (FHIR `serviceType`).
    VisitTypeId;
    /// A resource that visits need: a room, a device, a chair.
    ResourceId;
    /// One of a resource's units at a location.
    ResourceUnitId;
    /// A unit's time that a visit or a hold takes.
    OccupancyId;
    /// A rule of a practitioner's weekly hours.
    AvailabilityId;
    /// Time off or extra hours of a practitioner.
    ExceptionId;
    /// A closure of a location.
    ClosureId;
    /// A time slot of a practitioner (FHIR `Slot`).
    SlotId;
    /// A short reservation of slots.
    HoldId;
    /// A visit (FHIR `Appointment`).
    AppointmentId;
    /// A change of an appointment.
    AppointmentHistoryId;
    /// A series of appointments that were booked together.
    AppointmentSeriesId;
    /// A link to an appointment in a mail.
    AppointmentLinkId;
    /// The secret address of a practitioner's visits, for their calendar program.
    CalendarFeedId;
    /// A patient who waits for a kind of visit.
    WaitlistEntryId;
    /// A time that is offered to a patient who waits.
    WaitlistOfferId;
    /// A link to an offer in a mail.
    WaitlistOfferLinkId;
    /// An intake: what a patient records before a visit (FHIR `QuestionnaireResponse`).
    IntakeId;
    /// A version of an intake that an amendment replaced.
    IntakeVersionId;
    /// A flag: something in an intake that staff must look at.
    IntakeFlagId;
    /// A follow-up after a visit or a change of treatment.
    FollowUpId;
    /// A link to a follow-up in a mail.
    FollowUpLinkId;
    /// A laboratory result (FHIR `Observation`).
    LabResultId;
    /// A version of a laboratory result that a correction replaced.
    LabResultVersionId;
    /// An outgoing message.
    MessageId;
    /// An audit event.
    AuditEventId;
    /// An opening of a record: break-glass access.
    RecordOpeningId;
    /// A key that signs the audit trail.
    AuditKeyId;
    /// An object of any kind.
    ObjectId;
}
