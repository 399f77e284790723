//! The links of the document (OpenAPI Link Objects): what a client can call next with the id and the version that a response shows. They follow
//! from the paths and the schemas: a `Thing` leads to every operation below `/v1/things/{id}`, and a list of things to the read of its first one.

use std::collections::BTreeMap;

use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, Paths, Ref, RefOr, Response};

use super::completion::has_shared_parameter;

/// The expression for the id of an object, and the one for the id of the first object of a list.
const OBJECT: &str = "$response.body#/id";
const FIRST: &str = "$response.body#/items/0/id";

/// From a list to an operation with a parameter that takes the id of its first object, where no path shows it: the way to a free time.
const SEARCH: &[(&str, &str, &str)] =
    &[("list_visit_types", "list_slots", "visit_type_id"), ("list_slots", "create_hold", "id")];

/// An operation below the path of an object.
struct Below {
    id: String,
    /// Whether it reads the object itself.
    reads: bool,
    /// Whether it takes the version of the object.
    takes_version: bool,
}

/// Adds the links to the responses of reads and creations.
pub fn add(document: &mut OpenApi) {
    let objects = objects(&document.paths);
    let mut components = BTreeMap::new();
    for item in document.paths.paths.values_mut() {
        for (operation, status) in [(&mut item.get, "200"), (&mut item.post, "201")] {
            let Some(operation) = operation else { continue };
            let from = operation.operation_id.clone().unwrap_or_default();
            let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) else { continue };
            for (component, link) in links(&objects, &from, response) {
                response
                    .links
                    .insert(link.operation_id.clone(), RefOr::Ref(Ref::new(format!("#/components/links/{component}"))));
                components.insert(component, RefOr::T(link));
            }
        }
    }
    document.components.get_or_insert_default().links.extend(components);
}

/// The links of a response, each with the name of its component.
fn links(objects: &BTreeMap<String, Vec<Below>>, from: &str, response: &Response) -> Vec<(String, Link)> {
    let to = |operation: &str, parameter: &str, id: &str| {
        LinkBuilder::new().operation_id(operation).parameter(parameter, id)
    };
    let schema = schema(response).unwrap_or_default();
    let mut links = Vec::new();
    for below in objects.get(object(schema)).into_iter().flatten() {
        if !schema.ends_with("Page") {
            let link = to(&below.id, "id", OBJECT);
            let link = if below.takes_version { link.parameter("If-Match", "$response.header.ETag") } else { link };
            links.push((below.id.clone(), link.build()));
        } else if below.reads {
            links.push((format!("{}_first", below.id), to(&below.id, "id", FIRST).build()));
        }
    }
    let search = SEARCH.iter().filter(|(list, ..)| *list == from);
    links.extend(search.map(|(_, id, parameter)| (format!("{id}_first"), to(id, parameter, FIRST).build())));
    links
}

/// The operations below the path of each object that can be read, by the name of the object's schema.
fn objects(document: &Paths) -> BTreeMap<String, Vec<Below>> {
    let paths = &document.paths;
    let read = |(path, item): (&String, &PathItem)| {
        let RefOr::T(response) = item.get.as_ref()?.responses.responses.get("200")? else { return None };
        let is_object = path.ends_with("s/{id}");
        let name = object(schema(response)?).to_owned();
        is_object.then(|| {
            (
                name,
                paths
                    .iter()
                    .filter_map(|(at, item)| Some((at.strip_prefix(path.as_str())?, item)))
                    .flat_map(below)
                    .collect(),
            )
        })
    };
    paths.iter().filter_map(read).collect()
}

/// The operations at the rest of a path below an object that need nothing but its id.
fn below((rest, item): (&str, &PathItem)) -> Vec<Below> {
    let operations = [&item.get, &item.put, &item.post, &item.delete, &item.patch].into_iter().flatten();
    let operations = operations.filter(|_| !rest.contains('{'));
    operations
        .map(|operation: &Operation| Below {
            id: operation.operation_id.clone().unwrap_or_default(),
            reads: rest.is_empty() && item.get.as_ref().is_some_and(|get| get.operation_id == operation.operation_id),
            takes_version: has_shared_parameter(operation, "IfMatch")
                || has_shared_parameter(operation, "RequiredIfMatch"),
        })
        .collect()
}

/// The name of the schema of a response's JSON body.
fn schema(response: &Response) -> Option<&str> {
    let RefOr::T(content) = response.content.get("application/json")? else { return None };
    let Some(RefOr::Ref(schema)) = &content.schema else { return None };
    schema.ref_location.rsplit('/').next()
}

/// The object that a schema shows: `CreatedPatient`, `PatientCard` and `PatientPage` show a `Patient`.
fn object(schema: &str) -> &str {
    let schema = schema.strip_prefix("Created").unwrap_or(schema);
    schema.strip_suffix("Card").or_else(|| schema.strip_suffix("Page")).unwrap_or(schema)
}
