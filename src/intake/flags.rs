//! What the answers of an intake raise for staff. A flag is raised, withdrawn and acknowledged. It is deleted only
//! with the record, and by the undo of a merge that raised it.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::flag_ownership::{self, Owner};
use super::model::{FlagUrgency, IntakeStatus};
use super::store::Intake;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{intake_flags, intakes};
use crate::env::Env;
use crate::error::Result;
use crate::ids::{AppointmentId, IntakeFlagId, IntakeId, PatientId, PractitionerId, UserId};
use crate::messages::model::{Envelope, Mail, Recipient};
use crate::messages::outbox;
use crate::sealed::{Place, Sealed};

/// A row of a flag.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = intake_flags, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Flag {
    pub id: IntakeFlagId,
    /// The intake that raised it. None if laboratory results of a patient without a history did.
    pub intake_id: Option<IntakeId>,
    pub patient_id: PatientId,
    /// How soon staff must act on it.
    pub urgency: FlagUrgency,
    /// The rule that raised it.
    pub rule: Sealed<String>,
    /// The practitioner who owns it.
    pub owner_id: Option<PractitionerId>,
    /// The time at which it was raised, or raised again.
    pub raised_at: Timestamp,
    /// The time at which the answers no longer raised it.
    pub withdrawn_at: Option<Timestamp>,
    /// The time of the mail to the clinic.
    pub mailed_at: Option<Timestamp>,
    /// The time at which it was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    /// The account that acknowledged it.
    pub acknowledged_by: Option<UserId>,
    /// The note of the acknowledgement.
    pub note: Option<Sealed<String>>,
    /// The visit through which its owner has it.
    pub appointment_id: Option<AppointmentId>,
}

impl Flag {
    pub fn place(column: &'static str, id: IntakeFlagId) -> Place {
        Place::new("intake_flags", column, id.0)
    }

    /// Decrypts the rule that raised it.
    pub fn open_rule(&self, env: &Env) -> Result<String> {
        env.sealer.open(Self::place("rule", self.id), &self.rule)
    }

    /// Decrypts the note of the acknowledgement.
    pub fn open_note(&self, env: &Env) -> Result<Option<String>> {
        self.note.as_ref().map(|note| env.sealer.open(Self::place("note", self.id), note)).transpose()
    }

    /// Gives it to an owner, or to none.
    fn owned_by(self, owner: Option<Owner>) -> Self {
        Self { owner_id: owner.map(|(owner, _)| owner), appointment_id: owner.map(|(_, visit)| visit), ..self }
    }
}

/// Returns a rule by its id. Rules of older versions may be unknown.
pub(super) fn known_rule(rule: &str) -> Option<rls::Rule> {
    rls::Rule::ALL.iter().copied().find(|known| known.as_str() == rule)
}

/// Returns the fields that a rule uses.
pub(super) fn inputs(rule: &str) -> &'static [&'static str] {
    known_rule(rule).map_or(&[], |rule| rule.definition().inputs)
}

/// Returns the text of a rule for staff. Rules of older versions have none.
pub(super) fn staff_text(rule: &str, urgency: FlagUrgency) -> Option<String> {
    let rule = known_rule(rule)?;
    Some(rls::flag_texts::staff_text(rls::Flag { rule, urgency: urgency.into() }))
}

