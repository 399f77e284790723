//! What the audit event of a request says. Known when the request begins, or noted while it runs.

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::audit::watch::Committed;
use crate::error::Error;
use crate::ids::{PatientId, UserId};
use crate::role::Role;

/// The audit context of a request. Clones share what is noted.
#[derive(Clone, Debug)]
pub struct AuditContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    operation: String,
    request_id: Option<String>,
    address: Option<IpAddr>,
    state: Mutex<Noted>,
    /// The events that the transaction in progress has stored. Events beside this one share the list.
    stored: Arc<Mutex<Vec<Committed>>>,
}

/// Everything that was noted so far. See [`AuditContext::noted`].
#[derive(Debug, Clone, Default)]
pub struct Noted {
    notes: Notes,
    /// The patients whose data the response shows.
    shown: BTreeSet<PatientId>,
}

/// What is known only while the request runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notes {
    /// The account.
    pub user: Option<UserId>,
    /// The account's role.
    pub role: Option<Role>,
    /// The patient whom it is about.
    pub patient: Option<PatientId>,
    /// The other object that it is about.
    pub object: Option<uuid::Uuid>,
    /// Whether an event is stored in the transaction of its effect.
    pub recorded: bool,
    /// Whether the response is the stored one of an earlier request.
    pub replayed: bool,
    /// Whether the request succeeds and changes nothing, so that its event needs no transaction.
    pub unchanged: bool,
}

impl AuditContext {
    /// The context of an operation of the API's document.
    pub fn of_request(operation: &str, request_id: Option<String>, address: Option<IpAddr>) -> Self {
        Self(Arc::new(Inner {
            operation: operation.to_owned(),
            request_id,
            address,
            state: Mutex::default(),
            stored: Arc::default(),
        }))
    }

    /// The context of a command or a background job.
    pub fn of_command(name: &str) -> Self {
        Self::of_request(name, None, None)
    }

    /// The context of an event beside this request, with its own operation name.
    #[must_use]
    pub fn aside(&self, operation: &str, object: uuid::Uuid) -> Self {
        let notes = Notes { object: Some(object), ..self.notes() };
        Self(Arc::new(Inner {
            operation: operation.to_owned(),
            request_id: self.0.request_id.clone(),
            address: self.0.address,
            state: Mutex::new(Noted { notes, shown: BTreeSet::new() }),
            stored: Arc::clone(&self.0.stored),
        }))
    }

    /// The context of the read that a refused form shows: what was noted so far, with the read's operation.
    #[must_use]
    pub fn of_read(&self, operation: &str) -> Self {
        Self(Arc::new(Inner {
            operation: operation.to_owned(),
            request_id: self.0.request_id.clone(),
            address: self.0.address,
            state: Mutex::new(self.noted()),
            stored: Arc::clone(&self.0.stored),
        }))
    }

    /// Replaces the patient whom it is about.
    #[must_use]
    pub fn about(self, patient: PatientId) -> Self {
        self.lock().notes.patient = Some(patient);
        self
    }

    /// Returns the operation's id in the API's document, or the command's name.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// Returns the request's id in the log.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the client's IP address.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was noted so far.
    pub fn notes(&self) -> Notes {
        self.lock().notes
    }

    /// Returns the patient whom the event of a successful request names, and the other patients whom its response
    /// shows.
    pub fn patients(&self) -> (Option<PatientId>, Vec<PatientId>) {
        let state = self.lock();
        let others = state.shown.iter().copied().filter(|shown| Some(*shown) != state.notes.patient);
        let others: Vec<_> = others.collect();
        match (state.notes.patient, others.as_slice()) {
            (None, [only]) => (Some(*only), Vec::new()),
            (patient, _) => (patient, others),
        }
    }

    /// Notes the account and its role.
    pub fn note_actor(&self, user: UserId, role: Option<Role>) {
        let notes = &mut self.lock().notes;
        notes.user = Some(user);
        notes.role = role;
    }

    /// Notes the patient whom it is about, whether or not the response shows them. The first one counts. If the request
    /// looks up another one, for example by a wrong id in its body, its event names both.
    pub fn note_patient(&self, patient: PatientId) {
        let first = *self.lock().notes.patient.get_or_insert(patient);
        if first != patient {
            self.note_shown([patient]);
        }
    }

