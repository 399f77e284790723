//! The review of a sent form: criterion 5, the class of the veins, confirmed contributors, the plan. What was typed is never lost: a refused
//! or stale form is drawn again with it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use rls::{FormName, RedactedJson};

use super::super::desk::version;
use super::super::intake::Given;
use super::opening::closed;
use super::review_form::{Mistakes, ReviewForm};
use super::{Member, MemberForm, person, refuse, written};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::ids::IntakeId;
use crate::intake::{review, view};
use crate::patients::records::updating;

/// Shows the form with the present review.
pub(super) async fn show(member: Member, PathId(id): PathId<IntakeId>) -> Result<HttpResponse> {
    let found = match view::read(&member.context, id).await {
        Ok(found) => found,
        Err(error) => return closed(&member, &format!("doctor/intakes/{id}/review"), vec![], error).await,
    };
    let (intake, version) = (found.object, found.version);
    if !intake.status.is_submitted() {
        // Only what was sent can be reviewed.
        return Ok(member.go_to(&format!("doctor/intakes/{id}")));
    }
    let name = FormName::of(&intake.form).ok_or_else(|| Error::fault("a stored form is unknown"))?;
    let form = ReviewForm::read(&member, name)?;
    let given = intake.review.as_ref().map(|review| form.stored(review)).transpose()?.unwrap_or_default();
    let patient = updating::read(&member.context, intake.patient_id).await?.object.patient;
    let who = person::shown(&member, patient.id, &patient.display_name, patient.date_of_birth.0, &patient.mrn);
    let drawn = form.drawn(&given, &Mistakes::new());
    let values = context! { patient => who, is_stale => false, ..frame(&member, id, name, version) };
    member.answer("doctor-review", StatusCode::OK, context! { ..values, ..drawn }).await
}

fn frame(member: &Member, id: IntakeId, name: FormName, version: i32) -> Value {
    context! { id => id.to_string(), form => name.as_str(), version => version, form_key => member.form_key() }
}

/// Saves the review.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<IntakeId>) -> Result<HttpResponse> {
    let member = &form.member;
    let name = FormName::of(form.sent.first("form")).ok_or(Error::NotFound)?;
    let fields = ReviewForm::read(member, name)?;
    let given = fields.sent(&form.sent);
    let (built, version) = (RedactedJson(fields.built(&given)), version(&form)?);
    let again = Again { member, id, name, fields: &fields, given: &given };
    match review::review(&member.context, form.once("review"), id, IfMatch::version(version), built).await {
        Ok(_) => Ok(member.go_to(&format!("doctor/intakes/{id}"))),
        Err(Error::Invalid(errors)) => {
            let mistakes = fields.mistakes(&given, &errors);
            again.answer(StatusCode::UNPROCESSABLE_ENTITY, version, &mistakes).await
        }
        Err(Error::Stale) => {
            // Of what is read, the page has the version only: the practitioner opens the summary to see what has changed.
            let now = view::read(&member.context, id).await?.version;
            again.answer(StatusCode::PRECONDITION_FAILED, now, &Mistakes::new()).await
        }
        Err(error @ Error::Conflict(_)) => refuse(&form, &format!("doctor/intakes/{id}"), error).await,
        Err(error) => closed(member, &format!("doctor/intakes/{id}/review"), written(&form), error).await,
    }
}

/// A form that was not saved. It shows what was typed, and nothing of the patient.
struct Again<'a> {
    member: &'a Member,
    id: IntakeId,
    name: FormName,
    fields: &'a ReviewForm,
    given: &'a Given,
}

impl Again<'_> {
    async fn answer(&self, status: StatusCode, version: i32, mistakes: &Mistakes) -> Result<HttpResponse> {
        let drawn = self.fields.drawn(self.given, mistakes);
        let is_stale = status == StatusCode::PRECONDITION_FAILED;
        let frame = frame(self.member, self.id, self.name, version);
        let values = context! { patient => Value::from(()), is_stale => is_stale, ..frame };
        self.member.answer("doctor-review", status, context! { ..values, ..drawn }).await
    }
}

#[cfg(test)]
pub(super) fn examples(language: text::Language) -> Vec<(&'static str, Value)> {
    let fields = super::review_form::example(language);
    let filled = super::super::form_post::Sent::read(
        b"asked=review.mimic_review&review.mimic_review=not_reviewed&asked=review.plan_note&review.plan_note=Iron+%3Cb%3E",
    );
    let given = fields.sent(&filled);
    let errors = [crate::error::FieldError::new("/recheck_on", crate::error::FieldCode::WrongValue, "cannot be read")];
    let frame = context! {
        root => "../../../", member => super::super::member::example_practitioner(), id => "1", form => "rls-history", version => 1, form_key => "k",
    };
    let drawn = |mistakes: &Mistakes| context! { ..frame.clone(), ..fields.drawn(&given, mistakes) };
    vec![
        ("doctor-review", context! { patient => person::example(), is_stale => false, ..drawn(&Mistakes::new()) }),
        (
            "doctor-review",
            context! { patient => Value::from(()), is_stale => false, ..drawn(&fields.mistakes(&given, &errors)) },
        ),
        ("doctor-review", context! { patient => Value::from(()), is_stale => true, ..drawn(&Mistakes::new()) }),
    ]
}
