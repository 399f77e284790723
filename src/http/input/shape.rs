//! Shapes of bodies and parameters, compiled from the schemas of the published document, so the service checks what the document
//! says.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// How deep schemas may refer to each other. A deeper one refers to itself.
const DEEPEST: usize = 20;

/// What a value must look like.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Whether it may be `null`.
    pub nullable: bool,
    /// What it is otherwise.
    pub kind: Arc<Kind>,
}

/// What a value is.
#[derive(Debug)]
pub enum Kind {
    /// Anything: the handler has its own reader.
    Any,
    /// A string. Lengths are in characters. The handlers check patterns.
    Text {
        /// The least length.
        least: usize,
        /// The greatest length.
        most: Option<usize>,
        form: Form,
    },
    /// One of these strings.
    Choice(Vec<String>),
    /// One of these integers.
    IntegerChoice(Vec<i64>),
    Integer {
        /// The least value.
        least: Option<i64>,
        /// The greatest value.
        most: Option<i64>,
    },
    Number {
        /// The least value.
        least: Option<f64>,
        /// The greatest value.
        most: Option<f64>,
    },
    /// `true` or `false`.
    Boolean,
    /// An array.
    List {
        /// The shape of each entry.
        of: Shape,
        /// The least number of entries.
        least: usize,
        /// The greatest number of entries.
        most: Option<usize>,
    },
    /// An object with these members and no others.
    Object(Vec<Member>),
}

/// The form of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Plain,
    /// A UUID.
    Id,
    /// A day, `YYYY-MM-DD`.
    Day,
    /// An instant, RFC 3339.
    Instant,
}

/// A member of an object, or a query parameter.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
    /// What its value is.
    pub shape: Shape,
}

/// Compiles the schemas of one document.
#[derive(Debug)]
pub struct Shapes<'a> {
    document: &'a Value,
    /// The schemas whose values the handlers read themselves.
    own_readers: &'a [&'a str],
    compiled: HashMap<String, Shape>,
}

impl<'a> Shapes<'a> {
    /// Begins with the document as JSON. Values of the schemas in `own_readers` are left to the handlers.
    pub fn new(document: &'a Value, own_readers: &'a [&'a str]) -> Self {
        Self { document, own_readers, compiled: HashMap::new() }
    }

    /// Compiles the body of an operation, if it has one in JSON.
    ///
    /// # Errors
    /// For a schema that is not understood.
    pub fn body(&mut self, operation: &Value) -> Result<Option<Shape>, String> {
        let content = operation["requestBody"]["content"].as_object();
        let schema = content.and_then(|content| content.iter().find(|(kind, _)| kind.ends_with("json")));
        let schema = schema.map(|(_, media)| &media["schema"]);
        schema.map(|schema| self.shape(schema, 0)).transpose()
    }

    /// Compiles the query parameters of an operation.
    ///
    /// # Errors
    /// For a schema that is not understood.
    pub fn query(&mut self, operation: &Value) -> Result<Vec<Member>, String> {
        let document = self.document;
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let resolved = parameters.map(|parameter| match parameter["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(parameter),
            None => parameter,
        });
        resolved
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| {
                Ok(Member {
                    name: parameter["name"].as_str().unwrap_or_default().to_owned(),
                    required: parameter["required"] == true,
                    shape: self.shape(&parameter["schema"], 0)?,
                })
            })
            .collect()
    }

