//! Fixtures of the tests of messages.

use super::model::{
    AccessMail, AppointmentMail, BirthdayMail, FollowUpMail, Mail, Message, MessageStatus, Recipient, RecordChange,
    RecordMail, RegistrationMail, ReservationMail, SecurityEvent, WaitStanding, WaitlistOfferMail, WebhookPausedMail,
};
use crate::config::{Config, Settings};
use crate::db::Target;
use crate::sealed::Sealed;
use crate::zones::Zones;

/// Settings of a clinic whose name says nothing about health.
pub fn config() -> Config {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        settings: Settings,
    }
    let flags = ["legwork", "--clinic-name", "Clinic on Elm", "--public-url", "https://clinic.example/"];
    Config {
        settings: <Flags as clap::Parser>::parse_from(flags).settings,
        target: Target::Sqlite("unused".into()),
        jwt_secret: "unused".into(),
        data_keys: "unused".into(),
        zones: Zones::bundled(),
    }
}

/// Monday, March 9, 2026, 9:30 in New York.
pub fn appointment() -> AppointmentMail {
    AppointmentMail {
        appointment_id: uuid::Uuid::from_u128(7).into(),
        sequence: 2,
        starts_at: "2026-03-09T13:30:00Z".parse().expect("an instant"),
        ends_at: "2026-03-09T14:30:00Z".parse().expect("an instant"),
        time_zone: "America/New_York".into(),
        visit: "Consultation".into(),
        practitioner: "Dr. Maya Osei".into(),
        location: "Riverside".into(),
        address: "12 Elm St, Springfield".into(),
        phone: "+12125550100".into(),
        confirmation_code: "K7QM-2XFH".into(),
        patient: None,
        token: Some("appointment-0123456789".into()),
        cancel_until: Some("2026-03-08T14:30:00Z".parse().expect("an instant")),
        forms_due: true,
        forms_online: false,
        cancelled_by_patient: false,
        zone_changed: false,
        unsubscribe: None,
        country: Some("US".into()),
    }
}

/// Leo comes of age on Tuesday, July 4, 2028.
fn birthday() -> BirthdayMail {
    BirthdayMail { patient: "Leo".into(), on: "2028-07-04".parse().expect("a day") }
}

/// Access granted to a guardian on Monday, March 2, 2026.
pub fn access() -> AccessMail {
    AccessMail {
        patient: None,
        relation: "guardian".into(),
        on: "2026-03-02".parse().expect("a day"),
        pending: true,
        token: Some("access-0123456789".into()),
        given_by: None,
        by_patient: false,
    }
}

/// A registration by Ann, for herself or another patient.
pub fn registration(patient: Option<&str>) -> RegistrationMail {
    RegistrationMail { name: "Ann Ames".into(), patient: patient.map(str::to_owned) }
}

/// A time that is reserved for it.
pub fn reserved() -> ReservationMail {
    let AppointmentMail { starts_at, time_zone, visit, location, address, .. } = appointment();
    let reserved_until = "2026-03-02T14:30:00Z".parse().expect("an instant");
    ReservationMail { starts_at, time_zone, visit, location, address, reserved_until }
}

/// Ann, with a language.
pub fn ann(language: &str) -> Recipient {
    Recipient {
        name: Some("Ann Ames".into()),
        email: Some("ann@example.org".into()),
        phone: Some("+12025550123".into()),
        language: language.into(),
    }
}

/// One mail of each kind.
pub fn mails() -> Vec<Mail> {
    vec![
        Mail::VerifyEmail {
            token: "verify-0123456789".into(),
            registration: Some(registration(Some("Leo Ames"))),
            reservation: Some(reserved()),
        },
        Mail::AlreadyRegistered { reservation: Some(reserved()) },
        Mail::ResetPassword { token: "reset-0123456789".into() },
        Mail::Invitation { token: "invite-0123456789".into() },
        Mail::VerifyNewEmail { token: "new-0123456789".into() },
        Mail::SecurityNotice { event: SecurityEvent::PasswordChanged },
        Mail::PatientInvitation { token: "patient-0123456789".into() },
        Mail::AppointmentBooked(appointment()),
        Mail::AppointmentMoved(appointment()),
        Mail::AppointmentCancelled(appointment()),
        Mail::AppointmentReminder(AppointmentMail {
            unsubscribe: Some("unsubscribe-0123456789".into()),
            ..appointment()
        }),
        Mail::AccessEnds(birthday()),
        Mail::ComingOfAge(birthday()),
        Mail::AccessGiven(access()),
        Mail::StaffAlert { reference: "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55".into() },
        Mail::RecordNotice(RecordMail { patient: None, change: RecordChange::AddressChanged }),
        Mail::FollowUp(FollowUpMail {
            patient: None,
            token: Some("follow-0123456789".into()),
            code: Some("K7MP-3XWD-9CFH".into()),
        }),
        Mail::WaitlistOffer(waitlist_offer()),
        Mail::WaitlistOfferWithdrawn(WaitlistOfferMail {
            instead_of: None,
            token: None,
            code: None,
            ..waitlist_offer()
        }),
        Mail::WebhookPaused(webhook_paused(false)),
    ]
}

/// A webhook whose receiver failed, or wants no more events.
pub fn webhook_paused(is_gone: bool) -> WebhookPausedMail {
    let reference = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55".into();
    WebhookPausedMail { host: "systems.example".into(), is_gone, reference }
}

/// A time that is offered in place of a later visit.
pub fn waitlist_offer() -> WaitlistOfferMail {
    let at = |text: &str| text.parse().expect("an instant");
    WaitlistOfferMail {
        patient: None,
        starts_at: at("2026-03-09T13:30:00Z"),
        time_zone: "America/New_York".into(),
        visit: "Consultation".into(),
        practitioner: "Dr. Maya Osei".into(),
        location: "Riverside".into(),
        address: "12 Elm St, Springfield".into(),
        expires_at: at("2026-03-02T16:00:00Z"),
        instead_of: Some((at("2026-03-23T13:30:00Z"), "America/New_York".into())),
        token: Some("offer-0123456789".into()),
        code: Some("K7MP-3XWD-9CFH".into()),
        lapsed: false,
        standing: WaitStanding::Kept,
        phone: None,
        country: None,
    }
}

/// A leased message with an empty payload.
pub fn message(mail: &Mail, recipient: &str) -> Message {
    let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
    Message {
        id: uuid::Uuid::from_u128(9).into(),
        kind: mail.kind(),
        status: MessageStatus::Pending,
        recipient: Recipient { email: Some(recipient.into()), ..ann("en") },
        patient_id: None,
        appointment_id: None,
        payload: Sealed::from_bytes(Vec::new()),
        attempts: 1,
        rejected_attempts: 0,
        resends: 0,
        due_at: at,
        last_error: None,
        created_at: at,
        sent_at: None,
        done_at: None,
        done_by: None,
        note: None,
        updated_at: at,
    }
}
