//! What the operator does from the command line: the first administrator, and a way back in for one who is locked out.

use super::model::{EmailAddress, Purpose};
use super::store::{self, NewUser};
use super::{one_time, second_factor, throttle};
use crate::actor::Role;
use crate::audit;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::messages::model::{Envelope, Mail};
use crate::messages::outbox;
use crate::trail::Trail;

/// Makes an administrator's account and mails them a link to set a password.
///
/// # Errors
/// In words for the operator.
pub async fn create(env: &Env, email: &str, name: &str) -> Result<String, String> {
    let email = EmailAddress::parse(email).map_err(|rule| format!("--email {}", rule.detail))?;
    let (shared, name, recipient) = (env.clone(), name.to_owned(), email.as_str().to_owned());
    env.db
        .write(move |tx| {
            let new = NewUser {
                email: email.clone(),
                name: Some(name.clone()),
                role: Role::Admin,
                practitioner_id: None,
                password_hash: None,
                preferred_language: "en".into(),
            };
            let user = store::insert(tx, &shared, &new)?;
            audit::record(tx, &shared, &Trail::of_command("create_admin"), user.id.0)?;
            invite(tx, &shared, &user)
        })
        .await
        .map_err(|error| match error {
            Error::Conflict(conflict) => conflict.detail,
            other => other.to_string(),
        })?;
    Ok(sent(env, &recipient))
}

/// Ends an administrator's sessions, takes their second factor away and mails them a link to set a new password.
///
/// # Errors
/// In words for the operator.
pub async fn reset(env: &Env, email: &str) -> Result<String, String> {
    let email = EmailAddress::parse(email).map_err(|rule| format!("--email {}", rule.detail))?;
    let (shared, recipient) = (env.clone(), email.as_str().to_owned());
    env.db
        .write(move |tx| {
            let user = store::find_by_email(tx, &email.key())?
                .filter(|user| user.role == Role::Admin)
                .ok_or(Error::NotFound)?;
            let now = shared.now();
            throttle::forget(tx, &shared, user.id, &user.email_key)?;
            second_factor::reset(tx, &shared, user.id)?;
            let enabled = super::model::User { disabled_at: None, ..store::find(tx, user.id)? };
            let user = store::update(tx, &enabled, now)?;
            audit::record(tx, &shared, &Trail::of_command("reset_admin"), user.id.0)?;
            invite(tx, &shared, &user)
        })
        .await
        .map_err(|error| match error {
            Error::NotFound => "there is no administrator with this address".to_owned(),
            other => other.to_string(),
        })?;
    Ok(sent(env, &recipient))
}

fn sent(env: &Env, recipient: &str) -> String {
    match &env.config.settings.smtp_url {
        Some(_) => format!("A link to set the password goes to {recipient} as soon as the service runs."),
        None => format!(
            "A link to set the password for {recipient} will be written to {} as soon as the service runs.",
            env.config.settings.mail_dir.display()
        ),
    }
}

/// Mails an account a link to set its password. A caller from the staff asks for room first ([`outbox::require_room`]).
///
/// # Errors
/// The database's.
pub fn invite(tx: &mut crate::db::Conn, env: &Env, user: &super::model::User) -> Result<()> {
    let token = one_time::issue(tx, env, user.id, Purpose::Invitation)?;
    let mail = Mail::Invitation { token };
    let envelope = Envelope { recipient: user.recipient(), patient_id: None, appointment_id: None, mail };
    outbox::enqueue(tx, env, &envelope)?;
    Ok(())
}
