//! Which records may be of the same person, and which never are.

use jiff::civil;
use proptest::prelude::*;
use proptest::sample::select;

use super::compare::DuplicateGrade::{Certain, Possible, Probable};
use super::compare::{Candidate, Person, alike, compare, is_slip, with_slips};
use super::*;
use crate::patients::names;

/// Given and family name, birth date, phone, e-mail: empty where there is none.
type Sketch<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

const ANN: Sketch = ("Ann", "Example", "1967-09-14", "+12125550100", "ann@example.org");

fn record((given, family, born, phone, email): Sketch) -> Candidate {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Candidate {
        id: PatientId(uuid::Uuid::nil()),
        mrn: "LW-001001".into(),
        given_name: some(given),
        family_name: family.into(),
        preferred_name: None,
        previous_names: None,
        date_of_birth: born.parse().expect("a day"),
        phone: some(phone),
        email: some(email),
    }
}

fn graded(a: &Candidate, b: &Candidate) -> Option<(DuplicateGrade, String)> {
    let (a, b) = (Person::of(a), Person::of(b));
    assert_eq!(compare(&a, &b), compare(&b, &a), "the order makes no difference");
    let (grade, reasons) = compare(&a, &b)?;
    Some((grade, reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(" ")))
}

#[track_caller]
fn require(a: Sketch, b: Sketch, expected: Option<(DuplicateGrade, &str)>) {
    let found = graded(&record(a), &record(b));
    assert_eq!(found.as_ref().map(|(grade, reasons)| (*grade, reasons.as_str())), expected, "{a:?} {b:?}");
}

#[test]
fn the_same_names_birth_date_and_a_contact_are_certain_in_any_spelling() {
    let (born, phone, mail) = ("1967-09-14", "+12125550100", "ann@example.org");
    require(ANN, ("ANN", "example", born, phone, ""), Some((Certain, "same_names same_birth_date same_phone")));
    require(
        ANN,
        ("Ann", "Example", born, "", "Ann@Example.org"),
        Some((Certain, "same_names same_birth_date same_email")),
    );
    let zoe = ("Zoë-Marie", "O'Brien Müller", born, phone, mail);
    let typed = ("zoe marie", "OBrien-Muller", born, phone, mail);
    require(zoe, typed, Some((Certain, "same_names same_birth_date same_phone same_email")));
    let mononym = ("", "Suharto", born, phone, "");
    require(mononym, ("", "SUHARTO", born, phone, ""), Some((Certain, "same_names same_birth_date same_phone")));
    require(mononym, ("Suharto", "Suharto", born, phone, ""), None);
}

#[test]
fn a_mistyped_name_or_birth_date_is_probable() {
    let (born, phone, other) = ("1967-09-14", "+12125550100", "+12125550199");
    require(ANN, ("Ann", "Example", born, other, ""), Some((Probable, "same_names same_birth_date")));
    require(ANN, ("Anne", "Exampel", born, other, ""), Some((Probable, "similar_names same_birth_date")));
    for slip in ["1967-09-13", "1976-09-14", "1967-09-41", "1967-08-14", "1967-09-24"] {
        let Ok(_) = slip.parse::<Date>() else { continue };
        require(ANN, ("Ann", "Example", slip, phone, ""), Some((Probable, "same_names birth_date_slip same_phone")));
    }
    let (first, swapped) = ("1967-03-09", "1967-09-03");
    let at = |born| ("Ann", "Example", born, phone, "");
    require(at(first), at(swapped), Some((Probable, "same_names birth_date_slip same_phone")));
}

#[test]
fn weaker_similarity_is_possible() {
    let (born, phone, other) = ("1967-09-14", "+12125550100", "+12125550199");
    require(ANN, ("Example", "Ann", born, other, ""), Some((Possible, "names_swapped same_birth_date")));
    require(ANN, ("Ann", "Miller", born, phone, ""), Some((Possible, "other_family_name same_birth_date same_phone")));
    require(ANN, ("Ann", "Miller", born, other, ""), None);
    require(ANN, ("Ann Marie", "Example", born, other, ""), Some((Possible, "given_name_in_part same_birth_date")));
    require(ANN, ("A.", "Example", born, other, ""), Some((Possible, "given_name_in_part same_birth_date")));
    require(ANN, ("Ann", "Example", "1967-09-13", other, ""), Some((Possible, "same_names birth_date_slip")));
    let mailed = ("Ann", "Example", "1967-09-13", "", "ann@example.org");
    require(ANN, mailed, Some((Possible, "same_names birth_date_slip same_email")));
    require(
        ANN,
        ("Anne", "Example", "1967-09-13", phone, ""),
        Some((Possible, "similar_names birth_date_slip same_phone")),
    );
    require(ANN, ("Anne", "Example", "1967-09-13", other, ""), None);
    require(
        ANN,
        ("Ann", "Example", "1990-01-31", phone, ""),
        Some((Possible, "same_names other_birth_date same_phone")),
    );
    require(ANN, ("Ann", "Example", "1990-01-31", other, ""), None);
}

