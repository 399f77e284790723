//! The fields of a form, defined once: they are drawn, read back, and made the JSON of an operation. The rules of the values are those of the
//! API; this only says which field a broken rule is about.
//!
//! A form for a change carries what it was drawn from. So only what was changed is sent, and a stale form tells what others have changed from
//! what was typed.

use std::collections::BTreeMap;

use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use serde_json::{Map, Value as Json, json};
use text::Language;

use super::super::form_post::Sent;
use super::super::language::both;
use super::words;
use crate::error::{FieldCode, FieldError};

/// The values of the fields by name, each without empty ones.
pub(super) type Values = BTreeMap<&'static str, Vec<String>>;

/// What a field looks like, and what its JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A line of text. With choices, they are suggested.
    Line,
    Email,
    Phone,
    Day,
    Time,
    /// A text of several lines.
    Text,
    /// A whole number.
    Number,
    /// One of the choices.
    Choice,
    /// One of the choices, whose values are numbers.
    Amount,
    /// A box to tick.
    Check,
    /// Any of the choices.
    Several,
}

/// A field, named as the member of the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub label: Bilingual,
    /// Empty without one.
    pub hint: Bilingual,
    /// The longest text in characters; 0 if it has no limit of its own.
    pub most: usize,
    pub optional: bool,
}

impl Field {
    pub const fn new(name: &'static str, kind: Kind, en: &'static str, es: &'static str) -> Self {
        let most = if matches!(kind, Kind::Line) { 100 } else { 0 };
        Self { name, kind, label: Bilingual { en, es }, hint: Bilingual { en: "", es: "" }, most, optional: false }
    }

    pub const fn hint(self, en: &'static str, es: &'static str) -> Self {
        Self { hint: Bilingual { en, es }, ..self }
    }

    pub const fn most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Amount)
    }

    /// The value as the API takes it; none if there is none.
    fn json(&self, values: &[String]) -> Option<Json> {
        let first = values.first();
        match self.kind {
            Kind::Check => Some(json!(first.is_some())),
            Kind::Several => Some(json!(values)),
            // A text that is no number breaks a rule of the API.
            Kind::Number | Kind::Amount => {
                first.map(|text| text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)))
            }
            _ => first.map(|text| json!(text)),
        }
    }

    fn read(&self, sent: &Sent, name: &str) -> Vec<String> {
        let clean = |text: &str| match self.kind {
            Kind::Text => text.replace("\r\n", "\n"),
            _ => text.trim().to_owned(),
        };
        let all = sent.all(name).map(clean).filter(|text| !text.is_empty());
        if self.kind == Kind::Several { all.collect() } else { all.take(1).collect() }
    }
}

/// A choice of a field.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub value: String,
    pub label: String,
    /// Whether the label is a text of the API.
    is_english: bool,
}

impl Choice {
    pub fn new(value: impl ToString, label: impl Into<String>) -> Self {
        Self { value: value.to_string(), label: label.into(), is_english: false }
    }

    /// Marks the label as English in both languages.
    pub fn in_english(self) -> Self {
        Self { is_english: true, ..self }
    }
}

/// The fields of a form with their choices.
pub(super) struct Form {
    fields: Vec<Field>,
    choices: BTreeMap<&'static str, Vec<Choice>>,
    language: Language,
}

/// What a form says, what it was drawn from, and why it is shown again.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub typed: Values,
    pub was: Values,
    /// The version that it was drawn from; none for a new object.
    pub version: Option<i32>,
    pub errors: Vec<FieldError>,
    /// What others have changed since the form was drawn.
    pub changed: Vec<Changed>,
}

impl Draft {
    /// A form for a new object, with what is suggested.
    pub fn new(suggested: &[(&'static str, &str)]) -> Self {
        let typed = suggested.iter().map(|(name, value)| (*name, vec![(*value).to_owned()])).collect();
        Self { typed, ..Self::default() }
    }

    /// A form for a change of what is stored.
    pub fn stored(version: i32, values: Values) -> Self {
        Self { typed: values.clone(), was: values, version: Some(version), ..Self::default() }
    }
}

/// A field that somebody else has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    label: &'static str,
    was: String,
    now: String,
    /// Whether the form has another value that was typed.
    is_typed: bool,
}

impl Form {
    pub fn new(fields: &[Field], language: Language) -> Self {
        Self { fields: fields.to_vec(), choices: BTreeMap::new(), language }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, choices: Vec<Choice>) -> Self {
        self.choices.insert(name, choices);
        self
    }

    /// Reads a form that was sent.
    pub fn read(&self, sent: &Sent) -> Draft {
        let values =
            |of: &dyn Fn(&Field) -> Vec<String>| self.fields.iter().map(|field| (field.name, of(field))).collect();
        Draft {
            typed: values(&|field| field.read(sent, field.name)),
            was: values(&|field| field.read(sent, &format!("was.{}", field.name))),
            version: sent.first("version").parse().ok(),
            ..Draft::default()
        }
    }

