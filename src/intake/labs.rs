//! Laboratory results that staff enter between intakes.

use actix_web::{HttpResponse, get, post};
use diesel::prelude::*;
use jiff::civil::Date;
use rls::answers::{Comparator, Lab, LabSource, LabTest, LabUnit, YesNo};
use rls::form_dsl::{Decimal, PartialDate};
use rls::iron::in_default_unit;
use rls::{FilledBy, RedactedJson};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::lab_rows::{LabResult, Row, place};
use super::model::LabResultStatus;
use super::reading_context::ReadingContext;
use super::recompute;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Tx};
use crate::db::schema::lab_results;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::paging::{Direction, PageParams, in_order, sort_options};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, PathId};
use crate::ids::{LabResultId, PatientId};
use crate::patients::model::Patient;
use crate::patients::{care, store as records};

/// A laboratory result.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = LabResult, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c59", "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "status": "final", "test": "ferritin", "value": 92, "unit": "ng/mL", "standard_value": 92.0,
    "standard_unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report",
    "created_at": "2026-03-02T14:00:00Z", "updated_at": null
}))]
pub struct LabResultView {
    /// The result.
    id: LabResultId,
    /// The patient.
    patient_id: PatientId,
    /// The status.
    status: LabResultStatus,
    /// The laboratory test.
    #[schema(value_type = LabTest)]
    test: Option<LabTest>,
    /// The value in its unit.
    #[schema(value_type = f64)]
    value: Option<Decimal<0, 5000>>,
    /// Present if the true value is below or above the given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Comparator, nullable = false, required = false)]
    comparator: Option<Comparator>,
    /// The unit.
    #[schema(value_type = LabUnit)]
    unit: Option<LabUnit>,
    /// The value in the unit that the rules use, to two decimals: ng/mL, %, µg/dL, g/dL or mg/L.
    #[schema(value_type = f64)]
    standard_value: Option<f64>,
    /// The unit that the rules use.
    #[schema(value_type = LabUnit)]
    standard_unit: Option<LabUnit>,
    /// The day of the sample.
    #[schema(value_type = String, examples("2026-02-26"))]
    collected_on: Option<PartialDate>,
    /// The source of the result.
    #[schema(value_type = LabSource)]
    source: Option<LabSource>,
    /// Whether the sample was taken in the morning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = YesNo, nullable = false, required = false)]
    morning: Option<YesNo>,
    /// Whether no iron was taken in the 24 hours before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = YesNo, nullable = false, required = false)]
    iron_free_24h: Option<YesNo>,
    /// When the result was entered.
    created_at: Timestamp,
    /// When the result was corrected or marked as entered in error. Null if it is as it was entered.
    updated_at: Option<Timestamp>,
}

impl Row {
    /// Decrypts it for a response.
    pub(super) fn versioned(self, env: &Env) -> Result<Versioned<LabResultView>> {
        Ok(Versioned { version: self.version, object: self.open(env)?.into() })
    }
}

impl From<LabResult> for LabResultView {
    fn from(result: LabResult) -> Self {
        let standard = in_default_unit(&result.lab);
        let Lab { test, value, comparator, unit, collected_on, source, morning, iron_free_24h } = result.lab;
        Self {
            id: result.id,
            patient_id: result.patient_id,
            status: result.status,
            test,
            value,
            comparator,
            unit,
            standard_value: standard.map(|(value, _)| (value * 100.0).round() / 100.0),
            standard_unit: standard.map(|(_, unit)| unit),
            collected_on,
            source,
            morning,
            iron_free_24h,
            created_at: result.created_at,
            updated_at: result.updated_at,
        }
    }
}

/// Reads a laboratory result. Without a source it counts as reported by the laboratory.
/// `prefix` is the pointer to it in the body.
pub(super) fn parse(lab: &Value, prefix: &str, facts: &rls::Context) -> Result<Lab> {
    let mut lab = lab.clone();
    if let Value::Object(members) = &mut lab {
        members.entry("source").or_insert_with(|| LabSource::LabReport.as_str().into());
    }
    Ok(rls::parse_lab(&lab, prefix, facts)?)
}

/// Checks everything of a laboratory result but its dates, which depend on the patient's birth.
pub(super) fn check(lab: &Value, prefix: &str) -> Result<()> {
    parse(lab, prefix, &rls::Context::new(Date::MIN, Date::MAX, FilledBy::Practitioner)).map(|_| ())
}

/// Enters a laboratory result.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient; every broken rule.
pub async fn create(
    context: &Context,
    once: Once,
    patient: PatientId,
    lab: RedactedJson,
) -> Result<Versioned<LabResultView>> {
    context.require(Action::LabResultWrite)?;
    let RedactedJson(lab) = lab;
    check(&lab, "")?;
    context
        .change_once(once, move |tx| {
            let patient = records::visible_in_use(tx.conn, tx.env, tx.actor, patient)?;
            let lab = parse(&lab, "", &ReadingContext::load(tx, &patient)?.facts)?;
            let result = insert(tx, &patient, &lab)?;
            tx.audit.note_object(result.id.0);
            Ok(Versioned { version: 1, object: result.into() })
        })
        .await
}

