//! Searching the audit trail: who did what, when, and to what.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::ToSpan;
use jiff::civil::Date as Day;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::account::zone as first_zone;
use super::super::form_post::Sent;
use super::{Member, clients, staff};
use crate::audit::AuditOutcome;
use crate::audit::listing::{self, AuditEventPage, AuditEventView};
use crate::error::{Error, Result};
use crate::messages::times::Moment;
use crate::role::StaffRole;
use crate::scheduling::hours::weekly::midnight;

const NAME: &str = "admin-audit";
const OPERATION: &str = "list_audit_events";
/// The filters of the page. The days are those of the clinic's first place.
const FILTERS: [&str; 7] = ["actor_id", "operation", "outcome", "patient_id", "object_id", "from_day", "to_day"];

/// The query of this page with some filters.
fn query_of(filters: &[(&str, &str)]) -> String {
    let set = filters.iter().filter(|(_, value)| !value.is_empty());
    Serializer::new(String::new()).extend_pairs(set).finish()
}

/// The query of the operation.
fn built(sent: &Sent, zone: &TimeZone) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", "50");
    for name in ["actor_id", "operation", "outcome", "patient_id", "object_id", "cursor"] {
        let value = sent.first(name).trim();
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    for (name, parameter, more) in [("from_day", "from", 0), ("to_day", "to", 1)] {
        let text = sent.first(name).trim();
        if !text.is_empty() {
            // What is no day breaks a rule of the operation.
            let at = text.parse::<Day>().map(|day| midnight(day.saturating_add(more.days()), zone).jiff().to_string());
            query.append_pair(parameter, &at.unwrap_or_else(|_| text.to_owned()));
        }
    }
    query.finish()
}

/// Shows the events that match.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let zone = first_zone(&member).await?;
    let found = match read(&member, &built(&sent, &zone)).await {
        Ok(found) => Some(found),
        Err(Error::Invalid(_)) => None,
        Err(other) => return Err(other),
    };
    let filters: Vec<(&str, &str)> = FILTERS.iter().map(|name| (*name, sent.first(name).trim())).collect();
    let events = found.iter().flat_map(|found| &found.items).map(|event| row(&member, event, &zone, &filters));
    let more = found
        .as_ref()
        .and_then(|found| found.next_cursor.as_deref())
        .map(|cursor| query_of(&[filters.as_slice(), &[("cursor", cursor)]].concat()));
    let typed: BTreeMap<&str, String> =
        FILTERS.iter().map(|name| (*name, sent.first(name).trim().to_owned())).collect();
    let values = context! {
        typed => typed, people => people(&member, sent.first("actor_id")).await?,
        outcomes => AuditOutcome::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>(), is_wrong => found.is_none(), events => events.collect::<Vec<_>>(), more => more,
    };
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    member.answer(NAME, status, values).await
}

async fn read(member: &Member, query: &str) -> Result<AuditEventPage> {
    let (filter, page) = (member.parameters(OPERATION, query)?, member.parameters(OPERATION, query)?);
    listing::list(&member.context, filter, page).await
}

/// Who can be chosen: the accounts of staff, and machine clients.
async fn people(member: &Member, chosen: &str) -> Result<Vec<Value>> {
    let mut people = Vec::new();
    for role in StaffRole::ALL {
        let users = staff::of_role(member, (*role).into()).await?;
        people.extend(users.into_iter().map(|user| (user.id.to_string(), user.name.unwrap_or(user.email))));
    }
    let clients = clients::all(member).await?;
    people.extend(clients.into_iter().map(|client| (client.id.to_string(), client.name)));
    Ok(people.into_iter().map(|(id, name)| context! { chosen => id == chosen, id => id, name => name }).collect())
}

fn row(member: &Member, event: &AuditEventView, zone: &TimeZone, filters: &[(&str, &str)]) -> Value {
    // The same search with one filter more.
    let narrowed = |name: &str, value: String| {
        let others: Vec<_> = filters.iter().filter(|(other, _)| *other != name).copied().collect();
        query_of(&[others.as_slice(), &[(name, value.as_str())]].concat())
    };
    let routes = member.routes();
    context! {
        at => Moment::new(event.at, zone, member.language).full_here(),
        who => event.actor_name.as_deref(),
        who_link => event.actor_id.map(|id| narrowed("actor_id", id.to_string())),
        role => event.role.map(|role| staff::role(role).text(member.language)),
        operation => event.operation.as_str(),
        summary => routes.summary(&event.operation),
        outcome => event.outcome.as_str(),
        status => event.status,
        address => event.address.as_deref(),
        times => event.times,
        shown => event.shown_patient_ids.len(),
        reason => event.reason.as_deref(),
        patient => event.patient_id.map(|id| id.to_string()),
        patient_link => event.patient_id.map(|id| narrowed("patient_id", id.to_string())),
        object_link => event.object_id.map(|id| narrowed("object_id", id.to_string())),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let event = |all: bool, outcome: &'static str, times: i32| {
        context! {
            at => "Monday", who => all.then_some("<b>Dee"), who_link => all.then_some("actor_id=1"), role => all.then_some("Front desk"), operation => "get_patient",
            summary => all.then_some("Read a patient"), outcome => outcome, status => (!all).then_some(403), address => all.then_some("192.0.2.7"), times => times,
            shown => if all { 2 } else { 0 }, reason => all.then_some("On <call>"), patient => all.then_some("1"), patient_link => all.then_some("patient_id=1"),
            object_link => all.then_some("object_id=1"),
        }
    };
    let person = |chosen: bool| context! { id => "1", name => "<b>Dee", chosen => chosen };
    let page = |events: Vec<Value>, is_wrong: bool, more: Option<&'static str>| {
        let typed: BTreeMap<&str, &str> = FILTERS.iter().map(|name| (*name, "failed")).collect();
        let values = context! {
            root => "../", member => super::super::member::example_admin(), typed => typed, people => [person(true), person(false)],
            outcomes => AuditOutcome::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>(), is_wrong => is_wrong, events => events, more => more,
        };
        (NAME, values)
    };
    let all = ["success", "replayed", "refused", "failed"]
        .map(|outcome| event(outcome == "success", outcome, if outcome == "refused" { 3 } else { 1 }));
    vec![page(all.to_vec(), false, Some("cursor=x")), page(vec![], false, None), page(vec![], true, None)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_instants_of_the_first_place() {
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        let query = built(
            &Sent::read(b"operation=+get_patient+&outcome=&from_day=2026-03-02&to_day=2026-03-02&cursor=c"),
            &zone,
        );
        assert_eq!(
            query,
            "limit=50&operation=get_patient&cursor=c&from=2026-03-02T05%3A00%3A00Z&to=2026-03-03T05%3A00%3A00Z"
        );
        assert!(built(&Sent::read(b"from_day=soon"), &zone).ends_with("from=soon"));
    }
}
