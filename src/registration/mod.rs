//! Online registration: an account, a record and the consents at once, and the visit that was chosen before. Owns no tables: it is above
//! the modules whose rows it creates in one transaction.
//!
//! The caller does not learn which addresses are registered: the response is the same for every address and takes the same time, and a time
//! is reserved alike. The mail tells the owner of the mailbox.

pub mod booking;
mod followed_link;
pub mod verification;
mod visit;

use std::sync::Arc;

use actix_web::{HttpResponse, post};
use serde::Deserialize;
use utoipa::ToSchema;

use self::visit::{ChosenVisit, NewRegistrationAppointment};
use crate::accounts;
use crate::accounts::linked_visit::LinkedVisit;
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::origin::Origin;
use crate::accounts::store::NewAccount;
use crate::accounts::verification::{self as links, Requester};
use crate::actor::Role;
use crate::context::{Anonymous, Context, Once, Principal, Tx};
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::{Body, Endpoints, IdempotencyKey, response};
use crate::ids::{HoldId, PatientId};
use crate::messages::model::{Envelope, Mail, MessageKind, Recipient, RegistrationMail};
use crate::messages::outbox;
use crate::patients::access::{HOLDER_NAME, grant};
use crate::patients::consents::decisions::{self, CheckedConsent, NewConsent};
use crate::patients::consents::documents::CurrentVersions;
use crate::patients::model::{NewPatient, Profile, Relation};
use crate::patients::profile::{Author, ProfileContext};
use crate::patients::{store, unverified};
use crate::scheduling::slots::holds::reserving::{self, Reservable};

/// The most consents in a registration. There are fewer types.
const CONSENTS: usize = 10;

/// A registration: an account with the record of a patient.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ann@example.org", "relation": "self",
    "patient": {
        "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
        "phone": "(212) 555-0100", "preferred_language": "en", "interpreter_needed": false
    },
    "consents": [
        {"type": "treatment", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"},
        {"type": "privacy_notice", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"}
    ]
}))]
pub struct NewRegistration {
    /// The e-mail address to sign in with. Case is ignored.
    #[schema(max_length = 254)]
    email: String,
    /// The relation of the account's holder to the patient. With `self` the holder is the patient.
    relation: Relation,
    /// The holder's name. Required unless `relation` is `self`.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The patient. For `self` the e-mail address is the account's; any other address is rejected. For another person the address is
    /// stored, and gets no mail until staff confirm it.
    patient: NewPatient,
    /// The holder's decisions on the consent documents, for themselves or for the patient. Missing ones are shown as outstanding later, and
    /// do not prevent a booking.
    #[serde(default)]
    #[schema(max_items = 10)]
    consents: Vec<NewConsent>,
    /// The time that was held before (`POST /v1/slots/{id}/hold` without a session). It stays reserved for some time (the setting
    /// `RESERVATION_MINUTES`), and verifying the address books it.
    #[serde(default)]
    appointment: Option<NewRegistrationAppointment>,
}

/// A registration whose values are checked.
struct Registration {
    email: EmailAddress,
    relation: Relation,
    name: Option<String>,
    profile: Profile,
    consents: Vec<CheckedConsent>,
    visit: Option<ChosenVisit>,
}

/// What the rules of a registration need beside the input.
struct Rules {
    profile: ProfileContext,
    consents: CurrentVersions,
}

impl Rules {
    /// Loads them for the request.
    async fn load(context: &Context<Anonymous>) -> Result<Self> {
        let read = |tx: &mut Tx<Anonymous>| {
            Ok(Self { profile: ProfileContext::read(tx)?, consents: CurrentVersions::read(tx.conn)? })
        };
        context.read(read).await
    }
}

