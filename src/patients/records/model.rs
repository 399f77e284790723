//! The fields of a patient's record. Each is declared once, in [`patient_fields!`].

use std::fmt;

use diesel::prelude::*;
use serde_json::{Value, json};

pub use super::demographics::{AdministrativeSex, Ethnicity, Race, SexAssignedAtBirth};

use super::declare::{Field, Member, NestedText, nested_object, patient_fields};
use super::profile::rules::{address_country, any, birth_date, email, language, line, name, phone_form, races};
use crate::clock::Timestamp;
use crate::db::schema::patients;
use crate::db::types::{Date, text_enum};
use crate::error::{Error, ProblemCode, Result};
use crate::http::input::Change;
use crate::identifiers::{Identifier, Identifiers};
use crate::ids::PatientId;
use crate::patients::consents::{ConsentType, outstanding};
use crate::sealed::Sealed;

text_enum! {
    /// The relation of an account's holder to a patient.
    Relation {
        /// The patient themselves.
        Oneself = "self",
        /// Mother or father.
        Parent = "parent",
        /// A legal guardian.
        Guardian = "guardian",
        /// A person who cares for the patient.
        Caregiver = "caregiver",
    }
}

nested_object! {
    /// The patient's postal address.
    #[schema(example = json!({"line1": "12 Elm Street", "city": "Albany", "region": "NY", "postal_code": "12203", "country": "US"}))]
    object Address;
    /// A merge patch of an address.
    #[schema(example = json!({"line2": "Apt 4"}))]
    patch AddressPatch;
    /// Street and number.
    line1: String, schema(min_length = 1, max_length = 200) = line(200);
    /// Apartment, floor, care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line2: Option<String>, schema(min_length = 1, max_length = 200) = line(200);
    /// City or town.
    city: String, schema(min_length = 1, max_length = 100) = line(100);
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>, schema(min_length = 1, max_length = 100) = line(100);
    /// Postal code in the country's own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>, schema(min_length = 1, max_length = 20) = line(20);
    /// ISO 3166-1, two letters.
    country: String, schema(pattern = "^[A-Za-z]{2}$") = address_country;
}

nested_object! {
    /// The person to call in an emergency.
    #[schema(example = json!({"name": "Rosa Example", "relationship": "daughter", "phone": "+12125550123"}))]
    object EmergencyContact;
    /// A merge patch of an emergency contact.
    #[schema(example = json!({"phone": "+12125550124"}))]
    patch EmergencyContactPatch;
    /// The name.
    name: String, schema(min_length = 1, max_length = 200) = line(200);
    /// The person's relationship to the patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relationship: Option<String>, schema(min_length = 1, max_length = 100) = line(100);
    /// The phone number, read in the same way as the patient's own.
    phone: String, schema(max_length = 40, examples("+12125550123")) = phone_form;
}

nested_object! {
    /// The patient's insurance.
    #[schema(example = json!({"payer": "Example Mutual", "member_id": "EM-0012345", "group_number": "77"}))]
    object Insurance;
    /// A merge patch of an insurance.
    #[schema(example = json!({"member_id": "EM-0012346"}))]
    patch InsurancePatch;
    /// The insurer's name.
    payer: String, schema(min_length = 1, max_length = 200) = line(200);
    /// The member number on the card.
    member_id: String, schema(min_length = 1, max_length = 100) = line(100);
    /// The group number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_number: Option<String>, schema(min_length = 1, max_length = 100) = line(100);
    /// The plan's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>, schema(min_length = 1, max_length = 200) = line(200);
}

