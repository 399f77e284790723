//! Who may answer and see a field: fields reserved for clinicians, and fields hidden from guardians of minors.

use serde_json::Value;

use super::answers::all_fields;
use super::context::{Context, FilledBy};
use super::error::{FieldError, Invalid};
use super::form_dsl::Field;

/// Returns the ids of the fields that the person who fills in the form may not answer, because they are reserved for
/// clinicians.
pub fn clinician_only_fields(context: &Context) -> Vec<String> {
    if context.filled_by == FilledBy::Practitioner {
        return Vec::new();
    }
    all_fields()
        .iter()
        .filter(|field| is_reserved_for_clinicians(field, context))
        .map(|field| field.id.clone())
        .collect()
}

/// Returns the ids of the fields of the form that are not asked about this patient, because they are only about minors.
pub fn fields_not_asked(context: &Context) -> Vec<String> {
    let is_left_out = |field: &&Field| field.minors_only && !context.is_minor() && context.form.asks(&field.id);
    all_fields().iter().filter(is_left_out).map(|field| field.id.clone()).collect()
}

/// Returns whether a field is reserved for clinicians, given the patient and the settings.
pub fn is_reserved_for_clinicians(field: &Field, context: &Context) -> bool {
    field.clinician_only
        || (field.private_for_minors && context.is_minor())
        || (field.id == "safety.self_harm_thoughts" && context.self_harm_in_clinician_part)
        || (!context.irls_licensed && matches!(field.id.as_str(), "irls.items" | "irls.irls_total"))
}

/// Rejects changes of fields that are reserved for clinicians. `current` holds the stored answers, `patch` whole
/// answers or a merge patch. An unchanged value is not a change, unless the field is hidden from the sender: they must
/// not learn by guessing.
///
/// # Errors
/// [`Invalid`] with each such field.
pub fn refuse_clinician_only(current: &Value, patch: &Value, context: &Context, prefix: &str) -> Result<(), Invalid> {
    let mut places: Vec<String> = Vec::new();
    for id in clinician_only_fields(context) {
        let secret = match context.filled_by {
            FilledBy::Guardian => hidden_from_guardians(&id),
            // Staff who may not answer a field do not see it.
            FilledBy::Staff => true,
            FilledBy::Patient | FilledBy::Practitioner => false,
        };
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
        FieldError::new(format!("{prefix}{place}"), text::FieldCode::ClinicianOnly, "must be answered by a clinician")
    };
    Invalid::unless_empty(places.into_iter().map(error).collect())
}

/// Returns whether the field with this id is hidden from guardians of minors.
pub fn hidden_from_guardians(id: &str) -> bool {
    all_fields().iter().any(|field| field.private_for_minors && field.id == id)
}

/// Returns the id of the field to which a pointer into the intake leads.
pub fn field_at(pointer: &str) -> String {
    pointer.trim_start_matches(super::issues::ANSWERS).trim_start_matches('/').replace('/', ".")
}

/// Returns the ids of the fields of all forms that `is_wanted` selects.
pub fn field_ids(is_wanted: impl Fn(&Field) -> bool) -> Vec<&'static str> {
    all_fields().iter().filter(|field| is_wanted(field)).map(|field| field.id.as_str()).collect()
}

/// Returns the answers without the fields that are hidden from guardians of minors.
pub fn without_private(answers: &Value) -> Value {
    without(answers, &field_ids(|field| field.private_for_minors))
}

/// Returns the answers without the fields with these ids.
pub fn without(answers: &Value, ids: &[&str]) -> Value {
    let mut visible = answers.clone();
    for id in ids {
        let Some((section, name)) = id.split_once('.') else { continue };
        if let Some(section) = visible.get_mut(section).and_then(Value::as_object_mut) {
            section.remove(name);
        }
    }
    if let Some(object) = visible.as_object_mut() {
        object.retain(|_, section| !section.as_object().is_some_and(serde_json::Map::is_empty));
    }
    visible
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::FormName;
    use crate::tests::adult;

    fn minor(filled_by: FilledBy) -> Context {
        Context::new(date(2012, 3, 1), date(2026, 6, 4), filled_by)
    }

    #[test]
    fn the_words_of_a_child_are_asked_only_about_minors() {
        assert_eq!(fields_not_asked(&adult()), ["symptoms.childs_own_words"]);
        assert_eq!(fields_not_asked(&minor(FilledBy::Guardian)), Vec::<String>::new());
        assert_eq!(fields_not_asked(&Context { form: FormName::FollowUp, ..adult() }), Vec::<String>::new());
    }

    #[test]
    fn changes_of_fields_reserved_for_clinicians_are_rejected_with_their_pointers() {
        let fields = |context: &Context| clinician_only_fields(context);
        let metadata = ["irls.irls_version", "irls.irls_recall_days", "irls.irls_mode", "irls.irls_assessed_on"];
        assert_eq!(fields(&adult()), [&metadata[..], &["irls.items", "irls.irls_total"]].concat());
        assert_eq!(fields(&Context { irls_licensed: true, ..adult() }), metadata);
        assert_eq!(
            fields(&Context { filled_by: FilledBy::Practitioner, ..minor(FilledBy::Guardian) }),
            Vec::<String>::new()
        );
        let setting = Context { self_harm_in_clinician_part: true, irls_licensed: true, ..adult() };
        assert_eq!(fields(&setting), [&["safety.self_harm_thoughts"], &metadata[..]].concat());
        let for_minors = fields(&minor(FilledBy::Guardian));
        for field in [
            "safety.self_harm_thoughts",
            "risk.pregnancy_status",
            "impulse_control.gambling",
            "substances.alcohol_drinks_week",
            "substances.nicotine",
        ] {
            assert!(for_minors.contains(&field.to_owned()), "{field}");
        }

        let empty = json!({});
        let refused = |current: &Value, patch: Value, context: &Context| match refuse_clinician_only(
            current, &patch, context, "/answers",
        ) {
            Err(Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            _ => Vec::new(),
        };
        let items = json!({"irls": {"items": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}});
        assert_eq!(refused(&empty, items.clone(), &adult()), ["/answers/irls/items"]);
        assert_eq!(refused(&items, items.clone(), &adult()), Vec::<String>::new(), "unchanged is no change");
        assert_eq!(refused(&items, json!({"irls": null}), &adult()), ["/answers/irls"], "taking it away is a change");
        assert_eq!(refused(&items, json!({"irls": {"items": null}}), &adult()), ["/answers/irls/items"]);
        let doctor = Context { filled_by: FilledBy::Practitioner, ..adult() };
        assert_eq!(refused(&empty, items, &doctor), Vec::<String>::new());
        let result =
            json!({"venous": {"diagnostic_tests": [{"test": "abi", "result": "1.0", "result_source": "clinician"}]}});
        assert_eq!(refused(&empty, result.clone(), &adult()), ["/answers/venous/diagnostic_tests/0/result_source"]);
        assert_eq!(refused(&result, result.clone(), &adult()), Vec::<String>::new());
        let pregnant = json!({"risk": {"pregnancy_status": "pregnant"}});
        assert_eq!(
            refused(&pregnant, pregnant.clone(), &minor(FilledBy::Guardian)),
            ["/answers/risk/pregnancy_status"],
            "no guessing"
        );
    }
}