#[test]
fn previous_and_preferred_names_count() {
    let mut before = record(("Ann", "Miller", "1967-09-14", "+12125550199", ""));
    assert_eq!(graded(&record(ANN), &before), None);
    before.previous_names = Some("Ann Éxample\nother".into());
    let expected = Some((Possible, "previous_name same_birth_date".to_owned()));
    assert_eq!(graded(&record(ANN), &before), expected);
    before.given_name = Some("Beth".into());
    assert_eq!(graded(&record(ANN), &before), None, "her sister had the name as well");
    let mut william = record(("William", "Example", "1967-09-14", "+12125550100", ""));
    let bill = record(("Bill", "Example", "1967-09-14", "+12125550100", ""));
    assert_eq!(graded(&william, &bill), None);
    william.preferred_name = Some("Bill".into());
    let expected = Some((Possible, "preferred_name same_birth_date same_phone".to_owned()));
    assert_eq!(graded(&william, &bill), expected);
}

#[test]
fn twins_and_other_relatives_are_different_persons() {
    for (first, second) in [("Ann", "Beth"), ("Anna", "Hannah"), ("Jon", "Jonathan"), ("Tim", "Tom"), ("李娜", "李婷")]
    {
        let twin = |given| (given, "Example", "1967-09-14", "+12125550100", "family@example.org");
        require(twin(first), twin(second), None);
    }
}

#[test]
fn a_slip_is_one_wrong_digit_or_two_swapped_ones_or_day_and_month_swapped() {
    let day = |text: &str| text.parse::<Date>().expect("a day").0;
    for (a, b, slip) in [
        ("1967-09-14", "1967-09-15", true),
        ("1967-09-14", "1976-09-14", true),
        ("1967-01-12", "1967-12-01", true),
        ("1967-09-14", "1967-09-25", false),
        ("1967-09-14", "1968-09-15", false),
        ("1967-10-31", "1968-10-13", false),
    ] {
        assert_eq!(is_slip(day(a), day(b)), slip, "{a} {b}");
    }
    assert!(with_slips(day("1967-09-14")).len() < 60);
}

fn any_day() -> impl Strategy<Value = civil::Date> {
    (1900_i16..2027, 1_i8..13, 1_i8..29).prop_map(|(year, month, day)| civil::date(year, month, day))
}

fn any_record() -> impl Strategy<Value = Candidate> {
    let given = select(vec!["Ann", "ANN", "Anne", "Ann Marie", "A", "Beth", "Example", "", "Marie", "Maria"]);
    let family = select(vec!["Example", "Exampel", "Miller", "Müller", "Ann"]);
    let born = select(vec!["1967-09-14", "1967-09-15", "1967-01-12", "1967-12-01"]);
    let phone = select(vec!["", "+12125550100", "+12125550199"]);
    let email = select(vec!["a@example.org", "A@example.org", "b@example.org"]);
    let previous = select(vec![None, Some("Ann Miller"), Some("Example")]);
    (given, family, born, phone, email, previous).prop_map(|(given, family, born, phone, email, previous)| {
        let mut record = record((given, family, born, phone, email));
        record.previous_names = previous.map(str::to_owned);
        record
    })
}

proptest! {
    #[test]
    fn the_order_of_two_records_does_not_matter(a in any_record(), b in any_record()) {
        prop_assert_eq!(compare(&Person::of(&a), &Person::of(&b)), compare(&Person::of(&b), &Person::of(&a)));
    }

    #[test]
    fn similarity_of_names_is_symmetric(a in "[a-e]{0,8}", b in "[a-e]{0,8}") {
        prop_assert_eq!(alike(&a, &b), alike(&b, &a));
        prop_assert!(alike(&a, &a));
    }

    #[test]
    fn a_record_is_certainly_a_duplicate_of_itself(a in any_record()) {
        let (grade, _) = compare(&Person::of(&a), &Person::of(&a)).expect("the same");
        prop_assert_eq!(grade, Certain);
    }

    #[test]
    fn twins_never_match(
        first in "[A-Z][a-z]{2,8}", second in "[A-Z][a-z]{2,8}", family in "[A-Z][a-z]{2,10}", born in any_day(),
    ) {
        prop_assume!(!alike(&names::compact(&first), &names::compact(&second)));
        let born = born.to_string();
        let twin = |given| record((given, &family, &born, "+12125550100", "family@example.org"));
        prop_assert_eq!(graded(&twin(&first), &twin(&second)), None);
    }

    #[test]
    fn the_days_that_are_searched_are_exactly_the_slips(a in any_day(), b in any_day()) {
        let days = with_slips(a);
        prop_assert!(days.contains(&Date(a)));
        prop_assert_eq!(days.contains(&Date(b)), a == b || is_slip(a, b));
        for day in days {
            prop_assert!(day.0 == a || is_slip(a, day.0), "{} {}", a, day);
            prop_assert!(with_slips(day.0).contains(&Date(a)), "{} {}", a, day);
        }
    }
}
