//! Parses a body into a JSON tree. Notes every member that occurs twice, so that no value is lost silently.

use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{FieldCode, FieldError};

/// How deep a body's arrays and objects may be nested. The deepest body of any operation has six levels.
const DEPTH_LIMIT: usize = 32;

/// A parsed body.
#[derive(Debug)]
pub struct Tree {
    /// The value. Of a member that occurs twice it holds the first.
    pub value: Value,
    /// The members that occur twice.
    pub duplicates: Vec<FieldError>,
}

/// Why a body could not be parsed.
#[derive(Debug)]
pub enum Failure {
    /// Not JSON, or nested too deeply. The text is for a person.
    Malformed(String),
    /// JSON, but a number in it is too large to be stored.
    Number(FieldError),
}

/// Parses a body.
///
/// # Errors
/// See [`Failure`].
pub fn parse(bytes: &[u8]) -> Result<Tree, Failure> {
    if is_too_deep(bytes) {
        return Err(Failure::Malformed(format!("The body is nested more than {DEPTH_LIMIT} levels deep.")));
    }
    let mut state = State::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node(&mut state).deserialize(&mut deserializer).map_err(|error| {
        // serde_json has no code for this case.
        if error.to_string().starts_with("number out of range") {
            Failure::Number(FieldError::new(state.place.clone(), FieldCode::OutOfRange, "is too large a number"))
        } else {
            let (line, column) = (error.line(), error.column());
            Failure::Malformed(format!("The body is not JSON. See line {line}, column {column}."))
        }
    })?;
    deserializer.end().map_err(|_| Failure::Malformed("The body continues after the end of its JSON value.".into()))?;
    Ok(Tree { value, duplicates: state.duplicates })
}

/// Appends a member's name to a JSON pointer (RFC 6901).
pub fn descend(pointer: &mut String, name: &str) {
    pointer.push('/');
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// Returns whether arrays and objects are nested more than [`DEPTH_LIMIT`] deep. Does not check whether it is JSON.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_LIMIT {
            return true;
        }
    }
    false
}

#[derive(Default)]
struct State {
    /// The pointer to the value that is read.
    place: String,
    duplicates: Vec<FieldError>,
}

/// Reads one value of the tree.
struct Node<'a>(&'a mut State);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let length = self.0.place.len();
        let mut values = Vec::new();
        loop {
            let _ = write!(self.0.place, "/{}", values.len());
            let Some(value) = list.next_element_seed(Node(self.0))? else { break };
            values.push(value);
            self.0.place.truncate(length);
        }
        self.0.place.truncate(length);
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let length = self.0.place.len();
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            descend(&mut self.0.place, &name);
            let value = members.next_value_seed(Node(self.0))?;
            if object.contains_key(&name) {
                let detail = "is in the object more than once";
                self.0.duplicates.push(FieldError::new(self.0.place.clone(), FieldCode::DuplicateField, detail));
            } else {
                object.insert(name, value);
            }
            self.0.place.truncate(length);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_holds_what_was_sent_and_every_member_that_occurs_twice() {
        let tree =
            parse(br#"{"a": [1, null, {"b": "c", "b/~": 1, "b/~": 2}], "d": 1.5, "d": 2, "d": 3}"#).expect("JSON");
        assert_eq!(tree.value, json!({"a": [1, null, {"b": "c", "b/~": 1}], "d": 1.5}));
        let duplicates: Vec<_> = tree.duplicates.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(duplicates, ["/a/2/b~1~0", "/d", "/d"]);
    }

    #[test]
    fn a_number_that_is_too_large_is_named_by_its_place() {
        let Err(Failure::Number(error)) = parse(br#"{"a": [1, {"b": 1e999}]}"#) else { panic!("refused") };
        assert_eq!((error.pointer.as_str(), error.code.as_str()), ("/a/1/b", "out_of_range"));
    }

    #[test]
    fn text_that_is_not_json_or_nested_too_deeply_is_malformed() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for text in ["", "{", "[1,]", "{\"a\": }", "{} x", "\u{feff}{}", &nested(33), &nested(5000)] {
            assert!(matches!(parse(text.as_bytes()), Err(Failure::Malformed(_))), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(Failure::Malformed(_))));
        for text in [nested(32), format!(r#"["{}\\\"{}"]"#, "[".repeat(40), "{".repeat(40))] {
            assert!(parse(text.as_bytes()).is_ok(), "{text}");
        }
    }
}
