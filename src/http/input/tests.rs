//! What the checks of bodies and queries refuse, and in which words.

use serde_json::{Value, json};

use super::shape::{Member, Shape, Shapes};
use super::*;
use crate::error::FieldError;

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Visit {
    day: crate::db::types::Date,
    minutes: i64,
    kind: Option<String>,
    #[serde(default)]
    items: Vec<Item>,
    answers: Option<Value>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    n: u16,
    name: Option<String>,
}

/// A document with one body and one query, and its compiled shapes.
fn compiled() -> (Shape, Vec<Member>) {
    let document = json!({"components": {"schemas": {
        "Day": {"type": "string", "format": "date"},
        "Kind": {"type": "string", "enum": ["short", "long"]},
        "Answers": {"type": "object", "properties": {}},
        "Item": {
            "type": "object", "required": ["n"], "additionalProperties": false, "properties": {
                "n": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 65535},
                "name": {"type": ["string", "null"], "minLength": 2, "maxLength": 3},
            },
        },
        "Visit": {
            "type": "object", "required": ["day", "minutes"], "additionalProperties": false, "properties": {
                "day": {"$ref": "#/components/schemas/Day"},
                "minutes": {"type": "integer", "minimum": 5, "maximum": 480},
                "kind": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Kind"}]},
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}, "minItems": 1, "maxItems": 2},
                "answers": {"$ref": "#/components/schemas/Answers"},
            },
        },
    }}});
    let operation = json!({
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Visit"}}}},
        "parameters": [
            {"in": "query", "name": "visit_type_id", "required": true, "schema": {"type": "string", "format": "uuid"}},
            {"in": "query", "name": "limit", "required": false, "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
            {"in": "query", "name": "active", "required": false, "schema": {"type": "boolean"}},
            {"in": "query", "name": "kind", "required": false, "schema": {"$ref": "#/components/schemas/Kind"}},
            {"in": "path", "name": "id", "required": true, "schema": {"type": "string"}},
        ],
    });
    let mut shapes = Shapes::new(&document, &["Answers"]);
    (shapes.body(&operation).expect("understood").expect("a body"), shapes.query(&operation).expect("understood"))
}

/// The status and the errors of a refusal, each as `pointer code detail`.
fn refused(json: &str) -> (u16, Vec<String>) {
    let error = parse::<Visit>(json.as_bytes(), &compiled().0).expect_err(json);
    let response = error.error_response();
    let draft = response.extensions().get::<ProblemBuilder>().cloned().expect("a problem");
    (draft.status.as_u16(), draft.errors.iter().map(line).collect())
}

fn line(error: &FieldError) -> String {
    format!("{} {} {}", error.pointer, error.code, error.detail)
}

#[test]
fn all_errors_of_a_body_are_reported_at_once_each_with_its_place_and_without_its_value() {
    let body = r#"{
        "minutes": "secret", "kind": "secret", "item": 1, "items": [{}, {"n": null, "name": "secret"}, {"n": 1.5}],
        "answers": {"anything": [null]}, "answers": 5
    }"#;
    let (status, errors) = refused(body);
    assert_eq!(status, 422);
    let expected = [
        "/answers duplicate_field is in the object more than once",
        "/day required is required",
        "/item unknown_field there is no such member; did you mean `items`?",
        "/items too_many must have at most 2 entries",
        "/items/0/n required is required",
        "/items/1/n wrong_type must be an integer from 0 to 65535",
        "/items/1/name too_long must be at most 3 characters",
        "/items/2/n wrong_type must be an integer from 0 to 65535",
        "/kind not_an_option must be one of \"short\", \"long\"",
        "/minutes wrong_type must be an integer from 5 to 480",
    ];
    let mut errors = errors;
    errors.sort();
    assert_eq!(errors, expected);
    assert_eq!(refused("{}").1, ["/day required is required", "/minutes required is required"]);
}

