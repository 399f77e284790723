//! A question as its template draws it: from the definition of its field, the answer so far, and what is wrong with it.

use minijinja::{Value, context};
use rls::form::{FieldType, FormField, FormOperator};
use serde_json::Value as Json;
use text::Language;

use super::answers::is_scale;
use super::draft::{companion, say};
use crate::intake::model::Answers;
use crate::intake::summary::answer_text;

/// From this number of options on, they are in a list that opens.
const MANY: usize = 9;
/// What only clinicians may answer, as the check of the API has it.
const OF_CLINICIANS: [(&str, &str); 1] = [("venous.diagnostic_tests.result_source", "clinician")];

/// How a question stands to the other answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Standing {
    /// It is asked.
    Asked,
    /// It is not asked. The script shows it when another answer on the page asks for it.
    Hidden,
    /// It is answered although it is not asked any more.
    Left,
}

/// What a question is drawn with.
pub(in crate::web) struct Drawn<'a> {
    pub field: &'a FormField,
    /// The fields beside it.
    pub siblings: &'a [FormField],
    pub language: Language,
    pub standing: Standing,
    /// What is wrong, or an empty text.
    pub error: &'a str,
}

/// The id of an element in the page.
pub(in crate::web) fn anchor(link_id: &str) -> String {
    format!("q-{}", link_id.replace('.', "-"))
}

/// The option with which the form says that a number is known. A number says it itself.
const KNOWN: &str = "known";

impl Drawn<'_> {
    /// Draws the question. `given` has the answer to a field.
    pub fn draw(&self, given: &dyn Fn(&str) -> Option<Json>) -> Value {
        let field = self.field;
        let answer = given(&field.link_id).filter(|answer| !answer.is_null());
        let reason = companion(self.siblings, field);
        let status = reason.and_then(|reason| given(&reason.link_id)).filter(|status| !status.is_null());
        let is_chosen =
            |value: &str| is_chosen(answer.as_ref(), value) || (is_scale(field) && is_chosen(status.as_ref(), value));
        let option =
            |value: &str, label: &str| context! { value => value, label => label, checked => is_chosen(value) };
        let mut options: Vec<Value> = field
            .options
            .iter()
            .filter(|one| !OF_CLINICIANS.contains(&(field.link_id.as_str(), one.value.as_str())))
            .map(|one| option(&one.value, say(&one.label, self.language)))
            .collect();
        if is_scale(field) {
            let (least, most) = (field.minimum.unwrap_or_default(), field.maximum.unwrap_or_default());
            options = (least..=most).map(|number| option(&number.to_string(), &number.to_string())).collect();
        }
        let reasons = reason.iter().flat_map(|reason| &reason.options).filter(|one| one.value != KNOWN);
        let statuses: Vec<Value> = reasons
            .map(|one| {
                let checked = is_chosen(&one.value) || is_chosen_text(status.as_ref(), &one.value);
                context! { value => one.value.as_str(), label => say(&one.label, self.language), checked => checked }
            })
            .collect();
        let (year, month, day) = parts(answer.as_ref());
        let is_left = self.standing == Standing::Left;
        context! {
            id => field.link_id.as_str(),
            anchor => anchor(&field.link_id),
            kind => kind(field),
            label => say(&field.label, self.language),
            help => field.help.as_ref().map(|help| say(help, self.language)),
            optional => !field.required,
            options => options,
            statuses => statuses,
            text => answer.as_ref().map(shown).unwrap_or_default(),
            year => year, month => month, day => day,
            scores => self.scores(answer.as_ref()),
            most => field.max_length,
            error => self.error,
            is_left => is_left,
            words => is_left.then(|| in_words(self.language, &[(field.link_id.clone(), answer.clone().unwrap_or_default())])),
            is_hidden => self.standing == Standing::Hidden,
            // A radio button cannot be taken back without a script.
            can_clear => !field.required && (answer.is_some() || status.is_some()),
            condition => self.condition(),
        }
    }

    /// The condition as the script tests it: one other answer, which is on the page if it is in the same section or entry.
    fn condition(&self) -> Option<Value> {
        let condition = self.field.condition.as_ref()?;
        let [test] = condition.any.as_slice() else { return None };
        let is_here = self.siblings.iter().any(|other| other.link_id == test.field);
        (is_here && test.operator != FormOperator::OneOfIgnoringCase)
            .then(|| context! { field => test.field.as_str(), values => test.values.join(" "), below => test.below })
    }

    /// Whether the script can show the question when it becomes one.
    pub fn can_appear(&self) -> bool {
        self.condition().is_some()
    }

    fn scores(&self, answer: Option<&Json>) -> Vec<Value> {
        let score = |at: usize| answer.and_then(|list| list.get(at)).and_then(Json::as_i64);
        let scores = self.field.scores.iter().enumerate();
        scores
            .map(|(at, one)| {
                let words = |number: usize| one.options.get(number).map(|words| say(words, self.language));
                let options: Vec<Value> = (0..=4_usize)
                    .map(|number| {
                        let checked = score(at) == i64::try_from(number).ok();
                        context! { value => number, label => words(number).map_or_else(|| number.to_string(), str::to_owned), checked => checked }
                    })
                    .collect();
                context! { at => at, label => say(&one.label, self.language), options => options }
            })
            .collect()
    }
}

fn kind(field: &FormField) -> &'static str {
    match field.r#type {
        FieldType::Choice if field.options.len() >= MANY => "select",
        FieldType::Choice => "choice",
        FieldType::Choices => "choices",
        FieldType::Integer if is_scale(field) => "scale",
        FieldType::Integer | FieldType::Decimal => "number",
        FieldType::Scores => "scores",
        FieldType::Date | FieldType::PartialDate => "date",
        FieldType::Time => "time",
        FieldType::Text => "text",
        FieldType::LongText => "lines",
        FieldType::Entries => "entries",
    }
}

fn is_chosen_text(answer: Option<&Json>, value: &str) -> bool {
    answer.and_then(Json::as_str) == Some(value)
}

fn is_chosen(answer: Option<&Json>, value: &str) -> bool {
    match answer {
        Some(Json::Array(all)) => all.iter().any(|one| one == value),
        Some(Json::Number(number)) => number.to_string() == value,
        other => is_chosen_text(other, value),
    }
}

/// An answer as the text of a field.
fn shown(answer: &Json) -> String {
    answer.as_str().map_or_else(|| if answer.is_number() { answer.to_string() } else { String::new() }, str::to_owned)
}

/// The parts of a date, as far as it is known.
fn parts(answer: Option<&Json>) -> (String, String, String) {
    let text = answer.and_then(Json::as_str).unwrap_or_default();
    let mut parts = text.splitn(3, '-').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

/// Answers in words, for a person who compares them.
pub(super) fn in_words(language: Language, given: &[(String, Json)]) -> String {
    let known = given.iter().filter(|(_, value)| !value.is_null()).map(|(id, value)| (id, value));
    let answers: Answers = super::answers::nested(known);
    let sections = answer_text::as_asked(&answers, language);
    let words = sections.iter().flat_map(|section| &section.items).map(|item| item.answer.as_str());
    words.collect::<Vec<_>>().join("; ")
}
