//! Whether two records may be of one person: a pure rule, and the search for candidates by indexed keys.
//!
//! Nothing is merged by itself, and whoever registers online is never told that a record exists.
//!
//! | grade    | birth date | names | contact | reasons |
//! |----------|------------|-------|---------|---------|
//! | certain  | same       | same  | phone or e-mail | |
//! | probable | same       | same or alike (Jaro-Winkler ≥ 0.92 on both) | | |
//! | probable | one slip   | same  | phone | |
//! | possible | same       | given and family name changed places | | `names_swapped` |
//! | possible | same       | given name alike, family name of the one is a previous name of the other | | `previous_name` |
//! | possible | same       | same given name, another family name | phone or e-mail | `other_family_name` |
//! | possible | same       | one given name is the beginning of the other's or its initial, or the preferred name of the other; family name alike | | `given_name_in_part`, `preferred_name` |
//! | possible | one slip   | same, or alike with phone or e-mail | | |
//! | possible | another    | same | phone or e-mail | `other_birth_date` |
//!
//! Who has another given name, not one that is alike, is somebody else, whatever else is the same: twins share birth date,
//! family name and phone.
//! A slip of a birth date is one digit, two digits side by side that changed places, or day and month that did.

use std::collections::BTreeMap;

use diesel::prelude::*;
use jiff::civil;

use super::model::{self, Patient};
use super::names;
use crate::db::Conn;
use crate::db::schema::patients;
use crate::db::types::{Date, text_enum};
use crate::error::Result;
use crate::ids::PatientId;

text_enum! {
    /// How likely two records are of one person; the most likely first.
    DuplicateGrade {
        /// Nothing speaks against it.
        Certain = "certain",
        /// A typing mistake lies between them, or a contact is missing.
        Probable = "probable",
        /// Worth a look.
        Possible = "possible",
    }
}

text_enum! {
    /// What two records have in common, or how they differ.
    DuplicateReason {
        /// Given and family name are the same, but for case, accents and punctuation.
        SameNames = "same_names",
        /// Given and family name are alike (Jaro-Winkler of at least 0.92 each).
        SimilarNames = "similar_names",
        /// The given name of the one is the family name of the other, both ways.
        NamesSwapped = "names_swapped",
        /// The family name of the one is among the previous names of the other.
        PreviousName = "previous_name",
        /// The given name is the same, the family name another.
        OtherFamilyName = "other_family_name",
        /// One given name is the first part or the initial of the other.
        GivenNameInPart = "given_name_in_part",
        /// The given name of the one is the preferred name of the other.
        PreferredName = "preferred_name",
        /// The birth date is the same.
        SameBirthDate = "same_birth_date",
        /// The birth dates differ by one slip.
        BirthDateSlip = "birth_date_slip",
        /// The birth dates differ.
        OtherBirthDate = "other_birth_date",
        /// The phone number is the same.
        SamePhone = "same_phone",
        /// The e-mail address is the same.
        SameEmail = "same_email",
    }
}

/// How alike two names must be to count as one that was mistyped.
const ALIKE: f64 = 0.92;
/// The most records that one key may bring: a placeholder such as the clinic's own number must not bring thousands.
const CANDIDATES: i64 = 1000;
/// The most duplicates that are told.
const TOLD: usize = 20;

/// A person as far as records are compared, everything normalised.
#[derive(Clone)]
pub struct Person {
    /// Without accents, case, punctuation and spaces; none for a person of one name.
    given: Option<String>,
    /// The words of the given name.
    given_words: Vec<String>,
    family: String,
    preferred: Option<String>,
    /// The words of all previous names, and each name as a whole.
    previous: Vec<String>,
    born: civil::Date,
    phone: Option<String>,
    email: Option<String>,
}

impl Person {
    /// The person of a record.
    pub fn of(record: &Candidate) -> Self {
        let previous = record.previous_names.as_deref().unwrap_or_default();
        let mut before: Vec<_> = names::words(previous.lines()).into_iter().collect();
        before.extend(previous.lines().map(names::compact));
        let given_words =
            record.given_name.iter().flat_map(|name| name.split_whitespace()).map(names::compact).collect();
        Self {
            given: record.given_name.as_deref().map(names::compact),
            given_words,
            family: names::compact(&record.family_name),
            preferred: record.preferred_name.as_deref().map(names::compact),
            previous: before,
            born: record.date_of_birth.0,
            phone: record.phone.clone(),
            email: record.email.as_deref().map(model::email_key),
        }
    }
}

