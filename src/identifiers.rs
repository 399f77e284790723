//! The identifiers that other systems use for objects of this service (FHIR `Identifier`): their form, storage and
//! search.
//!
//! An object stores its identifiers as it shows them, in a column of its own. A table beside it makes each identifier
//! unique and finds its object. [`set_for_patient`] and the similar functions keep both equal.

use std::fmt;

use diesel::prelude::*;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::Conn;
use crate::db::schema::{appointment_identifiers, patient_identifiers, practitioner_identifiers};
use crate::error::{Check, Error, FieldCode, ProblemCode, Result, Rule};
use crate::ids::{AppointmentId, PatientId, PractitionerId};

/// The maximum number of identifiers of one object. A change replaces all their rows.
const MAX_IDENTIFIERS: usize = 20;
/// The maximum length of a system in characters, which are all ASCII.
const SYSTEM: usize = 255;
/// The maximum length of a value in characters.
const VALUE: usize = 200;

/// An identifier that another system uses for this object. It belongs to at most one object of a kind.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "https://ehr.example/patients", "value": "48213"}))]
pub struct Identifier {
    /// The system: an absolute URI, or a short name of lower-case letters, digits, `.`, `_` and `-`.
    #[schema(min_length = 1, max_length = 255, examples("urn:oid:2.16.840.1.113883.4.6", "ehr"))]
    pub system: String,
    /// The value, as that system writes it. It is case-sensitive.
    #[schema(min_length = 1, max_length = 200)]
    pub value: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(..)")
    }
}

/// An object's identifiers, in the order in which they were set.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = Text)]
pub struct Identifiers(pub Vec<Identifier>);

impl Identifiers {
    /// Reads the list at `pointer`. Adds what is wrong to `check`, and then returns none.
    pub fn read(self, pointer: &str, check: &mut Check) -> Option<Self> {
        let mut own = Check::new();
        own.require(
            self.0.len() <= MAX_IDENTIFIERS,
            pointer,
            FieldCode::TooMany,
            format!("must have at most {MAX_IDENTIFIERS} identifiers"),
        );
        let mut read: Vec<Identifier> = Vec::new();
        for (index, given) in self.0.into_iter().enumerate().take(MAX_IDENTIFIERS) {
            let at = format!("{pointer}/{index}");
            let system = own.field(&format!("{at}/system"), system(&given.system));
            let value = own.field(&format!("{at}/value"), text::one_line(&given.value, VALUE));
            let (Some(system), Some(value)) = (system, value) else { continue };
            let identifier = Identifier { system, value };
            own.require(!read.contains(&identifier), at, FieldCode::Duplicate, "is in the list twice");
            read.push(identifier);
        }
        match own.done() {
            Ok(()) => Some(Self(read)),
            Err(Error::Invalid(errors)) => {
                for error in errors {
                    check.add(error);
                }
                None
            }
            Err(_) => None,
        }
    }
}

/// Reads an absolute URI or a short name. Neither has white space, nor the bar that separates system and value in a
/// search.
fn system(text: &str) -> Result<String, Rule> {
    let rule = || Rule::new(FieldCode::InvalidSystem, "must be an absolute URI, or a short name such as ehr");
    let printable =
        |b: u8| b.is_ascii_graphic() && !matches!(b, b'|' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'}');
    if !(1..=SYSTEM).contains(&text.len()) || !text.bytes().all(printable) {
        return Err(rule());
    }
    let short = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let good = if text.contains(':') { url::Url::parse(text).is_ok() } else { text.bytes().all(short) };
    if good { Ok(text.to_owned()) } else { Err(rule()) }
}

/// An identifier in a search (a FHIR token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// `system|value`.
    Whole(String, String),
    /// `system|`: every identifier of that system.
    System(String),
    /// `value` or `|value`: the value in any system, because every identifier here has a system.
    Value(String),
}

impl Token {
    /// Reads one of the forms.
    ///
    /// # Errors
    /// `invalid_identifier`.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let rule = |_| Rule::new(FieldCode::InvalidIdentifier, "must be system|value, value or system|");
        let value = |text| text::one_line(text, VALUE).map_err(rule);
        match text.split_once('|') {
            None => Ok(Self::Value(value(text)?)),
            Some(("", rest)) => Ok(Self::Value(value(rest)?)),
            Some((whose, "")) => Ok(Self::System(system(whose).map_err(rule)?)),
            Some((whose, rest)) => Ok(Self::Whole(system(whose).map_err(rule)?, value(rest)?)),
        }
    }
}

/// Filters a boxed query by the owners of the identifiers that match a [`Token`].
macro_rules! identified {
    ($query:expr, $id:expr, $table:ident, $owner:ident, $token:expr) => {{
        let (query, found) = ($query, $table::table.select($table::$owner));
        match $token.clone() {
            $crate::identifiers::Token::Whole(system, value) => {
                query.filter($id.eq_any(found.filter($table::system.eq(system)).filter($table::value.eq(value))))
            }
            $crate::identifiers::Token::System(system) => {
                query.filter($id.eq_any(found.filter($table::system.eq(system))))
            }
            $crate::identifiers::Token::Value(value) => query.filter($id.eq_any(found.filter($table::value.eq(value)))),
        }
    }};
}
pub(crate) use identified;

