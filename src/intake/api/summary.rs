//! The summary of an intake: a doctor's page, and a patient's.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde_json::Value;

use super::dto::Findings;
use crate::actor::{Action, Actor};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Endpoints, PathId};
use crate::ids::IntakeId;
use crate::intake::access::Bearings;
use crate::intake::model::IntakeStatus;
use crate::intake::rls::{self, FilledBy, Language, Viewer};
use crate::intake::summary::{self, Frame, IntakeSummary, Material};
use crate::intake::{Rules, flags, from_value, review, store};
use crate::patients::care;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(get_intake_summary);
}

/// Read the summary of an intake
///
/// For practitioners all of it in the order in which a doctor asks for it, drafts too, headed as such; for patients what
/// they said, in plain words. Ages count to the day `as_of`, on which it is read; `authored_at` tells when the answers were
/// written. With `Accept: text/html` as one page to print. A summary of answers, never a diagnosis.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_intake_summary",
    security(("bearer" = [])),
    params(
        ("id" = IntakeId, Path, description = "The intake"),
        ("Accept" = Option<String>, Header, description = "`text/html` for the page", max_length = 200),
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
async fn get_intake_summary(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<IntakeId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicalRead)?;
    let shared = env.clone();
    let (zone, made) = care::read(&env, actor, move |conn, actor| {
        let (intake, patient) = store::visible(conn, &shared, actor, id.0)?;
        let bearings = Bearings::take(conn, &shared, &rules, actor, &patient)?.reviewed(&shared, &intake)?;
        Ok((bearings.surroundings.zone()?, summarise(conn, &shared, (&intake, &patient), &bearings)?))
    })
    .await?;
    if !super::prefers(&request, "text/html") {
        return Ok(HttpResponse::Ok().json(made));
    }
    let frame = Frame { clinic: &env.config.settings.clinic_name, zone: &zone, now: env.now() };
    let page = match &made {
        IntakeSummary::Practitioner(summary) => summary::clinical_page(summary, &frame)?,
        IntakeSummary::Patient(summary) => summary::plain_page(summary, &frame)?,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        // The page has its looks in it, and nothing else.
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ))
        .body(page))
}

fn summarise(
    conn: &mut Conn,
    env: &Env,
    (intake, patient): (&store::Intake, &crate::patients::model::Patient),
    bearings: &Bearings,
) -> Result<IntakeSummary> {
    let clinician = bearings.filled_by == FilledBy::Practitioner;
    if intake.status == IntakeStatus::EnteredInError && !clinician {
        return Err(Error::NotFound);
    }
    let findings = Findings::of(env, intake, bearings)?;
    let submitted = intake.status != IntakeStatus::InProgress;
    let view = rls::view(bearings.viewer(), submitted, &findings.answers, &findings.computed, &bearings.context);
    let seen = view.answers.ok_or(Error::NotFound)?;
    let answers = from_value(&seen)?;
    let Value::Object(raw) = seen else { return Err(Error::fault("answers that are no object")) };
    let authored_on = bearings.surroundings.day(intake.authored_at)?;
    let context = rls::Context { authored_on, ..bearings.context.clone() };
    let material = Material {
        intake,
        patient,
        raw: &raw,
        answers: &answers,
        computed: &findings.computed,
        rule_set_version: &findings.rule_set_version,
        review: if clinician { review::of(env, intake)? } else { None },
        age: bearings.context.age(),
        today: bearings.context.authored_on,
    };
    if clinician {
        let flags = flags::of_intake(conn, intake.id)?;
        return Ok(IntakeSummary::Practitioner(Box::new(summary::clinical(env, material, &flags)?)));
    }
    let language = Language::of_tag(&patient.preferred_language);
    let mut plain = summary::plain(&material, language);
    if bearings.viewer() == Viewer::GuardianOfMinor {
        // Nothing that a child told a clinician alone may be guessed from what a parent reads.
        plain.sentences = rls::guardian_summary(&answers, &context, language)?;
    }
    Ok(IntakeSummary::Patient(plain))
}
