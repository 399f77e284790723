//! Checks the parameters of a query against those that the operation has.

use std::borrow::Cow;
use std::collections::HashSet;

use super::check::{MAX_ERRORS, expected, has_form, options_of, unknown};
use super::several::MAX_VALUES;
use super::shape::{Kind, Member, Shape};
use crate::error::{FieldCode, FieldError};

/// Returns everything that is wrong with a query.
pub fn check(query: &str, known: &[Member]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen: HashSet<Cow<'_, str>> = HashSet::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if errors.len() >= MAX_ERRORS {
            return errors;
        }
        let wrong = match known.iter().find(|member| member.name == name) {
            None => Err((FieldCode::UnknownParameter, unknown("parameter", &name, known))),
            Some(_) if seen.contains(&name) => {
                Err((FieldCode::DuplicateParameter, "is in the query more than once".into()))
            }
            Some(member) => one(&member.shape, &value),
        };
        if let Err((code, detail)) = wrong {
            errors.push(FieldError::new(format!("?{name}"), code, detail));
        }
        seen.insert(name);
    }
    for member in known.iter().filter(|member| member.required && !seen.contains(member.name.as_str())) {
        errors.push(FieldError::new(format!("?{}", member.name), FieldCode::Required, "is required"));
    }
    errors
}

/// Checks the text of one parameter. Lengths and ranges are among the rules of the handlers.
fn one(shape: &Shape, text: &str) -> Result<(), (FieldCode, String)> {
    match &*shape.kind {
        Kind::Text { form, .. } if !has_form(text, *form) => Err((FieldCode::WrongType, expected(shape))),
        Kind::Choice(options) if !options.iter().any(|option| option == text) => {
            Err((FieldCode::NotAnOption, options_of(options)))
        }
        Kind::Boolean if !matches!(text, "true" | "false") => Err((FieldCode::WrongType, expected(shape))),
        Kind::Integer { .. } if text.parse::<i64>().is_err() => Err((FieldCode::WrongType, expected(shape))),
        Kind::List { of, most, .. } => several(of, most.unwrap_or(MAX_VALUES), text),
        _ => Ok(()),
    }
}

/// Checks the values of one parameter that are separated by commas.
fn several(of: &Shape, most: usize, text: &str) -> Result<(), (FieldCode, String)> {
    if text.split(',').count() > most {
        return Err((FieldCode::TooMany, format!("must be at most {most} values, separated by commas")));
    }
    text.split(',').try_for_each(|value| one(of, value))
}
