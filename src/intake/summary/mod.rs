//! The summary of an intake: for practitioners everything in the order of a consultation, for patients their answers in plain
//! language. Both also as a page to print.

pub mod answer_text;
mod changes;
mod clinical;
mod follow_up;
mod labs;
mod material;
mod named_answers;
mod opening;
mod page;
mod plain;
mod previous;
mod safety_history;
mod short_labels;
mod treatments;
mod words;

use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get};
use jiff::tz::TimeZone;
use rls::{FormName, Viewer};
use serde::Serialize;
use serde_json::Value;
use text::Language;
use utoipa::ToSchema;

pub use self::clinical::ClinicalSummary;
pub use self::follow_up::FollowUpSummary;
use self::material::Material;
use self::page::Frame;
pub use self::page::PageLink;
pub use self::plain::PlainSummary;
use self::previous::Previous;
use super::details::IntakeDetails;
use super::follow_up::answers::{self, FollowUpAnswers};
use super::model::IntakeStatus;
use super::reading_context::ReadingContext;
use super::reading_language::ReadingLanguage;
use super::store::Intake;
use super::view::Findings;
use super::{flags, from_value, stored_review};
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::accept::prefers;
use crate::http::{Params, PathId, response};
use crate::ids::{IntakeId, PatientId};
use crate::patients::care;

/// The summary of an intake for its reader.
#[derive(Serialize, ToSchema)]
#[serde(tag = "audience", rename_all = "snake_case")]
pub enum IntakeSummary {
    /// For practitioners.
    Practitioner(Box<ClinicalSummary>),
    /// For practitioners, of a follow-up.
    FollowUp(Box<FollowUpSummary>),
    /// For the patient, and accounts that act for the patient.
    Patient(PlainSummary),
}

/// The summary of an intake, with what its page shows beside it.
pub struct FoundSummary {
    pub summary: IntakeSummary,
    pub patient_id: PatientId,
    /// The time zone of the patient's place of care.
    zone: TimeZone,
}

/// Reads the summary of an intake.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the intake or its answers; forbidden if a practitioner has to give a reason.
pub async fn read(context: &Context, id: IntakeId, wanted: &ReadingLanguage) -> Result<FoundSummary> {
    context.require(Action::ClinicalRead)?;
    let wanted = wanted.checked()?;
    care::read_clinical(context, move |tx| {
        let details = IntakeDetails::load(tx, id)?;
        let (patient_id, zone) = (details.intake.patient_id, details.reading.place.zone()?);
        Ok(FoundSummary { summary: summarise(tx, details, wanted)?, patient_id, zone })
    })
    .await
}

fn summarise(tx: &mut Tx, details: IntakeDetails, wanted: Option<Language>) -> Result<IntakeSummary> {
    let IntakeDetails { intake, patient, reading } = details;
    let reading = reading.with_review(tx.env, &intake)?;
    if intake.status == IntakeStatus::EnteredInError && !reading.is_practitioner() {
        return Err(Error::NotFound);
    }
    let findings = Findings::new(tx.env, &intake, &reading)?;
    let seen = findings.view(&intake, &reading).answers.ok_or(Error::NotFound)?;
    let answers = from_value(&seen)?;
    let Value::Object(raw) = seen else { return Err(Error::fault("answers are not an object")) };
    let facts = reading.facts_at(intake.authored_at)?;
    let follow_ups = if reading.is_practitioner() { follow_ups_of(tx, &intake, &reading)? } else { Vec::new() };
    let material = Material {
        intake: &intake,
        form: reading.facts.form,
        patient: &patient,
        raw: &raw,
        answers: &answers,
        computed: &findings.computed,
        rule_set_version: &findings.rule_set_version,
        review: if reading.is_practitioner() { stored_review::open(tx.env, &intake)? } else { None },
        previous: if reading.is_practitioner() { Previous::load(tx, &intake, &reading)? } else { None },
        age: reading.facts.age(),
        today: reading.facts.today,
        facts: &facts,
        follow_ups,
    };
    if reading.is_practitioner() {
        let of_patient = flags::of_patient(tx.conn, intake.patient_id)?;
        let (flags, elsewhere): (Vec<_>, Vec<_>) =
            of_patient.into_iter().partition(|flag| flag.intake_id == Some(intake.id));
        if material.form == FormName::FollowUp {
            let summary = follow_up::follow_up(tx.env, &material, &flags, &elsewhere)?;
            return Ok(IntakeSummary::FollowUp(Box::new(summary)));
        }
        return Ok(IntakeSummary::Practitioner(Box::new(clinical::clinical(tx.env, material, &flags, &elsewhere)?)));
    }
    let language = wanted.unwrap_or_else(|| Language::of_tag(&patient.preferred_language));
    let mut plain = plain::plain(&material, language);
    if reading.viewer() == Viewer::GuardianOfMinor {
        // The sentences must not reveal what the minor told a clinician in private.
        plain.sentences = rls::guardian_summary(&answers, &facts, language)
            .map_err(|_| Error::fault("the form cannot read the answers without the private ones"))?;
    }
    Ok(IntakeSummary::Patient(plain))
}

