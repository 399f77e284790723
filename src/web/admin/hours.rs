//! The weekly hours of a practitioner, from which slots come into being.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use serde_json::json;

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{SETUP, done, is_setup, outcome, repeated};
use super::practitioners::LIST;
use super::week::{Cell, Place, Week, are_same};
use super::words;
use super::{Member, MemberForm};
use crate::error::{Error, FieldError, Result};
use crate::http::etag::IfMatch;
use crate::http::{PathId, input};
use crate::ids::{LocationId, PractitionerId};
use crate::scheduling::hours::availability::{self, AvailabilityRule};
use crate::scheduling::hours::weekly::Weekday;
use crate::scheduling::setup::practitioners::{self, PractitionerView};

const NAME: &str = "admin-hours";

/// What the page is about.
struct Hours<'a> {
    member: &'a Member,
    practitioner: PractitionerView,
    clinic: Clinic,
    is_setup: bool,
}

/// What a form says, and why it is shown again.
struct Typed {
    week: Week,
    was: Vec<AvailabilityRule>,
    version: i32,
    errors: Vec<FieldError>,
    /// What somebody else has changed: the day, and the hours before and now.
    changed: Vec<Value>,
}

impl<'a> Hours<'a> {
    async fn read(member: &'a Member, id: PractitionerId, sent: &Sent) -> Result<Self> {
        let practitioner = practitioners::read(&member.public(), None, id).await?.object;
        Ok(Self { member, practitioner, clinic: Clinic::read(member).await?, is_setup: is_setup(sent) })
    }

    fn places(&self) -> &[LocationId] {
        &self.practitioner.location_ids
    }

    fn page(&self) -> String {
        format!("{LIST}/{}/hours", self.practitioner.id)
    }

    fn say(&self, en: &'static str, es: &'static str) -> &'static str {
        both(en, es).text(self.member.language)
    }

    /// A rule in words, without its day.
    fn rule(&self, rule: &AvailabilityRule) -> String {
        let place = match self.clinic.location(rule.location_id) {
            "" => self.say("another place", "otro lugar"),
            name => name,
        };
        let day = |label: &str, day: Option<crate::db::types::Date>| {
            day.map(|day| format!(", {label} {}", day.0)).unwrap_or_default()
        };
        let (from, until) =
            (day(self.say("from", "desde"), rule.valid_from), day(self.say("until", "hasta"), rule.valid_until));
        format!("{}–{}, {place}{from}{until}", rule.start, rule.end)
    }

    async fn answer(&self, status: StatusCode, typed: &Typed, sent: &Sent) -> Result<HttpResponse> {
        let language = self.member.language;
        let weeks = self.places().iter().map(|place| {
            let of_place: Vec<&Cell> = typed.week.cells.iter().filter(|cell| cell.place == *place).collect();
            let days = Weekday::ALL.into_iter().map(|day| {
                let ranges = of_place.iter().filter(|cell| cell.day == day.iso()).map(|cell| self.cell(cell, typed));
                context! { label => day.name(language), ranges => ranges.collect::<Vec<_>>() }
            });
            context! { name => self.clinic.location(*place), days => days.collect::<Vec<_>>() }
        });
        let others = typed.week.others.iter().enumerate().map(|(index, other)| {
            context! { index => index, words => format!("{}, {}", other.rule.weekday.name(language), self.rule(&other.rule)), kept => other.is_kept, gone => other.is_gone }
        });
        let wrong = typed.errors.iter().map(|error| self.mistake(error, &typed.week));
        let values = context! {
            id => self.practitioner.id.to_string(), name => self.practitioner.name.as_str(), weeks => weeks.collect::<Vec<_>>(), others => others.collect::<Vec<_>>(),
            was => typed.was.iter().map(|rule| json!(rule).to_string()).collect::<Vec<_>>(), version => typed.version, setup => self.is_setup,
            wrong => wrong.collect::<Vec<_>>(), changed => typed.changed.clone(), conflict => Value::from(()), form_key => self.member.form_key(),
            suggested => typed.was.is_empty() && typed.errors.is_empty() && typed.changed.is_empty(),
        };
        self.member.answer(NAME, status, context! { ..values, ..outcome(sent) }).await
    }

    fn cell(&self, cell: &Cell, typed: &Typed) -> Value {
        let is_about = |error: &&FieldError| matches!(place_of(error, &typed.week), Some(Place::Cell(other)) if other.name("") == cell.name(""));
        context! {
            number => cell.range + 1, from_name => cell.name("from"), to_name => cell.name("to"), from => cell.from.as_str(), to => cell.to.as_str(),
            error => typed.errors.iter().find(is_about).map(|error| words::mistake(error.code, (0, false), self.member.language)),
        }
    }

    /// A broken rule, with a link to its field.
    fn mistake(&self, error: &FieldError, week: &Week) -> Value {
        let language = self.member.language;
        let text = words::mistake(error.code, (0, false), language);
        match place_of(error, week) {
            Some(Place::Cell(cell)) => {
                let day = Weekday::from_iso(cell.day).map(|day| day.name(language)).unwrap_or_default();
                let label = format!("{day}, {}", self.clinic.location(cell.place));
                context! { anchor => cell.name("from"), label => label, text => text }
            }
            Some(Place::Other(other)) => context! { anchor => "others", label => self.rule(&other.rule), text => text },
            None => context! { anchor => Value::from(()), label => "", text => text },
        }
    }

    /// What differs between two lists of rules.
    fn differences(&self, was: &[AvailabilityRule], now: &[AvailabilityRule]) -> Vec<Value> {
        let nothing = || self.say("nothing", "nada").to_owned();
        let language = self.member.language;
        let is_in =
            |rule: &AvailabilityRule, rules: &[AvailabilityRule]| rules.iter().any(|other| json!(other) == json!(rule));
        let line = |rule: &AvailabilityRule, was: String, now: String| context! { label => rule.weekday.name(language), was => was, now => now, is_typed => false };
        let removed = was.iter().filter(|rule| !is_in(rule, now)).map(|rule| line(rule, self.rule(rule), nothing()));
        let added = now.iter().filter(|rule| !is_in(rule, was)).map(|rule| line(rule, nothing(), self.rule(rule)));
        removed.chain(added).collect()
    }
}

