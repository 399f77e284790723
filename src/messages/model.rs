//! The kinds of mails with their content, and the stored message.

use std::fmt;

use diesel::prelude::*;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::db::schema::messages;
use crate::db::types::{Date, text_enum};
use crate::ids::{AppointmentId, MessageId, PatientId, UserId};
use crate::phone::{Country, Telephone};
use crate::sealed::Sealed;

/// How long a link works that verifies an address. The durations are here because the mails state them; the code that
/// creates the links uses them. Short, because other people may read the mailbox later (ASVS 5.0, 6.4.3).
pub const VERIFICATION_LASTS: SignedDuration = SignedDuration::from_hours(24);
/// How long a link works that sets a new password.
pub const RESET_LASTS: SignedDuration = SignedDuration::from_hours(1);
/// How long an invitation is valid.
pub const INVITATION_LASTS: SignedDuration = SignedDuration::from_hours(24 * 7);

text_enum! {
    /// The subject of a message.
    MessageKind {
        /// A link that verifies an address.
        VerifyEmail = "verify_email",
        /// A registration with an address that has an account.
        AlreadyRegistered = "already_registered",
        /// A link to set a new password.
        ResetPassword = "reset_password",
        /// A link with which a new staff member sets a password.
        Invitation = "invitation",
        /// A link that verifies a new address of an account.
        VerifyNewEmail = "verify_new_email",
        /// A change of how the account signs in.
        SecurityNotice = "security_notice",
        /// A link that gives an account access to a patient.
        PatientInvitation = "patient_invitation",
        /// An appointment was booked.
        AppointmentBooked = "appointment_booked",
        /// An appointment has a new time, location or practitioner.
        AppointmentMoved = "appointment_moved",
        /// An appointment was cancelled.
        AppointmentCancelled = "appointment_cancelled",
        /// A reminder of an appointment.
        AppointmentReminder = "appointment_reminder",
        /// A child whom the recipient acts for comes of age.
        AccessEnds = "access_ends",
        /// The recipient comes of age.
        ComingOfAge = "coming_of_age",
        /// An account was given access to a patient's record.
        AccessGiven = "access_given",
        /// The worklist has something urgent.
        StaffAlert = "staff_alert",
        /// Staff changed the address in a patient's record, or ended an account's access to it.
        RecordNotice = "record_notice",
        /// A short form after a visit or a change of treatment.
        FollowUp = "follow_up",
        /// A time that became free is offered to a patient who waits.
        WaitlistOffer = "waitlist_offer",
        /// The clinic took back a time that it had offered, or offers no other one because several were not answered.
        WaitlistOfferWithdrawn = "waitlist_offer_withdrawn",
        /// Events are not sent to a receiver any more, because it failed for long.
        WebhookPaused = "webhook_paused",
    }
}

impl MessageKind {
    /// Returns whether both kinds count against one limit of a mailbox. Mails about appointments share one. Every other
    /// kind has its own, so that no kind can block another.
    pub fn shares_budget_with(self, other: Self) -> bool {
        self == other || (self.is_about_appointment() && other.is_about_appointment())
    }

    /// Returns whether the mail has a link, or an answer to a request for one, that somebody asked for to prove that a mailbox works.
    pub fn proves_the_mailbox(self) -> bool {
        matches!(
            self,
            Self::VerifyEmail
                | Self::AlreadyRegistered
                | Self::ResetPassword
                | Self::Invitation
                | Self::VerifyNewEmail
                | Self::PatientInvitation
        )
    }

    fn is_about_appointment(self) -> bool {
        matches!(self, Self::AppointmentBooked | Self::AppointmentMoved | Self::AppointmentCancelled)
    }
}

