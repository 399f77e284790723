//! The rules for a record as a whole. A new record and a merge patch have the same rules: a new record is a patch of an empty one.

pub mod rules;

use super::declare::{Field, Member};
use super::model::{NewPatient, PatientPatch, Profile};
use crate::accounts::model::EmailAddress;
use crate::clock::Timestamp;
use crate::context::{Context, Principal, Tx};
use crate::error::{Check, Error, FieldCode, FieldError, Result, Rule};
use crate::http::input::Change;
use crate::identifiers::Identifiers;
use crate::phone::{self, Country};

/// The most previous names of a patient. Each makes further words for the search.
const PREVIOUS_NAMES: usize = 10;

/// The author of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Staff. An address that staff enter is the patient's, and may get mails.
    Staff,
    /// An account, for its holder or for another person. Nothing proves whose address it enters.
    Account,
}

/// What the rules need beside the input.
#[derive(Debug, Clone, Copy)]
pub struct ProfileContext {
    /// The time of the request.
    pub now: Timestamp,
    /// The clinic's country. A telephone number without a country's code is read as a number of the record's address, or of this country.
    pub country: Option<Country>,
}

impl ProfileContext {
    /// Loads it for the request.
    pub async fn load(context: &Context<impl Principal>) -> Result<Self> {
        context.read(|tx| Self::read(tx)).await
    }

    /// Reads it.
    pub fn read(tx: &mut Tx<impl Principal>) -> Result<Self> {
        Ok(Self { now: tx.now, country: Country::of_clinic(tx.conn)? })
    }
}

impl Profile {
    /// Checks the input of a new record. `prefix` is its pointer in the body, such as `/patient`. Broken rules go to `check`; then there is
    /// no profile.
    ///
    /// A record that staff create needs a phone number or an e-mail address. Any other record is reached through its account.
    pub fn parse(
        input: NewPatient,
        author: Author,
        prefix: &str,
        context: ProfileContext,
        check: &mut Check,
    ) -> Option<Self> {
        let mut profile = Self::default();
        let mut own = Check::new();
        let change = PatientPatch::from(input).parse(prefix, context.now, &mut own);
        change.apply(&mut profile, author, context.country, prefix, &mut own);
        if author == Author::Staff {
            require_contact(&profile, prefix, &mut own);
        }
        match own.done() {
            Ok(()) => Some(profile),
            Err(Error::Invalid(errors)) => {
                for error in errors {
                    check.add(error);
                }
                None
            }
            Err(_) => None,
        }
    }

    /// Every name of the person.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.given_name, &self.middle_name, &self.preferred_name]
            .into_iter()
            .flatten()
            .chain([&self.family_name])
            .chain(&self.previous_names)
            .map(String::as_str)
    }
}

impl NewPatient {
    /// Gives the record of a person who registers for themselves the account's address, and accepts no other.
    ///
    /// # Errors
    /// `not_the_account` for another address.
    pub fn keep_own_address(&mut self, account: &EmailAddress) -> Result<(), Rule> {
        let Some(email) = &self.email else {
            self.email = Some(account.as_str().to_owned());
            return Ok(());
        };
        // The profile reports an invalid address.
        match EmailAddress::parse(email) {
            Ok(email) if email.key() != account.key() => Err(Rule::new(
                FieldCode::NotTheAccount,
                "must be the account's address or left out; staff can enter another one",
            )),
            _ => Ok(()),
        }
    }

    /// Rejects a relation.
    pub fn forbid_relation(&self, pointer: &str, check: &mut Check) {
        let detail = "only signed-in patients who create a record may send this";
        check.require(self.relation.is_none(), pointer, FieldCode::ForbiddenField, detail);
    }

    /// Rejects what only staff may set.
    pub fn forbid_staff_fields(&self, prefix: &str, check: &mut Check) {
        let pointer = format!("{prefix}/identifiers");
        let detail = "only the clinic's staff may set this";
        check.require(self.identifiers.0.is_empty(), pointer, FieldCode::ForbiddenField, detail);
    }
}

/// A patch in which every value keeps the rules by itself.
#[derive(Clone)]
pub struct PatientChange {
    patch: PatientPatch,
    now: Timestamp,
}

impl PatientPatch {
    /// Rejects every member that the author may not change.
    pub fn forbid(&self, author: Author, check: &mut Check) {
        let legal = [
            ("/given_name", self.given_name != Change::Keep),
            ("/family_name", self.family_name != Change::Keep),
            ("/mononym", self.mononym != Change::Keep),
            ("/middle_name", self.middle_name != Change::Keep),
            ("/date_of_birth", self.date_of_birth != Change::Keep),
            ("/administrative_sex", self.administrative_sex != Change::Keep),
            ("/identifiers", self.identifiers != Change::Keep),
        ];
        for (pointer, touched) in legal {
            let allowed = author == Author::Staff || !touched;
            check.require(allowed, pointer, FieldCode::ForbiddenField, "only the clinic's staff may change this");
        }
        check.require(
            self.mrn == Change::Keep,
            "/mrn",
            FieldCode::ForbiddenField,
            "the number of a record never changes",
        );
    }

