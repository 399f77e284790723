//! The comparison finds changes that break clients, and only these.

use serde_json::{Value, json};

use super::breaks;
use crate::openapi::document;

/// A change of a document.
type Change = fn(&mut Value);

fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"))
}

fn remove(document: &mut Value, pointer: &str, member: &str) {
    let gone = at(document, pointer).as_object_mut().expect("an object").remove(member);
    assert!(gone.is_some(), "{pointer} has no {member}");
}

fn without(document: &mut Value, pointer: &str, item: &Value) {
    let items = at(document, pointer).as_array_mut().expect("an array");
    let count = items.len();
    items.retain(|one| one != item);
    assert_eq!(items.len() + 1, count, "{pointer} has no {item}");
}

const HOLD: &str = "/paths/~1v1~1slots~1{id}~1hold/post";
const BOOK: &str = "/paths/~1v1~1appointments/post";

/// Changes that break a client, with a part of what is found.
const BREAKING: [(&str, Change); 20] = [
    ("DELETE /v1/closures/{id}: the operation is gone", |it| remove(it, "/paths/~1v1~1closures~1{id}", "delete")),
    ("its operationId", |it| *at(it, &format!("{BOOK}/operationId")) = json!("book")),
    ("query location_id is gone", |it| drop_parameter(it, "/paths/~1v1~1slots/get", "location_id")),
    ("query colour is required now", |it| add_parameter(it, true)),
    ("NewLocation.colour: the member is required", |it| {
        add_member(it, "NewLocation");
        at(it, "/components/schemas/NewLocation/required").as_array_mut().expect("names").push(json!("colour"));
    }),
    (".note: the member is gone", |it| remove(it, "/components/schemas/NewAppointment/properties", "note")),
    ("the option \"white\"", |it| without(it, "/components/schemas/Race/enum", &json!("white"))),
    ("body.note: null", |it| *at(it, "/components/schemas/NewAppointment/properties/note/type") = json!("string")),
    ("maxLength is stricter", |it| *at(it, "/components/schemas/NewLocation/properties/name/maxLength") = json!(50)),
    ("maximum is stricter", |it| *at(it, "/components/parameters/Limit/schema/maximum") = json!(100)),
    ("the type", |it| *at(it, "/components/schemas/NewLocation/properties/name/type") = json!("integer")),
    (".time_zone: the member is gone", |it| remove(it, "/components/schemas/Location/properties", "time_zone")),
    (".time_zone: the member may be missing", |it| {
        without(it, "/components/schemas/Location/required", &json!("time_zone"));
    }),
    (".time_zone: null", |it| {
        *at(it, "/components/schemas/Location/properties/time_zone/type") = json!(["string", "null"]);
    }),
    ("the option \"lost\"", |it| {
        at(it, "/components/schemas/AppointmentStatus/enum").as_array_mut().expect("options").push(json!("lost"));
    }),
    ("it needs a session now", |it| *at(it, "/paths/~1v1~1locations/get/security") = json!([{"bearer": []}])),
    ("does not suffice any more", |it| {
        *at(it, &format!("{BOOK}/security")) = json!([{"bearer": []}, {"client_credentials": ["slots:write"]}]);
    }),
    ("patient may do less", |it| remove(it, &format!("{BOOK}/x-roles"), "patient")),
    ("the header Location is gone", |it| remove(it, &format!("{HOLD}/responses/201/headers"), "Location")),
    ("the media type application/merge-patch+json is gone", |it| {
        remove(it, "/paths/~1v1~1locations~1{id}/patch/requestBody/content", "application/merge-patch+json");
    }),
];

/// Changes that break no client.
const HARMLESS: [(&str, Change); 8] = [
    ("a new operation", |it| {
        let copy = at(it, BOOK).clone();
        it["paths"]["/v1/bookings"] = json!({"post": copy});
    }),
    ("a parameter that may be sent", |it| add_parameter(it, false)),
    ("a member that may be sent", |it| add_member(it, "NewLocation")),
    ("a member that is returned", |it| add_member(it, "Location")),
    ("a longer text", |it| *at(it, "/components/schemas/NewLocation/properties/name/maxLength") = json!(200)),
    ("another code of an open list", |it| {
        at(it, "/components/schemas/ProblemCode/enum").as_array_mut().expect("options").push(json!("new"));
    }),
    ("one more role", |it| at(it, "/paths/~1v1~1users/get/x-roles")["front_desk"] = json!("any")),
    ("other words", |it| *at(it, &format!("{BOOK}/summary")) = json!("Book a visit")),
];

fn drop_parameter(document: &mut Value, operation: &str, name: &str) {
    let all = at(document, &format!("{operation}/parameters")).as_array_mut().expect("parameters");
    let count = all.len();
    all.retain(|one| one["name"] != name);
    assert_eq!(all.len() + 1, count, "{operation} has no {name}");
}

fn add_parameter(document: &mut Value, required: bool) {
    let all = at(document, "/paths/~1v1~1slots/get/parameters").as_array_mut().expect("parameters");
    all.push(json!({"name": "colour", "in": "query", "required": required, "schema": {"type": "string"}}));
}

fn add_member(document: &mut Value, schema: &str) {
    at(document, &format!("/components/schemas/{schema}/properties"))["colour"] = json!({"type": "string"});
}

#[test]
fn a_change_that_breaks_clients_is_found() {
    let old = document();
    assert_eq!(breaks(&old, &old), Vec::<String>::new());
    for (expected, change) in BREAKING {
        let mut new = old.clone();
        change(&mut new);
        let found = breaks(&old, &new);
        // The place of a member begins with its operation, and not with its schema.
        let words = expected.strip_prefix("NewLocation").unwrap_or(expected);
        assert!(found.iter().any(|finding| finding.contains(words)), "{expected}: {found:#?}");
    }
}

#[test]
fn a_change_that_breaks_no_client_is_not_found() {
    let old = document();
    for (what, change) in HARMLESS {
        let mut new = old.clone();
        change(&mut new);
        assert_eq!(breaks(&old, &new), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_deprecated_operation_may_go() {
    let mut old = document();
    let mut new = old.clone();
    at(&mut old, HOLD)["deprecated"] = json!(true);
    remove(&mut new, "/paths/~1v1~1slots~1{id}~1hold", "post");
    assert_eq!(breaks(&old, &new), Vec::<String>::new());
}
