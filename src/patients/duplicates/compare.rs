//! The rule whether two records may be of the same person.
//!
//! | grade    | birth date | names | contact | reasons |
//! |----------|------------|-------|---------|---------|
//! | certain  | same       | same  | phone or e-mail | |
//! | probable | same       | same or similar (Jaro-Winkler ≥ 0.92 on both) | | |
//! | probable | one slip   | same  | phone | |
//! | possible | same       | given and family name swapped | | `names_swapped` |
//! | possible | same       | given name similar, family name of one is a previous name of the other | | `previous_name` |
//! | possible | same       | same given name, other family name | phone or e-mail | `other_family_name` |
//! | possible | same       | one given name is the first part or the initial of the other, or its preferred name; family name similar | | `given_name_in_part`, `preferred_name` |
//! | possible | one slip   | same, or similar with phone or e-mail | | |
//! | possible | different  | same | phone or e-mail | `other_birth_date` |
//!
//! A person with a different given name, which is not similar, is another person, even if everything else is the same: twins share birth
//! date, family name and phone. A slip of a birth date is one wrong digit, two adjacent digits swapped, or day and month swapped.

use diesel::prelude::*;
use jiff::civil;

use crate::db::schema::patients;
use crate::db::types::{Date, text_enum};
use crate::ids::PatientId;
use crate::patients::model::{self, Patient};
use crate::patients::names;

text_enum! {
    /// How likely two records are of the same person, the most likely first.
    DuplicateGrade {
        /// No difference.
        Certain = "certain",
        /// They differ by a typing mistake, or no contact is shared.
        Probable = "probable",
        /// Worth checking.
        Possible = "possible",
    }
}

text_enum! {
    /// What two records have in common, or how they differ.
    DuplicateReason {
        /// Given and family name are the same, except for case, accents and punctuation.
        SameNames = "same_names",
        /// Given and family name are similar (Jaro-Winkler of at least 0.92 each).
        SimilarNames = "similar_names",
        /// Each given name is the family name of the other record.
        NamesSwapped = "names_swapped",
        /// The family name of one is among the previous names of the other.
        PreviousName = "previous_name",
        /// The given name is the same, the family name differs.
        OtherFamilyName = "other_family_name",
        /// One given name is the first part or the initial of the other.
        GivenNameInPart = "given_name_in_part",
        /// The given name of one is the preferred name of the other.
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

/// The least similarity of two names of which one may be a typing mistake.
const ALIKE: f64 = 0.92;
/// The normalised values of a record that are compared.
#[derive(Clone)]
pub struct Person {
    /// Without accents, case, punctuation and spaces; none for a mononym.
    given: Option<String>,
    /// The words of the given name.
    given_words: Vec<String>,
    family: String,
    preferred: Option<String>,
    /// The words of all previous names, and each previous name as a whole.
    previous: Vec<String>,
    born: civil::Date,
    phone: Option<String>,
    email: Option<String>,
}

impl Person {
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

/// Compares two persons' names; none if they are the names of different persons.
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

/// Returns whether a given name is the first part of another, as `Anne` of `Anne Marie` or `J` of `James`. `Jon` is not the first part of
/// `Jonathan`, who could be his brother.
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

/// Returns whether one name may be a typing mistake of the other. Compares them in a fixed order, because the measure is not symmetric.
pub(super) fn alike(a: &str, b: &str) -> bool {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    a == b || strsim::jaro_winkler(a, b) >= ALIKE
}

/// Grades two records, with the reasons; none if they are not likely of the same person.
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

/// Returns the eight digits of a day.
fn digits(day: civil::Date) -> [u8; 8] {
    let mut rest = i32::from(day.year()) * 10_000 + i32::from(day.month()) * 100 + i32::from(day.day());
    let mut digits = [0; 8];
    for digit in digits.iter_mut().rev() {
        *digit = u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    digits
}

/// Returns whether two different days differ by one slip.
pub(super) fn is_slip(a: civil::Date, b: civil::Date) -> bool {
    let (x, y) = (digits(a), digits(b));
    let differing: Vec<_> = (0..8).filter(|at| x[*at] != y[*at]).collect();
    match differing[..] {
        [_] => true,
        [first, second] if second == first + 1 && x[first] == y[second] && x[second] == y[first] => true,
        _ => a.year() == b.year() && a.month() == b.day() && a.day() == b.month(),
    }
}

/// Returns a day and every day that differs from it by one slip, in order.
pub(super) fn with_slips(day: civil::Date) -> Vec<Date> {
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

/// The columns of a record that are compared and shown.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = patients)]
pub struct Candidate {
    pub id: PatientId,
    pub mrn: String,
    pub given_name: Option<String>,
    pub family_name: String,
    pub preferred_name: Option<String>,
    /// The previous names, one per line.
    pub previous_names: Option<String>,
    pub date_of_birth: Date,
    pub phone: Option<String>,
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
