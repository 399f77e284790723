//! Telling an account's owner what happened to it, so that they notice where it was not them (ASVS 5.0, 6.3.7).

use super::model::User;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::messages::model::{Envelope, Mail, Recipient, SecurityEvent};
use crate::messages::outbox;

/// Mails the account's address, as `user` has it. A mailbox that gets many notices within an hour gets each event once.
///
/// # Errors
/// The database's.
pub fn tell(tx: &mut Conn, env: &Env, user: &User, event: SecurityEvent) -> Result<()> {
    if outbox::is_repeated_notice(tx, env, &user.email, event)? {
        return Ok(());
    }
    send(tx, env, user.recipient(), Mail::SecurityNotice { event })
}

/// Mails somebody about an account.
///
/// # Errors
/// The database's.
pub fn send(tx: &mut Conn, env: &Env, recipient: Recipient, mail: Mail) -> Result<()> {
    let envelope = Envelope { recipient, patient_id: None, appointment_id: None, mail };
    outbox::enqueue(tx, env, &envelope)?;
    Ok(())
}
