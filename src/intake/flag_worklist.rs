//! The worklist of flags: listing and acknowledging them.

use std::collections::HashSet;

use actix_web::{HttpResponse, get, post};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use rls::RuleStrength;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::flags::{Flag, known_rule, staff_text};
use super::model::FlagUrgency;
use crate::actor::{Action, Actor};
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::Conn;
use crate::db::schema::{intake_flags, patients};
use crate::env::Env;
use crate::error::{Check, Error, ProblemCode, Result};
use crate::http::input::Several;
use crate::http::{Body, Cursor, IdempotencyKey, Limit, Params, PathId, response};
use crate::ids::{IntakeFlagId, IntakeId, PatientId, PractitionerId, UserId};
use crate::patients::care;
use crate::patients::listed::ListedPatient;
use crate::patients::model::Patient;
use crate::patients::store as records;
use crate::scheduling::setup::included::{self, IncludedPractitioner};

/// Something in an intake that staff must look at. An intake without flags is not proven to be safe.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = IntakeFlag, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c58", "intake_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"},
    "urgency": "prompt", "rule": "impulse_behavior", "text": "Patient reported urges that are new or stronger; clinician review requested.",
    "rule_version": 3, "source": "Cornelius et al., impulse control disorders with dopaminergic agents in restless legs syndrome, Sleep 2010;33:81", "strength": "study",
    "owner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "raised_at": "2026-03-02T14:00:00Z", "withdrawn_at": null,
    "acknowledged_at": null
}))]
pub struct IntakeFlagView {
    /// The flag.
    pub id: IntakeFlagId,
    /// The intake that raised it. Null if a laboratory result of a patient without an intake did. The patient's first intake takes it over.
    pub intake_id: Option<IntakeId>,
    /// The patient.
    pub patient: ListedPatient,
    /// How soon staff must act on it.
    pub urgency: FlagUrgency,
    /// The rule that raised it. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("impulse_behavior"))]
    rule: Option<String>,
    /// The text of the rule. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub text: Option<String>,
    /// The present version of the rule. Left out for a rule that is no longer in use. Only for practitioners who may read the patient's
    /// intakes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, minimum = 1)]
    rule_version: Option<u16>,
    /// The source of the rule. `GET /v1/rls-rules` has the whole rule. Left out like `rule_version`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(
        nullable = false,
        examples(
            "Cornelius et al., impulse control disorders with dopaminergic agents in restless legs syndrome, Sleep 2010;33:81"
        )
    )]
    source: Option<String>,
    /// What the rule rests on. Left out like `rule_version`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    strength: Option<RuleStrength>,
    /// The practitioner who owns it: the one of the patient's next visit. Null without such a visit. Practitioners who place a visit
    /// with themselves become the owner when the patient is checked in.
    pub owner_id: Option<PractitionerId>,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When the answers no longer raised it. The flag stays open until it is acknowledged.
    pub withdrawn_at: Option<Timestamp>,
    /// When it was acknowledged. Null while it is open.
    pub acknowledged_at: Option<Timestamp>,
    /// The account that acknowledged it. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    acknowledged_by: Option<UserId>,
    /// The note of the acknowledgement. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub note: Option<String>,
}

impl IntakeFlagView {
    /// Shows a flag. `is_clinical` is whether the reader may know what the flag is about.
    pub(super) fn new(env: &Env, is_clinical: bool, flag: &Flag, patient: &Patient) -> Result<Self> {
        let rule = if is_clinical { Some(flag.open_rule(env)?) } else { None };
        let text = rule.as_deref().and_then(|rule| staff_text(rule, flag.urgency));
        let definition = rule.as_deref().and_then(known_rule).map(rls::Rule::definition);
        Ok(Self {
            id: flag.id,
            intake_id: flag.intake_id,
            patient: patient.into(),
            urgency: flag.urgency,
            rule,
            text,
            rule_version: definition.map(|rule| rule.version),
            source: definition.map(|rule| rule.source.citation.to_owned()),
            strength: definition.map(|rule| rule.source.strength),
            owner_id: flag.owner_id,
            raised_at: flag.raised_at,
            withdrawn_at: flag.withdrawn_at,
            acknowledged_at: flag.acknowledged_at,
            acknowledged_by: flag.acknowledged_by.filter(|_| is_clinical),
            note: if is_clinical { flag.open_note(env)? } else { None },
        })
    }
}

