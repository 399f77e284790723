//! An event of the audit trail, and what its digest covers.

use std::net::IpAddr;

use super::patient_ids::PatientIds;
use crate::audit_context::AuditContext;
use crate::clock::Timestamp;
use crate::db::schema::audit_events;
use crate::db::types::text_enum;
use crate::ids::{AuditEventId, AuditKeyId, ObjectId, PatientId, UserId};
use crate::role::Role;
use crate::signed::{Signer, Statement};

text_enum! {
    /// The outcome of a request.
    AuditOutcome {
        /// It succeeded.
        Success = "success",
        /// It repeated an earlier request (`Idempotency-Key`), got the stored response and changed nothing.
        Replayed = "replayed",
        /// It was rejected: not signed in, not permitted, not found, or too many requests.
        Refused = "refused",
        /// The server failed.
        Failed = "failed",
    }
}

/// An event of the audit trail. It has ids only, and no values of the objects.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Queryable, diesel::Selectable, diesel::Insertable)]
#[diesel(table_name = audit_events, treat_none_as_default_value = false)]
pub struct Event {
    pub id: AuditEventId,
    /// The time.
    pub at: Timestamp,
    /// The account. None if the caller was not signed in.
    pub actor_id: Option<UserId>,
    /// The account's role at that time.
    pub role: Option<Role>,
    /// The operation's id in the API's document, or one of [`COMMANDS`].
    pub operation: String,
    pub outcome: AuditOutcome,
    /// The HTTP status of a rejection or failure.
    pub status: Option<i32>,
    /// The patient whose record it is about.
    pub patient_id: Option<PatientId>,
    /// The object that was read or changed. It may not exist any more.
    pub object_id: Option<ObjectId>,
    /// The client's IP address.
    pub address: Option<String>,
    /// The request's id in the log.
    pub request_id: Option<String>,
    /// The number of equal requests that it stands for.
    pub times: i32,
    /// The key that signed it.
    pub key_id: AuditKeyId,
    /// The digest of all other columns.
    pub mac: Vec<u8>,
    /// The other patients whom the response showed.
    pub shown: Option<PatientIds>,
}

impl Event {
    /// Creates the event of a request.
    pub fn new(id: AuditEventId, at: Timestamp, signer: &Signer, audit: &AuditContext, outcome: AuditOutcome) -> Self {
        let notes = audit.notes();
        let (patient, shown) = match outcome {
            AuditOutcome::Success | AuditOutcome::Replayed => audit.patients(),
            // The response showed no patient.
            AuditOutcome::Refused | AuditOutcome::Failed => (notes.patient, Vec::new()),
        };
        let event = Self {
            id,
            at,
            actor_id: notes.user,
            role: notes.role,
            operation: audit.operation().to_owned(),
            outcome,
            status: None,
            patient_id: patient,
            object_id: notes.object.map(ObjectId),
            address: audit.address().map(canonical),
            request_id: audit.request_id().map(str::to_owned),
            times: 1,
            key_id: AuditKeyId(signer.id),
            mac: Vec::new(),
            shown: PatientIds::new(&shown),
        };
        event.signed(signer)
    }

    /// Signs the event as it is now.
    #[must_use]
    pub fn signed(mut self, signer: &Signer) -> Self {
        self.key_id = AuditKeyId(signer.id);
        self.mac = signer.sign(&self.statement());
        self
    }

    /// Returns whether the event is as it was signed.
    pub fn is_genuine(&self, signer: &Signer) -> bool {
        signer.is_right(&self.statement(), &self.mac)
    }

    /// Encodes all columns. A new column makes a new kind of statement. An event in which that column is empty keeps
    /// the old kind, which older events have.
    fn statement(&self) -> Statement {
        let kind = if self.shown.is_some() { "legwork audit event 2" } else { "legwork audit event 1" };
        let statement = Statement::new(kind)
            .with_id(Some(self.id.0))
            .with_number(self.at.as_micros())
            .with_id(self.actor_id.map(|id| id.0))
            .with(self.role.map(|role| role.as_str().as_bytes()))
            .with(Some(self.operation.as_bytes()))
            .with(Some(self.outcome.as_str().as_bytes()))
            .with(self.status.map(i32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice))
            .with_id(self.patient_id.map(|id| id.0))
            .with_id(self.object_id.map(|id| id.0))
            .with(self.address.as_deref().map(str::as_bytes))
            .with(self.request_id.as_deref().map(str::as_bytes))
            .with_number(self.times.into())
            .with_id(Some(self.key_id.0));
        match &self.shown {
            Some(shown) => statement.with(Some(shown.as_bytes())),
            None => statement,
        }
    }
}

