//! What can be mailed, and what becomes of a message.

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

/// How long a link works that proves an address. These stand here because the mails say them; whoever makes the links keeps
/// to them. Short, as the mailbox may be read by others later (ASVS 5.0, 6.4.3).
pub const VERIFICATION_LASTS: SignedDuration = SignedDuration::from_hours(24);
/// How long a link works that sets a new password.
pub const RESET_LASTS: SignedDuration = SignedDuration::from_hours(1);
/// How long an invitation is good.
pub const INVITATION_LASTS: SignedDuration = SignedDuration::from_hours(24 * 7);

text_enum! {
    /// What a message is about.
    MessageKind {
        /// A link that proves an address.
        VerifyEmail = "verify_email",
        /// Somebody registered with an address that has an account.
        AlreadyRegistered = "already_registered",
        /// A link to set a new password.
        ResetPassword = "reset_password",
        /// A link with which a new member of the staff sets a password.
        Invitation = "invitation",
        /// A link that proves a new address of an account.
        VerifyNewEmail = "verify_new_email",
        /// Something about how the account signs in was changed.
        SecurityNotice = "security_notice",
        /// A link with which somebody comes to act for a patient.
        PatientInvitation = "patient_invitation",
        /// An appointment was booked.
        AppointmentBooked = "appointment_booked",
        /// An appointment has a new time, place or doctor.
        AppointmentMoved = "appointment_moved",
        /// An appointment was cancelled.
        AppointmentCancelled = "appointment_cancelled",
        /// A child whom the recipient acts for comes of age.
        AccessEnds = "access_ends",
        /// The recipient comes of age.
        ComingOfAge = "coming_of_age",
        /// An account was given access to a patient's record.
        AccessGiven = "access_given",
        /// The staff's worklist has something that cannot wait.
        StaffAlert = "staff_alert",
        /// The staff changed the address in a patient's record, or took an account's access to it away.
        RecordNotice = "record_notice",
    }
}

impl MessageKind {
    /// Whether both count against one budget of a mailbox. Mails about appointments share one; every other kind has its own, so
    /// that no kind can use up what another needs.
    pub fn shares_budget_with(self, other: Self) -> bool {
        self == other || (self.is_about_appointment() && other.is_about_appointment())
    }

    fn is_about_appointment(self) -> bool {
        matches!(self, Self::AppointmentBooked | Self::AppointmentMoved | Self::AppointmentCancelled)
    }
}

text_enum! {
    /// What was changed about how an account signs in.
    SecurityEvent {
        /// Another password, by who knew the old one.
        PasswordChanged = "password_changed",
        /// Another address was asked for; nothing has changed yet.
        EmailChangeAsked = "email_change_asked",
        /// The account has another address.
        EmailChanged = "email_changed",
        /// Codes are asked for from now on.
        SecondFactorOn = "second_factor_on",
        /// Codes are no longer asked for.
        SecondFactorOff = "second_factor_off",
        /// An administrator took the second factor away.
        SecondFactorReset = "second_factor_reset",
        /// There are new recovery codes.
        RecoveryCodesRenewed = "recovery_codes_renewed",
        /// A recovery code was used.
        RecoveryCodeUsed = "recovery_code_used",
    }
}

text_enum! {
    /// What the staff changed about how a patient's record is reached.
    RecordChange {
        /// The record has another e-mail address, or none.
        AddressChanged = "address_changed",
        /// The recipient's account may not act for the patient any more.
        AccessEnded = "access_ended",
    }
}

text_enum! {
    /// Where a message stands.
    MessageStatus {
        /// It will be sent, or sent again after a failure that may pass.
        Pending = "pending",
        /// The mail server took it.
        Sent = "sent",
        /// It will not be sent unless somebody asks for it.
        Failed = "failed",
        /// Its recipient has no e-mail address: somebody must call.
        ToPhone = "to_phone",
        /// Staff called or settled it otherwise, or a newer message about the same appointment took its place.
        Done = "done",
    }
}