/// What a broken rule is about.
fn place_of<'a>(error: &FieldError, week: &'a Week) -> Option<Place<'a>> {
    week.place_of(error.pointer.strip_prefix("/items/")?.split('/').next()?.parse().ok()?)
}

/// Shows the hours.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<PractitionerId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let hours = Hours::read(&member, id, &sent).await?;
    let found = availability::read(&member.context, id).await?;
    let was = found.object.items;
    let week = if was.is_empty() { Week::suggested(hours.places()) } else { Week::of(&was, hours.places()) };
    let typed = Typed { week, was, version: found.version, errors: Vec::new(), changed: Vec::new() };
    hours.answer(StatusCode::OK, &typed, &sent).await
}

/// Replaces the hours.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<PractitionerId>) -> Result<HttpResponse> {
    let member = &form.member;
    let hours = Hours::read(member, id, &form.sent).await?;
    let was: Vec<AvailabilityRule> = form.sent.all("was").filter_map(|rule| serde_json::from_str(rule).ok()).collect();
    let week = Week::read(&form.sent, &was, hours.places());
    let version = form.sent.first("version").parse().unwrap_or_default();
    let mut typed = Typed { week, was, version, errors: Vec::new(), changed: Vec::new() };
    let items = typed.week.items();
    let replaced = match input::read_built(&json!({"items": items}), &*member.operation("replace_availability")?) {
        Ok(body) => availability::replace(&member.context, id, IfMatch::version(version), body.value).await,
        Err(error) => Err(error),
    };
    let back = if hours.is_setup { SETUP.to_owned() } else { hours.page() };
    match replaced {
        Ok(changed) => Ok(done(member, &back, changed.object.affected.affected_total)),
        Err(Error::Invalid(errors)) => {
            typed.errors = errors;
            hours.answer(StatusCode::UNPROCESSABLE_ENTITY, &typed, &form.sent).await
        }
        Err(Error::Stale) => {
            let now = availability::read(&member.context, id).await?;
            if are_same(&items, &now.object.items) {
                // Sent twice.
                return Ok(repeated(member, &back));
            }
            typed.changed = hours.differences(&typed.was, &now.object.items);
            typed.week.renew(&typed.was, &now.object.items, hours.places());
            (typed.was, typed.version) = (now.object.items, now.version);
            hours.answer(StatusCode::PRECONDITION_FAILED, &typed, &form.sent).await
        }
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let range = |number: u32, error: Option<&'static str>| {
        context! { number => number, from_name => format!("1.{number}.from"), to_name => format!("1.{number}.to"), from => "09:00", to => "17:00", error => error }
    };
    let day = context! { label => "Monday", ranges => [range(1, None), range(2, Some("Please check this time."))] };
    let week = context! { name => "<b>Elm", days => [day] };
    let other = |kept: bool, gone: bool| context! { index => 0, words => "Monday, 09:00–24:00, Elm", kept => kept, gone => gone };
    let page = |all: bool, wrong: Vec<Value>, changed: Vec<Value>| {
        let values = context! {
            root => "../../../", member => super::super::member::example_admin(), id => "1", name => "Dr. <b>Osei",
            weeks => if all { vec![week.clone()] } else { vec![] }, others => if all { vec![other(true, false), other(false, false), other(false, true)] } else { vec![] },
            was => ["{}"], version => 1, setup => !all, wrong => wrong, changed => changed, conflict => Value::from(()), form_key => "k", suggested => all,
        };
        (NAME, context! { ..values, ..outcome(&Sent::read(b"did=saved")) })
    };
    let wrong = context! { anchor => "1.1.from", label => "Monday, Elm", text => "Please check this time." };
    let changed = context! { label => "Monday", was => "nothing", now => "09:00–17:00, Elm", is_typed => false };
    vec![page(true, vec![], vec![]), page(false, vec![wrong], vec![]), page(true, vec![], vec![changed])]
}