text_enum! {
    /// A change of how an account signs in, or an attempt that its owner should know of.
    SecurityEvent {
        /// The password was changed with the old one.
        PasswordChanged = "password_changed",
        /// A new address was requested. Nothing has changed yet.
        EmailChangeAsked = "email_change_asked",
        /// The account has a new address.
        EmailChanged = "email_changed",
        /// The owner closed the account.
        AccountClosed = "account_closed",
        /// The second factor was turned on.
        SecondFactorOn = "second_factor_on",
        /// The second factor was turned off.
        SecondFactorOff = "second_factor_off",
        /// An administrator removed the second factor.
        SecondFactorReset = "second_factor_reset",
        /// New recovery codes were created.
        RecoveryCodesRenewed = "recovery_codes_renewed",
        /// A recovery code was used.
        RecoveryCodeUsed = "recovery_code_used",
        /// Several wrong codes came with the right password. Nothing has changed.
        WrongCodes = "wrong_codes",
    }
}

text_enum! {
    /// A change by staff of who can reach a patient's record.
    RecordChange {
        /// The record has a new e-mail address, or none.
        AddressChanged = "address_changed",
        /// The record has another birth date, which decides until when others act for the patient.
        BirthDateChanged = "birth_date_changed",
        /// The recipient's account may no longer act for the patient.
        AccessEnded = "access_ended",
        /// Another account may no longer act for the patient.
        OtherAccessEnded = "other_access_ended",
        /// The record was merged into another one, whose address gets the messages from now on.
        RecordMerged = "record_merged",
    }
}

text_enum! {
    /// What becomes of a patient's wait after an offer of the waitlist has ended.
    WaitStanding {
        /// The patient is offered other times.
        Kept = "kept",
        /// The patient is offered nothing more until somebody asks for it, because some offers in a row were not answered.
        Paused = "paused",
        /// Nobody is offered times for this kind of visit.
        Halted = "halted",
        /// It ended with the visit that the offer would have moved.
        Ended = "ended",
    }
}

text_enum! {
    /// The status of a message.
    MessageStatus {
        /// It will be sent, or sent again after a temporary failure.
        Pending = "pending",
        /// The mail server accepted it.
        Sent = "sent",
        /// It failed and is sent again only on request.
        Failed = "failed",
        /// The recipient has no e-mail address, or the mail server refuses it. Staff must call.
        ToPhone = "to_phone",
        /// Completed without a mail: by staff, or by the service because the message was replaced or not needed any more.
        Done = "done",
    }
}

/// The content of a mail, as its template needs it. It is stored encrypted, because it has tokens and times.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    /// Verifies the address.
    VerifyEmail {
        /// The token of the link.
        token: String,
        /// The registration that the link verifies. None in messages of earlier versions.
        #[serde(default)]
        registration: Option<RegistrationMail>,
        /// The time that is reserved for it.
        #[serde(default)]
        reservation: Option<ReservationMail>,
    },
    /// The address has an account already.
    AlreadyRegistered {
        /// The time that is reserved for the registration.
        #[serde(default)]
        reservation: Option<ReservationMail>,
    },
    /// Sets a new password.
    ResetPassword {
        /// The token of the link.
        token: String,
    },
    /// Sets the first password.
    Invitation {
        /// The token of the link.
        token: String,
    },
    /// Verifies a new address.
    VerifyNewEmail {
        /// The token of the link.
        token: String,
    },
    /// A change of how the account signs in.
    SecurityNotice {
        /// The change.
        event: SecurityEvent,
    },
    /// Gives an account access to a patient.
    PatientInvitation {
        /// The token of the link.
        token: String,
    },
    AppointmentBooked(AppointmentMail),
    AppointmentMoved(AppointmentMail),
    AppointmentCancelled(AppointmentMail),
    AppointmentReminder(AppointmentMail),
    /// Access to a child ends.
    AccessEnds(BirthdayMail),
    /// The recipient comes of age.
    ComingOfAge(BirthdayMail),
    /// An account was given access to a patient's record.
    AccessGiven(AccessMail),
    /// The worklist has something urgent.
    StaffAlert {
        /// An id with which staff find the entry on the worklist. It says nothing to other people.
        reference: String,
    },
    /// Staff changed who can reach a record.
    RecordNotice(RecordMail),
    /// Asks for a short form after a visit or a change of treatment.
    FollowUp(FollowUpMail),
    /// Offers a time that became free.
    WaitlistOffer(WaitlistOfferMail),
    /// Takes back a time that was offered.
    WaitlistOfferWithdrawn(WaitlistOfferMail),
    /// A webhook is paused because its receiver failed.
    WebhookPaused(WebhookPausedMail),
}