/// A mail to be, with what its template needs. It is stored sealed: tokens and times are nobody else's business.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    /// Prove the address.
    VerifyEmail {
        /// For the link.
        token: String,
    },
    /// There is an account already.
    AlreadyRegistered,
    /// Set a new password.
    ResetPassword {
        /// For the link.
        token: String,
    },
    /// Set a first password.
    Invitation {
        /// For the link.
        token: String,
    },
    /// Prove a new address.
    VerifyNewEmail {
        /// For the link.
        token: String,
    },
    /// Something about signing in was changed.
    SecurityNotice {
        /// What.
        event: SecurityEvent,
    },
    /// Come to act for a patient.
    PatientInvitation {
        /// For the link.
        token: String,
    },
    /// Booked.
    AppointmentBooked(AppointmentMail),
    /// Moved.
    AppointmentMoved(AppointmentMail),
    /// Cancelled.
    AppointmentCancelled(AppointmentMail),
    /// The access to a child ends.
    AccessEnds(BirthdayMail),
    /// One's own affairs begin.
    ComingOfAge(BirthdayMail),
    /// An account was given access.
    AccessGiven(AccessMail),
    /// Look at the worklist.
    StaffAlert {
        /// What to look for there; it means nothing to anybody else.
        reference: String,
    },
    /// The staff changed how a record is reached.
    RecordNotice(RecordMail),
}

impl Mail {
    /// What it is about.
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::VerifyEmail { .. } => MessageKind::VerifyEmail,
            Self::AlreadyRegistered => MessageKind::AlreadyRegistered,
            Self::ResetPassword { .. } => MessageKind::ResetPassword,
            Self::Invitation { .. } => MessageKind::Invitation,
            Self::VerifyNewEmail { .. } => MessageKind::VerifyNewEmail,
            Self::SecurityNotice { .. } => MessageKind::SecurityNotice,
            Self::PatientInvitation { .. } => MessageKind::PatientInvitation,
            Self::AppointmentBooked(_) => MessageKind::AppointmentBooked,
            Self::AppointmentMoved(_) => MessageKind::AppointmentMoved,
            Self::AppointmentCancelled(_) => MessageKind::AppointmentCancelled,
            Self::AccessEnds(_) => MessageKind::AccessEnds,
            Self::ComingOfAge(_) => MessageKind::ComingOfAge,
            Self::AccessGiven(_) => MessageKind::AccessGiven,
            Self::StaffAlert { .. } => MessageKind::StaffAlert,
            Self::RecordNotice(_) => MessageKind::RecordNotice,
        }
    }

    /// The appointment, if it is about one.
    pub fn appointment(&self) -> Option<&AppointmentMail> {
        match self {
            Self::AppointmentBooked(mail) | Self::AppointmentMoved(mail) | Self::AppointmentCancelled(mail) => {
                Some(mail)
            }
            _ => None,
        }
    }

    /// The birthday, if it is about one.
    pub fn birthday(&self) -> Option<&BirthdayMail> {
        match self {
            Self::AccessEnds(mail) | Self::ComingOfAge(mail) => Some(mail),
            _ => None,
        }
    }

    /// The given access, if it is about one.
    pub fn access(&self) -> Option<&AccessMail> {
        match self {
            Self::AccessGiven(mail) => Some(mail),
            _ => None,
        }
    }

    /// The change to how a record is reached, if it is about one.
    pub fn record(&self) -> Option<&RecordMail> {
        match self {
            Self::RecordNotice(mail) => Some(mail),
            _ => None,
        }
    }

    /// What the staff look for on the worklist.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::StaffAlert { reference } => Some(reference),
            _ => None,
        }
    }

    /// What was changed about signing in.
    pub fn security_event(&self) -> Option<SecurityEvent> {
        match self {
            Self::SecurityNotice { event } => Some(*event),
            _ => None,
        }
    }

    /// The page that the mail's link leads to, and the link's token.
    pub fn link(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::VerifyEmail { token } | Self::VerifyNewEmail { token } => Some(("verify-email", token)),
            Self::ResetPassword { token } | Self::Invitation { token } => Some(("set-password", token)),
            Self::PatientInvitation { token } => Some(("accept-invitation", token)),
            // After a cancellation there is nothing left to look up.
            Self::AppointmentBooked(mail) | Self::AppointmentMoved(mail) => {
                mail.token.as_deref().map(|token| ("appointment", token))
            }
            Self::AccessGiven(mail) => mail.token.as_deref().map(|token| ("stop-access", token)),
            _ => None,
        }
    }

    /// How long the mail's link works, where that is a fixed time; that of an appointment works until it ends.
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

/// With which birthday a patient comes of age.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BirthdayMail {
    /// What the patient is called.
    pub patient: String,
    /// The day.
    pub on: Date,
}