/// Brings the flags of an intake in line with what its answers raise now. The caller has locked the patient. A history takes over the
/// flags that laboratory results raised before there was an intake.
///
/// A rule has one flag per intake. The flag is raised once, withdrawn when the answers no longer raise it, and opened again when
/// they raise it again, also by the intake that follows a discarded one: otherwise a patient who discards drafts would fill the worklist.
/// A flag that opens belongs to the practitioner of the patient's next visit. The clinic gets one mail about each urgent flag.
pub fn follow_answers<P>(tx: &mut Tx<P>, intake: &Intake, raised: &[rls::Flag]) -> Result<()> {
    let of_results = intake_flags::intake_id.is_null();
    // A follow-up asks nothing about laboratory results, so it would withdraw these flags.
    let of_results = of_results.and((intake.form == rls::FORM).into_sql::<diesel::sql_types::Bool>());
    let discarded = intakes::table
        .filter(intakes::patient_id.eq(intake.patient_id))
        .filter(intakes::status.eq(IntakeStatus::EnteredInError))
        .select(intakes::id.nullable());
    let of_discarded = intake_flags::acknowledged_at.is_null().and(intake_flags::intake_id.eq_any(discarded));
    follow(tx, intake.patient_id, Some(intake.id), raised, |conn| {
        Ok(intake_flags::table
            .filter(intake_flags::patient_id.eq(intake.patient_id))
            .filter(
                intake_flags::intake_id
                    .eq(intake.id)
                    .assume_not_null()
                    .or(of_results)
                    .or(of_discarded.assume_not_null()),
            )
            .select(Flag::as_select())
            .load(conn)?)
    })
}

/// Brings the flags of a patient without an intake in line with what the laboratory results raise now.
pub(super) fn follow_results<P>(tx: &mut Tx<P>, patient: PatientId, raised: &[rls::Flag]) -> Result<()> {
    follow(tx, patient, None, raised, |conn| {
        Ok(intake_flags::table
            .filter(intake_flags::patient_id.eq(patient))
            .filter(intake_flags::intake_id.is_null())
            .select(Flag::as_select())
            .load(conn)?)
    })
}

fn follow<P>(
    tx: &mut Tx<P>,
    patient: PatientId,
    intake: Option<IntakeId>,
    raised: &[rls::Flag],
    load: impl FnOnce(&mut Conn) -> Result<Vec<Flag>>,
) -> Result<()> {
    let mut stored = load(tx.conn)?;
    // Its own first: where it has a flag of a rule, it takes over no other.
    stored.sort_by_key(|flag| (flag.intake_id != intake, flag.id.0));
    let mut known = Vec::with_capacity(stored.len());
    for flag in stored {
        let rule = flag.open_rule(tx.env)?;
        let urgency = raised.iter().find(|raised| raised.rule.as_str() == rule).map(|raised| raised.urgency.into());
        let taken_over = flag.intake_id != intake;
        if taken_over && flag.intake_id.is_some() && (urgency.is_none() || known.contains(&rule)) {
            continue;
        }
        let changed = next(&flag, urgency, tx.now).or_else(|| taken_over.then(|| flag.clone()));
        if let Some(changed) = changed {
            let mut changed = Flag { intake_id: intake, ..changed };
            if flag.acknowledged_at.is_some() && changed.acknowledged_at.is_none() {
                changed = changed.owned_by(owner_of_reopened(tx, &flag)?);
            }
            announce(tx, &mut changed)?;
            diesel::update(intake_flags::table.find(changed.id)).set(&changed).execute(tx.conn)?;
        }
        known.push(rule);
    }
    let mut new = raised.iter().filter(|raised| !known.iter().any(|rule| rule == raised.rule.as_str())).peekable();
    let owner = match new.peek() {
        Some(_) => flag_ownership::next_owner(tx.conn, patient, tx.now)?,
        None => None,
    };
    for raised in new {
        let id: IntakeFlagId = tx.env.new_id();
        let flag = Flag {
            id,
            intake_id: intake,
            patient_id: patient,
            urgency: raised.urgency.into(),
            rule: tx.env.sealer.seal(Flag::place("rule", id), &raised.rule.as_str().to_owned())?,
            owner_id: None,
            raised_at: tx.now,
            withdrawn_at: None,
            mailed_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            appointment_id: None,
        };
        let mut flag = flag.owned_by(owner);
        announce(tx, &mut flag)?;
        diesel::insert_into(intake_flags::table).values(&flag).execute(tx.conn)?;
    }
    Ok(())
}