impl Mail {
    /// Returns the kind.
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::VerifyEmail { .. } => MessageKind::VerifyEmail,
            Self::AlreadyRegistered { .. } => MessageKind::AlreadyRegistered,
            Self::ResetPassword { .. } => MessageKind::ResetPassword,
            Self::Invitation { .. } => MessageKind::Invitation,
            Self::VerifyNewEmail { .. } => MessageKind::VerifyNewEmail,
            Self::SecurityNotice { .. } => MessageKind::SecurityNotice,
            Self::PatientInvitation { .. } => MessageKind::PatientInvitation,
            Self::AppointmentBooked(_) => MessageKind::AppointmentBooked,
            Self::AppointmentMoved(_) => MessageKind::AppointmentMoved,
            Self::AppointmentCancelled(_) => MessageKind::AppointmentCancelled,
            Self::AppointmentReminder(_) => MessageKind::AppointmentReminder,
            Self::AccessEnds(_) => MessageKind::AccessEnds,
            Self::ComingOfAge(_) => MessageKind::ComingOfAge,
            Self::AccessGiven(_) => MessageKind::AccessGiven,
            Self::StaffAlert { .. } => MessageKind::StaffAlert,
            Self::RecordNotice(_) => MessageKind::RecordNotice,
            Self::FollowUp(_) => MessageKind::FollowUp,
            Self::WaitlistOffer(_) => MessageKind::WaitlistOffer,
            Self::WaitlistOfferWithdrawn(_) => MessageKind::WaitlistOfferWithdrawn,
            Self::WebhookPaused(_) => MessageKind::WebhookPaused,
        }
    }

    /// Returns the appointment of a mail about one.
    pub fn appointment(&self) -> Option<&AppointmentMail> {
        match self {
            Self::AppointmentBooked(mail)
            | Self::AppointmentMoved(mail)
            | Self::AppointmentCancelled(mail)
            | Self::AppointmentReminder(mail) => Some(mail),
            _ => None,
        }
    }

    /// Whether a mail about a patient's care goes to the patient, and not to another person who acts for the patient. None for other mails.
    pub fn goes_to_patient(&self) -> Option<bool> {
        match self {
            Self::ComingOfAge(_) => Some(true),
            Self::AccessEnds(_) => Some(false),
            Self::FollowUp(mail) => Some(mail.patient.is_none()),
            Self::WaitlistOffer(mail) | Self::WaitlistOfferWithdrawn(mail) => Some(mail.patient.is_none()),
            _ => self.appointment().map(|mail| mail.patient.is_none()),
        }
    }

    /// Returns the token with which the reader of an optional mail ends such mails.
    pub fn unsubscribe(&self) -> Option<&str> {
        self.appointment().and_then(|mail| mail.unsubscribe.as_deref())
    }

    /// Returns the birthday of a mail about one.
    pub fn birthday(&self) -> Option<&BirthdayMail> {
        match self {
            Self::AccessEnds(mail) | Self::ComingOfAge(mail) => Some(mail),
            _ => None,
        }
    }

    /// Returns the access of a mail about one.
    pub fn access(&self) -> Option<&AccessMail> {
        match self {
            Self::AccessGiven(mail) => Some(mail),
            _ => None,
        }
    }

    /// Returns the change of a mail about one.
    pub fn record(&self) -> Option<&RecordMail> {
        match self {
            Self::RecordNotice(mail) => Some(mail),
            _ => None,
        }
    }

    /// Returns the content of a mail that asks for a follow-up.
    pub fn follow_up(&self) -> Option<&FollowUpMail> {
        match self {
            Self::FollowUp(mail) => Some(mail),
            _ => None,
        }
    }

    /// Returns the content of a mail about a time that is or was offered.
    pub fn waitlist_offer(&self) -> Option<&WaitlistOfferMail> {
        match self {
            Self::WaitlistOffer(mail) | Self::WaitlistOfferWithdrawn(mail) => Some(mail),
            _ => None,
        }
    }

    /// Returns the registration of a mail about one.
    pub fn registration(&self) -> Option<&RegistrationMail> {
        match self {
            Self::VerifyEmail { registration, .. } => registration.as_ref(),
            _ => None,
        }
    }

    /// Returns the reserved time of a mail about a registration.
    pub fn reservation(&self) -> Option<&ReservationMail> {
        match self {
            Self::VerifyEmail { reservation, .. } | Self::AlreadyRegistered { reservation } => reservation.as_ref(),
            _ => None,
        }
    }

    /// Returns the id with which staff find the entry on the worklist, or administrators the webhook.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::StaffAlert { reference } => Some(reference),
            Self::WebhookPaused(mail) => Some(&mail.reference),
            _ => None,
        }
    }

    /// Returns the webhook of a mail about one.
    pub fn webhook(&self) -> Option<&WebhookPausedMail> {
        match self {
            Self::WebhookPaused(mail) => Some(mail),
            _ => None,
        }
    }

    /// Returns the change of a security notice.
    pub fn security_event(&self) -> Option<SecurityEvent> {
        match self {
            Self::SecurityNotice { event } => Some(*event),
            _ => None,
        }
    }

    /// Returns the page and the token of the mail's link.
    pub fn link(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::VerifyEmail { token, .. } | Self::VerifyNewEmail { token } => Some(("verify-email", token)),
            Self::ResetPassword { token } | Self::Invitation { token } => Some(("set-password", token)),
            Self::PatientInvitation { token } => Some(("accept-invitation", token)),
            // There is nothing to view after a cancellation.
            Self::AppointmentBooked(mail) | Self::AppointmentMoved(mail) | Self::AppointmentReminder(mail) => {
                mail.token.as_deref().map(|token| ("appointment", token))
            }
            Self::AccessGiven(mail) => mail.token.as_deref().map(|token| ("stop-access", token)),
            Self::FollowUp(mail) => mail.token.as_deref().map(|token| ("follow-up", token)),
            Self::WaitlistOffer(mail) => mail.token.as_deref().map(|token| ("waitlist-offer", token)),
            _ => None,
        }
    }

    /// Returns how long the mail's link works, if that is a fixed time. The link of an appointment works until the
    /// appointment ends.
    pub fn link_lasts(&self) -> Option<SignedDuration> {
        match self {
            Self::VerifyEmail { .. } | Self::VerifyNewEmail { .. } => Some(VERIFICATION_LASTS),
            Self::ResetPassword { .. } => Some(RESET_LASTS),
            Self::Invitation { .. } | Self::PatientInvitation { .. } => Some(INVITATION_LASTS),
            _ => None,
        }
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({})", self.kind())
    }
}