    fn shape(&mut self, schema: &Value, depth: usize) -> Result<Shape, String> {
        let refused = |why: &str| Err(format!("{why}: {schema}"));
        let Some(members) = schema.as_object() else { return refused("no schema") };
        if depth > DEEPEST {
            return refused("a schema refers to itself");
        }
        if let Some(reference) = schema["$ref"].as_str() {
            return self.named(reference, depth);
        }
        if let Some(alternatives) = schema["oneOf"].as_array() {
            let (nulls, others): (Vec<_>, Vec<_>) = alternatives.iter().partition(|one| one["type"] == "null");
            let (1, [other]) = (nulls.len(), others.as_slice()) else { return refused("alternatives") };
            return Ok(Shape { nullable: true, kind: self.shape(other, depth + 1)?.kind });
        }
        let (nullable, kind) = kind(&schema["type"]);
        let known = Keywords(members);
        let kind = match kind {
            Some("string") if members.contains_key("enum") => {
                known.only(&["enum"])?;
                let options = schema["enum"].as_array().into_iter().flatten();
                Kind::Choice(options.filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some("string") => {
                known.only(&["minLength", "maxLength", "pattern", "format"])?;
                Kind::Text {
                    least: known.size("minLength").unwrap_or(0),
                    most: known.size("maxLength"),
                    form: known.form()?,
                }
            }
            Some("integer") if members.contains_key("enum") => {
                known.only(&["enum", "minimum", "maximum", "format"])?;
                let options = schema["enum"].as_array().into_iter().flatten();
                Kind::IntegerChoice(options.filter_map(Value::as_i64).collect())
            }
            Some("integer") => {
                known.only(&["minimum", "maximum", "format"])?;
                Kind::Integer { least: schema["minimum"].as_i64(), most: schema["maximum"].as_i64() }
            }
            Some("number") => {
                known.only(&["minimum", "maximum", "format"])?;
                Kind::Number { least: schema["minimum"].as_f64(), most: schema["maximum"].as_f64() }
            }
            Some("boolean") => {
                known.only(&[])?;
                Kind::Boolean
            }
            Some("array") => {
                known.only(&["items", "minItems", "maxItems"])?;
                let of = self.shape(&schema["items"], depth + 1)?;
                Kind::List { of, least: known.size("minItems").unwrap_or(0), most: known.size("maxItems") }
            }
            Some("object") => {
                known.only(&["properties", "required", "additionalProperties"])?;
                if schema["additionalProperties"] != false {
                    return refused("an object that may have other members");
                }
                Kind::Object(self.members(schema, depth)?)
            }
            _ => return refused("a type that is not understood"),
        };
        Ok(Shape { nullable, kind: Arc::new(kind) })
    }

    fn members(&mut self, schema: &Value, depth: usize) -> Result<Vec<Member>, String> {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, schema)| {
                let shape = self.shape(schema, depth + 1)?;
                Ok(Member { name: name.clone(), required: required.contains(&name.as_str()), shape })
            })
            .collect()
    }

    fn named(&mut self, reference: &str, depth: usize) -> Result<Shape, String> {
        let name = reference.rsplit('/').next().unwrap_or_default();
        if self.own_readers.contains(&name) {
            return Ok(Shape { nullable: true, kind: Arc::new(Kind::Any) });
        }
        if let Some(compiled) = self.compiled.get(name) {
            return Ok(compiled.clone());
        }
        let schema = &self.document["components"]["schemas"][name];
        let shape = self.shape(schema, depth + 1).map_err(|error| format!("{name}: {error}"))?;
        self.compiled.insert(name.to_owned(), shape.clone());
        Ok(shape)
    }
}

/// The type of a schema, and whether it may be `null`.
fn kind(value: &Value) -> (bool, Option<&str>) {
    match value {
        Value::Array(kinds) => {
            let mut others = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            let kind = others.next().filter(|_| others.next().is_none());
            (kinds.iter().any(|kind| kind == "null"), kind)
        }
        value => (false, value.as_str()),
    }
}

/// The keywords of a schema.
struct Keywords<'a>(&'a Map<String, Value>);

impl Keywords<'_> {
    /// Rejects keywords of the document that this module does not check.
    fn only(&self, checked: &[&str]) -> Result<(), String> {
        let words = ["type", "description", "example", "examples", "default", "title"];
        match self.0.keys().find(|key| !words.contains(&key.as_str()) && !checked.contains(&key.as_str())) {
            Some(key) => Err(format!("`{key}` is not checked")),
            None => Ok(()),
        }
    }

    fn size(&self, name: &str) -> Option<usize> {
        self.0.get(name)?.as_u64()?.try_into().ok()
    }

    fn form(&self) -> Result<Form, String> {
        match self.0.get("format").map(|format| format.as_str().unwrap_or_default()) {
            // The handlers check addresses.
            None | Some("idn-email") => Ok(Form::Plain),
            Some("uuid") => Ok(Form::Id),
            Some("date") => Ok(Form::Day),
            Some("date-time") => Ok(Form::Instant),
            Some(other) => Err(format!("the format {other} is not checked")),
        }
    }
}
