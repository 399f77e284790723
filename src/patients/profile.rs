//! What a patient's record says, and the rules for it: parsed on the way in, merged, checked as a whole.

use super::input::{AddressPatch, EmergencyContactPatch, InsurancePatch, PatientInput, PatientPatch};
use super::model::{Address, AdministrativeSex, Details, EmergencyContact, Insurance, Race};
use crate::accounts::model::EmailAddress;
use crate::clock::Timestamp;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Check, Error, FieldError, Result, Rule};
use crate::http::input::Change;
use crate::identifiers::Identifiers;
use crate::phone::{self, Country};
use crate::text;

/// The first day of birth that is taken for true.
const FIRST_BIRTH: Date = Date(jiff::civil::date(1900, 1, 1));
/// The longest name, in characters.
const NAME: usize = 100;
const PREVIOUS_NAMES: usize = 10;

/// What a record says, without what the service adds to it.
#[derive(Clone, PartialEq)]
pub struct Profile {
    /// The legal given name; `None` for a person of one name only.
    pub given_name: Option<String>,
    /// The legal family name, or the only name.
    pub family_name: String,
    /// Names in between.
    pub middle_name: Option<String>,
    /// What the person wants to be called.
    pub preferred_name: Option<String>,
    /// Names they had before.
    pub previous_names: Vec<String>,
    /// The day of birth.
    pub date_of_birth: Date,
    /// The sex that offices work with.
    pub administrative_sex: AdministrativeSex,
    /// E.164.
    pub phone: Option<String>,
    /// Where their mail goes, if it is confirmed.
    pub email: Option<String>,
    /// Whether the staff entered or confirmed the address.
    pub email_confirmed: bool,
    /// BCP 47.
    pub preferred_language: String,
    /// Whether somebody must interpret.
    pub interpreter_needed: bool,
    /// What other systems call them.
    pub identifiers: Identifiers,
    /// What no search needs.
    pub details: Details,
}

/// Who writes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The staff. The address that they enter is the patient's: mail may go there.
    Staff,
    /// An account, for its holder or for somebody else. Nobody knows whose the address is that it enters.
    Account,
}

/// What a record is read against.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The time of the request.
    pub now: Timestamp,
    /// The clinic's country: a telephone number without a country's code is one of it, unless the record's address is in another.
    pub country: Option<Country>,
}

impl Context {
    /// The context of a request that comes now.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(env: &Env) -> Result<Self> {
        Ok(Self { now: env.now(), country: env.db.read(Country::of_clinic).await? })
    }
}

impl Profile {
    /// Reads the input of a new record. `prefix` is where it stands in the body, such as `/patient`; what is wrong goes
    /// to `check`, and then there is no profile.
    ///
    /// A record that the staff make needs a phone number or an address; any other is reached through its account.
    pub fn parse(
        input: PatientInput,
        author: Author,
        prefix: &str,
        context: Context,
        check: &mut Check,
    ) -> Option<Self> {
        let mut profile = Self::blank();
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

    /// Every name by which the person may be known.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.given_name, &self.middle_name, &self.preferred_name]
            .into_iter()
            .flatten()
            .chain([&self.family_name])
            .chain(&self.previous_names)
            .map(String::as_str)
    }

    /// What a patch of everything fills.
    fn blank() -> Self {
        Self {
            given_name: None,
            family_name: String::new(),
            middle_name: None,
            preferred_name: None,
            previous_names: Vec::new(),
            date_of_birth: FIRST_BIRTH,
            administrative_sex: AdministrativeSex::Unknown,
            phone: None,
            email: None,
            email_confirmed: false,
            preferred_language: String::new(),
            interpreter_needed: false,
            identifiers: Identifiers::default(),
            details: Details::default(),
        }
    }
}