patient_fields! {
    row(profile: &Profile, key: RowKey) {
        /// The id.
        id: PatientId = key.id,
        /// The medical record number. Never changes.
        mrn: String = key.mrn,
        /// The previous names, one per line.
        previous_names: Option<String> = (!profile.previous_names.is_empty()).then(|| profile.previous_names.join("\n")),
        /// The digits of the phone number in reverse order, to find a number by its end.
        phone_reversed: Option<String> = profile.phone.as_deref().map(reversed_digits),
        /// The e-mail address in the form in which addresses are compared.
        email_key: Option<String> = profile.email.as_deref().map(email_key),
        /// Whether staff entered or confirmed the e-mail address.
        email_confirmed: bool = profile.email_confirmed,
        /// The sealed details.
        details: Sealed<Details> = key.details,
        /// The identifiers of other systems.
        identifiers: Identifiers = profile.identifiers.clone(),
        /// The version.
        version: i32 = key.version,
        /// The time at which the record was created.
        created_at: Timestamp = key.created_at,
        /// The time of the last change.
        updated_at: Timestamp = key.updated_at,
        /// The record into which this one was merged.
        replaced_by: Option<PatientId> = key.replaced_by,
        /// The time at which the record was retired, because it was made by mistake.
        retired_at: Option<Timestamp> = key.retired_at,
    }
    profile(patient: &Patient, details: Details) {
        /// The previous names.
        previous_names: Vec<String> = patient.previous_names(),
        /// Whether staff entered or confirmed the e-mail address.
        email_confirmed: bool = patient.email_confirmed,
        /// The identifiers of other systems.
        identifiers: Identifiers = patient.identifiers.clone(),
    }

    /// A new patient's record.
    #[schema(example = json!({
        "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
        "phone": "+1 212 555 0100", "email": "ann@example.org", "preferred_language": "en", "interpreter_needed": false
    }))]
    new {
        /// Whether the person has only one name, which is then the `family_name`.
        #[serde(default)]
        #[schema(default = false)]
        mononym: bool,
        /// Previous names.
        #[serde(default)]
        #[schema(max_items = 10, max_length = 100)]
        previous_names: Vec<String>,
        /// The identifiers that other systems use for the patient. Staff only.
        #[serde(default)]
        #[schema(value_type = Vec<Identifier>, max_items = 20)]
        identifiers: Identifiers,
        /// The relation of the signed-in account's holder to the new patient. Required from patients, forbidden for all other callers.
        relation: Option<Relation>,
    }

    /// A merge patch of a patient's record (RFC 7396). Members that are not sent keep their value, `null` removes it.
    #[schema(example = json!({"phone": "+1 212 555 0199", "address": {"line2": "Apt 4"}, "pronouns": null}))]
    patch(new: NewPatient) {
        /// Never changes: `forbidden_field`.
        #[schema(value_type = Option<String>, max_length = 40)]
        mrn: Change<String> = Change::Keep,
        /// `true` removes the given name. Staff only.
        #[schema(value_type = Option<bool>)]
        mononym: Change<bool> = Change::Set(new.mononym),
        /// Previous names. Replaces the whole list.
        #[schema(value_type = Option<Vec<String>>, max_items = 10, max_length = 100)]
        previous_names: Change<Vec<String>> = Change::Set(new.previous_names),
        /// The identifiers that other systems use for the patient. Replaces the whole list. Staff only.
        #[schema(value_type = Option<Vec<Identifier>>, max_items = 20)]
        identifiers: Change<Identifiers> = Change::Set(new.identifiers),
    }

    /// A patient.
    #[schema(as = Patient, example = json!(example()))]
    view(record: &Record, profile: Profile) {
        /// The patient's id.
        id: PatientId = record.patient.id,
        /// The medical record number.
        mrn: String = record.patient.mrn.clone(),
        /// The preferred or given name, and the family name.
        display_name: String = record.patient.display_name(),
        /// Whether the person has only one name.
        mononym: bool = profile.given_name.is_none(),
        /// Previous names.
        previous_names: Vec<String> = profile.previous_names,
        /// Whether staff entered or confirmed the e-mail address. An unconfirmed address gets no mails; they go to the account instead.
        email_confirmed: bool = profile.email_confirmed,
        /// The identifiers that other systems use for the patient.
        #[schema(value_type = Vec<Identifier>)]
        identifiers: Identifiers = profile.identifiers,
        /// The consents that were neither accepted nor declined in the current version. They do not prevent a booking.
        consents_outstanding: Vec<ConsentType> = record.consents_outstanding(),
        /// Whether the record is in use: it was neither merged into another one nor retired.
        active: bool = record.patient.require_active().is_ok(),
        /// The record into which this one was merged. Use that record: it has all that belonged to this one. Changes of this one fail with
        /// 409 `patient_merged`.
        replaced_by: Option<PatientId> = record.patient.replaced_by,
        /// The time at which the record was retired, because it was made by mistake.
        retired_at: Option<Timestamp> = record.patient.retired_at,
        /// The time at which the record was created.
        created_at: Timestamp = record.patient.created_at,
        /// The time of the last change.
        updated_at: Timestamp = record.patient.updated_at,
    }

    columns {
        /// The legal given name. Required unless `mononym`, and null with it. Only staff change it.
        given_name: Option<String>, change String, schema(min_length = 1, max_length = 100) = name;
        /// The legal family name, or the only name. Only staff change it.
        family_name: String, change String, schema(min_length = 1, max_length = 100) = name;
        /// Legal middle names. Only staff change them.
        middle_name: Option<String>, change String, schema(min_length = 1, max_length = 100) = name;
        /// The name that the person wants to be called.
        preferred_name: Option<String>, change String, schema(min_length = 1, max_length = 100) = name;
        /// The birth date, from 1900-01-01 to today (UTC). Only staff change it.
        date_of_birth: Date, change Date = birth_date;
        /// The sex for administration and insurance. Only staff change it.
        administrative_sex: AdministrativeSex, change AdministrativeSex = any;
        /// The phone number, stored as E.164. Send it with `+` and the country's code, or as a number of the country in `address`, or else of the
        /// clinic's country. A record that staff create needs `phone` or `email`; a record that has one keeps one.
        phone: Option<String>, change String, schema(max_length = 40, examples("(212) 555-0100", "+12125550100")) = phone_form;
        /// The patient's e-mail address for mails. Not the address to sign in with. It gets mails only if staff entered or confirmed it
        /// (`email_confirmed`). A record that an account creates for its holder gets the account's address by default.
        email: Option<String>, change String, schema(max_length = 254) = email;
        /// A language tag (BCP 47). The English and Spanish names of many languages are understood, such as `Español` or `Portuguese`. Mails
        /// to the patient are in Spanish if it is Spanish, and otherwise in English.
        preferred_language: String, change String, schema(max_length = 35, examples("en", "es-MX")) = language;
        /// Whether the patient needs an interpreter.
        interpreter_needed: bool, change bool = any;
        /// Whether the patient is reminded of appointments, by mail or by a call. Mails about a booking, a move or a cancellation are always sent.
        #[serde(default = "yes")]
        reminders_wanted: bool, change bool, schema(default = true) = any;
    }
    details {
        /// The pronouns, such as `she/her`, or `declined`.
        pronouns: Option<String>, change String, schema(min_length = 1, max_length = 50) = line(50);
        /// The sex recorded at birth.
        sex_assigned_at_birth: Option<SexAssignedAtBirth>, change SexAssignedAtBirth = any;
        /// The gender identity in the person's own words, or `declined`.
        gender_identity: Option<String>, change String, schema(min_length = 1, max_length = 100) = line(100);
        /// Any number of races, or only `declined`. A patch replaces the whole list.
        #[serde(default)]
        race: Vec<Race>, change Vec<Race>, schema(max_items = 7) = races;
        /// The ethnicity.
        ethnicity: Option<Ethnicity>, change Ethnicity = any;
        /// The postal address. A patch merges it member by member.
        address: Option<Address>, change AddressPatch = AddressPatch::check;
        /// The person to call in an emergency. A patch merges it member by member.
        emergency_contact: Option<EmergencyContact>, change EmergencyContactPatch = EmergencyContactPatch::check;
        /// The insurance. A patch merges it member by member.
        insurance: Option<Insurance>, change InsurancePatch = InsurancePatch::check;
    }
}

