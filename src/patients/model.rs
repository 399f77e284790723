//! The patient's record: its fields and what they may hold.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::db::schema::patients;
use crate::db::types::{Date, text_enum};
use crate::identifiers::Identifiers;
use crate::ids::PatientId;
use crate::sealed::Sealed;

pub use super::input::PatientInput;
pub use super::profile::Profile;

/// A profile that no record has yet.
pub type NewPatient = Profile;

text_enum! {
    /// The sex that offices and insurers work with (FHIR `administrative-gender`).
    AdministrativeSex {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Neither of the two.
        Other = "other",
        /// Not known.
        Unknown = "unknown",
    }
}

text_enum! {
    /// The sex noted at birth.
    SexAssignedAtBirth {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Neither of the two.
        Other = "other",
        /// Not known.
        Unknown = "unknown",
        /// The person does not wish to say.
        Declined = "declined",
    }
}

text_enum! {
    /// Race, in the categories of the US Office of Management and Budget.
    Race {
        /// American Indian or Alaska Native.
        AmericanIndianOrAlaskaNative = "american_indian_or_alaska_native",
        /// Asian.
        Asian = "asian",
        /// Black or African American.
        BlackOrAfricanAmerican = "black_or_african_american",
        /// Native Hawaiian or other Pacific Islander.
        NativeHawaiianOrPacificIslander = "native_hawaiian_or_pacific_islander",
        /// White.
        White = "white",
        /// None of these.
        Other = "other",
        /// The person does not wish to say; stands alone.
        Declined = "declined",
    }
}

text_enum! {
    /// Ethnicity, in the categories of the US Office of Management and Budget.
    Ethnicity {
        /// Hispanic or Latino.
        HispanicOrLatino = "hispanic_or_latino",
        /// Not Hispanic or Latino.
        NotHispanicOrLatino = "not_hispanic_or_latino",
        /// The person does not wish to say.
        Declined = "declined",
    }
}

text_enum! {
    /// What the holder of an account is to a patient.
    Relation {
        /// The patient themselves.
        Oneself = "self",
        /// Their mother or father.
        Parent = "parent",
        /// Somebody whom the law has put in charge of them.
        Guardian = "guardian",
        /// Somebody who looks after them.
        Caregiver = "caregiver",
    }
}

/// Where a patient lives.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"line1": "12 Elm Street", "city": "Albany", "region": "NY", "postal_code": "12203", "country": "US"}))]
pub struct Address {
    /// Street and number.
    #[schema(min_length = 1, max_length = 200)]
    pub line1: String,
    /// Apartment, floor, care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub line2: Option<String>,
    /// Town.
    #[schema(min_length = 1, max_length = 100)]
    pub city: String,
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub region: Option<String>,
    /// Postal code, in the country's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20)]
    pub postal_code: Option<String>,
    /// ISO 3166-1, two letters.
    #[schema(pattern = "^[A-Za-z]{2}$")]
    pub country: String,
}

/// Whom to call in an emergency.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Rosa Example", "relationship": "daughter", "phone": "+12125550123"}))]
pub struct EmergencyContact {
    /// Their name.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// What they are to the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub relationship: Option<String>,
    /// E.164; spaces, hyphens, dots and parentheses are taken out.
    #[schema(max_length = 40, examples("+12125550123"))]
    pub phone: String,
}

/// Who pays.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"payer": "Example Mutual", "member_id": "EM-0012345", "group_number": "77"}))]
pub struct Insurance {
    /// The insurer's name.
    #[schema(min_length = 1, max_length = 200)]
    pub payer: String,
    /// The number on the card.
    #[schema(min_length = 1, max_length = 100)]
    pub member_id: String,
    /// The group's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub group_number: Option<String>,
    /// The plan's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub plan: Option<String>,
}

/// What no search needs; stored as one sealed value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// How to speak of the person, such as `she/her`.
    pub pronouns: Option<String>,
    /// The sex noted at birth.
    pub sex_assigned_at_birth: Option<SexAssignedAtBirth>,
    /// In the person's own words, or `declined`.
    pub gender_identity: Option<String>,
    /// None, one or more.
    pub race: Vec<Race>,
    /// Ethnicity.
    pub ethnicity: Option<Ethnicity>,
    /// Where they live.
    pub address: Option<Address>,
    /// Whom to call.
    pub emergency_contact: Option<EmergencyContact>,
    /// Who pays.
    pub insurance: Option<Insurance>,
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Details(..)")
    }
}

