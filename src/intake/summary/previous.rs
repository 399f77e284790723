//! The patient's previous intake.

use jiff::civil::Date;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::context::Tx;
use crate::error::Result;
use crate::ids::IntakeId;
use crate::intake::reading_context::ReadingContext;
use crate::intake::store::{self, Intake};
use crate::intake::{from_value, stored_review};

/// The patient's previous intake.
pub(super) struct Previous {
    pub id: IntakeId,
    pub authored_at: Timestamp,
    /// The day of its answers.
    pub on: Date,
    /// Its answers.
    pub answers: rls::Answers,
    pub review: Option<rls::Review>,
}

impl Previous {
    /// Loads the last submitted intake before this one.
    pub fn load(tx: &mut Tx, intake: &Intake, reading: &ReadingContext) -> Result<Option<Self>> {
        let earlier = store::submitted(tx.conn, intake.patient_id, &intake.form)?;
        let before = |one: &&Intake| one.id != intake.id && (one.authored_at, one.id) < (intake.authored_at, intake.id);
        let Some(last) = earlier.iter().rfind(before) else { return Ok(None) };
        Ok(Some(Self {
            id: last.id,
            authored_at: last.authored_at,
            on: reading.place.day(last.authored_at)?,
            answers: from_value(&Value::Object(last.open_answers(tx.env)?))?,
            review: stored_review::open(tx.env, last)?,
        }))
    }
}
