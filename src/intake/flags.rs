//! What the answers raise for the staff: flags are raised, withdrawn and acknowledged, never taken away.

use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::handover::{self, Owner};
use super::model::FlagUrgency;
use super::store::Intake;
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{intake_flags, patients};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::paging::{Cursor, Limit};
use crate::ids::{AppointmentId, IntakeFlagId, IntakeId, PatientId, PractitionerId, UserId};
use crate::messages::model::{Envelope, Mail, Recipient};
use crate::messages::outbox;
use crate::patients::model::Patient;
use crate::sealed::{Place, Sealed};

/// A flag's row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = intake_flags, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Flag {
    /// Its id.
    pub id: IntakeFlagId,
    /// The intake that raised it.
    pub intake_id: IntakeId,
    /// Whose intake that is.
    pub patient_id: PatientId,
    /// How soon it must be looked at.
    pub urgency: FlagUrgency,
    /// Which rule raised it.
    pub rule: Sealed<String>,
    /// Whose it is.
    pub owner_id: Option<PractitionerId>,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When the answers ceased to raise it.
    pub withdrawn_at: Option<Timestamp>,
    /// When the staff were mailed about it.
    pub mailed_at: Option<Timestamp>,
    /// When somebody took note of it.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<UserId>,
    /// With what words.
    pub note: Option<Sealed<String>>,
    /// The visit through which its owner has it.
    pub appointment_id: Option<AppointmentId>,
}

impl Flag {
    fn place(column: &'static str, id: IntakeFlagId) -> Place {
        Place::new("intake_flags", column, id.0)
    }

    /// Which rule raised it.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn open_rule(&self, env: &Env) -> Result<String> {
        env.sealer.open(Self::place("rule", self.id), &self.rule)
    }

    /// The note of whoever acknowledged it.
    ///
    /// # Errors
    /// A fault, if it does not open.
    pub fn open_note(&self, env: &Env) -> Result<Option<String>> {
        self.note.as_ref().map(|note| env.sealer.open(Self::place("note", self.id), note)).transpose()
    }
}

/// A rule that the answers meet, and how urgent that is.
pub type Raised = (String, FlagUrgency);

/// Brings the flags of an intake, which the caller has locked, to what its answers raise now. A rule has one flag per
/// intake: it is raised once, withdrawn when the answers cease to raise it, and opened anew when they raise it again.
/// What opens belongs to the practitioner whom the patient sees next. The staff are mailed once about each that cannot wait.
///
/// # Errors
/// The database's.
pub fn settle(tx: &mut Conn, env: &Env, intake: &Intake, raised: &[Raised]) -> Result<()> {
    let now = env.now();
    // So that no visit hands flags over or takes them back meanwhile.
    handover::lock(tx, intake.patient_id)?;
    let there = of_intake(tx, intake.id)?;
    let mut known = Vec::with_capacity(there.len());
    for flag in there {
        let rule = flag.open_rule(env)?;
        let present = raised.iter().find(|(raised, _)| *raised == rule).map(|(_, urgency)| *urgency);
        let next = next(&flag, present, now);
        if let Some(mut next) = next {
            if flag.acknowledged_at.is_some() && next.acknowledged_at.is_none() {
                let owner = owner_again(tx, &flag, now)?;
                next = Flag { owner_id: owner.map(|(id, _)| id), appointment_id: owner.map(|(_, id)| id), ..next };
            }
            announce(tx, env, &mut next)?;
            diesel::update(intake_flags::table.find(next.id)).set(&next).execute(tx)?;
        }
        known.push(rule);
    }
    let mut unknown = raised.iter().filter(|(rule, _)| !known.contains(rule)).peekable();
    let owner = if unknown.peek().is_some() { handover::next_owner(tx, intake.patient_id, now)? } else { None };
    for (rule, urgency) in unknown {
        let id: IntakeFlagId = env.new_id();
        let mut flag = Flag {
            id,
            intake_id: intake.id,
            patient_id: intake.patient_id,
            urgency: *urgency,
            rule: env.sealer.seal(Flag::place("rule", id), rule)?,
            owner_id: owner.map(|(practitioner, _)| practitioner),
            raised_at: now,
            withdrawn_at: None,
            mailed_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            appointment_id: owner.map(|(_, visit)| visit),
        };
        announce(tx, env, &mut flag)?;
        diesel::insert_into(intake_flags::table).values(&flag).execute(tx)?;
    }
    Ok(())
}