/// Returns the owner of a flag that opens again: the practitioner of the next visit, or else its own, as long as the visit stands.
fn owner_of_reopened<P>(tx: &mut Tx<P>, flag: &Flag) -> Result<Option<Owner>> {
    if let Some(next) = flag_ownership::next_owner(tx.conn, flag.patient_id, tx.now)? {
        return Ok(Some(next));
    }
    match flag.owner_id.zip(flag.appointment_id) {
        Some(own) if flag_ownership::still_gives_care(tx.conn, own)? => Ok(Some(own)),
        _ => Ok(None),
    }
}

/// Returns the flag after a change of the answers, which now raise it with this urgency or not at all. Returns nothing if the
/// flag stays as it is.
fn next(flag: &Flag, raised: Option<FlagUrgency>, now: Timestamp) -> Option<Flag> {
    let flag = flag.clone();
    match (raised, flag.withdrawn_at) {
        (None, Some(_)) => None,
        (None, None) => Some(Flag { withdrawn_at: Some(now), ..flag }),
        (Some(urgency), None) if urgency == flag.urgency => None,
        // Less urgent than before. A flag keeps its highest urgency until it is acknowledged.
        (Some(urgency), None) if urgency > flag.urgency => flag.acknowledged_at.map(|_| Flag { urgency, ..flag }),
        // Raised again, or more urgent than when it was acknowledged. That acknowledgement does not count for it.
        (Some(urgency), _) => Some(Flag {
            urgency,
            raised_at: now,
            withdrawn_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            ..flag
        }),
    }
}

/// Mails the clinic about an urgent flag, once. The mail names neither the patient nor the rule.
fn announce<P>(tx: &mut Tx<P>, flag: &mut Flag) -> Result<()> {
    let Some(email) = tx.env.config.settings.urgent_mail_to.clone() else { return Ok(()) };
    if !flag.urgency.is_urgent() || flag.mailed_at.is_some() || flag.withdrawn_at.is_some() {
        return Ok(());
    }
    let mail = Mail::StaffAlert { reference: flag.id.to_string() };
    let recipient = Recipient { name: None, email: Some(email), phone: None, language: "en".into() };
    outbox::enqueue(tx.conn, tx.env, &Envelope { recipient, patient_id: None, appointment_id: None, mail })?;
    flag.mailed_at = Some(tx.now);
    Ok(())
}

/// Restores the flags of patients as they were before a merge, and deletes those that were raised since.
pub fn restore(conn: &mut Conn, patients: &[PatientId], before: &[Flag]) -> Result<()> {
    let kept: Vec<IntakeFlagId> = before.iter().map(|flag| flag.id).collect();
    let raised_since =
        intake_flags::table.filter(intake_flags::patient_id.eq_any(patients)).filter(intake_flags::id.ne_all(kept));
    diesel::delete(raised_since).execute(conn)?;
    for flag in before {
        diesel::update(intake_flags::table.find(flag.id)).set(flag).execute(conn)?;
    }
    Ok(())
}

/// Marks all flags of an intake as withdrawn.
pub fn withdraw_all(conn: &mut Conn, id: IntakeId, now: Timestamp) -> Result<()> {
    let raised =
        intake_flags::table.filter(intake_flags::intake_id.eq(id)).filter(intake_flags::withdrawn_at.is_null());
    diesel::update(raised).set(intake_flags::withdrawn_at.eq(now)).execute(conn)?;
    Ok(())
}

/// Loads the flags of an intake, in the order in which they were first raised.
pub fn of_intake(conn: &mut Conn, id: IntakeId) -> Result<Vec<Flag>> {
    Ok(intake_flags::table
        .filter(intake_flags::intake_id.eq(id))
        .order(intake_flags::id)
        .select(Flag::as_select())
        .load(conn)?)
}

