//! The JSON Schema of the answers to a form.

use serde_json::{Map, Value};

use super::answers::Answers;
use super::forms::FormName;

/// Builds the JSON Schema (2020-12) of the answers to a form, with every named schema under `$defs`.
pub fn json_schema(form: FormName) -> Value {
    let mut named = Vec::new();
    <Answers as utoipa::ToSchema>::schemas(&mut named);
    let mut defs: Map<String, Value> =
        named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect();
    let mut schema = serde_json::to_value(<Answers as utoipa::PartialSchema>::schema()).unwrap_or_default();
    keep_asked(&mut schema, &mut defs, form);
    keep_referenced(&schema, &mut defs);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("$id".to_owned(), format!("{}/{}", form.url(), form.version()).into());
        object.insert("$defs".to_owned(), Value::Object(defs));
    }
    rewrite(&mut schema);
    schema
}

/// Removes the members that the form does not ask for. Each section has a schema of its own.
fn keep_asked(schema: &mut Value, defs: &mut Map<String, Value>, form: FormName) {
    let Some(sections) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    sections.retain(|id, section| {
        let name = section["$ref"].as_str().and_then(|target| target.rsplit('/').next());
        let fields =
            name.and_then(|name| defs.get_mut(name)).and_then(|def| def.get_mut("properties")?.as_object_mut());
        match fields {
            Some(fields) => {
                fields.retain(|name, _| form.asks(&format!("{id}.{name}")));
                !fields.is_empty()
            }
            None => form.asks(id),
        }
    });
}

/// Removes the named schemas that nothing refers to.
fn keep_referenced(schema: &Value, defs: &mut Map<String, Value>) {
    let mut wanted = Vec::new();
    collect_references(schema, &mut wanted);
    let mut at = 0;
    while let Some(name) = wanted.get(at).cloned() {
        if let Some(def) = defs.get(&name) {
            collect_references(def, &mut wanted);
        }
        at += 1;
    }
    defs.retain(|name, _| wanted.contains(name));
}

/// Adds the names of the schemas that `value` refers to, each once.
fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let target = object.get("$ref").and_then(Value::as_str).and_then(|target| target.rsplit('/').next());
            if let Some(name) = target.filter(|name| !into.iter().any(|known| known == name)) {
                into.push(name.to_owned());
            }
            object.values().for_each(|value| collect_references(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_references(value, into)),
        _ => {}
    }
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