impl NewRegistration {
    fn checked(mut self, rules: &Rules) -> Result<Registration> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        let oneself = self.relation == Relation::Oneself;
        let name = self.name.as_deref().map(|name| text::one_line(name, HOLDER_NAME));
        let name = name.and_then(|name| check.field("/name", name));
        check.require(
            oneself || self.name.is_some(),
            "/name",
            FieldCode::Required,
            "must be sent: the name of the account's holder",
        );
        if let (true, Some(email)) = (oneself, &email) {
            check.field("/patient/email", self.patient.keep_own_address(email));
        }
        self.patient.forbid_staff_fields("/patient", &mut check);
        self.patient.forbid_relation("/patient/relation", &mut check);
        let profile = Profile::parse(self.patient, Author::Account, "/patient", rules.profile, &mut check);
        check.require(
            self.consents.len() <= CONSENTS,
            "/consents",
            FieldCode::TooMany,
            format!("must have at most {CONSENTS} entries"),
        );
        let mut consents = Vec::new();
        for (index, input) in self.consents.into_iter().take(CONSENTS).enumerate() {
            let pointer = format!("/consents/{index}");
            let Some(consent) = input.checked(&pointer, false, &rules.consents, &mut check) else { continue };
            let pointer = format!("/consents/{index}/signer");
            match (oneself, &profile, &name) {
                (true, Some(profile), _) => check.field(&pointer, consent.signed_by(self.relation, profile.names())),
                (false, _, Some(name)) => check.field(&pointer, consent.signed_by(self.relation, [name.as_str()])),
                _ => None,
            };
            consents.push(consent.or_signed(name.clone().filter(|_| !oneself)));
        }
        let visit = self.appointment.map(|appointment| appointment.checked(&mut check));
        check.done()?;
        let (Some(email), Some(profile)) = (email, profile) else {
            return Err(Error::fault("a registration that kept the rules is missing"));
        };
        Ok(Registration { email, relation: self.relation, name, profile, consents, visit })
    }
}

/// Checks a registration that is not sent yet, so that a page can ask again before the last step. Stores nothing.
///
/// # Errors
/// Every broken rule.
pub async fn check(context: &Context<Anonymous>, new: NewRegistration) -> Result<()> {
    new.checked(&Rules::load(context).await?).map(|_| ())
}

/// Registers a patient, unless the address has an account already. `body_json` is the registration as JSON; it waits in its link if
/// another caller's registration of the address is stored. A chosen time is reserved whatever the address.
///
/// # Errors
/// Every broken rule; the conflict `hold_lapsed`; those of [`Turns::run`](crate::turns::Turns::run). The result does not reveal whether the address is registered.
pub async fn register(
    context: &Context<Anonymous>,
    once: Once<Anonymous>,
    origin: &Origin,
    new: NewRegistration,
    body_json: String,
) -> Result<()> {
    let registration = new.checked(&Rules::load(context).await?)?;
    let key = registration.email.key();
    let requester = Requester::new(&context.env, &key, origin);
    let visit = registration.visit.clone();
    // Reserves in a transaction of its own, before the address is looked up. Otherwise a caller who polls or releases the hold could tell
    // whether the address is registered. If this fails, the transaction below reserves again and returns the error; a repeated request
    // returns its stored result.
    let reserved = match visit.clone() {
        Some(visit) => Box::pin(context.write(move |tx| reserve(tx, &visit))).await.ok().map(Arc::new),
        None => None,
    };
    let registered = Box::pin(context.change_once(once, move |tx| {
        let reserved = match (&registration.visit, &reserved) {
            (Some(visit), None) => Some(Arc::new(reserve(tx, visit)?)),
            _ => reserved.clone(),
        };
        registration.store_and_mail(tx, &body_json, &requester, reserved.as_deref())
    }));
    match (accounts::uniform_delay(context.env.turns.run(&context.env.entropy, &key, registered)).await, visit) {
        (Err(error), Some(visit)) => Err(visit.with_next_free(context, error).await),
        (registered, _) => registered,
    }
}

/// Reserves the time of a registration.
fn reserve(tx: &mut Tx<Anonymous>, visit: &ChosenVisit) -> Result<Reservable> {
    let reservable = visit.find(tx)?;
    reserving::reserve(tx, &reservable)?;
    Ok(reservable)
}

/// A mail to the owner of the mailbox.
struct Letter {
    recipient: Recipient,
    patient_id: Option<PatientId>,
    mail: Mail,
}

