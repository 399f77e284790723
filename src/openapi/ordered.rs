//! The document with an order that is the same in every process. utoipa keeps the extensions of an object in a hash map, whose order is random:
//! the committed file would differ from run to run, and the `ETag` of the document from instance to instance.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::OpenApi;

/// A value of the document. The members of objects keep their order.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ordered {
    Object(IndexMap<String, Self>),
    Array(Vec<Self>),
    Other(Value),
}

impl Ordered {
    /// Orders a document: the extensions of each object by name, after its other members.
    ///
    /// # Errors
    /// If it cannot be serialised.
    pub fn of(document: &OpenApi) -> serde_json::Result<Self> {
        let mut value: Self = serde_json::from_str(&document.to_json()?)?;
        value.sort();
        Ok(value)
    }

    fn sort(&mut self) {
        match self {
            Self::Object(members) => {
                // Stable, so that other members stay where they are.
                members.sort_by(|a, _, b, _| extension(a).cmp(&extension(b)));
                members.values_mut().for_each(Self::sort);
            }
            Self::Array(items) => items.iter_mut().for_each(Self::sort),
            Self::Other(_) => {}
        }
    }
}

/// The name of an extension; none for another member.
fn extension(name: &str) -> Option<&str> {
    name.starts_with("x-").then_some(name)
}
