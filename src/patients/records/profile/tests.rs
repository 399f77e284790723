//! The rules for a record.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-03-02T14:00:00Z".parse().expect("an instant")
}

/// At a clinic in the United States.
fn context() -> ProfileContext {
    ProfileContext { now: now(), country: Country::of("US") }
}

fn whole() -> Value {
    json!({
        "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14",
        "administrative_sex": "female", "phone": "+1 (212) 555-0100", "preferred_language": "en-us",
        "interpreter_needed": false,
        "address": {"line1": "12 Elm Street", "line2": "Apt 4", "city": "Albany", "country": "us"}
    })
}

fn with(changes: Value) -> Result<Profile, Vec<(String, String)>> {
    let mut input = whole();
    for (name, value) in changes.as_object().expect("an object") {
        input[name] = value.clone();
    }
    let input: NewPatient = serde_json::from_value(input).expect("the right shape");
    let mut check = Check::new();
    let profile = Profile::parse(input, Author::Staff, "/patient", context(), &mut check);
    match check.done() {
        Ok(()) => Ok(profile.expect("a profile")),
        Err(Error::Invalid(errors)) => {
            assert!(profile.is_none());
            Err(errors.into_iter().map(|error| (error.pointer, error.code.to_string())).collect())
        }
        Err(other) => panic!("{other}"),
    }
}

#[track_caller]
fn refused(changes: Value, pointer: &str, code: &str) {
    let said = changes.to_string();
    match with(changes) {
        Ok(_) => panic!("{said} was taken"),
        Err(errors) => assert_eq!(errors, [(pointer.to_owned(), code.to_owned())], "{said}"),
    }
}

/// Merges a patch into a profile as a request would.
fn patched(profile: &Profile, patch: Value) -> Result<Profile, Vec<FieldError>> {
    let patch: PatientPatch = serde_json::from_value(patch).expect("the right shape");
    let (mut check, mut profile) = (Check::new(), profile.clone());
    patch.parse("", now(), &mut check).apply(&mut profile, Author::Staff, context().country, "", &mut check);
    match check.done() {
        Ok(()) => Ok(profile),
        Err(Error::Invalid(errors)) => Err(errors),
        Err(other) => panic!("{other}"),
    }
}

fn errors(result: Result<Profile, Vec<FieldError>>) -> Vec<(String, String)> {
    let errors = result.err().expect("refused");
    errors.into_iter().map(|error| (error.pointer, error.code.to_string())).collect()
}

#[test]
fn values_are_normalised() {
    let profile = with(json!({"email": " Ann@Example.org "})).expect("taken");
    assert_eq!(profile.phone.as_deref(), Some("+12125550100"));
    assert_eq!(profile.email.as_deref(), Some("Ann@example.org"));
    assert_eq!(profile.preferred_language, "en-US");
    assert_eq!(profile.details.address.expect("an address").country, "US");
}

#[test]
fn each_broken_rule_is_reported_with_its_pointer() {
    for (changes, pointer, code) in [
        (json!({"given_name": null}), "/patient/given_name", "required"),
        (json!({"given_name": " "}), "/patient/given_name", "required"),
        (json!({"given_name": "A\u{202e}nn"}), "/patient/given_name", "forbidden_character"),
        (json!({"family_name": "x".repeat(101)}), "/patient/family_name", "too_long"),
        (json!({"family_name": "123"}), "/patient/family_name", "not_a_name"),
        (json!({"mononym": true}), "/patient/given_name", "not_with_mononym"),
        (json!({"date_of_birth": "2026-03-03"}), "/patient/date_of_birth", "out_of_range"),
        (json!({"date_of_birth": "1899-12-31"}), "/patient/date_of_birth", "out_of_range"),
        (json!({"phone": null}), "/patient/phone", "contact_required"),
        (json!({"phone": "555-0100"}), "/patient/phone", "invalid_phone"),
        (json!({"email": "ann"}), "/patient/email", "not_an_email"),
        (json!({"preferred_language": "en_US"}), "/patient/preferred_language", "invalid_language"),
        (json!({"previous_names": ["Ann B", "\r"]}), "/patient/previous_names/1", "required"),
        (json!({"previous_names": vec!["Ann"; 11]}), "/patient/previous_names", "too_many"),
        (json!({"race": ["white", "declined"]}), "/patient/race", "contradiction"),
        (json!({"address": {"line1": "1", "city": "", "country": "US"}}), "/patient/address/city", "required"),
        (
            json!({"address": {"line1": "1", "city": "X", "country": "USA"}}),
            "/patient/address/country",
            "invalid_country",
        ),
        (
            json!({"emergency_contact": {"name": "Rosa", "phone": "1"}}),
            "/patient/emergency_contact/phone",
            "invalid_phone",
        ),
    ] {
        refused(changes, pointer, code);
    }
    assert_eq!(with(json!({"phone": "1", "family_name": "", "email": "x"})).err().map(|errors| errors.len()), Some(3));
}

#[test]
fn the_first_and_the_last_birth_date_and_a_mononym_are_accepted() {
    for changes in [
        json!({"date_of_birth": "1900-01-01"}),
        json!({"date_of_birth": "2026-03-02"}),
        json!({"given_name": null, "mononym": true, "family_name": "Suharto"}),
        json!({"family_name": "é".repeat(100)}),
    ] {
        assert!(with(changes.clone()).is_ok(), "{changes}");
    }
}

