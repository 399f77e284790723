//! An intake as somebody may see it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::{IntakeId, IntakeVersionId, PatientId, UserId};
use crate::intake::access::Bearings;
use crate::intake::model::IntakeStatus;
use crate::intake::rls::issues::{Code, Issue};
use crate::intake::rls::{self, Computed, FilledBy, Notice, Viewer};
use crate::intake::store::{self, Intake, Replaced};
use crate::intake::{Rules, from_value, review};
use crate::patients::model::Patient;

/// An intake (FHIR `QuestionnaireResponse`).
#[derive(Serialize, ToSchema)]
#[schema(as = Intake, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "form": "rls-history", "form_version": "1.0.0", "status": "in-progress",
    "answers": {"safety": {"chest_pain_breathlessness": "yes"}},
    "computed": {"issues": [{"pointer": "/answers/symptoms/urge_to_move_legs", "code": "required", "severity": "error"}]},
    "notices": [{"rule": "chest_pain_breathlessness", "urgency": "emergency", "text": "Call 911 now. Do not wait for an answer to this form: it is not watched in real time."}],
    "completeness": {"complete": false, "missing": 1}, "copied_from": null, "authored_at": "2026-03-02T14:00:00Z",
    "submitted_at": null, "reviewed_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct IntakeDto {
    /// The intake.
    pub id: IntakeId,
    /// Whose history it is.
    pub patient_id: PatientId,
    /// The form's name.
    #[schema(examples("rls-history"))]
    pub form: String,
    /// The version of the form that the answers were given for.
    #[schema(examples("1.0.0"))]
    pub form_version: String,
    /// Where it stands.
    pub status: IntakeStatus,
    /// What was answered, as far as the caller may see it; missing where they may see none of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<rls::Answers>, nullable = false)]
    pub answers: Option<Value>,
    /// What follows from the answers; missing where the caller may see none of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub computed: Option<IntakeComputed>,
    /// What the answers call for at once, the most urgent first: show it to whoever saves them.
    pub notices: Vec<Notice>,
    /// Whether something is missing.
    pub completeness: IntakeCompleteness,
    /// How many urgent flags of it (emergency, same day) nobody has acknowledged; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub urgent_flags: Option<u32>,
    /// The review of the present answers; for practitioners only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub review: Option<rls::Review>,
    /// Why it was entered in error; for practitioners only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub void_reason: Option<String>,
    /// The intake that it began from.
    pub copied_from: Option<IntakeId>,
    /// When its answers were last written.
    pub authored_at: Timestamp,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// When a practitioner reviewed the present answers.
    pub reviewed_at: Option<Timestamp>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last changed in any way.
    pub updated_at: Timestamp,
}

/// What follows from the answers.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum IntakeComputed {
    /// All of it; for practitioners.
    All(Box<IntakeFindings>),
    /// What is missing or does not fit; for everybody else who sees the answers.
    Open(IntakeOpenIssues),
}

/// Everything that follows from the answers. A summary for a clinician's review, never a diagnosis.
#[derive(Serialize, ToSchema)]
pub struct IntakeFindings {
    /// What the rules found.
    #[serde(flatten)]
    pub computed: Computed,
    /// The version of the rules.
    #[schema(examples("2026.1"))]
    pub rule_set_version: String,
}

/// What is missing in the answers, or does not fit.
#[derive(Serialize, ToSchema)]
pub struct IntakeOpenIssues {
    /// Errors block the submission, nothing else.
    pub issues: Vec<Issue>,
}

/// Whether something is missing in an intake.
#[derive(Serialize, ToSchema)]
pub struct IntakeCompleteness {
    /// Whether nothing blocks the submission.
    pub complete: bool,
    /// How many required questions are open, or were not asked.
    #[schema(minimum = 0)]
    pub missing: usize,
}

/// What the rules make of an intake: of a draft as it is now, else as it was kept.
pub struct Findings {
    /// The answers.
    pub answers: Value,
    /// What follows.
    pub computed: Computed,
    /// By which version of the rules.
    pub rule_set_version: String,
}

impl Findings {
    /// Looks them up.
    ///
    /// # Errors
    /// A fault, if something does not open.
    pub fn of(env: &Env, intake: &Intake, bearings: &Bearings) -> Result<Self> {
        let answers = Value::Object(intake.open_answers(env)?);
        let kept = intake.open_computed(env)?;
        let (computed, rule_set_version) = match kept {
            Some(kept) => {
                let version = kept["rule_set_version"].as_str().unwrap_or_default().to_owned();
                let computed = serde_json::from_value(kept)
                    .map_err(|_| Error::fault("kept findings that the rules cannot read"))?;
                (computed, version)
            }
            None => (rls::compute(&from_value(&answers)?, &bearings.context), rls::RULE_SET_VERSION.to_owned()),
        };
        Ok(Self { answers, computed, rule_set_version })
    }
}