impl Registration {
    fn account(&self) -> NewAccount {
        NewAccount {
            email: self.email.clone(),
            name: self.name.clone(),
            role: Role::Patient,
            practitioner_id: None,
            password_hash: None,
            preferred_language: self.profile.preferred_language.clone(),
        }
    }

    /// The names by which the owner of the mailbox recognises it.
    fn names(&self) -> RegistrationMail {
        let Profile { given_name, family_name, .. } = &self.profile;
        RegistrationMail::new(self.relation.as_str(), self.name.as_deref(), given_name.as_deref(), family_name)
    }

    /// Reads a registration that waited in its link; none if it no longer keeps the rules.
    fn parse_waiting(body_json: &str, rules: &Rules) -> Option<Self> {
        serde_json::from_str::<NewRegistration>(body_json).ok()?.checked(rules).ok()
    }

    /// Replaces what an account that was never verified has created.
    fn replace(&self, tx: &mut Tx<impl Principal>, user: &User) -> Result<(User, PatientId)> {
        unverified::discard(tx.conn, user.id)?;
        let user = accounts::store::replace_unverified(tx.conn, user, &self.account(), tx.now)?;
        let patient = self.insert_record(tx, &user)?;
        Ok((user, patient))
    }

    fn insert_record(&self, tx: &mut Tx<impl Principal>, user: &User) -> Result<PatientId> {
        let patient = store::insert(tx, &self.profile)?;
        tx.audit.note_patient(patient.id);
        grant::give(tx, user.id, &patient, self.relation, None)?;
        for consent in &self.consents {
            decisions::insert(tx, &patient, consent)?;
        }
        Ok(patient.id)
    }

    /// The visit for the link of the registration, if there is one.
    fn linked(&self, reservable: Option<&Reservable>, patient: Option<PatientId>) -> Option<LinkedVisit> {
        Some(self.visit.as_ref()?.linked(reservable?, patient, &self.profile.preferred_language))
    }

    /// `reserved` is the time that the registration carries. It is reserved for every address, so neither the response nor the slot search
    /// reveals which addresses are registered.
    fn store_and_mail(
        &self,
        tx: &mut Tx<Anonymous>,
        body_json: &str,
        requester: &Requester,
        reserved: Option<&Reservable>,
    ) -> Result<()> {
        accounts::address_requests::note(tx)?;
        let mut has_changed = false;
        if let Some(reserved) = reserved {
            // Before the new address is looked up, and also if it gets no mail: otherwise the earlier link would tell who has an account.
            reserving::lock(tx, reserved.hold.id)?;
            has_changed = self.discard_other_addresses(tx, reserved.hold.id)?;
            tx.audit.note_object(reserved.hold.id.0);
        }
        match self.store(tx, body_json, requester, reserved)? {
            Some(Letter { recipient, patient_id, mail }) => {
                outbox::enqueue(tx.conn, tx.env, &Envelope { recipient, patient_id, appointment_id: None, mail })?;
                Ok(())
            }
            None if has_changed => Ok(()),
            None => tx.unchanged(),
        }
    }

    /// Discards the registrations with the same hold under other addresses. A visitor who mistyped the address has sent the registration
    /// to somebody else's mailbox, whose owner must neither book the visit nor read the record. Returns whether there were any.
    fn discard_other_addresses(&self, tx: &mut Tx<Anonymous>, hold: HoldId) -> Result<bool> {
        let voided = links::void_other_addresses(tx.conn, hold, &self.email, tx.now)?;
        for user in voided.iter().flatten() {
            unverified::discard(tx.conn, *user)?;
        }
        Ok(!voided.is_empty())
    }

