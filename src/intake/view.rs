//! Reading an intake, as far as the caller may see it.

use actix_web::{HttpResponse, get};
use rls::issues::{Code, Issue};
use rls::{Computed, FlagNotice, Viewer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use text::Language;
use utoipa::ToSchema;

use super::details::IntakeDetails;
use super::model::IntakeStatus;
use super::reading_context::ReadingContext;
use super::store::Intake;
use super::{flags, from_value, stored_review};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::response::{self, Versioned};
use crate::ids::{IntakeId, PatientId};
use crate::patients::care;

/// An intake (FHIR `QuestionnaireResponse`).
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Intake, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "form": "rls-history", "form_version": "1.3.0", "status": "in-progress",
    "answers": {"safety": {"chest_pain_breathlessness": "yes"}},
    "computed": {"kind": "open_issues", "issues": [{"pointer": "/answers/symptoms/urge_to_move_legs", "code": "required", "severity": "error"}]},
    "notices": [{"rule": "chest_pain_breathlessness", "urgency": "emergency", "text": "Call 911 now. Do not wait for an answer to this form: it is not watched in real time."}],
    "completeness": {"complete": false, "missing": 1}, "clinician_only_fields": ["irls.items"],
    "fields_not_asked": ["symptoms.childs_own_words"], "copied_from": null, "authored_at": "2026-03-02T14:00:00Z",
    "submitted_at": null, "reviewed_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct IntakeView {
    /// The intake.
    pub id: IntakeId,
    /// The patient.
    pub patient_id: PatientId,
    /// The name of the form.
    #[schema(examples("rls-history"))]
    pub form: String,
    /// The version of the form that the answers were given for.
    #[schema(examples("1.3.0"))]
    pub form_version: String,
    /// The status.
    pub status: IntakeStatus,
    /// The answers that the caller may see. Missing if the caller may see none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<rls::Answers>, nullable = false)]
    pub answers: Option<Value>,
    /// What is computed from the answers. Missing if the caller may see no answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub computed: Option<IntakeComputed>,
    /// Texts that the person who answers must see at once, the most urgent first.
    pub notices: Vec<FlagNotice>,
    /// Whether required answers are missing.
    pub completeness: IntakeCompleteness,
    /// The ids of the fields that the caller neither sees nor answers, because they are for clinicians. Clients do not show them.
    #[serde(default)]
    #[schema(max_items = 200)]
    pub clinician_only_fields: Vec<String>,
    /// The ids of the fields that are not asked about a patient of this age. Clients do not show them, unless they have an answer.
    #[serde(default)]
    #[schema(max_items = 200)]
    pub fields_not_asked: Vec<String>,
    /// The number of its urgent flags (emergency, same day) that are not acknowledged. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub urgent_flags: Option<u32>,
    /// The review of the current answers. Practitioners only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub review: Option<rls::Review>,
    /// Why it was entered in error. Practitioners only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub void_reason: Option<String>,
    /// The intake from which its first answers were copied.
    pub copied_from: Option<IntakeId>,
    /// When the answers were last changed.
    pub authored_at: Timestamp,
    /// When it was submitted.
    pub submitted_at: Option<Timestamp>,
    /// When a practitioner reviewed the current answers.
    pub reviewed_at: Option<Timestamp>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last changed in any way.
    pub updated_at: Timestamp,
}

/// What is computed from the answers.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum IntakeComputed {
    /// Everything. Practitioners only.
    Findings(Box<IntakeFindings>),
    /// What is missing or inconsistent, for the other callers who see the answers.
    OpenIssues(IntakeOpenIssues),
}

/// Everything that is computed from the answers. A summary for a clinician's review, never a diagnosis.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct IntakeFindings {
    /// The computed values.
    #[serde(flatten)]
    pub computed: Computed,
    /// The version of the rules.
    #[schema(examples("2026.6"))]
    pub rule_set_version: String,
}

