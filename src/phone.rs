//! Telephone numbers: read in the usual forms, stored as E.164, and shown in the format of the clinic's country.
//!
//! The numbering plans are those of libphonenumber and are part of the program. A national number must be in the
//! country's plan, which shows that the country was guessed wrong. Of an international number only the length is
//! checked, because plans change more often than clinics update their server.

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

use crate::clinic::first_location;
use crate::db::Conn;
use crate::error::{FieldCode, Result, Rule};

/// The maximum number of digits in E.164.
const MAX_DIGITS: usize = 15;
/// The minimum number of digits that a search reads as a national number. Fewer digits may be the end of one.
const FEWEST_NATIONAL: usize = 7;

/// A country whose numbering plan is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(Region);

impl Country {
    /// Returns the country of a code (ISO 3166-1, two letters).
    pub fn of(code: &str) -> Option<Self> {
        let region: Region = code.trim().to_ascii_uppercase().parse().ok()?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region))
    }

    /// Returns the clinic's country.
    pub fn of_clinic(conn: &mut Conn) -> Result<Option<Self>> {
        Ok(first_location(conn)?.and_then(|location| Self::of(&location.country)))
    }
}

/// Reads a telephone number and returns it as E.164: `+`, the country's code and the number. Without `+` it is a number
/// of `country`. Spaces, hyphens, dots, slashes and parentheses are allowed.
///
/// # Errors
/// `invalid_phone`.
pub fn read(typed: &str, country: Option<Country>) -> Result<String, Rule> {
    let typed = typed.trim();
    if !is_spelled_like_one(typed) {
        let detail = "must be a telephone number: digits, and + in front of a country's code; without an extension";
        return Err(Rule::new(FieldCode::InvalidPhone, detail));
    }
    if country.is_none() && !typed.starts_with('+') {
        let detail = "must be an international number such as +12125550100: the clinic's country is not known yet";
        return Err(Rule::new(FieldCode::InvalidPhone, detail));
    }
    let is_international = typed.starts_with('+');
    let number = parse(typed, country).filter(|number| is_possible(number) && (is_international || number.is_valid()));
    number.map(|number| number.format_as(PhoneNumberFormat::E164).into_owned()).ok_or_else(|| {
        let detail = "must be a complete number of the country, with its area code, or an international one such as +12125550100";
        Rule::new(FieldCode::InvalidPhone, detail)
    })
}

/// Checks a number as far as possible without knowing the country: an international number completely, any other number
/// by its characters.
///
/// # Errors
/// `invalid_phone`, if it is a number in no country.
pub fn glance(typed: &str) -> Result<(), Rule> {
    let typed = typed.trim();
    if typed.starts_with('+') {
        return read(typed, None).map(|_| ());
    }
    let digits = typed.chars().filter(char::is_ascii_digit).count();
    if (2..=MAX_DIGITS + 5).contains(&digits) && is_spelled_like_one(typed) {
        return Ok(());
    }
    Err(Rule::new(FieldCode::InvalidPhone, "must be a telephone number such as (212) 555-0100 or +12125550100"))
}

/// Returns a stored number for display: national for a number of the country, otherwise international. A text that is
/// no number is returned unchanged.
pub fn shown(number: &str, country: Option<Country>) -> String {
    let Some(parsed) = parse(number, country).filter(is_possible) else { return number.to_owned() };
    let own = country.and_then(|Country(region)| PHONE_NUMBER_UTIL.get_country_code_for_region(region));
    let format =
        if own == Some(parsed.country_code) { PhoneNumberFormat::National } else { PhoneNumberFormat::International };
    parsed.format_as(format).into_owned()
}

/// Returns a number for a `tel:` link: E.164, or the digits of a text that is no number.
pub fn dialled(number: &str, country: Option<Country>) -> String {
    match parse(number, country).filter(is_possible) {
        Some(parsed) => parsed.format_as(PhoneNumberFormat::E164).into_owned(),
        None => number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect(),
    }
}

/// A number for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telephone {
    /// The number in the country's format.
    pub shown: String,
    /// The number for a `tel:` link.
    pub dialled: String,
}

impl Telephone {
    /// Formats a number for people in the country.
    pub fn of(number: &str, country: Option<Country>) -> Self {
        Self { shown: shown(number, country), dialled: dialled(number, country) }
    }
}

/// Returns the last digits that a stored number has if it is the typed one. A complete national number loses the prefix
/// that is dialled only within the country. All digits of any other number are returned.
pub fn last_digits(typed: &str, country: Option<Country>) -> String {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    let national = (digits.len() >= FEWEST_NATIONAL).then(|| parse(typed, country).filter(is_possible)).flatten();
    national.map_or(digits, |number| number.get_national_significant_number())
}

fn parse(number: &str, country: Option<Country>) -> Option<PhoneNumber> {
    let parsed = PHONE_NUMBER_UTIL.parse(number, country.map(|Country(region)| region)).ok()?;
    parsed.extension().is_empty().then_some(parsed)
}

/// Returns whether the number has a length of its country's plan. Numbers that can be dialled within one town only are
/// not complete.
fn is_possible(number: &PhoneNumber) -> bool {
    PHONE_NUMBER_UTIL.is_possible_number_with_reason(number) == Ok(NumberLengthType::IsPossible)
}