    /// The body that creates an object.
    pub fn created(&self, draft: &Draft) -> Json {
        let members =
            self.fields.iter().filter_map(|field| Some((field.name.to_owned(), field.json(of(&draft.typed, field))?)));
        Json::Object(members.collect())
    }

    /// The merge patch: what was changed on the form.
    pub fn patch(&self, draft: &Draft) -> Json {
        let mut members = Map::new();
        for field in &self.fields {
            let (typed, was) = (of(&draft.typed, field), of(&draft.was, field));
            if is_other(field, typed, was) {
                members.insert(field.name.to_owned(), field.json(typed).unwrap_or(Json::Null));
            }
        }
        Json::Object(members)
    }

    /// Brings a stale form up to date: what was not changed on it is as it is stored now. None if all that was changed is stored already,
    /// because the form was sent twice.
    pub fn renewed(&self, draft: Draft, version: i32, stored: Values) -> Option<Draft> {
        let mut renewed = Draft { version: Some(version), was: stored.clone(), ..Draft::default() };
        let mut is_done = true;
        for field in &self.fields {
            let [typed, was, now] = [&draft.typed, &draft.was, &stored].map(|values| of(values, field).to_vec());
            let is_typed = is_other(field, &typed, &was);
            is_done &= !is_typed || is_same(field, &typed, &now);
            if is_other(field, &now, &was) {
                renewed.changed.push(Changed {
                    label: field.label.text(self.language),
                    was: self.words(field, &was),
                    now: self.words(field, &now),
                    is_typed: is_typed && is_other(field, &typed, &now),
                });
            }
            renewed.typed.insert(field.name, if is_typed { typed } else { now });
        }
        (!is_done).then_some(renewed)
    }

    /// Values as a person reads them.
    fn words(&self, field: &Field, values: &[String]) -> String {
        if field.kind == Kind::Check {
            return both(if values.is_empty() { "no" } else { "yes" }, if values.is_empty() { "no" } else { "sí" })
                .text(self.language)
                .into();
        }
        if values.is_empty() {
            return both("nothing", "nada").text(self.language).into();
        }
        let choices = self.choices.get(field.name);
        let word = |value: &String| {
            let choice = choices.and_then(|choices| choices.iter().find(|choice| choice.value == *value));
            choice.map_or_else(|| value.clone(), |choice| choice.label.clone())
        };
        values.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    /// The field that a broken rule is about.
    fn field_of(&self, error: &FieldError) -> Option<&Field> {
        let name = error.pointer.trim_start_matches(['/', '?']).split('/').next()?;
        self.fields.iter().find(|field| field.name == name)
    }

    /// Says what is wrong with a field, or with none of them.
    fn mistake(&self, error: &FieldError, field: Option<&Field>) -> String {
        let shape = field.map_or((0, false), |field| (field.most, field.is_number()));
        words::mistake(error.code, shape, self.language)
    }

    /// The form for its template: `fields`, `wrong`, `changed` and `version`.
    pub fn drawn(&self, draft: &Draft) -> Value {
        let say = |error: &FieldError| self.mistake(error, self.field_of(error));
        let wrong: Vec<Value> = draft
            .errors
            .iter()
            .map(|error| {
                let field = self.field_of(error);
                context! { anchor => field.map(|field| field.name), label => field.map(|field| field.label.text(self.language)), text => say(error) }
            })
            .collect();
        let changed = draft.changed.iter().map(|one| context! { label => one.label, was => one.was.as_str(), now => one.now.as_str(), is_typed => one.is_typed });
        context! {
            fields => self.fields.iter().map(|field| self.drawn_field(field, draft)).collect::<Vec<_>>(),
            wrong => wrong,
            changed => changed.collect::<Vec<_>>(),
            version => draft.version,
        }
    }

    fn drawn_field(&self, field: &Field, draft: &Draft) -> Value {
        let typed = of(&draft.typed, field);
        let is_about = |error: &&FieldError| self.field_of(error).is_some_and(|other| other.name == field.name);
        let error = draft.errors.iter().find(is_about).map(|error| self.mistake(error, Some(field)));
        let option = |choice: &Choice| {
            context! { value => choice.value.as_str(), label => choice.label.as_str(), is_english => choice.is_english, chosen => typed.contains(&choice.value) }
        };
        let (shape, kind) = match field.kind {
            Kind::Line => ("line", "text"),
            Kind::Email => ("line", "email"),
            Kind::Phone => ("line", "tel"),
            Kind::Day => ("line", "date"),
            Kind::Time => ("line", "time"),
            Kind::Number => ("number", "text"),
            Kind::Text => ("text", ""),
            Kind::Choice | Kind::Amount => ("choice", ""),
            Kind::Check => ("check", ""),
            Kind::Several => ("several", ""),
        };
        context! {
            name => field.name, shape => shape, type => kind, label => field.label.text(self.language), hint => field.hint.text(self.language),
            optional => field.optional, most => field.most, value => typed.first(), checked => !typed.is_empty(), error => error,
            options => self.choices.get(field.name).into_iter().flatten().map(option).collect::<Vec<_>>(),
            was => draft.version.map(|_| of(&draft.was, field).to_vec()).unwrap_or_default(),
        }
    }
}

/// Whether a field was stored as it was typed. A telephone number is stored with the code of its country.
fn is_same(field: &Field, typed: &[String], stored: &[String]) -> bool {
    let digits = |values: &[String]| values.concat().chars().filter(char::is_ascii_digit).collect::<String>();
    let is_number = || field.kind == Kind::Phone && digits(typed).len() > 6 && digits(stored).ends_with(&digits(typed));
    !is_other(field, typed, stored) || is_number()
}

/// Whether a field has other values. Those of several choices have no order.
fn is_other(field: &Field, one: &[String], other: &[String]) -> bool {
    match field.kind {
        Kind::Several => one.len() != other.len() || one.iter().any(|value| !other.contains(value)),
        _ => one != other,
    }
}

/// The values of a field.
fn of<'a>(values: &'a Values, field: &Field) -> &'a [String] {
    values.get(field.name).map(Vec::as_slice).unwrap_or_default()
}

