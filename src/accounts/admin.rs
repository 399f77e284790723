//! The operator's commands: create the first administrator, and reset one who is locked out.

use super::model::{EmailAddress, User};
use super::second_factor::switching_off;
use super::store::{self, NewAccount};
use super::throttle;
use super::users::send_invitation;
use crate::actor::Role;
use crate::audit;
use crate::audit_context::AuditContext;
use crate::env::Env;
use crate::error::Error;

/// Creates an administrator's account and mails a link to set its password.
///
/// # Errors
/// A text for the operator.
pub async fn create(env: &Env, email: &str, name: &str) -> Result<String, String> {
    let email = EmailAddress::parse(email).map_err(|rule| format!("--email {}", rule.detail))?;
    let (shared, name, recipient) = (env.clone(), name.to_owned(), email.as_str().to_owned());
    env.db
        .write(move |tx| {
            let new = NewAccount {
                email: email.clone(),
                name: Some(name.clone()),
                role: Role::Admin,
                practitioner_id: None,
                password_hash: None,
                preferred_language: "en".into(),
            };
            store::take_from_registration(tx, &new.email, shared.now())?;
            let user = store::insert(tx, &shared, &new)?;
            audit::record(tx, &shared, &AuditContext::of_command("create_admin"), user.id.0)?;
            send_invitation(tx, &shared, &user)
        })
        .await
        .map_err(|error| match error {
            Error::Conflict(conflict) => conflict.detail,
            other => other.to_string(),
        })?;
    Ok(sent(env, &recipient))
}

/// Enables an administrator's account, ends its sessions, removes its second factor and mails a link to set a new password.
///
/// # Errors
/// A text for the operator.
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
            switching_off::reset(tx, &shared, user.id)?;
            let enabled = User { disabled_at: None, ..store::find(tx, user.id)? };
            let user = store::update(tx, &enabled, now)?;
            audit::record(tx, &shared, &AuditContext::of_command("reset_admin"), user.id.0)?;
            send_invitation(tx, &shared, &user)
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
