//! The page of one entry of a list, such as a medicine. The list is saved as a whole, so the entry is found again by what it was.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use rls::form::FormField;
use serde_json::{Map, Value as Json, json};

use super::super::form_post::Sent;
use super::super::member::{Member, MemberForm};
use super::answers::{self, Given, nested};
use super::draft::{Draft, NEW, list, name_of, say};
use super::question::{Drawn, Standing, anchor};
use super::saving::{self, Change, Difference, Outcome};
use super::subject::{Mistakes, STAY, Way, about, go, inside, segment};
use super::{conflict, frame, mistakes};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::ids::IntakeId;
use crate::intake::summary::answer_text;

/// The page of an entry.
struct Place {
    subject: String,
    list: FormField,
    /// None for a new entry.
    at: Option<usize>,
}

impl Place {
    fn of(draft: &Draft, request: &HttpRequest) -> Result<Self> {
        let subject = draft.subject(segment(request, "subject"))?;
        let list = list(&subject.fields, segment(request, "list")).ok_or(Error::NotFound)?;
        let at = match segment(request, "entry") {
            NEW => None,
            at => Some(at.parse().map_err(|_| Error::NotFound)?),
        };
        Ok(Self { subject: subject.id.clone(), list: list.clone(), at })
    }

    fn name(&self) -> &str {
        name_of(&self.list.link_id)
    }

    /// The address within the intake.
    fn page(&self, at: Option<usize>) -> String {
        let at = at.map_or_else(|| NEW.to_owned(), |at| at.to_string());
        format!("{}/{}/{at}", self.subject, self.name())
    }
}

/// Shows an entry.
pub(super) async fn show(member: Member, PathId(id): PathId<IntakeId>, request: HttpRequest) -> Result<HttpResponse> {
    let draft = Draft::read(&member, id).await?;
    if !draft.is_draft() {
        return Ok(member.go_to(&draft.page("")));
    }
    let place = Place::of(&draft, &request)?;
    let sent = Sent::read(request.query_string().as_bytes());
    let entries = draft.entries(&place.list.link_id);
    let entry = match place.at {
        None => json!({}),
        Some(at) => entries.get(at).cloned().ok_or(Error::NotFound)?,
    };
    let is_open = !sent.first("open").is_empty();
    let mistakes = if is_open { open(&draft, &place) } else { Mistakes::new() };
    let values = values(&draft, &place, &entry, &entry, Way::of(&sent), &mistakes);
    let values = context! { is_saved => is_open, ..values };
    member.answer("form-entry", StatusCode::OK, context! { ..frame(&member, &draft).await?, ..values }).await
}

/// What is open in a saved entry.
fn open(draft: &Draft, place: &Place) -> Mistakes {
    let mut found = Mistakes::new();
    let (Some(at), Ok(section)) = (place.at, draft.subject(&place.subject)) else { return found };
    let prefix = format!("{}.{at}.", place.list.link_id);
    for (_, issue) in draft.issues_of(section) {
        let Some(field) = inside(&super::draft::place(&issue.pointer), &prefix) else { continue };
        let Some(field) = Draft::find_field(&place.list.fields, &field) else { continue };
        found.entry(field.link_id.clone()).or_insert_with(|| mistakes::issue(issue.code, draft.language));
    }
    found
}

/// Saves an entry, or removes it.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<IntakeId>, request: HttpRequest) -> Result<HttpResponse> {
    let (member, sent) = (&form.member, &form.sent);
    let draft = Draft::read(member, id).await?;
    if !draft.is_draft() {
        member.context.audit.note_unchanged();
        return Ok(member.go_to(&format!("{}?late=1", draft.page(""))));
    }
    let (place, way) = (Place::of(&draft, &request)?, Way::of(sent));
    let given = answers::read(&place.list.fields, sent);
    let entry = Edit {
        mine: (sent.first("drop") != "yes").then(|| object(&given, &place.list)),
        was: serde_json::from_str(sent.first("base")).ok().filter(|was: &Json| was.is_object()),
        choice: sent.first(&conflict::choice(&place.list.link_id)).to_owned(),
        at: place.at,
    };
    match saving::store(member, draft, |draft| entry.change(&place.list.link_id, &draft.entries(&place.list.link_id)))
        .await?
    {
        Outcome::Saved(saved) => {
            let entries = saved.draft.entries(&place.list.link_id);
            let at = entry.mine.as_ref().and_then(|mine| entries.iter().position(|one| is_same(one, mine)));
            let saved_at = Place { at, ..place };
            let is_more = at.is_some_and(|at| asks_more(&saved.draft, &saved_at.list, &entries[at], &given));
            let stays = sent.first("go") == STAY;
            let to = if at.is_some() && (stays || is_more || !open(&saved.draft, &saved_at).is_empty()) {
                format!("{}{}", saved_at.page(at), way.query(if stays { "" } else { "open=1" }))
            } else {
                format!("{}{}", saved_at.subject, way.query(""))
            };
            Ok(go(member, &saved, &to))
        }
        Outcome::Refused(draft, errors) => {
            let at = place.at.unwrap_or_else(|| draft.entries(&place.list.link_id).len());
            let mistakes = about(&place.list.fields, &errors, &format!("{}.{at}.", place.list.link_id), &draft);
            let typed = entry.mine.clone().unwrap_or_default();
            let values = values(&draft, &place, &typed, &entry.was.clone().unwrap_or_default(), way, &mistakes);
            let values = context! { is_saved => false, ..values };
            let values = context! { ..frame(member, &draft).await?, ..values };
            member.answer("form-entry", StatusCode::UNPROCESSABLE_ENTITY, values).await
        }
        Outcome::Differs(draft, differences) => differs(member, &draft, &place, &differences, sent).await,
    }
}