/// Loads the flags of a patient, in the order in which they were raised.
pub fn of_patient(conn: &mut Conn, id: PatientId) -> Result<Vec<Flag>> {
    Ok(intake_flags::table
        .filter(intake_flags::patient_id.eq(id))
        .order((intake_flags::raised_at, intake_flags::id))
        .select(Flag::as_select())
        .load(conn)?)
}

/// Counts the urgent flags of these intakes that are not acknowledged. Intakes without such flags are missing in the result.
pub fn count_urgent(conn: &mut Conn, ids: &[IntakeId]) -> Result<HashMap<IntakeId, u32>> {
    let rows: Vec<(IntakeId, FlagUrgency)> = intake_flags::table
        .filter(intake_flags::intake_id.eq_any(ids.to_vec()))
        .filter(intake_flags::acknowledged_at.is_null())
        .select((intake_flags::intake_id.assume_not_null(), intake_flags::urgency))
        .load(conn)?;
    let mut counts = HashMap::new();
    for (id, urgency) in rows {
        if urgency.is_urgent() {
            *counts.entry(id).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Returns which of these patients have an urgent flag that is not acknowledged.
pub fn patients_with_urgent(conn: &mut Conn, ids: &[PatientId]) -> Result<HashSet<PatientId>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<(PatientId, FlagUrgency)> = intake_flags::table
        .filter(intake_flags::patient_id.eq_any(ids.to_vec()))
        .filter(intake_flags::acknowledged_at.is_null())
        .select((intake_flags::patient_id, intake_flags::urgency))
        .load(conn)?;
    Ok(rows.into_iter().filter(|(_, urgency)| urgency.is_urgent()).map(|(patient, _)| patient).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(urgency: FlagUrgency, withdrawn: bool, acknowledged: bool) -> Flag {
        let at = |there: bool| there.then(|| "2026-03-02T14:00:00Z".parse().expect("an instant"));
        Flag {
            id: IntakeFlagId(uuid::Uuid::nil()),
            intake_id: Some(IntakeId(uuid::Uuid::nil())),
            patient_id: PatientId(uuid::Uuid::nil()),
            urgency,
            rule: Sealed::from_bytes(Vec::new()),
            owner_id: None,
            raised_at: "2026-03-02T14:00:00Z".parse().expect("an instant"),
            withdrawn_at: at(withdrawn),
            mailed_at: None,
            acknowledged_at: at(acknowledged),
            acknowledged_by: acknowledged.then(|| UserId(uuid::Uuid::nil())),
            note: None,
            appointment_id: None,
        }
    }

    #[test]
    fn a_withdrawn_flag_stays_open_and_an_acknowledged_one_reopens_when_it_is_raised_again_or_more_urgent() {
        use FlagUrgency::{Emergency, Prompt, SameDay};
        let now: Timestamp = "2026-03-03T14:00:00Z".parse().expect("an instant");
        let after = |flag: Flag, present| next(&flag, present, now);
        assert!(after(flag(SameDay, false, true), Some(SameDay)).is_none());
        assert!(after(flag(SameDay, true, true), None).is_none());
        let withdrawn = after(flag(SameDay, false, false), None).expect("a change");
        assert!(withdrawn.withdrawn_at == Some(now) && withdrawn.acknowledged_at.is_none());
        let again = after(flag(SameDay, true, true), Some(SameDay)).expect("a change");
        assert!(again.withdrawn_at.is_none() && again.acknowledged_at.is_none() && again.raised_at == now);
        let worse = after(flag(Prompt, false, true), Some(Emergency)).expect("a change");
        assert!(worse.urgency == Emergency && worse.acknowledged_at.is_none());
        assert!(after(flag(Emergency, false, false), Some(Prompt)).is_none(), "not acknowledged yet");
        let better = after(flag(Emergency, false, true), Some(Prompt)).expect("a change");
        assert!(better.urgency == Prompt && better.acknowledged_at.is_some());
    }
}
