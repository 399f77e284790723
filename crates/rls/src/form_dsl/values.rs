//! PhoneNumbers within bounds and texts of bounded length.

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{Answer, Kind, coded_error};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Integer<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Integer<MIN, MAX> {
    /// Returns the number.
    pub fn get(self) -> i64 {
        self.0
    }
}

struct NumberIn<const MIN: i64, const MAX: i64>;

#[allow(clippy::cast_precision_loss, reason = "bounds are small")]
impl<const MIN: i64, const MAX: i64> Visitor<'_> for NumberIn<MIN, MAX> {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {MIN} to {MAX}")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Number, E> {
        if (MIN..=MAX).contains(&value) { Ok(value.into()) } else { Err(outside(MIN, MAX)) }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Number, E> {
        self.visit_i64(i64::try_from(value).map_err(|_| outside(MIN, MAX))?)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Number, E> {
        let number = Number::from_f64(value).ok_or_else(|| outside(MIN, MAX))?;
        if value >= MIN as f64 && value <= MAX as f64 { Ok(number) } else { Err(outside(MIN, MAX)) }
    }
}

fn outside<E: serde::de::Error>(min: i64, max: i64) -> E {
    coded_error(text::FieldCode::OutOfRange, &format!("must be from {min} to {max}"))
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Integer<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_f64(NumberIn::<MIN, MAX>)?;
        if let Some(whole) = number.as_i64() {
            return Ok(Self(whole));
        }
        let value = number.as_f64().unwrap_or(f64::NAN);
        // JSON Schema also counts 6.0 as an integer.
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and within small bounds")]
        if value.fract() == 0.0 {
            Ok(Self(value as i64))
        } else {
            Err(coded_error(text::FieldCode::WrongType, "must be a whole number"))
        }
    }
}

impl<const MIN: i64, const MAX: i64> Answer for Integer<MIN, MAX> {
    fn kind() -> Kind {
        Kind::Integer { min: MIN, max: MAX }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(MIN)).maximum(Some(MAX)).into()
    }
}

/// A number from `MIN` to `MAX`. It serialises as it was sent: 42 does not become 42.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decimal<const MIN: i64, const MAX: i64>(Number);

impl<const MIN: i64, const MAX: i64> Decimal<MIN, MAX> {
    /// Returns the number.
    pub fn get(&self) -> f64 {
        // Without arbitrary precision every number has a float.
        self.0.as_f64().unwrap_or(f64::NAN)
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Decimal<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(NumberIn::<MIN, MAX>).map(Self)
    }
}

impl<const MIN: i64, const MAX: i64> Answer for Decimal<MIN, MAX> {
    fn kind() -> Kind {
        Kind::Decimal { min: MIN, max: MAX }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new().schema_type(Type::Number).minimum(Some(MIN)).maximum(Some(MAX)).into()
    }
}

/// One line of 1 to `MAX` characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShortText<const MAX: usize>(String);

/// A text of 1 to `MAX` characters that may have several lines, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LongText<const MAX: usize>(String);

impl<const MAX: usize> ShortText<MAX> {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> LongText<MAX> {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for ShortText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text::one_line(&text, MAX).map(Self).map_err(|rule| coded_error(rule.code, &rule.detail))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for LongText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let text = text.replace("\r\n", "\n");
        let text = text.trim();
        if text.is_empty() {
            return Err(coded_error(text::FieldCode::Required, "must not be empty"));
        }
        if text.chars().any(|c| c != '\n' && c != '\t' && text::is_forbidden(c)) {
            return Err(coded_error(text::FieldCode::ForbiddenCharacter, "must be text without control characters"));
        }
        if text.chars().count() > MAX {
            return Err(coded_error(text::FieldCode::TooLong, &format!("must be at most {MAX} characters")));
        }
        Ok(Self(text.to_owned()))
    }
}

fn text_schema(max: usize) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(max)).into()
}

impl<const MAX: usize> Answer for ShortText<MAX> {
    fn kind() -> Kind {
        Kind::Text { max: MAX, lines: false }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        text_schema(MAX)
    }
}

impl<const MAX: usize> Answer for LongText<MAX> {
    fn kind() -> Kind {
        Kind::Text { max: MAX, lines: true }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        text_schema(MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_keep_their_form_and_their_bounds() {
        assert_eq!(
            serde_json::to_value(serde_json::from_value::<Decimal<0, 5000>>(json!(42)).expect("read"))
                .expect("written"),
            json!(42)
        );
        assert_eq!(serde_json::from_value::<Integer<0, 7>>(json!(6.0)).expect("read").get(), 6);
        for wrong in [json!(-1), json!(8), json!(6.5), json!("6"), json!(true), json!(18_446_744_073_709_551_615_u64)] {
            assert!(serde_json::from_value::<Integer<0, 7>>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
