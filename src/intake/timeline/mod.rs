//! A patient's course of restless legs over all submitted intakes and the laboratory results in between, as data or as a picture.

mod chart;
mod course;
mod picture;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, get};
use jiff::civil::Date;
use rls::FormName;
use serde_json::Value;
use text::Language;

pub use self::course::Timeline;
use self::course::{TimelineIntake, course};
use super::follow_up::answers;
use super::reading_context::ReadingContext;
use super::reading_language::ReadingLanguage;
use super::{from_value, lab_rows, store};
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::error::Result;
use crate::http::accept::prefers;
use crate::http::{Params, PathId, response};
use crate::ids::PatientId;
use crate::patients::model::Patient;
use crate::patients::{care, store as records};

/// The course of a patient, with what its picture shows beside it.
pub struct PatientTimeline {
    /// The course.
    pub timeline: Timeline,
    /// The patient's name and medical record number.
    pub title: String,
    /// The current day at the patient's place of care.
    pub today: Date,
    /// The language of the picture, if the reader does not ask for one.
    pub language: Language,
}

impl PatientTimeline {
    /// Draws the picture, in the reader's own language unless they want another one.
    pub fn picture(&self, wanted: Option<Language>) -> String {
        chart::svg(&self.timeline.picture(self.title.clone(), self.today, wanted.unwrap_or(self.language)))
    }
}

/// Reads the course of a patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient; forbidden if a practitioner has to give
/// a reason.
pub async fn read(context: &Context, patient: PatientId) -> Result<PatientTimeline> {
    context.require(Action::ClinicalRead)?;
    care::read_clinical(context, move |tx| {
        let patient = records::visible(tx.conn, tx.env, tx.actor, patient)?;
        care::require(tx.conn, tx.env, tx.actor, patient.id)?;
        let reading = ReadingContext::load(tx, &patient)?;
        let results = lab_rows::of_patient(tx.conn, tx.env, patient.id)?;
        let mut timeline = course(patient.id, intakes(tx, &patient, &reading)?, &results, &reading.facts);
        timeline.follow_ups = answers::of_patient(tx, patient.id, &reading)?;
        let title = format!("{}, {}", patient.display_name(), patient.mrn);
        let language = ReadingLanguage::of_reader(tx.actor.role, &patient);
        Ok(PatientTimeline { timeline, title, today: reading.facts.authored_on, language })
    })
    .await
}

/// Loads the submitted intakes of a patient.
fn intakes(tx: &mut Tx, patient: &Patient, reading: &ReadingContext) -> Result<Vec<TimelineIntake>> {
    let mut intakes = Vec::new();
    let mut submitted = Vec::new();
    for form in FormName::ALL {
        let of_form = store::submitted(tx.conn, patient.id, form.as_str())?;
        submitted.extend(of_form.into_iter().map(|intake| (form, intake)));
    }
    for (form, intake) in submitted {
        let at = intake.submitted_at.unwrap_or(intake.authored_at);
        intakes.push(TimelineIntake {
            id: intake.id,
            form,
            at,
            on: reading.place.day(at)?,
            answers: from_value(&Value::Object(intake.open_answers(tx.env)?))?,
            facts: reading.facts_at(intake.authored_at)?,
        });
    }
    Ok(intakes)
}

/// Read the course of restless legs
///
/// Returns severity, iron values and medicines over all submitted intakes and the laboratory results in between, and the
/// answers of the follow-ups. With
/// `Accept: image/svg+xml` it returns a picture: severity with its bands; what the follow-ups say; ferritin, TSAT and hemoglobin with the
/// thresholds that apply; infusions as markers; treatments and medicines that can aggravate as bars.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_rls_timeline",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ReadingLanguage,
    ),
    responses((status = 200, description = "The course", content(
        (Timeline = "application/json"),
        (String = "image/svg+xml", example = json!("<svg xmlns=\"http://www.w3.org/2000/svg\">…</svg>")),
    ))),
)]
#[get("/v1/patients/{id}/rls-timeline")]
pub(super) async fn get_rls_timeline(
    context: Context,
    PathId(patient): PathId<PatientId>,
    Params(wanted): Params<ReadingLanguage>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let wanted = wanted.checked()?;
    let found = read(&context, patient).await?;
    if !prefers(&request, "image/svg+xml") {
        return Ok(response::ok(&found.timeline));
    }
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "image/svg+xml")).body(found.picture(wanted)))
}
