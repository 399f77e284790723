//! The page of a subject: its questions with the answers so far, saving them, and where to go from there.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use rls::form::{FieldType, FormField, FormSection};
use serde_json::Value as Json;

use super::super::form_post::Sent;
use super::super::member::{Member, MemberForm};
use super::answers::{self, Given};
use super::draft::{CHECK, Draft, NEW, list, name_of, place, pointer, say};
use super::question::{Drawn, Standing, anchor};
use super::saving::{self, Outcome, Saved};
use super::{conflict, frame, mistakes, notices};
use crate::error::{FieldError, Result};
use crate::http::PathId;
use crate::ids::IntakeId;
use crate::intake::summary::answer_text;

/// What is wrong with the answers on a page, by field.
pub(super) type Mistakes = BTreeMap<String, String>;

/// What the button for the other language says: the page is saved and shown again.
pub(super) const STAY: &str = "stay";

/// Where a form leads after it is saved, beside the next subject.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// The page was opened from the check of all answers, and leads back to it.
    from_check: bool,
}

impl Way {
    pub fn of(sent: &Sent) -> Self {
        Self { from_check: sent.first("from") == CHECK }
    }

    pub fn is_from_check(self) -> bool {
        self.from_check
    }

    /// The query that keeps the way, after another part of the query or an empty text.
    pub fn query(self, first: &str) -> String {
        let from = if self.from_check { "from=check" } else { "" };
        let all: Vec<&str> = [first, from].into_iter().filter(|part| !part.is_empty()).collect();
        if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
    }

    /// The page after a subject of which nothing is left to say.
    fn after(self, draft: &Draft, subject: &str) -> String {
        if self.from_check { CHECK.to_owned() } else { draft.after(subject) }
    }
}

/// The segment of a path with this name.
pub(super) fn segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

/// Shows a subject.
pub(super) async fn show(member: Member, PathId(id): PathId<IntakeId>, request: HttpRequest) -> Result<HttpResponse> {
    let draft = Draft::read(&member, id).await?;
    if !draft.is_draft() {
        return Ok(member.go_to(&draft.page("")));
    }
    let section = draft.subject(segment(&request, "subject"))?;
    let asked = Sent::read(request.query_string().as_bytes());
    let mut mistakes = Mistakes::new();
    if asked.first("open") == "1" {
        for (field, issue) in draft.issues_of(section) {
            mistakes.entry(field.link_id.clone()).or_insert_with(|| mistakes::issue(issue.code, draft.language));
        }
    }
    let base = conflict::base(&draft, &section.fields);
    let view = Page { draft: &draft, section, way: Way::of(&asked), given: None, base, mistakes };
    let values = context! { is_saved => true, asks_more => asked.first("open") == "more", ..view.values() };
    member.answer("form-subject", StatusCode::OK, context! { ..frame(&member, &draft).await?, ..values }).await
}

/// Saves a subject.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<IntakeId>, request: HttpRequest) -> Result<HttpResponse> {
    let member = &form.member;
    let draft = Draft::read(member, id).await?;
    if !draft.is_draft() {
        member.context.audit.note_unchanged();
        return Ok(member.go_to(&format!("{}?late=1", draft.page(""))));
    }
    let way = Way::of(&form.sent);
    let fields = draft.subject(segment(&request, "subject"))?.fields.clone();
    let name = segment(&request, "subject").to_owned();
    let given = answers::read(&fields, &form.sent);
    let base: Json = serde_json::from_str(form.sent.first("base")).unwrap_or_default();
    let chosen = |field: &&FormField| form.sent.first(&conflict::choice(&field.link_id)) == conflict::SAVED;
    let others: Vec<&str> = fields.iter().filter(chosen).map(|field| field.link_id.as_str()).collect();
    // The script saves while the person answers.
    let is_aside = !form.sent.first("autosave").is_empty();
    match saving::store(member, draft, |draft| saving::merge(draft, &fields, &given, &base, &others)).await? {
        Outcome::Saved(saved) if is_aside => {
            let notices = notices::of(member, &saved.draft).await?;
            let base = saving::rebased(&saved.draft, &given, &base);
            Ok(HttpResponse::Ok().json(serde_json::json!({"base": base, "notices": notices})))
        }
        Outcome::Refused(..) if is_aside => Ok(HttpResponse::UnprocessableEntity().finish()),
        Outcome::Differs(..) if is_aside => Ok(HttpResponse::Conflict().finish()),
        Outcome::Saved(saved) => {
            let to = match form.sent.first("go") {
                STAY => format!("{name}{}", way.query("")),
                go if is_entry(&fields, go) => format!("{name}/{go}{}", way.query("")),
                _ => next(&saved, &name, way),
            };
            Ok(go(member, &saved, &to))
        }
        Outcome::Refused(draft, errors) => {
            let section = draft.subject(&name)?;
            let mistakes = about(&fields, &errors, "", &draft);
            let base = saving::rebased(&draft, &given, &base);
            let view = Page { draft: &draft, section, way, given: Some(&given), base, mistakes };
            let values = context! { is_saved => false, asks_more => false, ..view.values() };
            let values = context! { ..frame(member, &draft).await?, ..values };
            member.answer("form-subject", StatusCode::UNPROCESSABLE_ENTITY, values).await
        }
        Outcome::Differs(draft, differences) => {
            let base = saving::rebased(&draft, &given, &base);
            conflict::show(member, &draft, &name, &fields, &differences, (base, &form.sent)).await
        }
    }
}

/// Whether a form leads to the page of an entry: the name of a list with a position, or with `new`.
fn is_entry(fields: &[FormField], go: &str) -> bool {
    let Some((name, entry)) = go.split_once('/') else { return false };
    list(fields, name).is_some() && (entry == NEW || entry.parse::<usize>().is_ok())
}