macro_rules! setter {
    ($(#[$meta:meta])* $name:ident, $table:ident, $owner:ident, $id:ty) => {
        $(#[$meta])*
        ///
        /// # Errors
        /// The conflict `identifier_taken`.
        pub fn $name(tx: &mut Conn, owner: $id, identifiers: &Identifiers) -> Result<()> {
            use $table::dsl;
            diesel::delete($table::table.filter(dsl::$owner.eq(owner))).execute(tx)?;
            for (index, Identifier { system, value }) in identifiers.0.iter().enumerate() {
                let holder: Option<$id> =
                    $table::table.find((system, value)).select(dsl::$owner).first(tx).optional()?;
                if let Some(holder) = holder {
                    return Err(taken(index, holder.to_string()));
                }
                diesel::insert_into($table::table)
                    .values((dsl::system.eq(system), dsl::value.eq(value), dsl::$owner.eq(owner)))
                    .execute(tx)?;
            }
            Ok(())
        }
    };
}
setter! {
    /// Replaces the identifiers by which a patient is found.
    set_for_patient, patient_identifiers, patient_id, PatientId
}
setter! {
    /// Replaces the identifiers by which a practitioner is found.
    set_for_practitioner, practitioner_identifiers, practitioner_id, PractitionerId
}
setter! {
    /// Replaces the identifiers by which an appointment is found.
    set_for_appointment, appointment_identifiers, appointment_id, AppointmentId
}

/// Names the identifier and the object that has it. Only staff set identifiers, and they may see all objects.
fn taken(index: usize, holder: String) -> Error {
    let mut members = serde_json::Map::new();
    members.insert("pointer".into(), format!("/identifiers/{index}").into());
    members.insert("taken_by".into(), holder.into());
    Error::conflict_with(ProblemCode::IdentifierTaken, "Another record has this identifier already.", members)
}

crate::db::types::json_columns!(Identifiers);

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(&str, &str)]) -> Identifiers {
        let pair = |(system, value): &(&str, &str)| Identifier { system: (*system).into(), value: (*value).into() };
        Identifiers(pairs.iter().map(pair).collect())
    }

    fn errors(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut check = Check::new();
        list(pairs).read("/identifiers", &mut check);
        match check.done() {
            Err(Error::Invalid(errors)) => {
                errors.into_iter().map(|error| (error.pointer, error.code.to_string())).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_system_is_a_uri_or_a_short_name() {
        for good in ["ehr", "lab-2.old_one", "https://ehr.example/p", "urn:oid:1.2.3", "urn:uuid:5f1e", "x:y"] {
            assert!(system(good).is_ok(), "{good}");
        }
        for wrong in ["", "Ehr", "my ehr", "a|b", "https://", ":x", "é", "ehr\n", "/ehr", &"e".repeat(256)] {
            assert_eq!(system(wrong).expect_err(wrong).code, "invalid_system");
        }
    }

    #[test]
    fn each_error_of_a_list_has_its_place() {
        assert_eq!(errors(&[("ehr", "1"), ("ehr", "2"), ("lab", "1")]), []);
        let wrong = errors(&[("Ehr", "1"), ("ehr", " "), ("ehr", "7"), ("ehr", " 7 "), ("ehr", "a\u{202e}b")]);
        let expected = [
            ("/identifiers/0/system", "invalid_system"),
            ("/identifiers/1/value", "required"),
            ("/identifiers/3", "duplicate"),
            ("/identifiers/4/value", "forbidden_character"),
        ];
        assert_eq!(wrong, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
        let many: Vec<_> = (0..21).map(|number| number.to_string()).collect();
        let many: Vec<_> = many.iter().map(|value| ("ehr", value.as_str())).collect();
        assert_eq!(errors(&many), [("/identifiers".to_owned(), "too_many".to_owned())]);
        assert_eq!(errors(&many[..20]), []);
    }

    #[test]
    fn a_search_has_system_and_value_or_one_of_them() {
        let (ehr, number) = (|| "ehr".to_owned(), || "48213".to_owned());
        for (text, expected) in [
            ("ehr|48213", Some(Token::Whole(ehr(), number()))),
            ("https://ehr.example/p|a|b", Some(Token::Whole("https://ehr.example/p".into(), "a|b".into()))),
            ("|48213", Some(Token::Value(number()))),
            ("48213", Some(Token::Value(number()))),
            ("ehr|", Some(Token::System(ehr()))),
            ("|", None),
            ("", None),
            ("my ehr|1", None),
        ] {
            assert_eq!(Token::parse(text).ok(), expected, "{text}");
        }
    }
}