/// Stores a laboratory result in an open transaction, and computes the findings that depend on it anew.
pub fn insert(tx: &mut Tx, patient: &Patient, lab: &Lab) -> Result<LabResult> {
    // Locked first: an intake that is changed meanwhile either sees the result or is computed anew here.
    records::lock_visits(tx.conn, patient.id)?;
    let id: LabResultId = tx.env.new_id();
    let row = Row {
        id,
        patient_id: patient.id,
        result: tx.env.sealer.seal(place(id), lab)?,
        created_by: tx.actor.user_id,
        created_at: tx.now,
        status: LabResultStatus::Final,
        version: 1,
        updated_by: None,
        updated_at: None,
    };
    diesel::insert_into(lab_results::table).values(&row).execute(tx.conn)?;
    recompute::follow_results(tx, patient)?;
    row.open(tx.env)
}

/// Reads a laboratory result.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see the patient; forbidden if a practitioner has to give
/// a reason.
pub async fn read(context: &Context, id: LabResultId) -> Result<Versioned<LabResultView>> {
    context.require(Action::ClinicalRead)?;
    care::read_clinical(context, move |tx| {
        let row = find(tx, id)?;
        // It may be the result of another patient.
        if row.status == LabResultStatus::EnteredInError && !tx.actor.role.is_staff() {
            return Err(Error::NotFound);
        }
        row.versioned(tx.env)
    })
    .await
}

/// Loads a laboratory result that the actor may read.
///
/// # Errors
/// Those of [`read`].
pub(super) fn find(tx: &mut Tx, id: LabResultId) -> Result<Row> {
    let row: Row = lab_results::table.find(id).select(Row::as_select()).first(tx.conn)?;
    records::visible(tx.conn, tx.env, tx.actor, row.patient_id)?;
    care::require(tx.conn, tx.env, tx.actor, row.patient_id)?;
    Ok(row)
}

/// A page of laboratory results.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct LabResultPage {
    /// The results, by default the one that was entered last first.
    pub items: Vec<LabResultView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// The order of a list of laboratory results.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LabResultFilter {
    /// The order. Default: `-created_at`, the one that was entered last first.
    #[param(inline)]
    sort: Option<LabResultSort>,
}

sort_options! {
    /// The order of a list of laboratory results.
    LabResultSort by "created_at" or "-created_at"
}

/// The name of the list in cursors.
const LIST: &str = "lab-results";

/// Lists the laboratory results of a patient, by default the one that was entered last first.
///
/// # Errors
/// Those of [`read`].
pub async fn list(
    context: &Context,
    patient: PatientId,
    filter: LabResultFilter,
    page: PageParams,
) -> Result<LabResultPage> {
    context.require(Action::ClinicalRead)?;
    let page = page.sorted(LIST, filter.sort.map_or(Direction::Descending, Into::into))?;
    care::read_clinical(context, move |tx| {
        let patient = records::visible(tx.conn, tx.env, tx.actor, patient)?;
        care::require(tx.conn, tx.env, tx.actor, patient.id)?;
        let mut query =
            lab_results::table.filter(lab_results::patient_id.eq(patient.id)).select(Row::as_select()).into_boxed();
        if !tx.actor.role.is_staff() {
            query = query.filter(lab_results::status.ne(LabResultStatus::EnteredInError));
        }
        let query = in_order!(query, page, lab_results::created_at, lab_results::id, LabResultId);
        let rows: Vec<Row> = query.load(tx.conn)?;
        let (rows, next_cursor) = page.cut(rows, |row| (row.created_at, row.id.0));
        let items = rows.into_iter().map(|row| Ok(row.open(tx.env)?.into())).collect::<Result<_>>()?;
        Ok(LabResultPage { items, next_cursor })
    })
    .await
}

/// Enter a laboratory result
///
/// Staff only. Enters a value that was measured between two intakes. Computes the findings and flags of the patient's open draft and newest
/// submitted intake anew, so their version can grow. Without an intake, only a dangerous value raises a flag. Test, value, unit and the
/// full day of the sample are required.
#[utoipa::path(
    tag = "intakes",
    operation_id = "create_lab_result",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content = Lab, example = json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-02-26", "source": "lab_report"})),
    responses(
        (status = 201, description = "The result", body = LabResultView),
    ),
)]
#[post("/v1/patients/{id}/lab-results")]
pub(super) async fn create_lab_result(
    context: Context,
    PathId(patient): PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<RedactedJson>,
) -> Result<HttpResponse> {
    let result = create(&context, key.once(&body.raw), patient, body.value).await?;
    Ok(response::created(format!("/v1/lab-results/{}", result.object.id), &result))
}

/// List a patient's laboratory results
///
/// Lists the results that staff entered between intakes. Results in the answers of an intake are read with the intake. The timeline has
/// both. Only practitioners see the results that were entered in error.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_lab_results",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), LabResultFilter, PageParams),
    responses((status = 200, description = "A page", body = LabResultPage)),
)]
#[get("/v1/patients/{id}/lab-results")]
pub(super) async fn list_lab_results(
    context: Context,
    PathId(patient): PathId<PatientId>,
    Params(filter): Params<LabResultFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, patient, filter, page).await?))
}

/// Read a laboratory result
///
/// Returns a result that staff entered between intakes. Only practitioners see a result that was entered in error.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_lab_result",
    security(("bearer" = [])),
    params(("id" = LabResultId, Path, description = "The result")),
    responses((status = 200, description = "The result", body = LabResultView)),
)]
#[get("/v1/lab-results/{id}")]
pub(super) async fn get_lab_result(context: Context, PathId(id): PathId<LabResultId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}
