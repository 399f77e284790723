//! The schemas that go into the OpenAPI document.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use crate::form::Form;
use crate::{Answers, Computed, FlagNotice, OpenAnswer, Review};

/// Adds a type's schemas; two of one name must be the same.
fn add<T: ToSchema>(into: &mut BTreeMap<String, Value>) {
    let mut named = vec![(T::name().into_owned(), <T as PartialSchema>::schema())];
    T::schemas(&mut named);
    for (name, schema) in named {
        let schema = serde_json::to_value(schema).expect("written");
        if let Some(other) = into.insert(name.clone(), schema.clone()) {
            assert_eq!(other, schema, "two schemas are called {name}");
        }
    }
}

fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(target) => into.push(target.trim_start_matches("#/components/schemas/").to_owned()),
                    None => references(value, into),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

#[test]
fn every_schema_that_is_referred_to_is_there_and_names_are_our_own() {
    let mut schemas = BTreeMap::new();
    add::<Answers>(&mut schemas);
    add::<Computed>(&mut schemas);
    add::<Review>(&mut schemas);
    add::<FlagNotice>(&mut schemas);
    add::<OpenAnswer>(&mut schemas);
    add::<Form>(&mut schemas);
    let mut wanted = Vec::new();
    for schema in schemas.values() {
        references(schema, &mut wanted);
    }
    for name in wanted {
        assert!(schemas.contains_key(&name), "{name} is referred to");
    }
    for name in schemas.keys() {
        let own = ["Rls", "Form", "IntakeForm", "FieldType"].iter().any(|prefix| name.starts_with(prefix));
        assert!(own, "{name} could be taken elsewhere");
    }
}

#[test]
fn every_member_of_a_schema_has_a_description() {
    let mut schemas = BTreeMap::new();
    add::<Answers>(&mut schemas);
    add::<Computed>(&mut schemas);
    add::<Review>(&mut schemas);
    for (name, schema) in &schemas {
        for (member, of) in schema["properties"].as_object().into_iter().flatten() {
            let either = of["oneOf"].as_array().into_iter().flatten();
            let text = std::iter::once(of).chain(either).find_map(|of| of["description"].as_str());
            assert!(text.is_some_and(|text| text.len() > 3), "{name}.{member}");
        }
    }
}
