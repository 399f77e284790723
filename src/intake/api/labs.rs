//! Laboratory results, and the timeline that they are part of.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::actor::{Action, Actor};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::http::idempotency::{self, Answer, Request};
use crate::http::{Body, Cursor, Endpoints, IdempotencyKey, Limit, Params, PathId};
use crate::ids::{LabResultId, PatientId};
use crate::intake::access::Bearings;
use crate::intake::labs::{self, LabResult};
use crate::intake::rls::answers::{Comparator, Lab, LabSource, LabTest, LabUnit, YesNo};
use crate::intake::rls::kit::{Decimal, PartialDate};
use crate::intake::rls::{self, Context, StrictJson};
use crate::intake::timeline::{self, Timeline, Told};
use crate::intake::{Rules, chart, from_value, store};
use crate::patients::model::Patient;
use crate::patients::{care, store as records};

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(create_lab_result).service(list_lab_results).service(get_rls_timeline);
}

/// A laboratory result.
#[derive(Serialize, ToSchema)]
#[schema(as = LabResult, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c59", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report",
    "created_at": "2026-03-02T14:00:00Z"
}))]
pub struct LabResultDto {
    /// The result.
    id: LabResultId,
    /// Whose.
    patient_id: PatientId,
    /// What was measured.
    #[schema(value_type = String, examples("ferritin"))]
    test: Option<LabTest>,
    /// The value in its unit.
    #[schema(value_type = f64)]
    value: Option<Decimal<0, 5000>>,
    /// That the true value lies below or above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false, examples("<"))]
    comparator: Option<Comparator>,
    /// The unit.
    #[schema(value_type = String, examples("ng/mL"))]
    unit: Option<LabUnit>,
    /// The day of the sample.
    #[schema(value_type = String, examples("2026-02-26"))]
    collected_on: Option<PartialDate>,
    /// Who says so.
    #[schema(value_type = String, examples("lab_report"))]
    source: Option<LabSource>,
    /// Whether the sample was taken in the morning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false, examples("yes"))]
    morning: Option<YesNo>,
    /// Whether no iron was taken in the 24 hours before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, required = false, examples("unknown"))]
    iron_free_24h: Option<YesNo>,
    /// When it was entered.
    created_at: Timestamp,
}

impl From<LabResult> for LabResultDto {
    fn from(result: LabResult) -> Self {
        let Lab { test, value, comparator, unit, collected_on, source, morning, iron_free_24h } = result.lab;
        Self {
            id: result.id,
            patient_id: result.patient_id,
            test,
            value,
            comparator,
            unit,
            collected_on,
            source,
            morning,
            iron_free_24h,
            created_at: result.created_at,
        }
    }
}

/// Enter a laboratory result
///
/// For staff: a value that came between two intakes. It stands in the timeline; test, value, unit and the full day of the
/// sample must be there.
#[utoipa::path(
    tag = "intakes",
    operation_id = "create_lab_result",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header, description = "A random value; a repeat with the same value enters nothing more", max_length = 255),
    ),
    request_body(content = Lab, example = json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report"})),
    responses(
        (status = 201, description = "The result", body = LabResultDto),
        (status = 409, description = "`request_in_progress`: the same request is still at work"),
    ),
)]
#[post("/v1/patients/{id}/lab-results")]
async fn create_lab_result(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<StrictJson>,
) -> Result<HttpResponse> {
    actor.require(Action::LabResultWrite)?;
    let StrictJson(lab) = &body.value;
    labs::check(lab)?;
    let (shared, patient, lab) = (env.clone(), id.0, lab.clone());
    let operation = format!("create_lab_result {patient}");
    let request = Request::of(&actor, operation, key, &body.raw);
    idempotency::run(&env, request, move |tx| {
        let patient = records::visible(tx, &shared, &actor, patient)?;
        let bearings = Bearings::take(tx, &shared, &rules, &actor, &patient)?;
        let lab = labs::read(&lab, &bearings.context)?;
        let result = LabResultDto::from(labs::insert(tx, &shared, &actor, patient.id, &lab)?);
        audit::record(tx, &shared, &actor.trail, result.id.0)?;
        Answer::created(format!("/v1/patients/{}/lab-results", patient.id), 1, &result)
    })
    .await
}