/// How two persons' names stand to each other; `None` where they are different people's.
fn compare_names(a: &Person, b: &Person) -> Option<DuplicateReason> {
    use DuplicateReason as Reason;
    let given_alike = match (&a.given, &b.given) {
        (Some(a), Some(b)) => alike(a, b),
        (None, None) => true,
        _ => false,
    };
    let family_alike = alike(&a.family, &b.family);
    let formerly = |a: &Person, b: &Person| a.previous.contains(&b.family);
    let preferred = |a: &Person, b: &Person| a.preferred.is_some() && a.preferred == b.given;
    if a.given == b.given && a.family == b.family {
        return Some(Reason::SameNames);
    }
    if given_alike && family_alike {
        return Some(Reason::SimilarNames);
    }
    if a.given.as_ref() == Some(&b.family) && b.given.as_ref() == Some(&a.family) {
        return Some(Reason::NamesSwapped);
    }
    if given_alike && (formerly(a, b) || formerly(b, a)) {
        return Some(Reason::PreviousName);
    }
    if a.given.is_some() && a.given == b.given {
        return Some(Reason::OtherFamilyName);
    }
    if family_alike && (in_part(&a.given_words, &b.given_words) || in_part(&b.given_words, &a.given_words)) {
        return Some(Reason::GivenNameInPart);
    }
    (family_alike && (preferred(a, b) || preferred(b, a))).then_some(Reason::PreferredName)
}

/// Whether a given name is the first part of another: `Anne` of `Anne Marie`, `J` of `James`. `Jon` is none of `Jonathan`,
/// which could as well be his brother.
fn in_part(short: &[String], long: &[String]) -> bool {
    match (short, long) {
        // A single letter; a single Chinese character is a whole name.
        ([initial], [first, ..]) if initial.chars().count() == 1 && initial.chars().all(char::is_lowercase) => {
            first.starts_with(initial.as_str())
        }
        ([], _) => false,
        _ => short.len() < long.len() && long.starts_with(short),
    }
}

/// Whether one may be the other, mistyped. In one order, as the measure is not quite the same in both.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    a == b || strsim::jaro_winkler(a, b) >= ALIKE
}

/// Grades two records, and says why; `None` where they are not likely of one person.
pub fn compare(a: &Person, b: &Person) -> Option<(DuplicateGrade, Vec<DuplicateReason>)> {
    use DuplicateGrade as Grade;
    use DuplicateReason as Reason;
    let names = compare_names(a, b)?;
    let born = match () {
        () if a.born == b.born => Reason::SameBirthDate,
        () if is_slip(a.born, b.born) => Reason::BirthDateSlip,
        () => Reason::OtherBirthDate,
    };
    let same_phone = a.phone.is_some() && a.phone == b.phone;
    let same_email = a.email.is_some() && a.email == b.email;
    let contact = same_phone || same_email;
    let grade = match (born, names) {
        (Reason::SameBirthDate, Reason::SameNames) if contact => Grade::Certain,
        (Reason::SameBirthDate, Reason::SameNames | Reason::SimilarNames) => Grade::Probable,
        (Reason::SameBirthDate, Reason::OtherFamilyName) if !contact => return None,
        (Reason::BirthDateSlip, Reason::SameNames) if same_phone => Grade::Probable,
        (Reason::SameBirthDate, _) | (Reason::BirthDateSlip, Reason::SameNames) => Grade::Possible,
        (Reason::BirthDateSlip, Reason::SimilarNames) | (Reason::OtherBirthDate, Reason::SameNames) if contact => {
            Grade::Possible
        }
        _ => return None,
    };
    let mut reasons = vec![names, born];
    reasons.extend(same_phone.then_some(Reason::SamePhone));
    reasons.extend(same_email.then_some(Reason::SameEmail));
    Some((grade, reasons))
}

