//! Reading answers: every error of type, range and unknown field at once, each with its JSON pointer.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{Answers, Lab};
use super::context::{Context, FilledBy};
use super::iron;
use super::kit::{CODE_END, Field, Fields, Kind};
use crate::error::{Error, FieldError, Result};

/// So many errors are told at most.
const MOST_ERRORS: usize = 100;

/// Reads answers. `prefix` is the pointer to them in the body, such as `/answers`, or empty.
///
/// # Errors
/// [`Error::Invalid`] with every wrong type, value out of range, unknown option and unknown field.
pub fn parse(answers: &Value, prefix: &str) -> Result<Answers> {
    let Read { parsed, mut errors, taken } = read::<Answers>(answers, prefix, super::issues::all_fields());
    errors.extend(parsed.iter().flat_map(|parsed| lab_errors(parsed, prefix, &taken)));
    finish(parsed, errors)
}

/// Reads one laboratory value that is entered by itself, and checks it as a whole: everything that an entry needs, its unit,
/// range and date. `prefix` is the pointer to it in the body, or empty.
///
/// # Errors
/// [`Error::Invalid`] with everything that is wrong.
pub fn parse_lab(lab: &Value, prefix: &str, context: &Context) -> Result<Lab> {
    let own = |pointer: &str| format!("{prefix}{}", pointer.split_once("/labs/0").map_or("", |(_, place)| place));
    let answers = parse(&serde_json::json!({"labs": [lab]}), "").map_err(|error| match error {
        Error::Invalid(errors) => Error::Invalid(
            errors.into_iter().map(|error| FieldError { pointer: own(&error.pointer), ..error }).collect(),
        ),
        other => other,
    })?;
    let mut found = super::issues::issues(&answers, context);
    found.retain(|issue| issue.pointer.starts_with("/answers/labs/0/"));
    for issue in &mut found {
        issue.pointer = own(&issue.pointer);
    }
    super::issues::submittable(&found)?;
    answers.labs.and_then(|labs| labs.into_iter().next()).ok_or_else(|| Error::fault("a value that was read is gone"))
}

/// Reads any other group of fields in the same way.
///
/// # Errors
/// [`Error::Invalid`] with every wrong type, value out of range, unknown option and unknown field.
pub fn all_errors<T: DeserializeOwned + Fields>(value: &Value, prefix: &str) -> Result<T> {
    let Read { parsed, errors, .. } = read::<T>(value, prefix, &T::fields(""));
    finish(parsed, errors)
}

fn finish<T>(parsed: Option<T>, errors: Vec<FieldError>) -> Result<T> {
    match parsed {
        Some(parsed) if errors.is_empty() => Ok(parsed),
        _ => Err(Error::Invalid(errors)),
    }
}

/// What could be read, what could not, and where entries were taken out of lists.
struct Read<T> {
    parsed: Option<T>,
    errors: Vec<FieldError>,
    taken: Taken,
}

fn read<T: DeserializeOwned>(value: &Value, prefix: &str, fields: &[Field]) -> Read<T> {
    let mut rest = value.clone();
    let mut errors = length_errors(value, prefix);
    errors.extend(lists_for_objects(&mut rest, prefix, fields));
    let mut taken = HashMap::new();
    let parsed = loop {
        match serde_path_to_error::deserialize::<_, T>(&rest) {
            Ok(parsed) => break Some(parsed),
            Err(error) => {
                let mut steps = path(error.path());
                let (code, detail) = reason(&error.into_inner().to_string());
                // What is wrong is taken out and the rest is read again, until the rest is right.
                shorten(&rest, &mut steps);
                errors.push(FieldError::new(format!("{prefix}{}", original(&steps, &taken)), &code, detail));
                if steps.is_empty() || errors.len() >= MOST_ERRORS || !take(&mut rest, &steps, &mut taken) {
                    break None;
                }
            }
        }
    };
    Read { parsed, errors, taken }
}

