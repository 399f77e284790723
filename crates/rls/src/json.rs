//! JSON as sent by the caller, and merge patches (RFC 7396).

use std::fmt;

use serde_json::Value;

/// JSON as sent by the caller, unchecked.
#[derive(Clone, PartialEq, serde::Deserialize)]
#[serde(transparent)]
pub struct RedactedJson(pub Value);

// Answers are patient data, so they must not get into logs.
impl fmt::Debug for RedactedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactedJson(…)")
    }
}

/// Applies a merge patch (RFC 7396): it replaces members, `null` removes them, and arrays are replaced as a whole.
pub fn apply_patch(current: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut object = current.as_object().cloned().unwrap_or_default();
    for (name, change) in changes {
        if change.is_null() {
            object.remove(name);
        } else {
            let patched = apply_patch(object.get(name).unwrap_or(&Value::Null), change);
            object.insert(name.clone(), patched);
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_works_as_in_the_examples_of_its_rfc() {
        for (current, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(apply_patch(&current, &patch), result, "{current} {patch}");
        }
    }
}