async fn differs(
    member: &Member,
    draft: &Draft,
    place: &Place,
    differences: &[Difference],
    sent: &Sent,
) -> Result<HttpResponse> {
    let words = |entry: &Json| {
        let list = nested([(&place.list.link_id, &json!([entry]))]);
        let found = answer_text::as_asked(&list, draft.language);
        found.into_iter().flat_map(|section| section.items).map(|item| item.answer).next().unwrap_or_default()
    };
    let saved = differences.first().map(|one| one.saved.clone()).unwrap_or_default();
    let mine = differences.first().map(|one| one.mine.clone()).unwrap_or_default();
    let version = context! {
        choice => conflict::choice(&place.list.link_id), anchor => anchor(&place.list.link_id), label => say(&place.list.label, draft.language),
        mine => words(&mine), saved => words(&saved),
    };
    let base = if saved.is_null() { String::new() } else { saved.to_string() };
    let values = context! { versions => [version], base => base, is_entry => true };
    conflict::answer(member, draft, &place.page(place.at), sent, values).await
}

/// The answers of an entry as an object.
fn object(given: &Given, list: &FormField) -> Json {
    let prefix = format!("{}.", list.link_id);
    let named = given.iter().filter(|(_, value)| !value.is_null());
    let members = named.filter_map(|(id, value)| Some((id.strip_prefix(&prefix)?.to_owned(), value.clone())));
    Json::Object(members.collect())
}

