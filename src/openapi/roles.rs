//! The roles that may call each operation, from the table of permissions that the server checks.

use serde_json::{Map, Value};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;

use crate::actor::Reach;
use crate::permissions;

/// The extension of an operation: its roles, each with `any` or `own`.
const EXTENSION: &str = "x-roles";

/// Names the roles of an operation that needs a session.
pub fn name(operation: &mut Operation) {
    let (Some(id), true) = (operation.operation_id.clone(), needs_session(operation)) else { return };
    let roles = permissions::roles(&id);
    let reach = |reach| if reach == Reach::Own { "own" } else { "any" };
    let map: Map<_, _> = roles.iter().map(|(role, how)| (role.as_str().to_owned(), Value::from(reach(*how)))).collect();
    let own = |how| if how == Reach::Own { " (own data)" } else { "" };
    let names: Vec<_> = roles.iter().map(|(role, how)| format!("`{role}`{}", own(*how))).collect();
    let extension = ExtensionsBuilder::new().add(EXTENSION, map).build();
    operation.extensions.get_or_insert_default().merge(extension);
    describe(operation, &format!("Roles: {}.", names.join(", ")));
}

/// Adds a paragraph to the description of an operation.
pub fn describe(operation: &mut Operation, paragraph: &str) {
    let description = operation.description.get_or_insert_default();
    if !description.is_empty() {
        description.push_str("\n\n");
    }
    description.push_str(paragraph);
}

/// Whether every security requirement names a scheme. An empty one is met without a session.
pub fn needs_session(operation: &Operation) -> bool {
    let requirements = operation.security.iter().flatten();
    let named: Vec<_> =
        requirements.map(|one| serde_json::to_value(one).is_ok_and(|one| one != Value::Object(Map::new()))).collect();
    !named.is_empty() && named.into_iter().all(|is_named| is_named)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_of_the_table_of_permissions_is_in_the_document() {
        let source = include_str!("../permissions.rs");
        let table = source.split("fn needed").nth(1).and_then(|rest| rest.split("\n}\n").next()).expect("the table");
        let document = crate::openapi::json().expect("a document");
        let names: Vec<_> = table.split('"').skip(1).step_by(2).collect();
        assert!(names.len() > 100, "{names:?}");
        for name in names {
            assert!(document.contains(&format!("\"operationId\": \"{name}\"")), "{name}");
        }
    }
}
