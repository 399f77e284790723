//! What answers to the short form mean for the follow-up that asked for them.

use jiff::civil::Date;

use super::FollowUpStatus;
use super::planning::{close, schedule_next};
use super::store::{self, FollowUp};
use crate::context::Tx;
use crate::error::Result;
use crate::ids::{IntakeId, PatientId};

/// Marks the follow-up that asked a patient as answered by a submitted intake, and schedules the next one. Does nothing for a patient who
/// was not asked. The caller has locked the patient.
pub fn answered<P>(tx: &mut Tx<P>, patient: PatientId, intake: IntakeId, today: Date) -> Result<()> {
    let Some(open) = store::open_of(tx.conn, patient)? else { return Ok(()) };
    if open.status != FollowUpStatus::Asked {
        return Ok(());
    }
    let closed = close(tx, FollowUp { intake_id: Some(intake), ..open }, FollowUpStatus::Answered)?;
    schedule_next(tx, &closed, today)
}