/// The page after a saved subject: itself if something is open or asked only now, otherwise the next one.
fn next(saved: &Saved, subject: &str, way: Way) -> String {
    if saved.asks_more(subject) {
        return format!("{subject}{}", way.query("open=more"));
    }
    let is_open = saved.draft.subject(subject).is_ok_and(|section| section_has_errors(&saved.draft, section));
    if is_open { format!("{subject}{}", way.query("open=1")) } else { way.after(&saved.draft, subject) }
}

fn section_has_errors(draft: &Draft, section: &FormSection) -> bool {
    draft.issues_of(section).any(|(_, issue)| issue.severity == rls::Severity::Error)
}

/// Goes to a page of the form, by the page with the texts that must be read at once.
pub(super) fn go(member: &Member, saved: &Saved, to: &str) -> HttpResponse {
    if saved.must_tell() {
        let next = url::form_urlencoded::byte_serialize(to.as_bytes()).collect::<String>();
        return member.go_to(&saved.draft.page(&format!("notices?next={next}")));
    }
    member.go_to(&saved.draft.page(to))
}

/// The mistakes that the check of the API has found. `prefix` is the place of an entry with a dot, or empty.
pub(super) fn about(fields: &[FormField], errors: &[FieldError], prefix: &str, draft: &Draft) -> Mistakes {
    let mut mistakes = Mistakes::new();
    for error in errors {
        let place = place(&error.pointer);
        let within = if prefix.is_empty() { Some(place) } else { inside(&place, prefix) };
        let Some(field) = within.and_then(|place| Draft::find_field(fields, &place)) else { continue };
        let text = mistakes::text(error, field, draft.language);
        mistakes.entry(field.link_id.clone()).or_insert(text);
    }
    mistakes
}

/// The place of a field in an entry as the id of the field: `labs.0.value` in `labs.0.` is `labs.value`.
pub(super) fn inside(place: &str, prefix: &str) -> Option<String> {
    let list = prefix.trim_end_matches('.').rsplit_once('.')?.0;
    Some(format!("{list}.{}", place.strip_prefix(prefix)?))
}

/// What a page of a subject shows.
struct Page<'a> {
    draft: &'a Draft,
    section: &'a FormSection,
    way: Way,
    /// What was typed, if it was not saved.
    given: Option<&'a Given>,
    /// The answers from which it is drawn.
    base: String,
    mistakes: Mistakes,
}

impl Page<'_> {
    fn values(&self) -> Value {
        let Self { draft, section, .. } = self;
        let subjects = draft.subjects();
        let at = subjects.iter().position(|one| one.id == section.id).unwrap_or_default();
        let before = at.checked_sub(1).map(|at| subjects[at].id.as_str());
        let wrong: Vec<Value> = section
            .fields
            .iter()
            .filter_map(|field| Some((field, self.mistakes.get(&field.link_id)?)))
            .map(|(field, text)| {
                context! { anchor => anchor(&field.link_id), label => mistakes::label(field, draft.language), text => text }
            })
            .collect();
        context! {
            subject => section.id.as_str(),
            heading => say(&section.title, draft.language),
            help => section.help.as_ref().map(|help| say(help, draft.language)),
            at => at + 1,
            of => subjects.len(),
            questions => self.questions(),
            base => self.base.as_str(),
            wrong => wrong,
            from_check => self.way.from_check,
            back => if self.way.from_check { CHECK } else { before.unwrap_or_default() },
            skip => self.way.after(draft, &section.id),
        }
    }

    fn questions(&self) -> Vec<Value> {
        let mut questions = Vec::new();
        let fields = &self.section.fields;
        for field in fields.iter().filter(|field| self.draft.is_for_person(field)) {
            let standing = match (self.draft.asks(&field.link_id, None), self.draft.is_answered(&field.link_id)) {
                (true, _) => Standing::Asked,
                (false, true) => Standing::Left,
                (false, false) => Standing::Hidden,
            };
            let error = self.mistakes.get(&field.link_id).map_or("", String::as_str);
            let drawn = Drawn { field, siblings: fields, language: self.draft.language, standing, error };
            if standing == Standing::Hidden && !drawn.can_appear() {
                continue;
            }
            let question = drawn.draw(&|id| self.answer(id));
            let entries = if field.r#type == FieldType::Entries { self.entries(field) } else { Vec::new() };
            questions.push(
                context! { entries => entries, new => format!("{}/{}", name_of(&field.link_id), NEW), ..question },
            );
        }
        questions
    }

    fn answer(&self, id: &str) -> Option<Json> {
        let typed = self.given.and_then(|given| given.get(id)).cloned();
        typed.or_else(|| self.draft.answers().pointer(&pointer(id)).cloned())
    }

    /// The entries of a list, each in one line.
    fn entries(&self, list: &FormField) -> Vec<Value> {
        let count = self.draft.entries(&list.link_id).len();
        let name = name_of(&list.link_id);
        let all = self.draft.all_answers();
        (0..count)
            .map(|at| {
                let place = format!("{}.{at}", list.link_id);
                let words = answer_text::at(&all, &place, answer_text::Wording::Question(self.draft.language));
                let is_open = self.draft.issues_of(self.section).any(|(_, issue)| {
                    let of = super::draft::place(&issue.pointer);
                    issue.severity == rls::Severity::Error && (of == place || of.starts_with(&format!("{place}.")))
                });
                context! { go => format!("{name}/{at}"), words => words.map(|words| words.answer), is_open => is_open }
            })
            .collect()
    }
}
