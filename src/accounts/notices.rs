//! Mails to an account's owner about the account, so that they notice changes that they did not make (ASVS 5.0, 6.3.7).

use super::model::User;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::messages::model::{Envelope, Mail, Recipient, SecurityEvent};
use crate::messages::outbox;

/// Mails a security notice to the address that `user` has. A mailbox that gets many notices within an hour gets each event once.
pub fn tell(tx: &mut Conn, env: &Env, user: &User, event: SecurityEvent) -> Result<()> {
    if outbox::is_repeated_security_notice(tx, env, &user.email, event)? {
        return Ok(());
    }
    send(tx, env, user.recipient(), Mail::SecurityNotice { event })
}

/// Queues a mail about an account.
pub fn send(tx: &mut Conn, env: &Env, recipient: Recipient, mail: Mail) -> Result<()> {
    let envelope = Envelope { recipient, patient_id: None, appointment_id: None, mail };
    outbox::enqueue(tx, env, &envelope)?;
    Ok(())
}
