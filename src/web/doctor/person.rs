//! Who a patient is, in a line: name, birth date with age, record number.

use jiff::civil::Date as Day;
use minijinja::{Value, context};
use rls::context::age;
use text::Language;

use super::Member;
use crate::ids::PatientId;
use crate::messages::times::Moment;
use crate::patients::listed::ListedPatient;

/// A patient as `doctor-person.html` shows it.
pub(super) fn shown(member: &Member, id: PatientId, name: &str, born: Day, mrn: &str) -> Value {
    let today = member.context.env.now().in_zone(&jiff::tz::TimeZone::UTC).date();
    context! {
        id => id.to_string(), name => name, born => in_words(born, member.language), age => age(born, today), mrn => mrn,
    }
}

/// The patient of an item of a list.
pub(super) fn listed(member: &Member, patient: &ListedPatient) -> Value {
    shown(member, patient.id, &patient.display_name, patient.date_of_birth.0, &patient.mrn)
}

fn in_words(day: Day, language: Language) -> String {
    Moment::of_day(day, language).date_alone()
}

#[cfg(test)]
pub(super) fn example() -> Value {
    context! { id => "1", name => "Ann <b>Example", born => "September 14, 1967", age => 58, mrn => "LW-001001" }
}