    /// Notes the patients whose data the response shows. A change calls it before its event is recorded. In builds with
    /// debug assertions a later call panics, because it means that another request uses the same context.
    pub fn note_shown(&self, patients: impl IntoIterator<Item = PatientId>) {
        let mut state = self.lock();
        for patient in patients {
            if state.notes.patient != Some(patient) && state.shown.insert(patient) {
                debug_assert!(!state.notes.recorded, "{}: a patient who is not in the event", self.0.operation);
            }
        }
    }

    /// Notes the id of the other object that it is about. The last one counts.
    pub fn note_object(&self, object: uuid::Uuid) {
        self.lock().notes.object = Some(object);
    }

    /// Notes that its event is stored in a transaction.
    pub fn note_recorded(&self) {
        self.lock().notes.recorded = true;
    }

    /// Notes that the request succeeds and changes nothing, or nothing but a hold of a caller without an account. A stranger may repeat
    /// it without end, and then it is only counted.
    pub fn note_unchanged(&self) {
        let notes = &mut self.lock().notes;
        (notes.unchanged, notes.recorded) = (true, false);
    }

    /// Returns what was noted before a transaction, for [`begin_transaction`](Self::begin_transaction).
    pub fn noted(&self) -> Noted {
        self.lock().clone()
    }

    /// Begins a transaction, which may run again after a conflict. Drops what an earlier attempt has noted: the patient may be another one now.
    pub fn begin_transaction(&self, noted: &Noted) {
        self.take_stored();
        let mut state = self.lock();
        *state = noted.clone();
        state.notes.unchanged = false;
    }

    /// Notes an event that the transaction in progress has stored.
    pub fn note_stored(&self, event: Committed) {
        self.stored().push(event);
    }

    /// Takes the events that the transaction has stored.
    pub fn take_stored(&self) -> Vec<Committed> {
        std::mem::take(&mut *self.stored())
    }

    fn stored(&self) -> MutexGuard<'_, Vec<Committed>> {
        self.0.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the response is the stored one of an earlier request.
    pub fn note_replayed(&self) {
        self.lock().notes.replayed = true;
    }
}

impl FromRequest for AuditContext {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            request.extensions().get::<Self>().cloned().ok_or_else(|| Error::fault("the request has no audit context")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(number: u128) -> PatientId {
        PatientId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_list_of_one_patient_is_about_the_patient_and_a_list_of_several_is_about_none() {
        let audit = AuditContext::of_request("list_patients", None, None);
        assert_eq!(audit.patients(), (None, vec![]));
        audit.note_shown([patient(2), patient(2)]);
        assert_eq!(audit.patients(), (Some(patient(2)), vec![]));
        audit.note_shown([patient(1)]);
        assert_eq!(audit.patients(), (None, vec![patient(1), patient(2)]));
        audit.note_patient(patient(2));
        assert_eq!(audit.patients(), (Some(patient(2)), vec![patient(1)]));
    }

    #[test]
    fn an_event_beside_a_request_may_be_about_another_patient() {
        let audit = AuditContext::of_request("get_intake", None, None);
        audit.note_patient(patient(1));
        audit.note_shown([patient(3)]);
        let aside = audit.aside("open_record", uuid::Uuid::nil()).about(patient(2));
        assert_eq!(aside.patients(), (Some(patient(2)), vec![]));
        assert_eq!(audit.patients(), (Some(patient(1)), vec![patient(3)]));
    }

    #[test]
    fn an_event_names_each_patient_that_the_request_looked_up() {
        let audit = AuditContext::of_request("create_intake", None, None);
        audit.note_patient(patient(1));
        audit.note_patient(patient(2));
        assert_eq!(audit.patients(), (Some(patient(1)), vec![patient(2)]));
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "a patient who is not in the event")]
    fn an_audit_context_that_two_requests_share_is_a_fault() {
        let audit = AuditContext::of_command("demo");
        audit.note_patient(patient(1));
        audit.note_recorded();
        audit.note_patient(patient(2));
        assert_eq!(audit.patients(), (Some(patient(1)), vec![patient(2)]));
    }
}
