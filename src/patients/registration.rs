//! Registering online: an account, a record and the consents at once. Whoever asks learns nothing of who is registered:
//! the answer is the same, and takes the same time; the mail tells the mailbox's owner.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::consents::{self, ConsentInput, NewConsent};
use super::input::PatientInput;
use super::model::{Profile, Relation};
use super::store;
use crate::accounts::model::{EmailAddress, Purpose, User};
use crate::accounts::store::NewUser;
use crate::accounts::{self, Keys, one_time};
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, IdempotencyKey};
use crate::ids::PatientId;
use crate::messages::model::{Envelope, Mail};
use crate::messages::outbox;

/// The most consents in a registration.
const CONSENTS: usize = 10;

pub(super) fn routes(cfg: &mut ServiceConfig) {
    cfg.service(create_registration);
}

/// Somebody who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ann@example.org", "password": "violet otter hums at dawn", "relation": "self",
    "patient": {
        "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
        "phone": "+1 212 555 0100", "preferred_language": "en", "interpreter_needed": false
    },
    "consents": [
        {"type": "treatment", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"},
        {"type": "privacy_notice", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"}
    ]
}))]
struct RegistrationInput {
    /// The address to sign in with; upper and lower case are the same.
    #[schema(max_length = 254)]
    email: String,
    /// At least 12 characters; any, but none of the passwords that are tried first.
    #[schema(min_length = 8, max_length = 128)]
    password: String,
    /// What the account's holder is to the patient.
    relation: Relation,
    /// The patient.
    patient: PatientInput,
    /// What they decided on the consent documents. What is missing shows as outstanding later, and hinders nothing.
    #[serde(default)]
    #[schema(max_items = 10)]
    consents: Vec<ConsentInput>,
}

/// A registration that keeps the rules.
struct Registration {
    email: EmailAddress,
    password: String,
    relation: Relation,
    profile: Profile,
    consents: Vec<NewConsent>,
}

impl RegistrationInput {
    fn parse(mut self, keys: &Keys, now: Timestamp) -> Result<Registration> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        let given_name = self.patient.given_name.clone().unwrap_or_default();
        let about = [self.email.as_str(), given_name.as_str(), self.patient.family_name.as_str()];
        check.field("/password", keys.passwords.check(&self.password, Role::Patient, &about));
        if let (None, Some(email)) = (&self.patient.email, &email) {
            self.patient.email = Some(email.as_str().to_owned());
        }
        self.patient.forbid_what_staff_set("/patient", &mut check);
        let profile = Profile::parse(self.patient, "/patient", now, &mut check);
        check.require(self.consents.len() <= CONSENTS, "/consents", "too_many", format!("may have {CONSENTS} entries"));
        let mut consents = Vec::new();
        for (index, input) in self.consents.into_iter().take(CONSENTS).enumerate() {
            let Some(consent) = input.parse(&format!("/consents/{index}"), false, &mut check) else { continue };
            if let Some(profile) = &profile {
                check.field(&format!("/consents/{index}/signer"), consent.signed_by_themselves(profile.names()));
            }
            consents.push(consent);
        }
        check.done()?;
        let (Some(email), Some(profile)) = (email, profile) else {
            return Err(Error::fault("a registration without a fault is there"));
        };
        Ok(Registration { email, password: self.password, relation: self.relation, profile, consents })
    }
}

/// Register online
///
/// Makes an account, the patient's record and the consents, and mails a link that verifies the address; only then can the account sign
/// in. The answer is the same for an address that has an account already: then its owner is told so by mail and nothing changes, or is
/// sent another link if the address was not verified yet.
#[utoipa::path(
    tag = "registration",
    operation_id = "create_registration",
    params(("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value makes and sends nothing more", max_length = 255)),
    request_body = RegistrationInput,
    responses(
        (status = 202, description = "Taken; a mail is on its way"),
        (status = 409, description = "`request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/registrations")]
async fn create_registration(
    env: web::Data<Env>,
    keys: web::Data<Keys>,
    key: IdempotencyKey,
    body: Body<RegistrationInput>,
) -> Result<HttpResponse> {
    let registration = body.value.parse(&keys, env.now())?;
    accounts::evenly(async {
        // Also for an address that is known: hashing is what takes the time.
        let hash = keys.passwords.hash(&registration.password).await?;
        let shared = env.clone();
        let request = Request { actor: None, operation: "create_registration".into(), key, body: &body.raw };
        idempotency::run(&env, request, move |tx| {
            register(tx, &shared, &registration, &hash)?;
            Ok(Answer::empty(202))
        })
        .await
    })
    .await
}

fn register(tx: &mut Conn, env: &Env, registration: &Registration, hash: &str) -> Result<()> {
    let Some(user) = accounts::store::find_by_email(tx, &registration.email.key())? else {
        return newcomer(tx, env, registration, hash);
    };
    if user.disabled_at.is_some() || !outbox::has_room(tx, env, &user.email)? {
        return Ok(());
    }
    // An invited member of the staff has no password yet: their own mail makes them set one.
    if user.email_verified_at.is_some() || user.password_hash.is_none() {
        return mail(tx, env, &user, None, Mail::AlreadyRegistered);
    }
    // The stored password stays: otherwise whoever registers a stranger's address again would take the account over
    // once the stranger follows the link.
    let token = one_time::issue(tx, env, user.id, Purpose::VerifyEmail)?;
    mail(tx, env, &user, None, Mail::VerifyEmail { token })
}

fn newcomer(tx: &mut Conn, env: &Env, registration: &Registration, hash: &str) -> Result<()> {
    let new = NewUser {
        email: registration.email.clone(),
        name: None,
        role: Role::Patient,
        practitioner_id: None,
        password_hash: Some(hash.to_owned()),
        preferred_language: registration.profile.preferred_language.clone(),
    };
    let user = accounts::store::insert(tx, env, &new).map_err(|error| match error {
        // Another registration of the address came first in between: the transaction runs again and finds it. The
        // conflict itself would tell that the address is known.
        Error::Conflict(conflict) if conflict.code == "email_taken" => Error::Retry,
        other => other,
    })?;
    let patient = store::insert(tx, env, &registration.profile)?;
    store::grant_access(tx, env, user.id, patient.id, registration.relation)?;
    for consent in &registration.consents {
        consents::record(tx, env, &patient, consent, None)?;
    }
    let token = one_time::issue(tx, env, user.id, Purpose::VerifyEmail)?;
    mail(tx, env, &user, Some(patient.id), Mail::VerifyEmail { token })
}

fn mail(tx: &mut Conn, env: &Env, user: &User, patient_id: Option<PatientId>, mail: Mail) -> Result<()> {
    let recipient = user.recipient();
    outbox::enqueue(tx, env, &Envelope { recipient, patient_id, appointment_id: None, mail })?;
    Ok(())
}