/// A broken rule of a page's own field.
pub(super) fn wrong(name: &str, code: FieldCode) -> FieldError {
    FieldError::new(format!("/{name}"), code, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field; 5] = [
        Field::new("name", Kind::Line, "Name", "Nombre"),
        Field::new("phone", Kind::Phone, "Telephone", "Teléfono"),
        Field::new("minutes", Kind::Number, "Minutes", "Minutos").optional(),
        Field::new("active", Kind::Check, "In use", "En uso"),
        Field::new("places", Kind::Several, "Places", "Lugares"),
    ];

    fn form() -> Form {
        Form::new(&FIELDS, Language::English).with("places", vec![Choice::new(1, "Elm"), Choice::new(2, "Oak")])
    }

    fn read(text: &str) -> Draft {
        form().read(&Sent::read(text.as_bytes()))
    }

    #[test]
    fn a_form_makes_the_body_of_the_operation() {
        let draft = read("name=+Elm+&minutes=15&active=yes&places=1&places=2");
        assert_eq!(form().created(&draft), json!({"name": "Elm", "minutes": 15, "active": true, "places": ["1", "2"]}));
        assert_eq!(
            form().created(&read("name=&minutes=ten")),
            json!({"minutes": "ten", "active": false, "places": []})
        );
    }

    #[test]
    fn only_what_was_changed_is_in_the_patch() {
        let draft =
            read("version=3&name=Elm&was.name=Elm&minutes=&was.minutes=15&was.active=yes&places=2&was.places=1");
        assert_eq!(form().patch(&read("version=3&places=1&places=2&was.places=2&was.places=1")), json!({}));
        assert_eq!(
            (draft.version, form().patch(&draft)),
            (Some(3), json!({"minutes": null, "active": false, "places": ["2"]}))
        );
    }

    #[test]
    fn a_stale_form_keeps_what_was_typed_and_says_what_others_changed() {
        let draft = read("version=3&name=Elm+Street&was.name=Elm&minutes=15&was.minutes=15&places=1&was.places=1");
        let stored = read("name=Old+Elm&minutes=30&places=1&places=2").typed;
        let renewed = form().renewed(draft.clone(), 4, stored).expect("something is left to store");
        assert_eq!(
            (renewed.version, &renewed.typed["name"], &renewed.typed["minutes"]),
            (Some(4), &vec!["Elm Street".to_owned()], &vec!["30".to_owned()])
        );
        let changed: Vec<_> =
            renewed.changed.iter().map(|one| (one.label, one.was.as_str(), one.now.as_str(), one.is_typed)).collect();
        assert_eq!(
            changed,
            [("Name", "Elm", "Old Elm", true), ("Minutes", "15", "30", false), ("Places", "Elm", "Elm, Oak", false)]
        );
        assert_eq!(form().patch(&renewed), json!({"name": "Elm Street"}));
        // Sent twice, it is done.
        assert!(form().renewed(draft, 4, read("name=Elm+Street&minutes=15&places=1").typed).is_none());
        let draft = read("phone=(212)+555-0100&was.phone=%2B12125550199");
        assert!(form().renewed(draft.clone(), 2, read("phone=%2B12125550100").typed).is_none());
        assert!(form().renewed(draft, 2, read("phone=%2B12125550199&name=Oak").typed).is_some());
    }
}
