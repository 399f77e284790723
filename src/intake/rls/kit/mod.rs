//! What the answers are built from: values that check themselves when they are read, options with their labels, and one
//! place where a field's type, meaning and question stand together. The Rust type, its schema and the form come from it.

mod choice;
mod dates;
mod field;
mod section;
mod values;

pub(crate) use choice::choice;
pub use choice::{Opt, one_of};
pub use dates::{PartialDate, TimeOfDay};
pub use field::{Answer, Ask, Condition, Field, Fields, Kind, MAX_ITEMS, Op, Test, Words, ask, fields_of, status};
pub(crate) use section::section;
pub use values::{Decimal, LongText, ShortText, Whole};

/// Parts a stable code from its sentence inside a deserialisation error.
pub(crate) const CODE_END: char = '\u{1f}';

/// A deserialisation error that carries a stable code.
pub(crate) fn broken<E: serde::de::Error>(code: &str, detail: &str) -> E {
    E::custom(format!("{code}{CODE_END}{detail}"))
}
