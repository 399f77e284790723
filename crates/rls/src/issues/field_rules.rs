//! The rules that the form states for each field: required, conditional, in the past, exclusive options.

use serde_json::{Map, Value};

use super::{Code, Issue};
use crate::answers::Answers;
use crate::context::{Context, FilledBy};
use crate::field_access::is_reserved_for_clinicians;
use crate::form_dsl::{Condition, Field, Kind, PartialDate};
use crate::forms::FormName;

const NOT_ASKED: &str = "not_asked";

/// Returns the issues of these rules.
pub fn issues(answers: &Answers, context: &Context) -> Vec<Issue> {
    let root = serde_json::to_value(answers).unwrap_or_default();
    let mut walk = Walk { root: &root, context, issues: Vec::new() };
    for field in context.form.fields() {
        let place = format!("/{}", field.id.replace('.', "/"));
        walk.field(field, &place, root.pointer(&place), None);
    }
    walk.issues
}

/// The id of a list and one of its entries.
type Entry<'a> = (&'a str, &'a Value);

struct Walk<'a> {
    root: &'a Value,
    context: &'a Context,
    issues: Vec<Issue>,
}

impl Walk<'_> {
    fn error(&mut self, place: &str, code: Code) {
        self.issues.push(Issue::error(place, code));
    }

    fn field(&mut self, field: &Field, place: &str, given: Option<&Value>, entry: Option<Entry>) {
        let applies = applies(field.condition.as_ref(), self.root, entry);
        let siblings = match entry {
            Some((_, entry)) => Some(entry),
            None => place.rsplit_once('/').and_then(|(parent, _)| self.root.pointer(parent)),
        };
        let status_name = format!("{}_status", field.name());
        let status = siblings.and_then(|siblings| siblings.get(&status_name)).and_then(Value::as_str);
        let number = matches!(field.kind, Kind::Integer { .. } | Kind::Decimal { .. });
        match given {
            Some(_) if !applies => self.error(place, Code::ConditionNotMet),
            // The issue is reported at the number.
            Some(_) if field.companion => {}
            Some(value) if value.as_str() == Some(NOT_ASKED) => self.not_asked(field, place),
            Some(_) if number && status.is_some_and(|status| status != "known") => {
                self.error(&format!("{place}_status"), Code::StatusContradicts);
            }
            Some(value) => self.given(field, place, value),
            None if number && status == Some("known") => self.error(place, Code::Required),
            None if number && status == Some(NOT_ASKED) => self.not_asked(field, place),
            None if number && status.is_some() => {}
            None if is_required(field, self.context, self.root) && applies => {
                self.missing(field, place, entry.is_some());
            }
            None => {}
        }
    }

    fn not_asked(&mut self, field: &Field, place: &str) {
        if !is_required(field, self.context, self.root) || skipped(field, self.context) {
            return;
        }
        if self.context.filled_by.is_staff() {
            self.issues.push(Issue::warning(place, Code::NotAsked));
        } else {
            self.error(place, Code::Required);
        }
    }

    fn missing(&mut self, field: &Field, place: &str, in_entry: bool) {
        if skipped(field, self.context) {
            return;
        }
        // Staff may leave questions out, but an incomplete list entry is useless.
        if self.context.filled_by.is_staff() && !in_entry {
            self.issues.push(Issue::warning(place, Code::NotAsked));
        } else {
            self.error(place, Code::Required);
        }
    }

    fn given(&mut self, field: &Field, place: &str, value: &Value) {
        if field.in_past {
            self.in_past(place, value);
        }
        let Some(entries) = value.as_array() else { return };
        match &field.kind {
            Kind::Choices(_) => self.choices(field, place, entries),
            Kind::Group(_) => self.group(field, place, entries),
            _ => {}
        }
    }

    fn in_past(&mut self, place: &str, value: &Value) {
        let Some(date) = value.as_str().and_then(|text| text.parse::<PartialDate>().ok()) else { return };
        if date.surely_before_day(self.context.date_of_birth) {
            self.error(place, Code::BeforeBirth);
        }
        if date.surely_after_day(self.context.authored_on) {
            self.error(place, Code::InFuture);
        }
    }

    fn choices(&mut self, field: &Field, place: &str, entries: &[Value]) {
        if entries.is_empty() && field.required {
            self.missing(field, place, false);
        }
        if entries.len() > 1 && entries.iter().any(|entry| entry == "none") {
            self.error(place, Code::NoneStandsAlone);
        }
        for (position, entry) in entries.iter().enumerate() {
            if entries[..position].contains(entry) {
                self.error(&format!("{place}/{position}"), Code::Duplicate);
            }
        }
    }

    fn group(&mut self, field: &Field, place: &str, entries: &[Value]) {
        if entries.is_empty() && field.required {
            self.missing(field, place, false);
        }
        let children = field.children();
        for (position, entry) in entries.iter().enumerate() {
            for child in &children {
                let place = format!("{place}/{position}/{}", child.name());
                self.field(child, &place, entry.get(child.name()), Some((&field.id, entry)));
            }
        }
    }
}