/// Loads the follow-ups since a history, or all beside a follow-up, the newest first.
fn follow_ups_of(tx: &mut Tx, intake: &Intake, reading: &ReadingContext) -> Result<Vec<FollowUpAnswers>> {
    let mut all = answers::of_patient(tx, intake.patient_id, reading)?;
    if reading.facts.form == FormName::History {
        let since = reading.place.day(intake.submitted_at.unwrap_or(intake.authored_at))?;
        all.retain(|one| one.on >= since);
    }
    all.reverse();
    Ok(all)
}

impl FoundSummary {
    /// Whether the answers are submitted, so that they can be reviewed.
    pub fn is_submitted(&self) -> bool {
        match &self.summary {
            IntakeSummary::Practitioner(summary) => summary.status.is_submitted(),
            IntakeSummary::FollowUp(summary) => summary.status.is_submitted(),
            IntakeSummary::Patient(summary) => summary.status.is_submitted(),
        }
    }

    /// Returns the page to print. `links` lead from the page for practitioners to other pages, and are not printed.
    ///
    /// # Errors
    /// A fault of a template.
    pub fn page(&self, env: &Env, links: &[PageLink]) -> Result<HttpResponse> {
        let frame = Frame { clinic: &env.config.settings.clinic_name, zone: &self.zone, now: env.now(), links };
        let page = match &self.summary {
            IntakeSummary::Practitioner(summary) => page::clinical_page(summary, &frame)?,
            IntakeSummary::FollowUp(summary) => page::follow_up_page(summary, &frame)?,
            IntakeSummary::Patient(summary) => page::plain_page(summary, &frame)?,
        };
        Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            // The page has its styles in itself, and loads nothing.
            .insert_header((
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ))
            .body(page))
    }
}

/// Read the summary of an intake
///
/// Practitioners get everything, in the order of a consultation, or of a
/// follow-up its answers beside those of the others. A draft has the heading "Not submitted". Both are in English. Patients get the main
/// points in plain language, in the language that they ask for. Ages are as of the day of reading (`as_of`); `authored_at` is the time of the answers. With `Accept: text/html` it
/// returns one page to print. A summary of answers, never a diagnosis.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_intake_summary",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ReadingLanguage,
    ),
    responses((status = 200, description = "The summary", content(
        (IntakeSummary = "application/json", example = json!({
            "audience": "patient", "intake_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "status": "completed", "language": "en",
            "authored_at": "2026-03-02T14:00:00Z", "sentences": ["Nothing is missing. Thank you."],
            "sections": [{"section": "symptoms", "title": "Your legs", "items": [
                {"field": "symptoms.urge_to_move_legs", "question": "Do you feel an urge to move your legs?", "answer": "Yes"}]}],
            "disclaimer": "A summary of answers for a clinician's review. It is not a diagnosis."
        })),
        (String = "text/html", example = json!("<!DOCTYPE html>…")),
    ))),
)]
#[get("/v1/intakes/{id}/summary")]
pub(super) async fn get_intake_summary(
    context: Context,
    PathId(id): PathId<IntakeId>,
    Params(wanted): Params<ReadingLanguage>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = read(&context, id, &wanted).await?;
    if !prefers(&request, "text/html") {
        return Ok(response::ok(&found.summary));
    }
    found.page(&context.env, &[])
}
