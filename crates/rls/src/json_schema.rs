//! The JSON Schema of the answers.

use serde_json::{Map, Value};

use super::answers::Answers;

/// Builds the JSON Schema (2020-12) of the answers, with every named schema under `$defs`.
pub fn json_schema() -> Value {
    let mut named = Vec::new();
    <Answers as utoipa::ToSchema>::schemas(&mut named);
    let defs: Map<String, Value> =
        named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect();
    let mut schema = serde_json::to_value(<Answers as utoipa::PartialSchema>::schema()).unwrap_or_default();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("$id".to_owned(), format!("{}/{}", super::FORM_URL, super::FORM_VERSION).into());
        object.insert("$defs".to_owned(), Value::Object(defs));
    }
    rewrite(&mut schema);
    schema
}

/// Redirects references from the OpenAPI components to `$defs`.
fn rewrite(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if name == "$ref"
                    && let Some(target) = value.as_str().and_then(|text| text.strip_prefix("#/components/schemas/"))
                {
                    *value = format!("#/$defs/{target}").into();
                } else {
                    rewrite(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(rewrite),
        _ => {}
    }
}
