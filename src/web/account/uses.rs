//! Who looked at a record: its uses, newest first.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::super::member::Member;
use super::use_words;
use crate::actor::Role;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::PatientId;
use crate::messages::times::Moment;
use crate::patients::access_log;
use crate::patients::records::updating;

const OPERATION: &str = "list_patient_audit_events";

/// Shows the uses of a record.
pub(super) async fn show(member: Member, PathId(id): PathId<PatientId>, request: HttpRequest) -> Result<HttpResponse> {
    let cursor = Sent::read(request.query_string().as_bytes()).first("cursor").to_owned();
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", "50");
    if !cursor.is_empty() {
        query.append_pair("cursor", &cursor);
    }
    let query = query.finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = access_log::list(&member.context, id, filter, page, &member.routes()).await?;
    let zone = super::sessions::zone(&member).await?;
    let uses: Vec<Value> = found
        .items
        .iter()
        .map(|used| {
            context! {
                at => Moment::new(used.at, &zone, member.language).full_here(), role => used.role.map(Role::as_str),
                name => used.name.as_deref(), is_you => used.is_you, what => use_words::words(&used.operation, member.language),
            }
        })
        .collect();
    let patient = updating::read(&member.context, id).await?.object.patient.display_name;
    let older = found.next_cursor.map(|next| {
        let mut query = Serializer::new(String::new());
        query.append_pair("cursor", &next).append_pair("lang", member.language.code()).finish()
    });
    let values = context! { patient => patient, uses => uses, older => older };
    member.answer("uses", StatusCode::OK, values).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let used = |role: Option<&'static str>, name: Option<&'static str>, is_you: bool| {
        context! { at => "Monday", role => role, name => name, is_you => is_you, what => "Read the visits" }
    };
    let all = ["patient", "front_desk", "practitioner", "admin"].map(|role| used(Some(role), None, false));
    let more = [
        used(Some("practitioner"), Some("Dr. Osei"), false),
        used(Some("patient"), None, true),
        used(None, None, false),
    ];
    let member = super::super::member::example(false);
    let page = |uses: Vec<Value>, older: Option<&'static str>| {
        let values =
            context! { root => "../../../", member => member.clone(), patient => "Ann", uses => uses, older => older };
        ("uses", values)
    };
    vec![page([all.as_slice(), &more].concat(), Some("cursor=x")), page(vec![], None)]
}
