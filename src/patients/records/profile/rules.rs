//! The rules for single values of a record. Each normalises the value, or reports the broken rule.

use super::super::declare::Member;
use super::super::demographics::Race;
use crate::accounts::model::EmailAddress;
use crate::db::types::Date;
use crate::error::{FieldCode, Rule};
use crate::phone;

/// The earliest accepted birth date.
const FIRST_BIRTH: Date = Date(jiff::civil::date(1900, 1, 1));

/// Accepts every value.
pub fn any<C>(_: &mut C, _: &mut Member<'_>) {}

/// A line of at most so many characters.
pub fn line(length: usize) -> impl Fn(&mut String, &mut Member<'_>) {
    move |value, member| {
        let read = text::one_line(value, length);
        member.set(value, read);
    }
}

/// A name has at least one letter, because a search finds no other.
pub fn name(value: &mut String, member: &mut Member<'_>) {
    let read = text::one_line(value, text::MAX_NAME).and_then(|name| {
        if name.chars().any(char::is_alphabetic) {
            Ok(name)
        } else {
            Err(Rule::new(FieldCode::NotAName, "must have a letter"))
        }
    });
    member.set(value, read);
}

/// A birth date between 1900 and today.
pub fn birth_date(value: &mut Date, member: &mut Member<'_>) {
    let today = Date(member.now.in_zone(&jiff::tz::TimeZone::UTC).date());
    let read = if (FIRST_BIRTH..=today).contains(value) {
        Ok(*value)
    } else {
        Err(Rule::new(FieldCode::OutOfRange, "must be between 1900-01-01 and today"))
    };
    member.set(value, read);
}

/// The form of a telephone number. The number itself is read when its country is known.
pub fn phone_form(value: &mut String, member: &mut Member<'_>) {
    let read = phone::glance(value).map(|()| value.clone());
    member.set(value, read);
}

/// An e-mail address.
pub fn email(value: &mut String, member: &mut Member<'_>) {
    let read = EmailAddress::parse(value).map(|email| email.as_str().to_owned());
    member.set(value, read);
}

/// A language tag.
pub fn language(value: &mut String, member: &mut Member<'_>) {
    let read = text::language(value);
    member.set(value, read);
}

/// A country's code.
pub fn address_country(value: &mut String, member: &mut Member<'_>) {
    let read = text::country(value);
    member.set(value, read);
}

/// Races, sorted and without repetitions.
pub fn races(value: &mut Vec<Race>, member: &mut Member<'_>) {
    let read = if value.len() > Race::ALL.len() {
        Err(Rule::new(FieldCode::TooMany, format!("must have at most {} entries", Race::ALL.len())))
    } else {
        let mut races = value.clone();
        races.sort_unstable();
        races.dedup();
        if races.len() > 1 && races.contains(&Race::Declined) {
            Err(Rule::new(FieldCode::Contradiction, "declined must be the only entry"))
        } else {
            Ok(races)
        }
    };
    member.set(value, read);
}
