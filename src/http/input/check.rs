//! Checks a value against its shape, and collects everything that is wrong with it.

use serde_json::{Number, Value};

use super::near::nearest;
use super::shape::{Form, Kind, Member, Shape};
use super::tree::descend;
use crate::clock::Timestamp;
use crate::db::types::Date;
use crate::error::{FieldCode, FieldError};

/// The greatest number of errors in one response. Nothing is compared for errors beyond it.
pub const MAX_ERRORS: usize = 100;

/// The integers up to here have a float of their own (2^53).
const WHOLE_FLOATS: f64 = 9_007_199_254_740_992.0;

/// What is wrong with a value.
#[derive(Debug, Default)]
pub struct Findings {
    /// Wrong types and options, unknown and missing members. No type can hold such a value.
    pub errors: Vec<FieldError>,
    /// Lengths, ranges and numbers of entries past their limits. The handlers have these among their rules, and report them
    /// after the role of the caller, together with the other rules.
    pub limits: Vec<FieldError>,
}

/// Compares a value with its shape, and returns everything that is wrong.
///
/// Where the shape wants an integer, a float without a fraction becomes one: JSON has only one type of number.
pub fn check(shape: &Shape, value: &mut Value) -> Findings {
    let mut check = Check { place: String::new(), found: Findings::default() };
    check.value(shape, value);
    check.found
}

struct Check {
    /// The pointer to the current value.
    place: String,
    found: Findings,
}

impl Check {
    fn add(&mut self, code: FieldCode, detail: impl Into<String>) {
        if self.found.errors.len() < MAX_ERRORS {
            self.found.errors.push(FieldError::new(self.place.clone(), code, detail));
        }
    }

    fn past_limit(&mut self, code: FieldCode, detail: impl Into<String>) {
        if self.found.limits.len() < MAX_ERRORS {
            self.found.limits.push(FieldError::new(self.place.clone(), code, detail));
        }
    }

    fn value(&mut self, shape: &Shape, value: &mut Value) {
        if value.is_null() && shape.nullable {
            return;
        }
        match (&*shape.kind, &mut *value) {
            (Kind::Any, _) | (Kind::Boolean, Value::Bool(_)) => {}
            (Kind::Text { least, most, form }, Value::String(text)) => {
                if !has_form(text, *form) {
                    self.add(FieldCode::WrongType, expected(shape));
                }
                // PostgreSQL cannot store it, and no text of a person has it.
                if text.contains('\0') {
                    self.add(FieldCode::ForbiddenCharacter, "must not have the character NUL");
                }
                self.length(text, *least, *most);
            }
            (Kind::Choice(options), Value::String(text)) => {
                if !options.contains(text) {
                    self.add(FieldCode::NotAnOption, options_of(options));
                }
            }
            (Kind::Integer { least, most }, Value::Number(number)) => match integer(number) {
                Some(whole) => {
                    *number = whole.into();
                    if least.is_some_and(|least| whole < least) || most.is_some_and(|most| whole > most) {
                        self.past_limit(FieldCode::OutOfRange, expected(shape));
                    }
                }
                // Beyond all integers.
                None if is_whole(number) => self.add(FieldCode::OutOfRange, expected(shape)),
                None => self.add(FieldCode::WrongType, expected(shape)),
            },
            (Kind::IntegerChoice(options), Value::Number(number)) => match integer(number) {
                Some(whole) if options.contains(&whole) => *number = whole.into(),
                None if !is_whole(number) => self.add(FieldCode::WrongType, expected(shape)),
                _ => self.add(FieldCode::NotAnOption, expected(shape)),
            },
            (Kind::Number { least, most }, Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                    self.past_limit(FieldCode::OutOfRange, expected(shape));
                }
            }
            (Kind::List { of, least, most }, Value::Array(entries)) => {
                if let Some(most) = most.filter(|most| entries.len() > *most) {
                    self.past_limit(FieldCode::TooMany, format!("must have at most {most} entries"));
                } else if entries.len() < *least {
                    self.past_limit(FieldCode::TooFew, format!("must have at least {least}"));
                }
                for (index, entry) in entries.iter_mut().enumerate() {
                    self.within(&index.to_string(), |check| check.value(of, entry));
                }
            }
            (Kind::Object(members), Value::Object(object)) => {
                for member in members.iter().filter(|member| member.required && !object.contains_key(&member.name)) {
                    self.within(&member.name, |check| check.add(FieldCode::Required, "is required"));
                }
                for (name, value) in object {
                    if self.found.errors.len() >= MAX_ERRORS {
                        break;
                    }
                    let known = members.iter().find(|member| member.name == *name);
                    self.within(name, |check| match known {
                        Some(member) => check.value(&member.shape, value),
                        None => check.add(FieldCode::UnknownField, unknown("member", name, members)),
                    });
                }
            }
            _ => self.add(FieldCode::WrongType, expected(shape)),
        }
    }

    fn length(&mut self, text: &str, least: usize, most: Option<usize>) {
        if least > 0 && text.is_empty() {
            self.past_limit(FieldCode::Required, "must not be empty");
        } else if text.chars().take(least).count() < least {
            self.past_limit(FieldCode::TooShort, format!("must be at least {least} characters"));
        } else if let Some(most) = most.filter(|most| text.len() > *most && text.chars().count() > *most) {
            self.past_limit(FieldCode::TooLong, format!("must be at most {most} characters"));
        }
    }

    fn within(&mut self, name: &str, check: impl FnOnce(&mut Self)) {
        let length = self.place.len();
        descend(&mut self.place, name);
        check(self);
        self.place.truncate(length);
    }
}