/// The names in a registration, by which the owner of a mailbox tells several registrations apart.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationMail {
    /// The person who registered.
    pub name: String,
    /// The patient, if it is another person.
    pub patient: Option<String>,
}

impl RegistrationMail {
    /// Names the holder of the account, or the patient who registers for themselves.
    pub fn new(relation: &str, holder: Option<&str>, given_name: Option<&str>, family_name: &str) -> Self {
        let patient = given_name.map_or_else(|| family_name.to_owned(), |given| format!("{given} {family_name}"));
        match holder.filter(|_| relation != "self") {
            Some(holder) => Self { name: holder.to_owned(), patient: Some(patient) },
            None => Self { name: patient, patient: None },
        }
    }
}

/// A time that is reserved for a registration. It says nothing about health.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationMail {
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// The visit type's public name.
    pub visit: String,
    /// The location's name.
    pub location: String,
    /// The location's postal address.
    pub address: String,
    /// The time at which the reservation lapses.
    pub reserved_until: Timestamp,
}

/// The birthday on which a patient comes of age.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthdayMail {
    /// The patient's first name.
    pub patient: String,
    /// The birthday.
    pub on: Date,
}

/// A granted access. It does not name the account's holder, because that name is unverified.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessMail {
    /// The patient's first name, if the message goes to another person.
    pub patient: Option<String>,
    /// The relation of the account's holder to the patient: `self`, `parent`, `guardian` or `caregiver`.
    pub relation: String,
    /// The day on which it was granted.
    pub on: Date,
    /// Whether it waits for confirmation by a second staff member.
    pub pending: bool,
    /// The token of the link that stops the access. None in a call, and none if another account than the patient's own
    /// reads of `self`.
    pub token: Option<String>,
    /// The staff member who granted it. Another one must make the call about it.
    #[serde(default)]
    pub given_by: Option<UserId>,
    /// Whether the patient invited the account.
    #[serde(default)]
    pub by_patient: bool,
}