/// A page of the worklist.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct IntakeFlagPage {
    /// The flags, the most urgent first, then the oldest first.
    pub items: Vec<IntakeFlagView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The names of the objects that `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub included: Option<IncludedOwners>,
}

/// What the response of the worklist includes on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntakeFlagInclude {
    /// The practitioners who own the flags.
    Practitioner,
}

/// The objects that a page of the worklist refers to, each once.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"practitioners": [{"id": "0199d0c2-1f00-7aaa-8000-000000000002", "name": "Dr. Ada Calloway"}]}))]
pub struct IncludedOwners {
    /// The practitioners who own the flags.
    practitioners: Vec<IncludedPractitioner>,
}

impl IncludedOwners {
    /// The name of an owner.
    pub fn name(&self, id: PractitionerId) -> Option<&str> {
        self.practitioners.iter().find(|one| one.id == id).map(|one| one.name.as_str())
    }
}

/// The filters of the worklist. All that are given must match.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IntakeFlagFilter {
    /// Whether the flags are acknowledged. Without it, the open flags are listed.
    pub acknowledged: Option<bool>,
    /// The urgency.
    pub urgency: Option<FlagUrgency>,
    /// The practitioner who owns the flag.
    pub practitioner_id: Option<PractitionerId>,
    /// The patient.
    pub patient_id: Option<PatientId>,
    /// The intake.
    pub intake_id: Option<IntakeId>,
    /// The objects whose names the response includes.
    #[param(inline, value_type = Option<Vec<IntakeFlagInclude>>, style = Form, explode = false, max_items = 1)]
    include: Option<Several<IntakeFlagInclude>>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// Whether the actor's role sees every flag, and what the flags of the actor's patients are about.
fn is_clinician(actor: &Actor) -> bool {
    actor.require(Action::IntakeFlagAcknowledge).is_ok()
}

/// Lists flags, the most urgent first, then the oldest first.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list(context: &Context, filter: IntakeFlagFilter) -> Result<IntakeFlagPage> {
    context.require(Action::IntakeFlagRead)?;
    let (after, limit) = (Position::read(filter.cursor.as_deref())?, Limit::new(filter.limit)?);
    context
        .read(move |tx| {
            let (rows, next_cursor) = page(tx, &filter, after, limit)?;
            let open = if is_clinician(tx.actor) {
                let patients = rows.iter().map(|(_, patient)| patient.id).collect();
                care::open_among(tx.conn, tx.env, tx.actor, patients)?
            } else {
                HashSet::new()
            };
            tx.audit.note_shown(rows.iter().map(|(_, patient)| patient.id));
            let view = |(flag, patient): &Row| IntakeFlagView::new(tx.env, open.contains(&patient.id), flag, patient);
            let items = rows.iter().map(view).collect::<Result<_>>()?;
            let owners = || rows.iter().filter_map(|(flag, _)| flag.owner_id).collect();
            let practitioners =
                filter.include.is_some().then(|| included::practitioners(tx.conn, owners())).transpose()?;
            let included = practitioners.map(|practitioners| IncludedOwners { practitioners });
            Ok(IntakeFlagPage { items, next_cursor, included })
        })
        .await
}

/// A position in the worklist: the rank of an urgency, then the time and the id of a flag.
#[derive(Clone, Copy)]
struct Position {
    rank: i32,
    cursor: Cursor,
}

/// The names of the worklist in cursors, by the rank of the last row's urgency.
const LISTS: [&str; 4] = ["intake-flags-0", "intake-flags-1", "intake-flags-2", "intake-flags-3"];

fn rank(urgency: FlagUrgency) -> i32 {
    match urgency {
        FlagUrgency::Emergency => 0,
        FlagUrgency::SameDay => 1,
        FlagUrgency::Prompt => 2,
        FlagUrgency::Routine => 3,
    }
}

impl Position {
    /// Reads the `cursor` parameter.
    ///
    /// # Errors
    /// A broken rule if it is not a cursor of the worklist.
    fn read(text: Option<&str>) -> Result<Option<Self>> {
        let mut error = None;
        for (rank, list) in (0..).zip(LISTS) {
            match Cursor::read(text, list) {
                Ok(cursor) => return Ok(cursor.map(|cursor| Self { rank, cursor })),
                Err(refused) => error = Some(refused),
            }
        }
        error.map_or(Ok(None), Err)
    }

    /// Writes the cursor of the page after this flag.
    fn write(flag: &Flag) -> String {
        let list = LISTS[usize::try_from(rank(flag.urgency)).unwrap_or(3)];
        Cursor { at: flag.raised_at, id: flag.id.0 }.write(list)
    }
}

/// A flag with its patient.
type Row = (Flag, Patient);

/// Loads a page of the worklist, and the cursor of the next one.
fn page(
    tx: &mut Tx,
    filter: &IntakeFlagFilter,
    after: Option<Position>,
    limit: Limit,
) -> Result<(Vec<Row>, Option<String>)> {
    const RANK: &str =
        "CASE intake_flags.urgency WHEN 'emergency' THEN 0 WHEN 'same_day' THEN 1 WHEN 'prompt' THEN 2 ELSE 3 END";
    let ranked = || diesel::dsl::sql::<Integer>(RANK);
    let mut query = intake_flags::table
        .inner_join(patients::table.on(patients::id.eq(intake_flags::patient_id)))
        .select((Flag::as_select(), Patient::as_select()))
        .into_boxed();
    query = if filter.acknowledged == Some(true) {
        query.filter(intake_flags::acknowledged_at.is_not_null())
    } else {
        query.filter(intake_flags::acknowledged_at.is_null())
    };
    if let Some(urgency) = filter.urgency {
        query = query.filter(intake_flags::urgency.eq(urgency));
    }
    if let Some(id) = filter.practitioner_id {
        query = query.filter(intake_flags::owner_id.eq(id));
    }
    if let Some(id) = filter.patient_id {
        query = query.filter(intake_flags::patient_id.eq(id));
    }
    if let Some(id) = filter.intake_id {
        query = query.filter(intake_flags::intake_id.eq(id));
    }
    if !is_clinician(tx.actor) {
        query = query.filter(intake_flags::urgency.eq_any([FlagUrgency::Emergency, FlagUrgency::SameDay]));
    }
    if let Some(Position { rank, cursor: Cursor { at, id } }) = after {
        let id = IntakeFlagId(id);
        let behind = intake_flags::raised_at.gt(at).or(intake_flags::raised_at.eq(at).and(intake_flags::id.gt(id)));
        query = query.filter(ranked().gt(rank).or(ranked().eq(rank).and(behind)));
    }
    let mut rows: Vec<Row> =
        query.order((ranked(), intake_flags::raised_at, intake_flags::id)).limit(limit.query()).load(tx.conn)?;
    let has_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) == limit.query();
    if has_more {
        rows.pop();
    }
    let next = rows.last().filter(|_| has_more).map(|(flag, _)| Position::write(flag));
    Ok((rows, next))
}

/// The acknowledgement of a flag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "Called the patient; comes in tomorrow."}))]
pub struct AcknowledgeIntakeFlagRequest {
    /// What was done about it, at most 1000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

impl AcknowledgeIntakeFlagRequest {
    fn checked_note(self) -> Result<Option<String>> {
        let mut check = Check::new();
        let note = self.note.and_then(|note| check.field("/note", text::lines(&note, text::MAX_NOTE)));
        check.done()?;
        Ok(note)
    }
}

/// Acknowledges a flag.
///
/// # Errors
/// [`Error::NotFound`]; forbidden if the practitioner has to give a reason; the conflict `already_acknowledged`; those of
/// [`records::lock_visits`].
pub async fn acknowledge(
    context: &Context,
    once: Once,
    id: IntakeFlagId,
    request: AcknowledgeIntakeFlagRequest,
) -> Result<IntakeFlagView> {
    context.require(Action::IntakeFlagAcknowledge)?;
    let note = request.checked_note()?;
    context
        .change_once(once.guarded(care::admit_repeat), move |tx| {
            let patient = patient_of(tx.conn, id)?;
            tx.audit.note_patient(patient.id);
            // Answers, laboratory results, merges and undos read whole flags and write them back. Without the lock, they would overwrite
            // the acknowledgement.
            records::lock_visits(tx.conn, patient.id)?;
            care::admit(tx.conn, tx.env, tx.actor, patient.id)?;
            let flag = store_acknowledgement(tx, id, patient.id, note.as_ref())?;
            IntakeFlagView::new(tx.env, true, &flag, &patient)
        })
        .await
}

fn patient_of(conn: &mut Conn, id: IntakeFlagId) -> Result<Patient> {
    Ok(intake_flags::table
        .inner_join(patients::table.on(patients::id.eq(intake_flags::patient_id)))
        .filter(intake_flags::id.eq(id))
        .select(Patient::as_select())
        .first(conn)?)
}

fn store_acknowledgement(tx: &mut Tx, id: IntakeFlagId, patient: PatientId, note: Option<&String>) -> Result<Flag> {
    let note = note.map(|note| tx.env.sealer.seal(Flag::place("note", id), note)).transpose()?;
    let open = intake_flags::table.filter(intake_flags::id.eq(id)).filter(intake_flags::acknowledged_at.is_null());
    let rows = diesel::update(open)
        .set((
            intake_flags::acknowledged_at.eq(tx.now),
            intake_flags::acknowledged_by.eq(tx.actor.user_id),
            intake_flags::note.eq(note),
        ))
        .execute(tx.conn)?;
    let flag: Flag = intake_flags::table.find(id).select(Flag::as_select()).first(tx.conn)?;
    records::require_same_owner(patient, flag.patient_id)?;
    if rows != 1 {
        return Err(Error::conflict(ProblemCode::AlreadyAcknowledged, "The flag is acknowledged already."));
    }
    Ok(flag)
}

/// List flags
///
/// The worklist of open flags, the most urgent first. Practitioners see every flag with its urgency, owner and patient. They see what a
/// flag is about (`rule`, `text`, `acknowledged_by`, `note`) if they may read the patient's intakes: with an appointment, as the flag's
/// owner, or after they opened the record for a reason. Other staff see the urgent flags (emergency, same day) with their patients, but
/// not what they are about.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intake_flags",
    security(("bearer" = [])),
    params(IntakeFlagFilter),
    responses((status = 200, description = "A page", body = IntakeFlagPage)),
)]
#[get("/v1/intake-flags")]
pub(super) async fn list_intake_flags(
    context: Context,
    Params(filter): Params<IntakeFlagFilter>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter).await?))
}

/// Acknowledge a flag
///
/// Stores which account acknowledged it and when, with a note for the other practitioners. A practitioner who may not read the patient's
/// intakes gives a reason in `Access-Reason`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "acknowledge_intake_flag",
    security(("bearer" = [])),
    params(
        ("id" = IntakeFlagId, Path, description = "The flag"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = AcknowledgeIntakeFlagRequest,
    responses(
        (status = 200, description = "Acknowledged", body = IntakeFlagView),
        (status = 409, description = "`already_acknowledged`: another account acknowledged it before"),
    ),
)]
#[post("/v1/intake-flags/{id}/acknowledge")]
pub(super) async fn acknowledge_intake_flag(
    context: Context,
    PathId(id): PathId<IntakeFlagId>,
    key: IdempotencyKey,
    body: Body<AcknowledgeIntakeFlagRequest>,
) -> Result<HttpResponse> {
    Ok(response::ok(&acknowledge(&context, key.once(&body.raw), id, body.value).await?))
}