/// Whether two entries say the same, but for what pages do not ask.
fn is_same(saved: &Json, mine: &Json) -> bool {
    let plain = |entry: &Json| -> Map<String, Json> {
        let members = entry.as_object().into_iter().flatten();
        members.filter(|(name, _)| *name != "rxnorm").map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    plain(saved) == plain(mine)
}

/// Whether the saved entry raises a question that the page did not ask.
fn asks_more(draft: &Draft, list: &FormField, entry: &Json, given: &Given) -> bool {
    list.fields.iter().filter(|field| draft.is_for_person(field)).any(|field| {
        let name = name_of(&field.link_id);
        !given.contains_key(&field.link_id) && draft.asks(&field.link_id, Some(entry)) && entry.get(name).is_none()
    })
}

/// What a form does to an entry.
struct Edit {
    /// What was typed. None removes the entry.
    mine: Option<Json>,
    /// From what the page was drawn. None for a new entry.
    was: Option<Json>,
    /// What the person chose after another page had changed the entry: `saved`, `both`, or what was typed.
    choice: String,
    at: Option<usize>,
}

impl Edit {
    fn change(&self, list: &str, entries: &[Json]) -> Change {
        let was = self.was.as_ref().filter(|_| self.choice != "both");
        if self.choice == conflict::SAVED || (was.is_some() && self.mine.as_ref() == was) {
            return Change::Nothing;
        }
        let position = |entry: &Json| {
            // The place in which it was drawn, as the same entry may be there twice.
            let here = self.at.filter(|at| entries.get(*at) == Some(entry));
            here.or_else(|| entries.iter().position(|one| one == entry))
        };
        let mut all = entries.to_vec();
        match (was.map(|was| (was, position(was))), &self.mine) {
            // Nothing was typed, or the entry is gone, as the person wishes.
            (None | Some((_, None)), None) => return Change::Nothing,
            (None, Some(mine)) if mine.as_object().is_none_or(Map::is_empty) => return Change::Nothing,
            // A form that is sent twice adds its entry once.
            (None, Some(mine)) if entries.iter().any(|one| is_same(one, mine)) => return Change::Nothing,
            (None, Some(mine)) => all.push(mine.clone()),
            (Some((was, Some(at))), Some(mine)) => all[at] = with_code(was, mine),
            (Some((_, Some(at))), None) => {
                all.remove(at);
            }
            (Some((_, None)), Some(mine)) if entries.iter().any(|one| is_same(one, mine)) => return Change::Nothing,
            (Some((_, None)), Some(mine)) => {
                let saved = self.at.and_then(|at| entries.get(at)).cloned().unwrap_or_default();
                return Change::Differs(vec![Difference { id: list.to_owned(), mine: mine.clone(), saved }]);
            }
        }
        let all = if all.is_empty() { Json::Null } else { Json::Array(all) };
        Change::Patch(Json::Object(nested([(&list.to_owned(), &all)])))
    }
}

/// Keeps the code that a program has given to a medicine, as long as it has its name.
fn with_code(was: &Json, mine: &Json) -> Json {
    let mut entry = mine.clone();
    if let (Some(code), true) = (was.get("rxnorm"), was.get("name") == mine.get("name")) {
        entry["rxnorm"] = code.clone();
    }
    entry
}

fn values(draft: &Draft, place: &Place, entry: &Json, was: &Json, way: Way, mistakes: &Mistakes) -> Value {
    let fields = &place.list.fields;
    let answer = |id: &str| entry.get(name_of(id)).cloned();
    let mut questions = Vec::new();
    for field in fields.iter().filter(|field| draft.is_for_person(field)) {
        let standing = match (draft.asks(&field.link_id, Some(entry)), answer(&field.link_id).is_some()) {
            (true, _) => Standing::Asked,
            (false, true) => Standing::Left,
            (false, false) => Standing::Hidden,
        };
        let error = mistakes.get(&field.link_id).map_or("", String::as_str);
        let drawn = Drawn { field, siblings: fields, language: draft.language, standing, error };
        if standing != Standing::Hidden || drawn.can_appear() {
            questions.push(context! { entries => Vec::<Value>::new(), new => "", ..drawn.draw(&answer) });
        }
    }
    let wrong: Vec<Value> = fields
        .iter()
        .filter_map(|field| Some((field, mistakes.get(&field.link_id)?)))
        .map(|(field, text)| {
            context! { anchor => anchor(&field.link_id), label => mistakes::label(field, draft.language), text => text }
        })
        .collect();
    context! {
        heading => say(&place.list.label, draft.language),
        target => draft.page(&place.page(place.at)),
        back => format!("{}{}", place.subject, way.query("")),
        is_new => place.at.is_none(),
        base => if place.at.is_some() { was.to_string() } else { String::new() },
        questions => questions,
        wrong => wrong,
        from_check => way.is_from_check(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(mine: Option<Json>, was: Option<Json>, at: Option<usize>, choice: &str) -> Edit {
        Edit { mine, was, choice: choice.to_owned(), at }
    }

    #[test]
    fn an_entry_is_found_again_by_what_it_was() {
        let (iron, gaba) = (json!({"name": "iron"}), json!({"name": "gabapentin"}));
        let more = json!({"name": "iron", "dose": 65});
        let list = |all: Json| Change::Patch(json!({"medications": all}));
        let both = [iron.clone(), gaba.clone()];
        let change = |edit: Edit, entries: &[Json]| edit.change("medications", entries);
        assert_eq!(change(edit(Some(iron.clone()), None, None, ""), &[]), list(json!([iron])));
        assert_eq!(change(edit(Some(iron.clone()), None, None, ""), &both), Change::Nothing, "sent twice");
        assert_eq!(change(edit(Some(more.clone()), Some(iron.clone()), Some(0), ""), &both), list(json!([more, gaba])));
        // Another page has removed the entry before it.
        let moved = edit(Some(json!({"name": "gabapentin", "dose": 300})), Some(gaba.clone()), Some(1), "");
        assert_eq!(change(moved, std::slice::from_ref(&gaba)), list(json!([{"name": "gabapentin", "dose": 300}])));
        assert_eq!(change(edit(None, Some(gaba.clone()), Some(1), ""), &both), list(json!([iron])));
        assert_eq!(change(edit(None, Some(iron.clone()), Some(0), ""), std::slice::from_ref(&iron)), list(Json::Null));
        // Another page has changed the entry.
        let stale = || edit(Some(more.clone()), Some(iron.clone()), Some(0), "");
        let changed = [json!({"name": "iron", "dose": 130})];
        let differs = Difference { id: "medications".into(), mine: more.clone(), saved: changed[0].clone() };
        assert_eq!(change(stale(), &changed), Change::Differs(vec![differs]));
        assert_eq!(change(Edit { choice: "saved".into(), ..stale() }, &changed), Change::Nothing);
        assert_eq!(change(Edit { choice: "both".into(), ..stale() }, &changed), list(json!([changed[0], more])));
        assert_eq!(change(Edit { was: Some(changed[0].clone()), ..stale() }, &changed), list(json!([more])));
    }

    #[test]
    fn the_code_of_a_medicine_stays_with_its_name() {
        let was = json!({"name": "iron", "rxnorm": "90176"});
        assert_eq!(with_code(&was, &json!({"name": "iron", "dose": 65}))["rxnorm"], "90176");
        assert_eq!(with_code(&was, &json!({"name": "zinc"})).get("rxnorm"), None);
    }
}
