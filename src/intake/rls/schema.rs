//! Schemas of the answers, for the OpenAPI document and as a JSON Schema of its own.

use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, ObjectBuilder, Schema};

use super::answers::Answers;

fn described(schema: RefOr<Schema>, meaning: &str) -> RefOr<Schema> {
    let meaning = meaning.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(meaning);
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = Some(meaning);
            RefOr::T(Schema::Array(array))
        }
        RefOr::Ref(mut reference) => {
            reference.description = meaning;
            RefOr::Ref(reference)
        }
        other @ RefOr::T(_) => AllOfBuilder::new().item(other).description(Some(meaning)).into(),
    }
}

/// The schema of an object that has these members, all optional, and no others.
pub fn object(doc: &[&str], members: Vec<(&'static str, String, RefOr<Schema>)>) -> RefOr<Schema> {
    let doc = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n");
    let mut object = ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::Object)
        .description(Some(doc))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (name, meaning, schema) in members {
        object = object.property(name, described(schema, &meaning));
    }
    object.into()
}

/// The JSON Schema (2020-12) of the answers, with every named schema under `$defs`. It is made from the same definition as
/// the Rust type.
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

/// Points references into `$defs`.
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
