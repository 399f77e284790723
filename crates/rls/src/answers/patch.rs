//! The schema of a merge patch of the answers (RFC 7396): like the answers, and every member of an object may be `null`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use utoipa::openapi::schema::{OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::Answers;

/// A change of answers, for the document only. The server reads a patch as JSON.
#[derive(Debug, Clone, Copy)]
pub struct AnswersPatch;

/// What the name of a patch's schema has after the name of the object's.
const SUFFIX: &str = "Patch";

impl PartialSchema for AnswersPatch {
    fn schema() -> RefOr<Schema> {
        let (mut named, mut patched) = (Vec::new(), BTreeSet::new());
        Answers::schemas(&mut named);
        let mut schema = patch(Answers::schema(), &named, &mut patched);
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let words = "A change of answers. `null` deletes an answer or a section. A list replaces the whole list.";
            object.description = Some(words.to_owned());
        }
        schema
    }
}

impl ToSchema for AnswersPatch {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("RlsAnswersPatch")
    }

    fn schemas(into: &mut Vec<(String, RefOr<Schema>)>) {
        let mut named = Vec::new();
        Answers::schemas(&mut named);
        let mut wanted = BTreeSet::new();
        patch(Answers::schema(), &named, &mut wanted);
        // A section can have groups.
        let mut done = BTreeSet::new();
        while let Some(name) = wanted.difference(&done).next().cloned() {
            if let Some((_, schema)) = named.iter().find(|(known, _)| *known == name) {
                into.push((format!("{name}{SUFFIX}"), patch(schema.clone(), &named, &mut wanted)));
            }
            done.insert(name);
        }
        into.extend(named);
    }
}

/// Lets the members of an object be `null`. Members that are objects are patched as well; their names are added to `wanted`.
fn patch(schema: RefOr<Schema>, named: &[(String, RefOr<Schema>)], wanted: &mut BTreeSet<String>) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = schema else { return schema };
    for member in object.properties.values_mut() {
        *member = nullable(member.clone(), named, wanted);
    }
    RefOr::T(Schema::Object(object))
}

fn nullable(schema: RefOr<Schema>, named: &[(String, RefOr<Schema>)], wanted: &mut BTreeSet<String>) -> RefOr<Schema> {
    let with_null = |kind: SchemaType| match kind {
        SchemaType::Type(kind) => SchemaType::Array(vec![kind, Type::Null]),
        other => other,
    };
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = with_null(object.schema_type);
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.schema_type = with_null(array.schema_type);
            RefOr::T(Schema::Array(array))
        }
        RefOr::Ref(mut reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default().to_owned();
            let is_object =
                |schema: &RefOr<Schema>| matches!(schema, RefOr::T(Schema::Object(it)) if !it.properties.is_empty());
            if named.iter().any(|(known, schema)| *known == name && is_object(schema)) {
                reference.ref_location.push_str(SUFFIX);
                wanted.insert(name);
            }
            or_null(RefOr::Ref(reference))
        }
        other @ RefOr::T(_) => or_null(other),
    }
}

fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    OneOfBuilder::new().item(schema).item(ObjectBuilder::new().schema_type(Type::Null)).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_member_of_a_patch_may_be_null_and_every_entry_of_a_list_is_whole() {
        let mut named = Vec::new();
        AnswersPatch::schemas(&mut named);
        let of = |name: &str| {
            let found = named.iter().find(|(known, _)| known == name).expect("a schema");
            serde_json::to_value(&found.1).expect("JSON")
        };
        let patch = serde_json::to_value(AnswersPatch::schema()).expect("JSON");
        let accepts_null = |schema: &Value| {
            schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("null")))
                || schema["oneOf"][1]["type"] == "null"
        };
        for section in [&patch, &of("RlsSafetyPatch"), &of("RlsSubstancesPatch")] {
            let members = section["properties"].as_object().expect("members");
            assert!(members.values().all(accepts_null), "{section}");
        }
        assert_eq!(patch["properties"]["safety"]["oneOf"][0]["$ref"], "#/components/schemas/RlsSafetyPatch");
        assert_eq!(patch["properties"]["labs"]["items"]["$ref"], "#/components/schemas/RlsLab");
        assert!(of("RlsLab")["properties"].as_object().expect("members").values().all(|member| !accepts_null(member)));
    }
}
