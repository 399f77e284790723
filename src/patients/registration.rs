//! Registering online: an account, a record and the consents at once. Whoever asks learns nothing of who is registered:
//! the answer is the same, and takes the same time; the mail tells the mailbox's owner.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::consents::{self, ConsentInput, NewConsent};
use super::input::PatientInput;
use super::model::{Profile, Relation};
use super::profile::{Author, Context};
use super::{access, store, unverified};
use crate::accounts::model::{EmailAddress, Purpose, User};
use crate::accounts::store::NewUser;
use crate::accounts::{self, one_time};
use crate::actor::Role;
use crate::audit;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result, Rule};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey};
use crate::ids::PatientId;
use crate::messages::model::{Envelope, Mail, MessageKind};
use crate::messages::outbox;
use crate::text;
use crate::trail::Trail;

/// The most consents in a registration.
const CONSENTS: usize = 10;
/// The longest name of an account's holder, in characters.
pub(super) const HOLDER_NAME: usize = 200;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_registration);
}

/// Somebody who wants an account.
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
struct RegistrationInput {
    /// The address to sign in with; upper and lower case are the same.
    #[schema(max_length = 254)]
    email: String,
    /// What the account's holder is to the patient. Unless `self`, the holder is no patient.
    relation: Relation,
    /// The holder's name; required unless `relation` is `self`.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The patient. For `self` the address is the account's, and another one is refused; for anybody else it is kept, and no
    /// mail goes there until the clinic's staff confirm it.
    patient: PatientInput,
    /// What the holder decided on the consent documents, for themselves or for the patient. What is missing shows as outstanding later, and hinders nothing.
    #[serde(default)]
    #[schema(max_items = 10)]
    consents: Vec<ConsentInput>,
}

/// A registration that keeps the rules.
struct Registration {
    email: EmailAddress,
    relation: Relation,
    name: Option<String>,
    profile: Profile,
    consents: Vec<NewConsent>,
}

impl RegistrationInput {
    fn parse(mut self, context: Context) -> Result<Registration> {
        let mut check = Check::new();
        let email = check.field("/email", EmailAddress::parse(&self.email));
        let oneself = self.relation == Relation::Oneself;
        let name = self.name.as_deref().map(|name| text::one_line(name, HOLDER_NAME));
        let name = name.and_then(|name| check.field("/name", name));
        check.require(oneself || self.name.is_some(), "/name", "required", "must be there: the name of who registers");
        if let (true, Some(email)) = (oneself, &email) {
            check.field("/patient/email", own_address(&mut self.patient, email));
        }
        self.patient.forbid_what_staff_set("/patient", &mut check);
        self.patient.refuse_relation("/patient/relation", &mut check);
        let profile = Profile::parse(self.patient, Author::Account, "/patient", context, &mut check);
        check.require(
            self.consents.len() <= CONSENTS,
            "/consents",
            "too_many",
            format!("must have at most {CONSENTS} entries"),
        );
        let mut consents = Vec::new();
        for (index, input) in self.consents.into_iter().take(CONSENTS).enumerate() {
            let Some(consent) = input.parse(&format!("/consents/{index}"), false, &mut check) else { continue };
            let pointer = format!("/consents/{index}/signer");
            match (oneself, &profile, &name) {
                (true, Some(profile), _) => check.field(&pointer, consent.signed_by(self.relation, profile.names())),
                (false, _, Some(name)) => check.field(&pointer, consent.signed_by(self.relation, [name.as_str()])),
                _ => None,
            };
            consents.push(consent.or_signed(name.clone().filter(|_| !oneself)));
        }
        check.done()?;
        let (Some(email), Some(profile)) = (email, profile) else {
            return Err(Error::fault("a registration without a fault is there"));
        };
        Ok(Registration { email, relation: self.relation, name, profile, consents })
    }
}

/// The record of who registers for themselves has the account's address: by default, and no other.
///
/// # Errors
/// `not_the_account` where it is another.
pub(super) fn own_address(patient: &mut PatientInput, account: &EmailAddress) -> Result<(), Rule> {
    let Some(email) = &patient.email else {
        patient.email = Some(account.as_str().to_owned());
        return Ok(());
    };
    // What is no address at all is told by the profile.
    match EmailAddress::parse(email) {
        Ok(email) if email.key() != account.key() => Err(Rule::new(
            "not_the_account",
            "must be the account's address, or left out; the clinic's staff can note another one",
        )),
        _ => Ok(()),
    }
}

/// Register online
///
/// Makes an account, the patient's record and the consents, and mails a link that verifies the address. The account has no password:
/// its owner sets one once the address is verified (`POST /v1/email-verifications`), so that nobody holds a password for the mailbox
/// of another. The answer is the same for an address that has an account already: then its owner is told so by mail and nothing
/// changes. An account whose address nobody has verified yet is replaced: its record and its links are gone.
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
    trail: Trail,
    key: IdempotencyKey,
    body: Body<RegistrationInput>,
) -> Result<HttpResponse> {
    let registration = body.value.parse(Context::of(&env).await?)?;
    let shared = env.clone();
    let request = Request::anonymous(&trail, "create_registration".into(), key, &body.raw);
    let registered = idempotency::run(&env, request, move |tx| {
        register(tx, &shared, &registration)?;
        audit::record(tx, &shared, &trail, None)?;
        Ok(Answer::empty(202))
    });
    accounts::evenly(registered).await
}

fn register(tx: &mut Conn, env: &Env, registration: &Registration) -> Result<()> {
    let new = NewUser {
        email: registration.email.clone(),
        name: registration.name.clone(),
        role: Role::Patient,
        practitioner_id: None,
        password_hash: None,
        preferred_language: registration.profile.preferred_language.clone(),
    };
    let user = match accounts::store::find_by_email(tx, &registration.email.key())? {
        None => accounts::store::insert(tx, env, &new).map_err(|error| match error {
            // Another registration of the address came first in between: the transaction runs again and finds it. The
            // conflict itself would tell that the address is known.
            Error::Conflict(conflict) if conflict.code == "email_taken" => Error::Retry,
            other => other,
        })?,
        Some(known) => {
            // Locked, so that it is not verified while it is replaced.
            let known = accounts::store::lock(tx, known.id)?;
            // An invited member of the staff is verified by the link in the invitation.
            let stays = known.email_verified_at.is_some() || known.role.is_staff();
            let kind = if stays { MessageKind::AlreadyRegistered } else { MessageKind::VerifyEmail };
            if known.disabled_at.is_some() || !outbox::has_room(tx, env, &known.email, kind)? {
                return Ok(());
            }
            if stays {
                return mail(tx, env, &known, None, Mail::AlreadyRegistered);
            }
            // The link is good for the last registration only: what a stranger has registered before with this address is
            // gone once its owner registers and follows the link.
            unverified::forget(tx, known.id)?;
            accounts::store::replace_unverified(tx, &known, &new, env.now())?
        }
    };
    let patient = store::insert(tx, env, &registration.profile)?;
    access::grant(tx, env, user.id, &patient, registration.relation, None)?;
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
