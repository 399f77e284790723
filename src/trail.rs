//! What the audit trail will say of the request at hand: known at its beginning, or noted on its way.

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::actor::Role;
use crate::error::Error;
use crate::ids::{PatientId, UserId};

/// A request as the audit trail sees it. Clones share what is noted.
#[derive(Clone, Debug)]
pub struct Trail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    operation: String,
    request_id: Option<String>,
    address: Option<IpAddr>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    notes: Notes,
    /// The patients whose data the response shows.
    shown: BTreeSet<PatientId>,
}

/// What is known only once the request is at work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notes {
    /// Whose account it is.
    pub user: Option<UserId>,
    /// What the account may do.
    pub role: Option<Role>,
    /// The patient whom it is about.
    pub patient: Option<PatientId>,
    /// What else it is about.
    pub object: Option<uuid::Uuid>,
    /// Whether an event stands in the transaction of its effect.
    pub recorded: bool,
}

impl Trail {
    /// The trail of a request for an operation of the API's document.
    pub fn of_request(operation: &str, request_id: Option<String>, address: Option<IpAddr>) -> Self {
        Self(Arc::new(Inner { operation: operation.to_owned(), request_id, address, state: Mutex::default() }))
    }

    /// The trail of a command or a worker, by its name.
    pub fn of_command(name: &str) -> Self {
        Self::of_request(name, None, None)
    }

    /// The trail of something that happens along with this request, under a name of its own.
    #[must_use]
    pub fn aside(&self, operation: &str, object: uuid::Uuid) -> Self {
        let notes = Notes { object: Some(object), ..self.notes() };
        Self(Arc::new(Inner {
            operation: operation.to_owned(),
            request_id: self.0.request_id.clone(),
            address: self.0.address,
            state: Mutex::new(State { notes, shown: BTreeSet::new() }),
        }))
    }

    /// The trail with this patient in place of the one that the request is about.
    #[must_use]
    pub fn about(self, patient: PatientId) -> Self {
        self.lock().notes.patient = Some(patient);
        self
    }

    /// The operation's id in the API's document, or the command's name.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The id under which the log holds the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Where the request came from.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was noted so far.
    pub fn notes(&self) -> Notes {
        self.lock().notes
    }

    /// The patient whom an event of a successful request names, and the other patients whom its response shows.
    pub fn patients(&self) -> (Option<PatientId>, Vec<PatientId>) {
        let state = self.lock();
        let others = state.shown.iter().copied().filter(|shown| Some(*shown) != state.notes.patient);
        let others: Vec<_> = others.collect();
        match (state.notes.patient, others.as_slice()) {
            (None, [only]) => (Some(*only), Vec::new()),
            (patient, _) => (patient, others),
        }
    }

    /// Notes whose request it is.
    pub fn note_actor(&self, user: UserId, role: Option<Role>) {
        let notes = &mut self.lock().notes;
        notes.user = Some(user);
        notes.role = role;
    }

    /// Notes the patient whom it is about, whether or not the response shows them. The first one counts; where the request
    /// looks up another one, such as by a wrong id in its body, its event names both.
    pub fn note_patient(&self, patient: PatientId) {
        let first = *self.lock().notes.patient.get_or_insert(patient);
        if first != patient {
            self.note_shown([patient]);
        }
    }

    /// Notes the patients whose data the response shows. A change does so before it records its event: a patient who comes
    /// after it, because the trail is used for another request too, is a fault in builds with debug assertions.
    pub fn note_shown(&self, patients: impl IntoIterator<Item = PatientId>) {
        let mut state = self.lock();
        for patient in patients {
            if state.notes.patient != Some(patient) && state.shown.insert(patient) {
                debug_assert!(!state.notes.recorded, "{}: a patient who is not in the event", self.0.operation);
            }
        }
    }

    /// Notes what else it is about: the object's id. The last one counts.
    pub fn note_object(&self, object: uuid::Uuid) {
        self.lock().notes.object = Some(object);
    }

    /// Notes that its event stands in a transaction.
    pub fn note_recorded(&self) {
        self.lock().notes.recorded = true;
    }
}

impl FromRequest for Trail {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(|| Error::fault("a request without a trail")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(number: u128) -> PatientId {
        PatientId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_list_of_one_patient_is_about_them_and_a_list_of_several_about_none() {
        let trail = Trail::of_request("list_patients", None, None);
        assert_eq!(trail.patients(), (None, vec![]));
        trail.note_shown([patient(2), patient(2)]);
        assert_eq!(trail.patients(), (Some(patient(2)), vec![]));
        trail.note_shown([patient(1)]);
        assert_eq!(trail.patients(), (None, vec![patient(1), patient(2)]));
        trail.note_patient(patient(2));
        assert_eq!(trail.patients(), (Some(patient(2)), vec![patient(1)]));
    }

    #[test]
    fn what_happens_along_with_a_request_may_be_about_another_patient() {
        let trail = Trail::of_request("get_intake", None, None);
        trail.note_patient(patient(1));
        trail.note_shown([patient(3)]);
        let aside = trail.aside("open_record", uuid::Uuid::nil()).about(patient(2));
        assert_eq!(aside.patients(), (Some(patient(2)), vec![]));
        assert_eq!(trail.patients(), (Some(patient(1)), vec![patient(3)]));
    }

    #[test]
    fn an_event_names_each_patient_whom_the_request_looked_up() {
        let trail = Trail::of_request("create_intake", None, None);
        trail.note_patient(patient(1));
        trail.note_patient(patient(2));
        assert_eq!(trail.patients(), (Some(patient(1)), vec![patient(2)]));
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "a patient who is not in the event")]
    fn a_trail_that_two_requests_share_is_a_fault() {
        let trail = Trail::of_command("demo");
        trail.note_patient(patient(1));
        trail.note_recorded();
        trail.note_patient(patient(2));
        assert_eq!(trail.patients(), (Some(patient(1)), vec![patient(2)]));
    }
}