/// A change by staff of who can reach a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordMail {
    /// The patient's first name, if the message goes to another person.
    pub patient: Option<String>,
    pub change: RecordChange,
}

/// The form after a visit. It does not say what it is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpMail {
    /// The patient's first name, if the message goes to another person.
    pub patient: Option<String>,
    /// The token of the link to the form. None in a call.
    pub token: Option<String>,
    /// The code to type in where the link cannot be used. None in a call, and in mails from before there were codes.
    #[serde(default)]
    pub code: Option<String>,
}

/// A time that is offered to a patient who waits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistOfferMail {
    /// The patient's first name, if the recipient is another person.
    pub patient: Option<String>,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The IANA name of the location's time zone.
    pub time_zone: String,
    /// The visit type's public name.
    pub visit: String,
    /// The practitioner's name.
    pub practitioner: String,
    /// The location's name.
    pub location: String,
    /// The postal address.
    pub address: String,
    /// The end of the offer.
    pub expires_at: Timestamp,
    /// The start of the later visit that would be moved, with its time zone.
    pub instead_of: Option<(Timestamp, String)>,
    /// The token of the link to the offer. None in a call, and in mails from before there were links.
    #[serde(default)]
    pub token: Option<String>,
    /// The code to type in where the link cannot be used.
    #[serde(default)]
    pub code: Option<String>,
    /// Whether the offer ended because nobody answered it. Only in a mail about its end.
    #[serde(default)]
    pub lapsed: bool,
    /// What becomes of the wait. Only in a mail about the end of an offer.
    #[serde(default = "kept")]
    pub standing: WaitStanding,
    /// The location's telephone number in E.164. None in mails of earlier versions.
    #[serde(default)]
    pub phone: Option<String>,
    /// The location's country (ISO 3166-1, two letters), which decides the format of the telephone number.
    #[serde(default)]
    pub country: Option<String>,
}

/// What mails of earlier versions mean.
fn kept() -> WaitStanding {
    WaitStanding::Kept
}

impl WaitlistOfferMail {
    /// Returns the location's telephone number in the format of its country.
    pub fn telephone(&self) -> Option<Telephone> {
        let number = self.phone.as_deref()?;
        Some(Telephone::of(number, self.country.as_deref().and_then(Country::of)))
    }
}

/// A webhook that was paused because its receiver failed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookPausedMail {
    /// The host of the receiver.
    pub host: String,
    /// Whether the receiver said that it wants no more events.
    pub is_gone: bool,
    /// The id of the webhook.
    pub reference: String,
}