impl From<PatientInput> for PatientPatch {
    fn from(input: PatientInput) -> Self {
        Self {
            mrn: Change::Keep,
            given_name: set(input.given_name),
            family_name: Change::Set(input.family_name),
            mononym: Change::Set(input.mononym),
            middle_name: set(input.middle_name),
            preferred_name: set(input.preferred_name),
            previous_names: Change::Set(input.previous_names),
            date_of_birth: Change::Set(input.date_of_birth),
            administrative_sex: Change::Set(input.administrative_sex),
            phone: set(input.phone),
            email: set(input.email),
            preferred_language: Change::Set(input.preferred_language),
            interpreter_needed: Change::Set(input.interpreter_needed),
            identifiers: Change::Set(input.identifiers),
            pronouns: set(input.pronouns),
            sex_assigned_at_birth: set(input.sex_assigned_at_birth),
            gender_identity: set(input.gender_identity),
            race: Change::Set(input.race),
            ethnicity: set(input.ethnicity),
            address: set(input.address.map(|it| AddressPatch {
                line1: Change::Set(it.line1),
                line2: set(it.line2),
                city: Change::Set(it.city),
                region: set(it.region),
                postal_code: set(it.postal_code),
                country: Change::Set(it.country),
            })),
            emergency_contact: set(input.emergency_contact.map(|it| EmergencyContactPatch {
                name: Change::Set(it.name),
                relationship: set(it.relationship),
                phone: Change::Set(it.phone),
            })),
            insurance: set(input.insurance.map(|it| InsurancePatch {
                payer: Change::Set(it.payer),
                member_id: Change::Set(it.member_id),
                group_number: set(it.group_number),
                plan: set(it.plan),
            })),
        }
    }
}

fn set<T>(value: Option<T>) -> Change<T> {
    value.map_or(Change::Keep, Change::Set)
}

/// A patch whose every value keeps the rules by itself.
#[derive(Clone)]
pub struct PatientChange(PatientPatch);

impl PatientPatch {
    /// Notes every member that this caller may not change.
    pub fn forbid(&self, staff: bool, check: &mut Check) {
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
            check.require(staff || !touched, pointer, "forbidden_field", "only the clinic's staff may change this");
        }
        check.require(self.mrn == Change::Keep, "/mrn", "forbidden_field", "the number of a record never changes");
    }

    /// Reads every value; what is wrong goes to `check`.
    pub fn parse(mut self, prefix: &str, now: Timestamp, check: &mut Check) -> PatientChange {
        let name = |value: &String| name(value);
        let mut at = Reader { prefix: prefix.to_owned(), check };
        at.kept("given_name", &mut self.given_name, name);
        at.required("family_name", &mut self.family_name, name);
        at.required("mononym", &mut self.mononym, |value| Ok(*value));
        at.kept("middle_name", &mut self.middle_name, name);
        at.kept("preferred_name", &mut self.preferred_name, name);
        at.previous_names(&mut self.previous_names);
        at.required("date_of_birth", &mut self.date_of_birth, |value| birth(*value, now));
        at.required("administrative_sex", &mut self.administrative_sex, |value| Ok(*value));
        at.kept("phone", &mut self.phone, glanced_at);
        at.kept("email", &mut self.email, |value| Ok(EmailAddress::parse(value)?.as_str().to_owned()));
        at.required("preferred_language", &mut self.preferred_language, |value| text::language(value));
        at.required("interpreter_needed", &mut self.interpreter_needed, |value| Ok(*value));
        at.identifiers(&mut self.identifiers);
        at.kept("pronouns", &mut self.pronouns, line(50));
        at.kept("gender_identity", &mut self.gender_identity, line(100));
        at.kept("race", &mut self.race, |value| races(value));
        if let Change::Set(address) = &mut self.address {
            let mut at = at.within("address");
            at.kept("line1", &mut address.line1, line(200));
            at.kept("line2", &mut address.line2, line(200));
            at.kept("city", &mut address.city, line(100));
            at.kept("region", &mut address.region, line(100));
            at.kept("postal_code", &mut address.postal_code, line(20));
            at.kept("country", &mut address.country, |value| text::country(value));
        }
        if let Change::Set(contact) = &mut self.emergency_contact {
            let mut at = at.within("emergency_contact");
            at.kept("name", &mut contact.name, line(200));
            at.kept("relationship", &mut contact.relationship, line(100));
            at.kept("phone", &mut contact.phone, glanced_at);
        }
        if let Change::Set(insurance) = &mut self.insurance {
            let mut at = at.within("insurance");
            at.kept("payer", &mut insurance.payer, line(200));
            at.kept("member_id", &mut insurance.member_id, line(100));
            at.kept("group_number", &mut insurance.group_number, line(100));
            at.kept("plan", &mut insurance.plan, line(200));
        }
        PatientChange(self)
    }
}