/// Normalises an address: IPv4 is always written as IPv4.
fn canonical(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// Encodes what a seal's HMAC covers: its place, its event, the previous seal and its time. Older seals have no time and keep the old
/// kind of statement.
pub fn seal_statement(
    seq: i64,
    (event, mac): (AuditEventId, &[u8]),
    key: AuditKeyId,
    previous: &[u8],
    at: Option<Timestamp>,
) -> Statement {
    let kind = if at.is_some() { "legwork audit seal 2" } else { "legwork audit seal 1" };
    let statement = Statement::new(kind)
        .with_number(seq)
        .with_id(Some(event.0))
        .with(Some(mac))
        .with_id(Some(key.0))
        .with(Some(previous));
    match at {
        Some(at) => statement.with_number(at.as_micros()),
        None => statement,
    }
}

/// Encodes what the digest of a purge covers.
pub fn purge_statement(upto_seq: i64, closing_hmac: &[u8], at: Timestamp, key: AuditKeyId) -> Statement {
    Statement::new("legwork audit purge 1")
        .with_number(upto_seq)
        .with(Some(closing_hmac))
        .with_number(at.as_micros())
        .with_id(Some(key.0))
}

/// Operations that change nothing although they are not a GET.
pub const READS: &[&str] = &["view_appointment_link", "view_follow_up_link", "view_waitlist_offer_link"];

/// Operations of the command line, which has no signed-in account.
pub const COMMANDS: &[&str] =
    &["add_data_key", "create_admin", "purge", "purge_record", "reset_admin", "retire_data_key", "rotate_data_keys"];

#[cfg(test)]
mod tests {
    use super::*;

    fn event(signer: &Signer, shown: &[u128]) -> Event {
        let audit =
            AuditContext::of_request("get_patient", Some("request-1".into()), Some(IpAddr::from([192, 0, 2, 7])));
        audit.note_actor(UserId(uuid::Uuid::from_u128(1)), Some(Role::FrontDesk));
        audit.note_patient(PatientId(uuid::Uuid::from_u128(2)));
        audit.note_object(uuid::Uuid::from_u128(3));
        audit.note_shown(shown.iter().map(|patient| PatientId(uuid::Uuid::from_u128(*patient))));
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        Event::new(AuditEventId(uuid::Uuid::from_u128(4)), at, signer, &audit, AuditOutcome::Success)
    }

    #[test]
    fn no_column_of_an_event_can_be_changed_unnoticed() {
        let signer = Signer::new(uuid::Uuid::from_u128(9), &[1; 32]).expect("a key");
        let changes: [fn(&mut Event); 14] = [
            |e| e.id = AuditEventId(uuid::Uuid::from_u128(5)),
            |e| e.at = e.at.plus(jiff::SignedDuration::from_micros(1)),
            |e| e.actor_id = None,
            |e| e.role = Some(Role::Admin),
            |e| e.operation.push('s'),
            |e| e.outcome = AuditOutcome::Refused,
            |e| e.status = Some(404),
            |e| e.patient_id = Some(PatientId(uuid::Uuid::from_u128(3))),
            |e| e.object_id = None,
            |e| e.address = Some("192.0.2.8".into()),
            |e| e.request_id = None,
            |e| e.times = 2,
            |e| e.key_id = AuditKeyId(uuid::Uuid::from_u128(8)),
            |e| e.shown = PatientIds::new(&[PatientId(uuid::Uuid::from_u128(6))]),
        ];
        for genuine in [event(&signer, &[]), event(&signer, &[5, 6, 7])] {
            assert!(genuine.is_genuine(&signer));
            for (at, change) in changes.iter().enumerate() {
                let mut forged = genuine.clone();
                change(&mut forged);
                assert!(!forged.is_genuine(&signer), "column {at}");
            }
        }
        let mut forged = event(&signer, &[5, 6, 7]);
        forged.shown = None;
        assert!(!forged.is_genuine(&signer));
    }

    #[test]
    fn a_rejection_names_no_shown_patients() {
        let signer = Signer::new(uuid::Uuid::from_u128(9), &[1; 32]).expect("a key");
        let audit = AuditContext::of_request("list_patients", None, None);
        audit.note_shown((1..=3).map(|patient| PatientId(uuid::Uuid::from_u128(patient))));
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        let event = |outcome| Event::new(AuditEventId(uuid::Uuid::nil()), at, &signer, &audit, outcome);
        assert_eq!(event(AuditOutcome::Success).shown.map(|shown| shown.ids().count()), Some(3));
        assert_eq!(event(AuditOutcome::Refused).shown, None);
        assert_eq!(event(AuditOutcome::Failed).patient_id, None);
    }

    #[test]
    fn an_ipv4_address_is_written_in_one_form() {
        assert_eq!(canonical("::ffff:192.0.2.7".parse().expect("an address")), "192.0.2.7");
        assert_eq!(canonical("2001:db8::1".parse().expect("an address")), "2001:db8::1");
    }
}