/// An appointment as its mails and its calendar entry show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentMail {
    /// Part of the calendar entry's UID.
    pub appointment_id: AppointmentId,
    /// Increases with every change that calendars must take over, including a cancellation (RFC 5545, 3.8.7.4).
    pub sequence: i32,
    /// The start of the visit.
    pub starts_at: Timestamp,
    /// The end of the visit.
    pub ends_at: Timestamp,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// The visit type's public name, which says nothing about health.
    pub visit: String,
    /// The practitioner's name.
    pub practitioner: String,
    /// The location's name.
    pub location: String,
    /// The location's postal address.
    pub address: String,
    /// The location's telephone number in E.164.
    pub phone: String,
    /// The code to give on the telephone.
    pub confirmation_code: String,
    /// The patient's first name, if the message goes to another person.
    #[serde(default)]
    pub patient: Option<String>,
    /// The token of the link to the appointment.
    #[serde(default)]
    pub token: Option<String>,
    /// Until when the link can cancel the appointment. None if that time had passed when the mail was written.
    #[serde(default)]
    pub cancel_until: Option<Timestamp>,
    /// Whether forms must be filled in before the visit.
    #[serde(default)]
    pub forms_due: bool,
    /// Whether the recipient has an account with which to fill them in.
    #[serde(default)]
    pub forms_online: bool,
    /// Whether the patient, or an account that acts for the patient, cancelled it.
    #[serde(default)]
    pub cancelled_by_patient: bool,
    /// Whether it keeps its local time at another instant, because the law of the time zone changed.
    #[serde(default)]
    pub zone_changed: bool,
    /// The token of the link that switches reminders off. Only in a reminder.
    #[serde(default)]
    pub unsubscribe: Option<String>,
    /// The location's country (ISO 3166-1, two letters), which decides the format of the telephone number.
    #[serde(default)]
    pub country: Option<String>,
}

impl AppointmentMail {
    /// Returns the location's telephone number in the format of its country.
    pub fn telephone(&self) -> Telephone {
        Telephone::of(&self.phone, self.country.as_deref().and_then(Country::of))
    }
}

impl fmt::Debug for AppointmentMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppointmentMail({})", self.appointment_id)
    }
}

/// The recipient of a message: by mail if there is an address, otherwise by a call.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Recipient {
    #[diesel(column_name = recipient_name)]
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The telephone number in E.164, for a call, including one after a failed mail.
    pub phone: Option<String>,
    /// The language (BCP 47).
    pub language: String,
}

impl Recipient {
    /// Returns the status of a new message to this recipient.
    pub fn status(&self) -> MessageStatus {
        if self.email.is_some() { MessageStatus::Pending } else { MessageStatus::ToPhone }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.language)
    }
}

/// A message to be created.
#[derive(Clone)]
pub struct Envelope {
    pub recipient: Recipient,
    /// The patient whom it is about.
    pub patient_id: Option<PatientId>,
    /// The appointment that it is about.
    pub appointment_id: Option<AppointmentId>,
    /// The content.
    pub mail: Mail,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({:?})", self.mail)
    }
}

/// A stored message.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Message {
    pub id: MessageId,
    /// The subject.
    pub kind: MessageKind,
    pub status: MessageStatus,
    #[diesel(embed)]
    pub recipient: Recipient,
    /// The patient whom it is about.
    pub patient_id: Option<PatientId>,
    /// The appointment that it is about.
    pub appointment_id: Option<AppointmentId>,
    /// The encrypted content.
    pub payload: Sealed<Mail>,
    /// The number of attempts since it was created or last sent again.
    pub attempts: i32,
    /// How many of these attempts certainly did not deliver it.
    pub rejected_attempts: i32,
    /// How often staff sent it again. Each time makes it a mail of its own, which no mailbox drops as a duplicate.
    pub resends: i32,
    /// When it is next due, or when the lease of its worker expires.
    pub due_at: Timestamp,
    /// The class of the last failure.
    pub last_error: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the mail server accepted it.
    pub sent_at: Option<Timestamp>,
    /// When it was completed without a mail.
    pub done_at: Option<Timestamp>,
    /// The account that completed it. None if the service did ([`MessageStatus::Done`]).
    pub done_by: Option<UserId>,
    /// The note of the staff.
    pub note: Option<Sealed<String>>,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

impl Message {
    /// Returns whether the mail certainly did not arrive, if it is not tried any more.
    pub fn is_unsent(&self) -> bool {
        self.sent_at.is_none() && self.attempts == self.rejected_attempts && self.resends == 0
    }

    /// Returns the left part of its Message-ID: the same for every attempt, so that a mail sent twice is recognised.
    pub fn mail_id(&self) -> String {
        if self.resends == 0 { self.id.to_string() } else { format!("{}-{}", self.id, self.resends) }
    }
}
