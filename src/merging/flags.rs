//! The flags of both records before a merge. The joined record withdraws some, raises others, takes over those of results, and gives them
//! other owners. An undo restores them with their acknowledgements.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::listing::Merge;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::schema::patient_merge_flags;
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, IntakeFlagId, IntakeId, ObjectId, PatientId, PractitionerId, UserId};
use crate::intake::flags::{self, Flag};
use crate::intake::model::FlagUrgency;
use crate::sealed::{Place, Sealed};

/// A flag as it was.
#[derive(Debug, Serialize, Deserialize)]
struct FlagBefore {
    id: IntakeFlagId,
    intake_id: Option<IntakeId>,
    patient_id: PatientId,
    urgency: FlagUrgency,
    owner_id: Option<PractitionerId>,
    raised_at: Timestamp,
    withdrawn_at: Option<Timestamp>,
    mailed_at: Option<Timestamp>,
    acknowledged_at: Option<Timestamp>,
    acknowledged_by: Option<UserId>,
    note: Option<String>,
    appointment_id: Option<AppointmentId>,
}

impl FlagBefore {
    fn of(env: &Env, flag: &Flag) -> Result<Self> {
        Ok(Self {
            note: flag.open_note(env)?,
            id: flag.id,
            intake_id: flag.intake_id,
            patient_id: flag.patient_id,
            urgency: flag.urgency,
            owner_id: flag.owner_id,
            raised_at: flag.raised_at,
            withdrawn_at: flag.withdrawn_at,
            mailed_at: flag.mailed_at,
            acknowledged_at: flag.acknowledged_at,
            acknowledged_by: flag.acknowledged_by,
            appointment_id: flag.appointment_id,
        })
    }

    /// The flag as it was. Its rule never changes.
    fn restored(self, env: &Env, now: &Flag) -> Result<Flag> {
        let note = match self.note {
            note if note == now.open_note(env)? => now.note.clone(),
            note => note.map(|note| env.sealer.seal(Flag::place("note", self.id), &note)).transpose()?,
        };
        Ok(Flag {
            rule: now.rule.clone(),
            note,
            id: self.id,
            intake_id: self.intake_id,
            patient_id: self.patient_id,
            urgency: self.urgency,
            owner_id: self.owner_id,
            raised_at: self.raised_at,
            withdrawn_at: self.withdrawn_at,
            mailed_at: self.mailed_at,
            acknowledged_at: self.acknowledged_at,
            acknowledged_by: self.acknowledged_by,
            appointment_id: self.appointment_id,
        })
    }
}

fn place(id: ObjectId) -> Place {
    Place::new("patient_merge_flags", "flag", id.0)
}

/// Stores the flags of both records, before a merge changes them.
pub(super) fn keep(tx: &mut Tx, merge: &Merge) -> Result<()> {
    for record in [merge.survivor_id, merge.duplicate_id] {
        for flag in flags::of_patient(tx.conn, record)? {
            let id: ObjectId = tx.env.new_id();
            let before = FlagBefore::of(tx.env, &flag)?;
            diesel::insert_into(patient_merge_flags::table)
                .values((
                    patient_merge_flags::id.eq(id),
                    patient_merge_flags::merge_id.eq(merge.id),
                    patient_merge_flags::flag.eq(tx.env.sealer.seal(place(id), &before)?),
                ))
                .execute(tx.conn)?;
        }
    }
    Ok(())
}

/// Restores the flags of both records as they were, and deletes those that the joined record raised: they say something about both people.
/// No person has acted on one, because that would be a use.
pub(super) fn restore(tx: &mut Tx, merge: &Merge) -> Result<()> {
    let kept: Vec<(ObjectId, Sealed<FlagBefore>)> = patient_merge_flags::table
        .filter(patient_merge_flags::merge_id.eq(merge.id))
        .order(patient_merge_flags::id)
        .select((patient_merge_flags::id, patient_merge_flags::flag))
        .load(tx.conn)?;
    let mut now = flags::of_patient(tx.conn, merge.survivor_id)?;
    now.extend(flags::of_patient(tx.conn, merge.duplicate_id)?);
    let mut before = Vec::with_capacity(kept.len());
    for (id, sealed) in kept {
        let flag = tx.env.sealer.open(place(id), &sealed)?;
        if let Some(now) = now.iter().find(|now| now.id == flag.id) {
            before.push(flag.restored(tx.env, now)?);
        }
    }
    flags::restore(tx.conn, &[merge.survivor_id, merge.duplicate_id], &before)
}