/// What is missing or inconsistent in the answers.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct IntakeOpenIssues {
    /// The issues. Errors block the submission, warnings do not.
    pub issues: Vec<Issue>,
}

/// Whether required answers of an intake are missing.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct IntakeCompleteness {
    /// Whether nothing blocks the submission.
    pub complete: bool,
    /// The number of required questions that are open or were not asked.
    #[schema(minimum = 0)]
    pub missing: usize,
}

/// What the rules compute from an intake: stored for a submitted intake, computed now for a draft.
pub(super) struct Findings {
    pub answers: Value,
    /// The computed values.
    pub computed: Computed,
    /// The version of the rules.
    pub rule_set_version: String,
}

impl Findings {
    /// Decrypts or computes them.
    pub fn new(env: &Env, intake: &Intake, reading: &ReadingContext) -> Result<Self> {
        let answers = Value::Object(intake.open_answers(env)?);
        let (computed, rule_set_version) = match intake.open_computed(env)? {
            Some(stored) => {
                let version = stored["rule_set_version"].as_str().unwrap_or_default().to_owned();
                let computed = serde_json::from_value(stored)
                    .map_err(|_| Error::fault("the rules cannot read stored computed values"))?;
                (computed, version)
            }
            None => (rls::compute(&from_value(&answers)?, &reading.facts), rls::RULE_SET_VERSION.to_owned()),
        };
        Ok(Self { answers, computed, rule_set_version })
    }

    /// Returns what the actor may see of them.
    pub fn view(&self, intake: &Intake, reading: &ReadingContext) -> rls::View {
        let is_submitted = intake.status != IntakeStatus::InProgress;
        rls::view(reading.viewer(), is_submitted, &self.answers, &self.computed, &reading.facts)
    }
}

impl IntakeView {
    /// Shows an intake as the actor may see it, with its version.
    pub(super) fn versioned(tx: &mut Tx, details: IntakeDetails) -> Result<Versioned<Self>> {
        let ids = [details.intake.id];
        let is_staff = tx.actor.role.is_staff();
        let urgent_flags = if is_staff { flags::count_urgent(tx.conn, &ids)?.into_values().next() } else { None };
        let version = details.intake.version;
        Ok(Versioned { version, object: Self::new(tx, details, urgent_flags.unwrap_or_default())? })
    }

