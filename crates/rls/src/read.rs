//! Reads answers and reports all errors of type, range and unknown fields at once, each with its JSON pointer.
//!
//! serde stops at the first error. So each wrong value is removed and the rest is read again, until everything can be
//! read.

use std::collections::{BTreeSet, HashMap};

use serde::de::DeserializeOwned;
use serde_json::Value;
use text::FieldCode;

use super::answers::{Answers, Lab, all_fields};
use super::context::Context;
use super::error::{FieldError, Invalid};
use super::form_dsl::{CODE_SEPARATOR, Field, Fields, Kind, MAX_ITEMS};
use super::iron;

/// The maximum number of errors reported.
const MAX_ERRORS: usize = 100;

/// Reads answers. `prefix` is the pointer to them in the body, such as `/answers`, or empty.
///
/// # Errors
/// [`Invalid`] with every wrong type, value out of range, unknown option and unknown field.
pub fn parse(answers: &Value, prefix: &str) -> Result<Answers, Invalid> {
    let Read { parsed, mut errors, removed } = read::<Answers>(answers, prefix, all_fields());
    errors.extend(parsed.iter().flat_map(|parsed| lab_errors(parsed, prefix, &removed)));
    finish(parsed, errors)
}

/// Reads one laboratory value outside of a form, and checks that it is complete and that its unit, range and date are
/// valid. `prefix` is the pointer to it in the body, or empty.
///
/// # Errors
/// [`Invalid`] with every error.
pub fn parse_lab(lab: &Value, prefix: &str, context: &Context) -> Result<Lab, Invalid> {
    let own = |pointer: &str| format!("{prefix}{}", pointer.split_once("/labs/0").map_or("", |(_, place)| place));
    let answers = parse(&serde_json::json!({"labs": [lab]}), "").map_err(|Invalid(errors)| {
        Invalid(errors.into_iter().map(|error| FieldError { pointer: own(&error.pointer), ..error }).collect())
    })?;
    let mut found = super::issues::issues(&answers, context);
    found.retain(|issue| issue.pointer.starts_with("/answers/labs/0/"));
    for issue in &mut found {
        issue.pointer = own(&issue.pointer);
    }
    super::issues::submittable(&found, context.filled_by)?;
    answers
        .labs
        .and_then(|labs| labs.into_iter().next())
        .ok_or_else(|| Invalid(vec![FieldError::new(prefix, FieldCode::WrongValue, "cannot be read")]))
}

/// Reads any other group of fields.
///
/// # Errors
/// [`Invalid`] with every wrong type, value out of range, unknown option and unknown field.
pub fn parse_group<T: DeserializeOwned + Fields>(value: &Value, prefix: &str) -> Result<T, Invalid> {
    let Read { parsed, errors, .. } = read::<T>(value, prefix, &T::fields(""));
    finish(parsed, errors)
}

fn finish<T>(parsed: Option<T>, errors: Vec<FieldError>) -> Result<T, Invalid> {
    match parsed {
        Some(parsed) if errors.is_empty() => Ok(parsed),
        _ => Err(Invalid(errors)),
    }
}

/// The result of reading, and the positions of removed list entries.
struct Read<T> {
    parsed: Option<T>,
    errors: Vec<FieldError>,
    removed: Removed,
}

fn read<T: DeserializeOwned>(value: &Value, prefix: &str, fields: &[Field]) -> Read<T> {
    let mut rest = value.clone();
    let mut errors = length_errors(value, prefix);
    errors.extend(null_errors(value, prefix, fields));
    errors.extend(lists_for_objects(&mut rest, prefix, fields));
    let mut removed = HashMap::new();
    let parsed = loop {
        match serde_path_to_error::deserialize::<_, T>(&rest) {
            Ok(parsed) => break Some(parsed),
            Err(error) => {
                let mut steps = path(error.path());
                let (code, detail) = reason(&error.into_inner().to_string());
                shorten(&rest, &mut steps);
                errors.push(FieldError::new(format!("{prefix}{}", pointer_as_sent(&steps, &removed)), code, detail));
                if steps.is_empty() || errors.len() >= MAX_ERRORS || !remove(&mut rest, &steps, &mut removed) {
                    break None;
                }
            }
        }
    };
    Read { parsed, errors, removed }
}