/// To serde a list of values is as good as an object with them; here it is not. Takes such lists out and tells of them.
fn lists_for_objects(value: &mut Value, prefix: &str, fields: &[Field]) -> Vec<FieldError> {
    let error = |place: &str| FieldError::new(format!("{prefix}{place}"), "wrong_type", "must be an object");
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

/// An error about an absent place points at what is there.
fn shorten(value: &Value, steps: &mut Vec<Step>) {
    while !steps.is_empty() && value.pointer(&pointer(steps)).is_none() {
        steps.pop();
    }
}

/// Positions in lists from which entries were taken out, by the pointer of the list as it was sent.
type Taken = HashMap<String, Vec<usize>>;

/// The pointer as it was in what was sent, before entries were taken out of lists.
fn original(steps: &[Step], taken: &Taken) -> String {
    let mut pointer_so_far = String::new();
    for step in steps {
        let step = match step {
            Step::Position(position) => {
                let mut position = *position;
                for gone in taken.get(&pointer_so_far).into_iter().flatten() {
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

fn take(value: &mut Value, steps: &[Step], taken: &mut Taken) -> bool {
    let Some((last, parents)) = steps.split_last() else { return false };
    let list = original(parents, taken);
    let place = original(steps, taken);
    match (value.pointer_mut(&pointer(parents)), last) {
        (Some(Value::Object(object)), Step::Member(name)) => object.remove(name).is_some(),
        (Some(Value::Array(entries)), Step::Position(position)) if *position < entries.len() => {
            // The ten scores are ten: a wrong one becomes a missing one.
            if list.ends_with("/irls/items") {
                entries[*position] = Value::Null;
                return true;
            }
            entries.remove(*position);
            let position: Option<usize> = place.rsplit('/').next().and_then(|position| position.parse().ok());
            let gone = taken.entry(list).or_default();
            gone.extend(position);
            gone.sort_unstable();
            true
        }
        _ => false,
    }
}

/// The code and the sentence of a deserialisation error, without serde's quotation of the value: it is somebody's data.
fn reason(message: &str) -> (String, String) {
    // First, because the name that was sent stands in the message as it is.
    if message.starts_with("unknown field") {
        return ("unknown_field".to_owned(), "there is no such field".to_owned());
    }
    if let Some((code, detail)) = message.split_once(CODE_END) {
        return (code.to_owned(), detail.to_owned());
    }
    // The last "expected": the value that is quoted before it may hold the word as well.
    match message.rsplit_once("expected ").map(|(_, expected)| in_words_of_json(expected)) {
        Some(expected) if message.starts_with("invalid type") || message.starts_with("invalid length") => {
            ("wrong_type".to_owned(), format!("must be {expected}"))
        }
        _ => ("wrong_value".to_owned(), "cannot be read".to_owned()),
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

/// A laboratory value's range depends on its test and unit.
fn lab_errors(answers: &Answers, prefix: &str, taken: &Taken) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (position, lab) in answers.labs() {
        let (Some(test), Some(unit)) = (lab.test, lab.unit) else { continue };
        let place = original(&[Step::Member("labs".to_owned()), Step::Position(position)], taken);
        let units = iron::units(test);
        let Some((_, least, greatest)) = units.iter().find(|(of, ..)| *of == unit) else {
            let list = units.iter().map(|(unit, ..)| unit.as_str()).collect::<Vec<_>>().join(" or ");
            let pointer = format!("{prefix}{place}/unit");
            errors.push(FieldError::new(pointer, "not_an_option", format!("must be {list} for this test")));
            continue;
        };
        if lab.value.as_ref().is_some_and(|value| value.get() < *least || value.get() > *greatest) {
            let detail = format!("must be from {least} to {greatest} {}", unit.as_str());
            errors.push(FieldError::new(format!("{prefix}{place}/value"), "out_of_range", detail));
        }
    }
    errors
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
                if entries.len() > super::kit::MAX_ITEMS {
                    let detail = format!("must have at most {} entries", super::kit::MAX_ITEMS);
                    errors.push(FieldError::new(place, "too_many", detail));
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

/// The fields that only a clinician may answer here, by their ids. For a practitioner there is none.
pub fn clinician_only_fields(context: &Context) -> Vec<String> {
    if context.filled_by == FilledBy::Practitioner {
        return Vec::new();
    }
    super::issues::all_fields()
        .iter()
        .filter(|field| is_clinicians(field, context))
        .map(|field| field.id.clone())
        .collect()
}

/// Whether only a clinician asks this question, for this patient and with these settings.
pub fn is_clinicians(field: &Field, context: &Context) -> bool {
    field.clinician_only
        || (field.private_for_minors && context.is_minor())
        || (field.id == "safety.self_harm_thoughts" && context.self_harm_in_clinician_part)
        || (!context.irls_licensed && matches!(field.id.as_str(), "irls.items" | "irls.irls_total"))
}

/// Refuses a change of clinician-only fields by anybody else. `current` holds the answers as they are, `patch` what is sent:
/// whole answers or a merge patch. What is sent back unchanged is no change, except where the sender may not even know it.
///
/// # Errors
/// [`Error::Invalid`] naming each such field.
pub fn refuse_clinician_only(current: &Value, patch: &Value, context: &Context, prefix: &str) -> Result<()> {
    let mut places: Vec<String> = Vec::new();
    for id in clinician_only_fields(context) {
        let secret = context.filled_by == FilledBy::Guardian && super::views::hidden_from_guardians(&id);
        let place = format!("/{}", id.replace('.', "/"));
        let known = current.pointer(&place).unwrap_or(&Value::Null);
        let section = place.rsplit_once('/').map_or("", |(section, _)| section);
        let section_goes = patch.pointer(section).is_some_and(|sent| !sent.is_object());
        let changed = patch.pointer(&place).is_some_and(|sent| secret || sent != known);
        if changed {
            places.push(place);
        } else if section_goes && (secret || !known.is_null()) && !places.iter().any(|place| place == section) {
            places.push(section.to_owned());
        }
    }
    if context.filled_by != FilledBy::Practitioner {
        let list =
            |of: &Value| of.pointer("/venous/diagnostic_tests").and_then(Value::as_array).cloned().unwrap_or_default();
        let known = list(current);
        for (position, test) in list(patch).iter().enumerate() {
            if test.get("result_source").and_then(Value::as_str) == Some("clinician") && !known.contains(test) {
                places.push(format!("/venous/diagnostic_tests/{position}/result_source"));
            }
        }
    }
    let error = |place: String| {
        FieldError::new(format!("{prefix}{place}"), "clinician_only", "is answered by a clinician only")
    };
    if places.is_empty() { Ok(()) } else { Err(Error::Invalid(places.into_iter().map(error).collect())) }
}

#[cfg(test)]
mod tests;
