//! The worklist of what intakes raise.

use std::collections::HashSet;

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::lists::IntakePatient;
use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Endpoints, IdempotencyKey, Limit, Params, PathId};
use crate::ids::{IntakeFlagId, IntakeId, PatientId, PractitionerId, UserId};
use crate::intake::flags::{self, Filter, Flag};
use crate::intake::model::FlagUrgency;
use crate::intake::rls;
use crate::patients::care;
use crate::patients::model::Patient;
use crate::text;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_intake_flags).service(acknowledge_intake_flag);
}

/// The longest note, in characters.
const NOTE: usize = 1000;

/// Something in an intake that the staff must look at. No flag does not mean safe.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeFlag, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c58", "intake_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient": {"id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14", "mrn": "LW-001001"},
    "urgency": "prompt", "rule": "impulse_behavior", "text": "Patient reported urges that are new or stronger; clinician review requested.",
    "owner_id": "0199d0c2-1f00-7aaa-8000-000000000002", "raised_at": "2026-03-02T14:00:00Z", "withdrawn_at": null,
    "acknowledged_at": null
}))]
pub struct IntakeFlagDto {
    /// The flag.
    id: IntakeFlagId,
    /// The intake that raised it.
    intake_id: IntakeId,
    /// Whose intake that is.
    patient: IntakePatient,
    /// How soon it must be looked at.
    urgency: FlagUrgency,
    /// The rule that raised it. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("impulse_behavior"))]
    rule: Option<String>,
    /// What the rule says. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<String>,
    /// The practitioner who owns it: whom the patient sees next. Null without such a visit. A visit that practitioners place
    /// with themselves makes them the owner when the patient is checked in.
    owner_id: Option<PractitionerId>,
    /// When it was raised.
    raised_at: Timestamp,
    /// When the answers ceased to raise it; it stays open until somebody acknowledges it.
    withdrawn_at: Option<Timestamp>,
    /// When somebody acknowledged it; null while it is open.
    acknowledged_at: Option<Timestamp>,
    /// Which account. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    acknowledged_by: Option<UserId>,
    /// With what words. Only for practitioners who may read the patient's intakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note: Option<String>,
}

impl IntakeFlagDto {
    /// `clinical` is whether the reader may know what the flag is about.
    pub(super) fn new(env: &Env, clinical: bool, flag: &Flag, patient: &Patient) -> Result<Self> {
        let rule = if clinical { Some(flag.open_rule(env)?) } else { None };
        let text = rule.as_deref().and_then(|rule| text_of(rule, flag.urgency));
        Ok(Self {
            id: flag.id,
            intake_id: flag.intake_id,
            patient: patient.into(),
            urgency: flag.urgency,
            rule,
            text,
            owner_id: flag.owner_id,
            raised_at: flag.raised_at,
            withdrawn_at: flag.withdrawn_at,
            acknowledged_at: flag.acknowledged_at,
            acknowledged_by: flag.acknowledged_by.filter(|_| clinical),
            note: if clinical { flag.open_note(env)? } else { None },
        })
    }
}

/// What the staff read of a flag; nothing where the rule is one of an older version.
pub(super) fn text_of(rule: &str, urgency: FlagUrgency) -> Option<String> {
    let rule = rls::Rule::ALL.iter().copied().find(|known| known.as_str() == rule)?;
    Some(rls::notices::staff_text(rls::Flag { rule, urgency: urgency.into() }))
}

/// Whether the actor's role lists every flag, and knows what those of their patients are about.
fn is_clinician(actor: &Actor) -> bool {
    actor.require(Action::IntakeFlagAcknowledge).is_ok()
}

/// A page of the worklist.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct IntakeFlagPage {
    /// The most urgent first, of those the oldest.
    items: Vec<IntakeFlagDto>,
    /// For `cursor`; null on the last page.
    next_cursor: Option<String>,
}

/// Which flags to list; all that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct IntakeFlagFilter {
    /// Acknowledged or open; the open ones unless this says otherwise.
    acknowledged: Option<bool>,
    /// As urgent as this.
    urgency: Option<FlagUrgency>,
    /// Of this practitioner's.
    practitioner_id: Option<PractitionerId>,
    /// Of this patient.
    patient_id: Option<PatientId>,
    /// Of this intake.
    intake_id: Option<IntakeId>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List what intakes raised