/// The eight digits of a day.
fn digits(day: civil::Date) -> [u8; 8] {
    let mut rest = i32::from(day.year()) * 10_000 + i32::from(day.month()) * 100 + i32::from(day.day());
    let mut digits = [0; 8];
    for digit in digits.iter_mut().rev() {
        *digit = u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    digits
}

/// Whether two different days are one slip apart.
fn is_slip(a: civil::Date, b: civil::Date) -> bool {
    let (x, y) = (digits(a), digits(b));
    let differing: Vec<_> = (0..8).filter(|at| x[*at] != y[*at]).collect();
    match differing[..] {
        [_] => true,
        [first, second] if second == first + 1 && x[first] == y[second] && x[second] == y[first] => true,
        _ => a.year() == b.year() && a.month() == b.day() && a.day() == b.month(),
    }
}

/// A day and every day that is one slip away from it, in order.
fn with_slips(day: civil::Date) -> Vec<Date> {
    let own = digits(day);
    let mut variants = vec![own];
    for at in 0..8 {
        for digit in 0..10 {
            let mut other = own;
            other[at] = digit;
            variants.push(other);
        }
        if at < 7 {
            let mut other = own;
            other.swap(at, at + 1);
            variants.push(other);
        }
    }
    variants.push([own[0], own[1], own[2], own[3], own[6], own[7], own[4], own[5]]);
    let number = |digits: &[u8]| digits.iter().fold(0_i16, |number, digit| number * 10 + i16::from(*digit));
    let small = |digits: &[u8]| i8::try_from(number(digits)).unwrap_or(0);
    let mut days: Vec<_> = variants
        .iter()
        .filter_map(|it| civil::Date::new(number(&it[..4]), small(&it[4..6]), small(&it[6..])).ok().map(Date))
        .collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// What of a record is compared and shown, without what is sealed.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = patients)]
pub struct Candidate {
    /// The record.
    pub id: PatientId,
    /// Its number.
    pub mrn: String,
    /// The legal given name.
    pub given_name: Option<String>,
    /// The legal family name.
    pub family_name: String,
    /// What the person wants to be called.
    pub preferred_name: Option<String>,
    /// Names they had before, one a line.
    pub previous_names: Option<String>,
    /// The day of birth.
    pub date_of_birth: Date,
    /// E.164.
    pub phone: Option<String>,
    /// Where their mail goes.
    pub email: Option<String>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Candidate({})", self.id)
    }
}

impl From<&Patient> for Candidate {
    fn from(patient: &Patient) -> Self {
        Self {
            id: patient.id,
            mrn: patient.mrn.clone(),
            given_name: patient.given_name.clone(),
            family_name: patient.family_name.clone(),
            preferred_name: patient.preferred_name.clone(),
            previous_names: patient.previous_names.clone(),
            date_of_birth: patient.date_of_birth,
            phone: patient.phone.clone(),
            email: patient.email.clone(),
        }
    }
}

/// A record that may be of the same person.
pub struct Duplicate {
    /// The record.
    pub record: Candidate,
    /// How likely.
    pub grade: DuplicateGrade,
    /// Why.
    pub reasons: Vec<DuplicateReason>,
}

/// The records that may be of the same person as this one, the most likely first, of equally likely ones the oldest.
///
/// # Errors
/// The database's.
pub fn of(conn: &mut Conn, patient: &Patient) -> Result<Vec<Duplicate>> {
    let person = Person::of(&patient.into());
    let mut found: Vec<_> = candidates(conn, patient)?
        .into_values()
        .filter_map(|record| {
            let (grade, reasons) = compare(&person, &Person::of(&record))?;
            Some(Duplicate { record, grade, reasons })
        })
        .collect();
    // Ids grow with time.
    found.sort_by_key(|duplicate| (duplicate.grade, duplicate.record.id));
    found.truncate(TOLD);
    Ok(found)
}

/// The records that share a key with this one: each key has an index, so that none of it grows with the table.
fn candidates(conn: &mut Conn, patient: &Patient) -> Result<BTreeMap<PatientId, Candidate>> {
    let others = || patients::table.filter(patients::id.ne(patient.id)).select(Candidate::as_select());
    let born = others().filter(patients::date_of_birth.eq_any(with_slips(patient.date_of_birth.0)));
    let mut found: Vec<Candidate> = born.order(patients::id).limit(CANDIDATES).load(conn)?;
    if let Some(phone) = &patient.phone_reversed {
        let same = others().filter(patients::phone_reversed.eq(phone));
        found.extend(same.order(patients::id).limit(CANDIDATES).load(conn)?);
    }
    if let Some(email) = &patient.email_key {
        let same = others().filter(patients::email_key.eq(email));
        found.extend(same.order(patients::id).limit(CANDIDATES).load(conn)?);
    }
    Ok(found.into_iter().map(|record| (record.id, record)).collect())
}

#[cfg(test)]
mod tests;
