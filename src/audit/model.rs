//! An event of the trail, and what its digest covers.

use std::net::IpAddr;

use super::shown::PatientIds;
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::schema::audit_events;
use crate::db::types::text_enum;
use crate::ids::{AuditEventId, AuditKeyId, ObjectId, PatientId, UserId};
use crate::signed::{Signer, Statement};
use crate::trail::Trail;

text_enum! {
    /// How a request ended.
    AuditOutcome {
        /// It was done.
        Success = "success",
        /// It was a repeat (`Idempotency-Key`): it was given the first one's answer and changed nothing.
        Replayed = "replayed",
        /// It was refused: not signed in, not allowed, nothing there for the caller, or too many.
        Refused = "refused",
        /// The service failed.
        Failed = "failed",
    }
}

/// A line of the trail. It names things by their ids and holds none of their values.
#[derive(Debug, Clone, PartialEq, Eq, diesel::Queryable, diesel::Selectable, diesel::Insertable)]
#[diesel(table_name = audit_events, treat_none_as_default_value = false)]
pub struct Event {
    /// Its id.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// Which account; none where nobody was signed in.
    pub actor_id: Option<UserId>,
    /// What the account could do at that time.
    pub role: Option<Role>,
    /// The operation's id in the API's document, or one of [`COMMANDS`].
    pub operation: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The HTTP status of a refusal or failure.
    pub status: Option<i32>,
    /// Whose record.
    pub patient_id: Option<PatientId>,
    /// What was read or written; it may be gone.
    pub object_id: Option<ObjectId>,
    /// From where.
    pub address: Option<String>,
    /// The id under which the log holds the request.
    pub request_id: Option<String>,
    /// How many requests alike this stands for.
    pub times: i32,
    /// What signed it.
    pub key_id: AuditKeyId,
    /// The digest of all the others.
    pub mac: Vec<u8>,
    /// The other patients whom the response showed.
    pub shown: Option<PatientIds>,
}

impl Event {
    /// The event of what a trail tells.
    pub fn new(id: AuditEventId, at: Timestamp, signer: &Signer, trail: &Trail, outcome: AuditOutcome) -> Self {
        let notes = trail.notes();
        let (patient, shown) = match outcome {
            AuditOutcome::Success | AuditOutcome::Replayed => trail.patients(),
            // The response showed no patient.
            AuditOutcome::Refused | AuditOutcome::Failed => (notes.patient, Vec::new()),
        };
        let event = Self {
            id,
            at,
            actor_id: notes.user,
            role: notes.role,
            operation: trail.operation().to_owned(),
            outcome,
            status: None,
            patient_id: patient,
            object_id: notes.object.map(ObjectId),
            address: trail.address().map(written),
            request_id: trail.request_id().map(str::to_owned),
            times: 1,
            key_id: AuditKeyId(signer.id),
            mac: Vec::new(),
            shown: PatientIds::new(&shown),
        };
        event.signed(signer)
    }

    /// The event with the digest of what it says now.
    #[must_use]
    pub fn signed(mut self, signer: &Signer) -> Self {
        self.key_id = AuditKeyId(signer.id);
        self.mac = signer.sign(&self.statement());
        self
    }

    /// Whether it says what was signed.
    pub fn is_genuine(&self, signer: &Signer) -> bool {
        signer.is_right(&self.statement(), &self.mac)
    }

    /// Everything it says. A column more is a new kind of statement; where that is empty, the kind is the old one, of
    /// which older events are.
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

/// An address in one form: an IPv4 one is an IPv4 one, however it came in.
fn written(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// What a seal's HMAC covers: its place, its event, and the seal before.
pub fn seal_statement(seq: i64, event: AuditEventId, mac: &[u8], key: AuditKeyId, previous: &[u8]) -> Statement {
    Statement::new("legwork audit seal 1")
        .with_number(seq)
        .with_id(Some(event.0))
        .with(Some(mac))
        .with_id(Some(key.0))
        .with(Some(previous))
}

/// What the digest of a purge covers.
pub fn purge_statement(upto_seq: i64, closing_hmac: &[u8], at: Timestamp, key: AuditKeyId) -> Statement {
    Statement::new("legwork audit purge 1")
        .with_number(upto_seq)
        .with(Some(closing_hmac))
        .with_number(at.as_micros())
        .with_id(Some(key.0))
}

/// Operations that change nothing although they are not a GET.
pub const READS: &[&str] = &["view_appointment_link"];

/// What is done from the command line, where nobody signs in.
pub const COMMANDS: &[&str] =
    &["add_data_key", "create_admin", "purge", "purge_record", "reset_admin", "retire_data_key", "rotate_data_keys"];

#[cfg(test)]
mod tests {
    use super::*;

    fn event(signer: &Signer, shown: &[u128]) -> Event {
        let trail = Trail::of_request("get_patient", Some("request-1".into()), Some(IpAddr::from([192, 0, 2, 7])));
        trail.note_actor(UserId(uuid::Uuid::from_u128(1)), Some(Role::FrontDesk));
        trail.note_patient(PatientId(uuid::Uuid::from_u128(2)));
        trail.note_object(uuid::Uuid::from_u128(3));
        trail.note_shown(shown.iter().map(|patient| PatientId(uuid::Uuid::from_u128(*patient))));
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        Event::new(AuditEventId(uuid::Uuid::from_u128(4)), at, signer, &trail, AuditOutcome::Success)
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
    fn a_refusal_shows_nobody() {
        let signer = Signer::new(uuid::Uuid::from_u128(9), &[1; 32]).expect("a key");
        let trail = Trail::of_request("list_patients", None, None);
        trail.note_shown((1..=3).map(|patient| PatientId(uuid::Uuid::from_u128(patient))));
        let at = "2026-03-02T14:00:00Z".parse().expect("an instant");
        let event = |outcome| Event::new(AuditEventId(uuid::Uuid::nil()), at, &signer, &trail, outcome);
        assert_eq!(event(AuditOutcome::Success).shown.map(|shown| shown.ids().count()), Some(3));
        assert_eq!(event(AuditOutcome::Refused).shown, None);
        assert_eq!(event(AuditOutcome::Failed).patient_id, None);
    }

    #[test]
    fn an_ipv4_address_is_written_as_one_however_it_came_in() {
        assert_eq!(written("::ffff:192.0.2.7".parse().expect("an address")), "192.0.2.7");
        assert_eq!(written("2001:db8::1".parse().expect("an address")), "2001:db8::1");
    }
}
