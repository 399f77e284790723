//! The forms with their questions, so that a client can show them without knowing the questions.

use actix_web::{HttpResponse, get};
use rls::form::{FormSettings, Text};
use rls::{Form, FormName};
use serde::{Deserialize, Serialize};
use text::Language;
use utoipa::{IntoParams, ToSchema};

use crate::context::{Anonymous, Context};
use crate::error::{Check, Result};
use crate::http::{Params, response};

/// A form in the list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"form": "rls-history", "version": "1.3.0", "url": "https://legwork.example/intake-forms/rls-history", "title": {"en": "Your restless legs history", "es": "Su historia de piernas inquietas"}}))]
pub struct IntakeFormSummary {
    /// The name, for `POST /v1/patients/{id}/intakes`.
    pub form: String,
    /// The version.
    pub version: String,
    /// The canonical address.
    pub url: String,
    /// The title.
    pub title: Text,
}

/// The available forms.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct IntakeFormPage {
    /// The forms.
    pub items: Vec<IntakeFormSummary>,
    /// Always null: the list has one page.
    pub next_cursor: Option<String>,
}

pub fn list() -> IntakeFormPage {
    let summary = |name| {
        let Form { form, url, version, title, .. } = rls::form(name, None, FormSettings::default());
        IntakeFormSummary { form, version, url, title }
    };
    IntakeFormPage { items: FormName::ALL.map(summary).into(), next_cursor: None }
}

/// The language of a form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FormLanguage {
    /// A language tag (BCP 47). The texts are in this language only, or in English if the form does not have it. Without it, the texts
    /// are in all languages of the form.
    #[param(max_length = 35, example = "es")]
    pub language: Option<String>,
}

/// Reads a form.
///
/// # Errors
/// A broken rule if the language is not a language tag.
pub fn read(context: &Context<Anonymous>, name: FormName, language: FormLanguage) -> Result<Form> {
    let mut check = Check::new();
    let tag = language.language.as_deref().and_then(|tag| check.field("?language", text::language(tag)));
    check.done()?;
    let settings = FormSettings {
        text_pack: context.env.rls_text_pack.as_deref(),
        self_harm_in_clinician_part: context.env.config.settings.self_harm_by_clinician,
    };
    Ok(rls::form(name, tag.as_deref().map(Language::of_tag), settings))
}

/// List the forms
///
/// Lists the forms that patients can fill in: the history before a visit, and the follow-up after it.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_intake_forms",
    responses((status = 200, description = "The forms", body = IntakeFormPage)),
)]
#[get("/v1/intake-forms")]
pub(super) async fn list_intake_forms() -> Result<HttpResponse> {
    Ok(response::ok(&list()))
}

/// Read the RLS history form
///
/// Returns the sections in order, the urgent questions first, their fields with labels, types, options, units and conditions, and the
/// JSON Schema of the answers. What only clinicians answer is apart, in `clinician_sections`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_rls_history_form",
    params(FormLanguage),
    responses((status = 200, description = "The form", body = Form, example = json!({
        "form": "rls-history", "url": "https://legwork.example/intake-forms/rls-history", "version": "1.3.0",
        "title": {"en": "Your restless legs history"}, "intro": {"en": "Please answer before your visit."},
        "disclaimer": {"en": "It is not a diagnosis."},
        "sections": [{"id": "symptoms", "title": {"en": "Your legs"}, "clinician_only": false, "fields": [{
            "link_id": "symptoms.urge_to_move_legs", "label": {"en": "Do you feel an urge to move your legs?"},
            "meaning": "C1: an urge to move the legs.", "type": "choice",
            "options": [{"value": "yes", "label": {"en": "Yes"}}, {"value": "no", "label": {"en": "No"}}],
            "required": true, "clinician_only": false, "clinician_only_for_minors": false, "minors_only": false, "in_past": false
        }]}],
        "clinician_sections": [], "json_schema": {},
        "review": {"id": "review", "title": {"en": "The clinician's review"}, "clinician_only": true, "fields": []}
    }))),
)]
#[get("/v1/intake-forms/rls-history")]
pub(super) async fn get_rls_history_form(
    context: Context<Anonymous>,
    Params(language): Params<FormLanguage>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, FormName::History, language)?))
}

/// Read the RLS follow-up form
///
/// A short form for the time after a visit or a change of treatment. Questions that the history asks too have the same `link_id`.
#[utoipa::path(
    tag = "intakes",
    operation_id = "get_rls_follow_up_form",
    params(FormLanguage),
    responses((status = 200, description = "The form", body = Form, example = json!({
        "form": "rls-follow-up", "url": "https://legwork.example/intake-forms/rls-follow-up", "version": "1.0.0",
        "title": {"en": "How are your legs now?"}, "intro": {"en": "A few questions about the time since your last visit."},
        "disclaimer": {"en": "It is not a diagnosis."},
        "sections": [{"id": "follow_up", "title": {"en": "Since your last visit"}, "clinician_only": false, "fields": [{
            "link_id": "follow_up.has_side_effects", "label": {"en": "Does your treatment cause side effects?"},
            "meaning": "Whether the treatment has side effects.", "type": "choice",
            "options": [{"value": "yes", "label": {"en": "Yes"}}, {"value": "no", "label": {"en": "No"}}],
            "required": true, "clinician_only": false, "clinician_only_for_minors": false, "minors_only": false, "in_past": false
        }]}],
        "clinician_sections": [], "json_schema": {},
        "review": {"id": "review", "title": {"en": "The clinician's review"}, "clinician_only": true, "fields": []}
    }))),
)]
#[get("/v1/intake-forms/rls-follow-up")]
pub(super) async fn get_rls_follow_up_form(
    context: Context<Anonymous>,
    Params(language): Params<FormLanguage>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, FormName::FollowUp, language)?))
}