impl PatientChange {
    /// Merges into a record and looks at it as a whole: a name, a way to reach the person, complete nested objects, and telephone
    /// numbers of the country in the record's address, or of the clinic's.
    pub fn apply(
        self,
        profile: &mut Profile,
        author: Author,
        clinic: Option<Country>,
        prefix: &str,
        check: &mut Check,
    ) {
        let patch = self.0;
        let reachable = profile.phone.is_some() || profile.email.is_some();
        merge_given_name(patch.given_name, &patch.mononym, &mut profile.given_name, prefix, check);
        replace(patch.family_name, &mut profile.family_name);
        patch.middle_name.apply(&mut profile.middle_name);
        patch.preferred_name.apply(&mut profile.preferred_name);
        replace_list(patch.previous_names, &mut profile.previous_names);
        replace(patch.date_of_birth, &mut profile.date_of_birth);
        replace(patch.administrative_sex, &mut profile.administrative_sex);
        merge_email(patch.email, author, profile);
        replace(patch.preferred_language, &mut profile.preferred_language);
        replace(patch.interpreter_needed, &mut profile.interpreter_needed);
        match patch.identifiers {
            Change::Keep => {}
            Change::Clear => profile.identifiers = Identifiers::default(),
            Change::Set(identifiers) => profile.identifiers = identifiers,
        }
        let details = &mut profile.details;
        patch.pronouns.apply(&mut details.pronouns);
        patch.sex_assigned_at_birth.apply(&mut details.sex_assigned_at_birth);
        patch.gender_identity.apply(&mut details.gender_identity);
        replace_list(patch.race, &mut details.race);
        patch.ethnicity.apply(&mut details.ethnicity);
        merge(patch.address, &mut details.address, |patch, was| patch.merge(was, &format!("{prefix}/address"), check));
        let country = details.address.as_ref().map_or(clinic, |address| Country::of(&address.country));
        read_phone(patch.phone, country, &format!("{prefix}/phone"), check).apply(&mut profile.phone);
        merge(patch.emergency_contact, &mut details.emergency_contact, |patch, was| {
            patch.merge(was, country, &format!("{prefix}/emergency_contact"), check)
        });
        merge(patch.insurance, &mut details.insurance, |patch, was| {
            patch.merge(was, &format!("{prefix}/insurance"), check)
        });
        if reachable {
            require_contact(profile, prefix, check);
        }
    }
}

fn require_contact(profile: &Profile, prefix: &str, check: &mut Check) {
    check.require(
        profile.phone.is_some() || profile.email.is_some(),
        format!("{prefix}/phone"),
        "contact_required",
        "a phone number or an e-mail address must be there",
    );
}

/// The address that was there stays as confirmed as it was; another is so only if the staff enter it, and any if they
/// enter it again.
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