/// Replaces arrays by empty objects where objects are expected, and reports them. serde would accept an array of the
/// values.
fn lists_for_objects(value: &mut Value, prefix: &str, fields: &[Field]) -> Vec<FieldError> {
    let error = |place: &str| FieldError::new(format!("{prefix}{place}"), FieldCode::WrongType, "must be an object");
    let mut errors = Vec::new();
    if value.is_array() {
        *value = Value::Object(serde_json::Map::new());
        errors.push(error(""));
    }
    for field in fields {
        let place = format!("/{}", field.id.replace('.', "/"));
        if let Some((section, _)) = place.rsplit_once('/').filter(|(section, _)| !section.is_empty())
            && let Some(list) = value.pointer_mut(section).filter(|section| section.is_array())
        {
            *list = Value::Object(serde_json::Map::new());
            errors.push(error(section));
        }
        let entries = value.pointer_mut(&place).and_then(Value::as_array_mut);
        for (position, entry) in entries.into_iter().flatten().enumerate() {
            if matches!(field.kind, Kind::Group(_)) && entry.is_array() {
                *entry = Value::Object(serde_json::Map::new());
                errors.push(error(&format!("{place}/{position}")));
            }
        }
    }
    errors
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Position(usize),
}

fn path(path: &serde_path_to_error::Path) -> Vec<Step> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Position(*index)),
            Segment::Map { key } => Some(Step::Member(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn pointer(steps: &[Step]) -> String {
    use std::fmt::Write;
    steps.iter().fold(String::new(), |mut pointer, step| {
        let _ = match step {
            Step::Member(name) => write!(pointer, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Position(position) => write!(pointer, "/{position}"),
        };
        pointer
    })
}

/// Shortens the path to an existing value, because errors about missing members point to the parent.
fn shorten(value: &Value, steps: &mut Vec<Step>) {
    while !steps.is_empty() && value.pointer(&pointer(steps)).is_none() {
        steps.pop();
    }
}

/// The positions of removed entries, by the pointer of the list as sent.
type Removed = HashMap<String, Vec<usize>>;

/// Returns the pointer into the value as sent, before entries were removed from lists.
fn pointer_as_sent(steps: &[Step], removed: &Removed) -> String {
    let mut pointer_so_far = String::new();
    for step in steps {
        let step = match step {
            Step::Position(position) => {
                let mut position = *position;
                for gone in removed.get(&pointer_so_far).into_iter().flatten() {
                    position += usize::from(*gone <= position);
                }
                Step::Position(position)
            }
            member @ Step::Member(_) => member.clone(),
        };
        pointer_so_far.push_str(&pointer(&[step]));
    }
    pointer_so_far
}

fn remove(value: &mut Value, steps: &[Step], removed: &mut Removed) -> bool {
    let Some((last, parents)) = steps.split_last() else { return false };
    let list = pointer_as_sent(parents, removed);
    let place = pointer_as_sent(steps, removed);
    match (value.pointer_mut(&pointer(parents)), last) {
        (Some(Value::Object(object)), Step::Member(name)) => object.remove(name).is_some(),
        (Some(Value::Array(entries)), Step::Position(position)) if *position < entries.len() => {
            // The array of scores has a fixed length: a wrong score becomes a missing one.
            if list.ends_with("/irls/items") {
                entries[*position] = Value::Null;
                return true;
            }
            entries.remove(*position);
            let position: Option<usize> = place.rsplit('/').next().and_then(|position| position.parse().ok());
            let gone = removed.entry(list).or_default();
            gone.extend(position);
            gone.sort_unstable();
            true
        }
        _ => false,
    }
}

/// Returns the code and the sentence of a deserialisation error, without the value that serde quotes: it is patient
/// data.
fn reason(message: &str) -> (FieldCode, String) {
    // First, because this message contains the name as sent, which could contain anything.
    if message.starts_with("unknown field") {
        return (FieldCode::UnknownField, "is not a field of the form".to_owned());
    }
    if let Some((code, detail)) = message.split_once(CODE_SEPARATOR)
        && let Some(code) = FieldCode::of(code)
    {
        return (code, detail.to_owned());
    }
    // The last "expected", because the quoted value may contain the word.
    match message.rsplit_once("expected ").map(|(_, expected)| in_words_of_json(expected)) {
        Some(expected) if message.starts_with("invalid type") || message.starts_with("invalid length") => {
            (FieldCode::WrongType, format!("must be {expected}"))
        }
        _ => (FieldCode::WrongValue, "cannot be read".to_owned()),
    }
}

/// Returns what serde expected, in words of JSON instead of Rust.
fn in_words_of_json(expected: &str) -> String {
    if let Some(length) = expected.strip_prefix("an array of length ") {
        return format!("an array of {length} entries");
    }
    let kind = match expected.split(' ').next().unwrap_or_default() {
        "struct" => "an object",
        "tuple" => "an array",
        _ if expected == "a map" => "an object",
        _ if expected == "a sequence" => "an array",
        _ if expected == "a boolean" => "true or false",
        _ => expected,
    };
    kind.to_owned()
}

/// Checks units and ranges of laboratory values, which depend on the test.
fn lab_errors(answers: &Answers, prefix: &str, removed: &Removed) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (position, lab) in answers.labs() {
        let (Some(test), Some(unit)) = (lab.test, lab.unit) else { continue };
        let place = pointer_as_sent(&[Step::Member("labs".to_owned()), Step::Position(position)], removed);
        let units = iron::units(test);
        let Some((_, least, greatest)) = units.iter().find(|(of, ..)| *of == unit) else {
            let list = units.iter().map(|(unit, ..)| unit.as_str()).collect::<Vec<_>>().join(" or ");
            let pointer = format!("{prefix}{place}/unit");
            errors.push(FieldError::new(pointer, FieldCode::NotAnOption, format!("must be {list} for this test")));
            continue;
        };
        if lab.value.as_ref().is_some_and(|value| value.get() < *least || value.get() > *greatest) {
            let detail = format!("must be from {least} to {greatest} {}", unit.as_str());
            errors.push(FieldError::new(format!("{prefix}{place}/value"), FieldCode::OutOfRange, detail));
        }
    }
    errors
}

/// Rejects `null` for a field, or for a field of an entry. serde would read it as a missing value, but a merge patch that deletes a value has
/// no `null` left, and the schema of an entry has none.
fn null_errors(value: &Value, prefix: &str, fields: &[Field]) -> Vec<FieldError> {
    let mut places = BTreeSet::new();
    for field in fields {
        let place = format!("/{}", field.id.replace('.', "/"));
        // More entries are rejected anyway.
        let entries = value.pointer(&place).and_then(Value::as_array).map_or(0, Vec::len).min(MAX_ITEMS);
        if entries > 0 {
            for child in field.children() {
                let name = child.id.rsplit('.').next().unwrap_or_default();
                places.extend((0..entries).map(|position| format!("{place}/{position}/{name}")));
            }
        }
        places.insert(place);
    }
    places.retain(|place| value.pointer(place).is_some_and(Value::is_null));
    let detail = "must not be null; leave the member out";
    places.iter().map(|place| FieldError::new(format!("{prefix}{place}"), FieldCode::WrongType, detail)).collect()
}

fn length_errors(answers: &Value, prefix: &str) -> Vec<FieldError> {
    fn walk(value: &Value, place: &str, errors: &mut Vec<FieldError>) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    walk(value, &format!("{place}/{name}"), errors);
                }
            }
            Value::Array(entries) => {
                if entries.len() > MAX_ITEMS {
                    let detail = format!("must have at most {MAX_ITEMS} entries");
                    errors.push(FieldError::new(place, FieldCode::TooMany, detail));
                }
                for (position, value) in entries.iter().enumerate() {
                    walk(value, &format!("{place}/{position}"), errors);
                }
            }
            _ => {}
        }
    }
    let mut errors = Vec::new();
    walk(answers, prefix, &mut errors);
    errors
}

#[cfg(test)]
mod tests;
