//! The history of a visit: where it stands, beginning it, and going on with it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use rls::FormName;
use serde_json::json;

use super::super::member::{Member, MemberForm};
use super::draft::{Draft, minutes, minutes_of};
use crate::appointment_status::AppointmentStatus;
use crate::appointments::listing as visits;
use crate::appointments::view::AppointmentView;
use crate::error::{Error, ProblemCode, Result};
use crate::http::{PathId, input};
use crate::ids::{AppointmentId, IntakeId, PatientId};
use crate::intake::listing::{self, ListedIntake};
use crate::intake::model::{IntakeStanding, IntakeStatus};
use crate::intake::{drafts, forms, view};
use crate::messages::times::Moment;

/// How many intakes are searched for an open draft and the last history.
const MOST: usize = 20;

/// Where the history of a visit stands, for pages that show the visit.
pub(in crate::web) async fn standing(member: &Member, visit: &AppointmentView) -> Result<Value> {
    let (state, left) = match (visit.intake_status, visit.intake_id) {
        (IntakeStanding::InProgress, Some(id)) => {
            let draft = view::read(&member.context, id).await?.object;
            ("begun", minutes(draft.completeness.missing))
        }
        (IntakeStanding::Completed | IntakeStanding::Reviewed, _) => ("sent", 0),
        _ => ("missing", minutes_of(FormName::History)),
    };
    Ok(context! { state => state, minutes => left })
}

/// Offers to begin the history, or goes to the one that there is.
pub(super) async fn show(member: Member, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    if member.is_staff() {
        return Ok(member.go_to(member.home()));
    }
    let visit = visits::read(&member.context, id).await?.object;
    if let Some(intake) = visit.intake_id {
        return Ok(member.go_to(&format!("forms/{intake}")));
    }
    if visit.status == AppointmentStatus::Cancelled {
        // The page of the visit says that it is cancelled, and leads to a new booking.
        return Ok(member.go_to(&format!("visits/{id}")));
    }
    let all = listed(&member, visit.patient_id).await?;
    if let Some(draft) = all.iter().find(|one| one.status == IntakeStatus::InProgress) {
        return Ok(member.go_to(&format!("forms/{}", draft.id)));
    }
    let zone = member.zone(&visit.time_zone);
    let form = forms::read(&member.public(), FormName::History, language(&member))?;
    let values = context! {
        id => id.to_string(),
        form_key => member.form_key(),
        title => super::draft::say(&form.title, member.language),
        intro => super::draft::say(&form.intro, member.language),
        minutes => minutes_of(FormName::History),
        when => Moment::new(visit.starts_at, &zone, member.language).full_here(),
        earlier => earlier(&member, &all, &zone),
    };
    member.answer("history", StatusCode::OK, values).await
}

fn language(member: &Member) -> forms::FormLanguage {
    forms::FormLanguage { language: Some(member.language.code().to_owned()) }
}

/// The histories of a patient, the last changed first.
async fn listed(member: &Member, patient: PatientId) -> Result<Vec<ListedIntake>> {
    const OPERATION: &str = "list_patient_intakes";
    let query = format!("form={}&sort=-updated_at&limit={MOST}", FormName::History.as_str());
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    Ok(listing::list_of_patient(&member.context, patient, filter, page).await?.items)
}

/// The last history that was sent.
fn earlier(member: &Member, all: &[ListedIntake], zone: &TimeZone) -> Option<Value> {
    let sent = all.iter().filter(|one| one.status.is_submitted());
    let (id, at) = sent.filter_map(|one| Some((one.id, one.submitted_at?))).max_by_key(|(_, at)| *at)?;
    Some(context! { id => id.to_string(), when => Moment::new(at, zone, member.language).date_alone() })
}

/// Begins the history, or goes on with the one that was begun meanwhile. The desk begins it on the page of the visit.
pub(super) async fn begin(form: MemberForm, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    let member = &form.member;
    let patient = visits::read(&member.context, id).await?.object.patient_id;
    let mut built = json!({"form": FormName::History.as_str()});
    let earlier = form.sent.first("copy_from");
    if !earlier.is_empty() {
        built["copy_from"] = earlier.into();
    }
    let body = input::read_built(&built, &*member.operation("create_intake")?)?;
    match drafts::create(&member.context, form.once("history"), patient, body.value).await {
        Ok(begun) => {
            // To the first subject: the person has just pressed "Begin". The overview says why a minor cannot send the form.
            let draft = Draft::of(member, begun)?;
            let first = if draft.needs_guardian() { String::new() } else { draft.resume() };
            Ok(member.go_to(&draft.page(&first)))
        }
        Err(Error::Conflict(conflict)) if conflict.code == ProblemCode::DraftExists => {
            let there = conflict.members.get("intake_id").and_then(serde_json::Value::as_str);
            let there: Option<IntakeId> = there.and_then(|id| id.parse().ok());
            let there = there.ok_or_else(|| Error::fault("a conflict without its draft"))?;
            member.context.audit.note_unchanged();
            Ok(member.go_to(&format!("forms/{there}")))
        }
        Err(error) => Err(error),
    }
}