/// Returns the owner of a flag that opens anew: the next one, or else its own, as long as the visit stands.
fn owner_again(tx: &mut Conn, flag: &Flag, now: Timestamp) -> Result<Option<Owner>> {
    if let Some(next) = handover::next_owner(tx, flag.patient_id, now)? {
        return Ok(Some(next));
    }
    let own = flag.owner_id.zip(flag.appointment_id);
    match own {
        Some(own) if handover::still_gives_care(tx, own)? => Ok(Some(own)),
        _ => Ok(None),
    }
}

/// What becomes of a flag whose rule is now met with this urgency, or not at all; `None` where nothing changes.
fn next(flag: &Flag, present: Option<FlagUrgency>, now: Timestamp) -> Option<Flag> {
    let flag = flag.clone();
    match (present, flag.withdrawn_at) {
        (None, Some(_)) => None,
        (None, None) => Some(Flag { withdrawn_at: Some(now), ..flag }),
        (Some(urgency), None) if urgency == flag.urgency => None,
        // Less urgent than before. Until somebody has looked, what was once answered stays as urgent as it was.
        (Some(urgency), None) if urgency > flag.urgency => flag.acknowledged_at.map(|_| Flag { urgency, ..flag }),
        // Raised again, or more urgent than what somebody took note of: that note does not count for it.
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

/// Mails the staff about a flag that cannot wait, once. The mail says nothing about whom or what.
fn announce(tx: &mut Conn, env: &Env, flag: &mut Flag) -> Result<()> {
    let Some(email) = env.config.settings.urgent_mail_to.clone() else { return Ok(()) };
    if !flag.urgency.is_urgent() || flag.mailed_at.is_some() || flag.withdrawn_at.is_some() {
        return Ok(());
    }
    let mail = Mail::StaffAlert { reference: flag.id.to_string() };
    let recipient = Recipient { name: None, email: Some(email), phone: None, language: "en".into() };
    outbox::enqueue(tx, env, &Envelope { recipient, patient_id: None, appointment_id: None, mail })?;
    flag.mailed_at = Some(env.now());
    Ok(())
}

/// Marks all flags of an intake as withdrawn: it was discarded, or entered in error.
///
/// # Errors
/// The database's.
pub fn withdraw_all(tx: &mut Conn, id: IntakeId, now: Timestamp) -> Result<()> {
    let standing =
        intake_flags::table.filter(intake_flags::intake_id.eq(id)).filter(intake_flags::withdrawn_at.is_null());
    diesel::update(standing).set(intake_flags::withdrawn_at.eq(now)).execute(tx)?;
    Ok(())
}

/// The flags of an intake, in the order in which they were first raised.
///
/// # Errors
/// The database's.
pub fn of_intake(tx: &mut Conn, id: IntakeId) -> Result<Vec<Flag>> {
    Ok(intake_flags::table
        .filter(intake_flags::intake_id.eq(id))
        .order(intake_flags::id)
        .select(Flag::as_select())
        .load(tx)?)
}

/// Which flags a list is about; all that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whether somebody took note of it.
    pub acknowledged: Option<bool>,
    /// How soon it must be looked at.
    pub urgency: Option<FlagUrgency>,
    /// Whose it is.
    pub owner_id: Option<PractitionerId>,
    /// Of which patient.
    pub patient_id: Option<PatientId>,
    /// Of which intake.
    pub intake_id: Option<IntakeId>,
    /// Only those of which the desk may know.
    pub urgent_only: bool,
}

/// Where a page of the worklist begins: after this urgency's rank, instant and id.
pub type After = (i32, Cursor);

/// The names under which cursors know the worklist, by the rank of the last row's urgency.
const LISTS: [&str; 4] = ["intake-flags-0", "intake-flags-1", "intake-flags-2", "intake-flags-3"];

fn rank(urgency: FlagUrgency) -> i32 {
    match urgency {
        FlagUrgency::Emergency => 0,
        FlagUrgency::SameDay => 1,
        FlagUrgency::Prompt => 2,
        FlagUrgency::Routine => 3,
    }
}

/// Reads the `cursor` parameter of the worklist.
///
/// # Errors
/// Where it is not one of this list's.
pub fn after(text: Option<&str>) -> Result<Option<After>> {
    let mut error = None;
    for (rank, list) in (0..).zip(LISTS) {
        match Cursor::read(text, list) {
            Ok(None) => return Ok(None),
            Ok(Some(cursor)) => return Ok(Some((rank, cursor))),
            Err(refused) => error = Some(refused),
        }
    }
    error.map_or(Ok(None), Err)
}

/// A page of the worklist, and the cursor of the next one.
pub type Page = (Vec<(Flag, Patient)>, Option<String>);

/// The worklist: the most urgent first, of those the oldest.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Conn, filter: &Filter, after: Option<After>, limit: Limit) -> Result<Page> {
    const RANK: &str =
        "CASE intake_flags.urgency WHEN 'emergency' THEN 0 WHEN 'same_day' THEN 1 WHEN 'prompt' THEN 2 ELSE 3 END";
    let ranked = || diesel::dsl::sql::<Integer>(RANK);
    let mut query = intake_flags::table
        .inner_join(patients::table.on(patients::id.eq(intake_flags::patient_id)))
        .select((Flag::as_select(), Patient::as_select()))
        .into_boxed();
    match filter.acknowledged {
        Some(true) => query = query.filter(intake_flags::acknowledged_at.is_not_null()),
        Some(false) => query = query.filter(intake_flags::acknowledged_at.is_null()),
        None => {}
    }
    if let Some(urgency) = filter.urgency {
        query = query.filter(intake_flags::urgency.eq(urgency));
    }
    if let Some(id) = filter.owner_id {
        query = query.filter(intake_flags::owner_id.eq(id));
    }
    if let Some(id) = filter.patient_id {
        query = query.filter(intake_flags::patient_id.eq(id));
    }
    if let Some(id) = filter.intake_id {
        query = query.filter(intake_flags::intake_id.eq(id));
    }
    if filter.urgent_only {
        query = query.filter(intake_flags::urgency.eq_any([FlagUrgency::Emergency, FlagUrgency::SameDay]));
    }
    if let Some((last, Cursor { at, id })) = after {
        let id = IntakeFlagId(id);
        let behind = intake_flags::raised_at.gt(at).or(intake_flags::raised_at.eq(at).and(intake_flags::id.gt(id)));
        query = query.filter(ranked().gt(last).or(ranked().eq(last).and(behind)));
    }
    let mut rows: Vec<(Flag, Patient)> =
        query.order((ranked(), intake_flags::raised_at, intake_flags::id)).limit(limit.query()).load(tx)?;
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) == limit.query();
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|(flag, _)| {
        let list = LISTS[usize::try_from(rank(flag.urgency)).unwrap_or(3)];
        Cursor { at: flag.raised_at, id: flag.id.0 }.write(list)
    });
    Ok((rows, next))
}

