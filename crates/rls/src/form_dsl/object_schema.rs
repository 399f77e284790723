//! Schemas of objects.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, ObjectBuilder, Schema};

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

/// Builds the schema of an object from the name, meaning and schema of each member. All members are optional; others
/// are not allowed.
pub fn object_schema(doc: &[&str], members: Vec<(&'static str, String, RefOr<Schema>)>) -> RefOr<Schema> {
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
