//! Whether every value of one schema is a value of another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Schemas that may get further options in responses. The document's text tells clients to expect unknown ones.
const OPEN: [&str; 3] = ["ProblemCode", "FieldCode", "EventType"];

/// Which way the values go. The rules are in `mod.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Sent,
    Returned,
}

/// Compares the schemas of two documents.
pub(super) struct Schemas<'a> {
    old: &'a Value,
    new: &'a Value,
    /// The pairs that are compared already.
    seen: BTreeSet<(Way, String, String)>,
    pub(super) found: Vec<String>,
}

/// A schema with its references and `null` resolved.
#[derive(Default)]
struct Flat<'a> {
    name: Option<&'a str>,
    nullable: bool,
    kinds: BTreeSet<&'a str>,
    /// The keywords of the schema itself.
    words: BTreeMap<&'a str, &'a Value>,
    members: BTreeMap<&'a str, &'a Value>,
    required: BTreeSet<&'a str>,
    /// The alternatives by the name that tells them apart.
    alternatives: BTreeMap<String, &'a Value>,
}

impl<'a> Flat<'a> {
    fn of(document: &'a Value, schema: &'a Value) -> Self {
        let mut flat = Self::default();
        flat.add(document, schema);
        flat
    }

    fn add(&mut self, document: &'a Value, schema: &'a Value) {
        if let Some(reference) = schema["$ref"].as_str() {
            self.name = reference.rsplit('/').next();
            return self.add(document, document.pointer(&reference[1..]).expect("a schema"));
        }
        if let Some(all) = schema["allOf"].as_array() {
            for one in all {
                self.add(document, one);
            }
        }
        if let Some(alternatives) = schema["oneOf"].as_array() {
            let others: Vec<_> = alternatives.iter().filter(|one| one["type"] != "null").collect();
            self.nullable |= others.len() < alternatives.len();
            match others.as_slice() {
                [only] => self.add(document, only),
                several => {
                    let key = |index: usize, one: &Value| one["$ref"].as_str().map_or(index.to_string(), str::to_owned);
                    self.alternatives.extend(several.iter().enumerate().map(|(index, one)| (key(index, one), *one)));
                }
            }
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect::<Vec<_>>(),
        };
        self.nullable |= kinds.contains(&"null");
        self.kinds.extend(kinds.into_iter().filter(|kind| *kind != "null"));
        let members = schema["properties"].as_object().into_iter().flatten();
        self.members.extend(members.map(|(name, schema)| (name.as_str(), schema)));
        self.required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
        self.words.extend(schema.as_object().into_iter().flatten().map(|(word, value)| (word.as_str(), value)));
    }

    fn options(&self) -> Option<BTreeSet<String>> {
        let options = self.words.get("enum")?.as_array()?;
        Some(options.iter().filter(|option| !option.is_null()).map(Value::to_string).collect())
    }
}

impl<'a> Schemas<'a> {
    pub(super) fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, seen: BTreeSet::new(), found: Vec::new() }
    }

    /// Compares a schema of the old document with its successor. What is sent must fit the new one, what is returned the old one.
    pub(super) fn compare(&mut self, way: Way, place: &str, old: &'a Value, new: &'a Value) {
        let named = |schema: &Value| schema["$ref"].as_str().map(str::to_owned);
        if let (Some(old), Some(new)) = (named(old), named(new))
            && !self.seen.insert((way, old, new))
        {
            return;
        }
        let (before, after) = (Flat::of(self.old, old), Flat::of(self.new, new));
        let (given, expected) = match way {
            Way::Sent => (&before, &after),
            Way::Returned => (&after, &before),
        };
        if let Some(misfit) = misfit(way, given, expected) {
            self.found.push(format!("{place}: {misfit}"));
        }
        self.members(way, place, &before, &after);
        self.alternatives(way, place, &before, &after);
        if let (Some(old), Some(new)) = (before.words.get("items"), after.words.get("items")) {
            self.compare(way, &format!("{place}[]"), old, new);
        }
    }

    fn members(&mut self, way: Way, place: &str, before: &Flat<'a>, after: &Flat<'a>) {
        for (name, old) in &before.members {
            let place = format!("{place}.{name}");
            match after.members.get(name) {
                Some(new) => self.compare(way, &place, old, new),
                None => self.found.push(format!("{place}: the member is gone")),
            }
        }
        let (given, expected, what) = match way {
            Way::Sent => (before, after, "the member is required now"),
            Way::Returned => (after, before, "the member may be missing now"),
        };
        // A member that is gone is reported as such.
        let known = |name: &&&str| way == Way::Sent || after.members.contains_key(**name);
        for name in expected.required.difference(&given.required).filter(known) {
            self.found.push(format!("{place}.{name}: {what}"));
        }
    }

    fn alternatives(&mut self, way: Way, place: &str, before: &Flat<'a>, after: &Flat<'a>) {
        for (key, old) in &before.alternatives {
            match after.alternatives.get(key) {
                Some(new) => self.compare(way, place, old, new),
                None if way == Way::Sent => self.found.push(format!("{place}: the alternative {key} is gone")),
                None => {}
            }
        }
        if way == Way::Returned {
            let new = after.alternatives.keys().filter(|key| !before.alternatives.contains_key(*key));
            self.found.extend(new.map(|key| format!("{place}: the alternative {key} is new")));
        }
    }
}

/// Why a given value may not be an expected one.
fn misfit(way: Way, given: &Flat<'_>, expected: &Flat<'_>) -> Option<String> {
    if given.nullable && !expected.nullable {
        return Some("null".to_owned());
    }
    let fits =
        |kind: &&&str| expected.kinds.contains(**kind) || (**kind == "integer" && expected.kinds.contains("number"));
    if !expected.kinds.is_empty() && (given.kinds.is_empty() || given.kinds.iter().any(|kind| !fits(&kind))) {
        return Some(format!("the type {:?} instead of {:?}", given.kinds, expected.kinds));
    }
    let is_open = way == Way::Returned && expected.name.is_some_and(|name| OPEN.contains(&name));
    if let Some(options) = expected.options().filter(|_| !is_open) {
        match given.options() {
            None => return Some("any value instead of some options".to_owned()),
            Some(given) => {
                if let Some(option) = given.difference(&options).next() {
                    return Some(format!("the option {option}"));
                }
            }
        }
    }
    if given.words.get("format") != expected.words.get("format") && expected.words.contains_key("format") {
        return Some("the format".to_owned());
    }
    // Clients take longer texts and lists, and greater numbers, than they were told.
    (way == Way::Sent).then(|| limit(given, expected)).flatten()
}

/// A limit that a given value may exceed.
fn limit(given: &Flat<'_>, expected: &Flat<'_>) -> Option<String> {
    let number = |flat: &Flat<'_>, word: &str| flat.words.get(word).and_then(|value| value.as_f64());
    let past = |word: &&str| {
        let Some(limit) = number(expected, word) else { return false };
        let is_least = word.starts_with("min");
        number(given, word).is_none_or(|given| if is_least { given < limit } else { given > limit })
    };
    let limits = ["maxLength", "minLength", "maximum", "minimum", "maxItems", "minItems"];
    if let Some(word) = limits.into_iter().find(past) {
        return Some(format!("{word} is stricter"));
    }
    let pattern = expected.words.get("pattern");
    (pattern.is_some() && pattern != given.words.get("pattern")).then(|| "the pattern".to_owned())
}