impl IntakeDto {
    /// The intake as the actor may see it, with its version.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn find(tx: &mut Conn, env: &Env, rules: &Rules, actor: &Actor, id: IntakeId) -> Result<(i32, Self)> {
        let (intake, patient) = store::visible(tx, env, actor, id)?;
        let urgent = store::urgent_flags(tx, &[id])?.get(&id).copied().unwrap_or_default();
        let bearings = Bearings::take(tx, env, rules, actor, &patient)?.reviewed(env, &intake)?;
        Ok((intake.version, Self::new(env, actor, intake, &patient, &bearings, urgent)?))
    }

    /// The intake as the actor may see it.
    ///
    /// # Errors
    /// A fault, if something does not open.
    pub(super) fn new(
        env: &Env,
        actor: &Actor,
        intake: Intake,
        patient: &Patient,
        bearings: &Bearings,
        urgent: u32,
    ) -> Result<Self> {
        let findings = Findings::of(env, &intake, bearings)?;
        let viewer = bearings.viewer();
        let submitted = intake.status != IntakeStatus::InProgress;
        let view = rls::view(viewer, submitted, &findings.answers, &findings.computed, &bearings.context);
        let open = |issue: &&Issue| matches!(issue.code, Code::Required | Code::NotAsked);
        let completeness = IntakeCompleteness {
            complete: view.complete,
            missing: findings.computed.issues.iter().filter(open).count(),
        };
        // What was entered in error counts for nothing, and may be another patient's.
        let sees = intake.status != IntakeStatus::EnteredInError || viewer == Viewer::Practitioner;
        let computed = match view.computed {
            Some(computed) => {
                let rule_set_version = findings.rule_set_version;
                Some(IntakeComputed::All(Box::new(IntakeFindings { computed, rule_set_version })))
            }
            None => view.answers.is_some().then_some(IntakeComputed::Open(IntakeOpenIssues { issues: view.issues })),
        };
        let language = rls::Language::of_tag(&patient.preferred_language);
        let numbers = bearings.surroundings.numbers(&env.config.settings);
        let clinician = bearings.filled_by == FilledBy::Practitioner;
        Ok(Self {
            id: intake.id,
            patient_id: intake.patient_id,
            answers: view.answers.filter(|_| sees),
            computed: computed.filter(|_| sees),
            notices: if sees { rls::notices(&view.flags, language, &numbers) } else { Vec::new() },
            completeness,
            urgent_flags: actor.role.is_staff().then_some(urgent),
            review: if clinician { review::of(env, &intake)? } else { None },
            void_reason: if clinician { intake.open_void_reason(env)? } else { None },
            form: intake.form,
            form_version: intake.form_version,
            status: intake.status,
            copied_from: intake.copied_from,
            authored_at: intake.authored_at,
            submitted_at: intake.submitted_at,
            reviewed_at: intake.reviewed_at,
            created_at: intake.created_at,
            updated_at: intake.updated_at,
        })
    }
}

/// What an amendment or a further review of an intake replaced.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeVersion, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c57", "version": 2, "form_version": "1.0.0", "status": "completed",
    "answers": {"symptoms": {"urge_to_move_legs": "yes"}}, "computed": null, "review": null, "reason": "The year was mistaken.",
    "authored_at": "2026-03-02T14:00:00Z", "authored_by": "0199d0c2-1f00-7aaa-8000-000000000003", "reviewed_at": null,
    "reviewed_by": null, "replaced_at": "2026-03-03T14:00:00Z", "replaced_by": "0199d0c2-1f00-7aaa-8000-000000000003"
}))]
pub struct IntakeVersionDto {
    /// Of what is kept.
    pub id: IntakeVersionId,
    /// The intake's version while it stood.
    #[schema(minimum = 1)]
    pub version: i32,
    /// The version of the form.
    pub form_version: String,
    /// Where the intake stood.
    pub status: IntakeStatus,
    /// What was answered.
    #[schema(value_type = rls::Answers)]
    pub answers: Value,
    /// What followed from it, as it was computed then.
    #[schema(value_type = Option<Object>)]
    pub computed: Option<Value>,
    /// Its review.
    pub review: Option<rls::Review>,
    /// Why it was replaced.
    pub reason: String,
    /// When the answers were written.
    pub authored_at: Timestamp,
    /// By which account.
    pub authored_by: UserId,
    /// When they were reviewed.
    pub reviewed_at: Option<Timestamp>,
    /// By which account.
    pub reviewed_by: Option<UserId>,
    /// When they were replaced.
    pub replaced_at: Timestamp,
    /// By which account.
    pub replaced_by: UserId,
}

impl IntakeVersionDto {
    /// Shows it.
    ///
    /// # Errors
    /// A fault, if something does not open.
    pub fn new(env: &Env, row: &Replaced) -> Result<Self> {
        let open = |column: &'static str, sealed: &Option<crate::sealed::Sealed<Value>>| {
            sealed.as_ref().map(|it| env.sealer.open(store::replaced_place(column, row.id), it)).transpose()
        };
        Ok(Self {
            id: row.id,
            version: row.version,
            form_version: row.form_version.clone(),
            status: row.status,
            answers: Value::Object(env.sealer.open(store::replaced_place("answers", row.id), &row.answers)?),
            computed: open("computed", &row.computed)?,
            review: open("review", &row.review)?.map(review::read).transpose()?,
            reason: env.sealer.open(store::replaced_place("reason", row.id), &row.reason)?,
            authored_at: row.authored_at,
            authored_by: row.authored_by,
            reviewed_at: row.reviewed_at,
            reviewed_by: row.reviewed_by,
            replaced_at: row.replaced_at,
            replaced_by: row.replaced_by,
        })
    }
}