/// Notes that somebody has looked at a flag.
///
/// # Errors
/// [`Error::NotFound`]; the conflict `already_acknowledged`.
pub fn acknowledge(tx: &mut Conn, env: &Env, actor: &Actor, id: IntakeFlagId, note: Option<&str>) -> Result<Flag> {
    let note = note.map(|note| env.sealer.seal(Flag::place("note", id), &note.to_owned())).transpose()?;
    let open = intake_flags::table.filter(intake_flags::id.eq(id)).filter(intake_flags::acknowledged_at.is_null());
    let rows = diesel::update(open)
        .set((
            intake_flags::acknowledged_at.eq(env.now()),
            intake_flags::acknowledged_by.eq(actor.user_id),
            intake_flags::note.eq(note),
        ))
        .execute(tx)?;
    let flag: Flag = intake_flags::table.find(id).select(Flag::as_select()).first(tx)?;
    if rows == 1 {
        return Ok(flag);
    }
    Err(Error::conflict("already_acknowledged", "Somebody has acknowledged this flag already."))
}

/// A flag with its patient.
///
/// # Errors
/// [`Error::NotFound`].
pub fn find(tx: &mut Conn, id: IntakeFlagId) -> Result<(Flag, Patient)> {
    Ok(intake_flags::table
        .inner_join(patients::table.on(patients::id.eq(intake_flags::patient_id)))
        .filter(intake_flags::id.eq(id))
        .select((Flag::as_select(), Patient::as_select()))
        .first(tx)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(urgency: FlagUrgency, withdrawn: bool, acknowledged: bool) -> Flag {
        let at = |there: bool| there.then(|| "2026-03-02T14:00:00Z".parse().expect("an instant"));
        Flag {
            id: IntakeFlagId(uuid::Uuid::nil()),
            intake_id: IntakeId(uuid::Uuid::nil()),
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
    fn a_flag_stays_open_when_it_is_withdrawn_and_opens_anew_when_it_is_raised_again_or_more_urgent() {
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
        assert!(after(flag(Emergency, false, false), Some(Prompt)).is_none(), "nobody has looked yet");
        let better = after(flag(Emergency, false, true), Some(Prompt)).expect("a change");
        assert!(better.urgency == Prompt && better.acknowledged_at.is_some());
    }
}