/// The question how bothersome the symptoms are, 0 to 10.
pub const SEVERITY: &str = "symptoms.severity_0_10";

/// Returns whether the field needs an answer. The 0 to 10 severity does where the licensed scale is not installed, unless
/// a clinician has given its scores.
fn is_required(field: &Field, context: &Context, root: &Value) -> bool {
    field.required || (field.id == SEVERITY && !context.irls_licensed && root.pointer("/irls/items").is_none())
}

/// Returns whether the field may stay unanswered because it is reserved for clinicians.
fn skipped(field: &Field, context: &Context) -> bool {
    let not_clinician = Context { filled_by: FilledBy::Staff, ..context.clone() };
    is_reserved_for_clinicians(field, &not_clinician)
}

/// Returns whether the form asks a question, given the other answers. `entry` is the entry of the list to which the question belongs.
/// Also true for an id that the form does not have.
pub fn is_asked(form: FormName, id: &str, answers: &Value, entry: Option<&Value>) -> bool {
    let fields = form.fields();
    if let Some(field) = fields.iter().find(|field| field.id == id) {
        return applies(field.condition.as_ref(), answers, None);
    }
    let is_inside = |list: &&Field| id.strip_prefix(&list.id).is_some_and(|rest| rest.starts_with('.'));
    let Some(list) = fields.iter().find(is_inside) else { return true };
    let children = list.children();
    let Some(child) = children.iter().find(|child| child.id == id) else { return true };
    applies(child.condition.as_ref(), answers, entry.map(|entry| (list.id.as_str(), entry)))
}

fn applies(condition: Option<&Condition>, root: &Value, entry: Option<Entry>) -> bool {
    let Some(condition) = condition else { return true };
    condition.any.iter().any(|test| {
        let inside = entry.and_then(|(list, entry)| Some((test.field.strip_prefix(list)?.strip_prefix('.')?, entry)));
        let (path, from) = inside.unwrap_or((test.field, root));
        any_at(from, path, &|answer| test.op.holds(answer))
    })
}

/// Returns whether any value at the path passes. The path goes through every entry of a list.
fn any_at(value: &Value, path: &str, fits: &dyn Fn(&Value) -> bool) -> bool {
    if let Value::Array(entries) = value {
        return entries.iter().any(|entry| any_at(entry, path, fits));
    }
    if path.is_empty() {
        return fits(value);
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    value.get(name).is_some_and(|value| any_at(value, rest, fits))
}

/// Marks required questions that staff left out as `not_asked`: in the answer if it is a choice with this option, in
/// the status if it is a number. Lists stay empty.
pub fn mark_not_asked(answers: &Answers, context: &Context) -> Answers {
    if !context.filled_by.is_staff() {
        return answers.clone();
    }
    let Ok(root) = serde_json::to_value(answers) else { return answers.clone() };
    let mut marked = root.clone();
    for field in
        context.form.fields().iter().filter(|field| is_required(field, context, &root) && !skipped(field, context))
    {
        let place = format!("/{}", field.id.replace('.', "/"));
        let missing = root.pointer(&place).is_none() && root.pointer(&format!("{place}_status")).is_none();
        if !missing || !applies(field.condition.as_ref(), &root, None) {
            continue;
        }
        match &field.kind {
            Kind::Choice(options) if options.iter().any(|option| option.value == NOT_ASKED) => {
                put(&mut marked, &field.id, NOT_ASKED);
            }
            Kind::Integer { .. } | Kind::Decimal { .. } => put(&mut marked, &format!("{}_status", field.id), NOT_ASKED),
            _ => {}
        }
    }
    serde_json::from_value(marked).unwrap_or_else(|_| answers.clone())
}

fn put(root: &mut Value, id: &str, value: &str) {
    let mut at = root;
    let mut names = id.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(object) = at.as_object_mut() else { return };
        if names.peek().is_none() {
            object.insert(name.to_owned(), value.into());
            return;
        }
        at = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
}
