//! Who did what to whose record: rows that are only ever added; the database refuses to change or delete them.
//!
//! So far it holds what the front desk and administrators do with a patient's intake, which they may fill in on the
//! patient's behalf.

use diesel::prelude::*;

use crate::actor::Actor;
use crate::db::Conn;
use crate::db::schema::audit_events;
use crate::db::types::text_enum;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AuditEventId, IntakeId, PatientId};

text_enum! {
    /// What was done.
    AuditAction {
        /// An intake was begun.
        IntakeBegin = "intake_begin",
        /// A draft was read.
        IntakeRead = "intake_read",
        /// A part of a draft was saved.
        IntakeSave = "intake_save",
        /// A draft was submitted.
        IntakeSubmit = "intake_submit",
        /// A draft was discarded.
        IntakeDiscard = "intake_discard",
    }
}

/// Writes down what an actor did with a patient's intake, in the transaction that does it.
///
/// # Errors
/// The database's.
pub fn record_intake(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    action: AuditAction,
    (patient, intake): (PatientId, IntakeId),
) -> Result<()> {
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::id.eq(env.new_id::<AuditEventId>()),
            audit_events::at.eq(env.now()),
            audit_events::actor_id.eq(actor.user_id),
            audit_events::role.eq(actor.role),
            audit_events::action.eq(action),
            audit_events::patient_id.eq(patient),
            audit_events::object_id.eq(intake),
        ))
        .execute(tx)?;
    Ok(())
}
