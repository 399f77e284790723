//! The decisions on consents that the desk hears or has on paper.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::super::language::both;
use super::done::Done;
use super::{Member, MemberForm, refuse};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::http::{PathId, input};
use crate::ids::PatientId;
use crate::patients::consents::ConsentType;
use crate::patients::consents::decisions::{self, NewConsent};
use crate::patients::consents::documents::{self, ConsentDocument};
use crate::patients::records::model::PatientView;
use crate::patients::records::updating;

/// The consents to ask the patient for, each with its text in the patient's language.
pub(super) async fn outstanding(member: &Member, patient: &PatientView) -> Result<Vec<Value>> {
    if patient.consents_outstanding.is_empty() || !patient.active {
        return Ok(Vec::new());
    }
    // An old record may have the name of any language. The texts are in English then.
    let language = text::language(&patient.preferred_language).unwrap_or_else(|_| "en".to_owned());
    let query = Serializer::new(String::new()).append_pair("language", &language).finish();
    let texts = documents::list(&member.public(), member.parameters("list_consent_documents", &query)?).await?.items;
    let is_outstanding = |text: &&ConsentDocument| patient.consents_outstanding.contains(&text.consent_type);
    let shown = |text: &ConsentDocument| {
        context! {
            kind => text.consent_type.as_str(), name => name(text.consent_type).text(member.language), version => text.version.as_str(),
            text => text.text.as_str(), language => text.language.as_str(),
        }
    };
    Ok(texts.iter().filter(is_outstanding).map(shown).collect())
}

/// The consents to ask for at a visit that is to come or goes on, by name. Practitioners do not ask for them.
pub(super) async fn of_visit(member: &Member, visit: &AppointmentView) -> Result<Vec<&'static str>> {
    if !matches!(visit.status, AppointmentStatus::Booked | AppointmentStatus::CheckedIn) || member.is_practitioner() {
        return Ok(Vec::new());
    }
    let patient = updating::read(&member.context, visit.patient_id).await?.object.patient;
    Ok(patient.consents_outstanding.iter().map(|consent| name(*consent).text(member.language)).collect())
}

/// How the desk calls a consent.
fn name(consent: ConsentType) -> Bilingual {
    match consent {
        ConsentType::Treatment => both("treatment", "tratamiento"),
        ConsentType::PrivacyNotice => both("privacy notice", "aviso de privacidad"),
    }
}

/// Records a decision on the version that the page has shown.
pub(super) async fn record(form: MemberForm, PathId(patient): PathId<PatientId>) -> Result<HttpResponse> {
    let member = &form.member;
    let text = |name: &str| form.sent.first(name).trim();
    let mut built = json!({
        "type": text("type"), "version": text("document_version"), "decision": text("decision"), "method": text("method"),
    });
    if !text("signer").is_empty() {
        built["signer"] = text("signer").into();
    }
    let recorded = match input::read_built::<NewConsent>(&built, &*member.operation("create_consent")?) {
        Ok(body) => {
            // The forms of a card share the key of the page.
            let once = form.once(&format!("consent {} {patient}", body.value.consent_type.as_str()));
            decisions::record(&member.context, once, patient, body.value).await
        }
        Err(error) => Err(error),
    };
    let card = format!("desk/patients/{patient}");
    match recorded {
        Ok(_) => Ok(member.go_to(&Done::ConsentRecorded.on(&card))),
        Err(error) => refuse(&form, &card, error).await,
    }
}

#[cfg(test)]
pub(super) fn example() -> Value {
    context! { kind => "treatment", name => "treatment", version => "1", text => "# Consent <b>", language => "en" }
}
