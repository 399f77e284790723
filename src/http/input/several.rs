//! A query parameter with several values, separated by commas: `weekday=monday,friday`.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer};

/// The greatest number of values of a parameter.
pub const MAX_VALUES: usize = 50;

/// The values, at least one. [`super::query`] has checked each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several<T>(pub Vec<T>);

impl<T> Several<T> {
    /// The values of a parameter; none if it was not sent.
    pub fn of(parameter: Option<Self>) -> Vec<T> {
        parameter.map_or_else(Vec::new, |several| several.0)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let value = |text| T::deserialize(StrDeserializer::<D::Error>::new(text));
        text.split(',').map(value).collect::<Result<_, _>>().map(Self)
    }
}