/// Reminders are sent unless the patient does not want them.
fn yes() -> bool {
    true
}

/// What a row has beside the profile.
pub(super) struct RowKey {
    pub(super) id: PatientId,
    pub(super) mrn: String,
    pub(super) details: Sealed<Details>,
    pub(super) version: i32,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) replaced_by: Option<PatientId>,
    pub(super) retired_at: Option<Timestamp>,
}

/// A patient with the consents that are settled.
#[derive(Clone, Queryable)]
pub struct Record {
    pub patient: Patient,
    treatment_settled: bool,
    privacy_notice_settled: bool,
}

impl Record {
    /// The consents that were neither accepted nor declined in the current version.
    pub fn consents_outstanding(&self) -> Vec<ConsentType> {
        outstanding::unsettled(self.treatment_settled, self.privacy_notice_settled)
    }
}

/// Requires that a record is in use.
///
/// # Errors
/// The conflicts `patient_merged`, which names the record to use, and `patient_retired`.
pub fn require_active(replaced_by: Option<PatientId>, retired_at: Option<Timestamp>) -> Result<()> {
    if let Some(survivor) = replaced_by {
        let members = std::iter::once(("replaced_by".to_owned(), survivor.to_string().into())).collect();
        let detail = "The record was merged into another one. Use the record that `replaced_by` names.";
        return Err(Error::conflict_with(ProblemCode::PatientMerged, detail, members));
    }
    if retired_at.is_some() {
        let detail = "The record was retired, because it was made by mistake. Undo that before you use it.";
        return Err(Error::conflict(ProblemCode::PatientRetired, detail));
    }
    Ok(())
}

