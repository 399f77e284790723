//! The forms themselves, so that a client can draw them with no knowledge of what they ask.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::env::Env;
use crate::error::{Check, Result};
use crate::http::{Endpoints, Params};
use crate::intake::Rules;
use crate::intake::rls::form::{FormSettings, Text};
use crate::intake::rls::{self, Form, Language};
use crate::text;

pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints.service(list_intake_forms).service(get_rls_history_form);
}

/// A form in the list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"form": "rls-history", "version": "1.0.0", "url": "https://legwork.example/intake-forms/rls-history", "title": {"en": "Your restless legs history", "es": "Su historia de piernas inquietas"}}))]
struct IntakeFormSummary {
    /// Its name, for `POST /v1/patients/{id}/intakes`.
    form: String,
    /// Its version.
    version: String,
    /// Its canonical address.
    url: String,
    /// Its title.
    title: Text,
}

/// The forms that there are.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
struct IntakeFormList {
    /// All of them.
    items: Vec<IntakeFormSummary>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// List the forms
///
/// What patients can be asked to fill in before a visit.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intake_forms",
    responses((status = 200, description = "The forms", body = IntakeFormList)),
)]
#[get("/v1/intake-forms")]
async fn list_intake_forms() -> Result<HttpResponse> {
    let Form { form, url, version, title, .. } = rls::form(None, FormSettings::default());
    let items = vec![IntakeFormSummary { form, version, url, title }];
    Ok(HttpResponse::Ok().json(IntakeFormList { items, next_cursor: None }))
}

/// In which language.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FormLanguage {
    /// A language tag (BCP 47): the texts then come in that language alone, in English where the form is not in it.
    /// Without it they come in all of the form's languages.
    #[param(max_length = 35, example = "es")]
    language: Option<String>,
}

/// Read the RLS history form
///
/// Sections in order, the urgent questions first; fields with labels, types, options, units and conditions; and the JSON
/// Schema of the answers.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_rls_history_form",
    params(FormLanguage),
    responses((status = 200, description = "The form", body = Form, example = json!({
        "form": "rls-history", "url": "https://legwork.example/intake-forms/rls-history", "version": "1.0.0",
        "title": {"en": "Your restless legs history"}, "intro": {"en": "Please answer before your visit."},
        "disclaimer": {"en": "It is not a diagnosis."},
        "sections": [{"id": "symptoms", "title": {"en": "Your legs"}, "fields": [{
            "link_id": "symptoms.urge_to_move_legs", "label": {"en": "Do you feel an urge to move your legs?"},
            "meaning": "C1: an urge to move the legs.", "type": "choice",
            "options": [{"value": "yes", "label": {"en": "Yes"}}, {"value": "no", "label": {"en": "No"}}],
            "required": true, "clinician_only": false, "clinician_only_for_minors": false, "in_past": false
        }]}],
        "review": {"id": "review", "title": {"en": "The clinician's review"}, "fields": []}, "json_schema": {}
    }))),
)]
#[get("/v1/intake-forms/rls-history")]
async fn get_rls_history_form(
    env: web::Data<Env>,
    rules: web::Data<Rules>,
    language: Params<FormLanguage>,
) -> Result<HttpResponse> {
    let mut check = Check::new();
    let tag = language.0.language.as_deref().and_then(|tag| check.field("?language", text::language(tag)));
    check.done()?;
    let settings = FormSettings {
        text_pack: rules.text_pack.as_ref(),
        self_harm_in_clinician_part: env.config.settings.self_harm_by_clinician,
    };
    Ok(HttpResponse::Ok().json(rls::form(tag.as_deref().map(Language::of_tag), settings)))
}