/// Access to a patient's record as the mail tells of it. It does not name the account's holder: the name is the holder's own word.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessMail {
    /// What the patient is called, where the message goes to another person.
    pub patient: Option<String>,
    /// What the account's holder is to the patient: `self`, `parent`, `guardian` or `caregiver`.
    pub relation: String,
    /// The day on which it was given.
    pub on: Date,
    /// Whether it waits for a second member of the staff.
    pub pending: bool,
    /// For the link that stops it; none in a call, and none where another account than the patient's own reads of `self`.
    pub token: Option<String>,
    /// Who of the staff gave it: another one makes the call about it.
    #[serde(default)]
    pub given_by: Option<UserId>,
}

/// What the staff changed about how a record is reached, as the mail tells of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordMail {
    /// What the patient is called, where the message goes to another person.
    pub patient: Option<String>,
    /// What was changed.
    pub change: RecordChange,
}

/// An appointment as its mails and its calendar entry show it, at the moment of the change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentMail {
    /// The calendar entry's UID is made from it.
    pub appointment_id: AppointmentId,
    /// Grows with every change that the calendar must take over, a cancellation included (RFC 5545, 3.8.7.4).
    pub sequence: i32,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The location's zone, by its IANA name.
    pub time_zone: String,
    /// The visit type's public name, which says nothing about health.
    pub visit: String,
    /// The doctor's name.
    pub practitioner: String,
    /// The location's name.
    pub location: String,
    /// The location's postal address.
    pub address: String,
    /// The location's phone number, E.164.
    pub phone: String,
    /// What the patient reads out over the phone.
    pub confirmation_code: String,
    /// What the patient is called, where the message goes to somebody else.
    #[serde(default)]
    pub patient: Option<String>,
    /// For the link to the appointment.
    #[serde(default)]
    pub token: Option<String>,
    /// Whether forms are still to be filled in before the visit.
    #[serde(default)]
    pub forms_due: bool,
    /// Whether the patient, or an account that acts for them, cancelled it.
    #[serde(default)]
    pub cancelled_by_patient: bool,
    /// The location's country (ISO 3166-1, two letters), in whose form the phone number is shown.
    #[serde(default)]
    pub country: Option<String>,
}

impl AppointmentMail {
    /// The location's number, in the form of its country.
    pub fn telephone(&self) -> Telephone {
        Telephone::of(&self.phone, self.country.as_deref().and_then(Country::of))
    }
}

impl fmt::Debug for AppointmentMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppointmentMail({})", self.appointment_id)
    }
}

/// Whom a message is for, and how they are reached: by mail where there is an address, else by a call from the desk.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Recipient {
    /// What to call them.
    #[diesel(column_name = recipient_name)]
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The telephone number (E.164), for the desk: also where a mail failed.
    pub phone: Option<String>,
    /// Their language (BCP 47).
    pub language: String,
}

impl Recipient {
    /// Where a new message to them stands.
    pub fn status(&self) -> MessageStatus {
        if self.email.is_some() { MessageStatus::Pending } else { MessageStatus::ToPhone }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.language)
    }
}

/// A message with whom it is for.
#[derive(Clone)]
pub struct Envelope {
    /// Whom it is for.
    pub recipient: Recipient,
    /// The patient it is about.
    pub patient_id: Option<PatientId>,
    /// The appointment it is about.
    pub appointment_id: Option<AppointmentId>,
    /// What to say.
    pub mail: Mail,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({:?})", self.mail)
    }
}

/// A message as it is stored.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = messages)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// What it is about.
    pub kind: MessageKind,
    /// Where it stands.
    pub status: MessageStatus,
    /// Whom it is for.
    #[diesel(embed)]
    pub recipient: Recipient,
    /// The patient it is about.
    pub patient_id: Option<PatientId>,
    /// The appointment it is about.
    pub appointment_id: Option<AppointmentId>,
    /// What to say.
    pub payload: Sealed<Mail>,
    /// How often sending was begun since it was last asked for.
    pub attempts: i32,
    /// How often somebody had it sent again. Each time makes it a mail of its own, which no mailbox takes for a double.
    pub resends: i32,
    /// When it is next due; while a worker has it, when that worker's lease ends.
    pub due_at: Timestamp,
    /// The class of the last failure.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
    /// When it was done by hand.
    pub done_at: Option<Timestamp>,
    /// Who did it; nobody, where a newer message about the same appointment took its place.
    pub done_by: Option<UserId>,
    /// What they noted.
    pub note: Option<Sealed<String>>,
}

impl Message {
    /// The left part of its Message-ID: the same for every try, so that a mail sent twice can be told as one.
    pub fn mail_id(&self) -> String {
        if self.resends == 0 { self.id.to_string() } else { format!("{}-{}", self.id, self.resends) }
    }
}