/// Returns whether a text has only the characters of telephone numbers: digits, separators, and `+` in front.
pub fn is_spelled_like_one(text: &str) -> bool {
    let sign = |c: char| {
        c.is_ascii_digit() || matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2013}')
    };
    text.strip_prefix('+').unwrap_or(text).chars().all(sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn country(code: &str) -> Option<Country> {
        let country = Country::of(code);
        assert!(country.is_some(), "{code}");
        country
    }

    #[test]
    fn an_international_number_is_the_same_in_every_country() {
        for typed in [
            "+1 (212) 555-0100",
            "+12125550100",
            " +1.212.555.0100 ",
            "+1\u{a0}212 555 0100",
            "+1 212\u{2011}555\u{2011}0100",
        ] {
            for country in [None, country("US"), country("DE")] {
                assert_eq!(read(typed, country).expect(typed), "+12125550100");
            }
        }
        for (typed, number) in [
            ("+49 151 23456789", "+4915123456789"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("+39 06 698 12345", "+390669812345"),
            ("+7 800 555 35 35", "+78005553535"),
        ] {
            assert_eq!(read(typed, country("US")).expect(typed), number);
        }
    }

    #[test]
    fn a_national_number_is_one_of_the_country() {
        for (typed, code, number) in [
            ("(617) 555-0123", "US", "+16175550123"),
            ("617-555-0123", "us", "+16175550123"),
            ("1 617 555 0123", "US", "+16175550123"),
            ("020 7946 0958", "GB", "+442079460958"),
            ("030/123456", "DE", "+4930123456"),
            ("06 698 12345", "IT", "+390669812345"),
            ("55 1234 5678", "MX", "+525512345678"),
            ("416 555 0123", "CA", "+14165550123"),
        ] {
            assert_eq!(read(typed, country(code)).expect(typed), number);
        }
    }

    #[test]
    fn an_incomplete_number_is_rejected() {
        for wrong in [
            "",
            "+",
            "+1",
            "555-0100",
            "617 555 01",
            "617 555 012345",
            "(555) 123-4567",
            "020 7946 0958",
            "+0212555010",
            "+1 212 555 0100 x3",
            "+1 212 555 0100;ext=3",
            "+1234567890123456",
            "1-800-FLOWERS",
            "call us",
            "٦١٧ ٥٥٥ ٠١٢٣",
            "+999 123 456 789",
            "tel:+12125550100",
        ] {
            assert_eq!(read(wrong, country("US")).expect_err(wrong).code, "invalid_phone");
        }
        assert_eq!(read("(617) 555-0123", country("GB")).expect_err("not British").code, "invalid_phone");
        assert_eq!(read("+1 555 123 4567", None).expect("only its length counts"), "+15551234567");
        assert_eq!(read("2125550100", None).expect_err("no country").code, "invalid_phone");
        assert_eq!(Country::of("ZZ"), None);
        assert_eq!(Country::of("USA"), None);
    }

    #[test]
    fn national_numbers_are_shown_in_the_countrys_format_and_others_internationally() {
        for (number, code, expected) in [
            ("+16175550140", "US", "(617) 555-0140"),
            ("+14165550123", "US", "(416) 555-0123"),
            ("+442079460958", "US", "+44 20 7946 0958"),
            ("+442079460958", "GB", "020 7946 0958"),
            ("+525512345678", "MX", "55 1234 5678"),
            ("+34912345678", "ES", "912 34 56 78"),
            ("617-555-0140", "US", "(617) 555-0140"),
            ("ask at the desk", "US", "ask at the desk"),
        ] {
            assert_eq!(shown(number, country(code)), expected);
        }
        assert_eq!(shown("+16175550140", None), "+1 617-555-0140");
        assert_eq!(dialled("617-555-0140", country("US")), "+16175550140");
        assert_eq!(dialled("911", country("US")), "911");
    }

    #[test]
    fn a_search_drops_the_prefix_that_is_dialled_only_within_the_country() {
        for (typed, code, digits) in [
            ("(617) 555-0123", "US", "6175550123"),
            ("1 617 555 0123", "US", "6175550123"),
            ("020 7946 0958", "GB", "2079460958"),
            ("0100", "US", "0100"),
            ("555-0100", "US", "5550100"),
            ("0958", "GB", "0958"),
        ] {
            assert_eq!(last_digits(typed, country(code)), digits);
        }
        assert_eq!(last_digits("020 7946 0958", None), "02079460958");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_a_result_reads_as_itself(typed in "\\PC{0,24}|[+]?[0-9 ()./-]{0,24}") {
            for country in [None, country("US"), country("GB"), country("IT")] {
                let _ = (glance(&typed), shown(&typed, country), dialled(&typed, country), last_digits(&typed, country));
                if let Ok(number) = read(&typed, country) {
                    prop_assert!(glance(&typed).is_ok(), "{typed:?}");
                    prop_assert!(number.len() <= MAX_DIGITS + 1 && number[1..].bytes().all(|b| b.is_ascii_digit()));
                    prop_assert_eq!(read(&number, None).ok(), Some(number.clone()));
                    prop_assert_eq!(dialled(&number, country), number);
                }
            }
        }
    }
}
