//! The flags that answers raised: those of the practitioner's patients, all open ones, those of one patient, and the acknowledged ones.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::super::account::zone as first_zone;
use super::super::form_post::Sent;
use super::{Member, MemberForm, opening, person, refuse};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::{PathId, input};
use crate::ids::{IntakeFlagId, PatientId};
use crate::intake::flag_worklist::{self, IntakeFlagFilter, IntakeFlagPage, IntakeFlagView};
use crate::messages::times::Moment;

const OPERATION: &str = "list_intake_flags";
/// The most flags of a page.
const MOST: &str = "50";

/// Which flags a page shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// The open ones that the practitioner owns.
    Own,
    /// All open ones.
    All,
    /// Those that are acknowledged.
    Done,
}

/// A list of flags, as its address names it.
struct List {
    which: Which,
    patient: Option<PatientId>,
}

impl List {
    fn of(sent: &Sent) -> Self {
        let which = match sent.first("show") {
            "all" => Which::All,
            "done" => Which::Done,
            _ => Which::Own,
        };
        Self { which, patient: sent.first("patient").parse().ok() }
    }

    fn name(&self) -> &'static str {
        match self.which {
            Which::Own => "own",
            Which::All => "all",
            Which::Done => "done",
        }
    }

    /// The query of this list, or of another one of the same patient.
    fn query(&self, name: &str) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("show", name);
        if let Some(patient) = self.patient {
            query.append_pair("patient", &patient.to_string());
        }
        query.finish()
    }

    fn page(&self) -> String {
        format!("doctor/flags?{}", self.query(self.name()))
    }

    async fn read(&self, member: &Member, cursor: &str) -> Result<IntakeFlagPage> {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", MOST).append_pair("include", "practitioner");
        if self.which == Which::Done {
            query.append_pair("acknowledged", "true");
        }
        let owner = member.context.actor.practitioner_id.filter(|_| self.which != Which::All);
        match (self.patient, owner) {
            (Some(patient), _) => query.append_pair("patient_id", &patient.to_string()),
            (None, Some(owner)) => query.append_pair("practitioner_id", &owner.to_string()),
            (None, None) => &mut query,
        };
        if !cursor.is_empty() {
            query.append_pair("cursor", cursor);
        }
        let filter: IntakeFlagFilter = member.parameters(OPERATION, &query.finish())?;
        flag_worklist::list(&member.context, filter).await
    }
}

/// Shows a list of flags, the most urgent first.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let list = List::of(&sent);
    let found = list.read(&member, sent.first("cursor")).await?;
    let zone = first_zone(&member).await?;
    let flags: Vec<Value> = found.items.iter().map(|flag| row(&member, flag, &found, &zone, &list)).collect();
    let more = found.next_cursor.as_ref().map(|cursor| {
        let cursor = Serializer::new(String::new()).append_pair("cursor", cursor).finish();
        format!("{}&{cursor}", list.query(list.name()))
    });
    let values = context! {
        show => list.name(),
        patient => list.patient.map(|id| id.to_string()),
        lists => ["own", "all", "done"].map(|name| (name, list.query(name))),
        flags => flags,
        more => more,
        done => sent.first("did") == "acknowledged",
        form_key => member.form_key(),
    };
    member.answer("doctor-flags", StatusCode::OK, values).await
}

fn row(member: &Member, flag: &IntakeFlagView, page: &IntakeFlagPage, zone: &TimeZone, list: &List) -> Value {
    let moment = |at: Timestamp| Moment::new(at, zone, member.language).full_here();
    let owner = flag.owner_id.and_then(|id| page.included.as_ref()?.name(id));
    context! {
        id => flag.id.to_string(),
        urgency => flag.urgency.as_str(),
        // None if the record is closed to the practitioner.
        text => flag.text.as_deref(),
        open => opening::link(flag.patient.id, &list.page()),
        patient => person::listed(member, &flag.patient),
        intake => flag.intake_id.map(|id| id.to_string()),
        owner => owner,
        raised => moment(flag.raised_at),
        withdrawn => flag.withdrawn_at.map(moment),
        acknowledged => flag.acknowledged_at.map(moment),
        note => flag.note.as_deref(),
    }
}

/// Acknowledges a flag, with what was done about it.
pub(super) async fn acknowledge(form: MemberForm, PathId(id): PathId<IntakeFlagId>) -> Result<HttpResponse> {
    let member = &form.member;
    let note = form.sent.first("note").trim();
    let built = if note.is_empty() { json!({}) } else { json!({"note": note}) };
    let done = match input::read_built(&built, &*member.operation("acknowledge_intake_flag")?) {
        Ok(body) => {
            let once = form.once(&format!("acknowledge {id}"));
            flag_worklist::acknowledge(&member.context, once, id, body.value).await
        }
        Err(error) => Err(error),
    };
    let page = List::of(&form.sent).page();
    match done {
        Ok(_) => Ok(member.go_to(&format!("{page}&did=acknowledged"))),
        Err(error) => refuse(&form, &page, error).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let flag = |urgency: &str, all: bool| {
        context! {
            id => urgency, urgency => urgency, text => all.then_some("Patient reported <b>chest pain."), open => "doctor/patients/1/open?next=x",
            patient => person::example(), intake => all.then_some("1"), owner => all.then_some("Dr. Osei"), raised => "Monday",
            withdrawn => all.then_some("Tuesday"), acknowledged => Value::from(()), note => Value::from(()),
        }
    };
    let acknowledged = |note: Option<&'static str>| {
        context! { acknowledged => "Wednesday", note => note, ..flag("routine", true) }
    };
    let open: Vec<Value> = ["emergency", "same_day", "prompt", "routine"]
        .iter()
        .flat_map(|one| [flag(one, true), flag(one, false)])
        .collect();
    let done = vec![acknowledged(Some("Called <her>")), acknowledged(None)];
    let page = |show: &str, flags: Vec<Value>, all: bool| {
        let values = context! {
            root => "../", member => super::super::member::example_practitioner(), show => show,
            patient => all.then_some("1"), lists => ["own", "all", "done"].map(|name| (name, "show=x")), flags => flags,
            more => all.then_some("cursor=x"), done => all, form_key => "k",
        };
        ("doctor-flags", values)
    };
    vec![page("own", open, true), page("done", done, false), page("all", vec![], false), page("done", vec![], false)]
}