///
/// The worklist: the open flags, the most urgent first. Practitioners see every flag with its urgency, owner and patient. What
/// a flag is about (`rule`, `text`, `acknowledged_by`, `note`) they see where they may read the patient's intakes: with an
/// appointment, as the flag's owner, or after they opened the record for a reason. The other staff see that something urgent
/// is there, and whose.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intake_flags",
    security(("bearer" = [])),
    params(IntakeFlagFilter),
    responses((status = 200, description = "A page", body = IntakeFlagPage)),
)]
#[get("/v1/intake-flags")]
async fn list_intake_flags(
    env: web::Data<Env>,
    actor: Actor,
    filter: Params<IntakeFlagFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeFlagRead)?;
    let given = filter.0;
    let (after, limit) = (flags::after(given.cursor.as_deref())?, Limit::new(given.limit)?);
    let filter = Filter {
        acknowledged: Some(given.acknowledged.unwrap_or(false)),
        urgency: given.urgency,
        owner_id: given.practitioner_id,
        patient_id: given.patient_id,
        intake_id: given.intake_id,
        urgent_only: !is_clinician(&actor),
    };
    let shared = env.clone();
    let page = env.db.read(move |conn| {
        let (rows, next_cursor) = flags::list(conn, &filter, after, limit)?;
        let open = if is_clinician(&actor) {
            let patients = rows.iter().map(|(_, patient)| patient.id).collect();
            care::open_among(conn, &shared, &actor, patients)?
        } else {
            HashSet::new()
        };
        let dto = |(flag, patient): &(Flag, Patient)| {
            actor.trail.note_shown([patient.id]);
            IntakeFlagDto::new(&shared, open.contains(&patient.id), flag, patient)
        };
        let items = rows.iter().map(dto).collect::<Result<_>>()?;
        Ok(IntakeFlagPage { items, next_cursor })
    });
    Ok(HttpResponse::Ok().json(page.await?))
}

/// That somebody has looked at a flag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "Called the patient; comes in tomorrow."}))]
struct IntakeFlagAcknowledgement {
    /// What was done about it.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: Option<String>,
}

/// Acknowledge a flag
///
/// Says who has looked at it, and when, with a note for the other practitioners. A practitioner who may not read the
/// patient's intakes gives a reason in `Access-Reason`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "acknowledge_intake_flag",
    security(("bearer" = [])),
    params(
        ("id" = IntakeFlagId, Path, description = "The flag"),
        ("Idempotency-Key" = Option<String>, Header, description = "A fresh random value; send the same one with a repeat", max_length = 255),
    ),
    request_body = IntakeFlagAcknowledgement,
    responses(
        (status = 200, description = "Acknowledged", body = IntakeFlagDto),
        (status = 409, description = "`already_acknowledged`: somebody was quicker; \
            `request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/intake-flags/{id}/acknowledge")]
async fn acknowledge_intake_flag(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<IntakeFlagId>,
    key: IdempotencyKey,
    body: Body<IntakeFlagAcknowledgement>,
) -> Result<HttpResponse> {
    actor.require(Action::IntakeFlagAcknowledge)?;
    let mut check = Check::new();
    let note = body.note.as_deref().and_then(|note| check.field("/note", text::lines(note, NOTE)));
    check.done()?;
    let (shared, id) = (env.clone(), id.0);
    let operation = format!("acknowledge_intake_flag {id}");
    let request = Request::of(&actor, operation, key, &body.raw).guarded(care::repeats(&env, &actor));
    idempotency::run(&env, request, move |tx| {
        let (_, patient) = flags::find(tx, id)?;
        actor.trail.note_patient(patient.id);
        care::admit(tx, &shared, &actor, patient.id)?;
        let flag = flags::acknowledge(tx, &shared, &actor, id, note.as_deref())?;
        audit::record(tx, &shared, &actor.trail, id.0)?;
        Answer::json(200, &IntakeFlagDto::new(&shared, true, &flag, &patient)?)
    })
    .await
}
