//! Answers as text: the labels of the form instead of its codes, for summaries.

use rls::answers::all_sections;
use rls::form_dsl::{Bilingual, Field, Kind};
use serde_json::{Map, Value};
use text::Language;

use super::short_labels::short_label;
use crate::intake::model::Answers;

/// The questions whether there is something to list.
const LIST_STATUS: [&str; 2] = ["medications_status", "allergies_status"];

/// How answers are worded.
#[derive(Debug, Clone, Copy)]
pub enum Wording {
    /// The question as the patient reads it.
    Question(Language),
    /// A short English label, for practitioners.
    Short,
}

impl Wording {
    fn language(self) -> Language {
        match self {
            Self::Question(language) => language,
            Self::Short => Language::English,
        }
    }

    fn label(self, field: &Field) -> String {
        let short = match self {
            Self::Question(_) => None,
            Self::Short => short_label(&field.id),
        };
        short.unwrap_or_else(|| field.label.text(self.language())).to_owned()
    }
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = IntakeAnswerInWords)]
pub struct AnswerText {
    /// The id of the field in the form.
    pub field: String,
    /// The question. For practitioners a short label.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// A section with its answered questions.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = IntakeSectionInWords)]
pub struct AnswerTextSection {
    /// The id of the section in the form.
    pub section: String,
    /// The title.
    pub title: String,
    /// The answered questions, in the order of the form.
    pub items: Vec<AnswerText>,
}

/// The answers that mean that the fact is unknown.
const NOT_KNOWN: [&str; 3] = ["unknown", "prefer_not_to_say", "not_asked"];

const YES: Bilingual = Bilingual { en: "yes", es: "sí" };
const SEE: Bilingual = Bilingual { en: "see the list", es: "véase la lista" };
const NO: Bilingual = Bilingual { en: "no", es: "no" };

fn select(answers: &Answers, wording: Wording, wanted: impl Fn(&Value) -> bool) -> Vec<AnswerTextSection> {
    let section = |section: rls::answers::Section| {
        let mut items = Vec::new();
        for field in &section.fields {
            let Some(value) = find(answers, &field.id).filter(|value| wanted(value)) else { continue };
            add_text(field, &section.fields, value, wording, &mut items);
        }
        let title = section.title.text(wording.language()).to_owned();
        AnswerTextSection { section: section.id.to_owned(), title, items }
    };
    all_sections().into_iter().map(section).filter(|section| !section.items.is_empty()).collect()
}

/// Returns the answered questions as their patient reads them.
pub fn as_asked(answers: &Answers, language: Language) -> Vec<AnswerTextSection> {
    select(answers, Wording::Question(language), |_| true)
}

/// Returns whether the answer means that the fact is unknown.
pub fn is_unknown(answer: &Value) -> bool {
    answer.as_str().is_some_and(|answer| NOT_KNOWN.contains(&answer))
}

/// Splits the answered questions into those with an answer and those answered with unknown, declined or not asked.
pub fn by_knowledge(answers: &Answers, wording: Wording) -> (Vec<AnswerTextSection>, Vec<AnswerTextSection>) {
    (select(answers, wording, |value| !is_unknown(value)), select(answers, wording, is_unknown))
}

/// Returns the answer at a path such as `medications.0` or `risk.ckd`. For a whole list it refers to the list.
pub fn at(answers: &Answers, path: &str, wording: Wording) -> Option<AnswerText> {
    let value = find(answers, path)?;
    let plain: Vec<_> = path.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
    let plain = plain.join(".");
    let sections = all_sections();
    let fields = sections.iter().find(|section| section.fields.iter().any(|field| field.id == plain))?;
    let field = fields.fields.iter().find(|field| field.id == plain)?;
    let mut said = Vec::new();
    match (&field.kind, value) {
        (Kind::Group(_), Value::Object(entry)) => {
            // The first answer, such as the name, identifies the entry. The list has the rest.
            let children = field.children();
            let first = children.iter().find_map(|child| Some((child, entry.get(child.name())?)));
            let answer = first.map(|(child, value)| value_text(child, value, wording)).unwrap_or_default();
            said.push(AnswerText { field: path.to_owned(), question: wording.label(field), answer });
        }
        (Kind::Group(_), _) => {
            let language = wording.language();
            let title = fields.title.text(language).to_owned();
            said.push(AnswerText { field: path.to_owned(), question: title, answer: SEE.text(language).to_owned() });
        }
        _ => add_text(field, &fields.fields, value, wording, &mut said),
    }
    said.into_iter().next()
}

/// Finds the value at a dotted path.
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

fn add_text(field: &Field, siblings: &[Field], value: &Value, wording: Wording, into: &mut Vec<AnswerText>) {
    // The reason why a number is missing is shown as the answer about the number.
    let number = field.id.strip_suffix("_status").and_then(|id| siblings.iter().find(|field| field.id == id));
    // That a number is known, or that there is something to list, is shown by the number or the list itself.
    if (number.is_some() && value == "known") || (LIST_STATUS.contains(&field.id.as_str()) && value == "listed") {
        return;
    }
    let asked = number.unwrap_or(field);
    let mut add = |answer: String| {
        if !answer.is_empty() {
            into.push(AnswerText { field: asked.id.clone(), question: wording.label(asked), answer });
        }
    };
    match (&field.kind, value) {
        (Kind::Group(_), Value::Array(entries)) => {
            let children = field.children();
            for entry in entries.iter().filter_map(Value::as_object) {
                add(entry_text(&children, entry, wording));
            }
        }
        _ => add(value_text(field, value, wording)),
    }
}

/// Writes an entry of a list: its first answer, then the others with their labels.
fn entry_text(children: &[Field], entry: &Map<String, Value>, wording: Wording) -> String {
    let mut parts = Vec::new();
    for child in children {
        let Some(value) = entry.get(child.name()) else { continue };
        let mut said = Vec::new();
        add_text(child, children, value, wording, &mut said);
        for said in said {
            match parts.last_mut() {
                None => parts.push(said.answer),
                // A unit follows its number.
                Some(number) if child.name() == "unit" => *number = format!("{number} {}", said.answer),
                Some(_) if said.question.ends_with('?') => parts.push(format!("{} {}", said.question, said.answer)),
                Some(_) => parts.push(format!("{}: {}", said.question, said.answer)),
            }
        }
    }
    parts.join("; ")
}

/// Writes an answer.
fn value_text(field: &Field, value: &Value, wording: Wording) -> String {
    let language = wording.language();
    let option = |value: &Value| -> String {
        let text = value.as_str().unwrap_or_default();
        let options = match field.kind {
            Kind::Choice(options) | Kind::Choices(options) => options,
            _ => &[],
        };
        let label = options.iter().find(|option| option.value == text);
        label.map_or_else(
            || text.to_owned(),
            |option| Bilingual { en: option.en, es: option.es }.text(language).to_owned(),
        )
    };
    match value {
        Value::Bool(yes) => if *yes { YES } else { NO }.text(language).to_owned(),
        Value::Number(number) => {
            let shown = number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string());
            // The other units, such as "/d", repeat the question.
            let unit = match field.unit {
                Some("min") => " min",
                Some("h") => " h",
                Some("mm[Hg]") => " mmHg",
                Some("mg/d") => " mg",
                Some("d") => Bilingual { en: " days", es: " días" }.text(language),
                _ => "",
            };
            shown + unit
        }
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