/// Returns the error text of an unknown name. Suggests a known name that is close.
pub fn unknown(what: &str, name: &str, known: &[Member]) -> String {
    match nearest(name, known.iter().map(|member| member.name.as_str())) {
        Some(near) => format!("there is no such {what}; did you mean `{near}`?"),
        None => format!("there is no such {what}"),
    }
}

/// Returns whether a text has the form.
pub fn has_form(text: &str, form: Form) -> bool {
    match form {
        Form::Plain => true,
        Form::Id => uuid::Uuid::try_parse(text).is_ok(),
        Form::Day => text.parse::<Date>().is_ok(),
        Form::Instant => text.parse::<Timestamp>().is_ok(),
    }
}

/// Returns the error text of a value that is no option.
pub fn options_of(options: &[String]) -> String {
    let quoted: Vec<_> = options.iter().map(|option| format!("\"{option}\"")).collect();
    match quoted.as_slice() {
        [only] => format!("must be {only}"),
        several => format!("must be one of {}", several.join(", ")),
    }
}

/// Returns the error text of a value of another type.
pub fn expected(shape: &Shape) -> String {
    let what = match &*shape.kind {
        Kind::Any => "any value".into(),
        Kind::Text { form, .. } => named(*form).into(),
        Kind::Choice(options) => return options_of(options) + if shape.nullable { " or null" } else { "" },
        Kind::IntegerChoice(options) => {
            format!("one of {}", options.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Kind::Integer { least, most } => format!("an integer{}", range(*least, *most)),
        Kind::Number { least, most } => format!("a number{}", range(*least, *most)),
        Kind::Boolean => "true or false".into(),
        Kind::List { .. } => "an array".into(),
        Kind::Object(_) => "an object".into(),
    };
    format!("must be {what}{}", if shape.nullable { " or null" } else { "" })
}

fn named(form: Form) -> &'static str {
    match form {
        Form::Plain => "a string",
        Form::Id => "an id (a UUID)",
        Form::Day => "a date such as 1967-09-14",
        Form::Instant => "an RFC 3339 instant such as 2026-03-08T14:30:00Z",
    }
}

fn range<T: std::fmt::Display>(least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    }
}

fn is_whole(number: &Number) -> bool {
    number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// Returns the integer value of a number in any notation.
#[allow(clippy::cast_possible_truncation, reason = "a whole float within the bounds has its integer")]
fn integer(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= WHOLE_FLOATS)?;
        Some(float as i64)
    })
}