    /// Stores the registration, unless the address has an account. Returns the mail to its owner; none if the mailbox gets no other now.
    fn store(
        &self,
        tx: &mut Tx<Anonymous>,
        body_json: &str,
        requester: &Requester,
        reservable: Option<&Reservable>,
    ) -> Result<Option<Letter>> {
        let reservation = |language: &str| reservable.map(|reservable| visit::mail(reservable, language));
        let (user, patient) = match accounts::store::find_by_email(tx.conn, &self.email.key())? {
            None => {
                // Other spellings of the mailbox may have used up its limit.
                if !outbox::has_room_for_first(tx.conn, tx.env, self.email.as_str(), MessageKind::VerifyEmail)? {
                    return Ok(None);
                }
                let user = accounts::store::insert(tx.conn, tx.env, &self.account());
                let user = user.map_err(unverified::retry_if_email_taken)?;
                let patient = self.insert_record(tx, &user)?;
                (user, patient)
            }
            Some(known) => {
                // The lock keeps the account from being verified while it is replaced.
                let known = accounts::store::lock(tx.conn, known.id)?;
                if known.disabled_at.is_some() {
                    return Ok(None);
                }
                // The link in the invitation verifies an invited member of the staff.
                if known.email_verified_at.is_some() || known.role.is_staff() {
                    let has_room = outbox::has_room(tx.conn, tx.env, &known.email, MessageKind::AlreadyRegistered)?;
                    let recipient = known.recipient();
                    let mail = Mail::AlreadyRegistered { reservation: reservation(&recipient.language) };
                    return Ok(has_room.then_some(Letter { recipient, patient_id: None, mail }));
                }
                if !links::has_room(tx.conn, tx.env, &known, requester)? {
                    return Ok(None);
                }
                if links::belongs_to_another(tx.conn, known.id, requester, tx.now)? {
                    let visit = self.linked(reservable, None);
                    let token = links::issue_waiting(tx.conn, tx.env, known.id, requester, body_json, visit.as_ref())?;
                    let recipient = Recipient {
                        name: self.name.clone(),
                        email: Some(self.email.as_str().to_owned()),
                        phone: None,
                        language: self.profile.preferred_language.clone(),
                    };
                    let reservation = reservation(&recipient.language);
                    let mail = Mail::VerifyEmail { token, registration: Some(self.names()), reservation };
                    return Ok(Some(Letter { recipient, patient_id: None, mail }));
                }
                self.replace(tx, &known)?
            }
        };
        let visit = self.linked(reservable, Some(patient));
        let token = links::issue(tx.conn, tx.env, user.id, requester, visit.as_ref())?;
        let recipient = user.recipient();
        let reservation = reservation(&recipient.language);
        let mail = Mail::VerifyEmail { token, registration: Some(self.names()), reservation };
        Ok(Some(Letter { recipient, patient_id: Some(patient), mail }))
    }
}

/// Register online
///
/// Creates an account, the patient's record and the consents, and mails a link that verifies the address. The account has no password:
/// its owner sets one after the verification (`POST /v1/email-verifications`), so that a stranger who registers the
/// address never has its password. The response is the same if the address has an account already. Then its owner is told so by mail, and nothing changes. Until
/// the address is verified, each link belongs to the registration that it was mailed for, and the first link that is followed decides. A
/// caller who registers the address again replaces the caller's earlier registration, and its link stops working.
///
/// With `appointment` the registration carries a time that was held without a session. The time then stays reserved for some time (the
/// setting `RESERVATION_MINUTES`), for known and unknown addresses alike, and verifying the address books it. The owner of a known address
/// signs in and books it with the hold (`POST /v1/appointments`). Another registration with the same hold does not prolong the reservation. If
/// it has another address, because the first was mistyped, the registration of the first address is deleted, and its link stops working.
#[utoipa::path(
    tag = "registration",
    operation_id = "create_registration",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewRegistration,
    responses(
        (status = 202, description = "Accepted; a mail is queued"),
        (status = 409, description = "`hold_lapsed`: there is no such hold, because it lapsed, or was released, replaced or used; \
            `next_free` has other slots, unless the hold is unknown"),
    ),
)]
#[post("/v1/registrations")]
async fn create_registration(
    context: Context<Anonymous>,
    key: IdempotencyKey,
    origin: Origin,
    body: Body<NewRegistration>,
) -> Result<HttpResponse> {
    let body_json =
        String::from_utf8(body.raw.to_vec()).map_err(|error| Error::internal("read a body again", error))?;
    register(&context, key.once(&body.raw), &origin, body.value, body_json).await?;
    Ok(response::accepted())
}

/// Registers the endpoints.
pub fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_registration).service(verification::verify_email);
}
