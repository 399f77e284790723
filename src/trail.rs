//! What the audit trail will say of the request at hand: known at its beginning, or noted on its way.

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
    notes: Mutex<Notes>,
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
        Self(Arc::new(Inner { operation: operation.to_owned(), request_id, address, notes: Mutex::default() }))
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
            notes: Mutex::new(notes),
        }))
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

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was noted so far.
    pub fn notes(&self) -> Notes {
        *self.lock()
    }

    /// Notes whose request it is.
    pub fn note_actor(&self, user: UserId, role: Option<Role>) {
        let mut notes = self.lock();
        notes.user = Some(user);
        notes.role = role;
    }

    /// Notes the patient whom it is about, be they shown to the caller or not. The first one counts.
    pub fn note_patient(&self, patient: PatientId) {
        self.lock().patient.get_or_insert(patient);
    }

    /// Notes what else it is about: the object's id. The last one counts.
    pub fn note_object(&self, object: uuid::Uuid) {
        self.lock().object = Some(object);
    }

    /// Notes that its event stands in a transaction.
    pub fn note_recorded(&self) {
        self.lock().recorded = true;
    }
}

impl FromRequest for Trail {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or_else(|| Error::fault("a request without a trail")))
    }
}