/// A person has a given name, or is said to have none.
fn merge_given_name(
    change: Change<String>,
    mononym: &Change<bool>,
    given_name: &mut Option<String>,
    prefix: &str,
    check: &mut Check,
) {
    let had_none = given_name.is_none();
    let sets_one = matches!(change, Change::Set(_));
    change.apply(given_name);
    match mononym {
        Change::Set(true) => {
            check.require(
                !sets_one,
                format!("{prefix}/given_name"),
                "not_with_mononym",
                "a person of one name has it as the family_name",
            );
            *given_name = None;
        }
        Change::Keep if had_none => {}
        _ => check.require(
            given_name.is_some(),
            format!("{prefix}/given_name"),
            "required",
            "must be there, unless mononym is true",
        ),
    }
}

/// Reads a new telephone number. One that is none stays as it was typed, so that it is not reported as missing as well; what
/// [`glanced_at`] has reported is not reported again.
fn read_phone(change: Change<String>, country: Option<Country>, pointer: &str, check: &mut Check) -> Change<String> {
    let Change::Set(typed) = change else { return change };
    if phone::glance(&typed).is_err() {
        return Change::Set(typed);
    }
    Change::Set(check.field(pointer, phone::read(&typed, country)).unwrap_or(typed))
}

fn replace<T>(change: Change<T>, to: &mut T) {
    if let Change::Set(value) = change {
        *to = value;
    }
}

fn replace_list<T>(change: Change<Vec<T>>, to: &mut Vec<T>) {
    match change {
        Change::Keep => {}
        Change::Clear => to.clear(),
        Change::Set(list) => *to = list,
    }
}

fn merge<P, T>(change: Change<P>, to: &mut Option<T>, with: impl FnOnce(P, Option<T>) -> Option<T>) {
    match change {
        Change::Keep => {}
        Change::Clear => *to = None,
        Change::Set(patch) => *to = with(patch, to.take()),
    }
}

/// Merges a member that must be there in the end.
fn needed(change: Change<String>, was: Option<String>, pointer: String, check: &mut Check) -> Option<String> {
    let merged = merged(change, was);
    check.require(merged.is_some(), pointer, "required", "must be there");
    merged
}

fn merged(change: Change<String>, was: Option<String>) -> Option<String> {
    let mut value = was;
    change.apply(&mut value);
    value
}

impl AddressPatch {
    fn merge(self, was: Option<Address>, at: &str, check: &mut Check) -> Option<Address> {
        let was = was.as_ref();
        let of = |member: fn(&Address) -> &String| was.map(member).cloned();
        let line1 = needed(self.line1, of(|it| &it.line1), format!("{at}/line1"), check);
        let city = needed(self.city, of(|it| &it.city), format!("{at}/city"), check);
        let country = needed(self.country, of(|it| &it.country), format!("{at}/country"), check);
        Some(Address {
            line1: line1?,
            line2: merged(self.line2, was.and_then(|it| it.line2.clone())),
            city: city?,
            region: merged(self.region, was.and_then(|it| it.region.clone())),
            postal_code: merged(self.postal_code, was.and_then(|it| it.postal_code.clone())),
            country: country?,
        })
    }
}

impl EmergencyContactPatch {
    fn merge(
        self,
        was: Option<EmergencyContact>,
        country: Option<Country>,
        at: &str,
        check: &mut Check,
    ) -> Option<EmergencyContact> {
        let was = was.as_ref();
        let name = needed(self.name, was.map(|it| it.name.clone()), format!("{at}/name"), check);
        let phone = read_phone(self.phone, country, &format!("{at}/phone"), check);
        let phone = needed(phone, was.map(|it| it.phone.clone()), format!("{at}/phone"), check);
        let relationship = merged(self.relationship, was.and_then(|it| it.relationship.clone()));
        Some(EmergencyContact { name: name?, relationship, phone: phone? })
    }
}