    /// Shows an intake as the actor may see it. `urgent_flags` is the number of its urgent flags that are not acknowledged.
    pub(super) fn new(tx: &Tx, details: IntakeDetails, urgent_flags: u32) -> Result<Self> {
        let IntakeDetails { intake, patient, reading } = details;
        let reading = reading.with_review(tx.env, &intake)?;
        let findings = Findings::new(tx.env, &intake, &reading)?;
        let view = findings.view(&intake, &reading);
        let open = |issue: &&Issue| matches!(issue.code, Code::Required | Code::NotAsked);
        let completeness = IntakeCompleteness {
            complete: view.complete,
            missing: findings.computed.issues.iter().filter(open).count(),
        };
        // An intake that was entered in error may have the answers of another patient.
        let may_see = intake.status != IntakeStatus::EnteredInError || reading.viewer() == Viewer::Practitioner;
        let computed = match view.computed {
            Some(computed) => {
                let rule_set_version = findings.rule_set_version;
                Some(IntakeComputed::Findings(Box::new(IntakeFindings { computed, rule_set_version })))
            }
            None => {
                view.answers.is_some().then_some(IntakeComputed::OpenIssues(IntakeOpenIssues { issues: view.issues }))
            }
        };
        let language = Language::of_tag(&patient.preferred_language);
        let numbers = reading.place.numbers(&tx.env.config.settings);
        let is_practitioner = reading.is_practitioner();
        Ok(Self {
            id: intake.id,
            patient_id: intake.patient_id,
            answers: view.answers.filter(|_| may_see),
            computed: computed.filter(|_| may_see),
            notices: if may_see { rls::flag_notices(&view.flags, language, &numbers) } else { Vec::new() },
            completeness,
            clinician_only_fields: closed_fields(&reading),
            fields_not_asked: rls::field_access::fields_not_asked(&reading.facts),
            urgent_flags: tx.actor.role.is_staff().then_some(urgent_flags),
            review: if is_practitioner { stored_review::open(tx.env, &intake)? } else { None },
            void_reason: if is_practitioner { intake.open_void_reason(tx.env)? } else { None },
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

/// The fields that the caller neither sees nor answers.
fn closed_fields(reading: &ReadingContext) -> Vec<String> {
    let mut fields = rls::clinician_only_fields(&reading.facts);
    if matches!(reading.viewer(), Viewer::GuardianOfMinor | Viewer::GivenForMinor) {
        let hidden = rls::field_access::field_ids(|field| field.private_for_minors).into_iter().map(str::to_owned);
        fields.extend(hidden);
    }
    fields.retain(|id| reading.facts.form.asks(id));
    fields.sort();
    fields.dedup();
    fields
}

/// Returns the texts that the caller must see at once, in the language of the page on which they stand. Those of the intake are in the
/// language of the patient's record.
///
/// # Errors
/// Those of [`read`].
pub async fn notices(context: &Context, id: IntakeId, language: Language) -> Result<Vec<FlagNotice>> {
    context.require(Action::IntakeRead)?;
    care::read_clinical(context, move |tx| {
        let IntakeDetails { intake, reading, .. } = IntakeDetails::load(tx, id)?;
        if intake.status == IntakeStatus::EnteredInError {
            return Ok(Vec::new());
        }
        let reading = reading.with_review(tx.env, &intake)?;
        let view = Findings::new(tx.env, &intake, &reading)?.view(&intake, &reading);
        Ok(rls::flag_notices(&view.flags, language, &reading.place.numbers(&tx.env.config.settings)))
    })
    .await
}

/// Reads an intake.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the patient; forbidden if a practitioner has to give a reason.
pub async fn read(context: &Context, id: IntakeId) -> Result<Versioned<IntakeView>> {
    context.require(Action::IntakeRead)?;
    care::read_clinical(context, move |tx| {
        let details = IntakeDetails::load(tx, id)?;
        IntakeView::versioned(tx, details)
    })
    .await
}

/// Read an intake
///
/// Patients see their own answers. Practitioners see everything, drafts too. The front desk sees the answers of drafts; of submitted
/// intakes it sees whether they are complete and have urgent flags.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_intake",
    security(("bearer" = [])),
    params(("id" = IntakeId, Path, description = "The intake")),
    responses((status = 200, description = "The intake", body = IntakeView)),
)]
#[get("/v1/intakes/{id}")]
pub(super) async fn get_intake(context: Context, PathId(id): PathId<IntakeId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use rls::FilledBy;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_result_is_shown_again_as_it_was() {
        let answers = json!({
            "symptoms": {"urge_to_move_legs": "yes", "severity_0_10": 7},
            "labs": [
                {"test": "iron", "value": 60.5, "unit": "ug/dL", "collected_on": "2026-05-12"},
                {"test": "tibc", "value": 353, "unit": "ug/dL", "collected_on": "2026-05-12"}
            ],
            "medications": [{"name": "pramipexole", "status": "current", "for_rls": "yes"}]
        });
        let facts = rls::Context::new(date(1967, 9, 14), date(2026, 6, 3), FilledBy::Practitioner);
        let computed = rls::compute(&from_value(&answers).expect("answers"), &facts);
        let issues = computed.issues.clone();
        let rule_set_version = rls::RULE_SET_VERSION.to_owned();
        for shown in [
            IntakeComputed::Findings(Box::new(IntakeFindings { computed, rule_set_version })),
            IntakeComputed::OpenIssues(IntakeOpenIssues { issues }),
        ] {
            let stored = serde_json::to_value(&shown).expect("JSON");
            let again: IntakeComputed = serde_json::from_value(stored.clone()).expect("the stored result");
            assert_eq!(serde_json::to_value(&again).expect("JSON"), stored);
        }
    }
}