#[test]
fn nested_objects_are_merged_member_by_member() {
    let profile = with(json!({})).expect("taken");
    let moved = patched(&profile, json!({"address": {"line2": null, "city": "Troy"}})).expect("taken");
    let address = moved.details.address.clone().expect("an address");
    assert_eq!((address.line1.as_str(), address.line2, address.city.as_str()), ("12 Elm Street", None, "Troy"));
    assert!(patched(&moved, json!({"address": null})).expect("taken").details.address.is_none());
    assert_eq!(
        errors(patched(&profile, json!({"insurance": {"plan": "Gold"}, "address": {"city": null}}))),
        [
            ("/address/city".to_owned(), "required".to_owned()),
            ("/insurance/payer".to_owned(), "required".to_owned()),
            ("/insurance/member_id".to_owned(), "required".to_owned())
        ]
    );
}

#[test]
fn required_members_cannot_be_removed() {
    let profile = with(json!({})).expect("taken");
    for name in
        ["family_name", "date_of_birth", "administrative_sex", "preferred_language", "interpreter_needed", "given_name"]
    {
        assert_eq!(errors(patched(&profile, json!({name: null}))), [(format!("/{name}"), "required".to_owned())]);
    }
    assert_eq!(errors(patched(&profile, json!({"phone": null})))[0].1, "contact_required");
    assert!(patched(&profile, json!({"phone": null, "email": "ann@example.org"})).is_ok());
    let one_name = patched(&profile, json!({"mononym": true})).expect("taken");
    assert_eq!(one_name.given_name, None);
    assert!(patched(&one_name, json!({"phone": "+12125550199"})).is_ok());
    assert_eq!(errors(patched(&one_name, json!({"mononym": false})))[0].0, "/given_name");
    assert!(patched(&one_name, json!({"mononym": false, "given_name": "Ann"})).is_ok());
}

#[test]
fn only_staff_change_legal_names_and_birth_date_and_the_record_number_never_changes() {
    let touched = |patch: Value, staff: bool| {
        let author = if staff { Author::Staff } else { Author::Account };
        let patch: PatientPatch = serde_json::from_value(patch).expect("the right shape");
        let mut check = Check::new();
        patch.forbid(author, &mut check);
        match check.done() {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>(),
            _ => Vec::new(),
        }
    };
    let patch = json!({"mrn": "LW-1", "family_name": "Other", "date_of_birth": null, "phone": "+12125550199"});
    assert_eq!(touched(patch.clone(), false), ["/family_name", "/date_of_birth", "/mrn"]);
    assert_eq!(touched(patch, true), ["/mrn"]);
}

proptest! {
    #[test]
    fn an_empty_patch_changes_nothing_and_a_patch_twice_is_a_patch_once(
        city in "[a-z]{1,9}", line2 in proptest::option::of("[a-z]{1,9}"), pronouns in proptest::option::of("[a-z]{1,9}"),
    ) {
        let profile = with(json!({})).expect("taken");
        let text = |profile: &Profile| format!("{} {:?}", serde_json::to_string(&profile.details).expect("json"), profile.names().collect::<Vec<_>>());
        let same = patched(&profile, json!({})).expect("taken");
        prop_assert_eq!(text(&same), text(&profile));
        let patch = json!({"pronouns": pronouns, "address": {"city": city, "line2": line2}});
        let once = patched(&profile, patch.clone()).expect("taken");
        let twice = patched(&once, patch).expect("taken");
        prop_assert_eq!(text(&once), text(&twice));
    }
}

#[test]
fn only_an_address_that_staff_entered_is_confirmed() {
    let mut check = Check::new();
    let input: NewPatient = serde_json::from_value(whole()).expect("the right shape");
    let mut profile = Profile::parse(input, Author::Account, "", context(), &mut check).expect("a profile");
    let mut change = |value: Value, author| {
        let patch: PatientPatch = serde_json::from_value(json!({"email": value})).expect("the right shape");
        patch.parse("", now(), &mut check).apply(&mut profile, author, context().country, "", &mut check);
        profile.email_confirmed
    };
    assert!(!change(json!("tim@example.org"), Author::Account));
    assert!(change(json!("tim@example.org"), Author::Staff), "entered again is confirmed");
    assert!(change(json!("tim@example.org"), Author::Account), "the same is no change");
    assert!(!change(json!("tom@example.org"), Author::Account));
    assert!(change(json!("tam@example.org"), Author::Staff));
    assert!(!change(Value::Null, Author::Staff));
}

#[test]
fn a_record_that_an_account_creates_needs_no_contact() {
    let input = |phone: Value| {
        let mut input = whole();
        input["phone"] = phone;
        serde_json::from_value::<NewPatient>(input).expect("the right shape")
    };
    let mut check = Check::new();
    let mut child = Profile::parse(input(Value::Null), Author::Account, "", context(), &mut check).expect("a profile");
    assert!(Profile::parse(input(Value::Null), Author::Staff, "", context(), &mut Check::new()).is_none());
    let mut patch = |patch: Value| {
        let patch: PatientPatch = serde_json::from_value(patch).expect("the right shape");
        let mut check = Check::new();
        patch.parse("", now(), &mut check).apply(&mut child, Author::Account, context().country, "", &mut check);
        check.is_ok()
    };
    assert!(patch(json!({"preferred_name": "Tim"})));
    assert!(patch(json!({"phone": "+12125550100"})));
    assert!(!patch(json!({"phone": null})), "what is there must stay");
}