/// A patient as the database has them (FHIR `Patient`).
#[derive(
    Clone, diesel::Queryable, diesel::Selectable, diesel::Identifiable, diesel::Insertable, diesel::AsChangeset,
)]
#[diesel(table_name = patients, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Patient {
    /// The id.
    pub id: PatientId,
    /// The medical record number; never changes.
    pub mrn: String,
    /// The legal given name; `None` for a person of one name only.
    pub given_name: Option<String>,
    /// The legal family name, or the only name.
    pub family_name: String,
    /// Names in between.
    pub middle_name: Option<String>,
    /// What the person wants to be called.
    pub preferred_name: Option<String>,
    /// Names they had before, one a line.
    pub previous_names: Option<String>,
    /// The day of birth.
    pub date_of_birth: Date,
    /// The sex that offices work with.
    pub administrative_sex: AdministrativeSex,
    /// E.164.
    pub phone: Option<String>,
    /// Its digits, last first: a number is found by how it ends.
    pub phone_reversed: Option<String>,
    /// Where their mail goes, if it is confirmed.
    pub email: Option<String>,
    /// The same address, however it is written.
    pub email_key: Option<String>,
    /// Whether the staff entered or confirmed the address.
    pub email_confirmed: bool,
    /// BCP 47.
    pub preferred_language: String,
    /// Whether somebody must interpret.
    pub interpreter_needed: bool,
    /// What no search needs.
    pub details: Sealed<Details>,
    /// What other systems call them.
    pub identifiers: Identifiers,
    /// Grows with each change.
    pub version: i32,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Patient {
    /// What to call the person: the preferred name where there is one, else the given name, and the family name.
    pub fn display_name(&self) -> String {
        match self.preferred_name.as_ref().or(self.given_name.as_ref()) {
            Some(first) => format!("{first} {}", self.family_name),
            None => self.family_name.clone(),
        }
    }

    /// What the person is called by those who know them: enough to tell a family's appointments apart.
    pub fn first_name(&self) -> &str {
        self.preferred_name.as_ref().or(self.given_name.as_ref()).unwrap_or(&self.family_name)
    }

    /// The legal given and family name.
    pub fn legal_name(&self) -> String {
        match &self.given_name {
            Some(given) => format!("{given} {}", self.family_name),
            None => self.family_name.clone(),
        }
    }

    /// The names they had before.
    pub fn previous_names(&self) -> Vec<String> {
        self.previous_names.iter().flat_map(|names| names.lines()).map(str::to_owned).collect()
    }

    /// Every name by which they may be looked for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.given_name, &self.middle_name, &self.preferred_name]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .chain([self.family_name.as_str()])
            .chain(self.previous_names.iter().flat_map(|names| names.lines()))
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patient({})", self.id.0)
    }
}

/// An address as it is compared: however it is written.
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

/// The digits of a number, last first.
pub fn reversed_digits(phone: &str) -> String {
    phone.chars().rev().filter(char::is_ascii_digit).collect()
}

/// Writes a medical record number: `LW-001001`.
pub fn mrn(number: i64) -> String {
    format!("LW-{number:06}")
}

/// Reads a medical record number as somebody types it: any case, with or without `LW-` and leading zeros.
pub fn parse_mrn(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.strip_prefix("LW").map_or(text.as_str(), |rest| rest.trim_start_matches(['-', ' ']));
    if !(1..=18).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(mrn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_number_is_understood_as_people_type_it() {
        for typed in ["LW-001001", "lw-1001", "1001", " LW 1001 ", "lw001001"] {
            assert_eq!(parse_mrn(typed).as_deref(), Some("LW-001001"), "{typed}");
        }
        for wrong in ["", "LW-", "-1", "LW-12a", "+12", "9999999999999999999"] {
            assert_eq!(parse_mrn(wrong), None, "{wrong}");
        }
        assert_eq!(mrn(1_234_567), "LW-1234567");
    }

    #[test]
    fn a_number_is_turned_round_without_its_plus() {
        assert_eq!(reversed_digits("+12125550100"), "00105552121");
    }
}