    /// Checks every value by itself. Broken rules go to `check`.
    pub fn parse(mut self, prefix: &str, now: Timestamp, check: &mut Check) -> PatientChange {
        let mut at = Member { pointer: prefix.to_owned(), now, check };
        self.check_fields(&mut at);
        at.within("mononym").change::<bool, bool>(&mut self.mononym, rules::any);
        at.within("previous_names")
            .change::<Vec<String>, _>(&mut self.previous_names, |names, at| previous_names(names, at));
        if let Change::Set(identifiers) = &mut self.identifiers {
            let at = at.within("identifiers");
            *identifiers = std::mem::take(identifiers).read(&at.pointer, at.check).unwrap_or_default();
        }
        PatientChange { patch: self, now }
    }
}

fn previous_names(names: &mut [String], at: &mut Member<'_>) {
    if names.len() > PREVIOUS_NAMES {
        let detail = format!("must have at most {PREVIOUS_NAMES} entries");
        at.check.add(FieldError::new(at.pointer.as_str(), FieldCode::TooMany, detail));
    }
    for (index, value) in names.iter_mut().enumerate().take(PREVIOUS_NAMES) {
        rules::name(value, &mut at.within(&index.to_string()));
    }
}

impl PatientChange {
    /// Whether the patch sets the birth date.
    pub fn sets_birth_date(&self) -> bool {
        self.patch.date_of_birth != Change::Keep
    }

    /// The e-mail address that the patch sets.
    pub fn email(&self) -> Option<&str> {
        match &self.patch.email {
            Change::Set(email) => Some(email),
            Change::Keep | Change::Clear => None,
        }
    }

    /// Merges the patch into a record, and checks the record as a whole: a name, a contact, complete nested objects, and telephone numbers
    /// of the country in the record's address, or of the clinic's.
    pub fn apply(
        self,
        profile: &mut Profile,
        author: Author,
        clinic: Option<Country>,
        prefix: &str,
        check: &mut Check,
    ) {
        let Self { mut patch, now } = self;
        let mut at = Member { pointer: prefix.to_owned(), now, check };
        let was_reachable = profile.phone.is_some() || profile.email.is_some();
        // The changes that need more than their own field are taken out of the patch.
        let given_name = std::mem::take(&mut patch.given_name);
        merge_given_name(given_name, &patch.mononym, &mut profile.given_name, &mut at.within("given_name"));
        merge_email(std::mem::take(&mut patch.email), author, profile);
        let previous_names = std::mem::take(&mut patch.previous_names);
        profile.previous_names.merge(previous_names, &mut at);
        match std::mem::take(&mut patch.identifiers) {
            Change::Keep => {}
            Change::Clear => profile.identifiers = Identifiers::default(),
            Change::Set(identifiers) => profile.identifiers = identifiers,
        }
        // The address comes first, because the telephone numbers are of its country.
        let address = std::mem::take(&mut patch.address);
        profile.details.address.merge(address, &mut at.within("address"));
        let country = profile.details.address.as_ref().map_or(clinic, |address| Country::of(&address.country));
        read_phone(&mut patch.phone, country, &mut at.within("phone"));
        if let Change::Set(contact) = &mut patch.emergency_contact {
            read_phone(&mut contact.phone, country, &mut at.within("emergency_contact").within("phone"));
        }
        patch.merge_fields(profile, &mut at);
        if was_reachable {
            require_contact(profile, prefix, at.check);
        }
    }
}

fn require_contact(profile: &Profile, prefix: &str, check: &mut Check) {
    check.require(
        profile.phone.is_some() || profile.email.is_some(),
        format!("{prefix}/phone"),
        FieldCode::ContactRequired,
        "a phone number or an e-mail address is required",
    );
}

/// An unchanged address stays confirmed or unconfirmed. A new one is confirmed only if staff enter it. Staff confirm an address by entering
/// it again.
fn merge_email(change: Change<String>, author: Author, profile: &mut Profile) {
    match change {
        Change::Keep => {}
        Change::Clear => (profile.email, profile.email_confirmed) = (None, false),
        Change::Set(email) => {
            let same = profile.email.as_ref() == Some(&email);
            profile.email_confirmed = author == Author::Staff || (same && profile.email_confirmed);
            profile.email = Some(email);
        }
    }
}

/// A person has a given name, or is a mononym.
fn merge_given_name(
    change: Change<String>,
    mononym: &Change<bool>,
    given_name: &mut Option<String>,
    at: &mut Member<'_>,
) {
    let had_none = given_name.is_none();
    let sets_one = matches!(change, Change::Set(_));
    change.apply(given_name);
    match mononym {
        Change::Set(true) => {
            let detail = "must not be sent for a mononym, whose only name is the family_name";
            at.check.require(!sets_one, at.pointer.as_str(), FieldCode::NotWithMononym, detail);
            *given_name = None;
        }
        Change::Keep if had_none => {}
        _ => {
            let detail = "must be sent, unless mononym is true";
            at.check.require(given_name.is_some(), at.pointer.as_str(), FieldCode::Required, detail);
        }
    }
}

/// Reads a new telephone number. An invalid one stays as it was typed, so that it is not reported as missing as well. What
/// [`rules::phone_form`] has reported is not reported again.
fn read_phone(change: &mut Change<String>, country: Option<Country>, at: &mut Member<'_>) {
    if let Change::Set(typed) = change
        && phone::glance(typed).is_ok()
    {
        let read = phone::read(typed, country);
        at.set(typed, read);
    }
}

#[cfg(test)]
mod tests;