#[test]
fn each_kind_of_value_has_its_words() {
    for (member, value, expected) in [
        ("day", json!(null), "wrong_type must be a date such as 1967-09-14"),
        ("day", json!("2026-02-30"), "wrong_type must be a date such as 1967-09-14"),
        ("minutes", json!(50.5), "wrong_type must be an integer from 5 to 480"),
        ("minutes", json!(5e100), "out_of_range must be an integer from 5 to 480"),
        ("minutes", json!(u64::MAX), "out_of_range must be an integer from 5 to 480"),
        ("minutes", json!(true), "wrong_type must be an integer from 5 to 480"),
        ("kind", json!(5), "wrong_type must be one of \"short\", \"long\" or null"),
        ("kind", json!({"short": null}), "wrong_type must be one of \"short\", \"long\" or null"),
        ("items", json!({}), "wrong_type must be an array"),
        ("items", json!(null), "wrong_type must be an array"),
    ] {
        let mut body = json!({"day": "2026-03-02", "minutes": 50});
        body[member] = value;
        assert_eq!(refused(&body.to_string()), (422, vec![format!("/{member} {expected}")]), "{body}");
    }
    assert_eq!(refused("[]"), (422, vec![" wrong_type must be an object".into()]));
    assert_eq!(refused("null").0, 422);
    assert_eq!(refused(r#"{"day": "2026-03-02", "minutes": 1e999}"#).0, 422);
    for malformed in ["", "{", r#"{"day": }"#, r#"{"day": "2026-03-02", "minutes": 50} x"#] {
        assert_eq!(refused(malformed), (400, Vec::new()), "{malformed}");
    }
}

#[test]
fn limits_are_left_to_the_handler_unless_something_else_is_wrong_or_the_type_cannot_hold_the_value() {
    let shape = compiled().0;
    let limits = |body: &Value| check::check(&shape, &mut body.clone()).limits.iter().map(line).collect::<Vec<_>>();
    for (member, value, expected) in [
        ("minutes", json!(481), "/minutes out_of_range must be an integer from 5 to 480"),
        ("minutes", json!(4.0), "/minutes out_of_range must be an integer from 5 to 480"),
        ("items", json!([]), "/items too_few must have at least 1"),
        ("items", json!([{"n": 1}, {"n": 1}, {"n": 1}]), "/items too_many must have at most 2 entries"),
        ("items", json!([{"n": 1, "name": ""}]), "/items/0/name required must not be empty"),
        ("items", json!([{"n": 1, "name": "é"}]), "/items/0/name too_short must be at least 2 characters"),
        ("items", json!([{"n": 1, "name": "éééé"}]), "/items/0/name too_long must be at most 3 characters"),
    ] {
        let mut body = json!({"day": "2026-03-02", "minutes": 50});
        body[member] = value;
        assert_eq!(limits(&body), [expected], "{body}");
        assert!(parse::<Visit>(body.to_string().as_bytes(), &shape).is_ok(), "{body}");
        body["kind"] = json!("other");
        assert_eq!(refused(&body.to_string()).1, ["/kind not_an_option must be one of \"short\", \"long\"", expected]);
    }
    let body = json!({"day": "2026-03-02", "minutes": 50, "items": [{"n": 70_000}]});
    assert_eq!(refused(&body.to_string()).1, ["/items/0/n out_of_range must be an integer from 0 to 65535"]);
}

#[test]
fn a_whole_number_may_be_written_as_a_float_and_null_stands_for_an_absent_optional_member() {
    for minutes in ["50", "50.0", "5e1", "0.5e2", "500e-1"] {
        let body = format!(
            r#"{{"day": "2026-03-02", "minutes": {minutes}, "kind": null, "items": [{{"n": 7.0}}], "answers": {{"b": 1}}}}"#
        );
        let visit: Visit = parse(body.as_bytes(), &compiled().0).expect(minutes);
        assert_eq!((visit.minutes, visit.kind), (50, None));
        assert_eq!(visit.items, [Item { n: 7, name: None }]);
        assert_eq!(visit.answers, Some(json!({"b": 1})));
    }
}

#[test]
fn many_errors_are_cut_off() {
    let unknown: serde_json::Map<_, _> = (0..500).map(|number| (format!("x{number}"), json!(1))).collect();
    assert_eq!(refused(&Value::Object(unknown).to_string()).1.len(), 100);
    assert_eq!(refused(&format!("{{{}}}", vec![r#""x":1"#; 500].join(","))).1.len(), 100);
    assert_eq!(query::check(&vec!["x=1"; 500].join("&"), &compiled().1).len(), 100);
}

#[test]
fn all_errors_of_a_query_are_reported_at_once() {
    let known = compiled().1;
    let errors = |text: &str| query::check(text, &known).iter().map(line).collect::<Vec<_>>();
    let id = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";
    assert_eq!(errors(&format!("visit_type_id={id}&limit=200&active=true&kind=long")), [""; 0]);
    assert_eq!(
        errors("visit_type=x&limit=ten&limit=1&active=yes&kind=x"),
        [
            "?visit_type unknown_parameter there is no such parameter; did you mean `visit_type_id`?",
            "?limit wrong_type must be an integer from 1 to 200",
            "?limit duplicate_parameter is in the query more than once",
            "?active wrong_type must be true or false",
            "?kind not_an_option must be one of \"short\", \"long\"",
            "?visit_type_id required is required",
        ]
    );
    assert_eq!(errors("visit_type_id=x&limit=201"), ["?visit_type_id wrong_type must be an id (a UUID)"]);
}

#[test]
fn a_schema_that_would_not_be_checked_is_refused() {
    for schema in [
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}),
        json!({"type": "integer", "multipleOf": 5}),
        json!({"type": "string", "format": "email"}),
        json!({"type": ["string", "integer"]}),
        json!({"anyOf": []}),
        json!({"$ref": "#/components/schemas/Loop"}),
    ] {
        let document = json!({"components": {"schemas": {"Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}}}}});
        let operation = json!({"requestBody": {"content": {"application/json": {"schema": schema}}}});
        assert!(Shapes::new(&document, &[]).body(&operation).is_err(), "{schema}");
    }
}