/// A patient for the examples of the API document.
pub fn example() -> Value {
    json!({
        "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "mrn": "LW-001001", "display_name": "Ann Example",
        "given_name": "Ann", "family_name": "Example", "mononym": false, "middle_name": null, "preferred_name": null,
        "previous_names": [], "date_of_birth": "1967-09-14", "administrative_sex": "female", "phone": "+12125550100",
        "email": "ann@example.org", "email_confirmed": true, "preferred_language": "en", "interpreter_needed": false,
        "reminders_wanted": true,
        "identifiers": [{"system": "https://ehr.example/patients", "value": "48213"}], "pronouns": "she/her",
        "sex_assigned_at_birth": null, "gender_identity": null, "race": [], "ethnicity": "declined",
        "address": {"line1": "12 Elm Street", "city": "Albany", "region": "NY", "postal_code": "12203", "country": "US"},
        "emergency_contact": null, "insurance": null, "consents_outstanding": ["privacy_notice"],
        "active": true, "replaced_by": null, "retired_at": null, "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
    })
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Details(..)")
    }
}

impl Patient {
    /// Requires that the record is in use, before something is added to it or changed.
    ///
    /// # Errors
    /// Those of [`require_active`].
    pub fn require_active(&self) -> Result<()> {
        require_active(self.replaced_by, self.retired_at)
    }

    /// The preferred name, or else the given name, and the family name.
    pub fn display_name(&self) -> String {
        match self.preferred_name.as_ref().or(self.given_name.as_ref()) {
            Some(first) => format!("{first} {}", self.family_name),
            None => self.family_name.clone(),
        }
    }

    /// The preferred or given name, or else the only name: enough to tell a family's appointments apart.
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

    /// The previous names.
    pub fn previous_names(&self) -> Vec<String> {
        self.previous_names.iter().flat_map(|names| names.lines()).map(str::to_owned).collect()
    }

    /// Every name by which a search finds the patient.
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

/// Returns an e-mail address in the form in which addresses are compared.
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

/// Returns the digits of a number in reverse order.
pub fn reversed_digits(phone: &str) -> String {
    phone.chars().rev().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversed_number_has_no_plus() {
        assert_eq!(reversed_digits("+12125550100"), "00105552121");
    }
}
