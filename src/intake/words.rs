//! Answers in words: the form's own labels, for people who read rather than fill in.

use serde_json::{Map, Value};

use super::model::Answers;
use super::rls::Language;
use super::rls::answers::sections;
use super::rls::kit::{Field, Kind, Words};

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = IntakeAnswerInWords)]
pub struct Said {
    /// The field's id in the form.
    pub field: String,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// A section with what was answered in it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = IntakeSectionInWords)]
pub struct SaidSection {
    /// The section's id in the form.
    pub section: String,
    /// Its title.
    pub title: String,
    /// What was answered, in the form's order.
    pub items: Vec<Said>,
}

/// The answers that mean that nothing is known.
const NOT_KNOWN: [&str; 3] = ["unknown", "prefer_not_to_say", "not_asked"];

const YES: Words = Words { en: "yes", es: "sí" };
const SEE: Words = Words { en: "see there", es: "véase allí" };
const NO: Words = Words { en: "no", es: "no" };

/// What was answered, section by section.
pub fn said(answers: &Answers, language: Language) -> Vec<SaidSection> {
    let section = |section: super::rls::answers::SectionDef| {
        let mut items = Vec::new();
        for field in &section.fields {
            let Some(value) = find(answers, &field.id) else { continue };
            say(field, &section.fields, value, language, &mut items);
        }
        SaidSection { section: section.id.to_owned(), title: language.pick(section.title).to_owned(), items }
    };
    sections().into_iter().map(section).filter(|section| !section.items.is_empty()).collect()
}

/// The questions to which the answer was that it is not known, was declined or was not asked.
pub fn not_known(answers: &Answers, language: Language) -> Vec<Said> {
    let mut items = Vec::new();
    for section in sections() {
        for field in &section.fields {
            let is_unknown = |value: &&Value| value.as_str().is_some_and(|value| NOT_KNOWN.contains(&value));
            let Some(value) = find(answers, &field.id).filter(is_unknown) else { continue };
            say(field, &section.fields, value, language, &mut items);
        }
    }
    items
}

/// The answer at a path such as `medications.0` or `risk.ckd`, in words. A list as a whole stands for itself.
pub fn at(answers: &Answers, path: &str, language: Language) -> Option<Said> {
    let value = find(answers, path)?;
    let plain: Vec<_> = path.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let plain = plain.join(".");
    let sections = sections();
    let fields = sections.iter().find(|section| section.fields.iter().any(|field| field.id == plain))?;
    let field = fields.fields.iter().find(|field| field.id == plain)?;
    let mut said = Vec::new();
    match (&field.kind, value) {
        (Kind::Group(_), Value::Object(entry)) => {
            // What it is about; the rest stands in its list.
            let children = field.children();
            let first = children.iter().find_map(|child| Some((child, entry.get(child.name())?)));
            let answer = first.map(|(child, value)| in_words(child, value, language)).unwrap_or_default();
            said.push(Said { field: path.to_owned(), question: language.pick(field.label).to_owned(), answer });
        }
        (Kind::Group(_), _) => {
            let title = language.pick(fields.title).to_owned();
            said.push(Said { field: path.to_owned(), question: title, answer: language.pick(SEE).to_owned() });
        }
        _ => say(field, &fields.fields, value, language, &mut said),
    }
    said.into_iter().next()
}

/// The value at a dotted path.
pub fn find<'a>(answers: &'a Answers, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let mut value = answers.get(parts.next()?)?;
    for part in parts {
        value = match (value, part.parse::<usize>()) {
            (Value::Array(list), Ok(at)) => list.get(at)?,
            (value, _) => value.get(part)?,
        };
    }
    Some(value)
}

fn say(field: &Field, siblings: &[Field], value: &Value, language: Language, into: &mut Vec<Said>) {
    // Why a number is missing is said of the number.
    let number = field.id.strip_suffix("_status").and_then(|id| siblings.iter().find(|field| field.id == id));
    if number.is_some() && value == "known" {
        return;
    }
    let asked = number.unwrap_or(field);
    let mut add = |answer: String| {
        if !answer.is_empty() {
            let question = language.pick(asked.label).to_owned();
            into.push(Said { field: asked.id.clone(), question, answer });
        }
    };
    match (&field.kind, value) {
        (Kind::Group(_), Value::Array(entries)) => {
            let children = field.children();
            for entry in entries.iter().filter_map(Value::as_object) {
                add(entry_in_words(&children, entry, language));
            }
        }
        _ => add(in_words(field, value, language)),
    }
}

/// An entry of a list: what it is about first, then the rest with its labels.
fn entry_in_words(children: &[Field], entry: &Map<String, Value>, language: Language) -> String {
    let mut parts = Vec::new();
    for child in children {
        let Some(value) = entry.get(child.name()) else { continue };
        let mut said = Vec::new();
        say(child, children, value, language, &mut said);
        for said in said {
            let first = parts.is_empty();
            parts.push(if first {
                said.answer
            } else {
                format!("{}: {}", said.question.trim_end_matches('?'), said.answer)
            });
        }
    }
    parts.join("; ")
}

/// An answer in words.
fn in_words(field: &Field, value: &Value, language: Language) -> String {
    let option = |value: &Value| -> String {
        let text = value.as_str().unwrap_or_default();
        let options = match field.kind {
            Kind::Choice(options) | Kind::Choices(options) => options,
            _ => &[],
        };
        let label = options.iter().find(|option| option.value == text);
        label.map_or_else(|| text.to_owned(), |option| language.pick(Words { en: option.en, es: option.es }).to_owned())
    };
    match value {
        Value::Bool(yes) => language.pick(if *yes { YES } else { NO }).to_owned(),
        Value::Number(number) => match field.unit.filter(|unit| unit.chars().any(char::is_alphabetic)) {
            Some(unit) => format!("{number} {unit}"),
            None => number.to_string(),
        },
        Value::String(_) => option(value),
        Value::Array(list) => {
            let item = |item: &Value| match item {
                Value::Null => "–".to_owned(),
                Value::String(_) => option(item),
                other => other.to_string(),
            };
            list.iter().map(item).collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Object(_) => String::new(),
    }
}
