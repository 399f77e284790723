//! The bodies that write a patient's record: a new one, at the desk or in a registration, and a merge patch.
//! `profile.rs` has the rules for both; a new record is a patch of an empty one.

use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{
    Address, AdministrativeSex, EmergencyContact, Ethnicity, Insurance, Race, Relation, SexAssignedAtBirth,
};
use crate::db::types::Date;
use crate::error::Check;
use crate::http::input::Change;
use crate::identifiers::{Identifier, Identifiers};

/// Who a patient is and how to reach them.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
    "phone": "+1 212 555 0100", "email": "ann@example.org", "preferred_language": "en", "interpreter_needed": false
}))]
pub struct PatientInput {
    /// The legal given name; required unless `mononym`.
    #[schema(min_length = 1, max_length = 100)]
    pub given_name: Option<String>,
    /// The legal family name, or the only name.
    #[schema(min_length = 1, max_length = 100)]
    pub family_name: String,
    /// Whether the person has one name only, which then is the `family_name`.
    #[serde(default)]
    #[schema(default = false)]
    pub mononym: bool,
    /// Legal names in between.
    #[schema(min_length = 1, max_length = 100)]
    pub middle_name: Option<String>,
    /// What the person wants to be called.
    #[schema(min_length = 1, max_length = 100)]
    pub preferred_name: Option<String>,
    /// Names they had before.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub previous_names: Vec<String>,
    /// From 1900-01-01 to today (UTC).
    pub date_of_birth: Date,
    /// The sex that offices and insurers work with.
    pub administrative_sex: AdministrativeSex,
    /// With `+` and the country's code, or as a number of the country in `address`, else of the clinic's. It is stored as
    /// E.164. This or `email` is required.
    #[schema(max_length = 40, examples("(212) 555-0100", "+12125550100"))]
    pub phone: Option<String>,
    /// Where their mail goes. This or `phone` is required of staff. Online, one's own record takes the account's address by
    /// default; what is entered for somebody else gets no mail until the staff confirm it.
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// A language tag (BCP 47). The names of English and Spanish are understood, such as `Español`. Any other language is
    /// kept, and mails to the patient are in English.
    #[schema(max_length = 35, examples("en", "es-MX"))]
    pub preferred_language: String,
    /// Whether somebody must interpret.
    pub interpreter_needed: bool,
    /// The numbers that other systems have for them; set by the clinic's staff only.
    #[serde(default)]
    #[schema(value_type = Vec<Identifier>, max_items = 20)]
    pub identifiers: Identifiers,
    /// How to speak of the person, such as `she/her`, or `declined`.
    #[schema(min_length = 1, max_length = 50)]
    pub pronouns: Option<String>,
    /// The sex noted at birth.
    pub sex_assigned_at_birth: Option<SexAssignedAtBirth>,
    /// In the person's own words, or `declined`.
    #[schema(min_length = 1, max_length = 100)]
    pub gender_identity: Option<String>,
    /// None, one or more; `declined` stands alone.
    #[serde(default)]
    #[schema(max_items = 7)]
    pub race: Vec<Race>,
    /// Ethnicity.
    pub ethnicity: Option<Ethnicity>,
    /// Where they live.
    pub address: Option<Address>,
    /// Whom to call in an emergency.
    pub emergency_contact: Option<EmergencyContact>,
    /// Who pays.
    pub insurance: Option<Insurance>,
    /// What the signed-in account's holder is to the new patient: required of patients, and of nobody else.
    pub relation: Option<Relation>,
}

impl PatientInput {
    /// Notes a relation where none belongs.
    pub fn refuse_relation(&self, pointer: &str, check: &mut Check) {
        let detail = "is for signed-in patients who add a record for somebody";
        check.require(self.relation.is_none(), pointer, "forbidden_field", detail);
    }
}

impl PatientInput {
    /// Notes what only the clinic's staff may set, where somebody else writes a new record.
    pub fn forbid_what_staff_set(&self, prefix: &str, check: &mut Check) {
        let pointer = format!("{prefix}/identifiers");
        check.require(
            self.identifiers.0.is_empty(),
            pointer,
            "forbidden_field",
            "only the clinic's staff may set this",
        );
    }
}

