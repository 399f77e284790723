//! The account: on which devices it is signed in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use jiff::tz::TimeZone;
use minijinja::{Value, context};

use super::super::member::{Member, MemberForm};
use super::signed_out;
use crate::accounts::sessions::{listing, revoking};
use crate::db::types::Date;
use crate::error::Result;
use crate::http::PathId;
use crate::http::paging::PageParams;
use crate::ids::SessionId;
use crate::messages::times::Moment;
use crate::patients::access::current_user::{self, CurrentUserPatient};
use crate::scheduling::setup::locations;

/// Shows the newest sessions.
pub(super) async fn show(member: Member) -> Result<HttpResponse> {
    let page: PageParams = member.parameters("list_sessions", "limit=50")?;
    let sessions = listing::list_own(&member.context, page).await?.items;
    let zone = zone(&member).await?;
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|session| {
            let since = Moment::new(session.created_at, &zone, member.language).full_here();
            context! {
                id => session.id.to_string(), device => session.device.as_str(), network => session.network.as_str(),
                current => session.current, since => since,
            }
        })
        .collect();
    let people = if member.is_staff() { Vec::new() } else { people(&member).await? };
    member.answer("account", StatusCode::OK, context! { sessions => sessions, people => people }).await
}

/// The patients for whom the account acts.
async fn people(member: &Member) -> Result<Vec<Value>> {
    let patients = current_user::read(&member.context).await?.patients;
    let person = |patient: &CurrentUserPatient| {
        context! {
            id => patient.id.to_string(), name => patient.display_name.as_str(), mrn => patient.mrn.as_str(),
            relation => patient.relation.as_str(), is_verified => patient.relation_verified,
            ends => patient.ends_on.map(|Date(day)| Moment::of_day(day, member.language).date_alone()),
        }
    };
    Ok(patients.iter().map(person).collect())
}

/// The time zone of the clinic's first location.
pub(in crate::web) async fn zone(member: &Member) -> Result<TimeZone> {
    let places = locations::list(&member.public(), member.parameters("list_locations", "limit=1")?).await?.items;
    let zone = places.first().and_then(|place| member.context.env.config.zones.get(&place.time_zone));
    Ok(zone.unwrap_or(TimeZone::UTC))
}

/// Ends one of the sessions.
pub(super) async fn end(form: MemberForm, PathId(id): PathId<SessionId>) -> Result<HttpResponse> {
    let is_current = id == form.member.context.actor.session_id;
    revoking::revoke_own(&form.member.context, id).await?;
    Ok(if is_current { signed_out(&form.member) } else { form.member.go_to("account") })
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let session = |current: bool| {
        context! { id => "1", device => "Firefox on Windows", network => "192.0.2.0/24", current => current, since => "Monday" }
    };
    let person = |relation: &str, is_verified: bool| {
        context! {
            id => "1", name => "Ann Example", mrn => "LW-001001", relation => relation, is_verified => is_verified,
            ends => (!is_verified).then_some("May 1, 2030"),
        }
    };
    [true, false]
        .map(|is_staff| {
            let member = super::super::member::example(is_staff);
            let people =
                ["self", "parent", "guardian", "caregiver"].map(|relation| person(relation, relation != "parent"));
            let people = if is_staff { vec![] } else { people.to_vec() };
            ("account", context! { member => member, sessions => [session(true), session(false)], people => people })
        })
        .into()
}
