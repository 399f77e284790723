//! A small language to define the form. A `section!` states each field's type, meaning and question once; the Rust
//! struct, its schema and the form follow from it. A `choice!` does the same for the options of a question. Values
//! check their range when they are deserialised.

mod choice;
mod dates;
mod field;
mod names;
mod object_schema;
mod section;
mod values;

pub(crate) use choice::choice;
pub use choice::{ChoiceOption, options_detail};
pub use dates::{PartialDate, TimeOfDay};
pub use field::{Answer, Bilingual, Condition, Field, Fields, Kind, MAX_ITEMS, Operator, Question, Test, ask, status};
pub use names::normalized_name;
pub(crate) use object_schema::object_schema;
pub(crate) use section::section;
pub use values::{Decimal, Integer, LongText, ShortText};

/// Separates the stable code from the sentence inside the text of a deserialisation error.
pub(crate) const CODE_SEPARATOR: char = '\u{1f}';

/// Builds a deserialisation error that carries a stable code.
pub(crate) fn coded_error<E: serde::de::Error>(code: text::FieldCode, detail: &str) -> E {
    E::custom(format!("{code}{CODE_SEPARATOR}{detail}"))
}