/// A page of laboratory results.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct LabResultPage {
    /// The one that was entered last first.
    items: Vec<LabResultDto>,
    /// For `cursor`; null on the last page.
    next_cursor: Option<String>,
}

/// Which page to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LabResultFilter {
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
    /// How many on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

/// List a patient's laboratory results
///
/// Those that were entered between intakes; what patients told in an intake stands there. All of them together are in the
/// timeline.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_lab_results",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), LabResultFilter),
    responses((status = 200, description = "A page", body = LabResultPage)),
)]
#[get("/v1/patients/{id}/lab-results")]
async fn list_lab_results(
    env: web::Data<Env>,
    actor: Actor,
    id: PathId<PatientId>,
    filter: Params<LabResultFilter>,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicalRead)?;
    let (after, limit) = (Cursor::read(filter.0.cursor.as_deref(), labs::LIST)?, Limit::new(filter.0.limit)?);
    let shared = env.clone();
    let (rows, next_cursor) = care::read(&env, actor, move |conn, actor| {
        let patient = records::visible(conn, &shared, actor, id.0)?;
        care::require(conn, &shared, actor, patient.id)?;
        labs::list(conn, &shared, patient.id, after, limit)
    })
    .await?;
    let items = rows.into_iter().map(LabResultDto::from).collect();
    Ok(HttpResponse::Ok().json(LabResultPage { items, next_cursor }))
}

/// Read the course of restless legs
///
/// Severity, iron values and medicines over all submitted intakes and the laboratory results entered in between. With
/// `Accept: image/svg+xml` as a picture: severity in its bands, ferritin against 75, treatments as bars.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_rls_timeline",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Accept" = Option<String>, Header, description = "`image/svg+xml` for the picture", max_length = 200),
    ),
    responses((status = 200, description = "The course", content(
        (Timeline = "application/json"),
        (String = "image/svg+xml", example = json!("<svg xmlns=\"http://www.w3.org/2000/svg\">…</svg>")),
    ))),
)]
#[get("/v1/patients/{id}/rls-timeline")]
async fn get_rls_timeline(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    actor: Actor,
    id: PathId<PatientId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    actor.require(Action::ClinicalRead)?;
    let shared = env.clone();
    let (patient, today, course) = care::read(&env, actor, move |conn, actor| {
        let patient = records::visible(conn, &shared, actor, id.0)?;
        care::require(conn, &shared, actor, patient.id)?;
        let bearings = Bearings::take(conn, &shared, &rules, actor, &patient)?;
        let course = course(conn, &shared, &patient, &bearings)?;
        Ok((patient, bearings.context.authored_on, course))
    })
    .await?;
    if !super::prefers(&request, "image/svg+xml") {
        return Ok(HttpResponse::Ok().json(course));
    }
    let title = format!("{}, {}", patient.display_name(), patient.mrn);
    let picture = chart::svg(&course.picture(title, today))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "image/svg+xml")).body(picture))
}

/// The course over the patient's submitted intakes and results.
fn course(conn: &mut Conn, env: &Env, patient: &Patient, bearings: &Bearings) -> Result<Timeline> {
    let mut told = Vec::new();
    for intake in store::submitted(conn, patient.id, rls::FORM)? {
        let at = intake.submitted_at.unwrap_or(intake.authored_at);
        let authored_on = bearings.surroundings.day(intake.authored_at)?;
        told.push(Told {
            id: intake.id,
            at,
            on: bearings.surroundings.day(at)?,
            answers: from_value(&serde_json::Value::Object(intake.open_answers(env)?))?,
            context: Context { authored_on, ..bearings.context.clone() },
        });
    }
    Ok(timeline::course(patient.id, told, &labs::all(conn, env, patient.id)?))
}