impl InsurancePatch {
    fn merge(self, was: Option<Insurance>, at: &str, check: &mut Check) -> Option<Insurance> {
        let was = was.as_ref();
        let payer = needed(self.payer, was.map(|it| it.payer.clone()), format!("{at}/payer"), check);
        let member_id = needed(self.member_id, was.map(|it| it.member_id.clone()), format!("{at}/member_id"), check);
        Some(Insurance {
            payer: payer?,
            member_id: member_id?,
            group_number: merged(self.group_number, was.and_then(|it| it.group_number.clone())),
            plan: merged(self.plan, was.and_then(|it| it.plan.clone())),
        })
    }
}

/// Reads the members of one object and notes what is wrong under their pointers.
struct Reader<'a> {
    prefix: String,
    check: &'a mut Check,
}

impl Reader<'_> {
    fn within(&mut self, member: &str) -> Reader<'_> {
        Reader { prefix: format!("{}/{member}", self.prefix), check: self.check }
    }

    /// A member that may be taken away.
    fn kept<T>(&mut self, member: &str, change: &mut Change<T>, read: impl Fn(&T) -> Result<T, Rule>) {
        if let Change::Set(value) = change
            && let Some(read) = self.check.field(&format!("{}/{member}", self.prefix), read(value))
        {
            *value = read;
        }
    }

    /// A member that may not be taken away.
    fn required<T>(&mut self, member: &str, change: &mut Change<T>, read: impl Fn(&T) -> Result<T, Rule>) {
        if matches!(change, Change::Clear) {
            let pointer = format!("{}/{member}", self.prefix);
            self.check.add(FieldError::new(pointer, "required", "cannot be taken away"));
        }
        self.kept(member, change, read);
    }

    fn identifiers(&mut self, change: &mut Change<Identifiers>) {
        let Change::Set(identifiers) = change else { return };
        let pointer = format!("{}/identifiers", self.prefix);
        *identifiers = std::mem::take(identifiers).read(&pointer, self.check).unwrap_or_default();
    }

    fn previous_names(&mut self, change: &mut Change<Vec<String>>) {
        let Change::Set(names) = change else { return };
        let mut at = self.within("previous_names");
        at.check.require(
            names.len() <= PREVIOUS_NAMES,
            at.prefix.as_str(),
            "too_many",
            format!("must have at most {PREVIOUS_NAMES} entries"),
        );
        for (index, value) in names.iter_mut().enumerate().take(PREVIOUS_NAMES) {
            let mut one = Change::Set(std::mem::take(value));
            at.kept(&index.to_string(), &mut one, |value: &String| name(value));
            replace(one, value);
        }
    }
}

/// What can be said of a telephone number before its country is known.
#[allow(clippy::ptr_arg)] // A member's reader is given the member.
fn glanced_at(typed: &String) -> Result<String, Rule> {
    phone::glance(typed).map(|()| typed.clone())
}

/// A line of up to so many characters.
fn line(max: usize) -> impl Fn(&String) -> Result<String, Rule> {
    move |value| text::one_line(value, max)
}

fn name(value: &str) -> Result<String, Rule> {
    let name = text::one_line(value, NAME)?;
    // Nobody could be found by it.
    if name.chars().any(char::is_alphabetic) { Ok(name) } else { Err(Rule::new("not_a_name", "must have a letter")) }
}

fn birth(day: Date, now: Timestamp) -> Result<Date, Rule> {
    let today = Date(now.in_zone(&jiff::tz::TimeZone::UTC).date());
    if (FIRST_BIRTH..=today).contains(&day) {
        Ok(day)
    } else {
        Err(Rule::new("out_of_range", "must be between 1900-01-01 and today"))
    }
}

fn races(value: &[Race]) -> Result<Vec<Race>, Rule> {
    if value.len() > Race::ALL.len() {
        return Err(Rule::new("too_many", format!("must have at most {} entries", Race::ALL.len())));
    }
    let mut races = value.to_vec();
    races.sort_unstable();
    races.dedup();
    if races.len() > 1 && races.contains(&Race::Declined) {
        return Err(Rule::new("contradiction", "declined stands alone"));
    }
    Ok(races)
}

#[cfg(test)]
mod tests;