/// A merge patch of a patient's record (RFC 7396): what is absent stays, `null` takes away. A patient may not change
/// their legal names, birth date, administrative sex; nobody changes the number.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+1 212 555 0199", "address": {"line2": "Apt 4"}, "pronouns": null}))]
pub struct PatientPatch {
    /// Never changes: refused with `forbidden_field`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub mrn: Change<String>,
    /// The legal given name. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub given_name: Change<String>,
    /// The legal family name, or the only name. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub family_name: Change<String>,
    /// `true` takes the given name away. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub mononym: Change<bool>,
    /// Legal names in between. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub middle_name: Change<String>,
    /// What the person wants to be called.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub preferred_name: Change<String>,
    /// Names they had before; the list is replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, max_items = 10)]
    pub previous_names: Change<Vec<String>>,
    /// From 1900-01-01 to today (UTC). Staff only.
    #[serde(default)]
    #[schema(value_type = Option<Date>)]
    pub date_of_birth: Change<Date>,
    /// The sex that offices and insurers work with. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<AdministrativeSex>)]
    pub administrative_sex: Change<AdministrativeSex>,
    /// With `+` and the country's code, or as a number of the country in `address`, else of the clinic's. A phone or an e-mail
    /// address must stay.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 40)]
    pub phone: Change<String>,
    /// Where their mail goes, once the staff have entered or confirmed it; until then mail goes to the accounts. Not the
    /// address that they sign in with. A phone or an e-mail address must stay.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 254)]
    pub email: Change<String>,
    /// A language tag (BCP 47). The names of English and Spanish are understood, such as `Español`. Any other language is
    /// kept, and mails to the patient are in English.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 35)]
    pub preferred_language: Change<String>,
    /// Whether somebody must interpret.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub interpreter_needed: Change<bool>,
    /// The numbers that other systems have for them; the list is replaced as a whole. Staff only.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Identifier>>, max_items = 20)]
    pub identifiers: Change<Identifiers>,
    /// How to speak of the person, or `declined`.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub pronouns: Change<String>,
    /// The sex noted at birth.
    #[serde(default)]
    #[schema(value_type = Option<SexAssignedAtBirth>)]
    pub sex_assigned_at_birth: Change<SexAssignedAtBirth>,
    /// In the person's own words, or `declined`.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub gender_identity: Change<String>,
    /// None, one or more; the list is replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Race>>, max_items = 7)]
    pub race: Change<Vec<Race>>,
    /// Ethnicity.
    #[serde(default)]
    #[schema(value_type = Option<Ethnicity>)]
    pub ethnicity: Change<Ethnicity>,
    /// Where they live; merged member by member.
    #[serde(default)]
    #[schema(value_type = Option<AddressPatch>)]
    pub address: Change<AddressPatch>,
    /// Whom to call in an emergency; merged member by member.
    #[serde(default)]
    #[schema(value_type = Option<EmergencyContactPatch>)]
    pub emergency_contact: Change<EmergencyContactPatch>,
    /// Who pays; merged member by member.
    #[serde(default)]
    #[schema(value_type = Option<InsurancePatch>)]
    pub insurance: Change<InsurancePatch>,
}

/// A merge patch of an address.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"line2": "Apt 4"}))]
pub struct AddressPatch {
    /// Street and number.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub line1: Change<String>,
    /// Apartment, floor, care of.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub line2: Change<String>,
    /// Town.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub city: Change<String>,
    /// State, province or county.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub region: Change<String>,
    /// Postal code.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20)]
    pub postal_code: Change<String>,
    /// ISO 3166-1, two letters.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z]{2}$")]
    pub country: Change<String>,
}

/// A merge patch of an emergency contact.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+12125550124"}))]
pub struct EmergencyContactPatch {
    /// Their name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Change<String>,
    /// What they are to the patient.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub relationship: Change<String>,
    /// Read like the patient's own.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 40)]
    pub phone: Change<String>,
}

/// A merge patch of an insurance.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"member_id": "EM-0012346"}))]
pub struct InsurancePatch {
    /// The insurer's name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub payer: Change<String>,
    /// The number on the card.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub member_id: Change<String>,
    /// The group's number.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub group_number: Change<String>,
    /// The plan's name.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub plan: Change<String>,
}
